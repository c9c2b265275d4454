from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field

from whet.core.batch import Context
from whet.core.errors import NoEffectError, RecipeError
from whet.core.method import Method
from whet.core.run_folder import finished_run
from whet.core.stages import Initialises
from whet.models.build import load_net
from whet.models.net import Net


class FromRun(
    Method,
    Initialises,
    family="transfer",
    tasks={
        "image-classification",
        "text-classification",
        "audio-classification",
        "image-pretraining",
        "text-pretraining",
        "audio-pretraining",
    },
):
    """Initialize the weights from another finished run instead of the architecture's pretrained weights.

    Use when: you have trained a model on related data before (another camera, an earlier year, more but less accurate labels).
    Do not use when: the test images of this training were training images of that run. The test score would then be too high.
    Source: Yosinski et al. 2014, arXiv:1411.1792; Pan & Yang 2010.
    Deviates: the rows of the last layer are copied for the classes that both runs have. The rows of other classes keep their
    initialization.
    Shapes: copies every weight of the backbone, which must have the same architecture. Layers that other methods of this recipe
    add to the backbone (adapters, gates) keep their own initialization.
    """

    identity = {"run": ""}
    order = 5  # runs before a head is fitted to the features

    run: Annotated[str, Field(description="folder of a finished run to start from; empty has no effect")] = ""

    @torch.no_grad()
    def initialise(self, net: Net, context: Context) -> None:
        if not self.run:
            raise NoEffectError("no run is set; set run to the folder of a finished run")
        where = f"{self.name}.run = '{self.run}'"
        theirs = load_net(finished_run(where, self.run).model)
        state, wanted = theirs.backbone.state_dict(), net.architecture_state()
        lacking = [name for name in wanted if name not in state or state[name].shape != wanted[name].shape]
        if lacking:
            raise RecipeError(
                f"{where}: the run has {_named(theirs)}, this recipe trains {_named(net)}: {len(lacking)} of {len(wanted)} tensors "
                f"are missing or have another shape, the first is '{lacking[0]}'; accepted: a run of the same architecture"
            )
        if not theirs.front.like(net.front):
            raise RecipeError(
                f"{where}: the run preprocesses its inputs differently ({theirs.front}) from this recipe ({net.front}); pass the "
                "same --weights as that run"
            )
        for name, tensor in wanted.items():
            tensor.copy_(state[name])
        _copy_rows(theirs, net)


def _copy_rows(theirs: Net, ours: Net) -> None:
    """Copy the rows of the last layer for the classes that both networks have, if both heads are linear layers on the same
    features."""
    if type(theirs.head) is not torch.nn.Linear or type(ours.head) is not torch.nn.Linear:
        return
    known = {name: k for k, name in enumerate(theirs.spec.classes)}
    for k, name in enumerate(ours.spec.classes):
        if name in known:
            ours.head.weight[k] = theirs.head.weight[known[name]]
            ours.head.bias[k] = theirs.head.bias[known[name]]


def _named(net: Net) -> str:
    spec = net.spec
    scaled = f" of width {spec.width:g} and depth {spec.depth}" if (spec.width, spec.depth) != (1.0, 1) else ""
    return f"{spec.architecture}{scaled}"
