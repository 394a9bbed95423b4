"""Hair of a digital actor: a thick coat on the scalp, and locks (narrow ribbons) that break its
outline or hang down.

Angles are seen from the middle of the resting head: azimuth 0 in front .. 180 behind (both sides
alike), elevation 0 level .. 90 at the crown. All lengths in decimetres.
"""

import numpy as np

from ..fast import compiled
from .looks import Look

CENTRE = np.array([0.0, 7.3, 0.3])  # middle of the resting head
# kind: (coat at the sides, coat on top, curls per dm or 0, number of locks, length of a lock, its
# width)
STYLES = {
    "buzz": (0.020, 0.028, 40, 2000, 0.060, 0.018),
    "bald": (0.030, 0.0, 40, 700, 0.06, 0.020),
    "short": (0.06, 0.18, 0, 1800, 0.24, 0.026),
    "side": (0.08, 0.24, 0, 1800, 0.30, 0.028),
    "curly": (0.14, 0.28, 16, 1900, 0.20, 0.030),
    "afro": (0.42, 0.50, 16, 2200, 0.24, 0.030),
    "bob": (0.08, 0.10, 0, 1000, 2.3, 0.07),
    "long": (0.08, 0.10, 0, 1000, 3.5, 0.07),
    "wavy": (0.10, 0.13, 0, 1000, 3.0, 0.07),
    "tied": (0.055, 0.085, 0, 1200, 0.15, 0.026),
}
HANGING = "bob", "long", "wavy"


def smooth(x, a, b):
    """Smooth step of arrays."""
    t = np.clip((x - a) / (b - a), 0, 1)
    return t * t * (3 - 2 * t)


def unit(v):
    """Vectors scaled to length one along the last axis."""
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)


def angles(rest):
    """Azimuth and elevation in degrees of resting places (n, 3)."""
    d = rest - CENTRE
    return (
        np.degrees(np.arctan2(np.abs(d[:, 0]), d[:, 2])),
        np.degrees(np.arctan2(d[:, 1], np.hypot(d[:, 0], d[:, 2]))),
    )


def above_hairline(rest, look: Look):
    """Degrees above the hairline (n,)."""
    az, el = angles(rest)
    line = np.interp(
        az, [0, 18, 30, 45, 58, 66, 85, 105, 130, 180], [36, 36, 37, 35, 25, 9, 3, 3, -22, -32]
    )
    x = rest[:, 0]
    ragged = (
        3
        if look.hair in HANGING
        else 0
        if look.hair == "tied"
        else 1.3 * np.sin(13 * x + 9 * look.hairline) + np.sin(29 * x + look.hairline)
    )
    return (
        el
        - line
        - ragged
        - look.hairline * np.interp(az, [0, 12, 30, 50, 70], [0.6, 0.8, 1.4, 0.8, 0])
    )


def scalp_mask(rest, ears, look: Look):
    """Where hair grows (n,): 0..1 with a soft hairline; bald actors keep the sides."""
    az, el = angles(rest)
    mask = smooth(above_hairline(rest, look), -7, 9) * (1 - smooth(ears, 0.1, 0.5))
    if look.hair == "bald":
        mask = mask * smooth(el, 46, 26) * smooth(az, 52, 72)
    return mask


def coat(rest, mask, look: Look):
    """Thickness of the coat at each vertex (n,), dm."""
    side, top = STYLES[look.hair][:2]
    az, el = angles(rest)
    up = smooth(el, 12, 55)
    thick = side + (top - side) * up
    thick = thick * np.interp(az, [0, 40, 90, 180], [0.85, 1, 1, 1])
    if look.hair in ("short", "side"):  # volume on one side of the parting
        thick = thick * (1 + 0.25 * np.tanh(3 * (rest[:, 0] + 0.3)) * up)
    hanging = look.hair in HANGING
    # a flat front: no step at the forehead
    wide = np.interp(az, [40, 70], [34, 34] if hanging else [26, 14])
    return thick * smooth(mask, 0.5, 0.9) * smooth(above_hairline(rest, look), 2, wide)


def flow(rest, normals, look: Look):
    """Direction in which the coat is combed (n, 3), tangent to the surface."""
    az, el = angles(rest)
    top, x = smooth(el, 25, 60)[:, None], rest[:, :1]
    down = np.array([0, -1.0, -0.25])
    if look.hair in ("tied",):
        comb = np.tile([0, 0.15, -1.0], (len(rest), 1)) + 0.25 * down
    elif look.hair in ("short", "side", "buzz", "bald"):
        front = (smooth(az, 60, 35) * smooth(el, 25, 38))[:, None]
        across = np.concatenate(
            [0.8 * np.tanh(4 * (x + 0.35)), -0.1 + 0.5 * front, -0.35 - 0.25 * front], 1
        )
        comb = top * across + (1 - top) * (1 - front) * down + front * (across + [0, 0.35, 0])
    else:
        comb = (
            top * np.concatenate([np.tanh(6 * (x - 0.1)), -0.3 + 0 * x, -0.25 + 0 * x], 1)
            + (1 - top) * down
        )
    return unit(comb - (comb * normals).sum(1, keepdims=True) * normals)


@compiled
def push_out(p, obstacles, normals, clearance, reach):
    """Move each point out of the nearest obstacle vertex's tangent plane, in place."""
    for i in range(p.shape[0]):
        best, near = 1e9, 0
        for j in range(obstacles.shape[0]):
            dx, dy, dz = (
                p[i, 0] - obstacles[j, 0],
                p[i, 1] - obstacles[j, 1],
                p[i, 2] - obstacles[j, 2],
            )
            d = dx * dx + dy * dy + dz * dz
            if d < best:
                best, near = d, j
        if best < reach * reach:
            h = 0.0
            for c in range(3):
                h += (p[i, c] - obstacles[near, c]) * normals[near, c]
            lift = min(max(clearance[i] - h, 0.0), 0.25)
            for c in range(3):
                p[i, c] += lift * normals[near, c]


def curtain(look: Look, places, normals, mask, rng):
    """Centre lines (m, k, 3) of hair that falls from a parting: a great circle over the head, then
    straight down."""
    count, length = STYLES[look.hair][3:5]
    head = places[mask > 0.5]
    top, low = head[:, 1].max(), head[:, 1].max() - 1.25
    middle = np.array([0, low, (head[:, 2].max() + head[:, 2].min()) / 2])
    radius = np.array(
        [np.abs(head[:, 0]).max() + 0.01, top - low, (head[:, 2].max() - head[:, 2].min()) / 2]
    )
    side = np.where(rng.random(count) < 0.5, -1.0, 1.0)
    # wide locks below, fine ones above
    under = np.arange(count) < 0.3 * count
    # along the parting, from front to back
    u = np.maximum(rng.random(count) ** 1.7, 0.12 * under)
    start_el = np.radians(
        np.interp(u, [0, 0.1, 0.5, 1], [42, 52, 88, 40])
        + rng.normal(0, 1, count) * np.interp(u, [0, 0.2], [0.5, 3])
    )
    start_az = np.radians(
        np.interp(u, [0, 0.45, 0.55, 1], [0, 60, 120, 176]) + rng.normal(0, 1, count)
    )
    end_az = np.radians(np.interp(u, [0, 0.25, 1], [64, 80, 176]) + rng.normal(0, 4, count))

    def toward(az, el):
        return np.stack([np.cos(el) * np.sin(az), np.sin(el), np.cos(el) * np.cos(az)], -1)

    a, b = toward(start_az, start_el), toward(end_az, np.interp(u, [0, 0.4], [0.12, -0.05]))
    angle = np.arccos((a * b).sum(1).clip(-1, 1))[:, None]
    under = under[:, None]
    lift = (
        np.where(under, 0.02, 0.05)
        + np.where(under, 0.06, 0.12) * rng.random((count, 1))
        + 0.05 * (look.hair == "wavy")
    )
    steps, lines, pushes = 14, [], []
    over = np.radians(75) * radius[1]  # about the length of the arc
    ends = length * rng.uniform(0.80, 1.06, count)
    phase = rng.random(count) * 2
    solid, solid_n = places[::2].astype(np.float32), normals[::2].astype(np.float32)
    for s in range(steps):
        way = s / (steps - 1) * ends
        t = np.clip(way / over, 0, 1)[:, None]
        d = (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)
        p = middle + d * (radius + lift * smooth(t, -0.15, 0.25))
        fall = np.clip(way - over, 0, None)
        p[:, 1] -= fall
        swing = np.clip(fall / 0.5, 0, 1)
        out = unit(d * [1, 0, 1])
        if look.hair == "wavy":
            p += out * (swing * 0.07 * np.sin(6.0 * way + phase))[:, None]
        inwards = 0.16 if look.hair == "bob" else 0.05  # hair closes in below the jaw
        p -= out * (np.clip(fall, 0, 0.7) * inwards)[:, None]
        p[:, 0] *= side
        q = np.ascontiguousarray(p, dtype=np.float32)
        push_out(
            q,
            solid,
            solid_n,
            (lift[:, 0] * np.interp(s, [0, 2], [0.2, 0.6])).astype(np.float32),
            0.5,
        )
        lines.append(p)
        pushes.append(q - p)
    line, push = np.stack(lines, 1), np.stack(pushes, 1)  # (m, k, 3)
    # even out the pushes along a lock
    for _ in range(3):
        push[:, 1:-1] = 0.5 * push[:, 1:-1] + 0.25 * (push[:, :-2] + push[:, 2:])
    return line + push, middle


def tufts(look: Look, places, normals, mask, triangles, rest, rng):
    """Centre lines (m, k, 3) of short locks that stand on the coat."""
    _, _, curly, count, length, _ = STYLES[look.hair]
    tri = triangles[(mask[triangles] > 0.6).all(1)]
    corner = places[tri]
    area = np.linalg.norm(
        np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=1
    )
    t = tri[rng.choice(len(tri), count, p=area / area.sum())]
    w = rng.dirichlet([1, 1, 1], count)[..., None]
    root, out, rest_root = (
        (places[t] * w).sum(1),
        unit((normals[t] * w).sum(1)),
        (rest[t] * w).sum(1),
    )
    _, el = angles(rest_root)
    comb, segments = flow(rest_root, out, look), 5
    jitter, phase = rng.normal(size=(count, 3)), rng.random((count, 3)) * 6.28
    long = (
        length
        * rng.uniform(0.6, 1.2, count)
        * np.interp(el, [-20, 10, 45], [0.8, 0.9, 1] if curly else [0.45, 0.6, 1])
    )
    p = root - 0.04 * out
    lines = [p]
    for s in range(segments):
        k = s / segments
        if STYLES[look.hair][0] < 0.04:  # cropped hair stands on end
            d = 0.7 * out + 0.5 * comb + 0.25 * jitter
        else:
            d = (
                0.6 * out + np.sin(phase + 7 * k) + 0.2 * jitter
                if curly
                else out * (0.2 - 0.35 * k) + comb + 0.08 * jitter
            )
        p = p + unit(d) * (long / segments)[:, None]
        lines.append(p)
    head = places[mask > 0.5]
    return np.stack(lines, 1), (head.max(0) + head.min(0)) / 2 * [0, 1, 1]


def locks(look: Look, places, normals, mask, triangles, rest, rng):
    """Grow the locks: centre lines (m, k, 3), outward directions (m, k, 3), widths (m, k) and
    shades (m,).

    `places`, `normals` describe the actor's own coated skin, `mask` its scalp.
    """
    _, _, _, count, _, width = STYLES[look.hair]
    hanging = look.hair in HANGING
    line, middle = (
        curtain(look, places, normals, mask, rng)
        if hanging
        else tufts(look, places, normals, mask, triangles, rest, rng)
    )
    k = np.linspace(0, 1, line.shape[1])
    taper = np.interp(
        k, [0, 0.15, 0.8, 1], [0.15, 1, 0.9, 0.15] if hanging else [0.7, 1, 0.8, 0.10]
    )
    away = line - middle
    # below the ears the outside is sideways
    away[..., 1] *= np.where(line[..., 1] > middle[1], 1, 0)
    wide = rng.uniform(0.6, 1.4, count)
    # no gaps below, and behind the neck
    if hanging:
        wide = wide * np.where(
            (np.arange(count) < 0.3 * count) | (line[:, -1, 2] < middle[2] - 0.2), 2.2, 0.8
        )
    shade = 1 + 0.20 * rng.normal(size=count)
    return line, unit(away), width * wide[:, None] * taper, np.clip(shade, 0.5, 1.7)
