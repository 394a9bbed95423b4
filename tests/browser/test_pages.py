"""The static page, built once with short flip-books: all links lead somewhere on this machine."""

import importlib
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import site_api  # noqa: E402
import site_outputs  # noqa: E402

from dirfa_edu.course import paper  # noqa: E402

CHAPTERS = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))
# dotted name of each room, from its file: folders are rooms too, for their own file
ROOMS = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "dirfa_edu").rglob("*.py")
}
LOADED = {
    "script": "src",
    "img": "src",
    "audio": "src",
    "video": "src",
    "source": "src",
    "iframe": "src",
}


class Page(HTMLParser):
    """The tags of a page, [(tag, attributes)], its ids, and its text."""

    def __init__(self, path: Path):
        super().__init__()
        self.path, self.tags, self.ids, self.words = path, [], set(), []
        self.feed(path.read_text(encoding="utf-8"))
        self.text = "".join(self.words)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append((tag, attributes))
        self.ids |= {attributes.get("id"), attributes.get("name")} - {None}

    def handle_data(self, data):
        self.words.append(data)

    def all(self, *names) -> list[dict]:
        return [attributes for tag, attributes in self.tags if tag in names]

    def links(self) -> list[str]:
        return [each["href"] for each in self.all("a") if each.get("href")]

    def loads(self) -> list[str]:
        """What the browser fetches to show the page."""
        addresses = [
            each[LOADED[tag]] for tag, each in self.tags if tag in LOADED and LOADED[tag] in each
        ]
        return addresses + [
            each["href"]
            for each in self.all("link")
            if each.get("rel") in ("stylesheet", "icon", "preload", "shortcut icon")
        ]


@pytest.fixture(scope="module")
def pages(built):
    return {
        path.relative_to(built).as_posix(): Page(path)
        for path in sorted(built.rglob("*.html"))
        if "_static" not in path.parts
    }


def target(page: Page, address: str) -> tuple[Path, str]:
    """The file and the place in it that a relative address leads to."""
    parts = urlsplit(address)
    return (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path, unquote(
        parts.fragment
    )


def api_page(dotted):
    """The page of a room, or of the room that a function, class or method is at home in."""
    room = max((room for room in ROOMS if f"{dotted}.".startswith(f"{room}.")), key=len)
    return "api/index.html" if room == "dirfa_edu" else f"api/{room}.html"


def test_all_pages_are_there(pages):
    wanted = {
        "index.html",
        "search.html",
        "results.html",
        "api/index.html",
        "data_samples/README.html",
    }
    wanted |= {f"docs/{name}.html" for name in ("ledger", "notation", "glossary")}
    wanted |= {f"notebooks/{name}.html" for name in CHAPTERS}
    wanted |= {api_page(room) for room in ROOMS}
    wanted |= {f"data_samples/results/table{i}.html" for i in (1, 2, 4, 5)}
    wanted |= {f"docs/{path.stem}.html" for path in (ROOT / "docs").glob("*.md")}
    assert wanted <= set(pages)
    order = [link for link in pages["index.html"].links() if link.startswith("notebooks/")]
    assert order[: len(CHAPTERS)] == [f"notebooks/{name}.html" for name in CHAPTERS]


def test_every_room_has_its_page_those_in_folders_too(pages):
    assert len(ROOMS) == len(list((ROOT / "dirfa_edu").rglob("*.py"))) >= 55
    assert set(site_api.rooms()) == ROOMS
    assert {name for name in pages if name.startswith("api/")} == {api_page(r) for r in ROOMS}
    for room in ROOMS:
        page = pages[api_page(room)]
        assert f"module-{room}" in page.ids, room
        # below its heading each room says what it is
        assert importlib.import_module(room).__doc__.split()[0] in page.text, room


def test_nothing_is_loaded_from_another_machine(built, pages):
    for name, page in pages.items():
        outside = [each for each in page.loads() if re.match(r"(https?:)?//", each)]
        assert outside == [], name
        assert not [each for each in page.loads() if "mathjax" in each.lower()], name
    for path in built.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"""(url\(\s*['"]?|@import\s+['"])(https?:)?//""", text), path.name


def test_every_link_anchor_picture_and_player_leads_somewhere(built, pages):
    by_path = {page.path.resolve(): page for page in pages.values()}
    dead = []
    for name, page in pages.items():
        for address in page.links() + page.loads():
            if re.match(r"(https?|mailto|data):", address):
                continue
            path, place = target(page, address)
            if not path.is_file() or built.resolve() not in path.parents:
                dead.append((name, address))
            elif place and path in by_path and place not in by_path[path].ids:
                dead.append((name, address))
    assert dead == []


def test_pages_are_described(pages):
    for name, page in pages.items():
        assert len(page.all("h1")) == 1, name
        assert page.all("html")[0].get("lang") == "en", name
        assert "title" in {tag for tag, _ in page.tags}, name
        assert [each for each in page.all("img") if not each.get("alt", "").strip()] == [], name
        assert [each for each in page.all("iframe") if not each.get("title")] == [], name
        assert [each for each in page.all("audio", "video") if not each.get("aria-label")] == [], (
            name
        )


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_shows_what_its_notebook_shows(chapter, pages):
    page = pages[f"notebooks/{chapter}.html"]
    notebook = nbformat.read(ROOT / "notebooks" / f"{chapter}.ipynb", 4)
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert len(page.all("details")) >= prose.count("<details") > 0
    wanted = [
        name
        for cell in notebook.cells
        if cell.cell_type == "code"
        for name in site_outputs.explorer_calls(cell.source)
    ]
    framed = [Path(each["src"]).stem for each in page.all("iframe")]
    assert framed == [name for name in wanted if f"flipbooks/{name}.html" in pages]
    # its one widget is the puppet, with too many sliders for a flip-book
    if chapter != "05_generator":
        assert framed, "at least one explorer"
    pictures = [
        kind for output in outputs for kind in output.get("data", {}) if kind.startswith("image/")
    ]
    article = [each for each in page.all("img") if each["src"].startswith("pictures/")]
    assert len(article) == len(pictures) - len(framed), "each picture once"
    assert page.text.count("*Figure:") == 0 and "Widget:" not in page.text
    players = sum(
        len(site_outputs.SOURCE.findall(output.get("data", {}).get("text/html", "")))
        for output in outputs
    )
    sentences = page.text.count("A film is made here")
    assert len(page.all("audio", "video")) + sentences == players, (
        "a player, or a sentence where its film is not there"
    )
    if "$" in prose:
        formulas = page.all("math")
        assert len(formulas) > 3 and all(each["alttext"] for each in formulas)
        assert "\\frac" not in page.text and "\\text" not in page.text
    assert "instructor" not in " ".join(page.links())


def test_the_flipbooks_have_a_slider(pages):
    books = [page for name, page in pages.items() if name.startswith("flipbooks/")]
    assert len(books) >= 7
    for page in books:
        assert page.all("input") and len(page.text) > 20_000, page.path.name


def place(dotted):
    """The address of a function's place, from a chapter."""
    return f"../{api_page(dotted)}#{dotted}"


def test_functions_and_chapters_link_to_each_other(pages):
    links = {name: set(page.links()) for name, page in pages.items()}
    count = 0
    for name, thing in site_api.documented().items():
        assert name in pages[api_page(name)].ids, f"{name} has no place on its page"
        for chapter in set(site_api.CHAPTER.findall(thing.__doc__)) & set(CHAPTERS):
            assert f"../notebooks/{chapter}.html" in links[api_page(name)], name
            assert place(name) in links[f"notebooks/{chapter}.html"], (
                f"{chapter} does not link to {name}"
            )
            count += 1
    assert count > 60
    assert set(site_api.calls()) == set(CHAPTERS)
    for chapter, called in site_api.calls().items():
        assert len(called) >= 5
        for name in called:
            assert place(name) in links[f"notebooks/{chapter}.html"], name
            assert f"../notebooks/{chapter}.html" in links[api_page(name)], name
            assert "Called in" in pages[api_page(name)].text


def test_the_ledger_links_each_row(pages):
    ledger, elsewhere = (pages[f"docs/{name}.html"].links() for name in ("ledger", "notation"))
    for row in paper.LEDGER:
        chapter = f"../notebooks/{row.notebook}.html"
        assert ledger.count(chapter) > elsewhere.count(chapter), "more than the side bar's"
        name = site_api.home(f"dirfa_edu.{row.function}")
        assert name, row.function
        assert place(name) in ledger
    assert len(pages["docs/ledger.html"].all("tr")) == len(paper.LEDGER) + 1


def test_calls_are_found_in_the_syntax_tree():
    cells = [
        "from dirfa_edu import masks, plots, Discretizer as Bins",
        "from dirfa_edu.mapper import Block",
        "import dirfa_edu.video as films\nimport dirfa_edu",
        "M = masks.causal_mask(6)\nBins.fit([Y], bins=10)\nplots.show(fig, alt='')\nBlock(config)",
        "films.read(masks.alibi_slopes(8).shape)\ndirfa_edu.load_pretrained('mapper').config",
        "!pip list",
    ]
    assert site_api.used(cells) == {
        "dirfa_edu.masks.causal_mask",
        "dirfa_edu.masks.alibi_slopes",
        "dirfa_edu.discretize.Discretizer",
        "dirfa_edu.discretize.Discretizer.fit",
        "dirfa_edu.plots.show",
        "dirfa_edu.mapper.Block",
        "dirfa_edu.training.load_pretrained",
    }
    assert site_api.used(["import masks\nmasks.causal_mask(6)"]) == set()


def test_docstrings_are_shown_as_they_are():
    doc = (
        "p(Y_t | A_{t-tau:t}) is *not* emphasis, `a_b` is code.\n\n    x(t) = 1\n\n"
        "Notebook: 03_biased_mask, not 09_nowhere.\n-inf hides.\n\n>>> 1 + 1\n2"
    )
    assert site_api.docstring("dirfa_edu.nothing", doc) == (
        "p(Y\\_t \\| A\\_{t-tau:t}) is \\*not\\* emphasis, ``a_b`` is code.\n\n"
        "::\n\n    x(t) = 1\n\n"
        "Notebook: :doc:`03_biased_mask </notebooks/03_biased_mask>`, not 09\\_nowhere.\n"
        "\\-inf hides.\n\n>>> 1 + 1\n2"
    )
    called = site_api.docstring("dirfa_edu.masks.causal_mask", "A mask.")
    assert called == "A mask.\n\nCalled in :doc:`03_biased_mask </notebooks/03_biased_mask>`."
