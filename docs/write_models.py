"""Write docs/models.md: train a tiny network of every kind of transformers, with random weights, for one whole run. Takes minutes.

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

`docs/write_models.py` writes this table. It trains a tiny network of every kind with random weights for one epoch; tests check it.
To use one of these networks, give `--architecture` a local folder or a hub name. Kinds of the medium *masks* predict the class of
every pixel with their own decoder; `mask2former` and `eomt` predict objects too
([segmentation](segmentation.md#segmenters-of-transformers)).

- **trains**: training changes the weights of the backbone.
- **reloads exactly**: the finished run, loaded again, gives every sample of `predictions.csv` the same probabilities (within 1e-5).
- **explains**: *heat* is a heat map over the image or spectrogram (HiResCAM), *by covering* is occlusion (where attention mixes the
  positions), *words* is integrated gradients; or *no*.

A kind that is not listed is untested, or it is refused with an error that lists the accepted kinds.

"""


def main() -> None:
    outcomes = {}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        data = {medium: write_data(medium, root / medium) for medium in ("image", "text", "audio", "masks")}
        for number, (kind, made) in enumerate(KINDS.items()):
            outcomes[kind] = outcome(made, data[made.medium], root / str(number))
            print(kind, outcomes[kind], flush=True)
    (ROOT / "docs" / "models.md").write_text(_TEXT + table(outcomes), encoding="utf-8")


if __name__ == "__main__":
    main()
