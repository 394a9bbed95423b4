"""Top-k sampling: cut the tail off a distribution over bins, draw from the rest.

Paper: 3.2.2. Notebook: 04_mapper.
"""

import numpy as np
import torch
from torch import Tensor

from .files import InputError
from .render import compiled

NO_LIMIT = np.float32(1e9)  # bins; farther than any bin is


def top_k_sample(logits: Tensor, k: int, temperature: float = 1.0, top_p: float = 1.0,
                 generator: torch.Generator | None = None) -> Tensor:
    """Draw one bin from the k likeliest of each row of logits (..., D) -> int64 (...).

    Drawn by Gumbel noise, without computing the softmax. With `top_p` below 1 only the likeliest bins that together
    hold this probability are kept.
    Paper: 3.2.2. Notebook: 04_mapper.

    >>> top_k_sample(torch.tensor([[0.0, 9.0, 1.0]]), k=1)
    tensor([1])
    """
    if k < 1 or temperature <= 0 or not 0 < top_p <= 1:
        raise InputError("top-k sampling needs k >= 1, a temperature above 0 and top_p above 0 and at most 1, not "
                         f"{k}, {temperature} and {top_p}")
    rows = logits.detach().numpy().reshape(-1, logits.shape[-1])  # (n, D)
    k = min(k, rows.shape[1])
    one = np.ones(len(rows), np.float32)
    least, kept = cut(rows.copy(), k, temperature * one, top_p * one if top_p < 1 else None)
    noise, begin = gumbel((len(rows), k), generator).numpy().ravel(), np.arange(0, len(rows) * k, k)
    bins = draw(rows, least, kept, temperature * one, noise, begin, np.zeros(len(rows), np.int64), NO_LIMIT * one)
    return torch.from_numpy(bins).view(logits.shape[:-1])


def gumbel(shape: tuple, generator: torch.Generator | None = None) -> Tensor:
    """Gumbel noise, -log(-log u). Adding it to log-probabilities and taking the largest is a draw from the softmax."""
    return torch.rand(shape, generator=generator).log_().neg_().log_().neg_()


def cut(logits: np.ndarray, k: int, heat: np.ndarray, top_p: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Where the tail of each row of logits (n, D) begins: the least logit that is kept, and how many are, both (n,).

    The k likeliest are kept; with `top_p` (n,) only those of them that are needed to hold this probability at
    temperature `heat` (n,). Changes the order of the logits, see `np.ndarray.partition`.
    """
    n, D = logits.shape
    logits.partition(D - k, axis=1)  # numpy does it in a third of the time of torch.topk
    if top_p is None:
        return logits[:, D - k], np.full(n, k)
    falling = -np.sort(-logits[:, D - k:], axis=1)  # (n, k)
    p = np.exp((falling - falling[:, :1]) / heat[:, None])
    p /= p.sum(1, keepdims=True)
    kept = (p.cumsum(1) - p < top_p[:, None]).sum(1)
    return falling[np.arange(n), kept - 1], kept


@compiled
def draw(logits: np.ndarray, least: np.ndarray, kept: np.ndarray, heat: np.ndarray, noise: np.ndarray,
         begin: np.ndarray, last: np.ndarray, most: np.ndarray) -> np.ndarray:
    """One bin of each row of logits (n, D): of those kept, the one whose logit over `heat` plus noise is highest.

    A row's noise, from `begin` on, meets the kept bins in rising order; of equals at the edge the lowest are kept. Bins
    farther than `most` from the `last` one do not count; should none be near enough, the nearest is taken. But for
    logits and noise all are (n,).
    """
    bins, places = np.zeros(len(logits), np.int64), np.empty(logits.shape[1] + 1, np.int64)
    for i in range(len(logits)):
        n = 0
        for j in range(logits.shape[1]):
            places[n] = j  # written always, counted if kept: a branch that nobody can foresee would take longer
            n += logits[i, j] >= least[i]
        m = n
        while n > kept[i]:  # of equals at the edge the highest bins go
            m -= 1
            if logits[i, places[m]] == least[i]:
                n -= 1
                places[m:n] = places[m + 1:n + 1]
        best, nearest = np.float32(-1e30), NO_LIMIT
        for m in range(n):
            far = np.float32(abs(places[m] - last[i]))
            score = logits[i, places[m]] / heat[i] + noise[begin[i] + m]
            if far <= most[i] and score > best:
                best, bins[i] = score, places[m]
            elif best == np.float32(-1e30) and far < nearest:
                nearest, bins[i] = far, places[m]
    return bins
