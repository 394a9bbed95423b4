"""Copy trained weights into data_samples/models and write their model cards from measured figures.

    python tools/ship_weights.py runs mapper generator

`runs` is the folder `dirfa-edu train` wrote. Figures come from its log and from `dirfa-edu
evaluate` on the test split; nothing in a card is typed by hand.
"""

import json
import shutil
import sys
from pathlib import Path

from dirfa_edu.files import atomic_path, data_path
from dirfa_edu.generator import load_generator
from dirfa_edu.mapper import load_mapper
from dirfa_edu.results.generator_card import evaluate_generator
from dirfa_edu.results.mapper_card import evaluate_mapper
from dirfa_edu.training import GENERATOR_RECIPES, MAPPER_RECIPES

RECIPES = {"mapper": MAPPER_RECIPES, "generator": GENERATOR_RECIPES}

ABOUT = {
    "mapper": (
        "Mapping network: audio features and past animation to a distribution over 500 bins for "
        "23 attributes (Eq. 3).",
        load_mapper,
        evaluate_mapper,
        "Four synthetic training voices: other speakers, accents and noisy rooms give weaker lips. "
        "Expression follows the sample corpus's motion law, not real people's habits. English "
        "only.",
    ),
    "generator": (
        "Generation network: one portrait and 23 attributes to a picture (Eq. 6), 128 px.",
        load_generator,
        evaluate_generator,
        "Trained on 26 digital actors. Real photographs are outside its experience; large turns "
        "and "
        "rare combinations of attributes blur.",
    ),
}


def card(name: str, runs: Path) -> str:
    """The model card of one network as Markdown."""
    title, load, evaluate, limits = ABOUT[name]
    log = json.loads((runs / f"{name}.log.json").read_text(encoding="utf-8"))
    network = load(runs / f"{name}.safetensors")
    size = (runs / f"{name}.safetensors").stat().st_size / 1e6
    how = (
        f"Trained by `dirfa-edu train {name} --preset shipped` (seed 0, {log[-1]['step']} of "
        f"{RECIPES[name]['shipped'].steps} steps)\n"
        f"  on the train split of the sample corpus; {log[-1]['seconds'] / 60:.0f} minutes of "
        "wall time on "
        "a shared CPU of two cores."
    )
    figures = evaluate(runs / f"{name}.safetensors")
    rows = "\n".join(f"| {what} | {value} |" for what, value in figures.items())
    return f"""# {name}.safetensors

{title} {sum(p.numel() for p in network.parameters()) / 1e6:.2f} M parameters, fp16, {size:.1f} MB.

* {how}
* Configuration: `{network.config}`
* Last row of the training log (`{name}.log.json` has all of them): `{json.dumps(log[-1])}`

Figures on the test split (unseen, but for actors where it says so), by `dirfa-edu evaluate {name}`:

| figure | value |
|---|---|
{rows}

Limits: {limits}

Licence: CC BY 4.0, like the data it was trained on. Intended for teaching; animate only faces
whose owners agreed.
"""


def main() -> None:
    runs = Path(sys.argv[1])
    for name in sys.argv[2:]:
        text = card(name, runs)
        for file in (f"{name}.safetensors", f"{name}.log.json"):
            with atomic_path(data_path("models", file)) as temporary:
                shutil.copyfile(runs / file, temporary)
        data_path("models", f"{name}.md").write_text(text, encoding="utf-8")
        print(text)


if __name__ == "__main__":
    main()
