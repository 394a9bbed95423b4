"""Common errors, exercise by exercise: what the checks know, and what to ask a student."""

import inspect
import re

from dirfa_edu.course.checks import all_checks

# what a sentence of a check is about -> what to ask; the first that fits
QUESTIONS = [
    (
        r"label|belongs? at|taken for real|pulled to",
        "Which score does each network want for a real picture, and which for a generated"
        " one? Write the two down, then read your line again.",
    ),
    (
        r"gradient|detach",
        "Whose weights may this loss move? Follow the gradient from the loss back to each input.",
    ),
    (
        r"uint8|wraps?",
        "What is the type of the two pictures, and what is 3 - 5 in that type?",
    ),
    (
        r"pinned?\b|y0|y_1",
        "Write the run of the example on paper, one line per frame. Where does each line "
        "get its input from?",
    ),
    (
        r"running total|\bu\b",
        "Lay the likelihoods end to end on a line from 0 to 1. Where does u = 0.62 fall?",
    ),
    (
        r"covariance|spreads|means? (was|were)? ?left in|variance|agree",
        "Add 10 to one track, then multiply it by 20. What should happen to the "
        "agreement, and what happens to yours?",
    ),
    (
        r"nats|log2|log10|logarithm|surprise|entropy|came true",
        "One frame, two bins, the true one with likelihood 1/4: how many bits is that? "
        "What does your line say?",
    ),
    (
        r"sqrt|scaling|scaled|divided by N_k",
        "What is divided by the root of N_k, and what is added when? Put brackets.",
    ),
    (
        r"line between|failed frames|success|resampl|laid on|other frames|read as 25",
        "Draw the times on a line: where do you have values, where do you want them?",
    ),
    (
        r"edge|half a bin|width|centroid above|centroid below",
        "Draw the first bin. Where does it begin, where is its middle, how wide is it?",
    ),
    (
        r"never visited|counts:|each row|rows and columns|columns sum",
        "What should each row sum to, and which row is which?",
    ),
    (
        r"layer|band",
        "Draw one band under the other, each ending where the last began. How much does "
        "one more add?",
    ),
    (
        r"start token|shift|moved|roll|row t",
        "Which frame stands in row 0, which in row 1? Where has the last frame gone?",
    ),
    (
        r"softmax|probab|-inf|cut off|cut with|future|hidden|hide|shows",
        "Print one row. Which entries must be exactly 0 in the end, and what must their sum be?",
    ),
    (
        r"too (many|large|late|early)|late|one (more|less)|round|starts? with|looks back"
        r"|centred|let in|partly|multiply|counts? from|nearest|last one|first one",
        "Take the smallest case that you can do by hand. What are its first and its last "
        "value, and what does your function give there?",
    ),
    (
        r"transposed|exchanged|comes? back|goes over|per (centroid|head|value)|shape"
        r"|y_bar is",
        "Which shape should come back, and what does each axis count? Try sizes that all differ.",
    ),
    (
        r"column|pose|translation|rotation|first frame|median",
        "Which columns may change and which may not? Compare output and input, column by "
        "column, on a clip in which somebody looks aside once.",
    ),
    (
        r"negative|sign|upside down|reverse|favoured|other way|is added|farthest|largest"
        r"|smallest",
        "Make one input a little larger. Should the result grow or shrink? What does yours do?",
    ),
    (
        r"samples|mel frames|seconds?|radian|degree|millimet|unit",
        "In which unit is each number, before your line and after it?",
    ),
]
OPENING = """# Common errors, exercise by exercise

The checks of the course know these wrong answers and name them. In bold is what you may ask a
student; below it, what the check has told them. Ask before you explain.

Before all of these: *What goes in, what comes out, in which shapes? Do one small case by hand.*"""
OTHERWISE = (
    "Write the formula under your line of code and tick off each symbol. Which one is missing, "
    "which is extra?"
)


def sentences_of(check) -> list[str]:
    """All that a check can say against an answer: its bank, then what it says beside the bank."""
    beside = re.findall(r'return "not right: ([^"{]+)"', inspect.getsource(check.verdict))
    return list(dict.fromkeys([*check.mistakes(), *beside]))


def question(sentence: str) -> str:
    """What to ask a student whose answer earned this sentence."""
    return next((ask for pattern, ask in QUESTIONS if re.search(pattern, sentence)), OTHERWISE)


def common_errors(titles: dict[str, str]) -> str:
    """Markdown: of each exercise its task, and each question with the sentences that call for it.

    `titles` are those of the chapters, by file name.
    """
    lines = [OPENING]
    chapter = ""
    for name, check in all_checks().items():
        if check.chapter != chapter:
            chapter = check.chapter
            lines += ["", f"## {titles.get(chapter, chapter)}"]
        asked: dict[str, list[str]] = {}
        for sentence in sentences_of(check):
            asked.setdefault(question(sentence), []).append(sentence)
        lines += ["", f"### `{name}`", "", " ".join(inspect.getdoc(check).split("\n\n")[0].split())]
        for ask, sentences in asked.items():
            lines += ["", f"**{ask}**", "", *(f"* {sentence}" for sentence in sentences)]
    return "\n".join(lines) + "\n"
