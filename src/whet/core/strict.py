"""Frozen typed settings that refuse what they do not know, with the nearest name they do."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from whet.core.errors import RecipeError, unknown


class Strict(BaseModel):
    """Base of every recipe part and method. A wrong key or value raises RecipeError naming key, value and what is accepted."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)
    kind: ClassVar[str] = "setting"

    def __init__(self, **values: Any) -> None:
        owner = self.label()
        for key in values:
            if key not in type(self).model_fields:
                raise RecipeError(unknown(self.kind, key, type(self).model_fields, owner))
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise RecipeError(_explain(owner, error.errors())) from None

    @classmethod
    def label(cls) -> str:
        """How messages call this part."""
        return cls.__name__

    def replace(self, **changes: Any) -> Any:
        """A copy with some values changed, checked again."""
        return type(self)(**{**dict(self), **changes})


def _explain(owner: str, errors: list[Any]) -> str:
    """One sentence a key: the alternatives of a key that takes several kinds of value are joined with 'or'."""
    sentences: dict[str, list[str]] = {}
    for error in errors:
        # Behind the key stand list positions, and names of alternatives that mean nothing to a reader.
        place = [str(step) for step in error["loc"][:1]] + [
            str(step) for step in error["loc"][1:] if isinstance(step, int)
        ]
        message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
        message = message[:1].lower() + message[1:] if message[1:2].islower() else message
        if error["type"] == "missing":
            head, message = ".".join([owner, *place]), "must be given"
        else:
            head = ".".join([owner, *place]) + f" = {error['input']!r}:" if place else ""
        sentences.setdefault(head, []).append(message)
    return "; ".join(f"{head} {' or '.join(dict.fromkeys(messages))}".strip() for head, messages in sentences.items())
