"""Grading: right and wrong hand-ins get their rows, and one that misbehaves harms nobody else's."""

import csv
import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dirfa_edu import cli
from dirfa_edu.course.grade import definitions, grade_folder, grade_notebook
from dirfa_edu.files import InputError

RIGHT = "import numpy as np\ndef window_of(t):\n    return np.arange(4 * t - 8, 4 * t + 12)\n"


def hand_in(folder, name, *cells):
    notebook = {"cells": [{"cell_type": "code", "source": cell.splitlines(True)} for cell in cells]}
    (folder / f"{name}.ipynb").write_text(json.dumps(notebook))
    return folder / f"{name}.ipynb"


def test_a_class_gets_one_row_each(tmp_path):
    hand_in(tmp_path, "01_features_ada", RIGHT)
    hand_in(tmp_path, "01_features_bob", "def window_of(t):\n    return range(4 * t, 4 * t + 20)\n")
    hand_in(tmp_path, "01_features_cyd", "def window_of(t):\n    ...\n")
    hand_in(tmp_path, "01_features_dee", "print('I deleted the exercise')")
    hand_in(tmp_path, "01_features_eve", "def broken(:", RIGHT)
    (tmp_path / "01_features_fay.ipynb").write_text("no notebook")
    hand_in(tmp_path, "01_features_gil", RIGHT, RIGHT, "def window_of(t):\n    ...\n", RIGHT)
    rows = {
        row["notebook"][12:15]: row
        for row in grade_folder(tmp_path, tmp_path / "out" / "grades.csv")
    }
    assert {name: (row["window_of"], row["right"]) for name, row in rows.items()} == {
        "ada": ("right", 1),
        "bob": ("not right", 0),
        "cyd": ("not yet", 0),
        "dee": ("missing", 0),
        "eve": ("right", 1),
        "fay": ("missing", 0),
        "gil": ("right", 1),
    }
    assert all(row["of"] == 3 and row["same_loudness"] == "missing" for row in rows.values())
    assert "starts with the frame" in rows["bob"]["notes"] and "exit code 1" in rows["fay"]["notes"]
    written = list(csv.DictReader(open(tmp_path / "out" / "grades.csv", encoding="utf-8")))
    assert [row["right"] for row in written] == ["1", "0", "0", "0", "1", "0", "1"]


def test_an_endless_loop_costs_its_own_point_only(tmp_path):
    path = hand_in(
        tmp_path,
        "00_tour_loop",
        "def frames_of(n):\n    while True: pass",
        "def draw_bin(p, u):\n    return int((p.cumsum() <= u).sum())",
    )
    verdicts, note = grade_notebook(path)
    assert note == "" and verdicts["draw_bin"].startswith("right")
    stopped = "not right: your function stops with TimeoutError: it runs longer than 10 s"
    assert verdicts["frames_of"] == stopped


def test_a_loop_that_lets_nothing_stop_it_is_killed_and_keeps_the_points_made_before(tmp_path):
    path = hand_in(
        tmp_path,
        "loop",
        "def frames_of(n):\n    return -(-n // 640)",
        "def window_of(t):\n    while True:\n        try:\n            while True: pass\n"
        "        except BaseException: pass",
    )
    verdicts, note = grade_notebook(path, seconds=4)
    assert verdicts["frames_of"].startswith("right") and "window_of" not in verdicts
    assert note == "stopped after 4 s"


@pytest.mark.skipif(
    not Path("/proc/self").exists(), reason="looks a process up where Linux lists it"
)
def test_what_a_hand_in_has_started_ends_with_it(tmp_path):
    kept = tmp_path / "pid"
    path = hand_in(
        tmp_path,
        "starts",
        "def frames_of(n):\n    import subprocess\n"
        "    child = subprocess.Popen(['sleep', '300'])\n"
        f"    open({str(kept)!r}, 'w').write(str(child.pid))\n    return -(-n // 640)",
    )
    verdicts, _ = grade_notebook(path)
    assert verdicts["frames_of"].startswith("right")
    state = Path(f"/proc/{kept.read_text()}/stat")
    for _ in range(50):  # killed at once, reaped by the system a moment later
        if not state.exists() or state.read_text(encoding="utf-8").split()[2] == "Z":
            return
        time.sleep(0.1)
    raise AssertionError("its child still runs")


def test_a_flood_of_output_and_a_network_call_do_no_harm(tmp_path):
    # 100 MB, once for each case
    flood = "def frames_of(n):\n    print('x' * 10**8)\n    return -(-n // 640)\n"
    call = "def window_of(t):\n    import socket\n    socket.create_connection(('127.0.0.1', 9))\n"
    verdicts, note = grade_notebook(hand_in(tmp_path, "flood", flood, call))
    assert note == "" and verdicts["frames_of"].startswith("right")
    assert "no network" in verdicts["window_of"]


def test_the_command_grades_a_folder(tmp_path):
    hand_in(tmp_path, "01_features_ada", RIGHT)
    result = CliRunner().invoke(
        cli.app, ["grade", str(tmp_path), "--out", str(tmp_path / "grades.csv")]
    )
    assert result.exit_code == 0 and "01_features_ada.ipynb: 1 of 3" in result.output
    assert (tmp_path / "grades.csv").read_text().startswith("notebook,right,of,")


def test_only_definitions_are_run(tmp_path):
    path = hand_in(
        tmp_path, "h", "import os\nK = 3\nos.remove('x')\nfor i in range(9): pass\n", RIGHT
    )
    assert [line.split("\n")[0] for line in definitions(path)] == [
        "import os",
        "K = 3",
        "import numpy as np",
        "def window_of(t):",
    ]


def test_a_folder_without_notebooks_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="no notebooks below"):
        grade_folder(tmp_path, tmp_path / "g.csv")
