"""A service in this process, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from whet.core.errors import ServingError
from whet.serving.app import Service
from whet.serving.settings import Settings

_BUFFER = 256 << 10  # bytes of a connection that are read ahead; larger headers are refused by granian itself
_POLL = 0.02  # seconds


def run(service: Service, started: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT: then /ready turns to 503, requests in flight are completed, and the function returns. started:
    called before the first request. ServingError where the address cannot be used."""
    asyncio.run(_run(service, started))


async def _run(service: Service, started: Callable[[], None]) -> None:
    settings, stop = service.settings, asyncio.Event()
    _require_free(settings)
    server = Server(
        service.app,
        address=settings.address,
        port=settings.port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,  # deadlines and limits were tested with this version
        websockets=False,
        backlog=4096,  # connections that wait; beyond them clients try again after 1, 2, 4, … seconds
        http1_settings=HTTP1Settings(header_read_timeout=int(1000 * settings.header_seconds), max_buffer_size=_BUFFER),
        log_enabled=False,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    serving = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    announcing = asyncio.create_task(_announce(settings, started))
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    announcing.cancel()
    if stopping.done():
        await _drain(service)
        server.stop()
    stopping.cancel()
    await serving


def _require_free(settings: Settings) -> None:
    """Raise ServingError where the port cannot be used. granian would share it with another server, which listens as well."""
    family = socket.AF_INET6 if ":" in settings.address else socket.AF_INET
    with socket.socket(family) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((settings.address, settings.port))
        except OSError as error:
            raise ServingError(f"{settings.host}:{settings.port} cannot be used: {error.strerror}") from None


async def _announce(settings: Settings, started: Callable[[], None]) -> None:
    """Call `started` once the port accepts connections."""
    while True:
        await asyncio.sleep(_POLL)
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(settings.address, settings.port)
            writer.close()
            started()
            return


async def _drain(service: Service) -> None:
    """Wait for the requests in flight."""
    service.draining = True
    loop = asyncio.get_running_loop()
    end = loop.time() + service.settings.drain_seconds
    while service.app.active and loop.time() < end:
        await asyncio.sleep(_POLL)
