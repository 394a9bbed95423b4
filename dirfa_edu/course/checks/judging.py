"""How an exercise is judged: run the student's function, compare, and name the misconception.

Used by the rooms of `checks`, which hold the exercises themselves.
"""

import contextlib
import functools
import math
from typing import Callable, Iterator

import numpy as np

NOT_YET = "not yet: write the body, then run this cell again"
_recorded: list[str] | None = None  # inside `record`: what the checks could say against an answer


@contextlib.contextmanager
def record() -> Iterator[list[str]]:
    """Collect the sentences of the checks called inside; every answer passes for right there."""
    global _recorded
    before, _recorded = _recorded, []
    try:
        yield _recorded
    finally:
        _recorded = before


def exercise(chapter: str, number: int = 1, beside: tuple[str, ...] = ()) -> Callable:
    """Make the check of a chapter's exercise out of a function that judges an answer.

    Calling the check prints the sentence. `check.mistakes()` gives what it can say against an
    answer, in its order; `beside` are sentences of the check that stand in no bank.
    """

    def wrap(verdict: Callable) -> Callable:
        @functools.wraps(verdict)
        def check(function: Callable) -> None:
            print(verdict(function))

        def mistakes() -> list[str]:
            with record() as sentences, contextlib.suppress(Exception):  # the answer is none
                verdict(lambda *arguments, **options: ...)
            return [*sentences, *beside]

        check.verdict = verdict
        check.mistakes = mistakes
        check.chapter = chapter
        check.number = number
        return check

    return wrap


def _array(value) -> np.ndarray:
    """An answer (number, list, array, tensor) as float64; -1e9 in a mask counts as -inf."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    value = np.asarray(value, np.float64)
    return np.where(value < -1e6, -math.inf, value)


def _same(a, b, tolerance: float) -> bool:
    """Same shape and values; -inf equals -inf, and NaN, which is in no right answer, equals NaN."""
    try:
        a, b = _array(a), _array(b)
    except (TypeError, ValueError):
        return False
    return a.shape == b.shape and np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)


def judge(
    function: Callable,
    right: Callable,
    cases: list[tuple],
    mistakes: list[tuple[str, Callable]],
    praise: str,
    tolerance: float = 1e-5,
) -> str:
    """One sentence about a student's function: "right", "not yet", or what went wrong.

    `right` and the answers in `mistakes` [(sentence, answer)] take the arguments of each of the
    `cases`. The first mistake that explains the student's answers to all cases is named.
    """
    if _recorded is not None:
        _recorded.extend(sentence for sentence, _ in mistakes)
        return f"right: {praise}"

    answers = []
    for case in cases:
        try:
            answer = function(*_copies(case))
        except Exception as error:
            why = f": {str(error).splitlines()[0][:120]}" if str(error) else ""
            return f"not right: your function stops with {type(error).__name__}{why}"
        if answer is ... or answer is None:
            return NOT_YET
        answers.append(answer)

    wanted = [right(*case) for case in cases]
    if all(_same(a, b, tolerance) for a, b in zip(answers, wanted)):
        return f"right: {praise}"

    with np.errstate(all="ignore"):  # mistakes divide by zero, which is no news to the student
        for sentence, wrong in mistakes:
            if all(_same(a, wrong(*case), tolerance) for a, case in zip(answers, cases)):
                return f"not right: {sentence}"
    return _what_differs(answers, wanted)


def _copies(case: tuple) -> tuple:
    """The arguments of a case; a function that writes into them spoils no other case."""
    return tuple(value.copy() if isinstance(value, np.ndarray) else value for value in case)


def _what_differs(answers: list, wanted: list) -> str:
    """The sentence about wrong answers that no known mistake explains."""
    for answer, right in zip(answers, wanted):
        try:
            shape = _array(answer).shape
        except (TypeError, ValueError):
            return "not right: the answer is neither a number nor an array of numbers"
        if shape != _array(right).shape:
            return f"not right: the shape is {shape}, it should be {_array(right).shape}"
    return "not right: correct shape, wrong values: try one small case by hand"
