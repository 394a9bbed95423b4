"""One clip and one probe of the corpus are made again from seeds, and are what is shipped."""

import subprocess
import sys

import numpy as np
import pytest

from dirfa_edu.data.corpus import Corpus
from dirfa_edu.files import data_path

pytestmark = pytest.mark.long  # the corpus changes rarely

CLIPS = "rms_001,probe_lars"


def build(*arguments):
    return subprocess.run(
        [
            sys.executable,
            data_path("build", "corpus.py"),
            *arguments,
            "--clips",
            CLIPS,
            "--processes",
            "1",
        ],
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def again(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    done = build("tracks", "films", "compare", "--out", folder)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder, done.stdout


def test_tracks_are_equal_and_films_alike_to_45_dB(again):
    folder, said = again
    assert "compared 2 tracks and 2 films: 0 differ" in said
    for name in CLIPS.split(","):
        assert (folder / f"tracks/{name}.csv").read_bytes() == data_path(
            "tracks", f"{name}.csv"
        ).read_bytes()


def test_a_broken_run_goes_on_and_keeps_what_exists(again):
    folder, _ = again
    kept = folder / "video/rms_001.mp4"
    (folder / "video/probe_lars.mp4").unlink()
    before = kept.stat().st_mtime_ns
    assert build("tracks", "films", "compare", "--out", folder).returncode == 0
    assert kept.stat().st_mtime_ns == before and (folder / "video/probe_lars.mp4").is_file()


def test_a_changed_number_is_found(again):
    folder, _ = again
    track, truth = folder / "tracks/rms_001.csv", folder / "truth/rms_001.npz"
    lines = track.read_text().splitlines(keepends=True)
    lines[9] = lines[9].replace("1", "2", 1)
    track.write_text("".join(lines))
    with np.load(truth) as data:
        arrays = dict(data)
    arrays["draws"][3, 5, 0] += 1
    np.savez_compressed(truth, **arrays)
    done = build("compare", "--out", folder)
    assert done.returncode == 1
    assert (
        "tracks/rms_001.csv differs" in done.stderr
        and "truth/rms_001.npz: draws differs" in done.stderr
    )


def test_the_clips_made_again_are_clips_of_the_corpus():
    assert {clip.name for clip in Corpus("samples").clips} >= set(CLIPS.split(","))
