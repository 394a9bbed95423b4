"""Training examples out of corpora that do not fit into memory: a few clips are decoded at a time.

Random access to 100,000 films would decode one film per example. So a few decoded clips wait in a
pool; each is used some times at random beside the others and then makes room for the next one of a
shuffled list.

Paper: 3.2.4, 3.3.1. Notebook: 07_your_own_face.
"""

import warnings
from typing import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from ..files import InputError
from .corpus import PROBE_TRAIN, Clip

Chance = torch.Generator | np.random.Generator
HOPELESS = 100  # so many clips in a row that cannot be used are the corpus's fault


def windows(
    clips: list[Clip], length: int, generator: Chance, keep: int = 8
) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless random windows of speech: audio features A (length, 400) and animation Y (length,
    23), float32.

    Clips shorter than `length` frames are passed over; at most `keep` clips are in memory.
    Raises InputError where no clip can be used. Paper: 3.2.4. Notebook: 04_mapper.

    >>> from dirfa_edu import Corpus
    >>> A, Y = next(windows(Corpus().select(kind="real"), 50, torch.Generator().manual_seed(0)))
    >>> tuple(A.shape), tuple(Y.shape)
    ((50, 400), (50, 23))
    """

    def read(clip: Clip) -> tuple[Tensor, Tensor]:
        A, Y = clip.features(), clip.animation()
        n = min(len(A), len(Y))
        if n < length:
            raise InputError(f"{clip.name} has {n} frames, fewer than a window of {length}")
        return torch.from_numpy(A[:n]), torch.from_numpy(Y[:n])

    for A, Y in decoded(clips, read, generator, keep):
        first = draw(len(A) - length + 1, generator)
        # the clip itself may leave the memory
        yield A[first : first + length].clone(), Y[first : first + length].clone()


def frame_pairs(
    clips: list[Clip], generator: Chance, size: int | None = None, keep: int = 4
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Endless random pairs of frames of one clip: I_src (3, S, S) in 0..1, Z_src (23,), I_tgt,
    Z_tgt, float32.

    Failed frames of a track are never drawn, and of probes only the frames for training. Pictures
    are brought to `size` pixels where it is given; at most `keep` clips are in memory.
    Raises InputError where no clip can be used. Paper: 3.3. Notebook: 05_generator.
    """

    def picture(frame: np.ndarray) -> Tensor:
        image = torch.from_numpy(frame).permute(2, 0, 1).float() / 255  # (3, H, W)
        if size and image.shape[1:] != (size, size):
            # (3, S, S)
            image = nn.functional.interpolate(image[None], size=(size, size), mode="area")[0]
        return image

    for frames, Z in decoded(clips, _pictures, generator, keep):
        src, tgt = draw(len(frames), generator), draw(len(frames), generator)
        yield picture(frames[src]), Z[src].clone(), picture(frames[tgt]), Z[tgt].clone()


def _pictures(clip: Clip) -> tuple[np.ndarray, Tensor]:
    """The usable frames of a clip: uint8 (n, H, W, 3), and their attributes (n, 23), exact where
    they are known."""
    frames = clip.frames()
    if clip.truth_file:
        Z = clip.truth()["clean"]
        valid = np.ones(len(Z), bool)
    else:
        Z, valid = clip.animation(), clip.valid()
    n = min(len(frames), len(Z), PROBE_TRAIN if clip.kind == "probe" else len(Z))
    use = np.flatnonzero(valid[:n])
    if len(use) < 2:
        raise InputError(f"{clip.name} has fewer than two frames in which the face was measured")
    if len(use) == len(frames):
        return frames, torch.from_numpy(np.asarray(Z, np.float32)[use])
    return frames[use], torch.from_numpy(np.asarray(Z, np.float32)[use])


def decoded(
    clips: list[Clip], read: Callable, generator: Chance, keep: int = 4, uses: int = 16
) -> Iterator:
    """Endless draws from a pool of at most `keep` results of `read(clip)`; each is drawn `uses`
    times and replaced.

    So every clip comes equally often, one reading serves `uses` draws, and neighbouring draws are
    of different clips. Clips for which `read` raises InputError are passed over, with one warning.
    Raises InputError without any clip that can be used. The same generator state gives the same
    draws. Notebook: 07_your_own_face.
    """
    fresh, pool = _in_turn(clips, read, generator), []
    while True:
        while len(pool) < min(keep, len(clips)) or not pool:
            pool.append([next(fresh), uses])
        place = draw(len(pool), generator)
        yield pool[place][0]
        pool[place][1] -= 1
        if not pool[place][1] and len(clips) > keep:  # a corpus that fits is read once
            pool.pop(place)


def _in_turn(clips: list[Clip], read: Callable, generator: Chance) -> Iterator:
    """Endless: every clip read once a round, each round in another order."""
    failed, warned = 0, False
    while True:
        for i in _shuffled(len(clips), generator):
            try:
                item = read(clips[i])
            except InputError as error:
                failed += 1
                if failed >= min(HOPELESS, len(clips)):
                    raise InputError(
                        f"{failed} clips in a row cannot be used; the last one: {error}"
                    ) from error
                if not warned:
                    warnings.warn(
                        f"clips that cannot be used are passed over; the first: {error}",
                        stacklevel=2,
                    )
                    warned = True
                continue
            failed = 0
            yield item
        if not clips:
            raise InputError("no clips to draw from: choose others with Corpus.select")


def draw(n: int, generator: Chance) -> int:
    """A whole number 0 <= i < n from a torch or numpy generator.

    >>> draw(1, np.random.default_rng(0))
    0
    """
    if isinstance(generator, np.random.Generator):
        return int(generator.integers(n))
    return int(torch.randint(n, (1,), generator=generator))


def _shuffled(n: int, generator: Chance) -> np.ndarray:
    if isinstance(generator, np.random.Generator):
        return generator.permutation(n)
    return torch.randperm(n, generator=generator).numpy()
