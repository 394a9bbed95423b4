"""What an installed wheel holds, and that the command works out of it, in any folder."""

import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from setuptools import Distribution

from dirfa_edu import cli, data_path

ROOT = Path(__file__).resolve().parents[2]
COURSE = ["IPython", "ipywidgets", "ipykernel", "jupyterlab", "nbclient", "nbformat", "seaborn"]


@pytest.fixture
def held(monkeypatch) -> dict[str, Path]:
    """What setuptools would put into the wheel: {place in it: file it is made of}."""
    monkeypatch.chdir(ROOT)
    distribution = Distribution({"script_name": "setup.py"})
    distribution.parse_config_files()
    build = distribution.get_command_obj("build_py")
    build.build_lib = ""
    build.ensure_finalized()

    modules = build.find_all_modules()
    found = {
        build.get_module_outfile("", package.split("."), module): Path(path)
        for package, module, path in modules
    }
    for _, source, target, names in build.data_files:
        found |= {f"{target}/{name}": Path(source, name) for name in names}
    return {Path(place).as_posix(): path for place, path in found.items()}


def test_every_room_is_in_the_wheel(held):
    rooms = [path.relative_to(ROOT).as_posix() for path in (ROOT / "dirfa_edu").rglob("*.py")]
    assert len(rooms) > 50
    assert not set(rooms) - set(held)


def test_every_page_and_style_of_the_package_is_in_the_wheel(held):
    files = [path for path in (ROOT / "dirfa_edu").rglob("*") if path.is_file()]
    files = [path for path in files if path.suffix not in (".py", ".pyc", ".nbi", ".nbc")]
    assert not {path.relative_to(ROOT).as_posix() for path in files} - set(held)


def test_networks_portraits_actors_and_a_speech_are_in_it_and_nothing_of_the_corpus(held):
    samples = {place for place in held if place.startswith("dirfa_edu/_samples/")}
    wanted = {"actors.npz", "speech/sonnet_2.wav", "portraits/iris.png", "models/LICENSES.md"}
    wanted |= {f"models/{path.name}" for path in data_path("models").iterdir()}
    assert {f"dirfa_edu/_samples/{name}" for name in wanted} <= samples
    assert len([place for place in samples if "/portraits/" in place]) == 32
    assert not [place for place in samples if place.endswith((".csv", ".mp4", ".ogg"))]


def test_it_stays_below_40_megabytes(held):
    assert sum(path.stat().st_size for path in held.values()) < 40e6


def without_the_course(line: str, **options) -> subprocess.CompletedProcess:
    """Run a line of Python where nothing that the extra `course` installs can be imported."""
    blocked = f"import sys; sys.modules.update(dict.fromkeys({COURSE}))"
    command = [sys.executable, "-c", f"{blocked}\n{line}"]
    return subprocess.run(command, capture_output=True, text=True, **options)


def test_no_room_needs_the_extra_course_to_be_imported():
    rooms = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted((ROOT / "dirfa_edu").rglob("*.py"))
    ]
    done = without_the_course("\n".join(f"import {room}" for room in rooms))
    assert done.returncode == 0, done.stderr


def test_doctor_does_without_jupyterlab(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    assert "install dirfa-edu[course]" in cli.course_version()


@pytest.mark.long
def test_the_built_wheel_talks_in_an_empty_folder_and_says_where_the_corpus_is(tmp_path, held):
    source, site, folder = tmp_path / "source", tmp_path / "site", tmp_path / "folder"
    for path in [*held.values(), *map(Path, ("pyproject.toml", "README.md", "LICENSE"))]:
        target = source / path.resolve().relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    pip = [sys.executable, "-m", "pip"]
    offline = ["--quiet", "--no-deps", "--no-index"]
    build = ["wheel", "--no-build-isolation", *offline, "-w", str(tmp_path), str(source)]
    subprocess.run([*pip, *build], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stat().st_size < 40e6
    subprocess.run([*pip, "install", *offline, "--target", str(site), str(wheel)], check=True)

    folder.mkdir()
    shutil.copy(data_path("speech", "austen_0880.wav"), folder / "speech.wav")
    shutil.copy(data_path("portraits", "greta.png"), folder / "me.png")
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    environment.pop("DIRFA_EDU_DATA", None)

    def command(*words: str) -> subprocess.CompletedProcess:
        line = f"sys.argv = {['dirfa-edu', *words]}; from dirfa_edu.cli import main; main()"
        return without_the_course(line, cwd=folder, env=environment)

    done = command("talk", "speech.wav", "--portrait", "me.png", "--samples", "1")
    assert done.returncode == 0, done.stderr
    assert (folder / "demo" / "sample_1.mp4").stat().st_size > 10_000
    done = command("doctor")
    assert done.returncode == 0, done.stderr
    assert str(site / "dirfa_edu" / "_samples") in done.stdout

    for words in ("train mapper", "evaluate mapper", "reproduce claim", "doctor --data"):
        done = command(*words.split())
        assert done.returncode == 2, done.stderr
        assert "DIRFA_EDU_DATA" in done.stderr.splitlines()[-1]
