"""The two training loops. Both write checkpoints atomically and resume where they stopped.

The mapper learns Eq. 5 by teacher forcing with a corrupted history; the generator learns Eq. 7 on
random pairs of frames of one clip. Everything that decides the outcome, besides the clips, stands
in a recipe. Its budget is a number of steps (repeatable) or of minutes (for a class).

Paper: 3.2.4, 3.3.1, 4.1. Notebooks: 04_mapper, 05_generator.
"""

import math
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable

import numpy as np
import torch
from torch import Tensor, nn

from . import losses
from .animation import GROUPS, N_ATTRIBUTES
from .data.pool import Pool
from .discretize import BINS, Discretizer
from .examples import (
    Footage,
    augment,
    every_voice_alike,
    few_frames,
    held_out,
    mapper_batch,
    mapper_tracks,
    pair_batch,
    random_turns,
    read_footage,
    training_footage,
)
from .faces.identity import load_face_resnet, load_vgg19
from .files import InputError, data_path, save_png
from .generator import Discriminator, GenerationNetwork, GeneratorConfig, load_generator
from .losses import Lambdas
from .mapper import MapperConfig, MappingNetwork, load_mapper
from .runs import (
    Clock,
    Run,
    bar,
    channels_last,
    load_checkpoint,
    pick_device,
    save_checkpoint,
    scalar_writer,
    smooth_weights,
)


# ---- recipes -------------------------------------------------------------------------------------
@dataclass(frozen=True)
class MapperRecipe:
    """All that decides what a mapping network becomes, besides the clips.

    A checkpoint remembers it. Learning rate, batch and the like are ours: the paper gives none.
    """

    config: MapperConfig = MapperConfig()
    steps: int | None = None  # the budget: steps, which can be repeated exactly,
    minutes: float | None = None  # or minutes; where both are given, steps count
    batch: int = 12  # windows
    window: int = 75  # frames
    lr: float = 6e-4
    ordinal: float = 1.0  # width of the targets in bins of D = 500; 0 is the paper's Eq. 5 alone
    measured: bool = False  # True: learn from tracks with measurement noise, as OpenFace's are
    seed: int = 0
    every: int = 250  # steps between two rows of the log, and two checkpoints


@dataclass(frozen=True)
class GeneratorRecipe:
    """All that decides what a generation network becomes, besides the clips.

    A checkpoint remembers it. All numbers are ours: the paper gives none.
    """

    config: GeneratorConfig = GeneratorConfig()
    steps: int | None = None  # the budget, as in `MapperRecipe`
    minutes: float | None = None
    batch: int = 8  # pairs of frames
    lr: float = 4e-4  # of G; that of D is DISCRIMINATOR_LR
    lambdas: Lambdas = Lambdas()
    adversarial_from: float = 0.6  # share of the budget after which D joins pixels and phi
    seed: int = 0
    keep: int = 128  # clips that are decoded at the same time, see `data.pool`
    uses: int = 64  # pairs drawn from a clip before the next one is decoded
    every: int = 250  # steps between two rows of the log, and two checkpoints


DISCRIMINATOR_LR = 2e-4
WATCHED = 8  # so many training clips are looked at where none are given for validation

# what the command `dirfa-edu train` runs
MAPPER_RECIPES = {
    "notebook": MapperRecipe(
        MapperConfig(d_model=96, layers=2),
        minutes=0.8,
        batch=6,
        window=60,
        lr=1.5e-3,
        every=20,
    ),
    # slopes twice as steep as ALiBi's for texts: fewer bits for held-out lips and heads
    "shipped": MapperRecipe(MapperConfig(steepness=2.0), steps=6000),
    # a baseline that never sees what it did before
    "audio": MapperRecipe(MapperConfig(history=False), steps=1200),
    "paper": MapperRecipe(steps=400_000, batch=64, window=150, ordinal=0.0),
}
GENERATOR_RECIPES = {
    "notebook": GeneratorRecipe(GeneratorConfig(size=64, width=24), minutes=0.8),
    "shipped": GeneratorRecipe(steps=13000),
    # one person, from the shipped weights
    "finetune": GeneratorRecipe(minutes=10.0, lr=1e-4),
    # 32 films of some seconds at 256 px are about 2 GB
    "paper": GeneratorRecipe(GeneratorConfig(size=256, width=64), steps=300_000, keep=32),
}


def load_pretrained(name: str):
    """The shipped "mapper", "generator" or "sync" network, in evaluation mode.

    Raises InputError for another name, or where data_samples holds no weights.

    >>> load_pretrained("mapper").config.bins
    500
    """
    from .faces.sync import load_sync

    loaders: dict[str, Callable] = {
        "mapper": load_mapper,
        "generator": load_generator,
        "sync": load_sync,
    }
    if name not in loaders:
        raise InputError(f"no shipped network {name!r}: choose one of {', '.join(loaders)}")
    return loaders[name](data_path("models", f"{name}.safetensors"))


# ---- mapper --------------------------------------------------------------------------------------
def train_mapper(
    clips: list,
    recipe: MapperRecipe = MAPPER_RECIPES["shipped"],
    *,
    checkpoint: str | Path | None = None,
    tensorboard: str | Path | None = None,
    device: str = "auto",
    devices: int = 1,
    progress: bool = True,
) -> tuple[MappingNetwork, list[dict]]:
    """Train a mapping network on clips (`data.corpus`) -> (network in evaluation mode, its log).

    The log's rows hold step, seconds, loss and, for clips that are held out, bits per attribute of
    each group; `tensorboard` is a folder that gets them too. With `checkpoint` the run is written
    there every `recipe.every` steps, and goes on from it bit for bit. A run that goes on may get
    another budget: the learning rate follows the new one's cosine, so more steps lift it again.
    Several `devices` share each batch, which must be a multiple of them, and take steps as budget.
    Raises InputError for no budget, and for a checkpoint of another recipe.
    Paper: Eq. 5. Notebook: 04_mapper.
    """
    check_shares(recipe, devices)
    clock, fabric = Clock(recipe.steps, recipe.minutes), pick_device(device, devices)
    first = fabric.is_global_zero  # the one of several devices that writes files
    share = slice(fabric.global_rank, None, devices)  # this device's part of a batch

    data, validation, bins = mapper_data(clips, recipe)
    torch.manual_seed(recipe.seed)  # first weights, and dropout
    noise = torch.Generator().manual_seed(recipe.seed)  # everything else
    network, model, optimizer = make_mapper(fabric, recipe, bins, data, noise)
    # Adam's last steps still jump about: measured and kept is a running mean of the weights
    average = deepcopy(network).eval()

    parts = {"network": network, "average": average, "optimizer": optimizer}
    run = Run(recipe, clock, noise, parts)
    load_checkpoint(checkpoint, run)
    write = scalar_writer(tensorboard if first else None)

    clock.start()
    with bar(progress and first, clock, "mapper") as shown:
        while clock.share() < 1:
            set_rate(optimizer, clock.rate(recipe.lr))
            # every device draws the whole batch, from the same dice, and takes its share
            batch = mapper_batch(data, bins, recipe.batch, recipe.window, noise)
            loss = mapper_step(fabric, model, optimizer, batch, share, recipe)
            clock.step += 1
            smooth_weights(average, network, clock.step)

            if clock.step % 10 == 0:  # to ask for the loss waits for the device: not every time
                mean = mean_loss(fabric, loss)
                write({"step": clock.step, "loss": mean})
                shown.set_postfix_str(f"loss {mean:.3f}")
            if due(recipe, clock):
                # held-out clips show when the network begins to learn the others by heart
                run.log.append(log_row(fabric, clock, loss) | mapper_bits(average, validation))
                write(run.log[-1])
                save_checkpoint(checkpoint if first else None, run)
            shown.n = int(100 * clock.share())
    return average.to("cpu").eval(), run.log


def mapper_data(clips: list, recipe: MapperRecipe) -> tuple[list, list, Discretizer]:
    """Clips -> what is trained on, as bins, what is held out, as values, and the bins themselves.

    Each is a list of (features (T, 400), [animations (T, 23)]); bins are fitted on the first alone.
    """
    clips, unheard = held_out(clips)
    tracks = mapper_tracks(clips, recipe.measured)
    bins = Discretizer.fit([Y for _, several in tracks for Y in several], recipe.config.bins)
    data = []
    for A, several in tracks:
        data.append((torch.from_numpy(A), [torch.from_numpy(bins.encode(Y)) for Y in several]))
    return every_voice_alike(data, clips), mapper_tracks(unheard, recipe.measured), bins


def make_mapper(
    fabric, recipe: MapperRecipe, bins: Discretizer, data: list, noise: torch.Generator
) -> tuple:
    """An untrained network, the same as Fabric runs it (device, precision), and its optimizer."""
    network = MappingNetwork(recipe.config, bins)
    # audio is whitened for what comes in training: windows, each in another room and voice
    windows = torch.cat([A for A, _ in data]).split(recipe.window)
    heard = [augment(A[None], noise)[0] for A in windows]  # each (window, 400)
    network.whiten(torch.cat(heard))

    optimizer = torch.optim.AdamW(
        network.parameters(), recipe.lr, betas=(0.9, 0.98), weight_decay=0.05, fused=True
    )
    model, optimizer = fabric.setup(network, optimizer)
    model.mark_forward_method("loss")  # so that several devices exchange their gradients
    model.train()
    return network, model, optimizer


def mapper_step(
    fabric, model, optimizer, batch: tuple, share: slice, recipe: MapperRecipe
) -> Tensor:
    """One step of Eq. 5 on this device's share of a batch (see `mapper_batch`) -> its loss."""
    A, y_previous, y, pinned = (x.to(fabric.device) for x in batch)
    ordinal = recipe.ordinal * recipe.config.bins / BINS  # it is given in bins of D = 500
    loss = model.loss(A[share], y_previous[share], y[share], ordinal, pinned[share])

    # shares differ in how much of them is padding: each counts by its true bins, so that their
    # mean over devices is the mean of the whole batch
    devices = len(y) / len(y[share])
    loss = loss * devices * (y[share] >= 0).sum() / (y >= 0).sum()

    optimizer.zero_grad()
    fabric.backward(loss)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.detach()


@torch.inference_mode()
def mapper_bits(network: MappingNetwork, data: list) -> dict[str, float]:
    """Teacher-forced bits per attribute of each group on (features, [tracks]) pairs.

    Of a network without probabilities it is the squared error, in values scaled to 0..1.
    """
    device = next(network.parameters()).device
    rows = []
    for A, tracks in data:
        A = torch.as_tensor(A, device=device)[None]  # (1, T, 400)
        y = torch.from_numpy(network.ranges.encode(tracks[0]))  # (T, 23)
        y_previous = torch.cat([network.start(1)[0], y[:-1]])[None].to(device)
        out = network(A, y_previous)[0].float().cpu()  # (T, 23, D), or (T, 23)
        if network.config.probabilistic:
            nats = nn.functional.cross_entropy(out.transpose(1, 2), y, reduction="none")
            rows.append(nats / math.log(2))  # (T, 23)
        else:
            rows.append((out - (y + 0.5) / network.config.bins).square())
    mean = torch.cat(rows).mean(0)  # (23,)
    return {name: round(mean[index].mean().item(), 3) for name, index in GROUPS.items()}


# ---- generator -----------------------------------------------------------------------------------
@dataclass(frozen=True)
class Players:
    """The networks of Eq. 7 as one device holds them, and who changes their weights."""

    G: Any  # it moves the source,
    D: Any  # it tells real from generated and reads attributes off both,
    phi: Any  # it says when two pictures are alike, and never learns
    g_optimizer: torch.optim.Optimizer
    d_optimizer: torch.optim.Optimizer


def train_generator(
    clips: list,
    recipe: GeneratorRecipe = GENERATOR_RECIPES["shipped"],
    *,
    validation: list | None = None,
    start: GenerationNetwork | None = None,
    vgg: str | Path | None = None,
    checkpoint: str | Path | None = None,
    device: str = "auto",
    devices: int = 1,
    progress: bool = True,
) -> tuple[GenerationNetwork, list[dict]]:
    """Train a generation network on rendered clips -> (network in evaluation mode, its log).

    `start` is a trained network to go on from, which stays as it is; its config counts. `vgg` is a
    file of VGG-19 weights to be phi. The log's rows hold step, seconds, loss, and PSNR on
    `validation` clips with the gain over copying the source (`psnr`, `gain`); beside `checkpoint` a
    picture shows sources, truth and what was made. Films are decoded as they are needed. Budgets,
    checkpoints and `devices` as for `train_mapper`; after a larger budget D waits for its share.
    Raises InputError as `train_mapper` does. Paper: Eq. 6-10. Notebook: 05_generator.
    """
    check_shares(recipe, devices)
    recipe = replace(recipe, config=start.config) if start else recipe
    clock, fabric = Clock(recipe.steps, recipe.minutes), pick_device(device, devices)
    first = fabric.is_global_zero  # the one of several devices that writes files
    share = slice(fabric.global_rank, None, devices)  # this device's part of a batch

    torch.manual_seed(recipe.seed)  # first weights
    noise = torch.Generator().manual_seed(recipe.seed)  # everything else
    pool = film_pool(clips, recipe, noise)
    watched = watched_footage(clips, validation, recipe.config.size)
    G, players = make_players(fabric, recipe, start, vgg)
    average = deepcopy(G).eval()  # what is measured and kept, as in `train_mapper`

    parts = {"network": G, "average": average, "discriminator": players.D, "pool": pool}
    parts |= {"optimizer": players.g_optimizer, "d": players.d_optimizer}
    run = Run(recipe, clock, noise, parts)
    load_checkpoint(checkpoint, run)
    pool.fill()
    clock.start()
    with bar(progress and first, clock, "generator") as shown:
        while clock.share() < 1:
            set_rate(players.g_optimizer, clock.rate(recipe.lr))
            pairs = pair_batch(pool, recipe.batch, noise, recipe.config.window)
            turn = random_turns(recipe.batch, noise)
            batch = tuple(x[share].to(fabric.device) for x in (*pairs, turn))
            # D comes late: pixels remove the blur of the start by themselves
            adversarial = clock.share() >= recipe.adversarial_from
            loss = generator_step(fabric, players, batch, recipe.lambdas, adversarial)
            clock.step += 1
            smooth_weights(average, G, clock.step)

            if due(recipe, clock):
                run.log.append(log_row(fabric, clock, loss) | generator_gain(average, watched))
                save_checkpoint(checkpoint if first else None, run)
                if checkpoint and first:
                    save_png(Path(checkpoint).with_suffix(".png"), sample_grid(average, watched))
            shown.n = int(100 * clock.share())
            shown.set_postfix_str(f"loss {loss.item():.3f}", refresh=clock.step % 10 == 0)
    return average.to("cpu").eval(), run.log


def film_pool(clips: list, recipe: GeneratorRecipe, noise: torch.Generator) -> Pool:
    """The clips to draw pairs from, decoded a few at a time.

    Probes hold rare expressions and come twice as often. But their frames are no sequence: a
    network that looks at several frames learns nothing from them.
    """
    probes = [clip for clip in clips if getattr(clip, "kind", "") == "probe"]
    if recipe.config.window == 1:
        clips = clips + probes
    else:
        clips = [clip for clip in clips if clip not in probes]

    def read(clip) -> Footage:
        return training_footage(clip, recipe.config.size)

    return Pool(clips, read, noise, recipe.keep, recipe.uses)


def watched_footage(clips: list, validation: list | None, size: int) -> list[Footage]:
    """A few frames of each clip that the log speaks of: `validation`, or some of the training."""
    if validation:
        return [few_frames(read_footage(clip, size)) for clip in validation]
    found = []
    for clip in clips:
        try:
            found.append(few_frames(training_footage(clip, size)))
        except InputError:  # the pool warns of it
            continue
        if len(found) == WATCHED:
            break
    return found


def make_players(
    fabric, recipe: GeneratorRecipe, start: GenerationNetwork | None, vgg: str | Path | None
) -> tuple[GenerationNetwork, Players]:
    """The generator itself, and all networks as Fabric runs them: device, precision, gradients."""
    G = deepcopy(start).train() if start else GenerationNetwork(recipe.config)
    D = Discriminator(recipe.config.size)
    # the face network is kept for all who ask for it: changed is a copy
    phi = load_vgg19(vgg) if vgg else deepcopy(load_face_resnet())
    G, D, phi = channels_last(G), channels_last(D), channels_last(phi.to(fabric.device))

    g_optimizer = torch.optim.AdamW(
        G.parameters(), recipe.lr, betas=(0.9, 0.99), weight_decay=1e-4, fused=True
    )
    d_optimizer = torch.optim.AdamW(
        D.parameters(), DISCRIMINATOR_LR, betas=(0.5, 0.99), weight_decay=1e-4, fused=True
    )
    g_model, g_optimizer = fabric.setup(G, g_optimizer)
    d_model, d_optimizer = fabric.setup(D, d_optimizer)
    return G, Players(g_model, d_model, phi, g_optimizer, d_optimizer)


def generator_step(
    fabric, players: Players, batch: tuple, lambdas: Lambdas, adversarial: bool
) -> Tensor:
    """One step of Eq. 7 on a batch (see `pair_batch`, and `random_turns`) -> the loss of G.

    With `adversarial` D makes a step first, and then says what it thinks of the pictures.
    """
    I_src, Z_src, I_tgt, Z_tgt, turn = batch
    I_hat, painted, keep, seen, seen_turned = players.G(I_src, Z_tgt, Z_src, turn)
    with fabric.autocast():
        rec = losses.perceptual(players.phi.features(I_tgt), players.phi.features(I_hat))
    # ours: what steadies training
    loss = (
        lambdas.pixel * losses.layered(I_tgt, I_hat, painted, keep)
        + lambdas.spread * losses.keypoint_spread(seen)
        + lambdas.equivariance * losses.equivariance(seen, seen_turned, turn)
    )

    adv = attr = torch.zeros(())
    if adversarial and (lambdas.adv or lambdas.attr):
        z = Z_tgt[:, Z_tgt.shape[1] // 2] / players.G.scale  # the frame itself, normalised, (B, 23)
        discriminator_step(fabric, players, I_tgt, I_hat, z)
        # this pass leaves gradients in D, too: its next zero_grad drops them
        patches, z_hat = players.D(I_hat)
        adv = losses.lsgan_generator(patches.float())
        attr = losses.attribute(None, z_hat.float(), z) / N_ATTRIBUTES

    loss = loss + losses.generator_objective(adv, rec, attr, lambdas)
    players.g_optimizer.zero_grad()
    fabric.backward(loss)
    nn.utils.clip_grad_norm_(players.G.parameters(), 1.0)
    players.g_optimizer.step()
    return loss.detach()


def discriminator_step(fabric, players: Players, I_tgt: Tensor, I_hat: Tensor, z: Tensor) -> None:
    """One step of D: real patches to 1, generated ones to 0, attributes as real pictures show."""
    players.d_optimizer.zero_grad()
    real, z_real = players.D(I_tgt)
    fake, _ = players.D(I_hat.detach())  # detached: D's loss must not teach G
    loss = losses.lsgan_discriminator(real.float(), fake.float())
    loss = loss + losses.attribute(None, z_real.float(), z) / N_ATTRIBUTES
    fabric.backward(loss)
    players.d_optimizer.step()


@torch.inference_mode()
def sample_grid(network: GenerationNetwork, data: list[Footage], columns: int = 8) -> np.ndarray:
    """What a generator makes of the first clips of `data`: rows of source, truth and ours, uint8.

    The target is the middle one of those that `few_frames` takes.
    """
    device = next(network.parameters()).device
    rows: list[list[np.ndarray]] = [[], [], []]
    for footage in data[:columns]:
        frames, Z, _ = few_frames(footage)
        source, Z_src = frames[:1].to(device) / 255, Z[:1].to(device)
        truth, Z_tgt = frames[[len(Z) // 2]].to(device) / 255, Z[[len(Z) // 2]].to(device)
        made = network(source, Z_tgt, Z_src)
        for row, picture in zip(rows, (source, truth, made)):
            picture = (picture[0].cpu() * 255).round().byte()  # (3, S, S)
            row.append(picture.permute(1, 2, 0).numpy())
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])


@torch.inference_mode()
def generator_gain(
    network: GenerationNetwork, data: list[Footage], frames: int = 6
) -> dict[str, float]:
    """PSNR of some frames of each clip, rendered from its first, and the gain over copying, in dB.

    Copying shows the first frame, whatever the attributes say.
    """
    device = next(network.parameters()).device
    ours, copied = [], []
    for footage in data:
        pictures, Z, _ = few_frames(footage, frames)
        pictures, Z = pictures.to(device) / 255, Z.to(device)
        source, target = pictures[:1], pictures[1:]
        ours.append(each_psnr(network(source, Z[1:], Z[:1]), target))
        copied.append(each_psnr(source, target))
    psnr, base = torch.cat(ours).mean().item(), torch.cat(copied).mean().item()
    return {"psnr": round(psnr, 2), "gain": round(psnr - base, 2)}


def each_psnr(a: Tensor, b: Tensor) -> Tensor:
    """PSNR of pictures (n, 3, S, S) in 0..1, one for each: (n,), at most 100 dB."""
    return -10 * torch.log10((a - b).square().mean((1, 2, 3)).clamp_min(1e-10))


# ---- both ----------------------------------------------------------------------------------------
def check_shares(recipe: MapperRecipe | GeneratorRecipe, devices: int) -> None:
    """Raise InputError where several devices cannot share batches or would not end together."""
    if devices > 1 and (not recipe.steps or recipe.batch % devices):
        raise InputError(
            f"{devices} devices need a budget of steps, and a batch that they can share, "
            f"not {recipe.batch}"
        )


def set_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give all weights of an optimizer one learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def due(recipe: MapperRecipe | GeneratorRecipe, clock: Clock) -> bool:
    """Whether it is time to measure and to write a checkpoint: now and then, and at the end."""
    return clock.step % recipe.every == 0 or clock.share() >= 1


def mean_loss(fabric, loss: Tensor) -> float:
    """A loss, averaged over devices."""
    return fabric.all_reduce(loss, reduce_op="mean").item()


def log_row(fabric, clock: Clock, loss: Tensor) -> dict[str, float]:
    """What a row of a log begins with."""
    mean = round(mean_loss(fabric, loss), 4)
    return {"step": clock.step, "seconds": round(clock.spent), "loss": mean}
