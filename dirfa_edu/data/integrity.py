"""Are a clip's files the ones that were shipped, and can they be read? Used by `Corpus.check` and
`dirfa-edu doctor`.

Notebook: 07_your_own_face.
"""

import hashlib
from itertools import islice

from ..animation import FPS
from ..files import InputError

FILES = ("audio", "csv", "video", "phone_file", "truth_file")  # of a corpus.Clip


def fingerprint(clip) -> str:
    """sha256 of a clip's audio, CSV, video, phone times and truth with their lengths, as 64 hex
    digits."""
    digest = hashlib.sha256()
    for name in FILES:
        path = getattr(clip, name)
        data = path.read_bytes() if path else b""
        digest.update(f"{name} {len(data)}\n".encode() + data)
    return digest.hexdigest()


def damage(clip) -> list[str]:
    """What is wrong with a clip's files, each in one sentence; a file is named where it can be told
    which."""
    files = [path for name in FILES if (path := getattr(clip, name))]
    problems = [f"{clip.name}: {path} is missing" for path in files if not path.is_file()]
    if problems or (clip.sha256 and fingerprint(clip) == clip.sha256):
        return problems
    problems = [
        f"{clip.name}: {said}" for said in map(_unreadable, FILES, [clip] * len(FILES)) if said
    ]
    if clip.sha256 and not problems:
        names = ", ".join(str(path) for path in files)
        problems.append(
            f"{clip.name}: one of its files is not the one in the manifest (sha256): {names}"
        )
    return problems


def _unreadable(name: str, clip) -> str:
    """Why one of a clip's FILES cannot be read, or "". Of films and recordings the first pieces are
    decoded."""
    import av

    path = getattr(clip, name)
    try:
        if path and name in ("audio", "video"):
            with av.open(str(path)) as container:
                streams = container.streams.video if name == "video" else container.streams.audio
                if not streams or not any(True for _ in islice(container.decode(streams[0]), FPS)):
                    return f"{path} has no {'pictures' if name == 'video' else 'sound'}"
        elif path:
            {"csv": clip.animation, "phone_file": clip.phones, "truth_file": clip.truth}[name]()
    except InputError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 (a damaged file may end in any error of its reader)
        return f"{path} cannot be read ({error or type(error).__name__})"
    return ""
