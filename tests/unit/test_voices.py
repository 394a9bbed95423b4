"""The shipped speech is what the data sheet says, and its phone times are those of its sound."""

import hashlib
import importlib
import sys

import numpy as np
import pytest

from dirfa_edu.data.corpus import CHAPTER_CLIP
from dirfa_edu.files import data_path

# sha256 of the chapter clip
SOUND = "b90a297f52e6bbec5ed87c8611b0d85705af2e1c8bdf2a844c0a39589ae02fc2"
PHONES = "9b97e63f0fc9bec289fc40e65a562da378a6abeaebcdfab379260cf7cb2b8376"
VOICES = {"slt", "awb", "kal16", "rms", "kumo"}


@pytest.fixture(scope="module")
def voices():
    """build/voices.py; importing it needs nothing that only building needs."""
    return beside("voices")


@pytest.fixture(scope="module")
def check():
    """build/voices_check.py, likewise."""
    return beside("voices_check")


def beside(name: str):
    """A program of build/ as a module, with those that lie beside it in reach."""
    sys.path.insert(0, str(data_path("build")))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)


@pytest.fixture(scope="module")
def clips(voices):
    """{clip: (voice, wave, phone rows)} of every reading and every real recording."""
    names = [(clip, voice) for clip, _, voice, *_ in voices.readings()]
    names += [(path.stem, "real") for path in sorted(data_path("speech").glob("*.wav"))]
    return {clip: (voice, *voices.read_clip(clip)) for clip, voice in names}


def test_half_an_hour_in_five_voices(voices, clips):
    plan = voices.readings()
    assert {row[2] for row in plan} == VOICES
    seconds = {
        split: sum(len(clips[row[0]][1]) for row in plan if row[1] == split) / 16000
        for split in ("train", "test")
    }
    assert 31 * 60 < seconds["train"] + seconds["test"] < 33 * 60
    assert 1.5 * 60 < seconds["test"] < 2 * 60
    assert len({row[3] for row in plan}) >= 270
    shipped = {path.stem for path in data_path("audio").glob("*.ogg")}
    assert shipped == {row[0] for row in plan}, (
        "a clip without a sentence, or a sentence without its clip"
    )
    phones = {path.stem for path in data_path("phones").glob("*.json")}
    assert phones == set(clips)


def test_splits_share_no_sentence_and_hold_out_a_voice(voices):
    sentences, plan = voices.read_sentences(), voices.readings()
    assert not {s.lower() for s in sentences["test"]} & {s.lower() for s in sentences["train"]}
    for split in ("train", "test"):
        assert {row[3] for row in plan if row[1] == split} == set(sentences[split]), (
            "every sentence is said"
        )
    assert {row[2] for row in plan if row[1] == "train"} == VOICES - {"rms"}
    said = [row[2] for row in plan if row[1] == "test"]
    assert {voice: said.count(voice) for voice in VOICES} == dict(
        rms=6, slt=8, awb=4, kal16=4, kumo=3
    )
    # nobody says the same sentence twice
    assert len({(row[2], row[3]) for row in plan}) == len(plan)


def test_phones_tile_every_clip(voices, check, clips):
    known = check.VOWELS | set(
        "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH PAU".split()
    )
    for clip, (_, wave, rows) in clips.items():
        starts, ends = np.array([row[1] for row in rows]), np.array([row[2] for row in rows])
        assert starts[0] == 0 and (ends > starts).all(), clip
        np.testing.assert_array_equal(starts[1:], ends[:-1], err_msg=clip)
        assert abs(ends[-1] - len(wave) / 16000) <= voices.FRAME, clip
        assert {row[0] for row in rows} <= known, clip
        assert all(row[3] in (0, 1) and (row[0] in check.VOWELS or not row[3]) for row in rows), (
            clip
        )
        assert len(rows) > 10, f"{clip}: an alignment that lost its way"


def test_every_clip_sounds_as_its_phones_say(check, clips):
    """Vowels are louder than the closures of P T K and than pauses."""
    for clip, (_, wave, rows) in clips.items():
        vowels, closures, pauses = check.contrast(wave, rows)
        assert vowels > pauses + 12, clip
        assert np.isnan(closures) or vowels > closures, clip


@pytest.mark.parametrize("voice", sorted(VOICES | {"real"}))
def test_no_voice_lags_and_a_planted_lag_is_found(check, clips, voice):
    own = [(wave, rows) for name, wave, rows in clips.values() if name == voice][:16]
    lag = check.energy_lag(own)
    assert abs(lag) <= 0.025, "the energy is coarse: flite's closures ring on for 5-20 ms"
    vowels, closures, _ = np.nanmean([check.contrast(*clip) for clip in own], axis=0)
    assert vowels > closures + 8
    for planted in (-0.06, 0.06):
        moved = [(np.roll(wave, round(planted * 16000)), rows) for wave, rows in own]
        assert abs(check.energy_lag(moved) - lag - planted) <= 0.01


def test_the_chapter_clip_is_the_one_the_chapters_were_written_for(voices):
    for name, known in (
        (f"audio/{CHAPTER_CLIP}.ogg", SOUND),
        (f"phones/{CHAPTER_CLIP}.json", PHONES),
    ):
        path = data_path(name)
        assert hashlib.sha256(path.read_bytes()).hexdigest() == known
    clip, split, voice, text, *_ = voices.readings()[0]
    assert (clip, split, voice) == (CHAPTER_CLIP, "test", "slt") and text.startswith(
        "A calm map maker"
    )


def test_own_errors_of_three_opinions(check):
    """Errors of known size are found; one that two opinions share counts as the truth's."""
    rng = np.random.default_rng(0)
    truth, sizes = rng.normal(500, 100, 4000), (6.0, 12.0, 20.0)
    opinions = truth[:, None] + rng.normal(size=(4000, 3)) * sizes
    np.testing.assert_allclose(check.own_errors(opinions), sizes, atol=0.8)
    np.testing.assert_allclose(
        check.own_errors(opinions + [0, 30, -7]), sizes, atol=0.8, err_msg="a lag does not count"
    )
    low, high = check.interval(list(opinions.reshape(40, 100, 3)))
    assert low < 6 < high and high - low < 2


def test_voicing_border_is_where_a_tone_starts_and_ends(check):
    t = np.arange(16000) / 16000
    tone = np.where((t > 0.3) & (t < 0.7), np.sin(2 * np.pi * 220 * t), 0)
    tone += np.random.default_rng(0).normal(0, 0.01, 16000)
    rows = [["S", 0, 0.31, 0], ["AA", 0.31, 0.68, 1], ["T", 0.68, 1, 0]]
    found, signs = check.sound_opinion(tone, rows, np.array([np.nan, 0.32, 0.67]))
    assert signs.tolist() == [0, 1, -1] and np.isnan(found[0])
    np.testing.assert_allclose(found[1:], [0.3, 0.7], atol=0.005)


def test_warp_finds_a_planted_stretch(check):
    wave = check.voices.read_clip(CHAPTER_CLIP)[0]
    features = check.cepstrum(wave)[40:140]
    slow = np.interp(np.arange(0, 99.01, 0.8), np.arange(100), np.arange(100))
    stretched = np.array([np.interp(slow, np.arange(100), column) for column in features.T]).T
    path = check.warp(features, stretched)
    np.testing.assert_allclose(path[5:-5], np.arange(100)[5:-5] / 0.8, atol=2)
