"""Explanations of a run's predictions, as a page."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whet.core.language import in_its_language
from whet.core.run_folder import RunFolder
from whet.explain import AudioHeat, Explanation, ImageHeat, WordHeat
from whet.report import build_explanations
from whet.training.sample_files import write_explanation, write_sample

_LETTERS = 4000
_LIKELIEST = 3


@dataclass(frozen=True)
class Explained:
    """One sample. probs: the probability of every class, in the run's order. explained: the class of `explanation`; None if the
    sample could not be read (see `error`). label: the class label, if known."""

    name: str
    probs: dict[str, float]
    explained: str
    explanation: Explanation | None
    label: str = ""
    error: str = ""

    @property
    def predicted(self) -> str:
        return max(self.probs, key=lambda name: self.probs[name]) if self.explanation is not None else ""

    @property
    def confidence(self) -> float:
        return max(self.probs.values()) if self.explanation is not None else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """The content as a JSON-serializable dict; for a text with the evidence of each piece."""
        plain: dict[str, Any] = {"sample": self.name}
        if self.explanation is None:
            return plain | {"error": self.error}
        likeliest = sorted(self.probs.items(), key=lambda pair: -pair[1])[:_LIKELIEST]
        plain |= {"predicted": self.predicted, "confidence": self.confidence, "label": self.label}
        plain |= {"explained": self.explained, "likeliest": [[name, p] for name, p in likeliest]}
        plain["nothing"] = self.explanation.nothing
        if isinstance(self.explanation, WordHeat):
            heat = self.explanation
            pieces = [[piece.text, piece.evidence] for piece in heat.pieces]
            plain |= {"pieces": pieces, "blank": heat.blank, "total": heat.total, "gap": heat.gap}
            plain["lacking"] = heat.lacking
        if isinstance(self.explanation, ImageHeat):
            plain |= {"by_covering": self.explanation.by_covering, "by_tiles": self.explanation.by_tiles}
        return plain


class Explanations:
    """The result of `Run.explain`, in the order of the samples."""

    def __init__(self, samples: list[Explained], folder: RunFolder, *, mistakes: bool) -> None:
        self._samples, self._folder, self._mistakes = samples, folder, mistakes

    def __iter__(self) -> Iterator[Explained]:
        return iter(self._samples)

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, number: int) -> Explained:
        return self._samples[number]

    @in_its_language
    def save(self, path: str | Path, *, language: str | None = None) -> None:
        """Write a self-contained page. language: "en" or "zh"; by default that of the locale."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            records = [_written(sample, folder, str(number)) for number, sample in enumerate(self._samples)]
            build_explanations(Path(path), self._folder, records, folder, mistakes=self._mistakes)


def _written(sample: Explained, folder: Path, stem: str) -> dict[str, Any]:
    """Write the content of a sample for the page as files in the folder, and return its record."""
    plain, explanation = sample.to_dict(), sample.explanation
    if explanation is None:
        return plain
    if isinstance(explanation, ImageHeat):
        plain |= write_sample(explanation.image, folder, stem)
    elif isinstance(explanation, AudioHeat):
        plain |= write_sample((explanation.wave, explanation.mel_LM), folder, stem, explanation.rate)
    return plain | write_explanation(explanation, folder, stem, _LETTERS)
