import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from whet.core.rng import Rng
from whet.data.audio_loader import AudioLoader
from whet.data.media import audio_store
from whet.explain import explain
from whet.explain.audio import explain_audio
from whet.explain.heat import places, stretched
from whet.models.ensemble import Member
from whet.models.front import AudioFront
from whet.models.mel import YAMNET_MEL, MelSettings
from whet.models.net import Net, NetSpec, new_head
from whet.models.zoo_audio import AUDIO_ZOO
from whet.models.zoo_audio.yamnet import patches

RATE, HERTZ = 16_000, 3_000


def made(name, mel, classes=("plain", "tone"), **size):
    with Rng(0).torch_scope("init"):
        backbone, features = AUDIO_ZOO[name].build(**size)
        net = Net(
            NetSpec("zoo", name, classes, medium="audio"), backbone, new_head(features, len(classes)), AudioFront(mel)
        )
        torch.nn.init.normal_(net.linear.weight, std=0.1)
    return net.eval()


def planted(count, seed=0):
    """(a second of noise each, whether a tone audio clips in half of it, which half)."""
    rng = Rng(seed).batch("tones", 0, np.arange(count))
    waves = (0.02 * rng.normal((RATE,))).astype(np.float32)
    half, labels = (rng.uniform(shape=()) < 0.5).astype(int), np.arange(count) % 2
    tone = (0.2 * np.sin(2 * np.pi * HERTZ * np.arange(RATE // 2) / RATE)).astype(np.float32)
    for wave, label, late in zip(waves, labels, half):
        if label:
            wave[late * RATE // 2 :][: RATE // 2] += tone
    return waves, torch.from_numpy(labels), half


def mass_on_the_tone(net, waves, labels, half):
    """The share of what speaks for the tone that lies in its half of the time and within the bands near it."""
    shares = []
    for wave, label, late in zip(waves, labels.tolist(), half):
        if not label:
            continue
        mel = net.front.receive(wave[None])
        found = explain_audio([Member.of(net)], wave, RATE, mel, net.front(mel), 1)
        heat = np.maximum(found.heat_LM, 0)
        band = int(mel[0, 0].mean(dim=0).argmax())
        frames = heat.shape[0] // 2
        there = heat[late * frames :][:frames, max(0, band - 12) : band + 13].sum()
        shares.append(there / max(heat.sum(), 1e-9))
    return float(np.mean(shares))


@pytest.mark.slow
def test_heat_lies_on_the_tone_that_decides_and_not_with_random_weights(taught):
    net = made("audio_cnn", MelSettings())
    waves, labels, _ = planted(64)
    mel = net.front.receive(waves)
    net.front.standardise(mel)
    seen = planted(16, seed=1)
    random = mass_on_the_tone(net, *seen)
    net = taught(net, net.front(mel), labels, steps=20, lr=5e-3)
    with torch.no_grad():
        assert (net(net.prepare(seen[0])).argmax(dim=1) == seen[1]).float().mean() > 0.9
    assert mass_on_the_tone(net, *seen) > 0.55
    assert random < 0.4


def test_overlapping_patches_add_up_where_they_were_cut_out():
    net = made("yamnet", YAMNET_MEL, width=0.25)
    wave = (0.1 * Rng(0).batch("wave", 0, np.arange(1)).normal((2 * RATE,))[0]).astype(np.float32)
    mel = net.front.receive(wave[None])
    x = net.front(mel)
    heat_LM = explain_audio([Member.of(net)], wave, RATE, mel, x, 0).heat_LM
    assert heat_LM.shape == mel.shape[2:]
    parts = patches(x).shape[1]
    heats = places(Member.of(net), x, 0, parts).numpy()
    assert len(heats) == parts == 4
    first, second = (stretched(heat, 96, 64) for heat in heats[:2])
    assert np.allclose(heat_LM[:48], first[:48])
    assert np.allclose(heat_LM[48:96], first[48:] + second[:48])


@pytest.mark.parametrize("seconds", [0.02, 0.3, 5.0])
def test_short_and_long_audio(seconds):
    wave = (0.1 * Rng(0).batch("wave", 0, np.arange(1)).normal((round(seconds * RATE),))[0]).astype(np.float32)
    for name, mel in (("audio_cnn", MelSettings()), ("yamnet", YAMNET_MEL)):
        net = made(name, mel, width=0.25)
        received = net.front.receive(wave[None])
        found = explain_audio([Member.of(net)], wave, RATE, received, net.front(received), 0)
        assert found.heat_LM.shape == received.shape[2:]
        assert found.drawn().shape == (192, 384, 3)


def test_the_same_file_has_the_same_heat(tmp_path):
    soundfile.write(tmp_path / "a.wav", planted(2)[0][1], RATE)
    frame = pd.DataFrame({"path": [str(tmp_path / "a.wav")]})
    members = [Member.of(made("audio_cnn", MelSettings()))]
    one, other = (
        dict(explain(members, AudioLoader(audio_store(frame, RATE), threads), 1000, [1]))[0] for threads in (1, 2)
    )
    assert np.array_equal(one.heat_LM, other.heat_LM)
    assert one.rate == RATE and len(one.wave) == RATE
