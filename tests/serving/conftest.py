"""Bundles made by hand, in milliseconds: their networks are one product, so every answer can be checked."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from whet.bundle import Bundle
from whet.bundle.predict import manifest_digest, some_of
from whet.serving.app import Service
from whet.serving.settings import Settings

SIDE, RATE, SAMPLES = 8, 8000, 800
CLASSES = ("blue", "<img src=x onerror=alert(1)>", "red")


def image_bytes(colour: tuple[int, int, int], kind: str = "PNG", size: tuple[int, int] = (16, 12)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return file.getvalue()


def wave_bytes(hertz: float, kind: str = "WAV") -> bytes:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.sin(np.arange(SAMPLES) * hertz * 2 * np.pi / RATE), RATE, format=kind)
    return file.getvalue()


# --- bundles ----------------------------------------------------------------------------------------------------------
_WEIGHTS = np.array([[-3, 1, 4], [1, 2, -3], [4, -2, 1]], dtype=np.float32)
# Of the head centre_offset: red pixels are of class 1, blue ones of class 2, each spot is one object.
_OBJECTS = np.array([[0, 8, 0, 0.9, 0, 0], [0, 0, 0, 0, 0, 0], [0, 0, 8, 0.9, 0, 0]], dtype=np.float32)
_FLOAT = {"image": TensorProto.UINT8, "audio": TensorProto.FLOAT, "text": TensorProto.INT64}


def _model(medium: str, rule: str) -> bytes:
    """The means of three parts of a sample (its colours, where it is an image), times a matrix; pixel by pixel for masks."""
    node, shape = (
        helper.make_node,
        {"image": ["batch", SIDE, SIDE, 3], "audio": ["batch", SAMPLES], "text": ["batch", "length"]},
    )
    constants = {"weights": _OBJECTS if rule == "objects" else _WEIGHTS, "scale": np.float32(1 / 200)}
    nodes = [node("Cast", ["samples"], ["whole"], to=TensorProto.FLOAT), node("Mul", ["whole", "scale"], ["values"])]
    if medium == "audio":
        constants["parts"] = np.linspace(-1, 1, SAMPLES * 3, dtype=np.float32).reshape(SAMPLES, 3)
        nodes += [node("MatMul", ["values", "parts"], ["means"])]
    elif medium == "text":
        constants |= {"axes": np.array([1]), "powers": np.array([[1, 0.5, -1]], dtype=np.float32)}
        nodes += [
            node("ReduceSum", ["values", "axes"], ["sum"], keepdims=1),
            node("MatMul", ["sum", "powers"], ["means"]),
        ]
    elif rule in ("pixels", "objects"):
        nodes += [node("Identity", ["values"], ["means"])]
    else:
        constants["axes"] = np.array([1, 2])
        nodes += [node("ReduceMean", ["values", "axes"], ["means"], keepdims=0)]
    nodes += [node("MatMul", ["means", "weights"], ["last"])]
    if rule == "objects":
        nodes += [node("Transpose", ["last"], ["scores"], perm=[0, 3, 1, 2])]
    elif rule == "pixels":
        nodes += [
            node("Transpose", ["last"], ["scores"], perm=[0, 3, 1, 2]),
            node("Softmax", ["scores"], ["probabilities"], axis=1),
        ]
    else:
        nodes += [node("Identity", ["last"], ["scores"])]
        nodes += [
            node(
                *(
                    ("Softmax", ["scores"], ["probabilities"])
                    if rule == "largest"
                    else ("Sigmoid", ["scores"], ["probabilities"])
                )
            )
        ]
    out = {"pixels": ["batch", 3, SIDE, SIDE], "objects": ["batch", 6, SIDE, SIDE]}.get(rule, ["batch", 3])
    names = ("scores",) if rule == "objects" else ("scores", "probabilities")
    graph = helper.make_graph(
        nodes, "made", [helper.make_tensor_value_info("samples", _FLOAT[medium], shape[medium])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, out) for name in names],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()


def _tokenizer() -> bytes:
    from tokenizers import Tokenizer, models, pre_tokenizers

    made = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1, "good": 9, "bad": 40, "film": 23}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made.to_str().encode()


def make_bundle(folder: Path, medium: str = "image", rule: str = "largest", classes: tuple[str, ...] = CLASSES) -> Path:
    """Write a bundle of three classes with one golden sample."""
    inputs: dict[str, Any] = {
        "image": {"dtype": "uint8", "shape": ["batch", SIDE, SIDE, 3], "height": SIDE, "width": SIDE, "fit": "squash"},
        "audio": {"dtype": "float32", "shape": ["batch", SAMPLES], "rate": RATE, "samples": SAMPLES},
        "text": {"dtype": "int64", "shape": ["batch", "length"], "limit": 64, "multiple": 8, "pad_id": 0, "unknown_id": 1},
    }[medium]  # fmt: skip
    golden = {"image": image_bytes((200, 30, 90)), "audio": wave_bytes(300), "text": b"good film"}[medium]
    files = {"model.onnx": _model(medium, rule), "golden/0": golden}
    if medium == "text":
        files["tokenizer.json"] = _tokenizer()
    (folder / "golden").mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    info: dict[str, Any] = {
        "format": 1, "problem": f"{medium} classification", "task": "made", "medium": medium, "classes": list(classes),
        "input": inputs, "decision": {"rule": rule, "unsure_below": 0.6, "head": "centre_offset", "least_confidence": 0.3},
        "architecture": "made", "metrics": {}, "golden": [],
        "golden_tolerance": 1e-3,
        "versions": {"whet": "0.1.0"},
        "session": {"config": {"session.intra_op.allow_spinning": "0"}, "providers": ["CPUExecutionProvider"]},
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }  # fmt: skip
    write_manifest(folder, info)
    bundle = Bundle.read(folder)
    sample = bundle.prepare(golden)
    scores = some_of(bundle.run([sample])[0][0])
    info["golden"] = [{"file": "golden/0", "scores": scores.tolist(), "tensor_sha256": ""}]
    write_manifest(folder, info)
    return folder


def write_manifest(folder: Path, info: dict[str, Any]) -> None:
    (folder / "bundle.json").write_text(json.dumps({**info, "sha256": manifest_digest(info)}))


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A bundle of a medium and a rule, made once."""
    root, made = tmp_path_factory.mktemp("bundles"), dict[tuple[str, str], Path]()

    def of(medium: str = "image", rule: str = "largest") -> Path:
        if (medium, rule) not in made:
            made[medium, rule] = make_bundle(root / f"{medium} {rule}", medium, rule)
        return made[medium, rule]

    return of


# --- requests without a network -----------------------------------------------------------------------------------------
@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


Part = bytes | float | None
"""A part of a body, seconds without one, or None: the client goes."""


async def ask(
    service: Service, method: str, path: str, body: bytes | list[Part] = b"", headers: dict[str, str] | None = None
) -> Answer:
    """The answer of the application to one request. A list of parts is sent in chunks, and ends with b"" where it is whole."""
    sent: list[dict[str, Any]] = []
    given = {"host": "localhost:8000", **({"content-type": "image/png"} if body else {}), **(headers or {})}
    parts = body if isinstance(body, list) else [body]
    if isinstance(body, bytes) and body:
        given.setdefault("content-length", str(len(body)))
    elif body and "content-length" not in given:
        given.setdefault("transfer-encoding", "chunked")
    waiting = list(parts)

    async def receive() -> dict[str, Any]:
        while waiting:
            part = waiting.pop(0)
            if part is None:
                return {"type": "http.disconnect"}
            if isinstance(part, float):
                await asyncio.sleep(part)
                continue
            return {"type": "http.request", "body": part, "more_body": isinstance(body, list) and part != b""}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    path, _, query = path.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
        "query_string": query.encode(), "root_path": "", "scheme": "http", "client": None, "server": None,
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items() if value != "\0"],
    }  # fmt: skip
    await service.app(scope, receive, send)
    starts = [one for one in sent if one["type"] == "http.response.start"]
    assert len(starts) == 1, sent
    names = {name.decode(): value.decode() for name, value in starts[0]["headers"]}
    return Answer(starts[0]["status"], names, b"".join(one.get("body", b"") for one in sent))


@asynccontextmanager
async def running(service: Service) -> AsyncIterator[None]:
    """The part of the application's life between start and end."""
    try:
        yield
    finally:
        service.batcher.close()


def asked(service: Service, *requests: Awaitable[Any] | tuple[Any, ...]) -> list[Any]:
    """The answers to requests, (method, path, body, headers), at once."""

    async def all_of_them() -> list[Any]:
        async with running(service):
            return await asyncio.gather(*(ask(service, *one) for one in requests))

    return asyncio.run(all_of_them())


def service(folder: Path, **settings: Any) -> Service:
    return Service(Bundle.read(folder, threads=1), Settings(batch=settings.pop("batch", 4), **settings))
