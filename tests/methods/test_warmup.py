import pytest

from whet.methods import Warmup


@pytest.mark.parametrize(("duration", "steps"), [("10st", 10), ("2ep", 20), ("0.3dur", 30)])
def test_even_steps_to_one(progress, duration, steps):
    factors = [Warmup(duration=duration).factor(progress(step)) for step in range(40)]
    assert factors[:steps] == pytest.approx([(step + 1) / steps for step in range(steps)])
    assert set(factors[steps:]) == {1.0}


def test_no_warmup(progress):
    assert Warmup(duration="0st").factor(progress(0)) == 1.0
