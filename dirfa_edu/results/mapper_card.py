"""Figures of the mapping network on the test split: unseen sentences, one unseen voice, real
people.

Notebook: 06_evaluation.
"""

import json
from pathlib import Path

import numpy as np

from ..animation import ATTRIBUTES, FPS, GROUPS, N_ATTRIBUTES, column, observed_events
from ..data.corpus import Corpus
from ..discretize import Discretizer
from ..examples import held_out, mapper_tracks
from ..files import data_path
from ..mapper import MappingNetwork, load_mapper
from ..metrics import coverage, diversity, dynamics_deviation, ebr, jitter
from ..sampling import generate
from ..training import load_pretrained, mapper_bits

BILABIALS = {"P", "B", "M"}
UNSEEN = "rms"  # the voice that no network hears in training


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's r of two tracks (T,); 0 where one never moves."""
    return 0.0 if a.std() == 0 or b.std() == 0 else float(np.corrcoef(a, b)[0, 1])


def closed_lips(Y: np.ndarray, phones: list) -> tuple[int, int]:
    """At how many /p b m/ the lips of Y (T, 23) close (AU25 + AU26 under 0.6 in some frame), and
    how many there are."""
    gap = Y[:, column("AU25")] + Y[:, column("AU26")]
    spans = [
        gap[int(start * FPS) : int(end * FPS) + 1]
        for phone, start, end in phones
        if phone in BILABIALS
    ]
    return sum(bool(span.min() < 0.6) for span in spans if len(span)), sum(
        len(span) > 0 for span in spans
    )


def repeat_bits(data: list, validation: list, bins: Discretizer) -> dict[str, float]:
    """Baseline for `mapper_bits`: repeat the last bin, with the histogram of steps seen in
    training."""
    D = bins.bins

    def steps_of(tracks: list[np.ndarray]) -> np.ndarray:
        # (frames, 23), 0..2D
        return np.concatenate([np.diff(bins.encode(y), axis=0) for y in tracks]) + D

    train = steps_of([y for _, tracks in data for y in tracks])
    test = steps_of([tracks[0] for _, tracks in validation])
    bits = np.empty(N_ATTRIBUTES)
    for j in range(N_ATTRIBUTES):
        count = np.bincount(train[:, j], minlength=2 * D + 1) + 0.1  # a little for steps never seen
        bits[j] = -np.log2(count / count.sum())[test[:, j]].mean()
    return {name: round(float(bits[index].mean()), 3) for name, index in GROUPS.items()}


def lip_errors(Y: np.ndarray, clean: np.ndarray) -> dict[str, np.ndarray]:
    """Mean absolute error of AU25 and AU26 of samples Y (samples, T, 23): of each, of their mean,
    of the closest."""
    mouth = [column("AU25"), column("AU26")]
    each = np.abs(Y[..., mouth] - clean[:, mouth]).mean((1, 2))  # (samples,)
    return {
        "each": each,
        "mean": np.abs(Y[..., mouth].mean(0) - clean[:, mouth]).mean(),
        "closest": each.min(),
    }


def audio_only_bits() -> dict[str, float]:
    """Bits of the baseline that never sees its past, as measured when it was trained
    (`tools/audio_only.py`)."""
    return json.loads(data_path("results", "audio_only.json").read_text())["bits"]


def evaluate_mapper(
    weights: str | Path | None = None, samples: int = 10, seed: int = 0
) -> dict[str, float | str]:
    """Figures of a mapper by name, on the test split: bits against two baselines, lips, diversity,
    jitter, blinks.

    Truth is the exact motion, without measurement noise. For real recordings it is the law's lips
    on the forced alignment. Notebook: 06_evaluation.
    """
    mapper, corpus = (
        load_mapper(weights) if weights else load_pretrained("mapper"),
        Corpus("samples"),
    )
    clips = corpus.select(split="test", kind="speech")
    out: dict[str, float | str] = {}
    test = mapper_tracks(clips)
    train = mapper_tracks(held_out(corpus.select(split="train", kind="speech"))[0])
    base, deaf = repeat_bits(train, test, mapper.discretizer), audio_only_bits()
    for group, bits in mapper_bits(mapper, test).items():
        out[f"bits {group}"] = bits
        out[f"bits {group}, repeating the last bin"], out[f"bits {group}, audio only"] = (
            base[group],
            deaf[group],
        )
    lips: dict[str, list] = {}
    spread: dict[str, list] = {group: [] for group in GROUPS}
    steps: dict[str, list] = {group: [] for group in GROUPS}
    closed: dict[str, list] = {}
    covered: dict[str, list] = {group: [] for group in GROUPS}
    blinks, errors, livelier, values = [], [], [], ([], [])
    for i, clip in enumerate(clips + corpus.select(kind="real")):
        truth = clip.truth()
        if "clean" not in truth:
            continue
        # each clip has noise of its own: expressions follow it more than the sound, and all clips
        # would smile at once
        Y = generate(mapper, clip.features(), samples, seed + i)
        clean = truth["clean"][: Y.shape[1]]
        Y = Y[:, : len(clean)]
        heard = f"{clip.voice}{', real' if clip.kind == 'real' else ', unseen' if clip.voice == UNSEEN else ''}"
        lips.setdefault(heard, []).append(
            [
                np.mean([correlation(y[:, j], clean[:, j]) for y in Y])
                for j in (column("AU25"), column("AU26"))
            ]
        )
        ours, law = [jitter(y) for y in Y], jitter(clean)
        for group in GROUPS:
            steps[group].append((np.mean([step[group] for step in ours]), law[group]))
        if "draws" in truth:
            ours, law = diversity(Y), diversity(truth["draws"])
            share = coverage(Y, truth["draws"])
            for group in GROUPS:
                spread[group].append((ours[group], law[group]))
                covered[group].append(share[group])
            for kept, tracks in zip(values, (Y, truth["draws"])):
                kept.append(tracks.reshape(-1, N_ATTRIBUTES))  # (samples * T, 23)
        errors.append(lip_errors(Y, clean))
        livelier += [dynamics_deviation(y, clean) for y in Y]
        blinks += [ebr(y[:, column("AU45")]) for y in Y]
        closed.setdefault(heard, []).append(
            np.sum([closed_lips(y, clip.phones()) for y in Y], axis=0)
        )
    for voice, rows in sorted(lips.items()):
        out[f"lips r AU25, {voice}"], out[f"lips r AU26, {voice}"] = (
            np.mean(rows, axis=0).round(3).tolist()
        )
    one = np.mean(
        [error["each"] for error in errors], axis=0
    )  # (samples,): each sample's over all clips
    out["lip error, one sample"] = round(float(one.mean()), 3)
    out[f"lip error, best sample of {samples}"] = round(float(one.min()), 3)
    out[f"lip error, mean of {samples}"] = round(
        float(np.mean([error["mean"] for error in errors])), 3
    )
    out[f"lip error, closest of {samples} in each clip"] = round(
        float(np.mean([e["closest"] for e in errors])), 3
    )
    for name, pairs in (("diversity", spread), ("jitter", steps)):
        for group in GROUPS:
            ours, law = np.mean(pairs[group], axis=0)
            out[f"{name} {group}, ratio to the law"] = round(float(ours / law), 3)
    out |= {
        f"coverage of the law's draws, {group}": round(float(np.mean(covered[group])), 3)
        for group in GROUPS
    }
    out["dynamics of the upper face, deviation"] = round(float(np.mean(livelier)), 3)
    real, made = (
        sum((rows for voice, rows in closed.items() if voice.endswith("real") == is_real), [])
        for is_real in (True, False)
    )
    closed = {"all": made + real, "synthetic voices": made, "real people": real} | dict(
        sorted(closed.items())
    )
    for voice, rows in closed.items():
        n, total = np.sum(rows, axis=0)
        out[f"lips closed at /p b m/, {voice}"] = round(float(n / max(total, 1)), 3)
    out["blinks per second"] = round(float(np.mean(blinks)), 3)
    ours, law = (np.concatenate(kept) for kept in values)  # (frames, 23)
    for j, name in enumerate(ATTRIBUTES):
        out[f"distance of histograms (Wasserstein), {name}"] = round(
            wasserstein(ours[:, j], law[:, j]), 4
        )
    for event, rows in calibration(mapper, clips, samples, seed).items():
        (low, ours_low), (high, ours_high) = rows[0, :2], rows[-1, :2]
        out[f"{event}: law's probability, least and most likely quarter"] = f"{low:.2f} {high:.2f}"
        out[f"{event}: sampled there"] = f"{ours_low:.2f} {ours_high:.2f}"
    return out | stability(mapper, 60) | stability(mapper, 600)


def calibration(
    mapper: MappingNetwork, clips: list, samples: int = 20, seed: int = 0
) -> dict[str, np.ndarray]:
    """How often an event is sampled where the law says how likely it is -> {event: (4, 3)}.

    Frames are sorted by the law's stored probability, given the audio, and cut into four equal
    parts; a row holds the part's mean probability by the law, the share of samples that show the
    event there, and the number of frames. The events are those of `animation.observed_events`. No real
    data set can know its law. Notebook: 04_mapper.
    """
    law: dict[str, list] = {}
    seen: dict[str, list] = {}
    for i, clip in enumerate(clips):
        events = [observed_events(y) for y in generate(mapper, clip.features(), samples, seed + i)]
        for name, p in clip.truth()["events"].items():
            share = np.mean([event[name] for event in events], axis=0)  # (T,)
            n = min(len(p), len(share))
            law.setdefault(name, []).append(p[:n])
            seen.setdefault(name, []).append(share[:n])
    out = {}
    for name in law:
        p, share = np.concatenate(law[name]), np.concatenate(seen[name])
        parts = np.array_split(np.argsort(p, kind="stable"), 4)
        out[name] = np.array([[p[part].mean(), share[part].mean(), len(part)] for part in parts])
    return out


def window_figures(Y: np.ndarray, seconds: float = 3.0) -> np.ndarray:
    """Mean and spread of each attribute in windows of a track (T, 23) -> (windows, 46)."""
    n = int(seconds * FPS)
    windows = [Y[first : first + n] for first in range(0, len(Y) - n + 1, n)]
    return np.array([np.r_[w.mean(0), w.std(0)] for w in windows]).reshape(-1, 2 * N_ATTRIBUTES)


def stability(mapper: MappingNetwork, seconds: float, seed: int = 0) -> dict[str, float]:
    """A long speech, made of test clips one after the other: does the face stay what it was in
    training?

    The share of windows of 3 s whose mean and spread lie within the 0.1-99.9 % quantiles of
    training, over all attributes, for the first and for the second half. Notebook: 04_mapper.
    """
    corpus = Corpus("samples")
    exact = [
        track
        for _, tracks in mapper_tracks(corpus.select(split="train", kind="speech"))
        for track in tracks
    ]
    low, high = np.quantile(
        np.concatenate([window_figures(track) for track in exact]), [0.001, 0.999], axis=0
    )
    clips = [clip.features() for clip in corpus.select(split="test", kind="speech")]
    A = np.concatenate(clips * (int(seconds * FPS) // sum(map(len, clips)) + 1))[
        : int(seconds * FPS)
    ]
    seen = window_figures(generate(mapper, A, samples=1, seed=seed)[0])
    # (windows,), low is 0 for what may stay at zero
    inside = ((seen >= low - 1e-3) & (seen <= high + 1e-3)).mean(1)
    half = len(inside) // 2
    return {
        f"{seconds:.0f} s: windows as in training, first half": round(
            float(inside[:half].mean()), 3
        ),
        f"{seconds:.0f} s: windows as in training, second half": round(
            float(inside[half:].mean()), 3
        ),
    }


def evaluate_sync(
    weights: str | Path | None = None, farthest: int = 8, seed: int = 0
) -> dict[str, float]:
    """Figures of a SyncNet by name, on the filmed test clips, unseen actors and sentences: how
    often it finds, to the frame, by how much the sound was moved, and how surely (area under the
    ROC curve) its confidence tells a clip's own sound from the same sound with its frames shuffled,
    and from another clip's. Notebook: 06_evaluation.
    """
    from ..faces.sync import distances, load_sync, mouth_crops, score, shifted

    network, noise, found = load_sync(weights), np.random.default_rng(seed), []
    films = Corpus("samples").select(split="test", kind="speech", rendered=True)
    pairs = [(mouth_crops(clip.frames()), clip.features()) for clip in films]
    confidence: dict[str, list] = {"own": [], "shuffled": [], "another clip's": []}
    for i, (crops, A) in enumerate(pairs):
        T = min(len(crops), len(A))
        for shift in range(-farthest, farthest + 1):
            found.append(score(distances(network, *shifted(crops, A, shift)))[1] == -shift)
        for name, sound in (
            ("own", A[:T]),
            ("shuffled", A[noise.permutation(T)]),
            ("another clip's", np.resize(pairs[(i + 1) % len(pairs)][1], (T, A.shape[1]))),
        ):
            confidence[name].append(score(distances(network, crops[:T], sound))[0])
    out = {f"sound moved by up to {farthest} frames, found to the frame": float(np.mean(found))}
    for name in ("shuffled", "another clip's"):
        higher = np.subtract.outer(confidence["own"], confidence[name]) > 0
        out[f"own sound against {name}, area under ROC"] = float(higher.mean())
    return {
        name: round(value, 3)
        for name, value in (
            out
            | {
                f"S_conf, {name} sound": float(np.mean(values))
                for name, values in confidence.items()
            }
        ).items()
    }


def wasserstein(a: np.ndarray, b: np.ndarray) -> float:
    """How far the values of one histogram must move, on average, to become the other, in the
    attribute's own unit."""
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(a, b))
