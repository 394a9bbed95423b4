"""Build the students' and the instructors' notebooks from notebooks/src/*.py, run them, and store
them with outputs.

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
SOURCES, STUDENTS, INSTRUCTORS = (ROOT / "notebooks" / part for part in ("src", "", "instructor"))
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
CELL_SECONDS = 180


def build(source: str, name: str, instructor: bool = False, run_seconds: float | None = None):
    """Percent script -> notebook without outputs; the cells' sources are a function of the
    arguments alone."""
    script = jupytext.reads(source, fmt="py:percent")
    cells, solution = [], ""
    for i, cell in enumerate(script.cells):
        text = cell.source
        if cell.cell_type == "code":
            if SOLUTION.search(text + "\n"):
                solution = SOLUTION.sub(r"\2", text + "\n").rstrip()
                text = solution if instructor else SOLUTION.sub(r"\1...\n", text + "\n").rstrip()
            new = nbformat.v4.new_code_cell(text)
        else:
            shown = "" if instructor else COLLAPSED.format(solution)
            text = DISPLAYED.sub(lambda formula: coloured(formula.group()), text)
            # a folder further down
            text = text.replace("](../", "](../../") if instructor else text
            text = (
                text.replace("{{SOLUTION}}", shown)
                .replace("{{RUN_TIME}}", run_time(run_seconds))
                .strip()
            )
            new = nbformat.v4.new_markdown_cell(text)
        new.id = f"{name.split('_')[0]}-{i:02d}"
        if cell.metadata.get("tags"):
            new.metadata["tags"] = list(cell.metadata["tags"])
        if text:
            cells.append(new)
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata.update(kernelspec=KERNEL, language_info={"name": "python"})
    notebook.metadata["dirfa_edu"] = {"source": digest(source), "run_seconds": run_seconds}
    return notebook


def ink(colour: str) -> str:
    """A plot's colour "#RRGGBB", darkened until it reads on white as text must: contrast 4.5, as
    WCAG 2 asks."""
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    while contrast(rgb) < 4.5:
        rgb = [int(value * 0.98) for value in rgb]
    return "#" + "".join(f"{value:02X}" for value in rgb)


def contrast(rgb: list[int]) -> float:
    """WCAG's contrast of a colour with white."""
    linear = [(v / 255 / 12.92 if v <= 10 else ((v / 255 + 0.055) / 1.055) ** 2.4) for v in rgb]
    return 1.05 / (0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)


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
    """Run all cells in `folder`, in place -> seconds of all, of the longest cell. Raises at the
    first error."""
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    start = time.perf_counter()
    NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    ).execute()
    seconds = time.perf_counter() - start
    longest = 0.0
    for i, cell in enumerate(notebook.cells):
        if "execution" in cell.metadata:
            began, ended = (
                datetime.fromisoformat(
                    cell.metadata.execution[f"iopub.{when}"].replace("Z", "+00:00")
                )
                for when in ("execute_input", "status.idle")
            )
            longest = max(longest, (ended - began).total_seconds())
        cell.metadata = nbformat.NotebookNode(
            {k: v for k, v in cell.metadata.items() if k == "tags"}
        )
        if cell.cell_type == "code":
            cell.outputs = tidy(cell.outputs)
            if any(each.get("name") == "stderr" for each in cell.outputs) and not ignored(cell):
                raise RuntimeError(f"cell {i} writes to stderr: {cell.outputs}")
    notebook.metadata.pop("widgets", None)
    notebook.metadata.language_info = {"name": "python"}
    return round(seconds), round(longest, 1)


def ignored(cell) -> bool:
    """Whether nbval compares no output of this cell."""
    return (
        "nbval-ignore-output" in cell.metadata.get("tags", [])
        or "NBVAL_IGNORE_OUTPUT" in cell.source
    )


def tidy(outputs: list) -> list:
    """Merge neighbouring streams; drop dead widget views, so that the stored picture is shown in
    their place."""
    kept = []
    for output in outputs:
        if "data" in output:
            output.data.pop(WIDGET, None)
        if (
            kept
            and output.output_type == "stream" == kept[-1].output_type
            and output.name == kept[-1].name
        ):
            kept[-1].text += output.text
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
        # the same cells, the time in the header
        final = build(source, path.stem, instructor, seconds)
        final.metadata.dirfa_edu["longest_cell"] = longest
        for cell, ran in zip(final.cells, notebook.cells, strict=True):
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = ran.outputs, ran.execution_count
                for output in cell.outputs:
                    # players, a folder further down
                    if instructor and "text/html" in output.get("data", {}):
                        output.data["text/html"] = output.data["text/html"].replace(
                            ' src="', ' src="../'
                        )
        folder.mkdir(exist_ok=True)
        target = folder / f"{path.stem}.ipynb"
        temporary = target.with_suffix(".part")
        temporary.write_text(nbformat.writes(final) + "\n", encoding="utf-8")
        temporary.replace(target)
        print(
            f"{target.relative_to(ROOT)}: {len(final.cells)} cells, {target.stat().st_size // 1024} KB, {measured} s"
        )


def fresh(path: Path) -> bool:
    """Whether both notebooks of a chapter were built from its source as it stands."""
    wanted = digest(path.read_text(encoding="utf-8"))
    built = [folder / f"{path.stem}.ipynb" for folder in (STUDENTS, INSTRUCTORS)]
    return all(
        each.exists()
        and nbformat.read(each, 4).metadata.get("dirfa_edu", {}).get("source") == wanted
        for each in built
    )


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
