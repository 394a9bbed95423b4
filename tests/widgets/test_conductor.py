"""The conductor: what it shows is what the networks do, and each of its settings is heard."""

import dataclasses
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from dirfa_edu import InputError, generate, load_pretrained
from dirfa_edu.animation import column
from dirfa_edu.course import conductor, explorers
from dirfa_edu.course.conductor import FRAME, FRAMES, PINS, SHIPPED, SPEECH
from dirfa_edu.files import load_tensors
from dirfa_edu.mapper import save_mapper, with_steepness
from dirfa_edu.video import SYNTHETIC, read_mp4

DEFAULT = {
    "speech": next(iter(SPEECH)),
    "pinned": "nothing",
    "slope": 1,
    "k": SHIPPED,
    "temperature": SHIPPED,
}


@pytest.fixture(scope="module")
def mapper():
    return load_pretrained("mapper")


@pytest.fixture(scope="module")
def A():
    return explorers._chapter_clip().features()


def bins_before(mapper, Y):
    """Y (T, 23) -> what the mapper is fed: int64 (1, T, 23)."""
    y = torch.from_numpy(mapper.discretizer.encode(Y))[None]
    return torch.cat([mapper.start(1), y[:, :-1]], dim=1)


def faces(**params):
    """The frames of the film strip, (7, 128, 128, 3)."""
    generator, portrait = conductor._face(conductor._clip(DEFAULT["speech"])[0].actor)
    Y = conductor.take(**DEFAULT | params).Y
    frames = conductor.render_frames(generator, portrait, Y, conductor.STRIP)
    return np.stack(list(frames)).astype(int)


def test_untouched_settings_are_the_shipped_system_bit_for_bit(mapper, A):
    shipped = generate(mapper, A, samples=1, seed=0)[0]
    assert np.array_equal(conductor.animate(**DEFAULT), shipped)
    assert np.array_equal(conductor.take(**DEFAULT).Y, shipped[:FRAMES])
    assert np.array_equal(generate(with_steepness(mapper, 1), A, samples=1, seed=0)[0], shipped)


def test_slope_zero_is_the_mask_of_style_none(mapper, A):
    plain = load_pretrained("mapper")
    plain.config = dataclasses.replace(plain.config, bias="none")
    flat, heard = with_steepness(mapper, 0), torch.from_numpy(A)[None, :FRAMES]
    shown = conductor.take(**DEFAULT | {"slope": 0})
    past = bins_before(mapper, shown.Y)
    assert torch.equal(flat.attention(heard, past), plain.attention(heard, past))
    assert np.array_equal(plain.attention(heard, past)[0, 0].numpy(), shown.W)
    assert np.array_equal(shown.Y, generate(plain, A[:FRAMES], samples=1, seed=0)[0])


def test_the_slopes_are_multiplied_and_nothing_else_changes(mapper, tmp_path):
    steep = with_steepness(mapper, 4)
    M, seen = mapper.mask(60), torch.isfinite(mapper.mask(60))
    assert torch.equal(steep.mask(60)[seen], 4 * M[seen]) and torch.equal(
        torch.isfinite(steep.mask(60)), seen
    )
    assert (
        steep.config.steepness == 4 * mapper.config.steepness
        and steep.head.weight is mapper.head.weight
    )
    files = [tmp_path / "plain.safetensors", tmp_path / "steep.safetensors"]
    for path, network in zip(files, (mapper, steep)):
        save_mapper(path, network)
    (plain, notes), (other, others) = map(load_tensors, files)
    config, steeper = json.loads(notes.pop("config")), json.loads(others.pop("config"))
    assert steeper.pop("steepness") == 4 * config.pop("steepness") and steeper == config
    assert notes == others and plain.keys() == other.keys()
    assert all(torch.equal(plain[name], other[name]) for name in plain)


@pytest.mark.parametrize("slope", [0, 1, 4])
@pytest.mark.parametrize("pinned", PINS)
def test_the_likelihood_shown_is_the_one_that_was_drawn_from(pinned, slope):
    shown = conductor.take(**DEFAULT | {"pinned": pinned, "slope": slope, "k": 1})
    assert shown.drawn == shown.logits.argmax()  # with k = 1 the likeliest bin is drawn


@pytest.mark.parametrize("speech", SPEECH)
@pytest.mark.parametrize("pinned", list(PINS)[1:])
def test_what_is_pinned_stays_where_it_was_pinned(mapper, speech, pinned):
    ((name, start, end, value),) = PINS[pinned]
    free, Y = (
        conductor.take(**DEFAULT | {"speech": speech, "pinned": each}).Y
        for each in ("nothing", pinned)
    )
    j, span = column(name), slice(round(25 * start), round(25 * end))
    assert np.abs(Y[span, j] - value).max() <= mapper.discretizer.width[j]
    assert np.abs(free[span, j] - value).max() > 10 * mapper.discretizer.width[j]
    assert span.start < FRAME < span.stop


@pytest.mark.parametrize("pinned", list(PINS)[1:])
def test_a_pin_moves_the_face_where_it_should(pinned):
    changed = np.abs(faces(pinned=pinned) - faces())[3].sum(-1)  # frame 17, (128, 128)
    # mouth, brows, eyes
    rows = {"AU12": slice(68, 100), "AU01": slice(35, 66), "AU45": slice(35, 66)}
    assert (changed[rows.get(pinned[:4], slice(20, 110)), 36:92] > 60).mean() > 0.04


def test_every_stop_changes_the_picture_and_the_words():
    explorer = explorers.conductor_explorer()
    settings = [
        explorer.default | {name: stop}
        for name, stops in explorer.domain.items()
        for stop in stops[1:]
    ]
    pictures = {explorer.picture(**each) for each in [explorer.default, *settings]}
    assert len(pictures) == 1 + len(settings)
    assert len({explorer.describe(**each) for each in settings}) == len(settings)
    assert max(map(len, pictures)) < 60_000  # a notebook keeps one of them
    assert all(Image.open(io.BytesIO(picture)).size == (900, 540) for picture in pictures)


def test_the_same_setting_gives_the_same_picture():
    explorer, setting = explorers.conductor_explorer(), DEFAULT | {"pinned": "AU12 = 3", "slope": 4}
    before = explorer.picture(**setting)
    conductor.take.cache_clear()
    assert explorers.conductor_explorer().picture(**setting) == before


def test_a_film_has_the_whole_clip_its_sound_and_its_label(tmp_path):
    import av

    setting = DEFAULT | {"speech": "real Austen", "pinned": "AU12 = 3"}
    path = conductor.write_film(tmp_path / "c.mp4", **setting)
    frames, fps, wave = read_mp4(path)
    clip, A = conductor._clip("real Austen")
    assert len(frames) == len(A) and fps == 25 and abs(len(wave) - len(clip.wave())) < 2048
    with av.open(str(path)) as container:
        assert container.metadata["comment"] == SYNTHETIC


def test_an_unknown_clip_or_temperature_is_refused():
    with pytest.raises(KeyError):
        conductor.draw_conductor(**DEFAULT | {"speech": "nobody"})
    with pytest.raises(InputError, match="temperatures must be above 0"):
        conductor.draw_conductor(**DEFAULT | {"temperature": 0})
