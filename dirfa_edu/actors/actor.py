"""Digital actors: 23 attributes in, a picture and its exact landmarks out.

An actor is a sum: resting bust + identity targets + 17 action units, turned by the head pose and
drawn by `render` and `shading`. World axes are those of the mesh (dm; x to the right of the
picture, y up, z towards the camera); attributes use OpenFace's camera axes (x right, y down, z
away), which differ by the sign of y and z.
"""

from dataclasses import replace

import numpy as np

from ..animation import AU_RANGE, AUS, N_ATTRIBUTES, N_AUS, ROTATION, TRANSLATION, column
from ..files import InputError
from . import hair, mesh, paint, render, shading
from .bust import Head, bust, resting_head
from .looks import ACTORS, Look, draw_look
from .mesh import LOWER_TEETH, TONGUE, UPPER_TEETH, Patch, smooth, unit

__all__ = ["ACTORS", "Actor", "head_rotation", "neck_translation"]

SHADOW = 320  # side of the shadow map, px
SUB_PIXELS = 3  # along the side of a pixel: fine hair needs nine to a pixel
DISTANCE = 9.0  # camera to eyes, dm
MIRROR = np.diag([1.0, -1.0, -1.0])  # OpenFace camera axes <-> mesh axes
EYE_SIZE = 0.985  # radius of a drawn eyeball over the fitted one: it lies behind the lids

# among the 68 landmarks
CHIN_POINT = 8
LIP_MIDDLES = [62, 66]  # middle of the upper and of the lower one

# by part of the bust: BODY, UPPER_TEETH, LOWER_TEETH, TONGUE, LASHES
MATERIALS = np.array([mesh.SKIN, mesh.WET, mesh.WET, mesh.WET, mesh.LASH])


def head_rotation(angles) -> np.ndarray:
    """Rotation matrix R = Rx Ry Rz (3, 3) of OpenFace's pose_Rx, Ry, Rz in radians.

    Camera axes: x right, y down, z away. Positive Rx looks down, positive Ry turns the nose to the
    left of the picture, positive Rz tilts clockwise in it.

    >>> head_rotation((0, 0, 0)).round(1).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    cos_x, cos_y, cos_z = np.cos(angles)
    sin_x, sin_y, sin_z = np.sin(angles)
    x = np.array([[1, 0, 0], [0, cos_x, -sin_x], [0, sin_x, cos_x]])
    y = np.array([[cos_y, 0, sin_y], [0, 1, 0], [-sin_y, 0, cos_y]])
    z = np.array([[cos_z, -sin_z, 0], [sin_z, cos_z, 0], [0, 0, 1]])
    return x @ y @ z


def neck_translation(angles, arm=(0.0, 95.0, 60.0)) -> np.ndarray:
    """How far the head's origin moves (3,) when the head turns about the neck by `angles`.

    OpenFace's translation is that of the head's origin (the middle of the 68 points); a neck joint
    lies `arm` from it. Both in mm: x right, y down, z away. Add the result to pose_T for a head
    that turns on a neck.

    >>> neck_translation((0.2, 0, 0)).round(0).tolist()     # looking down: forward and down
    [0.0, 14.0, -18.0]
    """
    arm = np.asarray(arm, float)
    return arm - head_rotation(angles) @ arm


class Actor:
    """A digital actor: `Actor("anna")` is one of ACTORS, `Actor(7)` is drawn as they were.

    Raises InputError for an unknown name. Building takes about a second; nothing is kept on disk.

    Notebook: 00_tour

    >>> from dirfa_edu import Actor
    >>> Actor("anna").render(np.zeros(23), size=64).shape
    (64, 64, 3)
    """

    def __init__(self, who: str | int) -> None:
        self.name = str(who)
        self.look = draw_look(who)
        head = resting_head(self.look)
        self.eyes = head.eyes
        self.moved, self.basis = action_units(len(head))
        self.landmark_vertices = bust()["landmarks"]
        self.origin = head.places[self.landmark_vertices].mean(0)  # OpenFace's head origin

        # skin with teeth and lashes, two eyes, locks: joined in this order
        skin, scalp = skin_patch(head, self.look)
        eyes = [eye_patch(centre, radius, self.look) for centre, radius in self.eyes]
        locks, cast_shadows = hair_patch(scalp, self.look)
        patch = mesh.join([skin, *eyes, locks])
        self.eye_directions = eyes[0].normal  # of an eye that looks along z
        self.first_eye = len(skin.place)
        self.first_lock = self.first_eye + 2 * len(self.eye_directions)
        self.skin_triangles = len(skin.triangles)
        self.set_mesh(patch, cast_shadows)

        self.set_camera(head.places)
        self.set_lights()
        self.static[:, mesh.AMBIENT] = self.ambient_light(head, patch)
        self.wet = np.flatnonzero(np.isin(head.part, (UPPER_TEETH, LOWER_TEETH, TONGUE)))
        self.wet_static = self.static[self.wet].copy()
        self.dress = paint.dress(self.look)
        self.tone = render.tone_curve()
        self.pictures: dict[int, tuple] = {}  # size -> depth, triangles seen, background

    def set_mesh(self, patch: Patch, cast_shadows: np.ndarray) -> None:
        """Keep a patch as the arrays that posing and drawing read.

        cast_shadows (locks' triangles,) says which of the last triangles throw a shadow.
        """
        self.triangles = np.ascontiguousarray(patch.triangles, np.int32)
        self.material = patch.material.astype(np.uint8)
        self.two_sided = np.isin(self.material, (mesh.HAIR, mesh.LASH))
        casting = np.ones(len(self.triangles), bool)
        casting[-len(cast_shadows) :] = cast_shadows
        self.casters = self.triangles[casting]
        self.casters_two_sided = self.two_sided[casting]

        self.places = patch.place.astype(np.float32)
        self.normals = patch.normal.astype(np.float32)
        self.strands = patch.strand.astype(np.float32)
        self.head = patch.head.astype(np.float32)[:, None]
        self.static = mesh.static_columns(patch)

    def set_camera(self, places: np.ndarray) -> None:
        """Frame the face like a talking-head crop."""
        eyes = self.eyes[0][0] / 2 + self.eyes[1][0] / 2
        chin = places[self.landmark_vertices[CHIN_POINT]]
        height = eyes[1] - chin[1]
        self.eyes_middle = eyes
        self.half = 1.40 * height  # half the side of the picture at the eyes, dm
        self.camera = np.array([0, eyes[1] - 0.17 * height, eyes[2] + DISTANCE])

    def set_lights(self) -> None:
        """Place a key light that casts shadows, a light to fill them, and a rim from behind."""
        light = self.look.light
        side, warmth = light["side"], light["warmth"]
        towards = np.array(
            [
                (2.0 * side, 3.2 * light["height"], 3.0),
                (-3.0 * side, 0.5, 2.4),
                (-1.6 * side, 2.2, -3.0),
            ]
        )
        warm = np.array([1 + warmth, 1, 1 - warmth])
        colours = [
            1.55 * light["power"] * warm,
            light["fill"] * np.array([0.92, 1, 1.08]),
            np.array([0.55, 0.55, 0.58]),
        ]
        self.light_directions = unit(towards).astype(np.float32)
        self.light_colours = np.array(colours, np.float32)
        _, y, z = self.eyes_middle
        self.light_view = render.light_view(
            self.light_directions[0], centre=np.array([0, y - 0.4, z - 0.6]), reach=2.3, n=SHADOW
        )

    def ambient_light(self, head: Head, patch: Patch) -> np.ndarray:
        """Ambient light per vertex (n,).

        It is the brighter of the resting face's and that of a face with open mouth and closed eyes,
        which shows what rest hides.
        """
        centre = np.array([0, self.camera[1], self.eyes[0][0][2] - 0.5])

        def occlusion(attributes: np.ndarray) -> np.ndarray:
            places, moving = self.pose(attributes)
            normals = unit(moving[:, mesh.NORMAL : mesh.NORMAL + 3].astype(float))
            return render.baked_occlusion(places, normals, self.triangles, centre)

        closed, opened = occlusion(np.zeros(N_ATTRIBUTES)), occlusion(open_face())
        ambient = np.maximum(closed, opened)

        n = len(head)
        inside = head.masks["inside-mouth"] > 0.5
        ambient[:n][inside] = 0.35 * opened[:n][inside]
        teeth = np.isin(head.part, (UPPER_TEETH, LOWER_TEETH))
        ambient[:n][teeth] = 0.15 + 0.75 * opened[:n][teeth]
        eyes = slice(self.first_eye, self.first_lock)
        ambient[eyes] = 0.45 + 0.55 * closed[eyes]
        ambient[self.first_lock :] = patch.ambient[self.first_lock :]
        return ambient.clip(0.04, 1)

    def pose(self, attributes) -> tuple[np.ndarray, np.ndarray]:
        """Places (n, 3) with attributes (23,), and the columns `moving` (n, 9) of mesh.py."""
        a = check(attributes)
        turn = (MIRROR @ head_rotation(a[ROTATION]) @ MIRROR).astype(np.float32)
        shift = (MIRROR @ a[TRANSLATION]).astype(np.float32) / 100  # mm -> dm
        origin = self.origin.astype(np.float32)

        places = self.places.copy()
        units = a[:N_AUS].clip(*AU_RANGE).astype(np.float32)
        places[self.moved] += (units @ self.basis).reshape(-1, 3)
        places += self.head * ((places - origin) @ turn.T + (origin + shift) - places)

        moving = np.empty((len(places), mesh.MOVING), np.float32)
        normals = moving[:, mesh.NORMAL : mesh.NORMAL + 3]
        normals[self.first_eye :] = self.normals[self.first_eye :] @ turn.T
        moving[:, mesh.STRAND : mesh.STRAND + 3] = self.strands @ turn.T
        for i, (centre, radius) in enumerate(self.eyes):
            first = self.first_eye + i * len(self.eye_directions)
            rows = slice(first, first + len(self.eye_directions))
            moved_centre = turn @ (centre - self.origin) + origin + shift
            normals[rows] = self.eye_directions @ self.gaze(moved_centre, turn)
            places[rows] = moved_centre + EYE_SIZE * radius * normals[rows]

        render.surface_normals(places, self.triangles, self.skin_triangles, normals)
        moving[:, mesh.PLACE : mesh.PLACE + 3] = places
        return places, moving

    def gaze(self, centre: np.ndarray, turn: np.ndarray) -> np.ndarray:
        """Axes (3, 3) right, up, forward of an eye at `centre`, which looks near the camera."""
        forward = unit(0.25 * turn[:, 2] + 0.75 * unit(self.camera - centre))
        right = unit(np.cross(turn[:, 1], forward))
        return np.stack([right, np.cross(forward, right), forward])

    def project(self, places: np.ndarray, size: int) -> np.ndarray:
        """World places (n, 3) dm -> (n, 3): x px, y px, distance from the camera dm."""
        depth = self.camera[2] - places[:, 2]
        scale = size / 2 * DISTANCE / self.half / depth
        x = (places[:, 0] - self.camera[0]) * scale
        y = (self.camera[1] - places[:, 1]) * scale
        return np.stack([x + size / 2, y + size / 2, depth], 1).astype(np.float32)

    def landmarks(self, attributes, size: int = 128) -> np.ndarray:
        """The 68 points in pixels: float32 (68, 2), in the usual order.

        36-47 are the eyes, 48-67 the mouth. Raises InputError like `render`.
        """
        places, _ = self.pose(attributes)
        return self.project(places[self.landmark_vertices], size)[:, :2]

    def render(self, attributes, size: int = 128) -> np.ndarray:
        """Draw the actor: attributes (23,) with pose relative to neutral -> (size, size, 3) uint8.

        Raises InputError where the attributes are not 23 finite numbers.
        """
        attributes = check(attributes)
        places, moving = self.pose(attributes)
        self.light_mouth(places)
        depth, seen, background = self.buffers(size)
        points = self.project(places, len(depth))
        render.raster(points, self.triangles, self.two_sided, depth, seen)

        image = np.empty((size, size, 3), np.uint8)
        shading.shade(
            shading.Mesh(points, self.triangles, self.material, moving, self.static),
            seen,
            self.camera.astype(np.float32),
            self.lights(places),
            self.dress,
            paint.furrows(self.look, attributes),
            background,
            self.tone,
            image,
        )
        return image

    def buffers(self, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Depth and seen triangles (3 size, 3 size) to draw into, background (size, size, 3)."""
        if size not in self.pictures:
            side = SUB_PIXELS * size
            self.pictures[size] = (
                np.empty((side, side), np.float32),
                np.empty((side, side), np.int32),
                paint.backdrop(self.look, size),
            )
        return self.pictures[size]

    def light_mouth(self, places: np.ndarray) -> None:
        """Darken teeth and tongue behind closed lips, which let no light in."""
        upper, lower = places[self.landmark_vertices[LIP_MIDDLES]]
        light = 0.05 + 0.95 * smooth(np.linalg.norm(upper - lower), 0.015, 0.09)
        lit = slice(mesh.COLOUR, mesh.HAIRINESS)  # colour, ambient light and gloss
        self.static[self.wet, lit] = light * self.wet_static[:, lit]

    def lights(self, places: np.ndarray) -> shading.Lights:
        """The three lights, and the shadow map of an actor at `places`."""
        shadow = np.empty((SHADOW, SHADOW), np.float32)
        ignored = np.empty((SHADOW, SHADOW), np.int32)
        points = render.see_from(self.light_view, places)
        render.raster(points, self.casters, self.casters_two_sided, shadow, ignored)
        return shading.Lights(self.light_directions, self.light_colours, self.light_view, shadow)


def action_units(n: int) -> tuple[np.ndarray, np.ndarray]:
    """The 17 action units as one dense block over the vertices they move.

    Gives those rows (m,) among the first n, and displacements at intensity one (17, 3 m), dm.
    """
    fields = bust()["fields"]
    basis = np.zeros((N_AUS, n, 3), np.float32)
    for k, name in enumerate(AUS):
        rows, displacement = fields[name]
        basis[k, rows[rows < n]] = displacement[rows < n] / AU_RANGE[1]  # stored at intensity 5

    moved = np.unique(np.concatenate([fields[name][0] for name in AUS]))
    moved = moved[moved < n]
    return moved, basis[:, moved].reshape(N_AUS, -1)  # (17, 3 m)


def skin_patch(head: Head, look: Look) -> tuple[Patch, hair.Scalp]:
    """A face with teeth and lashes; hair and clothes swell the skin itself."""
    n, rest = len(head), head.rest
    skin = head.part == mesh.BODY
    mask = np.where(skin, hair.scalp_mask(rest, head.masks["ears"], look), 0)
    neckline = np.where(skin, paint.below_neckline(rest, look), -1)
    beard = np.where(skin & (look.beard > 0.9), paint.beard_mask(head), 0)

    # hair grows away from the head's middle, beard and cloth along the normal
    normals = vertex_normals(head.places, head.triangles)
    away = unit(unit(normals.astype(float)) + 1.2 * unit(rest - hair.CENTRE))
    coat = hair.coat(rest, mask, look) * skin
    mask = np.maximum(mask, smooth(coat, 0.015, 0.06))
    collar = 0.03 * (look.clothes == "turtle") * smooth(neckline, 0, 0.1)
    swelling = 0.03 * beard + 0.035 * smooth(neckline, -0.03, 0.12) + collar
    places = head.places + away * coat[:, None]
    places += unit(normals) * swelling[:, None]
    normals = unit(vertex_normals(places, head.triangles).astype(float))

    patch = Patch(
        place=places,
        normal=normals,
        strand=hair.flow(rest, normals, look),
        rest=rest,
        colour=paint.skin_colour(head, mask, look),
        ambient=np.ones(n),
        gloss=paint.gloss(head, look),
        hairiness=np.maximum(mask, 0.62 * beard) + paint.lash_density(head, look),
        neckline=neckline,
        head=head.follows,
        triangles=head.triangles,
        material=MATERIALS[head.part[head.triangles[:, 0]]],
    )
    on_skin = head.part[head.triangles[:, 0]] == mesh.BODY
    return patch, hair.Scalp(places, normals, rest, mask, head.triangles[on_skin])


def vertex_normals(places: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Area-weighted normals of a resting surface, of any length: float32 (n, 3)."""
    normals = np.zeros((len(places), 3), np.float32)
    render.surface_normals(places.astype(np.float32), triangles, len(triangles), normals)
    return normals


def eye_patch(centre: np.ndarray, radius: float, look: Look) -> Patch:
    """The front of an eyeball."""
    directions, triangles = render.eye_grid()
    n = len(directions)
    return Patch(
        place=centre + EYE_SIZE * radius * directions,
        normal=directions,
        strand=directions,
        rest=directions,
        colour=np.tile(look.iris, (n, 1)),
        ambient=np.ones(n),
        gloss=np.ones(n),
        hairiness=np.zeros(n),
        neckline=-np.ones(n),
        head=np.ones(n),
        triangles=triangles,
        material=np.full(len(triangles), mesh.EYE),
    )


def hair_patch(scalp: hair.Scalp, look: Look) -> tuple[Patch, np.ndarray]:
    """Locks as ribbons without what is never seen, and which of their triangles cast a shadow."""
    rng = np.random.default_rng(look.background["seed"])
    grown = hair.locks(look, scalp, rng)
    patch = paint.ribbons(grown, look)
    behind = (patch.normal[:, 2] < -0.45) & (patch.place[:, 1] > 7.0)
    shown = ~behind[patch.triangles].any(1)
    patch = replace(patch, triangles=patch.triangles[shown], material=patch.material[shown])

    vertices_of_lock = 2 * grown.line.shape[1]
    lock = patch.triangles[:, 0] // vertices_of_lock
    return patch, lock % 2 == 0  # every second lock is shadow enough


def check(attributes) -> np.ndarray:
    """The attributes as 23 finite float64 numbers. Raises InputError."""
    a = np.asarray(attributes, float)
    if a.shape != (N_ATTRIBUTES,) or not np.isfinite(a).all():
        raise InputError(
            f"an actor needs {N_ATTRIBUTES} finite attributes, got shape {a.shape}; "
            "pass one row of an animation"
        )
    return a


def open_face() -> np.ndarray:
    """Attributes of an open mouth and closed eyes."""
    a = np.zeros(N_ATTRIBUTES)
    a[column("AU25")] = 3
    a[column("AU26")] = 3
    a[column("AU45")] = 5
    return a
