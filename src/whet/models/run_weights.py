"""A network that starts from the backbone of a finished run, such as a pre-training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from whet.core.errors import WeightsError
from whet.core.language import Sentence, english
from whet.core.media import plural
from whet.core.run_folder import RunFolder, finished_run
from whet.core.spec import ModelSpec
from whet.models.net import FEATURES, Net, head_name, with_head


def is_run(weights: str) -> bool:
    """Whether weights are a run folder, finished or not."""
    return RunFolder(Path(weights).expanduser()).requested.is_file()


def net_of_run(
    spec: ModelSpec, classes: tuple[str, ...], medium: str, task: str, load: Callable[[Path], Net]
) -> tuple[Net, list[Sentence]]:
    """The backbone of the run that the weights of a resolved ModelSpec name, with its preprocessing and a new head. load: loads the
    network of a model folder. WeightsError where the run does not fit."""
    where = f"weights '{spec.weights}'"
    run = finished_run(where, str(Path(spec.weights).expanduser()))
    theirs = load(run.model)
    if theirs.spec.medium != medium:
        raise WeightsError(f"{where}: a run on {plural(theirs.spec.medium)}; this training is on {plural(medium)}")
    if spec.architecture not in (spec.weights, theirs.spec.architecture):
        raise WeightsError(
            f"{where}: the run has the architecture {theirs.spec.architecture}, not {spec.architecture}; leave --architecture out"
        )
    if theirs.spec.changes or theirs.spec.head not in ("linear", FEATURES):
        what = ", ".join(name for entry in theirs.spec.changes for name in entry) or f"the head {theirs.spec.head}"
        raise WeightsError(
            f"{where}: the network of the run was built with {what}; use the method from_run in a recipe with the same"
        )
    made = replace(theirs.spec, classes=classes, task=task, head=head_name(spec, task), pretrained=True)
    net = with_head(made, theirs.backbone, theirs.width, theirs.front)
    return net, [english("weights of the backbone from the run {run}", run=run.name)]
