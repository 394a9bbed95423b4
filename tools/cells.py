"""What the cells of an executed notebook hold: headings, pictures, players, printed lines."""

import base64
import html
import io
import re
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

DETAILS = re.compile(r"<details>.*?</details>", re.DOTALL)
FOLDED_SOLUTION = re.compile(r"<details><summary>Solution.*?</details>", re.DOTALL)
HEADING = re.compile(r"^#{1,4} +(.+)$", re.MULTILINE)
PLAYER = re.compile(r'<(audio|video) controls src="([^"]+)" aria-label="([^"]*)"')
SENTENCE = re.compile(r".+?[.!?](?:\*\*)?(?:\s+|$)")
KINDS = {".ogg": "audio/ogg", ".mp4": "video/mp4", ".wav": "audio/wav"}


@dataclass(frozen=True)
class Picture:
    address: str  # a data address, with the picture inside
    alt: str
    width: int
    height: int

    @property
    def aspect(self) -> float:
        return self.width / self.height


@dataclass(frozen=True)
class Player:
    kind: str  # audio or video
    address: str  # a data address, with the sound or film inside
    label: str


def data_address(kind: str, data: str) -> str:
    """An address that holds its file, given in base64."""
    return f"data:{kind};base64,{data}"


def sections(text: str) -> list[tuple[str, str]]:
    """Markdown -> (heading, what follows it); before the first heading the heading is ""."""
    pieces = HEADING.split(text)
    found = zip(["", *pieces[1::2]], pieces[::2])
    return [(heading, body.strip()) for heading, body in found if heading or body.strip()]


def unfolded(text: str) -> str:
    """Markdown for the notes: folded parts opened, but for solutions."""
    kept = FOLDED_SOLUTION.sub("", text)
    return re.sub(r"</?(details|summary)>", "\n\n", kept).strip()


def tags(cell) -> set[str]:
    return {"slide", "slide-output"} & set(cell.metadata.get("tags", []))


def printed(cell) -> str:
    return "".join(output.get("text", "") for output in cell.get("outputs", [])).strip()


def shows_widget(cell) -> bool:
    """Whether a picture of the cell stands in the place of a live widget."""
    texts = [output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", [])]
    return any(text.startswith("Widget") for text in texts)


def pictures(cell) -> list[Picture]:
    """Each picture that a cell shows."""
    found = []
    for output in cell.get("outputs", []):
        for kind in ("image/png", "image/jpeg"):
            if kind in output.get("data", {}):
                data = output.data[kind].replace("\n", "")
                width, height = Image.open(io.BytesIO(base64.b64decode(data))).size
                alt = output.metadata.get(kind, {}).get("alt", "")
                found.append(Picture(data_address(kind, data), alt, width, height))
    return found


def players(cell, folder: Path) -> list[Player]:
    """The players of a cell whose files lie in this repository."""
    found = []
    for output in cell.get("outputs", []):
        markup = output.get("data", {}).get("text/html", "")
        for kind, source, label in PLAYER.findall(markup):
            path = folder / html.unescape(source)
            # what a notebook writes when it runs is in a folder `out`
            if path.is_file() and "out" not in Path(source).parts:
                data = base64.b64encode(path.read_bytes()).decode()
                address = data_address(KINDS[path.suffix], data)
                found.append(Player(kind, address, html.unescape(label)))
    return found


def seen_after(cells: list, i: int, length: int) -> str:
    """What the text says right after the figure of cell i, at most `length` characters, or ""."""
    for cell in cells[i + 1 :]:
        if cell.cell_type == "code" and (pictures(cell) or tags(cell)):
            return ""  # the text would be another figure's
        if cell.cell_type == "markdown":
            return first_sentences(cell, length)
    return ""


def first_sentences(cell, length: int) -> str:
    """The whole sentences that begin a text without a heading, at most `length` characters."""
    parts = sections(DETAILS.sub("", cell.source).strip())
    if not parts:
        return ""
    heading, body = parts[0]
    paragraph = " ".join(body.split("\n\n")[0].split())
    is_slide = tags(cell) and len(parts) == 1
    if heading or is_slide or not re.match(r"[A-Z]|\*\*What you saw", paragraph):
        return ""

    short = SENTENCE.findall(paragraph[:length])
    while short and "".join(short).count("(") != "".join(short).count(")"):
        short.pop()
    words = "".join(short).strip()
    introduces = paragraph.endswith(":") and len(paragraph) <= length
    only_bold = re.fullmatch(r"\*\*[^*]+\*\*", words)
    return "" if introduces or only_bold else words
