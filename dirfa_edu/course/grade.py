"""Grade a folder of handed-in notebooks with the checks of the course.

    dirfa-edu grade FOLDER --out grades.csv

Each notebook is graded in a process of its own. Only imports, functions, classes and plain
constants of it are run, not its other cells; then every check looks for the function of its name.
A hand-in that loops, crashes or floods its output loses its own points only.

Notebook: 00_tour (exercises).
"""

import ast
import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Callable

from ..files import InputError, atomic_path

SECONDS = 60  # for one notebook
ANSWER_SECONDS = 10  # for one exercise of it
MEMORY = 8 * 2**30  # bytes of address space


# ---- a class -------------------------------------------------------------------------------------


def grade_folder(folder: str | Path, out: str | Path, seconds: float = SECONDS) -> list[dict]:
    """Grade every *.ipynb below `folder` -> one row each, also written to the CSV `out`.

    A row holds notebook, right, of, a column per check ("right", "not yet", "not right" or
    "missing"), and `notes` with the sentences of what is not right.
    Raises InputError where there is no notebook.
    """
    notebooks = sorted(
        path for path in Path(folder).rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts
    )
    if not notebooks:
        raise InputError(f"no notebooks below {folder}: give the folder with the hand-ins")
    from .checks import all_checks

    rows = [
        {"notebook": str(path.relative_to(folder))} | row_of(path, seconds) for path in notebooks
    ]
    columns = ["notebook", "right", "of", *all_checks(), "notes"]
    with atomic_path(out) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns, restval="")
        table.writeheader()
        table.writerows(rows)
    return rows


def row_of(path: Path, seconds: float = SECONDS) -> dict:
    """One notebook's row: right, of, a mark per check, notes."""
    verdicts, stopped = grade_notebook(path, seconds)
    wanted = checks_of(path) if chapter_of(path) else list(verdicts)
    marks = {name: verdicts.get(name, "missing").split(":")[0] for name in wanted}
    notes = [stopped] if stopped else []
    notes += [f"{name}: {verdicts[name]}" for name in wanted if marks[name] == "not right"]
    return {
        "right": list(marks.values()).count("right"),
        "of": len(wanted),
        **marks,
        "notes": "; ".join(notes),
    }


def chapter_of(path: Path) -> str | None:
    """The chapter that a file's name holds, or None: 03_biased_mask_kim.ipynb -> 03_biased_mask."""
    from .checks import all_checks

    chapters = [check.chapter for check in all_checks().values()]
    return next((chapter for chapter in chapters if chapter in path.stem), None)


def checks_of(path: Path) -> list[str]:
    """The names of the checks that grade a file: its chapter's; all where its name holds none."""
    from .checks import all_checks

    chapter = chapter_of(path)
    return [name for name, check in all_checks().items() if chapter in (None, check.chapter)]


# ---- one notebook, watched from outside ----------------------------------------------------------


def grade_notebook(path: str | Path, seconds: float = SECONDS) -> tuple[dict[str, str], str]:
    """One notebook in a fresh process -> (sentence of each check it answers, what stopped it)."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "verdicts.json"
        paths = [str(Path(path).resolve()), str(result)]
        # a session of its own, so that what the hand-in may have started ends with it
        process = subprocess.Popen(
            [sys.executable, "-m", "dirfa_edu.course.grade", *paths],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            start_new_session=True,
        )
        try:
            code = process.wait(seconds)
            stopped = f"stopped with exit code {code}" if code else ""
        except subprocess.TimeoutExpired:
            stopped = f"stopped after {seconds:g} s"
        finally:
            end(process)
        lines = result.read_text(encoding="utf-8").splitlines() if result.exists() else []
    return dict(json.loads(line) for line in lines), stopped


def end(process: subprocess.Popen) -> None:
    """Kill a process and all it started."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()
    process.wait()


# ---- one notebook, inside its process ------------------------------------------------------------


def definitions(path: Path) -> list[str]:
    """The statements of a notebook that define something, one source string each, in order."""
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    kept = []
    for cell in json.loads(path.read_text(encoding="utf-8")).get("cells", []):
        if cell.get("cell_type") != "code":
            continue
        source = "".join(cell["source"])
        try:
            statements = ast.parse(source).body
        except SyntaxError:
            continue  # that cell's functions will be missing
        for node in statements:
            constant = isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            if constant or isinstance(node, kinds):
                kept.append(ast.unparse(node))
    return kept


def grade_here(path: Path, out: Path) -> None:
    """Run the definitions of one notebook in this process, and write down what its checks say.

    One JSON line per check, as soon as it is known: what comes later may not end.
    """
    limit()
    space: dict = {"__name__": "handed_in"}
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        for statement in definitions(path):
            with contextlib.suppress(Exception):
                exec(statement, space)
        with open(out, "a", encoding="utf-8") as file:
            for name in checks_of(path):
                if callable(space.get(name)):
                    sentence = answer_to(name, space[name])
                    print(json.dumps([name, sentence]), file=file, flush=True)


def answer_to(name: str, function: Callable) -> str:
    """What the check of a name says of a function, within ANSWER_SECONDS."""
    from .checks import all_checks

    try:
        with alarm(ANSWER_SECONDS):
            return all_checks()[name].verdict(function)
    except Exception as error:  # an answer no check foresaw
        return f"not right: the check stops with {type(error).__name__}"


@contextlib.contextmanager
def alarm(seconds: int):
    """Raise TimeoutError in the code below after so many seconds, where the system can."""

    def ring(*_):
        raise TimeoutError(f"it runs longer than {seconds} s")

    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, ring)
        signal.alarm(seconds)
    try:
        yield
    finally:
        if hasattr(signal, "SIGALRM"):
            signal.alarm(0)


def limit() -> None:
    """Bound memory and file size where the system can, and shut the network to Python code."""
    import socket

    def refuse(*arguments, **options):
        raise OSError("no network while grading")

    socket.socket.connect = refuse
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**24, 2**24))


if __name__ == "__main__":
    grade_here(Path(sys.argv[1]), Path(sys.argv[2]))
