"""The chapters as one book: notation, glossary, exercises, one clip, one colour for each symbol."""

import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest
import torch

import dirfa_edu
from dirfa_edu import plots
from dirfa_edu.course import checks
from dirfa_edu.data.corpus import CHAPTER_CLIP, Corpus

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {
    path.stem: path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "notebooks/src").glob("0*.py"))
}
ABBREVIATION = re.compile(r"\b[A-Z]{2,}[A-Z0-9]*s?\b")
KNOWN = {  # every reader's, or a name and no term
    "README",
    "MINUTES",
    "FOLDER",
    "CSV",
    "FFT",
    "MSE",
    "DIRFA",
    "LRW",
    "EVP",
    "ATVG",
    "PC",
    "AVS",
    "AE",
}


def cells(name, kind):
    return [
        cell.source
        for cell in jupytext.reads(SOURCES[name], fmt="py:percent").cells
        if cell.cell_type == kind
    ]


def table(page):
    """Rows of the table of docs/<page>.md."""
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def chapter(number):
    return next(text for name, text in SOURCES.items() if name.startswith(number))


def find(dotted):
    """The object that a dotted name below dirfa_edu names; rooms in folders are imported."""
    return pkgutil.resolve_name(f"dirfa_edu.{dotted}")


@pytest.mark.parametrize("name", SOURCES)
def test_a_chapter_has_its_three_exercises_each_with_its_check_hints_and_solution(name):
    code, text = "\n".join(cells(name, "code")), "\n".join(cells(name, "markdown"))
    mine = [each for each, check in checks.all_checks().items() if check.chapter == name]
    assert len(mine) >= 3
    for each in mine:
        assert len(re.findall(rf"^def {each}\(", code, re.MULTILINE)) == 1, (
            "one definition: grading takes the last"
        )
        assert code.count(f"checks.{each}({each})") == 1
        cell = next(cell for cell in cells(name, "code") if f"checks.{each}({each})" in cell)
        assert "# BEGIN SOLUTION" in cell and f"def {each}(" in cell
    assert re.findall(r"^checks\.(\w+)\(", code, re.MULTILINE) == mine, (
        "in the order of their numbers"
    )
    numbers = [int(number) for number in re.findall(r"^#+ Exercise (\d)", text, re.MULTILINE)]
    assert numbers == list(range(1, len(mine) + 1))
    assert text.count("{{SOLUTION}}") == len(mine)
    assert (
        text.count("<summary>Hint 1</summary>")
        == text.count("<summary>Hint 2</summary>")
        == len(mine)
    )
    opening = cells(name, "markdown")[0]
    told = {
        int(n)
        for part in re.findall(r"Exercises? ([\d, and]+)", opening)
        for n in re.findall(r"\d", part)
    }
    assert told == set(numbers), "each objective is tied to an exercise"


@pytest.mark.parametrize("name", SOURCES)
def test_predictions_are_numbered_and_asked_before_they_are_answered(name):
    text = "\n".join(cells(name, "markdown"))
    asked = [int(n) for n in re.findall(r"\*\*Predict (\d)\.?\*\*", text)]
    assert asked == list(range(1, len(asked) + 1)), asked
    for n in re.findall(r"<summary>Answer to Predict (\d)", text):
        assert text.index(f"**Predict {n}.") < text.index(f"Answer to Predict {n}")


@pytest.mark.parametrize("name", SOURCES)
def test_a_chapter_follows_frame_17_of_the_one_clip(name):
    code, text = "\n".join(cells(name, "code")), "\n".join(cells(name, "markdown"))
    assert "CHAPTER_CLIP" in code and re.search(r"FRAME\b.*17", code)
    assert "rame 17" in text + code


@pytest.mark.parametrize("name", SOURCES)
def test_a_chapter_has_an_explorer_that_also_prints_flips_and_is_swept(name):
    assert re.search(
        r"^explorers\.\w+_explorer\(\)\.show\(", "\n".join(cells(name, "code")), re.MULTILINE
    )


def test_ruff_and_codespell_find_nothing_in_chapters_code_and_pages():
    for command in (
        ["ruff", "check", "-q", "."],
        [
            "codespell_lib",
            "dirfa_edu",
            "tests",
            "tools",
            "notebooks/src",
            "docs",
            "teaching",
            "README.md",
        ],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_clip_is_what_the_course_says_of_it():
    clip = Corpus()[CHAPTER_CLIP]
    said = {name: (start, end) for name, start, end in clip.phones() if start < 0.85}
    start, end = said["AE"] if "AE" in said else (0, 0)
    at = [name for name, a, b in clip.phones() if a <= 17.5 / 25 < b]
    assert at == ["AE"] and 4.5 < clip.seconds < 5.5
    near = [name for name, a, b in clip.phones() if b > start - 0.15 and a < end + 0.15]
    assert {"M", "P"} <= set(near)


def test_each_row_of_the_notation_is_true():
    colours = {}
    clip = Corpus()[CHAPTER_CLIP]
    mapper = dirfa_edu.load_pretrained("mapper")
    G = dirfa_edu.load_pretrained("generator")
    config, T = mapper.config, len(clip.features())
    D, H = config.bins, config.heads
    here = {
        "(T, 400)": clip.features().shape == (T, 400),
        "(T, 23)": clip.animation().shape == (T, 23),
        "(23, D)": mapper.discretizer.centroids.shape == (23, D),
        "(H, T, T)": mapper.mask(T).shape == (H, T, T),
        "(H,)": dirfa_edu.masks.alibi_slopes(H).shape == (H,),
        "(23,)": clip.animation()[0].shape == (23,),
        "(3, S, S)": G(torch.zeros(1, 3, 128, 128), torch.zeros(1, 23)).shape[1:] == (3, 128, 128),
        "500": D == 500,
        "50": config.tau == 50,
        "20": config.d_model // H == 20,
        "8": H == 8,
        "4": config.layers == 4,
        "": True,
        "by group": True,
    }
    for symbol, code, _, shape, _, colour, number in table("notation"):
        assert here[shape.strip("`")], (symbol, shape)
        for name in re.findall(r"`([\w]+)`", code):
            assert re.search(rf"\b{name}\b", chapter(number)), (symbol, name, number)
        if colour:
            word, key = re.fullmatch(r"([\w ]+) `(\w+)`", colour).groups()
            colours[key] = word
    source = (ROOT / "dirfa_edu" / "plots.py").read_text()
    assert set(colours) == set(plots.COLOURS), "each colour has its symbol, each symbol its colour"
    for key, word in colours.items():
        line = next(
            line
            for line in source.splitlines()
            if line.strip().startswith(f'"{key}": "{plots.COLOURS[key]}"')
        )
        assert line.endswith(word), (key, word)


def test_the_tour_shows_the_notation_in_short():
    rows = re.findall(r"^\| (\$.+?) \|", "\n".join(cells("00_tour", "markdown")), re.MULTILINE)
    full = " ".join(" ".join(row[:2]) for row in table("notation"))
    assert len(rows) >= 10
    for row in rows:
        for symbol in re.findall(r"\$([^$]+)\$", row):
            assert f"${symbol}$" in full, symbol


def test_the_glossary_is_in_order_taught_and_coded():
    rows = table("glossary")
    names = [term.strip("*") for term, *_ in rows]
    assert len(names) >= 40 and names == sorted(names, key=str.lower)
    for name, (_, words, number, code) in zip(names, rows):
        assert len(words) > 15 and not words.endswith(".")
        taught = re.sub(r"\W+", " ", chapter(number).replace("\n#", " ")).lower()
        stems = [
            re.sub(r"\W+", " ", part).strip().lower().rstrip("s")
            for part in re.split(r"[,(]", name.strip(")"))
        ]
        assert all(stem in taught for stem in stems), (name, number, stems)
        if code:
            find(code.strip("`"))


@pytest.mark.parametrize("name", SOURCES)
def test_no_abbreviation_is_left_unexplained(name):
    # of formulas, code and links
    outside = r"\$\$.*?\$\$|`[^`]*`|\$[^$]*\$|\]\([^)]*\)|\{\{\w+\}\}"
    text = re.sub(outside, " ", "\n".join(cells(name, "markdown")), flags=re.DOTALL)
    terms = (
        " ".join(term for term, *_ in table("glossary"))
        + (ROOT / "docs" / "notation.md").read_text()
    )
    unknown = {word for word in ABBREVIATION.findall(text) if not re.match(r"AU\d", word)} - KNOWN
    assert not [word for word in unknown if word.rstrip("s") not in terms], unknown


def test_colours_are_told_apart_by_those_who_do_not_see_red_or_green():
    """Simulated in linear RGB for complete protanopia and deuteranopia.

    The matrices are those of Machado et al. (2009).
    """
    matrices = {
        "protanopia": [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        "deuteranopia": [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
    }
    names = [name for name in plots.COLOURS if name != "I_src"]
    rgb = (
        torch.tensor(
            [[int(plots.COLOURS[name][i : i + 2], 16) / 255 for i in (1, 3, 5)] for name in names]
        )
        ** 2.2
    )
    for seen in (rgb, *(rgb @ torch.tensor(matrix).T for matrix in matrices.values())):
        shown = seen.clamp(0, 1) ** (1 / 2.2)
        apart = torch.cdist(shown, shown) + torch.eye(len(names))
        i, j = divmod(int(apart.argmin()), len(names))
        assert apart.min() > 0.1, (names[i], names[j], float(apart.min()))
