"""The actor on strings: 17 AU sliders and 6 pose sliders move a digital actor while you drag them.

`draw(actor, **attributes)` is pure and returns a picture; so does `draw_generated`, where the
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
SHOWN = 300  # and their width on the page
GATHER = 0.015  # s: moves that arrive within this time are drawn as one picture
NEUTRAL_POSE = (
    0,
    0,
    0,
    0,
    0,
    550,
)  # rotation, then mm: the file's pose is absolute, the sliders' is relative

# what each attribute is called in FACS (the coding system behind Action Units), and the pose in
# plain words
MEANING = dict(
    zip(
        AUS,
        [
            "inner brow raiser",
            "outer brow raiser",
            "brow lowerer",
            "upper lid raiser",
            "cheek raiser",
            "lid tightener",
            "nose wrinkler",
            "upper lip raiser",
            "lip corner puller",
            "dimpler",
            "lip corner depressor",
            "chin raiser",
            "lip stretcher",
            "lip tightener",
            "lips part",
            "jaw drop",
            "blink",
        ],
    )
) | {
    "pose_Rx": "pitch",
    "pose_Ry": "yaw",
    "pose_Rz": "roll",
    "pose_Tx": "right",
    "pose_Ty": "down",
    "pose_Tz": "away",
}

# low, high and step of the sliders: intensities, radians, millimetres
RANGE = (
    {name: (0.0, 5.0, 0.1) for name in AUS}
    | {name: (-0.4, 0.4, 0.01) for name in POSES[:3]}
    | {
        "pose_Tx": (-30.0, 30.0, 1.0),
        "pose_Ty": (-30.0, 30.0, 1.0),
        "pose_Tz": (-100.0, 100.0, 1.0),
    }
)

# a few stops per parameter of draw, the default first, for the sweep
DOMAIN = {
    "actor": list(ACTORS)[::5],
    **{name: [0, 1, 2, 3, 4, 5] for name in AUS},
    **{
        name: [0, -high, -high / 2, high / 2, high]
        for name, (_, high, _) in RANGE.items()
        if name in POSES
    },
}

PRESETS = {
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
    unit = "" if name in AUS else ", rad" if name in POSES[:3] else ", mm"
    return f"{name}{'_r' * (name in AUS)} {MEANING[name]}{unit}"


def attributes(**values: float) -> np.ndarray:
    """Values by name -> Z, float64 (23,), zeros elsewhere. Raises InputError for an unknown name.

    >>> attributes(AU12=3)[8]
    np.float64(3.0)
    """
    Z = np.zeros(len(ATTRIBUTES))
    for name, value in values.items():
        Z[column(name)] = value
    return Z


def draw(actor: str = "iris", **values: float) -> np.ndarray:
    """One picture of an actor with the named attributes, uint8 (128, 128, 3). Raises InputError for
    unknown names."""
    return _actor(actor).render(attributes(**values), SIZE)


def draw_generated(actor: str = "iris", **values: float) -> np.ndarray:
    """The actor's neutral portrait as the shipped generator moves it, uint8 (128, 128, 3). Same
    errors as `draw`."""
    from ..talk import render_frames

    generator, portrait = _generator(), _portrait(actor)
    return next(render_frames(generator, portrait, attributes(**values)[None]))


def describe(actor: str = "iris", **values: float) -> str:
    """Alt text of the picture.

    >>> describe("iris", AU12=3.5, pose_Ry=0)
    'iris, AU12_r lip corner puller 3.50'
    """
    moved = [
        f"{label(name)} {value:.{0 if name in POSES[3:] else 2}f}"
        for name, value in values.items()
        if value
    ]
    return ", ".join([actor, *moved] if moved else [actor, "neutral face"])


def csv_cells(**values: float) -> list[str]:
    """The first row of an OpenFace file with these attributes: one text per column of
    `animation.HEADER`.

    The pose is absolute there: the head's rest is 550 mm from the camera.

    >>> csv_cells(pose_Ry=0.1)[4:10]
    ['0.0', '0.0', '550.0', '0.0000', '0.1000', '0.0000']
    """
    Z = attributes(**values)
    Z[POSE] += NEUTRAL_POSE
    return openface_row(0, Z)


def small_multiples(actor: str = "iris", draw: Callable = draw):
    """A Figure of the 17 AUs at intensity 5, eyes above and mouths below, for print and for pages
    without a kernel."""
    upper = ["neutral", "AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU09", "AU45"]
    lower = ["neutral"] + [name for name in AUS if name not in upper]
    fig, axes = plots.new(4, 5, width=5.4, height=3.7)
    fig.photo = True  # stored as a JPEG
    for names, place, rows in ((upper, axes[:2], slice(34, 68)), (lower, axes[2:], slice(66, 100))):
        for ax, name in zip(place.flat, names):
            ax.imshow(
                draw(actor, **({} if name == "neutral" else {name: 5}))[rows, 36:92],
                interpolation="lanczos",
            )
            ax.set_title(
                name if name == "neutral" else f"{name}_r\n{MEANING[name]}", fontsize=6.5, pad=2
            )
    for ax in axes.flat:
        ax.axis("off")
    return fig


class Puppet:
    """A digital actor that answers 23 sliders while they move. Notebooks: 01_features,
    05_generator.

    With `generated` the generation network moves the actor's portrait, and the actor itself is
    shown beside it: that is the truth. Arrow keys move a slider that has the focus, Tab goes to the
    next. `error` keeps what went wrong last, or None. Raises InputError for an unknown actor.

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
        # a slider also for words: JupyterLab takes the arrow keys away from a drop-down menu
        self.actor = w.SelectionSlider(
            options=list(ACTORS),
            value=actor,
            description="actor",
            tooltip="actor",
            continuous_update=False,
            layout={"width": f"{SHOWN}px"},
            style={"description_width": "4em"},
        )
        self.sliders = {
            name: w.FloatSlider(
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
            for name, (low, high, step) in RANGE.items()
        }
        self.buttons = {
            name: w.Button(description=name, layout={"width": "auto"}) for name in PRESETS
        }
        size = {"width": f"{SHOWN * (1 + generated)}px", "height": f"{SHOWN}px"}
        self.image = titled_image()(format="jpeg", layout=size)
        self.words, self.row = w.HTML(layout={"width": f"{SHOWN}px"}), w.HTML()
        for each in (self.actor, *self.sliders.values()):
            each.observe(self._moved, names="value")
        for name, button in self.buttons.items():
            button.on_click(lambda _button, name=name: self.preset(name))
        self.update()

    def controls(self):
        """The live widget: picture and presets beside the sliders, the row of the CSV below."""
        import ipywidgets as w

        wrap = {"display": "flex", "flex_flow": "row wrap"}
        presets = w.Box(list(self.buttons.values()), layout=wrap | {"width": f"{SHOWN}px"})
        legend = [
            w.HTML("left: generated from the neutral portrait; right: the actor itself")
        ] * self.generated
        left = w.VBox([self.image, *legend, self.actor, presets, self.words])
        units = w.HTML(
            "Action Units: intensity from 0 (not there) to 5. Pose: radians and millimetres."
        )
        right = w.VBox([units, *self.sliders.values()])
        return w.VBox([w.Box([left, right], layout=wrap), self.row, named_sliders()])

    def show(self) -> None:
        """Display the live widget; where no kernel runs, the 17 AUs at 5 stand in its place."""
        from IPython.display import display

        bundle = self.controls()._repr_mimebundle_()
        data = dict(bundle[0] if isinstance(bundle, tuple) else bundle)
        alt = (
            f"{'The generated' if self.generated else 'The'} actor {self.actor.value}: eyes and brows, neutral and "
            "with eight Action Units at intensity 5; the mouth, neutral and with the nine others."
        )
        figure = small_multiples(self.actor.value, draw_generated if self.generated else draw)
        data |= {
            "image/jpeg": plots.jpeg(figure, 54 if self.generated else 72),
            "text/plain": f"Widget: {alt}",
        }
        display(data, raw=True, metadata={"image/jpeg": {"alt": alt}})

    def preset(self, name: str) -> None:
        """Set all sliders at once to one of PRESETS, and draw once."""
        self._waiting = True  # the sliders' own calls are answered by the one below
        try:
            for each, slider in self.sliders.items():
                slider.value = PRESETS[name].get(each, 0)
        finally:
            self._waiting = False
        self.update()

    def update(self) -> None:
        """Draw the sliders' state as it is now: picture, its description, and the row of the CSV."""
        self._waiting = False
        actor, values = (
            self.actor.value,
            {name: slider.value for name, slider in self.sliders.items()},
        )
        try:
            pictures = [draw_generated(actor, **values)] if self.generated else []
            pictures.append(draw(actor, **values))
            picture, words = jpeg(np.concatenate(pictures, axis=1)), describe(actor, **values)
            with self.image.hold_sync():
                self.image.value, self.image.tooltip = picture, words
            self.words.value, self.row.value = html.escape(words), _table(csv_cells(**values))
            self.pictures, self.error = self.pictures + 1, None
        except Exception as error:  # Jupyter would swallow it: show it, keep it, and raise it again
            self.error = error
            self.words.value = f"<b>This face could not be drawn: {html.escape(str(error))}</b>"
            raise

    def _moved(self, _change) -> None:
        """A slider moved. In a kernel the moves that wait in its queue are read first, so only the
        newest is drawn."""
        if self._waiting:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no kernel: a script or a test
            return self.update()
        self._waiting = True
        loop.call_later(GATHER, self.update)


def jpeg(picture: np.ndarray) -> bytes:
    """A picture (H, W, 3) uint8 as JPEG bytes."""
    from PIL import Image

    Image.fromarray(picture).save(raw := io.BytesIO(), format="jpeg", quality=90)
    return raw.getvalue()


@lru_cache(maxsize=4)
def _actor(name: str) -> Actor:
    return Actor(name)


@lru_cache(maxsize=4)
def _portrait(name: str):
    from ..talk import encode_portrait

    return encode_portrait(_generator(), _actor(name).render(attributes(), SIZE))


@lru_cache(maxsize=1)
def _generator():
    from ..training import load_pretrained

    return load_pretrained("generator")


def _table(cells: list[str]) -> str:
    """Header and row of the CSV in three pairs of lines, as fixed-width text; what differs from
    neutral is bold."""
    rest, lines = csv_cells(), []
    for part in (slice(0, 10), slice(10, 19), slice(19, 27)):
        names, values = HEADER[part], cells[part]
        wide = [max(len(name), len(value)) + 1 for name, value in zip(names, values)]
        lines.append(" ".join(f"{name + ',':>{n}}" for name, n in zip(names, wide)))
        shown = [f"{value + ',':>{n}}" for value, n in zip(values, wide)]
        lines.append(
            " ".join(
                f"<b>{text}</b>" if value != usual else text
                for text, value, usual in zip(shown, values, rest[part])
            )
        )
    return f'<pre style="font-size: 11px; line-height: 1.3">{chr(10).join(lines).rstrip(",")}</pre>'
