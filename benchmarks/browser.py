"""The page of `whet export --to web` in Chromium against the predict.py of the same bundle, over real files.

Both forms, a folder behind a static server and one file, predict the same files, evenly spaced over the folder. Requests
that leave the page are counted.

    python benchmarks/browser.py BUNDLE --samples FOLDER [--count 41] [--packages DIR]
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
import tempfile
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

import record

sys.path.insert(0, str(record.ROOT))
from tests.serving.chromium import Chromium

from whet.bundle import Bundle
from whet.web.write import write_page


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def compared(browser: Chromium, url: str, files: list[Path], expected: list[dict[str, Any]]) -> dict[str, Any]:
    """What the page at this address predicts, against the expected predictions."""
    browser.requests.clear()
    browser.send("Page.navigate", url=url)
    browser.until("model !== null || $('problem').textContent !== ''")
    assert not (problem := browser.do("$('problem').textContent")), problem
    began = time.perf_counter()
    browser.choose("#files", files)
    browser.until(f"rows.length === {len(files)} && rows.every((row) => row.found || row.error)")
    seconds = time.perf_counter() - began
    plain = "(objects || []).map((one) => ({ ...one, inside: null }))"
    found = browser.do(
        f"rows.map(({{ found: {{ objects, ...rest }} }}) => ({{ ...rest, mask: null, objects: {plain} }}))"
    )
    return {
        "files": len(files),
        **(of_objects if "objects" in expected[0] else of_classes)(found, expected),
        "ms_per_file": 1e3 * seconds / len(files),
        "requests_elsewhere": sum(not one.startswith((url, "blob:", "data:")) for one in browser.requests),
    }


def of_classes(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> dict[str, Any]:
    key = "shares" if "shares" in expected[0] else "probabilities"
    ours_NK, theirs_NK = (np.array([list(one[key].values()) for one in rows]) for rows in (found, expected))
    return {
        "equal": int((ours_NK.argmax(axis=1) == theirs_NK.argmax(axis=1)).sum()),
        "largest_difference": float(np.abs(ours_NK - theirs_NK).max()),
    }


def of_objects(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> dict[str, Any]:
    """equal: files with the same number of objects of each class. objects: those of predict.py; same: which the page finds too, of
    the same class, in a box that overlaps theirs by at least 0.9."""
    same = [
        max(
            (box_iou(one["box"], other["box"]) for other in ours["objects"] if other["class"] == one["class"]),
            default=0,
        )
        for ours, theirs in zip(found, expected)
        for one in theirs["objects"]
    ]
    return {
        "equal": sum(ours["counts"] == theirs["counts"] for ours, theirs in zip(found, expected)),
        "objects": len(same),
        "same": sum(overlap >= 0.9 for overlap in same),
    }


def box_iou(one: list[int], other: list[int]) -> float:
    (x, y, w, h), (u, v, s, t) = one, other
    shared = max(0, min(x + w, u + s) - max(x, u)) * max(0, min(y + h, v + t) - max(y, v))
    return shared / (w * h + s * t - shared)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("--count", type=int, default=41)
    parser.add_argument("--packages", type=Path, default=Path("."))
    given = parser.parse_args()
    bundle = Bundle.read(given.bundle)
    every = sorted(
        path for path in given.samples.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".wav", ".ogg"}
    )
    files = [every[k] for k in np.linspace(0, len(every) - 1, given.count).round().astype(int)]
    expected = bundle.predict(path.read_bytes() for path in files)
    results: dict[str, Any] = {"bundle": {key: bundle.info[key] for key in ("architecture", "medium", "parameters")}}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write_page(bundle, root / "folder" / "page", given.packages)
        write_page(bundle, root / "page.html", given.packages, single_file=True)
        handler = functools.partial(Quiet, directory=str(root / "folder"))
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            folder = f"http://127.0.0.1:{server.server_port}/page/"
            for form, url in (("folder", folder), ("single file", (root / "page.html").as_uri())):
                with Chromium(root / f"profile {form}") as browser:
                    results[form] = compared(browser, url, files, expected)
            server.shutdown()
    print(json.dumps(results, indent=2))
    record.write("browser", __doc__.splitlines()[0], results, ("onnxruntime", "Pillow"))


if __name__ == "__main__":
    main()
