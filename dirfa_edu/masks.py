"""Attention masks: causal, and the paper's temporally-biased mask.

A mask M is added to the attention scores before the softmax: 0 lets a frame through, -inf hides it,
and anything between makes it count less. Row i is the frame being predicted, column j the frame
looked at, age = i - j.

Paper: Eq. 1, 3.2.3, Fig. 2. Notebook: 03_biased_mask.
"""

import math
from functools import lru_cache

import numpy as np
import torch

from .files import InputError

TAU = 50  # frames of context, tau in the paper


def alibi_slopes(heads: int) -> torch.Tensor:
    """One slope per head, 2^(-8h/H) for h = 1..H: steep heads look at the last frames, flat heads
    far back.

    Paper: 3.2.3, citing ALiBi (Press et al. 2021). Notebook: 03_biased_mask.

    >>> alibi_slopes(2)
    tensor([0.0625, 0.0039])
    """
    return 2.0 ** (-8.0 * torch.arange(1, heads + 1) / heads)


def causal_mask(T: int) -> torch.Tensor:
    """(T, T): 0 where j <= i, -inf above the diagonal, so that no frame sees the future.

    Paper: Fig. 2 left. Notebook: 03_biased_mask.

    >>> causal_mask(2)
    tensor([[0., -inf],
            [0., 0.]])
    """
    age = _age(T)
    return torch.zeros(T, T).masked_fill(age < 0, -math.inf)


def temporally_biased_mask(
    T: int, heads: int, tau: int = TAU, style: str = "alibi", scale: float = 1.0
) -> torch.Tensor:
    """(H, T, T): minus slope times age inside the last `tau` frames; -inf for the future and for
    age >= tau.

    `style`: "alibi" gives each head its slope; "single" is Fig. 2 read literally, one penalty of 1
    per frame of age for all heads; "none" has no penalty, only the band (the ablation "w/o TBM").
    `scale` multiplies the slopes.
    Raises InputError for another style, or sizes below 1. Paper: 3.2.3, Fig. 2 right. Notebook:
    03_biased_mask.

    >>> temporally_biased_mask(3, heads=1, tau=2, style="single")[0]
    tensor([[ 0., -inf, -inf],
            [-1.,  0., -inf],
            [-inf, -1.,  0.]])
    """
    if min(T, heads, tau) < 1:
        raise InputError(f"a mask needs T, heads and tau of at least 1, not {T}, {heads}, {tau}")
    age = _age(T)
    penalty = scale * bias_slopes(heads, style)[:, None, None] * -age  # (H, T, T)
    return penalty.masked_fill((age < 0) | (age >= tau), -math.inf)


def bias_slopes(heads: int, style: str) -> torch.Tensor:
    """Penalty per frame of age for each head, (H,). Raises InputError for an unknown style."""
    if style == "alibi":
        return alibi_slopes(heads)
    if style == "single":
        return torch.ones(heads)
    # sinusoidal positions are added to the tokens, not to the mask
    if style in ("none", "sinusoidal"):
        return torch.zeros(heads)
    raise InputError(f"unknown mask style {style!r}: choose alibi, single, none or sinusoidal")


@lru_cache(maxsize=1024)
def ring_bias(t: int, heads: int, tau: int, style: str, scale: float = 1.0) -> np.ndarray:
    """Frame t's row of the mask in a ring's order, times `scale`, (H, tau): slot s holds the frame
    of age (t - s) mod tau. In the first tau frames slots from t + 1 on are not yet written, and
    hidden. Notebook: 03_biased_mask.

    >>> ring_bias(3, heads=1, tau=3, style="single")
    array([[-0., -2., -1.]], dtype=float32)
    """
    age = (t - torch.arange(tau)) % tau
    return (
        (-bias_slopes(heads, style)[:, None] * age * scale).masked_fill(age > t, -math.inf).numpy()
    )


def sinusoid(t: torch.Tensor, d: int) -> torch.Tensor:
    """Sinusoidal positions of Vaswani et al., (T, d): the ablation's alternative to the biased
    mask."""
    rate = torch.exp(-math.log(10000.0) * torch.arange(0, d, 2) / d)
    angle = t[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :d]  # (T, d)


def _age(T: int) -> torch.Tensor:
    """age[i, j] = i - j, (T, T)."""
    t = torch.arange(T)
    return t[:, None] - t[None, :]
