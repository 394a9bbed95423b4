"""Second stage of the shipped generator: freeze the motion, train only the layers that paint.

    python data_samples/build/finish_generator.py runs --minutes 9

`runs` holds generator.checkpoint of `dirfa-edu train generator`. The first stage of the weights shipped now was trained
in two parts (see the model card): until step 2750 the painted layer had no loss of its own, the choice between copying
and painting saturated, and open mouths stayed closed inside. This stage resets the occlusion to "seen" and lets the
painting layers learn on frozen motion. With the present losses one run of the command should do without it.
"""

import argparse
import json
import math
import time
from copy import deepcopy
from pathlib import Path

import torch

from dirfa_edu import losses
from dirfa_edu.corpus import Corpus
from dirfa_edu.files import atomic_path
from dirfa_edu.generator import GenerationNetwork, save_generator
from dirfa_edu.runs import cpu_has_bf16, smooth_weights
from dirfa_edu.training import generator_gain, generator_pairs, pair_batch


def paint(G: GenerationNetwork, data: list, unseen: list, minutes: float, log: list, lr: float = 1e-3):
    """Train the painting layers for `minutes` -> the network with averaged weights."""
    with torch.no_grad():
        G.fine[-1].weight[2].zero_()
        G.fine[-1].bias[2] = 4.0
    G.requires_grad_(False)
    painters = torch.nn.ModuleList([G.paint3, G.paint2, G.paint1, G.up3, G.up2, G.up1, G.colour]).requires_grad_(True)
    average = deepcopy(G).eval()
    optimizer = torch.optim.AdamW(painters.parameters(), lr, betas=(0.9, 0.99), weight_decay=1e-4, fused=True)
    noise, started, step, motion = torch.Generator().manual_seed(7), time.monotonic(), 0, G.motion
    while (share := (time.monotonic() - started) / 60 / minutes) < 1:
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * share))
        I_src, Z_src, I_tgt, Z_tgt = pair_batch(data, 8, noise)
        with torch.autocast("cpu", torch.bfloat16, enabled=cpu_has_bf16()):
            with torch.no_grad():
                encoded = G.encode(I_src, Z_src)
                moved = motion(encoded, Z_tgt)
            G.motion = lambda *_, moved=moved: moved  # no gradient through the motion: it halves the cost
            made, painted, keep = G.layers(encoded, Z_tgt)
        loss = losses.layered(I_tgt, made, painted, keep)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(painters.parameters(), 1.0)
        optimizer.step()
        step += 1
        smooth_weights(average, G, step, 0.995)
        if step % 200 == 0:
            log.append({"step": step, "seconds": round(time.monotonic() - started), "stage": "painting",
                        "loss": round(loss.item(), 4), **generator_gain(average, unseen)})
            print(log[-1], flush=True)
    return average


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("runs", type=Path)
    arguments.add_argument("--minutes", type=float, default=9)
    given = arguments.parse_args()
    torch.manual_seed(0)
    state = torch.load(given.runs / "generator.checkpoint", weights_only=True)
    G = GenerationNetwork().to(memory_format=torch.channels_last)
    G.load_state_dict(state["network"])
    clips = Corpus("samples").select(split="train", rendered=True)
    data = generator_pairs(clips + 2 * [clip for clip in clips if clip.kind == "probe"], 128)
    unseen = generator_pairs(Corpus("samples").select(split="test", kind="probe"), 128)
    log = json.loads(state["log"])
    save_generator(given.runs / "generator.safetensors", paint(G, data, unseen, given.minutes, log))
    with atomic_path(given.runs / "generator.log.json") as temporary:
        temporary.write_text(json.dumps(log, indent=1))


if __name__ == "__main__":
    main()
