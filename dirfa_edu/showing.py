"""How a notebook shows things: figures with alt text, players that point to files. Used as `plots.show`, `plots.play`.

Notebook: 00_tour.
"""

import html
import io
import os
from pathlib import Path


def png(fig, dpi: int = 72) -> bytes:
    """The figure as PNG bytes, the same for the same figure: no dates, a palette of at most 255 colours."""
    from PIL import Image

    fig.savefig(raw := io.BytesIO(), format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    small = io.BytesIO()
    Image.open(raw).convert("RGB").quantize(255, dither=Image.Dither.NONE).save(small, format="png", optimize=True)
    return small.getvalue()


def jpeg(fig, dpi: int = 72) -> bytes:
    """The figure as JPEG bytes: a quarter of the PNG where faces fill it. Film strips are shown so."""
    fig.savefig(raw := io.BytesIO(), format="jpeg", dpi=dpi, facecolor="white", pil_kwargs={"quality": 74})
    return raw.getvalue()


def show(fig, alt: str, dpi: int = 72) -> None:
    """Show a figure with its alt text: the only way a notebook shows one.

    The text travels in the output's metadata (an <img alt> in every exported page), as the plain-text form, and as a
    caption below the picture for readers that know no alt text.
    Raises ValueError without a sentence of at least 20 characters.
    """
    from IPython.display import display

    if len(alt.strip()) < 20:
        raise ValueError("alt text is one sentence that says what the figure shows")
    kind, picture = ("image/jpeg", jpeg(fig, dpi)) if getattr(fig, "photo", False) else ("image/png", png(fig, dpi))
    display({kind: picture, "text/plain": f"Figure: {alt}"}, raw=True, metadata={kind: {"alt": alt}})
    display({"text/markdown": f"*Figure: {alt}*", "text/plain": alt}, raw=True)


def play(path: str | Path, label: str) -> None:
    """A player for a sound or an mp4 file, which is pointed to, not copied into the notebook. Notebook: 00_tour."""
    from IPython.display import display

    kind = "video" if Path(path).suffix == ".mp4" else "audio"
    source = html.escape(Path(os.path.relpath(path)).as_posix(), quote=True)
    name = html.escape(label, quote=True)  # twice: JupyterLab strips aria-label where a notebook is not trusted yet
    tag = f'<{kind} controls src="{source}" aria-label="{name}" title="{name}"></{kind}>'
    words = f"<p>{tag}<br>{html.escape(label)}: {source}</p>"
    display({"text/html": words, "text/plain": f"Player: {label}"}, raw=True)
