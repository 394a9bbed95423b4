"""Draw the portraits of all actors, and three sheets for people to look at: actors, action units, poses.

    python data_samples/build/pictures.py
"""
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from dirfa_edu.actor import ACTORS, Actor
from dirfa_edu.animation import ATTRIBUTES

DATA = Path(__file__).resolve().parents[1]


def labelled(image, text):
    picture = Image.fromarray(image)
    ImageDraw.Draw(picture).text((4, 3), text, fill="white", stroke_width=1, stroke_fill="black")
    return np.asarray(picture)


def sheet(name, cells, columns):
    blank = [np.zeros_like(cells[0])] * (-len(cells) % columns)
    rows = [np.concatenate((cells + blank)[i:i + columns], 1) for i in range(0, len(cells), columns)]
    Image.fromarray(np.concatenate(rows)).save(DATA / "pictures" / f"{name}.png", optimize=True)


def main():
    for folder in ("portraits", "pictures"):
        (DATA / folder).mkdir(exist_ok=True)
    neutral, cells = np.zeros(23), []
    for name, split in ACTORS.items():
        image = Actor(name).render(neutral, 128)
        Image.fromarray(image).save(DATA / "portraits" / f"{name}.png", optimize=True)
        cells.append(labelled(image, name + (" (test)" if split == "test" else "")))
    sheet("actors", cells, 8)

    units = [("neutral", neutral)] + [(ATTRIBUTES[i][:4], 5 * np.eye(23)[i]) for i in range(17)]
    poses = [(f"{ATTRIBUTES[i]} {v:+g}", v * np.eye(23)[i]) for i, v in
             ((17, .3), (17, -.3), (18, .3), (18, -.3), (19, .3), (19, -.3), (20, 20), (20, -20), (21, 20), (21, -20),
              (22, 100), (22, -100))]
    for title, rows, who in (("action_units", units, ("chen", "dayo")), ("poses", poses, ("iris", "omar"))):
        sheet(title, [labelled(Actor(w).render(a, 128), t) for w in who for t, a in rows], 9 if rows is units else 6)


if __name__ == "__main__":
    main()
