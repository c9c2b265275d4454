"""Clients for benchmarks of servers: HTTP/1.1 over kept connections, in a process of their own that spends little time on them."""

from __future__ import annotations

import asyncio
import itertools
import json
import multiprocessing
import random
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

BUSY = (429, 503)


class Answer(NamedTuple):
    status: int
    body: bytes
    seconds: float


class Connection:
    """One connection, which opens again where the server closed it."""

    def __init__(self, port: int) -> None:
        self._port, self._streams = port, None

    async def ask(self, request: bytes) -> Answer:
        """Raises ConnectionError or asyncio.IncompleteReadError where the connection ends within an answer."""
        began = time.perf_counter()
        if self._streams is not None and self._streams[0].at_eof():  # the server closed it, idle
            self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        body = await reader.readexactly(length)
        if b"connection: close" in head:
            self.close()
        return Answer(int(head.split(None, 2)[1]), body, time.perf_counter() - began)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def posted(sample: bytes, kind: str) -> bytes:
    head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(sample)}\r\n\r\n"
    return head.encode() + sample


HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


def elsewhere(load: Callable[..., Any], *given: Any) -> Any:
    """The result of a coroutine function in another process."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(sending, load, given))
    process.start()
    sending.close()
    try:
        return receiving.recv()
    finally:
        process.join()


def _run(sending: Any, load: Callable[..., Any], given: tuple[Any, ...]) -> None:
    sending.send(asyncio.run(load(*given)))


# --- loads ------------------------------------------------------------------------------------------------------------
async def steady(
    port: int,
    requests: list[bytes],
    clients: int,
    seconds: float,
    count: int = 0,
    warm_up: float = 0,
    server: tuple[int, ...] = (),
) -> dict[str, Any]:
    """Clients which each ask again as soon as they are answered, for some seconds or, where these are 0, `count` times together.

    times: the seconds of every answer with 200 to a request after the warm-up. processor_times: the processor time of the processes
    of the server and of the clients in the same interval, which is what the clock would show on a core without other processes,
    provided that the server is never idle."""
    own = time.clock_gettime  # of each process its clock, as clock_getcpuclockid(3) finds it
    clocks = [(~process << 3) | 2 for process in server]

    def used() -> float:
        return time.process_time() + sum(map(own, clocks))

    began = time.perf_counter()
    start = began + warm_up
    end = start + (seconds or float("inf"))
    times, processor_times = list[float](), list[float]()
    statuses: dict[int, int] = {}
    at_start = [began, used(), time.process_time()]  # of what is measured
    turn = itertools.count()

    async def client(first: int) -> None:
        one = Connection(port)
        for k, request in enumerate(itertools.islice(itertools.cycle(requests), first % len(requests), None)):
            if ((now := time.perf_counter()) > end and k) or (count and next(turn) >= count):
                break
            before = used()
            if now >= start > at_start[0]:
                at_start[:] = now, before, time.process_time()
            answer = await one.ask(request)
            statuses[answer.status] = statuses.get(answer.status, 0) + 1
            if answer.status == 200 and now >= start:
                times.append(answer.seconds)
                processor_times.append(used() - before)
        one.close()

    await asyncio.gather(*(client(k * max(1, len(requests) // clients)) for k in range(clients)))
    return {
        "times": times,
        "processor_times": processor_times,
        "statuses": statuses,
        "seconds": time.perf_counter() - at_start[0],
        "processor_seconds": used() - at_start[1],
        "client_processor_seconds": time.process_time() - at_start[2],
    }


async def open_loop(port: int, requests: list[bytes], rate: float, seconds: float) -> dict[str, Any]:
    """Requests sent `rate` times a second whether or not earlier ones are answered, over as many connections as that takes, without
    asking again where they are refused."""
    free: list[Connection] = []
    statuses: dict[Any, int] = {}
    times: list[float] = []
    tasks: list[asyncio.Task[None]] = []

    async def one(request: bytes) -> None:
        connection = free.pop() if free else Connection(port)
        try:
            answer = await connection.ask(request)
        except (OSError, asyncio.IncompleteReadError) as error:
            connection.close()
            statuses[type(error).__name__] = statuses.get(type(error).__name__, 0) + 1
            return
        free.append(connection)
        statuses[answer.status] = statuses.get(answer.status, 0) + 1
        if answer.status == 200:
            times.append(answer.seconds)

    began = time.perf_counter()
    for k, request in enumerate(itertools.cycle(requests)):
        due = k / rate
        if due > seconds:
            break
        while (left := began + due - time.perf_counter()) > 0:
            await asyncio.sleep(left)
        tasks.append(asyncio.create_task(one(request)))
        if k % 16 == 0:
            await asyncio.sleep(0)
    sent = time.perf_counter() - began
    await asyncio.gather(*tasks)
    drained = time.perf_counter() - began - sent
    for connection in free:
        connection.close()
    return {
        "sent": len(tasks),
        "sent_per_second": len(tasks) / sent,
        "connections": len(free),
        "statuses": {str(status): number for status, number in statuses.items()},
        "times": times,
        "seconds_until_all_are_answered": drained,
    }


async def overload(port: int, requests: list[bytes], clients: int, seconds: float) -> dict[str, Any]:
    """The usual load, ten times as many requests a second as were answered, and the usual load again, by half seconds, until one is
    as usual: every answer has status 200, and the median is at most 1.5 times as long."""
    usual = await steady(port, requests, clients, seconds)
    median, rate = statistics.median(usual["times"]), len(usual["times"]) / usual["seconds"]
    found = await open_loop(port, requests, 10 * rate, 2 * seconds)
    times, after, later = found.pop("times"), time.perf_counter(), []
    as_usual = False
    while not as_usual and len(later) < 60:
        later.append(await steady(port, requests, clients, 0.5))
        all_answered = set(later[-1]["statuses"]) == {200}
        as_usual = all_answered and statistics.median(later[-1]["times"]) <= 1.5 * median
    return {
        "usual": {"per_second": rate, "p50_ms": 1e3 * median},
        "overload": found | {"answered_per_second": len(times) / 2 / seconds},
        "as_usual": as_usual,
        "as_usual_after_s": found["seconds_until_all_are_answered"] + time.perf_counter() - after,
        "then": {"half_seconds": len(later), "p50_ms": 1e3 * statistics.median(later[-1]["times"])},
    }


async def together(port: int, requests: list[bytes], count: int, patience: float) -> dict[str, Any]:
    """`count` requests on as many connections, all open before the first is sent. A refused one is sent again after a random pause,
    each time longer, up to `patience` seconds. The answers in the order of the requests, and how many refusals there were."""
    pauses, refused, lost = random.Random(0), 0, 0
    connections = [Connection(port) for _ in range(count)]
    gate = asyncio.Semaphore(256)  # connections that are being opened
    waiting = most = 0

    async def opened(one: Connection) -> None:
        async with gate:
            await one.ask(HEALTH)

    async def asked(k: int) -> tuple[int, Any]:
        nonlocal refused, lost, waiting, most
        waiting += 1
        most = max(most, waiting)
        pause = 1.0
        while True:
            try:
                answer = await connections[k].ask(requests[k % len(requests)])
            except (OSError, asyncio.IncompleteReadError):
                connections[k].close()
                lost += 1
                answer = Answer(503, b"", 0)
            if answer.status not in BUSY:
                break
            refused += 1
            await asyncio.sleep(pauses.uniform(pause / 2, pause))
            pause = min(2 * pause, patience)
        waiting -= 1
        connections[k].close()
        return answer.status, json.loads(answer.body)

    await asyncio.gather(*map(opened, connections))
    began = time.perf_counter()
    answers = await asyncio.gather(*(asked(k) for k in range(count)))
    return {
        "answers": answers,
        "refusals": refused,
        "connections_lost": lost,
        "most_waiting": most,
        "seconds": time.perf_counter() - began,
    }


async def slow(port: int, connections: int, seconds: float) -> dict[str, Any]:
    """Connections that send a byte of their headers, or of a body, every second, and meanwhile /health ten times a second: the
    seconds until each was closed, and those of the answers."""
    heads = itertools.cycle(
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: ", posted(b"x" * 1000, "image/jpeg")[:-1000])
    )
    began = time.perf_counter()
    end = began + seconds
    health: list[float] = []

    async def trickle(head: bytes) -> float:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        opened = time.perf_counter()
        writer.write(head)
        reading = asyncio.create_task(reader.read())
        while not reading.done() and time.perf_counter() < end:
            await asyncio.wait([reading], timeout=1)
            if not reading.done():
                writer.write(b"x")
        closed = reading.done()
        reading.cancel()
        writer.close()
        return time.perf_counter() - opened if closed else float("inf")

    async def probe() -> None:
        one = Connection(port)
        while not done.is_set():
            answer = await one.ask(HEALTH)
            assert answer.status == 200, answer
            health.append(answer.seconds)
            await asyncio.sleep(0.1)
        one.close()

    done = asyncio.Event()
    probing = asyncio.create_task(probe())
    closed = await asyncio.gather(*(trickle(next(heads)) for _ in range(connections)))
    done.set()
    await probing
    return {"closed_after": closed, "health": health}
