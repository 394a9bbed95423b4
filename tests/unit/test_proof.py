"""The corpus is what its data sheet says, measured on a part of it; and each measurement finds a
planted fault."""

import sys

import numpy as np
import pytest

from dirfa_edu.animation import POSE, column
from dirfa_edu.data.corpus import CHAPTER_CLIP, Corpus
from dirfa_edu.faces import vision
from dirfa_edu.files import data_path


@pytest.fixture(scope="module")
def proof():
    """The program as a module; it imports law.py, which lies beside it."""
    sys.path.insert(0, str(data_path("build")))
    try:
        import proof
    finally:
        sys.path.pop(0)
    return proof


@pytest.fixture(scope="module")
def sweeps(proof):
    """Pictures and exact landmarks of four AUs, 0..5, on two actors."""
    four = ("AU01", "AU04", "AU12", "AU26")
    return {(name, unit): proof.sweep(name, unit) for name in ("lars", "imani") for unit in four}


def filmed(proof, name: str) -> tuple:
    """Lip gap of FaceMesh on a film, true opening, landmarks."""
    clip = Corpus()[name]
    Y, (L, _, _) = proof.motion(clip), proof.film(clip)
    return proof.mouth(L), Y[:, column("AU25")] + Y[:, column("AU26")], L


@pytest.mark.long
def test_every_film_shows_a_face_in_every_25th_frame():
    films = Corpus().select(rendered=True)
    missed = {
        clip.name: np.isnan(vision.landmarks(clip.frames()[::25])[:, 0, 0]).sum() for clip in films
    }
    assert len(films) > 100 and not any(missed.values()), missed


def test_a_blank_frame_is_missed_and_a_moved_picture_is_noticed(proof):
    clip = Corpus()[CHAPTER_CLIP]
    frames = clip.frames()[:6].copy()
    frames[3] = 128
    L = vision.landmarks(frames)
    assert np.isnan(L[:, 0, 0]).tolist() == [False, False, False, True, False, False]
    score = proof.scores(frames, L)
    assert score[3] == 0 and score[[0, 1, 2, 4, 5]].min() > 0.5
    exact = [proof.actor(clip.actor).landmarks(y, frames.shape[1]) for y in proof.motion(clip)[:6]]
    assert proof.apart(L[0], exact[0]) < 2.5
    moved = vision.landmarks(np.roll(frames[:1], 10, axis=2))
    assert 8 < proof.apart(moved[0], exact[0]) < 12, "a face ten pixels away must not pass"


def test_action_units_move_what_anatomy_says(proof, sweeps):
    for (_, unit), (frames, exact) in sweeps.items():
        seen = proof.response(frames, unit)
        assert proof.rank(seen) >= 0.95, (unit, seen)
        assert proof.rank(proof.UNITS[unit][1](*proof.heights(exact, 1))) >= 0.95


def test_shuffled_intensities_are_found(proof, sweeps):
    order = np.random.default_rng(1).permutation(len(proof.LEVELS))
    frames, _ = sweeps["lars", "AU26"]
    assert proof.rank(proof.response(frames[order], "AU26")) < 0.8
    assert proof.rank(proof.response(frames[::-1], "AU26")) <= -0.95


def test_face_coordinates_do_not_depend_on_where_the_face_is(proof, sweeps):
    """Turned, moved and enlarged in the picture, a face has the same heights and width."""
    _, points = sweeps["lars", "AU26"]
    turn = np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    y, width = proof.heights(points, 1)
    again, width_again = proof.heights(1.7 * points @ turn.T + (30, -12), 1)
    np.testing.assert_allclose(width_again, width, rtol=1e-4)
    for part, height in y.items():
        np.testing.assert_allclose(again[part], height, atol=1e-2)
    assert (
        y["chin"][0]
        > y["mouth bottom"][0]
        > y["mouth top"][0]
        > y["nose wings"][0]
        > 0
        > y["inner brow"][0]
    )


def test_poses_are_read_back_and_swapped_axes_are_found(proof):
    drawn, found = proof.turned("iris", 24, np.random.default_rng(3))
    r = np.corrcoef(drawn.T, found.T)[:3, 3:]
    slopes = proof.axis_fit(drawn, found)
    assert np.diag(r).min() >= 0.97, r
    assert np.all((np.diag(slopes) > 0.8) & (np.diag(slopes) < 1.2)), "signs and sizes"
    assert np.abs(slopes - np.diag(np.diag(slopes))).max() < 0.15
    swapped = found[:, [1, 0, 2]]
    assert np.diag(np.corrcoef(drawn.T, swapped.T)[:3, 3:])[:2].max() < 0.7
    assert np.abs(proof.axis_fit(drawn, swapped))[[0, 1], [1, 0]].min() > 0.8
    assert proof.axis_fit(drawn, -found)[1, 1] < 0


def test_filmed_lips_follow_the_track_and_a_late_film_is_found(proof):
    for name in (CHAPTER_CLIP, "austen_0870"):
        gap, opening, L = filmed(proof, name)
        r, lag = proof.agreement(gap, opening)
        assert r >= 0.85 and lag == 0, (name, r, lag)
        assert proof.agreement(proof.mouth(L, outer=True), opening)[0] >= 0.85
        late = proof.agreement(np.r_[[gap[0]] * 3, gap[:-3]], opening)
        assert late[1] == 3 and late[0] < r - 0.03
        assert proof.agreement(gap[3:], opening[:-3])[1] == -3


def test_closed_lips_are_closed_and_open_ones_are_not(proof):
    who, wide = proof.actor("iris"), np.zeros(23)
    wide[[column("AU25"), column("AU26")]] = 2.5, 2
    closed, opened = proof.lip_gap(who, np.zeros(23)), proof.lip_gap(who, wide)
    pressed = np.zeros(23)
    pressed[column("AU23")] = 2
    assert proof.openness(who, np.stack([wide, pressed]), closed, opened) < 0.1
    assert proof.openness(who, 0.4 * wide[None], closed, opened) > 0.2


def test_events_are_told_apart_and_a_wrong_share_is_found(proof):
    windows = proof.stressed_windows(600)
    seen, family = proof.told_apart(windows), len(proof.law.EVENTS)
    for name, (chance, _) in proof.law.EVENTS.items():
        share = seen.count(name) / len(seen)
        low, high = proof.wilson(share, len(seen), family)
        assert low <= chance <= high, (name, share)
    # brows raised twice as often as the law says
    raised = [w for w, s in zip(windows, seen) if s == "brow raise"]
    share = np.mean(
        [s == "brow raise" for s in proof.told_apart(np.concatenate([windows, raised]))]
    )
    low, _ = proof.wilson(share, len(windows) + len(raised), family)
    assert low > proof.law.EVENTS["brow raise"][0]


def test_nods_are_told_from_the_sway_of_the_head(proof):
    law, phones, style = proof.law, [], proof.law.style(3)
    for second in range(12):
        phones += [["AX", second + 0.4, second + 0.6, 1], ["PAU", second + 0.6, second + 1.4, 0]]
    stresses, truth, found = [second + 0.5 for second in range(12)], [], []
    for seed in range(4):
        pitch = law.draw(phones, 12, style, seed)[:, POSE[0]].astype(float)
        sizes = proof.nod_sizes(pitch, stresses, style)
        # what the same seed nods when the head does not sway
        still = law.draw(phones, 12, proof.bare(nod=style.nod), seed)[:, POSE[0]].reshape(12, 25)
        truth += (still.max(1) > 0.15 * law.NOD).tolist()
        found += (sizes > 0.15).tolist()
    assert 10 < sum(truth) < 40 and np.mean(np.array(truth) == found) > 0.95


def test_reliability_accepts_true_probabilities_and_rejects_wrong_ones(proof):
    rng = np.random.default_rng(0)
    # frames in runs, as events are
    p = [np.repeat(rng.random(20) ** 2, 10) for _ in range(25)]
    seen = [np.repeat(rng.binomial(8, x[::10]) / 8, 10) for x in p]
    edges = (0, 0.2, 0.5, 1.1)
    true = proof.reliability([np.stack([a, b], 1) for a, b in zip(p, seen)], edges, 3)
    assert all(abs(observed - predicted) <= half for _, predicted, observed, half in true)
    wrong = proof.reliability([np.stack([a**0.5, b], 1) for a, b in zip(p, seen)], edges, 3)
    assert any(abs(observed - predicted) > half for _, predicted, observed, half in wrong)


def test_intervals_have_their_closed_forms(proof):
    low, high = proof.wilson(0.5, 100)
    assert (round(low, 4), round(high, 4)) == (0.4038, 0.5962)  # textbook value
    assert proof.wilson(0.5, 100, family=7)[1] > high
    assert np.allclose(
        np.arctanh(proof.fisher(0.9, 103)), np.arctanh(0.9) + np.array([-0.196, 0.196])
    )
