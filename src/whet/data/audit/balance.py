"""Class sizes: small and imbalanced classes."""

from __future__ import annotations

import numpy as np

from whet.core.language import Sentence, english, english_n
from whet.data.audit.finding import Finding
from whet.data.table import Table

UNEVEN, FEW, FEW_TO_JUDGE = 3.0, 20, 10


_KINDS = {"train": english("few train samples"), "test": english("few test samples")}


def check_balance(table: Table) -> list[Finding]:
    """Imbalanced classes (ratio above 3), classes with under 20 training samples, or under 10 test samples."""
    counts = table.counts_K
    largest, smallest = int(np.argmax(counts)), int(np.argmin(counts))
    found = []
    if counts[largest] > UNEVEN * counts[smallest]:
        ratio = counts[largest] / max(counts[smallest], 1)
        text = english(
            "classes are imbalanced: {largest} has {most:d} samples, {smallest} {least:d} (1 : {ratio:.1f}); consider "
            "macro-F1 and the "
            "worst class in addition to accuracy",
            largest=table.classes[largest], most=counts[largest], smallest=table.classes[smallest], least=counts[smallest],
            ratio=ratio,
        )  # fmt: skip
        found.append(Finding(english("uneven classes"), "warning", text))
    for split, limit in (("train", FEW), ("test", FEW_TO_JUDGE)):
        part = table.part(split)
        if not len(part):
            continue
        few = [(int(n), name) for n, name in zip(part.counts_K, table.classes) if n < limit]
        if few:
            listed = ", ".join(f"{name} {n}" for n, name in sorted(few)[:8]) + (", …" if len(few) > 8 else "")
            found.append(Finding(_KINDS[split], "warning", _few(split, len(few), limit, listed)))
    return found


def _few(split: str, count: int, limit: int, names: str) -> Sentence:
    if split == "train":
        return english_n(
            "{n} class has fewer than {limit} samples to train on: {names}",
            "{n} classes have fewer than {limit} samples to train on: {names}",
            count, limit=limit, names=names,
        )  # fmt: skip
    return english_n(
        "{n} class has fewer than {limit} samples to evaluate on: {names}",
        "{n} classes have fewer than {limit} samples to evaluate on: {names}",
        count, limit=limit, names=names,
    )  # fmt: skip
