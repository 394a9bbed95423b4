"""Count what can be counted in each notebook: the table in README.md; and write docs/ledger.md.

    python tools/report.py           # or: make report
    python tools/report.py --check   # exit code 1 if the README holds another table

The table stands between the two `report` comments. All figures are read from the committed
notebooks; times were measured when they were built.
"""

import argparse
import json
import re
import sys
from pathlib import Path

import nbformat
from build_notebooks import ignored

from dirfa_edu.course import paper

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- report: written by `make report` -->", "<!-- end of report -->"
LEDGER = (
    "# The paper ledger\n\n"
    "Everything DIRFA states: where the course teaches it, which function holds it, which test "
    "ties the two together, and how far it is reproduced with legal data on a laptop.\n\n"
)
HEADS = (
    "Notebook",
    "Cells (code)",
    "Longest cell",
    "Exercises",
    "Widgets",
    "Outputs compared",
    "Images with alt text",
    "Size",
    "Run time",
    "Slowest cell",
)
WIDGET = re.compile(r"\b(explorers\.\w+_explorer\(|puppet\.Puppet\(|study\.Study\(files)")


def is_figure(output: dict) -> bool:
    """Pictures, their captions, players and widgets: compared or not, they claim no result."""
    data = output.get("data", {})
    caption = data.get("text/markdown", "").startswith("*Figure: ")
    return caption or any(kind.startswith(("image/", "audio/", "text/html")) for kind in data)


def measure(path: Path) -> dict:
    """What can be counted in one executed notebook."""
    notebook = nbformat.read(path, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    results = [cell for cell in code if any(not is_figure(output) for output in cell.outputs)]
    compared = [cell for cell in results if cell.execution_count and not ignored(cell)]
    alts = [
        output.metadata.get(kind, {}).get("alt", "")
        for cell in code
        for output in cell.outputs
        for kind in output.get("data", {})
        if kind.startswith("image/")
    ]
    text = "\n".join(cell.source for cell in code)
    return {
        "cells": len(notebook.cells),
        "code": len(code),
        "lines": max(len(c.source.splitlines()) for c in code),
        "exercises": text.count("\nchecks."),
        "widgets": len(WIDGET.findall(text)),
        "results": len(results),
        "compared": len(compared),
        "images": len(alts),
        "described": sum(len(alt) >= 20 for alt in alts),
        "bytes": path.stat().st_size,
        "seconds": notebook.metadata.dirfa_edu.run_seconds,
        "longest": notebook.metadata.dirfa_edu.longest_cell,
    }


def table(rows: dict[str, dict]) -> str:
    """The report in Markdown, with a row of totals or extremes, and what is known of mutants."""
    lines = ["| " + " | ".join(HEADS) + " |", "|---" * len(HEADS) + "|"]
    columns = {key: [row[key] for row in rows.values()] for key in next(iter(rows.values()))}
    whole = {key: sum(values) for key, values in columns.items()}
    whole |= {key: max(columns[key]) for key in ("lines", "bytes", "longest")}
    for name, row in {**rows, "all (longest, largest, slowest)": whole}.items():
        cells = [
            name,
            f"{row['cells']} ({row['code']})",
            f"{row['lines']} lines",
            f"{row['exercises']}",
            f"{row['widgets']}",
            f"{row['compared']} of {row['results']}, {row['compared'] / row['results']:.0%}",
            f"{row['described']} of {row['images']}",
            f"{row['bytes'] / 1000:.0f} KB",
            f"{row['seconds']:.0f} s",
            f"{row['longest']:.0f} s",
        ]
        lines.append("| " + " | ".join(cells) + " |")

    proof = ROOT / "docs" / "mutants.json"
    if proof.exists():
        found = json.loads(proof.read_text(encoding="utf-8"))
        rooms = ", ".join(f"{room} {each['score']:.0%}" for room, each in found["rooms"].items())
        lines += [
            "",
            f"Of the faults that mutmut plants in {len(found['rooms'])} rooms the tests find "
            f"{found['score']:.0%} ({rooms}): `{found['command']}`, {found['date']}.",
        ]
    return "\n".join(lines)


def written(readme: str, report: str) -> str:
    """The README's text with this report between its two comments."""
    before, rest = readme.split(BEGIN)
    return before + BEGIN + "\n" + report + "\n" + END + rest.split(END)[1]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--check", action="store_true", help="write nothing")
    check = options.parse_args().check

    path = ROOT / "README.md"
    readme = path.read_text(encoding="utf-8")
    chapters = sorted((ROOT / "notebooks").glob("0*.ipynb"))
    report = table({chapter.stem: measure(chapter) for chapter in chapters})
    wanted = written(readme, report)
    if check:
        return int(wanted != readme)

    path.write_text(wanted, encoding="utf-8")
    ledger = LEDGER + paper.markdown(notebooks="../notebooks/") + "\n"
    (ROOT / "docs" / "ledger.md").write_text(ledger, encoding="utf-8")
    print(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
