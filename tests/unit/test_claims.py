"""The paper's claims, judged on rows made up to hold and to fail."""

import numpy as np
import pytest

from dirfa_edu.results import claims
from dirfa_edu.results.tables import (
    DETERMINISTIC,
    FILMED,
    FULL,
    MOVED,
    OURS,
    OURS_NOT_TUNED,
    TABLES,
    TUNED_EMOTION_TOLD,
    TUNED_LIPS_ALONE,
    WITHOUT_PROB,
    WITHOUT_TBM,
    WITHOUT_TBM_MEASURED,
    interval,
)

HOLDS, FAILS, OPEN = "holds", "does not hold here", "cannot be tested here"


def made_up(seeds=5, **figures):
    """One row: each figure in five seeds, with a little noise about what is given."""
    known = [*FILMED, *MOVED, "floor", "bits_last", "diversity_upper", "diversity_lips"]
    rng = np.random.default_rng(0)
    return {
        figure: [figures.get(figure, 1.0) + 0.01 * rng.standard_normal() for _ in range(seeds)]
        for figure in known
    }


def judged(table, rows):
    """The verdicts about a table some of whose rows' figures are given."""
    made = {row: made_up(**rows.get(row, {})) for row in TABLES[table]}
    return [each["verdict"] for each in claims.verdicts(table, made)]


def test_what_the_paper_found_in_table_1_is_found():
    good = {"psnr": 3, "s_conf": 3, "s_off": 0, "ebr": 0.33, "acd": 2, "lmd": 2}
    rows = {OURS: good | {"diversity_lips": 0.1}, DETERMINISTIC: {"lmd": 3}}
    assert judged("table1", rows) == [HOLDS] * 8 + [OPEN]


def test_what_the_paper_found_in_table_2_is_found():
    rows = {
        TUNED_EMOTION_TOLD: {"psnr": 2, "acd": 0.5, "lmd": 3, "s_off": 3},
        TUNED_LIPS_ALONE: {"lmd": 2, "s_off": 2},
        OURS_NOT_TUNED: {"s_conf": 2, "ebr": 0.3},
    }
    assert judged("table2", rows) == [HOLDS] * 6


def test_what_the_paper_found_in_table_4_is_found():
    frozen = {"ebr": 0, "motion_upper": 0.1, "motion_pose": 0.5, "acd": 0.5}
    rows = {
        WITHOUT_PROB: frozen | {"lmd": 2, "lip_one": 2},
        WITHOUT_TBM: {"lmd": 3, "lip_one": 2, "jitter_pose": 3, "bits_last": 2},
        WITHOUT_TBM_MEASURED: {"lip_one": 2, "jitter_pose": 2},
        FULL: {"ebr": 0.33, "psnr": 2},
    }
    assert judged("table4", rows) == [HOLDS] * 15


def test_what_the_paper_found_in_table_5_is_found():
    lmds = {10: 9.3, 100: 5.9, 250: 4.5, 500: 4.4, 750: 4.5}
    rows = {
        f"D = {D}": {"lmd": lmd, "floor": 1.25 / D + 0.1 * (D == 10), "lip_one": 1 + (D == 10)}
        for D, lmd in lmds.items()
    }
    assert judged("table5", rows) == [HOLDS] * 6


@pytest.mark.parametrize("table", TABLES)
def test_the_judge_says_when_an_effect_does_not_appear(table):
    alike = {row: {"ebr": 0.6, "floor": 1} for row in TABLES[table]}
    # rows that are alike lie on a plateau, and one of them is the best
    found = zip(claims.CLAIMS[table], judged(table, alike))
    effects = [verdict for claim, verdict in found if claim.text not in PLATEAU_OR_BEST]
    assert len(effects) >= 4 and HOLDS not in effects


PLATEAU_OR_BEST = ("from 250 to 750 there is a plateau", "the best LMD is at D = 500")


def test_one_seed_cannot_tell_a_difference_from_chance():
    rows = {row: made_up(seeds=1, lmd=9 if row == "D = 10" else 1) for row in TABLES["table5"]}
    first = claims.verdicts("table5", rows)[0]
    assert first["verdict"] == OPEN and "one seed says nothing" in first["reason"]


def test_pairs_of_seeds_are_compared_so_that_their_own_spread_drops_out():
    spread = [1.0, 5.0, 2.0, 9.0]
    a_little_worse = [x + 0.5 + 0.01 * i for i, x in enumerate(spread)]
    rows = {row: made_up() for row in TABLES["table5"]}
    rows["D = 500"]["lmd"] = spread
    rows["D = 10"]["lmd"] = a_little_worse
    assert claims.verdicts("table5", rows)[0]["verdict"] == HOLDS
    rows["D = 10"]["lmd"] = spread[::-1]
    assert claims.verdicts("table5", rows)[0]["verdict"] == FAILS


def test_a_row_must_beat_the_best_of_the_others():
    claim = claims.Comparison("ours is best", "ours", claims.ABOVE, ("bad", "good"), "psnr")
    rows = {"ours": made_up(psnr=2), "bad": made_up(psnr=1), "good": made_up(psnr=3)}
    found = claims.verdict(claim, rows)
    assert found["verdict"] == FAILS and "(good)" in found["reason"]
    rows["good"] = made_up(psnr=1.5)
    assert claims.verdict(claim, rows)["verdict"] == HOLDS


def test_what_was_not_measured_cannot_be_tested():
    rows = {row: made_up() for row in TABLES["table1"]}
    for figures in rows.values():
        del figures["psnr"]
    first = claims.verdicts("table1", rows)[0]
    assert first["verdict"] == OPEN and first["reason"] == "PSNR was not measured"


@pytest.mark.parametrize("table", TABLES)
def test_claims_speak_of_rows_and_figures_that_are_there(table):
    for claim in claims.CLAIMS[table]:
        if isinstance(claim, claims.Comparison):
            assert {claim.row, *claim.others} <= set(TABLES[table])
            assert claim.figure in claims.SPOKEN
            assert claim.relation in (claims.ABOVE, claims.BELOW)


def test_an_interval_by_hand():
    mean, half = interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert mean == 3 and half == pytest.approx(2.7764 * np.sqrt(2.5) / np.sqrt(5), rel=1e-4)
    assert np.isnan(interval([1.0])[1])
