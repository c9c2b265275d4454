"""Every registered method keeps the contract."""

import pytest

from whet.core.registry import registry
from whet.core.stages import Changes, WrapsPredictor
from whet.testing import CHECKS, check_method

METHODS = list(registry())


@pytest.mark.filterwarnings("ignore")  # torch's exporters warn of their own changes
@pytest.mark.parametrize("cls", METHODS, ids=lambda cls: cls.name)
def test_contract(cls):
    ran = check_method(cls, leave_out={"onnx"})
    assert set(ran) == set(CHECKS) - {"onnx"} - set(cls.exceptions)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cls", [
    pytest.param(cls, id=cls.name, marks=[pytest.mark.slow, *([pytest.mark.sample] if cls.name in ("dropout", "tta") else [])])
    for cls in METHODS if issubclass(cls, Changes | WrapsPredictor)
])  # fmt: skip
def test_onnx(cls):
    CHECKS["onnx"](cls)


def test_all_of_them_were_seen():
    """A guard that says how much it saw."""
    assert len(METHODS) >= 40
    names = {cls.name for cls in METHODS}
    augment = "random_resized_crop horizontal_flip rotate shear brightness contrast saturation hue random_erasing trivial_augment"
    train = "linear_probe finetune linear_probe_then_finetune layerwise_lr l1 l2 dropout label_smoothing sgd adamw lbfgs cosine"
    more = "one_cycle warmup progressive_resize clip_norm ema class_weight balanced_sampler tta temperature_scaling early_stopping"
    asked = f"{augment} mixup cutmix {train} {more}".split()
    assert set(asked) <= names
    assert len(CHECKS) >= 15
