"""The exceptions of whet. A message names the file, the key, the value, and the accepted values."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_MOST = 60  # names that an error lists in full


class WhetError(Exception):
    """Base class of all expected errors. The command line prints the message without a traceback."""


class RecipeError(WhetError, ValueError):
    """A recipe, method, setting or duration that cannot be used as written."""


class DataError(WhetError, ValueError):
    """Data that cannot be used as it is."""


class WeightsError(WhetError):
    """Requested weights that are not available. Random weights never replace them silently."""


class RunError(WhetError):
    """A run folder that is in use, damaged or unfinished, or whose data changed."""


class OutputError(RunError):
    """A file or folder that cannot be written, or only by overwriting existing content."""


class BusyError(RunError):
    """A run folder that another process is using."""


class Ended(WhetError):
    """A run that was ended early on purpose, by its observer. It has not failed."""


class ParityError(WhetError):
    """An exported model that does not predict what the run predicts. No file is left of it."""


class ServingError(WhetError):
    """A server that cannot start with these settings."""


class PackageError(WhetError):
    """A package of another language that a command needs, and that is missing or of another version."""


class NonFiniteError(WhetError):
    """A loss, gradient or weight became NaN or infinite; nothing was saved since."""


class CollapseError(WhetError):
    """Pre-training maps all samples to nearly the same features, from which nothing can be learned."""


class NoEffectError(WhetError):
    """A method has nothing to change in this model or data. An error in a study, a warning in a script."""


def nearest(word: str, options: Iterable[str]) -> str:
    """`" Did you mean 'mixup'?"` when an option is close to `word`, else an empty string."""
    match = difflib.get_close_matches(word.lower(), list(options), n=1, cutoff=0.5)
    return f" Did you mean '{match[0]}'?" if match else ""


def unknown(kind: str, name: str, options: Iterable[str], where: str = "") -> str:
    """The common message for an unknown name: its kind, its location, the closest match and all accepted names; for very many names
    only those spelled similarly."""
    options = sorted(options)
    place = f" in {where}" if where else ""
    if len(options) > _MOST:
        alike = difflib.get_close_matches(name.lower(), options, n=4, cutoff=0.6)
        near = f" Did you mean {' or '.join(repr(option) for option in alike)}?" if alike else ""
        return f"unknown {kind} '{name}'{place}.{near} There are {len(options)}" + (
            "; whet methods lists them" if kind == "method" else ""
        )
    return f"unknown {kind} '{name}'{place}.{nearest(name, options)} Accepted: {', '.join(options) or 'none'}"
