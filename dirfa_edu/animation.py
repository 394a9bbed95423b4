"""A facial animation: 23 attributes a frame, and OpenFace's CSV in and out.

An animation is float32 (T, 23) at 25 frames a second: 17 Action Unit intensities (0-5), then head
pose as pitch, yaw and roll (radians, OpenFace's axes and signs) and translation (millimetres). In
memory the pose is relative to the clip's neutral, the median over its valid frames: all zeros is a
neutral, frontal face.

Paper: 3.2.1. Notebook: 01_features.
"""

import csv
import io
import warnings
from pathlib import Path

import numpy as np

from .files import InputError, atomic_path

FPS = 25
AU_NUMBERS = [1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45]
AUS = [f"AU{n:02d}" for n in AU_NUMBERS]
POSES = ["pose_Rx", "pose_Ry", "pose_Rz", "pose_Tx", "pose_Ty", "pose_Tz"]
ATTRIBUTES = AUS + POSES
N_AUS = len(AUS)  # 17
N_ATTRIBUTES = len(ATTRIBUTES)  # 23
ROTATION = slice(N_AUS, N_AUS + 3)  # pitch, yaw, roll among the 23 columns
TRANSLATION = slice(N_AUS + 3, N_ATTRIBUTES)
AU_RANGE = (0.0, 5.0)


def column(name: str) -> int:
    """Index of an attribute in the 23 columns.

    >>> column("AU25"), column("pose_Ry")
    (14, 18)
    """
    try:
        return ATTRIBUTES.index(name)
    except ValueError:
        raise InputError(f"no attribute {name!r}: choose one of {', '.join(ATTRIBUTES)}") from None


LIPS = [column(f"AU{n:02d}") for n in (10, 14, 15, 17, 20, 23, 25, 26)]
UPPER = [column(f"AU{n:02d}") for n in (1, 2, 4, 5, 6, 7, 9, 12)]
BLINK = [column("AU45")]
POSE = [column(name) for name in POSES]
GROUPS = {"lips": LIPS, "upper": UPPER, "blink": BLINK, "pose": POSE}

# OpenFace writes its columns in this order (intensities _r; translations before rotations)
HEADER = (
    ["frame", "timestamp", "confidence", "success"]
    + POSES[3:]
    + POSES[:3]
    + [f"{au}_r" for au in AUS]
)


def read_openface(
    path: str | Path, absolute: bool = False, missing_pose: str = "error"
) -> np.ndarray:
    """Read an OpenFace CSV -> float32 (T, 23) at 25 fps; AUs 0-5, radians, millimetres.

    Column names may carry leading spaces (OpenFace <= 2.1). Failed frames (success 0, or NaN) are
    filled from their neighbours in time; `valid_frames` tells which. Another frame rate is
    resampled to 25 fps, with a warning. Pose is relative to the median of the valid frames unless
    `absolute`. `missing_pose="zeros"` accepts a file without pose columns. Raises InputError for a
    file that is no CSV, lacks columns, has no valid frame, or whose time runs back.
    Paper: 3.2.1, 4.1. Notebook: 01_features.
    """
    table, times, valid = _read_table(Path(path), missing_pose)
    Y = _resample(_fill(table, valid, path), times)
    step, _ = _clock(times)
    if abs(step * FPS - 1) > 0.005:
        # the same words for every file of a corpus, so that Python says them once
        warnings.warn(
            f"OpenFace tracks of {1 / step:.2f} frames a second are resampled to {FPS}",
            stacklevel=2,
        )
    Y[:, :17] = Y[:, :17].clip(*AU_RANGE)
    if not absolute:
        seen = _resample_valid(valid, times)
        Y[:, POSE] -= np.median(Y[seen][:, POSE] if seen.any() else Y[:, POSE], axis=0)
    return Y.astype(np.float32)


def valid_frames(path: str | Path) -> np.ndarray:
    """Which frames of `read_openface(path)` were measured: bool (T,), False where a failed or lost
    frame was filled.

    In a resampled track a frame counts when both frames that it lies between do. Raises InputError
    like `read_openface`. Notebook: 07_your_own_face.
    """
    _, times, valid = _read_table(Path(path), "zeros")
    return _resample_valid(valid, times)


def write_openface(
    path: str | Path,
    Y: np.ndarray,
    offset: np.ndarray | None = None,
    success: np.ndarray | None = None,
) -> None:
    """Write an animation (T, 23) as an OpenFace CSV at 25 fps: AUs two decimals, radians four,
    millimetres one.

    `offset` (6,) is added to the pose (rotation first), so that a relative animation becomes
    absolute again; real OpenFace files have pose_Tz of 500-600 mm. `success` (T,) marks failed
    frames with 0.
    Raises InputError for a wrong shape or values that are not finite. Notebook: 01_features.
    """
    Y = check_animation(Y)
    pose = Y[:, POSE] + (0 if offset is None else np.asarray(offset, np.float64))
    success = np.ones(len(Y), int) if success is None else np.asarray(success).astype(int)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(HEADER)
    for t in range(len(Y)):
        rows.writerow(openface_row(t, np.concatenate([Y[t, :17], pose[t]]), success[t]))
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue())


def openface_row(t: int, y: np.ndarray, success: int = 1) -> list[str]:
    """Frame t (from 0) with attributes y (23,), pose absolute, as an OpenFace file writes it: a
    text per HEADER column.

    >>> openface_row(0, np.zeros(23))[:5]
    ['1', '0.000', '0.98', '1', '0.0']
    """
    return (
        [f"{t + 1}", f"{t / FPS:.3f}", "0.98" if success else "0.00", f"{success}"]
        + [f"{v:.1f}" for v in y[20:]]
        + [f"{v:.4f}" for v in y[17:20]]
        + [f"{v:.2f}" for v in y[:17]]
    )


def check_animation(Y: np.ndarray) -> np.ndarray:
    """Return Y as a float64 array, or raise InputError in one sentence if it is no (T, 23) finite
    animation."""
    Y = np.asarray(Y, np.float64)
    if Y.ndim != 2 or Y.shape[1] != N_ATTRIBUTES:
        raise InputError(f"an animation is (frames, {N_ATTRIBUTES}), not {Y.shape}")
    if not np.isfinite(Y).all():
        bad = int(np.where(~np.isfinite(Y).all(1))[0][0])
        raise InputError(f"the animation has a value that is not a number, first in frame {bad}")
    return Y


def _read_table(path: Path, missing_pose: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """CSV -> values (T, 23) with NaN where a frame failed, time stamps (T,), valid (T,)."""
    if not path.is_file():
        raise InputError(f"no OpenFace file at {path}")
    try:
        rows = list(
            csv.reader(path.read_text(encoding="utf-8-sig").splitlines(), skipinitialspace=True)
        )
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a CSV file ({error})") from error
    if len(rows) < 2:
        raise InputError(
            f"{path} has no frames: OpenFace writes one header line and one line per frame"
        )
    place = {name.strip(): i for i, name in enumerate(rows[0])}
    wanted = [f"{au}_r" for au in AUS] + POSES
    missing = [name for name in wanted if name not in place]
    if missing_pose == "zeros":
        missing = [name for name in missing if name not in POSES]
    if missing:
        hint = "; pass missing_pose='zeros' to accept it" if set(missing) <= set(POSES) else ""
        raise InputError(
            f"{path} lacks the column {missing[0]} ({len(missing)} of 23 missing){hint}"
        )

    def numbers(name: str, default: float) -> np.ndarray:
        if name not in place:
            return np.full(len(rows) - 1, default)
        out = np.full(len(rows) - 1, np.nan)
        for t, row in enumerate(rows[1:]):
            try:
                out[t] = float(row[place[name]])
            except (ValueError, IndexError):
                pass  # an empty or cut cell: the frame counts as failed
        return out

    table = np.stack([numbers(name, 0.0) for name in wanted], axis=1)
    times = numbers("timestamp", np.nan)
    if "timestamp" not in place or not np.isfinite(times).all():
        times = np.arange(len(table)) / FPS
    if (np.diff(times) <= 0).any():
        raise InputError(
            f"{path}: the timestamp does not rise in line {int(np.argmax(np.diff(times) <= 0)) + 3}; a "
            "file of several faces or recordings has to be split first"
        )
    valid = (numbers("success", 1.0) > 0.5) & np.isfinite(table).all(1)
    return table, times, valid


def _fill(table: np.ndarray, valid: np.ndarray, path: str | Path) -> np.ndarray:
    """Replace failed frames by linear interpolation between their valid neighbours."""
    if not valid.any():
        raise InputError(
            f"{path} has no valid frame: success is 0 or values are missing everywhere"
        )
    good = np.where(valid)[0]
    return np.stack(
        [np.interp(np.arange(len(table)), good, table[good, j]) for j in range(table.shape[1])],
        axis=1,
    )


def _clock(times: np.ndarray) -> tuple[float, int]:
    """Time stamps (T,) -> (seconds from frame to frame, how many frames of 25 fps they cover)."""
    steps = np.diff(times)
    if not len(steps):
        return 1 / FPS, len(times)
    step = float(np.median(steps))
    # no frame is lost: the mean is finer than stamps of three decimals
    if steps.max() < 1.5 * step + 0.001:
        step = float(steps.mean())
    return step, max(1, int(round((times[-1] - times[0] + step) * FPS)))


def _resample(Y: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Bring a track to 25 fps by linear interpolation at the middles of the 25 fps frames."""
    step, n = _clock(times)
    if n == len(Y):
        return Y
    middles = (np.arange(n) + 0.5) / FPS
    source = times - times[0] + step / 2  # a frame's value holds for its middle
    return np.stack([np.interp(middles, source, Y[:, j]) for j in range(Y.shape[1])], axis=1)


def _resample_valid(valid: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The same for the mask of valid frames: both neighbours must be valid, and no frame lost
    between them."""
    step, n = _clock(times)
    if n == len(valid) or len(valid) < 2:
        return valid
    right = np.searchsorted(times - times[0] + step / 2, (np.arange(n) + 0.5) / FPS).clip(
        1, len(valid) - 1
    )
    return valid[right - 1] & valid[right] & (np.diff(times)[right - 1] < 1.5 * step + 0.001)
