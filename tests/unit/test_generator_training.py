"""What the generator's training adds to the paper's losses, and what can be left out."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_training import CLIPS, ToyClip

from dirfa_edu import examples, losses, training
from dirfa_edu.animation import POSE
from dirfa_edu.data.corpus import Corpus
from dirfa_edu.data.pool import Pool
from dirfa_edu.faces.geometry import pose_from_landmarks
from dirfa_edu.faces.identity import Vgg19, load_face_resnet, load_vgg19
from dirfa_edu.faces.vision import landmarks
from dirfa_edu.files import InputError
from dirfa_edu.generator import GenerationNetwork, GeneratorConfig, attribute_windows
from dirfa_edu.training import GeneratorRecipe

TINY = GeneratorConfig(size=64, width=8, keypoints=3)
QUICK = GeneratorRecipe(TINY, steps=1, batch=2)


def test_keypoints_that_huddle_cost_and_those_apart_do_not():
    assert losses.keypoint_spread(torch.zeros(2, 5, 3)) == pytest.approx(0.1)
    # one pair of three is nearer than sqrt(0.1)
    line = torch.tensor([[[0.0, 0, 0], [0.1, 0, 0], [1, 0, 0]]])
    assert losses.keypoint_spread(line).item() == pytest.approx((0.1 - 0.01) / 3)
    points = (
        0.01 * torch.randn(1, 6, 3, generator=torch.Generator().manual_seed(0))
    ).requires_grad_()
    for _ in range(200):
        points.grad = None
        losses.keypoint_spread(points).backward()
        points.data -= 0.5 * points.grad
    assert losses.keypoint_spread(points) < 0.02  # minimising it drives them apart


def test_keypoints_that_move_with_the_picture_cost_nothing():
    turn = examples.random_turns(4, torch.Generator().manual_seed(0))
    seen = torch.rand(4, 7, 3, generator=torch.Generator().manual_seed(1)) - 0.5
    there = (seen[..., :2] - turn[:, None, :, 2]) @ torch.linalg.inv(turn[:, :, :2]).transpose(1, 2)
    assert (
        losses.equivariance(seen, there, turn)
        < 1e-6
        < 0.01
        < losses.equivariance(seen, seen[..., :2], turn)
    )
    # the same convention as the picture's own turning: a bright spot at `seen` is found at `there`
    picture = torch.zeros(4, 1, 129, 129)
    x, y = ((seen[:, 0, :2] + 1) * 64).round().long().unbind(-1)
    picture[torch.arange(4), 0, y, x] = 1.0
    picture = torch.nn.functional.max_pool2d(picture, 5, 1, 2)
    grid = torch.nn.functional.affine_grid(turn, [4, 1, 129, 129], align_corners=True)
    spot = torch.nn.functional.grid_sample(picture, grid, align_corners=True)[:, 0]
    place = torch.stack([spot.sum(1) @ torch.arange(129.0), spot.sum(2) @ torch.arange(129.0)], -1)
    place = place / spot.sum((1, 2))[:, None] / 64 - 1  # x, y in -1..1
    assert (place - there[:, 0]).abs().max() < 0.03


def test_turns_are_small_and_about_the_middle():
    turn = examples.random_turns(2000, torch.Generator().manual_seed(0))
    size = torch.linalg.det(turn[:, :, :2]).sqrt()
    assert (
        0.83 < size.min() < 0.9
        and 1.1 < size.max() < 1.17
        and turn[..., 2].std() == pytest.approx(0.06, rel=0.1)
    )
    assert torch.atan2(turn[:, 1, 0], turn[:, 0, 0]).std() == pytest.approx(0.2, rel=0.1)


def test_in_the_mirror_the_head_turns_to_the_other_side():
    frames = Corpus("samples").select(split="test", kind="probe")[0].frames()[:12]
    pose, mirrored = (
        pose_from_landmarks(landmarks(np.ascontiguousarray(some)), (128, 128))
        for some in (frames, frames[:, :, ::-1])
    )
    difference = np.abs(mirrored - pose * examples.MIRRORED[POSE].numpy())
    assert np.median(difference[:, :3]) < 0.03 < np.abs(pose[:, 1:3]).max() / 3
    wrong = np.abs(mirrored - pose)
    assert wrong[:, 1:4].mean() > 4 * difference[:, 1:4].mean()


def test_half_of_the_pairs_are_mirrored_pictures_and_attributes_alike():
    ramp = torch.arange(64, dtype=torch.uint8).expand(2, 3, 64, 64)  # brighter to the right
    footage = examples.Footage(ramp, torch.ones(2, 23), torch.arange(2))
    pool = Pool([footage], lambda clip: clip, torch.Generator().manual_seed(0))
    I_src, Z_src, I_tgt, Z_tgt = examples.pair_batch(pool, 200, pool.noise)
    flipped = I_src[:, 0, 0, 0] > I_src[:, 0, 0, -1]
    assert 0.4 < flipped.float().mean() < 0.6 and torch.equal(
        flipped, I_tgt[:, 0, 0, 0] > I_tgt[:, 0, 0, -1]
    )
    assert torch.equal(Z_src[:, POSE[1]] < 0, flipped) and torch.equal(
        Z_tgt[:, 0, POSE[3]] < 0, flipped
    )
    assert (Z_src[:, :18] == 1).all()


def test_a_window_of_attributes_is_centred_and_the_pose_is_the_middles():
    Z = torch.arange(5.0)[:, None].expand(-1, 23)
    windows = attribute_windows(Z, 3)
    assert windows[:, :, 0].tolist() == [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 4]]
    torch.manual_seed(0)
    G = GenerationNetwork(GeneratorConfig(size=64, width=8, keypoints=3, window=3)).eval()
    source = G.encode(torch.rand(1, 3, 64, 64))
    with torch.no_grad():
        still, moved, edge = torch.zeros(1, 3, 23), torch.zeros(1, 3, 23), torch.zeros(1, 3, 23)
        moved[0, 1, 18] = edge[0, 0, 18] = 0.4
        code = (
            G.motion(source, still)["target"],
            G.motion(source, moved)["target"],
            G.motion(source, edge)["target"],
        )
        assert (code[1] - code[0]).abs().max() > 0.05 > (code[2] - code[0]).abs().max() > 0
        assert torch.equal(G.render(source, torch.zeros(1, 23)), G.render(source, still))
    with pytest.raises(InputError, match="3, 23"):
        G.render(source, torch.zeros(1, 5, 23))
    with pytest.raises(InputError, match="odd"):
        GenerationNetwork(GeneratorConfig(window=2))


def test_training_leaves_the_face_network_of_all_others_as_it_was():
    phi = load_face_resnet()
    before = [weight.stride() for weight in phi.parameters()]
    training.train_generator(CLIPS[:2], QUICK, progress=False)
    assert load_face_resnet() is phi and [weight.stride() for weight in phi.parameters()] == before


def test_training_with_a_window_leaves_out_the_probes():
    recipe = replace(QUICK, steps=2, config=replace(TINY, window=3))
    trained, log = training.train_generator(CLIPS[:3], recipe, progress=False)
    assert np.isfinite(log[-1]["loss"]) and trained.config.window == 3
    probe = ToyClip(50)
    probe.kind = "probe"
    noise = torch.Generator()
    for window, expected in ((1, [CLIPS[0], probe, probe]), (3, [CLIPS[0]])):
        recipe = replace(QUICK, config=replace(TINY, window=window))
        assert training.film_pool([CLIPS[0], probe], recipe, noise).clips == expected


@pytest.mark.parametrize("term", asdict(losses.Lambdas()))
def test_each_term_can_be_switched_off_and_changes_the_network(term):
    def train(**lambdas):
        recipe = replace(QUICK, steps=3, adversarial_from=0.0, lambdas=losses.Lambdas(**lambdas))
        return training.train_generator(CLIPS[:2], recipe, progress=False)[0].state_dict()

    whole, without = train(), train(**{term: 0.0})
    assert any(not torch.equal(a, b) for a, b in zip(whole.values(), without.values()))


def test_a_command_line_is_one_recipe():
    from dirfa_edu.cli import chosen_recipe

    recipe = chosen_recipe("generator", "notebook", 7, None, 3, ["adv=0", "rec=0.5"])
    expected = training.GENERATOR_RECIPES["notebook"]
    assert recipe == replace(
        expected, steps=7, minutes=None, seed=3, lambdas=losses.Lambdas(adv=0, rec=0.5)
    )
    assert chosen_recipe("mapper", "shipped", None, 2.0, 0, None).steps is None
    assert chosen_recipe("mapper", "audio", None, None, 0, None) == training.MAPPER_RECIPES["audio"]
    with pytest.raises(InputError, match="--weight is for the generator"):
        chosen_recipe("mapper", "shipped", None, None, 0, ["adv=0"])


@pytest.mark.parametrize(
    "words, said",
    [
        (["nose=1"], "no weight nose: terms are adv, rec, attr, pixel, spread, equivariance"),
        (["adv=-1"], "no weight adv = -1"),
        (["rec=nan"], "no weight rec = nan"),
        (["rec"], "give --weight TERM=NUMBER"),
        (["rec=much"], "give --weight TERM=NUMBER"),
        (["rec=1=2"], "give --weight TERM=NUMBER"),
    ],
)
def test_a_weight_that_makes_no_sense_is_one_sentence(tmp_path, words, said):
    from dirfa_edu import cli

    with pytest.raises(InputError, match=said):
        cli.train("generator", weight=words, steps=1, out=tmp_path)


def test_vgg19_is_read_as_torchvision_writes_it(tmp_path):
    torch.manual_seed(0)
    network = Vgg19()
    stored = {f"features.{name}": value for name, value in network.layers.state_dict().items()}
    # what is not wanted
    stored |= {"features.34.weight": torch.zeros(3), "classifier.0.weight": torch.zeros(2, 2)}
    torch.save(stored, tmp_path / "vgg19.pth")
    phi = load_vgg19(tmp_path / "vgg19.pth")
    image = torch.rand(2, 3, 64, 64, requires_grad=True)
    found = phi.features(image)
    assert [tuple(level.shape[1:]) for level in found] == [
        (64, 64, 64),
        (128, 32, 32),
        (256, 16, 16),
        (512, 8, 8),
        (512, 4, 4),
    ]
    losses.perceptual([level.detach() * 2 for level in found], found).backward()
    assert image.grad.abs().sum() > 0 and not any(p.requires_grad for p in phi.parameters())
    (tmp_path / "cut.pth").write_bytes((tmp_path / "vgg19.pth").read_bytes()[:1000])
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    for name in ("cut.pth", "other.pth", "missing.pth"):
        with pytest.raises(InputError, match="VGG-19"):
            load_vgg19(tmp_path / name)
    _, log = training.train_generator(CLIPS[:2], QUICK, vgg=tmp_path / "vgg19.pth", progress=False)
    assert np.isfinite(log[0]["loss"])


def test_a_picture_of_samples_lies_beside_the_checkpoint(tmp_path):
    from PIL import Image

    training.train_generator(
        CLIPS[:2], QUICK, checkpoint=tmp_path / "run.checkpoint", progress=False
    )
    grid = np.asarray(Image.open(tmp_path / "run.png"))
    assert grid.shape == (3 * 64, 2 * 64, 3)  # source, truth and ours; two clips
    frames = CLIPS[0].frames()
    assert np.array_equal(grid[:64, :64], frames[0])
    assert np.array_equal(grid[64:128, :64], frames[24])  # the third of six others


def test_what_is_watched_is_a_few_frames_of_each_clip_and_no_failed_ones():
    failed = ToyClip(3)
    failed.valid = lambda: np.arange(60) % 2 == 1
    watched = training.watched_footage([], [CLIPS[0], failed], 64)
    assert [len(footage.frames) for footage in watched] == [7, 7]  # a source and six others
    assert torch.equal(watched[0].Z, torch.from_numpy(CLIPS[0].Y[[0, 1, 12, 24, 35, 47, 59]]))
    odd = torch.from_numpy(failed.Y[1::2])
    assert all((row == odd).all(1).any() for row in watched[1].Z)
    # figures of the whole clip are those of these few
    network = GenerationNetwork(TINY).eval()
    whole = [examples.read_footage(clip, 64) for clip in (CLIPS[0], failed)]
    assert training.generator_gain(network, whole) == training.generator_gain(network, watched)
    # without clips for validation: some of those trained on, but for those that cannot be used
    failed.valid = lambda: np.zeros(60, bool)
    some = training.watched_footage([failed, *CLIPS], None, 64)
    assert len(some) == training.WATCHED
    assert torch.equal(some[0].Z[0], torch.from_numpy(CLIPS[0].Y[0]))


RUN = """
import json, sys
sys.path.insert(0, sys.argv[1])
from test_training import CLIPS, TINY_G
from dirfa_edu.runs import first_process
from dirfa_edu.training import GeneratorRecipe, train_generator
recipe = GeneratorRecipe(
    TINY_G, steps=8, batch=4, every=2, adversarial_from=0.4, keep=2, uses=5
)
devices = int(sys.argv[2])
network, log = train_generator(CLIPS[:4], recipe, device="cpu", devices=devices, progress=False)
if first_process():
    print(json.dumps([row["loss"] for row in log]))
"""


@pytest.mark.long
def test_two_processes_train_as_one(tmp_path):
    (tmp_path / "run.py").write_text(RUN)
    curves = []
    for devices in ("1", "2"):
        command = [sys.executable, str(tmp_path / "run.py"), str(Path(__file__).parent), devices]
        out = subprocess.run(
            command,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert out.returncode == 0, out.stderr[-2000:]
        curves.append(json.loads(out.stdout.strip().splitlines()[-1]))
    assert (
        len(curves[0]) == 4 and np.abs(np.subtract(*curves)).max() < 0.01 * np.abs(curves[0]).max()
    )


@pytest.fixture(scope="module")
def stranger():
    """A film of an actor nobody was trained on, as a user's own film would come: mp4, no truth."""
    return Corpus("samples").select(split="test", kind="speech", rendered=True)[0].video


def test_a_film_of_one_person_is_cut_into_what_is_learned_and_what_is_held_back(stranger, tmp_path):
    learned, held = examples.one_person(stranger, 64)
    whole = len(learned.frames()) + len(held.frames())
    assert (
        len(learned.frames()) == len(learned.animation()) == whole * 4 // 5
        and len(held.animation()) >= whole / 5
    )
    assert examples.known_truth(learned) == {} and learned.frames().shape[1:] == (64, 64, 3)
    assert len(learned.valid()) == len(learned.frames()) and learned.valid().dtype == bool
    from dirfa_edu.video import read_mp4, write_mp4

    write_mp4(tmp_path / "short.mp4", read_mp4(stranger)[0][:60])
    with pytest.raises(InputError, match="4 s or more"):
        examples.one_person(tmp_path / "short.mp4", 64)


def test_finetuning_goes_on_from_the_network_given_and_leaves_it_alone(stranger):
    learned, held = examples.one_person(stranger, 64)
    torch.manual_seed(0)
    start = GenerationNetwork(TINY).eval()
    before = {name: x.clone() for name, x in start.state_dict().items()}
    options = {"validation": [held], "start": start, "progress": False, "device": "cpu"}
    recipe = GeneratorRecipe(steps=60, lr=1e-3, lambdas=losses.Lambdas(adv=0, attr=0))
    tuned, log = training.train_generator([learned], replace(recipe, steps=1, lr=0.0), **options)
    # lr 0: nothing but `start`
    assert all(torch.equal(x, tuned.state_dict()[name]) for name, x in before.items())
    tuned, log = training.train_generator([learned], recipe, **options)
    assert tuned.config == TINY and all(
        torch.equal(x, start.state_dict()[name]) for name, x in before.items()
    )
    untuned = training.generator_gain(start, [examples.read_footage(held, 64)])
    assert log[-1]["psnr"] > untuned["psnr"] + 0.5


def test_the_command_tunes_the_shipped_generator_and_talks_with_it(stranger, tmp_path, capsys):
    from dirfa_edu import cli

    cli.train("generator", finetune=stranger, steps=2, out=tmp_path, device="cpu")
    said = capsys.readouterr().out
    assert "dB before" in said and (tmp_path / "generator.safetensors").is_file()
    for wrong in (
        {"network": "mapper"},
        {"finetune": tmp_path / "nobody.mp4"},
        {"finetune": None, "preset": "finetune"},
    ):
        with pytest.raises(InputError):
            cli.train(
                **{
                    "network": "generator",
                    "finetune": stranger,
                    "steps": 2,
                    "out": tmp_path,
                    **wrong,
                }
            )
