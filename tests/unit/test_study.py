"""The study: blind, random, fair, kept on disk, and its statistics against worked examples."""

import numpy as np
import pytest

from dirfa_edu.course.study import (
    CRITERIA,
    Study,
    krippendorff_alpha,
    mean_opinion,
    merge,
    read_ratings,
)
from dirfa_edu.files import InputError

VIDEOS = {"ours": ["o1.mp4", "o2.mp4", "o3.mp4"], "truth": ["t1.mp4", "t2.mp4", "t3.mp4"]}


def study(**options):
    return Study(VIDEOS, check_files=False, **options)


def scores(value=3):
    return dict.fromkeys(CRITERIA, value)


def test_order_is_a_permutation_of_its_own_for_each_rater():
    s = study()
    orders = {name: s.order(name) for name in ("ann", "bob", "cem", "dee", "eve")}
    assert all(sorted(order) == list(range(6)) for order in orders.values())
    assert len({tuple(order) for order in orders.values()}) > 1
    assert s.order("ann") == study().order("ann") and study(seed=1).order("ann") != s.order("ann")


def test_methods_alternate_where_they_can():
    s = study()
    for rater in "abcdefgh":
        methods = [s.items[i][0] for i in s.order(rater)]
        assert sum(a == b for a, b in zip(methods, methods[1:])) <= 1


def test_over_many_raters_every_video_comes_first_about_as_often():
    s = study()
    first = np.bincount([s.order(f"rater {i}")[0] for i in range(300)], minlength=6)
    assert first.min() > 25 and first.max() < 85  # 50 each, were it perfectly even


def test_a_rater_continues_where_they_stopped(tmp_path):
    s = study(results=tmp_path / "r.csv")
    for item in s.order("ann")[:2]:
        s.rate("ann", item, **scores())
    again = study(results=tmp_path / "r.csv")
    assert again.left("ann") == s.order("ann")[2:] and len(again.left("bob")) == 6
    assert again.ratings == s.ratings


@pytest.mark.parametrize("bad", [0, 6, 3.5, None, "4", True])
def test_scores_are_whole_numbers_from_1_to_5(bad):
    s = study()
    with pytest.raises(InputError, match="1 to 5"):
        s.rate("ann", 0, **{**scores(), "lip_sync": bad})
    assert s.ratings == []


def test_no_second_vote_no_nameless_vote_no_missing_answer():
    s = study()
    s.rate("ann", 0, **scores())
    with pytest.raises(InputError, match="already"):
        s.rate(" ann ", 0, **scores())
    with pytest.raises(InputError, match="name"):
        s.rate("  ", 1, **scores())
    with pytest.raises(InputError, match="lip_sync"):
        s.rate("ann", 1, realness=3)


def test_summary_counts_each_method_for_itself():
    s = study()
    for rater, ours, truth in (("ann", 2, 5), ("bob", 4, 5)):
        for item, (method, _) in enumerate(s.items):
            s.rate(rater, item, **scores(ours if method == "ours" else truth))
    found = s.summary()
    assert found["ours"]["realness"]["mean"] == 3 and found["truth"]["realness"]["mean"] == 5
    assert found["ours"]["realness"]["n"] == 6 and found["truth"]["lip_sync"]["half_width"] == 0
    assert "| ours | 3.00 ± " in s.table()


def test_95_percent_interval_covers_the_mean_95_times_in_100():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(1000):
        found = mean_opinion(rng.normal(3, 1, 8))
        hits += abs(found["mean"] - 3) < found["half_width"]
    assert 930 <= hits <= 970  # a normal quantile instead of Student's t would give 90 %


def test_alpha_against_krippendorffs_published_example():
    # "Computing Krippendorff's Alpha-Reliability" (2011), section D: four observers, twelve units;
    # interval alpha .849
    gap = np.nan
    table = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, gap, gap, gap],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, gap, 3],
        [gap, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, gap],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, gap],
    ]
    assert krippendorff_alpha(table) == pytest.approx(0.849, abs=5e-4)


def test_alpha_of_chance_is_about_zero_and_of_one_rater_undefined():
    rng = np.random.default_rng(1)
    assert abs(krippendorff_alpha(rng.integers(1, 6, (6, 400)))) < 0.05
    assert np.isnan(krippendorff_alpha(np.array([[1.0, 2.0]])))
    s = study()
    for rater in ("ann", "bob"):
        for item in range(6):
            s.rate(
                rater,
                item,
                **{**scores(1 + item % 5), "expression": 1 + (item + (rater == "bob")) % 5},
            )
    assert s.agreement()["realness"] == 1 and s.agreement()["expression"] < 0.5


def test_csv_of_several_raters_is_merged_and_twins_are_refused(tmp_path):
    for rater in ("ann", "bob"):
        s = study(results=tmp_path / f"{rater}.csv")
        s.rate(rater, 0, **scores(4))
    rows = merge([tmp_path / "ann.csv", tmp_path / "bob.csv"])
    assert [row["rater"] for row in rows] == ["ann", "bob"]
    with pytest.raises(InputError, match="twice"):
        merge([tmp_path / "ann.csv", tmp_path / "ann.csv"])
    (tmp_path / "foreign.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="not a file of ratings"):
        read_ratings(tmp_path / "foreign.csv")


def test_nothing_to_rate_is_refused(tmp_path):
    with pytest.raises(InputError, match="at least one"):
        Study({})
    with pytest.raises(InputError, match="no video at"):
        Study({"ours": [tmp_path / "missing.mp4"]})
    with pytest.raises(InputError, match="twice"):
        Study({"ours": ["a.mp4", "a.mp4"]}, check_files=False)


def test_panel_runs_a_whole_session_and_hides_the_methods(tmp_path):
    videos = {
        name: [tmp_path / f"{name}{i}.mp4" for i in range(2)] for name in ("secretmethod", "truth")
    }
    for paths in videos.values():
        for path in paths:
            path.write_bytes(b"not really a video")
    s = Study(videos, results=tmp_path / "r.csv")
    panel = s.panel()
    c = panel.controls
    c["start"].click()
    assert "name" in c["message"].value and not s.ratings
    c["name"].value = "ann"
    c["start"].click()
    for place in range(4):
        assert c["heading"].value == f"<b>Video {place + 1} of 4</b>"
        shown = (
            c["heading"].value
            + c["message"].value
            + str([scale.description for scale in c["scales"].values()])
        )
        assert "secretmethod" not in shown and "truth" not in shown
        c["save"].click()  # nothing answered: refused
        assert "Answer all three" in c["message"].value and len(s.ratings) == place
        for scale in c["scales"].values():
            scale.value = 4
        c["save"].click()
    assert len(s.ratings) == 4 and c["save"].disabled
    # not even at the end: the next person may be watching
    assert "secretmethod" not in c["message"].value
    assert "| secretmethod | 4.00" in s.table()
    assert len(read_ratings(tmp_path / "r.csv")) == 4


def test_what_goes_wrong_is_shown_as_text_not_as_markup(tmp_path, monkeypatch):
    (tmp_path / "a.mp4").write_bytes(b"not really a video")
    s = Study({"ours": [tmp_path / "a.mp4"]})
    c = s.panel().controls
    c["name"].value = "<b>ann"
    c["start"].click()

    def refused(rater, item, **scores):
        raise InputError(f"{rater} is refused")

    monkeypatch.setattr(s, "rate", refused)
    c["save"].click()
    assert "&lt;b&gt;ann is refused" in c["message"].value
