"""When a run takes its folder."""

import pytest
from tests.conftest import FAST

from whet import recipes
from whet.core.errors import BusyError
from whet.core.output import claim
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder, write_whole
from whet.core.spec import DataSpec, ModelSpec
from whet.training.job import train_run
from whet.training.log import Observer


def small(data) -> Recipe:
    recipe = Recipe(data=DataSpec(path=str(data)), model=ModelSpec(architecture="lenet", weights="none"))
    return recipes.change(recipe, settings=(*FAST, "train.budget=1ep"), add=("sgd",))


def test_nothing_is_written_before_the_data_are_read_and_the_network_stands(images, tmp_path):
    seen = []

    class Looks(Observer):
        def phase(self, text: str) -> None:
            seen.append((text.split()[0], (tmp_path / "run").exists()))

    train_run(small(images), tmp_path / "run", observer=Looks())
    assert seen[0] == ("reading", False)
    assert seen[-1][1]


def test_a_run_that_another_process_began_meanwhile_is_busy(images, tmp_path):
    """Several processes may work on one study: the run that another one took is waited for, and has not failed."""

    class Slow(Observer):
        def phase(self, text: str) -> None:
            if text.startswith("reading"):
                write_whole(RunFolder(claim(tmp_path / "run", "run").path).recipe, small(images).to_yaml())

    with pytest.raises(BusyError, match="another process has started"):
        train_run(small(images), tmp_path / "run", observer=Slow())
