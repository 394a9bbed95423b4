"""Who the digital actors are: 32 names, and the seeded distribution their looks are drawn from.

Sex, ancestry and age of a named actor are fixed by the cast list, so that every skin tone, sex and
age occurs in training and in test; everything else is drawn. `draw_look(7)` draws all of it.

    ancestry   weights of MakeHuman's three ancestry shapes: Dirichlet around one, or around all
    age        0 (about 25) .. 0.65 (about 70); uniform for numbered actors
    skin tone  0 fair .. 1 dark: normal around a mean given by the ancestry, then a colour ramp
    face       4-7 of 47 local shape targets, weight 0.1-0.5 (whole-head shapes 0.1-0.3)
    hair       ten kinds; colours plausible for the skin tone, grey only after 50
    the rest   brows, eyes, beard, clothes, light and background: see the functions draw_...
"""

import colorsys
import zlib
from dataclasses import dataclass, field

import numpy as np

from ..files import InputError

# name: (split, sex, ancestry, age 0..1); "mixed" blends all three ancestry shapes.
CAST = {
    "anna": ("train", "f", "caucasian", 0.05),
    "ben": ("train", "m", "caucasian", 0.15),
    "clara": ("train", "f", "caucasian", 0.30),
    "frank": ("train", "m", "caucasian", 0.60),
    "greta": ("train", "f", "caucasian", 0.58),
    "hugo": ("train", "m", "caucasian", 0.02),
    "iris": ("test", "f", "caucasian", 0.12),
    "lars": ("test", "m", "caucasian", 0.40),
    "chen": ("train", "f", "asian", 0.05),
    "hiro": ("test", "m", "asian", 0.12),
    "keiko": ("train", "f", "asian", 0.55),
    "jun": ("train", "m", "asian", 0.05),
    "lin": ("train", "f", "asian", 0.20),
    "minh": ("train", "m", "asian", 0.45),
    "suki": ("train", "f", "asian", 0.35),
    "tao": ("train", "m", "asian", 0.60),
    "amara": ("train", "f", "african", 0.08),
    "dayo": ("train", "m", "african", 0.10),
    "imani": ("train", "f", "african", 0.35),
    "emeka": ("train", "m", "african", 0.25),
    "nia": ("train", "f", "african", 0.02),
    "kofi": ("train", "m", "african", 0.55),
    "zola": ("test", "f", "african", 0.15),
    "sekou": ("train", "m", "african", 0.03),
    "leila": ("train", "f", "mixed", 0.08),
    "diego": ("train", "m", "mixed", 0.08),
    "priya": ("train", "f", "mixed", 0.25),
    "omar": ("test", "m", "mixed", 0.35),
    "rosa": ("train", "f", "mixed", 0.50),
    "ravi": ("train", "m", "mixed", 0.20),
    "yara": ("test", "f", "mixed", 0.03),
    "tariq": ("train", "m", "mixed", 0.50),
}
ACTORS = {name: row[0] for name, row in CAST.items()}

# linear RGB of skin from fair to dark, evenly spaced over the tone 0..1
SKIN_TONES = np.array(
    [
        (0.560, 0.325, 0.235),
        (0.500, 0.285, 0.195),
        (0.330, 0.170, 0.105),
        (0.180, 0.085, 0.050),
        (0.082, 0.040, 0.025),
    ]
)
HAIR_COLOURS = {
    "black": (0.010, 0.009, 0.009),
    "dark brown": (0.030, 0.017, 0.011),
    "brown": (0.072, 0.036, 0.019),
    "light brown": (0.150, 0.085, 0.045),
    "blond": (0.300, 0.195, 0.095),
    "red": (0.170, 0.050, 0.018),
}
GREY_HAIR = np.array((0.33, 0.32, 0.31))
IRIS_COLOURS = {
    "brown": (0.075, 0.035, 0.015),
    "dark": (0.030, 0.015, 0.009),
    "blue": (0.10, 0.20, 0.30),
    "green": (0.09, 0.14, 0.07),
    "grey": (0.15, 0.18, 0.20),
}
# how often each kind of hair is drawn, as weights
WOMEN = {"long": 3, "bob": 2.5, "wavy": 2.5, "tied": 2.5, "short": 0.7, "curly": 1}
MEN = {"short": 3, "side": 3, "buzz": 1.2, "curly": 1.5, "bald": 0.7, "wavy": 0.3}
TIGHT_CURLS = {
    "f": {"afro": 2.5, "tied": 2, "curly": 2, "bob": 1, "long": 1},
    "m": {"buzz": 2, "curly": 1.5, "afro": 1, "bald": 0.6},
}
ANCESTRIES = ("caucasian", "asian", "african")
# How often each colour is drawn. Dark hair goes with dark skin and with two of the ancestries.
DARK_HAIR = {"black": 3, "dark brown": 1.2}
ANY_HAIR = {
    "dark brown": 2.5,
    "brown": 3,
    "light brown": 2,
    "blond": 1.6,
    "red": 0.8,
    "black": 0.7,
}
DARK_EYES = {"dark": 3, "brown": 2}
ANY_EYES = {"brown": 2, "blue": 2, "green": 1.2, "grey": 1.2}
BEARDS = {"0": 3, "0.3": 3, "0.6": 2, "1.0": 2}
CLOTHES = {"crew": 3, "vneck": 2, "turtle": 1.3, "collar": 2}
# targets of single features; "l-" stands for both sides
LOCAL_SHAPES = """
    nose/nose-hump-incr nose/nose-hump-decr nose/nose-volume-incr nose/nose-volume-decr
    nose/nose-scale-horiz-incr nose/nose-scale-horiz-decr nose/nose-scale-vert-incr
    nose/nose-scale-vert-decr nose/nose-point-up nose/nose-point-down nose/nose-width2-incr
    mouth/mouth-scale-horiz-incr mouth/mouth-scale-horiz-decr
    mouth/mouth-upperlip-volume-incr mouth/mouth-upperlip-volume-decr
    mouth/mouth-lowerlip-volume-incr mouth/mouth-lowerlip-volume-decr
    chin/chin-prominent-incr chin/chin-prominent-decr chin/chin-width-incr chin/chin-width-decr
    chin/chin-height-incr chin/chin-height-decr
    head/head-fat-incr head/head-fat-decr head/head-scale-horiz-incr head/head-scale-horiz-decr
    head/head-round head/head-square head/head-oval head/head-rectangular head/head-triangular
    head/head-age-incr
    cheek/l-cheek-bones-incr cheek/l-cheek-volume-incr cheek/l-cheek-volume-decr
    eyes/l-eye-scale-incr eyes/l-eye-scale-decr eyes/l-eye-bag-incr
    ears/l-ear-wing-incr ears/l-ear-wing-decr
    forehead/forehead-scale-vert-incr forehead/forehead-scale-vert-decr
    eyebrows/eyebrows-trans-down eyebrows/eyebrows-trans-up
    neck/neck-double-incr neck/neck-scale-horiz-decr neck/neck-scale-horiz-incr
""".split()


@dataclass(frozen=True)
class Look:
    """Everything that makes one actor; colours are linear RGB.

    `shape` holds weights of displacement fields of actors.npz.
    """

    female: bool
    ancestry: dict
    age: float
    tone: float
    skin: tuple
    lips: tuple
    hair: str
    hair_colour: tuple
    hair_gloss: float
    hairline: float
    beard: float
    brow: dict
    iris: tuple
    clothes: str
    cloth_colours: tuple
    stripes: bool
    light: dict
    background: dict
    shape: dict = field(default_factory=dict)


def pick(rng: np.random.Generator, weights: dict[str, float]) -> str:
    """One key of a dict of weights."""
    names = list(weights)
    w = np.array(list(weights.values()), float)
    return names[rng.choice(len(names), p=w / w.sum())]


def fabric(rng: np.random.Generator, lightness=(0.04, 0.45), vivid=(0.15, 0.75)) -> tuple:
    """A cloth colour, mostly muted: linear RGB."""
    hue = rng.random()
    saturation = rng.uniform(*vivid)
    value = float(np.exp(rng.uniform(*np.log(lightness))))
    return colorsys.hsv_to_rgb(hue, saturation, value)


def draw_look(who: str | int) -> Look:
    """The look of a named actor, or of actor number `who`, the same each time.

    Raises InputError for an unknown name.

    >>> draw_look("anna").female, draw_look(7) == draw_look(7)
    (True, True)
    """
    rng, sex, kind, age = cast(who)
    female = sex == "f"
    share = draw_ancestry(rng, kind)
    asian, african = share[1:]
    tone = draw_tone(rng, share)
    skin = draw_skin(rng, tone, asian)
    lips = draw_lips(rng, skin, tone, female)

    curls = african > 0.55
    style = draw_style(rng, sex, age, curls)
    dark_hair = tone > 0.33 or asian > 0.5 or african > 0.4
    colour = pick(rng, DARK_HAIR if dark_hair else ANY_HAIR)
    hair = draw_hair_colour(rng, colour, age)
    dark_eyes = colour == "black" or tone > 0.35 or asian > 0.4
    iris = pick(rng, DARK_EYES if dark_eyes else ANY_EYES)

    # From here on the order of the arguments is the order of the draws: another order would be
    # another cast.
    jacket = rng.random() < 0.3
    light = draw_light(rng)
    shape = draw_shape(rng, age)
    return Look(
        female=female,
        ancestry=dict(zip(ANCESTRIES, map(float, share))),
        age=float(age),
        tone=tone,
        skin=tuple(skin),
        lips=tuple(lips),
        hair=style,
        hair_colour=tuple(hair),
        hair_gloss=float(rng.uniform(0.6, 1.3)) * (0.5 if curls else 1),
        hairline=float(rng.normal(0, 2.0) + (9 * age if not female else 0)),
        beard=0.0 if female else float(pick(rng, BEARDS)),
        brow=draw_brow(rng, female),
        iris=tuple(np.array(IRIS_COLOURS[iris]) * rng.uniform(0.8, 1.2, 3)),
        clothes="jacket" if jacket else pick(rng, CLOTHES),
        cloth_colours=draw_cloth_colours(rng, jacket),
        stripes=bool(rng.random() < 0.18),
        light=light,
        background=draw_background(rng),
        shape=shape,
    )


def cast(who: str | int) -> tuple[np.random.Generator, str, str, float]:
    """What is given before anything is drawn: a generator, sex, ancestry and age."""
    if isinstance(who, str):
        if who not in CAST:
            raise InputError(
                f"there is no actor {who!r}; choose one of {', '.join(CAST)}, or a whole number"
            )
        _, sex, kind, age = CAST[who]
        return np.random.default_rng(zlib.crc32(who.encode())), sex, kind, age

    rng = np.random.default_rng(int(who))
    sex = "fm"[rng.integers(2)]
    kind = (*ANCESTRIES, "mixed")[rng.integers(4)]
    return rng, sex, kind, float(rng.uniform(0, 0.65))


def draw_ancestry(rng: np.random.Generator, kind: str) -> np.ndarray:
    """Shares of the three ancestry shapes (3,), which sum to one."""
    if kind == "mixed":
        return rng.dirichlet([4.0, 2, 4])
    return rng.dirichlet([14.0 if name == kind else 0.6 for name in ANCESTRIES])


def draw_tone(rng: np.random.Generator, share: np.ndarray) -> float:
    """How dark the skin is, 0..1, around the mean of the ancestries."""
    return float(np.clip(share @ (0.10, 0.20, 0.86) + rng.normal(0, 0.07), 0, 1))


def draw_skin(rng: np.random.Generator, tone: float, asian: float) -> np.ndarray:
    """Skin colour (3,) of a tone: between the two nearest of SKIN_TONES, with some noise."""
    place = tone * (len(SKIN_TONES) - 1)
    i = min(int(place), len(SKIN_TONES) - 2)
    between = SKIN_TONES[i] ** (1 - place + i) * SKIN_TONES[i + 1] ** (place - i)
    skin = between * rng.uniform(0.95, 1.05, 3)
    return skin * np.array([1, 1 + 0.03 * asian, 1 - 0.04 * asian])


def draw_lips(rng: np.random.Generator, skin: np.ndarray, tone: float, female: bool) -> np.ndarray:
    """Lip colour (3,): redder than the skin, more so where there is rouge."""
    rouge = rng.uniform(0.75, 1.0) if female else 0.95
    if tone < 0.55:
        return skin * np.array([0.86, 0.50 * rouge, 0.58 * rouge])
    return skin * np.array([1.15, 0.80, 0.95])


def draw_style(rng: np.random.Generator, sex: str, age: float, curls: bool) -> str:
    """A kind of hair of hair.STYLES."""
    plain = WOMEN if sex == "f" else MEN
    style = pick(rng, TIGHT_CURLS[sex] if curls else plain)
    return "buzz" if style == "bald" and age < 0.3 else style


def draw_hair_colour(rng: np.random.Generator, name: str, age: float) -> np.ndarray:
    """One of HAIR_COLOURS (3,), turning grey with age."""
    grey = float(np.clip((age - 0.40) / 0.25, 0, 1) * rng.uniform(0.3, 1.0))
    return np.array(HAIR_COLOURS[name]) * rng.uniform(0.85, 1.2) * (1 - grey) + GREY_HAIR * grey


def draw_light(rng: np.random.Generator) -> dict[str, float]:
    """Where the key light stands, how strong and warm it is, and how bright the room."""
    return dict(
        side=float(rng.choice([-1, 1]) * rng.uniform(0.35, 1.0)),
        height=float(rng.uniform(0.45, 0.9)),
        power=float(rng.uniform(0.9, 1.12)),
        warmth=float(rng.uniform(-0.08, 0.10)),
        fill=float(rng.uniform(0.32, 0.55)),
        room=float(rng.uniform(0.85, 1.15)),
    )


def draw_shape(rng: np.random.Generator, age: float) -> dict[str, float]:
    """Weights of a few local shape targets, and a friendly mouth."""
    allowed = [name for name in LOCAL_SHAPES if age >= 0.3 or not name.endswith("age-incr")]
    chosen = rng.choice(len(allowed), rng.integers(4, 8), replace=False)
    shape = {}
    for name in (allowed[i] for i in chosen):
        most = 0.3 if name.startswith(("head", "neck")) else 0.5
        shape[name] = float(rng.uniform(0.1, most))

    # the base face looks stern
    shape["mouth/mouth-angles-up"] = float(rng.uniform(0.15, 0.5) + 0.5 * age)
    return shape


def draw_brow(rng: np.random.Generator, female: bool) -> dict[str, float]:
    """Shape and density of the brows."""
    return dict(
        thickness=float(rng.uniform(0.62, 0.84) if female else rng.uniform(0.78, 1.02)),
        arch=float(rng.uniform(0.3, 1.0) if female else rng.uniform(0, 0.5)),
        lift=float(rng.uniform(-0.012, 0.012)),
        density=float(rng.uniform(0.80, 0.95)),
    )


def draw_cloth_colours(rng: np.random.Generator, jacket: bool) -> tuple[tuple, tuple]:
    """Colours of the cloth and of what is trimmed, striped or worn under it."""
    if jacket:  # dark over a light shirt
        return fabric(rng, (0.02, 0.10), (0.1, 0.5)), fabric(rng, (0.35, 0.6), (0.03, 0.25))
    return fabric(rng), fabric(rng, (0.3, 0.6), (0.03, 0.3))


def draw_background(rng: np.random.Generator) -> dict:
    """Two colours of the wall behind the actor, and the seed of its shapes."""
    return dict(
        colour=fabric(rng, (0.05, 0.40), (0.05, 0.40)),
        other=fabric(rng, (0.04, 0.45), (0.05, 0.45)),
        seed=int(rng.integers(1 << 30)),
    )
