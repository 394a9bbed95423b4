"""A small software rasteriser for digital actors, in numba: which triangle does each sub-pixel see?

`raster` answers it from the camera and, for shadows, from the key light; `shading.shade` then
lights what is seen and averages 2 x 2 sub-pixels into a pixel.
"""

import math

import numpy as np

from ..fast import compiled

SKIN, EYE, WET, HAIR, LASH = range(5)  # the materials, one per triangle
TONE_STEPS, TONE_MAX = 8192, 4.0  # the tone curve as a table over linear light 0..4
# Columns of the static vertex attributes: rest place, colour, then single numbers.
REST, COLOUR, AO, SPEC, HAIR_MASK, CLOTH = 0, 3, 6, 7, 8, 9


@compiled
def raster(points, triangles, two_sided, depth, seen):
    """Fill depth (S, S) and the index of the nearest triangle seen (S, S), -1 for none.

    Points are (n, 3): x px, y px, depth. Triangles whose back is seen are skipped unless two-sided.
    """
    size = depth.shape[0]
    depth[:] = 1e9
    seen[:] = -1
    for k in range(triangles.shape[0]):
        i, j, l = triangles[k, 0], triangles[k, 1], triangles[k, 2]
        x0, y0, z0 = points[i, 0], points[i, 1], points[i, 2]
        x1, y1, z1 = points[j, 0], points[j, 1], points[j, 2]
        x2, y2, z2 = points[l, 0], points[l, 1], points[l, 2]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if abs(area) < 1e-9 or (area > 0 and not two_sided[k]):
            continue
        # pixel centres lie at +0.5
        xa = max(0, int(math.ceil(min(x0, x1, x2) - 0.5)))
        xb = min(size - 1, int(math.floor(max(x0, x1, x2) - 0.5)))
        ya = max(0, int(math.ceil(min(y0, y1, y2) - 0.5)))
        yb = min(size - 1, int(math.floor(max(y0, y1, y2) - 0.5)))
        # w1, w2 and w0 = 1 - w1 - w2 change by a constant from pixel to pixel: walk each row's span
        # only
        d1, d2 = (y2 - y0) / area, -(y1 - y0) / area
        d0 = -d1 - d2
        i0 = 1 / d0 if d0 != 0 else 0.0
        i1 = 1 / d1 if d1 != 0 else 0.0
        i2 = 1 / d2 if d2 != 0 else 0.0
        for y in range(ya, yb + 1):
            px, py = xa + 0.5 - x0, y + 0.5 - y0
            w1 = (px * (y2 - y0) - (x2 - x0) * py) / area
            w2 = ((x1 - x0) * py - px * (y1 - y0)) / area
            w0 = 1 - w1 - w2
            first, last = 0.0, float(xb - xa)
            for e in range(3):
                w, d, i = (w0, d0, i0) if e == 0 else (w1, d1, i1) if e == 1 else (w2, d2, i2)
                if d > 0:
                    first = max(first, -w * i)
                elif d < 0:
                    last = min(last, -w * i)
                elif w < 0:
                    last = -1.0
            for n in range(int(math.ceil(first)), int(math.floor(last)) + 1):
                z = z0 + (w1 + n * d1) * (z1 - z0) + (w2 + n * d2) * (z2 - z0)
                if z < depth[y, xa + n]:
                    depth[y, xa + n] = z
                    seen[y, xa + n] = k


@compiled
def surface_normals(points, triangles, count, normals):
    """Area-weighted vertex normals (n, 3) of the first `count` triangles, written in place."""
    for k in range(count):
        for c in range(3):
            for d in range(3):
                normals[triangles[k, c], d] = 0.0
    for k in range(count):
        i, j, l = triangles[k, 0], triangles[k, 1], triangles[k, 2]
        ax, ay, az = (
            points[j, 0] - points[i, 0],
            points[j, 1] - points[i, 1],
            points[j, 2] - points[i, 2],
        )
        bx, by, bz = (
            points[l, 0] - points[i, 0],
            points[l, 1] - points[i, 1],
            points[l, 2] - points[i, 2],
        )
        nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        for c in range(3):
            v = triangles[k, c]
            normals[v, 0] += nx
            normals[v, 1] += ny
            normals[v, 2] += nz


def sphere(points) -> tuple:
    """Centre and radius of the best sphere through points (n, 3)."""
    x = np.linalg.lstsq(np.c_[2 * points, np.ones(len(points))], (points**2).sum(1), rcond=None)[0]
    return x[:3], float(np.sqrt(x[3] + (x[:3] ** 2).sum()))


def eye_grid(rings=15, spokes=24) -> tuple:
    """Directions (n, 3) and triangles of the front of an eyeball that looks along +z."""
    t, p = np.meshgrid(
        np.linspace(0.02, 1.9, rings),
        np.linspace(0, 2 * np.pi, spokes, endpoint=False),
        indexing="ij",
    )
    d = np.stack([np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), np.cos(t)], -1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(rings - 1) * spokes, np.arange(spokes), indexing="ij")
    j2 = (j + 1) % spokes
    a, b, c, e = (x.ravel() for x in (i + j, i + spokes + j, i + spokes + j2, i + j2))
    return d, np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, e], 1)])


def tone_curve() -> np.ndarray:
    """Linear light 0..4 -> display value 0..255: a film curve with a toe and a shoulder, then gamma
    2.2."""
    x = 0.62 * np.linspace(0, TONE_MAX, TONE_STEPS)
    return (255 * (x * (2.4 * x + 0.06) / (x * (2.4 * x + 0.62) + 0.15)) ** (1 / 2.2)).astype(
        np.float32
    )


def light_view(direction: np.ndarray, centre: np.ndarray, reach: float, n: int) -> np.ndarray:
    """An orthographic map (3, 4) from the world to the pixels and depth of an n x n picture taken
    along a light."""
    z = np.asarray(direction, float) / np.linalg.norm(direction)
    x = np.cross([0.0, 1.0, 0.0] if abs(z[1]) < 0.95 else [0.0, 0.0, 1.0], z)
    x /= np.linalg.norm(x)
    y = np.cross(z, x)
    scale = n / (2 * reach)
    axes = np.stack([scale * x, -scale * y, -z])
    shift = np.array([n / 2, n / 2, 10.0]) - axes @ centre
    return np.concatenate([axes, shift[:, None]], 1).astype(np.float32)


def see_from(view: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply a light view to points (n, 3)."""
    return (points @ view[:, :3].T + view[:, 3]).astype(np.float32)


def baked_occlusion(
    points, normals, triangles, centre, directions=48, n=160, reach=2.3, seed=0
) -> np.ndarray:
    """Ambient light that reaches each vertex (n,) in 0..1, from depth pictures taken from many
    directions."""
    rng = np.random.default_rng(seed)
    depth, seen = np.empty((n, n), np.float32), np.empty((n, n), np.int32)
    both = np.ones(len(triangles), np.bool_)
    total, open_sky = np.full(len(points), 1e-6), np.zeros(len(points))
    for _ in range(directions):
        d = rng.normal(size=3)
        d /= np.linalg.norm(d)
        if d[1] < -0.5 or d[2] < -0.35:  # little light comes from the floor or from behind
            continue
        view = light_view(d, centre, reach, n)
        p = see_from(view, points)
        raster(p, triangles, both, depth, seen)
        weight = np.maximum(normals @ d, 0)
        x, y = p[:, 0].astype(int).clip(0, n - 1), p[:, 1].astype(int).clip(0, n - 1)
        open_sky += weight * (depth[y, x] > p[:, 2] - 0.06)
        total += weight
    return (open_sky / total).astype(np.float32)
