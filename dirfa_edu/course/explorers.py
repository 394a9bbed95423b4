"""The explorers of the chapters: one function each, so that a test can sweep them all.

Each function holds a pure `draw(**params) -> Figure` and gives each of its parameters a few stops,
the first of them the default. What is slow to make is made once, outside of `draw`.

Notebook: 00_tour to 07_your_own_face.
"""

from functools import cache, lru_cache

import numpy as np

from .. import plots
from ..animation import POSE, column
from .widgets import Explorer


@lru_cache(maxsize=1)
def _chapter_clip():
    """The five-second clip that all chapters follow."""
    from ..data.corpus import CHAPTER_CLIP, Corpus

    return next(clip for clip in Corpus().clips if clip.name == CHAPTER_CLIP)


@lru_cache(maxsize=1)
def _chapter_logits():
    """Logits (T, 23, D) of the shipped mapper on the chapter clip, with the true past."""
    import torch

    from ..training import load_pretrained

    mapper, clip = load_pretrained("mapper"), _chapter_clip()
    A = torch.from_numpy(clip.features())[None]  # (1, T, 400)
    y_bar = torch.from_numpy(mapper.discretizer.encode(clip.truth()["clean"]))[None]  # (1, T, 23)
    y_previous = torch.cat([mapper.start(1), y_bar[:, :-1]], dim=1)  # (1, T, 23)
    with torch.inference_mode():
        return mapper(A, y_previous)[0], mapper.discretizer


# ---- 00_tour -------------------------------------------------------------------------------------


def conductor_explorer() -> Explorer:
    """The whole system, played: attention, likelihood and face together.

    Notebook: 00_tour, 07_your_own_face.
    """
    from . import conductor  # here: it needs torch and both networks

    return conductor.explorer()


def face_explorer() -> Explorer:
    """A digital actor moved by three attributes. Notebook: 00_tour."""
    from ..actors.actor import Actor

    actor = Actor(_chapter_clip().actor)

    def draw(AU25, AU12, yaw):
        Z = np.zeros(23, np.float32)
        Z[column("AU25")] = AU25
        Z[column("AU12")] = AU12
        Z[column("pose_Ry")] = yaw
        fig, ax = plots.new(width=2.6, height=2.6)
        ax.imshow(actor.render(Z))
        ax.axis("off")
        return fig

    return Explorer(
        draw,
        "the actor with AU25 (lips part) {AU25}, AU12 (smile) {AU12}, yaw {yaw} rad",
        AU25=[0, 1, 2, 3],
        AU12=[0, 1, 2, 3],
        yaw=[0, -0.3, -0.15, 0.15, 0.3],
    )


# ---- 01_features ---------------------------------------------------------------------------------


def window_explorer() -> Explorer:
    """The audio window of a frame, in its second of speech and as the network gets it.

    Notebook: 01_features.
    """
    from .. import audio

    clip = _chapter_clip()
    mel, A = audio.log_mel(clip.wave()), clip.features()
    look = {
        "cmap": "cividis",
        "origin": "lower",
        "aspect": "auto",
        "vmin": 0.1,
        "vmax": 0.95,
        "interpolation": "nearest",
    }

    def draw(frame, late):
        start = 4 * (frame - late) - 8  # in mel frames: four a video frame
        fig, (left, right) = plots.new(1, 2, width=8, height=2.5, width_ratios=[3, 1])
        left.imshow(mel, extent=(0, mel.shape[1], 0, 20), **look)
        left.vlines([4 * frame, 4 * frame + 4], 0, 20, color="white", ls=":", lw=1)
        left.add_patch(plots.outline(start, 0, 20, 20))
        for phone, begins, ends in clip.phones():
            middle = 100 * (begins + ends) / 2
            if 4 * frame - 48 < middle < 4 * frame + 52:
                left.text(middle, 20.4, phone, ha="center", fontsize=7)
        left.set(
            xlim=(4 * frame - 50, 4 * frame + 54),
            xlabel="mel frame (hundredths of a second)",
            ylabel="mel band",
        )
        heard = A[max(frame - late, 0)].reshape(20, 20).T  # (mel bands, mel frames)
        right.imshow(heard, extent=(-0.5, 19.5, -0.5, 19.5), **look)
        right.set(xlabel="place in the window", xticks=[0, 8, 11, 19])
        right.set_title(f"heard, {late} frames late" if late else f"A[{frame}]")
        return fig

    return Explorer(
        draw,
        "one second of log-mel and its phones around frame {frame}, the window of frame {frame} "
        "as a pipeline {late} frames late hears it",
        frame=[17, 0, 1, 15, 16, 18, 19, 20, 60],
        late=[0, 1, 3],
    )


def attribute_explorer() -> Explorer:
    """One attribute of the chapter clip's actor, beside the neutral face. Notebook: 01_features."""
    from ..actors.actor import Actor

    actor = Actor(_chapter_clip().actor)
    neutral = actor.render(np.zeros(23))

    def draw(attribute, strength):
        is_au = attribute.startswith("AU")
        value = strength * (5 if is_au else 0.35)
        Z = np.zeros(23, np.float32)
        Z[column(attribute)] = value
        moved = actor.render(Z)
        changed = np.abs(moved.astype(int) - neutral).max(2)  # (S, S)

        asked = f"{attribute}_r = {value:.2f}" if is_au else f"{attribute} = {value:.2f} rad"
        shown = {"neutral": neutral, asked: moved, "what changed": changed}
        fig, axes = plots.new(1, 3, width=4.8, height=2)
        for ax, (title, picture) in zip(axes, shown.items()):
            face = picture[12:116, 18:110] // 16 * 16  # few shades, for the file's size
            ax.imshow(face, cmap="cividis", vmin=0, vmax=120, interpolation="nearest")
            ax.set_title(title, fontsize=9)
            ax.axis("off")
        return fig

    return Explorer(
        draw,
        "the neutral actor, the actor with {attribute} at {strength} of its range, and "
        "what changed",
        attribute=["AU12", "AU06", "AU07", "AU14", "AU20", "AU01", "AU09", "AU26", "pose_Ry"],
        strength=[1.0, 0.0, 0.2, 0.4, 0.6, 0.8],
    )


# ---- 02_discretization ---------------------------------------------------------------------------


def bins_explorer() -> Explorer:
    """What D bins leave of a track. Notebook: 02_discretization."""
    from ..discretize import Discretizer

    track = _chapter_clip().animation()
    Y = track[:50]

    def draw(D, attribute):
        bins, j = Discretizer.fit([track], bins=D), column(attribute)
        y, y_hat = Y[:, j], bins.decode(bins.encode(Y))[:, j]
        width = bins.width[j]
        error = np.abs(y - y_hat).mean() / width
        t, colour = np.arange(len(y)), plots.COLOURS["y_hat"]
        edges_fit = D <= 50

        fig, ax = plots.new(width=7, height=2.5)
        if edges_fit:
            for edge in bins.low[j] + width * np.arange(D + 1):
                ax.axhline(edge, color="#E2E2E2", lw=0.6, zorder=0)
        ax.fill_between(t, y, y_hat, step="mid", color=colour, alpha=0.25, lw=0)
        ax.plot(y, color=plots.COLOURS["Y"], label="Y")
        ax.step(t, y_hat, "--", where="mid", color=colour, label="y_hat")
        ax.set(
            xlabel="frame t (grey lines: edges of bins)" if edges_fit else "frame t",
            ylabel=attribute,
            title=f"D = {D}: a bin is {width:.2g} wide, mean error {error:.2f} of a bin",
        )
        if attribute.startswith("AU"):
            ax.set_ylim(-0.15, max(y.max(), 1) * 1.25)
        ax.legend(fontsize=8, loc="upper right", ncols=2)
        return fig

    return Explorer(
        draw,
        "two seconds of {attribute} and its decoded bins, D = {D}",
        D=[10, 2, 5, 25, 50, 100, 250, 500, 750],
        attribute=["AU25", "AU12", "AU45", "pose_Ry"],
    )


# ---- 03_biased_mask ------------------------------------------------------------------------------


def mask_explorer() -> Explorer:
    """The temporally-biased mask, and the weights it leaves at equal scores.

    Notebook: 03_biased_mask.
    """
    from ..masks import bias_slopes, temporally_biased_mask

    def draw(tau, style, heads, T):
        M = temporally_biased_mask(T, heads, tau, style).numpy()  # (H, T, T)
        # weights at equal scores, each row scaled to its largest
        W = np.exp(M - M.max(-1, keepdims=True))  # (H, T, T)
        hidden = np.isinf(M)
        gap = max(1, T // 12)  # between the squares of two heads

        fig, (above, below) = plots.new(
            2, 1, width=min(2 * heads + 1.4, 12), height=4.2, sharex=True
        )
        added = _side_by_side(above, np.ma.masked_where(hidden, M), gap, "viridis", -10, 0)
        left = _side_by_side(below, np.ma.masked_where(hidden, W), gap, "cividis", 0, 1)
        fig.colorbar(added, ax=above, label="added to the score")
        fig.colorbar(left, ax=below, label="weight / largest")

        middles = [h * (T + gap) + gap + T / 2 for h in range(heads)]
        slopes = bias_slopes(heads, style).tolist()
        words = [f"slope 1/{round(1 / slope)}" if slope else "slope 0" for slope in slopes]
        below.set_xticks(middles, words)
        below.set_xlabel("looked at (key), one square per head")
        fig.supylabel("looking frame (query)", fontsize=9)
        return fig

    return Explorer(
        draw,
        "mask of {heads} heads over {T} frames and the weights it leaves, style {style}, tau {tau}",
        tau=[50, 25, 10, 5, 2, 1],
        style=["alibi", "single", "none"],
        heads=[4, 8, 2, 1],
        T=[30, 6, 12, 60],
    )


def _side_by_side(ax, maps, gap: int, cmap: str, low: float, high: float):
    """Heat maps (H, T, T) in a row with white gaps; what is masked is grey. Returns the image."""
    _, T, _ = maps.shape
    space = np.ma.masked_all((T, gap))
    row = np.ma.hstack([np.ma.hstack([space, each]) for each in maps])  # (T, H * (T + gap))
    ax.set_facecolor("#D9D9D9")
    image = ax.imshow(row, cmap=cmap, vmin=low, vmax=high)
    for h in range(len(maps)):
        start = h * (T + gap) - 0.5
        ax.axvspan(start, start + gap, color="white")
    return image


# ---- 04_mapper -----------------------------------------------------------------------------------


def top_k_explorer() -> Explorer:
    """What k and temperature leave of the likelihood. Notebook: 04_mapper."""
    import torch

    def draw(k, temperature, attribute, frame):
        logits, bins = _chapter_logits()
        j = column(attribute)
        p = torch.softmax(logits[frame, j] / temperature, -1).numpy()  # (D,)
        mean = int((p * np.arange(len(p))).sum())
        first = max(mean - 60, 0)
        near = (first, min(first + 120, len(p)))
        return plots.bin_likelihood(p, attribute, k, centroids=bins.centroids[j], window=near)

    return Explorer(
        draw,
        "likelihood of {attribute} at frame {frame}, temperature {temperature}, top {k} in orange",
        k=[10, 1, 3, 30, 100, 500],
        temperature=[1.0, 0.3, 0.7, 1.5],
        attribute=["AU25", "AU12", "AU45", "pose_Ry"],
        frame=[17, 5, 40, 80],
    )


def control_explorer() -> Explorer:
    """One attribute led to a value for two seconds, and what the rest of the face makes of it.

    Notebook: 04_mapper.
    """
    from ..control import Control
    from ..sampling import generate
    from ..training import load_pretrained

    mapper, A = load_pretrained("mapper"), _chapter_clip().features()
    seconds = plots.middles(len(A))
    follows = {"AU12": "AU06", "AU01": "AU02"}  # what a face moves along with it

    @cache
    def free() -> np.ndarray:
        return generate(mapper, A, samples=4, seed=2)  # (4, T, 23)

    @cache
    def led(attribute, value, how) -> np.ndarray:
        asked = (attribute, 1.5, 3.5, value)
        control = Control(pins=[asked]) if how == "pin" else Control(pulls=[(*asked, 0.3)])
        return generate(mapper, A, samples=4, seed=2, control=control)  # (4, T, 23)

    def draw(attribute, value, how):
        fig, axes = plots.new(3, 1, width=6.5, height=2.9, sharex=True)
        for ax, name in zip(axes, (attribute, follows[attribute], "AU25")):
            j = column(name)
            loose = free()[..., j].mean(0)  # (T,)
            held = led(attribute, value, how)[..., j].mean(0)
            ax.axvspan(1.5, 3.5, color="#EEEEEE")
            ax.plot(seconds, loose, "--", color="#777777", label="free")
            ax.plot(seconds, held, color=plots.COLOURS["y_hat"], label=how)
            ax.set(ylabel=name, ylim=(0, 1.2 if name in follows.values() else 4))
        axes[0].legend(fontsize=8, loc="upper left")
        axes[-1].set_xlabel("seconds")
        return fig

    return Explorer(
        draw,
        "means of four samples, free, and with {attribute} at {value} by a {how} from 1.5 to 3.5 s",
        attribute=["AU12", "AU01"],
        value=[2, 0, 1, 3],
        how=["pin", "pull"],
    )


# ---- 05_generator --------------------------------------------------------------------------------


def layers_explorer() -> Explorer:
    """What the generator moves, what it paints, and how it chooses between the two.

    Notebook: 05_generator.
    """
    import torch

    from ..actors.actor import Actor
    from ..generator import warp
    from ..training import load_pretrained

    generator = load_pretrained("generator")
    portrait = Actor(_chapter_clip().actor).render(np.zeros(23), generator.config.size)
    source = torch.from_numpy(portrait).permute(2, 0, 1)[None] / 255  # (1, 3, S, S)
    with torch.inference_mode():
        encoded = generator.encode(source)

    def draw(layer, AU25, yaw):
        Z = torch.zeros(1, 23)
        Z[0, column("AU25")] = AU25
        Z[0, column("pose_Ry")] = yaw
        with torch.inference_mode():
            made, painted, keep = generator.layers(encoded, Z)
            motion = generator.motion(encoded, Z)
        layers = {
            "warped": warp(source, motion["flow"]),
            "painted": painted,
            "keep": torch.sigmoid(keep),
            "occlusion": motion["occlusion"],
        }

        shown = {"source": source, layer: layers[layer], "generated": made}
        fig, axes = plots.new(1, 3, width=5.4, height=2)
        for ax, (title, x) in zip(axes, shown.items()):
            # (S, S, 3), or a map (h, w)
            x = x[0].float().clamp(0, 1).permute(1, 2, 0).squeeze(-1).numpy()
            interpolation = "lanczos" if x.ndim == 3 else "nearest"
            ax.imshow(x, cmap="magma", vmin=0, vmax=1, interpolation=interpolation)
            ax.set_title(title, fontsize=9)
            ax.axis("off")
        return fig

    return Explorer(
        draw,
        "the source, {layer}, and what is generated with AU25 (lips part) {AU25} and yaw {yaw} rad",
        layer=["keep", "warped", "painted", "occlusion"],
        AU25=[2, 0, 1, 3],
        yaw=[0.25, 0, 0.1, -0.25],
    )


# ---- 06_evaluation -------------------------------------------------------------------------------


def psnr_explorer() -> Explorer:
    """Three ways to spoil a frame, and what PSNR says. Notebook: 06_evaluation."""
    from ..metrics import psnr, ssim

    image = _chapter_clip().frames()[17].astype(np.float64) / 255

    def blurred(radius: int) -> np.ndarray:
        steps = range(-radius, radius + 1)
        rows = sum(np.roll(image, i, axis=0) for i in steps) / len(steps)
        return sum(np.roll(rows, j, axis=1) for j in steps) / len(steps)

    def draw(fault, amount):
        noise = np.random.default_rng(0).normal(0, 0.02 * amount, image.shape)
        spoilt = {
            "shift": np.roll(image, amount, axis=1),
            "noise": image + noise,
            "blur": blurred(amount),
            "darker": image * (1 - 0.05 * amount),
        }[fault].clip(0, 1)

        score = f"PSNR {psnr(image, spoilt):.1f} dB, SSIM {ssim(image, spoilt):.2f}"
        fig, axes = plots.new(1, 2, width=3.2, height=1.75)
        for ax, picture, title in zip(axes, (image, spoilt), ("frame 17", score)):
            ax.imshow(picture, interpolation="lanczos")
            ax.set_title(title, fontsize=8)
            ax.axis("off")
        return fig

    return Explorer(
        draw,
        "frame 17, and the same frame with {fault} of {amount}",
        fault=["shift", "blur", "noise", "darker"],
        amount=[1, 2, 3, 4, 6, 8],
    )


# ---- 07_your_own_face ----------------------------------------------------------------------------


def exaggerate_explorer() -> Explorer:
    """An animation made weaker or stronger before it drives a face. Notebook: 07_your_own_face."""
    Y = _chapter_clip().animation()[:75]

    def draw(expression, pose):
        gain = np.full(23, expression, np.float32)
        gain[POSE] = pose
        changed = (Y * gain)[None]  # (1, T, 23)
        return plots.samples_over_time(changed, Y, ("AU25", "AU04", "pose_Ry"), labels=["changed"])

    return Explorer(
        draw,
        "three seconds of animation, expression times {expression} and pose times {pose}",
        expression=[1, 0, 0.5, 1.5, 2],
        pose=[1, 0, 0.5, 1.5, 2],
    )


# in the order of the chapters
EXPLORERS = [
    conductor_explorer,
    face_explorer,
    window_explorer,
    attribute_explorer,
    bins_explorer,
    mask_explorer,
    top_k_explorer,
    control_explorer,
    layers_explorer,
    psnr_explorer,
    exaggerate_explorer,
]
