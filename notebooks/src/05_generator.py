# %% [markdown] tags=["slide"]
# # 5 The generation network: the same person, moving as told
#
# You have animations: 23 numbers per frame. In this chapter they meet a portrait, and a face moves.
#
# In this chapter **you will be able to**
#
# 1. say what the generator learns from, and draw such a pair yourself (Eq. 6),
# 2. move a picture by a flow, and keypoints by a head pose, with your own hands,
# 3. read the flow, mask and occlusion pictures of a trained generator,
# 4. write the two adversarial losses, with the right labels and the right `detach` (*Exercises 2 and 3*, Eq. 8),
# 5. say what each loss asks for, and show how three small slips spoil it (*Predict 1, Exercise 1*, Eq. 7-10).
#
# Reading time 45 minutes, running time on two cores: {{RUN_TIME}}, most of it one live training.
#
# Prerequisites: chapter 00 (the 23 attributes), convolutions, gradient descent. Paper: sections 3.3 and 3.3.1.

# %% [markdown]
# ## Set-up
# `Z` holds the attributes of our clip: 17 Action Units from 0 to 5, three angles in radians, three shifts in
# millimetres. `G` is the generator that comes with the course. It has never seen the six actors of the test split.

# %%
import json
import logging
import tempfile
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F
from dirfa_edu import ATTRIBUTES, CHAPTER_CLIP, Actor, Corpus, Discriminator, GenerationNetwork
from dirfa_edu import column, data_path, examples, generator, load_pretrained, losses, metrics, plots, training
from dirfa_edu.course import checks, explorers, puppet
from dirfa_edu.data.pool import Pool
from dirfa_edu.faces import geometry, identity
torch.set_num_threads(1)
torch.set_grad_enabled(False)  # switched on where something learns
logging.disable(logging.INFO)  # the trainer greets on stderr
corpus, G, FRAME = Corpus(), load_pretrained("generator"), 17
clip = corpus[CHAPTER_CLIP]
frames = torch.from_numpy(clip.frames()).permute(0, 3, 1, 2) / 255  # (T, 3, 128, 128)
Z = torch.from_numpy(clip.truth()["clean"].astype(np.float32))  # (T, 23)
unseen = corpus.select(split="test", kind="probe", rendered=True)  # actors with a random face in each frame
print("frames", tuple(frames.shape), "attributes", tuple(Z.shape), "unseen actors:", len(unseen))

# %% [markdown]
# ## One picture first
# The upper row is all that `G` gets to see. Each face of the lower row is made from the one at the top and from 23
# numbers; the middle row is what those numbers mean.

# %% tags=["slide-output"]
def face(ax, image, title=""):
    """Show a picture (1, 3, S, S) in 0..1, or a map (h, w) in colours; both from 0 to 1 in x and y."""
    photo = image.ndim == 4
    ax.figure.photo = photo or getattr(ax.figure, "photo", False)
    image = image[0].clamp(0, 1).permute(1, 2, 0) if photo else image
    ax.imshow(image, cmap="magma", interpolation="lanczos" if photo else "nearest", extent=(0, 1, 1, 0))
    ax.set(xticks=[], yticks=[])
    ax.set_title(title, fontsize=9)


test = [examples.read_footage(c, G.config.size) for c in unseen]  # frames uint8, attributes, usable frames
fig, axes = plots.new(3, 4, width=3.7, height=2.8)
for column_, (pictures, z, _) in zip(axes.T, test):
    source = pictures[:1] / 255
    for ax, image in zip(column_, (source, pictures[21:22] / 255, G(source, z[21:22], z[:1]))):
        face(ax, image)
for ax, name in zip(axes[:, 0], ("source", "truth", "G")):
    ax.set_ylabel(name, fontsize=9)
plots.show(fig, alt="Four unseen actors: the source, the truth for other attributes, and the generator's picture, "
           "which follows mouth, eyes and pose and is a little softer in hair and brows.")

# %% [markdown] tags=["slide"]
# ## What does it learn from?
# Nobody has to label anything. Take two frames of one clip: the **source** $I_{src}$ and the **target** $I_{tgt}$.
# Person, light and clothes are the same, so what differs is what the attributes $Z_{tgt}$ tell:
#
# $$\hat I_{tgt} = G(I_{src}, Z_{tgt}) \qquad \text{(Eq. 6)}$$
#
# $G$ shall return the target. From two different clips it would have to guess the person, which no attribute names.
#
# **The same in the package.** `examples.pair_batch` draws a clip, a source frame and two candidates for the target, and
# takes the one with more to move: shut eyes are rare. Half of the pairs are turned round as in a mirror, and then yaw,
# roll and x change their sign. You repeat its draws with the same seed. The clips come out of a `Pool`, which decodes a
# few films at a time, so that a corpus may be larger than the memory.

# %%
src, tgt = 0, FRAME
I_src, I_tgt, Z_src, Z_tgt = frames[src:src + 1], frames[tgt:tgt + 1], Z[src:src + 1], Z[tgt:tgt + 1]
change = ((Z_tgt - Z_src) / G.scale)[0]  # (23,): AUs in fifths; 0.2 rad and 20 mm count as 1
fig, axes = plots.new(1, 4, width=8, height=1.6, width_ratios=[1, 1, 1, 2.6])
face(axes[0], I_src, "$I_{src}$")
face(axes[1], I_tgt, f"$I_{{tgt}}$: frame {tgt}")
face(axes[2], (I_tgt - I_src).abs().mean(1)[0], "where they differ")
axes[3].bar(range(23), change, color=plots.COLOURS["Z"])
axes[3].set(title="$Z_{tgt} - Z_{src}$, normalised")
axes[3].set_xticks([0, 8, 14, 17, 20], ["AU01", "AU12", "AU25", "pitch", "x"])
largest = sorted(ATTRIBUTES[i] for i in change.abs().topk(2).indices)
plots.show(fig, alt="Source, target and their difference, which is bright around the mouth and at the edges of the head; "
           f"beside them 23 bars, the tallest for {' and '.join(largest)}.")
print("largest changes:", largest)

# %%
everything = torch.arange(len(Z))  # every frame is usable
data = [examples.Footage((x * 255).round().byte(), Z, everything) for x in (frames, frames.flip(-1))]  # two "clips"
pool = Pool(data, read=lambda footage: footage, noise=torch.Generator().manual_seed(5))
batch = examples.pair_batch(pool, 4, pool.noise)  # Z_tgt: (4, 1, 23), a window of one frame
noise = torch.Generator().manual_seed(5)
for row in range(4):
    pictures, z, _ = data[int(torch.randint(2, (1,), generator=noise))]
    i, *two = torch.randint(len(frames), (3,), generator=noise).tolist()
    j = max(two, key=lambda t: ((z[t] - z[i]) / G.scale).abs().sum())
    in_mirror = torch.randint(2, (1,), generator=noise)
    picture, z_j = (pictures[i].flip(-1), z[j] * examples.MIRRORED) if in_mirror else (pictures[i], z[j])
    torch.testing.assert_close((batch[0][row], batch[3][row, 0]), (picture / 255, z_j))  # I_src, Z_tgt
print("I_src, Z_src, I_tgt, Z_tgt:", [tuple(x.shape) for x in batch])

# %% [markdown]
# ## How does a picture move?
# Painting a face anew from 23 numbers would lose the person. So $G$ **moves the pixels it has**. A *flow* says for each
# place of the new picture where its colour came from. Pulling leaves no hole; pushing pixels forward does.

# %%
picture = torch.arange(16.0).view(4, 4)
flow = torch.zeros(2, 4, 4)  # x and y, in pixels: where each pixel came from, seen from itself
flow[0, :, 2:] = -1  # the right half came from one pixel further left
flow[1, 0] = 1  # the top row from one pixel further down


def warp_by_hand(picture, flow):
    H, W = picture.shape
    out = torch.zeros(H, W)
    for y in range(H):
        for x in range(W):
            from_x = min(max(x + int(flow[0, y, x]), 0), W - 1)
            from_y = min(max(y + int(flow[1, y, x]), 0), H - 1)
            out[y, x] = picture[from_y, from_x]
    return out


moved = warp_by_hand(picture, flow)
print("pixel (0, 3) came from (1, 2), which holds 6:", moved[0, 3].item() == 6)
pushed = {(2 * y, 2 * x) for y in range(4) for x in range(4) if 2 * y < 4 and 2 * x < 4}  # enlarge by 2, forward
print("holes when a picture is enlarged by pushing:", 16 - len(pushed), "of 16, by pulling: 0")

# %% [markdown]
# **The same in the package.** `generator.warp` measures in picture widths, from -1 (left edge) to 1 (right edge), so one
# flow fits every size. Between pixels it mixes neighbours, and that lets gradients through.

# %% tags=["slide-output"]
unit = 2 / (4 - 1)  # one pixel of a 4 px picture
torch.testing.assert_close(generator.warp(picture[None, None], flow[None] * unit)[0, 0], moved)
half = generator.warp(picture[None, None], torch.full((1, 2, 4, 4), 0.5) * unit * torch.tensor([1, 0])[:, None, None])
print("half a pixel to the right of 0 and 1 lies 0.5:", round(half[0, 0, 0, 0].item(), 3) == 0.5)

fig, axes = plots.new(1, 3, width=8, height=2.5)
for ax, values, title in zip(axes, [picture, torch.zeros(4, 4), moved], ["picture", "flow", "warped"]):
    ax.imshow(values, cmap="cividis", vmin=-4, vmax=22)
    ax.set(xticks=[], yticks=[], title=title)
for y, x in np.ndindex(4, 4):
    for ax, values in ((axes[0], picture), (axes[2], moved)):
        ax.text(x, y, int(values[y, x]), ha="center", va="center", color="white")
axes[1].quiver(*np.meshgrid(range(4), range(4)), flow[0], flow[1], angles="xy", scale_units="xy", scale=1,
               color="white", width=0.015)
plots.show(fig, alt="A 4 by 4 picture of the numbers 0 to 15, a flow of arrows, and the warped picture: "
           "its right half repeats the column to its left, its top row the row below.")

# %% [markdown]
# ## How does a head turn?
# By geometry. Nothing is learned here. A point $x$ of the head goes to $R\,x + t$ with $R = R_x R_y R_z$: pitch, yaw,
# roll. The axes are OpenFace's: x to the right, y down, z **away** from you, so the nose has a negative z.

# %%
def rotation_by_hand(pitch, yaw, roll):
    (cx, cy, cz), (sx, sy, sz) = np.cos([pitch, yaw, roll]), np.sin([pitch, yaw, roll])
    Rx = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    Ry = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    Rz = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return Rx @ Ry @ Rz


nose = np.array([0, 0, -1.0])
print("a quarter turn of yaw brings the nose to x = -1:", np.allclose(rotation_by_hand(0, np.pi / 2, 0) @ nose, [-1, 0, 0]))
print("a positive pitch moves it down (y > 0):", (rotation_by_hand(0.3, 0, 0) @ nose)[1] > 0)
angles = torch.tensor([[0.2, -0.4, 0.1]])
torch.testing.assert_close(generator.rotation(angles)[0].double(), torch.from_numpy(rotation_by_hand(0.2, -0.4, 0.1)),
                           atol=1e-6, rtol=0)
head = geometry.canonical_face()["vertices"]  # (468, 3) mm
fig, axes = plots.new(1, 4, width=7, height=1.9)
for ax, (name, a) in zip(axes, {"neutral": (0, 0, 0), "pitch 0.4": (0.4, 0, 0), "yaw 0.6": (0, 0.6, 0),
                                "roll 0.3": (0, 0, 0.3)}.items()):
    x, y, _ = (head @ rotation_by_hand(*a).T).T
    ax.plot(x, y, ".", color=plots.COLOURS["Z"], ms=1.5)
    ax.set(xlim=(-100, 100), ylim=(120, -120), xticks=[], yticks=[], aspect="equal")
    ax.set_title(name, fontsize=9)
plots.show(fig, alt="A face of 468 points seen from the front, then looking down, then turned to the left of the "
           "picture, then tilted clockwise.")

# %% [markdown]
# ## What does the network turn?
# A handful of **keypoints**. $G$ finds K of them in the source, in 3-D, and undoes the source's pose: *canonical*
# keypoints, the face without its pose. For the target it turns them by $R$ and $t$, which is geometry, and adds what the
# Action Units do to them, which is learned. You rebuild the sum.

# %%
encoded = G.encode(I_src, Z_src)
strong = Z_src.clone()
strong[0, [column(name) for name in ("AU25", "AU12", "pose_Ry", "pose_Rz")]] = torch.tensor([3, 2, 0.25, 0.1])
z = strong / G.scale
code = G.code(torch.cat([z, Z_src / G.scale], dim=1))  # what both sets of attributes say, (1, 128)
R, t = generator.rotation(strong[:, 17:20]), strong[:, 20:] * G.per_mm
geometry = (encoded.canonical - G.pivot) @ R.transpose(1, 2) + G.pivot + t[:, None]  # (1, K, 3)
learned = G.expression(code).view(1, -1, 3)
m = G.motion(encoded, strong)
torch.testing.assert_close(m["target"], geometry + learned)
print("canonical keypoints:", tuple(encoded.canonical.shape), "target keypoints = geometry + learned: equal")

a, b = ((m[key][0, :, :2] + 1) / 2 for key in ("source", "target"))  # (K, 2), picture widths
fig, axes = plots.new(1, 3, width=5.2, height=1.95)
face(axes[0], I_src, "source, its keypoints")
face(axes[1], G.render(encoded, strong), "generated")
face(axes[2], torch.from_numpy(Actor(clip.actor).render(strong[0].numpy())).permute(2, 0, 1)[None] / 255, "truth")
for ax, dots in zip(axes, (a, b)):
    ax.scatter(*dots.T, s=16, color=plots.COLOURS["I_tgt"], edgecolors="black", zorder=3)
axes[1].quiver(*a.T, *(b - a).T, angles="xy", scale_units="xy", scale=1, color="white", width=0.012, zorder=2)
plots.show(fig, alt="The source with its keypoints as dots, the generated face with arrows from the old places to the "
           "new ones, and the true picture for the same attributes.")

# %% [markdown]
# The dots need not sit on lips or eyes: nobody tells the network where. It keeps the places that help it move pixels;
# those of the shipped network stand along the middle of the face, from the forehead to the chin, and differ in depth. Two
# terms that you meet below see to them: keypoints shall keep apart, and where the picture is turned, they shall turn too.
#
# ## From a few points to every pixel
# Near keypoint k the picture moves as k did. A **mask** says, for each place, which keypoint to follow; one more channel
# says "none, this is background". The flow is the weighted sum. By hand, at a place that follows keypoint 1, which moved
# by 0.2, for three quarters, and the background for one quarter: 0.75 x 0.2 + 0.25 x 0 = 0.15.
#
# Where the source shows nothing useful, the inside of an opening mouth for one, moving cannot help: there the decoder
# must **paint**. Two maps say how much: *occlusion* weighs the warped features, and at the very end *keep* chooses, pixel
# by pixel, between the warped source and the painted picture.

# %% tags=["slide-output"]
assert torch.allclose(m["mask"].sum(1), torch.ones(1), atol=1e-5)  # the weights of a place sum to 1
print("flow", tuple(m["flow"].shape), "mask", tuple(m["mask"].shape), "occlusion", tuple(m["occlusion"].shape))
picture, painted, keep = G.layers(encoded, strong)
keep = torch.sigmoid(keep)
warped = generator.warp(I_src, m["flow"])
torch.testing.assert_close(picture, (keep * warped + (1 - keep) * painted).clamp(0, 1))  # the last line of G

fig, axes = plots.new(2, 3, width=5.2, height=3.7)
face(axes[0, 0], I_src * 0.6 + 0.4, "flow")
step = np.arange(1, 32, 2)
arrows = -m["flow"][0][:, step][:, :, step].numpy() / 2  # drawn forwards: from the source to the target
axes[0, 0].quiver(*np.meshgrid(step / 31, step / 31), *arrows, angles="xy", scale_units="xy", scale=1, width=0.004)
face(axes[0, 1], m["mask"][0].argmax(0) / G.config.keypoints, "strongest mask channel")
face(axes[0, 2], warped, "warped source")
face(axes[1, 0], m["occlusion"][0, 0], "occlusion")
face(axes[1, 1], painted, "painted")
face(axes[1, 2], keep[0, 0], "keep: dark = painted")
for ax in axes[1, ::2]:
    ax.images[0].set_clim(0, 1)
plots.show(fig, alt="Six pictures: the source with arrows of the flow, the strongest mask channel, the warped source, the "
           "occlusion map, the painted picture, and the map that chooses between the two.")
print("picture = keep * warped + (1 - keep) * painted: equal")

# %% [markdown]
# Look at the eyes and at the mouth. The irises are copied from the source, for no attribute tells their colour; nearly all
# else is painted from warped features. Occlusion is dark where the source has nothing to give: inside the mouth, and
# faintly where the turning head uncovers cheek and neck.
#
# **Play with it.** One layer at a time. Shut the mouth (AU25 = 0) and watch where *keep* lets go of the source; then turn
# the head, and look for what *warped* stretches.

# %% tags=["nbval-ignore-output"]
explorers.layers_explorer().show()

# %% [markdown]
# ## Encode once, render many
# A source is encoded one time; each frame only pays for its own motion. You check two things: eight frames at once equal
# eight frames alone, and a still stays a still: the source's own attributes give the source back.

# %%
one_by_one = torch.cat([G.render(encoded, row[None]) for row in Z[:8]])
torch.testing.assert_close(G.render(encoded, Z[:8]), one_by_one, atol=1e-3, rtol=0)
still, copied = metrics.psnr(G.render(encoded, Z_src), I_src), metrics.psnr(I_tgt, I_src)
print("eight at once equal eight alone: True")
print("a still is nearer to the source than the target is:", still > copied)

# %% [markdown]
# ## When are two pictures alike?
# The reconstruction loss of the paper does not compare pixels but features $\phi$ of a trained network:
#
# $$\mathcal L_{rec} = \mathbb E\,\|\phi(I_{tgt}) - \phi(\hat I_{tgt})\|_1 \qquad \text{(Eq. 9)}$$
#
# Why? Take stripes, the same stripes one pixel further, and plain grey. Which one looks more like the stripes? As a toy
# $\phi$ take "how much does the picture change here": differences between neighbours.

# %%
stripes = torch.tensor([0.0, 1, 0, 1, 0, 1, 0, 1])
shifted, grey = stripes.roll(1), torch.full((8,), 0.5)


def change_of(x):
    return x.diff().abs()  # 1 at every edge, 0 where nothing changes


for name, other in (("shifted", shifted), ("grey", grey)):
    print(f"{name:8s} pixel distance {(stripes - other).abs().mean():.1f}   "
          f"feature distance {(change_of(stripes) - change_of(other)).abs().mean():.1f}")

# %% [markdown]
# Pixels prefer the grey blur; that is why networks trained on pixels alone blur hair. The toy features prefer the
# shifted stripes. The paper's $\phi$ is VGG; ours is a face recognition network, which may be shipped. On faces:

# %%
phi = identity.load_face_resnet()
blurred = F.avg_pool2d(F.pad(I_tgt, [2] * 4, "reflect"), 5, stride=1)
mouth = I_tgt.clone()
mouth[..., 72:104, 40:88] = I_src[..., 72:104, 40:88]
other = next(c for c in corpus.select(split="test", kind="probe", rendered=True) if c.actor != clip.actor)
other = torch.from_numpy(other.frames()[:1]).permute(0, 3, 1, 2) / 255
versions = {"2 px aside": I_tgt.roll(2, -1), "blurred": blurred, "other mouth": mouth, "other person": other}
pixels = np.array([(I_tgt - x).abs().mean() for x in versions.values()])
features = np.array([losses.perceptual(phi.features(I_tgt), phi.features(x)) for x in versions.values()])
levels = zip(phi.features(I_tgt), phi.features(blurred))
torch.testing.assert_close(float(features[1]), np.mean([float((a - b).abs().mean() / a.abs().mean()) for a, b in levels]))

fig, axes = plots.new(1, 5, width=8, height=1.5, width_ratios=[1, 1, 1, 1, 2])
for ax, (name, x) in zip(axes, versions.items()):
    face(ax, x, name)
for i, (values, label) in enumerate(((pixels, "pixels"), (features, "features"))):
    axes[4].barh(np.arange(4) + 0.4 * i, values / max(values), 0.38, color=plots.SAMPLES[i], label=label)
axes[4].set(yticks=np.arange(4) + 0.2, yticklabels=versions, xlabel="distance, share of the largest")
axes[4].invert_yaxis()
axes[4].legend(fontsize=7)
plots.show(fig, alt="Frame 17 shifted by two pixels, blurred, with the source's mouth, and another person, beside bars "
           "of their pixel and feature distances.")
print("features forgive the shift more than pixels do:", features[0] / features[1] < pixels[0] / pixels[1])

# %% [markdown]
# ## Does the face show what it was told?
# **Question.** Who checks that an open mouth was asked for and an open mouth came out? A head $D_Z$ on the discriminator
# reads the attributes off a picture; its squared error is the attribute loss:
#
# $$\mathcal L_{attr} = \mathbb E\|D_Z(I_{tgt}) - Z_{tgt}\|_2^2 + \mathbb E\|D_Z(\hat I_{tgt}) - Z_{tgt}\|_2^2
# \qquad \text{(Eq. 10)}$$
#
# **Trap: which units?** $Z$ holds Action Units up to 5 and millimetres up to some tens. Take two mistakes, each half of
# what its attribute usually spans: AU25 off by 2.5, and the head 10 mm too near.
#
# **Predict 1.** What share of the loss does the mouth get?

# %%
wrong = torch.zeros(1, 23)
wrong[0, column("AU25")], wrong[0, column("pose_Tz")] = 2.5, 10.0
raw = losses.attribute(None, wrong, torch.zeros(1, 23))
normalised = losses.attribute(None, wrong / G.scale, torch.zeros(1, 23))
torch.testing.assert_close(raw.item(), 2.5**2 + 10**2)
torch.testing.assert_close(normalised.item(), (2.5 / 5) ** 2 + (10 / 20) ** 2)
print(f"the mouth's share: {2.5**2 / raw:.0%} in raw units, {(2.5 / 5)**2 / normalised:.0%} normalised")

groups = {"lips and face": slice(0, 17), "rotation": slice(17, 20), "translation": slice(20, 23)}
fig, ax = plots.new(width=7, height=1.9)
for y, values in enumerate((Z, Z / G.scale)):
    spread, left = values.var(0), 0.0
    for (name, part), colour in zip(groups.items(), plots.SAMPLES):
        share = (spread[part].sum() / spread.sum()).item()
        ax.barh(y, share, left=left, color=colour, label=name if y == 0 else None)
        left += share
ax.set(yticks=[0, 1], yticklabels=["raw", "normalised"], xlabel="share of the clip's variance: what $D_Z$ is paid for")
ax.legend(fontsize=8, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1))
plots.show(fig, alt="Two stacked bars. In raw units translation takes nearly all of the variance of the clip's "
           "attributes; normalised, lips and face have a good share.")

# %% [markdown] tags=["slide"]
# In raw millimetres the network is paid for translation, and wrong lips cost next to nothing. So attributes are
# normalised first; the paper does not say whether its are.
#
# ### Exercise 1: the attribute loss
# Write the second half of Eq. 10 in NumPy: what $D_Z$ read off, `z_hat`, and what was asked, `z`, both (B, 23) in raw
# units, and `scale` (23,), what each attribute usually spans.

# %%
def attribute_loss(z_hat, z, scale):
    """the squared 2-norm of the normalised error, mean over the batch"""
    # BEGIN SOLUTION
    return (((z_hat - z) / scale) ** 2).sum(axis=1).mean()
    # END SOLUTION


checks.attribute_loss(attribute_loss)

# %% [markdown]
# <details><summary>Hint 1</summary>Divide before you square.</details>
# <details><summary>Hint 2</summary>A squared 2-norm sums over the 23 attributes; the expectation averages the batch.</details>
#
# {{SOLUTION}}
#
# ## Who says that a picture is real?
# A second network, the discriminator $D_I$. It scores patches of real and generated pictures, and $G$ tries to score like
# a real one. The paper uses least squares (LSGAN) and prints
#
# $$\mathcal L_{adv} = \tfrac12\mathbb E\big(D_I(I_{tgt})^2\big) + \tfrac12\mathbb E\big((1 - D_I(\hat I_{tgt}))^2\big)
# \qquad \text{(Eq. 8)}$$
#
# **Read it as $D_I$ does.** Real pictures go to 0, generated ones to 1. Now read it as $G$ does in Eq. 7, where $G$
# makes the sum small too: its pictures shall score 1, the label for *generated*. So both pull the same way, and $G$
# learns nothing, or worse. Standard LSGAN has the labels the other way round: real 1, generated 0, and $G$ wants 1.
#
# **By hand.** The real picture is the number 3, $G$ paints 0, $D_I$ is a straight line. Standard: the line from 1 at 3
# to 0 at 0, $D(x) = x/3$.

# %%
x = torch.zeros(1, requires_grad=True)  # what G painted
with torch.enable_grad():
    standard, = torch.autograd.grad(0.5 * (x / 3 - 1).square().sum(), x)  # D(x) = x / 3
    printed, = torch.autograd.grad(0.5 * (1 - (1 - x / 3)).square().sum(), x)  # D(x) = 1 - x / 3, labels as printed
    torch.testing.assert_close(losses.lsgan_generator(x / 3), 0.5 * (x / 3 - 1).square().mean())
print(f"G moves by minus the gradient: standard {0 - standard.item():+.2f}, as printed {0 - printed.item():+.2f}")


def play(real_label, fake_label, rounds=150):
    """D answers each round with its best line (least squares), then G takes one small step to D = 1."""
    noise, place, seen = torch.Generator().manual_seed(0), 0.0, []
    for _ in range(rounds):
        real, fake = (m + 0.5 * torch.randn(64, generator=noise) for m in (3.0, place))
        inputs = torch.stack([torch.cat([real, fake]), torch.ones(128)], dim=1)  # (128, 2)
        labels = torch.cat([torch.full((64,), real_label), torch.full((64,), fake_label)])
        a, b = torch.linalg.lstsq(inputs, labels[:, None]).solution[:, 0].tolist()  # D(x) = a x + b
        place -= 1.0 * ((a * fake + b - 1) * a).mean().item()  # the gradient of 1/2 (D(fake) - 1)^2
        seen.append(place)
    return seen


games = {"standard: real 1, generated 0": play(1.0, 0.0), "as Eq. 8 prints: real 0, generated 1": play(0.0, 1.0)}

# %% tags=["slide-output"]
fig, ax = plots.new(height=2.5)
ax.axhline(3, color=plots.COLOURS["Y"], lw=3, alpha=0.3, label="where real pictures are")
for (name, seen), dash, colour in zip(games.items(), plots.DASHES, plots.SAMPLES):
    ax.plot(seen, linestyle=dash, color=colour, label=name)
ax.set(xlabel="round", ylabel="where G paints")
ax.legend(fontsize=8)
plots.show(fig, alt="Where G paints over 150 rounds: with standard labels it climbs to 3, where real pictures are; "
           "with the printed labels it drifts away from them.")
good, bad = games.values()
print("standard labels reach the real pictures:", abs(good[-1] - 3) < 0.5)
print("printed labels lead away from them:", bad[-1] < 0)
real, fake = torch.tensor([0.9, 0.7]), torch.tensor([0.2, 0.4])
torch.testing.assert_close(losses.lsgan_discriminator(real, fake),
                           0.5 * ((real - 1) ** 2).mean() + 0.5 * (fake**2).mean())

# %% [markdown] tags=["slide"]
# The same formula, the same step for $G$; only the labels of $D$ differ.
#
# ## Exercise 2: what the discriminator minimises
# Write `discriminator_loss(D, real, fake)`. `D` is a function from pictures to scores. Real scores go to 1, generated
# ones to 0, each half with a factor ½. This loss must not teach $G$: its gradient may not reach `fake`.

# %% tags=["slide"]
def discriminator_loss(D, real, fake):
    """LSGAN for D; no gradient reaches fake"""
    # BEGIN SOLUTION
    return 0.5 * (D(real) - 1).square().mean() + 0.5 * D(fake.detach()).square().mean()
    # END SOLUTION


checks.discriminator_loss(discriminator_loss)

# %% [markdown]
# <details><summary>Hint 1</summary>Two terms, each the mean of a square: the score's distance to its label.</details>
# <details><summary>Hint 2</summary>`fake` was made by G. A tensor that forgets where it came from is `fake.detach()`.</details>
# <details><summary>Hint 3</summary>Detach before D sees it. Around D(fake) it would stop D from learning too.</details>
#
# {{SOLUTION}}
#
# ## Exercise 3: what the generator minimises
# Write `generator_loss(D, fake)`: G wants its pictures to score 1. Here the gradient must pass through `D` into `fake`.

# %%
def generator_loss(D, fake):
    """LSGAN for G; the gradient goes through D into fake"""
    # BEGIN SOLUTION
    return 0.5 * (D(fake) - 1).square().mean()
    # END SOLUTION


checks.generator_loss(generator_loss)

# %% [markdown]
# <details><summary>Hint 1</summary>One term. Which label does D give to real pictures?</details>
# <details><summary>Hint 2</summary>Nothing is detached: D's own gradients are dropped before its next step.</details>
# <details><summary>Hint 3</summary>Half of the mean of (score - 1) squared.</details>
#
# {{SOLUTION}}
#
# ## What does each loss ask for?
# You train a small discriminator alone for some seconds: real frames against the generator's, at 64 px. Then you ask
# each loss which pixels of one generated picture it would change. That is its gradient.

# %%
small, known = F.avg_pool2d(frames, 2)[1::2], Z[1::2]  # (T / 2, 3, 64, 64); frame 17 is among them
fakes = F.avg_pool2d(torch.cat([G.render(G.encode(frames[:1], Z[:1]), z) for z in known.split(16)]), 2)
torch.manual_seed(0)
D, noise = Discriminator(64), torch.Generator().manual_seed(0)
optimizer = torch.optim.AdamW(D.parameters(), 1e-3)
with torch.enable_grad():
    for _ in range(60):
        i = torch.randint(len(small), (8,), generator=noise)
        (real, z_real), (fake, _) = D(small[i]), D(fakes[i])
        loss = losses.lsgan_discriminator(real, fake) + losses.attribute(None, z_real, known[i] / G.scale) / 23
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
print("D scores real frames higher:", (D(small)[0].mean() > D(fakes)[0].mean()).item())

# %%
made = fakes[8:9].clone().requires_grad_()  # frame 17
target, z = small[8:9], known[8:9] / G.scale
with torch.enable_grad():
    scores, z_made = D(made)
    rec = losses.perceptual(phi.features(target), phi.features(made))
    adv, attr = losses.lsgan_generator(scores), losses.attribute(None, z_made, z)
    asked = {"pixels": (made - target).abs().mean(), "perceptual (Eq. 9)": rec, "adversarial (Eq. 8)": adv,
             "attribute (Eq. 10)": attr}
    slopes = {name: torch.autograd.grad(loss, made, retain_graph=True)[0] for name, loss in asked.items()}
fig, axes = plots.new(1, 5, width=8, height=1.8)
face(axes[0], made.detach(), "generated")
for ax, (name, slope) in zip(axes[1:], slopes.items()):
    strength = F.avg_pool2d(slope, 4)[0].abs().sum(0)  # (16, 16), the push on each patch of 4 x 4 pixels
    face(ax, strength, name)
fig.photo = False
plots.show(fig, alt="A generated face and four maps of how strongly each loss would change its pixels: each asks "
           "in places of its own.")
ours = losses.Lambdas()
total = losses.generator_objective(adv, rec, attr, ours)
torch.testing.assert_close(total, ours.adv * adv + ours.rec * rec + ours.attr * attr)
print("Eq. 7 is the weighted sum of Eq. 8, 9 and 10: equal")

# %% [markdown]
# $$\mathcal L = \mathcal L_{adv} + \lambda_{rec}\mathcal L_{rec} + \lambda_{attr}\mathcal L_{attr}
# \qquad \text{(Eq. 7)}$$
#
# The paper gives no weights; ours stand in `losses.Lambdas`, and `--weight adv=0` switches a term off. What training needs
# besides is ours: a plain pixel loss on the picture and on its painted layer alone (`losses.layered`; without the second
# part $G$ copies the warped source everywhere before it can paint, and never learns the inside of a mouth), a
# discriminator that joins after 60 % of the way, and two terms for the keypoints. By hand: of three points on a line, two
# are nearer than $\sqrt{0.1}$; and points that move as the picture does cost nothing.

# %%
points = torch.tensor([[[0.0, 0, 0], [0.1, 0, 0], [1, 0, 0]]])
print("spread:", round(float(losses.keypoint_spread(points)), 3), "=", round((0.1 - 0.1**2) / 3, 3))
turn = examples.random_turns(1, torch.Generator().manual_seed(0))  # (1, 2, 3): place p shows what was at A p + b
there = (points[..., :2] - turn[:, :, 2]) @ torch.linalg.inv(turn[:, :, :2]).transpose(1, 2)
print("equivariance of points that move along:", round(float(losses.equivariance(points, there, turn)), 6))
print("and of points that stay where they were:", bool(losses.equivariance(points, points, turn) > 0.05))

# %% [markdown]
#
# ## Train one, now
# `MINUTES` is yours to change. Eight actors, 40 random faces each, at 64 px. Three other actors, whom this network never
# sees, are the test. The run first stops half-way, with weights of its own, and then goes on from its checkpoint. One
# thread is used: two are faster on a free machine and much slower on a busy one. The curve of your run stands beside a
# stored one of three minutes on all training actors (`dirfa-edu train generator --preset notebook --minutes 3`), and
# beside the shipped network's at 128 px (`data_samples/models/generator.md`).

# %% tags=["nbval-ignore-output"]
MINUTES = 0.7
recipe = replace(training.GENERATOR_RECIPES["notebook"], minutes=MINUTES, batch=4, every=50)
half = replace(recipe, minutes=MINUTES / 2)
seen = corpus.select(split="train", kind="probe", rendered=True)[:8]
torch.manual_seed(0)
before = GenerationNetwork(recipe.config).eval()
with torch.enable_grad(), tempfile.TemporaryDirectory() as folder:
    where = {"validation": unseen[:3], "checkpoint": Path(folder) / "mine.checkpoint", "progress": False}
    half_way, _ = training.train_generator(seen, half, **where)
    mine, log = training.train_generator(seen, recipe, **where)  # goes on from the checkpoint
print(f"{log[-1]['step']} steps, {log[-1]['psnr']} dB, {log[-1]['gain']:+} dB against copying the source")

stored = {name: json.loads(data_path("models", f"{name}.log.json").read_text()) for name in ("generator_64", "generator")}
runs = [(0, log, "yours"), (0, stored["generator_64"], "3 minutes, stored"), (1, stored["generator"], "shipped")]
fig, axes = plots.new(1, 2, width=8.5, height=2.3, sharey=True)
for (panel, run, label), dash, colour in zip(runs, plots.DASHES, plots.SAMPLES):
    seconds = np.array([row["seconds"] for row in run])
    axes[panel].plot(seconds / (60 if panel else 1), [row["gain"] for row in run], linestyle=dash, color=colour, label=label)
for ax, title, unit in zip(axes, ["64 px", "128 px"], ["seconds", "minutes"]):
    ax.axhline(0, color="grey", lw=0.8)
    ax.set(title=title, xlabel=unit, ylabel="gain over copying (dB)")
    ax.legend(fontsize=8)
plots.show(fig, alt="Gain in dB over copying the source: left your run and a stored one of three minutes over seconds, "
           "both rise from below zero; right the shipped network's over minutes.")

# %%
small_test = [examples.read_footage(c, 64) for c in unseen[1:3]]
rows = {"source": [], "truth": [], "before": [], "half-way": [], "after": []}
for pictures, z, _ in small_test:
    source, chosen = pictures[:1] / 255, [21]
    rows["source"].append(source)
    rows["truth"].append(pictures[chosen] / 255)
    for name, trained in (("before", before), ("half-way", half_way), ("after", mine)):
        rows[name].append(trained(source, z[chosen], z[:1]))
fig, axes = plots.new(2, 5, width=4.6, height=2)
for column_, (name, images) in zip(axes.T, rows.items()):
    for ax, image in zip(column_, images):
        face(ax, image, name if ax is column_[0] else "")
plots.show(fig, alt="Two unseen actors, one per row: source, truth, and the network's output untrained, a pale blur, "
           "half-way, a soft face, and after training, when the face is back and turned.")
gains = [training.generator_gain(network, small_test)["psnr"] for network in (before, mine)]
print("training brought unseen actors nearer to the truth:", gains[1] > gains[0])

# %% [markdown]
# Less than a minute brings the face back and turns it a little; mouths and eyelids come later, and sharp hair last.
#
# **Health figure.** Copying the source is a generator, too: its mouth never moves, and in a calm clip its PSNR is high.
# So the figure to watch is the *gain* over copying. On random faces of actors the shipped network has never seen:

# %%
gains = {c.actor: training.generator_gain(G, [pair])["gain"] for c, pair in zip(unseen, test)}
fig, ax = plots.new(width=6, height=1.9)
ax.bar(list(gains), gains.values(), color=plots.COLOURS["y_hat"])
ax.axhline(0, color="black", lw=0.8)
ax.set(ylabel="gain (dB)", title="shipped network, random faces of unseen actors")
plots.show(fig, alt="Bars of the gain in dB over copying the source for the six unseen actors, all above zero.")
print("better than copying the source for every unseen actor:", min(gains.values()) > 0)

# %% [markdown]
# ## Play with it
# All 23 attributes of the shipped network, with the actor itself beside it. Its actor and pose sliders are those of
# chapter 01. Look at the teeth, at the edge of the hair when the head turns, and at what happens when two Action Units meet.
# The presets are buttons; Tab and the arrow keys do all of it as well.

# %% tags=["nbval-ignore-output"]
puppet.Puppet("iris", generated=True).show()

# %% [markdown]
# ## Failure gallery
# **Predict 2.** Match each slip with its picture before you read the titles: degrees given as radians; the sign of yaw
# turned; AU25 three times its maximum; a source with an open mouth, declared neutral; the flow set to zero.

# %% tags=["slide-output"]
ask = torch.zeros(1, 23)
ask[0, [column("AU25"), column("pose_Ry")]] = torch.tensor([2.5, 0.25])
neutral = G.encode(frames[:1], Z[:1])
degrees, mirrored, extreme = ask.clone(), ask.clone(), ask.clone()
degrees[0, 17:20] *= 180 / np.pi
mirrored[0, column("pose_Ry")] *= -1
extreme[0, column("AU25")] = 15
frozen = deepcopy(G)
frozen.motion = lambda source, z: {**(found := G.motion(source, z)), "flow": 0 * found["flow"]}
gallery = {"as asked": G.render(neutral, ask), "degrees": G.render(neutral, degrees), "sign of yaw": G.render(neutral, mirrored),
           "AU25 = 15": G.render(neutral, extreme), "open source": G.render(G.encode(I_tgt), ask),
           "no flow": frozen.render(neutral, ask)}
truth = torch.from_numpy(Actor(clip.actor).render(ask[0].numpy())).permute(2, 0, 1)[None] / 255
fig, axes = plots.new(1, 7, width=8.4, height=1.45)
for ax, (name, image) in zip(axes, {"truth": truth, **gallery}.items()):
    face(ax, image, name)
plots.show(fig, alt="Seven faces for the same order, an open mouth and a turned head: truth, the generator, and five "
           "slips, from a lost face for degrees to a still head without flow.")
far = metrics.psnr(gallery["degrees"], gallery["as asked"])
print("degrees instead of radians spoil the picture:", far < 25)

# %% [markdown]
# Degrees destroy the face: 0.25 rad becomes 14 rad, more than two full turns. A turned sign looks fine on its own, which
# makes it the dangerous one: only the truth beside it tells. AU25 = 15 means nothing, and the network does not say so. A
# source that is not neutral must come with its own attributes, `encode(source, attributes)`, or its mouth opens twice.
# Without flow the decoder still paints the mouth, and the head stays where it was.

# %% [markdown]
# ## A second gallery: what does each term earn?
# The small generator was trained nine times (`tools/ablate_generator.py`): 2000 steps each on all training actors, with all
# terms, with one switched off, and with two slips, Eq. 10 in raw millimetres and Eq. 8 as it is printed. All nine meet the
# same unseen actors. *Detail* is the energy of what is finer than five pixels, as a share of the truth's.
#
# **Predict 3.** Which run has the highest PSNR? And which the least detail?

# %%
stored = json.loads(data_path("results", "generator_ablation.json").read_text())["runs"]
strip = np.asarray(Image.open(data_path("pictures", "generator_ablation.png")))[64:]  # a column of faces for each run
fig, ax = plots.new(width=8.4, height=2.2)
ax.imshow(strip, interpolation="lanczos")
names = ["source", "truth", *stored]
ax.set_xticks(32 + 64 * np.arange(len(names)), [name.replace(" in ", "\nin ").replace(" ", "\n", 1) for name in names], fontsize=7)
ax.set(yticks=[])
fig.photo = True
plots.show(fig, alt="Two unseen actors, one per row; columns: source, truth, and what each of the nine small networks "
           "makes of them.")
for name, row in stored.items():
    print(f"{name:26s} gain {row['PSNR, gain']:+5.2f} dB  detail: eyes {row['detail of eyes, ratio to truth']:.2f} "
          f"hair {row['detail of hair, ratio to truth']:.2f}  r of AU25 {row['r of AU25 alone']:.2f}")

# %% [markdown]
# At this scale the faces look alike, and the figures tell the runs apart. The adversarial term costs a little PSNR and buys
# detail. With the labels of Eq. 8 as printed there is *less* detail than without any adversarial term: $G$ is paid for
# looking generated. In raw millimetres hardly any of Eq. 10 is about lips, and they stop following AU25. Without pixels the
# picture is sharper and the mouth opens sooner, at the price of PSNR. Switching off the perceptual term changes little
# here: in 2000 steps pixels teach nearly all. This is one seed; chapter 06 says what that is worth.

# %% [markdown] tags=["slide"]
# ## Recap
# * Two random frames of one clip are a training pair: same person, other attributes (Eq. 6).
# * The pose turns keypoints by geometry; Action Units add what is learned; a mask turns keypoints into flow; occlusion
#   says where to paint.
# * A source is encoded once; every frame after that is cheap.
# * Adversarial, reconstruction and attribute loss each ask for other pixels (Eq. 7-10). Labels of Eq. 8: real 1.
# * Attributes are normalised before Eq. 10. D's loss sees `fake.detach()`.
# * Watch the gain over copying the source, on actors that were not trained on.
#
# ### What the toy does not show
# The actors are rendered: one light each, no hands, no glasses, no camera noise. Their attributes are exact; OpenFace's
# are not. Real hair, teeth and wrinkles need more capacity and far more people. In the toy game $D$ always answers with its
# best line; real ones lag behind, and then training can swing. Eq. 8 as printed may be read with a maximum over $D$ in
# mind, as other papers print it; we show what the formula does when both minimise, as Eq. 7 says.
#
# ## Quiz
# 1. Why must source and target come from one clip?
# 2. A flow is stored in units of -1 to 1. What does that buy?
# 3. What can the network not take from the source when a mouth opens, and which map says so?
# 4. Your generator has 30 dB on calm speech. Is it good?
# 5. You forgot `detach()` in D's loss and use one backward pass for both. What does G learn?
#
# <details><summary>Answers</summary>
#
# 1. The attributes name no person. From another clip, G would have to guess who the target is.
# 2. One flow fits every resolution: features at 1/8 and pixels at full size.
# 3. Teeth and the inside of the mouth. The occlusion map is dark there: the decoder paints.
# 4. Not by itself. Copying the source may reach as much on a calm clip. Ask for the gain.
# 5. D's loss wants G's pictures to score 0. Its gradient pulls G towards what D calls generated, against G's own loss.
# </details>
#
# **Next:** [chapter 6](06_evaluation.ipynb) asks how good all this is, and how far a number may be trusted.
