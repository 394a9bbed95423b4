"""Exercises of chapters 00 to 02, what goes in: frames, loudness, files, bins. Used as
`checks.<name>`.

Notebook: 00_tour, 01_features, 02_discretization.
"""

from typing import Callable

import numpy as np

from .judging import exercise, judge

# --------------------------------------------------------------------------------------------------


@exercise("00_tour", 1)
def frames_of(function: Callable) -> str:
    """frames_of(n_samples) -> number of video frames that cover 16 kHz speech: ceil(N / 640)."""
    return judge(
        function,
        lambda n: -(-n // 640),
        [(n,) for n in (640, 641, 1279, 16000, 80001, 1)],
        [
            (
                "the last, partly filled frame is lost: round up, so that every sample has a frame",
                lambda n: n // 640,
            ),
            (
                "rounding to the nearest loses a frame that is less than half full: round up",
                lambda n: round(n / 640),
            ),
            (
                "a clip that fills its frames exactly gets one too many: n // 640 + 1 is not rounding up",
                lambda n: n // 640 + 1,
            ),
            ("a number of frames is whole: round up", lambda n: n / 640),
            (
                "these are mel frames, one per 160 samples: a video frame has four of them",
                lambda n: -(-n // 160),
            ),
            (
                "25 frames make a second, so one frame has 16000 / 25 = 640 samples, not 25",
                lambda n: -(-n // 25),
            ),
        ],
        "640 samples a frame, and the last frame may be partly filled",
    )


@exercise("00_tour", 2)
def draw_bin(function: Callable) -> str:
    """draw_bin(p, u) -> the bin that a uniform number u in 0..1 draws: the first whose running
    total of p exceeds u."""
    some = np.array([0.1, 0.4, 0.3, 0.2])
    cases = [(some, u) for u in (0.05, 0.15, 0.45, 0.62, 0.95)] + [
        (np.array([0, 0.5, 0.25, 0.25]), 0.3)
    ]

    def right(p, u):
        return int((np.cumsum(p) <= u).sum())

    return judge(
        function,
        right,
        cases,
        [
            (
                "the likeliest bin wins whatever u is: every run would be the same face",
                lambda p, u: int(np.argmax(p)),
            ),
            (
                "all bins are equally likely here: u must meet the running total of p",
                lambda p, u: int(u * len(p)),
            ),
            (
                "u is compared with single likelihoods: compare it with their running total",
                lambda p, u: int(np.argmax(p > u)),
            ),
            (
                "one bin too low: it is the first whose running total exceeds u",
                lambda p, u: right(p, u) - 1,
            ),
            ("one bin too high: bins count from 0", lambda p, u: right(p, u) + 1),
            (
                "that is the running total, not the bin where it exceeds u",
                lambda p, u: float(np.cumsum(p)[right(p, u)]),
            ),
            (
                "the running total comes from the wrong end: add up from bin 0",
                lambda p, u: len(p) - 1 - right(p[::-1], u),
            ),
            (
                "u does nothing but choose between the first and the last bin",
                lambda p, u: 0 if u < 0.5 else len(p) - 1,
            ),
        ],
        "each bin is drawn as often as its likelihood says",
    )


@exercise("00_tour", 3)
def agreement(function: Callable) -> str:
    """agreement(a, b) -> correlation r of two tracks (T,): 1 if they rise and fall together, 0 if
    unrelated."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=60)
    cases = [
        (a, 2 * a + 5),
        (a + 3, rng.normal(size=60) + 3),
        (a, 0.3 * rng.normal(size=60) - a),
        (20 * a, a + a**3),
    ]

    def apart(a, b):
        return a - a.mean(), b - b.mean()

    def covariance(a, b, less=0):
        return (apart(a, b)[0] * apart(a, b)[1]).sum() / (len(a) - less)

    def right(a, b):
        return covariance(a, b) / (a.std() * b.std())

    return judge(
        function,
        right,
        cases,
        [
            (
                "that is the covariance: divide by both spreads, or millimetres would agree more than radians",
                covariance,
            ),
            (
                "that is the covariance: divide by both spreads, or millimetres would agree more than radians",
                lambda a, b: covariance(a, b, 1),
            ),
            (
                "the means were left in: two tracks that hover about 3 would always agree",
                lambda a, b: (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()),
            ),
            (
                "the means were left in: two tracks that hover about 3 would always agree",
                lambda a, b: (a * b).mean() / (a.std() * b.std()),
            ),
            (
                "the sign is lost: a track and its mirror image do not agree",
                lambda a, b: abs(right(a, b)),
            ),
            (
                "the sign is lost: a track and its mirror image do not agree",
                lambda a, b: right(a, b) ** 2,
            ),
            (
                "the covariance divides by T - 1 and the spreads by T: take one of them for both",
                lambda a, b: covariance(a, b, 1) / (a.std() * b.std()),
            ),
            (
                "variances stand where spreads belong: take their roots",
                lambda a, b: covariance(a, b) / (a.var() * b.var()),
            ),
            (
                "that is a distance, 0 for equal tracks: agreement is 1 for them",
                lambda a, b: np.abs(a - b).mean(),
            ),
            (
                "that is the whole 2 x 2 table: r is its element [0, 1]",
                lambda a, b: np.corrcoef(a, b),
            ),
        ],
        "means off, spreads divided out: units do not matter",
    )


# --------------------------------------------------------------------------------------------------


@exercise("01_features", 2)
def window_of(function: Callable) -> str:
    """window_of(t) -> the 20 mel frames 4t-8 .. 4t+11 that frame t hears."""

    def span(a, b):
        return lambda t: np.arange(4 * t + a, 4 * t + b)

    return judge(
        function,
        span(-8, 12),
        [(2,), (17,), (100,)],
        [
            (
                "the window starts with the frame: it should reach as far before the frame as after it",
                span(0, 20),
            ),
            ("the window only looks back: half of it should come after the frame", span(-16, 4)),
            (
                "it is centred on the frame's start, not on its middle two mel frames later",
                span(-10, 10),
            ),
            ("it is one mel frame late: the first one is 4t - 8", span(-7, 13)),
            ("it has 21 mel frames: the last one is 4t + 11", span(-8, 13)),
            (
                "a video frame advances four mel frames: multiply t by 4",
                lambda t: np.arange(t - 8, t + 12),
            ),
        ],
        "20 mel frames, 0.2 s about the middle of the frame",
    )


@exercise("01_features", 1)
def same_loudness(function: Callable) -> str:
    """same_loudness(x) -> the wave x (N,), float or int16, scaled to a root mean square of 0.1."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=400)
    cases = [
        (x,),
        (0.02 * x + 0.05,),
        (np.round(9000 * np.sin(np.arange(400) / 7)).astype(np.int16),),
    ]

    def scaled(level, target=0.1):
        return lambda x: np.asarray(x, float) * target / level(np.asarray(x, float))

    def rms(x):
        return np.sqrt(np.mean(x**2))

    return judge(
        function,
        scaled(rms),
        cases,
        [
            (
                "squares of int16 wrap around above 32767: turn the wave into float first",
                lambda x: x * 0.1 / np.sqrt(np.mean(x**2)),
            ),
            (
                "that is the same peak, not the same loudness: one click decides it",
                scaled(lambda x: np.abs(x).max()),
            ),
            (
                "that is the mean of absolute values: a root mean square asks for squares",
                scaled(lambda x: np.abs(x).mean()),
            ),
            ("the root is missing: mean(x^2) is a power", scaled(lambda x: np.mean(x**2))),
            (
                "the squares are summed: a longer recording would become quieter",
                scaled(lambda x: np.sqrt(np.sum(x**2))),
            ),
            (
                "the standard deviation takes the mean off first: root mean square does not",
                scaled(np.std),
            ),
            ("the level is 1: it should be 0.1", scaled(rms, 1.0)),
            (
                "that is the factor, not the wave: multiply",
                lambda x: 0.1 / rms(np.asarray(x, float)),
            ),
            (
                "the factor is upside down: a quiet wave must become louder",
                lambda x: np.asarray(x, float) * rms(np.asarray(x, float)) / 0.1,
            ),
        ],
        "a whisper and a shout give one picture",
    )


@exercise("01_features", 3)
def repair(function: Callable) -> str:
    """repair(values, success) -> values (T,) where frames with success 0 lie on the line between
    their valid neighbours; at the ends the nearest valid value."""
    values, rng = np.array([0.0, 1, 9, 9, 4, 2]), np.random.default_rng(3)
    cases = [
        (values, np.array([1, 1, 0, 0, 1, 1])),
        (values[::-1].copy(), np.array([0, 1, 1, 0, 1, 0])),
        (rng.random(12), (rng.random(12) < 0.6).astype(int)),
    ]

    def good(success):
        return np.flatnonzero(np.asarray(success) == 1)

    def right(y, success):
        return np.interp(np.arange(len(y)), good(success), y[good(success)])

    def held(y, success):
        before = [
            max(good(success)[good(success) <= t], default=good(success)[0]) for t in range(len(y))
        ]
        return y[np.array(before)]

    def nearest(y, success):
        return y[
            np.array([good(success)[np.abs(good(success) - t).argmin()] for t in range(len(y))])
        ]

    return judge(
        function,
        right,
        cases,
        [
            ("failed frames still hold their meaningless numbers", lambda y, s: y),
            (
                "failed frames are 0 now, a real value: take the line between their neighbours",
                lambda y, s: np.where(s, y, 0),
            ),
            (
                "failed frames hold the mean of the clip: take the line between their neighbours",
                lambda y, s: np.where(s, y, y[good(s)].mean()),
            ),
            (
                "failed frames hold the last valid value, and jump to the next: take the line between both",
                held,
            ),
            (
                "failed frames take the nearest value, and jump half-way: take the line between both",
                nearest,
            ),
            (
                "failed frames are gone: every later frame slips against the sound",
                lambda y, s: y[good(s)],
            ),
            (
                "it is the other way round: success 1 means a valid frame",
                lambda y, s: right(y, 1 - np.asarray(s)),
            ),
            (
                "failed frames are NaN: the first loss of a training will be NaN, too",
                lambda y, s: np.where(s, y, np.nan),
            ),
        ],
        "as many frames as before, and none invented at the ends",
    )


# --------------------------------------------------------------------------------------------------


@exercise("02_discretization", 1)
def encode(function: Callable) -> str:
    """encode(y, centroids) -> for each value (N,) the index of the nearest centroid (D,). Eq. 2."""
    rng = np.random.default_rng(2)
    cases = [
        (rng.uniform(0, 5, 40), 0.05 + 0.1 * np.arange(50)),
        (rng.normal(0, 0.1, 30), np.linspace(-0.2, 0.2, 21)),
    ]

    def distance(y, c):
        return np.abs(np.asarray(y)[:, None] - np.asarray(c)[None, :])  # (N, D)

    return judge(
        function,
        lambda y, c: distance(y, c).argmin(1),
        cases,
        [
            (
                "that is the farthest centroid: Eq. 2 takes the arg min",
                lambda y, c: distance(y, c).argmax(1),
            ),
            (
                "these are the centroids' values: y_bar is the index d",
                lambda y, c: c[distance(y, c).argmin(1)],
            ),
            (
                "these are the distances: y_bar is where the smallest one stands",
                lambda y, c: distance(y, c).min(1),
            ),
            (
                "there is one index per centroid, not one per value: arg min goes over the bins",
                lambda y, c: distance(y, c).argmin(0),
            ),
            (
                "the difference lost its absolute value: the largest centroid always wins",
                lambda y, c: (y[:, None] - c[None, :]).argmin(1),
            ),
            (
                "bins count from 0: every index is one too large",
                lambda y, c: distance(y, c).argmin(1) + 1,
            ),
            (
                "that is the nearest centroid below the value, not the nearest one",
                lambda y, c: (np.searchsorted(c, y) - 1).clip(0),
            ),
            (
                "that is the nearest centroid above the value, not the nearest one",
                lambda y, c: np.searchsorted(c, y).clip(0, len(c) - 1),
            ),
        ],
        "the index of the nearest centroid, Eq. 2",
    )


@exercise("02_discretization", 2)
def decode(function: Callable) -> str:
    """decode(y_bar, low, high, D) -> the centroid of each bin y_bar (N,), D equal bins from low to
    high. Eq. 4."""
    rng = np.random.default_rng(4)
    cases = [
        (np.array([0, 1, 4]), 0.0, 5.0, 5),
        (rng.integers(0, 500, 30), 0.0, 5.0, 500),
        (rng.integers(0, 40, 30), -0.2, 0.3, 40),
    ]

    def at(place):
        return lambda y, low, high, D: low + (np.asarray(y) + place) * (high - low) / D

    return judge(
        function,
        at(0.5),
        cases,
        [
            ("these are the lower edges: every face comes out half a bin too weak, add 0.5", at(0)),
            ("these are the upper edges: the centroid lies half a bin above the lower one", at(1)),
            (
                "the range's beginning is missing: add low",
                lambda y, low, high, D: (np.asarray(y) + 0.5) * (high - low) / D,
            ),
            (
                "D points from low to high have their ends on the ends: centroids start half a bin inside",
                lambda y, low, high, D: np.linspace(low, high, D)[y],
            ),
            (
                "D bins have a width of (high - low) / D, not / (D - 1)",
                lambda y, low, high, D: low + (np.asarray(y) + 0.5) * (high - low) / (D - 1),
            ),
            (
                "the width is that of a range from 0 to high: take high - low",
                lambda y, low, high, D: low + (np.asarray(y) + 0.5) * high / D,
            ),
            (
                "these are still bins: multiply by their width",
                lambda y, low, high, D: np.asarray(y),
            ),
            (
                "that is Eq. 2, from values to bins: Eq. 4 goes back",
                lambda y, low, high, D: np.floor((np.asarray(y) - low) / (high - low) * D),
            ),
        ],
        "the middle of each bin, Eq. 4",
    )


@exercise("02_discretization", 3)
def next_bin(function: Callable) -> str:
    """next_bin(y_bar, D) -> (D, D): row d is the share of each bin among those that follow bin d in
    the track y_bar (T,); a row of zeros where d never comes, or is followed by nothing."""
    rng = np.random.default_rng(5)
    cases = [
        (np.array([0, 0, 1, 0, 0, 2, 2, 0]), 4),
        (rng.integers(0, 5, 60), 5),
        (np.arange(4), 4),
    ]

    def counts(y, D, step=1, wrap=False):
        table = np.zeros((D, D))
        pairs = (y, np.roll(y, -1)) if wrap else (y[:-step], y[step:])
        np.add.at(table, pairs, 1)
        return table

    def shares(table, axis=1):
        return table / table.sum(axis, keepdims=True).clip(1)

    return judge(
        function,
        lambda y, D: shares(counts(y, D)),
        cases,
        [
            ("these are counts: divide each row by its sum", counts),
            (
                "rows and columns are exchanged: a row is where the track comes from",
                lambda y, D: shares(counts(y, D)).T,
            ),
            (
                "columns sum to 1: divide each row by its sum, the next bin is what varies",
                lambda y, D: shares(counts(y, D), axis=0),
            ),
            (
                "the whole table sums to 1: that is how often a pair comes, divide each row by its own sum",
                lambda y, D: counts(y, D) / (len(y) - 1),
            ),
            (
                "the rows are those of the bin that comes after: a row is where the track comes from",
                lambda y, D: shares(counts(y, D).T),
            ),
            (
                "the last frame is followed by the first: the track does not close",
                lambda y, D: shares(counts(y, D, wrap=True)),
            ),
            ("these are pairs two frames apart", lambda y, D: shares(counts(y, D, step=2))),
            (
                "rows that were never visited are NaN: leave them 0",
                lambda y, D: np.where(
                    counts(y, D).sum(1, keepdims=True) > 0, shares(counts(y, D)), np.nan
                ),
            ),
            (
                "rows that were never visited are uniform: nothing was counted there, leave them 0",
                lambda y, D: np.where(
                    counts(y, D).sum(1, keepdims=True) > 0, shares(counts(y, D)), 1 / D
                ),
            ),
            (
                "every bin follows every other equally often: this is the share of bins, whatever came before",
                lambda y, D: np.tile(np.bincount(y[1:], minlength=D) / (len(y) - 1), (D, 1)),
            ),
        ],
        "each row that was visited sums to 1: the simplest model of the kind that Eq. 3 asks for",
    )
