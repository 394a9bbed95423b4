"""The paper's user study for a class: random order, hidden names, three questions, uncertainty.

Each rater sees every video once, in an order of their own and under a neutral name, and answers
three questions from 1 (bad) to 5 (excellent). Results are saved after every answer, so a closed lid
loses nothing.

Paper: 4.4, Table 3 (83 users, 3 videos a method). Notebook: 06_evaluation.
"""

import csv
import html
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Mapping, Sequence

import numpy as np

from ..files import InputError, atomic_path

CRITERIA = {
    "realness": "How real does the video look?",
    "lip_sync": "How well do the lips fit the speech?",
    "expression": "How natural are the facial expressions?",
}
FIELDS = ["rater", "place", "method", "video", *CRITERIA]


class Study:
    """Videos of several methods, rated blind by one or more people.

    `videos` maps a method's name to its files, e.g. {"ours": ["a.mp4"], "truth": ["b.mp4"]}. `seed`
    and the rater's name decide the order, so a rater who returns continues where they stopped. With
    `results` the ratings are read from and kept in that CSV. Raises InputError for no videos or a
    missing file. Paper: 4.4. Notebook: 06_evaluation.

    >>> study = Study({"ours": ["a.mp4", "b.mp4"], "truth": ["c.mp4"]}, check_files=False)
    >>> study.rate("Kim", study.order("Kim")[0], realness=4, lip_sync=5, expression=3)
    >>> len(study.left("Kim"))
    2
    """

    def __init__(
        self,
        videos: Mapping[str, Sequence[str | Path]],
        seed: int = 0,
        results: str | Path | None = None,
        check_files: bool = True,
    ) -> None:
        self.items = [(method, str(path)) for method, paths in videos.items() for path in paths]
        if not self.items:
            raise InputError("a study needs at least one video")
        if len(set(self.items)) < len(self.items):
            raise InputError("a video is listed twice for one method: raters would see it twice")
        for _, path in self.items if check_files else []:
            if not Path(path).is_file():
                raise InputError(f"no video at {path}")

        self.seed = seed
        self.results = Path(results) if results else None
        self.ratings: list[dict] = []
        if self.results and self.results.is_file():
            self.ratings = read_ratings(self.results)

    def order(self, rater: str) -> list[int]:
        """The order in which this rater sees the videos, as indices into `items`.

        One method does not come twice in a row where that can be avoided.
        """

        def repeats(order: list[int]) -> int:
            methods = [self.items[item][0] for item in order]
            return sum(a == b for a, b in zip(methods, methods[1:]))

        rng = np.random.default_rng([self.seed, *rater.strip().encode()])
        return min((rng.permutation(len(self.items)).tolist() for _ in range(50)), key=repeats)

    def left(self, rater: str) -> list[int]:
        """What this rater has not rated yet, in their order."""
        mine = [row for row in self.ratings if row["rater"] == rater.strip()]
        done = {(row["method"], row["video"]) for row in mine}
        return [item for item in self.order(rater) if self.items[item] not in done]

    def rate(self, rater: str, item: int, **scores: int) -> None:
        """Keep one rater's three scores (1-5) of a video.

        Raises InputError for a missing, foreign or second answer.
        """
        rater = rater.strip()
        if not rater:
            raise InputError("give a name or a number for the rater first")
        if set(scores) != set(CRITERIA):
            raise InputError(f"a rating has the scores {', '.join(CRITERIA)}")
        for name, value in scores.items():
            if isinstance(value, bool) or value not in (1, 2, 3, 4, 5):
                raise InputError(f"{name} is a whole number from 1 to 5, not {value!r}")
        if item not in self.left(rater):
            raise InputError(f"{rater} has rated this video already")

        method, video = self.items[item]
        self.ratings.append(
            {
                "rater": rater,
                "place": self.order(rater).index(item) + 1,
                "method": method,
                "video": video,
                **{name: int(scores[name]) for name in CRITERIA},
            }
        )
        if self.results:
            self.to_csv(self.results)

    def to_csv(self, path: str | Path) -> None:
        """Write all ratings: rater, place in their order, method, video, the three scores."""
        text = io.StringIO()
        rows = csv.DictWriter(text, FIELDS, lineterminator="\n")
        rows.writeheader()
        rows.writerows(self.ratings)
        with atomic_path(path) as temporary:
            temporary.write_text(text.getvalue(), encoding="utf-8")

    def summary(self) -> dict[str, dict[str, dict]]:
        """Per method and criterion: mean opinion score, its 95 % interval, number of ratings.

        {method: {criterion: {"mean", "half_width", "n"}}}, see `mean_opinion`.
        """
        methods = dict.fromkeys(method for method, _ in self.items)
        return {
            method: {
                name: mean_opinion([row[name] for row in self.ratings if row["method"] == method])
                for name in CRITERIA
            }
            for method in methods
        }

    def agreement(self) -> dict[str, float]:
        """Krippendorff's alpha (interval scale) of the raters per criterion.

        1 is full agreement, 0 is chance; NaN where no video has two ratings.
        """
        raters = sorted({row["rater"] for row in self.ratings})
        out = {}
        for name in CRITERIA:
            table = np.full((len(raters), len(self.items)), np.nan)
            for row in self.ratings:
                item = (row["method"], row["video"])
                if item in self.items:
                    table[raters.index(row["rater"]), self.items.index(item)] = row[name]
            out[name] = krippendorff_alpha(table)
        return out

    def table(self) -> str:
        """The result as a Markdown table in the form of the paper's Table 3."""
        lines = [
            "| method | " + " | ".join(CRITERIA) + " | ratings |",
            "|---|" + "---|" * (len(CRITERIA) + 1),
        ]
        for method, scores in self.summary().items():
            cells = " | ".join(map(in_words, scores.values()))
            lines.append(f"| {method} | {cells} | {scores['realness']['n']} |")
        return "\n".join(lines)

    def panel(self, width: int = 256):
        """An ipywidgets panel that plays the videos blind, one after the other.

        It never names a method, not even at the end: the next person may be watching.
        """
        import ipywidgets as w

        c = SimpleNamespace(
            name=w.Text(description="Your name", placeholder="a name or a number"),
            start=w.Button(description="Start"),
            save=w.Button(description="Save and next", disabled=True),
            heading=w.HTML(),
            message=w.HTML(),
            stage=w.Box(),
            scales={name: scale(name) for name in CRITERIA},
        )
        c.start.on_click(lambda _: self._show_next(c, width))
        c.save.on_click(lambda _: self._save_answer(c, width))

        # markup by hand, here and below: a word or two around texts of our own
        questions = [f"<b>{label(name)}</b>: {asked}" for name, asked in CRITERIA.items()]
        first = w.HBox([c.name, c.start])
        below = [w.HTML("<br>".join(questions)), *c.scales.values(), c.save, c.message]
        box = w.VBox([first, c.heading, c.stage, *below])
        box.controls = vars(c)
        return box

    def _show_next(self, c: SimpleNamespace, width: int) -> None:
        """Put the rater's next video on the stage of a panel, or say that there is none."""
        import ipywidgets as w

        if not c.name.value.strip():
            c.message.value = "Give a name or a number first."
            return

        left = self.left(c.name.value)
        c.name.disabled = c.start.disabled = bool(left)
        c.save.disabled = not left
        for each in c.scales.values():
            each.value = None

        if left:
            # the title tells the place, never the method or the file's name
            place, total = len(self.items) - len(left) + 1, len(self.items)
            c.heading.value = f"<b>Video {place} of {total}</b>"
            path = self.items[left[0]][1]
            c.stage.children = [w.Video.from_file(path, width=width, autoplay=False, loop=False)]
            c.message.value = ""
        else:
            c.heading.value, c.stage.children = "<b>Thank you, that was the last one.</b>", []
            c.message.value = (
                "The next person can give a name. "
                "The study's table() shows the result when all have."
            )

    def _save_answer(self, c: SimpleNamespace, width: int) -> None:
        """Keep what a panel shows, and go on; say what is missing where it is not complete."""
        scores = {name: each.value for name, each in c.scales.items()}
        try:
            self.rate(c.name.value, self.left(c.name.value)[0], **scores)
        except InputError as error:
            c.message.value = f"Answer all three questions: {html.escape(str(error))}."
            return
        self._show_next(c, width)


def label(name: str) -> str:
    """A criterion's name in words."""
    return name.replace("_", " ")


def scale(name: str):
    """The buttons 1 to 5 of a criterion; "-" is no answer yet."""
    import ipywidgets as w

    return w.ToggleButtons(
        options=[("-", None), 1, 2, 3, 4, 5],
        description=label(name),
        tooltips=[CRITERIA[name]] * 6,
        style={"button_width": "2.5em"},
    )


def in_words(score: dict) -> str:
    """A cell of the table: the mean, and its uncertainty where more than one has rated."""
    if score["n"] == 0:
        return "-"
    mean = f"{score['mean']:.2f}"
    return f"{mean} ± {score['half_width']:.2f}" if score["n"] > 1 else mean


def read_ratings(path: str | Path) -> list[dict]:
    """Read ratings that Study wrote. Raises InputError for another file."""
    words, numbers = ("rater", "method", "video"), ("place", *CRITERIA)
    try:
        rows = csv.DictReader(Path(path).read_text(encoding="utf-8").splitlines())
        return [
            {name: row[name] for name in words} | {name: int(row[name]) for name in numbers}
            for row in rows
        ]
    except (OSError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        columns = ", ".join(FIELDS)
        raise InputError(f"{path} is not a file of ratings (columns {columns})") from error


def merge(paths: Sequence[str | Path]) -> list[dict]:
    """Ratings of several files, e.g. one a student: give them to `study.ratings`.

    Raises InputError where one rater has rated a video in two files.
    """
    rows = [row for path in paths for row in read_ratings(path)]
    seen = set()
    for row in rows:
        key = (row["rater"], row["method"], row["video"])
        if key in seen:
            raise InputError(
                f"{row['rater']} has rated {row['video']} twice: two raters with one name, "
                "or a file given twice"
            )
        seen.add(key)
    return rows


def mean_opinion(scores: Sequence[float]) -> dict[str, float]:
    """Mean opinion score, half-width of its 95 % interval (Student's t), number of ratings.

    >>> mean_opinion([3, 4, 5])["mean"], round(mean_opinion([3, 4, 5])["half_width"], 3)
    (4.0, 2.484)
    """
    from scipy.stats import t

    n = len(scores)
    mean = float(np.mean(scores)) if n else float("nan")
    half = float("nan")
    if n > 1:
        half = float(t.ppf(0.975, n - 1) * np.std(scores, ddof=1) / np.sqrt(n))
    return {"mean": mean, "half_width": half, "n": n}


def krippendorff_alpha(table: np.ndarray) -> float:
    """Krippendorff's alpha for interval data: (raters, items), NaN where a rater did not rate.

    1 - observed / expected squared difference: between ratings of one item, and between any two
    ratings. NaN where no item has two ratings, or all ratings are equal.

    >>> krippendorff_alpha(np.array([[1, 2, 3.0], [1, 2, 3]]))
    1.0
    """
    table = np.asarray(table, np.float64)
    units = [column[np.isfinite(column)] for column in table.T]
    units = [unit for unit in units if len(unit) > 1]
    if not units:
        return float("nan")

    every = np.concatenate(units)
    n = len(every)
    observed = sum(((u[:, None] - u) ** 2).sum() / (len(u) - 1) for u in units) / n
    expected = ((every[:, None] - every) ** 2).sum() / (n * (n - 1))
    return float(1 - observed / expected) if expected else float("nan")
