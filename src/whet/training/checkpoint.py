"""Atomic checkpoints with checksums.

Each checkpoint is a folder step-N with state.safetensors (all tensors), state.json (everything else) and manifest.json (SHA-256
of both). It is written to a temporary folder, synced to disk and renamed, and the parent folder is synced, so that a loadable
checkpoint always exists after the first save. A damaged checkpoint is detected by its hash before any tensor is used; the newest
valid one is loaded instead.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save_file

from whet.core.errors import NonFiniteError, RunError
from whet.core.language import Sentence, english
from whet.core.output import put, remove, work_folder
from whet.core.writing import writing

_FILES = _STATE, _TENSORS, _MANIFEST = "state.json", "state.safetensors", "manifest.json"


# --- nested state <-> JSON and tensors ------------------------------------------------------------------------------
def flatten(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Convert nested dicts, lists, tuples and plain values to JSON; tensors are copied into `tensors` and replaced by their
    names."""
    if isinstance(value, torch.Tensor):
        name = f"t{len(tensors)}"
        last = value.dim() == 4 and not value.is_contiguous() and value.is_contiguous(memory_format=torch.channels_last)
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()
        return {"tensor": name, "channels_last": last}
    if isinstance(value, dict):
        return {"dict": [[key, flatten(item, tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [flatten(item, tensors) for item in value]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a checkpoint can contain numbers, strings, tensors, lists and dicts; got {type(value).__name__}")


def unflatten(plain: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if not isinstance(plain, dict):
        return plain
    if "tensor" in plain:
        tensor = tensors[plain["tensor"]]
        return tensor.contiguous(memory_format=torch.channels_last) if plain["channels_last"] else tensor
    if "dict" in plain:
        return {key: unflatten(item, tensors) for key, item in plain["dict"]}
    if "list" in plain:
        return [unflatten(item, tensors) for item in plain["list"]]
    return tuple(unflatten(item, tensors) for item in plain["tuple"])


def digest(state: Any) -> str:
    """SHA-256 of a nested state: equal digests mean bit-identical states."""
    tensors: dict[str, torch.Tensor] = {}
    sha = hashlib.sha256(json.dumps(flatten(state, tensors), sort_keys=True).encode())
    for name, tensor in tensors.items():
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        sha.update(
            tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
            if tensor.numel() and tensor.dim()
            else str(tensor.tolist()).encode()
        )
    return sha.hexdigest()


# --- writing --------------------------------------------------------------------------------------------------------
def write_checkpoint(parent: Path, step: int, plain: Any, tensors: dict[str, torch.Tensor]) -> Path:
    """Write one checkpoint. When this returns, the checkpoint survives a power failure."""
    bad = [name for name, tensor in tensors.items() if tensor.is_floating_point() and not torch.isfinite(tensor).all()]
    if bad:
        raise NonFiniteError(f"step {step}: {len(bad)} tensors of the training state are not finite; nothing was saved")
    parent.mkdir(exist_ok=True)
    final = parent / f"step-{step:08d}"
    if final.is_dir():  # training was resumed from an earlier one, because this one could not be read
        remove_checkpoint(final)
    size = sum(t.numel() * t.element_size() for t in tensors.values())
    with writing(final, size, "; earlier checkpoints are intact, and --resume continues from them"):
        with work_folder(final) as beside:
            save_file(tensors, beside / _TENSORS)
            (beside / _STATE).write_text(json.dumps({"step": step, "state": plain}))
            files = {name: _sha256(beside / name) for name in (_TENSORS, _STATE)}
            (beside / _MANIFEST).write_text(json.dumps({"step": step, "sha256": files}))
            for name in (*files, _MANIFEST):
                _sync(beside / name)
            _sync(beside)
            put(beside, final, last=_MANIFEST)
        _sync(parent)
    return final


def remove_checkpoint(path: Path) -> None:
    """Delete the files of a checkpoint, and its folder if it is then empty."""
    remove(path, *_FILES)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


class CheckpointWriter:
    """Writes checkpoints in a separate thread, so that training waits only for the copy in memory. If the disk is too slow, only
    the newest pending checkpoint is written; the last one is always written. Keeps the newest `keep` checkpoints and the best."""

    def __init__(self, parent: Path, keep: int) -> None:
        self._parent = parent
        self._keep = keep
        self._next: tuple[int, Any, dict[str, torch.Tensor], Callable[[], None], int | None] | None = None
        self._saved: set[int] = set()
        self._error: Exception | None = None
        self._busy = False
        self._closed = False
        self._condition = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="whet-checkpoints", daemon=True)
        self._thread.start()

    def save(self, step: int, state: Any, sync_log: Callable[[], None], best_step: int | None) -> None:
        """Copy the state now and write it in the background. Each step is saved only once, because a checkpoint is never
        replaced. The log is synced to disk before the checkpoint."""
        if step in self._saved:
            raise ValueError(f"the state at step {step} is already saved")
        self._saved.add(step)
        tensors: dict[str, torch.Tensor] = {}
        plain = flatten(state, tensors)
        with self._condition:
            self._raise()
            self._next = (step, plain, tensors, sync_log, best_step)
            self._condition.notify_all()

    def wait(self) -> None:
        """Wait until all pending checkpoints are on disk. Errors of the thread are raised here."""
        with self._condition:
            self._condition.wait_for(lambda: (self._next is None and not self._busy) or self._error is not None)
            self._raise()

    def close(self) -> None:
        with self._condition:
            self._closed = True
            self._condition.notify_all()
        self._thread.join()

    def _raise(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._next is not None or self._closed)
                if self._next is None:
                    return
                step, plain, tensors, sync_log, best_step = self._next
                self._next, self._busy = None, True
            try:
                sync_log()
                write_checkpoint(self._parent, step, plain, tensors)
                prune(self._parent, self._keep, best_step)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is raised in the thread that waits
                with self._condition:
                    self._error = error
            finally:
                with self._condition:
                    self._busy = False
                    self._condition.notify_all()


# --- reading --------------------------------------------------------------------------------------------------------
def checkpoints(parent: Path) -> list[Path]:
    """The checkpoints of a run in descending order of their step number."""
    found = parent.glob("step-" + 8 * "[0-9]")
    return sorted((path for path in found if any((path / name).is_file() for name in _FILES)), reverse=True)


def prune(parent: Path, keep: int, best_step: int | None) -> None:
    for path in checkpoints(parent)[keep:]:
        if best_step is None or path.name != f"step-{best_step:08d}":
            remove_checkpoint(path)


def read_checkpoint(path: Path) -> Any:
    """Read the state of one checkpoint. Raises RunError if a checksum does not match."""
    try:
        manifest = json.loads((path / _MANIFEST).read_bytes())
        # Hash the same bytes that are parsed, because the file could change in between.
        files = {name: (path / name).read_bytes() for name in (_TENSORS, _STATE)}
        wrong = [name for name, data in files.items() if hashlib.sha256(data).hexdigest() != manifest["sha256"][name]]
        if wrong:
            raise RunError(f"{path / wrong[0]} is damaged: its SHA-256 does not match the manifest")
        plain = json.loads(files[_STATE])
        if f"step-{plain['step']:08d}" != path.name or plain["step"] != manifest["step"]:
            raise RunError(f"{path} is damaged: it contains step {plain['step']}")
        return unflatten(plain["state"], load(files[_TENSORS]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is damaged: {error}") from None


def newest_good(parent: Path) -> tuple[Any, int, list[Sentence]]:
    """(state, step, a line for every damaged checkpoint that was skipped). Raises RunError if no checkpoint is valid."""
    passed: list[Sentence] = []
    for path in checkpoints(parent):
        try:
            return read_checkpoint(path), int(path.name.removeprefix("step-")), passed
        except RunError as error:
            passed.append(english("{damage}; using the previous one", damage=error))
    raise RunError(f"{parent} contains no usable checkpoint" + "".join(f"\n  {line}" for line in passed))
