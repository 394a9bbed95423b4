"""Checks of the exercises: `checks.<name>(your_function)` says "right", "not yet", or what went wrong.

A check runs your function on small inputs and compares it with the right answer. Where it differs, the check compares
it with the answers of known misconceptions, and names the one it finds. `check.verdict(function)` returns the
sentence that `check(function)` prints.

Notebook: 00_tour to 07_your_own_face.
"""

import math
from typing import Callable

import numpy as np

from .judging import exercise, judge


def all_checks() -> dict[str, Callable]:
    """Every check by name, in the order of the chapters."""
    found = {name: value for name, value in globals().items() if hasattr(value, "verdict")}
    return dict(sorted(found.items(), key=lambda item: item[1].chapter))


# ---------------------------------------------------------------------------------------------- 00_tour

@exercise("00_tour")
def frames_of(function: Callable) -> str:
    """frames_of(n_samples) -> number of video frames that cover 16 kHz speech: ceil(N / 640)."""
    return judge(function, lambda n: -(-n // 640), [(n,) for n in (640, 641, 1279, 16000, 80001, 1)], [
        ("the last, partly filled frame is lost: round up, so that every sample has a frame", lambda n: n // 640),
        ("rounding to the nearest loses a frame that is less than half full: round up", lambda n: round(n / 640)),
        ("a clip that fills its frames exactly gets one too many: n // 640 + 1 is not rounding up",
         lambda n: n // 640 + 1),
        ("a number of frames is whole: round up", lambda n: n / 640),
        ("these are mel frames, one per 160 samples: a video frame has four of them", lambda n: -(-n // 160)),
        ("25 frames make a second, so one frame has 16000 / 25 = 640 samples, not 25", lambda n: -(-n // 25)),
    ], "640 samples a frame, and the last frame may be partly filled")


# ------------------------------------------------------------------------------------------ 01_features

@exercise("01_features")
def window_of(function: Callable) -> str:
    """window_of(t) -> the 20 mel frames 4t-8 .. 4t+11 that frame t hears."""
    def span(a, b):
        return lambda t: np.arange(4 * t + a, 4 * t + b)

    return judge(function, span(-8, 12), [(2,), (17,), (100,)], [
        ("the window starts with the frame: it should reach as far before the frame as after it", span(0, 20)),
        ("the window only looks back: half of it should come after the frame", span(-16, 4)),
        ("it is centred on the frame's start, not on its middle two mel frames later", span(-10, 10)),
        ("it is one mel frame late: the first one is 4t - 8", span(-7, 13)),
        ("it has 21 mel frames: the last one is 4t + 11", span(-8, 13)),
        ("a video frame advances four mel frames: multiply t by 4", lambda t: np.arange(t - 8, t + 12)),
    ], "20 mel frames, 0.2 s about the middle of the frame")


# ------------------------------------------------------------------------------------ 02_discretization

@exercise("02_discretization")
def encode(function: Callable) -> str:
    """encode(y, centroids) -> for each value (N,) the index of the nearest centroid (D,). Eq. 2."""
    rng = np.random.default_rng(2)
    cases = [(rng.uniform(0, 5, 40), 0.05 + 0.1 * np.arange(50)), (rng.normal(0, .1, 30), np.linspace(-.2, .2, 21))]

    def distance(y, c):
        return np.abs(np.asarray(y)[:, None] - np.asarray(c)[None, :])  # (N, D)

    return judge(function, lambda y, c: distance(y, c).argmin(1), cases, [
        ("that is the farthest centroid: Eq. 2 takes the arg min", lambda y, c: distance(y, c).argmax(1)),
        ("these are the centroids' values: y_bar is the index d", lambda y, c: c[distance(y, c).argmin(1)]),
        ("these are the distances: y_bar is where the smallest one stands", lambda y, c: distance(y, c).min(1)),
        ("there is one index per centroid, not one per value: arg min goes over the bins",
         lambda y, c: distance(y, c).argmin(0)),
        ("the difference lost its absolute value: the largest centroid always wins",
         lambda y, c: (y[:, None] - c[None, :]).argmin(1)),
        ("bins count from 0: every index is one too large", lambda y, c: distance(y, c).argmin(1) + 1),
        ("that is the nearest centroid below the value, not the nearest one",
         lambda y, c: (np.searchsorted(c, y) - 1).clip(0)),
        ("that is the nearest centroid above the value, not the nearest one",
         lambda y, c: np.searchsorted(c, y).clip(0, len(c) - 1)),
    ], "the index of the nearest centroid, Eq. 2")


# --------------------------------------------------------------------------------------- 03_biased_mask

@exercise("03_biased_mask")
def temporally_biased_mask(function: Callable) -> str:
    """temporally_biased_mask(T, heads, tau) -> (heads, T, T): -slope x age, -inf for the future and age >= tau."""
    def mask(T, H, tau, slopes=lambda h, H: 2.0 ** (-8 * h / H), sign=-1, future=True, band=0, first=1):
        age = np.subtract.outer(np.arange(T), np.arange(T)).astype(float)  # (T, T)
        slope = np.array([slopes(h, H) for h in range(first, H + first)])
        out = sign * slope[:, None, None] * (np.abs(age) if not future else age)  # (H, T, T)
        hidden = np.zeros((T, T), bool)
        hidden |= (age < 0) if future else hidden
        hidden |= age >= tau + band
        return np.where(hidden, -math.inf, out)

    def variant(**options):
        return lambda T, H, tau: mask(T, H, tau, **options)

    return judge(function, mask, [(6, 2, 3), (5, 4, 50), (12, 8, 7)], [
        ("older frames are favoured: the penalty is negative", variant(sign=1)),
        ("frame t - tau is still let in: tau frames are ages 0 to tau - 1, so age >= tau is hidden", variant(band=1)),
        ("old frames are never cut off: hide age >= tau", variant(band=10**6)),
        ("the future shows: hide every column j > i", variant(future=False)),
        ("the future shows: the band must lie on one side, hide every column j > i",
         lambda T, H, tau: np.where(np.isfinite(mask(T, H, tau)) | np.isfinite(mask(T, H, tau).transpose(0, 2, 1)),
                                    mask(T, H, tau, future=False), -math.inf)),
        ("keys and queries are exchanged (transposed): row i is the frame that looks",
         lambda T, H, tau: mask(T, H, tau).transpose(0, 2, 1)),
        ("the heads are in reverse order: head 1 is the steepest", lambda T, H, tau: mask(T, H, tau)[::-1]),
        ("heads count from 1: with h = 0 the first slope is 1", variant(first=0)),
        ("the slopes are 2^(-h), they should be 2^(-8h/H)", variant(slopes=lambda h, H: 2.0 ** -h)),
        ("every head has the same penalty of 1: each head has its slope", variant(slopes=lambda h, H: 1.0)),
        ("there is no penalty, only the band: that is the ablation without bias", variant(slopes=lambda h, H: 0.0)),
        ("this multiplies weights after the softmax (0 and 1): a mask is added before it, 0 and -inf",
         lambda T, H, tau: np.isfinite(mask(T, H, tau)).astype(float)),
        ("one (T, T) mask comes back: give one per head, (H, T, T)", lambda T, H, tau: mask(T, H, tau)[0]),
    ], "a slope per head, no future, tau frames of past")


# -------------------------------------------------------------------------------------------- 04_mapper

@exercise("04_mapper")
def top_k_probabilities(function: Callable) -> str:
    """top_k_probabilities(logits, k) -> probabilities (D,): softmax over the k largest logits, 0 elsewhere."""
    rng = np.random.default_rng(4)
    cases = [(rng.normal(size=8), 3), (rng.normal(size=20) * 3, 5), (rng.normal(size=6), 1)]

    def softmax(x):
        e = np.exp(x - np.max(x))
        return e / e.sum()

    def kept(x, k, order=-1):
        return np.isin(np.arange(len(x)), np.argsort(order * np.asarray(x))[:k])

    def right(x, k):
        return softmax(np.where(kept(x, k), x, -math.inf))

    return judge(function, right, cases, [
        ("nothing is cut off: bins outside the top k must have probability 0", lambda x, k: softmax(x)),
        ("the probabilities no longer sum to 1: divide by the sum of those that are kept",
         lambda x, k: softmax(x) * kept(x, k)),
        ("a logit of 0 still has probability: cut with -inf, not with 0",
         lambda x, k: softmax(np.where(kept(x, k), x, 0))),
        ("the k smallest are kept: sort the other way", lambda x, k: softmax(np.where(kept(x, k, 1), x, -math.inf))),
        ("the kept bins are all equally likely: top-k keeps their proportions",
         lambda x, k: kept(x, k) / k),
        ("one bin too many is kept", lambda x, k: right(x, k + 1)),
        ("only the k kept values come back: keep all D places, with 0 outside",
         lambda x, k: np.sort(right(x, k))[::-1][:k]),
    ], "the k likeliest bins share all the probability, in their old proportions")


# ----------------------------------------------------------------------------------------- 05_generator

def _discriminator():
    """Three made-up patch scores per picture, a smooth function of it, and two small batches."""
    import torch

    generator = torch.Generator().manual_seed(5)
    real, fake = (torch.randn(4, 3, generator=generator).requires_grad_() for _ in range(2))
    return (lambda image: 0.3 + 0.8 * image), real, fake


@exercise("05_generator")
def discriminator_loss(function: Callable) -> str:
    """discriminator_loss(D, real, fake) -> LSGAN for D: real scores to 1, detached fake scores to 0."""
    def right(D, real, fake):
        return 0.5 * (D(real) - 1).square().mean() + 0.5 * D(fake).square().mean()

    D, real, fake = _discriminator()
    sentence = judge(function, right, [(D, real, fake)], [
        ("the labels are exchanged, as Eq. 8 prints them: standard LSGAN pulls real to 1 and fake to 0",
         lambda D, r, f: 0.5 * D(r).square().mean() + 0.5 * (D(f) - 1).square().mean()),
        ("the factor 1/2 of Eq. 8 is missing", lambda D, r, f: 2 * right(D, r, f)),
        ("only the real pictures count: D must also learn that fake ones score 0",
         lambda D, r, f: 0.5 * (D(r) - 1).square().mean()),
        ("only the fake pictures count: D must also learn that real ones score 1",
         lambda D, r, f: 0.5 * D(f).square().mean()),
        ("both are pulled to 1: fake scores belong at 0",
         lambda D, r, f: 0.5 * (D(r) - 1).square().mean() + 0.5 * (D(f) - 1).square().mean()),
        ("the scores are summed: take their mean", lambda D, r, f: right(D, r, f) * D(r).numel()),
    ], "real to 1, fake to 0, and G is not moved by it")
    if sentence.startswith("right"):
        loss = function(D, real, fake)
        if getattr(loss, "requires_grad", False):
            loss.backward()
        if fake.grad is not None and fake.grad.abs().sum() > 0:
            return "not right: the value is right, but the gradient reaches G: call fake.detach() before D"
    return sentence


@exercise("05_generator")
def generator_loss(function: Callable) -> str:
    """generator_loss(D, fake) -> LSGAN for G: fake scores to 1, with the gradient left in."""
    D, _, fake = _discriminator()
    sentence = judge(function, lambda D, f: 0.5 * (D(f) - 1).square().mean(), [(D, fake)], [
        ("G is pulled to D's label for fake, 0: it should be taken for real, 1",
         lambda D, f: 0.5 * D(f).square().mean()),
        ("the factor 1/2 of Eq. 8 is missing", lambda D, f: (D(f) - 1).square().mean()),
        ("the sign is turned: G minimises the distance to 1", lambda D, f: -0.5 * D(f).square().mean()),
        ("the difference is not squared: LSGAN is least squares", lambda D, f: 0.5 * (D(f) - 1).abs().mean()),
    ], "G wants its pictures taken for real")
    if sentence.startswith("right"):
        loss = function(D, fake)
        if not getattr(loss, "requires_grad", False):
            return "not right: the value is right, but no gradient reaches G: do not detach here"
    return sentence


# ---------------------------------------------------------------------------------------- 06_evaluation

@exercise("06_evaluation")
def psnr(function: Callable) -> str:
    """psnr(a, b) -> peak signal-to-noise ratio in dB of two uint8 pictures."""
    rng = np.random.default_rng(6)
    a = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    cases = [(a, rng.integers(0, 256, a.shape, dtype=np.uint8)), (a, (a // 2).astype(np.uint8)), (a // 2, a)]

    def mse(a, b):
        return np.mean((a.astype(float) - b.astype(float)) ** 2)

    return judge(function, lambda a, b: 10 * np.log10(255**2 / mse(a, b)), cases, [
        ("the subtraction is done in uint8 and wraps around (3 - 5 = 254): convert to float first",
         lambda a, b: 10 * np.log10(255**2 / np.mean((a - b).astype(float) ** 2))),
        ("subtraction and square are done in uint8 and wrap around: convert to float first",
         lambda a, b: 10 * np.log10(255**2 / np.mean((a - b) ** 2))),
        ("the peak is 1, but these pictures go to 255", lambda a, b: 10 * np.log10(1 / mse(a, b))),
        ("20 log10 is for amplitudes: the MSE is already squared, so 10 log10",
         lambda a, b: 20 * np.log10(255**2 / mse(a, b))),
        ("that is the natural logarithm: decibels are 10 log10", lambda a, b: 10 * np.log(255**2 / mse(a, b))),
        ("the squared errors are summed: take their mean", lambda a, b: 10 * np.log10(255**2 / (mse(a, b) * a.size))),
        ("the ratio is upside down: a better picture has a higher PSNR",
         lambda a, b: 10 * np.log10(mse(a, b) / 255**2)),
        ("255 is not squared: peak and error must both be powers", lambda a, b: 10 * np.log10(255 / mse(a, b))),
    ], "10 log10(peak^2 / MSE), in float")


# ------------------------------------------------------------------------------------- 07_your_own_face

@exercise("07_your_own_face")
def relative_pose(function: Callable) -> str:
    """relative_pose(Y) -> Y (T, 23) with the median of each of the last 6 columns taken off; AUs as they were."""
    rng = np.random.default_rng(7)
    Y = np.hstack([rng.gamma(1, .5, (31, 17)), rng.gamma(2, .1, (31, 6)) + [0, .1, 0, 20, -30, 560]])
    pose = np.arange(23) >= 17

    def less(statistic, columns=pose):
        return lambda Y: Y - np.where(columns, statistic(Y), 0)

    return judge(function, less(lambda Y: np.median(Y, axis=0)), [(Y.copy(),), (Y[:20].copy(),)], [
        ("that is the mean: one long look aside would tilt the neutral, take the median",
         less(lambda Y: Y.mean(axis=0))),
        ("the AUs moved too: only the last six columns are pose", less(lambda Y: np.median(Y, axis=0), pose | True)),
        ("the first frame is taken for neutral: people rarely start in their neutral pose", less(lambda Y: Y[0])),
        ("translation is still absolute: there are six pose columns",
         less(lambda Y: np.median(Y, axis=0), pose & (np.arange(23) < 20))),
        ("rotation is still absolute: there are six pose columns",
         less(lambda Y: np.median(Y, axis=0), np.arange(23) >= 20)),
        ("one number is taken off all pose columns: each column has its own median",
         less(lambda Y: np.median(Y[:, 17:]))),
        ("the median is added: it should be taken off", lambda Y: Y + np.where(pose, np.median(Y, axis=0), 0)),
        ("nothing changed: the pose is still absolute", lambda Y: Y),
    ], "pose relative to the clip's neutral, Action Units untouched")
