"""Exercises of chapter 06: PSNR, LMD, and by how much two tracks are apart in time.

Notebook: 06_evaluation.
"""

from typing import Callable

import numpy as np

from .judging import exercise, judge

# ---- exercise 1: PSNR ----------------------------------------------------------------------------


def mse(a: np.ndarray, b: np.ndarray) -> float:
    """Mean squared error of two pictures, computed in float."""
    return np.mean((a.astype(float) - b.astype(float)) ** 2)


def decibels(ratio: float) -> float:
    """A ratio of powers in dB."""
    return 10 * np.log10(ratio)


PSNR_MISTAKES = [
    (
        "the subtraction is done in uint8 and wraps around (3 - 5 = 254): convert to float first",
        lambda a, b: decibels(255**2 / np.mean((a - b).astype(float) ** 2)),
    ),
    (
        "subtraction and square are done in uint8 and wrap around: convert to float first",
        lambda a, b: decibels(255**2 / np.mean((a - b) ** 2)),
    ),
    (
        "the peak is 1, but these pictures go to 255",
        lambda a, b: decibels(1 / mse(a, b)),
    ),
    (
        "20 log10 is for amplitudes: the MSE is already squared, so 10 log10",
        lambda a, b: 20 * np.log10(255**2 / mse(a, b)),
    ),
    (
        "that is the natural logarithm: decibels are 10 log10",
        lambda a, b: 10 * np.log(255**2 / mse(a, b)),
    ),
    (
        "the squared errors are summed: take their mean",
        lambda a, b: decibels(255**2 / (mse(a, b) * a.size)),
    ),
    (
        "the ratio is upside down: a better picture has a higher PSNR",
        lambda a, b: decibels(mse(a, b) / 255**2),
    ),
    (
        "255 is not squared: peak and error must both be powers",
        lambda a, b: decibels(255 / mse(a, b)),
    ),
]


@exercise("06_evaluation", 1)
def psnr(function: Callable) -> str:
    """psnr(a, b) -> peak signal-to-noise ratio in dB of two uint8 pictures."""
    rng = np.random.default_rng(6)
    a = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    b = rng.integers(0, 256, a.shape, dtype=np.uint8)
    darker = a // 2
    return judge(
        function,
        right=lambda a, b: decibels(255**2 / mse(a, b)),
        cases=[(a, b), (a, darker), (darker, a)],
        mistakes=PSNR_MISTAKES,
        praise="10 log10(peak^2 / MSE), in float",
    )


# ---- exercise 2: LMD -----------------------------------------------------------------------------


def centred(mouth: np.ndarray, axis: int | tuple = 1) -> np.ndarray:
    """Points (T, 20, 2) with their mean over an axis taken off; axis 1 is the mouth's centre."""
    return mouth - mouth.mean(axis, keepdims=True)


def length(d: np.ndarray) -> np.ndarray:
    """Lengths (T, 20) of differences (T, 20, 2)."""
    return np.sqrt((d**2).sum(-1))


def offsets(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How the points of two mouths differ, each about its own centre, (T, 20, 2)."""
    return centred(a) - centred(b)


LMD_MISTAKES = [
    (
        "the centres are still in: a head that moves would cost as much as lips",
        lambda a, b: length(a - b).mean(),
    ),
    (
        "one centre serves all frames: each frame's mouth has its own",
        lambda a, b: length(centred(a, (0, 1)) - centred(b, (0, 1))).mean(),
    ),
    (
        "the mean over time was taken off, not the mouth's centre: average over the points, axis 1",
        lambda a, b: length(centred(a, 0) - centred(b, 0)).mean(),
    ),
    (
        "the 20 points are summed: that number is 20 times as large",
        lambda a, b: length(offsets(a, b)).sum(1).mean(),
    ),
    ("frames and points are summed: take the mean", lambda a, b: length(offsets(a, b)).sum()),
    (
        "these are squared distances: take the root",
        lambda a, b: (offsets(a, b) ** 2).sum(-1).mean(),
    ),
    (
        "x and y are averaged apart: a distance is a root of the sum of squares",
        lambda a, b: np.abs(offsets(a, b)).mean(),
    ),
    (
        "x and y are added as absolute values: a distance is a root of the sum of squares",
        lambda a, b: np.abs(offsets(a, b)).sum(-1).mean(),
    ),
    (
        "the root was taken after the mean: that lets one bad point weigh more",
        lambda a, b: np.sqrt((offsets(a, b) ** 2).sum(-1).mean()),
    ),
]


@exercise("06_evaluation", 2)
def lmd(function: Callable) -> str:
    """lmd(a, b) -> mean distance of the points of two mouths (T, 20, 2).

    Each frame's mouth centre is taken off first.
    """
    rng = np.random.default_rng(10)

    def case(T):
        a = rng.normal(size=(T, 20, 2)) * 8 + rng.normal(size=(T, 1, 2)) * 30
        b = a + rng.normal(size=(T, 20, 2)) + rng.normal(size=(T, 1, 2)) * 10
        return a, b

    return judge(
        function,
        right=lambda a, b: length(offsets(a, b)).mean(),
        cases=[case(4), case(1), case(9)],
        mistakes=LMD_MISTAKES,
        praise="what the mouth does, wherever it is",
    )


# ---- exercise 3: the lag between two tracks ------------------------------------------------------


def correlations(a: np.ndarray, b: np.ndarray, most: int) -> np.ndarray:
    """r of a[t] and b[t + s] for the shifts s = -most .. most, (2 * most + 1,)."""
    r = []
    for s in range(-most, most + 1):
        if s >= 0:
            early, late = a[: len(a) - s], b[s:]
        else:
            early, late = a[-s:], b[: len(b) + s]
        r.append(np.corrcoef(early, late)[0, 1])
    return np.array(r)


def lag(a: np.ndarray, b: np.ndarray, most: int) -> int:
    """By how many frames b comes after a."""
    return int(correlations(a, b, most).argmax()) - most


FIND_LAG_MISTAKES = [
    (
        "the sign is turned: positive means that b is late",
        lambda a, b, most: -lag(a, b, most),
    ),
    (
        "that is the place in the list of shifts: the list begins at -most",
        lambda a, b, most: lag(a, b, most) + most,
    ),
    (
        "the sign is lost: early and late are two faults",
        lambda a, b, most: abs(lag(a, b, most)),
    ),
    (
        "that is the shift where they agree least: take the highest correlation",
        lambda a, b, most: int(correlations(a, b, most).argmin()) - most,
    ),
    (
        "only late shifts were tried: b may also be early",
        lambda a, b, most: int(correlations(a, b, most)[most:].argmax()),
    ),
    (
        "off by one: shift 0 stands in the middle of the list, at place `most`",
        lambda a, b, most: lag(a, b, most) + 1,
    ),
    (
        "off by one: shift 0 stands in the middle of the list, at place `most`",
        lambda a, b, most: lag(a, b, most) - 1,
    ),
    (
        "that is the correlation at the best shift: the lag is the shift itself",
        lambda a, b, most: correlations(a, b, most).max(),
    ),
    ("these are seconds: give frames", lambda a, b, most: lag(a, b, most) / 25),
]


@exercise("06_evaluation", 3)
def find_lag(function: Callable) -> str:
    """find_lag(a, b, most) -> by how many frames b comes after a, from -most to most.

    That is the shift at which the two tracks correlate best.
    """
    rng = np.random.default_rng(11)

    def case(frames_late, most):
        x = rng.normal(size=80)
        a = x[20:60]
        b = x[20 - frames_late : 60 - frames_late] * 2 + 1  # units of its own
        return a, b, most

    return judge(
        function,
        right=lag,
        cases=[case(3, 8), case(-4, 8), case(0, 8), case(7, 12)],
        mistakes=FIND_LAG_MISTAKES,
        praise="found to the frame, early or late",
    )
