# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown] tags=["slide"]
# # 1 Features: what the network hears, and what it moves
#
# In this chapter **you will be able to**
#
# 1. turn speech into a log-mel spectrogram with plain numpy, and say what each line is for (*Predict 1, Exercise 1*),
# 2. say exactly which piece of sound video frame t hears (*Exercise 2*),
# 3. read an OpenFace file line by line: 17 Action Units, 6 numbers of pose, failed frames (*Predict 2, Exercise 3*),
# 4. move a face by its 23 numbers, and say which of them look alike and which are missing (*the actor on strings*),
# 5. spot the mistakes with such data that cost people most time (*failure gallery*).
#
# * Reading time: 35 minutes. Running time on two cores: {{RUN_TIME}}.
# * Prerequisites: chapter 0, numpy arrays, what a sine wave is. No Fourier theory.
# * Paper sections: 3.2.1 (what describes a face) and 4.1 (what describes a sound).
#
# Two arrays come out of this chapter, and every later chapter starts from them: the audio features `A`, shape
# (T, 400), drawn in blue, and the facial animation `Y`, shape (T, 23), drawn in black. T counts video frames,
# 25 a second.

# %%
import numpy as np
import torch
from dirfa_edu import ATTRIBUTES, Actor, CHAPTER_CLIP, Corpus, animation, audio, column, plots
from dirfa_edu.course import checks, explorers, puppet

torch.set_num_threads(2)
corpus = Corpus("samples")
clip = corpus[CHAPTER_CLIP]
FRAME = 17
wave, Y = clip.wave(), clip.animation()
print("clip", clip.name, "has", len(Y), "frames and", len(wave), "samples")
print("it says:", clip.text)
print("kind:", clip.kind, "| voice:", clip.voice, "| actor:", clip.actor)
print("the voice is heard in training too:", clip.voice in {c.voice for c in corpus.select(split="train")})

# %% [markdown] tags=["slide"]
# ## Listen first
#
# One five-second clip goes through the whole course. Play it and keep your eye on frame 17, which lasts from
# 17/25 = 0.68 s to 18/25 = 0.72 s: the open vowel of *map*, between an /m/ and a /p/ for which the lips must
# close.
#
# Nobody was recorded for it. The voice is one of the free synthetic voices of flite, the face is a digital actor, and
# its motion was drawn from a probability law that the [data sheet](../data_samples/README.md) writes down. Real
# voices, LibriVox readings, are kept for testing.

# %% tags=["slide-output"]
plots.play(clip.audio, "the chapter clip")

# %%
fig, (whole, near) = plots.new(2, 1, width=7, height=2.6)
blocks = wave[:len(wave) // 160 * 160].reshape(-1, 160)             # (hundredths of a second, 160 samples)
whole.fill_between(np.arange(len(blocks)) / 100, blocks.min(1), blocks.max(1), color=plots.COLOURS["A"], lw=0)
near.plot(np.arange(len(wave)) / 16000, wave, color=plots.COLOURS["A"], lw=0.7, antialiased=False)
for ax in (whole, near):
    ax.axvspan(FRAME / 25, (FRAME + 1) / 25, color="#444444", alpha=0.35, lw=0)
    ax.set(ylabel="pressure", yticks=[0])
whole.set(xlim=(0, len(wave) / 16000), title="the clip; frame 17 is the grey band")
near.set(xlim=(0.52, 1.0), xlabel="video frame t, each 40 ms", ylim=(-0.75, 1.05))
near.set_xticks(np.arange(13, 26) / 25, range(13, 26))
for name, start, end in clip.phones():
    if 0.52 < start < 0.9:
        bilabial = name in ("P", "B", "M")
        near.axvspan(start, end, ymin=0.85, facecolor=plots.COLOURS["k"] if bilabial else "#E3E3E3", edgecolor="white")
        near.text((start + end) / 2, 0.84, name, ha="center", fontsize=9)
plots.show(fig, alt="The wave of the clip, and a closer look at 'map': M, AE, P with frame 17 inside AE; "
           "the phones P, B and M are orange.")

# %% [markdown] tags=["slide"]
# A vowel is loud and repeats itself, a /p/ is a gap with a burst behind it. The wave shows when something is
# loud; it hardly shows *which* vowel you hear. For that you ask how much of each frequency is in it.
#
# ## How much of each frequency is in a piece of sound?
#
# The paper gives three numbers in section 4.1 and no equation: **FFT window 1280, hop 160, 20 mel filter
# banks**, at 16 kHz. Written out, the first two mean
#
# $$X_{f,m} = \sum_{n=0}^{1279} h_n \; x_{160\,m + n - 640} \; e^{-2\pi i f n / 1280}$$
#
# x is the wave, h a window that fades both ends, f the frequency bin and m the mel frame. One bin is 16000/1280
# = 12.5 Hz wide. Try it on a tone of 1000 Hz: you can tell beforehand that bin 1000/12.5 = 80 must answer, and
# that its height is half the sum of the window, 640/2 = 320.

# %%
n = np.arange(1280)
tone = np.sin(2 * np.pi * 1000 * n / 16000)        # 80 ms of 1000 Hz
hann = 0.5 - 0.5 * np.cos(2 * np.pi * n / 1280)    # h: 0 at both ends, 1 in the middle
f = np.arange(641)[:, None]                        # (641, 1)
turning = np.exp(-2j * np.pi * f * n / 1280)       # (641, 1280): one turning wave per row
X = turning @ (hann * tone)                        # (641,)
print("shape", X.shape, "| loudest bin:", abs(X).argmax(), "| its height:", round(abs(X).max()))
np.testing.assert_allclose(X, np.fft.rfft(hann * tone), atol=1e-8)
print("the same as numpy's fast Fourier transform: True")

# %% [markdown]
# Speech changes, so you do this again every 160 samples: 100 times a second, four times per video frame.
# `centred` means that column m looks at the 80 ms **around** sample 160 m, with zeros beyond both ends of the
# recording.
#
# Toy: a quarter of a second of 500 Hz, then a quarter of 2000 Hz. Bin 40 should answer up to column 25, then
# bin 160.

# %%
def spectrogram(x):
    padded = np.pad(x, 640)                                        # half a window on each side
    starts = 160 * np.arange(1 + len(x) // 160)                    # (M,)
    pieces = np.stack([padded[s:s + 1280] for s in starts])        # (M, 1280)
    return abs(np.fft.rfft(pieces * hann)).T                       # (641, M)


time = np.arange(8000) / 16000
toy = np.sin(2 * np.pi * np.where(time < 0.25, 500, 2000) * time)
S = spectrogram(toy)
print("shape", S.shape, "| loudest bin in column 10:", S[:, 10].argmax(), "| in column 40:", S[:, 40].argmax())
fig, (left, right) = plots.new(1, 2, width=8, height=2.4)
left.plot(12.5 * np.arange(641), abs(X), ".-", color=plots.COLOURS["A"])
left.set(xlim=(900, 1100), xlabel="Hz", ylabel="|X|", title="the tone: one bin and its two neighbours")
left.axvline(1000, color="#999999", ls=":")
right.imshow(S[:200], origin="lower", aspect="auto", cmap="cividis", extent=(0, 51, 0, 2500), interpolation="nearest")
right.set(xlabel="column m (hundredths of a second)", ylabel="Hz", title="500 Hz, then 2000 Hz")
plots.show(fig, alt="Left, the spectrum of a 1000 Hz tone is one narrow peak; right, the spectrogram of two tones is "
           "a bright line at 500 Hz that jumps to 2000 Hz at column 25.")

# %% [markdown]
# The jump takes about eight columns: the window is 80 ms long, so near column 25 it hears both tones. A longer
# window would separate tones better and times worse; you see both ends of that bargain in the failure gallery.
#
# ## Why only 20 numbers of 641?
#
# To your ear 200 Hz and 300 Hz are a wide step apart, 7200 Hz and 7300 Hz hardly differ. The mel scale is a
# ruler with equal steps for the ear: even up to 1000 Hz, logarithmic above. Put 22 points on it from 125 to
# 7600 Hz; each three in a row are the feet and the top of one triangle, and each triangle sums the bins below
# it.

# %%
def mel_of(hz):
    return np.where(hz < 1000, hz * 3 / 200, 15 + 27 * np.log(hz / 1000) / np.log(6.4))


def hz_of(mel):
    return np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))


points = hz_of(np.linspace(mel_of(125), mel_of(7600), 22))                          # (22,) in Hz
low, top, high = points[:-2, None], points[1:-1, None], points[2:, None]            # (20, 1) each
hz = 12.5 * np.arange(641)                                                          # (641,)
triangles = np.minimum((hz - low) / (top - low), (high - hz) / (high - top)).clip(0)   # (20, 641)
filters = triangles * 2 / (high - low)                                              # every area is 1
np.testing.assert_allclose(filters, audio.mel_filters(), atol=1e-6)
print("shape", filters.shape, "| the same as the package's filter bank: True")
print("bands centred below 1 kHz:", int((top < 1000).sum()), "| above 4 kHz:", int((top > 4000).sum()))

# %%
fig, ax = plots.new(height=1.6, width=5.4)
heard = filters[:, 80].argmax()
for row in triangles:
    ax.plot(hz, row, color=plots.COLOURS["A"], lw=1)
ax.fill_between(hz, triangles[heard], color=plots.COLOURS["k"])
ax.set(xlim=(0, 7800), ylim=(0, 1.15), xlabel="Hz", ylabel="weight", yticks=[0, 1])
ax.set_title(f"20 mel filters; the 1000 Hz tone is heard most by band {heard}", fontsize=10)
plots.show(fig, alt="Twenty triangles over frequency, narrow and equal below 1000 Hz, wider and wider above.")

# %% [markdown]
# ## Why decibels?
#
# A vowel's pressure can be a hundred times that of an /f/. On a linear scale the /f/ would be 0.01 beside 1,
# and a network would hardly see it. Decibels count factors instead: twenty per factor of ten. The package uses
#
# $$\text{dB} = 20\,\log_{10}\max(10^{-5}, a) - 20, \qquad
# \text{feature} = \text{clip}\big((\text{dB} + 100)/100,\ 0,\ 1\big)$$
#
# (our choice; the paper leaves it open). By hand: an amplitude of 10 gives 0 dB and the feature 1; each factor
# of ten less costs 0.2; below 0.0001 all is silence. **Predict 1.** Write down the five features below before you
# run the cell. What would the last one be without the `max`?

# %%
def scaled_decibels(a):
    decibel = 20 * np.log10(np.maximum(1e-5, a)) - 20
    return ((decibel + 100) / 100).clip(0, 1)


amplitude = np.array([10, 1, 0.1, 1e-4, 0])
for a, feature in zip(amplitude, scaled_decibels(amplitude)):
    print(f"amplitude {a:<7g} -> feature {feature:.1f}")

# %% [markdown]
# <details><summary>Answer to Predict 1: what would the last one be?</summary>
#
# log10(0) is minus infinity, and numpy warns. Here the clip would still turn it into 0; a front end that
# subtracts the mean instead of clipping gets NaN, and so does the first training step.
#
# </details>
#
# ## The whole front end
#
# One line is still missing: the wave is first brought to the same loudness, a root mean square of 0.1.
# Otherwise the network would learn how far away the microphone stood.
#
# ### Exercise 1: the same loudness
# Write `same_loudness(x)`: square, average, root: that is the level; scale the wave so that its level is 0.1. Files
# often hold int16, whole numbers up to 32767: what is 300 · 300 in int16?

# %%
def same_loudness(x):
    """a wave (N,), float or int16, at a root mean square of 0.1"""
    # BEGIN SOLUTION
    x = x.astype(float)
    return x * 0.1 / np.sqrt(np.mean(x**2))
    # END SOLUTION


checks.same_loudness(same_loudness)

# %% [markdown]
# <details><summary>Hint 1</summary>The level of x is np.sqrt(np.mean(x**2)). What must x be multiplied by?</details>
# <details><summary>Hint 2</summary>A wave of level 0.2 must become half as large, one of 0.05 twice.</details>
# <details><summary>Hint 3</summary>300 · 300 = 90,000 does not fit into int16. Turn x into float first.</details>
#
# {{SOLUTION}}
#
# Here is the whole front end, and the package's version beside it.

# %% tags=["slide-output"]
def naive_log_mel(x):
    x = x * 0.1 / np.sqrt(np.mean(x.astype(float) ** 2))     # loudness
    return scaled_decibels(filters @ spectrogram(x))         # (20, 641) @ (641, M) -> (20, M)


mel = audio.log_mel(wave)                                    # (20, M)
np.testing.assert_allclose(naive_log_mel(wave), mel, atol=1e-4)
np.testing.assert_allclose(audio.log_mel(wave * 0.05), mel, atol=1e-4)
print("shape", mel.shape, "| naive equals package: True | a whisper gives the same picture: True")
print("M = 1 + N // 160:", mel.shape[1] == 1 + len(wave) // 160)
look = {"origin": "lower", "aspect": "auto", "cmap": "cividis", "vmin": 0.1, "vmax": 0.95, "interpolation": "nearest"}
fig, ax = plots.new(width=6.4, height=1.6)
ax.imshow(mel, extent=(0, mel.shape[1] / 100, 0, 20), **look)
ax.set(xlabel="seconds", ylabel="mel band", xticks=np.arange(0, 5, 0.5))
plots.show(fig, alt="Log-mel spectrogram of the clip, 20 bands over five seconds: vowels are bright, "
           "closures are dark gaps.")

# %% [markdown] tags=["slide"]
# You see vowels as stacks of bright bars, /s/-like sounds as light in the upper bands, closures as dark gaps.
# Which bars are bright tells the vowel apart, and that is what the lips need to know.
#
# ## Which part does frame t hear?
#
# The paper: "sampling the mel-spectrograms with the target frame time-step in the middle". Our reading, one
# rule for all chapters:
#
# * frame t covers the time from t/25 to (t+1)/25 s, that is mel frames 4t to 4t+3;
# * its window is 0.2 s about the middle of that: the 20 mel frames **4t-8 ... 4t+11**;
# * `A[t]` is those 20 mel frames of 20 bands one after the other: 400 numbers.
#
# Toy: let mel frame m hold the number m in all its bands. Then you can read off what ends up where.

# %%
def naive_windows(mel, T):
    rows = []
    for t in range(T):
        m = np.arange(4 * t - 8, 4 * t + 12).clip(0, mel.shape[1] - 1)   # (20,) the edges are repeated
        rows.append(mel[:, m].T.reshape(400))                            # (20 bands, 20) -> (20, 20 bands) -> (400,)
    return np.stack(rows)                                                # (T, 400)


toy_mel = np.tile(np.arange(13), (20, 1))          # (20 bands, 13 mel frames) = 3 video frames
toy_A = naive_windows(toy_mel, T=3)
print("shape", toy_A.shape)
for t in range(3):
    print(f"frame {t} hears mel frames", *toy_A[t, ::20])

# %% [markdown]
# Frame 0 has nothing before it, so mel frame 0 stands in eight times; frame 2 is the first with a real past.

# %%
A = clip.features()                                # (T, 400)
np.testing.assert_allclose(naive_windows(mel, len(A)), A)
window = A[FRAME].reshape(20, 20)                  # (20 mel frames, 20 bands)
np.testing.assert_array_equal(window, mel[:, 60:80].T)
print("shape", A.shape, "| naive equals package: True | frame 17 is mel frames 60 to 79: True")
print("sound and track have the same number of frames:", len(A) == len(Y) == audio.frame_count(len(wave)))

# %% tags=["nbval-ignore-output"]
explorers.window_explorer().show()

# %% [markdown] tags=["slide"]
# Left, one second of speech with its phones: the dotted lines are the frame itself, the box is its window.
# Right, what the network gets. In frame 17 the vowel AE fills the middle, with M before it and P after it.
#
# Step from frame 16 to 17: the box moves by four mel frames, so neighbours share 16 of their 20. Nothing is
# lost at a border between frames. Now set `late` to 1: the picture on the right hardly changes. That makes
# slips in time hard to notice.
#
# ### Exercise 2: the window of frame t
#
# Write the rule as a function: which 20 mel frames does frame t hear? (Leave out the edges.)

# %% tags=["slide"]
def window_of(t):
    """the 20 mel frames that frame t hears"""
    # BEGIN SOLUTION
    return np.arange(4 * t - 8, 4 * t + 12)
    # END SOLUTION


checks.window_of(window_of)

# %% [markdown]
# <details><summary>Hint 1</summary>A video frame is 640 samples, a mel frame 160. Where does frame t start, counted
# in mel frames?</details>
# <details><summary>Hint 2</summary>The middle of frame t is mel frame 4t + 2. Ten mel frames lie before it.</details>
# <details><summary>Hint 3</summary>np.arange stops one before its second argument.</details>
#
# {{SOLUTION}}

# %% [markdown]
# ## Does a click land in its own frame?
#
# A pipeline that is one frame late still runs, still trains, and looks a little wrong for ever. In chapter 6
# the metric S_off measures just such a lag. So test it with the sharpest sound there is: silence with one click
# in the middle of frame 17, at sample 17.5 x 640 = 11200, which is mel frame 70. In the window of frame 17 that
# is place 70 - 60 = 10.

# %%
click = np.full(32000, 1e-4, np.float32)
click[int(17.5 * 640)] = 1
heard = audio.frame_features(click).reshape(-1, 20, 20).mean(2)        # (T, 20 places): mean over the bands
loud = heard[:40] > heard[0].max() + 0.05
centre = {t: float(np.where(loud[t])[0].mean()) for t in range(40) if loud[t].any()}
print("frames that hear it:", min(centre), "to", max(centre), "| its place in frame 17:", round(centre[FRAME]))
fig, ax = plots.new(width=6.5, height=2.9)
ax.imshow(heard[12:23], cmap="cividis", aspect="auto", extent=(-0.5, 19.5, 22.5, 11.5), interpolation="nearest")
ax.plot([7.5, 11.5, 11.5, 7.5, 7.5], [16.5, 16.5, 17.5, 17.5, 16.5], color="white", lw=2)
ax.set(xlabel="place in the window (mel frames)", ylabel="video frame t", yticks=range(12, 23), xticks=range(0, 20, 2),
       title="one click, seen from 11 frames; the white box is frame 17's own 40 ms")
plots.show(fig, alt="A heat map of eleven frames: the click is a bright bar that moves four places to the left from "
           "each frame to the next and stands inside the white box for frame 17.")

# %% [markdown]
# The bar moves four places per frame, and in frame 17 it sits on that frame's own 40 ms. It is seven mel frames
# wide because the FFT window is 80 ms long. Note who hears it first: a frame that ends well before the click.
# Features look ahead.
#
# ## A trap in Eq. 3: how many frames are in A from t-tau to t?
#
# $$p(\bar{Y}|A) = p(\bar{Y}_{1:\tau}|A_{1:\tau}) \cdot
# \prod_{t=\tau+1}^{T} p(\bar{Y}_t \mid \bar{Y}_{t-\tau:t-1}, A_{t-\tau:t}) \qquad \text{(Eq. 3)}$$
#
# The faces stop at t-1, because frame t is the one to be predicted; the sound goes on to t. In mathematics both
# ends count. In Python the end of a slice does not. With tau = 3 and t = 5:

# %%
tau, t = 3, 5
frames = np.arange(10)
print("A in Eq. 3:       frames", frames[t - tau:t + 1], "->", tau + 1, "of them")
print("Y in Eq. 3:       frames", frames[t - tau:t], "   ->", tau, "of them")
print("A[t-tau:t] in Python:   ", frames[t - tau:t], "   -> frame t itself is missing")
ahead = 10 * (4 * FRAME + 11) + 40 - 40 * (FRAME + 1)     # ms: last mel frame, half an FFT window, minus the frame's end
print("and the last window reaches", ahead, "ms beyond the end of its frame")

# %% [markdown]
# So there are 51 frames of sound and 50 of faces at tau = 50, and whoever copies `A[t-tau:t]` into Python
# predicts a face from the sound of the frame before. The 110 ms that a window looks ahead are no mistake: lips
# close before you hear the /p/. But a live system must wait that long.
#
# ## What describes a face?
#
# The paper's 3.2.1: 17 Action Units and 6 numbers of pose, $Y_t = [y_1, \dots, y_{23}]$. An Action Unit (AU) is
# what one muscle group can do, with an intensity from 0 (not there) to 5 (as strong as it gets). Before you read on:
# which muscles make a smile that looks meant, and which close your lips for /m/? Try it on the actor. The face is
# drawn by this package while you drag.

# %% tags=["nbval-ignore-output", "slide-output"]
actor = Actor(clip.actor)
live = puppet.Puppet(clip.actor)
live.show()

# %% [markdown]
# Each slider is one column of an OpenFace file, and the lines below it are the row that OpenFace would write for this
# face. **Tab** goes from slider to slider, the **arrow keys** move one. The buttons set all sliders at once: find
# out with them what a smile is made of. Then build these three yourself: doubt, a yawn, half a wink. (You cannot wink:
# an AU is one number for both sides.)
#
# Look at `pose_Tz` in the row: the slider says 0, the file says 550.0. The file counts from the camera.
#
# | column | what it does | | column | what it does |
# |---|---|---|---|---|
# | `AU01_r` | inner brow raiser: worry | | `AU14_r` | dimpler: pulls the corners in |
# | `AU02_r` | outer brow raiser: with 01, surprise | | `AU15_r` | lip corner depressor: sadness |
# | `AU04_r` | brow lowerer: frown | | `AU17_r` | chin raiser: pushes the lower lip up |
# | `AU05_r` | upper lid raiser: wide eyes | | `AU20_r` | lip stretcher: wide lips, as in /i/ |
# | `AU06_r` | cheek raiser: the eyes of a smile | | `AU23_r` | lip tightener: pressed lips, as in /m/ |
# | `AU07_r` | lid tightener: narrow eyes | | `AU25_r` | lips part: the teeth show |
# | `AU09_r` | nose wrinkler: disgust | | `AU26_r` | jaw drop: as in /a/ |
# | `AU10_r` | upper lip raiser | | `AU45_r` | blink |
# | `AU12_r` | lip corner puller: the mouth of a smile | | | |
#
# ## Which of them look alike?
#
# Two AUs that move the same points the same way can hardly be told apart, by you or by a program. So take the
# directions in which each AU moves the actor's 68 face points, and compare them by their cosine: 1 is the same
# direction, 0 has nothing in common. **Predict:** which AU is nearest to AU06?

# %%
rest = actor.landmarks(np.zeros(23))                                    # (68, 2) pixels
moves = np.stack([(actor.landmarks(puppet.attributes(**{au: 5})) - rest).ravel() for au in animation.AUS])   # (17, 136)
towards = moves / np.linalg.norm(moves, axis=1, keepdims=True)
alike = towards @ towards.T                                             # (17, 17) cosines
fig, ax = plots.new(width=4.2, height=3.2)
drawn = ax.imshow(alike, cmap="cividis", vmin=0, vmax=1)
ax.set_xticks(range(17), [au[2:] for au in animation.AUS], fontsize=7)
ax.set_yticks(range(17), [f"{au} {puppet.MEANING[au]}" for au in animation.AUS], fontsize=7)
fig.colorbar(drawn, ax=ax, label="cosine")
plots.show(fig, alt="Cosines between the movements of 17 Action Units: dark off the diagonal but for a few pairs and a "
           "bright block of those that move the mouth.")
np.fill_diagonal(alike, -1)
nearest = {au: animation.AUS[row.argmax()] for au, row in zip(animation.AUS, alike)}
print("AU06 and AU07 are each other's nearest:", nearest["AU06"] == "AU07" and nearest["AU07"] == "AU06")
cosine = alike[column("AU14"), column("AU20")]
print("AU14 and AU20 share more than AU14 and the brows do:", bool(cosine > 0.2 + alike[column("AU14"), :3].max()))
print("there is an AU that purses the lips, AU18 or AU22:", bool({"AU18", "AU22"} & set(ATTRIBUTES)))

# %% [markdown]
# Cheeks (AU06) and lids (AU07) both narrow the eyes. AU14 and AU20 both work on the corners of the mouth. So it is in
# life, and OpenFace confuses these pairs too: trust their sum more than each of them. You see other bright pairs:
# what does AU26 do to the lips of AU25?
#
# What is missing matters as much. AU18 and AU22 purse the lips for /u/, /o/ and /w/, and they are not among the 17. So
# rounded lips barely show, here or in any system that reads these columns: "who" and "he" look more alike than
# they should, and a face of 17 AUs cannot kiss. Keep it in mind when you judge lips in chapter 4.
#
# The other six numbers turn and shift the head as one rigid piece: pitch, yaw and roll in **radians** about
# OpenFace's axes (x to the right of the picture, y down, z away from the camera), then a translation in
# **millimetres**.

# %%
def face(Z, rows=slice(None), columns=slice(None), size=192):
    """One picture of the actor, cut out."""
    return actor.render(Z, size=size)[rows, columns]


turns = [("pose_Rx", 0.3, "looks down"), ("pose_Ry", 0.3, "nose to image left"), ("pose_Rz", 0.3, "clockwise"),
         ("pose_Tz", 150, "150 mm away")]
fig, axes = plots.new(1, 4, width=5.2, height=1.8)
fig.photo = True
for ax, (name, value, words) in zip(axes, turns):
    Z = np.zeros(23)
    Z[column(name)] = value
    ax.imshow(face(Z, size=128))
    ax.set_title(f"{name} = {value}\n{words}", fontsize=8)
    ax.axis("off")
plots.show(fig, alt="Four portraits, each with one pose number changed: looking down, turned, tilted, further away.")
for name, part in (("AU45", "eyes"), ("AU26", "mouth"), ("AU02", "brows")):
    moved = np.hypot(*(actor.landmarks(5.0 * np.eye(23)[column(name)]) - rest).T)
    parts = {"jaw": moved[:17], "brows": moved[17:27], "nose": moved[27:36], "eyes": moved[36:48], "mouth": moved[48:]}
    print(f"{name} moves the {part} most:", part == max(parts, key=lambda key: parts[key].max()))

# %% tags=["nbval-ignore-output"]
explorers.attribute_explorer().show()

# %% [markdown]
# The last picture shows what changed. Put AU06 and AU07 side by side in it, then AU14 and AU20. This is where each
# number stands in `Y`, and which group later chapters count it in:
#
# | columns of Y | names | unit | OpenFace column | group |
# |---|---|---|---|---|
# | 0-6 | AU01 AU02 AU04 AU05 AU06 AU07 AU09 | 0-5 | `AU01_r` ... | upper |
# | 7 | AU10 | 0-5 | `AU10_r` | lips |
# | 8 | AU12 | 0-5 | `AU12_r` | upper (it is mood more than speech) |
# | 9-15 | AU14 AU15 AU17 AU20 AU23 AU25 AU26 | 0-5 | `AU14_r` ... | lips |
# | 16 | AU45 | 0-5 | `AU45_r` | blink |
# | 17-19 | pose_Rx pose_Ry pose_Rz | radians | the same | pose |
# | 20-22 | pose_Tx pose_Ty pose_Tz | millimetres | the same | pose |
#
# ## How do you read a file of OpenFace?
#
# OpenFace writes one line per video frame. Four things in it trip people up: names may start with a **space**;
# `AU25_c` (present or not) stands beside `AU25_r` (intensity); a frame without a face has **success 0** and
# meaningless numbers; and pose is **absolute**, half a metre from the camera. The toy has them all.
#
# **Predict 2.** What are AU25 in frame 3 and the relative pose_Ry in frame 5?

# %%
text = """frame, timestamp, confidence, success, pose_Tz, pose_Ry, AU25_r, AU25_c
1, 0.000, 0.98, 1, 560.0, 0.10, 0.00, 0
2, 0.040, 0.98, 1, 562.0, 0.12, 1.00, 1
3, 0.080, 0.12, 0,   0.0, 0.00, 0.00, 0
4, 0.120, 0.97, 1, 561.0, 0.12, 2.00, 1
5, 0.160, 0.98, 1, 561.0, 0.90, 1.50, 1"""
lines = [[cell.strip() for cell in line.split(",")] for line in text.splitlines()]
table = {name: np.array([float(line[i]) for line in lines[1:]]) for i, name in enumerate(lines[0])}
good = np.where(table["success"] == 1)[0]
track = np.stack([np.interp(np.arange(5), good, table[name][good])         # failed frames: from their neighbours
                  for name in ("AU25_r", "pose_Ry", "pose_Tz")], axis=1)   # (5 frames, 3 attributes)
neutral = np.median(track[:, 1:], axis=0)                                  # (2,)
track[:, 1:] -= neutral                                                    # pose relative to the clip's neutral
print("neutral: pose_Ry", neutral[0], "pose_Tz", neutral[1])
for t, (au25, ry, tz) in enumerate(track.round(3), 1):
    print(f"frame {t}: AU25 {au25:.2f}  pose_Ry {ry:5.2f}  pose_Tz {tz:5.1f}")

# %% [markdown]
# <details><summary>Answer to Predict 2</summary>
#
# AU25 in frame 3 is (1 + 2) / 2 = 1.5, half way between its valid neighbours; its own 0.00 counts for nothing.
# Frame 5 looks 0.90 - 0.12 = 0.78 rad aside. The median does not care about that one long look; the mean
# neutral would be tilted by 0.15 rad.
#
# </details>
#
# ### Exercise 3: frames without a face
# Write `repair(values, success)` for one column: frames with success 0 come to lie on the line between their valid
# neighbours. Before the first and after the last valid frame there is no line: hold the nearest valid value.

# %%
def repair(values, success):
    """one column (T,) and its success (T,), 0 or 1 -> the column with its failed frames filled in"""
    # BEGIN SOLUTION
    good = np.flatnonzero(success == 1)
    return np.interp(np.arange(len(values)), good, values[good])
    # END SOLUTION


checks.repair(repair)

# %% [markdown]
# <details><summary>Hint 1</summary>Which frames are valid? np.flatnonzero(success == 1) gives their numbers.</details>
# <details><summary>Hint 2</summary>np.interp(x, xp, fp) draws the line through the points (xp, fp) and reads it at x.</details>
# <details><summary>Hint 3</summary>Read it at all frames, 0 to T - 1. At the ends np.interp holds the last value.</details>
#
# {{SOLUTION}}
#
# The same recipe for all 23 columns of the clip's real file, against `read_openface`:

# %%
lines = [[cell.strip() for cell in line.split(",")] for line in open(clip.csv)]
table = {name: np.array([float(line[i]) for line in lines[1:]]) for i, name in enumerate(lines[0])}
good = np.where(table["success"] == 1)[0]
wanted = [f"{name}_r" if name.startswith("AU") else name for name in ATTRIBUTES]
naive = np.stack([np.interp(np.arange(len(lines) - 1), good, table[name][good]) for name in wanted], axis=1)
offset = np.median(naive[:, 17:], axis=0)                                  # (6,)
naive[:, 17:] -= offset
np.testing.assert_allclose(naive, animation.read_openface(clip.csv), atol=1e-5)
print("shape", naive.shape, "| naive equals package: True")
print("the camera stands between 500 and 650 mm away:", bool(500 < offset[5] < 650))
print("the file puts translation before rotation, Y the other way round:",
      lines[0].index("pose_Tx") < lines[0].index("pose_Rx") and column("pose_Rx") < column("pose_Tx"))

# %% [markdown]
# ## Do lips follow the sound?
#
# Lay sound and face on one time axis. The orange bands are /p/, /b/ and /m/: there the lips must be together.

# %% tags=["slide-output"]
fig, axes = plots.new(2, 1, width=6.4, height=3, sharex=True)
middle = (np.arange(len(Y)) + 0.5) / 25
loudness = mel.mean(0)[(4 * np.arange(len(Y)) + 2).clip(0, mel.shape[1] - 1)]    # (T,) in the middle of each frame
for name, dash, label in (("AU25", "-", "AU25 lips part"), ("AU26", ":", "AU26 jaw drop")):
    axes[0].plot(middle, Y[:, column(name)], dash, color=plots.COLOURS["Y"], lw=1.4, label=label)
axes[0].plot(middle, 5 * loudness, color=plots.COLOURS["A"], lw=1, label="5 x mean of the mel bands")
for name, dash, label in (("AU01", "-", "AU01 brow"), ("AU07", "--", "AU07 lids"), ("AU45", ":", "AU45 blink")):
    axes[1].plot(middle, Y[:, column(name)], linestyle=dash, color=plots.COLOURS["Y"], lw=1.4, label=label)
closed = np.zeros(len(Y), bool)
for name, start, end in clip.phones():
    if name in ("P", "B", "M"):
        axes[0].axvspan(start, end, color="#F7DFAE", lw=0)
        closed |= (middle > start) & (middle < end)
for ax in axes:
    ax.axvline((FRAME + 0.5) / 25, color="#BBBBBB", lw=4, zorder=0)
    ax.legend(fontsize=8, ncols=3, loc="upper right")
    ax.set(ylabel="Y: intensity", ylim=(-0.1, 6), xlim=(0, len(Y) / 25))
axes[1].set_xlabel("seconds; the grey line is frame 17")
plots.show(fig, alt="Above, lips part and jaw drop fall to near zero in the orange bands of P, B and M and rise "
           "with the loudness of vowels; below, brow, lids and blink follow no such pattern.")

# %%
lips = Y[:, column("AU25")]
print("lips part less in P, B, M than elsewhere:", bool(lips[closed].mean() < 0.4 * lips[~closed].mean()))
print("frame 17 is among the most open third:", bool(lips[FRAME] > np.quantile(lips, 2 / 3)))


def link(name):
    return abs(np.corrcoef(loudness, Y[:, column(name)])[0, 1])


print("loudness tells more about the jaw than about the brow:", bool(link("AU26") > link("AU01")))
strip = range(FRAME - 4, FRAME + 5)
fig, axes = plots.new(1, 9, width=9.5, height=1.15)
fig.photo = True
for ax, t in zip(axes, strip):
    said = [name for name, start, end in clip.phones() if start <= (t + 0.5) / 25 < end]
    ax.imshow(face(Y[t], slice(88, 146), slice(50, 142)))
    ax.set_title(f"{t}: {said[0]}", fontsize=9, fontweight="bold" if t == FRAME else None)
    ax.axis("off")
plots.show(fig, alt="The mouth in nine frames around frame 17, drawn by the actor, with their phones: shut for M, open "
           "for AE, shut again for P.")

# %% [markdown]
# You see the mouth open and shut within a fifth of a second, in time with the sound. For brow, smile and blink
# the sound gives no such order: many faces fit it. That gap is why the paper's network is probabilistic, and
# chapter 4 fills it.
#
# ## Failure gallery
#
# Break it on purpose. **In the picture**: degrees where radians belong, absolute pose where relative pose
# belongs, and columns in the file's order (pose first) where AUs come first.

# %% tags=["slide-output"]
right = Y[FRAME].copy()
degrees = right.copy()
degrees[17:20] = np.rad2deg(right[17:20]) + [0, 8, 0]                  # a turn of 8 degrees, taken for radians
absolute = right.copy()
absolute[17:] += offset
mixed = np.concatenate([right[[20, 21, 22, 17, 18, 19]], right[:17]])  # (23,) as the file has them
fig, axes = plots.new(1, 4, width=5.4, height=1.7)
fig.photo = True
for ax, Z, words in zip(axes, (right, degrees, absolute, mixed),
                        ("right", "degrees", "absolute pose", "file's order")):
    ax.imshow(face(Z, size=128))
    ax.set_title(words, fontsize=9)
    ax.axis("off")
plots.show(fig, alt="Frame 17 four times: right; with degrees the head points somewhere else; with absolute pose it is "
           "far away and small; with columns in file order head and expression are others.")

# %% [markdown]
# **In time**: the sound three frames late. Correlate loudness with the jaw at every shift and look for the
# peak.

# %%
def peak(loudness, jaw, shifts=range(-12, 13)):
    r = [np.corrcoef(np.roll(loudness, s)[15:-15], jaw[15:-15])[0, 1] for s in shifts]
    return r, shifts[int(np.argmax(r))]


fig, ax = plots.new(width=5.4, height=2)
peaks = []
for late, dash in ((0, "-"), (3, "--")):
    shifted = np.concatenate([np.zeros(640 * late, np.float32), wave])[:len(wave)]
    loud = audio.log_mel(shifted).mean(0)[(4 * np.arange(len(Y)) + 2).clip(0, mel.shape[1] - 1)]
    r, best = peak(loud, Y[:, column("AU26")])
    peaks.append(best)
    ax.plot(range(-12, 13), r, dash, color=plots.COLOURS["A"], label=f"sound {late} frames late")
    ax.plot(best, max(r), "o", color=plots.COLOURS["A"])
ax.set(xlabel="sound moved by this many frames", ylabel="correlation with AU26")
ax.legend(fontsize=8)
plots.show(fig, alt="Correlation of loudness and jaw over shifts: a peak for the clip as it is, and the same peak "
           "three frames to the left when the sound is three frames late.")
print("three frames late moves the peak by", peaks[1] - peaks[0], "frames")

# %% [markdown]
# **In frequency**: an FFT window that is too short cannot tell tones apart, one that is too long smears the /p/
# away.

# %%
import librosa

p_start, p_end = next((start, end) for name, start, end in clip.phones() if name == "P" and start > FRAME / 25)
vowel, gap = int(100 * (FRAME + 0.5) / 25), int(50 * (p_start + p_end))             # mel frames
fig, axes = plots.new(1, 3, width=6.6, height=1.9, sharey=True)
contrast = {}
for ax, n_fft in zip(axes, (320, 1280, 8192)):
    bank = librosa.filters.mel(sr=16000, n_fft=n_fft, n_mels=20, fmin=125, fmax=7600)
    amplitude = abs(librosa.stft(wave * audio.loudness_gain(wave), n_fft=n_fft, hop_length=160, pad_mode="constant"))
    picture = scaled_decibels(bank @ amplitude * 1280 / n_fft)                      # (20, M)
    contrast[n_fft] = picture[:, vowel].mean() - picture[:, gap].mean()             # vowel AE minus the gap of P
    ax.imshow(picture, extent=(0, picture.shape[1], 0, 20), **look)
    ax.vlines([100 * p_start, 100 * p_end], 0, 20, color="white", ls=":")
    ax.set(title=f"{n_fft // 16} ms" + " (the paper)" * (n_fft == 1280), xlim=(36, 116))
    ax.set_xlabel("mel frame; dotted: P")
axes[0].set_ylabel("mel band")
plots.show(fig, alt="Three spectrograms of 'calm map maker' with windows of 20, 80 and 512 ms; the gap of P between "
           "the dotted lines is sharp with the short window and filled with the long one.")
print("the gap is deep with 80 ms:", bool(contrast[1280] > 0.3))
print("it is gone with 512 ms:", bool(contrast[8192] < 0.1))

# %% [markdown] tags=["slide"]
# ## Recap
#
# * Sound becomes `A` (T, 400): same loudness, FFT 1280, hop 160, 20 mel bands, decibels between 0 and 1, and
#   for frame t the mel frames 4t-8 ... 4t+11.
# * A face becomes `Y` (T, 23): 17 AUs from 0 to 5, three angles in radians and three shifts in millimetres,
#   relative to the clip's median.
# * One rule of time joins them. A click in frame 17 is heard by frame 17, in its middle.
# * Eq. 3 gives the network one more frame of sound than of faces.
#
# ## What this toy does not show
#
# * The voice is a clean synthetic one, without room, music or a second speaker. On such sound mel bands are
#   easy to read. Chapter 6 tests on real readings.
# * The track follows a known law with noise like OpenFace's; real OpenFace output is worse on beards, glasses
#   and profiles, and weak on AU14, AU15 and AU23 for everybody.
# * 23 numbers are not a face: no pursed lips, no tongue, no gaze, no wet eyes.
# * Loudness and jaw go together here. On real clips that correlation is weak, and chapter 6 needs a network to
#   find a lag.
#
# ## Quiz
#
# 1. Why does frame 3 hear mel frames 4 to 23 and not 12 to 31?
# 2. Your colleague's front end has hop 200. How many mel frames does a video frame of 40 ms get now, and what
#    breaks?
# 3. A file has AU25_c = 1 and AU25_r = 0.0 in the same frame. Is it damaged?
# 4. Pose_Tz is 0 in all frames of a file. What do you ask the person who made it?
#
# <details><summary>Answers</summary>
#
# 1. The window is centred on the middle of the frame, mel frame 14: ten before it, ten from it on. 12 to 31
#    would start with the frame and hear only the future.
# 2. 640 / 200 = 3.2: windows no longer line up with frames, and rounding makes a slip that grows with time.
# 3. No. Presence and intensity come from two separate models of OpenFace and may disagree.
# 4. Whether it is relative already, or whether OpenFace was run without pose output: zeros look like a
#    perfectly still head.
#
# </details>
#
# ## Next
#
# Chapter 2 cuts each of the 23 numbers into D = 500 bins, so that a network can say how likely each value is.
