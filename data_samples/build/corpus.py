"""Make the sample corpus from the spoken audio and its phone times: tracks, truth, films, manifest.

    python data_samples/build/corpus.py tracks     tracks/*.csv and truth/*.npz by law.py
    python data_samples/build/corpus.py films      video/*.mp4 by the digital actors
    python data_samples/build/corpus.py manifest   manifest.csv with sha256
    python data_samples/build/corpus.py compare    what was made against what is shipped

Several jobs may be named at once. `--out FOLDER` makes them elsewhere than in data_samples (`make
corpus` does, and compares), `--clips a,b` makes only these. Everything is seeded by the clip's
place in the list, and what exists is kept: a broken run can be started again.
"""

import argparse
import csv
import multiprocessing
import pathlib
from functools import partial

import law
import numpy as np
import soundfile as sf
import voices
from tqdm import tqdm

from dirfa_edu.actors.actor import neck_translation
from dirfa_edu.actors.looks import CAST
from dirfa_edu.animation import (
    AU_RANGE,
    FPS,
    N_ATTRIBUTES,
    N_AUS,
    POSE,
    ROTATION,
    TRANSLATION,
    column,
    write_openface,
)
from dirfa_edu.audio import SAMPLE_RATE, frame_count, load
from dirfa_edu.data.corpus import Clip
from dirfa_edu.data.integrity import fingerprint
from dirfa_edu.files import atomic_path
from dirfa_edu.video import read_mp4, write_mp4

ROOT = pathlib.Path(__file__).resolve().parent.parent
SIZE = 128
FRAMES_OF_PROBE = 90  # the first PROBE_TRAIN (of corpus.py) of them are for training
DRAWS = {"train": 2, "test": 8}  # further faces for the same sound
MARGINAL_DRAWS = 1000
FILMED_PER_TRAIN_ACTOR = 2
SEEDS_OF_CLIP = 2000  # from one clip's seed to the next: room for the draws of the marginals
FARTHEST = 100  # a probe's head moves no further, mm (and no more radians)
ALIKE = 45  # dB, between a film made again and the shipped one
SEX = {
    "slt": "f",
    "awb": "m",
    "kal16": "m",
    "rms": "m",
    "kumo": "m",
    "librivox-austen": "m",
    "librivox-sonnet": "f",
}
COLUMNS = "clip,kind,split,actor,voice,text,seed,seconds,frames,audio,csv,video,sha256".split(",")
# what a file's integers stand for: AU / 1000, radians / 10000, mm / 100
SCALE = np.r_[np.full(17, 1000), np.full(3, 10000), np.full(3, 100)].astype(np.float32)


def plan() -> list[dict]:
    """Every clip of the corpus, in order: who says what with which seed.

    Voices go to actors of their sex, in turn.
    """
    rows = spoken()
    turn: dict[tuple[str, str], int] = {}
    for row in rows:
        split, sex = row["split"], SEX[row["voice"]]
        cast = [name for name, (s, x, *_) in CAST.items() if (s, x) == (split, sex)]
        n = turn.get((split, sex), 0)
        turn[split, sex] = n + 1
        row["actor"] = cast[n % len(cast)]

    for actor, (split, *_) in CAST.items():
        silent = dict(voice="", text="", audio="")
        rows.append(dict(clip=f"probe_{actor}", kind="probe", split=split, actor=actor, **silent))
    for i, row in enumerate(rows):
        row["seed"] = SEEDS_OF_CLIP * i
        row["csv"] = f"tracks/{row['clip']}.csv"
    return rows


def spoken() -> list[dict]:
    """The clips with sound: what is read by synthetic voices, then real recordings."""
    rows = []
    for clip, split, voice, text, _ in voices.readings():
        audio = f"audio/{clip}.ogg"
        row = dict(clip=clip, kind="speech", split=split, voice=voice, text=text, audio=audio)
        rows.append(row)
    for path in sorted((ROOT / "speech").glob("*.wav")):
        voice = "librivox-" + path.stem.split("_")[0]
        text = path.with_suffix(".txt").read_text(encoding="utf-8").strip()
        audio = f"speech/{path.name}"
        row = dict(clip=path.stem, kind="real", split="test", voice=voice, text=text, audio=audio)
        rows.append(row)
    return rows


def filmed(rows: list[dict]) -> list[dict]:
    """The clips that get a film: all test clips and probes, the first ones of each train actor."""
    seen: dict[str, int] = {}  # speech clips of each actor so far
    chosen = []
    for row in rows:
        if row["split"] == "test" or row["kind"] == "probe":
            chosen.append(row)
            continue
        seen[row["actor"]] = seen.get(row["actor"], 0) + 1
        if seen[row["actor"]] <= FILMED_PER_TRAIN_ACTOR:
            chosen.append(row)
    return chosen


def clean_track(row: dict, out: pathlib.Path) -> np.ndarray:
    """The exact motion of a clip: from its truth file, or for a probe drawn again: (T, 23)."""
    if row["kind"] == "probe":
        return probe(row["seed"])
    with np.load(out / f"truth/{row['clip']}.npz") as data:
        return data["clean"] / SCALE


def probe(seed: int) -> np.ndarray:
    """Random attributes, a new face every frame, the first one neutral: (90, 23).

    Their median pose is exactly zero.
    """
    rng = np.random.default_rng(seed)
    T = FRAMES_OF_PROBE - 1  # odd, so that the median is one of the frames
    Y = np.zeros((T, N_ATTRIBUTES))
    Y[:, :N_AUS] = np.where(rng.random((T, N_AUS)) < 0.35, rng.gamma(1.5, 1.2, (T, N_AUS)), 0)
    for name, chance, low, high in (("AU25", 0.6, 0, 4), ("AU26", 0.5, 0, 4), ("AU45", 0.15, 2, 5)):
        use = rng.random(T) < chance
        Y[use, column(name)] = rng.uniform(low, high, use.sum())
    Y[:, POSE] = rng.normal(size=(T, 6)) * [0.07, 0.12, 0.06, 4, 3, 5]
    Y[:, TRANSLATION] += np.array([neck_translation(angles) for angles in Y[:, ROTATION]])
    Y[:, POSE] -= np.median(Y[:, POSE], 0)
    Y = np.concatenate([np.zeros((1, N_ATTRIBUTES)), Y])

    # what the file can hold is what is filmed
    Y[:, :N_AUS] = Y[:, :N_AUS].clip(*AU_RANGE).round(2)
    Y[:, ROTATION] = Y[:, ROTATION].clip(-FARTHEST, FARTHEST).round(4)
    Y[:, TRANSLATION] = Y[:, TRANSLATION].clip(-FARTHEST, FARTHEST).round(1)
    return Y.astype(np.float32)


def make_track(out: pathlib.Path, row: dict) -> str:
    """Write a clip's CSV (measured) and truth (clean, further draws, event probabilities)."""
    target = out / row["csv"]
    if target.exists():
        return row["clip"]

    seed, actor = row["seed"], list(CAST).index(row["actor"])
    rng = np.random.default_rng([11, seed])
    # where this head sits before this camera: the pose that "relative" is relative to
    offset = np.r_[rng.normal(0, 0.04, 3), rng.normal(0, 12, 2), rng.uniform(500, 600)].round(4)
    if row["kind"] == "probe":
        write_openface(target, probe(seed), np.zeros(6))
        return row["clip"]

    wave, phones = voices.read_clip(row["clip"], ROOT)
    phones = law.heard(phones, wave)
    who = law.style(actor)
    seconds = frame_count(len(wave)) / FPS
    draws = 1 + DRAWS[row["split"]]
    clean, *further = [law.draw(phones, seconds, who, seed + i) for i in range(draws)]
    marginals = {}
    if row["split"] == "test":
        marginals = law.event_marginals(phones, seconds, who, MARGINAL_DRAWS, seed + 100)

    with atomic_path(out / f"truth/{row['clip']}.npz") as path:
        np.savez_compressed(
            path,
            clean=as_int16(clean),
            draws=as_int16(further),
            scale=SCALE,
            event_names=np.array(list(marginals), dtype=str),
            marginals=np.array([np.round(255 * m) for m in marginals.values()], np.uint8),
        )
    write_openface(target, law.measure(clean, seed), offset)
    return row["clip"]


def as_int16(Y) -> np.ndarray:
    """Animations (..., 23) in the units of SCALE."""
    return np.round(np.asarray(Y) * SCALE).clip(-32768, 32767).astype(np.int16)


def make_film(out: pathlib.Path, row: dict) -> str:
    """Film a clip at 128 px from its clean motion, with its sound."""
    from dirfa_edu.actors.actor import Actor

    path = film_of(row, out)
    if not path.exists():
        actor = Actor(row["actor"])
        wave = load(ROOT / row["audio"]) if row["audio"] else None
        frames = (actor.render(y, size=SIZE) for y in clean_track(row, out))
        write_mp4(path, frames, wave, SAMPLE_RATE, crf=14 if row["kind"] == "probe" else 17)
    return row["clip"]


def write_manifest(rows: list[dict], out: pathlib.Path) -> None:
    """manifest.csv from what is on disk."""
    with atomic_path(out / "manifest.csv") as path, path.open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        for row in rows:
            if row["kind"] != "probe" or film_of(row, out).exists():  # a probe is its film
                table.writerow(row | on_disk(row, out))


def film_of(row: dict, out: pathlib.Path) -> pathlib.Path:
    """Where the film of a clip is, if it has one."""
    return out / f"video/{row['clip']}.mp4"


def on_disk(row: dict, out: pathlib.Path) -> dict:
    """What the manifest says of a clip's files."""
    spoken, film = row["kind"] != "probe", film_of(row, out)
    samples = FRAMES_OF_PROBE * SAMPLE_RATE // FPS
    if spoken:
        samples = sf.info(str(ROOT / row["audio"])).frames
    clip = Clip(
        row["clip"],
        row["split"],
        audio=str(ROOT / row["audio"]) if spoken else None,
        csv=str(out / row["csv"]),
        video=str(film) if film.exists() else None,
        phone_file=str(ROOT / f"phones/{row['clip']}.json") if spoken else None,
        truth_file=str(out / f"truth/{row['clip']}.npz") if spoken else None,
    )
    return dict(
        video=f"video/{film.name}" if film.exists() else "",
        seconds=round(samples / SAMPLE_RATE, 3),
        frames=frame_count(samples),
        sha256=fingerprint(clip),
    )


def compare(rows: list[dict], out: pathlib.Path) -> list[str]:
    """What differs between a rebuilt corpus and the shipped one.

    Tracks must be equal, films alike to 45 dB.
    """
    problems: list[str] = []
    alike = []  # dB of each film
    rows = [row for row in rows if (out / row["csv"]).exists()]
    for row in rows:
        problems += other_tracks(row, out)
        new, old = film_of(row, out), film_of(row, ROOT)
        if new.exists():
            alike.append(decibels(new, old))
            if alike[-1] < ALIKE:
                problems.append(f"{new.name} is only {alike[-1]:.1f} dB like the shipped one")
    print(
        f"compared {len(rows)} tracks and {len(alike)} films: {len(problems)} differ; "
        f"least PSNR of a film {min(alike, default=np.inf):.1f} dB"
    )
    return problems


def other_tracks(row: dict, out: pathlib.Path) -> list[str]:
    """What differs in a clip's CSV and truth, which must be equal."""
    problems = []
    if (out / row["csv"]).read_bytes() != (ROOT / row["csv"]).read_bytes():
        problems.append(f"{row['csv']} differs from the shipped one")
    if row["kind"] != "probe":
        truth = f"truth/{row['clip']}.npz"
        with np.load(out / truth) as new, np.load(ROOT / truth) as old:
            wrong = [key for key in old if not np.array_equal(new[key], old[key])]
        problems += [f"{truth}: {key} differs" for key in wrong]
    return problems


def decibels(new: pathlib.Path, old: pathlib.Path) -> float:
    """PSNR of two films, infinite where they are equal."""
    a, b = (read_mp4(path)[0].astype(np.float32) for path in (new, old))
    error = np.square((a - b) / 255).mean()
    return float(-10 * np.log10(error)) if error else np.inf


def main() -> None:
    """Do the jobs that are named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("jobs", nargs="+", choices=("tracks", "films", "manifest", "compare"))
    parser.add_argument("--out", type=pathlib.Path, default=ROOT)
    parser.add_argument("--clips", help="names, with commas between them")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()

    rows, out = plan(), given.out.resolve()
    if given.clips:
        rows = [row for row in rows if row["clip"] in given.clips.split(",")]
    for folder in ("tracks", "truth", "video"):
        (out / folder).mkdir(parents=True, exist_ok=True)

    with multiprocessing.get_context("spawn").Pool(given.processes) as pool:
        if "tracks" in given.jobs:
            # test clips take longest: first
            work = sorted(rows, key=lambda row: row["split"])
            for _ in tqdm(pool.imap_unordered(partial(make_track, out), work), "tracks", len(work)):
                pass
        if "films" in given.jobs:
            # test clips first: the chapters need them
            work = sorted(
                filmed(rows), key=lambda row: (row["split"] != "test", row["kind"] != "speech")
            )
            for _ in tqdm(pool.imap_unordered(partial(make_film, out), work), "films", len(work)):
                pass
    if "manifest" in given.jobs:
        write_manifest(plan(), out)  # always whole
    if "compare" in given.jobs:
        problems = compare(rows, out)
        raise SystemExit("\n".join(problems[:20]) if problems else 0)


if __name__ == "__main__":
    main()
