"""The routes of a server."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import functools
import io
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

import numpy as np
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from whet.bundle import Bundle, Unreadable
from whet.serving import openapi
from whet.serving.batching import Batcher, Full
from whet.serving.corrections import Corrections, NoSpace
from whet.serving.guard import BUSY, Guard, error_response, json_response
from whet.serving.heat import COST, has_heat
from whet.serving.intake import TooLarge, accepted_types, is_accepted
from whet.serving.metrics import CONTENT_TYPE, Metrics
from whet.serving.page import page_response
from whet.serving.settings import Settings

T = TypeVar("T")
_GONE = 499  # the client has gone; only seen in the metrics


class Service:
    """One bundle behind HTTP. app: the ASGI application. wrong: how this machine predicts otherwise than the exporting one. Where
    it does, and while draining, nothing is predicted."""

    def __init__(self, bundle: Bundle, settings: Settings) -> None:
        self.bundle, self.settings, self.draining = bundle, settings, False
        self.wrong = _golden_differences(bundle)
        self.metrics = Metrics(
            {
                ("whet_ready", "1 where samples are predicted."): lambda: float(not self.refusal),
                ("whet_queued_samples", "Samples admitted and not yet predicted."): lambda: self.batcher.pending,
                ("whet_active_requests", "Requests that are not over."): lambda: self.app.active,
            }
        )
        self.batcher = Batcher(bundle, settings, self.metrics)
        self.corrections = (
            None
            if settings.corrections is None
            else Corrections(settings.corrections, bundle, settings.correction_bytes)
        )
        routes = [
            Route("/predict", self.predict, methods=["POST"]),
            Route("/predict/batch", self.predict_batch, methods=["POST"]),
            Route("/", self.page, methods=["GET"]),
            Route("/model", self.model, methods=["GET"]),
            Route("/health", self.health, methods=["GET"]),
            Route("/ready", self.ready, methods=["GET"]),
            Route("/metrics", self.prometheus, methods=["GET"]),
            Route("/openapi.json", self.openapi, methods=["GET"]),
        ]
        if self.corrections is not None:
            routes.append(Route("/corrections", self.correct, methods=["POST"]))
        self._paths = {route.path for route in routes}
        starlette = Starlette(
            routes=routes,
            exception_handlers={HTTPException: _refused, Exception: _failed},
            lifespan=self._running,
        )
        starlette.router.redirect_slashes = False
        self.app = Guard(starlette, settings, self._observe)

    @property
    def refusal(self) -> str:
        """Why nothing is predicted; empty where it is."""
        if self.draining:
            return "the server is shutting down"
        return "the golden samples have other scores here than where the model was exported" if self.wrong else ""

    # --- routes -------------------------------------------------------------------------------------------------------
    async def predict(self, request: Request) -> Response:
        with_heat, sample = self._wants_heat(request), await self._sample(request)
        compute = self.batcher.predict_with_heat if with_heat else self.batcher.predict_one
        found = await self._predicted(request, functools.partial(compute, sample))
        if isinstance(found, Unreadable):
            raise _unreadable(found)
        return json_response(await self._shown(found))

    async def predict_batch(self, request: Request) -> Response:
        found = await self._predicted(request, functools.partial(self.batcher.predict, await self._samples(request)))
        return json_response(
            {
                "predictions": [
                    {"error": str(one)} if isinstance(one, Unreadable) else await self._shown(one) for one in found
                ]
            }
        )

    async def correct(self, request: Request) -> Response:
        assert self.corrections is not None
        sample, label = await self._sample(request), request.query_params.get("label", "")
        if label not in self.bundle.classes:
            raise HTTPException(422, f"the label must be one of: {', '.join(self.bundle.classes)}")
        data = sample.encode() if isinstance(sample, str) else sample
        try:
            name = await asyncio.to_thread(self.corrections.keep, data, label)
        except Unreadable as error:
            raise _unreadable(error) from None
        except NoSpace:
            raise HTTPException(507, "the folder for corrections is full") from None
        return json_response({"file": name})

    async def model(self, request: Request) -> Response:
        info = self.bundle.info
        return json_response(
            {
                "architecture": info["architecture"], "problem": info["problem"], "task": info["task"], "medium": info["medium"],
                "classes": info["classes"], "decision": info["decision"], "input": info["input"], "metrics": info["metrics"],
                "accepted": accepted_types(self.bundle.medium), "max_bytes": self.settings.max_bytes,
                "max_items": self.settings.queue, "corrections": self.corrections is not None,
                "heat": has_heat(self.bundle) and self.settings.queue >= COST,
            }
        )  # fmt: skip

    async def health(self, request: Request) -> Response:
        return json_response({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        if self.refusal:
            return json_response({"error": self.refusal, "golden": self.wrong}, 503)
        return json_response({"status": "ready"})

    async def prometheus(self, request: Request) -> Response:
        return Response(self.metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    async def openapi(self, request: Request) -> Response:
        return json_response(openapi.document(self.bundle, self.settings))

    async def page(self, request: Request) -> Response:
        return page_response()

    # --- requests -----------------------------------------------------------------------------------------------------
    async def _sample(self, request: Request) -> bytes | str:
        """The sample in the body. Raises HTTPException."""
        kind, body = request.headers.get("content-type", ""), await request.body()
        if request.headers.get("content-encoding", "identity") != "identity":
            raise HTTPException(415, "the body must not be compressed again: no content-encoding is accepted")
        if not is_accepted(kind, self.bundle.medium):
            accepted = " or ".join(accepted_types(self.bundle.medium))
            raise HTTPException(
                415, f"content-type {kind or '(none)'} is not accepted; send {accepted}", {"Accept": accepted}
            )
        return _field(body, "text", str, "a string") if kind.lower().startswith("application/json") else body

    async def _samples(self, request: Request) -> list[bytes | str]:
        """The samples of a batch. Raises HTTPException."""
        kind = request.headers.get("content-type", "")
        if kind.split(";")[0].strip().lower() != "application/json":
            raise HTTPException(415, f"content-type {kind or '(none)'} is not accepted; send application/json")
        given = _field(await request.body(), "inputs", list, "a list")
        if not given:
            raise HTTPException(400, "inputs is empty")
        if len(given) > self.settings.queue:
            raise HTTPException(413, f"{len(given)} inputs exceed the limit of {self.settings.queue}")
        if not all(isinstance(one, str) for one in given):
            raise HTTPException(400, "inputs must be strings: texts, or files in base64")
        if self.bundle.medium == "text":
            return given
        try:
            return [base64.b64decode(one, validate=True) for one in given]
        except (binascii.Error, ValueError) as error:
            raise HTTPException(400, f"an input is not base64: {error}") from None

    def _wants_heat(self, request: Request) -> bool:
        """Whether the heat of a prediction is asked for. Raises HTTPException where there is none."""
        given = request.query_params.get("heat", "0")
        if given not in ("0", "1"):
            raise HTTPException(400, f"heat={given} is not accepted; accepted: 0 or 1")
        if given == "1" and not has_heat(self.bundle):
            raise HTTPException(400, "heat=1 is for classes of images")
        if given == "1" and self.settings.queue < COST:
            raise HTTPException(
                413, f"heat=1 counts as {COST} samples, which exceed the limit of {self.settings.queue}"
            )
        return given == "1"

    async def _predicted(self, request: Request, compute: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The predictions, unless the client has gone before. Raises HTTPException."""
        if self.refusal:
            raise HTTPException(503, self.refusal, BUSY)
        began = asyncio.get_running_loop().time()
        work = asyncio.ensure_future(compute())
        gone = asyncio.ensure_future(request.receive())
        gone.add_done_callback(lambda _: work.cancel())
        try:
            return await work
        except asyncio.CancelledError:
            if gone.done():
                raise HTTPException(_GONE, "the client has gone") from None
            raise
        except Full:
            raise HTTPException(429, "the queue is full", BUSY) from None
        finally:
            work.cancel()
            gone.cancel()
            self.metrics.seconds.observe(asyncio.get_running_loop().time() - began)

    async def _shown(self, found: dict[str, Any]) -> dict[str, Any]:
        """The prediction as JSON can hold it; the map of object numbers follows from the masks of the objects."""
        if "mask" in found:
            return {**found, "mask": await asyncio.to_thread(_png, found["mask"])}
        return {key: value for key, value in found.items() if key != "ids"}

    @contextlib.asynccontextmanager
    async def _running(self, _: Starlette) -> AsyncIterator[None]:
        yield
        self.batcher.close()

    def _observe(self, path: str, status: int) -> None:
        self.metrics.requests[path if path in self._paths else "other", status] += 1


def _golden_differences(bundle: Bundle) -> list[str]:
    try:
        return bundle.check_golden()
    except Unreadable as error:
        return [f"a golden sample cannot be read here: {error}"]


def _field(body: bytes, name: str, kind: type, words: str) -> Any:
    """The one field of a JSON object. Raises HTTPException."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"the body is not JSON: {error}") from None
    if not isinstance(found, dict) or set(found) != {name} or not isinstance(found[name], kind):
        raise HTTPException(400, f'the body must be {{"{name}": …}} with {words}')
    return found[name]


def _unreadable(error: Unreadable) -> HTTPException:
    return HTTPException(413 if isinstance(error, TooLarge) else 422, str(error))


def _png(mask_HW: np.ndarray) -> str:
    """A mask as PNG in base64: the numbers of the classes as grey levels."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(mask_HW).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return error_response(error)


async def _failed(request: Request, error: Exception) -> Response:
    logging.getLogger(__name__).error("request %s failed", request.scope.get("request_id"), exc_info=error)
    return error_response(HTTPException(500, "internal error"))
