"""`whet serve` with 16 clients: against bare loops over onnxruntime, against other servers, and under loads that are too large.

Every part is a result of its own:

- `speed`: the server, a loop over the same graph which neither decodes nor listens, and a loop which decodes too. With `--peers`
  also LitServe and a stock FastAPI application, in the environment of that Python (serving_peers.py). All take turns, and the
  others are stopped meanwhile. Before, the answers of each server are compared with those of the bundle offline.
- `answers`: 10,000 requests at once, each on a connection of its own; every answer is compared with the offline one.
- `memory`: resident memory before and after 20,000 requests.
- `overload`: ten times as many requests a second as the server answers, then the usual load again.
- `slow`: 200 connections that send a byte a second, and /health meanwhile.

The clients are one process. On a machine with other work, the clock favours servers with many threads, since each of them gets a
share of a core. What is given per second of processor time, that of the server and of the clients, depends on it less.

    python benchmarks/serving.py BUNDLE --samples FOLDER [--parts speed ...] [--peers PYTHON] [--seconds 5] [--rounds 3]
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import record
import serving_load as load
from whet.bundle import Bundle

CLIENTS = 16
PEERS = ("litserve", "fastapi")
PARTS = ("speed", "answers", "memory", "overload", "slow")
SERVER = """
import sys
from whet.bundle import Bundle
from whet.serving.app import Service
from whet.serving.server import run
from whet.serving.settings import Settings
service = Service(Bundle.read(sys.argv[1], threads=int(sys.argv[3])), Settings(port=int(sys.argv[2]), batch=int(sys.argv[4])))
run(service, lambda: print(service.batcher.batch, flush=True))
"""


class Server:
    """A server in processes of its own, from its start to `stop`."""

    def __init__(self, words: list[str], environment: dict[str, str] | None = None) -> None:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]
        words = [word.format(port=self.port) if word == "{port}" else word for word in words]
        self._process = subprocess.Popen(
            words, stdout=subprocess.PIPE, text=True, start_new_session=True, env=environment
        )
        for _ in range(600):
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=1),
            ):
                return
            time.sleep(0.1)
        self.stop()
        raise SystemExit(f"{' '.join(words[:3])} does not listen")

    def line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    @contextlib.contextmanager
    def awake(self) -> Iterator[None]:
        """It runs within, and does not between."""
        os.killpg(self._process.pid, signal.SIGCONT)
        yield
        os.killpg(self._process.pid, signal.SIGSTOP)

    def processes(self) -> tuple[int, ...]:
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                if int(path.read_text().rpartition(")")[2].split()[2]) == self._process.pid:
                    found.append(int(path.parent.name))
        return tuple(found)

    def resident_mb(self) -> float:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1000

    def stop(self) -> None:
        for number in (signal.SIGCONT, signal.SIGTERM):
            os.killpg(self._process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Subject:
    """What is served, and which requests ask for it."""

    def __init__(self, folder: Path, samples: Path, threads: int, batch: int) -> None:
        self.folder, self.threads, self.batch = folder, threads, batch
        self.bundle = Bundle.read(folder, threads=threads)
        found = [path.read_bytes() for path in sorted(samples.rglob("*.*")) if path.is_file()]
        found = [found[k * len(found) // 64] for k in range(64)] if len(found) > 64 else found
        alone = [self.bundle.predict([data])[0] for data in found]
        kept = [(data, one) for data, one in zip(found, alone) if not one["error"]]
        self.samples, self.offline = [data for data, _ in kept], [one for _, one in kept]
        kind = {"image": "image/jpeg", "audio": "audio/wav", "text": "text/plain"}[self.bundle.medium]
        self.requests = [load.posted(data, kind) for data in self.samples]

    @property
    def name(self) -> str:
        info = self.bundle.info
        return ", ".join(
            [
                self.folder.name,
                info["architecture"],
                *([f"{info['parameters']:,} parameters"] if "parameters" in info else []),
            ]
        )

    def whet(self) -> Server:
        return Server([sys.executable, "-c", SERVER, str(self.folder), "{port}", str(self.threads), str(self.batch)])

    def peer(self, name: str, python: Path) -> Server:
        program = Path(__file__).with_name("serving_peers.py")
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        return Server([str(python), str(program), name, str(self.folder), "{port}", str(self.threads)], environment)

    def compared(self, answers: list[tuple[int, Any]]) -> dict[str, Any]:
        """Of answers to the requests in turn: how many are those of the bundle offline, one sample at a time."""
        right = [
            (body, self.offline[k % len(self.offline)]) for k, (status, body) in enumerate(answers) if status == 200
        ]
        differences = [
            max(abs(body["probabilities"][key] - p) for key, p in wanted["probabilities"].items())
            for body, wanted in right
        ]
        return {
            "answers": len(answers),
            "with status 200": len(right),
            "of another class": sum(body["predicted"] != wanted["predicted"] for body, wanted in right),
            "bit for bit": sum(difference == 0 for difference in differences),
            "largest difference of a probability": max(differences, default=None),
        }


# --- speed ------------------------------------------------------------------------------------------------------------
def bare(subject: Subject, seconds: float, *, decode: bool) -> dict[str, Any]:
    """Samples a second of one loop, batch 1; decoded before, or one by one inside it."""
    bundle, samples = subject.bundle, subject.samples
    prepared = [bundle.prepare(sample) for sample in samples]
    began, used = time.perf_counter(), time.process_time()
    for count, k in enumerate(itertools.cycle(range(len(samples))), start=1):
        bundle.run([bundle.prepare(samples[k]) if decode else prepared[k]])
        if (passed := time.perf_counter() - began) > seconds:
            used = time.process_time() - used
            return {
                "per_second": count / passed,
                "per_processor_second": count / used,
                "processor_ms": 1e3 * used / count,
            }
    raise AssertionError


def served(server: Server, subject: Subject, seconds: float) -> dict[str, Any]:
    with server.awake():
        given = (server.port, subject.requests, CLIENTS, seconds, 0, 0.5, server.processes())
        found = load.elsewhere(load.steady, *given)
    assert set(found["statuses"]) == {200}, found["statuses"]
    count = len(found["times"])
    return {
        "per_second": count / found["seconds"],
        "per_processor_second": count / found["processor_seconds"],
        "processor_ms": 1e3 * (found["processor_seconds"] - found["client_processor_seconds"]) / count,
        "client_processor_ms": 1e3 * found["client_processor_seconds"] / count,
        "times": found["times"],
        "processor_times": found["processor_times"],
    }


def percentiles(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {"p50_ms": 1e3 * ordered[len(ordered) // 2], "p99_ms": 1e3 * ordered[int(0.99 * len(ordered))]}


def in_all(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians of the rounds, and percentiles of the requests of all rounds."""
    found = {key: record.summary([one[key] for one in rounds]) for key in rounds[0] if not key.endswith("times")}
    for key in ("times", "processor_times"):
        if key in rounds[0]:
            found[f"percentiles of {key}"] = percentiles([one for each in rounds for one in each[key]])
    return found


def speed(subject: Subject, given: argparse.Namespace) -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        servers = {"whet": subject.whet()}
        stack.callback(servers["whet"].stop)
        batch = int(servers["whet"].line())
        for name in PEERS if given.peers is not None else ():
            servers[name] = subject.peer(name, given.peers)
            stack.callback(servers[name].stop)
        answers = {}
        for name, server in servers.items():
            found = load.elsewhere(load.together, server.port, subject.requests, len(subject.requests), 1.0)
            answers[name] = subject.compared(found["answers"])
            with server.awake():
                pass
        turns = {
            "loop": lambda: bare(subject, given.seconds, decode=False),
            "loop with decoding": lambda: bare(subject, given.seconds, decode=True),
            **{name: lambda server=server: served(server, subject, given.seconds) for name, server in servers.items()},
        }
        rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in turns}
        for k in range(given.rounds):
            order = list(turns)
            for name in order[k % len(order) :] + order[: k % len(order)]:
                rounds[name].append(turns[name]())
    ratios = {
        f"whet / {other}": {
            key: statistics.median(a[key] / b[key] for a, b in zip(rounds["whet"], rounds[other]))
            for key in ("per_second", "per_processor_second", "processor_ms")
        }
        for other in rounds
        if other != "whet"
    }
    return {
        "clients": CLIENTS,
        "batch of whet": batch,
        "answers": answers,
        **{name: in_all(found) for name, found in rounds.items()},
        **ratios,
    }


# --- loads ------------------------------------------------------------------------------------------------------------
def answers(subject: Subject, server: Server, given: argparse.Namespace) -> dict[str, Any]:
    found = load.elsewhere(load.together, server.port, subject.requests, given.requests, 30.0)
    return {"connections": given.requests, **subject.compared(found.pop("answers")), **found}


def memory(subject: Subject, server: Server, given: argparse.Namespace) -> dict[str, Any]:
    sizes = []
    for count in (2_000, *[given.requests // 2] * 4):
        found = load.elsewhere(load.steady, server.port, subject.requests, CLIENTS, 0, count)
        assert found["statuses"] == {200: count}, found["statuses"]
        sizes.append(server.resident_mb())
        print(f"{count} requests: {sizes[-1]:.1f} MB", flush=True)
    return {
        "warm_up": 2_000,
        "requests": 4 * (given.requests // 2),
        "resident_mb": sizes,
        "growth_mb": sizes[-1] - sizes[0],
        "largest_growth_mb": max(sizes) - sizes[0],
    }


def overload(subject: Subject, server: Server, given: argparse.Namespace) -> dict[str, Any]:
    return load.elsewhere(load.overload, server.port, subject.requests, CLIENTS, given.seconds)


def slow(subject: Subject, server: Server, given: argparse.Namespace) -> dict[str, Any]:
    found = load.elsewhere(load.slow, server.port, 200, 45.0)
    closed = found["closed_after"]
    return {
        "connections": len(closed),
        "closed": sum(one < float("inf") for one in closed),
        "closed_after_s": {"first": min(closed), "last": max(closed)},
        "health": {"requests": len(found["health"]), **percentiles(found["health"])},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--samples", type=Path, required=True, help="a folder of files that the bundle predicts")
    parser.add_argument("--name", help="of the bundle in the results; its folder otherwise")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--peers", type=Path, help="a Python with litserve, fastapi, onnxruntime, numpy and pillow")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of onnxruntime, in the servers and in the loops")
    parser.add_argument(
        "--batch", type=int, default=0, help="of whet serve; 0: measured at its start, without other work"
    )
    parser.add_argument("--requests", type=int, default=10_000, help="at once; twice as many for the memory")
    given = parser.parse_args()
    subject = Subject(given.bundle.resolve(), given.samples, given.threads, given.batch)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # for the server and the clients too
    for part in given.parts:
        if part == "speed":
            found = speed(subject, given)
        else:
            server = subject.whet()
            try:
                found = {"answers": answers, "memory": memory, "overload": overload, "slow": slow}[part](
                    subject, server, given
                )
            finally:
                server.stop()
        found = {"threads": given.threads, "cores": sorted(os.sched_getaffinity(0)), **found}
        print(json.dumps(found, indent=2))
        packages = ("onnxruntime", "starlette", "granian", "pillow")
        name = f"{part}: {subject.name}".replace(subject.folder.name, given.name or subject.folder.name)
        record.write_parts("serving", __doc__.splitlines()[0], {name: found}, packages)


if __name__ == "__main__":
    main()
