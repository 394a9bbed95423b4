"""Build the course as static HTML from the committed notebooks.

    python tools/build_site.py                # into site/
    python tools/build_site.py --pictures 9   # quick: at most 9 pictures a flip-book
    python tools/build_site.py --no-films     # without films that no run has left behind

Who reads it needs no kernel and no network.
Pages keep the places that their files have in the repository, so links between them work as they
stand. The package's pages are Sphinx's own, see site_api.py. What Sphinx must not touch (players'
films, figures, flip-books) goes beside the pages, see `Site.beside`.
"""

import argparse
import copy
import html
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nbformat
import site_api
import site_outputs
from jinja2 import StrictUndefined, Template
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "tools" / "page"
RESULT_NAMES = ("table1", "table2", "table4", "table5", "fig3", "fig4", "fig5", "fig6", "claim")
RESULTS = [f"data_samples/results/{name}.md" for name in RESULT_NAMES]
CARDS = [f"data_samples/models/{name}.md" for name in ("mapper", "generator", "sync", "LICENSES")]
SHEETS = ["data_samples/README.md", *CARDS]
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#\s]+)(#[^)\s]*)?\)")
PICTURE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)")
LEFT_OUT = ("_sources", ".buildinfo*", "objects.inv", "*.map")  # of what Sphinx writes


@dataclass(frozen=True)
class Site:
    """One build in a working folder.

    A flip-book has at most so many `pictures`. With `films`, notebooks run to make a film that is
    not there.
    """

    folder: Path
    pictures: int = 81
    films: bool = True

    @property
    def pages(self) -> Path:
        """Sphinx's sources."""
        return self.folder / "pages"

    @property
    def beside(self) -> Path:
        """What is copied beside the pages as it is."""
        return self.folder / "beside"

    @cached_property
    def chapters(self) -> list[Path]:
        return sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))

    @cached_property
    def docs(self) -> list[str]:
        return sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))

    @cached_property
    def places(self) -> set[str]:
        """All files of the repository that become pages."""
        notebooks = [f"notebooks/{path.name}" for path in self.chapters]
        return {*notebooks, *self.docs, *RESULTS, *SHEETS}

    def build(self, target: Path) -> None:
        """Write all sources, run Sphinx, put the site into `target`."""
        self.beside.mkdir()
        for path in self.chapters:
            self.chapter(path)
        for place in [*self.docs, *RESULTS, *SHEETS]:
            self.page(place)
        self.frame()

        made = self.folder / "html"
        self.run_sphinx(made)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(made, target, ignore=shutil.ignore_patterns(*LEFT_OUT))

    def chapter(self, path: Path) -> None:
        """One notebook, with outputs for a page, and a list of the package's names at its end."""
        notebook = nbformat.read(path, 4)
        if self.films:
            make_films(path, notebook)
        for i, cell in enumerate(notebook.cells):
            if cell.cell_type == "code":
                name = f"{path.stem}-{i}"
                cell.outputs = site_outputs.shown(cell, name, self.beside, self.pictures)
            else:
                cell.source = self.links(cell.source, Path("notebooks"))

        closing = nbformat.v4.new_markdown_cell(site_api.chapter_section(path.stem))
        closing.id = "the-package"
        notebook.cells.append(closing)
        self.write(f"notebooks/{path.name}", nbformat.writes(notebook))

    def page(self, place: str) -> None:
        """A Markdown file of the repository as a page, its pictures beside it."""
        text = (ROOT / place).read_text(encoding="utf-8")
        folder = Path(place).parent
        for picture in PICTURE.findall(text):
            site_outputs.copy((folder / picture).as_posix(), self.pages)
        if place == "docs/ledger.md":
            text = site_outputs.linked(text)
        self.write(place, self.links(text, folder))

    def links(self, text: str, folder: Path) -> str:
        """Markdown whose links lead somewhere on the site.

        Links to files that are no pages carry the file along; links to folders and to what the site
        leaves out (instructors' solutions, notebooks' sources) become plain text.
        """

        def mend(found: re.Match) -> str:
            words, target, _ = found.groups()
            place = os.path.relpath(os.path.normpath(ROOT / folder / target), ROOT)
            if re.match(r"\w+:", target) or place in self.places:
                return found[0]
            if (ROOT / place).is_file() and not place.startswith(("notebooks/", "..")):
                site_outputs.copy(place, self.pages)
                return found[0]
            return words

        return LINK.sub(mend, text)

    def frame(self) -> None:
        """The pages that hold the others together: the first one, the results, the package."""
        site_outputs.copy("data_samples/pictures/talk.jpg", self.pages)
        results = {place: title(ROOT / place) for place in RESULTS}
        self.write("results.md", filled("results.md", results=results))

        folders = [name for name in site_api.rooms() if name.count(".") == 1]
        self.write("api/index.rst", filled("api.rst", rooms=folders))

        beside = {place: title(ROOT / place) for place in self.docs}
        beside |= {"results.md": "Results", "api/index.rst": "The package"}
        beside |= {place: title(ROOT / place) for place in SHEETS}
        rows = [chapter_row(path) for path in self.chapters]
        self.write("index.md", filled("index.md", chapters=rows, beside=beside))

    def write(self, place: str, text: str) -> None:
        target = self.pages / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def run_sphinx(self, made: Path) -> None:
        """Sphinx over all sources; -W: a warning, such as a dead link, is an error."""
        command = [sys.executable, "-m", "sphinx", "-b", "html", "-q", "-W", "--keep-going"]
        settings = ["-c", PAGE, "-D", f"html_extra_path={self.beside}"]
        folders = ["-d", self.folder / "doctrees", self.pages, made]
        quiet = os.environ | {"PYTHONWARNINGS": "ignore"}
        subprocess.run([*command, *settings, *folders], check=True, env=quiet)


def make_films(path: Path, notebook) -> None:
    """Run the cells of a chapter up to the last one whose film is not there."""
    absent = []
    for i, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            markup = output.get("data", {}).get("text/html", "")
            for _, source in site_outputs.SOURCE.findall(markup):
                if not (path.parent / html.unescape(source)).exists():
                    absent.append(i)
    if not absent:
        return

    start = time.perf_counter()
    part = copy.deepcopy(notebook)
    part.cells = part.cells[: absent[-1] + 1]
    where = {"metadata": {"path": str(path.parent)}}
    NotebookClient(part, timeout=120, kernel_name="python3", resources=where).execute()
    print(f"{path.stem}: films made in {time.perf_counter() - start:.0f} s", flush=True)


def filled(name: str, **values) -> str:
    """A page of tools/page with its gaps filled."""
    text = (PAGE / name).read_text(encoding="utf-8")
    # Markdown or reStructuredText: nothing to escape
    template = Template(
        text, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    return template.render(values)


def title(path: Path) -> str:
    """A page's first heading; that of a model card is its file's name."""
    heading = re.search(r"^# (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)[1]
    return f"Model card: {heading.split('.')[0]}" if heading.endswith(".safetensors") else heading


def chapter_row(path: Path) -> dict[str, str]:
    """A chapter's place and title; what the README says of it: your task, what of the paper."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    row = re.search(
        rf"^\|[^|]*\(notebooks/{path.name}\)[^|]*\|([^|]*)\|([^|]*)\|", readme, re.MULTILINE
    )
    return {
        "place": f"notebooks/{path.name}",
        "title": nbformat.read(path, 4).cells[0].source.splitlines()[0].lstrip("# "),
        "task": row[1].strip() if row else "",
        "paper": row[2].strip() if row else "",
    }


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
    seconds = time.perf_counter() - start
    print(f"{chosen.out}: {size / 2**20:.0f} MB in {seconds:.0f} s; open {chosen.out}/index.html")


if __name__ == "__main__":
    main()
