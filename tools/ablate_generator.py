"""What does each loss of the generator earn? The small one is trained anew with one term off, or
with one slip.

    python tools/ablate_generator.py [STEPS]

All runs have the same steps, seed and data, at 64 px. Figures of the six unseen actors go to
data_samples/results/generator_ablation.json as each run ends; a run that stands there is not made
again. The picture data_samples/pictures/generator_ablation.png holds their faces: a column of
sources, of truth, and of each run.
"""

import json
import sys
from contextlib import contextmanager, nullcontext

import numpy as np
from PIL import Image

from dirfa_edu import losses, training
from dirfa_edu.data.corpus import Corpus
from dirfa_edu.files import atomic_path, data_path, save_png
from dirfa_edu.generator import SCALE, GenerationNetwork
from dirfa_edu.results.generator_card import moved, random_figures, sweeps

FACES, FRAME = (0, 3, 5), 21  # the unseen actors in the picture, and which of their random faces
SWITCHED_OFF = {
    "all terms": None,
    "no adversarial": "adv",
    "no perceptual": "rec",
    "no attribute": "attr",
    "no pixels": "pixel",
    "no spread": "spread",
    "no equivariance": "equivariance",
}
SLIPS = {  # the package's function, and what takes its place
    "raw millimetres in Eq. 10": (
        "attribute",
        lambda real, fake, z, right=losses.attribute: right(real, fake * SCALE, z * SCALE),
    ),
    "Eq. 8 as printed": (
        "lsgan_discriminator",
        lambda real, fake, right=losses.lsgan_discriminator: right(1 - real, 1 - fake),
    ),
}  # real to 0, generated to 1


@contextmanager
def slip(name: str):
    """One wrong loss stands in the place of the right one while a network trains."""
    where, wrong = SLIPS[name]
    right = getattr(losses, where)
    setattr(losses, where, wrong)
    try:
        yield
    finally:
        setattr(losses, where, right)


def train(name: str, steps: int) -> GenerationNetwork:
    """The small generator, trained with one term off or with one slip."""
    lambdas = {SWITCHED_OFF[name]: 0.0} if SWITCHED_OFF.get(name) else None
    with slip(name) if name in SLIPS else nullcontext():
        return training.train_generator(
            Corpus().select(split="train", rendered=True),
            training.PRESETS["generator"]["notebook"]["config"],
            steps=steps,
            every=steps,
            lambdas=lambdas,
        )[0]


def main() -> None:
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    probes = training.generator_pairs(Corpus().select(split="test", kind="probe"), 64)
    file, picture = (
        data_path("results") / "generator_ablation.json",
        data_path("pictures") / "generator_ablation.png",
    )
    runs = json.loads(file.read_text())["runs"] if file.is_file() else {}
    shown = (
        [np.asarray(Image.open(picture))]
        if runs
        else [
            np.concatenate([probes[i][0][t].permute(1, 2, 0).numpy() for i in FACES])
            for t in (0, FRAME)
        ]
    )
    for name in [name for name in (*SWITCHED_OFF, *SLIPS) if name not in runs]:
        network = train(name, steps)
        rows = [
            random_figures(network, frames, Z, 1) | sweeps(network, frames[0], Z[0])
            for frames, Z in probes
        ]
        runs[name] = {
            what: round(float(np.nanmean([row[what] for row in rows])), 3) for what in rows[0]
        }
        print(name, runs[name], flush=True)
        faces = [
            (frames[0], Z[0], Z[FRAME : FRAME + 1]) for frames, Z in (probes[i] for i in FACES)
        ]
        shown.append(np.concatenate([moved(network, *face)[0] for face in faces]))
        save_png(picture, np.concatenate(shown, axis=1))
        with atomic_path(file) as temporary:
            temporary.write_text(
                json.dumps(
                    {
                        "command": "python tools/ablate_generator.py",
                        "steps": steps,
                        "size": 64,
                        "seed": 0,
                        "runs": runs,
                    },
                    indent=1,
                )
            )


if __name__ == "__main__":
    main()
