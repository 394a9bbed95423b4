"""The runs that chapter 05 shows: the slips are those the chapter speaks of, and what is stored
belongs together."""

import importlib.util
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dirfa_edu import losses
from dirfa_edu.files import data_path
from dirfa_edu.generator import SCALE


@pytest.fixture(scope="module")
def tool():
    path = Path(__file__).parents[2] / "tools" / "ablate_generator.py"
    spec = importlib.util.spec_from_file_location("ablate_generator", path)
    spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
    return module


def test_a_slip_stands_in_for_the_right_loss_and_then_goes(tool):
    real, fake, z = torch.tensor([0.9, 0.4]), torch.tensor([0.3, 0.1]), torch.zeros(1, 23)
    right = losses.lsgan_discriminator(real, fake)
    with tool.slip("Eq. 8 as printed"):
        printed = losses.lsgan_discriminator(real, fake)
    torch.testing.assert_close(printed, 0.5 * (real**2).mean() + 0.5 * ((1 - fake) ** 2).mean())
    assert printed != right == losses.lsgan_discriminator(real, fake)
    off = torch.ones(1, 23)
    with tool.slip("raw millimetres in Eq. 10"):
        raw = losses.attribute(None, off, z)
    torch.testing.assert_close(raw, SCALE.square().sum())
    assert losses.attribute(None, off, z) == 23


def test_every_term_is_switched_off_once_and_every_run_is_stored_with_its_faces(tool):
    switched_off = {term for term in tool.SWITCHED_OFF.values() if term}
    assert switched_off == set(asdict(losses.Lambdas()))
    stored = json.loads(data_path("results", "generator_ablation.json").read_text())
    assert list(stored["runs"]) == [*tool.SWITCHED_OFF, *tool.SLIPS]
    faces = np.asarray(Image.open(data_path("pictures", "generator_ablation.png")))
    assert faces.shape == (64 * len(tool.FACES), 64 * (2 + len(stored["runs"])), 3)
    # (columns, 192, 64, 3)
    runs = faces.reshape(64 * len(tool.FACES), -1, 64, 3).transpose(1, 0, 2, 3)
    assert all((a != b).any() for a, b in zip(runs, runs[1:]))
