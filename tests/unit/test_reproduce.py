"""Trials, tables and figures on a toy corpus with the real code."""

import csv
import json

import numpy as np
import pytest
import torch

from dirfa_edu.animation import LIPS, POSE, column
from dirfa_edu.data.corpus import Corpus
from dirfa_edu.discretize import Discretizer
from dirfa_edu.files import InputError
from dirfa_edu.mapper import MapperConfig, MappingNetwork
from dirfa_edu.results import claims, figures, trials
from dirfa_edu.results.reproduce import reproduce
from dirfa_edu.results.tables import TABLES
from dirfa_edu.training import load_pretrained


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
TOY = {"clips": CLIPS, "films": False, "progress": False}


@pytest.fixture(scope="module")
def table4(tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    return out, reproduce("table4", "smoke", 2, out, **TOY)


def test_writes_files_that_agree(table4):
    out, text = table4
    assert (out / "table4.png").stat().st_size > 5000
    assert (out / "table4.md").read_text() == text
    stored = json.loads((out / "table4.json").read_text())
    rows = list(csv.DictReader((out / "table4.csv").read_text().splitlines()))
    assert len(rows) == 5 * 2 * 3 and {row["row"] for row in rows} == set(TABLES["table4"])

    def mean_of(seed):
        full = [row for row in rows if row["row"] == "Full Model" and row["seed"] == seed]
        return np.mean([float(row["lip_one"]) for row in full])

    per_seed = [mean_of("0"), mean_of("1")]
    mean, half = stored["here"]["Full Model"]["lip_one"]
    assert mean == pytest.approx(np.mean(per_seed))
    assert half == pytest.approx(12.706 * np.ptp(per_seed) / 2, rel=1e-3)  # Student's t
    assert f"{mean:.3f} ± {half:.3f}" in text
    assert "4.45" in text and "N/A" in text  # the paper's numbers stand beside ours
    assert len(stored["claims"]) == 15 and all(claim["reason"] for claim in stored["claims"])


def test_finished_trials_are_not_trained_again(table4, monkeypatch):
    out, text = table4

    def fail(*args, **kwargs):
        raise AssertionError("trained again")

    monkeypatch.setattr(trials, "train_mapper", fail)
    assert reproduce("table4", "smoke", 2, out, **TOY) == text
    with pytest.raises(AssertionError, match="again"):  # another test set is another trial
        reproduce("table4", "smoke", 1, out, **TOY | {"clips": (CLIPS[0], CLIPS[1][1:])})


def test_a_damaged_result_is_made_again(table4):
    out, text = table4
    stored = out / "runs" / "full-smoke-seed0.json"
    stored.write_text(stored.read_text()[:40])
    assert reproduce("table4", "smoke", 2, out, **TOY) == text
    assert not list((out / "runs").glob("*.ckpt"))


def test_table5_trains_one_mapper_per_D(tmp_path, monkeypatch):
    variants = {"D = 10": "D = 10", "D = 100": "D = 100", "D = 500": "full"}
    rows = {row: (variant, "ours") for row, variant in variants.items()}
    monkeypatch.setitem(TABLES, "table5", rows)
    monkeypatch.setattr(claims, "NEIGHBOURS", ("D = 100",))
    reproduce("table5", "smoke", 1, tmp_path, **TOY)
    here = json.loads((tmp_path / "table5.json").read_text())["here"]
    # rounding v in 0..5 to D bins costs a quarter of a bin on average
    for D in (10, 100, 500):
        assert here[f"D = {D}"]["floor"][0] == pytest.approx(5 / D / 4, rel=0.4)


# ---- trials --------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def filmed():
    clip = Corpus("samples").select(split="test", kind="speech", rendered=True)[0]
    return clip, load_pretrained("generator")


def test_paradigms_move_what_their_name_says():
    config = MapperConfig(bins=10, d_model=16, layers=1, heads=2, probabilistic=False)
    network = MappingNetwork(config).eval()
    network.discretizer = Discretizer(np.full(23, -1.0), np.full(23, 5.0), 10)
    clip = CLIPS[0][0]
    truth = clip.animation()

    shown = trials.methods("w/o Prob", network, clip, 3, 0)
    still, posed, plain = (shown[name][0] for name in ("static pose", "true pose", "ours"))
    assert len(shown["ours"]) == 1
    assert np.array_equal(still[:, LIPS], plain[:, LIPS])
    assert np.array_equal(posed[:, LIPS], plain[:, LIPS])
    assert np.array_equal(posed[:, POSE], truth[:, POSE])
    others = [j for j in range(23) if j not in LIPS]
    assert np.ptp(still[:, others], axis=0).max() == 0
    assert np.array_equal(still[0, others], truth[0, others])


def test_films_of_truth_and_of_a_copy_score_as_they_must(filmed):
    clip, generator = filmed
    truth = trials.true_animation(clip)
    played = trials.measure_film(clip, truth, generator)
    copied = trials.measure_film(clip, trials.first_frame_held(truth), generator)
    assert played["psnr"] > copied["psnr"] + 3 and played["lmd"] < 0.5 * copied["lmd"]
    assert played["s_off"] == 0 and played["s_conf"] > 0.2 > copied["s_conf"]
    # the same picture again and again is the same person
    assert copied["acd"] < played["acd"] < 0.4
    late = np.roll(truth, 4, axis=0)
    assert trials.measure_film(clip, late, generator)["s_off"] == 4


@pytest.mark.long
def test_table2_tunes_the_generator_to_the_person_who_is_shown(tmp_path, filmed):
    person = Corpus("samples").select(
        split="test", kind="speech", rendered=True, actor=filmed[0].actor
    )[:2]
    reproduce("table2", "smoke", 1, tmp_path, clips=(CLIPS[0], person), progress=False)
    found = json.loads((tmp_path / "table2.json").read_text())
    wang, evp, ours = found["here"].values()
    full = json.loads((tmp_path / "runs" / "full-smoke-seed0.json").read_text())
    assert ours["lmd"][0] == full["clips"][person[1].name]["ours"]["lmd"]
    assert wang["ebr"][0] == 0
    # two tuning steps and a mild expression: not each figure need differ
    filmed_figures = ("psnr", "acd", "lmd", "s_conf")
    wang, evp, ours = ([row[key][0] for key in filmed_figures] for row in (wang, evp, ours))
    assert wang != evp != ours
    stored = json.loads((tmp_path / "runs" / "subject-smoke-seed0.json").read_text())
    assert list(stored["clips"]) == [person[1].name]  # tuned on the first, shown on the second
    with pytest.raises(InputError, match="one person"):
        reproduce("table2", "smoke", 1, tmp_path, clips=(CLIPS[0], person[:1]), progress=False)


def test_a_stored_trial_of_another_generator_is_not_used(filmed):
    other = trials.digest(filmed[1])
    with torch.no_grad():
        changed = next(filmed[1].parameters())
        before = changed.clone()
        changed[0] += 1e-3
    assert trials.digest(filmed[1]) != other
    with torch.no_grad():
        changed.copy_(before)
    assert trials.digest(filmed[1]) == other


def test_bits_are_counted_by_a_frames_place():
    class Knows(MappingNetwork):  # certain until frame 150, clueless afterwards
        def forward(self, A, previous):
            y = torch.nn.functional.one_hot(self.truth[: A.shape[1]], 10).float()[None] * 50
            y[:, 150:] = 0
            return y

    clips = [ToyClip(i, frames=100) for i in range(3)]
    network = Knows(MapperConfig(bins=10, d_model=16, layers=1, heads=2))
    network.discretizer = Discretizer(np.full(23, -1.0), np.full(23, 5.0), 10)
    truth = np.concatenate([clip.animation() for clip in clips])
    network.truth = torch.from_numpy(network.discretizer.encode(truth))
    clueless = np.log2(10)
    found = trials.bits_by_age(network, clips)
    assert found == pytest.approx([0, 0, clueless, clueless], abs=1e-4)


# ---- figures -------------------------------------------------------------------------------------
@pytest.fixture
def shown(monkeypatch):
    """The arguments of every film strip that is drawn."""
    calls = []
    real = figures.plots.film_strip_figure

    def film_strip_figure(stacks, labels, times):
        calls.append((stacks, labels))
        return real(stacks, labels, times)

    monkeypatch.setattr(figures.plots, "film_strip_figure", film_strip_figure)
    return calls


def apart(a, b):
    """Mean difference of pictures in grey levels."""
    return np.abs(a.astype(int) - b).mean()


@pytest.mark.parametrize(
    "name, rows",
    [
        ("fig2", None),
        pytest.param("fig5", 4, marks=pytest.mark.long),
        pytest.param("fig6", 3, marks=pytest.mark.long),
    ],
)
def test_figures_are_drawn_from_the_trials(tmp_path, filmed, name, rows, shown):
    clip, _ = filmed
    text = figures.make_figure(name, "smoke", tmp_path, clips=(CLIPS[0], [clip]), progress=False)
    assert (tmp_path / f"{name}.{'jpg' if rows else 'png'}").stat().st_size > 5000
    assert (tmp_path / f"{name}.md").read_text() == text
    if rows:
        stacks, _ = shown[0]
        assert len(stacks) == rows
        # no two rows show the same
        assert all(apart(a, b) > 0.3 for a, b in zip(stacks, stacks[1:]))


@pytest.mark.long
def test_figure_4_shows_the_tuned_films_of_one_person(tmp_path, filmed, shown):
    person = Corpus("samples").select(
        split="test", kind="speech", rendered=True, actor=filmed[0].actor
    )[:2]
    figures.make_figure("fig4", "smoke", tmp_path, clips=(CLIPS[0], person), progress=False)
    (recording, wang, evp, ours), labels = shown[0]
    assert [label.split()[0] for label in labels] == ["recording", "tuned,", "tuned,", "ours,"]
    far = [min(apart(frame, recording[3]) for frame in clip.frames()) for clip in person]
    assert far[1] < 4 and far[1] < far[0]  # the clip that was not learned; its film is compressed
    assert apart(wang, evp) > 0 and apart(evp, ours) > 1


@pytest.mark.long
def test_the_tradeoff_has_lines_and_the_rows_of_the_tables(tmp_path, filmed):
    here = {
        "w/o Prob": {"lip_one": [0.3, 0.02]},
        "ours": {"lip_one": [9.0, 0.1]},
        "Full Model": {"lip_one": [0.2, 0.01], "diversity_upper": [0.4, 0.03]},
    }
    (tmp_path / "table4.json").write_text(json.dumps({"here": here}))
    clips = CLIPS[0], [filmed[0]]
    text = figures.make_figure("claim", "smoke", tmp_path, clips, progress=False)  # `tradeoff`
    found = json.loads((tmp_path / "claim.json").read_text())
    assert (tmp_path / "claim.png").stat().st_size > 5000 and "claim.png" in text
    assert found["points"]["w/o Prob"] == [[0, 0.3], [0, 0.02]] and "ours" not in found["points"]
    assert found["points"]["Full Model"] == [[0.4, 0.2], [0.03, 0.01]]
    one, tight, _ = (list(line.values()) for line in found["lines"].values())
    assert one[-1][0] > one[0][0] and one[-1][1] > one[0][1]  # heat: more diverse, worse lips
    assert tight[-1][0] > tight[0][0] and tight[-1][1] < one[-1][1]  # tight lips: only more diverse


# ---- wrong requests ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "wrong", [{"name": "table3"}, {"name": "table2"}, {"preset": "weekend"}, {"seeds": 0}]
)
def test_wrong_requests_are_one_sentence(tmp_path, wrong):
    request = {"name": "table4", "preset": "smoke", "seeds": 1, "out": tmp_path} | TOY | wrong
    with pytest.raises(InputError):
        reproduce(**request)


def test_a_variant_that_nobody_knows_is_one_sentence(tmp_path):
    setup = trials.Setup("smoke", *CLIPS, tmp_path, progress=False)
    with pytest.raises(InputError, match="no variant 'w/o lips': choose one of untrained"):
        trials.run_trial("w/o lips", 0, setup)


def test_a_tuned_trial_without_a_generator_is_one_sentence(tmp_path):
    setup = trials.Setup("smoke", *CLIPS, tmp_path, progress=False)
    with pytest.raises(InputError, match="it needs films"):
        trials.try_tuned(0, setup)


def test_the_plane_shares_the_label_of_points_on_one_spot():
    points = {"a": [(0.3, 0.2)], "b": [(0.305, 0.21)], "c": [(0.5, 0.2), (0.01, 0.02)]}
    fig = figures.plane({"heat": {"1.0": (0.1, 0.2), "0.5": (0.2, 0.1)}}, points)
    words = [text.get_text() for text in fig.axes[0].texts]
    assert words == ["1.0", "0.5", "a\nb", "c"]


@pytest.mark.parametrize("wrong", [{"name": "fig1"}, {"preset": "weekend"}])
def test_wrong_figures_are_one_sentence(tmp_path, wrong):
    with pytest.raises(InputError):
        figures.make_figure(**{"name": "fig2", "out": tmp_path, **wrong})
