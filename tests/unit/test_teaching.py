"""What a teacher gets: zips, slides, common errors, plans, links, notebooks that VS Code opens."""

import ast
import importlib
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import av
import nbformat
import numpy as np
import pytest
import yaml

from dirfa_edu.course import checks
from dirfa_edu.course.checks import judging
from dirfa_edu.video import write_mp4

ROOT = Path(__file__).resolve().parents[2]
TEACHING = ROOT / "teaching"
CHAPTERS = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))
# sections of the paper
PAPER = set(
    "1 2 2.1 2.2 2.3 3 3.1 3.2 3.2.1 3.2.2 3.2.3 3.2.4 3.3 3.3.1 4 4.1 4.2 4.3 4.4 4.5 5".split()
)
# libraries of widgets that a notebook may not need
FOREIGN = {
    "anywidget",
    "bokeh",
    "bqplot",
    "ipycanvas",
    "ipyleaflet",
    "ipympl",
    "ipyvolume",
    "plotly",
    "pythreejs",
}
STORED = {"image/png", "image/jpeg", "text/html", "text/markdown", "text/plain"}


def tool(name):
    """A module of tools/, which is no package."""
    if str(ROOT / "tools") not in sys.path:
        sys.path.insert(0, str(ROOT / "tools"))
    return importlib.import_module(name)


def read(name, folder=ROOT / "notebooks"):
    return nbformat.read(folder / f"{name}.ipynb", 4)


@pytest.fixture(scope="module")
def pages():
    """The slides of all chapters, from the stored notebooks."""
    return tool("build_class").slide_pages("owner/name")


def common_errors():
    return tool("common_errors").common_errors(tool("build_class").chapters())


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    """The student zip."""
    path = tmp_path_factory.mktemp("zip") / "student.zip"
    tool("build_class").write_zip(path, tool("build_class").student_files())
    return path


def inside(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {
            name.removeprefix("dirfa_edu_course/"): archive.read(name)
            for name in archive.namelist()
        }


# ---- zips ----------------------------------------------------------------------------------------


def test_the_student_zip_holds_what_make_lab_needs_and_nothing_else(student):
    files = inside(student)
    folders = {name.split("/")[0] if "/" in name else "" for name in files}
    assert folders == {"", "notebooks", "docs", "dirfa_edu", "data_samples"}
    assert {name for name in files if "/" not in name} == {
        "README.md",
        "LICENSE",
        "CITATION.cff",
        "Makefile",
        "pyproject.toml",
        "environment.yml",
        "requirements.lock",
        "requirements-dev.lock",
    }
    assert {name for name in files if name.startswith("notebooks/")} == {
        f"notebooks/{name}.ipynb" for name in CHAPTERS
    }
    for part, suffix in (("dirfa_edu", (".py", ".html")), ("data_samples", "")):
        tracked = [name for name in tool("build_class").tracked() if name.startswith(f"{part}/")]
        assert {name for name in files if name.startswith(f"{part}/")} == {
            n for n in tracked if n.endswith(suffix)
        }
    texts = [
        data.decode()
        for name, data in files.items()
        if Path(name).suffix in (".ipynb", ".py", ".md", ".toml")
    ]
    assert len(texts) > 50 and not [text[:80] for text in texts if "SOLUTION" in text]


def test_a_stray_file_gets_into_no_zip():
    build = tool("build_class")
    assert not build.FOR_STUDENTS.fullmatch("notebooks/instructor/00_tour.ipynb")
    for name in (
        "notebooks/instructor/out/me.mp4",
        "notebooks/src/00_tour.py",
        "notebooks/out/me.mp4",
        "me.mp4",
        "tests/unit/test_audio.py",
        "dirfa_edu/__pycache__/audio.pyc",
        "class/x.zip",
        "notebooks/me.mp4",
    ):
        assert not build.FOR_STUDENTS.fullmatch(name), name
        assert not build.FOR_INSTRUCTORS.fullmatch(name), name


def test_links_of_the_students_readme_lead_somewhere(student):
    files = inside(student)
    links = re.findall(r"\]\(((?!http)[^)#]+)\)", files["README.md"].decode())
    assert links
    for link in links:
        assert any(name == link or name.startswith(link.rstrip("/") + "/") for name in files), link


def test_the_same_tree_gives_the_same_bytes(student, tmp_path):
    build = tool("build_class")
    again = tmp_path / "again.zip"
    build.write_zip(again, build.student_files())
    assert again.read_bytes() == student.read_bytes()


def test_the_order_of_files_does_not_matter(tmp_path):
    build = tool("build_class")
    for name in ("one.zip", "two.zip"):
        slides = build.slide_pages("owner/name")
        files = build.instructor_files(slides, common_errors(), "links")
        if name == "two.zip":
            files = dict(reversed(files.items()))
        build.write_zip(tmp_path / name, files)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_without_solutions_hints_stay_and_solutions_go():
    build = tool("build_class")
    for name in CHAPTERS:
        text = (ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8")
        with_them = nbformat.reads(text, 4)
        without = nbformat.reads(build.without_solutions(text), 4)
        nbformat.validate(without)
        before, after = (
            "\n".join(cell.source for cell in each.cells) for each in (with_them, without)
        )
        assert "<summary>Solution" not in after
        assert after.count("<details>") == after.count("</details>")
        assert before.count("<summary>Hint") == after.count("<summary>Hint") >= 3
        outputs = [cell.get("outputs") for cell in with_them.cells]
        assert [cell.get("outputs") for cell in without.cells] == outputs


def test_a_fresh_unzip_runs_the_first_cells_of_a_chapter(student, tmp_path):
    with zipfile.ZipFile(student) as archive:
        archive.extractall(tmp_path)
    course = tmp_path / "dirfa_edu_course"
    cells = [
        cell.source
        for cell in read("02_discretization", course / "notebooks").cells
        if cell.cell_type == "code"
    ]
    script = "\n".join(
        [
            "import matplotlib",
            "matplotlib.use('agg')",
            *cells[:2],
            "import dirfa_edu",
            "print('from', dirfa_edu.__file__)",
            "print('from', dirfa_edu.data_path())",
        ]
    )
    environment = {key: value for key, value in os.environ.items() if key != "DIRFA_EDU_DATA"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=course / "notebooks",
        capture_output=True,
        text=True,
        env=environment | {"PYTHONPATH": str(course), "OMP_NUM_THREADS": "1"},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(f"from {course}") == 2, done.stdout
    assert "the number with the smallest squared error" in done.stdout


def test_the_instructor_zip_holds_solved_notebooks_whose_players_work(pages, tmp_path):
    build = tool("build_class")
    files = build.instructor_files(pages, common_errors(), "links")
    solved = {name for name in files if name.endswith(".ipynb")}
    assert solved == {f"notebooks/instructor/{name}.ipynb" for name in CHAPTERS}
    assert {name for name in files if name.endswith(".html")} == {
        f"slides/{name}.html" for name in CHAPTERS
    }
    assert {f"teaching/{path.name}" for path in TEACHING.glob("*.md")} <= set(files)
    assert {"teaching/common_errors.md", "teaching/links.md"} <= set(files)
    assert "tests/exercises/test_checks.py" in files
    for name in CHAPTERS:
        notebook = nbformat.reads(files[f"notebooks/instructor/{name}.ipynb"].decode(), 4)
        for source in players(notebook):  # unpacked beside `data_samples` of the student zip
            shipped = (ROOT / "notebooks/instructor" / source).resolve().is_file()
            assert shipped or source.startswith("../out/"), source


# ---- slides --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHAPTERS)
def test_slides_of_a_chapter_stand_alone_and_show_something(pages, name):
    page = pages[f"{name}.html"]
    found = re.findall(r'<section class="slide".*?</section>', page, re.DOTALL)
    assert 8 <= len(found) <= 14
    for section in found:
        assert re.search(r"<h[12] tabindex=\"-1\">[^<]+", section)
        body = re.search(
            r'<div class="body[^>]*>(.*?)</div>\n<p class="foot">', section, re.DOTALL
        )[1]
        assert len(re.sub(r"<(?!img)[^>]*>", "", body).strip()) > 40, (
            f"nothing under the heading: {section[:200]}"
        )
    images = re.findall(r"<img [^>]*>", page)
    assert len(images) >= 3 and all(re.search(r' alt="[^"]{20,}"', each) for each in images)
    assert all(source.startswith("data:") for source in re.findall(r'\bsrc="([^"]*)"', page))
    assert not re.search(r"<link|<iframe|@import|url\(", page)
    assert all(link.startswith("https://") for link in re.findall(r'href="([^"]*)"', page))
    words = re.sub(r'"data:[^"]*"|<(script|style)>.*?</\1>', "", page, flags=re.DOTALL)
    assert "SOLUTION" not in words and "<summary>" not in words and "{{" not in words
    # a formula's alternative text is its TeX
    drawn = re.sub(r""" alttext=("[^"]*"|'[^']*')""", "", words)
    commands = r"\\(frac|text|mathcal|bar|tau|sum|operatorname)|\$\$"
    assert not re.search(commands, drawn), "TeX that is not drawn"
    plain = re.sub(r"<[^>]*>", "", words)
    assert all(wanted in plain for wanted in ("Quiz", "Recap", "def ", "Exercise"))
    assert "github/owner/name/" in page


def text(source, *tags):
    return nbformat.v4.new_markdown_cell(source, metadata={"tags": list(tags)})


def code(source, *tags, prints=""):
    outputs = [nbformat.v4.new_output("stream", name="stdout", text=prints)] * bool(prints)
    return nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)}, outputs=outputs)


def made(*cells):
    slides = tool("slides")
    return slides.slides_of(nbformat.v4.new_notebook(cells=list(cells)), ROOT)


def test_a_long_text_becomes_several_slides_and_a_short_one_grows():
    paragraph = "A sentence that says something about faces and is long enough to fill a line. " * 4
    long = made(
        text(f"# Title\n{paragraph}", "slide"),
        text("## Long\n" + "\n\n".join([paragraph] * 7), "slide"),
    )
    assert [slide.title for slide in long] == ["Title", "Long", "Long (2)"]
    assert abs(len(long[1].parts) - len(long[2].parts)) <= 1, "the second slide is no leftover"
    assert long[1].style == "s" and made(text("# Title\nShort.", "slide"))[0].style == "l"


def test_a_stub_joins_its_exercise_and_a_toy_its_equation_where_both_fit():
    slides = made(
        text("# Title\nText.", "slide"),
        text("## Exercise\nWrite f.", "slide"),
        code("def f(x):\n    ...", "slide"),
        text("## Toy\nAdd.", "slide"),
        code("print(1 + 1)", "slide", prints="2\n"),
        text("## End\nText.", "slide"),
    )
    assert [slide.title for slide in slides] == ["Title", "Exercise", "Toy", "End"]
    assert "..." in slides[1].parts[-1] and ">2</pre>" in slides[2].parts[-1]
    long = "\n".join(f"x{i} = {i}  # a line" for i in range(25))
    slides = made(text("# Title\nText.", "slide"), code(long, "slide"))
    assert [len(slide.parts) for slide in slides] == [1, 1], "too long to join"
    (only,) = made(text("# Title\nText.", "slide"), code("print(3)", "slide-output", prints="3\n"))
    assert len(only.parts) == 2 and "print" not in only.parts[1] and ">3</pre>" in only.parts[1]


def test_what_is_said_between_two_slides_is_in_the_notes_but_no_solution():
    between = (
        "Between. <details><summary>Answer</summary>\n\nForty-two.\n\n</details>\n\n"
        "<details><summary>Solution</summary>\n\nsecret\n\n</details>"
    )
    slides = made(
        text("# Title\nText.", "slide"),
        text(between),
        text("Before.\n\n## Next one\nText.", "slide"),
    )
    notes = "\n".join(slides[0].notes)
    assert "Between." in notes and "Forty-two." in notes and "Before." in notes
    assert "secret" not in notes and "<" not in notes


# ---- common errors -------------------------------------------------------------------------------


def test_each_exercise_has_its_common_errors_and_a_question_for_each():
    errors = common_errors()
    sections = dict(
        re.findall(r"^### `(\w+)`\n(.*?)(?=^###? |\Z)", errors, re.DOTALL | re.MULTILINE)
    )
    assert set(sections) == set(checks.all_checks())
    for name, text in sections.items():
        sentences = re.findall(r"^\* (.+)$", text, re.MULTILINE)
        assert len(sentences) >= 4 and len(set(sentences)) == len(sentences), name
        assert re.search(r"^\*\*.+[?.]\*\*$", text, re.MULTILINE), f"{name} asks nothing"
        assert len(text.strip().splitlines()[0]) > 30, f"{name} does not say its task"
    # a sentence that stands beside the bank
    assert "call fake.detach() before D" in sections["discriminator_loss"]


def test_recording_takes_the_bank_and_then_judges_as_before():
    check = checks.all_checks()["frames_of"]
    sentences = check.mistakes()
    assert len(sentences) >= 4 and not [each for each in sentences if each.startswith("not right")]
    assert check.verdict(lambda n: n // 640) == f"not right: {sentences[0]}"
    with judging.record() as outer:
        with judging.record() as inner:
            check.verdict(abs)
        assert inner == sentences and outer == []
    assert check.verdict(lambda n: -(-n // 640)).startswith("right")


# ---- plans ---------------------------------------------------------------------------------------


def headings(name):
    source = "\n".join(cell.source for cell in read(name).cells if cell.cell_type == "markdown")
    return set(re.findall(r"^#{1,4} +(.+)$", source, re.MULTILINE))


@pytest.mark.parametrize("path", sorted(TEACHING.glob("*.md")), ids=lambda path: path.stem)
def test_plans_name_only_what_exists(path):
    text = path.read_text(encoding="utf-8")
    for name in re.findall(r"`checks\.(\w+)`", text):
        assert name in checks.all_checks(), name
    for chapter, heading in re.findall(r"\*(\d\d) § ([^*]+)\*", re.sub(r"\n(?!\n)", " ", text)):
        name = next(name for name in CHAPTERS if name.startswith(chapter))
        assert heading in headings(name), f"{chapter} § {heading}"
    for link in re.findall(r"\]\(((?!http)[^)#]+)\)", text):
        assert (TEACHING / link).exists() or link == "common_errors.md", link
    assert not re.search(r"\b(simply|obviously)\b", text, re.IGNORECASE)


def test_the_lab_fills_90_minutes_and_every_chapter_has_its_session():
    lab, unit = ((TEACHING / f"{name}.md").read_text(encoding="utf-8") for name in ("lab", "unit"))
    minutes = [(int(a), int(b)) for a, b in re.findall(r"^\| (\d+)-(\d+) \|", lab, re.MULTILINE)]
    assert minutes[0][0] == 0 and minutes[-1][1] == 90
    assert all(end == start for (_, end), (start, _) in zip(minutes, minutes[1:]))
    assert [f"**{a}-{b}," in lab for a, b in minutes] == [True] * len(minutes)
    rows = re.findall(r"^\| (\d\.\d) \| ([\d, ]+) \| (.+?) \|", unit, re.MULTILINE)
    assert len(rows) == 6
    taught = re.findall(r"\d\d", " ".join(chapters for _, chapters, _ in rows))
    assert taught == [name[:2] for name in CHAPTERS]
    for _, _, to_read in rows:
        sections = re.sub(r"Eq\. [\d-]+|Fig\. \d", "", to_read)
        reading = set(re.findall(r"(?<![\w.])\d(?:\.\d)*", sections))
        assert reading <= PAPER, reading - PAPER
    for session, *_ in rows:
        assert re.search(rf"^### {session} ", unit, re.MULTILINE)


def test_grades_and_rubrics_add_up():
    unit, projects = (
        (TEACHING / f"{name}.md").read_text(encoding="utf-8") for name in ("unit", "projects")
    )
    assert sum(map(int, re.findall(r"^\| .+ \| (\d+) % \|", unit, re.MULTILINE))) == 100
    rubric = projects.split("## Rubric, 100 points")[1]
    assert sum(map(int, re.findall(r"^\| (\d+) \|", rubric, re.MULTILINE))) == 100


# ---- links ---------------------------------------------------------------------------------------


def test_the_repository_comes_from_one_place(tmp_path):
    links = tool("links")
    for name in ("pyproject.toml", "CITATION.cff"):
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n', encoding="utf-8")
    (tmp_path / "CITATION.cff").write_text("title: x\n", encoding="utf-8")
    assert links.repository(root=tmp_path) == links.PLACEHOLDER
    (tmp_path / "CITATION.cff").write_text(
        "repository-code: 'https://github.com/a/cited'\n", encoding="utf-8"
    )
    assert links.repository(root=tmp_path) == "a/cited"
    (tmp_path / "pyproject.toml").write_text(
        '[project.urls]\nRepository = "https://github.com/a/named.git"\n'
    )
    assert links.repository(root=tmp_path) == "a/named"
    assert links.repository("b/given", root=tmp_path) == "b/given"
    with pytest.raises(ValueError, match="owner/name"):
        links.repository("https://gitlab.example/a/b/c")


def test_links_lead_to_the_eight_chapters_and_say_that_nobody_tried_them():
    links = tool("links")
    text = links.markdown(dict.fromkeys(CHAPTERS, "title"), "o/n")
    colab = "https://colab.research.google.com/github/o/n/blob/main/notebooks/"
    binder = "https://mybinder.org/v2/gh/o/n/main?urlpath=lab%2Ftree%2Fnotebooks%2F"
    for name in CHAPTERS:
        assert f"{colab}{name}.ipynb" in text and f"{binder}{name}.ipynb" in text
    assert "Nobody has tried them" in text and "placeholder" not in text
    assert "placeholder" in links.markdown(dict.fromkeys(CHAPTERS, "title"), links.PLACEHOLDER)


def test_the_cell_for_colab_clones_installs_and_goes_to_the_notebooks(monkeypatch):
    snippet = tool("links").snippet("o/n")
    assert max(map(len, snippet.splitlines())) <= 140
    ran, went = [], []
    monkeypatch.setattr(subprocess, "run", lambda command, check: ran.append(command))
    monkeypatch.setattr(os, "chdir", went.append)
    monkeypatch.setenv("DIRFA_EDU_DATA", "before")
    exec(compile(ast.parse(snippet), "snippet", "exec"), {})
    assert ran[0] == ["git", "clone", "--depth", "1", "https://github.com/o/n", "/content/n"]
    assert "torch>=2.6" in ran[1]
    assert not [each for each in ran[1] if each.startswith(("jupyterlab", "ipykernel"))]
    assert ran[2][-2:] == ["--no-deps", "/content/n"] and went == ["/content/n/notebooks"]
    assert os.environ["DIRFA_EDU_DATA"] == "/content/n/data_samples"


def test_binder_installs_what_the_lock_names():
    folder = ROOT / ".binder"
    environment = yaml.safe_load((folder / "environment.yml").read_text(encoding="utf-8"))
    root = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert environment["channels"] == root["channels"]
    assert environment["dependencies"] == root["dependencies"][:2]
    script = folder / "postBuild"
    assert os.access(script, os.X_OK) and script.read_text().startswith("#!/usr/bin/env bash\n")
    assert subprocess.run(["bash", "-n", script]).returncode == 0
    assert "-r requirements.lock" in script.read_text()
    assert "--no-deps --no-build-isolation -e ." in script.read_text()
    lock = (ROOT / "requirements.lock").read_text()
    assert re.search(r"^torch==[\d.]+$", lock, re.MULTILINE)


# ---- VS Code's notebook editor -------------------------------------------------------------------


def players(notebook):
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = [output.get("data", {}).get("text/html", "") for output in outputs]
    return re.findall(r'<(?:audio|video|img)[^>]* src="([^"]+)"', "\n".join(shown))


@pytest.fixture(
    params=[
        (name, folder) for name in CHAPTERS for folder in ("notebooks", "notebooks/instructor")
    ],
    ids=lambda each: "-".join(each).replace("notebooks/", ""),
)
def notebook(request):
    name, folder = request.param
    return read(name, ROOT / folder)


def test_notebooks_are_valid_with_cell_ids_and_a_plain_kernel(notebook):
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids) and all(ids)
    assert notebook.metadata.kernelspec.name == "python3"


def test_notebooks_store_kinds_that_vs_code_draws_and_no_absolute_path(notebook):
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert set(output.get("data", {})) <= STORED, cell.id
            for kind in [kind for kind in output.get("data", {}) if kind.startswith("image/")]:
                output["data"].pop(kind)
    text = json.dumps(notebook)
    assert not re.search(r"(?<![\w.~])/(home|root|work|tmp|Users|mnt|opt|usr)/|\b[A-Z]:\\\\", text)


def test_players_point_to_files_that_are_there_or_that_the_notebook_writes():
    seen = 0
    for name in CHAPTERS:
        code = "\n".join(cell.source for cell in read(name).cells if cell.cell_type == "code")
        for source in players(read(name)):
            seen += 1
            assert not Path(source).is_absolute()
            assert "://" not in source and not source.startswith("data:")
            assert (ROOT / "notebooks" / source).is_file() or f'"{source}"' in code, source
    assert seen >= 5


def test_widgets_are_core_ipywidgets():
    rooms = list((ROOT / "dirfa_edu").rglob("*.py"))
    assert len(rooms) >= 45, "the folders inside count, too"
    found = set()
    for path in rooms:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {each.name.split(".")[0] for each in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add((node.module or "").split(".")[0])
    assert "ipywidgets" in found and not found & FOREIGN
    project = (ROOT / "pyproject.toml").read_text()
    assert not [name for name in FOREIGN if re.search(rf'"{name}\b', project)]


def test_films_are_h264_with_aac_or_silent(tmp_path):
    """H.264 plays in VS Code; AAC is silent there, which teaching/README.md says."""
    write_mp4(tmp_path / "own.mp4", np.zeros((3, 32, 32, 3), np.uint8), np.zeros(1920, np.float32))
    films = [*sorted((ROOT / "data_samples").rglob("*.mp4")), tmp_path / "own.mp4"]
    assert len(films) > 50
    for path in films:
        with av.open(str(path)) as film:
            picture = film.streams.video[0].codec_context
            assert (picture.name, picture.pix_fmt) == ("h264", "yuv420p"), path
            sounds = [stream.codec_context.name for stream in film.streams.audio]
            assert sounds in ([], ["aac"]), path
    readme = (TEACHING / "README.md").read_text(encoding="utf-8")
    assert "AAC, which VS Code does not decode" in readme
