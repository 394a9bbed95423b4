"""JupyterLab and Chromium for the browser tests.

A missing Chromium skips them, or fails them where it is required.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest

from dirfa_edu import data_path
from dirfa_edu.course import explorers
from dirfa_edu.video import write_mp4

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import build_site  # noqa: E402

TOKEN = "a-token-for-tests"
CHAPTERS = ["00_tour", "03_biased_mask"]  # opened as they are committed
NOTEBOOKS = {
    "explorers": [
        "from dirfa_edu.course import explorers",
        *(f"explorers.{make.__name__}().show()" for make in explorers.EXPLORERS),
    ],
    "puppet": ["from dirfa_edu.course import puppet", "live = puppet.Puppet()\nlive.show()"],
    "generated": ["from dirfa_edu.course import puppet", "puppet.Puppet(generated=True).show()"],
    "study": [
        "from dirfa_edu.course import study",
        "films = {'secret method': ['1.mp4', '2.mp4'], 'hidden rival': "
        "['3.mp4', '4.mp4']}\nstudy.Study(films, results='ratings.csv', seed=1).panel()",
    ],
}


def chromium() -> str:
    found = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
    )
    if not found:
        if os.environ.get("DIRFA_EDU_REQUIRE_BROWSER"):
            pytest.fail("no chromium on this machine, and DIRFA_EDU_REQUIRE_BROWSER is set")
        pytest.skip("no chromium on this machine: install the Debian package chromium")
    return found


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The course's site, its folder, with short flip-books. A warning of Sphinx fails the build."""
    folder = tmp_path_factory.mktemp("site")
    build_site.Site(folder, pictures=9, films=False).build(folder / "site")
    return folder / "site"


@pytest.fixture(scope="session")
def browser():
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


def new_page(browser):
    """A page that remembers its console errors and every request that leaves this machine."""
    opened = browser.new_page(viewport={"width": 1280, "height": 1000})
    opened.problems, opened.outside = [], []
    opened.on(
        "console",
        lambda message: opened.problems.append(message.text) if message.type == "error" else None,
    )
    opened.on("pageerror", lambda error: opened.problems.append(str(error)))
    local = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:", "file:")
    opened.on(
        "request",
        lambda request: (
            None if request.url.startswith(local) else opened.outside.append(request.url)
        ),
    )
    return opened


@pytest.fixture
def page(browser):
    opened = new_page(browser)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def board(lab, browser):
    """One page, and one kernel, for the notebook with all explorers."""
    opened = new_page(browser)
    opened.goto(lab.address("explorers"))
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """A JupyterLab that serves small notebooks, each in a workspace: `address(name)`, `root`."""
    chromium()
    root, config = tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("config")
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    for name, sources in NOTEBOOKS.items():
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        nbformat.write(
            nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}),
            root / f"{name}.ipynb",
        )
    for name in CHAPTERS:
        copy_chapter(name, root)
    for i in range(1, 5):  # grey films of as many levels, for the study
        write_mp4(root / f"{i}.mp4", np.full((5, 64, 64, 3), 40 * i, np.uint8))
    (config / "labconfig").mkdir()
    (config / "labconfig" / "page_config.json").write_text(
        json.dumps({"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}})
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    paths = {
        "OMP_NUM_THREADS": "1",
        "JUPYTER_CONFIG_DIR": str(config),
        "JUPYTER_DATA_DIR": str(config),
        "JUPYTER_RUNTIME_DIR": str(config),
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
    }
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "jupyterlab",
            "--no-browser",
            "--allow-root",
            "--ip=127.0.0.1",
            f"--port={port}",
            f"--IdentityProvider.token={TOKEN}",
            f"--ServerApp.root_dir={root}",
            "--LabApp.news_url=None",
            "--LabApp.extension_manager=readonly",
        ],
        env=os.environ | paths,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/api?token={TOKEN}", server)

        def address(name: str) -> str:
            own = f"http://127.0.0.1:{port}/lab/workspaces/{Path(name).name}"
            return f"{own}/tree/{name}.ipynb?token={TOKEN}"

        yield SimpleNamespace(address=address, root=root)
    finally:
        server.terminate()
        server.wait(20)


def copy_chapter(name: str, root: Path) -> None:
    """A committed chapter with the shipped files its players point to.

    What the chapter writes when it runs is a grey film here.
    """
    source = Path(__file__).resolve().parents[2] / "notebooks" / f"{name}.ipynb"
    (root / "notebooks" / "out").mkdir(parents=True, exist_ok=True)
    shutil.copy(source, root / "notebooks")
    for pointed in re.findall(
        r'(?:audio|video) controls src=\\"([^"\\]+)', source.read_text(encoding="utf-8")
    ):
        target = root / "notebooks" / pointed
        if pointed.startswith("../data_samples/"):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(data_path(*Path(pointed).parts[2:]), target)
        else:
            write_mp4(target, np.full((5, 64, 64, 3), 120, np.uint8))


def wait_for(address: str, server: subprocess.Popen, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert server.poll() is None, "JupyterLab stopped while starting"
        try:
            urllib.request.urlopen(address, timeout=2)
            return
        except OSError:
            time.sleep(0.3)
    raise AssertionError(f"JupyterLab did not answer in {seconds:g} s")
