"""Functions of the page's scripts, in Node.js."""

from __future__ import annotations

import base64
import importlib.resources
import json
import shutil
import subprocess
from typing import Any

import numpy as np
import pytest

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js")
# Runs [function, arguments] from the input; arrays are {dtype, data}, and so are those of the answer.
_DRIVER = """
const KINDS = { uint8: Uint8Array, float32: Float32Array };
const revived = (one) => Array.isArray(one) ? one.map(revived) : one && one.dtype
  ? new KINDS[one.dtype](Uint8Array.from(Buffer.from(one.data, "base64")).buffer) : one;
const base64 = (one) => Buffer.from(one.buffer, one.byteOffset, one.byteLength).toString("base64");
const plain = (key, one) => ArrayBuffer.isView(one) ? base64(one) : one;
const words = { good: 9, film: 23, "[CLS]": 2, "[SEP]": 3 };
const encode = (text, special) => {
  const ids = text.split(/\\s+/).filter(Boolean).map((word) => words[word]);
  return special ? [2, ...ids, 3] : ids;
};
const bare = (text) => encode(text, false);
const jobs = JSON.parse(require("fs").readFileSync(0, "utf8"));
const named = (one) => one === "encode" ? encode : one === "bare" ? bare : revived(one);
const found = jobs.map(([name, ...given]) => eval(name)(...given.map(named)));
process.stdout.write(JSON.stringify(found, plain));
"""


def run(*jobs: list[Any], scripts: tuple[str, ...] = ("samples.js", "objects.js", "heat.js")) -> list[Any]:
    """What the functions of scripts return: [name, argument, …] each. Arrays are returned in base64."""
    sources = [importlib.resources.files("whet.web").joinpath(name).read_text(encoding="utf-8") for name in scripts]
    done = subprocess.run(
        ["node", "-e", "".join([*sources, _DRIVER])],
        input=json.dumps(jobs, default=_array),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def array(found: str, dtype: Any, *shape: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(found), dtype).reshape(shape or -1)


def _array(values: np.ndarray) -> dict[str, str]:
    return {"dtype": str(values.dtype), "data": base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()}
