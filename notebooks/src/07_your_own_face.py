# %% [markdown] tags=["slide"]
# # 7 Your own face
#
# Until now actors did the talking. Here you bring a clip of yourself, or of somebody who said yes, and follow it through
# the whole pipeline. In this chapter **you will be able to**
#
# 1. measure 23 attributes on a video, and say which of them to trust (*sections 1 and 2; Predict 1*),
# 2. make pose relative, so that your camera's place does not matter (*Exercise 1*),
# 3. read and write OpenFace files with failed frames and another frame rate (*Predict 2, Exercise 2*),
# 4. make your own portrait speak, and pin attributes: what the paper names as future work (*section 4, Exercise 3*),
# 5. argue about consent, misuse and detection with an experiment in hand (*last section*).
#
# * Reading time: 40 minutes. Running time on two cores: {{RUN_TIME}}.
# * Prerequisites: chapters 00 and 01. Paper: sections 3.2.1, 3.3 (Eq. 6), 4.1, 4.5.

# %% [markdown] tags=["slide"]
# ## Before you begin: consent
# A face is personal data. Film yourself, or ask first: say what you will make, who will see it, when you will delete
# it. Do not use a clip "from the web", a child, a colleague who did not hear the question, or a public figure. Nothing in
# this notebook leaves your computer. The package writes a note into every film it makes that says it is synthetic.
#
# ## Set-up
# Without a clip of yours, leave `MY_VIDEO = None`: the actor of our five-second clip stands in for you, a digital face
# with a synthetic voice, moved by a known law. Nobody was filmed for it. With a clip of yours: ten
# seconds, one face, from the front, light from the front, head and shoulders. Then run everything again; some printed
# claims may turn out otherwise for you, and that is worth a look.

# %%
import logging

import numpy as np
import torch

from dirfa_edu import (
    ATTRIBUTES, CHAPTER_CLIP, FPS, POSE, Actor, Control, Corpus, animation, column, examples,
    generate, load_pretrained, metrics, plots, talk, training, video,
)
from dirfa_edu.course import checks, explorers
from dirfa_edu.faces import vision
from dirfa_edu.files import InputError

torch.set_num_threads(1)
logging.disable(logging.INFO)  # the trainer greets on stderr
MY_VIDEO = None  # for example "me.mp4"
corpus = Corpus("samples")
clip, FRAME = corpus[CHAPTER_CLIP], 17
source = MY_VIDEO or clip.video
frames, fps, wave = video.read_mp4(source)
print(len(frames), "frames of", frames.shape[1:], "at", round(fps), "a second")

# %% [markdown]
# ## 1 See: where is the face?
# Two small networks of Google's MediaPipe do the looking. One finds the face, the other puts 468 points on it, in every
# frame. The next frame is searched where the last face was. The middle picture is frame 17, the vowel of *map*, for the last
# time in this course.

# %% tags=["slide-output"]
L = vision.landmarks(frames)                                            # (frames, 468, 3) pixels
lips, eyes = [13, 14, 61, 291], [159, 145, 386, 374]
fig, axes = plots.new(1, 3, width=7.2, height=2.5)
for ax, t in zip(axes, (FRAME - 4, FRAME, FRAME + 5)):
    ax.imshow(frames[t])
    ax.plot(*L[t, :, :2].T, ".", ms=1.2, color="white")
    ax.plot(*L[t, lips, :2].T, "o", ms=3, color=plots.COLOURS["y_hat"])
    ax.plot(*L[t, eyes, :2].T, "s", ms=3, color=plots.COLOURS["M"])
    ax.set_title(f"frame {t}", fontsize=9)
    ax.axis("off")
fig.photo = True
plots.show(fig, alt="Three frames with 468 face points; lip points marked orange, eyelid points blue.")

# %%
found = np.isfinite(L[:, 0, 0])
print("points per face:", L.shape[1], " a face in every frame:", bool(found.all()))

# %% [markdown]
# ## 2 Measure: from points to 23 numbers
# How open is the mouth? Measure the gap between the inner lips (points 13 and 14), and divide by the distance of the eyes,
# so that it does not matter how near you sit.

# %%
def distance(a, b):
    return np.linalg.norm(L[:, a] - L[:, b], axis=1)                    # (frames,)


gap = distance(13, 14) / distance(33, 263)
truth = clip.truth()["clean"]                                           # (T, 23): the actor's exact motion
by_hand = np.corrcoef(gap, truth[:, column("AU25")])[0, 1] if MY_VIDEO is None else 1
print("the gap follows the true AU25:", bool(by_hand > 0.7))

# %% [markdown]
# The package does this for all attributes: distances for the Action Units, and for the pose the rotation that brings a
# standard face onto your points. On a digital actor the truth is known, so every attribute can be graded.
#
# **Predict 1.** Which will be measured best: lips apart (AU25), nose wrinkle (AU09), blink (AU45), dimple (AU14), yaw?

# %%
mine = vision.extract(source)
Y = mine["animation"]                                                   # (T, 23), relative pose
shown = ("AU25", "AU04", "AU45", "pose_Ry")
fig = plots.samples_over_time(Y[None], None if MY_VIDEO else truth, shown, "measured on the film, and the truth", ["measured"])
plots.show(fig, alt="Measured and true curves over five seconds: lips, blink and yaw lie close, the brow is rough.")

# %% tags=["slide-output"]
graded = np.array([j for j in range(23) if truth[:, j].std() > 0.05 * metrics.UNITS[j]])   # those that move
r = np.array([np.corrcoef(Y[:len(truth), j], truth[:len(Y), j])[0, 1] for j in graded])
order = np.argsort(r)
fig, ax = plots.new(width=7.5, height=2.6)
ax.bar(np.arange(len(r)), r[order], color=np.where(r[order] > 0.7, plots.COLOURS["A"], plots.SAMPLES[4]))
ax.axhline(0.7, color="black", lw=0.7, ls="--")
ax.set_xticks(np.arange(len(r)), [ATTRIBUTES[graded[j]] for j in order], rotation=60, fontsize=8)
ax.set(ylabel="correlation with the truth")
plots.show(fig, alt="Bars of correlation per attribute: "
           f"{', '.join(ATTRIBUTES[graded[j]] for j in order[::-1][:6])} are measured best.")

# %%
score = {ATTRIBUTES[j]: value for j, value in zip(graded, r)}
strong = [score[name] for name in ("AU25", "AU26", "AU45", "pose_Rx", "pose_Ry", "pose_Rz") if name in score]
weak = [score[name] for name in ("AU09", "AU14", "AU15") if name in score]
print("to be trusted here, lips apart, jaw, blink and rotation:", bool(np.min(strong) > 0.6))
print("not one of AU09, AU14, AU15 is measured as well:", bool(np.max(weak, initial=-1) < np.min(strong)))
print("blinks a second within what humans do:", 0.1 < metrics.ebr(Y[:, column("AU45")]) < 1.5)

# %% [markdown] tags=["slide"]
# So these numbers are *OpenFace-like*, not OpenFace's: trust pose, AU25, AU26 and AU45, be careful with brows and smile, and
# do not build on AU09, AU14, AU15. If you have OpenFace, feed its CSV (section 3) instead.
#
# ### Exercise 1: relative pose
# OpenFace says where your head is in the camera's world: half a metre away, a little left, looking up. None of that
# belongs into the animation. Write `relative_pose(Y)`: from each of the last six columns take off its median over time;
# leave the 17 Action Units as they are.

# %% tags=["slide"]
def relative_pose(Y):
    """(T, 23) -> (T, 23) with pose relative to the clip's neutral"""
    # BEGIN SOLUTION
    Y = Y.copy()
    Y[:, 17:] -= np.median(Y[:, 17:], axis=0)
    return Y
    # END SOLUTION


checks.relative_pose(relative_pose)

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# `Y[:, 17:]` are the six pose columns; `np.median(..., axis=0)` gives one number per column.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Why the median? Look aside for a second in ten: the mean moves, the median stays.
#
# </details>
# <details><summary>Hint 3</summary>
#
# Copy `Y` first, or you change the caller's array.
#
# </details>
#
# {{SOLUTION}}

# %%
animation.write_openface("out/me.csv", Y, offset=mine["pose_offset"])   # as OpenFace writes: absolute
absolute, relative = animation.read_openface("out/me.csv", absolute=True), animation.read_openface("out/me.csv")
print("the file holds the distance to the camera:", bool(absolute[:, column("pose_Tz")].min() > 100))
print("relative pose has median 0:", bool(np.abs(np.median(relative[:, POSE], axis=0)).max() < 1e-3))
print("both say the same about Action Units:", bool((absolute[:, :17] == relative[:, :17]).all()))

# %% [markdown] tags=["slide"]
# ## 3 Files from OpenFace, with all their habits
# Real files have spaces in the header, frames where tracking failed (`success` 0), and often 30 frames a second. The
# reader fills failed frames from their neighbours, brings everything to 25 a second, and says so.
#
# **Predict 2.** Somebody reads a 30-fps file as if it were 25 fps. After five seconds of speech, how late is the mouth?

# %%
import warnings

lines = open("out/me.csv").read().splitlines()
header = lines[0].replace(",", ", ").split(",")
rows = [line.split(",") for line in lines[1:]]
for t in range(40, 45):                                                 # tracking fails for five frames
    rows[t][3], rows[t][header.index(" AU25_r")] = "0", "5.00"
for t, row in enumerate(rows):
    row[1] = f"{t / 30:.3f}"                                            # the camera ran at 30 fps
with open("out/habits.csv", "w") as file:
    file.write("\n".join(",".join(row) for row in [header, *rows]))
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    read = animation.read_openface("out/habits.csv")
print("the reader says:", *(each.message for each in said))
print(len(rows), "frames at 30 fps are", round(len(rows) / 30, 1), "s; read as", len(read), "frames at 25 fps")
print("the failed frames do not show:", bool(read[30:40, column("AU25")].max() < 4.9))
print("read as 25 fps the last frame comes late by", round(len(rows) / 25 - len(rows) / 30, 1), "s")

# %% [markdown]
# Almost a second: enough to ruin a training set. $S_{off}$ in chapter 06 would show it.
#
# ### Exercise 2: from your camera's clock to 25 frames a second
# Frame $n$ of a camera with `fps` frames a second stands for its middle, the time $(n + ½)/$fps. Write `to_25_fps(values,
# fps)`: what the track is worth at the middles of the 25-fps frames, on the line between its own.

# %%
def to_25_fps(values, fps):
    """a track (n,) at fps frames a second -> the same seconds at 25, round(n * 25 / fps) frames"""
    # BEGIN SOLUTION
    T = round(len(values) * 25 / fps)
    return np.interp((np.arange(T) + 0.5) / 25, (np.arange(len(values)) + 0.5) / fps, values)
    # END SOLUTION


checks.to_25_fps(to_25_fps)

# %% [markdown]
# <details><summary>Hint 1</summary>Two lists of times in seconds: where you have values, and where you want them.</details>
# <details><summary>Hint 2</summary>Both are middles: add a half before you divide by the rate.</details>
# <details><summary>Hint 3</summary>np.interp(wanted, had, values).</details>
#
# {{SOLUTION}}
#
# A whole folder of such files is a corpus: CSV and film (or sound) with the same name beside each other. The folders of
# VoxCeleb2 and LRW, which the paper uses and nobody may pass on, are known by their shape too.

# %%
import shutil
from pathlib import Path

Path("out/folder").mkdir(parents=True, exist_ok=True)
shutil.copy("out/me.csv", "out/folder/me.csv")
shutil.copy(source, "out/folder/me.mp4")
my_corpus = Corpus("out/folder")
print("clips found:", [each.name for each in my_corpus.clips])
print("features and animation fit:", abs(len(my_corpus["me"].features()) - len(my_corpus["me"].animation())) <= 1)

# %% [markdown]
# ## 4 Make the portrait speak
# $\hat{I}_{tgt} = G(I_{src}, Z_{tgt})$ (Eq. 6): $I_{src}$ is the calmest frame of your clip, $Z$ comes from a voice that is
# not yours: a human voice this time, a reading of Jane Austen from LibriVox, in the public domain and kept out of training.

# %%
mapper, generator = load_pretrained("mapper"), load_pretrained("generator")
speech = corpus["austen_0880"]
A = speech.features()
samples = generate(mapper, A, samples=2, seed=2)                        # (2, T, 23)
face = mine["frames"][np.abs(Y[:, :17]).sum(1).argmin()]                # the calmest frame
print(speech.name, "says:", speech.text.strip())
print("a real voice:", speech.kind == "real", "| heard in training:", speech.split == "train")

# %% tags=["slide-output"]
film = np.stack(list(talk.render_frames(generator, face, samples[0])))
times = talk.strip_times(len(film), 9)
fig = plots.film_strip_figure([film[times]], ["your portrait"], [t / FPS for t in times])
plots.show(fig, alt="Nine frames of the portrait speaking the LibriVox sentence: the mouth opens and closes with it.")
video.write_mp4("out/my_portrait.mp4", film, speech.wave())
plots.play("out/my_portrait.mp4", "your portrait, another voice (synthetic)")

# %% [markdown]
# ### Teach the generator your face
# It has never seen this face: the actor is of the test split, as you would be. **Question.** How much is there to win?
# Cut the film: four fifths to learn from, the last fifth to be judged by. Before training, the attributes that FaceMesh
# reads off small pictures are another language than the exact ones the generator grew up with, and it may well do worse
# than a copy of the first frame. Some steps on your own film, here live and short, teach it both face and language.

# %%
MINUTES = 0.5                                                           # `--finetune` takes ten
learned, held_back = examples.one_person(source, generator.config.size)
recipe = training.GeneratorRecipe(minutes=MINUTES, lr=1e-4)
tuned, log = training.train_generator([learned], recipe, start=generator, progress=False)
rest = examples.read_footage(held_back, generator.config.size)
before, after = (training.generator_gain(each, [rest])["psnr"] for each in (generator, tuned))
print("frames to learn from are four times those held back:", round(len(learned.frames()) / len(held_back.frames())) == 4)
print("PSNR on the last fifth is better after a minute or less:", bool(after > before))

# %%
film, Z = held_back.frames(), held_back.animation()
chosen = np.linspace(1, len(Z) - 1, 7).astype(int)
rows = [film[chosen], *(talk.render_film(each, film[0], Z, Z[0], chosen) for each in (generator, tuned))]
fig = plots.film_strip_figure(rows, ["the film", "before", "after"], [int(t) / FPS for t in chosen])
plots.show(fig, alt="Seven frames of the film that were held back; as the generator draws them before and after it was "
           "tuned: afterwards head and mouth stand where they stand in the film.")

# %% [markdown]
# The same for ten minutes, and a talking face from the result:
#
#     dirfa-edu train generator --finetune me.mp4 --out mine
#     dirfa-edu talk speech.wav --portrait me.png --generator mine/generator.safetensors
#
# ### Control
# The paper's last paragraph: user interaction "for controlling certain desired synthesized facial animations" is left
# open. Because the network feeds its own output back, control is short: overwrite an attribute **before** it is fed back,
# and the others can react.
#
# ### Exercise 3: pin a value
# A network in one number: $y_t$ = step($y_{t-1}$). Write `pinned_run(step, y0, T, pins)`: the run $y_1 \dots y_T$, where
# `pins` {t: value} overwrites $y_t$. By hand: step halves, $y_0 = 8$, and $y_2$ is pinned to 6: the run is 4, 6, 3, 1.5.

# %%
def pinned_run(step, y0, T, pins):
    """y_1 to y_T, with the pinned ones overwritten before they are fed back"""
    # BEGIN SOLUTION
    y, out = y0, []
    for t in range(1, T + 1):
        y = pins.get(t, step(y))
        out.append(y)
    return np.array(out)
    # END SOLUTION


checks.pinned_run(pinned_run)

# %% [markdown]
# <details><summary>Hint 1</summary>A loop over t from 1 to T that keeps the last y.</details>
# <details><summary>Hint 2</summary>If t is in pins, y is pins[t], whatever step says.</details>
# <details><summary>Hint 3</summary>Overwrite y first, then append it, then go on from it.</details>
#
# {{SOLUTION}}
#
# The package does this with 23 attributes and a network as step. Here a smile is pinned from 0.5 to 2.0 s.

# %% tags=["slide-output"]
control = Control(pins=[("AU12", 0.5, 2.0, 3.0), ("AU06", 0.5, 2.0, 2.0)])
smiling = generate(mapper, A, samples=1, seed=2, control=control)
fig = plots.samples_over_time(np.stack([samples[0], smiling[0]]), None, ("AU25", "AU12", "AU06", "pose_Ry"),
                              "free, and with a pinned smile", ["free", "pinned"])
plots.show(fig, alt="Two samples: in the second, AU12 and AU06 stand at 3 and 2 from 0.5 to 2 s; lips stay alike.")

# %%
print("the smile is where it was pinned:", bool(np.abs(smiling[0, 13:50, column("AU12")] - 3).max() < 0.02))
free = np.corrcoef(samples[0][:, column("AU25")], smiling[0][:, column("AU25")])[0, 1]
print("the lips still speak the same sentence:", bool(free > 0.5))
film = list(talk.render_frames(generator, face, np.stack([samples[0][30], smiling[0][30]])))
wanted = Actor(clip.actor).render(smiling[0][30], size=len(face))
fig = plots.film_strip_figure([np.stack([face, *film, wanted])], [], ["portrait", "free", "pinned", "wanted"], size=1.6)
plots.show(fig, alt="Portrait, the same moment free and with the pinned smile, and the smile as the actor's mesh has it.")

# %% [markdown]
# The last picture is what the actor's own mesh makes of the same 23 numbers. Compare the corners of the mouth: the mapping
# network obeys to the bin, the generation network underplays. An attribute error and a picture error are two things;
# chapter 06 measures them apart. Look at the curves after 2.0 s too: nobody holds the smile any more, and it goes on from
# its own past, as smiles do.
#
# All of it in one figure, which you met in the tour: choose *real Austen*, the voice of this chapter. Pin AU45, and the
# eyes close while the lips go on. Pin the yaw: which attributes do not care? Then look for the setting with the most
# convincing face, and make its film.

# %% tags=["nbval-ignore-output"]
explorers.conductor_explorer().show()

# %% [markdown]
# A cruder tool: multiply. Expression times 2 and pose times 0 is a passport photo with opinions.

# %% tags=["nbval-ignore-output"]
explorers.exaggerate_explorer().show()

# %%
gain = np.ones(23)
gain[POSE] = 0
print("pose times 0 holds the head still:", bool(metrics.jitter(samples[0] * gain)["pose"] == 0))
print("expression is untouched by it:", bool(((samples[0] * gain)[:, :17] == samples[0][:, :17]).all()))

# %% [markdown]
# ## Failure gallery
# **A portrait that is not neutral.** The generator takes the portrait for *all zeros*. Give it a picture with open lips or
# a turned head, and that becomes the zero: every later frame is too open, or turned.

# %%
worst = int((Y[:, column("AU25")] + 10 * np.abs(Y[:, column("pose_Ry")])).argmax())
rows = [np.stack([p, *talk.render_frames(generator, p, samples[0][::8])]) for p in (face, mine["frames"][worst])]
fig = plots.film_strip_figure(rows, ["calm portrait", "caught speaking"])
plots.show(fig, alt="Upper row from a calm portrait, lower row from one with open lips: the lower mouth never closes well.")

# %% [markdown]
# **Films that cannot be used** are refused with a sentence. Which of these four would a program without checks have
# accepted?

# %%
grey = np.full((10, 128, 128, 3), 90, np.uint8)
video.write_mp4("out/nobody.mp4", grey)
video.write_mp4("out/two.mp4", np.concatenate([frames[:10], frames[:10, :, ::-1]], axis=2))
Path("out/cut.mp4").write_bytes(Path(source).read_bytes()[:500])
for name in ("out/nobody.mp4", "out/two.mp4", "out/cut.mp4", "out/missing.mp4"):
    try:
        vision.extract(name)
    except InputError as error:
        print(name, "refused:", len(str(error)) > 20)

# %% [markdown]
# ## Consent, misuse, detection
# **Detection, by experiment.** Generated pictures are smoother than recorded ones. That gives a detector in three lines:
# measure how much fine detail a frame has.

# %%
def detail(pictures):
    """mean strength of differences between neighbouring pixels, (n, H, W, 3) -> (n,)"""
    grey = np.asarray(pictures, float).mean(-1)
    return np.abs(4 * grey[:, 1:-1, 1:-1] - grey[:, :-2, 1:-1] - grey[:, 2:, 1:-1] - grey[:, 1:-1, :-2]
                  - grey[:, 1:-1, 2:]).mean((1, 2))


real = mine["frames"][::5]
fake = np.stack(list(talk.render_frames(generator, face, Y[::5])))
line = (detail(real).mean() + detail(fake).mean()) / 2
print("recorded frames have more detail:", bool(detail(real).mean() > detail(fake).mean()))
print("the detector is right for most frames:", bool(np.r_[detail(real) > line, detail(fake) <= line].mean() > 0.7))

# %% [markdown]
# Now be the forger: sharpen the fakes until their detail equals that of the recording.

# %% tags=["slide-output"]
def sharpen(pictures, amount):
    x = pictures.astype(float)
    blurred = sum(np.roll(x, s, axis) for s in (-1, 0, 1) for axis in (1, 2)) / 6
    return (x + amount * (x - blurred)).clip(0, 255)


amounts = np.linspace(0, 6, 25)
best = min(amounts, key=lambda amount: abs(detail(sharpen(fake, amount)).mean() - detail(real).mean()))
caught = (detail(sharpen(fake, best)) <= line).mean()
fig, ax = plots.new(width=7, height=2.2)
for i, (name, values) in enumerate({"recorded": detail(real), "generated": detail(fake),
                                    "generated, sharpened": detail(sharpen(fake, best))}.items()):
    ax.plot(values, np.full(len(values), i), "os^"[i], color=plots.SAMPLES[i])
    ax.text(values.mean(), i + 0.25, name, fontsize=8, ha="center")
ax.axvline(line, color="black", lw=0.8, ls="--")
ax.set(xlabel="detail", yticks=[], ylim=(-0.5, 2.7))
plots.show(fig, alt="Detail of frames: recorded ones right of the line, generated ones left, sharpened ones right again.")
print("after sharpening the detector misses most fakes:", bool(caught < 0.5))

# %% [markdown] tags=["slide"]
# A detector that looks for one trace dies with one line of code against it. What lasts longer: provenance (signed
# recordings), notes that platforms keep, laws, and people who ask where a film comes from.
#
# **Misuse, concretely.** With this notebook and a stranger's photograph somebody could fake a confession, an endorsement, a
# video call. If it happens to you or to somebody you know: keep the evidence, report it to the platform and the police,
# and tell someone you trust. If you are asked to make it: you can say no.
#
# **Discuss.** (1) Your university wants lecturers' faces for automatic course videos, with consent in the contract. Is that
# consent? (2) Should this course refuse portraits of anybody but its actors? Whom would that stop? (3) Who should be able
# to switch off the note in the film, if anybody?

# %% [markdown] tags=["slide"]
# ## Recap
# A face becomes 468 points, points become 23 numbers, some of them good. Relative pose takes the camera out. A CSV has
# habits. Your calmest frame is the portrait; another voice moves it, and single attributes can be pinned.
#
# **What this toy does not show.** The stand-in for your face is a digital actor, on whom the truth is known; on real people
# nobody knows it, and the same measures are worse (glasses, beards, side light). The generator learned from actors only:
# your own face will come out blurred, and less like you than an actor's like herself.
#
# ## Quiz
# 1. Why is pose stored relative to the median, and when would that be wrong?
# 2. Which attributes would you leave out, had you only this measuring tool to train on?
# 3. Why must a pinned value be overwritten *before* it is fed back?
# 4. Name one trace of a fake that a single line of code removes, and one that it does not.
#
# <details><summary>Answers</summary>
#
# 1. The camera's place is not expression. Wrong where somebody looks aside for more than half of the clip.
# 2. Those below the dashed line in section 2: AU09, AU14, AU15 above all.
# 3. Otherwise the network goes on from a past that is not shown, and the others cannot react to the smile.
# 4. Smoothness goes by sharpening. A signature of the camera cannot be added afterwards.
#
# </details>
#
# **Next:** that was the last chapter. Change something: another mask, another $D$, your own corpus. `dirfa-edu train
# mapper` is where it starts.
