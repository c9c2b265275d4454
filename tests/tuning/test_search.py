"""How long the trials of a search may be."""

from types import SimpleNamespace

import pytest

from whet.core.recipe import Recipe
from whet.methods import AdamW, Finetune
from whet.training.log import Observer
from whet.tuning.search import decide_length


class Asked(Exception):
    """Ends the search with the first run that it asks for."""


def test_the_run_that_tells_how_long_trials_may_be_is_of_the_recipe_that_they_train(tmp_path):
    """A recipe that turned to something cheaper in little time would tell the cost of that."""

    def run(tasks):
        raise Asked(tasks[0].recipe)

    runner = SimpleNamespace(
        clock=SimpleNamespace(limit=600.0),
        executor=SimpleNamespace(jobs=1, run=run),
        path=tmp_path,
        watch=Observer(),
        data=None,
    )
    with pytest.raises(Asked) as asked:
        decide_length(Recipe(methods=(Finetune(few_epochs="turn"), AdamW())), runner, 20, 0.6)
    recipe = asked.value.args[0]
    assert recipe.method("finetune").few_epochs == "keep" and recipe.train.budget.is_time
