"""Sampling: the right distribution, repeatable, and controllable."""

import numpy as np
import pytest
import torch

from dirfa_edu.discretize import Discretizer
from dirfa_edu.files import InputError
from dirfa_edu.mapper import MapperConfig, MappingNetwork
from dirfa_edu.sampling import decode_frames, generate, pin, top_k_sample


@pytest.fixture(scope="module")
def mapper():
    torch.manual_seed(0)
    net = MappingNetwork(MapperConfig(bins=30, tau=6, d_model=32, layers=2, heads=4)).eval()
    net.discretizer = Discretizer(np.zeros(23), np.r_[np.full(17, 5.0), np.full(6, 1.0)], 30)
    return net


A = np.random.default_rng(0).random((70, 400)).astype(np.float32)


def test_gumbel_top_k_draws_from_the_truncated_softmax():
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0, 1.5, -3.0])
    draws = top_k_sample(logits.expand(40_000, -1), k=3, temperature=0.8, generator=torch.Generator().manual_seed(0))
    counts = torch.bincount(draws, minlength=6).double()
    kept = [0, 1, 4]
    assert counts[[2, 3, 5]].sum() == 0
    expected = 40_000 * torch.softmax(logits[kept].double() / 0.8, 0)
    assert ((counts[kept] - expected) ** 2 / expected).sum() < 13.8  # chi-square, 2 degrees of freedom, p > .001


def test_k_1_is_the_most_likely_bin_whatever_the_noise():
    logits = torch.randn(50, 9, generator=torch.Generator().manual_seed(3))
    assert torch.equal(top_k_sample(logits, k=1), logits.argmax(-1))


def test_same_seed_same_animation_and_samples_differ(mapper):
    first, again = generate(mapper, A, 3, seed=5), generate(mapper, A, 3, seed=5)
    assert np.array_equal(first, again)
    assert np.abs(first[0] - first[1]).mean() > 0.01 and np.abs(first[1] - first[2]).mean() > 0.01
    assert np.abs(first - generate(mapper, A, 3, seed=6)).mean() > 0.01


def test_sample_i_does_not_depend_on_how_many_are_drawn(mapper):
    alone, many = generate(mapper, A, 1, seed=1)[0], generate(mapper, A, 4, seed=1)[0]
    assert np.array_equal(alone, many)


def test_audio_given_frame_by_frame_gives_the_same_bins(mapper):
    pieces = (torch.from_numpy(row) for row in A)
    streamed = torch.stack(list(decode_frames(mapper, pieces, 2, seed=9)), 1).numpy()
    assert np.array_equal(mapper.discretizer.decode(streamed), generate(mapper, A, 2, seed=9))


def test_greedy_decoding_equals_full_recompute(mapper):
    y = mapper.start(1)  # (1, 1, 23)
    with torch.no_grad():
        for t in range(40):
            logits = mapper(torch.from_numpy(A[None, :t + 1]), y)
            y = torch.cat([y, logits[:, -1:].argmax(-1)], 1)
    assert np.array_equal(mapper.discretizer.decode(y[0, 1:].numpy()), generate(mapper, A[:40], 1, top_k=1)[0])


def test_pinned_attributes_hold_and_the_others_react(mapper):
    control = pin(70, AU12=(1.0, 2.0, 3.0))
    free, pinned = generate(mapper, A, 1, seed=2)[0], generate(mapper, A, 1, seed=2, control=control)[0]
    assert np.abs(pinned[25:50, 8] - 3.0).max() <= 5 / 30
    assert np.array_equal(free[:25], pinned[:25])
    others = [j for j in range(23) if j != 8]
    assert (free[26:50][:, others] != pinned[26:50][:, others]).any()


def test_settings_may_be_given_per_group_or_attribute(mapper):
    tight = generate(mapper, A, 2, seed=3, top_k={"lips": 1, "upper": 1, "blink": 1, "pose": 1})
    assert np.array_equal(tight[0], tight[1])
    loose = generate(mapper, A, 2, seed=3, top_k={"lips": 1, "upper": 1, "blink": 1, "pose": 1, "AU12": 20})
    assert (loose[0][:, 8] != loose[1][:, 8]).any()


@pytest.mark.parametrize("call, word", [
    (dict(A=A[:, :399]), "400"), (dict(A=A[:0]), "400"), (dict(samples=0), "at least 1"),
    (dict(temperature=0.0), "temperature"), (dict(top_k={"nose": 3}), "nose")])
def test_bad_settings_end_in_one_sentence(mapper, call, word):
    with pytest.raises(InputError, match=word):
        generate(mapper, **{"A": A, **call})
