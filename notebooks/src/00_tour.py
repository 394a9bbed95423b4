# %% [markdown] tags=["slide"]
# # 0 The tour: one sentence, three faces
#
# You give the computer a recording and one picture of a face. It gives you back three films of that face saying the
# sentence. In this chapter **you will be able to**
#
# 1. make three talking faces from one recording, and say which parts of DIRFA did what (*sections 1 to 5*),
# 2. work out how many video frames a recording needs (*Exercise 1*),
# 3. read one step of the mapping network, 23 likelihoods over 500 bins, and draw from one (*Predict 1, Exercise 2*),
# 4. explain why the three films differ, where they must not, and say it in a number (*Predict 2, Exercise 3*),
# 5. say what may go wrong, technically and with people (*failure gallery; consent and misuse*).
#
# * Reading time: 30 minutes. Running time on two cores: {{RUN_TIME}}.
# * Prerequisites: Python, numpy arrays, what a neural network is. No chapter comes before this one.
# * The paper: Wu et al. 2023, *Audio-Driven Talking Face Generation with Diverse yet Realistic Facial Animations*
#   (DIRFA). This chapter is its Fig. 1; each later chapter opens one box of it.

# %% [markdown]
# ## Set-up
# Run the cells from the top down: Shift+Enter runs one and goes on to the next. What you see before is stored from our own
# run; sliders, buttons and films come alive when you run their cell. Change what you like, and keep a copy of the original.
#
# Everything you need is on this disk. Two trained networks come with the course: the **mapping network** (speech to
# animation) and the **generation network** (portrait and animation to pictures).

# %%
import numpy as np
import torch
from torch.testing import assert_close

from dirfa_edu import (
    CHAPTER_CLIP, FPS, LIPS, UPPER, Actor, Corpus, audio, column, data_path, generate,
    load_pretrained, metrics, plots, talk, video,
)
from dirfa_edu.course import checks, explorers, paper
from dirfa_edu.faces import vision
from dirfa_edu.files import InputError

torch.set_num_threads(1)  # drawing frame by frame gains nothing from a second one
corpus = Corpus("samples")
clip = corpus[CHAPTER_CLIP]
FRAME = 17
mapper, generator = load_pretrained("mapper"), load_pretrained("generator")
print(clip.name, "says:", clip.text)

# %% [markdown]
# ## The result first
# Five lines make three films. `A` is what the network hears, `samples` are three animations, `films` are pictures.
# The person in the portrait is a digital actor whom neither network met in training.

# %%
A = clip.features()                                                     # (T, 400)
samples = generate(mapper, A, samples=3, seed=0)                        # (3, T, 23)
portrait = talk.load_portrait(data_path("portraits", f"{clip.actor}.png"), generator.config.size)
films = [np.stack(list(talk.render_frames(generator, portrait, Y))) for Y in samples]
print("animations:", samples.shape, " each film:", films[0].shape)
print("the actor is in a training clip:", clip.actor in {each.actor for each in corpus.select(split="train")})

# %% tags=["slide-output"]
times = talk.strip_times(len(A), 8)
fig = plots.film_strip_figure([film[times] for film in films], ["sample 0", "sample 1", "sample 2"],
                              [t / FPS for t in times], size=0.95)
plots.show(fig,
           alt="Three film strips of one face saying the same sentence; lips agree, faces and head poses differ.")

# %% [markdown]
# Read the strips by column: one moment, three faces. The mouths should agree, because the sound decides them. Brows,
# smiles, blinks and head poses need not: the sound leaves them open. That is DIRFA's claim in one picture: *diverse yet
# realistic*.
#
# Now hear and see it. The film is written with the speech as its sound.

# %%
video.write_mp4("out/tour_sample_0.mp4", films[0], clip.wave())
plots.play("out/tour_sample_0.mp4", "sample 0, generated")

# %% [markdown]
# In a terminal the same job is one command, with your own recording and your own portrait (read the page on consent
# first):
#
# ```
# dirfa-edu talk speech.wav --portrait face.png --samples 3 --seed 0 --out demo/
# ```

# %% [markdown]
# ## Where do the voices and faces come from?
# The videos that the paper learned from may not be passed on. So this course comes with a small corpus of its own, and
# nobody in it was filmed. **Speech** is spoken by free synthetic voices; a few real readings from LibriVox, in the
# public domain, are kept for testing. **Faces** are digital actors. **Motion** is drawn from a probability law that is
# written down: which faces go with these sounds, and how likely each is. The
# [data sheet](../data_samples/README.md) has the whole recipe.

# %%
for kind, words in (("speech", "synthetic voices"), ("real", "LibriVox readings"), ("probe", "random faces")):
    for split in ("train", "test"):
        some = corpus.select(split=split, kind=kind)
        if some:
            voices = ", ".join(sorted({each.voice for each in some} - {""})) or "none"
            minutes = sum(each.seconds for each in some) / 60
            print(f"{split}, {words}: {len(some)} clips, {minutes:.1f} minutes, voices: {voices}")
print("real voices are for testing only:", corpus.select(split="train", kind="real") == [])
plots.play(clip.video, "the clip as the corpus has it: a synthetic voice, a digital actor")

# %% [markdown]
# Play it. Then ask what no recording can answer: **which other face could have said this?** The law is known, so the
# corpus keeps further draws for the same sound. The next cell takes the two of them whose brows differ most.
#
# **Predict:** where will the two rows agree, where will they differ?

# %% tags=["slide-output"]
draws = clip.truth()["draws"]                                           # (draws, T, 23), one sound
brows = draws[:, :, [column("AU01"), column("AU02"), column("AU04")]].sum(-1)   # (draws, T)
apart = np.abs(brows[:, None] - brows[None])                            # (draws, draws, T)
one, two, t = np.unravel_index(apart.argmax(), apart.shape)
actor = Actor(clip.actor)
pair = [np.stack([actor.render(Z) for Z in draws[i]]) for i in (one, two)]      # two films (T, 128, 128, 3)
video.write_mp4("out/two_draws.mp4", np.concatenate(pair, axis=2), clip.wave())
plots.play("out/two_draws.mp4", "two draws of the law, side by side, one voice")
near = (t + np.arange(-8, 9, 4)).clip(0, len(A) - 1)
fig = plots.film_strip_figure([film[near][:, 20:112, 18:110] for film in pair], ["one draw", "another"], near / FPS, size=0.85)
plots.show(fig, alt="Five moments of two films with the same sound: in each column the mouths are alike, brows and "
           "head pose are not.")
r = [np.corrcoef(*draws[[one, two], :, column(name)])[0, 1] for name in ("AU25", "AU01", "pose_Ry")]
print("lips agree nearly everywhere:", bool(r[0] > 0.9))
print("brows and head turns do not:", bool(max(r[1:]) < 0.8))

# %% [markdown]
# Both rows are right answers. So there is no single face to learn for a sound, but a distribution of faces: lips that
# the sound decides, and the rest, which it leaves open.
#
# ## 1 What goes in: speech
# Which part of the sound does the network hear when it makes frame 17? Sound has 16,000 samples a second, film has 25
# frames. The network hears a **log-mel spectrogram**: how loud each of 20 pitch bands is, 100 times a second. For one
# frame it gets the 0.2 s around the frame, 20 × 20 = 400 numbers: row `A[17]`.

# %%
plots.play(clip.audio, "the recording")
fig = plots.mel_with_window(audio.log_mel(clip.wave()), FRAME, clip.wave())
plots.show(fig, alt="Waveform and log-mel spectrogram of the clip; a white box marks the 0.2 s window of frame 17.")

# %% [markdown] tags=["slide"]
# Frame 17 is the open vowel of *map*. The lips were shut just before it, for /m/, and will be shut again just after it,
# for /p/. We follow this frame through all chapters. Chapter 01 builds `A` step by step.
#
# ### Exercise 1: how many frames?
# Frame $t$ covers the time from $t/25$ s to $(t+1)/25$ s. A recording has $N$ samples. How many frames $T$ does the film
# need, so that every sample has its frame? Predict the answer for $N = 640$ and $N = 641$, then write the function.

# %% tags=["slide"]
def frames_of(n_samples):
    """number of frames that cover n_samples of 16 kHz speech"""
    # BEGIN SOLUTION
    return -(-n_samples // 640)
    # END SOLUTION


checks.frames_of(frames_of)

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# How many samples fall into one frame? 16,000 a second, shared among 25 frames.
#
# </details>
# <details><summary>Hint 2</summary>
#
# 641 samples fill one frame and begin a second one.
#
# </details>
# <details><summary>Hint 3</summary>
#
# You round up. In whole numbers, `-(-a // b)` is a divided by b, rounded up.
#
# </details>
#
# {{SOLUTION}}

# %%
assert audio.frame_count(640) == 1 and audio.frame_count(641) == 2
assert audio.frame_count(len(clip.wave())) == len(A)
print("the package agrees: T =", len(A), "frames for", len(clip.wave()), "samples")

# %% [markdown]
# ## 2 What comes between: an animation
# Between the two networks stands a small array $Y$ of shape $(T, 23)$: per frame 17 **Action Units** (AU25: lips part,
# AU12: smile, AU45: blink ...), each from 0 to 5, and 6 numbers of **head pose**. Below is what was measured on the
# recording itself. Look for frame 17 (0.7 s) in the first row.

# %%
Y = clip.animation()
shown = ("AU25", "AU01", "AU45", "pose_Ry")
fig = plots.samples_over_time(np.zeros((0, len(Y), 23)), Y, shown, "the recorded animation Y")
for ax in fig.axes:
    ax.axvspan(FRAME / FPS, (FRAME + 1) / FPS, color="#BBBBBB")
plots.show(fig, alt="Four curves over five seconds: lips part with the vowels, brows and yaw take their own time, blinks are spikes.")

# %% [markdown]
# Move a face yourself. Arrow keys work once a slider has the focus. Which of the three sliders changes most pixels?

# %% tags=["nbval-ignore-output"]
explorers.face_explorer().show()

# %%
moved = {}
still = actor.render(np.zeros(23)).astype(float)
for name, value in {"AU25": 3, "AU12": 3, "pose_Ry": 0.3}.items():
    Z = np.zeros(23)
    Z[column(name)] = value
    moved[name] = np.abs(actor.render(Z) - still).mean()
print("the head turn changes most pixels:", max(moved, key=moved.get) == "pose_Ry")

# %% [markdown]
# A head turn moves everything, lips move little. Keep this in mind for chapter 06: a number that averages over pixels
# hardly sees the mouth.
#
# ## 3 One step of the mapping network
# The network never says "AU25 is 1.3". It cuts each attribute's range into $D = 500$ bins and gives each bin a
# likelihood. First the bins, by hand. Eq. 2 gives a value the index of the nearest centre (*centroid*) $y_d$:
#
# $$\bar{y}_i = \operatorname{argmin}_{d \in D} \|y_i - y_d\|_1 \qquad \text{(Eq. 2)}$$

# %%
centroids = np.array([0.5, 1.5, 2.5, 3.5, 4.5])      # D = 5 bins over 0..5
values = np.array([0.2, 1.3, 4.9])
for y in values:
    print(f"{y} -> bin {np.abs(y - centroids).argmin()}")
assert_close(np.abs(values[:, None] - centroids).argmin(1), np.array([0, 1, 4]))

# %% [markdown] tags=["slide"]
# Then the likelihoods. The network reads the sound so far and the bins of the frames before, at most $\tau = 50$ of
# them, and the product over all frames is the likelihood of the whole animation:
#
# $$p(\bar{Y}|A) = p(\bar{Y}_{1:\tau}|A_{1:\tau}) \cdot
#   \prod_{t=\tau+1}^T p(\bar{Y}_t|\bar{Y}_{t-\tau:t-1}, A_{t-\tau:t}) \qquad \text{(Eq. 3)}$$
#
# **Predict 1.** At frame 17 a vowel is spoken. Will the likelihood of AU25 (lips part) have its peak at 0 or above it?
# And that of AU45 (blink)?

# %% tags=["slide-output"]
y_bar = torch.from_numpy(mapper.discretizer.encode(Y))[None]             # (1, T, 23) true bins
y_before = torch.cat([mapper.start(1), y_bar[:, :-1]], dim=1)            # frame t sees frame t-1
with torch.inference_mode():
    p = mapper(torch.from_numpy(A)[None], y_before)[0].softmax(-1).numpy()   # (T, 23, D)
fig, axes = plots.new(1, 2, width=9, height=2.3)
for ax, name in zip(axes, ("AU25", "AU45")):
    ax.step(mapper.discretizer.centroids[column(name)], p[FRAME, column(name)], color=plots.COLOURS["k"])
    ax.axvline(Y[FRAME, column(name)], color=plots.COLOURS["y_bar"], ls="--", label="measured")
    ax.set(xlabel=f"{name}: value of the bin", ylabel="likelihood", xlim=(-0.1, 4))
axes[0].legend()
plots.show(fig, alt="Likelihood over bins at frame 17: a hill away from zero for AU25, a spike at zero for AU45.")

# %%
mean = (p[FRAME] * mapper.discretizer.centroids).sum(-1)                 # (23,) expected value
print("likelihoods:", p.shape, " each sums to one:", bool(np.allclose(p.sum(-1), 1, atol=1e-4)))
print("AU25 is expected to be open at frame 17:", bool(mean[column("AU25")] > 0.3))
print("no blink is likeliest at frame 17:", int(p[FRAME, column("AU45")].argmax()) < 50)

# %% [markdown]
# ## 4 Draw: three animations
# A likelihood is an invitation to draw. For each frame and each attribute the network keeps the $k$ likeliest bins, draws
# one, feeds it back, and goes on to the next frame. Draw again and you get another animation.
#
# **Predict 2.** In which of the four rows will the three samples lie closest together?

# %% tags=["slide-output"]
fig = plots.samples_over_time(samples, Y, shown, "three samples, and the recording (black)")
plots.show(fig, alt="Three samples over time: in AU25 they rise and fall together, in brows, blinks and yaw they part.")

# %%
def together(name):
    """mean correlation of an attribute between two samples"""
    r = np.corrcoef(samples[:, :, column(name)])
    return r[np.triu_indices(3, 1)].mean()


again = generate(mapper, A, samples=3, seed=0)
print("the three differ:", all(np.abs(samples[i] - samples[j]).max() > 0.5 for i, j in ((0, 1), (0, 2), (1, 2))))
print("the same seed gives the same animations:", bool((again == samples).all()))
print("lips agree more than head turns do:", bool(together("AU25") > together("pose_Ry")))
print("lips go with the recording:", bool(np.corrcoef(samples[0, :, column("AU25")], Y[:, column("AU25")])[0, 1] > 0.4))

# %% [markdown] tags=["slide"]
# Nobody told the network which attributes the sound decides. It found out: where the sound says much, the likelihood is
# narrow and the samples agree; where it says nothing, the likelihood is broad. Chapters 02 to 04 take this apart.
#
# ### Exercise 2: draw a bin
# A computer draws numbers $u$ between 0 and 1, all equally likely. How do you turn one into a bin, so that bin $d$ comes as
# often as its likelihood $p_d$ says? Lay the likelihoods end to end on a line from 0 to 1 and see on which of them $u$
# falls. By hand: $p$ = (0.1, 0.4, 0.3, 0.2) ends at 0.1, 0.5, 0.8 and 1, so $u$ = 0.62 draws bin 2. Write it.

# %%
def draw_bin(p, u):
    """likelihoods p (D,) and a number u in 0..1 -> the bin on which u falls"""
    # BEGIN SOLUTION
    return int(np.searchsorted(np.cumsum(p), u, side="right"))
    # END SOLUTION


checks.draw_bin(draw_bin)

# %% [markdown]
# <details><summary>Hint 1</summary>`np.cumsum(p)` is where each likelihood ends on the line.</details>
# <details><summary>Hint 2</summary>Go along the ends. The first one beyond u is the bin you want.</details>
# <details><summary>Hint 3</summary>Count how many ends are at or below u.</details>
#
# {{SOLUTION}}
#
# ### Exercise 3: how much do two samples agree?
# "The lips agree" is a claim; a number makes it one that can fail. Write the correlation of two tracks: take the means off,
# multiply, average, and divide by both spreads. 1 means up and down together, 0 nothing in common.

# %%
def agreement(a, b):
    """correlation of two tracks (T,)"""
    # BEGIN SOLUTION
    a, b = a - a.mean(), b - b.mean()
    return (a * b).mean() / (a.std() * b.std())
    # END SOLUTION


checks.agreement(agreement)

# %% [markdown]
# <details><summary>Hint 1</summary>Without the means taken off, two brows that rest at 1 would agree for ever.</details>
# <details><summary>Hint 2</summary>What is left is the covariance: it has units. What removes them?</details>
# <details><summary>Hint 3</summary>Divide by `a.std() * b.std()`. `np.corrcoef(a, b)[0, 1]` says the same.</details>
#
# {{SOLUTION}}
#
# ## 5 The generation network
# The second network gets one source image and the attributes of one frame:
#
# $$\hat{I}_{tgt} = G(I_{src}, Z_{tgt}) \qquad \text{(Eq. 6)}$$
#
# It looks at the portrait once, works out where each part of it has to go, moves it there, and fills in what was
# hidden, such as teeth. Below, the recording's own film stands above sample 0: same speech, another performance. Each
# shuts its lips for /m/, opens them for the vowel, and shuts them for /p/; count the frames by which they differ.

# %%
near = list(range(FRAME - 3, FRAME + 4))
fig = plots.film_strip_figure([clip.frames()[near], films[0][near]], ["recording", "sample 0"],
                              [f"frame {t}" for t in near], size=0.9)
plots.show(fig,
           alt="Seven frames around frame 17, recording above sample 0: lips shut, open in the middle, shut.")

# %%
open_lips = samples[:, :, column("AU25")]                                # (3, T)
print("all three open their lips at frame 17:", bool((open_lips[:, 17] > 0.8).all()))
print("and shut them for the /p/ three frames later:", bool((open_lips[:, 20] < open_lips[:, 17] / 2).all()))
print("the film is more than a copy of the portrait:", bool(metrics.psnr(films[0][40], portrait) < 40))

# %% [markdown]
# ## Conduct it
# The whole machine in one figure, and all its knobs. Above, where two attention heads look, and the likelihood of AU25 at
# frame 17 with what $k$ keeps in orange; below, the face, and five of its 23 curves. **Predict 3.** Which knob moves the
# lips most, and which leaves them alone?
#
# Try in turn: pin AU12, and watch which other curves follow it. Set $k$ to 1: what happens to the blinks? Then
# temperature to 1.5. Set the mask's slope to 0, and both heads forget what is near. The last button makes the film, with
# sound.

# %% tags=["nbval-ignore-output"]
explorers.conductor_explorer().show()

# %% [markdown]
# ## 6 How good is it?
# A model that draws must not be punished for drawing another plausible face than the one recorded. So we report the lip
# error of one sample **and** of the closest of three, and beside it how much the samples differ. Chapter 06 measures
# properly, with the paper's six figures.

# %%
errors, spread = metrics.lip_errors(samples, Y), metrics.diversity(samples)
frozen = metrics.lip_errors(np.repeat(np.median(Y, 0)[None, None], len(Y), 1), Y)["one"]
print("the closest sample has a lower lip error than the average one:", errors["closest"] <= errors["one"])
print("the mean of all samples beats a face that never moves:", errors["mean"] < frozen)
print("samples differ in every group:", all(spread[group] > 0 for group in ("lips", "upper", "blink", "pose")))

# %% [markdown]
# ## Failure gallery
# Break it on purpose. **One:** let the network keep only the single likeliest bin, $k = 1$.

# %%
frozen = generate(mapper, A, samples=2, seed=0, top_k=1)
print("with k = 1 the two samples are the same:", bool((frozen[0] == frozen[1]).all()))
expression = [np.abs(np.diff(each[:, UPPER], axis=0)).mean() for each in (samples[0], frozen[0])]
print("and the face moves less:", bool(expression[1] < expression[0]))

# %% [markdown]
# **Two:** let it draw from everything, at twice the temperature. **Three:** play it silence.

# %%
wild = generate(mapper, A, samples=1, seed=0, top_k=500, temperature=2.0)[0]
silent = generate(mapper, audio.frame_features(np.zeros(3 * 16000)), samples=1, seed=0)[0]
fig, ax = plots.new(height=2.2)
for track, name, dash, colour in ((samples[0], "sample 0", "-", 0), (wild, "k = 500, hot", ":", 1),
                                  (silent, "silence", "--", 2)):
    ax.plot(np.arange(len(track)) / FPS, track[:, column("AU25")], dash, color=plots.SAMPLES[colour], label=name)
ax.set(xlabel="seconds", ylabel="AU25 lips part")
ax.legend(ncols=3, fontsize=8)
plots.show(fig, alt="AU25 over time: sample 0 follows the speech, the hot draw trembles, silence stays nearly flat.")

# %%
jitter = [metrics.jitter(each)["lips"] for each in (samples[0], wild)]
print("drawing from everything makes the lips tremble:", bool(jitter[1] > jitter[0]))
print("silence opens the mouth less than speech:", bool(silent[:, LIPS].mean() < samples[0][:, LIPS].mean()))
for path in ("no_such_recording.wav", "00_tour.ipynb"):
    try:
        audio.load(path)
    except InputError as error:
        print("refused:", error)

# %% [markdown] tags=["slide"]
# ## Consent, misuse, detection
# You can now make a face say what its owner never said. Before you use anybody's picture or voice but a digital actor's:
#
# * **Ask, and be specific.** Consent means that the person knows what you make, for whom, and for how long, and can take
#   it back. "It was on the web" is not consent. The dead and children cannot give it.
# * **Say so.** Every mp4 this package writes carries a note that it is synthetic. Leave it there, and tell viewers too.
# * **Misuse is common and harms people:** false statements, fraud by a known face, sexual images. In many countries
#   making or sharing them is a crime, whatever the tool's licence says.
# * **Detection is weak.** Notes in a file are lost when it is encoded again, as you see below, and detectors trained on
#   one generator fail on the next. Blink rates gave fakes away once; DIRFA draws natural blinks.
#
# The actors of this course are nobody: drawn at random from a mesh in the public domain. That is why they may be shipped.

# %%
import av

with av.open("out/tour_sample_0.mp4") as container:
    print("note in the file:", container.metadata["comment"])
frames, _, wave = video.read_mp4("out/tour_sample_0.mp4")
with av.open("out/again.mp4", "w") as container:              # what a messenger does to a film: encode it again
    stream = container.add_stream("libx264", rate=FPS)
    stream.width = stream.height = frames.shape[1]
    for frame in frames[:25]:
        container.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
    container.mux(stream.encode())
with av.open("out/again.mp4") as container:
    print("the note is gone after encoding again:", "synthetic" not in container.metadata.get("comment", ""))
print("and a face detector still sees a face:", vision.find_face(frames[0]) is not None)

# %% [markdown] tags=["slide"]
# **Discuss.** A charity wants to revive a dead activist's voice and face for a campaign; her family agrees, she never
# knew of such tools. Who could give consent? What would a note in the file change? What would you build into *this*
# package to make misuse harder, and whom would that hinder?

# %% [markdown]
# ## The whole paper on one page
# Each equation, figure, table and claim of DIRFA, where this course teaches it, which function holds it, and how far it
# could be reproduced with legal data on a laptop.

# %% tags=["nbval-ignore-output"]
from IPython.display import Markdown

Markdown(paper.markdown())

# %% [markdown]
# ## Notation
# The same letters in text, code and plots, and one colour for each: [all symbols](../docs/notation.md) with units and
# colours, [all terms](../docs/glossary.md) in a sentence each.
#
# | symbol | what | shape |
# |---|---|---|
# | $T$, $t$ | frames, 25 a second; one frame | |
# | $A$ `A` | audio features | (T, 400) |
# | $Y$ `Y` | animation: 17 AUs, 6 pose numbers | (T, 23) |
# | $\bar{Y}$ `y_bar` | true bins | (T, 23) |
# | $\tilde{Y}$ `y_tilde` | generated bins | (T, 23) |
# | $\hat{Y}$ `y_hat` | generated bins as values | (T, 23) |
# | $D$ `bins`, $d$ | bins; one bin | 500 |
# | $\tau$ `tau` | frames of context | 50 |
# | $H$ `heads`, $N_k$ | attention heads; channels per head | |
# | $M$ `mask` | what is added to attention scores | (H, T, T) |
# | $k$ `top_k` | how many bins may be drawn | |
# | $I_{src}$, $I_{tgt}$, $Z$ | source image, target image, driving attributes | |

# %% [markdown] tags=["slide"]
# ## Recap
# Speech becomes 400 numbers a frame. A transformer turns them into likelihoods over 500 bins for 23 attributes, draws, and
# feeds the draw back. A second network moves a portrait as the attributes say. Three draws are three performances.
#
# **What this toy does not show.** Faces are digital actors, their motion follows a law we wrote, and most voices are
# synthetic, so realism is judged against a world of our own making. Rounded lips (/u/, /w/) hardly show: the 17 Action Units have no pucker. The pictures have 128
# pixels a side, and the networks were trained on a laptop's scale of data.
#
# ## Quiz
# 1. Why do three samples agree about lips and not about brows?
# 2. Why bins and likelihoods, when a network could give the value itself?
# 3. What does $k = 1$ cost you, what does $k = 500$?
# 4. Which of the two networks has heard the sound?
#
# <details><summary>Answers</summary>
#
# 1. The sound decides lips, so their likelihood is narrow; it leaves brows open.
# 2. A single value must be the average of all that is plausible: a face that hardly moves (chapter 04, *w/o Prob*).
# 3. $k = 1$ costs diversity and movement, $k = 500$ lets unlikely bins through: the face trembles.
# 4. Only the mapping network. The generation network sees a picture and 23 numbers.
#
# </details>
#
# **Next:** [01 Features](01_features.ipynb), what the network hears and what it moves.
