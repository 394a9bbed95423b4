"""A report card for talking faces: every video of a folder measured, drawn and played on one page.

The page holds all its pictures and films itself and asks nothing of the network. A video brings its
own sound, or a recording of the same name lies beside it (clip.mp4, clip.wav). No truth is needed;
so what can be said is whether lips and sound belong together, whether it stays one person, how
lively the face is, and whether it blinks as people do.

Paper: 4.3. Notebook: 06_evaluation.
"""

import base64
from pathlib import Path
from urllib.parse import quote

import numpy as np
from jinja2 import StrictUndefined, Template

from .. import plots
from ..animation import BLINK, FPS, LIPS, POSE, UPPER
from ..audio import frame_features, load
from ..faces.sync import SHIFTS, VIDEO_WINDOW, distances, load_sync, mouth_crops, score
from ..faces.vision import extract
from ..files import InputError, atomic_path
from ..metrics import HUMAN_EBR, UNITS, acd_pairwise, diversity, ebr, jitter
from ..plots import jpeg, png
from .syncnet import PublishedSyncNet, face_crops, load_published, published_distances

FILMS = (".mp4", ".webm", ".mov")
SOUNDS = (".wav", ".flac", ".ogg", ".mp3")
LARGEST = 8_000_000  # bytes of a film that is put into the page; a larger one is pointed to
PAGE = Path(__file__).with_name("report_card.html")


def evaluate_talk(
    folder: str | Path, syncnet: str | Path | None = None
) -> dict[str, dict[str, float]]:
    """Measure every video of a folder, write `report.html` there -> {file name: {figure: value}}.

    Videos that cannot be measured are named on the page with the reason. With the weights of the
    published SyncNet, a file `syncnet`, its confidence and lag stand beside those of ours.
    Raises InputError where there is no folder, no video, or none that can be measured. Notebook:
    06_evaluation.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"no folder at {folder}: give the folder that holds the videos")
    films = sorted(path for path in folder.iterdir() if path.suffix.lower() in FILMS)
    if not films:
        raise InputError(f"no video in {folder}: put {', '.join(FILMS)} files there")
    published = load_published(syncnet) if syncnet else None

    seen: dict[Path, dict] = {}
    measured: dict[Path, dict[str, float]] = {}
    failed: dict[Path, str] = {}
    for path in films:
        try:
            found = look_at(path)
            measured[path] = figures(found, published)
            seen[path] = found
        except InputError as error:
            failed[path] = str(error)
    if not measured:
        raise InputError(next(iter(failed.values())))

    with atomic_path(folder / "report.html") as temporary:
        temporary.write_text(page(folder, seen, measured, failed), encoding="utf-8")
    return {path.name: values for path, values in measured.items()}


def look_at(path: Path) -> dict:
    """What `vision.extract` sees in a video, with the recording that lies beside it, if any."""
    found = extract(path)
    for ending in SOUNDS:
        if path.with_suffix(ending).is_file():
            return found | {"wave": load(path.with_suffix(ending))}
    return found


def figures(found: dict, published: PublishedSyncNet | None = None) -> dict[str, float]:
    """What can be said of one video without a truth; `found` as `vision.extract` gives it."""
    Y, frames, wave = found["animation"], found["frames"], found["wave"]
    step = jitter(Y)
    out = {
        "seconds": len(Y) / FPS,
        "frames with a face": float(found["valid"].mean()),
        "EBR, 1/s": ebr(Y[:, BLINK[0]]),
        "ACD, all pairs": acd_pairwise(frames[::5]),
    }
    spread = (Y / UNITS).std(0)  # (23,)
    for name, group in (("lips", LIPS), ("upper face", UPPER), ("pose", POSE)):
        out[f"spread of {name}"] = float(spread[group].mean())
    for name in ("lips", "pose"):
        out[f"step of {name}"] = step[name]

    # a film too short to be shifted against its sound has no lag
    if wave is not None and len(Y) > 2 * SHIFTS + VIDEO_WINDOW:
        A = frame_features(wave)
        n = min(len(A), len(Y))
        ours = distances(load_sync(), mouth_crops(frames)[:n], A[:n])
        out["S_conf"], out["lag, frames"] = score(ours)
        if published:
            theirs = published_distances(published, face_crops(frames)[:n], wave)
            out["S_conf, published"], out["lag, published"] = score(theirs)
    return out


def page(
    folder: Path,
    seen: dict[Path, dict],
    measured: dict[Path, dict[str, float]],
    failed: dict[Path, str],
) -> str:
    """The report as HTML: what was seen of each video, its figures, and why others have none."""
    columns = dict.fromkeys(name for values in measured.values() for name in values)
    template = Template(
        PAGE.read_text(encoding="utf-8"), autoescape=True, undefined=StrictUndefined
    )
    return template.render(
        folder=folder.name,
        blinks=HUMAN_EBR,
        columns=list(columns),
        rows={path.name: values for path, values in measured.items()},
        apart=apart([found["animation"] for found in seen.values()]),
        videos=[shown(path, found) for path, found in seen.items()],
        failed={path.name: reason for path, reason in failed.items()},
    )


def apart(tracks: list[np.ndarray]) -> dict[str, float]:
    """How far animations lie apart, over the length of the shortest; {} for a single one."""
    if len(tracks) < 2:
        return {}
    T = min(map(len, tracks))
    return diversity(np.stack([Y[:T] for Y in tracks]))


def shown(path: Path, found: dict) -> dict[str, str]:
    """A video on the page: its name, and the addresses of film, film strip and curves."""
    frames = found["frames"]
    chosen = np.linspace(0, len(frames) - 1, 10).astype(int)
    strip = plots.film_strip_figure([frames[chosen]], times=[t / FPS for t in chosen])
    lines = plots.samples_over_time(found["animation"][None])
    return {
        "name": path.name,
        "film": film(path),
        "strip": inline(jpeg(strip), "image/jpeg"),
        "lines": inline(png(lines), "image/png"),
    }


def film(path: Path) -> str:
    """The address of a film: one that holds it, or its place beside the page if it is large."""
    if path.stat().st_size > LARGEST:
        return quote(path.name)
    return inline(path.read_bytes(), f"video/{path.suffix[1:].lower()}")


def inline(data: bytes, kind: str) -> str:
    """Bytes as an address that holds them."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
