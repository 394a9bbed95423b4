"""Where the sample data is, and how files are written so that nothing is ever left half-done."""

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator


class InputError(ValueError):
    """Something the user gave cannot be used; the message is one sentence that says what, where and
    what to do."""


PACKAGE = Path(__file__).resolve().parent
BESIDE = PACKAGE.parent / "data_samples"  # in a clone of the repository
INSIDE = PACKAGE / "_samples"  # in an installed wheel: networks, portraits, actors, one speech


def data_path(*parts: str) -> Path:
    """Path of a file in `data_samples`: where DIRFA_EDU_DATA points, beside the package, or in it.

    Raises InputError where none of these is a folder, and for a file that a wheel does not bring.

    >>> data_path("models").name
    'models'
    """
    chosen = os.environ.get("DIRFA_EDU_DATA")
    root = Path(chosen) if chosen else BESIDE if BESIDE.is_dir() else INSIDE
    path = root.joinpath(*parts)
    if not root.is_dir():
        raise InputError(
            f"no sample data at {root}: set DIRFA_EDU_DATA to the folder data_samples of "
            "the repository"
        )

    if root == INSIDE and not path.exists():
        raise InputError(
            f"{'/'.join(parts)} is not among the samples in {root}: set DIRFA_EDU_DATA to the "
            "folder data_samples of a clone of the project's repository, which holds the whole "
            "corpus"
        )
    return path


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it into place on success, remove it on any error.

    Raises InputError where the folder cannot be made or written to.

    >>> folder = Path(tempfile.mkdtemp())
    >>> with atomic_path(folder / "note.txt") as temporary:
    ...     _ = temporary.write_text("whole or not at all")
    >>> (folder / "note.txt").read_text()
    'whole or not at all'
    """
    path = Path(path)
    make_folder(path.parent)
    # the suffix stays last: libraries choose a format by it
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def make_folder(folder: str | Path) -> Path:
    """Make a folder with its parents. Raises InputError in one sentence where it cannot."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = tempfile.TemporaryFile(dir=folder)
        probe.close()
    except OSError as error:
        raise InputError(
            f"cannot write to the folder {folder}: {error.strerror or error}"
        ) from error
    return folder


def save_tensors(path: str | Path, tensors: dict, metadata: dict[str, str]) -> None:
    """Write tensors and string metadata as one safetensors file, atomically."""
    from safetensors.torch import save_file

    with atomic_path(path) as temporary:
        save_file(
            {name: t.detach().cpu().contiguous() for name, t in tensors.items()},
            str(temporary),
            metadata,
        )


def load_tensors(path: str | Path) -> tuple[dict, dict[str, str]]:
    """Read a safetensors file -> (tensors by name, metadata). Nothing is unpickled.

    Raises InputError for a missing, truncated or foreign file.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise InputError(f"no weights at {path}: train them, or check the path")
    try:
        with safe_open(str(path), framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(
                file.metadata() or {}
            )
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(
            f"{path} is not a whole safetensors file ({error}): download or train it again"
        ) from error


def save_png(path: str | Path, picture) -> None:
    """Write a picture (H, W, 3) uint8 as PNG, whole or not at all."""
    from PIL import Image

    with atomic_path(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")
