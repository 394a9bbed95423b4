"""The paper's user study for a class: random order, hidden names, three questions, scores with
their uncertainty.

Each rater sees every video once, in an order of their own and under a neutral name, and answers
three questions from 1 (bad) to 5 (excellent). Results are saved after every answer, so a closed lid
loses nothing.

Paper: 4.4, Table 3 (83 users, 3 videos a method). Notebook: 06_evaluation.
"""

import csv
import io
from pathlib import Path
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
        self.seed, self.results = seed, Path(results) if results else None
        self.ratings: list[dict] = (
            read_ratings(self.results) if self.results and self.results.is_file() else []
        )

    def order(self, rater: str) -> list[int]:
        """The order in which this rater sees the videos: indices into `items`, never one method
        twice in a row where that can be avoided."""
        rng = np.random.default_rng([self.seed, *rater.strip().encode()])
        best = None
        for _ in range(50):
            order = rng.permutation(len(self.items)).tolist()
            repeats = sum(self.items[a][0] == self.items[b][0] for a, b in zip(order, order[1:]))
            if best is None or repeats < best[0]:
                best = repeats, order
        return best[1]

    def left(self, rater: str) -> list[int]:
        """What this rater has not rated yet, in their order."""
        done = {
            (row["method"], row["video"]) for row in self.ratings if row["rater"] == rater.strip()
        }
        return [item for item in self.order(rater) if self.items[item] not in done]

    def rate(self, rater: str, item: int, **scores: int) -> None:
        """Keep one rater's three scores (1-5) of a video. Raises InputError for a missing, foreign
        or second answer."""
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
        """Per method and criterion: mean opinion score, half-width of its 95 % interval, number of
        ratings."""
        methods = dict.fromkeys(method for method, _ in self.items)
        return {
            method: {
                name: mean_opinion([row[name] for row in self.ratings if row["method"] == method])
                for name in CRITERIA
            }
            for method in methods
        }

    def agreement(self) -> dict[str, float]:
        """Krippendorff's alpha (interval scale) of the raters per criterion: 1 full agreement, 0
        chance; NaN where no video has two ratings."""
        raters = sorted({row["rater"] for row in self.ratings})
        out = {}
        for name in CRITERIA:
            table = np.full((len(raters), len(self.items)), np.nan)
            for row in self.ratings:
                if (row["method"], row["video"]) in self.items:
                    item = self.items.index((row["method"], row["video"]))
                    table[raters.index(row["rater"]), item] = row[name]
            out[name] = krippendorff_alpha(table)
        return out

    def table(self) -> str:
        """The result as a Markdown table in the form of the paper's Table 3."""
        lines = [
            "| method | " + " | ".join(CRITERIA) + " | ratings |",
            "|---|" + "---|" * (len(CRITERIA) + 1),
        ]
        for method, scores in self.summary().items():
            cells = [
                f"{s['mean']:.2f} ± {s['half_width']:.2f}"
                if s["n"] > 1
                else f"{s['mean']:.2f}"
                if s["n"]
                else "-"
                for s in scores.values()
            ]
            lines.append(f"| {method} | {' | '.join(cells)} | {next(iter(scores.values()))['n']} |")
        return "\n".join(lines)

    def panel(self, width: int = 256):
        """An ipywidgets panel that plays the videos blind, one after the other. It never names a
        method, not even at the end: the next person may be watching."""
        import ipywidgets as w

        name = w.Text(description="Your name", placeholder="a name or a number")
        start, save = (
            w.Button(description="Start"),
            w.Button(description="Save and next", disabled=True),
        )
        heading, message, stage = w.HTML(), w.HTML(), w.Box()
        scales = {
            key: w.ToggleButtons(
                options=[("-", None), 1, 2, 3, 4, 5],
                description=key.replace("_", " "),
                tooltips=[question] * 6,
                style={"button_width": "2.5em"},
            )
            for key, question in CRITERIA.items()
        }

        def show_next(_=None) -> None:
            if not name.value.strip():
                message.value = "Give a name or a number first."
                return
            left, total = self.left(name.value), len(self.items)
            name.disabled = start.disabled = True
            save.disabled = not left
            for scale in scales.values():
                scale.value = None
            if left:  # the title tells the place, never the method or the file's name
                heading.value = f"<b>Video {total - len(left) + 1} of {total}</b>"
                stage.children = [
                    w.Video.from_file(
                        self.items[left[0]][1], width=width, autoplay=False, loop=False
                    )
                ]
                message.value = ""
            else:
                heading.value, stage.children = "<b>Thank you, that was the last one.</b>", []
                message.value = "The next person can give a name. The study's table() shows the result when all have."
                name.disabled = start.disabled = False

        def save_answer(_=None) -> None:
            try:
                self.rate(
                    name.value,
                    self.left(name.value)[0],
                    **{key: s.value for key, s in scales.items()},
                )
            except InputError as error:
                message.value = f"Answer all three questions: {error}."
                return
            show_next()

        start.on_click(show_next)
        save.on_click(save_answer)
        questions = w.HTML(
            "<br>".join(f"<b>{k.replace('_', ' ')}</b>: {q}" for k, q in CRITERIA.items())
        )
        box = w.VBox(
            [w.HBox([name, start]), heading, stage, questions, *scales.values(), save, message]
        )
        box.controls = {
            "name": name,
            "start": start,
            "save": save,
            "message": message,
            "scales": scales,
            "heading": heading,
            "stage": stage,
        }
        return box


def read_ratings(path: str | Path) -> list[dict]:
    """Read ratings that Study wrote. Raises InputError for another file."""
    try:
        rows = list(csv.DictReader(Path(path).read_text(encoding="utf-8").splitlines()))
        return [
            {
                **{key: row[key] for key in ("rater", "method", "video")},
                "place": int(row["place"]),
                **{name: int(row[name]) for name in CRITERIA},
            }
            for row in rows
        ]
    except (OSError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is not a file of ratings (columns {', '.join(FIELDS)})"
        ) from error


def merge(paths: Sequence[str | Path]) -> list[dict]:
    """Ratings of several files, e.g. one a student: give them to `study.ratings`. Raises InputError
    where one rater has rated a video in two files."""
    rows = [row for path in paths for row in read_ratings(path)]
    keys = [(row["rater"], row["method"], row["video"]) for row in rows]
    for key in keys:
        if keys.count(key) > 1:
            raise InputError(
                f"{key[0]} has rated {key[2]} twice: two raters with one name, or a file given twice"
            )
    return rows


def mean_opinion(scores: Sequence[float]) -> dict[str, float]:
    """Mean opinion score with the half-width of its 95 % interval (Student's t) and the number of
    ratings.

    >>> mean_opinion([3, 4, 5])["mean"], round(mean_opinion([3, 4, 5])["half_width"], 3)
    (4.0, 2.484)
    """
    from scipy.stats import t

    n = len(scores)
    if n < 2:
        return {
            "mean": float(np.mean(scores)) if n else float("nan"),
            "half_width": float("nan"),
            "n": n,
        }
    half = t.ppf(0.975, n - 1) * np.std(scores, ddof=1) / np.sqrt(n)
    return {"mean": float(np.mean(scores)), "half_width": float(half), "n": n}


def krippendorff_alpha(table: np.ndarray) -> float:
    """Krippendorff's alpha for interval data: (raters, items), NaN where a rater did not rate; NaN
    if undefined.

    1 - observed / expected squared difference between ratings of one item and between any two
    ratings.

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
