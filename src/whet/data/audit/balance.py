"""How many samples each class has, where they are few or uneven."""

from __future__ import annotations

import numpy as np

from whet.data.audit.finding import Finding
from whet.data.table import Table

UNEVEN, FEW, FEW_TO_JUDGE = 3.0, 20, 10


def check_balance(table: Table) -> list[Finding]:
    """Uneven classes (more than threefold), classes with under 20 training samples, or under 10 to judge from."""
    counts = table.counts_K
    largest, smallest = int(np.argmax(counts)), int(np.argmin(counts))
    found = []
    if counts[largest] > UNEVEN * counts[smallest]:
        ratio = counts[largest] / max(counts[smallest], 1)
        most, least = f"{table.classes[largest]} has {counts[largest]}", f"{table.classes[smallest]} {counts[smallest]}"
        advice = "look at macro-F1 and the worst class, not only at accuracy"
        text = f"classes are uneven: {most} samples, {least} (1 : {ratio:.1f}); {advice}"
        found.append(Finding("uneven classes", "warning", text))
    for split, limit, purpose in (("train", FEW, "learn from"), ("test", FEW_TO_JUDGE, "judge by")):
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
