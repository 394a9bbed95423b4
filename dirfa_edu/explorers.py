"""The explorers of the chapters: one function each, so that a test can sweep them all.

Notebook: 00_tour to 07_your_own_face.
"""

from functools import lru_cache

import numpy as np

from . import plots
from .animation import POSE, column
from .widgets import Explorer


@lru_cache(maxsize=1)
def _chapter_clip():
    from .corpus import CHAPTER_CLIP, Corpus

    return next(clip for clip in Corpus().clips if clip.name == CHAPTER_CLIP)


@lru_cache(maxsize=1)
def _chapter_logits():
    """Logits (T, 23, D) of the shipped mapper on the chapter clip, with the true past."""
    import torch

    from .training import load_pretrained

    mapper, clip = load_pretrained("mapper"), _chapter_clip()
    y_bar = torch.from_numpy(mapper.discretizer.encode(clip.animation()))[None]  # (1, T, 23)
    y_previous = torch.cat([mapper.start(1), y_bar[:, :-1]], dim=1)
    with torch.inference_mode():
        return mapper(torch.from_numpy(clip.features())[None], y_previous)[0], mapper.discretizer


def face_explorer() -> Explorer:
    """A digital actor moved by three attributes. Notebook: 00_tour."""
    from .actor import ACTORS, Actor

    actor = Actor(sorted(name for name, split in ACTORS.items() if split == "test")[0])

    def draw(AU25, AU12, yaw):
        Z = np.zeros(23, np.float32)
        Z[column("AU25")], Z[column("AU12")], Z[column("pose_Ry")] = AU25, AU12, yaw
        fig, ax = plots.new(width=2.6, height=2.6)
        ax.imshow(actor.render(Z))
        ax.axis("off")
        return fig

    return Explorer(draw, "the actor with AU25 (lips part) {AU25}, AU12 (smile) {AU12}, yaw {yaw} rad",
                    AU25=[0, 1, 2, 3], AU12=[0, 1, 2, 3], yaw=[0, -0.3, -0.15, 0.15, 0.3])


def window_explorer() -> Explorer:
    """The audio window of a frame. Notebook: 01_features."""
    from . import audio

    wave = _chapter_clip().wave()
    mel = audio.log_mel(wave)
    return Explorer(lambda frame: plots.mel_with_window(mel, frame, wave),
                    "speech and log-mel, the window of frame {frame}", frame=[17, 0, 15, 16, 18, 19, 40, 80, 110])


def bins_explorer() -> Explorer:
    """What D bins leave of a track. Notebook: 02_discretization."""
    from .discretize import Discretizer

    Y = _chapter_clip().animation()[:50]

    def draw(D, attribute):
        bins = Discretizer.fit([_chapter_clip().animation()], bins=D)
        y, y_hat = Y[:, column(attribute)], bins.decode(bins.encode(Y))[:, column(attribute)]
        fig, ax = plots.new(height=2.4)
        ax.plot(y, color=plots.COLOURS["Y"], label="Y")
        ax.step(np.arange(len(y)), y_hat, "--", where="mid", color=plots.COLOURS["y_hat"], label="y_hat")
        ax.set(xlabel="frame t", ylabel=attribute, title=f"D = {D}: mean error {np.abs(y - y_hat).mean():.4f}")
        ax.legend(fontsize=8)
        return fig

    return Explorer(draw, "two seconds of {attribute} and its decoded bins, D = {D}",
                    D=[10, 25, 50, 100, 250, 500, 750], attribute=["AU25", "AU12", "AU45", "pose_Ry"])


def mask_explorer() -> Explorer:
    """The temporally-biased mask. Notebook: 03_biased_mask."""
    from .masks import temporally_biased_mask

    def draw(tau, style, heads):
        return plots.attention_mask(temporally_biased_mask(30, heads, tau, style).numpy(), f"{style}, tau = {tau}")

    return Explorer(draw, "mask of {heads} heads over 30 frames, style {style}, tau {tau}",
                    tau=[50, 25, 10, 5, 2, 1], style=["alibi", "single", "none"], heads=[4, 2, 1])


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

    return Explorer(draw, "likelihood of {attribute} at frame {frame}, temperature {temperature}, top {k} in orange",
                    k=[10, 1, 3, 30, 100, 500], temperature=[1.0, 0.3, 0.7, 1.5],
                    attribute=["AU25", "AU12", "AU45", "pose_Ry"], frame=[17, 5, 40, 80])


def portrait_explorer() -> Explorer:
    """The generator moving one portrait. Notebook: 05_generator."""
    import torch

    from .training import load_pretrained

    generator, image = load_pretrained("generator"), _chapter_clip().frames()[0]
    with torch.inference_mode():
        encoded = generator.encode(torch.from_numpy(image).permute(2, 0, 1)[None] / 255)

    def draw(AU25, AU12, yaw):
        Z = torch.zeros(1, 23)
        Z[0, [column("AU25"), column("AU12"), column("pose_Ry")]] = torch.tensor([AU25, AU12, yaw], dtype=torch.float32)
        with torch.inference_mode():
            picture = generator.render(encoded, Z)[0].float().permute(1, 2, 0).clamp(0, 1).numpy()
        return plots.film_strip_figure([np.stack([image / 255, picture])], ["source, generated"], size=2.2)

    return Explorer(draw, "source, and the generated face with AU25 {AU25}, AU12 {AU12}, yaw {yaw}",
                    AU25=[0, 1, 2, 3], AU12=[0, 1, 2, 3], yaw=[0, -0.3, -0.15, 0.15, 0.3])


def psnr_explorer() -> Explorer:
    """Three ways to spoil a frame, and what PSNR says. Notebook: 06_evaluation."""
    from .metrics import psnr

    image = _chapter_clip().frames()[17].astype(np.float64) / 255

    def draw(fault, amount):
        noise = np.random.default_rng(0).normal(0, 0.02 * amount, image.shape)
        steps = range(-amount, amount + 1)
        blur = sum(np.roll(image, (i, j), (0, 1)) for i in steps for j in steps)
        spoilt = {"shift": np.roll(image, amount, axis=1), "noise": (image + noise).clip(0, 1),
                  "blur": blur / len(steps) ** 2}[fault]
        fig = plots.film_strip_figure([np.stack([image, spoilt])], [""], size=2.2)
        fig.suptitle(f"{fault} {amount}: PSNR {psnr(image, spoilt):.1f} dB", fontsize=9)
        return fig

    return Explorer(draw, "frame 17 and the same frame with {fault} of {amount}", fault=["shift", "blur", "noise"],
                    amount=[1, 2, 3, 4, 6, 8])


def exaggerate_explorer() -> Explorer:
    """An animation made weaker or stronger before it drives a face. Notebook: 07_your_own_face."""
    Y = _chapter_clip().animation()[:75]

    def draw(expression, pose):
        gain = np.full(23, expression, np.float32)
        gain[POSE] = pose
        return plots.samples_over_time((Y * gain)[None], Y)

    return Explorer(draw, "three seconds of animation, expression times {expression} and pose times {pose}",
                    expression=[1, 0, 0.5, 1.5, 2], pose=[1, 0, 0.5, 1.5, 2])


EXPLORERS = [face_explorer, window_explorer, bins_explorer, mask_explorer, top_k_explorer, portrait_explorer,
             psnr_explorer, exaggerate_explorer]  # chapters 00 to 07
