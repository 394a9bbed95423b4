"""The lock files, environment.yml and pyproject.toml name the same packages."""

import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
ASKED_FOR = "jupyterlab torch matplotlib ipywidgets librosa seaborn nbval numpy ipython".split()


def pins(name):
    lines = (ROOT / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-r "))]


def name_of(requirement):
    return canonicalize_name(Requirement(requirement).name)


def test_every_pin_is_exact_and_none_is_local_to_one_machine():
    for name in ("requirements.lock", "requirements-dev.lock"):
        assert pins(name)
        for line in pins(name):
            pin, _, marker = line.partition(" ; ")
            assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", pin), f"{name}: {line}"
            assert not marker or Requirement(line).marker, f"{name}: {line}"


def installed_by_environment_yml():
    """What conda's file names for pip, with the files that `-r` points to, beside it, read."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["dependencies"][:2] == ["python=3.11", "pip"]
    lines = environment["dependencies"][2]["pip"]
    files = [line.removeprefix("-r ") for line in lines if line.startswith("-r ")]
    return [line for line in lines if not line.startswith("-r ")] + sum(map(pins, files), [])


def test_the_lock_and_environment_yml_install_the_nine_libraries_asked_for_in_one_version():
    locked = pins("requirements.lock")
    assert {name_of(line) for line in locked} >= set(ASKED_FOR)
    assert sorted(installed_by_environment_yml()) == sorted(locked)


def test_a_plain_install_brings_what_talk_needs_and_the_course_is_an_extra():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    base = {name_of(line) for line in project["dependencies"]}
    course = {name_of(line) for line in project["optional-dependencies"]["course"]}
    assert course >= {"jupyterlab", "nbval", "ipywidgets", "seaborn", "ipython", "ipykernel"}
    assert not base & course and base | course >= set(ASKED_FOR)


def test_every_dependency_of_the_package_is_locked():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = {name_of(line) for line in pins("requirements.lock")}
    assert {name_of(line) for line in project["dependencies"]} <= locked
    both = locked | {name_of(line) for line in pins("requirements-dev.lock")}
    # make bench
    both |= {name_of(pin) for pin in re.findall(r"[\w-]+==[\d.]+", (ROOT / "Makefile").read_text())}
    both.add("dirfa-edu")  # one extra asks for another
    for extra in project["optional-dependencies"].values():
        assert {name_of(line) for line in extra} <= both


def test_torch_is_pinned_first_without_a_build_and_no_cuda_package_is_locked():
    assert pins("requirements.lock")[0] == "torch==2.13.0"
    assert not [
        line for line in pins("requirements.lock") if re.match("nvidia|triton|cuda", line.lower())
    ]


def test_no_package_is_pinned_twice():
    """Two pins of one package are for two Pythons or systems: their markers exclude each other."""
    found = {}
    for line in pins("requirements.lock") + pins("requirements-dev.lock"):
        found.setdefault(name_of(line), []).append(Requirement(line).marker)
    for name, markers in found.items():
        assert len(markers) == 1 or None not in markers, name
        assert len(markers) == len(set(map(str, markers))), name


def test_the_files_the_demo_starts_from_are_shipped():
    defaults = dict(
        re.findall(r"^(SPEECH|PORTRAIT) \?= (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    )
    assert set(defaults) == {"SPEECH", "PORTRAIT"}
    for path in defaults.values():
        assert (ROOT / path).is_file(), path
