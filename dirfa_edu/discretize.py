"""D uniform bins per attribute, and back: the categories the mapping network predicts.

Paper: 3.2.1, Eq. 2 and 4. Notebook: 02_discretization.
"""

from dataclasses import dataclass

import numpy as np

from .animation import AU_RANGE, AUS, N_ATTRIBUTES, POSE, check_animation
from .files import InputError

BINS = 500  # D in the paper; its Table 5 compares 10 100 250 500 750


@dataclass(frozen=True)
class Discretizer:
    """D equal bins between `low` and `high` for each attribute; centroids are their middles.

    AUs always span 0..5, so with D = 500 one bin is 0.01, OpenFace's own precision. Pose spans what
    training saw.
    Paper: Eq. 2, 4. Notebook: 02_discretization.
    """

    low: np.ndarray  # (23,)
    high: np.ndarray  # (23,)
    bins: int = BINS
    # (23,), how far an attribute goes in one frame: 99 % of its moves are shorter
    speed: np.ndarray | None = None

    @staticmethod
    def fit(tracks: list[np.ndarray], bins: int = BINS) -> "Discretizer":
        """Ranges and speeds from training tracks (T, 23): AUs 0..5, pose the 0.1-99.9 % quantiles.

        Raises InputError for no tracks, fewer than 2 bins, or a pose that never moves.

        >>> tracks = [np.random.default_rng(0).normal(size=(100, 23))]
        >>> Discretizer.fit(tracks, bins=10).centroids.shape
        (23, 10)
        """
        if bins < 2:
            raise InputError(f"discretization needs at least 2 bins, not {bins}")
        if not tracks:
            raise InputError(
                "discretization needs at least one training track to take the pose ranges from"
            )
        Y = np.concatenate([check_animation(track) for track in tracks])
        low, high = np.zeros(N_ATTRIBUTES), np.zeros(N_ATTRIBUTES)
        low[: len(AUS)], high[: len(AUS)] = AU_RANGE
        low[POSE], high[POSE] = np.quantile(Y[:, POSE], [0.001, 0.999], axis=0)
        if (high <= low).any():
            raise InputError(
                f"attribute {int(np.argmax(high <= low))} never moves in the training tracks"
            )
        moves = np.concatenate([np.abs(np.diff(track, axis=0)) for track in tracks])
        speed = [np.quantile(move[move > 0], 0.99) if move.any() else np.inf for move in moves.T]
        return Discretizer(low, high, bins, np.array(speed))

    @property
    def width(self) -> np.ndarray:
        """Width of one bin of each attribute, (23,)."""
        return (self.high - self.low) / self.bins

    @property
    def centroids(self) -> np.ndarray:
        """y_d of Eq. 2: the middle of each bin, (23, D)."""
        return self.low[:, None] + (np.arange(self.bins) + 0.5) * self.width[:, None]

    def encode(self, Y: np.ndarray) -> np.ndarray:
        """Values (..., 23) -> bins int64 (..., 23): the index of the nearest centroid. Values
        outside clip.

        Eq. 2 leaves a value halfway between two centroids open; here it goes up, so that OpenFace's
        two decimals map one to one to bins and exact zero keeps bin 0 for itself. Raises InputError
        for values that are not numbers.
        Paper: Eq. 2. Notebook: 02_discretization.
        """
        Y = np.asarray(Y, np.float64)
        if not np.isfinite(Y).all():
            raise InputError("cannot discretize values that are not numbers")
        # 1e-3 of a bin: 0.29 / 0.01 is 28.999999999999996, which belongs to bin 29
        return np.floor((Y - self.low) / self.width + 1e-3).clip(0, self.bins - 1).astype(np.int64)

    def decode(self, bins: np.ndarray) -> np.ndarray:
        """Bins (..., 23) -> centroid values float32 (..., 23). Raises InputError for bins outside
        0..D-1.

        Paper: Eq. 4. Notebook: 02_discretization.
        """
        bins = np.asarray(bins)
        if bins.size and (bins.min() < 0 or bins.max() >= self.bins):
            raise InputError(
                f"bins must lie in 0..{self.bins - 1}, found {bins.min()}..{bins.max()}"
            )
        return (self.low + (bins + 0.5) * self.width).astype(np.float32)
