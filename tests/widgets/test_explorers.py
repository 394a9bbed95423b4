"""Every explorer of the course draws every stop, all corners of pairs, and seeded random points."""

from pathlib import Path

import pytest

from dirfa_edu.course import explorers

# a point of the conductor takes seconds, an animation and its film; its stops are in test_conductor
MAKERS = [
    pytest.param(make, marks=pytest.mark.long) if make is explorers.conductor_explorer else make
    for make in explorers.EXPLORERS
]


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_sweep(make):
    explorer = make()
    most_stops = max(len(stops) for stops in explorer.domain.values())
    assert explorer.sweep(n_random=60, seed=0) > most_stops
    assert explorer.describe(**explorer.default)
    assert explorer.picture(**explorer.default)[:4] == b"\x89PNG"


def test_every_explorer_function_is_swept_and_used_in_a_chapter():
    chapters = sorted(Path(__file__).parents[2].glob("notebooks/src/*.py"))
    assert len(chapters) >= 8
    text = "".join(path.read_text() for path in chapters)
    functions = {name for name in vars(explorers) if name.endswith("_explorer")}
    assert functions == {make.__name__ for make in explorers.EXPLORERS}
    assert [name for name in functions if name not in text] == []
