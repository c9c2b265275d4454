"""The model card, in English and in Chinese."""

import re

import pytest

import whet
from whet.core.language import english, in_language
from whet.exporting import describe
from whet.exporting.card import model_card


def info(rule: str = "largest", **more) -> dict:
    """What the card reads of a bundle.json."""
    task, metric = ("semantic-segmentation", "mean_iou") if rule == "pixels" else ("single-label", "accuracy")
    rows = [
        {"name": "glass", "samples": 30, "precision": 0.9, "recall": 0.5},
        {"name": "metal", "samples": 12, "precision": None},
    ]
    return {
        "problem": "image-classification", "task": task, "medium": "image",
        "classes": ["glass", "metal"], "architecture": "mobilenet_v1", "parameters": 1_234_567, "versions": {"whet": "0.1.0"},
        "input": {"words": describe._pixels(96, "squash")},
        "decision": {"unsure_below": 0.25, "rule": rule, **describe._DECISIONS[rule]},
        "metrics": {
            "exported": {"dtype": "fp32", metric: 0.875, f"{metric}_interval": [0.8, 0.925], "per_class": rows},
            "recorded": {"dtype": "bf16", metric: 0.86},
        },
        "parity": {
            "metric": metric, "split": "test", "samples": 1042, "compared": 64, "largest_difference": 1.2e-5,
            "largest_score": 9.87, "seconds_per_sample": 0.0123,
        },
        "compression": [], "golden": [{}], **more,
    }  # fmt: skip


INT8 = {
    "method": {"quantize_static": {}}, "words": english("int8, the head in floating point"), "samples": 1042, "split": "val",
    "cost": {"mean": 0.004, "low": -0.001, "high": 0.009}, "milliseconds": {"before": 12.34, "after": 5.0},
    "bytes": {"before": 8.1e6, "after": 2.1e6},
}  # fmt: skip
LOW_RANK = {"method": {"low_rank": {}}, "parameters": {"before": 2_000_000, "after": 1_500_000}}
UNDONE = {"method": {"low_rank": {}}, "undone": english("nothing became smaller")}


def test_in_english():
    card = model_card(info(compression=[INT8, LOW_RANK, UNDONE]), "run")
    for sentence in (
        "image-classification, 2 classes: glass, metal. Network: mobilenet_v1, 1,234,567 parameters. Exported by whet 0.1.0.",
        "A prediction is unsure where the probability of the class is below 25 %.",
        "| | accuracy on 1,042 test samples |",
        "| this file (fp32) | 87.5 % (95 % interval 80.0 to 92.5) |\n| recorded by the run (bf16) | 86.0 % |",
        "quantize_static (int8, the head in floating point) costs 0.4 points of accuracy on 1,042 validation samples (95 % "
        "interval -0.1 to 0.9), against the same model in single precision: 12.3 -> 5.0 ms of processor time a sample, "
        "8.1 -> 2.1 MB.",
        "low_rank: 2,000,000 -> 1,500,000 parameters.",
        "low_rank was undone: nothing became smaller.",
        "Scores of 64 samples differ from torch in single precision by at most 1.2e-05; the largest score is 9.87. A sample takes "
        "12.3 ms",
        "| glass | 30 | 90.0 % | 50.0 % |\n| metal | 12 |  |  |",
        "`golden/` holds 1 sample of the test split",
    ):
        assert sentence in card, card


@pytest.mark.parametrize("rule", ["largest", "pixels"])
@pytest.mark.parametrize("dtype", ["fp32", "int8"])
def test_in_chinese_no_english_sentence_is_left(rule, dtype):
    given = info(rule, compression=[INT8, LOW_RANK, UNDONE])
    given["metrics"]["exported"]["dtype"] = dtype
    with in_language("zh"):
        card = model_card(given, "run")
    names = [
        "glass",
        "metal",
        "mobilenet_v1",
        "quantize_static",
        "low_rank",
        "image-classification",
        "semantic-segmentation",
    ]
    names += ["predict.py", "bundle.json", "torch", "JPEG", "whet", "SHA-256", "fp32", "bf16", "int8", "IoU"]
    rest = re.sub(r"```.*?```|`.*?`|^# run|" + "|".join(map(re.escape, names)), "", card, flags=re.DOTALL)
    assert re.findall(r"[A-Za-z]{3,}", rest.replace("RGB", "")) == [], rest
    assert "1,042 个测试样本" in card and "87.5 %（95 % 置信区间 80.0 至 92.5）" in card
    assert ("低于 25 %" in card) == (rule == "largest")


def test_only_a_class_for_the_whole_sample_is_always_one_of_them():
    assert "none of the classes" in model_card(info(), "run")
    assert "none of the classes" not in model_card(info("pixels"), "run")


@pytest.mark.slow
def test_the_card_alone_is_in_the_language(finished_run, tmp_path):
    """What programs read stays English."""
    bundle = whet.export(finished_run, tmp_path / "bundle", language="zh")
    card = (bundle.path / "README.md").read_text(encoding="utf-8")
    assert "## 测量结果" in card and "个测试样本上的准确率" in card
    assert bundle.info["decision"]["words"] == "the class with the largest probability"
    assert (bundle.path / "bundle.json").read_bytes().isascii() or "类别" not in (
        bundle.path / "bundle.json"
    ).read_text()
