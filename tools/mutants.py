"""Mutation score of the rooms that must be correct: mutmut changes one line after another, and a
unit test must fail.

    python tools/mutants.py                # all rooms: ten minutes on one core; writes docs/mutants.json
    python tools/mutants.py --rooms masks  # some of them, printed alone
    mutmut results; mutmut show NAME       # afterwards: what survived, and one of them as a diff

What is changed, and which tests look for it, stands in pyproject.toml under [tool.mutmut].
Functions that numba compiles are left alone: mutmut passes over what is decorated.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from datetime import date
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = [
    Path(path).stem
    for path in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutmut"][
        "only_mutate"
    ]
]


def mutmut(*arguments: str, quiet: bool = False) -> str:
    """Run mutmut on one core; the sample data stay where they are."""
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


def count(room: str) -> dict:
    """How a room's mutants ended: a run that crashes is a failed run, a mutant that no test meets
    has survived."""
    lines = [
        line.strip().rpartition(": ")
        for line in mutmut("results", "--all", "true", quiet=True).splitlines()
    ]
    found = Counter(status for name, _, status in lines if name.startswith(f"dirfa_edu.{room}."))
    if found["not checked"] or not found:
        raise SystemExit(f"{room}: mutmut did not finish")
    killed, timeout, no_tests = (
        found["killed"] + found["segfault"],
        found["timeout"],
        found["no tests"],
    )
    survived = found.total() - killed - timeout - no_tests
    return {
        "killed": killed,
        "survived": survived,
        "timeout": timeout,
        "no_tests": no_tests,
        "score": round((killed + timeout) / found.total(), 3),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rooms", nargs="+", choices=ROOMS, default=ROOMS)
    chosen = options.parse_args().rooms
    shutil.rmtree(ROOT / "mutants", ignore_errors=True)
    for room in chosen:
        mutmut("run", "--max-children", "1", f"dirfa_edu.{room}.*")
    rooms = {room: count(room) for room in chosen}
    for room, row in rooms.items():
        print(f"{room:12}{row['score']:.1%}  {row}")
    if chosen == ROOMS:
        total = Counter()
        for row in rooms.values():
            total.update({key: n for key, n in row.items() if key != "score"})
        score = round((total["killed"] + total["timeout"]) / total.total(), 3)
        page = {
            "command": "make mutants",
            "date": date.today().isoformat(),
            "mutmut": version("mutmut"),
            "rooms": rooms,
            "score": score,
        }
        (ROOT / "docs" / "mutants.json").write_text(json.dumps(page, indent=2) + "\n")
        print(f"all of them {score:.1%}")


if __name__ == "__main__":
    main()
