"""Trials: one mapping network, trained with one seed, and what its talking faces are worth.

The tables and figures of the paper are made of them. All are measured on a fixed set of clips, and
every face is drawn by the shipped generator, so that methods differ in how they move and in nothing
else. What the other methods of the paper do is copied as paradigms, from the network without
probabilities: lips alone on a still head (as ATVG), a deterministic face (as MakeItTalk), lips
under the pose of the recording (as PC-AVS). A finished trial is kept as JSON and not repeated; an
interrupted training goes on from its checkpoint.

Paper: 4.3, 4.5. Notebook: 06_evaluation.
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ..animation import BLINK, LIPS, POSE, UPPER
from ..data.corpus import Corpus
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

# ---- what is tried -------------------------------------------------------------------------------

# variant -> how its MapperConfig differs from the full model's. "measured" is no part of the
# model: it learns from tracks as OpenFace sees them
VARIANTS = {
    "full": {},
    "w/o Prob": {"probabilistic": False},
    "w/o TBM": {"bias": "sinusoidal"},
    "D = 10": {"bins": 10},
    "D = 100": {"bins": 100},
    "D = 250": {"bins": 250},
    "D = 750": {"bins": 750},
    "full, measured": {},
    "w/o TBM, measured": {"bias": "sinusoidal"},
}
UNTRAINED = "untrained"  # what needs no training here: copy, truth, the shipped mapper
SUBJECT = "subject"  # the generator tuned to one person


@dataclass(frozen=True)
class Scale:
    """How much is trained and measured."""

    steps: int  # of training a mapper, each of 12 windows of 75 frames
    tuning: int  # steps of tuning the generator to one person
    clips: int  # test clips, at most
    samples: int  # drawn for each of them
    config: dict = field(default_factory=dict)  # what the networks differ in from MapperConfig()


SCALES = {
    "smoke": Scale(  # for tests
        steps=3,
        tuning=2,
        clips=2,
        samples=2,
        config={"d_model": 16, "layers": 1, "heads": 2},
    ),
    "laptop": Scale(steps=800, tuning=200, clips=20, samples=5),
    "full": Scale(steps=6000, tuning=2000, clips=25, samples=10),
}


@dataclass(frozen=True)
class Setup:
    """What all trials of a table or figure share.

    Without a generator nothing that needs pictures is measured.
    """

    preset: str  # a key of SCALES
    train: list  # clips
    test: list
    folder: Path  # where finished trials are kept
    generator: GenerationNetwork | None = None
    progress: bool = True

    @property
    def scale(self) -> Scale:
        return SCALES[self.preset]


def sample_clips(n: int) -> tuple[list, list]:
    """Training clips of the sample corpus, and its first `n` test clips of speech with a film."""
    corpus = Corpus("samples")
    train = corpus.select(split="train", kind="speech")
    test = corpus.select(split="test", kind="speech", rendered=True)
    return train, test[:n]


# ---- one trial -----------------------------------------------------------------------------------


def run_trial(variant: str, seed: int, setup: Setup) -> dict:
    """One trial -> {"recipe", "animations", "clips": {clip: {method: {figure: value}}}, ...}.

    "bits_by_age" is there where a network with probabilities was trained. "animations" names the
    file beside the JSON that holds those of the first clip, for figures.
    Raises InputError for an unknown variant.
    """
    known = [UNTRAINED, SUBJECT, *VARIANTS]
    if variant not in known:
        raise InputError(f"no variant {variant!r}: choose one of {', '.join(known)}")
    name = stem(variant, seed, setup.preset)
    finished = make_folder(setup.folder) / f"{name}.json"
    checkpoint = setup.folder / f"{name}.ckpt"

    recipe = recipe_of(variant, seed, setup)
    stored = stored_trial(finished, recipe)
    if stored is not None:
        return stored
    if finished.is_file():  # of another recipe: so is its checkpoint
        checkpoint.unlink(missing_ok=True)

    if variant == SUBJECT:
        measured, animations = try_tuned(seed, setup)
    else:
        measured, animations = try_network(variant, seed, setup, checkpoint)
    trial = rounded({"recipe": recipe, "animations": f"{name}.npz"} | measured)
    store_trial(finished, trial, animations)
    checkpoint.unlink(missing_ok=True)
    return trial


def try_network(variant: str, seed: int, setup: Setup, checkpoint: Path) -> tuple[dict, dict]:
    """Train a variant's network and measure it on the test clips -> (measured, animations)."""
    measured: dict = {"clips": {}}
    if variant == UNTRAINED:
        network = load_pretrained("mapper")
    else:
        recipe = MapperRecipe(
            config_of(variant, setup.scale),
            steps=setup.scale.steps,
            measured=variant.endswith("measured"),
            seed=seed,
        )
        network, _ = train_mapper(
            setup.train, recipe, checkpoint=checkpoint, progress=setup.progress
        )
        if network.config.probabilistic:
            measured["bits_by_age"] = bits_by_age(network, setup.test)

    animations = {}
    for clip in setup.test:
        shown = methods(variant, network, clip, setup.scale.samples, seed)
        measured["clips"][clip.name] = {
            method: measure_animations(clip, Y, network, setup.generator)
            for method, Y in shown.items()
        }
        if clip is setup.test[0]:
            animations |= {method: Y[:2].astype(np.float16) for method, Y in shown.items()}
        if variant == "w/o Prob":  # for what `try_tuned` makes of it
            animations[clip.name] = shown["ours"][0].astype(np.float16)
    return measured, animations


def try_tuned(seed: int, setup: Setup) -> tuple[dict, dict]:
    """Tune the generator to one person, show the person's other clips -> (measured, films).

    The generator learns from the first half of the clips and shows the second. It shows lips of the
    network without probabilities, alone (as Wang et al.) and under the expression that a label
    tells, which is the clip's mean (as EVP); ours is shown by the generator as it is shipped. With
    seed 0 eight moments of the first film, and their frame numbers, are kept for Figure 4.
    Paper: Table 2.
    """
    if setup.generator is None:
        raise InputError("Table 2 tunes a generator: it needs films")
    learned, shown = clips_of_one_person(setup.test)
    plain = run_trial("w/o Prob", seed, setup)
    full = run_trial("full", seed, setup)
    recipe = GeneratorRecipe(steps=setup.scale.tuning, lr=1e-4, seed=seed)
    tuned, _ = train_generator(learned, recipe, start=setup.generator, progress=setup.progress)

    measured, films = {}, {}
    with np.load(setup.folder / plain["animations"]) as animations:
        for clip in shown:
            paradigms = tuned_paradigms(clip, animations[clip.name])
            figures = {
                method: {"ebr": ebr(Y[:, BLINK[0]])} | measure_film(clip, Y, tuned)
                for method, Y in paradigms.items()
            }
            measured[clip.name] = figures | {"ours": full["clips"][clip.name]["ours"]}
            if clip is shown[0] and seed == 0:
                T = len(true_animation(clip))
                moments = np.linspace(T // 10, T - 1, 8).astype(int)
                films["moments"] = moments
                for method, Y in paradigms.items():
                    films[method] = drive_recording(clip, Y, tuned)[moments]
    return {"clips": measured}, films


def clips_of_one_person(test: list) -> tuple[list, list]:
    """The clips of whom the test set shows most, in two halves."""
    people = [clip.actor for clip in test]
    person = max(sorted(set(people)), key=people.count)
    clips = [clip for clip in test if clip.actor == person]
    half = len(clips) // 2
    if half == 0:
        raise InputError("Table 2 needs two test clips or more of one person")
    return clips[:half], clips[half:]


# ---- what a trial depends on, and where it is kept -----------------------------------------------


def config_of(variant: str, scale: Scale) -> MapperConfig:
    """The configuration of a variant's network."""
    return replace(MapperConfig(), **scale.config, **VARIANTS.get(variant, {}))


def recipe_of(variant: str, seed: int, setup: Setup) -> dict:
    """All that a trial's result depends on: a stored trial with another recipe is not used."""
    recipe = {
        "config": asdict(config_of(variant, setup.scale)),
        "steps": setup.scale.steps,
        "samples": setup.scale.samples,
        "seed": seed,
        "train": [clip.name for clip in setup.train],
        "test": [clip.name for clip in setup.test],
        "generator": digest(setup.generator) if setup.generator else None,
    }
    if variant == UNTRAINED:
        recipe["mapper"] = digest(load_pretrained("mapper"))
    return recipe


def stored_trial(finished: Path, recipe: dict) -> dict | None:
    """The trial in a file, or None where it has another recipe, is damaged or not ours."""
    try:
        trial = json.loads(finished.read_text(encoding="utf-8"))
        complete = finished.with_name(trial["animations"]).is_file()
        return trial if complete and trial["recipe"] == recipe else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def store_trial(finished: Path, trial: dict, animations: dict[str, np.ndarray]) -> None:
    """Write a trial as JSON, and its animations beside it; the JSON comes last."""
    beside = finished.with_name(trial["animations"])
    with atomic_path(beside) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **animations)
    with atomic_path(finished) as temporary:
        temporary.write_text(json.dumps(trial), encoding="utf-8")


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
    """Numbers to five digits: a stored trial stays small, and is what is computed with."""
    if isinstance(x, dict):
        return {key: rounded(value) for key, value in x.items()}
    if isinstance(x, list):
        return [rounded(value) for value in x]
    return float(f"{x:.5g}") if isinstance(x, float) else x


# ---- animations that are shown -------------------------------------------------------------------

# the stored trials were drawn with it; the other groups with what they have today
TRIAL_TEMPERATURE = {"blink": 0.97}


def true_animation(clip) -> np.ndarray:
    """The clip's motion, float32 (T, 23): without measurement noise where the corpus knows it."""
    clean = known_truth(clip).get("clean")
    Y = np.asarray(clip.animation() if clean is None else clean, np.float32)
    return Y[: len(clip.features())]


def methods(
    variant: str, network: MappingNetwork, clip, samples: int, seed: int
) -> dict[str, np.ndarray]:
    """The animations (n, T, 23) of a clip that a trial shows, by name."""
    truth = true_animation(clip)
    A = clip.features()[: len(truth)]
    Y = generate(
        network, A, samples=samples, seed=seed, temperature=TRIAL_TEMPERATURE, engine="fast"
    )
    if variant == UNTRAINED:
        return {"copy": first_frame_held(truth)[None], "truth": truth[None], "shipped": Y}
    if variant != "w/o Prob":
        return {"ours": Y}

    static = first_frame_held(truth)
    static[:, LIPS] = Y[0][:, LIPS]
    posed = static.copy()
    posed[:, POSE] = truth[:, POSE]
    return {"ours": Y[:1], "static pose": static[None], "true pose": posed[None]}


def tuned_paradigms(clip, Y: np.ndarray) -> dict[str, np.ndarray]:
    """What the tuned generator shows of an animation Y (T, 23): its lips alone, or under a label.

    The label tells the clip's mean expression.
    """
    truth = true_animation(clip)
    alone = first_frame_held(truth)
    alone[:, LIPS] = Y[:, LIPS]
    told = alone.copy()
    told[:, UPPER] = truth[:, UPPER].mean(0)
    return {"lips alone": alone, "emotion told": told}


def first_frame_held(Y: np.ndarray) -> np.ndarray:
    """An animation (T, 23) that stays at the first frame of Y."""
    return np.repeat(Y[:1], len(Y), axis=0)


# ---- what animations are worth -------------------------------------------------------------------


def measure_animations(
    clip, Y: np.ndarray, network: MappingNetwork, generator: GenerationNetwork | None
) -> dict[str, float]:
    """What animations Y (n, T, 23) of a clip are worth against its own, by figure.

    Pictures are made of the first alone, and only where there is a generator.
    """
    truth = true_animation(clip)
    bins = network.discretizer
    in_bins = bins.decode(bins.encode(truth))[None]  # (1, T, 23)
    far = frechet_animation(list(Y), [truth])
    ours, true = [jitter(y) for y in Y], jitter(truth)

    figures = {f"lip_{which}": error for which, error in lip_errors(Y, truth).items()}
    figures["floor"] = lip_errors(in_bins, truth)["one"]
    figures["ebr"] = float(np.mean([ebr(y[:, BLINK[0]]) for y in Y]))
    figures["blink_spread"] = float(Y[:, :, BLINK].std(1).mean())
    figures["motion_upper"] = liveliness(Y, truth, UPPER)
    figures["motion_pose"] = liveliness(Y, truth, POSE)
    for group in true:
        steps = np.mean([each[group] for each in ours])
        figures[f"jitter_{group}"] = float(steps / max(true[group], 1e-6))
    figures["frechet_frames"] = far["frames"]
    figures["frechet_steps"] = far["differences"]
    if len(Y) > 1:
        figures |= {f"diversity_{group}": value for group, value in diversity(Y).items()}
    if generator:
        figures |= measure_film(clip, Y[0], generator)
    return figures


def liveliness(Y: np.ndarray, truth: np.ndarray, group: list[int]) -> float:
    """How much a group of attributes moves in animations Y (n, T, 23), as a share of the truth."""
    return float(Y[:, :, group].std(1).mean() / max(truth[:, group].std(0).mean(), 1e-6))


LONG = 300  # frames of a long clip
PART = 75  # frames of the parts in which bits are counted: training sees one part


@torch.inference_mode()
def bits_by_age(network: MappingNetwork, clips: list) -> list[float]:
    """Teacher-forced bits per attribute in each part of long clips.

    Long clips are test clips one after the other. Does a network still know where it is beyond the
    length it was trained on? Paper: 3.2.3.
    """
    tracks = [true_animation(clip) for clip in clips]
    sound = [clip.features()[: len(track)] for clip, track in zip(clips, tracks)]
    A = torch.from_numpy(np.concatenate(sound))  # (frames, 400)
    y_bar = torch.from_numpy(network.discretizer.encode(np.concatenate(tracks)))  # (frames, 23)
    long = min(LONG, len(A) // PART * PART)

    nats = []
    for first in range(0, len(A) - long + 1, long):
        seen = slice(first, first + long)
        previous = torch.cat([network.start(1)[0], y_bar[seen][:-1]])  # (long, 23)
        logits = network(A[seen][None], previous[None])[0].float()  # (long, 23, D)
        logits = logits.transpose(1, 2)  # (long, D, 23)
        surprise = torch.nn.functional.cross_entropy(logits, y_bar[seen], reduction="none")
        nats.append(surprise.mean(1))  # (long,)
    by_part = torch.stack(nats).mean(0).view(-1, PART).mean(1)  # (parts,)
    return (by_part / math.log(2)).tolist()


# ---- what films are worth ------------------------------------------------------------------------


class FilmReading(NamedTuple):
    """A film, and what FaceMesh and the SyncNet read in it."""

    frames: np.ndarray  # (T, S, S, 3) uint8
    L: np.ndarray  # (T, 468, 3), landmarks
    confidence: float  # how well it fits its sound
    offset: int  # by how many frames it comes late


def read_film(frames: np.ndarray, A: np.ndarray) -> FilmReading:
    """Landmarks of a film, and its lip sync to the audio features A (T, 400)."""
    L = landmarks(frames)
    confidence, offset = score(distances(load_sync(), mouth_crops(frames, L), A))
    return FilmReading(frames, L, confidence, offset)


@lru_cache(maxsize=64)
def recording(clip, size: int) -> FilmReading:
    """The film of a clip as its actor plays it."""
    frames, _ = played([clip], size)[0]
    return read_film(frames.permute(0, 2, 3, 1).numpy(), clip.features())


def drive_recording(clip, Y: np.ndarray, generator: GenerationNetwork) -> np.ndarray:
    """The first frame of a clip's recording, driven by an animation Y (T, 23): (T, S, S, 3)."""
    source, truth = recording(clip, generator.config.size).frames[0], true_animation(clip)
    if np.abs(Y - truth[:1]).max() == 0:  # nothing moves: a copy is the source itself
        return np.repeat(source[None], len(Y), axis=0)
    return render_film(generator, source, Y, truth[0])


def measure_film(clip, Y: np.ndarray, generator: GenerationNetwork) -> dict[str, float]:
    """The paper's figures of one animation (T, 23), drawn by a generator. Paper: 4.3."""
    true = recording(clip, generator.config.size)
    ours = read_film(drive_recording(clip, Y, generator), clip.features()[: len(Y)])
    # frame 0 is the source itself; 60 dB stand for pictures that are equal
    quality = [min(psnr(a, b), 60) for a, b in zip(ours.frames[1:], true.frames[1 : len(Y)])]
    return {
        "psnr": float(np.mean(quality)),
        "acd": acd(true.frames[0], ours.frames[::5]),
        "lmd": lmd(ours.L, true.L[: len(Y)]),
        "s_conf": ours.confidence,
        "s_off": s_off(ours.offset, true.offset),
    }
