"""Control over what is sampled: pins, pulls, scale and offset, a blink schedule, a real beginning.

The mapping network goes on from whatever is fed back to it. So an attribute that is overwritten
before it is fed back moves the others through the model: pull the lip corners up, and the cheeks
follow.

Paper: 5 (its future work). Notebook: 04_mapper.
"""

import math
from dataclasses import dataclass, field
from typing import Sequence

import numpy as np
import torch
from torch import Tensor

from .animation import AU_RANGE, AUS, FPS, GROUPS, N_ATTRIBUTES, check_animation, column
from .discretize import Discretizer
from .files import InputError

# AU45 in the frames of one blink, about its deepest one; between scheduled blinks the eyes stay
# open
BLINK_SHAPE = np.array([0.1, 1.4, 3.5, 4.0, 3.8, 2.8, 1.5, 0.4])
BLINK_DEEPEST = 3
EYES_OPEN = 0.5
FADE = 10  # frames in which a pull grows to its full strength, and fades
LED = 5  # frames about a pin in which the rest of the face already, and still, follows it


@dataclass(frozen=True)
class Control:
    """What the sampled animation shall do; everything not named stays free.

    `pins`: (attribute, start s, end s, value): exactly this value. Before and after, the attribute
    is led there and let go at its natural speed, so that nothing jumps. `pulls`: (attribute, start
    s, end s, value, width): a preference for values about this one, Gaussian with that width; the
    model still decides. `scale`, `offset`: factor and addition for attributes or groups of what
    comes out (not of what is fed back). `blinks`: seconds at which the eyes are shut; no other
    blinks, [] for none. `prefix`: an animation (T0, 23) that the samples continue.
    Raises InputError for names, times or values that make no sense. Notebook: 04_mapper.

    >>> smile = Control(pins=[("AU12", 0.4, 1.0, 3.0)], scale={"pose": 0.5}, blinks=[0.8])
    >>> Control(pins=[("AU12", 1.0, 0.4, 3.0)])
    Traceback (most recent call last):
    dirfa_edu.files.InputError: AU12: a span from 1.0 s to 0.4 s ends before it begins
    """

    pins: Sequence[tuple[str, float, float, float]] = ()
    pulls: Sequence[tuple[str, float, float, float, float]] = ()
    scale: dict[str, float] = field(default_factory=dict)
    offset: dict[str, float] = field(default_factory=dict)
    blinks: Sequence[float] | None = None
    prefix: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name, start, end, value, *width in [*self.pins, *self.pulls]:
            column(name)
            if not all(math.isfinite(number) for number in (start, end, value, *width)):
                raise InputError(f"{name}: times and values must be numbers")
            if end <= start or end <= 0:
                raise InputError(f"{name}: a span from {start} s to {end} s ends before it begins")
            if name in AUS and not AU_RANGE[0] <= value <= AU_RANGE[1]:
                raise InputError(f"{name}: an AU is 0 to 5, not {value}")
            if width and width[0] <= 0:
                raise InputError(f"{name}: the width of a pull must be above 0, not {width[0]}")
        for name, number in [*self.scale.items(), *self.offset.items()]:
            _ = GROUPS.get(name) or column(name)
            if not math.isfinite(number):
                raise InputError(f"{name}: scale and offset must be numbers")
        if self.blinks is not None and not all(math.isfinite(at) for at in self.blinks):
            raise InputError("blinks are given in seconds")
        if self.prefix is not None:
            check_animation(self.prefix)


class Controller:
    """A `Control` in the bins of one mapper, asked once a frame while sampling."""

    def __init__(self, control: Control, bins: Discretizer) -> None:
        self.control, self.bins = control, bins
        self.speed = np.full(N_ATTRIBUTES, np.inf) if bins.speed is None else bins.speed
        self.pins = [
            (column(name), *_frames(start, end), value) for name, start, end, value in control.pins
        ]
        self.prefix = (
            None if control.prefix is None else torch.from_numpy(bins.encode(control.prefix))
        )
        self.pulls = []
        for name, start, end, value, width in control.pulls:
            j = column(name)
            # (D,)
            pull = torch.from_numpy(-0.5 * ((bins.centroids[j] - value) / width) ** 2).float()
            self.pulls.append((j, *_frames(start, end), pull))

    def steer(self, t: int, logits: Tensor) -> Tensor:
        """The pulls: logits (samples, 23, D) of frame t, with the pulled attributes' preference
        added."""
        for j, first, end, pull in self.pulls:
            strength = 1 - _distance(t, first, end) / FADE
            if strength > 0:
                logits[:, j] += strength * pull
        return logits

    def pinned(self, t: int) -> Tensor | None:
        """Marks (23,) of the attributes that are pinned or pulled about frame t; None where nothing
        is.

        The mapper was taught to let the other expressions follow them.
        """
        held = [
            j for j, first, end, _ in [*self.pins, *self.pulls] if _distance(t, first, end) <= LED
        ]
        return torch.zeros(N_ATTRIBUTES).index_fill_(0, torch.tensor(held), 1.0) if held else None

    def hold(self, t: int, y: Tensor) -> Tensor:
        """The pins: bins y (samples, 23) of frame t, before they are fed back, moved to where they
        must be."""
        if self.prefix is not None and t < len(self.prefix):
            return self.prefix[t].expand_as(y).clone()
        low, high = self.bins.low.copy(), self.bins.high.copy()
        # a funnel about each pin: as far from its value as natural steps can make good until it
        # begins, or since it ended; the nearest pin is applied last and has the last word
        for j, first, end, value in sorted(self.pins, key=lambda pin: -_distance(t, *pin[1:3])):
            away = _distance(t, first, end)
            reach = away * self.speed[j] if away else 0.0
            low[j], high[j] = (
                np.clip(edge, value - reach, value + reach) for edge in (low[j], high[j])
            )
        if self.control.blinks is not None:
            low[BLINK_COLUMN], high[BLINK_COLUMN] = blink_bounds(t, self.control.blinks)
        narrowed = torch.from_numpy((low > self.bins.low) | (high < self.bins.high))  # (23,)
        first, last = (torch.from_numpy(self.bins.encode(edge)) for edge in (low, high))
        return torch.where(narrowed, y.clamp(first, last), y)

    def finish(self, Y: np.ndarray) -> np.ndarray:
        """Scale and offset: values (..., 23) as they come out; AUs stay within 0..5."""
        scale, offset = np.ones(N_ATTRIBUTES, np.float32), np.zeros(N_ATTRIBUTES, np.float32)
        for numbers, out in ((self.control.scale, scale), (self.control.offset, offset)):
            for name, number in numbers.items():
                out[GROUPS.get(name) or [column(name)]] = number
        Y = Y * scale + offset
        Y[..., : len(AUS)] = Y[..., : len(AUS)].clip(*AU_RANGE)
        return Y


BLINK_COLUMN = column("AU45")


def blink_bounds(t: int, blinks: Sequence[float]) -> tuple[float, float]:
    """Lowest and highest AU45 that frame t may have when the eyes blink at these seconds, and only
    then."""
    inside = [t - round(at * FPS) + BLINK_DEEPEST for at in blinks]
    depths = [BLINK_SHAPE[i] for i in inside if 0 <= i < len(BLINK_SHAPE)]
    return (max(depths), max(depths)) if depths else (0.0, EYES_OPEN)


def _frames(start: float, end: float) -> tuple[int, int]:
    """A span in seconds -> its first frame and the frame after its last one; never empty."""
    first = round(start * FPS)
    return first, max(round(end * FPS), first + 1)


def _distance(t: int, first: int, end: int) -> int:
    """Frames from t to the span first .. end-1, 0 inside it."""
    return max(first - t, t - end + 1, 0)
