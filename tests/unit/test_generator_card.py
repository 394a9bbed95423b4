"""Figures of the generator, on networks whose figures are known: one copies, one is the actor."""

import numpy as np
import pytest
import torch

from dirfa_edu.data.corpus import Corpus
from dirfa_edu.examples import read_footage
from dirfa_edu.generator import Encoded, GeneratorConfig
from dirfa_edu.results import generator_card


class Copies:
    """A generator that gives the source back, whatever it is told."""

    config = GeneratorConfig()

    def encode(self, source, attributes):
        return Encoded((source,), None, None, attributes)

    def render(self, encoded, attributes):
        return encoded.features[0].expand(len(attributes), -1, -1, -1)


class Plays(Copies):
    """A generator that knows the film: it shows the frame whose attributes it is given."""

    def __init__(self, frames, Z):
        self.frames, self.Z = frames.float() / 255, Z

    def render(self, encoded, attributes):
        return self.frames[torch.cdist(attributes[:, 0], self.Z).argmin(1)]  # a window of one


@pytest.fixture(scope="module")
def probe():
    frames, Z, _ = read_footage(Corpus("samples").select(split="test", kind="probe")[0], 128)
    return frames[:12], Z[:12]


def test_copying_gains_nothing_and_truth_gains_all(probe):
    copied, played = (
        generator_card.random_figures(network, *probe, first=1)
        for network in (Copies(), Plays(*probe))
    )
    assert copied["PSNR, gain"] == copied["PSNR of the mouth, gain"] == 0
    assert copied["ACD to the source"] < 0.1 and played["PSNR"] == 60  # where inf is cut
    assert played["detail of eyes, ratio to truth"] == played["detail of hair, ratio to truth"] == 1
    assert played["ACD to the source"] == played["ACD to the source, truth"] > 0.1
    for angle in generator_card.ANGLES:
        assert played[f"r of {angle}"] == played[f"r of {angle}, truth"] > 0.8
        assert np.isnan(copied[f"r of {angle}"])


def test_poses_are_read_off_pictures_in_any_order(probe):
    """They are no film: a face must not be looked for where the picture before had it."""
    frames, Z = probe
    order = torch.tensor([0, 7, 3, 11, 5, 1, 9, 2, 10, 4, 8, 6])
    one, other = (
        generator_card.random_figures(Plays(f, z), f, z, first=1)
        for f, z in ((frames, Z), (frames[order], Z[order]))
    )
    assert all(
        abs(one[f"r of {angle}"] - other[f"r of {angle}"]) < 1e-6 for angle in generator_card.ANGLES
    )


def test_blur_is_found_in_eyes_and_hair(probe):
    frames, Z = probe
    smooth = torch.nn.functional.avg_pool2d(frames.float(), 3, 1, 1).round().to(torch.uint8)
    figures = generator_card.random_figures(Plays(smooth, Z), frames, Z, first=1)
    assert all(0 < figures[f"detail of {what}, ratio to truth"] < 0.6 for what in ("eyes", "hair"))


def test_a_film_of_speech_is_read_back_and_a_still_one_does_not_flicker():
    clip = Corpus("samples").select(split="test", kind="speech", rendered=True)[0]
    frames, Z, _ = read_footage(clip, 128)
    frames, Z = frames[:60], Z[:60]
    played, copied = (
        generator_card.speech_figures(network, frames, Z)
        for network in (Plays(frames, Z), Copies())
    )
    assert played["flicker, ratio to truth"] == 1 and copied["flicker, ratio to truth"] == 0
    assert played["flicker of a still face"] == 0
    assert played["PSNR of the source given back"] == np.inf
    assert played["PSNR"] == 60 and copied["PSNR, gain"] == 0
    for name in ("r of pose_Ry", "r of AU26"):
        assert played[name] == played[f"{name}, truth"] > 0.9


def test_a_frame_without_a_face_is_counted_as_one(probe):
    frames, _ = probe
    pictures = frames.permute(0, 2, 3, 1).numpy().copy()
    pictures[3] = 128
    found, share = generator_card.found_by_facemesh(pictures)
    assert found.shape == (12, 23) and share == 11 / 12


def test_truth_is_drawn_by_the_actor_and_is_what_the_film_shows():
    clip = Corpus("samples").select(split="test", kind="probe")[0]
    (drawn, Z), filmed = generator_card.played([clip], 128)[0], read_footage(clip, 128).frames
    assert drawn.shape == filmed.shape and drawn.dtype == filmed.dtype and len(Z) == len(drawn)
    drawn, filmed = (pictures.permute(0, 2, 3, 1).numpy() for pictures in (drawn, filmed))
    assert 30 < generator_card.psnr(drawn, filmed) < 50  # a video file loses a little


def test_boxes_hold_their_points_and_stay_in_the_picture():
    box = generator_card.box_about(np.array([[30.0, 40.0], [50.0, 44.0]]), 64, margin=0.5)
    assert box == (slice(38, 47), slice(20, 61))
    rows, columns = generator_card.box_about(np.array([[-20.0, -30.0], [-10.0, -25.0]]), 64)
    assert rows.start >= 0 and rows.stop - rows.start >= 3 and columns.stop <= 64


def test_psnr_of_a_box_sees_nothing_else():
    a, b = np.zeros((2, 8, 8, 3), np.uint8), np.zeros((2, 8, 8, 3), np.uint8)
    b[:, 4:, 4:] = 255
    assert generator_card.box_psnr(a, b, [np.s_[:4, :4]] * 2) == 60
    assert generator_card.box_psnr(a, b, [np.s_[4:, 4:]] * 2) == 0
