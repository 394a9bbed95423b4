"""The training loops learn, keep books, and go on after an interruption as if there had been none."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from dirfa_edu import examples, training
from dirfa_edu.discretize import Discretizer
from dirfa_edu.files import InputError
from dirfa_edu.generator import GeneratorConfig
from dirfa_edu.mapper import MapperConfig
from dirfa_edu.results.mapper_card import repeat_bits

TINY = MapperConfig(bins=20, tau=8, d_model=32, layers=1, heads=2)


class ToyClip:
    """A clip whose AU25 is how the loudness falls within its audio window, and whose AU12 is noise."""

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

    def truth(self):
        return {}

    def frames(self):
        return self.pictures


CLIPS = [ToyClip(seed) for seed in range(24)]


def test_the_mapper_learns_what_the_audio_says_and_no_more():
    network, log = training.train_mapper(
        CLIPS, TINY, steps=250, batch=16, window=40, lr=3e-3, progress=False
    )
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


@pytest.mark.parametrize("kind", ["mapper", "generator"])
def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path, kind, monkeypatch):
    if kind == "mapper":

        def train(**kw):
            return training.train_mapper(
                CLIPS[:4], TINY, batch=4, window=20, every=5, progress=False, **kw
            )
    else:

        def train(**kw):
            return training.train_generator(
                CLIPS[:2],
                GeneratorConfig(size=64, width=8, keypoints=3),
                batch=2,
                every=5,
                adversarial_from=0.3,
                progress=False,
                **kw,
            )

    whole, log = train(steps=10)
    # stop at step 5, right after the checkpoint, the way Ctrl-C would
    saved = training.save_checkpoint

    def stop_after_saving(*args, **parts):
        saved(*args, **parts)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "save_checkpoint", stop_after_saving)
    with pytest.raises(KeyboardInterrupt):
        train(steps=10, checkpoint=tmp_path / "c.pt")
    monkeypatch.setattr(training, "save_checkpoint", saved)
    resumed, again = train(steps=10, checkpoint=tmp_path / "c.pt")
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values()):
        assert torch.equal(a, b)
    assert [row["loss"] for row in log] == [row["loss"] for row in again]


RUN = """
import json, sys
sys.path.insert(0, sys.argv[1])
from test_training import CLIPS, TINY
from dirfa_edu.training import train_mapper
from dirfa_edu.runs import first_process
from dataclasses import replace
settings = json.loads(sys.argv[2])
network, log = train_mapper(CLIPS[:6], replace(TINY, dropout=settings.pop("dropout")), batch=4, window=20, lr=3e-3,
                            device="cpu", progress=False, **settings)
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
        with pytest.raises(InputError, match="2 devices need"):
            training.train_mapper(CLIPS, TINY, devices=2, progress=False, **settings)


def test_tensorboard_gets_what_the_log_gets(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    _, log = training.train_mapper(
        CLIPS[:4],
        TINY,
        steps=20,
        batch=2,
        window=10,
        every=10,
        progress=False,
        tensorboard=tmp_path / "board",
    )
    events = EventAccumulator(str(tmp_path / "board")).Reload()
    assert set(events.Tags()["scalars"]) == {"loss", "lips", "upper", "blink", "pose"}
    for name in ("lips", "pose"):
        assert [e.value for e in events.Scalars(name)] == pytest.approx([row[name] for row in log])
    assert [e.step for e in events.Scalars(name)] == [10, 20]


def test_without_tensorboard_asking_for_it_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match="pip install tensorboard"):
        training.train_mapper(
            CLIPS[:2], TINY, steps=1, batch=2, window=10, progress=False, tensorboard=tmp_path
        )


@pytest.mark.parametrize("preset", ["notebook", "shipped", "paper", "audio"])
def test_every_preset_of_the_mapper_makes_a_step(preset):
    settings = training.PRESETS["mapper"][preset]
    assert settings.get("steps", 0) > 0 or settings.get("minutes", 0) > 0
    settings = {k: v for k, v in settings.items() if k not in ("minutes", "steps", "batch")}
    network, log = training.train_mapper(CLIPS[:3], steps=1, batch=1, progress=False, **settings)
    assert np.isfinite(log[0]["loss"]) and network.config.steepness == settings.get("steepness", 1)


def test_a_damaged_checkpoint_is_one_sentence(tmp_path):
    (tmp_path / "c.pt").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(InputError, match="cannot resume"):
        training.train_mapper(
            CLIPS[:2],
            TINY,
            steps=1,
            batch=2,
            window=10,
            checkpoint=tmp_path / "c.pt",
            progress=False,
        )
    with pytest.raises(InputError, match="budget"):
        training.train_mapper(CLIPS[:2], TINY, progress=False)


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


def test_of_probes_only_the_first_frames_are_trained_on():
    clips = [ToyClip(0, T=90), ToyClip(1, T=90)]
    clips[1].kind = "probe"
    lengths = [
        len(frames)
        for frames, _ in examples.seen_in_training(clips, examples.generator_pairs(clips, 64))
    ]
    assert lengths == [90, examples.PROBE_TRAIN]


def test_copying_the_source_is_the_generators_zero():
    network = training.GenerationNetwork(GeneratorConfig(size=64, width=8, keypoints=3)).eval()
    data = examples.generator_pairs(CLIPS[:2], 64)
    figures = training.generator_gain(network, data)
    # noise pictures: two unrelated uniform pictures have MSE 1/6
    assert figures["psnr"] - figures["gain"] == pytest.approx(10 * np.log10(6), abs=0.1)


def test_presets_name_every_kind_of_run():
    assert set(training.PRESETS["generator"]) == {"notebook", "shipped", "paper", "finetune"}
    assert set(training.PRESETS["mapper"]) == {"notebook", "shipped", "paper", "audio"}
