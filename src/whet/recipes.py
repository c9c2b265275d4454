"""The shipped recipes, and changes of a recipe from the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from whet.core.errors import RecipeError, unknown
from whet.core.language import Sentence, english
from whet.core.media import plural
from whet.core.method import Method
from whet.core.recipe import Recipe, parse_method
from whet.core.spec import DataSpec, ModelSpec
from whet.core.stages import Stage
from whet.core.task import MEDIA, problems

_STRONG_FINETUNE = {"image": "waste"}
_PRETRAINING = "pretraining"
_FOLDERS = {
    "semantic-segmentation": "segmentation",
    "instance-segmentation": "segmentation",
    **{f"{medium}-pretraining": _PRETRAINING for medium in MEDIA},
}  # of the recipes of a task; those of other tasks are in that of the medium
_TF_IDF = "tf_idf"
_BAG = "fast_text"  # the text network that the from-scratch recipe is made for


def folder() -> Path:
    """The folder of the shipped recipes, inside the installed package or next to its source."""
    inside = Path(__file__).parent / "recipes"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "recipes"


def names() -> list[str]:
    return sorted(path.relative_to(folder()).with_suffix("").as_posix() for path in folder().rglob("*.yaml"))


def load(name: str | Path) -> Recipe:
    """Load a recipe file, or a shipped recipe by name ("image/waste")."""
    if Path(name).suffix in (".yaml", ".yml") or Path(name).is_file():
        return Recipe.load(name)
    if str(name) not in names():
        raise RecipeError(unknown("recipe", str(name), names()) + ", or a .yaml file")
    return Recipe.load(folder() / f"{name}.yaml")


def default(data: DataSpec, model: ModelSpec, *, plain: bool = False, task: str | None = None) -> Recipe:
    """The default recipe for this data and model: fine-tuning if there are pretrained weights, else from scratch. For texts, the
    from-scratch recipe depends on whether the network is a bag of words. task: by default what the data suggest."""
    from whet.data.read import medium_of
    from whet.models.build import zoo_of

    medium, where = medium_of(data), _folder_of(data, task)
    if where == _PRETRAINING:
        return load(f"{where}/{medium}")
    if model.architecture == _TF_IDF:
        return load(f"text/{_TF_IDF}")
    if medium == "text" and not plain and model.architecture in set(zoo_of(medium)) - {_BAG}:
        return load(_comparing(medium))
    kind = "finetune" if _pretrained(data, model, medium) else "from_scratch"
    if plain:
        found = load(f"{where}/plain_{kind}")
    else:
        found = load(f"{where}/{_STRONG_FINETUNE.get(where, kind) if kind == 'finetune' else kind}")
    return found.replace(task=task or task_for(data))


def for_pretraining(data: DataSpec, model: ModelSpec) -> Recipe:
    """The default recipe for a pre-training on these data, with its network unless one is given."""
    from whet.data.read import medium_of

    found = load(f"{_PRETRAINING}/{medium_of(data)}")
    given = model.weights not in ("auto", "none") or model.architecture != "auto"
    return found.replace(data=data, model=model if given else found.model.replace(weights=model.weights))


def obvious(data: DataSpec, model: ModelSpec, *, task: str | None = None) -> dict[str, Recipe]:
    """One-pass baselines by name: logistic regression on the frozen features of the pretrained weights, if there are any, and on
    TF-IDF for texts. There is none for masks."""
    from whet.data.read import medium_of

    medium, frozen = medium_of(data), f"{_folder_of(data, task)}/frozen"
    found: dict[str, Recipe] = {}
    if frozen in names() and _pretrained(data, model, medium):
        found[english("frozen")] = load(frozen).replace(data=data, model=model)
    if medium == "text":
        found[_TF_IDF] = load(f"text/{_TF_IDF}").replace(data=data)
    return found


def _pretrained(data: DataSpec, model: ModelSpec, medium: str) -> bool:
    """Whether this model starts from pretrained weights."""
    from whet.models.build import resolve

    open_choice = medium == "image" and model.weights == model.architecture == "auto"
    return resolve(model, _usual_size(data) if open_choice else 0, medium).weights != "none"


def task_for(data: DataSpec) -> str:
    """The task that the data suggest."""
    from whet.data.read import problem_of

    return problem_of(data)


def for_comparison(data: DataSpec, model: ModelSpec, *, task: str | None = None) -> Recipe:
    """The recipe for comparing architectures: one that suits any network from scratch, or the strong recipe for fine-tuning."""
    from whet.data.read import medium_of
    from whet.models.build import resolve

    shared = _comparing(_folder_of(data, task))
    if shared not in names() or resolve(model, 0, medium_of(data)).weights != "none":
        return default(data, model, task=task)
    return load(shared)


def _comparing(where: str) -> str:
    return f"{where}/compare_from_scratch"


def _folder_of(data: DataSpec, task: str | None) -> str:
    """The folder of the recipes for a task, by default the one that the data suggest. RecipeError for a task of another medium."""
    from whet.data.read import medium_of

    known, medium = problems(), medium_of(data)
    suggested = task or task_for(data)
    if suggested not in known:
        raise RecipeError(unknown("task", suggested, known))
    if known[suggested] != medium:
        accepted = ", ".join(name for name, of in known.items() if of == medium)
        raise RecipeError(
            f"task {suggested} is for {plural(known[suggested])}, but {data.path} holds {plural(medium)}; "
            f"accepted: {accepted}"
        )
    return _FOLDERS.get(suggested, medium)


def _usual_size(data: DataSpec) -> int:
    """The shorter side of the images, as used in training."""
    from whet.data.read import read_data
    from whet.training.resolve import usual_size

    return usual_size(Recipe(data=data), read_data(data))


def change(
    recipe: Recipe,
    *,
    settings: tuple[str, ...] = (),
    add: tuple[str, ...] = (),
    drop: tuple[str, ...] = (),
    note: Callable[[Sentence], None] = lambda text: None,
) -> Recipe:
    """Change a recipe: `KEY=VALUE` settings (train.batch_size=16, mixup.alpha=0.4), methods to add ("mixup") and to drop. A method
    that is already in the recipe keeps its settings. `note` is called with a line for each side effect: a method that keeps its
    settings, and methods that are removed because they conflict with a new one."""
    recipe = recipe.without(*drop)
    for name in add:
        recipe = _with_method(recipe, name, note)
    if lost := [name for name in add if name not in recipe]:
        raise RecipeError(
            f"{' and '.join(add)} cannot be used in one recipe: {lost[0]} conflicts; add only one of them"
        )
    for text in settings:
        key, equals, value = text.partition("=")
        owner, dot, field = key.strip().partition(".")
        if not equals or not dot:
            raise RecipeError(
                f"--set {text}: write SECTION.KEY=VALUE or METHOD.KEY=VALUE, such as train.batch_size=16 or mixup.alpha=0.4"
            )
        parsed = _value(value, text)
        if owner in ("data", "model", "train"):
            recipe = recipe.replace(**{owner: getattr(recipe, owner).replace(**{field: parsed})})
        elif owner in recipe:
            method = recipe.method(owner).replace(**{field: parsed})
            recipe = recipe.replace(methods=tuple(method if m.name == owner else m for m in recipe.methods))
        else:
            raise RecipeError(
                unknown("section or method", owner, ["data", "model", "train", *(m.name for m in recipe.methods)])
            )
    return recipe


def _with_method(recipe: Recipe, name: str, note: Callable[[Sentence], None]) -> Recipe:
    if name in recipe:
        kept = ", ".join(f"{key} = {value}" for key, value in recipe.method(name).settings_dict().items())
        if kept:
            note(
                english(
                    "{method} is already in the recipe and keeps its settings: {settings}", method=name, settings=kept
                )
            )
        else:
            note(english("{method} is already in the recipe", method=name))
        return recipe
    changed = recipe.with_methods(parse_method(name))
    for gone in recipe.methods:
        if gone.name not in changed:
            note(
                english(
                    "{method} replaces {other}, because they cannot be used in one recipe", method=name, other=gone.name
                )
            )
    return changed


def with_options(
    recipe: Recipe, *, batch_size: int | None = None, lr: float | None = None, image_size: str | None = None,
    device: str | None = None, metric: str | None = None,
) -> Recipe:  # fmt: skip
    """Set training options; None leaves a setting unchanged. lr: the learning rate of the recipe's optimizer. metric: of methods
    that watch one. RecipeError where the recipe has no such method."""
    pixels = int(image_size) if image_size is not None and image_size.isdecimal() else image_size
    if pixels is not None and recipe.medium != "image":
        raise RecipeError(f"--image-size {image_size} does not apply to {recipe.task}")
    given = {"batch_size": batch_size, "image_size": pixels, "device": device}
    if changes := {key: value for key, value in given.items() if value is not None}:
        recipe = recipe.setting(**changes)
    if lr is not None:
        where = "the recipe has no optimizer with a learning rate; add one, for example --with adamw"
        recipe = _with_value(recipe, "lr", lr, lambda method: method.stage is Stage.OPTIMIZER, where)
    if metric is not None:
        where = (
            "a training watches a metric with early_stopping or plateau only, and this recipe has neither; add one with --with; "
            "whet improve, study and tune choose by --metric"
        )
        recipe = _with_value(recipe, "metric", metric, lambda method: True, where)
    return recipe


def _with_value(recipe: Recipe, key: str, value: Any, which: Callable[[Method], bool], where: str) -> Recipe:
    """The recipe with this value in the methods that have such a setting. RecipeError if there is none."""
    having = [method for method in recipe.methods if which(method) and key in type(method).model_fields]
    if not having:
        raise RecipeError(f"--{key} {value}: {where}")
    return recipe.replace(methods=tuple(m.replace(**{key: value}) if m in having else m for m in recipe.methods))


def _value(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise RecipeError(f"--set {where}: '{text}' is not a valid YAML value") from None
