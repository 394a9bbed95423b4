"""The package's pages: what Sphinx's autodoc does not do, links between functions and chapters.

    documented()        what has a place on the pages, by dotted name
    home()              where a name is at home, also when another room or the package hands it on
    used(), calls()     what cells, and each chapter's cells, call
    chapter_section()   the list at the end of a chapter
    docstring()         a docstring as Sphinx reads it, with links to the chapters it names

Autodoc and autosummary, which are part of Sphinx, write the pages; for that they import the package
(28 s of processor time for all rooms). sphinx-autoapi and sphinx-autodoc2 read it as text, which
follows each import into torch and numba: 58 and 63 s for the same pages, and two packages to pin.
"""

import ast
import importlib
import inspect
import pkgutil
import re
from functools import cache
from pathlib import Path

import nbformat

import dirfa_edu

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
CHAPTER = re.compile(r"\b0\d_[a-z]\w*")
CODE = re.compile(r"(`[^`\n]+`)")
# what reStructuredText would read as markup; `-` at the start of a line would open a list
SPECIAL = re.compile(r"([\\*_|])|^(?=-)", re.MULTILINE)


@cache
def rooms() -> list[str]:
    """The dotted names of all rooms, those in folders too."""
    inside = pkgutil.walk_packages(dirfa_edu.__path__, "dirfa_edu.")
    return ["dirfa_edu", *(each.name for each in inside)]


@cache
def documented() -> dict[str, object]:
    """Dotted name -> object of each public function, class and method that has a docstring."""
    found = {}
    for room in rooms():
        for name, thing in public(importlib.import_module(room)):
            if callable(thing) and getattr(thing, "__module__", "") == room and thing.__doc__:
                found[f"{room}.{name}"] = thing
                methods = public(thing) if inspect.isclass(thing) else []
                found |= {f"{room}.{name}.{part}": each for part, each in methods if each.__doc__}
    return found


def public(place) -> list[tuple[str, object]]:
    """(name, object) of what stands in a module or a class, without leading underscore.

    Of a class only what is called or read like a method.
    """
    found = [(name, each) for name, each in vars(place).items() if not name.startswith("_")]
    if inspect.isclass(place):
        kinds = (property, classmethod, staticmethod)
        found = [(name, e) for name, e in found if inspect.isfunction(e) or isinstance(e, kinds)]
    return found


def home(dotted: str) -> str:
    """The documented name behind a dotted name, or "".

    `dirfa_edu.generate` is at home in `dirfa_edu.sampling.generate`.
    """
    try:
        thing = pkgutil.resolve_name(dotted)
    except (ImportError, AttributeError, ValueError):  # ValueError: it is no name
        return ""
    name = f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', '')}"
    return name if name in documented() else ""


def used(sources: list[str]) -> set[str]:
    """Documented names that code cells use, found in their syntax trees.

    After `from dirfa_edu import masks` the cell `masks.causal_mask(6)` uses
    `dirfa_edu.masks.causal_mask`.
    """
    nodes = [node for source in sources for node in ast.walk(parsed(source))]

    # the name in the cells -> what it stands for
    bound = {}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and of_package(node.module or ""):
            for each in node.names:
                bound[each.asname or each.name] = f"{node.module}.{each.name}"
        elif isinstance(node, ast.Import):
            for each in filter(lambda each: of_package(each.name), node.names):
                bound[each.asname or "dirfa_edu"] = each.name if each.asname else "dirfa_edu"

    found = set()
    for node in nodes:
        if isinstance(node, ast.Name | ast.Attribute):
            first, dot, rest = ast.unparse(node).partition(".")
            if first in bound:
                found.add(home(bound[first] + dot + rest))
    return found - {""}


def parsed(source: str) -> ast.Module:
    """The syntax tree of a cell; an empty one where the cell holds shell commands."""
    try:
        return ast.parse(source)
    except SyntaxError:
        return ast.Module(body=[], type_ignores=[])


def of_package(module: str) -> bool:
    return module.split(".")[0] == "dirfa_edu"


@cache
def calls() -> dict[str, set[str]]:
    """Chapter -> the documented names that its code cells use."""
    found = {}
    for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb")):
        cells = nbformat.read(path, 4).cells
        found[path.stem] = used([cell.source for cell in cells if cell.cell_type == "code"])
    return found


def chapters_of(thing) -> list[str]:
    """The chapters that a docstring names and that exist."""
    named = sorted(set(CHAPTER.findall(thing.__doc__ or "")))
    return [chapter for chapter in named if exists(chapter)]


def exists(chapter: str) -> bool:
    return (NOTEBOOKS / f"{chapter}.ipynb").exists()


def link(dotted: str, words: str = "") -> str:
    """A link in MyST Markdown to the place of a documented name."""
    return f"{{py:obj}}`{words or dotted.removeprefix('dirfa_edu.')} <{dotted}>`"


def chapter_section(chapter: str) -> str:
    """The list at the end of a chapter: what its cells call, what else names this chapter."""
    called = calls()[chapter]
    explained = [name for name, thing in documented().items() if chapter in chapters_of(thing)]
    here = [name for name in documented() if name in called]
    others = [name for name in explained if name not in called]

    parts = ["## The package in this chapter"]
    for words, names in (("The cells above call:", here), ("This chapter also explains:", others)):
        if names:
            parts += [words, "\n".join(by_room(names))]
    return "\n\n".join(parts)


def by_room(names: list[str]) -> list[str]:
    """Documented names as a Markdown list, a line a room."""
    lines: dict[str, list[str]] = {}
    for name in names:
        room = room_of(name)
        lines.setdefault(room, []).append(link(name, name.removeprefix(f"{room}.")))
    return [f"* {link(room)}: {', '.join(links)}" for room, links in lines.items()]


def room_of(dotted: str) -> str:
    """The room of a documented name: the longest of its beginnings that is a room."""
    return max((room for room in rooms() if dotted.startswith(f"{room}.")), key=len)


def docstring(name: str, doc: str) -> str:
    """A plain-text docstring as reStructuredText, with the chapters that call this name.

    Paragraphs are shown as they are, indented blocks as text of fixed width, examples as Python.
    """
    shown = []
    for block in re.split(r"\n\s*\n", inspect.cleandoc(doc)):
        if block.startswith(">>>"):
            shown.append(block)
        elif block.startswith("    "):
            shown.append(f"::\n\n{block}")
        else:
            shown.append(escaped(block))
    callers = [chapter_link(chapter) for chapter, names in calls().items() if name in names]
    if callers:
        shown.append(f"Called in {', '.join(callers)}.")
    return "\n\n".join(shown)


def escaped(text: str) -> str:
    """A paragraph as reStructuredText: `code` stays code, names of chapters become links."""
    parts = CODE.split(text)
    for i, part in enumerate(parts):
        if CODE.fullmatch(part):
            parts[i] = f"`{part}`"
        else:
            parts[i] = "".join(map(linked, re.split(f"({CHAPTER.pattern})", part)))
    return "".join(parts)


def linked(words: str) -> str:
    if CHAPTER.fullmatch(words) and exists(words):
        return chapter_link(words)
    return SPECIAL.sub(r"\\\g<0>", words)


def chapter_link(chapter: str) -> str:
    return f":doc:`{chapter} </notebooks/{chapter}>`"
