"""Any two methods that may stand together can be planned together, and train a step or render a batch, in any order."""

import itertools

import pytest

from whet.core.registry import registry
from whet.core.stages import Stage
from whet.testing.bench import made, make_bench, tasks_of, train_steps
from whet.training.checkpoint import digest
from whet.training.plan import ordered

METHODS = [cls for cls in registry() if cls.stage is not Stage.OPTIMIZER and "trains" not in cls.exceptions]
PAIRS = [
    (a, b)
    for a, b in itertools.combinations(METHODS, 2)
    if a.name not in b.conflicts
    and b.name not in a.conflicts
    and a.stage is b.stage
    and set(tasks_of(a)) & set(tasks_of(b))
]
STAGES = sorted({a.stage for a, _ in PAIRS})


def look_alike_in_either_order(stage, pairs):
    look = _batch_of if stage is Stage.SAMPLE else lambda bench: train_steps(bench, 1)
    for a, b in pairs:
        one, other = made(a), made(b)
        assert look(make_bench((other, one))) == look(make_bench((one, other))), (a.name, b.name)


def _batch_of(bench):
    """All that SAMPLE methods have a part in; that each trains, `check_trains` holds up."""
    return digest({"x": bench.batch(0).x})


def covering(pairs):
    """As many of the pairs as it takes for each method to stand in one, new methods first."""
    seen, chosen = set(), []
    for fresh in (2, 1):
        for a, b in pairs:
            if len({a, b} - seen) == fresh:
                seen |= {a, b}
                chosen.append((a, b))
    return chosen


@pytest.mark.parametrize("stage", STAGES)
def test_pairs_of_one_stage(stage):
    """Each method with another one."""
    pairs = [(a, b) for a, b in PAIRS if a.stage is stage]
    chosen = covering(pairs)
    assert {cls for pair in chosen for cls in pair} == {cls for pair in pairs for cls in pair}
    look_alike_in_either_order(stage, chosen)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_all_pairs_of_one_stage(stage):
    look_alike_in_either_order(stage, [(a, b) for a, b in PAIRS if a.stage is stage])


def test_a_plan_puts_every_pair_into_one_order():
    assert len(PAIRS) > 1000
    for a, b in PAIRS:
        one, other = made(a), made(b)
        assert ordered((one, other)) == ordered((other, one)), (a.name, b.name)


def test_conflicts_name_methods_that_exist_or_will():
    """A misspelt conflict would never act."""
    catalogue = {cls.name for cls in registry()} | {"random_crop"}
    for cls in registry():
        assert cls.conflicts <= catalogue, cls.name


def test_conflicts_are_mutual_in_effect():
    from whet.core.errors import RecipeError
    from whet.core.recipe import Recipe

    for cls in registry():
        for name in cls.conflicts & {other.name for other in registry()}:
            with pytest.raises(RecipeError, match="cannot be combined in one recipe"):
                Recipe(task=min(cls.tasks), methods=(cls(), registry().get(name)()))
