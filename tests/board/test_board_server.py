"""The live board: it serves the page, its data and the reports, and nothing else."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.conftest import whet

from whet.board.server import server
from whet.core.errors import ServingError


@pytest.fixture
def runs(finished_run: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished_run, tmp_path / "runs" / "a b")
    (tmp_path / "secret.html").write_text("secret")
    return tmp_path / "runs"


@pytest.fixture
def running(runs: Path) -> Iterator[ThreadingHTTPServer]:
    with server(runs, 0) as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def get(
    running: ThreadingHTTPServer, path: str, host: str | None = None, method: str = "GET"
) -> tuple[int, dict, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", running.server_address[1], timeout=30)
    connection.request(method, path, headers={} if host is None else {"Host": host})
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


def test_the_page_its_data_and_a_report(running: ThreadingHTTPServer, runs: Path) -> None:
    status, headers, page = get(running, "/")
    assert status == 200 and b"connect-src 'self'" in page and headers["X-Content-Type-Options"] == "nosniff"
    data = json.loads(get(running, "/board.json")[2])
    assert data["live"] is True
    (one,) = data["entries"]
    assert one["report"] == "/reports/a%20b"
    status, _, report = get(running, one["report"])
    assert status == 200 and report == (runs / "a b" / "report.html").read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "/secret.html", "/../secret.html", "/reports/../secret.html", "/reports/..%2fsecret.html", "/reports//etc/passwd",
        "/reports/a%20b/../../../secret.html", "/a%20b/evidence.npz", "/reports/a%20b/evidence.npz", "/reports/", "/reports/a%00",
        "//etc/passwd", "/%2e%2e/secret.html", "/board.json/x",
    ],
)  # fmt: skip
def test_nothing_else_can_be_reached(running: ThreadingHTTPServer, path: str) -> None:
    status, _, content = get(running, path)
    assert status == 404 and b"secret" not in content


def test_a_name_of_elsewhere_is_refused(running: ThreadingHTTPServer) -> None:
    """A web page can let its own name point to 127.0.0.1."""
    port = running.server_address[1]
    assert get(running, "/board.json", host=f"evil.example:{port}")[0] == 403
    assert get(running, "/board.json", host="")[0] == 403
    assert get(running, "/board.json", host=f"localhost:{port}")[0] == 200


def test_nothing_can_be_written(running: ThreadingHTTPServer) -> None:
    assert get(running, "/", method="POST")[0] == 501
    assert get(running, "/", method="DELETE")[0] == 501
    status, headers, content = get(running, "/", method="HEAD")
    assert status == 200 and content == b"" and int(headers["Content-Length"]) > 1000


def test_it_follows_the_runs(running: ThreadingHTTPServer, runs: Path) -> None:
    first = json.loads(get(running, "/board.json")[2])
    assert get(running, f"/board.json?version={first['version']}")[0] == 204
    shutil.copytree(runs / "a b", runs / "another")
    status, _, content = get(running, f"/board.json?version={first['version']}")
    second = json.loads(content)
    assert status == 200 and {one["id"] for one in second["entries"]} == {"a b", "another"}
    shutil.rmtree(runs / "another")
    third = json.loads(get(running, "/board.json")[2])
    assert third["version"] == first["version"]
    (log := runs / "a b" / "log.jsonl").write_text(log.read_text() + '{"event": "note", "text": "x"}\n')
    os.utime(log)
    assert get(running, "/board.json")[0] == 200


def test_a_port_in_use(running: ThreadingHTTPServer, runs: Path) -> None:
    port = running.server_address[1]
    with pytest.raises(ServingError, match=f"port {port} of 127.0.0.1 cannot be used"):
        server(runs, port)
    done = whet("board", runs, "--serve", "--port", str(port))
    assert done.returncode == 1 and "choose another --port" in done.stderr


def test_it_listens_on_this_machine_alone(running: ThreadingHTTPServer) -> None:
    assert running.server_address[0] == "127.0.0.1"
