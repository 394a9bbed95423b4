"""What nbval cannot say: how much it compares, whether images are described, sources drifted."""

import re
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted(path.stem for path in (ROOT / "notebooks" / "src").glob("[0-9]*.py"))
sys.path.insert(0, str(ROOT / "tools"))
import build_notebooks  # noqa: E402
import report  # noqa: E402

from dirfa_edu import plots  # noqa: E402

sys.path.pop(0)


@pytest.fixture(params=CHAPTERS)
def chapter(request):
    return request.param


def read(name, folder="notebooks"):
    return nbformat.read(ROOT / folder / f"{name}.ipynb", 4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_every_source_is_built_for_students_and_for_instructors():
    assert len(CHAPTERS) >= 8
    for folder in ("notebooks", "notebooks/instructor"):
        built = sorted(path.stem for path in (ROOT / folder).glob("*.ipynb"))
        assert built == CHAPTERS, folder


def test_every_code_cell_was_run_without_an_error(chapter):
    for cell in code_cells(read(chapter)):
        assert cell.execution_count is not None, f"never run: {cell.source[:60]}"
        assert not [output for output in cell.outputs if output.output_type == "error"]


def test_nbval_compares_at_least_80_percent_of_the_cells_with_results(chapter):
    found = report.measure(ROOT / "notebooks" / f"{chapter}.ipynb")
    assert found["results"] >= 8, "a chapter states its results in checked cells"
    assert found["compared"] >= 0.8 * found["results"], found


def test_pictures_players_and_captions_are_no_results_and_an_ignored_cell_is_not_compared(tmp_path):
    def cell(source, *data, tags=()):
        outputs = [
            nbformat.v4.new_output(
                "display_data",
                each,
                metadata={"image/png": {"alt": "words " * 5}} if "image/png" in each else {},
            )
            for each in data
        ]
        return nbformat.v4.new_code_cell(
            source, execution_count=1, outputs=outputs, metadata={"tags": list(tags)}
        )

    notebook = nbformat.v4.new_notebook(
        cells=[
            cell(
                "a", {"image/png": "", "text/plain": "Figure: a"}, {"text/markdown": "*Figure: a*"}
            ),
            cell("b", {"text/html": "<audio></audio>"}),
            cell("c", {"text/plain": "7"}),
            cell("d", {"text/plain": "8"}, tags=["nbval-ignore-output"]),
            cell("e", {"text/plain": "9"}, {"image/png": ""}),
        ]
    )
    notebook.metadata["dirfa_edu"] = {"run_seconds": 3, "longest_cell": 2.5}
    nbformat.write(notebook, tmp_path / "x.ipynb")
    found = report.measure(tmp_path / "x.ipynb")
    assert (found["results"], found["compared"], found["images"], found["described"]) == (
        3,
        2,
        2,
        2,
    )


def test_the_readme_holds_the_report_of_the_notebooks_as_they_are():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = {name: report.measure(ROOT / "notebooks" / f"{name}.ipynb") for name in CHAPTERS}
    assert report.written(readme, report.table(rows)) == readme, "run make report"

    measured = rows.values()
    assert sum(row["seconds"] for row in measured) < 12 * 60
    assert max(row["longest"] for row in measured) < 60
    assert sum(row["exercises"] for row in measured) >= 24
    assert min(row["widgets"] for row in measured) >= 1


def test_students_and_instructors_notebooks_are_built_from_the_source_as_it_stands(chapter):
    source = (ROOT / "notebooks" / "src" / f"{chapter}.py").read_text(encoding="utf-8")
    for folder, instructor in (("notebooks", False), ("notebooks/instructor", True)):
        stored = read(chapter, folder)
        wanted = build_notebooks.build(
            source, chapter, instructor, stored.metadata.dirfa_edu.run_seconds
        )
        assert [cell.source for cell in stored.cells] == [cell.source for cell in wanted.cells], (
            folder
        )
        assert [cell.metadata.get("tags") for cell in stored.cells] == [
            cell.metadata.get("tags") for cell in wanted.cells
        ]


def test_students_get_no_solution_and_instructors_do(chapter):
    source = (ROOT / "notebooks" / "src" / f"{chapter}.py").read_text(encoding="utf-8")
    assert source.count("# BEGIN SOLUTION") >= 3, "a chapter has three exercises"
    for folder in ("notebooks", "notebooks/instructor"):
        assert not [cell for cell in read(chapter, folder).cells if "SOLUTION" in cell.source]
    stub = code_cells(read(chapter))
    solved = code_cells(read(chapter, "notebooks/instructor"))
    assert any(re.search(r"^ *\.\.\.$", cell.source, re.MULTILINE) for cell in stub)
    shown = "".join(output.get("text", "") for cell in stub for output in cell.outputs)
    graded = "".join(output.get("text", "") for cell in solved for output in cell.outputs)
    assert shown.count("not yet: ") >= 3 and "right: " not in shown
    assert "not yet" not in graded and "not right" not in graded
    assert graded.count("right: ") == shown.count("not yet: ")


def test_symbols_in_formulas_have_the_colours_of_the_plots_dark_enough_to_read(chapter):
    text = "\n".join(cell.source for cell in read(chapter).cells if cell.cell_type == "markdown")
    for formula in build_notebooks.DISPLAYED.findall(text):
        for colour, symbol in re.findall(
            r"\\textcolor\{(#\w{6})\}\{((?:[^{}]|\{[^{}]*\})*)\}", formula
        ):
            (name,) = (
                name for name in plots.COLOURS if build_notebooks.ink(plots.COLOURS[name]) == colour
            )
            letters = re.sub(r"[\\{} ]", "", symbol)
            assert {"y_bar": "bary", "y_tilde": "tildey", "y_hat": "haty"}.get(
                name, name
            ).lower() in letters.lower()
            assert build_notebooks.contrast([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) >= 4.5
    least = {
        "00_tour": 4,
        "02_discretization": 3,
        "03_biased_mask": 1,
        "04_mapper": 2,
        "05_generator": 2,
    }
    assert len(set(re.findall(r"\\textcolor\{(#\w{6})\}", text))) >= least.get(chapter, 0)


def test_a_formula_is_coloured_symbol_by_symbol():
    ink = {name: build_notebooks.ink(colour) for name, colour in plots.COLOURS.items()}
    assert build_notebooks.coloured(r"$$\text{Attn}(M) = p(\bar Y|A_{1})$$") == (
        rf"$$\text{{Attn}}(\textcolor{{{ink['M']}}}{{M}}) = "
        rf"p(\textcolor{{{ink['y_bar']}}}{{\bar Y}}|"
        rf"\textcolor{{{ink['A']}}}{{A}}_{{1}})$$"
    )
    assert (
        build_notebooks.coloured(r"\hat{I}_{tgt} = G(I_{src}) \text{MSE}").count("textcolor") == 2
    )
    assert (
        round(build_notebooks.contrast([0, 0, 0]), 1) == 21
        and build_notebooks.contrast([255] * 3) == 1
    )
    assert ink["A"] == plots.COLOURS["A"] and len(set(ink.values())) == len(ink)


def test_every_image_has_alt_text(chapter):
    images = 0
    for cell in read(chapter).cells:
        assert not re.search(r"!\[\s*\]\(|<img(?![^>]*alt=)", cell.source)
        for output in cell.get("outputs", []):
            for kind in output.get("data", {}):
                if kind.startswith("image/"):
                    images += 1
                    assert len(output.metadata.get(kind, {}).get("alt", "")) >= 20, cell.source[
                        -80:
                    ]
            assert not re.search(r"<img(?![^>]*alt=)", output.get("data", {}).get("text/html", ""))
    assert images >= 3, "at least two plots and a widget"


def test_a_chapter_has_the_size_a_lesson_has(chapter):
    notebook = read(chapter)
    assert 30 <= len(notebook.cells) <= 60
    assert len(code_cells(notebook)) <= 28
    for cell in code_cells(notebook):
        assert len(cell.source.splitlines()) <= 25, cell.source[:80]
    for folder in ("notebooks", "notebooks/instructor"):
        size = (ROOT / folder / f"{chapter}.ipynb").stat().st_size
        assert size <= build_notebooks.LARGEST == 1_500_000, folder
    assert notebook.metadata.dirfa_edu.run_seconds < 180


def test_a_chapter_names_objectives_equations_recap_and_quiz(chapter):
    text = "\n".join(cell.source for cell in read(chapter).cells if cell.cell_type == "markdown")
    for word in ("you will be able to", "Prerequisites", "Recap", "Quiz", "Next", "does not show"):
        assert word in text, word
    assert "Exercise" in text and re.search(r"Eq\. \d", text)


def test_no_notebook_holds_a_path_of_one_machine_or_a_video(chapter):
    for folder in ("notebooks", "notebooks/instructor"):
        text = (ROOT / folder / f"{chapter}.ipynb").read_text()
        assert not re.search(r"/(home|root|tmp|work|Users)/\w", text)
        assert "video/mp4;base64" not in text


@pytest.mark.parametrize("name", ["00_tour", "07_your_own_face"])
def test_the_first_and_the_last_chapter_speak_of_consent_and_misuse(name):
    text = "\n".join(cell.source for cell in read(name).cells).lower()
    for word in ("consent", "misuse", "detect", "discuss"):
        assert word in text
