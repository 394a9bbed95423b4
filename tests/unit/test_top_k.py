"""Top-k sampling: the right bins are kept, and drawn as often as they should be."""

import numpy as np
import pytest
import torch

from dirfa_edu.fast.top_k import cut, draw, top_k_sample
from dirfa_edu.files import InputError


def test_gumbel_top_k_draws_from_the_truncated_softmax():
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0, 1.5, -3.0])
    draws = top_k_sample(
        logits.expand(40_000, -1), k=3, temperature=0.8, generator=torch.Generator().manual_seed(0)
    )
    counts = torch.bincount(draws, minlength=6).double()
    kept = [0, 1, 4]
    assert counts[[2, 3, 5]].sum() == 0
    expected = 40_000 * torch.softmax(logits[kept].double() / 0.8, 0)
    # chi-square, 2 degrees of freedom, p > .001
    assert ((counts[kept] - expected) ** 2 / expected).sum() < 13.8


@pytest.mark.parametrize("k", [1, 4, 9, 20])
@pytest.mark.parametrize("speed", [2, 1e9])
def test_a_draw_is_the_best_of_the_k_likeliest_near_enough_and_of_equals_the_lowest_are_kept(
    k, speed
):
    rng = np.random.default_rng(k)
    logits = rng.integers(0, 6, (400, 20)).astype(np.float32)  # full of equals
    logits[0] = 0
    heat, noise = (
        rng.uniform(0.5, 2, 400).astype(np.float32),
        rng.gumbel(size=(400, k)).astype(np.float32),
    )
    last, most = rng.integers(0, 20, 400), np.full(400, speed, np.float32)
    least, kept = cut(logits, np.full(400, k), heat, None)
    drawn = draw(logits, least, kept, heat, noise.ravel(), np.arange(0, 400 * k, k), last, most)
    for row in range(400):
        kept = sorted(sorted(range(20), key=lambda j: (-logits[row, j], j))[:k])
        scores = [logits[row, j] / heat[row] + noise[row, m] for m, j in enumerate(kept)]
        near = [m for m, j in enumerate(kept) if abs(j - last[row]) <= speed]
        if near:
            assert drawn[row] == kept[max(near, key=lambda m: scores[m])]
        else:  # no leap, though the distribution asks for one
            assert drawn[row] in kept and abs(drawn[row] - last[row]) == min(
                abs(j - last[row]) for j in kept
            )


@pytest.mark.parametrize("size", [0, 1e-42, 1, 1e9, 1e35])
@pytest.mark.parametrize("k", [1, 10, 499, 500])
def test_the_cut_leaves_k_whatever_the_size_of_the_logits(size, k):
    logits = (size * np.random.default_rng(k).normal(size=(20, 500))).astype(np.float32)
    logits[10:] = logits[10:].round()  # with equals
    least, kept = cut(logits, np.full(20, k), np.ones(20, np.float32), None)
    kth = -np.sort(-logits, axis=1)[:, k - 1]
    assert (((logits >= least[:, None]).sum(1) == k) | (least == kth)).all() and (kept == k).all()


def test_k_1_is_the_most_likely_bin_whatever_the_noise():
    logits = torch.randn(50, 9, generator=torch.Generator().manual_seed(3))
    assert torch.equal(top_k_sample(logits, k=1), logits.argmax(-1))


def test_top_p_keeps_the_fewest_bins_that_hold_p():
    p = torch.tensor([0.05, 0.4, 0.15, 0.3, 0.1])
    draws = top_k_sample(
        p.log().expand(40_000, -1), 5, top_p=0.75, generator=torch.Generator().manual_seed(0)
    )
    counts = torch.bincount(draws, minlength=5).double()
    assert counts[[0, 4]].sum() == 0  # .4 + .3 is short of .75, .15 more is enough
    kept = [1, 2, 3]
    expected = 40_000 * p[kept].double() / p[kept].sum()
    assert ((counts[kept] - expected) ** 2 / expected).sum() < 13.8
    assert (top_k_sample(p.log().expand(100, -1), 5, top_p=0.01) == 1).all()  # never fewer than one
    # of the two likeliest it holds 4 / 7
    assert (top_k_sample(p.log().expand(100, -1), 2, top_p=0.5) == 1).all()


def test_rows_are_drawn_independently_and_a_seed_repeats_them():
    logits = torch.zeros(60_000, 3)
    draws, again, other = (
        top_k_sample(logits, k=3, generator=torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    )
    assert torch.equal(draws, again) and not torch.equal(draws, other)
    # of neighbouring rows
    pairs = torch.bincount(3 * draws[::2] + draws[1::2], minlength=9).double()
    expected = 30_000 / 9
    # chi-square, 8 degrees of freedom, p > .001
    assert ((pairs - expected) ** 2 / expected).sum() < 26.1


def test_a_batch_of_any_shape_is_drawn_row_by_row():
    logits = torch.randn(2, 5, 4, 7, generator=torch.Generator().manual_seed(1))
    alone, batch = (
        top_k_sample(x, k=3, temperature=0.7, top_p=0.9, generator=torch.Generator().manual_seed(2))
        for x in (logits.flatten(0, 2), logits)
    )
    assert batch.shape == (2, 5, 4) and torch.equal(batch.flatten(), alone)


@pytest.mark.parametrize(
    "settings", [(0, 1.0, 1.0), (3, 0.0, 1.0), (3, -1.0, 1.0), (3, 1.0, 0.0), (3, 1.0, 1.1)]
)
def test_settings_that_leave_nothing_to_draw_from_are_refused(settings):
    with pytest.raises(InputError, match="k >= 1"):
        top_k_sample(torch.zeros(1, 5), *settings)


def test_top_p_is_probability_at_the_temperature_wherever_the_logits_lie():
    # at temperature 2 as their roots 1 : 4 : 5 : 3 : 7, of 20
    p = torch.tensor([0.01, 0.16, 0.25, 0.09, 0.49])
    for shift in (0, -400, 400):
        for top_p, kept in (
            (0.34, {4}),
            (0.36, {4, 2}),
            (0.59, {4, 2}),
            (0.61, {4, 2, 1}),
            (0.94, {4, 2, 1, 3}),
        ):
            draws = top_k_sample(
                (p.log() + shift).expand(400, -1), 5, 2.0, top_p, torch.Generator().manual_seed(0)
            )
            assert set(draws.tolist()) == kept
