"""TensorBoard: scalars in the folder `tensorboard` of the run."""

from __future__ import annotations

from collections.abc import Mapping

from whet.tracking.tracker import RunInfo, Tracker


class TensorBoard(Tracker):
    """`tensorboard --logdir runs` shows all runs."""

    name = "tensorboard"
    package = "torch.utils.tensorboard"
    extra = "tensorboard"

    def start(self, run: RunInfo) -> None:
        self._writer = self.module.SummaryWriter(str(run.folder / "tensorboard"))
        self._step = 0

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._step = step
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def finish(self, summary: Mapping[str, float] | None) -> None:
        for name, value in (summary or {}).items():
            self._writer.add_scalar(name, value, self._step)
        self._writer.close()
