"""A small software rasteriser for digital actors, in numba: which triangle does a sub-pixel see?

`raster` answers it from the camera and, for shadows, from the key light; `shading.shade` then
lights what is seen and averages blocks of sub-pixels into a pixel.
"""

import math

import numba
import numpy as np

from ..fast import compiled

TONE_STEPS, TONE_MAX = 8192, 4.0  # the tone curve as a table over linear light 0..4
FAR = 1e9  # depth where nothing is seen


def inlined(function):
    """Compile a small function of an inner loop as a part of whatever calls it.

    Without this a call per sub-pixel and light costs as much as what it does.
    """
    return numba.njit(fastmath=True, error_model="numpy", forceinline=True)(function)


@compiled
def raster(points, triangles, two_sided, depth, seen):
    """Fill depth (S, S) and the index of the nearest triangle seen (S, S), -1 for none.

    Points are (n, 3): x px, y px, depth. Triangles whose back is seen are skipped unless two-sided.
    """
    size = depth.shape[0]
    depth[:] = FAR
    seen[:] = -1
    for k in range(triangles.shape[0]):
        i, j, l = triangles[k, 0], triangles[k, 1], triangles[k, 2]
        x0, y0, z0 = points[i, 0], points[i, 1], points[i, 2]
        x1, y1, z1 = points[j, 0], points[j, 1], points[j, 2]
        x2, y2, z2 = points[l, 0], points[l, 1], points[l, 2]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if abs(area) < 1e-9 or (area > 0 and not two_sided[k]):
            continue

        # the rows and columns of its box; pixel centres lie at +0.5
        left = max(0, int(math.ceil(min(x0, x1, x2) - 0.5)))
        right = min(size - 1, int(math.floor(max(x0, x1, x2) - 0.5)))
        top = max(0, int(math.ceil(min(y0, y1, y2) - 0.5)))
        bottom = min(size - 1, int(math.floor(max(y0, y1, y2) - 0.5)))

        # barycentric weights w0 + w1 + w2 = 1 change by a constant from pixel to pixel
        d1 = (y2 - y0) / area
        d2 = -(y1 - y0) / area
        d0 = -d1 - d2
        i0 = 1 / d0 if d0 != 0 else 0.0
        i1 = 1 / d1 if d1 != 0 else 0.0
        i2 = 1 / d2 if d2 != 0 else 0.0
        for y in range(top, bottom + 1):
            px = left + 0.5 - x0
            py = y + 0.5 - y0
            w1 = (px * (y2 - y0) - (x2 - x0) * py) / area
            w2 = ((x1 - x0) * py - px * (y1 - y0)) / area
            w0 = 1 - w1 - w2

            # of each row only the span inside the triangle is walked: all weights >= 0
            first, last = clip_span(w0, d0, i0, 0.0, float(right - left))
            first, last = clip_span(w1, d1, i1, first, last)
            first, last = clip_span(w2, d2, i2, first, last)
            for n in range(int(math.ceil(first)), int(math.floor(last)) + 1):
                z = z0 + (w1 + n * d1) * (z1 - z0) + (w2 + n * d2) * (z2 - z0)
                if z < depth[y, left + n]:
                    depth[y, left + n] = z
                    seen[y, left + n] = k


@inlined
def clip_span(weight, slope, inverse_slope, first, last):
    """The part of first .. last where a weight, rising by `slope` a pixel from 0, is >= 0."""
    if slope > 0:
        first = max(first, -weight * inverse_slope)
    elif slope < 0:
        last = min(last, -weight * inverse_slope)
    elif weight < 0:
        last = -1.0
    return first, last


@compiled
def surface_normals(points, triangles, count, normals):
    """Area-weighted vertex normals (n, 3) of the first `count` triangles, written in place."""
    for k in range(count):
        for c in range(3):
            for d in range(3):
                normals[triangles[k, c], d] = 0.0

    for k in range(count):
        i, j, l = triangles[k, 0], triangles[k, 1], triangles[k, 2]
        ax = points[j, 0] - points[i, 0]
        ay = points[j, 1] - points[i, 1]
        az = points[j, 2] - points[i, 2]
        bx = points[l, 0] - points[i, 0]
        by = points[l, 1] - points[i, 1]
        bz = points[l, 2] - points[i, 2]
        # the cross product of two sides: normal to the triangle, as long as twice its area
        nx = ay * bz - az * by
        ny = az * bx - ax * bz
        nz = ax * by - ay * bx
        for c in range(3):
            v = triangles[k, c]
            normals[v, 0] += nx
            normals[v, 1] += ny
            normals[v, 2] += nz


def sphere(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre (3,) and radius of the best sphere through points (n, 3).

    |p - c|^2 = r^2 is linear in c and in r^2 - |c|^2.
    """
    equations = np.c_[2 * points, np.ones(len(points))]
    solution = np.linalg.lstsq(equations, (points**2).sum(1), rcond=None)[0]
    centre, rest = solution[:3], solution[3]
    return centre, float(np.sqrt(rest + (centre**2).sum()))


def eye_grid(rings: int = 15, spokes: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Directions (n, 3) and triangles (t, 3) of the front of an eyeball that looks along +z."""
    t, p = np.meshgrid(
        np.linspace(0.02, 1.9, rings),  # from the middle of the pupil to behind the lid
        np.linspace(0, 2 * np.pi, spokes, endpoint=False),
        indexing="ij",
    )
    d = np.stack([np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), np.cos(t)], -1)
    directions = d.reshape(-1, 3)  # (rings * spokes, 3)

    ring, spoke = np.meshgrid(np.arange(rings - 1) * spokes, np.arange(spokes), indexing="ij")
    next_spoke = (spoke + 1) % spokes
    a = (ring + spoke).ravel()
    b = (ring + spokes + spoke).ravel()
    c = (ring + spokes + next_spoke).ravel()
    e = (ring + next_spoke).ravel()
    return directions, np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, e], 1)])


def tone_curve() -> np.ndarray:
    """Display value 0..255 of linear light 0..4, as a table of 8192.

    A film curve with a toe and a shoulder, then gamma 2.2.
    """
    x = 0.62 * np.linspace(0, TONE_MAX, TONE_STEPS)
    film = x * (2.4 * x + 0.06) / (x * (2.4 * x + 0.62) + 0.15)
    return (255 * film ** (1 / 2.2)).astype(np.float32)


def light_view(direction: np.ndarray, centre: np.ndarray, reach: float, n: int) -> np.ndarray:
    """The orthographic view along a light: a map (3, 4) from the world to pixels and depth.

    The picture is n x n and shows `reach` dm to each side of `centre`.
    """
    z = np.asarray(direction, float) / np.linalg.norm(direction)
    upright = [0.0, 1.0, 0.0] if abs(z[1]) < 0.95 else [0.0, 0.0, 1.0]
    x = np.cross(upright, z)
    x /= np.linalg.norm(x)
    y = np.cross(z, x)

    scale = n / (2 * reach)
    axes = np.stack([scale * x, -scale * y, -z])
    shift = np.array([n / 2, n / 2, 10.0]) - axes @ centre
    return np.concatenate([axes, shift[:, None]], 1).astype(np.float32)


def see_from(view: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (n, 3) in a light's view: x px, y px, depth (n, 3)."""
    return (points @ view[:, :3].T + view[:, 3]).astype(np.float32)


def baked_occlusion(
    points: np.ndarray,
    normals: np.ndarray,
    triangles: np.ndarray,
    centre: np.ndarray,
    directions: int = 48,
    n: int = 160,
    reach: float = 2.3,
    seed: int = 0,
) -> np.ndarray:
    """Ambient light that reaches each vertex: (n,) in 0..1.

    Depth pictures are taken from many directions; a vertex sees a direction where nothing is nearer
    than itself.
    """
    rng = np.random.default_rng(seed)
    depth = np.empty((n, n), np.float32)
    seen = np.empty((n, n), np.int32)
    both_sides = np.ones(len(triangles), np.bool_)
    total = np.full(len(points), 1e-6)
    open_sky = np.zeros(len(points))

    for _ in range(directions):
        d = rng.normal(size=3)
        d /= np.linalg.norm(d)
        if d[1] < -0.5 or d[2] < -0.35:  # little light comes from the floor or from behind
            continue

        p = see_from(light_view(d, centre, reach, n), points)
        raster(p, triangles, both_sides, depth, seen)
        weight = np.maximum(normals @ d, 0)
        x = p[:, 0].astype(int).clip(0, n - 1)
        y = p[:, 1].astype(int).clip(0, n - 1)
        open_sky += weight * (depth[y, x] > p[:, 2] - 0.06)
        total += weight
    return (open_sky / total).astype(np.float32)
