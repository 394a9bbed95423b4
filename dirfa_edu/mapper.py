"""The mapping network: a temporally-biased causal transformer that writes p(Y_t | Y_{t-tau:t-1},
A_{t-tau:t}).

One token a frame: the audio features of frame t plus an embedding of the 23 bins of frame t-1.
After L layers a single linear map gives 23 x D logits. The same weights run two ways: `forward`
over whole clips with the banded mask (training), and `step` frame by frame with a ring of the last
tau keys and values (sampling). The two agree exactly.

Paper: 3.2.2, Eq. 1, 3, 5. Notebook: 04_mapper.
"""

import copy
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .animation import N_ATTRIBUTES
from .audio import NO_AUDIO
from .discretize import BINS, Discretizer
from .fast.step import frame, frames, views
from .files import InputError, load_tensors, save_tensors
from .losses import around, cross_entropy
from .masks import TAU, ring_bias, sinusoid, temporally_biased_mask


@dataclass(frozen=True)
class MapperConfig:
    """Sizes of the mapping network. D and tau are the paper's; the other numbers are ours, it gives
    none."""

    bins: int = BINS  # D
    tau: int = TAU  # frames of context
    d_model: int = 160
    layers: int = 4
    heads: int = 8
    audio: int = 400  # numbers in one audio window
    dropout: float = 0.1
    reach: int = 32  # steps of up to so many bins get logits of their own (`steps`); 0 is the paper's plain head
    bias: str = "alibi"  # or "single"; "none" and "sinusoidal" are the ablation "w/o TBM"
    steepness: float = 1.0  # what the mask's slopes are multiplied by
    bias_inside: bool = False  # True: mask inside the 1/sqrt(N_k) scaling, as Eq. 1 is printed
    history: bool = True  # False: audio only, a baseline that never sees what it did before
    probabilistic: bool = True  # False: 23 regression outputs, the ablation "w/o Prob"


class Linear(nn.Linear):
    """nn.Linear with its weight stored as (inputs, outputs): a product with a single row, which is
    what sampling one face asks for, then reads memory in order, several times faster for the wide
    head."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.weight = nn.Parameter(self.weight.detach().t().contiguous())  # (inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 2:
            # the same with less ado, which counts frame by frame
            return torch.addmm(self.bias, x, self.weight)
        return F.linear(x, self.weight.t(), self.bias)


class Block(nn.Module):
    """One transformer layer: biased causal attention, then a feed-forward network (pre-norm)."""

    def __init__(self, config: MapperConfig) -> None:
        super().__init__()
        d = config.d_model
        self.heads = config.heads
        self.norm_attention, self.norm_feed = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out = Linear(d, 3 * d), Linear(d, d)
        self.feed = nn.Sequential(
            Linear(d, 4 * d), nn.SiLU(), Linear(4 * d, d), nn.Dropout(config.dropout)
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, T, d), mask (H, T, T) -> (B, T, d). Eq. 1."""
        W, V = self.attend(x, mask)
        x = x + self.out((W @ V).transpose(1, 2).reshape(x.shape))  # (B, H, T, N_k) -> (B, T, d)
        return x + self.feed(self.norm_feed(x))

    def attend(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Attention weights (B, H, T, T), each row of them summing to 1, and values (B, H, T, N_k)."""
        B, T, d = x.shape
        # (B, T, 3, H, N_k)
        qkv = self.qkv(self.norm_attention(x)).view(B, T, 3, self.heads, d // self.heads)
        Q, K, V = qkv.permute(2, 0, 3, 1, 4)  # each (B, H, T, N_k)
        # on a CPU, and in windows this short, faster than torch's own scaled_dot_product_attention
        # with a mask
        scores = Q / math.sqrt(Q.shape[-1]) @ K.transpose(-1, -2)
        # which would copy all scores to float32 and back
        with torch.autocast(x.device.type, enabled=False):
            return torch.softmax(scores + mask.to(scores.dtype), dim=-1), V


class MappingNetwork(nn.Module):
    """Audio and past animation -> a categorical distribution over D bins for each of the 23
    attributes.

    `network.discretizer` holds the bins' ranges once it is trained or loaded.
    Paper: Eq. 3. Notebook: 04_mapper.

    >>> network = MappingNetwork(MapperConfig(bins=10, d_model=16, layers=1, heads=2)).eval()
    >>> network(torch.zeros(1, 7, 400), network.start(1, 7)).shape
    torch.Size([1, 7, 23, 10])
    """

    def __init__(
        self, config: MapperConfig = MapperConfig(), discretizer: Discretizer | None = None
    ) -> None:
        super().__init__()
        if config.d_model % config.heads:
            raise InputError(
                f"d_model {config.d_model} must be a multiple of the {config.heads} heads"
            )
        self.config, self.discretizer = config, discretizer
        self.steepness = 1.0  # what the mask's slopes are multiplied by, see `with_steepness`
        d, D = config.d_model, config.bins
        # one table for all attributes, D + 1 rows each: row D is the start token, "nothing before"
        self.embedding = nn.Embedding(N_ATTRIBUTES * (D + 1), d)
        nn.init.normal_(self.embedding.weight, std=0.03)
        # the same bins as numbers: neighbours in value start out alike
        self.values = Linear(N_ATTRIBUTES, d)
        hidden = 512  # of the audio encoder
        self.audio = nn.Sequential(
            Linear(config.audio, hidden),
            nn.SiLU(),
            nn.Dropout(2 * config.dropout),
            Linear(hidden, hidden),
            nn.SiLU(),
            nn.Dropout(2 * config.dropout),
            Linear(hidden, d),
        )
        # features are whitened first (see `whiten`): neighbouring mel frames are nearly copies of
        # each other, and the encoder would need several times as many steps to tell them apart
        self.register_buffer("audio_mean", torch.full((config.audio,), 0.35))
        self.register_buffer("audio_whiten", 5 * torch.eye(config.audio))
        # stands for the audio where it is not to be heard
        self.no_audio = nn.Parameter(torch.zeros(d))
        # marks what is held from outside, see `Control`
        self.pinned = nn.Parameter(torch.zeros(N_ATTRIBUTES, d))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(d)
        self.head = Linear(d, N_ATTRIBUTES * (D if config.probabilistic else 1))
        # the same distribution seen from the last frame: a face mostly goes on from where it is,
        # which the plain head could only say by learning every bin's neighbours by heart
        relative = config.reach > 0 and config.probabilistic and config.history
        self.steps = Linear(d, N_ATTRIBUTES * (2 * config.reach + 1)) if relative else None
        self.register_buffer("rows", torch.arange(N_ATTRIBUTES) * (D + 1), persistent=False)

    def start(self, B: int, T: int = 1) -> Tensor:
        """Start tokens, bin D for every attribute: int64 (B, T, 23)."""
        return torch.full((B, T, N_ATTRIBUTES), self.config.bins, dtype=torch.int64)

    def whiten(self, A: Tensor, floor: float = 1e-3) -> None:
        """Take mean and spread of the audio features A (n, 400) from training: from then on all
        their principal components come in with one variance, but for those under `floor` of the
        strongest, which would be noise."""
        self.audio_mean.copy_(A.mean(0))
        variance, axes = torch.linalg.eigh(torch.cov(A.T))
        rate = (variance.clamp_min(0) + floor * variance.max()).rsqrt()
        size = (
            (variance * rate.square()).mean().sqrt()
        )  # a feature's deviation after that; it is brought to 1
        self.audio_whiten.copy_(axes @ torch.diag(rate / size) @ axes.T)

    def hear(self, A: Tensor) -> Tensor:
        """Audio features (..., 400) -> (..., d); a row of NO_AUDIO gives the vector that stands for
        "not heard"."""
        heard = self.audio((A - self.audio_mean) @ self.audio_whiten)
        return torch.where(A[..., :1] == NO_AUDIO, self.no_audio.to(heard), heard)

    def token(
        self, heard: Tensor, y_previous: Tensor, t0: int = 0, pinned: Tensor | None = None
    ) -> Tensor:
        """Encoded audio (..., T, d), bins of the frame before (..., T, 23), marks like them ->
        tokens (..., T, d)."""
        if not self.config.history:
            y_previous = torch.full_like(y_previous, self.config.bins)
        started = y_previous < self.config.bins  # bin D means "before the clip"
        level = torch.where(started, (2 * y_previous + 1) / self.config.bins - 1, 0).to(heard.dtype)
        x = heard + self.values(level)
        if pinned is not None:
            x = x + pinned.to(x.dtype) @ self.pinned
        if self.config.probabilistic:
            rows = (y_previous + self.rows).flatten(0, -2)  # (... * T, 23)
            x = x + F.embedding_bag(rows, self.embedding.weight, mode="sum").view(x.shape)
        if self.config.bias == "sinusoidal":
            T = y_previous.shape[-2]
            x = x + sinusoid(torch.arange(t0, t0 + T), self.config.d_model).to(x)
        return x

    def mask(self, T: int) -> Tensor:
        """The mask of this configuration, (H, T, T)."""
        M = temporally_biased_mask(
            T, self.config.heads, self.config.tau, self.config.bias, self.steepness
        )
        return (
            M / math.sqrt(self.config.d_model / self.config.heads) if self.config.bias_inside else M
        )

    def forward(self, A: Tensor, y_previous: Tensor, pinned: Tensor | None = None) -> Tensor:
        """Audio A (B, T, 400), bins of the frame before (B, T, 23) -> logits (B, T, 23, D).

        Row t of `y_previous` holds the bins of frame t-1; row 0 of a clip holds the start token D.
        `pinned` (B, T, 23) marks attributes that somebody holds, so that the others follow them
        (see `control`). Without the probabilistic head ("w/o Prob") the result is (B, T, 23),
        values scaled to 0..1.
        Raises InputError for other shapes. Paper: Eq. 3. Notebook: 04_mapper.
        """
        return self.predict(self.hidden(A, y_previous, pinned), y_previous)

    def loss(
        self,
        A: Tensor,
        y_previous: Tensor,
        y_bar: Tensor,
        ordinal: float = 0.0,
        pinned: Tensor | None = None,
        fast: bool = True,
    ) -> Tensor:
        """The cross-entropy of `forward` and the true bins y_bar (B, T, 23), -100 where padded.

        `ordinal` is that of `losses.cross_entropy`, which this is; `fast` takes its twin that never
        holds all the logits. Without the probabilistic head ("w/o Prob") it is the squared error.
        Raises InputError for other shapes. Paper: Eq. 5. Notebook: 04_mapper.

        >>> network = MappingNetwork(MapperConfig(bins=10, d_model=16, layers=1, heads=2)).eval()
        >>> A, y = torch.zeros(1, 7, 400), torch.zeros(1, 7, 23, dtype=torch.int64)
        >>> plain = network.loss(A, network.start(1, 7), y, fast=False)
        >>> torch.allclose(plain, network.loss(A, network.start(1, 7), y))
        True
        """
        if not self.config.probabilistic:
            # regression to the middles of the bins, scaled to 0..1
            wrong = (self(A, y_previous, pinned) - (y_bar + 0.5) / self.config.bins).square()
            return (wrong * (y_bar >= 0)).sum() / (y_bar >= 0).sum()
        if not fast:
            return cross_entropy(self(A, y_previous, pinned), y_bar, ordinal)

        from .fast.head_loss import head_cross_entropy

        x = self.norm(self.hidden(A, y_previous, pinned))  # (B, T, d)
        relative = None
        if self.steps is not None:
            relative = self.steps(x).unflatten(-1, (N_ATTRIBUTES, -1))  # (B, T, 23, 2 reach + 1)
        weight, bias = self.head.weight, self.head.bias
        return head_cross_entropy(x, weight, bias, y_bar, ordinal, relative, y_previous)

    def hidden(self, A: Tensor, y_previous: Tensor, pinned: Tensor | None = None) -> Tensor:
        """What the layers make of A and the past, before the last norm and the head: (B, T, d)."""
        if A.shape[:2] != y_previous.shape[:2] or A.shape[-1] != self.config.audio:
            raise InputError(
                f"audio {tuple(A.shape)} and animation {tuple(y_previous.shape)} do not fit: "
                f"the network wants (B, T, {self.config.audio}) and (B, T, {N_ATTRIBUTES})"
            )
        x = self.token(self.hear(A), y_previous, pinned=pinned)
        mask = self.mask(A.shape[1]).to(A.device)  # (H, T, T)
        for block in self.blocks:
            x = block(x, mask)
        return x

    def predict(self, x: Tensor, y_previous: Tensor) -> Tensor:
        """Hidden states (..., d) and bins of the frame before (..., 23) -> logits (..., 23, D).

        Without the probabilistic head: values (..., 23).
        """
        x = self.norm(x)
        out = self.head(x)  # (..., 23 D)
        if not self.config.probabilistic:
            return out

        out = out.view(-1, self.config.bins)  # (... * 23, D)
        if self.steps is not None:
            relative = self.steps(x).view(len(out), -1)  # (... * 23, 2 reach + 1)
            near, outside = around(y_previous.flatten(), self.config.reach, self.config.bins)
            out = out.scatter_add(1, near, relative.masked_fill(outside, 0))
        return out.view(*x.shape[:-1], N_ATTRIBUTES, self.config.bins)  # (..., 23, D)

    @torch.no_grad()
    def attention(self, A: Tensor, y_previous: Tensor, pinned: Tensor | None = None) -> Tensor:
        """Attention weights of every layer, (layers, B, H, T, T), for the plots of notebook 03."""
        mask, x, weights = (
            self.mask(A.shape[1]),
            self.token(self.hear(A), y_previous, pinned=pinned),
            [],
        )
        for block in self.blocks:
            weights.append(block.attend(x, mask)[0])
            x = block(x, mask)
        return torch.stack(weights)

    # ---- frame by frame --------------------------------------------------------------------------
    def new_rings(self, B: int) -> tuple[np.ndarray, ...]:
        """Empty rings, one a layer: (2, B, H, tau, N_k) for keys and values."""
        shape = (2, B, self.config.heads, self.config.tau, self.config.d_model // self.config.heads)
        return tuple(np.zeros(shape, np.float32) for _ in self.blocks)

    def step(
        self,
        A: Tensor,
        y_previous: Tensor,
        rings: tuple[np.ndarray, ...],
        t: int,
        pinned: Tensor | None = None,
        weights: tuple | None = None,
    ) -> Tensor:
        """Frame t: its audio A (n, 400), each for B / n rows, and the bins of frame t-1 (B, 23) ->
        logits (B, 23, D).

        The rings are changed in place. `pinned` (23,) marks attributes that are held. `weights` are
        the network's `frame.views` for B rows: who asks for many frames makes them once. No
        gradients.
        """
        config, B = self.config, len(y_previous)
        tau, N_k = config.tau, config.d_model // config.heads
        weights = weights or views(self, B)
        y = y_previous if config.history else self.start(B)[:, 0]
        more = np.zeros(config.d_model, np.float32)  # what else the token is made of
        if pinned is not None:
            more += (pinned.float() @ self.pinned.detach()).numpy()
        if config.bias == "sinusoidal":
            more += sinusoid(torch.tensor([t]), config.d_model)[0].numpy()
        # the same in every round of the ring
        bias = ring_bias(
            t if t < tau else tau + t % tau,
            config.heads,
            tau,
            config.bias,
            self.steepness * (N_k**-0.5 if config.bias_inside else 1.0),
        )  # (H, tau)
        place = (
            t % tau,
            min(t + 1, tau),
        )  # of this frame's key and value, and how many frames there are
        if B == 1 and config.probabilistic:
            out = torch.from_numpy(
                frame(A[0].numpy(), y.numpy(), more, config.bins, weights, rings, bias, *place)
            )
        else:
            out = frames(A, y, more, config.bins, weights, rings, bias, *place)
        return out.view(B, N_ATTRIBUTES, -1) if config.probabilistic else out


def with_steepness(network: MappingNetwork, steepness: float) -> MappingNetwork:
    """The same network, weights shared, with all slopes of its mask times `steepness`: 0 leaves the
    band alone.

    Nothing is trained anew, so this shows what the trained weights make of another mask. Notebook:
    00_tour.

    >>> network = MappingNetwork(MapperConfig(bins=10, d_model=16, layers=1, heads=1, tau=2))
    >>> with_steepness(network, 256).mask(2)[0], network.steepness
    (tensor([[ 0., -inf],
            [-1.,  0.]]), 1.0)
    """
    other = copy.copy(network)
    other.steepness = network.steepness * steepness
    return other


def save_mapper(
    path: str | Path, network: MappingNetwork, notes: dict[str, str] | None = None
) -> None:
    """Write weights (fp16), configuration and bin ranges as one safetensors file."""
    tensors = {name: t.half() for name, t in network.state_dict().items()}
    bins = network.discretizer
    ranges = {"low": bins.low.tolist(), "high": bins.high.tolist(), "bins": bins.bins}
    if bins.step is not None:
        ranges["step"] = bins.step.tolist()
    save_tensors(
        path,
        tensors,
        {
            "config": json.dumps(asdict(network.config)),
            "discretizer": json.dumps(ranges),
            "steepness": str(network.steepness),
            **(notes or {}),
        },
    )


def load_mapper(path: str | Path) -> MappingNetwork:
    """Read a mapper written by `save_mapper`, in evaluation mode, with its discretizer.

    Raises InputError for a file that is missing, truncated or holds another network.
    """
    tensors, metadata = load_tensors(path)
    try:
        ranges = json.loads(metadata["discretizer"])
        step = np.array(ranges["step"]) if "step" in ranges else None
        bins = Discretizer(np.array(ranges["low"]), np.array(ranges["high"]), ranges["bins"], step)
        network = MappingNetwork(MapperConfig(**json.loads(metadata["config"])), bins)
        network.load_state_dict({name: t.float() for name, t in tensors.items()})
        network.steepness = float(metadata["steepness"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{path} does not hold a mapping network: {str(error).splitlines()[0]}"
        ) from error
    return network.eval()
