"""A training run: its device, its clock, and checkpoints from which it goes on where it stopped.

Notebooks: 04_mapper, 05_generator.
"""

import json
import math
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Callable, TypeVar

import torch
from torch import nn

from .files import InputError, atomic_path

Network = TypeVar("Network", bound=nn.Module)


def pick_device(device: str = "auto", devices: int = 1):
    """A Lightning Fabric: "auto" takes a GPU if there is one, with bf16 where it is fast.

    With several `devices` the script that is running is started once for each of them; they share
    every batch.
    Raises InputError for a device that does not exist, and for more devices than there are.
    """
    from lightning_fabric import Fabric

    if device not in ("auto", "cpu", "cuda"):
        raise InputError(f"no device {device!r}: choose auto, cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("no GPU was found for device cuda: choose auto or cpu")
    gpu = torch.cuda.is_available() and device != "cpu"
    if devices < 1 or gpu and devices > torch.cuda.device_count():
        raise InputError(
            f"{devices} devices were asked for: give 1 or more, and no more than there are"
        )

    fabric = Fabric(
        accelerator="cuda" if gpu else "cpu",
        devices=devices,
        precision="bf16-mixed" if gpu or cpu_has_bf16() else "32-true",
        strategy="ddp" if devices > 1 else "auto",
    )
    fabric.launch()
    return fabric


def cpu_has_bf16() -> bool:
    """Whether this processor computes in bfloat16.

    Elsewhere it would only be emulated, slower than float32.
    """
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


class Clock:
    """How far a run is against its budget, a number of steps or of minutes.

    Steps and seconds are counted over interruptions, too. Where both budgets are given, the steps
    count. Raises InputError for neither.
    """

    def __init__(self, steps: int | None, minutes: float | None) -> None:
        if not steps and not minutes:
            raise InputError("give training a budget: steps or minutes")
        self.steps, self.minutes = steps, minutes
        self.step = 0  # steps made
        self.spent = 0.0  # seconds used
        self.tick = time.monotonic()  # when `spent` was last brought up to date

    def start(self) -> None:
        """Count from now: what was prepared so far is not taken off the budget."""
        self.tick = time.monotonic()

    def share(self) -> float:
        """Share of the budget used, 0..1."""
        now = time.monotonic()
        self.spent += now - self.tick
        self.tick = now
        if self.steps:
            return min(1.0, self.step / self.steps)
        return min(1.0, self.spent / (60 * (self.minutes or 1.0)))

    def rate(self, peak: float, warm_up: int = 100) -> float:
        """Learning rate: linear warm-up over `warm_up` steps, then half a cosine down to zero."""
        warm = min(1.0, (self.step + 1) / warm_up)
        return peak * warm * 0.5 * (1 + math.cos(math.pi * self.share()))


def channels_last(network: Network) -> Network:
    """The network with its weights in the layout in which convolutions are fastest, in place."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def scalar_writer(folder: str | Path | None) -> Callable[[dict], None]:
    """A function that writes a row of figures for TensorBoard into `folder`, if one is given.

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


@dataclass(frozen=True)
class Run:
    """Everything a run needs to go on where it stopped; a checkpoint holds it all."""

    recipe: Any  # the frozen dataclass that the run was started with
    clock: Clock
    noise: torch.Generator  # all that is drawn at random
    parts: dict[str, Any]  # networks, optimizers: whatever has a state_dict
    log: list[dict] = field(default_factory=list)  # rows of figures


# of a recipe these may change when a run is resumed: how long it is, and how often it is looked at
MAY_CHANGE = ("steps", "minutes", "every")


def save_checkpoint(path: str | Path | None, run: Run) -> None:
    """Write a run to `path`, whole or not at all; without a path nothing is written."""
    if path is None:
        return
    state = {name: part.state_dict() for name, part in run.parts.items()}
    state |= {
        "recipe": json.dumps(asdict(run.recipe)),
        "step": run.clock.step,
        "spent": run.clock.spent,
        "noise": run.noise.get_state(),
        "dropout": torch.get_rng_state(),
        "log": json.dumps(run.log),
    }
    with atomic_path(path) as temporary:
        torch.save(state, temporary)


def load_checkpoint(path: str | Path | None, run: Run) -> bool:
    """Bring a run to where its checkpoint stands, if there is one; return whether there was.

    Raises InputError for a checkpoint of another recipe (see `MAY_CHANGE`), and for one that is
    damaged or holds other networks.
    """
    if path is None or not Path(path).is_file():
        return False
    try:
        state = torch.load(path, weights_only=True)  # tensors and numbers only, never code
        changed = first_difference(json.loads(state["recipe"]), asdict(run.recipe))
        if not changed:
            for name, part in run.parts.items():
                part.load_state_dict(state[name])
    # torch raises many kinds for a file that is cut or of another network
    except Exception as error:
        raise InputError(
            f"cannot resume from {path} ({str(error).splitlines()[0]}): delete it to start again, "
            "or give the settings it was made with"
        ) from error
    if changed:
        name, kept, given = changed
        raise InputError(
            f"cannot resume from {path}: it was made with {name} = {kept}, not {given}; "
            "give what it was made with, or delete it to start again"
        )

    run.clock.step, run.clock.spent = state["step"], state["spent"]
    run.noise.set_state(state["noise"])
    torch.set_rng_state(state["dropout"])
    run.log[:] = json.loads(state["log"])
    return True


def first_difference(kept: dict, given: dict, inside: str = "") -> tuple[str, Any, Any] | None:
    """The first field in which two recipes differ: its name and both values, or None.

    >>> first_difference({"lr": 1, "config": {"d": 8}}, {"lr": 1, "config": {"d": 9}})
    ('config.d', 8, 9)
    """
    for name in given | kept:
        here, there = given.get(name), kept.get(name)
        if isinstance(here, dict) and isinstance(there, dict):
            if found := first_difference(there, here, f"{inside}{name}."):
                return found
        elif here != there and name not in MAY_CHANGE:
            return f"{inside}{name}", there, here
    return None


def smooth_weights(average: nn.Module, network: nn.Module, step: int, decay: float = 0.998) -> None:
    """Move `average` towards the weights of `network`: their exponential moving average.

    It forgets more quickly at the start, or it would hold on to untrained weights.
    """
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
