"""One declarative widget, `Explorer(draw, **domain)`: live, flip-book, small multiples, sweep.

`draw(**params)` is pure and returns a Figure; each parameter lists its stops (at most 9). Only core
ipywidgets are used, so arrow keys, tab and screen readers work, and nothing is loaded from the
network. The chapters' explorers are in `explorers.py`, one function each, so that a test can sweep
them all.
"""

import base64
import html
import io
import itertools
from functools import lru_cache
from pathlib import Path
from typing import Callable

import numpy as np
from jinja2 import StrictUndefined, Template

from .. import plots
from ..files import atomic_path

MAX_STOPS = 9
MAX_FRAMES = 81  # in a flip-book
DPI = 72  # dots an inch: the conductor is laid out for a cell 900 pixels wide
FLIPBOOK = Path(__file__).with_name("flipbook.html")


class Explorer:
    """A picture with one control per parameter.

    `draw(**params)` returns a Figure; `domain` gives each parameter its list of stops, the first
    one is shown first; `alt` describes the picture, with the parameters as fields: "mask of head
    {head}". `film(**params)` may write an mp4 and return its path: the live widget then has a
    button for it, and a player.
    Raises ValueError for an empty domain, more than 9 stops, or the same stop twice.

    >>> explorer = Explorer(
    ...     lambda k: plots.bin_likelihood([.1, .6, .3], k=k), alt="top {k} of 3 bins", k=[1, 2, 3]
    ... )
    >>> explorer.sweep()
    3
    """

    def __init__(self, draw: Callable, alt: str = "", film: Callable | None = None, **domain: list):
        if not domain:
            raise ValueError("an Explorer needs at least one parameter with its stops")
        for name, stops in domain.items():
            if not 1 <= len(stops) <= MAX_STOPS:
                raise ValueError(f"{name} has {len(stops)} stops: give 1 to {MAX_STOPS}")
            if len(set(stops)) != len(stops):
                raise ValueError(f"{name} names a stop twice")

        self.draw = draw
        self.alt = alt
        self.film = film
        self.domain = {name: list(stops) for name, stops in domain.items()}
        self.error: Exception | None = None  # what the live widget met last
        self._pictures: dict[tuple, bytes] = {}

    @property
    def default(self) -> dict:
        """The first stop of every parameter."""
        return {name: stops[0] for name, stops in self.domain.items()}

    def describe(self, **params) -> str:
        """Alt text of the picture for these parameters."""
        values = ", ".join(f"{name} {value}" for name, value in params.items())
        return self.alt.format(**params) or values

    def picture(self, **params) -> bytes:
        """The PNG for these parameters, drawn once."""
        key = tuple(params.values())
        if key not in self._pictures:
            self._pictures[key] = plots.png(self.draw(**params), DPI)
        return self._pictures[key]

    def controls(self):
        """The live widget: one slider per parameter, the picture, and its description."""
        import ipywidgets as w

        inputs = {name: _slider(name, stops) for name, stops in self.domain.items()}
        image, words = titled_image()(format="png"), w.HTML()

        def update(_change=None):
            params = {name: each.value for name, each in inputs.items()}
            try:
                picture, described = self.picture(**params), self.describe(**params)
                with image.hold_sync():
                    image.value, image.tooltip = picture, described
                words.value = html.escape(described)
                self.error = None
            # Jupyter would swallow it: show it, keep it, and raise it again
            except Exception as error:
                self.error = error
                words.value = _failure("drawn", error)
                raise

        update()
        for each in inputs.values():
            each.observe(update, names="value")
        film = self._film_controls(inputs) if self.film else []
        return w.VBox([*inputs.values(), image, words, *film, named_sliders()])

    def _film_controls(self, inputs: dict) -> list:
        """A button that films the present setting, and the stage on which the film is played."""
        import ipywidgets as w

        button = w.Button(description="Film", tooltip="film this setting, with sound")
        stage = w.VBox()

        def shoot(_button=None):
            params = {name: each.value for name, each in inputs.items()}
            button.disabled, stage.children = True, [w.HTML("filming ...")]
            try:
                path = self.film(**params)
                player = w.Video.from_file(str(path), width=320, autoplay=False, loop=False)
                words = w.HTML(html.escape(f"{path}: {self.describe(**params)}"))
                stage.children = [player, words]
                self.error = None
            except Exception as error:
                self.error = error
                stage.children = [w.HTML(_failure("filmed", error))]
                raise
            finally:
                button.disabled = False

        button.on_click(shoot)
        return [button, stage]

    def show(self) -> None:
        """Display the live widget; where no kernel runs, the first picture stands in its place."""
        from IPython.display import display

        bundle = self.controls()._repr_mimebundle_()
        data = dict(bundle[0] if isinstance(bundle, tuple) else bundle)
        alt = self.describe(**self.default)
        data |= {"image/png": self.picture(**self.default), "text/plain": f"Widget: {alt}"}
        display(data, raw=True, metadata={"image/png": {"alt": alt}})

    def small_multiples(self, vary: str | None = None):
        """A Figure for print: a picture per stop of `vary`, by default of the first parameter."""
        vary = vary or next(iter(self.domain))
        stops = self.domain[vary]
        pictures = [_pixels(self.picture(**self.default | {vary: stop})) for stop in stops]

        cols = min(3, len(stops))
        rows = -(-len(stops) // cols)
        aspect = pictures[0].shape[0] / pictures[0].shape[1]
        height = 9.5 / cols * rows * aspect + 0.3 * rows
        fig, axes = plots.new(rows, cols, width=9.5, height=height, squeeze=False)
        for ax in axes.flat:
            ax.axis("off")
        for ax, stop, picture in zip(axes.flat, stops, pictures):
            ax.imshow(picture)
            ax.set_title(f"{vary} = {stop}", fontsize=8)
        return fig

    def flipbook(self, path: str | Path, title: str = "Flip-book", most: int = MAX_FRAMES) -> Path:
        """Write a page with range inputs and all pictures: no kernel, no network, keyboard works.

        At most `most` pictures: parameters beyond that stay at their first stop. Inside a frame the
        page tells its parent how high it is, so that the frame can fit.
        """
        kept = self._stops_for(most)
        frames = []
        for values in itertools.product(*kept.values()):
            params = dict(zip(kept, values))
            picture = base64.b64encode(self.picture(**params)).decode()
            frames.append([picture, self.describe(**params)])

        rows = {name: list(map(str, stops)) for name, stops in kept.items() if len(stops) > 1}
        template = Template(
            FLIPBOOK.read_text(encoding="utf-8"), autoescape=True, undefined=StrictUndefined
        )
        page = template.render(title=title, rows=rows, frames=frames)
        with atomic_path(path) as temporary:
            temporary.write_text(page, encoding="utf-8")
        return Path(path)

    def _stops_for(self, most: int) -> dict[str, list]:
        """The stops of each parameter that give at most `most` pictures: all, or the first."""
        kept, count = {}, 1
        for name, stops in self.domain.items():
            kept[name] = stops if count * len(stops) <= most else stops[:1]
            count *= len(kept[name])
        return kept

    def points(self, n_random: int = 200, seed: int = 0) -> list[dict]:
        """Settings that a sweep visits: every stop, corners of all pairs, seeded random ones."""
        names, default = list(self.domain), self.default
        chosen = [default | {name: stop} for name, stops in self.domain.items() for stop in stops]

        for a, b in itertools.combinations(names, 2):
            ends_a, ends_b = ({self.domain[each][0], self.domain[each][-1]} for each in (a, b))
            chosen += [default | {a: x, b: y} for x in ends_a for y in ends_b]

        rng = np.random.default_rng(seed)
        for _ in range(n_random if len(names) > 1 else 0):
            drawn = {name: stops[rng.integers(len(stops))] for name, stops in self.domain.items()}
            chosen.append(drawn)
        return list({tuple(point.values()): point for point in chosen}.values())

    def sweep(self, n_random: int = 200, seed: int = 0) -> int:
        """Draw every point of `points`; returns how many. An error names its setting."""
        points = self.points(n_random, seed)
        for params in points:
            try:
                fig = self.draw(**params)
                assert fig.axes, "the figure is empty"
                self.describe(**params)
            except Exception as error:
                name = getattr(self.draw, "__name__", "draw")
                raise RuntimeError(f"{name} fails at {params}: {error}") from error
        return len(points)


def _slider(name: str, stops: list):
    """A slider also for words: JupyterLab takes the arrow keys away from a drop-down menu."""
    import ipywidgets as w

    return w.SelectionSlider(
        options=[(str(stop), stop) for stop in stops],
        value=stops[0],
        description=name,
        tooltip=name,
        style={"description_width": "9em"},
        layout={"width": "32em"},
        continuous_update=False,
    )


def _failure(done: str, error: Exception) -> str:
    """A sentence for the widget; too short for a template."""
    return f"<b>This setting could not be {done}: {html.escape(str(error))}</b>"


@lru_cache(maxsize=1)
def titled_image():
    """The class of the explorers' pictures: ipywidgets.Image with a title for screen readers.

    Image has no alt text, but a title does its work; JupyterLab sets one where a description
    exists.
    """
    import ipywidgets as w
    from traitlets import Unicode

    class TitledImage(w.Image):
        description = Unicode("").tag(sync=True)

    return TitledImage


def named_sliders():
    """A hidden part of a box that tells screen readers its sliders' names and words.

    ipywidgets gives the handles no name, and says "2" where the third word is chosen.
    """
    import ipywidgets as w

    script = html.escape(_NAMES)
    return w.HTML(f'<img src="{_DOT}" alt="" onload="{script}">', layout={"display": "none"})


def _pixels(picture: bytes) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))


_DOT = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
_NAMES = """const name = () => {
  const box = this.closest('.widget-vbox');
  if (!box) return setTimeout(name, 100);  // not on the page yet
  for (const slider of box.querySelectorAll('.widget-slider')) {
    const handle = slider.querySelector('[role=slider]');
    const tell = () => {
      const word = slider.querySelector('.widget-readout').textContent;
      if (handle.getAttribute('aria-valuetext') !== word) {
        handle.setAttribute('aria-valuetext', word);
      }
    };
    handle.setAttribute('aria-label', slider.querySelector('label').textContent);
    new MutationObserver(tell).observe(handle, {
      attributes: true, attributeFilter: ['aria-valuetext']
    });
    tell();
  }
};
name();"""
