"""The conductor: the whole system in one explorer.

Speech, pins, mask and sampling are set; attention, likelihood and the talking face answer together.
Everything drawn belongs to one sample: the attention is the one with which this face was made, the
likelihood the one from which its frame 17 was drawn.

Notebook: 00_tour, 07_your_own_face.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple, Sequence

import numpy as np
import torch

from .. import plots
from ..animation import FPS, column
from ..control import Control, Controller
from ..mapper import MappingNetwork, with_steepness
from ..masks import bias_slopes
from ..sampling import TEMPERATURE, TOP_K, generate, per_attribute
from ..talk import encode_portrait, render_frames
from .widgets import Explorer

# ---- what can be set -----------------------------------------------------------------------------

SPEECH = {"synthetic map": "slt_001", "real Austen": "austen_0880", "real sonnet": "sonnet_1"}
PINS = {  # (attribute, from s, to s, value)
    "nothing": [],
    "AU12 = 3": [("AU12", 0.4, 2.4, 3.0)],
    "AU01 = 3": [("AU01", 0.4, 2.4, 3.0)],
    "AU45 = 4": [("AU45", 0.4, 2.4, 4.0)],
    "yaw = 0.25": [("pose_Ry", 0.4, 2.4, 0.25)],
}
SHIPPED = "per group"  # k and temperature: each group of attributes has its own, as shipped

# ---- what is shown -------------------------------------------------------------------------------

FRAMES = 75  # the first three seconds
FRAME = 17  # an open vowel in each of the clips
STRIP = range(FRAME - 9, FRAME + 10, 3)  # frames of the film strip
STRIP_COLOURS = 48  # few colours, so that a notebook that stores the picture stays small
CHOSEN = "AU25"  # whose likelihood is shown
CURVES = {  # attribute -> limits of its axis
    "AU25": (-0.1, 3.5),
    "AU12": (-0.1, 3.5),
    "AU01": (-0.1, 3.5),
    "AU45": (-0.1, 4.5),
    "pose_Ry": (-0.15, 0.35),
}
HEADS = 2, 7  # of the first layer: a steep one and the flattest


@cache
def _clip(speech: str) -> tuple:
    """A clip and its audio features (T, 400)."""
    from ..data.corpus import Corpus

    clip = next(clip for clip in Corpus().clips if clip.name == SPEECH[speech])
    return clip, clip.features()


@cache
def _mapper(slope: float) -> MappingNetwork:
    """The shipped mapper, its mask's slopes times `slope`."""
    from ..training import load_pretrained

    return load_pretrained("mapper") if slope == 1 else with_steepness(_mapper(1), slope)


@cache
def _face(actor: str) -> tuple:
    """The generator and an actor's portrait, ready to be moved."""
    from ..actors.actor import Actor
    from ..training import load_pretrained

    generator = load_pretrained("generator")
    portrait = Actor(actor).render(np.zeros(23), generator.config.size)
    return generator, encode_portrait(generator, portrait)


# ---- one sample ----------------------------------------------------------------------------------


class Take(NamedTuple):
    """A sample and how it came about."""

    Y: np.ndarray  # (T, 23), the animation
    W: np.ndarray  # (H, T, T), attention of the first layer
    logits: np.ndarray  # (D,), of CHOSEN at FRAME
    drawn: int  # the bin drawn from them


def animate(
    speech: str, pinned: str, slope: float, k, temperature, frames: int | None = None
) -> np.ndarray:
    """One sample, or its first `frames`: float32 (T, 23).

    The beginning of a sample does not depend on its length.
    """
    k, temperature = (None if setting == SHIPPED else setting for setting in (k, temperature))
    _, A = _clip(speech)
    control = Control(pins=PINS[pinned])
    return generate(_mapper(slope), A[:frames], 1, 0, k, temperature, control=control)[0]


@cache
def take(speech: str, pinned: str, slope: float, k, temperature) -> Take:
    """The sample's first three seconds, and what lies behind them; made once for each setting."""
    mapper = _mapper(slope)
    A = torch.from_numpy(_clip(speech)[1][:FRAMES])[None]  # (1, T, 400)
    Y = animate(speech, pinned, slope, k, temperature, FRAMES)
    y_tilde = torch.from_numpy(mapper.discretizer.encode(Y))[None]  # (1, T, 23)
    y_previous = torch.cat([mapper.start(1), y_tilde[:, :-1]], dim=1)  # (1, T, 23)

    # the mapper is told what is pinned
    held = Controller(Control(pins=PINS[pinned]), mapper.discretizer)
    marks = [held.pinned(t) for t in range(len(Y))]
    marks = [torch.zeros(23) if mark is None else mark for mark in marks]
    pins = torch.stack(marks)[None]  # (1, T, 23)

    W = mapper.attention(A, y_previous, pins)[0, 0].numpy()  # (H, T, T)
    seen, j = slice(0, FRAME + 1), column(CHOSEN)
    with torch.inference_mode():
        logits = mapper(A[:, seen], y_previous[:, seen], pinned=pins[:, seen])  # (1, t, 23, D)
    return Take(Y, W, logits[0, FRAME, j].numpy(), int(y_tilde[0, FRAME, j]))


# ---- the picture ---------------------------------------------------------------------------------


def draw_conductor(speech: str, pinned: str, slope: float, k, temperature):
    """Attention, likelihood, film strip and curves of one sample, as a Figure."""
    from matplotlib.figure import Figure

    shown = take(speech, pinned, slope, k, temperature)
    free = take(speech, "nothing", slope, k, temperature)
    generator, portrait = _face(_clip(speech)[0].actor)

    fig = Figure(figsize=(12.5, 7.5))  # laid out by hand, three times as fast as by constraints
    *maps, likelihood = _row_of_axes(fig, 0.66, 0.96, [1, 1, 2])
    _attention(maps, shown.W, slope)
    _likelihood(likelihood, shown, k, temperature)
    # of 900 x 540 pixels: no frame is scaled
    strip = fig.add_axes([65 / 900, 172 / 540, 784 / 900, 112 / 540])
    _strip(strip, list(render_frames(generator, portrait, shown.Y, STRIP)))
    curves = _row_of_axes(fig, 0.07, 0.24, [1] * len(CURVES))
    _curves(curves, shown.Y, free.Y, PINS[pinned])
    return fig


def _row_of_axes(fig, bottom: float, top: float, widths: Sequence[float]) -> list:
    """Axes beside each other, from `bottom` to `top` of the figure."""
    grid = fig.add_gridspec(
        1,
        len(widths),
        left=0.055,
        right=0.985,
        bottom=bottom,
        top=top,
        wspace=0.22,
        width_ratios=widths,
    )
    return [fig.add_subplot(place) for place in grid]


def _attention(axes, W: np.ndarray, slope: float) -> None:
    """Heat maps of two heads' weights (H, T, T), each row over its largest."""
    slopes = slope * bias_slopes(len(W), _mapper(1).config.bias)
    for ax, h in zip(axes, HEADS):
        shown = (15 * W[h] / W[h].max(-1, keepdims=True)).round()  # 16 shades, for the file's size
        ax.imshow(shown, cmap="cividis", interpolation="nearest")
        ax.axhline(FRAME, color="white", ls=":", lw=1)
        ax.set(xlabel="looked at (key)", xticks=[0, FRAME, 50], yticks=[0, FRAME, 50])
        fraction = f"1/{1 / slopes[h]:.0f}" if slopes[h] else "0"
        ax.set_title(f"attention, slope {fraction}", fontsize=10)
    axes[0].set_ylabel("looking frame (query)")


def _likelihood(ax, shown: Take, k, temperature) -> None:
    """The likelihood at FRAME that the setting leaves, and the bin that was drawn."""
    j, bins = column(CHOSEN), _mapper(1).discretizer
    k = int(per_attribute(TOP_K, None if k == SHIPPED else k)[j])
    heat = per_attribute(TEMPERATURE, None if temperature == SHIPPED else temperature)[j]
    p = np.exp((shown.logits - shown.logits.max()) / heat)  # (D,)
    p /= p.sum()
    kept = np.zeros(len(p), bool)
    kept[np.argsort(-p, kind="stable")[:k]] = True

    edges = bins.low[j] + bins.width[j] * np.arange(len(p) + 1)
    ax.stairs(p, edges, fill=True, color="#9A9A9A")
    ax.stairs(p * kept, edges, fill=True, color=plots.COLOURS["k"])
    ax.plot(
        bins.centroids[j][shown.drawn],
        0.96,
        "v",
        ms=9,
        color=plots.COLOURS["y_tilde"],
        label="y_tilde: drawn",
        transform=ax.get_xaxis_transform(),
    )
    ax.set(
        xlabel=f"{CHOSEN}: value of the bin's centroid",
        ylabel="likelihood",
        ylim=(0, p.max() * 1.15),
    )
    ax.set_title(
        f"frame {FRAME}: k = {k} keeps {p[kept].sum():.0%} of the likelihood (orange)", fontsize=10
    )
    ax.legend(fontsize=9, loc="upper right")


def _strip(ax, pictures: list) -> None:
    """Frames side by side, each under its number."""
    from PIL import Image

    faces = [picture[8:120, 8:120] for picture in pictures]
    strip = Image.fromarray(np.concatenate(faces, axis=1))
    # the other panels keep their own colours
    few = strip.quantize(STRIP_COLOURS, dither=Image.Dither.NONE).convert("RGB")
    ax.imshow(few, interpolation="nearest")

    width = strip.width / len(pictures)
    for i, t in enumerate(STRIP):
        weight = "bold" if t == FRAME else None
        ax.text((i + 0.5) * width, -4, f"frame {t}", ha="center", fontweight=weight)
    ax.axis("off")


def _curves(axes, Y: np.ndarray, free: np.ndarray, pins: list) -> None:
    """The sample over time, and without pins; the pinned span is shaded."""
    seconds = plots.middles(len(Y))
    for ax, (name, (low, high)) in zip(axes, CURVES.items()):
        j = column(name)
        for attribute, start, end, _ in pins:
            ax.axvspan(start, end, color="#FFE8B8" if attribute == name else "#EEEEEE", lw=0)
        if pins:
            ax.plot(seconds, free[:, j], "--", color="#777777", lw=1, label="without the pin")
        ax.plot(seconds, Y[:, j], color=plots.COLOURS["y_hat"], lw=1.5)
        ax.axvline((FRAME + 0.5) / FPS, color="#444444", ls=":", lw=1)
        both = np.stack([Y, free])[..., j]  # (2, T)
        ax.set(
            ylim=(min(low, both.min()), max(high, both.max())),
            xlim=(0, len(Y) / FPS),
            xlabel="seconds",
        )
        ax.set_title(plots.LABELS.get(name, name), fontsize=10)
    if pins:
        axes[0].legend(fontsize=8, loc="upper right")


# ---- the film, and the explorer ------------------------------------------------------------------


def write_film(path: str | Path = "out/conductor.mp4", **params) -> Path:
    """Write the whole clip as a film with sound, made with these parameters of `draw_conductor`.

    Returns its path.
    """
    from ..video import write_mp4

    clip, _ = _clip(params["speech"])
    generator, portrait = _face(clip.actor)
    write_mp4(path, render_frames(generator, portrait, animate(**params)), clip.wave())
    return Path(path)


def explorer() -> Explorer:
    """The conductor: what is set, and what comes of it. Notebook: 00_tour, 07_your_own_face."""
    return Explorer(
        draw_conductor,
        "attention of two heads, slopes times {slope}; likelihood of AU25 at frame 17, k {k}, "
        "temperature {temperature}; seven frames of the face that speaks ({speech}), and its "
        "curves over three seconds, pinned: {pinned}",
        film=write_film,
        speech=list(SPEECH),
        pinned=list(PINS),
        slope=[1, 0, 0.25, 4],
        k=[SHIPPED, 1, 10, 100, 500],
        temperature=[SHIPPED, 0.1, 0.5, 1.0, 1.5],
    )
