"""The description of a server's routes as an OpenAPI 3.1 document."""

from __future__ import annotations

from typing import Any

from whet.bundle import Bundle
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
    predicted = name if rule == "largest" else {"type": "array", "items": name}
    return _object(
        predicted=predicted,
        confidence={"type": "number", "minimum": 0, "maximum": 1},
        unsure={"type": "boolean"},
        probabilities=each,
    )


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
