"""Each figure against a closed form, and against the plausible mistake it invites."""

import numpy as np
import pytest
from matplotlib.image import imread

from dirfa_edu import metrics
from dirfa_edu.animation import GROUPS, LIPS, UPPER, column
from dirfa_edu.files import InputError, data_path


def rng(seed=0):
    return np.random.default_rng(seed)


# ---- PSNR ----
def test_psnr_closed_forms():
    black = np.zeros((8, 8, 3))
    with np.errstate(all="raise"):
        assert metrics.psnr(black, black) == float("inf")
    assert metrics.psnr(black, np.ones_like(black)) == pytest.approx(0)
    assert metrics.psnr(black, np.full_like(black, 0.01)) == pytest.approx(40)
    # noise of standard deviation s has MSE s^2: -20 log10 s
    noisy = 0.5 + 0.05 * rng().standard_normal((256, 256))
    assert metrics.psnr(np.full((256, 256), 0.5), noisy) == pytest.approx(
        -20 * np.log10(0.05), abs=0.1
    )


def test_psnr_of_uint8_equals_psnr_of_floats_and_is_symmetric():
    a, b = rng(1).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    assert metrics.psnr(a, b) == pytest.approx(metrics.psnr(a / 255, b / 255))
    assert metrics.psnr(a, b) == pytest.approx(metrics.psnr(b, a))


def test_psnr_in_uint8_would_flatter_unrelated_pictures():
    a, b = rng(2).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)

    def published(x, y):  # the mistake: the difference, and its square, wrap around
        return 10 * np.log10(255**2 / np.mean((x - y) ** 2))

    assert published(a, b) > 27
    # uniform independent values differ by MSE 1/6
    assert metrics.psnr(a, b) == pytest.approx(10 * np.log10(6), abs=0.1)


@pytest.mark.parametrize(
    "a, b",
    [
        (np.zeros((4, 4)), np.zeros((4, 5))),
        (np.zeros((4, 4)), np.full((4, 4), 200.0)),
        (np.zeros((4, 4)), np.full((4, 4), np.nan)),
        (np.zeros((0, 4)), np.zeros((0, 4))),
    ],
)
def test_psnr_refuses(a, b):
    with pytest.raises(InputError):
        metrics.psnr(a, b)


def test_rounding_errors_at_the_ends_of_0_to_1_pass_and_more_does_not():
    for value in (-0.0009, 1.0009):
        assert metrics.psnr(np.full((4, 4), value), np.full((4, 4), value)) == float("inf")
    for value in (-0.0011, 1.0011):
        with pytest.raises(InputError, match="0..1"):
            metrics.to_unit(np.full((4, 4), value))


# ---- SSIM ----
def test_ssim_closed_forms():
    image = rng(3).random((32, 32, 3))
    assert metrics.ssim(image, image) == pytest.approx(1)
    # two flat pictures: contrast terms cancel, the luminance term is left
    a, b = np.full((16, 16), 0.2), np.full((16, 16), 0.6)
    assert metrics.ssim(a, b) == pytest.approx(
        (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4), rel=1e-6
    )
    # an inverted picture has the opposite structure
    grey = 0.5 + 0.2 * (image[..., 0] - 0.5)
    assert metrics.ssim(grey, 1 - grey) < 0


def test_ssim_equals_a_direct_window_loop():
    a, b = rng(4).random((2, 14, 13))
    g = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    w = np.outer(g, g) / np.outer(g, g).sum()
    values = []
    for i in range(4):
        for j in range(3):
            x, y = a[i : i + 11, j : j + 11], b[i : i + 11, j : j + 11]
            mx, my = (w * x).sum(), (w * y).sum()
            vx, vy, c = (
                (w * (x - mx) ** 2).sum(),
                (w * (y - my) ** 2).sum(),
                (w * (x - mx) * (y - my)).sum(),
            )
            values.append(
                (2 * mx * my + 1e-4) * (2 * c + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
            )
    assert metrics.ssim(a, b) == pytest.approx(np.mean(values), rel=1e-9)


def test_ssim_needs_two_pictures_of_one_shape_and_11_pixels():
    assert metrics.ssim(np.ones((11, 12)), np.ones((11, 12))) == pytest.approx(1)
    for a, b in (
        ((10, 20), (10, 20)),
        ((20, 10), (20, 10)),
        ((12, 12), (12, 13)),
        ((12, 12, 3), (12, 12)),
        ((12, 12, 3, 2), (12, 12, 3, 2)),
    ):
        with pytest.raises(InputError, match="11 px"):
            metrics.ssim(np.zeros(a), np.zeros(b))


# ---- ACD ----
def test_acd_of_faces_in_a_plane(monkeypatch):
    # red and green
    monkeypatch.setattr(
        metrics, "embeddings", lambda frames: np.asarray(frames, float)[:, 0, 0, :2]
    )
    pictures = np.zeros((3, 4, 4, 3), np.uint8)
    pictures[1, ..., :2], pictures[2, ..., :2] = (3, 4), (0, 5)
    assert metrics.acd(pictures[0], pictures[1:]) == pytest.approx(5)  # (5 + 5) / 2
    # tempting, and something else: the distance of the mean face, and all pairs of frames
    assert np.hypot(1.5, 4.5) == pytest.approx(4.74, abs=0.01)
    assert metrics.acd_pairwise(pictures[1:]) == pytest.approx(np.sqrt(10))
    assert metrics.acd_pairwise(pictures) == pytest.approx((5 + 5 + np.sqrt(10)) / 3)
    # a distance does not know where the origin is
    assert metrics.acd(pictures[0] + 7, pictures[1:] + 7) == pytest.approx(5)


def test_pairwise_distances_do_not_wrap_and_a_single_row_is_at_none():
    assert metrics.mean_pairwise(np.array([[0], [3], [250]], np.uint8)) == pytest.approx(
        (3 + 250 + 247) / 3
    )
    with np.errstate(all="raise"):
        assert metrics.mean_pairwise(np.ones((1, 4))) == 0


def test_embeddings_are_of_the_faces_that_are_found_and_tell_people_apart():
    anna, ben = (
        (imread(data_path("portraits") / f"{name}.png")[..., :3] * 255).astype(np.uint8)
        for name in ("anna", "ben")
    )
    found = metrics.embeddings([anna, anna[:, ::-1], 0 * anna, ben])  # the black frame has no face
    assert found.shape == (3, 128)
    apart = np.linalg.norm(found[:, None] - found, axis=2)
    assert apart[0, 1] < 0.5 * min(apart[0, 2], apart[1, 2])


# ---- LMD ----
def test_lmd_of_one_moved_point():
    a = rng(5).random((3, 20, 2)) * 100
    b = a.copy()
    b[:, 0, 0] += 20  # the centroid moves by 1, so one point is 19 off and nineteen are 1 off
    assert metrics.lmd(a, b) == pytest.approx((19 + 19 * 1) / 20)
    assert metrics.lmd(a, b, reduce="sum") == pytest.approx(38)


def test_lmd_ignores_where_the_mouth_is_but_not_its_shape():
    a = rng(6).random((4, 68, 2)) * 100
    assert metrics.lmd(a, a + [30, -7]) == pytest.approx(0, abs=1e-9)
    assert metrics.lmd(a, 1.1 * a) > 1
    uncentred = np.linalg.norm(a[:, 48:] - (a + [30, -7])[:, 48:], axis=2).mean()
    assert uncentred > 30  # the mistake: head motion counted as lip error


@pytest.mark.parametrize("n, corners", [(468, (33, 263)), (68, (36, 45))])
def test_lmd_per_eyes_does_not_know_how_large_the_picture_is(n, corners):
    a, b = np.random.default_rng(n).normal(size=(2, 3, n, 3)) * 20
    b[:, corners[0], :2], b[:, corners[1], :2] = (10, 5), (40, 45)  # 50 px apart
    for measure in (metrics.lmd, metrics.face_lmd):
        assert measure(a, b, per_eyes=True) == pytest.approx(measure(a, b) / 50)
        assert measure(2 * a, 2 * b, per_eyes=True) == pytest.approx(measure(a, b, per_eyes=True))
        assert measure(2 * a, 2 * b) == pytest.approx(2 * measure(a, b))
    with pytest.raises(InputError, match="eyes"):
        metrics.lmd(a[:, :20], b[:, :20], per_eyes=True)


def test_lmd_uses_the_mouth_alone_and_face_lmd_all_points():
    a = rng(7).random((2, 68, 2)) * 100
    b = a.copy()
    b[:, 20] += 40  # a brow point
    assert metrics.lmd(a, b) == pytest.approx(0, abs=1e-9)
    assert metrics.face_lmd(a, b) > 0.5


def test_lmd_skips_frames_without_a_face_and_drops_depth():
    a = rng(8).random((3, 468, 3)) * 100
    b = a + 0.0
    b[..., 2] += rng(9).random((3, 468)) * 50
    b[1] = np.nan
    assert metrics.lmd(a, b) == pytest.approx(0, abs=1e-9)
    a[2, 61] = np.nan  # one corner of the mouth is enough, in either clip
    assert metrics.lmd(a, b) == pytest.approx(0, abs=1e-9)
    with pytest.raises(InputError, match="no frame"):
        metrics.lmd(a, np.full_like(a, np.nan))


@pytest.mark.parametrize(
    "a, b, reduce",
    [
        ((2, 20, 2), (3, 20, 2), "mean"),
        ((2, 21, 2), (2, 21, 2), "mean"),
        ((2, 20, 2), (2, 20, 2), "max"),
    ],
)
def test_lmd_refuses(a, b, reduce):
    with pytest.raises(InputError):
        metrics.lmd(np.zeros(a), np.zeros(b), reduce)


# ---- blinks ----
def track_with(blinks, frames=250, height=3.0, width=4):
    track = np.full(frames, 0.1)
    for t in blinks:
        track[t : t + width] = height
    return track


def test_ebr_counts_blinks_per_second():
    assert metrics.ebr(track_with([20, 90, 160])) == pytest.approx(0.3)
    assert metrics.ebr(np.zeros(250)) == 0
    assert metrics.ebr(track_with([20, 90, 160], width=5), fps=50) == pytest.approx(0.6)


@pytest.mark.parametrize(
    "what, track",
    [
        ("a spike of one frame is noise", track_with([20, 90], width=1)),
        ("a squint of a second is no blink", track_with([20, 120], width=25)),
        ("half-closed eyes are no blink", track_with([20, 90], height=0.9)),
    ],
)
def test_ebr_does_not_count(what, track):
    assert metrics.ebr(track) == 0, what


def test_ebr_does_not_count_the_wobble_on_top_of_one_blink():
    track = track_with([100], width=6)
    track[102:104] -= 0.3  # crossing a threshold again would count two
    assert metrics.ebr(track) == pytest.approx(0.1)


@pytest.mark.parametrize("width, blinks", [(1, 0), (2, 1), (12, 1), (13, 0)])
def test_a_blink_is_2_to_12_frames_wide(width, blinks):
    assert metrics.ebr(track_with([100], width=width)) * 10 == pytest.approx(blinks)


@pytest.mark.parametrize("height, blinks", [(0.95, 0), (1.05, 1)])
def test_a_blink_reaches_intensity_1(height, blinks):
    assert metrics.ebr(track_with([100], height=height)) * 10 == pytest.approx(blinks)


@pytest.mark.parametrize("rise, blinks", [(0.45, 0), (0.55, 1)])
def test_a_blink_rises_by_half_an_intensity_above_lids_that_hang(rise, blinks):
    assert metrics.ebr(track_with([100], height=0.1 + rise) + 1.5) * 10 == pytest.approx(blinks)


@pytest.mark.parametrize("apart, blinks", [(4, 1), (5, 2)])
def test_two_blinks_are_5_frames_apart(apart, blinks):
    assert metrics.ebr(track_with([100, 100 + apart], width=2)) * 10 == pytest.approx(blinks)


@pytest.mark.parametrize("track", [np.zeros(0), np.full(10, np.nan), np.zeros((5, 2))])
def test_ebr_refuses(track):
    with pytest.raises(InputError):
        metrics.ebr(track)


# ---- distributions ----
def test_diversity_is_the_mean_distance_of_pairs_per_group():
    samples = np.zeros((3, 5, 23))
    samples[1, :, column("AU12")] = 3
    samples[2, :, column("AU01")] = 4
    found = metrics.diversity(samples)
    assert found["upper"] == pytest.approx((3 + 4 + 5) / 3)
    assert found["lips"] == found["blink"] == found["pose"] == 0
    shared = rng(17).normal(size=(1, 5, 23))  # what all samples do alike sets none of them apart
    assert metrics.diversity(samples + shared) == pytest.approx(found)
    for wrong in (samples[:1], samples[..., :22], samples[0]):
        with pytest.raises(InputError, match="two or more"):
            metrics.diversity(wrong)


def test_diversity_weighs_radians_and_millimetres_alike():
    samples = np.zeros((2, 4, 23))
    samples[1, :, column("pose_Ry")] = 0.1
    angle = metrics.diversity(samples)["pose"]
    samples = np.zeros((2, 4, 23))
    samples[1, :, column("pose_Tz")] = 10
    assert metrics.diversity(samples)["pose"] == pytest.approx(angle) == pytest.approx(1)


def test_lip_errors_one_mean_closest():
    truth = np.zeros((6, 23))
    samples = np.zeros((2, 6, 23))
    samples[0, :, LIPS], samples[1, :, LIPS] = 1, -3
    samples[:, :, column("AU12")] = 5  # not a lip attribute
    found = metrics.lip_errors(samples, truth)
    assert found == pytest.approx({"one": 2, "mean": 1, "closest": 1})
    level = np.arange(23) / 10
    assert metrics.lip_errors(samples + level, truth + level) == pytest.approx(found)
    with pytest.raises(InputError, match="6 and 5 frames"):
        metrics.lip_error(truth, truth[:5])


def test_frechet_of_gaussians():
    a = rng(10).standard_normal((20000, 3))
    b = 2 * rng(11).standard_normal((20000, 3)) + [1, 0, 0]
    # |m|^2 + sum (s_a - s_b)^2
    assert metrics.frechet(a, b) == pytest.approx(1 + 3, abs=0.1)
    assert metrics.frechet(a, a) == pytest.approx(0, abs=1e-9)
    assert metrics.frechet(a, b) == pytest.approx(metrics.frechet(b, a), rel=1e-6)


def test_frechet_equals_scipys_matrix_root():
    from scipy.linalg import sqrtm

    a, b = (
        rng(12).standard_normal((50, 4)) @ rng(13).random((4, 4)),
        rng(14).standard_normal((60, 4)),
    )
    A, B = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(A + B - 2 * sqrtm(A @ B).real)
    assert metrics.frechet(a, b) == pytest.approx(expected, rel=1e-6)


def test_frechet_of_fewer_frames_than_attributes_is_still_a_number():
    a, b = rng(18).normal(size=(2, 4, 23))  # covariances of rank 3
    with np.errstate(all="raise"):
        assert metrics.frechet(a, a) == pytest.approx(0, abs=1e-9)
        assert metrics.frechet(a, a + 2) == pytest.approx(23 * 4)
        assert metrics.frechet(a, b) > ((a.mean(0) - b.mean(0)) ** 2).sum()


def test_frechet_needs_two_rows_of_one_width():
    assert metrics.frechet(np.array([[0.0], [2.0]]), np.array([[3.0], [5.0], [4.0]])) > 8
    for a, b in (
        ((1, 2), (3, 2)),
        ((3, 2), (1, 2)),
        ((3, 2), (3, 3)),
        ((3,), (3,)),
        ((3, 2), (3, 2, 2)),
        ((3, 2, 2), (3, 2)),
    ):
        with pytest.raises(InputError, match="two sets"):
            metrics.frechet(np.zeros(a), np.zeros(b))


def test_frechet_of_animations_measures_in_the_units_of_each_attribute():
    still, t = np.zeros((40, 23)), np.arange(40.0)
    moved, going = still.copy(), still.copy()
    moved[:, [0, 17, 20]] = 1, 0.1, 10  # one unit each: an AU, an angle, a way
    going[:, 17] = 0.1 * t  # one unit in every step
    assert metrics.frechet_animation([moved, moved], [still]) == pytest.approx(
        {"frames": 3, "differences": 0}
    )
    assert metrics.frechet_animation([going], [still])["differences"] == pytest.approx(1)
    assert metrics.frechet_animation([still], [going])["differences"] == pytest.approx(1)


def test_frechet_on_differences_sees_what_frames_alone_do_not():
    smooth = np.cumsum(0.05 * rng(15).standard_normal((400, 23)), axis=0)
    shuffled = rng(16).permutation(smooth)  # the same faces in an impossible order
    found = metrics.frechet_animation([shuffled], [smooth])
    assert found["frames"] == pytest.approx(0, abs=1e-6)
    assert found["differences"] > 0.1


def test_jitter_grows_with_noise_in_its_own_group():
    Y = np.zeros((50, 23))
    Y[::2, GROUPS["pose"][0]] = 0.06
    found = metrics.jitter(Y)
    assert found["pose"] == pytest.approx(0.6 / 6) and found["lips"] == 0


def test_s_off_is_a_difference_of_lags():
    assert metrics.s_off(3, -2) == 5 and metrics.s_off(-2, 3) == 5


def test_coverage_of_the_truths_own_law_is_what_combinatorics_says():
    rng = np.random.default_rng(0)
    n, m, k = 10, 9, 3
    found = metrics.coverage(rng.normal(size=(n, 4000, 23)), rng.normal(size=(m, 4000, 23)), k)
    # none of n samples is among the k nearest of the n + m - 1 other points
    missed = np.prod([(m - 1 - i) / (n + m - 1 - i) for i in range(k)])
    assert all(value == pytest.approx(1 - missed, abs=0.02) for value in found.values())


def test_a_frozen_or_a_strange_face_covers_little():
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(8, 300, 23))
    frozen, strange = np.zeros((10, 300, 23)), rng.normal(size=(10, 300, 23)) + 9
    alike = metrics.coverage(rng.normal(size=(10, 300, 23)), draws)
    assert metrics.coverage(strange, draws)["upper"] == 0
    assert metrics.coverage(np.repeat(draws[:1], 10, axis=0), draws)["blink"] < 0.8 * alike["blink"]
    assert metrics.coverage(frozen, 5 + draws)["pose"] < alike["pose"]
    metrics.coverage(frozen, draws[:4])  # each draw has three others
    with pytest.raises(InputError):
        metrics.coverage(frozen, draws[:3])


def test_coverage_forgives_a_step_of_openfaces_precision_in_every_attribute_and_no_more():
    # the truth may do one thing alone
    draws = np.repeat(rng(20).normal(size=(1, 30, 23)), 5, axis=0)
    step = np.r_[np.full(17, 0.01), np.full(3, 0.001), np.full(3, 0.1)]
    for share, covered in ((0, 1), (0.99, 1), (1.05, 0)):
        assert set(metrics.coverage(draws[:2] + share * step, draws).values()) == {covered}


def test_dynamics_are_compared_with_their_sign():
    t = np.linspace(0, 20, 400)
    truth = np.zeros((400, 23))
    level = np.linspace(1, 4, len(UPPER))  # where an AU dwells is not how much it moves
    truth[:, UPPER] = level + np.sin(t)[:, None]
    half, still = truth.copy(), np.arange(23) * np.ones((400, 1)) / 10
    half[:, UPPER] = level + np.sin(t)[:, None] / 2
    spread = np.sin(t).std()
    assert metrics.dynamics_deviation(half, truth) == pytest.approx(-spread / 2)
    assert metrics.dynamics_deviation(still, truth) == pytest.approx(-spread)
    assert metrics.dynamics_deviation(truth, half) == pytest.approx(spread / 2)


def eyes(left=9.0, right=9.0, frames=100):
    """Landmarks (frames, 468, 3) of two eyes 30 px wide, lids so far apart; all else, and depth, is
    noise."""
    L = rng(19).normal(size=(frames, 468, 3)) * 50
    for corner, x in ((33, 0), (133, 30), (362, 60), (263, 90)):
        L[:, corner, :2] = (x, 0)
    for upper, lower, x, gap in ((159, 145, 15, left), (386, 374, 75, right)):
        L[:, [upper, lower], 0], L[:, upper, 1], L[:, lower, 1] = x, 0, gap
    return L


def closing(least, frames=100):
    gap = np.full(frames, 9.0)
    gap[20:24] = gap[70:74] = least
    return gap


def test_blinks_are_counted_from_eyelids_whatever_the_size_and_tilt_of_the_face():
    gap = closing(1.0)
    L = eyes(gap, gap)
    assert metrics.ebr_from_landmarks(L) == 0.5 and metrics.ebr_from_landmarks(L, fps=50) == 1
    turn = np.array([[0.6, -0.8, 0], [0.8, 0.6, 0], [0, 0, 1]])
    assert metrics.ebr_from_landmarks(0.3 * L @ turn + 40) == 0.5
    L[40:43] = np.nan  # frames without a face are no blinks
    assert metrics.ebr_from_landmarks(L) == 0.5
    with pytest.raises(InputError):
        metrics.ebr_from_landmarks(np.full((9, 468, 3), np.nan))


def test_a_face_that_goes_away_for_a_moment_does_not_blink():
    L = eyes()
    L[40:46] *= 0.3
    assert metrics.ebr_from_landmarks(L) == 0


def test_lids_count_by_the_share_of_the_eyes_own_opening_they_cover():
    # intensity is 5 times the share, a blink begins at 1
    for share, blinks in ((0.18, 0), (0.22, 0.5)):
        gap = closing(9 * (1 - share))
        assert metrics.ebr_from_landmarks(eyes(gap, gap)) == blinks
    # both eyes together: one alone must close twice as far
    for share, blinks in ((0.36, 0), (0.44, 0.5)):
        gap = closing(9 * (1 - share))
        assert (
            metrics.ebr_from_landmarks(eyes(left=gap))
            == metrics.ebr_from_landmarks(eyes(right=gap))
            == blinks
        )
