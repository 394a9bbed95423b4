"""Exercises of chapter 00: frames of a speech, a draw from likelihoods, agreement of two tracks.

Notebook: 00_tour.
"""

from typing import Callable

import numpy as np

from .judging import exercise, judge

# ---- exercise 1: how many video frames cover a speech? -------------------------------------------

FRAMES_OF_MISTAKES = [
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
]


@exercise("00_tour", 1)
def frames_of(function: Callable) -> str:
    """frames_of(n_samples) -> number of video frames that cover 16 kHz speech: ceil(N / 640)."""
    return judge(
        function,
        right=lambda n: -(-n // 640),
        cases=[(n,) for n in (640, 641, 1279, 16000, 80001, 1)],
        mistakes=FRAMES_OF_MISTAKES,
        praise="640 samples a frame, and the last frame may be partly filled",
    )


# ---- exercise 2: which bin does a uniform number draw? -------------------------------------------


def drawn_bin(p: np.ndarray, u: float) -> int:
    """The first bin whose running total exceeds u."""
    return int((np.cumsum(p) <= u).sum())


DRAW_BIN_MISTAKES = [
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
        lambda p, u: drawn_bin(p, u) - 1,
    ),
    ("one bin too high: bins count from 0", lambda p, u: drawn_bin(p, u) + 1),
    (
        "that is the running total, not the bin where it exceeds u",
        lambda p, u: float(np.cumsum(p)[drawn_bin(p, u)]),
    ),
    (
        "the running total comes from the wrong end: add up from bin 0",
        lambda p, u: len(p) - 1 - drawn_bin(p[::-1], u),
    ),
    (
        "u does nothing but choose between the first and the last bin",
        lambda p, u: 0 if u < 0.5 else len(p) - 1,
    ),
]


@exercise("00_tour", 2)
def draw_bin(function: Callable) -> str:
    """draw_bin(p, u) -> the bin that a uniform number u in 0..1 draws from likelihoods p (D,).

    It is the first bin whose running total of p exceeds u.
    """
    four = np.array([0.1, 0.4, 0.3, 0.2])
    first_is_impossible = np.array([0, 0.5, 0.25, 0.25])
    return judge(
        function,
        right=drawn_bin,
        cases=[(four, u) for u in (0.05, 0.15, 0.45, 0.62, 0.95)] + [(first_is_impossible, 0.3)],
        mistakes=DRAW_BIN_MISTAKES,
        praise="each bin is drawn as often as its likelihood says",
    )


# ---- exercise 3: do two tracks rise and fall together? -------------------------------------------


def covariance(a: np.ndarray, b: np.ndarray, less: int = 0) -> float:
    """The covariance of two tracks (T,), divided by T - less."""
    return ((a - a.mean()) * (b - b.mean())).sum() / (len(a) - less)


def pearson(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's r of two tracks (T,)."""
    return covariance(a, b) / (a.std() * b.std())


AGREEMENT_MISTAKES = [
    (
        "that is the covariance: divide by both spreads, "
        "or millimetres would agree more than radians",
        covariance,
    ),
    (
        "that is the covariance: divide by both spreads, "
        "or millimetres would agree more than radians",
        lambda a, b: covariance(a, b, less=1),
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
        lambda a, b: abs(pearson(a, b)),
    ),
    (
        "the sign is lost: a track and its mirror image do not agree",
        lambda a, b: pearson(a, b) ** 2,
    ),
    (
        "the covariance divides by T - 1 and the spreads by T: take one of them for both",
        lambda a, b: covariance(a, b, less=1) / (a.std() * b.std()),
    ),
    (
        "variances stand where spreads belong: take their roots",
        lambda a, b: covariance(a, b) / (a.var() * b.var()),
    ),
    (
        "that is a distance, 0 for equal tracks: agreement is 1 for them",
        lambda a, b: np.abs(a - b).mean(),
    ),
    ("that is the whole 2 x 2 table: r is its element [0, 1]", np.corrcoef),
]


@exercise("00_tour", 3)
def agreement(function: Callable) -> str:
    """agreement(a, b) -> correlation r of two tracks (T,).

    It is 1 if they rise and fall together, and 0 if they are unrelated.
    """
    rng = np.random.default_rng(0)
    a = rng.normal(size=60)
    cases = [
        (a, 2 * a + 5),
        (a + 3, rng.normal(size=60) + 3),
        (a, 0.3 * rng.normal(size=60) - a),
        (20 * a, a + a**3),
    ]
    return judge(
        function,
        right=pearson,
        cases=cases,
        mistakes=AGREEMENT_MISTAKES,
        praise="means off, spreads divided out: units do not matter",
    )
