"""Build the students' and the instructors' notebooks from notebooks/src/*.py, run and store them.

    python tools/build_notebooks.py                 # chapters whose source changed
    python tools/build_notebooks.py --all           # every chapter
    python tools/build_notebooks.py 03_biased_mask  # one chapter, changed or not

In a code cell the lines between `# BEGIN SOLUTION` and `# END SOLUTION` become `...` for students.
In a markdown cell `{{SOLUTION}}` becomes the collapsed solution of the exercise above,
`{{RUN_TIME}}` the measured time, and in a formula that stands on its own symbols get the colours of
the plots.
"""

import argparse
import hashlib
import math
import os
import re
import sys
import time
from datetime import datetime
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from dirfa_edu.plots import COLOURS

ROOT = Path(__file__).resolve().parents[1]
STUDENTS = ROOT / "notebooks"
SOURCES = STUDENTS / "src"
INSTRUCTORS = STUDENTS / "instructor"
SOLUTION = re.compile(r"^( *)# BEGIN SOLUTION\n(.*?)^ *# END SOLUTION\n?", re.DOTALL | re.MULTILINE)
DISPLAYED = re.compile(r"\$\$.+?\$\$", re.DOTALL)
# symbols in formulas, named as in plots.COLOURS; Y itself is black
SYMBOLS = re.compile(
    r"(?P<I_tgt>(?:\\hat\s?\{?)?I\}?_\{tgt\})|(?P<I_src>I_\{src\})|(?P<Z>Z_\{tgt\})"
    r"|(?P<y_bar>\\bar(?:\{[yY]\}| [yY]))|(?P<y_tilde>\\tilde(?:\{[yY]\}| [yY]))"
    r"|(?P<y_hat>\\hat(?:\{[yY]\}| [yY]))|(?P<A>(?<![A-Za-z\\])A(?![A-Za-z]))"
    r"|(?P<M>(?<![A-Za-z\\])M(?![A-Za-z]))"
)
WIDGET = "application/vnd.jupyter.widget-view+json"
COLLAPSED = "<details><summary>Solution</summary>\n\n```python\n{}\n```\n\n</details>"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
CELL_SECONDS = 180  # a cell that runs longer is stopped
LARGEST = 1_500_000  # bytes of a chapter; with more, GitHub and JupyterLab are slow to show it


def build(source: str, name: str, instructor: bool = False, run_seconds: float | None = None):
    """Percent script -> notebook without outputs.

    The cells' sources are a function of the arguments alone.
    """
    script = jupytext.reads(source, fmt="py:percent")
    cells, solution = [], ""
    for i, cell in enumerate(script.cells):
        if cell.cell_type == "code":
            solved = SOLUTION.sub(r"\2", cell.source + "\n").rstrip()
            stub = SOLUTION.sub(r"\1...\n", cell.source + "\n").rstrip()
            if solved != stub:
                solution = solved
            new = nbformat.v4.new_code_cell(solved if instructor else stub)
        else:
            text = prose(cell.source, solution, instructor, run_seconds)
            new = nbformat.v4.new_markdown_cell(text)
        new.id = f"{name.split('_')[0]}-{i:02d}"
        if cell.metadata.get("tags"):
            new.metadata["tags"] = list(cell.metadata["tags"])
        if new.source:
            cells.append(new)

    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata.update(kernelspec=KERNEL, language_info={"name": "python"})
    notebook.metadata["dirfa_edu"] = {"source": digest(source), "run_seconds": run_seconds}
    return notebook


def prose(text: str, solution: str, instructor: bool, run_seconds: float | None) -> str:
    """A markdown cell with its gaps filled: coloured formulas, run time, the solution above it."""
    text = DISPLAYED.sub(lambda formula: coloured(formula.group()), text)
    if instructor:
        text = text.replace("](../", "](../../")  # their notebooks lie a folder further down
    folded = "" if instructor else COLLAPSED.format(solution)
    text = text.replace("{{SOLUTION}}", folded)
    return text.replace("{{RUN_TIME}}", run_time(run_seconds)).strip()


def ink(colour: str) -> str:
    """A plot's colour "#RRGGBB", darkened until it reads on white: contrast 4.5, as WCAG 2 asks."""
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    while contrast(rgb) < 4.5:
        rgb = [int(value * 0.98) for value in rgb]
    return "#" + "".join(f"{value:02X}" for value in rgb)


def contrast(rgb: list[int]) -> float:
    """WCAG's contrast of a colour with white."""

    def linear(value: int) -> float:
        dark = value / 255 / 12.92
        return dark if value <= 10 else ((value / 255 + 0.055) / 1.055) ** 2.4

    red, green, blue = map(linear, rgb)
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)


def coloured(formula: str) -> str:
    """A formula with each symbol that plots draw in a colour of its own in that colour."""

    def paint(found: re.Match) -> str:
        return rf"\textcolor{{{ink(COLOURS[found.lastgroup])}}}{{{found.group()}}}"

    return SYMBOLS.sub(paint, formula)


def run_time(seconds: float | None) -> str:
    """Measured seconds in words for the header."""
    if seconds is None:
        return "a few minutes"
    minutes = math.ceil(seconds / 60)
    return "less than a minute" if seconds < 50 else f"about {minutes} minute{'s' * (minutes > 1)}"


def digest(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def execute(notebook, folder: Path) -> tuple[int, float]:
    """Run all cells in `folder`, in place -> seconds of all, of the longest cell.

    Raises at the first error, and where a cell writes to stderr.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    start = time.perf_counter()
    where = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, timeout=CELL_SECONDS, kernel_name="python3", resources=where)
    client.execute()
    seconds = time.perf_counter() - start

    longest = max(map(cell_seconds, notebook.cells))
    for i, cell in enumerate(notebook.cells):
        kept = {key: value for key, value in cell.metadata.items() if key == "tags"}
        cell.metadata = nbformat.NotebookNode(kept)
        if cell.cell_type == "code":
            cell.outputs = tidy(cell.outputs)
            if any(each.get("name") == "stderr" for each in cell.outputs) and not ignored(cell):
                raise RuntimeError(f"cell {i} writes to stderr: {cell.outputs}")
    notebook.metadata.pop("widgets", None)
    notebook.metadata.language_info = {"name": "python"}
    return round(seconds), round(longest, 1)


def cell_seconds(cell) -> float:
    """How long a cell has just run; 0 for text."""
    times = cell.metadata.get("execution", {})
    if not times:
        return 0.0
    began, ended = (
        datetime.fromisoformat(times[f"iopub.{when}"].replace("Z", "+00:00"))
        for when in ("execute_input", "status.idle")
    )
    return (ended - began).total_seconds()


def ignored(cell) -> bool:
    """Whether nbval compares no output of this cell."""
    return (
        "nbval-ignore-output" in cell.metadata.get("tags", [])
        or "NBVAL_IGNORE_OUTPUT" in cell.source
    )


def tidy(outputs: list) -> list:
    """Neighbouring streams as one, and widgets without their view, which is dead when stored.

    So the stored picture is shown in the widget's place.
    """
    kept = []
    for output in outputs:
        if "data" in output:
            output.data.pop(WIDGET, None)
        before = kept[-1] if kept else {}
        same_kind = output.output_type == "stream" == before.get("output_type")
        if same_kind and output.name == before.name:
            before.text += output.text
        else:
            kept.append(output)
    return kept


def build_chapter(path: Path) -> None:
    """Build, run and write one chapter, first the students', then the instructors' notebook."""
    source = path.read_text(encoding="utf-8")
    seconds = None
    for folder, instructor in ((STUDENTS, False), (INSTRUCTORS, True)):
        notebook = build(source, path.stem, instructor)
        measured, longest = execute(notebook, STUDENTS)
        seconds = seconds or measured

        # the same cells once more, with the time in the header
        final = build(source, path.stem, instructor, seconds)
        final.metadata.dirfa_edu["longest_cell"] = longest
        for cell, ran in zip(final.cells, notebook.cells, strict=True):
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = ran.outputs, ran.execution_count
        if instructor:
            move_players_down(final)

        target = folder / f"{path.stem}.ipynb"
        write(final, target)
        size = target.stat().st_size
        print(
            f"{target.relative_to(ROOT)}: {len(final.cells)} cells, {size >> 10} KB, {measured} s"
        )
        if size > LARGEST:
            raise RuntimeError(f"{target.name} has {size} bytes: at most {LARGEST} are allowed")


def move_players_down(notebook) -> None:
    """Let players of a notebook that lies a folder further down point to the same files."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            markup = output.get("data", {}).get("text/html")
            if markup:
                output.data["text/html"] = markup.replace(' src="', ' src="../')


def write(notebook, target: Path) -> None:
    """Write a notebook file whole or not at all."""
    target.parent.mkdir(exist_ok=True)
    temporary = target.with_suffix(".part")
    temporary.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    temporary.replace(target)


def fresh(path: Path) -> bool:
    """Whether both notebooks of a chapter were built from its source as it stands."""
    wanted = digest(path.read_text(encoding="utf-8"))
    for folder in (STUDENTS, INSTRUCTORS):
        built = folder / f"{path.stem}.ipynb"
        if not built.exists():
            return False
        if nbformat.read(built, 4).metadata.get("dirfa_edu", {}).get("source") != wanted:
            return False
    return True


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("chapters", nargs="*", help="names such as 03_biased_mask")
    options.add_argument(
        "--all", action="store_true", help="also chapters whose source has not changed"
    )
    chosen = options.parse_args()

    paths = sorted(SOURCES.glob("[0-9]*.py"))
    if chosen.chapters:
        paths = [SOURCES / f"{Path(name).stem}.py" for name in chosen.chapters]
    for path in paths:
        if chosen.chapters or chosen.all or not fresh(path):
            try:
                build_chapter(path)
            except (CellExecutionError, RuntimeError, FileNotFoundError) as error:
                print(f"{path.name}: {error}", file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
