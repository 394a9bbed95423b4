"""Audio windows: one rule of time for audio, tracks and video."""

import numpy as np
import pytest
import soundfile

from dirfa_edu import audio
from dirfa_edu.files import InputError


def click_at(second: float, seconds: float = 2.0) -> np.ndarray:
    wave = np.full(int(seconds * 16000), 1e-4, np.float32)
    wave[int(second * 16000)] = 1.0
    return wave


@pytest.mark.parametrize("frame", [1, 17, 30])
def test_a_click_lands_in_the_middle_of_its_own_frames_window(frame):
    A = audio.frame_features(click_at((frame + 0.5) / 25))
    energy = A.reshape(-1, 20, 20).mean(2)  # (T, 20) mel frames of each window
    loud = (A > A.min() + 0.1).any(1)
    assert loud[frame]
    # the click is at mel frame 4 * frame + 2, place 10 of the window that begins at 4 * frame - 8
    weights = np.maximum(energy[frame] - np.median(energy[0]), 0)
    assert abs((weights * np.arange(20)).sum() / weights.sum() - 10) < 1


def test_windows_hold_mel_frames_4t_minus_8_to_4t_plus_11():
    wave = np.random.default_rng(0).normal(size=16000).astype(np.float32)
    mel, A = audio.log_mel(wave), audio.frame_features(wave)
    for t in (0, 1, 2, 10, 24):
        for place in range(20):
            m = min(max(4 * t - 8 + place, 0), mel.shape[1] - 1)
            assert np.array_equal(A[t, 20 * place : 20 * place + 20], mel[:, m])


@pytest.mark.parametrize("n, T", [(1, 1), (640, 1), (641, 2), (16000, 25), (16001, 26)])
def test_frame_count_is_the_ceiling(n, T):
    assert audio.frame_count(n) == T


def test_mel_of_a_tone_peaks_where_the_filter_bank_says():
    tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype(np.float32)
    mel = audio.log_mel(tone)[:, 20:80].mean(1)
    bins = np.linspace(0, 8000, 641)
    assert mel.argmax() == audio.mel_filters()[:, np.argmin(abs(bins - 1000))].argmax()


def test_loudness_does_not_matter_but_silence_stays_dark():
    wave = np.random.default_rng(1).normal(size=16000).astype(np.float32)
    assert np.allclose(audio.log_mel(wave), audio.log_mel(wave * 0.01), atol=1e-4)
    mel = audio.log_mel(np.r_[wave, np.zeros(16000, np.float32)])
    assert mel[:, -50:].max() == 0 and mel[:, 20:50].mean() > 0.5


def test_stereo_8_khz_is_converted(tmp_path):
    t = np.arange(8000) / 8000
    soundfile.write(tmp_path / "x.wav", np.stack([np.sin(2 * np.pi * 440 * t)] * 2, 1), 8000)
    wave = audio.load(tmp_path / "x.wav")
    assert wave.ndim == 1 and abs(len(wave) - 16000) < 10
    spectrum = np.abs(np.fft.rfft(wave))
    assert abs(spectrum.argmax() * 16000 / len(wave) - 440) < 2


@pytest.mark.parametrize(
    "name, samples, word",
    [
        ("empty.wav", np.zeros(0), "no samples"),
        ("silent.wav", np.zeros(16000), "silent"),
        ("nan.wav", np.full(16000, np.nan), "not numbers"),
        ("one.wav", np.ones(1), "shorter"),
    ],
)
def test_bad_recordings_are_named_in_one_sentence(tmp_path, name, samples, word):
    soundfile.write(tmp_path / name, samples, 16000, subtype="FLOAT")
    with pytest.raises(InputError, match=word) as error:
        audio.load(tmp_path / name)
    assert name in str(error.value) and "\n" not in str(error.value)


def test_a_text_file_is_not_a_recording(tmp_path):
    (tmp_path / "x.wav").write_text("hello")
    with pytest.raises(InputError, match="not a sound file"):
        audio.load(tmp_path / "x.wav")


def test_log_mel_is_librosas():
    import librosa

    wave = np.random.default_rng(0).normal(size=20_000).astype(np.float32) * np.linspace(
        0, 1, 20_000, dtype=np.float32
    )
    gain = audio.loudness_gain(wave)
    amplitude = np.abs(
        librosa.stft(wave * gain, n_fft=1280, hop_length=160, center=True, pad_mode="constant")
    )
    bank = librosa.filters.mel(sr=16000, n_fft=1280, n_mels=20, fmin=125, fmax=7600)
    decibel = librosa.amplitude_to_db(bank @ amplitude, ref=10.0, amin=1e-5, top_db=None)
    assert np.allclose(audio.log_mel(wave), (decibel / 100 + 1).clip(0, 1), atol=1e-5)


@pytest.mark.parametrize("pieces", [[1], [159, 161, 640], [3000], [0, 640, 10_000, 7]])
@pytest.mark.parametrize("length", [1, 639, 640, 5000, 16_000, 33_333])
def test_a_stream_gives_the_same_bits_in_pieces_of_any_size(pieces, length):
    if pieces == [1]:
        length = min(length, 5000)  # one sample at a time is slow, and the same over and over
    wave = np.random.default_rng(length).normal(size=length).astype(np.float32) * 0.1
    stream, got, at, i = audio.FeatureStream(audio.loudness_gain(wave)), [], 0, 0
    while at < length:
        n = pieces[i % len(pieces)]
        got.append(stream.feed(wave[at : at + n]))
        at, i = at + n, i + 1
    got.append(stream.finish())
    assert np.array_equal(np.concatenate(got), audio.frame_features(wave))
    assert len(stream.finish()) == 0
    with pytest.raises(InputError, match="finished"):
        stream.feed(wave)


def test_a_stream_waits_150_ms_and_keeps_no_past():
    stream, wave = (
        audio.FeatureStream(),
        np.random.default_rng(0).normal(size=160_000).astype(np.float32),
    )
    # after each 10 ms
    arrived = np.cumsum([len(stream.feed(piece)) for piece in wave.reshape(-1, 160)])
    assert all(
        n == max(0, (160 * (i + 1) - 2400) // 640 + 1) for i, n in enumerate(arrived) if i >= 14
    )
    assert len(stream.mel) < 40 and len(stream.tail) < 1600
