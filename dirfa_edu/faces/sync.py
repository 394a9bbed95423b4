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
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..audio import N_MELS, WINDOW, frame_features
from ..files import InputError, data_path, load_tensors, save_tensors
from .geometry import align, canonical_face
from .vision import MOUTH_POINTS, cut_out, landmarks

MOUTH_SIZE = 48  # side of a mouth crop, px
MOUTH_MM = 90.0  # its side on the canonical face
MOUTH_LOWER = (0, 6, 0)  # mm below the middle of the mouth: jaws open downwards
GREY = np.array([0.299, 0.587, 0.114])  # luminance of red, green and blue
VIDEO_WINDOW = 5  # frames that the video encoder sees at once
MIDDLE = VIDEO_WINDOW // 2  # the frame of a window that its sound is about
SHIFTS = 15  # the sound is moved by up to so many frames each way
SHORTEST = 60  # frames of a clip to train on


class SyncNet(nn.Module):
    """Mouth windows (B, 5, 48, 48) and audio windows (B, 20, 20) -> unit vectors (B, 64) each.

    Paper: 4.3.
    """

    def __init__(self, width: int = 32, dim: int = 64) -> None:
        super().__init__()
        self.video_encoder = encoder(VIDEO_WINDOW, width, dim, first_stride=2)  # 48 -> 3
        self.audio_encoder = encoder(1, width, dim, first_stride=1)  # 20 -> 3
        self.temperature = nn.Parameter(torch.tensor(2.5))

    def video(self, windows: Tensor) -> Tensor:
        """(B, 5, 48, 48) grey, about zero mean -> (B, 64) of length 1."""
        return F.normalize(self.video_encoder(windows), dim=1)

    def audio(self, windows: Tensor) -> Tensor:
        """(B, 400), rows of frame_features -> (B, 64) of length 1."""
        mel = windows.view(-1, 1, WINDOW, N_MELS)  # (B, 1, 20, 20)
        return F.normalize(self.audio_encoder(mel * 2 - 1), dim=1)


def encoder(n_in: int, width: int, dim: int, first_stride: int) -> nn.Sequential:
    """Four convolutions that end at 3 x 3, and a linear layer to `dim` numbers."""
    layers: list[nn.Module] = []
    for channels, stride in (
        (width, first_stride),
        (2 * width, 2),
        (3 * width, 2),
        (4 * width, 2),
    ):
        block = (
            nn.Conv2d(n_in, channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )
        layers.append(nn.Sequential(*block))
        n_in = channels
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.2), nn.Linear(n_in * 3 * 3, dim))


def mouth_crops(frames: np.ndarray, L: np.ndarray | None = None) -> np.ndarray:
    """Grey mouths of a clip (T, H, W, 3) uint8 -> (T, 48, 48) uint8.

    The crop is fixed to the skull (pose fit), not to the lips, so an opening jaw moves in it; its
    rotation follows the head's. `L` are landmarks (T, 468, 3), found here where not given. Frames
    without a face borrow the nearest one's. Raises InputError where no frame shows a face.
    """
    L = landmarks(frames) if L is None else L
    good = np.where(np.isfinite(L[:, 0, 0]))[0]
    if not len(good):
        raise InputError(
            "no frame of the clip shows a face, so there is no mouth to compare with the sound"
        )

    _, R, scale, shift = align(L[good])
    centre = canonical_face()["vertices"][MOUTH_POINTS].mean(0) + MOUTH_LOWER  # mm
    xy = scale[:, None] * (R @ centre)[:, :2] + shift[:, :2]  # (good, 2) px
    angle = np.arctan2(R[:, 1, 0], R[:, 0, 0])  # (good,)
    crops = []
    for t, frame in enumerate(frames):
        i = np.abs(good - t).argmin()
        box = xy[i, 0], xy[i, 1], scale[i] * MOUTH_MM, angle[i]
        crops.append(cut_out(frame, box, MOUTH_SIZE) @ GREY)
    return np.stack(crops).round().astype(np.uint8)


def video_windows(crops: np.ndarray) -> Tensor:
    """Grey mouths (T, 48, 48) uint8 -> windows (T-4, 5, 48, 48); row i is about frame i + 2.

    Contrast is normalised over the whole clip: skin tone and light drop out, motion stays.
    """
    x = torch.from_numpy(np.ascontiguousarray(crops)).float()
    x = (x - x.mean()) / (x.std() + 1e-3)
    return x.unfold(0, VIDEO_WINDOW, 1).permute(0, 3, 1, 2)  # (T-4, 5, 48, 48)


def audio_windows(A: np.ndarray) -> Tensor:
    """Features (T, 400) -> the rows (T-4, 400) that belong to `video_windows`."""
    return torch.from_numpy(np.ascontiguousarray(A[MIDDLE : len(A) - MIDDLE]))


def distances(network: SyncNet, crops: np.ndarray, A: np.ndarray) -> np.ndarray:
    """Mean distance for each shift of the sound, -15..15: crops (T, 48, 48), A (T, 400) -> (31,).

    Entry s compares the picture of frame t with the sound of frame t + s - 15. Every shift is
    averaged over the same pictures. Raises InputError for a clip under 36 frames.
    """
    T = min(len(crops), len(A))
    shortest = 2 * SHIFTS + VIDEO_WINDOW + 1
    if T < shortest:
        raise InputError(f"lip sync needs {shortest} frames or more, this clip has {T}")

    with torch.inference_mode():
        parts = video_windows(crops[:T]).split(256)
        v = torch.cat([network.video(part) for part in parts])  # (T-4, 64), row i is frame i + 2
        a = network.audio(audio_windows(A[:T]))  # (T-4, 64), the same rows

    first, last = SHIFTS, len(v) - SHIFTS  # pictures that have a sound at every shift
    apart = [
        (v[first:last] - a[first + s : last + s]).norm(dim=1).mean().item()
        for s in range(-SHIFTS, SHIFTS + 1)
    ]
    return np.array(apart)


def score(distance: np.ndarray) -> tuple[float, int]:
    """Distances over the 31 shifts -> (confidence, offset in frames).

    confidence = median - min, offset = 15 - argmin. Paper: 4.3.

    >>> d = np.ones(31); d[13] = 0.25
    >>> score(d)
    (0.75, 2)
    """
    return float(np.median(distance) - distance.min()), int(SHIFTS - distance.argmin())


def measure(
    frames: np.ndarray, wave: np.ndarray, network: SyncNet | None = None
) -> tuple[float, int]:
    """(confidence, offset in frames) of a clip (T, H, W, 3) uint8 at 25 fps, sound (N,) at 16 kHz.

    A positive offset: the picture runs late (the fitting sound was heard that many frames before).
    Raises InputError for no face, a clip under 36 frames, or missing weights. Paper: 4.3. Notebook:
    06_evaluation.
    """
    crops, A = mouth_crops(np.asarray(frames)), frame_features(wave)
    return score(distances(load_sync() if network is None else network, crops, A))


@lru_cache(maxsize=2)
def load_sync(path: str | Path | None = None) -> SyncNet:
    """The shipped SyncNet, or one saved by save_sync, frozen.

    Raises InputError where the file is missing or holds another shape.
    """
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
    """Train a SyncNet on clips in sync: pairs of mouth crops (T, 48, 48) uint8, A (T, 400).

    Contrastive: each step draws `batch` = (clips, places); a mouth must find its own sound among
    all 192, and a sound its mouth. Half of the wrong ones are a few frames away in the same clip,
    which is what an offset is decided by. Stops after `minutes`, or after `steps`. Raises
    InputError for no clip of 60 frames. Paper: 4.3.
    """
    windows = [
        (video_windows(crops[: len(A)]), audio_windows(A[: len(crops)]))
        for crops, A in clips
        if min(len(crops), len(A)) >= SHORTEST
    ]
    if not windows:
        raise InputError(f"training a SyncNet needs at least one clip of {SHORTEST} frames")

    generator = torch.Generator().manual_seed(seed)
    # initial weights and dropout follow the seed, the caller's draws do not
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SyncNet().train()
        for weight in network.parameters():
            if weight.ndim == 4:  # convolutions are faster so, as `_batch` lays out the pictures
                weight.data = weight.data.to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.02)
        start, step = time.monotonic(), 0
        while True:
            done = step / steps if steps else (time.monotonic() - start) / (60 * minutes)
            if done >= 1:
                break
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, done)
            V, A = _batch(windows, generator, *batch)
            loss = contrastive_loss(network, V, A)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            step += 1
            if progress:
                progress(step, loss.item())
    return network.eval().requires_grad_(False)


def learning_rate(step: int, done: float) -> float:
    """A warm-up of 50 steps, then a cosine over the share `done` of the training."""
    warm_up = min(1, (step + 1) / 50)
    return 1e-3 * warm_up * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * done)))


def contrastive_loss(network: SyncNet, V: Tensor, A: Tensor) -> Tensor:
    """Cross-entropy of finding each mouth's own sound among those of the batch, and the reverse."""
    likeness = network.video(V) @ network.audio(A).T  # (B, B)
    logits = likeness * network.temperature.exp()
    own = torch.arange(len(logits))
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def _batch(
    clips: list[tuple[Tensor, Tensor]], generator: torch.Generator, n_clips: int, places: int
) -> tuple[Tensor, Tensor]:
    """Windows of some clips, half of them in a run of neighbours 2 frames apart, half anywhere."""

    def draw(high: int, n: int) -> Tensor:
        return torch.randint(high, (n,), generator=generator)

    V, A = [], []
    for c in draw(len(clips), n_clips).tolist():
        video, audio = clips[c]
        run = draw(max(1, len(video) - places), 1) + torch.arange(0, places, 2)
        anywhere = draw(len(video), places - len(run))
        t = torch.cat([run.clamp(max=len(video) - 1), anywhere]).unique()

        light = 1 + 0.2 * torch.randn(1, generator=generator)  # so that exposure tells nothing
        picture = video[t] * light
        if torch.rand(1, generator=generator) < 0.5:
            picture = picture.flip(3)  # a mirrored mouth says the same
        dx, dy = (draw(5, 2) - 2).tolist()
        V.append(picture.roll((dy, dx), (2, 3)))
        A.append(audio[t])
    return torch.cat(V).contiguous(memory_format=torch.channels_last), torch.cat(A)


def shifted(crops: np.ndarray, A: np.ndarray, shift: int) -> tuple[np.ndarray, np.ndarray]:
    """Mouths and sound of a clip in sync, the sound moved to `shift` frames later.

    What has no partner is cut off.
    """
    T = min(len(crops), len(A))
    if shift >= 0:
        return crops[shift:T], A[: T - shift]
    return crops[: T + shift], A[-shift:T]


def accuracy(
    network: SyncNet, clips: Sequence[tuple[np.ndarray, np.ndarray]], tolerance: int = 1
) -> dict[str, float]:
    """Held-out figures on clips in sync, pairs (crops, A).

    The share whose offset is found to +-1 frame, as they are and after the sound is moved by -7,
    -3, 3, 7 frames; and the mean confidence beside that with another clip's sound.
    """
    hits, own, other = [], [], []
    for i, (crops, A) in enumerate(clips):
        T = min(len(crops), len(A))
        for shift in (0, -7, -3, 3, 7):
            confidence, offset = score(distances(network, *shifted(crops, A, shift)))
            hits.append(abs(offset + shift) <= tolerance)
            if shift == 0:
                own.append(confidence)

        if len(clips) > 1:
            wrong = clips[(i + 1) % len(clips)][1]
            wrong = np.resize(wrong, (T, wrong.shape[1]))
            other.append(score(distances(network, crops[:T], wrong))[0])
    return {
        "within_one_frame": float(np.mean(hits)),
        "confidence": float(np.mean(own)),
        "confidence_wrong_sound": float(np.mean(other)) if other else float("nan"),
    }
