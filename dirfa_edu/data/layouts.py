"""Known shapes of folders: the sample corpus, VoxCeleb2, LRW, OpenFace's CSVs.

Each finder gives one row per clip. A tree may hold a million files, so folders are read one at a
time, nothing in a file but the first line of a CSV is read, and a row is the plain arguments of
`corpus.Clip`, paths as text. What looks like a part of a corpus and cannot be used is counted in
`skipped`, {reason: (how many, the first path)}, and does not stop the search.

Paper: 4.1 (VoxCeleb2, LRW). Notebook: 07_your_own_face.
"""

import csv
import os
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from ..files import InputError

ClipRow = dict[str, Any]  # arguments of corpus.Clip
Skipped = dict[str, tuple[int, str]]  # reason -> how many, the first path

SPLITS = ("train", "val", "test")
FILM_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm")
SOUND_SUFFIXES = (".wav", ".ogg", ".flac", ".mp3", ".m4a")
MEDIA_SUFFIXES = (*FILM_SUFFIXES, *SOUND_SUFFIXES, ".csv")
SPEAKER = re.compile(r"id\d{5}")  # a folder of VoxCeleb2
# names that only folders have in these corpora
FOLDERS = re.compile(r"id\d{5}|train|val|dev|mp4|aac|test")
# looked at to recognise a shape, at most
FOLDERS_TO_KNOW, ENTRIES_TO_KNOW, TRACKS_TO_KNOW = 100, 200, 5
# columns of the sample corpus's manifest.csv: taken as they stand, and paths of files
MANIFEST_TEXT = ("split", "actor", "voice", "text", "kind", "sha256")
MANIFEST_FILES = ("audio", "csv", "video")
MANIFEST_COLUMNS = ("clip", "seconds", *MANIFEST_TEXT, *MANIFEST_FILES)


def find(root: str, skipped: Skipped) -> Iterator[ClipRow]:
    """The clips under a folder, as arguments of `corpus.Clip`, whatever the folder's shape.

    Raises InputError for a manifest.csv that is not the sample corpus's.
    """
    finders = {"samples": sample_corpus, "voxceleb2": voxceleb2, "lrw": lrw, "openface": openface}
    return finders[recognise(root)](root, skipped)


def recognise(root: str) -> str:
    """The shape of a folder: "samples", "voxceleb2", "lrw" or "openface".

    At most 200 entries in each of at most 100 folders are looked at. A shape that shows nowhere is
    searched as OpenFace's, the most general.

    >>> from dirfa_edu.files import data_path
    >>> recognise(str(data_path()))
    'samples'
    """
    if os.path.isfile(os.path.join(root, "manifest.csv")):
        return "samples"
    for folder, files in islice(walk(root, {}, entries=ENTRIES_TO_KNOW), FOLDERS_TO_KNOW):
        shape = _shape(folder, files)
        if shape:
            return shape
    return "openface"


def _shape(folder: str, files: list[str]) -> str:
    """Which corpus a folder with these files belongs to, or ""."""
    above, here = ["", *folder.split(os.sep)][-2:]
    if SPEAKER.fullmatch(above) and any(name.endswith((".mp4", ".m4a")) for name in files):
        return "voxceleb2"
    if here in SPLITS and any(map(_lrw_film(above).fullmatch, files)):
        return "lrw"
    tracks = (name for name in files if name.lower().endswith(".csv"))
    if any(_is_track(os.path.join(folder, name), {}) for name in islice(tracks, TRACKS_TO_KNOW)):
        return "openface"
    return ""


def _lrw_film(word: str) -> re.Pattern:
    """Names of the films in a word's folder."""
    return re.compile(re.escape(word) + r"_\d{5}\.mp4")


def walk(
    root: str, skipped: Skipped, avoid: tuple = (), entries: int | None = None
) -> Iterator[tuple[str, list[str]]]:
    """Each folder with the names of its usable files, depth first, by name.

    Links to folders are followed once. Folders named in `avoid` are left out; of each folder only
    the first `entries` are looked at.
    """
    stack = [root]
    followed: set[str] = set()
    while stack:
        folder = stack.pop()
        files, folders = _look(folder, skipped, entries)
        yield folder, files
        for name, is_link in reversed(folders):
            path = os.path.join(folder, name)
            if is_link:
                real = os.path.realpath(path)
                # a link to a folder above, or to one seen through another link, would lead in
                # circles
                upwards = (os.path.realpath(folder) + os.sep).startswith(real + os.sep)
                if upwards or real in followed:
                    continue
                followed.add(real)
            if name not in avoid:
                stack.append(path)


def _look(
    folder: str, skipped: Skipped, entries: int | None = None
) -> tuple[list[str], list[tuple[str, bool]]]:
    """One folder: names of its files, and [(name of a folder, is it a link)], both sorted.

    Hidden and unusable ones are left out.
    """
    files: list[str] = []
    folders: list[tuple[str, bool]] = []
    try:
        with os.scandir(folder) as found:
            for entry in islice(found, entries):
                if entry.name.startswith("."):
                    continue
                try:
                    _sort_in(entry, files, folders, skipped)
                except OSError:  # stat follows the link
                    reason = "a broken link" if entry.is_symlink() else "an unreadable file"
                    note(skipped, reason, entry.path)
    except OSError:
        note(skipped, "an unreadable folder", folder)
    return sorted(files), sorted(folders)


def _sort_in(
    entry: os.DirEntry, files: list[str], folders: list[tuple[str, bool]], skipped: Skipped
) -> None:
    """Put one entry of a folder among its files or its folders, or count it as skipped."""
    media = os.path.splitext(entry.name)[1].lower() in MEDIA_SUFFIXES
    if entry.is_dir():
        folders.append((entry.name, entry.is_symlink()))
        if media:
            note(skipped, "a folder named like a file", entry.path)
    elif FOLDERS.fullmatch(entry.name):
        note(skipped, "a file where a folder is expected", entry.path)
    elif media and not entry.stat().st_size:
        note(skipped, "an empty file", entry.path)
    else:
        files.append(entry.name)


def note(skipped: Skipped, reason: str, path: str) -> None:
    """Count something passed over; only the first path of each reason is kept."""
    count, first = skipped.get(reason, (0, path))
    skipped[reason] = count + 1, first


def skipped_sentence(skipped: Skipped) -> str:
    """What was passed over, in one sentence.

    >>> skipped_sentence({"an empty file": (2, "a/b.mp4")})
    'skipped 2 entries that cannot be used: an empty file (2, first a/b.mp4)'
    """
    parts = [f"{reason} ({count}, first {path})" for reason, (count, path) in skipped.items()]
    count = sum(count for count, _ in skipped.values())
    entries = "entry" if count == 1 else "entries"
    text = f"skipped {count} {entries} that cannot be used: {', '.join(parts)}"
    # a name that is no text must not stop the sentence
    return text.encode("utf-8", "replace").decode()


def sample_corpus(root: str, skipped: Skipped) -> Iterator[ClipRow]:
    """Our own layout: manifest.csv names everything."""
    path = os.path.join(root, "manifest.csv")
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        for line in csv.DictReader(file):
            if any(line.get(name) is None for name in MANIFEST_COLUMNS):
                raise InputError(
                    f"{path} is not this corpus's manifest: columns are missing; if the folder "
                    "holds another corpus, give that file another name"
                )
            yield _manifest_row(root, line)


def _manifest_row(root: str, line: dict[str, str]) -> ClipRow:
    """A line of the manifest as arguments of `corpus.Clip`."""
    name = line["clip"]
    row: ClipRow = {column: line[column] for column in MANIFEST_TEXT}
    for column in MANIFEST_FILES:
        row[column] = os.path.join(root, line[column]) if line[column] else None
    spoken = line["kind"] != "probe"
    return row | {
        "name": name,
        "seconds": float(line["seconds"]),
        "phone_file": os.path.join(root, f"phones/{name}.json") if spoken else None,
        "truth_file": os.path.join(root, f"truth/{name}.npz") if spoken else None,
    }


def voxceleb2(root: str, skipped: Skipped) -> Iterator[ClipRow]:
    """[dev|test]/[mp4]/id00012/VIDEO/00001.mp4, sound in the twin folder aac/ or in the film.

    The official list vox2_meta.csv in the root decides the split where it is present; else the
    folder does.
    """
    official = _vox2_meta(os.path.join(root, "vox2_meta.csv"))
    for folder, files in walk(root, skipped, avoid=("aac",)):
        above, who, video = ["", "", *folder.split(os.sep)][-3:]
        films = [name for name in files if name.endswith(".mp4")]
        if not films or not SPEAKER.fullmatch(who):
            continue

        twin = ""  # the folder of the same films' sound, if there is one
        sounds: set[str] = set()
        if above == "mp4":
            part = os.path.dirname(os.path.dirname(os.path.dirname(folder)))  # dev, test or root
            above = os.path.basename(part)
            twin = os.path.join(part, "aac", who, video)
            if os.path.isdir(twin):
                sounds = set(_look(twin, skipped)[0])
        split = official.get(who) or ("test" if above == "test" else "train")
        known = set(files)
        for name in films:
            path, stem = os.path.join(folder, name), name[:-4]
            sound = f"{stem}.m4a"
            yield {
                "name": f"{who}/{video}/{stem}",
                "split": split,
                "actor": who,
                "voice": who,
                "kind": "real",
                "audio": os.path.join(twin, sound) if sound in sounds else path,
                "video": path,
                "csv": _beside(path, known),
            }


def lrw(root: str, skipped: Skipped) -> Iterator[ClipRow]:
    """WORD/{train,val,test}/WORD_00001.mp4."""
    for folder, files in walk(root, skipped):
        word, split = ["", *folder.split(os.sep)][-2:]
        if split not in SPLITS:
            continue
        known, film = set(files), _lrw_film(word)
        for name in filter(film.fullmatch, files):
            path, stem = os.path.join(folder, name), name[:-4]
            yield {
                "name": stem if split == "train" else f"{split}/{stem}",
                "split": split,
                "text": word,
                "kind": "real",
                "audio": path,
                "video": path,
                "csv": _beside(path, known),
            }


def _beside(film: str, known: set[str]) -> str | None:
    """The CSV of a film's name, if it is among the names `known` of its folder."""
    track = f"{film[:-4]}.csv"
    return track if os.path.basename(track) in known else None


def openface(root: str, skipped: Skipped) -> Iterator[ClipRow]:
    """CSVs as OpenFace writes them, with a film or a recording of the same name beside each.

    A folder train, val or test on the way down gives the split; without one a clip belongs to
    train.
    """
    for folder, files in walk(root, skipped):
        parts = [part for part in folder[len(root) :].split(os.sep) if part]
        split = next((part for part in parts if part in SPLITS), "train")
        same: dict[str, dict[str, str]] = {}  # stem -> {suffix: path}
        for name in files:
            stem, suffix = os.path.splitext(name)
            same.setdefault(stem, {})[suffix.lower()] = os.path.join(folder, name)
        for stem, paths in same.items():
            track = paths.get(".csv")
            if track is None or not _is_track(track, skipped):
                continue
            film = _first(paths, FILM_SUFFIXES)
            yield {
                "name": "/".join([*parts, stem]),
                "split": split,
                "kind": "real",
                "audio": _first(paths, SOUND_SUFFIXES) or film,
                "csv": track,
                "video": film,
            }


def _first(paths: dict[str, str], suffixes: Iterable[str]) -> str | None:
    """The path with the first of the suffixes that is there."""
    return next((paths[suffix] for suffix in suffixes if suffix in paths), None)


def _is_track(path: str, skipped: Skipped) -> bool:
    """Whether a CSV's first line is OpenFace's."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            header = file.readline(65536)  # a film renamed .csv may be one endless line
    except OSError:
        note(skipped, "an unreadable file", path)
        return False
    return "AU01_r" in (name.strip() for name in header.split(","))


def _vox2_meta(path: str) -> dict[str, str]:
    """VoxCeleb2's list of speakers -> {"id00012": "train" or "test"}.

    Columns stand between commas or spaces; the first is the speaker, the last the split.
    """
    if not os.path.isfile(path):
        return {}
    with open(path, encoding="utf-8", errors="replace") as file:
        rows = [re.split(r"[\s,]+", line.strip(" \t\r\n,")) for line in file]
    splits = {"dev": "train", "test": "test"}
    return {
        row[0]: splits[row[-1]] for row in rows if SPEAKER.fullmatch(row[0]) and row[-1] in splits
    }
