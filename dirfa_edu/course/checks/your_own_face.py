"""Exercises of chapter 07: pose about neutral, another frame rate, a pinned attribute.

Notebook: 07_your_own_face.
"""

from typing import Callable

import numpy as np

from .judging import exercise, judge

# ---- exercise 1: pose about the clip's neutral ---------------------------------------------------

COLUMN = np.arange(23)
IS_POSE = COLUMN >= 17  # the last six columns
IS_TRANSLATION = COLUMN >= 20
IS_ROTATION = IS_POSE & ~IS_TRANSLATION


def median(Y: np.ndarray) -> np.ndarray:
    """The median of each column, (23,)."""
    return np.median(Y, axis=0)


def less(statistic: Callable, columns: np.ndarray = IS_POSE) -> Callable:
    """An answer that takes a statistic of Y off some columns."""
    return lambda Y: Y - np.where(columns, statistic(Y), 0)


RELATIVE_POSE_MISTAKES = [
    (
        "that is the mean: one long look aside would tilt the neutral, take the median",
        less(lambda Y: Y.mean(axis=0)),
    ),
    (
        "the AUs moved too: only the last six columns are pose",
        less(median, columns=np.full(23, True)),
    ),
    (
        "the first frame is taken for neutral: people rarely start in their neutral pose",
        less(lambda Y: Y[0]),
    ),
    (
        "translation is still absolute: there are six pose columns",
        less(median, columns=IS_ROTATION),
    ),
    (
        "rotation is still absolute: there are six pose columns",
        less(median, columns=IS_TRANSLATION),
    ),
    (
        "one number is taken off all pose columns: each column has its own median",
        less(lambda Y: np.median(Y[:, IS_POSE])),
    ),
    (
        "the median is added: it should be taken off",
        lambda Y: Y + np.where(IS_POSE, median(Y), 0),
    ),
    ("nothing changed: the pose is still absolute", lambda Y: Y),
]


@exercise("07_your_own_face", 1)
def relative_pose(function: Callable) -> str:
    """relative_pose(Y) -> Y (T, 23) with the median of each of the last 6 columns taken off.

    Action Units stay as they were.
    """
    rng = np.random.default_rng(7)
    AUs = rng.gamma(1, 0.5, (31, 17))
    pose = rng.gamma(2, 0.1, (31, 6)) + [0, 0.1, 0, 20, -30, 560]
    Y = np.hstack([AUs, pose])  # (31, 23)
    return judge(
        function,
        right=less(median),
        cases=[(Y.copy(),), (Y[:20].copy(),)],
        mistakes=RELATIVE_POSE_MISTAKES,
        praise="pose relative to the clip's neutral, Action Units untouched",
    )


# ---- exercise 2: a camera of another frame rate --------------------------------------------------


def resampled(values: np.ndarray, fps: float, to: float = 25, middle: float = 0.5) -> np.ndarray:
    """The track at `to` frames a second; a frame's time is that of its `middle`."""
    n = round(len(values) * to / fps)
    return np.interp(
        (np.arange(n) + middle) / to,
        (np.arange(len(values)) + middle) / fps,
        values,
    )


def picked(place: Callable) -> Callable:
    """An answer that takes the camera's frame place(t, fps) for frame t."""

    def answer(values, fps):
        t = np.arange(round(len(values) * 25 / fps))
        return values[place(t, fps).clip(0, len(values) - 1).astype(int)]

    return answer


def stretched(values: np.ndarray, fps: float) -> np.ndarray:
    """The first and the last frame stay the first and the last."""
    n = round(len(values) * 25 / fps)
    return np.interp(np.linspace(0, len(values) - 1, n), np.arange(len(values)), values)


TO_25_FPS_MISTAKES = [
    (
        "nothing changed: read as 25 fps, five seconds at 30 fps would last six",
        lambda values, fps: values,
    ),
    (
        "frames are dropped or doubled: between two of them, take the line",
        picked(lambda t, fps: np.floor(t * fps / 25)),
    ),
    (
        "the nearest frame is taken: between two of them, take the line",
        picked(lambda t, fps: np.floor((t + 0.5) * fps / 25)),
    ),
    (
        "the frames' beginnings are laid on each other: "
        "a frame stands for its middle, (t + 0.5) / 25",
        lambda values, fps: resampled(values, fps, middle=0),
    ),
    (
        "the first and the last frame are stretched to the ends of the clip: "
        "lay them on their times",
        stretched,
    ),
    (
        "the rates are exchanged: 30 frames a second become fewer, not more",
        lambda values, fps: resampled(values, fps=25, to=fps),
    ),
]


@exercise("07_your_own_face", 2)
def to_25_fps(function: Callable) -> str:
    """to_25_fps(values, fps) -> the track (n,) of a camera with `fps` frames a second, at 25 fps.

    Each of its round(n * 25 / fps) values is taken at the middle of a 25-fps frame, on the line
    between the middles of the camera's own frames.
    """
    rng = np.random.default_rng(12)
    return judge(
        function,
        right=resampled,
        cases=[(rng.random(60), 30), (rng.random(48), 24), (rng.random(40), 50)],
        mistakes=TO_25_FPS_MISTAKES,
        praise="the same seconds, other frames",
    )


# ---- exercise 3: a pinned value is fed back ------------------------------------------------------


def pinned(
    step: Callable, y: float, T: int, pins: dict, late: int = 0, add: bool = False
) -> np.ndarray:
    """y_1 .. y_T (T,), with pins `late` frames late, and added to what step says instead."""
    out = []
    for t in range(1, T + 1):
        y = step(y)
        if t - late in pins:
            y = pins[t - late] + (y if add else 0)
        out.append(y)
    return np.array(out)


def painted_over(step: Callable, y0: float, T: int, pins: dict) -> np.ndarray:
    """The pins written into a run that never saw them."""
    out = pinned(step, y0, T, {})
    for t, value in pins.items():
        out[t - 1] = value
    return out


def with_y0(step: Callable, y0: float, T: int, pins: dict) -> np.ndarray:
    """y_0 .. y_T, (T + 1,)."""
    return np.r_[y0, pinned(step, y0, T, pins)]


PINNED_RUN_MISTAKES = [
    (
        "the pins are painted over a finished run: "
        "the frames after them never saw the pinned value",
        painted_over,
    ),
    ("nothing is pinned", lambda step, y0, T, pins: pinned(step, y0, T, {})),
    (
        "the pins are one frame late: what step makes first is y_1, not y_0",
        lambda *given: pinned(*given, late=1),
    ),
    (
        "the pins are one frame early: they say where y_t stands, not what it is made of",
        lambda *given: pinned(*given, late=-1),
    ),
    (
        "the pinned value is added: it takes the place of what step says",
        lambda *given: pinned(*given, add=True),
    ),
    ("y0 is returned too: give y_1 to y_T", with_y0),
    (
        "y0 is returned instead of the last frame: give y_1 to y_T",
        lambda *given: with_y0(*given)[:-1],
    ),
]


@exercise("07_your_own_face", 3)
def pinned_run(function: Callable) -> str:
    """pinned_run(step, y0, T, pins) -> y_1 .. y_T (T,), where y_t = step(y_(t-1)).

    `pins` {t: value} says where y_t is overwritten, before it is fed back.
    """
    cases = [
        (lambda y: 0.5 * y + 1, 0.0, 6, {2: 5.0, 3: 5.0}),
        (lambda y: 0.9 * y - 0.1, 2.0, 8, {1: 0.0, 6: 4.0}),
        (lambda y: y * y / 4, 1.0, 4, {4: 2.0}),
    ]
    return judge(
        function,
        right=pinned,
        cases=cases,
        mistakes=PINNED_RUN_MISTAKES,
        praise="what follows grows out of the pinned value",
    )
