"""Where the course opens on the web: Colab and Binder addresses, from one place. Used by
build_class.py.

The address of the repository is, in this order: `make class REPOSITORY=owner/name`; `Repository`
under [project.urls] in pyproject.toml; `repository-code` in CITATION.cff; the placeholder below.
"""

import re
import tomllib
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[1]
PLACEHOLDER = "OWNER/dirfa_edu"
BRANCH = "main"
# a hosted notebook brings its own
SITE = {"ipython", "ipykernel", "ipywidgets", "jupyterlab", "nbval"}
UNTRIED = (
    "These addresses are made from the repository's name. Nobody has tried them: neither Colab nor Binder was "
    "within reach where the course was built. Try them once before class."
)
BADGES = (
    "https://colab.research.google.com/assets/colab-badge.svg",
    "https://mybinder.org/badge_logo.svg",
)
SNIPPET = """# On Colab: paste this as the first cell and run it; then run the notebook from its top.
import os
import subprocess
import sys

if not os.path.isdir("/content/{name}"):
    subprocess.run(["git", "clone", "--depth", "1", "https://github.com/{repository}", "/content/{name}"], check=True)
needed = {needed}
subprocess.run([sys.executable, "-m", "pip", "install", "-q", *needed], check=True)
subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "/content/{name}"], check=True)
os.environ["DIRFA_EDU_DATA"] = "/content/{name}/data_samples"
os.chdir("/content/{name}/notebooks")
"""


def repository(given: str = "", root: Path = ROOT) -> str:
    """The repository as owner/name. Raises ValueError for an address that is not one on GitHub."""
    urls = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"].get(
        "urls", {}
    )
    cited = re.search(
        r"^repository-code: *[\"']?([^\"'\s]+)",
        (root / "CITATION.cff").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    address = given or urls.get("Repository") or (cited and cited[1]) or PLACEHOLDER
    found = re.fullmatch(
        r"(?:https://github\.com/|git@github\.com:)?([\w.-]+/[\w.-]+?)(?:\.git)?/?", address
    )
    if not found:
        raise ValueError(
            f"{address} is no repository that Colab can open: give owner/name of one on GitHub"
        )
    return found[1]


def colab(chapter: str, repo: str) -> str:
    return (
        f"https://colab.research.google.com/github/{repo}/blob/{BRANCH}/notebooks/{chapter}.ipynb"
    )


def binder(chapter: str, repo: str) -> str:
    path = quote(f"lab/tree/notebooks/{chapter}.ipynb", safe="")
    return f"https://mybinder.org/v2/gh/{repo}/{BRANCH}?urlpath={path}"


def snippet(repo: str) -> str:
    """The first cell to paste on Colab: what the course needs and Colab may lack, the package, the
    folder."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [
        line for line in project["dependencies"] if re.split(r"[<>=~! \[]", line)[0] not in SITE
    ]
    rows = ", ".join(f'"{line}"' for line in needed)
    rows = re.sub(r"(.{60,95},) ", r"\1\n          ", rows)
    return SNIPPET.format(name=repo.split("/")[1], repository=repo, needed=f"[{rows}]")


def markdown(chapters: dict[str, str], repo: str) -> str:
    """links.md: the badges of all chapters (file name -> title), and the snippet."""
    lines = ["# Open the course on the web", "", UNTRIED, ""]
    if repo == PLACEHOLDER:
        lines += [
            f"**`{PLACEHOLDER}` is a placeholder.** Put the course into a public repository of yours and run "
            "`make class REPOSITORY=owner/name` again.",
            "",
        ]
    lines += ["| chapter | Colab | Binder |", "|---|---|---|"]
    for name, title in chapters.items():
        badges = (
            f"[![Open chapter {name[:2]} in {site}]({badge})]({address(name, repo)})"
            for site, badge, address in zip(("Colab", "Binder"), BADGES, (colab, binder))
        )
        lines.append(" | ".join([f"| {title}", *badges]) + " |")
    lines += [
        "",
        "Binder builds its environment from the folder `.binder`, which takes some minutes the first time; "
        "then all chapters are there.",
        "",
        "Colab opens one notebook and nothing else: paste this cell in front of it.",
        "",
        "```python",
        snippet(repo).rstrip(),
        "```",
    ]
    return "\n".join(lines) + "\n"


def last_slide(name: str, following: tuple[str, str] | None, repo: str) -> str:
    """HTML of the last slide of a chapter: where to work on it."""
    where = f'<a href="{colab(name, repo)}">Colab</a> or <a href="{binder(name, repo)}">Binder</a>'
    web = (
        f"<p>On the web, untried by us: {where}.</p>"
        if repo != PLACEHOLDER
        else "<p>On the web: ask your lecturer for the address.</p>"
    )
    after = (
        f"<p>Next: {following[1]}</p>"
        if following
        else "<p>That was the last chapter: change something.</p>"
    )
    return (
        f"<p>On your computer: <code>make lab</code>, then <code>notebooks/{name}.ipynb</code>.</p>{web}"
        f"<p>Try the exercises first, then the hints, then ask.</p>{after}"
    )
