"""Hair of a digital actor: a thick coat on the scalp, and locks (narrow ribbons) that break its outline or hang down.

Angles are seen from the middle of the resting head: azimuth 0 in front .. 180 behind (both sides alike), elevation
0 level .. 90 at the crown. All lengths in decimetres.
"""
import numpy as np

from .looks import Look
from .render import compiled

CENTRE = np.array([0.0, 7.3, 0.3])       # middle of the resting head
# kind: (coat at the sides, coat on top, curly, number of locks, length of a lock, its width)
STYLES = {
    "buzz": (.022, .035, 1, 0, 0, 0), "bald": (.030, .0, 1, 0, 0, 0), "short": (.07, .24, 0, 420, .30, .050),
    "side": (.09, .30, 0, 460, .42, .055), "curly": (.18, .34, 1, 560, .30, .060), "afro": (.48, .55, 1, 650, .34, .060),
    "bob": (.15, .17, 0, 640, 1.75, .085), "long": (.13, .15, 0, 640, 2.9, .085), "wavy": (.15, .20, 0, 640, 2.4, .090),
    "tied": (.055, .085, 0, 160, .30, .045),
}


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
    return (np.degrees(np.arctan2(np.abs(d[:, 0]), d[:, 2])),
            np.degrees(np.arctan2(d[:, 1], np.hypot(d[:, 0], d[:, 2]))))


def scalp_mask(rest, ears, look: Look):
    """Where hair grows (n,): 0..1 with a soft hairline; bald actors keep the sides."""
    az, el = angles(rest)
    line = np.interp(az, [0, 18, 30, 45, 58, 66, 85, 105, 130, 180], [39, 39, 40, 38, 27, 9, 3, 3, -22, -32])
    line = line + look.hairline * np.interp(az, [0, 12, 30, 50, 70], [.6, .8, 1.4, .8, 0])
    mask = smooth(el, line - 3.5, line + 6.5) * (1 - smooth(ears, .1, .5))
    if look.hair == "bald":
        mask = mask * smooth(el, 46, 26) * smooth(az, 52, 72)
    return mask


def coat(rest, mask, look: Look):
    """Thickness of the coat at each vertex (n,), dm."""
    side, top = STYLES[look.hair][:2]
    az, el = angles(rest)
    up = smooth(el, 12, 55)
    thick = side + (top - side) * up
    thick = thick * np.interp(az, [0, 40, 90, 180], [.85, 1, 1, 1])
    if look.hair in ("short", "side"):        # volume on one side of the parting
        thick = thick * (1 + .25 * np.tanh(3 * (rest[:, 0] + .3)) * up)
    return thick * smooth(mask, .35, 1.0)


def flow(rest, normals, look: Look):
    """Direction in which the coat is combed (n, 3), tangent to the surface."""
    az, el = angles(rest)
    top, x = smooth(el, 25, 60)[:, None], rest[:, :1]
    down = np.array([0, -1.0, -.25])
    if look.hair in ("tied",):
        comb = np.tile([0, .15, -1.0], (len(rest), 1)) + .25 * down
    elif look.hair in ("short", "side", "buzz", "bald"):
        comb = top * np.concatenate([.8 * np.tanh(4 * (x + .35)), -.2 + 0 * x, -.35 + 0 * x], 1) + (1 - top) * down
    else:
        comb = top * np.concatenate([np.tanh(6 * (x - .1)), -.3 + 0 * x, -.25 + 0 * x], 1) + (1 - top) * down
    return unit(comb - (comb * normals).sum(1, keepdims=True) * normals)


@compiled
def push_out(p, obstacles, normals, clearance, reach):
    """Move each point out of the nearest obstacle vertex's tangent plane, in place."""
    for i in range(p.shape[0]):
        best, near = 1e9, 0
        for j in range(obstacles.shape[0]):
            dx, dy, dz = p[i, 0] - obstacles[j, 0], p[i, 1] - obstacles[j, 1], p[i, 2] - obstacles[j, 2]
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


def locks(look: Look, places, normals, mask, triangles, rest, rng):
    """Grow the locks: centre lines (m, k, 3), outward directions (m, k, 3), widths (m, k) and shades (m,), or None.

    `places`, `normals` describe the actor's own coated skin; roots are drawn on scalp triangles by area.
    """
    side, top, curly, count, length, width = STYLES[look.hair]
    if not count:
        return None
    tri = triangles[(mask[triangles] > .45).all(1)]
    corner = places[tri]
    area = np.linalg.norm(np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=1)
    hanging = look.hair in ("bob", "long", "wavy")
    _, el = angles(rest[tri].mean(1))
    chance = area * (.35 + smooth(el, 60, 0) if hanging else 1.0)
    t = tri[rng.choice(len(tri), count, p=chance / chance.sum())]
    w = rng.dirichlet([1, 1, 1], count)[..., None]
    root = (places[t] * w).sum(1)
    out = unit((normals[t] * w).sum(1))
    rest_root = (rest[t] * w).sum(1)
    az, el = angles(rest_root)
    comb = flow(rest_root, out, look)
    head = places[mask > .5]
    middle = np.array([0, (head[:, 1].max() + head[:, 1].min()) / 2, (head[:, 2].max() + head[:, 2].min()) / 2])
    radius = (head.max(0) - head.min(0)) / 2
    jitter = rng.normal(size=(count, 3))
    segments = 14 if hanging else 5
    if hanging:
        long = length * rng.uniform(.85, 1.1, count)
        clearance = .03 + .16 * rng.random(count)
    else:
        long = length * rng.uniform(.6, 1.2, count) * np.interp(el, [-20, 10, 45], [.45, .6, 1] if not curly else [.8, .9, 1])
        clearance = .02 + .05 * rng.random(count) if not curly else np.full(count, .0)
    near = np.linspace(0, len(places) - 1, min(len(places), 6000)).astype(int)
    solid, solid_n = places[near].astype(np.float32), normals[near].astype(np.float32)
    p = root - .03 * out
    points = [p.copy()]
    phase = rng.random((count, 3)) * 6.28
    parting = np.sign(rest_root[:, :1] - .1)
    for s in range(segments):
        k = s / segments
        if hanging:
            front = (p[:, 2:] > middle[2] + .30 * radius[2]) & (p[:, 1:2] < middle[1] + .35 * radius[1])
            d = .9 * comb * max(0, 1 - 3 * k) + np.array([0, -1.0, 0]) * min(1, .25 + 3 * k) + .05 * jitter
            d = d + out * max(0, .35 - 3 * k) + front * (parting * [.55, 0, 0] + [0, 0, -.9])
            if look.hair == "wavy":
                d = d + .38 * np.sin(phase[:, :1] * .25 + 9 * k) * np.array([1.0, 0, .4]) * min(1, 2 * k)
        elif curly:
            d = .75 * out + 1.0 * np.sin(phase + 7 * k) + .3 * jitter
        else:
            d = out * (.30 - .55 * k) + comb + .13 * jitter
        p = p + unit(d) * (long / segments)[:, None]
        if hanging or not curly:
            q = np.ascontiguousarray(p, dtype=np.float32)
            push_out(q, solid, solid_n, (clearance * min(1, (s + 1) / 3)).astype(np.float32), .6)
            p = q.astype(float)
        points.append(p.copy())
    line = np.stack(points, 1)                                  # (m, k, 3)
    k = np.linspace(0, 1, segments + 1)
    taper = np.interp(k, [0, .2, .7, 1], [.7, 1, .9, .25])
    widths = width * rng.uniform(.7, 1.3, (count, 1)) * taper
    away = line - middle
    away[..., 1] *= np.where(line[..., 1] > middle[1], 1, .25)  # below the ears the outside is sideways
    shade = 1 + .16 * rng.normal(size=count)
    return line, unit(away), widths, np.clip(shade, .6, 1.5)
