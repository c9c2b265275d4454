"""What whet raises on purpose. A message names the file, the key, the value, and what would be accepted."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_MOST = 60  # names that an error lists in full


class WhetError(Exception):
    """Base of every error raised on purpose; the command line prints its text without a traceback."""


class RecipeError(WhetError, ValueError):
    """A recipe, method, setting or duration that cannot be used as written."""


class DataError(WhetError, ValueError):
    """A person's data that cannot be used as it is."""


class WeightsError(WhetError):
    """Weights that were asked for and cannot be had. Random weights are never put in their place."""


class RunError(WhetError):
    """A run folder that is busy, damaged, unfinished, or whose data changed under it."""


class OutputError(RunError):
    """A file or folder that cannot be written without losing what is there, or at all."""


class BusyError(RunError):
    """A run folder in which another process works."""


class NonFiniteError(WhetError):
    """A loss, gradient or weight became NaN or infinite; the step was not taken and nothing was saved."""


class NoEffectError(WhetError):
    """A method found nothing to change in this model or data. An error in a study, a warning in a script."""


def nearest(word: str, options: Iterable[str]) -> str:
    """`" Did you mean 'mixup'?"` when an option is close to `word`, else an empty string."""
    match = difflib.get_close_matches(word.lower(), list(options), n=1, cutoff=0.5)
    return f" Did you mean '{match[0]}'?" if match else ""


def unknown(kind: str, name: str, options: Iterable[str], where: str = "") -> str:
    """The one wording for a name that is not known: what it is, where it stands, the nearest, all that are accepted; of very many
    only those that are spelt alike."""
    options = sorted(options)
    place = f" in {where}" if where else ""
    if len(options) > _MOST:
        alike = difflib.get_close_matches(name.lower(), options, n=4, cutoff=0.6)
        near = f" Did you mean {' or '.join(repr(option) for option in alike)}?" if alike else ""
        return f"unknown {kind} '{name}'{place}.{near} There are {len(options)}" + (
            "; whet methods lists them" if kind == "method" else ""
        )
    return f"unknown {kind} '{name}'{place}.{nearest(name, options)} Accepted: {', '.join(options) or 'none'}"
