"""Speech in: 16 kHz samples -> log-mel spectrogram -> one feature window per video frame.

Frame t covers the time [t/25, (t+1)/25) s. Its window is the 20 mel frames 4t-8 .. 4t+11, 0.2 s about the frame's
middle, so A has 20 x 20 = 400 numbers a frame. The same rule is used for tracks, video and audio.

Paper: 4.1. Notebook: 01_features.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np

from .animation import FPS
from .files import InputError

SAMPLE_RATE = 16000
N_FFT = 1280
HOP = 160
N_MELS = 20
SAMPLES_PER_FRAME = SAMPLE_RATE // FPS  # 640
MELS_PER_FRAME = SAMPLES_PER_FRAME // HOP  # 4
WINDOW = 20  # mel frames in one feature window
BEFORE = 8  # of which this many start before the frame does
LEVEL = 0.1  # root mean square every recording is brought to


def load(path: str | Path, sr: int = SAMPLE_RATE) -> np.ndarray:
    """Load a sound file -> float32 (N,) mono at `sr` Hz. Stereo is averaged, other rates are resampled.

    Raises InputError for a missing, unreadable, empty or silent file, or one with values that are not numbers.
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
        raise InputError(f"{path} is not a sound file that can be read: give a wav, flac, ogg or mp3 file") from error
    if len(samples) == 0:
        raise InputError(f"{path} has no samples: record it again")
    if not np.isfinite(samples).all():
        raise InputError(f"{path} has samples that are not numbers (NaN or infinite): export it again")
    wave = samples.mean(axis=1)
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

    return librosa.filters.mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS, fmin=125, fmax=7600).astype(np.float32)


def log_mel(wave: np.ndarray, gain: float | None = None) -> np.ndarray:
    """Log-mel spectrogram of 16 kHz speech -> float32 (20, M) in 0..1, M = 1 + N // 160.

    The wave (N,) is first brought to RMS 0.1 (or multiplied by `gain`), then short-time Fourier amplitude, mel filters
    and decibels with a floor of -100 dB are scaled to 0..1. Column m is centred on sample 160 m.
    Paper: 4.1 (FFT 1280, hop 160, 20 mels). Notebook: 01_features.

    >>> log_mel(np.sin(np.arange(16000) * 0.1)).shape
    (20, 101)
    """
    import librosa

    wave = np.asarray(wave, np.float32)
    gain = loudness_gain(wave) if gain is None else gain
    amplitude = np.abs(librosa.stft(wave * gain, n_fft=N_FFT, hop_length=HOP, center=True, pad_mode="constant"))
    decibel = 20 * np.log10(np.maximum(1e-5, mel_filters() @ amplitude)) - 20
    return ((decibel + 100) / 100).clip(0, 1).astype(np.float32)


def loudness_gain(wave: np.ndarray) -> float:
    """The factor that brings a wave to RMS 0.1."""
    return LEVEL / max(float(np.sqrt(np.mean(np.square(wave, dtype=np.float64)))), 1e-6)


def frame_features(wave: np.ndarray, fps: int = FPS, gain: float | None = None) -> np.ndarray:
    """Audio features A of 16 kHz speech: float32 (T, 400), one window of 20 mel frames x 20 mels per video frame.

    Row t holds mel frames 4t-8 .. 4t+11 one after the other (time-major), edges repeated. T = ceil(N / 640).
    Raises InputError for another frame rate than 25.
    Paper: 4.1 ("the target frame time-step in the middle"). Notebook: 01_features.

    >>> frame_features(np.sin(np.arange(16000) * 0.1)).shape
    (25, 400)
    """
    if fps != FPS:
        raise InputError(f"the networks run at {FPS} frames a second, not {fps}: resample the video first")
    mel = log_mel(wave, gain)  # (20, M)
    T = frame_count(len(wave))
    index = MELS_PER_FRAME * np.arange(T)[:, None] + np.arange(-BEFORE, WINDOW - BEFORE)  # (T, 20)
    windows = mel[:, index.clip(0, mel.shape[1] - 1)]  # (20 mels, T, 20 frames)
    return np.ascontiguousarray(windows.transpose(1, 2, 0).reshape(T, WINDOW * N_MELS))  # (T, 400)
