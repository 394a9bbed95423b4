"""Figures of the course: one colour per symbol, one way to show a figure, alt text always.

Every function returns a matplotlib Figure that pyplot does not know of, so nothing is drawn twice
and nothing leaks. Colours are Okabe and Ito's colour-blind-safe set; lines differ in dash as well
as in colour. At the end of the room figures become bytes, and `show` and `play` bring them into a
notebook.

Notebook: 00_tour (palette), and all others.
"""

import html
import io
import os
from pathlib import Path
from typing import Sequence

import numpy as np

from .animation import ATTRIBUTES, FPS, column

# ---- the palette ---------------------------------------------------------------------------------

# one colour per symbol of the notation table, the same in prose, plots and widgets
COLOURS = {
    "A": "#0072B2",  # audio features: blue
    "Y": "#000000",  # the true animation: black
    "y_bar": "#009E73",  # true bins: green
    "y_tilde": "#CC79A7",  # generated bins: pink
    "y_hat": "#D55E00",  # decoded values: vermilion
    "k": "#E69F00",  # what top-k keeps: orange
    "M": "#56B4E9",  # the mask: sky blue
    "I_src": "#B5B5B5",  # the source image: grey
    "I_tgt": "#F0E442",  # the target image: yellow
    "Z": "#332288",  # driving attributes: indigo
}
SAMPLES = ["#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]  # sample 0, 1, 2 ...
DASHES = ["-", "--", ":", "-.", (0, (5, 1)), (0, (1, 1))]  # as many as SAMPLES
NAMES = tuple(f"sample {i}" for i in range(6))

# dots an inch of a stored picture: a figure of 8 inches has 1,104, a face of a film strip 138
DPI = 138

SHOWN = ("AU25", "AU12", "AU45", "pose_Ry")  # mouth open, smile, blink, yaw
LABELS = {
    "AU25": "AU25 lips part",
    "AU12": "AU12 smile",
    "AU45": "AU45 blink",
    "pose_Ry": "yaw (rad)",
    "AU01": "AU01 brows up",
    "AU04": "AU04 frown",
    "AU06": "AU06 cheeks up",
}


def new(rows: int = 1, cols: int = 1, width: float = 8.0, height: float = 2.6, **options):
    """A new Figure of `width` x `height` inches and its axes, as `matplotlib.pyplot.subplots` does.

    >>> fig, ax = new()
    >>> ax.set_xlabel("frame t").get_text()
    'frame t'
    """
    from matplotlib.figure import Figure

    fig = Figure(figsize=(width, height), layout="constrained")
    return fig, fig.subplots(rows, cols, **options)


def line_style(i: int) -> dict:
    """Colour and dash of line i; after six they come round again."""
    return {"linestyle": DASHES[i % len(DASHES)], "color": SAMPLES[i % len(SAMPLES)]}


def middles(T: int) -> np.ndarray:
    """The times of T frames in seconds: a frame stands for its middle."""
    return (np.arange(T) + 0.5) / FPS


# ---- masks and attention -------------------------------------------------------------------------


def attention_mask(mask, title: str = "", heads: Sequence[int] | None = None):
    """Heat maps of a mask (T, T) or (H, T, T), one per head; forbidden entries are hatched grey.

    Row: the frame that looks (query). Column: the frame looked at (key). Paper: Fig. 2. Notebook:
    03_biased_mask.
    """
    mask = np.asarray(mask, np.float64)
    if mask.ndim == 2:
        mask = mask[None]  # (1, T, T)
    heads = range(len(mask)) if heads is None else heads
    several = len(mask) > 1
    low = min(mask[np.isfinite(mask)].min(initial=0), -1e-6)

    width = min(2.1 * len(heads) + 1.2, 10)
    fig, axes = new(1, len(heads), width=width, height=2.6, squeeze=False)
    for ax, h in zip(axes[0], heads):
        ax.set_facecolor("#D9D9D9")
        ax.patch.set_hatch("///")
        ax.patch.set_edgecolor("#A6A6A6")
        shown = np.ma.masked_invalid(mask[h])
        image = ax.imshow(shown, cmap="viridis", vmin=low, vmax=0, interpolation="nearest")
        ax.set(title=f"head {h + 1}" if several else title, xlabel="looked at (key)")
    axes[0, 0].set_ylabel("looking frame (query)")
    if several:
        fig.suptitle(title)
    words = "added to the scores (hatched: $-\\infty$)"
    fig.colorbar(image, ax=list(axes[0]), label=words, shrink=0.9)
    return fig


def attention_weights(weights, query: int, title: str = ""):
    """Attention weights (H, T) or (T,) of one looking frame, a line per head, over age in frames.

    Notebook: 03_biased_mask.
    """
    weights = np.atleast_2d(np.asarray(weights))  # (H, T)
    ages = np.arange(query + 1)
    fig, ax = new(height=2.6)
    for h, row in enumerate(weights):
        ax.plot(ages, row[query - ages], **line_style(h), label=f"head {h + 1}")
    ax.set(
        xlabel=f"age in frames, seen from frame {query} (0 is now)", ylabel="weight", title=title
    )
    ax.set_ylim(bottom=0)
    if len(weights) > 1:
        ax.legend(ncols=2, fontsize=8)
    return fig


# ---- values, bins and likelihoods ----------------------------------------------------------------


def histogram_per_au(Y, attributes: Sequence[str] | None = None, bins: int = 50):
    """Histogram of each attribute of an animation (T, 23), log counts, with the share of zeros.

    Paper: 3.2.1. Notebook: 02_discretization.
    """
    Y = np.asarray(Y)
    attributes = list(attributes or ATTRIBUTES)
    cols = min(6, len(attributes))
    rows = -(-len(attributes) // cols)
    fig, axes = new(rows, cols, width=9.5, height=1.35 * rows + 0.3, squeeze=False)
    for ax, name in zip(axes.flat, attributes):
        values = Y[:, column(name)]
        is_au = name.startswith("AU")
        limits = (0, 5) if is_au else None
        ax.hist(values, bins=bins, range=limits, color=COLOURS["Y"], log=True)
        zeros = f"  0: {(values == 0).mean():.0%}" if is_au else ""
        ax.set_title(f"{name}{zeros}", fontsize=8)
        ax.tick_params(labelsize=6)
    for ax in axes.flat[len(attributes) :]:
        ax.axis("off")
    fig.supylabel("frames (log)", fontsize=8)
    return fig


def bin_likelihood(
    probabilities,
    attribute: str = "",
    k: int | None = None,
    truth: int | None = None,
    centroids=None,
    window: tuple[int, int] | None = None,
):
    """The likelihood (D,) of each bin of one attribute at one frame; what top-k keeps is orange.

    `truth` marks the true bin, `centroids` (D,) labels the axis in value units, `window` shows bins
    lo..hi-1 only. Paper: 3.2.2 (top-k). Notebook: 04_mapper.
    """
    p = np.asarray(probabilities, np.float64)
    x = np.arange(len(p)) if centroids is None else np.asarray(centroids)
    kept = np.zeros(len(p), bool)
    kept[np.argsort(-p, kind="stable")[: k or 0]] = True

    lo, hi = window or (0, len(p))
    width = (x[1] - x[0]) if len(x) > 1 else 1
    colours = np.where(kept[lo:hi], COLOURS["k"], "#9A9A9A")
    fig, ax = new(height=2.4)
    ax.bar(x[lo:hi], p[lo:hi], width, color=colours)
    if truth is not None:
        ax.axvline(x[truth], color=COLOURS["y_bar"], dashes=(4, 2), label="true bin")
        ax.legend(fontsize=8)
    unit = "bin d" if centroids is None else "value of the bin's centroid"
    ax.set(xlabel=f"{attribute}: {unit}", ylabel="likelihood")
    if k:
        ax.set_title(f"k = {k} keeps {p[kept].sum():.0%} of the likelihood (orange)", fontsize=9)
    return fig


def likelihood_over_time(
    probabilities, truth=None, low: float = 0.0, high: float = 5.0, attribute: str = ""
):
    """Likelihood (T, D) of one attribute as a heat map over time, the true values (T,) as a line.

    Each frame's most likely bin is brightest. Notebook: 04_mapper.
    """
    p = np.asarray(probabilities, np.float64)
    brightness = np.sqrt(p / p.max(1, keepdims=True)).T  # (D, T)
    place = (0, len(p) / FPS, low, high)
    fig, ax = new(height=2.8)
    ax.imshow(brightness, origin="lower", aspect="auto", cmap="cividis", extent=place)
    if truth is not None:
        ax.plot(middles(len(p)), truth, color="white", lw=1.2, label="truth Y")
        ax.legend(fontsize=8, facecolor="#555555", labelcolor="white")
    ax.set(xlabel="seconds", ylabel=attribute)
    return fig


# ---- animations and films ------------------------------------------------------------------------


def samples_over_time(
    samples,
    truth=None,
    attributes: Sequence[str] = SHOWN,
    title: str = "",
    labels: Sequence[str] = NAMES,
):
    """Samples (S, T, 23) over time, one row per attribute, and the truth (T, 23) in black."""
    samples = np.asarray(samples)
    rows = len(attributes)
    fig, axes = new(rows, 1, width=9, height=1.25 * rows + 0.5, sharex=True, squeeze=False)
    for ax, name in zip(axes[:, 0], attributes):
        j = column(name)
        for i, Y in enumerate(samples):
            label = labels[i] if i < len(labels) else None
            ax.plot(middles(len(Y)), Y[:, j], **line_style(i), lw=1.2, label=label)
        if truth is not None:
            y = np.asarray(truth)[:, j]
            ax.plot(middles(len(y)), y, color=COLOURS["Y"], lw=1.6, alpha=0.8, label="truth")
        ax.set_ylabel(LABELS.get(name, name), fontsize=8)
    axes[-1, 0].set_xlabel("seconds")
    axes[0, 0].set_title(title, fontsize=10)
    if axes[0, 0].get_legend_handles_labels()[0]:
        axes[0, 0].legend(ncols=4, fontsize=7, loc="upper right")
    return fig


def animation_lines(
    samples,
    path: str | Path | None = None,
    title: str = "the same speech, different animations",
    labels: Sequence[str] = NAMES,
):
    """AU25, AU12, AU45 and yaw of samples (S, T, 23) over time; also as a PNG at `path`."""
    from .files import atomic_path

    fig = samples_over_time(samples, title=title, labels=labels)
    if path is not None:
        with atomic_path(path) as temporary:
            temporary.write_bytes(png(fig, dpi=100))
    return fig


def film_strip_figure(
    rows, labels: Sequence[str] = (), times: Sequence[float | str] = (), size: float = 1.0
):
    """Film strips: a list of frame stacks (n, H, W, 3) uint8, one row each.

    `labels` stand beside the rows, `times` above the frames: seconds, or words. Notebook: 00_tour.
    """
    n = max(len(row) for row in rows)
    height = size * len(rows) + 0.35 * (len(times) > 0)
    fig, axes = new(len(rows), n, width=size * n + 0.4, height=height, squeeze=False)
    for row, row_axes in zip(rows, axes):
        for i, ax in enumerate(row_axes):
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
            if i < len(row):
                ax.imshow(row[i], interpolation="lanczos")
    for ax, time in zip(axes[0], times):
        ax.set_title(time if isinstance(time, str) else f"{time:.1f} s", fontsize=8)
    for ax, label in zip(axes[:, 0], labels):
        ax.set_ylabel(label, fontsize=8)
    fig.photo = True  # `show` stores it as JPEG
    fig.get_layout_engine().set(w_pad=0.01, h_pad=0.04, wspace=0, hspace=0)
    return fig


# ---- sound ---------------------------------------------------------------------------------------


def mel_with_window(mel, frame: int, wave=None):
    """Log-mel spectrogram (20, M) with the window of one video frame, the wave (N,) above it.

    The frame itself is the dark band, its window of 20 mel frames the box. Paper: 4.1. Notebook:
    01_features.
    """
    from .audio import BEFORE, HOP, MELS_PER_FRAME, SAMPLE_RATE, WINDOW

    mel = np.asarray(mel)
    seconds = HOP / SAMPLE_RATE  # of a mel frame
    if wave is None:
        fig, ax = new(width=9, height=2.4)
    else:
        fig, (above, ax) = new(2, 1, width=9, height=3.4, sharex=True, height_ratios=[1, 1.6])
        # (hundredths of a second, 160 samples)
        blocks = wave[: len(wave) // HOP * HOP].reshape(-1, HOP)
        at = np.arange(len(blocks)) * seconds
        above.fill_between(at, blocks.min(1), blocks.max(1), color=COLOURS["A"], lw=0)
        above.axvspan(frame / FPS, (frame + 1) / FPS, color="#444444", alpha=0.5)
        above.set_ylabel("wave")

    place = (0, mel.shape[1] * seconds, 0, len(mel))
    look = {"cmap": "cividis", "interpolation": "nearest", "aspect": "auto", "origin": "lower"}
    ax.imshow(mel, extent=place, **look)
    start = (MELS_PER_FRAME * frame - BEFORE) * seconds
    ax.add_patch(outline(start, 0, WINDOW * seconds, len(mel)))
    ax.set(
        xlabel="seconds",
        ylabel="mel band",
        title=f"the window of frame {frame}: 20 mel frames x 20 bands",
    )
    return fig


def outline(x: float, y: float, width: float, height: float):
    """A white rectangle without a filling, to frame a part of a heat map."""
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), width, height, fill=False, edgecolor="white", lw=2)


# ---- logs and tables -----------------------------------------------------------------------------


def curve(
    log: Sequence[dict], keys: Sequence[str], x: str = "step", title: str = "", logy: bool = False
):
    """Lines of a training log: a list of dicts with the key `x` and some of `keys`.

    Notebook: 04_mapper.
    """
    fig, ax = new(height=2.6)
    for i, key in enumerate(keys):
        points = [(row[x], row[key]) for row in log if row.get(key) is not None]
        if points:
            ax.plot(*zip(*points), **line_style(i), label=key)
    ax.set(xlabel=x, title=title, yscale="log" if logy else "linear")
    ax.legend(fontsize=8)
    return fig


def intervals(rows: dict[str, dict], columns: dict[str, str]):
    """A table as a picture: a panel per column {figure: heading}, each row's interval in it.

    Rows are {row: {figure: (mean, half-width)}}; a figure that a row lacks, and an unknown interval
    (NaN), is left out. Notebook: 06_evaluation.
    """
    width, height = 1.6 * len(columns) + 2, 0.32 * len(rows) + 0.9
    fig, axes = new(1, len(columns), width=width, height=height, squeeze=False, sharey=True)
    bars = {"fmt": "o", "ms": 4, "capsize": 3}
    for ax, (figure, heading) in zip(axes[0], columns.items()):
        for i, figures in enumerate(rows.values()):
            if figure in figures:
                mean, half = figures[figure]
                colour = SAMPLES[i % len(SAMPLES)]
                ax.errorbar(mean, i, xerr=np.nan_to_num(half), color=colour, **bars)
        ax.set_title(heading.replace(", ", "\n"), fontsize=8)
        ax.tick_params(labelsize=7)
        ax.grid(axis="y", alpha=0.3)
        ax.margins(x=0.15)
    axes[0, 0].set_yticks(range(len(rows)), list(rows))
    axes[0, 0].invert_yaxis()
    return fig


# ---- figures as bytes, and how a notebook shows them ---------------------------------------------


def png(fig, dpi: int = DPI) -> bytes:
    """A figure as PNG bytes, the same for the same figure: no dates, at most 255 colours."""
    from PIL import Image

    raw, small = io.BytesIO(), io.BytesIO()
    fig.savefig(raw, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    palette = Image.open(raw).convert("RGB").quantize(255, dither=Image.Dither.NONE)
    palette.save(small, format="png", optimize=True)
    return small.getvalue()


def jpeg(fig, dpi: int = DPI) -> bytes:
    """A figure as JPEG bytes: a quarter of the PNG where faces fill it, as in film strips."""
    raw = io.BytesIO()
    fig.savefig(raw, format="jpeg", dpi=dpi, facecolor="white", pil_kwargs={"quality": 85})
    return raw.getvalue()


def show(fig, alt: str, dpi: int = DPI) -> None:
    """Show a figure with its alt text: the only way a notebook shows one.

    The text travels in the output's metadata (an <img alt> in every exported page), as the
    plain-text form, and as a caption below the picture for readers that know no alt text.
    Raises ValueError without a sentence of at least 20 characters.
    """
    from IPython.display import display

    if len(alt.strip()) < 20:
        raise ValueError("alt text is one sentence that says what the figure shows")
    if getattr(fig, "photo", False):
        kind, picture = "image/jpeg", jpeg(fig, dpi)
    else:
        kind, picture = "image/png", png(fig, dpi)
    shown = {kind: picture, "text/plain": f"Figure: {alt}"}
    display(shown, raw=True, metadata={kind: {"alt": alt}})
    display({"text/markdown": f"*Figure: {alt}*", "text/plain": alt}, raw=True)


def play(path: str | Path, label: str) -> None:
    """A player for a sound or an mp4 file, which is pointed to, not copied into the notebook.

    Notebook: 00_tour.
    """
    from IPython.display import display

    kind = "video" if Path(path).suffix == ".mp4" else "audio"
    source = html.escape(Path(os.path.relpath(path)).as_posix(), quote=True)
    name = html.escape(label, quote=True)
    # twice: JupyterLab strips aria-label where a notebook is not trusted yet
    tag = f'<{kind} controls src="{source}" aria-label="{name}" title="{name}"></{kind}>'
    words = f"<p>{tag}<br>{html.escape(label)}: {source}</p>"
    display({"text/html": words, "text/plain": f"Player: {label}"}, raw=True)
