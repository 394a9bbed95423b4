"""Training examples: what one step of training sees of a clip.

For the mapper: windows of audio in other rooms and voices, with a corrupted history. For the
generator: pairs of frames.

Paper: 3.2.4, 3.3.1. Notebooks: 04_mapper, 05_generator.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .animation import FPS, LIPS, N_ATTRIBUTES, UPPER, column
from .data.corpus import PROBE_TRAIN
from .discretize import Discretizer
from .files import InputError
from .generator import SCALE
from .mapper import NO_AUDIO

# how far fed-back bins are moved in training, as a share of D. Lips strongly, so that they listen
# to the audio and not to themselves: in every frame, since a past that is exact now and then gives
# the rest away, with a strength of its own for each window, and drifting slowly, as the network's
# own errors do. Expression lightly, or rare expressions freeze.
HISTORY_NOISE = 0.003
HISTORY_NOISE_LIPS = 0.15
HISTORY_DRIFT_LIPS = 0.25
# and in some windows one expression attribute, rather an active one, is marked as pinned, while
# most others are given a past that has drifted off, or another clip's, and must go towards the
# truth at a natural speed. So cheeks learn to follow a pinned smile; without the mark every past is
# natural, and so is what the network makes of it
PINNED_WINDOWS, FOLLOWERS, DRIFT_FOLLOWERS = 0.35, 0.8, 0.15
# share of windows without audio, so that the network can also say what it would do without
AUDIO_DROPPED = 0.1


# ---- mapper --------------------------------------------------------------------------------------
def mapper_tracks(clips: list, measured: bool = False) -> list[tuple[np.ndarray, list[np.ndarray]]]:
    """Clips -> (audio features (T, 400), [animations (T, 23)]): the clip's motion and further
    draws, if shipped.

    Where the corpus knows the exact motion it is taken, unless `measured` asks for the track as
    OpenFace would have seen it: a network learns to imitate measurement noise as faithfully as
    everything else.
    """
    out = []
    for clip in clips:
        A, truth = clip.features(), known_truth(clip)
        seen = (
            clip.animation()
            if measured or "clean" not in truth
            else np.asarray(truth["clean"], np.float32)
        )
        tracks = [seen, *truth.get("draws", [])]
        T = min(len(A), *(len(track) for track in tracks))
        out.append((A[:T], [track[:T] for track in tracks]))
    return out


def known_truth(clip) -> dict:
    """The clip's exact motion and further draws, or nothing: only the sample corpus knows them."""
    try:
        return clip.truth()
    except InputError:
        return {}


def held_out(clips: list) -> tuple[list, list]:
    """Clips -> (clips to train on, clips to validate on): every 12th sentence is held out, whoever
    speaks it."""
    said = [clip.text or clip.name for clip in clips]
    chosen = set(list(dict.fromkeys(said))[::12])
    validation = [clip for clip, text in zip(clips, said) if text in chosen]
    return [clip for clip, text in zip(clips, said) if text not in chosen] or clips, validation


def every_voice_alike(data: list, clips: list) -> list:
    """`data` of some clips, that of voices with few clips several times, so that all are heard
    about as often."""
    voices = [getattr(clip, "voice", "") for clip in clips]
    count = Counter(voices)
    return [
        pair
        for pair, voice in zip(data, voices)
        for _ in range(round(max(count.values()) / count[voice]))
    ]


def mapper_batch(
    data: list, bins: Discretizer, batch: int, window: int, noise: torch.Generator
) -> tuple:
    """Random windows -> A (B, T, 400), corrupted bins of the frames before, true bins (-100 where
    padded), and which attributes are marked as pinned (B, T, 23)."""

    def draw(n: int) -> int:
        return int(torch.randint(n, (1,), generator=noise))

    A = torch.zeros(batch, window, data[0][0].shape[1])
    # one frame more: row t is the input of row t + 1
    y = torch.full((batch, window + 1, N_ATTRIBUTES), -100)
    for b in range(batch):
        features, tracks = data[draw(len(data))]
        track = tracks[draw(len(tracks))]
        first = draw(max(1, len(track) - window + 1))
        n = min(window, len(track) - first)
        A[b, :n] = features[first : first + n]
        y[b, 1 : n + 1] = track[first : first + n]
        y[b, 0] = (
            track[first - 1] if first else bins.bins
        )  # the start token before a clip's first frame
    previous, started = y[:, :-1].clamp(min=0), y[:, :-1] < bins.bins
    # (B, T, 1)
    spread = HISTORY_NOISE * bins.bins * (torch.rand(batch, window, 1, generator=noise) < 0.4)
    spread = spread.repeat(1, 1, N_ATTRIBUTES)  # (B, T, 23)
    spread[..., LIPS] = (
        HISTORY_NOISE_LIPS * bins.bins * 2 * torch.rand(batch, 1, 1, generator=noise)
    )
    moved = previous + (torch.randn(previous.shape, generator=noise) * spread).round().long()
    moved[..., LIPS] += (
        (HISTORY_DRIFT_LIPS * bins.bins * drift(batch, len(LIPS), window, noise)).round().long()
    )
    y, since = y[:, 1:], torch.randint(1, window, (batch, 1, 1), generator=noise)
    chosen = (torch.rand(batch, 1, 1, generator=noise) < PINNED_WINDOWS) & (
        since <= torch.arange(window)[:, None]
    )
    pinned = torch.zeros(y.shape, dtype=torch.bool)  # (B, T, 23)
    active = y[..., UPPER].clamp(min=0).float().mean(1) / bins.bins + 0.01  # (B, upper)
    # (B, 1, upper)
    leader = nn.functional.one_hot(torch.multinomial(active, 1, generator=noise), len(UPPER)) > 0
    pinned[..., UPPER] = chosen & leader
    # (B, T, upper)
    follow = chosen & ~leader & (torch.rand(batch, 1, len(UPPER), generator=noise) < FOLLOWERS)
    true, elsewhere = y[..., UPPER], moved.roll(1, 0)[..., UPPER]  # (B, T, upper)
    off = (DRIFT_FOLLOWERS * bins.bins * drift(batch, len(UPPER), window, noise)).round().long()
    elsewhere = torch.where(
        torch.rand(batch, 1, 1, generator=noise) < 0.5, elsewhere, previous[..., UPPER] + off
    )
    elsewhere = elsewhere.clamp(0, bins.bins - 1)
    # bins a frame
    speed = torch.from_numpy(np.ceil(bins.speed / bins.width / 3)[UPPER].clip(1, bins.bins)).long()
    moved[..., UPPER] = torch.where(follow, elsewhere, moved[..., UPPER])
    y[..., UPPER] = torch.where(
        follow & (true >= 0), elsewhere + (true - elsewhere).clamp(-speed, speed), true
    )
    previous = torch.where(started, moved.clamp(0, bins.bins - 1), previous)
    A = augment(A, noise)
    A[torch.rand(batch, generator=noise) < AUDIO_DROPPED] = NO_AUDIO
    return A, previous, y, pinned


def drift(batch: int, attributes: int, window: int, noise: torch.Generator) -> Tensor:
    """Slow random curves (B, T, attributes) about 0, each window with a strength of its own, 0 to
    1."""
    knots = torch.randn(batch, attributes, window // 10 + 2, generator=noise)
    knots = knots * torch.rand(batch, 1, 1, generator=noise)
    return nn.functional.interpolate(knots, window, mode="linear").transpose(1, 2)


def augment(A: Tensor, noise: torch.Generator) -> Tensor:
    """Other rooms and voices: a random level, tilt, shift and stretch along the mel axis for each
    window of A.

    A (B, T, 400) -> the same shape. A longer or shorter vocal tract moves all resonances by a
    factor, so the stretch is another speaker.
    """
    B, T, _ = A.shape
    level, tilt, shift, stretch = (
        torch.randn(B, 1, generator=noise) * s for s in (0.04, 0.06, 0.8, 0.07)
    )
    band = torch.arange(20) - 9.5
    # (B, 20): where each new band is read
    place = ((1 + stretch) * band + shift + 9.5).clamp(0, 19)
    below = place.long().clamp(max=18)
    # (B, old, new)
    weight = torch.zeros(B, 20, 20).scatter(1, below[:, None], (1 - place + below)[:, None])
    weight = weight.scatter_add(1, below[:, None] + 1, (place - below)[:, None])
    mel = A.view(B, T * 20, 20) @ weight  # (B, T * time, mel)
    mel = mel + (level + tilt * band / 9.5)[:, None]
    # (B, T, 400)
    return (mel + 0.01 * torch.randn(mel.shape, generator=noise)).clamp(0, 1).view(B, T, -1)


# ---- generator -----------------------------------------------------------------------------------
# in the mirror a head turns, tilts and moves to the other side; Action Units have no sides
MIRRORED = torch.ones(N_ATTRIBUTES)
MIRRORED[[column("pose_Ry"), column("pose_Rz"), column("pose_Tx")]] = -1


def generator_pairs(clips: list, size: int) -> list[tuple[Tensor, Tensor]]:
    """Rendered clips -> [(frames uint8 (T, 3, S, S), attributes (T, 23))], shrunk to `size` where
    larger."""
    out = []
    for clip in clips:
        frames = torch.from_numpy(clip.frames()).permute(0, 3, 1, 2)  # (T, 3, S, S)
        # without measurement noise, where the corpus knows it
        clean = known_truth(clip).get("clean")
        Z = torch.from_numpy(np.asarray(clip.animation() if clean is None else clean, np.float32))
        if frames.shape[-1] != size:
            frames = (
                nn.functional.interpolate(frames.float(), size=(size, size), mode="area")
                .round()
                .to(torch.uint8)
            )
        n = min(len(frames), len(Z))
        out.append((frames[:n].contiguous(), Z[:n]))
    return out


def seen_in_training(clips: list, data: list) -> list:
    """Of `generator_pairs(clips)` the frames that may be trained on: of a probe only its first
    PROBE_TRAIN."""
    return [
        tuple(x[:PROBE_TRAIN] for x in pair) if getattr(clip, "kind", "") == "probe" else pair
        for clip, pair in zip(clips, data)
    ]


def pair_batch(
    data: list, batch: int, noise: torch.Generator, window: int = 1
) -> tuple[Tensor, ...]:
    """Random pairs of frames of one clip -> I_src, Z_src, I_tgt, Z_tgt; half of them in the mirror.
    Paper: 3.3.

    Z_tgt is (B, window, 23), the frame between its neighbours.
    """
    rows = []
    for _ in range(batch):
        frames, Z = data[int(torch.randint(len(data), (1,), generator=noise))]
        src, *two = torch.randint(len(frames), (3,), generator=noise).tolist()
        # more to move: shut eyes are rare
        tgt = max(two, key=lambda t: ((Z[t] - Z[src]) / SCALE).abs().sum().item())
        near = (torch.arange(window) - window // 2 + tgt).clamp(0, len(Z) - 1)
        pair = frames[src].float() / 255, Z[src], frames[tgt].float() / 255, Z[near]
        if torch.randint(2, (1,), generator=noise):
            pair = pair[0].flip(-1), pair[1] * MIRRORED, pair[2].flip(-1), pair[3] * MIRRORED
        rows.append(pair)
    I_src, Z_src, I_tgt, Z_tgt = (torch.stack(column) for column in zip(*rows))
    return (
        I_src.to(memory_format=torch.channels_last),
        Z_src,
        I_tgt.to(memory_format=torch.channels_last),
        Z_tgt,
    )


@dataclass(frozen=True)
class Film:
    """Part of a film of one person as training asks for it: pictures (T, S, S, 3) uint8 and what
    was measured there."""

    pictures: np.ndarray
    Y: np.ndarray  # (T, 23)
    kind: str = "speech"

    def frames(self) -> np.ndarray:
        return self.pictures

    def animation(self) -> np.ndarray:
        return self.Y

    def truth(self) -> dict:
        raise InputError("nobody knows the exact motion of a person")


def one_person(video: str | Path, size: int) -> tuple[Film, Film]:
    """A film of one person -> its first four fifths to learn from, and the rest to see whether that
    helped.

    Raises InputError for a film that `vision.extract` cannot measure, or one under 4 s. Notebook:
    07_your_own_face.
    """
    from .faces.vision import extract

    found = extract(video, size)
    T = len(found["frames"])
    if T < 100:
        raise InputError(f"{video} is {T / FPS:.1f} s long: give 4 s or more of one person")
    cut = T * 4 // 5
    return tuple(
        Film(found["frames"][part], found["animation"][part]) for part in (np.s_[:cut], np.s_[cut:])
    )


def random_turns(batch: int, noise: torch.Generator) -> Tensor:
    """Affine maps (B, 2, 3) of a picture: turned by some 0.2 rad, up to a sixth larger or smaller,
    a little moved."""
    angle, size, shift = (
        torch.randn(batch, n, generator=noise) * s for n, s in ((1, 0.2), (1, 0.08), (2, 0.06))
    )
    size, shift = size.clamp(-0.16, 0.16) + 1, shift[..., None]  # (B, 1), (B, 2, 1)
    rows = torch.stack(
        [angle.cos() * size, -angle.sin() * size, angle.sin() * size, angle.cos() * size], dim=-1
    )
    return torch.cat([rows.view(batch, 2, 2), shift], dim=2)  # (B, 2, 3)
