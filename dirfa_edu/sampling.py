"""Sampling: audio in, one plausible animation after another out, frame by frame.

Each frame's logits are cut to the k likeliest bins and one is drawn; the draw is fed back. Speech
decides the lips almost entirely, expression and pose hardly at all, so each attribute group has its
own k and temperature. `generate` takes the audio at once, `Stream` in pieces as it arrives; both go
frame by frame and give the same bits.

The network runs in one of three engines. "plain" is the text of this room and of `mapper`. "fast"
is the same compiled, and pays where there is much to draw. "strict" is Eq. 3 to the letter.

Paper: 3.2.2 (top-k sampling), Eq. 3, 4. Notebook: 04_mapper.
"""

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from .animation import GROUPS, N_ATTRIBUTES, POSE, column
from .audio import NO_AUDIO, FeatureStream
from .control import Control, Controller
from .files import InputError
from .mapper import MappingNetwork

# ours, not the paper's: lips tight and close to what is heard, expression and pose loose. Chosen on
# sentences held out of the training split. k counts bins, so it is scaled with D.
TOP_K = {"lips": 10, "upper": 250, "blink": 350, "pose": 120}
TEMPERATURE = {"lips": 0.5, "upper": 1.0, "blink": 1.0, "pose": 1.0}
# the farthest an attribute may go in one frame, as a multiple of its natural speed (99 % of its
# moves in training are shorter): the tail of 500 bins holds leaps that no face makes. Lips and lids
# are quick, and are not held back
SPEED = {"lips": math.inf, "upper": 2.0, "blink": math.inf, "pose": 3.0}

ENGINES = ("plain", "fast", "strict")
LONG = 1500  # frames, one minute, from which on `generate` takes the fast engine by itself
ROWS = 4  # faces that the plain engine computes together
NOISE_BLOCK = 64  # frames of noise drawn at once


# ---- one draw ------------------------------------------------------------------------------------
def top_k_sample(
    logits: Tensor,
    k: int,
    temperature: float = 1.0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw one bin from the k likeliest of each row of logits (..., D) -> int64 (...).

    Drawn by Gumbel noise, without computing the softmax. With `top_p` below 1 only the likeliest
    bins that together hold this probability are kept.
    Raises InputError for settings that leave nothing to draw from.
    Paper: 3.2.2. Notebook: 04_mapper.

    >>> top_k_sample(torch.tensor([[0.0, 9.0, 1.0]]), k=1)
    tensor([1])
    """
    if k < 1 or temperature <= 0 or not 0 < top_p <= 1:
        raise InputError(
            "top-k sampling needs k >= 1, a temperature above 0 and top_p above 0 and at most 1, "
            f"not {k}, {temperature} and {top_p}"
        )
    k = min(k, logits.shape[-1])
    noise = gumbel(torch.empty(*logits.shape[:-1], k), generator)
    one = torch.ones(())
    return draw(logits, noise, temperature * one, top_p * one)


def gumbel(out: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Fill with Gumbel noise, -log(-log u).

    Adding it to log-probabilities and taking the largest is a draw from the softmax.
    """
    return out.uniform_(generator=generator).log_().neg_().log_().neg_()


def draw(
    logits: Tensor,
    noise: Tensor,
    temperature: Tensor,
    top_p: Tensor,
    last: Tensor | None = None,
    farthest: Tensor | None = None,
) -> Tensor:
    """One of the k likeliest bins of each row: logits (..., D), Gumbel noise (..., k) -> (...).

    The i-th of them, counted from bin 0 up, gets the i-th number of noise. Bins farther than
    `farthest` from the `last` one do not count; should none be near enough, the nearest of those
    kept is taken. `temperature` and the rest are (...), or broadcast to it.
    Paper: 3.2.2. Notebook: 04_mapper.
    """
    values, bins = logits.topk(noise.shape[-1], dim=-1)  # (..., k), the likeliest first
    values = nucleus(values / temperature[..., None], top_p[..., None])

    # noise goes by the place of a bin, not by its rank: two engines whose logits differ in the last
    # digit may rank two bins differently
    bins, order = bins.sort(dim=-1)
    values = values.gather(-1, order)
    scores = values + noise

    if last is not None and farthest is not None:
        far = (bins - last[..., None]).abs()
        scores = scores.masked_fill(far > farthest[..., None], -math.inf)
        nearest = (-far.to(scores.dtype)).masked_fill(values == -math.inf, -math.inf)
        scores = torch.where((scores > -math.inf).any(-1, keepdim=True), scores, nearest)
    return bins.gather(-1, scores.argmax(-1, keepdim=True))[..., 0]


def nucleus(falling: Tensor, top_p: Tensor) -> Tensor:
    """Log-probabilities (..., k), the likeliest first; -inf for those not needed to hold top_p."""
    p = falling.softmax(-1)
    before = p.cumsum(-1) - p  # the probability of all that are likelier
    # all are needed for 1, whatever the rounding of their sum
    return falling.masked_fill((before >= top_p) & (top_p < 1), -math.inf)


# ---- settings and noise of the 23 attributes -----------------------------------------------------
@dataclass(frozen=True)
class Settings:
    """How each of the 23 attributes is drawn; all are (23,)."""

    k: np.ndarray  # how many bins are kept
    temperature: Tensor
    top_p: Tensor
    guidance: Tensor
    farthest: Tensor  # how many bins it may go in one frame


def settings_for(
    mapper: MappingNetwork,
    top_k: float | dict | None = None,
    temperature: float | dict | None = None,
    top_p: float | dict | None = None,
    guidance: float | dict | None = None,
    speed: float | dict | None = None,
) -> Settings:
    """Settings of the 23 attributes; each is one number for all, or a dict that changes defaults.

    Raises InputError for settings that make no sense.
    """
    D, bins = mapper.config.bins, mapper.ranges
    # k is read in bins of width .01; with fewer bins it shrinks in step, and never exceeds D
    k = per_attribute(TOP_K, top_k) * (1 if top_k is not None else D / 500)
    heat = per_attribute(TEMPERATURE, temperature)
    p = per_attribute(1.0, top_p)
    w = per_attribute(0.0, guidance)
    if (heat <= 0).any():
        raise InputError("temperatures must be above 0")
    if not ((p > 0) & (p <= 1)).all():
        raise InputError("top_p must be above 0 and at most 1")
    if (w < 0).any():
        raise InputError("guidance must not be below 0")
    # unknown to a discretizer that was not fitted: then nothing is held back
    natural = np.inf if bins.speed is None else bins.speed / bins.width  # bins a frame
    return Settings(
        k=k.round().clip(1, D).astype(int),
        temperature=torch.from_numpy(heat),
        top_p=torch.from_numpy(p),
        guidance=torch.from_numpy(w),
        farthest=torch.from_numpy((per_attribute(SPEED, speed) * natural).astype(np.float32)),
    )


def per_attribute(default: float | dict, setting: float | dict | None) -> np.ndarray:
    """A setting of the attributes (23,): one number, or a dict of groups ("lips") or attributes."""
    out = np.empty(N_ATTRIBUTES, np.float32)
    for given in (default, setting):
        if isinstance(given, dict):
            for name, value in given.items():
                out[GROUPS.get(name) or [column(name)]] = float(value)
        elif given is not None:
            out[:] = float(given)
    return out


class Noise:
    """Gumbel noise for attributes that keep k bins each, a block of frames at a time.

    Every sample has a generator of its own, so sample i meets the same noise whatever the number of
    samples.
    """

    def __init__(self, k: np.ndarray, samples: int, seed: int) -> None:
        self.generators = [
            torch.Generator().manual_seed(1_000_003 * seed + i) for i in range(samples)
        ]
        # attributes that share a k are drawn together
        self.columns = [np.flatnonzero(k == value) for value in np.unique(k)]
        self.blocks = [
            torch.empty(samples, NOISE_BLOCK, len(columns), k[columns[0]])
            for columns in self.columns
        ]

    def of_frame(self, t: int) -> list[tuple[np.ndarray, Tensor]]:
        """Noise of frame t = 0, 1, 2 ... in turn: pairs of columns (n,), noise (samples, n, k)."""
        if t % NOISE_BLOCK == 0:
            for block in self.blocks:
                for i, generator in enumerate(self.generators):
                    gumbel(block[i], generator)
        noise = [block[:, t % NOISE_BLOCK] for block in self.blocks]  # each (samples, n, k)
        return list(zip(self.columns, noise, strict=True))


# ---- the network, one frame after another --------------------------------------------------------
class PlainEngine:
    """A network frame by frame for `rows` faces that hear the same sound, in plain torch.

    `engine(A, y, t)` is called for t = 0, 1, 2 ... in turn. Four faces are computed together,
    always four: in another number of rows a product is rounded otherwise, and a face would depend
    on how many others are drawn.
    """

    def __init__(self, mapper: MappingNetwork, rows: int) -> None:
        self.mapper = mapper
        self.caches = [mapper.new_cache(ROWS) for _ in range(0, rows, ROWS)]

    def __call__(self, A: Tensor, y: Tensor, t: int, pinned: Tensor | None = None) -> Tensor:
        """Audio (400,), bins of frame t-1 (B, 23), marks (23,) -> logits (B, 23, D), or (B, 23)."""
        heard = A.expand(ROWS, -1)
        marks = None if pinned is None else pinned.expand(ROWS, -1)
        logits = [
            self.mapper.decode_frame(heard, four, cache, t, marks)
            for four, cache in zip(fours(y), self.caches, strict=True)
        ]
        return torch.cat(logits)[: len(y)]


class StrictEngine:
    """Eq. 3 to the letter: frame t from the last tau frames alone, computed anew each time.

    The ring of the other engines lets each of the L layers look tau frames back, which is what
    training does.
    """

    def __init__(self, mapper: MappingNetwork, rows: int) -> None:
        self.mapper = mapper
        self.past: list[tuple[Tensor, Tensor, Tensor]] = []  # audio, bins, marks of the last frames

    def __call__(self, A: Tensor, y: Tensor, t: int, pinned: Tensor | None = None) -> Tensor:
        """As `PlainEngine`."""
        marks = torch.zeros(N_ATTRIBUTES) if pinned is None else pinned
        self.past = [*self.past, (A, y, marks)][-self.mapper.config.tau :]
        heard = torch.stack([A for A, _, _ in self.past]).expand(ROWS, -1, -1)  # (4, T, 400)
        bins = torch.stack([y for _, y, _ in self.past], dim=1)  # (B, T, 23)
        marks = torch.stack([marks for _, _, marks in self.past]).expand(ROWS, -1, -1)
        logits = [self.mapper(heard, four, pinned=marks)[:, -1] for four in fours(bins)]
        return torch.cat(logits)[: len(y)]


def fours(rows: Tensor) -> list[Tensor]:
    """Rows (B, ...) in parts of four; the last part is filled up with copies of its last row."""
    missing = -len(rows) % ROWS
    return list(torch.cat([rows, rows[-1:].expand(missing, *rows.shape[1:])]).split(ROWS))


def engine_for(mapper: MappingNetwork, rows: int, engine: str) -> Callable:
    """The engine of that name. Raises InputError for another name."""
    if engine not in ENGINES:
        raise InputError(f"no engine {engine!r}: choose one of {', '.join(ENGINES)}")
    if engine == "fast":
        from .fast.decode import FastEngine  # here: it compiles, and most speech needs no compiler

        return FastEngine(mapper, rows)
    return PlainEngine(mapper, rows) if engine == "plain" else StrictEngine(mapper, rows)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: products of four rows gain nothing from more, and round otherwise.

    So a seed gives the same face whatever the number of cores, and a busy neighbour costs nothing.
    """
    before = torch.get_num_threads()
    if before > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if before > 1:
            torch.set_num_threads(before)


class Decoder:
    """Draws one frame after another; what `generate` and `Stream` share.

    Settings are one number, or a dict of groups or attributes that changes the defaults: TOP_K,
    TEMPERATURE, SPEED, top_p 1, guidance 0. `guidance` w amplifies what the audio says
    (classifier-free guidance): (1 + w) times the logits with audio minus w times those without,
    which the network is then asked for as well. `speed` limits how far an attribute goes in one
    frame, as a multiple of its natural speed. `engine` is "plain", "fast" or "strict".
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
        engine: str = "plain",
    ) -> None:
        if samples < 1:
            raise InputError(f"give at least 1 sample, not {samples}")
        self.mapper = mapper
        self.settings = settings_for(mapper, top_k, temperature, top_p, guidance, speed)
        self.noise = Noise(self.settings.k, samples, seed)
        self.control = Controller(control, mapper.ranges) if control else None
        self.engine = engine
        self.hearing = engine_for(mapper, samples, engine)
        guided = bool((self.settings.guidance > 0).any()) and mapper.config.probabilistic
        self.deaf = engine_for(mapper, samples, engine) if guided else None  # hears no audio, ever
        self.t = 0
        self.y = mapper.start(samples)[:, 0]  # the bins of the last frame (samples, 23)

    @torch.inference_mode()
    def next(self, A: Tensor) -> Tensor:
        """The next frame: its audio features (400,) -> bins (samples, 23)."""
        out = self.logits(A)
        if self.mapper.config.probabilistic:
            if self.control:
                out = self.control.steer(self.t, out)
            y = self.draw(out)
        else:
            D = self.mapper.config.bins
            y = (out * D).floor().long().clamp(0, D - 1)
        self.y = self.control.hold(self.t, y) if self.control else y
        self.t += 1
        return self.y

    def logits(self, A: Tensor) -> Tensor:
        """What the network says of a frame, guided if asked: (samples, 23, D) or (samples, 23)."""
        pinned = self.control.pinned(self.t) if self.control else None
        heard = self.hearing(A, self.y, self.t, pinned)
        if self.deaf is None:
            return heard
        deaf = self.deaf(torch.full_like(A, NO_AUDIO), self.y, self.t, pinned)
        return heard + self.settings.guidance[:, None] * (heard - deaf)

    def draw(self, logits: Tensor) -> Tensor:
        """Gumbel top-k: logits (samples, 23, D) -> bins (samples, 23)."""
        s, y = self.settings, torch.empty_like(self.y)
        # before the first frame there is nothing to be near to
        farthest = s.farthest if self.t else torch.full_like(s.farthest, math.inf)
        for columns, noise in self.noise.of_frame(self.t):
            some = logits[:, columns], noise
            heat, top_p = s.temperature[columns], s.top_p[columns]
            near = self.y[:, columns], farthest[columns]
            if self.engine == "fast" and (top_p == 1).all():
                y[:, columns] = fast_draw(*some, heat, *near)
            else:
                y[:, columns] = draw(*some, heat, top_p, *near)
        return y

    def values(self, bins: Tensor) -> np.ndarray:
        """Bins -> what comes out, float32, both (..., 23): centroids (Eq. 4), scaled and offset."""
        Y = self.mapper.ranges.decode(bins.numpy())
        return self.control.finish(Y) if self.control else Y


def fast_draw(
    logits: Tensor, noise: Tensor, temperature: Tensor, last: Tensor, farthest: Tensor
) -> Tensor:
    """`draw` compiled: logits (B, n, D), noise (B, n, k), last (B, n), others (n,) -> (B, n)."""
    from .fast.draw import draw as compiled_draw

    B, n, D = logits.shape
    drawn = compiled_draw(
        logits.reshape(B * n, D).numpy(),
        noise.reshape(B * n, -1).numpy(),
        temperature.repeat(B).numpy(),
        last.flatten().numpy(),
        farthest.repeat(B).numpy(),
    )
    return torch.from_numpy(drawn).view(B, n)  # (B * n,) -> (B, n)


# ---- whole animations ----------------------------------------------------------------------------
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
    engine: str | None = None,
    progress: Callable | None = None,
    **options,
) -> np.ndarray:
    """Draw `samples` animations for audio features A (T, 400) -> float32 (samples, T, 23).

    `top_k` and `temperature` are one number, or a dict of groups or attributes. `control` says what
    the face shall do (see `Control`); `smooth` averages the pose over that many frames to either
    side; `options` are those of `Decoder`: top_p, guidance, speed. `engine` is "plain", "fast" or
    "strict"; if not given, plain for speech under a minute, fast from there on. `progress` wraps
    the frames (tqdm does).
    Raises InputError for audio of another shape, fewer than one sample, or settings that make no
    sense. Paper: 3.2.2, Eq. 3, 4. Notebook: 04_mapper.

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
    engine = engine or ("fast" if len(A) >= LONG else "plain")
    decoder = Decoder(
        mapper, samples, seed, top_k, temperature, control=control, engine=engine, **options
    )
    smoother = Smoother(smooth)
    with one_thread():
        bins = torch.stack([decoder.next(row) for row in (progress(A) if progress else A)])
    frames = list(decoder.values(bins))  # each (samples, 23)
    return np.stack([*smoother.feed(frames), *smoother.finish()], axis=1)  # (samples, T, 23)


class Stream:
    """`generate` for speech that is still arriving: feed it in pieces of any size, then finish.

    Bit for bit what `generate` gives for the whole recording with the same engine and gain. `gain`
    multiplies the samples: one-shot use measures it on the whole file (`audio.loudness_gain`), a
    stream must be told. The other settings are those of `Decoder`. Frames come 0.15 s after their
    sound, and `smooth` frames later. Notebook: 04_mapper.
    """

    def __init__(
        self,
        mapper: MappingNetwork,
        gain: float = 1.0,
        samples: int = 1,
        smooth: int = 0,
        **settings,
    ) -> None:
        self.features = FeatureStream(gain)
        self.decoder = Decoder(mapper, samples, **settings)
        self.smoother = Smoother(smooth)

    def feed(self, wave: np.ndarray) -> np.ndarray:
        """The next samples at 16 kHz (n,) -> frames that are ready by now (samples, frames, 23)."""
        return self._stack(self.smoother.feed(self._decode(self.features.feed(wave))))

    def finish(self) -> np.ndarray:
        """The frames (samples, frames, 23) that were waiting for more sound."""
        frames = self.smoother.feed(self._decode(self.features.finish()))
        return self._stack(frames + self.smoother.finish())

    def _decode(self, A: np.ndarray) -> list[np.ndarray]:
        with one_thread():
            return [self.decoder.values(self.decoder.next(row)) for row in torch.from_numpy(A)]

    def _stack(self, frames: list[np.ndarray]) -> np.ndarray:
        if not frames:
            return np.zeros((len(self.decoder.y), 0, N_ATTRIBUTES), np.float32)
        return np.stack(frames, axis=1)


class Smoother:
    """Averages the pose over `reach` frames to either side, `reach` frames late; AUs stay.

    The weights are triangular. Beyond both ends the outermost frame is repeated. With reach 0
    frames pass as they are.
    """

    def __init__(self, reach: int) -> None:
        if reach < 0:
            raise InputError(f"smoothing reaches 0 or more frames, not {reach}")
        triangle = np.r_[np.arange(1, reach + 2), np.arange(reach, 0, -1)].astype(np.float32)
        self.reach, self.weights = reach, triangle / triangle.sum()
        self.window: list[np.ndarray] = []

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
