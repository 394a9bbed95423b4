"""Exercises of chapter 03: attention, how far layers reach, the temporally-biased mask.

Notebook: 03_biased_mask.
"""

import math
from typing import Callable

import numpy as np

from .judging import exercise, judge

# ---- exercise 1: attention, Eq. 1 ----------------------------------------------------------------


def softmax(scores: np.ndarray, axis: int = -1) -> np.ndarray:
    """Scores (T, T) -> weights that sum to 1 along an axis."""
    e = np.exp(scores - scores.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def scores(Q: np.ndarray, K: np.ndarray) -> np.ndarray:
    """Q K^T / sqrt(N_k), (T, T)."""
    return Q @ K.T / math.sqrt(Q.shape[1])


def masked_attention(Q: np.ndarray, K: np.ndarray, V: np.ndarray, M: np.ndarray) -> np.ndarray:
    """Eq. 1 with the mask added after the scaling, (T, n)."""
    return softmax(scores(Q, K) + M) @ V


def attend_scaled_by(divisor: Callable) -> Callable:
    """An answer whose scores are divided by divisor(N_k)."""
    return lambda Q, K, V, M: softmax(Q @ K.T / divisor(Q.shape[1]) + M) @ V


ATTENTION_MISTAKES = [
    (
        "M is inside the scaling, as Eq. 1 prints it: "
        "every slope is weaker by sqrt(N_k), add M after it",
        lambda Q, K, V, M: softmax(scores(Q, K) + M / math.sqrt(Q.shape[1])) @ V,
    ),
    (
        "scores are not divided by sqrt(N_k): with many channels one frame takes all",
        attend_scaled_by(lambda N: 1),
    ),
    ("scores are divided by N_k: take its square root", attend_scaled_by(lambda N: N)),
    (
        # no column is hidden as a whole: each frame looks at itself
        "each column sums to 1: softmax goes over the frames looked at, the last axis",
        lambda Q, K, V, M: softmax(scores(Q, K) + M, axis=0) @ V,
    ),
    (
        "M is added after the softmax: hidden frames are -inf there, not 0",
        lambda Q, K, V, M: (softmax(scores(Q, K)) + M) @ V,
    ),
    (
        "the mask multiplies after the softmax: rows no longer sum to 1",
        lambda Q, K, V, M: (softmax(scores(Q, K)) * np.isfinite(M)) @ V,
    ),
    (
        "the mask is missing: frames see the future",
        lambda Q, K, V, M: softmax(scores(Q, K)) @ V,
    ),
    (
        "queries and keys are exchanged: row i is the frame that looks",
        lambda Q, K, V, M: masked_attention(K, Q, V, M),
    ),
    (
        "these are the weights: they still have to mix the values V",
        lambda Q, K, V, M: softmax(scores(Q, K) + M),
    ),
    (
        "these are weights without the softmax: a row must sum to 1",
        lambda Q, K, V, M: np.where(np.isfinite(M), scores(Q, K) + M, 0) @ V,
    ),
]


@exercise("03_biased_mask", 1)
def attention(function: Callable) -> str:
    """attention(Q, K, V, M) -> softmax(Q K^T / sqrt(N_k) + M) V, (T, n).

    Q and K are (T, N_k), V is (T, n), M is (T, T); all NumPy.
    """
    rng = np.random.default_rng(6)

    def case(T, N_k, n):
        Q, K, V = (rng.normal(size=(T, size)) for size in (N_k, N_k, n))
        age = np.subtract.outer(np.arange(T), np.arange(T))  # (T, T)
        M = np.where(age < 0, -math.inf, -0.5 * age)
        return Q, K, V, M

    return judge(
        function,
        right=masked_attention,
        cases=[case(4, 3, 2), case(6, 4, 4), case(5, 9, 1)],
        mistakes=ATTENTION_MISTAKES,
        praise="scores scaled, the mask added, each row shared out, values mixed",
    )


# ---- exercise 2: how far do L layers reach? ------------------------------------------------------

FRAMES_REACHED_MISTAKES = [
    (
        "that is Eq. 3's tau: it holds for one layer, the next sees what those frames have seen",
        lambda L, tau: tau,
    ),
    (
        "neighbouring bands share a frame: a layer adds tau - 1 frames, not tau",
        lambda L, tau: L * tau,
    ),
    ("the frame itself is missing: add 1", lambda L, tau: L * (tau - 1)),
    (
        "a layer adds tau - 1 frames to those reached, it does not multiply them",
        lambda L, tau: tau**L,
    ),
    (
        "the first layer reaches tau frames, and each *further* one tau - 1 more: "
        "one layer too many",
        lambda L, tau: L * (tau - 1) + tau,
    ),
    (
        "a layer adds tau - 1 frames, and the frame itself counts once",
        lambda L, tau: L * tau + 1,
    ),
]


@exercise("03_biased_mask", 2)
def frames_reached(function: Callable) -> str:
    """frames_reached(L, tau) -> how many frames can move frame t through L layers of band tau.

    Frame t itself is one of them.
    """
    return judge(
        function,
        right=lambda L, tau: L * (tau - 1) + 1,
        cases=[(1, 4), (2, 4), (3, 4), (4, 50), (2, 1)],
        mistakes=FRAMES_REACHED_MISTAKES,
        praise="tau - 1 frames more a layer: 197 for our four layers",
    )


# ---- exercise 3: the temporally-biased mask ------------------------------------------------------


def alibi(h: int, heads: int) -> float:
    """The slope of head h = 1 .. heads."""
    return 2.0 ** (-8 * h / heads)


def biased_mask(
    T: int,
    heads: int,
    tau: int,
    slope_of: Callable = alibi,
    first_head: int = 1,
    sign: int = -1,
    hide_future: bool = True,
    late: int = 0,
) -> np.ndarray:
    """The mask (heads, T, T): -slope x age, -inf for the future and for age >= tau.

    Each option is one way to get it wrong; `late` is by how many frames the band ends too late.
    """
    age = np.subtract.outer(np.arange(T), np.arange(T)).astype(float)  # (T, T)
    hidden = age >= tau + late
    if hide_future:
        hidden |= age < 0
    else:
        age = np.abs(age)

    slopes = np.array([slope_of(h, heads) for h in range(first_head, first_head + heads)])
    bias = sign * slopes[:, None, None] * age  # (heads, T, T)
    return np.where(hidden, -math.inf, bias)


def mask_with(**options) -> Callable:
    """An answer: the mask with one thing wrong."""
    return lambda T, heads, tau: biased_mask(T, heads, tau, **options)


def mask_on_both_sides(T: int, heads: int, tau: int) -> np.ndarray:
    """The band lies on both sides of the frame that looks."""
    seen = np.isfinite(biased_mask(T, heads, tau))
    seen |= seen.transpose(0, 2, 1)  # (heads, T, T)
    return np.where(seen, biased_mask(T, heads, tau, hide_future=False), -math.inf)


TEMPORALLY_BIASED_MASK_MISTAKES = [
    ("older frames are favoured: the penalty is negative", mask_with(sign=1)),
    (
        "frame t - tau is still let in: tau frames are ages 0 to tau - 1, so age >= tau is hidden",
        mask_with(late=1),
    ),
    ("old frames are never cut off: hide age >= tau", mask_with(late=10**6)),
    ("the future shows: hide every column j > i", mask_with(hide_future=False)),
    (
        "the future shows: the band must lie on one side, hide every column j > i",
        mask_on_both_sides,
    ),
    (
        "keys and queries are exchanged (transposed): row i is the frame that looks",
        lambda T, heads, tau: biased_mask(T, heads, tau).transpose(0, 2, 1),
    ),
    (
        "the heads are in reverse order: head 1 is the steepest",
        lambda T, heads, tau: biased_mask(T, heads, tau)[::-1],
    ),
    ("heads count from 1: with h = 0 the first slope is 1", mask_with(first_head=0)),
    (
        "the slopes are 2^(-h), they should be 2^(-8h/H)",
        mask_with(slope_of=lambda h, heads: 2.0**-h),
    ),
    (
        "every head has the same penalty of 1: each head has its slope",
        mask_with(slope_of=lambda h, heads: 1.0),
    ),
    (
        "there is no penalty, only the band: that is the ablation without bias",
        mask_with(slope_of=lambda h, heads: 0.0),
    ),
    (
        "this multiplies weights after the softmax (0 and 1): "
        "a mask is added before it, 0 and -inf",
        lambda T, heads, tau: np.isfinite(biased_mask(T, heads, tau)).astype(float),
    ),
    (
        "one (T, T) mask comes back: give one per head, (H, T, T)",
        lambda T, heads, tau: biased_mask(T, heads, tau)[0],
    ),
]


@exercise("03_biased_mask", 3)
def temporally_biased_mask(function: Callable) -> str:
    """temporally_biased_mask(T, heads, tau) -> (heads, T, T): -slope x age, else -inf.

    Hidden (-inf) are the future and every age >= tau.
    """
    return judge(
        function,
        right=biased_mask,
        cases=[(6, 2, 3), (5, 4, 50), (12, 8, 7)],
        mistakes=TEMPORALLY_BIASED_MASK_MISTAKES,
        praise="a slope per head, no future, tau frames of past",
    )
