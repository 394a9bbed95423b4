"""Figures of the two networks on the test split: unseen actors, unseen sentences, one unseen voice, real people.

Notebook: 06_evaluation.
"""

from pathlib import Path

import numpy as np

from .animation import FPS, GROUPS, column
from .corpus import Corpus
from .generator import load_generator
from .mapper import load_mapper
from .metrics import diversity, ebr, jitter
from .sampling import generate
from .training import (
    generator_gain,
    generator_pairs,
    held_out,
    load_pretrained,
    mapper_bits,
    mapper_tracks,
    repeat_bits,
)

BILABIALS = {"P", "B", "M"}


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's r of two tracks (T,); 0 where one never moves."""
    return 0.0 if a.std() == 0 or b.std() == 0 else float(np.corrcoef(a, b)[0, 1])


def closed_lips(Y: np.ndarray, phones: list) -> tuple[int, int]:
    """At how many /p b m/ the lips of Y (T, 23) close (AU25 + AU26 under 0.6 in some frame), and how many there are."""
    gap = Y[:, column("AU25")] + Y[:, column("AU26")]
    spans = [gap[int(start * FPS):int(end * FPS) + 1] for phone, start, end in phones if phone in BILABIALS]
    return sum(bool(span.min() < 0.6) for span in spans if len(span)), sum(len(span) > 0 for span in spans)


def evaluate_mapper(weights: str | Path | None = None, samples: int = 5, seed: int = 0) -> dict[str, float]:
    """Figures of a mapper by name: bits per attribute against a baseline, lips, diversity, jitter, blinks.

    For real recordings the truth is the law's lips on the forced alignment. Notebook: 06_evaluation.
    """
    mapper, corpus = load_mapper(weights) if weights else load_pretrained("mapper"), Corpus("samples")
    clips = corpus.select(split="test", kind="speech")
    out: dict[str, float] = {}
    test = mapper_tracks(clips)
    train, _ = held_out(mapper_tracks(corpus.select(split="train", kind="speech")))
    base = repeat_bits(train, test, mapper.discretizer)
    for group, bits in mapper_bits(mapper, test).items():
        out[f"bits {group}"], out[f"bits {group}, repeating the last bin"] = bits, base[group]
    lips: dict[str, list] = {}
    spread: dict[str, list] = {group: [] for group in GROUPS}
    steps: dict[str, list] = {group: [] for group in GROUPS}
    blinks, closed, bilabials = [], 0, 0
    for clip in clips + corpus.select(kind="real"):
        truth = clip.truth()
        if "clean" not in truth:
            continue
        Y = generate(mapper, clip.features(), samples, seed)
        clean = truth["clean"][:Y.shape[1]]
        Y = Y[:, :len(clean)]
        lips.setdefault(clip.voice, []).append([np.mean([correlation(y[:, j], clean[:, j]) for y in Y])
                                                for j in (column("AU25"), column("AU26"))])
        ours, law = [jitter(y) for y in Y], jitter(clean)
        for group in GROUPS:
            steps[group].append((np.mean([step[group] for step in ours]), law[group]))
        if "draws" in truth:
            ours, law = diversity(Y), diversity(truth["draws"])
            for group in GROUPS:
                spread[group].append((ours[group], law[group]))
        blinks += [ebr(y[:, column("AU45")]) for y in Y]
        n, total = closed_lips(Y[0], clip.phones())
        closed, bilabials = closed + n, bilabials + total
    for voice, rows in sorted(lips.items()):
        out[f"lips r AU25, {voice}"], out[f"lips r AU26, {voice}"] = np.mean(rows, axis=0).round(3).tolist()
    for name, pairs in (("diversity", spread), ("jitter", steps)):
        for group in GROUPS:
            ours, law = np.mean(pairs[group], axis=0)
            out[f"{name} {group}, ratio to the law"] = round(float(ours / law), 3)
    out["lips closed at /p b m/"] = round(closed / max(bilabials, 1), 3)
    out["blinks per second"] = round(float(np.mean(blinks)), 3)
    return out


def evaluate_generator(weights: str | Path | None = None) -> dict[str, float]:
    """Figures of a generator by name: PSNR and gain over copying the source, unseen actors. Notebook: 06_evaluation."""
    generator = load_generator(weights) if weights else load_pretrained("generator")
    corpus, out = Corpus("samples"), {}
    for name, clips in (("random attributes", corpus.select(split="test", kind="probe")),
                        ("speech", corpus.select(split="test", kind="speech", rendered=True))):
        figures = generator_gain(generator, generator_pairs(clips, generator.config.size))
        out[f"PSNR, unseen actors, {name}"] = figures["psnr"]
        out[f"gain over copying the source, {name}"] = figures["gain"]
    return out
