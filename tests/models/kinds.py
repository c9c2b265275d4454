"""Every kind of network of transformers that is promised to work, tiny and with random weights; and what is tried with each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image
from tests.conftest import write_images
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from whet.api import build_recipe, load
from whet.core.recipe import Recipe, parse_methods
from whet.core.rng import Rng
from whet.core.spec import ModelSpec
from whet.data.read import read_samples
from whet.explain import CannotExplain, ImageHeat, WordHeat
from whet.models import build_net, load_net
from whet.run import Run
from whet.training.job import train_run

SIZE = 64
_PUBLISHED = 7  # classes of the published classifier


@dataclass(frozen=True)
class Kind:
    medium: str
    config: Callable[..., Any]
    settings: dict[str, Any]
    model: Any = None  # the class that wrote the published weights, where it is not the first for its task

    def save(self, folder: Path) -> None:
        """Published weights: config.json and model.safetensors, with a tokenizer or an extractor where one belongs."""
        config = self.config(**self.settings)
        auto = transformers.AutoModelForImageClassification
        with Rng(0).torch_scope("published"):
            if self.model is not None:
                model = self.model(config)
            elif self.medium == "image" and type(config) in auto._model_mapping:
                model = auto.from_config(config)
            else:
                model = transformers.AutoModel.from_config(config)
        model.save_pretrained(folder)
        if self.medium == "text":
            write_tokenizer(folder)
        elif self.medium == "audio":
            extractor(config).save_pretrained(folder)


WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS += ["red", "apple", "pie", "sour", "cheap", "shiny", "green", "engine", "fast", "loud", "blue", "sky", "rain"]


def write_tokenizer(folder: Path) -> None:
    tokenizer = Tokenizer(models.WordLevel({word: k for k, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]",
    ).save_pretrained(folder)  # fmt: skip


def extractor(config: Any) -> Any:
    if config.model_type == "audio-spectrogram-transformer":
        return transformers.ASTFeatureExtractor(num_mel_bins=32, max_length=64)
    return transformers.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=False)


_LAYERS = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
_VIT = {**_LAYERS, "image_size": SIZE, "patch_size": 16}
_STAGES = {"hidden_sizes": [8, 16], "depths": [1, 1]}
_SWIN = {"image_size": SIZE, "patch_size": 4, "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4}
_LEVIT = {"image_size": SIZE, "hidden_sizes": [16, 16, 16], "num_attention_heads": [2, 2, 2], "depths": [1, 1, 1],
          "key_dim": [4, 4, 4], "attention_ratio": [1, 1, 1], "mlp_ratio": [1, 1, 1]}  # fmt: skip
_BERT = {**_LAYERS, "vocab_size": len(WORDS), "max_position_embeddings": 40, "pad_token_id": 0}
_T5 = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 2, "num_heads": 2, "vocab_size": len(WORDS), "pad_token_id": 0,
       "decoder_start_token_id": 0}  # fmt: skip
_WAVE = {
    **_LAYERS, "conv_dim": (8, 8), "conv_stride": (5, 2), "conv_kernel": (10, 3), "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2, "num_ctc_classes": 5, "conv_depthwise_kernel_size": 3,
}  # fmt: skip


def _image(config: Any, model: Any = None, **settings: Any) -> Kind:
    return Kind("image", config, {"num_labels": _PUBLISHED, **settings}, model)


def _text(config: Any, model: Any = None, **settings: Any) -> Kind:
    return Kind("text", config, settings, model)


def _audio(config: Any, **settings: Any) -> Kind:
    return Kind("audio", config, settings)


T = transformers
KINDS: dict[str, Kind] = {
    "beit": _image(T.BeitConfig, **_VIT),
    "bit": _image(T.BitConfig, embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], num_groups=2),
    "clip": _image(T.CLIPConfig, vision_config=_VIT, text_config={**_BERT}),
    "clip_vision_model": _image(T.CLIPVisionConfig, **_VIT),
    "convnext": _image(T.ConvNextConfig, **_STAGES, num_stages=2),
    "convnextv2": _image(T.ConvNextV2Config, **_STAGES, num_stages=2),
    "cvt": _image(T.CvtConfig, embed_dim=[8, 16, 16], num_heads=[1, 2, 2], depth=[1, 2, 3], cls_token=[False, False, True]),
    "data2vec-vision": _image(T.Data2VecVisionConfig, **_VIT),
    "deit": _image(T.DeiTConfig, T.DeiTForImageClassification, **_VIT),
    "deit (distilled)": _image(T.DeiTConfig, T.DeiTForImageClassificationWithTeacher, **_VIT),
    "dinov2": _image(T.Dinov2Config, **_VIT),
    "dinov2_with_registers": _image(T.Dinov2WithRegistersConfig, **_VIT),
    "dinov3_convnext": _image(T.DINOv3ConvNextConfig, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1]),
    "dinov3_vit": _image(T.DINOv3ViTConfig, **_VIT),
    "donut-swin": _image(T.DonutSwinConfig, **_SWIN),
    "efficientnet": _image(
        T.EfficientNetConfig, image_size=SIZE, width_coefficient=0.25, depth_coefficient=0.5, hidden_dim=320, dropout_rate=0.1
    ),
    "focalnet": _image(
        T.FocalNetConfig, image_size=SIZE, embed_dim=8, hidden_sizes=[8, 16], depths=[1, 1], focal_levels=[1, 1],
        focal_windows=[3, 3],
    ),
    "hgnet_v2": _image(
        T.HGNetV2Config, embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], stem_channels=[3, 4, 8],
        stage_in_channels=[8, 8, 8, 16], stage_mid_channels=[4, 4, 4, 4], stage_out_channels=[8, 8, 16, 16],
        stage_num_blocks=[1, 1, 1, 1], stage_numb_of_layers=[1, 1, 1, 1],
    ),
    "hiera": _image(T.HieraConfig, image_size=[SIZE, SIZE], embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2],
                      mask_ratio=0.0),
    "ijepa": _image(T.IJepaConfig, **_VIT),
    "levit": _image(T.LevitConfig, T.LevitForImageClassification, **_LEVIT),
    "levit (distilled)": _image(T.LevitConfig, T.LevitForImageClassificationWithTeacher, **_LEVIT),
    "metaclip_2": _image(T.MetaClip2Config, vision_config=_VIT, text_config={**_BERT}),
    "mobilenet_v1": _image(T.MobileNetV1Config, image_size=SIZE, depth_multiplier=0.25),
    "mobilenet_v2": _image(T.MobileNetV2Config, image_size=SIZE, depth_multiplier=0.35),
    "mobilevit": _image(
        T.MobileViTConfig, image_size=SIZE, hidden_sizes=[16, 16, 16], neck_hidden_sizes=[8, 8, 8, 8, 8, 8, 16],
        num_attention_heads=2,
    ),
    "mobilevitv2": _image(T.MobileViTV2Config, image_size=SIZE, width_multiplier=0.25, n_attn_blocks=[1, 1, 1]),
    "poolformer": _image(T.PoolFormerConfig, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1]),
    "pvt": _image(T.PvtConfig, image_size=SIZE, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1],
                    num_attention_heads=[1, 1, 2, 2]),
    "pvt_v2": _image(T.PvtV2Config, image_size=SIZE, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1],
                       num_attention_heads=[1, 1, 2, 2]),
    "regnet": _image(T.RegNetConfig, embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], groups_width=4),
    "resnet": _image(T.ResNetConfig, embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic"),
    "segformer": _image(T.SegformerConfig, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1],
                          num_attention_heads=[1, 1, 2, 2], decoder_hidden_size=16),
    "siglip": _image(T.SiglipConfig, vision_config=_VIT, text_config={**_BERT}),
    "siglip_vision_model": _image(T.SiglipVisionConfig, **_VIT),
    "siglip2": _image(
        T.Siglip2Config, vision_config={**_LAYERS, "patch_size": 16, "num_patches": (SIZE // 16) ** 2}, text_config={**_BERT}
    ),
    "swiftformer": _image(T.SwiftFormerConfig, image_size=SIZE, embed_dims=[8, 8, 16, 16], depths=[1, 1, 1, 1]),
    "swin": _image(T.SwinConfig, **_SWIN),
    "swinv2": _image(T.Swinv2Config, **_SWIN),
    "textnet": _image(T.TextNetConfig),
    "vit": _image(T.ViTConfig, **_VIT),
    "vit_msn": _image(T.ViTMSNConfig, **_VIT),
    "albert": _text(T.AlbertConfig, **_BERT, embedding_size=8),
    "bert": _text(T.BertConfig, **_BERT),
    "camembert": _text(T.CamembertConfig, **_BERT),
    "convbert": _text(T.ConvBertConfig, **_BERT, embedding_size=16),
    "data2vec-text": _text(T.Data2VecTextConfig, **_BERT),
    "deberta": _text(T.DebertaConfig, **_BERT, relative_attention=True, pos_att_type="c2p|p2c"),
    "deberta-v2": _text(T.DebertaV2Config, **_BERT, relative_attention=True, pos_att_type=["p2c", "c2p"]),
    "distilbert": _text(
        T.DistilBertConfig, dim=16, n_layers=2, n_heads=2, hidden_dim=16, vocab_size=len(WORDS), max_position_embeddings=40
    ),
    "electra": _text(T.ElectraConfig, **_BERT, embedding_size=8),
    "ernie": _text(T.ErnieConfig, **_BERT),
    "fnet": _text(T.FNetConfig, **_BERT),
    "funnel": _text(
        T.FunnelConfig, T.FunnelModel, vocab_size=len(WORDS), block_sizes=[1, 1], block_repeats=[1, 1], num_decoder_layers=1,
        d_model=16, n_head=2, d_head=8, d_inner=16,
    ),
    "gpt2": _text(T.GPT2Config, n_embd=16, n_layer=2, n_head=2, vocab_size=len(WORDS), n_positions=40),
    "longformer": _text(T.LongformerConfig, **_BERT, attention_window=4),
    "mobilebert": _text(T.MobileBertConfig, **{**_BERT, "embedding_size": 16, "intra_bottleneck_size": 16}),
    "modernbert": _text(T.ModernBertConfig, **_BERT, cls_token_id=2, sep_token_id=3),
    "mpnet": _text(T.MPNetConfig, **_BERT),
    "mt5": _text(T.MT5Config, **_T5),
    "nystromformer": _text(T.NystromformerConfig, **_BERT, num_landmarks=4, segment_means_seq_len=4),
    "rembert": _text(T.RemBertConfig, **_BERT, input_embedding_size=8, output_embedding_size=8),
    "roberta": _text(T.RobertaConfig, **_BERT),
    "roformer": _text(T.RoFormerConfig, **_BERT, embedding_size=16),
    "squeezebert": _text(T.SqueezeBertConfig, **_BERT, embedding_size=16),
    "t5": _text(T.T5Config, **_T5),
    "umt5": _text(T.UMT5Config, **_T5),
    "xlm-roberta": _text(T.XLMRobertaConfig, **_BERT),
    "xlnet": _text(T.XLNetConfig, vocab_size=len(WORDS), d_model=16, n_layer=2, n_head=2, d_inner=16),
    "audio-spectrogram-transformer": _audio(
        T.ASTConfig, **_LAYERS, num_mel_bins=32, max_length=64, patch_size=8, frequency_stride=8, time_stride=8
    ),
    "data2vec-audio": _audio(T.Data2VecAudioConfig, **_WAVE, conv_pos_kernel_size=3),
    "hubert": _audio(T.HubertConfig, **_WAVE),
    "unispeech": _audio(T.UniSpeechConfig, **_WAVE),
    "unispeech-sat": _audio(T.UniSpeechSatConfig, **_WAVE),
    "wav2vec2": _audio(T.Wav2Vec2Config, **_WAVE),
    "wav2vec2-conformer": _audio(T.Wav2Vec2ConformerConfig, **_WAVE),
    "wavlm": _audio(T.WavLMConfig, **_WAVE),
}  # fmt: skip

_MASK2FORMER = {
    "feature_size": 32,
    "mask_feature_size": 32,
    "hidden_dim": 32,
    "encoder_feedforward_dim": 16,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "dim_feedforward": 16,
    "num_attention_heads": 2,
    "num_queries": 6,
}
_FOUR = {"depths": [1, 1, 1, 1], "out_features": ["stage1", "stage2", "stage3", "stage4"]}


def _masks(config: Any, model: Any, **settings: Any) -> Kind:
    return Kind("masks", config, {"num_labels": _PUBLISHED, **settings}, model)


SEGMENTERS: dict[str, Kind] = {
    "segformer (with decoder)": _masks(
        T.SegformerConfig,
        T.SegformerForSemanticSegmentation,
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
    ),
    "upernet": _masks(
        T.UperNetConfig,
        T.UperNetForSemanticSegmentation,
        hidden_size=16,
        auxiliary_channels=8,
        auxiliary_in_channels=16,
        backbone_config=T.ConvNextConfig(hidden_sizes=[8, 8, 16, 16], **_FOUR),
    ),
    "mask2former": _masks(
        T.Mask2FormerConfig,
        T.Mask2FormerForUniversalSegmentation,
        **_MASK2FORMER,
        backbone_config=T.SwinConfig(**{**_SWIN, **_FOUR, "num_heads": [1, 1, 2, 2]}),
    ),
    "eomt": _masks(
        T.EomtConfig,
        T.EomtForUniversalSegmentation,
        **{
            **_VIT,
            "num_hidden_layers": 3,
            "num_blocks": 1,
            "num_queries": 6,
            "num_upscale_blocks": 1,
            "num_register_tokens": 1,
        },
    ),
}
"""For the classes of pixels."""
KINDS |= SEGMENTERS


def write_data(medium: str, folder: Path) -> Path:
    """A small set of this medium with two classes."""
    if medium == "image":
        return write_images(folder, {"glass": 10, "metal": 10}, size=(SIZE, SIZE))
    if medium == "masks":
        return _write_masks(folder)
    folder.mkdir(parents=True)
    if medium == "text":
        rows = [f"{WORDS[5 + k % 4]} apple {WORDS[5 + k % 7]} pie {k},food" for k in range(10)]
        rows += [f"{WORDS[9 + k % 4]} engine {WORDS[11 + k % 5]} loud {k},machine" for k in range(10)]
        (folder / "texts.csv").write_text("\n".join(["text,label", *rows]) + "\n")
        return folder / "texts.csv"
    import soundfile

    time_T = np.arange(8000) / 16000
    for label, hertz in (("low", 200), ("high", 2000)):
        (folder / label).mkdir()
        for number in range(10):
            wave = 0.5 * np.sin(2 * np.pi * (hertz + 7 * number) * time_T)
            soundfile.write(folder / label / f"{number}.wav", wave, 16000)
    return folder


def _write_masks(folder: Path) -> Path:
    """Dark images with a bright half, on the left or on the right."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(20):
        mask = np.zeros((SIZE, SIZE), np.uint8)
        mask[:, number % 2 * SIZE // 2 :][:, : SIZE // 2] = 1
        pixels = (60 + 3 * number + 120 * mask[..., None]).repeat(3, axis=2).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    return folder


_TASKS = {
    "image": "image-classification",
    "masks": "semantic-segmentation",
    "text": "text-classification",
    "audio": "audio-classification",
}
CLASSES = ("one", "other")


def built(folder: Path, medium: str) -> Any:
    """The network of a folder of published weights, as a training begins with it."""
    with Rng(0).torch_scope("init"):
        spec = ModelSpec(architecture=str(folder), weights=str(folder))
        if medium == "masks":
            return build_net(spec, CLASSES, task="semantic-segmentation")[0]
        return build_net(spec, CLASSES, medium)[0]


def inputs(net: Any, medium: str) -> torch.Tensor:
    """Three samples as the network takes them."""
    draws = Rng(0).batch("inputs", 0, np.arange(3))
    if medium in ("image", "masks"):
        return net.prepare(draws.uniform(0, 255, (SIZE, SIZE, 3)).astype(np.uint8))
    if medium == "text":
        return net.prepare(["red apple pie", "green engine loud blue sky rain", "cheap"], 16)
    return net.prepare(draws.normal((8000,)).astype(np.float32))


@dataclass(frozen=True)
class Outcome:
    """What came of a whole run. trains: a weight of the backbone moved. apart: how far the probabilities in predictions.csv lie
    from those of the model in the folder, loaded anew. explains: how its predictions are explained, or empty."""

    trains: bool
    apart: float
    explains: str


def outcome(kind: Kind, data: Path, folder: Path) -> Outcome:
    """One pass over the data from published weights, and what can be done with the finished run."""
    kind.save(folder / "published")
    size = (
        {"image_size": SIZE}
        if kind.medium in ("image", "masks")
        else {"max_tokens": 16}
        if kind.medium == "text"
        else {}
    )
    recipe = Recipe(task=_TASKS[kind.medium], methods=parse_methods([{"sgd": {"lr": 0.05}}])).setting(
        batch_size=8, precision="fp32", budget="1ep", **size
    )
    recipe = build_recipe(data, recipe, weights=str(folder / "published"))
    run = Run(train_run(recipe, folder / "run"))
    predicted = run.predictions.set_index("id")
    frame = read_samples(run.recipe.data).frame.set_index("id").loc[predicted.index]
    samples = [str(sample) for sample in frame["text" if kind.medium == "text" else "path"]]
    share = "area" if kind.medium == "masks" else "p"
    again, columns = load(run.path).predict(samples), [f"{share}:{name}" for name in run.classes]
    apart = float(np.abs(again[columns].to_numpy() - predicted[columns].to_numpy()).max())
    state = load_net(run.folder.model).backbone.state_dict()
    before = built(folder / "published", kind.medium).backbone
    trains = any(not torch.equal(state[name], tensor) for name, tensor in before.named_parameters())
    return Outcome(trains, apart, _explained(run, samples[0]))


def _explained(run: Any, sample: str) -> str:
    try:
        explanation = run.explain(sample)[0].explanation
    except CannotExplain:
        return ""
    if isinstance(explanation, WordHeat):
        return "words"
    return "by covering" if isinstance(explanation, ImageHeat) and explanation.by_covering else "heat"


def table(outcomes: dict[str, Outcome]) -> str:
    """The same as the rows of a table in Markdown."""
    rows = ["| medium | kind | trains | reloads exactly | explains |", "|---|---|---|---|---|"]
    for name, found in outcomes.items():
        medium = KINDS[name].medium
        exact = "yes" if found.apart < 1e-5 else "no"
        rows.append(f"| {medium} | `{name}` | {'yes' if found.trains else 'no'} | {exact} | {found.explains or 'no'} |")
    return "\n".join(rows) + "\n"
