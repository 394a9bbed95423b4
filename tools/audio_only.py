"""Measure the audio-only baseline of the mapper and keep its bits in
data_samples/results/audio_only.json.

    dirfa-edu train mapper --preset audio --out runs/audio
    python tools/audio_only.py runs/audio
"""

import json
import sys
from pathlib import Path

from dirfa_edu.data.corpus import Corpus
from dirfa_edu.examples import mapper_tracks
from dirfa_edu.files import atomic_path, data_path
from dirfa_edu.mapper import load_mapper
from dirfa_edu.training import mapper_bits


def main() -> None:
    runs = Path(sys.argv[1])
    network = load_mapper(runs / "mapper.safetensors")
    log = json.loads((runs / "mapper.log.json").read_text(encoding="utf-8"))
    if network.config.history:
        raise SystemExit(f"{runs} holds a mapper with history: train one with --preset audio")
    test = Corpus("samples").select(split="test", kind="speech")
    bits = mapper_bits(network, mapper_tracks(test))
    found = {
        "command": "dirfa-edu train mapper --preset audio",
        "seed": 0,
        "steps": log[-1]["step"],
        "minutes": round(log[-1]["seconds"] / 60),
        "bits": bits,
    }
    with atomic_path(data_path("results", "audio_only.json")) as temporary:
        temporary.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(found)


if __name__ == "__main__":
    main()
