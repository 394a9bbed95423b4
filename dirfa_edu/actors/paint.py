"""What the face of a digital actor is painted with, from places on the resting base head (dm).

Colours, gloss, hair and clothes are computed once per vertex; brows, furrows and grain, in numba,
at every sub-pixel.
"""

import math
from typing import NamedTuple

import numpy as np

from ..animation import column
from ..fast import compiled
from . import mesh
from .bust import Head
from .hair import HANGING, STYLES, Locks
from .looks import Look
from .mesh import BODY, LASHES, LOWER_TEETH, TONGUE, UPPER_TEETH, Patch, smooth, unit
from .render import TONE_MAX, inlined, tone_curve

GUMS = 0.36, 0.12, 0.11  # linear RGB, and the tongue's
PLAIN, STRIPED, OVER_SHIRT = range(3)  # patterns of cloth


class Dress(NamedTuple):
    """The numbers of a look that `shading.shade` needs; colours are linear RGB."""

    hair: tuple[float, float, float]
    cloth: tuple[float, float, float]
    trim: tuple[float, float, float]  # collar, stripes, or the shirt under a jacket
    brows: tuple[float, float, float]
    pattern: float  # PLAIN, STRIPED or OVER_SHIRT
    collar: float  # width of the collar, dm
    brow_thickness: float
    brow_arch: float
    brow_lift: float
    brow_density: float
    curls: float  # curls per dm, 0 for straight hair
    room: float  # strength of the light from everywhere
    hair_gloss: float


def blend(colour: np.ndarray, weight: np.ndarray, other) -> np.ndarray:
    """Mix colours (n, 3) with another by weights (n,)."""
    w = np.asarray(weight)[:, None]
    return colour * (1 - w) + w * np.asarray(other)


def soft_spot(rest: np.ndarray, x: float, y: float, width: float, height: float) -> np.ndarray:
    """A soft spot on the front of the face, the same on both sides (n,)."""
    front = smooth(rest[:, 2], 0.7, 1.1)
    across = ((np.abs(rest[:, 0]) - x) / width) ** 2
    along = ((rest[:, 1] - y) / height) ** 2
    return np.exp(-across - along) * front


def skin_colour(head: Head, scalp: np.ndarray, look: Look) -> np.ndarray:
    """Colour of every drawn vertex (n, 3): skin, lips, beard, teeth, tongue and lashes."""
    rest, masks, part = head.rest, head.masks, head.part
    skin = np.array(look.skin)
    hair = np.array(look.hair_colour)
    dark = look.tone > 0.55
    red = np.array([1.08, 0.92, 0.90]) if dark else np.array([1.06, 0.80, 0.78])
    inside = smooth(masks["inside-mouth"], 0.3, 0.9)
    lips = smooth(masks["lips"], 0.2, 0.65) * (1 - inside)
    cheek = soft_spot(rest, 0.42, 6.92, 0.22, 0.2)
    nose = soft_spot(rest, 0, 6.95, 0.15, 0.12)
    chin = soft_spot(rest, 0, 6.2, 0.22, 0.15)
    socket = soft_spot(rest, 0.31, 7.2, 0.2, 0.1)
    forehead = soft_spot(rest, 0, 7.8, 0.5, 0.25)

    # one layer over the other
    colour = np.tile(skin, (len(rest), 1))
    for weight in (0.75 * cheek, 0.75 * nose, 0.6 * masks["ears"], 0.35 * chin):
        colour = blend(colour, weight, skin * red)
    colour = blend(colour, 0.45 * socket, skin * (0.82, 0.72, 0.74))
    colour = blend(colour, 0.3 * forehead, skin * (1.04, 1.02, 0.98))
    colour = blend(colour, 0.75 * look.beard * beard_mask(head), 0.6 * hair + 0.15 * skin)
    colour = blend(colour, 0.45 * smooth(masks["eyelids"], 0.35, 0.9), skin * (0.62, 0.50, 0.50))
    colour = blend(colour, 0.85 * lips, look.lips)
    colour = blend(colour, inside, (0.25, 0.065, 0.055))
    colour = blend(colour, 0.85 * scalp, hair * 0.6 + 0.12 * skin)

    teeth = np.isin(part, (UPPER_TEETH, LOWER_TEETH))
    colour[teeth] = teeth_colour(head)[teeth]
    colour[part == TONGUE] = GUMS
    colour[part == LASHES] = skin * (0.75, 0.62, 0.60)
    return colour.clip(0.002, 1)


def beard_mask(head: Head) -> np.ndarray:
    """Where a beard grows (n,): jaw, cheeks' edge, chin and upper lip."""
    x, y, z = np.abs(head.rest[:, 0]), head.rest[:, 1], head.rest[:, 2]
    back = np.maximum(0, 1.35 - z)  # the jaw bone rises towards the ear
    side = smooth(x, 0.46, 0.66) * smooth(y, 7.3, 6.9) * smooth(z, 1.1, 0.70) * smooth(z, 0.30, 0.5)
    jaw = np.maximum(side, smooth(y, 6.62 + 0.55 * back, 6.36 + 0.50 * back))
    jaw = jaw * smooth(y, 6.06 + 0.66 * back, 6.18 + 0.66 * back)

    ring = smooth(np.hypot(x / 0.36, (y - 6.58) / 0.235), 1.12, 0.72)
    around_mouth = ring * smooth(y, 6.2, 6.5) * smooth(z, 1.1, 1.3)

    # it laps over the lower lip
    lips = smooth(head.masks["lips"], 0.45, 0.9) * smooth(y, 6.52, 6.57)
    inside = smooth(head.masks["inside-mouth"], 0.1, 0.4)
    ears = smooth(head.masks["ears"], 0, 0.2)
    return np.maximum(jaw, around_mouth) * ((1 - lips) * (1 - inside) * (1 - ears))


def lash_density(head: Head, look: Look) -> np.ndarray:
    """How thick the lashes are at each vertex (n,): 1 at the lid .. 0 at the tips, 0 elsewhere."""
    rest = head.rest
    lashes = head.part == LASHES
    near_the_eyes = (rest[:, 2] > 1) & (abs(rest[:, 1] - 7.25) < 0.25)
    lids = rest[(head.part == BODY) & near_the_eyes]
    from_lid = np.sqrt(((rest[lashes][:, None] - lids) ** 2).sum(-1).min(1))

    density = np.zeros(len(rest))
    density[lashes] = (1 if look.female else 0.6) * smooth(from_lid, 0.06, 0.01)
    return density


def teeth_colour(head: Head) -> np.ndarray:
    """Off-white teeth with dark gaps and red gums (n, 3)."""
    x, y, z = head.rest.T
    white = np.tile((0.60, 0.55, 0.47), (len(head), 1))
    along_arch = np.abs(np.arctan2(x, z - 0.95)) * 0.42  # from the middle to both sides
    gaps_above = np.cumsum([0, 0.085, 0.067, 0.076, 0.07, 0.07, 0.09])
    gaps_below = np.cumsum([0, 0.054, 0.06, 0.07, 0.07, 0.07, 0.09])

    colour = white.copy()
    for part, gaps, gum in (
        (UPPER_TEETH, gaps_above, smooth(y, 6.735, 6.76)),
        (LOWER_TEETH, gaps_below, smooth(y, 6.50, 6.475)),
    ):
        from_gap = np.abs(along_arch[:, None] - gaps).min(1)
        teeth = white * (1 - 0.45 * np.exp(-((from_gap / 0.006) ** 2)))[:, None]
        # the back teeth lie in the cheeks' shadow
        row = blend(teeth, gum, GUMS) * (1 - 0.7 * smooth(along_arch, 0.2, 0.5))[:, None]
        colour[head.part == part] = row[head.part == part]
    return colour


def gloss(head: Head, look: Look) -> np.ndarray:
    """Strength of the skin's shine (n,): oily nose and forehead, moist lips."""
    rest, masks = head.rest, head.masks
    inside = smooth(masks["inside-mouth"], 0.3, 0.9)
    lips = smooth(masks["lips"], 0.25, 0.8) * (1 - inside)
    nose = soft_spot(rest, 0, 6.95, 0.12, 0.2)
    forehead = soft_spot(rest, 0, 7.8, 0.5, 0.25)
    shine = 0.45 + (0.8 if look.female else 0.35) * lips + 0.35 * nose
    shine = shine + 0.2 * forehead + 0.5 * inside
    shine = shine * (1 - 0.7 * look.beard * beard_mask(head))

    wet = 0.9  # teeth and tongue
    return np.where(head.part == LASHES, 0, np.where(head.part == BODY, shine, wet))


def below_neckline(rest: np.ndarray, look: Look) -> np.ndarray:
    """Distance below the neckline (n,), dm: positive under the clothes."""
    x, y, z = np.abs(rest[:, 0]), rest[:, 1], rest[:, 2]
    # the shoulders are always covered
    shoulders = 1.5 * np.maximum(0, x - 0.62)
    if look.clothes == "turtle":
        return 6.02 - 0.12 * (z - 0.1) - y + shoulders

    crew = 5.78 - 0.30 * (z - 0.1) - y + shoulders
    if look.clothes == "vneck":
        return crew - 0.55 * np.clip(1 - x / 0.42, 0, 1) * smooth(z, 0.2, 0.5)
    if look.clothes == "collar":
        return crew + 0.14 - 0.38 * np.clip(1 - x / 0.28, 0, 1) * smooth(z, 0.2, 0.5)
    return crew


def ribbons(grown: Locks, look: Look) -> Patch:
    """Locks as ribbons of triangles: two vertices at each of their points."""
    line, away, width, shade = grown
    m, k, _ = line.shape
    count = m * k * 2
    tangent = unit(np.gradient(line, axis=1))
    front = np.where(away[..., 2:] < -0.2, -1.0, 1.0) * [0, 0, 1]
    # turned a little to the camera: no thin outline
    across = unit(np.cross(tangent, away + 0.8 * front))
    half = across * width[..., None] / 2
    place = np.stack([line - half, line + half], 2).reshape(count, 3)
    normal = unit(np.stack([away - 0.35 * across, away + 0.35 * across], 2))  # (m, k, 2, 3)
    colour = np.array(look.hair_colour) * shade[:, None, None, None] * np.ones((m, k, 2, 1))

    # where the grain of its noise is looked up: other noise for each lock, stretched along it
    number = np.arange(m)[:, None, None] * 7.3
    along = np.arange(k)[None, :, None] * 0.9
    grain = np.stack(np.broadcast_arrays([-1.2, 1.2] + number, along, number), -1)  # (m, k, 2, 3)

    hanging, curly = look.hair in HANGING, STYLES[look.hair].curls
    return Patch(
        place=place,
        normal=normal.reshape(count, 3),
        strand=np.repeat(tangent, 2, 1).reshape(count, 3),
        rest=grain.reshape(count, 3),
        colour=colour.reshape(count, 3),
        ambient=np.tile(np.repeat(light_along(k, hanging), 2), m) * (0.9 if curly else 1),
        gloss=np.ones(count),
        hairiness=np.zeros(count),
        neckline=-np.ones(count),
        # long hair rests on the shoulders
        head=smooth(place[:, 1], 5.2, 6.3) * 0.6 + 0.4 if hanging else np.ones(count),
        triangles=ribbon_triangles(m, k),
        material=np.full(2 * m * (k - 1), mesh.HAIR),
    )


def light_along(k: int, hanging: bool) -> np.ndarray:
    """Ambient light along a lock of k points: dark at the root, and inside a curtain's ends."""
    if hanging:
        return np.interp(np.linspace(0, 1, k), [0, 0.3, 1], [0.75, 0.95, 0.85])
    return np.linspace(0.55, 1, k)


def ribbon_triangles(m: int, k: int) -> np.ndarray:
    """Two triangles between neighbouring points of m ribbons (2 m (k - 1), 3)."""
    first = (np.arange(m) * 2 * k)[:, None, None] + (np.arange(k - 1) * 2)[None, :, None]
    return (first + np.array([0, 1, 2, 1, 3, 2])).reshape(-1, 3)


def dress(look: Look) -> Dress:
    """What `shading.shade` needs to know of a look."""
    grey = min(look.hair_colour) > 0.2
    darker = 0.55 if grey or look.tone > 0.4 else 0.22
    brows = np.array(look.hair_colour) * darker + np.array(look.skin) * 0.02

    cloth, trim = look.cloth_colours
    pattern = PLAIN
    if look.clothes == "jacket":
        pattern = OVER_SHIRT
    elif look.stripes and look.clothes in ("crew", "turtle"):
        pattern = STRIPED
    if look.clothes == "crew" and not look.stripes:
        trim = np.array(cloth) * 0.8
    return Dress(
        hair=single(look.hair_colour),
        cloth=single(cloth),
        trim=single(trim),
        brows=single(brows),
        pattern=np.float32(pattern),
        collar=np.float32({"collar": 0.16, "crew": 0.06}.get(look.clothes, 0.0)),
        brow_thickness=np.float32(look.brow["thickness"]),
        brow_arch=np.float32(look.brow["arch"]),
        brow_lift=np.float32(look.brow["lift"]),
        brow_density=np.float32(look.brow["density"]),
        curls=np.float32(STYLES[look.hair].curls),
        room=np.float32(look.light["room"]),
        hair_gloss=np.float32(look.hair_gloss),
    )


def single(colour) -> tuple:
    """A colour as three numbers in single precision."""
    red, green, blue = np.asarray(colour, np.float32)
    return red, green, blue


def furrows(look: Look, attributes: np.ndarray) -> np.ndarray:
    """How deep the nine furrows of `creases` are: float32 (9,), from age and the Action Units."""
    age = smooth(look.age, 0.15, 0.65)

    def au(number: int) -> float:
        return np.clip(attributes[column(f"AU{number:02d}")], 0, 5) / 5

    smile = max(0.8 * au(12), 0.7 * au(6))
    raised = min(1.0, 0.7 * au(1) + 0.7 * au(2))
    deep = np.zeros(mesh.FURROWS, np.float32)
    deep[mesh.FOREHEAD] = 0.22 * age + 0.40 * raised
    deep[mesh.BETWEEN_BROWS] = 0.16 * age + 0.65 * au(4)
    deep[mesh.CROWS_FEET] = 0.25 * age + 0.55 * au(6) + 0.2 * au(12)
    deep[mesh.OVER_NOSE] = 0.05 * age + 0.60 * au(9) + 0.1 * au(10)
    deep[mesh.NOSE_TO_MOUTH] = 0.08 + 0.40 * age + 0.45 * max(smile, au(9), au(10))
    deep[mesh.EYE_BAGS] = 0.10 + 0.45 * age + 0.30 * max(au(6), au(7))
    deep[mesh.BELOW_MOUTH] = 0.28 * age + 0.40 * au(15)
    deep[mesh.DIMPLES] = 0.45 * au(14) + 0.15 * au(12)
    deep[mesh.CHIN_DENTS] = 0.40 * au(17)
    return deep


def backdrop(look: Look, size: int) -> np.ndarray:
    """A soft background (size, size, 3), display values 0..255.

    A gradient and a few blurred shapes, darker at the edges.
    """
    rng = np.random.default_rng(look.background["seed"])
    y, x = np.mgrid[0:size, 0:size] / size
    a = np.array(look.background["colour"])
    b = np.array(look.background["other"])
    angle = rng.uniform(0, 2 * np.pi)
    along = (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle)
    t = smooth(along, -0.7, 0.7)[..., None]
    picture = a * (1 - t) + 0.5 * (a + b) * t

    for _ in range(rng.integers(2, 6)):
        cx, cy = rng.uniform(0, 1), rng.uniform(0, 0.8)
        width, height = rng.uniform(0.06, 0.35), rng.uniform(0.1, 0.5)
        shape = smooth(np.abs((x - cx) / width), 1.3, 0.7)
        shape = (shape * smooth(np.abs((y - cy) / height), 1.3, 0.7))[..., None]
        picture = picture * (1 + shape * rng.uniform(-0.4, 0.6)) + 0.15 * shape * b

    picture = picture * (1 - 0.35 * ((x - 0.5) ** 2 + (y - 0.5) ** 2))[..., None]
    tone = tone_curve()
    index = (picture.clip(0, TONE_MAX) * (len(tone) - 1) / TONE_MAX).astype(int)
    return tone[index].astype(np.float32)


# ---- at every sub-pixel


@inlined
def hash3(x, y, z):
    """A number in -1..1 that looks random, for whole numbers x, y, z."""
    h = (x * 374761393 + y * 668265263 + z * 1440662683) & 0x7FFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0x7FFFFFFF
    return ((h ^ (h >> 16)) & 0xFFFF) / 32767.5 - 1.0


@compiled
def noise(x, y, z):
    """Smooth value noise in -1..1: numbers on a lattice, joined by smooth steps."""
    fx, fy, fz = math.floor(x), math.floor(y), math.floor(z)
    i, j, k = int(fx), int(fy), int(fz)
    x, y, z = x - fx, y - fy, z - fz
    x = x * x * (3 - 2 * x)
    y = y * y * (3 - 2 * y)
    z = z * z * (3 - 2 * z)
    return noise_plane(i, j, k, x, y) * (1 - z) + noise_plane(i, j, k + 1, x, y) * z


@inlined
def noise_plane(i, j, k, x, y):
    """Between the four lattice points about (i + x, j + y) on level k."""
    low = hash3(i, j, k) * (1 - x) + hash3(i + 1, j, k) * x
    high = hash3(i, j + 1, k) * (1 - x) + hash3(i + 1, j + 1, k) * x
    return low * (1 - y) + high * y


@inlined
def smoothstep(x, a, b):
    """Smooth step of one number: 0 at a, 1 at b (a may exceed b); mesh.smooth is that of arrays."""
    t = min(max((x - a) / (b - a), 0.0), 1.0)
    return t * t * (3 - 2 * t)


@compiled
def brow_cover(x, y, thickness, arch, lift, streak):
    """How much brow hair covers the place (x, y) of the resting face: 0..1, feathered."""
    x = abs(x)
    if x < 0.08 or x > 0.64 or y < 7.2 or y > 7.75:
        return 0.0

    s = (x - 0.11) / 0.49  # 0 at the nose, 1 at the tail
    bow = 0.075 * math.sin(min(max(s, 0.0), 1.0) * 2.5) - 0.11 * s * s * s
    middle = 7.476 + lift + 0.030 * s + arch * bow
    widens = 0.024 + 0.028 * smoothstep(s, -0.05, 0.22)
    half = thickness * widens * (1 - 0.78 * smoothstep(s, 0.35, 1.05))
    edge = (y - middle) / half
    ends = smoothstep(s, -0.06, 0.20) * smoothstep(s, 1.06, 0.80)
    return ends * smoothstep(abs(edge) + 0.45 * streak, 1.45, 0.35)


@compiled
def creases(x, y, deep):
    """How dark the furrows are at the place (x, y) of the resting face: 0..1.

    deep (9,) holds their strengths, see `furrows`; each part below gives nothing for strength 0.
    """
    x = abs(x)
    dark = 0.0
    if y > 7.6:
        dark += forehead_lines(x, y, deep[mesh.FOREHEAD])
    elif x < 0.2 and y > 7.08:
        dark += groove(x, y, deep[mesh.BETWEEN_BROWS], 0.055, 7.38, 0.075, 7.62, 0.014)
        dark += nose_wrinkles(x, y, deep[mesh.OVER_NOSE])
    if 0.08 < x < 0.56 and 6.98 < y < 7.24:
        dark += eye_bag(x, y, deep[mesh.EYE_BAGS])
    elif x > 0.47 and 7.1 < y < 7.45:
        dark += crows_feet(x, y, deep[mesh.CROWS_FEET])
    if 6.2 < y < 6.96 and x > 0.1:
        dark += nose_to_mouth(x, y, deep[mesh.NOSE_TO_MOUTH])
        dark += groove(x, y, deep[mesh.BELOW_MOUTH], 0.29, 6.62, 0.35, 6.34, 0.026)
        dark += groove(x, y, deep[mesh.DIMPLES], 0.35, 6.72, 0.36, 6.52, 0.022)
    if x < 0.24 and 6.1 < y < 6.5:
        dark += tense_chin(x, y, deep[mesh.CHIN_DENTS])
    return min(max(dark, 0.0), 1.0)


@inlined
def groove(x, y, deep, x0, y0, x1, y1, width):
    """A soft furrow from (x0, y0) to (x1, y1), fading towards its ends."""
    if deep <= 0.0:
        return 0.0
    dx, dy = x1 - x0, y1 - y0
    t = ((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy)
    if t < 0.0 or t > 1.0:
        return 0.0
    d = ((x - x0) * dy - (y - y0) * dx) / (math.sqrt(dx * dx + dy * dy) * width)
    return deep * (math.exp(-d * d) * smoothstep(t, 0.0, 0.25) * smoothstep(t, 1.0, 0.6))


@inlined
def forehead_lines(x, y, deep):
    """Wavy lines across the forehead."""
    if deep <= 0.0 or x >= 0.5:
        return 0.0
    wave = math.cos((y - 7.70 + 0.02 * math.cos(7 * x)) * 55.0)
    ends = smoothstep(x, 0.5, 0.15) * smoothstep(y, 7.6, 7.68) * smoothstep(y, 8.0, 7.88)
    return deep * smoothstep(wave, 0.55, 1.0) * ends


@inlined
def nose_wrinkles(x, y, deep):
    """Short lines over the root of the nose."""
    if deep <= 0.0 or y >= 7.34:
        return 0.0
    wave = math.cos((y - 0.5 * x) * 110.0)
    ends = smoothstep(y, 7.08, 7.16) * smoothstep(y, 7.34, 7.26) * smoothstep(x, 0.2, 0.1)
    return deep * smoothstep(wave, 0.2, 1.0) * ends


@inlined
def eye_bag(x, y, deep):
    """A half ring under the eye, softer inside than outside."""
    dx, dy = (x - 0.31) / 0.21, (y - 7.25) / 0.15
    ring = math.sqrt(dx * dx + dy * dy) - 1
    sharp = 60.0 if ring > 0 else 14.0
    ends = smoothstep(x, 0.08, 0.2) * smoothstep(x, 0.56, 0.42)
    return deep * math.exp(-ring * ring * sharp) * ends


@inlined
def crows_feet(x, y, deep):
    """Rays from the outer corner of the eye."""
    if deep <= 0.0:
        return 0.0
    dx, dy = x - 0.44, y - 7.27
    away = math.sqrt(dx * dx + dy * dy)
    rays = math.cos(15.0 * math.atan2(dy, dx))
    ends = smoothstep(away, 0.05, 0.10) * smoothstep(away, 0.24, 0.13)
    return deep * smoothstep(rays, 0.4, 1.0) * ends


@inlined
def nose_to_mouth(x, y, deep):
    """The fold from the nose to the corner of the mouth: sharp towards the lip."""
    if y <= 6.48:
        return 0.0
    t = 6.94 - y
    d = x - (0.15 + 0.62 * t - 0.18 * t * t)
    d = d / 0.022 if d > 0 else d / 0.05
    return deep * math.exp(-d * d) * smoothstep(t, 0.0, 0.08) * smoothstep(t, 0.46, 0.25)


@inlined
def tense_chin(x, y, deep):
    """Small dents of a chin that is pushed up."""
    if deep <= 0.0:
        return 0.0
    ends = smoothstep(x, 0.24, 0.1) * smoothstep(y, 6.12, 6.22) * smoothstep(y, 6.5, 6.4)
    return deep * (0.5 + noise(x * 28, y * 28, 5.0)) * ends
