"""Right answers are accepted however they are written; of wrong ones the misconception is named."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from dirfa_edu.course import checks

# ---- right answers, each written in two ways or more ---------------------------------------------


def encode_loop(y, centroids):
    out = []
    for value in y:
        best = 0
        for d in range(len(centroids)):
            if abs(value - centroids[d]) < abs(value - centroids[best]):
                best = d
        out.append(best)
    return out


def mask_loop(T, heads, tau):
    M = torch.full((heads, T, T), -math.inf)
    for h in range(heads):
        for i in range(T):
            for j in range(max(0, i - tau + 1), i + 1):
                M[h, i, j] = -(2 ** (-8 * (h + 1) / heads)) * (i - j)
    return M


def mask_torch(T, heads, tau, minus=-1e9):
    age = torch.arange(T)[:, None] - torch.arange(T)[None, :]
    slopes = 2.0 ** (-8 * torch.arange(1, heads + 1) / heads)
    return (-slopes[:, None, None] * age).masked_fill((age < 0) | (age >= tau), minus)


def top_k_torch(logits, k):
    logits = torch.as_tensor(logits)
    values, places = logits.topk(k)
    return torch.zeros_like(logits).scatter(0, places, values.softmax(0))


def top_k_sorting(logits, k):
    threshold = sorted(logits)[-k]
    weights = [math.exp(x) if x >= threshold else 0 for x in logits]
    return [w / sum(weights) for w in weights]


def psnr_by_hand(a, b):
    error = (np.float32(a) / 255 - np.float32(b) / 255).ravel()
    return -10 * math.log10(float(np.dot(error, error)) / error.size)


def relative_columns(Y):
    Y = Y.copy()
    for j in range(17, 23):
        Y[:, j] -= np.median(Y[:, j])
    return Y


def draw_loop(p, u):
    total = 0.0
    for d, share in enumerate(p):
        total += share
        if total > u:
            return d


def table_loop(y, D):
    table = torch.zeros(D, D)
    for now, after in zip(y[:-1].tolist(), y[1:].tolist()):
        table[now, after] += 1
    return table / table.sum(1, keepdim=True).clamp(min=1)


def attention_torch(Q, K, V, M):
    return torch.nn.functional.scaled_dot_product_attention(
        *(torch.from_numpy(x)[None] for x in (Q, K, V)), attn_mask=torch.from_numpy(M)
    )[0]


def attention_loop(Q, K, V, M):
    out = []
    for i in range(len(Q)):
        e = [math.exp(Q[i] @ K[j] / len(Q[i]) ** 0.5 + M[i, j]) for j in range(len(K))]
        out.append(sum(w * v for w, v in zip(e, V)) / sum(e))
    return out


def lag_by_distance(a, b, most):
    """least squares of standardised tracks over the middle, instead of correlations"""
    scores = {}
    for s in range(-most, most + 1):
        inner = range(most, len(a) - most)
        x, y = np.array([a[t] for t in inner]), np.array([b[t + s] for t in inner])
        scores[s] = np.square((x - x.mean()) / x.std() - (y - y.mean()) / y.std()).sum()
    return min(scores, key=scores.get)


def lag_by_numpy(a, b, most):
    r = np.correlate(b - b.mean(), a - a.mean(), "full")  # (2 T - 1,)
    return r[len(a) - 1 - most : len(a) + most].argmax() - most


def pinned_recursive(step, y0, T, pins):
    y = [y0]
    for t in range(1, T + 1):
        y.append(pins[t] if t in pins else step(y[-1]))
    return y[1:]


def repair_loop(values, success):
    out = list(values)
    good = [t for t in range(len(values)) if success[t]]
    for t in range(len(values)):
        if not success[t]:
            before = [g for g in good if g < t]
            after = [g for g in good if g > t]
            if before and after:
                a, b = before[-1], after[0]
                out[t] = values[a] + (values[b] - values[a]) * (t - a) / (b - a)
            else:
                out[t] = values[before[-1] if before else after[0]]
    return out


def resample_loop(values, fps):
    out = []
    for t in range(round(len(values) * 25 / fps)):
        place = min(max((t + 0.5) / 25 * fps - 0.5, 0), len(values) - 1)
        n = min(int(place), len(values) - 2)
        out.append(values[n] + (values[n + 1] - values[n]) * (place - n))
    return out


RIGHT = {
    "frames_of": [
        lambda n: math.ceil(n / 640),
        lambda n: (n + 639) // 640,
        lambda n: n // 640 + bool(n % 640),
    ],
    "window_of": [
        lambda t: list(range(4 * t - 8, 4 * t + 12)),
        lambda t: torch.arange(20) + 4 * t - 8,
    ],
    "encode": [
        encode_loop,
        lambda y, c: torch.cdist(torch.tensor(y)[:, None], torch.tensor(c)[:, None]).argmin(1),
    ],
    "temporally_biased_mask": [mask_loop, mask_torch],
    "top_k_probabilities": [top_k_torch, top_k_sorting],
    "discriminator_loss": [
        lambda D, r, f: (torch.mean((1 - D(r)) ** 2) + torch.mean(D(f.detach()) ** 2)) / 2,
        lambda D, r, f: (
            0.5 * torch.nn.functional.mse_loss(D(r), torch.ones(r.shape))
            + 0.5 * D(f.data).pow(2).mean()
        ),
    ],
    "generator_loss": [
        lambda D, f: ((1 - D(f)) ** 2).mean() / 2,
        lambda D, f: 0.5 * torch.nn.functional.mse_loss(D(f), torch.ones(f.shape)),
    ],
    "psnr": [
        psnr_by_hand,
        lambda a, b: 20 * np.log10(255 / np.sqrt(np.mean((a.astype(int) - b.astype(int)) ** 2))),
    ],
    "draw_bin": [draw_loop, lambda p, u: np.searchsorted(np.cumsum(p), u, side="right")],
    "agreement": [
        lambda a, b: np.corrcoef(a, b)[0, 1],
        lambda a, b: ((a - a.mean()) / a.std() * (b - b.mean()) / b.std()).mean(),
    ],
    "same_loudness": [
        lambda x: x.astype(float) * 0.1 / np.sqrt(np.mean(x.astype(float) ** 2)),
        lambda x: 0.1 * math.sqrt(len(x)) * x / np.linalg.norm(x.astype(float)),
    ],
    "repair": [
        repair_loop,
        lambda y, s: np.interp(range(len(y)), np.flatnonzero(s), y[np.flatnonzero(s)]),
    ],
    "decode": [
        lambda y, low, high, D: low + (y + 0.5) * (high - low) / D,
        lambda y, low, high, D: (
            (np.linspace(low, high, D + 1)[:-1] + np.linspace(low, high, D + 1)[1:])[y] / 2
        ),
    ],
    "next_bin": [
        table_loop,
        lambda y, D: [
            [((y[:-1] == i) & (y[1:] == j)).sum() / max((y[:-1] == i).sum(), 1) for j in range(D)]
            for i in range(D)
        ],
    ],
    "attention": [attention_torch, attention_loop],
    "frames_reached": [
        lambda L, tau: 1 + L * (tau - 1),
        lambda L, tau: sum(tau - 1 for _ in range(L)) + 1,
    ],
    "shift": [
        lambda y, D: np.vstack([np.full(23, D), y[:-1]]),
        lambda y, D: torch.cat([torch.full((1, 23), D), torch.from_numpy(y)[:-1]]),
    ],
    "bits": [
        lambda p, y: sum(-math.log2(row[d]) for row, d in zip(p, y)) / len(y),
        lambda p, y: torch.nn.functional.nll_loss(torch.from_numpy(p).log2(), torch.from_numpy(y)),
    ],
    "attribute_loss": [
        lambda a, z, s: np.square(np.linalg.norm((a - z) / s, axis=1)).mean(),
        lambda a, z, s: sum(((x / s - y / s) ** 2).sum() for x, y in zip(a, z)) / len(a),
    ],
    "lmd": [
        lambda a, b: np.hypot(
            *((a - a.mean(1, keepdims=True)) - (b - b.mean(1, keepdims=True))).T
        ).mean(),
        lambda a, b: np.mean(
            [math.dist(p - x.mean(0), q - y.mean(0)) for x, y in zip(a, b) for p, q in zip(x, y)]
        ),
    ],
    "find_lag": [lag_by_distance, lag_by_numpy],
    "to_25_fps": [
        resample_loop,
        lambda y, fps: np.interp(
            (np.arange(len(y) * 25 // fps) + 0.5) * fps / 25, np.arange(len(y)) + 0.5, y
        ),
    ],
    "pinned_run": [
        pinned_recursive,
        lambda step, y, T, pins: [y := pins.get(t, step(y)) for t in range(1, T + 1)],
    ],
    "relative_pose": [
        relative_columns,
        lambda Y: np.concatenate([Y[:, :17], Y[:, 17:] - np.median(Y[:, 17:], 0)], 1),
    ],
}

# ---- wrong answers, each with a piece of the sentence that must come back ------------------------


def wrap_psnr(a, b):
    return 10 * np.log10(255**2 / ((a - b) ** 2).mean())


def mask_without_band(T, heads, tau):
    return mask_torch(T, heads, 10 * T)


def mask_symmetric(T, heads, tau):
    age = (torch.arange(T)[:, None] - torch.arange(T)).abs()
    slopes = 2.0 ** (-8 * torch.arange(1, heads + 1) / heads)
    return (-slopes[:, None, None] * age).masked_fill(age >= tau, -math.inf)


def mask_other_slopes(T, heads, tau):
    age = torch.arange(T)[:, None] - torch.arange(T)
    slopes = 0.5 ** torch.arange(1, heads + 1)
    return (-slopes[:, None, None] * age).masked_fill((age < 0) | (age >= tau), -math.inf)


def shifted(start, by=1):
    return lambda y, D: np.concatenate([np.full((by, 23), start), y[:-by]])


def weights(scores):
    e = np.exp(scores)
    return e / e.sum(1, keepdims=True)


def unpinned_then_painted(step, y, T, pins):
    out = [y := step(y) for _ in range(T)]
    return [pins.get(t, value) for t, value in enumerate(out, 1)]


WRONG = {
    "frames_of": [
        (lambda n: int(n / 640), "round up"),
        (lambda n: n // 640 + 1, "one too many"),
        (lambda n: n / 640, "whole"),
        (lambda n: math.ceil(n / 160), "mel frames"),
        (lambda n: math.ceil(n / 25), "640 samples, not 25"),
        (lambda n: "many", "neither a number"),
    ],
    "window_of": [
        (lambda t: range(4 * t, 4 * t + 20), "starts with the frame"),
        (lambda t: range(4 * t - 10, 4 * t + 10), "not on its middle"),
        (lambda t: range(4 * t - 8, 4 * t + 13), "21 mel frames"),
        (lambda t: np.arange(-8, 12) + t, "multiply t by 4"),
        (lambda t: range(4 * t - 16, 4 * t + 4), "only looks back"),
        (lambda t: range(4 * t - 7, 4 * t + 13), "one mel frame late"),
    ],
    "encode": [
        (lambda y, c: c[encode_loop(y, c)], "values"),
        (lambda y, c: np.abs(y[:, None] - c).argmin(0), "one index per centroid"),
        (lambda y, c: np.argmin(y[:, None] - c, 1), "absolute"),
        (lambda y, c: np.array(encode_loop(y, c)) + 1, "count from 0"),
        (lambda y, c: [max(0, sum(c < value) - 1) for value in y], "below"),
        (lambda y, c: np.argmax(abs(y[:, None] - c), 1), "arg min"),
    ],
    "temporally_biased_mask": [
        (lambda T, H, tau: mask_torch(T, H, tau).transpose(1, 2), "transposed"),
        (lambda T, H, tau: mask_torch(T, H, tau + 1), "age >= tau is hidden"),
        (mask_without_band, "never cut off"),
        (mask_symmetric, "future shows"),
        (mask_other_slopes, "2^(-8h/H)"),
        (lambda T, H, tau: mask_torch(T, H, tau).flip(0), "reverse order"),
        (lambda T, H, tau: (mask_torch(T, H, tau) > -1e8).float(), "after the softmax"),
        (lambda T, H, tau: mask_torch(T, H, tau)[0], "one per head"),
        (
            lambda T, H, tau: torch.where(
                mask_torch(T, H, tau) < -1e8, -math.inf, -mask_torch(T, H, tau)
            ),
            "negative",
        ),
    ],
    "top_k_probabilities": [
        (lambda x, k: torch.tensor(x).softmax(0), "nothing is cut"),
        (
            lambda x, k: torch.where(top_k_torch(x, k) > 0, torch.tensor(x).softmax(0), 0.0),
            "sum to 1",
        ),
        (
            lambda x, k: torch.where(top_k_torch(x, k) > 0, torch.tensor(x), 0.0).softmax(0),
            "-inf, not with 0",
        ),
        (lambda x, k: top_k_torch(x, k + 1), "one bin too many"),
        (lambda x, k: torch.tensor(x).topk(k).values.softmax(0), "keep all D places"),
        (lambda x, k: (top_k_torch(x, k) > 0) / k, "equally likely"),
    ],
    "discriminator_loss": [
        (lambda D, r, f: 0.5 * (D(r) - 1).square().mean() + 0.5 * D(f).square().mean(), "before D"),
        (
            lambda D, r, f: 0.5 * (D(r) - 1).square().mean() + 0.5 * D(f).detach().square().mean(),
            "not after",
        ),
        (
            lambda D, r, f: (
                0.5 * (D(r.detach()).detach() - 1).square().mean()
                + 0.5 * D(f.detach()).square().mean()
            ),
            "does not learn",
        ),
        (
            lambda D, r, f: 0.5 * D(r).square().mean() + 0.5 * (1 - D(f.detach())).square().mean(),
            "exchanged",
        ),
        (lambda D, r, f: (D(r) - 1).square().mean() + D(f.detach()).square().mean(), "1/2"),
        (lambda D, r, f: 0.5 * (D(r) - 1).square().mean(), "only the real"),
        (
            lambda D, r, f: 0.5 * (D(r) - 1).square().sum() + 0.5 * D(f.detach()).square().sum(),
            "mean",
        ),
    ],
    "generator_loss": [
        (lambda D, f: 0.5 * D(f).square().mean(), "taken for real"),
        (lambda D, f: (D(f) - 1).square().mean(), "1/2"),
        (lambda D, f: 0.5 * (D(f.detach()) - 1).square().mean(), "do not detach"),
        (lambda D, f: -0.5 * (D(f)).square().mean(), "sign"),
        (lambda D, f: 0.5 * (D(f) - 1).abs().mean(), "squared"),
    ],
    "psnr": [
        (wrap_psnr, "uint8"),
        (
            lambda a, b: 10 * np.log10(255**2 / np.mean(np.subtract(a, b).astype(float) ** 2)),
            "uint8",
        ),
        (lambda a, b: -10 * np.log10(np.mean((a.astype(float) - b) ** 2)), "peak is 1"),
        (
            lambda a, b: 20 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)),
            "already squared",
        ),
        (lambda a, b: 10 * math.log(255**2 / np.mean((a.astype(float) - b) ** 2)), "natural"),
        (lambda a, b: 10 * np.log10(255**2 / np.sum((a.astype(float) - b) ** 2)), "summed"),
    ],
    "relative_pose": [
        (lambda Y: np.hstack([Y[:, :17], Y[:, 17:] - Y[:, 17:].mean(0)]), "mean"),
        (lambda Y: Y - np.median(Y, 0), "AUs moved"),
        (lambda Y: np.hstack([Y[:, :17], Y[:, 17:] - Y[0, 17:]]), "first frame"),
        (lambda Y: np.hstack([Y[:, :17], Y[:, 17:] - np.median(Y[:, 17:])]), "its own median"),
        (lambda Y: np.hstack([Y[:, :20], Y[:, 20:] - np.median(Y[:, 20:], 0)]), "six pose columns"),
        (lambda Y: Y, "still absolute"),
    ],
    "draw_bin": [
        (lambda p, u: p.argmax(), "likeliest bin wins"),
        (lambda p, u: int(u * len(p)), "equally likely"),
        (lambda p, u: (np.cumsum(p) < u).sum() - 1, "too low"),
        (lambda p, u: next((d for d in range(len(p)) if p[d] > u), 0), "running total"),
        (lambda p, u: np.cumsum(p)[draw_loop(p, u)], "not the bin"),
    ],
    "agreement": [
        (lambda a, b: np.cov(a, b)[0, 1], "covariance"),
        (lambda a, b: np.corrcoef(a, b)[0, 1] ** 2, "sign"),
        (lambda a, b: a @ b / np.linalg.norm(a) / np.linalg.norm(b), "means were left in"),
        (lambda a, b: np.corrcoef(a, b), "[0, 1]"),
        (lambda a, b: np.mean(abs(a - b)), "distance"),
        (lambda a, b: np.cov(a, b)[0, 1] / a.std() / b.std(), "T - 1"),
    ],
    "same_loudness": [
        (lambda x: x * (0.1 / np.sqrt(np.mean(np.square(x)))), "wrap around"),
        (lambda x: 0.1 * x / np.abs(x.astype(float)).max(), "same peak"),
        (lambda x: 0.1 * x / np.mean(x.astype(float) ** 2), "root is missing"),
        (lambda x: x / np.sqrt(np.mean(x.astype(float) ** 2)), "level is 1"),
        (lambda x: 0.1 * x / np.linalg.norm(x.astype(float)), "summed"),
        (lambda x: 0.1 / np.sqrt(np.mean(x.astype(float) ** 2)), "not the wave"),
    ],
    "repair": [
        (lambda y, s: y, "meaningless"),
        (lambda y, s: y * s, "are 0 now"),
        (lambda y, s: y[s == 1], "slips"),
        (lambda y, s: np.where(s == 1, y, y[s == 1].mean()), "mean of the clip"),
        (lambda y, s: np.where(s == 1, y, np.nan), "NaN"),
    ],
    "decode": [
        (lambda y, low, high, D: low + y * (high - low) / D, "lower edges"),
        (lambda y, low, high, D: np.linspace(low, high, D)[y], "half a bin inside"),
        (lambda y, low, high, D: (y + 0.5) * (high - low) / D, "add low"),
        (lambda y, low, high, D: low + (y + 1) * (high - low) / D, "upper edges"),
        (lambda y, low, high, D: y, "still bins"),
    ],
    "next_bin": [
        (
            lambda y, D: [
                [((y[:-1] == i) & (y[1:] == j)).sum() for j in range(D)] for i in range(D)
            ],
            "counts",
        ),
        (lambda y, D: table_loop(y, D).T, "exchanged"),
        (lambda y, D: table_loop(np.append(y, y[0]), D), "does not close"),
        (
            lambda y, D: np.histogram2d(y[:-1], y[1:], D, [[0, D]] * 2)[0] / (len(y) - 1),
            "whole table",
        ),
        (lambda y, D: np.where((t := table_loop(y, D)).sum(1, keepdim=True) > 0, t, np.nan), "NaN"),
    ],
    "attention": [
        (lambda Q, K, V, M: weights((Q @ K.T + M) / Q.shape[1] ** 0.5) @ V, "inside the scaling"),
        (lambda Q, K, V, M: weights(Q @ K.T + M) @ V, "not divided"),
        (lambda Q, K, V, M: weights(Q @ K.T / Q.shape[1] + M) @ V, "square root"),
        (lambda Q, K, V, M: attention_torch(K, Q, V, M), "exchanged"),
        (lambda Q, K, V, M: weights((Q @ K.T / Q.shape[1] ** 0.5 + M).T).T @ V, "each column"),
        (lambda Q, K, V, M: weights(Q @ K.T / Q.shape[1] ** 0.5) @ V, "mask is missing"),
        (lambda Q, K, V, M: weights(Q @ K.T / Q.shape[1] ** 0.5 + M), "mix the values"),
    ],
    "frames_reached": [
        (lambda L, tau: tau, "one layer"),
        (lambda L, tau: L * tau, "share a frame"),
        (lambda L, tau: L * (tau - 1), "itself is missing"),
        (lambda L, tau: tau**L, "multiply"),
    ],
    "shift": [
        (lambda y, D: y, "not moved"),
        (lambda y, D: np.roll(y, 1, 0), "np.roll"),
        (shifted(0), "bin 0"),
        (lambda y, D: shifted(D - 1)(y, D), "D - 1"),
        (lambda y, D: shifted(D, 2)(y, D), "move by one"),
        (lambda y, D: np.vstack([y[1:], np.full(23, D)]), "future"),
        (shifted(-1), "embedding"),
    ],
    "bits": [
        (lambda p, y: np.mean([-math.log(row[d]) for row, d in zip(p, y)]), "nats"),
        (lambda p, y: np.sum([-math.log2(row[d]) for row, d in zip(p, y)]), "summed"),
        (lambda p, y: np.mean([math.log2(row[d]) for row, d in zip(p, y)]), "sign"),
        (
            lambda p, y: -math.log2(np.mean([row[d] for row, d in zip(p, y)])),
            "before the logarithm",
        ),
        (lambda p, y: -(p * np.log2(p)).sum() / len(p), "entropy"),
    ],
    "attribute_loss": [
        (lambda a, z, s: np.square(a - z).sum(1).mean(), "raw units"),
        (lambda a, z, s: np.mean(((a - z) / s) ** 2), "a norm sums"),
        (lambda a, z, s: np.linalg.norm((a - z) / s, axis=1).mean(), "root was taken"),
        (lambda a, z, s: np.sum(((a - z) / s) ** 2), "batch is summed"),
        (lambda a, z, s: np.mean(np.sum((a - z) ** 2 / s, axis=1)), "before you square"),
    ],
    "lmd": [
        (lambda a, b: np.linalg.norm(a - b, axis=2).mean(), "centres are still in"),
        (lambda a, b: 20 * RIGHT["lmd"][0](a, b), "20 times"),
        (lambda a, b: np.linalg.norm(a - a.mean(0) - b + b.mean(0), axis=2).mean(), "axis 1"),
        (
            lambda a, b: np.linalg.norm(a - b - (a - b).mean((0, 1)), axis=2).mean(),
            "serves all frames",
        ),
        (
            lambda a, b: np.abs(a - b - (a - b).mean(1, keepdims=True)).sum(2).mean(),
            "absolute values",
        ),
        (lambda a, b: a.shape[0] * 20 * RIGHT["lmd"][0](a, b), "frames and points are summed"),
    ],
    "find_lag": [
        (lambda a, b, most: -lag_by_numpy(a, b, most), "sign is turned"),
        (lambda a, b, most: lag_by_numpy(a, b, most) + most, "begins at -most"),
        (lambda a, b, most: abs(lag_by_numpy(a, b, most)), "two faults"),
        (lambda a, b, most: lag_by_numpy(a, b, most) + 1, "off by one"),
        (lambda a, b, most: lag_by_numpy(a, b, most) / 25, "give frames"),
    ],
    "to_25_fps": [
        (lambda y, fps: y, "would last six"),
        (
            lambda y, fps: [y[int(t * fps / 25)] for t in range(len(y) * 25 // fps)],
            "dropped or doubled",
        ),
        (
            lambda y, fps: np.interp(
                np.arange(len(y) * 25 // fps) / 25, np.arange(len(y)) / fps, y
            ),
            "beginnings",
        ),
        (
            lambda y, fps: np.interp(
                np.linspace(0, 1, len(y) * 25 // fps), np.linspace(0, 1, len(y)), y
            ),
            "stretched",
        ),
    ],
    "pinned_run": [
        (unpinned_then_painted, "painted over"),
        (lambda step, y, T, pins: [y := step(y) for _ in range(T)], "nothing is pinned"),
        (lambda step, y, T, pins: [y := pins.get(t, step(y)) for t in range(T)], "one frame late"),
        (
            lambda step, y, T, pins: [y := step(y) + pins.get(t, 0) for t in range(1, T + 1)],
            "is added",
        ),
        (lambda step, y, T, pins: [y] + pinned_recursive(step, y, T, pins), "y0 is returned too"),
        (
            lambda step, y, T, pins: [y] + pinned_recursive(step, y, T - 1, pins),
            "y0 is returned instead",
        ),
    ],
}


def cases(bank):
    return [(name, i) for name in bank for i in range(len(bank[name]))]


@pytest.mark.parametrize("name, i", cases(RIGHT))
def test_right_answers_are_accepted(name, i):
    assert checks.all_checks()[name].verdict(RIGHT[name][i]).startswith("right: ")


@pytest.mark.parametrize("name, i", cases(WRONG))
def test_wrong_answers_are_rejected_with_a_sentence_that_names_the_misconception(name, i):
    wrong, words = WRONG[name][i]
    sentence = checks.all_checks()[name].verdict(wrong)
    assert sentence.startswith("not right: ") and words in sentence, sentence


def test_every_check_has_two_right_answers_and_four_wrong_ones_with_sentences_of_their_own():
    assert set(RIGHT) == set(WRONG) == set(checks.all_checks())
    for name in RIGHT:
        assert len(RIGHT[name]) >= 2 and len(WRONG[name]) >= 4
        sentences = {checks.all_checks()[name].verdict(wrong) for wrong, _ in WRONG[name]}
        assert len(sentences) >= 4


def test_every_chapter_has_three_checks_and_all_have_24():
    chapters = {check.chapter for check in checks.all_checks().values()}
    assert [chapter[:2] for chapter in sorted(chapters)] == [f"{n:02}" for n in range(8)]
    each = [check.chapter for check in checks.all_checks().values()]
    assert len(each) >= 24 and min(map(each.count, chapters)) >= 3


@pytest.mark.parametrize("name", sorted(RIGHT))
def test_a_stub_gets_a_friendly_not_yet_and_an_exception_a_sentence(name, capsys):
    check = checks.all_checks()[name]
    check(lambda *arguments: ...)
    check(lambda *arguments: None)
    assert capsys.readouterr().out.count("not yet: ") == 2

    def stops(*arguments):
        raise IndexError("list index out of range")

    stopped = check.verdict(stops)
    assert stopped == "not right: your function stops with IndexError: list index out of range"
    assert check.verdict(lambda *arguments: "words").startswith("not right: ")
    no_such_shape = check.verdict(lambda *arguments: np.zeros((1, 2, 3, 4)))
    assert no_such_shape.startswith("not right: the shape")


def as_torch(function):
    return lambda *given: function(
        *(torch.from_numpy(x) if isinstance(x, np.ndarray) else x for x in given)
    )


def test_the_checks_agree_with_the_package():
    from dirfa_edu import Discretizer, animation, audio, losses, masks, metrics

    package = {
        "frames_of": audio.frame_count,
        "same_loudness": lambda x: x * audio.loudness_gain(x.astype(np.float64)),
        "repair": lambda y, s: animation._fill(y[:, None], s == 1, "a file")[:, 0],
        "encode": lambda y, c: Discretizer(
            np.full(1, c[0] - (c[1] - c[0]) / 2), np.full(1, c[-1] + (c[1] - c[0]) / 2), len(c)
        ).encode(y[:, None])[:, 0],
        "decode": lambda y, low, high, D: Discretizer(np.full(1, low), np.full(1, high), D).decode(
            y[:, None]
        )[:, 0],
        "temporally_biased_mask": masks.temporally_biased_mask,
        "bits": as_torch(
            lambda p, y: (
                losses.cross_entropy(p.log()[None, :, None], y[None, :, None]) / math.log(2)
            )
        ),
        "discriminator_loss": lambda D, real, fake: losses.lsgan_discriminator(
            D(real), D(fake.detach())
        ),
        "generator_loss": lambda D, fake: losses.lsgan_generator(D(fake)),
        "attribute_loss": as_torch(
            lambda z_hat, z, scale: losses.attribute(None, z_hat / scale, z / scale)
        ),
        "psnr": metrics.psnr,
        "lmd": metrics.lmd,
        "to_25_fps": lambda y, fps: animation._resample(y[:, None], np.arange(len(y)) / fps)[:, 0],
    }
    for name, function in package.items():
        assert checks.all_checks()[name].verdict(function).startswith("right"), name


@pytest.mark.parametrize("name", sorted(RIGHT))
def test_each_misconception_of_the_bank_earns_its_own_sentence(name, monkeypatch):
    """None is right by accident, and none hides behind another."""
    from dirfa_edu.course.checks import judging

    check = checks.all_checks()[name]
    banks = []

    def judge(function, mistakes, **rest):
        banks.append(mistakes)
        return judging.judge(function, mistakes=mistakes, **rest)

    monkeypatch.setattr(sys.modules[check.verdict.__module__], "judge", judge)
    check.verdict(lambda *given: ...)
    for sentence, wrong in banks[0]:
        assert check.verdict(wrong) == f"not right: {sentence}"


@pytest.mark.parametrize("name", ["discriminator_loss", "generator_loss"])
def test_gradients_are_judged_where_a_notebook_has_switched_them_off(name):
    with torch.no_grad():
        test_right_answers_are_accepted(name, 0)
        for i in range(len(WRONG[name])):
            test_wrong_answers_are_rejected_with_a_sentence_that_names_the_misconception(name, i)


def test_a_function_that_writes_into_its_input_spoils_no_other_case():
    def in_place(Y):
        Y[:, 17:] -= np.median(Y[:, 17:], axis=0)
        return Y

    assert checks.relative_pose.verdict(in_place).startswith("right")


def test_checks_import_nothing_heavy():
    code = (
        "import sys, dirfa_edu.course.checks; "
        "print([m for m in ('torch', 'librosa', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
