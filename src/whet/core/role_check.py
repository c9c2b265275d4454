"""Whether a class plays the roles of `whet.core.stages` as it says: checked when the class is defined."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from whet.core.stages import ROLES, Stage

_STAGE_OF = {role: stage for stage, roles in ROLES.items() for role in roles}
ROLE_OF = {name: role for role in _STAGE_OF for name in vars(role) if not name.startswith("_")}
"""The role that each function of a stage belongs to; no two share a name."""


def roles_of(cls: type) -> list[type]:
    """The roles that a class derives from, in the order of its bases."""
    return [base for base in cls.__mro__ if base in _STAGE_OF]


def stages_of(cls: type) -> list[Stage]:
    """The stages of these roles, in the same order, each once."""
    return list(dict.fromkeys(_STAGE_OF[role] for role in roles_of(cls)))


def check_roles(cls: type, allowed: Iterable[type] = tuple(_STAGE_OF)) -> None:
    """TypeError where a class bears a function of a role that it does not derive from, so that no helper is taken for one; where it
    lacks a function of its role, or gives it other arguments than the stage does; or where a role is none of those allowed."""
    roles, allowed = roles_of(cls), tuple(allowed)
    for role in roles:
        if role not in allowed:
            accepted = ", ".join(one.__name__ for one in allowed)
            raise TypeError(f"{cls.__name__}: {role.__name__} means nothing here; accepted: {accepted}")
    for name, role in ROLE_OF.items():
        if not hasattr(cls, name) or role not in allowed:
            continue
        found, stage = getattr(cls, name), _STAGE_OF[role]
        if role not in roles:
            raise TypeError(
                f"{cls.__name__}: {name} is the function of {role.__name__}, at stage {stage}; derive from {role.__name__}, "
                "or rename what is only a helper"
            )
        if found is getattr(role, name):
            raise TypeError(f"{cls.__name__}: a class that derives from {role.__name__} has the function {name}")
        wanted, given = _arguments(getattr(role, name)), _arguments(found)
        if given is None or len(given) < len(wanted or ()):
            raise TypeError(
                f"{cls.__name__}.{name} is the function of stage {stage}, which is given ({', '.join(wanted or ())}); "
                "rename it if it is only a helper"
            )


def _arguments(function: Any) -> list[str] | None:
    """The names of what it can be given besides self; None where it is no function."""
    if not callable(function):
        return None
    return [name for name in inspect.signature(function).parameters if name != "self"]
