"""Top-k sampling: cut the tail off a distribution over bins, draw from the rest.

Paper: 3.2.2. Notebook: 04_mapper.
"""

import math

import numpy as np
import torch
from torch import Tensor

from ..files import InputError
from . import compiled

NO_LIMIT = np.float32(1e9)  # bins; farther than any bin is
NONE = np.float32(-1e30)  # the score of a bin that does not count


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
    Paper: 3.2.2. Notebook: 04_mapper.

    >>> top_k_sample(torch.tensor([[0.0, 9.0, 1.0]]), k=1)
    tensor([1])
    """
    if k < 1 or temperature <= 0 or not 0 < top_p <= 1:
        raise InputError(
            "top-k sampling needs k >= 1, a temperature above 0 and top_p above 0 and at most 1, not "
            f"{k}, {temperature} and {top_p}"
        )
    rows = logits.detach().numpy().reshape(-1, logits.shape[-1])  # (n, D)
    n, k = len(rows), min(k, rows.shape[1])
    one = np.ones(n, np.float32)
    least, kept = cut(rows, np.full(n, k), temperature * one, top_p * one if top_p < 1 else None)
    noise, begin = gumbel(torch.empty(n * k), generator).numpy(), np.arange(0, n * k, k)
    bins = draw(
        rows, least, kept, temperature * one, noise, begin, np.zeros(n, np.int64), NO_LIMIT * one
    )
    return torch.from_numpy(bins).view(logits.shape[:-1])


def gumbel(out: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Fill with Gumbel noise, -log(-log u). Adding it to log-probabilities and taking the largest
    is a draw from the softmax."""
    return out.uniform_(generator=generator).log_().neg_().log_().neg_()


def cut(
    logits: np.ndarray, k: np.ndarray, heat: np.ndarray, top_p: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Where the tail of each row of logits (n, D) begins: a bound that all kept logits reach, and
    how many are kept.

    The k likeliest are kept; with `top_p` only those of them that are needed to hold this
    probability at temperature `heat`. But for the logits all are (n,).
    """
    if top_p is None:
        return bound(logits, k), k
    falling = -np.sort(-logits, axis=1)  # (n, D)
    p = np.exp((falling - falling[:, :1]) / heat[:, None])
    p[np.arange(logits.shape[1]) >= k[:, None]] = 0
    p /= p.sum(1, keepdims=True)
    kept = np.minimum((p.cumsum(1) - p < top_p[:, None]).sum(1), k)
    return falling[np.arange(len(k)), kept - 1], kept


@compiled
def bound(logits: np.ndarray, k: np.ndarray) -> np.ndarray:
    """A number that k logits of each row (n, D) reach and no others, or where equals are in the
    way, their value.

    Found by halving a span that holds all: counting is quicker than sorting.
    """
    out = np.empty(len(logits), np.float32)
    for i in range(len(logits)):
        squares = np.float32(0)
        for j in range(logits.shape[1]):
            squares += logits[i, j] ** 2
        # nothing reaches it
        high = min(np.float32(1.1 * math.sqrt(squares) + 1e-9), np.float32(3e38))
        low = -high
        for _ in range(300):  # as often as the largest span can be halved; ten times is usual
            # a float, as logits are: half as fast again
            middle, count = (low + high) / np.float32(2), np.float32(0)
            for j in range(logits.shape[1]):
                count += np.float32(1) if logits[i, j] >= middle else np.float32(0)
            if count < k[i]:
                high = middle
            else:
                low = middle
            if count == k[i] or not low < (low + high) / np.float32(2) < high:  # found, or equals
                break
        out[i] = low
    return out


@compiled
def draw(
    logits: np.ndarray,
    least: np.ndarray,
    kept: np.ndarray,
    heat: np.ndarray,
    noise: np.ndarray,
    begin: np.ndarray,
    last: np.ndarray,
    most: np.ndarray,
) -> np.ndarray:
    """One bin of each row of logits (n, D): of those kept, the one whose logit over `heat` plus
    noise is highest.

    A row's noise, from `begin` on, meets the kept bins in rising order; of equals at the edge the
    lowest are kept. Bins farther than `most` from the `last` one do not count; should none be near
    enough, the nearest is taken. But for logits and noise all are (n,).
    """
    bins, D = np.zeros(len(logits), np.int64), logits.shape[1]
    places, scores = np.empty(D + 1, np.int32), np.empty(D, np.float32)
    for i in range(len(logits)):
        n, near, row, mine = 0, np.float32(last[i]), logits[i], noise[begin[i] :]
        for j in range(D):
            # written always, counted if kept: a branch that nobody can foresee would take longer
            places[n] = j
            n += row[j] >= least[i]
        m = n
        while n > kept[i] and m > 0:  # of equals at the edge the highest bins go
            m -= 1
            if row[places[m]] == least[i]:
                n -= 1
                places[m:n] = places[m + 1 : n + 1]
        best, n = NONE, min(n, kept[i])  # more are left only where logits are no numbers
        for m in range(n):
            far = abs(np.float32(places[m]) - near)
            scores[m] = row[places[m]] / heat[i] + mine[m] if far <= most[i] else NONE
            best = max(best, scores[m])
        m, nearest = 0, NO_LIMIT
        if best > NONE:
            while scores[m] != best:
                m += 1
            bins[i] = places[m]
        else:
            for m in range(n):
                far = abs(np.float32(places[m]) - near)
                if far < nearest:
                    nearest, bins[i] = far, places[m]
    return bins
