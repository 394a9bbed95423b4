"""The paper's losses, Eq. 5 and 7-10, one function each.

Paper: 3.2.4, 3.3.1. Notebooks: 04_mapper, 05_generator.
"""

import math
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .files import InputError


# ---- mapper --------------------------------------------------------------------------------------
def cross_entropy(logits: Tensor, y_bar: Tensor, ordinal: float = 0.0) -> Tensor:
    """L_CE: mean surprise of logits (B, T, 23, D) at the true bins y_bar (B, T, 23), in nats.

    The mean is over frames and attributes; bins of -100 (padding) do not count. With `ordinal` > 0
    (ours, not the paper's) the target is no single bin but a Gaussian of that many bins about it,
    so that a near miss costs less than a far one.
    Paper: Eq. 5. Notebook: 04_mapper.

    >>> y_bar = torch.zeros(1, 2, 23, dtype=torch.long)
    >>> cross_entropy(torch.zeros(1, 2, 23, 4), y_bar).round(decimals=4)
    tensor(1.3863)
    """
    logits = logits.flatten(0, 2).float()  # (n, D), n = B T 23
    y = y_bar.flatten()  # (n,)
    bins, weight = soft_targets(y, logits.shape[1], ordinal)
    log_p = F.log_softmax(logits, dim=1)
    return -(weight * log_p.gather(1, bins)).sum() / (y >= 0).sum()


def soft_targets(y: Tensor, D: int, ordinal: float) -> tuple[Tensor, Tensor]:
    """The target of each true bin y (n,) -> bins and their weights, both (n, r).

    Weights are a Gaussian of `ordinal` bins and sum to 1, for padding to 0. Bin 0 stays sharp: it
    gives nothing to its neighbours and takes nothing, because "exactly zero" is a statement of its
    own.

    >>> bins, weight = soft_targets(torch.tensor([0, 5]), D=10, ordinal=0.5)
    >>> bins[1].tolist(), weight[0].tolist()
    ([3, 4, 5, 6, 7], [0.0, 0.0, 1.0, 0.0, 0.0])
    """
    reach = math.ceil(3 * ordinal)  # a Gaussian's weight further out than 3 deviations is nothing
    steps = torch.arange(-reach, reach + 1, device=y.device)
    bins = y[:, None] + steps  # (n, r)

    may_share = (bins > 0) & (bins < D) & (y > 0)[:, None]
    weight = torch.exp(-0.5 * (steps / max(ordinal, 1e-3)) ** 2) * may_share
    weight[:, reach] = y >= 0  # the true bin always counts, padding never
    return bins.clamp(0, D - 1), weight / weight.sum(1, keepdim=True).clamp_min(1)


def around(y_previous: Tensor, reach: int, D: int) -> tuple[Tensor, Tensor]:
    """Where logits relative to the last bin belong: y_previous (n,) -> bins up to `reach` about it.

    Both results are (n, 2 reach + 1): the bins, and whether there is none, beyond the ends or where
    nothing came before (bin D).

    >>> bins, outside = around(torch.tensor([1, 10]), reach=2, D=10)
    >>> outside.tolist()
    [[True, False, False, False, False], [True, True, True, True, True]]
    """
    before = y_previous.where(y_previous < D, -reach - 1)[:, None]  # the start: no bin is in reach
    bins = before + torch.arange(-reach, reach + 1, device=y_previous.device)
    near = bins.clamp(0, D - 1)
    return near, near != bins


# ---- generator -----------------------------------------------------------------------------------
@dataclass(frozen=True)
class Lambdas:
    """Weights of the generator's terms; all ours, the paper gives none. 0 switches a term off.

    Raises InputError for a weight below 0, or one that is no number. Paper: Eq. 7.
    """

    adv: float = 0.15  # Eq. 7's three
    rec: float = 0.1
    attr: float = 0.05
    pixel: float = 1.0  # and those that steady training
    spread: float = 0.5
    equivariance: float = 0.5

    def __post_init__(self) -> None:
        for term, weight in asdict(self).items():
            if not 0 <= weight < math.inf:
                raise InputError(f"no weight {term} = {weight}: weights are 0 or more")


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

    Levels (B, C, h, w) are scaled to unit size on the target first, so that each counts alike; phi
    is the face network of `faces.identity`, where the paper has VGG.
    Paper: Eq. 9. Notebook: 05_generator.
    """
    levels = []
    for target, generated in zip(phi_target, phi_generated):
        size = target.abs().mean((1, 2, 3)).clamp_min(1e-6).detach()  # (B,)
        levels.append((target - generated).abs().mean((1, 2, 3)) / size)
    return torch.stack(levels).mean()


def attribute(predicted_real: Tensor | None, predicted_fake: Tensor, z: Tensor) -> Tensor:
    """L_attr: squared error of what D_Z reads off real and generated pictures, all (B, 23).

    Attributes are normalised, because in raw units millimetres drown the AUs. Training gives the
    real half to D and the generated half to G: then `predicted_real` is None.
    Paper: Eq. 10. Notebook: 05_generator.
    """
    fake = (predicted_fake - z).square().sum(-1).mean()
    if predicted_real is None:
        return fake
    return fake + (predicted_real - z).square().sum(-1).mean()


def generator_objective(
    adversarial: Tensor, rec: Tensor, attr: Tensor, lambdas: Lambdas = Lambdas()
) -> Tensor:
    """L = L_adv + lambda_rec L_rec + lambda_attr L_attr, with a weight for L_adv as well.

    That weight is ours, so that the term can be switched off.
    Paper: Eq. 7. Notebook: 05_generator.

    >>> one = torch.tensor(1.0)
    >>> generator_objective(one, one, one, Lambdas(adv=1, rec=10, attr=2))
    tensor(13.)
    """
    return lambdas.adv * adversarial + lambdas.rec * rec + lambdas.attr * attr


def pixel(target: Tensor, generated: Tensor) -> Tensor:
    """A plain L1 + L2 on pixels, and L1 on two smaller sizes and on edges; not in the paper.

    It steadies early training. Both are (B, 3, S, S) in 0..1. The square makes the few pixels of an
    open mouth or a closed eye count, and the middle of the picture, where they are, counts five
    times.
    """
    S = target.shape[-1]
    middle = slice(S // 4, S * 3 // 4)  # half as wide and high as the picture, a quarter of it

    def weighed(error: Tensor) -> Tensor:
        weight = error.new_ones(error.shape[-2:])
        weight[middle, middle] += weight.numel() / weight[middle, middle].numel()  # 1 + 4
        return (error * weight).mean()

    # smaller sizes and edges are linear: theirs are those of the difference
    difference = target - generated
    loss = weighed(difference.abs() + 4 * difference.square())

    for shrink in (2, 4):
        loss = loss + F.avg_pool2d(difference, shrink).abs().mean()

    for axis in (-1, -2):  # edges: differences of neighbouring pixels
        loss = loss + 2 * weighed(difference.diff(dim=axis).abs())
    return loss


def layered(target: Tensor, generated: Tensor, painted: Tensor, keep: Tensor) -> Tensor:
    """`pixel` on the picture and on its painted layer alone, with `keep` (a logit) near the middle.

    Without this the generator learns to copy the warped source everywhere before it can paint; the
    choice saturates and the inside of an open mouth, which the source does not show, is never
    learnt. Ours, not the paper's.
    """
    target, generated, painted = (x.contiguous() for x in (target, generated, painted))
    undecided = 1e-3 * keep.square().mean()
    return pixel(target, generated) + 0.5 * pixel(target, painted) + undecided


def keypoint_spread(points: Tensor, apart: float = 0.1) -> Tensor:
    """How much keypoints (B, K, 3) huddle: what the squared distance of pairs lacks of `apart`.

    The mean over all pairs. After face-vid2vid; ours, not in the paper. Notebook: 05_generator.

    >>> keypoint_spread(torch.zeros(1, 4, 3)).round(decimals=4), keypoint_spread(torch.eye(3)[None])
    (tensor(0.1000), tensor(0.))
    """
    first, second = torch.triu_indices(points.shape[1], points.shape[1], 1)
    squared = (points[:, first] - points[:, second]).square().sum(-1)  # (B, pairs)
    return (apart - squared).clamp_min(0).mean()


def equivariance(seen: Tensor, seen_turned: Tensor, turn: Tensor) -> Tensor:
    """Keypoints are places of the face: where `turn` (B, 2, 3) moves the picture, they go along.

    A place p of the turned picture shows the place turn(p) of the picture itself. Mean absolute
    difference, x and y. After face-vid2vid; ours, not in the paper. Notebook: 05_generator.
    """
    back = seen_turned[..., :2] @ turn[:, :, :2].transpose(1, 2) + turn[:, None, :, 2]  # (B, K, 2)
    return (seen[..., :2] - back).abs().mean()
