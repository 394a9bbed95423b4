"""Sampling: audio in, one plausible animation after another out, frame by frame.

Each frame's logits are cut to the k likeliest bins and one is drawn; the draw is fed back. Speech
decides the lips almost entirely, expression and pose hardly at all, so each attribute group has its
own k and temperature. `generate` takes the audio at once, `Stream` in pieces as it arrives; both go
frame by frame and give the same bits.

Paper: 3.2.2 (top-k sampling), Eq. 3, 4. Notebook: 04_mapper.
"""

import math
from typing import Callable

import numpy as np
import torch
from torch import Tensor

from .animation import GROUPS, N_ATTRIBUTES, POSE, column
from .audio import FeatureStream
from .control import Control, Controller
from .fast.step import views
from .fast.top_k import NO_LIMIT, cut, draw, gumbel
from .files import InputError
from .mapper import NO_AUDIO, MappingNetwork

# ours, not the paper's: lips tight and close to what is heard, expression and pose loose. Chosen on
# sentences held out of the training split. k counts bins, so it is scaled with D.
TOP_K = {"lips": 10, "upper": 250, "blink": 350, "pose": 120}
TEMPERATURE = {"lips": 0.5, "upper": 1.0, "blink": 1.0, "pose": 1.0}
# the farthest an attribute may go in one frame, in natural steps (99 % of those in training are
# smaller than one): the tail of 500 bins holds leaps that no face makes. Lips and lids are quick,
# and are not held back
SPEED = {"lips": math.inf, "upper": 2.0, "blink": math.inf, "pose": 3.0}
NOISE_BLOCK = 64  # frames of noise drawn at once


def per_attribute(default: float | dict, setting: float | dict | None) -> np.ndarray:
    """Settings of the 23 attributes (23,): each is one number for all, or a dict of groups ("lips")
    or attributes."""
    out = np.empty(N_ATTRIBUTES, np.float32)
    for given in (default, setting):
        if isinstance(given, dict):
            for name, value in given.items():
                out[GROUPS.get(name) or [column(name)]] = float(value)
        elif given is not None:
            out[:] = float(given)
    return out


def sample_generators(samples: int, seed: int) -> list[torch.Generator]:
    """One random generator per sample, so that sample i is the same whatever the number of samples."""
    return [torch.Generator().manual_seed(1_000_003 * seed + i) for i in range(samples)]


class Decoder:
    """Draws one frame after another; what `generate` and `Stream` share.

    Settings are one number, or a dict of groups or attributes that changes the defaults: those
    above, top_p 1, guidance 0. `guidance` w amplifies what the audio says (classifier-free
    guidance): (1 + w) times the logits with audio minus w times those without, which the network is
    then asked for as well. `speed` limits how far an attribute goes in one frame, in natural steps.
    `strict` computes Eq. 3 to the letter, from the last tau frames alone: without it the ring of
    keys and values lets each of the L layers look tau frames back, which is faster and what
    training does.
    """

    def __init__(
        self,
        mapper: MappingNetwork,
        samples: int = 3,
        seed: int = 0,
        top_k: float | dict | None = None,
        temperature: float | dict | None = None,
        top_p: float | dict | None = None,
        guidance: float | dict | None = None,
        speed: float | dict | None = None,
        control: Control | None = None,
        strict: bool = False,
    ) -> None:
        if samples < 1:
            raise InputError(f"give at least 1 sample, not {samples}")
        self.mapper, self.strict, D = mapper, strict, mapper.config.bins
        # k is read in bins of width .01; with fewer bins it shrinks in step, and never exceeds D
        self.k = (
            (per_attribute(TOP_K, top_k) * (1 if top_k is not None else D / 500))
            .round()
            .clip(1, D)
            .astype(int)
        )
        self.heat, self.top_p = per_attribute(TEMPERATURE, temperature), per_attribute(1.0, top_p)
        self.guidance = torch.from_numpy(per_attribute(0.0, guidance))
        if (self.heat <= 0).any():
            raise InputError("temperatures must be above 0")
        if not ((self.top_p > 0) & (self.top_p <= 1)).all():
            raise InputError("top_p must be above 0 and at most 1")
        if (self.guidance < 0).any():
            raise InputError("guidance must not be below 0")
        natural = mapper.discretizer.step  # unknown to a discretizer that was not fitted
        natural = NO_LIMIT if natural is None else natural / mapper.discretizer.width
        speed = np.minimum(per_attribute(SPEED, speed) * natural, NO_LIMIT).astype(np.float32)
        self.guided = bool((self.guidance > 0).any()) and mapper.config.probabilistic
        self.control = Controller(control, mapper.discretizer) if control else None
        self.sources, self.t, self.past = sample_generators(samples, seed), 0, []
        # with guidance the second half of the rows never hears the audio
        rows = samples * (2 if self.guided else 1)
        self.rings, self.y = mapper.new_rings(rows), mapper.start(samples)[:, 0]
        self.weights = views(mapper, rows)
        # the noise of one sample after the other, for one group of attributes that share a k after
        # the other
        self.begin, self.stride = (
            np.empty((samples, N_ATTRIBUTES), np.int64),
            np.empty(N_ATTRIBUTES, np.int64),
        )
        self.spans, first = [], 0
        for k in np.unique(self.k):
            columns = np.flatnonzero(self.k == k)
            self.stride[columns] = k * len(columns)  # numbers a frame
            for generator in self.sources:
                self.begin[len(self.spans) % samples, columns] = first + k * np.arange(len(columns))
                span = slice(first, first + NOISE_BLOCK * k * len(columns))
                self.spans.append((generator, span))
                first = span.stop
        self.noise = torch.empty(first)
        k, heat, top_p, most = (np.tile(x, samples) for x in (self.k, self.heat, self.top_p, speed))
        self.rows = k, heat, top_p if (top_p < 1).any() else None, most  # of all samples

    @torch.inference_mode()
    def step(self, A: Tensor) -> Tensor:
        """The next frame: its audio features (400,) -> bins (samples, 23)."""
        out = self._logits(A.view(1, -1))
        D = self.mapper.config.bins
        if not self.mapper.config.probabilistic:
            y = (out * D).floor().long().clamp(0, D - 1)
        else:
            if self.control:
                out = self.control.steer(self.t, out)
            y = self._draw(out)
        self.y = self.control.hold(self.t, y) if self.control else y
        self.t += 1
        return self.y

    def _logits(self, A: Tensor) -> Tensor:
        y = self.y.repeat(2, 1) if self.guided else self.y  # (rows, 23)
        if self.guided:
            # (2, 400), one for each half of the rows
            A = torch.cat([A, torch.full_like(A, NO_AUDIO)])
        pinned = self.control.pinned(self.t) if self.control else None
        if self.strict:
            marks = torch.zeros(N_ATTRIBUTES) if pinned is None else pinned
            now = A.repeat_interleave(len(y) // len(A), dim=0), y, marks.expand(len(y), -1)
            self.past = [*self.past, now][-self.mapper.config.tau :]
            heard, past, marks = (torch.stack(part, dim=1) for part in zip(*self.past))
            out = self.mapper(heard, past, pinned=marks)[:, -1]
        else:
            out = self.mapper.step(A, y, self.rings, self.t, pinned, self.weights)
        if self.guided:
            heard, deaf = out.chunk(2)  # each (samples, 23, D)
            out = heard + self.guidance[:, None] * (heard - deaf)
        return out

    def _draw(self, logits: Tensor) -> Tensor:
        """Gumbel top-k, see `top_k_sample`: logits (samples, 23, D) -> bins (samples, 23)."""
        frame = self.t % NOISE_BLOCK
        if frame == 0:
            for generator, span in self.spans:
                gumbel(self.noise[span], generator)
        k, heat, top_p, most = self.rows
        rows = logits.flatten(0, 1).numpy()  # (samples * 23, D)
        least, kept = cut(rows, k, heat, top_p)
        bins = draw(
            rows,
            least,
            kept,
            heat,
            self.noise.numpy(),
            (self.begin + frame * self.stride).ravel(),
            self.y.numpy().ravel(),
            most if self.t else np.full_like(most, NO_LIMIT),
        )
        return torch.from_numpy(bins).view(self.y.shape)

    def values(self, bins: Tensor) -> np.ndarray:
        """Bins (..., 23) -> what comes out, float32 (..., 23): centroids (Eq. 4), scaled and offset
        on request."""
        Y = self.mapper.discretizer.decode(bins.numpy())
        return self.control.finish(Y) if self.control else Y


def generate(
    mapper: MappingNetwork,
    A: np.ndarray | Tensor,
    samples: int = 3,
    seed: int = 0,
    top_k: float | dict | None = None,
    temperature: float | dict | None = None,
    *,
    control: Control | None = None,
    smooth: int = 0,
    progress: Callable | None = None,
    **options,
) -> np.ndarray:
    """Draw `samples` animations for audio features A (T, 400) -> float32 (samples, T, 23).

    `top_k` and `temperature` are one number, or a dict of groups or attributes. `control` says what
    the face shall do (see `Control`); `smooth` averages the pose over that many frames to either
    side; `options` are those of `Decoder`: top_p, guidance, speed, strict. `progress` wraps the
    frames (tqdm does).
    Raises InputError for audio of another shape, fewer than one sample, or settings that make no
    sense.
    Paper: 3.2.2, Eq. 3, 4. Notebook: 04_mapper.

    >>> from dirfa_edu.mapper import MapperConfig
    >>> network = MappingNetwork(MapperConfig(bins=10, d_model=16, layers=1, heads=2)).eval()
    >>> from dirfa_edu.discretize import Discretizer
    >>> network.discretizer = Discretizer(np.zeros(23), np.ones(23), 10)
    >>> generate(network, np.zeros((5, 400), np.float32), samples=2).shape
    (2, 5, 23)
    """
    A = torch.as_tensor(A, dtype=torch.float32)
    if A.ndim != 2 or A.shape[1] != mapper.config.audio or len(A) == 0:
        raise InputError(
            f"audio features are (T, {mapper.config.audio}) with T >= 1, not {tuple(A.shape)}"
        )
    decoder, smoother = (
        Decoder(mapper, samples, seed, top_k, temperature, control=control, **options),
        Smoother(smooth),
    )
    Y = decoder.values(torch.stack([decoder.step(row) for row in (progress(A) if progress else A)]))
    return np.stack([*smoother.feed(list(Y)), *smoother.finish()], axis=1)  # (samples, T, 23)


class Stream:
    """`generate` for speech that is still arriving: feed samples in pieces of any size, finish at
    the end.

    Bit for bit what `generate` gives for the whole recording with the same gain. `gain` multiplies
    the samples: one-shot use measures it on the whole file (`audio.loudness_gain`), a stream must
    be told. The other settings are those of `generate`. Frames come 0.15 s after their sound, and
    `smooth` frames later. Notebook: 04_mapper.
    """

    def __init__(
        self,
        mapper: MappingNetwork,
        gain: float = 1.0,
        samples: int = 1,
        smooth: int = 0,
        **settings,
    ) -> None:
        self.features, self.decoder = FeatureStream(gain), Decoder(mapper, samples, **settings)
        self.smoother = Smoother(smooth)

    def feed(self, wave: np.ndarray) -> np.ndarray:
        """The next samples at 16 kHz (n,) -> the frames that are ready by now, float32 (samples,
        frames, 23)."""
        return self._stack(self.smoother.feed(self._decode(self.features.feed(wave))))

    def finish(self) -> np.ndarray:
        """The frames (samples, frames, 23) that were waiting for more sound."""
        return self._stack(
            self.smoother.feed(self._decode(self.features.finish())) + self.smoother.finish()
        )

    def _decode(self, A: np.ndarray) -> list[np.ndarray]:
        return [self.decoder.values(self.decoder.step(row)) for row in torch.from_numpy(A)]

    def _stack(self, frames: list[np.ndarray]) -> np.ndarray:
        return (
            np.stack(frames, axis=1)
            if frames
            else np.zeros((len(self.decoder.y), 0, N_ATTRIBUTES), np.float32)
        )


class Smoother:
    """Averages the pose over `reach` frames to either side with triangular weights, `reach` frames
    late; AUs stay.

    Beyond both ends the outermost frame is repeated. With reach 0 frames pass as they are.
    """

    def __init__(self, reach: int) -> None:
        if reach < 0:
            raise InputError(f"smoothing reaches 0 or more frames, not {reach}")
        weights = np.r_[np.arange(1, reach + 2), np.arange(reach, 0, -1)].astype(np.float32)
        self.reach, self.weights, self.window = reach, weights / weights.sum(), []

    def feed(self, frames: list[np.ndarray]) -> list[np.ndarray]:
        """More frames, each (samples, 23) -> those whose neighbours are all known."""
        if not self.reach:
            return frames
        out = []
        for frame in frames:
            self.window = self.window[-2 * self.reach :]
            self.window += [frame] * (1 if self.window else self.reach + 1)
            if len(self.window) == 2 * self.reach + 1:
                out.append(self._middle())
        return out

    def finish(self) -> list[np.ndarray]:
        """The last frames, of which the future is missing."""
        return self.feed(self.window[-1:] * self.reach)

    def _middle(self) -> np.ndarray:
        smoothed = self.window[self.reach].copy()  # (samples, 23)
        poses = np.stack(self.window)[..., POSE]  # (2 reach + 1, samples, 6)
        smoothed[..., POSE] = (poses * self.weights[:, None, None]).sum(0)
        return smoothed
