"""The loads of the benchmark of servers, small: every request is answered as offline, and overload passes."""

import asyncio
import sys
from pathlib import Path

import pytest
from tests.serving.conftest import image_bytes, make_bundle
from tests.serving.test_server import free_port, started

from whet.bundle import Bundle

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import serving_load as load  # noqa: E402

pytestmark = pytest.mark.slow
PROGRAM = """
import sys
from whet.bundle import Bundle
from whet.serving.app import Service
from whet.serving.server import run
from whet.serving.settings import Settings
settings = Settings(port=int(sys.argv[2]), queue=16, batch=4, header_seconds=5.0, body_seconds=3.0)
run(Service(Bundle.read(sys.argv[1], threads=1), settings), lambda: print("listening", flush=True))
"""
SAMPLES = [image_bytes((k, 255 - k, 3 * k % 256), ("PNG", "JPEG")[k % 2], (320, 240)) for k in range(0, 256, 4)]
REQUESTS = [load.posted(sample, "image/png") for sample in SAMPLES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("loads") / "bundle")


@pytest.fixture(scope="module")
def port(folder):
    port = free_port()
    one = started([sys.executable, "-c", PROGRAM, str(folder), str(port)])
    assert one.stdout.readline() == "listening\n", one.stderr.read()
    yield port
    one.terminate()
    assert one.wait(30) == 0


def test_of_many_requests_at_once_each_is_answered_as_offline(folder, port):
    """500 at once before a queue of 16: those that are refused ask again, none is lost, none gets the answer of another."""
    bundle = Bundle.read(folder, threads=1)
    offline = [bundle.predict([sample])[0] for sample in SAMPLES]
    found = asyncio.run(load.together(port, REQUESTS, 500, 4.0))
    assert found["most_waiting"] == 500 and found["refusals"] > 0 and found["connections_lost"] == 0
    assert len(found["answers"]) == 500
    for k, (status, body) in enumerate(found["answers"]):
        wanted = offline[k % len(offline)]
        assert status == 200 and body["predicted"] == wanted["predicted"]
        assert body["probabilities"] == pytest.approx(
            wanted["probabilities"], abs=1e-5
        )  # single precision, in batches or alone


def test_overload_is_refused_and_passes(port):
    found = asyncio.run(load.open_loop(port, REQUESTS, 2000, 1.0))
    assert set(found["statuses"]) == {"200", "429"}
    after = asyncio.run(load.steady(port, REQUESTS, 4, 0, 40))
    assert after["statuses"] == {200: 40}


def test_connections_that_trickle_are_closed(port):
    """Headers have 5 s, a body has 3 s; /health is answered meanwhile (`slow` asserts it)."""
    found = asyncio.run(load.slow(port, 40, 30.0))
    assert max(found["closed_after"]) < 30.0
    assert found["health"]
