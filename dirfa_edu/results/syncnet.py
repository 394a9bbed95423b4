"""The published SyncNet (Chung and Zisserman, 2016), for who has its weights: S_conf and S_off on
the paper's scale.

The weights may not be shipped. The file `syncnet_v2.model` holds a plain dictionary of tensors,
which this network reads by their names. It hears MFCCs and sees whole faces in colour, where the
small network of `sync` has mel windows and grey mouths; what is done with the distances is the
same. Without the weights we could compare the numbers with nobody's: the layers, the MFCCs and the
alignment are tested, the published figures are not.

Paper: 4.3. Notebook: 06_evaluation.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..audio import SAMPLE_RATE
from ..faces.sync import SHIFTS, VIDEO_WINDOW
from ..files import InputError

# face side in px; numbers of an MFCC; MFCCs (10 ms) of an audio window
SIDE, CEPSTRA, HEARD = 224, 13, 20


class PublishedSyncNet(nn.Module):
    """Faces (B, 3, 5, 224, 224) in 0..255, blue first, and MFCCs (B, 1, 13, 20) -> (B, 1024) each.
    Paper: 4.3."""

    def __init__(self) -> None:
        super().__init__()

        def layers(conv: type, norm: type, pool: type, *shapes: tuple) -> nn.Sequential:
            made = []
            for n_in, n_out, kernel, stride, padding, pooling in shapes:
                made += [conv(n_in, n_out, kernel, stride, padding), norm(n_out), nn.ReLU()]
                made += [pool(*pooling)] if pooling else []
            return nn.Sequential(*made)

        def head() -> nn.Sequential:
            return nn.Sequential(
                nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 1024)
            )

        self.netcnnaud = layers(
            nn.Conv2d,
            nn.BatchNorm2d,
            nn.MaxPool2d,
            (1, 64, 3, 1, 1, (1, 1)),
            (64, 192, 3, 1, 1, (3, (1, 2))),
            (192, 384, 3, 1, 1, None),
            (384, 256, 3, 1, 1, None),
            (256, 256, 3, 1, 1, (3, 2)),
            (256, 512, (5, 4), 1, 0, None),
        )
        self.netcnnlip = layers(
            nn.Conv3d,
            nn.BatchNorm3d,
            nn.MaxPool3d,
            (3, 96, (5, 7, 7), (1, 2, 2), 0, ((1, 3, 3), (1, 2, 2))),
            (96, 256, (1, 5, 5), (1, 2, 2), (0, 1, 1), ((1, 3, 3), (1, 2, 2), (0, 1, 1))),
            (256, 256, (1, 3, 3), 1, (0, 1, 1), None),
            (256, 256, (1, 3, 3), 1, (0, 1, 1), None),
            (256, 256, (1, 3, 3), 1, (0, 1, 1), ((1, 3, 3), (1, 2, 2))),
            (256, 512, (1, 6, 6), 1, 0, None),
        )
        self.netfcaud, self.netfclip = head(), head()

    def video(self, faces: Tensor) -> Tensor:
        """(B, 3, 5, 224, 224) -> (B, 1024)."""
        return self.netfclip(self.netcnnlip(faces).flatten(1))

    def audio(self, cepstra: Tensor) -> Tensor:
        """(B, 1, 13, 20) -> (B, 1024)."""
        return self.netfcaud(self.netcnnaud(cepstra).flatten(1))


def load_published(path: str | Path) -> PublishedSyncNet:
    """The network with weights from a file. Raises InputError where the file is missing or holds
    something else."""
    network = PublishedSyncNet()
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except FileNotFoundError as error:
        raise InputError(f"no SyncNet weights at {path}") from error
    except Exception as error:  # noqa: BLE001 (a wrong file may end in any error of the reader)
        raise InputError(
            f"{path} does not hold weights of the published SyncNet: {str(error).splitlines()[0]}"
        ) from error
    return network.eval().requires_grad_(False)


def mfcc(wave: np.ndarray) -> np.ndarray:
    """Mel cepstra of 16 kHz speech (N,) in -1..1 -> (n, 13), one every 10 ms, as the published
    network was fed.

    Frames of 25 ms without a window, pre-emphasis .97, 26 mel filters, a lifter of 22; the first
    number is the log energy of the frame.
    """
    from scipy.fft import dct

    x = np.asarray(wave, np.float64) * 32768
    x = np.append(x[:1], x[1:] - 0.97 * x[:-1])
    n = 1 + max(0, -(-(len(x) - 400) // 160))
    x = np.pad(x, (0, max(0, 240 + 160 * n - len(x))))
    # (n, 257)
    power = (
        np.abs(np.fft.rfft(np.lib.stride_tricks.sliding_window_view(x, 400)[::160][:n], 512)) ** 2
        / 512
    )
    mel = np.linspace(0, 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700), 28)
    edges = np.floor(513 * 700 * (10 ** (mel / 2595) - 1) / SAMPLE_RATE)  # in bins of the spectrum
    bins = np.arange(257)
    filters = [
        np.clip(np.minimum((bins - a) / max(b - a, 1), (c - bins) / max(c - b, 1)), 0, None)
        for a, b, c in zip(edges, edges[1:], edges[2:])
    ]
    floor = np.finfo(float).eps
    cepstra = dct(np.log(np.maximum(power @ np.array(filters).T, floor)), norm="ortho")[:, :CEPSTRA]
    cepstra *= 1 + 11 * np.sin(np.pi * np.arange(CEPSTRA) / 22)
    cepstra[:, 0] = np.log(np.maximum(power.sum(1), floor))
    return cepstra


def face_crops(frames: np.ndarray) -> np.ndarray:
    """Faces of a clip (T, H, W, 3) uint8 -> (T, 224, 224, 3) uint8: 1.4 times the box of the
    landmarks, which moves smoothly. Raises InputError where no frame shows a face."""
    from scipy.signal import medfilt

    from ..faces.vision import landmarks, warp

    L = landmarks(frames)[..., :2]
    good = np.flatnonzero(np.isfinite(L).all((1, 2)))
    if not len(good):
        raise InputError("no frame of the clip shows a face")
    low, high = L[good].min(1), L[good].max(1)  # (n, 2)
    # (n, 3): the middle, and half of the side
    track = np.c_[(low + high) / 2, (high - low).max(1) / 2]
    track = np.stack([np.interp(np.arange(len(frames)), good, each) for each in track.T])
    x, y, half = (medfilt(np.pad(each, 6, mode="edge"), 13)[6:-6] for each in track)
    return np.stack(
        [
            warp(frame, (x[t], y[t] + 0.4 * half[t], 2.8 * half[t], 0.0), SIDE)
            for t, frame in enumerate(frames)
        ]
    )


@torch.inference_mode()
def distances(network: nn.Module, faces: np.ndarray, wave: np.ndarray) -> np.ndarray:
    """Mean distance for shifts of -15..15 frames, for `sync.score`: faces (T, 224, 224, 3) at 25
    fps, wave (N,).

    Raises InputError for a clip of fewer than 6 frames.
    """
    heard, T = mfcc(wave), min(len(faces), len(wave) // 640) - VIDEO_WINDOW
    if T < 1:
        raise InputError(f"lip sync needs {VIDEO_WINDOW + 1} frames with sound or more")
    # (3, T, 224, 224), blue first
    seen = torch.from_numpy(faces[..., ::-1].copy()).permute(3, 0, 1, 2)
    heard = torch.from_numpy(np.pad(heard, ((0, HEARD), (0, 0)))).float().T  # (13, n)
    # (T, 1024)
    v = torch.cat([network.video(seen[None, :, t : t + VIDEO_WINDOW].float()) for t in range(T)])
    a = torch.cat([network.audio(heard[None, None, :, 4 * t : 4 * t + HEARD]) for t in range(T)])
    a = F.pad(a, (0, 0, SHIFTS, SHIFTS))
    return (
        torch.stack([F.pairwise_distance(v, a[s : s + T]) for s in range(2 * SHIFTS + 1)])
        .mean(1)
        .numpy()
    )
