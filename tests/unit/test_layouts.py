"""Folders are recognised by a bounded look, searched in bounded memory, and bad entries are
counted, not fatal."""

import os
import sys
import time
import tracemalloc
import warnings

import pytest

from dirfa_edu.animation import write_openface
from dirfa_edu.data import layouts
from dirfa_edu.data.corpus import Corpus
from dirfa_edu.files import InputError

HEADER = "frame, timestamp, AU01_r, AU02_r\n"


def put(path, text="x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def found(root):
    skipped = {}
    return list(layouts.find(str(root), skipped)), {
        reason: count for reason, (count, _) in skipped.items()
    }


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """100,000 clips in VoxCeleb2's shape; a thousand folders of links to one byte each."""
    root = tmp_path_factory.mktemp("vox")
    for n in range(1000):
        folder = root / f"dev/mp4/id{n // 10:05d}/film{n:06d}"
        first = put(folder / "00000.mp4")
        for i in range(1, 100):
            os.link(first, f"{folder}/{i:05d}.mp4")
    return root


def test_a_hundred_thousand_clips_are_found_in_little_memory(big, capsys):
    start = time.process_time()
    tracemalloc.start()
    corpus = Corpus(big, progress=False)
    count, peak = len(corpus), tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.process_time() - start < 40, (
        "measured: 1 s, and several times that under tracemalloc"
    )
    assert count == 100_000 and len({clip.name for clip in corpus}) == count
    assert peak < 100e6, f"{peak / 1e6:.0f} MB"
    assert capsys.readouterr().err == ""
    film = big / "dev/mp4/id00007/film000070/00099.mp4"
    assert corpus["id00007/film000070/00099"].video == str(film)


def test_a_search_shows_progress_only_when_it_takes_long(tmp_path, monkeypatch, capsys):
    for n in range(4):
        write_openface(tmp_path / f"{n}.csv", [[0.0] * 23])
    assert len(Corpus(tmp_path)) == 4 and capsys.readouterr().err == ""
    look = layouts._is_track
    monkeypatch.setattr(layouts, "_is_track", lambda *args: (time.sleep(0.35), look(*args))[1])
    assert len(Corpus(tmp_path, progress=False)) == 4 and capsys.readouterr().err == ""
    assert len(Corpus(tmp_path)) == 4 and "looking for clips" in capsys.readouterr().err


@pytest.mark.parametrize(
    "shape, path",
    [
        ("voxceleb2", "dev/aac/id00012/v/00001.m4a"),
        ("voxceleb2", "mp4/id00012/v/00001.mp4"),
        ("lrw", "ABOUT/val/ABOUT_00001.mp4"),
        ("openface", "a/b/talk.csv"),
        ("openface", "ABOUT/val/OTHER_00001.mp4"),
        ("openface", "id12/v/00001.mp4"),
    ],
)
def test_shapes_are_known_by_their_paths(tmp_path, shape, path):
    put(tmp_path / path, HEADER)
    assert layouts.recognise(str(tmp_path)) == shape


def test_a_shape_is_known_after_a_bounded_look(big, monkeypatch):
    looked, scandir = [], os.scandir

    class Counting:
        def __init__(self, path):
            self.entries = scandir(path)

        def __enter__(self):
            return (looked.append(entry) or entry for entry in self.entries)

        def __exit__(self, *_):
            self.entries.close()

    monkeypatch.setattr(os, "scandir", Counting)
    assert layouts.recognise(str(big)) == "voxceleb2" and len(looked) < 400
    looked.clear()
    monkeypatch.setattr(layouts, "ENTRIES_TO_KNOW", 5)
    monkeypatch.setattr(layouts, "FOLDERS_TO_KNOW", 3)
    assert layouts.recognise(str(big)) == "openface" and len(looked) <= 15, (
        "three folders down there is no film yet"
    )


def test_what_cannot_be_used_is_passed_over_and_said_once(tmp_path, monkeypatch):
    root = tmp_path / "vox 2 é"
    put(root / "dev/mp4/id00001/vidéo ü/00001.mp4")
    put(root / "dev/mp4/id00001/v/00001.mp4", "")  # empty
    put(root / "dev/mp4/id00001/v/._00001.mp4")  # a Mac's shadow file
    (root / "dev/mp4/id00001/v/00002.mp4").symlink_to(tmp_path / "gone.mp4")  # broken link
    # a folder named like a film
    (root / "dev/mp4/id00001/v/00003.mp4").mkdir()
    # a file where a speaker should be
    put(root / "dev/mp4/id00002")
    # in a folder nobody may read
    put(root / "dev/mp4/id00003/v/00001.mp4")
    put(root / "dev/aac", "no folder")  # no twin folder
    scandir = os.scandir

    def guarded(path):
        if str(path).endswith("id00003"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    with pytest.warns(UserWarning, match="skipped 6 entries") as said:
        (clip,) = Corpus(root).clips
    assert clip.name == "id00001/vidéo ü/00001"
    assert os.path.isfile(clip.video) and clip.audio == clip.video
    assert len(said) == 1
    for words in (
        "an empty file (1",
        "a broken link (1",
        "a folder named like a file (1",
        "id00003",
        "a file where a folder is expected (2",
    ):
        assert words in str(said[0].message)
    corpus = Corpus(root)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert any("skipped 6" in problem for problem in corpus.check())


def test_nothing_but_broken_entries_says_why(tmp_path):
    put(tmp_path / "mp4/id00001/v/00001.mp4", "")
    with pytest.raises(InputError, match="no clips under .* an empty file"):
        Corpus(tmp_path).clips  # noqa: B018


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a name be no text")
def test_a_name_that_is_no_text_can_be_reported(tmp_path):
    put(tmp_path / "a.csv", HEADER)
    os.close(os.open(os.fsencode(tmp_path) + b"/\xe9t\xe9.mp4", os.O_CREAT))
    skipped = {}
    list(layouts.openface(str(tmp_path), skipped))
    layouts.skipped_sentence(skipped).encode("utf-8")
    assert skipped["an empty file"][0] == 1


def test_links_are_followed_but_not_in_circles(tmp_path):
    put(tmp_path / "far/x.csv", HEADER)
    root = tmp_path / "root"
    put(root / "a/y.csv", HEADER)
    (root / "linked").symlink_to(tmp_path / "far")
    (root / "a/up").symlink_to(root)
    (root / "a/self").symlink_to(root / "a")
    rows, skipped = found(root)
    assert [row["name"] for row in rows] == ["a/y", "linked/x"] and not skipped


def test_voxceleb2_splits_twins_and_speakers(tmp_path):
    for path in (
        "dev/mp4/id00012/21Uxsk56VDQ/00001.mp4",
        "dev/aac/id00012/21Uxsk56VDQ/00001.m4a",
        "dev/mp4/id00012/21Uxsk56VDQ/00002.mp4",
        "test/mp4/id00017/01dfn2spqyE/00001.mp4",
    ):
        put(tmp_path / path)
    put(tmp_path / "dev/mp4/id00012/21Uxsk56VDQ/00002.csv", HEADER)
    (a, b, c), _ = found(tmp_path)
    assert [row["split"] for row in (a, b, c)] == ["train", "train", "test"]
    assert a["audio"].endswith("dev/aac/id00012/21Uxsk56VDQ/00001.m4a") and a["csv"] is None
    assert b["audio"] == b["video"] and b["csv"].endswith("00002.csv")
    assert found(tmp_path / "test/mp4")[0][0]["split"] == "test", (
        "the folder above the speakers is asked, not the root"
    )
    assert found(tmp_path / "test/mp4/id00017")[0][0]["actor"] == "id00017"


@pytest.mark.parametrize(
    "lines",
    [
        "VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set \nid00012 ,n000012 ,m ,test \n"
        "id00017 ,n000017 ,m ,dev \n",
        "VoxCeleb2_ID\tVGGFace2_ID\tGender\tSet\nid00012\tn000012\tm\ttest\n",
    ],
)
def test_the_official_list_decides_the_split(tmp_path, lines):
    put(tmp_path / "mp4/id00012/v/00001.mp4")
    put(tmp_path / "mp4/id00017/v/00001.mp4")
    assert {row["split"] for row in found(tmp_path)[0]} == {"train"}, (
        "no list, no folder dev or test"
    )
    put(tmp_path / "vox2_meta.csv", lines)
    assert {row["actor"]: row["split"] for row in found(tmp_path)[0]} == {
        "id00012": "test",
        "id00017": "train",
    }


def test_lrw_words_and_splits(tmp_path):
    for split in layouts.SPLITS:
        put(tmp_path / f"lipread_mp4/ABOUT/{split}/ABOUT_00001.mp4")
        put(tmp_path / f"lipread_mp4/ABOUT/{split}/ABOUT_00001.txt")
        put(tmp_path / f"lipread_mp4/ABOUT/{split}/ABOVE_00001.mp4")  # in another word's folder
    rows, _ = found(tmp_path)
    assert {(row["text"], row["split"], row["name"]) for row in rows} == {
        ("ABOUT", "train", "ABOUT_00001"),
        ("ABOUT", "val", "val/ABOUT_00001"),
        ("ABOUT", "test", "test/ABOUT_00001"),
    }


def test_openface_takes_films_and_sound_beside_the_csv(tmp_path):
    put(tmp_path / "test/talk one.csv", HEADER)
    put(tmp_path / "test/talk one.MP4")
    put(tmp_path / "test/talk one.wav")
    put(tmp_path / "other.csv", "a,b\n")
    (row,), _ = found(tmp_path)
    assert row["name"] == "test/talk one" and row["split"] == "test"
    assert row["video"].endswith(".MP4") and row["audio"].endswith(".wav")
