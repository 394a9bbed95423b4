"""Exercises of chapter 05: the attribute loss, and both sides of LSGAN.

Notebook: 05_generator.
"""

from typing import Callable

import numpy as np

from .judging import exercise, judge

# ---- exercise 1: does the face show what it was told? Half of Eq. 10 -----------------------------

ATTRIBUTE_LOSS_MISTAKES = [
    (
        "raw units: millimetres drown the Action Units, divide by scale",
        lambda z_hat, z, scale: ((z_hat - z) ** 2).sum(1).mean(),
    ),
    (
        "multiplied by scale: that makes millimetres drown the Action Units even more, divide",
        lambda z_hat, z, scale: (((z_hat - z) * scale) ** 2).sum(1).mean(),
    ),
    (
        "scale is not squared: divide before you square",
        lambda z_hat, z, scale: (((z_hat - z) ** 2) / scale).sum(1).mean(),
    ),
    (
        "only z_hat is divided by scale: both are in raw units",
        lambda z_hat, z, scale: ((z_hat / scale - z) ** 2).sum(1).mean(),
    ),
    (
        "absolute values: Eq. 10 has a squared 2-norm",
        lambda z_hat, z, scale: np.abs((z_hat - z) / scale).sum(1).mean(),
    ),
    (
        "the root was taken: Eq. 10 squares the 2-norm",
        lambda z_hat, z, scale: np.sqrt((((z_hat - z) / scale) ** 2).sum(1)).mean(),
    ),
    (
        "that is the mean over attributes: a norm sums them",
        lambda z_hat, z, scale: (((z_hat - z) / scale) ** 2).mean(),
    ),
    (
        "the batch is summed: the expectation is its mean",
        lambda z_hat, z, scale: (((z_hat - z) / scale) ** 2).sum(),
    ),
]


@exercise("05_generator", 1)
def attribute_loss(function: Callable) -> str:
    """attribute_loss(z_hat, z, scale) -> half of Eq. 10: the squared 2-norm of (z_hat - z) / scale.

    It is the mean over the batch. z_hat and z are (B, 23) in raw units, scale (23,) is what each
    attribute usually spans; all NumPy.
    """
    rng = np.random.default_rng(9)
    scale = np.array([5.0] * 17 + [0.5] * 3 + [20.0] * 3)

    def case(B):
        z_hat = scale * rng.normal(size=(B, 23))
        z = scale * rng.normal(size=(B, 23))
        return z_hat, z, scale

    return judge(
        function,
        right=lambda z_hat, z, scale: (((z_hat - z) / scale) ** 2).sum(1).mean(),
        cases=[case(3), case(1), case(8)],
        mistakes=ATTRIBUTE_LOSS_MISTAKES,
        praise="lips and millimetres cost alike",
    )


# ---- exercises 2 and 3: LSGAN, Eq. 8 -------------------------------------------------------------


def toy_discriminator() -> tuple:
    """A discriminator of three patch scores a picture, real and fake (4, 3), and what it learns.

    Its scores are a smooth function of the pictures, so that a gradient tells whom it reaches.
    """
    import torch

    generator = torch.Generator().manual_seed(5)
    real = torch.randn(4, 3, generator=generator).requires_grad_()
    fake = torch.randn(4, 3, generator=generator).requires_grad_()
    weight = torch.tensor(0.8, requires_grad=True)

    def D(image):
        return 0.3 + weight * image

    return D, real, fake, weight


def gradient_sizes(loss: Callable, given: tuple, of: tuple) -> list[float]:
    """How much gradient a loss sends to each tensor, also where gradients are switched off."""
    import torch

    with torch.enable_grad():
        value = loss(*given)
        if not getattr(value, "requires_grad", False):
            return [0.0] * len(of)
        gradients = torch.autograd.grad(value, of, allow_unused=True)
    return [0.0 if each is None else float(each.abs().sum()) for each in gradients]


def half_distance(scores, label: float):
    """Half the mean squared distance of patch scores from a label."""
    return 0.5 * (scores - label).square().mean()


def lsgan_of_discriminator(D: Callable, real, fake):
    """Eq. 8 with the usual labels: real 1, fake 0."""
    return half_distance(D(real), 1) + half_distance(D(fake), 0)


DISCRIMINATOR_LOSS_MISTAKES = [
    (
        "the labels are exchanged, as Eq. 8 prints them: "
        "standard LSGAN pulls real to 1 and fake to 0",
        lambda D, real, fake: half_distance(D(real), 0) + half_distance(D(fake), 1),
    ),
    (
        "the factor 1/2 of Eq. 8 is missing",
        lambda D, real, fake: 2 * lsgan_of_discriminator(D, real, fake),
    ),
    (
        "only the real pictures count: D must also learn that fake ones score 0",
        lambda D, real, fake: half_distance(D(real), 1),
    ),
    (
        "only the fake pictures count: D must also learn that real ones score 1",
        lambda D, real, fake: half_distance(D(fake), 0),
    ),
    (
        "both are pulled to 1: fake scores belong at 0",
        lambda D, real, fake: half_distance(D(real), 1) + half_distance(D(fake), 1),
    ),
    (
        "the scores are summed: take their mean",
        lambda D, real, fake: lsgan_of_discriminator(D, real, fake) * D(real).numel(),
    ),
]


# what a right value does not tell: whom its gradient reaches
REACHES_G = "the value is right, but the gradient reaches G: call fake.detach() before D"
TEACHES_NOBODY = "the value is right, but D does not learn from it: detach before D, not after"
REACHES_NOBODY = "the value is right, but no gradient reaches G: do not detach here"


@exercise("05_generator", 2, beside=(REACHES_G, TEACHES_NOBODY))
def discriminator_loss(function: Callable) -> str:
    """discriminator_loss(D, real, fake) -> LSGAN for D: real scores to 1, detached fakes to 0."""
    D, real, fake, weight = toy_discriminator()
    sentence = judge(
        function,
        right=lsgan_of_discriminator,
        cases=[(D, real, fake)],
        mistakes=DISCRIMINATOR_LOSS_MISTAKES,
        praise="real to 1, fake to 0, and G is not moved by it",
    )
    if not sentence.startswith("right"):
        return sentence

    to_fake, to_D = gradient_sizes(function, (D, real, fake), (fake, weight))
    _, wanted = gradient_sizes(lsgan_of_discriminator, (D, real, fake), (fake, weight))
    if to_fake != 0:
        return f"not right: {REACHES_G}"
    if abs(to_D - wanted) > 1e-5:
        return f"not right: {TEACHES_NOBODY}"
    return sentence


GENERATOR_LOSS_MISTAKES = [
    (
        "G is pulled to D's label for fake, 0: it should be taken for real, 1",
        lambda D, fake: half_distance(D(fake), 0),
    ),
    (
        "the factor 1/2 of Eq. 8 is missing",
        lambda D, fake: 2 * half_distance(D(fake), 1),
    ),
    (
        "the sign is turned: G minimises the distance to 1",
        lambda D, fake: -half_distance(D(fake), 0),
    ),
    (
        "the difference is not squared: LSGAN is least squares",
        lambda D, fake: 0.5 * (D(fake) - 1).abs().mean(),
    ),
]


@exercise("05_generator", 3, beside=(REACHES_NOBODY,))
def generator_loss(function: Callable) -> str:
    """generator_loss(D, fake) -> LSGAN for G: fake scores to 1, with the gradient left in."""
    D, _, fake, _ = toy_discriminator()
    sentence = judge(
        function,
        right=lambda D, fake: half_distance(D(fake), 1),
        cases=[(D, fake)],
        mistakes=GENERATOR_LOSS_MISTAKES,
        praise="G wants its pictures taken for real",
    )
    if not sentence.startswith("right"):
        return sentence

    (to_fake,) = gradient_sizes(function, (D, fake), (fake,))
    if to_fake == 0:
        return f"not right: {REACHES_NOBODY}"
    return sentence
