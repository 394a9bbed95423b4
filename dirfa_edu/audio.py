"""Speech in: 16 kHz samples -> log-mel spectrogram -> one feature window per video frame.

Frame t covers the time [t/25, (t+1)/25) s. Its window is the 20 mel frames 4t-8 .. 4t+11, 0.2 s
about the frame's middle, so A has 20 x 20 = 400 numbers a frame. The same rule is used for tracks,
video and audio.

Paper: 4.1. Notebook: 01_features.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np

from .animation import FPS
from .files import InputError

SAMPLE_RATE = 16000
N_FFT = 1280  # samples of one mel frame
HOP = 160  # samples from one mel frame to the next
N_MELS = 20
SAMPLES_PER_FRAME = SAMPLE_RATE // FPS  # 640
MELS_PER_FRAME = SAMPLES_PER_FRAME // HOP  # 4
WINDOW = 20  # mel frames in one feature window
BEFORE = 8  # of which this many start before the frame does
LEVEL = 0.1  # root mean square every recording is brought to
# a feature row of this value says "not heard"; real features are 0..1, and silence is 0
NO_AUDIO = -1.0
LOWEST, HIGHEST = 125, 7600  # Hz, of the mel filters
FLOOR = 100  # decibels between the loudest sound and what counts as silence


def load(path: str | Path, sr: int = SAMPLE_RATE) -> np.ndarray:
    """Load a sound file -> float32 (N,) mono at `sr` Hz.

    Stereo is averaged, other rates are resampled. Raises InputError for a missing, unreadable,
    empty or silent file, or one with values that are not numbers.
    Paper: 4.1. Notebook: 01_features.
    """
    import soundfile
    import soxr

    path = Path(path)
    if not path.is_file():
        raise InputError(f"no sound file at {path}")
    try:
        samples, rate = soundfile.read(str(path), dtype="float32", always_2d=True)  # (N, channels)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise InputError(
            f"{path} is not a sound file that can be read: give a wav, flac, ogg or mp3 file"
        ) from error

    if len(samples) == 0:
        raise InputError(f"{path} has no samples: record it again")
    if not np.isfinite(samples).all():
        raise InputError(
            f"{path} has samples that are not numbers (NaN or infinite): export it again"
        )

    wave = samples.mean(axis=1)  # (N,)
    if rate != sr:
        wave = soxr.resample(wave, rate, sr).astype(np.float32)
    if len(wave) < SAMPLES_PER_FRAME // 2:
        raise InputError(f"{path} is shorter than one video frame (40 ms): record something longer")
    if np.abs(wave).max() < 1e-4:
        raise InputError(f"{path} is silent: check the recording level")
    return np.ascontiguousarray(wave, np.float32)


def frame_count(samples: int) -> int:
    """Video frames that cover N samples at 16 kHz: T = ceil(N / 640).

    >>> frame_count(640), frame_count(641)
    (1, 2)
    """
    return -(-samples // SAMPLES_PER_FRAME)


@lru_cache(maxsize=1)
def mel_filters() -> np.ndarray:
    """The mel filter bank: float32 (20, 641), 125-7600 Hz."""
    import librosa

    filters = librosa.filters.mel(
        sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS, fmin=LOWEST, fmax=HIGHEST
    )
    return filters.astype(np.float32)


@lru_cache(maxsize=1)
def hann() -> np.ndarray:
    """The periodic Hann window of one mel frame: float32 (1280,)."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)).astype(np.float32)


def mel_frame(samples: np.ndarray) -> np.ndarray:
    """1280 samples -> 20 log-mel values in 0..1.

    Fourier amplitude, mel filters, decibels with a floor of -100. One frame at a time and never a
    whole file at once, so that a stream gives the same numbers to the last bit.
    Paper: 4.1. Notebook: 01_features.
    """
    amplitude = np.abs(np.fft.rfft(samples * hann()))  # (641,)
    mel = np.maximum(1e-5, mel_filters() @ amplitude)  # (20,)
    decibel = 20 * np.log10(mel) - 20  # a mel of 10 is the loudest
    return ((decibel + FLOOR) / FLOOR).clip(0, 1).astype(np.float32)


def log_mel(wave: np.ndarray, gain: float | None = None) -> np.ndarray:
    """Log-mel spectrogram of 16 kHz speech -> float32 (20, M) in 0..1, M = 1 + N // 160.

    The wave (N,) is first brought to RMS 0.1 (or multiplied by `gain`). Column m is centred on
    sample 160 m; beyond both ends there is silence. Paper: 4.1 (FFT 1280, hop 160, 20 mels).
    Notebook: 01_features.

    >>> log_mel(np.sin(np.arange(16000) * 0.1)).shape
    (20, 101)
    """
    wave = np.asarray(wave, np.float32)
    gain = loudness_gain(wave) if gain is None else gain
    padded = np.pad(wave * np.float32(gain), N_FFT // 2)
    starts = HOP * np.arange(1 + len(wave) // HOP)
    return np.stack([mel_frame(padded[s : s + N_FFT]) for s in starts], axis=1)  # (20, M)


def loudness_gain(wave: np.ndarray) -> float:
    """The factor that brings a wave to RMS 0.1."""
    rms = float(np.sqrt(np.mean(np.square(wave, dtype=np.float64))))
    return LEVEL / max(rms, 1e-6)


def frame_features(wave: np.ndarray, fps: int = FPS, gain: float | None = None) -> np.ndarray:
    """Audio features A of 16 kHz speech: float32 (T, 400), one window per video frame.

    Row t holds 20 mel frames of 20 mels, 4t-8 .. 4t+11, one after the other (time-major), edges
    repeated. T = ceil(N / 640). Raises InputError for another frame rate than 25.
    Paper: 4.1 ("the target frame time-step in the middle"). Notebook: 01_features.

    >>> frame_features(np.sin(np.arange(16000) * 0.1)).shape
    (25, 400)
    """
    if fps != FPS:
        raise InputError(
            f"the networks run at {FPS} frames a second, not {fps}: resample the video first"
        )
    mel = log_mel(wave, gain)  # (20, M)
    return mel_windows(mel.T, range(frame_count(len(wave))))  # (T, 400)


def mel_windows(mel: np.ndarray, frames: range) -> np.ndarray:
    """The windows of some video frames, cut from mel frames (M, 20) -> (n, 400), edges repeated."""
    first = MELS_PER_FRAME * np.array(frames, int)[:, None] - BEFORE  # (n, 1)
    index = (first + np.arange(WINDOW)).clip(0, len(mel) - 1)  # (n, 20)
    windows = mel[index]  # (n, 20, 20)
    return np.ascontiguousarray(windows.reshape(len(index), WINDOW * N_MELS))  # (n, 400)


class FeatureStream:
    """`frame_features` for speech that arrives in pieces: feed what there is, finish at the end.

    A window reaches 0.15 s beyond the start of its frame, so that is how late a frame comes out.
    `gain` stands for the loudness of the whole file, which a stream cannot know.
    Notebook: 01_features.

    >>> wave = np.sin(np.arange(5000) * 0.1)
    >>> stream = FeatureStream(gain=loudness_gain(wave))
    >>> pieces = [stream.feed(wave[:1700]), stream.feed(wave[1700:]), stream.finish()]
    >>> [len(piece) for piece in pieces]
    [0, 5, 3]
    >>> bool((np.concatenate(pieces) == frame_features(wave)).all())
    True
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = np.float32(gain)
        self.samples = 0  # heard so far
        self.frames = 0  # given out so far
        self.finished = False
        self.tail = np.zeros(N_FFT // 2, np.float32)  # samples whose mel frame is not yet complete
        self.mel = np.zeros((0, N_MELS), np.float32)  # mel frames that are still needed
        self.dropped = 0  # mel frames before them

    def feed(self, samples: np.ndarray) -> np.ndarray:
        """The next samples (any number, also none) -> the windows (n, 400) complete by now."""
        if self.finished:
            raise InputError("this stream is finished: start a new one")
        samples = np.asarray(samples, np.float32).ravel()
        self.samples += len(samples)
        self._hear(samples * self.gain)

        # of the last frame whose window is full; it ends WINDOW - BEFORE after the frame's start
        heard = self.dropped + len(self.mel)
        last = (heard - WINDOW + BEFORE) // MELS_PER_FRAME
        return self._windows(last + 1)

    def finish(self) -> np.ndarray:
        """The windows (n, 400) of the last frames, which reach beyond the end."""
        if not self.finished:
            self.finished = True
            self._hear(np.zeros(N_FFT // 2, np.float32))
        return self._windows(frame_count(self.samples))

    def _hear(self, samples: np.ndarray) -> None:
        """Make all mel frames that samples complete."""
        self.tail = np.concatenate([self.tail, samples])
        n = max(0, (len(self.tail) - N_FFT) // HOP + 1)
        new = [mel_frame(self.tail[HOP * m : HOP * m + N_FFT]) for m in range(n)]
        self.mel = np.concatenate([self.mel, *(row[None] for row in new)])
        self.tail = self.tail[HOP * n :]

    def _windows(self, ready: int) -> np.ndarray:
        """Windows of the frames up to `ready`; then forget mel frames that no later one needs."""
        frames = range(self.frames, max(ready, self.frames))
        first = self.dropped // MELS_PER_FRAME  # the video frame that self.mel begins with
        out = mel_windows(self.mel, range(frames.start - first, frames.stop - first))
        self.frames = frames.stop

        needed_from = self.frames - BEFORE // MELS_PER_FRAME
        spare = max(0, needed_from - first) * MELS_PER_FRAME
        self.mel = self.mel[spare:]
        self.dropped += spare
        return out
