"""The actor on strings: all settings draw, the newest wins, errors surface, rows are OpenFace's."""

import asyncio
import io
import itertools
import time

import numpy as np
import pytest
from PIL import Image

from dirfa_edu import ACTORS, Explorer, InputError, metrics
from dirfa_edu.animation import AUS, HEADER, POSES, read_openface, write_openface
from dirfa_edu.course import puppet


def points():
    """Every stop, the corners of all pairs at both ends of the pose, 200 seeded random points."""
    mirrored = {
        name: [0, *reversed(stops[1:])] if name in POSES else stops
        for name, stops in puppet.DOMAIN.items()
    }
    found = [
        point
        for domain, n in ((puppet.DOMAIN, 200), (mirrored, 0))
        for point in Explorer(puppet.draw_actor, **domain).points(n_random=n)
    ]
    once = {tuple(point.values()): point for point in found}.values()
    # one actor after the other: building one takes a while
    return sorted(once, key=lambda point: point["actor"])


def test_the_domain_covers_the_sliders_with_at_most_nine_stops():
    assert list(puppet.DOMAIN) == ["actor", *AUS, *POSES]
    assert all(2 <= len(stops) <= 9 for stops in puppet.DOMAIN.values())
    for name, (low, high, step) in puppet.RANGE.items():
        assert {low, high, 0} <= set(puppet.DOMAIN[name]) and step <= (high - low) / 50


def test_sweep(monkeypatch):
    monkeypatch.setattr(puppet, "SIZE", 48)  # the same geometry, three times as fast
    every, corners = points(), set()
    for point in every:
        corners |= set(itertools.combinations([item for item in point.items() if item[1]], 2))
        picture = puppet.draw_actor(**point)
        assert picture.shape == (48, 48, 3) and picture.dtype == np.uint8
        assert picture.std() > 10, point  # somebody is in the picture
        assert all(
            puppet.label(name) in puppet.describe(**point) for name in puppet.RANGE if point[name]
        )
    assert len(every) > 600
    for a, b in itertools.combinations(puppet.RANGE, 2):
        for x, y in itertools.product(
            *({puppet.RANGE[name][0], puppet.RANGE[name][1]} - {0} for name in (a, b))
        ):
            if a in AUS or (x < 0) == (y < 0):
                assert ((a, x), (b, y)) in corners


def test_each_attribute_moves_the_picture_where_it_should():
    still = puppet.draw_actor().astype(int)
    assert still.shape == (128, 128, 3)
    eyes, mouth = np.s_[35:66], np.s_[68:100]
    for name in puppet.RANGE:
        changed = np.abs(puppet.draw_actor(**{name: puppet.RANGE[name][1]}) - still).sum((1, 2))
        assert changed.sum() > 500, f"{name} does nothing"
        if name in ("AU01", "AU02", "AU04", "AU05", "AU07", "AU45"):
            assert changed[eyes].sum() > 4 * changed[mouth].sum(), name
        if name in ("AU14", "AU15", "AU20", "AU23", "AU25"):
            assert changed[mouth].sum() > 4 * changed[eyes].sum(), name


@pytest.mark.long
def test_sweep_of_the_generated_face():
    for point in points():
        picture = puppet.draw_generated(**point)
        assert picture.shape == (128, 128, 3) and picture.dtype == np.uint8
        assert picture.std() > 10, point


# one that training never saw, and one that it did
@pytest.mark.parametrize("actor", ["iris", "anna"])
def test_the_generated_face_is_the_actors_and_moves_as_told(actor):
    still, truth = puppet.draw_generated(actor), puppet.draw_actor(actor)
    assert metrics.psnr(truth, still) > 30
    for moved in (
        {"AU25": 3, "AU26": 3},
        {"AU45": 5},
        {"pose_Ry": 0.3},
        {"pose_Rz": -0.2},
        {"pose_Ty": 15},
    ):
        asked = puppet.draw_actor(actor, **moved)
        made = puppet.draw_generated(actor, **moved)
        assert metrics.psnr(asked, made) > metrics.psnr(asked, truth) + 1, moved


def test_a_generated_puppet_shows_both_faces():
    moving = puppet.Puppet("anna", generated=True)
    moving.sliders["AU26"].value = 4
    shown = np.asarray(Image.open(io.BytesIO(moving.image.value)), int)
    faces = [puppet.draw_generated("anna", AU26=4), puppet.draw_actor("anna", AU26=4)]
    assert shown.shape == (128, 256, 3)
    assert np.abs(shown - np.concatenate(faces, axis=1)).mean() < 3
    assert moving.image.layout.width == "600px"
    assert moving.words.value == "anna, AU26_r jaw drop 4.00"


def test_the_row_is_what_the_package_would_write(tmp_path):
    values = dict(AU12=3.456, AU45=5, pose_Ry=-0.12345, pose_Tz=-7.77)
    write_openface(
        tmp_path / "one.csv", puppet.attributes(**values)[None], offset=puppet.NEUTRAL_POSE
    )
    header, row = (tmp_path / "one.csv").read_text().splitlines()
    assert header.split(",") == HEADER and row.split(",") == puppet.csv_cells(**values)
    back = read_openface(tmp_path / "one.csv", absolute=True)[0]
    assert back[8] == pytest.approx(3.46) and back[22] == pytest.approx(542.2)


def test_moving_a_slider_changes_picture_words_and_row():
    moving = puppet.Puppet("iris")
    before = moving.image.value
    assert moving.words.value == moving.image.tooltip == "iris, neutral face"
    moving.sliders["AU12"].value = 5
    assert moving.image.value != before and moving.image.value[:2] == b"\xff\xd8"
    assert moving.words.value == moving.image.tooltip == "iris, AU12_r lip corner puller 5.00"
    assert "<b>  5.00,</b>" in moving.row.value and moving.row.value.count("<b>") == 1
    moving.buttons["neutral"].click()
    assert moving.image.value == before and moving.row.value.count("<b>") == 0
    moving.actor.value = "ben"
    assert moving.image.value != before and moving.words.value == "ben, neutral face"
    assert list(moving.actor.options) == list(ACTORS) and len(ACTORS) == 32


@pytest.mark.parametrize("name", puppet.EXPRESSIONS)
def test_an_expression_sets_all_sliders_and_draws_once(name):
    moving = puppet.Puppet("iris")
    moving.sliders["AU09"].value, moving.sliders["pose_Rx"].value = 4, 0.3
    drawn = moving.pictures
    moving.buttons[name].click()
    assert moving.pictures == drawn + 1
    assert {each: s.value for each, s in moving.sliders.items() if s.value} == puppet.EXPRESSIONS[
        name
    ]
    shown = np.asarray(Image.open(io.BytesIO(moving.image.value)), int)
    # a JPEG of just that face
    assert np.abs(shown - puppet.draw_actor(**puppet.EXPRESSIONS[name])).mean() < 3


def test_in_a_kernel_moves_that_wait_are_drawn_as_one_and_the_newest_wins():
    moving = puppet.Puppet("iris")

    async def drag():
        # one message after another, as a kernel reads them, faster than faces can be drawn
        for step in range(51):
            moving.sliders["AU26"].value = step / 10
            await asyncio.sleep(0)
        drawn = moving.pictures
        await asyncio.sleep(0.2)
        return drawn, moving.pictures

    drawn, last = asyncio.run(drag())
    assert drawn <= 5 and drawn < last <= drawn + 1
    assert moving.words.value == "iris, AU26_r jaw drop 5.00"


def test_an_error_is_raised_kept_and_shown(monkeypatch):
    moving = puppet.Puppet("iris")
    monkeypatch.setattr(puppet, "draw_actor", lambda actor, **values: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        moving.sliders["AU12"].value = 1
    assert isinstance(moving.error, ZeroDivisionError)
    assert "could not be drawn" in moving.words.value
    monkeypatch.undo()
    moving.sliders["AU12"].value = 2
    assert moving.error is None and "AU12" in moving.words.value


def test_an_error_in_a_kernel_reaches_the_loop_and_the_next_move_still_draws(monkeypatch):
    moving, seen = puppet.Puppet("iris"), []

    async def drag():
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: seen.append(context["exception"])
        )
        with monkeypatch.context() as broken:
            broken.setattr(puppet, "draw_actor", lambda actor, **values: 1 / 0)
            moving.sliders["AU12"].value = 1
            await asyncio.sleep(0.05)
        assert "could not be drawn" in moving.words.value
        moving.sliders["AU12"].value = 2
        await asyncio.sleep(0.2)

    asyncio.run(drag())
    assert isinstance(seen[0], ZeroDivisionError)
    assert moving.words.value == "iris, AU12_r lip corner puller 2.00"


@pytest.mark.parametrize("name", ["AU12", "pose_Ry"])
def test_a_moved_slider_costs_little_more_than_the_drawing(name):
    """The widget's own share; faces a second are the renderer's, which `make bench` prints."""
    moving = puppet.Puppet("anna")  # long hair: among the slowest to draw
    low, high, _ = puppet.RANGE[name]
    stops = np.linspace(low, high, 15)[1:]

    def drag():
        for value in stops:
            moving.sliders[name].value = value

    def bare():
        for value in stops:
            puppet.draw_actor("anna", **{name: value})

    seconds = {drag: [], bare: []}
    for _ in range(5):
        for run, kept in seconds.items():
            drawn, start = moving.pictures, time.process_time()
            run()
            kept.append(time.process_time() - start)
            assert moving.pictures - drawn == (len(stops) if run is drag else 0)
    assert np.median(seconds[drag]) < 1.6 * np.median(seconds[bare])


def test_show_gives_a_widget_and_small_multiples_with_alt_text(monkeypatch):
    shown = []
    monkeypatch.setattr(
        "IPython.display.display", lambda data, **options: shown.append((data, options))
    )
    puppet.Puppet("iris").show()
    data, options = shown[0]
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["image/jpeg"][:2] == b"\xff\xd8"
    assert "Action Units" in options["metadata"]["image/jpeg"]["alt"]
    titles = [ax.get_title() for ax in puppet.small_multiples("iris").axes]
    assert [au for au in AUS if f"{au}_r\n{puppet.MEANING[au]}" not in titles] == []


def test_unknown_names_are_refused_in_one_sentence():
    with pytest.raises(InputError, match="no actor 'nobody'"):
        puppet.Puppet("nobody")
    with pytest.raises(InputError, match="no attribute 'AU99'"):
        puppet.draw_actor(AU99=1)
