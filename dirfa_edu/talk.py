"""The main job from end to end: one recording and one portrait in, several talking faces out.

Notebook: 00_tour.
"""

import time
from pathlib import Path
from typing import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch

from . import audio
from .animation import N_ATTRIBUTES, POSE, write_openface
from .files import InputError, make_folder, save_png
from .generator import Encoded, GenerationNetwork, attribute_windows
from .runs import cpu_has_bf16
from .sampling import generate
from .training import load_pretrained
from .video import film_strip, write_mp4

BATCH = 8  # frames rendered at once


def load_portrait(path: str | Path, size: int) -> np.ndarray:
    """Read a picture, cut its middle square and bring it to `size` px -> (size, size, 3) uint8.

    Raises InputError for a file that is missing or no picture. Notebook: 00_tour.
    """
    from PIL import Image, UnidentifiedImageError

    path = Path(path)
    if not path.is_file():
        raise InputError(f"no portrait at {path}")
    try:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise InputError(
            f"{path} is not a picture that can be read: give a png or jpg portrait"
        ) from error
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    picture = picture.crop((left, top, left + side, top + side))
    if side != size:
        picture = picture.resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def to_tensor(pictures: np.ndarray) -> torch.Tensor:
    """uint8 (..., S, S, 3) -> float (B, 3, S, S) in 0..1."""
    pictures = np.array(pictures, ndmin=4)
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255  # (B, 3, S, S)


def encode_portrait(
    generator: GenerationNetwork, portrait: np.ndarray, driving: str = "relative"
) -> Encoded:
    """A portrait (S, S, 3) uint8, made ready to be moved by attributes.

    "relative" driving takes it as neutral: a head pose counts from the one it shows. For "absolute"
    its own angles are measured, and a pose of zero looks straight ahead. Raises InputError for
    another word, or where no face is found.
    Notebook: 05_generator.
    """
    if driving not in ("relative", "absolute"):
        raise InputError(f"no driving {driving!r}: choose relative or absolute")
    Z_src = torch.zeros(1, N_ATTRIBUTES)
    if driving == "absolute":
        from .faces.geometry import pose_from_landmarks
        from .faces.vision import landmarks

        angles = pose_from_landmarks(landmarks(portrait[None]), portrait.shape[1::-1])[0, :3]
        if not np.isfinite(angles).all():
            raise InputError(
                "no face is found in the portrait: absolute driving must measure its head pose"
            )
        Z_src[0, POSE[:3]] = torch.from_numpy(angles).float()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=cpu_has_bf16()):
        return generator.encode(to_tensor(portrait), Z_src)


def render_frames(
    generator: GenerationNetwork,
    portrait: np.ndarray | Encoded,
    Y: np.ndarray,
    times: Sequence[int] | None = None,
) -> Iterator[np.ndarray]:
    """Yield frames (S, S, 3) uint8 of the portrait moved by an animation Y (T, 23), a few at a time
    in memory.

    The portrait is taken as neutral: attributes are relative to it. `times` names the frames that
    are wanted.
    Paper: Eq. 6. Notebook: 05_generator.
    """
    fast = torch.autocast("cpu", torch.bfloat16, enabled=cpu_has_bf16())
    source = portrait if isinstance(portrait, Encoded) else encode_portrait(generator, portrait)
    # (T, window, 23)
    Z = attribute_windows(torch.as_tensor(Y, dtype=torch.float32), generator.config.window)
    Z = Z if times is None else Z[list(times)]
    for some in Z.split(BATCH):
        # batches of one size: in others a frame is rounded otherwise, and a still face would
        # flicker by one level
        whole = torch.cat([some, some[-1:].expand(min(BATCH, len(Z)) - len(some), -1, -1)])
        with torch.inference_mode(), fast:
            pictures = generator.render(source, whole)[: len(some)]
        # no context is held open over a yield: it would leak into the caller
        yield from (pictures.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()


def talk(
    speech: str | Path,
    portrait: str | Path,
    out: str | Path = "demo",
    samples: int = 3,
    seed: int = 0,
    top_k: float | dict | None = None,
    temperature: float | dict | None = None,
    driving: str = "relative",
    progress: Callable | None = None,
    mapper=None,
    generator=None,
) -> dict:
    """Make `samples` talking faces of one portrait for one recording; files go to the folder `out`.

    Writes sample_1.mp4 ... (H.264 with the speech, 25 fps), sample_1.csv ... (OpenFace columns),
    film_strip.png and attributes.png. Returns {"files": paths, "seconds": {step: time},
    "animations": (samples, T, 23)}. The same seed gives the same files. `driving` is that of
    `encode_portrait`; `progress(title, iterable, total)` may show progress.
    Raises InputError before anything is written if speech, portrait or folder cannot be used.
    Paper: Fig. 1. Notebook: 00_tour.
    """
    from . import plots

    seconds, tick = {}, time.perf_counter()

    def lap(name: str) -> None:
        nonlocal tick
        seconds[name], tick = time.perf_counter() - tick, time.perf_counter()

    if samples < 1:
        raise InputError(f"give at least 1 sample, not {samples}")
    progress = progress or (lambda title, items, total: items)
    wave = audio.load(speech)
    mapper, generator = (
        mapper or load_pretrained("mapper"),
        generator or load_pretrained("generator"),
    )
    face = encode_portrait(generator, load_portrait(portrait, generator.config.size), driving)
    out = make_folder(out)
    lap("load")
    A = audio.frame_features(wave)  # (T, 400)
    lap("features")
    animations = generate(
        mapper,
        A,
        samples,
        seed,
        top_k,
        temperature,
        progress=lambda frames: progress("animation", frames, len(A)),
    )
    lap("animation")
    files, stacks = [], []
    for i, Y in enumerate(animations, start=1):
        kept: list[np.ndarray] = []
        frames = progress(f"sample {i}", render_frames(generator, face, Y), len(Y))
        write_mp4(out / f"sample_{i}.mp4", copy_some(frames, strip_times(len(Y)), kept), wave)
        write_openface(out / f"sample_{i}.csv", Y)
        stacks.append(np.stack(kept))
        files += [out / f"sample_{i}.mp4", out / f"sample_{i}.csv"]
    lap("video")
    strip, lines = out / "film_strip.png", out / "attributes.png"
    save_png(strip, film_strip(stacks, frames=list(range(len(stacks[0])))))
    plots.animation_lines(animations, path=lines)
    lap("pictures")
    return {"files": files + [strip, lines], "seconds": seconds, "animations": animations}


def copy_some(
    frames: Iterable[np.ndarray], times: list[int], kept: list[np.ndarray]
) -> Iterator[np.ndarray]:
    """Pass frames on, keeping those at `times` for the film strip."""
    for t, frame in enumerate(frames):
        if t in times:
            kept.append(frame)
        yield frame


def strip_times(T: int, columns: int = 12) -> list[int]:
    """The frames a film strip shows: evenly over the clip, or all of a very short one."""
    return sorted({int(t) for t in np.linspace(0, T - 1, min(columns, T)).round()})
