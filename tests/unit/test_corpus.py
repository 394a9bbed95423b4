"""Clips on disk: the sample corpus is whole and well split; other corpora are recognised by their shape."""
import shutil

import numpy as np
import pytest
import soundfile as sf

from dirfa_edu.animation import column, write_openface
from dirfa_edu.audio import frame_count
from dirfa_edu.corpus import CHAPTER_CLIP, Corpus, observed_events
from dirfa_edu.files import InputError
from dirfa_edu.video import write_mp4


@pytest.fixture(scope="module")
def corpus():
    return Corpus("samples")


def film(path, seconds=.4, sound=True):
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = .1 * np.sin(np.arange(int(16000 * seconds)) * .2).astype(np.float32)
    write_mp4(path, [np.full((32, 32, 3), 8 * t, np.uint8) for t in range(int(25 * seconds))], wave if sound else None)


def test_the_shipped_corpus_is_what_its_manifest_says(corpus):
    assert corpus.check() == []


def test_splits_share_neither_actors_nor_sentences(corpus):
    for field in ("actor", "text"):
        train, test = ({getattr(c, field) for c in corpus.select(split=s)} - {""} for s in ("train", "test"))
        assert train and test and not train & test, field
    assert {c.split for c in corpus.select(voice="rms")} == {"test"} == {c.split for c in corpus.select(kind="real")}


def test_size_is_what_the_data_sheet_promises(corpus):
    minutes = sum(c.seconds for c in corpus.select(kind="speech")) / 60
    assert 14 < minutes < 18
    assert len({c.actor for c in corpus.clips}) == 32


def test_one_clip_agrees_with_itself(corpus):
    clip = corpus.select(split="test", voice="rms")[0]
    wave, Y, truth = clip.wave(), clip.animation(), clip.truth()
    T = frame_count(len(wave))
    assert clip.features().shape == (T, 400) and Y.shape == (T, 23)
    assert truth["clean"].shape == (T, 23) and truth["draws"].shape == (8, T, 23)
    assert np.abs(Y - truth["clean"])[:, column("AU25")].mean() < .15, "the CSV is the clean track, measured"
    assert set(truth["events"]) == set(observed_events(Y))
    phones = clip.phones()
    assert all(a[2] == b[1] for a, b in zip(phones, phones[1:], strict=False)), "phones follow one another"
    assert len(clip.phones(stress=True)[0]) == 4


def test_train_clips_carry_further_draws_of_the_same_sound(corpus):
    truth = corpus.select(split="train", kind="speech")[0].truth()
    assert truth["draws"].shape[0] == 3 and truth["events"] == {}
    lips = [np.corrcoef(truth["clean"][:, column("AU25")], d[:, column("AU25")])[0, 1] for d in truth["draws"]]
    assert min(lips) > .9


def test_chapter_clips_frame_17_is_an_open_vowel_with_a_bilabial_near(corpus):
    clip = corpus[CHAPTER_CLIP]
    assert 4.5 < clip.seconds < 5.5 and clip.split == "test"
    (vowel, start, end, stressed), = [p for p in clip.phones(stress=True) if p[1] <= .68 and p[2] >= .72]
    assert vowel in ("AA", "AE", "AH") and stressed == 1
    near = [p for p, a, b in clip.phones() if p in ("P", "B", "M") and (0 <= start - b < .1 or 0 <= a - end < .1)]
    assert near
    clean = clip.truth()["clean"][:, column("AU25")]
    assert clean[17] > 2 and clean[14:21].min() < .2


def test_a_flipped_byte_and_a_lost_file_are_found(corpus, tmp_path):
    clip = corpus.select(split="test", voice="awb")[0]
    header, *rows = (corpus.root / "manifest.csv").read_text().splitlines()
    row = next(r for r in rows if r.startswith(clip.name + ","))
    (tmp_path / "manifest.csv").write_text(header + "\n" + row + "\n")
    for path in (clip.audio, clip.csv, clip.video, clip.phone_file, clip.truth_file):
        if path:
            copy = tmp_path / path.relative_to(corpus.root)
            copy.parent.mkdir(exist_ok=True)
            shutil.copy(path, copy)
    copy = Corpus(tmp_path)
    assert copy.check() == []
    audio = tmp_path / clip.audio.relative_to(corpus.root)
    data = bytearray(audio.read_bytes())
    data[len(data) // 2] ^= 1
    audio.write_bytes(data)
    assert len(copy.check()) == 1 and "sha256" in copy.check()[0]
    audio.unlink()
    assert "missing" in copy.check()[0]


def test_an_actor_in_two_splits_is_found(tmp_path):
    header = "clip,kind,split,actor,voice,text,seed,seconds,frames,audio,csv,video,sha256\n"
    rows = "a,probe,train,anna,,,0,1,25,,,,\nb,probe,test,anna,,,0,1,25,,,,\n"
    (tmp_path / "manifest.csv").write_text(header + rows)
    assert any("anna" in problem for problem in Corpus(tmp_path).check())


def test_openface_folder(tmp_path):
    Y = np.zeros((10, 23))
    Y[:, column("AU25")] = np.linspace(0, 3, 10)
    write_openface(tmp_path / "val/talk.csv", Y, offset=np.r_[.1, 0, 0, 5, 5, 550])
    sf.write(tmp_path / "val/talk.wav", .1 * np.sin(np.arange(6400) * .2), 16000)
    write_openface(tmp_path / "other.csv", Y)
    film(tmp_path / "other.mp4")
    (tmp_path / "notes.csv").write_text("not,a,track\n1,2,3\n")
    clips = {c.name: c for c in Corpus(tmp_path).clips}
    assert set(clips) == {"val/talk", "other"}
    talk, other = clips["val/talk"], clips["other"]
    assert talk.split == "val" and talk.video is None and len(talk.wave()) == 6400
    np.testing.assert_allclose(talk.animation(), Y, atol=.01)
    assert other.split == "train" and other.frames().shape == (10, 32, 32, 3) and len(other.wave()) > 6000
    with pytest.raises(InputError, match="video"):
        talk.frames()


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
    assert [c.split for c in clips] == ["test", "train", "val"] and {c.text for c in clips} == {"ABOUT"}
    assert len({c.name for c in clips}) == 3


def test_other_frame_rates_are_brought_to_25(tmp_path):
    write_openface(tmp_path / "x.csv", np.zeros((10, 23)))
    write_mp4(tmp_path / "x.mp4", [np.full((32, 32, 3), 2 * t, np.uint8) for t in range(50)], fps=50)
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
    Y[40:44, column("pose_Rx")] = .06
    seen = observed_events(Y)
    assert np.flatnonzero(seen["blink"]).tolist() == [10, 11, 12, 13]
    assert np.flatnonzero(seen["smile"]).tolist() == list(range(20, 30))
    assert np.flatnonzero(seen["nod"]).tolist() == [40, 41, 42, 43]
    assert not seen["frown"].any()


def test_films_show_the_actors_at_work(corpus):
    assert {c.actor for c in corpus.select(kind="probe", rendered=True)} == {c.actor for c in corpus.clips}
    assert all(c.video for c in corpus.select(split="test")), "every test clip is filmed"
    clip = corpus[CHAPTER_CLIP]
    frames, clean = clip.frames(), clip.truth()["clean"]
    assert frames.shape == (len(clean), 128, 128, 3)
    # the mouth's part of the picture darkens as the jaw opens: film and track agree at no shift but zero
    mouth = -frames[:, 76:96, 52:76].mean((1, 2, 3))
    jaw = clean[:, column("AU26")]
    match = [np.corrcoef(mouth[5 + s:len(mouth) - 5 + s], jaw[5:-5])[0, 1] for s in range(-4, 5)]
    assert np.argmax(match) == 4 and match[4] > .5


def test_probes_are_exact_and_start_neutral(corpus):
    for clip in corpus.select(kind="probe")[:4]:
        Y = clip.animation()
        assert Y.shape == (60, 23) and not Y[0].any(), "the median pose is zero, so reading moves nothing"
        assert Y[1:].std(0).min() > 0 and len(clip.frames()) == 60
        with pytest.raises(InputError, match="sound"):
            clip.wave()
