"""Nothing half-written, nothing unpickled."""

import pickle

import pytest
import torch

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
