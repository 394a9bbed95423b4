"""One frame after another, compiled: the twin of `MappingNetwork.decode_frame`.

Logits are equal to 1e-5 of the largest.

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


class Layer(NamedTuple):
    """The weights of one Block, as arrays of one kind: one compilation serves every network."""

    norm_attention: np.ndarray  # (2, d): gain and shift
    qkv: np.ndarray  # (d, 3 d)
    qkv_bias: np.ndarray
    out: np.ndarray  # (d, d)
    out_bias: np.ndarray
    norm_feed: np.ndarray  # (2, d)
    up: np.ndarray  # (d, 4 d)
    up_bias: np.ndarray
    down: np.ndarray  # (4 d, d)
    down_bias: np.ndarray


class FastEngine:
    """A network frame by frame for `rows` faces that hear the same sound.

    `engine(A, y, t)` is called for t = 0, 1, 2 ... in turn, as `sampling.PlainEngine` is. The
    weights are read once; what the network learns later does not count.
    """

    def __init__(self, network: "MappingNetwork", rows: int) -> None:
        c = self.config = network.config
        self.network = network
        state = network.state_dict()  # by name, as a file has them

        def array(name: str) -> np.ndarray:
            return state[name].float().contiguous().numpy()

        def linear(name: str) -> tuple[np.ndarray, np.ndarray]:
            return array(f"{name}.weight"), array(f"{name}.bias")

        def norm(name: str) -> np.ndarray:
            return np.stack(linear(name))  # (2, d): gain and shift

        def layer(name: str) -> Layer:
            attention = norm(f"{name}.norm_attention"), *linear(f"{name}.qkv")
            feed = norm(f"{name}.norm_feed"), *linear(f"{name}.feed.0"), *linear(f"{name}.feed.2")
            return Layer(*attention, *linear(f"{name}.out"), *feed)

        mean, whiten = array("audio_mean"), array("audio_whiten")
        W, b = linear("audio.0")  # whitening becomes a part of the first layer
        self.ear = (whiten @ W, b - mean @ whiten @ W), linear("audio.3"), linear("audio.6")
        self.no_audio, self.values = array("no_audio"), linear("values")
        self.embedding = array("embedding.weight")[: None if c.probabilistic else 0]
        self.layers = [layer(f"blocks.{i}") for i in range(c.layers)]
        self.norm, self.head = norm("norm"), linear("head")
        self.relative = linear("relative") if network.relative else None
        shape = (2, rows, c.heads, c.tau, c.d_model // c.heads)
        self.rings = [np.zeros(shape, np.float32) for _ in self.layers]  # (2, B, H, tau, N_k)

    def __call__(self, A: Tensor, y: Tensor, t: int, pinned: Tensor | None = None) -> Tensor:
        """Audio (400,), bins of frame t-1 (B, 23), marks (23,) -> logits (B, 23, D), or (B, 23)."""
        B, D, tau = len(y), self.config.bins, self.config.tau
        before = y.contiguous().numpy()
        if not self.config.history:
            before = np.full_like(before, D)
        bias = self.network.ring_mask(t).numpy()  # (H, tau)
        slot, filled = t % tau, min(t + 1, tau)

        heard = self.hear(A.contiguous().numpy()) + self.extra(t, pinned)  # (d,)
        x = product(levels(before, D), *self.values)  # (B, d)
        add_tokens(x, heard, before, D, self.embedding)
        for weights, ring in zip(self.layers, self.rings, strict=True):
            block(x, weights, ring, bias, slot, filled)
        x = layer_norm(x, self.norm)
        logits = product(x, *self.head)  # (B, 23 D)
        if self.relative:
            add_relative(logits, product(x, *self.relative), before, D)
        out = torch.from_numpy(logits)
        return out.view(B, N_ATTRIBUTES, -1) if self.config.probabilistic else out

    def hear(self, A: np.ndarray) -> np.ndarray:
        """`MappingNetwork.hear` for one row (400,) -> (d,)."""
        if A[0] == NO_AUDIO:
            return self.no_audio
        first, second, third = self.ear
        hidden = silu(product(A[None], *first))
        hidden = silu(product(hidden, *second))
        return product(hidden, *third)[0]

    def extra(self, t: int, pinned: Tensor | None) -> np.ndarray:
        """What else a token is made of, (d,): marks of what is held, a position if it has one."""
        out = np.zeros(self.config.d_model, np.float32)
        if pinned is not None:
            out += (pinned.float() @ self.network.pinned.detach()).numpy()
        if self.config.bias == "sinusoidal":
            out += sinusoid(torch.tensor([t]), self.config.d_model)[0].numpy()
        return out


@compiled
def block(
    x: np.ndarray, w: Layer, ring: np.ndarray, bias: np.ndarray, slot: int, filled: int
) -> None:
    """One layer, in place of its input x (B, d); ring, bias and the rest as in `attend`."""
    normed = layer_norm(x, w.norm_attention)
    qkv = product(normed, w.qkv, w.qkv_bias)  # (B, 3 d)
    context = attend(qkv, ring, bias, slot, filled)  # (B, d)
    add(x, product(context, w.out, w.out_bias))
    normed = layer_norm(x, w.norm_feed)
    hidden = silu(product(normed, w.up, w.up_bias))  # (B, 4 d)
    add(x, product(hidden, w.down, w.down_bias))


@compiled
def levels(y: np.ndarray, D: int) -> np.ndarray:
    """Bins (B, 23) as numbers from -1 to 1, their middles; bin D, "before the clip", is 0."""
    out = np.zeros(y.shape, np.float32)
    for b in range(len(y)):
        for j in range(y.shape[1]):
            if y[b, j] < D:
                out[b, j] = np.float32(2 * y[b, j] + 1) / np.float32(D) - np.float32(1)
    return out


@compiled_in_order
def add_tokens(
    x: np.ndarray, heard: np.ndarray, y: np.ndarray, D: int, embedding: np.ndarray
) -> None:
    """Add what is heard (d,) and the embeddings of bins y (B, 23), if any, to x (B, d)."""
    B, J = y.shape
    fours = J // 4 * 4 if len(embedding) else 0
    for b in range(B):
        row = x[b]
        for n in range(len(row)):
            row[n] += heard[n]
        for j in range(0, fours, 4):  # four at a time, so that memory fetches them together
            e0, e1 = embedding[j * (D + 1) + y[b, j]], embedding[(j + 1) * (D + 1) + y[b, j + 1]]
            e2 = embedding[(j + 2) * (D + 1) + y[b, j + 2]]
            e3 = embedding[(j + 3) * (D + 1) + y[b, j + 3]]
            for n in range(len(row)):
                row[n] = row[n] + e0[n] + e1[n] + e2[n] + e3[n]
        for j in range(fours, J if fours else 0):
            e0 = embedding[j * (D + 1) + y[b, j]]
            for n in range(len(row)):
                row[n] += e0[n]


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
            K, V = ring[0, b, h], ring[1, b, h]  # (tau, N_k)
            for n in range(N):
                K[slot, n] = qkv[b, d + first + n]
                V[slot, n] = qkv[b, 2 * d + first + n]
            for s in range(filled):
                score = np.float32(0)
                for n in range(N):
                    score += qkv[b, first + n] * K[s, n]
                W[s] = score / np.float32(math.sqrt(N)) + bias[h, s]
            softmax(W)
            for s in range(filled):
                for n in range(N):
                    context[b, first + n] += W[s] * V[s, n]
    return context


@compiled
def softmax(x: np.ndarray) -> None:
    """Softmax of one row, in its place."""
    top, total = x[0], np.float32(0)
    for i in range(len(x)):
        top = max(top, x[i])
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
    """Add near (B, 23 (2 reach + 1)) to logits (B, 23 D) about the last frame's bins y (B, 23)."""
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
        last = min(first + TILE, N)
        for i in range(0, shared, 4):
            four_rows(x[i : i + 4], W, b, first, last, sums, out[i : i + 4])
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
    x: np.ndarray,
    W: np.ndarray,
    b: np.ndarray,
    first: int,
    last: int,
    sums: np.ndarray,
    out: np.ndarray,
) -> None:
    """x (4, K) times W (K, N), plus b (N,), into out (4, N): columns `first` up to `last`.

    Each row of W is cut by itself: then the compiler knows that numbers lie side by side, which of
    a cut through all rows it does not. The sums (4 TILE,) stand in one array, TILE apart: of four
    arrays it could not know that they do not overlap, and would add one number at a time.
    """
    K, N = len(W), last - first
    fours = K // 4 * 4
    for i in range(4):
        for n in range(N):
            sums[i * TILE + n] = b[first + n]
    for k in range(0, fours, 4):
        p0, p1, p2, p3 = x[0, k], x[0, k + 1], x[0, k + 2], x[0, k + 3]
        q0, q1, q2, q3 = x[1, k], x[1, k + 1], x[1, k + 2], x[1, k + 3]
        r0, r1, r2, r3 = x[2, k], x[2, k + 1], x[2, k + 2], x[2, k + 3]
        s0, s1, s2, s3 = x[3, k], x[3, k + 1], x[3, k + 2], x[3, k + 3]
        W0, W1 = W[k, first:last], W[k + 1, first:last]
        W2, W3 = W[k + 2, first:last], W[k + 3, first:last]
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
                sums[i * TILE + n] = sums[i * TILE + n] + x[i, k] * W[k, first + n]
    for i in range(4):
        for n in range(N):
            out[i, first + n] = sums[i * TILE + n]
