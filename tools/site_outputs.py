"""The outputs of a chapter's cells as its page shows them.

Figures and players are files beside the page, flip-books stand in the place of widgets.
"""

import ast
import base64
import html
import io
import os
import re
import shutil
import time
from pathlib import Path

import nbformat
import site_api
from jinja2 import StrictUndefined, Template
from PIL import Image

from dirfa_edu.course import explorers

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = (ROOT / "tools" / "page" / "outputs.html").read_text(encoding="utf-8")
HTML = Template(TEMPLATE, autoescape=True, undefined=StrictUndefined).module

# Where all stops of an explorer would be more than 81 pictures, the page keeps these stops of a
# parameter. Without an entry its last parameters stay at their first stop, and the chapter's text
# may ask for a slider that is not there.
KEPT_STOPS = {
    "conductor_explorer": {
        "speech": ["synthetic map", "real Austen"],
        "slope": [1, 0],
        "k": ["per group", 1],
        "temperature": ["per group", 1.5],
    },
    "top_k_explorer": {
        "k": [10, 1, 500],
        "temperature": [1.0, 0.3, 1.5],
        "frame": [17, 40],
    },
}
SOURCE = re.compile(r'(<(?:audio|video)\b[^>]*?\bsrc=")([^"]+)"')
# a name of the package in a table of the ledger's kind, and a link into a chapter
NAME = re.compile(r"`(\w+(?:\.\w+)+)`")
INTO_CHAPTER = re.compile(r"(\.ipynb)#[^)]*")


def shown(cell, name: str, beside: Path, pictures: int) -> list:
    """The outputs of a cell for its page; `name` begins the names of its figures' files.

    Files go into the folder `beside`, at the places that they have in the repository; a flip-book
    has at most so many `pictures`.
    """
    waiting = explorer_calls(cell.source)
    kept = []
    for output in cell.outputs:
        data = output.get("data", {})
        kind = next((each for each in ("image/png", "image/jpeg") if each in data), "")
        widget = data.get("text/plain", "").startswith("Widget:")

        if kind and widget and waiting:
            kept.append(as_html(flipbook(waiting.pop(0), beside, pictures)))
        elif kind:
            picture = figure(
                data[kind], kind, output.metadata[kind]["alt"], name, len(kept), beside
            )
            kept.append(as_html(picture + HTML.still() if widget else picture))
        elif data.get("text/markdown", "").startswith("*Figure: "):
            continue  # the caption of the figure before it, which `figure` has written
        elif SOURCE.search(data.get("text/html", "")):
            kept.append(as_html(player(data["text/html"], beside)))
        else:
            if "text/markdown" in data:
                data["text/markdown"] = linked(data["text/markdown"])
            kept.append(output)
    return kept


def as_html(text: str):
    return nbformat.v4.new_output("display_data", {"text/html": str(text)})


def figure(data: str, kind: str, alt: str, name: str, number: int, beside: Path) -> str:
    """A stored picture as a file, with its alt text."""
    place = f"pictures/{name}-{number}.{kind.partition('/')[2]}"
    path = beside / "notebooks" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(base64.b64decode(data))
    # said in advance, so that the text below does not jump
    width, height = Image.open(path).size
    return HTML.figure(place, alt, width, height)


def flipbook(name: str, beside: Path, pictures: int) -> str:
    """An explorer's flip-book, drawn once, in a frame."""
    explorer = getattr(explorers, name)()
    for parameter, kept in KEPT_STOPS.get(name, {}).items():
        stops = explorer.domain[parameter]
        if not set(kept) <= set(stops):
            raise ValueError(
                f"KEPT_STOPS names a stop of {parameter} that {name} does not have: "
                f"{kept} of {stops}"
            )
        explorer.domain[parameter] = [stop for stop in stops if stop in kept]

    title = "Flip-book: " + name.removesuffix("_explorer").replace("_", " ")
    path = beside / "flipbooks" / f"{name}.html"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        start = time.perf_counter()
        explorer.flipbook(path, title=title, most=pictures)
        size, seconds = path.stat().st_size // 1024, time.perf_counter() - start
        print(f"{path.name}: {size} KB, {seconds:.0f} s", flush=True)

    picture = Image.open(io.BytesIO(explorer.picture(**explorer.default)))
    # about: the flip-book says it exactly, see course.js
    height = picture.height + 45 * len(explorer.domain) + 120
    return HTML.flipbook(f"../flipbooks/{name}.html", title, height)


def player(tag: str, beside: Path) -> str:
    """A player whose file lies beside the page; a sentence where there is no file."""
    for _, source in SOURCE.findall(tag):
        place = os.path.normpath(Path("notebooks") / html.unescape(source))
        if not (ROOT / place).exists():
            label = re.search(r'aria-label="([^"]*)"', tag)
            return HTML.no_film(html.unescape(label[1]) if label else source)
        copy(place, beside)
    return HTML.player(SOURCE.sub(r'\1\2" preload="metadata"', tag))


def copy(place: str, under: Path) -> None:
    """A file of the repository, at the same place below another folder."""
    (under / place).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / place, under / place)


def explorer_calls(source: str) -> list[str]:
    """The explorers that a cell shows, in order: `explorers.mask_explorer()`."""
    calls = [
        node
        for node in ast.walk(site_api.parsed(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "explorers"
    ]
    in_order = sorted(calls, key=lambda node: (node.lineno, node.col_offset))
    return [node.func.attr for node in in_order]


def linked(table: str) -> str:
    """A table of the ledger's kind with a link from each `room.function`.

    Links into a chapter lead to its beginning: Sphinx names the places in it otherwise.
    """

    def entry(found: re.Match) -> str:
        name = site_api.home(f"dirfa_edu.{found[1]}")
        return site_api.link(name, found[1]) if name else found[0]

    return INTO_CHAPTER.sub(r"\1", NAME.sub(entry, table))
