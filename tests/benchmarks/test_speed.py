"""Speed as ratios to a named peer in the same run: one thread, interleaved, median of five.

Bounds are ratios, because they hold on any machine of the kind; frames a second are printed beside
the machine's name, and never asserted.

    make bench
"""

import platform
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from dirfa_edu.actors.actor import Actor
from dirfa_edu.animation import column
from dirfa_edu.course import puppet
from dirfa_edu.discretize import Discretizer
from dirfa_edu.fast import draw as fast
from dirfa_edu.fast.decode import FastEngine
from dirfa_edu.mapper import MapperConfig, MappingNetwork
from dirfa_edu.runs import cpu_has_bf16
from dirfa_edu.sampling import generate, gumbel, top_k_sample

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


def machine():
    """The processor's name, for figures that hold on it alone."""
    info = Path("/proc/cpuinfo")
    names = (
        re.findall(r"model name\s*: (.+)", info.read_text(encoding="utf-8"))
        if info.is_file()
        else []
    )
    return names[0] if names else platform.processor()


def rate(run, n, what):
    """Print how often a second `run`, which does a thing n times, does it: median of five."""
    run()  # warm
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    print(f"\n{what}: {n / statistics.median(seconds):.1f} a second on {machine()}")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    # the paper's plain head: as many logits as the peers have
    built = MappingNetwork(MapperConfig(d_model=256, layers=4, heads=8, reach=0)).eval()
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
            logits = network(A[:, : t + 1], y)[:, -1]  # (1, 23, D)
            y = torch.cat([y, top_k_sample(logits, 10)[:, None]], dim=1)


def ours(network, samples=1, frames=100):
    """A function that draws `frames` frames of `samples` faces in the fast engine."""
    A = audio(frames)
    return lambda: generate(network, A, samples=samples, top_k=10, engine="fast")


def test_ring_decode_against_full_recompute(network):
    A = audio(100)
    name = "100 frames, whole prefix again against ring"
    assert ratio(lambda: recompute(network, A, 100), ours(network), name) > 2


def test_compiled_frames_against_plain_ones(network):
    A = audio(100)

    def plain():
        return generate(network, A, samples=1, top_k=10, engine="plain")

    assert ratio(plain, ours(network), "100 frames, plain engine against fast") >= 1.5


def frames_by_gpt2(frames, batch=1):
    """Hugging Face's GPT-2 of the same width, depth and number of logits, with its cache."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=11_500,
        n_embd=256,
        n_layer=4,
        n_head=8,
        n_positions=1024,
        bos_token_id=0,
        eos_token_id=None,
        pad_token_id=0,
    )
    model = GPT2LMHeadModel(config).eval()
    prompt = torch.zeros(batch, 1, dtype=torch.long)
    length = {"max_new_tokens": frames, "min_new_tokens": frames}
    drawing = {"do_sample": True, "top_k": 10, "use_cache": True}

    def run():
        with torch.inference_mode():
            mask = torch.ones_like(prompt)
            out = model.generate(prompt, attention_mask=mask, **length, **drawing)
        assert out.shape == (batch, frames + 1)

    return run


def frames_by_x_transformers(frames):
    """x-transformers of the same width, depth and number of logits, with its key/value cache."""
    from x_transformers import AutoregressiveWrapper, Decoder, TransformerWrapper

    layers = Decoder(dim=256, depth=4, heads=8, attn_dim_head=32)
    model = AutoregressiveWrapper(
        TransformerWrapper(num_tokens=11_500, max_seq_len=1024, attn_layers=layers)
    ).eval()
    prompt = torch.zeros(1, 1, dtype=torch.long)

    def run():
        with torch.inference_mode():
            out = model.generate(prompt, frames, cache_kv=True)
        assert out.shape[1] == frames

    return run


@pytest.mark.parametrize("peer, least", [(frames_by_gpt2, 2.2), (frames_by_x_transformers, 2.5)])
def test_decoding_against_language_models_with_a_cache(network, peer, least):
    assert ratio(peer(100), ours(network), f"100 frames, {peer.__name__} against ours") >= least


def test_sixteen_samples_against_sixteen_single_ones(network):
    one = ours(network, frames=30)
    name = "16 runs of 1 sample against 1 run of 16"
    assert ratio(lambda: [one() for _ in range(16)], ours(network, 16, 30), name) >= 3


def test_sixteen_samples_against_a_batch_of_gpt2(network):
    name = "30 frames of 16, GPT-2 against ours"
    assert ratio(frames_by_gpt2(30, batch=16), ours(network, 16, 30), name) >= 1.2


def naive_step(net, optimizer, A, y_previous, y):
    """The textbook training step: attention by hand, a one-hot target, all logits at once."""
    x, mask = net.token(net.hear(A), y_previous), net.mask(A.shape[1])
    for block in net.blocks:
        B, T, d = x.shape
        qkv = (
            block.qkv(block.norm_attention(x)).view(B, T, 3, block.heads, -1).permute(2, 0, 3, 1, 4)
        )
        Q, K, V = qkv  # each (B, H, T, N_k)
        W = torch.softmax(Q @ K.transpose(-1, -2) / Q.shape[-1] ** 0.5 + mask, dim=-1)
        x = x + block.out((W @ V).transpose(1, 2).reshape(B, T, d))
        x = x + block.feed(block.norm_feed(x))
    target = torch.nn.functional.one_hot(y, net.config.bins).float()
    loss = -(target * torch.log_softmax(net.predict(x, y_previous), dim=-1)).sum(-1).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def our_step(net, optimizer, A, y_previous, y):
    loss = net.loss(A, y_previous, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def bf16_step(net, optimizer, A, y_previous, y):
    with torch.autocast("cpu", torch.bfloat16):
        loss = net.loss(A, y_previous, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def trainer(step, batch=8):
    """A function that makes one training step and returns its loss; the same start for both kinds
    of step."""
    torch.manual_seed(0)
    net = MappingNetwork(MapperConfig(dropout=0.0))
    settings = {"foreach": False, "fused": False} if step is naive_step else {"fused": True}
    optimizer = torch.optim.AdamW(net.parameters(), 3e-4, **settings)
    g = torch.Generator().manual_seed(0)
    y = torch.randint(200, 260, (batch, 101, 23), generator=g)
    data = torch.rand(batch, 100, 400, generator=g), y[:, :-1], y[:, 1:]
    return lambda: step(net, optimizer, *data)


def test_training_step_against_the_textbook():
    assert (
        ratio(trainer(naive_step), trainer(our_step), "training step, textbook against ours")
        >= 1.35
    )


def test_both_training_steps_are_one_function():
    naive, ours = trainer(naive_step, batch=2), trainer(our_step, batch=2)
    losses = np.array([[naive(), ours()] for _ in range(50)])
    assert losses[0, 0] - losses[-1, 0] > 0.5  # it learns
    worst = np.abs(losses[:, 0] - losses[:, 1]).max()
    print(f"\nloss of textbook and ours over 50 steps differ by {worst:.1e} at most")
    assert worst <= 1e-4


@pytest.mark.skipif(not cpu_has_bf16(), reason="this processor has no bfloat16")
def test_training_step_in_bf16_against_the_textbook():
    assert (
        ratio(
            trainer(naive_step), trainer(bf16_step), "training step, textbook against ours in bf16"
        )
        >= 3
    )


@pytest.mark.skipif(not cpu_has_bf16(), reason="this processor has no bfloat16")
def test_bf16_learns_the_same():
    naive, ours = trainer(naive_step), trainer(bf16_step)
    losses = np.array([[naive(), ours()] for _ in range(50)])
    worst = np.abs(losses[:, 1] / losses[:, 0] - 1).max()
    print(f"\nloss in bf16 over 50 steps is {100 * worst:.2f} % off at most")
    assert worst <= 0.01


def test_memory_of_a_training_step():
    """Peak beyond what the process has before its first step, each in a process of its own."""
    script = (
        "import re, sys; sys.path.insert(0, sys.argv[1]); import torch; torch.set_num_threads(1)\n"
        "import test_speed as t; step = t.trainer(getattr(t, sys.argv[2]))\n"
        "status = lambda: open('/proc/self/status').read()\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', status())[1])\n"  # KiB
        "before = peak(); step(); step(); print(peak() - before)"
    )
    here = str(Path(__file__).parent)
    spent = [
        int(
            subprocess.run(
                [sys.executable, "-c", script, here, name],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for name in ("naive_step", "our_step")
    ]
    print(
        f"\nmemory of a training step: {spent[0] / 1024:.0f} MiB against "
        f"{spent[1] / 1024:.0f} MiB, ratio {spent[1] / spent[0]:.2f}"
    )
    assert spent[1] <= 0.65 * spent[0]


def test_a_late_frame_costs_what_an_early_one_does(network):
    engine, y = FastEngine(network, 1), network.start(1)[:, 0]
    A = torch.from_numpy(audio(1))[0]

    def frames(t0):
        with torch.inference_mode():
            for t in range(t0, t0 + 50):
                engine(A, y, t)

    assert ratio(lambda: frames(1500), lambda: frames(50), "frames 1500-1549 against 50-99") <= 1.05


def test_gumbel_top_k_against_softmax_and_multinomial():
    logits = torch.randn(23, 500)
    rows, one = logits.numpy(), np.ones(23, np.float32)
    last, farthest = np.zeros(23, np.int64), np.full(23, np.inf, np.float32)

    def softmax():
        threshold = logits.topk(10).values[:, -1:]
        torch.multinomial(logits.masked_fill(logits < threshold, -torch.inf).softmax(-1), 1)

    def ours():
        fast.draw(rows, gumbel(torch.empty(23, 10)).numpy(), one, last, farthest)

    def many(draw):
        return lambda: [draw() for _ in range(200)]

    name = "softmax + multinomial against Gumbel"
    with torch.inference_mode():
        assert ratio(many(softmax), many(ours), name) >= 5


@pytest.mark.parametrize(
    "name, hair", [("lars", "bald"), ("hugo", "short"), ("leila", "curly"), ("clara", "long")]
)
def test_a_face_against_one_of_four_times_the_pixels(name, hair):
    actor, Z = Actor(name), np.zeros(23)

    def faces(size):
        for i in range(20):
            Z[column("AU26")], Z[column("pose_Ry")] = i / 5, i / 100
            actor.render(Z, size)

    rate(lambda: faces(128), 20, f"faces of {name} at 128 px, {hair} hair")
    compared = f"{name}, 256 px against 128 px"
    assert ratio(lambda: faces(256), lambda: faces(128), compared) < 4


def drag(moving):
    """A function that drags one slider of a puppet through 21 places."""

    def run():
        for value in np.linspace(0, 5, 21)[1:]:
            moving.sliders["AU12"].value = value
        moving.sliders["AU12"].value = 0

    return run


def test_slider_faces_a_second():
    rate(drag(puppet.Puppet("anna")), 21, "chapter 01's sliders: faces")
