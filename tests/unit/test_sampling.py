"""Sampling: the right distribution, repeatable, and controllable."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dirfa_edu import audio, sampling
from dirfa_edu.animation import GROUPS
from dirfa_edu.control import Control
from dirfa_edu.data.corpus import Corpus
from dirfa_edu.discretize import Discretizer
from dirfa_edu.files import InputError
from dirfa_edu.mapper import NO_AUDIO, MapperConfig, MappingNetwork
from dirfa_edu.sampling import ENGINES, Decoder, Stream, engine_for, generate
from dirfa_edu.training import load_pretrained


@pytest.fixture(scope="module")
def mapper():
    torch.manual_seed(0)
    net = MappingNetwork(MapperConfig(bins=30, tau=6, d_model=32, layers=2, heads=4)).eval()
    net.discretizer = Discretizer(np.zeros(23), np.r_[np.full(17, 5.0), np.full(6, 1.0)], 30)
    return net


A = np.random.default_rng(0).random((70, 400)).astype(np.float32)


def test_same_seed_same_animation_and_samples_differ(mapper):
    first, again = generate(mapper, A, 3, seed=5), generate(mapper, A, 3, seed=5)
    assert np.array_equal(first, again)
    assert np.abs(first[0] - first[1]).mean() > 0.01 and np.abs(first[1] - first[2]).mean() > 0.01
    assert np.abs(first - generate(mapper, A, 3, seed=6)).mean() > 0.01


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("settings", [{}, {"guidance": 1.0, "top_p": 0.8}])
def test_sample_i_does_not_depend_on_how_many_are_drawn(mapper, settings, engine):
    many = generate(mapper, A, 9, seed=1, engine=engine, **settings)
    for n in (1, 2, 4, 6):
        assert np.array_equal(many[:n], generate(mapper, A, n, seed=1, engine=engine, **settings))


def test_both_engines_are_one_function_on_ten_seconds_of_speech():
    """The shipped network, ten seconds, the fast engine told what the plain one drew."""
    net = load_pretrained("mapper")
    clips = Corpus("samples").select(split="test", kind="speech")
    heard = torch.from_numpy(np.concatenate([clip.features() for clip in clips[:4]])[:250])
    plain, fast = Decoder(net, 3, engine="plain"), Decoder(net, 3, engine="fast")
    same = total = 0
    for A_t in heard:
        with torch.inference_mode():
            wanted, found = plain.logits(A_t), fast.logits(A_t)
            assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()
            y = plain.draw(wanted)
            same += (fast.draw(found) == y).sum().item()
            total += y.numel()
        plain.y = fast.y = y
        plain.t = fast.t = plain.t + 1
    assert total == 250 * 3 * 23 and same >= 0.999 * total


def test_the_fast_engine_is_compiled_once_for_all_sizes(mapper):
    from dirfa_edu.fast.decode import block, product

    sizes = dict(d_model=16, layers=1, heads=2), dict(d_model=24, layers=3, heads=4, reach=0)
    for size in (*sizes, dict(history=False, layers=1), dict(probabilistic=False, layers=1)):
        net = MappingNetwork(MapperConfig(bins=9, tau=5, **size)).eval()
        net.discretizer = Discretizer(np.zeros(23), np.ones(23), 9)
        for samples in (1, 4, 5):
            generate(net, A[:7], samples, engine="fast")
    assert len(block.signatures) == len(product.signatures) == 1


def test_speech_of_a_minute_takes_the_fast_engine_by_itself(mapper, monkeypatch):
    taken = []
    monkeypatch.setattr(
        sampling, "engine_for", lambda *given: taken.append(given[2]) or engine_for(*given)
    )
    monkeypatch.setattr(sampling, "LONG", 20)
    for T, engine in ((19, None), (20, None), (20, "plain"), (5, "fast")):
        generate(mapper, A[:T], 1, engine=engine)
    assert taken == ["plain", "fast", "plain", "fast"]
    with pytest.raises(InputError, match="engine 'quick'"):
        generate(mapper, A, engine="quick")


def test_a_face_does_not_depend_on_the_number_of_threads(mapper):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = generate(mapper, A, 3, seed=2)
        torch.set_num_threads(2)
        assert np.array_equal(generate(mapper, A, 3, seed=2), alone)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


SPEECH = (np.random.default_rng(7).normal(size=30_000) * np.linspace(0.02, 0.2, 30_000)).astype(
    np.float32
)


@pytest.mark.parametrize("pieces", [[1000], [64, 9000, 3], [30_000]])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"engine": "fast"},
        {"smooth": 2, "control": Control(pins=[("AU12", 0.4, 0.8, 3.0)])},
        {"guidance": 1.0, "top_p": 0.8},
    ],
)
def test_a_stream_gives_the_bits_of_one_shot_whatever_the_pieces(mapper, pieces, settings):
    gain = audio.loudness_gain(SPEECH)
    whole = generate(mapper, audio.frame_features(SPEECH), 2, seed=9, **settings)
    stream, got, at = Stream(mapper, gain, samples=2, seed=9, **settings), [], 0
    for n in pieces * (len(SPEECH) // sum(pieces) + 1):
        got.append(stream.feed(SPEECH[at : at + n]))
        at += n
    # frames came before the end
    assert len(pieces) == 1 or sum(len(piece[0]) > 0 for piece in got) > 1
    got.append(stream.finish())
    assert np.array_equal(np.concatenate(got, axis=1), whole)


def test_pose_is_smoothed_late_and_aus_are_left_alone(mapper):
    plain, smooth = (generate(mapper, A, 2, seed=1, smooth=reach) for reach in (0, 2))
    assert np.array_equal(plain[..., :17], smooth[..., :17])
    padded = np.pad(plain[..., 17:], ((0, 0), (2, 2), (0, 0)), mode="edge")
    weights = np.array([1, 2, 3, 2, 1]) / 9
    by_hand = sum(w * padded[:, i : i + len(A)] for i, w in enumerate(weights))
    assert np.allclose(smooth[..., 17:], by_hand, atol=1e-5)
    for T in (1, 2, 3):  # shorter than the filter
        assert generate(mapper, A[:T], 1, smooth=4).shape == (1, T, 23)


def test_the_strict_window_is_eq_3_to_the_letter(mapper):
    """Frame t from tokens t-5 .. t alone (tau 6); the ring, with two layers, sees further back."""
    decoder, ys = Decoder(mapper, 1, top_k=1, guidance=0, engine="strict"), [mapper.start(1)[0, 0]]
    for t in range(30):
        first = max(0, t - 5)
        with torch.no_grad():
            window = torch.from_numpy(A[None, first : t + 1]), torch.stack(ys[first : t + 1])[None]
            wanted = mapper(*window)[0, -1].argmax(-1)
        ys.append(decoder.next(torch.from_numpy(A[t]))[0])
        assert torch.equal(ys[-1], wanted)
    ring, strict = (generate(mapper, A, 1, seed=3, engine=engine) for engine in ("plain", "strict"))
    assert np.array_equal(ring[:, :6], strict[:, :6]) and not np.array_equal(ring, strict)


def test_with_one_layer_ring_and_strict_window_are_the_same():
    torch.manual_seed(0)
    net = MappingNetwork(MapperConfig(bins=30, tau=6, d_model=32, layers=1, heads=4)).eval()
    net.discretizer = Discretizer(np.zeros(23), np.ones(23), 30)
    ring, strict = (generate(net, A, 2, seed=3, engine=engine) for engine in ("plain", "strict"))
    assert np.array_equal(ring, strict)


def test_no_attribute_goes_faster_than_its_speed(mapper):
    before = mapper.discretizer
    # natural: two and a half bins
    mapper.discretizer = replace(before, speed=np.full(23, 2.5) * before.width)
    try:
        free, slow = (
            generate(mapper, A, 4, seed=1, top_k=30, temperature=3.0, speed=speed) / before.width
            for speed in (np.inf, {"lips": np.inf, "upper": 2.0, "blink": np.inf, "pose": 3.0})
        )
    finally:
        mapper.discretizer = before
    steps = np.abs(np.diff(slow, axis=1)).max((0, 1))  # (23,) bins
    assert steps[GROUPS["upper"]].max() == pytest.approx(5, abs=0.01)
    assert steps[GROUPS["pose"]].max() == pytest.approx(7, abs=0.01)
    assert steps[GROUPS["lips"]].min() > 10 and np.abs(np.diff(free, axis=1)).max((0, 1)).min() > 10
    # before the first frame there is nothing to be near to
    assert np.array_equal(slow[:, 0], free[:, 0])


def test_guidance_adds_what_the_audio_changed(mapper):
    decoder, y = (
        Decoder(mapper, 1, top_k=1, guidance={"lips": 2.0, "upper": 0, "blink": 0, "pose": 0}),
        mapper.start(1),
    )
    w = torch.zeros(23)
    w[GROUPS["lips"]] = 2.0
    with torch.no_grad():
        for t in range(12):
            heard = torch.from_numpy(A[None, : t + 1])
            with_audio, without = (
                mapper(x, y)[0, -1] for x in (heard, torch.full_like(heard, NO_AUDIO))
            )
            wanted = (with_audio + w[:, None] * (with_audio - without)).argmax(-1)
            found = decoder.next(torch.from_numpy(A[t]))[0]
            assert torch.equal(found, wanted)
            y = torch.cat([y, found[None, None]], dim=1)
    assert not np.array_equal(
        generate(mapper, A, 2, guidance=0.0), generate(mapper, A, 2, guidance=1.0)
    )


def test_top_p_is_set_per_group(mapper):
    tight = generate(mapper, A, 2, seed=3, top_p=1e-6)
    assert np.array_equal(tight[0], tight[1])
    loose = generate(
        mapper, A, 2, seed=3, top_p={"lips": 1e-6, "upper": 1e-6, "blink": 1e-6, "pose": 1.0}
    )
    assert (
        np.array_equal(loose[0, :1, :17], loose[1, :1, :17])
        and (loose[0, :, 17:] != loose[1, :, 17:]).any()
    )


def test_greedy_decoding_equals_full_recompute(mapper):
    y = mapper.start(1)  # (1, 1, 23)
    with torch.no_grad():
        for t in range(40):
            logits = mapper(torch.from_numpy(A[None, : t + 1]), y)
            y = torch.cat([y, logits[:, -1:].argmax(-1)], 1)
    ours = generate(mapper, A[:40], 1, top_k=1, guidance=0)[0]
    assert np.array_equal(mapper.discretizer.decode(y[0, 1:].numpy()), ours)


def test_settings_may_be_given_per_group_or_attribute(mapper):
    tight = generate(mapper, A, 2, seed=3, top_k={"lips": 1, "upper": 1, "blink": 1, "pose": 1})
    assert np.array_equal(tight[0], tight[1])
    loose = generate(
        mapper, A, 2, seed=3, top_k={"lips": 1, "upper": 1, "blink": 1, "pose": 1, "AU12": 20}
    )
    assert (loose[0][:, 8] != loose[1][:, 8]).any()


@pytest.mark.parametrize(
    "call, word",
    [
        (dict(A=A[:, :399]), "400"),
        (dict(A=A[:0]), "400"),
        (dict(samples=0), "at least 1"),
        (dict(temperature=0.0), "temperature"),
        (dict(top_k={"nose": 3}), "nose"),
        (dict(top_p=0.0), "top_p"),
        (dict(top_p=1.5), "top_p"),
        (dict(guidance=-1), "guidance"),
        (dict(smooth=-1), "smoothing"),
    ],
)
def test_bad_settings_end_in_one_sentence(mapper, call, word):
    with pytest.raises(InputError, match=word):
        generate(mapper, **{"A": A, **call})


def test_unless_told_otherwise_each_group_has_its_own_k_and_temperature_and_nothing_is_guided(
    mapper,
):
    for D, lips, pose in ((500, 10, 120), (1000, 20, 240), (30, 1, 7)):  # k counts bins of .01
        net = MappingNetwork(MapperConfig(bins=D, d_model=16, layers=1, heads=2)).eval()
        net.discretizer = Discretizer(np.zeros(23), np.ones(23), D)
        decoder, told = Decoder(net, 1), Decoder(net, 1, top_k={"pose": 9, "lips": 1e9})
        assert (decoder.settings.k[GROUPS["lips"]] == lips).all() and (
            decoder.settings.k[GROUPS["pose"]] == pose
        ).all()
        # not scaled, D at most
        assert (told.settings.k[GROUPS["pose"]] == 9).all() and (
            told.settings.k[GROUPS["lips"]] == D
        ).all()
        assert (Decoder(net, 1, top_k=0.2).settings.k == 1).all()
    assert (decoder.settings.temperature[GROUPS["lips"]] == 0.5).all() and (
        decoder.settings.temperature[GROUPS["pose"]] == 1
    ).all()
    assert len(Decoder(net).y) == 3
    plain = generate(mapper, A[:12])
    assert np.array_equal(plain, generate(mapper, A[:12], 3, seed=0, guidance=0, top_p=1, smooth=0))


def test_noise_is_fresh_in_every_frame_of_every_attribute_and_sample(mapper):
    """Where the network has no opinion, draws are even and say nothing of each other, however many
    frames apart."""
    decoder = Decoder(
        mapper,
        2,
        top_k={"lips": 4, "upper": 4, "blink": 4, "pose": 3},
        temperature=1.0,
        speed=np.inf,
    )
    level = -1e-6 * torch.arange(30.0)  # of equals the lowest would be kept, or not
    decoder.logits = lambda heard: level.expand(2, 23, -1)
    y = torch.stack([decoder.next(torch.from_numpy(A[0])) for _ in range(192)])  # (192, 2, 23)
    assert y[..., :17].max() == 3 and y[..., 17:].max() == 2
    even = torch.bincount(y[..., :17].flatten(), minlength=4) / y[..., :17].numel()
    assert (even - 0.25).abs().max() < 0.025
    for gap in (1, 64, 128):  # noise is drawn for 64 frames at once
        assert (y[gap:, :, :17] == y[:-gap, :, :17]).float().mean() == pytest.approx(0.25, abs=0.03)
    assert (y[:, 0, :17] == y[:, 1, :17]).float().mean() == pytest.approx(0.25, abs=0.04)
    assert (y[:, :, 1:17] == y[:, :, :16]).float().mean() == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_network_is_told_what_is_pinned(engine):
    torch.manual_seed(1)
    net = MappingNetwork(MapperConfig(bins=30, tau=40, d_model=32, layers=1, heads=4)).eval()
    # training sets it, at the start it is 0
    net.pinned.data.normal_(generator=torch.Generator().manual_seed(2))
    net.discretizer = Discretizer(np.zeros(23), np.full(23, 5.0), 30)
    control = Control(pins=[("AU12", 0, 0.2, 3.0), ("AU01", 0.32, 0.6, 2.0)])
    decoder, y = (
        Decoder(net, 1, top_k=1, speed=np.inf, control=control, engine=engine),
        net.start(1),
    )
    marks = torch.stack(
        [
            torch.zeros(23) if held is None else held.float()
            for held in (decoder.control.pinned(t) for t in range(20))
        ]
    )
    assert marks[:, 8].any() and marks[:, 0].any() and not marks.all(0).any()
    with torch.no_grad():
        for t in range(20):
            logits, deaf = (
                net(torch.from_numpy(A[None, : t + 1]), y, pinned=pinned)[0, -1]
                for pinned in (marks[None, : t + 1], None)
            )
            found = decoder.next(torch.from_numpy(A[t]))[0]
            free = marks[t] == 0
            assert torch.equal(found[free], logits.argmax(-1)[free])
            assert t > 0 or not torch.equal(found[free], deaf.argmax(-1)[free])
            y = torch.cat([y, found[None, None]], dim=1)


def test_a_stream_is_one_sample_at_the_gain_of_1_and_before_a_frame_is_ready_it_gives_none(mapper):
    stream, told = Stream(mapper), Stream(mapper, gain=1.0, samples=1)
    early = stream.feed(SPEECH[:10])
    assert early.shape == (1, 0, 23) and early.dtype == np.float32
    told.feed(SPEECH[:10])
    later, same = (
        np.concatenate([s.feed(SPEECH[10:8000]), s.finish()], axis=1) for s in (stream, told)
    )
    assert later.shape == (1, 13, 23) and np.array_equal(later, same)


def test_progress_sees_every_frame_and_doubles_are_heard_like_floats(mapper):
    seen = []
    Y = generate(
        mapper,
        A[:9].astype(np.float64),
        1,
        progress=lambda frames: (seen.append(x) or x for x in frames),
    )
    assert len(seen) == 9 and np.array_equal(Y, generate(mapper, A[:9], 1))
