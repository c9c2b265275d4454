"""The recipe: task, data, model, training settings and a list of methods. It is frozen, and can be written in YAML or Python."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import yaml
from pydantic import SerializeAsAny

from whet.core.errors import RecipeError, unknown
from whet.core.media import SETTINGS_OF_SOME_MEDIA, Medium, medium_named
from whet.core.method import Method
from whet.core.registry import registry
from whet.core.spec import DataSpec, ModelSpec, TrainSpec
from whet.core.stages import Stage
from whet.core.strict import Strict
from whet.core.task import allowed, problems

_MAX_BYTES = 1_000_000
_MAX_ALIASES = 100
_RARELY_GIVEN = (
    "files_root",
    "class_folder",
    "label_columns",
    "label_separator",
    "split_column",
    "group_column",
    "weight_column",
)


class Recipe(Strict):
    """What is trained, on what data, and how. The seed and the machine are not part of its identity: see `hash`."""

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
                raise RecipeError(f"{part}.{key} does not apply to {self.task}")
        names = [method.name for method in self.methods]
        for method in self.methods:
            if names.count(method.name) > 1:
                raise RecipeError(f"method '{method.name}' occurs twice in the recipe; keep one")
            if not allowed(self.task, method):
                raise RecipeError(
                    f"method '{method.name}' is for {', '.join(sorted(method.tasks))}, not for {self.task}"
                )
            for key in sorted(method.found_by_run):
                if getattr(method, key) != type(method).model_fields[key].default:
                    raise RecipeError(
                        f"{method.name}.{key} is found by the run and stored with its network; leave it out of the recipe"
                    )
            clash = sorted(method.conflicts & set(names))
            if clash:
                raise RecipeError(
                    f"methods '{method.name}' and '{clash[0]}' cannot be combined in one recipe; keep one"
                )

    def _foreign(self) -> list[tuple[str, str]]:
        """Settings that do not apply to this task."""
        return sorted(SETTINGS_OF_SOME_MEDIA - self._medium.settings)

    @property
    def medium(self) -> str:
        """The kind of a sample: image, text or audio."""
        return problems()[self.task]

    @property
    def _medium(self) -> Medium:
        return medium_named(self.medium)

    @property
    def size(self) -> int:
        """The resolved size of samples in training: pixels of a side, tokens, or milliseconds."""
        return self._medium.size(self.train)

    @property
    def eval_size(self) -> int:
        """The size of samples at prediction."""
        return self._medium.eval_size(self.train)

    @property
    def shown(self) -> str:
        """`size` with its unit."""
        return f"{self.size} {self._medium.unit}"

    # --- access and changes -----------------------------------------------------------------------------------------
    def __contains__(self, name: str) -> bool:
        return any(method.name == name for method in self.methods)

    def method(self, name: str) -> Method:
        for method in self.methods:
            if method.name == name:
                return method
        raise RecipeError(unknown("method", name, (m.name for m in self.methods), "this recipe"))

    def without(self, *names: str) -> Recipe:
        """The recipe without these methods; each must be present."""
        for name in names:
            self.method(name)
        return self.replace(methods=tuple(m for m in self.methods if m.name not in names))

    def only(self, *names: str) -> Recipe:
        """The recipe with only these methods; each must be present."""
        for name in names:
            self.method(name)
        return self.replace(methods=tuple(m for m in self.methods if m.name in names))

    def with_methods(self, *methods: Method) -> Recipe:
        """The recipe with these methods added. They replace methods of the same name and conflicting methods. A recipe has one
        optimizer, so a new optimizer replaces the old one."""
        names = {m.name for m in methods}
        replaced = names.union(*(m.conflicts for m in methods))
        kept = [m for m in self.methods if m.name not in replaced and not m.conflicts & names]
        if any(m.stage is Stage.OPTIMIZER for m in methods):
            kept = [m for m in kept if m.stage is not Stage.OPTIMIZER]
        return self.replace(methods=(*kept, *methods))

    def setting(self, **changes: Any) -> Recipe:
        """The recipe with changed training settings: `recipe.setting(seed=1, budget="10m")`."""
        return self.replace(train=self.train.replace(**changes))

    def smaller(self, share: float) -> Recipe:
        """The recipe with images at this share of their size, 0 … 1, but at least 32 pixels or a quarter; texts and audio are
        unchanged."""
        return self if share == 1 else self.replace(train=self._medium.smaller(self.train, share))

    # --- identity ---------------------------------------------------------------------------------------------------
    @property
    def hash(self) -> str:
        """16 hex digits over everything that affects the result, except the seed, the location of the data and the order of the
        methods. With the seed and the data's fingerprint it identifies a run."""
        plain = self.to_dict()
        for key in ("path", "split_files", "files_root"):
            plain["data"].pop(key, None)
        if self.data.fold is None:  # so that runs made before folds existed keep their names
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
        """Plain values of all settings that apply to the task."""
        plain: dict[str, Any] = {"task": self.task}
        plain |= {key: getattr(self, key).model_dump(mode="json") for key in self._parts}
        for part, key in self._foreign():
            del plain[part][key]
        for key in _RARELY_GIVEN:
            if plain["data"].get(key, "") is None:  # rarely used; leaving them out keeps recipes short
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
    """Parse `"mixup"` or `{"mixup": {"alpha": 0.2}}`; a Method is returned unchanged."""
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
    """Safe YAML that also rejects duplicate keys (the last would win silently) and too many aliases."""

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
                raise yaml.YAMLError(f"key '{key}' occurs twice (line {key_node.start_mark.line + 1})")
            seen.add(key)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Lists of plain values are written on one line, as in a recipe written by hand."""

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> Any:
        flat = all(not isinstance(item, dict | list) for item in sequence)
        return super().represent_sequence(tag, sequence, flow_style=flat)
