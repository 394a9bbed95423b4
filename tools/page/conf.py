"""Sphinx's settings for the course's page.

No notebook runs, nothing is loaded from the network, formulas are MathML, the package's pages come
from its docstrings.
"""

import os
import sys
from pathlib import Path

from docutils.nodes import SkipNode

TOOLS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TOOLS), str(TOOLS.parent)]  # this tree's package, not another installed one
os.environ["NUMBA_DISABLE_JIT"] = "1"  # compiled functions keep their signature and docstring
import site_api  # noqa: E402
from formulas import mathml  # noqa: E402
from sphinx.ext import autosummary  # noqa: E402

project = html_title = "dirfa_edu"
author = "The dirfa_edu authors"
copyright = "the dirfa_edu authors; code MIT, text, pictures and data CC BY 4.0"
language = "en"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
]
smartquotes = False
exclude_patterns = []

nb_execution_mode = "off"
nb_ipywidgets_js = {}  # the live widgets need a kernel: flip-books stand in their place
nb_render_markdown_format = "myst"
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_dmath_double_inline = True
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
autodoc_preserve_defaults = True
# a summary does not end with these
autosummary.WELL_KNOWN_ABBREVIATIONS += ("Eq.", "Fig.")
python_use_unqualified_type_names = True
add_module_names = False

html_theme = "sphinx_book_theme"
templates_path = [str(TOOLS / "page" / "templates")]  # autosummary would look beside the sources
html_static_path = ["static"]
html_favicon = "static/favicon.svg"
html_css_files = ["course.css"]
html_js_files = ["course.js"]
html_math_renderer = "mathml"
html_show_sourcelink = html_copy_source = html_show_sphinx = False
html_use_index = html_domain_indices = False
html_context = {"default_mode": "light"}  # the figures are drawn on white
html_theme_options = {
    "back_to_top_button": False,  # its colours are too close to each other, and Home does the same
    "use_download_button": False,
    "use_fullscreen_button": False,
    "home_page_in_toc": True,
    "show_navbar_depth": 1,
    "search_bar_text": "Search the course",
    "toc_title": "On this page",
    "navbar_persistent": [],  # one search button, in the side bar
}


def inline(translator, node):
    translator.body.append(mathml(node.astext(), False))
    raise SkipNode


def display(translator, node):
    # a formula wider than a telephone is scrolled, by keyboard too
    translator.body.append(
        f'<div class="formula" tabindex="0" role="group" aria-label="formula">'
        f"{mathml(node.astext(), True)}</div>\n"
    )
    raise SkipNode


def docstring(app, what, name, thing, options, lines):
    lines[:] = site_api.docstring(name, "\n".join(lines)).splitlines()


def setup(app):
    app.add_html_math_renderer("mathml", (inline, None), (display, None))
    app.connect("autodoc-process-docstring", docstring)
    return {"parallel_read_safe": True}
