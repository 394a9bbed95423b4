"""The plan of the house: which rooms there are, and which of them may know which."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "dirfa_edu"

# flat in the package stands what the paper is and what runs it, and nothing else
FLAT = set(
    "files audio animation discretize masks mapper sampling control generator losses "
    "examples training runs metrics talk video plots cli".split()
)
FOLDERS = set("fast faces data actors course results".split())


def test_flat_in_the_package_is_the_paper_and_what_runs_it():
    assert {path.stem for path in PACKAGE.glob("*.py")} == FLAT | {"__init__"}
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == FOLDERS


def contracts(folder: Path) -> tuple[int, str]:
    """Hold the package in a folder against pyproject.toml's contracts -> (exit code, report)."""
    lint = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", lint, "--no-cache"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def test_no_arrow_points_up():
    code, report = contracts(ROOT)
    assert code == 0, report
    assert "4 kept, 0 broken" in report


FORBIDDEN = {  # room: an import that it may not have, and how the report names it
    "masks.py": ("import numba", "dirfa_edu.masks -> numba"),
    "sampling.py": ("from .actors import render", "dirfa_edu.sampling -> dirfa_edu.actors.render"),
    "audio.py": ("from . import training", "dirfa_edu.audio -> dirfa_edu.training"),
    "data/corpus.py": ("from ..faces import sync", "dirfa_edu.data.corpus -> dirfa_edu.faces.sync"),
    "course/study.py": ("from ..results import trials", "course.study -> dirfa_edu.results.trials"),
    "results/trials.py": ("from ..course import paper", "results.trials -> dirfa_edu.course.paper"),
    "actors/hair.py": ("from .. import audio", "dirfa_edu.actors.hair -> dirfa_edu.audio"),
    "metrics.py": ("import seaborn", "dirfa_edu.metrics -> seaborn"),
}


def test_a_forbidden_import_is_found_though_it_hides_in_a_function(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "dirfa_edu", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for room, (line, _) in FORBIDDEN.items():
        with (tmp_path / "dirfa_edu" / room).open("a", encoding="utf-8") as file:
            file.write(f"\n\ndef planted():\n    {line}\n")
    code, report = contracts(tmp_path)
    assert code == 1
    assert not [said for _, said in FORBIDDEN.values() if said not in report], report

    (tmp_path / "dirfa_edu" / "attic.py").touch()
    code, report = contracts(tmp_path)
    assert code == 1 and "attic" in report, "a room without a floor"


def test_the_command_asks_for_other_rooms_inside_its_functions_alone():
    tree = ast.parse((PACKAGE / "cli.py").read_text(encoding="utf-8"))
    at_once = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.level]
    assert {node.module for node in at_once} == {"files"}


@pytest.mark.parametrize("line", ["import dirfa_edu", "import dirfa_edu.cli"])
def test_importing_the_package_or_its_command_loads_nothing_heavy(line):
    heavy = "{'torch', 'numba', 'matplotlib', 'librosa', 'IPython', 'av'}"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {line}; print(sorted({heavy} & set(sys.modules)))"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
