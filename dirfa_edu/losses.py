"""The paper's losses, Eq. 5 and 7-10, one function each.

Paper: 3.2.4, 3.3.1. Notebooks: 04_mapper, 05_generator.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .files import InputError

# weights of the generator's terms; ours, the paper gives none: Eq. 7's three, then those that
# steady training
LAMBDAS = {"adv": 0.15, "rec": 0.1, "attr": 0.05, "pixel": 1.0, "spread": 0.5, "equivariance": 0.5}


def cross_entropy(logits: Tensor, y_bar: Tensor, ordinal: float = 0.0) -> Tensor:
    """L_CE: logits (B, T, 23, D) against true bins (B, T, 23), mean over frames and attributes, in
    nats.

    Bins of -100 (padding) do not count. With `ordinal` > 0 (ours, not the paper's) the target is no
    single bin but a Gaussian of that many bins about it, so that a near miss costs less than a far
    one. Bin 0 stays sharp: it gives nothing to its neighbours and takes nothing, because "exactly
    zero" is a statement of its own.
    Paper: Eq. 5. Notebook: 04_mapper.

    >>> cross_entropy(torch.zeros(1, 2, 23, 4), torch.zeros(1, 2, 23, dtype=torch.long)).round(decimals=4)
    tensor(1.3863)
    """
    logits, y = logits.flatten(0, 2).float(), y_bar.flatten()  # (B*T*23, D), (B*T*23,)
    bins, weight = soft_targets(y, logits.shape[1], ordinal)
    return -(weight * F.log_softmax(logits, dim=1).gather(1, bins)).sum() / (y >= 0).sum()


def soft_targets(y: Tensor, D: int, ordinal: float) -> tuple[Tensor, Tensor]:
    """The target of each true bin y (n,) -> bins and their weights, both (n, r); weights sum to 1,
    of padding to 0."""
    reach = math.ceil(3 * ordinal)
    steps = torch.arange(-reach, reach + 1, device=y.device)
    bins = y[:, None] + steps  # (n, r)
    weight = torch.exp(-0.5 * (steps / max(ordinal, 1e-3)) ** 2) * (
        (bins > 0) & (bins < D) & (y > 0)[:, None]
    )
    weight[:, reach] = y >= 0  # the true bin always counts, padding never
    return bins.clamp(0, D - 1), weight / weight.sum(1, keepdim=True).clamp_min(1)


def around(y_previous: Tensor, reach: int, D: int) -> tuple[Tensor, Tensor]:
    """Where logits for steps from the last bin belong: y_previous (n,) -> the bins up to `reach`
    below and above it, and whether there is none, beyond the ends or where nothing came before (bin
    D); both (n, 2 reach + 1)."""
    before = y_previous.where(y_previous < D, -reach - 1)[:, None]  # the start: no bin is in reach
    bins = before + torch.arange(-reach, reach + 1, device=y_previous.device)
    near = bins.clamp(0, D - 1)
    return near, near != bins


def head_cross_entropy(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    y_bar: Tensor,
    ordinal: float = 0.0,
    steps: Tensor | None = None,
    y_previous: Tensor | None = None,
) -> Tensor:
    """`cross_entropy(x @ weight + bias, y_bar)` without ever holding all the logits: less memory,
    less time.

    x (B, T, d) are the hidden states before the last linear map, weight (d, 23 D), y_bar (B, T,
    23). `steps` (B, T, 23, 2 reach + 1) are logits to be added about the bins of the frame before,
    `y_previous` (B, T, 23). The softmax's gradient, p minus target, is known at once, so one
    attribute after the other is carried forth and back while its logits are still in the cache.
    Paper: Eq. 5. Notebook: 04_mapper.

    >>> x, y = torch.zeros(1, 2, 3), torch.zeros(1, 2, 23, dtype=torch.long)
    >>> head_cross_entropy(x, torch.zeros(3, 23 * 4), torch.zeros(23 * 4), y).round(decimals=4)
    tensor(1.3863)
    """
    if steps is None:
        steps, y_previous = x.new_zeros(*y_bar.shape, 1), torch.zeros_like(y_bar)
    # a function of our own must see to its number format itself
    if torch.is_autocast_enabled(x.device.type):
        x, weight = (part.to(torch.get_autocast_dtype(x.device.type)) for part in (x, weight))
    flat = (part.flatten(0, 1) for part in (x, y_bar, steps, y_previous))
    return _HeadCrossEntropy.apply(weight, bias, ordinal, *flat)


class _HeadCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx,
        weight: Tensor,
        bias: Tensor,
        ordinal: float,
        x: Tensor,
        y: Tensor,
        steps: Tensor,
        y_previous: Tensor,
    ) -> Tensor:
        grads = [torch.empty_like(part) for part in (weight, bias, x, steps)]
        grads[2].zero_()  # the only one that sums over attributes
        total, D, padded = (
            x.new_zeros((), dtype=torch.float32),
            len(bias) // y.shape[1],
            bool((y < 0).any()),
        )
        heads = [part.split(D, dim=-1) for part in (weight, bias.to(x.dtype), *grads[:2])]
        # W (d, D): the head of one attribute
        for j, (W, b, W_grad, b_grad) in enumerate(zip(*heads)):
            near, outside = around(y_previous[:, j], steps.shape[-1] // 2, D)
            logits = (
                torch.addmm(b, x, W)
                .float()
                .scatter_add_(1, near, steps[:, j].masked_fill(outside, 0).float())
            )
            log_p = F.log_softmax(logits, dim=1)  # (n, D)
            bins, target = soft_targets(y[:, j], D, ordinal)
            total -= (target * log_p.gather(1, bins)).sum()
            slope = log_p.exp_().scatter_add_(1, bins, -target)  # p - target
            if padded:
                slope *= (y[:, j] >= 0)[:, None]
            grads[3][:, j] = slope.gather(1, near).masked_fill_(outside, 0)
            slope = slope.to(x.dtype)
            grads[2].addmm_(slope, W.T)
            W_grad.addmm_(x.T, slope, beta=0)
            b_grad.copy_(slope.sum(0))
        ctx.count = (y >= 0).sum()
        ctx.save_for_backward(*grads)
        return total / ctx.count

    @staticmethod
    def backward(ctx, out: Tensor) -> tuple:
        weight, bias, x, steps = (
            (out / ctx.count).to(grad.dtype) * grad for grad in ctx.saved_tensors
        )
        return weight, bias, None, x, None, steps, None


def lsgan_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """What D_I minimises: real patches to 1, generated ones to 0 (mean over patches).

    Eq. 8 is printed with the labels the other way round (real 0, fake 1); G minimising it as Eq. 7
    asks would be pushed to look generated. This is the standard LSGAN. Give `fake` detached: G does
    not learn from this loss.
    Paper: Eq. 8. Notebook: 05_generator.
    """
    return 0.5 * (real - 1).square().mean() + 0.5 * fake.square().mean()


def lsgan_generator(fake: Tensor) -> Tensor:
    """What G minimises: its patches to 1, D's label for real. Paper: Eq. 8. Notebook: 05_generator.

    >>> lsgan_generator(torch.ones(4)), lsgan_generator(torch.zeros(4))
    (tensor(0.), tensor(0.5000))
    """
    return 0.5 * (fake - 1).square().mean()


def perceptual(phi_target: list[Tensor], phi_generated: list[Tensor]) -> Tensor:
    """L_rec: mean absolute difference of phi's features, averaged over its levels.

    Levels are scaled to unit size on the target first, so that each counts alike; phi is the face
    network of `vision`, where the paper has VGG. Paper: Eq. 9. Notebook: 05_generator.
    """
    levels = [
        (a - b).abs().mean((1, 2, 3)) / a.abs().mean((1, 2, 3)).clamp_min(1e-6).detach()
        for a, b in zip(phi_target, phi_generated)
    ]  # each (B,)
    return torch.stack(levels).mean()


def attribute(predicted_real: Tensor | None, predicted_fake: Tensor, z: Tensor) -> Tensor:
    """L_attr: squared error of the auxiliary head D_Z on real and on generated pictures, all (B,
    23) normalised.

    Normalised attributes, because in raw units millimetres drown the AUs. Training gives the real
    half to D and the generated half to G: then `predicted_real` is None. Paper: Eq. 10. Notebook:
    05_generator.
    """
    fake = (predicted_fake - z).square().sum(-1).mean()
    return fake if predicted_real is None else fake + (predicted_real - z).square().sum(-1).mean()


def generator_objective(
    adversarial: Tensor,
    rec: Tensor,
    attr: Tensor,
    lambda_rec: float = 2.0,
    lambda_attr: float = 1.0,
    lambda_adv: float = 1.0,
) -> Tensor:
    """L = L_adv + lambda_rec L_rec + lambda_attr L_attr; ours, a weight for L_adv as well, so that
    it can be switched off. Paper: Eq. 7. Notebook: 05_generator."""
    return lambda_adv * adversarial + lambda_rec * rec + lambda_attr * attr


def weights(changed: dict | None) -> dict[str, float]:
    """LAMBDAS with some of them changed. Raises InputError for a term that does not exist, or a
    weight below 0."""
    for name, value in (changed or {}).items():
        if name not in LAMBDAS or not 0 <= value < math.inf:
            raise InputError(
                f"no weight {name} = {value}: terms are {', '.join(LAMBDAS)}, weights are 0 or more"
            )
    return LAMBDAS | (changed or {})


def pixel(target: Tensor, generated: Tensor) -> Tensor:
    """A plain L1 + L2 on pixels, and L1 on their differences and two smaller sizes; not in the
    paper, it steadies early training.

    Both (B, 3, S, S) in 0..1. The square makes the few pixels of an open mouth or a closed eye
    count, and the middle of the picture, where they are, counts five times.
    """

    def weighed(error: Tensor) -> Tensor:
        weight = error.new_ones(error.shape[-2:])
        middle = slice(target.shape[-1] // 4, target.shape[-1] * 3 // 4)
        weight[middle, middle] += weight.numel() / weight[middle, middle].numel()
        return (error * weight).mean()

    # pools and edges are linear: theirs are those of the difference
    difference = target - generated
    loss = weighed(difference.abs() + 4 * difference.square())
    for size in (2, 4):
        loss = loss + F.avg_pool2d(difference, size).abs().mean()
    for axis in (-1, -2):  # edges: differences of neighbouring pixels
        loss = loss + 2 * weighed(difference.diff(dim=axis).abs())
    return loss


def layered(target: Tensor, generated: Tensor, painted: Tensor, keep: Tensor) -> Tensor:
    """`pixel` on the picture and on its painted layer alone, with `keep` (a logit) held near the
    middle.

    Without this the generator learns to copy the warped source everywhere before it can paint; the
    choice saturates and the inside of an open mouth, which the source does not show, is never
    learnt. Ours, not the paper's.
    """
    target, generated, painted = (x.contiguous() for x in (target, generated, painted))
    return pixel(target, generated) + 0.5 * pixel(target, painted) + 1e-3 * keep.square().mean()


def keypoint_spread(points: Tensor, apart: float = 0.1) -> Tensor:
    """How much keypoints (B, K, 3) huddle: the mean over pairs of what their squared distance lacks
    of `apart`.

    After face-vid2vid; ours, not in the paper. Notebook: 05_generator.

    >>> keypoint_spread(torch.zeros(1, 4, 3)).round(decimals=4), keypoint_spread(torch.eye(3)[None])
    (tensor(0.1000), tensor(0.))
    """
    first, second = torch.triu_indices(points.shape[1], points.shape[1], 1)
    squared = (points[:, first] - points[:, second]).square().sum(-1)  # (B, pairs)
    return (apart - squared).clamp_min(0).mean()


def equivariance(seen: Tensor, seen_turned: Tensor, turn: Tensor) -> Tensor:
    """Keypoints belong to places of the face: where the picture is moved by `turn` (B, 2, 3), they
    must move with it.

    A place p of the turned picture shows the place turn(p) of the picture itself. Mean absolute
    difference, x and y. After face-vid2vid; ours, not in the paper. Notebook: 05_generator.
    """
    back = seen_turned[..., :2] @ turn[:, :, :2].transpose(1, 2) + turn[:, None, :, 2]  # (B, K, 2)
    return (seen[..., :2] - back).abs().mean()
