"""Figures of the generation network: how near its faces come to those that the actors themselves
make.

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

# FaceMesh: corners of the lips, and points of the outer ring
MOUTH = [61, 291, 0, 17, 37, 267, 84, 314]
# corners, lids, and the middles of the brows
EYES = [33, 133, 159, 145, 362, 263, 386, 374, 105, 334]
HAIRLINE, CHIN = 10, 152
ANGLES = ["pose_Rx", "pose_Ry", "pose_Rz"]
READ_BACK = [*ANGLES, "AU25", "AU26", "AU45"]  # AU12 hardly moves in speech, see `sweeps`
SWEPT = {"AU25": 3.0, "AU26": 4.0, "AU12": 4.0, "AU45": 5.0}  # and how far


def box_about(points: np.ndarray, size: int, margin: float = 0.3) -> tuple[slice, slice]:
    """Rows and columns of the box about points (n, 2) in px, wider by `margin` of its own size,
    inside the picture."""
    low, high = points.min(0), points.max(0)
    low, high = low - margin * (high - low), high + margin * (high - low)
    (left, top), (right, bottom) = (
        low.clip(0, size - 4).astype(int),
        high.clip(4, size).astype(int) + 1,
    )
    return slice(top, max(bottom, top + 3)), slice(left, max(right, left + 3))


def box_psnr(a: np.ndarray, b: np.ndarray, boxes: list) -> float:
    """Mean over frames of the PSNR inside each frame's box, in dB; a, b (T, S, S, 3) uint8."""
    return float(np.mean([min(psnr(x[box], y[box]), 60.0) for x, y, box in zip(a, b, boxes)]))


def detail(frames: np.ndarray, boxes: list) -> float:
    """Energy of what is finer than five pixels inside each frame's box: of each pixel the
    difference from its mean."""
    gray = torch.from_numpy(frames).float().mean(-1)[:, None] / 255  # (T, 1, S, S)
    smooth = torch.nn.functional.avg_pool2d(gray, 5, 1, 2, count_include_pad=False)
    fine = (gray - smooth).square()[:, 0].numpy()  # (T, S, S)
    return float(np.mean([x[box].mean() for x, box in zip(fine, boxes)]))


def found_by_facemesh(frames: np.ndarray) -> tuple[np.ndarray, float]:
    """Frames (T, S, S, 3) -> attributes (T, 23) as FaceMesh finds them, and the share of frames
    with a face."""
    L = landmarks(frames)
    return attributes_from_landmarks(L, frames.shape[2:0:-1]), float(np.isfinite(L[:, 0, 0]).mean())


def read_back(found: np.ndarray, Z: np.ndarray, names: list[str] = READ_BACK) -> dict[str, float]:
    """r of attributes found and given, both (T, 23), NaN where none was given."""
    out = {}
    for name in names:
        given, seen = Z[:, column(name)], found[:, column(name)]
        out[f"r of {name}"] = (
            float(np.corrcoef(seen, given)[0, 1])
            if given.std() > 0.01 and seen.std() > 0
            else np.nan
        )
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


def random_figures(
    network: GenerationNetwork, frames: torch.Tensor, Z: torch.Tensor, first: int
) -> dict[str, float]:
    """Figures of one probe, frames uint8 (T, 3, S, S): random attributes from frame `first` on,
    frame 0 is the source.

    A gain is over copying the source.
    """
    truth, source = frames[first:].permute(0, 2, 3, 1).numpy(), frames[0].permute(1, 2, 0).numpy()
    ours, copied, size = (
        render_film(network, source, Z[first:], Z[0]),
        np.broadcast_to(source, truth.shape),
        len(source),
    )
    L = landmarks(truth)
    seen = np.isfinite(L[:, 0, 0])
    if not seen.any():
        raise InputError("FaceMesh finds no face in these pictures")
    truth, ours, copied, L = truth[seen], ours[seen], copied[seen], L[seen][..., :2]
    whole, mouth = [np.s_[:, :]] * len(L), [box_about(points[MOUTH], size) for points in L]
    eyes = [box_about(points[EYES], size, 0.1) for points in L]
    # a band above the forehead, a quarter of the face high
    hair = [
        box_about(
            np.stack(
                [
                    p[HAIRLINE] + (p[HAIRLINE] - p[CHIN]) * 0.25 + [x, 0]
                    for x in (-size / 8, size / 8)
                ]
                + [p[HAIRLINE]]
            ),
            size,
            0,
        )
        for p in L
    ]
    out = {}
    for name, boxes in (("PSNR", whole), ("PSNR of the mouth", mouth)):
        out[name] = box_psnr(truth, ours, boxes)
        out[name + ", gain"] = out[name] - box_psnr(truth, copied, boxes)
    for name, boxes in (("eyes", eyes), ("hair", hair)):
        out[f"detail of {name}, ratio to truth"] = detail(ours, boxes) / detail(truth, boxes)
    out["ACD to the source"], out["ACD to the source, truth"] = (
        acd(source, ours),
        acd(source, truth),
    )
    # one picture at a time: they are no film to be followed
    for pictures, whose in ((ours, ""), (truth, ", truth")):
        found = np.concatenate([landmarks(picture[None]) for picture in pictures])
        posed = read_back(
            attributes_from_landmarks(found, (size, size)), Z[first:].numpy()[seen], ANGLES
        )
        out |= {name + whose: r for name, r in posed.items()}
    return out


def sweeps(
    network: GenerationNetwork, source: torch.Tensor, Z_src: torch.Tensor
) -> dict[str, float]:
    """One Action Unit after the other goes up and down alone: r of what was asked and what FaceMesh
    finds."""
    out, picture = {}, source.permute(1, 2, 0).numpy()  # (S, S, 3)
    for name, most in SWEPT.items():
        Z = Z_src.repeat(25, 1)
        Z[:, column(name)] = most * torch.cat([torch.linspace(0, 1, 13), torch.linspace(1, 0, 12)])
        film = render_film(network, picture, Z, Z_src)
        out |= read_back(found_by_facemesh(film)[0], Z.numpy(), [name])
    return {f"{name} alone": value for name, value in out.items()}


def speech_figures(
    network: GenerationNetwork, frames: torch.Tensor, Z: torch.Tensor
) -> dict[str, float]:
    """Figures of one film of speech, frames uint8 (T, 3, S, S): frame 0 is the source. Flicker is
    the mean change from frame to frame, as a ratio to truth's; of a still face it must be 0, and
    the source's attributes give it back."""
    truth = frames.permute(0, 2, 3, 1).numpy()
    ours, still = (
        render_film(network, truth[0], Z, Z[0]),
        render_film(network, truth[0], Z[:1].expand(16, -1), Z[0]),
    )
    score = box_psnr(truth[1:], ours[1:], [np.s_[:, :]] * (len(truth) - 1))
    change = [np.abs(np.diff(made.astype(int), axis=0)).mean() for made in (ours, truth)]
    found = [found_by_facemesh(film) for film in (ours, truth)]
    seen, ceiling = (
        read_back(attributes, Z.numpy()) | {"frames with a face": share}
        for attributes, share in found
    )
    seen |= {f"{name}, truth": value for name, value in ceiling.items()}
    pitch = np.corrcoef(*(attributes[:, column("pose_Rx")] for attributes, _ in found))[0, 1]
    return (
        {
            "PSNR": score,
            "PSNR, gain": score
            - box_psnr(
                truth[1:],
                np.broadcast_to(truth[:1], truth[1:].shape),
                [np.s_[:, :]] * (len(truth) - 1),
            ),
            "flicker, ratio to truth": change[0] / change[1],
            "flicker of a still face": float(np.abs(np.diff(still.astype(int), axis=0)).max()),
            "r of pose_Rx as found, ours and truth": float(pitch),  # FaceMesh itself errs in pitch
            "PSNR of the source given back": psnr(truth[0], still[0]),
        }
        | seen
        | sweeps(network, frames[0], Z[0])
    )


def evaluate_generator(weights: str | Path | None = None) -> dict[str, float]:
    """Figures of a generator by name, means over clips. Seen actors are measured on frames training
    never used.

    Notebook: 06_evaluation.
    """
    network = load_generator(weights) if weights else load_pretrained("generator")
    corpus, size, out = Corpus("samples"), network.config.size, {}
    for who, split, first in (("seen actors", "train", PROBE_TRAIN), ("unseen actors", "test", 1)):
        rows = [
            random_figures(network, frames, Z, first)
            for frames, Z in played(corpus.select(split=split, kind="probe"), size)
        ]
        out |= {
            f"{who}, {name}": round(float(np.mean([row[name] for row in rows])), 3)
            for name in rows[0]
        }
    rows = [
        speech_figures(network, frames, Z)
        for frames, Z in played(corpus.select(split="test", kind="speech", rendered=True), size)
    ]
    return out | {
        f"unseen actors, speech: {name}": round(float(np.nanmean([row[name] for row in rows])), 3)
        for name in rows[0]
    }
