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
    `absolute`. `missing_pose="zeros"` accepts a file without pose columns.

    Raises InputError for a file that is no CSV, lacks columns, has no valid frame, or whose time
    runs back. Paper: 3.2.1, 4.1. Notebook: 01_features.
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

    Y[:, :N_AUS] = Y[:, :N_AUS].clip(*AU_RANGE)
    if not absolute:
        seen = _resample_valid(valid, times)
        Y[:, POSE] -= np.median(Y[seen][:, POSE] if seen.any() else Y[:, POSE], axis=0)
    return Y.astype(np.float32)


def valid_frames(path: str | Path) -> np.ndarray:
    """Which frames of `read_openface(path)` were measured: bool (T,), False where one was filled.

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
    """Write an animation (T, 23) as an OpenFace CSV at 25 fps.

    AUs have two decimals, radians four, millimetres one. `offset` (6,) is added to the pose
    (rotation first), so that a relative animation becomes absolute again; real OpenFace files have
    pose_Tz of 500-600 mm. `success` (T,) marks failed frames with 0.

    Raises InputError for a wrong shape or values that are not finite. Notebook: 01_features.
    """
    Y = check_animation(Y).copy()
    if offset is not None:
        Y[:, POSE] += np.asarray(offset, np.float64)
    worked = np.ones(len(Y), int) if success is None else np.asarray(success).astype(int)

    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(HEADER)
    for t in range(len(Y)):
        rows.writerow(openface_row(t, Y[t], worked[t]))
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")


def openface_row(t: int, y: np.ndarray, success: int = 1) -> list[str]:
    """Frame t (from 0) as an OpenFace file writes it: a text per HEADER column.

    y (23,) are the attributes, pose absolute.

    >>> openface_row(0, np.zeros(23))[:5]
    ['1', '0.000', '0.98', '1', '0.0']
    """
    confidence = "0.98" if success else "0.00"
    frame = [f"{t + 1}", f"{t / FPS:.3f}", confidence, f"{success}"]
    millimetres = [f"{value:.1f}" for value in y[TRANSLATION]]
    radians = [f"{value:.4f}" for value in y[ROTATION]]
    intensities = [f"{value:.2f}" for value in y[:N_AUS]]
    return frame + millimetres + radians + intensities


def check_animation(Y: np.ndarray) -> np.ndarray:
    """Y as float64 (T, 23). Raises InputError if it is no finite animation."""
    Y = np.asarray(Y, np.float64)
    if Y.ndim != 2 or Y.shape[1] != N_ATTRIBUTES:
        raise InputError(f"an animation is (frames, {N_ATTRIBUTES}), not {Y.shape}")
    if not np.isfinite(Y).all():
        bad = int(np.where(~np.isfinite(Y).all(1))[0][0])
        raise InputError(f"the animation has a value that is not a number, first in frame {bad}")
    return Y


def _read_table(path: Path, missing_pose: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """CSV -> values (T, 23) with NaN where a frame failed, time stamps (T,), valid (T,)."""
    header, rows = _read_rows(path)
    place = {name.strip(): i for i, name in enumerate(header)}
    wanted = [f"{au}_r" for au in AUS] + POSES
    _check_columns(path, [name for name in wanted if name not in place], missing_pose)

    def numbers(name: str, default: float) -> np.ndarray:
        if name not in place:
            return np.full(len(rows), default)
        return np.array([_number(row, place[name]) for row in rows])

    table = np.stack([numbers(name, 0.0) for name in wanted], axis=1)  # (T, 23)
    times = numbers("timestamp", np.nan)
    if not np.isfinite(times).all():
        times = np.arange(len(table)) / FPS
    back = np.diff(times) <= 0
    if back.any():
        line = int(np.argmax(back)) + 3  # lines count from 1, and the first is the header
        raise InputError(
            f"{path}: the timestamp does not rise in line {line}; a file of several faces or "
            "recordings has to be split first"
        )
    valid = (numbers("success", 1.0) > 0.5) & np.isfinite(table).all(1)
    return table, times, valid


def _read_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """The header and the other rows of a CSV."""
    if not path.is_file():
        raise InputError(f"no OpenFace file at {path}")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        rows = list(csv.reader(lines, skipinitialspace=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a CSV file ({error})") from error
    if len(rows) < 2:
        raise InputError(
            f"{path} has no frames: OpenFace writes one header line and one line per frame"
        )
    return rows[0], rows[1:]


def _check_columns(path: Path, missing: list[str], missing_pose: str) -> None:
    """Raise InputError where columns are missing that may not be."""
    if missing_pose == "zeros":
        missing = [name for name in missing if name not in POSES]
    if missing:
        hint = "; pass missing_pose='zeros' to accept it" if set(missing) <= set(POSES) else ""
        raise InputError(
            f"{path} lacks the column {missing[0]} ({len(missing)} of {N_ATTRIBUTES} missing){hint}"
        )


def _number(row: list[str], i: int) -> float:
    """A cell as a number; NaN for an empty or cut one, whose frame then counts as failed."""
    try:
        return float(row[i])
    except (ValueError, IndexError):
        return np.nan


def _fill(table: np.ndarray, valid: np.ndarray, path: str | Path) -> np.ndarray:
    """Replace failed frames by linear interpolation between their valid neighbours."""
    if not valid.any():
        raise InputError(
            f"{path} has no valid frame: success is 0 or values are missing everywhere"
        )
    frames = np.arange(len(table))
    good = np.where(valid)[0]
    filled = [np.interp(frames, good, track[good]) for track in table.T]
    return np.stack(filled, axis=1)  # (T, 23)


def _clock(times: np.ndarray) -> tuple[float, int]:
    """Time stamps (T,) -> seconds from frame to frame, how many frames of 25 fps they cover."""
    steps = np.diff(times)
    if not len(steps):
        return 1 / FPS, len(times)
    step = float(np.median(steps))
    # no frame is lost: the mean is finer than stamps of three decimals
    if steps.max() < _longest_step(step):
        step = float(steps.mean())
    return step, max(1, int(round((times[-1] - times[0] + step) * FPS)))


def _longest_step(step: float) -> float:
    """Seconds between two stamps from which on a frame was lost between them."""
    return 1.5 * step + 0.001


def _resample(Y: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Bring a track to 25 fps by linear interpolation at the middles of the 25 fps frames."""
    step, n = _clock(times)
    if n == len(Y):
        return Y
    middles = (np.arange(n) + 0.5) / FPS
    source = times - times[0] + step / 2  # a frame's value holds for its middle
    return np.stack([np.interp(middles, source, track) for track in Y.T], axis=1)  # (n, 23)


def _resample_valid(valid: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The same for the mask of valid frames.

    Both neighbours must be valid, and no frame lost between them.
    """
    step, n = _clock(times)
    if n == len(valid) or len(valid) < 2:
        return valid
    middles = (np.arange(n) + 0.5) / FPS
    source = times - times[0] + step / 2
    right = np.searchsorted(source, middles).clip(1, len(valid) - 1)
    near = np.diff(times)[right - 1] < _longest_step(step)
    return valid[right - 1] & valid[right] & near


def observed_events(Y: np.ndarray) -> dict[str, np.ndarray]:
    """Which events an animation (T, 23) shows in which frame: {name: bool (T,)}.

    Works on any track, made or measured. A nod is a head 0.02 rad lower than its own mean over one
    second. Notebook: 06_evaluation.

    >>> seen = observed_events(np.zeros((50, 23)))
    >>> sorted(seen), any(frames.any() for frames in seen.values())
    (['blink', 'brow raise', 'frown', 'nod', 'smile', 'squint'], False)
    """
    Y = np.asarray(Y)

    def track(name: str) -> np.ndarray:
        return Y[:, column(name)]

    pitch = track("pose_Rx")
    around = np.pad(pitch, FPS // 2, mode="edge")  # FPS is odd: windows are centred on the frame
    mean = np.convolve(around, np.ones(FPS) / FPS, mode="valid")[: len(pitch)]
    return {
        "brow raise": (track("AU01") > 0.5) & (track("AU02") > 0.5),
        "frown": track("AU04") > 0.5,
        "squint": track("AU06") > 0.5,
        "smile": track("AU12") > 0.7,
        "blink": track("AU45") > 1,
        "nod": pitch - mean > 0.02,
    }
