"""The paper ledger: every equation, figure, table, number and claim of DIRFA has a row.

A row says where the thing is taught, coded and tested, and what became of it here.

Notebook: 00_tour.
"""

from dataclasses import dataclass
from pathlib import Path

# what became of a thing the paper says
REPRODUCED = "reproduced"
TOY = "at toy scale"
OPEN = "not possible here"
CHOICE = "paper ambiguous: our choice"


@dataclass(frozen=True)
class Row:
    """One thing the paper says."""

    item: str  # as the paper numbers or names it: Eq. 2
    what: str
    notebook: str  # where it is taught
    section: str  # under which heading there
    function: str  # where it is coded, inside dirfa_edu
    test: str  # where that is tested, inside tests/
    status: str  # one of the four above
    note: str = ""  # why


# fmt: off
LEDGER = [
    # ---- equations
    Row("Eq. 1", "attention with a mask",
        "03_biased_mask", "Attention by hand",
        "mapper.Block.attend", "unit/test_mapper.py", CHOICE,
        "printed with M inside the 1/sqrt(N_k) scaling; every implementation adds it after, "
        "so do we; bias_inside=True is the literal form"),
    Row("Eq. 2", "values to bins by the nearest centroid",
        "02_discretization", "How does a number become a category?",
        "discretize.Discretizer.encode", "unit/test_discretize.py", REPRODUCED,
        "halfway between two centroids goes up: Eq. 2 leaves it open"),
    Row("Eq. 3", "autoregressive factorisation over tau frames",
        "04_mapper", "One frame after another: Eq. 3",
        "mapper.MappingNetwork", "unit/test_mapper.py", CHOICE,
        "L banded layers see L(tau-1)+1 frames back, and A_{t-tau:t} is tau+1 frames"),
    Row("Eq. 4", "bins back to centroid values",
        "02_discretization", "And back?",
        "discretize.Discretizer.decode", "unit/test_discretize.py", REPRODUCED,
        "its k is a bin, unlike the k of top-k"),
    Row("Eq. 5", "cross-entropy of the mapper",
        "04_mapper", "The loss: Eq. 5",
        "losses.cross_entropy", "unit/test_losses.py", REPRODUCED),
    Row("Eq. 6", "generated image from source image and attributes",
        "05_generator", "What does it learn from?",
        "generator.GenerationNetwork.render", "unit/test_generator.py", TOY),
    Row("Eq. 7", "generator objective",
        "05_generator", "What does each loss ask for?",
        "losses.generator_objective", "unit/test_losses.py", CHOICE,
        "no weights are given: ours stand in losses.Lambdas"),
    Row("Eq. 8", "LSGAN",
        "05_generator", "Who says that a picture is real?",
        "losses.lsgan_generator", "unit/test_losses.py", CHOICE,
        "printed labels (real 0, fake 1) push G the wrong way in Eq. 7: standard LSGAN here"),
    Row("Eq. 9", "reconstruction loss on deep features",
        "05_generator", "When are two pictures alike?",
        "losses.perceptual", "unit/test_losses.py", CHOICE,
        "the paper's phi is VGG; ours is a face network whose weights may be shipped"),
    Row("Eq. 10", "attribute loss",
        "05_generator", "Does the face show what it was told?",
        "losses.attribute", "unit/test_losses.py", CHOICE,
        "on raw millimetres it drowns the Action Units: attributes are normalised first"),

    # ---- figures
    Row("Fig. 1", "the framework, end to end",
        "00_tour", "The result first",
        "talk.talk", "unit/test_talk.py", TOY),
    Row("Fig. 2", "causal mask and temporally-biased mask",
        "03_biased_mask", "The picture to understand",
        "masks.temporally_biased_mask", "unit/test_masks.py", CHOICE,
        "ALiBi slopes per head by default; the figure's single penalty is an option"),
    Row("Fig. 3", "methods compared, shown",
        "06_evaluation", "The same figures, here",
        "results.figures.make_figure", "unit/test_reproduce.py", TOY,
        "paradigms, not code bases"),
    Row("Fig. 4", "one person's methods compared, shown",
        "06_evaluation", "The same figures, here",
        "results.figures.make_figure", "unit/test_reproduce.py", TOY,
        "paradigms, not code bases"),
    Row("Fig. 5", "ablation, shown",
        "06_evaluation", "The same figures, here",
        "results.figures.make_figure", "unit/test_reproduce.py", TOY),
    Row("Fig. 6", "three faces from one recording",
        "00_tour", "4 Draw: three animations",
        "sampling.generate", "unit/test_sampling.py", TOY),

    # ---- tables, and the figures of merit in them
    Row("PSNR", "Tables 1, 2, 4",
        "06_evaluation", "PSNR: how far off are the pixels?",
        "metrics.psnr", "unit/test_metrics.py", TOY,
        "published code of the field subtracts in uint8; ours is float"),
    Row("ACD", "Tables 1, 2, 4",
        "06_evaluation", "ACD: is it still the same person?",
        "metrics.acd", "unit/test_metrics.py", TOY),
    Row("LMD", "Tables 1, 2, 4, 5",
        "06_evaluation", "LMD: do the lips take the right shape?",
        "metrics.lmd", "unit/test_metrics.py", TOY,
        "mean over 20 mouth points; published code sums them, an option here"),
    Row("S_conf, S_off", "Tables 1, 2, 4",
        "06_evaluation", "S_conf and S_off: do lips and sound belong together?",
        "faces.sync.score", "unit/test_sync.py", TOY,
        "a small SyncNet trained on our corpus"),
    Row("EBR", "Tables 1, 2, 4",
        "06_evaluation", "EBR: do the eyes blink as often as eyes do?",
        "metrics.ebr", "unit/test_metrics.py", TOY),
    Row("Table 1", "methods compared",
        "06_evaluation", "Read the arrows, then the sentences",
        "results.reproduce.reproduce", "unit/test_reproduce.py", TOY,
        "paradigms, not code bases"),
    Row("Table 2", "one person's methods compared",
        "06_evaluation", "Read the arrows, then the sentences",
        "results.trials.try_tuned", "unit/test_reproduce.py", TOY,
        "paradigms, not code bases"),
    Row("Table 3", "user study, 83 people",
        "06_evaluation", "The user study",
        "course.study.Study", "unit/test_study.py", OPEN,
        "needs people: the package plans a study and evaluates its ratings"),
    Row("Table 4", "w/o Prob, w/o TBM",
        "06_evaluation", "Which claims hold here?",
        "results.reproduce.reproduce", "unit/test_reproduce.py", TOY),
    Row("Table 5", "lip error over D",
        "02_discretization", "What does D do to lips? The paper's Table 5 as a question",
        "results.reproduce.reproduce", "unit/test_reproduce.py", TOY),

    # ---- numbers and facts
    Row("16 kHz, FFT 1280, hop 160, 20 mels", "4.1",
        "01_features", "How much of each frequency is in a piece of sound?",
        "audio.log_mel", "unit/test_audio.py", REPRODUCED),
    Row("frame time-step in the middle", "4.1",
        "01_features", "Which part does frame t hear?",
        "audio.frame_features", "unit/test_audio.py", CHOICE,
        "the window's length is not given: 0.2 s, 20 mel frames"),
    Row("17 AUs and 6 pose numbers by OpenFace", "3.2.1, 4.1",
        "01_features", "What describes a face?",
        "animation.read_openface", "unit/test_animation.py", REPRODUCED),
    Row("D = 500", "3.2.1",
        "02_discretization", "Which range do the bins cover?",
        "discretize.Discretizer.fit", "unit/test_discretize.py", CHOICE,
        "the range is not given: AUs 0 to 5, pose what training saw"),
    Row("tau = 50", "4.1",
        "03_biased_mask", "The end of memory: $\\tau$",
        "masks.temporally_biased_mask", "unit/test_masks.py", REPRODUCED),
    Row("top-k sampling", "3.2.2",
        "04_mapper", "Top-k",
        "sampling.top_k_sample", "unit/test_top_k.py", CHOICE,
        "k is not given: lips tight, expression and pose loose"),
    Row("both networks trained apart", "4.1",
        "04_mapper", "Train one yourself",
        "training.train_mapper", "unit/test_training.py", TOY),
    Row("random pairs of frames of one clip", "3.3",
        "05_generator", "What does it learn from?",
        "training.train_generator", "unit/test_training.py", TOY),
    Row("VoxCeleb2 and LRW", "4.1",
        "07_your_own_face", "3 Files from OpenFace, with all their habits",
        "data.corpus.Corpus", "unit/test_corpus.py", OPEN,
        "neither may be shipped: folders of that layout are read where a user has them"),
    Row("network sizes and learning rates", "a supplement we could not find",
        "04_mapper", "Train one yourself",
        "mapper.MapperConfig", "unit/test_mapper.py", CHOICE,
        "layers, channels, heads, rates and steps are ours"),
    Row("four GPUs of 11 GB", "4.1",
        "04_mapper", "Train one yourself",
        "training.train_mapper", "unit/test_training.py", OPEN,
        "trained on two cores; several devices share a batch through Lightning Fabric, "
        "tested with two processes"),

    # ---- claims
    Row("regression to the mean", "1, 2.2, 4.2: a deterministic network freezes",
        "04_mapper", "Why probability? Regression to the mean",
        "results.trials.methods", "unit/test_results.py", TOY),
    Row("temporally coherent animations", "3.2.3, 4.5: the mask makes heads smooth",
        "06_evaluation", "Which claims hold here?",
        "results.trials.bits_by_age", "unit/test_reproduce.py", TOY,
        "on noisy tracks and beyond the training length; no gain on clean short ones"),
    Row("works for people unseen in training", "1, 4.2",
        "05_generator", "Train one, now",
        "results.generator_card.random_figures", "unit/test_generator_card.py", TOY),
    Row("natural blinks", "4.3",
        "06_evaluation", "EBR: do the eyes blink as often as eyes do?",
        "metrics.ebr", "unit/test_metrics.py", TOY,
        "a deterministic network blinks here, too, like a clock"),
    Row("accurate lips, diverse expressions", "1, 4.5",
        "06_evaluation", "The figure that is DIRFA's claim",
        "results.figures.tradeoff", "unit/test_reproduce.py", TOY),
    Row("no control of single attributes", "4.5, limitations",
        "04_mapper", "Try it: make the speech smile",
        "control.Control", "unit/test_control.py", TOY,
        "named as future work; an attribute is pinned before it is fed back"),
]
# fmt: on


def markdown(rows: list[Row] | None = None, notebooks: str = "") -> str:
    """The ledger as a Markdown table whose chapters are links to headings.

    `notebooks` is the way from the page to the folder of the chapters.

    >>> markdown(LEDGER[:1]).splitlines()[0]
    '| Paper | What | Taught in | Code | Test | Status |'
    """
    lines = ["| Paper | What | Taught in | Code | Test | Status |", "|---|---|---|---|---|---|"]
    for row in LEDGER if rows is None else rows:
        heading = row.section.replace(" ", "-")  # as JupyterLab names a heading's place
        taught = f"[{row.notebook[:2]} {row.section}]({notebooks}{row.notebook}.ipynb#{heading})"
        cells = [
            row.item,
            row.what,
            taught,
            f"`{row.function}`",
            f"`{Path(row.test).stem}`",
            status_in_words(row),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def status_in_words(row: Row) -> str:
    """The status of a row with its note; a choice is told by its note alone."""
    if not row.note:
        return row.status
    return row.note if row.status == CHOICE else f"{row.status}: {row.note}"
