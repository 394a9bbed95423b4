"""The explorers of the chapters: one function each, so that a test can sweep them all.

Notebook: 00_tour to 07_your_own_face.
"""

from functools import cache, lru_cache

import numpy as np

from .. import plots
from ..animation import POSE, column
from .widgets import Explorer


@lru_cache(maxsize=1)
def _chapter_clip():
    from ..data.corpus import CHAPTER_CLIP, Corpus

    return next(clip for clip in Corpus().clips if clip.name == CHAPTER_CLIP)


@lru_cache(maxsize=1)
def _chapter_logits():
    """Logits (T, 23, D) of the shipped mapper on the chapter clip, with the true past."""
    import torch

    from ..training import load_pretrained

    mapper, clip = load_pretrained("mapper"), _chapter_clip()
    y_bar = torch.from_numpy(mapper.discretizer.encode(clip.truth()["clean"]))[None]  # (1, T, 23)
    y_previous = torch.cat([mapper.start(1), y_bar[:, :-1]], dim=1)
    with torch.inference_mode():
        return mapper(torch.from_numpy(clip.features())[None], y_previous)[0], mapper.discretizer


def conductor_explorer() -> Explorer:
    """The whole system, played: attention, likelihood and face together. Notebook: 00_tour,
    07_your_own_face."""
    from . import conductor  # here: it needs torch and both networks

    return conductor.explorer()


def face_explorer() -> Explorer:
    """A digital actor moved by three attributes. Notebook: 00_tour."""
    from ..actors.actor import Actor

    actor = Actor(_chapter_clip().actor)

    def draw(AU25, AU12, yaw):
        Z = np.zeros(23, np.float32)
        Z[column("AU25")], Z[column("AU12")], Z[column("pose_Ry")] = AU25, AU12, yaw
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


def window_explorer() -> Explorer:
    """The audio window of a frame, in its second of speech and as the network gets it. Notebook:
    01_features."""
    from .. import audio

    clip = _chapter_clip()
    mel, A = audio.log_mel(clip.wave()), clip.features()
    look = {"cmap": "cividis", "origin": "lower", "aspect": "auto", "vmin": 0.1, "vmax": 0.95}
    look["interpolation"] = "nearest"

    def draw(frame, late):
        start = 4 * (frame - late) - 8
        fig, (left, right) = plots.new(1, 2, width=8, height=2.5, width_ratios=[3, 1])
        left.imshow(mel, extent=(0, mel.shape[1], 0, 20), **look)
        left.vlines([4 * frame, 4 * frame + 4], 0, 20, color="white", ls=":", lw=1)
        left.add_patch(plots._rectangle(start, 0, 20, 20))
        for name, start, end in clip.phones():
            if 4 * frame - 48 < 50 * (start + end) < 4 * frame + 52:
                left.text(50 * (start + end), 20.4, name, ha="center", fontsize=7)
        left.set(
            xlim=(4 * frame - 50, 4 * frame + 54),
            xlabel="mel frame (hundredths of a second)",
            ylabel="mel band",
        )
        right.imshow(
            A[max(frame - late, 0)].reshape(20, 20).T, extent=(-0.5, 19.5, -0.5, 19.5), **look
        )
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
        Z = np.zeros(23, np.float32)
        Z[column(attribute)] = strength * (5 if attribute.startswith("AU") else 0.35)
        moved = actor.render(Z)
        fig, axes = plots.new(1, 3, width=4.8, height=2)
        for ax, picture in zip(axes, (neutral, moved, np.abs(moved.astype(int) - neutral).max(2))):
            ax.imshow(
                picture[12:116, 18:110] // 16 * 16,
                cmap="cividis",
                vmin=0,
                vmax=120,
                interpolation="nearest",
            )
            ax.axis("off")
        unit = "" if attribute.startswith("AU") else " rad"
        name = attribute + "_r" * attribute.startswith("AU")
        for ax, words in zip(
            axes, ("neutral", f"{name} = {Z[column(attribute)]:.2f}{unit}", "what changed")
        ):
            ax.set_title(words, fontsize=9)
        return fig

    return Explorer(
        draw,
        "the neutral actor, the actor with {attribute} at {strength} of its range, and what changed",
        attribute=["AU12", "AU06", "AU07", "AU14", "AU20", "AU01", "AU09", "AU26", "pose_Ry"],
        strength=[1.0, 0.0, 0.2, 0.4, 0.6, 0.8],
    )


def bins_explorer() -> Explorer:
    """What D bins leave of a track. Notebook: 02_discretization."""
    from ..discretize import Discretizer

    track = _chapter_clip().animation()
    Y = track[:50]

    def draw(D, attribute):
        bins, j = Discretizer.fit([track], bins=D), column(attribute)
        y, y_hat, w = Y[:, j], bins.decode(bins.encode(Y))[:, j], bins.width[j]
        fig, ax = plots.new(width=7, height=2.5)
        for edge in bins.low[j] + w * np.arange(D + 1 if D <= 50 else 0):
            ax.axhline(edge, color="#E2E2E2", lw=0.6, zorder=0)
        ax.fill_between(
            np.arange(50), y, y_hat, step="mid", color=plots.COLOURS["y_hat"], alpha=0.25, lw=0
        )
        ax.plot(y, color=plots.COLOURS["Y"], label="Y")
        ax.step(
            np.arange(50), y_hat, "--", where="mid", color=plots.COLOURS["y_hat"], label="y_hat"
        )
        ax.set(
            xlabel="frame t (grey lines: edges of bins)" if D <= 50 else "frame t",
            ylabel=attribute,
            ylim=(-0.15, max(y.max(), 1) * 1.25) if attribute.startswith("AU") else None,
            title=f"D = {D}: a bin is {w:.2g} wide, mean error {np.abs(y - y_hat).mean() / w:.2f} of a bin",
        )
        ax.legend(fontsize=8, loc="upper right", ncols=2)
        return fig

    return Explorer(
        draw,
        "two seconds of {attribute} and its decoded bins, D = {D}",
        D=[10, 2, 5, 25, 50, 100, 250, 500, 750],
        attribute=["AU25", "AU12", "AU45", "pose_Ry"],
    )


def mask_explorer() -> Explorer:
    """The temporally-biased mask, and the weights it leaves at equal scores. Notebook:
    03_biased_mask."""
    from ..masks import bias_slopes, temporally_biased_mask

    def draw(tau, style, heads, T):
        M = temporally_biased_mask(T, heads, tau, style).numpy()  # (H, T, T)
        # weights at equal scores, each row scaled to its largest
        W = np.exp(M - M.max(-1, keepdims=True))
        gap = max(1, T // 12)
        fig, axes = plots.new(2, 1, width=min(2 * heads + 1.4, 12), height=4.2, sharex=True)
        for ax, X, cmap, low, name in zip(
            axes,
            (M, W),
            ("viridis", "cividis"),
            (-10, 0),
            ("added to the score", "weight / largest"),
        ):
            shown = np.ma.masked_where(np.isinf(M), X)
            tiles = np.ma.hstack(
                [np.ma.hstack([np.ma.masked_all((T, gap)), each]) for each in shown]
            )
            ax.set_facecolor("#D9D9D9")  # hidden: minus infinity
            drawn = ax.imshow(tiles, cmap=cmap, vmin=low, vmax=0 if low else 1)
            for h in range(heads):
                ax.axvspan(h * (T + gap) - 0.5, h * (T + gap) + gap - 0.5, color="white")
            fig.colorbar(drawn, ax=ax, label=name)
        slopes = bias_slopes(heads, style).tolist()
        axes[1].set_xticks(
            [h * (T + gap) + gap + T / 2 for h in range(heads)],
            [f"slope {'1/' + str(round(1 / s)) if s else 0}" for s in slopes],
        )
        axes[1].set_xlabel("looked at (key), one square per head")
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


def top_k_explorer() -> Explorer:
    """What k and temperature leave of the likelihood. Notebook: 04_mapper."""
    import torch

    def draw(k, temperature, attribute, frame):
        logits, bins = _chapter_logits()
        j = column(attribute)
        p = torch.softmax(logits[frame, j] / temperature, -1).numpy()
        mean = int((p * np.arange(len(p))).sum())
        near = (max(mean - 60, 0), min(max(mean - 60, 0) + 120, len(p)))
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
    Notebook: 04_mapper."""
    from ..control import Control
    from ..sampling import generate
    from ..training import load_pretrained

    mapper, A = load_pretrained("mapper"), _chapter_clip().features()
    seconds = (np.arange(len(A)) + 0.5) / 25

    @cache
    def sampled(control):
        return generate(
            mapper,
            A,
            samples=4,
            seed=2,
            control=Control(**{how: [asked] for how, asked in control}),
        )

    def draw(attribute, value, how):
        asked = (attribute, 1.5, 3.5, value)
        # (4, T, 23)
        free, led = sampled(()), sampled(((f"{how}s", asked if how == "pin" else (*asked, 0.3)),))
        names = [attribute, {"AU12": "AU06", "AU01": "AU02"}[attribute], "AU25"]
        fig, axes = plots.new(3, 1, width=6.5, height=2.9, sharex=True)
        for ax, name in zip(axes, names):
            ax.axvspan(1.5, 3.5, color="#EEEEEE")
            ax.plot(seconds, free[..., column(name)].mean(0), "--", color="#777777", label="free")
            ax.plot(
                seconds, led[..., column(name)].mean(0), color=plots.COLOURS["y_hat"], label=how
            )
            ax.set(ylabel=name, ylim=(0, 1.2 if name in ("AU06", "AU02") else 4))
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


def layers_explorer() -> Explorer:
    """What the generator moves, what it paints, and how it chooses between the two. Notebook:
    05_generator."""
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
        Z[0, column("AU25")], Z[0, column("pose_Ry")] = AU25, yaw
        with torch.inference_mode():
            made, painted, keep = generator.layers(encoded, Z)
            moved = generator.motion(encoded, Z)
        shown = {
            "warped": warp(source, moved["flow"]),
            "painted": painted,
            "keep": torch.sigmoid(keep),
            "occlusion": moved["occlusion"],
        }[layer]
        fig, axes = plots.new(1, 3, width=5.4, height=2)
        for ax, x, words in zip(axes, (source, shown, made), ("source", layer, "generated")):
            # (S, S, 3), or a map (h, w)
            x = x[0].float().clamp(0, 1).permute(1, 2, 0).squeeze(-1).numpy()
            ax.imshow(
                x,
                cmap="magma",
                vmin=0,
                vmax=1,
                interpolation="lanczos" if x.ndim == 3 else "nearest",
            )
            ax.set_title(words, fontsize=9)
            ax.axis("off")
        return fig

    return Explorer(
        draw,
        "the source, {layer}, and what is generated with AU25 (lips part) {AU25} and yaw {yaw} rad",
        layer=["keep", "warped", "painted", "occlusion"],
        AU25=[2, 0, 1, 3],
        yaw=[0.25, 0, 0.1, -0.25],
    )


def psnr_explorer() -> Explorer:
    """Three ways to spoil a frame, and what PSNR says. Notebook: 06_evaluation."""
    from ..metrics import psnr, ssim

    image = _chapter_clip().frames()[17].astype(np.float64) / 255

    def draw(fault, amount):
        noise = np.random.default_rng(0).normal(0, 0.02 * amount, image.shape)
        steps = range(-amount, amount + 1)
        rows = sum(np.roll(image, i, 0) for i in steps) / len(steps)
        spoilt = {
            "shift": np.roll(image, amount, axis=1),
            "noise": (image + noise).clip(0, 1),
            "blur": sum(np.roll(rows, j, 1) for j in steps) / len(steps),
            "darker": image * (1 - 0.05 * amount),
        }[fault].clip(0, 1)
        fig, axes = plots.new(1, 2, width=3.2, height=1.75)
        words = f"PSNR {psnr(image, spoilt):.1f} dB, SSIM {ssim(image, spoilt):.2f}"
        for ax, shown, name in zip(axes, (image, spoilt), ("frame 17", words)):
            ax.imshow(shown, interpolation="lanczos")
            ax.set_title(name, fontsize=8)
            ax.axis("off")
        return fig

    return Explorer(
        draw,
        "frame 17, and the same frame with {fault} of {amount}",
        fault=["shift", "blur", "noise", "darker"],
        amount=[1, 2, 3, 4, 6, 8],
    )


def exaggerate_explorer() -> Explorer:
    """An animation made weaker or stronger before it drives a face. Notebook: 07_your_own_face."""
    Y = _chapter_clip().animation()[:75]

    def draw(expression, pose):
        gain = np.full(23, expression, np.float32)
        gain[POSE] = pose
        return plots.samples_over_time(
            (Y * gain)[None], Y, ("AU25", "AU04", "pose_Ry"), labels=["changed"]
        )

    return Explorer(
        draw,
        "three seconds of animation, expression times {expression} and pose times {pose}",
        expression=[1, 0, 0.5, 1.5, 2],
        pose=[1, 0, 0.5, 1.5, 2],
    )


EXPLORERS = [
    conductor_explorer,
    face_explorer,
    window_explorer,
    attribute_explorer,
    bins_explorer,
    mask_explorer,
    # 00 to 07
    top_k_explorer,
    control_explorer,
    layers_explorer,
    psnr_explorer,
    exaggerate_explorer,
]
