"""Slides of a chapter: one HTML file that needs no other, from the tagged cells of its notebook.

    slide          a Markdown cell: a slide per heading; a code cell: its code and its outputs
    slide-output   a code cell: its outputs without its code

What does not fit gets smaller, then a second slide. A figure takes with it the printed claims and
what the text says right after it. All that the notebook says between two slides is in the notes of
the first (key N).

Why not nbconvert's slides with reveal.js inside: tried on these notebooks, a cell stays a slide, so
figures lose their headings and stay small, and answers stand under their questions; and a file has
0.9 MB where these have 0.15.
"""

import math
import re
from pathlib import Path

from cells import (
    DETAILS,
    HEADING,
    Picture,
    pictures,
    players,
    printed,
    sections,
    seen_after,
    shows_widget,
    tags,
    unfolded,
)
from jinja2 import StrictUndefined, Template
from markupsafe import Markup, escape
from slide_text import (
    MARKDOWN,
    PARTS,
    WIDTH,
    Slide,
    Text,
    blocks_of,
    code_parts,
    coloured,
    inline,
    packed,
    rendered,
    space_under,
)

SIDE = 740  # pixels of width of a figure with its words beside it
FIGURE_HEIGHT = 530  # pixels of a figure and its words
SEEN = 260  # characters of text with a figure
SKIPPED = ("Set-up", "Next")  # sections that are work, not talk
NEXT = re.compile(r"^\*\*Next[:.]\*\*.*", re.MULTILINE | re.DOTALL)
HEADING_TAG = re.compile(r"<(/?)h[1-6]>")


def text_slides(text: str, title: str, first: bool) -> list[Slide]:
    """Slides of a Markdown cell, one or more for each of its headings."""
    slides = []
    for heading, body in sections(DETAILS.sub("", text).strip()):
        blocks = blocks_of(NEXT.sub("", body))
        lists = [i for i, each in enumerate(blocks) if each[0].type.endswith("list_open")]
        if first and lists:  # what you will be able to do, not how long it takes
            blocks = blocks[: lists[0] + 1]
        if blocks and heading not in SKIPPED:
            slides += packed(heading or title, blocks, main=first)
    return slides


def code_slides(cells: list, i: int, title: str, folder: Path, before: Slide | None) -> list[Slide]:
    """The slides of a tagged code cell: code, then figures; none where it joined `before`."""
    cell = cells[i]
    shown = pictures(cell)
    media = [PARTS.player(each) for each in players(cell, folder)]
    texts = texts_of(cell, with_printed=not shown)
    space = space_under(title)

    if before and not shown:
        parts, tall, style = code_parts(texts, space - before.height)
        if style != "s":  # both fit on one slide
            before.parts += parts + media
            before.height += tall + 90 * len(media)
            return []

    parts, tall, _ = code_parts(texts, space)
    if media and not shown:
        return [Slide(title, parts + media)]
    slides = [Slide(title, parts, height=tall)] if parts else []
    if shown:
        slides.append(Slide(title, [figures(cells, i, shown), *media]))
    return slides


def texts_of(cell, with_printed: bool) -> list[Text]:
    """The code of a cell, if its tag asks for it, and what it printed."""
    texts = []
    if "slide" in tags(cell):
        texts.append(Text(cell.source, coloured(cell.source), "code"))
    said = printed(cell)
    if said and with_printed and not said.startswith("not yet"):
        texts.append(Text(said, escape(said), "out"))
    return texts


def figures(cells: list, i: int, shown: list[Picture]) -> Markup:
    """The figures of cell i with what was printed and seen below, or beside if it fits better."""
    lines = [" ".join(line.split()) for line in printed(cells[i]).splitlines() if line.strip()]
    claims = lines[: 3 if len(shown) == 1 else 1]
    said = "" if shows_widget(cells[i]) else seen_after(cells, i, SEEN // len(shown))
    seen = inline(said) if said else escape(shown[0].alt)

    aspect = shown[0].aspect
    words = 36 * (len(claims) + math.ceil(len(seen) / 80))
    above = min(WIDTH, aspect * (FIGURE_HEIGHT - words))
    beside = len(shown) == 1 and min(SIDE, aspect * FIGURE_HEIGHT) > above
    return PARTS.figures(shown, claims, seen, beside)


def slides_of(notebook, folder: Path) -> list[Slide]:
    """The slides of an executed notebook; players are looked up from `folder`."""
    slides, title = [], ""
    for i, cell in enumerate(notebook.cells):
        new, before, after = [], "", ""
        if cell.cell_type == "markdown":
            before = cell.source
            if tags(cell):
                before, text = at_heading(cell.source)
                new = text_slides(text, title, first=not slides)
                after = "\n\n".join(DETAILS.findall(text))
            title = (HEADING.findall(DETAILS.sub("", cell.source)) or [title])[-1]
        elif tags(cell):
            follows = slides and tags(notebook.cells[i - 1])
            new = code_slides(notebook.cells, i, title, folder, slides[-1] if follows else None)

        note(slides, before)
        slides += new
        note(slides, after)
    return slides


def at_heading(text: str) -> tuple[str, str]:
    """Markdown before its first heading, which speaks of the slide before, and from there on."""
    found = HEADING.search(text)
    start = found.start() if found else 0
    return text[:start], text[start:]


def note(slides: list[Slide], text: str) -> None:
    """Put Markdown into the notes of the last slide."""
    if slides and unfolded(text):
        slides[-1].notes.append(unfolded(text))


def notes_of(slide: Slide) -> Markup:
    """The notes of a slide; their headings become paragraphs, for the slide has its own."""
    shown = "".join(rendered(MARKDOWN.parse(each)) for each in slide.notes)
    return Markup(HEADING_TAG.sub(r"<\1p>", shown))


def last_part(name: str, addresses: tuple[str, str], following: str) -> Markup:
    """What the last page of a chapter says: where to work on it, and what follows.

    `addresses` on Colab and on Binder are "" while they are not known.
    """
    colab, binder = addresses
    return PARTS.last(name, colab, binder, following)


def page(slides: list[Slide], last: Markup) -> str:
    """Slides -> the HTML file of a chapter; `last` is what its last page says."""
    template = Template(
        Path(__file__).with_name("slides.html").read_text(encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    everything = [*slides, Slide("Work on it yourself", [last])]
    return template.render(
        title=inline(slides[0].title), slides=everything, inline=inline, notes_of=notes_of
    )
