import json
from pathlib import Path

import numpy as np
import pytest

from whet.core import strict_json


def strictly(text: str):
    def refuse(name: str) -> None:
        raise ValueError(name)

    return json.loads(text, parse_constant=refuse)


def test_what_is_not_finite_is_null_however_deep():
    value = {
        "a": [1.5, float("nan"), (float("inf"), -np.inf)],
        "b": np.array([1.0, np.nan]),
        "c": np.float32("nan"),
        "d": {"e": np.int64(3)},
    }
    assert strictly(strict_json.dumps(value)) == {
        "a": [1.5, None, [None, None]],
        "b": [1.0, None],
        "c": None,
        "d": {"e": 3},
    }


def test_paths_are_text_and_unknown_things_are_an_error(tmp_path):
    strict_json.write(tmp_path / "x.json", {"path": Path("a/b"), "text": "ü"})
    assert (tmp_path / "x.json").read_text(encoding="utf-8") == '{\n  "path": "a/b",\n  "text": "ü"\n}\n'
    with pytest.raises(TypeError, match="object cannot be written"):
        strict_json.dumps(object())
