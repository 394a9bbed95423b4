"""The published SyncNet, for who has its weights: S_conf and S_off on the paper's scale.

The network is Chung and Zisserman's (2016). Its weights may not be shipped. The file
`syncnet_v2.model` holds a plain dictionary of tensors, which this network reads by their names. It
hears MFCCs and sees whole faces in colour, where the small network of `faces.sync` has mel windows
and grey mouths; what is done with the distances is the same. Without the weights we could compare
the numbers with nobody's: the layers, the MFCCs and the alignment are tested, the published figures
are not.

Paper: 4.3. Notebook: 06_evaluation.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..audio import SAMPLE_RATE, SAMPLES_PER_FRAME
from ..faces.sync import SHIFTS, VIDEO_WINDOW
from ..faces.vision import cut_out, landmarks
from ..files import InputError

SIDE = 224  # of a face, px
CEPSTRA = 13  # numbers of an MFCC
HEARD = 20  # MFCCs of an audio window, one every 10 ms
MFCCS_PER_FRAME = 4  # of a video frame

# how the published front end cuts speech: frames of 25 ms, one every 10 ms
MFCC_FRAME, MFCC_HOP, MFCC_FFT = 400, 160, 512
FILTERS, LIFTER, PRE_EMPHASIS = 26, 22, 0.97

FACE_MARGIN = 1.4  # side of a crop over that of the landmarks' box
FACE_LOWER = 0.4  # the crop's middle lies lower than the box's, in half sides
SMOOTHED = 13  # frames of the median filter on the box


class PublishedSyncNet(nn.Module):
    """Faces (B, 3, 5, 224, 224) in 0..255, blue first, and MFCCs (B, 1, 13, 20) -> (B, 1024) each.

    Attributes and their numbering are those of the published file. Paper: 4.3.
    """

    def __init__(self) -> None:
        super().__init__()
        # fmt: off
        self.netcnnaud = layers(
            nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d,
            # channels in and out, kernel, stride, padding, pooling
            (1, 64, 3, 1, 1, (1, 1)),
            (64, 192, 3, 1, 1, (3, (1, 2))),
            (192, 384, 3, 1, 1, None),
            (384, 256, 3, 1, 1, None),
            (256, 256, 3, 1, 1, (3, 2)),
            (256, 512, (5, 4), 1, 0, None),
        )
        self.netcnnlip = layers(
            nn.Conv3d, nn.BatchNorm3d, nn.MaxPool3d,
            (3, 96, (5, 7, 7), (1, 2, 2), 0, ((1, 3, 3), (1, 2, 2))),
            (96, 256, (1, 5, 5), (1, 2, 2), (0, 1, 1), ((1, 3, 3), (1, 2, 2), (0, 1, 1))),
            (256, 256, (1, 3, 3), 1, (0, 1, 1), None),
            (256, 256, (1, 3, 3), 1, (0, 1, 1), None),
            (256, 256, (1, 3, 3), 1, (0, 1, 1), ((1, 3, 3), (1, 2, 2))),
            (256, 512, (1, 6, 6), 1, 0, None),
        )
        # fmt: on
        self.netfcaud = head()
        self.netfclip = head()

    def video(self, faces: Tensor) -> Tensor:
        """(B, 3, 5, 224, 224) -> (B, 1024)."""
        return self.netfclip(self.netcnnlip(faces).flatten(1))

    def audio(self, cepstra: Tensor) -> Tensor:
        """(B, 1, 13, 20) -> (B, 1024)."""
        return self.netfcaud(self.netcnnaud(cepstra).flatten(1))


def layers(conv: type, norm: type, pool: type, *rows: tuple) -> nn.Sequential:
    """Convolution, normalisation and ReLU per row, with a pooling where the row has one."""
    made = []
    for n_in, n_out, kernel, stride, padding, pooling in rows:
        made += [conv(n_in, n_out, kernel, stride, padding), norm(n_out), nn.ReLU()]
        if pooling:
            made.append(pool(*pooling))
    return nn.Sequential(*made)


def head() -> nn.Sequential:
    """512 -> 1024 numbers."""
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 1024))


def load_published(path: str | Path) -> PublishedSyncNet:
    """The network with weights from a file, frozen.

    Raises InputError where the file is missing or holds something else.
    """
    network = PublishedSyncNet()
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except FileNotFoundError as error:
        raise InputError(f"no SyncNet weights at {path}") from error
    except Exception as error:  # noqa: BLE001 (a wrong file may end in any error of the reader)
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{path} does not hold weights of the published SyncNet: {reason}"
        ) from error
    return network.eval().requires_grad_(False)


def mfcc(wave: np.ndarray) -> np.ndarray:
    """Mel cepstra of 16 kHz speech (N,) in -1..1 -> (n, 13), one every 10 ms.

    As the published network was fed: frames of 25 ms without a window, pre-emphasis .97, 26 mel
    filters, a lifter of 22; the first number is the log energy of the frame.
    """
    from scipy.fft import dct

    x = np.asarray(wave, np.float64) * 32768
    x = np.append(x[:1], x[1:] - PRE_EMPHASIS * x[:-1])
    n = 1 + max(0, -(-(len(x) - MFCC_FRAME) // MFCC_HOP))  # the last frame is padded with zeros
    x = np.pad(x, (0, max(0, MFCC_FRAME + MFCC_HOP * (n - 1) - len(x))))
    windows = np.lib.stride_tricks.sliding_window_view(x, MFCC_FRAME)[::MFCC_HOP][:n]  # (n, 400)
    power = np.abs(np.fft.rfft(windows, MFCC_FFT)) ** 2 / MFCC_FFT  # (n, 257)

    floor = np.finfo(float).eps
    loudness = np.log(np.maximum(power @ mfcc_filters().T, floor))  # (n, 26)
    cepstra = dct(loudness, norm="ortho")[:, :CEPSTRA]
    cepstra *= 1 + LIFTER / 2 * np.sin(np.pi * np.arange(CEPSTRA) / LIFTER)
    cepstra[:, 0] = np.log(np.maximum(power.sum(1), floor))
    return cepstra


def mfcc_filters() -> np.ndarray:
    """Triangles on the mel scale, over the bins of a spectrum: (26, 257)."""
    highest = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    mel = np.linspace(0, highest, FILTERS + 2)
    hertz = 700 * (10 ** (mel / 2595) - 1)
    edges = np.floor((MFCC_FFT + 1) * hertz / SAMPLE_RATE)  # in bins
    bins = np.arange(MFCC_FFT // 2 + 1)

    triangles = []
    for left, middle, right in zip(edges, edges[1:], edges[2:]):
        rising = (bins - left) / max(middle - left, 1)
        falling = (right - bins) / max(right - middle, 1)
        triangles.append(np.clip(np.minimum(rising, falling), 0, None))
    return np.array(triangles)


def face_crops(frames: np.ndarray) -> np.ndarray:
    """Faces of a clip (T, H, W, 3) uint8 -> (T, 224, 224, 3) uint8.

    1.4 times the box of the landmarks, which moves smoothly. Raises InputError where no frame shows
    a face.
    """
    from scipy.signal import medfilt

    L = landmarks(frames)[..., :2]
    good = np.flatnonzero(np.isfinite(L).all((1, 2)))
    if not len(good):
        raise InputError("no frame of the clip shows a face")

    low, high = L[good].min(1), L[good].max(1)  # (n, 2)
    middle = (low + high) / 2
    half_side = (high - low).max(1) / 2  # (n,)
    measured = np.c_[middle, half_side]  # (n, 3)
    track = [np.interp(np.arange(len(frames)), good, each) for each in measured.T]
    edge = SMOOTHED // 2
    x, y, half = (
        medfilt(np.pad(each, edge, mode="edge"), SMOOTHED)[edge:-edge] for each in track
    )  # (T,) each

    crops = []
    for t, frame in enumerate(frames):
        box = x[t], y[t] + FACE_LOWER * half[t], 2 * FACE_MARGIN * half[t], 0.0
        crops.append(cut_out(frame, box, SIDE))
    return np.stack(crops)


@torch.inference_mode()
def published_distances(
    network: PublishedSyncNet, faces: np.ndarray, wave: np.ndarray
) -> np.ndarray:
    """Mean distance for shifts of -15..15 frames (31,), for `faces.sync.score`.

    faces (T, 224, 224, 3) at 25 fps, wave (N,). Raises InputError for a clip of fewer than 6
    frames.
    """
    T = min(len(faces), len(wave) // SAMPLES_PER_FRAME) - VIDEO_WINDOW
    if T < 1:
        raise InputError(f"lip sync needs {VIDEO_WINDOW + 1} frames with sound or more")

    seen = torch.from_numpy(faces[..., ::-1].copy()).permute(3, 0, 1, 2)  # (3, T, S, S), blue first
    heard = np.pad(mfcc(wave), ((0, HEARD), (0, 0)))
    cepstra = torch.from_numpy(heard).float().T  # (13, n)
    v, a = [], []
    for t in range(T):
        v.append(network.video(seen[None, :, t : t + VIDEO_WINDOW].float()))
        first = MFCCS_PER_FRAME * t
        a.append(network.audio(cepstra[None, None, :, first : first + HEARD]))
    pictures = torch.cat(v)  # (T, 1024)
    sounds = F.pad(torch.cat(a), (0, 0, SHIFTS, SHIFTS))  # (T + 30, 1024)

    apart = [F.pairwise_distance(pictures, sounds[s : s + T]) for s in range(2 * SHIFTS + 1)]
    return torch.stack(apart).mean(1).numpy()  # (31,)
