"""What was measured of a method stands on its card, good or bad."""

import json
import re
import runpy
from dataclasses import replace
from pathlib import Path

import pytest
import scipy.stats

from whet.core.card import card
from whet.core.measured import Measured, measured, support
from whet.core.registry import registry

ROOT = Path(__file__).resolve().parents[2]
HELPS = Measured(
    "digits",
    "helps",
    conditions="250 images, 20 epochs, resnet9_slim",
    plain=0.912,
    effect=0.014,
    low=0.003,
    high=0.025,
    seeds=3,
    time=1.5,
    certain=True,
)
NOT_SURE = Measured("CIFAR-10", "no evidence", how="lr 0.003 of 0.001, 0.003", plain=0.4, effect=-0.001, low=-0.01,
                    high=0.008, seeds=6, inference_time=2.0)  # fmt: skip
REFUSED = Measured("TrashNet", "cannot act", reason="the backbone has no biases")


def shown(*rows):
    return replace(card(registry().get("ema")), measured=rows).to_markdown()


def test_a_row_says_what_was_measured_where_and_how_surely():
    text = shown(HELPS, NOT_SURE, REFUSED)
    assert (
        "| digits | 250 images, 20 epochs, resnet9_slim | 91.2 % | +1.4 (+0.3 … +2.5) | 3 | × 1.50 | **helps** |"
        in text
    )
    assert (
        "| CIFAR-10; lr 0.003 of 0.001, 0.003 |  | 40.0 % | -0.1 (-1.0 … +0.8) | 6 | × 1.00, inference × 2.0 | no evidence; "
        "more than 100 seeds needed |" in text
    )
    assert "| TrashNet |  |  |  |  |  | cannot act here: the backbone has no biases |" in text
    assert support([HELPS, NOT_SURE, REFUSED]) == "helps on 1, no evidence on 1, cannot act on 1"


def test_log_loss_keeps_its_own_unit():
    row = Measured("digits", "helps", metric="log_loss", plain=0.4, effect=-0.05, low=-0.06, high=-0.04, seeds=3)
    assert "| log-loss 0.400 | -0.050 (-0.060 … -0.040) |" in shown(row)


@pytest.mark.parametrize("rows", [(), (NOT_SURE,), (REFUSED,), (replace(HELPS, verdict="hurts"),)])
def test_a_method_that_no_measurement_supports_says_so(rows):
    assert "No measurement supports this method yet." in shown(*rows)
    assert "No measurement" not in shown(*rows, HELPS)


def test_the_index_says_it_too():
    index = runpy.run_path(str(ROOT / "docs" / "write_cards.py"))["index"]
    cards = {name: card(registry().get(name)) for name in ("ema", "swa")}
    cards["ema"] = replace(cards["ema"], measured=(HELPS, NOT_SURE))
    cards["swa"] = replace(cards["swa"], measured=())
    lines = index(cards).splitlines()
    assert any(line.startswith("| [ema]") and line.endswith("| helps on 1, no evidence on 1 |") for line in lines)
    assert any(line.startswith("| [swa]") and line.endswith("| not measured |") for line in lines)
    assert "[average](#average) (2)" in lines
    assert "## average" in lines


def test_the_rows_that_come_with_whet_are_readable_and_name_methods_that_exist():
    file = ROOT / "src" / "whet" / "methods" / "measured.json"
    if not file.is_file():
        pytest.skip("no measurement is recorded yet")
    for name in json.loads(file.read_text()):
        assert name in registry()
        assert all(row.seeds >= 3 or row.verdict == "cannot act" for row in measured(name))


def test_what_would_tell_is_said_where_nothing_is_evident():
    """With S seeds the error is se sqrt(3 / S); found in four cases of five where effect >= (t_0.975 + t_0.8) of that."""
    row = Measured("digits", "no evidence", effect=0.01, low=-0.005, high=0.025, seeds=3)
    error = 0.015 / scipy.stats.t.ppf(0.975, 2)

    def power(seeds):
        t = scipy.stats.t(seeds - 1)
        return 0.01 / (error * (3 / seeds) ** 0.5) - t.ppf(0.975) - t.ppf(0.8)

    needed = next(seeds for seeds in range(4, 100) if power(seeds) >= 0)
    assert row.cells()[-1] == f"no evidence; at least {needed} seeds needed"
    assert replace(row, effect=0.0).cells()[-1] == "no evidence"


@pytest.mark.parametrize("cls", list(registry()), ids=lambda cls: cls.name)
def test_every_row_of_a_card_s_tables_has_as_many_cells_as_its_header(cls):
    tables = re.findall(r"(?:^\|.*\|\n)+", card(cls).to_markdown(), re.MULTILINE)
    for table in tables:
        cells = [len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()]
        assert len(set(cells)) == 1, table


def test_a_card_says_first_what_the_measurements_came_to():
    assert "**Measured effect:** helps on 1, hurts on 1" in shown(HELPS, replace(HELPS, verdict="hurts"))
    assert "**Measured effect:** not measured" in shown()


def test_every_row_that_comes_with_whet_says_what_was_learned_from():
    for name in json.loads((ROOT / "src" / "whet" / "methods" / "measured.json").read_text()):
        for row in measured(name):
            assert (
                re.fullmatch(r"[\d,]+ (images|texts|clips), \d+ epochs, .+", row.conditions) or row.data == "any data"
            ), name
