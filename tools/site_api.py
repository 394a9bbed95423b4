"""The package as pages: one per room, written from its source without importing it, linked to the
notebooks and back.

    package() reads the rooms; room_page() and index_page() write markdown; used() finds what a chapter calls;
    chapter_section() is the list at the end of a chapter.
"""

import ast
import inspect
import re
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHAPTER = re.compile(r"\b0\d_[a-z]\w*")
SPECIAL = re.compile(r"([\\*_{}\[\]<>#$|~^!&])")


@dataclass(frozen=True)
class Entry:
    """A public function, class or method: its room, dotted name inside the room, source of its
    head, docstring."""

    room: str
    name: str
    head: str
    doc: str

    @property
    def key(self) -> str:
        return f"{self.room}.{self.name}"

    @property
    def chapters(self) -> list[str]:
        """The chapters that the docstring names."""
        return sorted(set(CHAPTER.findall(self.doc)))


@dataclass
class Room:
    """A module: docstring, its entries by name, and what it imports from other rooms, {name: (room,
    name)}."""

    name: str
    doc: str
    entries: dict[str, Entry]
    borrowed: dict[str, tuple[str, str]] = field(default_factory=dict)


def package(folder: Path = ROOT / "dirfa_edu") -> dict[str, Room]:
    """Every room of the package, by name; `__init__` is the room "" whose borrowed names are the
    short cuts."""
    rooms = {}
    for path in sorted(folder.glob("*.py")):
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source)
        name = "" if path.stem == "__init__" else path.stem
        rooms[name] = Room(name, ast.get_docstring(tree) or "", dict(entries(name, tree, source)))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module:
                for each in node.names:
                    rooms[name].borrowed[each.asname or each.name] = (node.module, each.name)
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_ROOMS":
                rooms[name].borrowed |= {
                    short: (room, short) for short, room in ast.literal_eval(node.value).items()
                }
    return rooms


def entries(room: str, tree: ast.Module, source: str):
    """(name, Entry) of each public function and class, and of each public method that has a
    docstring."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield (
                node.name,
                Entry(room, node.name, head(node, source), ast.get_docstring(node) or ""),
            )
            for part in node.body if isinstance(node, ast.ClassDef) else ():
                if (
                    isinstance(part, ast.FunctionDef)
                    and not part.name.startswith("_")
                    and ast.get_docstring(part)
                ):
                    name = f"{node.name}.{part.name}"
                    yield name, Entry(room, name, head(part, source), ast.get_docstring(part))


def head(node, source: str) -> str:
    """The signature as the source has it: of a class its fields and __init__, of a function all
    before its body."""
    lines = source.splitlines()
    if isinstance(node, ast.ClassDef):
        shown = [lines[node.lineno - 1]]
        for part in node.body:
            if isinstance(part, ast.AnnAssign) and not ast.unparse(part.target).startswith("_"):
                shown += lines[part.lineno - 1 : part.end_lineno]
            elif isinstance(part, ast.FunctionDef) and part.name == "__init__":
                shown.append(textwrap.indent(head(part, source), " " * part.col_offset))
        return "\n".join(shown)
    first = node.body[0].lineno - 1
    if first < node.lineno:  # the body stands on the line of `def`
        return f"def {node.name}({ast.unparse(node.args)}):"
    text = "\n".join(lines[node.lineno - 1 : first]).rstrip()
    decorators = [
        f"@{each.id}\n"
        for each in node.decorator_list
        if isinstance(each, ast.Name) and each.id in ("property", "classmethod", "staticmethod")
    ]
    return "".join(decorators) + re.sub(rf"^ {{{node.col_offset}}}", "", text, flags=re.MULTILINE)


def chapter_link(chapter: str, up: str = "../") -> str:
    return f"[{chapter}]({up}notebooks/{chapter}.ipynb)"


def entry_link(entry: Entry, up: str = "../") -> str:
    return f"[`{entry.name}`]({up}api/{entry.room}.md#{anchor(entry)})"


def anchor(entry: Entry) -> str:
    """The place of an entry on its page. Places know no capitals, so classes have a prefix: `Film`
    beside `film`."""
    return f"{'class' if entry.name[0].isupper() else 'api'}.{entry.key}".lower()


def escape(text: str) -> str:
    """Plain text as markdown: `code` stays code, names of chapters become links, all else is shown
    as it is."""
    parts = re.split(r"(`[^`\n]+`)", text)
    for i in range(0, len(parts), 2):
        words = re.split(f"({CHAPTER.pattern})", parts[i])
        words[::2] = [SPECIAL.sub(r"\\\1", word) for word in words[::2]]
        exists = [(ROOT / "notebooks" / f"{name}.ipynb").exists() for name in words[1::2]]
        words[1::2] = [
            chapter_link(name) if there else SPECIAL.sub(r"\\\1", name)
            for name, there in zip(words[1::2], exists)
        ]
        parts[i] = "".join(words)
    return "".join(parts)


def prose(doc: str) -> str:
    """A plain-text docstring as markdown: paragraphs, lists of stars, indented blocks as they are,
    examples as code."""
    blocks, kind = [], ""
    for line in inspect.cleandoc(doc).splitlines():
        if kind == "pycon" and line.strip():  # an example ends with an empty line
            blocks[-1][1].append(line)
            continue
        new = (
            "pycon"
            if line.startswith(">>>")
            else ""
            if not line.strip()
            else "text"
            if line.startswith("    ") or kind == "text" and line.startswith(" ")
            else "words"
        )
        if new and new != kind:
            blocks.append((new, []))
        if new:
            blocks[-1][1].append(line)
        elif kind == "words":
            blocks[-1][1].append("")
        kind = new or ("words" if kind == "words" else "")
    shown = []
    for kind, lines in blocks:
        if kind == "words":
            text = "\n".join(lines).strip()
            shown.append(re.sub(r"^(\s*)\\\* ", r"\1* ", escape(text), flags=re.MULTILINE))
        else:
            shown.append(f"```{kind}\n{textwrap.dedent(chr(10).join(lines))}\n```")
    return "\n\n".join(shown)


def room_page(room: Room, calls: dict[str, set[str]]) -> str:
    """One room as a page; `calls` says which entries each chapter's cells call, {chapter: {key}}."""
    parts = [f"# {room.name}\n\n{prose(room.doc)}"]
    for entry in room.entries.values():
        level = "###" if "." in entry.name else "##"
        parts.append(
            f"({anchor(entry)})=\n{level} {escape(entry.name)}\n\n"
            f"```python\n{entry.head}\n```\n\n{prose(entry.doc)}"
        )
        callers = [chapter for chapter, keys in sorted(calls.items()) if entry.key in keys]
        if callers:
            parts.append("Called in " + ", ".join(chapter_link(each) for each in callers) + ".")
    return "\n\n".join(parts) + "\n"


def index_page(rooms: dict[str, Room]) -> str:
    """The table of rooms."""
    lines = [
        "# The package",
        "",
        "One room per idea. Each function says which chapter teaches it and which chapters "
        "call it; the names most used are importable from `dirfa_edu` itself.",
        "",
        "| room | what |",
        "|---|---|",
    ]
    for room in rooms.values():
        if room.name:
            first = re.split(r"(?<=\.)\s", " ".join(room.doc.split()), maxsplit=1)[0]
            lines.append(f"| [`{room.name}`]({room.name}.md) | {escape(first)} |")
    return "\n".join(lines) + "\n"


def used(sources: list[str], rooms: dict[str, Room]) -> set[str]:
    """Keys of the entries that code cells call, found in their syntax trees: `masks.causal_mask`,
    `Discretizer.fit`."""
    # name in the cells -> (room, entry); name in the cells -> room
    names, rooms_as, found = {}, {}, set()
    for source in sources:
        try:
            tree = ast.parse(source)
        except SyntaxError:  # a cell of shell commands
            continue
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.ImportFrom)
                and (node.module or "").split(".")[0] == "dirfa_edu"
            ):
                room = node.module.partition(".")[2]
                for each in node.names:
                    if not room and each.name in rooms:
                        rooms_as[each.asname or each.name] = each.name
                    else:
                        names[each.asname or each.name] = (room, each.name)
        for node in ast.walk(tree):
            place = None
            if isinstance(node, ast.Name):
                place = names.get(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                if node.value.id in rooms_as:
                    place = (rooms_as[node.value.id], node.attr)
                elif node.value.id in names:
                    room, name = names[node.value.id]
                    place = (room, f"{name}.{node.attr}")
            if place and (entry := find(*place, rooms)):
                found.add(entry.key)
    return found


def find(room: str, name: str, rooms: dict[str, Room]) -> Entry | None:
    """The entry behind a name, also where its room has it from another one (`plots.show` is
    `showing.show`)."""
    while room in rooms:
        if name in rooms[room].entries:
            return rooms[room].entries[name]
        first, _, rest = name.partition(".")
        if first not in rooms[room].borrowed:
            return None
        room, real = rooms[room].borrowed[first]
        name = f"{real}.{rest}" if rest else real
    return None


def chapter_section(chapter: str, called: set[str], rooms: dict[str, Room]) -> str:
    """The list at the end of a chapter: what its cells call, and what else of the package names
    this chapter."""
    everything = [entry for room in rooms.values() for entry in room.entries.values()]
    here = [entry for entry in everything if entry.key in called]
    others = [
        entry for entry in everything if chapter in entry.chapters and entry.key not in called
    ]
    parts = ["## The package in this chapter"]
    for words, some in (("The cells above call:", here), ("This chapter also explains:", others)):
        by_room = {}
        for entry in some:
            by_room.setdefault(entry.room, []).append(entry_link(entry))
        if by_room:
            parts += [
                words,
                "\n".join(
                    f"* [{room}](../api/{room}.md): " + ", ".join(links)
                    for room, links in by_room.items()
                ),
            ]
    return "\n\n".join(parts)
