"""Runs as tasks of a Ray cluster. They are the same as those made in this process, bit for bit on a processor.

The simple case is a folder that every node sees (NFS and the like): a run whose worker dies goes on from its checkpoint. A node
that does not see the driver's folder trains in a folder of its own and sends the finished run back; there a lost run begins anew.
The data, and weights that are folders, must lie at the same path on every node.
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
_NOT_SENT = ("checkpoints", ".lock")  # of a run folder: nobody goes on with a finished run


@dataclass
class _Sent:
    """A task on the cluster, the file by which a node knows that it sees the driver's folder, and since when it may be silent."""

    task: PlannedRun
    sign: Path
    given: float
    hung: bool = False


class RayCluster:
    """As many runs at a time as the cluster has room for, at most `jobs`; `threads` cores each, and a graphics card where the
    recipe asks for one. address: "auto" for the cluster of this machine, "local" for one that is started here and ends with this
    process, or HOST:PORT. RunError where Ray is not installed, no cluster answers, or no node has so many cores."""

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
        fresh, again = map(refuse_other, tasks), deque[PlannedRun]()
        sent: dict[Any, _Sent] = {}
        try:
            while True:
                while len(sent) < self.jobs:
                    task = next(fresh, None) or (again.popleft() if again else None)
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
                    else:  # another driver's process is at it
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
        """The run is over and lies in its folder; False where another process is at it."""
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
        """A run can be seen to be silent once its folder is there: one that waits for room has none."""
        if one.hung or not RunFolder(one.task.path).requested.is_file():
            return
        if time.time() - silent_since(one.task.path, one.given) > self._silence:
            one.hung = True
            self._ray.cancel(reference, force=True)


def _connected(address: str) -> Any:
    try:
        import ray
    except ImportError:
        raise RunError("running on a cluster needs Ray: pip install 'whet[ray]'") from None
    if ray.is_initialized():
        return ray
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is ever sent anywhere
    own: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except (ConnectionError, ValueError) as error:
        raise RunError(
            f"no Ray cluster answers at '{address}': {str(error).splitlines()[0]} Start one with: ray start --head "
            "--include-dashboard=false --disable-usage-stats; or take --ray local"
        ) from None
    return ray


def _signed(place: Path) -> tuple[Path, str]:
    """A file beside a run's folder, and what it says: who reads that there sees the driver's folder."""
    sign, token = place.parent / f".{place.name}.driver", uuid.uuid4().hex
    sign.write_text(token)
    return sign, token


def _make(task: PlannedRun, sign: str, token: str, directory: str) -> tuple[bool, bytes | None]:
    """On the node: (whether the run is over, its folder where the driver cannot see it)."""
    with contextlib.suppress(OSError):  # paths in a recipe count from where the driver runs
        os.chdir(directory)
    if Path(sign).is_file() and Path(sign).read_text() == token:
        return execute(task, Observer()), None
    with tempfile.TemporaryDirectory(prefix="whet-") as room:
        here = replace(task, path=Path(room) / task.path.name)
        execute(here, Observer())
        return True, pack(here.path)


def pack(folder: Path) -> bytes:
    """A run folder, less what nobody needs of a run that is over."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder)
            if path.is_file() and name.parts[0] not in _NOT_SENT:
                archive.add(path, arcname=name.as_posix(), recursive=False)
    return buffer.getvalue()


def unpack(packed: bytes, folder: Path) -> None:
    """Put a packed run folder in its place, whole. RunError where it holds anything but files below itself."""
    with work_folder(folder) as beside:
        _extract(packed, folder, beside)
        put(beside, folder, last="DONE")


def _extract(packed: bytes, folder: Path, beside: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:") as archive:
        for member in archive:
            parts = PurePosixPath(member.name).parts
            if not member.isfile() or not parts or ".." in parts or parts[0] == "/":
                raise RunError(f"{folder}: a node sent '{member.name}', which is no file of a run folder")
            content = archive.extractfile(member)
            assert content is not None
            place = beside.joinpath(*parts)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content.read())
