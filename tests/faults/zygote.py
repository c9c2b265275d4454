"""Runs many trainings from one process that has everything imported: each in a fork of its own, killed where asked.

One JSON command a line on stdin, one JSON answer a line on stdout. A command is {"do": "train", "recipe": …, "out": …} or
{"do": "resume", "out": …}, with "kill": [where, n] to die by SIGKILL at the n-th time training comes by that place:

    step         after the n-th optimizer step, before it is counted
    half         with the tensors of the n-th checkpoint half written
    unnamed      with the n-th checkpoint written and not yet renamed
    renamed      right after the n-th checkpoint was renamed
    finish       while the final model is written
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import traceback
import warnings

import lightning_fabric  # noqa: F401 - imported before the forks
import sklearn  # noqa: F401
import torch
import transformers  # noqa: F401

from whet.core import rng
from whet.core.errors import WhetError
from whet.core.recipe import Recipe
from whet.methods.average import ema
from whet.train import checkpoint, finish, job, log, source


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
    elif where in ("unnamed", "renamed"):
        rename = os.rename

        def renaming(old, new):
            last = due()
            if last and where == "unnamed":
                die()
            rename(old, new)
            if last:
                die()

        checkpoint.os.rename = renaming
    elif where == "finish":
        save_net = finish.save_net

        def saving_net(net, folder, extra):
            save_net(net, folder, extra)
            die()

        finish.save_net = saving_net


def break_it(mutant: str) -> None:
    """Wrong designs that have been seen elsewhere; the tests must notice each."""
    if mutant == "global draws":  # dropout from torch's global generator instead of one keyed by the step
        torch.manual_seed(0)
        rng.Rng.torch_scope = lambda self, purpose, step=0, device=None: contextlib.nullcontext()
    elif mutant == "forgotten averages":  # a method's runtime state that is saved and not loaded
        ema._Average.load_state_dict = lambda self, state: None
    elif mutant == "epoch starts over":  # a resumed run that begins its epoch's batches again
        batches = source.PaintedSource.batches
        source.PaintedSource.batches = lambda self, epoch, size, first: batches(self, epoch, size, 0)


def run(command: dict) -> int:
    if "kill" in command:
        arm(*command["kill"])
    if "mutant" in command:
        break_it(command["mutant"])
    try:
        if command["do"] == "train":
            job.train_run(Recipe.from_dict(command["recipe"]), command["out"])
        else:
            job.resume_run(command["out"])
    except WhetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except Exception:  # noqa: BLE001 - whatever it is, the test sees it
        traceback.print_exc()
        return 3
    return 0


def main() -> None:
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        command = json.loads(line)
        child = os.fork()
        if child == 0:
            devnull = os.open(os.devnull, os.O_WRONLY)
            os.dup2(devnull, 1)
            code = run(command)
            sys.stderr.flush()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        answer = {"code": os.waitstatus_to_exitcode(status)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


main()
