"""The masks of Fig. 2, rows by hand."""

import math

import pytest
import torch

from dirfa_edu import masks
from dirfa_edu.files import InputError

INF = math.inf


def test_causal_mask_rows_by_hand():
    assert masks.causal_mask(3).tolist() == [[0, -INF, -INF], [0, 0, -INF], [0, 0, 0]]


def test_biased_mask_rows_by_hand():
    M = masks.temporally_biased_mask(4, heads=2, tau=3)  # slopes 2^-4 and 2^-8
    assert M[0].tolist() == [
        [0, -INF, -INF, -INF],
        [-1 / 16, 0, -INF, -INF],
        [-2 / 16, -1 / 16, 0, -INF],
        [-INF, -2 / 16, -1 / 16, 0],
    ]
    assert M[1][3].tolist() == [-INF, -2 / 256, -1 / 256, 0]


def test_against_a_loop_written_from_the_papers_words():
    T, H, tau = 23, 4, 7
    M = masks.temporally_biased_mask(T, H, tau)
    for h in range(H):
        slope = 2 ** (-8 * (h + 1) / H)
        for i in range(T):
            for j in range(T):
                hidden = j > i or i - j >= tau
                assert M[h, i, j].item() == (-INF if hidden else pytest.approx(-slope * (i - j)))


def test_slopes_fall_by_a_constant_ratio_and_end_at_two_to_the_minus_eight():
    slopes = masks.alibi_slopes(8)
    assert slopes[-1].item() == 2**-8
    assert torch.allclose(slopes[1:] / slopes[:-1], torch.full((7,), 0.5))


def test_a_constant_added_to_a_row_changes_no_attention():
    scores = torch.randn(1, 6, 6, generator=torch.Generator().manual_seed(0))
    M = masks.temporally_biased_mask(6, 1, 6)
    # penalty by position instead of by age: rows differ by a constant
    position = 2.0**-8 * torch.arange(6.0)
    other = masks.causal_mask(6) + position[None, None, :]
    assert torch.allclose(
        torch.softmax(scores + M, -1), torch.softmax(scores + other, -1), atol=1e-6
    )


def test_the_scale_multiplies_the_slopes_and_leaves_the_band():
    M = masks.temporally_biased_mask(9, heads=2, tau=4)
    finite = torch.isfinite(M)
    for scale in (0, 0.25, 1, 4):
        scaled = masks.temporally_biased_mask(9, heads=2, tau=4, scale=scale)
        assert torch.equal(torch.isfinite(scaled), finite)
        assert torch.equal(scaled[finite], scale * M[finite])
        # slots 0 3 2 1 hold ages 0 1 2 3
        ring = torch.from_numpy(masks.ring_bias(8, 2, 4, "alibi", scale))
        assert torch.equal(scaled[:, 8, 5:].flip(1), ring[:, [0, 3, 2, 1]])
    assert torch.equal(
        masks.temporally_biased_mask(9, 2, 4, scale=0),
        masks.temporally_biased_mask(9, 2, 4, "none"),
    )


def test_the_single_penalty_is_one_a_frame_in_every_head():
    M = masks.temporally_biased_mask(4, heads=3, tau=3, style="single")
    assert M[:, 3].tolist() == [[-INF, -2, -1, 0]] * 3


def test_without_a_bias_the_band_is_left():
    for style in ("none", "sinusoidal"):  # sinusoidal positions are added to the tokens instead
        assert (masks.temporally_biased_mask(5, 2, 5, style) == masks.causal_mask(5)).all()


def test_sinusoidal_positions_are_those_of_vaswani_for_even_and_odd_widths():
    for d in (6, 7):
        found = masks.sinusoid(torch.tensor([0, 1, 5, 40]), d)
        assert found.shape == (4, d)
        for row, t in zip(found, (0, 1, 5, 40)):
            for i in range(d):
                angle = t / 10000 ** (2 * (i // 2) / d)
                assert row[i].item() == pytest.approx(
                    math.cos(angle) if i % 2 else math.sin(angle), abs=1e-5
                )


def test_unknown_style_is_named():
    with pytest.raises(InputError, match="alibi, single, none"):
        masks.temporally_biased_mask(3, 1, style="linear")


@pytest.mark.parametrize("sizes", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_a_mask_without_frames_heads_or_context_is_refused(sizes):
    with pytest.raises(InputError, match="at least 1"):
        masks.temporally_biased_mask(*sizes)
    assert masks.temporally_biased_mask(1, 1, 1).tolist() == [[[0]]]
