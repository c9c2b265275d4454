"""The main job from its data to its end."""

import pytest
from tests.studies import runs

from whet.core.errors import RunError
from whet.improvement import improve


def test_runs_of_data_that_changed_since_are_not_taken_for_runs_of_these(tmp_path):
    data = runs.images(tmp_path)
    strong = runs.recipe(data)
    plain = strong.replace(methods=tuple(method for method in strong.methods if method.name != "ema"))
    asked = {"budget": "1ep", "seeds": 1, "studying": False, "tuning": False, "plain": plain, "strong": strong}
    improve(data, **asked, out=tmp_path / "improve")
    first, second, *_ = sorted((data / "glass").iterdir())
    first.write_bytes(second.read_bytes())
    with pytest.raises(RunError, match="contains a run of another data; choose another --out"):
        improve(data, **asked, out=tmp_path / "improve")
