"""Build the students' and the instructors' notebooks from notebooks/src/*.py, run them, and store them with outputs.

    python tools/build_notebooks.py                 # chapters whose source changed
    python tools/build_notebooks.py --all           # every chapter
    python tools/build_notebooks.py 03_biased_mask  # one chapter, changed or not

In a code cell the lines between `# BEGIN SOLUTION` and `# END SOLUTION` become `...` for students. In a markdown cell
`{{SOLUTION}}` becomes the collapsed solution of the exercise above, and `{{RUN_TIME}}` the measured time.
"""

import argparse
import hashlib
import math
import os
import re
import sys
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parents[1]
SOURCES, STUDENTS, INSTRUCTORS = (ROOT / "notebooks" / part for part in ("src", "", "instructor"))
SOLUTION = re.compile(r"^( *)# BEGIN SOLUTION\n(.*?)^ *# END SOLUTION\n?", re.DOTALL | re.MULTILINE)
WIDGET = "application/vnd.jupyter.widget-view+json"
COLLAPSED = "<details><summary>Solution</summary>\n\n```python\n{}\n```\n\n</details>"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
CELL_SECONDS = 180


def build(source: str, name: str, instructor: bool = False, run_seconds: float | None = None):
    """Percent script -> notebook without outputs; the cells' sources are a function of the arguments alone."""
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
            text = text.replace("{{SOLUTION}}", shown).replace("{{RUN_TIME}}", run_time(run_seconds)).strip()
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


def run_time(seconds: float | None) -> str:
    """Measured seconds in words for the header."""
    if seconds is None:
        return "a few minutes"
    return "less than a minute" if seconds < 50 else f"about {math.ceil(seconds / 60)} minutes"


def digest(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def execute(notebook, folder: Path) -> float:
    """Run all cells in `folder`, in place; returns the seconds it took, rounded. Raises at the first error."""
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    start = time.perf_counter()
    NotebookClient(notebook, timeout=CELL_SECONDS, kernel_name="python3",
                   resources={"metadata": {"path": str(folder)}}).execute()
    seconds = time.perf_counter() - start
    for i, cell in enumerate(notebook.cells):
        cell.metadata = nbformat.NotebookNode({k: v for k, v in cell.metadata.items() if k == "tags"})
        if cell.cell_type == "code":
            cell.outputs = tidy(cell.outputs)
            if any(each.get("name") == "stderr" for each in cell.outputs) and not ignored(cell):
                raise RuntimeError(f"cell {i} writes to stderr: {cell.outputs}")
    notebook.metadata.pop("widgets", None)
    notebook.metadata.language_info = {"name": "python"}
    return round(seconds)


def ignored(cell) -> bool:
    """Whether nbval compares no output of this cell."""
    return "nbval-ignore-output" in cell.metadata.get("tags", []) or "NBVAL_IGNORE_OUTPUT" in cell.source


def tidy(outputs: list) -> list:
    """Merge neighbouring streams; drop dead widget views, so that the stored picture is shown in their place."""
    kept = []
    for output in outputs:
        if "data" in output:
            output.data.pop(WIDGET, None)
        if kept and output.output_type == "stream" == kept[-1].output_type and output.name == kept[-1].name:
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
        measured = execute(notebook, STUDENTS)
        seconds = seconds or measured
        final = build(source, path.stem, instructor, seconds)  # the same cells, the time in the header
        for cell, ran in zip(final.cells, notebook.cells, strict=True):
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = ran.outputs, ran.execution_count
        folder.mkdir(exist_ok=True)
        target = folder / f"{path.stem}.ipynb"
        temporary = target.with_suffix(".part")
        temporary.write_text(nbformat.writes(final) + "\n", encoding="utf-8")
        temporary.replace(target)
        print(f"{target.relative_to(ROOT)}: {len(final.cells)} cells, {target.stat().st_size // 1024} KB, {measured} s")


def fresh(path: Path) -> bool:
    """Whether both notebooks of a chapter were built from its source as it stands."""
    wanted = digest(path.read_text(encoding="utf-8"))
    built = [folder / f"{path.stem}.ipynb" for folder in (STUDENTS, INSTRUCTORS)]
    return all(each.exists() and nbformat.read(each, 4).metadata.get("dirfa_edu", {}).get("source") == wanted
               for each in built)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("chapters", nargs="*", help="names such as 03_biased_mask")
    options.add_argument("--all", action="store_true", help="also chapters whose source has not changed")
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
