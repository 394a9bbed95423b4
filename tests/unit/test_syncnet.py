"""The published SyncNet without its weights: layers, names, MFCCs and alignment."""

import numpy as np
import pytest
import torch
from torch import nn

from dirfa_edu.data.corpus import Corpus
from dirfa_edu.faces.sync import score
from dirfa_edu.files import InputError
from dirfa_edu.results import syncnet


def test_layers_have_the_published_names_and_shapes(tmp_path):
    network = syncnet.PublishedSyncNet().eval()
    with torch.inference_mode():
        assert network.video(torch.zeros(1, 3, 5, 224, 224)).shape == (1, 1024)
        assert network.audio(torch.zeros(2, 1, 13, 20)).shape == (2, 1024)
    shapes = {name: tuple(t.shape) for name, t in network.state_dict().items()}
    assert shapes["netcnnlip.0.weight"] == (96, 3, 5, 7, 7) and shapes["netcnnaud.0.weight"] == (
        64,
        1,
        3,
        3,
    )
    assert shapes["netcnnaud.18.weight"] == (512, 256, 5, 4) and shapes["netcnnlip.18.weight"] == (
        512,
        256,
        1,
        6,
        6,
    )
    assert shapes["netfcaud.3.weight"] == shapes["netfclip.3.weight"] == (1024, 512)
    torch.save(network.state_dict(), tmp_path / "syncnet_v2.model")
    loaded = syncnet.load_published(tmp_path / "syncnet_v2.model")
    assert (
        torch.equal(loaded.netfcaud[3].weight, network.netfcaud[3].weight) and not loaded.training
    )


def test_other_files_are_one_sentence(tmp_path):
    (tmp_path / "noise.model").write_bytes(b"\x00\xff" * 50)
    torch.save({"netcnnaud.0.weight": torch.zeros(3)}, tmp_path / "other.model")
    for name in ("missing.model", "noise.model", "other.model"):
        with pytest.raises(InputError, match=name):
            syncnet.load_published(tmp_path / name)


def test_mfcc_frame_by_frame_with_loops():
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, 2000)
    found = syncnet.mfcc(wave)
    assert found.shape == (11, 13)
    sharp = [32768 * (wave[i] - (0.97 * wave[i - 1] if i else 0)) for i in range(2000)]
    frame = np.array(sharp[3 * 160 : 3 * 160 + 400])
    power = [
        abs(sum(frame * np.exp(-2j * np.pi * k * np.arange(400) / 512))) ** 2 / 512
        for k in range(257)
    ]
    hz = [700 * (10 ** (m / 2595) - 1) for m in np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 28)]
    edges = [int(513 * f / 16000) for f in hz]
    energies = []
    for i in range(26):
        a, b, c = edges[i : i + 3]
        energies.append(
            sum(power[k] * (k - a) / (b - a) for k in range(a, b))
            + sum(power[k] * (c - k) / (c - b) for k in range(b, c))
        )
    for n in range(1, 13):
        cosine = np.sqrt(2 / 26) * sum(
            np.log(e) * np.cos(np.pi * n * (2 * i + 1) / 52) for i, e in enumerate(energies)
        )
        assert found[3, n] == pytest.approx(cosine * (1 + 11 * np.sin(np.pi * n / 22)), rel=1e-6)
    assert found[3, 0] == pytest.approx(np.log(sum(power)), rel=1e-6)


class Planted(nn.Module):
    """Sees how bright the middle of five frames is and hears how loud the middle of 0.2 s is."""

    def video(self, faces):
        return torch.tensor([[float(faces[0, :, 2].mean()) / 10, 0.0]])

    def audio(self, cepstra):
        return torch.tensor([[float(cepstra[0, 0, 0, 9:11].mean()), 0.0]])


@pytest.mark.parametrize("late", [-6, 0, 4])
def test_a_planted_lag_is_found(late):
    rng = np.random.default_rng(1)
    loud = rng.uniform(0, 1, 60)  # one loudness a frame
    wave = rng.standard_normal(60 * 640) * np.repeat(10 ** (-3 + 2 * loud), 640)
    heard = syncnet.mfcc(wave)[:, 0]
    # what the planted network hears
    level = np.array([heard[4 * t + 1 : 4 * t + 3].mean() for t in range(60)])
    faces = (
        np.repeat(np.roll(level, late) * 10, 224 * 224 * 3)
        .reshape(60, 224, 224, 3)
        .clip(0, 255)
        .astype(np.uint8)
    )
    confidence, offset = score(syncnet.published_distances(Planted(), faces, wave))
    assert offset == late and confidence > 0


def test_faces_fill_the_crop():
    frames = Corpus("samples").select(split="test", kind="speech", rendered=True)[0].frames()[:20]
    crops = syncnet.face_crops(frames)
    from dirfa_edu.faces.vision import landmarks

    L = landmarks(crops)[:, :, :2]
    assert crops.shape == (20, 224, 224, 3)
    assert 0.6 < np.ptp(L, axis=1).max(1).mean() / 224 < 0.8  # 1 / 1.4
    with pytest.raises(InputError):
        syncnet.face_crops(np.zeros((3, 64, 64, 3), np.uint8))
    with pytest.raises(InputError):
        syncnet.published_distances(Planted(), crops[:4], np.zeros(16000))
