"""Digital actors: what an attribute means is measured on landmarks and seen in the pixels."""

import subprocess
import sys
import zlib

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from dirfa_edu.actors import mesh
from dirfa_edu.actors.actor import ACTORS, Actor, head_rotation, neck_translation
from dirfa_edu.actors.looks import CAST, draw_look
from dirfa_edu.actors.paint import furrows
from dirfa_edu.files import InputError, data_path

RX, RY, RZ, TX, TY, TZ = range(17, 23)
AU25, AU26, AU45, AU12, AU01 = 14, 15, 16, 8, 0


def attributes(**values):
    a = np.zeros(23)
    for name, value in values.items():
        a[globals()[name]] = value
    return a


@pytest.fixture(scope="module")
def actor():
    return Actor("ben")


@pytest.fixture(scope="module")
def neutral(actor):
    return actor.landmarks(np.zeros(23), 512)


def gap(points):
    """Distance of the inner lips, and opening of the two eyes, px."""
    return points[66, 1] - points[62, 1], np.mean(
        [points[[41, 40, 47, 46], 1] - points[[37, 38, 43, 44], 1]]
    )


def test_the_cast_is_split_by_person():
    train = {n for n, s in ACTORS.items() if s == "train"}
    test = {n for n, s in ACTORS.items() if s == "test"}
    assert len(train) == 26 and len(test) == 6 and not train & test
    # both splits hold every sex and ancestry, the young and the old
    for group in (train, test):
        assert {CAST[n][1] for n in group} == {"f", "m"}
        assert {CAST[n][2] for n in group} == {"caucasian", "asian", "african", "mixed"}
        assert max(CAST[n][3] for n in group) >= 0.35 and min(CAST[n][3] for n in group) <= 0.05


def test_looks_are_drawn_from_the_seed_and_plausible():
    looks = {n: draw_look(n) for n in ACTORS}
    assert draw_look(3) == draw_look(3) != draw_look(4)
    assert len({look.hair for look in looks.values()}) >= 5
    tones = [look.tone for look in looks.values()]
    assert min(tones) < 0.15 and max(tones) > 0.8
    for look in [*looks.values(), *map(draw_look, range(300))]:
        assert look.age >= 0.4 or max(look.hair_colour) < 0.5 and np.ptp(look.hair_colour) >= 0
        if look.tone > 0.5 and look.age < 0.4:
            # dark skin: black or dark brown hair until it greys
            assert max(look.hair_colour) < 0.06
        assert look.beard == 0 or not look.female


def test_an_actor_is_the_same_every_time(actor):
    again, a = Actor("ben"), attributes(AU26=2, RY=0.2)
    assert np.array_equal(actor.render(a), again.render(a))
    assert np.array_equal(actor.landmarks(a), again.landmarks(a))
    assert np.array_equal(Actor(5).render(np.zeros(23), 64), Actor(5).render(np.zeros(23), 64))


def test_zero_attributes_are_the_shipped_portrait(actor):
    from matplotlib import image

    portrait = np.round(image.imread(data_path("portraits", "ben.png"))[..., :3] * 255)
    difference = np.abs(actor.render(np.zeros(23), 128).astype(float) - portrait)
    assert difference.mean() < 0.5  # rounding may differ between processors
    assert len(list(data_path("portraits").glob("*.png"))) == len(ACTORS)


def test_every_portrait_is_another_person():
    from matplotlib import image

    faces = [
        image.imread(data_path("portraits", f"{n}.png"))[30:110, 35:93, :3].ravel() for n in ACTORS
    ]
    apart = [np.abs(a - b).mean() for i, a in enumerate(faces) for b in faces[:i]]
    assert min(apart) > 0.02


def test_jaw_drop_opens_the_mouth_on_landmarks_and_in_pixels(actor):
    pictures = [actor.render(attributes(AU26=v), 128).astype(float) for v in range(6)]
    gaps = [gap(actor.landmarks(attributes(AU26=v), 128))[0] for v in range(6)]
    assert np.all(np.diff(gaps) > 0.8)
    box = slice(70, 108), slice(50, 78)
    dark = [(p[box].sum(-1) < 200).sum() for p in pictures]
    assert np.all(np.diff(dark[1:]) > 0) and dark[5] > dark[0] + 40
    assert abs(gaps[0]) < 2.5  # closed at rest


def test_blinking_covers_the_eyes(actor):
    openings = [gap(actor.landmarks(attributes(AU45=v), 512))[1] for v in range(6)]
    assert np.all(np.diff(openings) < 0) and openings[5] < 0.5 * openings[0]
    eyes = np.flatnonzero(actor.material == mesh.EYE)
    shown = []
    for v in range(6):
        actor.render(attributes(AU45=v), 256)
        shown.append(np.isin(actor.pictures[256][1], eyes).sum())
    assert np.all(np.diff(shown[:5]) < 0), "each step of intensity covers more of the eye"
    assert shown[0] > 240 and shown[3] > 0.1 * shown[0] and shown[5] == 0


def test_a_smile_moves_the_corners_out_and_up_and_a_raised_brow_goes_up(actor, neutral):
    smile = actor.landmarks(attributes(AU12=5), 512) - neutral
    assert smile[48, 0] < -3 and smile[54, 0] > 3 and smile[[48, 54], 1].max() < -3
    brow = actor.landmarks(attributes(AU01=5), 512) - neutral
    assert brow[[21, 22], 1].max() < -3 and np.abs(brow[[8, 57], 1]).max() < 1


def test_action_units_are_linear_and_clip_at_zero_and_five(actor, neutral):
    half, full, over = (actor.landmarks(attributes(AU12=v), 512) - neutral for v in (2.5, 5, 9))
    assert np.abs(2 * half - full).max() < 0.5
    assert np.array_equal(full, over)
    assert np.array_equal(actor.landmarks(attributes(AU12=-1), 512), neutral)


def test_signs_of_the_rotations(actor, neutral):
    nose = 30
    assert (actor.landmarks(attributes(RX=0.2), 512) - neutral)[nose, 1] > 5  # looks down
    # nose to the left of the picture
    assert (actor.landmarks(attributes(RY=0.2), 512) - neutral)[nose, 0] < -5
    tilt = actor.landmarks(attributes(RZ=0.2), 512) - neutral
    # clockwise: the right side sinks
    assert tilt[:8, 1].max() < 0 < tilt[10:17, 1].min()


def test_rotations_agree_with_an_independent_one(actor):
    """Rodrigues' formula about each axis in turn, on points in camera axes, projected by hand."""

    def rodrigues(points, axis, angle):
        axis = np.asarray(axis, float)
        return (
            points * np.cos(angle)
            + np.cross(axis, points) * np.sin(angle)
            + np.outer(points @ axis, axis) * (1 - np.cos(angle))
        )

    angles, shift = (0.15, -0.25, 0.10), np.array([12.0, -7, 40])
    a = attributes(RX=angles[0], RY=angles[1], RZ=angles[2], TX=shift[0], TY=shift[1], TZ=shift[2])
    # mesh (y up, z near) <-> camera (y down, z far), mm
    flip = np.array([1, -1, -1.0])
    head = actor.head[actor.landmark_vertices, 0] > 0.99
    points = (actor.places[actor.landmark_vertices].astype(float) - actor.camera) * flip * 100
    origin = (actor.origin - actor.camera) * flip * 100
    turned = points - origin
    for axis, angle in zip(np.eye(3)[::-1], angles[::-1]):  # R = Rx Ry Rz: roll first
        turned = rodrigues(turned, axis, angle)
    turned += origin + shift
    focal = 512 / 2 * 9.0 / actor.half
    expected = turned[:, :2] / turned[:, 2:] * focal + 256
    assert head.all()
    assert np.abs(actor.landmarks(a, 512) - expected).max() < 0.01


def test_translation_moves_the_face_by_the_right_pixels(actor, neutral):
    depth = (actor.camera[2] - actor.origin[2]) * 100  # mm
    pixel = depth * 2 * actor.half / 9.0 / 512  # mm per pixel at the head's origin
    right = actor.landmarks(attributes(TX=20), 512) - neutral
    down = actor.landmarks(attributes(TY=20), 512) - neutral
    assert (
        abs(right[:, 0].mean() - 20 / pixel) < 0.02 * 20 / pixel
        and np.abs(right[:, 1]).max() < 0.01
    )
    assert (
        abs(down[:, 1].mean() - 20 / pixel) < 0.02 * 20 / pixel and np.abs(down[:, 0]).max() < 0.01
    )
    away = np.ptp(actor.landmarks(attributes(TZ=100), 512)[:, 1]) / np.ptp(neutral[:, 1])
    assert abs(away - depth / (depth + 100)) < 0.01  # further away is smaller


def test_pictures_follow_the_landmarks(actor):
    """The nose tip found by matching patches moves as its landmark does."""
    a, b = np.zeros(23), attributes(TX=15)
    first, second = (actor.render(x, 128).astype(float).mean(-1) for x in (a, b))
    x, y = np.round(actor.landmarks(a, 128)[30]).astype(int)
    moved = actor.landmarks(b, 128)[30, 0] - actor.landmarks(a, 128)[30, 0]
    patch = first[y - 10 : y + 10, x - 10 : x + 10]
    error = [
        np.abs(second[y - 10 : y + 10, x - 10 + s : x + 10 + s] - patch).mean()
        for s in range(-12, 13)
    ]
    assert abs(int(np.argmin(error)) - 12 - moved) < 1


def test_the_size_of_the_picture_only_scales_it(actor, neutral):
    assert np.allclose(actor.landmarks(np.zeros(23), 128) * 4, neutral, atol=1e-3)
    small, large = (
        actor.render(np.zeros(23), 64).astype(float),
        actor.render(np.zeros(23), 128).astype(float),
    )
    assert np.abs(large.reshape(64, 2, 64, 2, 3).mean((1, 3)) - small).mean() < 5


def test_the_face_fills_the_frame():
    for name in ("ben", "dayo", "keiko"):
        p = Actor(name).landmarks(np.zeros(23), 128)
        brow_to_chin = p[8, 1] - p[[19, 24], 1].mean()
        assert 42 < brow_to_chin < 62 and abs(p[:, 0].mean() - 64) < 3


def test_a_neck_turns_about_a_joint_that_stays():
    angles, arm = (0.2, -0.1, 0.05), np.array([0, 95.0, 60])
    # the joint, seen from the head's old origin
    joint = head_rotation(angles) @ arm + neck_translation(angles)
    assert np.allclose(joint, arm)
    assert np.allclose(neck_translation((0, 0, 0)), 0)


def covered(actor, size=128, material=None):
    """Share of each pixel of the last picture that shows the actor, or one material of hers (size,
    size)."""
    seen = actor.pictures[size][1]
    hit = (
        seen >= 0 if material is None else np.isin(seen, np.flatnonzero(actor.material == material))
    )
    sub = len(seen) // size
    return hit.reshape(size, sub, size, sub).mean((1, 3))


def test_skin_does_not_flicker_when_the_head_moves_a_hair(actor):
    """A tenth of a millimetre: grain and furrows move with the skin, no pixel inside it jumps."""
    still, moved = (
        actor.render(np.zeros(23)).astype(float),
        actor.render(attributes(TX=0.1)).astype(float),
    )
    skin = sliding_window_view(np.pad(covered(actor, material=mesh.SKIN) == 1, 2), (5, 5)).all(
        (2, 3)
    )
    change = np.abs(moved - still).max(-1)
    assert skin.sum() > 3000 and 0 < change.mean() < 1
    assert np.quantile(change[skin], 0.99) < 5 and change[skin].max() < 40


def test_the_outline_is_smooth(actor):
    """Pixels that the outline crosses lie between their neighbours inside and outside."""
    grey = actor.render(np.zeros(23)).astype(float).mean(-1)
    share = covered(actor)
    mixed = (share > 0.1) & (share < 0.9)
    around = sliding_window_view(np.pad(grey, 1, mode="edge"), (3, 3))
    between = (grey > around.min((2, 3))) & (grey < around.max((2, 3)))
    assert mixed.sum() > 150 and len(np.unique(share)) == 10 and between[mixed].mean() > 0.85


def test_darker_skin_is_darker_in_the_portraits():
    from matplotlib import image

    tone = np.array([draw_look(name).tone for name in ACTORS])
    grey = np.array(
        [image.imread(data_path("portraits", f"{n}.png"))[60:76, 50:78, :3].mean() for n in ACTORS]
    )
    ranks = [np.argsort(np.argsort(v)) for v in (tone, -grey)]
    assert np.corrcoef(*ranks)[0, 1] > 0.75
    assert grey[tone < 0.3].min() > grey[tone > 0.7].max()


def test_the_inside_of_an_open_mouth_is_dark(actor):
    a = attributes(AU26=5)
    picture, points = actor.render(a, 128).astype(float), actor.landmarks(a, 128)
    (x, y), (u, v) = np.round(points[60:].mean(0)).astype(int), np.round(points[8]).astype(int)
    assert (
        picture[y - 1 : y + 2, x - 1 : x + 2].mean()
        < 0.4 * picture[v - 7 : v - 4, u - 2 : u + 3].mean()
    )


def test_a_light_is_mirrored_in_both_eyes():
    for name in ("iris", "amara"):
        someone = Actor(name)
        picture, points = (
            someone.render(np.zeros(23), 128).astype(float).mean(-1),
            someone.landmarks(np.zeros(23)),
        )
        for eye in (slice(36, 42), slice(42, 48)):
            x, y = np.floor(points[eye].mean(0)).astype(int)
            iris = picture[y - 2 : y + 3, x - 2 : x + 4]
            assert iris.max() > 180 and iris.min() < 80, name  # a bright spot on a dark iris


def test_furrows_deepen_with_their_action_unit():
    """The forehead of a raised brow is darker between the lines than at rest; a young resting face
    has none."""
    look, rest = draw_look("hugo"), np.zeros(23)
    assert furrows(look, rest)[[0, 1, 2, 3, 6, 7, 8]].max() < 0.05
    for au, fold in ((0, 0), (2, 1), (4, 2), (6, 3), (8, 4), (4, 5), (10, 6), (9, 7), (11, 8)):
        depth = [furrows(look, v * np.eye(23)[au])[fold] for v in range(6)]
        assert np.all(np.diff(depth) >= 0) and depth[5] > depth[0] + 0.1
        assert np.all(furrows(draw_look("frank"), rest) >= furrows(look, rest))


def test_a_fresh_process_draws_the_same_bytes(actor):
    code = (
        "import zlib, numpy as np; from dirfa_edu.actors.actor import Actor; "
        "print(zlib.crc32(Actor('ben').render(.3 * np.arange(23) / 23).tobytes()))"
    )
    fresh = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert int(fresh) == zlib.crc32(actor.render(0.3 * np.arange(23) / 23).tobytes())


@pytest.mark.parametrize("bad", [np.zeros(22), np.zeros((1, 23)), np.full(23, np.nan)])
def test_wrong_attributes_are_refused_in_one_sentence(actor, bad):
    with pytest.raises(InputError, match="23 finite attributes"):
        actor.render(bad)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match="anna"):
        Actor("nobody")
