"""The paper's tables and figures at the scale of a laptop: measure the trials, judge each claim.

What is compared with the paper is the direction of each claim, never its numbers: the actors are
ours, the networks small, the training minutes instead of days, the SyncNet and the landmarks
others. Seeds are trainings; intervals are over them, and a claim holds where the difference it
speaks of is beyond chance.

Paper: Tables 1, 2, 4, 5, Figures 2, 3, 5, 6. Notebook: 06_evaluation.
"""

import csv
import io
import json
from datetime import date
from pathlib import Path

import numpy as np

from .. import plots
from ..files import InputError, atomic_path, make_folder
from ..metrics import HUMAN_EBR
from .trials import PRESETS, SUBJECT, UNTRAINED, run

# name -> row -> which trial, and which of its methods
TABLES = {
    "table1": {
        "copy of the source": (UNTRAINED, "copy"),
        "lips alone (ATVG's kind)": ("w/o Prob", "static pose"),
        "deterministic (MakeItTalk's kind)": ("w/o Prob", "ours"),
        "pose of the recording (PC-AVS's kind)": ("w/o Prob", "true pose"),
        "ours": ("full", "ours"),
        "ours, shipped weights": (UNTRAINED, "shipped"),
        "truth": (UNTRAINED, "truth"),
    },
    "table2": {
        "tuned, lips alone (Wang et al.'s kind)": (SUBJECT, "lips alone"),
        "tuned, emotion told (EVP's kind)": (SUBJECT, "emotion told"),
        "ours, not tuned": (SUBJECT, "ours"),
    },
    "table4": {
        "w/o Prob": ("w/o Prob", "ours"),
        "w/o TBM": ("w/o TBM", "ours"),
        "Full Model": ("full", "ours"),
        "w/o TBM, measured tracks": ("w/o TBM, measured", "ours"),
        "Full Model, measured tracks": ("full, measured", "ours"),
    },
    "table5": {
        f"D = {D}": ("full" if D == 500 else f"D = {D}", "ours") for D in (10, 100, 250, 500, 750)
    },
}
SIX = ("PSNR", "ACD", "LMD", "S_conf", "S_off", "EBR")


def _six(**rows: tuple) -> dict[str, dict]:
    return {name.replace("_", " "): dict(zip(SIX, row)) for name, row in rows.items()}


PAPER = {
    "table1": _six(
        ATVG=(28.79, 0.376, 4.28, 5.45, 0.57, None),
        MakeItTalk=(29.15, 0.320, 6.13, 5.11, 1.08, 0.39),
        PC_AVS=(29.42, 0.354, 4.67, 5.39, 0.36, None),
        Ours=(29.56, 0.331, 4.45, 5.82, 0.25, 0.31),
    ),
    "table2": _six(
        **{
            "Wang et al.": (28.67, 0.366, 11.94, 2.38, 1.70, None),
            "EVP": (28.90, 0.307, 8.23, 4.21, 0.88, None),
            "Ours": (28.42, 0.391, 6.45, 5.09, 0.63, 0.35),
        }
    ),
    "table4": _six(
        **{
            "w/o Prob": (29.52, 0.318, 4.71, 5.60, 0.43, None),
            "w/o TBM": (29.38, 0.347, 6.22, 4.39, 0.74, 0.59),
            "Full Model": (29.56, 0.331, 4.45, 5.82, 0.25, 0.31),
        }
    ),
    "table5": {
        f"D = {D}": {"LMD": value}
        for D, value in {10: 9.31, 100: 5.92, 250: 4.77, 500: 4.45, 750: 4.68}.items()
    },
}
FILMED = {
    "psnr": ("PSNR, dB ↑", 2),
    "acd": ("ACD ↓", 3),
    "lmd": ("LMD, px ↓", 3),
    "s_conf": ("S_conf ↑", 3),
    "s_off": ("S_off, frames ↓", 2),
    "ebr": ("EBR, 1/s", 2),
}
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
NEIGHBOURS = ("D = 250", "D = 500", "D = 750")
PLATEAU = 0.05  # share of LMD by which what lies on a plateau may differ


def reproduce(
    name: str,
    preset: str = "laptop",
    seeds: int = 1,
    out: str | Path = "results",
    clips: tuple[list, list] | None = None,
    films: bool = True,
    progress: bool = True,
) -> str:
    """Run "table1", "table2", "table4" or "table5": write name.md, .csv, .json and .png into `out`,
    return the Markdown.

    `seeds` trainings of each variant; `clips` are (training, test) lists of Clip, the sample corpus
    if not given; without `films` nothing is drawn, and only animations are measured.
    Raises InputError for another name or preset. Paper: Tables 1, 2, 4 and 5. Notebook:
    06_evaluation.
    """
    from ..training import load_pretrained

    if name not in TABLES:
        raise InputError(f"no table called {name!r}: choose one of {', '.join(TABLES)}")
    if preset not in PRESETS:
        raise InputError(f"no preset called {preset!r}: choose one of {', '.join(PRESETS)}")
    if seeds < 1:
        raise InputError(f"give at least one seed, not {seeds}")
    out, (train, test) = make_folder(out), clips or samples(PRESETS[preset]["clips"])
    generator = load_pretrained("generator") if films else None
    if name == "table2" and not films:
        raise InputError("Table 2 compares generators: it cannot do without films")
    trials = {
        variant: [
            run(variant, seed, preset, train, test, out / "runs", generator, progress)
            for seed in range(seeds_of(variant, seeds))
        ]
        for variant in dict.fromkeys(v for v, _ in TABLES[name].values())
    }
    results = rows_of(name, trials)
    found = {
        "table": name,
        "preset": preset,
        "seeds": seeds,
        "date": str(date.today()),
        "paper": PAPER[name],
        "here": {
            row: {figure: interval(values) for figure, values in per_seed.items()}
            for row, per_seed in results.items()
        },
        "claims": judge(name, results),
    }
    text = report(found)
    for ending, written in (
        (".json", json.dumps(found, indent=1)),
        (".csv", as_csv(name, trials)),
        (".md", text),
    ):
        with atomic_path(out / (name + ending)) as temporary:
            temporary.write_text(written, encoding="utf-8")
    with atomic_path(out / f"{name}.png") as temporary:
        temporary.write_bytes(plots.png(plots.intervals(found["here"], columns_of(found)), dpi=110))
    return text


def columns_of(found: dict) -> dict[str, str]:
    """Headings of the figures of a table that any row has."""
    return {
        key: heading
        for key, (heading, _) in COLUMNS[found["table"]].items()
        if any(key in row for row in found["here"].values())
    }


def seeds_of(variant: str, seeds: int) -> int:
    """How many trials of a variant a table has: seeds are trainings, and what needs none is tried
    once."""
    return 1 if variant == UNTRAINED else seeds


def samples(n: int) -> tuple[list, list]:
    """Training clips of the sample corpus, and the first `n` test clips of speech that were filmed."""
    from ..data.corpus import Corpus

    corpus = Corpus("samples")
    return (
        corpus.select(split="train", kind="speech"),
        corpus.select(split="test", kind="speech", rendered=True)[:n],
    )


def rows_of(name: str, trials: dict[str, list[dict]]) -> dict[str, dict[str, list[float]]]:
    """Trials -> row -> figure -> one number a seed, the mean over clips."""
    out = {}
    for row, (variant, method) in TABLES[name].items():
        per_seed = []
        for trial in trials[variant]:
            clips = [clip[method] for clip in trial["clips"].values()]
            means = {
                figure: float(np.mean([clip[figure] for clip in clips])) for figure in clips[0]
            }
            ages = trial.get("bits_by_age", [])
            per_seed.append(
                means | ({"bits_first": ages[0], "bits_last": ages[-1]} if ages else {})
            )
        out[row] = {figure: [means[figure] for means in per_seed] for figure in per_seed[0]}
    return out


# ---- judging -------------------------------------------------------------------------------------
def interval(values: list[float]) -> tuple[float, float]:
    """Mean of one number a seed, and the half-width of its 95 % interval (Student's t); NaN for a
    single seed.

    >>> mean, half = interval([1.0, 2.0, 3.0])
    >>> mean, round(half, 3)
    (2.0, 2.484)
    """
    from scipy.stats import t

    n = len(values)
    half = t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n) if n > 1 else np.nan
    return float(np.mean(values)), float(half)


def judge(name: str, results: dict) -> list[dict]:
    """The paper's claims about a table, each with a verdict: holds, does not hold here, or cannot
    be tested here."""

    def claim(text: str, holds: bool | None, reason: str) -> dict:
        verdict = {True: "holds", False: "does not hold here", None: "cannot be tested here"}[holds]
        return {"claim": text, "verdict": verdict, "reason": reason}

    def beyond(text: str, large: list, small: list, reason: str, sign: int = 1) -> dict:
        gaps = [sign * (a - b) for a, b in zip(large, small)]
        gap, half = interval(gaps)
        if len(gaps) == 1:
            return claim(text, None, reason + "; one seed says nothing about chance")
        chance = "beyond chance" if abs(gap) > half else "within chance"
        return claim(
            text,
            bool(gap > half),
            f"{reason}, {chance} (95 % interval of the difference {sign * gap:+.3f} ± {half:.3f})",
        )

    def higher(text: str, large: str, small: str, figure: str, what: str, sign: int = 1) -> dict:
        if any(figure not in results[row] for row in (large, small)):
            return claim(text, None, f"{what} was not measured")
        pair = [results[row][figure] for row in (large, small)]
        return beyond(
            text,
            *pair,
            f"{what}: {np.mean(pair[0]):.3f} ({large}) against {np.mean(pair[1]):.3f} ({small})",
            sign,
        )

    def lower(text: str, small: str, large: str, figure: str, what: str) -> dict:
        return higher(text, small, large, figure, what, sign=-1)

    def mean(row: str, figure: str) -> float:
        return float(np.mean(results[row][figure]))

    def natural_blinks(row: str) -> dict:
        rate = mean(row, "ebr")
        return claim(
            "eyes blink as often as people's",
            HUMAN_EBR[0] <= rate <= HUMAN_EBR[1],
            f"{rate:.2f} blinks a second, people {HUMAN_EBR[0]}-{HUMAN_EBR[1]}",
        )

    if name == "table1":
        _, lips, plain, posed, ours, *_ = TABLES[name]
        others = (lips, plain, posed)
        best = {
            figure: pick(others, key=lambda row: mean(row, figure))
            if figure in results[ours]
            else plain
            for figure, pick in (("psnr", max), ("s_conf", max), ("s_off", min))
        }
        return [
            higher("ours has the best PSNR", ours, best["psnr"], "psnr", "PSNR"),
            higher("ours has the best S_conf", ours, best["s_conf"], "s_conf", "S_conf"),
            lower("ours has the best S_off", ours, best["s_off"], "s_off", "S_off"),
            lower("lips alone on a still head have the better LMD", lips, ours, "lmd", "LMD"),
            lower("ours has a better LMD than the deterministic face", ours, plain, "lmd", "LMD"),
            lower("a face that moves little has the better ACD", plain, ours, "acd", "ACD"),
            natural_blinks(ours),
            beyond(
                "samples differ in expression more than in lips",
                results[ours]["diversity_upper"],
                results[ours]["diversity_lips"],
                f"mean distance of two samples in AU units: upper face "
                f"{mean(ours, 'diversity_upper'):.3f}, lips {mean(ours, 'diversity_lips'):.3f}",
            ),
            claim(
                "the methods without blinks look worse to people",
                None,
                "nobody has rated: see the user study",
            ),
        ]
    if name == "table2":
        wang, evp, ours = TABLES[name]
        return [
            higher("tuning to the person gives the better PSNR", evp, ours, "psnr", "PSNR"),
            lower("tuning to the person gives the better ACD", evp, ours, "acd", "ACD"),
            lower(
                "ours has the better LMD",
                ours,
                min((wang, evp), key=lambda row: mean(row, "lmd")),
                "lmd",
                "LMD",
            ),
            higher(
                "ours has the better S_conf",
                ours,
                max((wang, evp), key=lambda row: mean(row, "s_conf")),
                "s_conf",
                "S_conf",
            ),
            lower(
                "ours has the better S_off",
                ours,
                min((wang, evp), key=lambda row: mean(row, "s_off")),
                "s_off",
                "S_off",
            ),
            natural_blinks(ours),
        ]
    if name == "table4":
        full, plain, blind, blind_measured, measured = (
            "Full Model",
            "w/o Prob",
            "w/o TBM",
            *list(TABLES[name])[3:],
        )
        return [
            lower("without Prob ACD is better", plain, full, "acd", "ACD"),
            claim(
                "without Prob the eyes do not blink",
                mean(plain, "ebr") < 0.05,
                f"{mean(plain, 'ebr'):.2f} blinks a second",
            ),
            claim(
                "without Prob expressions freeze",
                mean(plain, "motion_upper") < 0.5 * mean(full, "motion_upper"),
                f"expression moves {mean(plain, 'motion_upper'):.2f} of what the truth does, "
                f"{mean(full, 'motion_upper'):.2f} in the full model",
            ),
            lower(
                "without Prob expressions move less",
                plain,
                full,
                "motion_upper",
                "expression, share of truth",
            ),
            lower(
                "without Prob the head moves less",
                plain,
                full,
                "motion_pose",
                "pose, share of truth",
            ),
            lower("the full model has better lips than w/o Prob", full, plain, "lmd", "LMD"),
            lower(
                "the same on the lips' AUs, which the pose does not touch",
                full,
                plain,
                "lip_one",
                "lip error",
            ),
            lower("the full model has better lips than w/o TBM", full, blind, "lmd", "LMD"),
            lower("the same on the lips' AUs", full, blind, "lip_one", "lip error"),
            lower(
                "the same where tracks are noisy", measured, blind_measured, "lip_one", "lip error"
            ),
            lower("without TBM head poses are abrupt", full, blind, "jitter_pose", "pose steps"),
            lower(
                "the same where tracks are noisy",
                measured,
                blind_measured,
                "jitter_pose",
                "pose steps",
            ),
            lower(
                "with TBM a clip may be longer than those of training",
                full,
                blind,
                "bits_last",
                "bits in frames 226-300, trained on 75",
            ),
            higher(
                "the full model has the best PSNR",
                full,
                max((plain, blind), key=lambda row: np.mean(results[row].get("psnr", 0))),
                "psnr",
                "PSNR",
            ),
            natural_blinks(full),
        ]
    lmd = {row: results[row].get("lmd", results[row]["lip_one"]) for row in results}
    lmd = {row: float(np.mean(values)) for row, values in lmd.items()}
    off = [abs(lmd[row] / lmd["D = 500"] - 1) for row in NEIGHBOURS]
    listed = ", ".join(f"{row} {value:.3f}" for row, value in lmd.items())
    return [
        lower("D = 10 has far worse lips than D = 500", "D = 500", "D = 10", "lmd", "LMD"),
        lower(
            "the same on the lips' AUs, which the pose does not touch",
            "D = 500",
            "D = 10",
            "lip_one",
            "lip error",
        ),
        lower("D = 100 has worse lips than D = 500", "D = 500", "D = 100", "lmd", "LMD"),
        claim(
            "from 250 to 750 there is a plateau",
            max(off) < PLATEAU,
            f"at most {100 * max(off):.1f} % from D = 500, {100 * PLATEAU:.0f} % count as even ({listed})",
        ),
        claim("the best LMD is at D = 500", min(lmd, key=lmd.get) == "D = 500", listed),
        claim(
            "a small D restricts the states of the lips",
            mean("D = 10", "floor") > 10 * mean("D = 500", "floor"),
            f"rounding to bins alone costs {mean('D = 10', 'floor'):.3f} AU at D = 10 and "
            f"{mean('D = 500', 'floor'):.4f} at D = 500",
        ),
    ]


# ---- writing -------------------------------------------------------------------------------------
def as_csv(name: str, trials: dict) -> str:
    """One line per row, seed and test clip."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    figures = list(
        dict.fromkeys(
            figure
            for row, (variant, method) in TABLES[name].items()
            for figure in next(iter(trials[variant][0]["clips"].values()))[method]
        )
    )
    rows.writerow(["table", "row", "seed", "clip", *figures])
    for row, (variant, method) in TABLES[name].items():
        for seed, trial in enumerate(trials[variant]):
            rows.writerows(
                [name, row, seed, clip, *(shown[method].get(figure, "") for figure in figures)]
                for clip, shown in trial["clips"].items()
            )
    return text.getvalue()


def report(found: dict) -> str:
    """The Markdown page of a table: what was measured here, beside the paper's numbers, and a
    verdict per claim."""
    name, options = found["table"], PRESETS[found["preset"]]
    drawn = (
        f"Tuned rows: a generator tuned to the person's other clips in {options['tuning']} steps."
        if name == "table2"
        else "All faces are drawn by one generator."
    )
    columns, digits = columns_of(found), {key: digits for key, (_, digits) in COLUMNS[name].items()}
    lines = [
        f"# {name.replace('table', 'Table ')}, preset {found['preset']}",
        "",
        f"`dirfa-edu reproduce {name} --preset {found['preset']} --seeds {found['seeds']}`, {found['date']}: "
        f"{options['steps']} training steps, {found['seeds']} seed(s), at most {options['clips']} test clips. "
        "Mean ± half of the 95 % interval over seeds. Faces, landmarks and SyncNet are not the paper's: compare "
        f"rows, never sizes. LMD: mean of 20 mouth points at 128 px. {drawn}",
        "",
    ]

    def table(heads: list, rows: list) -> list:
        return [
            "| " + " | ".join(map(str, row)) + " |" for row in (heads, ["---"] * len(heads), *rows)
        ] + [""]

    def cell(row: dict, key: str) -> str:
        if key not in row:
            return ""
        mean, half = row[key]
        return f"{mean:.{digits[key]}f}" + (f" ± {half:.{digits[key]}f}" if half > 0 else "")

    lines += table(
        ["here", *columns.values()],
        [[row, *(cell(values, key) for key in columns)] for row, values in found["here"].items()],
    )
    heads = list(next(iter(found["paper"].values())))
    lines += table(
        ["the paper", *heads],
        [
            [row, *("N/A" if values[head] is None else values[head] for head in heads)]
            for row, values in found["paper"].items()
        ],
    )
    lines += table(
        ["claim of the paper", "verdict", "what was measured"],
        [[c["claim"], c["verdict"], c["reason"]] for c in found["claims"]],
    )
    return "\n".join(lines)
