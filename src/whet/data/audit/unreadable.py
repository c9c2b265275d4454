"""Files that are no pictures, are cut short, or are refused: found by decoding every one of them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from whet.data.audit.finding import Finding
from whet.data.image import UnreadableImage, decode
from whet.data.table import Table


def check_unreadable(table: Table, threads: int, advance: Callable[[int], None] = lambda count: None) -> list[Finding]:
    """Decode every file; `advance` is told how many are done."""

    def reason(path: str) -> str:
        try:
            decode(Path(path).read_bytes())
        except (OSError, UnreadableImage) as error:
            return str(error)
        finally:
            advance(1)
        return ""

    with ThreadPoolExecutor(threads) as pool:
        reasons = list(pool.map(reason, table.frame["path"]))
    bad = [(entry.id, entry.reason) for entry in table.skipped]
    bad += [(name, why) for name, why in zip(table.frame["id"], reasons) if why]
    if not bad:
        return []
    text = f"{len(bad)} of {len(table) + len(table.skipped)} files cannot be read and will be left out"
    return [Finding("unreadable", "problem", text, tuple((f"{name}: {why}",) for name, why in sorted(bad)))]
