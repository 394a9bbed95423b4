"""The mapping network: what it may see, and that both of its ways of running are one function."""

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
import torch

from dirfa_edu.discretize import Discretizer
from dirfa_edu.fast.decode import FastEngine
from dirfa_edu.files import InputError
from dirfa_edu.losses import cross_entropy
from dirfa_edu.mapper import (
    NO_AUDIO,
    Block,
    MapperConfig,
    MappingNetwork,
    load_mapper,
    save_mapper,
    with_steepness,
)
from dirfa_edu.masks import temporally_biased_mask


def network(**settings) -> MappingNetwork:
    torch.manual_seed(0)
    made = MappingNetwork(
        MapperConfig(**{"bins": 12, "tau": 6, "d_model": 32, "layers": 2, "heads": 4, **settings})
    )
    made.discretizer = Discretizer(np.zeros(23), np.ones(23), made.config.bins)
    return made.eval()


def clip(T: int = 25, bins: int = 12):
    g = torch.Generator().manual_seed(1)
    y = torch.randint(0, bins, (1, T, 23), generator=g)
    y[:, 0] = bins
    return torch.rand(1, T, 400, generator=g), y


def frame_by_frame(net, A, y, marks=None):
    """Logits (B, T, 23, D) of rows that are decoded one frame after another."""
    cache, B = net.new_cache(len(y)), len(y)
    frames = []
    for t in range(y.shape[1]):
        pinned = None if marks is None else marks[t].expand(B, -1)
        frames.append(net.decode_frame(A[:, t].expand(B, -1), y[:, t], cache, t, pinned))
    return torch.stack(frames, dim=1)


def compiled(net, A, y, marks=None):
    """The same by the fast engine, whose rows hear one sound: A (1, T, 400)."""
    engine = FastEngine(net, len(y))
    marks = [None] * y.shape[1] if marks is None else marks
    return torch.stack([engine(A[0, t], y[:, t], t, marks[t]) for t in range(y.shape[1])], dim=1)


@pytest.mark.parametrize("layers", [1, 2, 4])
@pytest.mark.parametrize("bias", ["alibi", "single", "none", "sinusoidal"])
@pytest.mark.parametrize("inside", [False, True])
def test_ring_cache_equals_full_recompute_across_the_wrap(layers, bias, inside):
    net, (A, y) = network(layers=layers, bias=bias, bias_inside=inside), clip()
    with torch.no_grad():
        full = net(A, y)
        assert (full - frame_by_frame(net, A, y)).abs().max() < 1e-5
        assert (full - compiled(net, A, y)).abs().max() < 1e-5
    assert full.std() > 1e-3


CHANGES = [
    {},
    {"reach": 0},
    {"bias": "sinusoidal"},
    {"history": False},
    {"bias": "single", "bias_inside": True},
    {"probabilistic": False},
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("B", [1, 3, 4, 6])
def test_frame_by_frame_any_number_of_faces_are_the_network(change, B):
    net, (A, y) = network(layers=2, **change), clip()
    noise = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weight in net.parameters():  # nothing is left at zero or one
            weight.add_(0.1 * torch.randn(weight.shape, generator=noise))
        A[:, 3:6] = NO_AUDIO
        y = torch.cat([y, *torch.randint(0, 12, (B - 1, 1, *y.shape[1:]), generator=noise)])
        marks = torch.rand(25, 23, generator=noise) < 0.3
        full = net(A.expand(B, -1, -1), y, pinned=marks.expand(B, -1, -1))
        plain, fast = frame_by_frame(net, A, y, marks), compiled(net, A, y, marks)
    torch.testing.assert_close(plain, full, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(fast, full, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(fast, plain, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("change", CHANGES)
def test_what_the_fast_engine_says_of_a_face_does_not_depend_on_the_others_bit_for_bit(change):
    net, (A, y) = network(layers=2, d_model=36, **change), clip()
    y = torch.cat([y, *torch.randint(0, 12, (8, 1, *y.shape[1:]))])
    all_nine = compiled(net, A, y)
    for rows in ([0], [8], [3, 5], [0, 1, 2, 3], [7, 6, 5, 4, 3]):
        assert torch.equal(compiled(net, A, y[rows]), all_nine[rows])


@pytest.mark.parametrize("inside", [False, True])
def test_steeper_slopes_are_the_same_frame_by_frame_at_once_and_from_a_file(tmp_path, inside):
    net, (A, y) = network(layers=2, bias_inside=inside), clip()
    steep = with_steepness(net, 2.5)
    assert net.config.steepness == 1 and with_steepness(steep, 2).config.steepness == 5
    assert torch.allclose(steep.mask(25), 2.5 * net.mask(25))
    save_mapper(tmp_path / "m.safetensors", steep)
    for read in (steep, load_mapper(tmp_path / "m.safetensors")):
        assert read.config.steepness == 2.5
        with torch.no_grad():
            full = read(A, y)
            for decoded in (frame_by_frame(read, A, y), compiled(read, A, y)):
                assert (full - decoded).abs().max() < 1e-5 < (full - net(A, y)).abs().max()
    wrong = json.dumps(asdict(net.config) | {"steepness": "very"})
    save_mapper(tmp_path / "m.safetensors", steep, {"config": wrong})
    with pytest.raises(InputError, match="does not hold a mapping network"):
        load_mapper(tmp_path / "m.safetensors")


def test_marks_of_pinned_attributes_are_read_alike_frame_by_frame_and_at_once():
    net, (A, y) = network(layers=2), clip()
    torch.nn.init.normal_(net.pinned)
    marks = torch.rand(25, 23, generator=torch.Generator().manual_seed(2)) < 0.3
    with torch.no_grad():
        full = net(A, y, pinned=marks[None])
        for decoded in (frame_by_frame(net, A, y, marks), compiled(net, A, y, marks)):
            assert (full - decoded).abs().max() < 1e-5 < 0.01 < (full - net(A, y)).abs().max()
        assert torch.equal(net(A, y), net(A, y, pinned=torch.zeros(1, 25, 23)))


def test_the_future_does_not_leak():
    net, (A, y) = network(), clip()
    with torch.no_grad():
        before = net(A, y)
        A[:, 15:] += 1
        y[:, 16:] = (y[:, 16:] + 3) % 12
        after = net(A, y)
    assert torch.equal(before[:, :15], after[:, :15])
    assert (before[:, 15] - after[:, 15]).abs().max() > 1e-4


@pytest.mark.parametrize("layers", [1, 3])
def test_l_banded_layers_see_l_times_tau_minus_one_frames_back(layers):
    net, (A, y) = network(layers=layers), clip(40)
    A.requires_grad_(True)
    net(A, y)[0, 39].sum().backward()
    seen = A.grad[0].abs().sum(-1) > 0
    reach = layers * (6 - 1)
    assert seen[39 - reach] and not seen[: 39 - reach].any()


def test_one_layer_is_eq_1_written_out():
    block = Block(MapperConfig(d_model=8, heads=2, dropout=0.0)).eval()
    x, M = (
        torch.randn(1, 5, 8, generator=torch.Generator().manual_seed(2)),
        temporally_biased_mask(5, 2, 3),
    )
    h = block.norm_attention(x)[0]
    W, b = block.qkv.weight.T, block.qkv.bias
    heads = []
    for i in range(2):
        cut = slice(4 * i, 4 * i + 4)
        Q, K, V = (h @ W[8 * n : 8 * n + 8][cut].T + b[8 * n : 8 * n + 8][cut] for n in range(3))
        heads.append(torch.softmax(Q @ K.T / math.sqrt(4) + M[i], -1) @ V)
    out = x[0] + block.out(torch.cat(heads, -1))
    out = out + block.feed(block.norm_feed(out))
    assert torch.allclose(block(x, M)[0], out, atol=1e-6)
    weights, _ = block.attend(x, M)
    assert (
        torch.allclose(weights.sum(-1), torch.ones(1, 2, 5), atol=1e-6) and weights[0, 0, 0, 1] == 0
    )


def test_the_start_token_is_no_bin():
    net, (A, y) = network(), clip(3)
    with torch.no_grad():
        outs = []
        for first in range(13):
            y[:, 0] = first
            outs.append(net(A, y)[0, 0])
    assert min((outs[12] - other).abs().max() for other in outs[:12]) > 1e-4


def test_without_history_only_the_audio_counts():
    net, (A, y) = network(history=False), clip()
    with torch.no_grad():
        assert torch.equal(net(A, y), net(A, (y + 5) % 12))
        assert (net(A, y) - net(A / 2, y)).abs().max() > 1e-3


def test_logits_of_moves_go_with_the_last_bin():
    net, (A, y) = network(reach=3), clip()
    plain = network(reach=0)
    assert not any(name.startswith("relative") for name in plain.state_dict())
    plain.load_state_dict(
        {name: part for name, part in net.state_dict().items() if not name.startswith("relative")}
    )
    with torch.no_grad():
        net.relative.weight.zero_(), net.relative.bias.zero_()
        # of attribute 5, whatever the audio: steps -3 .. 3
        net.relative.bias.view(23, 7)[5] = torch.arange(1.0, 8.0)
        extra = (net(A, y) - plain(A, y))[0]  # (T, 23, D)
    for t, last in enumerate(y[0, :, 5].tolist()):
        wanted = [d - last + 4 if abs(d - last) <= 3 and last < 12 else 0 for d in range(12)]
        assert torch.allclose(extra[t, 5], torch.tensor(wanted, dtype=torch.float32), atol=1e-5)
    assert extra[:, 6].abs().max() < 1e-5


@pytest.mark.parametrize("ordinal", [0.0, 1.0])
@pytest.mark.parametrize("reach", [0, 3])
def test_the_loss_is_eq_5_on_the_logits_and_its_fast_twin_teaches_the_same(ordinal, reach):
    net, (A, y) = network(reach=reach), clip()
    torch.nn.init.normal_(net.pinned)  # an untrained network does not know the marks
    pinned = torch.zeros(y.shape, dtype=torch.bool)
    pinned[:, 5:, 8] = True
    target = (y + 1) % 12
    target[:, -3:] = -100
    found = {}
    for fast in (False, True):
        net.zero_grad()
        loss = net.loss(A, y, target, ordinal, pinned, fast)
        loss.backward()
        found[fast] = [loss, *(p.grad for p in net.parameters() if p.grad is not None)]
    expected = cross_entropy(net(A, y, pinned), target, ordinal)
    assert torch.equal(found[False][0], expected)
    torch.testing.assert_close(found[True], found[False], rtol=1e-4, atol=1e-6)
    assert not torch.equal(expected, cross_entropy(net(A, y), target, ordinal))  # marks count


def test_without_probabilities_the_loss_is_the_squared_error():
    net, (A, y) = network(probabilistic=False), clip()
    target = y.clamp(max=11)
    wrong = (net(A, y) - (target + 0.5) / 12).square()
    for fast in (False, True):
        assert torch.isclose(net.loss(A, y, target, fast=fast), wrong.mean(), rtol=1e-5)
    target[:, -3:] = -100
    assert torch.isclose(net.loss(A, y, target), wrong[:, :-3].mean(), rtol=1e-5)


def test_whitened_audio_has_one_variance_in_every_direction_that_is_no_noise():
    net, g = network(), torch.Generator().manual_seed(0)
    # 395 directions without life
    A = torch.randn(3000, 5, generator=g) @ torch.randn(5, 400, generator=g) + 0.3
    net.whiten(A)
    white = (A - net.audio_mean) @ net.audio_whiten
    variance = torch.linalg.eigvalsh(torch.cov(white.T))
    assert variance[-5] > 0.9 * variance[-1] and (variance[:-5] < 1e-3 * variance[-1]).all()
    assert white.mean().abs() < 1e-3 and abs(white.var() - 1) < 0.01


def test_audio_that_is_not_heard_does_not_matter_and_silence_is_heard():
    net, (A, y) = network(), clip()
    with torch.no_grad():
        net.no_audio += 0.5
        deaf, silent = (net(torch.full_like(A, level), y) for level in (NO_AUDIO, 0.0))
        assert (deaf - silent).abs().max() > 1e-3
        A[:, 10:] = NO_AUDIO
        part = net(A, y)
    assert (part[:, :10] - deaf[:, :10]).abs().max() > 1e-3


def test_without_probability_there_is_one_number_an_attribute():
    net, (A, y) = network(probabilistic=False), clip()
    assert net(A, y).shape == (1, 25, 23)


def test_saved_weights_load_and_damaged_ones_are_refused(tmp_path):
    net, (A, y) = network(), clip()
    save_mapper(tmp_path / "m.safetensors", net)
    again = load_mapper(tmp_path / "m.safetensors")
    assert again.config == net.config and np.array_equal(
        again.discretizer.high, net.discretizer.high
    )
    assert torch.allclose(again(A, y), net(A, y), atol=0.02)  # fp16 on disk
    whole = (tmp_path / "m.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="whole safetensors"):
        load_mapper(tmp_path / "cut.safetensors")
    with pytest.raises(InputError, match="no weights"):
        load_mapper(tmp_path / "none.safetensors")


def test_shapes_that_do_not_fit_are_named():
    net, (A, y) = network(), clip()
    with pytest.raises(InputError, match="do not fit"):
        net(A[:, :5], y)
    with pytest.raises(InputError, match="multiple"):
        MappingNetwork(MapperConfig(d_model=30, heads=4))
