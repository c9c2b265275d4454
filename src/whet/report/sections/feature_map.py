"""The samples in two dimensions, by the features of the network."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np

from whet.core.evidence import Predictions
from whet.core.palette import css_colours
from whet.core.run_folder import RunFolder
from whet.core.task import ClassTask
from whet.evaluate.evidence import read_evidence
from whet.report.images import inline_jpeg
from whet.report.text import part_name

WIDTH, HEIGHT, _MARGIN = 720, 540, 16
# Of the marks: corners and the angle of the first, in half turns. Circle, square, triangle, diamond, pentagon, triangle, hexagon.
_FORMS = ((0, 0.0), (4, 0.25), (3, -0.5), (4, -0.5), (5, -0.5), (3, 0.5), (6, 0.0))
_KEYS = 24  # classes in the key, the most frequent


def context(folder: RunFolder) -> dict[str, Any] | None:
    listing = folder.feature_map / "map.json"
    if not listing.is_file():
        return None
    plain = folder.read_json(listing)
    evidence = cast(Predictions, read_evidence(folder, plain["split"]))
    row_of = {id_: row for row, id_ in enumerate(evidence.ids.tolist())}
    kept = [i for i, id_ in enumerate(plain["ids"]) if id_ in row_of]
    rows = [row_of[plain["ids"][i]] for i in kept]
    chosen = evidence.rows(np.array(rows, dtype=np.int64))
    points = _points(chosen)
    for point, i in zip(points, kept):
        point |= {"text": plain["texts"][i]} if "texts" in plain else {}
    places = [_placed(np.array(plain[kind])[kept]) for kind in ("neighbours", "components")]
    number = len(evidence.classes)
    colours, marks = css_colours(number), [_mark(k) for k in range(number)]
    frequent = sorted(range(number), key=lambda k: -sum(k in point["classes"] for point in points))[:_KEYS]
    return {
        "part": part_name(plain["split"]),
        "of": len(evidence),
        "width": WIDTH,
        "height": HEIGHT,
        "dots": [
            {
                "x": x, "y": y, "mark": marks[point["colour"]], "colour": colours[point["colour"]], "right": point["right"],
                "name": f"{point['id']}: {point['predicted']}",
            }
            for point, (x, y) in zip(points, places[0])
        ],
        "keys": [{"number": k, "name": evidence.classes[k], "colour": colours[k], "mark": marks[k]} for k in sorted(frequent)],
        "left_out": number - len(frequent),
        "sheet": inline_jpeg(folder.feature_map / "sheet.jpg") if "tile" in plain else "",
        "tile": plain.get("tile", 0),
        "columns": plain.get("columns", 1),
        "page": {
            "places": places, "tile": plain.get("tile", 0), "columns": plain.get("columns", 1),
            "points": [point | {"cell": i} for point, i in zip(points, kept)],
        },
    }  # fmt: skip


def _points(evidence: Predictions) -> list[dict[str, Any]]:
    """What the page tells of each sample. colour: the class that it is drawn as: the most likely one of its labels, or of all
    where it has none."""
    task, classes = cast(ClassTask, evidence.task), evidence.classes
    members_NK = task.members(evidence)
    colour_N = np.where(members_NK | ~members_NK.any(axis=1, keepdims=True), evidence.probs_NK, -1).argmax(axis=1)
    points = []
    for i, id_ in enumerate(evidence.ids.tolist()):
        points.append(
            {
                "id": id_,
                "label": task.text(evidence.labels[i], classes),
                "predicted": task.text(evidence.predicted[i], classes),
                "confidence": round(float(task.prediction(evidence.probs_NK[i], classes)[1]), 4),
                "right": bool(np.all(evidence.predicted[i] == evidence.labels[i])),
                "classes": np.flatnonzero(members_NK[i]).tolist(),
                "colour": int(colour_N[i]),
            }
        )
    return points


def _placed(xy_N2: np.ndarray) -> list[list[float]]:
    """Within the figure, with the proportions of the data."""
    low, high = xy_N2.min(axis=0), xy_N2.max(axis=0)
    span = np.maximum(high - low, 1e-9)
    scale = min((WIDTH - 2 * _MARGIN) / span[0], (HEIGHT - 2 * _MARGIN) / span[1])
    placed = (xy_N2 - (low + high) / 2) * scale * (1, -1) + (WIDTH / 2, HEIGHT / 2)
    return [[round(float(x), 1), round(float(y), 1)] for x, y in placed]


def _mark(k: int) -> str:
    """The outline of the mark of a class: its form tells what its colour does, for those who do not see the colour."""
    corners, first = _FORMS[k % len(_FORMS)]
    if not corners:
        return "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z"
    angles = [math.pi * (first + 2 * corner / corners) for corner in range(corners)]
    return "M" + "L".join(f"{6.2 * math.cos(a):.1f} {6.2 * math.sin(a):.1f}" for a in angles) + "z"
