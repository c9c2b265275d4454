"""A finished run as a teacher: its network answers the very views that a student learns from."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from whet.core.batch import Batch
from whet.core.errors import NoEffectError, RecipeError, RunError
from whet.core.method import Runtime
from whet.core.run_folder import RunFolder, finished_run
from whet.data.store import cache_folder
from whet.methods.distill.kept_answers import KeptAnswers
from whet.models.build import load_net, read_extra
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
_HUB = "hub:"


class Teacher:
    """The network of a finished run, in evaluation mode, on its student's device, in the precision it was measured with."""

    def __init__(self, name: str, run: str, student: Net) -> None:
        if not run:
            raise NoEffectError("no teacher is named; set teacher to the folder of a finished run")
        self._name = name
        self._where = f"{name}.teacher = '{run}'"
        net, folder = _classifier(self._where, run)
        self.net = net.on(student.device).requires_grad_(False)
        ours = (folder / "whet.json").is_file()
        self._bf16 = ours and read_extra(folder).get("precision") == "bf16"
        self._multi_label = student.spec.multi_label
        self._columns = list(range(len(self.net.spec.classes)))
        seen_as = f"{_digest_of(folder)} {student.front} {self._bf16} {torch.__version__}"
        name = hashlib.sha256(seen_as.encode()).hexdigest()[:32]
        self._kept = KeptAnswers(cache_folder("answers") / f"{name}.sqlite")
        self._shown_as = shown_as(self.net, None, student)

    def for_classes(self, classes: tuple[str, ...]) -> Teacher:
        """The same teacher, its logits in the order of these classes; it must know them and no others."""
        known = self.net.spec.classes
        lacking, besides = sorted(set(classes) - set(known)), sorted(set(known) - set(classes))
        if lacking or besides:
            raise RecipeError(
                f"{self._where}: it was trained on other classes; it lacks {', '.join(lacking) or 'none'} and knows "
                f"{', '.join(besides) or 'none'} besides"
            )
        if self.net.spec.multi_label != self._multi_label:
            theirs = "may say several classes" if self.net.spec.multi_label else "says one class"
            raise RecipeError(
                f"{self._where}: it {theirs} of a sample, and these may have {'several' if self._multi_label else 'one'}"
            )
        self._columns = [known.index(name) for name in classes]
        return self

    def features(self, batch: Batch) -> Tensor:
        """What its head is given for this batch, float32 (B, D)."""
        with self._shown(batch) as x_BCHW:
            return self.net.backbone(x_BCHW).float()

    def logits(self, batch: Batch) -> Tensor:
        """Its answer to this batch, float32 (B, K)."""
        if batch.inside or batch.features_kept:  # the view alone does not tell the answer
            return self._asked(batch)[:, self._columns]
        return self._kept.answers(batch.x, lambda x_BCHW: self._asked(batch))[:, self._columns]

    def _asked(self, batch: Batch) -> Tensor:
        with self._shown(batch) as x_BCHW:
            return self.net(x_BCHW).float()

    @contextlib.contextmanager
    def _shown(self, batch: Batch) -> Iterator[Tensor]:
        """Without gradients, with whatever is mixed inside the student mixed inside the teacher too."""
        if batch.features_kept:
            raise RecipeError(
                f"{self._name}: the teacher needs the samples, but this recipe keeps features of a frozen backbone in their place; "
                "add a method that changes the samples (horizontal_flip), or train the backbone"
            )
        precision = torch.autocast(batch.x.device.type, torch.bfloat16, enabled=self._bf16)
        with torch.no_grad(), precision, self.net.changed_inside(batch.inside):
            yield self._shown_as(batch.x)


class SameTeacher(Runtime):
    """Remembers the teacher that a training began with, so that it does not go on with another."""

    def __init__(self, name: str, run: str) -> None:
        self._where = f"{name}.teacher = '{run}'"
        self._digest = _digest_of(_classifier(self._where, run)[1]) if run else ""

    def state_dict(self) -> dict[str, Any]:
        return {"digest": self._digest}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state["digest"] != self._digest:
            raise RunError(
                f"{self._where}: its weights are not those that this training began with; put them back, or begin anew"
            )


def _classifier(where: str, teacher: str) -> tuple[Net, Path]:
    """The network that a setting names, and the folder of its files."""
    if teacher.startswith(_HUB):
        return load_classifier(teacher.removeprefix(_HUB))
    path = Path(teacher).expanduser()
    if not RunFolder(path).finished and (path / "config.json").is_file():
        return load_classifier(str(path))
    model = finished_run(where, teacher).model
    return load_net(model), model


def _digest_of(folder: Path) -> str:
    """SHA-256 of a model's weights."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
