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

BLINK_COLUMN = column("AU45")
BLINK_SHAPE = np.array([0.1, 1.4, 3.5, 4.0, 3.8, 2.8, 1.5, 0.4])  # AU45 in the frames of one blink
BLINK_DEEPEST = 3  # the frame of it that is asked for
EYES_OPEN = 0.5  # the most that AU45 may be between scheduled blinks
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
        for pin in self.pins:
            check_span(*pin)
        for pull in self.pulls:
            check_span(*pull)
        for name, number in [*self.scale.items(), *self.offset.items()]:
            _ = GROUPS.get(name) or column(name)
            if not math.isfinite(number):
                raise InputError(f"{name}: scale and offset must be numbers")
        if self.blinks is not None and not all(math.isfinite(at) for at in self.blinks):
            raise InputError("blinks are given in seconds")
        if self.prefix is not None:
            check_animation(self.prefix)


def check_span(name: str, start: float, end: float, value: float, width: float = 1.0) -> None:
    """Raise InputError for a pin or a pull that makes no sense."""
    column(name)
    if not all(math.isfinite(number) for number in (start, end, value, width)):
        raise InputError(f"{name}: times and values must be numbers")
    if end <= start or end <= 0:
        raise InputError(f"{name}: a span from {start} s to {end} s ends before it begins")
    if name in AUS and not AU_RANGE[0] <= value <= AU_RANGE[1]:
        raise InputError(f"{name}: an AU is 0 to 5, not {value}")
    if width <= 0:
        raise InputError(f"{name}: the width of a pull must be above 0, not {width}")


@dataclass(frozen=True)
class Span:
    """An attribute (its column j) in the frames first .. end - 1, and what it shall do there.

    `what` is the value of a pin, or what a pull adds to the logits (D,).
    """

    j: int
    first: int
    end: int
    what: float | Tensor

    @staticmethod
    def of(name: str, start: float, end: float, what: float | Tensor) -> "Span":
        """A span in seconds; it has at least one frame."""
        first = round(start * FPS)
        return Span(column(name), first, max(round(end * FPS), first + 1), what)

    def distance(self, t: int) -> int:
        """Frames from t to the span, 0 inside it."""
        return max(self.first - t, t - self.end + 1, 0)


class Controller:
    """A `Control` in the bins of one mapper, asked once a frame while sampling."""

    def __init__(self, control: Control, bins: Discretizer) -> None:
        self.control, self.bins = control, bins
        self.speed = np.full(N_ATTRIBUTES, np.inf) if bins.speed is None else bins.speed
        self.prefix = None
        if control.prefix is not None:
            self.prefix = torch.from_numpy(bins.encode(control.prefix))  # (T0, 23)
        self.pins = [Span.of(*pin) for pin in control.pins]
        self.pulls = []
        for name, start, end, value, width in control.pulls:
            away = (bins.centroids[column(name)] - value) / width  # (D,)
            preference = torch.from_numpy(-0.5 * away**2).float()
            self.pulls.append(Span.of(name, start, end, preference))

    def steer(self, t: int, logits: Tensor) -> Tensor:
        """The pulls: logits (samples, 23, D) of frame t, with their preference added."""
        for pull in self.pulls:
            strength = 1 - pull.distance(t) / FADE
            if strength > 0:
                logits[:, pull.j] += strength * pull.what
        return logits

    def pinned(self, t: int) -> Tensor | None:
        """Marks (23,) of the attributes that are pinned or pulled about frame t, or None.

        The mapper was taught to let the other expressions follow them.
        """
        held = [span.j for span in [*self.pins, *self.pulls] if span.distance(t) <= LED]
        return torch.zeros(N_ATTRIBUTES).index_fill_(0, torch.tensor(held), 1.0) if held else None

    def hold(self, t: int, y: Tensor) -> Tensor:
        """The pins: bins y (samples, 23) of frame t, moved to where they must be.

        This happens before they are fed back, so that the face goes on from there.
        """
        if self.prefix is not None and t < len(self.prefix):
            return self.prefix[t].expand_as(y).clone()
        low, high = self.bins.low.copy(), self.bins.high.copy()
        # a funnel about each pin: as far from its value as natural speed can make good until it
        # begins, or since it ended; the nearest pin is applied last and has the last word
        for pin in sorted(self.pins, key=lambda pin: -pin.distance(t)):
            away = pin.distance(t)
            reach = away * self.speed[pin.j] if away else 0.0
            low[pin.j] = np.clip(low[pin.j], pin.what - reach, pin.what + reach)
            high[pin.j] = np.clip(high[pin.j], pin.what - reach, pin.what + reach)
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


def blink_bounds(t: int, blinks: Sequence[float]) -> tuple[float, float]:
    """Lowest and highest AU45 of frame t where the eyes blink at these seconds, and only then."""
    inside = [t - round(at * FPS) + BLINK_DEEPEST for at in blinks]
    depths = [BLINK_SHAPE[i] for i in inside if 0 <= i < len(BLINK_SHAPE)]
    return (max(depths), max(depths)) if depths else (0.0, EYES_OPEN)
