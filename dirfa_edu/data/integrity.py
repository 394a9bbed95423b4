"""Are a clip's files the ones that were shipped, and can they be read?

Used by `Corpus.check` and `dirfa-edu doctor`. Notebook: 07_your_own_face.
"""

import hashlib
from itertools import islice
from pathlib import Path
from typing import Any

from ..animation import FPS
from ..files import InputError

# what a corpus.Clip may have; it is `Any` here, as corpus stands on this room
FILES = ("audio", "csv", "video", "phone_file", "truth_file")


def fingerprint(clip: Any) -> str:
    """sha256 of a clip's files with their names and lengths, as 64 hex digits.

    The lengths are part of it, so that no byte may move from one file to the next.
    """
    digest = hashlib.sha256()
    for name in FILES:
        path = getattr(clip, name)
        data = Path(path).read_bytes() if path else b""
        digest.update(f"{name} {len(data)}\n".encode() + data)
    return digest.hexdigest()


def damage(clip: Any) -> list[str]:
    """What is wrong with a clip's files, each in one sentence.

    A file is named where it can be told which.
    """
    files = [path for name in FILES if (path := getattr(clip, name))]
    missing = [f"{clip.name}: {path} is missing" for path in files if not Path(path).is_file()]
    if missing:
        return missing
    if clip.sha256 and fingerprint(clip) == clip.sha256:
        return []

    reasons = [_unreadable(name, clip) for name in FILES]
    problems = [f"{clip.name}: {reason}" for reason in reasons if reason]
    if clip.sha256 and not problems:
        problems.append(
            f"{clip.name}: one of its files is not the one in the manifest (sha256): "
            f"{', '.join(files)}"
        )
    return problems


def _unreadable(name: str, clip: Any) -> str:
    """Why one of a clip's FILES cannot be read, or ""."""
    path = getattr(clip, name)
    if not path:
        return ""
    try:
        if name in ("audio", "video"):
            return _mute_or_blank(path, "pictures" if name == "video" else "sound")
        if name == "csv":
            clip.animation()
        elif name == "phone_file":
            clip.phones()
        else:
            clip.truth()
    except InputError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 (a damaged file may end in any error of its reader)
        return f"{path} cannot be read ({error or type(error).__name__})"
    return ""


def _mute_or_blank(path: str, wanted: str) -> str:
    """That a film has no "pictures" or a recording no "sound", or "": its beginning is decoded."""
    import av

    with av.open(path) as container:
        streams = container.streams.video if wanted == "pictures" else container.streams.audio
        if streams and any(True for _ in islice(container.decode(streams[0]), FPS)):
            return ""
    return f"{path} has no {wanted}"
