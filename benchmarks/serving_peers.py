"""The servers that `benchmarks/serving.py --peers` compares with `whet serve`: LitServe, and a stock FastAPI application.

They run in an environment of their own, without whet. Decoding, preprocessing and decision are those of predict.py, as in every
bundle. The body of a request is the file itself, for LitServe too, where that is less work than its usual form.

    PYTHON benchmarks/serving_peers.py {litserve,fastapi} BUNDLE PORT THREADS
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import litserve
import numpy as np
import uvicorn
from fastapi import Body, FastAPI

Sample = Annotated[bytes, Body(media_type="image/jpeg")]


def opened(folder: str, threads: int) -> Any:
    sys.path.insert(0, str(Path(__file__).parents[1] / "src" / "whet" / "bundle"))
    from predict import Bundle

    return Bundle.read(folder, threads=threads)


def serve_fastapi(folder: str, port: int, threads: int) -> None:
    """One process, uvicorn with uvloop and httptools, a plain function in the thread pool, one session."""
    app, bundle = FastAPI(), opened(folder, threads)

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/predict")
    def predict(data: Sample) -> dict[str, Any]:
        prepared = bundle.prepare(data)
        decided: dict[str, Any] = bundle.decide(prepared, bundle.run([prepared])[1][0])
        return decided

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False)


class Api(litserve.LitAPI):
    """Batches of up to 16 samples that wait for at most 5 ms."""

    def __init__(self, folder: str, threads: int) -> None:
        super().__init__(max_batch_size=16, batch_timeout=0.005)
        self.folder, self.threads = folder, threads

    def setup(self, device: str) -> None:
        self.bundle = opened(self.folder, self.threads)

    def decode_request(self, request: Sample):  # type: ignore[no-untyped-def]
        return self.bundle.prepare(request)

    def batch(self, inputs: list[Any]) -> list[Any]:
        return inputs

    def predict(self, samples: list[Any]) -> list[tuple[Any, np.ndarray]]:
        return list(zip(samples, self.bundle.run(samples)[1]))

    def unbatch(self, output: list[tuple[Any, np.ndarray]]) -> list[tuple[Any, np.ndarray]]:
        return output

    def encode_response(self, output: tuple[Any, np.ndarray]):  # type: ignore[no-untyped-def]
        return self.bundle.decide(*output)


def serve_litserve(folder: str, port: int, threads: int) -> None:
    """One worker for the session, and one process that listens."""
    server = litserve.LitServer(Api(folder, threads), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=port, log_level="error", generate_client_file=False, access_log=False)


if __name__ == "__main__":
    serve = {"fastapi": serve_fastapi, "litserve": serve_litserve}[sys.argv[1]]
    serve(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
