"""Trials: one mapping network, trained with one seed, and what its talking faces are worth on a
fixed set of clips.

The tables and figures of `reproduce` are made of them. Every face is drawn by the shipped
generator, so that methods differ in how they move and in nothing else. What the other methods of
the paper do is copied as paradigms, from the network without probabilities: lips alone on a still
head (as ATVG), a deterministic face (as MakeItTalk), lips under the pose of the recording (as
PC-AVS). A finished trial is kept as JSON and not repeated; an interrupted training goes on from its
checkpoint.

Paper: 4.3, 4.5. Notebook: 06_evaluation.
"""

import hashlib
import json
import math
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ..animation import BLINK, LIPS, POSE, UPPER
from ..examples import known_truth
from ..faces.sync import distances, load_sync, mouth_crops, score
from ..faces.vision import landmarks
from ..files import InputError, atomic_path, make_folder
from ..generator import GenerationNetwork
from ..mapper import MapperConfig, MappingNetwork
from ..metrics import acd, diversity, ebr, frechet_animation, jitter, lip_errors, lmd, psnr, s_off
from ..sampling import generate
from ..talk import render_film
from ..training import (
    GeneratorRecipe,
    MapperRecipe,
    load_pretrained,
    train_generator,
    train_mapper,
)
from .generator_card import played

# what differs from the full model. "measured" is no part of the model: it learns from tracks as
# OpenFace sees them
VARIANTS = {
    "full": {},
    "w/o Prob": {"probabilistic": False},
    "w/o TBM": {"bias": "sinusoidal"},
    **{f"D = {D}": {"bins": D} for D in (10, 100, 250, 750)},
    "full, measured": {},
    "w/o TBM, measured": {"bias": "sinusoidal"},
}
# what needs no training here; the generator tuned to one person
UNTRAINED, SUBJECT = "untrained", "subject"
# steps of 12 windows of 75 frames, and of tuning; test clips; samples of each; the small network is
# for tests
PRESETS = {
    "smoke": {
        "steps": 3,
        "tuning": 2,
        "clips": 2,
        "samples": 2,
        "config": {"d_model": 16, "layers": 1, "heads": 2},
    },
    "laptop": {"steps": 800, "tuning": 200, "clips": 20, "samples": 5, "config": {}},
    "full": {"steps": 6000, "tuning": 2000, "clips": 25, "samples": 10, "config": {}},
}
# what the stored trials were drawn with; the other groups with what they have today
TEMPERATURE = {"blink": 0.97}
# frames of a long clip, and of the parts in which bits are counted: training sees one part
AGES, PART = 300, 75


class Film(NamedTuple):
    """Frames (T, S, S, 3) uint8, what FaceMesh finds in them (T, 468, 3), and how well they fit
    their sound."""

    frames: np.ndarray
    L: np.ndarray
    confidence: float
    offset: int


def look(frames: np.ndarray, A: np.ndarray) -> Film:
    """A film with landmarks and lip sync to the audio features A (T, 400)."""
    L = landmarks(frames)
    return Film(frames, L, *score(distances(load_sync(), mouth_crops(frames, L), A)))


@lru_cache(maxsize=64)
def recording(clip, size: int) -> Film:
    """The film of a clip as its actor plays it."""
    return look(played([clip], size)[0][0].permute(0, 2, 3, 1).numpy(), clip.features())


def run(
    variant: str,
    seed: int,
    preset: str,
    train: list,
    test: list,
    folder: Path,
    generator: GenerationNetwork | None = None,
    progress: bool = True,
) -> dict:
    """One trial -> {"recipe", "clips": {clip: {method: {figure: value}}}, "bits_by_age"}; kept in
    `folder`.

    Without a generator nothing that needs pictures is measured. Beside the JSON lie the animations
    of the first clip, for figures. Raises InputError for an unknown variant.
    """
    if variant not in (*VARIANTS, UNTRAINED, SUBJECT):
        raise InputError(
            f"no variant {variant!r}: choose one of {', '.join([UNTRAINED, SUBJECT, *VARIANTS])}"
        )
    options = PRESETS[preset]
    config = replace(MapperConfig(), **options["config"], **VARIANTS.get(variant, {}))
    # what the result depends on: a stored trial with another recipe is not used
    recipe = {
        "config": asdict(config),
        "steps": options["steps"],
        "samples": options["samples"],
        "seed": seed,
        "train": [clip.name for clip in train],
        "test": [clip.name for clip in test],
        "generator": generator and digest(generator),
    }
    if variant == UNTRAINED:
        recipe["mapper"] = digest(load_pretrained("mapper"))
    name = stem(variant, seed, preset)
    finished, checkpoint = make_folder(folder) / f"{name}.json", folder / f"{name}.ckpt"
    if finished.is_file():
        try:
            kept = json.loads(finished.read_text())
            if kept["recipe"] == recipe and finished.with_name(kept["animations"]).is_file():
                return kept
        except (json.JSONDecodeError, KeyError, TypeError):
            pass  # not one of ours, or of an older version: it is made again
        checkpoint.unlink(missing_ok=True)
    trial, kept = {"recipe": recipe, "animations": f"{name}.npz", "clips": {}}, {}
    if variant == SUBJECT:
        others = [
            run(other, seed, preset, train, test, folder, generator, progress)
            for other in ("w/o Prob", "full")
        ]
        trial["clips"], kept = subject(
            *others, folder, test, generator, options["tuning"], seed, progress
        )
    elif variant == UNTRAINED:
        network = load_pretrained("mapper")
    else:
        how = MapperRecipe(
            config, steps=options["steps"], seed=seed, measured=variant.endswith("measured")
        )
        network, _ = train_mapper(train, how, checkpoint=checkpoint, progress=progress)
        if config.probabilistic:
            trial["bits_by_age"] = bits_by_age(network, test)
    for clip in test if variant != SUBJECT else []:
        shown = methods(variant, network, clip, options["samples"], seed)
        trial["clips"][clip.name] = {
            name: figures(clip, Y, network, generator) for name, Y in shown.items()
        }
        if clip is test[0]:
            kept |= {name: Y[:2].astype(np.float16) for name, Y in shown.items()}
        if variant == "w/o Prob":
            kept[clip.name] = shown["ours"][0].astype(np.float16)  # for what `subject` makes of it
    with (
        atomic_path(finished.with_name(trial["animations"])) as temporary,
        open(temporary, "wb") as file,
    ):
        np.savez_compressed(file, **kept)
    trial = rounded(trial)
    with atomic_path(finished) as temporary:
        temporary.write_text(json.dumps(trial))
    checkpoint.unlink(missing_ok=True)
    return trial


def subject(
    plain: dict,
    full: dict,
    folder: Path,
    test: list,
    generator: GenerationNetwork | None,
    steps: int,
    seed: int,
    progress: bool,
) -> tuple[dict, dict]:
    """Figures of one person's clips: the generator tuned to the first half of them, shown on the
    others. And with seed 0, for Figure 4, eight moments of the first film shown, and their frame
    numbers.

    On the tuned one, lips of the network without probabilities, alone (as Wang et al.) and under
    the expression that a label tells, which is the clip's mean (as EVP); ours on the generator as
    it is shipped. Paper: Table 2.
    """
    if generator is None:
        raise InputError("Table 2 tunes a generator: it needs films")
    people = [clip.actor for clip in test]
    clips = [clip for clip in test if clip.actor == max(sorted(set(people)), key=people.count)]
    learned, shown = clips[: len(clips) // 2], clips[len(clips) // 2 :]
    if not learned:
        raise InputError("Table 2 needs two test clips or more of one person")
    how = GeneratorRecipe(steps=steps, lr=1e-4, seed=seed)
    tuned, _ = train_generator(learned, how, start=generator, progress=progress)
    out, films = {}, {}
    with np.load(folder / plain["animations"]) as animations:
        for clip in shown:
            truth = true_animation(clip)
            still = np.repeat(truth[:1], len(truth), axis=0)
            still[:, LIPS] = animations[clip.name][:, LIPS]
            told = still.copy()
            told[:, UPPER] = truth[:, UPPER].mean(0)
            ways = {"lips alone": still, "emotion told": told}
            out[clip.name] = {
                name: {"ebr": ebr(Y[:, BLINK[0]])} | film_figures(clip, Y, tuned)
                for name, Y in ways.items()
            }
            out[clip.name]["ours"] = full["clips"][clip.name]["ours"]
            if clip is shown[0] and seed == 0:
                films["moments"] = np.linspace(len(truth) // 10, len(truth) - 1, 8).astype(int)
                films |= {name: film(clip, Y, tuned)[films["moments"]] for name, Y in ways.items()}
    return out, films


def stem(variant: str, seed: int, preset: str) -> str:
    """What the files of a trial are called, without their endings."""
    return f"{variant.replace('/', '').replace(' ', '').replace(',', '-')}-{preset}-seed{seed}"


def digest(network: torch.nn.Module) -> str:
    """A name for weights that changes with them."""
    whole = hashlib.sha256()
    for tensor in network.state_dict().values():
        whole.update(tensor.numpy().tobytes())
    return whole.hexdigest()[:12]


def rounded(x):
    """Numbers to five digits, so that a stored trial stays small and is what is computed with."""
    if isinstance(x, dict):
        return {key: rounded(value) for key, value in x.items()}
    return (
        [rounded(value) for value in x]
        if isinstance(x, list)
        else float(f"{x:.5g}")
        if isinstance(x, float)
        else x
    )


def methods(
    variant: str, network: MappingNetwork, clip, samples: int, seed: int
) -> dict[str, np.ndarray]:
    """The animations (n, T, 23) of a clip that a trial shows, by name."""
    truth = true_animation(clip)
    still = np.repeat(truth[:1], len(truth), axis=0)
    Y = generate(
        network, clip.features()[: len(truth)], samples=samples, seed=seed, temperature=TEMPERATURE
    )
    if variant == UNTRAINED:
        return {"copy": still[None], "truth": truth[None], "shipped": Y}
    if variant != "w/o Prob":
        return {"ours": Y}
    static = still.copy()
    static[:, LIPS] = Y[0][:, LIPS]
    posed = static.copy()
    posed[:, POSE] = truth[:, POSE]
    return {"ours": Y[:1], "static pose": static[None], "true pose": posed[None]}


def true_animation(clip) -> np.ndarray:
    """The motion without measurement noise, where the corpus knows it; else the track as measured;
    float32 (T, 23)."""
    clean = known_truth(clip).get("clean")
    return np.asarray(clip.animation() if clean is None else clean, np.float32)[
        : len(clip.features())
    ]


def figures(
    clip, Y: np.ndarray, network: MappingNetwork, generator: GenerationNetwork | None
) -> dict[str, float]:
    """What animations Y (n, T, 23) of a clip are worth against its own; pictures are made of the
    first alone."""
    truth = true_animation(clip)
    bins, errors, far = (
        network.discretizer,
        lip_errors(Y, truth),
        frechet_animation(list(Y), [truth]),
    )
    ours, true = [jitter(y) for y in Y], jitter(truth)
    out = {
        **{f"lip_{which}": value for which, value in errors.items()},
        "floor": lip_errors(bins.decode(bins.encode(truth))[None], truth)["one"],
        "ebr": float(np.mean([ebr(y[:, BLINK[0]]) for y in Y])),
        "blink_spread": float(Y[:, :, BLINK].std(1).mean()),
        "motion_upper": float(
            Y[:, :, UPPER].std(1).mean() / max(truth[:, UPPER].std(0).mean(), 1e-6)
        ),
        "motion_pose": float(Y[:, :, POSE].std(1).mean() / max(truth[:, POSE].std(0).mean(), 1e-6)),
        **{
            f"jitter_{group}": float(
                np.mean([each[group] for each in ours]) / max(true[group], 1e-6)
            )
            for group in true
        },
        "frechet_frames": far["frames"],
        "frechet_steps": far["differences"],
    }
    if len(Y) > 1:
        out |= {f"diversity_{group}": value for group, value in diversity(Y).items()}
    return out | (film_figures(clip, Y[0], generator) if generator else {})


def film(clip, Y: np.ndarray, generator: GenerationNetwork) -> np.ndarray:
    """The frames (T, S, S, 3) of an animation (T, 23), drawn from the first frame of the clip's
    recording."""
    source, truth = recording(clip, generator.config.size).frames[0], true_animation(clip)
    if np.abs(Y - truth[:1]).max() == 0:  # nothing moves: a copy is the source itself
        return np.repeat(source[None], len(Y), axis=0)
    return render_film(generator, source, Y, truth[0])


def film_figures(clip, Y: np.ndarray, generator: GenerationNetwork) -> dict[str, float]:
    """The paper's figures of one animation (T, 23). Paper: 4.3."""
    recorded, frames = recording(clip, generator.config.size), film(clip, Y, generator)
    seen = look(frames, clip.features()[: len(Y)])
    return {
        "psnr": float(
            np.mean([min(psnr(a, b), 60) for a, b in zip(frames[1:], recorded.frames[1 : len(Y)])])
        ),
        "acd": acd(recorded.frames[0], frames[::5]),
        "lmd": lmd(seen.L, recorded.L[: len(Y)]),
        "s_conf": seen.confidence,
        "s_off": s_off(seen.offset, recorded.offset),
    }


@torch.inference_mode()
def bits_by_age(network: MappingNetwork, clips: list) -> list[float]:
    """Teacher-forced bits per attribute in the parts of long clips, made of test clips one after
    the other: does a network still know where it is beyond the length it was trained on? Paper:
    3.2.3."""
    A = torch.from_numpy(
        np.concatenate([clip.features()[: len(true_animation(clip))] for clip in clips])
    )
    y = torch.from_numpy(
        network.discretizer.encode(np.concatenate([true_animation(clip) for clip in clips]))
    )
    long = min(AGES, len(A) // PART * PART)
    bits = []
    for first in range(0, len(A) - long + 1, long):
        part = slice(first, first + long)
        previous = torch.cat([network.start(1)[0], y[part][:-1]])  # (long, 23)
        logits = network(A[part][None], previous[None])[0].float()  # (long, 23, D)
        bits.append(
            torch.nn.functional.cross_entropy(
                logits.transpose(1, 2), y[part], reduction="none"
            ).mean(1)
        )
    return (torch.stack(bits).mean(0).view(-1, PART).mean(1) / math.log(2)).tolist()
