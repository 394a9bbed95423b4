"""The paper's figures from our own trials, and one that the paper claims but does not draw.

Figure 2 shows the masks, Figures 3 to 6 are film strips of methods, of one person, of the ablation
and of two draws. The claim is a plane: lip error against diversity of expression.

Paper: Figures 2 to 6. Notebook: 06_evaluation.
"""

import json
from pathlib import Path
from textwrap import fill
from typing import Iterable, Iterator

import numpy as np
import torch

from .. import plots
from ..animation import POSE
from ..files import InputError, atomic_path, make_folder
from ..mapper import MappingNetwork
from ..masks import causal_mask, temporally_biased_mask
from ..metrics import diversity, lip_errors
from ..sampling import generate
from ..talk import render_film
from ..training import load_pretrained
from .generator_card import played
from .tables import (
    DETERMINISTIC,
    FULL,
    LIPS_ALONE,
    OURS,
    POSE_GIVEN,
    TABLES,
    WITHOUT_PROB,
    WITHOUT_TBM,
)
from .trials import (
    SCALES,
    SUBJECT,
    Setup,
    drive_recording,
    recording,
    run_trial,
    sample_clips,
    true_animation,
)

WHAT = {
    "fig2": "Figure 2: the causal mask, and the temporally-biased one of two heads (T = 12).",
    "fig3": "Figure 3: how each paradigm moves one face, under the recording.",
    "fig4": "Figure 4: one person, by generators tuned to that person, and by ours, which is not.",
    "fig5": "Figure 5: five frames in a row, without Prob, without TBM, and the full model.",
    "fig6": "Figure 6: two draws for one sound, under the recording.",
    "claim": "What DIRFA claims: lips as exact, expressions more diverse. Good is right and low.",
}

# figure -> row -> (variant of the trial, which of its methods, which of its first two draws)
STRIPS = {
    "fig3": {
        row: (*TABLES["table1"][row], 0) for row in (LIPS_ALONE, DETERMINISTIC, POSE_GIVEN, OURS)
    },
    "fig5": {row: (*TABLES["table4"][row], 0) for row in (WITHOUT_PROB, WITHOUT_TBM, FULL)},
    "fig6": {"first draw": ("full", "ours", 0), "second draw": ("full", "ours", 1)},
}


def make_figure(
    name: str,
    preset: str = "laptop",
    out: str | Path = "results",
    clips: tuple[list, list] | None = None,
    progress: bool = True,
) -> str:
    """Make "fig2" to "fig6" or "claim": name.png in `out`, or name.jpg for strips of faces.

    Strips show the first test clip, and the networks of seed 0, which are trained where that was
    not done yet. Returns the Markdown that is written beside the picture.
    Raises InputError for another figure or preset. Notebook: 06_evaluation.
    """
    if name not in WHAT or preset not in SCALES:
        raise InputError(
            f"no figure {name!r} with preset {preset!r}: figures are {', '.join(WHAT)}, presets "
            f"{', '.join(SCALES)}"
        )
    out = make_folder(out)
    if name == "fig2":
        return write_figure(out, name, masks())

    train, test = clips or sample_clips(SCALES[preset].clips)
    if name == "claim":
        return write_figure(out, name, tradeoff(test, preset, out))

    setup = Setup(preset, train, test, out / "runs", load_pretrained("generator"), progress)
    fig = person_strips(setup) if name == "fig4" else strips(name, setup)
    return write_figure(out, name, fig)


def write_figure(out: Path, name: str, fig) -> str:
    """Write a figure and the Markdown that shows it; returns the Markdown."""
    if getattr(fig, "photo", False):
        ending, picture = "jpg", plots.jpeg(fig, dpi=110)
    else:
        ending, picture = "png", plots.png(fig, dpi=110)
    with atomic_path(out / f"{name}.{ending}") as temporary:
        temporary.write_bytes(picture)

    text = f"# {WHAT[name]}\n\n![{WHAT[name]}]({name}.{ending})\n"
    with atomic_path(out / f"{name}.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    return text


# ---- Figures 2 to 6 ------------------------------------------------------------------------------


def masks():
    """Figure 2: the original mask beside ours."""
    steep, _, flat, *_ = temporally_biased_mask(12, heads=8, tau=12)
    fig = plots.attention_mask(torch.stack([causal_mask(12), steep, flat]))  # (3, T, T)
    titles = ("causal", "temporally biased, head 1 of 8", "head 3 of 8")
    for ax, title in zip(fig.axes, titles):
        ax.set_title(title, fontsize=9)
    return fig


def strips(name: str, setup: Setup):
    """Figures 3, 5 and 6: film strips, drawn by the shipped generator from the recording."""
    first = setup.test[0]
    frames, Z = played([first], setup.generator.config.size)[0]
    rows = {"recording": frames.permute(0, 2, 3, 1).numpy()}  # (T, S, S, 3)
    for row, (variant, method, i) in STRIPS[name].items():
        trial = run_trial(variant, 0, setup)
        with np.load(setup.folder / trial["animations"]) as animations:
            Y = animations[method][i].astype(np.float32)
        rows[row] = render_film(setup.generator, rows["recording"][0], Y, Z[0])

    T = min(map(len, rows.values()))
    if name == "fig5":
        chosen = quickest_frames(true_animation(first)[:T])
    else:
        chosen = np.linspace(T // 10, T - 1, 8).astype(int)
    return strip_figure({row: film[chosen] for row, film in rows.items()}, chosen)


def quickest_frames(Y: np.ndarray, n: int = 5) -> np.ndarray:
    """The n frames in a row in which the head of an animation (T, 23) turns quickest."""
    turns = np.abs(np.diff(Y[:, POSE[:3]], axis=0)).sum(1)  # (T - 1,), radians a frame
    start = int(np.convolve(turns, np.ones(n - 1), "valid").argmax())
    return np.arange(start, start + n)


def person_strips(setup: Setup):
    """Figure 4: film strips of Table 2's person."""
    generator = setup.generator
    trial = run_trial(SUBJECT, 0, setup)
    shown = next(clip for clip in setup.test if clip.name in trial["clips"])
    A = shown.features()[: len(true_animation(shown))]
    shipped = generate(load_pretrained("mapper"), A, samples=1)[0]

    with np.load(setup.folder / trial["animations"]) as films:
        moments = films["moments"]
        rows = {"recording": recording(shown, generator.config.size).frames[moments]}
        for row, (_, method) in TABLES["table2"].items():
            if method in films:
                rows[row] = films[method]
    rows["ours, shipped weights"] = drive_recording(shown, shipped, generator)[moments]
    return strip_figure(rows, moments)


def strip_figure(rows: dict[str, np.ndarray], moments: np.ndarray):
    """Film strips (n, S, S, 3) under each other, and the numbers of their frames above."""
    return plots.film_strip_figure(
        list(rows.values()),
        [fill(row, 14) for row in rows],
        [f"frame {t}" for t in moments],
    )


# ---- the claim: lip error against diversity of expression ----------------------------------------

# of the lines that the shipped mapper's settings draw
HEATS = (0.25, 0.5, 0.75, 1.0, 1.25)
KS = (1, 3, 10, 50, 250)


def tradeoff(test: list, preset: str, out: Path):
    """The plane of the claim; its numbers are written to claim.json.

    Lines are the shipped mapper at several temperatures and k, points the finished trials of the
    tables with their spread over seeds.
    """
    mapper = load_pretrained("mapper")
    lines = tradeoff_lines(mapper, test)
    points = tradeoff_points(mapper, test) | points_of_tables(out)
    found = {"preset": preset, "lines": lines, "points": points}
    with atomic_path(out / "claim.json") as temporary:
        temporary.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return plane(lines, points)


def place(animations: Iterable[np.ndarray], test: list) -> tuple[float, float]:
    """Diversity of the upper face and lip error of one sample, means over test clips."""
    found = [
        (diversity(Y)["upper"], lip_errors(Y, true_animation(clip))["one"])
        for Y, clip in zip(animations, test)
    ]
    across, error = np.mean(found, axis=0).tolist()
    return across, error


def drawn(mapper: MappingNetwork, test: list, **settings) -> Iterator[np.ndarray]:
    """Yield four samples (4, T, 23) of a mapper for each test clip.

    Each clip has noise of its own, the same for all settings.
    """
    for i, clip in enumerate(test):
        A = clip.features()[: len(true_animation(clip))]
        yield generate(mapper, A, samples=4, seed=i, engine="fast", **settings)


def tradeoff_lines(mapper: MappingNetwork, test: list) -> dict[str, dict]:
    """Three ways to make a mapper more or less diverse: {line: {setting: (x, y)}}."""
    D = mapper.config.bins
    rest = ("upper", "blink", "pose")  # all but the lips

    def at(**settings) -> tuple[float, float]:
        return place(drawn(mapper, test, **settings), test)

    one_for_all = {heat: at(top_k=D, temperature=heat) for heat in HEATS}
    rest_heated = {
        heat: at(top_k=dict.fromkeys(rest, D), temperature=dict.fromkeys(rest, heat))
        for heat in HEATS
    }
    rest_cut = {k: at(top_k=dict.fromkeys(rest, k)) for k in KS}
    return {
        "one temperature for all": one_for_all,
        "lips tight, the rest at this temperature": rest_heated,
        "lips tight, the rest with this k": rest_cut,
    }


def tradeoff_points(mapper: MappingNetwork, test: list) -> dict[str, list]:
    """The shipped mapper as it is, and the truth with the law's further draws."""
    further = [
        np.asarray(clip.truth()["draws"], np.float32)[:, : len(true_animation(clip))]
        for clip in test
    ]
    return {
        "ours, shipped weights": [place(drawn(mapper, test), test)],
        "truth, its further draws": [place(further, test)],
    }


def points_of_tables(out: Path) -> dict[str, list]:
    """Rows of the finished Tables 1 and 4: {row: [(x, y), half-widths over seeds]}."""
    elsewhere = ("ours", "truth", "ours, shipped weights")  # the full model, and `tradeoff_points`
    points = {}
    for table in ("table1", "table4"):
        stored = out / f"{table}.json"
        if not stored.is_file():
            continue
        for row, figures in json.loads(stored.read_text(encoding="utf-8"))["here"].items():
            if "lip_one" not in figures or "measured" in row or row in elsewhere:
                continue
            across, across_half = figures.get("diversity_upper", [0.0, 0.0])  # one face has none
            error, error_half = figures["lip_one"]
            points[row] = [(across, error), (across_half, error_half)]
    return points


def plane(lines: dict[str, dict], points: dict[str, list]):
    """Draw lines {name: {setting: (x, y)}} and points {name: [(x, y), half-widths over seeds]}."""
    fig, ax = plots.new(width=8.5, height=4.6)
    for i, (line, settings) in enumerate(lines.items()):
        _setting_line(ax, i, line, settings)
    for i, at_and_half in enumerate(points.values()):
        _point(ax, i, *at_and_half)
    for words, at in _shared_labels(points):
        ax.annotate(words, at, xytext=(9, 0), textcoords="offset points", fontsize=8, va="center")
    ax.set(
        xlabel="diversity of expression, upper face (AU units)",
        ylabel="lip error of one sample (AU units)",
    )
    ax.set_ylim(0)
    ax.set_xlim(-0.02, 1.35 * ax.get_xlim()[1])
    ax.legend(fontsize=8)
    return fig


def _setting_line(ax, i: int, line: str, settings: dict) -> None:
    """One line of the plane, each of its points under the setting that made it."""
    colour = plots.SAMPLES[i]
    x, y = np.array(list(settings.values())).T
    ax.plot(x, y, marker="o", ms=4, linestyle=plots.DASHES[i], color=colour, label=line)
    below = i % 3 == 1  # the labels of neighbouring lines keep apart
    for setting, at in settings.items():
        ax.annotate(
            setting,
            at,
            xytext=(-4, -11 if below else 6),
            textcoords="offset points",
            fontsize=7,
            color=colour,
        )


def _point(ax, i: int, at: tuple, half: tuple | None = None) -> None:
    """One point of the plane, with its half-widths over seeds where they are known."""
    x, y = at
    xerr, yerr = (None, None) if half is None else np.nan_to_num(half)
    ax.errorbar(
        x,
        y,
        xerr=xerr,
        yerr=yerr,
        fmt="D*sovP^X"[i % 8],
        ms=7,
        color=plots.COLOURS["Y"],
        mfc="white",
        elinewidth=1,
    )


def _shared_labels(points: dict[str, list]) -> list[tuple[str, tuple]]:
    """Names of points and their places; what lies on one spot shares its label."""
    labels: list[tuple[str, tuple]] = []
    for row, (at, *_) in points.items():
        for i, (words, place) in enumerate(labels):
            if np.abs(np.subtract(place, at)).max() < 0.02:
                labels[i] = (f"{words}\n{row}", place)
                break
        else:
            labels.append((row, at))
    return labels
