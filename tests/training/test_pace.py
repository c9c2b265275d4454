"""A budget in minutes is kept on a machine whose pace changes. All time here is simulated."""

import pytest

from whet.core.batch import Progress
from whet.methods import SGD, ProgressiveResize
from whet.testing.bench import make_bench
from whet.training.pace import Costs, Pace, validate_every

BUDGET = 1000.0
MOST = 10**6


def plan_of(*methods):
    return make_bench((SGD(), *methods)).plan


def pace_of(*methods, seconds=BUDGET, step=0.1, validation=0.0, ending=0.0, per_epoch=100, most=MOST, size=64):
    steps = step if isinstance(step, dict) else {size: step}
    return Pace(plan_of(*methods), size, Costs(seconds, steps, validation, ending), per_epoch, most)


def lived(pace, times, setup=20.0, validation=0.0, ending=0.0, step=0.1, per_epoch=100):
    """(seconds at the end of the run, the totals that were planned) where the work takes times(now) as long as it was timed."""
    now, totals = setup, [pace.steps_that_fit(0, setup)]
    every = per_epoch * validate_every(-(-totals[0] // per_epoch))
    pace.begin(0, now)
    done = 0
    while done < totals[-1]:
        now += step * times(now)
        done += 1
        if done < totals[-1]:
            total = pace.total_steps(Progress(done, totals[-1], per_epoch), now, every)
            totals += [total] if total != totals[-1] else []
        if done % every == 0 or done == totals[-1]:
            now += validation * times(now)
    return now + ending * times(now), totals


PACES = {
    "as timed": lambda now: 1.0,
    "slower than timed": lambda now: 1.4,
    "faster than timed": lambda now: 0.6,
    "three times slower midway": lambda now: 3.0 if now > BUDGET / 2 else 1.0,
    "three times faster midway": lambda now: 1.0 if now > BUDGET / 2 else 3.0,
    "three times slower early": lambda now: 3.0 if now > BUDGET / 5 else 1.0,
    "three times slower late": lambda now: 3.0 if now > 0.8 * BUDGET else 1.0,
    "now and then twice as slow": lambda now: 2.0 if now // 40 % 2 else 1.0,
    "a slow first epoch": lambda now: 3.0 if now < 60 else 1.0,
}


@pytest.mark.parametrize("per_epoch", [100, 5000])
@pytest.mark.parametrize("times", PACES.values(), ids=PACES)
def test_a_run_ends_within_a_tenth_of_its_budget(times, per_epoch):
    """20 s before the first step, a validation of 4 s, 30 s after the last step; also where an epoch takes half of it."""
    made = pace_of(validation=4.0, ending=30.0, per_epoch=per_epoch)
    end, totals = lived(made, times, validation=4.0, ending=30.0, per_epoch=per_epoch)
    assert 0.9 * BUDGET <= end <= 1.1 * BUDGET, totals
    assert len(totals) < 15


def test_a_machine_that_keeps_its_pace_keeps_its_plan():
    _, totals = lived(pace_of(), lambda now: 1 / 0.9)
    assert len(totals) == 1


def test_as_many_steps_as_fit():
    made = pace_of(seconds=100, step=0.1)
    made.slowdown = 1.0
    assert made.steps_that_fit(0, 0.0) == 970  # 97 s of 100
    assert made.steps_that_fit(0, 50.0) == 470
    assert made.steps_that_fit(400, 50.0) == 870
    assert made.steps_that_fit(400, 99.0) == 400  # the time is over
    made.slowdown = 2.0
    assert made.steps_that_fit(0, 0.0) == 485


def test_at_least_one_step_and_no_more_than_asked():
    assert pace_of(seconds=1, step=5.0).steps_that_fit(0, 10.0) == 1
    assert pace_of(most=300).steps_that_fit(0, 0.0) == 300


def test_validations_and_what_comes_after_the_last_step_count():
    made = pace_of(seconds=100, step=0.1, validation=5.0, ending=17.0, per_epoch=100)
    made.slowdown = 1.0
    assert made.steps_that_fit(0, 0.0) == 500  # 500 steps take 50 s and five validations, and one at the start, 30
    assert made.work(0, 500, 500) == pytest.approx(80)
    assert made.work(0, 250, 500, 100, ends=False) == pytest.approx(40)  # at 0, 100 and 200
    assert made.work(250, 500, 500, 100) == pytest.approx(40)  # at 300, 400 and the last


def test_smaller_images_at_the_start_buy_steps():
    step = {size: 0.1 * (size / 128) ** 2 for size in (64, 96, 128)}
    plain = pace_of(seconds=20, step=step, per_epoch=10, size=128)
    growing = pace_of(ProgressiveResize(start_fraction=0.5, full_at=1.0), seconds=20, step=step, per_epoch=10, size=128)
    assert growing.steps_that_fit(0, 0.0) > plain.steps_that_fit(0, 0.0)


@pytest.mark.parametrize("epochs", [1, 5, 12, 13, 40, 333])
def test_validations_are_every_epoch_while_few_then_about_twelve(epochs):
    validations = -(-epochs // validate_every(epochs))
    assert validations == epochs if epochs < 18 else 9 <= validations <= 14


def test_what_is_saved_goes_on_alike():
    made = pace_of(validation=4.0, ending=30.0)
    made.slowdown = 1.7
    again = Pace.from_state(plan_of(), 64, 100, MOST, made.state_dict())
    assert again.state_dict() == made.state_dict()
    assert again.steps_that_fit(200, 300.0) == made.steps_that_fit(200, 300.0)
