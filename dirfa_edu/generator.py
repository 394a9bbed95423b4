"""The generation network: one portrait, and 23 attributes a frame -> the same person, moving.

After face-vid2vid: the source is encoded once into features and canonical 3-D keypoints. The head
pose turns and shifts the keypoints (geometry, nothing learned), the Action Units add a learned
deformation. How each keypoint moved gives one small flow; a learned mask mixes them into dense
motion, features are warped by it, and a decoder paints what the source does not show.

Paper: 3.3, Eq. 6. Notebook: 05_generator.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .animation import N_ATTRIBUTES, POSE
from .files import InputError, load_tensors, save_tensors
from .runs import channels_last

# what brings each attribute to about -1..1: AUs 0..5, about 0.2 rad, about 20 mm
SCALE = torch.tensor([5.0] * 17 + [0.2] * 3 + [20.0] * 3)

# A keypoint's neighbourhood is exp(-distance^2 / NEAR): a Gaussian with a deviation of 0.1, a
# twentieth of the picture, which is 2 wide and high.
NEAR = 0.02
# What logits are multiplied by before their softmax, because an untrained layer's are small and
# every place would get the same weight. A place of the picture should follow one keypoint, or two
# where it lies between them; where a keypoint is may be a little more spread out, or it would jump
# from place to place.
FOLLOW_ONE = 10
PLACE_ONE = 4


@dataclass(frozen=True)
class GeneratorConfig:
    """Sizes of the generation network; all ours, the paper gives none."""

    size: int = 128  # picture side, a multiple of 8; 64 trains live, 128 is shipped
    width: int = 32  # channels at half size
    keypoints: int = 12
    z: int = 128  # width of the attribute code
    # frames of attributes that one picture is made from, its own in the middle; odd
    window: int = 1


class Encoded(NamedTuple):
    """What `encode` keeps of a source portrait."""

    features: tuple[Tensor, ...]  # the picture itself, and features at full, 1/2, 1/4 and 1/8 size
    seen: Tensor  # (B, K, 3) keypoints as the picture shows them
    canonical: Tensor  # (B, K, 3) keypoints without pose
    attributes: Tensor  # (B, 23) of the source, normalised


class Modulated(nn.Module):
    """Two convolutions whose channels the attribute code z scales and shifts, with a shortcut."""

    def __init__(self, channels: int, z: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, channels, affine=False)
        self.code = nn.Linear(z, 4 * channels)
        self.first, self.second = conv(channels, channels), conv(channels, channels)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        scale_1, shift_1, scale_2, shift_2 = self.code(z)[:, :, None, None].chunk(4, dim=1)
        h = self.first(rectify(self.norm(x) * (1 + scale_1) + shift_1))
        return x + self.second(rectify(self.norm(h) * (1 + scale_2) + shift_2))


class Residual(nn.Module):
    """Two convolutions with a shortcut; with `z` > 0 the code scales the channels between.

    It does less than `Modulated`: at full size each pass over the picture counts.
    """

    def __init__(self, channels: int, z: int = 0) -> None:
        super().__init__()
        self.code = nn.Linear(z, channels) if z else None
        self.first, self.second = conv(channels, channels), conv(channels, channels)

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        h = self.first(rectify(x))
        if self.code is not None:
            h = h * (1 + self.code(z)[:, :, None, None])
        return x + self.second(rectify(h))


def rectify(x: Tensor) -> Tensor:
    """Leaky ReLU. A smoother function would make a picture take a sixth longer."""
    return F.leaky_relu(x, 0.2)


def conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """A 3 x 3 convolution that keeps (or, with stride 2, halves) the size."""
    return nn.Conv2d(inputs, outputs, 3, stride, 1)


class GenerationNetwork(nn.Module):
    """G of Eq. 6. `encode` a source once, then `render` any number of attribute vectors.

    Paper: 3.3, Eq. 6. Notebook: 05_generator.

    >>> G = GenerationNetwork(GeneratorConfig(size=64, width=8, keypoints=4)).eval()
    >>> G.render(G.encode(torch.rand(1, 3, 64, 64)), torch.zeros(5, 23)).shape
    torch.Size([5, 3, 64, 64])
    """

    scale: Tensor  # (23,), see SCALE

    def __init__(self, config: GeneratorConfig = GeneratorConfig()) -> None:
        super().__init__()
        if config.size % 8 or config.window % 2 == 0:
            raise InputError(
                "the picture size must be a multiple of 8 and the window odd, "
                f"not {config.size} and {config.window}"
            )
        self.config = config
        K, z = config.keypoints, config.z
        # channels at full, 1/2, 1/4 and 1/8 size
        w0, w1, w2, w3 = config.width // 2, config.width, 2 * config.width, 4 * config.width

        # the source: features, and where its keypoints are
        self.down = nn.ModuleList([conv(3, w0), conv(w0, w1, 2), conv(w1, w2, 2), conv(w2, w3, 2)])
        self.refine = nn.ModuleList([Residual(w2), Residual(w3)])
        self.heat = conv(w3, K)  # where in the picture,
        self.depth = conv(w3, K)  # and how far in front

        # attributes of the source, and of the target between its neighbours
        self.code = nn.Sequential(
            nn.Linear((config.window + 1) * N_ATTRIBUTES, z), nn.SiLU(), nn.Linear(z, z)
        )
        self.expression = nn.Linear(z, 3 * K)  # what the AUs add to the keypoints
        self.pivot = nn.Parameter(torch.tensor([0.0, 0.1, 0.3]))  # the point the head turns about
        # millimetres to picture units
        self.per_mm = nn.Parameter(torch.tensor([1 / 180, 1 / 180, 1 / 600]))

        # dense motion, coarse (1/8) then fine (1/4)
        self.coarse = nn.ModuleList(
            [
                conv(w3 + K, w3),
                Modulated(w3, z),
                Modulated(w3, z),
                conv(w3, K + 3),  # K + 1 of mask, 2 of residual flow
            ]
        )
        self.fine = nn.ModuleList(
            [conv(w3, w2), Modulated(w2, z), conv(w2, 3)]  # 2 of flow, 1 of occlusion
        )

        # the decoder: paint at a size, then go to the next
        self.paint3, self.paint2, self.paint1 = Modulated(w3, z), Modulated(w2, z), Modulated(w1, z)
        self.up3, self.up2, self.up1 = conv(w3, w2), conv(w2, w1), conv(w1, w0)
        self.paint0 = Residual(w0, z)  # lids, lashes and teeth are a pixel or two
        self.colour = conv(w0, 4)  # 3 of colour, 1 to choose between it and the warped source

        for layer in (self.expression, self.coarse[-1], self.fine[-1]):
            weight, bias = layer.parameters()
            nn.init.normal_(weight, std=1e-3)  # start without motion
            nn.init.zeros_(bias)
        self.register_buffer("scale", SCALE.clone(), persistent=False)

    def encode(self, source: Tensor, attributes: Tensor | None = None) -> Encoded:
        """Source pictures (B, 3, S, S) in 0..1 -> features and canonical keypoints.

        `attributes` (B, 23) of the source are zeros, a neutral frontal face, if not given.
        Raises InputError for another size. Notebook: 05_generator.
        """
        if source.shape[1:] != (3, self.config.size, self.config.size):
            raise InputError(
                f"this generator wants pictures of {self.config.size} px, (B, 3, S, S), "
                f"not {tuple(source.shape)}"
            )
        if attributes is None:
            attributes = torch.zeros(len(source), N_ATTRIBUTES)
        z_src = attributes.to(source.device) / self.scale
        source = source.contiguous(memory_format=torch.channels_last)

        x0 = rectify(self.down[0](source))  # (B, w0, S, S)
        x1 = rectify(self.down[1](x0))  # (B, w1, S/2, S/2)
        x2 = self.refine[0](rectify(self.down[2](x1)))  # (B, w2, S/4, S/4)
        x3 = self.refine[1](rectify(self.down[3](x2)))  # (B, w3, S/8, S/8)

        # a keypoint is the mean place of its heat, h w = (S/8)^2 places
        heat = self.heat(x3).float().flatten(2)  # (B, K, h w)
        place = torch.softmax(heat * PLACE_ONE, dim=-1)
        grid = self._grid(x3).flatten(0, 1)  # (h w, 2)
        depth = (place * self.depth(x3).float().flatten(2)).sum(-1, keepdim=True)  # (B, K, 1)
        seen = torch.cat([place @ grid, depth], dim=-1)  # (B, K, 3)

        # canonical is what is seen without the pose; x @ R is R^-1 x for row vectors
        R, t = self._pose(z_src)
        canonical = (seen - self.pivot - t) @ R + self.pivot  # (B, K, 3)
        return Encoded((source, x0, x1, x2, x3), seen, canonical, z_src)

    def keypoints(self, canonical: Tensor, z: Tensor, code: Tensor) -> Tensor:
        """Canonical keypoints (B, K, 3), turned, shifted and deformed by normalised attributes z.

        z is (B, 23), `code` (B, z) what the network makes of them; the result is (B, K, 3).
        """
        R, t = self._pose(z)
        deformation = self.expression(code).float().view(len(z), -1, 3)  # (B, K, 3)
        return (canonical - self.pivot) @ R.transpose(1, 2) + self.pivot + t + deformation

    def motion(self, encoded: Encoded, attributes: Tensor) -> dict[str, Tensor]:
        """How the source moves for attributes (B, 23), or (B, window, 23).

        "source" and "target" are keypoints (B, K, 3), "mask" (B, K + 1, h, w) says which of them a
        place follows, "flow" (B, 2, 2h, 2w) where each place came from, in -1..1 units, "occlusion"
        (B, 1, 2h, 2w) how much of what came can be used, "code" (B, z) what attributes mean; h and
        w are an eighth of the picture's. Raises InputError for other shapes.
        """
        around = self._window(attributes) / self.scale  # (B, W, 23)
        B, W, _ = around.shape
        z_src = encoded.attributes.expand(B, -1)
        z_tgt = around[:, W // 2]  # (B, 23)
        code = self.code(torch.cat([around.flatten(1), z_src], dim=1))
        still = self.code(z_src.repeat(1, W + 1))  # of a source that stays as it is

        canonical = encoded.canonical.expand(B, -1, -1)
        target = self.keypoints(canonical, z_tgt, code)  # (B, K, 3)
        source = self.keypoints(canonical, z_src, still)
        *_, x2, x3 = (x.expand(B, -1, -1, -1) for x in encoded.features)

        # coarse: each place of the picture follows a keypoint, or none
        grid = self._grid(x3)  # (h, w, 2)
        turn = self._pose(z_tgt)[0] @ self._pose(z_src)[0].transpose(1, 2)  # from source to target
        flows, near = carried(grid, source, target, turn[:, :2, :2])
        h = self.coarse[0](torch.cat([x3, near.to(x3.dtype)], dim=1))
        h = self.coarse[2](self.coarse[1](h, code), code)
        out = self.coarse[3](h).float()  # (B, K + 3, h, w)
        mask = torch.softmax(out[:, :-2] * FOLLOW_ONE, dim=1)  # the last one is the background
        flow = (mask[:, :-1, ..., None] * flows).sum(1)  # (B, h, w, 2); the background stays
        flow = flow.permute(0, 3, 1, 2) + out[:, -2:]  # (B, 2, h, w)

        # fine: twice the size, and what cannot be seen in the source
        flow = F.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=True)
        h = self.fine[0](double(h)) + warp(x2, flow)
        out = self.fine[2](self.fine[1](h, code)).float()  # (B, 3, 2h, 2w)
        return {
            "flow": flow + out[:, :2],
            "occlusion": torch.sigmoid(out[:, 2:]),
            "mask": mask,
            "source": source,
            "target": target,
            "code": code,
        }

    def render(self, encoded: Encoded, attributes: Tensor) -> Tensor:
        """Encoded source and attributes (B, 23), AUs 0-5, radians, mm -> pictures (B, 3, S, S) in
        0..1.

        One encoded source serves any number of rows; a row may be a window of frames, (B, window,
        23).
        Paper: Eq. 6. Notebook: 05_generator.
        """
        return self.layers(encoded, attributes)[0]

    def layers(self, encoded: Encoded, attributes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The picture, what was painted anew for it, and how much of the source is kept (a logit).

        They are (B, 3, S, S), (B, 3, S, S) and (B, 1, S, S).
        """
        m = self.motion(encoded, attributes)
        flow, seen, code = m["flow"], m["occlusion"], m["code"]
        source, x0, x1, x2, x3 = (x.expand(len(attributes), -1, -1, -1) for x in encoded.features)

        # from the smallest features to the largest: warp, add what came from below, paint
        h = self.paint3(warp(x3, flow), code)  # (B, w3, S/8, S/8)
        h = self.paint2(double(self.up3(h)) + warp(x2, flow, seen), code)  # (B, w2, S/4, S/4)
        seen = double(seen)
        h = self.paint1(double(self.up2(h)) + warp(x1, flow, seen), code)  # (B, w1, S/2, S/2)
        seen = double(seen)
        # enlarged here and not in `warp`: two warps need it
        flow = F.interpolate(flow, size=source.shape[-2:], mode="bilinear", align_corners=True)
        h = self.paint0(self.up1(double(h)) + warp(x0, flow, seen), code)  # (B, w0, S, S)

        out = self.colour(rectify(h)).float()  # (B, 4, S, S)
        painted, choice = torch.sigmoid(out[:, :3]), out[:, 3:]
        keep = torch.sigmoid(choice)
        picture = keep * warp(source, flow).float() + (1 - keep) * painted
        return picture.clamp(0, 1), painted, choice

    def forward(
        self,
        source: Tensor,
        attributes: Tensor,
        source_attributes: Tensor | None = None,
        turn: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, ...]:
        """G(I_src, Z_tgt), Eq. 6: source (B, 3, S, S), attributes (B, 23) -> picture (B, 3, S, S).

        With `turn` (B, 2, 3), an affine map of the picture, all that training asks for: the
        `layers`, the keypoints of the source, and those of the source as seen through that map.
        """
        encoded = self.encode(source, source_attributes)
        if turn is None:
            return self.render(encoded, attributes)
        grid = F.affine_grid(turn, list(source.shape), align_corners=True)
        turned = F.grid_sample(source, grid, align_corners=True, padding_mode="border")
        return *self.layers(encoded, attributes), encoded.seen, self.encode(turned).seen

    def _window(self, attributes: Tensor) -> Tensor:
        """Attributes (B, 23) or (B, window, 23) -> (B, window, 23): a frame between its likes."""
        W = self.config.window
        if attributes.ndim == 2:
            attributes = attributes[:, None].expand(-1, W, -1)
        if attributes.shape[1:] != (W, N_ATTRIBUTES):
            raise InputError(
                f"this generator wants attributes (B, {N_ATTRIBUTES}) or (B, {W}, {N_ATTRIBUTES}), "
                f"not {tuple(attributes.shape)}"
            )
        return attributes

    def _pose(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised attributes (B, 23) -> rotation (B, 3, 3), shift (B, 1, 3) in picture units."""
        Z = z * self.scale
        angles, mm = Z[:, POSE[:3]].float(), Z[:, POSE[3:]].float()  # (B, 3)
        return rotation(angles), (mm * self.per_mm).unsqueeze(1)

    @staticmethod
    def _grid(like: Tensor) -> Tensor:
        """Picture coordinates x, y in -1..1 of every pixel, (h, w, 2)."""
        h, w = like.shape[-2:]
        y, x = torch.meshgrid(
            torch.linspace(-1, 1, h, device=like.device),
            torch.linspace(-1, 1, w, device=like.device),
            indexing="ij",
        )
        return torch.stack([x, y], dim=-1)


class Discriminator(nn.Module):
    """D_I and D_Z on one trunk: is each patch real, and which attributes does the face show?

    forward(images (B, 3, S, S) in 0..1) -> patch scores (B, 1, S/8, S/8), normalised attributes
    (B, 23).
    Paper: Eq. 8, 10. Notebook: 05_generator.
    """

    def __init__(self, size: int = 128, width: int = 24) -> None:
        super().__init__()
        w1, w2, w3 = width, 2 * width, 4 * width  # channels at 1/2, 1/4 and 1/8 size
        self.trunk = nn.Sequential(
            conv(3, w1, 2),
            nn.LeakyReLU(0.2),
            conv(w1, w2, 2),
            nn.GroupNorm(8, w2),
            nn.LeakyReLU(0.2),
            conv(w2, w3, 2),
            nn.GroupNorm(8, w3),
            nn.LeakyReLU(0.2),
        )
        self.patch = nn.Sequential(conv(w3, w3), nn.LeakyReLU(0.2), conv(w3, 1))
        self.attributes = nn.Sequential(
            conv(w3, w3, 2),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(w3 * (size // 16) ** 2, N_ATTRIBUTES),
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        h = self.trunk(images * 2 - 1)  # (B, w3, S/8, S/8)
        return self.patch(h), self.attributes(h)


def carried(grid: Tensor, source: Tensor, target: Tensor, turn: Tensor) -> tuple[Tensor, Tensor]:
    """Each keypoint carries its neighbourhood along: near it the picture moves as it did.

    Places of the picture grid (h, w, 2), keypoints (B, K, 3) in the source and in the target, and
    the head's turn (B, 2, 2) in the picture -> flows (B, K, h, w, 2), one for each keypoint, which
    say where every place came from; and (B, K, h, w), where keypoints are now, less where they
    were.
    """
    target = target[:, :, None, None, :2]  # (B, K, 1, 1, 2)
    source = source[:, :, None, None, :2]
    offset = grid - target  # (B, K, h, w, 2)
    # of rows: x @ R is R^-1 x, so this turns a place back to where it lay about the keypoint
    turned = (offset.flatten(1, 3) @ turn).view_as(offset)  # (B, K, h, w, 2)
    flows = turned + source - grid

    now = torch.exp(-offset.square().sum(-1) / NEAR)  # (B, K, h, w)
    before = torch.exp(-(grid - source).square().sum(-1) / NEAR)
    return flows, now - before


def rotation(angles: Tensor) -> Tensor:
    """Pitch, yaw, roll (B, 3) in radians -> R = Rx Ry Rz (B, 3, 3) on OpenFace's axes.

    x points right, y down, z away from the camera.
    """
    cx, cy, cz = angles.cos().unbind(-1)  # each (B,)
    sx, sy, sz = angles.sin().unbind(-1)
    one, zero = torch.ones_like(cx), torch.zeros_like(cx)

    def matrix(*entries: Tensor) -> Tensor:
        return torch.stack(entries, -1).view(-1, 3, 3)  # (B, 9) -> (B, 3, 3)

    # fmt: off
    Rx = matrix(one, zero, zero,
                zero,  cx,  -sx,
                zero,  sx,   cx)
    Ry = matrix( cy, zero,   sy,
                zero, one, zero,
                -sy, zero,   cy)
    Rz = matrix( cz,  -sz, zero,
                 sz,   cz, zero,
                zero, zero, one)
    # fmt: on
    return Rx @ Ry @ Rz


def warp(x: Tensor, flow: Tensor, seen: Tensor | None = None) -> Tensor:
    """Sample x (B, C, H, W) where the flow (B, 2, h, w), in -1..1 units, says each pixel came from.

    A smaller flow is enlarged. The result is multiplied by `seen` (B, 1, H, W), where given.
    """
    if flow.shape[-2:] != x.shape[-2:]:
        flow = F.interpolate(flow.float(), size=x.shape[-2:], mode="bilinear", align_corners=True)
    grid = GenerationNetwork._grid(x) + flow.float().permute(0, 2, 3, 1)  # (B, H, W, 2)

    # the sampler works channels first; where two layouts meet in a sum, learning takes ten times as
    # long
    crossing = torch.is_grad_enabled() and x.requires_grad and x.stride(1) == 1
    if crossing:
        x = x.contiguous()
        x.register_hook(lambda grad: grad.contiguous(memory_format=torch.channels_last))
    warped = F.grid_sample(x.float(), grid, align_corners=True, padding_mode="border")
    warped = (warped if seen is None else warped * seen).to(x.dtype)
    if crossing:
        warped.register_hook(lambda grad: grad.contiguous())
        warped = warped.contiguous(memory_format=torch.channels_last)
    return warped


def attribute_windows(Z: Tensor, window: int) -> Tensor:
    """Attributes of a clip (T, 23) -> (T, window, 23): each frame between its neighbours.

    At the ends the first and the last frame are repeated.
    """
    near = torch.arange(len(Z))[:, None] + torch.arange(window) - window // 2  # (T, window)
    return Z[near.clamp(0, len(Z) - 1)]


def double(x: Tensor) -> Tensor:
    """Twice the height and width, by repeating pixels."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def save_generator(
    path: str | Path, network: GenerationNetwork, notes: dict[str, str] | None = None
) -> None:
    """Write weights (fp16) and configuration as one safetensors file."""
    tensors = {name: t.half() for name, t in network.state_dict().items()}
    save_tensors(path, tensors, {"config": json.dumps(asdict(network.config)), **(notes or {})})


def load_generator(path: str | Path) -> GenerationNetwork:
    """Read a generator written by `save_generator`, in evaluation mode.

    Raises InputError for a file that is missing, truncated or holds another network.
    """
    tensors, metadata = load_tensors(path)
    try:
        network = GenerationNetwork(GeneratorConfig(**json.loads(metadata["config"])))
        network.load_state_dict({name: t.float() for name, t in tensors.items()})
    except (KeyError, TypeError, RuntimeError) as error:
        raise InputError(
            f"{path} does not hold a generation network: {str(error).splitlines()[0]}"
        ) from error
    return channels_last(network.eval())  # a quarter faster
