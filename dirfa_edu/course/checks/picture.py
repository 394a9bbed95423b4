"""Exercises of chapters 05 to 07: losses, metrics, files of your own. Used as `checks.<name>`.

Notebook: 05_generator, 06_evaluation, 07_your_own_face.
"""

from typing import Callable

import numpy as np

from .judging import exercise, judge

# --------------------------------------------------------------------------------------------------


def _discriminator():
    """Three made-up patch scores per picture, a smooth function of it, and two small batches."""
    import torch

    generator = torch.Generator().manual_seed(5)
    real, fake = (torch.randn(4, 3, generator=generator).requires_grad_() for _ in range(2))
    weight = torch.tensor(0.8, requires_grad=True)  # what D learns
    return (lambda image: 0.3 + weight * image), real, fake, weight


@exercise("05_generator", 2)
def discriminator_loss(function: Callable) -> str:
    """discriminator_loss(D, real, fake) -> LSGAN for D: real scores to 1, detached fake scores to
    0."""

    def right(D, real, fake):
        return 0.5 * (D(real) - 1).square().mean() + 0.5 * D(fake).square().mean()

    D, real, fake, weight = _discriminator()
    sentence = judge(
        function,
        right,
        [(D, real, fake)],
        [
            (
                "the labels are exchanged, as Eq. 8 prints them: standard LSGAN pulls real to 1 and fake to 0",
                lambda D, r, f: 0.5 * D(r).square().mean() + 0.5 * (D(f) - 1).square().mean(),
            ),
            ("the factor 1/2 of Eq. 8 is missing", lambda D, r, f: 2 * right(D, r, f)),
            (
                "only the real pictures count: D must also learn that fake ones score 0",
                lambda D, r, f: 0.5 * (D(r) - 1).square().mean(),
            ),
            (
                "only the fake pictures count: D must also learn that real ones score 1",
                lambda D, r, f: 0.5 * D(f).square().mean(),
            ),
            (
                "both are pulled to 1: fake scores belong at 0",
                lambda D, r, f: 0.5 * (D(r) - 1).square().mean() + 0.5 * (D(f) - 1).square().mean(),
            ),
            (
                "the scores are summed: take their mean",
                lambda D, r, f: right(D, r, f) * D(r).numel(),
            ),
        ],
        "real to 1, fake to 0, and G is not moved by it",
    )
    if sentence.startswith("right"):
        reached = _gradients(function, (D, real, fake), (fake, weight))
        wanted = _gradients(right, (D, real, fake), (fake, weight))
        if reached[0] != 0:
            return "not right: the value is right, but the gradient reaches G: call fake.detach() before D"
        if abs(reached[1] - wanted[1]) > 1e-5:
            return "not right: the value is right, but D does not learn from it: detach before D, not after"
    return sentence


@exercise("05_generator", 3)
def generator_loss(function: Callable) -> str:
    """generator_loss(D, fake) -> LSGAN for G: fake scores to 1, with the gradient left in."""
    D, _, fake, _ = _discriminator()
    sentence = judge(
        function,
        lambda D, f: 0.5 * (D(f) - 1).square().mean(),
        [(D, fake)],
        [
            (
                "G is pulled to D's label for fake, 0: it should be taken for real, 1",
                lambda D, f: 0.5 * D(f).square().mean(),
            ),
            ("the factor 1/2 of Eq. 8 is missing", lambda D, f: (D(f) - 1).square().mean()),
            (
                "the sign is turned: G minimises the distance to 1",
                lambda D, f: -0.5 * D(f).square().mean(),
            ),
            (
                "the difference is not squared: LSGAN is least squares",
                lambda D, f: 0.5 * (D(f) - 1).abs().mean(),
            ),
        ],
        "G wants its pictures taken for real",
    )
    if sentence.startswith("right") and _gradients(function, (D, fake), (fake,))[0] == 0:
        return "not right: the value is right, but no gradient reaches G: do not detach here"
    return sentence


def _gradients(loss: Callable, given: tuple, of: tuple) -> list[float]:
    """The sum of the sizes of the gradient that a loss sends to each tensor, also where gradients
    are switched off."""
    import torch

    with torch.enable_grad():
        value = loss(*given)
        if not getattr(value, "requires_grad", False):
            return [0.0] * len(of)
        return [
            0.0 if grad is None else float(grad.abs().sum())
            for grad in torch.autograd.grad(value, of, allow_unused=True)
        ]


@exercise("05_generator", 1)
def attribute_loss(function: Callable) -> str:
    """attribute_loss(z_hat, z, scale) -> half of Eq. 10: squared 2-norm of (z_hat - z) / scale,
    mean over the batch.

    z_hat and z are (B, 23) in raw units, scale (23,) is what each attribute usually spans; all
    NumPy.
    """
    rng = np.random.default_rng(9)
    scale = np.array([5.0] * 17 + [0.5] * 3 + [20.0] * 3)

    def case(B):
        return *(scale * rng.normal(size=(B, 23)) for _ in range(2)), scale

    def right(z_hat, z, scale):
        return (((z_hat - z) / scale) ** 2).sum(1).mean()

    return judge(
        function,
        right,
        [case(3), case(1), case(8)],
        [
            (
                "raw units: millimetres drown the Action Units, divide by scale",
                lambda a, z, s: ((a - z) ** 2).sum(1).mean(),
            ),
            (
                "multiplied by scale: that makes millimetres drown the Action Units even more, divide",
                lambda a, z, s: (((a - z) * s) ** 2).sum(1).mean(),
            ),
            (
                "scale is not squared: divide before you square",
                lambda a, z, s: (((a - z) ** 2) / s).sum(1).mean(),
            ),
            (
                "only z_hat is divided by scale: both are in raw units",
                lambda a, z, s: ((a / s - z) ** 2).sum(1).mean(),
            ),
            (
                "absolute values: Eq. 10 has a squared 2-norm",
                lambda a, z, s: np.abs((a - z) / s).sum(1).mean(),
            ),
            (
                "the root was taken: Eq. 10 squares the 2-norm",
                lambda a, z, s: np.sqrt((((a - z) / s) ** 2).sum(1)).mean(),
            ),
            (
                "that is the mean over attributes: a norm sums them",
                lambda a, z, s: (((a - z) / s) ** 2).mean(),
            ),
            (
                "the batch is summed: the expectation is its mean",
                lambda a, z, s: (((a - z) / s) ** 2).sum(),
            ),
        ],
        "lips and millimetres cost alike",
    )


# --------------------------------------------------------------------------------------------------


@exercise("06_evaluation", 1)
def psnr(function: Callable) -> str:
    """psnr(a, b) -> peak signal-to-noise ratio in dB of two uint8 pictures."""
    rng = np.random.default_rng(6)
    a = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    cases = [
        (a, rng.integers(0, 256, a.shape, dtype=np.uint8)),
        (a, (a // 2).astype(np.uint8)),
        (a // 2, a),
    ]

    def mse(a, b):
        return np.mean((a.astype(float) - b.astype(float)) ** 2)

    return judge(
        function,
        lambda a, b: 10 * np.log10(255**2 / mse(a, b)),
        cases,
        [
            (
                "the subtraction is done in uint8 and wraps around (3 - 5 = 254): convert to float first",
                lambda a, b: 10 * np.log10(255**2 / np.mean((a - b).astype(float) ** 2)),
            ),
            (
                "subtraction and square are done in uint8 and wrap around: convert to float first",
                lambda a, b: 10 * np.log10(255**2 / np.mean((a - b) ** 2)),
            ),
            (
                "the peak is 1, but these pictures go to 255",
                lambda a, b: 10 * np.log10(1 / mse(a, b)),
            ),
            (
                "20 log10 is for amplitudes: the MSE is already squared, so 10 log10",
                lambda a, b: 20 * np.log10(255**2 / mse(a, b)),
            ),
            (
                "that is the natural logarithm: decibels are 10 log10",
                lambda a, b: 10 * np.log(255**2 / mse(a, b)),
            ),
            (
                "the squared errors are summed: take their mean",
                lambda a, b: 10 * np.log10(255**2 / (mse(a, b) * a.size)),
            ),
            (
                "the ratio is upside down: a better picture has a higher PSNR",
                lambda a, b: 10 * np.log10(mse(a, b) / 255**2),
            ),
            (
                "255 is not squared: peak and error must both be powers",
                lambda a, b: 10 * np.log10(255 / mse(a, b)),
            ),
        ],
        "10 log10(peak^2 / MSE), in float",
    )


@exercise("06_evaluation", 2)
def lmd(function: Callable) -> str:
    """lmd(a, b) -> mean distance of the points of two mouths (T, 20, 2), each frame's mouth centre
    taken off."""
    rng = np.random.default_rng(10)

    def case(T):
        a = rng.normal(size=(T, 20, 2)) * 8 + rng.normal(size=(T, 1, 2)) * 30
        return a, a + rng.normal(size=(T, 20, 2)) + rng.normal(size=(T, 1, 2)) * 10

    def off(x, axis=1):
        return x - x.mean(axis, keepdims=True)

    def norm(d):
        return np.sqrt((d**2).sum(-1))  # (T, 20)

    def right(a, b):
        return norm(off(a) - off(b)).mean()

    return judge(
        function,
        right,
        [case(4), case(1), case(9)],
        [
            (
                "the centres are still in: a head that moves would cost as much as lips",
                lambda a, b: norm(a - b).mean(),
            ),
            (
                "one centre serves all frames: each frame's mouth has its own",
                lambda a, b: norm(off(a, (0, 1)) - off(b, (0, 1))).mean(),
            ),
            (
                "the mean over time was taken off, not the mouth's centre: average over the points, axis 1",
                lambda a, b: norm(off(a, 0) - off(b, 0)).mean(),
            ),
            (
                "the 20 points are summed: that number is 20 times as large",
                lambda a, b: norm(off(a) - off(b)).sum(1).mean(),
            ),
            (
                "these are squared distances: take the root",
                lambda a, b: ((off(a) - off(b)) ** 2).sum(-1).mean(),
            ),
            (
                "x and y are averaged apart: a distance is a root of the sum of squares",
                lambda a, b: np.abs(off(a) - off(b)).mean(),
            ),
            (
                "x and y are added as absolute values: a distance is a root of the sum of squares",
                lambda a, b: np.abs(off(a) - off(b)).sum(-1).mean(),
            ),
            (
                "the root was taken after the mean: that lets one bad point weigh more",
                lambda a, b: np.sqrt(((off(a) - off(b)) ** 2).sum(-1).mean()),
            ),
        ],
        "what the mouth does, wherever it is",
    )


@exercise("06_evaluation", 3)
def find_lag(function: Callable) -> str:
    """find_lag(a, b, most) -> by how many frames b comes after a, from -most to most: where they
    correlate best."""
    rng = np.random.default_rng(11)

    def case(lag, most):
        x = rng.normal(size=80)
        return x[20:60], x[20 - lag : 60 - lag] * 2 + 1, most

    def curve(a, b, most, change=lambda r: r):
        def r(s):
            left, right = (a[: len(a) - s], b[s:]) if s >= 0 else (a[-s:], b[: len(b) + s])
            return change(np.corrcoef(left, right)[0, 1])

        return np.array([r(s) for s in range(-most, most + 1)])

    def right(a, b, most):
        return int(curve(a, b, most).argmax()) - most

    return judge(
        function,
        right,
        [case(3, 8), case(-4, 8), case(0, 8), case(7, 12)],
        [
            (
                "the sign is turned: positive means that b is late",
                lambda a, b, most: -right(a, b, most),
            ),
            (
                "that is the place in the list of shifts: the list begins at -most",
                lambda a, b, most: int(curve(a, b, most).argmax()),
            ),
            (
                "the sign is lost: early and late are two faults",
                lambda a, b, most: abs(right(a, b, most)),
            ),
            (
                "that is the shift where they agree least: take the highest correlation",
                lambda a, b, most: int(curve(a, b, most).argmin()) - most,
            ),
            (
                "only late shifts were tried: b may also be early",
                lambda a, b, most: int(curve(a, b, most)[most:].argmax()),
            ),
            (
                "off by one: shift 0 stands in the middle of the list, at place `most`",
                lambda a, b, most: right(a, b, most) + 1,
            ),
            (
                "off by one: shift 0 stands in the middle of the list, at place `most`",
                lambda a, b, most: right(a, b, most) - 1,
            ),
            (
                "that is the correlation at the best shift: the lag is the shift itself",
                lambda a, b, most: curve(a, b, most).max(),
            ),
            ("these are seconds: give frames", lambda a, b, most: right(a, b, most) / 25),
        ],
        "found to the frame, early or late",
    )


# --------------------------------------------------------------------------------------------------


@exercise("07_your_own_face", 1)
def relative_pose(function: Callable) -> str:
    """relative_pose(Y) -> Y (T, 23) with the median of each of the last 6 columns taken off; AUs as
    they were."""
    rng = np.random.default_rng(7)
    Y = np.hstack(
        [rng.gamma(1, 0.5, (31, 17)), rng.gamma(2, 0.1, (31, 6)) + [0, 0.1, 0, 20, -30, 560]]
    )
    pose = np.arange(23) >= 17

    def less(statistic, columns=pose):
        return lambda Y: Y - np.where(columns, statistic(Y), 0)

    return judge(
        function,
        less(lambda Y: np.median(Y, axis=0)),
        [(Y.copy(),), (Y[:20].copy(),)],
        [
            (
                "that is the mean: one long look aside would tilt the neutral, take the median",
                less(lambda Y: Y.mean(axis=0)),
            ),
            (
                "the AUs moved too: only the last six columns are pose",
                less(lambda Y: np.median(Y, axis=0), pose | True),
            ),
            (
                "the first frame is taken for neutral: people rarely start in their neutral pose",
                less(lambda Y: Y[0]),
            ),
            (
                "translation is still absolute: there are six pose columns",
                less(lambda Y: np.median(Y, axis=0), pose & (np.arange(23) < 20)),
            ),
            (
                "rotation is still absolute: there are six pose columns",
                less(lambda Y: np.median(Y, axis=0), np.arange(23) >= 20),
            ),
            (
                "one number is taken off all pose columns: each column has its own median",
                less(lambda Y: np.median(Y[:, 17:])),
            ),
            (
                "the median is added: it should be taken off",
                lambda Y: Y + np.where(pose, np.median(Y, axis=0), 0),
            ),
            ("nothing changed: the pose is still absolute", lambda Y: Y),
        ],
        "pose relative to the clip's neutral, Action Units untouched",
    )


@exercise("07_your_own_face", 2)
def to_25_fps(function: Callable) -> str:
    """to_25_fps(values, fps) -> the track (n,) of a camera with `fps` frames a second at the
    middles of 25-fps frames, on the line between its own frames' middles. There are round(n * 25 /
    fps) of them."""
    rng = np.random.default_rng(12)
    cases = [(rng.random(60), 30), (rng.random(48), 24), (rng.random(40), 50)]

    def at(values, fps, shift=0.5):
        T = round(len(values) * 25 / fps)
        return np.interp(
            (np.arange(T) + shift) / 25, (np.arange(len(values)) + shift) / fps, values
        )

    def picked(values, fps, place):
        t = np.arange(round(len(values) * 25 / fps))
        return values[place(t).clip(0, len(values) - 1).astype(int)]

    return judge(
        function,
        at,
        cases,
        [
            (
                "nothing changed: read as 25 fps, five seconds at 30 fps would last six",
                lambda y, fps: y,
            ),
            (
                "frames are dropped or doubled: between two of them, take the line",
                lambda y, fps: picked(y, fps, lambda t: np.floor(t * fps / 25)),
            ),
            (
                "the nearest frame is taken: between two of them, take the line",
                lambda y, fps: picked(y, fps, lambda t: np.floor((t + 0.5) * fps / 25)),
            ),
            (
                "the frames' beginnings are laid on each other: a frame stands for its middle, (t + 0.5) / 25",
                lambda y, fps: at(y, fps, 0),
            ),
            (
                "the first and the last frame are stretched to the ends of the clip: lay them on their times",
                lambda y, fps: np.interp(
                    np.linspace(0, len(y) - 1, round(len(y) * 25 / fps)), np.arange(len(y)), y
                ),
            ),
            (
                "the rates are exchanged: 30 frames a second become fewer, not more",
                lambda y, fps: np.interp(
                    (np.arange(round(len(y) * fps / 25)) + 0.5) / fps,
                    (np.arange(len(y)) + 0.5) / 25,
                    y,
                ),
            ),
        ],
        "the same seconds, other frames",
    )


@exercise("07_your_own_face", 3)
def pinned_run(function: Callable) -> str:
    """pinned_run(step, y0, T, pins) -> y_1 .. y_T (T,), where y_t = step(y_(t-1)); `pins` {t:
    value} says where y_t is overwritten, before it is fed back."""
    cases = [
        (lambda y: 0.5 * y + 1, 0.0, 6, {2: 5.0, 3: 5.0}),
        (lambda y: 0.9 * y - 0.1, 2.0, 8, {1: 0.0, 6: 4.0}),
        (lambda y: y * y / 4, 1.0, 4, {4: 2.0}),
    ]

    def run(step, y, T, pins, late=0, add=False):
        out = []
        for t in range(1, T + 1):
            y = step(y)
            if t - late in pins:
                y = pins[t - late] + y * add
            out.append(y)
        return np.array(out)

    def afterwards(step, y, T, pins):
        out = run(step, y, T, {})
        for t, value in pins.items():
            out[t - 1] = value
        return out

    return judge(
        function,
        run,
        cases,
        [
            (
                "the pins are painted over a finished run: the frames after them never saw the pinned value",
                afterwards,
            ),
            ("nothing is pinned", lambda step, y, T, pins: run(step, y, T, {})),
            (
                "the pins are one frame late: what step makes first is y_1, not y_0",
                lambda *given: run(*given, late=1),
            ),
            (
                "the pins are one frame early: they say where y_t stands, not what it is made of",
                lambda *given: run(*given, late=-1),
            ),
            (
                "the pinned value is added: it takes the place of what step says",
                lambda *given: run(*given, add=True),
            ),
            (
                "y0 is returned too: give y_1 to y_T",
                lambda step, y, T, pins: np.r_[y, run(step, y, T, pins)],
            ),
        ],
        "what follows grows out of the pinned value",
    )
