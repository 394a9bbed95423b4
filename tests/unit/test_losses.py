"""Eq. 5 and 7-10 against their formulas."""

import math
from dataclasses import replace

import pytest
import torch

from dirfa_edu import losses
from dirfa_edu.files import InputError


def test_cross_entropy_is_the_mean_of_minus_log_p():
    g = torch.Generator().manual_seed(0)
    logits, y = torch.randn(2, 3, 23, 5, generator=g), torch.randint(0, 5, (2, 3, 23), generator=g)
    p = torch.exp(logits) / torch.exp(logits).sum(-1, keepdim=True)
    by_hand = -torch.log(torch.gather(p, -1, y[..., None])).mean()
    assert losses.cross_entropy(logits, y).item() == pytest.approx(by_hand.item(), rel=1e-5)


def test_uniform_prediction_costs_log_d_and_padding_costs_nothing():
    y = torch.zeros(1, 4, 23, dtype=torch.long)
    assert losses.cross_entropy(torch.zeros(1, 4, 23, 500), y).item() == pytest.approx(
        math.log(500), rel=1e-5
    )
    logits = torch.randn(1, 4, 23, 7, generator=torch.Generator().manual_seed(1))
    padded = y.clone()
    padded[:, 2:] = -100
    assert losses.cross_entropy(logits, padded).item() == pytest.approx(
        losses.cross_entropy(logits[:, :2], y[:, :2]).item(), rel=1e-5
    )


def test_ordinal_targets_are_gaussians_that_leave_bin_0_alone():
    g, D, width = torch.Generator().manual_seed(0), 12, 1.5
    logits, y = torch.randn(2, 5, 23, D, generator=g), torch.randint(0, D, (2, 5, 23), generator=g)
    y[0, 0] = -100
    total, count = 0.0, 0
    for row, true in zip(logits.reshape(-1, D), y.flatten().tolist()):
        if true < 0:
            continue
        target = torch.tensor(
            [
                0.0 if d == 0 or abs(d - true) > 5 else math.exp(-0.5 * ((d - true) / width) ** 2)
                for d in range(D)
            ]
        )
        if true == 0:
            target = torch.eye(D)[0]
        total -= (target / target.sum() * torch.log_softmax(row, 0)).sum().item()
        count += 1
    assert losses.cross_entropy(logits, y, ordinal=width).item() == pytest.approx(
        total / count, rel=1e-5
    )


def test_ordinal_targets_forgive_a_near_miss_more_than_a_far_one():
    y = torch.full((1, 1, 23), 250)
    near, far = torch.zeros(1, 1, 23, 500), torch.zeros(1, 1, 23, 500)
    near[..., 252], far[..., 300] = 5.0, 5.0
    assert (
        losses.cross_entropy(near, y, ordinal=2.0) < losses.cross_entropy(far, y, ordinal=2.0) - 0.3
    )
    assert losses.cross_entropy(near, y).item() == pytest.approx(
        losses.cross_entropy(far, y).item()
    )


def test_lsgan_has_its_minimum_at_the_right_labels():
    real, fake = (
        torch.full((4,), 0.3, requires_grad=True),
        torch.full((4,), 0.6, requires_grad=True),
    )
    loss = losses.lsgan_discriminator(real, fake)
    assert loss.item() == pytest.approx(0.5 * 0.7**2 + 0.5 * 0.6**2)
    loss.backward()
    assert (real.grad < 0).all() and (fake.grad > 0).all()  # real goes up to 1, fake goes down to 0
    assert losses.lsgan_discriminator(torch.ones(3), torch.zeros(3)).item() == 0


def test_the_generator_wants_what_the_discriminator_calls_real():
    fake = torch.full((4,), 0.2, requires_grad=True)
    loss = losses.lsgan_generator(fake)
    assert (
        loss.item() == pytest.approx(0.5 * 0.8**2)
        and losses.lsgan_generator(torch.ones(3)).item() == 0
    )
    loss.backward()
    assert (fake.grad < 0).all()
    # Eq. 8 as printed has its minimum for G at 1 for "fake": the two must not be confused
    assert losses.lsgan_generator(torch.ones(3)) < losses.lsgan_generator(torch.zeros(3))


def test_perceptual_is_zero_on_equal_features_and_blind_to_level_size():
    a = [torch.rand(2, 4, 8, 8, generator=torch.Generator().manual_seed(0)), torch.rand(2, 8, 4, 4)]
    b = [x + 0.1 for x in a]
    assert losses.perceptual(a, a).item() == 0
    assert losses.perceptual([a[0] * 50, a[1]], [b[0] * 50, b[1]]).item() == pytest.approx(
        losses.perceptual(a, b).item(), rel=1e-4
    )


def test_perceptual_weighs_pictures_and_levels_alike_and_is_a_share_of_the_targets_features():
    faint, strong = torch.full((1, 4, 8, 8), 0.1), torch.full((1, 4, 8, 8), 10.0)
    target = [torch.cat([faint, strong]), torch.cat([strong, faint])[..., :2]]
    generated = [torch.cat([1.2 * faint, 0.6 * strong]), torch.cat([1.1 * strong, faint])[..., :2]]
    assert losses.perceptual(target, generated).item() == pytest.approx(
        (0.2 + 0.4 + 0.1 + 0) / 4, rel=1e-4
    )
    dark = [torch.zeros(1, 4, 8, 8)]
    assert losses.perceptual(dark, dark).item() == 0  # features that are all 0 divide nothing by 0


def test_attribute_loss_is_the_squared_norm_averaged_over_the_batch():
    z = torch.randn(3, 23, generator=torch.Generator().manual_seed(0))
    real, fake = z + 0.5, z - 1
    assert losses.attribute(real, fake, z).item() == pytest.approx(23 * 0.25 + 23, rel=1e-5)
    assert losses.attribute(None, fake, z).item() == pytest.approx(23, rel=1e-5)


def test_objective_is_eq_7():
    adv, rec, attr = torch.tensor(0.5), torch.tensor(0.2), torch.tensor(3.0)
    lambdas = losses.Lambdas(adv=1, rec=10, attr=2)
    objective = losses.generator_objective
    assert objective(adv, rec, attr, lambdas).item() == pytest.approx(0.5 + 2 + 6)
    # L_adv switched off
    assert objective(adv, rec, attr, replace(lambdas, adv=0)).item() == pytest.approx(2 + 6)
    # one truth: what training uses is what the function takes by itself
    ours = losses.Lambdas()
    expected = ours.adv * adv + ours.rec * rec + ours.attr * attr
    assert torch.equal(objective(adv, rec, attr), expected)


def test_a_weight_that_makes_no_sense_is_named():
    for wrong in ({"adv": -0.1}, {"adv": math.inf}, {"rec": math.nan}):
        with pytest.raises(InputError, match=f"no weight {next(iter(wrong))}"):
            losses.Lambdas(**wrong)


def test_pixel_loss_prefers_the_right_picture():
    g = torch.Generator().manual_seed(0)
    target = torch.rand(1, 3, 32, 32, generator=g)
    assert losses.pixel(target, target).item() == 0
    middle, corner = target.clone(), target.clone()
    middle[..., 14:18, 14:18] = 0
    corner[..., :4, :4] = 0
    assert losses.pixel(target, middle) > losses.pixel(target, corner)


def test_pixel_loss_is_the_sum_of_its_parts():
    target, generated = torch.rand(2, 2, 3, 32, 32, generator=torch.Generator().manual_seed(1))

    def weighed(error):
        return error.mean() + error[..., 8:24, 8:24].mean()

    error = (target - generated).abs()
    expected = weighed(error + 4 * error**2)
    for n in (2, 4):
        small = [x.view(2, 3, 32 // n, n, 32 // n, n).mean((3, 5)) for x in (target, generated)]
        expected = expected + (small[0] - small[1]).abs().mean()
    for edges in (lambda x: x[..., 1:] - x[..., :-1], lambda x: x[..., 1:, :] - x[..., :-1, :]):
        expected = expected + 2 * weighed((edges(target) - edges(generated)).abs())
    assert losses.pixel(target, generated).item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_kept_picture_still_teaches_the_painter_and_a_saturated_choice_costs():
    g = torch.Generator().manual_seed(0)
    target = torch.rand(1, 3, 32, 32, generator=g)
    painted = torch.full_like(target, 0.5, requires_grad=True)
    # sigmoid(30): all is kept, the picture is perfect
    keep = torch.full((1, 1, 32, 32), 30.0, requires_grad=True)
    losses.layered(target, target, painted, keep).backward()
    assert painted.grad.abs().mean() > 0 and (keep.grad > 0).all()
    assert losses.layered(target, target, target, torch.zeros(1)).item() == 0
    # half the painted layer's own loss, and a thousandth of the choice's square
    other = painted.detach()
    assert losses.layered(target, other, other, torch.full((2,), 3.0)).item() == pytest.approx(
        1.5 * losses.pixel(target, other).item() + 0.009, rel=1e-5
    )


def test_keypoints_within_a_third_of_a_unit_push_each_other_away_wherever_they_are():
    points = torch.tensor(
        [
            [[0.0, 0, 0], [0, 0.3, 0], [0, 0, 1], [2, 2, 2]],
            # two of 6 + 6 pairs are near
            [[0.0, 0, 0], [1, 0, 0], [0, 0, 0], [0, 2, 2]],
        ]
    )
    for place in (torch.zeros(3), torch.tensor([1.0, -2, 3])):
        assert losses.keypoint_spread(points + place).item() == pytest.approx(
            (0.01 + 0.1) / 12, rel=1e-4
        )
        assert losses.keypoint_spread(points + place, apart=0.5).item() == pytest.approx(
            (0.41 + 0.5) / 12, rel=1e-4
        )


def test_keypoints_that_turn_with_the_picture_cost_nothing_and_others_their_distance():
    # the place (x, y) shows the place (-y + .2, x - .1)
    turn = torch.tensor([[[0.0, -1, 0.2], [1, 0, -0.1]]])
    turned = torch.tensor([[[0.3, 0.4, 0.9], [0.0, 0.0, 0.5]]])
    seen = torch.tensor([[[-0.2, 0.2, 0.1], [0.2, -0.1, -0.7]]])
    assert losses.equivariance(seen, turned, turn).item() == pytest.approx(0, abs=1e-6)
    assert losses.equivariance(seen + 0.25, turned, turn).item() == pytest.approx(0.25)
