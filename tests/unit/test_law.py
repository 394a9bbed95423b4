"""The motion law keeps the promises its page makes: lips follow phones, blinks come at their rate,
seeds decide."""

import importlib.util
import sys

import numpy as np
import pytest

from dirfa_edu.animation import POSE, column, observed_events
from dirfa_edu.data.corpus import CHAPTER_CLIP, Corpus
from dirfa_edu.files import data_path


@pytest.fixture(scope="module")
def law():
    spec = importlib.util.spec_from_file_location("law", data_path("build", "law.py"))
    module = sys.modules["law"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def phones():
    return Corpus()[CHAPTER_CLIP].phones(stress=True)


SPEAKER = dict(effort=1.0, blink_rate=0.36)


def test_a_seed_is_a_face(law, phones):
    one, again, other = (law.draw(phones, 4.94, law.style(3), seed) for seed in (5, 5, 6))
    assert one.shape == (124, 23) and one.dtype == np.float32
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other)[:, POSE].max() > 0.01
    # the same sound: lips of two draws agree far better than their expressions do
    lips = np.corrcoef(one[:, column("AU25")], other[:, column("AU25")])[0, 1]
    assert lips > 0.95


def test_styles_differ_and_are_fixed(law):
    assert law.style(3) == law.style(3) != law.style(4)
    assert all(0.28 <= law.style(i).blink_rate <= 0.45 for i in range(32))


def test_bilabials_close_and_open_vowels_open(law):
    """In shares of the open range, which is the 99 % point of AU25 over the test clips."""
    clips, closed, opened = Corpus().select(split="test", kind="speech"), [], []
    lips = {clip.name: clip.truth()["clean"][:, column("AU25")] for clip in clips}
    open_range = np.quantile(np.concatenate(list(lips.values())), 0.99)
    for clip in clips:
        for name, start, end, stressed in clip.phones(stress=True):
            inside = lips[clip.name][int(start * 25) : int(np.ceil(end * 25))] / open_range
            if name in ("P", "B", "M"):
                closed.append(inside.min())
            if name in ("AA", "AE", "AY") and stressed and end - start > 0.1:
                opened.append(inside.max())
    assert len(closed) > 100 and len(opened) > 30
    assert max(closed) < 0.1, "every /p b m/ must close the lips"
    assert np.mean(np.array(opened) > 0.5) > 0.95, "a long stressed open vowel must open them"


def test_a_loud_vowel_opens_the_mouth_more(law):
    """6 dB are a factor of two in amplitude, and so 2^.6 in opening; the rest of the mouth does not
    care."""

    def peak(dB, au):
        rows = [["PAU", 0, 1, 0, 0], ["AE", 1, 1.3, 1, dB], ["PAU", 1.3, 2, 0, 0]]
        return law.draw(rows, 2, law.style(0), 1)[:, column(au)].max()

    for au in ("AU25", "AU26"):
        assert peak(-3, au) / peak(-9, au) == pytest.approx(2**law.LOUDNESS_POWER, rel=0.02)
        assert peak(20, au) / peak(0, au) == pytest.approx(
            law.OPENING_RANGE[1] / law.OPENING, rel=0.02
        )
    assert peak(-9, "AU20") == pytest.approx(peak(20, "AU20"))


def test_loudness_is_read_from_the_sound(law, phones):
    """A vowel made twice as loud has 6 dB more; a louder recording as a whole changes nothing."""
    wave = Corpus()[CHAPTER_CLIP].wave()
    before = law.heard(phones, wave)
    assert law.heard(phones, wave / 3) == before
    k = next(i for i, row in enumerate(before) if row[0] == "AE")
    louder = wave.copy()
    louder[int(before[k][1] * 16000) : int(before[k][2] * 16000)] *= 2
    after = law.heard(phones, louder)
    assert after[k][4] - before[k][4] == pytest.approx(6, abs=0.15)
    assert all(row[4] == 0 for row in before if row[0][0] not in "AEIOU")


def test_lips_have_no_lag(law):
    """An isolated vowel's opening is centred on the vowel: its centre of mass in time, not its
    onset, is tested."""
    phones = [["PAU", 0, 1, 0], ["AA", 1.0, 1.2, 1], ["PAU", 1.2, 2.2, 0]]
    opening = law.draw(phones, 2.2, law.style(0), 1)[:, column("AU25")]
    middles = (np.arange(len(opening)) + 0.5) / 25
    assert abs((opening * middles).sum() / opening.sum() - 1.1) < 0.004


def test_blinks_are_a_renewal_process_at_the_speakers_rate(law):
    style, seconds = law.Style(**SPEAKER), 240
    time = (np.arange(seconds * law.RATE) + 0.5) / law.RATE
    eyes = law.blinks(time, style, np.random.default_rng(0))
    shut = eyes > 1
    onsets = time[1:][shut[1:] & ~shut[:-1]]
    gaps = np.diff(onsets)
    # 95 % interval of a renewal count: variance of the gaps over the cube of their mean
    mean = 1 / style.blink_rate
    spread = 1.96 * np.sqrt(seconds * np.var(gaps) / mean**3)
    assert abs(len(onsets) - seconds / mean) < spread + 1
    assert gaps.min() > 0.3, "nobody blinks twice within the rest time"
    first, second = gaps[:-1] - gaps.mean(), gaps[1:] - gaps.mean()
    assert abs((first * second).mean() / gaps.var()) < 0.3, "one gap says nothing about the next"


def test_half_of_the_stresses_nod_and_events_come_as_often_as_stated(law):
    stresses = list(np.arange(400) + 0.5)  # one a second, far apart
    time = (np.arange(400 * law.RATE) + 0.5) / law.RATE
    pitch = law.pose(stresses, time, law.Style(pose=0), np.random.default_rng(1))[:, 0]
    assert abs(np.mean(pitch.reshape(400, -1).max(1) > 0.005) - 0.5) < 0.08
    # neutral all the time: only events are left
    nobody = law.Style(moods=(1, 0, 0, 0, 0), lid=0)
    brows = law.face(stresses, time, nobody, np.random.default_rng(2))[:, column("AU02")]
    assert abs(np.mean(brows.reshape(400, -1).max(1) > 0.05) - law.EVENTS["brow raise"][0]) < 0.06


def test_moods_tie_units_together(law, phones):
    draws = np.concatenate(
        [law.draw(phones, 4.94, law.Style(moods=(0.3, 0.7, 0, 0, 0)), s) for s in range(12)]
    )
    assert np.corrcoef(draws[:, column("AU06")], draws[:, column("AU12")])[0, 1] > 0.7


def test_pose_is_relative_and_as_wide_as_the_page_says(law):
    silence = [["PAU", 0, 20, 0]]
    yaw = [law.draw(silence, 20, law.Style(), s)[:, POSE] for s in range(4)]
    assert all(np.abs(np.median(y, 0)).max() < 1e-5 for y in yaw)
    assert 0.06 < np.std([y[:, 1] for y in yaw]) < 0.10


def test_measurement_makes_zeros_and_what_a_file_can_hold(law, phones):
    clean = law.draw(phones, 4.94, law.style(3), 5)
    seen = law.measure(clean, 1)
    np.testing.assert_array_equal(seen, law.measure(clean, 1))
    np.testing.assert_allclose(seen[:, :17], seen[:, :17].round(2), atol=1e-6)
    assert (seen[:, column("AU09")] == 0).mean() > 0.8
    assert not ((seen[:, :17] > 0) & (seen[:, :17] < law.DEAD_ZONE - 0.005)).any()
    assert 0.02 < np.abs(seen - clean)[:, column("AU25")].mean() < 0.12


def test_marginals_are_probabilities_of_what_draws_show(law, phones):
    p = law.event_marginals(phones, 4.94, law.style(3), 40)
    assert set(p) == set(observed_events(np.zeros((30, 23)))) and p["blink"].shape == (124,)
    assert all(0 <= q.min() and q.max() <= 1 for q in p.values())
    # frames with a blink: rate times the time AU45 stays over 1
    assert 0.02 < p["blink"].mean() < 0.14
    again = law.event_marginals(phones, 4.94, law.style(3), 40, seed=1000)
    assert abs(p["smile"].mean() - again["smile"].mean()) < 0.2
