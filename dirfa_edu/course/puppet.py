"""The actor on strings: 17 AU sliders and 6 pose sliders move a digital actor while you drag them.

`draw_actor(actor, **attributes)` is pure and returns a picture; so does `draw_generated`, where the
generation network moves the actor's portrait. `DOMAIN` gives each of their parameters a few stops,
so that a test can sweep them. `Puppet` hangs core ipywidgets on either. Where no kernel runs,
`small_multiples` stands in its place.

Notebooks: 01_features, 05_generator.
"""

import asyncio
import html
import io
from functools import lru_cache
from typing import Callable

import numpy as np

from .. import plots
from ..actors.actor import ACTORS, Actor
from ..animation import ATTRIBUTES, AUS, HEADER, POSE, POSES, column, openface_row
from ..files import InputError
from .widgets import named_sliders, titled_image

SIZE = 128  # pixels drawn
WIDTH = 300  # and their width on the page
GATHER = 0.015  # s: moves that arrive within this time are drawn as one picture
NEUTRAL_POSE = [0, 0, 0, 0, 0, 550]  # rotation, then mm: absolute, as a file's pose is

# ---- what the sliders are called, and how far they go --------------------------------------------

# what each attribute is called in FACS (the coding system behind Action Units), and the pose in
# plain words
MEANING = {
    "AU01": "inner brow raiser",
    "AU02": "outer brow raiser",
    "AU04": "brow lowerer",
    "AU05": "upper lid raiser",
    "AU06": "cheek raiser",
    "AU07": "lid tightener",
    "AU09": "nose wrinkler",
    "AU10": "upper lip raiser",
    "AU12": "lip corner puller",
    "AU14": "dimpler",
    "AU15": "lip corner depressor",
    "AU17": "chin raiser",
    "AU20": "lip stretcher",
    "AU23": "lip tightener",
    "AU25": "lips part",
    "AU26": "jaw drop",
    "AU45": "blink",
    "pose_Rx": "pitch",
    "pose_Ry": "yaw",
    "pose_Rz": "roll",
    "pose_Tx": "right",
    "pose_Ty": "down",
    "pose_Tz": "away",
}

# low, high and step of the sliders: intensities, radians, millimetres
RANGE = {
    **{name: (0.0, 5.0, 0.1) for name in AUS},
    **{name: (-0.4, 0.4, 0.01) for name in POSES[:3]},
    "pose_Tx": (-30.0, 30.0, 1.0),
    "pose_Ty": (-30.0, 30.0, 1.0),
    "pose_Tz": (-100.0, 100.0, 1.0),
}

# a few stops per parameter of `draw_actor`, the default first, for the sweep
DOMAIN = {
    "actor": list(ACTORS)[::5],
    **{name: [0, 1, 2, 3, 4, 5] for name in AUS},
    **{
        name: [0, -high, -high / 2, high / 2, high]
        for name, (_, high, _) in RANGE.items()
        if name in POSES
    },
}

# the buttons: all sliders at once
EXPRESSIONS = {
    "neutral": {},
    "smile": {"AU06": 2, "AU12": 3.5, "AU25": 1},
    "blink": {"AU45": 5},
    "surprise": {"AU01": 4, "AU02": 4, "AU05": 3, "AU25": 2, "AU26": 2.5},
    "/m/": {"AU17": 1, "AU23": 2},
    "/a/": {"AU25": 3, "AU26": 3},
}


def label(name: str) -> str:
    """The OpenFace column of an attribute, what it is, and its unit where it has one.

    >>> label("AU12"), label("pose_Ry")
    ('AU12_r lip corner puller', 'pose_Ry yaw, rad')
    """
    if name in AUS:
        return f"{name}_r {MEANING[name]}"
    unit = "rad" if name in POSES[:3] else "mm"
    return f"{name} {MEANING[name]}, {unit}"


def describe(actor: str = "iris", **values: float) -> str:
    """Alt text of the picture.

    >>> describe("iris", AU12=3.5, pose_Ry=0)
    'iris, AU12_r lip corner puller 3.50'
    """
    words = [actor]
    for name, value in values.items():
        if value:
            decimals = 0 if name in POSES[3:] else 2
            words.append(f"{label(name)} {value:.{decimals}f}")
    return ", ".join(words if len(words) > 1 else [actor, "neutral face"])


def attributes(**values: float) -> np.ndarray:
    """Values by name -> Z, float64 (23,), zeros elsewhere. Raises InputError for an unknown name.

    >>> attributes(AU12=3)[8]
    np.float64(3.0)
    """
    Z = np.zeros(len(ATTRIBUTES))
    for name, value in values.items():
        Z[column(name)] = value
    return Z


def csv_cells(**values: float) -> list[str]:
    """The first row of an OpenFace file with these attributes: a text per column of its header.

    The pose is absolute there: the head's rest is 550 mm from the camera.

    >>> csv_cells(pose_Ry=0.1)[4:10]
    ['0.0', '0.0', '550.0', '0.0000', '0.1000', '0.0000']
    """
    Z = attributes(**values)
    Z[POSE] += NEUTRAL_POSE
    return openface_row(0, Z)


# ---- pictures ------------------------------------------------------------------------------------


def draw_actor(actor: str = "iris", **values: float) -> np.ndarray:
    """One picture of an actor with the named attributes, uint8 (128, 128, 3).

    Raises InputError for unknown names.
    """
    return _actor(actor).render(attributes(**values), SIZE)


def draw_generated(actor: str = "iris", **values: float) -> np.ndarray:
    """The actor's neutral portrait as the shipped generator moves it, uint8 (128, 128, 3).

    Raises InputError for unknown names.
    """
    from ..talk import render_frames

    generator, portrait = _generator(), _portrait(actor)
    return next(render_frames(generator, portrait, attributes(**values)[None]))


@lru_cache(maxsize=4)
def _actor(name: str) -> Actor:
    return Actor(name)


@lru_cache(maxsize=1)
def _generator():
    from ..training import load_pretrained

    return load_pretrained("generator")


@lru_cache(maxsize=4)
def _portrait(name: str):
    """An actor's neutral picture, ready to be moved by the generator."""
    from ..talk import encode_portrait

    return encode_portrait(_generator(), _actor(name).render(attributes(), SIZE))


def small_multiples(actor: str = "iris", draw: Callable = draw_actor):
    """A Figure of the 17 AUs at intensity 5, for print and for pages without a kernel.

    Eyes and brows stand above, mouths below.
    """
    upper = ["neutral", "AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU09", "AU45"]
    lower = ["neutral"] + [name for name in AUS if name not in upper]
    fig, axes = plots.new(4, 5, width=5.4, height=3.7)
    fig.photo = True  # stored as a JPEG
    halves = (upper, axes[:2], slice(34, 68)), (lower, axes[2:], slice(66, 100))
    for names, place, rows in halves:
        for ax, name in zip(place.flat, names):
            values = {} if name == "neutral" else {name: 5}
            title = name if name == "neutral" else f"{name}_r\n{MEANING[name]}"
            ax.imshow(draw(actor, **values)[rows, 36:92], interpolation="lanczos")
            ax.set_title(title, fontsize=6.5, pad=2)
    for ax in axes.flat:
        ax.axis("off")
    return fig


def picture_jpeg(picture: np.ndarray) -> bytes:
    """A picture (H, W, 3) uint8 as JPEG bytes."""
    from PIL import Image

    raw = io.BytesIO()
    Image.fromarray(picture).save(raw, format="jpeg", quality=90)
    return raw.getvalue()


# ---- the widget ----------------------------------------------------------------------------------


class Puppet:
    """A digital actor that answers 23 sliders while they move.

    With `generated` the generation network moves the actor's portrait, and the actor itself is
    shown beside it: that is the truth. Arrow keys move a slider that has the focus, Tab goes to the
    next. `error` keeps what went wrong last, or None. Raises InputError for an unknown actor.
    Notebook: 01_features, 05_generator.

    >>> puppet = Puppet("iris")
    >>> puppet.sliders["AU12"].value = 3
    >>> puppet.words.value
    'iris, AU12_r lip corner puller 3.00'
    """

    def __init__(self, actor: str = "iris", generated: bool = False):
        import ipywidgets as w

        if actor not in ACTORS:
            raise InputError(f"no actor {actor!r}: choose one of {', '.join(ACTORS)}")
        self.generated = generated
        self.error: Exception | None = None
        self.pictures = 0  # drawn so far
        self._waiting = False

        self.actor = _actor_slider(actor)
        self.sliders = {name: _attribute_slider(name) for name in RANGE}
        self.buttons = {
            name: w.Button(description=name, layout={"width": "auto"}) for name in EXPRESSIONS
        }
        size = {"width": f"{WIDTH * (1 + generated)}px", "height": f"{WIDTH}px"}
        self.image = titled_image()(format="jpeg", layout=size)
        self.words = w.HTML(layout={"width": f"{WIDTH}px"})
        self.row = w.HTML()

        for each in (self.actor, *self.sliders.values()):
            each.observe(self._moved, names="value")
        for name, button in self.buttons.items():
            button.on_click(lambda _button, name=name: self.express(name))
        self.update()

    def controls(self):
        """The live widget: picture and buttons beside the sliders, the row of the CSV below."""
        import ipywidgets as w

        wrap = {"display": "flex", "flex_flow": "row wrap"}
        buttons = w.Box(list(self.buttons.values()), layout=wrap | {"width": f"{WIDTH}px"})
        left = [self.image, self.actor, buttons, self.words]
        if self.generated:
            words = "left: generated from the neutral portrait; right: the actor itself"
            left.insert(1, w.HTML(words))
        units = w.HTML(
            "Action Units: intensity from 0 (not there) to 5. Pose: radians and millimetres."
        )
        right = [units, *self.sliders.values()]
        both = w.Box([w.VBox(left), w.VBox(right)], layout=wrap)
        return w.VBox([both, self.row, named_sliders()])

    def show(self) -> None:
        """Display the live widget; where no kernel runs, the 17 AUs at 5 stand in its place."""
        from IPython.display import display

        bundle = self.controls()._repr_mimebundle_()
        data = dict(bundle[0] if isinstance(bundle, tuple) else bundle)
        draw = draw_generated if self.generated else draw_actor
        figure = small_multiples(self.actor.value, draw)
        data["image/jpeg"] = plots.jpeg(figure, dpi=54 if self.generated else 72)
        who = "The generated actor" if self.generated else "The actor"
        alt = (
            f"{who} {self.actor.value}: eyes and brows, neutral and with eight Action Units at "
            "intensity 5; the mouth, neutral and with the nine others."
        )
        data["text/plain"] = f"Widget: {alt}"
        display(data, raw=True, metadata={"image/jpeg": {"alt": alt}})

    def express(self, name: str) -> None:
        """Set all sliders at once to one of EXPRESSIONS, and draw once."""
        self._waiting = True  # the sliders' own calls are answered by the one below
        try:
            for each, slider in self.sliders.items():
                slider.value = EXPRESSIONS[name].get(each, 0)
        finally:
            self._waiting = False
        self.update()

    def update(self) -> None:
        """Draw the sliders' state as it is now: picture, its description, the row of the CSV."""
        self._waiting = False
        actor = self.actor.value
        values = {name: slider.value for name, slider in self.sliders.items()}
        try:
            pictures = [draw_generated(actor, **values)] if self.generated else []
            pictures.append(draw_actor(actor, **values))
            picture = picture_jpeg(np.concatenate(pictures, axis=1))
            words = describe(actor, **values)
            with self.image.hold_sync():
                self.image.value = picture
                self.image.tooltip = words
            self.words.value = html.escape(words)
            self.row.value = _table(csv_cells(**values))
            self.pictures += 1
            self.error = None
        except Exception as error:  # Jupyter would swallow it: show it, keep it, and raise it again
            self.error = error
            self.words.value = f"<b>This face could not be drawn: {html.escape(str(error))}</b>"
            raise

    def _moved(self, _change) -> None:
        """A slider moved: draw, or let the moves that already wait in a kernel's queue come first.

        Only the newest of them is drawn.
        """
        if self._waiting:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no kernel: a script or a test
            return self.update()
        self._waiting = True
        loop.call_later(GATHER, self.update)


def _actor_slider(actor: str):
    """A slider also for words: JupyterLab takes the arrow keys away from a drop-down menu."""
    import ipywidgets as w

    return w.SelectionSlider(
        options=list(ACTORS),
        value=actor,
        description="actor",
        tooltip="actor",
        continuous_update=False,
        layout={"width": f"{WIDTH}px"},
        style={"description_width": "4em"},
    )


def _attribute_slider(name: str):
    """The slider of one attribute."""
    import ipywidgets as w

    low, high, step = RANGE[name]
    return w.FloatSlider(
        value=0,
        min=low,
        max=high,
        step=step,
        description=label(name),
        tooltip=label(name),
        continuous_update=True,
        readout_format=".0f" if step == 1 else ".2f",
        style={"description_width": "14.5em"},
        layout={"width": "36em", "margin": "0 1px"},
    )


def _table(cells: list[str]) -> str:
    """Header and row of the CSV in three pairs of lines; what differs from neutral is bold."""
    neutral, lines = csv_cells(), []
    for part in (slice(0, 10), slice(10, 19), slice(19, 27)):
        names, values = HEADER[part], cells[part]
        widths = [max(len(name), len(value)) + 1 for name, value in zip(names, values)]
        lines.append(" ".join(f"{name + ',':>{n}}" for name, n in zip(names, widths)))
        shown = [
            _bold_where(value != usual, f"{value + ',':>{n}}")
            for value, usual, n in zip(values, neutral[part], widths)
        ]
        lines.append(" ".join(shown))
    text = "\n".join(lines).rstrip(",")
    return f'<pre style="font-size: 11px; line-height: 1.3">{text}</pre>'


def _bold_where(differs: bool, text: str) -> str:
    return f"<b>{text}</b>" if differs else text
