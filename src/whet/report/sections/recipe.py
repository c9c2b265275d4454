"""The commands that use the run, and the recipe with every `auto` resolved."""

from __future__ import annotations

import shlex
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
    return {"methods": methods, "yaml": shown.to_yaml(), "hash": recipe.hash, "commands": _commands(folder)}


def _commands(folder: RunFolder) -> str:
    """As they are typed beside the run folder; words in capitals are the reader's."""
    name, task = shlex.quote(folder.name), folder.task
    lines = [f"whet predict {name} FILES", f"whet explain {name} FILES"] if task.needs_labels else []
    if task.decision:
        lines += [f"whet export {name} --out bundle", "whet serve bundle"]
    if not task.needs_labels:
        lines.append(f"whet train DATA --weights {name}")
    return "\n".join([*lines, "whet train DATA --recipe recipe.yaml"])
