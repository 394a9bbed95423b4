"""Write requirements.lock and requirements-dev.lock out of pyproject.toml, with uv.

    python tools/lock.py            # adds and drops what it must; pins stay as they are
    python tools/lock.py --upgrade  # the newest of everything but torch

Both locks are universal: one file for Linux, macOS and Windows, Python 3.11 and newer. torch is
pinned once, without a build (`+cpu`), and without the CUDA packages that its Linux wheel asks for:
pip adds those by itself where that wheel is taken.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUNTIME, DEV = ROOT / "requirements.lock", ROOT / "requirements-dev.lock"
TORCH = "torch==2.13.0"
HEAD = "# Exact pins, written by `make lock`. Python 3.11 or newer.\n"
CUDA = re.compile(r"(nvidia|cuda|triton)\b", re.IGNORECASE)

# an editable install without build isolation finds it in the environment
BUILD = "setuptools>=77"


def compiled(extra: str, upgrade: bool) -> list[str]:
    """The pins of the package with one extra, as uv resolves them; both locks are preferred."""
    sources = ROOT / ".lock-extra.in", ROOT / ".lock.part"
    sources[0].write_text(f"{TORCH}\n{BUILD}\n", encoding="utf-8")
    # uv keeps the pins that it finds in the file it is to write
    sources[1].write_text(
        "" if upgrade else "\n".join(pins(RUNTIME) + pins(DEV)) + "\n", encoding="utf-8"
    )
    command = ["uv", "pip", "compile", "pyproject.toml", sources[0].name, "--extra", extra]
    command += ["--output-file", sources[1].name, "--universal", "--python-version", "3.11"]
    command += ["--no-header", "--no-annotate", "--no-emit-index-url", "--quiet"]
    try:
        subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=True)
        return [line for line in pins(sources[1]) if not CUDA.match(line)]
    finally:
        for path in sources:
            path.unlink(missing_ok=True)


def pins(path: Path) -> list[str]:
    """The lines of a lock that pin something, torch without its build."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = [line for line in lines if line and not line.startswith(("#", "-"))]
    return [re.sub(r"^(torch==[\d.]+)\+\w+", r"\1", line) for line in kept]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--upgrade", action="store_true", help="forget today's pins")
    upgrade = options.parse_args().upgrade

    runtime, dev = compiled("course", upgrade), compiled("dev", upgrade)
    # first, so that nothing else decides which build of torch is taken
    runtime = [TORCH] + [line for line in runtime if line != TORCH]
    dev = [line for line in dev if line not in runtime]

    RUNTIME.write_text(HEAD + "\n".join(runtime) + "\n", encoding="utf-8")
    DEV.write_text(HEAD + "-r requirements.lock\n" + "\n".join(dev) + "\n", encoding="utf-8")
    print(f"{len(runtime)} pins for the course, {len(dev)} more for development")


if __name__ == "__main__":
    main()
