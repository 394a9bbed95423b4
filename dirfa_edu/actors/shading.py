"""Light on a digital actor: skin, eyes, teeth, hair and cloth, shaded in numba at each sub-pixel.

Fine detail (brows, irises, strands, weave) is computed here from the place on the resting head, so
it sticks to the face as it moves and needs no texture. Vectors and colours are tuples of three
numbers, which numba keeps in registers.

numba keeps the compiled `shade` on disk for as long as this file is the same: after a change in
paint.py touch this one.
"""

import math
from typing import NamedTuple

import numpy as np

from ..fast import compiled
from .mesh import (
    AMBIENT,
    CLOTH,
    COLOUR,
    EYE,
    GLOSS,
    HAIR,
    HAIRINESS,
    LASH,
    MOVING,
    NECKLINE,
    NORMAL,
    PLACE,
    REST,
    SKIN,
    STATIC,
    STRAND,
    WET,
)
from .paint import OVER_SHIRT, STRIPED, brow_cover, creases, noise, smoothstep
from .render import TONE_MAX, inlined

BIAS = 0.035  # dm: a surface this little behind the shadow map's is lit
SHADOW_SIDE = 2  # texels looked at on each side of a point's own


class Mesh(NamedTuple):
    """What is drawn: n vertices and t triangles."""

    points: np.ndarray  # (n, 3) x and y in sub-pixels, depth
    triangles: np.ndarray  # (t, 3)
    material: np.ndarray  # (t,)
    moving: np.ndarray  # (n, 9), see mesh.py
    static: np.ndarray  # (n, 10), see mesh.py


class Lights(NamedTuple):
    """Three directional lights; the first one, the key light, casts shadows."""

    direction: np.ndarray  # (3, 3) towards each light
    colour: np.ndarray  # (3, 3) linear RGB
    to_map: np.ndarray  # (3, 4) from the world into the key light's shadow map
    shadow: np.ndarray  # (S, S) depth of what the key light sees


class Surface(NamedTuple):
    """What light meets at one sub-pixel; vectors are of length one."""

    material: int  # SKIN, EYE, WET, HAIR or CLOTH
    place: tuple[float, float, float]
    normal: tuple[float, float, float]
    camera: tuple[float, float, float]  # towards it
    strand: tuple[float, float, float]  # the direction of hair, of any length
    colour: tuple[float, float, float]
    ambient: float  # share of the light from everywhere
    gloss: float
    fibre: float  # 0 skin .. 1 hair


@compiled
def shade(mesh, seen, camera, lights, dress, furrows, background, tone, image):
    """Light what each sub-pixel sees and average blocks of sub-pixels into image (S, S, 3) uint8.

    seen: the triangle of each sub-pixel, see render.raster; camera (3,); dress: see paint.dress;
    furrows: see paint.furrows; background (S, S, 3); tone: see render.tone_curve.
    """
    size = image.shape[0]
    sub = seen.shape[0] // size  # sub-pixels along the side of a pixel
    moving = np.empty(MOVING, np.float32)
    static = np.empty(STATIC, np.float32)
    for row in range(size):
        for column in range(size):
            red, green, blue = 0.0, 0.0, 0.0
            for cell in range(sub * sub):
                y = row * sub + cell // sub
                x = column * sub + cell % sub
                k = seen[y, x]
                if k < 0:
                    red += background[row, column, 0]
                    green += background[row, column, 1]
                    blue += background[row, column, 2]
                    continue
                interpolate(mesh, k, x + 0.5, y + 0.5, moving, static)
                light = light_from(mesh.material[k], moving, static, camera, lights, dress, furrows)
                red += displayed(light[0], tone)
                green += displayed(light[1], tone)
                blue += displayed(light[2], tone)
            image[row, column, 0] = np.uint8(red / (sub * sub) + 0.5)
            image[row, column, 1] = np.uint8(green / (sub * sub) + 0.5)
            image[row, column, 2] = np.uint8(blue / (sub * sub) + 0.5)


@inlined
def displayed(light, tone):
    """Display value 0..255 of linear light."""
    last = tone.shape[0] - 1
    return tone[min(max(int(light * (last / TONE_MAX)), 0), last)]


@inlined
def interpolate(mesh, k, x, y, moving, static):
    """All columns at the place (x, y) of triangle k, written into moving (9,) and static (10,)."""
    i, j, l = mesh.triangles[k, 0], mesh.triangles[k, 1], mesh.triangles[k, 2]
    x0, y0 = mesh.points[i, 0], mesh.points[i, 1]
    x1, y1 = mesh.points[j, 0] - x0, mesh.points[j, 1] - y0
    x2, y2 = mesh.points[l, 0] - x0, mesh.points[l, 1] - y0
    area = x1 * y2 - x2 * y1
    w1 = ((x - x0) * y2 - x2 * (y - y0)) / area
    w2 = (x1 * (y - y0) - (x - x0) * y1) / area
    w0 = 1 - w1 - w2
    for c in range(MOVING):
        moving[c] = w0 * mesh.moving[i, c] + w1 * mesh.moving[j, c] + w2 * mesh.moving[l, c]
    for c in range(STATIC):
        static[c] = w0 * mesh.static[i, c] + w1 * mesh.static[j, c] + w2 * mesh.static[l, c]


@inlined
def light_from(kind, moving, static, camera, lights, dress, furrows):
    """Light (3,) that leaves a place towards the camera, linear RGB."""
    place = triple(moving, PLACE)
    rest = triple(static, REST)
    normal = normalised(triple(moving, NORMAL))
    view = normalised((camera[0] - place[0], camera[1] - place[1], camera[2] - place[2]))
    colour = triple(static, COLOUR)
    ambient = static[AMBIENT]
    gloss = np.float64(static[GLOSS])
    fibre = 0.0  # 0 skin .. 1 hair
    glint = 0.0
    material = kind

    # what is painted on it
    if kind == SKIN and static[NECKLINE] > 0:
        material = CLOTH
        gloss = 0.1
        colour, normal = cloth(rest, normal, static[NECKLINE], dress)
    elif kind == SKIN:
        colour, gloss = skin(rest, colour, gloss, dress, furrows)
        if static[HAIRINESS] > 0.02:
            colour, normal, fibre = coat_of_hair(rest, colour, normal, static[HAIRINESS], dress)
            gloss = gloss * (1 - fibre)
    elif kind == EYE:
        colour = eye(rest, colour)
        glint = catch_light(normal, view, lights)
    elif kind == LASH:  # strokes on the lid; what lies between them looks like skin
        material = SKIN
        gloss = 0.0
        colour = lashes(rest, colour, static[HAIRINESS], dress)
        normal = view
    elif kind == HAIR:
        fibre = 1.0
        colour = scaled(colour, 1 + 0.35 * noise(rest[0], rest[1], rest[2]))
        # the inside of a curtain is dark
        ambient *= 1 - 0.7 * smoothstep(dot(normal, view), 0.0, -0.6)

    if kind != HAIR and dot(normal, view) < 0:
        normal = scaled(normal, -1.0)
    normal = normalised(normal)
    strand = triple(moving, STRAND)
    surface = Surface(material, place, normal, view, strand, colour, ambient, gloss, fibre)
    light = gathered(surface, lights, dress)
    if material == EYE:
        return (light[0] * ambient + glint, light[1] * ambient + glint, light[2] * ambient + glint)
    if material == HAIR:
        return light
    # red light still comes out of folds
    dim = 0.30 + 0.70 * ambient
    return (light[0] * (0.06 + 0.94 * dim), light[1] * dim, light[2] * dim)


# ---- what a surface is painted with


@inlined
def cloth(rest, normal, depth, dress):
    """Colour and normal of cloth: woven, folded, with a pattern and an edge."""
    x, y, z = rest
    colour = dress.cloth
    if depth < dress.collar:  # a collar, or the edge of a knitted neck
        colour = dress.trim
    elif dress.pattern == STRIPED and math.sin(y * 38) > 0.3:
        colour = dress.trim
    elif dress.pattern == OVER_SHIRT and abs(x) < 0.06 + 0.40 * (y - 4.9) and z > 0.2:
        colour = dress.trim

    grain = noise(x * 38, y * 38, z * 38)
    weave = 1 + 0.06 * grain + 0.10 * noise(x * 3.1 + 7, y * 2.0, z * 3)
    if depth < 0.03:
        weave *= 0.75
    fold = 0.16
    folded = (
        normal[0] + fold * noise(x * 2.6, y * 1.7, z * 2.6 + 3),
        normal[1] + fold * noise(x * 2.6 + 9, y * 1.7, z * 2.6),
        normal[2],
    )
    return scaled(colour, weave), folded


@inlined
def skin(rest, colour, gloss, dress, furrows):
    """Colour and gloss of skin: grain and blotches, furrows, brows."""
    x, y, z = rest
    grain = noise(x * 38, y * 38, z * 38)
    blotch = noise(x * 7, y * 7, z * 7)
    mottle = 0.06 * grain + 0.06 * noise(x * 17 + 3, y * 17, z * 17)
    red = colour[0] * (1 + mottle + 0.02 * blotch)
    green = colour[1] * (1 + mottle - 0.09 * blotch)
    blue = colour[2] * (1 + mottle - 0.10 * blotch)
    if z <= 0.6:
        return (red, green, blue), gloss

    crease = creases(x, y, furrows)
    painted = (red * (1 - 0.42 * crease), green * (1 - 0.55 * crease), blue * (1 - 0.58 * crease))
    gloss = gloss * (1 - 0.6 * crease)
    if 7.2 < y < 7.75:
        streak = noise(abs(x) * 60 - y * 46, y * 16 + abs(x) * 10, 1.0)
        cover = brow_cover(x, y, dress.brow_thickness, dress.brow_arch, dress.brow_lift, streak)
        brow = dress.brow_density * cover * (0.90 + 0.20 * streak)
        brow = min(max(brow, 0.0), 1.0)
        painted = mixed(painted, brow, dress.brows)
        gloss = gloss * (1 - 0.7 * brow)
    return painted, gloss


@inlined
def coat_of_hair(rest, colour, normal, hairiness, dress):
    """Colour and normal where hair covers the skin, and how much it does (0..1)."""
    x, y, z = rest
    if dress.curls > 0.5:  # curls: the same in every direction
        f = dress.curls
        strand = 0.6 * noise(x * f, y * f, z * f)
        strand += 0.4 * noise(x * f * 2.2, y * f * 2.2, z * f * 2.2)
        normal = (
            normal[0] + 0.4 * noise(x * f + 4, y * f, z * f),
            normal[1] + 0.4 * noise(x * f, y * f + 4, z * f),
            normal[2],
        )
    else:  # combed: streaks that run back and down
        side = abs(normal[0])
        strand = (1 - side) * noise(x * 52, y * 3.5, z * 3.5)
        strand += side * noise(x * 4, y * 4, z * 44)

    if y < 6.95 and z > 0.4:  # a beard: short, in every direction
        strand = 0.6 * noise(x * 60, y * 30, z * 45)
        cover = 0.9 * smoothstep(hairiness + 0.40 * strand, 0.15, 0.80)
    elif dress.curls > 30.0 and y > 6.95:  # cropped: the skin shimmers through
        cover = 0.92 * smoothstep(hairiness + 0.35 * strand, 0.30, 1.0)
    else:
        cover = smoothstep(hairiness + 0.30 * strand, 0.28, 0.70)
    return mixed(colour, cover, scaled(dress.hair, 1 + 0.38 * strand)), normal, cover


@inlined
def eye(rest, colour):
    """Colour of an eyeball; `rest` is the direction from its middle, +z out of the pupil."""
    x, y, z = rest
    inverse = 1 / math.sqrt(x * x + y * y + z * z)
    away = math.acos(min(max(z * inverse, -1.0), 1.0))  # from the middle of the pupil, radians
    turn = math.atan2(y, x)
    iris, pupil = 0.49, 0.19

    fibres = 0.85 + 0.3 * noise(math.cos(turn) * 9, math.sin(turn) * 9, away * 6)
    fibres += 0.5 * smoothstep(away, iris * 0.9, pupil)
    outer_ring = 1 - 0.75 * smoothstep(away, iris - 0.10, iris)
    limb = outer_ring * smoothstep(away, pupil - 0.02, pupil + 0.04)
    white = smoothstep(away, iris - 0.03, iris + 0.05)
    veins = 1 - 0.25 * smoothstep(away, 0.7, 1.2)
    return (
        (colour[0] * fibres * limb) * (1 - white) + 0.50 * veins * white,
        (colour[1] * fibres * limb) * (1 - white) + 0.455 * veins * white,
        (colour[2] * fibres * limb) * (1 - white) + 0.43 * veins * white,
    )


@inlined
def catch_light(normal, view, lights):
    """The bright spot on an eye: the mirror direction hits a soft window.

    The window hangs low enough to clear the lid.
    """
    d = 2 * dot(normal, view)
    mirror = (d * normal[0] - view[0], d * normal[1] - view[1], d * normal[2] - view[2])
    side = 0.36 if lights.direction[0, 0] > 0 else -0.36
    toward = side * mirror[0] + 0.06 * mirror[1] + 0.931 * mirror[2]
    return 1.15 * smoothstep(toward, 0.935, 0.98)


@inlined
def lashes(rest, colour, density, dress):
    """Colour of a lash's strokes in the brows' colour."""
    strand = noise(rest[0] * 160, rest[1] * 26, rest[2] * 40)
    cover = smoothstep(density + 0.35 * strand, 0.25, 0.75)
    return mixed(colour, cover, scaled(dress.brows, 0.3))


# ---- what light makes of it


@inlined
def gathered(surface, lights, dress):
    """Light (3,) of the room and of the three lights on a surface, linear RGB."""
    sun = 0.0  # share of the key light
    if surface.material == HAIR or dot(surface.normal, row(lights.direction, 0)) > -0.46:
        sun = shadow_at(surface.place, surface.normal, lights)

    # light bounced from the room: cool from above, warm from below
    up = 0.5 + 0.5 * surface.normal[1]
    room = surface.ambient * dress.room
    red = surface.colour[0] * room * (0.34 + 0.12 * up)
    green = surface.colour[1] * room * (0.30 + 0.17 * up)
    blue = surface.colour[2] * room * (0.28 + 0.23 * up)

    for q in range(3):
        light = row(lights.direction, q)
        reach = sun if q == 0 else 0.35 + 0.65 * surface.ambient
        r, g, b = answered(surface, light, reach, dress.hair_gloss)
        red += lights.colour[q, 0] * r
        green += lights.colour[q, 1] * g
        blue += lights.colour[q, 2] * b
    return (red, green, blue)


@inlined
def answered(surface, light, reach, hair_gloss):
    """Light (3,) that a surface sends to the camera for white light from one direction."""
    half = normalised(
        (light[0] + surface.camera[0], light[1] + surface.camera[1], light[2] + surface.camera[2])
    )
    facing = dot(surface.normal, light)
    d = (0.0, 0.0, 0.0)
    h = (0.0, 0.0, 0.0)
    shine = 0.0
    if surface.fibre < 1.0:
        shine = reflected(surface, dot(surface.normal, half), dot(surface.camera, half))
        shine *= max(facing, 0.0) * reach
        d = diffuse(surface, facing, reach)
    if surface.fibre > 0.0:
        h = hair_light(surface, light, half, facing, reach, hair_gloss)

    bare = 1 - surface.fibre
    return (
        bare * (surface.colour[0] * d[0] + shine) + surface.fibre * h[0],
        bare * (surface.colour[1] * d[1] + shine) + surface.fibre * h[1],
        bare * (surface.colour[2] * d[2] + shine) + surface.fibre * h[2],
    )


@inlined
def shadow_at(place, normal, lights):
    """Share of the key light that reaches a place: the shadow map, filtered percentage-closer."""
    # a little above the surface, or it would shade itself
    x = place[0] + 0.03 * normal[0]
    y = place[1] + 0.03 * normal[1]
    z = place[2] + 0.03 * normal[2]
    shadow = lights.shadow
    m = lights.to_map
    n = shadow.shape[0]
    sx = m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3]
    sy = m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3]
    sz = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]
    if sx < 3 or sy < 3 or sx > n - 4 or sy > n - 4:
        return 1.0

    ix, iy = int(sx), int(sy)
    open_texels = 0  # most places are wholly lit or wholly dark: nine texels tell
    for dy in range(-SHADOW_SIDE, SHADOW_SIDE + 1, SHADOW_SIDE):
        for dx in range(-SHADOW_SIDE, SHADOW_SIDE + 1, SHADOW_SIDE):
            open_texels += shadow[iy + dy, ix + dx] > sz - BIAS
    if open_texels == 0 or open_texels == 9:
        return open_texels / 9.0

    # five texels, the outer two weighted by the place between them: an edge that does not jump
    fx, fy = sx - ix, sy - iy
    reach = 0.0
    for dy in range(-SHADOW_SIDE, SHADOW_SIDE + 1):
        for dx in range(-SHADOW_SIDE, SHADOW_SIDE + 1):
            if shadow[iy + dy, ix + dx] > sz - BIAS:
                reach += edge_weight(dy, fy) * edge_weight(dx, fx)
    return reach / 16.0


@inlined
def edge_weight(d, f):
    """Weight of texel d of -2..2 for a place at share f of its own texel; the five sum to four."""
    if d == -SHADOW_SIDE:
        return 1 - f
    if d == SHADOW_SIDE:
        return f
    return 1.0


@inlined
def reflected(surface, half_normal, half_view):
    """Mirrored light of skin, wet surfaces and cloth: Fresnel's share of soft and sharp lobes."""
    graze = 1 - max(half_view, 0.0)
    fresnel = 0.028 + 0.97 * graze * graze * graze * graze * graze
    n8 = max(half_normal, 0.0) ** 8
    n16 = n8 * n8
    if surface.material == SKIN:
        return fresnel * (2.0 * n8 * n8 + 3.2 * n16 * n16 * n16) * surface.gloss
    if surface.material == EYE or surface.material == WET:
        return fresnel * 12 * n16 * n16 * n16 * n16 * surface.gloss
    return fresnel * n8 * surface.gloss


@inlined
def diffuse(surface, facing, reach):
    """Scattered light (3,): red light travels further under the skin."""
    if surface.material == SKIN:
        return (
            min(max((facing + 0.30) / 1.30, 0.0), 1.0) * (0.13 + 0.87 * reach),
            min(max((facing + 0.14) / 1.14, 0.0), 1.0) * (0.10 + 0.90 * reach),
            min(max((facing + 0.09) / 1.09, 0.0), 1.0) * (0.07 + 0.93 * reach),
        )
    grey = max(facing, 0.0) * (0.10 + 0.90 * reach)
    return (grey, grey, grey)


@inlined
def hair_light(surface, light, half, facing, reach, gloss):
    """Kajiya and Kay's hair (3,): light across the strand, and two highlights along it."""
    strand = normalised(surface.strand)
    tl = dot(strand, light)
    th = dot(strand, half)
    across = math.sqrt(max(0.0, 1 - tl * tl))
    first = max(0.0, 1 - th * th)
    second = max(0.0, 1 - (th + 0.14) * (th + 0.14))  # shifted, in the hair's own colour
    e2 = first * first
    e8 = e2 * e2 * e2 * e2
    f4 = second * second * second * second

    turned = min(max((facing + 0.45) / 1.45, 0.0), 1.0)
    body = turned * (0.35 + 0.65 * across) * (0.25 + 0.75 * reach)
    white_gleam = gloss * 0.035 * e8 * e8 * turned * reach
    own_gleam = gloss * 0.5 * f4 * f4 * turned * reach
    return (
        surface.ambient * (surface.colour[0] * (body + own_gleam) + white_gleam),
        surface.ambient * (surface.colour[1] * (body + own_gleam) + white_gleam),
        surface.ambient * (surface.colour[2] * (body + own_gleam) + white_gleam),
    )


# ---- three numbers


@inlined
def triple(array, first):
    """Three neighbouring numbers of an array."""
    return (array[first], array[first + 1], array[first + 2])


@inlined
def row(array, i):
    """Row i of an array (n, 3)."""
    return (array[i, 0], array[i, 1], array[i, 2])


@inlined
def dot(a, b):
    """Scalar product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@inlined
def scaled(a, factor):
    """A vector or colour times a number."""
    return (a[0] * factor, a[1] * factor, a[2] * factor)


@inlined
def normalised(a):
    """A vector of length one; a zero vector stays near zero."""
    return scaled(a, 1 / (math.sqrt(dot(a, a)) + 1e-9))


@inlined
def mixed(a, share, b):
    """Between colours a (share 0) and b (share 1)."""
    return (
        a[0] + share * (b[0] - a[0]),
        a[1] + share * (b[1] - a[1]),
        a[2] + share * (b[2] - a[2]),
    )
