"""Sampling: audio in, one plausible animation after another out, frame by frame.

Each frame's logits are cut to the k likeliest bins and one is drawn; the draw is fed back. Speech decides the lips
almost entirely, expression and pose hardly at all, so each attribute group has its own k and temperature.

Paper: 3.2.2 (top-k sampling), Eq. 3, 4. Notebook: 04_mapper.
"""

import math
from typing import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from .animation import GROUPS, N_ATTRIBUTES, column
from .files import InputError
from .mapper import MappingNetwork

# ours, not the paper's: lips tight, expression and pose loose. k counts bins, so it is scaled with D.
TOP_K = {"lips": 10, "upper": 60, "blink": 60, "pose": 40}
TEMPERATURE = {"lips": 0.5, "upper": 0.92, "blink": 1.1, "pose": 0.85}
NOISE_BLOCK = 64  # frames of noise drawn at once


def top_k_sample(logits: Tensor, k: int, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """Draw one bin from the k likeliest of each row of logits (..., D) -> int64 (...).

    Adding Gumbel noise to log-probabilities and taking the largest is a draw from the softmax, without computing it.
    Paper: 3.2.2. Notebook: 04_mapper.

    >>> top_k_sample(torch.tensor([[0.0, 9.0, 1.0]]), k=1)
    tensor([1])
    """
    if k < 1 or temperature <= 0:
        raise InputError(f"top-k sampling needs k >= 1 and a temperature above 0, not {k} and {temperature}")
    noise = torch.empty(*logits.shape[:-1], min(k, logits.shape[-1])).exponential_(generator=generator)
    return _draw(logits, noise, torch.full(logits.shape[:-1], k), torch.full(logits.shape[:-1], temperature))


def _draw(logits: Tensor, noise: Tensor, k: Tensor, temperature: Tensor) -> Tensor:
    """Gumbel top-k: logits (..., D), exponential noise (..., k_max), k and temperature per row -> bins (...)."""
    values, bins = logits.topk(noise.shape[-1], dim=-1)  # sorted, largest first
    gumbel = -noise.log()
    score = values / temperature[..., None] + gumbel
    score = score.masked_fill(torch.arange(noise.shape[-1]) >= k[..., None], -math.inf)
    return bins.gather(-1, score.argmax(-1, keepdim=True)).squeeze(-1)


def per_attribute(setting: float | dict | None, default: dict) -> Tensor:
    """One number for all, or a dict of groups ("lips" ...) or attributes ("AU12" ...) -> (23,) numbers."""
    out = torch.empty(N_ATTRIBUTES)
    for name, value in {**default, **(setting if isinstance(setting, dict) else {})}.items():
        out[GROUPS.get(name) or [column(name)]] = float(value)
    return out if setting is None or isinstance(setting, dict) else torch.full((N_ATTRIBUTES,), float(setting))


def sample_generators(samples: int, seed: int) -> list[torch.Generator]:
    """One random generator per sample, so that sample i is the same whatever the number of samples."""
    return [torch.Generator().manual_seed(1_000_003 * seed + i) for i in range(samples)]


@torch.inference_mode()
def decode_frames(mapper: MappingNetwork, A: Iterable[Tensor], samples: int, seed: int = 0,
                  top_k: float | dict | None = None, temperature: float | dict | None = None,
                  control: np.ndarray | None = None) -> Iterator[Tensor]:
    """Yield the bins (samples, 23) of one frame after another for audio rows A (400,) given one by one.

    The cost of a frame does not depend on how many came before. Paper: Eq. 3. Notebook: 04_mapper.
    """
    bins = mapper.config.bins
    # k is read in bins of width .01; with fewer bins it shrinks in step, and never exceeds D
    k = (per_attribute(top_k, TOP_K) * (1 if top_k is not None else bins / 500)).round().clamp(1, bins).long()
    heat = per_attribute(temperature, TEMPERATURE)
    if (heat <= 0).any():
        raise InputError("temperatures must be above 0")
    k, heat = k.expand(samples, -1), heat.expand(samples, -1)
    sources, rings, noise = sample_generators(samples, seed), mapper.new_rings(samples), None
    y = mapper.start(samples)[:, 0]
    for t, features in enumerate(A):
        if t % NOISE_BLOCK == 0:
            block = [torch.empty(NOISE_BLOCK, N_ATTRIBUTES, int(k.max())).exponential_(generator=g) for g in sources]
            noise = torch.stack(block, dim=1)  # (block, samples, 23, k_max)
        out = mapper.step(features.expand(samples, -1), y, rings, t, mapper.ring_bias(t))
        if mapper.config.probabilistic:
            y = _draw(out, noise[t % NOISE_BLOCK], k, heat)  # (samples, 23)
        else:
            y = (out * bins).floor().long().clamp(0, bins - 1)
        if control is not None and t < len(control):  # overwritten before it is fed back, so the rest can react
            pinned = np.isfinite(control[t])
            y[:, pinned] = torch.from_numpy(mapper.discretizer.encode(np.nan_to_num(control[t]))[pinned])
        yield y


def generate(mapper: MappingNetwork, A: np.ndarray | Tensor, samples: int = 3, seed: int = 0,
             top_k: float | dict | None = None, temperature: float | dict | None = None,
             control: np.ndarray | None = None, progress: Callable | None = None) -> np.ndarray:
    """Draw `samples` animations for audio features A (T, 400) -> float32 (samples, T, 23).

    `top_k` and `temperature` are one number, or a dict of groups or attributes. `control` (T, 23) pins an attribute to
    a value wherever it is not NaN; the others react through the model. `progress` wraps the frames (tqdm does).
    Raises InputError for audio of another shape, or fewer than one sample.
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
        raise InputError(f"audio features are (T, {mapper.config.audio}) with T >= 1, not {tuple(A.shape)}")
    if samples < 1:
        raise InputError(f"give at least 1 sample, not {samples}")
    frames = progress(A) if progress else A
    y_tilde = torch.stack(list(decode_frames(mapper, frames, samples, seed, top_k, temperature, control)), dim=1)
    return mapper.discretizer.decode(y_tilde.numpy())  # (samples, T, 23), Eq. 4


def pin(T: int, **spans: tuple[float, float, float]) -> np.ndarray:
    """A control array (T, 23) from spans name=(start second, end second, value); everything else is free (NaN).

    >>> control = pin(50, AU12=(0.4, 1.0, 3.0))
    >>> int(np.isfinite(control).sum())
    15
    """
    control = np.full((T, N_ATTRIBUTES), np.nan)
    for name, (start, end, value) in spans.items():
        control[int(round(start * 25)):int(round(end * 25)), column(name)] = value
    return control
