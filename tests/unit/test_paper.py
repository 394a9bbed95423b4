"""The ledger names things that exist, and every equation of the paper is in it."""

import importlib
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

import dirfa_edu
from dirfa_edu.course.paper import CHOICE, LEDGER, OPEN, REPRODUCED, TOY, markdown

ROOT = Path(__file__).resolve().parents[2]


def headings(chapter):
    """The headings of a chapter, without the marks of mathematics that a place leaves out."""
    text = (ROOT / "notebooks" / "src" / f"{chapter}.py").read_text(encoding="utf-8")
    return [
        re.sub(r"\$(S)_\{?(\w+)\}?\$", r"\1_\2", line)
        for line in re.findall(r"^# #+ (.+)$", text, re.MULTILINE)
    ]


@pytest.mark.parametrize("row", LEDGER, ids=lambda row: row.item)
def test_a_row_points_to_a_function_a_test_that_calls_it_and_a_heading(row):
    found, names = dirfa_edu, []
    for part in row.function.split("."):
        if hasattr(found, "__path__") and find_spec(f"{found.__name__}.{part}"):
            found, names = importlib.import_module(f"{found.__name__}.{part}"), []
        else:
            found, names = getattr(found, part), [*names, part]
    test = (ROOT / "tests" / row.test).read_text(encoding="utf-8")
    assert names and re.search(rf"\b{names[-1]}\b", test)
    assert row.section in headings(row.notebook)
    assert row.status in (REPRODUCED, TOY, OPEN, CHOICE)
    assert row.note or row.status in (REPRODUCED, TOY), "an open row or a choice says why"


def test_what_chapters_and_docstrings_name_has_its_row():
    """The other direction: the ledger knows each equation, figure and table taught or coded."""
    known = {row.item for row in LEDGER}
    for path in sorted((ROOT / "notebooks" / "src").glob("0*.py")):
        text = path.read_text(encoding="utf-8")
        named = set(re.findall(r"Eq\. \d+|Fig\. \d+|Table \d", text))
        assert named <= known, (path.stem, named - known)
    rooms = sorted((ROOT / "dirfa_edu").rglob("*.py"))
    assert len(rooms) >= 45, "the folders inside count, too"
    for path in rooms:
        for said in re.findall(r"Paper: ([^\n]+)", path.read_text(encoding="utf-8")):
            for kind, numbers in re.findall(r"(Eq|Fig|Table)s?\.? ((?:\d+(?:, | to |-)?)+)", said):
                dot = "" if kind == "Table" else "."
                named = {f"{kind}{dot} {n}" for n in re.findall(r"\d+", numbers)}
                assert named <= known, (path.stem, named - known)


def test_each_equation_is_taught_in_the_chapter_that_prints_it():
    for n in range(1, 11):
        row = next(row for row in LEDGER if row.item == f"Eq. {n}")
        text = (ROOT / "notebooks" / "src" / f"{row.notebook}.py").read_text(encoding="utf-8")
        assert re.search(rf"text\{{\(Eq\. {n}\)\}}", text), row.item


def test_the_page_of_the_ledger_is_the_ledger():
    page = (ROOT / "docs" / "ledger.md").read_text(encoding="utf-8")
    assert markdown(notebooks="../notebooks/") in page, "run make report"
    assert "docs/ledger.md" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_equation_of_the_paper_has_its_row():
    assert {f"Eq. {n}" for n in range(1, 11)} <= {row.item for row in LEDGER}


def test_every_notebook_has_a_row_and_no_item_stands_twice():
    chapters = {path.stem for path in (ROOT / "notebooks" / "src").glob("0*.py")}
    assert {row.notebook for row in LEDGER} == chapters
    items = [row.item for row in LEDGER]
    assert len(items) == len(set(items))


def test_the_table_has_one_line_per_row():
    assert len(markdown().splitlines()) == len(LEDGER) + 2
