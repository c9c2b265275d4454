"""The search space: settings of a recipe with their ranges, declared by methods on their fields or given by the user."""

from __future__ import annotations

import json
import types
import typing
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from whet.core.errors import RecipeError, unknown
from whet.core.method import Method
from whet.core.recipe import Recipe
from whet.core.search import Search
from whet.core.strict import Strict
from whet.training.resolve import usual_batch_size

TRAIN = "train"
_SEARCHED = ("model", TRAIN)
# Not searched: data and splits define the evaluation, the seed is not a hyperparameter, and longer runs are not comparable.
_NEVER = frozenset(("seed", "budget", "max_epochs", "epochs", "steps", "seconds", "device"))


@dataclass(frozen=True)
class Setting:
    """A setting to search. key: METHOD.KEY, model.KEY or train.KEY. whole: integers only. was: its value in the recipe, which is
    tried first if the range contains it."""

    key: str
    search: Search
    whole: bool
    was: Any

    @property
    def holds_was(self) -> bool:
        low, high, was = self.search.low, self.search.high, self.was
        if self.search.choices:
            return was in self.search.choices
        number = isinstance(was, int | float) and not isinstance(was, bool)
        return number and low is not None and high is not None and low <= was <= high

    @property
    def texts(self) -> list[str]:
        """The choices as stored by Optuna, which supports only plain values."""
        return [json.dumps(choice) for choice in self.search.choices]

    def suggest(self, trial: Any) -> Any:
        """Let an Optuna trial suggest a value for this setting."""
        if self.search.choices:
            return self.given(trial.suggest_categorical(self.key, self.texts))
        draw = trial.suggest_int if self.whole else trial.suggest_float
        return draw(self.key, self.search.low, self.search.high, log=self.search.log)

    def kept(self, value: Any) -> Any:
        """Convert a value to its stored form."""
        return json.dumps(value) if self.search.choices else value

    def given(self, kept: Any) -> Any:
        """Convert a stored value back."""
        return self.search.choices[self.texts.index(kept)] if self.search.choices else kept

    def text(self) -> str:
        """The range as text, such as '0.001 … 1, log'."""
        if self.search.choices:
            return ", ".join(self.texts)
        return f"{self.search.low:g} … {self.search.high:g}" + (", log" if self.search.log else "")


def make_space(recipe: Recipe, methods: Sequence[str], searches: Sequence[str], samples: int) -> tuple[Setting, ...]:
    """The settings to search. methods: search the settings declared by these methods of the recipe; "train" stands for batch size
    and image size. searches: settings with ranges, KEY=LOW:HIGH, KEY=LOW:HIGH:log or KEY=A,B,C, which override declared ranges. If
    neither is given, all declared settings, batch size and image size are searched. samples: the number of training samples."""
    names = list(methods) or ([*(method.name for method in recipe.methods), TRAIN] if not searches else [])
    found: dict[str, Setting] = {}
    for name in names:
        declared = _of_training(recipe, samples) if name == TRAIN else _declared(recipe.method(name))
        found.update((setting.key, setting) for setting in declared)
    for text in searches:
        setting = parse_search(recipe, text)
        found[setting.key] = setting
    if not found:
        where = ", ".join(names) or "this recipe"
        raise RecipeError(f"{where}: no method declares a search space; give one: --search KEY=LOW:HIGH")
    return tuple(_widened(setting) for setting in found.values())


def _declared(method: Method) -> list[Setting]:
    return [
        Setting(f"{method.name}.{key}", search, _kinds(type(method).model_fields[key].annotation) == {int}, getattr(method, key))
        for key, search in method.search_space().items()
    ]  # fmt: skip


def _of_training(recipe: Recipe, samples: int) -> list[Setting]:
    """Batch size: half to double. Image size: about 0.75 to 1.25 times."""
    batch, size = recipe.train.batch_size, recipe.train.image_size
    usual = usual_batch_size(samples) if batch == "auto" else int(batch)
    batches = (max(1, usual // 2), usual, 2 * usual)
    if isinstance(size, int):
        step = 32 if size >= 64 else 8
        change = max(step, round(size / 4 / step) * step)
        around: list[int | str] = [max(step, size - change), size + change]
    else:
        share = 100 if size == "auto" else int(size.removesuffix("%"))
        around = [f"{min(400, max(25, round(share * scale)))}%" for scale in (0.75, 1.25)]
    sizes = tuple(dict.fromkeys((around[0], size, around[1])))
    return [
        Setting(f"{TRAIN}.batch_size", Search(choices=batches), False, usual),
        Setting(f"{TRAIN}.image_size", Search(choices=sizes), False, size),
    ]


def _widened(setting: Setting) -> Setting:
    """Extend the range to include the recipe's value, if possible."""
    search, was = setting.search, setting.was
    if setting.holds_was:
        return setting
    if search.choices:
        return replace(setting, search=replace(search, choices=(*search.choices, was)))
    if not isinstance(was, int | float) or isinstance(was, bool) or (search.log and was <= 0):
        return setting
    assert search.low is not None and search.high is not None
    return replace(setting, search=replace(search, low=min(search.low, was), high=max(search.high, was)))


def parse_search(recipe: Recipe, text: str) -> Setting:
    """Parse `KEY=LOW:HIGH`, `KEY=LOW:HIGH:log` or `KEY=A,B,C`. Raises RecipeError if the setting does not exist or a value is
    invalid."""
    key, equals, values = (part.strip() for part in text.partition("="))
    owner, dot, name = key.partition(".")
    if not equals or not dot or not values:
        raise RecipeError(
            f"--search {text}: write KEY=LOW:HIGH, KEY=LOW:HIGH:log or KEY=A,B,C, such as sgd.lr=0.01:0.3:log or "
            "train.batch_size=16,32,64"
        )
    part = _owner(recipe, owner)
    if name not in type(part).model_fields:
        raise RecipeError(unknown("setting", name, type(part).model_fields, owner))
    if owner == TRAIN and name in _NEVER:
        raise RecipeError(
            f"--search {text}: {key} cannot be searched; seed, length and machine settings are the same for all trials"
        )
    was = getattr(part, name)
    low, colon, rest = values.partition(":")
    if not colon:
        try:
            choices = yaml.safe_load(f"[{values}]")
        except yaml.YAMLError:
            raise RecipeError(f"--search {text}: '{values}' are not valid YAML values") from None
        if len(choices) < 2:
            raise RecipeError(f"--search {text}: give at least two values")
        checked = [getattr(_owner(place(recipe, {key: choice}), owner), name) for choice in choices]
        return Setting(key, Search(choices=tuple(dict.fromkeys(checked))), False, was)
    high, colon, scale = rest.partition(":")
    kinds = _kinds(type(part).model_fields[name].annotation)
    if not kinds & {int, float} or (colon and scale != "log"):
        raise RecipeError(
            f"--search {text}: {key} does not accept a range; write KEY=A,B,C, or KEY=LOW:HIGH:log for numbers"
        )
    whole = float not in kinds
    try:
        ends = [int(end) if whole else float(end) for end in (low, high)]
    except ValueError:
        wanted = "whole numbers" if whole else "numbers"
        raise RecipeError(f"--search {text}: the bounds must be {wanted}; got {low} and {high}") from None
    if not ends[0] < ends[1] or (scale and ends[0] <= 0):
        raise RecipeError(f"--search {text}: LOW must be below HIGH, and above 0 on a logarithmic scale")
    for end in ends:
        place(recipe, {key: end})
    return Setting(key, Search(ends[0], ends[1], log=bool(scale)), whole, was)


def place(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """Return the recipe with these values (METHOD.KEY, model.KEY or train.KEY). All values of one owner are set together."""
    by_owner: dict[str, dict[str, Any]] = defaultdict(dict)
    for key, value in values.items():
        owner, _, name = key.partition(".")
        by_owner[owner][name] = value
    for owner, changes in by_owner.items():
        part = _owner(recipe, owner).replace(**changes)
        if owner in _SEARCHED:
            recipe = recipe.replace(**{owner: part})
        else:
            recipe = recipe.replace(methods=tuple(part if m.name == owner else m for m in recipe.methods))
    return recipe


def as_it_was(space: Iterable[Setting]) -> dict[str, Any]:
    """The recipe's own values of the settings whose range contains them."""
    return {setting.key: setting.was for setting in space if setting.holds_was}


def _owner(recipe: Recipe, name: str) -> Strict:
    if name in _SEARCHED:
        found: Strict = getattr(recipe, name)
        return found
    names = [method.name for method in recipe.methods]
    if name not in names:
        raise RecipeError(unknown("section or method", name, [*_SEARCHED, *names], "this recipe"))
    return recipe.method(name)


def _kinds(annotation: Any) -> set[type]:
    """The plain types that a field accepts."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _kinds(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return set().union(*(_kinds(one) for one in typing.get_args(annotation)))
    if origin is typing.Literal:
        return {type(one) for one in typing.get_args(annotation)}
    return {annotation}
