"""The static page as a reader meets it, over http and from disk: keyboard, mouse, players, axe."""

import functools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from playwright.sync_api import expect

CHECKED = [
    "index.html",
    "notebooks/00_tour.html",
    "notebooks/03_biased_mask.html",
    "notebooks/05_generator.html",
    "api/index.html",
    "api/dirfa_edu.masks.html",
    "api/dirfa_edu.course.html",
    "_modules/dirfa_edu/masks.html",
    "docs/ledger.html",
    "flipbooks/mask_explorer.html",
    "data_samples/results/table1.html",
    "search.html?q=mask",
]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site(built):
    """The built site: its folder, `root`, and where it is served, `address`."""
    quiet = functools.partial(Quiet, directory=str(built))
    server = ThreadingHTTPServer(("127.0.0.1", 0), quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield SimpleNamespace(root=built, address=f"http://127.0.0.1:{server.server_port}/")
    server.shutdown()


def move_the_flipbook(page):
    """Arrow keys, then a click into the slider: each brings another picture and says so."""
    frame = page.locator("iframe.flipbook")
    frame.scroll_into_view_if_needed()
    book = page.frame_locator("iframe.flipbook")
    slider = book.locator("input").first
    picture = book.locator("#picture")
    words = book.locator("#words")

    expect(words).to_contain_text("tau 50")
    first = picture.get_attribute("src")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(words).to_contain_text("tau 25")
    second = picture.get_attribute("src")
    assert second != first and "tau 25" in picture.get_attribute("alt")
    assert slider.get_attribute("aria-valuetext") == "25"
    slider.click()  # in its middle
    expect(words).not_to_contain_text("tau 25")
    assert picture.get_attribute("src") not in (first, second)
    page.wait_for_function("frame => frame.style.height !== ''", arg=frame.element_handle())
    hidden = book.locator("html").evaluate("html => html.scrollHeight - html.clientHeight")
    assert hidden <= 0, "the frame fits its flip-book"


def test_a_chapter_is_read_and_its_flipbook_moved(site, page):
    page.goto(site.address)
    page.get_by_role("table").get_by_role("link", name="3 The temporally-biased mask").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("The temporally-biased mask")
    move_the_flipbook(page)
    solution = page.locator("details", has_text="Solution").last
    assert solution.locator("pre").is_hidden()
    solution.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(solution.locator("pre")).to_be_visible()
    page.get_by_role("article").get_by_role("link", name="causal_mask").click()
    function = page.locator("[id='dirfa_edu.masks.causal_mask']")
    expect(function).to_be_in_viewport()
    page.get_by_role("article").get_by_role("link", name="03_biased_mask").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("The temporally-biased mask")
    assert page.problems == []
    assert page.outside == []


def test_it_works_from_disk(site, page):
    page.goto((site.root / "notebooks" / "03_biased_mask.html").as_uri())
    move_the_flipbook(page)
    page.goto((site.root / "search.html").as_uri() + "?q=ring_bias")
    expect(page.locator("#search-results")).to_contain_text("masks")
    assert page.problems == []
    assert page.outside == []


def test_players_load_their_files(site, page):
    page.goto(site.address + "notebooks/00_tour.html")
    players = page.locator("audio, video")
    assert players.count() >= 2
    for player in players.all():
        player.scroll_into_view_if_needed()
        page.wait_for_function("player => player.readyState >= 1", arg=player.element_handle())
        assert (
            3 < player.evaluate("player => player.duration") < 10
        )  # the chapters' clip lasts five seconds
    player.evaluate("player => player.play()")
    page.wait_for_function("player => player.currentTime > 0.2", arg=player.element_handle())
    assert page.problems == []
    assert page.outside == []


def test_formulas_are_laid_out_without_help_from_the_network(site, page):
    page.goto(site.address + "notebooks/03_biased_mask.html")
    fraction = page.locator(".formula mfrac").first
    assert (
        fraction.bounding_box()["height"]
        > 1.5 * fraction.locator("mi").last.bounding_box()["height"]
    )
    assert page.locator("math merror").count() == 0
    assert page.outside == []


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("place", CHECKED)
def test_axe_finds_no_serious_fault_and_nothing_runs_off_the_side(site, page, place, width):
    from axe_playwright_python.sync_playwright import Axe

    page.set_viewport_size({"width": width, "height": 900})
    page.goto(site.address + place)
    page.wait_for_load_state("load")
    for frame in page.locator("iframe.flipbook").all():
        frame.scroll_into_view_if_needed()
    problems = list(
        page.problems
    )  # before axe, which looks for the theme's style sheets in a wrong place
    faults = [
        (each["impact"], each["id"], each["nodes"][0]["html"][:200])
        for each in Axe().run(page).response["violations"]
        if each["impact"] in ("serious", "critical")
    ]
    assert faults == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert problems == []
    assert page.outside == []
