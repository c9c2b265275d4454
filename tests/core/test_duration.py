import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.core.duration import Duration
from whet.core.errors import RecipeError


@pytest.mark.parametrize(
    ("text", "steps"), [("3ep", 30), ("7st", 7), ("0.25dur", 50), ("1.5ep", 15), ("0st", 0), ("1dur", 200)]
)
def test_steps(text, steps):
    assert Duration.parse(text).steps(steps_per_epoch=10, total_steps=200) == steps


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200), ("0.5m", 30)])
def test_wall_time(text, seconds):
    assert Duration.parse(text).is_time
    assert Duration.parse(text).seconds == seconds
    with pytest.raises(RecipeError, match="wall time"):
        Duration.parse(text).steps(1, 1)


@pytest.mark.parametrize("text", ["10", "ep", "-1ep", "1.5", "3 weeks", "", "nanep", "2dur", "1e400ep", "10 ep 5"])
def test_refused_with_what_is_accepted(text):
    with pytest.raises(RecipeError, match=r"20ep|fraction|finite"):
        Duration.parse(text)


def test_epochs_are_not_seconds():
    with pytest.raises(RecipeError, match="not a wall time"):
        _ = Duration.parse("10ep").seconds


@given(st.integers(0, 10**6), st.sampled_from(["ep", "st", "s", "m", "h"]))
def test_text_round_trip(value, unit):
    duration = Duration(float(value), unit)
    assert Duration.parse(str(duration)).unit == unit
    assert Duration.parse(str(duration)) == duration


@given(st.floats(0, 1e300), st.sampled_from(["ep", "st", "s", "m", "h"]))
def test_no_digit_is_lost_in_text(value, unit):
    """Two budgets are never one text, and so never one hash."""
    assert Duration.parse(str(Duration(value, unit))) == Duration(value, unit)


def test_text_is_as_it_is_written():
    for text in ("1234567st", "20ep", "0.1dur", "1.5h"):
        assert str(Duration.parse(text)) == text


@pytest.mark.parametrize("text", ["0ep", "0st", "0.0m"])
def test_a_budget_is_longer_than_nothing(text):
    from whet.core.spec import TrainSpec

    for key in ("budget", "validate_every", "checkpoint_every"):
        with pytest.raises(RecipeError, match="accepted: more than 0"):
            TrainSpec(**{key: text})
