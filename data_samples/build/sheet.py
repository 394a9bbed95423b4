"""Write the measured tables of the data sheet, data_samples/README.md, between their marks.

python data_samples/build/sheet.py
"""

import json

import numpy as np

from dirfa_edu.animation import ATTRIBUTES, FPS
from dirfa_edu.data.corpus import Corpus
from dirfa_edu.files import atomic_path, data_path

# mean, std and 99 % point of each AU over five talking-head recordings analysed by OpenFace (19,100
# frames)
REAL = np.array(
    [
        (0.11, 0.22, 1.11),
        (0.05, 0.12, 0.57),
        (0.12, 0.15, 0.65),
        (0.03, 0.08, 0.35),
        (0.01, 0.08, 0.32),
        (1.25, 0.76, 2.76),
        (0.04, 0.09, 0.42),
        (0.03, 0.12, 0.57),
        (0.14, 0.23, 1.20),
        (0.03, 0.14, 0.77),
        (0.11, 0.18, 0.80),
        (0.32, 0.27, 1.14),
        (0.12, 0.24, 1.12),
        (0.11, 0.23, 1.09),
        (0.56, 0.53, 2.02),
        (0.43, 0.52, 2.30),
        (0.16, 0.42, 2.30),
    ]
)
PARTS = ["train speech", "test speech", "test real", "train probe", "test probe"]


def counts() -> str:
    """The data sheet's table of contents, in Markdown, from the manifest."""
    rows = ["| | clips | minutes | filmed | voices | actors |", "|---|---|---|---|---|---|"]
    for split, kind in (part.split() for part in PARTS):
        clips = Corpus().select(split=split, kind=kind)
        voices_of = ", ".join(
            f"{voice} {sum(c.voice == voice for c in clips)}"
            for voice in sorted({c.voice for c in clips} - {""})
        )
        minutes = [
            sum(c.seconds for c in some) / 60 for some in (clips, [c for c in clips if c.video])
        ]
        rows.append(
            f"| {split}, {kind} | {len(clips)} | {minutes[0]:.1f} | {minutes[1]:.1f} | {voices_of} "
            f"| {len({c.actor for c in clips})} |"
        )
    spoken = [c for c in Corpus().clips if c.kind == "speech"]
    rows += [
        "",
        f"{len({c.text for c in spoken})} different sentences in "
        f"{len({c.voice for c in spoken})} synthetic "
        f"voices, {sum(c.seconds for c in spoken) / 60:.1f} minutes; "
        f"{round(sum(c.seconds * FPS for c in Corpus().clips if c.video)):,} filmed frames.",
    ]
    return "\n".join(rows)


def stats() -> str:
    """The data sheet's table of what the measured tracks look like beside real OpenFace output, in
    Markdown."""
    tracks = [c.animation() for c in Corpus().clips if c.kind != "probe"]
    Y = np.concatenate(tracks)
    rows = [
        "| AU | mean | std | 99 % | zeros | real mean | real std | real 99 % |",
        "|---" * 8 + "|",
    ]
    for j, name in enumerate(ATTRIBUTES[:17]):
        y = Y[:, j]
        rows.append(
            f"| {name} | {y.mean():.2f} | {y.std():.2f} | {np.quantile(y, 0.99):.2f} | "
            f"{(y == 0).mean():.0%} | " + " | ".join(f"{value:.2f}" for value in REAL[j]) + " |"
        )
    fall = [
        f"{name} {memory([y[:, ATTRIBUTES.index(name)] for y in tracks]):.2f} s"
        for name in ("AU25", "AU26")
    ]
    within = np.concatenate([t[:, 17:] - np.median(t[:, 17:], 0) for t in tracks]).std(0)
    step = np.median([np.abs(np.diff(t[:, 17:20], axis=0)).mean(0) for t in tracks], 0)
    blinks = sum(((t[1:, 16] > 1) & (t[:-1, 16] <= 1)).sum() for t in tracks)
    rows += [
        "",
        "Real AUs are exactly zero in 20 % (AU25) to 96 % (AU06) of frames. The autocorrelation "
        "falls to 1/e "
        f"after {', '.join(fall)} (real .16-.24 s). Blinks: {blinks / (len(Y) / FPS):.2f} a second "
        f"(people .28-.45). Pose within clips: std of pitch, yaw, roll {within[0]:.3f} "
        f"{within[1]:.3f} "
        f"{within[2]:.3f} rad, "
        f"median step a frame {step[0]:.4f} {step[1]:.4f} {step[2]:.4f} rad (real .002-.006).",
    ]
    return "\n".join(rows)


def memory(tracks: list) -> float:
    """Seconds until the autocorrelation of clips (T,), pooled, falls to 1/e."""
    centred = [y - y.mean() for y in tracks if len(y) > 2 * FPS]
    r = np.array(
        [
            sum((y[lag:] * y[: len(y) - lag]).sum() for y in centred)
            / sum(len(y) - lag for y in centred)
            for lag in range(FPS)
        ]
    )
    r = r / r[0]
    after = int(np.argmax(r < 1 / np.e))
    return (after - 1 + (r[after - 1] - 1 / np.e) / (r[after - 1] - r[after])) / FPS


def proof() -> str:
    """What `proof.py all --json data_samples/results/proof.json` found, in Markdown: every figure
    that has a wish."""
    rows = ["| figure | value | 95 % interval | wanted | holds |", "|---" * 5 + "|"]
    for name, got in json.loads(
        data_path("results", "proof.json").read_text(encoding="utf-8")
    ).items():
        if got["holds"] is not None:
            interval = "" if got["low"] is None else f"{got['low']:.3g} to {got['high']:.3g}"
            verdict = "yes" if got["holds"] else "**no**"
            rows.append(
                f"| {name} | {got['value']:.4g} | {interval} | {got['wanted']} | {verdict} |"
            )
    return "\n".join(rows)


def write_sheet() -> None:
    """Put the measured tables between their marks in data_samples/README.md."""
    path = data_path("README.md")
    text = path.read_text(encoding="utf-8")
    for name, table in (("counts", counts()), ("statistics", stats()), ("proof", proof())):
        before, _, rest = text.partition(f"<!-- {name} -->\n")
        _, _, after = rest.partition(f"<!-- end of {name} -->")
        text = f"{before}<!-- {name} -->\n{table}\n<!-- end of {name} -->{after}"
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_sheet()
