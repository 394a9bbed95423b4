"""Colours of a digital actor's surfaces from places on the resting base head (dm): what the face is
painted with.

Brows, furrows and grain are computed pixel by pixel (numba), everything else once per vertex.
"""

import math

import numpy as np

from ..fast import compiled
from . import render as r
from .hair import HANGING, STYLES, smooth, unit
from .looks import Look

UPPER, LOWER, TONGUE, LASH = 1, 2, 3, 4  # parts of actors.npz that are not skin


def blend(colour, weight, other):
    """Mix (n, 3) towards another colour by weights (n,)."""
    w = np.asarray(weight)[:, None]
    return colour * (1 - w) + w * np.asarray(other)


def bump(rest, x, y, sx, sy):
    """A soft spot on the front of the face, the same on both sides (n,)."""
    front = smooth(rest[:, 2], 0.7, 1.1)
    return np.exp(-(((np.abs(rest[:, 0]) - x) / sx) ** 2) - ((rest[:, 1] - y) / sy) ** 2) * front


def skin_colour(rest, masks, part, scalp, look: Look) -> np.ndarray:
    """Colour of every drawn vertex (n, 3): skin with its reds and shades, lips, beard, teeth,
    tongue, lashes."""
    skin, dark = np.array(look.skin), look.tone > 0.55
    red = np.array([1.08, 0.92, 0.90]) if dark else np.array([1.06, 0.80, 0.78])
    colour = np.tile(skin, (len(rest), 1))
    inside = smooth(masks["inside-mouth"], 0.3, 0.9)
    lips = smooth(masks["lips"], 0.2, 0.65) * (1 - inside)
    cheek, nose, chin = (
        bump(rest, 0.42, 6.92, 0.22, 0.2),
        bump(rest, 0, 6.95, 0.15, 0.12),
        bump(rest, 0, 6.2, 0.22, 0.15),
    )
    socket, lid = bump(rest, 0.31, 7.2, 0.2, 0.1), masks["eyelids"]
    for weight in (0.75 * cheek, 0.75 * nose, 0.6 * masks["ears"], 0.35 * chin):
        colour = blend(colour, weight, skin * red)
    colour = blend(colour, 0.45 * socket, skin * (0.82, 0.72, 0.74))
    colour = blend(colour, 0.3 * bump(rest, 0, 7.8, 0.5, 0.25), skin * (1.04, 1.02, 0.98))
    colour = blend(
        colour,
        0.75 * look.beard * beard_mask(rest, masks),
        0.6 * np.array(look.hair_colour) + 0.15 * skin,
    )
    colour = blend(colour, 0.45 * smooth(lid, 0.35, 0.9), skin * (0.62, 0.50, 0.50))
    colour = blend(colour, 0.85 * lips, look.lips)
    colour = blend(colour, inside, (0.25, 0.065, 0.055))
    colour = blend(colour, 0.85 * scalp, np.array(look.hair_colour) * 0.6 + 0.12 * skin)
    colour[np.isin(part, (UPPER, LOWER))] = teeth_colour(rest, part)[np.isin(part, (UPPER, LOWER))]
    colour[part == TONGUE] = 0.36, 0.12, 0.11
    colour[part == LASH] = skin * (0.75, 0.62, 0.60)
    return colour.clip(0.002, 1)


def beard_mask(rest, masks) -> np.ndarray:
    """Where a beard grows (n,): jaw, cheeks' edge, chin and upper lip."""
    x, y, z = np.abs(rest[:, 0]), rest[:, 1], rest[:, 2]
    back = np.maximum(0, 1.35 - z)  # the jaw bone rises towards the ear
    side = smooth(x, 0.46, 0.66) * smooth(y, 7.3, 6.9) * smooth(z, 1.1, 0.70) * smooth(z, 0.30, 0.5)
    jaw = np.maximum(side, smooth(y, 6.62 + 0.55 * back, 6.36 + 0.50 * back))
    jaw = jaw * smooth(y, 6.06 + 0.66 * back, 6.18 + 0.66 * back)
    around = (
        smooth(np.hypot(x / 0.36, (y - 6.58) / 0.235), 1.12, 0.72)
        * smooth(y, 6.2, 6.5)
        * smooth(z, 1.1, 1.3)
    )
    # it laps over the lower lip
    lips = smooth(masks["lips"], 0.45, 0.9) * smooth(y, 6.52, 6.57)
    bare = (
        (1 - lips)
        * (1 - smooth(masks["inside-mouth"], 0.1, 0.4))
        * (1 - smooth(masks["ears"], 0, 0.2))
    )
    return np.maximum(jaw, around) * bare


def lash_density(rest, part, look: Look) -> np.ndarray:
    """How thick the lashes are at each vertex (n,): 1 at the lid .. 0 at the tips, 0 elsewhere."""
    lash, density = part == LASH, np.zeros(len(rest))
    lids = rest[(part == 0) & (rest[:, 2] > 1) & (abs(rest[:, 1] - 7.25) < 0.25)]
    far = np.sqrt(((rest[lash][:, None] - lids) ** 2).sum(-1).min(1))
    density[lash] = (1 if look.female else 0.6) * smooth(far, 0.06, 0.01)
    return density


def teeth_colour(rest, part):
    """Off-white teeth with dark gaps and red gums (n, 3)."""
    x, y, z = rest.T
    colour = np.tile((0.60, 0.55, 0.47), (len(rest), 1))
    arch = np.abs(np.arctan2(x, z - 0.95)) * 0.42
    gaps_up, gaps_low = (
        np.cumsum([0, 0.085, 0.067, 0.076, 0.07, 0.07, 0.09]),
        np.cumsum([0, 0.054, 0.06, 0.07, 0.07, 0.07, 0.09]),
    )
    for kind, gaps, gum in (
        (UPPER, gaps_up, smooth(y, 6.735, 6.76)),
        (LOWER, gaps_low, smooth(y, 6.50, 6.475)),
    ):
        near = np.abs(arch[:, None] - gaps).min(1)
        these = colour * (1 - 0.45 * np.exp(-((near / 0.006) ** 2)))[:, None]
        these = blend(these, gum, (0.36, 0.12, 0.11)) * (1 - 0.7 * smooth(arch, 0.2, 0.5))[:, None]
        colour[part == kind] = these[part == kind]
    return colour


def gloss(rest, masks, part, look: Look) -> np.ndarray:
    """Strength of the skin's shine (n,): oily nose and forehead, moist lips."""
    inside = smooth(masks["inside-mouth"], 0.3, 0.9)
    lips = smooth(masks["lips"], 0.25, 0.8) * (1 - inside)
    shine = 0.45 + (0.8 if look.female else 0.35) * lips + 0.35 * bump(rest, 0, 6.95, 0.12, 0.2)
    shine = shine + 0.2 * bump(rest, 0, 7.8, 0.5, 0.25) + 0.5 * inside
    shine = shine * (1 - 0.7 * look.beard * beard_mask(rest, masks))
    return np.where(part == LASH, 0, np.where(part == 0, shine, 0.9))


def cloth_edge(rest, look: Look) -> np.ndarray:
    """Distance below the neckline (n,), dm: positive under the clothes."""
    x, y, z = np.abs(rest[:, 0]), rest[:, 1], rest[:, 2]
    # the shoulders are always covered
    crew = 5.78 - 0.30 * (z - 0.1) - y + 1.5 * np.maximum(0, x - 0.62)
    if look.clothes == "turtle":
        return 6.02 - 0.12 * (z - 0.1) - y + 1.5 * np.maximum(0, x - 0.62)
    if look.clothes in ("vneck", "jacket"):
        depth = 0.55 if look.clothes == "vneck" else 0.0
        return crew - depth * np.clip(1 - x / 0.42, 0, 1) * smooth(z, 0.2, 0.5)
    if look.clothes == "collar":
        return crew + 0.14 - 0.38 * np.clip(1 - x / 0.28, 0, 1) * smooth(z, 0.2, 0.5)
    return crew


def ribbons(line, away, widths, shade, look: Look) -> tuple:
    """Locks (m, k, 3) as ribbons of triangles: the vertex block of an actor, and triangles (t, 3)."""
    m, k, _ = line.shape
    tangent = unit(np.gradient(line, axis=1))
    front = np.where(away[..., 2:] < -0.2, -1.0, 1.0) * [0, 0, 1]
    # turned a little to the camera: no thin outline
    across = unit(np.cross(tangent, away + 0.8 * front))
    # (m, k, 2, 3)
    edges = np.stack(
        [line - across * widths[..., None] / 2, line + across * widths[..., None] / 2], 2
    )
    normal = unit(np.stack([away - 0.35 * across, away + 0.35 * across], 2))
    count = m * k * 2
    curly, hanging = STYLES[look.hair][2], look.hair in HANGING
    colour = np.array(look.hair_colour) * shade[:, None, None, None] * np.ones((m, k, 2, 1))
    light = (
        np.linspace(0.55, 1, k)
        if not hanging
        else np.interp(np.linspace(0, 1, k), [0, 0.3, 1], [0.75, 0.95, 0.85])
    )
    place = edges.reshape(count, 3)
    number, along = np.arange(m)[:, None, None] * 7.3, np.arange(k)[None, :, None] * 0.9
    # (m, k, 2, 3)
    grain = np.stack(np.broadcast_arrays([-1.2, 1.2] + number, along, number), -1)
    # long hair rests on the shoulders
    head = smooth(place[:, 1], 5.2, 6.3) * 0.6 + 0.4
    block = dict(
        place=place,
        normal=normal.reshape(count, 3),
        tangent=np.repeat(tangent, 2, 1).reshape(count, 3),
        rest=grain.reshape(count, 3),
        colour=colour.reshape(count, 3),
        spec=np.ones(count),
        hair=np.zeros(count),
        ao=np.tile(np.repeat(light, 2), m) * (0.9 if curly else 1),
        cloth=-np.ones(count),
        head=head if hanging else np.ones(count),
    )
    base = (np.arange(m) * 2 * k)[:, None, None] + (np.arange(k - 1) * 2)[None, :, None]
    return block, (base + np.array([0, 1, 2, 1, 3, 2])).reshape(-1, 3)


def look_vector(look: Look) -> np.ndarray:
    """The numbers that `render.shade` needs of a look (22,), in the order it reads them."""
    grey = min(look.hair_colour) > 0.2
    brow_colour = (
        np.array(look.hair_colour) * (0.55 if grey or look.tone > 0.4 else 0.22)
        + np.array(look.skin) * 0.02
    )
    pattern = (
        1
        if look.stripes and look.clothes in ("crew", "turtle")
        else 2
        if look.clothes == "jacket"
        else 0
    )
    collar = {"turtle": 0.0, "collar": 0.16, "crew": 0.06}.get(look.clothes, 0.0)
    main, other = look.cloth_colours
    if look.clothes == "crew":
        other = np.array(main) * 0.8 if not look.stripes else other
    brow = look.brow
    return np.array(
        [
            *look.hair_colour,
            *main,
            *other,
            pattern,
            collar,
            0.06,
            brow["thickness"],
            brow["arch"],
            brow["lift"],
            brow["density"],
            STYLES[look.hair][2],
            look.light["room"],
            look.hair_gloss,
            *brow_colour,
        ],
        np.float32,
    )


def furrows(look: Look, a) -> np.ndarray:
    """How deep the nine furrows of `shading.creases` are (9,), from age and the action units `a`."""
    u, age = np.clip(a[:17], 0, 5) / 5, smooth(look.age, 0.15, 0.65)
    smile, raised = max(0.8 * u[8], 0.7 * u[4]), min(1.0, 0.7 * u[0] + 0.7 * u[1])
    deep = np.array(
        [
            0.22 * age + 0.40 * raised,
            0.16 * age + 0.65 * u[2],
            0.25 * age + 0.55 * u[4] + 0.2 * u[8],
            0.05 * age + 0.60 * u[6] + 0.1 * u[7],
            0.08 + 0.40 * age + 0.45 * max(smile, u[6], u[7]),
            0.10 + 0.45 * age + 0.30 * max(u[4], u[5]),
            0.28 * age + 0.40 * u[10],
            0.45 * u[9] + 0.15 * u[8],
            0.40 * u[11],
        ]
    )
    return deep.astype(np.float32)


def backdrop(look: Look, size: int) -> np.ndarray:
    """A soft background (size, size, 3), display values: a gradient and a few blurred shapes,
    darker at the edges."""
    rng = np.random.default_rng(look.background["seed"])
    y, x = np.mgrid[0:size, 0:size] / size
    a, b = np.array(look.background["colour"]), np.array(look.background["other"])
    angle = rng.uniform(0, 2 * np.pi)
    t = smooth((x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle), -0.7, 0.7)[..., None]
    picture = a * (1 - t) + 0.5 * (a + b) * t
    for _ in range(rng.integers(2, 6)):
        cx, cy, sx, sy = (
            rng.uniform(0, 1),
            rng.uniform(0, 0.8),
            rng.uniform(0.06, 0.35),
            rng.uniform(0.1, 0.5),
        )
        spot = smooth(np.abs((x - cx) / sx), 1.3, 0.7) * smooth(np.abs((y - cy) / sy), 1.3, 0.7)
        picture = (
            picture * (1 + spot[..., None] * rng.uniform(-0.4, 0.6)) + 0.15 * spot[..., None] * b
        )
    picture = picture * (1 - 0.35 * ((x - 0.5) ** 2 + (y - 0.5) ** 2))[..., None]
    tone = r.tone_curve()
    index = (picture.clip(0, r.TONE_MAX) * (len(tone) - 1) / r.TONE_MAX).astype(int)
    return tone[index].astype(np.float32)


@compiled
def hash3(x, y, z):
    h = (x * 374761393 + y * 668265263 + z * 1440662683) & 0x7FFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0x7FFFFFFF
    return ((h ^ (h >> 16)) & 0xFFFF) / 32767.5 - 1.0


@compiled
def noise(x, y, z):
    """Smooth value noise in -1..1."""
    fx, fy, fz = math.floor(x), math.floor(y), math.floor(z)
    i, j, k = int(fx), int(fy), int(fz)
    x, y, z = x - fx, y - fy, z - fz
    x, y, z = x * x * (3 - 2 * x), y * y * (3 - 2 * y), z * z * (3 - 2 * z)
    a = (hash3(i, j, k) * (1 - x) + hash3(i + 1, j, k) * x) * (1 - y) + (
        hash3(i, j + 1, k) * (1 - x) + hash3(i + 1, j + 1, k) * x
    ) * y
    b = (hash3(i, j, k + 1) * (1 - x) + hash3(i + 1, j, k + 1) * x) * (1 - y) + (
        hash3(i, j + 1, k + 1) * (1 - x) + hash3(i + 1, j + 1, k + 1) * x
    ) * y
    return a * (1 - z) + b * z


@compiled
def step(x, a, b):
    """Smooth step from 0 at a to 1 at b (a may exceed b)."""
    t = min(max((x - a) / (b - a), 0.0), 1.0)
    return t * t * (3 - 2 * t)


@compiled
def brow_density(x, y, thickness, arch, lift, streak):
    """How much brow hair covers the place (x, y) of the resting face: 0..1, feathered."""
    x = abs(x)
    if x < 0.08 or x > 0.64 or y < 7.2 or y > 7.75:
        return 0.0
    s = (x - 0.11) / 0.49  # 0 at the nose, 1 at the tail
    middle = (
        7.476
        + lift
        + 0.030 * s
        + arch * (0.075 * math.sin(min(max(s, 0.0), 1.0) * 2.5) - 0.11 * s * s * s)
    )
    half = thickness * (0.024 + 0.028 * step(s, -0.05, 0.22)) * (1 - 0.78 * step(s, 0.35, 1.05))
    edge = (y - middle) / half
    ends = step(s, -0.06, 0.20) * step(s, 1.06, 0.80)
    return ends * step(abs(edge) + 0.45 * streak, 1.45, 0.35)


@compiled
def groove(x, y, x0, y0, x1, y1, width):
    """Depth 0..1 of a soft furrow from (x0, y0) to (x1, y1) at the place (x, y), fading towards its
    ends."""
    dx, dy = x1 - x0, y1 - y0
    t = ((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy)
    if t < 0.0 or t > 1.0:
        return 0.0
    d = ((x - x0) * dy - (y - y0) * dx) / (math.sqrt(dx * dx + dy * dy) * width)
    return math.exp(-d * d) * step(t, 0.0, 0.25) * step(t, 1.0, 0.6)


@compiled
def creases(x, y, c):
    """How dark the furrows are at the place (x, y) of the resting face; c: their nine strengths,
    see paint.furrows."""
    x, dark = abs(x), 0.0
    if y > 7.6:  # forehead
        if c[0] > 0.0 and x < 0.5:
            wave = math.cos((y - 7.70 + 0.02 * math.cos(7 * x)) * 55.0)
            dark += (
                c[0]
                * step(wave, 0.55, 1.0)
                * step(x, 0.5, 0.15)
                * step(y, 7.6, 7.68)
                * step(y, 8.0, 7.88)
            )
    elif x < 0.2 and y > 7.08:  # between the brows, and over the nose
        if c[1] > 0.0:
            dark += c[1] * groove(x, y, 0.055, 7.38, 0.075, 7.62, 0.014)
        if c[3] > 0.0 and y < 7.34:
            wave = math.cos((y - 0.5 * x) * 110.0)
            dark += (
                c[3]
                * step(wave, 0.2, 1.0)
                * step(y, 7.08, 7.16)
                * step(y, 7.34, 7.26)
                * step(x, 0.2, 0.1)
            )
    if 0.08 < x < 0.56 and 6.98 < y < 7.24:  # bags under the eyes
        dx, dy = (x - 0.31) / 0.21, (y - 7.25) / 0.15
        ring = math.sqrt(dx * dx + dy * dy) - 1
        dark += (
            c[5]
            * math.exp(-ring * ring * (60.0 if ring > 0 else 14.0))
            * step(x, 0.08, 0.2)
            * step(x, 0.56, 0.42)
        )
    elif x > 0.47 and 7.1 < y < 7.45 and c[2] > 0.0:  # crow's feet
        dx, dy = x - 0.44, y - 7.27
        away = math.sqrt(dx * dx + dy * dy)
        rays = math.cos(15.0 * math.atan2(dy, dx))
        dark += c[2] * step(rays, 0.4, 1.0) * step(away, 0.05, 0.10) * step(away, 0.24, 0.13)
    if 6.2 < y < 6.96 and x > 0.1:
        # from the nose to the corner: sharp towards the lip
        if y > 6.48:
            t = 6.94 - y
            d = x - (0.15 + 0.62 * t - 0.18 * t * t)
            d = d / 0.022 if d > 0 else d / 0.05
            dark += c[4] * math.exp(-d * d) * step(t, 0.0, 0.08) * step(t, 0.46, 0.25)
        if c[6] > 0.0:  # down from the corner
            dark += c[6] * groove(x, y, 0.29, 6.62, 0.35, 6.34, 0.026)
        if c[7] > 0.0:  # dimple beside the corner
            dark += c[7] * groove(x, y, 0.35, 6.72, 0.36, 6.52, 0.022)
    if c[8] > 0.0 and x < 0.24 and 6.1 < y < 6.5:  # a tense chin
        dark += (
            c[8]
            * (0.5 + noise(x * 28, y * 28, 5.0))
            * step(x, 0.24, 0.1)
            * step(y, 6.12, 6.22)
            * step(y, 6.5, 6.4)
        )
    return min(max(dark, 0.0), 1.0)
