"""Every explorer of the course draws every stop, all corners of pairs, and seeded random points."""

from pathlib import Path

import pytest

from dirfa_edu.course import explorers


@pytest.mark.parametrize("make", explorers.EXPLORERS, ids=lambda make: make.__name__)
def test_sweep(make):
    explorer = make()
    most_stops = max(len(stops) for stops in explorer.domain.values())
    # a point of the conductor takes seconds: an animation and its film
    n_random = 20 if make is explorers.conductor_explorer else 200
    assert explorer.sweep(n_random, seed=0) > most_stops
    assert explorer.describe(**explorer.default)
    assert explorer.picture(**explorer.default)[:4] == b"\x89PNG"


def test_every_explorer_function_is_swept_and_used_in_a_chapter():
    chapters = sorted(Path(__file__).parents[2].glob("notebooks/src/*.py"))
    assert len(chapters) >= 8
    text = "".join(path.read_text() for path in chapters)
    functions = {name for name in vars(explorers) if name.endswith("_explorer")}
    assert functions == {make.__name__ for make in explorers.EXPLORERS}
    assert [name for name in functions if name not in text] == []
