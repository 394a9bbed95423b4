"""A report card for talking faces: every video of a folder measured, drawn and played on one page.

The page holds all its pictures and films itself and asks nothing of the network. A video brings its
own sound, or a recording of the same name lies beside it (clip.mp4, clip.wav). No truth is needed;
so what can be said is whether lips and sound belong together, whether it stays one person, how
lively the face is, and whether it blinks as people do.

Paper: 4.3. Notebook: 06_evaluation.
"""

import base64
import html
from pathlib import Path

import numpy as np

from .. import plots
from ..animation import BLINK, FPS, LIPS, POSE, UPPER
from ..audio import frame_features, load
from ..faces.sync import SHIFTS, VIDEO_WINDOW, distances, load_sync, mouth_crops, score
from ..faces.vision import extract
from ..files import InputError, atomic_path
from ..metrics import HUMAN_EBR, UNITS, acd_pairwise, diversity, ebr, jitter
from ..plots import jpeg, png
from .syncnet import PublishedSyncNet, face_crops, load_published, published_distances

FILMS, SOUNDS = (".mp4", ".webm", ".mov"), (".wav", ".flac", ".ogg", ".mp3")
LARGEST = 8_000_000  # bytes of a film that is put into the page; a larger one is pointed to
STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:60rem;margin:auto;padding:1rem;color:#111;background:#fff}"
    "table{border-collapse:collapse}th,td{padding:.2rem .6rem;text-align:right;border-bottom:1px solid #767676}"
    "th:first-child{text-align:left}img,video{max-width:100%}video{min-width:20rem}"
)


def evaluate_talk(
    folder: str | Path, syncnet: str | Path | None = None
) -> dict[str, dict[str, float]]:
    """Measure every video of a folder and write `report.html` there -> {file name: {figure:
    value}}.

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
    measured, failed = {}, {}
    for path in films:
        try:
            found = extract(path)
            sounds = [
                path.with_suffix(ending) for ending in SOUNDS if path.with_suffix(ending).is_file()
            ]
            found["wave"] = load(sounds[0]) if sounds else found["wave"]
            measured[path] = found, figures(found, published)
        except InputError as error:
            failed[path] = str(error)
    if not measured:
        raise InputError(next(iter(failed.values())))
    with atomic_path(folder / "report.html") as temporary:
        temporary.write_text(page(folder, measured, failed), encoding="utf-8")
    return {path.name: values for path, (_, values) in measured.items()}


def figures(found: dict, published: PublishedSyncNet | None = None) -> dict[str, float]:
    """What can be said of one video without a truth; `found` as `vision.extract` gives it."""
    Y, step = found["animation"], jitter(found["animation"])
    out = {
        "seconds": len(Y) / FPS,
        "frames with a face": float(found["valid"].mean()),
        "EBR, 1/s": ebr(Y[:, BLINK[0]]),
        "ACD, all pairs": acd_pairwise(found["frames"][::5]),
    }
    out |= {
        f"spread of {name}": float((Y / UNITS)[:, index].std(0).mean())
        for name, index in (("lips", LIPS), ("upper face", UPPER), ("pose", POSE))
    }
    out |= {f"step of {name}": step[name] for name in ("lips", "pose")}
    if found["wave"] is not None and len(Y) > 2 * SHIFTS + VIDEO_WINDOW:
        A = frame_features(found["wave"])
        n = min(len(A), len(Y))
        out["S_conf"], out["lag, frames"] = score(
            distances(load_sync(), mouth_crops(found["frames"])[:n], A[:n])
        )
        if published:
            seen = published_distances(published, face_crops(found["frames"])[:n], found["wave"])
            out["S_conf, published"], out["lag, published"] = score(seen)
    return out


def page(folder: Path, measured: dict, failed: dict) -> str:
    """The report as HTML."""
    names = list(dict.fromkeys(name for _, values in measured.values() for name in values))
    rows = "".join(
        f"<tr><th scope=row>{html.escape(path.name)}</th>"
        + "".join(f"<td>{f'{values[name]:.3g}' if name in values else ''}</td>" for name in names)
        + "</tr>"
        for path, (_, values) in measured.items()
    )
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Report card: {html.escape(folder.name)}</title>"
        f"<meta name=viewport content='width=device-width'><style>{STYLE}</style>"
        f"<main><h1>Report card: {html.escape(folder.name)}</h1>"
        f"<p>People blink {HUMAN_EBR[0]} to {HUMAN_EBR[1]} times a second. ACD is about .3 within a clip of one "
        "person and .8 between people. S_conf and the lag come from a small SyncNet trained on digital actors: "
        "compare films here, not with published numbers. Attributes are measured by FaceMesh; AU06, 09, 14 and 15 "
        "are weak. One unit is an AU step, 0.1 rad or 10 mm.</p><div style='overflow-x:auto' tabindex=0 "
        "role=region aria-label='figures of all videos'><table><tr><th scope=col>video</th>"
        + "".join(f"<th scope=col>{name}</th>" for name in names)
        + f"</tr>{rows}</table></div>"
    ]
    tracks = [found["animation"] for found, _ in measured.values()]
    if len(tracks) > 1:
        T = min(map(len, tracks))
        apart = ", ".join(
            f"{name} {value:.2f}"
            for name, value in diversity(np.stack([y[:T] for y in tracks])).items()
        )
        parts.append(f"<p>How far the videos lie apart, mean over pairs: {apart}.</p>")
    for path, (found, _) in measured.items():
        chosen = np.linspace(0, len(found["frames"]) - 1, 10).astype(int)
        strip = plots.film_strip_figure([found["frames"][chosen]], times=[t / FPS for t in chosen])
        lines = plots.samples_over_time(found["animation"][None])
        name = html.escape(path.name)
        pictures = (
            ("ten frames of", jpeg(strip), "image/jpeg"),
            ("measured attributes of", png(lines), "image/png"),
        )
        parts.append(
            f"<h2>{name}</h2>{film(path)}"
            + "".join(
                f"<p><img alt='{what} {name}, over time' src='{inline(data, kind)}'></p>"
                for what, data, kind in pictures
            )
        )
    parts += [
        f"<h2>{html.escape(path.name)}</h2><p>Not measured: {html.escape(why)}</p>"
        for path, why in failed.items()
    ]
    return "\n".join(parts) + "</main></html>\n"


def film(path: Path) -> str:
    """A player that holds its film."""
    name = html.escape(path.name, quote=True)
    small = path.stat().st_size <= LARGEST
    source = inline(path.read_bytes(), f"video/{path.suffix[1:].lower()}") if small else name
    return f"<p><video controls aria-label='{name}' src='{source}'></video></p>"


def inline(data: bytes, kind: str) -> str:
    """Bytes as an address that holds them."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
