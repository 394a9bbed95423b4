"""Eq. 5 on the hidden states before the head: the loss of training without all of its logits.

A window of 75 frames has 75 x 23 x 500 logits, and a batch of 12 windows ten million: written,
read for the softmax, kept for the gradient and read again, they are what a training step waits
for. Here one attribute after the other is carried forth and back while its logits are still in
the processor's cache. `losses.cross_entropy` is the same loss as a formula; a test compares the
two, values and gradients.

Paper: Eq. 5. Notebook: 04_mapper.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..losses import around, soft_targets


def head_cross_entropy(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    y_bar: Tensor,
    ordinal: float = 0.0,
    relative: Tensor | None = None,
    y_previous: Tensor | None = None,
) -> Tensor:
    """`cross_entropy(x @ weight + bias, y_bar, ordinal)`, with less memory and in less time.

    x (B, T, d) are the hidden states before the head, a linear map of weight (d, 23 D) and bias
    (23 D,); y_bar (B, T, 23) are the true bins. `relative` (B, T, 23, 2 reach + 1) are logits to
    be added about the bins of the frame before, `y_previous` (B, T, 23).
    Paper: Eq. 5. Notebook: 04_mapper.

    >>> x, y = torch.zeros(1, 2, 3), torch.zeros(1, 2, 23, dtype=torch.long)
    >>> head_cross_entropy(x, torch.zeros(3, 23 * 4), torch.zeros(23 * 4), y).round(decimals=4)
    tensor(1.3863)
    """
    if relative is None or y_previous is None:
        # one logit of 0, about the last bin itself, changes nothing
        relative = x.new_zeros(*y_bar.shape, 1)
        y_previous = torch.zeros_like(y_bar)

    # autocast does not look into an autograd function: this one sees to its number format itself
    if torch.is_autocast_enabled(x.device.type):
        half = torch.get_autocast_dtype(x.device.type)
        x, weight = x.to(half), weight.to(half)

    return _HeadCrossEntropy.apply(
        weight,
        bias,
        ordinal,
        x.flatten(0, 1),  # (n, d), n = B T
        y_bar.flatten(0, 1),  # (n, 23)
        relative.flatten(0, 1),  # (n, 23, 2 reach + 1)
        y_previous.flatten(0, 1),  # (n, 23)
    )


class _HeadCrossEntropy(torch.autograd.Function):
    """Value and gradients in one pass.

    The softmax's gradient is p minus target, known as soon as p is. So `forward` computes it, too,
    and `backward` only scales it.
    """

    @staticmethod
    def forward(
        ctx,
        weight: Tensor,
        bias: Tensor,
        ordinal: float,
        x: Tensor,
        y: Tensor,
        relative: Tensor,
        y_previous: Tensor,
    ) -> Tensor:
        attributes = y.shape[1]
        reach = relative.shape[-1] // 2
        D = len(bias) // attributes
        padded = bool((y < 0).any())

        weight_grad, bias_grad = torch.empty_like(weight), torch.empty_like(bias)
        relative_grad = torch.empty_like(relative)
        x_grad = torch.zeros_like(x)  # the only one that sums over attributes
        total = x.new_zeros((), dtype=torch.float32)

        for j in range(attributes):
            head = slice(j * D, (j + 1) * D)  # the columns of this attribute's head
            W = weight[:, head]  # (d, D)

            near, outside = around(y_previous[:, j], reach, D)  # (n, 2 reach + 1)
            logits = torch.addmm(bias[head].to(x.dtype), x, W).float()  # (n, D)
            logits.scatter_add_(1, near, relative[:, j].masked_fill(outside, 0).float())
            log_p = F.log_softmax(logits, dim=1)

            bins, target = soft_targets(y[:, j], D, ordinal)  # (n, r)
            total -= (target * log_p.gather(1, bins)).sum()

            slope = log_p.exp_().scatter_add_(1, bins, -target)  # p - target, (n, D)
            if padded:
                slope *= (y[:, j] >= 0)[:, None]
            relative_grad[:, j] = slope.gather(1, near).masked_fill_(outside, 0)
            slope = slope.to(x.dtype)
            x_grad.addmm_(slope, W.T)
            weight_grad[:, head].addmm_(x.T, slope, beta=0)
            bias_grad[head] = slope.sum(0)

        ctx.count = (y >= 0).sum()
        ctx.save_for_backward(weight_grad, bias_grad, x_grad, relative_grad)
        return total / ctx.count

    @staticmethod
    def backward(ctx, out: Tensor) -> tuple:
        scale = out / ctx.count
        weight, bias, x, relative = (scale.to(grad.dtype) * grad for grad in ctx.saved_tensors)
        # one for each argument of forward; ordinal, y and y_previous have no gradient
        return weight, bias, None, x, None, relative, None
