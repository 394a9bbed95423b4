"""Frame by frame: what `MappingNetwork.step` computes, for one face and for several, without
torch's modules.

A face drawn frame by frame reads each weight once and uses it once, so memory sets the pace, and
the hundred small calls that a frame is in torch would take as long again: `frame` is plain loops
that numba compiles. Several faces share each weight, and torch's products are faster then:
`frames`.

Paper: Eq. 1, 3. Notebook: 03_biased_mask (the ring), 04_mapper.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..audio import NO_AUDIO
from . import compiled


def views(network: nn.Module, rows: int) -> tuple:
    """The weights of a MappingNetwork as `frame` (one row) or `frames` take them. Whitening becomes
    a part of the first layer; all others are views, not copies."""

    def array(x: Tensor) -> np.ndarray:
        return x.detach().numpy()

    probabilistic = network.config.probabilistic
    plain = array if rows == 1 and probabilistic else Tensor.detach  # torch multiplies several rows

    def pair(layer: nn.Module, kind=array) -> tuple:
        return kind(layer.weight), kind(layer.bias)

    W, b = (part.detach() for part in (network.audio[0].weight, network.audio[0].bias))
    first = (
        array(network.audio_whiten @ W),
        array(b - network.audio_mean @ network.audio_whiten @ W),
    )
    audio = first, pair(network.audio[3]), pair(network.audio[6]), array(network.no_audio)
    token = (
        array(network.embedding.weight if probabilistic else network.embedding.weight[:0]),
        pair(network.values),
    )
    blocks = tuple(
        (
            pair(b.norm_attention),
            pair(b.qkv, plain),
            pair(b.out, plain),
            pair(b.norm_feed),
            pair(b.feed[0], plain),
            pair(b.feed[2], plain),
        )
        for b in network.blocks
    )
    none = plain(torch.zeros(network.config.d_model, 0)), plain(torch.zeros(0))
    steps = pair(network.steps, plain) if network.steps else none
    return audio, token, blocks, pair(network.norm), pair(network.head, plain), steps


def frames(
    A: Tensor,
    y: Tensor,
    more: np.ndarray,
    D: int,
    weights: tuple,
    rings: tuple,
    bias: np.ndarray,
    slot: int,
    filled: int,
) -> Tensor:
    """`frame` for several rows: audio A (n, 400), each for B / n rows, bins y (B, 23) -> logits (B,
    23 D), or values (B, 23)."""
    audio, token, blocks, norm, head, steps = weights
    heard = np.stack([hear(row, audio) for row in A.numpy()]) + more  # (n, d)
    # (B, d)
    x = torch.from_numpy(tokens(heard.repeat(len(y) // len(A), axis=0), y.numpy(), D, token))
    for (attention_norm, qkv, out, feed_norm, up, down), ring in zip(blocks, rings):
        # (B, 3 d)
        mixed = torch.addmm(qkv[1], torch.from_numpy(normed(x.numpy(), attention_norm)), qkv[0])
        context = torch.from_numpy(attend(mixed.numpy(), ring, bias, slot, filled))
        x += torch.addmm(out[1], context, out[0])
        # (B, 4 d)
        hidden = torch.addmm(up[1], torch.from_numpy(normed(x.numpy(), feed_norm)), up[0])
        x += torch.addmm(down[1], F.silu(hidden, inplace=True), down[0])
    x = torch.from_numpy(normed(x.numpy(), norm))
    logits, near = torch.addmm(head[1], x, head[0]), torch.addmm(steps[1], x, steps[0])
    follow(logits.numpy(), near.numpy(), y.numpy(), D)
    return logits


@compiled
def frame(
    a: np.ndarray,
    y: np.ndarray,
    more: np.ndarray,
    D: int,
    weights: tuple,
    rings: tuple,
    bias: np.ndarray,
    slot: int,
    filled: int,
) -> np.ndarray:
    """Audio a (400,), bins y (1, 23) of the frame before, what else the token is made of (d,) ->
    logits (23 D,).

    Rings are (2, 1, H, tau, N_k), bias (H, tau): see `attend`.
    """
    audio, token, blocks, norm, head, steps = weights
    x = tokens((hear(a, audio) + more).reshape(1, -1), y, D, token)  # (1, d)
    for i in range(len(blocks)):
        attention_norm, qkv, out, feed_norm, up, down = blocks[i]
        mixed = product(normed(x, attention_norm)[0], qkv)  # (3 d,)
        x += product(attend(mixed.reshape(1, -1), rings[i], bias, slot, filled)[0], out)
        x += product(silu(product(normed(x, feed_norm)[0], up)), down)
    x = normed(x, norm)
    logits, near = product(x[0], head), product(x[0], steps)
    follow(logits.reshape(1, -1), near.reshape(1, -1), y, D)
    return logits


@compiled
def follow(logits: np.ndarray, near: np.ndarray, y: np.ndarray, D: int) -> None:
    """Add near (B, 23 (2 reach + 1)) to logits (B, 23 D), in their place, about bins y (B, 23) of
    the frame before."""
    width = near.shape[1] // y.shape[1]  # 2 reach + 1
    for b in range(len(y)):
        for j in range(y.shape[1]):
            for r in range(width):
                there = y[b, j] + r - width // 2
                if 0 <= there < D and y[b, j] < D:
                    logits[b, j * D + there] += near[b, j * width + r]


@compiled
def tokens(x: np.ndarray, y: np.ndarray, D: int, token: tuple) -> np.ndarray:
    """What is heard (B, d) plus what bins y (B, 23) of the frame before say, in its place."""
    embedding, values = token
    J = y.shape[1]
    fours = J // 4 * 4
    for b in range(len(x)):
        if len(embedding):
            rows = np.arange(J) * (D + 1) + y[b]
            # four at a time: memory is asked for the next before the last has come
            for j in range(0, fours, 4):
                r0, r1, r2, r3 = rows[j], rows[j + 1], rows[j + 2], rows[j + 3]
                for n in range(x.shape[1]):
                    x[b, n] = (
                        x[b, n]
                        + embedding[r0, n]
                        + embedding[r1, n]
                        + embedding[r2, n]
                        + embedding[r3, n]
                    )
            for j in range(fours, J):
                x[b] += embedding[rows[j]]
        level = np.zeros(J, np.float32)
        for j in range(J):
            if y[b, j] < D:  # bin D means "before the clip"
                level[j] = np.float32(2 * y[b, j] + 1) / np.float32(D) - np.float32(1)
        x[b] += product(level, values)
    return x


@compiled
def hear(a: np.ndarray, audio: tuple) -> np.ndarray:
    """`MappingNetwork.hear` for one row (400,) -> (d,)."""
    first, second, third, no_audio = audio
    return (
        no_audio.copy()
        if a[0] == NO_AUDIO
        else product(silu(product(silu(product(a, first)), second)), third)
    )


@compiled
def attend(
    mixed: np.ndarray, ring: np.ndarray, bias: np.ndarray, slot: int, filled: int
) -> np.ndarray:
    """Eq. 1 for one frame: queries, keys and values (B, 3 d) -> context (B, d).

    The ring (2, B, H, tau, N_k) holds `filled` frames of keys and values; those of this frame go to
    `slot`, over the oldest. bias (H, tau) is the frame's row of the mask in the ring's order.
    """
    _, B, H, _, N = ring.shape
    context, W = np.zeros((B, H * N), np.float32), np.empty(filled, np.float32)
    for b in range(B):
        for h in range(H):
            mine, K, V = slice(h * N, (h + 1) * N), ring[0, b, h], ring[1, b, h]  # K, V (tau, N_k)
            Q, out = mixed[b, mine], context[b, mine]
            K[slot], V[slot] = mixed[b, H * N :][mine], mixed[b, 2 * H * N :][mine]
            for s in range(filled):
                score = np.float32(0)
                for n in range(N):
                    score += Q[n] * K[s, n]
                W[s] = score / np.float32(math.sqrt(N)) + bias[h, s]
            top, total = W.max(), np.float32(0)
            for s in range(filled):
                W[s] = math.exp(W[s] - top)
                total += W[s]
            for s in range(filled):
                for n in range(N):
                    out[n] += W[s] / total * V[s, n]
    return context


@compiled
def normed(x: np.ndarray, norm: tuple) -> np.ndarray:
    """Layer normalization of rows (B, d)."""
    gain, shift = norm
    out, d = np.empty_like(x), x.shape[1]
    for b in range(len(x)):
        mean, variance = np.float32(0), np.float32(0)
        for i in range(
            d
        ):  # numba adds up a loop's numbers several at a time, but not those of `x.mean()`
            mean += x[b, i] / np.float32(d)
        for i in range(d):
            variance += (x[b, i] - mean) ** 2 / np.float32(d)
        scale = np.float32(1 / math.sqrt(variance + 1e-5))
        for i in range(d):
            out[b, i] = (x[b, i] - mean) * scale * gain[i] + shift[i]
    return out


@compiled
def silu(x: np.ndarray) -> np.ndarray:
    """SiLU of one row, in its place."""
    for i in range(len(x)):
        x[i] /= np.float32(1) + math.exp(-x[i])
    return x


@compiled
def product(x: np.ndarray, linear: tuple) -> np.ndarray:
    """One row x (K,) times W (K, N), plus b -> (N,). Four rows of W at a time, so the sums are
    written less often."""
    W, b = linear
    out, fours = b.copy(), len(x) // 4 * 4
    for k in range(0, fours, 4):
        x0, x1, x2, x3 = x[k], x[k + 1], x[k + 2], x[k + 3]
        for n in range(len(out)):
            out[n] += x0 * W[k, n] + x1 * W[k + 1, n] + x2 * W[k + 2, n] + x3 * W[k + 3, n]
    for k in range(fours, len(x)):
        for n in range(len(out)):
            out[n] += x[k] * W[k, n]
    return out
