"""Finds the ends of the residual branches of a network: the layers whose output a block adds to its own input."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Branch:
    """block: x -> x + branch(x), or its norm, once or several times. end: the layer whose output is added; a layer that ends both
    branches of a block (attention and MLP) runs twice."""

    block: nn.Module
    end: nn.Module


def residual_branches(backbone: nn.Module) -> list[Branch]:
    """The residual branches of zoo networks and of recognised transformers families, in depth order."""
    return [Branch(block, end) for block in backbone.modules() for end in _ends(block)]


# By the children of a block: the ends of its branches.
_FAMILIES: tuple[tuple[frozenset[str], tuple[str, ...]], ...] = tuple(
    (frozenset(parts.split()), tuple(ends.split()))
    for parts, ends in (
        ("shortcut layer", "layer"),  # ResNet, RegNet
        ("layernorm_before layernorm_after dropout", "dropout"),  # ViT, DeiT, AST: both branches
        ("layer_norm1 self_attn layer_norm2 mlp", "self_attn.out_proj mlp"),  # CLIP, SigLIP
        ("ln_1 attn ln_2 mlp", "attn.resid_dropout mlp"),  # GPT-2
        ("attn_norm attn mlp_norm mlp", "attn.out_drop mlp"),  # ModernBERT
        ("sa_layer_norm attention ffn output_layer_norm", "attention.out_lin ffn"),  # DistilBERT
        ("attention ffn ffn_output full_layer_layer_norm", "attention.output_dropout ffn_output"),  # ALBERT
        ("dense dropout LayerNorm", "dropout"),  # BERT and similar models, each of its two outputs separately
        ("attn dropout LayerNorm", "dropout"),  # MPNet's attention
        ("SelfAttention layer_norm dropout", "dropout"),  # T5
        ("DenseReluDense layer_norm dropout", "dropout"),
        ("ffn1 self_attn_dropout conv_module ffn2", "ffn1 self_attn_dropout conv_module ffn2"),  # Conformer
        (
            "attention dropout layer_norm feed_forward final_layer_norm",
            "dropout feed_forward",
        ),  # wav2vec 2.0 and similar models
    )
)


def _ends(block: nn.Module) -> list[nn.Module]:
    children = dict(block.named_children())
    if "drop_path" in children:  # our zoo; ConvNeXt, Swin, BEiT, DINOv2, SegFormer, PoolFormer
        # CvT applies it to the sum, which includes the input.
        return (
            []
            if {"intermediate", "output", "layernorm_before"} <= children.keys() and _adds(block.output)
            else [children["drop_path"]]
        )
    if getattr(block, "use_residual", False) and "reduce_1x1" in children:  # MobileNetV2, MobileViT
        return [children["reduce_1x1"]]
    if "project_bn" in children and "dropout" in children:  # EfficientNet
        return [children["dropout"]] if block.apply_dropout else []
    found = next((ends for parts, ends in _FAMILIES if parts <= children.keys()), ())
    return [block.get_submodule(end) for end in found]


def _adds(output: object) -> bool:
    """Whether a block's last module also receives the block's input."""
    return isinstance(output, nn.Module) and len(inspect.signature(output.forward).parameters) > 1
