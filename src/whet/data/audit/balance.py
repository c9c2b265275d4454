"""Class sizes: small and imbalanced classes."""

from __future__ import annotations

import numpy as np

from whet.data.audit.finding import Finding
from whet.data.table import Table

UNEVEN, FEW, FEW_TO_JUDGE = 3.0, 20, 10


def check_balance(table: Table) -> list[Finding]:
    """Imbalanced classes (ratio above 3), classes with under 20 training samples, or under 10 test samples."""
    counts = table.counts_K
    largest, smallest = int(np.argmax(counts)), int(np.argmin(counts))
    found = []
    if counts[largest] > UNEVEN * counts[smallest]:
        ratio = counts[largest] / max(counts[smallest], 1)
        most, least = f"{table.classes[largest]} has {counts[largest]}", f"{table.classes[smallest]} {counts[smallest]}"
        advice = "consider macro-F1 and the worst class in addition to accuracy"
        text = f"classes are imbalanced: {most} samples, {least} (1 : {ratio:.1f}); {advice}"
        found.append(Finding("uneven classes", "warning", text))
    for split, limit, purpose in (("train", FEW, "train on"), ("test", FEW_TO_JUDGE, "evaluate on")):
        part = table.part(split)
        if not len(part):
            continue
        few = [(int(n), name) for n, name in zip(part.counts_K, table.classes) if n < limit]
        if few:
            listed = ", ".join(f"{name} {n}" for n, name in sorted(few)[:8]) + (", …" if len(few) > 8 else "")
            who = f"{len(few)} {'class has' if len(few) == 1 else 'classes have'}"
            text = f"{who} fewer than {limit} samples to {purpose}: {listed}"
            found.append(Finding(f"few {split} samples", "warning", text))
    return found
