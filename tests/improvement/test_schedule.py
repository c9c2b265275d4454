"""What is told of the plan before it begins."""

from whet.core.duration import Duration
from whet.improvement.schedule import make_schedule


def lines(budget, seeds=None):
    schedule = make_schedule(Duration.parse(budget), seeds, None, None, can_tune=True)
    return schedule, " ".join(schedule.summary(3, ["plain", "strong"]))


def test_a_budget_for_one_seed_names_the_one_that_gives_a_verdict():
    schedule, told = lines("29m")
    assert schedule.seeds == 1 and "no verdict; a budget of 30m or more trains 3" in told
    schedule, told = lines("30m")
    assert schedule.seeds == 3 and "no verdict" not in told
    schedule, told = lines("4m", seeds=3)
    assert schedule.seeds == 3 and "no verdict" not in told
