"""What `whet improve` studies and tunes in a recipe, and how it divides its time."""

import pytest

from whet import recipes
from whet.core.duration import Duration
from whet.core.recipe import parse_method
from whet.improvement.pipeline import _with_obvious
from whet.improvement.questions import factors
from whet.improvement.schedule import make_schedule

MINUTE = 60


def test_what_does_alike_is_studied_together():
    """By what is drawn, not by a list of names: whatever moves pixels is geometry, whatever changes their values is colour."""
    asked = recipes.load("image/waste").with_methods(parse_method("random_erasing"))
    groups = {factor.name: [method.name for method in factor.methods] for factor in factors(asked, alone=False)}
    assert groups["geometry"] == ["random_resized_crop", "horizontal_flip", "vertical_flip", "rotate", "shear"]
    assert groups["colour"] == ["brightness", "contrast", "saturation", "hue"]
    assert {"mixup", "label_smoothing", "ema", "tta", "random_erasing"} <= set(groups)
    alone = [factor.name for factor in factors(asked, alone=True)]
    assert sorted(alone) == sorted(name for members in groups.values() for name in members)


@pytest.mark.parametrize("name", ["text/from_scratch", "audio/from_scratch"])
def test_texts_and_audio_are_grouped_by_family(name):
    asked = recipes.load(name)
    together, alone = factors(asked, alone=False), factors(asked, alone=True)
    assert sorted(m.name for factor in together for m in factor.methods) == sorted(factor.name for factor in alone)
    assert len(together) <= len(alone)


@pytest.mark.parametrize(
    ("limit", "studying", "tuning", "alone", "seeds"),
    [
        ("10m", False, False, False, 1),
        ("20m", True, False, False, 1),
        ("40m", True, False, False, 3),
        ("1h", True, True, True, 3),
        ("3h", True, True, True, 3),
        ("6ep", False, False, True, 3),
    ],
)
def test_what_a_time_is_enough_for(limit, studying, tuning, alone, seeds):
    found = make_schedule(Duration.parse(limit), None, None, None, can_tune=True)
    assert (found.studying, found.tuning, found.alone, found.seeds) == (studying, tuning, alone, seeds)


def test_the_plan_names_every_part_and_adds_up():
    found = make_schedule(Duration.parse("1h"), None, None, None, can_tune=True)
    lines = list(found.summary(14, ["plain", "strong"]))
    assert [line.split(", ")[-1].split(" min")[0] for line in lines] == ["21", "9", "30"]
    assert "14 techniques" in lines[0]
    usual = Duration.parse("20ep")
    assert found.of_study(usual).seconds == 21 * MINUTE and found.of_tuning(usual).seconds == 9 * MINUTE
    assert not make_schedule(Duration.parse("1h"), None, None, None, can_tune=False).tuning


def test_one_seed_is_said_to_judge_nothing():
    lines = list(make_schedule(Duration.parse("6m"), None, None, None, can_tune=True).summary(9, ["plain", "strong"]))
    assert "one seed each" in lines[0] and "no verdict" in lines[1]
    several = make_schedule(Duration.parse("6m"), 3, None, None, can_tune=True).summary(9, ["plain", "strong"])
    assert "no verdict" not in " ".join(several)


def test_what_takes_one_pass_stands_for_the_plain_recipe_where_time_is_short():
    asked = {"plain": recipes.load("image/plain_finetune"), "strong": recipes.load("image/waste")}
    obvious = {"frozen": recipes.load("image/frozen")}
    for limit, keep, names, once in (
        ("6m", False, ["plain", "strong"], {"plain"}),
        ("6m", True, ["plain", "strong", "frozen"], {"frozen"}),
        ("1h", False, ["plain", "strong", "frozen"], {"frozen"}),
    ):
        schedule = make_schedule(Duration.parse(limit), None, None, None, can_tune=True)
        found, at_once = _with_obvious(asked, obvious, schedule, keep_plain=keep)
        assert (list(found), at_once) == (names, once)
        assert found[next(iter(once))] == obvious["frozen"]


@pytest.mark.parametrize(("budget", "checks"), [("3m", False), ("5m", True), ("20ep", True)])
def test_the_data_are_checked_first_where_that_leaves_time_to_train(budget, checks):
    assert make_schedule(Duration.parse(budget), None, None, None, can_tune=False).checking is checks
