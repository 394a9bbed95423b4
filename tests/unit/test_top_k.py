"""Top-k sampling: the right bins are kept, and drawn as often as they should be."""

import numpy as np
import pytest
import torch

from dirfa_edu.fast import draw as fast
from dirfa_edu.files import InputError
from dirfa_edu.sampling import draw, top_k_sample


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


def rows(k, seed, equals=False):
    """Logits (400, 20) of any size, noise, temperatures and last bins of 400 rows."""
    rng = np.random.default_rng(seed)
    logits = (3 * rng.normal(size=(400, 20))).astype(np.float32)
    if equals:
        logits = logits.round()
        logits[0] = 0
    heat = rng.uniform(0.5, 2, 400).astype(np.float32)
    noise = rng.gumbel(size=(400, k)).astype(np.float32)
    return logits, noise, heat, rng.integers(0, 20, 400)


def by_hand(logits, noise, heat, last, farthest):
    """The draw of one row, from the sentence that describes it."""
    kept = sorted(sorted(range(len(logits)), key=lambda j: (-logits[j], j))[: len(noise)])
    scores = {j: logits[j] / heat + noise[m] for m, j in enumerate(kept)}
    near = [j for j in kept if abs(j - last) <= farthest]
    if near:
        return max(near, key=scores.get)
    return min(kept, key=lambda j: abs(j - last))  # no leap, though the distribution asks for one


@pytest.mark.parametrize("k", [1, 4, 9, 20])
@pytest.mark.parametrize("farthest", [0, 2, np.inf])
def test_a_draw_is_the_best_of_the_k_likeliest_near_enough_in_both_engines(k, farthest):
    logits, noise, heat, last = rows(k, seed=k)
    far = np.full(400, farthest, np.float32)
    wanted = [by_hand(*row, farthest) for row in zip(logits, noise, heat, last, strict=True)]
    plain = draw(*map(torch.from_numpy, (logits, noise, heat)), torch.ones(400),
                 *map(torch.from_numpy, (last, far)))  # fmt: skip
    assert plain.tolist() == wanted
    assert fast.draw(logits, noise, heat, last, far).tolist() == wanted


@pytest.mark.parametrize("k", [1, 4, 9, 20])
def test_of_equals_at_the_edge_the_fast_engine_keeps_the_lowest(k):
    logits, noise, heat, last = rows(k, seed=k, equals=True)
    far = np.full(400, 3, np.float32)
    wanted = [by_hand(*row, 3) for row in zip(logits, noise, heat, last, strict=True)]
    assert fast.draw(logits, noise, heat, last, far).tolist() == wanted


def test_with_probability_1_the_farthest_tail_may_be_drawn():
    """The sum of all before the last bin may be rounded to 1: it still counts."""
    logits = torch.cat([torch.zeros(400), torch.full((100,), -20.0)])
    noise = torch.zeros(500)
    noise[450] = 100
    assert draw(logits, noise, torch.tensor(1.0), torch.tensor(1.0)) == 450


@pytest.mark.parametrize("size", [0, 1e-42, 1, 1e9, 1e35])
@pytest.mark.parametrize("k", [1, 10, 499, 500])
def test_the_bound_leaves_k_whatever_the_size_of_the_logits(size, k):
    logits = (size * np.random.default_rng(k).normal(size=(20, 500))).astype(np.float32)
    logits[10:] = logits[10:].round()  # with equals
    least = fast.bound(logits, k)
    kth = -np.sort(-logits, axis=1)[:, k - 1]
    assert (((logits >= least[:, None]).sum(1) == k) | (least == kth)).all()


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
