"""whet compare"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from whet.cli.options import Json

NAME = "compare"


def command(
    runs: Annotated[list[Path], typer.Argument(help="Finished runs; the first one's recipe is the one compared with.")],
    as_json: Json = False,
) -> None:
    """Compare recipes on the same test pictures: difference, 95 % interval, verdict.

    Runs of one recipe with several seeds count together."""
    from whet.cli.screen import console, print_json, table
    from whet.core.run_folder import RunFolder
    from whet.evaluate.compare import compare_runs

    reference, found, samples = compare_runs([RunFolder.open(run) for run in runs])
    if as_json:
        print_json(
            {
                "samples": samples,
                "reference": {"name": reference.name, "seeds": reference.seeds, "accuracy": reference.accuracy_S.tolist()},
                "comparisons": [
                    {
                        "name": c.group.name, "seeds": c.group.seeds, "accuracy": c.group.accuracy_S.tolist(),
                        "difference": c.difference.mean, "low": c.difference.low, "high": c.difference.high,
                        "p": c.difference.p, "method": c.difference.method, "verdict": c.difference.verdict,
                        "mcnemar": c.mcnemar,
                    }
                    for c in found
                ],
            }
        )  # fmt: skip
        return
    screen = console()
    rows = table(
        "recipe",
        "seeds",
        "accuracy",
        "difference",
        "95 % interval",
        "p",
        "verdict",
        "training",
        right=(1, 2, 3, 4, 5, 7),
    )
    rows.add_row(
        reference.name,
        str(len(reference.seeds)),
        _accuracy(reference),
        "",
        "",
        "",
        "reference",
        f"{reference.seconds:.0f} s",
    )
    for c in found:
        d = c.difference
        rows.add_row(
            c.group.name, str(len(c.group.seeds)), _accuracy(c.group), f"{100 * d.mean:+.1f}",
            f"{100 * d.low:+.1f} to {100 * d.high:+.1f}", f"{d.p:.2g}", d.verdict, f"{c.group.seconds:.0f} s",
        )  # fmt: skip
    screen.print(rows)
    screen.print(
        f"\npaired on the same {samples} test pictures; {found[0].difference.method}; differences in points of accuracy",
        style="dim",
    )
    for c in found:
        if c.mcnemar is not None:
            gained, lost, p = c.mcnemar
            screen.print(
                f"{c.group.name}: {gained} pictures became right and {lost} wrong (McNemar's exact test, p = {p:.2g}); "
                "one seed says nothing of other seeds",
                style="dim",
            )


def _accuracy(group) -> str:
    spread = f" ± {100 * group.accuracy_S.std(ddof=1):.1f}" if len(group.seeds) > 1 else ""
    return f"{100 * group.accuracy_S.mean():.1f}{spread} %"
