"""Figures of the mapping network on the test split: unseen sentences, an unseen voice, real people.

Truth is the exact motion, without measurement noise; for real recordings it is the law's lips on
the forced alignment. "The law" is the probability law that the corpus was drawn from: it is known,
so a network's spread and its chances can be compared with those it should have.

Notebook: 04_mapper, 06_evaluation.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

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
CLOSED = 0.6  # AU25 + AU26 of lips that touch
UNSEEN = "rms"  # the voice that no network hears in training
OPENINGS = [column("AU25"), column("AU26")]  # lips part, jaw drops


@dataclass(frozen=True)
class Drawn:
    """A test clip, what a network draws for its speech, and what the law knows about it."""

    clip: object  # data.corpus.Clip
    Y: np.ndarray  # (samples, T, 23)
    clean: np.ndarray  # (T, 23), the exact motion
    further: np.ndarray | None  # (draws, T, 23), further draws of the law; none for real people

    @property
    def voice(self) -> str:
        """The clip's voice, and what is special about it."""
        if self.clip.kind == "real":
            return f"{self.clip.voice}, real"
        return f"{self.clip.voice}, unseen" if self.clip.voice == UNSEEN else self.clip.voice


def evaluate_mapper(
    weights: str | Path | None = None, samples: int = 10, seed: int = 0
) -> dict[str, float]:
    """Figures of a mapper by name, on the test split; the shipped one where no weights are given.

    Bits against two baselines, lips, diversity, jitter, blinks, calibration, and whether it stays
    itself over ten minutes. Takes minutes. Notebook: 06_evaluation.
    """
    mapper = load_mapper(weights) if weights else load_pretrained("mapper")
    corpus = Corpus("samples")
    spoken = corpus.select(split="test", kind="speech")
    drawn = list(draw_clips(mapper, spoken + corpus.select(kind="real"), samples, seed))
    return (
        bit_figures(mapper, corpus)
        | follow_figures(drawn)
        | mouth_figures(drawn, samples)
        | law_figures(drawn)
        | closure_figures(drawn)
        | blink_figures(drawn)
        | histogram_figures(drawn)
        | event_figures(calibration(mapper, spoken, samples, seed))
        | stability(mapper, 60)
        | stability(mapper, 600)
    )


def draw_clips(mapper: MappingNetwork, clips: list, samples: int, seed: int) -> Iterator[Drawn]:
    """Draw samples for the clips whose exact motion is known.

    Each clip has noise of its own: expressions follow it more than the sound, and all clips would
    smile at once.
    """
    for i, clip in enumerate(clips):
        truth = clip.truth()
        if "clean" not in truth:
            continue
        Y = generate(mapper, clip.features(), samples, seed + i, engine="fast")
        T = min(Y.shape[1], len(truth["clean"]))
        yield Drawn(clip, Y[:, :T], truth["clean"][:T], truth.get("draws"))


def rounded_means(rows: dict[str, list], digits: int = 3) -> dict[str, float]:
    """The mean of each name's numbers, rounded."""
    return {name: round(float(np.mean(numbers)), digits) for name, numbers in rows.items()}


# ---- bits ----------------------------------------------------------------------------------------


def bit_figures(mapper: MappingNetwork, corpus: Corpus) -> dict[str, float]:
    """Teacher-forced bits of each group, beside two baselines: no sound, and no past."""
    train, _ = held_out(corpus.select(split="train", kind="speech"))
    test = mapper_tracks(corpus.select(split="test", kind="speech"))
    repeating = repeat_bits(mapper_tracks(train), test, mapper.discretizer)
    audio_only = audio_only_bits()

    figures = {}
    for group, bits in mapper_bits(mapper, test).items():
        figures[f"bits {group}"] = bits
        figures[f"bits {group}, repeating the last bin"] = repeating[group]
        figures[f"bits {group}, audio only"] = audio_only[group]
    return figures


def repeat_bits(data: list, validation: list, bins: Discretizer) -> dict[str, float]:
    """Baseline for `mapper_bits`: repeat the last bin, with training's histogram of steps."""
    D = bins.bins

    def steps_of(tracks: list[np.ndarray]) -> np.ndarray:
        steps = [np.diff(bins.encode(y), axis=0) for y in tracks]
        return np.concatenate(steps) + D  # (frames, 23), 0 .. 2D

    train = steps_of([y for _, tracks in data for y in tracks])
    test = steps_of([tracks[0] for _, tracks in validation])
    bits = np.empty(N_ATTRIBUTES)
    for j in range(N_ATTRIBUTES):
        count = np.bincount(train[:, j], minlength=2 * D + 1) + 0.1  # a little for steps never seen
        surprise = -np.log2(count / count.sum())  # (2D + 1,)
        bits[j] = surprise[test[:, j]].mean()
    return {name: round(float(bits[index].mean()), 3) for name, index in GROUPS.items()}


def audio_only_bits() -> dict[str, float]:
    """Bits of the baseline that never sees its past, as `tools/audio_only.py` measured them."""
    return json.loads(data_path("results", "audio_only.json").read_text(encoding="utf-8"))["bits"]


# ---- lips ----------------------------------------------------------------------------------------


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's r of two tracks (T,); 0 where one never moves."""
    return 0.0 if a.std() == 0 or b.std() == 0 else float(np.corrcoef(a, b)[0, 1])


def follow_figures(drawn: list[Drawn]) -> dict[str, float]:
    """How closely lips and jaw follow the truth, by voice: r, means over samples and clips."""
    rows: dict[str, list] = {}
    for each in sorted(drawn, key=lambda each: each.voice):
        for name in ("AU25", "AU26"):
            j = column(name)
            r = np.mean([correlation(y[:, j], each.clean[:, j]) for y in each.Y])
            rows.setdefault(f"lips r {name}, {each.voice}", []).append(r)
    return rounded_means(rows)


def mouth_errors(Y: np.ndarray, clean: np.ndarray) -> dict[str, np.ndarray]:
    """Mean absolute error of AU25 and AU26 of samples Y (samples, T, 23).

    "each" of them (samples,), that of their "mean", and that of the "closest".
    """
    ours, true = Y[..., OPENINGS], clean[:, OPENINGS]
    each = np.abs(ours - true).mean((1, 2))  # (samples,)
    return {
        "each": each,
        "mean": np.abs(ours.mean(0) - true).mean(),
        "closest": each.min(),
    }


def mouth_figures(drawn: list[Drawn], samples: int) -> dict[str, float]:
    """Errors of the mouth, means over clips."""
    errors = [mouth_errors(each.Y, each.clean) for each in drawn]
    of_sample = np.mean([error["each"] for error in errors], axis=0)  # (samples,)
    return rounded_means(
        {
            "lip error, one sample": of_sample,
            f"lip error, best sample of {samples}": of_sample.min(),
            f"lip error, mean of {samples}": [error["mean"] for error in errors],
            f"lip error, closest of {samples} in each clip": [e["closest"] for e in errors],
        }
    )


def closed_lips(Y: np.ndarray, phones: list) -> tuple[int, int]:
    """At how many /p b m/ the lips of Y (T, 23) close in some frame, and how many there are."""
    gap = Y[:, OPENINGS].sum(1)  # (T,)
    closed = there = 0
    for phone, start, end in phones:
        span = gap[int(start * FPS) : int(end * FPS) + 1]
        if phone in BILABIALS and len(span):
            closed += bool(span.min() < CLOSED)
            there += 1
    return closed, there


def closure_figures(drawn: list[Drawn]) -> dict[str, float]:
    """The share of /p b m/ at which lips close: of all, of voices and of people, and by voice."""
    counts: dict[str, list] = {"all": [], "synthetic voices": [], "real people": []}
    for each in sorted(drawn, key=lambda each: each.voice):
        phones = each.clip.phones()
        count = np.sum([closed_lips(y, phones) for y in each.Y], axis=0)  # (2,)
        who = "real people" if each.clip.kind == "real" else "synthetic voices"
        for name in ("all", who, each.voice):
            counts.setdefault(name, []).append(count)

    figures = {}
    for name, of_clips in counts.items():
        closed, there = np.sum(of_clips, axis=0)
        figures[f"lips closed at /p b m/, {name}"] = round(float(closed / max(there, 1)), 3)
    return figures


# ---- spread, steps and blinks, against the law ---------------------------------------------------


def law_figures(drawn: list[Drawn]) -> dict[str, float]:
    """Diversity and jitter as ratios to the law's, coverage of its draws, liveliness."""
    known = [each for each in drawn if each.further is not None]
    spread = ratios_to_law([(diversity(each.Y), diversity(each.further)) for each in known])
    steps = ratios_to_law([(mean_jitter(each.Y), jitter(each.clean)) for each in drawn])
    covered = [coverage(each.Y, each.further) for each in known]
    livelier = [dynamics_deviation(y, each.clean) for each in drawn for y in each.Y]
    return rounded_means(
        {f"diversity {group}, ratio to the law": ratio for group, ratio in spread.items()}
        | {f"jitter {group}, ratio to the law": ratio for group, ratio in steps.items()}
        | {
            f"coverage of the law's draws, {group}": [share[group] for share in covered]
            for group in GROUPS
        }
        | {"dynamics of the upper face, deviation": livelier}
    )


def ratios_to_law(pairs: list[tuple[dict, dict]]) -> dict[str, float]:
    """(ours, law's) figures by group, a pair a clip -> ratio of their means, by group."""
    return {
        group: np.mean([ours[group] for ours, _ in pairs])
        / np.mean([law[group] for _, law in pairs])
        for group in GROUPS
    }


def mean_jitter(Y: np.ndarray) -> dict[str, float]:
    """`metrics.jitter`, mean over samples (samples, T, 23)."""
    steps = [jitter(y) for y in Y]
    return {group: np.mean([step[group] for step in steps]) for group in GROUPS}


def blink_figures(drawn: list[Drawn]) -> dict[str, float]:
    """Blinks per second, mean over clips and samples."""
    rates = [ebr(y[:, column("AU45")]) for each in drawn for y in each.Y]
    return rounded_means({"blinks per second": rates})


def histogram_figures(drawn: list[Drawn]) -> dict[str, float]:
    """How far each attribute's histogram is from the law's."""
    known = [each for each in drawn if each.further is not None]
    ours = np.concatenate([each.Y.reshape(-1, N_ATTRIBUTES) for each in known])  # (frames, 23)
    law = np.concatenate([each.further.reshape(-1, N_ATTRIBUTES) for each in known])
    return {
        f"distance of histograms (Wasserstein), {name}": round(
            wasserstein(ours[:, j], law[:, j]), 4
        )
        for j, name in enumerate(ATTRIBUTES)
    }


def wasserstein(a: np.ndarray, b: np.ndarray) -> float:
    """How far values must move, on average, to turn one histogram into the other; in their unit."""
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(a, b))


# ---- calibration ---------------------------------------------------------------------------------


def calibration(
    mapper: MappingNetwork, clips: list, samples: int = 20, seed: int = 0
) -> dict[str, np.ndarray]:
    """How often an event is sampled where the law says how likely it is -> {event: (4, 3)}.

    Frames are sorted by the law's stored probability, given the audio, and cut into four equal
    parts; a row holds the part's mean probability by the law, the share of samples that show the
    event there, and the number of frames. The events are those of `animation.observed_events`. No
    real data set can know its law. Notebook: 04_mapper.
    """
    law: dict[str, list] = {}
    seen: dict[str, list] = {}
    for i, clip in enumerate(clips):
        Y = generate(mapper, clip.features(), samples, seed + i, engine="fast")
        events = [observed_events(y) for y in Y]
        for name, p in clip.truth()["events"].items():
            share = np.mean([event[name] for event in events], axis=0)  # (T,)
            n = min(len(p), len(share))
            law.setdefault(name, []).append(p[:n])
            seen.setdefault(name, []).append(share[:n])

    out = {}
    for name in law:
        p, share = np.concatenate(law[name]), np.concatenate(seen[name])  # (frames,) each
        quarters = np.array_split(np.argsort(p, kind="stable"), 4)
        out[name] = np.array([[p[part].mean(), share[part].mean(), len(part)] for part in quarters])
    return out


def event_figures(calibrated: dict[str, np.ndarray]) -> dict[str, float]:
    """The ends of `calibration`: is an event sampled more where it is most likely than least?"""
    figures = {}
    for event, quarters in calibrated.items():
        for which, (law, sampled, _) in (("least", quarters[0]), ("most", quarters[-1])):
            figures[f"{event}, {which} likely quarter, by the law"] = round(float(law), 2)
            figures[f"{event}, {which} likely quarter, sampled"] = round(float(sampled), 2)
    return figures


# ---- ten minutes of speech -----------------------------------------------------------------------


def window_figures(Y: np.ndarray, seconds: float = 3.0) -> np.ndarray:
    """Mean and spread of each attribute in windows of a track (T, 23) -> (windows, 46)."""
    n = int(seconds * FPS)
    windows = [Y[first : first + n] for first in range(0, len(Y) - n + 1, n)]
    figures = [np.r_[window.mean(0), window.std(0)] for window in windows]
    return np.array(figures).reshape(-1, 2 * N_ATTRIBUTES)


def stability(mapper: MappingNetwork, seconds: float, seed: int = 0) -> dict[str, float]:
    """A long speech of test clips in a row: does the face stay what it was in training?

    The share of windows of 3 s whose mean and spread lie within the 0.1-99.9 % quantiles of
    training, over all attributes, for the first and for the second half. Notebook: 04_mapper.
    """
    corpus = Corpus("samples")
    train = mapper_tracks(corpus.select(split="train", kind="speech"))
    usual = np.concatenate([window_figures(track) for _, tracks in train for track in tracks])
    low, high = np.quantile(usual, [0.001, 0.999], axis=0)  # (46,) each

    T = int(seconds * FPS)
    clips = [clip.features() for clip in corpus.select(split="test", kind="speech")]
    repeats = T // sum(map(len, clips)) + 1
    A = np.concatenate(clips * repeats)[:T]
    seen = window_figures(generate(mapper, A, samples=1, seed=seed)[0])

    # low is 0 for what may stay at zero
    inside = ((seen >= low - 1e-3) & (seen <= high + 1e-3)).mean(1)  # (windows,)
    half = len(inside) // 2
    return rounded_means(
        {
            f"{seconds:.0f} s: windows as in training, first half": inside[:half],
            f"{seconds:.0f} s: windows as in training, second half": inside[half:],
        }
    )
