"""Average the weights of two stages of one run: each has the other's faults less, as in a long moving average.

    python tools/mix_weights.py runs/early/generator.safetensors runs/late/generator.safetensors 0.65 runs/mix

The last number is the later stage's share. The later stage's log comes along.
"""

import shutil
import sys
from pathlib import Path

import torch

from dirfa_edu.files import make_folder
from dirfa_edu.generator import load_generator, save_generator

early, late, share, out = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), make_folder(Path(sys.argv[4]))
mixed, other = load_generator(late), load_generator(early)
with torch.no_grad():
    for ours, theirs in zip(mixed.parameters(), other.parameters()):
        ours.lerp_(theirs, 1 - share)
save_generator(out / "generator.safetensors", mixed)
shutil.copyfile(late.parent / "generator.log.json", out / "generator.log.json")
