"""The mutation score that is shipped: of what, by what command, and high enough."""

import datetime
import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOUND = json.loads((ROOT / "docs" / "mutants.json").read_text())


def test_the_score_is_of_the_rooms_that_must_be_correct_and_can_be_made_again():
    assert {"discretize", "masks", "sampling", "losses", "metrics"} <= set(FOUND["rooms"])
    assert all((ROOT / "dirfa_edu" / f"{room}.py").is_file() for room in FOUND["rooms"])
    assert datetime.date(2023, 1, 1) < datetime.date.fromisoformat(FOUND["date"])
    make, target = FOUND["command"].split()
    makefile = (ROOT / "Makefile").read_text()
    assert make == "make" and re.search(rf"^{target}:", makefile, re.MULTILINE)
    assert f"mutmut=={FOUND['mutmut']}" in makefile


def test_the_tests_find_85_of_100_faults_of_every_room_and_of_all():
    found = tested = 0
    for room, row in FOUND["rooms"].items():
        caught, total = (
            row["killed"] + row["timeout"],
            sum(n for key, n in row.items() if key != "score"),
        )
        assert row["score"] == round(caught / total, 3) >= 0.85, room
        found, tested = found + caught, tested + total
    assert FOUND["score"] == round(found / tested, 3) >= 0.85
