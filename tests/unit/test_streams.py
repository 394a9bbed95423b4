"""Training examples from corpora that do not fit: right pairs, few clips in memory, every clip in
turn, repeatable."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest
import torch

from dirfa_edu.data.corpus import PROBE_TRAIN, Clip
from dirfa_edu.data.streams import decoded, frame_pairs, windows
from dirfa_edu.files import InputError


class Toy:
    """A clip whose every number says which clip and frame it is; `read` counts how often it was
    decoded."""

    read = Counter()

    def __init__(self, n, T=20, kind="real", valid=None):
        self.n, self.T, self.kind, self.name, self.truth_file = n, T, kind, f"toy {n}", None
        self.mask = np.ones(T, bool) if valid is None else valid

    def features(self):
        Toy.read[self.n] += 1
        return np.tile(100 * self.n + np.arange(self.T, dtype=np.float32)[:, None], 400)

    def animation(self):
        return np.tile(100 * self.n + np.arange(self.T, dtype=np.float32)[:, None], 23)

    def valid(self):
        return self.mask

    def frames(self):
        Toy.read[self.n] += 1
        return np.broadcast_to(
            np.arange(self.T, dtype=np.uint8)[:, None, None, None], (self.T, 8, 8, 3)
        ).copy()


@pytest.fixture(autouse=True)
def count():
    Toy.read = Counter()
    return Toy.read


CHANCES = [lambda: torch.Generator().manual_seed(1), lambda: np.random.default_rng(1)]


@pytest.mark.parametrize("chance", CHANCES)
def test_windows_keep_sound_and_face_together(chance):
    drawn = list(islice(windows([Toy(n) for n in range(5)], 7, chance()), 300))
    for A, Y in drawn:
        assert A.shape == (7, 400) and Y.shape == (7, 23) and A.dtype == Y.dtype == torch.float32
        assert torch.equal(A[:, 0], Y[:, 0]) and torch.equal(A[1:, 0] - A[:-1, 0], torch.ones(6))
    starts = {int(A[0, 0]) % 100 for A, _ in drawn}
    assert starts == set(range(14)), "every start that fits, first and last too"
    again = list(islice(windows([Toy(n) for n in range(5)], 7, chance()), 300))
    assert all(torch.equal(a[0], b[0]) for a, b in zip(drawn, again, strict=True)), (
        "the same seed, the same windows"
    )


@pytest.mark.parametrize("chance", CHANCES)
def test_pairs_are_two_frames_of_one_clip(chance):
    seen = set()
    for I_src, Z_src, I_tgt, Z_tgt in islice(
        frame_pairs([Toy(n) for n in range(5)], chance()), 400
    ):
        assert I_src.shape == I_tgt.shape == (3, 8, 8) and Z_src.shape == Z_tgt.shape == (23,)
        assert Z_src[0] // 100 == Z_tgt[0] // 100
        for image, Z in ((I_src, Z_src), (I_tgt, Z_tgt)):
            assert torch.allclose(image * 255, Z[0] % 100 * torch.ones(3, 8, 8)), (
                "the picture is the attributes' frame"
            )
        seen.add((int(Z_src[0]), int(Z_tgt[0])))
    assert len(seen) > 300, "pairs are not repeated"


def test_failed_frames_and_held_out_probes_are_never_drawn():
    valid = np.arange(20) % 2 == 0
    pairs = islice(frame_pairs([Toy(0, valid=valid)], torch.Generator()), 100)
    assert all(Z[0] % 2 == 0 for pair in pairs for Z in (pair[1], pair[3]))
    probes = islice(frame_pairs([Toy(0, T=90, kind="probe")], torch.Generator()), 400)
    drawn = {int(pair[k][0]) for pair in probes for k in (1, 3)}
    assert drawn == set(range(PROBE_TRAIN))


def test_pictures_come_in_the_size_asked_for():
    clip = Toy(0)
    image = next(frame_pairs([clip], torch.Generator(), size=4))[0]
    assert image.shape == (3, 4, 4)


def test_few_clips_are_decoded_and_each_as_often(count):
    clips, alive = [Toy(n) for n in range(40)], set()
    stream = decoded(
        clips,
        lambda clip: (clip.features(), clip.n),
        torch.Generator().manual_seed(0),
        keep=4,
        uses=8,
    )
    next(stream)
    assert sum(count.values()) == 4, "not more than the pool before the first draw"
    used = Counter({n: 0 for n in range(40)})
    for _, n in islice(stream, 40 * 8 * 3):
        used[n] += 1
        alive.add(n)
    assert alive == set(range(40)) and sum(count.values()) <= 40 * 3 + 4, (
        "one decoding serves eight draws"
    )
    assert max(used.values()) <= 32 and min(used.values()) >= 12, "about 24 each"


def test_a_corpus_that_fits_is_read_once(count):
    list(islice(windows([Toy(n) for n in range(3)], 7, torch.Generator()), 500))
    assert count == {0: 1, 1: 1, 2: 1}


def test_clips_that_cannot_be_used_are_passed_over_with_one_warning():
    clips = [Toy(0), Toy(1, T=3), Clip("no csv", "train"), Toy(2), Toy(3, T=4)]
    with pytest.warns(UserWarning, match="passed over; the first") as said:
        stream = windows(clips, 7, torch.Generator().manual_seed(0), keep=1)
        drawn = {int(A[0, 0]) // 100 for A, _ in islice(stream, 200)}
    assert drawn == {0, 2} and len(said) == 1


@pytest.mark.parametrize(
    "clips, words",
    [
        ([], "no clips to draw from"),
        ([Toy(0, T=3)] * 500, "100 clips in a row"),
        ([Toy(0, T=3)], "fewer than a window of 7"),
    ],
)
def test_nothing_to_draw_ends_in_one_sentence(clips, words):
    with (
        pytest.warns(UserWarning) if len(clips) > 1 else nothing(),
        pytest.raises(InputError, match=words),
    ):
        next(windows(clips, 7, torch.Generator()))


def nothing():
    from contextlib import nullcontext

    return nullcontext()


def test_the_sample_corpus_streams_its_exact_motion():
    from dirfa_edu import Corpus

    clip = Corpus("samples").select(split="test", kind="speech", rendered=True)[0]
    frames, clean = clip.frames(), clip.truth()["clean"]
    for I_src, Z_src, _, _ in islice(frame_pairs([clip], np.random.default_rng(0)), 3):
        t = int(np.abs(clean - Z_src.numpy()).sum(1).argmin())
        assert np.abs(clean[t] - Z_src.numpy()).max() < 1e-6
        assert (I_src.permute(1, 2, 0) * 255 - torch.from_numpy(frames[t])).abs().max() < 0.01
