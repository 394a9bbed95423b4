"""The lock files, environment.yml and pyproject.toml name the same packages."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def pins(name):
    lines = (ROOT / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-r "))]


def normal(requirement):
    return re.sub(r"[-_.]+", "-", re.split(r"[=<>\[ ]", requirement)[0]).lower()


def test_every_pin_is_exact_and_none_is_local_to_one_machine():
    for name in ("requirements.lock", "requirements-dev.lock"):
        assert pins(name)
        for line in pins(name):
            assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line), f"{name}: {line}"


def test_environment_yml_pins_what_the_lock_pins():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["dependencies"][:2] == ["python=3.11", "pip"]
    assert environment["dependencies"][2]["pip"] == pins("requirements.lock")


def test_every_dependency_of_the_package_is_locked():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = {normal(line) for line in pins("requirements.lock")}
    assert {normal(line) for line in project["dependencies"]} <= locked
    both = locked | {normal(line) for line in pins("requirements-dev.lock")}
    # make bench
    both |= {normal(pin) for pin in re.findall(r"[\w-]+==[\d.]+", (ROOT / "Makefile").read_text())}
    for extra in project["optional-dependencies"].values():
        assert {normal(line) for line in extra} <= both


def test_torch_is_pinned_first_without_a_build_and_no_cuda_package_is_locked():
    assert pins("requirements.lock")[0] == "torch==2.13.0"
    assert not [
        line for line in pins("requirements.lock") if re.match("nvidia|triton|cuda", line.lower())
    ]


def test_no_package_is_pinned_twice():
    names = [normal(line) for line in pins("requirements.lock") + pins("requirements-dev.lock")]
    assert len(names) == len(set(names))


def test_the_files_the_demo_starts_from_are_shipped():
    defaults = dict(
        re.findall(r"^(SPEECH|PORTRAIT) \?= (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    )
    assert set(defaults) == {"SPEECH", "PORTRAIT"}
    for path in defaults.values():
        assert (ROOT / path).is_file(), path
