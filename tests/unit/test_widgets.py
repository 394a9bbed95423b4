"""The Explorer: errors surface, the sweep visits what it says, the flip-book stands alone."""

import html
import json
import re

import numpy as np
import pytest

from dirfa_edu import plots
from dirfa_edu.course.widgets import Explorer
from dirfa_edu.video import write_mp4


def draw(a, b=0):
    fig, ax = plots.new(width=2, height=1.5)
    ax.plot([0, a], [0, float(b != 0)])
    return fig


def explorer():
    return Explorer(draw, "a line to {a}, b {b}", a=[1, 2, 3], b=[0, 1])


def test_the_sweep_visits_every_stop_and_every_corner_once():
    points = Explorer(draw, a=list(range(9)), b=list(range(9))).points(n_random=200)
    visited = {(point["a"], point["b"]) for point in points}
    assert len(visited) == len(points)
    assert {(a, 0) for a in range(9)} | {(0, b) for b in range(9)} | {
        (0, 8),
        (8, 0),
        (8, 8),
    } <= visited
    assert len(points) > 60  # 200 seeded random points on 81 places
    assert points == Explorer(draw, a=list(range(9)), b=list(range(9))).points(n_random=200)


def test_the_sweep_finds_an_error_in_one_corner_and_names_it():
    def faulty(a, b):
        return draw(a) if (a, b) != (3, 1) else 1 / 0

    with pytest.raises(RuntimeError, match=r"'a': 3, 'b': 1.*division"):
        Explorer(faulty, a=[1, 2, 3], b=[0, 1]).sweep(n_random=0)


def test_moving_a_control_changes_picture_and_words():
    slider, other, image, words, _ = explorer().controls().children
    before = image.value
    slider.value = 3
    assert image.value != before and words.value == "a line to 3, b 0"
    slider.value = 1
    assert image.value == before and other.value == 0


def test_an_error_in_draw_is_raised_kept_and_shown():
    faulty = Explorer(lambda a: draw(a) if a < 2 else 1 / 0, a=[1, 2])
    slider, image, words, _ = faulty.controls().children
    with pytest.raises(ZeroDivisionError):
        slider.value = 2
    assert isinstance(faulty.error, ZeroDivisionError) and "could not be drawn" in words.value


def test_the_picture_is_titled_with_its_words():
    slider, _, image, words, _ = explorer().controls().children
    assert image.tooltip == words.value == "a line to 1, b 0"
    slider.value = 2
    assert image.tooltip == words.value == "a line to 2, b 0"


def test_the_film_button_plays_what_the_setting_gives(tmp_path):
    asked = []

    def film(**params):
        asked.append(params)
        write_mp4(tmp_path / "film.mp4", np.zeros((3, 16, 16, 3), np.uint8))
        return tmp_path / "film.mp4"

    explorer = Explorer(draw, "a {a}", film=film, a=[1, 2])
    slider, _, _, button, stage, _ = explorer.controls().children
    slider.value = 2
    assert not stage.children and button.description == "Film"
    button.click()
    player, words = stage.children
    assert asked == [{"a": 2}] and player.value == (tmp_path / "film.mp4").read_bytes()
    assert "film.mp4: a 2" in words.value and not player.autoplay and not button.disabled


def test_an_error_in_a_film_is_logged_kept_and_shown(caplog):
    faulty = Explorer(draw, film=lambda a: 1 / 0, a=[1, 2])
    *_, button, stage, _ = faulty.controls().children
    button.click()
    assert (
        "division by zero" in caplog.text
    )  # ipywidgets does so with what a button's callback raises
    assert (
        isinstance(faulty.error, ZeroDivisionError)
        and "could not be filmed" in stage.children[0].value
    )
    assert not button.disabled


@pytest.mark.parametrize("domain", [{}, {"a": []}, {"a": list(range(10))}, {"a": [1, 1]}])
def test_a_domain_that_cannot_be_shown_is_refused(domain):
    with pytest.raises(ValueError):
        Explorer(draw, **domain)


def test_the_flipbook_stands_alone_and_has_every_picture(tmp_path):
    page = explorer().flipbook(tmp_path / "page.html").read_text()
    frames = json.loads(re.search(r"const frames = (\[.*\]), inputs", page).group(1))
    assert [words for _, words in frames] == [
        f"a line to {a}, b {b}" for a in (1, 2, 3) for b in (0, 1)
    ]
    assert len({picture for picture, _ in frames}) == 6
    assert page.count('type="range"') == 2 and "http" not in page
    assert re.search(r'<img[^>]+alt="a line to 1, b 0"', page)


def test_words_in_a_flipbook_are_text_and_no_markup(tmp_path):
    words = "</script><b> & 'it\""
    named = Explorer(draw, f"{words} {{a}}, {{b}}", a=[1, words], b=[0, 1])
    named.picture = lambda **params: b"x"
    page = named.flipbook(tmp_path / "page.html", title=words).read_text()
    assert "<b>" not in page and page.count("</script>") == 1
    frames = json.loads(re.search(r"const frames = (\[.*\]), inputs", page).group(1))
    assert frames[-1][1] == f"{words} {words}, 1"
    stops = html.unescape(re.search(r'data-stops="([^"]*)"', page).group(1))
    assert json.loads(stops) == ["1", words]


def test_a_flipbook_of_a_large_domain_keeps_to_81_pictures(tmp_path):
    large = Explorer(draw, a=list(range(9)), b=list(range(9)))
    large.domain["c"] = list(range(9))
    large.picture = lambda **params: b"x"
    page = large.flipbook(tmp_path / "page.html").read_text()
    assert page.count('type="range"') == 2


def test_small_multiples_have_one_picture_per_stop():
    fig = explorer().small_multiples("a")
    assert [ax.get_title() for ax in fig.axes[:3]] == ["a = 1", "a = 2", "a = 3"]


def test_show_gives_a_widget_and_a_picture_with_alt_text(monkeypatch):
    shown = []
    monkeypatch.setattr(
        "IPython.display.display", lambda data, **options: shown.append((data, options))
    )
    explorer().show()
    data, options = shown[0]
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["text/plain"] == "Widget: a line to 1, b 0"
    assert options["metadata"]["image/png"]["alt"] == "a line to 1, b 0"


def test_the_mask_explorer_draws_every_stop():
    from dirfa_edu.course.explorers import mask_explorer

    assert mask_explorer().sweep(n_random=0) >= 12
    assert np.all([len(stops) <= 9 for stops in mask_explorer().domain.values()])
