"""The cost of a run: seconds, memory, parameters."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path
from typing import Any

from whet.training.loop import Training


def cost_of(t: Training, seconds_per_sample: float) -> dict[str, Any]:
    """The costs of a finished training. Seconds include all processes of the run, except for work that a killed process did after
    its last checkpoint. seconds_per_sample: the inference time per sample."""
    state, per_epoch = t.state, t.source.steps_per_epoch
    parameters = list(t.net.parameters())
    return {
        "train_seconds": state.seconds,
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
