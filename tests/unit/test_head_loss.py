"""The loss that never holds all the logits is Eq. 5: value and gradients, in half precision too."""

import pytest
import torch

from dirfa_edu.fast.head_loss import head_cross_entropy
from dirfa_edu.losses import cross_entropy


def by_hand(relative, y_previous, reach, D):
    """The logits (B, T, 23, D) that those relative to the last bin come to, bin after bin."""
    out = torch.zeros(*y_previous.shape, D)
    for place, last in zip(
        torch.cartesian_prod(*map(torch.arange, y_previous.shape)), y_previous.flatten()
    ):
        b, t, j = place.tolist()
        for d in range(D):
            if last < D and abs(d - last) <= reach:
                out[b, t, j, d] = relative[b, t, j, d - last + reach]
    return out


@pytest.mark.parametrize("ordinal", [0.0, 1.5])
@pytest.mark.parametrize("reach", [None, 2, 20])
def test_the_loss_attribute_by_attribute_has_value_and_gradients_of_the_loss_in_one_piece(
    ordinal, reach
):
    g = torch.Generator().manual_seed(0)
    B, T, d, D = 3, 20, 6, 9
    y = torch.randint(0, D, (B, T, 23), generator=g)
    previous = torch.randint(0, D + 1, (B, T, 23), generator=g)
    y[1, 15:] = -100
    found = []
    for sliced in (True, False):
        g.manual_seed(1)
        sizes = (B, T, d), (d, 23 * D), (23 * D,), (B, T, 23, 2 * (reach or 0) + 1)
        x, W, b, relative = (torch.randn(*size, generator=g).requires_grad_() for size in sizes)
        if sliced:
            more = (relative, previous) if reach else ()
            loss = head_cross_entropy(x, W, b, y, ordinal, *more)
        else:
            logits = (x @ W + b).view(B, T, 23, D)
            if reach:
                logits = logits + by_hand(relative, previous, reach, D)
            loss = cross_entropy(logits, y, ordinal)
        (3 * loss).backward()
        found.append([loss, x.grad, W.grad, b.grad] + ([relative.grad] if reach else []))
    for one, other in zip(*found):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    assert found[0][1][1, 15:].abs().max() == 0  # padding teaches nothing


def test_in_half_precision_the_loss_is_summed_in_full_and_teaches_the_same():
    g = torch.Generator().manual_seed(0)
    x, W, b = (torch.randn(size, generator=g) for size in ((4, 40, 6), (6, 23 * 9), (23 * 9,)))
    y = torch.randint(0, 9, (4, 40, 23), generator=g)
    found = []
    for half in (False, True):
        parts = [part.clone().requires_grad_() for part in (x, W, b)]
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = head_cross_entropy(*parts, y)
        loss.backward()
        assert loss.dtype == torch.float32 and all(
            part.grad.dtype == torch.float32 for part in parts
        )
        found.append([loss.item()] + [part.grad for part in parts])
    assert found[0][0] != found[1][0] == pytest.approx(found[0][0], rel=2e-3)
    for full, rough in zip(found[0][1:], found[1][1:]):
        assert (full - rough).norm() < 0.02 * full.norm()
