"""A small SyncNet: does this mouth say this sound, and how many frames apart are they?

Two encoders bring 5 video frames (a grey mouth of 48 px) and the 0.2 s of audio about the middle
one (20 mel frames x 20 mels, exactly one row of `audio.frame_features`) to unit vectors; what
belongs together lies close. Distances over shifts of -15..15 frames give SyncNet's two figures:
offset = 15 - argmin, confidence = median - min.

Published SyncNet weights may not be shipped, so this one is trained on the project's own clips: its
figures compare clips with each other, not with the paper's S_conf. Other mouths than those rendered
here are new to it.

Paper: 4.3 (S_conf, S_off). Notebook: 06_evaluation.
"""

import time
from functools import lru_cache
from pathlib import Path
from typing import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..audio import frame_features
from ..files import InputError, data_path, load_tensors, save_tensors

MOUTH_SIZE = 48
VIDEO_WINDOW = 5
SHIFTS = 15
MOUTH_MM = 90.0  # side of the mouth crop on the canonical face


class SyncNet(nn.Module):
    """Mouth windows (B, 5, 48, 48) and audio windows (B, 20, 20) -> unit vectors (B, 64) each.
    Paper: 4.3."""

    def __init__(self, width: int = 32, dim: int = 64) -> None:
        super().__init__()

        def step(n_in: int, n_out: int, stride: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()
            )

        w = width
        self.video_encoder = nn.Sequential(
            # 48 -> 3
            step(VIDEO_WINDOW, w, 2),
            step(w, 2 * w, 2),
            step(2 * w, 3 * w, 2),
            step(3 * w, 4 * w, 2),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(4 * w * 9, dim),
        )
        self.audio_encoder = nn.Sequential(
            # 20 -> 3
            step(1, w, 1),
            step(w, 2 * w, 2),
            step(2 * w, 3 * w, 2),
            step(3 * w, 4 * w, 2),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(4 * w * 9, dim),
        )
        self.temperature = nn.Parameter(torch.tensor(2.5))

    def video(self, windows: Tensor) -> Tensor:
        """(B, 5, 48, 48) grey, about zero mean -> (B, 64) of length 1."""
        return F.normalize(self.video_encoder(windows), dim=1)

    def audio(self, windows: Tensor) -> Tensor:
        """(B, 400), rows of frame_features -> (B, 64) of length 1."""
        return F.normalize(self.audio_encoder(windows.view(-1, 1, 20, 20) * 2 - 1), dim=1)


def mouth_crops(frames: np.ndarray, L: np.ndarray | None = None) -> np.ndarray:
    """Grey mouths of a clip (T, H, W, 3) uint8 -> (T, 48, 48) uint8.

    The crop is fixed to the skull (pose fit), not to the lips, so an opening jaw moves in it; its
    rotation follows the head's. `L` are landmarks (T, 468, 3), found here where not given. Frames
    without a face borrow the nearest one's.
    Raises InputError where no frame shows a face.
    """
    from .geometry import align, canonical_face
    from .vision import MOUTH, landmarks, warp

    L = landmarks(frames) if L is None else L
    good = np.where(np.isfinite(L[:, 0, 0]))[0]
    if not len(good):
        raise InputError(
            "no frame of the clip shows a face, so there is no mouth to compare with the sound"
        )
    _, R, scale, shift = align(L[good])
    # a little lower: jaws open downwards
    centre = canonical_face()["vertices"][MOUTH].mean(0) + [0, 6, 0]
    xy = scale[:, None] * (R @ centre)[:, :2] + shift[:, :2]
    angle = np.arctan2(R[:, 1, 0], R[:, 0, 0])
    crops = []
    for t, frame in enumerate(frames):
        i = np.abs(good - t).argmin()
        crop = warp(frame, (xy[i, 0], xy[i, 1], scale[i] * MOUTH_MM, angle[i]), MOUTH_SIZE)
        crops.append(crop @ np.array([0.299, 0.587, 0.114]))
    return np.stack(crops).round().astype(np.uint8)


def video_windows(crops: np.ndarray) -> Tensor:
    """Grey mouths (T, 48, 48) uint8 -> windows (T-4, 5, 48, 48); row i is about frame i + 2,
    contrast normalised."""
    x = torch.from_numpy(np.ascontiguousarray(crops)).float()
    # over the whole clip: skin tone and light drop out, motion stays
    x = (x - x.mean()) / (x.std() + 1e-3)
    return x.unfold(0, VIDEO_WINDOW, 1).permute(0, 3, 1, 2)  # (T-4, 5, 48, 48)


def distances(network: SyncNet, crops: np.ndarray, A: np.ndarray) -> np.ndarray:
    """Mean distance for each shift of the sound: crops (T, 48, 48), features (T, 400) -> (31,),
    shifts -15..15.

    Entry s compares the picture of frame t with the sound of frame t + s - 15. Every shift is
    averaged over the same pictures. Raises InputError for a clip under 36 frames.
    """
    T = min(len(crops), len(A))
    if T < 2 * SHIFTS + VIDEO_WINDOW + 1:
        raise InputError(
            f"lip sync needs {2 * SHIFTS + VIDEO_WINDOW + 1} frames or more, this clip has {T}"
        )
    with torch.inference_mode():
        windows = video_windows(crops[:T]).split(256)
        v = torch.cat([network.video(part) for part in windows])  # (T-4, 64), row i is frame i + 2
        # (T-4, 64), the same rows
        a = network.audio(torch.from_numpy(np.ascontiguousarray(A[2 : T - 2])))
    middle = slice(SHIFTS, len(v) - SHIFTS)
    return np.array(
        [
            (v[middle] - a[middle.start + s : middle.stop + s]).norm(dim=1).mean().item()
            for s in range(-SHIFTS, SHIFTS + 1)
        ]
    )


def score(distance: np.ndarray) -> tuple[float, int]:
    """Distances over the 31 shifts -> (confidence = median - min, offset = 15 - argmin in frames).
    Paper: 4.3.

    >>> d = np.ones(31); d[13] = 0.25
    >>> score(d)
    (0.75, 2)
    """
    return float(np.median(distance) - distance.min()), int(SHIFTS - distance.argmin())


def measure(
    frames: np.ndarray, wave: np.ndarray, network: SyncNet | None = None
) -> tuple[float, int]:
    """(confidence, offset in frames) of a clip (T, H, W, 3) uint8 at 25 fps with 16 kHz sound (N,).

    A positive offset: the picture runs late (the fitting sound was heard that many frames before).
    Raises InputError for no face, a clip under 36 frames, or missing weights. Paper: 4.3. Notebook:
    06_evaluation.
    """
    crops, A = mouth_crops(np.asarray(frames)), frame_features(wave)
    return score(distances(load_sync() if network is None else network, crops, A))


@lru_cache(maxsize=2)
def load_sync(path: str | Path | None = None) -> SyncNet:
    """The shipped SyncNet, or one saved by save_sync. Raises InputError where the file is missing
    or another shape."""
    path = Path(path) if path else data_path("models", "sync.safetensors")
    if not path.is_file():
        raise InputError(
            f"no SyncNet at {path}: train one with dirfa_edu.faces.sync.train_sync and save_sync"
        )
    tensors, _ = load_tensors(path)
    network = SyncNet()
    try:
        network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except RuntimeError as error:
        raise InputError(
            f"{path} does not hold a SyncNet of this version: train it again"
        ) from error
    return network.eval().requires_grad_(False)


def save_sync(path: str | Path, network: SyncNet, metadata: dict[str, str] | None = None) -> None:
    """Write a SyncNet as half-precision safetensors, atomically."""
    tensors = {
        name: t.half() if t.is_floating_point() else t for name, t in network.state_dict().items()
    }
    save_tensors(path, tensors, {"model": "sync", **(metadata or {})})


def train_sync(
    clips: Sequence[tuple[np.ndarray, np.ndarray]],
    minutes: float = 4.0,
    seed: int = 0,
    steps: int | None = None,
    batch: tuple[int, int] = (8, 24),
    progress: Callable[[int, float], None] | None = None,
) -> SyncNet:
    """Train a SyncNet on clips of (mouth crops (T, 48, 48) uint8, features A (T, 400)) that are in
    sync.

    Contrastive: each step draws `batch` = (clips, places); a mouth must find its own sound among
    all 192, and a sound its mouth. Half of the wrong ones are a few frames away in the same clip,
    which is what an offset is decided by. Stops after `minutes`, or after `steps`. Raises
    InputError for no clip of 60 frames. Paper: 4.3.
    """
    clips = [
        (
            video_windows(crops[: len(A)]),
            torch.from_numpy(np.ascontiguousarray(A[2 : len(crops) - 2])),
        )
        for crops, A in clips
        if min(len(crops), len(A)) >= 60
    ]
    if not clips:
        raise InputError("training a SyncNet needs at least one clip of 60 frames")
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(
        devices=[]
    ):  # initial weights and dropout follow the seed, the caller's draws do not
        torch.manual_seed(seed)
        network = SyncNet().train().to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.02)
        start, step = time.monotonic(), 0
        while True:
            done = step / steps if steps else (time.monotonic() - start) / (60 * minutes)
            if done >= 1:
                break
            for group in optimizer.param_groups:
                group["lr"] = (
                    1e-3
                    * min(1, (step + 1) / 50)
                    * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * done)))
                )
            V, A = _batch(clips, generator, *batch)
            logits = network.video(V) @ network.audio(A).T * network.temperature.exp()  # (192, 192)
            target = torch.arange(len(logits))
            loss = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            step += 1
            if progress:
                progress(step, loss.item())
    return network.eval().requires_grad_(False)


def _batch(
    clips: list, generator: torch.Generator, n_clips: int, places: int
) -> tuple[Tensor, Tensor]:
    """Windows of some clips: half of the places in one run of neighbours 2 frames apart, half
    anywhere."""

    def draw(high: int, n: int) -> Tensor:
        return torch.randint(high, (n,), generator=generator)

    V, A = [], []
    for c in draw(len(clips), n_clips).tolist():
        video, audio = clips[c]
        run = draw(max(1, len(video) - places), 1) + torch.arange(0, places, 2)
        t = torch.cat([run.clamp(max=len(video) - 1), draw(len(video), places - len(run))]).unique()
        light = 1 + 0.2 * torch.randn(1, generator=generator)  # so that exposure tells nothing
        picture = video[t] * light
        if torch.rand(1, generator=generator) < 0.5:
            picture = picture.flip(3)  # a mirrored mouth says the same
        dx, dy = (draw(5, 2) - 2).tolist()
        V.append(picture.roll((dy, dx), (2, 3)))
        A.append(audio[t])
    return torch.cat(V).contiguous(memory_format=torch.channels_last), torch.cat(A)


def shifted(crops: np.ndarray, A: np.ndarray, shift: int) -> tuple[np.ndarray, np.ndarray]:
    """Mouths and sound of a clip in sync, the sound moved to `shift` frames later: what has no
    partner is cut off."""
    T = min(len(crops), len(A))
    return (crops[shift:T], A[: T - shift]) if shift >= 0 else (crops[: T + shift], A[-shift:T])


def accuracy(
    network: SyncNet, clips: Sequence[tuple[np.ndarray, np.ndarray]], tolerance: int = 1
) -> dict[str, float]:
    """Held-out figures on clips in sync (crops, A): the share whose offset is found to +-1 frame,
    as they are and after the sound is moved by -7, -3, 3, 7 frames, and the mean confidence against
    that with another clip's sound.
    """
    hits, own, other = [], [], []
    for i, (crops, A) in enumerate(clips):
        T = min(len(crops), len(A))
        for shift in (0, -7, -3, 3, 7):
            confidence, offset = score(distances(network, *shifted(crops, A, shift)))
            hits.append(abs(offset + shift) <= tolerance)
            if shift == 0:
                own.append(confidence)
        wrong = clips[(i + 1) % len(clips)][1]
        if len(clips) > 1:
            other.append(
                score(distances(network, crops[:T], np.resize(wrong, (T, wrong.shape[1]))))[0]
            )
    return {
        "within_one_frame": float(np.mean(hits)),
        "confidence": float(np.mean(own)),
        "confidence_wrong_sound": float(np.mean(other)) if other else float("nan"),
    }
