"""Speed of the generation network, one thread, median of five. Frames a second are of this
processor; the training step is a ratio, to the same step without what makes ours fast.

    make bench
"""

import statistics
import subprocess
import sys
import time
from copy import deepcopy

import numpy as np
import pytest
import torch
from test_speed import REPEATS, one_thread, ratio, slider_faces_a_second  # noqa: F401  (a fixture)

from dirfa_edu import losses
from dirfa_edu.course import puppet
from dirfa_edu.examples import random_turns
from dirfa_edu.faces.identity import load_face_resnet
from dirfa_edu.files import data_path
from dirfa_edu.generator import GenerationNetwork, GeneratorConfig
from dirfa_edu.runs import cpu_has_bf16
from dirfa_edu.talk import encode_portrait, render_frames

bf16 = pytest.mark.skipif(not cpu_has_bf16(), reason="this processor has no bfloat16")


@bf16
@pytest.mark.parametrize("size, least", [(128, 100), (256, 20)])
def test_frames_a_second(size, least):
    G = GenerationNetwork(GeneratorConfig(size=size)).eval().to(memory_format=torch.channels_last)
    face, Y = (
        encode_portrait(G, np.full((size, size, 3), 128, np.uint8)),
        np.zeros((48, 23), np.float32),
    )
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        assert sum(1 for _ in render_frames(G, face, Y)) == 48
        seconds.append(time.perf_counter() - start)
    rate = 48 / statistics.median(seconds)
    print(f"\n{size} px: {rate:.0f} frames a second in bf16 on one thread")
    assert rate >= least


def test_operations_of_a_frame():
    from torch.utils.flop_counter import FlopCounterMode

    G = GenerationNetwork(GeneratorConfig(size=256)).eval()
    with torch.inference_mode():
        source = G.encode(torch.rand(1, 3, 256, 256))
        with FlopCounterMode(display=False) as counter:
            G.render(source, torch.zeros(1, 23))
    print(f"\n256 px: {counter.get_total_flops() / 1e9:.2f} GFLOP a frame, PIRender 123")
    assert counter.get_total_flops() <= 6.2e9


def training_step(fast):
    """A function that makes one step of `train_generator` before the discriminator joins, with or
    without bf16, channels_last and the fused optimizer."""
    torch.manual_seed(0)
    G, phi, noise = (
        GenerationNetwork(),
        deepcopy(load_face_resnet()),
        torch.Generator().manual_seed(0),
    )
    G, phi = (net.to(memory_format=torch.channels_last) if fast else net for net in (G, phi))
    optimizer = torch.optim.AdamW(G.parameters(), 4e-4, foreach=False, fused=fast)
    I_src, I_tgt = torch.rand(2, 8, 3, 128, 128, generator=noise)
    if fast:  # as `examples.pair_batch` gives them
        I_src, I_tgt = (x.to(memory_format=torch.channels_last) for x in (I_src, I_tgt))
    Z, turn = torch.zeros(8, 23), random_turns(8, noise)

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            I_hat, painted, keep, seen, seen_turned = G(I_src, Z, Z, turn)
            rec = losses.perceptual(phi.features(I_tgt), phi.features(I_hat))
        loss = (
            losses.layered(I_tgt, I_hat, painted, keep)
            + losses.keypoint_spread(seen)
            + rec
            + losses.equivariance(seen, seen_turned, turn)
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


@bf16
def test_training_step_against_plain_fp32():
    assert (
        ratio(
            training_step(False),
            training_step(True),
            "generator's training step, plain fp32 against ours",
        )
        >= 2
    )


@bf16
def test_ten_seconds_of_speech_become_a_film(tmp_path):
    """In a process of its own, on one core, without loading: features, animation, pictures, mp4
    with sound."""
    import soundfile

    speech, rate = soundfile.read(data_path("speech", "sonnet_2.wav"))
    soundfile.write(tmp_path / "ten.wav", speech[: 10 * rate], rate)
    script = (
        "import os, sys, torch; os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])\n"
        "torch.set_num_threads(1); from dirfa_edu.talk import talk\n"
        "run = lambda: talk(sys.argv[1], sys.argv[2], sys.argv[3], samples=1)['seconds']\n"
        "run(); print([sum(run()[part] for part in ('features', 'animation', 'video')) for _ in range(5)])"
    )
    given = [tmp_path / "ten.wav", data_path("portraits", "iris.png"), tmp_path]
    out = subprocess.run(
        [sys.executable, "-c", script, *given], capture_output=True, text=True, check=True
    ).stdout
    seconds = statistics.median(float(each) for each in out.strip("[]\n").split(", "))
    print(f"\n10 s of speech to mp4 at 128 px on one core: {seconds:.2f} s")
    assert seconds <= 3


def test_generated_slider_faces_a_second():
    rate = slider_faces_a_second(puppet.Puppet("anna", generated=True))  # long hair: slow to draw
    print(f"\nchapter 05's sliders: {rate:.1f} faces a second")
    assert rate >= 10
