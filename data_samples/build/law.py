"""The motion law p(Y | phones): how the sample corpus's faces move, as a small probability model.

    phones = heard(phones, wave)                   phone times, and how loud each vowel is
    Y = draw(phones, seconds, style(actor), seed)  one face that could have said this: clean (T, 23)
    measure(Y, seed)                               what OpenFace might have written down for it
    event_marginals(phones, seconds, style, n)     P(event in frame t | phones), over n draws

Time is cut into steps of 5 ms; a frame's value is the mean over its eight steps and all smoothing
is symmetric, so nothing lags: frame t shows the phones heard in [t/25, (t+1)/25). Four parts are
drawn independently of one another:

lips    Each phone has target intensities (TARGETS), scaled by its own log-normal gain (sigma .08);
        a vowel opens with its amplitude to the power .6. Co-articulation: the track is a Gaussian
        average (55 ms) of the targets, weighted by how much each phone insists on its shape (LOOSE
        ones, made with the tongue alone, take that of their neighbours), scaled by the speaker's
        effort. A /p b m/ closes the mouth for at least 70 ms whatever its neighbours are.
face    Moods: a semi-Markov chain of neutral, happy, curious, concerned, doubtful; each lasts
        1 s + Gamma(2, .9 s) and has an amplitude Gamma(6, 1/6). Events: every stressed vowel starts
        at most one, with the probabilities of EVENTS (none: 64 %), amplitude Gamma(6, 1/6). Both
        are scaled by the speaker's expressiveness.
blinks  A renewal process: .4 s + Gamma(2.5, .) between two blinks, .28-.45 blinks a second by
        speaker.
pose    A smooth Gaussian process (Gaussian kernel of .6 s; pitch .050, yaw .100, roll .040 rad,
        1.5, 1, 2 mm), and a nod of Gamma(6, 1/6) x .045 rad at every stressed vowel with
        probability 1/2. A head turns on its neck, so its middle moves too: the neck's translation
        is added.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from dirfa_edu.actors.actor import neck_translation
from dirfa_edu.animation import (
    ATTRIBUTES,
    AU_RANGE,
    FPS,
    LIPS,
    N_ATTRIBUTES,
    N_AUS,
    POSE,
    ROTATION,
    TRANSLATION,
    column,
    observed_events,
)

STEPS = 8  # of 5 ms in a frame
RATE = FPS * STEPS
LIP_SMOOTHING = 0.055  # s
CLOSURE, CLOSURE_EDGE = 0.070, 0.025  # s: shortest closure of a bilabial, and its soft edges
OPENING, LOUDNESS_POWER, OPENING_RANGE = 0.95, 0.6, (0.5, 1.3)  # of a vowel of median loudness
NOD = 0.045  # rad
VOWEL = "AEIOU"  # a phone whose ARPABET name begins so
AMPLITUDE = 6, 1 / 6  # of moods, events and nods: Gamma of mean 1
SEEN = 0.02  # what moves less is no movement

# Target intensities of the mouth for every phone; a phone that is not listed (PAU) leaves the mouth
# closed.
TARGETS = {
    "P B M": {"AU23": 0.7, "AU17": 0.8},
    "F V": {"AU25": 0.7, "AU26": 0.3, "AU10": 0.7, "AU17": 1.2, "AU23": 0.3},
    "TH DH": {"AU25": 1.5, "AU26": 0.7},
    "T D N L DX": {"AU25": 1.2, "AU26": 0.6, "AU20": 0.2},
    "K G NG HH": {"AU25": 1.4, "AU26": 0.9},
    "S Z": {"AU25": 1.3, "AU26": 0.3, "AU20": 0.8, "AU14": 0.2},
    "CH JH SH ZH": {"AU25": 1.5, "AU26": 0.5, "AU10": 0.6, "AU23": 0.7},
    "R ER": {"AU25": 1.2, "AU26": 0.8, "AU23": 0.5},
    "W": {"AU25": 0.7, "AU26": 0.5, "AU23": 1.6, "AU15": 0.3},
    "UW UH": {"AU25": 1.2, "AU26": 0.9, "AU23": 1.4, "AU15": 0.3},
    "OW AO OY": {"AU25": 2.1, "AU26": 2.0, "AU23": 0.8, "AU15": 0.3},
    "AA AY AW": {"AU25": 2.6, "AU26": 2.9},
    "AE": {"AU25": 2.6, "AU26": 2.8, "AU20": 0.6},
    "AH": {"AU25": 2.3, "AU26": 2.1},
    "AX": {"AU25": 1.5, "AU26": 1.0},
    "EH EY": {"AU25": 2.5, "AU26": 1.8, "AU20": 0.9},
    "IH IY Y": {"AU25": 1.7, "AU26": 0.7, "AU20": 1.2, "AU14": 0.2},
}
# the tongue makes them, or nobody minds how they look: the lips take the shape of the neighbours
LOOSE = "T D N L DX K G NG HH S Z TH DH R Y AX".split()
LOOSE_WEIGHT = 0.15
BILABIALS = ("P", "B", "M")
MOODS = {
    "neutral": {},
    "happy": {"AU06": 0.45, "AU12": 1.1, "AU07": 0.2},
    "curious": {"AU01": 0.6, "AU02": 0.5, "AU05": 0.2},
    "concerned": {"AU01": 0.4, "AU04": 0.7, "AU15": 0.5, "AU17": 0.3},
    "doubtful": {"AU04": 0.4, "AU07": 0.6, "AU14": 0.5},
}
# event: (probability at a stressed vowel, intensities)
EVENTS = {
    "brow raise": (0.16, {"AU01": 1.1, "AU02": 0.9}),
    "frown": (0.07, {"AU04": 1.0, "AU07": 0.4}),
    "wide eyes": (0.04, {"AU05": 0.9, "AU01": 0.3}),
    "squint": (0.04, {"AU06": 0.6, "AU07": 0.8}),
    "nose wrinkle": (0.02, {"AU09": 0.9, "AU10": 0.4}),
    "dimple": (0.03, {"AU14": 0.8, "AU12": 0.4}),
}


@dataclass(frozen=True)
class Style:
    """What is personal about a speaker's motion.

    Every figure is a factor except blink_rate (1/s) and lid (AU07).
    """

    effort: float = 1.0
    expressive: float = 1.0
    nod: float = 1.0
    pose: float = 1.0
    blink_rate: float = 0.36
    lid: float = 1.0
    moods: tuple = (0.52, 0.18, 0.11, 0.11, 0.08)


def style(actor_seed: int) -> Style:
    """The personal style of an actor, a function of its number alone."""
    rng = np.random.default_rng([2304, actor_seed])
    weights = rng.dirichlet(20 * np.array(Style.moods))
    return Style(
        effort=rng.uniform(0.9, 1.12),
        expressive=rng.uniform(0.75, 1.25),
        nod=rng.uniform(0.7, 1.3),
        pose=rng.uniform(0.8, 1.2),
        blink_rate=rng.uniform(0.29, 0.44),
        lid=rng.uniform(0.4, 1.7),
        moods=tuple(np.round(weights / weights.sum(), 3)),
    )


def heard(phones: list, wave: np.ndarray, rate: int = 16000) -> list:
    """Phone rows with a fifth item: by how many dB a vowel is louder than the clip's median vowel.

    Other phones have 0. wave (N,) is mono. Loud vowels open the mouth more, so the lips show what
    is heard, not what a dictionary says.
    """

    def level(start: float, end: float) -> float:
        part = wave[int(start * rate) : int(end * rate)]
        return 10 * np.log10(np.square(part, dtype=np.float64).mean() + 1e-8)

    levels = [level(start, end) if name[0] in VOWEL else np.nan for name, start, end, *_ in phones]
    louder = np.nan_to_num(np.array(levels) - np.nanmedian(levels)).round(1)
    return [[*row[:4], float(more)] for row, more in zip(phones, louder)]


def draw(phones: list, seconds: float, style: Style, seed: int) -> np.ndarray:
    """One draw of the law: clean float32 (T, 23), T = ceil(25 s).

    phones is [[name, start, end, stressed, dB], ...]; rows may lack the last two: then a vowel is
    unstressed, and as loud as the others. AUs are 0-5; pose is relative, its median over the clip
    is zero. The same seed gives the same face.
    """
    T = int(np.ceil(round(seconds * FPS, 6)))
    time = (np.arange(T * STEPS) + 0.5) / RATE  # middle of each step, s
    rng = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(4)]
    stresses = [(row[1] + row[2]) / 2 for row in phones if len(row) > 3 and row[3]]

    X = np.zeros((len(time), N_ATTRIBUTES))  # (steps, 23)
    X += lips(phones, time, style, rng[0])
    X += face(stresses, time, style, rng[1])
    X[:, column("AU45")] = blinks(time, style, rng[2])
    X[:, POSE] = pose(stresses, time, style, rng[3])
    # a raised cheek or a smile cannot open closed lips, so closures win over everything else
    for au, share in (("AU25", 1), ("AU26", 0.95), ("AU10", 0.9)):
        X[:, column(au)] *= 1 - share * closure(phones, time)

    Y = X.reshape(T, STEPS, -1).mean(1)  # (T, 23)
    Y[:, POSE] -= np.median(Y[:, POSE], 0)
    Y[:, TRANSLATION] += np.array([neck_translation(angles) for angles in Y[:, ROTATION]])
    Y[:, TRANSLATION] -= np.median(Y[:, TRANSLATION], 0)
    aus = Y[:, :N_AUS].clip(*AU_RANGE)
    Y[:, :N_AUS] = np.where(aus < SEEN, 0, aus)
    return Y.astype(np.float32)


def lips(phones, time, style, rng) -> np.ndarray:
    """The mouth's AUs from phone targets: (steps, 23)."""
    X = np.zeros((len(time), N_ATTRIBUTES))
    weight = np.ones(len(time))
    for name, start, end, *more in phones:
        gain = np.exp(0.08 * rng.normal())
        opening = 1
        if name[0] in VOWEL:
            louder = more[1] if len(more) > 1 else 0  # dB
            opening = np.clip(OPENING * 10 ** (louder / 20 * LOUDNESS_POWER), *OPENING_RANGE)
        inside = (time >= start) & (time < end)
        weight[inside] = LOOSE_WEIGHT if name in LOOSE else 1
        for au, value in target(name).items():
            X[inside, column(au)] = value * gain * (opening if au in ("AU25", "AU26") else 1)

    X[:, LIPS] = gaussian_filter1d(X[:, LIPS] * weight[:, None], LIP_SMOOTHING * RATE, axis=0)
    X /= gaussian_filter1d(weight, LIP_SMOOTHING * RATE)[:, None]
    # drifts by 6 % over a second
    effort = style.effort * np.exp(0.06 * slow(len(time), 1.0, rng))
    X *= effort[:, None]

    # lips are pressed together
    shut = closure(phones, time) * effort
    X[:, column("AU23")] = np.maximum(X[:, column("AU23")], 1.4 * shut)
    X[:, column("AU17")] = np.maximum(X[:, column("AU17")], 0.9 * shut)
    return X


def target(phone: str) -> dict:
    """Target intensities of a phone."""
    for names, values in TARGETS.items():
        if phone in names.split():
            return values
    return {}


def closure(phones, time) -> np.ndarray:
    """How closed bilabials hold the mouth at each step: 0 not at all, 1 shut."""
    shut = np.zeros(len(time))
    for name, start, end, *_ in phones:
        if name in BILABIALS:
            half = max(CLOSURE, end - start) / 2
            middle = (start + end) / 2
            held = bump(time, middle - half, middle + half, CLOSURE_EDGE, CLOSURE_EDGE)
            shut = np.maximum(shut, held)
    return shut


def face(stresses, time, style, rng) -> np.ndarray:
    """Moods, stress events and resting lids of the face: (steps, 23)."""
    X = moods(time, style, rng) + events(stresses, time, style, rng)
    X[:, column("AU07")] += style.lid * (1 + 0.25 * slow(len(time), 0.8, rng))
    return X


def moods(time, style, rng) -> np.ndarray:
    """A semi-Markov chain of moods: (steps, 23)."""
    X = np.zeros((len(time), N_ATTRIBUTES))
    weights = np.array(style.moods) / sum(style.moods)
    start = -rng.uniform(0, 3)  # the first mood began before the clip
    while start < time[-1]:
        end = start + 1 + rng.gamma(2, 0.9)
        mood = list(MOODS)[rng.choice(len(MOODS), p=weights)]
        amplitude = rng.gamma(*AMPLITUDE) * style.expressive
        for au, value in MOODS[mood].items():
            X[:, column(au)] += value * amplitude * bump(time, start + 0.2, end - 0.2, 0.4, 0.4)
        start = end
    return X


def events(stresses, time, style, rng) -> np.ndarray:
    """At most one event at each stressed vowel: (steps, 23)."""
    X = np.zeros((len(time), N_ATTRIBUTES))
    names = [None, *EVENTS]
    chance = np.array([probability for probability, _ in EVENTS.values()])
    chance = np.r_[1 - chance.sum(), chance]
    for centre in stresses:
        name = names[rng.choice(len(names), p=chance)]
        amplitude = rng.gamma(*AMPLITUDE) * style.expressive
        if name is None:
            continue
        _, intensities = EVENTS[name]
        shape = bump(time, centre - 0.06, centre + 0.08, 0.12, 0.24)
        for au, value in intensities.items():
            X[:, column(au)] += value * amplitude * shape
    return X


def blinks(time, style, rng) -> np.ndarray:
    """AU45 as a renewal process of quick closings: (steps,)."""
    x = np.zeros(len(time))
    rest = 0.4  # s, at least, between two blinks
    # started long before, so the clip begins anywhere in it
    at = -30.0
    while at < time[-1] + 0.2:
        at += rest + rng.gamma(2.5, (1 / style.blink_rate - rest) / 2.5)
        height = rng.uniform(3.2, 4.8)
        if at > -0.5:
            x = np.maximum(x, height * bump(time, at - 0.02, at + 0.02, 0.09, 0.18))
    return x


def pose(stresses, time, style, rng) -> np.ndarray:
    """Head pose: (steps, 6), radians and millimetres."""
    spread = np.array([0.050, 0.100, 0.040, 1.5, 1.0, 2.0]) * style.pose
    X = np.stack([slow(len(time), 0.6, rng) for _ in spread], 1) * spread
    for centre in stresses:
        nods = rng.random() < 0.5
        size = rng.gamma(*AMPLITUDE) * NOD * style.nod
        if nods:
            X[:, 0] += size * bump(time, centre - 0.02, centre + 0.02, 0.16, 0.22)
    return X


def bump(time, start, end, rise, fall) -> np.ndarray:
    """1 between start and end, raised-cosine edges outside.

    The edges last `rise` seconds before and `fall` seconds after.
    """
    before = np.clip((start - time) / rise, 0, 1)
    after = np.clip((time - end) / fall, 0, 1)
    return 0.25 * (1 + np.cos(np.pi * before)) * (1 + np.cos(np.pi * after))


def slow(n: int, seconds: float, rng) -> np.ndarray:
    """A stationary smooth Gaussian process of unit variance (n,).

    White noise under a Gaussian kernel of `seconds`: ten values in each `seconds`, joined by lines,
    as it is too smooth to need more.
    """
    sigma = 10
    x = np.arange(n) * sigma / (seconds * RATE)
    white = rng.normal(size=int(x[-1]) + 2 + 8 * sigma)
    smooth = gaussian_filter1d(white, sigma, mode="constant")[4 * sigma : -4 * sigma]
    return np.interp(x, np.arange(len(smooth)), smooth) * np.sqrt(2 * np.sqrt(np.pi) * sigma)


# standard deviation of OpenFace-like noise on each AU (17,), before the dead zone; most have .07
NOISE = {"AU25": 0.05, "AU26": 0.05, "AU45": 0.04, "AU07": 0.12, "AU17": 0.10}
AU_NOISE = np.array([NOISE.get(name, 0.07) for name in ATTRIBUTES[:N_AUS]])
# OpenFace writes 0 for what it sees below this
DEAD_ZONE = 0.12
POSE_NOISE = np.array([0.0025, 0.0025, 0.0020, 0.25, 0.25, 0.60])  # rad, mm


def measure(Y: np.ndarray, seed: int) -> np.ndarray:
    """What OpenFace might report for a clean track (T, 23).

    Noise with a memory of two frames, a dead zone that makes exact zeros, 4 % gain errors, and the
    file's rounding (AUs .01, radians .0001, mm .1).
    """
    rng = np.random.default_rng([7, seed])
    sigma = 0.8  # frames
    white = rng.normal(size=(len(Y), N_ATTRIBUTES))
    unit_variance = np.sqrt(2 * np.sqrt(np.pi) * sigma)
    noise = gaussian_filter1d(white, sigma, axis=0) * unit_variance  # (T, 23)

    out = np.asarray(Y, np.float64).copy()
    gain = 1 + 0.04 * rng.normal(size=N_AUS)
    seen = out[:, :N_AUS] * gain + AU_NOISE * noise[:, :N_AUS]
    seen[seen < DEAD_ZONE] = 0
    out[:, :N_AUS] = seen.clip(*AU_RANGE).round(2)
    out[:, POSE] += POSE_NOISE * noise[:, N_AUS:]
    out[:, ROTATION] = out[:, ROTATION].round(4)
    out[:, TRANSLATION] = out[:, TRANSLATION].round(1)
    return out.astype(np.float32)


def event_marginals(phones: list, seconds: float, style: Style, draws: int, seed: int = 0) -> dict:
    """P(event is seen in frame t | phones): {name: float32 (T,)}.

    For every event of `animation.observed_events`, counted over `draws` independent draws, so its
    standard error is at most .5 / sqrt(draws).
    """
    seen = [observed_events(draw(phones, seconds, style, seed + 1 + i)) for i in range(draws)]
    return {name: np.mean([s[name] for s in seen], 0).astype(np.float32) for name in seen[0]}
