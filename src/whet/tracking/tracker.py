"""The protocol of a tracker, the registry, and the trackers of one run."""

from __future__ import annotations

import importlib
import importlib.metadata
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from whet.core.errors import RecipeError, RunError
from whet.core.plugins import Registry

GROUP = "whet.trackers"
_BUILT_IN = ("tensorboard.TensorBoard", "mlflow.MLflow", "wandb.WeightsAndBiases", "wandb.Trackio")


@dataclass(frozen=True)
class RunInfo:
    """What a tracker is told at the start. folder: of the run. settings: of its recipe, flat: {"train.seed": 0, …}."""

    name: str
    folder: Path
    settings: Mapping[str, Any]


class Tracker(ABC):
    """Receives what a run logs, in the order start, log …, artifacts, finish; `finish` without the others if the run stopped. An
    error of a tracker never ends a run: the tracker is switched off.

    name: as given to --track. package: the module that it needs. extra: of whet, which installs it.
    """

    name: ClassVar[str]
    package: ClassVar[str]
    extra: ClassVar[str]

    def __init__(self) -> None:
        """RunError where the package is missing, before any work."""
        try:
            self.module = importlib.import_module(self.package)
        except ImportError:
            raise RunError(
                f"--track {self.name} requires the extra '{self.extra}': pip install 'whet[{self.extra}]'"
            ) from None

    @abstractmethod
    def start(self, run: RunInfo) -> None: ...

    @abstractmethod
    def log(self, step: int, values: Mapping[str, float]) -> None:
        """values: such as {"step/loss": 0.7} or {"validation/accuracy": 0.9}."""

    def artifacts(self, paths: Sequence[Path]) -> None:  # noqa: B027 - not every tracker keeps files
        """Files of the finished run: its report, metrics and recipe."""

    @abstractmethod
    def finish(self, summary: Mapping[str, float] | None) -> None:
        """summary: the metrics of the finished run, such as {"test/accuracy": 0.9}; None for a run that stopped."""


def trackers() -> Registry[Any]:
    """All trackers: whet's own and those of the entry point group `whet.trackers`."""
    found: Registry[Any] = Registry("tracker")
    for path in _BUILT_IN:
        module, _, name = path.partition(".")
        found.add(getattr(importlib.import_module(f"whet.tracking.{module}"), name))
    for entry in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda entry: entry.name):
        if not (isinstance(cls := entry.load(), type) and issubclass(cls, Tracker)):
            raise RecipeError(f"entry point {GROUP}: {entry.value} gives {cls!r}, which is not a Tracker")
        found.add(cls)
    return found


Failed = Callable[[str, str], object]
"""(the name of a tracker, what went wrong)."""


class Trackers:
    """The trackers of one run. A tracker that raises an error is reported once and left out from then on."""

    def __init__(self, tracked: Sequence[Tracker] = (), failed: Failed = lambda name, why: None) -> None:
        self._on, self._failed = list(tracked), failed

    def start(self, run: RunInfo) -> None:
        self._each(lambda one: one.start(run))

    def log(self, event: str, record: Mapping[str, Any]) -> None:
        """The floating-point values of an event that belongs to a step."""
        values = {f"{event}/{key}": value for key, value in record.items() if isinstance(value, float)}
        if values and "step" in record:
            self._each(lambda one: one.log(record["step"], values))

    def finish(self, summary: Mapping[str, float] | None, paths: Sequence[Path] = ()) -> None:
        """A second call does nothing."""
        if paths:
            self._each(lambda one: one.artifacts(paths))
        self._each(lambda one: one.finish(summary))
        self._on = []

    def _each(self, call: Callable[[Tracker], object]) -> None:
        for one in list(self._on):
            try:
                call(one)
            except Exception as error:  # noqa: BLE001 - whatever a library raises, the training goes on
                self._on.remove(one)
                self._failed(one.name, f"{type(error).__name__}: {error}".partition("\n")[0])


def made(names: Sequence[str]) -> list[Tracker]:
    """The trackers of these names. RecipeError for an unknown name, RunError where a package is missing."""
    known = trackers() if names else Registry[Any]("tracker")
    return [known.get(name)() for name in dict.fromkeys(names)]


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted names; lists by numbers."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        inner = {str(n): one for n, one in enumerate(value)} if isinstance(value, list | tuple) else value
        found |= flat(inner, f"{name}.") if isinstance(inner, Mapping) and inner else {name: value}
    return found


def summary_of(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The single numbers of metrics.json: those of each split, and the costs."""
    return {
        f"{part}/{key}": float(value)
        for part in ("val", "test", "cost")
        for key, value in metrics.get(part, {}).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
