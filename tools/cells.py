"""What the cells of an executed notebook hold: headings, pictures, players, printed lines. Used by
slides.py."""

import base64
import html
import io
import re
from pathlib import Path

from PIL import Image

DETAILS = re.compile(r"<details>.*?</details>", re.DOTALL)
HEADING = re.compile(r"^#{1,4} +(.+)$", re.MULTILINE)
FILES = {".ogg": "audio/ogg", ".mp4": "video/mp4", ".wav": "audio/wav"}


def sections(text: str) -> list[tuple[str, str]]:
    """Markdown -> (heading, what follows it); what stands before the first heading has the heading
    ""."""
    pieces = HEADING.split(text)
    found = zip(["", *pieces[1::2]], pieces[::2])
    return [(heading, body.strip()) for heading, body in found if heading or body.strip()]


def unfolded(text: str) -> str:
    """Markdown for the notes: folded parts opened, but for solutions."""
    return re.sub(
        r"</?(details|summary)>",
        "\n\n",
        re.sub(r"<details><summary>Solution.*?</details>", "", text, flags=re.DOTALL),
    ).strip()


def tags(cell) -> set[str]:
    return {"slide", "slide-output"} & set(cell.metadata.get("tags", []))


def printed(cell) -> str:
    return "".join(output.get("text", "") for output in cell.get("outputs", [])).strip()


def pictures(cell) -> list[tuple[str, str, tuple[int, int]]]:
    """(data address, alt text, size in pixels) of each picture that a cell shows."""
    found = []
    for output in cell.get("outputs", []):
        for kind in ("image/png", "image/jpeg"):
            if kind in output.get("data", {}):
                data = output.data[kind].replace("\n", "")
                size = Image.open(io.BytesIO(base64.b64decode(data))).size
                found.append(
                    (
                        f"data:{kind};base64,{data}",
                        output.metadata.get(kind, {}).get("alt", ""),
                        size,
                    )
                )
    return found


def players(cell, folder: Path) -> list[str]:
    """The players of a cell whose files lie in this repository, with the file inside."""
    found = []
    for output in cell.get("outputs", []):
        for kind, source, label in re.findall(
            r'<(audio|video) controls src="([^"]+)" aria-label="([^"]*)"',
            output.get("data", {}).get("text/html", ""),
        ):
            path = folder / html.unescape(source)
            if path.is_file() and "out" not in Path(source).parts:
                data = base64.b64encode(path.read_bytes()).decode()
                found.append(
                    f'<p class="player"><{kind} controls aria-label="{label}" src="data:{FILES[path.suffix]};'
                    f'base64,{data}"></{kind}><br>{label}</p>'
                )
    return found


def seen_after(cells: list, i: int, length: int) -> str:
    """What the text says right after the figure of cell i: whole sentences of its first paragraph,
    or ""."""
    for cell in cells[i + 1 :]:
        if cell.cell_type == "code" and (pictures(cell) or tags(cell)):
            return ""
        if cell.cell_type == "markdown":
            parts = sections(DETAILS.sub("", cell.source).strip()) or [("x", "")]
            paragraph = " ".join(parts[0][1].split("\n\n")[0].split())
            if (
                parts[0][0]
                or (tags(cell) and len(parts) == 1)
                or not re.match(r"[A-Z]|\*\*What you saw", paragraph)
            ):
                return ""
            short = re.findall(r".+?[.!?](?:\*\*)?(?:\s+|$)", paragraph[:length])
            while short and "".join(short).count("(") != "".join(short).count(")"):
                short.pop()
            words = "".join(short).strip()
            introduces = paragraph.endswith(":") and len(paragraph) <= length
            return "" if introduces or re.fullmatch(r"\*\*[^*]+\*\*", words) else words
    return ""
