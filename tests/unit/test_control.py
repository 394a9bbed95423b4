"""Control: what is asked for happens exactly, nothing jumps, and the rest reacts."""

import numpy as np
import pytest
import torch

from dirfa_edu.animation import GROUPS, column
from dirfa_edu.control import BLINK_SHAPE, EYES_OPEN, Control, Controller
from dirfa_edu.data.corpus import Corpus
from dirfa_edu.discretize import Discretizer
from dirfa_edu.files import InputError
from dirfa_edu.mapper import MapperConfig, MappingNetwork
from dirfa_edu.metrics import ebr
from dirfa_edu.sampling import generate
from dirfa_edu.training import load_pretrained

AU12, AU45 = column("AU12"), column("AU45")
A = np.random.default_rng(0).random((100, 400)).astype(np.float32)


@pytest.fixture(scope="module")
def toy():
    torch.manual_seed(0)
    net = MappingNetwork(MapperConfig(bins=100, tau=6, d_model=32, layers=2, heads=4)).eval()
    net.discretizer = Discretizer(
        np.r_[np.zeros(17), np.full(6, -1.0)],
        np.r_[np.full(17, 5.0), np.full(6, 1.0)],
        100,
        np.full(23, 0.3),
    )
    return net


@pytest.fixture(scope="module")
def shipped():
    """The shipped mapper and the features of three test clips."""
    clips = Corpus("samples").select(split="test", kind="speech")[::9][:3]
    return load_pretrained("mapper"), [clip.features() for clip in clips]


def test_a_pin_holds_exactly_and_the_past_knows_nothing_of_it(toy):
    free, pinned = (
        generate(toy, A, 2, seed=2, control=c) for c in (None, Control(pins=[("AU12", 2, 3, 3.0)]))
    )
    assert np.abs(pinned[:, 50:75, AU12] - 3.0).max() <= 0.025 + 1e-6  # half a bin
    # led there in 3 / .3 = 10 frames, 5 at most from the far side
    assert np.array_equal(free[:, :30], pinned[:, :30])
    others = [j for j in range(23) if j != AU12]
    assert (free[:, 51:75][..., others] != pinned[:, 51:75][..., others]).any()


def test_around_a_pin_the_value_stays_within_natural_steps_of_it(toy):
    Y = generate(toy, A, 4, seed=2, control=Control(pins=[("AU12", 2, 3, 3.0)]))[..., AU12]
    for away in range(1, 8):
        for frame in (50 - away, 74 + away):
            assert np.abs(Y[:, frame] - 3.0).max() <= 0.3 * away + 0.05


def test_two_pins_close_together_are_both_kept(toy):
    control = Control(
        pins=[("AU12", 1.0, 1.2, 5.0), ("AU12", 1.24, 1.6, 0.0), ("AU04", 0, 0.5, 2.0)]
    )
    Y = generate(toy, A, 2, control=control)
    assert (Y[:, 25:30, AU12] > 4.9).all() and (Y[:, 31:40, AU12] < 0.1).all()
    assert np.abs(Y[:, 0:12, column("AU04")] - 2).max() < 0.03


@pytest.mark.long
def test_edges_of_a_pin_are_natural_steps(shipped):
    mapper, audio = shipped
    tracks = [
        clip.truth()["clean"]
        for clip in Corpus("samples").select(split="train", kind="speech")[::5]
    ]
    for name, value in (("AU12", 3.0), ("AU01", 2.0), ("pose_Ry", 0.2), ("pose_Rx", -0.1)):
        j = column(name)
        steps = np.abs(np.concatenate([np.diff(track[:, j]) for track in tracks]))
        natural = np.quantile(steps[steps > 0], 0.99)
        for features in audio:
            Y = generate(
                mapper, features, 4, seed=1, control=Control(pins=[(name, 1.0, 1.6, value)])
            )[..., j]
            edges = np.abs(np.diff(Y, axis=1))[:, [24, 39]]  # into frame 25 and out of frame 39
            assert edges.max() <= 1.1 * natural + mapper.discretizer.width[j]


@pytest.mark.long
def test_the_rest_of_the_face_reacts_to_a_pin(shipped):
    """In the law a smile brings the cheeks along; the network has learnt it, nobody told the
    control."""
    mapper, audio = shipped
    cheek = column("AU06")
    pulled, free = (
        [
            generate(mapper, features, 8, seed=4, control=c, engine="fast")[:, 30:70, cheek].mean()
            for features in audio
        ]
        for c in (Control(pins=[("AU12", 1.0, 3.0, 3.0)]), None)
    )
    assert np.mean(pulled) > np.mean(free) + 0.2


@pytest.mark.slow
def test_a_pull_is_a_preference(toy):
    free = generate(toy, A, 8, seed=5)[:, 40:60, AU12]
    weak, strong = (
        generate(toy, A, 8, seed=5, control=Control(pulls=[("AU12", 1.2, 3.0, 4.0, width)]))[
            :, 40:60, AU12
        ]
        for width in (2.0, 0.2)
    )
    assert np.abs(strong - 4).mean() < np.abs(weak - 4).mean() < np.abs(free - 4).mean()
    assert np.abs(strong - 4).mean() < 0.3 and weak.std() > strong.std() > 0


def test_a_pull_fades_in_and_out(toy):
    controller = Controller(Control(pulls=[("AU12", 2, 3, 4.0, 0.5)]), toy.discretizer)
    strength = [
        float(controller.steer(t, torch.zeros(1, 23, 100)).abs().sum()) for t in range(35, 95)
    ]
    assert strength[:6] == [0] * 6 and strength[15] == max(strength) and strength[-11:] == [0] * 11
    assert all(b > a for a, b in zip(strength[5:15], strength[6:16]))


@pytest.mark.slow
def test_scale_and_offset_change_what_comes_out_and_nothing_else(toy):
    free = generate(toy, A, 2, seed=6)
    Y = generate(
        toy, A, 2, seed=6, control=Control(scale={"pose": 0.5, "AU12": 2.0}, offset={"AU04": 1.0})
    )
    assert np.allclose(Y[..., 17:], free[..., 17:] / 2)
    assert np.allclose(Y[..., AU12], np.minimum(2 * free[..., AU12], 5))
    assert np.allclose(Y[..., column("AU04")], np.minimum(free[..., column("AU04")] + 1, 5))
    same = [j for j in range(17) if j not in (AU12, column("AU04"))]
    assert np.array_equal(Y[..., same], free[..., same])


def test_scheduled_blinks_happen_and_no_others(toy):
    Y = generate(toy, A, 4, seed=7, control=Control(blinks=[0.8, 2.4]))[..., AU45]
    for frame in (20, 60):
        assert np.abs(Y[:, frame - 3 : frame + 5] - BLINK_SHAPE).max() < 0.06
    away = np.ones(100, bool)
    away[17:25] = away[57:65] = False
    assert Y[:, away].max() <= EYES_OPEN + 0.05
    assert all(ebr(y) * 4 == pytest.approx(2) for y in Y)
    assert all(ebr(y) == 0 for y in generate(toy, A, 2, control=Control(blinks=[]))[..., AU45])


@pytest.mark.slow
def test_a_prefix_is_kept_and_continued(toy):
    start = generate(toy, A, 1, seed=11)[0, :30]
    Y = generate(toy, A, 3, seed=8, control=Control(prefix=start))
    assert np.allclose(Y[:, :30], start, atol=1e-6)
    again = generate(toy, A, 1, seed=8, control=Control(prefix=start))[0]
    assert np.array_equal(again, Y[0]) and (Y[0, 30:] != Y[1, 30:]).any()
    other = generate(toy, A, 1, seed=8, control=Control(prefix=5 - start))[0]
    assert (other[30:36] != again[30:36]).any()  # what follows depends on what came before


def test_a_control_of_nothing_changes_nothing(toy):
    assert np.array_equal(
        generate(toy, A, 2, seed=1, control=Control()), generate(toy, A, 2, seed=1)
    )


def test_control_works_without_probability_too():
    torch.manual_seed(0)
    net = MappingNetwork(
        MapperConfig(bins=100, tau=6, d_model=32, layers=1, heads=4, probabilistic=False)
    ).eval()
    net.discretizer = Discretizer(np.zeros(23), np.full(23, 5.0), 100)
    Y = generate(
        net, A, 1, control=Control(pins=[("AU12", 1, 2, 3.0)], pulls=[("AU01", 0, 1, 2.0, 0.1)])
    )
    assert np.abs(Y[0, 25:50, AU12] - 3).max() < 0.03


@pytest.mark.parametrize(
    "settings, word",
    [
        (dict(pins=[("AU99", 0, 1, 1)]), "AU99"),
        (dict(pins=[("AU12", 2, 1, 1)]), "before it begins"),
        (dict(pins=[("AU12", -3, -1, 1)]), "before it begins"),
        (dict(pins=[("AU12", 0, 1, 6)]), "0 to 5"),
        (dict(pins=[("AU12", 0, 1, float("nan"))]), "numbers"),
        (dict(pulls=[("AU12", 0, 1, 2.0, 0.0)]), "width"),
        (dict(scale={"nose": 2}), "nose"),
        (dict(offset={"lips": float("inf")}), "numbers"),
        (dict(blinks=[float("nan")]), "seconds"),
        (dict(prefix=np.zeros((3, 22))), "23"),
    ],
)
def test_a_control_that_makes_no_sense_is_one_sentence(settings, word):
    with pytest.raises(InputError, match=word) as error:
        Control(**settings)
    assert "\n" not in str(error.value)


def test_every_group_can_be_scaled():
    for group in GROUPS:
        Control(scale={group: 0.5})
