"""The description of a server's routes as an OpenAPI 3.1 document."""

from __future__ import annotations

from typing import Any

from whet.bundle import Bundle
from whet.serving.heat import CELLS, COST, has_heat
from whet.serving.intake import accepted_types
from whet.serving.settings import Settings

_ERROR = {
    "type": "object",
    "properties": {"error": {"type": "string"}},
    "required": ["error"],
    "additionalProperties": False,
}
_REFUSED = {
    400: "Malformed request", 401: "Missing or wrong token", 408: "The body arrives too slowly", 413: "Too large",
    415: "Another type of content", 422: "The sample cannot be read", 429: "The queue is full", 431: "Headers too large",
    503: "Not ready, or shutting down",
}  # fmt: skip


def document(bundle: Bundle, settings: Settings) -> dict[str, Any]:
    refused = {
        str(status): _response(words, {"$ref": "#/components/schemas/Error"}) for status, words in _REFUSED.items()
    }
    one = {"$ref": "#/components/schemas/Prediction"}
    paths: dict[str, Any] = {
        "/predict": _post("Predict one sample", _one_sample(bundle), one, refused),
        "/predict/batch": _post(
            "Predict several samples",
            {"application/json": {"schema": _object(inputs={"type": "array", "items": _item(bundle), "minItems": 1,
                                                            "maxItems": settings.queue})}},
            _object(predictions={"type": "array", "items": {"oneOf": [one, {"$ref": "#/components/schemas/Error"}]}}),
            refused,
        ),
        "/model": _get("The task, the classes, and the limits", {"type": "object"}),
        "/health": _get("Whether the process responds", {"type": "object"}),
        "/ready": _get("Whether it predicts: the golden samples had the recorded scores, and it is not shutting down",
                       {"type": "object"}),
        "/metrics": {"get": {"summary": "Prometheus metrics", "responses": {"200": {"description": "Text format 0.0.4"}}}},
    }  # fmt: skip
    if has_heat(bundle):
        words = f"1: with `heat`, by covering 7 x 7 parts of the image; it counts as {COST} samples in the queue"
        asked = {"name": "heat", "in": "query", "description": words, "schema": {"enum": ["0", "1"], "default": "0"}}
        paths["/predict"]["post"]["parameters"] = [asked]
    if settings.corrections is not None:
        label = {"name": "label", "in": "query", "required": True, "schema": {"enum": list(bundle.classes)}}
        stored = _post("Keep a corrected sample", _one_sample(bundle), _object(file={"type": "string"}), refused)
        paths["/corrections"] = {"post": {**stored["post"], "parameters": [label]}}
    described: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": f"{bundle.info['architecture']}: {bundle.info['problem']}",
            "version": bundle.info["versions"]["whet"],
        },
        "paths": paths,
        "components": {"schemas": {"Prediction": _prediction(bundle), "Error": _ERROR}},
    }
    if settings.token is not None:
        described["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        described["security"] = [{"token": []}]
    return described


def _prediction(bundle: Bundle) -> dict[str, Any]:
    each = {"type": "object", "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1}}
    rule = bundle.info["decision"]["rule"]
    if rule == "pixels":
        return _object(
            mask={"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}, shares=each
        )
    name = {"enum": list(bundle.classes)}
    if rule == "objects":
        return _objects(bundle)
    predicted = name if rule == "largest" else {"type": "array", "items": name}
    described = _object(
        predicted=predicted,
        confidence={"type": "number", "minimum": 0, "maximum": 1},
        unsure={"type": "boolean"},
        probabilities=each,
    )
    if has_heat(bundle):
        row = {"type": "array", "items": {"type": "number"}, "minItems": CELLS, "maxItems": CELLS}
        grid = {"type": "array", "items": row, "minItems": CELLS, "maxItems": CELLS}
        about = "how much the log-odds of the class fall where a part is covered, the rows from the top"
        described["properties"]["heat"] = {**_object(**{"class": name}, evidence=grid), "description": about}
    return described


def _objects(bundle: Bundle) -> dict[str, Any]:
    """Objects, the most confident first, as COCO describes them."""
    whole = {"type": "integer", "minimum": 0}
    one = _object(
        **{"class": {"enum": list(bundle.classes[1:])}},
        confidence={"type": "number", "minimum": bundle.info["decision"]["least_confidence"], "maximum": 1},
        box={
            "type": "array",
            "items": whole,
            "minItems": 4,
            "maxItems": 4,
            "description": "x, y, width, height in pixels",
        },
        area={**whole, "description": "pixels"},
        segmentation={
            **_object(size={"type": "array", "items": whole, "minItems": 2, "maxItems": 2}, counts={"type": "string"}),
            "description": "the mask in COCO's compressed run-length encoding; size: height, width",
        },
    )
    counts = {"type": "object", "additionalProperties": whole}
    return _object(objects={"type": "array", "items": one}, counts=counts)


def _one_sample(bundle: Bundle) -> dict[str, Any]:
    types: dict[str, Any] = {name: {} for name in accepted_types(bundle.medium)}
    if "application/json" in types:
        types["application/json"] = {"schema": _object(text={"type": "string"})}
    return types


def _item(bundle: Bundle) -> dict[str, Any]:
    return {"type": "string"} if bundle.medium == "text" else {"type": "string", "contentEncoding": "base64"}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _response(words: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": words, "content": {"application/json": {"schema": schema}}}


def _post(summary: str, content: dict[str, Any], found: dict[str, Any], refused: dict[str, Any]) -> dict[str, Any]:
    body = {"required": True, "content": content}
    return {
        "post": {
            "summary": summary,
            "requestBody": body,
            "responses": {"200": _response("Predicted", found), **refused},
        }
    }


def _get(summary: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"get": {"summary": summary, "responses": {"200": _response(summary, schema)}}}
