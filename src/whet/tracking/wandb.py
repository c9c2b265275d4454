"""Weights & Biases, offline unless told otherwise, and Trackio, which has the same functions."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from whet.tracking.tracker import RunInfo, Tracker

PROJECT = "whet"


class _LikeWandb(Tracker):
    """A module with init(project=, name=, config=) -> a run with log(values, step=) and finish()."""

    def options(self, run: RunInfo) -> dict[str, Any]:
        """Further arguments of init."""
        return {}

    def start(self, run: RunInfo) -> None:
        self._step = 0
        self._run = self.module.init(
            project=self.project, name=run.name, config=dict(run.settings), **self.options(run)
        )

    @property
    def project(self) -> str:
        return PROJECT

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._step = step
        self._run.log(dict(values), step=step)


class WeightsAndBiases(_LikeWandb):
    """Writes to the folder `wandb` of the run; `wandb sync` sends it. WANDB_MODE=online sends at once, WANDB_PROJECT names the
    project."""

    name = "wandb"
    package = "wandb"
    extra = "wandb"

    @property
    def project(self) -> str:
        return os.environ.get("WANDB_PROJECT") or PROJECT

    def options(self, run: RunInfo) -> dict[str, Any]:
        return {"dir": str(run.folder), "mode": os.environ.get("WANDB_MODE") or "offline"}

    def artifacts(self, paths: Sequence[Path]) -> None:
        for path in paths:
            self._run.save(str(path), base_path=str(path.parent), policy="now")

    def finish(self, summary: Mapping[str, float] | None) -> None:
        if summary is not None:
            self._run.summary.update(dict(summary))
        self._run.finish(exit_code=0 if summary is not None else 1)


class Trackio(_LikeWandb):
    """Writes to Trackio's own folder on this machine; `trackio show` shows it. It keeps no files, and the metrics at the end are
    values of the last step."""

    name = "trackio"
    package = "trackio"
    extra = "trackio"

    def finish(self, summary: Mapping[str, float] | None) -> None:
        if summary:
            self._run.log(dict(summary), step=self._step)
        self._run.finish()
