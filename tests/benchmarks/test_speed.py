"""Speed as ratios of two ways to do the same, measured in one run: one thread, interleaved, median of five.

    make bench
"""

import statistics
import time

import numpy as np
import pytest
import torch

from dirfa_edu import puppet
from dirfa_edu.actor import Actor
from dirfa_edu.animation import column
from dirfa_edu.discretize import Discretizer
from dirfa_edu.mapper import MapperConfig, MappingNetwork
from dirfa_edu.sampling import generate, top_k_sample

REPEATS = 5


def ratio(slow, fast, name):
    """Median time of `slow` over median time of `fast`, the two interleaved."""
    times = ([], [])
    slow(), fast()  # warm
    for _ in range(REPEATS):
        for run, kept in zip((slow, fast), times):
            start = time.perf_counter()
            run()
            kept.append(time.perf_counter() - start)
    a, b = (statistics.median(each) for each in times)
    print(f"\n{name}: {1000 * a:.2f} ms against {1000 * b:.2f} ms, ratio {a / b:.2f}")
    return a / b


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    built = MappingNetwork(MapperConfig(d_model=256, layers=4, heads=8)).eval()
    built.discretizer = Discretizer(np.zeros(23), np.full(23, 5.0), 500)
    return built


def audio(T):
    return np.random.default_rng(0).normal(size=(T, 400)).astype(np.float32)


def recompute(network, A, frames):
    """The naive loop: run the whole prefix again for every new frame."""
    A = torch.from_numpy(A)[None]
    y = network.start(1)
    with torch.inference_mode():
        for t in range(frames):
            logits = network(A[:, :t + 1], y)[:, -1]  # (1, 23, D)
            y = torch.cat([y, top_k_sample(logits, 10)[:, None]], dim=1)


def test_ring_decode_against_full_recompute(network):
    A = audio(100)
    assert ratio(lambda: recompute(network, A, 100), lambda: generate(network, A, samples=1),
                 "100 frames, whole prefix again against ring") > 2


def test_a_late_frame_costs_what_an_early_one_does(network):
    rings, y = network.new_rings(1), network.start(1)[:, 0]
    A = torch.from_numpy(audio(1))

    def frames(t0):
        with torch.inference_mode():
            for t in range(t0, t0 + 50):
                network.step(A, y, rings, t)

    assert ratio(lambda: frames(1500), lambda: frames(50), "frames 1500-1549 against 50-99") < 1.15


def test_sixteen_samples_against_one(network):
    A = audio(30)
    assert ratio(lambda: generate(network, A, samples=16), lambda: generate(network, A, samples=1),
                 "16 samples against 1") < 6


def test_gumbel_top_k_against_softmax_and_multinomial():
    logits = torch.randn(23, 500)

    def softmax():
        threshold = logits.topk(10).values[:, -1:]
        torch.multinomial(logits.masked_fill(logits < threshold, -torch.inf).softmax(-1), 1)

    def many(draw):
        return lambda: [draw() for _ in range(200)]

    assert ratio(many(softmax), many(lambda: top_k_sample(logits, 10)), "softmax + multinomial against Gumbel") > 1


@pytest.mark.parametrize("name, hair", [("lars", "bald"), ("hugo", "short"), ("leila", "curly"), ("clara", "long")])
def test_faces_a_second_at_128_pixels(name, hair):
    """Printed by processor time; the bound is a ratio, to the same face at four times the pixels."""
    actor, Z = Actor(name), np.zeros(23)

    def faces(size):
        for i in range(20):
            Z[column("AU26")], Z[column("pose_Ry")] = i / 5, i / 100
            actor.render(Z, size)

    faces(128), faces(256)  # warm
    spent = {128: [], 256: []}
    for _ in range(REPEATS):
        for size, kept in spent.items():
            start = time.process_time()
            faces(size)
            kept.append(time.process_time() - start)
    small, large = (statistics.median(each) for each in spent.values())
    print(f"\n{name}, {hair} hair: {20 / small:.1f} faces a second at 128 px, {20 / large:.1f} at 256 px")
    assert large < 4 * small


def test_slider_faces_a_second():
    moving = puppet.Puppet("anna")

    def drag():
        for value in np.linspace(0, 5, 21)[1:]:
            moving.sliders["AU12"].value = value
        moving.sliders["AU12"].value = 0

    drag()
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        drag()
        seconds.append(time.process_time() - start)
    print(f"\nchapter 01's sliders: {21 / statistics.median(seconds):.1f} faces a second")
