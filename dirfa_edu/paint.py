"""Colours of a digital actor's surfaces, per vertex, from places on the resting base head (dm)."""
import numpy as np

from . import render as r
from .hair import STYLES, smooth, unit
from .looks import Look

UPPER, LOWER, TONGUE, LASH = 1, 2, 3, 4        # parts of actors.npz that are not skin


def blend(colour, weight, other):
    """Mix (n, 3) towards another colour by weights (n,)."""
    w = np.asarray(weight)[:, None]
    return colour * (1 - w) + w * np.asarray(other)


def bump(rest, x, y, sx, sy):
    """A soft spot on the front of the face, the same on both sides (n,)."""
    front = smooth(rest[:, 2], .7, 1.1)
    return np.exp(-((np.abs(rest[:, 0]) - x) / sx) ** 2 - ((rest[:, 1] - y) / sy) ** 2) * front


def skin_colour(rest, masks, part, scalp, look: Look) -> np.ndarray:
    """Colour of every drawn vertex (n, 3): skin with its reds and shades, lips, beard, teeth, tongue, lashes."""
    skin, dark = np.array(look.skin), look.tone > .55
    red = np.array([1.08, .92, .90]) if dark else np.array([1.06, .80, .78])
    colour = np.tile(skin, (len(rest), 1))
    inside = smooth(masks["inside-mouth"], .3, .9)
    lips = smooth(masks["lips"], .25, .8) * (1 - inside)
    cheek, nose, chin = bump(rest, .42, 6.92, .22, .2), bump(rest, 0, 6.95, .15, .12), bump(rest, 0, 6.2, .22, .15)
    socket, lid = bump(rest, .31, 7.2, .2, .1), masks["eyelids"]
    for weight in (.6 * cheek, .6 * nose, .6 * masks["ears"], .35 * chin):
        colour = blend(colour, weight, skin * red)
    colour = blend(colour, .45 * socket, skin * (.82, .72, .74))
    colour = blend(colour, .3 * bump(rest, 0, 7.8, .5, .25), skin * (1.04, 1.02, .98))
    colour = blend(colour, .75 * look.beard * beard_mask(rest, masks), .6 * np.array(look.hair_colour) + .15 * skin)
    colour = blend(colour, .45 * smooth(lid, .35, .9), skin * (.62, .50, .50))
    colour = blend(colour, .85 * lips, look.lips)
    colour = blend(colour, inside, (.25, .065, .055))
    colour = blend(colour, .85 * scalp, np.array(look.hair_colour) * .6 + .12 * skin)
    colour[np.isin(part, (UPPER, LOWER))] = teeth_colour(rest, part)[np.isin(part, (UPPER, LOWER))]
    colour[part == TONGUE] = .36, .12, .11
    colour[part == LASH] = np.array(look.hair_colour) * .15 + (.004 if look.female else .22 * skin)
    return colour.clip(.002, 1)


def beard_mask(rest, masks) -> np.ndarray:
    """Where a beard grows (n,): jaw, cheeks' edge, chin and upper lip."""
    x, y, z = np.abs(rest[:, 0]), rest[:, 1], rest[:, 2]
    back = np.maximum(0, 1.35 - z)                      # the jaw bone rises towards the ear
    jaw = smooth(y, 6.56 + .55 * back, 6.40 + .50 * back) * smooth(y, 6.06 + .66 * back, 6.18 + .66 * back)
    side = smooth(x, .50, .62) * smooth(y, 7.2, 7.0) * smooth(z, 1.0, .75) * smooth(z, .35, .5)
    side = side * smooth(y, 6.06 + .66 * back, 6.18 + .66 * back)
    around = smooth(y, 6.84, 6.74) * smooth(x, .40, .30) * smooth(y, 6.3, 6.5) * smooth(z, 1.1, 1.3)
    lips = smooth(masks["lips"], .1, .4)
    return np.maximum(np.maximum(jaw, side), around) * (1 - lips) * (1 - smooth(masks["inside-mouth"], .1, .4)) \
        * (1 - smooth(masks["ears"], 0, .2))


def teeth_colour(rest, part):
    """Off-white teeth with dark gaps and red gums (n, 3)."""
    x, y, z = rest.T
    colour = np.tile((.60, .55, .47), (len(rest), 1))
    arch = np.abs(np.arctan2(x, z - .95)) * .42
    gaps_up, gaps_low = np.cumsum([0, .085, .067, .076, .07, .07, .09]), np.cumsum([0, .054, .06, .07, .07, .07, .09])
    for kind, gaps, gum in ((UPPER, gaps_up, smooth(y, 6.735, 6.76)), (LOWER, gaps_low, smooth(y, 6.50, 6.475))):
        near = np.abs(arch[:, None] - gaps).min(1)
        these = colour * (1 - .45 * np.exp(-(near / .006) ** 2))[:, None]
        these = blend(these, gum, (.36, .12, .11)) * (1 - .7 * smooth(arch, .2, .5))[:, None]
        colour[part == kind] = these[part == kind]
    return colour


def gloss(rest, masks, part) -> np.ndarray:
    """Strength of the skin's shine (n,): oily nose and forehead, moist lips."""
    inside = smooth(masks["inside-mouth"], .3, .9)
    lips = smooth(masks["lips"], .25, .8) * (1 - inside)
    shine = .45 + .8 * lips + .35 * bump(rest, 0, 6.95, .12, .2) + .2 * bump(rest, 0, 7.8, .5, .25) + .5 * inside
    return np.where(part == LASH, 0, np.where(part == 0, shine, .9))


def cloth_edge(rest, look: Look) -> np.ndarray:
    """Distance below the neckline (n,), dm: positive under the clothes."""
    x, y, z = np.abs(rest[:, 0]), rest[:, 1], rest[:, 2]
    crew = 5.78 - .30 * (z - .1) - y + 1.5 * np.maximum(0, x - .62)        # the shoulders are always covered
    if look.clothes == "turtle":
        return 6.02 - .12 * (z - .1) - y + 1.5 * np.maximum(0, x - .62)
    if look.clothes in ("vneck", "jacket"):
        depth = .55 if look.clothes == "vneck" else 0.0
        return crew - depth * np.clip(1 - x / .42, 0, 1) * smooth(z, .2, .5)
    if look.clothes == "collar":
        return crew + .14 - .38 * np.clip(1 - x / .28, 0, 1) * smooth(z, .2, .5)
    return crew


def ribbons(line, away, widths, shade, look: Look) -> tuple:
    """Locks (m, k, 3) as ribbons of triangles: the vertex block of an actor, and triangles (t, 3)."""
    m, k, _ = line.shape
    tangent = unit(np.gradient(line, axis=1))
    across = unit(np.cross(tangent, away))
    edges = np.stack([line - across * widths[..., None] / 2, line + across * widths[..., None] / 2], 2)  # (m, k, 2, 3)
    normal = unit(np.stack([away - .35 * across, away + .35 * across], 2))
    count = m * k * 2
    curly, hanging = STYLES[look.hair][2], look.hair in ("bob", "long", "wavy")
    colour = np.array(look.hair_colour) * shade[:, None, None, None] * np.ones((m, k, 2, 1))
    light = np.linspace(.55, 1, k) if not hanging else np.interp(np.linspace(0, 1, k), [0, .3, 1], [.75, .95, .85])
    place = edges.reshape(count, 3)
    head = smooth(place[:, 1], 5.2, 6.3) * .6 + .4                     # long hair rests on the shoulders
    block = dict(place=place, normal=normal.reshape(count, 3), tangent=np.repeat(tangent, 2, 1).reshape(count, 3),
                 rest=place, colour=colour.reshape(count, 3), spec=np.ones(count), hair=np.zeros(count),
                 ao=np.tile(np.repeat(light, 2), m) * (.9 if curly else 1), cloth=-np.ones(count),
                 head=head if hanging else np.ones(count))
    base = (np.arange(m) * 2 * k)[:, None, None] + (np.arange(k - 1) * 2)[None, :, None]
    return block, (base + np.array([0, 1, 2, 1, 3, 2])).reshape(-1, 3)


def look_vector(look: Look) -> np.ndarray:
    """The numbers that `render.shade` needs of a look (22,), in the order it reads them."""
    grey = min(look.hair_colour) > .2
    brow_colour = np.array(look.hair_colour) * (.55 if grey or look.tone > .4 else .30) + np.array(look.skin) * .03
    pattern = 1 if look.stripes and look.clothes in ("crew", "turtle") else 2 if look.clothes == "jacket" else 0
    collar = {"turtle": .0, "collar": .16, "crew": .06}.get(look.clothes, 0.0)
    main, other = look.cloth_colours
    if look.clothes == "crew":
        other = np.array(main) * .8 if not look.stripes else other
    brow = look.brow
    return np.array([*look.hair_colour, *main, *other, pattern, collar, .06, brow["thickness"], brow["arch"],
                     brow["lift"], brow["density"], STYLES[look.hair][2], look.light["room"], look.hair_gloss,
                     *brow_colour], np.float32)


def backdrop(look: Look, size: int) -> np.ndarray:
    """A soft background (size, size, 3), display values: a gradient and a few blurred shapes, darker at the edges."""
    rng = np.random.default_rng(look.background["seed"])
    y, x = np.mgrid[0:size, 0:size] / size
    a, b = np.array(look.background["colour"]), np.array(look.background["other"])
    angle = rng.uniform(0, 2 * np.pi)
    t = smooth((x - .5) * np.cos(angle) + (y - .5) * np.sin(angle), -.7, .7)[..., None]
    picture = a * (1 - t) + .5 * (a + b) * t
    for _ in range(rng.integers(2, 6)):
        cx, cy, sx, sy = rng.uniform(0, 1), rng.uniform(0, .8), rng.uniform(.06, .35), rng.uniform(.1, .5)
        spot = smooth(np.abs((x - cx) / sx), 1.3, .7) * smooth(np.abs((y - cy) / sy), 1.3, .7)
        picture = picture * (1 + spot[..., None] * rng.uniform(-.4, .6)) + .15 * spot[..., None] * b
    picture = picture * (1 - .35 * ((x - .5) ** 2 + (y - .5) ** 2))[..., None]
    tone = r.tone_curve()
    index = (picture.clip(0, r.TONE_MAX) * (len(tone) - 1) / r.TONE_MAX).astype(int)
    return tone[index].astype(np.float32)
