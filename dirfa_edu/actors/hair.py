"""Hair of a digital actor: a thick coat on the scalp, and locks that break its outline or hang.

Locks are narrow ribbons. Angles are seen from the middle of the resting head: azimuth 0 in front ..
180 behind (both sides alike), elevation 0 level .. 90 at the crown. All lengths in decimetres.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..fast import compiled
from .looks import Look
from .mesh import smooth, unit

CENTRE = np.array([0.0, 7.3, 0.3])  # middle of the resting head


class Cut(NamedTuple):
    """A kind of hair."""

    sides: float  # thickness of the coat at the sides
    top: float  # and on top
    curls: float  # curls per dm, 0 for straight hair
    count: int  # locks
    length: float  # of a lock
    width: float  # of a lock


STYLES = {
    "buzz": Cut(0.020, 0.028, 40, 2000, 0.060, 0.018),
    "bald": Cut(0.030, 0.0, 40, 700, 0.06, 0.020),
    "short": Cut(0.06, 0.18, 0, 1800, 0.24, 0.026),
    "side": Cut(0.08, 0.24, 0, 1800, 0.30, 0.028),
    "curly": Cut(0.14, 0.28, 16, 1900, 0.20, 0.030),
    "afro": Cut(0.42, 0.50, 16, 2200, 0.24, 0.030),
    "bob": Cut(0.08, 0.10, 0, 1000, 2.3, 0.07),
    "long": Cut(0.08, 0.10, 0, 1000, 3.5, 0.07),
    "wavy": Cut(0.10, 0.13, 0, 1000, 3.0, 0.07),
    "tied": Cut(0.055, 0.085, 0, 1200, 0.15, 0.026),
}
HANGING = "bob", "long", "wavy"

# the hairline of a woman with loose hair: azimuth in degrees -> elevation in degrees
HAIRLINE_CURVE = (
    [0, 18, 30, 45, 58, 66, 85, 105, 130, 180],
    [36, 36, 37, 35, 25, 9, 3, 3, -22, -32],
)
# how far that line recedes at each azimuth, per degree of look.hairline
RECEDES = [0, 12, 30, 50, 70], [0.6, 0.8, 1.4, 0.8, 0]


@dataclass(frozen=True)
class Scalp:
    """An actor's own skin with its coat of hair: what locks grow on."""

    places: np.ndarray  # (n, 3)
    normals: np.ndarray  # (n, 3)
    rest: np.ndarray  # (n, 3) the same vertices on the base head
    mask: np.ndarray  # (n,) where hair grows, 0..1
    triangles: np.ndarray  # (t, 3) of the skin


class Locks(NamedTuple):
    """Hair that stands out or hangs: m locks of k points."""

    line: np.ndarray  # (m, k, 3) centre lines
    away: np.ndarray  # (m, k, 3) outward directions
    width: np.ndarray  # (m, k)
    shade: np.ndarray  # (m,) how much lighter or darker than the others


def angles(rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Azimuth and elevation (n,) in degrees of resting places (n, 3)."""
    x, y, z = (rest - CENTRE).T
    azimuth = np.degrees(np.arctan2(np.abs(x), z))
    elevation = np.degrees(np.arctan2(y, np.hypot(x, z)))
    return azimuth, elevation


def above_hairline(rest: np.ndarray, look: Look) -> np.ndarray:
    """Degrees above the hairline (n,)."""
    azimuth, elevation = angles(rest)
    x = rest[:, 0]
    if look.hair in HANGING:
        ragged = 3
    elif look.hair == "tied":
        ragged = 0
    else:
        ragged = 1.3 * np.sin(13 * x + 9 * look.hairline) + np.sin(29 * x + look.hairline)

    receding = look.hairline * np.interp(azimuth, *RECEDES)
    return elevation - np.interp(azimuth, *HAIRLINE_CURVE) - ragged - receding


def scalp_mask(rest: np.ndarray, ears: np.ndarray, look: Look) -> np.ndarray:
    """Where hair grows (n,): 0..1 with a soft hairline; bald actors keep the sides."""
    azimuth, elevation = angles(rest)
    mask = smooth(above_hairline(rest, look), -7, 9) * (1 - smooth(ears, 0.1, 0.5))
    if look.hair == "bald":
        mask = mask * smooth(elevation, 46, 26) * smooth(azimuth, 52, 72)
    return mask


def coat(rest: np.ndarray, mask: np.ndarray, look: Look) -> np.ndarray:
    """Thickness of the coat at each vertex (n,), dm."""
    cut = STYLES[look.hair]
    azimuth, elevation = angles(rest)
    up = smooth(elevation, 12, 55)
    thick = cut.sides + (cut.top - cut.sides) * up
    thick = thick * np.interp(azimuth, [0, 40, 90, 180], [0.85, 1, 1, 1])
    if look.hair in ("short", "side"):  # volume on one side of the parting
        thick = thick * (1 + 0.25 * np.tanh(3 * (rest[:, 0] + 0.3)) * up)

    # a flat front: no step at the forehead
    edge = [34, 34] if look.hair in HANGING else [26, 14]
    fade = smooth(above_hairline(rest, look), 2, np.interp(azimuth, [40, 70], edge))
    return thick * smooth(mask, 0.5, 0.9) * fade


def flow(rest: np.ndarray, normals: np.ndarray, look: Look) -> np.ndarray:
    """Direction in which the coat is combed (n, 3), tangent to the surface."""
    azimuth, elevation = angles(rest)
    top = smooth(elevation, 25, 60)[:, None]
    x = rest[:, :1]
    down = np.array([0, -1.0, -0.25])

    if look.hair == "tied":  # to the back
        comb = np.tile([0, 0.15, -1.0], (len(rest), 1)) + 0.25 * down
    elif look.hair in ("short", "side", "buzz", "bald"):  # across from the parting, up in front
        front = (smooth(azimuth, 60, 35) * smooth(elevation, 25, 38))[:, None]
        sideways = 0.8 * np.tanh(4 * (x + 0.35))
        across = np.concatenate([sideways, -0.1 + 0.5 * front, -0.35 - 0.25 * front], 1)
        comb = top * across + (1 - top) * (1 - front) * down + front * (across + [0, 0.35, 0])
    else:  # from the middle to both sides
        across = np.concatenate([np.tanh(6 * (x - 0.1)), -0.3 + 0 * x, -0.25 + 0 * x], 1)
        comb = top * across + (1 - top) * down

    along_normal = (comb * normals).sum(1, keepdims=True)
    return unit(comb - along_normal * normals)


@compiled
def push_out(p, obstacles, normals, clearance, reach):
    """Lift points (m, 3) out of the tangent plane of the obstacle vertex nearest to each, in place.

    `clearance` (m,) is kept above the plane; points further than `reach` from all are left alone.
    """
    for i in range(p.shape[0]):
        best = 1e9
        near = 0
        for j in range(obstacles.shape[0]):
            dx = p[i, 0] - obstacles[j, 0]
            dy = p[i, 1] - obstacles[j, 1]
            dz = p[i, 2] - obstacles[j, 2]
            apart = dx * dx + dy * dy + dz * dz
            if apart < best:
                best = apart
                near = j

        if best < reach * reach:
            height = 0.0
            for c in range(3):
                height += (p[i, c] - obstacles[near, c]) * normals[near, c]
            lift = min(max(clearance[i] - height, 0.0), 0.25)
            for c in range(3):
                p[i, c] += lift * normals[near, c]


def direction(azimuth: np.ndarray, elevation: np.ndarray) -> np.ndarray:
    """Unit vectors (n, 3) that point to angles (n,) in radians."""
    level = np.cos(elevation)
    x = level * np.sin(azimuth)
    z = level * np.cos(azimuth)
    return np.stack([x, np.sin(elevation), z], -1)  # (n, 3)


def curtain(look: Look, scalp: Scalp, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Centre lines (m, k, 3) of hair that falls from a parting, and the middle of the head (3,).

    Each runs on a great circle over the head, then straight down.
    """
    cut = STYLES[look.hair]
    middle, radius = head_ellipsoid(scalp)
    side = np.where(rng.random(cut.count) < 0.5, -1.0, 1.0)
    # wide locks below, fine ones above
    under = np.arange(cut.count) < 0.3 * cut.count
    start, end = arc_ends(under, rng)
    lift = np.where(under, 0.02, 0.05) + np.where(under, 0.06, 0.12) * rng.random(cut.count)
    if look.hair == "wavy":
        lift = lift + 0.05
    over = np.radians(75) * radius[1]  # about the length of the arc
    lengths = cut.length * rng.uniform(0.80, 1.06, cut.count)
    phase = rng.random(cut.count) * 2

    steps, lines, pushes = 14, [], []
    # every second vertex is obstacle enough
    solid = scalp.places[::2].astype(np.float32)
    solid_normals = scalp.normals[::2].astype(np.float32)
    for s in range(steps):
        way = s / (steps - 1) * lengths
        on_arc = np.clip(way / over, 0, 1)[:, None]
        outward = slerp(start, end, on_arc)
        p = middle + outward * (radius + lift[:, None] * smooth(on_arc, -0.15, 0.25))
        waves = np.sin(6.0 * way + phase) if look.hair == "wavy" else 0.0
        hang(p, outward, np.clip(way - over, 0, None), waves, look.hair)
        p[:, 0] *= side

        pushed = np.ascontiguousarray(p, dtype=np.float32)
        clearance = lift * np.interp(s, [0, 2], [0.2, 0.6])
        push_out(pushed, solid, solid_normals, clearance.astype(np.float32), 0.5)
        lines.append(p)
        pushes.append(pushed - p)

    push = np.stack(pushes, 1)  # (m, k, 3)
    for _ in range(3):  # evened out along each lock
        push[:, 1:-1] = 0.5 * push[:, 1:-1] + 0.25 * (push[:, :-2] + push[:, 2:])
    return np.stack(lines, 1) + push, middle


def head_ellipsoid(scalp: Scalp) -> tuple[np.ndarray, np.ndarray]:
    """Middle (3,) and half axes (3,) of the hairy part of a head."""
    head = scalp.places[scalp.mask > 0.5]
    low_x, low_y, low_z = head.min(0)
    high_x, high_y, high_z = head.max(0)
    bottom = high_y - 1.25
    middle = np.array([0, bottom, (high_z + low_z) / 2])
    radius = np.array([max(-low_x, high_x) + 0.01, high_y - bottom, (high_z - low_z) / 2])
    return middle, radius


def arc_ends(under: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Where each lock starts at the parting and leaves the head: directions (m, 3) twice."""
    count = len(under)
    # along the parting, from front (0) to back (1)
    u = np.maximum(rng.random(count) ** 1.7, 0.12 * under)
    start_elevation = np.radians(
        np.interp(u, [0, 0.1, 0.5, 1], [42, 52, 88, 40])
        + rng.normal(0, 1, count) * np.interp(u, [0, 0.2], [0.5, 3])
    )
    start_azimuth = np.radians(
        np.interp(u, [0, 0.45, 0.55, 1], [0, 60, 120, 176]) + rng.normal(0, 1, count)
    )
    end_azimuth = np.radians(np.interp(u, [0, 0.25, 1], [64, 80, 176]) + rng.normal(0, 4, count))
    end_elevation = np.interp(u, [0, 0.4], [0.12, -0.05])
    return direction(start_azimuth, start_elevation), direction(end_azimuth, end_elevation)


def slerp(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The direction at share t (n, 1) of the way from a to b (n, 3) on a great circle."""
    angle = np.arccos((a * b).sum(1).clip(-1, 1))[:, None]
    return (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)


def hang(p: np.ndarray, outward: np.ndarray, fall: np.ndarray, waves, style: str) -> None:
    """Let points (m, 3) hang `fall` (m,) below the arc, in place.

    Waves (m,) of -1..1 swing out and in; the ends close in below the jaw.
    """
    p[:, 1] -= fall
    level_out = unit(outward * [1, 0, 1])
    swing = np.clip(fall / 0.5, 0, 1)
    p += level_out * (swing * 0.07 * waves)[:, None]
    inwards = 0.16 if style == "bob" else 0.05
    p -= level_out * (np.clip(fall, 0, 0.7) * inwards)[:, None]


def tufts(look: Look, scalp: Scalp, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Centre lines (m, k, 3) of short locks that stand on the coat, and the middle of the head."""
    cut = STYLES[look.hair]
    hairy = scalp.triangles[(scalp.mask[scalp.triangles] > 0.6).all(1)]
    a, b, c = np.moveaxis(scalp.places[hairy], 1, 0)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)

    # roots: random places on random triangles, alike dense everywhere
    chosen = hairy[rng.choice(len(hairy), cut.count, p=area / area.sum())]
    weights = rng.dirichlet([1, 1, 1], cut.count)[..., None]
    root = (scalp.places[chosen] * weights).sum(1)
    out = unit((scalp.normals[chosen] * weights).sum(1))
    rest_root = (scalp.rest[chosen] * weights).sum(1)
    _, elevation = angles(rest_root)

    comb = flow(rest_root, out, look)
    jitter = rng.normal(size=(cut.count, 3))
    phase = rng.random((cut.count, 3)) * 6.28
    shorter_below = [0.8, 0.9, 1] if cut.curls else [0.45, 0.6, 1]
    long = (
        cut.length
        * rng.uniform(0.6, 1.2, cut.count)
        * np.interp(elevation, [-20, 10, 45], shorter_below)
    )

    segments = 5
    p = root - 0.04 * out
    lines = [p]
    for s in range(segments):
        k = s / segments
        if cut.sides < 0.04:  # cropped hair stands on end
            d = 0.7 * out + 0.5 * comb + 0.25 * jitter
        elif cut.curls:
            d = 0.6 * out + np.sin(phase + 7 * k) + 0.2 * jitter
        else:
            d = out * (0.2 - 0.35 * k) + comb + 0.08 * jitter
        p = p + unit(d) * (long / segments)[:, None]
        lines.append(p)

    head = scalp.places[scalp.mask > 0.5]
    middle = (head.max(0) + head.min(0)) / 2 * [0, 1, 1]
    return np.stack(lines, 1), middle  # (m, k, 3)


def locks(look: Look, scalp: Scalp, rng: np.random.Generator) -> Locks:
    """Grow the locks of a look on an actor's scalp."""
    cut = STYLES[look.hair]
    hanging = look.hair in HANGING
    line, middle = curtain(look, scalp, rng) if hanging else tufts(look, scalp, rng)

    k = np.linspace(0, 1, line.shape[1])
    taper = np.interp(
        k, [0, 0.15, 0.8, 1], [0.15, 1, 0.9, 0.15] if hanging else [0.7, 1, 0.8, 0.10]
    )
    away = line - middle
    # below the ears the outside is sideways
    away[..., 1] *= np.where(line[..., 1] > middle[1], 1, 0)
    wide = rng.uniform(0.6, 1.4, cut.count)
    if hanging:  # no gaps below, and behind the neck
        lower = np.arange(cut.count) < 0.3 * cut.count
        behind = line[:, -1, 2] < middle[2] - 0.2
        wide = wide * np.where(lower | behind, 2.2, 0.8)
    shade = 1 + 0.20 * rng.normal(size=cut.count)
    return Locks(line, unit(away), cut.width * wide[:, None] * taper, np.clip(shade, 0.5, 1.7))
