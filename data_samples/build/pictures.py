"""Draw the portraits of all actors, and four sheets for people to look at: actors, action units,
visemes, poses.

    python data_samples/build/pictures.py
"""

from pathlib import Path

import law
import numpy as np
from PIL import Image, ImageDraw

from dirfa_edu.actors.actor import ACTORS, Actor
from dirfa_edu.animation import ATTRIBUTES, column

DATA = Path(__file__).resolve().parents[1]


def labelled(image, text):
    picture = Image.fromarray(image)
    ImageDraw.Draw(picture).text((4, 3), text, fill="white", stroke_width=1, stroke_fill="black")
    return np.asarray(picture)


def sheet(name, cells, columns):
    """Save cells in rows, as JPEG: pictures of faces take a third of a PNG's bytes."""
    blank = [np.zeros_like(cells[0])] * (-len(cells) % columns)
    rows = [
        np.concatenate((cells + blank)[i : i + columns], 1) for i in range(0, len(cells), columns)
    ]
    path = DATA / "pictures" / f"{name}.jpg"
    Image.fromarray(np.concatenate(rows)).save(path, quality=90)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def one(name, value):
    """Attributes that are zero but for one."""
    return value * np.eye(23)[column(name)]


def main():
    for folder in ("portraits", "pictures"):
        (DATA / folder).mkdir(exist_ok=True)
    neutral, cells = np.zeros(23), []
    for name, split in ACTORS.items():
        image = Actor(name).render(neutral, 128)
        Image.fromarray(image).save(DATA / "portraits" / f"{name}.png", optimize=True)
        cells.append(labelled(image, name + (" (test)" if split == "test" else "")))
    sheet("actors", cells, 8)

    units = [("neutral", neutral)] + [(name[:4], one(name, 5)) for name in ATTRIBUTES[:17]]
    visemes = [("silence", neutral)] + [
        (phones, sum(one(au, v) for au, v in targets.items()))
        for phones, targets in law.TARGETS.items()
    ]
    poses = [
        (f"{name} {v:+g}", one(name, v))
        for name, most in zip(ATTRIBUTES[17:], (0.3, 0.3, 0.3, 20, 20, 100))
        for v in (most, -most)
    ]
    for title, rows, columns, who in (
        ("action_units", units, 9, ("anna", "emeka")),
        ("visemes", visemes, 9, ("leila", "hugo")),
        ("poses", poses, 6, ("iris", "omar")),
    ):
        cast = [Actor(name) for name in who]
        sheet(
            title,
            [labelled(actor.render(a, 128), text) for actor in cast for text, a in rows],
            columns,
        )


if __name__ == "__main__":
    main()
