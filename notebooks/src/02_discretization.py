# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown] tags=["slide"]
# # 2 Discretization: from a number to a choice
#
# In this chapter **you will be able to**
#
# 1. turn 23 numbers into 23 categories and back, Eq. 2 and Eq. 4, without a loop (*Exercises 1 and 2*),
# 2. say before you look what a number of bins D costs, and where (*Predict 1 and 2*),
# 3. read the distribution of an Action Unit, and count what the frame before tells (*Exercise 3, Predict 3*),
# 4. convert the k of top-k sampling into the units of a face (*quiz*).
#
# * Reading time: 35 minutes. Running time on two cores: {{RUN_TIME}}.
# * Prerequisites: chapter 1 (`Y`: 17 Action Units from 0 to 5, then 6 numbers of pose), what a histogram is.
# * Paper sections: 3.2.1 (Eq. 2), 3.2.2 (Eq. 4), 4.5 (Table 5).
#
# Colours as everywhere in this course: values `Y` black, true bins `y_bar` green, decoded values `y_hat`
# vermilion, what k keeps orange.

# %%
import numpy as np
import torch
from dirfa_edu import ATTRIBUTES, Actor, CHAPTER_CLIP, Corpus, Discretizer, GROUPS, column, plots
from dirfa_edu.course import checks, explorers

torch.set_num_threads(2)
corpus = Corpus("samples")
clip = corpus[CHAPTER_CLIP]
FRAME = 17
Y = clip.animation()                                                           # (T, 23)
tracks = [c.animation() for c in corpus.select(split="train", kind="speech")]  # a list of (T, 23)
everything = np.concatenate(tracks)                                            # (frames, 23)
print("clip", clip.name, "has", len(Y), "frames")
print("training tracks:", len(tracks), "| minutes:", round(len(everything) / 1500))

# %% [markdown] tags=["slide"]
# ## Why not predict the number itself?
#
# Say the same sentence twice and raise your brows once. Both takes are right. A network that must give **one**
# number and is punished by squared error gives the mean: half-raised brows, which you never showed. The paper
# calls it regression to the mean (3.2.1). A network that gives the **probability of each category** can say
# "half of the time 0, half of the time 2", and sampling then picks one of the two.

# %% tags=["slide-output"]
brows = np.array([0.0, 0.1, 0.2, 2.1, 2.2, 2.3])               # six takes of one sentence
candidates = np.arange(0, 2.5, 0.01)
squared = ((brows[:, None] - candidates) ** 2).mean(0)         # (takes, candidates) -> (candidates,)
best = candidates[squared.argmin()]
print("the number with the smallest squared error:", round(best, 2))
print("takes within 0.5 of it:", int((abs(brows - best) < 0.5).sum()), "of", len(brows))
p = np.histogram(brows, bins=5, range=(0, 2.5))[0] / len(brows)
print("as five categories:", p.round(2))
fig, ax = plots.new(height=1.9)
ax.bar(np.arange(5) * 0.5 + 0.25, p, 0.46, color=plots.COLOURS["y_bar"], alpha=0.5, label="p(category)")
ax.plot(brows, [0.03] * 6, "o", color=plots.COLOURS["Y"], label="takes")
ax.axvline(best, color=plots.COLOURS["y_hat"], ls="--", label="best single number")
ax.set(xlabel="AU01, inner brow", ylabel="probability", ylim=(0, 0.75))
ax.legend(fontsize=8, loc="upper center", ncols=3)
plots.show(fig, alt="Six takes lie near 0.1 and near 2.2; the best single number, in the middle, lies where no take is; "
           "bars over the categories show one half at each end.")

# %% [markdown]
# You see one half, nothing, and one half. The mean is the least probable face of all.
#
# Now the clip itself. Nobody was filmed for it: the voice is synthetic, the face a digital actor, and the motion comes
# from a known probability law. So the corpus can ship eight further faces for the **same sound**. Lay them over each other: where do they agree?

# %%
draws = clip.truth()["draws"][:8]                              # (8 faces, T, 23), the same sound
mean = draws.mean(0)                                           # (T, 23): what a single best guess looks like
fig, axes = plots.new(3, 1, width=7.6, height=3.6, sharex=True)
for ax, name, words in zip(axes, ("AU26", "AU01", "pose_Ry"), ("AU26 jaw", "AU01 brow", "yaw (rad)")):
    ax.plot(draws[..., column(name)].T, color="#A8A8A8", lw=0.6, antialiased=False)
    ax.plot(draws[0, :, column(name)], color=plots.COLOURS["Y"], lw=1.2, label="one of eight faces")
    ax.plot(mean[:, column(name)], "--", color=plots.COLOURS["y_hat"], lw=2, label="mean of the eight")
    ax.axvline(FRAME, color="#CCCCCC", lw=4, zorder=0)
    ax.set_ylabel(words)
axes[0].legend(fontsize=8, ncols=2, loc="upper right")
axes[0].set_ylim(-0.2, 6)
axes[2].set(xlabel="frame t; the grey line is frame 17", xlim=(0, len(Y) - 1))
plots.show(fig, alt="Eight faces for the same sound: their jaws move together and the mean moves with them; their brows and "
           "yaw go their own ways and the mean is nearly flat.")
life = mean.std(0) / draws.std(1).mean(0).clip(1e-6)           # (23,): how much of a face's motion the mean keeps
jaw, brow, yaw = (life[column(name)] for name in ("AU26", "AU01", "pose_Ry"))
print("the mean keeps nearly all of the jaw's motion:", bool(jaw > 0.8))
print("and clearly less of the brow's and of yaw's:", bool(max(brow, yaw) < jaw - 0.1))

# %% [markdown] tags=["slide"]
# You see what the paper means: a deterministic network can learn this jaw, but its brows and head freeze.
#
# ## How does a number become a category?
#
# The paper cuts the range of each attribute into D equal intervals. $y_d$ is the middle of interval d, its
# **centroid**, and a value belongs to the nearest one:
#
# $$\bar{y}_i = \operatorname{argmin}_{d \in D} \|y_i - y_d\|_1 \qquad \text{(Eq. 2)}$$
#
# $y_i$ is attribute i of 23, a single number, so the norm is an absolute value. Take three attributes and D =
# 5: two AUs from 0 to 5, and yaw from -0.2 to 0.2 rad. The bins are 1, 1 and 0.08 wide; the centroids of an AU
# are 0.5, 1.5, 2.5, 3.5 and 4.5. **Predict 1.** Write down the bins of the first frame, (0, 2.2, -0.19).

# %%
D = 5
low, high = np.array([0, 0, -0.2]), np.array([5, 5, 0.2])
width = (high - low) / D                                                # (3,)
centroids = low[:, None] + (np.arange(D) + 0.5) * width[:, None]        # (3, D)
y = np.array([[0.0, 2.2, -0.19], [1.3, 2.9, -0.03], [3.7, 0.4, 0.05], [4.9, 6.0, 0.3]])   # (4 frames, 3 attributes)
distance = abs(y[:, :, None] - centroids)                               # (4, 3, 1) - (3, 5) -> (4, 3, 5)
y_bar = distance.argmin(-1)                                             # (4, 3)
print("shape", distance.shape, "->", y_bar.shape)
for values, bins in zip(y, y_bar):
    print("values", values, "-> bins", bins)

# %% tags=["slide-output"]
fig, axes = plots.new(3, 1, width=8.4, height=3.6)
for i, (ax, name) in enumerate(zip(axes, ("AU25", "AU12", "pose_Ry"))):
    for d in range(D):
        left = low[i] + d * width[i]
        ax.axvspan(left, left + width[i], color="#EFEFEF" if d % 2 else "#FFFFFF", lw=0)
        ax.text(centroids[i, d], 0.78, f"d = {d}", ha="center", fontsize=8, color=plots.COLOURS["y_bar"])
    ax.vlines(centroids[i], 0.05, 0.35, color=plots.COLOURS["y_hat"], lw=2)
    for value, d in zip(y[:, i], y_bar[:, i]):
        ax.annotate("", (centroids[i, d], 0.36), (value, 0.6), arrowprops={"arrowstyle": "->", "lw": 0.8})
        ax.plot(value, 0.6, "o", color=plots.COLOURS["Y"], ms=5)
    ax.set(xlim=(low[i] - 0.3 * width[i], high[i] + 1.4 * width[i]), ylim=(0, 1), yticks=[])
    ax.set_ylabel(name, rotation=0, ha="right", va="center")
plots.show(fig, alt="Three number lines cut into five bins each: every black value points to the vermilion centroid of its bin; two "
           "values beyond the right end point back to the last centroid.")

# %% [markdown]
# The last frame holds two values outside the range, 6.0 and 0.3. The nearest centroid is the last one: out of
# range means clipped.
#
# ## And back?
#
# $$\tilde{y}_i = k \ \text{ such that } \ \hat{y}_i = y_k \qquad \text{(Eq. 4)}$$
#
# A generated category $\tilde{y}_i$ is replaced by the value of its centroid, $\hat{y}_i$. The paper writes k
# for that category; this course calls it **d** and keeps k for top-k. What you lose is at most half a bin.

# %%
y_hat = centroids[np.arange(3), y_bar]                        # (4, 3): attribute i takes its own row of centroids
print(y_hat)
inside = (y >= low) & (y <= high)
print("inside the range the error is at most half a bin:", bool((abs(y - y_hat) <= width / 2 + 1e-9)[inside].all()))

package = Discretizer(low, high, D)
np.testing.assert_array_equal(package.encode(y), y_bar)
np.testing.assert_allclose(package.decode(y_bar), y_hat, rtol=1e-6)
np.testing.assert_allclose(package.centroids, centroids)
print("naive equals package: True")

# %% [markdown] tags=["slide"]
# ### Exercise 1: encode without a loop
#
# Write Eq. 2 for one attribute: values (N,) and centroids (D,) in, indices (N,) out, in one line.

# %% tags=["slide"]
def encode(y, centroids):
    """for each value (N,) the index of the nearest centroid (D,)"""
    # BEGIN SOLUTION
    return np.abs(y[:, None] - centroids[None, :]).argmin(axis=1)
    # END SOLUTION


checks.encode(encode)

# %% [markdown]
# <details><summary>Hint 1</summary>y[:, None] has shape (N, 1), centroids[None, :] has shape (1, D). What shape has
# their difference?</details>
# <details><summary>Hint 2</summary>argmin needs to know along which axis it searches: over bins, not over values.</details>
# <details><summary>Hint 3</summary>Without the absolute value the largest centroid always wins.</details>
#
# {{SOLUTION}}
#
# ### Exercise 2: and decode
#
# Write Eq. 4 for one attribute, without a table of centroids: bins (N,), the ends of the range, and D in; the
# centroid of each bin out.

# %%
def decode(y_bar, low, high, D):
    """bins (N,) of D equal ones from low to high -> their centroids (N,)"""
    # BEGIN SOLUTION
    return low + (y_bar + 0.5) * (high - low) / D
    # END SOLUTION


checks.decode(decode)

# %% [markdown]
# <details><summary>Hint 1</summary>How wide is a bin? D of them fill the range.</details>
# <details><summary>Hint 2</summary>Bin 0 begins at low. Where is its middle?</details>
# <details><summary>Hint 3</summary>Bin d begins d widths after low, and its middle is half a width on.</details>
#
# {{SOLUTION}}

# %% [markdown]
# ## What if a value lies exactly between two centroids?
#
# At D = 500 a bin of an AU is 5/500 = 0.01 wide, and OpenFace writes two decimals. So **every** value it can
# write, 0.00, 0.01, 0.02 ..., lies on an edge, half way between two centroids. Eq. 2 does not say which one
# wins. In floating point the last binary digit decides:

# %%
values = np.round(np.arange(500) / 100, 2)                              # all that OpenFace writes below 5
middles = 0.005 + 0.01 * np.arange(500)
literal = abs(values[:, None] - middles).argmin(1)                      # Eq. 2, word for word
rounded_down = np.floor(values / 0.01).astype(int)                      # looks right: 0.29 / 0.01 = 29
ours = Discretizer(np.zeros(1), np.full(1, 5.0), 500).encode(values[:, None])[:, 0]
print("0.29 / 0.01 in floating point:", 0.29 / 0.01)
print("literal Eq. 2 puts between 20 and 80 % a bin too low:", bool(0.2 < (literal < np.arange(500)).mean() < 0.8))
print("floor puts some a bin too low:", bool((rounded_down < np.arange(500)).any()))
print("the package keeps them one to one:", bool((ours == np.arange(500)).all()))
fig, ax = plots.new(width=8.4, height=1.9)
for level, got in enumerate((literal, rounded_down, ours)):
    wrong = got[:120] != np.arange(120)
    ax.vlines(np.arange(120) / 100, level - 0.35, level + 0.35, lw=2.6,
              color=np.where(wrong, plots.COLOURS["y_hat"], plots.COLOURS["y_bar"]))
ax.set(yticks=[0, 1, 2], yticklabels=["Eq. 2", "floor", "package"], xlabel="value of an AU (green: its own bin, "
       "vermilion: the bin below)", xlim=(-0.01, 1.2), ylim=(2.5, -0.5))
plots.show(fig, alt="A strip of 120 values per method: literal Eq. 2 puts most of them into the bin below, without a "
           "rule; floor has a few wrong stripes; the package has none.")

# %% [markdown]
# The package lets ties go **up** and allows for the last digit. Why care about a hundredth? Because of the
# value 0: an AU that is not there. Going up keeps bin 0 for exact zeros alone, so "zero" stays one clean
# category. (It decodes to 0.005, half a bin: in this course "zero" means bin 0.)
#
# ## What does an Action Unit's distribution look like?
#
# Before a network learns a distribution, look at it. Zeros are drawn apart, as a bar of their own.

# %% tags=["slide-output"]
def zero_inflated(ax, values, name):
    zeros = (values == 0).mean()
    share = np.histogram(values[values > 0], bins=50, range=(0, 5))[0] / len(values)      # (50,) bins of 0.1
    ax.bar(np.arange(50) / 10 + 0.05, share, 0.1, color=plots.COLOURS["Y"])
    ax.bar(-0.45, zeros, 0.4, color=plots.COLOURS["k"])
    ax.text(-0.1, 0.45, f"{zeros:.0%}", fontsize=8, color="#A06A00", va="center")
    ax.set(yscale="log", ylim=(5e-5, 1.4), xlim=(-0.8, 5), xticks=range(6), yticks=[1e-4, 1e-2, 1])
    ax.set_title(name, fontsize=9, pad=2)
    ax.tick_params(labelsize=7, pad=1)
    ax.minorticks_off()


fig, axes = plots.new(3, 6, width=9, height=4.5, sharex=True, sharey=True)
for ax, name in zip(axes.flat, ATTRIBUTES[:17]):
    zero_inflated(ax, everything[:, column(name)], name)
axes.flat[-1].axis("off")
axes.flat[-1].text(2, 0.02, "orange: exactly 0\nblack: bins of 0.1\nheight: share of\nframes (log)", ha="center", va="center")
zeros = (everything[:, :17] == 0).mean(0)
often, seldom = int((zeros > 0.5).sum()), ", ".join(ATTRIBUTES[j] for j in np.argsort(zeros)[:3])
plots.show(fig, alt=f"Histograms of the 17 Action Units on a log scale, zeros apart as an orange bar: {often} are exactly "
           f"0 in more than half of the frames and have a thin tail; {seldom} are 0 least often.")
print("exactly 0 in more than half of all frames:", often, "of 17 AUs")
print("the most often 0:", ATTRIBUTES[zeros.argmax()], "| the least often:", ATTRIBUTES[zeros.argmin()])
print("values in the upper half of the range: under 5 %:", bool((everything[:, :17] > 2.5).mean() < 0.05))

# %% [markdown]
# A spike at zero with a thin tail is called **zero-inflated**. Two things follow. A network gets far by always
# saying "zero", and such a network has no expression; so later chapters report each group of attributes on its
# own. And smoothing the target over neighbouring bins would blur the spike: keep bin 0 sharp.
#
# Are real faces like that? Here are the 99 % points of five talking-head recordings that were measured with
# OpenFace (19,100 frames; only these figures are kept) beside those of the training tracks.

# %%
real = dict(zip(ATTRIBUTES[:17], [1.11, 0.57, 0.65, 0.35, 0.32, 2.76, 0.42, 0.57, 1.20, 0.77, 0.80, 1.14, 1.12, 1.09,
                                  2.02, 2.30, 2.30]))
ours = np.quantile(everything[:, :17], 0.99, axis=0)                                 # (17,)
fig, ax = plots.new(width=9, height=2.5)
ax.vlines(range(17), list(real.values()), ours, color="#BBBBBB", lw=3)
ax.plot(range(17), list(real.values()), "D", mfc="white", color=plots.COLOURS["Y"], label="five real recordings")
ax.plot(range(17), ours, "o", color=plots.COLOURS["Y"], label="training tracks")
ax.set_xticks(range(17), real, rotation=60, fontsize=8)
ax.set(ylabel="99 % point", ylim=(0, 5.6))
ax.legend(fontsize=8, ncols=2)
far = np.argsort(-abs(np.log(ours / list(real.values()))))[:3]
plots.show(fig, alt="The 99 % point of each Action Unit for five real recordings and for the training tracks; the two are "
           f"furthest apart for {', '.join(ATTRIBUTES[j] for j in far)}.")
order = np.corrcoef(np.argsort(np.argsort(ours)), np.argsort(np.argsort(list(real.values()))))[0, 1]
print("strong AUs are the same ones in both (rank correlation above 0.5):", bool(order > 0.5))
print("AUs whose 99 % point is stronger here than in the real files:", int((ours > list(real.values())).sum()), "of 17")
print("furthest apart:", *(ATTRIBUTES[j] for j in far))

# %% [markdown]
# You see a world of our own making beside a small sample of the real one: five speakers, not all speakers. Where the
# grey lines are long, a result of this course may not hold for real video. Which attributes would you check first?
#
# ## Which range do the bins cover?
#
# AUs: 0 to 5, fixed. Pose has no natural range, so the package takes the 0.1 % and 99.9 % quantiles of the
# training tracks. Why not the minimum and the maximum? One failed frame is enough:

# %%
bins = Discretizer.fit(tracks)                                # D = 500
yaw = everything[:, column("pose_Ry")]
spoilt = np.append(yaw, 2.9)                                  # OpenFace lost the face once and wrote 2.9 rad
for name, sample in (("clean", yaw), ("with one bad frame", spoilt)):
    widest, quantile = np.ptp(sample) / 500, np.ptp(np.quantile(sample, [0.001, 0.999])) / 500
    print(f"{name}: min-max bin is more than 3 x the quantile bin:", bool(widest > 3 * quantile))
fig, axes = plots.new(2, 3, width=7.6, height=3)
for ax, name in zip(axes.flat, ATTRIBUTES[17:]):
    i = column(name)
    ax.hist(everything[:, i], 60, color=plots.COLOURS["Y"], log=True)
    for edge in (bins.low[i], bins.high[i]):
        ax.axvline(edge, color=plots.COLOURS["y_bar"], ls="--", lw=1.6)
    ax.set_title(f"{name} ({'rad' if 'R' in name else 'mm'})", fontsize=9, pad=2)
    ax.tick_params(labelsize=7)
    ax.minorticks_off()
plots.show(fig, alt="Histograms of the six pose attributes on a log scale, tents about zero; dashed green lines mark the "
           "0.1 and 99.9 % quantiles, and a few frames lie beyond them.")
np.testing.assert_allclose(bins.high[17:], np.quantile(everything[:, 17:], 0.999, axis=0), rtol=1e-6)
print("naive equals package: True")

# %% [markdown]
# Pose has no spike: it is smooth about the neutral. On a log scale a bell is a parabola; these tents have
# heavier tails: large turns are rare, but less rare than under a bell. The frames beyond the dashed lines, two
# in a thousand, are clipped to them. The ranges and D belong to the trained network and travel in its file: the
# same bin 250 means something else under other ranges.
#
# ## What does D cost?
#
# Few bins make stairs. Here is Eq. 2 followed by Eq. 4 as a function of the value, and on the clip's lips.

# %%
fig, (stairs, track) = plots.new(1, 2, width=8, height=2.5, width_ratios=[1, 1.7])
line = np.linspace(0, 5, 1001)
for D, dash in ((5, "-"), (10, "--"), (50, ":")):
    coarse = Discretizer(np.zeros(1), np.full(1, 5.0), D)
    stairs.plot(line, coarse.decode(coarse.encode(line[:, None])), linestyle=dash, lw=1.2,
                color=plots.COLOURS["y_hat"], label=f"D = {D}")
stairs.plot([0, 5], [0, 5], color=plots.COLOURS["Y"], lw=0.6)
stairs.set(xlabel="value y", ylabel="decoded value y_hat")
stairs.legend(fontsize=8)
lips = Y[8:40, column("AU25")]
track.plot(range(8, 40), lips, color=plots.COLOURS["Y"], lw=1.6, label="Y")
for D, dash in ((5, "-"), (10, "--")):
    coarse = Discretizer(np.zeros(1), np.full(1, 5.0), D)
    track.step(range(8, 40), coarse.decode(coarse.encode(lips[:, None]))[:, 0], linestyle=dash, where="mid",
               color=plots.COLOURS["y_hat"], label=f"y_hat, D = {D}")
track.set(xlabel="frame t", ylabel="AU25 lips part", ylim=(-0.1, 4.6))
track.legend(fontsize=8, ncols=3)
plots.show(fig, alt="Left, stairs with 5, 10 and 50 steps along the diagonal; right, AU25 of the clip and its decoded "
           "bins: with 5 bins the closed mouth of M and P is lifted to 0.5.")

# %% tags=["nbval-ignore-output"]
explorers.bins_explorer().show()

# %% [markdown]
# **Predict 2.** If values were spread evenly over a bin of width w, the mean error would
# be w/4 (draw it: it grows from 0 at the centroid to w/2 at the edge). Will the AUs' mean error be less than
# w/4, about w/4, or more? And the pose's?

# %%
sizes = [10, 25, 50, 100, 250, 500, 750]
error = {group: [] for group in GROUPS}
for D in sizes:
    each = Discretizer.fit(tracks, D)
    in_bins = abs(each.decode(each.encode(everything)) - everything) / each.width          # (frames, 23)
    for group, columns in GROUPS.items():
        error[group].append(in_bins[:, columns].mean())
print("upper face: clearly more than w/4 at D = 100:", bool(error["upper"][3] > 0.3))
print("pose: within 10 % of w/4 at D = 25:", bool(abs(error["pose"][1] - 0.25) < 0.025))
fig, ax = plots.new(height=2.5, width=7)
for i, (group, curve) in enumerate(error.items()):
    ax.plot(sizes, curve, "os^D"[i] + "-", color=plots.SAMPLES[i], label=group)
ax.axhline(0.25, color="#777777", ls=":")
ax.text(10, 0.215, "dotted: w/4, values spread evenly", fontsize=8, color="#555555")
ax.set(xscale="log", xticks=sizes, xticklabels=sizes, xlabel="number of bins D", ylabel="mean error / bin width w",
       ylim=(0.2, 0.6))
ax.minorticks_off()
ax.legend(fontsize=8, ncols=4, loc="upper left")
plots.show(fig, alt="Mean quantisation error in bin widths against D: pose lies near one quarter, Action Units well above, "
           "and at D = 500 all three AU groups reach one half.")

# %% [markdown]
# <details><summary>Answer to Predict 2</summary>
#
# More, for AUs. An exact zero lies at the edge of bin 0 and is off by w/2 however large D is, and most values
# are zeros. Near D = 500 all two-decimal values lie on edges, so every error is w/2 = 0.005. Pose is smooth and
# obeys w/4, until the bins are as narrow as the last decimal of the file.
#
# </details>
#
# ## What does D do to lips? The paper's Table 5 as a question
#
# The paper trains its network with five values of D and measures the landmark distance LMD of the mouth: 9.31,
# 5.92, 4.77, **4.45**, 4.68 for D = 10, 100, 250, 500, 750. How much of that is quantisation itself? You can
# measure it: encode and decode the clip's true track, move the actor's exact 20 mouth points with it, take the
# mean distance.

# %% tags=["slide-output"]
actor = Actor(clip.actor)
some = Y[10:110:4]                                                                 # 25 frames
truth = np.stack([actor.landmarks(Z, size=256)[48:68] for Z in some])              # (25, 20 points, 2)
pixels = []
for D in sizes:
    each = Discretizer.fit(tracks, D)
    moved = np.stack([actor.landmarks(Z, size=256)[48:68] for Z in each.decode(each.encode(some))])
    pixels.append(np.hypot(*(moved - truth).T).mean())
print("quantisation alone, D = 500: under 0.1 pixel:", bool(pixels[5] < 0.1))
print("D = 100 already: under 0.25 pixel:", bool(pixels[3] < 0.25))
print("from D = 100 to 500 it falls to less than a third:", bool(pixels[5] < pixels[3] / 3))
print(f"the paper's LMD falls to {4.45 / 5.92:.0%}")
fig, ax = plots.new(height=2.6, width=7)
ax.plot([10, 100, 250, 500, 750], [9.31, 5.92, 4.77, 4.45, 4.68], "ks-", label="paper, Table 5: whole network")
ax.plot(sizes, pixels, "o--", color=plots.COLOURS["y_hat"], label="here: quantisation alone, pixels at 256")
ax.set(xscale="log", yscale="log", xticks=sizes, xticklabels=sizes, xlabel="number of bins D", ylabel="lip error", ylim=(0.01, 30))
ax.minorticks_off()
ax.legend(fontsize=8)
plots.show(fig, alt="Two curves over D on log axes: the paper's LMD falls from 9.3 to 4.5 and flattens, the error of "
           "quantisation alone falls as one over D.")

# %% [markdown]
# Compare the shapes, not the heights: the paper does not state the unit of its LMD. From 100 to 500 bins
# quantisation all but vanishes; the network's error falls by a quarter, and at 750 it rises. Beyond D = 100
# Table 5 must come from what D does to **learning and sampling**. Two candidates: more bins share the same
# training frames, and a fixed k of top-k spans fewer and fewer units of value. You measure the second one
# below. What would you change in the experiment to tell them apart?
#
# Look at the lips themselves: decode the frames around 17 with few bins.

# %%
def mouth(Z):
    return actor.render(Z, size=256)[134:190, 84:172]


strip = range(FRAME - 2, FRAME + 4)
fig, axes = plots.new(4, 6, width=5.4, height=2.7)
fig.photo = True                                               # stored as a JPEG
for row, D in zip(axes, (5, 10, 50, None)):
    each = Discretizer.fit(tracks, D or 500)
    for ax, t in zip(row, strip):
        ax.imshow(mouth(each.decode(each.encode(Y[t])) if D else Y[t]))
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        if D == 5:
            ax.set_title(f"{t}", fontsize=9, fontweight="bold" if t == FRAME else None)
    row[0].set_ylabel(f"D = {D}" if D else "Y", fontsize=9)
plots.show(fig, alt="The mouth in frames 15 to 20, decoded from 5, 10 and 50 bins and as it is: with 5 bins the lips stay a "
           "little parted in M and P, with 50 you see no difference from the truth.")
each = Discretizer.fit(tracks, 5)
print("closed lips decode to", each.decode(each.encode(np.zeros(23)))[column("AU25")], "with D = 5")

# %% [markdown]
# ## What does the network see?
#
# The paper speaks of 23 one-hot vectors of length D: a 1 in the place of the true bin, zeros elsewhere. As a
# picture over time an attribute becomes a path through a grid. Nobody stores the zeros: the index says the
# same.

# %%
fifty = Discretizer.fit(tracks, 50)
y_bar = fifty.encode(Y)                                        # (T, 23)
one_hot = np.eye(50, dtype=np.float32)[y_bar]                  # (T, 23, 50)
print("shape", y_bar.shape, "->", one_hot.shape, "| one 1 in each vector:", bool((one_hot.sum(-1) == 1).all()))
back = torch.nn.functional.one_hot(torch.from_numpy(y_bar), 50)
np.testing.assert_array_equal(one_hot, back.numpy())
np.testing.assert_array_equal(one_hot.argmax(-1), y_bar)
print("the same as torch's one_hot: True | at D = 500 it is", 500 * 4 // 8, "times the size of the index")
fig, ax = plots.new(width=8, height=2.4)
ax.imshow(one_hot[:75, column("AU25"), :40].T, origin="lower", aspect="auto", cmap="Greens", interpolation="nearest")
ax.axvline(FRAME, color="#999999", lw=1)
ax.set(xlabel="frame t; the grey line is frame 17", ylabel="bin d of AU25, D = 50")
plots.show(fig, alt="One-hot vectors of AU25 over three seconds as columns: one green cell per frame forms a path that "
           "rests in bin 0 and jumps up for vowels.")

# %% [markdown]
# ## How likely is the next bin?
#
# The path moves in small steps, so the bin of the frame before tells a lot about the next one. Count it over
# all training tracks: the empirical distribution $p(\bar{y}_t \mid \bar{y}_{t-1})$, one row per bin you come
# from. It is the simplest model of the kind the paper learns, without sound and with a memory of one frame.
#
# ### Exercise 3: count what comes next
#
# Write `next_bin(y_bar, D)` for one track: row d holds the shares of the bins that follow bin d. By hand, the track
# 0 0 1 0: after 0 come 0 and 1, so row 0 is (½, ½); after 1 comes 0, so row 1 is (1, 0).

# %%
def next_bin(y_bar, D):
    """a track of bins (T,) -> p(next bin | this bin), (D, D); rows that are never left stay 0"""
    # BEGIN SOLUTION
    counts = np.zeros((D, D))
    for now, after in zip(y_bar[:-1], y_bar[1:]):
        counts[now, after] += 1
    return counts / counts.sum(axis=1, keepdims=True).clip(1)
    # END SOLUTION


checks.next_bin(next_bin)

# %% [markdown]
# <details><summary>Hint 1</summary>y_bar[:-1] and y_bar[1:] are all neighbours: T - 1 pairs, not T.</details>
# <details><summary>Hint 2</summary>Count each pair in counts[now, after]. Then each row must sum to 1.</details>
# <details><summary>Hint 3</summary>0 divided by 0 is NaN. Divide rows that sum to 0 by 1.</details>
#
# {{SOLUTION}}
#
# Now for all tracks at once:

# %%
codes = [fifty.encode(track) for track in tracks]              # a list of (T, 23)


def count_steps(name):
    pairs = np.zeros((50, 50))                                 # rows: bin of frame t-1, columns: bin of frame t
    for code in codes:
        np.add.at(pairs, (code[:-1, column(name)], code[1:, column(name)]), 1)      # one count per step
    return pairs


def conditional(pairs):
    return pairs / pairs.sum(1, keepdims=True).clip(1)         # each visited row sums to 1


toy = np.array([[3, 1], [0, 4]])                               # from bin 0: three stay, one leaves
print("toy:", conditional(toy).tolist())
pairs = count_steps("AU25")
chance = conditional(pairs)                                    # (50, 50)
print("shape", chance.shape, "| rows sum to 1:", bool(np.allclose(chance[pairs.sum(1) > 0].sum(1), 1)))
print("pairs counted: every frame but the first of each clip:", int(pairs.sum()) == len(everything) - len(tracks))
print("from closed lips, 'closed' is the likeliest next bin:", bool(chance[0].argmax() == 0))

# %%
i = column("AU25")
fig, axes = plots.new(1, 3, width=8.8, height=3)
for ax, name, cut in zip(axes, ("AU25", "AU45", "pose_Ry"), (40, 50, 50)):
    j = column(name)
    span = fifty.low[j], fifty.low[j] + cut * fifty.width[j]
    drawn = ax.imshow(np.sqrt(conditional(count_steps(name))[:cut, :cut]), origin="lower", cmap="cividis", vmin=0,
                      vmax=0.8, extent=(*span, *span), interpolation="nearest", aspect="auto")
    ax.plot(span, span, color="white", lw=0.8, ls=":")
    ax.set(xlabel=f"{name} now", title={"AU25": "lips part", "AU45": "blink", "pose_Ry": "yaw"}[name])
axes[0].set_ylabel("one frame ago")
bar = fig.colorbar(drawn, ax=list(axes), ticks=np.sqrt([0.01, 0.1, 0.3, 0.6]))
bar.ax.set_yticklabels(["1 %", "10 %", "30 %", "60 %"])
plots.show(fig, alt="Heat maps of the likelihood of a value given the value one frame ago: lips part forms a broad band along the "
           "diagonal, blink bends away from it up and down, yaw is a narrow diagonal.")

# %% [markdown]
# Read one row from left to right: where does a value go next? Lips move in wide steps and may fall shut from
# anywhere. A lid never stays half-way: it is on its way down or up. Yaw stays where it is. Rows near the ends
# have few frames and look noisy; that noise is sampling, not motion.
#
# **Predict 3.** In frame 16 the lips are still closed for the /m/; in frame 17 the vowel
# opens them. How likely is the true bin of frame 17 to this model: about 50 %, 20 %, or under 5 %?

# %%
before, now = fifty.encode(Y)[FRAME - 1, i], fifty.encode(Y)[FRAME, i]
opened = everything[everything[:, i] > 0, i]
half, wide = (np.quantile(opened, q) / fifty.width[i] for q in (0.5, 0.95))     # in bins
half, wide = int(half), int(wide)
fig, axes = plots.new(1, 3, width=9.4, height=2.5)
for ax, start, words in zip(axes, (before, half, wide), ("frame 16", "half open", "wide open")):
    ax.bar(fifty.centroids[i], chance[start], 0.1, color="#8A8A8A")
    ax.axvline(fifty.centroids[i, start], color=plots.COLOURS["Y"], ls=":", lw=1.4, label="one frame ago")
    if start == before:
        ax.axvline(fifty.centroids[i, now], color=plots.COLOURS["y_bar"], ls="--", lw=1.6, label="true bin of frame 17")
    ax.set(xlim=(-0.1, 4.5), xlabel="AU25", title=f"from {fifty.centroids[i, start]:.2f} ({words})")
    ax.legend(fontsize=7, loc="upper right")
axes[0].set_ylabel("likelihood")
plots.show(fig, alt="Likelihood of each bin of AU25 from three starting values: from closed lips a tall bar at zero, the true "
           "bin of frame 17 far out in its tail; from half and wide open humps about the starting value.")
print("the true bin of frame 17 gets less than 5 %:", bool(chance[before, now] < 0.05))
print("from wide open the next bin is less sure than from closed:", bool(chance[wide].max() < chance[0].max()))

# %% [markdown]
# <details><summary>Answer to Predict 3</summary>
#
# Under 5 %. History says "stay closed"; only the sound knows that a vowel begins. This is why Eq. 3 conditions
# on both, and chapter 4 shows how the same bar moves once the network hears A.
#
# </details>
#
# How much does history tell about the other attributes? Measure surprise in **bits**: a network that knows
# nothing pays log2(50) = 5.6 bits for each attribute of each frame. Cross-entropy, Eq. 5, is this cost.

# %%
def bits(table):
    """mean surprise of the columns given the row of a table of counts (rows, columns)"""
    p = conditional(table)
    return -(table * np.log2(np.where(p > 0, p, 1))).sum() / table.sum()


print("toy: a fair coin costs", bits(np.array([[8, 8]])), "bit, a sure thing", abs(bits(np.array([[16, 0]]))))
tables = [count_steps(name) for name in ATTRIBUTES]
alone = np.array([bits(table.sum(0, keepdims=True)) for table in tables])            # (23,)
given = np.array([bits(table) for table in tables])                                  # (23,)
lips = [column(name) for name in ("AU25", "AU26")]
print("the frame before helps for all 23:", bool((given < alone).all()))
print("pose gains most:", bool((alone - given)[17:].mean() > (alone - given)[:17].max()))
print("AU25 and AU26 are the most surprising AUs, even so:", set(np.argsort(given[:17])[-2:]) == set(lips))

# %%
fig, ax = plots.new(width=9.2, height=3)
ax.axhline(np.log2(50), color="#777777", ls=":")
ax.text(22.5, 5.2, "knowing nothing", ha="right", fontsize=8)
ax.vlines(range(23), given, alone, color="#BBBBBB", lw=3)
ax.plot(range(23), alone, "o", color=plots.COLOURS["Y"], label="knowing the histogram")
ax.plot(range(23), given, "s", color=plots.COLOURS["y_bar"], label="knowing the frame before as well")
ax.set(ylabel="bits per frame, D = 50", ylim=(0, 6))
ax.set_xticks(range(23), ATTRIBUTES, rotation=70, fontsize=8)
ax.legend(fontsize=8, loc="upper left")
plots.show(fig, alt="Bits per attribute and frame: the histogram lowers 5.6 for every attribute, most for rare AUs; the "
           "frame before lowers pose a long way; AU25 and AU26 stay the most surprising AUs.")

# %% [markdown]
# Rare AUs cost little, because "zero" is right most of the time. Pose is expensive alone and cheap after the
# frame before: it moves smoothly. Lips stay surprising; that part must come from the sound.
#
# ## What does k of top-k mean in units of a face?
#
# Chapter 4 samples from the k likeliest bins only. k counts bins, so its meaning depends on D. Take a bell with
# a standard deviation of 0.05, that is 5 bins at D = 500. By hand for k = 5: the five bins about the top are
# nearly equally likely, at -2, -1, 0, 1 and 2, so their standard deviation is about sqrt(2) = 1.4 bins of 5.

# %% tags=["slide-output"]
def kept(spread_in_bins, k):
    """share of the standard deviation that top-k leaves of a bell"""
    d = np.arange(-250, 251)
    p = np.exp(-0.5 * (d / spread_in_bins) ** 2)
    p[np.argsort(-p, kind="stable")[k:]] = 0
    return np.sqrt((p / p.sum() * d**2).sum()) / spread_in_bins


print(f"D = 500: k = 5 keeps {kept(5, 5):.0%} of the spread, k = 15 {kept(5, 15):.0%}, k = 30 {kept(5, 30):.0%}")
ks = np.arange(1, 61)
fig, (bell, curve) = plots.new(1, 2, width=7.4, height=2.4, width_ratios=[1, 1.3])
d = np.arange(-20, 21)
bell.bar(d * 0.01, np.exp(-0.5 * (d / 5) ** 2), 0.01, color=np.where(abs(d) <= 2, plots.COLOURS["k"], "#9A9A9A"))
bell.set(xlabel="value, relative to the top", ylabel="likelihood (top = 1)", title="k = 5 at D = 500")
for D, dash in ((500, "-"), (250, "--"), (100, ":")):
    curve.plot(ks, [kept(0.05 * D / 5, k) for k in ks], linestyle=dash, color=plots.COLOURS["k"], lw=2, label=f"D = {D}")
curve.axvline(5, color="#999999", lw=0.8)
curve.set(xlabel="k", ylabel="spread kept", ylim=(0, 1.05), title="a bell of standard deviation 0.05")
curve.legend(fontsize=8)
plots.show(fig, alt="Left, a bell over the bins with the five likeliest in orange, a narrow slice; right, the spread that "
           "top-k keeps against k: at k = 5 little is left with D = 500 and nearly all with D = 100.")

# %% [markdown]
# The same k = 5 keeps nearly everything at D = 100 and 28 % at D = 500. Whoever compares values of D at a fixed
# k compares two things at once. Quote k together with the width it spans: k x 5/D for an AU.
#
# ## Failure gallery
#
# **A face that never rests.** With D = 10 every AU at rest decodes to 0.25, all 17 at once. **Lower edges
# instead of centroids.** All faces come out too weak by half a bin. **The ranges of somebody else.** Decode the
# clip's bins with ranges of twice the size, and the head moves twice as far.

# %%
rest = {"neutral": np.zeros(23)}
for D in (500, 10, 5):
    each = Discretizer(np.r_[np.zeros(17), -np.ones(6)], np.r_[np.full(17, 5.0), np.ones(6)], D)
    rest[f"D = {D}: {2.5 / D:g} each"] = np.r_[each.decode(each.encode(np.zeros(23)))[:17], np.zeros(6)]
fig, axes = plots.new(1, 4, width=4.8, height=1.65)
fig.photo = True
for ax, (words, Z) in zip(axes, rest.items()):
    ax.imshow(actor.render(Z, size=144)[18:126, 22:122])
    ax.set_title(words, fontsize=8)
    ax.axis("off")
plots.show(fig, alt="The actor at rest, and the same rest decoded from 500, 10 and 5 bins: with 500 no difference, with 10 "
           "and 5 the lips part and the lids tighten.")

# %%
y_bar = bins.encode(Y)
edges = bins.low + y_bar * bins.width                                        # forgets the + 0.5
print("lower edges decode below the centroids everywhere:", bool((edges < bins.decode(y_bar)).all()))
wide = Discretizer(bins.low * 2, bins.high * 2, 500)
ratio = np.ptp(wide.decode(y_bar)[:, column("pose_Ry")]) / np.ptp(bins.decode(y_bar)[:, column("pose_Ry")])
print("with ranges twice as wide the head turns", round(ratio, 2), "times as far")
try:
    bins.encode(np.full(23, np.nan))
except ValueError as error:
    print("not a number:", error)

# %% [markdown] tags=["slide"]
# ## Recap
#
# * Eq. 2 picks the nearest of D centroids, Eq. 4 puts the centroid back. Inside the range you lose at most half
#   a bin.
# * Two decimals at D = 500 make every value a tie. Ties go up, so bin 0 belongs to exact zeros.
# * AUs are zero-inflated: a spike and a thin tail. Pose is a smooth bell. Ranges: 0 to 5, and quantiles.
# * The frame before tells most of pose, much of expression, and not enough of lips.
# * D, k and value units belong together: k bins span k x 5/D of an AU.
#
# ## What this toy does not show
#
# * The tracks follow a law we wrote, with noise like OpenFace's; the figure of the 99 % points shows how far they
#   are from a few real recordings. Where a face moves less, fewer bins are used.
# * The likelihoods here know one frame of history and no sound. The network of chapter 4 knows 50 frames of
#   both.
# * 23 separate histograms forget how attributes move together: AU06 comes with AU12 in a real smile.
# * Table 5 was measured on VoxCeleb2 with a trained network. One curve of quantisation explains what it does
#   **not** come from.
#
# ## Quiz
#
# 1. D = 500, yaw from -0.25 to 0.25 rad. How wide is a bin in degrees, and would you see a step of one bin?
# 2. Why does the package not round zeros to 0.0 when it decodes?
# 3. A colleague reports 0.9 bits per attribute at D = 50, you 1.6 at D = 500. Who has the better network?
# 4. You move from D = 500 to D = 100 and keep k = 10. What happens to the variety of your samples?
#
# <details><summary>Answers</summary>
#
# 1. 0.5/500 = 0.001 rad, less than 0.06 degrees: invisible in a picture of 128 pixels.
# 2. Eq. 4 decodes to the centroid, and the network is fed the bin, not the value; 0.005 of 5 moves no pixel.
#    You may round at the very end.
# 3. You cannot tell: bits at another D, another share of zeros or another group of attributes do not compare.
# 4. 10 bins span 0.5 instead of 0.1 of an AU: samples vary more, lips too.
#
# </details>
#
# ## Next
#
# Chapter 3 builds the mask that tells the network which of the frames before matter, and how much.
