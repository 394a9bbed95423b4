"""What a teacher hands out or keeps, into class/: zips, slides, common errors, links.

    python tools/build_class.py                            # all of it
    python tools/build_class.py --no-solutions             # the students' notebooks without their folded solutions
    python tools/build_class.py --repository owner/name    # links to a public copy of yours

The same tree gives the same bytes: names are sorted, dates fixed, and only files that git tracks
get in.
"""

import argparse
import inspect
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import links
import nbformat
import slides

from dirfa_edu.course.checks import all_checks
from dirfa_edu.files import atomic_path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = "dirfa_edu_course"  # both zips unpack into it, the instructors' over the students'
DATE = (2026, 1, 1, 0, 0, 0)
FOR_STUDENTS = re.compile(
    r"README\.md|LICENSE|CITATION\.cff|Makefile|pyproject\.toml|environment\.yml|"
    r"requirements(-dev)?\.lock|notebooks/[^/]+\.ipynb|docs/[^/]+\.md|dirfa_edu/[^/]+\.py|"
    r"data_samples/.+"
)
FOR_INSTRUCTORS = re.compile(
    r"teaching/[^/]+\.md|tests/exercises/[^/]+\.py|"
    r"notebooks/instructor/[^/]+\.ipynb"
)
# not smaller when packed again
PACKED = {".ogg", ".mp4", ".npz", ".safetensors", ".png", ".jpg", ".tflite", ".gz"}
SOLUTION = re.compile(r"\n*<details><summary>Solution</summary>.*?</details>", re.DOTALL)

# what a sentence of a check is about -> what to ask; the first that fits
QUESTIONS = [
    (
        r"label|belongs? at|taken for real|pulled to",
        "Which score does each network want for a real picture, and which for a generated one? Write the two down, then "
        "read your line again.",
    ),
    (
        r"gradient|detach",
        "Whose weights may this loss move? Follow the gradient from the loss back to each input.",
    ),
    (r"uint8|wraps?", "What is the type of the two pictures, and what is 3 - 5 in that type?"),
    (
        r"pinned?\b|y0|y_1",
        "Write the run of the example on paper, one line per frame. Where does each line get its input from?",
    ),
    (
        r"running total|\bu\b",
        "Lay the likelihoods end to end on a line from 0 to 1. Where does u = 0.62 fall?",
    ),
    (
        r"covariance|spreads|means? (was|were)? ?left in|variance|agree",
        "Add 10 to one track, then multiply it by 20. What should happen to the agreement, and what happens to yours?",
    ),
    (
        r"nats|log2|log10|logarithm|surprise|entropy|came true",
        "One frame, two bins, the true one with likelihood 1/4: how many bits is that? What does your line say?",
    ),
    (
        r"sqrt|scaling|scaled|divided by N_k",
        "What is divided by the root of N_k, and what is added when? Put brackets.",
    ),
    (
        r"line between|failed frames|success|resampl|laid on|other frames|read as 25",
        "Draw the times on a line: where do you have values, where do you want them?",
    ),
    (
        r"edge|half a bin|width|centroid above|centroid below",
        "Draw the first bin. Where does it begin, where is its middle, how wide is it?",
    ),
    (
        r"never visited|counts:|each row|rows and columns|columns sum",
        "What should each row sum to, and which row is which?",
    ),
    (
        r"layer|band",
        "Draw one band under the other, each ending where the last began. How much does one more add?",
    ),
    (
        r"start token|shift|moved|roll|row t",
        "Which frame stands in row 0, which in row 1? Where has the last frame gone?",
    ),
    (
        r"softmax|probab|-inf|cut off|cut with|future|hidden|hide|shows",
        "Print one row. Which entries must be exactly 0 in the end, and what must their sum be?",
    ),
    (
        r"too (many|large|late|early)|late|one (more|less)|round|starts? with|looks back|centred|let in|partly|multiply"
        r"|counts? from|nearest|last one|first one",
        "Take the smallest case that you can do by hand. What are its first and its last value, and what does your "
        "function give there?",
    ),
    (
        r"transposed|exchanged|comes? back|goes over|per (centroid|head|value)|shape|y_bar is",
        "Which shape should come back, and what does each axis count? Try sizes that all differ.",
    ),
    (
        r"column|pose|translation|rotation|first frame|median",
        "Which columns may change and which may not? Compare output and input, column by column, on a clip in which "
        "somebody looks aside once.",
    ),
    (
        r"negative|sign|upside down|reverse|favoured|other way|is added|farthest|largest|smallest",
        "Make one input a little larger. Should the result grow or shrink? What does yours do?",
    ),
    (
        r"samples|mel frames|seconds?|radian|degree|millimet|unit",
        "In which unit is each number, before your line and after it?",
    ),
]
OTHERWISE = "Write the formula under your line of code and tick off each symbol. Which one is missing, which is extra?"


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


def slide_pages(repo: str, folder: Path | None = None) -> dict[str, str]:
    """Name -> HTML of the slides of each chapter, from the executed notebooks in `folder`."""
    folder, titles = folder or ROOT / "notebooks", chapters()
    names = list(titles)
    pages = {}
    for name, after in zip(names, [*names[1:], None]):
        made = slides.slides_of(nbformat.read(folder / f"{name}.ipynb", 4), ROOT / "notebooks")
        if made:
            last = links.last_slide(name, (after, titles[after]) if after else None, repo)
            pages[f"{name}.html"] = slides.page(made, last)
    return pages


def sentences_of(check) -> list[str]:
    """All that a check can say against an answer: its bank, then what it says beside the bank."""
    beside = re.findall(r'return "not right: ([^"{]+)"', inspect.getsource(check.verdict))
    return list(dict.fromkeys([*check.mistakes(), *beside]))


def question(sentence: str) -> str:
    """What to ask a student whose answer earned this sentence."""
    return next((ask for pattern, ask in QUESTIONS if re.search(pattern, sentence)), OTHERWISE)


def common_errors() -> str:
    """common_errors.md: per chapter and exercise the task, and per question to ask the sentences
    that call for it."""
    lines = [
        "# Common errors, exercise by exercise",
        "",
        "The checks of the course know these wrong answers and name them. In bold is what you may ask a student; "
        "below it, what the check has told them. Ask before you explain.",
        "",
        "Before all of these: *What goes in, what comes out, in which shapes? Do one small case by hand.*",
    ]
    titles, chapter = chapters(), ""
    for name, check in all_checks().items():
        if check.chapter != chapter:
            chapter = check.chapter
            lines += ["", f"## {titles.get(chapter, chapter)}"]
        asked: dict[str, list[str]] = {}
        for sentence in sentences_of(check):
            asked.setdefault(question(sentence), []).append(sentence)
        lines += ["", f"### `{name}`", "", " ".join(inspect.getdoc(check).split("\n\n")[0].split())]
        for ask, sentences in asked.items():
            lines += ["", f"**{ask}**", "", *(f"* {sentence}" for sentence in sentences)]
    return "\n".join(lines) + "\n"


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
        clone = (
            ""
            if isinstance(error, ValueError)
            else "make class needs git and a clone of the course: "
        )
        print(f"{clone}{error}", file=sys.stderr)
        return 1
    out, pages, errors, web = (
        chosen.out,
        slide_pages(repo),
        common_errors(),
        links.markdown(chapters(), repo),
    )
    for name, text in {
        **{f"slides/{name}": text for name, text in pages.items()},
        "common_errors.md": errors,
        "links.md": web,
    }.items():
        with atomic_path(out / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    student = (
        "dirfa_edu_student_no_solutions.zip" if chosen.no_solutions else "dirfa_edu_student.zip"
    )
    write_zip(out / student, student_files(not chosen.no_solutions, listed))
    write_zip(out / "dirfa_edu_instructor.zip", instructor_files(pages, errors, web, listed))
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        print(f"{path.relative_to(out)}: {path.stat().st_size / 1e6:.1f} MB")
    if not pages:
        print("no slides: the notebooks carry no tags yet, run make notebooks first")
    return 0


if __name__ == "__main__":
    sys.exit(main())
