"""The paper's Tables 4 and 5 at the scale of a laptop: train the variants, measure them, judge each claim.

What is compared with the paper is the direction of each claim, never its numbers: the actors are ours, the networks
small, the training minutes instead of days. LMD is measured without a generator: the animations move the 68 landmarks
of one digital actor held still at 224 px. What needs real pictures (PSNR, ACD, S_conf, S_off) is not measured here and
said so. A finished run is kept as JSON and not repeated; an interrupted one goes on from its checkpoint.

Paper: Tables 4 and 5. Notebook: 06_evaluation.
"""

import csv
import io
import json
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from .animation import BLINK, GROUPS, UPPER
from .files import InputError, atomic_path, make_folder
from .mapper import MapperConfig, MappingNetwork
from .metrics import HUMAN_EBR, diversity, ebr, frechet_animation, jitter, lip_errors, lmd
from .sampling import generate

# name -> variant -> what differs from the full model
TABLES = {
    "table4": {"w/o Prob": {"probabilistic": False}, "w/o TBM": {"bias": "sinusoidal"}, "Full Model": {}},
    "table5": {f"D = {D}": {"bins": D} for D in (10, 100, 250, 500, 750)},
}
PAPER = {
    "table4": {"w/o Prob": {"PSNR": 29.52, "ACD": 0.318, "LMD": 4.71, "S_conf": 5.60, "S_off": 0.43, "EBR": None},
               "w/o TBM": {"PSNR": 29.38, "ACD": 0.347, "LMD": 6.22, "S_conf": 4.39, "S_off": 0.74, "EBR": 0.59},
               "Full Model": {"PSNR": 29.56, "ACD": 0.331, "LMD": 4.45, "S_conf": 5.82, "S_off": 0.25, "EBR": 0.31}},
    "table5": {f"D = {D}": {"LMD": value} for D, value in
               {10: 9.31, 100: 5.92, 250: 4.77, 500: 4.45, 750: 4.68}.items()},
}
# steps of 12 windows of 75 frames; test clips; samples drawn of each; the small network is for tests of this file
PRESETS = {
    "smoke": {"steps": 3, "clips": 2, "samples": 2, "config": {"d_model": 16, "layers": 1, "heads": 2}},
    "laptop": {"steps": 600, "clips": 8, "samples": 5, "config": {}},
    "full": {"steps": 6000, "clips": 40, "samples": 10, "config": {}},
}
COLUMNS = {  # figure -> (heading, digits)
    "lmd": ("LMD, px ↓", 3), "lip_one": ("lip error, one sample ↓", 3), "lip_mean": ("of the mean ↓", 3),
    "lip_closest": ("closest ↓", 3), "floor": ("of the bins alone", 3), "ebr": ("EBR", 2),
    "motion_upper": ("expression, share of truth", 2), "jitter_pose": ("pose jitter, share of truth", 2),
    "diversity_lips": ("diversity, lips", 2), "diversity_upper": ("expression", 2), "diversity_pose": ("pose", 2),
    "frechet_frames": ("Frechet, frames ↓", 2), "frechet_steps": ("steps ↓", 3),
}
SKIPPED = ("PSNR, ACD, S_conf and S_off of the paper need its pictures, its generator and the published SyncNet; "
           "on our own actors they would measure our renderer.")


def reproduce(name: str, preset: str = "laptop", seeds: int = 1, out: str | Path = "results",
              clips: tuple[list, list] | None = None, progress: bool = True) -> str:
    """Run "table4" or "table5" and write name.md, name.csv and name.json into `out`; return the Markdown.

    `seeds` trainings of each variant; `clips` are (training, test) lists of Clip, the sample corpus if not given.
    Raises InputError for another name or preset. Paper: Tables 4 and 5. Notebook: 06_evaluation.
    """
    if name not in TABLES:
        raise InputError(f"no table called {name!r}: choose one of {', '.join(TABLES)}")
    if preset not in PRESETS:
        raise InputError(f"no preset called {preset!r}: choose one of {', '.join(PRESETS)}")
    if seeds < 1:
        raise InputError(f"give at least one seed, not {seeds}")
    out, (train, test) = make_folder(out), clips or _samples()
    test = test[:: max(1, len(test) // PRESETS[preset]["clips"])][:PRESETS[preset]["clips"]]
    results = {variant: [run(name, variant, preset, seed, train, test, out / "runs", progress)
                         for seed in range(seeds)] for variant in TABLES[name]}
    claims = judge(name, results)
    text = report(name, preset, seeds, results, claims)
    with atomic_path(out / f"{name}.json") as temporary:
        temporary.write_text(json.dumps({"table": name, "preset": preset, "seeds": seeds, "paper": PAPER[name],
                                         "here": results, "claims": claims}, indent=1))
    with atomic_path(out / f"{name}.csv") as temporary:
        temporary.write_text(as_csv(name, results))
    with atomic_path(out / f"{name}.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    return text


def _samples() -> tuple[list, list]:
    from .corpus import Corpus

    corpus = Corpus("samples")
    return corpus.select(split="train", kind="speech"), corpus.select(split="test", kind="speech")


def run(name: str, variant: str, preset: str, seed: int, train: list, test: list, folder: Path,
        progress: bool = True) -> list[dict]:
    """Train and measure one variant with one seed -> a dict of figures per test clip. Kept as JSON in `folder`."""
    from .training import train_mapper

    options = PRESETS[preset]
    config = replace(MapperConfig(), **options["config"], **TABLES[name][variant])
    # what the result depends on: a stored run with another recipe is not used
    recipe = {"config": asdict(config), "steps": options["steps"], "samples": options["samples"], "seed": seed,
              "train": [clip.name for clip in train], "test": [clip.name for clip in test]}
    stem = f"{name}-{variant.replace('/', '').replace(' ', '')}-{preset}-seed{seed}"
    finished, checkpoint = make_folder(folder) / f"{stem}.json", folder / f"{stem}.ckpt"
    if finished.is_file():
        try:
            kept = json.loads(finished.read_text())
            if kept["recipe"] == recipe:
                return kept["figures"]
        except (json.JSONDecodeError, KeyError, TypeError):
            pass  # not one of ours, or of an older version: it is made again
        checkpoint.unlink(missing_ok=True)
    network, _ = train_mapper(train, config, steps=options["steps"], seed=seed, checkpoint=checkpoint,
                              progress=progress)
    figures = [measure(network, clip, options["samples"], seed) for clip in test]
    with atomic_path(finished) as temporary:
        temporary.write_text(json.dumps({"recipe": recipe, "figures": figures}))
    checkpoint.unlink(missing_ok=True)
    return figures


def measure(network: MappingNetwork, clip, samples: int, seed: int) -> dict[str, float]:
    """Figures of one test clip: samples drawn for its sound against its own animation, clean where that is known."""
    Y = generate(network, clip.features(), samples=samples, seed=seed)  # (samples, T, 23)
    truth = np.asarray(true_animation(clip), np.float32)
    T = min(Y.shape[1], len(truth))
    Y, truth = Y[:, :T], truth[:T]
    bins = network.discretizer
    errors, spread = lip_errors(Y, truth), diversity(Y)
    far = frechet_animation(list(Y), [truth])
    still = jitter(truth)
    return {
        "clip": clip.name, "voice": clip.voice, "lmd": float(np.mean([lmd(mouth(y), mouth(truth)) for y in Y])),
        **{f"lip_{which}": value for which, value in errors.items()},
        "floor": lip_errors(bins.decode(bins.encode(truth))[None], truth)["one"],
        "ebr": float(np.mean([ebr(y[:, BLINK[0]]) for y in Y])), "ebr_truth": ebr(truth[:, BLINK[0]]),
        "motion_upper": float(Y[:, :, UPPER].std(1).mean() / max(truth[:, UPPER].std(0).mean(), 1e-6)),
        **{f"jitter_{group}": float(np.mean([jitter(y)[group] for y in Y]) / max(still[group], 1e-6))
           for group in GROUPS},
        **{f"diversity_{group}": value for group, value in spread.items()},
        "frechet_frames": far["frames"], "frechet_steps": far["differences"],
    }


def true_animation(clip) -> np.ndarray:
    """The motion without measurement noise, where the corpus knows it; else the track as measured."""
    try:
        return clip.truth()["clean"]
    except (InputError, KeyError):
        return clip.animation()


@lru_cache(maxsize=1)
def _mouth_basis(size: int = 224) -> tuple[np.ndarray, np.ndarray]:
    """Mouth landmarks of one actor at rest (20, 2) and moved by one unit of each AU (17, 20, 2), px."""
    from .actor import Actor

    actor = Actor("anna")
    rest = actor.landmarks(np.zeros(23), size)[48:]
    moved = [actor.landmarks(np.eye(23)[j], size)[48:] - rest for j in range(17)]
    return rest, np.stack(moved)


def mouth(Y: np.ndarray) -> np.ndarray:
    """An animation (T, 23) -> 20 mouth landmarks (T, 20, 2) in px of an actor at 224 px whose head does not move."""
    rest, moved = _mouth_basis()
    return rest + np.einsum("tj,jnk->tnk", np.asarray(Y)[:, :17], moved)


# ---- judging --------------------------------------------------------------------------------------------------------
def compare(smaller: list[list[dict]], larger: list[list[dict]], figure: str) -> tuple[float, float, float]:
    """Mean of (larger - smaller) of a figure over clips and seeds, pair by pair, with its 95 % interval."""
    from scipy.stats import t

    gaps = np.array([b[figure] - a[figure] for x, y in zip(smaller, larger) for a, b in zip(x, y)])
    if len(gaps) < 2:
        return float(gaps.mean()), -np.inf, np.inf
    half = float(t.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / np.sqrt(len(gaps)))
    return float(gaps.mean()), float(gaps.mean()) - half, float(gaps.mean()) + half


def average(runs: list[list[dict]], figure: str) -> float:
    """Mean of a figure over clips and seeds."""
    return float(np.mean([row[figure] for rows in runs for row in rows]))


def judge(name: str, results: dict[str, list[list[dict]]]) -> list[dict]:
    """The paper's claims about a table, each with a verdict: holds, does not hold here, or cannot be tested here."""
    def claim(text: str, holds: bool | None, reason: str) -> dict:
        verdict = {True: "holds", False: "does not hold here", None: "cannot be tested here"}[holds]
        return {"claim": text, "verdict": verdict, "reason": reason}

    def lower(text: str, small: str, large: str, figure: str, what: str) -> dict:
        gap, low, high = compare(results[small], results[large], figure)
        sure = "beyond chance" if low > 0 or high < 0 else "within chance"
        return claim(text, bool(low > 0), f"{what}: {average(results[small], figure):.3f} ({small}) against "
                     f"{average(results[large], figure):.3f} ({large}), {sure} (95 % interval of the difference "
                     f"{low:.3f} to {high:.3f})")

    if name == "table4":
        full, plain = results["Full Model"], results["w/o Prob"]
        blinks, none = average(full, "ebr"), average(plain, "ebr")
        moves, frozen = average(full, "motion_upper"), average(plain, "motion_upper")
        return [
            lower("the full model has more accurate lips than w/o Prob", "Full Model", "w/o Prob", "lmd", "LMD"),
            lower("the full model has more accurate lips than w/o TBM", "Full Model", "w/o TBM", "lmd", "LMD"),
            claim("without Prob the eyes do not blink", none < 0.05, f"{none:.2f} blinks a second"),
            claim("without Prob expressions freeze", frozen < 0.5 * moves,
                  f"expression moves {frozen:.2f} of what the truth does, {moves:.2f} in the full model"),
            lower("without TBM head poses are abrupt", "Full Model", "w/o TBM", "jitter_pose", "pose jitter"),
            claim("the full model blinks as people do", HUMAN_EBR[0] <= blinks <= HUMAN_EBR[1],
                  f"{blinks:.2f} blinks a second, people {HUMAN_EBR[0]}-{HUMAN_EBR[1]}"),
            claim("PSNR and sync are best in the full model, ACD is best without Prob", None, SKIPPED),
        ]
    floor = average(results["D = 10"], "floor"), average(results["D = 500"], "floor")
    best = min(results, key=lambda variant: average(results[variant], "lmd"))
    return [
        lower("D = 10 has far worse lips than D = 500", "D = 500", "D = 10", "lmd", "LMD"),
        lower("D = 100 has worse lips than D = 500", "D = 500", "D = 100", "lmd", "LMD"),
        claim("the best LMD is at D = 500", best == "D = 500",
              ", ".join(f"{variant} {average(runs, 'lmd'):.3f}" for variant, runs in results.items())),
        claim("a small D restricts the states of the lips", floor[0] > 10 * floor[1],
              f"rounding to bins alone costs {floor[0]:.3f} AU at D = 10 and {floor[1]:.4f} at D = 500"),
    ]


# ---- writing --------------------------------------------------------------------------------------------------------
def as_csv(name: str, results: dict) -> str:
    """One line per variant, seed and test clip."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    figures = list(next(iter(results.values()))[0][0])
    rows.writerow(["table", "variant", "seed", *figures])
    for variant, runs in results.items():
        for seed, per_clip in enumerate(runs):
            rows.writerows([name, variant, seed, *(row[key] for key in figures)] for row in per_clip)
    return text.getvalue()


def report(name: str, preset: str, seeds: int, results: dict, claims: list[dict]) -> str:
    """The Markdown page: what was measured here, beside the paper's own numbers, and a verdict per claim."""
    options, first = PRESETS[preset], next(iter(results.values()))
    lines = [f"# {name.replace('table', 'Table ')}, preset {preset}", "",
             f"{options['steps']} training steps, {seeds} seed(s), {len(first[0])} test clips, {options['samples']} "
             "samples of each. Figures here and in the paper are of other faces and not to be compared in size; "
             "compare rows. LMD here: one actor's mouth, head still, 224 px, mean over 20 points.", ""]
    lines += ["| variant | " + " | ".join(heading for heading, _ in COLUMNS.values()) + " |",
              "|---|" + "---|" * len(COLUMNS)]
    for variant, runs in results.items():
        lines.append(f"| {variant} | " + " | ".join(f"{average(runs, key):.{digits}f}"
                                                    for key, (_, digits) in COLUMNS.items()) + " |")
    lines += ["", f"Blinks a second in the truth of these clips: {average(first, 'ebr_truth'):.2f}.", "",
              "The paper's own numbers:", ""]
    keys = list(next(iter(PAPER[name].values())))
    lines += ["| variant | " + " | ".join(keys) + " |", "|---|" + "---|" * len(keys)]
    for variant, row in PAPER[name].items():
        lines.append(f"| {variant} | " + " | ".join("N/A" if row[k] is None else str(row[k]) for k in keys) + " |")
    lines += ["", "| claim of the paper | verdict | what was measured |", "|---|---|---|"]
    lines += [f"| {c['claim']} | {c['verdict']} | {c['reason']} |" for c in claims]
    return "\n".join(lines) + "\n"
