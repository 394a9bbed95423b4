"""Faces in pictures: where they are, 468 landmarks, head pose, Action Units, identity.

MediaPipe's BlazeFace and FaceMesh (Apache-2.0) run through LiteRT; identity.py holds dlib's face ResNet. Pose is a
weighted Procrustes fit of MediaPipe's canonical face; Action Units are distances between landmarks after that fit, scaled to OpenFace's 0-5: OpenFace-like, not OpenFace. They are good for AU 01 02 07 12 25 26 45, fair for 04 05 10 17
20 23, and weak for 06 09 14 15, which hardly move any landmark: with OpenFace at hand, give its CSV instead.

One rule cuts a face out of a picture everywhere: face box x 1.5, eyes level. A box is (centre x, centre y, side, angle).

Paper: 4.1 (the paper extracts the same 23 numbers with OpenFace). Notebook: 07_your_own_face.
"""

import os
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from .animation import AU_NUMBERS, AU_RANGE, FPS, POSE
from .files import InputError, data_path
from .identity import CHIP, FaceResNet, load_face_resnet  # noqa: F401
from .video import read_mp4

CROP = 1.5  # side of a crop in face boxes
MESH_SIZE, DETECT_SIZE = 192, 128  # input sizes of the two networks, px
# the 20 mouth points of the 68-point scheme (48..67) among FaceMesh's 468
MOUTH = [61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87]
EYE_CORNERS = [33, 263]  # outer corners; 33 is on the left of the image

Box = tuple[float, float, float, float]


def warp(image: np.ndarray, box: Box, size: int) -> np.ndarray:
    """Cut the square `box` out of a picture (H, W, 3) uint8, turned by its angle -> (size, size, 3) uint8.

    Bilinear; edges repeat; a picture that would shrink by 2 or more is averaged in blocks first, so nothing aliases.

    >>> warp(np.full((8, 8, 3), 7, np.uint8), (4, 4, 8, 0.0), 16).shape
    (16, 16, 3)
    """
    x, y, side, angle = box
    shrink = int(side / size)
    if shrink >= 2:
        H, W = (n // shrink * shrink for n in image.shape[:2])
        image = image[:H, :W].reshape(H // shrink, shrink, W // shrink, shrink, 3).mean((1, 3))
        x, y, side = x / shrink, y / shrink, side / shrink
    H, W = image.shape[:2]
    step = ((np.arange(size) + 0.5) / size - 0.5).astype(np.float32) * side  # px from the centre
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    u = (x - 0.5 + cos * step[None, :] - sin * step[:, None]).clip(0, W - 1)  # (size, size) columns in the picture
    v = (y - 0.5 + sin * step[None, :] + cos * step[:, None]).clip(0, H - 1)
    i, j = v.astype(np.int32).clip(0, max(H - 2, 0)), u.astype(np.int32).clip(0, max(W - 2, 0))
    a, b = (v - i)[..., None].astype(np.float32), (u - j)[..., None].astype(np.float32)
    below, right = (i + 1).clip(0, H - 1), (j + 1).clip(0, W - 1)
    top = image[i, j] * (1 - b) + image[i, right] * b
    bottom = image[below, j] * (1 - b) + image[below, right] * b
    return (top * (1 - a) + bottom * a + 0.5).astype(np.uint8)


@lru_cache(maxsize=2)
def _network(name: str):
    """Load a vendored tflite file -> function (1, S, S, 3) float32 -> list of arrays."""
    from ai_edge_litert.interpreter import Interpreter

    path = data_path("models", f"{name}.tflite")
    if not path.is_file():
        raise InputError(f"no vision model at {path}: check out data_samples/models again")
    # LiteRT greets on the C level; the greeting would become an output of a notebook cell
    keep, quiet = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)
    try:
        network = Interpreter(str(path), num_threads=1)
        network.allocate_tensors()
    finally:
        os.dup2(keep, 2)
        os.close(keep)
        os.close(quiet)
    source = network.get_input_details()[0]["index"]
    targets = [output["index"] for output in network.get_output_details()]

    def run(x: np.ndarray) -> list[np.ndarray]:
        network.set_tensor(source, x)
        network.invoke()
        return [network.get_tensor(index) for index in targets]

    return run


def _anchors() -> np.ndarray:
    """BlazeFace's 896 anchor centres in 0..1: 2 on each cell of a 16 x 16 grid, 6 on each of 8 x 8."""
    grids = []
    for cells, copies in ((16, 2), (8, 6)):
        centres = (np.arange(cells) + 0.5) / cells
        grids.append(np.repeat(np.stack(np.meshgrid(centres, centres), -1).reshape(-1, 2), copies, axis=0))
    return np.concatenate(grids)  # (896, 2)


def find_faces(image: np.ndarray, threshold: float = 0.5) -> list[dict]:
    """Find every face in a picture (H, W, 3) uint8, largest first.

    Each is a dict: box (x0, y0, x1, y1) and keypoints (6, 2) in px (eyes, nose, mouth, ears), score 0..1.
    Raises InputError for something that is not an RGB picture. Notebook: 07_your_own_face.
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise InputError(f"a picture is (height, width, 3) uint8, not {image.shape} {image.dtype}")
    H, W = image.shape[:2]
    # the second look, from further away, finds faces that fill the picture
    for zoom in (1.0, 1.7):
        side = max(H, W) * zoom
        small = warp(image, (W / 2, H / 2, side, 0.0), DETECT_SIZE)
        regression, logit = _network("face_detection_short_range")(small[None].astype(np.float32) / 127.5 - 1)
        score = 1 / (1 + np.exp(-logit[0, :, 0].clip(-50, 50)))
        faces = []
        for i in np.argsort(-score):
            if score[i] < threshold:
                break
            anchor = _anchors()[i]
            centre, extent = regression[0, i, :2] / DETECT_SIZE + anchor, regression[0, i, 2:4] / DETECT_SIZE
            points = regression[0, i, 4:].reshape(6, 2) / DETECT_SIZE + anchor
            to_px = lambda p: (p - 0.5) * side + (W / 2, H / 2)  # noqa: E731
            box = np.concatenate([to_px(centre - extent / 2), to_px(centre + extent / 2)])
            if all(_overlap(box, face["box"]) < 0.3 for face in faces):
                faces.append({"box": box, "keypoints": to_px(points), "score": float(score[i])})
        if faces:
            return sorted(faces, key=lambda face: face["box"][0] - face["box"][2])
    return []


def find_face(image: np.ndarray) -> dict | None:
    """The largest face in a picture (H, W, 3) uint8, as find_faces gives it, or None."""
    faces = find_faces(image)
    return faces[0] if faces else None


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes (x0, y0, x1, y1)."""
    size = (np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])).clip(0).prod()
    return float(size / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - size))


def crop_box(points: np.ndarray) -> Box:
    """The crop rule: landmarks (468, 2 or 3) px of one face -> box x 1.5 with the eyes level."""
    across = points[EYE_CORNERS[1], :2] - points[EYE_CORNERS[0], :2]
    angle = float(np.arctan2(across[1], across[0]))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    level = points[:, :2] @ turn  # the same points with the eyes level
    low, high = level.min(0), level.max(0)
    x, y = turn @ ((low + high) / 2)
    return float(x), float(y), float((high - low).max() * CROP), angle


def landmarks(frames: np.ndarray) -> np.ndarray:
    """FaceMesh on a clip (T, H, W, 3) uint8 -> float32 (T, 468, 3): x, y and relative depth in px.

    Rows of frames without a face are NaN. Each frame is cropped by the landmarks of the frame before it; a detector
    starts the track, and again after a loss. Small frames are enlarged by the crop. Of several faces the largest is
    followed. Raises InputError for anything but RGB frames. Notebook: 07_your_own_face.
    """
    frames = np.asarray(frames)
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
        raise InputError(f"a clip is (frames, height, width, 3) uint8, not {frames.shape} {frames.dtype}")
    out = np.full((len(frames), 468, 3), np.nan, np.float32)
    box = None
    for t, frame in enumerate(frames):
        if box is not None:
            out[t], box = _mesh(frame, box)
        if box is None:  # at the start, or just lost
            face = find_face(frame)
            if face is not None:
                (x0, y0, x1, y1), eyes = face["box"], face["keypoints"][:2]
                angle = float(np.arctan2(*(eyes[1] - eyes[0])[::-1]))
                out[t], box = _mesh(frame, ((x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) * CROP, angle))
                if box is not None:  # once more from its own landmarks, as every later frame is
                    out[t], box = _mesh(frame, box)
    return out


def _mesh(frame: np.ndarray, box: Box) -> tuple[np.ndarray, Box | None]:
    """One run of FaceMesh in a box -> landmarks (468, 3) px and the next frame's box, or NaN and None."""
    x, y, side, angle = box
    crop = warp(frame, box, MESH_SIZE).astype(np.float32) / 255
    points, logit = _network("face_landmark")(crop[None])
    if logit.item() < 0:  # the network says: no face in this crop
        return np.full((468, 3), np.nan, np.float32), None
    points = (points.reshape(468, 3) - [MESH_SIZE / 2, MESH_SIZE / 2, 0]) * side / MESH_SIZE
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points[:, :2] = points[:, :2] @ turn.T + (x, y)
    return points.astype(np.float32), crop_box(points)


def crop_frames(frames: np.ndarray, L: np.ndarray, size: int = 128, still: bool = True) -> np.ndarray:
    """Cut the face out of a clip -> (T, size, size, 3) uint8: box x 1.5, eyes level.

    `still`: one box (the clip's median) for all frames, so that head motion stays in the picture; otherwise a box per
    frame. Frames without landmarks use the nearest frame's box.
    """
    if still:
        boxes = [crop_box(np.nanmedian(L, axis=0))] * len(frames)
    else:
        good = np.where(np.isfinite(L[:, 0, 0]))[0]
        boxes = [crop_box(L[good[np.abs(good - t).argmin()]]) for t in range(len(frames))]
    return np.stack([warp(frame, box, size) for frame, box in zip(frames, boxes)])


@lru_cache(maxsize=1)
def canonical_face() -> dict[str, np.ndarray]:
    """MediaPipe's mean face: vertices (468, 3) in mm on OpenFace's axes (x right, y down, z away), Procrustes weights
    (468,), triangles (898, 3)."""
    with np.load(data_path("models", "canonical_face.npz")) as stored:
        return dict(stored)


def align(L: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Weighted Procrustes: the similarity L ~ scale R V + shift that lays the canonical face V on landmarks (T, 468, 3).

    Returns the landmarks seen from the front in mm (T, 468, 3), rotations (T, 3, 3), scales (T,) in px per mm, shifts
    (T, 3) in px. Frames of NaN stay NaN.
    """
    V, w = canonical_face()["vertices"].astype(np.float64), canonical_face()["weights"].astype(np.float64)
    w = w / w.sum()
    good = np.isfinite(L[:, :, :2]).all((1, 2))
    X = np.where(good[:, None, None], L, V).astype(np.float64)
    x_mean, v_mean = np.einsum("n,tnk->tk", w, X), w @ V
    centred, reference = X - x_mean[:, None], V - v_mean
    U, _, Wt = np.linalg.svd(np.einsum("n,tni,nj->tij", w, centred, reference))
    U[:, :, 2] *= np.sign(np.linalg.det(U @ Wt))[:, None]  # a rotation, never a mirror image
    R = U @ Wt
    scale = np.einsum("n,tni,tij,nj->t", w, centred, R, reference) / (w @ (reference**2).sum(1))
    front = np.einsum("tni,tij->tnj", centred, R) / scale[:, None, None] + v_mean
    shift = x_mean - scale[:, None] * (R @ v_mean)
    for array in (front, R, scale, shift):
        array[~good] = np.nan
    return front, R, scale, shift


def pose_from_landmarks(L: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Head pose of landmarks (T, 468, 3) in frames of `size` (width, height) px -> (T, 6): pitch, yaw, roll in radians,
    x, y, z in mm, all absolute, on OpenFace's axes and with the focal length OpenFace guesses. NaN where L is NaN.

    Rx > 0 looks down, Ry > 0 turns the nose to the left of the image, Rz > 0 turns clockwise. Paper: 3.2.1.
    """
    _, R, scale, shift = align(L)
    width, height = size
    focal = (500 * width / 640 + 500 * height / 480) / 2
    z = focal / scale
    # R = Rx Ry Rz, read back from its entries
    pitch, yaw = np.arctan2(-R[:, 1, 2], R[:, 2, 2]), np.arcsin(R[:, 0, 2].clip(-1, 1))
    roll = np.arctan2(-R[:, 0, 1], R[:, 0, 0])
    x, y = (shift[:, 0] - width / 2) * z / focal, (shift[:, 1] - height / 2) * z / focal
    return np.stack([pitch, yaw, roll, x, y, z], axis=1)


# AU -> (AU intensity per mm, percentile over the clip that counts as the person's neutral)
CALIBRATION = {1: (0.8, 20), 2: (0.8, 20), 4: (0.8, 20), 5: (1.5, 20), 6: (1.0, 20), 7: (1.5, 20), 9: (1.0, 20),
               10: (1.0, 20), 12: (0.5, 20), 14: (0.5, 20), 15: (0.8, 20), 17: (0.8, 20), 20: (0.5, 20),
               23: (0.6, 20), 25: (0.3, 5), 26: (0.3, 10), 45: (0.7, 30)}


def au_measures(front: np.ndarray) -> np.ndarray:
    """One distance in mm per Action Unit, (T, 17), that grows with it, from frontal landmarks (T, 468, 3)."""

    def down(*points: int) -> np.ndarray:  # mean height, y downwards
        return front[:, points, 1].mean(1)

    def apart(a: int, b: int) -> np.ndarray:
        return np.linalg.norm(front[:, a] - front[:, b], axis=1)

    eyes, corners, mouth = down(33, 133, 362, 263), down(61, 291), down(13, 14)
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
        45: -(apart(159, 145) + apart(386, 374) + apart(158, 153) + apart(385, 380)) / 4,  # eyes shut
    }
    return np.stack([measure[n] for n in AU_NUMBERS], axis=1)
