"""Clips on disk: the sample corpus, folders of OpenFace CSVs, VoxCeleb2 and LRW, all as one list of `Clip`.

The layout is recognised by its shape; nothing is read before a clip is asked for it. Speech clips of the sample corpus
carry their exact clean motion and further draws of the law that made them: see data_samples/README.md.

Paper: 4.1 (VoxCeleb2, LRW). Notebook: 00_tour.
"""

import csv
import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from . import audio as sound
from . import video as pictures
from .animation import FPS, column, read_openface
from .files import InputError, data_path

CHAPTER_CLIP = "slt_001"  # five seconds followed through all chapters; frame 17 is the stressed AE of "map"
SPLITS = ("train", "val", "test")
MOVIES = (".mp4", ".avi", ".mov", ".mkv", ".webm")
SOUNDS = (".wav", ".ogg", ".flac", ".mp3", ".m4a")


@dataclass(frozen=True)
class Clip:
    """One recording: what is known about it, and where its files are. Reading happens in the methods.

    `kind` is "speech" (synthetic voice), "probe" (random attributes, no sound) or "real" (a human voice).
    """

    name: str
    split: str
    actor: str = ""
    voice: str = ""
    text: str = ""
    kind: str = "speech"
    seconds: float | None = None
    audio: Path | None = None
    csv: Path | None = None
    video: Path | None = None
    phone_file: Path | None = None
    truth_file: Path | None = None
    sha256: str = ""

    def wave(self) -> np.ndarray:
        """Speech at 16 kHz: float32 (N,). Raises InputError where the clip has no sound."""
        source = self.audio or self.video
        if source is None:
            raise InputError(f"the clip {self.name} has no sound: choose one of kind 'speech' or 'real'")
        if source.suffix.lower() in MOVIES + (".m4a",):
            return _sound_of(source)
        return sound.load(source)

    def features(self) -> np.ndarray:
        """Audio features A: float32 (T, 400), one window per video frame. Paper: 4.1."""
        return sound.frame_features(self.wave())

    def animation(self) -> np.ndarray:
        """Animation Y as measured: float32 (T, 23), pose relative to its median. Raises InputError without a CSV."""
        if self.csv is None:
            raise InputError(f"the clip {self.name} has no OpenFace CSV beside it: make one with dirfa-edu extract")
        # a probe's random poses have no neutral to find: its zeros are the actor's own
        return read_openface(self.csv, absolute=self.kind == "probe")

    def frames(self) -> np.ndarray:
        """Pictures at 25 fps: uint8 (T, H, W, 3). Raises InputError where the clip was not filmed."""
        if self.video is None:
            raise InputError(f"the clip {self.name} has no video: choose one with select(rendered=True)")
        frames, fps, _ = pictures.read_mp4(self.video)
        if abs(fps - FPS) < 0.01:
            return frames
        middles = (np.arange(max(1, round(len(frames) * FPS / fps))) + 0.5) / FPS
        return frames[(middles * fps).astype(int).clip(0, len(frames) - 1)]

    def truth(self) -> dict:
        """What only a made corpus knows -> {"clean": (T, 23), "draws": (n, T, 23), "events": {name: (T,)}}.

        `clean` is the motion before measurement noise, `draws` are further faces for the same sound, `events` (test
        clips; else empty) the law's probability of each of `observed_events` in each frame.
        Raises InputError for recordings of other corpora. Notebook: 06_evaluation.
        """
        if self.truth_file is None:
            raise InputError(f"{self.name} has no known truth: it was not made by the motion law")
        with np.load(self.truth_file) as data:
            scale = data["scale"]
            names, marginals = data["event_names"].tolist(), data["marginals"].astype(np.float32) / 255
            return {"clean": data["clean"] / scale, "draws": data["draws"] / scale,
                    "events": dict(zip(names, marginals, strict=True))}

    def phones(self, stress: bool = False) -> list[tuple]:
        """Phones as (ARPABET name, start s, end s); with `stress` a fourth item, 1 for stressed vowels, else 0."""
        if self.phone_file is None:
            raise InputError(f"the clip {self.name} has no phone times: only speech of the sample corpus has")
        return [tuple(row if stress else row[:3]) for row in json.loads(self.phone_file.read_text())]


class Corpus:
    """A list of clips found under a folder; "samples" is the corpus shipped beside the package.

    >>> Corpus("samples").select(split="test", voice="rms", rendered=True)[0].wave().ndim
    1
    """

    def __init__(self, root: str | Path = "samples"):
        self.root = data_path() if str(root) == "samples" else Path(root)
        if not self.root.is_dir():
            raise InputError(f"no folder at {self.root}: give the folder that holds the clips")

    @cached_property
    def clips(self) -> list[Clip]:
        """All clips, in the manifest's order or by name. Raises InputError where no known layout is found."""
        for find in (_samples, _voxceleb2, _lrw, _openface):
            clips = find(self.root)
            if clips:
                return clips
        raise InputError(f"no clips under {self.root}: expected a manifest.csv, OpenFace CSVs, or the folders of "
                         "VoxCeleb2 or LRW")

    def __getitem__(self, name: str) -> Clip:
        for clip in self.clips:
            if clip.name == name:
                return clip
        raise InputError(f"no clip named {name!r} under {self.root}: it has {len(self.clips)} others, "
                         f"the first is {self.clips[0].name!r}")

    def select(self, split: str | None = None, kind: str | None = None, rendered: bool | None = None,
               voice: str | None = None, actor: str | None = None) -> list[Clip]:
        """The clips that agree with everything given; `rendered` asks for clips with (or without) video."""
        return [c for c in self.clips
                if (split is None or c.split == split) and (kind is None or c.kind == kind)
                and (rendered is None or (c.video is not None) == rendered)
                and (voice is None or c.voice == voice) and (actor is None or c.actor == actor)]

    def check(self) -> list[str]:
        """Problems of the corpus, each in one sentence: missing or changed files, actors in two splits; [] is good."""
        problems, home = [], {}
        for clip in self.clips:
            files = (clip.audio, clip.csv, clip.video, clip.phone_file, clip.truth_file)
            missing = [path for path in files if path and not path.is_file()]
            problems += [f"{clip.name}: {path.relative_to(self.root)} is missing" for path in missing]
            if clip.sha256 and not missing and fingerprint(clip) != clip.sha256:
                problems.append(f"{clip.name}: its audio, CSV or video is not the one in the manifest (sha256)")
            if clip.actor and home.setdefault(clip.actor, clip.split) != clip.split:
                problems.append(f"{clip.name}: actor {clip.actor} is in the splits {home[clip.actor]} and {clip.split}")
        return problems


def fingerprint(clip: Clip) -> str:
    """sha256 of a clip's audio, CSV and video, one after the other, as 64 hex digits."""
    digest = hashlib.sha256()
    for path in (clip.audio, clip.csv, clip.video):
        digest.update(path.read_bytes() if path else b"")
    return digest.hexdigest()


def observed_events(Y: np.ndarray) -> dict[str, np.ndarray]:
    """Which events an animation (T, 23) shows in which frame: {name: bool (T,)}. Works on any track, made or measured.

    A nod is a head 0.02 rad lower than its own mean over one second. Notebook: 06_evaluation.

    >>> {name: int(seen.sum()) for name, seen in observed_events(np.zeros((50, 23))).items() if seen.any()}
    {}
    """
    Y = np.asarray(Y)
    pitch = Y[:, column("pose_Rx")]
    near = np.pad(pitch, FPS // 2, mode="edge")
    mean = np.convolve(near, np.ones(FPS) / FPS, mode="valid")[:len(pitch)]  # FPS is odd: centred on the frame
    level = {name: Y[:, column(name)] for name in ("AU01", "AU02", "AU04", "AU06", "AU12", "AU45")}
    return {"brow raise": (level["AU01"] > 0.5) & (level["AU02"] > 0.5), "frown": level["AU04"] > 0.5,
            "squint": level["AU06"] > 0.5, "smile": level["AU12"] > 0.7, "blink": level["AU45"] > 1,
            "nod": pitch - mean > 0.02}


def _samples(root: Path) -> list[Clip]:
    """Our own layout: manifest.csv names everything."""
    if not (root / "manifest.csv").is_file():
        return []
    clips = []
    with (root / "manifest.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if not {"clip", "kind", "split", "audio", "csv", "video"} <= set(row):
                raise InputError(f"{root / 'manifest.csv'} is not this corpus's manifest: columns are missing")
            path = {key: root / row[key] if row[key] else None for key in ("audio", "csv", "video")}
            spoken = row["kind"] != "probe"
            clips.append(Clip(row["clip"], row["split"], row["actor"], row["voice"], row["text"], row["kind"],
                              float(row["seconds"]), **path, sha256=row["sha256"],
                              phone_file=root / f"phones/{row['clip']}.json" if spoken else None,
                              truth_file=root / f"truth/{row['clip']}.npz" if spoken else None))
    return clips


def _voxceleb2(root: Path) -> list[Clip]:
    """[dev|test]/[mp4]/id00012/VIDEO/00001.mp4, sound in the twin folder aac/ as .m4a or in the mp4."""
    clips = []
    for path in sorted(root.glob("**/id[0-9]*/*/*.mp4")):
        parts = path.relative_to(root).parts
        who = next(p for p in parts if re.fullmatch(r"id\d{5}", p))
        m4a = root.joinpath(*("aac" if p == "mp4" else p for p in parts)).with_suffix(".m4a")
        split = "test" if "test" in parts else "train"
        clips.append(Clip("/".join((who, *parts[-2:]))[:-4], split, actor=who, voice=who, kind="real",
                          audio=m4a if m4a.is_file() else path, csv=_beside(path, (".csv",)), video=path))
    return clips


def _lrw(root: Path) -> list[Clip]:
    """WORD/{train,val,test}/WORD_00001.mp4."""
    clips = []
    for path in sorted(root.glob("**/*_[0-9]*.mp4")):
        word, split = path.parent.parent.name, path.parent.name
        if split in SPLITS and re.fullmatch(re.escape(word) + r"_\d{5}", path.stem):
            clips.append(Clip(path.stem if split == "train" else f"{split}/{path.stem}", split, text=word, kind="real",
                              audio=path, csv=_beside(path, (".csv",)), video=path))
    return clips


def _openface(root: Path) -> list[Clip]:
    """CSVs as OpenFace writes them, with a film or a recording of the same name beside each.

    A folder train, val or test on the way down gives the split; without one a clip belongs to train.
    """
    clips = []
    for path in sorted(root.glob("**/*.csv")):
        with path.open(errors="replace") as file:
            header = [name.strip() for name in file.readline().split(",")]
        if "AU01_r" not in header:
            continue
        parts = path.relative_to(root).parts
        movie = _beside(path, MOVIES)
        clips.append(Clip("/".join(parts)[:-4], next((p for p in parts[:-1] if p in SPLITS), "train"), kind="real",
                          audio=_beside(path, SOUNDS) or movie, csv=path, video=movie))
    return clips


def _beside(path: Path, suffixes: tuple) -> Path | None:
    """A file of the same name and folder with one of the suffixes."""
    return next((path.with_suffix(s) for s in suffixes if path.with_suffix(s).is_file()), None)


def _sound_of(path: Path) -> np.ndarray:
    """The sound track of a film or m4a file at 16 kHz mono: float32 (N,)."""
    import av

    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise InputError(f"{path} has no sound track: put a wav of the same name beside its CSV")
            resampler = av.AudioResampler("flt", "mono", sound.SAMPLE_RATE)
            pieces = [p.to_ndarray()[0] for frame in container.decode(audio=0) for p in resampler.resample(frame)]
            pieces += [p.to_ndarray()[0] for p in resampler.resample(None)]
    except av.FFmpegError as error:
        raise InputError(f"{path} is not a film or sound that can be read ({error})") from error
    return np.concatenate(pieces).astype(np.float32)
