"""Build the course as static HTML from the committed notebooks: no kernel and no network when it is
read.

    python tools/build_site.py                # into site/
    python tools/build_site.py --pictures 9   # quick: at most 9 pictures a flip-book
    python tools/build_site.py --no-films     # films that no run of the notebooks has left behind stay out

Pages keep the places that their files have in the repository, so links between them work as they
stand. What Sphinx must not touch (players' films, figures, flip-books) goes beside the pages, see
`Site.extra`.
"""

import argparse
import ast
import base64
import copy
import html
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import site_api
from nbclient import NotebookClient
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "tools" / "page"
RESULTS = [
    "data_samples/results/" + name
    for name in (
        "table1.md",
        "table2.md",
        "table4.md",
        "table5.md",
        "fig3.md",
        "fig4.md",
        "fig5.md",
        "fig6.md",
        "claim.md",
    )
]
SHEETS = [
    "data_samples/README.md",
    *(f"data_samples/models/{name}.md" for name in ("mapper", "generator", "sync", "LICENSES")),
]
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
    "top_k_explorer": {"k": [10, 1, 500], "temperature": [1.0, 0.3, 1.5], "frame": [17, 40]},
}
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#\s]+)(#[^)\s]*)?\)")
SOURCE = re.compile(r'(<(?:audio|video)\b[^>]*?\bsrc=")([^"]+)"')


class Site:
    """One build: `pages` are Sphinx's sources, `extra` is copied beside them as it is."""

    def __init__(self, folder: Path, pictures: int, films: bool):
        self.pages, self.extra, self.pictures, self.films = (
            folder / "pages",
            folder / "extra",
            pictures,
            films,
        )
        self.rooms = site_api.package()
        self.calls: dict[str, set[str]] = {}

    def write(self, place: str, text: str) -> None:
        target = self.pages / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def copy(self, place: str, under: Path) -> None:
        (under / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / place, under / place)

    def page(self, place: str) -> None:
        """A markdown file of the repository as a page, its pictures beside it."""
        text = (ROOT / place).read_text(encoding="utf-8")
        for picture in re.findall(r"!\[[^\]]*\]\(([^)\s]+)\)", text):
            self.copy((Path(place).parent / picture).as_posix(), self.pages)
        text = linked(text, self.rooms, "../") if place == "docs/ledger.md" else text
        self.write(place, self.links(text, Path(place).parent))

    def links(self, text: str, folder: Path) -> str:
        """Links to files that are no pages carry the file along; links to folders and to what the
        page leaves out (instructors' solutions, notebooks' sources) become plain text."""

        def mend(found):
            words, target, _ = found.groups()
            place = os.path.relpath(os.path.normpath(ROOT / folder / target), ROOT)
            if re.match(r"\w+:", target) or place in self.places:
                return found[0]
            if (ROOT / place).is_file() and not place.startswith(("notebooks/", "..")):
                self.copy(place, self.pages)
                return found[0]
            return words

        return LINK.sub(mend, text)

    def chapter(self, path: Path) -> None:
        """One notebook: figures with their alt text, flip-books for widgets, films that play, the
        list at its end."""
        notebook = nbformat.read(path, 4)
        self.make_films(path, notebook)
        sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
        self.calls[path.stem] = site_api.used(sources, self.rooms)
        for i, cell in enumerate(notebook.cells):
            if cell.cell_type == "code":
                cell.outputs = self.outputs(cell, f"{path.stem}-{i}")
            else:
                cell.source = self.links(cell.source, Path("notebooks"))
        closing = nbformat.v4.new_markdown_cell(
            site_api.chapter_section(path.stem, self.calls[path.stem], self.rooms)
        )
        closing.id = "the-package"
        notebook.cells.append(closing)
        self.write(f"notebooks/{path.name}", nbformat.writes(notebook))

    def outputs(self, cell, name: str) -> list:
        """The outputs of a cell as the page shows them."""
        explorers, kept = explorer_calls(cell.source), []
        for output in cell.outputs:
            data = output.get("data", {})
            kind = next((each for each in ("image/png", "image/jpeg") if each in data), None)
            if data.get("text/plain", "").startswith("Widget:") and kind:
                shown = self.figure(data, output.metadata, kind, f"{name}-{len(kept)}")
                note = (
                    '<p class="course-note">Run this cell in the notebook to move what you see.</p>'
                )
                kept.append(raw(self.flipbook(explorers.pop(0)) if explorers else shown + note))
            elif kind:
                kept.append(raw(self.figure(data, output.metadata, kind, f"{name}-{len(kept)}")))
            elif data.get("text/markdown", "").startswith("*Figure: "):
                continue  # the caption of the figure before it: `figure` has written it
            elif SOURCE.search(data.get("text/html", "")):
                kept.append(raw(self.player(data["text/html"])))
            else:
                if "text/markdown" in data:
                    data["text/markdown"] = linked(data["text/markdown"], self.rooms, "../")
                kept.append(output)
        return kept

    def figure(self, data, metadata, kind: str, name: str) -> str:
        """A stored picture as a file, with alt text; the caption says the same, so screen readers
        skip it."""
        place = f"notebooks/pictures/{name}.{kind.partition('/')[2]}"
        (self.extra / place).parent.mkdir(parents=True, exist_ok=True)
        (self.extra / place).write_bytes(base64.b64decode(data[kind]))
        alt = html.escape(metadata[kind]["alt"], quote=True)
        # said in advance, so that the text below does not jump
        width, height = Image.open(self.extra / place).size
        return (
            f'<figure class="course-figure"><img src="{place.partition("/")[2]}" alt="{alt}" width="{width}" '
            f'height="{height}" loading="lazy"><figcaption aria-hidden="true">{alt}</figcaption></figure>'
        )

    def flipbook(self, name: str) -> str:
        """The explorer's flip-book, drawn once, in a frame."""
        from dirfa_edu.course import explorers

        made = getattr(explorers, name)()
        for parameter, kept in KEPT_STOPS.get(name, {}).items():
            stops = made.domain[parameter]
            if not set(kept) <= set(stops):
                raise ValueError(
                    f"KEPT_STOPS names a stop of {parameter} that {name} does not have: {kept} of {stops}"
                )
            made.domain[parameter] = [stop for stop in stops if stop in kept]
        title = "Flip-book: " + name.removesuffix("_explorer").replace("_", " ")
        path = self.extra / "flipbooks" / f"{name}.html"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            start = time.perf_counter()
            made.flipbook(path, title=title, most=self.pictures)
            print(
                f"{path.name}: {path.stat().st_size // 1024} KB, {time.perf_counter() - start:.0f} s",
                flush=True,
            )
        picture = Image.open(io.BytesIO(made.picture(**made.default))).height
        # about: the flip-book says it exactly, see course.js
        height = picture + 45 * len(made.domain) + 120
        return (
            f'<iframe class="flipbook" src="../flipbooks/{name}.html" title="{title}" height="{height}" '
            f'loading="lazy"></iframe><p><a href="../flipbooks/{name}.html">{title}, on a page of its own</a>. '
            "Move its sliders with the arrow keys.</p>"
        )

    def player(self, shown: str) -> str:
        """A player whose file lies beside the page; where there is no file, a sentence instead of a
        dead player."""
        for _, source in SOURCE.findall(shown):
            place = os.path.normpath(Path("notebooks") / html.unescape(source))
            if not (ROOT / place).exists():
                label = re.search(r'aria-label="([^"]*)"', shown)
                return (
                    f'<p class="course-note">A film is made here ({label[1] if label else source}): run the cell '
                    "above in the notebook to see it.</p>"
                )
            self.copy(place, self.extra)
        return (
            '<div class="course-player">'
            + SOURCE.sub(r'\1\2" preload="metadata"', shown)
            + "</div>"
        )

    def make_films(self, path: Path, notebook) -> None:
        """Where a chapter plays a film that is not there, run its cells up to the last one that
        makes such a film."""
        absent = []
        for i, cell in enumerate(notebook.cells):
            for output in cell.get("outputs", []):
                for _, source in SOURCE.findall(output.get("data", {}).get("text/html", "")):
                    if not (path.parent / html.unescape(source)).exists():
                        absent.append(i)
        if absent and self.films:
            start = time.perf_counter()
            part = copy.deepcopy(notebook)
            part.cells = part.cells[: absent[-1] + 1]
            NotebookClient(
                part,
                timeout=120,
                kernel_name="python3",
                resources={"metadata": {"path": str(path.parent)}},
            ).execute()
            print(f"{path.stem}: films made in {time.perf_counter() - start:.0f} s", flush=True)

    def build(self, target: Path) -> None:
        chapters = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
        docs = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))
        files = docs + RESULTS + SHEETS
        api = ["api/index.md", *(f"api/{room}.md" for room in self.rooms if room)]
        notebooks = [f"notebooks/{path.name}" for path in chapters]
        self.places = {"index.md", "results.md", *notebooks, *files, *api}
        self.extra.mkdir()
        for path in chapters:
            self.chapter(path)
        for place in files:
            self.page(place)
        self.write(
            "results.md",
            "# Results\n\nWhat `dirfa-edu reproduce` trained and measured, beside the paper's "
            f"numbers.\n\n{listing(RESULTS)}\n\n{toctree(RESULTS)}",
        )
        for name, room in self.rooms.items():
            if name:
                self.write(f"api/{name}.md", site_api.room_page(room, self.calls))
        self.write("api/index.md", site_api.index_page(self.rooms) + "\n" + toctree(api[1:]))
        self.copy("data_samples/pictures/talk.jpg", self.pages)
        beside = [*docs, "results.md", "api/index.md", *SHEETS]
        titles = {place: title(self.pages / place) for place in beside}
        landing = (PAGE / "index.md").read_text(encoding="utf-8")
        landing = landing.replace("{{CHAPTERS}}", chapter_table(chapters)).replace(
            "{{BESIDE}}", "\n".join(f"* [{words}]({place})" for place, words in titles.items())
        )
        self.write(
            "index.md",
            landing
            + "\n"
            + toctree(notebooks, "Chapters")
            + toctree(beside, "Beside the chapters", titles),
        )
        made = self.pages.parent / "html"
        subprocess.run(
            [
                sys.executable,
                "-m",
                "sphinx",
                "-b",
                "html",
                "-q",
                "-W",
                "--keep-going",
                "-c",
                PAGE,
                "-D",
                f"html_extra_path={self.extra}",
                "-d",
                self.pages.parent / "doctrees",
                self.pages,
                made,
            ],
            check=True,
            env=os.environ | {"PYTHONWARNINGS": "ignore"},
        )
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(
            made,
            target,
            ignore=shutil.ignore_patterns("_sources", ".buildinfo*", "objects.inv", "*.map"),
        )


def explorer_calls(source: str) -> list[str]:
    """The explorers that a cell shows, in order: `explorers.mask_explorer()`."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a cell of shell commands
        return []
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "explorers"
    ]
    return [
        node.func.attr for node in sorted(calls, key=lambda node: (node.lineno, node.col_offset))
    ]


def raw(text: str):
    return nbformat.v4.new_output("display_data", {"text/html": text})


def toctree(places: list[str], caption: str = "", titles: dict[str, str] | None = None) -> str:
    """The pages in the side bar, in order, under their own headings or under `titles`."""
    lines = ["```{toctree}", ":hidden:", *([f":caption: {caption}"] if caption else [])]
    for place in places:
        name = f"/{Path(place).with_suffix('')}"
        lines.append(f"{titles[place]} <{name}>" if titles and place in titles else name)
    return "\n".join([*lines, "```\n"])


def title(path: Path) -> str:
    """A page's first heading; that of a model card is its file's name."""
    heading = re.search(r"^# (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)[1]
    return f"Model card: {heading.split('.')[0]}" if heading.endswith(".safetensors") else heading


def listing(places: list[str]) -> str:
    return "\n".join(f"* [{title(ROOT / place)}]({place})" for place in places)


def chapter_table(chapters: list[Path]) -> str:
    """Each chapter with what the README says you do there and what of the paper it holds."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = ["| chapter | you will | paper |", "|---|---|---|"]
    for path in chapters:
        row = re.search(
            rf"^\|[^|]*\(notebooks/{path.name}\)[^|]*\|([^|]*)\|([^|]*)\|", readme, re.MULTILINE
        )
        words = [row[1].strip(), row[2].strip()] if row else ["", ""]
        heading = nbformat.read(path, 4).cells[0].source.splitlines()[0].lstrip("# ")
        lines.append(f"| [{heading}](notebooks/{path.name}) | {words[0]} | {words[1]} |")
    return "\n".join(lines)


def linked(table: str, rooms: dict, up: str = "") -> str:
    """A table of the ledger's kind with a link from each `room.function`; chapters are linked as a
    whole."""

    def entry(found):
        room, _, name = found[1].partition(".")
        known = site_api.find(room, name, rooms)
        return (
            site_api.entry_link(known, up).replace(f"`{known.name}`", f"`{found[1]}`")
            if known
            else found[0]
        )

    return re.sub(r"(\.ipynb)#[^)]*", r"\1", re.sub(r"`(\w+(?:\.\w+)+)`", entry, table))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--out", type=Path, default=ROOT / "site")
    options.add_argument("--pictures", type=int, default=81, help="at most so many in a flip-book")
    options.add_argument(
        "--no-films", action="store_true", help="run no notebook to make a film that is not there"
    )
    chosen = options.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        Site(Path(folder), chosen.pictures, not chosen.no_films).build(chosen.out)
    size = sum(path.stat().st_size for path in chosen.out.rglob("*") if path.is_file())
    print(
        f"{chosen.out}: {size / 2**20:.0f} MB in {time.perf_counter() - start:.0f} s; open {chosen.out}/index.html"
    )


if __name__ == "__main__":
    main()
