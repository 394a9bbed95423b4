"""Clips on disk: the sample corpus is whole and well split; other corpora are recognised by their
shape."""

import dataclasses
import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from dirfa_edu import audio, cli
from dirfa_edu.animation import column, observed_events, write_openface
from dirfa_edu.audio import frame_count
from dirfa_edu.data.corpus import CHAPTER_CLIP, PROBE_TRAIN, Clip, Corpus
from dirfa_edu.data.integrity import FILES, fingerprint
from dirfa_edu.files import InputError
from dirfa_edu.video import write_mp4


@pytest.fixture(scope="module")
def corpus():
    return Corpus("samples")


def film(path, seconds=0.4, sound=True):
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.1 * np.sin(np.arange(int(16000 * seconds)) * 0.2).astype(np.float32)
    write_mp4(
        path,
        [np.full((32, 32, 3), 8 * t, np.uint8) for t in range(int(25 * seconds))],
        wave if sound else None,
    )


def test_the_shipped_corpus_is_what_its_manifest_says(corpus):
    assert corpus.check() == []


def test_splits_share_neither_actors_nor_sentences(corpus):
    for field in ("actor", "text"):
        train, test = (
            {getattr(c, field) for c in corpus.select(split=s)} - {""} for s in ("train", "test")
        )
        assert train and test and not train & test, field
    assert (
        {c.split for c in corpus.select(voice="rms")}
        == {"test"}
        == {c.split for c in corpus.select(kind="real")}
    )


def test_size_is_what_the_data_sheet_promises(corpus):
    speech = corpus.select(kind="speech")
    assert 30 < sum(c.seconds for c in speech) / 60 < 36
    assert len({c.actor for c in corpus.clips}) == 32 and len({c.voice for c in speech}) >= 5
    assert 25 * sum(c.seconds for c in corpus.select(rendered=True)) >= 6000, "filmed frames"
    assert (
        sum(path.stat().st_size for path in corpus.root.rglob("*") if path.is_file()) < 64_000_000
    )


def test_one_clip_agrees_with_itself(corpus):
    clip = corpus.select(split="test", voice="rms")[0]
    wave, Y, truth = clip.wave(), clip.animation(), clip.truth()
    T = frame_count(len(wave))
    assert clip.features().shape == (T, 400) and Y.shape == (T, 23)
    assert truth["clean"].shape == (T, 23) and truth["draws"].shape == (8, T, 23)
    assert np.abs(Y - truth["clean"])[:, column("AU25")].mean() < 0.15, (
        "the CSV is the clean track, measured"
    )
    assert set(truth["events"]) == set(observed_events(Y))
    assert all(0 <= p.min() and p.max() <= 1 and p.shape == (T,) for p in truth["events"].values())
    phones = clip.phones()
    assert all(a[2] == b[1] for a, b in zip(phones, phones[1:], strict=False)), (
        "phones follow one another"
    )
    assert len(clip.phones(stress=True)[0]) == 4


def test_train_clips_carry_further_draws_of_the_same_sound(corpus):
    truth = corpus.select(split="train", kind="speech")[0].truth()
    assert truth["draws"].shape[0] == 2 and truth["events"] == {}
    lips = [
        np.corrcoef(truth["clean"][:, column("AU25")], d[:, column("AU25")])[0, 1]
        for d in truth["draws"]
    ]
    assert min(lips) > 0.9


def test_event_probabilities_are_counted_over_a_thousand_draws(corpus):
    """Blinks know nothing of the words, so their probability is the same in every frame: what
    varies is the counting, by p (1 - p) / draws. (Taken every eighth frame: neighbours see the same
    blink.)
    """
    varied, expected = 0, 0
    for clip in corpus.select(split="test", kind="speech") + corpus.select(kind="real"):
        p = clip.truth()["events"]["blink"][::8]
        varied += ((p - p.mean()) ** 2).sum()
        expected += (len(p) - 1) * p.mean() * (1 - p.mean()) / 1000
    assert 0.5 < varied / expected < 2


def test_chapter_clips_frame_17_is_an_open_vowel_with_a_bilabial_near(corpus):
    clip = corpus[CHAPTER_CLIP]
    assert 4.5 < clip.seconds < 5.5 and clip.split == "test"
    ((vowel, start, end, stressed),) = [
        p for p in clip.phones(stress=True) if p[1] <= 0.68 and p[2] >= 0.72
    ]
    assert vowel in ("AA", "AE", "AH") and stressed == 1
    near = [
        p
        for p, a, b in clip.phones()
        if p in ("P", "B", "M") and (0 <= start - b < 0.1 or 0 <= a - end < 0.1)
    ]
    assert near
    clean = clip.truth()["clean"][:, column("AU25")]
    assert clean[17] > 0.6 * clean.max() and clean[14:21].min() < 0.2


@pytest.fixture
def one(corpus, tmp_path):
    """A corpus of one filmed test clip, copied, with the sha256 of its files in its manifest."""
    clip = corpus.select(split="test", voice="awb", rendered=True)[0]
    for name in FILES:
        path = Path(getattr(clip, name))
        copy = tmp_path / path.relative_to(corpus.root)
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(path, copy)
    header, *rows = (corpus.root / "manifest.csv").read_text().splitlines()
    row = next(r for r in rows if r.startswith(clip.name + ","))
    (tmp_path / "manifest.csv").write_text(
        f"{header}\n{row.rsplit(',', 1)[0]},{fingerprint(clip)}\n"
    )
    return Corpus(tmp_path)


def flip(path, place):
    data = bytearray(path.read_bytes())
    data[int(place * (len(data) - 1))] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", FILES)
def test_one_flipped_byte_in_any_file_is_found(one, name):
    assert one.check() == []
    path, rng = Path(getattr(one.clips[0], name)), np.random.default_rng(3)
    for place in (0, 1, *rng.random(6)):
        flip(path, place)
        problems = one.check()
        assert len(problems) == 1 and path.name in problems[0], (place, problems)
        flip(path, place)
    assert one.check() == []
    flip(path, 0)
    # without its first byte it cannot be read: this file it is
    if name in ("video", "phone_file", "truth_file"):
        others = one.clips[0].audio, one.clips[0].csv
        assert not any(Path(other).name in one.check()[0] for other in others)
    path.unlink()
    assert one.check() == [f"{one.clips[0].name}: {path} is missing"]


def test_bytes_may_not_move_between_files(one):
    clip = one.clips[0]
    film, phone_file = Path(clip.video), Path(clip.phone_file)
    phones = phone_file.read_bytes()
    film.write_bytes(film.read_bytes() + phones[:1])
    phone_file.write_bytes(phones[1:])
    assert len(one.check()) == 1


def test_doctor_ends_with_one_sentence_and_code_2(one, monkeypatch, capsys):
    monkeypatch.setattr("dirfa_edu.training.load_pretrained", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["dirfa-edu", "doctor", "--folder", str(one.root)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert (
        not stop.value.code and "1 clips, every file as in the manifest" in capsys.readouterr().out
    )
    phone_file = Path(one.clips[0].phone_file)
    flip(phone_file, 0.5)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    said = capsys.readouterr().err
    assert stop.value.code == 2 and said.count("\n") == 1 and phone_file.name in said


def test_other_corpora_are_checked_by_opening_what_they_hold(tmp_path, monkeypatch, capsys):
    for name in ("good", "torn", "mute", "noframes", "nopose"):
        film(tmp_path / f"{name}.mp4", sound=name != "mute")
        write_openface(tmp_path / f"{name}.csv", np.zeros((10, 23)))
    assert [p for p in Corpus(tmp_path).check() if not p.startswith("mute")] == []
    torn, none, pose = (tmp_path / n for n in ("torn.mp4", "noframes.csv", "nopose.csv"))
    torn.write_bytes(torn.read_bytes()[:300])
    none.write_text(none.read_text().splitlines()[0] + "\n")
    pose.write_text(pose.read_text().replace("pose_Rx", "other"))
    problems = {p.split(":")[0]: p for p in Corpus(tmp_path).check()}
    assert set(problems) == {"torn", "mute", "noframes", "nopose"}
    assert (
        "no frames" in problems["noframes"]
        and "pose_Rx" in problems["nopose"]
        and "sound" in problems["mute"]
    )
    assert "torn.mp4" in problems["torn"]
    monkeypatch.setattr("dirfa_edu.training.load_pretrained", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["dirfa-edu", "doctor", "--folder", str(tmp_path)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2 and "problems in" in capsys.readouterr().err


def test_films_without_csv_are_one_problem_together(tmp_path):
    for n in range(3):
        film(tmp_path / f"mp4/id00001/v/0000{n}.mp4")
    (problem,) = Corpus(tmp_path).check()
    assert "3 of 3 clips have no OpenFace CSV" in problem and "extract" in problem


def test_an_actor_in_two_splits_is_found(tmp_path):
    header = "clip,kind,split,actor,voice,text,seed,seconds,frames,audio,csv,video,sha256\n"
    rows = "a,probe,train,anna,,,0,1,25,,,,\nb,probe,test,anna,,,0,1,25,,,,\n"
    (tmp_path / "manifest.csv").write_text(header + rows)
    assert any("anna" in problem for problem in Corpus(tmp_path).check())


def test_openface_folder(tmp_path):
    Y = np.zeros((10, 23))
    Y[:, column("AU25")] = np.linspace(0, 3, 10)
    write_openface(tmp_path / "val/talk.csv", Y, offset=np.r_[0.1, 0, 0, 5, 5, 550])
    sf.write(tmp_path / "val/talk.wav", 0.1 * np.sin(np.arange(6400) * 0.2), 16000)
    write_openface(tmp_path / "other.csv", Y)
    film(tmp_path / "other.mp4")
    (tmp_path / "notes.csv").write_text("not,a,track\n1,2,3\n")
    clips = {c.name: c for c in Corpus(tmp_path).clips}
    assert set(clips) == {"val/talk", "other"}
    talk, other = clips["val/talk"], clips["other"]
    assert talk.split == "val" and talk.video is None and len(talk.wave()) == 6400
    np.testing.assert_allclose(talk.animation(), Y, atol=0.01)
    assert (
        other.split == "train"
        and other.frames().shape == (10, 32, 32, 3)
        and len(other.wave()) > 6000
    )
    assert talk.valid().all() and len(talk.valid()) == 10
    with pytest.raises(InputError, match="video"):
        talk.frames()


def test_a_track_without_pose_loads_on_request(tmp_path):
    write_openface(tmp_path / "a.csv", np.ones((10, 23)))
    text = (tmp_path / "a.csv").read_text()
    (tmp_path / "a.csv").write_text(text.replace("pose_", "other_"))
    (clip,) = Corpus(tmp_path)
    with pytest.raises(InputError, match="missing_pose='zeros'"):
        clip.animation()
    Y = clip.animation(missing_pose="zeros")
    assert not Y[:, 17:].any() and (Y[:, :17] == 1).all()


def test_voxceleb2_tree(tmp_path):
    film(tmp_path / "dev/mp4/id00012/21Uxsk56VDQ/00001.mp4")
    film(tmp_path / "test/mp4/id00017/01dfn2spqyE/00001.mp4")
    a, b = Corpus(tmp_path).clips
    assert (a.name, a.split, a.actor) == ("id00012/21Uxsk56VDQ/00001", "train", "id00012")
    assert (b.split, b.actor, b.kind) == ("test", "id00017", "real")
    assert a.features().shape[1] == 400 and len(a.frames()) == 10
    with pytest.raises(InputError, match="extract"):
        a.animation()


def test_lrw_tree(tmp_path):
    for split in ("train", "val", "test"):
        film(tmp_path / f"ABOUT/{split}/ABOUT_00001.mp4")
    clips = Corpus(tmp_path).clips
    assert [c.split for c in clips] == ["test", "train", "val"] and {c.text for c in clips} == {
        "ABOUT"
    }
    assert len({c.name for c in clips}) == 3
    with pytest.raises(InputError, match="Duration"):
        clips[1].word_span()
    (tmp_path / "ABOUT/train/ABOUT_00001.txt").write_text(
        "Channel: BBC\nClip end: 9\nDuration: 0.36 seconds\n"
    )
    np.testing.assert_allclose(clips[1].word_span(), (0.58 - 0.18, 0.58 + 0.18))


def test_other_frame_rates_are_brought_to_25(tmp_path):
    write_openface(tmp_path / "x.csv", np.zeros((10, 23)))
    write_mp4(
        tmp_path / "x.mp4", [np.full((32, 32, 3), 2 * t, np.uint8) for t in range(50)], fps=50
    )
    assert len(Corpus(tmp_path).clips[0].frames()) == 25


def test_what_is_not_a_corpus_says_so(tmp_path, corpus):
    with pytest.raises(InputError, match="no folder"):
        Corpus(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no clips"):
        Corpus(tmp_path).clips  # noqa: B018
    with pytest.raises(InputError, match="no clip named"):
        corpus["nobody"]
    (tmp_path / "manifest.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="manifest"):
        Corpus(tmp_path).clips  # noqa: B018


def test_events_are_seen_where_they_were_put():
    Y = np.zeros((60, 23))
    Y[10:14, column("AU45")] = 3
    Y[20:30, column("AU12")] = 1
    Y[40:44, column("pose_Rx")] = 0.06
    seen = observed_events(Y)
    assert np.flatnonzero(seen["blink"]).tolist() == [10, 11, 12, 13]
    assert np.flatnonzero(seen["smile"]).tolist() == list(range(20, 30))
    assert np.flatnonzero(seen["nod"]).tolist() == [40, 41, 42, 43]
    assert not seen["frown"].any()


def test_films_show_the_actors_at_work(corpus):
    assert {c.actor for c in corpus.select(kind="probe", rendered=True)} == {
        c.actor for c in corpus.clips
    }
    assert all(c.video for c in corpus.select(split="test")), "every test clip is filmed"
    clip = corpus[CHAPTER_CLIP]
    frames, clean = clip.frames(), clip.truth()["clean"]
    assert frames.shape == (len(clean), 128, 128, 3)
    # the mouth's part of the picture darkens as the jaw opens: film and track agree at no shift but
    # zero
    mouth = -frames[:, 76:96, 52:76].mean((1, 2, 3))
    jaw = clean[:, column("AU26")]
    match = [np.corrcoef(mouth[5 + s : len(mouth) - 5 + s], jaw[5:-5])[0, 1] for s in range(-4, 5)]
    assert np.argmax(match) == 4 and match[4] > 0.5


def test_probes_are_exact_and_start_neutral(corpus):
    assert PROBE_TRAIN == 40
    for clip in corpus.select(kind="probe")[:4]:
        Y = clip.animation()
        assert Y.shape == (90, 23) and not Y[0].any(), (
            "the median pose is zero, so reading moves nothing"
        )
        assert Y[1:].std(0).min() > 0 and len(clip.frames()) == 90
        with pytest.raises(InputError, match="sound"):
            clip.wave()


def test_a_clip_keeps_its_paths_whatever_is_done_to_it():
    clip = Clip("a", "train", audio="x/a.wav", csv="x/a.csv")
    assert clip.sound_file() == Path("x/a.wav") and clip.track_file() == Path("x/a.csv")
    assert clip.audio == "x/a.wav" and clip.csv == "x/a.csv" and clip.video is None
    assert clip == Clip("a", "train", audio="x/a.wav", csv="x/a.csv") and len({clip, clip}) == 1
    assert pickle.loads(pickle.dumps(clip)) == clip
    film = dataclasses.replace(clip, video="v.mp4", audio=None)
    assert film.video == "v.mp4" and film.sound_file() == Path("v.mp4")
    with pytest.raises(dataclasses.FrozenInstanceError):
        clip.audio = None


def tone(path, pitch=0.2):
    sf.write(path, 0.1 * np.sin(np.arange(6400) * pitch), 16000)


@pytest.fixture
def cached(tmp_path):
    write_openface(tmp_path / "data/a.csv", np.zeros((10, 23)))
    tone(tmp_path / "data/a.wav")
    return Corpus(tmp_path / "data", cache=tmp_path / "cache").clips[0], tmp_path


def forbid(monkeypatch):
    def never(*_):
        raise AssertionError("features were made again")

    monkeypatch.setattr(audio, "log_mel", never)


def test_features_are_read_again_not_made_again(cached, monkeypatch):
    clip, folder = cached
    first = clip.features()
    plain = Corpus(folder / "data").clips[0]
    forbid(monkeypatch)
    again = clip.features()
    assert again.dtype == np.float32 and again.tobytes() == first.tobytes()
    with pytest.raises(AssertionError, match="again"):
        plain.features()  # nobody asked for a cache
    monkeypatch.setenv("DIRFA_EDU_CACHE", str(folder / "cache"))
    assert plain.features().tobytes() == first.tobytes()
    assert len([p for p in (folder / "cache").rglob("*") if p.is_file()]) == 1, (
        "and nothing half-written beside it"
    )


def test_other_sound_never_gets_anothers_features(cached):
    clip, folder = cached
    first = clip.features()
    tone(folder / "data/a.wav", 0.3)
    other = clip.features()
    assert np.abs(first - other).max() > 0.1
    flip(folder / "data/a.wav", 0.7)
    assert clip.features().shape == (10, 400)
    files = [p for p in (folder / "cache").rglob("*") if p.is_file()]
    assert len(files) == 3, "one flipped byte is another sound"
    files[0].write_bytes(files[1].read_bytes())  # even a file under another's name is not believed
    for pitch, A in ((0.2, first), (0.3, other)):
        tone(folder / "data/a.wav", pitch)
        assert clip.features().tobytes() == A.tobytes()


@pytest.mark.parametrize(
    "harm",
    [
        lambda p: p.write_bytes(p.read_bytes()[:-100]),
        lambda p: p.write_bytes(b""),
        lambda p: flip(p, 0.5),
        lambda p: flip(p, 0.0),
        lambda p: flip(p, 0.01),
    ],
)
def test_a_damaged_cache_file_is_made_again(cached, harm, monkeypatch):
    clip, folder = cached
    first = clip.features()
    (file,) = (p for p in (folder / "cache").rglob("*") if p.is_file())
    whole = file.read_bytes()
    harm(file)
    assert clip.features().tobytes() == first.tobytes() and file.read_bytes() == whole
    forbid(monkeypatch)
    clip.features()


def test_features_of_another_front_end_are_not_used(cached, monkeypatch):
    clip, _ = cached
    clip.features()
    monkeypatch.setattr("dirfa_edu.data.corpus._front_end", lambda: b"another text of audio.py")
    forbid(monkeypatch)
    with pytest.raises(AssertionError, match="again"):
        clip.features()
