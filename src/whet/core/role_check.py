"""Checks that a class implements the roles of `whet.core.stages` it derives from. The check runs when the class is defined."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from whet.core.stages import ROLES, Stage

_STAGE_OF = {role: stage for stage, roles in ROLES.items() for role in roles}
ROLE_OF = {name: role for role in _STAGE_OF for name in vars(role) if not name.startswith("_")}
"""The role of each stage function; no two roles share a function name."""


def roles_of(cls: type) -> list[type]:
    """The roles that a class derives from, in the order of its bases."""
    return [base for base in cls.__mro__ if base in _STAGE_OF]


def stages_of(cls: type) -> list[Stage]:
    """The stages of these roles, in the same order, without duplicates."""
    return list(dict.fromkeys(_STAGE_OF[role] for role in roles_of(cls)))


def check_roles(cls: type, allowed: Iterable[type] = tuple(_STAGE_OF)) -> None:
    """Raise TypeError where a class defines a function of a role it does not derive from (so that no helper is called by mistake),
    lacks a function of its role, defines it with other arguments than the stage passes, or where a role is not among `allowed`."""
    roles, allowed = roles_of(cls), tuple(allowed)
    for role in roles:
        if role not in allowed:
            accepted = ", ".join(one.__name__ for one in allowed)
            raise TypeError(f"{cls.__name__}: {role.__name__} does not apply here; accepted: {accepted}")
    for name, role in ROLE_OF.items():
        if not hasattr(cls, name) or role not in allowed:
            continue
        found, stage = getattr(cls, name), _STAGE_OF[role]
        if role not in roles:
            raise TypeError(
                f"{cls.__name__}: {name} is the function of {role.__name__}, at stage {stage}; derive from {role.__name__}, "
                "or rename it if it is only a helper"
            )
        if found is getattr(role, name):
            raise TypeError(f"{cls.__name__}: a class that derives from {role.__name__} must define {name}")
        wanted, given = _arguments(getattr(role, name)), _arguments(found)
        if given is None or len(given) < len(wanted or ()):
            raise TypeError(
                f"{cls.__name__}.{name} is the function of stage {stage}, which passes ({', '.join(wanted or ())}); "
                "rename it if it is only a helper"
            )


def _arguments(function: Any) -> list[str] | None:
    """The names of its arguments besides self; None where it is not callable."""

    if not callable(function):
        return None
    return [name for name in inspect.signature(function).parameters if name != "self"]
