"""The figures by which the mapper is judged, on tracks whose figures are known."""

from types import SimpleNamespace

import numpy as np
import pytest

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
    """A few clips: the mapper follows unseen speech, the generator beats copying the source."""
    from dirfa_edu import load_pretrained
    from dirfa_edu.data.corpus import Corpus
    from dirfa_edu.examples import read_footage
    from dirfa_edu.sampling import generate
    from dirfa_edu.training import generator_gain

    corpus = Corpus("samples")
    mapper, generator = load_pretrained("mapper"), load_pretrained("generator")
    lips = column("AU25")
    r = []
    for clip in corpus.select(split="test", kind="speech")[:4]:
        clean, Y = clip.truth()["clean"], generate(mapper, clip.features(), samples=2)
        for y in Y:
            T = min(len(y), len(clean))
            r.append(mapper_card.correlation(y[:T, lips], clean[:T, lips]))
    assert np.mean(r) > 0.6
    probes = [read_footage(clip, 128) for clip in corpus.select(split="test", kind="probe")]
    figures = generator_gain(generator, probes, frames=3)
    assert figures["gain"] > 3


@pytest.mark.long
def test_the_shipped_mapper_closes_its_lips_at_nine_of_ten_bilabials_of_unseen_speech():
    """Of the whole test split, voices and real people, as `dirfa-edu evaluate mapper` counts."""
    from dirfa_edu import load_pretrained
    from dirfa_edu.data.corpus import Corpus
    from dirfa_edu.sampling import generate

    corpus, mapper = Corpus("samples"), load_pretrained("mapper")
    clips = corpus.select(split="test", kind="speech") + corpus.select(kind="real")
    found = []
    for i, clip in enumerate(clips):
        if "clean" in clip.truth():
            phones = clip.phones()
            Y = generate(mapper, clip.features(), samples=10, seed=i, engine="fast")
            found += [mapper_card.closed_lips(y, phones) for y in Y]
    closed, there = np.sum(found, axis=0)
    assert there == 1700 and closed / there >= 0.90


def test_mouth_errors_of_each_of_their_mean_and_of_the_closest():
    clean, Y = np.zeros((10, 23)), np.zeros((2, 10, 23))
    Y[0, :, mapper_card.OPENINGS] = 1.0
    Y[1, :, mapper_card.OPENINGS] = -0.5
    found = mapper_card.mouth_errors(Y, clean)
    assert found["each"].tolist() == [1.0, 0.5]
    assert found["closest"] == 0.5 and found["mean"] == 0.25


def made_up(voice="awb", kind="speech", further=True, phones=(), offset=0.0):
    """A clip of zeros, and one sample that is `offset` away from it everywhere."""
    clip = SimpleNamespace(voice=voice, kind=kind, phones=lambda: list(phones))
    clean = np.zeros((50, 23), np.float32)
    law = np.zeros((8, 50, 23), np.float32) if further else None
    return mapper_card.Drawn(clip, clean[None] + offset, clean, law)


def test_a_voice_says_what_is_special_about_it():
    assert made_up("awb").voice == "awb"
    assert made_up("rms").voice == "rms, unseen"
    assert made_up("austen", kind="real").voice == "austen, real"


def test_closures_are_counted_for_all_for_voices_and_for_people():
    phones = [("P", 0.4, 0.5), ("AA", 0.5, 1.0), ("B", 1.2, 1.3)]
    drawn = [
        made_up("slt", phones=phones),  # both close
        made_up("awb", phones=phones, offset=1.0),  # neither
        made_up("austen", kind="real", phones=phones[:1], further=False),  # its only one
    ]
    assert mapper_card.closure_figures(drawn) == {
        "lips closed at /p b m/, all": 0.6,
        "lips closed at /p b m/, synthetic voices": 0.5,
        "lips closed at /p b m/, real people": 1.0,
        "lips closed at /p b m/, austen, real": 1.0,
        "lips closed at /p b m/, awb": 0.0,
        "lips closed at /p b m/, slt": 1.0,
    }


def test_every_figure_of_an_event_is_a_number_with_a_name_of_its_own():
    quarters = np.array([[0.04, 0.02, 90], [0.1, 0.1, 90], [0.1, 0.1, 90], [0.2, 0.051, 90]])
    assert mapper_card.event_figures({"smile": quarters}) == {
        "smile, least likely quarter, by the law": 0.04,
        "smile, least likely quarter, sampled": 0.02,
        "smile, most likely quarter, by the law": 0.2,
        "smile, most likely quarter, sampled": 0.05,
    }


def test_the_card_of_the_shipped_mapper_holds_numbers_alone():
    from dirfa_edu.files import data_path

    rows = data_path("models", "mapper.md").read_text().split("|---|---|\n")[1].split("\n\n")[0]
    names, values = zip(*(row.strip("| ").rsplit(" | ", 1) for row in rows.splitlines()))
    assert len(set(names)) == len(names) > 100
    assert all(np.isfinite(float(value)) for value in values)


def test_the_wasserstein_distance_of_a_shift_is_the_shift():
    values = np.random.default_rng(0).normal(size=500)
    assert mapper_card.wasserstein(values, values + 0.3) == pytest.approx(0.3)
    shuffled = np.random.default_rng(1).permutation(values)
    assert mapper_card.wasserstein(values, shuffled) == pytest.approx(0)


def test_windows_are_judged_by_mean_and_spread():
    Y = np.zeros((200, 23))
    Y[75:150, 3] = np.tile([0.0, 2.0, 1.0], 25)
    figures = mapper_card.window_figures(Y)  # two whole windows of 75 frames
    assert figures.shape == (2, 46) and figures[0].max() == 0
    assert figures[1, 3] == pytest.approx(1.0)
    assert figures[1, 23 + 3] == pytest.approx(np.std([0, 2, 1]))
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

    monkeypatch.setattr(mapper_card, "generate", lambda *settings, engine: Y)
    rows = mapper_card.calibration(None, [Clip()], samples=50)["smile"]
    assert rows[:, 2].tolist() == [100] * 4
    assert np.allclose(rows[:, 0], [0.125, 0.375, 0.625, 0.875], atol=0.05)
    assert np.allclose(rows[:, 1], rows[:, 0] / 2, atol=0.02)


def test_each_clip_is_drawn_with_noise_of_its_own(monkeypatch):
    drawn = []

    def generate(mapper, A, samples, seed, engine):
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
