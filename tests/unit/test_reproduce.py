"""The tables on a toy corpus with the real code, and the judge on results made up to hold and to fail."""

import csv
import json

import numpy as np
import pytest

from dirfa_edu import reproduce as rp
from dirfa_edu.animation import LIPS, column
from dirfa_edu.files import InputError


class ToyClip:
    """Loudness moves the lips: as much of corpus.Clip as training and measuring ask for."""

    def __init__(self, i, frames=60):
        rng = np.random.default_rng(i)
        loud = 0.5 + 0.5 * np.sin(np.arange(frames) / 4 + rng.random())
        self.name, self.text, self.voice = f"toy{i}", f"sentence {i}", "toy"
        self._A = (0.5 * loud[:, None] + 0.05 * rng.random((frames, 400))).astype(np.float32)
        self._Y = np.zeros((frames, 23), np.float32)
        self._Y[:, LIPS] = 2 * loud[:, None]
        self._Y[:, column("AU12")] = rng.random(frames)
        self._Y[20:24, column("AU45")] = 3
        self._Y[:, 17:] = 0.01 * rng.standard_normal((frames, 6))

    def features(self):
        return self._A

    def animation(self):
        return self._Y

    def truth(self):
        return {"clean": self._Y, "draws": np.stack([self._Y] * 2)}


CLIPS = [ToyClip(i) for i in range(3)], [ToyClip(i) for i in range(3, 6)]


@pytest.fixture(scope="module")
def table4(tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    return out, rp.reproduce("table4", "smoke", 1, out, clips=CLIPS, progress=False)


def test_writes_three_files_that_agree(table4):
    out, text = table4
    assert (out / "table4.md").read_text() == text
    stored = json.loads((out / "table4.json").read_text())
    rows = list(csv.DictReader((out / "table4.csv").read_text().splitlines()))
    assert len(rows) == 3 * 2 and {row["variant"] for row in rows} == set(rp.TABLES["table4"])
    full = [float(row["lmd"]) for row in rows if row["variant"] == "Full Model"]
    assert full == [row["lmd"] for row in stored["here"]["Full Model"][0]]
    assert f"{np.mean(full):.3f}" in text
    assert "4.45" in text and "N/A" in text  # the paper's numbers stand beside ours
    assert len(stored["claims"]) == 7 and all(claim["reason"] for claim in stored["claims"])


def test_finished_runs_are_not_trained_again(table4, monkeypatch):
    out, text = table4

    def fail(*args, **kwargs):
        raise AssertionError("trained again")

    monkeypatch.setattr("dirfa_edu.training.train_mapper", fail)
    assert rp.reproduce("table4", "smoke", 1, out, clips=CLIPS, progress=False) == text
    with pytest.raises(AssertionError, match="again"):  # another test set is another run
        rp.reproduce("table4", "smoke", 1, out, clips=(CLIPS[0], CLIPS[1][1:]), progress=False)


def test_a_damaged_result_is_made_again(table4):
    out, text = table4
    stored = next((out / "runs").glob("*FullModel*.json"))
    stored.write_text(stored.read_text()[:40])
    assert rp.reproduce("table4", "smoke", 1, out, clips=CLIPS, progress=False) == text
    assert not list((out / "runs").glob("*.ckpt"))


def test_table5_trains_one_mapper_per_D(tmp_path, monkeypatch):
    monkeypatch.setitem(rp.TABLES, "table5", {f"D = {D}": {"bins": D} for D in (10, 100, 500)})
    rp.reproduce("table5", "smoke", 1, tmp_path, clips=CLIPS, progress=False)
    here = json.loads((tmp_path / "table5.json").read_text())["here"]
    floor = {variant: rp.average(runs, "floor") for variant, runs in here.items()}
    # rounding v in 0..5 to D bins costs a quarter of a bin on average
    for D in (10, 100, 500):
        assert floor[f"D = {D}"] == pytest.approx(5 / D / 4, rel=0.4)


def made_up(**figures):
    """Results of 8 clips with a little noise about the figures given."""
    base = dict.fromkeys([*rp.COLUMNS, "ebr_truth"], 1.0) | figures
    rng = np.random.default_rng(0)
    return [[{key: value + 0.01 * rng.standard_normal() for key, value in base.items()} for _ in range(8)]]


def verdicts(name, results):
    return {claim["claim"]: claim["verdict"] for claim in rp.judge(name, results)}


def test_judge_finds_what_the_paper_found():
    found = verdicts("table4", {"w/o Prob": made_up(lmd=2, ebr=0, motion_upper=0.1),
                                "w/o TBM": made_up(lmd=3, jitter_pose=3), "Full Model": made_up(lmd=1, ebr=0.33)})
    assert list(found.values()) == ["holds"] * 6 + ["cannot be tested here"]


def test_judge_says_when_an_effect_does_not_appear():
    same = {variant: made_up(ebr=0.6) for variant in rp.TABLES["table4"]}
    found = verdicts("table4", same)
    assert list(found.values()) == ["does not hold here"] * 6 + ["cannot be tested here"]


def test_a_difference_within_chance_is_not_a_finding():
    rng = np.random.default_rng(1)
    noisy = [[{"lmd": 1 + rng.standard_normal()} for _ in range(8)] for _ in range(2)]
    gap, low, high = rp.compare(noisy[:1], noisy[1:], "lmd")
    assert low < gap < high and low < 0 < high
    shifted = [[{"lmd": row["lmd"] + 0.5} for row in noisy[0]]]
    gap, low, high = rp.compare(noisy[:1], shifted, "lmd")  # paired: the clips' own spread drops out
    assert gap == pytest.approx(0.5) and low == pytest.approx(0.5)


def test_judge_of_table5():
    lmds = {10: 9.3, 100: 5.9, 250: 4.8, 500: 4.4, 750: 4.7}
    found = verdicts("table5", {f"D = {D}": made_up(lmd=value, floor=1.25 / D + 0.01) for D, value in lmds.items()})
    assert list(found.values())[:3] == ["holds"] * 3


def test_lmd_on_the_actor_grows_with_the_lips_and_not_with_pose():
    rest, open_, turned = np.zeros((1, 23)), np.zeros((1, 23)), np.zeros((1, 23))
    open_[0, column("AU26")], turned[0, column("pose_Ry")] = 2, 0.5
    from dirfa_edu.metrics import lmd

    assert lmd(rp.mouth(rest), rp.mouth(turned)) == 0
    assert lmd(rp.mouth(rest), rp.mouth(open_)) > 1
    assert lmd(rp.mouth(rest), rp.mouth(open_ / 2)) < lmd(rp.mouth(rest), rp.mouth(open_))


@pytest.mark.parametrize("wrong", [{"name": "table3"}, {"preset": "weekend"}, {"seeds": 0}])
def test_wrong_requests_are_one_sentence(tmp_path, wrong):
    with pytest.raises(InputError):
        rp.reproduce(**{"name": "table4", "preset": "smoke", "seeds": 1, "out": tmp_path, "clips": CLIPS, **wrong})
