"""The figures by which the networks are judged."""

import numpy as np
import pytest
import torch

from dirfa_edu.animation import column
from dirfa_edu.results import mapper_card


def test_correlation_is_pearsons_and_a_frozen_track_scores_zero():
    t = np.linspace(0, 9, 100)
    assert mapper_card.correlation(np.sin(t), 3 * np.sin(t) + 1) == pytest.approx(1)
    assert mapper_card.correlation(np.sin(t), -np.sin(t)) == pytest.approx(-1)
    assert mapper_card.correlation(np.ones(100), np.sin(t)) == 0


def test_lips_close_where_the_track_says_so_and_only_bilabials_count():
    Y = np.zeros((50, 23))
    Y[:, column("AU25")] = 2.0
    Y[10:13, column("AU25")] = 0.1
    phones = [("P", 0.40, 0.50), ("AA", 0.5, 1.0), ("M", 1.2, 1.3)]
    assert mapper_card.closed_lips(Y, phones) == (1, 2)


def test_the_shipped_networks_reach_what_their_cards_say():
    """A few clips only: the mapper follows unseen speech, the generator beats copying the source."""
    from dirfa_edu import load_pretrained
    from dirfa_edu.data.corpus import Corpus
    from dirfa_edu.examples import read_footage
    from dirfa_edu.sampling import generate
    from dirfa_edu.training import generator_gain

    corpus, mapper, generator = (
        Corpus("samples"),
        load_pretrained("mapper"),
        load_pretrained("generator"),
    )
    r = []
    for clip in corpus.select(split="test", kind="speech")[:4]:
        clean, Y = clip.truth()["clean"], generate(mapper, clip.features(), samples=2)
        r += [
            mapper_card.correlation(
                y[: len(clean), column("AU25")], clean[: len(y), column("AU25")]
            )
            for y in Y
        ]
    assert np.mean(r) > 0.6
    probes = [read_footage(clip, 128) for clip in corpus.select(split="test", kind="probe")]
    figures = generator_gain(generator, probes, frames=3)
    assert figures["gain"] > 3


def test_the_shipped_mapper_closes_its_lips_at_nine_of_ten_bilabials_of_unseen_speech():
    """/p b m/ of the whole test split, voices and real people, as `dirfa-edu evaluate mapper`
    counts them."""
    from dirfa_edu import load_pretrained
    from dirfa_edu.data.corpus import Corpus
    from dirfa_edu.sampling import generate

    corpus, mapper, found = Corpus("samples"), load_pretrained("mapper"), []
    for i, clip in enumerate(
        corpus.select(split="test", kind="speech") + corpus.select(kind="real")
    ):
        phones = clip.phones()
        if "clean" in clip.truth():
            found += [
                mapper_card.closed_lips(y, phones) for y in generate(mapper, clip.features(), 10, i)
            ]
    closed, there = np.sum(found, axis=0)
    assert there == 1700 and closed / there >= 0.90


def test_lip_errors_of_each_of_their_mean_and_of_the_closest():
    clean, Y = np.zeros((10, 23)), np.zeros((2, 10, 23))
    Y[0, :, [column("AU25"), column("AU26")]], Y[1, :, [column("AU25"), column("AU26")]] = 1.0, -0.5
    found = mapper_card.lip_errors(Y, clean)
    assert (
        found["each"].tolist() == [1.0, 0.5] and found["closest"] == 0.5 and found["mean"] == 0.25
    )


def test_the_wasserstein_distance_of_a_shift_is_the_shift():
    values = np.random.default_rng(0).normal(size=500)
    assert mapper_card.wasserstein(values, values + 0.3) == pytest.approx(0.3)
    assert mapper_card.wasserstein(
        values, np.random.default_rng(1).permutation(values)
    ) == pytest.approx(0)


def test_windows_are_judged_by_mean_and_spread():
    Y = np.zeros((200, 23))
    Y[75:150, 3] = np.tile([0.0, 2.0, 1.0], 25)
    figures = mapper_card.window_figures(Y)  # two whole windows of 75 frames
    assert figures.shape == (2, 46) and figures[0].max() == 0
    assert figures[1, 3] == pytest.approx(1.0) and figures[1, 23 + 3] == pytest.approx(
        np.std([0, 2, 1])
    )
    assert mapper_card.window_figures(Y[:20]).shape == (0, 46)


def test_calibration_sorts_frames_by_the_laws_probability(monkeypatch):
    p = np.random.default_rng(0).random(400)
    smiles = np.random.default_rng(1).random((50, 400)) < p / 2  # half as often as the law has it
    Y = np.zeros((50, 400, 23))
    Y[..., column("AU12")] = np.where(smiles, 2.0, 0.0)

    class Clip:
        def features(self):
            return None

        def truth(self):
            return {"events": {"smile": p}}

    monkeypatch.setattr(mapper_card, "generate", lambda *settings: Y)
    rows = mapper_card.calibration(None, [Clip()], samples=50)["smile"]
    assert rows[:, 2].tolist() == [100] * 4
    assert np.allclose(rows[:, 0], [0.125, 0.375, 0.625, 0.875], atol=0.05)
    assert np.allclose(rows[:, 1], rows[:, 0] / 2, atol=0.02)


def test_each_clip_is_drawn_with_noise_of_its_own(monkeypatch):
    drawn = []

    def generate(mapper, A, samples, seed):
        drawn.append(np.random.default_rng(seed).random((samples, 40, 23)).astype(np.float32))
        return drawn[-1]

    class Clip:
        def features(self):
            return None

        def truth(self):
            return {"events": {"smile": np.full(40, 0.5)}}

    monkeypatch.setattr(mapper_card, "generate", generate)
    mapper_card.calibration(None, [Clip()] * 3, samples=4, seed=7)
    # else all clips would smile, or not, at the same moment
    assert len({Y.tobytes() for Y in drawn}) == 3


def test_the_shipped_syncnet_finds_known_shifts_and_knows_its_own_sound():
    figures = mapper_card.evaluate_sync()
    assert figures["sound moved by up to 8 frames, found to the frame"] >= 0.95
    assert figures["own sound against shuffled, area under ROC"] >= 0.95


def test_a_syncnet_that_knows_nothing_finds_nothing(tmp_path):
    from dirfa_edu.faces.sync import SyncNet, save_sync

    torch.manual_seed(0)
    save_sync(tmp_path / "sync.safetensors", SyncNet())
    figures = mapper_card.evaluate_sync(tmp_path / "sync.safetensors", farthest=1)
    assert figures["sound moved by up to 1 frames, found to the frame"] < 0.4
    assert 0.2 < figures["own sound against another clip's, area under ROC"] < 0.8
