"""What the arrays of a digital actor hold: parts, materials, columns, and patches that are joined.

`actor` fills these arrays once, `shading` reads them at every sub-pixel: both take the places of
the numbers from here, so that nothing depends on counting columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

# What a vertex of actors.npz belongs to (its array `part`). BODY is the skin from the head to the
# shoulders, clothes included.
BODY, UPPER_TEETH, LOWER_TEETH, TONGUE, LASHES, EYEBALLS = range(6)

# What a triangle is made of. CLOTH is never stored: skin below the neckline is shaded as cloth.
SKIN, EYE, WET, HAIR, LASH, CLOTH = range(6)

# Columns of `static` (n, 10): what a vertex keeps, whatever the face does.
REST = 0  # 3 columns: its place on the resting base head, dm; fine detail is painted by this place
COLOUR = 3  # 3 columns: linear RGB
AMBIENT = 6  # share of the ambient light that reaches it, 0..1
GLOSS = 7  # strength of its shine
HAIRINESS = 8  # 0 bare skin .. 1 covered by hair
NECKLINE = 9  # dm below the edge of the clothes; negative above it
STATIC = 10

# Columns of `moving` (n, 9): what follows the pose.
PLACE = 0  # 3 columns: where it is in the world, dm
NORMAL = 3  # 3 columns: which way its surface looks, of any length
STRAND = 6  # 3 columns: the direction of hair on it, of any length
MOVING = 9

# Furrows of the face, each with a strength 0..1: see paint.furrows and paint.creases.
(
    FOREHEAD,
    BETWEEN_BROWS,
    CROWS_FEET,
    OVER_NOSE,
    NOSE_TO_MOUTH,
    EYE_BAGS,
    BELOW_MOUTH,
    DIMPLES,
    CHIN_DENTS,
) = range(9)
FURROWS = 9


@dataclass(frozen=True)
class Patch:
    """One piece of an actor: n vertices with all that is known of them, and triangles on them."""

    place: np.ndarray  # (n, 3) at rest, dm
    normal: np.ndarray  # (n, 3)
    strand: np.ndarray  # (n, 3)
    rest: np.ndarray  # (n, 3)
    colour: np.ndarray  # (n, 3)
    ambient: np.ndarray  # (n,)
    gloss: np.ndarray  # (n,)
    hairiness: np.ndarray  # (n,)
    neckline: np.ndarray  # (n,)
    head: np.ndarray  # (n,) how far it follows the head: 1 wholly, 0 stays with the shoulders
    triangles: np.ndarray  # (t, 3) rows of this patch
    material: np.ndarray  # (t,)


def join(patches: Sequence[Patch]) -> Patch:
    """Several patches as one; the triangles of each are moved behind the vertices before it."""
    sizes = [len(patch.place) for patch in patches]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(int)
    columns = {
        field.name: np.concatenate([getattr(patch, field.name) for patch in patches])
        for field in fields(Patch)
    }
    columns["triangles"] = np.concatenate(
        [patch.triangles + start for patch, start in zip(patches, starts, strict=True)]
    )
    return Patch(**columns)


def static_columns(patch: Patch) -> np.ndarray:
    """What stays of a patch's vertices, as `shading` reads it: float32 (n, 10)."""
    static = np.empty((len(patch.place), STATIC), np.float32)
    static[:, REST : REST + 3] = patch.rest
    static[:, COLOUR : COLOUR + 3] = patch.colour
    static[:, AMBIENT] = patch.ambient
    static[:, GLOSS] = patch.gloss
    static[:, HAIRINESS] = patch.hairiness
    static[:, NECKLINE] = patch.neckline
    return static


def smooth(x: np.ndarray, a, b) -> np.ndarray:
    """Smooth step of arrays: 0 at a, 1 at b, level beyond both (a may exceed b)."""
    t = np.clip((x - a) / (b - a), 0, 1)
    return t * t * (3 - 2 * t)


def unit(v: np.ndarray) -> np.ndarray:
    """Vectors scaled to length one along the last axis."""
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)
