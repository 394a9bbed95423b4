"""The paper's claims about its tables, as data, and how each is judged on our trials.

What is compared with the paper is the direction of each claim, never its numbers. Seeds are
trainings, and a difference between two rows counts where it is beyond chance over them: where the
95 % interval of the differences, seed by seed, leaves out zero.

Paper: 4.3, 4.5, Tables 1, 2, 4 and 5. Notebook: 06_evaluation.
"""

from dataclasses import dataclass
from typing import Callable

import numpy as np

from ..metrics import HUMAN_EBR
from .tables import (
    DETERMINISTIC,
    FULL,
    FULL_MEASURED,
    LIPS_ALONE,
    OURS,
    OURS_NOT_TUNED,
    POSE_GIVEN,
    TUNED_EMOTION_TOLD,
    TUNED_LIPS_ALONE,
    WITHOUT_PROB,
    WITHOUT_TBM,
    WITHOUT_TBM_MEASURED,
    Rows,
    interval,
)

Finding = tuple[bool | None, str]  # does it hold (None: it cannot be tested here), and why

VERDICTS = {True: "holds", False: "does not hold here", None: "cannot be tested here"}

ABOVE, BELOW = +1, -1  # the two relations of a Comparison

# what a figure is called in the reason for a verdict
SPOKEN = {
    "psnr": "PSNR",
    "acd": "ACD",
    "lmd": "LMD",
    "s_conf": "S_conf",
    "s_off": "S_off",
    "lip_one": "lip error",
    "motion_upper": "expression, share of truth",
    "motion_pose": "pose, share of truth",
    "jitter_pose": "pose steps",
    "bits_last": "bits in frames 226-300, trained on 75",
}


@dataclass(frozen=True)
class Comparison:
    """A claim that a figure of one row is higher, or lower, than that of every other it names."""

    text: str
    row: str
    relation: int  # ABOVE or BELOW
    others: tuple[str, ...]
    figure: str  # a key of SPOKEN


@dataclass(frozen=True)
class Measurement:
    """A claim that no comparison of two rows decides: `test` says whether it holds, and why."""

    text: str
    test: Callable[[Rows], Finding]


# ---- how a claim is judged -----------------------------------------------------------------------


def verdicts(table: str, rows: Rows) -> list[dict]:
    """The paper's claims about a table, each as {"claim", "verdict", "reason"}."""
    return [verdict(claim, rows) for claim in CLAIMS[table]]


def verdict(claim: Comparison | Measurement, rows: Rows) -> dict:
    """One claim, judged on the rows of its table."""
    holds, reason = compare(claim, rows) if isinstance(claim, Comparison) else claim.test(rows)
    return {"claim": claim.text, "verdict": VERDICTS[holds], "reason": reason}


def compare(claim: Comparison, rows: Rows) -> Finding:
    """Judge a comparison against the best of the other rows, which is the hardest to beat."""
    figure, relation, spoken = claim.figure, claim.relation, SPOKEN[claim.figure]
    if any(figure not in rows[row] for row in (claim.row, *claim.others)):
        return None, f"{spoken} was not measured"

    best = max(claim.others, key=lambda row: relation * mean(rows, row, figure))
    reason = (
        f"{spoken}: {mean(rows, claim.row, figure):.3f} ({claim.row}) "
        f"against {mean(rows, best, figure):.3f} ({best})"
    )
    return beyond_chance(rows[claim.row][figure], rows[best][figure], relation, reason)


def beyond_chance(ours: list[float], theirs: list[float], relation: int, reason: str) -> Finding:
    """Is one row higher (or lower) than another, seed by seed, by more than chance explains?"""
    gaps = [relation * (a - b) for a, b in zip(ours, theirs)]
    if len(gaps) == 1:
        return None, reason + "; one seed says nothing about chance"

    gap, half = interval(gaps)
    chance = "beyond chance" if abs(gap) > half else "within chance"
    difference = f"95 % interval of the difference {relation * gap:+.3f} ± {half:.3f}"
    return bool(gap > half), f"{reason}, {chance} ({difference})"


def mean(rows: Rows, row: str, figure: str) -> float:
    """The mean over seeds."""
    return float(np.mean(rows[row][figure]))


# ---- tests of their own --------------------------------------------------------------------------


def blinks_like_people(row: str) -> Callable[[Rows], Finding]:
    """The row's eyes blink as often as people's do in conversation."""
    low, high = HUMAN_EBR

    def test(rows: Rows) -> Finding:
        rate = mean(rows, row, "ebr")
        return low <= rate <= high, f"{rate:.2f} blinks a second, people {low}-{high}"

    return test


def never_blinks(row: str) -> Callable[[Rows], Finding]:
    """The row's eyes stay open: less than one blink in 20 s."""

    def test(rows: Rows) -> Finding:
        rate = mean(rows, row, "ebr")
        return rate < 0.05, f"{rate:.2f} blinks a second"

    return test


def expressions_freeze(rows: Rows) -> Finding:
    """Without probabilities expressions move less than half as much as with them."""
    without, full = (mean(rows, row, "motion_upper") for row in (WITHOUT_PROB, FULL))
    return (
        without < 0.5 * full,
        f"expression moves {without:.2f} of what the truth does, {full:.2f} in the full model",
    )


def expressions_vary_more_than_lips(rows: Rows) -> Finding:
    """Two samples of ours are farther apart in the upper face than in the lips."""
    upper, lips = (rows[OURS][f"diversity_{group}"] for group in ("upper", "lips"))
    reason = (
        f"mean distance of two samples in AU units: upper face {np.mean(upper):.3f}, "
        f"lips {np.mean(lips):.3f}"
    )
    return beyond_chance(upper, lips, ABOVE, reason)


def nobody_has_rated(rows: Rows) -> Finding:
    """What only people can tell."""
    return None, "nobody has rated: see the user study"


# ---- Table 5: lip error over the number of bins --------------------------------------------------

NEIGHBOURS = ("D = 250", "D = 500", "D = 750")
PLATEAU = 0.05  # share of LMD by which what lies on a plateau may differ


def lips_over_D(rows: Rows) -> dict[str, float]:
    """LMD of each row, or the lips' AU error where no films were made."""
    return {
        row: mean(rows, row, "lmd" if "lmd" in figures else "lip_one")
        for row, figures in rows.items()
    }


def listed(lips: dict[str, float]) -> str:
    """The values of all rows in a line."""
    return ", ".join(f"{row} {value:.3f}" for row, value in lips.items())


def plateau(rows: Rows) -> Finding:
    """From D = 250 on the lips do not depend on D."""
    lips = lips_over_D(rows)
    farthest = max(abs(lips[row] / lips["D = 500"] - 1) for row in NEIGHBOURS)
    return (
        farthest < PLATEAU,
        f"at most {100 * farthest:.1f} % from D = 500, {100 * PLATEAU:.0f} % count as even "
        f"({listed(lips)})",
    )


def best_at_500(rows: Rows) -> Finding:
    """No other D has better lips."""
    lips = lips_over_D(rows)
    return min(lips, key=lips.get) == "D = 500", listed(lips)


def few_bins_restrict_lips(rows: Rows) -> Finding:
    """Rounding to ten bins alone costs more than ten times as much as rounding to 500."""
    coarse, fine = (mean(rows, row, "floor") for row in ("D = 10", "D = 500"))
    return (
        coarse > 10 * fine,
        f"rounding to bins alone costs {coarse:.3f} AU at D = 10 and {fine:.4f} at D = 500",
    )


# ---- the claims ----------------------------------------------------------------------------------

PARADIGMS = (LIPS_ALONE, DETERMINISTIC, POSE_GIVEN)
TUNED = (TUNED_LIPS_ALONE, TUNED_EMOTION_TOLD)

# fmt: off
CLAIMS: dict[str, list[Comparison | Measurement]] = {
    "table1": [
        Comparison("ours has the best PSNR",
                   OURS, ABOVE, PARADIGMS, "psnr"),
        Comparison("ours has the best S_conf",
                   OURS, ABOVE, PARADIGMS, "s_conf"),
        Comparison("ours has the best S_off",
                   OURS, BELOW, PARADIGMS, "s_off"),
        Comparison("lips alone on a still head have the better LMD",
                   LIPS_ALONE, BELOW, (OURS,), "lmd"),
        Comparison("ours has a better LMD than the deterministic face",
                   OURS, BELOW, (DETERMINISTIC,), "lmd"),
        Comparison("a face that moves little has the better ACD",
                   DETERMINISTIC, BELOW, (OURS,), "acd"),
        Measurement("eyes blink as often as people's",
                    blinks_like_people(OURS)),
        Measurement("samples differ in expression more than in lips",
                    expressions_vary_more_than_lips),
        Measurement("the methods without blinks look worse to people",
                    nobody_has_rated),
    ],
    "table2": [
        Comparison("tuning to the person gives the better PSNR",
                   TUNED_EMOTION_TOLD, ABOVE, (OURS_NOT_TUNED,), "psnr"),
        Comparison("tuning to the person gives the better ACD",
                   TUNED_EMOTION_TOLD, BELOW, (OURS_NOT_TUNED,), "acd"),
        Comparison("ours has the better LMD",
                   OURS_NOT_TUNED, BELOW, TUNED, "lmd"),
        Comparison("ours has the better S_conf",
                   OURS_NOT_TUNED, ABOVE, TUNED, "s_conf"),
        Comparison("ours has the better S_off",
                   OURS_NOT_TUNED, BELOW, TUNED, "s_off"),
        Measurement("eyes blink as often as people's",
                    blinks_like_people(OURS_NOT_TUNED)),
    ],
    "table4": [
        Comparison("without Prob ACD is better",
                   WITHOUT_PROB, BELOW, (FULL,), "acd"),
        Measurement("without Prob the eyes do not blink",
                    never_blinks(WITHOUT_PROB)),
        Measurement("without Prob expressions freeze",
                    expressions_freeze),
        Comparison("without Prob expressions move less",
                   WITHOUT_PROB, BELOW, (FULL,), "motion_upper"),
        Comparison("without Prob the head moves less",
                   WITHOUT_PROB, BELOW, (FULL,), "motion_pose"),
        Comparison("the full model has better lips than w/o Prob",
                   FULL, BELOW, (WITHOUT_PROB,), "lmd"),
        Comparison("the same on the lips' AUs, which the pose does not touch",
                   FULL, BELOW, (WITHOUT_PROB,), "lip_one"),
        Comparison("the full model has better lips than w/o TBM",
                   FULL, BELOW, (WITHOUT_TBM,), "lmd"),
        Comparison("the same on the lips' AUs",
                   FULL, BELOW, (WITHOUT_TBM,), "lip_one"),
        Comparison("the same where tracks are noisy",
                   FULL_MEASURED, BELOW, (WITHOUT_TBM_MEASURED,), "lip_one"),
        Comparison("without TBM head poses are abrupt",
                   FULL, BELOW, (WITHOUT_TBM,), "jitter_pose"),
        Comparison("the same where tracks are noisy",
                   FULL_MEASURED, BELOW, (WITHOUT_TBM_MEASURED,), "jitter_pose"),
        Comparison("with TBM a clip may be longer than those of training",
                   FULL, BELOW, (WITHOUT_TBM,), "bits_last"),
        Comparison("the full model has the best PSNR",
                   FULL, ABOVE, (WITHOUT_PROB, WITHOUT_TBM), "psnr"),
        Measurement("eyes blink as often as people's",
                    blinks_like_people(FULL)),
    ],
    "table5": [
        Comparison("D = 10 has far worse lips than D = 500",
                   "D = 500", BELOW, ("D = 10",), "lmd"),
        Comparison("the same on the lips' AUs, which the pose does not touch",
                   "D = 500", BELOW, ("D = 10",), "lip_one"),
        Comparison("D = 100 has worse lips than D = 500",
                   "D = 500", BELOW, ("D = 100",), "lmd"),
        Measurement("from 250 to 750 there is a plateau",
                    plateau),
        Measurement("the best LMD is at D = 500",
                    best_at_500),
        Measurement("a small D restricts the states of the lips",
                    few_bins_restrict_lips),
    ],
}
# fmt: on
