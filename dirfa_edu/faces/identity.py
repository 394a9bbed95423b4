"""Who is in a picture: dlib's face ResNet as a torch module, for ACD and for phi of Eq. 9.

The weights are dlib's dlib_face_recognition_resnet_model_v1 (public domain), 29 convolutions, as
8-bit numbers. They never train; gradients flow through to the picture, so that its activations also
serve as the perceptual features of Eq. 9, where the paper has VGG-19.

Paper: 3.3.2 Eq. 9 (the paper's phi is VGG-19), 4.3 (ACD). Notebook: 06_evaluation.
"""

from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..files import InputError, data_path, load_tensors

CHIP = 150  # side of the aligned face the embedding was trained on, px
# one row per level: channels, number of residual blocks, whether the first block halves the size
LEVELS = [(32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True)]

# how face-api names the residual blocks in its file, in the order of LEVELS
BLOCK_NAMES = """
    conv32_1 conv32_2 conv32_3
    conv64_down conv64_1 conv64_2 conv64_3
    conv128_down conv128_1 conv128_2
    conv256_down conv256_1 conv256_2
    conv256_down_out
""".split()


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut.

    `down` halves the size: by stride 2, the shortcut by mean pooling.
    """

    def __init__(self, n_in: int, n_out: int, down: bool) -> None:
        super().__init__()
        self.down = down
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride=2 if down else 1, padding=0 if down else 1)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, n_in, H, W) -> (B, n_out, H, W), or half as high and wide."""
        out = self.conv2(F.relu(self.conv1(x)))
        if self.down:
            x = F.avg_pool2d(x, 2, 2)
            # dlib's unpadded stride may lose a row and a column against the pooling, and channels
            # may double: zeros
            out = F.pad(out, (0, x.shape[3] - out.shape[3], 0, x.shape[2] - out.shape[2]))
            x = F.pad(x, (0, 0, 0, 0, 0, out.shape[1] - x.shape[1]))
        return F.relu(x + out)


class FaceResNet(nn.Module):
    """dlib's face ResNet: `features` at any size, `embed` on aligned 150 px chips."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 7, stride=2)
        n_in = 32
        levels = []
        for n_out, blocks, down in LEVELS:
            first = ResidualBlock(n_in, n_out, down)
            others = [ResidualBlock(n_out, n_out, False) for _ in range(blocks - 1)]
            levels.append(nn.Sequential(first, *others))
            n_in = n_out
        self.levels = nn.ModuleList(levels)
        self.head = nn.Linear(256, 128, bias=False)
        self.register_buffer("mean", torch.tensor([122.782, 117.001, 104.298])[:, None, None])

    def features(self, images: Tensor, levels: int = 2) -> list[Tensor]:
        """Activations of the first `levels` (1-5) levels for images (B, 3, H, W) in 0..1.

        Differentiable. Level 1 is 32 channels at about a quarter of the size, each further one half
        of that. Raises InputError where the pictures are too small for so many levels.
        Paper: Eq. 9.
        """
        smallest = 7 + 4 * int(3 * 2 ** (levels - 2))  # what leaves each halving at least one pixel
        if min(images.shape[-2:]) < smallest or not 1 <= levels <= len(self.levels):
            raise InputError(
                f"{levels} feature levels need pictures of {smallest} px or more and levels in "
                f"1..5, not {tuple(images.shape[-2:])}"
            )

        x = (images * 255 - self.mean) / 256
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 2)
        found = []
        for level in self.levels[:levels]:
            x = level(x)
            found.append(x)
        return found

    def embed(self, chips: Tensor) -> Tensor:
        """Identity (B, 128) of aligned faces (B, 3, 150, 150) in 0..1.

        One person if the L2 distance is < 0.6. Raises InputError for another size:
        vision.face_chips cuts the right one. Paper: 4.3 (ACD).
        """
        if chips.shape[-3:] != (3, CHIP, CHIP):
            raise InputError(
                f"an identity needs aligned chips (B, 3, {CHIP}, {CHIP}), not "
                f"{tuple(chips.shape)}: use vision.face_chips"
            )
        last = self.features(chips, len(self.levels))[-1]  # (B, 256, h, w)
        return self.head(last.mean((2, 3)))


@lru_cache(maxsize=1)
def load_face_resnet() -> FaceResNet:
    """The shipped face ResNet, frozen, in eval mode; loaded once.

    Raises InputError where its file is damaged.
    """
    stored, _ = load_tensors(data_path("models", "face_resnet.safetensors"))

    def value(name: str) -> Tensor:
        tensor = stored[name].float()
        if name + ".range" in stored:  # 8-bit: minimum + step * number
            minimum, step = stored[name + ".range"]
            tensor = minimum + step * tensor
        return tensor

    network = FaceResNet()
    convolutions: dict[str, nn.Conv2d] = {"conv32_down": network.stem}
    blocks = [module for module in network.modules() if isinstance(module, ResidualBlock)]
    for name, block in zip(BLOCK_NAMES, blocks, strict=True):
        convolutions[f"{name}.conv1"] = block.conv1
        convolutions[f"{name}.conv2"] = block.conv2

    for name, convolution in convolutions.items():
        # dlib's per-channel scale and shift are folded into the convolution
        scale, shift = value(f"{name}.scale.weights"), value(f"{name}.scale.biases")
        weight = value(f"{name}.conv.filters") * scale[:, None, None, None]
        bias = value(f"{name}.conv.bias") * scale + shift
        convolution.load_state_dict({"weight": weight, "bias": bias})
    network.head.load_state_dict({"weight": value("fc").T})
    return network.eval().requires_grad_(False)


class Vgg19(nn.Module):
    """The paper's phi, for whoever has its weights: `features` of VGG-19, like `FaceResNet`'s."""

    # channels of the convolutions, with a halving between the levels
    WIDTHS: list[int | str] = [
        *(64, 64, "halve"),
        *(128, 128, "halve"),
        *(256, 256, 256, 256, "halve"),
        *(512, 512, 512, 512, "halve"),
        512,
    ]
    # the first activation after each halving, as face-vid2vid takes them
    WANTED = {1, 6, 11, 20, 29}

    mean: Tensor
    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_in = 3
        for width in self.WIDTHS:
            if isinstance(width, str):
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(n_in, width, 3, padding=1), nn.ReLU()]
                n_in = width
        self.layers = nn.Sequential(*layers)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None])
        self.register_buffer("spread", torch.tensor([0.229, 0.224, 0.225])[:, None, None])

    def features(self, images: Tensor) -> list[Tensor]:
        """Activations at five depths for images (B, 3, H, W) in 0..1, at least 16 px.

        Differentiable. Paper: Eq. 9.
        """
        x = (images - self.mean) / self.spread
        found = []
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i in self.WANTED:
                found.append(x)
        return found


def load_vgg19(path: str | Path) -> Vgg19:
    """VGG-19, frozen, from a file of weights as torchvision writes it (vgg19-*.pth).

    This course ships none. Raises InputError for a file that is missing or holds something else.
    """
    network = Vgg19()
    try:
        stored = torch.load(path, weights_only=True, map_location="cpu")
        wanted = {name: stored["features." + name] for name in network.layers.state_dict()}
        network.layers.load_state_dict(wanted)
    except Exception as error:  # torch raises many kinds for a damaged file or another network
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{path} does not hold VGG-19 as torchvision writes it: {reason}"
        ) from error
    return network.eval().requires_grad_(False)
