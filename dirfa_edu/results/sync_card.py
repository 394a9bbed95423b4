"""Figures of a SyncNet: does it find by how much the sound was moved, and know its own sound?

Notebook: 06_evaluation.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np

from ..data.corpus import Corpus
from ..faces.sync import distances, load_sync, mouth_crops, score, shifted


def evaluate_sync(
    weights: str | Path | None = None, farthest: int = 8, seed: int = 0, clips: int | None = None
) -> dict[str, float]:
    """Figures of a SyncNet by name, on the filmed test clips: unseen actors and sentences.

    Of all of them, or of the first `clips`.

    How often it finds, to the frame, by how much the sound was moved; and how surely (area under
    the ROC curve) its confidence tells a clip's own sound from the same sound with its frames
    shuffled, and from another clip's. Notebook: 06_evaluation.
    """
    network, noise = load_sync(weights), np.random.default_rng(seed)
    pairs = filmed_test_clips(clips)

    found = []
    confidence: dict[str, list] = {"own": [], "shuffled": [], "another clip's": []}
    for i, (crops, A) in enumerate(pairs):
        for shift in range(-farthest, farthest + 1):
            _, lag = score(distances(network, *shifted(crops, A, shift)))
            found.append(lag == -shift)

        T = min(len(crops), len(A))
        _, next_A = pairs[(i + 1) % len(pairs)]
        sounds = {
            "own": A[:T],
            "shuffled": A[noise.permutation(T)],
            "another clip's": np.resize(next_A, (T, A.shape[1])),
        }
        for name, sound in sounds.items():
            sure, _ = score(distances(network, crops[:T], sound))
            confidence[name].append(sure)

    figures = {f"sound moved by up to {farthest} frames, found to the frame": np.mean(found)}
    for name in ("shuffled", "another clip's"):
        area = area_under_roc(confidence["own"], confidence[name])
        figures[f"own sound against {name}, area under ROC"] = area
    for name, values in confidence.items():
        figures[f"S_conf, {name} sound"] = np.mean(values)
    return {name: round(float(value), 3) for name, value in figures.items()}


@lru_cache(maxsize=1)
def filmed_test_clips(n: int | None) -> list[tuple[np.ndarray, np.ndarray]]:
    """Mouths (T, 48, 48) and audio features (T, 400) of filmed test clips; looked for once."""
    films = Corpus("samples").select(split="test", kind="speech", rendered=True)[:n]
    return [(mouth_crops(clip.frames()), clip.features()) for clip in films]


def area_under_roc(higher: list[float], lower: list[float]) -> float:
    """How often a number of the first list exceeds one of the second.

    >>> area_under_roc([2, 3], [1, 2.5])
    0.75
    """
    return float((np.subtract.outer(higher, lower) > 0).mean())
