"""Co-occurrence of labels in multi-label data."""

from __future__ import annotations

import numpy as np

from whet.core.language import english
from whet.data.audit.finding import Finding
from whet.data.table import Table

_SHOWN, _LEAST = 5, 10  # number of listed pairs; minimum samples of a label


def check_label_sets(table: Table) -> list[Finding]:
    """A fact: the number of labels per sample and the frequent pairs. A warning: labels that always occur together, or one that
    never occurs without another, because the data cannot distinguish them."""
    if table.set_SK is None:
        return []
    true_NK, names = table.true_NK, table.classes
    together_KK = true_NK.T.astype(np.int64) @ true_NK.astype(np.int64)
    count_K = np.diag(together_KK)
    bare = int((~true_NK.any(axis=1)).sum())
    pairs = sorted(
        (
            (int(together_KK[i, j]), names[i], names[j])
            for i, j in zip(*np.triu_indices(len(names), 1))
            if together_KK[i, j]
        ),
        key=lambda pair: (-pair[0], pair[1:]),
    )
    values = {
        "labels": true_NK.sum() / max(len(table), 1), "bare": bare, "sets": len(np.unique(table.label_N)),
        "pairs": ", ".join(f"{one} + {other} ({count:,})" for count, one, other in pairs[:_SHOWN]),
    }  # fmt: skip
    text = (
        english(
            "{labels:.2f} labels per sample, {bare:,} samples have none; {sets} different label sets; most often together: {pairs}",
            **values,
        )
        if pairs
        else english(
            "{labels:.2f} labels per sample, {bare:,} samples have none; {sets} different label sets", **values
        )
    )
    found = [Finding(english("label sets"), "fact", text)]
    for i, name in enumerate(names):
        for j in np.flatnonzero(together_KK[i] == count_K[i]):
            twins = count_K[i] == count_K[j]
            if j == i or count_K[i] < _LEAST or (twins and j < i):
                continue
            values = {"name": name, "other": names[j]}
            text = (
                english("{name} and {other} always occur together: a model cannot learn {name} alone", **values)
                if twins
                else english("{name} never occurs without {other}: a model cannot learn {name} alone", **values)
            )
            found.append(Finding(english("label dependence"), "warning", text))
    return found
