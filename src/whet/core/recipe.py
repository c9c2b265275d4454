"""The recipe: task, data, model, training settings and a list of methods. Frozen; YAML and Python are two forms of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, SerializeAsAny

from whet.core.duration import Duration
from whet.core.errors import RecipeError, unknown
from whet.core.method import Method, Stage
from whet.core.registry import registry
from whet.core.strict import Strict
from whet.core.task import allowed, problems

Auto = Literal["auto"]
_MAX_BYTES = 1_000_000
_MAX_ALIASES = 100


def _share(text: str) -> str:
    if text.endswith("%") and text[:-1].isdecimal() and 25 <= int(text[:-1]) <= 400:
        return text
    raise ValueError("a share of the native size is written as 25% to 400%")


Size = Annotated[int, Field(ge=8, le=4096)] | Auto | Annotated[str, AfterValidator(_share)]
"""Pixels of a side, or a share ("115%") of the size the weights were trained with."""


class DataSpec(Strict):
    """Where the samples come from and how they are split. Fractions are of all samples (or of train, where only one is missing)."""

    path: str | None = None
    files_root: Annotated[
        str | None, Field(description="the folder that a table's files are named from; else the table's own")
    ] = None
    class_folder: Annotated[
        Literal["outer", "inner"] | None,
        Field(
            description="where class folders hold folders: which of them name the classes; the outer ones are then groups"
        ),
    ] = None
    file_column: str | None = None
    text_column: str | None = None
    label_column: str | None = None
    label_columns: Annotated[
        tuple[str, ...] | None,
        Field(min_length=2, description="columns of 0 and 1, one a class, where a sample may have several"),
    ] = None
    label_separator: Annotated[
        str | None, Field(min_length=1, description="between the labels in a cell, where a sample may have several")
    ] = None
    split_column: str | None = None
    group_column: Annotated[
        str | None, Field(description="samples with the same cell, as of one speaker, are never in two parts")
    ] = None
    weight_column: Annotated[str | None, Field(description="how much a sample counts in training")] = None
    split_files: tuple[str, ...] = ()
    fold: Annotated[
        str | None,
        BeforeValidator(lambda fold: fold if fold is None else str(fold)),  # most are written as numbers
        Field(description="the fold that is the test part, where a table has a column fold"),
    ] = None
    val_fraction: Annotated[float, Field(gt=0, lt=0.9)] = 0.15
    test_fraction: Annotated[float, Field(ge=0, lt=0.9)] = 0.15
    split_seed: Annotated[int, Field(ge=0)] = 0
    answer_test: Annotated[
        bool, Field(description="whether the test samples are answered; a study leaves them alone until its end")
    ] = True

    @classmethod
    def label(cls) -> str:
        return "data"

    def model_post_init(self, context: Any) -> None:
        if self.label_columns is None:
            return
        beside = [key for key in ("label_column", "label_separator") if getattr(self, key) is not None]
        if beside:
            raise RecipeError(f"data.label_columns stands in the place of data.{beside[0]}; give one of them")
        twice = next((name for name in self.label_columns if self.label_columns.count(name) > 1), None)
        if twice is not None:
            raise RecipeError(f"data.label_columns names '{twice}' twice; give each column once")

    @classmethod
    def of(cls, data: str | Path | DataSpec) -> DataSpec:
        """A folder or table as it is, or a spec that says how it is read."""
        return data if isinstance(data, DataSpec) else cls(path=str(data))

    def over(self, base: DataSpec) -> DataSpec:
        """`base` with the values that differ from the defaults here."""
        return base.replace(**{key: value for key, value in self if value != type(self).model_fields[key].default})

    @property
    def several_labels(self) -> bool:
        """Whether this says that a sample may have several labels; a table of lists says so itself."""
        return self.label_columns is not None or self.label_separator is not None


class ModelSpec(Strict):
    """architecture: a zoo name (resnet9, vgg16), a local folder, or a hub name. weights: a local folder, a hub name, or
    `none` for random weights on purpose; `auto` takes those of the architecture."""

    architecture: str = "auto"
    weights: str = "auto"

    @classmethod
    def label(cls) -> str:
        return "model"


class TrainSpec(Strict):
    """Training settings. Every `auto` but that of `store`, which each start decides anew, is resolved once and written into the
    run's own recipe. How many steps a budget comes to belongs to the state of a training (`whet.train.loop.State`)."""

    not_settings: ClassVar[dict[str, str]] = {
        key: f"the length of a training is its budget; use budget: {{value}}{unit}"
        for key, unit in (("epochs", "ep"), ("steps", "st"), ("seconds", "s"), ("minutes", "m"))
    }

    budget: Annotated[Duration, AfterValidator(Duration.parse_budget)] = Duration(20, "ep")
    max_epochs: Annotated[
        int | None,
        Field(ge=1, description="a budget in minutes is filled with so many at most, where more would not help"),
    ] = None
    seed: Annotated[int, Field(ge=0)] = 0
    batch_size: Annotated[int, Field(ge=1)] | Auto = "auto"
    image_size: Size = "auto"
    eval_size: Annotated[Size, Field(description="image size at prediction")] = "auto"
    fit: Literal["squash", "crop"] = "squash"
    max_tokens: Annotated[int, Field(ge=4, le=8192, description="a longer text is cut")] | Auto = "auto"
    clip_seconds: Annotated[float, Field(gt=0, le=600, description="how much of a sound is heard at once")] | Auto = (
        "auto"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    torch_threads: Annotated[int, Field(ge=1)] | Auto = "auto"
    loader_threads: Annotated[int, Field(ge=1)] | Auto = "auto"
    store: Annotated[
        Literal["auto", "memory", "disk", "off"],
        Field(description="where decoded training pictures are kept; no setting changes a result"),
    ] = "auto"
    store_share: Annotated[
        float, Field(gt=0, le=0.9, description="the most of free memory or disk to keep them in")
    ] = 0.1
    validate_every: Annotated[Duration, AfterValidator(Duration.parse_budget)] | Auto = "auto"
    checkpoint_every: Annotated[Duration, AfterValidator(Duration.parse_budget)] | Auto = "auto"
    keep_checkpoints: Annotated[int, Field(ge=1)] = 2

    @classmethod
    def label(cls) -> str:
        return "train"


_RARELY_GIVEN = (
    "files_root",
    "class_folder",
    "label_columns",
    "label_separator",
    "split_column",
    "group_column",
    "weight_column",
)
_OF_SOME_MEDIA = {
    ("data", "files_root"): {"picture", "sound"},
    ("data", "file_column"): {"picture", "sound"},
    ("data", "text_column"): {"text"},
    ("train", "image_size"): {"picture"},
    ("train", "eval_size"): {"picture"},
    ("train", "fit"): {"picture"},
    ("train", "max_tokens"): {"text"},
    ("train", "clip_seconds"): {"sound"},
    ("train", "store"): {"picture", "sound"},
    ("train", "store_share"): {"picture", "sound"},
}


class Recipe(Strict):
    """What is trained, on what, and how. Names no seed's luck and no machine: see `hash`."""

    task: str = "image-classification"
    data: DataSpec = DataSpec()
    model: ModelSpec = ModelSpec()
    train: TrainSpec = TrainSpec()
    methods: tuple[SerializeAsAny[Method], ...] = ()

    _parts: ClassVar[dict[str, type[Strict]]] = {"data": DataSpec, "model": ModelSpec, "train": TrainSpec}

    @classmethod
    def label(cls) -> str:
        return "recipe"

    def model_post_init(self, context: Any) -> None:
        if self.task not in problems():
            raise RecipeError(unknown("task", self.task, problems(), "recipe.task"))
        for part, key in self._foreign():
            if getattr(getattr(self, part), key) != self._parts[part].model_fields[key].default:
                raise RecipeError(f"{part}.{key} means nothing for {self.task}")
        names = [method.name for method in self.methods]
        for method in self.methods:
            if names.count(method.name) > 1:
                raise RecipeError(f"method '{method.name}' stands twice in one recipe; keep one")
            if not allowed(self.task, method):
                raise RecipeError(
                    f"method '{method.name}' is for {', '.join(sorted(method.tasks))}, not for {self.task}"
                )
            clash = sorted(method.conflicts & set(names))
            if clash:
                raise RecipeError(f"methods '{method.name}' and '{clash[0]}' cannot stand in one recipe; keep one")

    def _foreign(self) -> list[tuple[str, str]]:
        """Settings that mean nothing for this task."""
        return [at for at, media in _OF_SOME_MEDIA.items() if self.medium not in media]

    @property
    def medium(self) -> str:
        """What a sample is: picture, text or sound."""
        return problems()[self.task]

    @property
    def size(self) -> int:
        """How large samples are shown in training, once that is resolved: pixels of a side, tokens, or milliseconds."""
        return self._size("image_size")

    @property
    def answer_size(self) -> int:
        """The same at prediction."""
        return self._size("eval_size")

    @property
    def shown(self) -> str:
        """`size` in words."""
        units = {"picture": "px", "text": "tokens", "sound": "ms"}
        return f"{self.size} {units[self.medium]}"

    def _size(self, pixels: str) -> int:
        match self.medium:
            case "text":
                return int(self.train.max_tokens)
            case "sound":
                return round(1000 * float(self.train.clip_seconds))
            case _:
                return int(getattr(self.train, pixels))

    # --- asking and changing ----------------------------------------------------------------------------------------
    def __contains__(self, name: str) -> bool:
        return any(method.name == name for method in self.methods)

    def method(self, name: str) -> Method:
        for method in self.methods:
            if method.name == name:
                return method
        raise RecipeError(unknown("method", name, (m.name for m in self.methods), "this recipe"))

    def without(self, *names: str) -> Recipe:
        """The recipe less these methods; each must be there."""
        for name in names:
            self.method(name)
        return self.replace(methods=tuple(m for m in self.methods if m.name not in names))

    def only(self, *names: str) -> Recipe:
        """The recipe with no methods but these; each must be there."""
        for name in names:
            self.method(name)
        return self.replace(methods=tuple(m for m in self.methods if m.name in names))

    def with_methods(self, *methods: Method) -> Recipe:
        """The recipe with these methods added; one of the same name is replaced, as are those it conflicts with. A recipe has one
        optimizer, so a new one takes the old one's place."""
        names = {m.name for m in methods}
        replaced = names.union(*(m.conflicts for m in methods))
        kept = [m for m in self.methods if m.name not in replaced and not m.conflicts & names]
        if any(m.stage is Stage.OPTIMIZER for m in methods):
            kept = [m for m in kept if m.stage is not Stage.OPTIMIZER]
        return self.replace(methods=(*kept, *methods))

    def setting(self, **changes: Any) -> Recipe:
        """The recipe with training settings changed: `recipe.setting(seed=1, budget="10m")`."""
        return self.replace(train=self.train.replace(**changes))

    def smaller(self, share: float) -> Recipe:
        """The recipe with pictures at this share of their size, 0 … 1, but no less than 32 pixels or a quarter; texts and sounds
        stay."""
        if self.medium != "picture" or share == 1:
            return self
        train = self.train
        size = _scaled("100%" if train.image_size == "auto" else train.image_size, share)
        return self.setting(image_size=size, eval_size=_scaled(train.eval_size, share))

    # --- identity ---------------------------------------------------------------------------------------------------
    @property
    def hash(self) -> str:
        """16 hex digits over everything that shapes the result except the seed, the place of the data and the order in
        which methods are written. With the seed and the data's fingerprint it names a run."""
        plain = self.to_dict()
        for key in ("path", "split_files", "files_root"):
            plain["data"].pop(key, None)
        if self.data.fold is None:  # so that runs from before there were folds keep their names
            plain["data"].pop("fold")
        if self.train.max_epochs is None:
            plain["train"].pop("max_epochs", None)
        for key in (
            "seed",
            "loader_threads",
            "store",
            "store_share",
            "checkpoint_every",
            "keep_checkpoints",
        ):
            plain["train"].pop(key, None)
        plain["methods"] = sorted(plain["methods"], key=lambda entry: next(iter(entry)))
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]

    # --- YAML and dict ----------------------------------------------------------------------------------------------
    def to_dict(self) -> dict[str, Any]:
        """Plain values, everything written out that means something for the task."""
        plain: dict[str, Any] = {"task": self.task}
        plain |= {key: getattr(self, key).model_dump(mode="json") for key in self._parts}
        for part, key in self._foreign():
            del plain[part][key]
        for key in _RARELY_GIVEN:
            if plain["data"].get(key, "") is None:  # most data need none of them, and a recipe is to stay short
                del plain["data"][key]
        plain["methods"] = [{method.name: method.settings_dict()} for method in self.methods]
        return plain

    def to_yaml(self) -> str:
        return yaml.dump(self.to_dict(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)

    @classmethod
    def from_dict(cls, plain: Any, where: str = "recipe") -> Recipe:
        if not isinstance(plain, dict):
            raise RecipeError(
                f"{where}: a recipe is a mapping with {', '.join(cls.model_fields)}; got {type(plain).__name__}"
            )
        for key in plain:
            if key not in cls.model_fields:
                raise RecipeError(unknown("key", str(key), cls.model_fields, where))
        try:
            values: dict[str, Any] = {"task": plain["task"]} if "task" in plain else {}
            for key, part in cls._parts.items():
                section = plain.get(key) or {}
                if not isinstance(section, dict):
                    raise RecipeError(f"{key} must be a mapping with {', '.join(part.model_fields)}; got {section!r}")
                values[key] = part(**{str(name): value for name, value in section.items()})
            entries = plain.get("methods") or []
            if not isinstance(entries, list):
                raise RecipeError(f"methods must be a list of names or of 'name: {{settings}}'; got {entries!r}")
            values["methods"] = tuple(parse_method(entry) for entry in entries)
            return cls(**values)
        except RecipeError as error:
            raise RecipeError(f"{where}: {error}") from None

    @classmethod
    def from_yaml(cls, text: str, where: str = "recipe") -> Recipe:
        if len(text.encode()) > _MAX_BYTES:
            raise RecipeError(f"{where}: larger than {_MAX_BYTES:,} bytes; a recipe is a small file")
        try:
            plain = yaml.load(text, Loader=_Loader)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise RecipeError(f"{where}: not readable as YAML: {error}") from None
        return cls.from_dict(plain if plain is not None else {}, where)

    @classmethod
    def load(cls, path: str | Path) -> Recipe:
        path = Path(path)
        if not path.is_file():
            raise RecipeError(f"recipe file {path} does not exist")
        try:
            return cls.from_yaml(path.read_text(encoding="utf-8"), str(path))
        except UnicodeDecodeError as error:
            raise RecipeError(f"{path}: not UTF-8 text: {error}") from None


def parse_method(entry: Any) -> Method:
    """`"mixup"`, `{"mixup": {"alpha": 0.2}}`, or a Method as it is."""
    if isinstance(entry, Method):
        return entry
    if isinstance(entry, str):
        return registry().get(entry)()
    if isinstance(entry, dict) and len(entry) == 1:
        name, settings = next(iter(entry.items()))
        settings = {} if settings is None else settings
        if isinstance(settings, dict):
            return registry().get(str(name))(**{str(key): value for key, value in settings.items()})
    raise RecipeError(f"a method is written as its name or as 'name: {{settings}}'; got {entry!r}")


def parse_methods(entries: Iterable[Any]) -> tuple[Method, ...]:
    return tuple(parse_method(entry) for entry in entries)


class _Loader(yaml.SafeLoader):
    """Safe YAML that also refuses a key written twice (the last would win silently) and floods of aliases."""

    aliases = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            self.aliases += 1
            if self.aliases > _MAX_ALIASES:
                raise yaml.YAMLError(f"more than {_MAX_ALIASES} aliases")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[Any] = set()
        for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float | bool | None):
                raise yaml.YAMLError(f"key {key!r} in line {key_node.start_mark.line + 1} is not plain text")
            if key in seen:
                raise yaml.YAMLError(f"key '{key}' stands twice (line {key_node.start_mark.line + 1})")
            seen.add(key)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Lists of plain values on one line, so that a recipe reads as it is written by hand."""

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> Any:
        flat = all(not isinstance(item, dict | list) for item in sequence)
        return super().represent_sequence(tag, sequence, flow_style=flat)


def _scaled(size: int | str, share: float) -> int | str:
    if isinstance(size, int):
        return max(32, round(share * size / 8) * 8)
    return size if size == "auto" else f"{max(25, round(share * int(size.removesuffix('%'))))}%"
