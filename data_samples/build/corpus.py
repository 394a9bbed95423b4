"""Make the sample corpus from the spoken audio and its phone times: tracks, truth, films, manifest.

    python data_samples/build/corpus.py tracks     tracks/*.csv and truth/*.npz by the motion law (law.py)
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
from dirfa_edu.animation import ATTRIBUTES, FPS, POSE, write_openface
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
    """Every clip of the corpus, in order: who says what with which seed. Voices go to actors of
    their sex, in turn."""
    rows, turn = [], {}
    spoken = [
        (clip, "speech", split, voice, text, f"audio/{clip}.ogg")
        for clip, split, voice, text, _ in voices.readings()
    ]
    for path in sorted((ROOT / "speech").glob("*.wav")):
        voice = "librivox-" + path.stem.split("_")[0]
        text = path.with_suffix(".txt").read_text().strip()
        spoken.append((path.stem, "real", "test", voice, text, f"speech/{path.name}"))
    for clip, kind, split, voice, text, audio in spoken:
        cast = [a for a, row in CAST.items() if row[0] == split and row[1] == SEX[voice]]
        n = turn[split, SEX[voice]] = turn.get((split, SEX[voice]), -1) + 1
        actor = cast[n % len(cast)]
        rows.append(
            dict(
                clip=clip, kind=kind, split=split, actor=actor, voice=voice, text=text, audio=audio
            )
        )
    rows += [
        dict(
            clip=f"probe_{actor}",
            kind="probe",
            split=row[0],
            actor=actor,
            voice="",
            text="",
            audio="",
        )
        for actor, row in CAST.items()
    ]
    for i, row in enumerate(rows):
        # room for the draws of the marginals
        row["seed"] = 2000 * i
        row["csv"] = f"tracks/{row['clip']}.csv"
    return rows


def filmed(rows: list[dict]) -> list[dict]:
    """The clips that get a film: all test clips, all probes, the first clips of each train actor."""
    count, out = {}, []
    for row in rows:
        seen = count[row["actor"], row["kind"]] = count.get((row["actor"], row["kind"]), 0) + 1
        if row["split"] == "test" or row["kind"] == "probe" or seen <= FILMED_PER_TRAIN_ACTOR:
            out.append(row)
    return out


def clean_track(row: dict, out: pathlib.Path) -> np.ndarray:
    """The exact motion of a clip: from its truth file, or for a probe drawn again: (T, 23)."""
    if row["kind"] == "probe":
        return probe(row["seed"])
    with np.load(out / f"truth/{row['clip']}.npz") as data:
        return data["clean"] / SCALE


def probe(seed: int) -> np.ndarray:
    """Random attributes, a new face every frame, the first one neutral: (90, 23). Their median pose
    is exactly zero."""
    rng = np.random.default_rng(seed)
    # odd, so that the median is one of the frames
    T = FRAMES_OF_PROBE - 1
    Y = np.zeros((T, 23))
    Y[:, :17] = np.where(rng.random((T, 17)) < 0.35, rng.gamma(1.5, 1.2, (T, 17)), 0)
    for name, chance, low, high in (("AU25", 0.6, 0, 4), ("AU26", 0.5, 0, 4), ("AU45", 0.15, 2, 5)):
        j, use = ATTRIBUTES.index(name), rng.random(T) < chance
        Y[use, j] = rng.uniform(low, high, use.sum())
    Y[:, POSE] = rng.normal(size=(T, 6)) * [0.07, 0.12, 0.06, 4, 3, 5]
    Y[:, POSE[3:]] += np.array([neck_translation(angles) for angles in Y[:, POSE[:3]]])
    Y[:, POSE] -= np.median(Y[:, POSE], 0)
    Y = np.concatenate(
        [np.zeros((1, 23)), Y.clip(-100, 5 * (np.arange(23) < 17) + 100 * (np.arange(23) >= 17))]
    )
    # what the file can hold is what is filmed
    return np.concatenate([Y[:, :17].round(2), Y[:, 17:20].round(4), Y[:, 20:].round(1)], 1).astype(
        np.float32
    )


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
    phones, who, seconds = law.heard(phones, wave), law.style(actor), frame_count(len(wave)) / FPS
    clean, *further = [
        law.draw(phones, seconds, who, seed + i) for i in range(1 + DRAWS[row["split"]])
    ]
    marginals = (
        law.event_marginals(phones, seconds, who, MARGINAL_DRAWS, seed + 100)
        if row["split"] == "test"
        else {}
    )
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

    path = out / f"video/{row['clip']}.mp4"
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
            film, spoken = out / f"video/{row['clip']}.mp4", row["kind"] != "probe"
            if not spoken and not film.exists():
                continue  # a probe is its film
            row = dict(row, video=f"video/{row['clip']}.mp4" if film.exists() else "")
            samples = (
                sf.info(str(ROOT / row["audio"])).frames
                if spoken
                else FRAMES_OF_PROBE * SAMPLE_RATE // FPS
            )
            clip = Clip(
                row["clip"],
                row["split"],
                audio=str(ROOT / row["audio"]) if spoken else None,
                csv=str(out / row["csv"]),
                video=str(film) if film.exists() else None,
                phone_file=str(ROOT / f"phones/{row['clip']}.json") if spoken else None,
                truth_file=str(out / f"truth/{row['clip']}.npz") if spoken else None,
            )
            row.update(
                seconds=round(samples / SAMPLE_RATE, 3),
                frames=frame_count(samples),
                sha256=fingerprint(clip),
            )
            table.writerow(row)


def compare(rows: list[dict], out: pathlib.Path) -> list[str]:
    """What differs between a rebuilt corpus and the shipped one: tracks must be equal, films alike
    to 45 dB."""
    problems, worst, tracks, films = [], np.inf, 0, 0
    for row in rows:
        new, old = out / row["csv"], ROOT / row["csv"]
        if not new.exists():
            continue
        tracks += 1
        if new.read_bytes() != old.read_bytes():
            problems.append(f"{row['csv']} differs from the shipped one")
        new, old = (base / f"truth/{row['clip']}.npz" for base in (out, ROOT))
        if row["kind"] != "probe":
            with np.load(new) as a, np.load(old) as b:
                wrong = [key for key in b if not np.array_equal(a[key], b[key])]
            problems += [f"truth/{row['clip']}.npz: {key} differs" for key in wrong]
        new, old = (base / f"video/{row['clip']}.mp4" for base in (out, ROOT))
        if new.exists():
            films += 1
            a, b = (read_mp4(path)[0].astype(np.float32) for path in (new, old))
            dB = (
                np.inf
                if np.array_equal(a, b)
                else float(-10 * np.log10(np.square((a - b) / 255).mean()))
            )
            worst = min(worst, dB)
            if dB < 45:
                problems.append(f"{new.name} is only {dB:.1f} dB like the shipped one")
    print(
        f"compared {tracks} tracks and {films} films: {len(problems)} differ; least PSNR of a film {worst:.1f} dB"
    )
    return problems


def main():
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
            # test clips take longest: last
            work = sorted(rows, key=lambda row: row["split"])[::-1]
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
