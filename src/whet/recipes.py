"""The recipes that come with whet, and how a recipe is changed from the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from whet.core.errors import RecipeError, unknown
from whet.core.recipe import Recipe, parse_method
from whet.core.spec import DataSpec, ModelSpec
from whet.core.stages import Stage

_TASKS = {"image": "image-classification", "text": "text-classification", "audio": "audio-classification"}
_FOLDERS = {"image": "image", "text": "text", "audio": "audio"}
_STRONG_FINETUNE = {"image": "waste"}
_TF_IDF = "tf_idf"
_BAG = "fast_text"  # the one network for texts that the recipe from scratch is made for


def folder() -> Path:
    """Where the shipped recipes lie: inside the installed package, or beside its source."""
    inside = Path(__file__).parent / "recipes"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "recipes"


def names() -> list[str]:
    return sorted(path.relative_to(folder()).with_suffix("").as_posix() for path in folder().rglob("*.yaml"))


def load(name: str | Path) -> Recipe:
    """A recipe file, or a shipped recipe by its name ("image/waste")."""
    if Path(name).suffix in (".yaml", ".yml") or Path(name).is_file():
        return Recipe.load(name)
    if str(name) not in names():
        raise RecipeError(unknown("recipe", str(name), names()) + ", or a .yaml file")
    return Recipe.load(folder() / f"{name}.yaml")


def default(data: DataSpec, model: ModelSpec, *, plain: bool = False) -> Recipe:
    """The recipe for this data and model: fine-tuning where there are pretrained weights, from scratch where there are none; of
    texts one for the bag of words and one for any other network."""
    from whet.data.read import medium_of
    from whet.models.build import zoo_of

    medium = medium_of(data)
    if model.architecture == _TF_IDF:
        return load(f"text/{_TF_IDF}")
    if medium == "text" and not plain and model.architecture in set(zoo_of(medium)) - {_BAG}:
        return load(_comparing(medium))
    kind = "finetune" if _pretrained(data, model, medium) else "from_scratch"
    if plain:
        return load(f"{_FOLDERS[medium]}/plain_{kind}")
    return load(f"{_FOLDERS[medium]}/{_STRONG_FINETUNE.get(medium, kind) if kind == 'finetune' else kind}")


def obvious(data: DataSpec, model: ModelSpec) -> dict[str, Recipe]:
    """By name, what takes one pass and any training has to beat: logistic regression on the frozen features of the pretrained
    weights, where there are some, and for texts on TF-IDF."""
    from whet.data.read import medium_of

    medium, found = medium_of(data), {}
    if _pretrained(data, model, medium):
        found["frozen"] = load(f"{_FOLDERS[medium]}/frozen").replace(data=data, model=model)
    if medium == "text":
        found[_TF_IDF] = load(f"text/{_TF_IDF}").replace(data=data)
    return found


def _pretrained(data: DataSpec, model: ModelSpec, medium: str) -> bool:
    """Whether this model starts from pretrained weights."""
    from whet.models.build import resolve

    open_choice = medium == "image" and model.weights == model.architecture == "auto"
    return resolve(model, _usual_size(data) if open_choice else 0, medium).weights != "none"


def task_for(data: DataSpec) -> str:
    """The task that fits what lies there: a class for every image, text or audio clip."""
    from whet.data.read import medium_of

    return _TASKS[medium_of(data)]


def for_comparison(data: DataSpec, model: ModelSpec) -> Recipe:
    """The recipe to compare an architecture with others: from scratch one that suits any, else the strong one for fine-tuning."""
    from whet.data.read import medium_of
    from whet.models.build import resolve

    medium = medium_of(data)
    if medium == "audio" or resolve(model, 0, medium).weights != "none":
        return default(data, model)
    return load(_comparing(medium))


def _comparing(medium: str) -> str:
    return f"{_FOLDERS[medium]}/compare_from_scratch"


def _usual_size(data: DataSpec) -> int:
    """The shorter side of the images, as training will find it."""
    from whet.data.read import read_data
    from whet.training.resolve import usual_size

    return usual_size(Recipe(data=data), read_data(data))


def change(
    recipe: Recipe,
    *,
    settings: tuple[str, ...] = (),
    add: tuple[str, ...] = (),
    drop: tuple[str, ...] = (),
    note: Callable[[str], None] = lambda text: None,
) -> Recipe:
    """The recipe with `KEY=VALUE` settings (train.batch_size=16, mixup.alpha=0.4), methods added ("mixup") and dropped. A method
    that is in the recipe already keeps its settings. `note` is given a line for each consequence that was not asked for: a method
    kept as it was, and methods that had to go because they cannot stand beside a new one."""
    recipe = recipe.without(*drop)
    for name in add:
        recipe = _with_method(recipe, name, note)
    if lost := [name for name in add if name not in recipe]:
        raise RecipeError(f"{' and '.join(add)} cannot stand in one recipe: {lost[0]} is in conflict; add one of them")
    for text in settings:
        key, equals, value = text.partition("=")
        owner, dot, field = key.strip().partition(".")
        if not equals or not dot:
            raise RecipeError(
                f"--set {text}: write SECTION.KEY=VALUE or METHOD.KEY=VALUE, as train.batch_size=16 or mixup.alpha=0.4"
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


def _with_method(recipe: Recipe, name: str, note: Callable[[str], None]) -> Recipe:
    if name in recipe:
        kept = ", ".join(f"{key} = {value}" for key, value in recipe.method(name).settings_dict().items())
        note(f"{name} is in the recipe already and keeps its settings" + (f": {kept}" if kept else ""))
        return recipe
    changed = recipe.with_methods(parse_method(name))
    for gone in recipe.methods:
        if gone.name not in changed:
            note(f"{name} takes the place of {gone.name}: they cannot stand in one recipe")
    return changed


def with_options(
    recipe: Recipe, *, batch_size: int | None = None, lr: float | None = None, image_size: str | None = None,
    device: str | None = None,
) -> Recipe:  # fmt: skip
    """The recipe with the training settings that options name; None leaves one as it is. lr: of the recipe's optimizer."""
    pixels = int(image_size) if image_size is not None and image_size.isdecimal() else image_size
    if pixels is not None and recipe.medium != "image":
        raise RecipeError(f"--image-size {image_size} means nothing for {recipe.task}")
    given = {"batch_size": batch_size, "image_size": pixels, "device": device}
    if changes := {key: value for key, value in given.items() if value is not None}:
        recipe = recipe.setting(**changes)
    if lr is None:
        return recipe
    found = next((m for m in recipe.methods if m.stage is Stage.OPTIMIZER and "lr" in type(m).model_fields), None)
    if found is None:
        raise RecipeError(f"--lr {lr:g}: the recipe names no optimizer with a learning rate; add one, as --with adamw")
    return recipe.replace(methods=tuple(found.replace(lr=lr) if m is found else m for m in recipe.methods))


def _value(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise RecipeError(f"--set {where}: '{text}' is not a value as YAML writes it") from None
