# %% [markdown] tags=["slide"]
# # 4 The mapping network
#
# In this chapter **you will be able to**
#
# * write the probability of a whole animation as a product, and check that it is one (*Predict 1*);
# * give the network its past and not its answer (*Exercise 1*), and say why that past is spoilt on purpose (*Quiz*);
# * compute the loss (Eq. 5), and say what an untrained network must score (*Predict 2, Exercise 2*);
# * write top-k sampling yourself, and choose $k$ and temperature (*Exercise 3*);
# * make the same speech smile (*Try it*).
#
# Reading time 50 minutes, running time on two cores: {{RUN_TIME}}.
#
# Prerequisites: chapter 2 (bins), chapter 3 (the mask), conditional probability, cross-entropy. Paper: sections
# 3.2.2 and 3.2.4 (Eq. 3, 4, 5).

# %% [markdown]
# ## Set-up
# $A$ is audio (400 numbers a frame), $\bar Y$ (`y_bar`) the true bins, $\tilde Y$ (`y_tilde`) generated bins,
# $\hat Y$ (`y_hat`) their values, $D = 500$ bins, $\tau = 50$ frames. `MINUTES` is the time you give to training a
# network of your own below.

# %%
import itertools
import json
import logging
import math
from dataclasses import replace

import numpy as np
import torch
from torch.testing import assert_close

from dirfa_edu import (
    CHAPTER_CLIP, GROUPS, LIPS, POSE, UPPER, Control, Corpus, MapperConfig, MappingNetwork, Stream, audio,
    column, data_path, examples, generate, load_pretrained, losses, metrics, plots, sampling, training,
)
from dirfa_edu.course import checks, explorers
from dirfa_edu.results import mapper_card

MINUTES, FRAME = 0.6, 17
torch.set_num_threads(1)  # frame by frame a second thread gains nothing
logging.disable(logging.INFO)  # the trainer greets on stderr
clip = next(c for c in Corpus().clips if c.name == CHAPTER_CLIP)
mapper = load_pretrained("mapper")
A, Y = clip.features(), clip.truth()["clean"]  # the exact motion, without measurement noise
T = len(Y)
print(f"clip {clip.name} has {T} frames; the mapper has {mapper.config.bins} bins and {mapper.config.layers} layers")

# %% [markdown]
# ## The picture to understand
# One sentence of speech, three animations, drawn one frame at a time from the same network. The lips (AU25) must
# agree with the sound, and so with each other. Smile, blinks and head need not. This chapter builds the machine
# that does it.

# %% tags=["slide-output"]
samples = generate(mapper, A, samples=3, seed=0)  # (samples, T, 23)
assert samples.shape == (3, T, 23)
again = generate(mapper, A, samples=3, seed=0)
print("the same seed gives the same three:", bool((samples == again).all()))
print("the three differ:", bool((samples[0] != samples[1]).any() and (samples[1] != samples[2]).any()))
fig = plots.samples_over_time(samples, Y, ["AU25", "AU12"], "the same speech, three animations and the recording")
plots.show(fig, alt="Lips and smile of three samples and the recording over five seconds: the lips rise and fall "
           "together, each sample smiles at its own time or not at all.")

# %% [markdown]
# ## Why probability? Regression to the mean
# **Question.** Why not train a network to output *the* animation, with a squared error?
#
# Toy: at some stressed syllable half of all speakers smile (AU12 near 3), half hardly do (near 0.4). The sound is the
# same. A regression network has to name one number. Which one makes its squared error smallest?

# %%
rng = np.random.default_rng(0)
smile = np.where(rng.random(2000) < 0.5, 3.0, 0.4) + 0.15 * rng.normal(size=2000)  # AU12 of 2000 speakers
guesses = np.linspace(0, 5, 501)
error = ((guesses[:, None] - smile) ** 2).mean(1)
best = guesses[error.argmin()]
print("best single number:", round(best, 1), "= the mean:", bool(abs(best - smile.mean()) < 0.01))
print("speakers within 0.5 of it:", int((np.abs(smile - best) < 0.5).sum()), "of 2000")

bins = torch.from_numpy((smile / 0.1).astype(np.int64))  # 50 bins of 0.1, Eq. 2
logits = torch.zeros(50, requires_grad=True)
optimizer = torch.optim.Adam([logits], 0.2)
for _ in range(300):
    loss = losses.cross_entropy(logits.expand(1, 2000, 1, 50), bins[None, :, None])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
p = torch.softmax(logits.detach(), 0)
assert_close(p, torch.bincount(bins, minlength=50) / 2000, atol=2e-3, rtol=0)
print("cross-entropy learns the histogram itself: True")

# %% tags=["slide-output"]
fig, ax = plots.new(width=8, height=2.5)
ax.bar(np.arange(50) * 0.1 + 0.05, p.numpy(), 0.09, color=plots.COLOURS["y_tilde"], label="learned with cross-entropy")
ax.axvline(best, color="k", ls="--", label="learned with squared error")
draw = torch.multinomial(p, 6, generator=torch.Generator().manual_seed(2)) * 0.1 + 0.05
ax.plot(draw.numpy(), [0.005] * 6, "v", color=plots.COLOURS["y_hat"], ms=9, label="six draws")
ax.set(xlabel="AU12", ylabel="probability", ylim=(0, 0.2))
ax.legend(fontsize=8)
plots.show(fig, alt="Two heaps of probability, near 0.4 and near 3. The single number of regression lies between "
           "them, where nobody is; draws from the learned distribution fall into the heaps.")

# %% [markdown] tags=["slide"]
# **What you saw.** Regression names a half smile that nobody shows: that is what the paper calls regression to the
# mean. A network that writes a probability for every bin can keep both heaps, and a **draw** is always somebody's
# face.
#
# ## One frame after another: Eq. 3
# **Question.** A sentence of 124 frames has 23 attributes of 500 bins: $500^{2852}$ animations. How can a network
# write a probability for each of them? It writes them as a product:
#
# $$p(\bar Y|A) = p(\bar Y_{1:\tau}|A_{1:\tau}) \prod_{t=\tau+1}^{T} p(\bar Y_t \mid \bar Y_{t-\tau:t-1}, A_{t-\tau:t})
# \qquad\text{(Eq. 3)}$$
#
# Each factor asks only for the next frame, given the last $\tau$ frames and the sound.
#
# Toy: a mouth that is closed (0) or open (1), three frames, $\tau = 1$. The table gives the probability of *open*,
# given the frame before and whether there is sound. **Predict 1.** With sound, sound, silence: how probable is
# open, open, closed?

# %%
p_open = {("start", 0): 0.1, ("start", 1): 0.6, (0, 0): 0.1, (0, 1): 0.7, (1, 0): 0.4, (1, 1): 0.9}
sound = [1, 1, 0]


def probability(mouth):
    """Eq. 3 letter by letter: the product over frames of p(this | the one before, sound)"""
    total, before = 1.0, "start"
    for state, a in zip(mouth, sound):
        total *= p_open[before, a] if state == 1 else 1 - p_open[before, a]
        before = state
    return total


print("p(open, open, closed) =", round(probability((1, 1, 0)), 3))
everything = {mouth: probability(mouth) for mouth in itertools.product((0, 1), repeat=3)}
print("all", len(everything), "animations together:", round(sum(everything.values()), 6))
assert max(everything, key=everything.get) == (1, 1, 0)

# %% [markdown]
# <details><summary>Answer to Predict 1</summary>
#
# 0.6 · 0.9 · (1 − 0.4) = 0.324. It is the likeliest of the eight, and still happens less than one time in three.
# </details>
#
# **Trap.** Count the frames in Eq. 3: $A_{t-\tau:t}$ is $\tau+1$ frames of audio, $\bar Y_{t-\tau:t-1}$ is $\tau$
# frames of animation. And with $L$ layers a frame feels more than $\tau$ of both (chapter 3).
#
# ## The start token
# **Question.** What stands before the first frame? In the toy it is the word "start". The first factor of Eq. 3,
# $p(\bar Y_{1:\tau}|A_{1:\tau})$, is left open by the paper. **Our choice:** the same network writes it, with a bin
# of its own that means "nothing before": bin number $D$, one more than the bins 0 to $D-1$. Row $t$ of the input
# holds the bins of frame $t-1$: the whole track moved down by one.
#
# ### Exercise 1: what the network may know
# Write `shift(y_bar, D)`: bins (T, 23) in, as many rows out, row $t$ with the bins of frame $t-1$.

# %%
def shift(y_bar, D):
    """bins (T, 23) -> the bins of the frame before, (T, 23); before frame 0 stand start tokens"""
    # BEGIN SOLUTION
    return np.concatenate([np.full((1, y_bar.shape[1]), D), y_bar[:-1]])
    # END SOLUTION


checks.shift(shift)

# %% [markdown]
# <details><summary>Hint 1</summary>Which frame does nobody look back at? Leave it out.</details>
# <details><summary>Hint 2</summary>np.full((1, 23), D) is the row that comes first.</details>
# <details><summary>Hint 3</summary>np.concatenate joins along time. np.roll would bring the last frame to the front.</details>
#
# {{SOLUTION}}
#
# On the clip, beside the package's start token:

# %%
y_bar = mapper.discretizer.encode(Y)  # (T, 23), Eq. 2
D = mapper.config.bins
y_previous = np.full((T, 23), D)
for t in range(1, T):
    y_previous[t] = y_bar[t - 1]  # what the network may know at frame t
shifted = torch.cat([mapper.start(1), torch.from_numpy(y_bar)[None, :-1]], dim=1)  # (1, T, 23)
assert torch.equal(shifted[0], torch.from_numpy(y_previous))
print("row 0 is all start tokens:", bool((y_previous[0] == D).all()))
print("and no other row has one:", bool((y_previous[1:] < D).all()))

with torch.inference_mode():
    logits = mapper(torch.from_numpy(A)[None], shifted)  # (1, T, 23, D)
assert logits.shape == (1, T, 23, D)
print("one pass gives", logits.shape[1], "x", logits.shape[2], "x", logits.shape[3], "logits")

# %% [markdown]
# ## Teacher forcing
# **Question.** Eq. 3 runs frame by frame. Must training, too? No: in training all true frames are known. Give the
# network the *true* past at every frame (teacher forcing), and one pass writes all $T$ factors. The mask of chapter
# 3 sees to it that no frame peeks at its own answer. Check it: change frame 30, and see which predictions move.

# %%
other = torch.from_numpy(y_bar).clone()
other[30] = (other[30] + 100) % D
with torch.inference_mode():
    moved = mapper(torch.from_numpy(A)[None], torch.cat([mapper.start(1), other[None, :-1]], dim=1))
change = (moved - logits)[0].abs().amax((1, 2))  # (T,)
print("frames 0 to 30 are blind to it:", bool(change[:31].max() < 1e-4), "; frame 31 is not:", bool(change[31] > 0.1))
fig, ax = plots.new(width=8, height=2.1)
ax.bar(np.arange(T), change.numpy(), color=plots.COLOURS["y_tilde"])
ax.axvline(30, color="k", ls="--", lw=1)
ax.set(xlabel="frame t (bins of frame 30 were changed)", ylabel="change of logits")
plots.show(fig, alt="Largest change of the logits per frame after the bins of frame 30 were changed: nothing up "
           "to frame 30, much at frame 31, then less and less.")

# %% [markdown] tags=["slide"]
# ## The loss: Eq. 5
# **Question.** How good is a probability? Ask what it gave to the bin that came true. $-\log p$ is 0 if it was
# certain and large if it was surprised.
#
# $$L_{CE} = \frac1T\,\text{CrossEntropy}\big(p(\bar Y|A), \bar Y_{1:T}\big) =
# -\frac{1}{T}\sum_{t=1}^{T} \log p(\bar Y_t)
# \qquad\text{(Eq. 5)}$$
#
# We also take the mean over the 23 attributes. In nats with $\log$, in **bits** with $\log_2$.
#
# **Predict 2.** A network that knows nothing gives each of 500 bins 1/500. What is its loss in bits?

# %%
toy = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 3.0]])  # logits of two frames, three bins
came_true = torch.tensor([0, 1])
by_hand = 0.0
for t in range(2):
    p = [math.exp(z) for z in toy[t].tolist()]
    by_hand -= math.log(p[came_true[t]] / sum(p)) / 2
assert_close(losses.cross_entropy(toy[None, :, None], came_true[None, :, None]), torch.tensor(by_hand))  # (B, T, 1, D)
print("loss of the toy:", round(by_hand, 2), "nats; hand and package agree: True")

target = torch.from_numpy(y_bar)[None]  # (1, T, 23)
uniform = losses.cross_entropy(torch.zeros(1, T, 23, D), target)
assert_close(uniform, torch.tensor(math.log(D)))
print("knowing nothing costs log 500 =", round(math.log(500), 2), "nats =", round(math.log2(500), 2), "bits")
torch.manual_seed(0)
fresh = MappingNetwork(MapperConfig(), mapper.discretizer).eval()
with torch.inference_mode():
    untrained = losses.cross_entropy(fresh(torch.from_numpy(A)[None], shifted), target)
    trained = losses.cross_entropy(logits, target)
print("an untrained network is about that bad:", bool(abs(untrained - uniform) < 0.5))
print("the shipped one needs less than half of the bits:", bool(trained < uniform / 2))

# %% [markdown]
# <details><summary>Answer to Predict 2</summary>
#
# $\log_2 500 = 8.97$ bits. A first loss far from $\log D$ is a bug, and the cheapest test of a network there is.
# </details>
#
# ### Exercise 2: surprise in bits
# Write Eq. 5 for one attribute, in bits: likelihoods `p` (T, D) and the bins that came true, `y_bar` (T,).

# %%
def bits(p, y_bar):
    """mean surprise at the true bins, in bits"""
    # BEGIN SOLUTION
    return -np.log2(p[np.arange(len(y_bar)), y_bar]).mean()
    # END SOLUTION


checks.bits(bits)

# %% [markdown]
# <details><summary>Hint 1</summary>p[np.arange(T), y_bar] picks one likelihood per frame.</details>
# <details><summary>Hint 2</summary>Half as likely costs one bit more. Which logarithm says so?</details>
# <details><summary>Hint 3</summary>First the logarithm, then the mean over the frames, then the sign.</details>
#
# {{SOLUTION}}
#
# ## Spoil the past
# **Question.** In training the past is true. In use it is the network's own, with its errors. How much does an
# error of frame $t-1$ matter at frame $t$?
#
# A toy you can solve: predict AU25 from the frame before and the sound, **linearly**, by least squares. Once with
# the true past, once with noise added to the past. The weight $w$ on the past says what happens to an error: after
# $n$ frames $w^n$ of it is left. (Fitted on 48 training sentences.)

# %%
def table(clips, name="AU25"):
    """sound (N, 400), value of the frame before (N,), value (N,), over all clips"""
    audio, past, target = [], [], []
    for c in clips:
        a, y = c.features(), c.animation()[:, column(name)]
        n = min(len(a), len(y))
        audio.append(a[1:n])
        past.append(y[:n - 1])
        target.append(y[1:n])
    return np.concatenate(audio), np.concatenate(past), np.concatenate(target)


train_clips = Corpus().select(split="train", kind="speech")[:72]
sound_now, before, now = table(train_clips[:48])
rng, weight, fit = np.random.default_rng(0), {}, {}
for name, noise in (("true past", 0.0), ("spoilt past", 0.8)):
    X = np.column_stack([before + noise * rng.normal(size=len(before)), sound_now, np.ones(len(now))])
    ridge = np.diag([0.0] + [3.0] * 400 + [0.0])
    fit[name] = np.linalg.solve(X.T @ X + ridge, X.T @ now)
    weight[name] = fit[name][0]
print("weight on the past, true and spoilt:", [round(float(w), 1) for w in weight.values()])
print("five frames later more than 20 % of an error is left (true past):", bool(weight["true past"]**5 > 0.2))
print("five frames later less than 2 % is left (spoilt past):", bool(weight["spoilt past"]**5 < 0.02))

# %% [markdown]
# Now let both run on their own output, and push the mouth open by 3 at frame 30:

# %%
def run(w, A, push):
    """feed predictions back; at frame 30 `push` is added"""
    y, out = 0.0, []
    for t, a in enumerate(A):
        y = w[0] * y + a @ w[1:-1] + w[-1] + (push if t == 30 else 0.0)
        out.append(y)
    return np.array(out)


fig, axes = plots.new(1, 2, width=8, height=2.4, width_ratios=[2, 1])
for (name, w), dash, colour in zip(fit.items(), ("--", "-"), (plots.COLOURS["y_hat"], plots.COLOURS["A"])):
    axes[0].plot(np.arange(20, 60) / 25, run(w, A, 3.0)[20:60], dash, color=colour, label=name)
    kick = run(w, A, 3.0) - run(w, A, 0.0)
    assert_close(kick[30:40], 3.0 * w[0] ** np.arange(10))
    axes[1].plot(np.arange(10), kick[30:40], dash, color=colour, label=f"3 x {w[0]:.1f}$^n$")
axes[0].plot(np.arange(20, 60) / 25, Y[20:60, column("AU25")], color="k", lw=1, label="truth")
axes[0].set(xlabel="seconds", ylabel="AU25", title="pushed at 1.2 s")
axes[1].set(xlabel="frames after the push", title="what is left of the push")
[ax.legend(fontsize=8) for ax in axes]
a, b = (np.abs(run(w, A, 0.0) - Y[:, column("AU25")]).mean() for w in fit.values())
print("left after n frames: 3 times w to the n. Undisturbed errors within 0.1 of each other:", bool(abs(a - b) < 0.1))
plots.show(fig, alt="Left: AU25 of two linear models after a push at 1.2 s; the one trained on the true past "
           "stays open for several frames. Right: the push shrinks geometrically, slowly with the true past, at "
           "once with the spoilt one.")

# %% [markdown]
# **What you saw.** Trained on a true past, a model copies it: the past is the cheapest hint there is. In use it
# then copies its own errors. A spoilt past makes it listen to the sound. (Undisturbed, this toy makes about equally
# good lips either way. A network that **draws** a bin each frame disturbs itself all the time.) In the trials
# behind this course nothing lowered the mapper's lip error more.
#
# The package spoils the past of the lips in every frame: a past that is exact now and then gives the rest away. How
# strongly is drawn for each window, 15 % of $D$ on average. A network that feeds back its own lips is wrong for many
# frames in a row, so their past also drifts slowly, by an AU unit or more. The other attributes are moved lightly, by
# .3 % of $D$ in 40 % of the frames, or rare expressions freeze. (A third of the windows trains something else, `Control`
# further down: there one expression is marked as pinned, and the others have drifted off and must come after it.)

# %%
data = [(torch.from_numpy(A), [torch.from_numpy(y_bar)])]
features, previous, true, _ = examples.mapper_batch(data, mapper.discretizer, 1, 75, torch.Generator().manual_seed(3))
assert features.shape == (1, 75, 400) and previous.shape == true.shape == (1, 75, 23)
moved = (previous[0, 1:] - true[0, :-1]).abs().float()  # row t holds frame t-1
hit = moved[:, POSE].sum(1) > 0
print("pose is moved in about 40 % of the frames:", bool(0.25 < hit.float().mean() < 0.55))
lips, upper = (moved[:, index].mean() for index in (LIPS, UPPER))
print("lips are moved more than five times as far:", bool(lips > 5 * upper))
fig, axes = plots.new(2, 1, width=9, height=3.2, sharex=True)
for ax, name in zip(axes, ("AU25", "AU01")):
    j = column(name)
    ax.plot(true[0, :-1, j].numpy(), color=plots.COLOURS["y_bar"], lw=2, label="true bins")
    ax.plot(previous[0, 1:, j].numpy(), "o", ms=3, color=plots.COLOURS["y_hat"], label="what the network is fed")
    ax.set(ylabel=name, ylim=(-10, 320))
axes[0].legend(fontsize=8, loc="upper right")
axes[1].set_xlabel("frame")
plots.show(fig, alt="Bins of AU25 and AU01 over 75 frames and what training feeds back: the points of AU25 wander "
           "slowly off the line and scatter, those of AU01 stay close to it.")

# %% [markdown]
# ## Train one yourself
# Two layers, 96 channels, `MINUTES` minutes on 72 sentences. The log holds bits per attribute on held-out
# sentences, a number per group. Below it stand two longer runs: three minutes of the same network on all sentences
# (`dirfa-edu train mapper --preset notebook --minutes 3`), and the shipped mapper.

# %% tags=["slide-output"]
small = replace(training.MAPPER_RECIPES["notebook"], minutes=MINUTES)
network, log = training.train_mapper(train_clips, small, progress=False)
print("it beats knowing nothing in every group:", all(log[-1][group] < math.log2(D) for group in GROUPS))
print("lips fell by more than a bit:", bool(log[-1]["lips"] < math.log2(D) - 1))
shipped = json.loads(data_path("models", "mapper.log.json").read_text())
three = json.loads(data_path("results", "mapper_3_minutes.json").read_text())
fig, axes = plots.new(1, 4, width=10, height=2.7, sharey=True)
for ax, group, colour in zip(axes, GROUPS, plots.SAMPLES):
    for rows, dash, marker, label in ((log, "--", "o", "yours"), (three, ":", None, "3 minutes"),
                                      (shipped, "-", None, "shipped")):
        minutes = [max(row["seconds"], 1) / 60 for row in rows]
        ax.plot(minutes, [row[group] for row in rows], dash, marker=marker, ms=3, color=colour, label=label)
    ax.axhline(math.log2(D), color="k", lw=1, ls=":")
    ax.set(title=group, xlabel="minutes", xscale="log", ylim=(0, 9.5))
    ax.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
axes[0].set_ylabel("bits per attribute")
axes[0].legend(fontsize=8, loc="lower left")
plots.show(fig, alt="Bits per attribute on held-out sentences against minutes of training, for lips, "
           "upper face, blink and pose: your network falls steeply from 9 bits, the one of three minutes and the "
           "shipped one go on from there.")

# %% [markdown]
# **What you saw.** In half a minute a network learns which bins are common: most expression is exactly 0 most of
# the time. The sound comes later, and pose, whose next bin lies a hair from the last, later still. (Yours is tested
# on six sentences, the shipped one on others: compare shapes, not decimals.) From here on you use the shipped
# mapper.
#
# ## What does it think at frame 17?
# **Question.** The network writes 23 distributions a frame. What do they look like? Frame 17 is the vowel of "map",
# and the lips were closed at /m/ one frame ago.

# %% tags=["slide-output"]
p = torch.softmax(logits[0], -1).numpy()  # (T, 23, D), with the true past
assert np.allclose(p.sum(-1), 1, atol=1e-4)
for name, k in (("AU25", 10), ("AU12", 60)):
    j = column(name)
    centre = int((p[FRAME, j] * np.arange(D)).sum())
    near = (max(0, centre - 130), max(0, centre - 130) + 260)
    fig = plots.bin_likelihood(p[FRAME, j], f"{name} at frame {FRAME}", k=k, truth=int(y_bar[FRAME, j]),
                               centroids=mapper.discretizer.centroids[j], window=near)
    if name == "AU12":
        fig.axes[0].set(yscale="log", ylim=(1e-6, 2))
    plots.show(fig, alt=f"Likelihood of each bin of {name} at frame {FRAME}: top-{k} keeps the orange ones, the "
               f"truth is dashed.")
likely = p[FRAME].max(-1)  # (23,)
print("it is surer of the smile than of the lips at this frame:", bool(likely[column("AU12")] > likely[column("AU25")]))

# %% [markdown]
# **What you saw.** The lips are a hill about the truth, the smile a spike at bin 0 with a thin tail where a smile
# could begin (mind the log scale). To Eq. 5 alone bins 237 and 238 are as different as 237 and 4: each bin would be
# learned by itself, from few examples, and the hill would be a comb. The shipped network, and yours above, had
# *ordinal* targets, a bell of one bin's width about the true one that leaves bin 0 alone (ours, not the paper's:
# `losses.cross_entropy(..., ordinal=1)`).
#
# Over the whole sentence, the likelihood of one attribute is a heat map (ten bins together, to see the shape). Each
# column is one frame, its largest value brightest; the truth is white. Lips are read from the sound and the past;
# the head is its own past continued.
# %%
low, high = mapper.discretizer.low, mapper.discretizer.high
for name in ("AU25", "pose_Ry"):
    j = column(name)
    wide = p[:, j].reshape(T, D // 10, 10).sum(-1)  # (T, 50): ten bins together, to see the shape
    fig = plots.likelihood_over_time(wide, Y[:, j], low[j], high[j], name)
    plots.show(fig, alt=f"Likelihood of {name} over five seconds as a heat map with the true track in white.")
inside = np.mean([p[t, column("AU25"), max(0, b - 50):b + 51].sum() for t, b in enumerate(y_bar[:, column("AU25")])])
print("it gives more than half of its likelihood to within 0.5 of the true AU25:", bool(inside > 0.5))

# %% [markdown]
# ## A face goes on from where it is
# **Question.** The head was in bin 4 of 9. Where is it one frame later? Somewhere near. A plain linear head must learn
# that for each bin anew: after 4 comes 3, 4 or 5; after 5 comes 4, 5 or 6. **Our addition:** a second, small head
# writes logits for *moves*, and they are laid over the last bin. `MapperConfig(reach=0)` is the paper's plain head; it
# needs some ten times the training for the same bits of head pose.

# %%
last, move_logits = 4, torch.tensor([0.5, 2.0, 3.0, 2.0, 0.5])  # for moves of -2, -1, 0, 1, 2 bins
by_hand = torch.zeros(9)
for move in range(-2, 3):
    if 0 <= last + move < 9:  # beyond the ends there is no bin
        by_hand[last + move] += move_logits[move + 2]
where, outside = losses.around(torch.tensor([last]), reach=2, D=9)
assert_close(torch.zeros(1, 9).scatter_add(1, where, move_logits.masked_fill(outside, 0))[0], by_hand)
print("likeliest bin after 4:", int(by_hand.argmax()), "; the package agrees: True")

# %% [markdown]
# ## Top-k
# **Question.** 500 bins, and most of them nearly impossible. But 400 times nearly impossible is a face that
# twitches every second. How do you cut off the tail? Keep the $k$ likeliest bins, share out the probability among
# them in their old proportions, and draw:

# %%
toy = torch.tensor([0.05, 0.40, 0.05, 0.30, 0.20]).log()  # logits of five bins
k = 3
kept = sorted(range(5), key=lambda d: -toy[d])[:k]
e = [math.exp(toy[d]) if d in kept else 0.0 for d in range(5)]
by_hand = torch.tensor([each / sum(e) for each in e])
print("kept bins", sorted(kept), "with", [round(float(q), 2) for q in by_hand])
assert_close(by_hand.sum(), torch.tensor(1.0))

generator = torch.Generator().manual_seed(0)
draws = sampling.top_k_sample(toy.expand(20000, 5), k=3, generator=generator)
share = torch.bincount(draws, minlength=5) / 20000
print("20000 draws of the package agree within 1 %:", bool((share - by_hand).abs().max() < 0.01))

# the Gumbel trick: log p plus noise, the largest wins; no softmax, no cumulative sum
gumbel = -torch.log(-torch.log(torch.rand(20000, 5, generator=generator)))
winner = (toy.masked_fill(by_hand == 0, -math.inf) + gumbel).argmax(-1)
print("so does the Gumbel trick:", bool((torch.bincount(winner, minlength=5) / 20000 - by_hand).abs().max() < 0.01))

# %% [markdown]
# **Trap.** $k$ counts bins, but faces move in AU units. With $D = 500$ a bin is 0.01 wide: $k = 5$ keeps a range of
# 0.05. Of a distribution with a spread of 5 bins it leaves a quarter; with $D = 10$ the same $k$ would be half of
# all values. And **temperature** divides the logits before the softmax: below 1 sharpens, above 1 flattens.

# %%
x = np.arange(-40, 41)
logit = -0.5 * (x / 5) ** 2  # a bell of 5 bins' spread
width = []
for k in (1, 5, 20, 81):
    q = np.where(np.argsort(np.argsort(-logit, kind="stable")) < k, np.exp(logit), 0)
    width.append(float(np.sqrt((q * x**2).sum() / q.sum())) / 5)
print("share of the spread that k = 1, 5, 20, 81 keep:", [f"{w:.0%}" for w in width])
fig, axes = plots.new(1, 3, width=9.5, height=2.3, sharey=True)
z = logits[0, FRAME, column("AU25")]
for ax, temperature in zip(axes, (0.5, 1.0, 2.0)):
    q = torch.softmax(z / temperature, 0)
    entropy = float(-(q * (q + 1e-12).log2()).sum())
    ax.fill_between(np.arange(D) * 0.01, q.numpy(), color=plots.COLOURS["y_tilde"], step="mid")
    ax.set(title=f"temperature {temperature}: {entropy:.1f} bits", xlabel="AU25")
axes[0].set_ylabel("likelihood")
plots.show(fig, alt="The likelihood of AU25 at frame 17 at temperatures 0.5, 1 and 2: sharp, as learned, and flat.")

# %% [markdown]
# ## The whole machine
# **Question.** What is left to build? A loop: predict, draw, feed back. Here it is with the plain `forward` and the
# likeliest bin ($k = 1$), beside the package's `generate`, which keeps a ring of keys and values (chapter 3) and so
# does not start again at each frame. $\hat Y$ is the centroid of the drawn bin (Eq. 4).

# %%
frames = 30
y = mapper.start(1)  # (1, 1, 23) nothing before
with torch.inference_mode():
    for t in range(frames):
        now = mapper(torch.from_numpy(A)[None, :t + 1], y)[0, t]  # (23, D)
        y_tilde = now.argmax(-1)  # (23,) top-1
        y = torch.cat([y, y_tilde[None, None]], dim=1)  # fed back
y_hat = mapper.discretizer.decode(y[0, 1:].numpy())  # (frames, 23), Eq. 4
assert y_hat.shape == (frames, 23)
package = generate(mapper, A[:frames], samples=1, top_k=1, guidance=0)[0]
print("loop and package agree:", bool(np.allclose(y_hat, package, atol=1e-6)))
one, two = generate(mapper, A[:frames], samples=2, seed=5), generate(mapper, A[:frames], samples=4, seed=5)
print("sample 0 is the same among 2 and among 4:", bool((one[0] == two[0]).all()))

# %% [markdown]
# ## Diverse yet realistic
# **Question.** Are the three samples too alike, or too wild? With real people you could not say: each sentence was
# spoken once. Our speakers follow a known law, so the corpus holds **eight further recordings** of the same
# sentence. The grey band is where they lie.

# %% tags=["slide-output"]
law = clip.truth()["draws"]  # (8, T, 23) further faces for the same sound
low, high = np.quantile(law, [0.05, 0.95], axis=0)
shown = ["AU25", "AU45", "pose_Ry"]
fig = plots.samples_over_time(samples, Y, shown)
fig.set_size_inches(8, 3.4)
for ax, name in zip(fig.axes, shown):
    j = column(name)
    ax.fill_between((np.arange(T) + 0.5) / 25, low[:T, j], high[:T, j], color="#C8C8C8", zorder=0)
plots.show(fig, alt="Three samples, the recording, and a grey band that holds most of eight further draws of the "
           "law, for lips, blink and yaw: narrow for the lips, wide for the rest.")
ten = generate(mapper, A, samples=8, seed=1)
r = [np.corrcoef(one[:, column("AU25")], law[:, :T, column("AU25")].mean(0))[0, 1] for one in ten]
print("AU25 of each sample follows the law's mean lips (r above 0.5):", bool(min(r) > 0.5))

# %%
ours, laws = metrics.diversity(ten), metrics.diversity(law)
fig, ax = plots.new(width=7.5, height=2.6)
place = np.arange(4)
ax.bar(place - 0.2, [laws[g] for g in GROUPS], 0.38, color="#B5B5B5", label="8 draws of the law")
ax.bar(place + 0.2, [ours[g] for g in GROUPS], 0.38, color=plots.COLOURS["y_hat"], label="8 samples of the mapper")
ax.set(xticks=place, xticklabels=list(GROUPS), ylabel="mean distance of two")
ax.legend(fontsize=8)
plots.show(fig, alt="Mean distance between two animations of the same speech, for lips, upper face, blink and "
           "pose: eight draws of the law beside eight samples of the mapper.")
print("samples differ in every group:", all(ours[g] > 0 for g in GROUPS))
print("its lips differ about as much as the law's:", bool(0.5 < ours["lips"] / laws["lips"] < 1.5))

# %% [markdown]
# **What you saw.** Speech decides the lips almost entirely and expression hardly at all, so one $k$ cannot suit
# both. The package gives each group its own $k$ and temperature (`sampling.TOP_K`, `TEMPERATURE`): lips tight,
# expression and pose loose. And as 500 nearly impossible bins are one leap now and then, expression and head go no
# farther in a frame than two and three natural steps (`sampling.SPEED`). Two more knobs stand at "off": top-$p$ keeps the
# fewest bins that hold the probability $p$, and guidance lets an attribute listen harder: the network is asked once with
# the sound and once without, and the difference counts more than once.
#
# ## Does it know how likely?
# **Question.** A smile comes in one sentence of ten. Does the network smile in one sample of ten, and more often where
# a stressed syllable invites it? Only a made corpus can tell: it holds the law's probability of each event in each
# frame, given the sound.

# %%
six = Corpus().select(split="test", kind="speech", rendered=True)[:6]
events = mapper_card.calibration(mapper, six, samples=12)  # {event: 4 quarters x (law, sampled, frames)}
fig, ax = plots.new(width=4.6, height=3.2)
for (event, rows), marker in zip(events.items(), "os^vD*"):
    ax.plot(rows[:, 0], rows[:, 1], marker, label=event)
ax.plot([0, 0.5], [0, 0.5], color="#777777", lw=1)
ax.set(xlabel="probability by the law", ylabel="share of samples")
ax.legend(fontsize=8)
plots.show(fig, alt="Six kinds of events, a point for each quarter of the frames: how often they were sampled against "
           "the law's probability. On the diagonal the network would be calibrated.")
nod = events["nod"]
print("nods are sampled more often where the law has more of them:", bool(nod[-1, 1] > 2 * nod[0, 1]))

# %% [markdown]
# **What you saw.** Blinks lie near the diagonal, and smiles come about as often as they should, if not where. Nods and brow
# raises follow the stresses, but where they are likeliest nods come about half as often as the law has them, and brow
# raises a quarter. A brow raise is two attributes at once, AU01 and AU02, and the network draws each of the 23 on
# its own: where only one rises, nobody sees a raise.
#
# ## Try it: make the speech smile
# **Question.** You want a smile from 1.5 to 3.5 s. Do you have to train again? No: overwrite AU12 before it is fed
# back. The other attributes read it as their own past. A pinned attribute is also marked in the input: in a third of its
# training windows the network saw one attribute marked and the others spoilt, and learned to bring them after it. Which
# of them do you expect to follow?

# %%
control = Control(pins=[("AU12", 1.5, 3.5, 2.0)])  # attribute, from, to, value
free, pinned = (generate(mapper, A, samples=8, seed=2, control=c) for c in (None, control))
span = slice(45, 87)
gain = pinned[:, span].mean((0, 1)) - free[:, span].mean((0, 1))  # (23,)
print("AU06 (cheeks) rises by more than 0.2:", bool(gain[column("AU06")] > 0.2))
lips = np.corrcoef(pinned[:, span, column("AU25")].mean(0), free[:, span, column("AU25")].mean(0))[0, 1]
print("the lips go on speaking (r above 0.8):", bool(lips > 0.8))

wave, gain = clip.wave(), audio.loudness_gain(clip.wave())
stream = Stream(mapper, gain, samples=2, seed=1)
pieces = [stream.feed(part) for part in np.array_split(wave, 7)] + [stream.finish()]
print("frames after each piece:", [piece.shape[1] for piece in pieces])
same = np.array_equal(np.concatenate(pieces, axis=1), generate(mapper, A, samples=2, seed=1))
print("bit for bit what the whole recording gives:", same)

# %% tags=["nbval-ignore-output"]
explorers.control_explorer().show()

# %% [markdown]
# A **pin** is exact, and the attribute is led there and let go at its natural speed. A **pull** adds a Gaussian to the
# logits and leaves the decision to the network. `Control` also scales, offsets, schedules blinks and continues a real
# beginning; chapter 7 uses it on your own face. The last lines of the cell above are another freedom: `Stream` takes the
# speech piece by piece, as it arrives.

# %% [markdown]
# ## Failure gallery
# Three ways to sample badly. For each: do samples differ, and how large is the mean step from frame to frame,
# compared with the recording?

# %%
settings = {"as shipped": {}, "k = 1": {"top_k": 1}, "temperature 3, k = 500": {"top_k": 500, "temperature": 3.0}}
step = np.abs(np.diff(Y, axis=0))[:, :17].mean()
span, seconds = slice(38, 74), (np.arange(38, 74) + 0.5) / 25
fig, axes = plots.new(2, 3, width=8, height=3, sharex=True, sharey=True)
for col, (name, setting) in enumerate(settings.items()):
    S = generate(mapper, A, samples=2, seed=0, **setting)
    differ, jitter = bool((S[0] != S[1]).any()), float(np.abs(np.diff(S, axis=1))[..., :17].mean() / step)
    print(f"{name:24} samples differ: {differ!s:5}  steps over twice the recording's: {jitter > 2}")
    for ax, attribute in zip(axes[:, col], ("AU25", "AU45")):
        for i, one in enumerate(S):
            ax.plot(seconds, one[span, column(attribute)], plots.DASHES[i], color=plots.SAMPLES[i], lw=1.2)
        ax.plot(seconds, Y[span, column(attribute)], color="k", lw=1)
    axes[0, col].set_title(name, fontsize=9)
    axes[1, col].set_xlabel("seconds")
axes[0, 0].set_ylabel("AU25 lips part")
axes[1, 0].set_ylabel("AU45 blink")
plots.show(fig, alt="Lips and blinks of two samples and the recording (black): as shipped; with k of 1 both are "
           "the same line and no eye closes; with temperature 3 they jump at every frame.")

# %% [markdown] tags=["slide"]
# The fourth way is an unspoilt past: you saw it above, in the push that does not die out. And $k = 1$ is not the
# safe choice it seems: each frame it takes the likeliest bin, and the likeliest thing for an eye to do is to stay
# open, so it (almost) never blinks.
#
# ## Exercise 3: top-k by hand
# Write `top_k_probabilities(logits, k)` → probabilities `(D,)`: the softmax over the $k$ largest logits, 0
# elsewhere. Logits are a 1-D array.

# %% tags=["slide"]
def top_k_probabilities(logits, k):
    """the k likeliest bins share all probability in their old proportions"""
    # BEGIN SOLUTION
    logits = np.asarray(logits, float)
    kept = np.argsort(-logits)[:k]  # the k largest
    p = np.zeros(len(logits))
    p[kept] = np.exp(logits[kept] - logits.max())  # minus the largest: no overflow
    return p / p.sum()
    # END SOLUTION


checks.top_k_probabilities(top_k_probabilities)

# %% [markdown]
# <details><summary>Hint 1</summary>Which k bins stay? np.argsort sorts upwards.</details>
# <details><summary>Hint 2</summary>A logit of 0 is not a probability of 0. Which logit is?</details>
# <details><summary>Hint 3</summary>Divide by the sum of those that stay, not by the sum of all.</details>
#
# {{SOLUTION}}

# %% [markdown]
# ## Play with it
# The shipped mapper on our clip, with the true past. Orange is what top-k keeps. Go to AU45 (blink) at frame 17,
# then raise the temperature.

# %% tags=["nbval-ignore-output"]
explorers.top_k_explorer().show()

# %% [markdown] tags=["slide"]
# ## Recap
# * Regression answers with the mean, and the mean of two faces is nobody's face. A distribution over bins keeps
#   both.
# * Eq. 3: the whole is a product of next frames. A start token, bin $D$, stands before the first.
# * Teacher forcing computes all factors in one pass; Eq. 5 is the surprise at the true bin; knowing nothing costs
#   $\log D$.
# * A spoilt past makes the network listen to the sound instead of itself.
# * Top-k cuts the tail; $k$ is read in value units; each group has its own. Pin an attribute, and the others react
#   through the past.
#
# ### What the toy does not show
# Given the past, the 23 attributes of one frame are drawn **independently**: cheek and lip corner agree only
# through earlier frames. Our speakers follow a law that we wrote; real faces are richer, and nobody knows their
# law. Half a minute of training shows a falling curve, not a talking face. And one clip is one clip: chapter 6
# measures many.
#
# ## Quiz
# 1. Why does teacher forcing need the causal mask?
# 2. Your first loss is 12 nats at $D = 500$. What do you suspect?
# 3. You halve $D$ to 250 and leave $k = 10$ for the lips. What happens to the spread?
# 4. Why are lips spoilt more strongly than brows in training?
# 5. Someone reports a lower error with the mean of ten samples than with any single one. Is the mean the better
#    animation?
#
# <details><summary>Answers</summary>
#
# 1. All frames are in the input. Without the mask frame $t$ would read its own answer from row $t+1$.
# 2. A bug: it must start near $\log 500 = 6.2$. Wrong target bins, or logits that are far too large.
# 3. Ten bins are now twice as wide, 0.2 instead of 0.1: samples spread more.
# 4. The sound tells the lips; it should be asked. It tells little about brows: there the past is the only hint, and
#    a rare raise must survive.
# 5. No. The mean has the lowest squared error and nobody's expression: regression to the mean through the back
#    door.
# </details>
#
# **Next:** [chapter 5](05_generator.ipynb) turns 23 numbers a frame into a face.
