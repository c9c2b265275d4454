"""whet ensemble"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from whet.cli.options import Json, Out

NAME = "ensemble"


def command(
    runs: Annotated[list[Path], typer.Argument(help="Finished runs on the same data, of any architectures.")],
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Combine finished runs into one model that averages their predictions, without training."""
    from rich.text import Text

    from whet import api
    from whet.cli.screen import observer, place, print_json, print_table, results, table, then
    from whet.core.run_folder import RunFolder
    from whet.training.ensemble import ensemble_gain

    made = api.ensemble(*runs, out=out, observer=observer(as_json))
    part = "test" if "test" in made.metrics else "val"
    singles = [api.load(path) for path in runs]
    best = min(singles, key=lambda one: float(one.metrics["val"]["log_loss"]))
    gain = ensemble_gain(made.folder, RunFolder.open(best.path))
    if as_json:
        difference = {**vars(gain), "verdict": gain.verdict}
        print_json({"run": str(made.path), "best_single": str(best.path), "difference": difference, **made.metrics})
        return
    screen = results()
    rows = table("", made.folder.task.right, "log-loss", "ms per sample", right=(1, 2, 3))
    for name, one in (*((single.path.name, single) for single in singles), ("ensemble", made)):
        found = one.metrics[part]
        rows.add_row(
            name, f"{100 * found['accuracy']:.1f} %", f"{found['log_loss']:.3f}",
            f"{1e3 * one.metrics['cost']['seconds_per_sample']:.1f}",
        )  # fmt: skip
    print_table(screen, rows)
    screen.print(
        Text.assemble(
            f"\ncompared with {best.path.name}, the best run on the validation split, on {made.metrics[part]['samples']} "
            f"{'test' if part == 'test' else 'validation'} samples: ",
            (f"{100 * gain.mean:+.1f} percentage points", "bold"),
            f" ({100 * gain.low:+.1f} to {100 * gain.high:+.1f}): {gain.verdict}",
        )
    )
    place(screen, "run", made.path)
    place(screen, "report", made.folder.report)
    then("predict", made.path, "YOUR_SAMPLES")
