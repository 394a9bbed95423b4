"""The bust that all digital actors share, and the resting face of one of them.

data_samples/actors.npz holds MakeHuman's base head (CC0), its 17 Action Units and its identity
targets as sparse displacement fields. A resting face is the base head plus a weighted sum of
fields. Units are decimetres; x to the right of the picture, y up, z towards the camera.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..files import data_path
from .looks import Look
from .mesh import BODY, EYEBALLS, LASHES, LOWER_TEETH, UPPER_TEETH
from .render import sphere

EYE_VERTICES = 72  # of each eyeball; they are fitted by a sphere and never drawn
# pairs beside the middle of the inner lips among the 68 landmarks, above and below
BESIDE_LIP_MIDDLES = [61, 63], [67, 65]


@dataclass(frozen=True)
class Head:
    """An actor's face at rest: the vertices that are drawn, and the two eyeballs."""

    places: np.ndarray  # (n, 3) the actor's own
    rest: np.ndarray  # (n, 3) the same vertices on the base head: what colours and hair go by
    part: np.ndarray  # (n,) BODY, UPPER_TEETH ...
    masks: dict[str, np.ndarray]  # lips, inside-mouth, eyelids, ears: (n,) 0..1
    triangles: np.ndarray  # (t, 3), those of the skin first
    follows: np.ndarray  # (n,) how far a vertex follows the head, 0..1
    eyes: list[tuple[np.ndarray, float]]  # centre (3,) and radius of each eyeball

    def __len__(self) -> int:
        return len(self.places)


@lru_cache(maxsize=1)
def bust() -> dict:
    """The arrays of data_samples/actors.npz, and its displacement fields by name.

    A field is (rows it moves (k,), displacements (k, 3) in dm).
    """
    with np.load(data_path("actors.npz")) as stored:
        data = {name: stored[name] for name in stored.files}

    bounds = data["bounds"]
    data["fields"] = {}
    for name, first, last in zip(data["names"], bounds[:-1], bounds[1:]):
        rows, whole_steps = data["index"][first:last], data["delta"][first:last]
        data["fields"][str(name)] = rows, whole_steps * data["step"]
    return data


def resting_head(look: Look) -> Head:
    """The face of a look at rest."""
    data = bust()
    places = resting_places(look)
    eyeballs = places[data["part"] == EYEBALLS]
    drawn = data["part"] != EYEBALLS
    return Head(
        places=places[drawn],
        rest=data["rest"][drawn].astype(float),
        part=data["part"][drawn],
        masks={
            str(name): data["masks"][drawn, i] / 255 for i, name in enumerate(data["mask_names"])
        },
        triangles=data["triangles"].astype(np.int64),
        follows=data["head"][drawn] / 255,
        eyes=[sphere(eyeballs[:EYE_VERTICES]), sphere(eyeballs[EYE_VERTICES:])],
    )


def resting_places(look: Look) -> np.ndarray:
    """The resting vertices of a look (n, 3), eyeballs included."""
    data = bust()
    places = data["rest"].astype(float)
    for name, weight in identity_weights(look).items():
        rows, displacement = data["fields"][name]
        places[rows] += weight * displacement

    close_lips(places)
    # without these shifts the teeth are never seen (upper) or poke through the lip (lower)
    places[data["part"] == UPPER_TEETH] += (0, -0.058, 0.045)
    places[data["part"] == LOWER_TEETH] += (0, -0.030, 0.030)
    lay_lashes_down(places, share=0.35 if look.female else 0.5)
    return places


def identity_weights(look: Look) -> dict[str, float]:
    """Weight of each displacement field in a resting face."""
    old = min(1, 1.25 * look.age)
    age = {"young": 1 - old, "old": old}
    sex = "female" if look.female else "male"

    weights = {}
    for years, weight in age.items():
        weights[f"macrodetails/universal-{sex}-{years}-averagemuscle-averageweight"] = weight
    for kind, share in look.ancestry.items():
        for years, weight in age.items():
            weights[f"macrodetails/{kind}-{sex}-{years}"] = weight * share

    # the base face frowns a little, and its jaw hangs
    return weights | look.shape | {"rest/jaw": -0.045, "AU04": -0.18}


def close_lips(places: np.ndarray) -> None:
    """Let the lips meet, in place: lips apart (AU25) is taken back by a part of their gap."""
    data = bust()
    rows, displacement = data["fields"]["AU25"]
    opening = np.zeros_like(places)
    opening[rows] = displacement

    upper, lower = (data["landmarks"][points] for points in BESIDE_LIP_MIDDLES)
    gap = (places[upper, 1] - places[lower, 1]).mean()
    gap_of_opening = (opening[upper, 1] - opening[lower, 1]).mean()
    places -= 0.4 * max(0, gap) / gap_of_opening * opening


def lay_lashes_down(places: np.ndarray, share: float) -> None:
    """Move each lash by `share` of the way to the skin nearest to it, in place.

    Where the mesh has them they look painted on.
    """
    data = bust()
    lashes = np.flatnonzero(data["part"] == LASHES)
    front_skin = np.flatnonzero((data["part"] == BODY) & (data["rest"][:, 2] > 1))
    apart = ((places[lashes, None] - places[front_skin]) ** 2).sum(-1)  # (lashes, front skin)
    nearest = front_skin[apart.argmin(1)]
    places[lashes] += share * (places[nearest] - places[lashes])
