"""Where the course opens on the web: Colab and Binder addresses, from one place.

The address of the repository is, in this order: `make class REPOSITORY=owner/name`; `Repository`
under [project.urls] in pyproject.toml; `repository-code` in CITATION.cff; the placeholder below.
"""

import re
import tomllib
from pathlib import Path
from urllib.parse import quote

from jinja2 import StrictUndefined, Template

ROOT = Path(__file__).resolve().parents[1]
PLACEHOLDER = "OWNER/dirfa_edu"
BRANCH = "main"
CITED = re.compile(r"^repository-code: *[\"']?([^\"'\s]+)", re.MULTILINE)
ON_GITHUB = re.compile(r"(?:https://github\.com/|git@github\.com:)?([\w.-]+/[\w.-]+?)(?:\.git)?/?")
# a hosted notebook brings its own
SITE = {"ipython", "ipykernel", "ipywidgets", "jupyterlab", "nbval"}
COLAB_BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
BINDER_BADGE = "https://mybinder.org/badge_logo.svg"
PAGE = Path(__file__).with_name("links.md")
SNIPPET = """# On Colab: paste this as the first cell, run it, then run the notebook from its top.
import os
import subprocess
import sys

if not os.path.isdir("/content/{name}"):
    source = "https://github.com/{repository}"
    subprocess.run(["git", "clone", "--depth", "1", source, "/content/{name}"], check=True)
needed = {needed}
pip = [sys.executable, "-m", "pip", "install", "-q"]
subprocess.run([*pip, *needed], check=True)
subprocess.run([*pip, "--no-deps", "/content/{name}"], check=True)
os.environ["DIRFA_EDU_DATA"] = "/content/{name}/data_samples"
os.chdir("/content/{name}/notebooks")
"""


def repository(given: str = "", root: Path = ROOT) -> str:
    """The repository as owner/name. Raises ValueError for an address that is not one on GitHub."""
    named = project(root).get("urls", {}).get("Repository")
    cited = CITED.search((root / "CITATION.cff").read_text(encoding="utf-8"))
    address = given or named or (cited and cited[1]) or PLACEHOLDER
    found = ON_GITHUB.fullmatch(address)
    if not found:
        raise ValueError(
            f"{address} is no repository that Colab can open: give owner/name of one on GitHub"
        )
    return found[1]


def project(root: Path = ROOT) -> dict:
    """The table [project] of pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def colab(chapter: str, repo: str) -> str:
    return (
        f"https://colab.research.google.com/github/{repo}/blob/{BRANCH}/notebooks/{chapter}.ipynb"
    )


def binder(chapter: str, repo: str) -> str:
    path = quote(f"lab/tree/notebooks/{chapter}.ipynb", safe="")
    return f"https://mybinder.org/v2/gh/{repo}/{BRANCH}?urlpath={path}"


def addresses(chapter: str, repo: str) -> tuple[str, str]:
    """Where a chapter opens on Colab and on Binder; "" while the repository is not known."""
    if repo == PLACEHOLDER:
        return "", ""
    return colab(chapter, repo), binder(chapter, repo)


def snippet(repo: str) -> str:
    """The first cell to paste on Colab: what the course may lack there, the package, the folder."""
    course = project().get("optional-dependencies", {}).get("course", [])
    lines = [*project()["dependencies"], *course]
    needed = [line for line in lines if re.split(r"[<>=~! \[]", line)[0] not in SITE]
    rows = ", ".join(f'"{line}"' for line in needed)
    rows = re.sub(r"(.{60,95},) ", r"\1\n          ", rows)
    return SNIPPET.format(name=repo.split("/")[1], repository=repo, needed=f"[{rows}]")


def markdown(chapters: dict[str, str], repo: str) -> str:
    """links.md: the badges of all chapters (file name -> title), and the snippet."""
    rows = [
        {
            "title": title,
            "number": name[:2],
            "colab": colab(name, repo),
            "binder": binder(name, repo),
        }
        for name, title in chapters.items()
    ]
    # Markdown: nothing to escape
    page = Template(PAGE.read_text(encoding="utf-8"), undefined=StrictUndefined, trim_blocks=True)
    return (
        page.render(
            chapters=rows,
            placeholder=PLACEHOLDER if repo == PLACEHOLDER else "",
            colab_badge=COLAB_BADGE,
            binder_badge=BINDER_BADGE,
            snippet=snippet(repo).rstrip(),
        )
        + "\n"
    )
