"""Known shapes of folders: the sample corpus, VoxCeleb2, LRW, OpenFace's CSVs; each finder gives
one row per clip.

A tree may hold a million files, so folders are read one at a time, nothing in a file but the first
line of a CSV is read, and a row is the plain arguments of `corpus.Clip`. What looks like a part of
a corpus and cannot be used is counted in `skipped`, {reason: [how many, the first path]}, and does
not stop the search.

Paper: 4.1 (VoxCeleb2, LRW). Notebook: 07_your_own_face.
"""

import csv
import os
import re
from itertools import islice
from typing import Iterator

from ..files import InputError

SPLITS = ("train", "val", "test")
MOVIES = (".mp4", ".avi", ".mov", ".mkv", ".webm")
SOUNDS = (".wav", ".ogg", ".flac", ".mp3", ".m4a")
# names that only folders have in these corpora
FOLDERS = re.compile(r"id\d{5}|train|val|dev|mp4|aac|test")
# looked at to recognise a shape, at most
FOLDERS_TO_KNOW, ENTRIES_TO_KNOW, TRACKS_TO_KNOW = 100, 200, 5


def find(root: str, skipped: dict) -> Iterator[dict]:
    """The clips under a folder, as arguments of `corpus.Clip`, whatever the folder's shape.

    Raises InputError for a manifest.csv that is not the sample corpus's.
    """
    finders = {"samples": samples, "voxceleb2": voxceleb2, "lrw": lrw, "openface": openface}
    return finders[recognise(root)](root, skipped)


def recognise(root: str) -> str:
    """ "samples", "voxceleb2", "lrw" or "openface", by at most 200 entries in each of at most 100
    folders.

    A shape that shows nowhere is searched as OpenFace's, the most general.

    >>> from dirfa_edu.files import data_path
    >>> recognise(str(data_path()))
    'samples'
    """
    if os.path.isfile(os.path.join(root, "manifest.csv")):
        return "samples"
    for folder, files in islice(walk(root, {}, entries=ENTRIES_TO_KNOW), FOLDERS_TO_KNOW):
        above, here = folder.split(os.sep)[-2:] if os.sep in folder else ("", folder)
        if re.fullmatch(r"id\d{5}", above) and any(
            name.endswith((".mp4", ".m4a")) for name in files
        ):
            return "voxceleb2"
        if here in SPLITS and any(
            re.fullmatch(re.escape(above) + r"_\d{5}\.mp4", name) for name in files
        ):
            return "lrw"
        tracks = islice((name for name in files if name.lower().endswith(".csv")), TRACKS_TO_KNOW)
        if any(_is_track(os.path.join(folder, name), {}) for name in tracks):
            return "openface"
    return "openface"


def walk(
    root: str, skipped: dict, avoid: tuple = (), entries: int | None = None
) -> Iterator[tuple[str, list[str]]]:
    """Each folder with the names of its usable files, depth first, by name. Links to folders are
    followed once.

    Folders named in `avoid` are left out; of each folder only the first `entries` are looked at.
    """
    stack, followed = [root], set()
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
                if real in followed or (os.path.realpath(folder) + os.sep).startswith(
                    real + os.sep
                ):
                    continue
                followed.add(real)
            if name not in avoid:
                stack.append(path)


def _look(
    folder: str, skipped: dict, entries: int | None = None
) -> tuple[list[str], list[tuple[str, bool]]]:
    """One folder -> (names of files, [(name of folder, is it a link)]), sorted; hidden and unusable
    ones left out."""
    files, folders = [], []
    try:
        with os.scandir(folder) as found:
            for entry in islice(found, entries):
                suffix = os.path.splitext(entry.name)[1].lower()
                media = suffix in MOVIES + SOUNDS + (".csv",)
                if entry.name.startswith("."):
                    continue
                try:
                    if entry.is_dir():
                        folders.append((entry.name, entry.is_symlink()))
                        if media:
                            note(skipped, "a folder named like a file", entry.path)
                    elif FOLDERS.fullmatch(entry.name):
                        note(skipped, "a file where a folder is expected", entry.path)
                    elif not media or entry.stat().st_size:
                        files.append(entry.name)
                    else:
                        note(skipped, "an empty file", entry.path)
                except OSError:  # stat follows the link
                    note(
                        skipped,
                        "a broken link" if entry.is_symlink() else "an unreadable file",
                        entry.path,
                    )
    except OSError:
        note(skipped, "an unreadable folder", folder)
    return sorted(files), sorted(folders)


def note(skipped: dict, reason: str, path: str) -> None:
    """Count something passed over; only the first path of each reason is kept."""
    skipped.setdefault(reason, [0, path])[0] += 1


def skipped_sentence(skipped: dict) -> str:
    """What was passed over, in one sentence.

    >>> skipped_sentence({"an empty file": [2, "a/b.mp4"]})
    'skipped 2 entries that cannot be used: an empty file (2, first a/b.mp4)'
    """
    parts = [f"{reason} ({count}, first {path})" for reason, (count, path) in skipped.items()]
    count = sum(count for count, _ in skipped.values())
    text = f"skipped {count} {'entry' if count == 1 else 'entries'} that cannot be used: {', '.join(parts)}"
    # a name that is no text must not stop the sentence
    return text.encode("utf-8", "replace").decode()


def samples(root: str, skipped: dict) -> Iterator[dict]:
    """Our own layout: manifest.csv names everything."""
    with open(
        os.path.join(root, "manifest.csv"), newline="", encoding="utf-8", errors="replace"
    ) as file:
        for row in csv.DictReader(file):
            needed = (
                "clip",
                "kind",
                "split",
                "actor",
                "voice",
                "text",
                "seconds",
                "audio",
                "csv",
                "video",
                "sha256",
            )
            if any(row.get(name) is None for name in needed):
                raise InputError(
                    f"{file.name} is not this corpus's manifest: columns are missing; if the folder holds "
                    "another corpus, give that file another name"
                )
            spoken = row["kind"] != "probe"
            yield {
                **{key: row[key] for key in ("split", "actor", "voice", "text", "kind", "sha256")},
                **{
                    key: os.path.join(root, row[key]) if row[key] else None
                    for key in ("audio", "csv", "video")
                },
                "name": row["clip"],
                "seconds": float(row["seconds"]),
                "phone_file": os.path.join(root, f"phones/{row['clip']}.json") if spoken else None,
                "truth_file": os.path.join(root, f"truth/{row['clip']}.npz") if spoken else None,
            }


def voxceleb2(root: str, skipped: dict) -> Iterator[dict]:
    """[dev|test]/[mp4]/id00012/VIDEO/00001.mp4, sound in the twin folder aac/ as .m4a or in the
    mp4.

    The official list vox2_meta.csv in the root decides the split where it is present; else the
    folder does.
    """
    official = _vox2_meta(os.path.join(root, "vox2_meta.csv"))
    for folder, files in walk(root, skipped, avoid=("aac",)):
        above, who, video = ["", "", *folder.split(os.sep)][-3:]
        films = [name for name in files if name.endswith(".mp4")]
        if not films or not re.fullmatch(r"id\d{5}", who):
            continue
        top, sounds = os.path.dirname(os.path.dirname(folder)), ()
        if above == "mp4":
            twin = os.path.join(os.path.dirname(top), "aac", who, video)
            sounds, above = (
                set(_look(twin, skipped)[0]) if os.path.isdir(twin) else (),
                _name(os.path.dirname(top)),
            )
        split = official.get(who) or ("test" if above == "test" else "train")
        known = set(files)
        for name in films:
            path, stem = os.path.join(folder, name), name[:-4]
            yield {
                "name": f"{who}/{video}/{stem}",
                "split": split,
                "actor": who,
                "voice": who,
                "kind": "real",
                "audio": os.path.join(twin, f"{stem}.m4a") if f"{stem}.m4a" in sounds else path,
                "video": path,
                "csv": f"{path[:-4]}.csv" if f"{stem}.csv" in known else None,
            }


def lrw(root: str, skipped: dict) -> Iterator[dict]:
    """WORD/{train,val,test}/WORD_00001.mp4."""
    for folder, files in walk(root, skipped):
        word, split = ["", *folder.split(os.sep)][-2:]
        if split not in SPLITS:
            continue
        known, named = set(files), re.compile(re.escape(word) + r"_\d{5}\.mp4")
        for name in files:
            if named.fullmatch(name):
                path, stem = os.path.join(folder, name), name[:-4]
                yield {
                    "name": stem if split == "train" else f"{split}/{stem}",
                    "split": split,
                    "text": word,
                    "kind": "real",
                    "audio": path,
                    "video": path,
                    "csv": f"{path[:-4]}.csv" if f"{stem}.csv" in known else None,
                }


def openface(root: str, skipped: dict) -> Iterator[dict]:
    """CSVs as OpenFace writes them, with a film or a recording of the same name beside each.

    A folder train, val or test on the way down gives the split; without one a clip belongs to
    train.
    """
    for folder, files in walk(root, skipped):
        parts = [part for part in folder[len(root) :].split(os.sep) if part]
        split = next((part for part in parts if part in SPLITS), "train")
        same = {}  # stem -> {suffix: name}
        for name in files:
            stem, suffix = os.path.splitext(name)
            same.setdefault(stem, {})[suffix.lower()] = name
        for stem, names in same.items():
            if ".csv" not in names or not _is_track(os.path.join(folder, names[".csv"]), skipped):
                continue
            movie, recording = (
                next((os.path.join(folder, names[s]) for s in kinds if s in names), None)
                for kinds in (MOVIES, SOUNDS)
            )
            yield {
                "name": "/".join([*parts, stem]),
                "split": split,
                "kind": "real",
                "audio": recording or movie,
                "csv": os.path.join(folder, names[".csv"]),
                "video": movie,
            }


def _is_track(path: str, skipped: dict) -> bool:
    """Whether a CSV's first line is OpenFace's."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            header = file.readline(65536)  # a film renamed .csv may be one endless line
    except OSError:
        note(skipped, "an unreadable file", path)
        return False
    return "AU01_r" in (name.strip() for name in header.split(","))


def _vox2_meta(path: str) -> dict[str, str]:
    """VoxCeleb2's list of speakers -> {"id00012": "train" or "test"}; columns stand between commas
    or spaces."""
    splits = {"dev": "train", "test": "test"}
    if not os.path.isfile(path):
        return {}
    with open(path, encoding="utf-8", errors="replace") as file:
        rows = [re.split(r"[\s,]+", line.strip(" \t\r\n,")) for line in file]
    return {
        row[0]: splits[row[-1]]
        for row in rows
        if re.fullmatch(r"id\d{5}", row[0]) and row[-1] in splits
    }


def _name(path: str) -> str:
    return os.path.basename(path)
