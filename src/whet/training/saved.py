"""Load a saved model for prediction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from whet.core.batch import Context, Predictor
from whet.core.errors import RecipeError, RunError
from whet.core.outputs import filled_up
from whet.core.recipe import parse_method
from whet.core.stages import Compresses
from whet.data.loader import Loader
from whet.data.media import loader_of
from whet.models.build import external_model_folders, load_nets, read_extra
from whet.models.ensemble import Member, as_one, shown_as
from whet.models.net import Net
from whet.training.plan import wrap_predictor

_MAX_DIFFERENCE = 0.02  # tolerance as a share of the largest logit; in bfloat16, rounding of weights changes the logits


class SavedModel:
    """The networks of a model folder on a device, with their fitted values and preprocessing. compressing: methods that are applied
    to these networks first. leave_out: names of methods of prediction that are left out."""

    def __init__(
        self,
        folder: Path,
        device: torch.device,
        compressing: Sequence[Compresses] = (),
        leave_out: Collection[str] = (),
    ) -> None:
        extra = read_extra(folder)
        nets = [net.on(device) for net in load_nets(folder)]
        for method in compressing:
            nets = [method.compress(net, Context.of_loaded(net.task, net.spec.classes)) for net in nets]
        self.net = nets[0]
        self.classes = self.net.spec.classes
        self.task = self.net.task
        self.size, self.fit, self.precision = int(extra["size"]), extra["fit"], extra["precision"]
        predicting = (parse_method(entry) for entry in extra["predict"])
        methods = tuple(method for method in predicting if method.name not in leave_out)
        external_models = load_external_models(folder, self.net, device)
        self.predictor = wrap_predictor(methods, as_one(nets), extra["fitted"], self.task, external_models)
        self.members = members_of(nets, external_models)

    def loader(self, frame: pd.DataFrame, threads: int) -> Loader:
        """A loader that preprocesses these samples (`path` or `text`) for the networks."""
        rate = getattr(self.net.front, "rate", None)
        return loader_of(frame, self.net.spec.medium, threads, fit=self.fit, rate=rate, task=self.task)

    def beside(self, ours: Net, where: str) -> ExternalModel:
        """This model as an external model of our network. where: the folder, for error messages."""
        wanted, known = set(ours.spec.classes), set(self.classes)
        lacking, besides = sorted(wanted - known), sorted(known - wanted)
        if lacking or besides:
            raise RecipeError(
                f"{where}: the classes of that model differ, so it cannot be combined with this one; missing: "
                f"{', '.join(lacking) or 'none'}; additional: {', '.join(besides) or 'none'}"
            )
        if self.task != ours.task:
            raise RecipeError(
                f"{where}: that model is for samples with {self.task.title}, this one for {ours.task.title}; they cannot "
                "predict together"
            )
        alike = (self.net.spec.head, self.classes) == (ours.spec.head, ours.spec.classes)
        if self.net.spec.outputs != len(self.classes) and not alike:
            raise RecipeError(
                f"{where}: outputs for objects are combined for one head and one order of classes; that model has the head "
                f"{self.net.spec.head}, this one {ours.spec.head}"
            )
        columns = tuple(self.classes.index(name) for name in ours.spec.classes)
        return ExternalModel(self, shown_as(self.net, self.size, ours), columns)


class ExternalModel(nn.Module):
    """A saved model that is combined with another network. It accepts the inputs of that network and returns logits in its class
    order."""

    def __init__(self, saved: SavedModel, shown: nn.Module, columns: tuple[int, ...]) -> None:
        super().__init__()
        self.saved, self.shown, self.columns = saved, shown, columns
        self.predictor = saved.predictor

    def forward(self, x: Tensor) -> Tensor:
        found = self.predictor(self.shown(x))
        if self.saved.net.spec.outputs != len(
            self.columns
        ):  # outputs that belong to no class; the classes are in our order
            return found
        return found[:, list(self.columns)]

    @property
    def members(self) -> list[Member]:
        return [member.beside(self.shown, self.columns) for member in self.saved.members]


def load_external_models(folder: Path, ours: Net, device: torch.device) -> Mapping[str, list[ExternalModel]]:
    """The external models of the model in this folder, by the method that combines them."""
    return {
        name: [SavedModel(path, device).beside(ours, str(path)) for path in paths]
        for name, paths in external_model_folders(folder).items()
    }


def members_of(nets: Sequence[Net], external_models: Mapping[str, Sequence[ExternalModel]]) -> list[Member]:
    """All networks of the predictor."""
    beside = [member for several in external_models.values() for one in several for member in one.members]
    return [*map(Member.of, nets), *beside]


def check_saved(
    folder: Path, device: torch.device, predictor: Predictor, predict: Callable[[Predictor], Tensor]
) -> None:
    """Raise RunError unless the model in the folder, loaded again, gives the same outputs as this predictor. predict: computes the
    outputs for a few samples."""
    both = predict(predictor), predict(SavedModel(folder, device).predictor)
    expected, found = (one.nan_to_num() for one in filled_up(both))
    if not len(expected):
        return
    difference = float((found - expected).abs().max())
    if not difference <= _MAX_DIFFERENCE * float(expected.abs().max()) + 1e-3:
        raise RunError(
            f"the model in {folder}, loaded again, differs from the trained one: logits differ by up to {difference:.3g}; "
            "the run is not finished, because its predictions would be wrong"
        )
