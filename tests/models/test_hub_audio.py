import json

import numpy as np
import pytest
import torch
import transformers
from tests.conftest import whet

from whet.core.errors import RecipeError, WeightsError
from whet.core.recipe import parse_method
from whet.core.rng import Rng
from whet.core.spec import ModelSpec
from whet.models.build import build_net, load_net, save_net
from whet.models.front import AudioFront, WaveFront
from whet.models.mel import KALDI_MEL, LogMel

CLASSES = ("dog", "rain")
SMALL = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16, "conv_dim": (8, 8),
    "conv_stride": (5, 2), "conv_kernel": (10, 3), "num_feat_extract_layers": 2, "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2, "num_ctc_classes": 5,
}  # fmt: skip
WAVES = {
    "wav2vec2": (transformers.Wav2Vec2Config, transformers.Wav2Vec2Model),
    "hubert": (transformers.HubertConfig, transformers.HubertModel),
    "wavlm": (transformers.WavLMConfig, transformers.WavLMModel),
}


def waves(count=3, samples=9000):
    return Rng(0).batch("waves", 0, np.arange(count)).normal((samples,)).astype(np.float32) * 0.1 + 0.02


def extractor_of(kind):
    if kind == "ast":
        return transformers.ASTFeatureExtractor(num_mel_bins=32, max_length=64)
    return transformers.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=False)


@pytest.fixture(params=["ast", *WAVES])
def folder(request, tmp_path):
    """A tiny encoder with random weights, as its folder."""
    path = tmp_path / request.param
    with Rng(0).torch_scope("init"):
        if request.param == "ast":
            config = transformers.ASTConfig(
                hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, num_mel_bins=32,
                max_length=64, patch_size=8, frequency_stride=8, time_stride=8,
            )  # fmt: skip
            transformers.ASTModel(config).save_pretrained(path)
        else:
            make, model = WAVES[request.param]
            model(make(**SMALL)).save_pretrained(path)
    extractor_of(request.param).save_pretrained(path)
    return path


def build(folder, weights=None):
    with Rng(0).torch_scope("init"):
        spec = ModelSpec(architecture=str(folder), weights=weights or str(folder))
        return build_net(spec, CLASSES, "audio")


def test_it_hears_what_transformers_would_let_it_hear(folder):
    """The front is their feature extractor, and the features are what their classifiers start from: of waves the mean over time."""
    net, notes = build(folder)
    wave_BT = waves()
    ready = extractor_of(folder.name)(list(wave_BT), sampling_rate=16000, return_tensors="pt")["input_values"]
    ours = net.prepare(wave_BT)
    assert torch.allclose(ours.squeeze(1), ready, atol=1e-4)
    theirs = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        out = theirs(ready)
        features = out.pooler_output if folder.name == "ast" else out.last_hidden_state.mean(dim=1)
        assert torch.allclose(net.eval().backbone(ours), features, atol=1e-4)
    assert notes == [f"weights from {folder}"] and net.spec.pretrained


def test_saved_and_loaded_it_answers_the_same(folder, tmp_path):
    net, _ = build(folder)
    save_net(net.eval(), tmp_path / "saved", {})
    again, wave_BT = load_net(tmp_path / "saved"), waves()
    with torch.inference_mode():
        assert torch.allclose(again(again.prepare(wave_BT)), net(net.prepare(wave_BT)), atol=1e-6)
    assert again.front.like(net.front)
    transformers.AutoModel.from_pretrained(tmp_path / "saved")  # theirs to open, too


def test_the_shortest_wave_is_long_enough(folder):
    net, _ = build(folder)
    with torch.inference_mode():
        assert net.eval()(net.prepare(np.zeros((2, 10), np.float32))).shape == (2, 2)
        assert net(net.front.blank(2, 500)).shape == (2, 2)


def test_training_draws_nothing_of_its_own(folder):
    """transformers hides parts of the input by numpy's global generator unless it is told not to."""
    net, _ = build(folder)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    with Rng(0).torch_scope("step"):
        net.train()(net.prepare(waves())).sum().backward()
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002


def test_random_weights_when_asked(folder):
    net, notes = build(folder, "none")
    assert not net.spec.pretrained and "random weights" in notes[0]


def test_kaldi_s_bands_are_those_of_transformers():
    wave = waves(1, 16000)[0]
    with pytest.warns(UserWarning, match="mel filter"):
        extractor = transformers.ASTFeatureExtractor(do_normalize=False, max_length=98)
    theirs = extractor(wave, sampling_rate=16000)
    ours = LogMel(KALDI_MEL)(torch.from_numpy(wave)[None])[0, 0].numpy()
    assert ours.shape == (98, 128)
    assert np.abs(ours - theirs["input_values"][0]).max() < 2e-3  # the logarithm of very little


def test_spectrograms_alone_can_be_masked():
    wave_BT = torch.from_numpy(waves())
    for name in ("freq_mask", "time_mask", "spec_augment", "vtlp"):
        with pytest.raises(RecipeError, match=f"{name} changes spectrograms, but this network takes waveforms"):
            parse_method(name).transform_batch(wave_BT, Rng(0).batch(name, 0, np.arange(3)))


def test_fronts_of_waves_and_spectrograms_are_not_alike():
    wave = WaveFront(16000, level=True, least=400)
    assert wave.like(WaveFront(16000, level=True, least=400))
    assert not wave.like(WaveFront(8000, level=True, least=400)) and not wave.like(AudioFront(KALDI_MEL))
    heard, shown = wave.seen(waves(1)[0], wave.receive(waves(1))[0])
    assert heard.shape == (9000,) and shown.shape[1] == 64


def test_what_is_no_encoder_of_audio_is_refused(tmp_path):
    transformers.BertConfig().save_pretrained(tmp_path / "bert")
    with pytest.raises(
        WeightsError, match=r"is a bert; accepted for audio clips: audio-spectrogram-transformer, .*wavlm"
    ):
        build(tmp_path / "bert", "none")
    with pytest.raises(RecipeError, match="audio_cnn"):
        build("audio_cmn", "none")


@pytest.mark.slow
@pytest.mark.sample
def test_the_whole_road(folder, tmp_path):
    """Tones of two pitches, told apart by a head on what the encoder makes of them."""
    soundfile = pytest.importorskip("soundfile")
    if folder.name not in ("ast", "wav2vec2"):
        pytest.skip("one encoder of either kind goes the whole road")
    time_T = np.arange(8000) / 16000
    for label, hertz in (("low", 200), ("high", 2000)):
        (tmp_path / "tones" / label).mkdir(parents=True)
        for number in range(12):
            wave = 0.5 * np.sin(2 * np.pi * (hertz + 7 * number) * time_T)
            soundfile.write(tmp_path / "tones" / label / f"{number}.wav", wave, 16000)
    done = whet(
        "train", tmp_path / "tones", "--architecture", folder, "--recipe", "audio/plain_finetune", "--budget", "2ep",
        "--out", tmp_path / "run", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = whet("predict", tmp_path / "run", tmp_path / "tones" / "low", "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == 12
