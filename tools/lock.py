"""Write requirements.lock, requirements-dev.lock and environment.yml from what is installed in this
environment.

    python tools/lock.py

The runtime lock is the closure of the runtime packages, the dev lock the closure of the dev
packages less that. torch is written without its local version (`+cpu`), so that every platform
finds it.
"""

import re
import sys
from importlib import metadata
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
RUNTIME = """torch numpy scipy numba librosa soundfile soxr av ai-edge-litert safetensors tqdm typer lightning-fabric
    matplotlib seaborn ipython ipykernel ipywidgets jupyterlab nbval setuptools""".split()
DEV = """pytest pytest-timeout nbclient nbformat jupytext playwright axe-playwright-python ruff codespell packaging
    PyYAML tensorboard sphinx myst-nb sphinx-book-theme latex2mathml""".split()
HEAD = "# Exact pins, written by `python tools/lock.py`. Python 3.11 or newer.\n"


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(names: list[str]) -> dict[str, str]:
    """The named packages and all they need here, as {normalised name: 'Name==version'}."""
    found, queue = {}, [(name, frozenset()) for name in names]
    seen = set()
    while queue:
        name, extras = queue.pop()
        if (normal(name), extras) in seen:
            continue
        seen.add((normal(name), extras))
        package = metadata.distribution(name)
        found[normal(name)] = f"{package.metadata['Name']}=={package.version.split('+')[0]}"
        for line in package.requires or []:
            needed = Requirement(line)
            environments = [default_environment() | {"extra": extra} for extra in (extras or {""})]
            if needed.marker is None or any(needed.marker.evaluate(each) for each in environments):
                queue.append((needed.name, frozenset(needed.extras)))
    return found


def main() -> None:
    runtime = closure(RUNTIME)
    dev = {name: pin for name, pin in closure(DEV).items() if name not in runtime}
    # first, so that nothing else decides which build of torch is taken
    first = [runtime.pop("torch")]
    pins = first + [runtime[name] for name in sorted(runtime)]
    (ROOT / "requirements.lock").write_text(HEAD + "\n".join(pins) + "\n")
    (ROOT / "requirements-dev.lock").write_text(
        HEAD + "-r requirements.lock\n" + "\n".join(dev[name] for name in sorted(dev)) + "\n"
    )
    lines = [
        "name: dirfa-edu",
        "channels:",
        "  - conda-forge",
        "dependencies:",
        "  - python=3.11",
        "  - pip",
        "  - pip:",
    ]
    (ROOT / "environment.yml").write_text(
        "\n".join(lines + [f"      - {pin}" for pin in pins]) + "\n"
    )
    print(f"{len(pins)} runtime pins, {len(dev)} dev pins, from {sys.prefix}")


if __name__ == "__main__":
    main()
