"""A finished run as a teacher: its networks answer the very views that a student learns from."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from whet.core.batch import Batch, Context
from whet.core.errors import NoEffectError, RecipeError, RunError
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder, finished_run
from whet.core.runtime import Runtime
from whet.data.store import cache_folder
from whet.methods.distill.kept_answers import KeptAnswers
from whet.models.build import external_model_folders, load_nets, read_extra
from whet.models.ensemble import shown_as
from whet.models.hub import load_classifier
from whet.models.net import Net

TeacherRun = Annotated[
    str,
    Field(
        description="who to learn from: the folder of a finished run, a folder with config.json and model.safetensors, or "
        "hub:NAME for a classifier of the hub with the same classes; empty has no effect"
    ),
]
TeacherSize = Annotated[
    int | None,
    Field(
        ge=8,
        description="side in pixels at which images are shown to the teacher, whatever size its student sees; none: that of its "
        "own training",
    ),
]
_HUB = "hub:"


class Taught:
    """What every method with a teacher does."""

    if TYPE_CHECKING:  # each method has them; pydantic must not find them here
        name: str
        teacher: str
        teacher_size: int | None

    def start(self, net: Net, context: Context) -> SameTeacher:
        return SameTeacher(self.name, self.teacher)

    @property
    def high_res_size(self) -> int | None:
        return (self.teacher_size or _trained_size(self.teacher)) if self.teacher else None


@dataclass(frozen=True)
class _Networks:
    """Those that answer together, the run's own first, each with the temperature that sets its confidence right; `folder` is where
    the first one's files lie."""

    members: tuple[tuple[Net, float], ...]
    folder: Path

    @property
    def bf16(self) -> bool:
        return (self.folder / "whet.json").is_file() and read_extra(self.folder).get("precision") == "bf16"


class Teacher:
    """The networks of a finished run, in evaluation mode, on their student's device, in the precision they were measured with. They
    see what their student sees, with the pixels that `size` asks for, and are as sure as their run found out that they should be:
    what learnt from softened or mixed targets says too little of what it knows."""

    def __init__(self, name: str, run: str, student: Net, size: int | None = None) -> None:
        if not run:
            raise NoEffectError("no teacher is named; set teacher to the folder of a finished run")
        self._name = name
        self._where = f"{name}.teacher = '{run}'"
        found = _classifier(self._where, run)
        self._nets = [net.on(student.device).requires_grad_(False) for net, _ in found.members]
        self._temperatures = [temperature for _, temperature in found.members]
        self.net = self._nets[0]
        self._bf16 = found.bf16
        self._task = student.task
        self._columns = list(range(len(self.net.spec.classes)))
        size = size or _trained_size(run)
        seen_as = (
            f"{_digest_of(found.folder)} {student.front} {size} {self._temperatures} {self._bf16} {torch.__version__}"
        )
        name = hashlib.sha256(seen_as.encode()).hexdigest()[:32]
        self._kept = KeptAnswers(cache_folder("answers") / f"{name}.sqlite")
        self._shown_as = [shown_as(net, size, student) for net in self._nets]

    def for_classes(self, classes: tuple[str, ...]) -> Teacher:
        """The same teacher, its logits in the order of these classes; it must know them and no others."""
        known = self.net.spec.classes
        lacking, besides = sorted(set(classes) - set(known)), sorted(set(known) - set(classes))
        if lacking or besides:
            raise RecipeError(
                f"{self._where}: it was trained on other classes; it lacks {', '.join(lacking) or 'none'} and knows "
                f"{', '.join(besides) or 'none'} besides"
            )
        if self.net.task != self._task:
            raise RecipeError(
                f"{self._where}: it is for samples with {self.net.task.title}, and these have {self._task.title}"
            )
        self._columns = [known.index(name) for name in classes]
        return self

    def features(self, batch: Batch) -> Tensor:
        """What its head is given for this batch, float32 (B, D)."""
        with self._asking(batch, [self.net]):
            return self.net.backbone(self._shown_as[0](_closest(batch))).float()

    def logits(self, batch: Batch) -> Tensor:
        """Its answer to this batch, float32 (B, K)."""
        if batch.hidden_mix or batch.cached_features:  # the view alone does not tell the answer
            return self._asked(batch)[:, self._columns]
        return self._kept.answers(_closest(batch), lambda x_BCHW: self._asked(batch))[:, self._columns]

    def _asked(self, batch: Batch) -> Tensor:
        with self._asking(batch, self._nets):
            answers = [
                net(shown(_closest(batch))).float()[:, [net.spec.classes.index(name) for name in self.net.spec.classes]]
                / t
                for net, shown, t in zip(self._nets, self._shown_as, self._temperatures)
            ]
        return answers[0] if len(answers) == 1 else self._task.combine(torch.stack(answers, dim=1))

    @contextlib.contextmanager
    def _asking(self, batch: Batch, nets: list[Net]) -> Iterator[None]:
        """Without gradients, with whatever is mixed inside the student mixed inside the teacher too."""
        if batch.cached_features:
            raise RecipeError(
                f"{self._name}: the teacher needs the samples, but this recipe keeps features of a frozen backbone in their place; "
                "add a method that changes the samples (horizontal_flip), or train the backbone"
            )
        precision = torch.autocast(batch.x.device.type, torch.bfloat16, enabled=self._bf16)
        with contextlib.ExitStack() as stack:
            for net in nets:
                stack.enter_context(net.hidden_mix(batch.hidden_mix))
            with torch.no_grad(), precision:
                yield


class SameTeacher(Runtime):
    """Remembers the teacher that a training began with, so that it does not go on with another."""

    def __init__(self, name: str, run: str) -> None:
        self._where = f"{name}.teacher = '{run}'"
        self._digest = _digest_of(_classifier(self._where, run).folder) if run else ""

    def state_dict(self) -> dict[str, Any]:
        return {"digest": self._digest}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state["digest"] != self._digest:
            raise RunError(
                f"{self._where}: its weights are not those that this training began with; put them back, or begin anew"
            )


def _closest(batch: Batch) -> Tensor:
    """The batch with as many pixels as there are."""
    return batch.x if batch.high_res is None else batch.high_res


def _classifier(where: str, teacher: str) -> _Networks:
    """The networks that a setting names."""
    if name := _of_transformers(teacher):
        net, folder = load_classifier(name)
        return _Networks(((net, 1.0),), folder)
    model = finished_run(where, teacher).model
    folders = [model, *(folder for several in external_model_folders(model).values() for folder in several)]
    return _Networks(tuple((net, _temperature(folder)) for folder in folders for net in load_nets(folder)), model)


def _temperature(model: Path) -> float:
    """What was fitted for this model's own answers on validation samples; 1 where nothing was."""
    fitted = read_extra(model).get("fitted", {})
    beside_others = fitted.get("stacking", {}).get("temperatures", [])
    return float(beside_others[0] if beside_others else fitted.get("temperature_scaling", {}).get("temperature", 1.0))


def _of_transformers(teacher: str) -> str | None:
    """The name or folder of a classifier of transformers, None for a run of ours."""
    if teacher.startswith(_HUB):
        return teacher.removeprefix(_HUB)
    path = Path(teacher).expanduser()
    return str(path) if not RunFolder(path).finished and (path / "config.json").is_file() else None


def _trained_size(teacher: str) -> int | None:
    """The side of the images that a teacher was trained with; None where that is not known, or it takes no images."""
    if name := _of_transformers(teacher):
        return load_classifier(name)[0].spec.native_size
    run = RunFolder(Path(teacher).expanduser())
    recipe = Recipe.load(run.recipe) if run.recipe.is_file() else None
    return recipe.size if recipe is not None and recipe.medium == "image" else None


def _digest_of(folder: Path) -> str:
    """SHA-256 of a model's weights, and of those that answer with it."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.safetensors")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
