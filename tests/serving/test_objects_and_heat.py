"""Objects over HTTP, and the heat of predictions: what they say, and what they cost."""

import asyncio
import io
import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco
from tests.serving.conftest import CLASSES, ask, asked, image_bytes, running, service
from tests.serving.test_batching import Held, until

from whet.bundle import Bundle
from whet.serving import openapi
from whet.serving.heat import CELLS, COST, covered

SIZE = (32, 24)  # width, height


def spots() -> bytes:
    """A red spot and a blue one, on black."""
    pixels = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    pixels[3:9, 4:12] = (200, 0, 0)
    pixels[12:21, 20:28] = (0, 0, 200)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_objects_are_those_of_the_bundle(bundles):
    folder = bundles("image", "objects")
    (expected,) = Bundle.read(folder).predict([spots()])
    whole, large = asked(
        service(folder),
        ("POST", "/predict", spots(), {}),
        ("POST", "/predict", image_bytes((200, 0, 0), size=(4000, 300)), {}),
    )
    found = whole.json()
    assert set(found) == {"objects", "counts"} and found["counts"] == {CLASSES[1]: 1, CLASSES[2]: 1}
    assert found["objects"] == expected["objects"]
    pixels = np.asarray(Image.open(io.BytesIO(spots())))
    for one in found["objects"]:
        mask_HW = coco.decode(one["segmentation"]).astype(bool)
        assert mask_HW.shape == (24, 32) and mask_HW.sum() == one["area"]
        channel = 0 if one["class"] == CLASSES[1] else 2
        assert (mask_HW & (pixels[..., channel] > 0)).sum() > 0.8 * (pixels[..., channel] > 0).sum()
    assert large.json()["objects"][0]["segmentation"]["size"] == [153, 2048]
    described = openapi.document(Bundle.read(folder), service(folder).settings)["components"]["schemas"]["Prediction"]
    assert set(described["required"]) == {"objects", "counts"}
    assert set(described["properties"]["objects"]["items"]["required"]) == set(found["objects"][0])


# --- heat -------------------------------------------------------------------------------------------------------------
def heat(body: bytes = b"") -> tuple[str, str, bytes, dict[str, str]]:
    return ("POST", "/predict?heat=1", body or spots(), {})


def test_the_heat_is_how_much_the_evidence_falls(bundles):
    """By the formula, from the bundle itself; the prediction is the same as without."""
    bundle = Bundle.read(bundles())
    plain, told, model = asked(
        service(bundles(), batch=4), ("POST", "/predict", spots(), {}), heat(), ("GET", "/model")
    )
    found = told.json()
    shown = found.pop("heat")
    assert found == plain.json() and shown["class"] == found["predicted"] and model.json()["heat"] is True
    sample, k = bundle.prepare(spots()), CLASSES.index(shown["class"])
    p, colour = bundle.run([sample])[1][0, k], np.rint(sample.tensor.mean(axis=(0, 1)))
    edges = [side * 8 // CELLS for side in range(CELLS + 1)]
    for row, column in ((0, 0), (3, 5), (6, 6)):
        without = sample.tensor.copy()
        without[edges[row] : edges[row + 1], edges[column] : edges[column + 1]] = colour
        (hidden,) = [one for n, one in enumerate(covered(sample)) if n == row * CELLS + column]
        assert np.array_equal(hidden.tensor, without)
        q = bundle.run([hidden])[1][0, k]
        expected = np.log(p / (1 - p)) - np.log(q / (1 - q))
        assert shown["evidence"][row][column] == pytest.approx(expected, abs=1e-3)


def test_a_heat_counts_as_fifty_samples(bundles, monkeypatch):
    """Two of them fit into the queue, and 28 samples more."""
    one = service(bundles(), batch=4)
    held = Held(one, monkeypatch)

    async def go():
        async with running(one):
            two = [asyncio.create_task(ask(one, *heat())) for _ in range(2)]
            await until(lambda: one.batcher.pending == 2 * COST)
            third = await ask(one, *heat())
            singles = [asyncio.create_task(ask(one, "POST", "/predict", spots())) for _ in range(28)]
            await until(lambda: one.batcher.pending == 128)
            more = await ask(one, "POST", "/predict", spots())
            held.go.set()
            return third, more, await asyncio.gather(*two, *singles)

    third, more, done = asyncio.run(go())
    assert third.status == more.status == 429
    assert [answer.status for answer in done] == [200] * 30
    assert one.batcher.pending == 0 and max(held.sizes) == 4


def test_the_heat_of_a_client_that_has_gone_is_not_computed(bundles, monkeypatch):
    one = service(bundles(), batch=4)
    held = Held(one, monkeypatch)

    async def go():
        async with running(one):
            gone = asyncio.create_task(ask(one, "POST", "/predict?heat=1", [spots(), b"", 0.05, None]))
            await until(held.begun.is_set)
            await gone
            held.go.set()
            return await ask(one, "POST", "/predict", spots())

    assert asyncio.run(go()).status == 200
    assert sum(held.sizes) == 2 and one.batcher.pending == 0


@pytest.mark.parametrize(
    ("medium", "rule", "settings", "query", "status"),
    [
        ("image", "largest", {}, "heat=2", 400),
        ("image", "largest", {}, "heat=", 400),
        ("image", "pixels", {}, "heat=1", 400),
        ("image", "objects", {}, "heat=1", 400),
        ("image", "largest", {"queue": COST - 1}, "heat=1", 413),
        ("image", "largest", {}, "heat=0", 200),
        ("image", "each above 0.5", {}, "heat=1", 200),
    ],
)
def test_where_there_is_no_heat_it_is_refused(bundles, medium, rule, settings, query, status):
    (answer,) = asked(service(bundles(medium, rule), **settings), ("POST", f"/predict?{query}", spots(), {}))
    assert answer.status == status, answer.body
    assert "heat" in json.loads(answer.body).get("error", "heat")


def test_the_heat_of_a_broken_image_is_its_error(bundles):
    (answer,) = asked(service(bundles()), heat(b"\x89PNG"))
    assert answer.status == 422
