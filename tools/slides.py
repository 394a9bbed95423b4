"""Slides of a chapter: one HTML file without outside resources, from the tagged cells of an
executed notebook.

    slide          a Markdown cell: a slide per heading; a code cell: its code and its outputs
    slide-output   a code cell: its outputs without its code

What does not fit gets smaller, then a second slide. A figure takes with it the printed claims and
what the text says right after it. All that the notebook says between two slides is in the notes of
the first (key N).
"""

import html
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from cells import DETAILS, HEADING, pictures, players, printed, sections, seen_after, tags, unfolded
from formulas import mathml
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import lex
from pygments.lexers import PythonLexer
from pygments.token import Comment, Keyword, Number, String

TEMPLATE = Path(__file__).with_name("slides.html")
WIDTH, SIDE = 1160, 740  # pixels of a page of 1280 x 720: a line; a figure with its words beside it
SIZES = {"l": 35, "": 30, "m": 27, "s": 24}  # text, by class
CODE_SIZES = {"": 24, "m": 21, "s": 18}
SEEN = 260  # characters of text with a figure
SLACK = 1.12  # a page may be planned so much too full: the browser makes its letters smaller
SKIPPED = ("Set-up", "Next")  # sections that are work, not talk


@dataclass
class Slide:
    title: str  # Markdown
    parts: list[str]  # HTML
    style: str = ""
    height: float = 0.0  # estimated, in pixels
    main: bool = False  # the first slide of a chapter
    notes: list[str] = field(default_factory=list)  # Markdown


MARKDOWN = (
    MarkdownIt("commonmark", {"html": False})
    .enable("table")
    .use(dollarmath_plugin, renderer=lambda tex, options: mathml(tex, options["display_mode"]))
)


def without_files(text: str) -> str:
    """HTML in which only addresses on the web are links: a slide travels without the files it was
    made from."""
    return re.sub(r'<a href="(?!https://)[^"]*">(.*?)</a>', r"\1", text)


def blocks_of(text: str) -> list[list[Token]]:
    """The top-level blocks of a Markdown text, each as its tokens."""
    blocks, depth = [], 0
    for token in MARKDOWN.parse(text):
        if depth == 0:
            blocks.append([])
        blocks[-1].append(token)
        depth += token.nesting
    return blocks


def rendered(tokens: list[Token]) -> str:
    return without_files(MARKDOWN.renderer.render(tokens, MARKDOWN.options, {}))


def inline(text: str) -> str:
    return without_files(MARKDOWN.renderInline(text))


def room_under(title: str, main: bool = False) -> float:
    """Pixels that a title leaves: its letters are 42 pixels high, those of a chapter's 54."""
    size = 54 if main else 42
    return 586 - 1.15 * size * math.ceil(len(title) * 0.62 * size / WIDTH)


def height(block: list[Token], size: float) -> float:
    """About how many pixels a block needs in text of `size` pixels."""
    kind = block[0].type
    if kind in ("fence", "code_block"):
        return (1.2 * block[0].content.count("\n") + 1.5) * size
    if kind == "math_block":
        return (2.9 + 1.3 * block[0].content.count("\\\\")) * size
    total = 0.0
    for token in block:
        if token.type == "math_block":
            total += 2.9 * size
        if token.type == "inline":
            words = re.sub(r"\\[A-Za-z]+|[{}_^$*`\\]", "", token.content)
            lines = (
                1
                if kind == "table_open"
                else math.ceil(len(words) * 0.55 * size / (WIDTH - 1.3 * size))
            )
            total += (
                (1.4 * lines + 0.3)
                * size
                / (1 if kind != "table_open" else block[2].content.count("|") or 1)
            )
    return (
        total + 0.4 * size
        if kind != "table_open"
        else 1.8 * size * sum(t.type == "tr_open" for t in block)
    )


def fitting(sizes: dict[str, int], needed: Callable[[int], float], room: float) -> tuple[str, int]:
    """The class and size of the largest letters that need at most `room` pixels, or the smallest."""
    return next(
        (each for each in sizes.items() if needed(each[1]) <= room), list(sizes.items())[-1]
    )


def packed(title: str, blocks: list[list[Token]], main: bool = False) -> list[Slide]:
    """Blocks -> as few slides as hold them, in letters as large as fit. A chapter's first slide
    stays one."""
    room = room_under(title, main)
    style, size = fitting(SIZES, lambda size: sum(height(block, size) for block in blocks), room)
    heights = [height(block, size) for block in blocks]
    while main and len(blocks) > 2 and sum(heights) > room:
        blocks, heights = blocks[1:], heights[1:]
    count = 1 if sum(heights) < SLACK * room else math.ceil(sum(heights) / room)
    slides: list[Slide] = []
    for block, tall in zip(blocks, heights):
        full = slides and slides[-1].height + tall / 2 > sum(heights) / count
        if not slides or (full and len(slides) < count and not main):
            slides.append(
                Slide(title + (f" ({len(slides) + 1})" if slides else ""), [], style, main=main)
            )
        slides[-1].parts.append(rendered(block))
        slides[-1].height += tall
    return slides


def coloured(source: str) -> str:
    """Python as HTML, its comments, strings, numbers and keywords marked."""
    marks, out = ((Comment, "c"), (String, "t"), (Number, "n"), (Keyword, "k")), ""
    for kind, value in lex(re.sub(r" {3,}#", "  #", source), PythonLexer()):
        mark = next((name for group, name in marks if kind in group), None)
        out += f'<span class="{mark}">{html.escape(value)}</span>' if mark else html.escape(value)
    return out.rstrip()


def code_parts(texts: list[tuple[str, str, str]], room: float) -> tuple[list[str], float, str]:
    """Blocks of (text, HTML, class) in letters as large as fit -> HTML, height, class of the size."""

    def needed(size: int) -> float:
        rows = (
            max(1, math.ceil(len(line) * 0.61 * size / (WIDTH - 40)))
            for text, *_ in texts
            for line in text.splitlines()
        )
        return 1.3 * size * sum(rows) + 40 * len(texts)

    style, size = fitting(CODE_SIZES, needed, room)
    parts = [f'<pre class="{kind} {style}" tabindex="0">{shown}</pre>' for _, shown, kind in texts]
    return parts, needed(size), style


def text_slides(text: str, title: str, first: bool) -> list[Slide]:
    """Slides of a Markdown cell, one or more for each of its headings."""
    slides = []
    for heading, body in sections(DETAILS.sub("", text).strip()):
        blocks = blocks_of(re.sub(r"^\*\*Next[:.]\*\*.*", "", body, flags=re.MULTILINE | re.DOTALL))
        # goals, not reading time
        if first and any(block[0].type.endswith("list_open") for block in blocks):
            last = next(i for i, block in enumerate(blocks) if block[0].type.endswith("list_open"))
            blocks = blocks[: last + 1]
        if blocks and heading not in SKIPPED:
            slides += packed(heading or title, blocks, main=first)
    return slides


def figures_part(shown: list[tuple[str, str, tuple]], claims: list[str], seen: str) -> str:
    """Figures above what was printed and seen, or beside it where that makes them larger."""
    figures = "".join(
        f'<figure><img src="{address}" alt="{html.escape(alt, quote=True)}"></figure>'
        for address, alt, _ in shown
    )
    items = "".join(f"<li>{html.escape(line)}</li>" for line in claims)
    words = (f'<ul class="claims">{items}</ul>' if claims else "") + f'<p class="seen">{seen}</p>'
    aspect, lines = shown[0][2][0] / shown[0][2][1], len(claims) + math.ceil(len(seen) / 80)
    if len(shown) == 1 and min(SIDE, aspect * 530) > min(WIDTH, aspect * (530 - 36 * lines)):
        return f'<div class="side">{figures}<div class="words">{words}</div></div>'
    return figures + words


def code_slide(cells: list, i: int, title: str, folder: Path, before: Slide | None) -> list[Slide]:
    """The slides of a tagged code cell: code, then figures; none where it joined the slide before
    it."""
    cell, room = cells[i], room_under(title)
    shown, text, media = pictures(cell), printed(cell), players(cell, folder)
    texts = [(cell.source, coloured(cell.source), "code")] if "slide" in tags(cell) else []
    if text and not shown and not text.startswith("not yet"):
        texts.append((text, html.escape(text), "out"))
    parts, tall, style = (
        code_parts(texts, room - before.height if before else room) if texts else ([], 0.0, "")
    )
    if before and (style == "s" or shown):  # too much for one slide
        before = None
        parts, tall, style = code_parts(texts, room)
    if before and (parts or media) and not shown:
        before.parts += parts + media
        before.height += tall + 90 * len(media)
        return []
    made = [Slide(title, parts, height=tall)] if parts else []
    if shown:
        claims = [" ".join(line.split()) for line in text.splitlines() if line.strip()][
            : 3 if len(shown) == 1 else 1
        ]
        widget = any(
            each.get("data", {}).get("text/plain", "").startswith("Widget") for each in cell.outputs
        )
        seen = "" if widget else seen_after(cells, i, SEEN // len(shown))
        seen = inline(seen) if seen else html.escape(shown[0][1])
        made.append(Slide(title, [figures_part(shown, claims, seen), *media]))
    elif media:
        made = made[:-1] + [Slide(title, parts + media)]
    return made


def slides_of(notebook, folder: Path) -> list[Slide]:
    """The slides of an executed notebook; players are looked up from `folder`."""
    slides, title = [], ""
    for i, cell in enumerate(notebook.cells):
        new, before, left = [], "", ""
        if cell.cell_type == "markdown":
            before = cell.source
            if tags(cell):  # what stands before its first heading speaks of the slide before
                found = HEADING.search(before)
                before, text = (
                    before[: found.start() if found else 0],
                    before[found.start() if found else 0 :],
                )
                new, left = text_slides(text, title, not slides), "\n\n".join(DETAILS.findall(text))
            title = (HEADING.findall(DETAILS.sub("", cell.source)) or [title])[-1]
        elif tags(cell):
            fresh = slides and tags(notebook.cells[i - 1])
            new = code_slide(notebook.cells, i, title, folder, slides[-1] if fresh else None)
        if slides and unfolded(before):
            slides[-1].notes.append(unfolded(before))
        slides += new
        if slides and unfolded(left):
            slides[-1].notes.append(unfolded(left))
    return slides


def page(slides: list[Slide], last: str) -> str:
    """Slides -> the HTML file of a chapter; `last` is the HTML of its last page."""
    slides, title, out = (
        [*slides, Slide("Work on it yourself", [last])],
        inline(slides[0].title),
        [],
    )
    for i, slide in enumerate(slides, 1):
        mark = "h1" if slide.main else "h2"
        notes = re.sub(
            r"<(/?)h[1-6]>",
            r"<\1p>",
            "".join(rendered(MARKDOWN.parse(each)) for each in slide.notes),
        )
        out.append(
            f'<section class="slide" id="slide-{i}" aria-roledescription="slide" aria-label="{i} of {len(slides)}">\n'
            f'<{mark} tabindex="-1">{inline(slide.title)}</{mark}>\n<div class="body {slide.style}">'
            + "\n".join(filter(None, slide.parts))
            + "</div>\n"
            + f'<p class="foot"><b>{i} / {len(slides)}</b>{title}</p>\n'
            + (
                f'<aside class="notes" aria-label="Notes" tabindex="0" hidden>{notes}</aside>\n'
                if notes
                else ""
            )
            + "</section>"
        )
    plain = html.escape(re.sub(r"<[^>]+>", "", title), quote=True)
    return (
        TEMPLATE.read_text(encoding="utf-8")
        .replace("{{TITLE}}", plain)
        .replace("{{SLIDES}}", "\n".join(out))
    )
