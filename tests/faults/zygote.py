"""Runs many trainings from one process that has everything imported: each in a fork of its own, killed where asked.

One JSON command a line on stdin, one JSON answer a line on stdout. A command is {"do": "train", "recipe": …, "out": …} or
{"do": "resume", "out": …}, with "kill": [where, n] to die by SIGKILL at the n-th time training comes by that place:

    step         after the n-th optimizer step, before it is counted
    half         with the tensors of the n-th checkpoint half written
    unnamed      with the n-th checkpoint written and not yet renamed
    renamed      right after the n-th checkpoint was renamed
    replanned    right after the first checkpoint since the length of the training was changed for the n-th time
    finish       while the final model is written
    metrics      before the metrics are written
    report       with the report half written
    reported     with the report written, and nothing after it

"pace": {"seconds": s, "after": t, "times": f} lets time pass by the work that is done alone: s seconds for a training step of eight
samples, after t seconds f times as many. "limit": n makes the system refuse to write files of more than n bytes. "errors": a file
for what goes to stderr.

{"do": "whet", "words": [...], "errors": FILE} begins a command line and answers with its process id at once; with "offline": true
it has no network, or ends with 77 where the system refuses that;
{"do": "code", "pid": n, "wait": true or false} tells its exit code, null while it is at work.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import resource
import signal
import sys
import time
import traceback
import warnings

import lightning_fabric  # noqa: F401 - imported before the forks
import sklearn  # noqa: F401
import torch
import transformers  # noqa: F401

from whet import cli
from whet.core import rng, strict_json
from whet.core.errors import WhetError
from whet.core.recipe import Recipe
from whet.methods.average import ema
from whet.models import net
from whet.training import checkpoint, finish, job, log, source

importlib.import_module("whet.models.zoo_text.fast_text")._BUCKETS = 512  # its checkpoints would take 100 MB each


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(where: str, n: int) -> None:
    """Die the n-th time training comes by."""
    seen = {"count": 0}

    def due() -> bool:
        seen["count"] += 1
        return seen["count"] == n

    if where == "step":
        write = log.RunLog.write

        def writing(self, event, **values):
            if event == "step" and due():
                die()
            return write(self, event, **values)

        log.RunLog.write = writing
    elif where == "half":
        save = checkpoint.save_file

        def saving(tensors, path, **options):
            save(tensors, path, **options)
            if due():
                with open(path, "r+b") as handle:
                    handle.truncate(path.stat().st_size // 2)
                die()

        checkpoint.save_file = saving
    elif where in ("unnamed", "renamed", "replanned"):
        rename, write = os.rename, log.RunLog.write

        def writing(self, event, **values):
            seen["ready"] = seen.get("ready") or (event == "replanned" and due())
            return write(self, event, **values)

        def renaming(old, new):
            last = os.path.basename(new).startswith("step-") and (seen.get("ready") if where == "replanned" else due())
            if last and where == "unnamed":
                die()
            rename(old, new)
            if last:
                die()

        os.rename = renaming
        if where == "replanned":
            log.RunLog.write = writing
    elif where == "finish":
        save_net = finish.save_net

        def saving_net(net, folder, extra):
            save_net(net, folder, extra)
            die()

        finish.save_net = saving_net
    elif where == "metrics":
        write_json = strict_json.write
        strict_json.write = lambda path, value: die() if path.name == "metrics.json" else write_json(path, value)


class Machine:
    """A clock that goes by the work that is done: see `pace` above."""

    def __init__(self, seconds, after, times):
        self.now, self._seconds, self._after, self._times = 0.0, seconds, after, times
        forward = net.Net.forward

        def working(network, x):
            samples = len(x) / (1 if network.training else 3)
            self.now += self._seconds * samples / 8 * (self._times if self.now > self._after else 1.0)
            return forward(network, x)

        net.Net.forward = working

    def __call__(self):
        return self.now


def break_it(mutant: str) -> None:
    """Wrong designs that have been seen elsewhere; the tests must notice each."""
    if mutant == "global draws":  # dropout from torch's global generator instead of one keyed by the step
        torch.manual_seed(0)
        rng.Rng.torch_scope = lambda self, purpose, step=0, device=None: contextlib.nullcontext()
    elif mutant == "forgotten averages":  # a method's runtime state that is saved and not loaded
        ema._Average.load_state_dict = lambda self, state: None
    elif mutant == "epoch starts over":  # a resumed run that begins its epoch's batches again
        batches = source.RenderedSource.batches
        source.RenderedSource.batches = lambda self, epoch, size, first: batches(self, epoch, size, 0)
    elif mutant == "front measured too late":  # what the spectrograms' front measured is not part of the starting model
        load = job.load_net

        def forgetful(folder):
            found = load(folder)
            found.front.mean, found.front.std = found.front.mean * 0.0, found.front.std * 0.0 + 1.0
            return found

        job.load_net = forgetful


def run(command: dict) -> int:
    if "errors" in command:
        os.dup2(os.open(command["errors"], os.O_WRONLY | os.O_CREAT), 2)
    if "kill" in command:
        arm(*command["kill"])
    if "mutant" in command:
        break_it(command["mutant"])
    if "limit" in command:
        resource.setrlimit(resource.RLIMIT_FSIZE, (command["limit"], resource.RLIM_INFINITY))
    clock = Machine(**command["pace"]) if "pace" in command else time.monotonic

    at, _ = command.get("kill", ("", 0))

    def report(folder):  # a real one takes longer than the training
        if at == "report":
            folder.report.write_text("<htm")
            die()
        folder.report.write_text("<html></html>")
        if at == "reported":
            die()

    try:
        if command["do"] == "train":
            job.train_run(Recipe.from_dict(command["recipe"]), command["out"], report=report, clock=clock)
        else:
            job.resume_run(command["out"], report=report, clock=clock)
    except WhetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except Exception:  # noqa: BLE001 - whatever it is, the test sees it
        traceback.print_exc()
        return 3
    return 0


NEW_USER, NEW_NETWORK = 0x10000000, 0x40000000  # of unshare(2)


def command_line(words: list[str], errors: str, offline: bool) -> int:
    """Begin a command line in a fork; its process id."""
    child = os.fork()
    if child == 0:
        if offline and ctypes.CDLL(None).unshare(NEW_USER | NEW_NETWORK) != 0:
            os._exit(77)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT), 2)
        sys.argv, code = ["whet", *words], 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        sys.stderr.flush()
        os._exit(code)
    return child


def exit_code(pid: int, wait: bool) -> int | None:
    ended, status = os.waitpid(pid, 0 if wait else os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def carry(command: dict) -> dict:
    if command["do"] == "whet":
        return {"pid": command_line(command["words"], command["errors"], command["offline"])}
    if command["do"] == "code":
        return {"code": exit_code(command["pid"], command["wait"])}
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = run(command)
        sys.stderr.flush()
        os._exit(code)
    return {"code": exit_code(child, wait=True)}


def main() -> None:
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        sys.stdout.write(json.dumps(carry(json.loads(line))) + "\n")
        sys.stdout.flush()


main()
