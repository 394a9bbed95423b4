"""OpenFace CSV in and out."""

import numpy as np
import pytest

from dirfa_edu import animation
from dirfa_edu.files import InputError


@pytest.fixture
def Y():
    rng = np.random.default_rng(0)
    track = np.concatenate(
        [
            rng.integers(0, 500, (60, 17)) / 100,
            rng.normal(0, 0.1, (60, 3)).round(4),
            rng.normal(0, 9, (60, 3)).round(1),
        ],
        axis=1,
    )
    track[:, animation.POSE] -= np.median(track[:, animation.POSE], axis=0)
    return track


def edit(path, change):
    rows = [line.split(",") for line in path.read_text().splitlines()]
    change(rows)
    path.write_text("\n".join(",".join(row) for row in rows))


def test_csv_round_trip_keeps_what_the_decimals_keep(tmp_path, Y):
    offset = np.array([0.1, -0.2, 0.05, 12.0, -30.0, 560.0])
    animation.write_openface(tmp_path / "a.csv", Y, offset=offset)
    again = animation.read_openface(tmp_path / "a.csv")
    assert again.dtype == np.float32 and again.shape == Y.shape
    assert np.abs(again[:, :17] - Y[:, :17]).max() < 1e-6  # two decimals hold what had two
    assert np.abs(again[:, 17:20] - Y[:, 17:20]).max() < 1.1e-4
    assert np.abs(again[:, 20:] - Y[:, 20:]).max() < 0.11
    absolute = animation.read_openface(tmp_path / "a.csv", absolute=True)
    assert abs(np.median(absolute[:, 22]) - 560) < 0.1


def test_header_with_spaces_and_missing_columns(tmp_path, Y):
    path = tmp_path / "a.csv"
    animation.write_openface(path, Y)
    plain = animation.read_openface(path)
    edit(path, lambda rows: rows.__setitem__(0, [" " + name for name in rows[0]]))
    assert np.array_equal(animation.read_openface(path), plain)
    edit(
        path,
        lambda rows: rows.__setitem__(0, [name.replace("pose_Ry", "other") for name in rows[0]]),
    )
    with pytest.raises(InputError, match="pose_Ry.*missing_pose"):
        animation.read_openface(path)
    assert (
        animation.read_openface(path, missing_pose="zeros")[:, animation.column("pose_Ry")] == 0
    ).all()


def test_failed_frames_are_bridged_not_believed(tmp_path, Y):
    success = np.ones(60)
    success[10:13] = 0
    Y[10:13] = 4.99
    animation.write_openface(tmp_path / "a.csv", Y, success=success)
    again = animation.read_openface(tmp_path / "a.csv", absolute=True)
    bridge = np.linspace(Y[9], Y[13], 5)[1:-1]
    assert np.abs(again[10:13] - bridge).max() < 0.06


def test_thirty_frames_a_second_are_resampled(tmp_path):
    t30 = (np.arange(300) + 0.5) / 30
    Y = np.zeros((300, 23))
    Y[:, 14] = 2.5 + 2 * np.sin(2 * np.pi * 0.7 * t30)
    animation.write_openface(tmp_path / "a.csv", Y)
    edit(
        tmp_path / "a.csv",
        lambda rows: [row.__setitem__(1, f"{i / 30:.4f}") for i, row in enumerate(rows[1:])],
    )
    with pytest.warns(UserWarning, match="30.00 frames a second are resampled to 25"):
        again = animation.read_openface(tmp_path / "a.csv")
    t25 = (np.arange(250) + 0.5) / 25
    assert len(again) == 250
    assert np.abs(again[:, 14] - (2.5 + 2 * np.sin(2 * np.pi * 0.7 * t25)))[2:-2].max() < 0.03


def set_times(path, times):
    edit(
        path,
        lambda rows: [
            row.__setitem__(1, f"{t:.3f}") for row, t in zip(rows[1:], times, strict=True)
        ],
    )


def test_rates_near_25_do_not_drift(tmp_path):
    """A minute at 25.2 frames a second is 12 frames longer than 60 s x 25: read as 25 the lips lag
    half a second."""
    n = 1512
    Y = np.zeros((n, 23))
    Y[:, 14] = np.arange(n) / n * 5
    animation.write_openface(tmp_path / "a.csv", Y)
    set_times(tmp_path / "a.csv", np.arange(n) / 25.2)
    with pytest.warns(UserWarning, match="resampled"):
        again = animation.read_openface(tmp_path / "a.csv")
    assert len(again) == 1500 and abs(again[-1, 14] - Y[-1, 14]) < 0.02
    # stamps of three decimals (.033 .067 .1) still give 30 frames a second over a long file
    animation.write_openface(tmp_path / "b.csv", np.zeros((3000, 23)))
    set_times(tmp_path / "b.csv", np.arange(3000) / 30)
    with pytest.warns(UserWarning, match="30.00"):
        assert len(animation.read_openface(tmp_path / "b.csv")) == 2500


def test_valid_frames_are_marked(tmp_path, Y):
    success = np.ones(60, int)
    success[10:13] = 0
    animation.write_openface(tmp_path / "a.csv", Y, success=success)
    # a cut cell in frame 30
    edit(tmp_path / "a.csv", lambda rows: rows[31].__setitem__(-1, ""))
    valid = animation.valid_frames(tmp_path / "a.csv")
    assert np.flatnonzero(~valid).tolist() == [10, 11, 12, 30]
    assert len(valid) == len(animation.read_openface(tmp_path / "a.csv"))


def test_valid_frames_follow_the_resampling(tmp_path):
    """Frames 30..35 of 30 a second fail: 1.0-1.2 s. Frames of 25 that touch them are 25..29 and one
    beside."""
    animation.write_openface(
        tmp_path / "a.csv", np.zeros((60, 23)), success=~((np.arange(60) // 6) == 5)
    )
    set_times(tmp_path / "a.csv", np.arange(60) / 30)
    valid = animation.valid_frames(tmp_path / "a.csv")
    assert len(valid) == 50
    bad = np.flatnonzero(~valid)
    assert set(range(25, 30)) <= set(bad) and bad.min() >= 24 and bad.max() <= 30


def test_lost_rows_keep_their_time_and_are_marked(tmp_path):
    Y = np.zeros((50, 23))
    Y[:, 14] = np.arange(50) / 10
    animation.write_openface(tmp_path / "a.csv", Y)
    lines = (tmp_path / "a.csv").read_text().splitlines()
    # frames 20..24 were never written
    (tmp_path / "a.csv").write_text("\n".join(lines[:21] + lines[26:]))
    again, valid = (
        animation.read_openface(tmp_path / "a.csv"),
        animation.valid_frames(tmp_path / "a.csv"),
    )
    np.testing.assert_allclose(again[:, 14], Y[:, 14], atol=0.01)
    bad = np.flatnonzero(~valid)
    assert set(range(20, 25)) <= set(bad) and len(bad) <= 6


def test_the_neutral_is_the_median_of_measured_frames(tmp_path):
    """Most frames fail after the head turned aside; what is filled in for them must not become the
    neutral."""
    Y = np.zeros((100, 23))
    Y[30:, 18] = 0.5
    animation.write_openface(tmp_path / "a.csv", Y, success=np.arange(100) < 35)
    assert abs(animation.read_openface(tmp_path / "a.csv")[0, 18]) < 1e-6


def test_two_faces_in_one_file_are_not_one_track(tmp_path):
    animation.write_openface(tmp_path / "a.csv", np.zeros((20, 23)))
    set_times(tmp_path / "a.csv", np.repeat(np.arange(10) / 25, 2))
    with pytest.raises(InputError, match="line 3; a file of several faces"):
        animation.read_openface(tmp_path / "a.csv")


@pytest.mark.parametrize(
    "text, word",
    [
        ("", "no frames"),
        ("frame,success\n1,1\n", "lacks the column"),
        ("\x00\x01", "no frames|not a CSV"),
    ],
)
def test_foreign_files_end_in_one_sentence(tmp_path, text, word):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=word):
        animation.read_openface(tmp_path / "a.csv")


def test_nothing_valid_nothing_read(tmp_path, Y):
    animation.write_openface(tmp_path / "a.csv", Y, success=np.zeros(60))
    with pytest.raises(InputError, match="no valid frame"):
        animation.read_openface(tmp_path / "a.csv")


def test_groups_cover_the_23_attributes_once():
    together = sorted(j for group in animation.GROUPS.values() for j in group)
    assert together == list(range(23))
