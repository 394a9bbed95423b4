"""dirfa_edu: DIRFA (Wu et al. 2023), audio-driven talking faces, taught and implemented.

Flat in this folder stands what the paper is and what runs it; the rest has folders of its own. The
names a notebook needs are importable from here; heavy imports wait until a name is used.
"""

from importlib import import_module

__version__ = "0.2.0"

# name -> the room it lives in
_NAMES = {
    "ATTRIBUTES": "animation",
    "LIPS": "animation",
    "UPPER": "animation",
    "BLINK": "animation",
    "POSE": "animation",
    "GROUPS": "animation",
    "FPS": "animation",
    "column": "animation",
    "Discretizer": "discretize",
    "MapperConfig": "mapper",
    "MappingNetwork": "mapper",
    "GeneratorConfig": "generator",
    "GenerationNetwork": "generator",
    "Discriminator": "generator",
    "generate": "sampling",
    "Stream": "sampling",
    "Control": "control",
    "load_pretrained": "training",
    "Actor": "actors.actor",
    "ACTORS": "actors.actor",
    "Corpus": "data.corpus",
    "CHAPTER_CLIP": "data.corpus",
    "Explorer": "course.widgets",
    "InputError": "files",
    "data_path": "files",
}
_ROOMS = [
    "animation",
    "audio",
    "cli",
    "control",
    "discretize",
    "examples",
    "files",
    "generator",
    "losses",
    "mapper",
    "masks",
    "metrics",
    "plots",
    "runs",
    "sampling",
    "talk",
    "training",
    "video",
    # and the folders
    "actors",
    "course",
    "data",
    "faces",
    "fast",
    "results",
]
__all__ = sorted(_NAMES) + _ROOMS


def __getattr__(name: str):
    """Import a room, or a name out of its room, the first time it is asked for."""
    if name in _NAMES:
        return getattr(import_module(f"dirfa_edu.{_NAMES[name]}"), name)
    if name in _ROOMS:
        return import_module(f"dirfa_edu.{name}")
    raise AttributeError(f"module 'dirfa_edu' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
