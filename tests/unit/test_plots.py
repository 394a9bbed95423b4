"""Figures: deterministic, described, in colours everybody can tell apart, and drawn from the right
numbers."""

import colorsys
import io
import itertools

import numpy as np
import pytest
from PIL import Image

from dirfa_edu import plots
from dirfa_edu.animation import column


def causal(T):
    return np.where(
        np.tri(T, dtype=bool), -np.abs(np.subtract.outer(np.arange(T), np.arange(T))) / 4, -np.inf
    )


@pytest.fixture
def samples():
    return np.random.default_rng(0).uniform(0, 1, (3, 50, 23)).astype(np.float32)


def every_figure(samples):
    wave = np.sin(np.arange(16000) / 20)
    frames = np.zeros((4, 16, 16, 3), np.uint8)
    p = np.full(500, 1 / 500)
    return [
        plots.attention_mask(causal(8)),
        plots.attention_mask(np.stack([causal(8)] * 4), "masks"),
        plots.attention_weights(np.full((4, 30), 1 / 30), 20),
        plots.histogram_per_au(samples[0]),
        plots.bin_likelihood(p, "AU25", k=5, truth=3),
        plots.likelihood_over_time(samples[0], samples[0][:, 0]),
        plots.samples_over_time(samples, samples[0]),
        plots.animation_lines(samples),
        plots.film_strip_figure([frames, frames], ["a", "b"], [0, 1, 2, 3]),
        plots.mel_with_window(np.zeros((20, 101)), 17, wave),
        plots.curve([{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}], ["loss"]),
        plots.intervals(
            {"a": {"x": (1, 0.5)}, "b": {"x": (2, float("nan")), "y": (3, 1)}}, {"x": "X", "y": "Y"}
        ),
    ]


def test_every_figure_is_a_small_png_and_the_same_png_twice(samples):
    first = [plots.png(fig) for fig in every_figure(samples)]
    # the largest is a strip of noise, which no film is; a chapter has about 15 figures in 1.5 MB
    assert max(len(one) for one in first) < 150_000
    assert min(Image.open(io.BytesIO(one)).size[0] for one in first) > 300
    assert plots.png(plots.animation_lines(samples)) == plots.png(plots.animation_lines(samples))


def test_no_figure_is_registered_with_pyplot(samples):
    import matplotlib.pyplot as plt

    every_figure(samples)
    assert plt.get_fignums() == []


def test_show_stores_the_alt_text_and_a_stable_plain_form(capsys, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **kw: shown.append((data, kw)))
    fig, _ = plots.new()
    plots.show(fig, alt="An empty pair of axes, for a test.")
    assert shown[0][0]["text/plain"] == "Figure: An empty pair of axes, for a test."
    assert shown[0][1]["metadata"]["image/png"]["alt"] == "An empty pair of axes, for a test."
    plots.show(
        plots.film_strip_figure([np.zeros((2, 8, 8, 3), np.uint8)]),
        alt="Two black squares, for a test.",
    )
    assert "image/jpeg" in shown[2][0] and shown[2][1]["metadata"]["image/jpeg"]["alt"].startswith(
        "Two black"
    )
    with pytest.raises(ValueError, match="one sentence"):
        plots.show(fig, alt="plot")


def test_forbidden_entries_of_a_mask_are_not_drawn_and_the_scale_ends_at_zero():
    image = plots.attention_mask(causal(6)).axes[0].images[0]
    assert np.array_equal(np.ma.getmaskarray(image.get_array()), ~np.tri(6, dtype=bool))
    assert image.get_clim() == (-1.25, 0)


def test_attention_weights_are_drawn_over_age():
    weights = np.zeros((1, 10))
    weights[0, 7] = 1  # frame 9 looks at frame 7: age 2
    x, y = plots.attention_weights(weights, query=9).axes[0].lines[0].get_data()
    assert x[np.argmax(y)] == 2


def test_top_k_bars_are_the_k_most_likely_and_the_title_has_their_sum():
    p = np.array([0.1, 0.4, 0.05, 0.3, 0.15])
    ax = plots.bin_likelihood(p, k=2).axes[0]
    orange = [
        i
        for i, bar in enumerate(ax.patches)
        if np.allclose(bar.get_facecolor()[:3], np.array([0xE6, 0x9F, 0x00]) / 255, atol=0.01)
    ]
    assert orange == [1, 3]
    assert "70%" in ax.get_title()


def test_samples_are_drawn_at_the_middles_of_their_frames(samples):
    x, y = plots.samples_over_time(samples, attributes=["AU25"]).axes[0].lines[1].get_data()
    assert np.isclose(x[0], 0.02) and np.isclose(x[-1], 49.5 / 25)
    assert np.array_equal(y, samples[1, :, column("AU25")])


def test_the_window_of_frame_17_is_where_the_audio_room_cuts_it():
    from dirfa_edu import audio

    box = plots.mel_with_window(np.zeros((20, 200)), 17).axes[0].patches[0]
    assert np.isclose(box.get_x(), (4 * 17 - 8) * 0.01) and np.isclose(box.get_width(), 0.2)
    mel = np.arange(20 * 200).reshape(20, 200)
    assert (
        audio.MELS_PER_FRAME * 17 - audio.BEFORE == round(box.get_x() * 100) and mel.shape[1] > 80
    )


def test_a_player_points_to_its_file_and_has_a_label(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **kw: shown.append(data))
    monkeypatch.chdir(tmp_path)
    plots.play(tmp_path / "out" / "a.mp4", "sample 0")
    plots.play("b.ogg", 'a "quoted" label')
    assert (
        '<video controls src="out/a.mp4" aria-label="sample 0" title="sample 0">'
        in shown[0]["text/html"]
    )
    assert "<audio" in shown[1]["text/html"] and "&quot;quoted&quot;" in shown[1]["text/html"]
    assert shown[0]["text/plain"] == "Player: sample 0"


def test_animation_lines_writes_a_whole_file(tmp_path, samples):
    plots.animation_lines(samples, tmp_path / "lines.png")
    assert Image.open(tmp_path / "lines.png").size[0] == 900
    assert [path.name for path in tmp_path.iterdir()] == ["lines.png"]


def test_symbol_colours_are_all_different_for_colour_blind_eyes():
    """Distance in a simulated deuteranope's and protanope's view (Vienot 1999), and in lightness or
    hue."""
    simulations = {
        "deuteranope": [[0.29275, 0.70725, -0.02234], [0.29275, 0.70725, 0.02234], [0, 0, 1]],
        "protanope": [[0.11238, 0.88762, -0.00401], [0.11238, 0.88762, 0.00401], [0, 0, 1]],
    }
    linear = {
        name: (np.array([int(c[i : i + 2], 16) for i in (1, 3, 5)]) / 255) ** 2.2
        for name, c in plots.COLOURS.items()
    }
    for matrix in simulations.values():
        seen = {
            name: np.clip(np.array(matrix) @ rgb, 0, 1) ** (1 / 2.2) for name, rgb in linear.items()
        }
        for a, b in itertools.combinations(seen, 2):
            assert np.abs(seen[a] - seen[b]).max() > 0.08, f"{a} and {b} look alike"


def test_sample_colours_differ_in_lightness_or_dash():
    lightness = [
        colorsys.rgb_to_hls(*(int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)))[1]
        for c in plots.SAMPLES
    ]
    assert len({str(dash) for dash in plots.DASHES}) == len(plots.SAMPLES) == len(lightness)


def test_intervals_show_what_is_known_and_leave_out_the_rest():
    rows = {"a": {"x": (1.0, 0.5)}, "b": {"x": (2.0, float("nan")), "y": (3.0, 1.0)}}
    one, two = plots.intervals(rows, {"x": "X", "y": "Y"}).axes
    assert [bars.lines[0].get_xdata()[0] for bars in one.containers] == [1, 2]
    assert [bars.lines[0].get_xdata()[0] for bars in two.containers] == [3]
    ends = one.containers[0].lines[2][0].get_segments()[0][:, 0]
    assert list(ends) == [0.5, 1.5]  # the interval of a
