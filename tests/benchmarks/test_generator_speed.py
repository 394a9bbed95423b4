"""Speed of the generation network as ratios to a named peer: one thread, by turns, median of five.

make bench
"""

import statistics
import subprocess
import sys
from copy import deepcopy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from test_speed import drag, machine, one_thread, rate, ratio  # noqa: F401  (one_thread: a fixture)
from torch import nn

from dirfa_edu import losses
from dirfa_edu.course import puppet
from dirfa_edu.examples import random_turns
from dirfa_edu.faces.identity import load_face_resnet
from dirfa_edu.files import data_path
from dirfa_edu.generator import GenerationNetwork, GeneratorConfig
from dirfa_edu.runs import cpu_has_bf16
from dirfa_edu.talk import encode_portrait, render_frames

bf16 = pytest.mark.skipif(not cpu_has_bf16(), reason="this processor has no bfloat16")


def our_frames(size, frames=24):
    """A function that draws `frames` pictures as `talk` does."""
    G = GenerationNetwork(GeneratorConfig(size=size)).eval().to(memory_format=torch.channels_last)
    face = encode_portrait(G, np.full((size, size, 3), 128, np.uint8))
    Y = np.zeros((frames, 23), np.float32)

    def run():
        assert sum(1 for _ in render_frames(G, face, Y)) == frames

    return run


def plain_frames(size, frames=24):
    """The same network in plain fp32, a picture at a time, in torch's usual layout."""
    G = GenerationNetwork(GeneratorConfig(size=size)).eval()

    def run():
        with torch.inference_mode():
            face = G.encode(torch.full((1, 3, size, size), 0.5))
            for _ in range(frames):
                G.render(face, torch.zeros(1, 23))

    return run


class FaceVid2Vid(nn.Module):
    """What face-vid2vid computes for each frame at 256 px, at its sizes, without its meaning.

    A 3-D hourglass for the dense motion (80 channels in, up to 1024 inside, on 16 x 64 x 64), then
    six residual blocks of 512 channels at 64 x 64 and two upsampling convolutions.
    """

    def __init__(self):
        super().__init__()
        down = [80, 64, 128, 256, 512, 1024]
        self.down = nn.ModuleList(
            nn.Conv3d(a, b, 3, padding=1) for a, b in zip(down, down[1:], strict=False)
        )
        up = [(1024, 512), (1024, 256), (512, 128), (256, 64), (128, 32)]
        self.up = nn.ModuleList(nn.Conv3d(a, b, 3, padding=1) for a, b in up)
        self.mask = nn.Conv3d(112, 16, 7, padding=3)
        self.enter = nn.Conv2d(512, 512, 3, padding=1)
        self.blocks = nn.ModuleList(nn.Conv2d(512, 512, 3, padding=1) for _ in range(12))
        self.leave = nn.ModuleList(
            [nn.Conv2d(512, 256, 3, padding=1), nn.Conv2d(256, 128, 3, padding=1)]
        )
        self.picture = nn.Conv2d(128, 3, 7, padding=3)

    def forward(self, volume):
        """Deformed features (1, 80, 16, 64, 64) -> a picture (1, 3, 256, 256)."""
        levels = [volume]
        for conv in self.down:
            levels.append(F.avg_pool3d(F.relu(conv(levels[-1])), (1, 2, 2)))
        x = levels.pop()
        for conv in self.up:
            x = F.relu(conv(F.interpolate(x, scale_factor=(1, 2, 2))))
            x = torch.cat([x, levels.pop()], dim=1)
        weight = self.mask(x).softmax(1).amax(1, keepdim=True)  # (1, 1, 16, 64, 64)
        h = self.enter((volume[:, :32] * weight).flatten(1, 2))  # (1, 32, 16, 64, 64) -> 512 maps
        for first, second in zip(self.blocks[::2], self.blocks[1::2], strict=True):
            h = h + second(F.relu(first(F.relu(h))))
        for conv in self.leave:
            h = F.relu(conv(F.interpolate(h, scale_factor=2)))
        return torch.sigmoid(self.picture(h))


@bf16
@pytest.mark.parametrize("size, least", [(128, 2), (256, 2)])
def test_frames_against_the_same_network_in_plain_fp32(size, least):
    ours = our_frames(size)
    rate(ours, 24, f"frames of {size} px, one thread")
    name = f"24 frames of {size} px, plain fp32 against ours"
    assert ratio(plain_frames(size), ours, name) >= least


def test_a_frame_against_face_vid2vid():
    peer, ours = FaceVid2Vid().eval(), our_frames(256, frames=8)
    volume = torch.rand(1, 80, 16, 64, 64)
    millions = sum(weights.numel() for weights in peer.parameters()) / 1e6

    def frame():
        with torch.inference_mode():
            assert peer(volume).shape == (1, 3, 256, 256)

    name = f"a frame of face-vid2vid's size ({millions:.0f} M) against 8 of ours, 256 px"
    assert 8 * ratio(frame, ours, name) >= 30


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


def test_ten_seconds_of_speech_become_a_film(tmp_path):
    """Printed: in a process of its own, on one thread, without loading."""
    import soundfile

    speech, sr = soundfile.read(data_path("speech", "sonnet_2.wav"))
    soundfile.write(tmp_path / "ten.wav", speech[: 10 * sr], sr)
    script = (
        "import sys, torch; torch.set_num_threads(1); from dirfa_edu.talk import talk\n"
        "run = lambda: talk(sys.argv[1], sys.argv[2], sys.argv[3], samples=1)['seconds']\n"
        "parts = ('features', 'animation', 'video')\n"
        "run(); print([sum(run()[part] for part in parts) for _ in range(5)])"
    )
    given = [tmp_path / "ten.wav", data_path("portraits", "iris.png"), tmp_path]
    run = subprocess.run(
        [sys.executable, "-c", script, *given], capture_output=True, text=True, check=True
    )
    seconds = statistics.median(float(each) for each in run.stdout.strip("[]\n").split(", "))
    print(
        f"\n10 s of speech to mp4 at 128 px: {seconds:.2f} s on {machine()}, "
        f"{seconds / 10:.2f} of the film's own length"
    )
    assert (tmp_path / "sample_1.mp4").is_file()


def test_generated_slider_faces_a_second():
    rate(drag(puppet.Puppet("anna", generated=True)), 21, "chapter 05's sliders: faces")
