"""What a server refuses, and with which status: requests to the application itself, without a network."""

import base64
import io
import json
import struct
import zlib

import pytest
from tests.serving.conftest import CLASSES, asked, image_bytes, make_bundle, service, wave_bytes, write_manifest

from whet.bundle import Bundle
from whet.core.errors import ServingError
from whet.serving.settings import Settings

TOKEN = "0123456789abcdef"
PHOTO = image_bytes((200, 30, 90))
JSON = {"content-type": "application/json"}
TEXT = {"content-type": "text/plain"}
WAV = {"content-type": "audio/wav"}


def png_of(width: int, height: int, rows: bytes = b"") -> bytes:
    """A PNG file that says it has this size."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def texts(*inputs: object) -> bytes:
    return json.dumps({"inputs": inputs}).encode()


# (name, medium, method, path, body, headers, status)
REFUSED = [
    # routes and methods
    ("unknown route", "image", "GET", "/nothing", b"", {}, 404),
    ("unknown route, posted", "image", "POST", "/nothing", PHOTO, {}, 404),
    ("route with a slash at the end", "image", "POST", "/predict/", PHOTO, {}, 404),
    ("two slashes", "image", "GET", "//health", b"", {}, 404),
    ("a path upwards", "image", "GET", "/../bundle.json", b"", {}, 404),
    ("capital letters", "image", "GET", "/Health", b"", {}, 404),
    ("no corrections without a folder", "image", "POST", "/corrections?label=red", PHOTO, {}, 404),
    ("get predict", "image", "GET", "/predict", b"", {}, 405),
    ("put predict", "image", "PUT", "/predict", PHOTO, {}, 405),
    ("delete predict", "image", "DELETE", "/predict", b"", {}, 405),
    ("get batch", "image", "GET", "/predict/batch", b"", {}, 405),
    ("post health", "image", "POST", "/health", PHOTO, {}, 405),
    ("post ready", "image", "POST", "/ready", PHOTO, {}, 405),
    ("post metrics", "image", "POST", "/metrics", PHOTO, {}, 405),
    ("post page", "image", "POST", "/", PHOTO, {}, 405),
    ("options", "image", "OPTIONS", "/predict", b"", {}, 405),
    ("trace", "image", "TRACE", "/predict", b"", {}, 405),
    # content types
    ("no type", "image", "POST", "/predict", PHOTO, {"content-type": "\0"}, 415),
    ("octets", "image", "POST", "/predict", PHOTO, {"content-type": "application/octet-stream"}, 415),
    ("form", "image", "POST", "/predict", PHOTO, {"content-type": "application/x-www-form-urlencoded"}, 415),
    ("multipart", "image", "POST", "/predict", PHOTO, {"content-type": "multipart/form-data; boundary=x"}, 415),
    ("a type without a name", "image", "POST", "/predict", PHOTO, {"content-type": "image/"}, 415),
    ("text for images", "image", "POST", "/predict", b"red", TEXT, 415),
    ("JSON for images", "image", "POST", "/predict", b'{"text": "red"}', JSON, 415),
    ("audio for images", "image", "POST", "/predict", wave_bytes(300), WAV, 415),
    ("an image for audio", "audio", "POST", "/predict", PHOTO, {}, 415),
    ("an image for texts", "text", "POST", "/predict", PHOTO, {}, 415),
    ("another charset", "text", "POST", "/predict", b"gut", {"content-type": "text/plain; charset=latin-1"}, 415),
    ("compressed body", "image", "POST", "/predict", PHOTO, {"content-encoding": "gzip"}, 415),
    ("batch of another type", "image", "POST", "/predict/batch", texts("a"), TEXT, 415),
    ("batch without a type", "image", "POST", "/predict/batch", texts("a"), {"content-type": "\0"}, 415),
    # JSON
    ("not JSON", "text", "POST", "/predict", b"{text: 1}", JSON, 400),
    ("half JSON", "text", "POST", "/predict", b'{"text": "go', JSON, 400),
    ("empty JSON", "text", "POST", "/predict", b"", {**JSON, "content-length": "0"}, 400),
    ("a list", "text", "POST", "/predict", b"[1]", JSON, 400),
    ("null", "text", "POST", "/predict", b"null", JSON, 400),
    ("another field", "text", "POST", "/predict", b'{"words": "good"}', JSON, 400),
    ("one field more", "text", "POST", "/predict", b'{"text": "good", "more": 1}', JSON, 400),
    ("a number for a text", "text", "POST", "/predict", b'{"text": 3}', JSON, 400),
    ("null for a text", "text", "POST", "/predict", b'{"text": null}', JSON, 400),
    ("deep nesting", "text", "POST", "/predict", b"[" * 100_000, JSON, 400),
    ("a long number", "text", "POST", "/predict", b'{"text": ' + b"9" * 10_000 + b"}", JSON, 400),
    ("not UTF-8 in JSON", "text", "POST", "/predict", b'{"text": "\xff\xfe\xfa"}', JSON, 400),
    ("no inputs", "text", "POST", "/predict/batch", b"{}", JSON, 400),
    ("empty inputs", "text", "POST", "/predict/batch", texts(), JSON, 400),
    ("a text for inputs", "text", "POST", "/predict/batch", b'{"inputs": "good"}', JSON, 400),
    ("a number among inputs", "text", "POST", "/predict/batch", texts("good", 3), JSON, 400),
    ("not base64", "image", "POST", "/predict/batch", texts("?!"), JSON, 400),
    ("base64 cut off", "image", "POST", "/predict/batch", texts("abc"), JSON, 400),
    ("base64 of other letters", "image", "POST", "/predict/batch", texts("äöü="), JSON, 400),
    ("too many inputs", "text", "POST", "/predict/batch", texts(*["good"] * 129), JSON, 413),
    # samples
    ("empty image", "image", "POST", "/predict", b"", {"content-type": "image/png"}, 422),
    ("not an image", "image", "POST", "/predict", b"hello", {}, 422),
    ("JPEG cut off", "image", "POST", "/predict", image_bytes((9, 9, 9), "JPEG", (400, 400))[:900], {}, 422),
    ("three bytes of a JPEG", "image", "POST", "/predict", b"\xff\xd8\xff", {}, 422),
    ("PNG cut off", "image", "POST", "/predict", PHOTO[:40], {}, 422),
    ("PNG without rows", "image", "POST", "/predict", png_of(64, 64), {}, 422),
    ("PNG of no size", "image", "POST", "/predict", png_of(0, 0), {}, 422),
    ("SVG", "image", "POST", "/predict", b"<svg xmlns='http://www.w3.org/2000/svg'/>", {"content-type": "image/svg+xml"}, 422),
    ("a wave for an image", "image", "POST", "/predict", wave_bytes(300), {}, 422),
    ("200 megapixels", "image", "POST", "/predict", png_of(20_000, 10_000), {}, 413),
    ("one pixel more than accepted", "image", "POST", "/predict", png_of(50_000_001, 1), {}, 413),
    ("4 gigapixels", "image", "POST", "/predict", png_of(2**16 - 1, 2**16 - 1), {}, 413),
    ("an image for a wave", "audio", "POST", "/predict", PHOTO, WAV, 422),
    ("a clip cut off", "audio", "POST", "/predict", wave_bytes(300, "FLAC")[:30], WAV, 422),
    ("a clip of more frames than accepted", "audio", "POST", "/predict", wave_bytes(300, "FLAC"), WAV, 413),
    ("not UTF-8", "text", "POST", "/predict", b"\xff\xfe\xfa", TEXT, 422),
    # headers
    ("another host", "image", "POST", "/predict", PHOTO, {"host": "evil.example"}, 400),
    ("a host like ours", "image", "GET", "/health", b"", {"host": "localhost.evil.example"}, 400),
    ("no host", "image", "GET", "/health", b"", {"host": "\0"}, 400),
    ("another origin", "image", "POST", "/predict", PHOTO, {"origin": "https://evil.example"}, 403),
    ("another port as origin", "image", "POST", "/predict", PHOTO, {"origin": "http://localhost:1"}, 403),
    ("no origin", "image", "POST", "/predict", PHOTO, {"origin": "null"}, 403),
    ("header of 200 KB", "image", "GET", "/health", b"", {"x": "a" * 200_000}, 431),
    ("200 headers", "image", "GET", "/health", b"", {f"x{k}": "a" for k in range(200)}, 431),
    ("path of 20 KB", "image", "GET", "/" + "a" * 20_000, b"", {}, 431),
    ("query of 20 KB", "image", "GET", "/health?" + "a" * 20_000, b"", {}, 431),
    ("length and chunks", "image", "POST", "/predict", PHOTO, {"transfer-encoding": "chunked"}, 400),
    ("another encoding", "image", "POST", "/predict", [PHOTO], {"transfer-encoding": "gzip, chunked"}, 400),
    ("negative length", "image", "POST", "/predict", PHOTO, {"content-length": "-1"}, 400),
    ("length in words", "image", "POST", "/predict", PHOTO, {"content-length": "ten"}, 400),
    ("length with a sign", "image", "POST", "/predict", PHOTO, {"content-length": "+10"}, 400),
    ("length of twenty digits", "image", "POST", "/predict", PHOTO, {"content-length": "9" * 20}, 413),
    ("length of five thousand digits", "image", "POST", "/predict", PHOTO, {"content-length": "9" * 5000}, 413),
    # bodies
    ("a byte too much", "image", "POST", "/predict", b"x" * (1 << 20) + b"y", {}, 413),
    ("a byte too much in chunks", "image", "POST", "/predict", [b"x" * (1 << 19)] * 2 + [b"y"], {}, 413),
    ("too much for a route without a body", "image", "GET", "/health", b"x" * (1 << 21), {}, 413),
    ("half a body", "image", "POST", "/predict", [PHOTO[:9], 5.0], {"content-length": "99"}, 408),
    ("half a body for an unknown route", "image", "POST", "/nothing", [PHOTO[:9], 5.0], {}, 408),
    ("half a body for a route without one", "image", "GET", "/health", [b"x", 5.0], {"content-length": "9"}, 408),
    ("a slow body", "image", "POST", "/predict", [b"x", 0.06] * 20, {}, 408),
    ("a body cut off", "image", "POST", "/predict", [PHOTO[:9], None], {}, 400),
]  # fmt: skip


@pytest.fixture(scope="module")
def served(bundles):
    """A service of each medium with small limits."""
    made = {}

    def of(medium):
        if medium not in made:
            made[medium] = bundles(medium)
        return service(made[medium], max_bytes=1 << 20, max_values=799, idle_seconds=0.1, body_seconds=0.5)

    return of


def test_the_matrix_is_large_enough():
    assert len([one for one in REFUSED if 400 <= one[-1] < 500]) == len(REFUSED) >= 60


@pytest.mark.parametrize(
    ("name", "medium", "method", "path", "body", "headers", "status"), REFUSED, ids=[r[0] for r in REFUSED]
)
def test_it_is_refused(served, name, medium, method, path, body, headers, status):
    one = served(medium)
    answer, healthy = asked(one, (method, path, body, headers), ("GET", "/health"))
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["error"] and answer.json()["error"] and "object at 0x" not in answer.json()["error"]
    assert healthy.status == 200
    assert one.batcher.pending == one.app.active == one.app._held == 0


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({}, 401), ({"authorization": "Bearer wrong"}, 401), ({"authorization": TOKEN}, 401), ({"authorization": "Bearer "}, 401),
        ({"authorization": f"Basic {TOKEN}"}, 401), ({"authorization": f"Bearer {TOKEN}x"}, 401),
        ({"authorization": "Bearer \xe4\xf6"}, 401), ({"authorization": f"Bearer {TOKEN[:-1]}"}, 401),
        ({"authorization": f"Bearer {TOKEN}"}, 200), ({"authorization": f"bearer {TOKEN}"}, 200),
    ],
)  # fmt: skip
def test_a_token_is_compared(bundles, given, status):
    one = service(bundles(), token=TOKEN)
    answers = asked(
        one, ("POST", "/predict", PHOTO, given), ("GET", "/model", b"", given), ("GET", "/metrics", b"", given)
    )
    assert [answer.status for answer in answers] == [status] * 3
    if status == 401:
        assert answers[0].headers["www-authenticate"] == "Bearer"
        (unknown,) = asked(one, ("GET", "/nothing", b"", given))
        assert unknown.status == 401  # which routes there are is not told
    assert [a.status for a in asked(one, ("GET", "/health"), ("GET", "/ready"), ("GET", "/"))] == [200] * 3


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::"])
def test_other_addresses_need_a_token(host):
    with pytest.raises(ServingError, match="set a token"):
        Settings(host=host)
    assert Settings(host=host, token=TOKEN).accepts_host("model.example.org:8000")
    assert not Settings(host=host, token=TOKEN, hosts=("model.example.org",)).accepts_host("evil.example")
    assert Settings(host=host, token=TOKEN, hosts=("model.example.org",)).accepts_host("Model.example.org:443")


def test_settings_that_cannot_work():
    with pytest.raises(ServingError, match="no IP address"):
        Settings(host="model.example.org")
    for token in ("", "  ", "gruß", "a\nb"):
        with pytest.raises(ServingError, match="token"):
            Settings(token=token)
    for host in ("127.0.0.1", "localhost", "::1", "[::1]"):
        assert Settings(host=host).is_local
    assert Settings().accepts_host("127.0.0.1:8000") and Settings().accepts_host("[::1]:80")
    assert not Settings().accepts_host("") and not Settings().accepts_host("evil.example:8000")


# --- what is accepted ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("medium", ["image", "audio", "text"])
def test_it_predicts_what_the_bundle_predicts(bundles, medium):
    samples = {
        "image": [image_bytes((20 * k, 250 - 20 * k, 90), ("PNG", "JPEG", "WEBP")[k % 3]) for k in range(9)],
        "audio": [wave_bytes(100 + 90 * k, ("WAV", "FLAC", "OGG")[k % 3]) for k in range(9)],
        "text": [("good " * k + "bad film").encode() for k in range(9)],
    }[medium]
    kind = {"image": "image/png", "audio": "audio/flac", "text": "text/plain; charset=utf-8"}[medium]
    expected = Bundle.read(bundles(medium), threads=1).predict(samples)
    one = service(bundles(medium))
    inputs = [
        s.decode() if medium == "text" else base64.b64encode(s).decode()
        for s in (*samples, b"\xff" if medium != "text" else b"")
    ]
    *alone, together = asked(
        one,
        *(("POST", "/predict", sample, {"content-type": kind}) for sample in samples),
        ("POST", "/predict/batch", texts(*inputs), JSON),
    )
    told = together.json()["predictions"]
    for wanted, single, several in zip(expected, alone, told, strict=False):
        for found in (single.json(), several):
            assert found["predicted"] == wanted["predicted"] and found["unsure"] == wanted["unsure"]
            assert found["probabilities"] == pytest.approx(wanted["probabilities"], abs=1e-6)
    assert ("error" in told[-1]) == (medium != "text")
    assert len({str(answer.json()["probabilities"]) for answer in alone}) == 9
    assert alone[0].headers["x-request-id"] != alone[1].headers["x-request-id"]


def test_a_text_as_json_and_its_odd_letters(bundles):
    asks = [
        ("POST", "/predict", json.dumps({"text": text}).encode(), JSON) for text in ("good film", "\ud800", "", "a\0b")
    ]
    plain = ("POST", "/predict", b"good film", TEXT)
    found = asked(service(bundles("text")), plain, *asks)
    assert [one.status for one in found] == [200] * 5
    assert found[0].json() == found[1].json()


def test_a_mask_is_a_png_of_class_numbers(bundles):
    import numpy as np
    from PIL import Image

    folder = bundles("image", "pixels")
    (expected,) = Bundle.read(folder).predict([PHOTO])
    answer, large = asked(
        service(folder),
        ("POST", "/predict", PHOTO, {}),
        ("POST", "/predict", image_bytes((1, 2, 3), size=(4000, 300)), {}),
    )
    found = answer.json()
    mask = np.asarray(Image.open(io.BytesIO(base64.b64decode(found["mask"]))))
    assert mask.dtype == np.uint8 and np.array_equal(mask, expected["mask"])
    assert found["shares"] == expected["shares"]
    assert Image.open(io.BytesIO(base64.b64decode(large.json()["mask"]))).size == (2048, 153)


def test_several_labels(bundles):
    (answer,) = asked(service(bundles("image", "each above 0.5")), ("POST", "/predict", PHOTO, {}))
    found = answer.json()
    assert found["predicted"] == [name for name in CLASSES if found["probabilities"][name] > 0.5]


def test_a_request_id_is_kept_where_it_is_one(bundles):
    one = service(bundles())
    given = ("abc-1.2_Z", "a b", "x" * 65, 'a"\r\nb')
    found = asked(one, *(("GET", "/health", b"", {"x-request-id": name}) for name in given))
    ids = [answer.headers["x-request-id"] for answer in found]
    assert ids[0] == given[0] and not set(ids[1:]) & set(given)


def test_every_answer_forbids_guessing_and_framing(bundles):
    page, model = asked(service(bundles()), ("GET", "/"), ("GET", "/model"))
    for answer in (page, model):
        assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["cache-control"] == "no-store"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy


def test_the_routes_are_described(bundles):
    one = service(bundles(), token=TOKEN)
    (answer,) = asked(one, ("GET", "/openapi.json", b"", {"authorization": f"Bearer {TOKEN}"}))
    told = answer.json()
    assert told["openapi"] == "3.1.0" and told["security"] == [{"token": []}]
    assert set(told["paths"]) == one._paths - {"/", "/openapi.json"}
    assert told["components"]["schemas"]["Prediction"]["properties"]["predicted"] == {"enum": list(CLASSES)}


def test_metrics_are_counted(bundles):
    one = service(bundles())
    asked(one, ("POST", "/predict", PHOTO, {}), ("POST", "/predict", b"x", {}), ("GET", "/a"), ("GET", "/b"))
    (answer,) = asked(service(bundles()), ("GET", "/metrics"))
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = one.metrics.text().splitlines()
    for line in (
        'whet_requests_total{route="/predict",status="200"} 1', 'whet_requests_total{route="/predict",status="422"} 1',
        'whet_requests_total{route="other",status="404"} 2', 'whet_samples_total{outcome="unreadable"} 1', "whet_ready 1",
        "whet_queued_samples 0", 'whet_batch_size_bucket{le="+Inf"} 1', "whet_request_seconds_count 2",
    ):  # fmt: skip
        assert line in lines
    assert all(line.startswith("#") or len(line.rsplit(" ", 1)) == 2 for line in lines)


# --- ready ------------------------------------------------------------------------------------------------------------
def test_other_scores_of_a_golden_sample_make_it_not_ready(tmp_path):
    folder = make_bundle(tmp_path / "bundle")
    info = json.loads((folder / "bundle.json").read_text())
    info.pop("sha256")
    info["golden"][0]["scores"][1] += 0.1
    write_manifest(folder, info)
    ready, health, predicted = asked(
        service(folder), ("GET", "/ready"), ("GET", "/health"), ("POST", "/predict", PHOTO, {})
    )
    assert (ready.status, health.status, predicted.status) == (503, 200, 503)
    assert "golden/0" in ready.json()["golden"][0] and "golden samples" in predicted.json()["error"]


def test_a_server_that_shuts_down_refuses(bundles):
    one = service(bundles())
    one.draining = True
    ready, health, predicted = asked(one, ("GET", "/ready"), ("GET", "/health"), ("POST", "/predict", PHOTO, {}))
    assert (ready.status, health.status, predicted.status) == (503, 200, 503)
    assert predicted.headers["retry-after"] == "1" and "shutting down" in predicted.json()["error"]


def test_an_error_of_ours_tells_nothing(bundles, monkeypatch, caplog):
    one = service(bundles())

    def broken(samples):
        raise RuntimeError("secret path")

    monkeypatch.setattr(one.bundle, "run", broken)
    with pytest.raises(RuntimeError):  # as Starlette does, for the log of the server
        asked(one, ("POST", "/predict", PHOTO, {}))
    assert "secret" in caplog.text and one.batcher.pending == 0
    assert one.metrics.requests["/predict", 500] == 1
