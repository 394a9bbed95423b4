"""Exercises of chapter 04: the shifted past, the loss in bits, top-k.

Notebook: 04_mapper.
"""

import math
from typing import Callable

import numpy as np

from .biased_mask import softmax
from .judging import exercise, judge

# ---- exercise 1: what the network may know -------------------------------------------------------


def moved_later(y_bar: np.ndarray, start: int, by: int = 1) -> np.ndarray:
    """The track (T, 23) moved `by` frames later, with start tokens in front."""
    return np.concatenate([np.full((by, y_bar.shape[1]), start), y_bar[:-by]])


def with_start(y_bar: np.ndarray, D: int) -> np.ndarray:
    """One row of start tokens before the whole track, (T + 1, 23)."""
    return np.concatenate([np.full((1, y_bar.shape[1]), D), y_bar])


SHIFT_MISTAKES = [
    (
        "the track was not moved: the network would read the answer it is asked for",
        lambda y, D: y,
    ),
    (
        "it was moved the wrong way: row t holds frame t + 1, the future",
        lambda y, D: np.concatenate([y[1:], np.full((1, y.shape[1]), D)]),
    ),
    (
        "np.roll brings the last frame to the front: "
        "nothing comes before frame 0, write start tokens",
        lambda y, D: np.roll(y, 1, axis=0),
    ),
    (
        "the attributes were moved, not the frames: shift along time, axis 0",
        lambda y, D: np.concatenate([np.full((len(y), 1), D), y[:, :-1]], axis=1),
    ),
    (
        "bin 0 is a real bin, an attribute at rest: the start token is D, one past the last",
        lambda y, D: moved_later(y, 0),
    ),
    (
        "bin D - 1 is a real bin, the strongest: the start token is D, one past the last",
        lambda y, D: moved_later(y, D - 1),
    ),
    (
        "-1 is no row of an embedding table: the start token is D, one past the last",
        lambda y, D: moved_later(y, -1),
    ),
    ("there is one row too many: the last frame is before nothing", with_start),
    ("row t holds frame t - 2: move by one", lambda y, D: moved_later(y, D, by=2)),
]


@exercise("04_mapper", 1)
def shift(function: Callable) -> str:
    """shift(y_bar, D) -> what the network may know of a track (T, 23) of bins, (T, 23).

    Row t holds the bins of frame t - 1, row 0 holds start tokens D.
    """
    rng = np.random.default_rng(7)
    return judge(
        function,
        right=moved_later,
        cases=[(rng.integers(0, 500, (6, 23)), 500), (rng.integers(0, 10, (3, 23)), 10)],
        mistakes=SHIFT_MISTAKES,
        praise="the true past, and nothing of the present",
    )


# ---- exercise 2: the loss in bits, Eq. 5 ---------------------------------------------------------


def of_true_bins(p: np.ndarray, y_bar: np.ndarray) -> np.ndarray:
    """What likelihoods (T, D) give to the bins that came true, (T,)."""
    return p[np.arange(len(y_bar)), y_bar]


BITS_MISTAKES = [
    ("these are nats: take log2", lambda p, y: -np.log(of_true_bins(p, y)).mean()),
    ("that is log10: take log2", lambda p, y: -np.log10(of_true_bins(p, y)).mean()),
    (
        "the sign is missing: surprise is 0 or more",
        lambda p, y: np.log2(of_true_bins(p, y)).mean(),
    ),
    (
        "the frames are summed: Eq. 5 divides by T",
        lambda p, y: -np.log2(of_true_bins(p, y)).sum(),
    ),
    (
        "the mean was taken before the logarithm: a single bin of likelihood 0 would cost nothing",
        lambda p, y: -np.log2(of_true_bins(p, y).mean()),
    ),
    (
        "all bins are asked: only the one that came true counts",
        lambda p, y: -np.log2(p).mean(),
    ),
    (
        "all bins are asked: only the one that came true counts",
        lambda p, y: -np.log2(p).sum(1).mean(),
    ),
    (
        "that is the surprise the network expects, its entropy: ask the bin that came true",
        lambda p, y: -(p * np.log2(p)).sum(1).mean(),
    ),
    (
        "that is the surprise at its favourite bin: ask the one that came true",
        lambda p, y: -np.log2(p.max(1)).mean(),
    ),
    (
        "the likelihoods are averaged without a logarithm",
        lambda p, y: of_true_bins(p, y).mean(),
    ),
    (
        "one number per frame comes back: take their mean",
        lambda p, y: -np.log2(of_true_bins(p, y)),
    ),
]


@exercise("04_mapper", 2)
def bits(function: Callable) -> str:
    """bits(p, y_bar) -> Eq. 5 in bits: the mean over T of -log2 of what p gives to the true bins.

    p is (T, D), the true bins y_bar are (T,).
    """
    rng = np.random.default_rng(8)

    def case(T, D):
        p = rng.gamma(1, size=(T, D)) + 0.01
        return p / p.sum(1, keepdims=True), rng.integers(0, D, T)

    return judge(
        function,
        right=lambda p, y: -np.log2(of_true_bins(p, y)).mean(),
        cases=[case(6, 4), case(30, 50), case(1, 2)],
        mistakes=BITS_MISTAKES,
        praise="the mean surprise; knowing nothing costs log2 D",
    )


# ---- exercise 3: top-k ---------------------------------------------------------------------------


def largest(logits: np.ndarray, k: int) -> np.ndarray:
    """True for the k largest logits (D,)."""
    return np.isin(np.arange(len(logits)), np.argsort(-np.asarray(logits))[:k])


def smallest(logits: np.ndarray, k: int) -> np.ndarray:
    """True for the k smallest logits (D,)."""
    return np.isin(np.arange(len(logits)), np.argsort(np.asarray(logits))[:k])


def top_k(logits: np.ndarray, k: int) -> np.ndarray:
    """Softmax over the k largest logits, 0 elsewhere, (D,)."""
    return softmax(np.where(largest(logits, k), logits, -math.inf))


TOP_K_PROBABILITIES_MISTAKES = [
    (
        "nothing is cut off: bins outside the top k must have probability 0",
        lambda x, k: softmax(x),
    ),
    (
        "the probabilities no longer sum to 1: divide by the sum of those that are kept",
        lambda x, k: softmax(x) * largest(x, k),
    ),
    (
        "a logit of 0 still has probability: cut with -inf, not with 0",
        lambda x, k: softmax(np.where(largest(x, k), x, 0)),
    ),
    (
        "the k smallest are kept: sort the other way",
        lambda x, k: softmax(np.where(smallest(x, k), x, -math.inf)),
    ),
    (
        "the kept bins are all equally likely: top-k keeps their proportions",
        lambda x, k: largest(x, k) / k,
    ),
    ("one bin too many is kept", lambda x, k: top_k(x, k + 1)),
    (
        "only the k kept values come back: keep all D places, with 0 outside",
        lambda x, k: np.sort(top_k(x, k))[::-1][:k],
    ),
]


@exercise("04_mapper", 3)
def top_k_probabilities(function: Callable) -> str:
    """top_k_probabilities(logits, k) -> (D,): softmax over the k largest logits, 0 elsewhere."""
    rng = np.random.default_rng(4)
    return judge(
        function,
        right=top_k,
        cases=[(rng.normal(size=8), 3), (rng.normal(size=20) * 3, 5), (rng.normal(size=6), 1)],
        mistakes=TOP_K_PROBABILITIES_MISTAKES,
        praise="the k likeliest bins share all the probability, in their old proportions",
    )
