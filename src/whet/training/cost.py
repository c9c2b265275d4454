"""The cost of a run: seconds, memory, parameters."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path
from typing import Any

from whet.core.run_folder import RunFolder
from whet.training.loop import Training


def cost_of(t: Training, seconds_per_sample: float, folder: RunFolder) -> dict[str, Any]:
    """The costs of a finished training. Seconds include all processes of the run, except for work that a killed process did after
    its last checkpoint. train_seconds: also of the runs that were trained for this one. The speed and the other shares are those of
    this training alone. seconds_per_sample: the inference time per sample."""
    state, per_epoch = t.state, t.source.steps_per_epoch
    parameters = list(t.net.parameters())
    return {
        "train_seconds": state.seconds + _before(folder),
        "total_seconds": t.spent(),
        "seconds_per_sample": seconds_per_sample,
        "steps": state.step,
        "epochs": state.step / per_epoch,
        "planned_epochs": state.total_steps / per_epoch,
        "samples_per_second": state.step * int(t.plan.recipe.train.batch_size) / max(state.seconds, 1e-9),
        "loader_wait_share": state.wait_seconds / max(state.seconds, 1e-9),
        "parameters": sum(p.numel() for p in parameters),
        "trained_parameters": sum(p.numel() for p in parameters if p.requires_grad),
        "peak_memory_mib": peak_memory_mib(),
    }


def _before(folder: RunFolder) -> float:
    """The training seconds of the runs in this folder."""
    if not folder.external_models.is_dir():
        return 0.0
    runs = [RunFolder(path) for path in sorted(folder.external_models.iterdir())]
    return float(sum(run.read_json(run.metrics)["cost"]["train_seconds"] for run in runs if run.finished))


def peak_memory_mib() -> float:
    """The largest resident memory of this process so far."""
    # On Linux, the value of `resource` includes the parent process.
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def out_of_memory(error: Exception) -> bool:
    """Whether Python, the C library or a device is out of memory. On the CPU, torch raises a generic RuntimeError."""
    return isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error)
