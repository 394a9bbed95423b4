"""TeX to MathML, which browsers draw and screen readers read without help.

Why not MathJax: it draws in the reader's browser, from 2 MB of scripts that each slide file would
have to carry.
"""

import re
from xml.sax.saxutils import quoteattr

from latex2mathml.converter import convert


def mathml(tex: str, block: bool) -> str:
    """A formula as MathML, with its TeX as alternative text."""
    # what the converter does not know is mended before and after
    wanted = re.sub(r"\s+", " ", tex.strip())
    # it needs the braces
    spelt = re.sub(r"(\\math(?:cal|bb|bf|rm)) ?([A-Za-z])", r"\1{\2}", wanted)
    # and it sets "log" without a space
    spelt = re.sub(
        r"(\\log(?:_\{[^}]*\}|_\w)?)(?![a-z_]) ?(?=[A-Za-z0-9\\])(?!\\max)", r"\1\\,", spelt
    )
    spelt = re.sub(r"\\text\{ ", r"\\ \\text{", spelt)
    shown = convert(spelt, display="block" if block else "inline")
    shown = re.sub(r"<mo>(∞|&#x0*221E;)</mo>", r"<mi>\1</mi>", shown)
    shown = re.sub(
        r"(<mo>(?:=|&#x0*3D;)</mo>)<mo>(&#x0*2212;|−)</mo>", r'\1<mo form="prefix">\2</mo>', shown
    )
    return shown.replace("<math ", f"<math alttext={quoteattr(wanted)} ", 1)
