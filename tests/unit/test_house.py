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
    """Hold the package in a folder against the contracts in pyproject.toml -> (exit code, report)."""
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


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("house")
    shutil.copytree(PACKAGE, folder / "dirfa_edu", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.mark.parametrize(
    "room, line, said",
    [
        ("masks.py", "import numba", "dirfa_edu.masks -> numba"),
        ("sampling.py", "from .actors import render", "dirfa_edu.sampling -> dirfa_edu.actors"),
        ("audio.py", "from . import training", "dirfa_edu.audio -> dirfa_edu.training"),
        ("data/corpus.py", "from ..faces import sync", "dirfa_edu.data.corpus -> dirfa_edu.faces"),
        ("course/study.py", "from ..results import trials", "dirfa_edu.course.study -> "),
        ("results/trials.py", "from ..course import paper", "dirfa_edu.results.trials -> "),
        ("actors/hair.py", "from .. import audio", "dirfa_edu.actors.hair -> dirfa_edu.audio"),
        ("training.py", "import seaborn", "dirfa_edu.training -> seaborn"),
        ("attic.py", "", "attic"),
    ],
)
def test_a_forbidden_import_is_found_wherever_it_hides(copy, room, line, said):
    """A room without a floor is found as well."""
    path = copy / "dirfa_edu" / room
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    planted = f"\n\ndef planted():\n    {line}\n" if line else ""
    path.write_text(before + planted, encoding="utf-8")
    try:
        code, report = contracts(copy)
    finally:
        path.write_text(before, encoding="utf-8") if before else path.unlink()
    assert code == 1 and said in report, report


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
