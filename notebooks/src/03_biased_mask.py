# %% [markdown] tags=["slide"]
# # 3 The temporally-biased mask
#
# In this chapter **you will be able to**
#
# * work out attention (Eq. 1) for six frames with pencil and paper, and write it (*Predict 1, Exercise 1*);
# * read off a slope how far back a head looks (*Predict 2*);
# * say what $\tau$ limits, what it does not, and why a ring of $\tau$ entries is enough to decode (*Exercise 2*);
# * write `temporally_biased_mask` yourself (*Exercise 3*);
# * say when the bias pays and when it does not (*Quiz*).
#
# Reading time 40 minutes, running time on two cores: {{RUN_TIME}}.
#
# Prerequisites: chapters 1 and 2 (what a frame hears, what a bin is), softmax, matrix products. Paper: sections 2.3
# (Eq. 1) and 3.2.3 (Fig. 2).

# %% [markdown]
# ## Set-up
# $M$ is the mask, $T$ frames, $H$ heads, $\tau$ (`tau`) frames of context, $N_k$ channels per head. Row $i$ is the
# frame that **looks** (query), column $j$ the frame **looked at** (key), and $i-j$ is its **age**. 25 frames are a
# second.

# %%
import math

import numpy as np
import torch
from matplotlib.colors import ListedColormap
from torch.testing import assert_close

from dirfa_edu import CHAPTER_CLIP, Corpus, load_pretrained, masks, plots
from dirfa_edu.course import checks, explorers
from dirfa_edu.mapper import Block, MapperConfig, MappingNetwork

torch.set_num_threads(1)  # these networks are too small to share out
clip = next(c for c in Corpus().clips if c.name == CHAPTER_CLIP)
FRAME = 17
print("clip", clip.name, "has", len(clip.animation()), "frames; we follow frame", FRAME)

# %% [markdown]
# ## The picture to understand
# This is the paper's Fig. 2 in numbers: what is **added** to the attention scores of six frames. On the left each
# frame may look at itself and at the past. On the right it may still look at all of it, but the past costs
# something. By the end of this chapter you can write both, and you know what each number does.

# %% tags=["slide-output"]
def grid(matrices, alt, low=0.0, high=1.0, height=3.1, axes=("looked at j (key)", "looking i (query)")):
    """matrices as heat maps with their numbers written in; -inf and weights of exactly 0 are hatched"""
    fig, panels = plots.new(1, len(matrices), width=3.1 * len(matrices) + 0.2, height=height, squeeze=False)
    for ax, (title, X) in zip(panels[0], matrices.items()):
        X = np.asarray(X, float)
        shown = np.ma.masked_where(~np.isfinite(X) | ((X == 0) & (high == 1)), X)
        top = high or shown.max()
        ax.patch.set(facecolor="#E4E4E4", hatch="////", edgecolor="#B8B8B8")
        ax.imshow(shown, cmap="cividis", vmin=low, vmax=top)
        for i, j in np.ndindex(X.shape):
            number = "-∞" if X[i, j] == -np.inf else "" if shown.mask.any() and shown.mask[i, j] else f"{X[i, j]:.2f}"
            ax.text(j, i, number.replace(".00", ""), ha="center", va="center", fontsize=8,
                    color="white" if number and X[i, j] > -9 and X[i, j] < (low + top) / 2 else "black")
        ax.set(xticks=range(X.shape[1]), yticks=range(len(X)), xlabel=axes[0])
        ax.set_title(title, fontsize=10)
    panels[0, 0].set_ylabel(axes[1])
    plots.show(fig, alt=alt)


biased = masks.temporally_biased_mask(6, 1, style="single")[0]
grid({"causal mask": masks.causal_mask(6), "temporally-biased mask": biased},
     "Two masks over six frames. Left: 0 on and below the diagonal, minus infinity above. Right: 0 on the diagonal and "
     "one less for each frame of age, minus infinity above.", low=-5, high=0.01)

# %% [markdown] tags=["slide"]
# ## Attention by hand
# **Question.** How does frame 5 decide which earlier frames matter?
#
# $$\text{Attn}(Q, K, V, M) = \text{softmax}\!\left(\frac{QK^T + M}{\sqrt{N_k}}\right)V \qquad\text{(Eq. 1)}$$
#
# $Q$ (query): what a frame looks for. $K$ (key): what it offers. $V$ (value): what it hands over. All are
# $(T, N_k)$ here.
#
# Toy: six frames of a mouth that is closed or open. A closed mouth has the token $(2,0,0,0)$, an open one
# $(0,2,0,0)$; $W^Q$ and $W^K$ are the identity, so $N_k = 4$. The value handed over is how far the mouth is open.
# No mask yet.
#
# **Predict 1.** Frame 5 is open. Which frames get most of its attention, and how much does each get?
# ($e^2 \approx 7.39$)

# %%
mouth = ["closed", "closed", "open", "open", "closed", "open"]
X = torch.tensor([[2.0, 0, 0, 0] if state == "closed" else [0, 2.0, 0, 0] for state in mouth])  # (T, N_k)
V = torch.tensor([0.0, 0, 2, 3, 0, 3])[:, None]  # (T, 1) how far the mouth is open
T, N_k = X.shape

scores = [sum(float(X[5, c] * X[j, c]) for c in range(N_k)) / math.sqrt(N_k) for j in range(T)]
weights = [math.exp(s) / sum(math.exp(r) for r in scores) for s in scores]
context = sum(w * float(V[j]) for j, w in enumerate(weights))
print("scores of frame 5:", scores)
print("weights of frame 5:", [round(w, 2) for w in weights], "sum", round(sum(weights), 2))
print("what it takes home:", round(context, 2))

# %% [markdown]
# <details><summary>Answer to Predict 1</summary>
#
# The three open frames (2, 3 and 5 itself) have the score 2·2/√4 = 2, the closed ones 0. So each open frame gets
# 7.39 / (3·7.39 + 3·1) = 0.29 and each closed one 1/25.2 = 0.04. The context is 0.29·(2+3+3) ≈ 2.35: about as open
# as the open frames are.
# </details>
#
# All frames at once is one matrix product. Each **row** of the weights sums to 1: a frame has one unit of attention
# to spend. PyTorch's fused attention gives the same.

# %%
S = X @ X.T / math.sqrt(N_k)  # (T, T) scores
W = torch.softmax(S, dim=-1)  # (T, T) weights
C = W @ V  # (T, 1)
assert S.shape == W.shape == (6, 6) and C.shape == (6, 1)
assert_close(W[5], torch.tensor(weights))
assert_close(W.sum(-1), torch.ones(6))
assert_close(C, torch.nn.functional.scaled_dot_product_attention(X[None], X[None], V[None])[0])
print("rows sum to 1, and PyTorch agrees with us: True")
grid({"scores $QK^T/\\sqrt{N_k}$": S, "weights (softmax of each row)": W},
     "Left: scores of six frames, 2 where both mouths are in the same state and 0 elsewhere. Right: the weights, .29 "
     "and .04.", high=None)

# %% [markdown]
# **What you saw.** Attention looks at content alone. Frame 0 gives frame 4 as much weight as frame 1 gives it: who
# is near and who is far, past or future, does not enter. Two things are missing, and both come with $M$.
#
# ## No looking ahead: the causal mask
# **Question.** While frame $i$ is generated, frames $i+1, i+2, \dots$ do not exist. How do you hide them in
# training?
#
# Add $M_{ij} = -\infty$ where $j > i$ **before** the softmax: $e^{-\infty} = 0$, and the weights that are left
# still sum to 1. Written out cell by cell:

# %% tags=["slide-output"]
M = torch.zeros(6, 6)
for i in range(6):
    for j in range(6):
        if j > i:
            M[i, j] = -math.inf
assert torch.equal(M, masks.causal_mask(6))

before, after = torch.softmax(S, -1), torch.softmax(S + M, -1)
assert_close(after.sum(-1), torch.ones(6))
late = after.clone()
S_other = S.clone()
S_other[:, 5] = 9.0  # change the last frame's key as you like:
assert_close(torch.softmax(S_other + M, -1)[:5], late[:5])
print("package and hand agree: True. Frames 0 to 4 do not notice a change of frame 5: True")
grid({"attention before": before, "attention after the causal mask": after},
     "Left: weights in every cell. Right: only on and below the diagonal; the first row is 1 for frame 0, later rows "
     "share out one unit.")

# %% [markdown] tags=["slide"]
# **What you saw.** Row 0 has nobody else, so it spends all on itself. The upper triangle is exactly 0, not small.
#
# ## The past costs something: the temporally-biased mask
# **Question.** Your mouth 40 ms ago says much about your mouth now; your mouth a second ago says little. Where does
# the network get that from?
#
# Section 3.2.3 argues that a plain transformer gives all earlier frames equal attention. (Read: *before* it has
# learned anything from content, when all scores are equal.) So it adds "a linearly decreasing penalty" in
# proportion to age:
#
# $$M_{ij} = \begin{cases} -s\,(i-j) & 0 \le i-j < \tau\\ -\infty & \text{otherwise}\end{cases}\qquad (M \text{ of
# Eq. 1, Fig. 2})$$
#
# with a slope $s$. After the softmax the penalty becomes a **factor** $e^{-s(i-j)}$: linear in the scores,
# geometric in the weights. With $s = 1$ and equal scores, each frame counts 0.37 times as much as the next younger
# one.

# %%
s = 1.0
M = torch.full((6, 6), -math.inf)
for i in range(6):
    for j in range(i + 1):
        M[i, j] = -s * (i - j)
assert torch.equal(M, masks.temporally_biased_mask(6, heads=1, style="single")[0])

equal = torch.softmax(torch.zeros(6, 6) + M, -1)  # all scores equal: the mask alone
assert_close(equal[5, :5] / equal[5, 1:], torch.full((5,), math.exp(-1)))
print("each frame back counts 0.37 times as much: True")
grid({"mask alone (equal scores)": equal, "with the mouth's scores": torch.softmax(S + M, -1)},
     "Weights under the biased mask. Left, equal scores: .63 on the diagonal, then .23, .09, .03. Right: content and "
     "age together; frame 5 prefers open mouths, the nearer the better.")

# %% [markdown]
# **What you saw.** On the right, row 5: frame 4 is nearer, but closed; frame 3 is one older, but open, and gets
# more. The bias does not replace content. It is what a score must overcome to look further back.
#
# ## One slope for each head
# **Question.** Is one slope right for everything? Lips forget in 0.2 s, a smile lasts two seconds.
#
# The paper cites ALiBi (Press et al., 2022), where each of the $H$ heads has its own slope:
#
# $$s_h = 2^{-8h/H}, \qquad h = 1 \dots H$$
#
# The paper does not say how many heads or which slopes it uses. **Our choice:** ALiBi's slopes are the default, and
# Fig. 2 taken literally (one slope for all) is `style="single"`. ALiBi's slopes were made for texts; the shipped mapper
# was trained with twice as steep ones, which need fewer bits for lips and head on sentences held out of training.

# %%
H = 4
slopes = [2 ** (-8 * h / H) for h in range(1, H + 1)]
print("slopes of four heads: 1 /", [round(1 / s) for s in slopes])
assert_close(masks.alibi_slopes(H), torch.tensor(slopes))

M = masks.temporally_biased_mask(60, heads=H, tau=50)  # (H, T, T)
assert M.shape == (H, 60, 60)
for h in range(H):
    assert_close(M[h, 30, 20], torch.tensor(-slopes[h] * 10))
print("ten frames back costs ten slopes, in every head: True")

# %% [markdown]
# Three views of the same mask, a column per head. Top: what is added (hatched: $-\infty$). On one colour scale
# heads 3 and 4 look flat. What counts is what the mask leaves after the softmax, middle: the weights at equal
# scores, each row scaled to its largest. Bottom: the dotted row, frame 55, as a curve; dashed, a mask without
# slope.

# %% tags=["slide-output"]
W = torch.softmax(M, -1).numpy()  # (H, T, T) all scores equal
flat = torch.softmax(masks.temporally_biased_mask(60, 1, 50, "none"), -1)[0, 55].numpy()
fig, axes = plots.new(3, H, width=9.5, height=6.6, height_ratios=[1.5, 1.5, 1], sharex="row")
age = np.arange(56)
for h in range(H):
    hidden = ~np.isfinite(M[h].numpy())
    for ax, X, cmap, low, high in ((axes[0, h], M[h].numpy(), "viridis", -12, 0),
                                   (axes[1, h], W[h] / W[h].max(-1, keepdims=True), "cividis", 0, 1)):
        ax.patch.set(facecolor="#E4E4E4", hatch="////", edgecolor="#B8B8B8")
        drawn = ax.imshow(np.ma.masked_where(hidden, X), cmap=cmap, vmin=low, vmax=high)
        ax.axhline(55, color="white" if h == 0 or cmap == "cividis" else "black", lw=1, ls=":")
        if h == H - 1:
            fig.colorbar(drawn, ax=list(axes[0 if cmap == "viridis" else 1]), shrink=0.9,
                         label="added to the score" if cmap == "viridis" else "weight / largest")
    axes[0, h].set_title(f"head {h + 1}, slope 1/{round(1 / slopes[h])}", fontsize=10)
    axes[2, h].fill_between(age, W[h, 55, 55 - age], color=plots.COLOURS["M"], step="mid")
    axes[2, h].plot(age, flat[55 - age], "k--", lw=1, drawstyle="steps-mid")
    axes[2, h].set(xlabel="age in frames", ylim=(0, None))
for ax, words in zip(axes[:, 0], ("looking i (query)", "looking i (query)", "weight, frame 55")):
    ax.set_ylabel(words)
plots.show(fig, alt="The mask of four heads over 60 frames and the attention it leaves. Head 1 is a thin "
           "line on the diagonal, heads 3 and 4 fill the band; frame 55's curve falls steeply in head 1, hardly "
           "in head 4.")

# %% [markdown]
# **What you saw.** Head 1 watches a few frames, head 4 averages the whole band. The network gets a set of memories
# from 0.1 to 2 seconds for free, and learns only what to look for in them.
#
# ## How far does a head look?
# **Question.** Can you say it in frames? Take the **expected age** $\sum_a a\,w_a$ of the frame looked at, at equal
# scores. Without an end ($\tau \to \infty$) it is a geometric series:
#
# $$\mathbb{E}[\text{age}] = \sum_a a\,e^{-sa} \Big/ \sum_a e^{-sa} = \frac{1}{e^{s} - 1} \;\approx\; \frac1s \text{
# for small } s$$
#
# **Predict 2.** $H = 8$ heads have ALiBi's slopes, 1/2, 1/4, ... 1/256, and $\tau = 50$. Which head looks back
# about half a second (12 frames)? Can any head reach an expected age above 25?

# %%
def expected_age(slope, tau):
    """mean age of the frame looked at, all scores equal: in frames"""
    age = np.arange(tau)
    w = np.exp(-slope * age)
    return (age * w).sum() / w.sum()


eight = masks.alibi_slopes(8).numpy()
assert abs(expected_age(0.25, 500) - 1 / (math.exp(0.25) - 1)) < 1e-9  # the closed form
far = [expected_age(s, 50) for s in eight]
print("expected age per head, frames:", [round(float(a), 1) for a in far])
fig, ax = plots.new(width=8, height=2.5)
ax.bar(np.arange(1, 9), far, color=plots.COLOURS["M"], label="ALiBi slopes, $\\tau$ = 50")
ax.axhline(expected_age(0, 50), color="k", ls="--", lw=1, label="no slope: 24.5")
ax.axhline(expected_age(1, 50), color=plots.COLOURS["y_hat"], ls=":", lw=2, label="Fig. 2 literally, slope 1: 0.6")
ax.set(xlabel="head", ylabel="expected age, frames", xticks=range(1, 9), ylim=(0, 32))
ax.legend(fontsize=8, ncols=3, loc="upper left")
plots.show(fig, alt="Bars of expected age for eight heads, from 1.5 frames in head 1 to 23.7 in head 8; lines at "
           "24.5 for no slope and 0.6 for the single slope.")

# %% [markdown]
# <details><summary>Answer to Predict 2</summary>
#
# $1/s = 12$ asks for a slope near 1/12: heads 3 (1/8) and 4 (1/16) lie on both sides, at 7 and 13 frames with
# $\tau = 50$. No: a slope of 0 averages ages 0 to 49, which is 24.5. A head may still *learn* to look further back,
# by content.
# </details>
#
# **What you saw.** Fig. 2 read literally, with a slope of 1, leaves 63 % of the weight on the newest frame. That is
# one reason to prefer ALiBi's slopes.
#
# ## Trap: inside or outside the scaling?
# Eq. 1 prints $(QK^T + M)/\sqrt{N_k}$: the mask is **inside** the scaling. ALiBi, and every implementation we know
# of, adds it **after**: $QK^T/\sqrt{N_k} + M$. For $-\infty$ both are the same. For a slope they are not: inside,
# it is $\sqrt{N_k}$ times weaker. Our mapper has $N_k = 20$, so each head would look about four times as far. We
# add it after; `bias_inside=True` is Eq. 1 as printed.

# %%
config = MapperConfig()
N_k = config.d_model // config.heads
Q = torch.randn(8, 60, N_k, generator=torch.Generator().manual_seed(0))  # (H, T, N_k)
M = masks.temporally_biased_mask(60, 8)
printed = torch.softmax((Q @ Q.transpose(1, 2) + M) / math.sqrt(N_k), -1)  # Eq. 1 letter by letter
weaker = torch.softmax(Q @ Q.transpose(1, 2) / math.sqrt(N_k) + M / math.sqrt(N_k), -1)
assert_close(printed, weaker)
assert_close(MappingNetwork(MapperConfig(bins=10, bias_inside=True)).mask(60), M / math.sqrt(N_k))
print("Eq. 1 as printed divides every slope by", round(math.sqrt(N_k), 1))
fig, ax = plots.new(width=8, height=2.4)
ax.plot(range(1, 9), far, "o-", color=plots.COLOURS["M"], label="after the scaling (ours)")
ax.plot(range(1, 9), [expected_age(s / math.sqrt(N_k), 50) for s in eight], "s--", color=plots.COLOURS["y_hat"],
        label="inside it (as printed)")
ax.set(xlabel="head", ylabel="expected age, frames", ylim=(0, 26))
ax.legend(fontsize=8)
plots.show(fig, alt="Expected age per head: added after the scaling heads spread from 1.5 to 23.7 frames; inside "
           "it from 8 to 24, so that most heads look alike.")

# %% [markdown]
# ### Exercise 1: attention
# Now you have all of Eq. 1. Write `attention(Q, K, V, M)` in NumPy, with the mask added where it belongs. `Q` and `K` are
# $(T, N_k)$, `V` is $(T, n)$, `M` is $(T, T)$ and holds $-\infty$ for the future.

# %%
def attention(Q, K, V, M):
    """Eq. 1 with the mask after the scaling: (T, n)"""
    # BEGIN SOLUTION
    scores = Q @ K.T / np.sqrt(Q.shape[1]) + M  # (T, T)
    e = np.exp(scores - scores.max(axis=1, keepdims=True))  # minus the largest: no overflow
    return e / e.sum(axis=1, keepdims=True) @ V  # (T, T) @ (T, n)
    # END SOLUTION


checks.attention(attention)

# %% [markdown]
# <details><summary>Hint 1</summary>Three steps: scores (T, T), softmax of each row, weights times V.</details>
# <details><summary>Hint 2</summary>np.exp(-np.inf) is 0: hidden frames drop out by themselves, if M comes before it.</details>
# <details><summary>Hint 3</summary>A row is one frame that looks, so sum along axis 1, and keep the dimension.</details>
#
# {{SOLUTION}}
#
# ## The row-constant trick
# **Question.** Must you store $i - j$ for every pair? Adding the same number to a whole row changes nothing in its
# softmax (numerator and denominator get the same factor). So $-s(i-j)$ may be replaced by $s\,j$: the difference,
# $s\,i$, is constant in row $i$. One vector of length $T$ does the work of a matrix.

# %%
causal = masks.causal_mask(6)
pairs = masks.temporally_biased_mask(6, 1, style="single")[0]  # -(i - j)
trick = causal + torch.arange(6.0)  # + j, the same in every row
assert_close(torch.softmax(S + pairs, -1), torch.softmax(S + trick, -1))
print("the same weights: True")

j = torch.arange(1000, 1008)
print("0.25 j at frame 1000 in float32:", len((0.25 * j).unique()), "different numbers of 8")
print("0.25 j at frame 1000 in bfloat16:", len((0.25 * j).bfloat16().unique()), "different numbers of 8")
assert len((-0.25 * (1007 - j)).bfloat16().unique()) == 8

# %% [markdown]
# **What you saw.** The trick is exact on paper, and it grows: after 40 s of speech in bfloat16 neighbouring frames
# get the same bias. Ages stay below $\tau$, so the package stores ages.
#
# ## The end of memory: $\tau$
# **Question.** Eq. 3 says that frame $t$ depends on at most $\tau$ frames. Who sees to that? The mask: an age of
# $\tau$ or more is $-\infty$, so the mask is a **band** $\tau$ wide.
#
# ### Exercise 2: how far back do L layers reach?
# Predict first: with $\tau = 4$ and three layers, how many frames can influence frame 20: 4, 10, 12 or all 21? Then write
# the rule, $L$ and $\tau$ in, number of frames out, frame 20 itself among them.

# %%
def frames_reached(L, tau):
    """how many frames can move frame t through L layers with a band of tau, frame t included"""
    # BEGIN SOLUTION
    return L * (tau - 1) + 1
    # END SOLUTION


checks.frames_reached(frames_reached)

# %% [markdown]
# <details><summary>Hint 1</summary>One layer: frame t and the tau - 1 frames before it.</details>
# <details><summary>Hint 2</summary>The oldest of them has itself seen tau - 1 frames further back, one layer below.</details>
# <details><summary>Hint 3</summary>Draw three bands of four, one below the other, each ending where the last began.</details>
#
# {{SOLUTION}}
#
# The package's mask, one layer after the other:

# %%
tau, T = 4, 24
band = masks.temporally_biased_mask(T, 1, tau)[0].isfinite()
assert band[20].sum() == tau
layers = torch.full((T, T), math.inf)  # how many layers until frame i feels frame j
seen = torch.eye(T, dtype=torch.bool)
for L in range(1, 5):
    seen = (band.float() @ seen.float()) > 0  # one layer more: whoever those I see could see
    layers[seen & layers.isinf()] = L
    assert seen[20].sum() == min(L * (tau - 1) + 1, 21)
    print(L, "layers:", L * (tau - 1) + 1, "frames reach frame 20")
fig, ax = plots.new(width=5.2, height=3.6)
ax.patch.set(facecolor="#E4E4E4", hatch="////", edgecolor="#B8B8B8")
steps = ListedColormap(["#00224E", "#575D6D", "#A59C74", "#FDEA45"])
drawn = ax.imshow(np.ma.masked_invalid(layers.numpy()), cmap=steps, vmin=0.5, vmax=4.5)
fig.colorbar(drawn, label="layers needed", ticks=[1, 2, 3, 4])
ax.axhline(20, color="k", ls=":", lw=1)
ax.set(xlabel="influencing frame j", ylabel="influenced frame i", title="$\\tau$ = 4: three frames more a layer")
plots.show(fig, alt="How many layers it takes until frame i feels frame j: a band of four frames for one "
           "layer, then a further band of three frames per layer.")

# %% [markdown]
# **What you saw.** Ten frames for three layers: one layer lets a frame see ages 0 to 3, and the oldest of them has itself
# seen three frames further back.
#
# **Trap.** Eq. 3 says $\tau$, but $L$ banded layers see $L(\tau-1)+1$ frames: our 4 layers with $\tau = 50$ reach
# 197 frames, nearly 8 s. And $A_{t-\tau:t}$ is $\tau+1$ frames of audio for $\tau$ of animation,
# $\bar Y_{t-\tau:t-1}$. In our network a token holds the audio of one frame and the bins of the frame before, so
# one layer sees $\tau$ of each. The gradient shows what the network really uses:

# %%
torch.manual_seed(0)
network = MappingNetwork(MapperConfig(bins=10, d_model=32, heads=4, layers=3, tau=4)).eval()
A = torch.randn(1, T, 400, requires_grad=True)
logits = network(A, network.start(1, T))  # (B, T, 23, D)
assert logits.shape == (1, T, 23, 10)
logits[0, 20].sum().backward()
moved = A.grad[0].abs().sum(-1) > 0  # (T,)
print("frames whose audio moves frame 20:", moved.nonzero().flatten().tolist())
assert moved.sum() == 3 * (4 - 1) + 1

# %% [markdown]
# ## A ring is enough
# **Question.** In decoding, frame by frame, do you compute all past frames again for each new one? No. A frame's
# keys and values never change (the future is masked), and only the last $\tau$ are looked at (the band). So keep
# $\tau$ of each in a **ring**: frame $t$ goes to slot $t \bmod \tau$ and overwrites the frame that has just left
# the band. The slots are not in order of time; the mask row must follow them: slot $r$ holds the frame of age
# $(t - r) \bmod \tau$.

# %% tags=["slide-output"]
tau, steps = 4, 10
ring, content = np.full(tau, np.nan), []
for t in range(steps):
    ring[t % tau] = t
    content.append(ring.copy())
content = np.array(content)  # (steps, tau): the frame in each slot
age = (np.arange(steps)[:, None] - np.arange(tau)) % tau  # what the rule says
filled = np.isfinite(content)
assert (np.arange(steps)[:, None] - content == age)[filled].all()
print("age = (t - slot) mod tau for every filled slot: True")
grid({"frame held": content.T, "its age": np.where(filled, age, np.nan).T},
     "A ring of four slots over ten time steps. Left: the frame each slot holds; each new frame overwrites the oldest. "
     "Right: its age, 0 for the newest to 3.", high=None, height=1.9, axes=("time step t", "slot"))

# %% [markdown]
# The same in the package: `network.decode_frame` with a ring against `network.forward` over the whole clip. They agree
# **only** because the whole clip is computed with the banded mask, too. Two tempting short cuts are other
# functions:

# %%
T, config = 40, MapperConfig(bins=10, d_model=32, heads=4, layers=3, tau=7)
torch.manual_seed(1)
network = MappingNetwork(config).eval()
A, y = torch.randn(1, T, 400), torch.randint(10, (1, T, 23))
with torch.inference_mode():
    full = network(A, y)[0]  # (T, 23, D)
    cache = network.new_cache(1)
    ringed = torch.cat([network.decode_frame(A[:, t], y[:, t], cache, t) for t in range(T)])
    refed = network(A[:, -7:], y[:, -7:])[0, -1]  # the last tau frames again, from scratch
    wide = MappingNetwork(MapperConfig(bins=10, d_model=32, heads=4, layers=3, tau=T)).eval()
    wide.load_state_dict(network.state_dict())
    unbanded = wide(A, y)[0, -1]
assert_close(ringed, full, atol=1e-5, rtol=1e-5)
print("ring cache equals the full banded computation to 1e-5, across the wrap: True")
print("feeding the last tau frames again gives something else:", not torch.allclose(refed, full[-1], atol=1e-3))
print("leaving the band out gives something else:", not torch.allclose(unbanded, full[-1], atol=1e-3))
print("keys looked at for frame 1500: 1501 without a band,", MapperConfig().tau, "with it")

# %% [markdown]
# ## Beyond the training length
# **Question.** You train on windows of two or three seconds, then somebody speaks for a minute. What happens?
#
# A toy with a known answer. A hidden value $x_t$ wanders, $x_t = 0.95\,x_{t-1} + $ a little noise. You see
# $y_t = x_t + $ much noise and want $x_t$. The best possible answer is known, the Kalman filter: a weighted mean of
# the past whose weights **shrink by a constant factor with age**. That is just what a biased mask gives at equal
# scores.
#
# You train one `Block` of the package three times on 50 frames: with the biased mask, with sinusoidal positions
# added to the tokens (Vaswani et al., 2017), and with neither. Then you test on 200 frames.

# %%
def wander(n, T, seed):
    """hidden values x and noisy sight y of them, both (n, T); both have variance 1 around what they follow"""
    g = torch.Generator().manual_seed(seed)
    x, noise = torch.randn(n, T, generator=g), torch.randn(n, T, generator=g)
    for t in range(1, T):
        x[:, t] = 0.95 * x[:, t - 1] + math.sqrt(1 - 0.95**2) * x[:, t]
    return x, x + noise


class Toy(torch.nn.Module):
    def __init__(self, position, d=32):
        super().__init__()
        self.position, self.into, self.out = position, torch.nn.Linear(1, d), torch.nn.Linear(d, 1)
        self.block = Block(MapperConfig(d_model=d, heads=4, dropout=0.0))

    def forward(self, y):  # (B, T)
        tokens = self.into(y[..., None])  # (B, T, d)
        if self.position == "sinusoidal":
            tokens = tokens + masks.sinusoid(torch.arange(y.shape[1]), tokens.shape[-1])
        M = masks.temporally_biased_mask(y.shape[1], 4, y.shape[1], "alibi" if self.position == "biased" else "none")
        return self.out(self.block(tokens, M))[..., 0]  # (B, T)

# %%
x_test, y_test = wander(512, 200, seed=-1)
error = {}
for position in ("biased", "sinusoidal", "none"):
    torch.manual_seed(0)
    toy = Toy(position)
    optimizer = torch.optim.AdamW(toy.parameters(), 4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=200)
    for step in range(200):
        x, y = wander(48, 50, seed=step)
        loss = (toy(y) - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        error[position] = (toy(y_test) - x_test).square().mean(0).numpy()  # (200,)
P = 1.0  # the Kalman filter's error, iterated until it stands still
for _ in range(100):
    forecast = 0.95**2 * P + 1 - 0.95**2
    P = forecast / (forecast + 1)
inside, outside = slice(25, 50), slice(60, 200)
print("biased mask, beyond 50 frames, within 15 % of within:",
      bool(error["biased"][outside].mean() < 1.15 * error["biased"][inside].mean()))
print("sinusoidal, beyond 50 frames, more than 1.5 times worse:",
      bool(error["sinusoidal"][outside].mean() > 1.5 * error["sinusoidal"][inside].mean()))

# %% tags=["slide-output"]
fig, ax = plots.new(width=9, height=3)
ax.axvspan(0, 50, color="#EEEEEE")
ax.text(25, 1.13, "seen in training", ha="center", fontsize=9)
for (position, e), dash, colour in zip(error.items(), ("-", "--", ":"), (plots.COLOURS["M"], "#D55E00", "#777777")):
    ax.plot(np.convolve(e, np.ones(5) / 5, "valid"), dash, color=colour, lw=2, label=position)
ax.axhline(P, color="k", lw=1, label="best possible (Kalman)")
ax.set(xlabel="frame t", ylabel="squared error", ylim=(0, 1.25), xlim=(0, 195))
ax.legend(fontsize=9, ncols=2, loc="upper right")
plots.show(fig, alt="Squared error over 200 frames after training on 50. The biased mask stays near the "
           "best possible; sinusoidal positions are as good until frame 50, then rise steeply; none is worse "
           "throughout.")

# %% [markdown]
# **What you saw.** Within 50 frames, sinusoids are as good. After that they meet positions they never saw. The
# biased mask knows ages only, and ages repeat. With neither, the network cannot tell old from new and averages
# everything: that is "w/o TBM" at its worst. (The data here is noisy. On clean, short tracks the newest frame tells
# all, and we measured no gain.)
#
# ## What the trained mapper looks at
# Now the shipped mapper on our clip: four layers, eight heads. What does it look at when it predicts frame 17, the
# stressed vowel of "map", with lips closed at /m/ before it? Each row is a head, each column an earlier frame;
# brighter means more weight. The letters are the phones spoken.

# %%
mapper = load_pretrained("mapper")
y_bar = torch.from_numpy(mapper.discretizer.encode(clip.animation()))[None]  # (1, T, 23)
y_previous = torch.cat([mapper.start(1), y_bar[:, :-1]], dim=1)  # row t holds the bins of frame t-1
maps = mapper.attention(torch.from_numpy(clip.features())[None], y_previous)[:, 0].numpy()  # (layers, H, T, T)
L, H, T, _ = maps.shape
print("layers", L, "heads", H, "and every row sums to 1:", bool(np.allclose(maps.sum(-1), 1, atol=1e-4)))


def phone_at(t):
    return next((name for name, start, end in clip.phones() if start <= (t + 0.5) / 25 < end), "")


fig, axes = plots.new(1, L, width=10, height=2.9, sharey=True)
for layer, ax in enumerate(axes):
    ax.imshow(np.sqrt(maps[layer, :, FRAME, :FRAME + 1]), cmap="cividis", vmin=0, vmax=0.8, aspect="auto")
    names = [phone_at(t) for t in range(FRAME + 1)]
    first = [t for t in range(FRAME + 1) if t == 0 or names[t] != names[t - 1]]
    ax.set_xticks(first, [names[t].lower().replace("pau", "-") for t in first], fontsize=8)
    ax.set(title=f"layer {layer + 1}", yticks=range(H), yticklabels=range(1, H + 1))
axes[0].set_ylabel("head")
fig.supxlabel(f"frame looked at, 0 to {FRAME}, with the phone that starts there", fontsize=9)
plots.show(fig, alt="Attention of frame 17 in the shipped mapper, a panel per layer, a row per head, a "
           "column per frame from 0 to 17: steep heads look at the last frames, flat heads at all so far.")

# %%
closed = np.array([phone_at(t) == "M" for t in range(FRAME + 1)])  # both /m/ before the vowel
alone = torch.softmax(mapper.mask(T), -1)[:, FRAME, :FRAME + 1].numpy()
ratio = maps[:, :, FRAME, :FRAME + 1][..., closed].sum(-1) / alone[:, closed].sum(-1)  # (layers, H)
print("some heads give the /m/ over 1.5 times what their mask proposes:", bool((ratio > 1.5).any()))
age = np.arange(T)[:, None] - np.arange(T)  # (T, T)
looked = (maps * age).sum(-1)[..., 50:].mean(-1)  # (layers, H) expected age, frames with a full memory
slopes = mapper.config.steepness * masks.alibi_slopes(H).numpy()  # (H,)
print("slopes of the shipped mapper: 1 /", [round(1 / s) for s in slopes])
alone = np.array([expected_age(s, mapper.config.tau) for s in slopes])
print("the steepest head looks less far than the flattest, in every layer:", bool((looked[:, 0] < looked[:, -1]).all()))
fig, axes = plots.new(1, 3, width=10, height=3, width_ratios=[1, 1, 1.25])
for ax, h in zip(axes, (0, H - 1)):
    ax.imshow(np.sqrt(maps[-1, h, :60, :60]), cmap="cividis", vmin=0, vmax=0.8)
    ax.set(title=f"layer {L}, head {h + 1}", xlabel="looked at j (key)")
axes[0].set_ylabel("looking i (query)")
for layer in range(L):
    axes[2].plot(range(1, H + 1), looked[layer], "osD^"[layer % 4], color=plots.SAMPLES[layer], alpha=0.8,
                 label=f"layer {layer + 1}")
axes[2].plot(range(1, H + 1), alone, color=plots.COLOURS["M"], lw=2, label="mask alone")
axes[2].set(xlabel="head", ylabel="expected age, frames", xticks=range(1, H + 1))
axes[2].legend(fontsize=8)
plots.show(fig, alt="Left and middle: attention maps of the last layer's first and last head over 60 "
           "frames. Right: expected age of every head of every layer against what its mask alone would give.")

# %% [markdown]
# **What you saw.** The mask proposes, content disposes. Heads scatter around the line of the mask alone, and at
# frame 17 some of them gather on /m/, where the lips were closed, though younger frames are cheaper.
#
# ## Failure gallery
# Break the mask in four ways and look at the weights of the mouth toy. Which of them still have rows that sum to 1?

# %%
M = masks.temporally_biased_mask(6, 1, style="single")[0]
age = M.nan_to_num(neginf=0.0)
broken = {"0 for -∞": torch.softmax(S + age, -1),
          "after the softmax": torch.softmax(S, -1) * M.isfinite(),
          "sign turned": torch.softmax(S + masks.causal_mask(6) - age, -1),
          "tau = 1": torch.softmax(S + masks.temporally_biased_mask(6, 1, tau=1)[0], -1)}
for name, weights in broken.items():
    whole, hidden = torch.allclose(weights.sum(-1), torch.ones(6)), bool((weights.triu(1) == 0).all())
    print(f"{name:18} rows sum to 1: {whole!s:5}  future hidden: {hidden!s:5}  "
          f"newest favoured: {bool(weights[5, 5] > weights[5, 2])}")
grid(broken, "Weights under four broken masks: with 0 for minus infinity the future shows; masked after the "
     "softmax rows lose weight; with the sign turned the oldest frame wins; with tau 1 each frame sees itself alone.")
empty = torch.softmax(torch.full((1, 6), -math.inf), -1)
print("a row with nothing to look at gives:", empty[0, 0].item())

# %% [markdown] tags=["slide"]
# The last line is the fifth way: a row of nothing but $-\infty$ is 0/0. A mask must leave each row at least one
# frame; the diagonal sees to that.
#
# ## Exercise 3: write the mask
# Write `temporally_biased_mask(T, heads, tau)` → an array `(heads, T, T)`: minus slope times age, with the ALiBi
# slopes $2^{-8h/H}$, and $-\infty$ for the future and for ages of `tau` and more. NumPy or torch, loops or not.

# %% tags=["slide"]
def temporally_biased_mask(T, heads, tau):
    """the mask of Fig. 2 with ALiBi's slopes, (heads, T, T)"""
    # BEGIN SOLUTION
    age = np.arange(T)[:, None] - np.arange(T)[None, :]  # (T, T), row i looks at column j
    slopes = 2.0 ** (-8 * np.arange(1, heads + 1) / heads)  # (H,)
    M = -slopes[:, None, None] * age  # (H, T, T)
    return np.where((age < 0) | (age >= tau), -np.inf, M)
    # END SOLUTION


checks.temporally_biased_mask(temporally_biased_mask)

# %% [markdown]
# <details><summary>Hint 1</summary>Make the table of ages first: age[i, j] = i - j. The rest follows.</details>
# <details><summary>Hint 2</summary>Heads count from 1: the steepest slope of four heads is 2^(-2).</details>
# <details><summary>Hint 3</summary>Two conditions give minus infinity: age &lt; 0 and age &gt;= tau.</details>
#
# {{SOLUTION}}

# %% [markdown]
# ## Play with it
# Top: what is added. Bottom: the weights at equal scores, each row scaled to its largest. Try `tau` = 1, then
# `style` "none" (the ablation "w/o TBM"), then more heads.

# %% tags=["nbval-ignore-output"]
explorers.mask_explorer().show()

# %% [markdown] tags=["slide"]
# ## Recap
# * A mask is **added before** the softmax. 0 lets through, $-\infty$ hides, anything between is a discount.
# * The biased mask costs $s$ per frame of age: a factor $e^{-s}$ in the weights, an expected age of about $1/s$
#   frames.
# * ALiBi gives each head its slope; Eq. 1 as printed would weaken all of them by $\sqrt{N_k}$.
# * $\tau$ is the width of the band. $L$ layers reach $L(\tau-1)+1$ frames. A ring of $\tau$ keys and values decodes
#   exactly.
# * Ages repeat, positions do not: that is why the bias carries on beyond the training length.
#
# ### What the toy does not show
# The wandering value is linear and one-dimensional; speech is neither, and audio gives the lips away without any
# past. A network this small, trained for seconds, says nothing about quality. Attention maps show where a layer
# looks, not why: weight is not influence. And on clean short tracks we found no gain from the bias; chapter 6
# reports the ablation as it comes out.
#
# ## Quiz
# 1. Why is $-\infty$ added before the softmax, instead of multiplying with 0 after it?
# 2. A head has slope 1/32. How far back does it look at equal scores, in seconds?
# 3. You double $\tau$. What gets slower: training, decoding, both?
# 4. Your friend decodes with a ring but trains with a full causal mask. What goes wrong?
# 5. When would you expect *no* gain from the biased mask?
#
# <details><summary>Answers</summary>
#
# 1. Rows would no longer sum to 1: the weight spent on hidden frames is lost.
# 2. About 32 frames without an end; with $\tau = 50$ it is 18 frames, 0.7 s.
# 3. Decoding costs $\tau$ keys a frame, so it gets slower; training computes all pairs of the window in any case,
#    and masks.
# 4. In training frames looked further back than $\tau$. The ring has forgotten those: another function, silently
#    worse.
# 5. On clean tracks where the last frame tells all, and on clips no longer than those in training.
# </details>
#
# **Next:** [chapter 4](04_mapper.ipynb) puts the mask to work: a network that writes a probability for each bin,
# and draws from it.
