"""Are the shipped phone times right? Other opinions on where phones start, over a seeded sample of
clips.

    python data_samples/build/voices_check.py [--clips 24] [--agree 80]

Opinions that know nothing of the shipped times: the *second* (a forced aligner for flite's voices,
the model's own lengths for kumo at word starts, the sound itself for people), and the *warp*: the
sentence spoken by the other voices of flite, each warped onto the clip. If the errors of three
opinions are independent, the variances of their differences give the error of each: var a =
(var(a-b) + var(a-c) - var(b-c)) / 2. And without any such reckoning, the *sound*: where its voicing
starts and ends beside voiceless consonants, with the lag that the other figures leave out.
"""

import argparse
import difflib
from functools import lru_cache

import numpy as np
import voices
from alignment import SR, VOWELS, align_words, dictionary, spoken_words

STEP = 80  # samples between two rows of a spectrum: 5 ms
FLITE = ("slt", "awb", "kal16", "rms")
VOICELESS = set("P T K F TH S SH CH".split())
REACH = 0.06  # s; how far about the warp voicing is looked for


# ---- what the sound says


def loudness(wave: np.ndarray) -> np.ndarray:
    """dB in steps of 5 ms: row i is heard in the 10 ms about 5 i ms."""
    power = np.r_[np.zeros(80), np.asarray(wave, float) ** 2, np.zeros(160)].cumsum()
    return 10 * np.log10((power[160::STEP] - power[:-160:STEP]) / 160 + 1e-8)


def contrast(wave: np.ndarray, rows: list, lag: float = 0.0) -> tuple:
    """Loudness (dB) where vowels, closures of P T K, and pauses are said to be, were all of them
    `lag` s later.

    Needs no aligner: if the times are right, vowels are loud and the others are quiet -> (vowels,
    closures, pauses).
    """
    level, places = loudness(wave), {"vowel": [], "closure": [], "pause": []}
    for (before, *_), (phone, start, end, *_) in zip([["PAU"], *rows], rows):
        kind = "vowel" if phone in VOWELS else "pause" if phone == "PAU" else None
        if phone in ("P", "T", "K") and before in VOWELS:
            kind, end = "closure", start + 0.6 * (end - start)  # the rest is the burst
        if kind:
            inside = np.arange(np.ceil((start + lag) / 0.005), (end + lag) / 0.005).astype(int)
            places[kind].append(level[inside.clip(0, len(level) - 1)])
    return tuple(float(np.concatenate(x).mean()) if x else np.nan for x in places.values())


def energy_lag(clips: list) -> float:
    """The lag (s) at which vowels are loudest beside closures and pauses, over [(wave, rows)]: 0 if
    times are right."""
    lags = np.arange(-0.12, 0.1201, 0.005)
    means = [np.nanmean([contrast(*clip, lag) for clip in clips], axis=0) for lag in lags]
    score = np.array(means) @ [2, -1, -1]
    return float(lags[np.argmax(score)])


def spectrum(wave: np.ndarray, window: int) -> tuple:
    """Power in steps of 5 ms (T, 257), row i about 5 i ms, and its frequencies in Hz (257,)."""
    padded = np.r_[np.zeros(window // 2), wave, np.zeros(window)]
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::STEP][
        : len(wave) // STEP + 1
    ]
    return np.abs(np.fft.rfft(frames * np.hanning(window), 512)) ** 2, np.fft.rfftfreq(512, 1 / SR)


def voicing_border(level: np.ndarray, near: float, sign: int) -> float:
    """Where the level (dB, steps of 5 ms) rises (sign 1) or falls (-1) most, within REACH of a
    time: s, or nan.

    nan where it changes by less than 10 dB in 20 ms, or most at the edge of what is looked at.
    """
    middle, reach = round(near * SR / STEP), round(REACH * SR / STEP)
    at = np.arange(max(2, middle - reach), min(len(level) - 3, middle + reach) + 1)
    change = sign * (level[at + 2] - level[at - 2])
    best = int(change.argmax()) if len(at) else 0
    if best in (0, len(at) - 1) or change[best] < 10:
        return np.nan
    # the top of a parabola through three steps
    left, top, right = change[best - 1 : best + 2]
    return (at[best] + (left - right) / (2 * (left - 2 * top + right) or np.inf)) * STEP / SR


def sound_opinion(wave: np.ndarray, rows: list, near: np.ndarray) -> tuple:
    """Where voicing starts (1) or ends (-1) between vowels and voiceless consonants -> times (R,),
    signs (R,)."""
    power, hertz = spectrum(wave, 240)
    level = 10 * np.log10(power[:, (hertz >= 100) & (hertz <= 1000)].sum(1) + 1e-9)
    level = np.maximum(level, np.percentile(level, 99) - 35)
    signs = np.array(
        [0]
        + [
            int(q in VOWELS and p in VOICELESS) - int(p in VOWELS and q in VOICELESS)
            for (p, *_), (q, *_) in zip(rows, rows[1:])
        ]
    )
    return np.array(
        [voicing_border(level, t, s) if s and t == t else np.nan for t, s in zip(near, signs)]
    ), signs


# ---- what others say


def starts_like(rows: list, other: list) -> np.ndarray:
    """The other opinion's start (s) of each row (R,), nan where its [(phone, start, ...)] lack that
    phone."""
    ours, theirs = [["AH" if p == "AX" else p for p, *_ in each] for each in (rows, other)]
    starts = np.full(len(rows), np.nan)
    for a, b, n in difflib.SequenceMatcher(
        None, ours, theirs, autojunk=False
    ).get_matching_blocks():
        starts[a : a + n] = [row[1] for row in other[b : b + n]]
    return starts


def aligner_opinion(wave: np.ndarray, rows: list, text: str, late: int = 0) -> np.ndarray:
    """The forced aligner's start of each row (R,), heard `late` samples later; nan where it finds
    no way."""
    sound = np.r_[np.zeros(late, np.int16), (wave * 32767).astype(np.int16)]
    try:
        phones = [phone for _, inside in align_words(sound, text) for phone in inside]
    except RuntimeError:
        phones = []
    return starts_like(rows, phones) - late / SR


def model_opinion(rows: list, text: str, stretch: float) -> np.ndarray:
    """Starts of words inside phrases by Kokoro's own lengths, in steps of 25 ms (R,), nan
    elsewhere.

    All nan where espeak-ng has drawn words together. The space and the stress mark before a word
    already sound like it.
    """
    letters, starts = voices.speak_kumo(text, stretch)[1], np.full(len(rows), np.nan)
    first = [
        i for i in range(1, len(letters) - 1) if letters[i - 1][0] in "^ " and letters[i][0] != " "
    ]
    said = [dictionary().get(word, [["?"]])[0] for word in spoken_words(text)]
    if len(first) == len(said):
        words = [(p.rstrip("012"), n, k) for n, word in enumerate(said) for k, p in enumerate(word)]
        heard = ["AH" if p == "AX" else p for p, *_ in rows]
        match = difflib.SequenceMatcher(None, [p for p, *_ in words], heard, autojunk=False)
        pairs = [
            (words[a + i], b + i) for a, b, size in match.get_matching_blocks() for i in range(size)
        ]
        for (_, n, k), row in pairs:
            if k == 0 and n and letters[first[n] - 2][0] not in ",.!?":
                starts[row] = letters[first[n] - 1][1]
    return starts


def cepstrum(wave: np.ndarray) -> np.ndarray:
    """Mel cepstrum and its change in steps of 5 ms, each of variance 1: (T, 26)."""
    power, hertz = spectrum(np.r_[wave[:1], wave[1:] - 0.97 * wave[:-1]], 400)
    mel = 1127 * np.log1p(hertz / 700)
    edges = np.linspace(1127 * np.log1p(100 / 700), 1127 * np.log1p(7500 / 700), 34)
    bands = np.clip(
        np.minimum(
            (mel - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None],
            (edges[2:, None] - mel) / (edges[2:] - edges[1:-1])[:, None],
        ),
        0,
        None,
    )
    bent = np.log(power @ bands.T + 1e-6) @ np.cos(
        np.pi / 32 * np.outer(np.arange(32) + 0.5, np.arange(13))
    )
    change = np.gradient(bent, axis=0)
    change[1:-1] = (change[:-2] + change[1:-1] + change[2:]) / 3
    return np.concatenate([(x - x.mean(0)) / x.std(0) for x in (bent, change)], axis=1)


def warp(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Dynamic time warping of features (A, F) onto (B, F): the mean row of b for each row of a
    (A,)."""
    cost = np.sqrt(np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T, 0))
    total = np.full((len(a) + 1, len(b) + 1), np.inf)
    total[0, 0] = 0
    for s in range(2, len(a) + len(b) + 1):  # one diagonal after the other
        i = np.arange(max(1, s - len(b)), min(len(a), s - 1) + 1)
        j, here = s - i, cost[i - 1, s - i - 1]
        total[i, j] = np.minimum(
            total[i - 1, j - 1] + 1.5 * here, np.minimum(total[i - 1, j], total[i, j - 1]) + here
        )
    path, (i, j) = [[] for _ in a], cost.shape
    while i and j:
        path[i - 1].append(j - 1)
        here = cost[i - 1, j - 1]
        back = np.argmin([total[i - 1, j - 1] + 0.5 * here, total[i - 1, j], total[i, j - 1]])
        i, j = i - (back != 2), j - (back != 1)
    return np.array([np.mean(row) for row in path])


def warp_opinion(wave: np.ndarray, rows: list, text: str, voice: str, agree: float) -> np.ndarray:
    """The median over flite's other voices, warped onto the clip (R,), nan where they are more than
    `agree` s apart."""
    ours, found = cepstrum(wave), []
    for other in FLITE:
        if other != voice:
            theirs, phones = voices.speak_flite(other, text, 1.2, None)
            path = warp(cepstrum(theirs), ours) * STEP / SR
            times = np.interp(
                [start for _, start, _ in phones], np.arange(len(path)) * STEP / SR, path
            )
            found.append(starts_like(rows, [(phone, t) for (phone, *_), t in zip(phones, times)]))
    return np.where(np.ptp(found, axis=0) <= agree, np.median(found, axis=0), np.nan)


@lru_cache
def recogniser():
    from pocketsphinx import Decoder

    return Decoder(loglevel="FATAL")


def words_misheard(wave: np.ndarray, text: str) -> int:
    """Edit distance in words between the text and what pocketsphinx's general recogniser hears."""
    decoder = recogniser()
    decoder.start_utt()
    decoder.process_raw((wave * 32767).astype(np.int16).tobytes(), full_utt=True)
    decoder.end_utt()
    heard = decoder.hyp().hypstr.split() if decoder.hyp() else []
    row = np.arange(len(heard) + 1)
    for i, word in enumerate(spoken_words(text), 1):
        above, row[0] = row.copy(), i
        for j, other in enumerate(heard, 1):
            row[j] = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (word != other))
    return int(row[-1])


# ---- who is how far off


def own_errors(opinions: np.ndarray) -> np.ndarray:
    """Three opinions (n, 3) with independent errors -> the standard deviation of each one's own
    error (3,).

    By var a = (var(a-b) + var(a-c) - var(b-c)) / 2; 0 where chance makes that negative. A constant
    lag does not count.
    """
    ab, ac, bc = (np.var(opinions[:, i] - opinions[:, j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    return np.sqrt(np.maximum([ab + ac - bc, ab + bc - ac, ac + bc - ab], 0) / 2)


def interval(clips: list, seed: int = 0) -> np.ndarray:
    """95 % interval of the first opinion's own error, by drawing the clips [(n, 3), ...] again:
    (2,)."""
    rng, clips = np.random.default_rng(seed), [clip for clip in clips if len(clip)]
    draws = [
        own_errors(np.concatenate([clips[i] for i in rng.integers(0, len(clips), len(clips))]))[0]
        for _ in range(500)
    ]
    return np.percentile(draws, [2.5, 97.5])


def hear(clip: str, voice: str, text: str, stretch: float, agree: float) -> dict:
    """All opinions (ms) on one clip: shipped, second, warp, sound, sign, asked (R - 1, 6); and what
    else is printed."""
    wave, rows = voices.read_clip(clip)
    shipped, warped = (
        np.array([row[1] for row in rows]),
        warp_opinion(wave, rows, text, voice, agree),
    )
    aligned, again = (aligner_opinion(wave, rows, text, late) for late in (0, STEP))
    sound, signs = sound_opinion(wave, rows, warped)
    second = (
        aligned
        if voice in FLITE
        else model_opinion(rows, text, stretch)
        if voice == "kumo"
        else sound
    )
    asked = (
        np.ones(len(rows))
        if voice in FLITE
        else second == second
        if voice == "kumo"
        else signs != 0
    )
    table = np.c_[1000 * np.c_[shipped, second, warped, sound], signs, asked][1:]
    return dict(
        table=table,
        again=1000 * (aligned - again)[1:],
        clip=(wave, rows),
        wrong=words_misheard(wave, text),
        words=len(spoken_words(text)),
    )


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.nanmean(np.square(x))))


def judge(voice: str, heard: list) -> tuple:
    """A voice's rows of the two tables that `check` prints."""
    three = [each["table"][:, :3][~np.isnan(each["table"][:, :3]).any(1)] for each in heard]
    known, (low, high) = np.concatenate(three), interval(three)
    shipped, _, warped, sound, sign, asked = np.concatenate([each["table"] for each in heard]).T
    apart = [np.std(known[:, i] - known[:, j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    a, b, c = own_errors(known)
    first = [
        f"{len(heard)}",
        f"{len(known)} of {asked.sum():.0f}",
        *(f"{d:.0f}" for d in apart),
        f"**{a:.0f}** ({low:.0f}-{high:.0f})",
        f"{b:.0f}",
        f"{c:.0f}",
        f"{rms(np.concatenate([each['again'] for each in heard])):.0f}",
    ]
    off, all_off = shipped - sound, shipped - warped
    second = [
        f"{np.sum(all_off == all_off)} of {len(all_off)}",
        f"{rms(all_off):.0f}",
        f"{np.sum(off == off)} of {np.sum(sign != 0)}",
        f"{rms(off):.0f}",
        f"{np.nanmedian(off[sign > 0]):.0f}",
        f"{np.nanmedian(off[sign < 0]):.0f}",
        f"{np.mean(np.abs(off[off == off]) < 20):.0%}",
        f"{1000 * energy_lag([each['clip'] for each in heard]):.0f}",
        f"{sum(each['wrong'] for each in heard) / sum(each['words'] for each in heard):.0%}",
    ]
    return tuple(f"| {voice} | {' | '.join(row)} |" for row in (first, second))


def check(most: int, agree: float):
    """Print for each voice how far the opinions are apart, what that says of each, and what the
    sound says."""
    plan = [(clip, voice, text, how[0]) for clip, _, voice, text, how in voices.readings()]
    plan += [
        (path.stem, "people", path.with_suffix(".txt").read_text(encoding="utf-8").strip(), 1.0)
        for path in sorted((voices.ROOT / "speech").glob("*.wav"))
    ]
    tables = []
    for voice in dict.fromkeys(row[1] for row in plan):
        own = [row for row in plan if row[1] == voice]
        order = np.random.default_rng(0).permutation(len(own))[:most]
        tables.append(judge(voice, [hear(*own[i], agree) for i in order]))
    first, second = zip(*tables)
    print(
        "| ms | clips | borders | shipped - second | shipped - warp | second - warp | own error: "
        "shipped (95 %) | "
        "second | warp | aligner 5 ms later |",
        "|---" * 10 + "|",
        *first,
        sep="\n",
    )
    print(
        "\n| ms | all borders | rms shipped - warp | voicing borders | rms shipped - sound | lag "
        "at starts | "
        "lag at ends | under 20 ms | energy lag | misheard |",
        "|---" * 10 + "|",
        *second,
        sep="\n",
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=24, help="of each voice, at most")
    parser.add_argument(
        "--agree", type=float, default=80, help="ms; where the warps lie farther apart, none counts"
    )
    given = parser.parse_args()
    check(given.clips, given.agree / 1000)
