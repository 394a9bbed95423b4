"""Exercises of chapters 03 and 04: mask, attention, likelihood, sampling. Used as `checks.<name>`.

Notebook: 03_biased_mask, 04_mapper.
"""

import math
from typing import Callable

import numpy as np

from .judging import exercise, judge

# --------------------------------------------------------------------------------------------------


@exercise("03_biased_mask", 3)
def temporally_biased_mask(function: Callable) -> str:
    """temporally_biased_mask(T, heads, tau) -> (heads, T, T): -slope x age, -inf for the future and
    age >= tau."""

    def mask(
        T, H, tau, slopes=lambda h, H: 2.0 ** (-8 * h / H), sign=-1, future=True, band=0, first=1
    ):
        age = np.subtract.outer(np.arange(T), np.arange(T)).astype(float)  # (T, T)
        slope = np.array([slopes(h, H) for h in range(first, H + first)])
        out = sign * slope[:, None, None] * (np.abs(age) if not future else age)  # (H, T, T)
        hidden = np.zeros((T, T), bool)
        hidden |= (age < 0) if future else hidden
        hidden |= age >= tau + band
        return np.where(hidden, -math.inf, out)

    def variant(**options):
        return lambda T, H, tau: mask(T, H, tau, **options)

    return judge(
        function,
        mask,
        [(6, 2, 3), (5, 4, 50), (12, 8, 7)],
        [
            ("older frames are favoured: the penalty is negative", variant(sign=1)),
            (
                "frame t - tau is still let in: tau frames are ages 0 to tau - 1, so age >= tau is hidden",
                variant(band=1),
            ),
            ("old frames are never cut off: hide age >= tau", variant(band=10**6)),
            ("the future shows: hide every column j > i", variant(future=False)),
            (
                "the future shows: the band must lie on one side, hide every column j > i",
                lambda T, H, tau: np.where(
                    np.isfinite(mask(T, H, tau)) | np.isfinite(mask(T, H, tau).transpose(0, 2, 1)),
                    mask(T, H, tau, future=False),
                    -math.inf,
                ),
            ),
            (
                "keys and queries are exchanged (transposed): row i is the frame that looks",
                lambda T, H, tau: mask(T, H, tau).transpose(0, 2, 1),
            ),
            (
                "the heads are in reverse order: head 1 is the steepest",
                lambda T, H, tau: mask(T, H, tau)[::-1],
            ),
            ("heads count from 1: with h = 0 the first slope is 1", variant(first=0)),
            (
                "the slopes are 2^(-h), they should be 2^(-8h/H)",
                variant(slopes=lambda h, H: 2.0**-h),
            ),
            (
                "every head has the same penalty of 1: each head has its slope",
                variant(slopes=lambda h, H: 1.0),
            ),
            (
                "there is no penalty, only the band: that is the ablation without bias",
                variant(slopes=lambda h, H: 0.0),
            ),
            (
                "this multiplies weights after the softmax (0 and 1): a mask is added before it, 0 and -inf",
                lambda T, H, tau: np.isfinite(mask(T, H, tau)).astype(float),
            ),
            (
                "one (T, T) mask comes back: give one per head, (H, T, T)",
                lambda T, H, tau: mask(T, H, tau)[0],
            ),
        ],
        "a slope per head, no future, tau frames of past",
    )


@exercise("03_biased_mask", 1)
def attention(function: Callable) -> str:
    """attention(Q, K, V, M) -> softmax(Q K^T / sqrt(N_k) + M) V; Q, K (T, N_k), V (T, n), M (T, T),
    all NumPy."""
    rng = np.random.default_rng(6)

    def case(T, N, n):
        age = np.subtract.outer(np.arange(T), np.arange(T))
        return *(rng.normal(size=(T, size)) for size in (N, N, n)), np.where(
            age < 0, -math.inf, -0.5 * age
        )

    def weights(x, axis=-1):
        e = np.exp(x - x.max(axis, keepdims=True))
        return e / e.sum(axis, keepdims=True)

    def variant(divide=math.sqrt, inside=0):
        def answer(Q, K, V, M):
            N = divide(Q.shape[1])
            return weights(Q @ K.T / N + M / (N if inside else 1)) @ V

        return answer

    def down(Q, K, V, M):  # no column is hidden as a whole: each frame looks at itself
        return weights(Q @ K.T / math.sqrt(Q.shape[1]) + M, axis=0) @ V

    def plain(Q, K):
        return weights(Q @ K.T / math.sqrt(Q.shape[1]))

    return judge(
        function,
        variant(),
        [case(4, 3, 2), case(6, 4, 4), case(5, 9, 1)],
        [
            (
                "M is inside the scaling, as Eq. 1 prints it: every slope is weaker by sqrt(N_k), add M after it",
                variant(inside=1),
            ),
            (
                "scores are not divided by sqrt(N_k): with many channels one frame takes all",
                variant(lambda n: 1),
            ),
            ("scores are divided by N_k: take its square root", variant(lambda n: n)),
            ("each column sums to 1: softmax goes over the frames looked at, the last axis", down),
            (
                "M is added after the softmax: hidden frames are -inf there, not 0",
                lambda Q, K, V, M: (plain(Q, K) + M) @ V,
            ),
            (
                "the mask multiplies after the softmax: rows no longer sum to 1",
                lambda Q, K, V, M: (plain(Q, K) * np.isfinite(M)) @ V,
            ),
            ("the mask is missing: frames see the future", lambda Q, K, V, M: plain(Q, K) @ V),
            (
                "queries and keys are exchanged: row i is the frame that looks",
                lambda Q, K, V, M: weights(K @ Q.T / math.sqrt(Q.shape[1]) + M) @ V,
            ),
            (
                "these are the weights: they still have to mix the values V",
                lambda Q, K, V, M: weights(Q @ K.T / math.sqrt(Q.shape[1]) + M),
            ),
            (
                "these are weights without the softmax: a row must sum to 1",
                lambda Q, K, V, M: (
                    np.where(np.isfinite(M), Q @ K.T / math.sqrt(Q.shape[1]) + M, 0) @ V
                ),
            ),
        ],
        "scores scaled, the mask added, each row shared out, values mixed",
    )


@exercise("03_biased_mask", 2)
def frames_reached(function: Callable) -> str:
    """frames_reached(L, tau) -> how many frames, itself among them, can move frame t through L
    layers of band tau."""
    cases = [(1, 4), (2, 4), (3, 4), (4, 50), (2, 1)]
    return judge(
        function,
        lambda L, tau: L * (tau - 1) + 1,
        cases,
        [
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
                "the first layer reaches tau frames, and each *further* one tau - 1 more: one layer too many",
                lambda L, tau: L * (tau - 1) + tau,
            ),
            (
                "a layer adds tau - 1 frames, and the frame itself counts once",
                lambda L, tau: L * tau + 1,
            ),
        ],
        "tau - 1 frames more a layer: 197 for our four layers",
    )


# --------------------------------------------------------------------------------------------------


@exercise("04_mapper", 3)
def top_k_probabilities(function: Callable) -> str:
    """top_k_probabilities(logits, k) -> probabilities (D,): softmax over the k largest logits, 0
    elsewhere."""
    rng = np.random.default_rng(4)
    cases = [(rng.normal(size=8), 3), (rng.normal(size=20) * 3, 5), (rng.normal(size=6), 1)]

    def softmax(x):
        e = np.exp(x - np.max(x))
        return e / e.sum()

    def kept(x, k, order=-1):
        return np.isin(np.arange(len(x)), np.argsort(order * np.asarray(x))[:k])

    def right(x, k):
        return softmax(np.where(kept(x, k), x, -math.inf))

    return judge(
        function,
        right,
        cases,
        [
            (
                "nothing is cut off: bins outside the top k must have probability 0",
                lambda x, k: softmax(x),
            ),
            (
                "the probabilities no longer sum to 1: divide by the sum of those that are kept",
                lambda x, k: softmax(x) * kept(x, k),
            ),
            (
                "a logit of 0 still has probability: cut with -inf, not with 0",
                lambda x, k: softmax(np.where(kept(x, k), x, 0)),
            ),
            (
                "the k smallest are kept: sort the other way",
                lambda x, k: softmax(np.where(kept(x, k, 1), x, -math.inf)),
            ),
            (
                "the kept bins are all equally likely: top-k keeps their proportions",
                lambda x, k: kept(x, k) / k,
            ),
            ("one bin too many is kept", lambda x, k: right(x, k + 1)),
            (
                "only the k kept values come back: keep all D places, with 0 outside",
                lambda x, k: np.sort(right(x, k))[::-1][:k],
            ),
        ],
        "the k likeliest bins share all the probability, in their old proportions",
    )


@exercise("04_mapper", 1)
def shift(function: Callable) -> str:
    """shift(y_bar, D) -> what the network may know: row t holds the bins (23,) of frame t - 1, row
    0 start tokens D."""
    rng = np.random.default_rng(7)
    cases = [(rng.integers(0, 500, (6, 23)), 500), (rng.integers(0, 10, (3, 23)), 10)]

    def before(y, start, by=1):
        return np.concatenate([np.full((by, y.shape[1]), start), y[:-by]])

    return judge(
        function,
        before,
        cases,
        [
            (
                "the track was not moved: the network would read the answer it is asked for",
                lambda y, D: y,
            ),
            (
                "it was moved the wrong way: row t holds frame t + 1, the future",
                lambda y, D: np.concatenate([y[1:], np.full((1, y.shape[1]), D)]),
            ),
            (
                "np.roll brings the last frame to the front: nothing comes before frame 0, write start tokens",
                lambda y, D: np.roll(y, 1, axis=0),
            ),
            (
                "the attributes were moved, not the frames: shift along time, axis 0",
                lambda y, D: np.concatenate([np.full((len(y), 1), D), y[:, :-1]], axis=1),
            ),
            (
                "bin 0 is a real bin, an attribute at rest: the start token is D, one past the last",
                lambda y, D: before(y, 0),
            ),
            (
                "bin D - 1 is a real bin, the strongest: the start token is D, one past the last",
                lambda y, D: before(y, D - 1),
            ),
            (
                "-1 is no row of an embedding table: the start token is D, one past the last",
                lambda y, D: before(y, -1),
            ),
            (
                "there is one row too many: the last frame is before nothing",
                lambda y, D: np.concatenate([np.full((1, y.shape[1]), D), y]),
            ),
            ("row t holds frame t - 2: move by one", lambda y, D: before(y, D, 2)),
        ],
        "the true past, and nothing of the present",
    )


@exercise("04_mapper", 2)
def bits(function: Callable) -> str:
    """bits(p, y_bar) -> Eq. 5 in bits: the mean over T of -log2 of what p (T, D) gives to the true
    bins y_bar (T,)."""
    rng = np.random.default_rng(8)

    def case(T, D):
        p = rng.gamma(1, size=(T, D)) + 0.01
        return p / p.sum(1, keepdims=True), rng.integers(0, D, T)

    def true(p, y):
        return p[np.arange(len(y)), y]

    return judge(
        function,
        lambda p, y: -np.log2(true(p, y)).mean(),
        [case(6, 4), case(30, 50), case(1, 2)],
        [
            ("these are nats: take log2", lambda p, y: -np.log(true(p, y)).mean()),
            ("that is log10: take log2", lambda p, y: -np.log10(true(p, y)).mean()),
            ("the sign is missing: surprise is 0 or more", lambda p, y: np.log2(true(p, y)).mean()),
            ("the frames are summed: Eq. 5 divides by T", lambda p, y: -np.log2(true(p, y)).sum()),
            (
                "the mean was taken before the logarithm: a single bin of likelihood 0 would cost nothing",
                lambda p, y: -np.log2(true(p, y).mean()),
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
            ("the likelihoods are averaged without a logarithm", lambda p, y: true(p, y).mean()),
            ("one number per frame comes back: take their mean", lambda p, y: -np.log2(true(p, y))),
        ],
        "the mean surprise; knowing nothing costs log2 D",
    )
