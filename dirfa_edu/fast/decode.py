"""One frame after another, compiled: the twin of `MappingNetwork.decode_frame`, equal to 1e-5.

A face drawn frame by frame reads each weight once and uses it once, so memory sets the pace, and
the hundred small calls that a frame is in torch would take as long again. Here a frame is one
call of plain loops. Several faces share each weight while it is in the cache, and what a face gets
does not depend, to the last bit, on how many others there are.

Paper: Eq. 1, 3. Notebook: 03_biased_mask (the ring), 04_mapper.
"""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..animation import N_ATTRIBUTES
from ..audio import NO_AUDIO
from ..masks import sinusoid
from . import compiled, compiled_in_order

if TYPE_CHECKING:
    from ..mapper import MappingNetwork

TILE = 512  # outputs that four rows compute together: their sums stay in the first cache


class Weights(NamedTuple):
    """The weights of a MappingNetwork, those of its L layers stacked.

    Arrays of one kind whatever the sizes, so that one compilation serves every network.
    """

    hear_1: np.ndarray  # (400, hidden), the whitening is a part of it
    hear_1_bias: np.ndarray
    hear_2: np.ndarray  # (hidden, hidden)
    hear_2_bias: np.ndarray
    hear_3: np.ndarray  # (hidden, d)
    hear_3_bias: np.ndarray
    no_audio: np.ndarray  # (d,)
    embedding: np.ndarray  # (23 (D + 1), d), or no rows for a network without bins
    level: np.ndarray  # (23, d)
    level_bias: np.ndarray
    norm_attention: np.ndarray  # (L, 2, d): gain and shift
    qkv: np.ndarray  # (L, d, 3 d)
    qkv_bias: np.ndarray
    out: np.ndarray  # (L, d, d)
    out_bias: np.ndarray
    norm_feed: np.ndarray  # (L, 2, d)
    up: np.ndarray  # (L, d, 4 d)
    up_bias: np.ndarray
    down: np.ndarray  # (L, 4 d, d)
    down_bias: np.ndarray
    norm: np.ndarray  # (2, d)
    head: np.ndarray  # (d, 23 D)
    head_bias: np.ndarray
    relative: np.ndarray  # (d, 23 (2 reach + 1)), or no columns
    relative_bias: np.ndarray


def weights_of(network: "MappingNetwork") -> Weights:
    """Read the weights of a MappingNetwork once; what it learns later does not count."""
    state = network.state_dict()  # by name, as a file has them
    L, d = network.config.layers, network.config.d_model

    def array(x: Tensor) -> np.ndarray:
        return x.detach().float().contiguous().numpy()

    def stacked(name: str) -> np.ndarray:
        return np.stack([array(state[f"blocks.{i}.{name}"]) for i in range(L)])  # (L, ...)

    def stacked_norm(name: str) -> np.ndarray:
        return np.stack([stacked(f"{name}.weight"), stacked(f"{name}.bias")], axis=1)  # (L, 2, d)

    mean, whiten, first = state["audio_mean"], state["audio_whiten"], state["audio.0.weight"]
    table = state["embedding.weight"]
    return Weights(
        hear_1=array(whiten @ first),
        hear_1_bias=array(state["audio.0.bias"] - mean @ whiten @ first),
        hear_2=array(state["audio.3.weight"]),
        hear_2_bias=array(state["audio.3.bias"]),
        hear_3=array(state["audio.6.weight"]),
        hear_3_bias=array(state["audio.6.bias"]),
        no_audio=array(state["no_audio"]),
        embedding=array(table if network.config.probabilistic else table[:0]),
        level=array(state["values.weight"]),
        level_bias=array(state["values.bias"]),
        norm_attention=stacked_norm("norm_attention"),
        qkv=stacked("qkv.weight"),
        qkv_bias=stacked("qkv.bias"),
        out=stacked("out.weight"),
        out_bias=stacked("out.bias"),
        norm_feed=stacked_norm("norm_feed"),
        up=stacked("feed.0.weight"),
        up_bias=stacked("feed.0.bias"),
        down=stacked("feed.2.weight"),
        down_bias=stacked("feed.2.bias"),
        norm=array(torch.stack([state["norm.weight"], state["norm.bias"]])),
        head=array(state["head.weight"]),
        head_bias=array(state["head.bias"]),
        # a network without this head has one that says nothing
        relative=array(state.get("relative.weight", torch.zeros(d, 0))),
        relative_bias=array(state.get("relative.bias", torch.zeros(0))),
    )


class FastEngine:
    """A network frame by frame for `rows` faces that hear the same sound.

    `engine(A, y, t)` is called for t = 0, 1, 2 ... in turn, as `sampling.PlainEngine` is.
    """

    def __init__(self, network: "MappingNetwork", rows: int) -> None:
        config = network.config
        shape = (rows, config.heads, config.tau, config.d_model // config.heads)
        self.network, self.weights = network, weights_of(network)
        self.ring = np.zeros((config.layers, 2, *shape), np.float32)  # (L, 2, B, H, tau, N_k)

    def __call__(self, A: Tensor, y: Tensor, t: int, pinned: Tensor | None = None) -> Tensor:
        """Audio (400,), bins of frame t-1 (B, 23), marks (23,) -> logits (B, 23, D), or (B, 23)."""
        config = self.network.config
        if not config.history:
            y = torch.full_like(y, config.bins)
        extra = np.zeros(config.d_model, np.float32)  # what else the token is made of
        if pinned is not None:
            extra += (pinned.float() @ self.network.pinned.detach()).numpy()
        if config.bias == "sinusoidal":
            extra += sinusoid(torch.tensor([t]), config.d_model)[0].numpy()
        bias = self.network.ring_mask(t).numpy()  # (H, tau)
        filled = min(t + 1, config.tau)
        heard, before = A.contiguous().numpy(), y.contiguous().numpy()
        logits = frame(heard, before, extra, config.bins, self.weights, self.ring, bias, t, filled)
        if not config.probabilistic:
            return torch.from_numpy(logits)
        return torch.from_numpy(logits).view(len(y), N_ATTRIBUTES, -1)  # (B, 23, D)


@compiled
def frame(
    A: np.ndarray,
    y: np.ndarray,
    extra: np.ndarray,
    D: int,
    w: Weights,
    ring: np.ndarray,
    bias: np.ndarray,
    t: int,
    filled: int,
) -> np.ndarray:
    """Frame t: audio A (400,), bins y (B, 23) of the frame before -> logits (B, 23 D).

    `extra` (d,) is added to every token, `bias` (H, tau) is the frame's row of the mask in the
    ring's order, and `filled` slots of the ring (L, 2, B, H, tau, N_k) hold a frame.
    """
    x = tokens(hear(A, w) + extra, y, D, w)  # (B, d)
    slot = t % ring.shape[4]
    for layer in range(len(ring)):
        normed = layer_norm(x, w.norm_attention[layer])
        qkv = product(normed, w.qkv[layer], w.qkv_bias[layer])  # (B, 3 d)
        context = attend(qkv, ring[layer], bias, slot, filled)  # (B, d)
        add(x, product(context, w.out[layer], w.out_bias[layer]))
        normed = layer_norm(x, w.norm_feed[layer])
        hidden = silu(product(normed, w.up[layer], w.up_bias[layer]))  # (B, 4 d)
        add(x, product(hidden, w.down[layer], w.down_bias[layer]))
    x = layer_norm(x, w.norm)
    logits = product(x, w.head, w.head_bias)  # (B, 23 D)
    add_relative(logits, product(x, w.relative, w.relative_bias), y, D)
    return logits


@compiled
def hear(A: np.ndarray, w: Weights) -> np.ndarray:
    """`MappingNetwork.hear` for one row (400,) -> (d,)."""
    if A[0] == NO_AUDIO:
        return w.no_audio.copy()
    hidden = silu(product(A.reshape(1, -1), w.hear_1, w.hear_1_bias))
    hidden = silu(product(hidden, w.hear_2, w.hear_2_bias))
    return product(hidden, w.hear_3, w.hear_3_bias)[0]


@compiled_in_order
def tokens(heard: np.ndarray, y: np.ndarray, D: int, w: Weights) -> np.ndarray:
    """What is heard (d,) plus what bins y (B, 23) of the frame before say -> tokens (B, d)."""
    B, J = y.shape
    level = np.zeros((B, J), np.float32)
    for b in range(B):
        for j in range(J):
            if y[b, j] < D:  # bin D means "before the clip"
                level[b, j] = np.float32(2 * y[b, j] + 1) / np.float32(D) - np.float32(1)
    x = product(level, w.level, w.level_bias)  # (B, d)
    fours = J // 4 * 4
    for b in range(B):
        x[b] += heard
        if len(w.embedding):
            rows = np.arange(J) * (D + 1) + y[b]
            for j in range(0, fours, 4):  # four at a time: the next is asked for before one came
                e0, e1 = w.embedding[rows[j]], w.embedding[rows[j + 1]]
                e2, e3 = w.embedding[rows[j + 2]], w.embedding[rows[j + 3]]
                for n in range(x.shape[1]):
                    x[b, n] = x[b, n] + e0[n] + e1[n] + e2[n] + e3[n]
            for j in range(fours, J):
                x[b] += w.embedding[rows[j]]
    return x


@compiled
def attend(
    qkv: np.ndarray, ring: np.ndarray, bias: np.ndarray, slot: int, filled: int
) -> np.ndarray:
    """Eq. 1 for one frame: queries, keys and values (B, 3 d) -> context (B, d).

    The ring (2, B, H, tau, N_k) holds `filled` frames of keys and values; those of this frame go
    to `slot`, over the oldest.
    """
    _, B, H, _, N = ring.shape
    d = H * N
    context = np.zeros((B, d), np.float32)
    W = np.empty(filled, np.float32)
    for b in range(B):
        for h in range(H):
            first = h * N
            Q = qkv[b, first : first + N]
            K, V = ring[0, b, h], ring[1, b, h]  # (tau, N_k)
            K[slot] = qkv[b, d + first : d + first + N]
            V[slot] = qkv[b, 2 * d + first : 2 * d + first + N]
            for s in range(filled):
                score = np.float32(0)
                for n in range(N):
                    score += Q[n] * K[s, n]
                W[s] = score / np.float32(math.sqrt(N)) + bias[h, s]
            softmax(W)
            out = context[b, first : first + N]
            for s in range(filled):
                for n in range(N):
                    out[n] += W[s] * V[s, n]
    return context


@compiled
def softmax(x: np.ndarray) -> None:
    """Softmax of one row, in its place."""
    top, total = x.max(), np.float32(0)
    for i in range(len(x)):
        x[i] = math.exp(x[i] - top)
        total += x[i]
    for i in range(len(x)):
        x[i] /= total


@compiled
def layer_norm(x: np.ndarray, gain_and_shift: np.ndarray) -> np.ndarray:
    """Layer normalization of rows (B, d)."""
    gain, shift = gain_and_shift[0], gain_and_shift[1]
    out, d = np.empty_like(x), x.shape[1]
    for b in range(len(x)):
        mean, variance = np.float32(0), np.float32(0)
        for i in range(d):  # numba adds a loop's numbers several at a time, but not in `x.mean()`
            mean += x[b, i] / np.float32(d)
        for i in range(d):
            variance += (x[b, i] - mean) ** 2 / np.float32(d)
        scale = np.float32(1 / math.sqrt(variance + 1e-5))
        for i in range(d):
            out[b, i] = (x[b, i] - mean) * scale * gain[i] + shift[i]
    return out


@compiled
def silu(x: np.ndarray) -> np.ndarray:
    """SiLU of rows (B, n), in their place."""
    for b in range(len(x)):
        for i in range(x.shape[1]):
            x[b, i] /= np.float32(1) + math.exp(-x[b, i])
    return x


@compiled
def add(x: np.ndarray, more: np.ndarray) -> None:
    """x += more, both (B, n)."""
    for b in range(len(x)):
        for i in range(x.shape[1]):
            x[b, i] += more[b, i]


@compiled
def add_relative(logits: np.ndarray, near: np.ndarray, y: np.ndarray, D: int) -> None:
    """Add near (B, 23 (2 reach + 1)) to logits (B, 23 D) about bins y (B, 23) of the frame before."""
    B, J = y.shape
    width = near.shape[1] // J  # 2 reach + 1
    for b in range(B):
        for j in range(J):
            for r in range(width):
                there = y[b, j] + r - width // 2
                if 0 <= there < D and y[b, j] < D:
                    logits[b, j * D + there] += near[b, j * width + r]


@compiled_in_order
def product(x: np.ndarray, W: np.ndarray, b: np.ndarray) -> np.ndarray:
    """x (B, K) times W (K, N), plus b (N,) -> (B, N).

    Four rows of x together while there are four, so that what was read of W serves them all; those
    left over one by one. Both ways add the same numbers in the same order, and they are compiled
    to keep it: a row's bits do not depend on the other rows.
    """
    B, N = len(x), W.shape[1]
    out = np.empty((B, N), np.float32)
    shared = B // 4 * 4
    sums = np.empty(4 * TILE, np.float32)
    for first in range(0, N if shared else 0, TILE):
        tile = slice(first, min(first + TILE, N))
        for i in range(0, shared, 4):
            four_rows(x[i : i + 4], W[:, tile], b[tile], sums, out[i : i + 4, tile])
    for i in range(shared, B):
        one_row(x[i], W, b, out[i])
    return out


@compiled_in_order
def one_row(x: np.ndarray, W: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """x (K,) times W (K, N), plus b (N,), into out (N,): four rows of W at a time."""
    K, N = W.shape
    fours = K // 4 * 4
    for n in range(N):
        out[n] = b[n]
    for k in range(0, fours, 4):
        x0, x1, x2, x3 = x[k], x[k + 1], x[k + 2], x[k + 3]
        W0, W1, W2, W3 = W[k], W[k + 1], W[k + 2], W[k + 3]
        for n in range(N):
            out[n] = out[n] + x0 * W0[n] + x1 * W1[n] + x2 * W2[n] + x3 * W3[n]
    for k in range(fours, K):
        for n in range(N):
            out[n] = out[n] + x[k] * W[k, n]


@compiled_in_order
def four_rows(
    x: np.ndarray, W: np.ndarray, b: np.ndarray, sums: np.ndarray, out: np.ndarray
) -> None:
    """x (4, K) times W (K, N), plus b (N,), into out (4, N), for N up to TILE.

    The sums (4 TILE,) stand in one array, TILE apart: a compiler that cannot see that four arrays
    do not overlap would add one number at a time.
    """
    K, N = W.shape
    fours = K // 4 * 4
    for i in range(4):
        for n in range(N):
            sums[i * TILE + n] = b[n]
    for k in range(0, fours, 4):
        p0, p1, p2, p3 = x[0, k], x[0, k + 1], x[0, k + 2], x[0, k + 3]
        q0, q1, q2, q3 = x[1, k], x[1, k + 1], x[1, k + 2], x[1, k + 3]
        r0, r1, r2, r3 = x[2, k], x[2, k + 1], x[2, k + 2], x[2, k + 3]
        s0, s1, s2, s3 = x[3, k], x[3, k + 1], x[3, k + 2], x[3, k + 3]
        W0, W1, W2, W3 = W[k], W[k + 1], W[k + 2], W[k + 3]
        for n in range(N):
            w0, w1, w2, w3 = W0[n], W1[n], W2[n], W3[n]
            p, q, r, s = n, TILE + n, 2 * TILE + n, 3 * TILE + n
            sums[p] = sums[p] + p0 * w0 + p1 * w1 + p2 * w2 + p3 * w3
            sums[q] = sums[q] + q0 * w0 + q1 * w1 + q2 * w2 + q3 * w3
            sums[r] = sums[r] + r0 * w0 + r1 * w1 + r2 * w2 + r3 * w3
            sums[s] = sums[s] + s0 * w0 + s1 * w1 + s2 * w2 + s3 * w3
    for k in range(fours, K):
        for i in range(4):
            for n in range(N):
                sums[i * TILE + n] = sums[i * TILE + n] + x[i, k] * W[k, n]
    for i in range(4):
        for n in range(N):
            out[i, n] = sums[i * TILE + n]
