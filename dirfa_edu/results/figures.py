"""The paper's figures from our own trials: the masks, film strips of methods, ablations and further
draws, and what the paper claims but does not draw: lip error against diversity of expression.

Paper: Figures 2 to 6. Notebook: 06_evaluation.
"""

import json
from pathlib import Path
from textwrap import fill

import numpy as np
import torch

from .. import plots
from ..files import InputError, atomic_path, make_folder
from ..masks import causal_mask, temporally_biased_mask
from ..metrics import diversity, lip_errors
from ..sampling import generate
from ..talk import render_film
from ..training import load_pretrained
from .generator_card import played
from .reproduce import TABLES, samples
from .trials import PRESETS, SUBJECT, film, recording, run, true_animation

# figure -> row -> (trial, method, which of its first two draws)
STRIPS = {
    "fig3": {row: (*TABLES["table1"][row], 0) for row in list(TABLES["table1"])[1:5]},
    "fig5": {row: (*TABLES["table4"][row], 0) for row in list(TABLES["table4"])[:3]},
    "fig6": {"first draw": ("full", "ours", 0), "second draw": ("full", "ours", 1)},
}
WHAT = {
    "fig2": "Figure 2: the causal mask, and the temporally-biased one of two heads (T = 12).",
    "fig3": "Figure 3: how each paradigm moves one face, under the recording.",
    "fig4": "Figure 4: one person, by generators tuned to that person, and by ours, which is not.",
    "fig5": "Figure 5: five frames in a row, without Prob, without TBM, and the full model.",
    "fig6": "Figure 6: two draws for one sound, under the recording.",
    "claim": "What DIRFA claims: lips as exact, expressions more diverse. Good is right and low.",
}
HEATS, KS = (0.25, 0.5, 0.75, 1.0, 1.25), (1, 3, 10, 50, 250)  # of the two lines of "claim"


def draw(
    name: str,
    preset: str = "laptop",
    out: str | Path = "results",
    clips: tuple[list, list] | None = None,
    progress: bool = True,
) -> str:
    """Draw "fig2" to "fig6" or "claim" into `out` as name.png, strips of faces as name.jpg; returns
    the Markdown that is written beside it.

    Strips show the first test clip, and the networks of seed 0, which are trained where that was
    not done yet.
    Raises InputError for another figure or preset. Notebook: 06_evaluation.
    """
    if name not in WHAT or preset not in PRESETS:
        raise InputError(
            f"no figure {name!r} with preset {preset!r}: figures are {', '.join(WHAT)}, presets "
            f"{', '.join(PRESETS)}"
        )
    out = make_folder(out)
    if name == "fig2":
        fig = masks()
    else:
        drawn = {"fig4": subjects, "claim": claim}.get(name, strips)
        fig = drawn(name, preset, out, clips or samples(PRESETS[preset]["clips"]), progress)
    kind, encode = ("jpg", plots.jpeg) if getattr(fig, "photo", False) else ("png", plots.png)
    with atomic_path(out / f"{name}.{kind}") as temporary:
        temporary.write_bytes(encode(fig, dpi=110))
    text = f"# {WHAT[name]}\n\n![{WHAT[name]}]({name}.{kind})\n"
    with atomic_path(out / f"{name}.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    return text


def masks():
    """Figure 2: the original mask beside ours."""
    steep, _, flat, *_ = temporally_biased_mask(12, heads=8, tau=12)
    fig = plots.attention_mask(torch.stack([causal_mask(12), steep, flat]))
    for ax, title in zip(fig.axes, ("causal", "temporally biased, head 1 of 8", "head 3 of 8")):
        ax.set_title(title, fontsize=9)
    return fig


def strips(name: str, preset: str, out: Path, clips: tuple[list, list], progress: bool):
    """Film strips of the rows of a figure, drawn by the shipped generator from the recording's
    first frame."""
    generator, (train, test) = load_pretrained("generator"), clips
    first, truth = test[0], true_animation(test[0])
    frames, Z = played([first], generator.config.size)[0]
    rows = {"recording": frames.permute(0, 2, 3, 1).numpy()}
    for row, (variant, method, i) in STRIPS[name].items():
        trial = run(variant, 0, preset, train, test, out / "runs", generator, progress)
        with np.load(out / "runs" / trial["animations"]) as kept:
            Y = kept[method][i].astype(np.float32)
        rows[row] = render_film(generator, rows["recording"][0], Y, Z[0])
    T = min(map(len, rows.values()))
    if name == "fig5":  # five frames in a row, where the recording's head is quickest
        speed = np.abs(np.diff(truth[:T, 17:20], axis=0)).sum(1)
        start = int(np.convolve(speed, np.ones(4), "valid").argmax())
        chosen = range(start, start + 5)
    else:
        chosen = np.linspace(T // 10, T - 1, 8).astype(int)
    return plots.film_strip_figure(
        [stack[list(chosen)] for stack in rows.values()],
        [fill(row, 14) for row in rows],
        [f"frame {t}" for t in chosen],
    )


def subjects(name: str, preset: str, out: Path, clips: tuple[list, list], progress: bool):
    """Figure 4: film strips of Table 2's person."""
    generator, (train, test) = load_pretrained("generator"), clips
    trial = run(SUBJECT, 0, preset, train, test, out / "runs", generator, progress)
    shown = next(clip for clip in test if clip.name in trial["clips"])
    with np.load(out / "runs" / trial["animations"]) as kept:
        t = kept["moments"]
        rows = {
            row: kept[method] for row, (_, method) in TABLES["table2"].items() if method in kept
        }
    Y = generate(
        load_pretrained("mapper"), shown.features()[: len(true_animation(shown))], samples=1
    )[0]
    rows = {
        "recording": recording(shown, generator.config.size).frames[t],
        **rows,
        "ours, shipped weights": film(shown, Y, generator)[t],
    }
    return plots.film_strip_figure(
        list(rows.values()), [fill(row, 14) for row in rows], [f"frame {i}" for i in t]
    )


def claim(name: str, preset: str, out: Path, clips: tuple[list, list], progress: bool):
    """Lip error against diversity: the shipped mapper at several temperatures and k, and the
    finished trials of the tables as points, with their spread over seeds. Numbers are written to
    claim.json."""
    mapper, (_, test) = load_pretrained("mapper"), clips
    rest = ("upper", "blink", "pose")

    def place(samples_of) -> tuple[float, float]:
        """Diversity of the upper face and lip error of one sample, means over test clips."""
        found = [
            (diversity(Y)["upper"], lip_errors(Y, true_animation(clip))["one"])
            for Y, clip in zip(samples_of, test)
        ]
        return tuple(np.mean(found, axis=0).tolist())

    def drawn(**settings):
        # each clip with noise of its own, the same for all settings
        for i, clip in enumerate(test):
            yield generate(
                mapper, clip.features()[: len(true_animation(clip))], samples=4, seed=i, **settings
            )

    D = mapper.config.bins
    lines = {
        "one temperature for all": {
            heat: place(drawn(top_k=D, temperature=heat)) for heat in HEATS
        },
        "lips tight, the rest at this temperature": {
            heat: place(drawn(top_k=dict.fromkeys(rest, D), temperature=dict.fromkeys(rest, heat)))
            for heat in HEATS
        },
        "lips tight, the rest with this k": {
            k: place(drawn(top_k=dict.fromkeys(rest, k))) for k in KS
        },
    }
    points = {
        "ours, shipped weights": [place(drawn())],
        "truth, its further draws": [
            place(
                [
                    np.asarray(clip.truth()["draws"], np.float32)[:, : len(true_animation(clip))]
                    for clip in test
                ]
            )
        ],
    }
    for table in ("table1", "table4"):
        stored = out / f"{table}.json"
        for row, values in (
            json.loads(stored.read_text())["here"].items() if stored.is_file() else ()
        ):
            if (
                "lip_one" in values
                and "measured" not in row
                and row not in ("ours", "truth", *points)
            ):
                across = values.get("diversity_upper", [0.0, 0.0])  # a single face has none
                points[row] = [(across[0], values["lip_one"][0]), (across[1], values["lip_one"][1])]
    with atomic_path(out / "claim.json") as temporary:
        temporary.write_text(
            json.dumps({"preset": preset, "lines": lines, "points": points}, indent=1)
        )
    return plane(lines, points)


def plane(lines: dict[str, dict], points: dict[str, list]):
    """The plane of the claim: lines {name: {setting: (x, y)}}, points {name: [(x, y), half-widths
    over seeds]}."""
    fig, ax = plots.new(width=8.5, height=4.6)
    for i, (line, settings) in enumerate(lines.items()):
        ax.plot(
            *np.array(list(settings.values())).T,
            marker="o",
            ms=4,
            linestyle=plots.DASHES[i],
            color=plots.SAMPLES[i],
            label=line,
        )
        for setting, at in settings.items():
            ax.annotate(
                setting,
                at,
                xytext=(-4, (6, -11, 6)[i % 3]),
                textcoords="offset points",
                fontsize=7,
                color=plots.SAMPLES[i],
            )
    labels = []  # [place, words]: what lies on one spot shares its label
    for i, (row, (at, *spread)) in enumerate(points.items()):
        half = dict(zip(("xerr", "yerr"), np.nan_to_num(spread[0]))) if spread else {}
        ax.errorbar(
            *at,
            **half,
            fmt="D*sovP^X"[i % 8],
            ms=7,
            color=plots.COLOURS["Y"],
            mfc="white",
            elinewidth=1,
        )
        for label in labels:
            if np.abs(np.subtract(label[0], at)).max() < 0.02:
                label[1] += "\n" + row
                break
        else:
            labels.append([at, row])
    for at, words in labels:
        ax.annotate(words, at, xytext=(9, 0), textcoords="offset points", fontsize=8, va="center")
    ax.set(
        xlabel="diversity of expression, upper face (AU units)",
        ylabel="lip error of one sample (AU units)",
    )
    ax.set_ylim(0)
    ax.set_xlim(-0.02, 1.35 * ax.get_xlim()[1])
    ax.legend(fontsize=8)
    return fig
