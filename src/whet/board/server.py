"""Serve the page on this machine, and read the runs again when they change."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from whet.board.page import Board, html, read_board
from whet.core import strict_json
from whet.core.errors import ServingError

HOST = "127.0.0.1"
_REPORTS = "/reports/"
_FILES = (
    "log.jsonl", "DONE", "failure.json", "metrics.json", "report.html", "requested.yaml",
    "study.json", "tuning.json", "improvement.json", "architectures.json", "compress.json",
)  # fmt: skip
_BELOW_RUNS = {"checkpoints", "model", "samples", "mistakes", "worst_images", "external_models", "bundle"}
_AGAIN_SECONDS = 30.0  # a process that was killed changes no file


class Site:
    """What is served: the page, its data, and the reports of the runs. Nothing else can be reached, whatever path is requested."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._state, self._read_at = "", 0.0
        self._board: Board
        self._data: dict[str, Any]
        self.refresh()

    def refresh(self) -> None:
        """Read the runs again if a file changed."""
        with self._lock:
            state = _state_of(self.folder)
            stale = any(one.state == "running" for one in self._board.entries) if self._state else True
            if state == self._state and not (stale and time.monotonic() - self._read_at > _AGAIN_SECONDS):
                return
            self._board = read_board(self.folder)
            self._data = self._board.data(lambda name, _: quote(_REPORTS + name), live=True)
            self._state, self._read_at = state, time.monotonic()
            shown = strict_json.dumps(self._data, indent=None)
            self._data["version"] = hashlib.sha256(shown.encode()).hexdigest()[:16]

    def answer(self, address: str) -> tuple[HTTPStatus, str, bytes]:
        """(status, type, content) for the address of a request."""
        parts = urlsplit(address)
        path = unquote(parts.path)
        if path in ("/", "/board.json"):
            self.refresh()
            if path == "/":
                return HTTPStatus.OK, "text/html", html(self.folder.resolve().name, self._data).encode()
            if parse_qs(parts.query).get("version") == [self._data["version"]]:
                return HTTPStatus.NO_CONTENT, "application/json", b""
            return HTTPStatus.OK, "application/json", strict_json.dumps(self._data, indent=None).encode()
        report = self._board.reports.get(path.removeprefix(_REPORTS)) if path.startswith(_REPORTS) else None
        if report is not None and report.is_file():
            return HTTPStatus.OK, "text/html", report.read_bytes()
        return HTTPStatus.NOT_FOUND, "text/plain", b"not found\n"


def _state_of(folder: Path) -> str:
    """A hash of the times and sizes of the files that the page is made of."""
    found = hashlib.sha256()
    for path in _files_below(folder):
        state = path.stat()
        found.update(f"{path}\0{state.st_mtime_ns}\0{state.st_size}\0".encode())
    return found.hexdigest()


def _files_below(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _BELOW_RUNS and not name.startswith("."))
        yield from (path for name in _FILES if name in files and (path := Path(place, name)).exists())


def server(folder: str | Path, port: int) -> ThreadingHTTPServer:
    """A server at this port of this machine alone (0: any free one). Raises RunError if the folder does not exist, ServingError if
    the port is in use."""
    site = Site(Path(folder))
    try:
        return ThreadingHTTPServer((HOST, port), _handler(site))
    except OSError as error:
        raise ServingError(f"port {port} of {HOST} cannot be used: {error.strerror}; choose another --port") from None


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = "whet", ""

        def do_GET(self) -> None:
            self._send(body=True)

        def do_HEAD(self) -> None:
            self._send(body=False)

        def _send(self, *, body: bool) -> None:
            status, kind, content = (
                site.answer(self.path)
                if self._is_meant()
                else (HTTPStatus.FORBIDDEN, "text/plain", b"reach this server as 127.0.0.1 or localhost\n")
            )
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("Cross-Origin-Resource-Policy", "same-origin")
            self.end_headers()
            if body:
                self.wfile.write(content)

        def _is_meant(self) -> bool:
            """Whether the request names this machine. Otherwise a web page could let its own name point here, and read all."""
            return self.headers.get("Host", "").rpartition(":")[0] in (HOST, "localhost")

        def log_message(self, *_: Any) -> None:
            """Requests are not logged."""

    return Handler
