"""Train a run in a separate process. Its memory is measured separately, and a crash does not affect the parent.

The child, `python -m whet.training.subprocess_run RUN`, reads the recipe from its standard input, or resumes the run in the folder,
and writes events as JSON lines to its standard output; the parent forwards them to its observer.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, TextIO

from whet.core.errors import RunError, WhetError
from whet.core.language import Sentence
from whet.core.process import process_began
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.training.job import resume_run, train_run
from whet.training.log import Observer

_STOPPED = (128 + signal.SIGINT, 128 + signal.SIGTERM)


def run_in_subprocess(recipe: Recipe, path: Path, observer: Observer) -> RunFolder:
    """Train this recipe into the folder, or resume the run there. Its methods must be importable in a new process by the entry
    point `whet.methods`. Raises RunError with the reason if the run fails for any reason."""
    with tempfile.TemporaryFile() as request, tempfile.TemporaryFile() as complaints:
        request.write(recipe.to_yaml().encode())
        request.seek(0)
        # In its own session: Ctrl-C reaches only this process, which then stops the child once.
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "whet.training.subprocess_run", str(path)], stdin=request, stdout=subprocess.PIPE,
            stderr=complaints, text=True, encoding="utf-8", start_new_session=True,
        ) as child:  # fmt: skip
            try:
                error_text = _listen(child, observer)
                status = child.wait()
            finally:
                if child.poll() is None:
                    child.terminate()  # it saves first; its remaining output fits in the pipe
                    child.wait()
                observer.end()
        if status != 0:
            complaints.seek(0)
            raise RunError(error_text or _reason(status, complaints.read().decode(errors="replace")))
    return RunFolder.open(path)


def _listen(child: subprocess.Popen[str], observer: Observer) -> str:
    """Forward the events of the child until it ends. Returns its error, if it reported one."""
    handlers: dict[str, Any] = {
        "phase": observer.phase,
        "note": observer.note,
        "steps": observer.steps,
        "step": observer.step,
        "validated": observer.validated,
    }
    failed = ""
    assert child.stdout is not None
    for line in child.stdout:
        if not line.endswith("\n"):  # killed while writing
            break
        event, *values = json.loads(line)
        if event == "failed":
            (failed,) = values
        else:
            handlers[event](*values)
    return failed


def _reason(status: int, complaints: str) -> str:
    """The reason why a child ended without reporting one."""
    if status == -signal.SIGKILL:
        return "killed by the system, most likely because it ran out of memory"
    if status < 0:
        return f"stopped by the signal {signal.Signals(-status).name}"
    if status in _STOPPED:
        return f"stopped by the signal {signal.Signals(status - 128).name} before it was finished"
    lines = [line for line in complaints.splitlines() if line.strip()]
    raised = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Interrupt)\b", line)]
    return (raised or lines or [f"ended with exit code {status}"])[-1]


class _JsonObserver(Observer):
    """In the child: writes every event as a JSON line."""

    def __init__(self, to: TextIO) -> None:
        self._to = to

    def _write(self, event: str, *values: Any) -> None:
        self._to.write(json.dumps([event, *values], ensure_ascii=False) + "\n")
        self._to.flush()

    def phase(self, text: Sentence) -> None:
        self._write("phase", text)

    def note(self, text: Sentence) -> None:
        self._write("note", text)

    def steps(self, done: int, total: int) -> None:
        self._write("steps", done, total)

    def step(self, record: dict[str, Any]) -> None:
        self._write("step", record)

    def validated(self, record: dict[str, Any]) -> None:
        self._write("validated", record)

    def failed(self, error: WhetError) -> None:
        self._write("failed", str(error))


def _main(path: str) -> int:
    started = process_began()  # the time of the imports counts towards the budget
    teller = _JsonObserver(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)  # output of libraries must not mix with the JSON lines
    try:
        if RunFolder(path).requested.is_file():
            resume_run(path, observer=teller)
        else:
            train_run(Recipe.from_yaml(sys.stdin.buffer.read().decode()), path, observer=teller, started=started)
    except WhetError as error:
        teller.failed(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
