"""Batches of samples from several requests."""

import asyncio
import threading

import pytest
from tests.serving.conftest import ask, asked, image_bytes, running, service

from whet.bundle import Bundle
from whet.serving.batching import best_batch

PHOTO = image_bytes((200, 30, 90))


class Held:
    """A bundle whose computation waits."""

    def __init__(self, one, monkeypatch):
        self.go, self.begun, self.sizes = threading.Event(), threading.Event(), []
        run = one.bundle.run

        def held(samples):
            self.sizes.append(len(samples))
            self.begun.set()
            assert self.go.wait(10)
            return run(samples)

        monkeypatch.setattr(one.bundle, "run", held)


async def until(reached):
    while not reached():
        await asyncio.sleep(0.001)


def test_requests_that_wait_share_batches(bundles, monkeypatch):
    one = service(bundles(), batch=4)
    held = Held(one, monkeypatch)

    async def go():
        async with running(one):
            first = asyncio.create_task(ask(one, "POST", "/predict", PHOTO))
            await until(held.begun.is_set)
            rest = [asyncio.create_task(ask(one, "POST", "/predict", PHOTO)) for _ in range(8)]
            await until(lambda: len(one.batcher._waiting) == 8)
            held.go.set()
            return await asyncio.gather(first, *rest)

    assert [answer.status for answer in asyncio.run(go())] == [200] * 9
    assert held.sizes == [1, 4, 4]  # the first did not wait for others


def test_a_full_queue_is_429_and_empties_again(bundles, monkeypatch):
    one = service(bundles(), queue=3)
    held = Held(one, monkeypatch)

    async def go():
        async with running(one):
            admitted = [asyncio.create_task(ask(one, "POST", "/predict", PHOTO)) for _ in range(3)]
            await until(lambda: one.batcher.pending == 3)
            refused = await ask(one, "POST", "/predict", PHOTO)
            healthy = await ask(one, "GET", "/health")
            held.go.set()
            done = await asyncio.gather(*admitted)
            return refused, healthy, [*done, await ask(one, "POST", "/predict", PHOTO)]

    refused, healthy, done = asyncio.run(go())
    assert refused.status == 429 and refused.headers["retry-after"] == "1" and "full" in refused.json()["error"]
    assert healthy.status == 200 and [answer.status for answer in done] == [200] * 4


def test_samples_of_clients_that_have_gone_are_skipped(bundles, monkeypatch):
    one = service(bundles(), batch=4)
    held = Held(one, monkeypatch)

    async def go():
        async with running(one):
            first = asyncio.create_task(ask(one, "POST", "/predict", PHOTO))
            await until(held.begun.is_set)
            gone = [ask(one, "POST", "/predict", [PHOTO, b"", 0.05, None]) for _ in range(3)]
            assert {answer.status for answer in await asyncio.gather(*gone)} == {499}
            await until(lambda: one.batcher.pending == 1)
            last = asyncio.create_task(ask(one, "POST", "/predict", PHOTO))
            await until(lambda: any(not future.done() for _, future in one.batcher._waiting))
            held.go.set()
            return await asyncio.gather(first, last)

    assert [answer.status for answer in asyncio.run(go())] == [200] * 2
    assert held.sizes == [1, 1]


def test_every_request_gets_its_own_answer(bundles):
    samples = [image_bytes((k, 255 - k, 3 * k % 256)) for k in range(0, 256, 2)]
    expected = Bundle.read(bundles(), threads=1).predict(samples)
    answers = asked(service(bundles(), batch=8), *(("POST", "/predict", sample, {}) for sample in samples))
    for answer, wanted in zip(answers, expected):
        assert answer.json()["probabilities"] == pytest.approx(wanted["probabilities"], abs=1e-6)


@pytest.mark.parametrize(("fixed", "each", "best"), [(0.01, 0.0, 32), (0.0, 0.01, 1), (0.2, 0.0, 1), (0.0, 0.005, 4)])
def test_the_batch_is_the_size_that_pays(bundles, monkeypatch, fixed, each, best):
    """Where a batch costs as much as its samples alone, or takes too long, samples are computed one by one, unless they are so
    short that the turns of the session count."""
    monkeypatch.setattr("whet.serving.batching._seconds", lambda bundle, samples: fixed + each * len(samples))
    assert best_batch(Bundle.read(bundles())) == best
