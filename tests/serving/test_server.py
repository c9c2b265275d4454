"""The command in its own process, behind real sockets."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.conftest import whet
from tests.serving.conftest import image_bytes

from whet.bundle import Bundle

HOST = b"Host: localhost\r\n"
PHOTO = image_bytes((200, 30, 90))
# Short deadlines; and a network that takes a second where there is a file that says so.
PROGRAM = """
import sys, time
from pathlib import Path
from whet.bundle import Bundle
from whet.serving.app import Service
from whet.serving.server import run
from whet.serving.settings import Settings
bundle, port, slow = Bundle.read(sys.argv[1], threads=1), int(sys.argv[2]), Path(sys.argv[3])
service = Service(bundle, Settings(port=port, batch=4, header_seconds=float(sys.argv[4]), idle_seconds=0.5, max_bytes=1 << 20))
computed = bundle.run
bundle.run = lambda samples: (time.sleep(1.0 if slow.exists() else 0.0), computed(samples))[1]
run(service, lambda: print("listening", flush=True))
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


_started: list[subprocess.Popen[str]] = []


def started(words, **environment: str):
    environment = {**os.environ, "LANGUAGE": "en", "PYTHONWARNINGS": "ignore", **environment}
    _started.append(subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment))
    return _started[-1]


@pytest.fixture(scope="module", autouse=True)
def _none_is_left():
    yield
    for one in _started:
        one.kill()
        one.communicate()


class Running:
    def __init__(self, folder, slow, header_seconds=1):
        self.port, self.slow = free_port(), slow
        words = [sys.executable, "-c", PROGRAM, str(folder), str(self.port), str(slow), str(header_seconds)]
        self.process = started(words)
        assert self.process.stdout.readline() == "listening\n", self.process.stderr.read()
        self.answer(b"GET /health HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")

    def connect(self):
        for _ in range(100):
            try:
                return socket.create_connection(("127.0.0.1", self.port), timeout=20)
            except ConnectionRefusedError:
                time.sleep(0.02)
        raise AssertionError("it does not listen")

    def answer(self, *parts: bytes) -> tuple[int, bytes]:
        """(status, 0 where the connection was closed without one; all that came until it was closed)."""
        with self.connect() as one:
            for part in parts:
                one.sendall(part)
            return received(one)


def received(one: socket.socket) -> tuple[int, bytes]:
    found = b""
    try:
        while part := one.recv(65536):
            found += part
    except ConnectionResetError:
        pass
    return (int(found.split()[1]) if found else 0), found


@pytest.fixture(scope="module")
def server(bundles, tmp_path_factory):
    return Running(bundles(), tmp_path_factory.mktemp("slow") / "slow")


def posted(length: bytes, body: bytes = b"", more: bytes = b"Connection: close\r\n") -> bytes:
    return b"POST /predict HTTP/1.1\r\n" + HOST + b"Content-Type: image/png\r\n" + more + length + b"\r\n" + body


CHUNKED = b"Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ((b"GET /health HTTP/1.1\r\nHo",), 0),
        ((b"",), 0),
        ((posted(b"Content-Length: 99\r\n", PHOTO[:9], b""),), 408),
        ((b"GET /nothing HTTP/1.1\r\n" + HOST + b"Content-Length: 99\r\n\r\nabc",), 408),
        ((posted(CHUNKED, b"5\r\nab", b""),), 408),
        ((posted(CHUNKED, b"ZZ\r\nabc\r\n"),), 400),
        ((posted(CHUNKED, b"100000\r\n", b""), b"x" * (1 << 20), b"\r\n1\r\ny\r\n0\r\n\r\n"), 413),
        ((posted(b"Content-Length: 1048577\r\n"),), 413),
        ((posted(b"Content-Length: 5\r\nContent-Length: 6\r\n", b"abcdef"),), 400),
        ((posted(b"Content-Length: -5\r\n", b"abcde"),), 400),
        ((b"GET /health HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 200_000 + b"\r\n\r\n",), 431),
        ((b"GET /health HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 900_000 + b"\r\n\r\n",), 431),
        ((b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n",), 400),
        ((b"nonsense\r\n\r\n",), 400),
        ((b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),), 400),  # TLS
        ((b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",), 0),
        ((posted(f"Content-Length: {len(PHOTO)}\r\n".encode(), PHOTO),), 200),
    ],
)  # fmt: skip
def test_raw_requests(server, parts, status):
    found, told = server.answer(*parts)
    assert found == status, told
    assert server.process.poll() is None


def test_nothing_hides_behind_a_length_and_chunks(server):
    """granian reads chunks and drops the length: the connection is not used for a second request."""
    hidden = b"GET /model HTTP/1.1\r\n" + HOST + b"\r\n"
    for both in (b"Content-Length: 5\r\n" + CHUNKED, CHUNKED + b"Content-Length: 5\r\n"):
        status, told = server.answer(posted(both, b"3\r\nabc\r\n0\r\n\r\n" + hidden, b""))
        assert status in (400, 422) and told.count(b"HTTP/1.1") == 1


def test_many_clients_at_once_each_get_their_own_answer(server, bundles):
    samples = [image_bytes((8 * k, 255 - 8 * k, 90), ("PNG", "JPEG")[k % 2]) for k in range(32)]
    expected = Bundle.read(bundles(), threads=1).predict(samples)
    together = threading.Barrier(32)

    def one(sample):
        together.wait()
        url = f"http://127.0.0.1:{server.port}/predict"
        with urllib.request.urlopen(urllib.request.Request(url, sample, {"Content-Type": "image/png"})) as answer:
            return json.load(answer)

    with ThreadPoolExecutor(32) as pool:
        found = list(pool.map(one, samples))
    for given, wanted in zip(found, expected):
        assert given["probabilities"] == pytest.approx(wanted["probabilities"], abs=1e-6)
    assert len({str(given["probabilities"]) for given in found}) == 32


def test_sigterm_completes_what_is_in_flight(bundles, tmp_path):
    one = Running(bundles(), tmp_path / "slow", header_seconds=30)
    ready = b"GET /ready HTTP/1.1\r\n" + HOST + b"\r\n"
    with one.connect() as kept, one.connect() as flying:
        kept.sendall(ready)
        assert kept.recv(65536).startswith(b"HTTP/1.1 200")
        one.slow.touch()
        flying.sendall(posted(f"Content-Length: {len(PHOTO)}\r\n".encode(), PHOTO))
        time.sleep(0.3)
        one.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        kept.sendall(ready)
        assert kept.recv(65536).startswith(b"HTTP/1.1 503")
        status, told = received(flying)
    assert status == 200 and b'"predicted"' in told
    _, err = one.process.communicate(timeout=60)
    assert one.process.returncode == 0 and err == ""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", one.port))


def command(*words: object, **environment: str) -> subprocess.Popen[str]:
    return started([sys.executable, "-m", "whet", "serve", *map(str, words)], **environment)


def test_the_command(bundles, tmp_path):
    port = free_port()
    one = command(
        bundles(), "--port", port, "--batch", 4, "--corrections", tmp_path / "corrected", "--json", WHET_TOKEN="secret"
    )
    told = ""
    while not told.endswith("}\n"):
        told += one.stdout.readline()
        assert one.poll() is None, one.stderr.read()
    assert json.loads(told) == {"url": f"http://127.0.0.1:{port}/", "batch": 4, "ready": True}
    words = {"Content-Type": "image/png", "Authorization": "Bearer secret"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/corrections?label=red", PHOTO, words)
    with urllib.request.urlopen(request) as answer:
        name = json.load(answer)["file"]
    assert (tmp_path / "corrected" / name).read_bytes() == PHOTO
    second = command(bundles(), "--port", port)
    assert second.wait(30) == 1
    assert second.stderr.read() == f"error: 127.0.0.1:{port} cannot be used: Address already in use\n"
    one.send_signal(signal.SIGINT)
    assert one.wait(20) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--host", "0.0.0.0"), "set a token"),
        (("--host", "model.example.org", "--token", "x"), "no IP address"),
        (("--corrections", "{bundle}"), "choose another --out"),
    ],
)
def test_what_cannot_be_served_is_one_line(bundles, words, message):
    done = whet("serve", bundles(), *(word.format(bundle=bundles()) for word in words))
    assert done.returncode == 1
    assert message in done.stderr and done.stderr.count("\n") == 1


def test_a_changed_bundle_is_refused_by_name(bundles, tmp_path):
    folder = shutil.copytree(bundles(), tmp_path / "copy")
    content = bytearray((folder / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.onnx").write_bytes(bytes(content))
    done = whet("serve", folder)
    assert done.returncode == 1 and "model.onnx was changed or damaged" in done.stderr


def test_a_server_loads_no_torch():
    check = (
        "import sys, whet.cli.screen, whet.serving.app, whet.serving.server\n"
        "print([m for m in ('torch', 'pandas', 'transformers', 'cv2', 'scipy', 'onnxruntime') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
