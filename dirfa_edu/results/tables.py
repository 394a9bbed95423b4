"""The paper's tables at the scale of a laptop: their rows, figures and columns.

Other methods are shown as paradigms, not as their code: each row says which trial and which of the
trial's methods it is made of. The paper's own numbers stand beside ours, and are never compared in
size.

Paper: Tables 1, 2, 4 and 5. Notebook: 06_evaluation.
"""

import numpy as np

from .trials import SUBJECT, UNTRAINED

# ---- rows ----------------------------------------------------------------------------------------

# of Table 1: three paradigms without probabilities, and ours
LIPS_ALONE = "lips alone (ATVG's kind)"
DETERMINISTIC = "deterministic (MakeItTalk's kind)"
POSE_GIVEN = "pose of the recording (PC-AVS's kind)"
OURS = "ours"

# of Table 2: generators tuned to one person, and ours, which is not
TUNED_LIPS_ALONE = "tuned, lips alone (Wang et al.'s kind)"
TUNED_EMOTION_TOLD = "tuned, emotion told (EVP's kind)"
OURS_NOT_TUNED = "ours, not tuned"

# of Table 4: the ablation, trained on exact tracks and on tracks as a tracker sees them
WITHOUT_PROB = "w/o Prob"
WITHOUT_TBM = "w/o TBM"
FULL = "Full Model"
WITHOUT_TBM_MEASURED = "w/o TBM, measured tracks"
FULL_MEASURED = "Full Model, measured tracks"

# table -> row -> (variant of the trial, which of its methods)
TABLES = {
    "table1": {
        "copy of the source": (UNTRAINED, "copy"),
        LIPS_ALONE: ("w/o Prob", "static pose"),
        DETERMINISTIC: ("w/o Prob", "ours"),
        POSE_GIVEN: ("w/o Prob", "true pose"),
        OURS: ("full", "ours"),
        "ours, shipped weights": (UNTRAINED, "shipped"),
        "truth": (UNTRAINED, "truth"),
    },
    "table2": {
        TUNED_LIPS_ALONE: (SUBJECT, "lips alone"),
        TUNED_EMOTION_TOLD: (SUBJECT, "emotion told"),
        OURS_NOT_TUNED: (SUBJECT, "ours"),
    },
    "table4": {
        WITHOUT_PROB: ("w/o Prob", "ours"),
        WITHOUT_TBM: ("w/o TBM", "ours"),
        FULL: ("full", "ours"),
        WITHOUT_TBM_MEASURED: ("w/o TBM, measured", "ours"),
        FULL_MEASURED: ("full, measured", "ours"),
    },
    "table5": {
        "D = 10": ("D = 10", "ours"),
        "D = 100": ("D = 100", "ours"),
        "D = 250": ("D = 250", "ours"),
        "D = 500": ("full", "ours"),
        "D = 750": ("D = 750", "ours"),
    },
}

# ---- columns -------------------------------------------------------------------------------------

# figure -> (heading, decimals): those of the paper, which are measured on films
FILMED = {
    "psnr": ("PSNR, dB ↑", 2),
    "acd": ("ACD ↓", 3),
    "lmd": ("LMD, px ↓", 3),
    "s_conf": ("S_conf ↑", 3),
    "s_off": ("S_off, frames ↓", 2),
    "ebr": ("EBR, 1/s", 2),
}
# and ours, which are measured on animations
MOVED = {
    "lip_one": ("lip error ↓", 3),
    "motion_upper": ("expression, share of truth", 2),
    "motion_pose": ("pose, share of truth", 2),
    "jitter_pose": ("pose steps, share of truth", 2),
}
COLUMNS = {
    "table1": FILMED | MOVED,
    "table2": FILMED,
    "table4": FILMED | MOVED,
    "table5": {
        "lmd": FILMED["lmd"],
        "lip_one": MOVED["lip_one"],
        "floor": ("error of the bins alone", 4),
        "ebr": FILMED["ebr"],
        "motion_pose": MOVED["motion_pose"],
    },
}

# ---- what the paper prints -----------------------------------------------------------------------


def _printed(**rows: tuple) -> dict[str, dict]:
    """Rows of six numbers under the paper's six headings."""
    headings = ("PSNR", "ACD", "LMD", "S_conf", "S_off", "EBR")
    return {row: dict(zip(headings, numbers)) for row, numbers in rows.items()}


# fmt: off
PAPER = {
    "table1": _printed(**{
        "ATVG":        (28.79, 0.376, 4.28, 5.45, 0.57, None),
        "MakeItTalk":  (29.15, 0.320, 6.13, 5.11, 1.08, 0.39),
        "PC AVS":      (29.42, 0.354, 4.67, 5.39, 0.36, None),
        "Ours":        (29.56, 0.331, 4.45, 5.82, 0.25, 0.31),
    }),
    "table2": _printed(**{
        "Wang et al.": (28.67, 0.366, 11.94, 2.38, 1.70, None),
        "EVP":         (28.90, 0.307,  8.23, 4.21, 0.88, None),
        "Ours":        (28.42, 0.391,  6.45, 5.09, 0.63, 0.35),
    }),
    "table4": _printed(**{
        "w/o Prob":    (29.52, 0.318, 4.71, 5.60, 0.43, None),
        "w/o TBM":     (29.38, 0.347, 6.22, 4.39, 0.74, 0.59),
        "Full Model":  (29.56, 0.331, 4.45, 5.82, 0.25, 0.31),
    }),
    "table5": {
        "D = 10":  {"LMD": 9.31},
        "D = 100": {"LMD": 5.92},
        "D = 250": {"LMD": 4.77},
        "D = 500": {"LMD": 4.45},
        "D = 750": {"LMD": 4.68},
    },
}
# fmt: on

# ---- from trials to rows -------------------------------------------------------------------------

Rows = dict[str, dict[str, list[float]]]  # row -> figure -> one number a seed


def rows_of(table: str, trials: dict[str, list[dict]]) -> Rows:
    """Trials of each variant -> row -> figure -> one number a seed, the mean over clips."""
    return {
        row: _over_seeds([_over_clips(trial, method) for trial in trials[variant]])
        for row, (variant, method) in TABLES[table].items()
    }


def _over_clips(trial: dict, method: str) -> dict[str, float]:
    """The figures of one method of a trial, means over its clips."""
    clips = [shown[method] for shown in trial["clips"].values()]
    means = {figure: float(np.mean([clip[figure] for clip in clips])) for figure in clips[0]}

    bits = trial.get("bits_by_age")
    if bits:
        means["bits_first"] = bits[0]
        means["bits_last"] = bits[-1]
    return means


def _over_seeds(means: list[dict[str, float]]) -> dict[str, list[float]]:
    """One dict a seed -> one list a figure."""
    return {figure: [each[figure] for each in means] for figure in means[0]}


def interval(values: list[float]) -> tuple[float, float]:
    """Mean of one number a seed, and the half-width of its 95 % interval (Student's t).

    The half-width is NaN for a single seed.

    >>> mean, half = interval([1.0, 2.0, 3.0])
    >>> mean, round(half, 3)
    (2.0, 2.484)
    """
    from scipy.stats import t

    n = len(values)
    half = t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n) if n > 1 else np.nan
    return float(np.mean(values)), float(half)


def columns_of(found: dict) -> dict[str, str]:
    """Headings of the figures of a judged table that any of its rows has."""
    return {
        figure: heading
        for figure, (heading, _) in COLUMNS[found["table"]].items()
        if any(figure in row for row in found["here"].values())
    }
