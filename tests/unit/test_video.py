"""mp4 with sound out and in; a click stays in its frame."""

import numpy as np
import pytest

from dirfa_edu import audio
from dirfa_edu.files import InputError
from dirfa_edu.video import film_strip, read_mp4, write_mp4


def test_a_click_and_a_flash_stay_in_the_same_frame(tmp_path):
    frames = np.full((50, 64, 64, 3), 20, np.uint8)
    frames[17] = 230
    wave = np.random.default_rng(0).normal(0, 1e-3, 32000).astype(np.float32)
    wave[17 * 640 + 200 : 17 * 640 + 440] += np.hanning(240)  # in the middle of frame 17
    assert write_mp4(tmp_path / "x.mp4", iter(frames), wave) == 50
    seen, fps, heard = read_mp4(tmp_path / "x.mp4")
    assert fps == 25 and seen.shape == frames.shape
    assert seen.mean((1, 2, 3)).argmax() == 17
    assert np.abs(heard).argmax() // 640 == 17
    assert abs(len(heard) - 32000) <= 1024
    # the same click through the law of time of the audio features
    A = audio.frame_features(heard).reshape(-1, 20, 20).mean(2)
    assert A[17].argmax() in (9, 10, 11)


def test_pictures_survive_compression(tmp_path):
    y, x = np.mgrid[:64, :64]
    frames = np.stack([np.stack([x * 4, y * 4, np.full_like(x, 128)], -1)] * 5).astype(np.uint8)
    write_mp4(tmp_path / "x.mp4", frames)
    seen, _, sound = read_mp4(tmp_path / "x.mp4")
    assert sound is None
    assert np.abs(seen.astype(float) - frames).mean() < 4


def test_the_same_frames_give_the_same_bytes(tmp_path):
    frames = np.random.default_rng(0).integers(0, 255, (10, 32, 32, 3), np.uint8)
    wave = np.random.default_rng(1).normal(0, 0.1, 6400).astype(np.float32)
    for name in "abcdefgh":
        write_mp4(tmp_path / f"{name}.mp4", frames, wave)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_every_file_says_it_is_synthetic(tmp_path):
    import av

    write_mp4(tmp_path / "x.mp4", np.zeros((3, 32, 32, 3), np.uint8))
    with av.open(str(tmp_path / "x.mp4")) as container:
        assert container.metadata["comment"].startswith("synthetic")


def test_an_error_halfway_leaves_nothing(tmp_path):
    def frames():
        yield np.zeros((32, 32, 3), np.uint8)
        raise RuntimeError("the renderer fell over")

    with pytest.raises(RuntimeError):
        write_mp4(tmp_path / "x.mp4", frames())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "frames, word", [(np.zeros((0, 32, 32, 3)), "no frames"), (np.zeros((2, 31, 32, 3)), "even")]
)
def test_bad_frames(tmp_path, frames, word):
    with pytest.raises(InputError, match=word):
        write_mp4(tmp_path / "x.mp4", frames)


def test_unreadable_videos(tmp_path):
    (tmp_path / "x.mp4").write_text("no video")
    with pytest.raises(InputError, match="not a video"):
        read_mp4(tmp_path / "x.mp4")
    with pytest.raises(InputError, match="no video at"):
        read_mp4(tmp_path / "y.mp4")


def test_film_strip_shows_the_chosen_frames():
    stack = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    strip = film_strip([stack, stack + 100], frames=[2, 7])
    assert strip.shape == (8, 8, 3)
    assert strip[0, 0, 0] == 2 and strip[0, 4, 0] == 7 and strip[4, 4, 0] == 107
