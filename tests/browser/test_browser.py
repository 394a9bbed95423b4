"""The widgets as a student meets them: in JupyterLab and on a static page, moved by keyboard."""

import re

from dirfa_edu.explorers import mask_explorer

PIXELS = """image => { const c = document.createElement("canvas"); c.width = image.naturalWidth;
    c.height = image.naturalHeight; c.getContext("2d").drawImage(image, 0, 0); return c.toDataURL(); }"""


def moved(page, image, before):
    """Wait until the picture is another one; returns its pixels."""
    for _ in range(50):
        now = image.evaluate(PIXELS)
        if now != before and len(now) > 1000:
            return now
        page.wait_for_timeout(100)
    raise AssertionError("the picture did not change")


def run(page, cell):
    """Shift+Enter until the cell has its number: JupyterLab drops what comes before the kernel listens."""
    prompt = cell.locator(".jp-InputPrompt")
    for _ in range(10):
        cell.locator(".cm-content").click()
        page.keyboard.press("Shift+Enter")
        for _ in range(40):
            if re.fullmatch(r"\[\d+\]:", prompt.inner_text().strip()):
                return
            page.wait_for_timeout(100)
    raise AssertionError("the cell did not run")


def test_an_explorer_follows_the_keyboard_in_jupyterlab(lab, page):
    page.goto(lab)
    cell = page.locator(".jp-Notebook .jp-CodeCell")
    cell.first.wait_for(timeout=60_000)
    page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').wait_for(timeout=60_000)
    run(page, cell.nth(0))
    run(page, cell.nth(1))
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
