"""Which frame belongs to which sound: signs, the score by hand, and a network that learns it from a
toy."""

import numpy as np
import pytest
import torch

from dirfa_edu import metrics
from dirfa_edu.faces import sync
from dirfa_edu.faces.geometry import canonical_face
from dirfa_edu.files import InputError


class Matching:
    """A perfect SyncNet for clips that carry one number a frame, in the picture's and the sound's
    middle."""

    @staticmethod
    def encode(x):
        phase = x.flatten()[:, None] * torch.arange(1, 9)
        return torch.nn.functional.normalize(torch.cat([phase.cos(), phase.sin()], 1), dim=1)

    def video(self, windows):
        return self.encode(windows[:, 2, 0, 0])

    def audio(self, windows):
        return self.encode(windows[:, 0])


def toy(frames=120, seed=0):
    """A number a frame as crops (T, 48, 48) uint8 and features (T, 400), as video_windows will
    scale it."""
    value = np.random.default_rng(seed).integers(0, 256, frames).astype(np.uint8)
    crops = np.repeat(value, 48 * 48).reshape(frames, 48, 48)
    scaled = sync.video_windows(crops)[:, 2, 0, 0].numpy()
    A = np.zeros((frames, 400), np.float32)
    A[2:-2, 0] = scaled
    return crops, A


@pytest.mark.parametrize("late", [0, 1, 4, -6, 15, -15])
def test_offset_is_positive_when_the_picture_is_late(late):
    crops, A = toy()
    A = np.roll(A, -late, axis=0)  # the sound now comes `late` frames earlier than its picture
    d = sync.distances(Matching(), crops, A)
    assert d.shape == (31,) and sync.score(d)[1] == late
    assert d.min() == pytest.approx(0, abs=1e-3)


def test_score_by_hand():
    d = np.full(31, 1.2)
    d[15], d[16] = 0.5, 0.7
    assert sync.score(d) == (pytest.approx(0.7), 0)
    assert sync.score(np.ones(31))[0] == 0  # nothing stands out: no confidence


def test_windows_are_centred_and_lighting_drops_out():
    crops = np.random.default_rng(0).integers(0, 128, (20, 48, 48), dtype=np.uint8)
    windows = sync.video_windows(crops)
    assert windows.shape == (16, 5, 48, 48)
    scaled = (crops.astype(np.float32) - crops.mean()) / (crops.std(ddof=1) + 1e-3)
    assert np.allclose(windows[0, 2], scaled[2], atol=1e-4)  # row i is about frame i + 2
    assert torch.allclose(sync.video_windows(crops * 2), windows, atol=1e-3)


def test_mouth_crop_is_fixed_to_the_skull():
    """A dot on the nose stays where it is in the crop whatever the head does; a chin that drops
    moves down."""
    V = canonical_face()["vertices"]

    def crop(roll=0.0, at=(80, 70), drop=0.0):
        L = V.copy()
        L[[152, 17, 14], 1] += drop
        turn = np.array(
            [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
        )
        L = (0.6 * L @ turn.T + [*at, 0]).astype(np.float32)
        frame = np.zeros((160, 160, 3), np.uint8)
        x, y = L[17, :2].round().astype(int)
        frame[y - 1 : y + 2, x - 1 : x + 2] = 255
        found = np.argwhere(sync.mouth_crops(frame[None], L[None])[0] > 60)
        return found.mean(0)

    assert crop(roll=0.5, at=(90, 90)) == pytest.approx(crop(), abs=1.2)
    assert crop(drop=15)[0] > crop()[0] + 5


def clips_of_mouths(n, frames=150, seed=0):
    """A dark ellipse that opens with the loudness of the sound, with other light and noise in each
    clip."""
    rng, clips = np.random.default_rng(seed), []
    y, x = np.mgrid[-1:1:48j, -1:1:48j]
    for _ in range(n):
        loud = np.convolve(rng.random(frames + 20), np.ones(5) / 5, "same")[10:-10]
        loud = ((loud - loud.min()) / np.ptp(loud)).astype(np.float32)
        light = rng.uniform(0.6, 1)
        pictures = [
            light * np.where((x / 0.7) ** 2 + (y / (0.1 + 0.6 * v)) ** 2 < 1, 40, 180) for v in loud
        ]
        pictures = np.stack(pictures) + rng.normal(0, 5, (frames, 48, 48))
        # 4 mel frames a picture
        mel = np.interp(np.arange(frames * 4 + 40) / 4 - 5, np.arange(frames), loud)
        index = np.arange(frames)[:, None] * 4 + np.arange(20) + 12
        A = np.repeat(mel[index], 20).reshape(frames, 400) + rng.normal(0, 0.02, (frames, 400))
        clips.append((pictures.clip(0, 255).astype(np.uint8), A.astype(np.float32)))
    return clips


@pytest.fixture(scope="module")
def trained():
    return sync.train_sync(clips_of_mouths(6, 100), steps=22, batch=(4, 12), seed=0)


def test_learns_to_find_the_offset_of_unseen_clips(trained):
    figures = sync.accuracy(trained, clips_of_mouths(3, 100, seed=9))
    assert figures["within_one_frame"] >= 0.9
    assert figures["confidence"] > 2 * figures["confidence_wrong_sound"]
    untrained = sync.accuracy(sync.SyncNet().eval(), clips_of_mouths(1, 100, seed=9))
    assert untrained["within_one_frame"] < 0.5


def test_same_seed_same_network(trained):
    a, b = (sync.train_sync(clips_of_mouths(2), steps=2, batch=(2, 8), seed=3) for _ in range(2))
    assert all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values()))


def test_saved_and_loaded_it_measures_the_same(trained, tmp_path):
    sync.save_sync(tmp_path / "sync.safetensors", trained)
    assert (tmp_path / "sync.safetensors").stat().st_size < 4e6
    again, (crops, A) = sync.load_sync(tmp_path / "sync.safetensors"), clips_of_mouths(1)[0]
    assert np.allclose(
        sync.distances(again, crops, A), sync.distances(trained, crops, A), atol=5e-3
    )


def test_bad_input_is_one_sentence(tmp_path, trained):
    crops, A = toy(30)
    with pytest.raises(InputError, match="36 frames"):
        sync.distances(trained, crops, A)
    with pytest.raises(InputError, match="60 frames"):
        sync.train_sync([(crops, A)], steps=1)
    with pytest.raises(InputError, match="no SyncNet at"):
        sync.load_sync(tmp_path / "none.safetensors")
    with pytest.raises(InputError, match="face"):
        metrics.sync(np.zeros((40, 64, 64, 3), np.uint8), np.zeros(25600, np.float32))
    torch_file = tmp_path / "other.safetensors"
    from dirfa_edu.files import save_tensors

    save_tensors(torch_file, {"a": torch.zeros(2)}, {})
    with pytest.raises(InputError, match="does not hold a SyncNet"):
        sync.load_sync(torch_file)


def test_the_shipped_network_hears_a_rendered_clip_in_sync():
    from dirfa_edu import Corpus

    clips = Corpus("samples").select(split="test", kind="speech", rendered=True)
    clip = min((c for c in clips if c.seconds > 3), key=lambda c: c.seconds)
    frames, wave = clip.frames(), clip.wave()
    crops, A, network = sync.mouth_crops(frames), clip.features(), sync.load_sync()
    confidence, offset = metrics.sync(frames, wave)
    assert (confidence, offset) == sync.score(sync.distances(network, crops, A))
    assert abs(offset) <= 1 and confidence > 0.1
    late = np.concatenate([crops[:1].repeat(5, 0), crops[:-5]])
    assert abs(sync.score(sync.distances(network, late, A))[1] - 5) <= 1
