"""The paper's figures from our own trials: the masks, and film strips of methods, ablations and further draws.

Figure 4 of the paper shows its own Table 2; ours has no strip. Paper: Figures 2, 3, 5, 6. Notebook: 06_evaluation.
"""

from pathlib import Path
from textwrap import fill

import numpy as np
import torch

from . import plots
from .evaluate_generator import moved, played
from .files import InputError, atomic_path, make_folder
from .masks import causal_mask, temporally_biased_mask
from .reproduce import TABLES, samples
from .training import load_pretrained
from .trials import PRESETS, run, true_animation

# figure -> row -> (trial, method, which of its first two draws)
STRIPS = {
    "fig3": {row: (*TABLES["table1"][row], 0) for row in list(TABLES["table1"])[1:5]},
    "fig5": {row: (*TABLES["table4"][row], 0) for row in list(TABLES["table4"])[:3]},
    "fig6": {"first draw": ("full", "ours", 0), "second draw": ("full", "ours", 1)},
}
WHAT = {"fig2": "Figure 2: the causal mask, and the temporally-biased one of two heads (T = 12).",
        "fig3": "Figure 3: how each paradigm moves one face, under the recording.",
        "fig5": "Figure 5: five frames in a row, without Prob, without TBM, and the full model.",
        "fig6": "Figure 6: two draws for one sound, under the recording."}


def draw(name: str, preset: str = "laptop", out: str | Path = "results", clips: tuple[list, list] | None = None,
         progress: bool = True) -> str:
    """Draw "fig2", "fig3", "fig5" or "fig6" into `out` as name.png, with a line of Markdown beside it, also returned.

    Strips show the first test clip, and the networks of seed 0, which are trained where that was not done yet.
    Raises InputError for another figure or preset. Notebook: 06_evaluation.
    """
    if name not in WHAT or preset not in PRESETS:
        raise InputError(f"no figure {name!r} with preset {preset!r}: figures are {', '.join(WHAT)}, presets "
                         f"{', '.join(PRESETS)}")
    out = make_folder(out)
    fig = masks() if name == "fig2" else strips(name, preset, out, clips or samples(PRESETS[preset]["clips"]), progress)
    with atomic_path(out / f"{name}.png") as temporary:
        fig.savefig(temporary, format="png", dpi=110, bbox_inches="tight")
    text = f"# {WHAT[name]}\n\n![{WHAT[name]}]({name}.png)\n"
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
    """Film strips of the rows of a figure, drawn by the shipped generator from the recording's first frame."""
    generator, (train, test) = load_pretrained("generator"), clips
    first, truth = test[0], true_animation(test[0])
    frames, Z = played([first], generator.config.size)[0]
    rows = {"recording": frames.permute(0, 2, 3, 1).numpy()}
    for row, (variant, method, i) in STRIPS[name].items():
        trial = run(variant, 0, preset, train, test, out / "runs", generator, progress)
        with np.load(out / "runs" / trial["animations"]) as kept:
            Y = torch.from_numpy(kept[method][i].astype(np.float32))
        rows[row] = moved(generator, frames[0], Z[0], Y)
    T = min(map(len, rows.values()))
    if name == "fig5":  # five frames in a row, where the recording's head is quickest
        speed = np.abs(np.diff(truth[:T, 17:20], axis=0)).sum(1)
        start = int(np.convolve(speed, np.ones(4), "valid").argmax())
        chosen = range(start, start + 5)
    else:
        chosen = np.linspace(T // 10, T - 1, 8).astype(int)
    return plots.film_strip_figure([stack[list(chosen)] for stack in rows.values()], [fill(row, 14) for row in rows],
                                   [f"frame {t}" for t in chosen])

