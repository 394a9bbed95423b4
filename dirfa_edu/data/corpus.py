"""Clips on disk: the sample corpus, folders of OpenFace CSVs, VoxCeleb2 and LRW, all as one list of
`Clip`.

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
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Iterator

import numpy as np

from .. import audio as sound
from .. import video as pictures
from ..animation import FPS, column, read_openface, valid_frames
from ..files import InputError, atomic_path, data_path
from . import layouts
from .integrity import FILES, damage, fingerprint  # noqa: F401 (fingerprint is asked for here)
from .layouts import MOVIES, SOUNDS, SPLITS  # noqa: F401 (part of this room since before layouts.py)

CHAPTER_CLIP = (
    "slt_001"  # five seconds followed through all chapters; frame 17 is the stressed AE of "map"
)
PROBE_TRAIN = 40  # of a probe's 90 frames these first ones are for training, the rest are held out, in train too
LRW_SECONDS = 1.16  # every LRW clip has 29 frames; its word lies in the middle


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording: what is known about it, and where its files are. Reading happens in the
    methods.

    `kind` is "speech" (synthetic voice), "probe" (random attributes, no sound) or "real" (a human
    voice).
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
    cache: str | None = field(default=None, compare=False, repr=False)

    def wave(self) -> np.ndarray:
        """Speech at 16 kHz: float32 (N,). Raises InputError where the clip has no sound."""
        source = self._sound_file()
        if source.suffix.lower() in MOVIES + (".m4a",):
            return _sound_of(source)
        return sound.load(source)

    def features(self) -> np.ndarray:
        """Audio features A: float32 (T, 400), one window per video frame. Paper: 4.1.

        With a cache (`Corpus(..., cache=FOLDER)` or the variable DIRFA_EDU_CACHE) they are kept on
        disk under the sha256 of the sound file, and read again bit for bit; a damaged cache file is
        made again.
        """
        folder = self.cache or os.environ.get("DIRFA_EDU_CACHE")
        return _cached_features(self, Path(folder)) if folder else sound.frame_features(self.wave())

    def animation(self, missing_pose: str = "error") -> np.ndarray:
        """Animation Y as measured: float32 (T, 23), pose relative to its median. Raises InputError
        without a CSV.

        `missing_pose="zeros"` accepts a CSV without pose columns.
        """
        # a probe's random poses have no neutral to find: its zeros are the actor's own
        return read_openface(
            self._track_file(), absolute=self.kind == "probe", missing_pose=missing_pose
        )

    def valid(self) -> np.ndarray:
        """Which frames of `animation()` were measured and not filled in: bool (T,). Raises
        InputError without a CSV."""
        return valid_frames(self._track_file())

    def frames(self) -> np.ndarray:
        """Pictures at 25 fps: uint8 (T, H, W, 3). Raises InputError where the clip was not filmed."""
        if self.video is None:
            raise InputError(
                f"the clip {self.name} has no video: choose one with select(rendered=True)"
            )
        frames, fps, _ = pictures.read_mp4(self.video)
        if abs(fps - FPS) < 0.01:
            return frames
        middles = (np.arange(max(1, round(len(frames) * FPS / fps))) + 0.5) / FPS
        return frames[(middles * fps).astype(int).clip(0, len(frames) - 1)]

    def truth(self) -> dict:
        """What only a made corpus knows -> {"clean": (T, 23), "draws": (n, T, 23), "events": {name:
        (T,)}}.

        `clean` is the motion before measurement noise, `draws` are further faces for the same
        sound, `events` (test clips; else empty) the law's probability of each of `observed_events`
        in each frame.
        Raises InputError for recordings of other corpora. Notebook: 06_evaluation.
        """
        if self.truth_file is None:
            raise InputError(f"{self.name} has no known truth: it was not made by the motion law")
        with np.load(self.truth_file) as data:
            scale = data["scale"]
            names, marginals = (
                data["event_names"].tolist(),
                data["marginals"].astype(np.float32) / 255,
            )
            return {
                "clean": data["clean"] / scale,
                "draws": data["draws"] / scale,
                "events": dict(zip(names, marginals, strict=True)),
            }

    def phones(self, stress: bool = False) -> list[tuple]:
        """Phones as (ARPABET name, start s, end s); with `stress` a fourth item, 1 for stressed
        vowels, else 0."""
        if self.phone_file is None:
            raise InputError(
                f"the clip {self.name} has no phone times: only speech of the sample corpus has"
            )
        return [
            tuple(row if stress else row[:3]) for row in json.loads(self.phone_file.read_text())
        ]

    def word_span(self) -> tuple[float, float]:
        """Where an LRW clip says its word: (start s, end s), from the "Duration" in the .txt beside
        the film.

        Raises InputError for clips without such a file.
        """
        path = self.video.with_suffix(".txt") if self.video else None
        text = path.read_text(errors="replace") if path and path.is_file() else ""
        duration = re.search(r"^Duration:\s*([0-9.]+)\s*seconds", text, re.MULTILINE)
        if not duration:
            raise InputError(
                f"the clip {self.name} has no word times: LRW keeps 'Duration: ... seconds' in a .txt "
                "beside each film"
            )
        half = min(float(duration[1]), LRW_SECONDS) / 2
        return LRW_SECONDS / 2 - half, LRW_SECONDS / 2 + half

    def _sound_file(self) -> Path:
        source = self.audio or self.video
        if source is None:
            raise InputError(
                f"the clip {self.name} has no sound: choose one of kind 'speech' or 'real'"
            )
        return source

    def _track_file(self) -> Path:
        if self.csv is None:
            raise InputError(
                f"the clip {self.name} has no OpenFace CSV beside it: make one with dirfa-edu extract"
            )
        return self.csv


def _kept_as_text(slot) -> property:
    """A field that takes a path, keeps its text, and gives a Path: millions of Paths would fill the
    memory."""

    def give(clip: Clip) -> Path | None:
        text = slot.__get__(clip)
        return None if text is None else Path(text)

    return property(
        give, lambda clip, path: slot.__set__(clip, None if path is None else os.fspath(path))
    )


for _field in FILES:
    setattr(Clip, _field, _kept_as_text(getattr(Clip, _field)))


class Corpus:
    """A list of clips found under a folder; "samples" is the corpus shipped beside the package.

    `progress=False` hides the bar that a search of more than a second shows; `cache` is a folder
    for audio features. After the search `skipped` says what was passed over: {reason: [how many,
    the first path]}.

    >>> Corpus("samples").select(split="test", voice="rms", rendered=True)[0].wave().ndim
    1
    """

    def __init__(
        self, root: str | Path = "samples", progress: bool = True, cache: str | Path | None = None
    ):
        # asked for by the manifest: a wheel's samples have none, and say where the corpus is
        self.root = data_path("manifest.csv").parent if str(root) == "samples" else Path(root)
        self.progress, self.cache, self.skipped = (
            progress,
            None if cache is None else str(cache),
            {},
        )
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
                f"no clips under {self.root}: expected a manifest.csv, OpenFace CSVs, or the folders of "
                f"VoxCeleb2 or LRW{'; ' + said if said else ''}"
            )
        if said:
            warnings.warn(said, stacklevel=2)
        return clips

    @cached_property
    def _by_name(self) -> dict[str, Clip]:
        # of two with one name the first is meant
        return {clip.name: clip for clip in reversed(self.clips)}

    def _bar(self, items, title: str):
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
        """The clips that agree with everything given; `rendered` asks for clips with (or without)
        video."""
        return [
            c
            for c in self.clips
            if (split is None or c.split == split)
            and (kind is None or c.kind == kind)
            and (rendered is None or (c.video is not None) == rendered)
            and (voice is None or c.voice == voice)
            and (actor is None or c.actor == actor)
        ]

    def check(self) -> list[str]:
        """Problems of the corpus, each in one sentence; [] is good.

        Clips of a manifest are compared with it byte by byte. Of others the first second of each
        film is decoded and the CSV is read. An actor in two splits and what the search skipped are
        problems, too.
        """
        problems, home, trackless = [], {}, []
        for clip in self._bar(self.clips, "checking clips"):
            problems += damage(clip)
            if not clip.csv:
                trackless.append(clip.name)
            if clip.actor and home.setdefault(clip.actor, clip.split) != clip.split:
                problems.append(
                    f"{clip.name}: actor {clip.actor} is in the splits {home[clip.actor]} and {clip.split}"
                )
        if trackless:
            problems.append(
                f"{len(trackless)} of {len(self.clips)} clips have no OpenFace CSV, the first is "
                f"{trackless[0]}: make them with OpenFace or with dirfa-edu extract"
            )
        return problems + ([layouts.skipped_sentence(self.skipped)] if self.skipped else [])


@lru_cache(maxsize=1)
def _front_end() -> bytes:
    """What features depend on beside the sound: the text of audio.py and the version of librosa."""
    from importlib.metadata import version

    return Path(sound.__file__).read_bytes() + version("librosa").encode()


def _cached_features(clip: Clip, folder: Path) -> np.ndarray:
    """Features (T, 400) from the folder, or made and put there. The file: sha256 of key and rest,
    then an npy."""
    source = clip._sound_file()
    if not source.is_file():
        return sound.frame_features(clip.wave())  # says in its own words what is missing
    key = hashlib.sha256(source.read_bytes() + _front_end()).hexdigest()
    path = folder / key[:2] / f"{key}.features"
    data = path.read_bytes() if path.is_file() else b""
    if data[:32] == hashlib.sha256(key.encode() + data[32:]).digest():
        return np.load(io.BytesIO(data[32:]), allow_pickle=False)
    A, npy = sound.frame_features(clip.wave()), io.BytesIO()
    np.save(npy, A)
    with atomic_path(path) as temporary:
        temporary.write_bytes(
            hashlib.sha256(key.encode() + npy.getvalue()).digest() + npy.getvalue()
        )
    return A


def observed_events(Y: np.ndarray) -> dict[str, np.ndarray]:
    """Which events an animation (T, 23) shows in which frame: {name: bool (T,)}. Works on any
    track, made or measured.

    A nod is a head 0.02 rad lower than its own mean over one second. Notebook: 06_evaluation.

    >>> {name: int(seen.sum()) for name, seen in observed_events(np.zeros((50, 23))).items() if seen.any()}
    {}
    """
    Y = np.asarray(Y)
    pitch = Y[:, column("pose_Rx")]
    near = np.pad(pitch, FPS // 2, mode="edge")
    # FPS is odd: centred on the frame
    mean = np.convolve(near, np.ones(FPS) / FPS, mode="valid")[: len(pitch)]
    level = {name: Y[:, column(name)] for name in ("AU01", "AU02", "AU04", "AU06", "AU12", "AU45")}
    return {
        "brow raise": (level["AU01"] > 0.5) & (level["AU02"] > 0.5),
        "frown": level["AU04"] > 0.5,
        "squint": level["AU06"] > 0.5,
        "smile": level["AU12"] > 0.7,
        "blink": level["AU45"] > 1,
        "nod": pitch - mean > 0.02,
    }


def _sound_of(path: Path) -> np.ndarray:
    """The sound track of a film or m4a file at 16 kHz mono: float32 (N,)."""
    import av

    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise InputError(
                    f"{path} has no sound track: put a wav of the same name beside its CSV"
                )
            resampler = av.AudioResampler("flt", "mono", sound.SAMPLE_RATE)
            pieces = [
                p.to_ndarray()[0]
                for frame in container.decode(audio=0)
                for p in resampler.resample(frame)
            ]
            pieces += [p.to_ndarray()[0] for p in resampler.resample(None)]
    except av.FFmpegError as error:
        raise InputError(f"{path} is not a film or sound that can be read ({error})") from error
    return np.concatenate(pieces).astype(np.float32)
