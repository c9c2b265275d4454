"""`whet serve` with 16 clients against a bare loop over onnxruntime with the same graph, which neither decodes nor listens.

The rounds take turns. Clients are threads of a process of their own, each with one connection. On a busy machine the processor time
per sample says more than the clock: of the server all its threads, of the loop all of its.

    python benchmarks/serving.py BUNDLE --samples FOLDER [--seconds 5] [--rounds 3] [--threads 1]
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import record
from whet.bundle import Bundle

CLIENTS = 16
SERVER = """
import sys
from whet.bundle import Bundle
from whet.serving.app import Service
from whet.serving.server import run
from whet.serving.settings import Settings
service = Service(Bundle.read(sys.argv[1], threads=int(sys.argv[3])), Settings(port=int(sys.argv[2])))
run(service, lambda: print(service.batcher.batch, flush=True))
"""


def processor_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bare(bundle: Bundle, samples: list[bytes], seconds: float, *, decode: bool) -> dict[str, float]:
    """Samples a second of one loop, batch 1; decoded before, or one by one inside it."""
    prepared = [bundle.prepare(sample) for sample in samples]
    began, used = time.perf_counter(), time.process_time()
    for count, k in enumerate(itertools.cycle(range(len(samples))), start=1):
        bundle.run([bundle.prepare(samples[k]) if decode else prepared[k]])
        if (passed := time.perf_counter() - began) > seconds:
            return {"per_second": count / passed, "processor_ms": 1e3 * (time.process_time() - used) / count}
    raise AssertionError


def _client(port: int, kind: str, samples: list[bytes], seconds: float, out: Any) -> None:
    found: list[float] = []

    def ask(first: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        end = time.perf_counter() + seconds
        for sample in itertools.islice(itertools.cycle(samples), first, None):
            began = time.perf_counter()
            if began > end:
                return
            connection.request("POST", "/predict", sample, {"Content-Type": kind})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            found.append(time.perf_counter() - began)

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(CLIENTS)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    out.put(found)


def served(process: int, port: int, kind: str, samples: list[bytes], seconds: float) -> dict[str, float]:
    context = multiprocessing.get_context("spawn")
    out = context.Queue()
    client = context.Process(target=_client, args=(port, kind, samples, seconds, out))
    client.start()
    used = processor_seconds(process)
    found = sorted(out.get())
    used = processor_seconds(process) - used
    client.join()
    return {
        "per_second": len(found) / seconds,
        "p50_ms": 1e3 * found[len(found) // 2],
        "p99_ms": 1e3 * found[int(0.99 * len(found))],
        "processor_ms": 1e3 * used / len(found),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--samples", type=Path, required=True, help="a folder of files that the bundle predicts")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of onnxruntime, in the server and in the loop")
    given = parser.parse_args()
    bundle = Bundle.read(given.bundle, threads=given.threads)
    found = [path.read_bytes() for path in sorted(given.samples.rglob("*.*"))[:64] if path.is_file()]
    samples = [data for data, one in zip(found, bundle.predict(found)) if not one["error"]]
    kind = {"image": "image/jpeg", "audio": "audio/wav", "text": "text/plain"}[bundle.medium]
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    words = [sys.executable, "-c", SERVER, str(given.bundle), str(port), str(given.threads)]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    rounds: dict[str, list[dict[str, float]]] = {"loop": [], "loop with decoding": [], "server": []}
    try:
        batch = int(server.stdout.readline())
        for _ in range(given.rounds):
            rounds["loop"].append(bare(bundle, samples, given.seconds, decode=False))
            rounds["loop with decoding"].append(bare(bundle, samples, given.seconds, decode=True))
            rounds["server"].append(served(server.pid, port, kind, samples, given.seconds))
    finally:
        server.terminate()
        server.wait()
    result: dict[str, Any] = {
        "bundle": {key: bundle.info[key] for key in ("architecture", "medium", "parameters")},
        "clients": CLIENTS,
        "batch": batch,
        "threads": given.threads,
        **{
            name: {key: record.summary([one[key] for one in found]) for key in found[0]}
            for name, found in rounds.items()
        },
    }
    for of in ("loop", "loop with decoding"):
        pairs = list(zip(rounds["server"], rounds[of]))
        result[f"server / {of}"] = {
            "per_second": statistics.median(a["per_second"] / b["per_second"] for a, b in pairs),
            "processor": statistics.median(b["processor_ms"] / a["processor_ms"] for a, b in pairs),
        }
    print(json.dumps(result, indent=2))
    part = f"{given.bundle.resolve().name}, {bundle.info['architecture']}, {bundle.info['parameters']:,} parameters"
    record.write_parts("serving", __doc__.splitlines()[0], {part: result}, ("onnxruntime", "starlette", "granian"))


if __name__ == "__main__":
    main()
