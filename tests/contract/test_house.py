"""Rules of the house that a machine can check."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from whet.core.card import card
from whet.core.registry import registry

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))


def test_imports_go_the_way_the_house_is_built():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "7 kept, 0 broken" in done.stdout


GLOBAL_DRAWS = re.compile(
    r"np\.random\.(rand|randn|randint|uniform|normal|choice|shuffle|permutation|seed|beta)\(|(^|[^.\w])random\.(random|choice|shuffle"
    r"|uniform|randint|seed)\(|torch\.manual_seed\(|torch\.(rand|randn|randint|randperm)\((?!.*generator)"
)


def test_randomness_comes_from_one_place():
    """Only whet.core.rng draws."""
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in SOURCES
        if path.name != "rng.py"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if GLOBAL_DRAWS.search(line)
    ]
    assert not found
    assert len(SOURCES) > 100


def test_no_pickle_no_shell_no_remote_code():
    for path in SOURCES:
        text = path.read_text()
        if path.parent.name != "testing":
            assert "pickle" not in text, path
        assert "shell=True" not in text, path
        assert "trust_remote_code" not in text, path
        assert not re.search(r"torch\.load\((?!.*weights_only=True)", text), path
        assert not re.search(r"yaml\.load\((?!.*Loader=_Loader)", text), path


def test_one_technique_a_file_named_after_it():
    for cls in registry():
        assert cls.__module__.rsplit(".", 1)[-1] == cls.name


def test_every_method_has_a_test_of_its_own():
    missing = [cls.name for cls in registry() if not (ROOT / "tests" / "methods" / f"test_{cls.name}.py").is_file()]
    assert not missing


@pytest.mark.parametrize("cls", list(registry()), ids=lambda cls: cls.name)
def test_the_cards_in_docs_are_those_of_the_code(cls):
    path = ROOT / "docs" / "methods" / f"{cls.name}.md"
    assert path.read_text() == card(cls).to_markdown(), "run: make cards"
