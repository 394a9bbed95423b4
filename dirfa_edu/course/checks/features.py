"""Exercises of chapter 01: loudness, the window of a frame, failed frames of a tracker.

Notebook: 01_features.
"""

from typing import Callable

import numpy as np

from .judging import exercise, judge

# ---- exercise 1: a whisper and a shout, equally loud ---------------------------------------------


def rms(x: np.ndarray) -> float:
    """Root mean square of a wave (N,) of floats."""
    return np.sqrt(np.mean(x**2))


def scaled(level: Callable, target: float = 0.1) -> Callable:
    """An answer that brings whatever `level` measures of a wave to `target`."""

    def answer(x):
        x = np.asarray(x, float)
        return x * target / level(x)

    return answer


SAME_LOUDNESS_MISTAKES = [
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
    ("the level is 1: it should be 0.1", scaled(rms, target=1.0)),
    (
        "that is the factor, not the wave: multiply",
        lambda x: 0.1 / rms(np.asarray(x, float)),
    ),
    (
        "the factor is upside down: a quiet wave must become louder",
        lambda x: np.asarray(x, float) * rms(np.asarray(x, float)) / 0.1,
    ),
]


@exercise("01_features", 1)
def same_loudness(function: Callable) -> str:
    """same_loudness(x) -> the wave x (N,), float or int16, scaled to a root mean square of 0.1."""
    x = np.random.default_rng(1).normal(size=400)
    quiet_and_off_centre = 0.02 * x + 0.05
    integers = np.round(9000 * np.sin(np.arange(400) / 7)).astype(np.int16)
    return judge(
        function,
        right=scaled(rms),
        cases=[(x,), (quiet_and_off_centre,), (integers,)],
        mistakes=SAME_LOUDNESS_MISTAKES,
        praise="a whisper and a shout give one picture",
    )


# ---- exercise 2: which mel frames does frame t hear? ---------------------------------------------


def span(first: int, last: int) -> Callable:
    """An answer: the mel frames 4t + first .. 4t + last - 1."""
    return lambda t: np.arange(4 * t + first, 4 * t + last)


WINDOW_OF_MISTAKES = [
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
]


@exercise("01_features", 2)
def window_of(function: Callable) -> str:
    """window_of(t) -> the 20 mel frames 4t-8 .. 4t+11 that frame t hears."""
    return judge(
        function,
        right=span(-8, 12),
        cases=[(2,), (17,), (100,)],
        mistakes=WINDOW_OF_MISTAKES,
        praise="20 mel frames, 0.2 s about the middle of the frame",
    )


# ---- exercise 3: frames in which the tracker lost the face ---------------------------------------


def valid(success: np.ndarray) -> np.ndarray:
    """The numbers of the frames whose success is 1."""
    return np.flatnonzero(np.asarray(success) == 1)


def repaired(y: np.ndarray, success: np.ndarray) -> np.ndarray:
    """Failed frames on the line between their valid neighbours."""
    good = valid(success)
    return np.interp(np.arange(len(y)), good, y[good])


def last_valid(y: np.ndarray, success: np.ndarray) -> np.ndarray:
    """Each frame holds the last valid value before it; the first ones hold the first valid one."""
    good = valid(success)
    before = [max(good[good <= t], default=good[0]) for t in range(len(y))]
    return y[np.array(before)]


def nearest_valid(y: np.ndarray, success: np.ndarray) -> np.ndarray:
    """Each frame holds the value of the valid frame nearest to it."""
    good = valid(success)
    nearest = [good[np.abs(good - t).argmin()] for t in range(len(y))]
    return y[np.array(nearest)]


REPAIR_MISTAKES = [
    ("failed frames still hold their meaningless numbers", lambda y, s: y),
    (
        "failed frames are 0 now, a real value: take the line between their neighbours",
        lambda y, s: np.where(s, y, 0),
    ),
    (
        "failed frames hold the mean of the clip: take the line between their neighbours",
        lambda y, s: np.where(s, y, y[valid(s)].mean()),
    ),
    (
        "failed frames hold the last valid value, and jump to the next: take the line between both",
        last_valid,
    ),
    (
        "failed frames take the nearest value, and jump half-way: take the line between both",
        nearest_valid,
    ),
    (
        "failed frames are gone: every later frame slips against the sound",
        lambda y, s: y[valid(s)],
    ),
    (
        "it is the other way round: success 1 means a valid frame",
        lambda y, s: repaired(y, 1 - np.asarray(s)),
    ),
    (
        "failed frames are NaN: the first loss of a training will be NaN, too",
        lambda y, s: np.where(s, y, np.nan),
    ),
]


@exercise("01_features", 3)
def repair(function: Callable) -> str:
    """repair(values, success) -> values (T,) without the numbers of failed frames (success 0).

    A failed frame lies on the line between its valid neighbours; at the ends it holds the nearest
    valid value.
    """
    rng = np.random.default_rng(3)
    values = np.array([0.0, 1, 9, 9, 4, 2])
    cases = [
        (values, np.array([1, 1, 0, 0, 1, 1])),
        (values[::-1].copy(), np.array([0, 1, 1, 0, 1, 0])),  # the ends are failed, too
        (rng.random(12), (rng.random(12) < 0.6).astype(int)),
    ]
    return judge(
        function,
        right=repaired,
        cases=cases,
        mistakes=REPAIR_MISTAKES,
        praise="as many frames as before, and none invented at the ends",
    )
