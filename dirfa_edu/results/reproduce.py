"""The paper's tables at the scale of a laptop: run the trials, judge the claims, write the files.

The actors are ours, the networks small, the training minutes instead of days, the SyncNet and the
landmarks others. Seeds are trainings, and intervals are over them.

Paper: Tables 1, 2, 4 and 5. Notebook: 06_evaluation.
"""

import csv
import io
import json
from datetime import date
from pathlib import Path

from .. import plots
from ..files import InputError, atomic_path, make_folder
from ..training import load_pretrained
from .claims import verdicts
from .tables import COLUMNS, PAPER, TABLES, columns_of, interval, rows_of
from .trials import SCALES, UNTRAINED, Setup, run_trial, sample_clips


def reproduce(
    name: str,
    preset: str = "laptop",
    seeds: int = 1,
    out: str | Path = "results",
    clips: tuple[list, list] | None = None,
    films: bool = True,
    progress: bool = True,
) -> str:
    """Make "table1", "table2", "table4" or "table5": name.md, .csv, .json and .png in `out`.

    `preset` names a scale; `seeds` trainings of each variant; `clips` are (training, test) lists of
    Clip, the sample corpus if not given; without `films` nothing is drawn, and only animations are
    measured. Returns the Markdown.
    Raises InputError for another name or preset. Paper: Tables 1, 2, 4 and 5. Notebook:
    06_evaluation.
    """
    if name not in TABLES:
        raise InputError(
            f"no table called {name!r}: choose one of {', '.join(TABLES)}; figures are fig2 to "
            "fig6, and claim"
        )
    if preset not in SCALES:
        raise InputError(f"no preset called {preset!r}: choose one of {', '.join(SCALES)}")
    if seeds < 1:
        raise InputError(f"give at least one seed, not {seeds}")
    if name == "table2" and not films:
        raise InputError("Table 2 compares generators: it cannot do without films")

    out = make_folder(out)
    train, test = clips or sample_clips(SCALES[preset].clips)
    generator = load_pretrained("generator") if films else None
    setup = Setup(preset, train, test, out / "runs", generator, progress)

    trials = run_trials(name, seeds, setup)
    found = judged_table(name, trials, preset, seeds)
    return write_table(out, found, as_csv(name, trials))


def run_trials(name: str, seeds: int, setup: Setup) -> dict[str, list[dict]]:
    """All trials that a table is made of, one a seed, by variant."""
    variants = dict.fromkeys(variant for variant, _ in TABLES[name].values())
    return {
        variant: [run_trial(variant, seed, setup) for seed in range(seeds_of(variant, seeds))]
        for variant in variants
    }


def seeds_of(variant: str, seeds: int) -> int:
    """How many trials of a variant a table has: what needs no training is tried once."""
    return 1 if variant == UNTRAINED else seeds


def judged_table(name: str, trials: dict[str, list[dict]], preset: str, seeds: int) -> dict:
    """A table as it is stored: what was measured here, the paper's numbers, a verdict per claim."""
    rows = rows_of(name, trials)
    return {
        "table": name,
        "preset": preset,
        "seeds": seeds,
        "date": str(date.today()),
        "paper": PAPER[name],
        "here": {
            row: {figure: interval(values) for figure, values in figures.items()}
            for row, figures in rows.items()
        },
        "claims": verdicts(name, rows),
    }


# ---- writing -------------------------------------------------------------------------------------


def write_table(out: Path, found: dict, numbers: str) -> str:
    """Write a judged table as JSON, CSV, Markdown and picture; returns the Markdown."""
    text = report(found)
    written = {".json": json.dumps(found, indent=1), ".csv": numbers, ".md": text}
    for ending, content in written.items():
        with atomic_path(out / (found["table"] + ending)) as temporary:
            temporary.write_text(content, encoding="utf-8")

    picture = plots.png(plots.intervals(found["here"], columns_of(found)), dpi=110)
    with atomic_path(out / f"{found['table']}.png") as temporary:
        temporary.write_bytes(picture)
    return text


def as_csv(name: str, trials: dict[str, list[dict]]) -> str:
    """All trials of a table, one line per row, seed and test clip."""
    figures: dict[str, None] = {}  # a set that keeps its order
    for variant, method in TABLES[name].values():
        first_clip = next(iter(trials[variant][0]["clips"].values()))
        figures |= dict.fromkeys(first_clip[method])

    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["table", "row", "seed", "clip", *figures])
    for row, (variant, method) in TABLES[name].items():
        for seed, trial in enumerate(trials[variant]):
            for clip, shown in trial["clips"].items():
                numbers = [shown[method].get(figure, "") for figure in figures]
                lines.writerow([name, row, seed, clip, *numbers])
    return text.getvalue()


def report(found: dict) -> str:
    """The Markdown page of a judged table."""
    columns = columns_of(found)
    here = [
        [row, *(cell(figures, key, found["table"]) for key in columns)]
        for row, figures in found["here"].items()
    ]
    headings = list(next(iter(found["paper"].values())))
    paper = [
        [row, *("N/A" if numbers[heading] is None else numbers[heading] for heading in headings)]
        for row, numbers in found["paper"].items()
    ]
    claims = [[each["claim"], each["verdict"], each["reason"]] for each in found["claims"]]

    lines = [f"# {found['table'].replace('table', 'Table ')}, preset {found['preset']}", ""]
    lines += [how_it_was_made(found), ""]
    lines += markdown_table(["here", *columns.values()], here)
    lines += markdown_table(["the paper", *headings], paper)
    lines += markdown_table(["claim of the paper", "verdict", "what was measured"], claims)
    return "\n".join(lines)


def how_it_was_made(found: dict) -> str:
    """The command, its scale, and how to read the numbers, in one line."""
    name, preset, seeds = found["table"], found["preset"], found["seeds"]
    scale = SCALES[preset]
    if name == "table2":
        drawn = (
            f"Tuned rows: a generator tuned to the person's other clips in {scale.tuning} steps."
        )
    else:
        drawn = "All faces are drawn by one generator."
    return (
        f"`dirfa-edu reproduce {name} --preset {preset} --seeds {seeds}`, {found['date']}: "
        f"{scale.steps} training steps, {seeds} seed(s), at most {scale.clips} test clips. "
        "Mean ± half of the 95 % interval over seeds. Faces, landmarks and SyncNet are not the "
        "paper's: compare rows, never sizes. LMD: mean of 20 mouth points at 128 px. "
        f"{drawn}"
    )


def cell(figures: dict, key: str, table: str) -> str:
    """A figure's mean and half-interval as text; empty where a row lacks it."""
    if key not in figures:
        return ""
    mean, half = figures[key]
    _, digits = COLUMNS[table][key]
    return f"{mean:.{digits}f}" + (f" ± {half:.{digits}f}" if half > 0 else "")


def markdown_table(heads: list, rows: list[list]) -> list[str]:
    """A table as lines of Markdown, and an empty one after it."""
    lines = [heads, ["---"] * len(heads), *rows]
    return ["| " + " | ".join(map(str, line)) + " |" for line in lines] + [""]
