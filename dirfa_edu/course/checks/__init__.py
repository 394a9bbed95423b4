"""Checks of the exercises: `checks.<name>(your_function)` says "right", "not yet", or what went
wrong.

A check runs your function on small inputs and compares it with the right answer. Where it differs,
the check compares it with the answers of known misconceptions, and names the one it finds.
`check.verdict(function)` returns the sentence that `check(function)` prints.

Notebook: 00_tour to 07_your_own_face.
"""

from typing import Callable

from .input import (  # noqa: F401
    agreement,
    decode,
    draw_bin,
    encode,
    frames_of,
    next_bin,
    repair,
    same_loudness,
    window_of,
)
from .mapper import (  # noqa: F401
    attention,
    bits,
    frames_reached,
    shift,
    temporally_biased_mask,
    top_k_probabilities,
)
from .picture import (  # noqa: F401
    attribute_loss,
    discriminator_loss,
    find_lag,
    generator_loss,
    lmd,
    pinned_run,
    psnr,
    relative_pose,
    to_25_fps,
)


def all_checks() -> dict[str, Callable]:
    """Every check by name, in the order of the chapters and their exercises."""
    found = {name: value for name, value in globals().items() if hasattr(value, "verdict")}
    return dict(sorted(found.items(), key=lambda item: (item[1].chapter, item[1].number)))
