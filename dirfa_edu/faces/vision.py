"""Faces in pictures: where they are, 468 landmarks, crops, and all that a video gives the networks.

MediaPipe's BlazeFace and FaceMesh (Apache-2.0) run through LiteRT. geometry.py turns the landmarks
into pose and AUs (good for AU 01 02 07 12 25 26 45, weak for 06 09 14 15), identity.py holds dlib's
face ResNet.

One rule cuts a face out of a picture everywhere: face box x 1.5, eyes level. A box is (centre x,
centre y, side, angle) in px and radians.

Paper: 4.1 (the paper extracts the same 23 numbers with OpenFace). Notebook: 07_your_own_face.
"""

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..animation import FPS, POSE, ROTATION, column
from ..files import InputError, data_path
from ..video import read_mp4
from .geometry import attributes_from_landmarks
from .identity import CHIP

CROP = 1.5  # side of a crop in face boxes
DETECT_SIZE = 128  # input of BlazeFace, px
MESH_SIZE = 192  # input of FaceMesh, px
N_LANDMARKS = 468
ZOOMS = (1.0, 1.7)  # the second look, from further away, finds faces that fill the picture
SAME_FACE = 0.3  # two boxes that overlap by more are one face

# the 20 mouth points of the 68-point scheme (48..67) among FaceMesh's 468
# fmt: off
MOUTH_POINTS = [
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181,  # outer lips
    78, 82, 13, 312, 308, 317, 14, 87,  # inner lips
]
# fmt: on
EYE_CORNERS = [33, 263]  # outer corners; 33 is on the left of the image
PORTRAIT_AUS = ["AU12", "AU25", "AU26", "AU45"]  # near zero in a good portrait

# Where dlib's five points lie in a face chip, in shares of the face's box, and which they are
# among the 468: outer and inner corner of the eye on the right of the image, of the one on the
# left, and the base of the nose.
CHIP_POINTS = np.array(
    [[0.8596, 0.2135], [0.6461, 0.2290], [0.1206, 0.2137], [0.3341, 0.2291], [0.4901, 0.6278]]
)
CHIP_LANDMARKS = [263, 362, 33, 133, 2]
CHIP_PADDING = 0.25  # dlib's, on each side of the box

Box = tuple[float, float, float, float]


def cut_out(image: np.ndarray, box: Box, size: int) -> np.ndarray:
    """The square `box` of a picture (H, W, 3) uint8, turned by its angle -> (size, size, 3) uint8.

    Bilinear; edges repeat; a picture that would shrink by 2 or more is averaged in blocks first, so
    nothing aliases.

    >>> cut_out(np.full((8, 8, 3), 7, np.uint8), (4, 4, 8, 0.0), 16).shape
    (16, 16, 3)
    """
    x, y, side, angle = box
    shrink = int(side / size)
    if shrink >= 2:
        image, left, top = _blocks_about(image, x, y, side, shrink)
        x, y, side = (x - left) / shrink, (y - top) / shrink, side / shrink

    H, W = image.shape[:2]
    # of each pixel of the cut: px from its centre, then its place in the picture
    step = ((np.arange(size) + 0.5) / size - 0.5).astype(np.float32) * side
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    u = (x - 0.5 + cos * step[None, :] - sin * step[:, None]).clip(0, W - 1)  # (size, size) columns
    v = (y - 0.5 + sin * step[None, :] + cos * step[:, None]).clip(0, H - 1)  # (size, size) rows

    # between the four pixels around it
    i = v.astype(np.int32).clip(0, max(H - 2, 0))
    j = u.astype(np.int32).clip(0, max(W - 2, 0))
    below, right = (i + 1).clip(0, H - 1), (j + 1).clip(0, W - 1)
    down = (v - i)[..., None].astype(np.float32)  # (size, size, 1)
    across = (u - j)[..., None].astype(np.float32)
    upper = image[i, j] * (1 - across) + image[i, right] * across
    lower = image[below, j] * (1 - across) + image[below, right] * across
    return (upper * (1 - down) + lower * down + 0.5).astype(np.uint8)


def _blocks_about(
    image: np.ndarray, x: float, y: float, side: float, shrink: int
) -> tuple[np.ndarray, int, int]:
    """What a box about (x, y) can reach, averaged in blocks of `shrink` px; its left and top."""
    H, W = image.shape[:2]
    reach = int(1.5 * side) + 2 * shrink
    left = max(0, min(int(x - 0.75 * side), W - shrink))
    top = max(0, min(int(y - 0.75 * side), H - shrink))
    part = image[top : top + reach, left : left + reach]

    rows, columns = (n // shrink for n in part.shape[:2])  # whole blocks only
    part = part[: rows * shrink, : columns * shrink]
    blocks = part.reshape(rows, shrink, columns, shrink, 3)
    return blocks.mean((1, 3), dtype=np.float32), left, top  # (rows, columns, 3)


@lru_cache(maxsize=2)
def _network(name: str) -> Callable[[np.ndarray], list[np.ndarray]]:
    """A vendored tflite file as a function: (1, S, S, 3) float32 -> list of arrays."""
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


@lru_cache(maxsize=1)
def _anchors() -> np.ndarray:
    """BlazeFace's 896 anchors in 0..1: 2 on each cell of a 16 x 16 grid, 6 on each of 8 x 8."""
    grids = []
    for cells, copies in ((16, 2), (8, 6)):
        centres = (np.arange(cells) + 0.5) / cells
        grid = np.stack(np.meshgrid(centres, centres), -1).reshape(-1, 2)  # (cells * cells, 2)
        grids.append(np.repeat(grid, copies, axis=0))
    return np.concatenate(grids)  # (896, 2)


def find_faces(image: np.ndarray, threshold: float = 0.5) -> list[dict[str, Any]]:
    """Every face in a picture (H, W, 3) uint8, largest first.

    Each is a dict: box (x0, y0, x1, y1) and keypoints (6, 2) in px (eyes, nose, mouth, ears), score
    0..1. Raises InputError for something that is not an RGB picture. Notebook: 07_your_own_face.
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise InputError(f"a picture is (height, width, 3) uint8, not {image.shape} {image.dtype}")

    H, W = image.shape[:2]
    for zoom in ZOOMS:
        side = max(H, W) * zoom
        small = cut_out(image, (W / 2, H / 2, side, 0.0), DETECT_SIZE)
        faces: list[dict[str, Any]] = []
        for places, score in _detected(small, threshold):
            places = (places - 0.5) * side + (W / 2, H / 2)  # (8, 2) px in the picture
            box = places[:2].ravel()
            if all(_overlap(box, face["box"]) < SAME_FACE for face in faces):
                faces.append({"box": box, "keypoints": places[2:], "score": score})
        if faces:
            return sorted(faces, key=lambda face: face["box"][0] - face["box"][2])
    return []


def _detected(small: np.ndarray, threshold: float) -> list[tuple[np.ndarray, float]]:
    """BlazeFace's findings in a picture (128, 128, 3), surest first: places (8, 2) in 0..1, score.

    The first two places are the corners of the box, the others the six key points.
    """
    run = _network("face_detection_short_range")
    regression, logit = run(small[None].astype(np.float32) / 127.5 - 1)
    score = 1 / (1 + np.exp(-logit[0, :, 0].clip(-50, 50)))  # (896,)
    found = []
    for i in np.argsort(-score):
        if score[i] < threshold:
            break
        # in network pixels from the anchor: centre, width and height, six key points
        dx, dy, width, height = regression[0, i, :4]
        points = regression[0, i, 4:].reshape(6, 2)
        corners = [(dx - width / 2, dy - height / 2), (dx + width / 2, dy + height / 2)]
        places = np.concatenate([corners, points]) / DETECT_SIZE + _anchors()[i]
        found.append((places, float(score[i])))
    return found


def find_face(image: np.ndarray) -> dict[str, Any] | None:
    """The largest face in a picture (H, W, 3) uint8, as find_faces gives it, or None."""
    faces = find_faces(image)
    return faces[0] if faces else None


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes (x0, y0, x1, y1)."""
    common = (np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])).clip(0).prod()
    area_a = (a[2:] - a[:2]).prod()
    area_b = (b[2:] - b[:2]).prod()
    return float(common / (area_a + area_b - common))


def _turn(angle: float) -> np.ndarray:
    """Rotation by an angle in the picture (2, 2), clockwise as y points down."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])


def crop_box(points: np.ndarray) -> Box:
    """The crop rule: landmarks (468, 2 or 3) px of one face -> box x 1.5 with the eyes level."""
    left, right = points[EYE_CORNERS, :2]
    across = right - left
    angle = float(np.arctan2(across[1], across[0]))
    level = points[:, :2] @ _turn(angle)  # the same points with the eyes level
    low, high = level.min(0), level.max(0)
    x, y = _turn(angle) @ ((low + high) / 2)
    return float(x), float(y), float((high - low).max() * CROP), angle


def landmarks(frames: np.ndarray) -> np.ndarray:
    """FaceMesh on a clip (T, H, W, 3) uint8 -> float32 (T, 468, 3): x, y and relative depth in px.

    Rows of frames without a face are NaN. Each frame is cropped by the landmarks of the frame
    before it; a detector starts the track, and again after a loss. Small frames are enlarged by the
    crop. Of several faces the largest is followed. Raises InputError for anything but RGB frames.
    Notebook: 07_your_own_face.
    """
    frames = np.asarray(frames)
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
        raise InputError(
            f"a clip is (frames, height, width, 3) uint8, not {frames.shape} {frames.dtype}"
        )

    out = np.full((len(frames), N_LANDMARKS, 3), np.nan, np.float32)
    box: Box | None = None
    for t, frame in enumerate(frames):
        if box is not None:
            out[t], box = _mesh(frame, box)
        if box is None:  # at the start, or just lost
            out[t], box = _start(frame)
    return out


def _start(frame: np.ndarray) -> tuple[np.ndarray, Box | None]:
    """Landmarks of the largest face that the detector finds, and the next frame's box."""
    face = find_face(frame)
    if face is None:
        return _nothing(), None

    x0, y0, x1, y1 = face["box"]
    one_eye, other_eye = face["keypoints"][:2]
    across = other_eye - one_eye
    angle = float(np.arctan2(across[1], across[0]))
    points, box = _mesh(frame, ((x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) * CROP, angle))
    if box is None:
        return points, None
    # once more from its own landmarks, as every later frame is
    return _mesh(frame, box)


def _mesh(frame: np.ndarray, box: Box) -> tuple[np.ndarray, Box | None]:
    """One run of FaceMesh in a box: landmarks (468, 3) px, the next frame's box; or NaN, None."""
    x, y, side, angle = box
    crop = cut_out(frame, box, MESH_SIZE).astype(np.float32) / 255
    points, logit = _network("face_landmark")(crop[None])
    if logit.item() < 0:  # the network says: no face in this crop
        return _nothing(), None

    # px of the crop -> px from its centre in the picture -> px of the picture
    middle = [MESH_SIZE / 2, MESH_SIZE / 2, 0]
    points = (points.reshape(N_LANDMARKS, 3) - middle) * side / MESH_SIZE
    points[:, :2] = points[:, :2] @ _turn(angle).T + (x, y)
    return points.astype(np.float32), crop_box(points)


def _nothing() -> np.ndarray:
    """Landmarks of a frame without a face."""
    return np.full((N_LANDMARKS, 3), np.nan, np.float32)


def crop_frames(
    frames: np.ndarray, L: np.ndarray, size: int = 128, still: bool = True
) -> np.ndarray:
    """Cut the face out of a clip -> (T, size, size, 3) uint8: box x 1.5, eyes level.

    `still`: one box (the clip's median) for all frames, so that head motion stays in the picture;
    otherwise a box per frame. Frames without landmarks use the nearest frame's box.
    """
    if still:
        boxes = [crop_box(np.nanmedian(L, axis=0))] * len(frames)
    else:
        good = np.where(np.isfinite(L[:, 0, 0]))[0]
        nearest = [good[np.abs(good - t).argmin()] for t in range(len(frames))]
        boxes = [crop_box(L[t]) for t in nearest]
    return np.stack([cut_out(frame, box, size) for frame, box in zip(frames, boxes)])


def extract(video: str | Path, size: int = 128) -> dict[str, Any]:
    """Measure a video of one face -> dict with everything the networks need, at 25 fps.

    animation (T, 23), relative pose; valid (T,) bool, a face was seen; pose_offset (6,), the clip's
    neutral pose; frames (T, size, size, 3) uint8, one still crop; portrait (256, 256, 3) uint8, the
    most neutral frame; wave (N,) 16 kHz or None.

    Raises InputError for no face, a face in less than half of the frames, or two faces of like size
    (smaller ones in the background are ignored). Paper: 4.1. Notebook: 07_your_own_face.
    """
    frames, fps, wave = read_mp4(video)
    _check_one_face(frames, fps, video)
    L = landmarks(frames)
    seen = np.isfinite(L[:, 0, 0])
    if not seen.any():
        raise InputError(f"no face found in {video}: film one face, from the front, in good light")
    if seen.mean() < 0.5:
        raise InputError(
            f"a face was found in only {seen.sum()} of {len(seen)} frames of {video}: "
            "film it nearer"
        )
    height, width = frames.shape[1:3]
    absolute = attributes_from_landmarks(L, (width, height), absolute=True)

    # 25 fps: numbers are interpolated at the middles of the new frames, pictures are the nearest
    T = max(1, round(len(frames) * FPS / fps))
    middles = (np.arange(T) + 0.5) * fps / FPS - 0.5  # in old frames
    nearest = middles.round().astype(int).clip(0, len(frames) - 1)
    old = np.arange(len(frames))
    Y = np.stack([np.interp(middles, old, track) for track in absolute.T], axis=1)  # (T, 23)
    offset = np.median(Y[seen[nearest]][:, POSE], axis=0)
    Y[:, POSE] -= offset

    calmest = _calmest(absolute, seen)
    return {
        "animation": Y.astype(np.float32),
        "valid": seen[nearest],
        "pose_offset": offset,
        "portrait": cut_out(frames[calmest], crop_box(L[calmest]), 256),
        "frames": crop_frames(frames[nearest], L[nearest], size),
        "wave": wave,
    }


def _check_one_face(frames: np.ndarray, fps: float, video: str | Path) -> None:
    """Raise InputError where one of five frames shows a second face of like size."""
    for t in np.linspace(0, len(frames) - 1, 5).astype(int):
        boxes = [face["box"] for face in find_faces(frames[t])]
        areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in boxes]
        if len(areas) > 1 and areas[1] > 0.5 * areas[0]:
            raise InputError(
                f"{video} shows {len(areas)} faces at {t / fps:.1f} s: cut it so that one is left"
            )


def _calmest(absolute: np.ndarray, seen: np.ndarray) -> int:
    """The frame for a portrait: it looks ahead, lips closed, eyes open.

    A tenth of a radian counts as one AU step.
    """
    turned = 10 * np.abs(absolute[:, ROTATION]).max(1)
    busy = turned + absolute[:, [column(au) for au in PORTRAIT_AUS]].sum(1)
    return int(np.where(seen, busy, np.inf).argmin())


def face_chips(frames: np.ndarray, L: np.ndarray) -> torch.Tensor:
    """Faces aligned for the face ResNet -> (T', 3, 150, 150) in 0..1.

    frames (T, H, W, 3) uint8, landmarks (T, 468, 3); frames without a face are left out. Raises
    InputError where none is left.
    """
    chips = [
        cut_out(frame, chip_box(points), CHIP)
        for frame, points in zip(frames, L)
        if np.isfinite(points).all()
    ]
    if not chips:
        raise InputError("no frame shows a face, so there is no identity to measure")
    return torch.from_numpy(np.stack(chips)).permute(0, 3, 1, 2).float() / 255  # (T', 3, 150, 150)


def chip_box(points: np.ndarray) -> Box:
    """The box that lays five of the landmarks (468, 3) where dlib's chips have them.

    Least squares; points are complex numbers x + iy, so that a turn and a scale are one factor.
    """
    target = (CHIP_POINTS + CHIP_PADDING) / (1 + 2 * CHIP_PADDING) - 0.5  # from the chip's centre
    found = points[CHIP_LANDMARKS, :2].astype(np.float64)
    a = (target - target.mean(0)) @ [1, 1j]
    b = (found - found.mean(0)) @ [1, 1j]
    similarity = (a.conj() @ b) / (a.conj() @ a).real
    centre = found.mean(0) @ [1, 1j] - similarity * (target.mean(0) @ [1, 1j])
    return centre.real, centre.imag, abs(similarity), float(np.angle(similarity))
