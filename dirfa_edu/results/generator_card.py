"""Figures of the generation network: how near its faces come to those that the actors make.

Truth is the actor's own rendering of the same attributes, without the losses of a video file. Faces
are read back by FaceMesh, which knows nothing of either network; what it reads from the truth is
the ceiling, and stands beside each figure.

Notebook: 06_evaluation.
"""

from pathlib import Path

import numpy as np
import torch

from ..actors.actor import Actor
from ..animation import column
from ..data.corpus import PROBE_TRAIN, Corpus
from ..examples import read_footage
from ..faces.geometry import attributes_from_landmarks
from ..faces.vision import landmarks
from ..files import InputError
from ..generator import GenerationNetwork, load_generator
from ..metrics import acd, psnr
from ..talk import render_film
from ..training import load_pretrained

# points of FaceMesh: corners of the lips, and points of their outer ring
MOUTH_POINTS = [61, 291, 0, 17, 37, 267, 84, 314]
# corners and lids of the eyes, and the middles of the brows
EYE_POINTS = [33, 133, 159, 145, 362, 263, 386, 374, 105, 334]
HAIRLINE, CHIN = 10, 152

ANGLES = ["pose_Rx", "pose_Ry", "pose_Rz"]
READ_BACK = [*ANGLES, "AU25", "AU26", "AU45"]  # AU12 hardly moves in speech, see `sweeps`
SWEPT = {"AU25": 3.0, "AU26": 4.0, "AU12": 4.0, "AU45": 5.0}  # and how far

Region = tuple[slice, slice]  # rows and columns of a picture
WHOLE: Region = np.s_[:, :]

# ---- parts of a face -----------------------------------------------------------------------------


def box_about(points: np.ndarray, size: int, margin: float = 0.3) -> Region:
    """The box about points (n, 2) in px, wider by `margin` of its own size, inside the picture."""
    low, high = points.min(0), points.max(0)
    wider = margin * (high - low)
    left, top = (low - wider).clip(0, size - 4).astype(int)
    right, bottom = (high + wider).clip(4, size).astype(int) + 1
    return slice(top, max(bottom, top + 3)), slice(left, max(right, left + 3))


def hair_box(points: np.ndarray, size: int) -> Region:
    """A band above the forehead, a quarter of the face high; landmarks (468, 2) in px."""
    hairline = points[HAIRLINE]
    above = hairline + 0.25 * (hairline - points[CHIN])
    left, right = above - [size / 8, 0], above + [size / 8, 0]
    return box_about(np.stack([left, right, hairline]), size, margin=0)


def box_psnr(a: np.ndarray, b: np.ndarray, boxes: list[Region]) -> float:
    """Mean over frames of the PSNR inside each frame's box, in dB; a, b (T, S, S, 3) uint8."""
    return float(np.mean([min(psnr(x[box], y[box]), 60.0) for x, y, box in zip(a, b, boxes)]))


def detail(frames: np.ndarray, boxes: list[Region]) -> float:
    """Energy of what is finer than five pixels inside each frame's box."""
    gray = torch.from_numpy(frames).float().mean(-1)[:, None] / 255  # (T, 1, S, S)
    smooth = torch.nn.functional.avg_pool2d(gray, 5, 1, 2, count_include_pad=False)
    # each pixel's difference from the mean about it
    fine = (gray - smooth).square()[:, 0].numpy()  # (T, S, S)
    return float(np.mean([x[box].mean() for x, box in zip(fine, boxes)]))


# ---- reading pictures back -----------------------------------------------------------------------


def found_by_facemesh(frames: np.ndarray) -> tuple[np.ndarray, float]:
    """Frames (T, S, S, 3) -> attributes (T, 23) as FaceMesh finds them, share that shows a face."""
    L = landmarks(frames)
    height, width = frames.shape[1:3]
    with_face = np.isfinite(L[:, 0, 0])
    return attributes_from_landmarks(L, (width, height)), float(with_face.mean())


def read_back(found: np.ndarray, Z: np.ndarray, names: list[str] = READ_BACK) -> dict[str, float]:
    """r of attributes found and given, both (T, 23), NaN where none was given."""
    out = {}
    for name in names:
        given, seen = Z[:, column(name)], found[:, column(name)]
        moves = given.std() > 0.01 and seen.std() > 0
        out[f"r of {name}"] = float(np.corrcoef(seen, given)[0, 1]) if moves else np.nan
    return out


def played(clips: list, size: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """[(frames uint8 (T, 3, S, S), attributes (T, 23))] of clips, each frame drawn by its actor."""
    out = []
    for clip in clips:
        Z = read_footage(clip, size).Z
        actor = Actor(clip.actor)
        frames = np.stack([actor.render(z, size) for z in Z.double().numpy()])  # (T, S, S, 3)
        out.append((torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous(), Z))
    return out


# ---- figures of one clip -------------------------------------------------------------------------


def random_figures(
    network: GenerationNetwork, frames: torch.Tensor, Z: torch.Tensor, first: int
) -> dict[str, float]:
    """Figures of one probe: its attributes are random, its frame 0 is the source.

    Frames are uint8 (T, 3, S, S), measured from frame `first` on. A gain is over copying the
    source. Raises InputError where no face is found.
    """
    truth = frames[first:].permute(0, 2, 3, 1).numpy()  # (T, S, S, 3)
    source = frames[0].permute(1, 2, 0).numpy()  # (S, S, 3)
    ours = render_film(network, source, Z[first:], Z[0])
    copied = np.broadcast_to(source, truth.shape)

    L = landmarks(truth)
    seen = np.isfinite(L[:, 0, 0])
    if not seen.any():
        raise InputError("FaceMesh finds no face in these pictures")
    truth, ours, copied = truth[seen], ours[seen], copied[seen]
    points = L[seen][..., :2]  # (T, 468, 2)

    figures = quality_figures(truth, ours, copied, points)
    figures["ACD to the source"] = acd(source, ours)
    figures["ACD to the source, truth"] = acd(source, truth)
    asked = Z[first:].numpy()[seen]
    figures |= pose_figures(ours, asked)
    figures |= {f"{name}, truth": r for name, r in pose_figures(truth, asked).items()}
    return figures


def quality_figures(
    truth: np.ndarray, ours: np.ndarray, copied: np.ndarray, points: np.ndarray
) -> dict[str, float]:
    """PSNR of the whole and of the mouth, gain over a copy, and detail of eyes and hair.

    Pictures are (T, S, S, 3), the landmarks of the truth (T, 468, 2) in px.
    """
    size = truth.shape[1]
    whole = [WHOLE] * len(points)
    mouth = [box_about(face[MOUTH_POINTS], size) for face in points]
    eyes = [box_about(face[EYE_POINTS], size, margin=0.1) for face in points]
    hair = [hair_box(face, size) for face in points]

    figures = {}
    for name, boxes in (("PSNR", whole), ("PSNR of the mouth", mouth)):
        figures[name] = box_psnr(truth, ours, boxes)
        figures[f"{name}, gain"] = figures[name] - box_psnr(truth, copied, boxes)
    for name, boxes in (("eyes", eyes), ("hair", hair)):
        ratio = detail(ours, boxes) / detail(truth, boxes)
        figures[f"detail of {name}, ratio to truth"] = ratio
    return figures


def pose_figures(pictures: np.ndarray, Z: np.ndarray) -> dict[str, float]:
    """r of the head's angles found in pictures (T, S, S, 3) and given in Z (T, 23)."""
    size = pictures.shape[1]
    # one picture at a time: they are no film to be followed
    L = np.concatenate([landmarks(picture[None]) for picture in pictures])  # (T, 468, 3)
    return read_back(attributes_from_landmarks(L, (size, size)), Z, ANGLES)


def sweeps(
    network: GenerationNetwork, source: torch.Tensor, Z_src: torch.Tensor
) -> dict[str, float]:
    """One Action Unit after the other goes up and down alone: r of what is asked and found."""
    up_and_down = torch.cat([torch.linspace(0, 1, 13), torch.linspace(1, 0, 12)])  # (25,)
    picture = source.permute(1, 2, 0).numpy()  # (S, S, 3)
    out = {}
    for name, most in SWEPT.items():
        Z = Z_src.repeat(25, 1)  # (25, 23)
        Z[:, column(name)] = most * up_and_down
        found, _ = found_by_facemesh(render_film(network, picture, Z, Z_src))
        out |= read_back(found, Z.numpy(), [name])
    return {f"{name} alone": r for name, r in out.items()}


def speech_figures(
    network: GenerationNetwork, frames: torch.Tensor, Z: torch.Tensor
) -> dict[str, float]:
    """Figures of one film of speech, frames uint8 (T, 3, S, S): frame 0 is the source.

    Flicker is the mean change from frame to frame, as a ratio to truth's; of a still face it must
    be 0, and the source's attributes give it back.
    """
    truth = frames.permute(0, 2, 3, 1).numpy()  # (T, S, S, 3)
    copied = np.broadcast_to(truth[:1], truth.shape)
    ours = render_film(network, truth[0], Z, Z[0])
    still = render_film(network, truth[0], Z[:1].expand(16, -1), Z[0])

    whole = [WHOLE] * (len(truth) - 1)  # frame 0 is known
    score = box_psnr(truth[1:], ours[1:], whole)
    found, share = found_by_facemesh(ours)
    found_in_truth, share_of_truth = found_by_facemesh(truth)
    seen = read_back(found, Z.numpy()) | {"frames with a face": share}
    ceiling = read_back(found_in_truth, Z.numpy()) | {"frames with a face": share_of_truth}
    pitch = column("pose_Rx")
    agreement = np.corrcoef(found[:, pitch], found_in_truth[:, pitch])[0, 1]

    figures = {
        "PSNR": score,
        "PSNR, gain": score - box_psnr(truth[1:], copied[1:], whole),
        "flicker, ratio to truth": change(ours).mean() / change(truth).mean(),
        "flicker of a still face": float(change(still).max()),
        "r of pose_Rx as found, ours and truth": float(agreement),  # FaceMesh errs in pitch
        "PSNR of the source given back": psnr(truth[0], still[0]),
    }
    figures |= seen
    figures |= {f"{name}, truth": value for name, value in ceiling.items()}
    return figures | sweeps(network, frames[0], Z[0])


def change(film: np.ndarray) -> np.ndarray:
    """By how many grey levels each pixel changes from frame to frame; film (T, S, S, 3) uint8."""
    return np.abs(np.diff(film.astype(int), axis=0))


# ---- the whole card ------------------------------------------------------------------------------


def evaluate_generator(weights: str | Path | None = None) -> dict[str, float]:
    """Figures of a generator by name, means over clips; the shipped one without weights.

    Seen actors are measured on frames that training never used. Notebook: 06_evaluation.
    """
    network = load_generator(weights) if weights else load_pretrained("generator")
    corpus, size = Corpus("samples"), network.config.size

    figures = {}
    for who, split, first in (("seen actors", "train", PROBE_TRAIN), ("unseen actors", "test", 1)):
        probes = played(corpus.select(split=split, kind="probe"), size)
        rows = [random_figures(network, frames, Z, first) for frames, Z in probes]
        for name in rows[0]:
            figures[f"{who}, {name}"] = np.mean([row[name] for row in rows])

    films = played(corpus.select(split="test", kind="speech", rendered=True), size)
    rows = [speech_figures(network, frames, Z) for frames, Z in films]
    for name in rows[0]:
        # an attribute that a clip never moves has no r there
        figures[f"unseen actors, speech: {name}"] = np.nanmean([row[name] for row in rows])
    return {name: round(float(value), 3) for name, value in figures.items()}
