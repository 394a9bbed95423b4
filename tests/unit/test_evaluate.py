"""The figures by which the networks are judged."""

import numpy as np
import pytest

from dirfa_edu import evaluate
from dirfa_edu.animation import column


def test_correlation_is_pearsons_and_a_frozen_track_scores_zero():
    t = np.linspace(0, 9, 100)
    assert evaluate.correlation(np.sin(t), 3 * np.sin(t) + 1) == pytest.approx(1)
    assert evaluate.correlation(np.sin(t), -np.sin(t)) == pytest.approx(-1)
    assert evaluate.correlation(np.ones(100), np.sin(t)) == 0


def test_lips_close_where_the_track_says_so_and_only_bilabials_count():
    Y = np.zeros((50, 23))
    Y[:, column("AU25")] = 2.0
    Y[10:13, column("AU25")] = 0.1
    phones = [("P", 0.40, 0.50), ("AA", 0.5, 1.0), ("M", 1.2, 1.3)]
    assert evaluate.closed_lips(Y, phones) == (1, 2)


def test_the_shipped_networks_reach_what_their_cards_say():
    """A few clips only: the mapper follows unseen speech, the generator beats copying the source."""
    from dirfa_edu import load_pretrained
    from dirfa_edu.corpus import Corpus
    from dirfa_edu.sampling import generate
    from dirfa_edu.training import generator_gain, generator_pairs

    corpus, mapper, generator = Corpus("samples"), load_pretrained("mapper"), load_pretrained("generator")
    r = []
    for clip in corpus.select(split="test", kind="speech")[:4]:
        clean, Y = clip.truth()["clean"], generate(mapper, clip.features(), samples=2)
        r += [evaluate.correlation(y[:len(clean), column("AU25")], clean[:len(y), column("AU25")]) for y in Y]
    assert np.mean(r) > 0.6
    figures = generator_gain(generator, generator_pairs(corpus.select(split="test", kind="probe"), 128), frames=3)
    assert figures["gain"] > 3
