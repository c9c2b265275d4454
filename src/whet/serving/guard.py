"""Middleware before every route: what a request may look like, how large it may be, and how long it may take to arrive."""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whet.core import strict_json
from whet.serving.settings import Settings

OPEN = frozenset(
    {"/", "/health", "/ready"}
)  # routes without a token: the page, which holds nothing, and what probes ask for
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEADERS = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-embedder-policy", b"require-corp"),
]
_BODIES = 16  # bodies of the largest size that may be in memory at once
BUSY = {"Retry-After": "1"}


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(strict_json.dumps(value, indent=None), status, headers, "application/json")


def error_response(error: HTTPException) -> Response:
    return json_response({"error": error.detail}, error.status_code, dict(error.headers or {}))


class Guard:
    """Refuses a request, or reads its whole body and passes it on. observe: called with route, status and no more, once a request
    is over. active: the requests that are not over."""

    def __init__(self, app: ASGIApp, settings: Settings, observe: Callable[[str, int], None]) -> None:
        self.app, self._settings, self._observe = app, settings, observe
        self.active = 0
        self._held = 0  # bytes of bodies in memory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        names = [name for name, _ in scope["headers"]]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        given = headers.get("x-request-id", "")
        scope["request_id"] = given if _ID.fullmatch(given) else secrets.token_hex(8)
        # A connection is not used again after a chunked body: no second request can hide behind it.
        close, status = b"transfer-encoding" in names, 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                more = [*_HEADERS, (b"x-request-id", scope["request_id"].encode())]
                if close:
                    more.append((b"connection", b"close"))
                message = {**message, "headers": [*message.get("headers", ()), *more]}
            await send(message)

        self.active += 1
        try:
            with self._holding() as hold:
                try:
                    self._check(scope, names, headers)
                    body = await self._body(headers, receive, hold)
                except HTTPException as error:
                    close = True
                    await error_response(error)(scope, receive, answer)
                else:
                    await self.app(scope, _replayed(body, receive), answer)
        finally:
            self.active -= 1
            self._observe(scope["path"], status)

    def _check(self, scope: Scope, names: list[bytes], headers: dict[str, str]) -> None:
        """Raise HTTPException for headers that are not accepted."""
        settings = self._settings
        size = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
        size += len(scope.get("raw_path") or scope["path"].encode()) + len(scope["query_string"])
        if size > settings.header_bytes or len(names) > settings.header_count:
            raise HTTPException(
                431, f"headers exceed the limit of {settings.header_bytes:,} bytes or {settings.header_count} lines"
            )
        for name in (b"host", b"content-length", b"transfer-encoding", b"authorization", b"content-type"):
            if names.count(name) > 1:
                raise HTTPException(400, f"header {name.decode()} is given {names.count(name)} times")
        if b"content-length" in names and b"transfer-encoding" in names:
            raise HTTPException(400, "content-length and transfer-encoding exclude each other")
        if headers.get("transfer-encoding", "chunked").strip().lower() != "chunked":
            raise HTTPException(400, "transfer-encoding must be chunked")
        host = headers.get("host", "")
        if not settings.accepts_host(host):
            raise HTTPException(400, "this server has another name than the header host; accept it with --allow-host")
        if (origin := headers.get("origin")) is not None and urlsplit(origin).netloc.lower() != host.lower():
            raise HTTPException(403, "requests of pages from other sites are refused")
        if settings.token is not None and scope["path"] not in OPEN:
            scheme, _, token = headers.get("authorization", "").partition(" ")
            right = hmac.compare_digest(token.strip().encode("latin-1"), settings.token.encode())
            if scheme.lower() != "bearer" or not right:
                raise HTTPException(
                    401, "a token is required: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"}
                )
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            raise HTTPException(400, "content-length is no number")
        if len(length) > 18 or int(length) > settings.max_bytes:
            raise self._too_large()

    async def _body(self, headers: dict[str, str], receive: Receive, hold: Callable[[int], None]) -> bytes:
        """The whole body. Raises HTTPException where it is too large, too slow or cut off."""
        settings, parts, size = self._settings, list[bytes](), 0
        if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
            return b""
        loop = asyncio.get_running_loop()
        end = loop.time() + settings.body_seconds
        try:
            async with asyncio.timeout(min(settings.idle_seconds, settings.body_seconds)) as deadline:
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise HTTPException(400, "the body is malformed or was cut off")
                    part = message.get("body", b"")
                    size += len(part)
                    if size > settings.max_bytes:
                        raise self._too_large()
                    hold(len(part))
                    parts.append(part)
                    if not message.get("more_body", False):
                        return b"".join(parts)
                    deadline.reschedule(min(end, loop.time() + settings.idle_seconds))
        except TimeoutError:
            raise HTTPException(
                408,
                f"the body did not arrive within {settings.body_seconds:g} s, or nothing of it for {settings.idle_seconds:g} s",
            ) from None

    @contextmanager
    def _holding(self) -> Iterator[Callable[[int], None]]:
        """A function that counts bytes as held until the end of the block. It raises HTTPException where they are too many."""
        mine = 0

        def hold(size: int) -> None:
            nonlocal mine
            if self._held + size > _BODIES * self._settings.max_bytes:
                raise HTTPException(503, "too many requests are being received", BUSY)
            mine += size
            self._held += size

        try:
            yield hold
        finally:
            self._held -= mine

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"the body exceeds the limit of {self._settings.max_bytes:,} bytes")


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body as one message, then what follows: that the client has gone."""
    read = False

    async def replay() -> Message:
        nonlocal read
        if not read:
            read = True
            return {"type": "http.request", "body": body, "more_body": False}
        while (message := await receive())["type"] == "http.request":
            pass  # the end of a body that was not read, since it is empty
        return message

    return replay
