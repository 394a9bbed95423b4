"""dirfa_edu: DIRFA (Wu et al. 2023), audio-driven talking faces, taught and implemented.

The names a notebook needs are importable from here; heavy imports wait until a name is used.
"""

from importlib import import_module

__version__ = "0.1.0"

# name -> the room it lives in
_ROOMS = {
    "ATTRIBUTES": "animation", "LIPS": "animation", "UPPER": "animation", "BLINK": "animation",
    "POSE": "animation", "GROUPS": "animation", "FPS": "animation", "column": "animation",
    "Discretizer": "discretize", "MapperConfig": "mapper", "MappingNetwork": "mapper",
    "GeneratorConfig": "generator", "GenerationNetwork": "generator", "Discriminator": "discriminator",
    "generate": "sampling", "Stream": "sampling", "Control": "control", "load_pretrained": "training",
    "Actor": "actor", "ACTORS": "actor", "Corpus": "corpus", "CHAPTER_CLIP": "corpus", "Explorer": "widgets",
    "InputError": "files", "data_path": "files",
}
_MODULES = ["actor", "animation", "audio", "checks", "cli", "conductor", "control", "corpus", "discretize", "evaluate",
            "evaluate_generator", "examples", "explorers", "figures", "files", "generator", "geometry", "grade", "hair",
            "identity", "integrity", "judging", "layouts", "looks", "losses", "mapper", "masks", "metrics", "paint",
            "paper", "plots", "puppet", "render", "report_card", "reproduce", "runs", "sampling", "shading", "showing",
            "streams", "study", "sync", "talk", "training", "trials", "video", "vision", "widgets"]
__all__ = sorted(_ROOMS) + _MODULES


def __getattr__(name: str):
    """Import a room, or a name out of its room, the first time it is asked for."""
    if name in _ROOMS:
        return getattr(import_module(f"dirfa_edu.{_ROOMS[name]}"), name)
    if name in _MODULES:
        return import_module(f"dirfa_edu.{name}")
    raise AttributeError(f"module 'dirfa_edu' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
