"""Build transforms of other libraries from a recipe. Shared by the adapters."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from whet.core.errors import RecipeError, unknown

Spec = str | dict[str, Any]
"""Name of a transform, or {name: {parameter: value}}; the value of `transforms` is a nested list of transforms."""


def library(name: str, module: str, extra: str) -> Any:
    """Import the module. Raises RecipeError with the install command if this fails."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise RecipeError(
            f"{name}: {module} cannot be imported ({error}); install it with pip install {extra}"
        ) from None


def built(name: str, module: Any, base: type | tuple[type, ...], specs: Sequence[Spec]) -> list[Any]:
    """Build the transforms in `specs`, which must be subclasses of `base` in this module."""
    accepted = {key: cls for key, cls in vars(module).items() if isinstance(cls, type) and issubclass(cls, base)}
    made = []
    for spec in specs:
        pairs = {spec: {}} if isinstance(spec, str) else spec
        if len(pairs) != 1:
            raise RecipeError(
                f"{name}.transforms: each entry must be one transform, for example {{Blur: {{p: 0.5}}}}; got {spec!r}"
            )
        ((key, settings),) = pairs.items()
        if key not in accepted:
            raise RecipeError(unknown(f"{name} transform", key, sorted(accepted)))
        settings = dict(settings or {})
        if "transforms" in settings:
            settings["transforms"] = built(name, module, base, settings["transforms"])
        try:
            made.append(accepted[key](**settings))
        except (TypeError, ValueError) as error:
            raise RecipeError(f"{name}.transforms: {key} does not accept {settings}: {error}") from None
    return made
