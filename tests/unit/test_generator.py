"""The generation network: its geometry is exact, its warp is a warp, and one source serves many
frames."""

from copy import deepcopy

import numpy as np
import pytest
import torch

from dirfa_edu.files import InputError
from dirfa_edu.generator import (
    SCALE,
    Discriminator,
    GenerationNetwork,
    GeneratorConfig,
    load_generator,
    rotation,
    save_generator,
    warp,
)


@pytest.fixture(scope="module")
def G():
    torch.manual_seed(0)
    return GenerationNetwork(GeneratorConfig(size=64, width=8, keypoints=5)).eval()


def test_rotation_has_openfaces_signs():
    # x right, y down, z away
    nose, ear = torch.tensor([0.0, 0.0, -1.0]), torch.tensor([1.0, 0.0, 0.0])
    pitch, yaw, roll = (rotation(torch.eye(3)[i : i + 1] * 0.3)[0] for i in range(3))
    assert (pitch @ nose)[1] > 0  # Rx > 0 looks down
    assert (yaw @ nose)[0] < 0  # Ry > 0 turns the nose to the picture's left
    assert (roll @ ear)[1] > 0  # Rz > 0 is clockwise in the picture
    R = rotation(torch.randn(9, 3, generator=torch.Generator().manual_seed(0)))
    assert torch.allclose(R @ R.transpose(1, 2), torch.eye(3).expand(9, 3, 3), atol=1e-5)
    assert torch.allclose(torch.linalg.det(R), torch.ones(9), atol=1e-5)


def test_warp_with_no_flow_is_the_picture_and_with_flow_is_a_shift():
    x = torch.rand(1, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(warp(x, torch.zeros(1, 2, 4, 4)), x, atol=1e-5)
    flow = torch.zeros(1, 2, 16, 16)
    flow[:, 0] = 2 * 3 / 15  # three pixels to the right in the source
    assert torch.allclose(warp(x, flow)[..., :13], x[..., 3:], atol=1e-5)


def test_a_warp_is_the_same_in_both_memory_layouts_and_keeps_that_of_its_input():
    noise = torch.Generator().manual_seed(0)
    x, flow = (
        torch.rand(2, 8, 16, 16, generator=noise),
        0.2 * torch.rand(2, 2, 4, 4, generator=noise),
    )
    seen, out = torch.rand(2, 1, 16, 16, generator=noise), torch.rand(2, 8, 16, 16, generator=noise)
    first, last = (
        x.clone().requires_grad_(),
        x.contiguous(memory_format=torch.channels_last).requires_grad_(),
    )
    results = []
    for leaf in (first, last):
        warped = warp(leaf * 1, flow, seen)
        warped.backward(out)
        results.append((warped.detach(), leaf.grad))
    torch.testing.assert_close(results[0], results[1])
    assert torch.allclose(results[0][0], warp(x, flow) * seen)  # what is not seen is taken away
    # else ten times as slow
    assert all(part.is_contiguous(memory_format=torch.channels_last) for part in results[1])


def test_each_keypoint_carries_its_neighbourhood_along_turned_as_the_head(G):
    G, still, turned = deepcopy(G), torch.zeros(1, 23), torch.zeros(1, 23)
    turned[0, 19] = 0.3  # roll: a turn in the picture's own plane
    encoded = G.encode(torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)), still)
    with torch.no_grad():
        for layer in (G.coarse[-1], G.fine[-1]):  # no residual flow
            layer.weight[-3:] = layer.bias[-3:] = 0
        m = G.motion(encoded, turned)
    h, w = m["mask"].shape[-2:]
    grid, R = G._grid(torch.zeros(h, w)), rotation(torch.tensor([[0.0, 0.0, 0.3]]))[0, :2, :2]
    # one pixel and one keypoint after the other, as face-vid2vid writes it
    flow = torch.zeros(h, w, 2)
    for y in range(h):
        for x in range(w):
            for k in range(G.config.keypoints):
                came_from = R.T @ (grid[y, x] - m["target"][0, k, :2]) + m["source"][0, k, :2]
                flow[y, x] += m["mask"][0, k, y, x] * (came_from - grid[y, x])
    small = torch.nn.functional.interpolate(
        flow.permute(2, 0, 1)[None], scale_factor=2, mode="bilinear", align_corners=True
    )
    assert torch.allclose(m["flow"], small, atol=1e-5) and small.abs().max() > 0.2


def test_pose_moves_keypoints_as_a_rigid_body(G):
    source = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    pose = torch.zeros(1, 23)
    pose[0, 17:] = torch.tensor([0.1, -0.3, 0.2, 15.0, -8.0, 30.0])
    with torch.no_grad():
        encoded = G.encode(source)
        z = pose / SCALE
        points = G.keypoints(
            encoded.canonical, z, torch.zeros(1, G.config.z)
        ) - G.expression.bias.view(1, -1, 3)
        distances = torch.cdist(points, points), torch.cdist(encoded.canonical, encoded.canonical)
    assert torch.allclose(*distances, atol=1e-5)
    assert (points - encoded.canonical).abs().max() > 0.05


def test_canonical_keypoints_are_the_sources_with_the_pose_undone(G):
    source = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    pose = torch.zeros(1, 23)
    pose[0, 17:20] = torch.tensor([0.2, 0.3, -0.1])
    with torch.no_grad():
        seen, canonical = G.encode(source).canonical, G.encode(source, pose).canonical
        R = rotation(pose[:, 17:20])
        turned = (canonical - G.pivot) @ R.transpose(1, 2) + G.pivot
    assert torch.allclose(turned, seen, atol=1e-5)


def test_one_source_many_frames_equals_frame_by_frame(G):
    g = torch.Generator().manual_seed(2)
    source, Z = torch.rand(1, 3, 64, 64, generator=g), torch.randn(4, 23, generator=g)
    with torch.no_grad():
        encoded = G.encode(source)
        together = G.render(encoded, Z)
        alone = torch.cat([G.render(encoded, z[None]) for z in Z])
    assert together.shape == (4, 3, 64, 64) and together.min() >= 0 and together.max() <= 1
    assert torch.allclose(together, alone, atol=1e-4)


def test_motion_shows_what_notebook_05_plots(G):
    with torch.no_grad():
        m = G.motion(G.encode(torch.rand(1, 3, 64, 64)), torch.zeros(2, 23))
    assert m["mask"].shape == (2, 6, 8, 8) and torch.allclose(
        m["mask"].sum(1), torch.ones(2, 8, 8), atol=1e-5
    )
    assert m["flow"].shape == (2, 2, 16, 16) and m["occlusion"].shape == (2, 1, 16, 16)
    assert m["source"].shape == (2, 5, 3)


def test_every_weight_learns(G):
    net = GenerationNetwork(GeneratorConfig(size=64, width=8, keypoints=5))
    g = torch.Generator().manual_seed(0)
    out = net(
        torch.rand(2, 3, 64, 64, generator=g),
        torch.randn(2, 23, generator=g),
        torch.randn(2, 23, generator=g),
    )
    (out - 0.5).square().mean().backward()
    idle = [
        name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0
    ]
    assert idle == []


def test_discriminator_scores_patches_and_reads_attributes():
    D = Discriminator(64, width=8)
    patches, attributes = D(torch.rand(2, 3, 64, 64))
    assert patches.shape == (2, 1, 8, 8) and attributes.shape == (2, 23)


def test_saved_weights_load(tmp_path, G):
    save_generator(tmp_path / "g.safetensors", G)
    again = load_generator(tmp_path / "g.safetensors")
    source, Z = torch.rand(1, 3, 64, 64), torch.zeros(1, 23)
    assert again.config == G.config
    with torch.no_grad():
        assert torch.allclose(again(source, Z), G(source, Z), atol=0.02)
    with pytest.raises(InputError, match="64 px"):
        again.encode(torch.rand(1, 3, 32, 32))
    np.save(tmp_path / "x.npy", np.zeros(3))
    with pytest.raises(InputError, match="whole safetensors"):
        load_generator(tmp_path / "x.npy")
