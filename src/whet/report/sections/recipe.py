"""The recipe with every `auto` resolved."""

from __future__ import annotations

from typing import Any

from whet.core.card import card
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.core.spec import ROWS


def context(folder: RunFolder) -> dict[str, Any]:
    recipe = Recipe.load(folder.recipe)
    methods = []
    for method in recipe.methods:
        values = ", ".join(f"{key} {value}" for key, value in method.settings_dict().items())
        described = card(type(method))
        methods.append({"name": method.name, "family": method.family, "values": values, "summary": described.summary})
    # Reports may be shared, so they contain no path of this machine.
    hidden: dict[str, Any] = {"path": None, "files_root": None, "split_files": ()}
    hidden |= {} if recipe.data.unlabelled == ROWS else {"unlabelled": None}
    shown = recipe.replace(data=recipe.data.replace(**hidden))
    for key in ("architecture", "weights"):
        value = getattr(shown.model, key)
        shown = shown.replace(model=shown.model.replace(**{key: value.rstrip("/").rsplit("/", 1)[-1]}))
    return {"methods": methods, "yaml": shown.to_yaml(), "hash": recipe.hash}
