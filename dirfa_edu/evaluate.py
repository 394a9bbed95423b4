"""Figures of the two networks on the test split: unseen actors, unseen sentences, one unseen voice, real people.

Notebook: 06_evaluation.
"""

from pathlib import Path

import numpy as np

from .animation import FPS, GROUPS, N_ATTRIBUTES, column
from .corpus import PROBE_TRAIN, Corpus
from .discretize import Discretizer
from .examples import generator_pairs, held_out, mapper_tracks
from .generator import load_generator
from .mapper import load_mapper
from .metrics import diversity, ebr, jitter
from .sampling import generate
from .training import generator_gain, load_pretrained, mapper_bits

BILABIALS = {"P", "B", "M"}


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's r of two tracks (T,); 0 where one never moves."""
    return 0.0 if a.std() == 0 or b.std() == 0 else float(np.corrcoef(a, b)[0, 1])


def closed_lips(Y: np.ndarray, phones: list) -> tuple[int, int]:
    """At how many /p b m/ the lips of Y (T, 23) close (AU25 + AU26 under 0.6 in some frame), and how many there are."""
    gap = Y[:, column("AU25")] + Y[:, column("AU26")]
    spans = [gap[int(start * FPS):int(end * FPS) + 1] for phone, start, end in phones if phone in BILABIALS]
    return sum(bool(span.min() < 0.6) for span in spans if len(span)), sum(len(span) > 0 for span in spans)


def repeat_bits(data: list, validation: list, bins: Discretizer) -> dict[str, float]:
    """Baseline for `mapper_bits`: repeat the last bin, with the histogram of steps seen in training."""
    D = bins.bins

    def steps_of(tracks: list[np.ndarray]) -> np.ndarray:
        return np.concatenate([np.diff(bins.encode(y), axis=0) for y in tracks]) + D  # (frames, 23), 0..2D

    train = steps_of([y for _, tracks in data for y in tracks])
    test = steps_of([tracks[0] for _, tracks in validation])
    bits = np.empty(N_ATTRIBUTES)
    for j in range(N_ATTRIBUTES):
        count = np.bincount(train[:, j], minlength=2 * D + 1) + 0.1  # a little for steps never seen
        bits[j] = -np.log2(count / count.sum())[test[:, j]].mean()
    return {name: round(float(bits[index].mean()), 3) for name, index in GROUPS.items()}


def evaluate_mapper(weights: str | Path | None = None, samples: int = 5, seed: int = 0) -> dict[str, float]:
    """Figures of a mapper by name: bits per attribute against a baseline, lips, diversity, jitter, blinks.

    For real recordings the truth is the law's lips on the forced alignment. Notebook: 06_evaluation.
    """
    mapper, corpus = load_mapper(weights) if weights else load_pretrained("mapper"), Corpus("samples")
    clips = corpus.select(split="test", kind="speech")
    out: dict[str, float] = {}
    test = mapper_tracks(clips)
    train = mapper_tracks(held_out(corpus.select(split="train", kind="speech"))[0])
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
    """Figures of a generator by name: PSNR and gain over copying the source. Notebook: 06_evaluation.

    Seen actors are measured on the frames of their probes that training never used.
    """
    generator = load_generator(weights) if weights else load_pretrained("generator")
    corpus, out = Corpus("samples"), {}
    size = generator.config.size
    for name, clips in (("seen actors, unseen frames", corpus.select(split="train", kind="probe")),
                        ("unseen actors, random attributes", corpus.select(split="test", kind="probe")),
                        ("unseen actors, speech", corpus.select(split="test", kind="speech", rendered=True))):
        data = generator_pairs(clips, size)
        if name.startswith("seen"):
            keep = [0, *range(PROBE_TRAIN, len(data[0][0]))]  # the first frame is the source
            data = [(frames[keep], Z[keep]) for frames, Z in data]
        figures = generator_gain(generator, data)
        out[f"PSNR, {name}"], out[f"gain over copying the source, {name}"] = figures["psnr"], figures["gain"]
    return out
