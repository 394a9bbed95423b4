"""The mapping network, a temporally-biased causal transformer: p(Y_t | Y_{t-tau:t-1}, A_{t-tau:t}).

One token a frame: the audio features of frame t plus an embedding of the 23 bins of frame t-1.
After L layers a single linear map gives 23 x D logits. The same weights run two ways: `forward`
over whole clips with the banded mask (training), and `decode_frame`, one frame after another, with
a ring of the last tau keys and values (sampling). The two agree but for rounding.

Paper: 3.2.2, Eq. 1, 3, 5. Notebook: 04_mapper.
"""

import copy
import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .animation import N_ATTRIBUTES
from .audio import NO_AUDIO
from .discretize import BINS, Discretizer
from .files import InputError, load_tensors, save_tensors
from .losses import around, cross_entropy
from .masks import TAU, ring_bias, sinusoid, temporally_biased_mask

AUDIO_HIDDEN = 512  # width of the audio encoder


@dataclass(frozen=True)
class MapperConfig:
    """Sizes of the mapping network. D and tau are the paper's, the others ours: it gives none."""

    bins: int = BINS  # D
    tau: int = TAU  # frames of context
    d_model: int = 160
    layers: int = 4  # L
    heads: int = 8  # H
    audio: int = 400  # numbers in one audio window
    dropout: float = 0.1
    # moves of up to so many bins get logits of their own, see `relative`; 0: the paper's head
    reach: int = 32
    bias: str = "alibi"  # or "single"; "none" and "sinusoidal" are the ablation "w/o TBM"
    bias_inside: bool = False  # True: mask inside the 1/sqrt(N_k) scaling, as Eq. 1 is printed
    steepness: float = 1.0  # what the slopes of the mask are multiplied by
    history: bool = True  # False: audio only, a baseline that never sees what it did before
    probabilistic: bool = True  # False: 23 regression outputs, the ablation "w/o Prob"


class Linear(nn.Linear):
    """nn.Linear with its weight stored as (inputs, outputs).

    A product with a single row, which is what sampling one face asks for, then reads memory in
    order: several times faster for the wide head.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.weight = nn.Parameter(self.weight.detach().t().contiguous())  # (inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 2:  # the same with less ado, which counts frame by frame
            return torch.addmm(self.bias, x, self.weight)
        return F.linear(x, self.weight.t(), self.bias)


class Block(nn.Module):
    """One transformer layer: biased causal attention, then a feed-forward network (pre-norm).

    Paper: Eq. 1. Notebook: 03_biased_mask.
    """

    def __init__(self, config: MapperConfig) -> None:
        super().__init__()
        d = config.d_model
        self.heads = config.heads
        self.norm_attention, self.norm_feed = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv = Linear(d, 3 * d)
        self.out = Linear(d, d)
        self.feed = nn.Sequential(
            Linear(d, 4 * d), nn.SiLU(), Linear(4 * d, d), nn.Dropout(config.dropout)
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, T, d), mask (H, T, T) -> (B, T, d)."""
        W, V = self.attend(x, mask)
        context = (W @ V).transpose(1, 2)  # (B, H, T, N_k) -> (B, T, H, N_k)
        x = x + self.out(context.reshape(x.shape))  # (B, T, H, N_k) -> (B, T, d)
        return x + self.feed(self.norm_feed(x))

    def attend(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Weights (B, H, T, T), each row of them summing to 1, and values (B, H, T, N_k)."""
        B, T, d = x.shape
        qkv = self.qkv(self.norm_attention(x)).view(B, T, 3, self.heads, -1)  # (B, T, 3, H, N_k)
        Q, K, V = qkv.permute(2, 0, 3, 1, 4)  # each (B, H, T, N_k)

        # in windows this short faster on a CPU than torch's scaled_dot_product_attention
        scores = Q / math.sqrt(Q.shape[-1]) @ K.transpose(-1, -2)  # (B, H, T, T)
        # without autocast, which would copy all scores to float32 and back
        with torch.autocast(x.device.type, enabled=False):
            return torch.softmax(scores + mask.to(scores.dtype), dim=-1), V

    def decode_frame(self, x: Tensor, K: Tensor, V: Tensor, slot: int, bias: Tensor) -> Tensor:
        """The same for one frame: x (B, d), bias (H, tau) -> (B, d).

        K and V (B, H, tau, N_k) are a ring of the last tau frames; this frame goes to `slot`.
        """
        B, H, _, N_k = K.shape
        qkv = self.qkv(self.norm_attention(x)).view(B, 3, H, N_k)
        q, K[:, :, slot], V[:, :, slot] = qkv.unbind(1)  # each (B, H, N_k)

        scores = (K @ q[..., None])[..., 0] / math.sqrt(N_k)  # (B, H, tau)
        W = torch.softmax(scores + bias, dim=-1)
        context = (W[..., None, :] @ V)[..., 0, :]  # (B, H, N_k)

        x = x + self.out(context.reshape(B, -1))  # (B, H, N_k) -> (B, d)
        return x + self.feed(self.norm_feed(x))


class MappingNetwork(nn.Module):
    """Audio and past animation -> a distribution over D bins for each of the 23 attributes.

    `network.discretizer` holds the bins' ranges once it is trained or loaded.
    Paper: Eq. 3. Notebook: 04_mapper.

    >>> network = MappingNetwork(MapperConfig(bins=10, d_model=16, layers=1, heads=2)).eval()
    >>> network(torch.zeros(1, 7, 400), network.start(1, 7)).shape
    torch.Size([1, 7, 23, 10])
    """

    # buffers: parts of the network that no training changes
    audio_mean: Tensor  # (400,)
    audio_whiten: Tensor  # (400, 400)
    rows: Tensor  # (23,), where each attribute's rows of the embedding begin

    def __init__(
        self, config: MapperConfig = MapperConfig(), discretizer: Discretizer | None = None
    ) -> None:
        super().__init__()
        if config.d_model % config.heads:
            raise InputError(
                f"d_model {config.d_model} must be a multiple of the {config.heads} heads"
            )
        self.config, self.discretizer = config, discretizer
        d, D = config.d_model, config.bins

        # the bins of the frame before: one table for all attributes, D + 1 rows each; row D is the
        # start token, "nothing before"
        self.embedding = nn.Embedding(N_ATTRIBUTES * (D + 1), d)
        nn.init.normal_(self.embedding.weight, std=0.03)
        self.register_buffer("rows", torch.arange(N_ATTRIBUTES) * (D + 1), persistent=False)
        # and the same bins as numbers: neighbours in value start out alike
        self.values = Linear(N_ATTRIBUTES, d)

        self.audio = nn.Sequential(
            Linear(config.audio, AUDIO_HIDDEN),
            nn.SiLU(),
            nn.Dropout(2 * config.dropout),
            Linear(AUDIO_HIDDEN, AUDIO_HIDDEN),
            nn.SiLU(),
            nn.Dropout(2 * config.dropout),
            Linear(AUDIO_HIDDEN, d),
        )
        # features are whitened first (see `whiten`): neighbouring mel frames are nearly copies of
        # each other, and the encoder would need several times as many steps to tell them apart
        self.register_buffer("audio_mean", torch.full((config.audio,), 0.35))
        self.register_buffer("audio_whiten", 5 * torch.eye(config.audio))
        self.no_audio = nn.Parameter(torch.zeros(d))  # stands for audio that is not to be heard

        # marks what is held from outside, see `Control`
        self.pinned = nn.Parameter(torch.zeros(N_ATTRIBUTES, d))

        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(d)
        self.head = Linear(d, N_ATTRIBUTES * (D if config.probabilistic else 1))
        # the same distribution seen from the last frame: a face mostly goes on from where it is,
        # which the plain head could only say by learning every bin's neighbours by heart
        has_relative = config.reach > 0 and config.probabilistic and config.history
        moves = 2 * config.reach + 1
        self.relative = Linear(d, N_ATTRIBUTES * moves) if has_relative else None

    @property
    def layers(self) -> list[Block]:
        """The L blocks, in order."""
        return [block for block in self.blocks if isinstance(block, Block)]

    @property
    def ranges(self) -> Discretizer:
        """The discretizer. Raises InputError for a network that was neither trained nor loaded."""
        if self.discretizer is None:
            raise InputError("this network has no bins: train it, load one, or set its discretizer")
        return self.discretizer

    def start(self, B: int, T: int = 1) -> Tensor:
        """Start tokens, bin D for every attribute: int64 (B, T, 23)."""
        return torch.full((B, T, N_ATTRIBUTES), self.config.bins, dtype=torch.int64)

    # ---- what goes in ----------------------------------------------------------------------------
    def whiten(self, A: Tensor, floor: float = 1e-3) -> None:
        """Take mean and spread of audio features A (n, 400) from training.

        From then on all their principal components come in with one variance, but for those under
        `floor` of the strongest, which would be noise.
        """
        variance, axes = torch.linalg.eigh(torch.cov(A.T))
        rate = (variance.clamp_min(0) + floor * variance.max()).rsqrt()
        deviation = (variance * rate.square()).mean().sqrt()  # of a feature after that
        self.audio_mean.copy_(A.mean(0))
        self.audio_whiten.copy_(axes @ torch.diag(rate / deviation) @ axes.T)

    def hear(self, A: Tensor) -> Tensor:
        """Audio features (..., 400) -> (..., d); a row of NO_AUDIO: the vector "not heard"."""
        heard = self.audio((A - self.audio_mean) @ self.audio_whiten)
        return torch.where(A[..., :1] == NO_AUDIO, self.no_audio.to(heard), heard)

    def token(
        self, heard: Tensor, y_previous: Tensor, t0: int = 0, pinned: Tensor | None = None
    ) -> Tensor:
        """Tokens (..., T, d) of frames t0, t0 + 1 ...: what is heard, and what was done before.

        `heard` is encoded audio (..., T, d), `y_previous` the bins of the frames before
        (..., T, 23), `pinned` marks like them.
        """
        D = self.config.bins
        if not self.config.history:
            y_previous = torch.full_like(y_previous, D)
        started = y_previous < D  # bin D means "before the clip"
        level = torch.where(started, (2 * y_previous + 1) / D - 1, 0)  # the bins' middles, -1 to 1
        x = heard + self.values(level.to(heard.dtype))
        if pinned is not None:
            x = x + pinned.to(x.dtype) @ self.pinned
        if self.config.probabilistic:
            rows = (y_previous + self.rows).flatten(0, -2)  # (..., T, 23) -> (... * T, 23)
            x = x + F.embedding_bag(rows, self.embedding.weight, mode="sum").view(x.shape)
        if self.config.bias == "sinusoidal":
            times = torch.arange(t0, t0 + y_previous.shape[-2])
            x = x + sinusoid(times, self.config.d_model).to(x)
        return x

    # ---- whole clips at once ---------------------------------------------------------------------
    def forward(self, A: Tensor, y_previous: Tensor, pinned: Tensor | None = None) -> Tensor:
        """A (B, T, 400), bins of the frame before (B, T, 23) -> logits (B, T, 23, D).

        Row t of `y_previous` holds the bins of frame t-1; row 0 of a clip holds the start token D.
        `pinned` (B, T, 23) marks attributes that somebody holds, so that the others follow them
        (see `control`). Without the probabilistic head the result is (B, T, 23), values scaled to
        0..1. Raises InputError for other shapes. Paper: Eq. 3. Notebook: 04_mapper.
        """
        return self.predict(self.hidden(A, y_previous, pinned), y_previous)

    def hidden(self, A: Tensor, y_previous: Tensor, pinned: Tensor | None = None) -> Tensor:
        """What the last layer says (B, T, d), from which `predict` reads the logits."""
        if A.shape[:2] != y_previous.shape[:2] or A.shape[-1] != self.config.audio:
            raise InputError(
                f"audio {tuple(A.shape)} and animation {tuple(y_previous.shape)} do not fit: "
                f"the network wants (B, T, {self.config.audio}) and (B, T, {N_ATTRIBUTES})"
            )
        x = self.token(self.hear(A), y_previous, pinned=pinned)
        mask = self.mask(A.shape[1]).to(x)
        for block in self.layers:
            x = block(x, mask)
        return x

    def mask(self, T: int) -> Tensor:
        """The mask of this configuration, (H, T, T)."""
        c = self.config
        return temporally_biased_mask(T, c.heads, c.tau, c.bias, self._slope_scale())

    def _slope_scale(self) -> float:
        """What the mask's slopes are multiplied by; inside Eq. 1's scaling they shrink with it."""
        c = self.config
        return c.steepness * ((c.d_model / c.heads) ** -0.5 if c.bias_inside else 1.0)

    def predict(self, x: Tensor, y_previous: Tensor) -> Tensor:
        """Hidden states (..., d), bins of the frame before (..., 23) -> logits (..., 23, D).

        Without the probabilistic head: values (..., 23).
        """
        x = self.norm(x)
        out = self.head(x)
        if not self.config.probabilistic:
            return out
        out = out.view(-1, self.config.bins)  # (..., 23 D) -> (... * 23, D)
        if self.relative is not None:
            moves = self.relative(x).view(len(out), -1)  # (... * 23, 2 reach + 1)
            near, outside = around(y_previous.flatten(), self.config.reach, self.config.bins)
            out = out.scatter_add(1, near, moves.masked_fill(outside, 0))
        return out.view(*x.shape[:-1], N_ATTRIBUTES, self.config.bins)  # (..., 23, D)

    def loss(
        self,
        A: Tensor,
        y_previous: Tensor,
        y_bar: Tensor,
        ordinal: float = 0.0,
        pinned: Tensor | None = None,
        fast: bool = True,
    ) -> Tensor:
        """Eq. 5: the cross-entropy of `forward` and true bins y_bar (B, T, 23), -100 where padded.

        `ordinal` is that of `losses.cross_entropy`, which this is; `fast` takes its twin that never
        holds all the logits at once. Without the probabilistic head it is the squared error.
        Raises InputError for other shapes. Paper: Eq. 5. Notebook: 04_mapper.

        >>> network = MappingNetwork(MapperConfig(bins=10, d_model=16, layers=1, heads=2)).eval()
        >>> A, y = torch.zeros(1, 7, 400), torch.zeros(1, 7, 23, dtype=torch.int64)
        >>> plain = network.loss(A, network.start(1, 7), y, fast=False)
        >>> torch.allclose(plain, network.loss(A, network.start(1, 7), y))
        True
        """
        if not self.config.probabilistic:
            # regression to the middles of the bins, scaled to 0..1
            wrong = self(A, y_previous, pinned) - (y_bar + 0.5) / self.config.bins
            counts = y_bar >= 0
            return (wrong.square() * counts).sum() / counts.sum()
        if not fast:
            return cross_entropy(self(A, y_previous, pinned), y_bar, ordinal)

        from .fast.head_loss import head_cross_entropy

        x = self.norm(self.hidden(A, y_previous, pinned))
        moves = None
        if self.relative is not None:
            moves = self.relative(x).unflatten(-1, (N_ATTRIBUTES, -1))  # (B, T, 23, 2 reach + 1)
        head = self.head.weight, self.head.bias
        return head_cross_entropy(x, *head, y_bar, ordinal, moves, y_previous)

    @torch.no_grad()
    def attention(self, A: Tensor, y_previous: Tensor, pinned: Tensor | None = None) -> Tensor:
        """Attention weights of every layer, (L, B, H, T, T), for the plots of notebook 03."""
        x = self.token(self.hear(A), y_previous, pinned=pinned)
        mask = self.mask(A.shape[1])
        weights = []
        for block in self.layers:
            weights.append(block.attend(x, mask)[0])
            x = block(x, mask)
        return torch.stack(weights)  # (L, B, H, T, T)

    # ---- frame by frame --------------------------------------------------------------------------
    def new_cache(self, B: int) -> Tensor:
        """An empty ring of keys and values: (L, 2, B, H, tau, N_k)."""
        c = self.config
        return torch.zeros(c.layers, 2, B, c.heads, c.tau, c.d_model // c.heads)

    @torch.no_grad()
    def decode_frame(
        self,
        A: Tensor,
        y_previous: Tensor,
        cache: Tensor,
        t: int,
        pinned: Tensor | None = None,
    ) -> Tensor:
        """Frame t alone: audio A (B, 400), bins of frame t-1 (B, 23) -> logits (B, 23, D).

        The cache (see `new_cache`) is changed in place, so frames come in turn from t = 0 on.
        `pinned` (B, 23) marks attributes that are held. No gradients.
        Paper: Eq. 3. Notebook: 03_biased_mask, 04_mapper.
        """
        heard = self.hear(A)[:, None]  # (B, 1, d)
        marks = None if pinned is None else pinned[:, None]
        x = self.token(heard, y_previous[:, None], t0=t, pinned=marks)[:, 0]  # (B, d)
        slot, bias = t % self.config.tau, self.ring_mask(t)
        for block, (K, V) in zip(self.layers, cache, strict=True):
            x = block.decode_frame(x, K, V, slot, bias)
        return self.predict(x, y_previous)

    def ring_mask(self, t: int) -> Tensor:
        """Frame t's row of the mask, in the order of the ring: (H, tau)."""
        c = self.config
        # once the ring is full, the mask is the same in every round of it
        t = t if t < c.tau else c.tau + t % c.tau
        return torch.from_numpy(ring_bias(t, c.heads, c.tau, c.bias, self._slope_scale()))


def with_steepness(network: MappingNetwork, factor: float) -> MappingNetwork:
    """The same network, weights shared, with all slopes of its mask times `factor`.

    0 leaves the band alone. Nothing is trained anew, so this shows what the trained weights make of
    another mask. Notebook: 00_tour.

    >>> network = MappingNetwork(MapperConfig(bins=10, d_model=16, layers=1, heads=1, tau=2))
    >>> with_steepness(network, 256).mask(2)[0], network.config.steepness
    (tensor([[ 0., -inf],
            [-1.,  0.]]), 1.0)
    """
    other = copy.copy(network)
    other.config = replace(network.config, steepness=network.config.steepness * factor)
    return other


def save_mapper(
    path: str | Path, network: MappingNetwork, notes: dict[str, str] | None = None
) -> None:
    """Write weights (fp16), configuration and bin ranges as one safetensors file."""
    bins = network.ranges
    ranges = {"low": bins.low.tolist(), "high": bins.high.tolist(), "bins": bins.bins}
    if bins.speed is not None:
        ranges["speed"] = bins.speed.tolist()
    metadata = {
        "config": json.dumps(asdict(network.config)),
        "discretizer": json.dumps(ranges),
        **(notes or {}),
    }
    save_tensors(path, {name: t.half() for name, t in network.state_dict().items()}, metadata)


def load_mapper(path: str | Path) -> MappingNetwork:
    """Read a mapper written by `save_mapper`, in evaluation mode, with its discretizer.

    Raises InputError for a file that is missing, truncated or holds another network.
    """
    tensors, metadata = load_tensors(path)
    try:
        ranges = json.loads(metadata["discretizer"])
        ranges = {k: np.array(v) if isinstance(v, list) else v for k, v in ranges.items()}
        config = MapperConfig(**json.loads(metadata["config"]))
        network = MappingNetwork(config, Discretizer(**ranges))
        network.load_state_dict({name: t.float() for name, t in tensors.items()})
        if not isinstance(config.steepness, int | float):
            raise ValueError(f"its mask's steepness is {config.steepness!r}")
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} does not hold a mapping network: {reason}") from error
    return network.eval()
