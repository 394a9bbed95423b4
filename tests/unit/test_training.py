"""The training loops learn, keep books, and go on after an interruption as if none had been."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dirfa_edu import examples, losses, training
from dirfa_edu.discretize import Discretizer
from dirfa_edu.files import InputError
from dirfa_edu.generator import GeneratorConfig
from dirfa_edu.mapper import MapperConfig
from dirfa_edu.results.mapper_card import repeat_bits
from dirfa_edu.training import GeneratorRecipe, MapperRecipe

TINY = MapperConfig(bins=20, tau=8, d_model=32, layers=1, heads=2)
QUICK = MapperRecipe(TINY, batch=2, window=10)
TINY_G = GeneratorConfig(size=64, width=8, keypoints=3)


class ToyClip:
    """A clip whose AU25 is how the loudness falls within its audio window, its AU12 noise."""

    kind = "speech"

    def __init__(self, seed: int, T: int = 60) -> None:
        self.name = self.text = f"sentence {seed}"
        rng = np.random.default_rng(seed)
        loud = rng.random(T).astype(np.float32)
        self.A = np.repeat(np.stack([loud, 1 - loud], axis=1), 200, axis=1)
        self.Y = np.zeros((T, 23), np.float32)
        self.Y[:, 14] = 5 * loud
        self.Y[:, 8] = rng.uniform(0, 5, T)
        self.Y[:, 17:] = rng.normal(0, 0.1, (T, 6))
        self.pictures = rng.integers(0, 255, (T, 64, 64, 3), np.uint8)

    def features(self):
        return self.A

    def animation(self):
        return self.Y

    def valid(self):
        return np.ones(len(self.Y), bool)

    def truth(self):
        return {}

    def frames(self):
        return self.pictures


CLIPS = [ToyClip(seed) for seed in range(24)]


def test_the_mapper_learns_what_the_audio_says_and_no_more():
    recipe = MapperRecipe(TINY, steps=250, batch=16, window=40, lr=3e-3)
    network, log = training.train_mapper(CLIPS, recipe, progress=False)
    with torch.no_grad():
        y = torch.from_numpy(network.discretizer.encode(CLIPS[0].Y))
        previous = torch.cat([network.start(1)[0], y[:-1]])[None]
        bits = torch.nn.functional.cross_entropy(
            network(torch.from_numpy(CLIPS[0].A)[None], previous)[0].transpose(1, 2),
            y,
            reduction="none",
        ).mean(0)
    heard, unheard = bits[14] / np.log(2), bits[8] / np.log(2)
    assert heard < 3.0  # of log2(20) = 4.3 bits
    assert unheard > 4.0
    assert log[-1]["lips"] < log[-1]["pose"]


# ten steps of each; the generator keeps fewer clips in memory than there are
RUNS = {
    "mapper": MapperRecipe(TINY, steps=10, batch=4, window=20, every=5),
    "generator": GeneratorRecipe(
        TINY_G, steps=10, batch=2, every=5, adversarial_from=0.3, keep=2, uses=3
    ),
}


def train_some(recipe, clips=CLIPS[:5], **options):
    mapper = isinstance(recipe, MapperRecipe)
    train = training.train_mapper if mapper else training.train_generator
    return train(clips, recipe, progress=False, **options)


def interrupt(recipe, checkpoint, monkeypatch):
    """Stop right after the first checkpoint, the way Ctrl-C would."""
    saved = training.save_checkpoint

    def stop_after_saving(*args):
        saved(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "save_checkpoint", stop_after_saving)
    with pytest.raises(KeyboardInterrupt):
        train_some(recipe, checkpoint=checkpoint)
    monkeypatch.setattr(training, "save_checkpoint", saved)


@pytest.mark.parametrize("kind", RUNS)
def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path, kind, monkeypatch):
    whole, log = train_some(RUNS[kind])
    interrupt(RUNS[kind], tmp_path / "c.pt", monkeypatch)
    resumed, again = train_some(RUNS[kind], checkpoint=tmp_path / "c.pt")
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values()):
        assert torch.equal(a, b)
    assert [row["loss"] for row in log] == [row["loss"] for row in again]


@pytest.mark.parametrize(
    "kind, changes, said",
    [
        ("mapper", {"lr": 1.0, "seed": 5}, "lr = 0.0006, not 1.0;"),  # the first of them
        ("mapper", {"steps": 20, "every": 3, "seed": 5}, "seed = 0, not 5;"),  # steps may change
        ("mapper", {"config": replace(TINY, layers=2)}, "config.layers = 1, not 2;"),
        ("generator", {"keep": 3}, "keep = 2, not 3;"),
        ("generator", {"lambdas": losses.Lambdas(adv=0.5)}, "lambdas.adv = 0.15, not 0.5;"),
    ],
)
def test_a_checkpoint_of_another_recipe_is_one_sentence_that_names_what_differs(
    tmp_path, kind, changes, said, monkeypatch
):
    checkpoint = tmp_path / "c.pt"
    interrupt(RUNS[kind], checkpoint, monkeypatch)
    before = checkpoint.read_bytes()
    with pytest.raises(InputError) as refused:
        train_some(replace(RUNS[kind], **changes), checkpoint=checkpoint)
    sentence = str(refused.value)
    assert f"{checkpoint}: it was made with {said}" in sentence and "\n" not in sentence
    assert checkpoint.read_bytes() == before


def test_a_run_may_get_a_larger_budget_and_follows_its_cosine(tmp_path, monkeypatch):
    """What a user wants who gives more steps: to go on from what is there, at a learning rate that
    still moves something."""
    recipe = MapperRecipe(TINY, steps=6, batch=2, window=10, every=2)
    short, log = train_some(recipe, checkpoint=tmp_path / "c.pt")
    same, again = train_some(recipe, checkpoint=tmp_path / "c.pt")
    assert log == again  # the run is over: it is only read
    assert all(torch.equal(a, b) for a, b in zip(short.parameters(), same.parameters()))

    rates = []
    set_rate = training.set_rate
    monkeypatch.setattr(training, "set_rate", lambda who, lr: (rates.append(lr), set_rate(who, lr)))
    longer = replace(recipe, steps=12, every=3)
    _, log = train_some(longer, checkpoint=tmp_path / "c.pt")
    assert [row["step"] for row in log] == [2, 4, 6, 9, 12]
    warm_up = np.arange(7, 13) / 100
    cosine = 0.5 * (1 + np.cos(np.pi * np.arange(6, 12) / 12))
    assert rates == pytest.approx(recipe.lr * warm_up * cosine)


@pytest.mark.parametrize("kind", RUNS)
def test_minutes_are_minutes_of_training_whatever_reading_the_clips_took(kind):
    class Slow(ToyClip):
        def features(self):
            time.sleep(0.5)
            return super().features()

        def frames(self):
            time.sleep(0.5)
            return super().frames()

    recipe = replace(RUNS[kind], steps=None, minutes=0.01)  # 0.6 s
    _, log = train_some(recipe, [Slow(seed) for seed in range(2)])
    assert log[-1]["step"] >= 1


RUN = """
import json, sys
sys.path.insert(0, sys.argv[1])
from test_training import CLIPS, TINY
from dirfa_edu.training import MapperRecipe, train_mapper
from dirfa_edu.runs import first_process
from dataclasses import replace
settings = json.loads(sys.argv[2])
config = replace(TINY, dropout=settings.pop("dropout"))
steps, every = settings.pop("steps"), settings.pop("every")
recipe = MapperRecipe(config, steps, batch=4, window=20, lr=3e-3, every=every)
network, log = train_mapper(CLIPS[:6], recipe, device="cpu", progress=False, **settings)
if first_process():
    print(json.dumps({"log": log, "sum": [float(p.double().sum()) for p in network.parameters()]}))
"""


def start_run(folder, **settings):
    (folder / "run.py").write_text(RUN)
    command = [
        sys.executable,
        str(folder / "run.py"),
        str(Path(__file__).parent),
        json.dumps(settings),
    ]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"}, text=True
    )


def result_of(process):
    out, _ = process.communicate(timeout=200)
    assert process.returncode == 0
    return json.loads(out.strip().splitlines()[-1])


def test_a_run_killed_with_kill_9_goes_on_bit_for_bit(tmp_path):
    settings = {"steps": 60, "every": 10, "dropout": 0.1}
    whole = start_run(tmp_path, **settings)
    checkpoint = tmp_path / "run.checkpoint"
    killed = start_run(tmp_path, **settings | {"steps": 60, "checkpoint": str(checkpoint)})
    while not checkpoint.is_file():
        assert killed.poll() is None
        time.sleep(0.01)
    killed.kill()  # SIGKILL: nothing is tidied up
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    step = torch.load(checkpoint, weights_only=True)["step"]
    assert 10 <= step < 60
    resumed = result_of(start_run(tmp_path, **settings | {"checkpoint": str(checkpoint)}))
    whole = result_of(whole)
    assert resumed["sum"] == whole["sum"]
    assert [row["loss"] for row in resumed["log"]] == [row["loss"] for row in whole["log"]]


@pytest.mark.long
def test_two_processes_give_the_loss_curve_of_one(tmp_path):
    settings = {"steps": 30, "every": 3, "dropout": 0.0}
    one, two = (result_of(start_run(tmp_path, **settings, devices=n)) for n in (1, 2))
    curves = [np.array([row["loss"] for row in run["log"]]) for run in (one, two)]
    assert len(curves[0]) == 10 and curves[0][0] - curves[0][-1] > 0.05  # it learns
    assert np.abs(curves[0] - curves[1]).max() <= 1.01e-4
    assert np.allclose(one["sum"], two["sum"], atol=0.05)


def test_devices_that_cannot_share_a_batch_are_refused_before_anything_starts():
    with pytest.raises(InputError, match="devices"):
        training.pick_device("cpu", 0)
    for settings in ({"minutes": 1}, {"steps": 2, "batch": 3}):
        recipe = replace(QUICK, **settings)
        with pytest.raises(InputError, match="2 devices need"):
            training.train_mapper(CLIPS, recipe, devices=2, progress=False)


def test_tensorboard_gets_what_the_log_gets(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    recipe = replace(QUICK, steps=20, every=10)
    _, log = training.train_mapper(
        CLIPS[:4], recipe, progress=False, tensorboard=tmp_path / "board"
    )
    events = EventAccumulator(str(tmp_path / "board")).Reload()
    assert set(events.Tags()["scalars"]) == {"loss", "lips", "upper", "blink", "pose"}
    for name in ("lips", "pose"):
        assert [e.value for e in events.Scalars(name)] == pytest.approx([row[name] for row in log])
    assert [e.step for e in events.Scalars(name)] == [10, 20]


def test_without_tensorboard_asking_for_it_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match="pip install tensorboard"):
        recipe = replace(QUICK, steps=1)
        training.train_mapper(CLIPS[:2], recipe, progress=False, tensorboard=tmp_path)


@pytest.mark.parametrize("preset", ["notebook", "shipped", "paper", "audio"])
def test_every_preset_of_the_mapper_makes_a_step(preset):
    recipe = training.MAPPER_RECIPES[preset]
    assert recipe.steps or recipe.minutes
    recipe = replace(recipe, steps=1, batch=1)
    network, log = training.train_mapper(CLIPS[:3], recipe, progress=False)
    assert np.isfinite(log[0]["loss"]) and network.config.steepness == recipe.config.steepness
    assert recipe.config.steepness == (2 if preset == "shipped" else 1)


def test_a_damaged_checkpoint_is_one_sentence(tmp_path):
    (tmp_path / "c.pt").write_bytes(b"PK\x03\x04 cut off")
    recipe = replace(QUICK, steps=1)
    with pytest.raises(InputError, match="cannot resume"):
        training.train_mapper(CLIPS[:2], recipe, checkpoint=tmp_path / "c.pt", progress=False)
    with pytest.raises(InputError, match="budget"):
        training.train_mapper(CLIPS[:2], MapperRecipe(TINY), progress=False)


def test_a_generator_that_drew_from_other_clips_is_not_resumed(tmp_path, monkeypatch):
    interrupt(RUNS["generator"], tmp_path / "c.pt", monkeypatch)
    with pytest.raises(InputError, match="drew from 5 clips, not 4"):
        train_some(RUNS["generator"], CLIPS[:4], checkpoint=tmp_path / "c.pt")


def test_training_keeps_few_films_in_memory_and_comes_to_all(monkeypatch):
    """A corpus of many clips: counted are the pictures of whole films that are alive."""
    alive, most, seen = [], [], set()
    read = training.training_footage

    def counted(clip, size):
        footage = read(clip, size)
        alive.append(weakref.ref(footage.frames))
        most.append(sum(there() is not None for there in alive))
        seen.add(clip.name)
        return footage

    monkeypatch.setattr(training, "training_footage", counted)
    recipe = GeneratorRecipe(TINY_G, steps=30, batch=2, keep=3, uses=3)
    options = {"validation": CLIPS[:2], "progress": False}
    training.train_generator(CLIPS, recipe, **options)
    assert max(most) <= 3 and len(most) >= 20 and len(seen) >= 18


def test_the_same_seed_gives_the_same_batch_as_it_always_did():
    """Bins by their digest, audio by its sums: of the code as it was before it was taken apart."""
    bins = Discretizer.fit([clip.Y for clip in CLIPS], 500)
    data = []
    for clip in CLIPS:
        tracks = [bins.encode(clip.Y), bins.encode(clip.Y[::-1].copy())]
        data.append((torch.from_numpy(clip.A), [torch.from_numpy(track) for track in tracks]))
    noise = torch.Generator().manual_seed(7)
    expected = {  # clips have 60 frames
        40: ("6a82906e79612d51", "7569f103e6553412", "2904aa3ef59bc2f1", 124407.4424, 81215.0953),
        70: ("2d649478b3c11753", "aad30e3335979586", "140680ccc6867f1e", 33665.4233, 209353.2223),
    }
    for window, (*digests, total, squared) in expected.items():
        A, *whole_numbers = examples.mapper_batch(data, bins, 16, window, noise)
        assert [digest(x) for x in whole_numbers] == digests
        assert A.double().sum().item() == pytest.approx(total, rel=1e-6)
        assert A.double().square().sum().item() == pytest.approx(squared, rel=1e-6)


def digest(x: torch.Tensor) -> str:
    array = x.contiguous().numpy()
    kind = str(array.dtype).encode() + str(array.shape).encode()
    return hashlib.sha256(kind + array.tobytes()).hexdigest()[:16]


def test_batches_are_shifted_by_one_frame_and_padded(monkeypatch):
    bins = Discretizer.fit([clip.Y for clip in CLIPS], 20)
    data = [(torch.from_numpy(c.A), [torch.from_numpy(bins.encode(c.Y))]) for c in CLIPS]
    noise = torch.Generator().manual_seed(0)
    for name in ("HISTORY_NOISE", "HISTORY_NOISE_LIPS", "HISTORY_DRIFT_LIPS", "PINNED_WINDOWS"):
        monkeypatch.setattr(examples, name, 0.0)
    A, previous, y, _ = examples.mapper_batch(data, bins, 8, 70, noise)
    assert (y[:, 60:] == -100).all() and (y[:, :60] >= 0).all()  # clips have 60 frames, windows 70
    assert torch.equal(previous[:, 1:60], y[:, :59])
    assert (previous[:, 0] == 20).all()


def test_corruption_hits_lips_harder_than_expression_and_lasts_for_many_frames(monkeypatch):
    monkeypatch.setattr(examples, "PINNED_WINDOWS", 0.0)
    bins = Discretizer.fit([clip.Y for clip in CLIPS], 500)
    data = [(torch.from_numpy(c.A), [torch.full((60, 23), 250)]) for c in CLIPS]
    _, previous, *_ = examples.mapper_batch(data, bins, 64, 50, torch.Generator().manual_seed(0))
    moved = (previous[:, 1:] - 250).float()  # (B, T, 23)
    lips, upper = moved[..., examples.LIPS], moved[..., training.GROUPS["upper"]]
    assert 50 < lips.std() / upper.std() < 200
    assert (upper == 0).float().mean() > 0.5
    later = [float((x[:, 5:] * x[:, :-5]).mean() / x.square().mean()) for x in (lips, upper)]
    assert later[0] > 0.12 > 0.06 > abs(later[1])


def test_where_something_is_pinned_the_other_expressions_come_from_elsewhere_at_a_natural_speed(
    monkeypatch,
):
    monkeypatch.setattr(examples, "HISTORY_NOISE", 0.0)
    bins = Discretizer.fit([clip.Y for clip in CLIPS], 500)
    speed = torch.from_numpy(
        np.ceil(bins.speed / bins.width / 3)[examples.UPPER].clip(1, 500)
    ).long()
    data = [
        (torch.from_numpy(CLIPS[0].A), [torch.full((60, 23), level)])
        for level in range(100, 500, 40)
    ]
    _, previous, y, pinned = examples.mapper_batch(
        data, bins, 800, 40, torch.Generator().manual_seed(0)
    )
    truth = y[..., -1:]  # pose is never touched
    assert not pinned[..., examples.LIPS].any() and not pinned[..., 16:].any()
    assert (
        pinned.sum(-1).max() == 1
        and 0.8 < pinned.any(-1).any(1).float().mean() / examples.PINNED_WINDOWS < 1.2
    )
    assert (pinned[:, 1:].int() >= pinned[:, :-1].int()).all()  # from some frame on, to the end
    mark, past, y = (
        pinned[..., examples.UPPER],
        previous[..., examples.UPPER],
        y[..., examples.UPPER],
    )
    foreign = (past != truth)[:, 1:]
    # only where something is marked
    assert not foreign[mark.any(-1, keepdim=True).expand_as(mark)[:, 1:] == 0].any()
    assert not foreign[mark[:, 1:]].any()  # and never what is marked itself
    share = foreign.sum() / (7 * mark[:, 1:].sum())
    # of the foreign ones one clip in ten is its like
    assert 0.8 < share / (0.95 * examples.FOLLOWERS) < 1.2
    level = (past - past[:, :1]).abs()[:, 1:].amax(1)[foreign.any(1)]
    # some come from another clip, some have drifted
    assert 0.2 < (level % 40 == 0).float().mean() < 0.8
    wanted = past + torch.minimum((truth - past).abs(), speed) * (truth - past).sign()
    assert torch.equal(y[:, 1:][foreign], wanted[:, 1:][foreign])
    assert torch.equal(y[:, 1:][~foreign], truth.expand_as(y)[:, 1:][~foreign])


def test_audio_is_dropped_in_whole_windows():
    data = [(torch.from_numpy(CLIPS[0].A), [torch.zeros(60, 23, dtype=torch.long)])]
    A, *_ = examples.mapper_batch(
        data, Discretizer.fit([CLIPS[0].Y]), 300, 20, torch.Generator().manual_seed(0)
    )
    deaf = (A == -1).all(-1)  # (B, T)
    assert torch.equal(deaf.any(1), deaf.all(1)) and 0.05 < deaf.any(1).float().mean() < 0.16


def test_augmentation_moves_bands_together_and_keeps_what_is_flat(monkeypatch):
    flat = torch.full((4, 3, 400), 0.5)
    noise = torch.Generator().manual_seed(0)
    mel = examples.augment(flat, noise).view(4, 3, 20, 20)
    # (4, 19): a flat spectrum gets a level and a tilt, nothing else
    step = mel.diff(dim=-1).mean(dim=(1, 2))
    assert (step - step.mean(1, keepdim=True)).abs().max() < 0.01
    assert not torch.allclose(mel[0].mean(), mel[1].mean(), atol=1e-3)
    peaks = torch.zeros(64, 1, 20, 20)
    peaks[..., 10] = 0.8
    moved = examples.augment(peaks.flatten(2), noise).view(64, 20, 20).mean(1).argmax(-1)
    # the resonance is elsewhere, in all frames of a window alike
    assert 8 <= moved.min() < 10 < moved.max() <= 12
    randn = torch.randn
    monkeypatch.setattr(torch, "randn", lambda *size, **options: 0 * randn(*size, **options))
    A = torch.rand(2, 5, 400)
    torch.testing.assert_close(examples.augment(A, noise), A)


def test_repeating_the_last_bin_costs_nothing_on_a_still_face_and_much_on_noise():
    still = [(CLIPS[0].A, [np.zeros((60, 23))])]
    noise = [(CLIPS[0].A, [CLIPS[0].Y])]
    bins = Discretizer.fit([c.Y for c in CLIPS], 20)
    assert repeat_bits(still, still, bins)["lips"] < 0.8
    assert repeat_bits(noise, noise, bins)["pose"] > 2


def test_a_sentence_held_out_is_held_out_in_every_voice():
    clips = [ToyClip(seed) for seed in range(24)]
    clips[17].text = clips[12].text  # a second reading of a sentence that is held out
    train, validation = examples.held_out(clips)
    assert {clip.name for clip in validation} == {"sentence 0", "sentence 12", "sentence 17"}
    assert (
        not {clip.text for clip in train} & {clip.text for clip in validation} and len(train) == 21
    )


def test_copying_the_source_is_the_generators_zero():
    network = training.GenerationNetwork(TINY_G).eval()
    data = [examples.read_footage(clip, 64) for clip in CLIPS[:2]]
    figures = training.generator_gain(network, data)
    # noise pictures: two unrelated uniform pictures have MSE 1/6
    assert figures["psnr"] - figures["gain"] == pytest.approx(10 * np.log10(6), abs=0.1)


def test_presets_name_every_kind_of_run():
    assert set(training.GENERATOR_RECIPES) == {"notebook", "shipped", "paper", "finetune"}
    assert set(training.MAPPER_RECIPES) == {"notebook", "shipped", "paper", "audio"}
