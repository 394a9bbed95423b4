"""mp4 with sound in and out, and film strips: many frames as one picture.

Every file written here carries a "synthetic" note in its metadata. Notebook: 00_tour.
"""

from pathlib import Path
from typing import Iterable, Sequence

import numpy as np

from .animation import FPS
from .audio import SAMPLE_RATE
from .files import InputError, atomic_path

SYNTHETIC = "synthetic: made by dirfa_edu, not a recording of a person"


def write_mp4(
    path: str | Path,
    frames: Iterable[np.ndarray],
    wave: np.ndarray | None = None,
    sr: int = SAMPLE_RATE,
    fps: int = FPS,
    crf: int = 18,
) -> int:
    """Write frames (H, W, 3) uint8 and mono sound (N,) as H.264 + AAC; return how many frames.

    Frames may be a generator: one is held at a time. H and W are even. The file appears whole or
    not at all.
    Raises InputError for no frames, odd sizes, or a path that cannot be written.
    Notebook: 00_tour.
    """
    import av

    count = 0
    with (
        atomic_path(path) as temporary,
        av.open(str(temporary), "w", options={"movflags": "+faststart"}) as container,
    ):
        container.metadata["comment"] = SYNTHETIC
        picture = sound = None
        for frame in frames:
            frame = np.ascontiguousarray(frame, np.uint8)
            if picture is None:  # streams are declared before the first packet is written
                picture = _picture_stream(container, frame.shape, fps, crf)
                if wave is not None:
                    sound = container.add_stream("aac", rate=sr, layout="mono")
            # converted here: the encoder's own conversion does not give the same bytes every time
            coloured = av.VideoFrame.from_ndarray(frame, format="rgb24")
            container.mux(picture.encode(coloured.reformat(format="yuv420p")))
            count += 1
        if picture is None:
            raise InputError(f"no frames to write to {path}")
        container.mux(picture.encode())  # what the encoder still holds

        if sound is not None:
            _write_sound(container, sound, np.asarray(wave, np.float32), sr)
    return count


def _picture_stream(container, shape: tuple[int, ...], fps: int, crf: int):
    """A stream of H.264 for frames of `shape` (H, W, 3). Raises InputError for odd sizes."""
    height, width = shape[:2]
    if height % 2 or width % 2:
        raise InputError(f"video frames need even sizes, not {width} x {height}")
    stream = container.add_stream("libx264", rate=fps)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.thread_count = 1  # faster than several for pictures this small, and repeatable
    stream.options = {"crf": str(crf), "preset": "veryfast"}
    return stream


def _write_sound(container, stream, wave: np.ndarray, sr: int) -> None:
    """Encode mono sound in pieces of one AAC frame."""
    import av

    length = 1024  # samples in an AAC frame
    for start in range(0, len(wave), length):
        samples = wave[None, start : start + length]  # (1, length)
        piece = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        piece.sample_rate, piece.pts = sr, start
        container.mux(stream.encode(piece))
    container.mux(stream.encode())


def read_mp4(
    path: str | Path, sr: int = SAMPLE_RATE
) -> tuple[np.ndarray, float, np.ndarray | None]:
    """Read a video -> frames (T, H, W, 3) uint8, frames a second, and mono sound (N,) or None.

    The sound comes at `sr` Hz.
    Raises InputError for a missing file, or one without a video stream. Notebook: 07_your_own_face.
    """
    import av

    path = Path(path)
    if not path.is_file():
        raise InputError(f"no video at {path}")
    frames, pieces = [], []
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise InputError(f"{path} has no video stream: give an mp4 or webm file")
            fps = float(container.streams.video[0].average_rate or FPS)
            resampler = av.AudioResampler("flt", "mono", sr)

            streams = container.streams.video[:1] + container.streams.audio[:1]
            for frame in container.decode(*streams):
                if isinstance(frame, av.VideoFrame):
                    frames.append(frame.to_ndarray(format="rgb24"))
                elif isinstance(frame, av.AudioFrame):
                    pieces += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
            if container.streams.audio:  # what the resampler still holds
                pieces += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    except (av.FFmpegError, IndexError) as error:
        raise InputError(f"{path} is not a video that can be read ({error})") from error
    if not frames:
        raise InputError(f"{path} has no frames")
    wave = np.concatenate(pieces).astype(np.float32) if pieces else None
    return np.stack(frames), fps, wave


def film_strip(
    stacks: list[np.ndarray], columns: int = 12, frames: Sequence[int] | None = None
) -> np.ndarray:
    """Stacks of frames (T, H, W, 3) as a picture: a row for each, `columns` frames evenly in time.

    `frames` names the frames to show instead. Returns uint8 (rows * H, columns * W, 3).
    Notebook: 00_tour.

    >>> film_strip([np.zeros((50, 8, 8, 3), np.uint8)] * 3, columns=5).shape
    (24, 40, 3)
    """
    T = min(len(stack) for stack in stacks)
    if frames is None:
        frames = np.linspace(0, T - 1, columns).round().astype(int).tolist()
    rows = [np.concatenate([stack[t] for t in frames], axis=1) for stack in stacks]
    return np.concatenate(rows, axis=0)


def read_sound(path: str | Path, sr: int = SAMPLE_RATE) -> np.ndarray:
    """The sound of a film or m4a file: mono float32 (N,) at `sr` Hz, the pictures are not decoded.

    Raises InputError for a file that cannot be read or has no sound.
    """
    import av

    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise InputError(
                    f"{path} has no sound track: put a wav of the same name beside its CSV"
                )
            resampler = av.AudioResampler("flt", "mono", sr)
            pieces = []
            for frame in container.decode(audio=0):
                pieces += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
            pieces += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    except av.FFmpegError as error:
        raise InputError(f"{path} is not a film or sound that can be read ({error})") from error
    return np.concatenate(pieces).astype(np.float32)
