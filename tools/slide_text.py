"""Text and code of a slide as HTML, in letters as large as its page has space for.

Heights are estimates in pixels of a page of 1280 x 720; slides.html makes smaller what turns out
longer in the browser.
"""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from formulas import mathml
from jinja2 import StrictUndefined, Template
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

WIDTH = 1160  # pixels of a line
PAGE_HEIGHT = 586  # pixels between the upper margin and the foot
CHAPTER_SIZE, TITLE_SIZE = 54, 42  # letters of a chapter's title, of another one
SIZES = {"l": 35, "": 30, "m": 27, "s": 24}  # letters of text, by class in slides.html
CODE_SIZES = {"": 24, "m": 21, "s": 18}
SLACK = 1.12  # a page may be planned so much too full

PARTS = Template(
    Path(__file__).with_name("slide_parts.html").read_text(encoding="utf-8"),
    autoescape=True,
    undefined=StrictUndefined,
).module
MARKDOWN = (
    MarkdownIt("commonmark", {"html": False})
    .enable("table")
    .use(dollarmath_plugin, renderer=lambda tex, options: mathml(tex, options["display_mode"]))
)


@dataclass
class Slide:
    title: str  # Markdown
    parts: list[Markup]
    style: str = ""  # class of its letters, a key of SIZES
    height: float = 0.0  # estimated
    main: bool = False  # the first slide of a chapter
    notes: list[str] = field(default_factory=list)  # Markdown


@dataclass(frozen=True)
class Text:
    """Code or what it printed, as plain text and as HTML; `kind` is its class in slides.html."""

    plain: str
    shown: Markup
    kind: str


def without_files(text: str) -> Markup:
    """HTML in which only addresses on the web are links."""
    # a slide travels without the files it was made from
    return Markup(re.sub(r'<a href="(?!https://)[^"]*">(.*?)</a>', r"\1", text))


def blocks_of(text: str) -> list[list[Token]]:
    """The top-level blocks of a Markdown text, each as its tokens."""
    blocks, depth = [], 0
    for token in MARKDOWN.parse(text):
        if depth == 0:
            blocks.append([])
        blocks[-1].append(token)
        depth += token.nesting
    return blocks


def rendered(tokens: list[Token]) -> Markup:
    return without_files(MARKDOWN.renderer.render(tokens, MARKDOWN.options, {}))


def inline(text: str) -> Markup:
    return without_files(MARKDOWN.renderInline(text))


def coloured(source: str) -> Markup:
    """Python as HTML; slides.html has the colours."""
    shorter = re.sub(r" {3,}#", "  #", source)
    return Markup(highlight(shorter, PythonLexer(), HtmlFormatter(nowrap=True)).rstrip())


def space_under(title: str, main: bool = False) -> float:
    """Pixels that a title leaves."""
    size = CHAPTER_SIZE if main else TITLE_SIZE
    lines = math.ceil(len(title) * 0.62 * size / WIDTH)
    return PAGE_HEIGHT - 1.15 * size * lines


def height(block: list[Token], size: float) -> float:
    """About how many pixels a block needs in text of `size` pixels."""
    kind = block[0].type
    if kind in ("fence", "code_block"):
        return (1.2 * block[0].content.count("\n") + 1.5) * size
    if kind == "math_block":
        return (2.9 + 1.3 * block[0].content.count("\\\\")) * size
    if kind == "table_open":
        return 1.8 * size * sum(token.type == "tr_open" for token in block)

    total = 0.4 * size
    for token in block:
        if token.type == "math_block":
            total += 2.9 * size
        elif token.type == "inline":
            words = re.sub(r"\\[A-Za-z]+|[{}_^$*`\\]", "", token.content)
            lines = math.ceil(len(words) * 0.55 * size / (WIDTH - 1.3 * size))
            total += (1.4 * lines + 0.3) * size
    return total


def code_height(texts: list[Text], size: float) -> float:
    """About how many pixels blocks of code need in letters of `size` pixels."""
    lines = [line for text in texts for line in text.plain.splitlines()]
    rows = sum(max(1, math.ceil(len(line) * 0.61 * size / (WIDTH - 40))) for line in lines)
    return 1.3 * size * rows + 40 * len(texts)


def fitting(sizes: dict[str, int], needed: Callable[[int], float], space: float) -> tuple[str, int]:
    """The class and size of the largest letters that fit in `space` pixels, or of the smallest."""
    for style, size in sizes.items():
        if needed(size) <= space:
            return style, size
    return style, size


def packed(title: str, blocks: list[list[Token]], main: bool = False) -> list[Slide]:
    """Blocks -> as few slides as hold them, in letters as large as fit.

    A chapter's first slide stays one: it drops what its page does not hold from the beginning.
    """
    space = space_under(title, main)
    style, size = fitting(SIZES, lambda size: sum(height(each, size) for each in blocks), space)
    heights = [height(block, size) for block in blocks]
    while main and len(blocks) > 2 and sum(heights) > space:
        blocks, heights = blocks[1:], heights[1:]

    fits = main or sum(heights) < SLACK * space
    count = 1 if fits else math.ceil(sum(heights) / space)
    slides = [Slide(title, [], style, main=main)]
    for block, tall in zip(blocks, heights):
        # each slide takes its even share of the height, so that the last one is no leftover
        full = slides[-1].parts and slides[-1].height + tall / 2 > sum(heights) / count
        if full and len(slides) < count:
            slides.append(Slide(f"{title} ({len(slides) + 1})", [], style))
        slides[-1].parts.append(rendered(block))
        slides[-1].height += tall
    return slides


def code_parts(texts: list[Text], space: float) -> tuple[list[Markup], float, str]:
    """Blocks of code in letters as large as fit -> HTML of each, height, class of the letters."""
    if not texts:
        return [], 0.0, ""
    style, size = fitting(CODE_SIZES, lambda size: code_height(texts, size), space)
    parts = [PARTS.code(text.kind, style, text.shown) for text in texts]
    return parts, code_height(texts, size), style
