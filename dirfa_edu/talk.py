"""The main job from end to end: one recording and one portrait in, several talking faces out.

Notebook: 00_tour.
"""

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
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
    generator: GenerationNetwork, portrait: np.ndarray, Z_src: np.ndarray | None = None
) -> Encoded:
    """A portrait (S, S, 3) uint8, made ready to be moved by attributes.

    `Z_src` (23,) are the attributes that the portrait shows; without them it is taken as neutral,
    and attributes count from what it shows.
    Paper: Eq. 6. Notebook: 05_generator.
    """
    shown = np.zeros(N_ATTRIBUTES) if Z_src is None else Z_src
    attributes = torch.as_tensor(shown, dtype=torch.float32)[None]  # (1, 23)
    with torch.inference_mode(), in_half():
        return generator.encode(to_tensor(portrait), attributes)


def measured_pose(portrait: np.ndarray) -> np.ndarray:
    """Attributes (23,) of a portrait (S, S, 3) uint8 that hold its head's angles, else zeros.

    With them as `Z_src` a pose of zero looks straight ahead, wherever the portrait looks.
    Raises InputError where no face is found. Notebook: 05_generator.
    """
    from .faces.geometry import pose_from_landmarks
    from .faces.vision import landmarks

    height, width = portrait.shape[:2]
    pose = pose_from_landmarks(landmarks(portrait[None]), (width, height))[0]  # (6,)
    angles = pose[:3]
    if not np.isfinite(angles).all():
        raise InputError(
            "no face is found in the portrait: absolute driving must measure its head pose"
        )
    Z_src = np.zeros(N_ATTRIBUTES, np.float32)
    Z_src[POSE[:3]] = angles
    return Z_src


def in_half() -> torch.autocast:
    """The number format pictures are drawn in: bfloat16 where the processor computes in it."""
    return torch.autocast("cpu", torch.bfloat16, enabled=cpu_has_bf16())


def render_frames(
    generator: GenerationNetwork,
    portrait: np.ndarray | Encoded,
    Y: np.ndarray,
    times: Sequence[int] | None = None,
) -> Iterator[np.ndarray]:
    """Yield frames (S, S, 3) uint8 of the portrait moved by an animation Y (T, 23).

    A few at a time are in memory. A portrait that is not encoded is taken as neutral: attributes
    are relative to it. `times` names the frames that are wanted. This is the one way in which films
    and figures are drawn: other numbers of frames at once are rounded otherwise.
    Paper: Eq. 6. Notebook: 05_generator.
    """
    source = portrait if isinstance(portrait, Encoded) else encode_portrait(generator, portrait)
    wanted = torch.as_tensor(Y, dtype=torch.float32)
    Z = attribute_windows(wanted, generator.config.window)  # (T, window, 23)
    if times is not None:
        Z = Z[list(times)]
    batch = min(BATCH, len(Z))

    def draw(some: torch.Tensor) -> np.ndarray:
        # batches of one size: in others a frame is rounded otherwise, and a still face would
        # flicker by one level
        filled = torch.cat([some, some[-1:].expand(batch - len(some), -1, -1)])
        with torch.inference_mode(), in_half():
            pictures = generator.render(source, filled)[: len(some)]  # (n, 3, S, S)
        pictures = (pictures.clamp(0, 1) * 255).round().byte()
        return pictures.permute(0, 2, 3, 1).numpy()  # (n, S, S, 3)

    for pictures in side_by_side(draw, Z.split(BATCH)):
        yield from pictures


def side_by_side(draw: Callable, batches: Sequence[torch.Tensor]) -> Iterator[np.ndarray]:
    """Yield draw(batch) of each batch, in order, drawn by as many threads as PyTorch may use.

    Each thread draws a batch alone. Threads that share every layer of one batch wait for each other
    at each of them: that gains less, and loses much where another program is busy.
    """
    threads = torch.get_num_threads()
    if threads == 1 or len(batches) == 1:
        yield from map(draw, batches)
        return

    ahead: deque[Future] = deque()
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        for batch in batches:
            ahead.append(pool.submit(draw, batch))
            if len(ahead) > threads:  # no more of the film than that is kept in memory
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        # the pool's threads set it for themselves, and for every thread that starts later
        torch.set_num_threads(threads)


def render_film(
    generator: GenerationNetwork,
    portrait: np.ndarray | Encoded,
    Y: np.ndarray,
    Z_src: np.ndarray | None = None,
    times: Sequence[int] | None = None,
) -> np.ndarray:
    """All frames (T, S, S, 3) uint8 of `render_frames`, of a portrait that shows `Z_src` (23,).

    Without `Z_src` the portrait is taken as neutral.
    """
    if not isinstance(portrait, Encoded):
        portrait = encode_portrait(generator, portrait, Z_src)
    return np.stack(list(render_frames(generator, portrait, Y, times)))


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
    film_strip.png and attributes.png. Returns {"files": paths, "seconds": {part: time},
    "animations": (samples, T, 23)}. The same seed gives the same files. "relative" driving takes
    the portrait as neutral, for "absolute" its pose is measured (`measured_pose`).
    `progress(title, iterable, total)` may show progress.
    Raises InputError before anything is written if speech, portrait or folder cannot be used.
    Paper: Fig. 1. Notebook: 00_tour.
    """
    laps = [("", time.perf_counter())]  # what ended when

    def lap(part: str) -> None:
        laps.append((part, time.perf_counter()))

    if samples < 1:
        raise InputError(f"give at least 1 sample, not {samples}")
    if driving not in ("relative", "absolute"):
        raise InputError(f"no driving {driving!r}: choose relative or absolute")
    progress = progress or (lambda title, items, total: items)

    wave = audio.load(speech)
    mapper = mapper or load_pretrained("mapper")
    generator = generator or load_pretrained("generator")
    picture = load_portrait(portrait, generator.config.size)
    Z_src = measured_pose(picture) if driving == "absolute" else None
    face = encode_portrait(generator, picture, Z_src)
    out = make_folder(out)
    lap("load")

    A = audio.frame_features(wave)  # (T, 400)
    lap("features")

    def watched(frames: Iterable) -> Iterable:
        return progress("animation", frames, len(A))

    animations = generate(mapper, A, samples, seed, top_k, temperature, progress=watched)
    lap("animation")

    files, strips = write_samples(out, animations, generator, face, wave, progress)
    lap("video")

    files += write_pictures(out, strips, animations)
    lap("pictures")
    seconds = {part: end - begin for (_, begin), (part, end) in zip(laps, laps[1:])}
    return {"files": files, "seconds": seconds, "animations": animations}


def write_samples(
    out: Path,
    animations: np.ndarray,
    generator: GenerationNetwork,
    face: Encoded,
    wave: np.ndarray,
    progress: Callable,
) -> tuple[list[Path], list[np.ndarray]]:
    """Write films and tracks of animations (samples, T, 23) while they are drawn.

    Returns the paths, and for each film the frames (n, S, S, 3) that a film strip shows.
    """
    files, strips = [], []
    for i, Y in enumerate(animations, start=1):
        film, track = out / f"sample_{i}.mp4", out / f"sample_{i}.csv"
        frames = progress(f"sample {i}", render_frames(generator, face, Y), len(Y))
        kept: list[np.ndarray] = []
        write_mp4(film, copy_some(frames, strip_times(len(Y)), kept), wave)
        write_openface(track, Y)
        files += [film, track]
        strips.append(np.stack(kept))
    return files, strips


def write_pictures(out: Path, strips: list[np.ndarray], animations: np.ndarray) -> list[Path]:
    """Write the films' strips (n, S, S, 3) under each other, and the tracks as curves."""
    from . import plots

    strip, lines = out / "film_strip.png", out / "attributes.png"
    save_png(strip, film_strip(strips, frames=list(range(len(strips[0])))))
    names = [f"sample {i}" for i in range(1, len(animations) + 1)]  # as the films are named
    plots.animation_lines(animations, path=lines, labels=names)
    return [strip, lines]


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
