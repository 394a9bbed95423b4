"""Exercises of chapter 02: values to bins, bins to values, and which bin follows which.

Notebook: 02_discretization.
"""

from typing import Callable

import numpy as np

from .judging import exercise, judge

# ---- exercise 1: values to bins, Eq. 2 -----------------------------------------------------------


def distance(y: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """How far each value (N,) is from each centroid (D,)."""
    return np.abs(np.asarray(y)[:, None] - np.asarray(centroids)[None, :])  # (N, D)


ENCODE_MISTAKES = [
    (
        "that is the farthest centroid: Eq. 2 takes the arg min",
        lambda y, c: distance(y, c).argmax(1),
    ),
    (
        "these are the centroids' values: y_bar is the index d",
        lambda y, c: c[distance(y, c).argmin(1)],
    ),
    (
        "these are the distances: y_bar is where the smallest one stands",
        lambda y, c: distance(y, c).min(1),
    ),
    (
        "there is one index per centroid, not one per value: arg min goes over the bins",
        lambda y, c: distance(y, c).argmin(0),
    ),
    (
        "the difference lost its absolute value: the largest centroid always wins",
        lambda y, c: (y[:, None] - c[None, :]).argmin(1),
    ),
    (
        "bins count from 0: every index is one too large",
        lambda y, c: distance(y, c).argmin(1) + 1,
    ),
    (
        "that is the nearest centroid below the value, not the nearest one",
        lambda y, c: (np.searchsorted(c, y) - 1).clip(0),
    ),
    (
        "that is the nearest centroid above the value, not the nearest one",
        lambda y, c: np.searchsorted(c, y).clip(0, len(c) - 1),
    ),
]


@exercise("02_discretization", 1)
def encode(function: Callable) -> str:
    """encode(y, centroids) -> for each value (N,) the index of the nearest centroid (D,). Eq. 2."""
    rng = np.random.default_rng(2)
    cases = [
        (rng.uniform(0, 5, 40), 0.05 + 0.1 * np.arange(50)),
        (rng.normal(0, 0.1, 30), np.linspace(-0.2, 0.2, 21)),
    ]
    return judge(
        function,
        right=lambda y, c: distance(y, c).argmin(1),
        cases=cases,
        mistakes=ENCODE_MISTAKES,
        praise="the index of the nearest centroid, Eq. 2",
    )


# ---- exercise 2: bins to values, Eq. 4 -----------------------------------------------------------


def at(place: float) -> Callable:
    """An answer: the value that lies so far inside each bin, from 0 (its lower edge) to 1."""
    return lambda y, low, high, D: low + (np.asarray(y) + place) * (high - low) / D


DECODE_MISTAKES = [
    ("these are the lower edges: every face comes out half a bin too weak, add 0.5", at(0)),
    ("these are the upper edges: the centroid lies half a bin above the lower one", at(1)),
    (
        "the range's beginning is missing: add low",
        lambda y, low, high, D: (np.asarray(y) + 0.5) * (high - low) / D,
    ),
    (
        "D points from low to high have their ends on the ends: centroids start half a bin inside",
        lambda y, low, high, D: np.linspace(low, high, D)[y],
    ),
    (
        "D bins have a width of (high - low) / D, not / (D - 1)",
        lambda y, low, high, D: low + (np.asarray(y) + 0.5) * (high - low) / (D - 1),
    ),
    (
        "the width is that of a range from 0 to high: take high - low",
        lambda y, low, high, D: low + (np.asarray(y) + 0.5) * high / D,
    ),
    (
        "these are still bins: multiply by their width",
        lambda y, low, high, D: np.asarray(y),
    ),
    (
        "that is Eq. 2, from values to bins: Eq. 4 goes back",
        lambda y, low, high, D: np.floor((np.asarray(y) - low) / (high - low) * D),
    ),
]


@exercise("02_discretization", 2)
def decode(function: Callable) -> str:
    """decode(y_bar, low, high, D) -> the centroid of each bin y_bar (N,). Eq. 4.

    The bins are D equal ones from low to high.
    """
    rng = np.random.default_rng(4)
    cases = [
        (np.array([0, 1, 4]), 0.0, 5.0, 5),
        (rng.integers(0, 500, 30), 0.0, 5.0, 500),
        (rng.integers(0, 40, 30), -0.2, 0.3, 40),
    ]
    return judge(
        function,
        right=at(0.5),
        cases=cases,
        mistakes=DECODE_MISTAKES,
        praise="the middle of each bin, Eq. 4",
    )


# ---- exercise 3: which bin follows which? --------------------------------------------------------


def pair_counts(y: np.ndarray, D: int, step: int = 1, wrap: bool = False) -> np.ndarray:
    """How often bin j comes `step` frames after bin i, (D, D); `wrap`: frame 0 follows the last."""
    table = np.zeros((D, D))
    if wrap:
        pairs = y, np.roll(y, -1)
    else:
        pairs = y[:-step], y[step:]
    np.add.at(table, pairs, 1)
    return table


def shares(table: np.ndarray, axis: int = 1) -> np.ndarray:
    """Counts divided by their sums along an axis; what was never counted stays 0."""
    return table / table.sum(axis, keepdims=True).clip(1)


def unvisited_rows_hold(value: Callable) -> Callable:
    """An answer that writes value(D) into the rows of bins that are never left."""

    def answer(y, D):
        counts = pair_counts(y, D)
        return np.where(counts.sum(1, keepdims=True) > 0, shares(counts), value(D))

    return answer


NEXT_BIN_MISTAKES = [
    ("these are counts: divide each row by its sum", pair_counts),
    (
        "rows and columns are exchanged: a row is where the track comes from",
        lambda y, D: shares(pair_counts(y, D)).T,
    ),
    (
        "columns sum to 1: divide each row by its sum, the next bin is what varies",
        lambda y, D: shares(pair_counts(y, D), axis=0),
    ),
    (
        "the whole table sums to 1: that is how often a pair comes, divide each row by its own sum",
        lambda y, D: pair_counts(y, D) / (len(y) - 1),
    ),
    (
        "the rows are those of the bin that comes after: a row is where the track comes from",
        lambda y, D: shares(pair_counts(y, D).T),
    ),
    (
        "the last frame is followed by the first: the track does not close",
        lambda y, D: shares(pair_counts(y, D, wrap=True)),
    ),
    ("these are pairs two frames apart", lambda y, D: shares(pair_counts(y, D, step=2))),
    (
        "rows that were never visited are NaN: leave them 0",
        unvisited_rows_hold(lambda D: np.nan),
    ),
    (
        "rows that were never visited are uniform: nothing was counted there, leave them 0",
        unvisited_rows_hold(lambda D: 1 / D),
    ),
    (
        "every bin follows every other equally often: "
        "this is the share of bins, whatever came before",
        lambda y, D: np.tile(np.bincount(y[1:], minlength=D) / (len(y) - 1), (D, 1)),
    ),
]


@exercise("02_discretization", 3)
def next_bin(function: Callable) -> str:
    """next_bin(y_bar, D) -> (D, D): which bin follows which in the track y_bar (T,).

    Row d is the share of each bin among those that follow bin d; a row of zeros where d never
    comes, or is followed by nothing.
    """
    rng = np.random.default_rng(5)
    cases = [
        (np.array([0, 0, 1, 0, 0, 2, 2, 0]), 4),
        (rng.integers(0, 5, 60), 5),
        (np.arange(4), 4),  # nothing follows the last bin
    ]
    return judge(
        function,
        right=lambda y, D: shares(pair_counts(y, D)),
        cases=cases,
        mistakes=NEXT_BIN_MISTAKES,
        praise="each row that was visited sums to 1: "
        "the simplest model of the kind that Eq. 3 asks for",
    )
