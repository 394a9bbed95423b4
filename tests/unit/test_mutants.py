"""The mutation score that is shipped: of what, by what command, and high enough."""

import datetime
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import mutants  # noqa: E402

FOUND = json.loads((ROOT / "docs" / "mutants.json").read_text())


def test_the_score_is_of_the_rooms_that_must_be_correct_and_can_be_made_again():
    assert {"discretize", "masks", "mapper", "sampling", "losses", "metrics"} <= set(mutants.ROOMS)
    assert list(FOUND["rooms"]) == mutants.ROOMS
    assert datetime.date(2023, 1, 1) < datetime.date.fromisoformat(FOUND["date"])
    make, target = FOUND["command"].split()
    makefile = (ROOT / "Makefile").read_text()
    assert make == "make" and re.search(rf"^{target}:", makefile, re.MULTILINE)
    assert f"mutmut=={FOUND['mutmut']}" in makefile


def test_the_tests_find_85_of_100_faults_of_every_room_and_of_all():
    found = tested = 0
    for room, row in FOUND["rooms"].items():
        caught = row["killed"] + row["timeout"]
        total = sum(row[end] for end in mutants.ENDS)
        assert row["score"] == round(caught / total, 3) >= 0.85, room
        found, tested = found + caught, tested + total
    assert FOUND["score"] == round(found / tested, 3) >= 0.85


def test_each_room_is_still_the_one_that_was_judged():
    for room, row in FOUND["rooms"].items():
        now = mutants.code_digest(ROOT / "dirfa_edu" / f"{room}.py")
        assert row["sha256"] == now, f"{room} has changed since: run make mutants"


def test_the_digest_sees_code_and_passes_over_words(tmp_path):
    def digest(text):
        (tmp_path / "room.py").write_text(text, encoding="utf-8")
        return mutants.code_digest(tmp_path / "room.py")

    code = 'def f(x):\n    """Add one."""\n    return x + 1  # why\n'
    same = 'def f(x):\n    """Another\n    text."""\n\n    # for a reason\n    return x + 1\n'
    assert digest(code) == digest(same)
    assert digest(code) != digest(code.replace("+ 1", "+ 2"))
    assert digest("a = '# no comment'\n") != digest("a = '# another'\n")


def test_of_the_mapper_the_functions_named_are_there_to_be_judged():
    text = (ROOT / "dirfa_edu" / "mapper.py").read_text(encoding="utf-8")
    for function in mutants.PARTS["mapper"]:
        assert re.search(rf"^    def {function}\(", text, re.MULTILINE), function
