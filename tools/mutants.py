"""Plant small faults in the rooms that must be correct, and count how many their unit tests find.

    python tools/mutants.py                          # 40 faults a room, chosen by seed
    python tools/mutants.py --rooms masks --faults 0 # every fault of one room

A fault exchanges an operator or a comparison, moves a number, drops a minus or a `not`, or exchanges two arguments.
It is planted in a copy of the package; the score is the share of faults for which a test fails.
"""

import argparse
import ast
import copy
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPY = ROOT / ".mutants"
ROOMS = ["discretize", "masks", "losses", "metrics", "sampling"]
OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
             ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr}
COMPARISONS = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
               ast.NotEq: ast.Eq}


def faults(node: ast.AST) -> list:
    """Functions that each plant one fault into this node, in place."""
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        return [lambda n: setattr(n, "op", OPERATORS[type(n.op)]())]
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
        return [lambda n: n.ops.__setitem__(0, COMPARISONS[type(n.ops[0])]())]
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return [lambda n: setattr(n, "value", n.value + 1)]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        return [lambda n: setattr(n, "op", ast.UAdd())]
    if isinstance(node, ast.Call) and len(node.args) == 2 and not any(isinstance(a, ast.Starred) for a in node.args):
        return [lambda n: n.args.reverse()]
    return []


def mutants(source: str) -> list[tuple[int, str, str]]:
    """All faults of a module: (line, the line's text before, whole source after)."""
    tree = ast.parse(source)
    places = []
    for i, node in enumerate(ast.walk(tree)):
        places += [(i, plant) for plant in faults(node)]
    found = []
    for i, plant in places:
        changed = copy.deepcopy(tree)
        node = next(n for j, n in enumerate(ast.walk(changed)) if j == i)
        plant(node)
        text = ast.unparse(ast.fix_missing_locations(changed))
        if text != ast.unparse(tree):
            found.append((node.lineno, source.splitlines()[node.lineno - 1].strip(), text))
    return found


def survives(room: str, seconds: float) -> bool:
    """Whether the room's unit tests pass on the copy; a test that never ends counts as a failure."""
    environment = os.environ | {"PYTHONPATH": str(COPY), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1",
                                "DIRFA_EDU_DATA": str(ROOT / "data_samples")}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", f"tests/unit/test_{room}.py"]
    try:
        done = subprocess.run(command, cwd=COPY, env=environment, capture_output=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rooms", nargs="+", default=ROOMS)
    options.add_argument("--faults", type=int, default=40, help="faults a room; 0 plants every one")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--seconds", type=float, default=90)
    chosen = options.parse_args()
    shutil.rmtree(COPY, ignore_errors=True)
    for folder in ("dirfa_edu", "tests/unit"):
        shutil.copytree(ROOT / folder, COPY / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", COPY)
    caught = planted = 0
    for room in chosen.rooms:
        target = COPY / "dirfa_edu" / f"{room}.py"
        source = target.read_text()
        if not survives(room, chosen.seconds):
            print(f"{room}: its tests fail without any fault: mend them first")
            return 1
        found = mutants(source)
        kept = found if not chosen.faults else random.Random(chosen.seed).sample(found, min(chosen.faults, len(found)))
        missed = 0
        for line, text, changed in sorted(kept):
            target.write_text(changed)
            if survives(room, chosen.seconds):
                missed += 1
                print(f"  missed: {room}.py:{line}: {text}", flush=True)
        target.write_text(source)
        print(f"{room}: {len(kept) - missed} of {len(kept)} faults found ({len(found)} possible)", flush=True)
        caught, planted = caught + len(kept) - missed, planted + len(kept)
    print(f"mutation score {caught / max(planted, 1):.0%}: {caught} of {planted} faults found")
    shutil.rmtree(COPY)
    return 0


if __name__ == "__main__":
    sys.exit(main())
