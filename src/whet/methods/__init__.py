"""Techniques, one a file, in folders in the order of a sample's journey. To add one: its file, its test, its line here."""

from whet.methods.augment_image.autocontrast import AutoContrast
from whet.methods.augment_image.brightness import Brightness
from whet.methods.augment_image.contrast import Contrast
from whet.methods.augment_image.equalize import Equalize
from whet.methods.augment_image.horizontal_flip import HorizontalFlip
from whet.methods.augment_image.hue import Hue
from whet.methods.augment_image.posterize import Posterize
from whet.methods.augment_image.random_erasing import RandomErasing
from whet.methods.augment_image.random_resized_crop import RandomResizedCrop
from whet.methods.augment_image.rotate import Rotate
from whet.methods.augment_image.saturation import Saturation
from whet.methods.augment_image.sharpen import Sharpen
from whet.methods.augment_image.shear import Shear
from whet.methods.augment_image.solarize import Solarize
from whet.methods.augment_image.translate import Translate
from whet.methods.augment_image.trivial_augment import TrivialAugment
from whet.methods.augment_image.vertical_flip import VerticalFlip
from whet.methods.average.ema import EMA
from whet.methods.balance.balanced_sampler import BalancedSampler
from whet.methods.balance.class_weight import ClassWeight
from whet.methods.ensemble.temperature_scaling import TemperatureScaling
from whet.methods.ensemble.tta import TTA
from whet.methods.mix.cutmix import CutMix
from whet.methods.mix.mixup import MixUp
from whet.methods.optimize.adamw import AdamW
from whet.methods.optimize.clip_norm import ClipNorm
from whet.methods.optimize.lbfgs import LBFGS
from whet.methods.optimize.sgd import SGD
from whet.methods.regularize.dropout import Dropout
from whet.methods.regularize.early_stopping import EarlyStopping
from whet.methods.regularize.l1 import L1
from whet.methods.regularize.l2 import L2
from whet.methods.regularize.label_smoothing import LabelSmoothing
from whet.methods.schedule.cosine import Cosine
from whet.methods.schedule.one_cycle import OneCycle
from whet.methods.schedule.progressive_resize import ProgressiveResize
from whet.methods.schedule.warmup import Warmup
from whet.methods.transfer.finetune import Finetune
from whet.methods.transfer.layerwise_lr import LayerwiseLr
from whet.methods.transfer.linear_probe import LinearProbe
from whet.methods.transfer.linear_probe_then_finetune import LinearProbeThenFinetune

__all__ = [
    "EMA",
    "L1",
    "L2",
    "LBFGS",
    "SGD",
    "TTA",
    "AdamW",
    "AutoContrast",
    "BalancedSampler",
    "Brightness",
    "ClassWeight",
    "ClipNorm",
    "Contrast",
    "Cosine",
    "CutMix",
    "Dropout",
    "EarlyStopping",
    "Equalize",
    "Finetune",
    "HorizontalFlip",
    "Hue",
    "LabelSmoothing",
    "LayerwiseLr",
    "LinearProbe",
    "LinearProbeThenFinetune",
    "MixUp",
    "OneCycle",
    "Posterize",
    "ProgressiveResize",
    "RandomErasing",
    "RandomResizedCrop",
    "Rotate",
    "Saturation",
    "Sharpen",
    "Shear",
    "Solarize",
    "TemperatureScaling",
    "Translate",
    "TrivialAugment",
    "VerticalFlip",
    "Warmup",
]
