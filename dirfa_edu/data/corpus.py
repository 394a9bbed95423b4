"""Clips on disk: the sample corpus, OpenFace's folders, VoxCeleb2 and LRW, all as a list of `Clip`.

The layout is recognised by its shape (layouts.py); nothing is read before a clip is asked for it.
Speech clips of the sample corpus carry their exact clean motion and further draws of the law that
made them: see data_samples/README.md.

Paper: 4.1 (VoxCeleb2, LRW). Notebook: 00_tour.
"""

import hashlib
import io
import json
import os
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from .. import audio, video
from ..animation import FPS, read_openface, valid_frames
from ..files import InputError, atomic_path, data_path
from . import layouts
from .integrity import damage

# five seconds followed through all chapters; frame 17 is the stressed AE of "map"
CHAPTER_CLIP = "slt_001"
# of a probe's 90 frames these first ones are for training, the rest are held out, in train too
PROBE_TRAIN = 40
LRW_SECONDS = 1.16  # every LRW clip has 29 frames; its word lies in the middle
FILMS_WITH_SOUND = (*layouts.FILM_SUFFIXES, ".m4a")  # what PyAV reads sound from, not soundfile


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording: what is known about it, and where its files are. Reading happens in methods.

    `kind` is "speech" (synthetic voice), "probe" (random attributes, no sound) or "real" (a human
    voice). Paths are kept as text: a corpus may have a million clips, and a million Paths fill
    twice the memory.
    """

    name: str
    split: str
    actor: str = ""
    voice: str = ""
    text: str = ""
    kind: str = "speech"
    seconds: float | None = None
    audio: str | None = None
    csv: str | None = None
    video: str | None = None
    phone_file: str | None = None
    truth_file: str | None = None
    sha256: str = ""
    cache: str | None = field(default=None, compare=False, repr=False)

    def wave(self) -> np.ndarray:
        """Speech at 16 kHz: float32 (N,). Raises InputError where the clip has no sound."""
        path = self.sound_file()
        if path.suffix.lower() in FILMS_WITH_SOUND:
            return video.read_sound(path)
        return audio.load(path)

    def features(self) -> np.ndarray:
        """Audio features A: float32 (T, 400), one window per video frame. Paper: 4.1.

        With a cache (`Corpus(..., cache=FOLDER)` or the variable DIRFA_EDU_CACHE) they are kept on
        disk under the sha256 of the sound file, and read again bit for bit; a damaged cache file is
        made again.
        """
        folder = self.cache or os.environ.get("DIRFA_EDU_CACHE")
        if folder:
            return _cached_features(self, Path(folder))
        return audio.frame_features(self.wave())

    def animation(self, missing_pose: str = "error") -> np.ndarray:
        """Animation Y as measured: float32 (T, 23), pose relative to its median.

        `missing_pose="zeros"` accepts a CSV without pose columns. Raises InputError without a CSV.
        """
        # a probe's random poses have no neutral to find: its zeros are the actor's own
        absolute = self.kind == "probe"
        return read_openface(self.track_file(), absolute=absolute, missing_pose=missing_pose)

    def valid(self) -> np.ndarray:
        """Which frames of `animation()` were measured and not filled in: bool (T,).

        Raises InputError without a CSV.
        """
        return valid_frames(self.track_file())

    def frames(self) -> np.ndarray:
        """Pictures at 25 fps: uint8 (T, H, W, 3). Raises InputError where the clip has no film."""
        if self.video is None:
            raise InputError(
                f"the clip {self.name} has no video: choose one with select(rendered=True)"
            )
        frames, fps, _ = video.read_mp4(self.video)
        if abs(fps - FPS) < 0.01:
            return frames

        # of another rate the frames that show at the middles of the new ones
        T = max(1, round(len(frames) * FPS / fps))
        middles = (np.arange(T) + 0.5) / FPS  # s
        return frames[(middles * fps).astype(int).clip(0, len(frames) - 1)]

    def truth(self) -> dict:
        """What only a made corpus knows: {"clean": (T, 23), "draws": (n, T, 23), "events": ...}.

        `clean` is the motion before measurement noise, `draws` are further faces for the same
        sound, `events` (test clips; else empty) {name: (T,)} the law's probability of each of
        `animation.observed_events` in each frame. Raises InputError for recordings of other
        corpora. Notebook: 06_evaluation.
        """
        if self.truth_file is None:
            raise InputError(f"{self.name} has no known truth: it was not made by the motion law")
        with np.load(self.truth_file) as data:
            scale = data["scale"]
            names = data["event_names"].tolist()
            marginals = data["marginals"].astype(np.float32) / 255
            return {
                "clean": data["clean"] / scale,
                "draws": data["draws"] / scale,
                "events": dict(zip(names, marginals, strict=True)),
            }

    def phones(self, stress: bool = False) -> list[tuple]:
        """Phones as (ARPABET name, start s, end s).

        With `stress` a fourth item: 1 for stressed vowels, else 0. Raises InputError where the clip
        has no phone times.
        """
        if self.phone_file is None:
            raise InputError(
                f"the clip {self.name} has no phone times: only speech of the sample corpus has"
            )
        rows = json.loads(Path(self.phone_file).read_text(encoding="utf-8"))
        return [tuple(row if stress else row[:3]) for row in rows]

    def word_span(self) -> tuple[float, float]:
        """Where an LRW clip says its word: (start s, end s).

        It is read from the "Duration" in the .txt beside the film. Raises InputError for clips
        without such a file.
        """
        path = Path(self.video).with_suffix(".txt") if self.video else None
        text = path.read_text(errors="replace") if path and path.is_file() else ""
        duration = re.search(r"^Duration:\s*([0-9.]+)\s*seconds", text, re.MULTILINE)
        if not duration:
            raise InputError(
                f"the clip {self.name} has no word times: LRW keeps 'Duration: ... seconds' in a "
                ".txt beside each film"
            )
        half = min(float(duration[1]), LRW_SECONDS) / 2
        return LRW_SECONDS / 2 - half, LRW_SECONDS / 2 + half

    def sound_file(self) -> Path:
        """The recording, or the film that holds it. Raises InputError where there is neither."""
        path = self.audio or self.video
        if path is None:
            raise InputError(
                f"the clip {self.name} has no sound: choose one of kind 'speech' or 'real'"
            )
        return Path(path)

    def track_file(self) -> Path:
        """The OpenFace CSV. Raises InputError where there is none."""
        if self.csv is None:
            raise InputError(
                f"the clip {self.name} has no OpenFace CSV beside it: make one with "
                "dirfa-edu extract"
            )
        return Path(self.csv)


class Corpus:
    """A list of clips found under a folder; "samples" is the corpus shipped beside the package.

    `progress=False` hides the bar that a search of more than a second shows; `cache` is a folder
    for audio features. After the search `skipped` says what was passed over: {reason: (how many,
    the first path)}. Raises InputError where there is no such folder.

    >>> Corpus("samples").select(split="test", voice="rms", rendered=True)[0].wave().ndim
    1
    """

    def __init__(
        self, root: str | Path = "samples", progress: bool = True, cache: str | Path | None = None
    ) -> None:
        # asked for by the manifest: a wheel's samples have none, and say where the corpus is
        self.root = data_path("manifest.csv").parent if str(root) == "samples" else Path(root)
        self.progress = progress
        self.cache = None if cache is None else str(cache)
        self.skipped: layouts.Skipped = {}
        if not self.root.is_dir():
            raise InputError(f"no folder at {self.root}: give the folder that holds the clips")

    @cached_property
    def clips(self) -> list[Clip]:
        """All clips, in the manifest's order or by name. Warns once of what had to be skipped.

        Raises InputError where no known layout is found.
        """
        self.skipped.clear()
        found = self._bar(layouts.find(str(self.root), self.skipped), "looking for clips")
        clips = [Clip(**row, cache=self.cache) for row in found]
        said = layouts.skipped_sentence(self.skipped) if self.skipped else ""
        if not clips:
            raise InputError(
                f"no clips under {self.root}: expected a manifest.csv, OpenFace CSVs, or the "
                f"folders of VoxCeleb2 or LRW{'; ' + said if said else ''}"
            )
        if said:
            warnings.warn(said, stacklevel=2)
        return clips

    @cached_property
    def _by_name(self) -> dict[str, Clip]:
        # of two with one name the first is meant
        return {clip.name: clip for clip in reversed(self.clips)}

    def _bar(self, items: Iterable, title: str) -> Iterable:
        """A progress bar, shown only for what takes longer than a second."""
        from tqdm.auto import tqdm

        return tqdm(
            items, desc=title, unit=" clips", delay=1, leave=False, disable=not self.progress
        )

    def __len__(self) -> int:
        return len(self.clips)

    def __iter__(self) -> Iterator[Clip]:
        return iter(self.clips)

    def __getitem__(self, name: str) -> Clip:
        if name in self._by_name:
            return self._by_name[name]
        raise InputError(
            f"no clip named {name!r} under {self.root}: it has {len(self.clips)} others, "
            f"the first is {self.clips[0].name!r}"
        )

    def select(
        self,
        split: str | None = None,
        kind: str | None = None,
        rendered: bool | None = None,
        voice: str | None = None,
        actor: str | None = None,
    ) -> list[Clip]:
        """The clips that agree with everything given.

        `rendered` asks for clips with (or without) video.
        """
        asked = {"split": split, "kind": kind, "voice": voice, "actor": actor}
        given = {name: value for name, value in asked.items() if value is not None}

        def agrees(clip: Clip) -> bool:
            if rendered is not None and (clip.video is not None) != rendered:
                return False
            return all(getattr(clip, name) == value for name, value in given.items())

        return [clip for clip in self.clips if agrees(clip)]

    def check(self) -> list[str]:
        """Problems of the corpus, each in one sentence; [] is good.

        Clips of a manifest are compared with it byte by byte. Of others the first second of each
        film is decoded and the CSV is read. An actor in two splits and what the search skipped are
        problems, too.
        """
        problems = []
        home: dict[str, str] = {}  # actor -> split
        trackless = []
        for clip in self._bar(self.clips, "checking clips"):
            problems += damage(clip)
            if not clip.csv:
                trackless.append(clip.name)
            if clip.actor and home.setdefault(clip.actor, clip.split) != clip.split:
                problems.append(
                    f"{clip.name}: actor {clip.actor} is in the splits {home[clip.actor]} and "
                    f"{clip.split}"
                )
        if trackless:
            problems.append(
                f"{len(trackless)} of {len(self.clips)} clips have no OpenFace CSV, the first is "
                f"{trackless[0]}: make them with OpenFace or with dirfa-edu extract"
            )
        if self.skipped:
            problems.append(layouts.skipped_sentence(self.skipped))
        return problems


@lru_cache(maxsize=1)
def _front_end() -> bytes:
    """What features depend on beside the sound: the text of audio.py and librosa's version."""
    from importlib.metadata import version

    return Path(audio.__file__).read_bytes() + version("librosa").encode()


def _cached_features(clip: Clip, folder: Path) -> np.ndarray:
    """Features (T, 400) from the folder, or made and put there.

    A file holds the sha256 of its key and the rest, then an npy.
    """
    source = clip.sound_file()
    if not source.is_file():
        return audio.frame_features(clip.wave())  # says in its own words what is missing

    key = hashlib.sha256(source.read_bytes() + _front_end()).hexdigest()
    path = folder / key[:2] / f"{key}.features"
    stored = path.read_bytes() if path.is_file() else b""
    digest, npy = stored[:32], stored[32:]
    if digest == hashlib.sha256(key.encode() + npy).digest():
        return np.load(io.BytesIO(npy), allow_pickle=False)

    A = audio.frame_features(clip.wave())
    made = io.BytesIO()
    np.save(made, A)
    npy = made.getvalue()
    with atomic_path(path) as temporary:
        temporary.write_bytes(hashlib.sha256(key.encode() + npy).digest() + npy)
    return A
