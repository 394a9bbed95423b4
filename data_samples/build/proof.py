"""Measure whether the sample corpus is what its data sheet says, on whatever is shipped, and print
a table.

    python data_samples/build/proof.py [faces|units|pose|lips|law|all] [--json FILE] [--quick]

faces   FaceMesh finds the face in every frame of every film, and where the actor's exact landmarks
are units   each Action Unit moves, in the pictures, the distance that anatomy ties to it pose
the head pose that was drawn is read back from the pictures lips    the filmed lips follow AU25 +
AU26 without a lag; every /p b m/ closes them law     events, nods and blinks come as often as
law.py says; the draws agree with the stored probabilities

Every figure has a value, where it makes sense a 95 % interval, what is wanted, and whether it
holds. Several shares of one kind are judged together: their intervals are widened so that all of
them hold with 95 %. `--quick` measures every fifth frame and fewer actors. The whole takes five
minutes of one core. What is wanted of the motion is read from law.py, never written here.
"""

import argparse
import json
import sys
from dataclasses import fields, replace
from functools import cache
from pathlib import Path

import law
import numpy as np
from scipy.linalg import cho_factor, cho_solve, toeplitz
from scipy.stats import norm, spearmanr
from scipy.stats import t as student
from tqdm import tqdm

from dirfa_edu.actors.actor import Actor, neck_translation
from dirfa_edu.actors.looks import CAST
from dirfa_edu.animation import ATTRIBUTES, FPS, POSE, column, observed_events
from dirfa_edu.data.corpus import Corpus
from dirfa_edu.faces import geometry, vision
from dirfa_edu.files import atomic_path

# three of train, three of test; every ancestry, both sexes
SHOWN = ("clara", "jun", "imani", "lars", "zola", "omar")
LEVELS = np.linspace(0, 5, 11)
SIZE = 256  # px of the pictures made here
NOD_SHARE = 0.5  # the law's page: "with probability 1/2"
# the same parts of a face among FaceMesh's 468 points and among the 68 of the actors' exact
# landmarks
PARTS = {
    "outer corners": ([33, 263], [36, 45]),
    "inner corners": ([133, 362], [39, 42]),
    "inner brow": ([55, 65, 66, 107, 285, 295, 296, 336], [20, 21, 22, 23]),
    "outer brow": ([46, 63, 70, 105, 276, 293, 300, 334], [17, 18, 25, 26]),
    "upper lid": ([158, 159, 160, 385, 386, 387], [37, 38, 43, 44]),
    "lower lid": ([144, 145, 153, 373, 374, 380], [40, 41, 46, 47]),
    "nose wings": ([64, 98, 129, 294, 327, 358], [31, 35]),
    "mouth top": ([0, 37, 39, 267, 269], [50, 51, 52]),
    "mouth bottom": ([17, 84, 314], [56, 57, 58]),
    "inner top": ([13, 82, 312], [61, 62, 63]),
    "inner bottom": ([14, 87, 317], [65, 66, 67]),
    "mouth corners": ([61, 291], [48, 54]),
    "chin": ([148, 152, 377], [7, 8, 9]),
}
EXACT_MESH = [33, 133, 362, 263, *vision.MOUTH_POINTS]  # FaceMesh's names of the exact points below
EXACT_68 = [36, 39, 42, 45, *range(48, 68)]
# per AU: what should move, as a distance that grows with it, from heights (down is positive) and
# the mouth's width
UNITS = {
    "AU01": ("inner brow up", lambda y, w: -y["inner brow"]),
    "AU02": ("outer brow up", lambda y, w: -y["outer brow"]),
    "AU04": ("brow down", lambda y, w: y["inner brow"]),
    "AU05": ("eye wide", lambda y, w: y["lower lid"] - y["upper lid"]),
    "AU06": ("cheek lifts the lower lid", lambda y, w: -y["lower lid"]),
    "AU07": ("eye narrow", lambda y, w: y["upper lid"] - y["lower lid"]),
    "AU09": ("brow and nose wings together", lambda y, w: y["inner brow"] - y["nose wings"]),
    "AU10": ("upper lip up to the nose", lambda y, w: y["nose wings"] - y["mouth top"]),
    "AU12": ("corners out and up", lambda y, w: w - y["mouth corners"]),
    "AU14": ("corners apart", lambda y, w: w),
    "AU15": ("corners down", lambda y, w: y["mouth corners"]),
    "AU17": ("chin lifts the lower lip", lambda y, w: -y["mouth bottom"]),
    "AU20": ("mouth wide", lambda y, w: w),
    "AU23": (
        "lips thin",
        lambda y, w: y["mouth top"] - y["inner top"] + y["inner bottom"] - y["mouth bottom"],
    ),
    "AU25": ("lips apart", lambda y, w: y["inner bottom"] - y["inner top"]),
    "AU26": ("chin down", lambda y, w: y["chin"]),
    "AU45": ("eye shut", lambda y, w: y["upper lid"] - y["lower lid"]),
}


def figure(
    name: str,
    value: float,
    wanted: str = "",
    holds: bool | None = None,
    interval=None,
    note: str = "",
    listed: bool = True,
) -> dict:
    """One row of the table; what is not listed there is in the JSON only."""
    low, high = (None, None) if interval is None else map(float, interval)
    return dict(
        name=name,
        value=float(value),
        low=low,
        high=high,
        wanted=wanted,
        holds=None if holds is None else bool(holds),
        note=note,
        listed=listed,
    )


@cache
def actor(name: str) -> Actor:
    """An actor, built once."""
    return Actor(name)


@cache
def film(clip, step: int = 1) -> tuple:
    """FaceMesh on every `step`-th frame of a clip's film -> landmarks (T, 468, 3) px, NaN where
    missed, the scores of every third of them, and the side of the film in px."""
    frames = clip.frames()[::step]
    L = vision.landmarks(frames)
    return L, scores(frames[::3], L[::3]), frames.shape[1]


def motion(clip) -> np.ndarray:
    """The motion that a clip's film shows, (T, 23)."""
    return clip.animation() if clip.kind == "probe" else clip.truth()["clean"]


def scores(frames: np.ndarray, L: np.ndarray) -> np.ndarray:
    """FaceMesh's own score 0..1 of each frame, cut out by its own landmarks; 0 for a missed face:
    (T,)."""
    out = np.zeros(len(frames))
    for t in np.flatnonzero(np.isfinite(L[:, 0, 0])):
        crop = (
            vision.cut_out(frames[t], vision.crop_box(L[t]), vision.MESH_SIZE).astype(np.float32)
            / 255
        )
        _, logit = vision._network("face_landmark")(crop[None])
        out[t] = 1 / (1 + np.exp(-logit.item()))
    return out


def apart(L: np.ndarray, exact: np.ndarray) -> float:
    """Median distance in px of FaceMesh's points (468, 3) from the exact ones (68, 2), over eye
    corners and mouth."""
    return float(np.median(np.linalg.norm(L[EXACT_MESH, :2] - exact[EXACT_68], axis=1)))


def faces(quick: bool) -> list[dict]:
    """Every frame of every film shows a face, where the actor's is."""
    step, missed, low, away, total = 5 if quick else 1, [], (1.0, ""), {}, 0
    for clip in tqdm(Corpus().select(rendered=True), "faces", disable=None):
        L, score, size = film(clip, step)
        Y = motion(clip)[::step]
        missed += [f"{clip.name}:{step * t}" for t in np.flatnonzero(np.isnan(L[:, 0, 0]))]
        low = min(low, (score.min(), f"{clip.name}:{3 * step * score.argmin()}"))
        for t in range(0, len(L), 1 if quick else 5):
            if np.isfinite(L[t, 0, 0]):
                away[f"{clip.name}:{step * t}"] = (
                    apart(L[t], actor(clip.actor).landmarks(Y[t], size)) * 128 / size
                )
        total += len(L)
    print("missed frames:", ", ".join(missed) or "none")
    worst, median = max(away, key=away.get), np.median(list(away.values()))
    return [
        figure("frames of films looked at", total),
        figure("frames with a face", total - len(missed), f"{total}", not missed),
        figure(
            "lowest score of FaceMesh, every third frame",
            low[0],
            ">= .5",
            low[0] >= 0.5,
            note=low[1],
        ),
        figure(
            "distance from the exact landmarks, px of 128, median frame",
            median,
            "<= 2.5",
            median <= 2.5,
        ),
        figure(
            "distance from the exact landmarks, px of 128, worst frame",
            away[worst],
            "<= 8",
            away[worst] <= 8,
            note=worst,
        ),
    ]


def heights(points: np.ndarray, scheme: int) -> tuple[dict, np.ndarray]:
    """Parts of a face in its own coordinates: heights under the eyes' line {part: (T,)} and the
    mouth's width (T,), in hundredths of the distance of the eyes. Points (T, 468 or 68, 2 or 3);
    scheme 0 is FaceMesh, 1 the 68 points."""
    eyes = [
        points[
            :, [PARTS["outer corners"][scheme][side], PARTS["inner corners"][scheme][side]], :2
        ].mean(1)
        for side in (0, 1)
    ]
    across = eyes[1] - eyes[0]
    unit = np.linalg.norm(across, axis=1)
    down = np.stack([-across[:, 1], across[:, 0]], 1) / unit[:, None] ** 2
    y = 100 * np.einsum("tnk,tk->tn", points[:, :, :2] - (eyes[0] + eyes[1])[:, None] / 2, down)
    corners = points[:, PARTS["mouth corners"][scheme], :2]
    return (
        {name: y[:, part[scheme]].mean(1) for name, part in PARTS.items()},
        100 * np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1) / unit,
    )


@cache
def neutral(name: str) -> np.ndarray:
    """An actor's neutral face, where every sweep begins: (256, 256, 3)."""
    return actor(name).render(np.zeros(23), SIZE)


def sweep(name: str, unit: str) -> tuple[np.ndarray, np.ndarray]:
    """One AU from 0 to 5 on a neutral face: pictures (11, 256, 256, 3), exact landmarks (11, 68,
    2)."""
    Y = np.zeros((len(LEVELS), 23))
    Y[:, column(unit)] = LEVELS
    return (
        np.stack([neutral(name), *(actor(name).render(y, SIZE) for y in Y[1:])]),
        np.stack([actor(name).landmarks(y, SIZE) for y in Y]),
    )


def response(frames: np.ndarray, unit: str) -> np.ndarray:
    """What FaceMesh sees of an AU in each picture (T,): the mean over copies moved by some px, as
    its error changes with the place of the crop."""
    moves = [(0, 0), (4, 0), (0, 4), (-4, -4)]
    copies = [np.roll(frame, move, (0, 1)) for frame in frames for move in moves]
    # two to settle the crop
    L = vision.landmarks(np.stack([copies[0], copies[0], *copies]))[2:]
    return UNITS[unit][1](*heights(L, 0)).reshape(len(frames), len(moves)).mean(1)


def units(quick: bool) -> list[dict]:
    """Rank correlation of intensity and the matching distance, per AU and actor."""
    cast, seen, exact, travel = SHOWN[::3] if quick else SHOWN, {}, {}, {}
    for unit in tqdm(UNITS, "units", disable=None):
        sweeps = [sweep(name, unit) for name in cast]
        seen[unit] = [response(frames, unit) for frames, _ in sweeps]
        travel[unit] = np.mean([m[-1] - m[0] for m in seen[unit]])
        seen[unit] = [rank(m) for m in seen[unit]]
        exact[unit] = [rank(UNITS[unit][1](*heights(points, 1))) for _, points in sweeps]
    print(
        "| AU | what moves | "
        + " | ".join(cast)
        + " | median | exact, median | travel, % of eyes |"
    )
    print("|---" * (len(cast) + 5) + "|")
    for unit, (what, _) in UNITS.items():
        numbers = [*seen[unit], np.median(seen[unit]), np.median(exact[unit])]
        print(
            f"| {unit} | {what} |"
            + "".join(f" {r:.2f} |" for r in numbers)
            + f" {travel[unit]:.1f} |"
        )
    good = sum(np.median(r) >= 0.95 for r in seen.values())
    rows = [
        figure(
            f"{unit} rank correlation with intensity, median actor",
            np.median(r),
            ">= .95",
            np.median(r) >= 0.95,
        )
        for unit, r in seen.items()
    ]
    return rows + [
        figure("AUs whose distance follows the intensity", good, ">= 15", good >= 15),
        figure(
            "share of all actors and AUs with r >= .95",
            np.mean([np.array(r) >= 0.95 for r in seen.values()]),
        ),
        figure(
            "AUs whose exact landmarks follow", sum(np.median(r) >= 0.95 for r in exact.values())
        ),
    ]


def rank(measured: np.ndarray) -> float:
    """Spearman's correlation with the order of the levels, NaN where a face was missed."""
    return float(spearmanr(np.arange(len(measured)), measured)[0])


def turned(name: str, count: int, rng) -> tuple[np.ndarray, np.ndarray]:
    """An actor in random poses within .35 rad, with small random AUs: angles drawn and angles found
    (count, 3)."""
    Y = np.zeros((count, 23))
    Y[:, :17] = rng.uniform(0, 1, (count, 17)) * (rng.random((count, 17)) < 0.4)
    Y[:, POSE[:3]] = rng.uniform(-0.35, 0.35, (count, 3))
    Y[:, POSE[3:]] = [neck_translation(angles) for angles in Y[:, POSE[:3]]]
    frames = np.stack([actor(name).render(y, SIZE) for y in Y])
    # the crop comes from the picture before, another pose here: the fourth look has settled
    L = vision.landmarks(np.repeat(frames, 4, axis=0))[3::4]
    return Y[:, POSE[:3]], geometry.pose_from_landmarks(L, (SIZE, SIZE))[:, :3]


def pose(quick: bool) -> list[dict]:
    """Pitch, yaw and roll drawn against those found, each actor's own offset taken off, as relative
    pose has none."""
    rng, drawn, found, offsets = np.random.default_rng(5), [], [], []
    for name in tqdm(SHOWN[::3] if quick else SHOWN, "pose", disable=None):
        a, b = turned(name, 20 if quick else 40, rng)
        offsets.append(np.nanmedian(b - a, 0))
        drawn.append(a)
        found.append(b - offsets[-1])
    a, b = np.concatenate(drawn), np.concatenate(found)
    slopes, r, mean = axis_fit(a, b), np.corrcoef(a.T, b.T)[:3, 3:], np.mean(offsets, 0)
    left = np.std(b - b.mean(0) - (a - a.mean(0)) @ slopes, 0) / np.std(a, 0) / np.sqrt(len(a))
    rows = []
    for i, axis in enumerate(("pitch", "yaw", "roll")):
        slope, half = slopes[i, i], 1.96 * left[i]
        rows += [
            figure(
                f"{axis}: r of drawn and found",
                r[i, i],
                ">= .97",
                r[i, i] >= 0.97,
                fisher(r[i, i], len(a)),
            ),
            figure(
                f"{axis}: slope",
                slope,
                ".8 to 1.2",
                0.8 <= slope <= 1.2,
                (slope - half, slope + half),
            ),
            figure(
                f"{axis}: found on a frontal face, rad, mean actor",
                mean[i],
                "within .15",
                abs(mean[i]) < 0.15,
            ),
        ]
    mixed = np.abs(slopes - np.diag(np.diag(slopes))).max()
    return rows + [figure("largest slope of one axis on another", mixed, "< .1", mixed < 0.1)]


def axis_fit(drawn: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Slopes (3, 3) of found angles (n, 3) on drawn ones, all three at once: entry i, j is found j
    on drawn i."""
    return np.linalg.lstsq(drawn - drawn.mean(0), found - found.mean(0))[0]


def fisher(r: float, n: int, z: float = 1.96) -> tuple:
    """Interval of a correlation of n independent pairs."""
    return tuple(np.tanh(np.arctanh(r) + np.array([-z, z]) / np.sqrt(n - 3)))


def mouth(L: np.ndarray, outer: bool = False) -> np.ndarray:
    """Height of the gap between the inner lips, or of the whole mouth, over the face's height:
    (T,)."""
    top, bottom = ("mouth top", "mouth bottom") if outer else ("inner top", "inner bottom")
    apart = L[:, PARTS[bottom][0], :2].mean(1) - L[:, PARTS[top][0], :2].mean(1)
    return np.linalg.norm(apart, axis=1) / np.linalg.norm(L[:, 152, :2] - L[:, 10, :2], axis=1)


def agreement(gap: np.ndarray, open_: np.ndarray, reach: int = 6) -> tuple[float, int]:
    """Correlation of filmed and true opening (T,), and the lag in frames where it is largest; > 0:
    the film is late."""
    n = min(len(gap), len(open_))
    gap, open_ = gap[:n], open_[:n]
    r = {
        lag: np.corrcoef(gap[max(0, lag) : n + min(0, lag)], open_[max(0, -lag) : n - max(0, lag)])[
            0, 1
        ]
        for lag in range(-reach, reach + 1)
    }
    return float(r[0]), max(r, key=r.get)


def lips(quick: bool) -> list[dict]:
    """Filmed lips of the test clips against the clean track, and closed lips at every /p b m/ of
    all clips."""
    table, pool = [], []
    clips = [c for c in Corpus().select(split="test", rendered=True) if c.kind != "probe"]
    print(
        "| clip | actor | r of inner gap | lag | r of mouth height | lag "
        "|\n|---|---|---|---|---|---|"
    )
    for clip in tqdm(clips[::4] if quick else clips, "lips", disable=None):
        L, Y = film(clip)[0], motion(clip)
        open_ = Y[:, column("AU25")] + Y[:, column("AU26")]
        inner, whole = mouth(L), mouth(L, outer=True)
        table.append([*agreement(inner, open_), *agreement(whole, open_)])
        pool.append(np.stack([x[: len(L)] - x[: len(L)].mean() for x in (inner, whole, open_)]))
        print("| {} | {} | {:.2f} | {} | {:.2f} | {} |".format(clip.name, clip.actor, *table[-1]))
    r, lags, r_whole, lags_whole = np.array(table).T
    (pooled, pooled_whole), interval = resampled(pool)
    late = ((lags != 0) | (lags_whole != 0)).sum()
    rows = []
    for what, per_clip, all_, ends in (
        ("gap of the inner lips", r, pooled, interval[0]),
        ("height of the whole mouth", r_whole, pooled_whole, interval[1]),
    ):
        middle, least = np.median(per_clip), clips[:: 4 if quick else 1][int(per_clip.argmin())]
        rows += [
            figure(
                f"filmed {what} and AU25 + AU26: r, all test clips",
                all_,
                ">= .9",
                all_ >= 0.9,
                ends,
            ),
            figure(
                f"filmed {what} and AU25 + AU26: r, median clip", middle, ">= .9", middle >= 0.9
            ),
            figure(
                f"filmed {what} and AU25 + AU26: r, lowest clip", per_clip.min(), note=least.name
            ),
        ]
    rows.append(
        figure("test clips whose lips fit best at another lag than 0 frames", late, "0", late == 0)
    )
    return rows + closures(quick)


def resampled(pool: list, rounds: int = 1000) -> tuple:
    """Correlation of rows 0 and 1 with row 2 over clips [(3, T), ...], and its 95 % interval from
    resampled clips."""
    # (clips, 5)
    sums = np.array([[x @ x, y @ y, z @ z, x @ z, y @ z] for x, y, z in pool])

    def r(total):
        return np.stack(
            [
                total[..., 3] / np.sqrt(total[..., 0] * total[..., 2]),
                total[..., 4] / np.sqrt(total[..., 1] * total[..., 2]),
            ]
        )

    draws = np.random.default_rng(0).integers(len(pool), size=(rounds, len(pool)))
    return r(sums.sum(0)), np.quantile(r(sums[draws].sum(1)), [0.025, 0.975], axis=1).T


def lip_gap(who: Actor, y: np.ndarray) -> float:
    """Exact gap of the inner lips of one row of attributes (23,), from the front, in px of 256."""
    points = who.landmarks(np.r_[y[:17], np.zeros(6)], 256)
    return float(
        points[PARTS["inner bottom"][1], 1].mean() - points[PARTS["inner top"][1], 1].mean()
    )


def openness(who: Actor, rows: np.ndarray, closed: float, opened: float) -> float:
    """Smallest lip gap over frames (n, 23): 0 as at rest, 1 as in the speaker's open vowels."""
    return (min(lip_gap(who, y) for y in rows) - closed) / (opened - closed)


def closures(quick: bool) -> list[dict]:
    """The least lip gap in the frames of each /p b m/, as a share of the actor's open gap."""
    spoken = {}
    for clip in Corpus().clips:
        if clip.kind != "probe":
            spoken.setdefault(clip.actor, []).append(clip)
    left = []
    for name, clips in tqdm(list(spoken.items())[:: 5 if quick else 1], "closures", disable=None):
        who, tracks = actor(name), [motion(clip) for clip in clips]
        Y = np.concatenate(tracks)
        order = np.argsort(Y[:, column("AU25")] + Y[:, column("AU26")])
        # the mouth is wider 5 % of the time
        wide = order[int(0.95 * len(order)) :][:20]
        closed, opened = lip_gap(who, np.zeros(23)), np.median([lip_gap(who, y) for y in Y[wide]])
        for clip, track in zip(clips, tracks):
            for phone, start, end in clip.phones():
                if phone in law.BILABIALS:
                    rows = track[int(start * FPS) : int(np.ceil(end * FPS - 1e-6))]
                    left += [openness(who, rows, closed, opened)] if len(rows) else []
    held = np.mean(np.array(left) < 0.10)
    return [
        figure("/p b m/ in all clips", len(left)),
        figure(
            "share of them with a lip gap under 10 % of the open one",
            held,
            ">= .98",
            held >= 0.98,
            wilson(held, len(left)),
        ),
        figure("lip gap at /p b m/, 95 % quantile, share of the open one", np.quantile(left, 0.95)),
    ]


def wilson(share: float, n: int, family: int = 1) -> tuple:
    """Interval of a share over n independent cases; all of `family` shares hold with 95 %."""
    z = norm.ppf(1 - 0.025 / family)
    middle, half = (
        share + z * z / (2 * n),
        z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)),
    )
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def bare(**values) -> "law.Style":
    """A speaker without moods, resting lids and head sway: what stress does is left."""
    quiet = dict(moods=tuple(float(not mood) for mood in law.MOODS.values()), lid=0.0, pose=0.0)
    names = {f.name for f in fields(law.Style)}
    return replace(law.Style(), **{k: v for k, v in (quiet | values).items() if k in names})


def stressed_windows(count: int, seed: int = 0) -> np.ndarray:
    """Fresh draws of the law around `count` stressed vowels, one a second in the middle of it:
    (count, 25, 23)."""
    out, each = [], 50
    for i in range(int(np.ceil(count / each))):
        phones = [
            row
            for s in range(each)
            for row in (
                ["PAU", s, s + 0.45, 0],
                ["AX", s + 0.45, s + 0.55, 1],
                ["PAU", s + 0.55, s + 1, 0],
            )
        ]
        out.append(law.draw(phones, each, bare(), seed + i).reshape(each, FPS, 23))
    return np.concatenate(out)[:count]


def told_apart(windows: np.ndarray) -> list:
    """Which event of law.EVENTS each window (n, 25, 23) shows, or None: the pattern most like its
    peak AUs."""
    names = [a for a in ATTRIBUTES[:17] if a not in law.target("AX") and a != "AU45"]
    # (n, AUs)
    peaks = windows[:, :, [column(a) for a in names]].max(1)
    patterns = np.array([[units_.get(a, 0) for a in names] for _, units_ in law.EVENTS.values()])
    like = peaks @ (patterns / np.linalg.norm(patterns, axis=1, keepdims=True)).T
    return [
        list(law.EVENTS)[k] if peak.max() > 0.05 else None for k, peak in zip(like.argmax(1), peaks)
    ]


def events(quick: bool) -> list[dict]:
    """Events and nods at the stressed vowels of fresh draws."""
    windows = stressed_windows(1000 if quick else 5000)
    seen, rows, family = told_apart(windows), [], len(law.EVENTS) + 1
    for name, (chance, _) in law.EVENTS.items():
        share = np.mean([s == name for s in seen])
        low, high = wilson(share, len(seen), family)
        rows.append(
            figure(
                f"{name} at a stressed vowel, fresh draws",
                share,
                f"{chance:g}",
                low <= chance <= high,
                (low, high),
            )
        )
    nods = np.mean(windows[:, :, POSE[0]].max(1) > 0.15 * law.NOD)
    low, high = wilson(nods, len(seen), family)
    return rows + [
        figure(
            "nod at a stressed vowel, fresh draws",
            nods,
            f"{NOD_SHARE:g}",
            low <= NOD_SHARE <= high,
            (low, high),
        )
    ]


@cache
def sway() -> tuple:
    """What the law's pitch is made of, from the law itself: variance and length (s) of the Gaussian
    covariance of its sway, and the shape of one nod of height 1 over -1..1 s, a value per step."""
    rng, T = np.random.default_rng(0), 200 * FPS
    time = (np.arange(T * law.STEPS) + 0.5) / law.RATE
    pitch = np.stack(
        [law.pose([], time, law.Style(), rng)[:, 0].reshape(T, -1).mean(1) for _ in range(10)]
    )
    # a second apart
    now, later = (pitch**2).mean(), (pitch[:, FPS:] * pitch[:, :-FPS]).mean()
    around = (np.arange(2 * law.RATE) + 0.5) / law.RATE
    nods = [law.pose([1.0], around, bare(), np.random.default_rng(i))[:, 0] for i in range(40)]
    nod = next(x for x in nods if x.max() > 0.1 * law.NOD)
    return now, 1 / np.sqrt(np.log(now / later)), nod / nod.max()


def nod_sizes(pitch: np.ndarray, stresses: list, style) -> np.ndarray:
    """Size of the nod at each stressed vowel (s), in units of the speaker's mean nod, from a clean
    pitch track (T,).

    Generalised least squares: the law's nods and a constant, on top of its sway, whose covariance
    is known.
    """
    variance, length, nod = sway()
    T = len(pitch)
    steps = (np.arange(T * law.STEPS) + 0.5) / law.RATE
    grid = (np.arange(len(nod)) + 0.5) / law.RATE - 1
    shapes = [np.interp(steps - s, grid, nod, 0, 0).reshape(T, -1).mean(1) for s in stresses]
    design = np.stack([np.ones(T), *shapes], 1)
    # a fifth of a milliradian for the file's rounding and the covariance's own error
    cov = (
        toeplitz(variance * style.pose**2 * np.exp(-((np.arange(T) / FPS / length) ** 2)))
        + np.eye(T) * 2e-4**2
    )
    weighted = cho_solve(cho_factor(cov), design)
    return np.linalg.solve(weighted.T @ design, weighted.T @ pitch)[1:] / (law.NOD * style.nod)


def nods(quick: bool) -> list[dict]:
    """The share of stressed vowels with a nod in the shipped clean tracks: the head's sway is
    smooth enough to take it off. Events of the face cannot be counted so, because moods move the
    same AUs."""
    sizes, unfit = [], 0
    for clip in [c for c in Corpus().clips if c.kind != "probe"][:: 4 if quick else 1]:
        pitch = motion(clip)[:, POSE[0]].astype(np.float64)
        stresses = [
            (start + end) / 2 for _, start, end, stressed in clip.phones(stress=True) if stressed
        ]
        if stresses and stresses[-1] > len(pitch) / FPS:
            unfit += 1
        elif stresses:
            sizes += nod_sizes(pitch, stresses, law.style(list(CAST).index(clip.actor))).tolist()
    share = np.mean(np.array(sizes) > 0.15)
    low, high = wilson(share, len(sizes))
    mean = np.mean([size for size in sizes if size > 0.15])
    return [
        figure(
            "nod at a stressed vowel, shipped clean tracks",
            share,
            f"{NOD_SHARE:g}",
            low <= NOD_SHARE <= high,
            (low, high),
            note=f"{len(sizes)} vowels",
        ),
        figure("clips with a stressed vowel after the end of their track", unfit, "0", unfit == 0),
        figure(
            "size of those nods over the speaker's mean nod", mean, ".9 to 1.1", 0.9 < mean < 1.1
        ),
    ]


@cache
def gap_moments() -> tuple[float, float]:
    """Squared variation and scaled third moment of the gaps between the law's blinks, from ten
    fresh minutes."""
    time = (np.arange(60 * law.RATE) + 0.5) / law.RATE
    gaps = []
    for i in range(20):
        shut = law.blinks(time, law.Style(), np.random.default_rng(i)) > 1
        gaps.append(np.diff(time[1:][shut[1:] & ~shut[:-1]]))
    gaps = np.concatenate(gaps)
    return gaps.var() / gaps.mean() ** 2, ((gaps - gaps.mean()) ** 3).mean() / gaps.mean() ** 3


def count_variance(rate: float, seconds: np.ndarray) -> np.ndarray:
    """Variance of a renewal process's count in a window that begins anywhere in it."""
    c2, g = gap_moments()  # Cox's asymptote: a line and a constant
    return c2 * rate * seconds + 1 / 6 + c2**2 / 2 - g / 3


def blinks(quick: bool) -> list[dict]:
    """Blinks a second in the clean tracks and further draws of every speaker, beside the speaker's
    own rate."""
    counts = {}
    for clip in Corpus().clips:
        if clip.kind != "probe":
            truth = clip.truth()
            # (draws, T)
            shut = np.stack([truth["clean"], *truth["draws"]])[:, :, column("AU45")] > 1
            onsets = (shut[:, 1:] & ~shut[:, :-1]).sum(1)
            counts.setdefault(clip.actor, []).extend((n, (shut.shape[1] - 1) / FPS) for n in onsets)
    inside, z = [], norm.ppf(1 - 0.025 / len(counts))
    print("| speaker | seconds | blinks a second | interval | own rate |\n|---|---|---|---|---|")
    for name, windows in counts.items():
        n, seconds = np.array(windows).T
        own, rate = law.style(list(CAST).index(name)).blink_rate, n.sum() / seconds.sum()
        half = z * np.sqrt(count_variance(own, seconds).sum()) / seconds.sum()
        inside.append(abs(rate - own) <= half)
        print(
            f"| {name} | {seconds.sum():.0f} | {rate:.3f} | {rate - half:.3f} to "
            f"{rate + half:.3f} | {own:.3f} |"
        )
    n, seconds = np.concatenate([np.array(windows) for windows in counts.values()]).T
    rate = n.sum() / seconds.sum()
    half = 1.96 * np.sqrt(count_variance(rate, seconds).sum()) / seconds.sum()
    return [
        figure(
            "speakers whose blinks agree with their own rate",
            sum(inside),
            f"{len(inside)}",
            all(inside),
        ),
        figure(
            "blinks a second, all speakers",
            rate,
            ".28 to .45",
            0.28 <= rate - half and rate + half <= 0.45,
            (rate - half, rate + half),
        ),
    ]


def reliability(pairs: list, edges, family: int) -> list[tuple]:
    """Bins of predicted probability: (frames, mean probability, observed share, half of its 99 %
    interval).

    `pairs` holds an (n, 2) array of predicted probability and observed share per clip. Frames of a
    clip are not independent, so an error is judged by its spread over clips; of `family` bins all
    hold with 99 %.
    """
    out = []
    for low, high in zip(edges[:-1], edges[1:]):
        inside = [p[(p[:, 0] >= low) & (p[:, 0] < high)] for p in pairs]
        inside = [p for p in inside if len(p)]
        n, residual = sum(map(len, inside)), np.array([(p[:, 1] - p[:, 0]).sum() for p in inside])
        half = student.ppf(1 - 0.005 / family, len(inside) - 1) * np.sqrt((residual**2).sum()) / n
        out.append((n, *np.concatenate(inside).mean(0), half))
    return out


def calibration(quick: bool) -> list[dict]:
    """Events in the eight further draws of each test clip against the stored probabilities."""
    pairs = {}
    for clip in Corpus().select(split="test"):
        if clip.kind != "probe":
            truth = clip.truth()
            seen = [observed_events(draw) for draw in truth["draws"]]
            for name, p in truth["events"].items():
                observed = np.mean([s[name] for s in seen], 0)
                pairs.setdefault(name, []).append(np.stack([p, observed], 1))
    together = [np.concatenate(clip) for clip in zip(*pairs.values())]
    edges = np.quantile(np.concatenate(together)[:, 0], np.linspace(0, 1, 6)) + [0, 0, 0, 0, 0, 1]
    bins = {
        f"reliability, fifth {i + 1} of the frames": row
        for i, row in enumerate(reliability(together, edges, 5))
    }
    bins |= {
        f"{name} in the further draws": reliability(clips, (0, 2), len(pairs))[0]
        for name, clips in pairs.items()
    }
    print(
        "| | frames | mean predicted | observed in draws | 99 % interval |\n|---|---|---|---|---|"
    )
    for name, (n, predicted, observed, half) in bins.items():
        print(
            f"| {name} | {n} | {predicted:.3f} | {observed:.3f} | {predicted - half:.3f} to "
            f"{predicted + half:.3f} |"
        )
    return [
        figure(name, observed, f"{predicted:.3f} +- {half:.3f}", abs(observed - predicted) <= half)
        for name, (n, predicted, observed, half) in bins.items()
    ]


def motion_law(quick: bool) -> list[dict]:
    """All figures of the motion law."""
    return [row for part in (blinks, events, nods, calibration) for row in part(quick)]


SECTIONS = {"faces": faces, "units": units, "pose": pose, "lips": lips, "law": motion_law}


def main() -> int:
    """Measure, print, and return 1 where something wanted does not hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("section", nargs="?", default="all", choices=[*SECTIONS, "all"])
    parser.add_argument("--json", type=Path, help="write every figure by its name into this file")
    parser.add_argument(
        "--quick", action="store_true", help="a fifth of the frames and fewer actors"
    )
    options = parser.parse_args()
    results = {}
    for name, measure in SECTIONS.items():
        if options.section in (name, "all"):
            print(f"\n## {name}\n")
            results[name] = measure(options.quick)
    print(
        "\n## The proof\n\n| | figure | value | 95 % interval | wanted | holds "
        "|\n|---|---|---|---|---|---|"
    )
    for section, rows in results.items():
        for row in rows:
            if row.pop("listed"):
                interval = "" if row["low"] is None else f"{row['low']:.3f} to {row['high']:.3f}"
                value = (
                    f"{row['value']:.0f}" if row["value"].is_integer() else f"{row['value']:.3f}"
                )
                name = row["name"] + (f" ({row['note']})" if row["note"] else "")
                print(
                    f"| {section} | {name} | {value} | {interval} | {row['wanted']} | "
                    + {None: "", True: "yes", False: "**no**"}[row["holds"]]
                    + " |"
                )
    judged = [row for rows in results.values() for row in rows if row["holds"] is not None]
    failed = [row["name"] for row in judged if not row["holds"]]
    print(
        f"\n{len(judged) - len(failed)} of {len(judged)} hold"
        + "".join(f"\n* fails: {name}" for name in failed)
    )
    if options.json:
        plain = {
            row.pop("name"): {k: None if v != v else v for k, v in row.items()}
            for rows in results.values()
            for row in rows
        }
        with atomic_path(options.json) as path:
            path.write_text(json.dumps(plain, indent=1), encoding="utf-8")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
