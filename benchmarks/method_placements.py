"""How each method is measured: in which settings, with which hyper-parameters, against what.

A method's family places it, with its default hyper-parameters; what needs more stands in SPECIAL. A method that neither places
is an error: nothing is left out in silence. Added to the plain recipe, a method takes the place of those it conflicts with, as
one schedule does of another; an optimizer stands against SGD with the learning rate of both chosen alike; and a method that the
plain recipe holds stands against that recipe without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from method_settings import WIDTH, WRONG
from method_texts_and_audio import NOISES
from whet.core.errors import RecipeError
from whet.core.method import Method
from whet.core.recipe import Recipe, parse_method, parse_methods
from whet.core.stages import Stage

SCRATCH = ("digits", "cifar10")
PHOTOS = ("cifar10", "trashnet")
FINE_TUNED = ("trashnet", "cifar10_finetuned")
FEATURES = ("trashnet_features", "cifar10_features")
UNEVEN = ("cifar10_long_tail", "trashnet_long_tail", "cifar10")
WRONGLY_LABELLED = ("digits_wrong_labels", "cifar10_wrong_labels", "trashnet_wrong_labels", "cifar10")
FILED_TWICE = ("digits_twice", "cifar10_twice")

LR_FACTORS = (1, 3, 10)  # upwards: trainings are short
TEACHER, RELATED = "<teacher>", "<related>"  # in the place of the folder of a helper's run


class NoRule(Exception):
    """A method that no family and no entry of SPECIAL places."""


@dataclass(frozen=True)
class Placement:
    """settings: names in SETTINGS. values: hyper-parameters other than the defaults. companions: methods on both sides. against: a
    method that stands on the other side in the place of this one. metric: else the setting's. train: training settings on the
    method's side alone. remark: what the card says in the place of the values."""

    settings: tuple[str, ...]
    values: Mapping[str, Any] = field(default_factory=dict)
    companions: tuple[Any, ...] = ()
    against: str = ""
    metric: str = ""
    train: Mapping[str, Any] = field(default_factory=dict)
    remark: str = ""


FAMILIES: dict[str, tuple[str, ...]] = {
    "augment": SCRATCH,
    "mix": SCRATCH,
    "architecture": SCRATCH,
    "regularize": SCRATCH,
    "distill": SCRATCH,
    "optimize": SCRATCH,
    "schedule": SCRATCH,
    "average": SCRATCH,
    "ensemble": SCRATCH,
    "transfer": FINE_TUNED,
    "balance": UNEVEN,
}
TEXTS, CHINESE, AUDIO_FILES = ("sst2", "trec"), ("hotels_zh", "waste_zh"), ("fsdd", "esc10")
# A method of several tasks is measured with images.
BY_TASK: dict[str, dict[str, tuple[str, ...]]] = {
    "image-classification": FAMILIES,
    "text-classification": {"augment": TEXTS},
    "audio-classification": {"augment": AUDIO_FILES, "mix": AUDIO_FILES},
}

_COLOURS = ("channel_shuffle", "grayscale", "hue", "pca_lighting", "saturation", "white_balance")
_MIRRORS = ("alternating_flip", "horizontal_flip", "rotate90", "tta", "vertical_flip")
_WRONG_LABELS = ("bootstrap_loss", "confident_learning", "generalized_cross_entropy", "symmetric_cross_entropy")
_CONSTANT_RATE = ("batch_ramp", "early_stopping", "lawa", "plateau", "soup", "swa")
_WHOLE_BATCH = ("gauss_newton", "lbfgs", "newton_cg")
MODELS_NEEDED = ("back_translation", "contextual_substitution")
# samples without a label, which no setting has
UNLABELLED_NEEDED = (
    "adamatch", "fixmatch", "label_propagation", "label_spreading", "mean_teacher", "noisy_student", "pseudo_label", "softmatch",
    "supervised_guard",
)  # fmt: skip
# measured by `whet compress`: what they cost in accuracy and gain in time and size
COMPRESSING = (
    "low_rank",
    "prune_magnitude",
    "prune_structured",
    "quantize_aware",
    "quantize_dynamic",
    "quantize_static",
)
_TAUGHT = ("decoupled_distill", "distill", "feature_distill", "relational_distill")

BIT_EQUAL = "every prediction is the same to the last bit"
# Why, where a method leaves every prediction as it is.
UNABLE = {
    "case_noise": "the network's vocabulary knows no capitals",
    "clip_value": "no gradient came near the bound",
    "gaussian_blur": "a blur of 0.3 pixels at most leaves values of 8 bits as they are",
    "ghost_batchnorm": "batches are no larger than one ghost batch",
    "max_norm": "no unit's weights came near the bound",
    "polarity": "spectrograms have no sign",
}

SPECIAL: dict[str, Placement] = {
    # Colours mean nothing to grey digits, and a mirrored digit is none.
    **dict.fromkeys((*_COLOURS, *_MIRRORS, "auto_augment", "color_jitter"), Placement(PHOTOS)),
    "albumentations": Placement(SCRATCH, {"transforms": [{"Affine": {"rotate": [-15, 15], "p": 1}}]}),
    "kornia": Placement(SCRATCH, {"transforms": [{"RandomAffine": {"degrees": 15, "p": 1}}]}),
    "torchvision_v2": Placement(SCRATCH, {"transforms": [{"RandomAffine": {"degrees": 15}}]}),
    # Balance: by what is wrong with the data.
    **dict.fromkeys(_WRONG_LABELS, Placement(WRONGLY_LABELLED)),
    "co_teaching": Placement(WRONGLY_LABELLED, {"noise": WRONG / 100}),
    "drop_conflicts": Placement(FILED_TWICE),
    "asymmetric": Placement(SCRATCH),
    # What needs another method, or one in its place, to be judged by.
    "jsd_consistency": Placement(SCRATCH, companions=("augmix",)),
    "r_drop": Placement(SCRATCH, companions=("dropout",)),
    **dict.fromkeys(_CONSTANT_RATE, Placement(SCRATCH, companions=("constant",))),
    "sgd": Placement(SCRATCH, against="adam"),
    "finetune": Placement(FINE_TUNED, against="linear_probe"),
    # Whose defaults change nothing, or nothing here.
    "constant": Placement(SCRATCH, remark="in the place of cosine"),
    "scale_width": Placement(SCRATCH, {"width": 2 * WIDTH}, remark="twice the plain network's width"),
    "progressive_resize": Placement(FINE_TUNED),
    "curriculum": Placement(FINE_TUNED),
    # Curvature wants the whole of the data in a step.
    **dict.fromkeys(
        _WHOLE_BATCH,
        Placement(FEATURES, against="sgd", train={"batch_size": 4096}, remark="every step sees all training samples"),
    ),
    # They change no decision, or hardly any: what they are for is honest confidence.
    "temperature_scaling": Placement(SCRATCH, metric="log_loss"),
    "vector_scaling": Placement(SCRATCH, metric="log_loss"),
    # Made for audio clips.
    "between_class": Placement(AUDIO_FILES),
    # Runs that must be there before.
    **dict.fromkeys(_TAUGHT, Placement(SCRATCH, {"teacher": TEACHER})),
    "stacking": Placement(SCRATCH, {"runs": [TEACHER]}),
    "from_run": Placement(PHOTOS, {"run": RELATED}),
    # Texts: what is for Chinese alone, what needs several sentences, what needs a model that comes with no data here.
    "homophone": Placement(CHINESE),
    "similar_character": Placement(CHINESE),
    "sentence_shuffle": Placement(("hotels_zh", "shopping_zh")),
    **dict.fromkeys((*MODELS_NEEDED, *UNLABELLED_NEEDED, *COMPRESSING), Placement(())),
    "background_mix": Placement(AUDIO_FILES, {"folder": str(NOISES)}, remark="waves of the sea"),
}


def place(cls: type[Method]) -> Placement:
    """Where and how a method is measured; nowhere, where no setting is of its task. NoRule where nothing says it."""
    families = next((known for task, known in BY_TASK.items() if task in cls.tasks), None)
    if families is None:
        return Placement(())
    if cls.name in SPECIAL:
        return SPECIAL[cls.name]
    if cls.family not in families:
        raise NoRule(f"{cls.name}: no rule for the family '{cls.family}'; place it in FAMILIES or SPECIAL")
    if cls.identity is not None and cls(**cls.identity) == cls():
        raise NoRule(f"{cls.name}: its defaults change nothing; give it hyper-parameters in SPECIAL")
    return Placement(families[cls.family], against="sgd" if cls.stage is Stage.OPTIMIZER else "")


def without(cls: type[Method], placement: Placement, plain: Recipe) -> Recipe:
    """The other side where no method stands `against` this one: the plain recipe with the companions, less the method, unless it
    is there with other hyper-parameters to compare with."""
    recipe = plain.with_methods(*parse_methods(placement.companions))
    return recipe.without(cls.name) if cls.name in recipe and not placement.values else recipe


def candidates(cls: type[Method], placement: Placement, plain: Recipe, helpers: Mapping[str, str]) -> list[Recipe]:
    """The recipes with this method: one, or one for each learning rate to choose from. helpers: folders of finished runs."""
    values = {key: _with_folders(value, helpers) for key, value in placement.values.items()}
    recipe = plain.with_methods(*parse_methods(placement.companions)).setting(**placement.train)
    rates: list[dict[str, float]] = _learning_rates(cls, plain) if cls.stage is Stage.OPTIMIZER else [{}]
    return [recipe.with_methods(parse_method({cls.name: {**values, **rate}})) for rate in rates]


def _learning_rates(cls: type[Method], plain: Recipe) -> list[dict[str, float]]:
    """Around the plain recipe's own or else the default, where the rate is worth searching over magnitudes; a second-order step
    has its own length."""
    search = cls.search_space().get("lr")
    if search is None or not search.log:
        return [{}]
    middle = (plain.method(cls.name) if cls.name in plain else cls()).settings_dict()["lr"]
    return [{"lr": float(f"{middle * factor:.1g}") if factor != 1 else middle} for factor in LR_FACTORS]


def _with_folders(value: Any, helpers: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_with_folders(one, helpers) for one in value]
    if value in (TEACHER, RELATED):
        name = value.strip("<>")
        if name not in helpers:
            raise RecipeError(f"the setting has no run '{name}'; it has {', '.join(helpers) or 'none'}")
        return helpers[name]
    return value


def helpers_of(placement: Placement) -> set[str]:
    """Which helper runs its hyper-parameters name."""
    named = [one for value in placement.values.values() for one in (value if isinstance(value, list) else [value])]
    return {one.strip("<>") for one in named if one in (TEACHER, RELATED)}
