"""Light on a digital actor: skin, eyes, teeth, hair and cloth, shaded pixel by pixel in numba.

Fine detail (brows, irises, strands, weave) is computed here from the place on the resting head, so
it sticks to the face as it moves and needs no texture.
"""

import math

import numpy as np

from ..fast import compiled
from .paint import brow_density, creases, noise, step
from .render import EYE, HAIR, LASH, SKIN, WET

CLOTH_KIND = 5  # skin below the neckline is shaded as cloth


@compiled
def shadow_at(x, y, z, light, shadow):
    """Share of the key light that reaches a point: percentage-closer filtering of the shadow map."""
    n = shadow.shape[0]
    sx = light[0, 0] * x + light[0, 1] * y + light[0, 2] * z + light[0, 3]
    sy = light[1, 0] * x + light[1, 1] * y + light[1, 2] * z + light[1, 3]
    sz = light[2, 0] * x + light[2, 1] * y + light[2, 2] * z + light[2, 3]
    if sx < 3 or sy < 3 or sx > n - 4 or sy > n - 4:
        return 1.0
    ix, iy, lit = int(sx), int(sy), 0.0
    corners = 0  # most places are wholly lit or wholly dark
    for dy in range(-2, 3, 2):
        for dx in range(-2, 3, 2):
            corners += shadow[iy + dy, ix + dx] > sz - 0.035
    if corners == 0 or corners == 9:
        return corners / 9.0
    fx, fy = sx - ix, sy - iy
    for dy in range(-2, 3):
        wy = 1 - fy if dy == -2 else (fy if dy == 2 else 1.0)
        for dx in range(-2, 3):
            if shadow[iy + dy, ix + dx] > sz - 0.035:
                lit += wy * (1 - fx if dx == -2 else (fx if dx == 2 else 1.0))
    return lit / 16.0


@compiled
def shade(
    points,
    triangles,
    material,
    seen,
    moving,
    static,
    eye,
    lights,
    light_rgb,
    light_space,
    shadow,
    look,
    furrows,
    background,
    image,
    tone,
):
    """Light what each sub-pixel sees and average blocks of sub-pixels into image (size, size, 3)
    uint8.

    points (n, 3) in sub-pixels; moving (n, 9): place, normal, hair direction; static (n, 10): see
    the constants above; lights (3, 3) directions, the first casts shadows; look: the actor's few
    numbers (see paint.look_vector); furrows: see paint.furrows.
    """
    size, sub = image.shape[0], seen.shape[0] // image.shape[0]
    a, total = np.empty(19, np.float32), np.empty(3)
    for row in range(size):
        for column in range(size):
            total[:] = 0
            for cell in range(sub * sub):
                py, px = row * sub + cell // sub, column * sub + cell % sub
                k = seen[py, px]
                if k < 0:
                    for c in range(3):
                        total[c] += background[row, column, c]
                    continue
                i, j, l = triangles[k, 0], triangles[k, 1], triangles[k, 2]
                x0, y0 = points[i, 0], points[i, 1]
                x1, y1, x2, y2 = (
                    points[j, 0] - x0,
                    points[j, 1] - y0,
                    points[l, 0] - x0,
                    points[l, 1] - y0,
                )
                area = x1 * y2 - x2 * y1
                w1 = ((px + 0.5 - x0) * y2 - x2 * (py + 0.5 - y0)) / area
                w2 = (x1 * (py + 0.5 - y0) - (px + 0.5 - x0) * y1) / area
                w0 = 1 - w1 - w2
                for c in range(9):
                    a[c] = w0 * moving[i, c] + w1 * moving[j, c] + w2 * moving[l, c]
                for c in range(10):
                    a[9 + c] = w0 * static[i, c] + w1 * static[j, c] + w2 * static[l, c]
                kind, ao, spec, hair, cloth = material[k], a[15], a[16], a[17], a[18]
                r, g, b = a[12], a[13], a[14]
                rx, ry, rz = a[9], a[10], a[11]
                nx, ny, nz = a[3], a[4], a[5]
                inverse = 1 / (math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9)
                nx, ny, nz = nx * inverse, ny * inverse, nz * inverse
                vx, vy, vz = eye[0] - a[0], eye[1] - a[1], eye[2] - a[2]
                inverse = 1 / math.sqrt(vx * vx + vy * vy + vz * vz)
                vx, vy, vz = vx * inverse, vy * inverse, vz * inverse
                glint, fibre = 0.0, 0.0  # fibre: 0 skin .. 1 hair
                if kind == SKIN:
                    grain = noise(rx * 38, ry * 38, rz * 38)
                    if cloth > 0:
                        kind = CLOTH_KIND
                        spec = 0.1
                        r, g, b = look[3], look[4], look[5]
                        pattern = look[9]
                        if cloth < look[10]:  # a collar, or the edge of a knitted neck
                            r, g, b = look[6], look[7], look[8]
                        elif pattern == 1 and math.sin(ry * 38) > 0.3:
                            r, g, b = look[6], look[7], look[8]
                        # a shirt
                        elif pattern == 2 and abs(rx) < look[11] + 0.40 * (ry - 4.9) and rz > 0.2:
                            r, g, b = look[6], look[7], look[8]
                        weave = 1 + 0.06 * grain + 0.10 * noise(rx * 3.1 + 7, ry * 2.0, rz * 3)
                        if cloth < 0.03:
                            weave *= 0.75
                        r, g, b = r * weave, g * weave, b * weave
                        fold = 0.16
                        nx += fold * noise(rx * 2.6, ry * 1.7, rz * 2.6 + 3)
                        ny += fold * noise(rx * 2.6 + 9, ry * 1.7, rz * 2.6)
                        hair = 0.0
                    else:
                        blotch = noise(rx * 7, ry * 7, rz * 7)
                        mottle = 0.06 * grain + 0.06 * noise(rx * 17 + 3, ry * 17, rz * 17)
                        r, g, b = (
                            r * (1 + mottle + 0.02 * blotch),
                            g * (1 + mottle - 0.09 * blotch),
                            b * (1 + mottle - 0.10 * blotch),
                        )
                        if rz > 0.6:
                            crease = creases(rx, ry, furrows)
                            r, g, b = (
                                r * (1 - 0.42 * crease),
                                g * (1 - 0.55 * crease),
                                b * (1 - 0.58 * crease),
                            )
                            spec *= 1 - 0.6 * crease
                        if 7.2 < ry < 7.75 and rz > 0.6:
                            streak = noise(abs(rx) * 60 - ry * 46, ry * 16 + abs(rx) * 10, 1.0)
                            brow = look[15] * brow_density(
                                rx, ry, look[12], look[13], look[14], streak
                            )
                            brow *= 0.90 + 0.20 * streak
                            brow = min(max(brow, 0.0), 1.0)
                            r += brow * (look[19] - r)
                            g += brow * (look[20] - g)
                            b += brow * (look[21] - b)
                            spec *= 1 - 0.7 * brow
                    if hair > 0.02:
                        side = abs(nx)
                        if look[16] > 0.5:  # curls: the same in every direction
                            f = look[16]
                            strand = 0.6 * noise(rx * f, ry * f, rz * f)
                            strand += 0.4 * noise(rx * f * 2.2, ry * f * 2.2, rz * f * 2.2)
                            nx += 0.4 * noise(rx * f + 4, ry * f, rz * f)
                            ny += 0.4 * noise(rx * f, ry * f + 4, rz * f)
                        else:  # combed: streaks that run back and down
                            strand = (1 - side) * noise(rx * 52, ry * 3.5, rz * 3.5)
                            strand += side * noise(rx * 4, ry * 4, rz * 44)
                        if ry < 6.95 and rz > 0.4:  # a beard: short, in every direction
                            strand = 0.6 * noise(rx * 60, ry * 30, rz * 45)
                            fibre = 0.9 * step(hair + 0.40 * strand, 0.15, 0.80)
                        else:
                            fibre = step(hair + 0.30 * strand, 0.28, 0.70)
                        if look[16] > 30.0 and ry > 6.95:  # cropped: the skin shimmers through
                            fibre = 0.92 * step(hair + 0.35 * strand, 0.30, 1.0)
                        dark = 1 + 0.38 * strand
                        r = r + fibre * (look[0] * dark - r)
                        g = g + fibre * (look[1] * dark - g)
                        b = b + fibre * (look[2] * dark - b)
                        spec = spec * (1 - fibre)
                elif kind == EYE:
                    inverse = 1 / math.sqrt(rx * rx + ry * ry + rz * rz)
                    t = math.acos(min(max(rz * inverse, -1.0), 1.0))
                    iris, pupil = 0.49, 0.19
                    turn = math.atan2(ry, rx)
                    fibres = 0.85 + 0.3 * noise(math.cos(turn) * 9, math.sin(turn) * 9, t * 6)
                    fibres += 0.5 * step(t, iris * 0.9, pupil)
                    limb = (1 - 0.75 * step(t, iris - 0.10, iris)) * step(
                        t, pupil - 0.02, pupil + 0.04
                    )
                    white = step(t, iris - 0.03, iris + 0.05)
                    veins = 1 - 0.25 * step(t, 0.7, 1.2)
                    r = (r * fibres * limb) * (1 - white) + 0.50 * veins * white
                    g = (g * fibres * limb) * (1 - white) + 0.455 * veins * white
                    b = (b * fibres * limb) * (1 - white) + 0.43 * veins * white
                    # catch-light: the mirror direction hits a soft window, low enough to clear the
                    # lid
                    d = 2 * (nx * vx + ny * vy + nz * vz)
                    mx, my, mz = d * nx - vx, d * ny - vy, d * nz - vz
                    toward = (0.36 if lights[0, 0] > 0 else -0.36) * mx + 0.06 * my + 0.931 * mz
                    glint = 1.15 * step(toward, 0.935, 0.98)
                # strokes on the lid; what lies between them looks like skin
                elif kind == LASH:
                    strand = noise(rx * 160, ry * 26, rz * 40)
                    hair = step(hair + 0.35 * strand, 0.25, 0.75)
                    r, g, b = (
                        r + hair * (0.3 * look[19] - r),
                        g + hair * (0.3 * look[20] - g),
                        b + hair * (0.3 * look[21] - b),
                    )
                    nx, ny, nz = vx, vy, vz
                    kind, spec = SKIN, 0.0
                elif kind == HAIR:
                    fibre = 1.0
                    dark = 1 + 0.35 * noise(rx, ry, rz)
                    r, g, b = r * dark, g * dark, b * dark
                    # the inside of a curtain
                    ao *= 1 - 0.7 * step(nx * vx + ny * vy + nz * vz, 0.0, -0.6)
                if kind != HAIR and nx * vx + ny * vy + nz * vz < 0:
                    nx, ny, nz = -nx, -ny, -nz
                inverse = 1 / (math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9)
                nx, ny, nz = nx * inverse, ny * inverse, nz * inverse
                lit = 0.0
                if (
                    kind == HAIR
                    or nx * lights[0, 0] + ny * lights[0, 1] + nz * lights[0, 2] > -0.46
                ):
                    lit = shadow_at(
                        a[0] + 0.03 * nx, a[1] + 0.03 * ny, a[2] + 0.03 * nz, light_space, shadow
                    )
                # light bounced from the room: cool from above, warm from below
                up = 0.5 + 0.5 * ny
                ambient = ao * look[17]
                out_r = r * ambient * (0.34 + 0.12 * up)
                out_g = g * ambient * (0.30 + 0.17 * up)
                out_b = b * ambient * (0.28 + 0.23 * up)
                for q in range(3):
                    lx, ly, lz = lights[q, 0], lights[q, 1], lights[q, 2]
                    s = lit if q == 0 else 0.35 + 0.65 * ao
                    hx, hy, hz = lx + vx, ly + vy, lz + vz
                    inverse = 1 / (math.sqrt(hx * hx + hy * hy + hz * hz) + 1e-9)
                    hx, hy, hz = hx * inverse, hy * inverse, hz * inverse
                    nl = nx * lx + ny * ly + nz * lz
                    nh = max(nx * hx + ny * hy + nz * hz, 0.0)
                    shine = 0.0
                    if fibre < 1.0:
                        vh = 1 - max(vx * hx + vy * hy + vz * hz, 0.0)
                        fresnel = 0.028 + 0.97 * vh * vh * vh * vh * vh
                        n8 = nh**8
                        n16 = n8 * n8
                        if kind == SKIN:
                            shine = fresnel * (2.0 * n8 * n8 + 3.2 * n16 * n16 * n16) * spec
                        elif kind == EYE or kind == WET:
                            shine = fresnel * 12 * n16 * n16 * n16 * n16 * spec
                        else:
                            shine = fresnel * n8 * spec
                        shine *= max(nl, 0.0) * s
                    # red light travels further under the skin
                    if kind == SKIN and fibre < 1.0:
                        d_r = min(max((nl + 0.30) / 1.30, 0.0), 1.0) * (0.13 + 0.87 * s)
                        d_g = min(max((nl + 0.14) / 1.14, 0.0), 1.0) * (0.10 + 0.90 * s)
                        d_b = min(max((nl + 0.09) / 1.09, 0.0), 1.0) * (0.07 + 0.93 * s)
                    else:
                        d_r = max(nl, 0.0) * (0.10 + 0.90 * s)
                        d_g, d_b = d_r, d_r
                    h_r, h_g, h_b = 0.0, 0.0, 0.0
                    # Kajiya-Kay: light across the strand, two highlights
                    if fibre > 0.0:
                        tx, ty, tz = a[6], a[7], a[8]
                        inverse = 1 / (math.sqrt(tx * tx + ty * ty + tz * tz) + 1e-9)
                        tl = (tx * lx + ty * ly + tz * lz) * inverse
                        th = (tx * hx + ty * hy + tz * hz) * inverse
                        across = math.sqrt(max(0.0, 1 - tl * tl))
                        e = max(0.0, 1 - th * th)
                        e2, f = e * e, max(0.0, 1 - (th + 0.14) * (th + 0.14))
                        e8, f4 = e2 * e2 * e2 * e2, f * f * f * f
                        facing = min(max((nl + 0.45) / 1.45, 0.0), 1.0)
                        body = facing * (0.35 + 0.65 * across) * (0.25 + 0.75 * s)
                        gleam = look[18] * 0.035 * e8 * e8 * facing * s
                        second = look[18] * 0.5 * f4 * f4 * facing * s
                        h_r = ao * (r * (body + second) + gleam)
                        h_g = ao * (g * (body + second) + gleam)
                        h_b = ao * (b * (body + second) + gleam)
                    keep = 1 - fibre
                    out_r += light_rgb[q, 0] * (keep * (r * d_r + shine) + fibre * h_r)
                    out_g += light_rgb[q, 1] * (keep * (g * d_g + shine) + fibre * h_g)
                    out_b += light_rgb[q, 2] * (keep * (b * d_b + shine) + fibre * h_b)
                if kind == EYE:
                    out_r, out_g, out_b = out_r * ao + glint, out_g * ao + glint, out_b * ao + glint
                elif kind != HAIR:
                    dim = 0.30 + 0.70 * ao
                    out_r, out_g, out_b = out_r * (0.06 + 0.94 * dim), out_g * dim, out_b * dim
                scale = (tone.shape[0] - 1) / 4.0
                total[0] += tone[min(max(int(out_r * scale), 0), tone.shape[0] - 1)]
                total[1] += tone[min(max(int(out_g * scale), 0), tone.shape[0] - 1)]
                total[2] += tone[min(max(int(out_b * scale), 0), tone.shape[0] - 1)]
            for c in range(3):
                image[row, column, c] = np.uint8(total[c] / (sub * sub) + 0.5)
