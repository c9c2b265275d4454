"""whet compare"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from whet.cli.options import Json

if TYPE_CHECKING:
    from whet.evaluate.compare import Group, Metric

NAME = "compare"


def command(
    runs: Annotated[list[Path], typer.Argument(help="Finished runs; the first one's recipe is the one compared with.")],
    metric: Annotated[
        str, typer.Option(help="accuracy, macro_f1, worst_class, log_loss or calibration_error.")
    ] = "accuracy",
    as_json: Json = False,
) -> None:
    """Compare recipes on the same test pictures: difference, 95 % interval, verdict.

    Runs of one recipe with several seeds count together."""
    from whet.cli.screen import console, print_json, table
    from whet.core.run_folder import RunFolder
    from whet.evaluate.compare import METRICS, compare_runs

    reference, found, samples = compare_runs([RunFolder.open(run) for run in runs], metric)
    if as_json:
        print_json(
            {
                "samples": samples,
                "metric": metric,
                "reference": {"name": reference.name, "seeds": reference.seeds, metric: reference.value_S.tolist()},
                "comparisons": [
                    {
                        "name": c.group.name, "seeds": c.group.seeds, metric: c.group.value_S.tolist(),
                        "difference": c.difference.mean, "low": c.difference.low, "high": c.difference.high,
                        "p": c.difference.p, "method": c.difference.method, "verdict": c.difference.verdict,
                        "mcnemar": c.mcnemar,
                    }
                    for c in found
                ],
            }
        )  # fmt: skip
        return
    screen, compared = console(), METRICS[metric]
    rows = table(
        "recipe",
        "seeds",
        compared.title,
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
        _values(reference, compared),
        "",
        "",
        "",
        "reference",
        f"{reference.seconds:.0f} s",
    )
    for c in found:
        d = c.difference
        rows.add_row(
            c.group.name, str(len(c.group.seeds)), _values(c.group, compared), compared.text(d.mean, "+"),
            f"{compared.text(d.low, '+')} to {compared.text(d.high, '+')}", f"{d.p:.2g}", d.verdict,
            f"{c.group.seconds:.0f} s",
        )  # fmt: skip
    screen.print(rows)
    screen.print(
        f"\npaired on the same {samples} test pictures; {found[0].difference.method}; differences in "
        f"{'points of ' if compared.is_share else ''}{compared.title}"
        f"{', the smaller the better' if compared.smaller_is_better else ''}",
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


def _values(group: Group, metric: Metric) -> str:
    """The mean over the seeds and their standard deviation."""
    spread = f" ± {metric.text(group.value_S.std(ddof=1))}" if len(group.seeds) > 1 else ""
    return f"{metric.text(group.value_S.mean())}{spread}{' %' if metric.is_share else ''}"
