"""The paper's six figures, and what a model that samples needs beside them.

PSNR, ACD, LMD, S_conf, S_off and EBR follow the paper. A model that draws many plausible faces must
not be punished for drawing another one than the recording shows: hence lip_errors, diversity,
coverage and frechet.

Paper: 4.3, Tables 1-5. Notebook: 06_evaluation.
"""

from itertools import combinations
from typing import Sequence

import numpy as np

from .animation import FPS, GROUPS, LIPS, UPPER, check_animation
from .files import InputError

# what counts as one step of each attribute: an AU unit, 0.1 rad, 10 mm
UNITS = np.array([1.0] * 17 + [0.1] * 3 + [10.0] * 3)
HUMAN_EBR = (0.28, 0.45)  # blinks a second, as the paper cites them

# places of the 68-point scheme (iBUG), and of FaceMesh's 468 points
MOUTH_68 = list(range(48, 68))
EYE_CORNERS = {68: (36, 45), 468: (33, 263)}  # the outer ones
LIDS = ((159, 145), (386, 374))  # upper and lower, of one eye and of the other
EYE_WIDTHS = ((33, 133), (362, 263))  # outer and inner corner


# ---- pictures ------------------------------------------------------------------------------------
def to_unit(image) -> np.ndarray:
    """Pictures as float64 in 0..1: uint8 is divided by 255, floats pass.

    Raises InputError for other values.
    """
    image = np.asarray(image)
    if image.dtype == np.uint8:
        return image.astype(np.float64) / 255

    image = image.astype(np.float64)
    low, high = image.min(initial=0), image.max(initial=0)
    if not np.isfinite(image).all() or low < -1e-3 or high > 1 + 1e-3:  # rounding may pass
        raise InputError("pictures are uint8, or floats in 0..1: divide by 255, or clip, first")
    return image


def psnr(a, b) -> float:
    """Peak signal-to-noise ratio of two pictures or clips of one shape, in dB; inf where equal.

    It is 10 log10(1 / MSE). Inputs are floats in 0..1 or uint8; the difference is always taken in
    float: in uint8 it wraps around, and unrelated pictures would score 28 dB.
    Raises InputError for two shapes. Paper: Table 1. Notebook: 06_evaluation.

    >>> round(psnr(np.zeros((4, 4)), np.full((4, 4), 0.1)), 6)
    20.0
    """
    a, b = to_unit(a), to_unit(b)
    if a.shape != b.shape or a.size == 0:
        raise InputError(f"PSNR compares pictures of one shape, not {a.shape} and {b.shape}")
    mse = np.mean((a - b) ** 2)
    return float("inf") if mse == 0 else float(10 * np.log10(1 / mse))


def ssim(a, b, sigma: float = 1.5) -> float:
    """Structural similarity of two pictures (H, W) or (H, W, 3), -1..1.

    With the usual Gaussian window of 11 x 11; the mean over colours and over the windows that lie
    wholly inside. Inputs as for psnr. Ours, not in the paper.
    """
    a, b = to_unit(a), to_unit(b)
    if a.shape != b.shape or a.ndim not in (2, 3) or min(a.shape[:2]) < 11:
        raise InputError(
            f"SSIM compares two pictures of one shape, 11 px or more, not {a.shape} and {b.shape}"
        )
    taps = np.exp(-0.5 * (np.arange(-5, 6) / sigma) ** 2)
    taps /= taps.sum()

    def blur(x: np.ndarray) -> np.ndarray:  # separable, only where the window fits
        for axis in (0, 1):
            x = np.lib.stride_tricks.sliding_window_view(x, 11, axis) @ taps
        return x

    mean_a, mean_b = blur(a), blur(b)
    var_a = blur(a * a) - mean_a**2
    var_b = blur(b * b) - mean_b**2
    cov = blur(a * b) - mean_a * mean_b

    c1, c2 = 0.01**2, 0.03**2  # the published constants, for pictures in 0..1
    alike = (2 * mean_a * mean_b + c1) * (2 * cov + c2)
    apart = (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    return float((alike / apart).mean())


# ---- identity ------------------------------------------------------------------------------------
def embeddings(frames: np.ndarray) -> np.ndarray:
    """Identity of the face in each frame (T, H, W, 3) uint8 -> (T', 128).

    T' are the frames in which a face is found. Raises InputError where there is none.
    """
    import torch

    from .faces.identity import load_face_resnet
    from .faces.vision import face_chips, landmarks

    frames = np.asarray(frames)
    with torch.no_grad():
        return load_face_resnet().embed(face_chips(frames, landmarks(frames))).numpy()


def acd(reference: np.ndarray, frames: np.ndarray) -> float:
    """Average content distance: mean L2 distance of identities, of a picture and of each frame.

    The picture is (H, W, 3), the frames (T, H, W, 3), all uint8. About 0.3 within a clip of one
    person, 0.8 between people.
    Raises InputError where a face is missing in the picture or in all frames. Paper: Table 1
    (MoCoGAN's measure). Notebook: 06_evaluation.
    """
    one, each = embeddings(np.asarray(reference)[None]), embeddings(frames)
    return float(np.linalg.norm(each - one, axis=1).mean())


def acd_pairwise(frames: np.ndarray) -> float:
    """MoCoGAN's own form of ACD: mean L2 distance of identities over all pairs of frames.

    Frames are (T, H, W, 3) uint8.
    """
    return mean_pairwise(embeddings(frames))


def mean_pairwise(x: np.ndarray) -> float:
    """Mean L2 distance over all pairs of rows of (n, d); 0 for a single row.

    >>> mean_pairwise(np.array([[0.0, 0.0], [3.0, 4.0]]))
    5.0
    """
    apart = [np.linalg.norm(np.subtract(a, b, dtype=np.float64)) for a, b in combinations(x, 2)]
    return float(np.mean(apart)) if apart else 0.0


# ---- mouths and lips -----------------------------------------------------------------------------
def lmd(La: np.ndarray, Lb: np.ndarray, reduce: str = "mean", per_eyes: bool = False) -> float:
    """Landmark distance of two mouths in px: 20 points, each mouth's centroid removed, Euclidean.

    Inputs (T, n, 2 or 3) with n = 468 (FaceMesh), 68 (iBUG) or 20 (the mouth). `reduce="mean"`
    averages the points; "sum" adds them, as ATVG's published code does (20 times as large): state
    which. `per_eyes` divides by how far the eyes' outer corners are apart in Lb: the picture's size
    drops out. Frames with NaN do not count.
    Raises InputError for shapes that do not fit. Paper: Tables 1-5. Notebook: 06_evaluation.
    """
    if reduce not in ("mean", "sum"):
        raise InputError(f"reduce is 'mean' or 'sum', not {reduce!r}")
    apart = _apart(_mouth(La), _mouth(Lb))  # (T, 20)
    frames = apart.mean(1) if reduce == "mean" else apart.sum(1)
    return float(frames.mean()) / _unit(Lb, per_eyes)


def face_lmd(La: np.ndarray, Lb: np.ndarray, per_eyes: bool = False) -> float:
    """Landmark distance of all points of two faces (T, n, 2 or 3) in px, mean.

    Each face's centroid is removed; `per_eyes` and errors as for `lmd`.
    """
    return float(_apart(np.asarray(La), np.asarray(Lb)).mean()) / _unit(Lb, per_eyes)


def _unit(L: np.ndarray, per_eyes: bool) -> float:
    """1 px, or the mean distance of the outer corners of the eyes."""
    if not per_eyes:
        return 1.0
    points = np.shape(L)[1]
    if points not in EYE_CORNERS:
        raise InputError(f"the distance of the eyes needs 468 or 68 landmarks, not {points}")
    across = np.diff(L[:, EYE_CORNERS[points], :2], axis=1)  # (T, 1, 2)
    return float(np.nanmean(np.linalg.norm(across, axis=2)))


def _mouth(L: np.ndarray) -> np.ndarray:
    """The 20 points of the mouth of landmarks (T, n, 2 or 3)."""
    from .faces.vision import MOUTH_POINTS

    L = np.asarray(L, np.float64)
    places = {468: MOUTH_POINTS, 68: MOUTH_68, 20: list(range(20))}
    if L.ndim != 3 or L.shape[1] not in places:
        raise InputError(f"landmarks are (frames, 468, 68 or 20 points, 2 or 3), not {L.shape}")
    return L[:, places[L.shape[1]]]


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How far points of centred landmarks are apart: (T', n), T' the frames where both are numbers.

    Depth is ignored.
    """
    if a.ndim != 3 or a.shape[:2] != b.shape[:2]:
        raise InputError(
            f"LMD compares as many frames and points of both clips, not {a.shape} and {b.shape}"
        )
    a, b = (np.asarray(x, np.float64)[..., :2] for x in (a, b))
    good = np.isfinite(a).all((1, 2)) & np.isfinite(b).all((1, 2))
    if not good.any():
        raise InputError("no frame has landmarks in both clips")
    a, b = a[good], b[good]
    a = a - a.mean(1, keepdims=True)
    b = b - b.mean(1, keepdims=True)
    return np.linalg.norm(a - b, axis=2)


def sync(frames: np.ndarray, wave: np.ndarray) -> tuple[float, int]:
    """Lip sync of a clip at 25 fps with 16 kHz sound -> (confidence S_conf, offset in frames).

    Frames are (T, H, W, 3) uint8, the sound is (N,). By this project's own small SyncNet:
    comparable between clips here, not with numbers of the published SyncNet. A positive offset: the
    picture runs late. The paper's S_off is |offset(generated) - offset(recording)|.
    Raises InputError for a clip without a face or too short to shift. Paper: Table 1. Notebook:
    06_evaluation.
    """
    from .faces.sync import measure

    return measure(frames, wave)


def s_off(generated: int, recorded: int) -> int:
    """The paper's S_off: how far the lag of a generated clip is from the recording's, in frames."""
    return abs(int(generated) - int(recorded))


# ---- eyes ----------------------------------------------------------------------------------------
def ebr(au45: np.ndarray, fps: float = FPS) -> float:
    """Eye blink rate in blinks a second of an AU45 track (T,), intensity 0-5.

    A blink is a peak of the 3-frame median: height >= 1, prominence >= 0.5, 5 frames from the next,
    2-12 frames wide. People blink 0.28-0.45 times a second. Raises InputError for an empty track or
    NaN. Paper: 4.3, Table 1.

    >>> track = np.zeros(100); track[20:24] = track[70:74] = 3
    >>> ebr(track)
    0.5
    """
    from scipy.signal import find_peaks

    au45 = np.asarray(au45, np.float64)
    if au45.ndim != 1 or len(au45) == 0 or not np.isfinite(au45).all():
        raise InputError(f"a blink rate needs an AU45 track (frames,) of numbers, not {au45.shape}")
    padded = np.pad(au45, 1, mode="edge")
    smooth = np.median([padded[:-2], padded[1:-1], padded[2:]], axis=0)
    peaks, _ = find_peaks(smooth, height=1.0, prominence=0.5, distance=5, width=(2, 12))
    return float(len(peaks) * fps / len(au45))


def ebr_from_landmarks(L: np.ndarray, fps: float = FPS) -> float:
    """`ebr` of FaceMesh landmarks (T, 468, 2 or 3), for films without a measured AU45.

    Measured is how far the lids are apart, in widths of the eye, against the clip's own open eyes;
    wholly shut counts as intensity 5. Frames without landmarks are filled in from their neighbours.
    Raises InputError where no frame has landmarks.
    """
    L = np.asarray(L, np.float64)[..., :2]
    seen = np.flatnonzero(np.isfinite(L).all((1, 2)))
    if not len(seen):
        raise InputError("no frame has landmarks, so there are no eyes to watch")

    def between(pairs: tuple) -> np.ndarray:
        return sum(np.linalg.norm(L[seen, a] - L[seen, b], axis=1) for a, b in pairs)  # (seen,)

    opening = between(LIDS) / between(EYE_WIDTHS)
    wide_open = np.quantile(opening, 0.8)  # eyes are open most of the time
    au45 = 5 * (1 - opening / wide_open).clip(0)
    return ebr(np.interp(np.arange(len(L)), seen, au45), fps)


# ---- animations ----------------------------------------------------------------------------------
def diversity(samples: np.ndarray) -> dict[str, float]:
    """How far samples (n, T, 23) of one audio lie apart, per group (lips, upper, blink, pose).

    The mean over pairs and frames of the L2 distance, in `UNITS`.
    Raises InputError for fewer than two samples. Notebook: 06_evaluation.
    """
    samples = np.asarray(samples, np.float64)
    if samples.ndim != 3 or samples.shape[2] != 23 or len(samples) < 2:
        raise InputError(
            f"diversity needs two or more samples (n, frames, 23), not {samples.shape}"
        )
    pairs = [(a - b) / UNITS for a, b in combinations(samples, 2)]  # each (T, 23)
    out = {}
    for name, columns in GROUPS.items():
        apart = [np.linalg.norm(pair[:, columns], axis=1).mean() for pair in pairs]
        out[name] = float(np.mean(apart))
    return out


def coverage(samples: np.ndarray, draws: np.ndarray, k: int = 3) -> dict[str, float]:
    """How much of what the truth may do is done by samples (n, T, 23), per group.

    It is the share of the truth's draws (m, T, 23) to which a sample of the same frame lies nearer
    than their own k-th nearest other draw. A frozen face covers little, and so does one that does
    something else; n samples of the truth's own law cover 1 - C(m-1, k) / C(n+m-1, k) on average.
    Raises InputError for k or fewer draws. Notebook: 06_evaluation.
    """
    samples = np.asarray(samples, np.float64) / UNITS
    draws = np.asarray(draws, np.float64) / UNITS
    if len(draws) <= k or samples.shape[1:] != draws.shape[1:]:
        raise InputError(
            f"coverage needs more than {k} draws of as many frames as the samples, "
            f"not {draws.shape}"
        )

    def distances_to(others: np.ndarray, columns: list) -> np.ndarray:
        apart = draws[:, None, :, columns] - others[None, :, :, columns]  # (m, others, T, columns)
        return np.linalg.norm(apart, axis=3)  # (m, others, T)

    out = {}
    for name, columns in GROUPS.items():
        among_draws = np.sort(distances_to(draws, columns), axis=1)  # (m, m, T)
        radius = among_draws[:, k]  # (m, T); entry 0 is the draw itself
        nearest = distances_to(samples, columns).min(1)  # (m, T)
        # a step of .01 in every column, OpenFace's precision and one bin, makes no difference
        rounding = 0.01 * len(columns) ** 0.5
        out[name] = float((nearest <= radius + rounding).mean())
    return out


def dynamics_deviation(Y: np.ndarray, truth: np.ndarray) -> float:
    """How much livelier than the truth's an upper face is, of animations (T, 23), in AU units.

    The mean over its AUs of the difference of their spread over time; below 0 it moves too little.
    """
    ours, true = check_animation(Y)[:, UPPER], check_animation(truth)[:, UPPER]
    return float((ours.std(0) - true.std(0)).mean())


def lip_error(Y: np.ndarray, truth: np.ndarray) -> float:
    """Mean absolute error of the eight lip AUs (LIPS) of two animations (T, 23), in AU units.

    It is LMD without pixels. Raises InputError for two lengths.
    """
    Y, truth = check_animation(Y), check_animation(truth)
    if Y.shape != truth.shape:
        raise InputError(
            f"the two animations have {len(Y)} and {len(truth)} frames: cut them to one length"
        )
    return float(np.abs(Y[:, LIPS] - truth[:, LIPS]).mean())


def lip_errors(samples: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Lip error of samples (n, T, 23) against the recording (T, 23), in AU units, in three ways.

    "one" is that of each alone, averaged, "mean" that of the samples' mean animation, and "closest"
    that of the best sample. A model that samples well has a "one" above "mean" and is not to be
    blamed for it.
    Notebook: 06_evaluation.
    """
    each = [lip_error(sample, truth) for sample in samples]
    return {
        "one": float(np.mean(each)),
        "mean": lip_error(np.mean(samples, axis=0), truth),
        "closest": min(each),
    }


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Frechet distance of two sets of vectors (n, d), each taken as a Gaussian.

    It is |mean difference|^2 + trace(A + B - 2 (A B)^1/2), A and B the covariances.
    Raises InputError for two widths or fewer than two rows.

    >>> round(frechet(np.array([[0.0], [2.0]]), np.array([[3.0], [5.0]])), 6)
    9.0
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise InputError(
            f"a Frechet distance needs two sets (n, d) of two rows or more, "
            f"not {a.shape} and {b.shape}"
        )
    A, B = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))  # (d, d)

    # trace (A B)^1/2 through the symmetric form: A^1/2 B A^1/2 has the same eigenvalues and stays
    # real
    values, vectors = np.linalg.eigh(A)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ B @ root).clip(0)).sum()

    means = ((a.mean(0) - b.mean(0)) ** 2).sum()
    return float(max(0.0, means + np.trace(A) + np.trace(B) - 2 * cross))


def frechet_animation(
    samples: Sequence[np.ndarray], truth: Sequence[np.ndarray]
) -> dict[str, float]:
    """Frechet distance between generated and recorded animations, lists of (T, 23).

    "frames" compares single frames (is each face plausible?), "differences" their changes from
    frame to frame (does it move plausibly?).
    """

    def frames(tracks: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [np.asarray(Y) / UNITS for Y in tracks]  # scaled, so that no unit drowns another

    def changes(tracks: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [np.diff(Y, axis=0) for Y in frames(tracks)]

    return {
        "frames": frechet(np.concatenate(frames(samples)), np.concatenate(frames(truth))),
        "differences": frechet(np.concatenate(changes(samples)), np.concatenate(changes(truth))),
    }


def jitter(Y: np.ndarray) -> dict[str, float]:
    """Mean absolute change from frame to frame of (T, 23) per group, in `UNITS`.

    Abrupt poses score high.
    """
    changes = np.abs(np.diff(check_animation(Y) / UNITS, axis=0))  # (T - 1, 23)
    return {name: float(changes[:, columns].mean()) for name, columns in GROUPS.items()}
