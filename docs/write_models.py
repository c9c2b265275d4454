"""Writes docs/models.md: every kind of network of transformers, tiny and with random weights, through a whole run. Minutes long.

python -m docs.write_models        # from the root of the repository
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.models.kinds import KINDS, outcome, table, write_data  # noqa: E402

_TEXT = """# Networks of transformers

Written by `docs/write_models.py`, which trains a tiny network of every kind with random weights for one epoch; tests hold it true.
Name a local folder or a hub name as `--architecture`.

- **trains**: the weights of the backbone move.
- **reloads exactly**: the finished run, loaded anew, gives every sample of `predictions.csv` the same probabilities (within 1e-5).
- **explains**: *heat* over the image or spectrogram (HiResCAM), *by covering* (occlusion, where attention mixes the places),
  *words* (integrated gradients), or *no*.

A kind that is not listed is refused with the kinds that are accepted, or untested.

"""


def main() -> None:
    outcomes = {}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        data = {medium: write_data(medium, root / medium) for medium in ("image", "text", "audio")}
        for number, (kind, made) in enumerate(KINDS.items()):
            outcomes[kind] = outcome(made, data[made.medium], root / str(number))
            print(kind, outcomes[kind], flush=True)
    (ROOT / "docs" / "models.md").write_text(_TEXT + table(outcomes), encoding="utf-8")


if __name__ == "__main__":
    main()
