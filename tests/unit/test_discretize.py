"""Eq. 2 and 4."""

import numpy as np
import pytest

from dirfa_edu.discretize import Discretizer
from dirfa_edu.files import InputError


@pytest.fixture
def tracks():
    rng = np.random.default_rng(0)
    return [
        np.concatenate([rng.uniform(0, 5, (400, 17)), rng.normal(0, 0.1, (400, 6))], 1)
        for _ in range(3)
    ]


@pytest.mark.parametrize("D", [10, 100, 250, 500, 750])
def test_encode_is_the_literal_argmin_of_eq_2(tracks, D):
    bins = Discretizer.fit(tracks, D)
    Y = tracks[0][:80]
    literal = np.abs(Y[..., None] - bins.centroids).argmin(-1)  # argmin_d |y_i - y_d|
    edge = np.abs((Y - bins.low) / bins.width - np.round((Y - bins.low) / bins.width)) < 2e-3
    assert edge.mean() < 0.05
    assert np.array_equal(bins.encode(Y)[~edge], literal[~edge])


def test_decode_gives_the_centroid_and_errs_by_half_a_bin_at_most(tracks):
    bins = Discretizer.fit(tracks, 100)
    Y = np.clip(tracks[1], bins.low, bins.high)
    back = bins.decode(bins.encode(Y))
    assert (np.abs(back - Y) <= bins.width * 0.502).all()
    d = np.random.default_rng(1).integers(0, 100, (7, 23))
    assert np.array_equal(bins.encode(bins.decode(d)), d)
    assert np.allclose(bins.decode(d), bins.centroids[np.arange(23), d])


def test_zero_has_bin_0_to_itself_at_the_papers_d(tracks):
    bins = Discretizer.fit(tracks)
    hundredths = np.round(np.arange(0, 500) / 100, 2)  # every value OpenFace can write below 5
    Y = np.zeros((500, 23))
    Y[:, :17] = hundredths[:, None]
    assert np.array_equal(bins.encode(Y)[:, 0], np.arange(500))
    assert bins.decode(np.zeros(23, int))[0] == np.float32(0.005)


def test_values_outside_clip_and_bad_values_are_refused(tracks):
    bins = Discretizer.fit(tracks, 50)
    assert bins.encode(np.full(23, 1e6)).tolist() == [49] * 23
    assert bins.encode(np.full(23, -1e6)).tolist() == [0] * 23
    with pytest.raises(InputError, match="not numbers"):
        bins.encode(np.full(23, np.nan))
    with pytest.raises(InputError, match=r"0\.\.49"):
        bins.decode(np.array([50] * 23))
    with pytest.raises(InputError, match="at least 2 bins"):
        Discretizer.fit(tracks, 1)


def test_pose_range_is_the_quantile_not_the_extreme(tracks):
    tracks[0][5, 18] = 40.0
    for track in tracks:
        track[:, 19] *= 50  # each pose has its own range
    bins = Discretizer.fit(tracks)
    assert bins.high[18] < 1
    assert (bins.high[:17] == 5).all() and (bins.low[:17] == 0).all()
    Y = np.concatenate(tracks)
    for j in range(17, 23):  # 1 in 1000 of 1200 frames: one frame is below, one above
        assert (Y[:, j] < bins.low[j]).sum() <= 2 and (Y[:, j] > bins.high[j]).sum() <= 2
        assert bins.low[j] < np.sort(Y[:, j])[2] and bins.high[j] > np.sort(Y[:, j])[-3]


def test_a_step_is_what_99_percent_of_an_attributes_moves_stay_below(tracks):
    """Moves from frame to frame, of each attribute by itself, within clips and not across; standing
    still is none."""
    ramp = np.cumsum(np.arange(102))  # moves of 1 .. 101
    tracks[0][:102, 20], tracks[0][102:, 20] = ramp, ramp[-1]
    tracks[1][:, 20], tracks[2][:, 20] = -1e6, 1e6
    tracks[1][:, 3] = tracks[2][:, 3] = tracks[0][:, 3] = 2.0
    step = Discretizer.fit(tracks).speed
    assert step.shape == (23,) and step[20] == pytest.approx(100)
    assert step[3] == np.inf  # never moved: no limit is known


def test_two_bins_are_enough_and_a_pose_that_never_moves_is_named(tracks):
    assert (
        Discretizer.fit(tracks, 2).encode(np.r_[np.full(17, 2.4), np.zeros(6)])[:17].tolist()
        == [0] * 17
    )
    for track in tracks:
        track[:, 19] = 3.0
    with pytest.raises(InputError, match="attribute 19 never moves"):
        Discretizer.fit(tracks)
    with pytest.raises(InputError, match="at least one"):
        Discretizer.fit([])
