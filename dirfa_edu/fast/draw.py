"""Top-k sampling compiled: the twin of `sampling.draw`, equal to it bin for bin.

Sorting 500 logits to keep 10 of them would take longer than the network. So a bound is found that
k logits reach, by halving a span, and one pass over the row draws among those.

Paper: 3.2.2. Notebook: 04_mapper.
"""

import math

import numpy as np

from . import compiled, compiled_in_order

OUT_OF_REACH = np.float32(-1e30)  # the score of a bin that may not be drawn


@compiled
def bound(logits: np.ndarray, k: int) -> np.ndarray:
    """A number for each row of logits (n, D) that exactly k of them reach -> (n,).

    Where equal logits lie at the edge there is no such number: then it is their value.
    """
    out = np.empty(len(logits), np.float32)
    for i in range(len(logits)):
        squares = np.float32(0)
        for j in range(logits.shape[1]):
            squares += logits[i, j] ** 2
        # no logit is larger than the root of the sum of all squares
        high = min(np.float32(1.1 * math.sqrt(squares) + 1e-9), np.float32(3e38))
        low = -high
        for _ in range(300):  # as often as the largest span can be halved; ten times is usual
            middle = (low + high) / np.float32(2)
            count = np.float32(0)  # a float, as logits are: half as fast again as an integer
            for j in range(logits.shape[1]):
                count += np.float32(1) if logits[i, j] >= middle else np.float32(0)
            if count < k:
                high = middle
            else:
                low = middle
            if count == k or not low < (low + high) / np.float32(2) < high:  # found, or equals
                break
        out[i] = low
    return out


@compiled_in_order
def draw(
    logits: np.ndarray,
    noise: np.ndarray,
    temperature: np.ndarray,
    last: np.ndarray,
    farthest: np.ndarray,
) -> np.ndarray:
    """One of the k likeliest bins of each row: logits (n, D), Gumbel noise (n, k) -> int64 (n,).

    The i-th of them, counted from bin 0 up, gets the i-th number of noise. Bins farther than
    `farthest` (n,) from the `last` one (n,) do not count; should none be near enough, the nearest
    of those kept is taken. Of equal logits at the edge the lowest bins are kept.
    """
    n, D = logits.shape
    k = noise.shape[1]
    least = bound(logits, k)
    bins = np.zeros(n, np.int64)
    kept = np.empty(D + 1, np.int32)
    for i in range(n):
        count = collect(logits[i], least[i], k, kept)
        best = OUT_OF_REACH
        nearest = np.float32(np.inf)
        drawn = np.int64(0)  # stays only where logits are no numbers
        for m in range(count):
            far = abs(np.float32(kept[m]) - np.float32(last[i]))
            if far <= farthest[i]:
                score = logits[i, kept[m]] / temperature[i] + noise[i, m]
                if score > best:
                    best = score
                    drawn = np.int64(kept[m])
            elif best == OUT_OF_REACH and far < nearest:
                nearest = far
                drawn = np.int64(kept[m])
        bins[i] = drawn
    return bins


@compiled
def collect(row: np.ndarray, least: float, k: int, kept: np.ndarray) -> int:
    """Write the bins whose logits reach `least` into `kept`, in rising order, k at most -> k."""
    count = 0
    for j in range(len(row)):
        kept[count] = j  # written always, counted if it stays: a branch here cannot be foreseen
        count += row[j] >= least
    m = count
    while count > k and m > 0:  # of equals at the edge the highest bins go
        m -= 1
        if row[kept[m]] == least:
            count -= 1
            kept[m:count] = kept[m + 1 : count + 1]
    return min(count, k)  # more are left only where logits are no numbers
