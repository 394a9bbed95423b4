"""Slides of all chapters in a real browser: keys and clicks move them, nothing is cut off."""

import importlib
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))
SMALLEST = 17  # pixels on a page of 1280 x 720, code; a slide of 19 cm then has letters of 4.5 mm
LOOK = """() => {
    const slide = document.querySelector(".slide.current"), body = slide.querySelector(".body");
    const box = slide.getBoundingClientRect(), zoom = parseFloat(body.style.zoom) || 1;
    const shown = each => !each.closest(".notes");
    const all = names => [...slide.querySelectorAll(names)].filter(shown);
    const letters = each => parseFloat(getComputedStyle(each).fontSize) * zoom;
    const size = each => each.getBoundingClientRect();
    const outside = e =>
        e.right > box.right + 1 || e.bottom > box.bottom + 1 || e.left + 1 < box.left;
    return {
        over: [body.scrollHeight - body.clientHeight, body.scrollWidth - body.clientWidth],
        out: all("h1, h2, p, li, pre, img, math, td").map(size).filter(outside).length,
        letters: all(".body :is(p, li, pre, td)").map(letters),
        pictures: all("img").map(each => [each.naturalWidth, each.clientHeight]),
        formulas: all("math").map(each => size(each).height)};
}"""
CURRENT = "[...document.querySelectorAll('.slide')].findIndex(slide => slide.offsetParent) + 1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The slides of all chapters."""
    if str(ROOT / "tools") not in sys.path:
        sys.path.insert(0, str(ROOT / "tools"))
    out = tmp_path_factory.mktemp("slides")
    pages = importlib.import_module("build_class").slide_pages("owner/name")
    for name, text in pages.items():
        (out / name).write_text(text, encoding="utf-8")
    return out


@pytest.fixture
def slides(page, folder):
    """Open the slides of a chapter: `slides("03_biased_mask")` -> the page."""

    def open_them(name, width=1280, height=720):
        page.set_viewport_size({"width": width, "height": height})
        page.goto((folder / f"{name}.html").as_uri())
        return page

    yield open_them
    assert page.problems == [] and page.outside == []


def test_keys_move_the_slides_and_a_reader_hears_where(slides):
    page = slides("03_biased_mask")
    count = page.locator(".slide").count()
    places = []
    on, back = "ArrowRight PageDown ArrowDown Space", "ArrowLeft PageUp ArrowUp"
    for key in f"{on} {back} End ArrowRight Home ArrowLeft".split():
        page.keyboard.press(key)
        places.append(page.evaluate(CURRENT))
    assert places == [2, 3, 4, 5, 4, 3, 2, count, count, 1, 1]
    page.keyboard.press("ArrowRight")
    assert page.locator("#where").text_content() == f"Slide 2 of {count}: The picture to understand"
    assert page.evaluate("document.activeElement.tagName") == "H2", "the new heading has the focus"
    assert page.evaluate("location.hash") == "#2"
    page.reload()
    assert page.evaluate(CURRENT) == 2


def test_a_click_goes_on_and_back_and_links_and_buttons_do_their_own(slides):
    page = slides("03_biased_mask")
    page.mouse.click(900, 600)
    page.mouse.click(900, 600)
    assert page.evaluate(CURRENT) == 3
    page.mouse.click(100, 600)
    assert page.evaluate(CURRENT) == 2
    page.get_by_role("button", name="Next slide").click()
    assert page.evaluate(CURRENT) == 3
    page.get_by_role("button", name="Next slide").press("Enter")
    assert page.evaluate(CURRENT) == 4


def test_notes_and_the_list_of_all_slides_open_by_key_and_by_button(slides):
    page = slides("03_biased_mask")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    notes = page.locator(".slide.current .notes")
    assert not notes.is_visible()
    page.keyboard.press("n")
    assert notes.is_visible() and "Answer to Predict 1" in notes.text_content()
    page.get_by_role("button", name="Notes").click()
    assert not notes.is_visible()
    page.keyboard.press("a")
    assert page.locator(".slide").last.is_visible() and page.locator(".slide").first.is_visible()
    page.keyboard.press("a")
    assert page.evaluate(CURRENT) == 3


@pytest.mark.parametrize("name", CHAPTERS)
def test_nothing_is_cut_off_or_tiny_and_formulas_are_drawn(slides, name):
    page = slides(name)
    count = page.locator(".slide").count()
    for number in range(1, count + 1):
        assert page.evaluate(CURRENT) == number
        seen = page.evaluate(LOOK)
        assert max(seen["over"]) <= 1 and seen["out"] == 0, f"slide {number} is cut off: {seen}"
        assert min(seen["letters"]) >= SMALLEST, f"slide {number} is tiny: {seen}"
        assert all(width > 0 and height > 60 for width, height in seen["pictures"]), (
            f"slide {number}: {seen}"
        )
        assert all(height > 5 for height in seen["formulas"]), f"slide {number}: {seen}"
        page.keyboard.press("ArrowRight")


@pytest.mark.parametrize("name", CHAPTERS)
def test_axe_finds_no_serious_fault(slides, name):
    from axe_playwright_python.sync_playwright import Axe

    axe = Axe()
    page = slides(name)
    page.keyboard.press("a")  # all slides at once
    page.keyboard.press("n")
    found = axe.run(page).response
    assert len(found["passes"]) > 10, "axe looked at the page"
    serious = [each for each in found["violations"] if each["impact"] in ("serious", "critical")]
    assert [(each["id"], each["nodes"][0]["html"][:150]) for each in serious] == []


def test_a_narrow_window_shows_whole_slides_and_print_gives_one_a_page(slides):
    page = slides("03_biased_mask", 800, 700)
    box = page.locator(".slide.current").bounding_box()
    assert (
        box["x"] >= -1
        and box["x"] + box["width"] <= 801
        and abs(box["width"] / box["height"] - 16 / 9) < 0.01
    )
    document = page.pdf(prefer_css_page_size=True, print_background=True)
    assert len(re.findall(rb"/Type\s*/Page\b", document)) == page.locator(".slide").count()
    assert re.search(rb"/MediaBox\s*\[0 0 960 540\]", document)


def test_a_sound_plays_from_inside_the_file(slides):
    page = slides("01_features")
    page.keyboard.press("ArrowRight")
    player = page.locator(".slide.current audio")
    seconds = player.evaluate(
        "a => new Promise(done => { const tell = () => done(a.duration); "
        "a.readyState > 0 ? tell() : (a.onloadedmetadata = tell, a.load()); })"
    )
    assert 4 < seconds < 6
    player.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate(CURRENT) == 2, "arrows inside a player belong to the player"
