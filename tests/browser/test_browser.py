"""The widgets as a student meets them: in JupyterLab and on a static page, moved by keyboard."""

import csv
import re
import time

import pytest
from playwright.sync_api import expect

from dirfa_edu.explorers import mask_explorer

PIXELS = """image => { const c = document.createElement("canvas"); c.width = image.naturalWidth;
    c.height = image.naturalHeight; c.getContext("2d").drawImage(image, 0, 0); return c.toDataURL(); }"""

COUNT_PICTURES = """image => { window.pictures = 0;
    new MutationObserver(() => window.pictures++).observe(image, {attributes: true, attributeFilter: ["src"]});
    return 0; }"""


def moved(page, image, before):
    """Wait until the picture is another one; returns its pixels."""
    for _ in range(50):
        now = image.evaluate(PIXELS)
        if now != before and len(now) > 1000:
            return now
        page.wait_for_timeout(100)
    raise AssertionError("the picture did not change")


def titled(page, image, words):
    """Wait until the picture's title, which screen readers say, is `words`."""
    page.wait_for_function("([image, words]) => image.title === words", arg=[image.element_handle(), words])


def settled(page, image):
    """The picture's pixels once two looks in a row, a fifth of a second apart, see the same."""
    before = image.evaluate(PIXELS)
    for _ in range(50):
        page.wait_for_timeout(200)
        now = image.evaluate(PIXELS)
        if now == before and len(now) > 1000:
            return now
        before = now
    raise AssertionError("the picture did not come to rest")


def run(page, cell):
    """Shift+Enter until the cell has its number: JupyterLab drops what comes before the kernel listens."""
    prompt = cell.locator(".jp-InputPrompt")
    for tenth in range(600):
        shown = prompt.inner_text().strip()
        if re.fullmatch(r"\[\d+\]:", shown):
            return
        if tenth % 40 == 0 and shown != "[*]:":  # not one that is running: it would be run twice
            cell.locator(".cm-content").click()
            page.keyboard.press("Shift+Enter")
        page.wait_for_timeout(100)
    raise AssertionError("the cell did not run")


def start(page, address):
    """Open a notebook of two cells and run them."""
    page.goto(address)
    cell = page.locator(".jp-Notebook .jp-CodeCell")
    cell.first.wait_for(timeout=60_000)
    page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').wait_for(timeout=60_000)
    run(page, cell.nth(0))
    run(page, cell.nth(1))


def test_an_explorer_follows_the_keyboard_in_jupyterlab(lab, page):
    start(page, lab.address("tiny"))
    image = page.locator("img.widget-image")
    image.wait_for(timeout=60_000)
    before = image.evaluate(PIXELS)

    handle = page.locator(".widget-slider [role=slider]").first
    handle.focus()
    page.keyboard.press("ArrowRight")
    after = moved(page, image, before)
    assert "tau 25" in page.locator(".widget-html-content").inner_text()

    page.keyboard.press("ArrowLeft")
    assert moved(page, image, after) == before

    page.locator(".widget-slider [role=slider]").nth(1).focus()
    page.keyboard.press("ArrowRight")
    moved(page, image, before)
    assert "style single" in page.locator(".widget-html-content").inner_text()
    assert page.problems == []
    assert page.outside == []


@pytest.mark.parametrize("notebook", ["puppet", "generated"])
def test_a_face_follows_two_sliders_while_a_key_is_held_down(lab, page, notebook):
    start(page, lab.address(notebook))
    image, row = page.locator("img.widget-image"), page.locator(".widget-html-content pre")
    image.wait_for(timeout=60_000)
    handles = page.locator(".widget-slider [role=slider]")
    assert handles.count() == 24  # the actor, 17 AUs, 6 pose numbers
    titled(page, image, "iris, neutral face")
    neutral = settled(page, image)

    handles.nth(9).focus()  # AU12: the actor's slider comes first
    image.evaluate(COUNT_PICTURES)
    start_time = time.monotonic()
    for _ in range(20):  # as a key that is held down repeats
        page.keyboard.press("ArrowRight", delay=40)
    titled(page, image, "iris, AU12_r lip corner puller 2.00")
    rate = image.evaluate("() => window.pictures") / (time.monotonic() - start_time)
    print(f"{rate:.0f} faces a second in the browser")  # a figure for an idle machine: pytest -s shows it
    expect(row).to_contain_text("  2.00,")
    assert image.evaluate("() => window.pictures") >= 2, "the picture follows the slider on its way"
    smiling = settled(page, image)
    assert smiling != neutral

    for _ in range(10):  # Tab reaches every slider: AU12 is the 9th of 23, yaw the 19th
        page.keyboard.press("Tab")
        while page.evaluate("document.activeElement.getAttribute('role')") != "slider":
            page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    titled(page, image, "iris, AU12_r lip corner puller 2.00, pose_Ry yaw, rad -0.01")
    expect(row).to_contain_text("-0.0100,")
    assert settled(page, image) not in (neutral, smiling)

    page.get_by_role("button", name="neutral").focus()
    page.keyboard.press("Enter")
    titled(page, image, "iris, neutral face")
    assert settled(page, image) == neutral
    assert page.problems == []
    assert page.outside == []


def test_two_raters_take_part_in_the_user_study(lab, page):
    start(page, lab.address("study"))
    name = page.get_by_placeholder("a name or a number")
    begin = page.get_by_role("button", name="Start", exact=True)
    save = page.get_by_role("button", name="Save and next")
    shown = page.locator(".jp-OutputArea-output").last
    name.wait_for(timeout=60_000)
    begin.click()
    expect(shown).to_contain_text("Give a name or a number first.")
    for rater, keyboard in (("Ada", False), ("Kim", True)):
        name.fill(rater)
        name.press("Tab")
        begin.click()
        for i in range(1, 5):
            expect(shown).to_contain_text(f"Video {i} of 4")
            film = shown.locator("video")
            expect(film).to_have_count(1)
            assert film.evaluate("video => video.src").startswith("blob:")  # no file name to peep at
            for secret in ("secret method", "hidden rival", ".mp4"):
                assert secret not in shown.inner_html()
            if i == 1:
                save.click()
                expect(shown).to_contain_text("Answer all three questions")
            for row in range(3):
                scale = shown.locator(".widget-toggle-buttons").nth(row)
                button = scale.get_by_role("button", name="4" if keyboard else "2", exact=True)
                if keyboard:
                    button.focus()
                    page.keyboard.press("Enter")
                else:
                    button.click()
            save.click()
        expect(shown).to_contain_text("Thank you, that was the last one.")
        assert "secret method" not in shown.inner_html()  # the next rater is watching
    rows = list(csv.DictReader((lab.root / "ratings.csv").read_text().splitlines()))
    assert [row["rater"] for row in rows] == ["Ada"] * 4 + ["Kim"] * 4
    assert [row["lip_sync"] for row in rows] == ["2"] * 4 + ["4"] * 4
    orders = [[row["video"] for row in rows if row["rater"] == rater] for rater in ("Ada", "Kim")]
    assert sorted(orders[0]) == sorted(orders[1]) and len(set(orders[0])) == 4
    assert page.problems == []
    assert page.outside == []


def test_a_flipbook_follows_the_keyboard_without_a_kernel(page, tmp_path):
    explorer = mask_explorer()
    explorer.domain |= {"style": ["alibi"], "heads": [1, 2]}
    book = explorer.flipbook(tmp_path / "mask.html")
    page.goto(book.as_uri())
    image = page.locator("#picture")
    before = image.evaluate(PIXELS)
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    moved(page, image, before)
    assert "tau 25" in image.get_attribute("alt") and "tau 25" in page.locator("#words").inner_text()
    assert page.locator("input").first.get_attribute("aria-valuetext") == "25"
    assert page.problems == []
    assert page.outside == []
