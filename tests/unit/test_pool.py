"""A pool of decoded clips: few in memory, every clip in turn, repeatable, also after a break."""

import io
import weakref
from collections import Counter

import numpy as np
import pytest
import torch

from dirfa_edu.data.corpus import PROBE_TRAIN, Clip
from dirfa_edu.data.pool import Pool
from dirfa_edu.examples import MIRRORED, pair_batch, read_footage, training_footage
from dirfa_edu.files import InputError


class Toy:
    """A clip whose every number says which clip and frame it is; `read` counts its decodings."""

    read = Counter()

    def __init__(self, n, T=20, kind="real", valid=None):
        self.n, self.T, self.kind, self.name = n, T, kind, f"toy {n}"
        self.mask = np.ones(T, bool) if valid is None else valid

    def animation(self):
        return np.tile(100 * self.n + np.arange(self.T, dtype=np.float32)[:, None], 23)

    def truth(self):
        raise InputError("nobody knows")

    def valid(self):
        return self.mask

    def frames(self):
        Toy.read[self.n] += 1
        picture = np.arange(self.T, dtype=np.uint8)[:, None, None, None]
        return np.broadcast_to(picture, (self.T, 8, 8, 3)).copy()


@pytest.fixture(autouse=True)
def count():
    Toy.read = Counter()
    return Toy.read


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def footage_of(clip):
    return training_footage(clip, 8)


def frame_numbers(Z):
    """Which clip and which frame attributes (..., 23) say they are, also in the mirror."""
    number = Z[..., 0].int()
    return number // 100, number % 100


def test_pairs_are_two_frames_of_one_clip():
    pool, seen = Pool([Toy(n) for n in range(5)], footage_of, seeded(1)), set()
    for _ in range(50):
        I_src, Z_src, I_tgt, Z_tgt = pair_batch(pool, 8, pool.noise)
        (clip, src), (same, tgt) = frame_numbers(Z_src), frame_numbers(Z_tgt[:, 0])
        assert torch.equal(clip, same)
        for picture, t in ((I_src, src), (I_tgt, tgt)):  # the picture is the attributes' frame
            assert torch.allclose(picture * 255, t[:, None, None, None].float().expand(8, 3, 8, 8))
        seen |= set(zip(clip.tolist(), src.tolist(), tgt.tolist()))
    assert len(seen) > 300  # pairs are not repeated


def test_failed_frames_and_held_out_probes_are_never_drawn():
    valid = np.arange(20) % 2 == 0
    pool = Pool([Toy(0, valid=valid)], footage_of, seeded())
    _, Z_src, _, Z_tgt = pair_batch(pool, 100, pool.noise)
    assert (Z_src[:, 0] % 2 == 0).all() and (Z_tgt[:, 0, 0] % 2 == 0).all()

    pool = Pool([Toy(0, T=90, kind="probe")], footage_of, seeded())
    _, Z_src, _, Z_tgt = pair_batch(pool, 400, pool.noise)
    drawn = {int(z) for z in torch.cat([Z_src[:, 0], Z_tgt[:, 0, 0]])}
    assert drawn == set(range(PROBE_TRAIN))
    assert len(pool.draw().frames) == PROBE_TRAIN  # the others are not even kept
    assert len(read_footage(Toy(0, T=90, kind="probe"), 8).frames) == 90  # but may be tested on


def test_neighbours_of_a_frame_are_neighbours_in_time_also_beside_failed_ones():
    valid = np.arange(20) % 4 == 0
    pool = Pool([Toy(0, valid=valid)], footage_of, seeded())
    *_, Z_tgt = pair_batch(pool, 100, pool.noise, window=3)
    before, now, after = Z_tgt[:, :, 0].unbind(1)
    assert (now % 4 == 0).all() and torch.equal(after, now + 1)
    assert torch.equal(before, (now - 1).clamp(min=0))


def test_pictures_come_in_the_size_asked_for():
    footage = read_footage(Toy(0), 4)
    assert footage.frames.shape == (20, 3, 4, 4) and footage.frames.dtype == torch.uint8
    assert torch.equal(footage.frames[:, 0, 0, 0], torch.arange(20, dtype=torch.uint8))


def test_few_clips_are_decoded_and_each_is_used_as_often(count):
    pool = Pool([Toy(n) for n in range(40)], lambda c: (c.frames(), c.n), seeded(), keep=4, uses=8)
    assert not count, "nothing is decoded before the first draw"
    pool.draw()
    assert sum(count.values()) == 4, "and then not more than the pool keeps"
    used = Counter(pool.draw()[1] for _ in range(40 * 8 * 3))
    assert set(used) == set(range(40)) and sum(count.values()) <= 40 * 3 + 4, (
        "one decoding serves eight draws"
    )
    assert max(used.values()) <= 32 and min(used.values()) >= 12, "about 24 each"


def test_never_more_clips_than_kept_are_in_memory():
    decoded = []

    def read(clip):
        assert sum(there() is not None for there in decoded) < 4  # room for this one
        item = np.zeros(3)
        decoded.append(weakref.ref(item))
        return item

    pool = Pool([Toy(n) for n in range(60)], read, seeded(), keep=4, uses=3)
    for _ in range(400):
        pool.draw()
    assert len(decoded) > 100


def test_a_corpus_that_fits_is_read_once(count):
    probe = Toy(7)
    pool = Pool([Toy(0), Toy(1), probe, probe], lambda c: c.frames() is None or c.n, seeded())
    for _ in range(400):
        pool.draw()
    assert count == {0: 1, 1: 1, 7: 1}  # also the one that stands twice in the list


def test_a_clip_listed_twice_is_drawn_twice_as_often():
    twice = Toy(7)
    pool = Pool([Toy(0), twice, twice], lambda clip: clip.n, seeded())
    drawn = Counter(pool.draw() for _ in range(600))
    assert 1.6 < drawn[7] / drawn[0] < 2.5


@pytest.mark.parametrize("keep", [4, 100])
@pytest.mark.parametrize("after", [0, 1, 37, 200])
def test_a_pool_goes_on_where_another_stopped(keep, after):
    clips = [Toy(n) if n % 9 else Toy(n, T=1) for n in range(40)]  # some cannot be used

    def make():
        return Pool(clips, footage_of, seeded(3), keep=keep, uses=3)

    with pytest.warns(UserWarning):
        whole = make()
        expected = [int(whole.draw().Z[0, 0]) for _ in range(after + 300)][after:]
    with pytest.warns(UserWarning):
        first = make()
        for _ in range(after):
            first.draw()
        state, dice = first.state_dict(), first.noise.get_state()
        torch.save(state, file := io.BytesIO())
        file.seek(0)
        second = make()
        second.load_state_dict(torch.load(file, weights_only=True))  # as from a checkpoint
        second.noise.set_state(dice)
        assert [int(second.draw().Z[0, 0]) for _ in range(300)] == expected


def test_a_pool_of_other_clips_is_one_sentence():
    state = Pool([Toy(0)], footage_of, seeded()).state_dict()
    with pytest.raises(InputError, match="1 clips, not 2"):
        Pool([Toy(0), Toy(1)], footage_of, seeded()).load_state_dict(state)


@pytest.mark.parametrize("keep", [1, 100])
def test_clips_that_cannot_be_used_are_passed_over_with_one_warning(count, keep):
    clips = [Toy(0), Toy(1, T=1), Clip("no film", "train"), Toy(2), Toy(3, T=1)]
    pool = Pool(clips, footage_of, seeded(), keep=keep, uses=4)
    with pytest.warns(UserWarning, match="passed over; the first") as said:
        drawn = {int(pool.draw().Z[0, 0]) // 100 for _ in range(200)}
    assert drawn == {0, 2} and len(said) == 1
    assert count[1] == count[3] == 1, "and are not tried again"


@pytest.mark.parametrize(
    "clips, words",
    [
        ([], "no clips to draw from"),
        ([Toy(n, T=1) for n in range(500)], "100 clips in a row"),
        ([Toy(0, T=1)], "fewer than two frames"),
        ([Toy(0, T=1), Toy(1, T=1)], "2 clips in a row.*toy 1 has fewer than two frames"),
    ],
)
@pytest.mark.filterwarnings("ignore:clips that cannot be used")
def test_nothing_to_draw_ends_in_one_sentence(clips, words):
    with pytest.raises(InputError, match=words):
        Pool(clips, footage_of, seeded()).draw()


@pytest.mark.filterwarnings("ignore:clips that cannot be used")
def test_clips_that_vanish_while_they_are_used_end_in_one_sentence_too():
    gone = []

    def read(clip):
        if gone:
            raise InputError(f"no film of {clip.name}")
        return clip.n

    pool = Pool([Toy(n) for n in range(9)], read, seeded(), keep=2, uses=1)
    assert pool.draw() in range(9)
    gone.append(True)
    with pytest.raises(InputError, match="9 clips in a row"):
        for _ in range(20):
            pool.draw()


def test_the_sample_corpus_gives_its_exact_motion():
    from dirfa_edu import Corpus

    clip = Corpus("samples").select(split="test", kind="speech", rendered=True)[0]
    frames, clean = clip.frames(), clip.truth()["clean"]
    pool = Pool([clip], lambda clip: training_footage(clip, 128), seeded())
    I_src, Z_src, _, _ = pair_batch(pool, 3, pool.noise)
    for picture, Z in zip(I_src, Z_src):
        sides = {t: np.abs(clean - x.numpy()).sum(1) for t, x in ((1, Z), (-1, Z * MIRRORED))}
        side = min(sides, key=lambda s: sides[s].min())
        t = int(sides[side].argmin())
        assert sides[side][t] < 1e-4
        shown = picture if side == 1 else picture.flip(-1)
        assert (shown.permute(1, 2, 0) * 255 - torch.from_numpy(frames[t])).abs().max() < 0.01
