"""A run on texts that several files look at."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.end_to_end.test_texts import write_texts

import whet


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_texts(tmp_path_factory.mktemp("data") / "waste.csv")


@pytest.fixture(scope="session")
def text_run(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> whet.Run:
    """Trained without a word of settings, once for all tests that only read it."""
    return whet.train(texts, budget="45ep", out=tmp_path_factory.mktemp("runs") / "texts")
