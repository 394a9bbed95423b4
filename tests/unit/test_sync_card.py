"""The figures by which a SyncNet is judged."""

import pytest
import torch

from dirfa_edu.faces.sync import SyncNet, save_sync
from dirfa_edu.results.sync_card import evaluate_sync

FEW = 6  # of the filmed test clips: most of the time goes into finding mouths in their films


@pytest.mark.parametrize("clips", [FEW, pytest.param(None, marks=pytest.mark.long)])
def test_the_shipped_syncnet_finds_known_shifts_and_knows_its_own_sound(clips):
    figures = evaluate_sync(clips=clips)
    assert figures["sound moved by up to 8 frames, found to the frame"] >= 0.95
    assert figures["own sound against shuffled, area under ROC"] >= 0.95


def test_a_syncnet_that_knows_nothing_finds_nothing(tmp_path):
    torch.manual_seed(0)
    save_sync(tmp_path / "sync.safetensors", SyncNet())
    figures = evaluate_sync(tmp_path / "sync.safetensors", farthest=1, clips=FEW)
    assert figures["sound moved by up to 1 frames, found to the frame"] < 0.4
    assert 0.2 < figures["own sound against another clip's, area under ROC"] < 0.8
