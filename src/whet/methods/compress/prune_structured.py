from __future__ import annotations

import copy
from typing import Annotated, Self

import torch
from pydantic import Field, PrivateAttr

from whet.core.batch import Context
from whet.core.errors import NoEffectError, RecipeError
from whet.core.language import english
from whet.core.method import Method
from whet.core.recipe import Recipe
from whet.core.run_folder import finished_run
from whet.core.search import Search
from whet.core.stages import Changes, Compresses, Follows, Quantizes
from whet.methods.compress.channels import remove_channels, set_widths, widths_of
from whet.methods.ensemble.members import member_recipe
from whet.methods.transfer.freeze import Freeze
from whet.models.build import load_net
from whet.models.net import Net
from whet.models.run_weights import is_run


class PruneStructured(
    Method,
    Changes,
    Follows,
    family="compress",
    tasks={"image-classification", "semantic-segmentation", "audio-classification"},
):
    """Remove the least important channels of a trained convolutional network, then train what is left.

    Use when: inference must become faster and the model smaller, there is time to train again, and the network is convolutional.
    Combine it with distill (teacher: the run before).
    Do not use when: there are other architectures that are small enough, or the network is a transformer, which is refused.
    Source: Fang et al. 2023, arXiv:2301.12900 (torch-pruning, pip install whet[compress]); Li et al. 2017, arXiv:1608.08710.
    Deviates: every layer loses the same share of its channels at once, and the number left is rounded down to a multiple of 16, but
    not below 16. With other numbers the network is not faster: MobileNetV1 0.75 with 30 % removed took 2.8 of 6.0 ms rounded, and
    5.6 ms unrounded. freeze is switched off: frozen layers cannot make up for the channels they lost (62 % instead of 72 % right on
    TrashNet after four epochs). Before the removal is accepted, the network must predict as the whole one with these channels at
    zero.
    Shapes: a channel's importance is the mean over its layers of the norms of its weights (group norm). Channels that are added to
    each other go together. The inputs of the network and the outputs of its head stay. The weights before are those of `run`, or of
    the run that the recipe starts from (model.weights), or of a first run, which trains the recipe without this method for half of
    a budget in minutes; a budget in epochs or steps applies to each.
    """

    identity = {"share": 0.0}
    order = 12  # after layers are added, before they are parametrised or frozen
    conflicts = frozenset({"from_run", "linear_probe"})
    found_by_run = frozenset({"widths"})
    example = {"share": 0.5, "multiple": 2}

    run: Annotated[
        str,
        Field(
            description="folder of the finished run to prune; empty: a first run is trained, or model.weights is a run"
        ),
    ] = ""
    share: Annotated[
        float, Field(ge=0, lt=1, description="least share of the channels of each layer to remove"), Search(0.1, 0.6)
    ] = 0.3
    multiple: Annotated[int, Field(ge=1, description="the number of channels left is a multiple of it")] = 16
    widths: Annotated[
        dict[str, tuple[int, int]],
        Field(description="input and output channels of each changed layer; found and stored with the network"),
    ] = {}

    _before: str = PrivateAttr("")

    def take_over(self, other: Method) -> Method | None:
        frozen = isinstance(other, Freeze) and (other.share > 0 or other.layer != "none")
        return other.replace(share=0.0, layer="none") if frozen and self.share > 0 else None

    def predecessor(self, recipe: Recipe) -> Recipe | None:
        if self.share == 0 or self.run or is_run(recipe.model.weights):
            return None
        later = [method.name for method in recipe.methods if isinstance(method, Compresses | Quantizes)]
        return member_recipe(recipe.without(*later), self.name, 1, 2)

    def following(self, run: str) -> Self:
        copied = self.model_copy()
        copied._before = run
        return copied

    def require(self, net: Net) -> None:
        if self.share > 0:
            self._pruned(copy.deepcopy(net))

    def change(self, net: Net, context: Context) -> Net:
        if self.share == 0:
            return net
        if self.widths:
            set_widths(net, self.widths)
            net.built_with(self)
            return net
        if run := self._before or self.run:
            _take_weights(net, run)
        device = net.device
        try:
            return self._pruned(net.cpu())  # so that ties between channels are decided alike on every device
        finally:
            net.on(device)

    def _pruned(self, net: Net) -> Net:
        old, before = widths_of(net), _size(net)
        count = remove_channels(net, self.name, self.share, self.multiple)
        if not count:
            raise NoEffectError(
                f"no layer has channels to remove: {self.multiple} are kept in each; a smaller `multiple` keeps fewer"
            )
        widths = {name: width for name, width in widths_of(net).items() if width != old[name]}
        net.built_with(self.replace(run="", widths=widths))
        note = english(
            "prune_structured: {count} groups of layers lost channels; {before:,} weights became {after:,}",
            count=count, before=before, after=_size(net),
        )  # fmt: skip
        net.notes.append(note)
        return net


def _size(net: Net) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


@torch.no_grad()
def _take_weights(net: Net, run: str) -> None:
    """Copy the weights of a finished run of the same network. Raises RecipeError."""
    where = f"prune_structured.run = '{run}'"
    theirs = load_net(finished_run(where, run).model)
    if theirs.spec.classes != net.spec.classes or not theirs.front.like(net.front):
        raise RecipeError(
            f"{where}: the run has other classes or preprocesses its inputs differently; accepted: a run on the same data with the "
            "same model, such as the recipe of that run with this method added"
        )
    state, wanted = theirs.state_dict(), net.state_dict()
    lacking = [
        name
        for name in {**wanted, **state}
        if name not in state or name not in wanted or state[name].shape != wanted[name].shape
    ]
    if lacking:
        changes = ", ".join(name for entry in theirs.spec.changes for name in entry) or "no method"
        raise RecipeError(
            f"{where}: the network of the run ({theirs.spec.architecture}, built with {changes}) is not that of this recipe "
            f"({net.spec.architecture}): {len(lacking)} tensors differ, the first is '{lacking[0]}'; accepted: a run of the same "
            "network that is not compressed"
        )
    for name, tensor in wanted.items():
        tensor.copy_(state[name])
