"""Each check accepts right answers however they are written, and names the misconception of each wrong one."""

import math

import numpy as np
import pytest
import torch

from dirfa_edu import checks

# ------------------------------------------------------------------ right answers, each written in its own way


def encode_loop(y, centroids):
    out = []
    for value in y:
        best = 0
        for d in range(len(centroids)):
            if abs(value - centroids[d]) < abs(value - centroids[best]):
                best = d
        out.append(best)
    return out


def mask_loop(T, heads, tau):
    M = torch.full((heads, T, T), -math.inf)
    for h in range(heads):
        for i in range(T):
            for j in range(max(0, i - tau + 1), i + 1):
                M[h, i, j] = -(2 ** (-8 * (h + 1) / heads)) * (i - j)
    return M


def mask_torch(T, heads, tau, minus=-1e9):
    age = torch.arange(T)[:, None] - torch.arange(T)[None, :]
    slopes = 2.0 ** (-8 * torch.arange(1, heads + 1) / heads)
    return (-slopes[:, None, None] * age).masked_fill((age < 0) | (age >= tau), minus)


def top_k_torch(logits, k):
    logits = torch.as_tensor(logits)
    values, places = logits.topk(k)
    return torch.zeros_like(logits).scatter(0, places, values.softmax(0))


def top_k_sorting(logits, k):
    threshold = sorted(logits)[-k]
    weights = [math.exp(x) if x >= threshold else 0 for x in logits]
    return [w / sum(weights) for w in weights]


def psnr_by_hand(a, b):
    error = (np.float32(a) / 255 - np.float32(b) / 255).ravel()
    return -10 * math.log10(float(np.dot(error, error)) / error.size)


def relative_columns(Y):
    Y = Y.copy()
    for j in range(17, 23):
        Y[:, j] -= np.median(Y[:, j])
    return Y


RIGHT = {
    "frames_of": [lambda n: math.ceil(n / 640), lambda n: (n + 639) // 640, lambda n: n // 640 + bool(n % 640)],
    "window_of": [lambda t: list(range(4 * t - 8, 4 * t + 12)), lambda t: torch.arange(20) + 4 * t - 8],
    "encode": [encode_loop, lambda y, c: torch.cdist(torch.tensor(y)[:, None], torch.tensor(c)[:, None]).argmin(1)],
    "temporally_biased_mask": [mask_loop, mask_torch],
    "top_k_probabilities": [top_k_torch, top_k_sorting],
    "discriminator_loss": [
        lambda D, r, f: (torch.mean((1 - D(r)) ** 2) + torch.mean(D(f.detach()) ** 2)) / 2,
        lambda D, r, f: 0.5 * torch.nn.functional.mse_loss(D(r), torch.ones(r.shape)) + 0.5 * D(f.data).pow(2).mean()],
    "generator_loss": [lambda D, f: ((1 - D(f)) ** 2).mean() / 2,
                       lambda D, f: 0.5 * torch.nn.functional.mse_loss(D(f), torch.ones(f.shape))],
    "psnr": [psnr_by_hand, lambda a, b: 20 * np.log10(255 / np.sqrt(np.mean((a.astype(int) - b.astype(int)) ** 2)))],
    "relative_pose": [relative_columns, lambda Y: np.concatenate([Y[:, :17], Y[:, 17:] - np.median(Y[:, 17:], 0)], 1)],
}

# ------------------------------------------------ wrong answers with a piece of the sentence that must name each one


def wrap_psnr(a, b):
    return 10 * np.log10(255**2 / ((a - b) ** 2).mean())


def mask_without_band(T, heads, tau):
    return mask_torch(T, heads, 10 * T)


def mask_symmetric(T, heads, tau):
    age = (torch.arange(T)[:, None] - torch.arange(T)).abs()
    slopes = 2.0 ** (-8 * torch.arange(1, heads + 1) / heads)
    return (-slopes[:, None, None] * age).masked_fill(age >= tau, -math.inf)


def mask_other_slopes(T, heads, tau):
    age = torch.arange(T)[:, None] - torch.arange(T)
    slopes = 0.5 ** torch.arange(1, heads + 1)
    return (-slopes[:, None, None] * age).masked_fill((age < 0) | (age >= tau), -math.inf)


WRONG = {
    "frames_of": [(lambda n: int(n / 640), "round up"), (lambda n: n // 640 + 1, "one too many"),
                  (lambda n: n / 640, "whole"), (lambda n: math.ceil(n / 160), "mel frames"),
                  (lambda n: math.ceil(n / 25), "640 samples, not 25"), (lambda n: "many", "neither a number")],
    "window_of": [(lambda t: range(4 * t, 4 * t + 20), "starts with the frame"),
                  (lambda t: range(4 * t - 10, 4 * t + 10), "not on its middle"),
                  (lambda t: range(4 * t - 8, 4 * t + 13), "21 mel frames"),
                  (lambda t: np.arange(-8, 12) + t, "multiply t by 4"),
                  (lambda t: range(4 * t - 16, 4 * t + 4), "only looks back"),
                  (lambda t: range(4 * t - 7, 4 * t + 13), "one mel frame late")],
    "encode": [(lambda y, c: c[encode_loop(y, c)], "values"),
               (lambda y, c: np.abs(y[:, None] - c).argmin(0), "one index per centroid"),
               (lambda y, c: np.argmin(y[:, None] - c, 1), "absolute"),
               (lambda y, c: np.array(encode_loop(y, c)) + 1, "count from 0"),
               (lambda y, c: [max(0, sum(c < value) - 1) for value in y], "below"),
               (lambda y, c: np.argmax(abs(y[:, None] - c), 1), "arg min")],
    "temporally_biased_mask": [
        (lambda T, H, tau: mask_torch(T, H, tau).transpose(1, 2), "transposed"),
        (lambda T, H, tau: mask_torch(T, H, tau + 1), "age >= tau is hidden"),
        (mask_without_band, "never cut off"), (mask_symmetric, "future shows"), (mask_other_slopes, "2^(-8h/H)"),
        (lambda T, H, tau: mask_torch(T, H, tau).flip(0), "reverse order"),
        (lambda T, H, tau: (mask_torch(T, H, tau) > -1e8).float(), "after the softmax"),
        (lambda T, H, tau: mask_torch(T, H, tau)[0], "one per head"),
        (lambda T, H, tau: torch.where(mask_torch(T, H, tau) < -1e8, -math.inf, -mask_torch(T, H, tau)), "negative")],
    "top_k_probabilities": [
        (lambda x, k: torch.tensor(x).softmax(0), "nothing is cut"),
        (lambda x, k: torch.where(top_k_torch(x, k) > 0, torch.tensor(x).softmax(0), 0.0), "sum to 1"),
        (lambda x, k: torch.where(top_k_torch(x, k) > 0, torch.tensor(x), 0.0).softmax(0), "-inf, not with 0"),
        (lambda x, k: top_k_torch(x, k + 1), "one bin too many"),
        (lambda x, k: torch.tensor(x).topk(k).values.softmax(0), "keep all D places"),
        (lambda x, k: (top_k_torch(x, k) > 0) / k, "equally likely")],
    "discriminator_loss": [
        (lambda D, r, f: 0.5 * (D(r) - 1).square().mean() + 0.5 * D(f).square().mean(), "detach"),
        (lambda D, r, f: 0.5 * D(r).square().mean() + 0.5 * (1 - D(f.detach())).square().mean(), "exchanged"),
        (lambda D, r, f: (D(r) - 1).square().mean() + D(f.detach()).square().mean(), "1/2"),
        (lambda D, r, f: 0.5 * (D(r) - 1).square().mean(), "only the real"),
        (lambda D, r, f: 0.5 * (D(r) - 1).square().sum() + 0.5 * D(f.detach()).square().sum(), "mean")],
    "generator_loss": [
        (lambda D, f: 0.5 * D(f).square().mean(), "taken for real"), (lambda D, f: (D(f) - 1).square().mean(), "1/2"),
        (lambda D, f: 0.5 * (D(f.detach()) - 1).square().mean(), "do not detach"),
        (lambda D, f: -0.5 * (D(f)).square().mean(), "sign"), (lambda D, f: 0.5 * (D(f) - 1).abs().mean(), "squared")],
    "psnr": [(wrap_psnr, "uint8"),
             (lambda a, b: 10 * np.log10(255**2 / np.mean(np.subtract(a, b).astype(float) ** 2)), "uint8"),
             (lambda a, b: -10 * np.log10(np.mean((a.astype(float) - b) ** 2)), "peak is 1"),
             (lambda a, b: 20 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)), "already squared"),
             (lambda a, b: 10 * math.log(255**2 / np.mean((a.astype(float) - b) ** 2)), "natural"),
             (lambda a, b: 10 * np.log10(255**2 / np.sum((a.astype(float) - b) ** 2)), "summed")],
    "relative_pose": [
        (lambda Y: np.hstack([Y[:, :17], Y[:, 17:] - Y[:, 17:].mean(0)]), "mean"),
        (lambda Y: Y - np.median(Y, 0), "AUs moved"),
        (lambda Y: np.hstack([Y[:, :17], Y[:, 17:] - Y[0, 17:]]), "first frame"),
        (lambda Y: np.hstack([Y[:, :17], Y[:, 17:] - np.median(Y[:, 17:])]), "its own median"),
        (lambda Y: np.hstack([Y[:, :20], Y[:, 20:] - np.median(Y[:, 20:], 0)]), "six pose columns"),
        (lambda Y: Y, "still absolute")],
}


def cases(bank):
    return [(name, i) for name in bank for i in range(len(bank[name]))]


@pytest.mark.parametrize("name, i", cases(RIGHT))
def test_right_answers_are_accepted(name, i):
    assert checks.all_checks()[name].verdict(RIGHT[name][i]).startswith("right: ")


@pytest.mark.parametrize("name, i", cases(WRONG))
def test_wrong_answers_are_rejected_with_a_sentence_that_names_the_misconception(name, i):
    wrong, words = WRONG[name][i]
    sentence = checks.all_checks()[name].verdict(wrong)
    assert sentence.startswith("not right: ") and words in sentence, sentence


def test_every_check_has_two_right_answers_and_four_wrong_ones_with_sentences_of_their_own():
    assert set(RIGHT) == set(WRONG) == set(checks.all_checks())
    for name in RIGHT:
        assert len(RIGHT[name]) >= 2 and len(WRONG[name]) >= 4
        sentences = {checks.all_checks()[name].verdict(wrong) for wrong, _ in WRONG[name]}
        assert len(sentences) >= 4


def test_every_chapter_has_a_check():
    chapters = {check.chapter for check in checks.all_checks().values()}
    assert [chapter[:2] for chapter in sorted(chapters)] == ["00", "01", "02", "03", "04", "05", "06", "07"]


@pytest.mark.parametrize("name", sorted(RIGHT))
def test_a_stub_gets_a_friendly_not_yet_and_an_exception_a_sentence(name, capsys):
    check = checks.all_checks()[name]
    check(lambda *arguments: ...)
    check(lambda *arguments: None)
    assert capsys.readouterr().out.count("not yet: ") == 2

    def stops(*arguments):
        raise IndexError("list index out of range")

    assert check.verdict(stops) == "not right: your function stops with IndexError: list index out of range"
    assert check.verdict(lambda *arguments: "words").startswith("not right: ")
    assert check.verdict(lambda *arguments: np.zeros((1, 2, 3, 4))).startswith("not right: the shape")


def test_the_checks_agree_with_the_package():
    from dirfa_edu import losses, masks, metrics
    from dirfa_edu.audio import frame_count

    assert checks.frames_of.verdict(frame_count).startswith("right")
    assert checks.temporally_biased_mask.verdict(masks.temporally_biased_mask).startswith("right")
    assert checks.psnr.verdict(metrics.psnr).startswith("right")
    package = checks.generator_loss.verdict(lambda D, fake: losses.lsgan_generator(D(fake)))
    assert package.startswith("right")
    package = checks.discriminator_loss.verdict(
        lambda D, real, fake: losses.lsgan_discriminator(D(real), D(fake.detach())))
    assert package.startswith("right")


def test_checks_import_nothing_heavy():
    import subprocess
    import sys

    code = "import sys, dirfa_edu.checks; print([m for m in ('torch', 'librosa', 'matplotlib') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
