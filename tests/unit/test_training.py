"""The training loops learn, keep books, and go on after an interruption as if there had been none."""

import numpy as np
import pytest
import torch

from dirfa_edu import streams, training
from dirfa_edu.discretize import Discretizer
from dirfa_edu.evaluate import repeat_bits
from dirfa_edu.files import InputError
from dirfa_edu.generator import GeneratorConfig
from dirfa_edu.mapper import MapperConfig

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
    network, log = training.train_mapper(CLIPS, TINY, steps=250, batch=16, window=40, lr=3e-3, progress=False)
    with torch.no_grad():
        y = torch.from_numpy(network.discretizer.encode(CLIPS[0].Y))
        previous = torch.cat([network.start(1)[0], y[:-1]])[None]
        bits = torch.nn.functional.cross_entropy(
            network(torch.from_numpy(CLIPS[0].A)[None], previous)[0].transpose(1, 2), y, reduction="none").mean(0)
    heard, unheard = bits[14] / np.log(2), bits[8] / np.log(2)
    assert heard < 3.0  # of log2(20) = 4.3 bits
    assert unheard > 4.0
    assert log[-1]["lips"] < log[-1]["pose"]


@pytest.mark.parametrize("kind", ["mapper", "generator"])
def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path, kind, monkeypatch):
    if kind == "mapper":
        def train(**kw):
            return training.train_mapper(CLIPS[:4], TINY, batch=4, window=20, every=5, progress=False, **kw)
    else:
        def train(**kw):
            return training.train_generator(CLIPS[:2], GeneratorConfig(size=64, width=8, keypoints=3), batch=2,
                                            every=5, adversarial_from=0.3, progress=False, **kw)
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


def test_a_damaged_checkpoint_is_one_sentence(tmp_path):
    (tmp_path / "c.pt").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(InputError, match="cannot resume"):
        training.train_mapper(CLIPS[:2], TINY, steps=1, batch=2, window=10, checkpoint=tmp_path / "c.pt",
                              progress=False)
    with pytest.raises(InputError, match="budget"):
        training.train_mapper(CLIPS[:2], TINY, progress=False)


def test_batches_are_shifted_by_one_frame_and_padded():
    bins = Discretizer.fit([clip.Y for clip in CLIPS], 20)
    data = [(torch.from_numpy(c.A), [torch.from_numpy(bins.encode(c.Y))]) for c in CLIPS]
    noise = torch.Generator().manual_seed(0)
    kept = training.HISTORY_NOISE, training.HISTORY_NOISE_LIPS, training.HISTORY_DRIFT_LIPS
    training.HISTORY_NOISE = training.HISTORY_NOISE_LIPS = training.HISTORY_DRIFT_LIPS = 0.0
    try:
        A, previous, y = training.mapper_batch(data, bins, 8, 70, noise)
    finally:
        training.HISTORY_NOISE, training.HISTORY_NOISE_LIPS, training.HISTORY_DRIFT_LIPS = kept
    assert (y[:, 60:] == -100).all() and (y[:, :60] >= 0).all()  # clips have 60 frames, windows 70
    assert torch.equal(previous[:, 1:60], y[:, :59])
    assert (previous[:, 0] == 20).all()


def test_corruption_hits_lips_harder_than_expression_and_lasts_for_many_frames():
    bins = Discretizer.fit([clip.Y for clip in CLIPS], 500)
    data = [(torch.from_numpy(c.A), [torch.full((60, 23), 250)]) for c in CLIPS]
    _, previous, _ = training.mapper_batch(data, bins, 64, 50, torch.Generator().manual_seed(0))
    moved = (previous[:, 1:] - 250).float()  # (B, T, 23)
    lips, upper = moved[..., training.LIPS], moved[..., training.GROUPS["upper"]]
    assert 20 < lips.std() / upper.std() < 60
    assert (upper == 0).float().mean() > 0.5
    later = [float((x[:, 5:] * x[:, :-5]).mean() / x.square().mean()) for x in (lips, upper)]
    assert later[0] > 0.12 > 0.06 > abs(later[1])


def test_augmentation_moves_bands_together_and_keeps_what_is_flat(monkeypatch):
    flat = torch.full((4, 3, 400), 0.5)
    noise = torch.Generator().manual_seed(0)
    mel = streams.augment(flat, noise).view(4, 3, 20, 20)
    step = mel.diff(dim=-1).mean(dim=(1, 2))  # (4, 19): a flat spectrum gets a level and a tilt, nothing else
    assert (step - step.mean(1, keepdim=True)).abs().max() < 0.01
    assert not torch.allclose(mel[0].mean(), mel[1].mean(), atol=1e-3)
    peaks = torch.zeros(64, 1, 20, 20)
    peaks[..., 10] = 0.8
    moved = streams.augment(peaks.flatten(2), noise).view(64, 20, 20).mean(1).argmax(-1)
    assert 8 <= moved.min() < 10 < moved.max() <= 12  # the resonance is elsewhere, in all frames of a window alike
    randn = torch.randn
    monkeypatch.setattr(torch, "randn", lambda *size, **options: 0 * randn(*size, **options))
    A = torch.rand(2, 5, 400)
    torch.testing.assert_close(streams.augment(A, noise), A)


def test_repeating_the_last_bin_costs_nothing_on_a_still_face_and_much_on_noise():
    still = [(CLIPS[0].A, [np.zeros((60, 23))])]
    noise = [(CLIPS[0].A, [CLIPS[0].Y])]
    bins = Discretizer.fit([c.Y for c in CLIPS], 20)
    assert repeat_bits(still, still, bins)["lips"] < 0.8
    assert repeat_bits(noise, noise, bins)["pose"] > 2


def test_a_sentence_held_out_is_held_out_in_every_voice():
    clips = [ToyClip(seed) for seed in range(24)]
    clips[17].text = clips[12].text  # a second reading of a sentence that is held out
    train, validation = training.held_out(clips)
    assert {clip.name for clip in validation} == {"sentence 0", "sentence 12", "sentence 17"}
    assert not {clip.text for clip in train} & {clip.text for clip in validation} and len(train) == 21


def test_of_probes_only_the_first_frames_are_trained_on():
    clips = [ToyClip(0, T=90), ToyClip(1, T=90)]
    clips[1].kind = "probe"
    lengths = [len(frames) for frames, _ in training.seen_in_training(clips, training.generator_pairs(clips, 64))]
    assert lengths == [90, training.PROBE_TRAIN]


def test_copying_the_source_is_the_generators_zero():
    network = training.GenerationNetwork(GeneratorConfig(size=64, width=8, keypoints=3)).eval()
    data = training.generator_pairs(CLIPS[:2], 64)
    figures = training.generator_gain(network, data)
    # noise pictures: two unrelated uniform pictures have MSE 1/6
    assert figures["psnr"] - figures["gain"] == pytest.approx(10 * np.log10(6), abs=0.1)


def test_presets_name_every_kind_of_run():
    assert set(training.PRESETS["mapper"]) == set(training.PRESETS["generator"]) == {"notebook", "shipped", "paper"}
