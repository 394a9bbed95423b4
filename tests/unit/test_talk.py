"""The main job, whole, with tiny networks; and the command with the ugliest input."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from dirfa_edu import cli, talk
from dirfa_edu.animation import POSE, read_openface
from dirfa_edu.discretize import Discretizer
from dirfa_edu.files import InputError, data_path
from dirfa_edu.generator import GenerationNetwork, GeneratorConfig
from dirfa_edu.mapper import MapperConfig, MappingNetwork
from dirfa_edu.training import load_pretrained
from dirfa_edu.video import read_mp4


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(0)
    mapper = MappingNetwork(MapperConfig(bins=20, tau=8, d_model=32, layers=1, heads=2)).eval()
    mapper.discretizer = Discretizer(
        np.r_[np.zeros(17), -np.ones(6)], np.r_[np.full(17, 5.0), np.ones(6)], 20
    )
    return {
        "mapper": mapper,
        "generator": GenerationNetwork(GeneratorConfig(size=64, width=8, keypoints=3)).eval(),
    }


@pytest.fixture
def speech(tmp_path):
    wave = np.random.default_rng(0).normal(0, 0.1, 20_300).astype(np.float32)  # 31.7 frames
    soundfile.write(tmp_path / "speech.wav", wave, 16000)
    return tmp_path / "speech.wav"


@pytest.fixture
def portrait(tmp_path):
    talk.save_png(
        tmp_path / "face.png", np.random.default_rng(0).integers(0, 255, (90, 70, 3), np.uint8)
    )
    return tmp_path / "face.png"


def test_three_faces_as_long_as_the_audio(tmp_path, speech, portrait, networks):
    result = talk.talk(speech, portrait, tmp_path / "out", samples=3, seed=0, **networks)
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == sorted(
        [f"sample_{i}.{end}" for i in (1, 2, 3) for end in ("csv", "mp4")]
        + ["attributes.png", "film_strip.png"]
    )
    assert sorted(p.name for p in result["files"]) == names
    pictures, fps, sound = read_mp4(tmp_path / "out" / "sample_1.mp4")
    assert pictures.shape == (32, 64, 64, 3) and fps == 25
    assert abs(len(sound) / 16000 - 20_300 / 16000) < 1024 / 16000 + 1e-6
    Y = read_openface(tmp_path / "out" / "sample_2.csv", absolute=True)
    assert np.abs(Y[:, :17] - result["animations"][1][:, :17]).max() < 0.006
    assert np.abs(result["animations"][0] - result["animations"][1]).mean() > 0.01


def test_the_same_seed_gives_the_same_files(tmp_path, speech, portrait, networks):
    for name in "ab":
        talk.talk(speech, portrait, tmp_path / name, samples=2, seed=3, **networks)
    for path in (tmp_path / "a").glob("*.csv"):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    one, two = (read_mp4(tmp_path / name / "sample_2.mp4")[0] for name in "ab")
    assert np.array_equal(one, two)


def test_frames_stream_in_batches_without_changing(networks):
    face = np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)
    Y = np.random.default_rng(2).normal(size=(19, 23)).astype(np.float32)
    whole = list(talk.render_frames(networks["generator"], face, Y))
    assert len(whole) == 19 and whole[0].shape == (64, 64, 3)
    alone = next(talk.render_frames(networks["generator"], face, Y[18:]))
    assert np.abs(whole[18].astype(int) - alone).max() <= 3  # bf16 in batches of other sizes


def test_a_film_is_the_same_on_any_number_of_threads_and_may_be_left_halfway(networks):
    face = np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)
    Y = np.random.default_rng(2).normal(size=(61, 23)).astype(np.float32)  # 8 batches
    before = torch.get_num_threads()
    films = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            films.append(np.stack(list(talk.render_frames(networks["generator"], face, Y))))
            some = talk.render_frames(networks["generator"], face, Y)
            assert np.array_equal(next(some), films[0][0])
            some.close()
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(films[0], films[1]) and np.array_equal(films[0], films[2])


def test_a_film_is_the_frames_and_a_source_may_say_what_it_shows(networks):
    generator = networks["generator"]
    face = np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)
    Y = np.random.default_rng(2).normal(size=(19, 23)).astype(np.float32)
    neutral = np.stack(list(talk.render_frames(generator, face, Y)))
    assert np.array_equal(talk.render_film(generator, face, Y), neutral)
    assert np.array_equal(talk.render_film(generator, face, Y, np.zeros(23)), neutral)
    known = talk.render_film(generator, face, Y, Y[0])
    assert known.shape == (19, 64, 64, 3) and not np.array_equal(known, neutral)
    encoded = talk.encode_portrait(generator, face, Y[0])
    assert np.array_equal(talk.render_film(generator, encoded, Y), known)
    some = talk.render_film(generator, face, Y, Y[0], times=[3, 11])
    assert np.abs(some.astype(int) - known[[3, 11]]).max() <= 3  # two at once are rounded otherwise


def test_absolute_driving_measures_the_portraits_own_pose():
    from dirfa_edu.actors.actor import Actor

    pose = np.zeros(23)
    pose[POSE[1]] = 0.3
    Z_src = talk.measured_pose(Actor("iris").render(pose, 256))
    assert abs(Z_src[POSE[1]] - 0.3) < 0.1 and not Z_src[:17].any() and not Z_src[20:].any()
    with pytest.raises(InputError, match="no face is found"):
        talk.measured_pose(np.zeros((64, 64, 3), np.uint8))


def test_an_unknown_driving_is_named(speech, portrait, tmp_path, networks):
    with pytest.raises(InputError, match="no driving 'backwards'"):
        talk.talk(speech, portrait, tmp_path / "out", driving="backwards", **networks)
    assert not (tmp_path / "out").exists()


def test_a_still_face_is_still_also_in_a_last_batch_that_is_not_full():
    """On one thread: batches of one size have one rounding, so no level of any pixel changes."""
    face = np.random.default_rng(1).integers(0, 255, (128, 128, 3), np.uint8)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        film = np.stack(
            list(
                talk.render_frames(
                    load_pretrained("generator"), face, np.ones((19, 23), np.float32)
                )
            )
        )
    finally:
        torch.set_num_threads(before)
    assert (film == film[:1]).all()


@pytest.mark.long
def test_a_long_recording_needs_little_more_memory_than_a_short_one(tmp_path):
    """Peak of a process for 8 s and for 58 s of speech, both below the minute from which the fast
    engine is compiled: the frames of the difference, if they were kept, are another 61 MB; sound,
    features and animation are some 14."""
    script = (
        "import re, sys, numpy, torch; sys.path.insert(0, sys.argv[1]); import test_talk as t\n"
        "from pathlib import Path; out = Path(sys.argv[2]); torch.set_num_threads(1)\n"
        "noise = numpy.random.default_rng(0).normal(0, 0.1, int(sys.argv[3]) * 16000)\n"
        "t.soundfile.write(out / 'long.wav', noise, 16000)\n"
        "t.talk.save_png(out / 'face.png', numpy.zeros((64, 64, 3), numpy.uint8))\n"
        "G = t.GenerationNetwork(t.GeneratorConfig(width=8, keypoints=3)).eval()\n"
        "given = t.networks.__wrapped__() | {'generator': G}\n"
        "t.talk.talk(out / 'long.wav', out / 'face.png', out, samples=1, **given)\n"
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    )
    here = str(Path(__file__).parent)
    peaks = [
        int(
            subprocess.run(
                [sys.executable, "-c", script, here, tmp_path, seconds],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.split()[-1]
        )
        / 1024
        for seconds in ("8", "58")
    ]
    assert peaks[1] - peaks[0] < 30, peaks  # MiB


def test_a_portrait_is_cut_square_and_resized(tmp_path):
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, 20:60] = 255
    talk.save_png(tmp_path / "wide.png", picture)
    assert (talk.load_portrait(tmp_path / "wide.png", 40) == 255).all()
    assert talk.load_portrait(tmp_path / "wide.png", 64).shape == (64, 64, 3)


def command(monkeypatch, capsys, *words) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["dirfa-edu", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code or 0, capsys.readouterr().err.strip()


@pytest.mark.parametrize(
    "fault", ["missing", "text", "empty", "nan", "no picture", "folder below a file", "0 samples"]
)
def test_bad_input_is_one_sentence_and_writes_nothing(
    tmp_path, speech, portrait, fault, monkeypatch, capsys
):
    out, samples = tmp_path / "out", 3
    if fault == "missing":
        speech = tmp_path / "nowhere.wav"
    elif fault == "text":
        speech.write_text("I am not a recording")
    elif fault == "empty":
        soundfile.write(speech, np.zeros(0), 16000)
    elif fault == "nan":
        soundfile.write(speech, np.full(16000, np.nan), 16000, subtype="FLOAT")
    elif fault == "no picture":
        portrait.write_text("I am not a picture")
    elif fault == "folder below a file":
        out = speech / "out"
    elif fault == "0 samples":
        samples = 0
    before = sorted(tmp_path.iterdir())
    code, said = command(
        monkeypatch,
        capsys,
        "talk",
        speech,
        "--portrait",
        portrait,
        "--samples",
        samples,
        "--out",
        out,
    )
    assert code == 2
    assert said.startswith("dirfa-edu: ") and said.count("\n") == 0 and "Traceback" not in said
    assert sorted(tmp_path.iterdir()) == before


def test_8_khz_stereo_works_with_the_shipped_networks(tmp_path, monkeypatch, capsys):
    wave = np.random.default_rng(0).normal(0, 0.1, (6000, 2))
    soundfile.write(tmp_path / "phone.wav", wave, 8000)
    portrait = sorted(data_path("portraits").glob("*.png"))[0]
    code, said = command(
        monkeypatch,
        capsys,
        "talk",
        tmp_path / "phone.wav",
        "--portrait",
        portrait,
        "--samples",
        1,
        "--out",
        tmp_path / "out",
    )
    assert code == 0, said
    assert len(read_mp4(tmp_path / "out" / "sample_1.mp4")[0]) == 19


def test_unknown_presets_and_networks_are_named(tmp_path, monkeypatch, capsys):
    code, said = command(
        monkeypatch, capsys, "train", "mapper", "--preset", "huge", "--out", tmp_path / "runs"
    )
    assert code == 2 and "huge" in said and not (tmp_path / "runs").exists()
    with pytest.raises(InputError, match="nothing to evaluate"):
        cli.evaluate("nose")


def test_doctor_finds_what_is_needed(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["dirfa-edu", "doctor"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert not stop.value.code
    assert "mapper       loads" in capsys.readouterr().out


def test_a_wrong_data_folder_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("DIRFA_EDU_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="DIRFA_EDU_DATA"):
        data_path("models")
