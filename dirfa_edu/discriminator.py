"""The discriminator of Eq. 8 and its auxiliary head of Eq. 10.

Paper: 3.3.1. Notebook: 05_generator.
"""

from torch import Tensor, nn

from .animation import N_ATTRIBUTES
from .generator import conv


class Discriminator(nn.Module):
    """D_I and D_Z on one trunk: is each patch real, and which attributes does the face show?

    forward(images (B, 3, S, S) in 0..1) -> patch scores (B, 1, s, s), normalised attributes (B, 23).
    Paper: Eq. 8, 10. Notebook: 05_generator.
    """

    def __init__(self, size: int = 128, width: int = 24) -> None:
        super().__init__()
        w = width
        self.trunk = nn.Sequential(
            conv(3, w, 2), nn.LeakyReLU(0.2), conv(w, 2 * w, 2), nn.GroupNorm(8, 2 * w), nn.LeakyReLU(0.2),
            conv(2 * w, 4 * w, 2), nn.GroupNorm(8, 4 * w), nn.LeakyReLU(0.2))
        self.patch = nn.Sequential(conv(4 * w, 4 * w), nn.LeakyReLU(0.2), conv(4 * w, 1))
        self.attributes = nn.Sequential(conv(4 * w, 4 * w, 2), nn.LeakyReLU(0.2), nn.Flatten(),
                                        nn.Linear(4 * w * (size // 16) ** 2, N_ATTRIBUTES))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        h = self.trunk(images * 2 - 1)
        return self.patch(h), self.attributes(h)
