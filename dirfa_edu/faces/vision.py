"""Faces in pictures: where they are, 468 landmarks, head pose, Action Units, identity.

MediaPipe's BlazeFace and FaceMesh (Apache-2.0) run through LiteRT. geometry.py turns the landmarks
into pose and AUs (good for AU 01 02 07 12 25 26 45, weak for 06 09 14 15), identity.py holds dlib's
face ResNet, which is importable from here.

One rule cuts a face out of a picture everywhere: face box x 1.5, eyes level. A box is (centre x,
centre y, side, angle) in px and radians.

Paper: 4.1 (the paper extracts the same 23 numbers with OpenFace). Notebook: 07_your_own_face.
"""

import os
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from ..animation import FPS, POSE, column
from ..files import InputError, data_path
from ..video import read_mp4
from .geometry import attributes_from_landmarks
from .identity import CHIP, FaceResNet, load_face_resnet  # noqa: F401

CROP = 1.5  # side of a crop in face boxes
MESH_SIZE, DETECT_SIZE = 192, 128  # input sizes of the two networks, px
# the 20 mouth points of the 68-point scheme (48..67) among FaceMesh's 468
MOUTH = [61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87]
PORTRAIT_AUS = ["AU12", "AU25", "AU26", "AU45"]  # near zero in a good portrait
EYE_CORNERS = [33, 263]  # outer corners; 33 is on the left of the image

Box = tuple[float, float, float, float]


def warp(image: np.ndarray, box: Box, size: int) -> np.ndarray:
    """Cut the square `box` out of a picture (H, W, 3) uint8, turned by its angle -> (size, size, 3)
    uint8.

    Bilinear; edges repeat; a picture that would shrink by 2 or more is averaged in blocks first, so
    nothing aliases.

    >>> warp(np.full((8, 8, 3), 7, np.uint8), (4, 4, 8, 0.0), 16).shape
    (16, 16, 3)
    """
    x, y, side, angle = box
    shrink = int(side / size)
    if shrink >= 2:
        # only the part the box can reach, in whole blocks
        reach, (H, W) = int(1.5 * side) + 2 * shrink, image.shape[:2]
        left = max(0, min(int(x - 0.75 * side), W - shrink))
        top = max(0, min(int(y - 0.75 * side), H - shrink))
        image = image[top : top + reach, left : left + reach]
        H, W = (n // shrink * shrink for n in image.shape[:2])
        image = (
            image[:H, :W]
            .reshape(H // shrink, shrink, W // shrink, shrink, 3)
            .mean((1, 3), dtype=np.float32)
        )
        x, y, side = (x - left) / shrink, (y - top) / shrink, side / shrink
    H, W = image.shape[:2]
    step = ((np.arange(size) + 0.5) / size - 0.5).astype(np.float32) * side  # px from the centre
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    # (size, size) columns in the picture
    u = (x - 0.5 + cos * step[None, :] - sin * step[:, None]).clip(0, W - 1)
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


@lru_cache(maxsize=1)
def _anchors() -> np.ndarray:
    """BlazeFace's 896 anchor centres in 0..1: 2 on each cell of a 16 x 16 grid, 6 on each of 8 x 8."""
    grids = []
    for cells, copies in ((16, 2), (8, 6)):
        centres = (np.arange(cells) + 0.5) / cells
        grids.append(
            np.repeat(np.stack(np.meshgrid(centres, centres), -1).reshape(-1, 2), copies, axis=0)
        )
    return np.concatenate(grids)  # (896, 2)


def find_faces(image: np.ndarray, threshold: float = 0.5) -> list[dict]:
    """Find every face in a picture (H, W, 3) uint8, largest first.

    Each is a dict: box (x0, y0, x1, y1) and keypoints (6, 2) in px (eyes, nose, mouth, ears), score
    0..1.
    Raises InputError for something that is not an RGB picture. Notebook: 07_your_own_face.
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise InputError(f"a picture is (height, width, 3) uint8, not {image.shape} {image.dtype}")
    (H, W), anchors = image.shape[:2], _anchors()
    # the second look, from further away, finds faces that fill the picture
    for zoom in (1.0, 1.7):
        side = max(H, W) * zoom
        small = warp(image, (W / 2, H / 2, side, 0.0), DETECT_SIZE)
        regression, logit = _network("face_detection_short_range")(
            small[None].astype(np.float32) / 127.5 - 1
        )
        score = 1 / (1 + np.exp(-logit[0, :, 0].clip(-50, 50)))
        faces = []
        for i in np.argsort(-score):
            if score[i] < threshold:
                break
            # per anchor: centre, width and height, six key points, in network pixels from the
            # anchor's centre
            (dx, dy, width, height), points = (
                regression[0, i, :4],
                regression[0, i, 4:].reshape(6, 2),
            )
            corners = [(dx - width / 2, dy - height / 2), (dx + width / 2, dy + height / 2)]
            places = np.concatenate([corners, points]) / DETECT_SIZE + anchors[i]
            places = (places - 0.5) * side + (W / 2, H / 2)  # (8, 2) px in the picture
            box = places[:2].ravel()
            if all(_overlap(box, face["box"]) < 0.3 for face in faces):
                faces.append({"box": box, "keypoints": places[2:], "score": float(score[i])})
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
    """One run of FaceMesh in a box -> landmarks (468, 3) px and the next frame's box, or NaN and
    None."""
    x, y, side, angle = box
    crop = warp(frame, box, MESH_SIZE).astype(np.float32) / 255
    points, logit = _network("face_landmark")(crop[None])
    if logit.item() < 0:  # the network says: no face in this crop
        return np.full((468, 3), np.nan, np.float32), None
    points = (points.reshape(468, 3) - [MESH_SIZE / 2, MESH_SIZE / 2, 0]) * side / MESH_SIZE
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points[:, :2] = points[:, :2] @ turn.T + (x, y)
    return points.astype(np.float32), crop_box(points)


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
        boxes = [crop_box(L[good[np.abs(good - t).argmin()]]) for t in range(len(frames))]
    return np.stack([warp(frame, box, size) for frame, box in zip(frames, boxes)])


def extract(video: str | Path, size: int = 128) -> dict:
    """Measure a video of one face -> dict with everything the networks need, at 25 fps.

    animation (T, 23), relative pose; valid (T,) bool, a face was seen; pose_offset (6,), the clip's
    neutral pose; frames (T, size, size, 3) uint8, one still crop; portrait (256, 256, 3) uint8, the
    most neutral frame; wave (N,) 16 kHz or None. Raises InputError for no face, a face in less than
    half of the frames, or two faces of like size (smaller ones in the background are ignored).
    Paper: 4.1. Notebook: 07_your_own_face.
    """
    frames, fps, wave = read_mp4(video)
    for t in np.linspace(0, len(frames) - 1, 5).astype(int):
        areas = [
            (x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (f["box"] for f in find_faces(frames[t]))
        ]
        if len(areas) > 1 and areas[1] > 0.5 * areas[0]:
            raise InputError(
                f"{video} shows {len(areas)} faces at {t / fps:.1f} s: cut it so that one is left"
            )
    L = landmarks(frames)
    seen = np.isfinite(L[:, 0, 0])
    if not seen.any():
        raise InputError(f"no face found in {video}: film one face, from the front, in good light")
    if seen.mean() < 0.5:
        raise InputError(
            f"a face was found in only {seen.sum()} of {len(seen)} frames of {video}: film it nearer"
        )
    absolute = attributes_from_landmarks(L, frames.shape[2:0:-1], absolute=True)

    # 25 fps: numbers are interpolated at the middles of the new frames, pictures are the nearest
    # ones
    T = max(1, round(len(frames) * FPS / fps))
    middles = (np.arange(T) + 0.5) * fps / FPS - 0.5  # in old frames
    nearest = middles.round().astype(int).clip(0, len(frames) - 1)
    Y = np.stack(
        [np.interp(middles, np.arange(len(frames)), column) for column in absolute.T], axis=1
    )
    offset = np.median(Y[seen[nearest]][:, POSE], axis=0)
    Y[:, POSE] -= offset
    # a portrait looks ahead, lips closed, eyes open; a tenth of a radian counts as one AU step
    busy = 10 * np.abs(absolute[:, POSE[:3]]).max(1) + absolute[
        :, [column(au) for au in PORTRAIT_AUS]
    ].sum(1)
    calmest = np.where(seen, busy, np.inf).argmin()
    return {
        "animation": Y.astype(np.float32),
        "valid": seen[nearest],
        "pose_offset": offset,
        "portrait": warp(frames[calmest], crop_box(L[calmest]), 256),
        "frames": crop_frames(frames[nearest], L[nearest], size),
        "wave": wave,
    }


# where dlib's five points (outer and inner corners of both eyes, base of the nose) lie in a face
# chip, and who they are
CHIP_POINTS = np.array(
    [[0.8596, 0.2135], [0.6461, 0.2290], [0.1206, 0.2137], [0.3341, 0.2291], [0.4901, 0.6278]]
)
CHIP_INDEX = [263, 362, 33, 133, 2]


def face_chips(frames: np.ndarray, L: np.ndarray) -> torch.Tensor:
    """Faces aligned for the face ResNet: frames (T, H, W, 3) uint8, landmarks (T, 468, 3) -> (T, 3,
    150, 150) in 0..1.

    Frames without a face are left out. Raises InputError where none is left.
    """
    target = (
        CHIP_POINTS + 0.25
    ) / 1.5 - 0.5  # dlib's padding; relative to the chip's centre, in chips
    middle = target.mean(0)
    chips = []
    for frame, points in zip(frames, L):
        if not np.isfinite(points).all():
            continue
        found = points[CHIP_INDEX, :2].astype(np.float64)
        a, b = (target - middle) @ [1, 1j], (found - found.mean(0)) @ [1, 1j]
        # least squares: turn and scale as one complex number
        similarity = (a.conj() @ b) / (a.conj() @ a).real
        centre = found.mean(0) @ [1, 1j] - similarity * (middle @ [1, 1j])
        box = (centre.real, centre.imag, abs(similarity), float(np.angle(similarity)))
        chips.append(warp(frame, box, CHIP))
    if not chips:
        raise InputError("no frame shows a face, so there is no identity to measure")
    return torch.from_numpy(np.stack(chips)).permute(0, 3, 1, 2).float() / 255  # (T, 3, 150, 150)
