"""The rasteriser on scenes small enough to know the answer."""

import numpy as np

from dirfa_edu.actors import mesh, paint, shading
from dirfa_edu.actors import render as r
from dirfa_edu.actors.looks import draw_look
from dirfa_edu.fast import compiled


def draw(points, triangles, size=16, two_sided=True):
    depth, seen = np.empty((size, size), np.float32), np.empty((size, size), np.int32)
    r.raster(
        np.asarray(points, np.float32),
        np.asarray(triangles, np.int32),
        np.full(len(triangles), two_sided),
        depth,
        seen,
    )
    return depth, seen


def test_a_triangle_covers_the_pixels_whose_centres_it_holds():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:16, 0:16] + 0.5
    for _ in range(50):
        p = np.c_[rng.uniform(-4, 20, (3, 2)), [1, 1, 1]]
        _, seen = draw(p, [[0, 1, 2]])
        sides = [
            (p[(i + 1) % 3, 0] - p[i, 0]) * (y - p[i, 1])
            - (p[(i + 1) % 3, 1] - p[i, 1]) * (x - p[i, 0])
            for i in range(3)
        ]
        inside = np.all(np.array(sides) > 1e-3, 0) | np.all(np.array(sides) < -1e-3, 0)
        near_edge = np.any(np.abs(sides) <= 1e-3, 0)
        assert np.array_equal((seen == 0)[~near_edge], inside[~near_edge])


def test_two_triangles_tile_a_square_without_gap_or_overlap():
    # no pixel centre on the diagonal
    square = [(2.2, 2.2, 1), (12.2, 2.3, 1), (12.2, 11.9, 1), (2.2, 12.2, 1)]
    _, a = draw(square, [[0, 1, 2]])
    _, b = draw(square, [[0, 2, 3]])
    assert (a == 0).sum() + (b == 0).sum() == 100 and not ((a == 0) & (b == 0)).any()


def test_the_nearest_surface_wins_whatever_the_order():
    points = [(0, 0, 5), (16, 0, 5), (0, 16, 5), (0, 0, 2), (16, 0, 8), (0, 16, 2)]
    for order in ([[0, 1, 2], [3, 4, 5]], [[3, 4, 5], [0, 1, 2]]):
        depth, _ = draw(points, order)
        assert depth[1, 1] < 3 and abs(depth[1, 13] - 5) < 1e-4  # they cross in the middle


def test_faces_turned_away_are_dropped_unless_two_sided():
    facing, away = [[0, 2, 1]], [[0, 1, 2]]
    points = [(1, 1, 1), (14, 1, 1), (1, 14, 1)]
    assert (draw(points, facing, two_sided=False)[1] == 0).any()
    assert not (draw(points, away, two_sided=False)[1] == 0).any()
    assert (draw(points, away, two_sided=True)[1] == 0).any()


def test_normals_of_a_tetrahedron_point_outwards():
    p = np.array([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)], np.float32)
    t = np.array([(0, 1, 2), (0, 3, 1), (0, 2, 3), (1, 3, 2)], np.int32)
    normals = np.full((4, 3), 7, np.float32)
    r.surface_normals(p, t, 4, normals)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    assert np.allclose(normals, p / np.sqrt(3), atol=1e-6)


def test_the_tone_curve_rises_from_black_to_white():
    tone = r.tone_curve()
    assert tone[0] == 0 and np.all(np.diff(tone) > 0) and 240 < tone[-1] <= 255


def test_noise_is_smooth_bounded_and_repeatable():
    x = np.linspace(-5, 5, 2001)
    n = np.array([paint.noise(v, 0.3, -1.7) for v in x])
    assert np.abs(n).max() <= 1 and n.std() > 0.2 and np.abs(np.diff(n)).max() < 0.03
    assert paint.noise(1.25, 2.5, 3.75) == paint.noise(1.25, 2.5, 3.75)


def test_a_light_view_keeps_lengths_and_orders_depth():
    view = r.light_view(np.array([1.0, 2, 3]), np.array([0, 7.0, 0]), 2.0, 100)
    # the second lies towards the light
    p = r.see_from(view, np.array([(0, 7.0, 0), (0.1, 7.2, 0.3)]))
    assert np.allclose(p[0, :2], 50) and p[1, 2] < p[0, 2]
    assert abs(np.linalg.norm(view[0, :3]) - 25) < 1e-4  # 100 pixels over 4 dm


def test_occlusion_darkens_what_a_lid_covers():
    """A floor lies half under a low roof: its covered half receives less ambient light."""
    floor = [(x, 0, z) for x in np.linspace(-1, 1, 21) for z in (-0.5, 0.5)]
    roof = [(0, 0.3, -1), (1.2, 0.3, -1), (1.2, 0.3, 1), (0, 0.3, 1)]
    n = len(floor)
    tri = [(n, n + 1, n + 2), (n, n + 2, n + 3)]
    points = np.array(floor + roof, float)
    light = r.baked_occlusion(points, np.tile((0.0, 1, 0), (n + 4, 1)), np.array(tri), np.zeros(3))[
        :n
    ]
    x = points[:n, 0]
    assert light[x < -0.6].mean() > 0.8 and light[x > 0.5].mean() < 0.3


def test_a_lit_sphere_is_bright_towards_the_light_and_the_background_stays():
    d, triangles = r.eye_grid(24, 32)
    size, n = 32, len(d)
    points = np.c_[16 + 10 * d[:, 0], 16 - 10 * d[:, 1], 10 - d[:, 2]] * [2, 2, 1]
    _, seen = draw(points, triangles, 64, two_sided=False)
    ball = mesh.Patch(
        place=d,
        normal=d,
        strand=d,
        rest=d,
        colour=np.full((n, 3), 0.4),
        ambient=np.ones(n),
        gloss=np.zeros(n),
        hairiness=np.zeros(n),
        neckline=-np.ones(n),
        head=np.ones(n),
        triangles=triangles,
        material=np.full(len(triangles), mesh.SKIN, np.uint8),
    )
    lights = shading.Lights(
        direction=np.array([(1, 0, 1), (0, 0, 1), (0, 0, 1)], np.float32) / np.float32(np.sqrt(2)),
        colour=np.array([(1, 1, 1), (0, 0, 0), (0, 0, 0)], np.float32),
        to_map=np.zeros((3, 4), np.float32),
        shadow=np.full((8, 8), 1e9, np.float32),
    )
    dark = dict.fromkeys(("hair", "cloth", "trim", "brows"), (np.float32(0),) * 3)
    dress = paint.Dress(**{name: np.float32(0) for name in paint.Dress._fields} | dark)
    background = np.full((size, size, 3), 90, np.float32)
    image = np.empty((size, size, 3), np.uint8)
    shading.shade(
        shading.Mesh(
            points.astype(np.float32),
            triangles.astype(np.int32),
            ball.material,
            np.concatenate([d, d, d], 1).astype(np.float32),
            mesh.static_columns(ball),
        ),
        seen,
        np.array([0, 0, 9], np.float32),
        lights,
        dress,
        np.zeros(mesh.FURROWS, np.float32),
        background,
        r.tone_curve(),
        image,
    )
    assert np.all(image[0] == 90) and np.all(image[:, 0] == 90)
    assert image[16, 22:25].mean() > image[16, 8:11].mean() + 40  # lit from the right
    assert abs(int(image[12, 22, 0]) - int(image[19, 22, 0])) < 12  # alike above and below


def test_patches_are_joined_with_their_triangles_moved():
    """A triangle of the second patch still names its own vertices; columns find their places."""
    rng = np.random.default_rng(0)

    def patch(n, material):
        wide = {
            name: rng.random((n, 3)) for name in ("place", "normal", "strand", "rest", "colour")
        }
        narrow = ("ambient", "gloss", "hairiness", "neckline", "head")
        return mesh.Patch(
            **wide,
            **{name: rng.random(n) for name in narrow},
            triangles=np.array([[0, 1, n - 1]]),
            material=np.array([material]),
        )

    a, b = patch(4, mesh.SKIN), patch(5, mesh.HAIR)
    both = mesh.join([a, b])
    assert both.triangles.tolist() == [[0, 1, 3], [4, 5, 8]]
    assert both.material.tolist() == [mesh.SKIN, mesh.HAIR]
    assert np.array_equal(both.place[both.triangles[1]], b.place[b.triangles[0]])

    static = mesh.static_columns(both)
    assert static.shape == (9, mesh.STATIC) and static.dtype == np.float32
    for column, name in (
        (mesh.AMBIENT, "ambient"),
        (mesh.GLOSS, "gloss"),
        (mesh.HAIRINESS, "hairiness"),
        (mesh.NECKLINE, "neckline"),
    ):
        assert np.allclose(static[:, column], getattr(both, name)), name
    assert np.allclose(static[:, mesh.REST : mesh.REST + 3], both.rest)
    assert np.allclose(static[:, mesh.COLOUR : mesh.COLOUR + 3], both.colour)


def test_columns_do_not_overlap():
    wide = {mesh.REST: 3, mesh.COLOUR: 3}
    narrow = {mesh.AMBIENT: 1, mesh.GLOSS: 1, mesh.HAIRINESS: 1, mesh.NECKLINE: 1}
    taken = [first + i for first, n in (wide | narrow).items() for i in range(n)]
    assert sorted(taken) == list(range(mesh.STATIC))
    taken = [first + i for first in (mesh.PLACE, mesh.NORMAL, mesh.STRAND) for i in range(3)]
    assert sorted(taken) == list(range(mesh.MOVING))


def test_a_dress_holds_the_looks_own_numbers():
    look = draw_look("ben")
    dress = paint.dress(look)
    assert np.allclose(dress.hair, look.hair_colour) and np.allclose(
        dress.cloth, look.cloth_colours[0]
    )
    assert dress.brow_arch == np.float32(look.brow["arch"])
    assert dress.room == np.float32(look.light["room"])


def test_where_nothing_can_be_cached_the_functions_still_compile(monkeypatch):
    from numba.core import caching

    # as in a read-only installation
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])

    def double(x):
        return 2 * x

    assert compiled(double)(4.0) == 8.0
