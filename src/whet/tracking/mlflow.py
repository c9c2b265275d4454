"""MLflow: a run in its store, by default the SQLite file mlflow.db of the current folder."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from whet.tracking.tracker import RunInfo, Tracker

EXPERIMENT = "whet"
_STORE = "sqlite:///mlflow.db"
_AT_ONCE = 500  # values in one request; a store accepts 1000, and 100 parameters
_PARAMETERS, _LETTERS = 100, 500


class MLflow(Tracker):
    """`mlflow ui --backend-store-uri sqlite:///mlflow.db` shows the runs. MLFLOW_TRACKING_URI names another store, or a server, and
    MLFLOW_EXPERIMENT_NAME another experiment."""

    name = "mlflow"
    package = "mlflow"
    extra = "mlflow"

    def start(self, run: RunInfo) -> None:
        self._waiting: list[Any] = []
        self._client = self.module.MlflowClient(tracking_uri=os.environ.get("MLFLOW_TRACKING_URI") or _STORE)
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        known = self._client.get_experiment_by_name(name)
        experiment = self._client.create_experiment(name) if known is None else known.experiment_id
        self._run = self._client.create_run(experiment, run_name=run.name).info.run_id
        entities = self.module.entities
        settings = [entities.Param(key, str(value)[:_LETTERS]) for key, value in run.settings.items()]
        for first in range(0, len(settings), _PARAMETERS):
            self._client.log_batch(self._run, params=settings[first : first + _PARAMETERS])

    def log(self, step: int, values: Mapping[str, float]) -> None:
        now = int(1000 * time.time())
        self._waiting += [self.module.entities.Metric(name, value, now, step) for name, value in values.items()]
        if len(self._waiting) >= _AT_ONCE:
            self._send()

    def artifacts(self, paths: Sequence[Path]) -> None:
        for path in paths:
            self._client.log_artifact(self._run, str(path))

    def finish(self, summary: Mapping[str, float] | None) -> None:
        self.log(0, summary or {})
        self._send()
        self._client.set_terminated(self._run, status="FINISHED" if summary is not None else "KILLED")

    def _send(self) -> None:
        for first in range(0, len(self._waiting), _AT_ONCE):
            self._client.log_batch(self._run, metrics=self._waiting[first : first + _AT_ONCE])
        self._waiting = []
