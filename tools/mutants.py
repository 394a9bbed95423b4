"""Mutation score of the rooms that must be correct: mutmut changes one line after another, and a
unit test must fail.

    python tools/mutants.py                # all rooms: writes docs/mutants.json
    python tools/mutants.py --rooms masks  # some of them, printed alone
    python tools/mutants.py --resume       # go on where a run was stopped
    mutmut results; mutmut show NAME       # afterwards: what survived, and one of them as a diff

Which rooms are changed, and which tests look for it, stands in pyproject.toml under [tool.mutmut].
docs/mutants.json keeps a digest of each room as it was judged: a test fails when its code moves on.
"""

import argparse
import ast
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tokenize
import tomllib
from collections import Counter
from datetime import date
from fnmatch import fnmatch
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutmut"]
ROOMS = [Path(path).stem for path in SETTINGS["only_mutate"]]

# Of the mapper's room the step of decoding, in plain torch. Its whole forward pass is compared with
# it frame by frame; what is left builds layers and reads files, where a planted fault is a crash.
PARTS = {"mapper": ["start", "hear", "token", "attend", "decode_frame", "new_cache", "ring_mask"]}

ENDS = ("killed", "survived", "timeout", "no_tests")


def patterns(room: str) -> list[str]:
    """The names of a room's mutants, as mutmut spells them: all, or those of some functions."""
    names = [f"*{function}__mutmut_*" for function in PARTS.get(room, [])] or ["*"]
    return [f"dirfa_edu.{room}.{name}" for name in names]


def code_digest(path: Path) -> str:
    """The sha256 of a room's code; comments, docstrings and blank lines do not count."""
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]

    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, holders) and ast.get_docstring(node) is not None:
            text = node.body[0]
            lines[text.lineno - 1 : text.end_lineno] = [""] * (text.end_lineno - text.lineno + 1)

    code = "\n".join(line.rstrip() for line in lines if line.strip())
    return hashlib.sha256(code.encode()).hexdigest()


def mutmut(*arguments: str, quiet: bool = False) -> str:
    """Run mutmut, a core for each try; the sample data stay where they are."""
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
        "DIRFA_EDU_DATA": str(ROOT / "data_samples"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "mutmut", *arguments],
        cwd=ROOT,
        env=environment,
        check=True,
        text=True,
        stdout=subprocess.PIPE if quiet else None,
    )
    return done.stdout


def count(room: str, results: str) -> dict:
    """How a room's mutants ended: a run that crashes is a failed run, a mutant that no test meets
    has survived."""
    ends = [line.strip().rpartition(": ") for line in results.splitlines()]
    found = Counter(
        end for name, _, end in ends if any(fnmatch(name, each) for each in patterns(room))
    )
    if found["not checked"] or not found:
        raise SystemExit(f"{room}: mutmut did not finish")
    killed, timeout, no_tests = (
        found["killed"] + found["segfault"],
        found["timeout"],
        found["no tests"],
    )
    return {
        "sha256": code_digest(ROOT / "dirfa_edu" / f"{room}.py"),
        "killed": killed,
        "survived": found.total() - killed - timeout - no_tests,
        "timeout": timeout,
        "no_tests": no_tests,
        "score": round((killed + timeout) / found.total(), 3),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rooms", nargs="+", choices=ROOMS, default=ROOMS)
    options.add_argument("--resume", action="store_true", help="keep what an earlier run found")
    given = options.parse_args()
    chosen = given.rooms
    if not given.resume:
        shutil.rmtree(ROOT / "mutants", ignore_errors=True)
    # one run for all rooms: each begins with minutes in which the tests run as they are
    cores = str(os.cpu_count() or 1)  # each tries one fault at a time
    mutmut("run", "--max-children", cores, *[name for room in chosen for name in patterns(room)])
    results = mutmut("results", "--all", "true", quiet=True)
    rooms = {room: count(room, results) for room in chosen}
    for room, row in rooms.items():
        print(f"{room:12}{row['score']:.1%}  {row}")

    if chosen == ROOMS:
        total = sum(row[end] for row in rooms.values() for end in ENDS)
        found = sum(row["killed"] + row["timeout"] for row in rooms.values())
        page = {
            "command": "make mutants",
            "date": date.today().isoformat(),
            "mutmut": version("mutmut"),
            "rooms": rooms,
            "score": round(found / total, 3),
        }
        (ROOT / "docs" / "mutants.json").write_text(
            json.dumps(page, indent=2) + "\n", encoding="utf-8"
        )
        print(f"all of them {page['score']:.1%}")


if __name__ == "__main__":
    main()
