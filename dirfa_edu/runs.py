"""A training run: its device, its clock, and checkpoints from which it goes on where it stopped.

Notebooks: 04_mapper, 05_generator.
"""

import json
import math
import os
import time
from pathlib import Path
from typing import Callable

import torch
from torch import nn

from .files import InputError, atomic_path


def pick_device(device: str = "auto", devices: int = 1):
    """A Lightning Fabric: "auto" takes a GPU if there is one, with bf16 where it is fast.

    With several `devices` the script that is running is started once for each of them; they share
    every batch.
    """
    from lightning_fabric import Fabric

    if device not in ("auto", "cpu", "cuda"):
        raise InputError(f"no device {device!r}: choose auto, cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("no GPU was found for device cuda: choose auto or cpu")
    gpu = torch.cuda.is_available() and device != "cpu"
    precision = "bf16-mixed" if gpu or cpu_has_bf16() else "32-true"
    if devices < 1 or gpu and devices > torch.cuda.device_count():
        raise InputError(
            f"{devices} devices were asked for: give 1 or more, and no more than there are"
        )
    fabric = Fabric(
        accelerator="cuda" if gpu else "cpu",
        devices=devices,
        precision=precision,
        strategy="ddp" if devices > 1 else "auto",
    )
    fabric.launch()
    return fabric


def cpu_has_bf16() -> bool:
    """Whether this processor computes in bfloat16; elsewhere it would only be emulated, slower than
    float32."""
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


class Clock:
    """How far a run is: counts steps and seconds, also over interruptions, against a budget of
    either."""

    def __init__(self, steps: int | None, minutes: float | None) -> None:
        if not steps and not minutes:
            raise InputError("give training a budget: steps or minutes")
        self.steps, self.minutes, self.step, self.spent, self.tick = (
            steps,
            minutes,
            0,
            0.0,
            time.monotonic(),
        )

    def share(self) -> float:
        """Share of the budget used, 0..1."""
        now = time.monotonic()
        self.spent, self.tick = self.spent + now - self.tick, now
        return min(1.0, self.step / self.steps if self.steps else self.spent / (60 * self.minutes))

    def rate(self, peak: float, warm_up: int = 100) -> float:
        """Learning rate: linear warm-up, then half a cosine down to zero."""
        return (
            peak
            * min(1.0, (self.step + 1) / warm_up)
            * 0.5
            * (1 + math.cos(math.pi * self.share()))
        )


def scalar_writer(folder: str | Path | None) -> Callable[[dict], None]:
    """A function that writes a row of figures for TensorBoard into `folder`; without a folder it
    does nothing.

    Raises InputError where the package tensorboard is missing.
    """
    if folder is None:
        return lambda row: None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise InputError("TensorBoard's files need its package: pip install tensorboard") from error
    writer = SummaryWriter(str(folder))

    def write(row: dict) -> None:
        for name, value in row.items():
            if name not in ("step", "seconds"):
                writer.add_scalar(name, value, row["step"])
        writer.flush()

    return write


def first_process() -> bool:
    """Whether this is the first of the processes that train together: the one that writes files."""
    return int(os.environ.get("LOCAL_RANK", 0)) == int(os.environ.get("NODE_RANK", 0)) == 0


def save_checkpoint(
    path: Path | None, clock: Clock, noise: torch.Generator, log: list, **parts
) -> None:
    """Write everything a run needs to go on: networks, optimizers, the random generator, the clock
    and the log."""
    if path is None:
        return
    state = {name: part.state_dict() for name, part in parts.items()}
    state |= {
        "step": clock.step,
        "spent": clock.spent,
        "noise": noise.get_state(),
        "log": json.dumps(log),
        "dropout": torch.get_rng_state(),
    }
    with atomic_path(path) as temporary:
        torch.save(state, temporary)


def load_checkpoint(
    path: Path | None, clock: Clock, noise: torch.Generator, log: list, **parts
) -> bool:
    """Continue from a checkpoint if there is one. Raises InputError for one that is damaged or of
    another shape."""
    if path is None or not Path(path).is_file():
        return False
    try:
        state = torch.load(path, weights_only=True)  # tensors and numbers only, never code
        for name, part in parts.items():
            part.load_state_dict(state[name])
    # torch raises many kinds for a file that is cut or of another network
    except Exception as error:
        raise InputError(
            f"cannot resume from {path} ({str(error).splitlines()[0]}): delete it to start again, "
            "or give the settings it was made with"
        ) from error
    clock.step, clock.spent = state["step"], state["spent"]
    noise.set_state(state["noise"])
    torch.set_rng_state(state["dropout"])
    log[:] = json.loads(state["log"])
    return True


def smooth_weights(average: nn.Module, network: nn.Module, step: int, decay: float = 0.998) -> None:
    """Exponential moving average of the weights, quicker at the start."""
    decay = min(decay, (1 + step) / (10 + step))
    with torch.no_grad():
        for slow, fast in zip(average.parameters(), network.parameters()):
            slow.lerp_(fast.to(slow.dtype), 1 - decay)


def bar(progress: bool, clock: Clock, title: str):
    """A progress bar over the budget, in per cent."""
    from tqdm.auto import tqdm

    return tqdm(
        total=100,
        initial=int(100 * clock.share()),
        desc=title,
        disable=not progress,
        unit="%",
        bar_format="{desc} {percentage:3.0f}% |{bar:30}| {elapsed} {postfix}",
    )
