"""What a teacher hands out or keeps, into class/: zips, slides, common errors, links.

    python tools/build_class.py                            # all of it
    python tools/build_class.py --no-solutions             # students get no folded solutions
    python tools/build_class.py --repository owner/name    # links to a public copy of yours

The same tree gives the same bytes: names are sorted, dates fixed, and only files that git tracks
get in.
"""

import argparse
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import links
import nbformat
import slides
from common_errors import common_errors

from dirfa_edu.files import atomic_path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = "dirfa_edu_course"  # both zips unpack into it, the instructors' over the students'
DATE = (2026, 1, 1, 0, 0, 0)
FOR_STUDENTS = re.compile(
    r"README\.md|LICENSE|CITATION\.cff|Makefile|pyproject\.toml|environment\.yml|"
    r"requirements(-dev)?\.lock|notebooks/[^/]+\.ipynb|docs/[^/]+\.md|"
    r"dirfa_edu/([^/]+/)*[^/]+\.(py|html)|data_samples/.+"
)
FOR_INSTRUCTORS = re.compile(
    r"teaching/[^/]+\.md|tests/exercises/[^/]+\.py|"
    r"notebooks/instructor/[^/]+\.ipynb"
)
# not smaller when packed again
PACKED = {".ogg", ".mp4", ".npz", ".safetensors", ".png", ".jpg", ".tflite", ".gz"}
SOLUTION = re.compile(r"\n*<details><summary>Solution</summary>.*?</details>", re.DOTALL)


def tracked() -> list[str]:
    """The files that git tracks, as paths below the root."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout
    return sorted(name for name in listed.split("\0") if (ROOT / name).is_file())


def student_files(solutions: bool = True, names: list[str] | None = None) -> dict[str, bytes]:
    """Name -> bytes of all that a student needs for `make lab`, and nothing else."""
    wanted = [
        name for name in (tracked() if names is None else names) if FOR_STUDENTS.fullmatch(name)
    ]
    files = {name: (ROOT / name).read_bytes() for name in wanted}
    files["README.md"] = without_dead_links(files["README.md"].decode(), wanted).encode()
    if not solutions:
        for name in wanted:
            if name.endswith(".ipynb"):
                files[name] = without_solutions(files[name].decode()).encode()
    return files


def without_dead_links(text: str, names: list[str]) -> str:
    """Markdown whose links to files that are not among `names` are plain text."""

    def keep(match: re.Match) -> str:
        there = match[2].startswith("http") or any(
            f"{name}/".startswith(match[2].rstrip("/") + "/") for name in names
        )
        return match[0] if there else match[1]

    return re.sub(r"(?<!!)\[([^\]]+)\]\(([^)#]+)\)", keep, text)


def without_solutions(text: str) -> str:
    """The text of a notebook file less its folded solutions."""
    notebook = nbformat.reads(text, 4)
    for cell in notebook.cells:
        cell.source = SOLUTION.sub("", cell.source)
    return nbformat.writes(notebook) + "\n"


def chapters() -> dict[str, str]:
    """File name -> title of each chapter."""
    return {
        path.stem: nbformat.read(path, 4).cells[0].source.splitlines()[0].lstrip("# ")
        for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    }


def slide_pages(repo: str) -> dict[str, str]:
    """Name -> HTML of the slides of each chapter, from the executed notebooks."""
    notebooks = ROOT / "notebooks"
    titles = chapters()
    following = [*list(titles.values())[1:], ""]
    pages = {}
    for name, after in zip(titles, following):
        notebook = nbformat.read(notebooks / f"{name}.ipynb", 4)
        made = slides.slides_of(notebook, notebooks)
        if made:
            last = slides.last_part(name, links.addresses(name, repo), after)
            pages[f"{name}.html"] = slides.page(made, last)
    return pages


def instructor_files(
    pages: dict[str, str], errors: str, web: str, names: list[str] | None = None
) -> dict[str, bytes]:
    """Name -> bytes of what only the teacher gets."""
    listed = tracked() if names is None else names
    files = {name: (ROOT / name).read_bytes() for name in listed if FOR_INSTRUCTORS.fullmatch(name)}
    files |= {f"slides/{name}": text.encode() for name, text in pages.items()}
    return files | {"teaching/common_errors.md": errors.encode(), "teaching/links.md": web.encode()}


def write_zip(target: Path, files: dict[str, bytes]) -> None:
    """Write the files, sorted and dated alike, so that the same files give the same bytes."""
    with atomic_path(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(f"{FOLDER}/{name}", DATE)
            entry.compress_type = (
                zipfile.ZIP_STORED if Path(name).suffix in PACKED else zipfile.ZIP_DEFLATED
            )
            entry.external_attr, entry.create_system = 0o100644 << 16, 3
            archive.writestr(entry, files[name], compresslevel=6)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--out", type=Path, default=ROOT / "class", help="folder to write to")
    options.add_argument("--repository", default="", help="owner/name on GitHub, for the links")
    options.add_argument(
        "--no-solutions", action="store_true", help="take the folded solutions out"
    )
    chosen = options.parse_args()
    try:
        repo = links.repository(chosen.repository)
        listed = tracked()
    except (ValueError, OSError, subprocess.CalledProcessError) as error:
        needed = "make class needs git and a clone of the course: "
        print(f"{'' if isinstance(error, ValueError) else needed}{error}", file=sys.stderr)
        return 1

    out = chosen.out
    pages = slide_pages(repo)
    errors = common_errors(chapters())
    web = links.markdown(chapters(), repo)
    texts = {f"slides/{name}": text for name, text in pages.items()}
    texts |= {"common_errors.md": errors, "links.md": web}
    for name, text in texts.items():
        with atomic_path(out / name) as temporary:
            temporary.write_text(text, encoding="utf-8")

    without = "_no_solutions" if chosen.no_solutions else ""
    student = student_files(not chosen.no_solutions, listed)
    write_zip(out / f"dirfa_edu_student{without}.zip", student)
    write_zip(out / "dirfa_edu_instructor.zip", instructor_files(pages, errors, web, listed))

    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        print(f"{path.relative_to(out)}: {path.stat().st_size / 1e6:.1f} MB")
    if not pages:
        print("no slides: the notebooks carry no tags yet, run make notebooks first")
    return 0


if __name__ == "__main__":
    sys.exit(main())
