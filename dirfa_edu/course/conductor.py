"""The conductor: the whole system in one explorer. Speech, pins, mask and sampling are set;
attention, likelihood and the talking face answer together.

Everything drawn belongs to one sample: the attention is the one with which this face was made, the
likelihood the one from which its frame 17 was drawn.

Notebook: 00_tour, 07_your_own_face.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

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

SPEECH = {"synthetic map": "slt_001", "real Austen": "austen_0880", "real sonnet": "sonnet_1"}
PINS = {
    "nothing": [],
    "AU12 = 3": [("AU12", 0.4, 2.4, 3.0)],
    "AU01 = 3": [("AU01", 0.4, 2.4, 3.0)],
    # from s, to s, value
    "AU45 = 4": [("AU45", 0.4, 2.4, 4.0)],
    "yaw = 0.25": [("pose_Ry", 0.4, 2.4, 0.25)],
}
SHIPPED = "per group"  # k and temperature: each group of attributes has its own, as shipped
FRAMES = 75  # drawn: the first three seconds
FRAME = 17  # an open vowel in each of the clips
STRIP = range(FRAME - 9, FRAME + 10, 3)  # frames of the film strip
LIPS = "AU25"  # whose likelihood is shown
CURVES = {
    LIPS: (-0.1, 3.5),
    "AU12": (-0.1, 3.5),
    "AU01": (-0.1, 3.5),
    "AU45": (-0.1, 4.5),
    "pose_Ry": (-0.15, 0.35),
}
COLOURS = 48  # of the film strip
HEADS = 2, 7  # of the first layer: a steep one and the flattest


class Take(NamedTuple):
    """A sample and how it came about."""

    Y: np.ndarray  # (T, 23), the animation
    W: np.ndarray  # (H, T, T), attention of the first layer
    logits: np.ndarray  # (D,), of LIPS at FRAME
    drawn: int  # the bin drawn from them


@cache
def _clip(speech: str) -> tuple:
    from ..data.corpus import Corpus

    clip = next(clip for clip in Corpus().clips if clip.name == SPEECH[speech])
    return clip, clip.features()


@cache
def _mapper(slope: float) -> MappingNetwork:
    from ..training import load_pretrained

    return load_pretrained("mapper") if slope == 1 else with_steepness(_mapper(1), slope)


@cache
def _face(actor: str) -> tuple:
    """The generator and an actor's portrait, ready to be moved."""
    from ..actors.actor import Actor
    from ..training import load_pretrained

    generator = load_pretrained("generator")
    return generator, encode_portrait(
        generator, Actor(actor).render(np.zeros(23), generator.config.size)
    )


def animate(
    speech: str, pinned: str, slope: float, k, temperature, frames: int | None = None
) -> np.ndarray:
    """One sample, or its first `frames`: float32 (T, 23). The beginning of a sample does not depend
    on its length."""
    k, temperature = (None if setting == SHIPPED else setting for setting in (k, temperature))
    control = Control(pins=PINS[pinned])
    return generate(
        _mapper(slope), _clip(speech)[1][:frames], 1, 0, k, temperature, control=control
    )[0]


@cache
def take(speech: str, pinned: str, slope: float, k, temperature) -> Take:
    """The sample's first three seconds, and the attention and likelihood behind them; made once for
    each setting."""
    mapper, A = _mapper(slope), torch.from_numpy(_clip(speech)[1][:FRAMES])[None]  # (1, T, 400)
    Y = animate(speech, pinned, slope, k, temperature, FRAMES)
    y_tilde = torch.from_numpy(mapper.discretizer.encode(Y))[None]  # (1, T, 23)
    y_previous = torch.cat([mapper.start(1), y_tilde[:, :-1]], dim=1)
    held = Controller(Control(pins=PINS[pinned]), mapper.discretizer)
    marks = [held.pinned(t) for t in range(len(Y))]  # the mapper is told what is pinned
    # (1, T, 23)
    marks = torch.stack([torch.zeros(23) if mark is None else mark for mark in marks])[None]
    W = mapper.attention(A, y_previous, marks)[0, 0].numpy()  # (H, T, T)
    seen, j = slice(0, FRAME + 1), column(LIPS)
    with torch.inference_mode():
        # (D,)
        logits = mapper(A[:, seen], y_previous[:, seen], pinned=marks[:, seen])[0, FRAME, j].numpy()
    return Take(Y, W, logits, int(y_tilde[0, FRAME, j]))


def draw(speech: str, pinned: str, slope: float, k, temperature):
    """Attention, likelihood, film strip and curves of one sample, as a Figure."""
    from matplotlib.figure import Figure

    shown, free = (take(speech, each, slope, k, temperature) for each in (pinned, "nothing"))
    generator, portrait = _face(_clip(speech)[0].actor)
    fig = Figure(figsize=(12.5, 7.5))  # laid out by hand, three times as fast as by constraints

    def row(bottom: float, top: float, *widths: float) -> list:
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

    *maps, likelihood = row(0.66, 0.96, 1, 1, 2)
    _attention(maps, shown.W, slope)
    _likelihood(likelihood, shown, k, temperature)
    # of 900 x 540 pixels: no frame is scaled
    strip = fig.add_axes([65 / 900, 172 / 540, 784 / 900, 112 / 540])
    _strip(strip, list(render_frames(generator, portrait, shown.Y, STRIP)))
    _curves(row(0.07, 0.24, *[1] * len(CURVES)), shown.Y, free.Y, PINS[pinned])
    return fig


def _attention(axes, W: np.ndarray, slope: float) -> None:
    """Heat maps of two heads' weights (H, T, T), each row over its largest."""
    slopes = slope * bias_slopes(len(W), _mapper(1).config.bias)
    for ax, h in zip(axes, HEADS):
        shown = (15 * W[h] / W[h].max(-1, keepdims=True)).round()  # 16 shades, for the file's size
        ax.imshow(shown, cmap="cividis", interpolation="nearest")
        ax.axhline(FRAME, color="white", ls=":", lw=1)
        ax.set(xlabel="looked at (key)", xticks=[0, FRAME, 50], yticks=[0, FRAME, 50])
        ax.set_title(
            f"attention, slope {'1/' + format(1 / slopes[h], '.0f') if slopes[h] else 0}",
            fontsize=10,
        )
    axes[0].set_ylabel("looking frame (query)")


def _strip(ax, pictures: list) -> None:
    """Frames side by side, each under its number."""
    from PIL import Image

    strip = Image.fromarray(np.concatenate([picture[8:120, 8:120] for picture in pictures], axis=1))
    # few colours: a notebook that stores this picture stays small, and the other panels keep their
    # own
    ax.imshow(
        strip.quantize(COLOURS, dither=Image.Dither.NONE).convert("RGB"), interpolation="nearest"
    )
    width = strip.width / len(pictures)
    for i, t in enumerate(STRIP):
        ax.text(
            (i + 0.5) * width,
            -4,
            f"frame {t}",
            ha="center",
            fontweight="bold" if t == FRAME else None,
        )
    ax.axis("off")


def _likelihood(ax, shown: Take, k, temperature) -> None:
    """The likelihood at FRAME that the setting leaves, over the values of LIPS, and the bin that
    was drawn."""
    j, bins = column(LIPS), _mapper(1).discretizer
    k = int(per_attribute(TOP_K, None if k == SHIPPED else k)[j])
    heat = per_attribute(TEMPERATURE, None if temperature == SHIPPED else temperature)[j]
    p = np.exp((shown.logits - shown.logits.max()) / heat)
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
        xlabel=f"{LIPS}: value of the bin's centroid", ylabel="likelihood", ylim=(0, p.max() * 1.15)
    )
    ax.set_title(
        f"frame {FRAME}: k = {k} keeps {p[kept].sum():.0%} of the likelihood (orange)", fontsize=10
    )
    ax.legend(fontsize=9, loc="upper right")


def _curves(axes, Y: np.ndarray, free: np.ndarray, pins: list) -> None:
    """The sample over time, and without pins; the pinned span is shaded."""
    seconds = (np.arange(len(Y)) + 0.5) / FPS
    for ax, (name, limits) in zip(axes, CURVES.items()):
        for attribute, start, end, _ in pins:
            ax.axvspan(start, end, color="#FFE8B8" if attribute == name else "#EEEEEE", lw=0)
        if pins:
            ax.plot(
                seconds, free[:, column(name)], "--", color="#777777", lw=1, label="without the pin"
            )
        ax.plot(seconds, Y[:, column(name)], color=plots.COLOURS["y_hat"], lw=1.5)
        ax.axvline((FRAME + 0.5) / FPS, color="#444444", ls=":", lw=1)
        both = np.stack([Y, free])[..., column(name)]
        ax.set(
            ylim=(min(limits[0], both.min()), max(limits[1], both.max())),
            xlim=(0, len(Y) / FPS),
            xlabel="seconds",
        )
        ax.set_title(plots.LABELS.get(name, name), fontsize=10)
    if pins:
        axes[0].legend(fontsize=8, loc="upper right")


def film(path: str | Path = "out/conductor.mp4", **params) -> Path:
    """Write the whole clip as a film with sound, made with these parameters of `draw`; returns its
    path."""
    from ..video import write_mp4

    clip, _ = _clip(params["speech"])
    write_mp4(path, render_frames(*_face(clip.actor), animate(**params)), clip.wave())
    return Path(path)


def explorer() -> Explorer:
    """The conductor: what is set, and what comes of it. Notebook: 00_tour, 07_your_own_face."""
    return Explorer(
        draw,
        "attention of two heads, slopes times {slope}; likelihood of AU25 at frame 17, k {k}, "
        "temperature {temperature}; seven frames of the face that speaks ({speech}), and its curves over "
        "three seconds, pinned: {pinned}",
        film=film,
        speech=list(SPEECH),
        pinned=list(PINS),
        slope=[1, 0, 0.25, 4],
        k=[SHIPPED, 1, 10, 100, 500],
        temperature=[SHIPPED, 0.1, 0.5, 1.0, 1.5],
    )
