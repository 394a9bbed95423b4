"""Training examples: what one step of training sees of a clip.

For the mapper: windows of audio in other rooms and voices, with a corrupted history. For the
generator: pairs of frames.

Paper: 3.2.4, 3.3.1. Notebooks: 04_mapper, 05_generator.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from .animation import FPS, LIPS, N_ATTRIBUTES, UPPER, column
from .audio import NO_AUDIO
from .data.corpus import PROBE_TRAIN
from .data.pool import Pool
from .discretize import Discretizer
from .files import InputError
from .generator import SCALE

PADDED = -100  # the true bin where a window is longer than its clip

# How far fed-back bins are moved in training, as a share of D. Expression and pose lightly, and not
# in every frame, or rare expressions freeze.
HISTORY_NOISE = 0.003
HISTORY_NOISE_FRAMES = 0.4
# Lips strongly, so that they listen to the audio and not to themselves: in every frame, since a
# past that is exact now and then gives the rest away, with a strength of its own for each window,
# and drifting slowly, as the network's own errors do.
HISTORY_NOISE_LIPS = 0.15
HISTORY_DRIFT_LIPS = 0.25

# In a share of the windows one expression attribute is held from outside. Most of the others are
# its followers: they have drifted off by a share of D, or come from another clip.
PINNED_WINDOWS = 0.35
FOLLOWERS = 0.8
DRIFT_FOLLOWERS = 0.15

# Share of windows without audio, so that the network can also say what it would do without.
AUDIO_DROPPED = 0.1

# Other rooms and voices: the spread of level, of tilt over the mel axis, of shift in mel bands, of
# stretch, and of the noise on every number. Features are in 0..1.
LEVEL, TILT, SHIFT, STRETCH, HISS = 0.04, 0.06, 0.8, 0.07, 0.01


# ---- mapper: clips -------------------------------------------------------------------------------
def mapper_tracks(clips: list, measured: bool = False) -> list[tuple[np.ndarray, list[np.ndarray]]]:
    """Clips -> [(audio features (T, 400), [animations (T, 23)])], further draws with the motion.

    Where the corpus knows the exact motion it is taken, unless `measured` asks for the track as
    OpenFace would have seen it: a network learns to imitate measurement noise as faithfully as
    everything else.
    """
    out = []
    for clip in clips:
        A, truth = clip.features(), known_truth(clip)
        if measured or "clean" not in truth:
            seen = clip.animation()
        else:
            seen = np.asarray(truth["clean"], np.float32)
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
    """Clips -> (clips to train on, clips to validate on).

    Every 12th sentence is held out, whoever speaks it.
    """
    said = [clip.text or clip.name for clip in clips]
    sentences = list(dict.fromkeys(said))  # each once, in order
    chosen = set(sentences[::12])
    train = [clip for clip, text in zip(clips, said) if text not in chosen]
    validation = [clip for clip, text in zip(clips, said) if text in chosen]
    return train or clips, validation


def every_voice_alike(data: list, clips: list) -> list:
    """`data` of some clips, repeated for voices with few, so that all are heard about as often."""
    voices = [getattr(clip, "voice", "") for clip in clips]
    count = Counter(voices)
    most = max(count.values())
    out = []
    for pair, voice in zip(data, voices):
        out += [pair] * round(most / count[voice])
    return out


# ---- mapper: what one step sees ------------------------------------------------------------------
def mapper_batch(
    data: list, bins: Discretizer, batch: int, window: int, noise: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Random windows of data, [(features (T, 400), [bins (T, 23)])], made harder than they are.

    Returns A (B, T, 400), corrupted bins of the frames before (B, T, 23), true bins (B, T, 23),
    PADDED beyond a clip's end, and which attributes are marked as pinned (B, T, 23). Batches are of
    one size B = `batch`, T = `window`, and the same state of `noise` gives the same batch.
    Paper: 3.2.4. Notebook: 04_mapper.
    """
    A, y = draw_windows(data, bins, batch, window, noise)
    before, y = y[:, :-1].clamp(min=0), y[:, 1:]

    history = corrupted(before, bins, noise)
    held, others = hold_one(y, bins, noise)
    history, y = let_follow(others, history, before, y, bins, noise)

    # what lies before a clip's first frame is no bin, and stays the start token
    started = before < bins.bins
    y_previous = torch.where(started, history.clamp(0, bins.bins - 1), before)

    pinned = torch.zeros(y.shape, dtype=torch.bool)  # (B, T, 23)
    pinned[..., UPPER] = held
    A = without_audio(augment(A, noise), noise)
    return A, y_previous, y, pinned


def draw_windows(
    data: list, bins: Discretizer, batch: int, window: int, noise: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Windows of random clips -> A (B, T, 400) and bins y (B, T + 1, 23), one frame more.

    Row t of y belongs to frame t - 1: its first row is what came before the window. Beyond a
    clip's end A is 0 and y is PADDED.
    """

    def draw(n: int) -> int:
        return int(torch.randint(n, (1,), generator=noise))

    A = torch.zeros(batch, window, data[0][0].shape[1])
    y = torch.full((batch, window + 1, N_ATTRIBUTES), PADDED)
    for b in range(batch):
        features, tracks = data[draw(len(data))]
        track = tracks[draw(len(tracks))]
        first = draw(max(1, len(track) - window + 1))
        n = min(window, len(track) - first)

        A[b, :n] = features[first : first + n]
        y[b, 1 : n + 1] = track[first : first + n]
        y[b, 0] = track[first - 1] if first else bins.bins  # or the start token
    return A, y


def corrupted(before: Tensor, bins: Discretizer, noise: torch.Generator) -> Tensor:
    """The bins that are fed back (B, T, 23), moved: lips strongly and for long, others lightly.

    Trained on a past that is exact, a network copies it, and later copies its own errors.
    """
    B, T, _ = before.shape
    D, lips = bins.bins, len(LIPS)

    hit = torch.rand(B, T, 1, generator=noise) < HISTORY_NOISE_FRAMES
    spread = (HISTORY_NOISE * D * hit).repeat(1, 1, N_ATTRIBUTES)  # (B, T, 23), in bins
    strength = 2 * torch.rand(B, 1, 1, generator=noise)  # 1 on average
    spread[..., LIPS] = HISTORY_NOISE_LIPS * D * strength

    moved = before + (torch.randn(before.shape, generator=noise) * spread).round().long()
    moved[..., LIPS] += (HISTORY_DRIFT_LIPS * D * drift(B, lips, T, noise)).round().long()
    return moved


def hold_one(y: Tensor, bins: Discretizer, noise: torch.Generator) -> tuple[Tensor, Tensor]:
    """Which expression attribute is held from outside, and which are not: bool (B, T, upper) both.

    In some windows one is, rather an active one, from some frame on; elsewhere both are False. It
    is marked as pinned, and without the mark every past is natural, and so is what the network
    makes of it.
    """
    B, T, _ = y.shape
    since = torch.randint(1, T, (B, 1, 1), generator=noise)
    somewhere = torch.rand(B, 1, 1, generator=noise) < PINNED_WINDOWS
    now = somewhere & (since <= torch.arange(T)[:, None])  # (B, T, 1)

    active = y[..., UPPER].clamp(min=0).float().mean(1) / bins.bins  # (B, upper), 0..1
    chosen = torch.multinomial(active + 0.01, 1, generator=noise)  # (B, 1); any may be chosen
    leader = nn.functional.one_hot(chosen, len(UPPER)) > 0  # (B, 1, upper)
    return now & leader, now & ~leader


def let_follow(
    others: Tensor,
    history: Tensor,
    before: Tensor,
    y: Tensor,
    bins: Discretizer,
    noise: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """History and true bins (B, T, 23), where `others` (B, T, upper) are not held but another is.

    Most of the others get a past that has drifted off, or another clip's, and must go towards the
    truth at a natural speed. So cheeks learn to come after a pinned smile.
    """
    B, T, upper = others.shape
    D = bins.bins
    follow = others & (torch.rand(B, 1, upper, generator=noise) < FOLLOWERS)

    elsewhere = history.roll(1, 0)[..., UPPER]  # that of the window before it in the batch
    off = (DRIFT_FOLLOWERS * D * drift(B, upper, T, noise)).round().long()
    other_clip = torch.rand(B, 1, 1, generator=noise) < 0.5
    past = torch.where(other_clip, elsewhere, before[..., UPPER] + off).clamp(0, D - 1)

    # a third of the quickest natural move, in bins a frame
    speed = np.ceil(bins.speed / bins.width / 3)[UPPER].clip(1, D)
    speed = torch.from_numpy(speed).long()  # (upper,)
    true = y[..., UPPER]  # (B, T, upper)
    towards = past + (true - past).clamp(-speed, speed)

    history, y = history.clone(), y.clone()
    history[..., UPPER] = torch.where(follow, past, history[..., UPPER])
    y[..., UPPER] = torch.where(follow & (true >= 0), towards, true)
    return history, y


def drift(batch: int, attributes: int, window: int, noise: torch.Generator) -> Tensor:
    """Slow random curves (B, T, attributes) about 0, each window with a strength of 0..1."""
    knots = torch.randn(batch, attributes, window // 10 + 2, generator=noise)  # one in ten frames
    knots = knots * torch.rand(batch, 1, 1, generator=noise)
    curves = nn.functional.interpolate(knots, window, mode="linear")  # (B, attributes, T)
    return curves.transpose(1, 2)


def augment(A: Tensor, noise: torch.Generator) -> Tensor:
    """Other rooms and voices: a random level, tilt, shift and stretch along the mel axis.

    A (B, T, 400) -> the same shape; each window has a draw of its own. A longer or shorter vocal
    tract moves all resonances by a factor, so the stretch is another speaker.
    """
    B, T, _ = A.shape
    level, tilt, shift, stretch = (
        torch.randn(B, 1, generator=noise) * spread for spread in (LEVEL, TILT, SHIFT, STRETCH)
    )  # each (B, 1)
    band = torch.arange(20) - 9.5  # of 20 mel bands, seen from their middle

    # each new band is read between two old ones: a matrix with two weights in a column
    place = ((1 + stretch) * band + shift + 9.5).clamp(0, 19)  # (B, 20)
    below = place.long().clamp(max=18)
    upper_share = place - below
    weight = torch.zeros(B, 20, 20)  # (B, old, new)
    weight = weight.scatter(1, below[:, None], (1 - place + below)[:, None])
    weight = weight.scatter_add(1, below[:, None] + 1, upper_share[:, None])

    mel = A.view(B, T * 20, 20) @ weight  # (B, T * time, mel)
    mel = mel + (level + tilt * band / 9.5)[:, None]
    mel = mel + HISS * torch.randn(mel.shape, generator=noise)
    return mel.clamp(0, 1).view(B, T, -1)  # (B, T, 400)


def without_audio(A: Tensor, noise: torch.Generator) -> Tensor:
    """A (B, T, 400) with some whole windows of it not to be heard."""
    A[torch.rand(len(A), generator=noise) < AUDIO_DROPPED] = NO_AUDIO
    return A


# ---- generator: clips ----------------------------------------------------------------------------
class Footage(NamedTuple):
    """The pictures of one clip, and what was measured in them."""

    frames: Tensor  # uint8 (T, 3, S, S)
    Z: Tensor  # (T, 23)
    usable: Tensor  # int64 (n,): the frames in which something was measured


def read_footage(clip, size: int, first: int | None = None) -> Footage:
    """Decode a film of any size to `size` pixels, or its `first` frames alone.

    Attributes are without measurement noise where the corpus knows it.
    Raises InputError for a clip without film or track, or with fewer than two usable frames.
    """
    pictures, clean = clip.frames()[:first], known_truth(clip).get("clean")
    Z = np.asarray(clip.animation() if clean is None else clean, np.float32)
    T = min(len(pictures), len(Z))
    measured = clip.valid()[:T] if clean is None else np.ones(T, bool)
    usable = torch.from_numpy(np.flatnonzero(measured))
    if len(usable) < 2:
        raise InputError(f"{clip.name} has fewer than two frames in which the face was measured")

    frames = torch.from_numpy(pictures[:T]).permute(0, 3, 1, 2)  # (T, 3, H, W)
    return Footage(shrunk(frames, size), torch.from_numpy(Z[:T]), usable)


def training_footage(clip, size: int) -> Footage:
    """What may be trained on: `read_footage`, but of a probe only the first PROBE_TRAIN frames."""
    probe = getattr(clip, "kind", "") == "probe"
    return read_footage(clip, size, PROBE_TRAIN if probe else None)


def shrunk(frames: Tensor, size: int) -> Tensor:
    """Pictures uint8 (T, 3, H, W) -> (T, 3, size, size), in memory of their own."""
    if frames.shape[-2:] == (size, size):
        return frames.contiguous()
    parts = []
    for some in frames.split(32):  # as floats the whole film would be four times as large
        small = nn.functional.interpolate(some.float(), size=(size, size), mode="area")
        parts.append(small.round().to(torch.uint8))
    return torch.cat(parts)


def few_frames(footage: Footage, n: int = 6) -> Footage:
    """The first usable frame, a source, and `n` others, evenly over the clip: enough to look at."""
    usable = footage.usable
    others = torch.linspace(1, len(usable) - 1, n).long()
    chosen = torch.cat([usable[:1], usable[others]])
    return Footage(footage.frames[chosen], footage.Z[chosen], torch.arange(n + 1))


# ---- generator: what one step sees ---------------------------------------------------------------
# in the mirror a head turns, tilts and moves to the other side; Action Units have no sides
MIRRORED = torch.ones(N_ATTRIBUTES)
MIRRORED[[column("pose_Ry"), column("pose_Rz"), column("pose_Tx")]] = -1


def pair_batch(
    pool: Pool, batch: int, noise: torch.Generator, window: int = 1
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Random pairs of frames of one clip -> I_src, Z_src, I_tgt, Z_tgt; half of them in the mirror.

    `pool` gives `Footage`. Pictures are (B, 3, S, S) in 0..1, Z_src is (B, 23), and Z_tgt
    (B, window, 23), the frame between its neighbours.
    Paper: 3.3. Notebook: 05_generator.
    """
    pairs = [random_pair(pool.draw(), noise, window) for _ in range(batch)]
    I_src, Z_src, I_tgt, Z_tgt = (torch.stack(column) for column in zip(*pairs))
    # the layout in which convolutions are fastest
    I_src, I_tgt = (x.to(memory_format=torch.channels_last) for x in (I_src, I_tgt))
    return I_src, Z_src, I_tgt, Z_tgt


def random_pair(
    footage: Footage, noise: torch.Generator, window: int = 1
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One pair of frames: I_src (3, S, S), Z_src (23,), I_tgt, Z_tgt (window, 23)."""
    frames, Z, usable = footage
    three = torch.randint(len(usable), (3,), generator=noise)
    src, *two = usable[three].tolist()
    # of two targets the one with more to move: shut eyes are rare
    tgt = max(two, key=lambda t: ((Z[t] - Z[src]) / SCALE).abs().sum().item())
    near = (torch.arange(window) - window // 2 + tgt).clamp(0, len(Z) - 1)

    I_src, I_tgt = frames[src].float() / 255, frames[tgt].float() / 255
    Z_src, Z_tgt = Z[src], Z[near]
    if torch.randint(2, (1,), generator=noise):
        I_src, I_tgt = I_src.flip(-1), I_tgt.flip(-1)
        Z_src, Z_tgt = Z_src * MIRRORED, Z_tgt * MIRRORED
    return I_src, Z_src, I_tgt, Z_tgt


def random_turns(batch: int, noise: torch.Generator) -> Tensor:
    """Affine maps (B, 2, 3) of a picture: turned by some 0.2 rad, a little sized and moved.

    The size changes by a sixth at most, the place by some 6 % of half a picture.
    """
    angle = 0.2 * torch.randn(batch, 1, generator=noise)
    size = 1 + (0.08 * torch.randn(batch, 1, generator=noise)).clamp(-0.16, 0.16)
    shift = 0.06 * torch.randn(batch, 2, generator=noise)

    cos, sin = angle.cos() * size, angle.sin() * size  # (B, 1)
    turn = torch.stack([cos, -sin, sin, cos], dim=-1).view(batch, 2, 2)
    return torch.cat([turn, shift[..., None]], dim=2)  # (B, 2, 3)


# ---- generator: one person -----------------------------------------------------------------------
@dataclass(frozen=True)
class PersonFilm:
    """Part of a film of one person, as training asks for it; nobody knows its exact motion."""

    name: str
    pictures: np.ndarray  # uint8 (T, S, S, 3)
    Y: np.ndarray  # (T, 23)
    measured: np.ndarray  # bool (T,): where a face was found
    kind: str = "speech"

    def frames(self) -> np.ndarray:
        return self.pictures

    def animation(self) -> np.ndarray:
        return self.Y

    def valid(self) -> np.ndarray:
        return self.measured

    def truth(self) -> dict:
        raise InputError("nobody knows the exact motion of a person")


def one_person(video: str | Path, size: int) -> tuple[PersonFilm, PersonFilm]:
    """A film of one person -> its first four fifths to learn from, the rest to see if that helped.

    Raises InputError for a film that `vision.extract` cannot measure, or one under 4 s.
    Notebook: 07_your_own_face.
    """
    from .faces.vision import extract

    found = extract(video, size)
    T = len(found["frames"])
    if T < 4 * FPS:
        raise InputError(f"{video} is {T / FPS:.1f} s long: give 4 s or more of one person")

    def part(frames: slice) -> PersonFilm:
        Y, measured = found["animation"][frames], found["valid"][frames]
        return PersonFilm(str(video), found["frames"][frames], Y, measured)

    cut = T * 4 // 5
    return part(slice(cut)), part(slice(cut, None))
