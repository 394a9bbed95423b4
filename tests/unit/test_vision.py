"""Crops by hand, pose and Action Units of known faces, identity against the published network
written out again."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dirfa_edu.animation import AU_NUMBERS, AUS, column
from dirfa_edu.faces import geometry, identity, vision
from dirfa_edu.files import InputError, data_path, load_tensors


def rotation(rx, ry, rz):
    """R = Rx Ry Rz, written out."""
    X = np.array([[1, 0, 0], [0, np.cos(rx), -np.sin(rx)], [0, np.sin(rx), np.cos(rx)]])
    Y = np.array([[np.cos(ry), 0, np.sin(ry)], [0, 1, 0], [-np.sin(ry), 0, np.cos(ry)]])
    Z = np.array([[np.cos(rz), -np.sin(rz), 0], [np.sin(rz), np.cos(rz), 0], [0, 0, 1]])
    return X @ Y @ Z


def posed(rx=0.0, ry=0.0, rz=0.0, scale=1.0, at=(64, 64)):
    """The canonical face, turned, in pixels (468, 3)."""
    return scale * geometry.canonical_face()["vertices"] @ rotation(rx, ry, rz).T + [*at, 0]


# ---- crops ----
def test_a_cut_of_the_whole_picture_is_the_picture():
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    assert np.array_equal(vision.cut_out(image, (8, 8, 16, 0.0), 16), image)


def test_a_cut_turns_by_its_angle():
    image = np.random.default_rng(1).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    # looking through a frame turned clockwise by 90 degrees shows the picture turned the other way
    assert np.array_equal(vision.cut_out(image, (8, 8, 16, np.pi / 2), 16), np.rot90(image))


def test_a_cut_repeats_edges_and_averages_when_it_shrinks():
    image = np.zeros((64, 64, 3), np.uint8)
    image[::2] = 200  # stripes of one pixel
    assert abs(int(vision.cut_out(image, (32, 32, 64, 0.0), 16).mean()) - 100) <= 1
    assert vision.cut_out(image, (32, 32, 64, 0.0), 16).std() < 1  # and no moire
    assert vision.cut_out(np.full((8, 8, 3), 9, np.uint8), (0, 0, 40, 0.3), 8).min() == 9


def test_crop_rule_levels_the_eyes_and_takes_one_and_a_half_boxes():
    upright = posed()
    x, y, side, angle = vision.crop_box(upright)
    extent = (upright.max(0) - upright.min(0))[:2].max()
    assert side == pytest.approx(1.5 * extent) and angle == pytest.approx(0, abs=1e-6)
    tilted = upright.copy()
    tilted[:, :2] = (upright[:, :2] - 64) @ rotation(0, 0, 0.4)[:2, :2].T + 64
    assert vision.crop_box(tilted)[2:] == pytest.approx((side, 0.4), rel=1e-5)


# ---- pose ----
@pytest.mark.parametrize(
    "pose", [(0, 0, 0), (0.3, 0, 0), (0, -0.5, 0), (0, 0, 0.7), (0.2, -0.3, 0.1)]
)
def test_pose_of_a_turned_canonical_face(pose):
    L = posed(*pose, scale=2.0, at=(100, 120))[None]
    assert geometry.pose_from_landmarks(L, (640, 480))[0, :3] == pytest.approx(pose, abs=1e-5)


def test_pose_signs_are_openfaces():
    nose, top, left, right = 4, 10, 234, 454
    assert posed(rx=0.3)[nose, 1] > posed()[nose, 1], "Rx > 0 looks down"
    assert posed(ry=0.3)[nose, 0] < posed()[nose, 0], (
        "Ry > 0 turns the nose to the left of the image"
    )
    assert posed(rz=0.3)[top, 0] > posed()[top, 0], "Rz > 0 turns clockwise"
    assert posed()[left, 0] < posed()[right, 0]


def test_translation_is_in_millimetres():
    near, far = (
        geometry.pose_from_landmarks(posed(scale=s, at=(320, 240))[None], (640, 480))[0]
        for s in (1.0, 0.5)
    )
    assert far[5] == pytest.approx(2 * near[5]) == pytest.approx(1000)  # focal length 500 px
    moved = geometry.pose_from_landmarks(posed(scale=0.5, at=(330, 240))[None], (640, 480))[0]
    assert moved[3] - far[3] == pytest.approx(20)  # 10 px at half a pixel per mm


def test_align_undoes_pose_and_size():
    L = np.stack([posed(0.2, -0.3, 0.1, 1.7), np.full((468, 3), np.nan)])
    front, R, scale, shift = geometry.align(L)
    assert np.allclose(front[0], geometry.canonical_face()["vertices"], atol=1e-3)
    assert np.allclose(R[0], rotation(0.2, -0.3, 0.1)) and scale[0] == pytest.approx(1.7)
    assert np.isnan(front[1]).all() and np.isnan(scale[1])


# ---- Action Units ----
def one_second_of(change=None, frames=40):
    """A still canonical face, changed in the second half of the clip."""
    L = np.repeat(posed(scale=2.0)[None], frames, axis=0)
    if change:
        for points, (dx, dy) in change.items():
            L[frames // 2 :, list(points), 0] += 2 * dx
            L[frames // 2 :, list(points), 1] += 2 * dy
    return L


# what moves, in mm (x outwards is given per side) -> the AU that must rise most steeply from zero
MOVES = {
    "AU01": {(55, 107, 285, 336): (0, -4)},
    "AU02": {(70, 46, 300, 276): (0, -4)},
    "AU05": {(159, 386): (0, -2)},
    "AU07": {(145, 374): (0, -2)},
    "AU10": {(37, 267, 0): (0, -3)},
    "AU12": {(61,): (-4, -5), (291,): (4, -5)},
    "AU25": {(14, 17, 87, 317): (0, 6)},
    "AU26": {(152, 17, 18): (0, 8)},
    "AU45": {(159, 158, 386, 385): (0, 6)},
}


@pytest.mark.parametrize("au", MOVES)
def test_an_action_unit_rises_with_its_own_movement(au):
    Y = geometry.attributes_from_landmarks(one_second_of(MOVES[au]), (640, 480))
    assert Y[:20, column(au)].max() < 0.05
    assert Y[20:, column(au)].min() > 0.5
    assert 0 <= Y[:, :17].min() and Y[:, :17].max() <= 5


def test_a_still_face_has_no_action_units_whoever_it_is():
    wide = one_second_of()
    wide[..., 0] = (wide[..., 0] - 64) * 1.2 + 64
    for L in (one_second_of(), wide):
        assert np.abs(geometry.attributes_from_landmarks(L, (640, 480))).max() < 1e-3


def test_turning_the_head_moves_pose_and_hardly_an_action_unit():
    L = np.stack([posed(ry=angle, scale=2.0) for angle in np.linspace(-0.4, 0.4, 25)])
    Y = geometry.attributes_from_landmarks(L, (640, 480))
    assert Y[:, :17].max() < 0.01
    assert np.allclose(Y[:, column("pose_Ry")], np.linspace(-0.4, 0.4, 25), atol=1e-4)


def test_frames_without_a_face_are_filled_from_their_neighbours():
    L = one_second_of(MOVES["AU25"])
    L[5:8] = np.nan
    assert np.isfinite(geometry.attributes_from_landmarks(L, (640, 480))).all()
    with pytest.raises(InputError, match="face"):
        geometry.attributes_from_landmarks(np.full((4, 468, 3), np.nan), (640, 480))


def test_measures_are_in_attribute_order():
    assert geometry.au_measures(posed()[None]).shape == (1, len(AU_NUMBERS)) == (1, len(AUS))


# ---- identity ----
def published_network(x, stored):
    """face-api's own order of operations, layer by layer, in unfolded form; x (B, 3, 150, 150) in
    0..255."""

    def value(name):
        t = stored[name].float()
        return (
            t * stored[name + ".range"][1] + stored[name + ".range"][0]
            if name + ".range" in stored
            else t
        )

    def layer(x, name, stride, relu, padding):
        x = F.conv2d(x, value(f"{name}.conv.filters"), value(f"{name}.conv.bias"), stride, padding)
        x = (
            x * value(f"{name}.scale.weights")[:, None, None]
            + value(f"{name}.scale.biases")[:, None, None]
        )
        return x.relu() if relu else x

    x = (x - torch.tensor([122.782, 117.001, 104.298])[:, None, None]) / 256
    x = F.max_pool2d(layer(x, "conv32_down", 2, True, 0), 3, 2)
    for name in (
        "conv32_1 conv32_2 conv32_3 conv64_down conv64_1 conv64_2 conv64_3 conv128_down conv128_1 "
        "conv128_2 conv256_down conv256_1 conv256_2 conv256_down_out"
    ).split():
        down = "down" in name
        out = layer(
            layer(x, name + ".conv1", 2 if down else 1, True, 0 if down else 1),
            name + ".conv2",
            1,
            False,
            1,
        )
        if down:
            x = F.avg_pool2d(x, 2)
            full = torch.zeros(len(x), out.shape[1], *x.shape[2:])
            full[:, :, : out.shape[2], : out.shape[3]] = out
            short = torch.zeros_like(full)
            short[:, : x.shape[1]] = x
            x = (full + short).relu()
        else:
            x = (x + out).relu()
    return x.mean((2, 3)) @ value("fc")


def test_embedding_equals_the_published_network():
    stored, _ = load_tensors(data_path("models", "face_resnet.safetensors"))
    chips = torch.rand(2, 3, 150, 150, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(
        identity.load_face_resnet().embed(chips), published_network(chips * 255, stored), atol=1e-4
    )


def test_features_at_any_size_with_gradients_to_the_picture():
    network = identity.load_face_resnet()
    assert not any(p.requires_grad for p in network.parameters())
    for size in (64, 128, 200):
        picture = torch.rand(1, 3, size, size, requires_grad=True)
        levels = network.features(picture, levels=2)
        assert [f.shape[1] for f in levels] == [32, 64] and levels[0].shape[2] > 1.8 * levels[
            1
        ].shape[2] - 2
        sum(f.square().mean() for f in levels).backward()
        assert picture.grad.abs().sum() > 0


@pytest.mark.parametrize("levels", [1, 2, 3, 4, 5])
def test_features_refuse_what_is_too_small(levels):
    network, smallest = identity.load_face_resnet(), {1: 11, 2: 19, 3: 31, 4: 55, 5: 103}[levels]
    assert len(network.features(torch.rand(1, 3, smallest, smallest), levels)) == levels
    with pytest.raises(InputError, match="px"):
        network.features(torch.rand(1, 3, smallest - 1, smallest), levels)


def test_embed_wants_aligned_chips():
    with pytest.raises(InputError, match="face_chips"):
        identity.load_face_resnet().embed(torch.rand(1, 3, 128, 128))


def test_chips_put_the_eyes_where_the_network_learned_them():
    # one white dot per outer eye corner, on a tilted, shifted face
    L = posed(rz=0.3, scale=1.2, at=(150, 140))[None].astype(np.float32)
    frame = np.zeros((300, 300, 3), np.uint8)
    for i in vision.EYE_CORNERS:
        x, y = L[0, i, :2].round().astype(int)
        frame[y - 3 : y + 4, x - 3 : x + 4] = 255
    chip = vision.face_chips(frame[None], L)[0, 0].numpy()
    rows, columns = np.nonzero(chip > 0.5)
    left, right = columns < 75, columns >= 75
    assert rows[left].mean() == pytest.approx(rows[right].mean(), abs=2)  # level
    # 0.1206 and 0.8596 of the face, with dlib's padding of a quarter on each side
    assert columns[left].mean() == pytest.approx((0.1206 + 0.25) / 1.5 * 150, abs=4)
    assert columns[right].mean() == pytest.approx((0.8596 + 0.25) / 1.5 * 150, abs=4)


# ---- bad input ----
def test_no_face_is_none_or_nan_and_never_a_guess():
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    assert vision.find_face(noise) is None
    assert np.isnan(vision.landmarks(np.stack([noise, np.zeros_like(noise)]))).all()


def test_what_is_not_a_picture_is_refused():
    with pytest.raises(InputError, match="uint8"):
        vision.find_face(np.zeros((8, 8, 3)))
    with pytest.raises(InputError, match="frames"):
        vision.landmarks(np.zeros((8, 8, 3), np.uint8))


def test_a_video_without_a_face_is_one_sentence(tmp_path):
    from dirfa_edu.video import write_mp4

    write_mp4(tmp_path / "sky.mp4", [np.full((64, 64, 3), 120, np.uint8)] * 10)
    with pytest.raises(InputError, match="no face found"):
        vision.extract(tmp_path / "sky.mp4")


# ---- the whole path on digital actors ----
@pytest.fixture(scope="module")
def talking():
    """Two actors who open their mouths, blink, and turn their heads: animation (40, 23), frames
    (40, 128, 128, 3)."""
    from dirfa_edu.actors.actor import Actor

    Y = np.zeros((40, 23))
    t = np.arange(40)
    Y[:, column("AU26")] = 3 * (np.sin(t / 3) > 0.3)
    Y[:, column("AU12")] = 2 * (t > 25)
    Y[18:22, column("AU45")] = 5
    Y[:, column("pose_Ry")] = 0.2 * np.sin(t / 8)
    Y[:, column("pose_Rx")] = 0.1 * np.cos(t / 6)
    actors = {name: Actor(name) for name in ("anna", "ben")}
    return Y, {
        name: np.stack([actor.render(row, 128) for row in Y]) for name, actor in actors.items()
    }


def test_every_frame_of_an_actor_is_found_where_it_is(talking):
    from dirfa_edu.actors.actor import Actor

    Y, clips = talking
    for name, frames in clips.items():
        L = vision.landmarks(frames)
        assert np.isfinite(L).all()
        actor = Actor(name)
        true = np.stack([actor.landmarks(row, 128) for row in Y])
        eyes = np.linalg.norm(true[:, 36] - true[:, 45], axis=1)
        # outer eyes, corners of the mouth
        for ours, theirs in ((33, 36), (263, 45), (61, 48), (291, 54)):
            assert (np.linalg.norm(L[:, ours, :2] - true[:, theirs], axis=1) / eyes).mean() < 0.12


def test_what_the_actor_does_is_measured(talking):
    Y, clips = talking
    for frames in clips.values():
        found = geometry.attributes_from_landmarks(vision.landmarks(frames), (128, 128))
        for name, least in (
            ("pose_Ry", 0.9),
            ("pose_Rx", 0.8),
            ("AU26", 0.75),
            ("AU45", 0.75),
            ("AU12", 0.75),
        ):
            r = np.corrcoef(found[:, column(name)], Y[:, column(name)])[0, 1]
            assert r > least, f"{name}: r = {r:.2f}"


def test_an_opening_jaw_is_not_taken_for_a_raised_chin_or_a_dimple(talking):
    Y, clips = talking
    jaw = Y[:, column("AU26")] > 1
    for frames in clips.values():
        found = geometry.attributes_from_landmarks(vision.landmarks(frames), (128, 128))
        for au in ("AU14", "AU15", "AU17"):
            shut, open_ = (
                found[~jaw & (Y[:, column("AU12")] == 0), column(au)],
                found[jaw, column(au)],
            )
            assert abs(np.median(shut) - np.median(open_)) < 1, au


def test_one_person_is_nearer_to_themselves_than_to_another(talking):
    from dirfa_edu import metrics

    anna, ben = talking[1]["anna"][::5], talking[1]["ben"][::5]
    own, other = metrics.acd(anna[0], anna[1:]), metrics.acd(anna[0], ben)
    assert own < 0.45 < other
    assert metrics.acd_pairwise(anna) < metrics.acd_pairwise(np.concatenate([anna, ben]))


def test_extract_gives_all_the_networks_need(talking, tmp_path):
    from dirfa_edu.video import write_mp4

    Y, clips = talking
    write_mp4(tmp_path / "anna.mp4", clips["anna"], wave=np.zeros(40 * 640, np.float32))
    found = vision.extract(tmp_path / "anna.mp4")
    assert found["animation"].shape == (40, 23) and found["valid"].all()
    assert found["frames"].shape == (40, 128, 128, 3) and found["portrait"].shape == (256, 256, 3)
    assert abs(len(found["wave"]) - 40 * 640) < 3000
    assert np.median(found["animation"][:, 17:], axis=0) == pytest.approx(np.zeros(6), abs=1e-5)
    portrait = geometry.attributes_from_landmarks(
        vision.landmarks(
            np.stack(
                [
                    found["portrait"],
                    *[vision.cut_out(f, (64, 64, 128, 0.0), 256) for f in clips["anna"]],
                ]
            )
        ),
        (256, 256),
    )
    # mouth closed, eyes open
    assert portrait[0, column("AU26")] < 1 and portrait[0, column("AU45")] < 1


def test_thirty_frames_a_second_become_twenty_five(talking, tmp_path):
    from dirfa_edu.video import write_mp4

    Y, clips = talking
    write_mp4(tmp_path / "fast.mp4", np.repeat(clips["anna"], 2, axis=0), fps=50)
    found = vision.extract(tmp_path / "fast.mp4")
    assert len(found["animation"]) == len(found["frames"]) == 40
    r = np.corrcoef(found["animation"][:, column("pose_Ry")], Y[:, column("pose_Ry")])[0, 1]
    assert r > 0.9


def test_two_people_are_refused_and_a_small_one_behind_is_not(talking, tmp_path):
    from dirfa_edu.video import write_mp4

    anna, ben = talking[1]["anna"][:12], talking[1]["ben"][:12]
    write_mp4(tmp_path / "two.mp4", np.concatenate([anna, ben], axis=2))
    with pytest.raises(InputError, match="2 faces"):
        vision.extract(tmp_path / "two.mp4")
    behind = np.pad(ben[:, ::2, ::2], ((0, 0), (0, 64), (0, 0), (0, 0)), mode="edge")
    write_mp4(tmp_path / "behind.mp4", np.concatenate([anna, behind], axis=2))
    assert len(vision.extract(tmp_path / "behind.mp4")["animation"]) == 12


def test_a_face_is_found_again_after_it_was_gone(talking):
    frames = talking[1]["ben"][:9].copy()
    frames[3:6] = 0
    assert (
        np.isfinite(vision.landmarks(frames)[:, 0, 0]).tolist()
        == [True] * 3 + [False] * 3 + [True] * 3
    )
