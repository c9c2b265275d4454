"""A finished run as a teacher: its networks predict the same views that the student is trained on."""

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
from whet.methods.distill.logits_cache import LogitsCache
from whet.models.build import external_model_folders, load_nets, read_extra
from whet.models.ensemble import shown_as
from whet.models.hub import load_classifier
from whet.models.net import Net

TeacherRun = Annotated[
    str,
    Field(
        description="the teacher: the folder of a finished run, a folder with config.json and model.safetensors, or "
        "hub:NAME for a classifier on the Hugging Face Hub with the same classes; empty has no effect"
    ),
]
TeacherSize = Annotated[
    int | None,
    Field(
        ge=8,
        description="side length in pixels of the teacher's images, independent of the student's; none: the size that the "
        "teacher was trained with",
    ),
]
_HUB = "hub:"


class Taught:
    """The behavior that all methods with a teacher share."""

    if TYPE_CHECKING:  # for type checkers only: the methods define these fields, and pydantic must not find them here
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
    """The networks whose predictions are combined, the run's own first, each with its calibration temperature. `folder` contains
    the files of the first one."""

    members: tuple[tuple[Net, float], ...]
    folder: Path

    @property
    def bf16(self) -> bool:
        return (self.folder / "whet.json").is_file() and read_extra(self.folder).get("precision") == "bf16"


class Teacher:
    """The networks of a finished run, in evaluation mode, on the device of the student and with the precision they were evaluated
    with. They receive the same views as the student, at the resolution `size`. Their logits are divided by the temperature fitted
    in their run, because networks trained with softened or mixed targets are underconfident."""

    def __init__(self, name: str, run: str, student: Net, size: int | None = None) -> None:
        if not run:
            raise NoEffectError("no teacher is set; set teacher to the folder of a finished run")
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
        cache_key = (
            f"{_digest_of(found.folder)} {student.front} {size} {self._temperatures} {self._bf16} {torch.__version__}"
        )
        name = hashlib.sha256(cache_key.encode()).hexdigest()[:32]
        self._cache = LogitsCache(cache_folder("teacher_logits") / f"{name}.sqlite")
        self._shown_as = [shown_as(net, size, student) for net in self._nets]

    def for_classes(self, classes: tuple[str, ...]) -> Teacher:
        """The same teacher with its logits in the order of these classes. It must have exactly these classes."""
        known = self.net.spec.classes
        missing, unexpected = sorted(set(classes) - set(known)), sorted(set(known) - set(classes))
        if missing or unexpected:
            raise RecipeError(
                f"{self._where}: the teacher was trained on other classes; missing: {', '.join(missing) or 'none'}; "
                f"unexpected: {', '.join(unexpected) or 'none'}"
            )
        if self.net.task != self._task:
            raise RecipeError(
                f"{self._where}: the teacher predicts samples with {self.net.task.title}, but these have {self._task.title}"
            )
        self._columns = [known.index(name) for name in classes]
        return self

    def features(self, batch: Batch) -> Tensor:
        """The input of the teacher's head for this batch, float32 (B, D)."""
        with self._inference(batch, [self.net]):
            return self.net.backbone(self._shown_as[0](_high_res(batch))).float()

    def logits(self, batch: Batch) -> Tensor:
        """The teacher's logits for this batch, float32 (B, K)."""
        if batch.hidden_mix or batch.cached_features:  # the view alone does not determine the logits
            return self._predict(batch)[:, self._columns]
        return self._cache.logits(_high_res(batch), lambda x_BCHW: self._predict(batch))[:, self._columns]

    def _predict(self, batch: Batch) -> Tensor:
        with self._inference(batch, self._nets):
            logits = [
                net(shown(_high_res(batch))).float()[
                    :, [net.spec.classes.index(name) for name in self.net.spec.classes]
                ]
                / t
                for net, shown, t in zip(self._nets, self._shown_as, self._temperatures)
            ]
        return logits[0] if len(logits) == 1 else self._task.combine(torch.stack(logits, dim=1))

    @contextlib.contextmanager
    def _inference(self, batch: Batch, nets: list[Net]) -> Iterator[None]:
        """Disables gradients and applies the student's hidden mix to the teacher."""
        if batch.cached_features:
            raise RecipeError(
                f"{self._name}: the teacher needs the samples, but this recipe caches the features of a frozen backbone instead; "
                "add a method that changes the samples (horizontal_flip), or train the backbone"
            )
        precision = torch.autocast(batch.x.device.type, torch.bfloat16, enabled=self._bf16)
        with contextlib.ExitStack() as stack:
            for net in nets:
                stack.enter_context(net.hidden_mix(batch.hidden_mix))
            with torch.no_grad(), precision:
                yield


class SameTeacher(Runtime):
    """Stores a digest of the teacher, so that a resumed training cannot continue with another teacher."""

    def __init__(self, name: str, run: str) -> None:
        self._where = f"{name}.teacher = '{run}'"
        self._digest = _digest_of(_classifier(self._where, run).folder) if run else ""

    def state_dict(self) -> dict[str, Any]:
        return {"digest": self._digest}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state["digest"] != self._digest:
            raise RunError(
                f"{self._where}: its weights are not those that this training started with; restore them, or start a new training"
            )


def _high_res(batch: Batch) -> Tensor:
    """The images of the batch at the highest available resolution."""
    return batch.x if batch.high_res is None else batch.high_res


def _classifier(where: str, teacher: str) -> _Networks:
    """The networks of the teacher that a setting names."""
    if name := _of_transformers(teacher):
        net, folder = load_classifier(name)
        return _Networks(((net, 1.0),), folder)
    model = finished_run(where, teacher).model
    folders = [model, *(folder for several in external_model_folders(model).values() for folder in several)]
    return _Networks(tuple((net, _temperature(folder)) for folder in folders for net in load_nets(folder)), model)


def _temperature(model: Path) -> float:
    """The temperature fitted to this model's own predictions on validation samples; 1 if none was fitted."""
    fitted = read_extra(model).get("fitted", {})
    stacked = fitted.get("stacking", {}).get("temperatures", [])
    return float(stacked[0] if stacked else fitted.get("temperature_scaling", {}).get("temperature", 1.0))


def _of_transformers(teacher: str) -> str | None:
    """The name or folder of a classifier of transformers; None for a whet run."""
    if teacher.startswith(_HUB):
        return teacher.removeprefix(_HUB)
    path = Path(teacher).expanduser()
    return str(path) if not RunFolder(path).finished and (path / "config.json").is_file() else None


def _trained_size(teacher: str) -> int | None:
    """The side length of the images that a teacher was trained with; None if it is unknown or the teacher does not use images."""
    if name := _of_transformers(teacher):
        return load_classifier(name)[0].spec.native_size
    run = RunFolder(Path(teacher).expanduser())
    recipe = Recipe.load(run.recipe) if run.recipe.is_file() else None
    return recipe.size if recipe is not None and recipe.medium == "image" else None


def _digest_of(folder: Path) -> str:
    """SHA-256 of the weights of a model and of its external models."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.safetensors")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
