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
from dataclasses import replace

import numpy as np
from PIL import Image

from dirfa_edu import losses, training
from dirfa_edu.data.corpus import Corpus
from dirfa_edu.examples import read_footage
from dirfa_edu.files import atomic_path, data_path, save_png
from dirfa_edu.generator import SCALE, GenerationNetwork
from dirfa_edu.results.generator_card import random_figures, sweeps
from dirfa_edu.talk import render_film

SIZE = 64
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
    "Eq. 8 as printed": (  # real to 0, generated to 1
        "lsgan_discriminator",
        lambda real, fake, right=losses.lsgan_discriminator: right(1 - real, 1 - fake),
    ),
}


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
    off = SWITCHED_OFF.get(name)
    lambdas = losses.Lambdas(**{off: 0.0}) if off else losses.Lambdas()
    recipe = replace(
        training.GENERATOR_RECIPES["notebook"],
        minutes=None,
        steps=steps,
        every=steps,
        lambdas=lambdas,
    )
    with slip(name) if name in SLIPS else nullcontext():
        clips = Corpus().select(split="train", rendered=True)
        return training.train_generator(clips, recipe)[0]


def faces_of(network: GenerationNetwork, probes: list) -> np.ndarray:
    """A column of the picture (64 * faces, 64, 3): what a network makes of some unseen actors."""
    made = []
    for frames, Z, _ in (probes[i] for i in FACES):
        source = frames[0].permute(1, 2, 0).numpy()
        made.append(render_film(network, source, Z[FRAME : FRAME + 1], Z[0])[0])
    return np.concatenate(made)


def main() -> None:
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    unseen = Corpus().select(split="test", kind="probe")
    probes = [read_footage(clip, SIZE) for clip in unseen]
    file = data_path("results") / "generator_ablation.json"
    picture = data_path("pictures") / "generator_ablation.png"

    runs, columns = {}, []
    if file.is_file():
        runs = json.loads(file.read_text(encoding="utf-8"))["runs"]
    if runs:
        columns.append(np.asarray(Image.open(picture)))
    else:
        for t in (0, FRAME):  # sources and truth
            faces = [probes[i].frames[t].permute(1, 2, 0).numpy() for i in FACES]
            columns.append(np.concatenate(faces))

    for name in [name for name in (*SWITCHED_OFF, *SLIPS) if name not in runs]:
        network = train(name, steps)
        rows = []
        for frames, Z, _ in probes:
            rows.append(random_figures(network, frames, Z, 1) | sweeps(network, frames[0], Z[0]))
        means = {what: float(np.nanmean([row[what] for row in rows])) for what in rows[0]}
        runs[name] = {what: round(mean, 3) for what, mean in means.items()}
        print(name, runs[name], flush=True)

        columns.append(faces_of(network, probes))
        save_png(picture, np.concatenate(columns, axis=1))
        found = {
            "command": "python tools/ablate_generator.py",
            "steps": steps,
            "size": SIZE,
            "seed": 0,
            "runs": runs,
        }
        with atomic_path(file) as temporary:
            temporary.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
