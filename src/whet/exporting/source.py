"""The finished run that is exported: its model, and its own samples."""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Sequence
from pathlib import Path

from whet.bundle.bundle import NEEDED
from whet.core.errors import RunError
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.core.stages import Compresses
from whet.exporting.reference import Part, Reference
from whet.run import Run
from whet.run_samples import own_samples
from whet.training.data_record import moved


class Source:
    """recipe: with the present location of the data. judging: the split that judges, test if there is one, otherwise val."""

    def __init__(self, folder: RunFolder, recipe: Recipe, reference: Reference) -> None:
        self.folder, self.recipe, self.reference = folder, recipe, reference
        self.judging = "test" if "test" in folder.read_json(folder.metrics) else "val"
        self._parts: dict[str, Part] = {}

    @classmethod
    def open(cls, run: str | Path | Run, data: str | Path | None = None) -> Source:
        """data: the new location of the run's data if they were moved. RunError for a run that cannot be exported."""
        if importlib.util.find_spec("onnxruntime") is None or importlib.util.find_spec("onnxscript") is None:
            raise RunError(NEEDED)
        folder = RunFolder.open(run.path if isinstance(run, Run) else run)
        if not folder.finished:
            raise RunError(f"{folder.path} is not finished; continue it with: whet train --resume {folder.path}")
        recipe = Recipe.load(folder.recipe)
        if data is not None:
            recipe = recipe.replace(data=moved(recipe.data, data))
        if not folder.task.needs_labels:
            raise RunError(f"{folder.path} is a pre-training: it predicts nothing that could be exported")
        if not folder.task.decision:
            raise RunError(f"{folder.path} is a run of {recipe.task} ({folder.task.name}), which cannot be exported")
        return cls(folder, recipe, Reference(folder))

    def altered(self, compressing: Sequence[Compresses] = (), leave_out: Collection[str] = ()) -> Source:
        """The same run with another model, see `Reference`."""
        other = Source(self.folder, self.recipe, Reference(self.folder, compressing, leave_out))
        other._parts = self._parts
        return other

    def part(self, split: str) -> Part:
        """The samples of a split; the data are read once."""
        if not self._parts:
            table, classes = own_samples(self.folder, self.recipe), self.reference.saved.classes
            found = {one for one in ("train", "val", "test") if len(table.part(one))}
            self._parts |= {one: Part.of(table, one, classes) for one in found | {self.judging}}
        return self._parts[split]
