"""Digital actors: 23 attributes in, a picture and its exact landmarks out.

An actor is a sum: resting bust + identity targets + 17 action units, turned by the head pose and
drawn by `render`. World axes are those of the mesh (dm; x to the right of the picture, y up, z
towards the camera); attributes use OpenFace's camera axes (x right, y down, z away), which differ
by the sign of y and z.
"""

from functools import lru_cache

import numpy as np

from ..files import InputError, data_path
from . import hair as hairdo
from . import render as r
from .looks import ACTORS, Look, draw_look
from .paint import (
    backdrop,
    beard_mask,
    cloth_edge,
    furrows,
    gloss,
    lash_density,
    look_vector,
    ribbons,
    skin_colour,
)
from .shading import shade

__all__ = ["ACTORS", "Actor", "rotation", "neck_translation"]

UNITS = 17  # the first 17 attributes are action units, 0-5
SHADOW = 320  # side of the shadow map
DISTANCE = 9.0  # camera to eyes, dm
SKIN, UPPER, LOWER, TONGUE, LASH, EYE = range(6)  # parts of actors.npz
MIRROR = np.diag([1.0, -1.0, -1.0])  # OpenFace camera axes <-> mesh axes


def rotation(angles) -> np.ndarray:
    """Rotation matrix R = Rx Ry Rz of OpenFace's pose_Rx, Ry, Rz in radians (3, 3), camera x right,
    y down, z away.

    Positive Rx looks down, positive Ry turns the nose to the left of the picture, positive Rz tilts
    clockwise in it.

    >>> rotation((0, 0, 0)).round(1).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    (a, b, c), (s, t, u) = np.cos(angles), np.sin(angles)
    x = np.array([[1, 0, 0], [0, a, -s], [0, s, a]])
    y = np.array([[b, 0, t], [0, 1, 0], [-t, 0, b]])
    z = np.array([[c, -u, 0], [u, c, 0], [0, 0, 1]])
    return x @ y @ z


def neck_translation(angles, arm=(0.0, 95.0, 60.0)) -> np.ndarray:
    """How far the head's origin moves (mm: x right, y down, z away) when the head turns about the
    neck by `angles`.

    OpenFace's translation is that of the head's origin (the middle of the 68 points); a neck joint
    lies `arm` mm from it. Add the result to pose_T for a head that turns on a neck.

    >>> neck_translation((0.2, 0, 0)).round(0).tolist()     # looking down: the face moves forward and down
    [0.0, 14.0, -18.0]
    """
    arm = np.asarray(arm, float)
    return arm - rotation(angles) @ arm


@lru_cache(maxsize=1)
def bust() -> dict:
    """The arrays of data_samples/actors.npz, with the sparse displacement fields by name."""
    with np.load(data_path("actors.npz")) as z:
        data = {k: z[k] for k in z.files}
    data["fields"] = {}
    for name, a, b in zip(data["names"], data["bounds"][:-1], data["bounds"][1:]):
        data["fields"][str(name)] = data["index"][a:b], data["delta"][a:b] * data["step"]
    return data


def identity(look: Look) -> np.ndarray:
    """The resting vertices of a look (n, 3), dm."""
    data = bust()
    places = data["rest"].astype(float)
    old = min(1, 1.25 * look.age)
    age = {"young": 1 - old, "old": old}
    sex = "female" if look.female else "male"
    weights = {
        f"macrodetails/universal-{sex}-{g}-averagemuscle-averageweight": w for g, w in age.items()
    }
    for kind, share in look.ancestry.items():
        weights |= {f"macrodetails/{kind}-{sex}-{g}": w * share for g, w in age.items()}
    # the base face frowns a little
    weights |= look.shape | {"rest/jaw": -0.045, "AU04": -0.18}
    for name, w in weights.items():
        index, delta = data["fields"][name]
        places[index] += w * delta
    # lips that meet: AU25 back by part of the gap beside the middle of the inner lips
    index, delta = data["fields"]["AU25"]
    part = np.zeros_like(places)
    part[index] = delta
    upper, lower = data["landmarks"][[61, 63]], data["landmarks"][[67, 65]]
    gap, rate = ((x[upper, 1] - x[lower, 1]).mean() for x in (places, part))
    places -= 0.4 * max(0, gap) / rate * part
    # without these shifts the teeth are never seen (upper) or poke through the lip (lower)
    places[data["part"] == UPPER] += (0, -0.058, 0.045)
    places[data["part"] == LOWER] += (0, -0.030, 0.030)
    lash, skin = (
        np.flatnonzero(data["part"] == LASH),
        np.flatnonzero((data["part"] == SKIN) & (data["rest"][:, 2] > 1)),
    )
    near = skin[((places[lash, None] - places[skin]) ** 2).sum(-1).argmin(1)]
    # else they look painted on
    places[lash] += (0.35 if look.female else 0.5) * (places[near] - places[lash])
    return places


class Actor:
    """A digital actor. `Actor("anna")` is one of ACTORS, `Actor(7)` is drawn from the same
    distribution.

    Raises InputError for an unknown name. Building takes about a second; nothing is kept on disk.

    Notebook: 00_tour

    >>> from dirfa_edu.actor import Actor
    >>> Actor("anna").render(np.zeros(23), size=64).shape
    (64, 64, 3)
    """

    def __init__(self, who: str | int):
        data, self.name, self.look = bust(), str(who), draw_look(who)
        look, part = self.look, data["part"]
        places = identity(look)
        rng = np.random.default_rng(look.background["seed"])
        self.eyes = [r.sphere(places[part == EYE][half]) for half in (slice(0, 72), slice(72, 144))]
        drawn = part != EYE
        rest, places = data["rest"][drawn].astype(float), places[drawn]
        part, n = part[drawn], int(drawn.sum())
        masks = {str(k): data["masks"][drawn, i] / 255 for i, k in enumerate(data["mask_names"])}
        triangles = data["triangles"].astype(np.int64)
        self.skin_triangles = int((part[triangles[:, 0]] == SKIN).sum())  # they come first
        skin = part == SKIN

        # hair and clothes swell the skin itself
        scalp = np.where(skin, hairdo.scalp_mask(rest, masks["ears"], look), 0)
        cloth = np.where(skin, cloth_edge(rest, look), -1)
        normals = np.zeros((n, 3), np.float32)
        r.surface_normals(places.astype(np.float32), triangles, len(triangles), normals)
        away = hairdo.unit(
            hairdo.unit(normals.astype(float)) + 1.2 * hairdo.unit(rest - hairdo.CENTRE)
        )
        thick = hairdo.coat(rest, scalp, look) * skin
        coated = places + away * thick[:, None]
        scalp = np.maximum(scalp, hairdo.smooth(thick, 0.015, 0.06))
        beard = np.where(skin & (look.beard > 0.9), beard_mask(rest, masks), 0)
        collar = 0.03 * (look.clothes == "turtle") * hairdo.smooth(cloth, 0, 0.1)
        coated += (
            hairdo.unit(normals)
            * (0.03 * beard + 0.035 * hairdo.smooth(cloth, -0.03, 0.12) + collar)[:, None]
        )
        normals[:] = 0
        r.surface_normals(coated.astype(np.float32), triangles, len(triangles), normals)
        normals = hairdo.unit(normals.astype(float))

        # action units as one dense block over the vertices that move
        moved = np.unique(np.concatenate([data["fields"][a][0] for a in data["names"][:UNITS]]))
        moved = moved[moved < n]
        self.moved, basis = moved, np.zeros((UNITS, n, 3), np.float32)
        for k, name in enumerate(data["names"][:UNITS]):
            index, delta = data["fields"][str(name)]
            basis[k, index[index < n]] = delta[index < n] / 5
        self.basis = basis[:, moved].reshape(UNITS, -1)

        blocks = [
            dict(
                place=coated,
                normal=normals,
                tangent=hairdo.flow(rest, normals, look),
                rest=rest,
                colour=skin_colour(rest, masks, part, scalp, look),
                spec=gloss(rest, masks, part, look),
                hair=np.maximum(scalp, 0.62 * beard) + lash_density(rest, part, look),
                cloth=cloth,
                ao=np.ones(n),
                head=data["head"][drawn] / 255,
            )
        ]
        kinds = np.array([r.SKIN, r.WET, r.WET, r.WET, r.LASH])[part[triangles[:, 0]]]
        tri, kind, start = [triangles], [kinds], n
        directions, eye_triangles = r.eye_grid()
        self.eye_directions, self.eye_start = directions, start
        for centre, radius in self.eyes:
            m = len(directions)
            blocks.append(
                dict(
                    place=centre + 0.985 * radius * directions,
                    normal=directions,
                    tangent=directions,
                    rest=directions,
                    colour=np.tile(look.iris, (m, 1)),
                    spec=np.ones(m),
                    hair=np.zeros(m),
                    cloth=-np.ones(m),
                    ao=np.ones(m),
                    head=np.ones(m),
                )
            )
            tri.append(eye_triangles + start)
            kind.append(np.full(len(eye_triangles), r.EYE))
            start += m
        grown = hairdo.locks(
            look, coated, normals, scalp, triangles[: self.skin_triangles], rest, rng
        )
        block, ribbon = ribbons(*grown, look)
        # never seen
        behind = (block["normal"][:, 2] < -0.45) & (block["place"][:, 1] > 7.0)
        ribbon = ribbon[~behind[ribbon].any(1)]
        blocks.append(block)
        tri.append(ribbon + start)
        kind.append(np.full(len(ribbon), r.HAIR))
        start += len(block["place"])

        joined = {k: np.concatenate([b[k] for b in blocks]) for k in blocks[0]}
        self.triangles = np.ascontiguousarray(np.concatenate(tri), np.int32)
        self.material = np.concatenate(kind).astype(np.uint8)
        self.two_sided = (self.material == r.HAIR) | (self.material == r.LASH)
        cast = np.ones(len(self.triangles), bool)
        # every second lock is enough
        cast[-len(ribbon) :] = (ribbon[:, 0] // (2 * grown[0].shape[1])) % 2 == 0
        self.casters, self.casters_two_sided = self.triangles[cast], self.two_sided[cast]
        self.places = joined["place"].astype(np.float32)
        self.normals, self.tangents = (
            joined["normal"].astype(np.float32),
            joined["tangent"].astype(np.float32),
        )
        self.head = joined["head"].astype(np.float32)[:, None]
        self.landmark_vertices = data["landmarks"]
        self.origin = places[self.landmark_vertices].mean(0)  # OpenFace's head origin
        self.set_camera(places)
        self.static = np.concatenate(
            [
                joined["rest"],
                joined["colour"],
                np.ones((start, 1)),
                joined["spec"][:, None],
                joined["hair"][:, None],
                joined["cloth"][:, None],
            ],
            1,
        ).astype(np.float32)
        self.static[:, r.AO] = self.occlusion(joined, n, part, masks["inside-mouth"])
        self.wet = np.flatnonzero(np.isin(part, (UPPER, LOWER, TONGUE)))
        self.wet_static = self.static[self.wet, r.COLOUR : r.HAIR_MASK].copy()
        self.look_vector = look_vector(look)
        self.tone = r.tone_curve()
        self.pictures = {}

    def set_camera(self, places):
        """Frame the face like a talking-head crop, and place the lights."""
        eyes, chin = self.eyes[0][0] / 2 + self.eyes[1][0] / 2, places[self.landmark_vertices[8]]
        height = eyes[1] - chin[1]
        # half the side of the picture at the eyes, dm
        self.half = 1.40 * height
        self.camera = np.array([0, eyes[1] - 0.17 * height, eyes[2] + DISTANCE])
        light = self.look.light
        side = light["side"]
        lights = np.array(
            [
                (2.0 * side, 3.2 * light["height"], 3.0),
                (-3.0 * side, 0.5, 2.4),
                (-1.6 * side, 2.2, -3.0),
            ]
        )
        warm = np.array([1 + light["warmth"], 1, 1 - light["warmth"]])
        self.lights = hairdo.unit(lights).astype(np.float32)
        self.light_rgb = np.array(
            [
                1.55 * light["power"] * warm,
                light["fill"] * np.array([0.92, 1, 1.08]),
                np.array([0.55, 0.55, 0.58]),
            ],
            np.float32,
        )
        self.light_space = r.light_view(
            self.lights[0], np.array([0, eyes[1] - 0.4, eyes[2] - 0.6]), 2.3, SHADOW
        )

    def occlusion(self, joined, n, part, inside):
        """Ambient light per vertex, the brighter of the resting and an open-mouthed, closed-eyed
        face."""
        values = []
        for attributes in (np.zeros(23), open_face()):
            places, moving = self.pose(attributes)
            values.append(
                r.baked_occlusion(
                    places,
                    hairdo.unit(moving[:, 3:6].astype(float)),
                    self.triangles,
                    np.array([0, self.camera[1], self.eyes[0][0][2] - 0.5]),
                )
            )
        ao = np.maximum(*values)
        ao[:n] = np.where(inside > 0.5, 0.35 * values[1][:n], ao[:n])
        ao[:n][np.isin(part, (UPPER, LOWER))] = (0.15 + 0.75 * values[1][:n])[
            np.isin(part, (UPPER, LOWER))
        ]
        ao[n : n + 2 * len(self.eye_directions)] = (
            0.45 + 0.55 * values[0][n : n + 2 * len(self.eye_directions)]
        )
        ao[n + 2 * len(self.eye_directions) :] = joined["ao"][n + 2 * len(self.eye_directions) :]
        return ao.clip(0.04, 1)

    def pose(self, attributes) -> tuple:
        """Posed places (n, 3) and the moving vertex attributes (n, 9): place, normal, hair
        direction."""
        a = check(attributes)
        places = self.places.copy()
        places[self.moved] += (a[:UNITS].clip(0, 5).astype(np.float32) @ self.basis).reshape(-1, 3)
        turn = (MIRROR @ rotation(a[17:20]) @ MIRROR).astype(np.float32)
        shift = (MIRROR @ a[20:23]).astype(np.float32) / 100  # mm -> dm
        origin = self.origin.astype(np.float32)
        places += self.head * ((places - origin) @ turn.T + (origin + shift) - places)
        moving = np.empty((len(places), 9), np.float32)
        m, start = len(self.eye_directions), self.eye_start
        moving[start:, 3:6] = self.normals[start:] @ turn.T
        moving[:, 6:9] = self.tangents @ turn.T
        # the eyes keep looking at the camera
        for i, (centre, radius) in enumerate(self.eyes):
            centre = turn @ (centre - self.origin) + origin + shift
            forward = hairdo.unit(0.25 * turn[:, 2] + 0.75 * hairdo.unit(self.camera - centre))
            right = hairdo.unit(np.cross(turn[:, 1], forward))
            axes = np.stack([right, np.cross(forward, right), forward])
            s = slice(start + i * m, start + (i + 1) * m)
            moving[s, 3:6] = self.eye_directions @ axes
            places[s] = centre + 0.985 * radius * moving[s, 3:6]
        r.surface_normals(
            places, self.triangles, int((self.triangles[:, 0] < start).sum()), moving[:, 3:6]
        )
        moving[:, :3] = places
        return places, moving

    def project(self, places, size) -> np.ndarray:
        """World places (n, 3) dm -> (n, 3): x px, y px, distance from the camera dm."""
        depth = self.camera[2] - places[:, 2]
        scale = size / 2 * DISTANCE / self.half / depth
        x, y = (places[:, 0] - self.camera[0]) * scale, (self.camera[1] - places[:, 1]) * scale
        return np.stack([x + size / 2, y + size / 2, depth], 1).astype(np.float32)

    def landmarks(self, attributes, size: int = 128) -> np.ndarray:
        """The 68 points in pixels (68, 2) float32, in the usual order: 36-47 the eyes, 48-67 the
        mouth."""
        places, _ = self.pose(attributes)
        return self.project(places[self.landmark_vertices], size)[:, :2]

    def render(self, attributes, size: int = 128) -> np.ndarray:
        """Draw the actor: attributes (23,) with pose relative to neutral -> (size, size, 3) uint8.

        Raises InputError where the attributes are not 23 finite numbers.
        """
        attributes = check(attributes)
        places, moving = self.pose(attributes)
        if size not in self.pictures:
            # sub-pixels: fine hair needs nine to a pixel
            s = 3 * size
            self.pictures[size] = (
                np.empty((s, s), np.float32),
                np.empty((s, s), np.int32),
                backdrop(self.look, size),
            )
        depth, seen, background = self.pictures[size]
        lips = places[self.landmark_vertices[[62, 66]]]  # closed lips let no light in
        light = 0.05 + 0.95 * hairdo.smooth(np.linalg.norm(lips[0] - lips[1]), 0.015, 0.09)
        self.static[self.wet, r.COLOUR : r.HAIR_MASK] = light * self.wet_static
        shadow, ignored = (
            np.empty((SHADOW, SHADOW), np.float32),
            np.empty((SHADOW, SHADOW), np.int32),
        )
        r.raster(
            r.see_from(self.light_space, places),
            self.casters,
            self.casters_two_sided,
            shadow,
            ignored,
        )
        points = self.project(places, len(depth))
        r.raster(points, self.triangles, self.two_sided, depth, seen)
        image = np.empty((size, size, 3), np.uint8)
        shade(
            points,
            self.triangles,
            self.material,
            seen,
            moving,
            self.static,
            self.camera.astype(np.float32),
            self.lights,
            self.light_rgb,
            self.light_space,
            shadow,
            self.look_vector,
            furrows(self.look, attributes),
            background,
            image,
            self.tone,
        )
        return image


def check(attributes) -> np.ndarray:
    """The attributes as 23 finite float64 numbers. Raises InputError."""
    a = np.asarray(attributes, float)
    if a.shape != (23,) or not np.isfinite(a).all():
        raise InputError(
            f"an actor needs 23 finite attributes, got shape {a.shape}; pass one row of an animation"
        )
    return a


def open_face() -> np.ndarray:
    """Attributes of an open mouth and closed eyes, where hidden surfaces see the light."""
    a = np.zeros(23)
    a[[14, 15, 16]] = 3, 3, 5
    return a
