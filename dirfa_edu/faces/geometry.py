"""From 468 face landmarks to the 23 attributes: head pose and geometric Action Units.

Pose is a weighted Procrustes fit of MediaPipe's canonical face. Action Units are distances between
landmarks after that fit, scaled to OpenFace's 0-5: OpenFace-like, not OpenFace. Good on real faces
for AU 01 02 07 12 25 26 45, fair for 04 05 10 17 20 23, weak for 06 09 14 15, which hardly move any
landmark. On small pictures (128 px) of digital actors only 25 26 45 and the pose are good (r .87
.95 .97, angles .92-.99), 04 12 17 23 fair, brows weak. Who has OpenFace gives its CSV instead.

Paper: 3.2.1, 4.1 (the paper extracts the same 23 numbers with OpenFace). Notebook:
07_your_own_face.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..animation import AU_NUMBERS, AU_RANGE
from ..files import InputError, data_path


@lru_cache(maxsize=1)
def canonical_face() -> dict[str, np.ndarray]:
    """MediaPipe's mean face: vertices (468, 3), Procrustes weights (468,), triangles (898, 3).

    Millimetres on OpenFace's axes: x right, y down, z away.
    """
    with np.load(data_path("models", "canonical_face.npz")) as stored:
        return dict(stored)


def align(L: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Weighted Procrustes: the canonical face V on landmarks (T, 468, 3), L ~ scale R V + shift.

    Returns the landmarks seen from the front in mm (T, 468, 3), rotations R (T, 3, 3), scales (T,)
    in px per mm, shifts (T, 3) in px. Frames of NaN stay NaN.
    """
    face = canonical_face()
    V = face["vertices"].astype(np.float64)  # (468, 3)
    w = face["weights"].astype(np.float64)  # (468,)
    w = w / w.sum()

    # a missing frame is fitted as the canonical face, and forgotten at the end
    good = np.isfinite(L[:, :, :2]).all((1, 2))
    X = np.where(good[:, None, None], L, V).astype(np.float64)
    x_mean = np.einsum("n,tnk->tk", w, X)  # (T, 3)
    v_mean = w @ V  # (3,)
    centred, reference = X - x_mean[:, None], V - v_mean

    # the rotation that maximises the weighted covariance: Kabsch's singular vectors
    covariance = np.einsum("n,tni,nj->tij", w, centred, reference)  # (T, 3, 3)
    U, _, Wt = np.linalg.svd(covariance)
    U[:, :, 2] *= np.sign(np.linalg.det(U @ Wt))[:, None]  # a rotation, never a mirror image
    R = U @ Wt
    along = np.einsum("n,tni,tij,nj->t", w, centred, R, reference)  # (T,)
    scale = along / (w @ (reference**2).sum(1))

    front = np.einsum("tni,tij->tnj", centred, R) / scale[:, None, None] + v_mean
    shift = x_mean - scale[:, None] * (R @ v_mean)
    for array in (front, R, scale, shift):
        array[~good] = np.nan
    return front, R, scale, shift


def pose_from_landmarks(L: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Head pose (T, 6) of landmarks (T, 468, 3): pitch, yaw, roll in radians, x, y, z in mm.

    `size` is (width, height) of the frames in px. All is absolute, on OpenFace's axes and with the
    focal length OpenFace guesses: Rx > 0 looks down, Ry > 0 turns the nose to the left of the
    image, Rz > 0 turns clockwise. NaN where L is NaN. Paper: 3.2.1.
    """
    _, R, scale, shift = align(L)
    width, height = size
    focal = (500 * width / 640 + 500 * height / 480) / 2  # px
    z = focal / scale

    # R = Rx Ry Rz, read back from its entries
    pitch = np.arctan2(-R[:, 1, 2], R[:, 2, 2])
    yaw = np.arcsin(R[:, 0, 2].clip(-1, 1))
    roll = np.arctan2(-R[:, 0, 1], R[:, 0, 0])
    x = (shift[:, 0] - width / 2) * z / focal
    y = (shift[:, 1] - height / 2) * z / focal
    return np.stack([pitch, yaw, roll, x, y, z], axis=1)  # (T, 6)


class Calibration(NamedTuple):
    """How a distance becomes an intensity of 0-5."""

    full: float  # movement in mm that counts as intensity 5
    neutral: float  # percentile over the clip that counts as the person's neutral


# The movements are the largest that adult faces make, rounded; OpenFace's own intensities are
# learned, not measured. A mouth is neutral when it is shut, so its percentile is low.
CALIBRATION = {
    1: Calibration(10, 35),
    2: Calibration(10, 35),
    4: Calibration(10, 35),
    5: Calibration(4, 50),
    6: Calibration(8, 50),
    7: Calibration(5, 20),
    9: Calibration(8, 50),
    10: Calibration(6, 50),
    12: Calibration(13, 35),
    14: Calibration(15, 50),
    15: Calibration(10, 50),
    17: Calibration(12, 50),
    20: Calibration(13, 35),
    23: Calibration(8, 35),
    25: Calibration(20, 5),
    26: Calibration(16, 5),
    45: Calibration(6.5, 35),
}
# An opening jaw moves other mouth measures too: mm per mm of lip gap, the slope over eight rendered
# actors speaking.
JAW = {10: -0.07, 12: 0.21, 14: -0.55, 15: -0.19, 17: -1.3, 23: -0.12}
LIPS_APART = 25  # the Action Unit whose measure is the lip gap


def au_measures(front: np.ndarray) -> np.ndarray:
    """One distance in mm per Action Unit, (T, 17), that grows with it.

    front: frontal landmarks (T, 468, 3) in mm, as `align` gives them.
    """

    def down(*points: int) -> np.ndarray:
        """Mean height (T,), y downwards."""
        return front[:, points, 1].mean(1)

    def apart(a: int, b: int) -> np.ndarray:
        """Distance of two points (T,)."""
        return np.linalg.norm(front[:, a] - front[:, b], axis=1)

    eyes = down(33, 133, 362, 263)
    corners = down(61, 291)
    mouth = down(13, 14)
    lids = apart(159, 145) + apart(386, 374) + apart(158, 153) + apart(385, 380)
    measure = {
        1: eyes - down(55, 107, 285, 336),  # inner brow up
        2: eyes - down(70, 46, 300, 276),  # outer brow up
        4: down(55, 285) - eyes - (apart(55, 285) + apart(107, 336)) / 2,  # brows down and together
        5: eyes - down(159, 386),  # upper lid up
        6: eyes - down(50, 280, 118, 347),  # cheek up
        7: eyes - down(145, 374),  # lower lid up
        9: eyes - down(98, 327, 48, 278),  # wings of the nose up
        10: down(2) - down(37, 267, 0),  # upper lip up
        12: mouth - corners + 0.7 * apart(61, 291),  # corners of the mouth up and out
        14: apart(61, 291) - 0.5 * apart(0, 17),  # corners in: dimples
        15: corners - mouth - 0.3 * apart(61, 291),  # corners down
        17: down(2) - down(17) - (down(17) - down(18)) * 0.5,  # chin up
        20: apart(61, 291),  # mouth wide
        23: -(apart(0, 13) + apart(14, 17)),  # lips thin
        25: apart(13, 14),  # lips apart
        26: apart(152, 2),  # jaw down
        45: -lids / 4,  # eyes shut
    }
    gap = measure[LIPS_APART]
    return np.stack([measure[n] - JAW.get(n, 0) * gap for n in AU_NUMBERS], axis=1)  # (T, 17)


def attributes_from_landmarks(
    L: np.ndarray, size: tuple[int, int], absolute: bool = False
) -> np.ndarray:
    """Landmarks (T, 468, 3) of one person -> animation float32 (T, 23).

    `size` is (width, height) of the frames in px. AUs count from the person's own neutral, a low
    percentile over the clip: give a clip of some seconds. Pose is relative to the clip's median
    unless `absolute`. Frames of NaN are filled from their neighbours in time. Weak: AU 06 09 14 15
    (see the top of this page). Raises InputError where no frame has a face. Paper: 3.2.1.
    """
    good = np.where(np.isfinite(L[:, 0, 0]))[0]
    if not len(good):
        raise InputError(
            "no frame of the clip shows a face: film one face, from the front, in good light"
        )

    front, _, _, _ = align(L[good])
    measure = au_measures(front)  # (good, 17)
    full = np.array([CALIBRATION[n].full for n in AU_NUMBERS])
    neutral = np.array(
        [np.percentile(measure[:, j], CALIBRATION[n].neutral) for j, n in enumerate(AU_NUMBERS)]
    )
    aus = (AU_RANGE[1] * (measure - neutral) / full).clip(*AU_RANGE)

    pose = pose_from_landmarks(L[good], size)  # (good, 6)
    pose[:, :3] = np.unwrap(pose[:, :3], axis=0)
    if not absolute:
        pose = pose - np.median(pose, axis=0)

    found = np.concatenate([aus, pose], axis=1)  # (good, 23)
    frames = np.arange(len(L))
    filled = [np.interp(frames, good, track) for track in found.T]
    return np.stack(filled, axis=1).astype(np.float32)  # (T, 23)
