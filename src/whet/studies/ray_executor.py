"""Runs as tasks of a Ray cluster. On a CPU, they are bit-identical to runs in this process.

If all nodes share the folder (for example by NFS), a run whose worker dies is resumed from its checkpoint. A node that does not
share the driver's folder trains in a local folder and sends the finished run back; a lost run is then restarted. The data, and
weights in local folders, must be at the same path on every node.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import tarfile
import tempfile
import time
import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from whet.core.errors import RunError
from whet.core.output import put, work_folder
from whet.core.run_folder import RunFolder
from whet.studies.executor import (
    ATTEMPTS,
    SILENCE_SECONDS,
    PlannedRun,
    brought_down,
    execute,
    fail,
    hung_for,
    refuse_other,
    silent_since,
)
from whet.training.log import Observer

_LOOK_SECONDS = 1.0
_NOT_SENT = ("checkpoints", ".lock")  # not needed for a finished run


@dataclass
class _Sent:
    """A task on the cluster, the file that shows a node whether it shares the driver's folder, and the start time for hang
    detection."""

    task: PlannedRun
    sign: Path
    given: float
    hung: bool = False


class RayCluster:
    """Runs as many tasks in parallel as fit the cluster, at most `jobs`. Each uses `threads` cores, and a GPU if the recipe
    requests one. address: "auto" for the cluster of this machine, "local" for a new cluster that ends with this process, or
    HOST:PORT. Raises RunError if Ray is not installed, if no cluster is found, or if no node has enough cores."""

    def __init__(self, address: str, threads: int, jobs: int | None = None, silence: float = SILENCE_SECONDS) -> None:
        self._ray = _connected(address)
        self._threads, self._silence = threads, silence
        cores = [int(node["Resources"].get("CPU", 0)) for node in self._ray.nodes() if node["Alive"]]
        room = sum(count // threads for count in cores)
        if room == 0:
            raise RunError(
                f"no node of the Ray cluster has {threads} cores (they have {', '.join(map(str, cores)) or 'none'}); "
                "set train.torch_threads in the recipe"
            )
        self.jobs = min(jobs or room, room)

    def run(self, tasks: Iterable[PlannedRun]) -> Iterator[PlannedRun]:
        pending, again = map(refuse_other, tasks), deque[PlannedRun]()
        sent: dict[Any, _Sent] = {}
        try:
            while True:
                while len(sent) < self.jobs:
                    task = next(pending, None) or (again.popleft() if again else None)
                    if task is None:
                        break
                    sent.update([self._send(task)])
                if not sent:
                    return
                ready, _ = self._ray.wait(list(sent), timeout=_LOOK_SECONDS)
                for reference in ready:
                    one = sent.pop(reference)
                    if self._received(reference, one):
                        yield one.task
                    else:  # a process of another driver works on it
                        again.append(one.task)
                        time.sleep(_LOOK_SECONDS / self.jobs)
                for reference, one in sent.items():
                    self._end_where_hung(reference, one)
        finally:
            for reference, one in sent.items():
                self._ray.cancel(reference, force=True)
                one.sign.unlink(missing_ok=True)

    def _send(self, task: PlannedRun) -> tuple[Any, _Sent]:
        place = task.path.resolve()
        place.parent.mkdir(parents=True, exist_ok=True)
        sign, token = _signed(place)
        task = replace(task, path=place)
        cards = 1 if task.recipe.train.device == "cuda" else 0
        remote = self._ray.remote(num_cpus=self._threads, num_gpus=cards, max_retries=ATTEMPTS - 1)(_make)
        return remote.remote(task, str(sign), token, os.getcwd()), _Sent(task, sign, time.time())

    def _received(self, reference: Any, one: _Sent) -> bool:
        """Whether the run is over and in its folder; False if another process works on it."""
        errors = self._ray.exceptions
        try:
            done, packed = self._ray.get(reference)
        except (errors.WorkerCrashedError, errors.TaskCancelledError, errors.NodeDiedError, errors.OutOfMemoryError):
            fail(one.task, hung_for(self._silence) if one.hung else brought_down())
            done, packed = True, None
        finally:
            one.sign.unlink(missing_ok=True)
        if packed is not None:
            unpack(packed, one.task.path)
        return bool(done)

    def _end_where_hung(self, reference: Any, one: _Sent) -> None:
        """Stop a hung run. Only runs with a folder are checked; a queued run has none."""
        if one.hung or not RunFolder(one.task.path).requested.is_file():
            return
        if time.time() - silent_since(one.task.path, one.given) > self._silence:
            one.hung = True
            self._ray.cancel(reference, force=True)


def _connected(address: str) -> Any:
    try:
        import ray
    except ImportError:
        raise RunError("running on a cluster requires Ray: pip install 'whet[ray]'") from None
    if ray.is_initialized():
        return ray
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no telemetry
    own: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except (ConnectionError, ValueError) as error:
        raise RunError(
            f"no Ray cluster found at '{address}': {str(error).splitlines()[0]} Start one with: ray start --head "
            "--include-dashboard=false --disable-usage-stats; or use --ray local"
        ) from None
    return ray


def _signed(place: Path) -> tuple[Path, str]:
    """A file next to a run's folder and its content. A node that can read it shares the driver's folder."""
    sign, token = place.parent / f".{place.name}.driver", uuid.uuid4().hex
    sign.write_text(token)
    return sign, token


def _make(task: PlannedRun, sign: str, token: str, directory: str) -> tuple[bool, bytes | None]:
    """On the node: (whether the run is over, its packed folder if the driver does not share it)."""
    with contextlib.suppress(OSError):  # paths in a recipe are relative to the driver's working directory
        os.chdir(directory)
    if Path(sign).is_file() and Path(sign).read_text() == token:
        return execute(task, Observer()), None
    with tempfile.TemporaryDirectory(prefix="whet-") as room:
        here = replace(task, path=Path(room) / task.path.name)
        execute(here, Observer())
        return True, pack(here.path)


def pack(folder: Path) -> bytes:
    """Pack a run folder without the files that a finished run does not need."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder)
            if path.is_file() and name.parts[0] not in _NOT_SENT:
                archive.add(path, arcname=name.as_posix(), recursive=False)
    return buffer.getvalue()


def unpack(packed: bytes, folder: Path) -> None:
    """Unpack a run folder atomically. Raises RunError if it contains anything but regular files inside the folder."""
    with work_folder(folder) as beside:
        _extract(packed, folder, beside)
        put(beside, folder, last="DONE")


def _extract(packed: bytes, folder: Path, beside: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:") as archive:
        for member in archive:
            parts = PurePosixPath(member.name).parts
            if not member.isfile() or not parts or ".." in parts or parts[0] == "/":
                raise RunError(f"{folder}: a node sent '{member.name}', which is not a file of a run folder")
            content = archive.extractfile(member)
            assert content is not None
            place = beside.joinpath(*parts)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content.read())
