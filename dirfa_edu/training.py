"""The two training loops. Both write checkpoints atomically, resume where they stopped, and keep a
log of figures.

The mapper learns Eq. 5 by teacher forcing with a corrupted history; the generator learns Eq. 7 on
random pairs of frames of one clip. A budget is a number of steps (repeatable) or of minutes (for a
class).

Paper: 3.2.4, 3.3.1, 4.1. Notebooks: 04_mapper, 05_generator.
"""

import math
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from . import losses
from .animation import GROUPS
from .discretize import Discretizer
from .examples import (
    augment,
    every_voice_alike,
    generator_pairs,
    held_out,
    mapper_batch,
    mapper_tracks,
    pair_batch,
    random_turns,
    seen_in_training,
)
from .faces.identity import load_face_resnet, load_vgg19
from .files import InputError, data_path, save_png
from .generator import Discriminator, GenerationNetwork, GeneratorConfig, load_generator
from .mapper import MapperConfig, MappingNetwork, load_mapper
from .runs import (
    Clock,
    bar,
    load_checkpoint,
    pick_device,
    save_checkpoint,
    scalar_writer,
    smooth_weights,
)

PRESETS = {  # what the command `dirfa-edu train` runs
    "mapper": {
        "notebook": {
            "minutes": 0.8,
            "config": MapperConfig(d_model=96, layers=2),
            "batch": 6,
            "window": 60,
            "lr": 1.5e-3,
            "every": 20,
        },
        # slopes twice as steep as ALiBi's for texts: fewer bits for lips and head on
        # held-out sentences
        "shipped": {"steps": 6000, "batch": 12, "steepness": 2.0},
        # a baseline, see `evaluate`
        "audio": {"steps": 1200, "config": MapperConfig(history=False)},
        "paper": {"steps": 400_000, "batch": 64, "window": 150, "ordinal": 0.0},
    },
    "generator": {
        "notebook": {"minutes": 0.8, "config": GeneratorConfig(size=64, width=24)},
        "shipped": {"steps": 13000, "config": GeneratorConfig()},
        "finetune": {"minutes": 10.0, "lr": 1e-4},  # one person, from the shipped weights
        "paper": {"steps": 300_000, "config": GeneratorConfig(size=256, width=64)},
    },
}


def load_pretrained(name: str):
    """The shipped "mapper", "generator" or "sync" network, in evaluation mode.

    Raises InputError for another name, or where data_samples holds no weights.

    >>> load_pretrained("mapper").config.bins
    500
    """
    from .faces.sync import load_sync

    loaders = {"mapper": load_mapper, "generator": load_generator, "sync": load_sync}
    if name not in loaders:
        raise InputError(f"no shipped network {name!r}: choose one of {', '.join(loaders)}")
    return loaders[name](data_path("models", f"{name}.safetensors"))


# ---- mapper --------------------------------------------------------------------------------------
def train_mapper(
    clips: list,
    config: MapperConfig = MapperConfig(),
    *,
    steps: int | None = None,
    minutes: float | None = None,
    batch: int = 12,
    window: int = 75,
    lr: float = 6e-4,
    seed: int = 0,
    ordinal: float = 1.0,
    steepness: float = 1.0,
    measured: bool = False,
    checkpoint: str | Path | None = None,
    tensorboard: str | Path | None = None,
    device: str = "auto",
    devices: int = 1,
    progress: bool = True,
    every: int = 250,
) -> tuple[MappingNetwork, list[dict]]:
    """Train a mapping network on clips (see corpus.Clip) -> (network in evaluation mode, log of
    figures).

    `ordinal` is the width of the targets in bins of D = 500 (see `losses.cross_entropy`), 0 the
    paper's Eq. 5 alone; `steepness` is what the slopes of the mask are multiplied by, in training
    and after (see `mapper.with_steepness`); `measured` trains on tracks with measurement noise even
    where exact ones are known. With `checkpoint` the run writes there every `every` steps and
    continues from it. The log's rows hold step, loss and, for held-out clips, bits per attribute of
    each group; `tensorboard` is a folder that gets them too. Several `devices` share each batch,
    which must be a multiple of them, and take a budget of steps.
    Paper: Eq. 5. Notebook: 04_mapper.
    """
    if devices > 1 and (not steps or batch % devices):
        raise InputError(
            f"{devices} devices need a budget of steps, and a batch that they can share, not {batch}"
        )
    clock, fabric = Clock(steps, minutes), pick_device(device, devices)
    clips, validation = held_out(clips)
    data, validation = (mapper_tracks(some, measured) for some in (clips, validation))
    bins = Discretizer.fit([track for _, tracks in data for track in tracks], config.bins)
    data = [
        (torch.from_numpy(A), [torch.from_numpy(bins.encode(y)) for y in tracks])
        for A, tracks in data
    ]
    data = every_voice_alike(data, clips)
    torch.manual_seed(seed)
    noise, network = (
        torch.Generator().manual_seed(seed),
        MappingNetwork(replace(config, steepness=steepness), bins),
    )
    heard = torch.cat([A for A, _ in data]).split(window)
    # as it will come in training
    network.whiten(torch.cat([augment(A[None], noise)[0] for A in heard]))
    average = deepcopy(network).eval()
    optimizer = torch.optim.AdamW(
        network.parameters(), lr, betas=(0.9, 0.98), weight_decay=0.05, fused=True
    )
    model, optimizer = fabric.setup(network, optimizer)
    model.mark_forward_method("loss")
    log, parts = [], {"network": network, "average": average, "optimizer": optimizer}
    load_checkpoint(checkpoint, clock, noise, log, **parts)
    first, mine = (
        fabric.is_global_zero,
        slice(fabric.global_rank, None, devices),
    )  # each device's share of a batch
    write = scalar_writer(tensorboard if first else None)
    model.train()
    with bar(progress and first, clock, "mapper") as shown:
        while clock.share() < 1:
            for group in optimizer.param_groups:
                group["lr"] = clock.rate(lr)
            drawn = mapper_batch(data, bins, batch, window, noise)
            A, previous, y, pinned = (x.to(fabric.device) for x in drawn)
            loss = model.loss(
                A[mine], previous[mine], y[mine], ordinal * config.bins / 500, pinned[mine]
            )
            # shares differ in how much is padding
            loss = loss * devices * (y[mine] >= 0).sum() / (y >= 0).sum()
            optimizer.zero_grad()
            fabric.backward(loss)
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            clock.step += 1
            smooth_weights(average, network, clock.step)
            if clock.step % 10 == 0:
                loss = fabric.all_reduce(loss.detach(), reduce_op="mean")
                write({"step": clock.step, "loss": loss.item()})
                shown.set_postfix_str(f"loss {loss.item():.3f}")
            if clock.step % every == 0 or clock.share() >= 1:
                loss = fabric.all_reduce(loss.detach(), reduce_op="mean")
                log.append(
                    {
                        "step": clock.step,
                        "seconds": round(clock.spent),
                        "loss": round(loss.item(), 4),
                        **mapper_bits(average, validation),
                    }
                )
                write(log[-1])
                save_checkpoint(checkpoint if first else None, clock, noise, log, **parts)
            shown.n = int(100 * clock.share())
    return average.to("cpu").eval(), log


@torch.inference_mode()
def mapper_bits(network: MappingNetwork, data: list) -> dict[str, float]:
    """Teacher-forced bits per attribute of each group on (features, [tracks]) pairs; squared error
    without bins."""
    device, rows = next(network.parameters()).device, []
    for A, tracks in data:
        y = torch.from_numpy(network.discretizer.encode(tracks[0]))
        previous = torch.cat([network.start(1)[0], y[:-1]]).to(device)  # (T, 23)
        out = network(torch.as_tensor(A, device=device)[None], previous[None])[0].float().cpu()
        if network.config.probabilistic:
            rows.append(
                nn.functional.cross_entropy(out.transpose(1, 2), y, reduction="none") / math.log(2)
            )
        else:
            rows.append((out - (y + 0.5) / network.config.bins).square())
    mean = torch.cat(rows).mean(0)  # (23,)
    return {name: round(mean[index].mean().item(), 3) for name, index in GROUPS.items()}


# ---- generator -----------------------------------------------------------------------------------
def train_generator(
    clips: list,
    config: GeneratorConfig = GeneratorConfig(),
    *,
    steps: int | None = None,
    minutes: float | None = None,
    batch: int = 8,
    lr: float = 4e-4,
    seed: int = 0,
    validation: list | None = None,
    adversarial_from: float = 0.6,
    lambdas: dict | None = None,
    start: GenerationNetwork | None = None,
    vgg: str | Path | None = None,
    checkpoint: str | Path | None = None,
    device: str = "auto",
    devices: int = 1,
    progress: bool = True,
    every: int = 250,
) -> tuple[GenerationNetwork, list[dict]]:
    """Train a generation network on rendered clips -> (network in evaluation mode, log of figures).

    After `adversarial_from` of the budget the discriminator and its attribute head join pixels and
    phi. `lambdas` changes weights of `losses.LAMBDAS`; 0 switches a term off. `start` is a trained
    network to go on from, which stays as it is; its config counts. `vgg` is a file of VGG-19
    weights to be phi. The log's rows hold step, loss, and PSNR on `validation` clips with the gain
    over copying the source (`psnr`, `gain`); beside `checkpoint` a picture shows sources, truth and
    what was made. `devices` as for `train_mapper`.
    Paper: Eq. 6-10. Notebook: 05_generator.
    """
    if devices > 1 and (not steps or batch % devices):
        raise InputError(
            f"{devices} devices need a budget of steps, and a batch that they can share, not {batch}"
        )
    weight, config = losses.weights(lambdas), start.config if start else config
    probes = [clip for clip in clips if getattr(clip, "kind", "") == "probe"]
    # probes hold rare expressions: twice as often; but their frames are no sequence
    clips = clips + probes if config.window == 1 else [clip for clip in clips if clip not in probes]
    data = seen_in_training(clips, generator_pairs(clips, config.size))
    unseen = generator_pairs(validation or [], config.size)
    torch.manual_seed(seed)
    noise, fabric = torch.Generator().manual_seed(seed), pick_device(device, devices)
    first, mine = (
        fabric.is_global_zero,
        slice(fabric.global_rank, None, devices),
    )  # each device's share of a batch
    G, D = (
        deepcopy(start).train() if start else GenerationNetwork(config),
        Discriminator(config.size),
    )
    G, D = (net.to(memory_format=torch.channels_last) for net in (G, D))
    average = deepcopy(G).eval().to(fabric.device)
    # the one that is kept for all stays as it is
    phi = load_vgg19(vgg) if vgg else deepcopy(load_face_resnet())
    phi = phi.to(fabric.device, memory_format=torch.channels_last)
    g_optimizer = torch.optim.AdamW(
        G.parameters(), lr, betas=(0.9, 0.99), weight_decay=1e-4, fused=True
    )
    d_optimizer = torch.optim.AdamW(
        D.parameters(), 2e-4, betas=(0.5, 0.99), weight_decay=1e-4, fused=True
    )
    g_model, g_optimizer = fabric.setup(G, g_optimizer)
    d_model, d_optimizer = fabric.setup(D, d_optimizer)
    clock, log = Clock(steps, minutes), []
    parts = {
        "network": G,
        "average": average,
        "discriminator": D,
        "optimizer": g_optimizer,
        "d": d_optimizer,
    }
    load_checkpoint(checkpoint, clock, noise, log, **parts)
    with bar(progress and first, clock, "generator") as shown:
        while clock.share() < 1:
            for group in g_optimizer.param_groups:
                group["lr"] = clock.rate(lr)
            drawn = *pair_batch(data, batch, noise, config.window), random_turns(batch, noise)
            I_src, Z_src, I_tgt, Z_tgt, turn = (x[mine].to(fabric.device) for x in drawn)
            z = Z_tgt[:, config.window // 2] / G.scale
            I_hat, painted, keep, seen, seen_turned = g_model(I_src, Z_tgt, Z_src, turn)
            with fabric.autocast():
                rec = losses.perceptual(phi.features(I_tgt), phi.features(I_hat))
            # ours: what steadies training
            loss = (
                weight["pixel"] * losses.layered(I_tgt, I_hat, painted, keep)
                + weight["spread"] * losses.keypoint_spread(seen)
                + weight["equivariance"] * losses.equivariance(seen, seen_turned, turn)
            )
            adv = attr = torch.zeros(())
            if clock.share() >= adversarial_from and (weight["adv"] or weight["attr"]):
                d_optimizer.zero_grad()
                real, z_real = d_model(I_tgt)
                fake, _ = d_model(I_hat.detach())  # detached: D's loss must not teach G
                d_loss = (
                    losses.lsgan_discriminator(real.float(), fake.float())
                    + losses.attribute(None, z_real.float(), z) / 23
                )
                fabric.backward(d_loss)
                d_optimizer.step()
                patches, z_fake = d_model(
                    I_hat
                )  # D's gradients from this pass are dropped at its next zero_grad
                adv, attr = (
                    losses.lsgan_generator(patches.float()),
                    losses.attribute(None, z_fake.float(), z) / 23,
                )
            # Eq. 7
            loss = loss + losses.generator_objective(
                adv, rec, attr, weight["rec"], weight["attr"], weight["adv"]
            )
            g_optimizer.zero_grad()
            fabric.backward(loss)
            nn.utils.clip_grad_norm_(G.parameters(), 1.0)
            g_optimizer.step()
            clock.step += 1
            smooth_weights(average, G, clock.step)
            if clock.step % every == 0 or clock.share() >= 1:
                loss = fabric.all_reduce(loss.detach(), reduce_op="mean")
                log.append(
                    {
                        "step": clock.step,
                        "seconds": round(clock.spent),
                        "loss": round(loss.item(), 4),
                        **generator_gain(average, unseen or data),
                    }
                )
                save_checkpoint(checkpoint if first else None, clock, noise, log, **parts)
                if checkpoint and first:
                    save_png(
                        Path(checkpoint).with_suffix(".png"), sample_grid(average, unseen or data)
                    )
            shown.n = int(100 * clock.share())
            shown.set_postfix_str(f"loss {loss.item():.3f}", refresh=clock.step % 10 == 0)
    return average.to("cpu").eval(), log


@torch.inference_mode()
def sample_grid(network: GenerationNetwork, data: list, columns: int = 8) -> np.ndarray:
    """What a generator makes of the first clips of `generator_pairs`: rows of source, truth and
    ours, uint8."""
    device, rows = next(network.parameters()).device, [[], [], []]
    for pictures, Z in data[:columns]:
        source, t = pictures[:1].to(device) / 255, len(pictures) // 2
        made = network(source, Z[t : t + 1].to(device), Z[:1].to(device))
        for row, picture in zip(rows, (source, pictures[t : t + 1].to(device) / 255, made)):
            row.append((picture[0].cpu() * 255).round().byte().permute(1, 2, 0).numpy())
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])


@torch.inference_mode()
def generator_gain(network: GenerationNetwork, data: list, frames: int = 6) -> dict[str, float]:
    """PSNR of rendering some frames of each clip from its first, and the gain over copying that
    first frame, in dB."""
    ours, copied = [], []
    device = next(network.parameters()).device
    for pictures, Z in data:
        chosen = torch.linspace(1, len(pictures) - 1, frames).long()
        source, target = pictures[:1].to(device) / 255, pictures[chosen].to(device) / 255
        made = network(source, Z[chosen].to(device), Z[:1].to(device))
        for pair, out in ((made, ours), (source.expand_as(target), copied)):
            out.append(-10 * torch.log10((pair - target).square().mean((1, 2, 3)).clamp_min(1e-10)))
    psnr, base = torch.cat(ours).mean().item(), torch.cat(copied).mean().item()
    return {"psnr": round(psnr, 2), "gain": round(psnr - base, 2)}
