"""The ledger names things that exist, and every equation of the paper is in it."""

import importlib
from pathlib import Path

import pytest

from dirfa_edu.paper import CHOICE, LEDGER, OPEN, REPRODUCED, TOY, markdown

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("row", LEDGER, ids=lambda row: row.item)
def test_a_row_points_to_a_function_a_test_and_a_notebook_that_exist(row):
    room, *names = row.function.split(".")
    found = importlib.import_module(f"dirfa_edu.{room}")
    for name in names:
        found = getattr(found, name)
    assert (ROOT / "tests" / row.test).is_file()
    assert names == [] or names[-1] in (ROOT / "tests" / row.test).read_text() or room in row.test
    assert (ROOT / "notebooks" / "src" / f"{row.notebook}.py").is_file()
    assert row.status in (REPRODUCED, TOY, OPEN, CHOICE)
    assert row.note or row.status in (REPRODUCED, TOY), "an open row or a choice says why"


def test_every_equation_of_the_paper_has_its_row():
    assert {f"Eq. {n}" for n in range(1, 11)} <= {row.item for row in LEDGER}


def test_every_notebook_has_a_row_and_no_item_stands_twice():
    assert {row.notebook for row in LEDGER} == {path.stem for path in (ROOT / "notebooks" / "src").glob("0*.py")}
    items = [row.item for row in LEDGER]
    assert len(items) == len(set(items))


def test_the_table_has_one_line_per_row():
    assert len(markdown().splitlines()) == len(LEDGER) + 2
