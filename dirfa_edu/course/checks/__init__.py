"""Checks of the exercises: `checks.<name>(your_function)` says "right", "not yet" or what is wrong.

A check runs your function on small inputs and compares it with the right answer. Where it differs,
the check compares it with the answers of known misconceptions, and names the one it finds.
`check.verdict(function)` returns the sentence that `check(function)` prints.

Each chapter has a room of its own: what counts as right there, and a bank of its misconceptions.

Notebook: 00_tour to 07_your_own_face.
"""

from typing import Callable

from .biased_mask import attention, frames_reached, temporally_biased_mask
from .discretization import decode, encode, next_bin
from .evaluation import find_lag, lmd, psnr
from .features import repair, same_loudness, window_of
from .generator import attribute_loss, discriminator_loss, generator_loss
from .mapper import bits, shift, top_k_probabilities
from .tour import agreement, draw_bin, frames_of
from .your_own_face import pinned_run, relative_pose, to_25_fps


def all_checks() -> dict[str, Callable]:
    """Every check by name, in the order of the chapters and their exercises."""
    found = {name: value for name, value in globals().items() if hasattr(value, "verdict")}
    return dict(sorted(found.items(), key=lambda item: (item[1].chapter, item[1].number)))
