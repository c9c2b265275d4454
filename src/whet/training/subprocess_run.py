"""A run in a process of its own: its memory is measured by itself, and what brings it down brings down nothing else.

The child, `python -m whet.training.apart RUN`, reads the recipe from its standard input, or goes on with the run that lies there,
and tells what happens in lines of JSON on its standard output; the parent passes them on to its observer.
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
from whet.core.process import process_began
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.training.job import resume_run, train_run
from whet.training.log import Observer

_STOPPED = (128 + signal.SIGINT, 128 + signal.SIGTERM)


def run_apart(recipe: Recipe, path: Path, observer: Observer) -> RunFolder:
    """Train this recipe into the folder, or go on with the run that was begun there. Its methods must be known to a new process,
    by the entry point `whet.methods`. Raises RunError with the reason where the run fails, whatever it failed of."""
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as complaints:
        asked.write(recipe.to_yaml().encode())
        asked.seek(0)
        # In a session of its own: Ctrl-C reaches this process alone, which then ends the child gently and once.
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "whet.training.subprocess_run", str(path)], stdin=asked, stdout=subprocess.PIPE,
            stderr=complaints, text=True, encoding="utf-8", start_new_session=True,
        ) as child:  # fmt: skip
            try:
                said = _listen(child, observer)
                status = child.wait()
            finally:
                if child.poll() is None:
                    child.terminate()  # it saves first; what it still tells has room in the pipe
                    child.wait()
                observer.end()
        if status != 0:
            complaints.seek(0)
            raise RunError(said or _reason(status, complaints.read().decode(errors="replace")))
    return RunFolder.open(path)


def _listen(child: subprocess.Popen[str], observer: Observer) -> str:
    """Pass on what the child tells until it ends; the error it ended with, where it told one."""
    hear: dict[str, Any] = {
        "phase": observer.phase,
        "note": observer.note,
        "steps": observer.steps,
        "step": observer.step,
        "validated": observer.validated,
    }
    failed = ""
    assert child.stdout is not None
    for line in child.stdout:
        if not line.endswith("\n"):  # killed while it wrote
            break
        event, *values = json.loads(line)
        if event == "failed":
            (failed,) = values
        else:
            hear[event](*values)
    return failed


def _reason(status: int, complaints: str) -> str:
    """Why a child ended that did not say so itself."""
    if status == -signal.SIGKILL:
        return "killed by the system, most likely as memory ran out"
    if status < 0:
        return f"ended by the signal {signal.Signals(-status).name}"
    if status in _STOPPED:
        return f"stopped by the signal {signal.Signals(status - 128).name} before it was finished"
    lines = [line for line in complaints.splitlines() if line.strip()]
    raised = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Interrupt)\b", line)]
    return (raised or lines or [f"ended with exit code {status}"])[-1]


class _Teller(Observer):
    """In the child: everything as a line of JSON."""

    def __init__(self, to: TextIO) -> None:
        self._to = to

    def _tell(self, event: str, *values: Any) -> None:
        self._to.write(json.dumps([event, *values], ensure_ascii=False) + "\n")
        self._to.flush()

    def phase(self, text: str) -> None:
        self._tell("phase", text)

    def note(self, text: str) -> None:
        self._tell("note", text)

    def steps(self, done: int, total: int) -> None:
        self._tell("steps", done, total)

    def step(self, record: dict[str, Any]) -> None:
        self._tell("step", record)

    def validated(self, record: dict[str, Any]) -> None:
        self._tell("validated", record)

    def failed(self, error: WhetError) -> None:
        self._tell("failed", str(error))


def _main(path: str) -> int:
    started = process_began()  # the imports belong to the budget
    teller = _Teller(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)  # whatever a library prints is no line of ours
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
