"""The report card, on films whose lag, sound and faults are known."""

import re
import shutil

import numpy as np
import pytest

from dirfa_edu import audio
from dirfa_edu.data.corpus import Corpus
from dirfa_edu.files import InputError
from dirfa_edu.results import report_card
from dirfa_edu.video import write_mp4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    import soundfile

    home = tmp_path_factory.mktemp("films")
    clip = Corpus("samples").select(split="test", kind="speech", rendered=True)[0]
    frames, wave = clip.frames(), clip.wave()
    write_mp4(home / "in step.mp4", frames, wave)
    # the picture lags 5 frames
    write_mp4(home / "late.mp4", np.concatenate([frames[:1]] * 5 + [frames[:-5]]), wave)
    write_mp4(home / "mute.mp4", frames)
    write_mp4(home / "beside.mp4", frames)
    soundfile.write(home / "beside.wav", wave, audio.SAMPLE_RATE)
    write_mp4(home / "nobody <b>.mp4", np.zeros_like(frames))
    (home / "broken.webm").write_text("not a film")
    return home, report_card.evaluate_talk(home)


def test_what_is_known_of_the_films_is_found(folder):
    _, found = folder
    assert set(found) == {"in step.mp4", "late.mp4", "mute.mp4", "beside.mp4"}
    assert found["in step.mp4"]["lag, frames"] == 0 and found["in step.mp4"]["S_conf"] > 0.2
    assert found["late.mp4"]["lag, frames"] == 5
    assert "S_conf" not in found["mute.mp4"]
    assert found["beside.mp4"]["S_conf"] == pytest.approx(found["in step.mp4"]["S_conf"], abs=0.05)
    assert all(
        values["frames with a face"] == 1 and values["ACD, all pairs"] < 0.4
        for values in found.values()
    )


def test_the_page_holds_everything_and_asks_for_nothing(folder):
    home, _ = folder
    text = (home / "report.html").read_text()
    addresses = re.findall(r"""(?:src|href)\s*=\s*['"]?([^'">\s]{0,30})""", text)
    assert len(addresses) == 12 and all(address.startswith("data:") for address in addresses)
    assert "//" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", text) and "<script" not in text
    assert len(re.findall(r'<img alt="[^"]{20,}', text)) == 8  # every picture can be read out
    assert "nobody &lt;b&gt;.mp4" in text and "<b>" not in text  # a name is text, not markup
    assert text.count("Not measured: ") == 2 and "no face found" in text


def test_folders_without_a_film_are_one_sentence(tmp_path, folder):
    with pytest.raises(InputError, match="no folder"):
        report_card.evaluate_talk(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no video in"):
        report_card.evaluate_talk(tmp_path)
    shutil.copy(folder[0] / "broken.webm", tmp_path)
    with pytest.raises(InputError, match="not a video"):
        report_card.evaluate_talk(tmp_path)
    assert not list(tmp_path.glob("*.html"))


def test_the_published_syncnet_stands_beside_ours_where_a_user_has_its_weights(tmp_path):
    import torch

    from dirfa_edu.results.syncnet import PublishedSyncNet

    clip = Corpus("samples").select(split="test", kind="speech", rendered=True)[0]
    write_mp4(tmp_path / "short.mp4", clip.frames()[:44], clip.wave()[: 44 * 640])
    torch.manual_seed(0)
    torch.save(PublishedSyncNet().state_dict(), tmp_path / "syncnet_v2.model")
    found = report_card.evaluate_talk(tmp_path, tmp_path / "syncnet_v2.model")["short.mp4"]
    assert found["S_conf, published"] >= 0 and abs(found["lag, published"]) <= 15
    assert found["S_conf, published"] != found["S_conf"]  # another network
    assert "S_conf, published" in (tmp_path / "report.html").read_text()
    with pytest.raises(InputError, match="nothing.model"):
        report_card.evaluate_talk(tmp_path, tmp_path / "nothing.model")
