"""Nothing half-written, nothing unpickled."""

import pickle

import pytest
import torch

from dirfa_edu import files
from dirfa_edu.data.corpus import Corpus
from dirfa_edu.files import InputError, atomic_path, load_tensors, save_tensors


def test_an_error_keeps_the_old_file_and_leaves_no_crumbs(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(RuntimeError):
        with atomic_path(tmp_path / "a.txt") as temporary:
            temporary.write_text("half of the new")
            raise RuntimeError
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_below_a_file_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot write to the folder"):
        with atomic_path(tmp_path / "file" / "sub" / "a.txt"):
            pass


def test_a_full_disk_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="cannot write.*No space"):
        with atomic_path(tmp_path / "a.txt"):
            raise OSError(28, "No space left on device")


def test_a_pickle_is_refused_without_being_opened(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    (tmp_path / "x.safetensors").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(InputError, match="safetensors"):
        load_tensors(tmp_path / "x.safetensors")
    assert not (tmp_path / "exploded").exists()


def test_tensors_and_notes_come_back(tmp_path):
    save_tensors(tmp_path / "x.safetensors", {"w": torch.arange(6.0).view(2, 3).T}, {"note": "hi"})
    tensors, metadata = load_tensors(tmp_path / "x.safetensors")
    assert torch.equal(tensors["w"], torch.arange(6.0).view(2, 3).T) and metadata == {"note": "hi"}


@pytest.fixture
def house(tmp_path, monkeypatch):
    """Where samples may be: beside the package, in it, or elsewhere; none of them is there yet."""
    monkeypatch.delenv("DIRFA_EDU_DATA", raising=False)
    monkeypatch.setattr(files, "BESIDE", tmp_path / "data_samples")
    monkeypatch.setattr(files, "INSIDE", tmp_path / "dirfa_edu" / "_samples")
    return tmp_path


def test_samples_are_found_where_the_variable_points_then_beside_the_package_then_inside(
    house, monkeypatch
):
    files.INSIDE.mkdir(parents=True)
    assert files.data_path() == files.INSIDE
    files.BESIDE.mkdir()
    assert files.data_path("a", "b") == files.BESIDE / "a" / "b"
    (house / "elsewhere").mkdir()
    monkeypatch.setenv("DIRFA_EDU_DATA", str(house / "elsewhere"))
    assert files.data_path() == house / "elsewhere"


def test_without_samples_a_sentence_says_what_to_set(house):
    with pytest.raises(InputError, match="set DIRFA_EDU_DATA"):
        files.data_path("models")


def test_a_wheel_says_where_the_corpus_is_to_be_had(house):
    (files.INSIDE / "models").mkdir(parents=True)
    assert files.data_path("models").is_dir()
    with pytest.raises(InputError, match="manifest.csv is not among.*clone.*whole corpus"):
        Corpus("samples")
