"""Frozen typed settings that reject unknown names and suggest the closest match."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema

from whet.core.errors import RecipeError, unknown


class Strict(BaseModel):
    """Base class of all recipe parts and methods. A wrong key or value raises RecipeError with the key, value and accepted
    values."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)
    kind: ClassVar[str] = "setting"
    not_settings: ClassVar[dict[str, str]] = {}
    """Keys that users may try as settings, and what to use instead; {value} is replaced by the given value."""

    def __init__(self, **values: Any) -> None:
        owner = self.label()
        for key, value in values.items():
            if key in self.not_settings:
                raise RecipeError(f"{owner}.{key} = {value}: {self.not_settings[key].format(value=value)}")
            if key not in type(self).model_fields:
                raise RecipeError(unknown(self.kind, key, type(self).model_fields, owner))
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise RecipeError(_explain(type(self), error.errors())) from None

    @classmethod
    def label(cls) -> str:
        """The name of this part in messages."""
        return cls.__name__

    def replace(self, **changes: Any) -> Any:
        """A copy with some values changed, validated again."""
        return type(self)(**{**dict(self), **changes})


def _explain(cls: type[Strict], errors: list[Any]) -> str:
    """One sentence per key: its value, and what its type accepts or the message of its own check."""
    by_head: dict[str, list[Any]] = {}
    for error in errors:
        # The location after the key holds list positions, and names of union members that are not useful in a message.
        steps = [step for number, step in enumerate(error["loc"]) if number == 0 or isinstance(step, int)]
        place = ".".join([cls.label(), *map(str, steps)])
        if error["type"] == "missing":
            by_head[f"{place} must be given"] = []
        else:
            by_head.setdefault(f"{place} = {error['input']!r}: " if steps else "", []).append(error)
    return "; ".join(head + _reasons(cls, found) for head, found in by_head.items())


def _reasons(cls: type[Strict], errors: list[Any]) -> str:
    ours = [str(error["msg"]).removeprefix("Value error, ") for error in errors if error["type"] == "value_error"]
    kinds = [error for error in errors if error["type"] != "value_error"]
    if not kinds:
        return "; ".join(dict.fromkeys(ours))
    # An element of a list, a mapping or a method is described by its own message: the schema describes the whole value.
    whole = all(sum(isinstance(step, int) for step in error["loc"]) == 0 for error in kinds)
    found = accepted(cls, str(kinds[0]["loc"][0])) if whole and kinds[0]["loc"] else []
    if ours:
        found = [kind for kind in found if kind != _TEXT]
    expected = (
        f"accepted: {' or '.join(found)}" if found else " or ".join(dict.fromkeys(str(e["msg"]).lower() for e in kinds))
    )
    return "; ".join(dict.fromkeys([expected, *ours]))


_TEXT = "text"
_KINDS = {"string": _TEXT, "boolean": "true or false", "null": "null", "array": "a list", "object": "a mapping"}


def accepted(cls: type[BaseModel], key: str) -> list[str]:
    """The accepted values of a field in words: ["a whole number from 8 to 4096", "auto"]; empty for types without a description."""
    try:
        schema = cls.model_json_schema(mode="validation")
    except PydanticInvalidForJsonSchema:
        return []
    return _in_words(schema["properties"].get(key, {}))


def _in_words(schema: dict[str, Any]) -> list[str]:
    if "anyOf" in schema:
        return [words for option in schema["anyOf"] for words in _in_words(option)]
    if "enum" in schema or "const" in schema:
        return [str(choice) for choice in schema.get("enum", [schema.get("const")])]
    match schema.get("type"):
        case "integer":
            return [f"a whole number{_bounds(schema)}"]
        case "number":
            return [f"a number{_bounds(schema)}"]
        case "array" if "minItems" in schema:
            return [f"a list of at least {schema['minItems']}"]
        case str(kind) if kind in _KINDS:
            return [_KINDS[kind]]
    return []


def _bounds(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    words = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    limits = [f"{word} {schema[key]:g}" for key, word in words.items() if key in schema]
    return f" ({' and '.join(limits)})" if limits else ""
