"""The page of a comparison of architectures, from figures made up for it."""

import shutil

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from tests.report.test_report import Page

from whet.core import strict_json
from whet.report import build_architectures
from whet.report.sections.architectures import _HEIGHT, _WIDTH, _is_pareto_optimal, _plot
from whet.report.text import amount, duration, memory, seconds

NAMES = (
    "lenet", "alexnet", "vgg16", "resnet9", "resnet18", "mobilenet_v2", "efficientnet_b0", "convmixer", "convnext_atto",
    "google/mobilenet_v2_1.0_224",
)  # fmt: skip

pytestmark = pytest.mark.usefixtures("painted")


def row(number, accuracy=None, **changes):
    accuracy = 0.7 + 0.02 * number if accuracy is None else accuracy
    difference = {"mean": -0.031, "low": -0.05, "high": -0.012, "p": 0.01, "verdict": "worse"}
    return {
        "name": NAMES[number], "failed": {}, "runs": [f"{NAMES[number]}-s0"], "seeds": [0], "value": accuracy,
        "low": accuracy - 0.03, "high": accuracy + 0.02, "validation": accuracy,
        "parameters": 60_000 * 2**number, "train_seconds": 300 + number, "seconds_per_sample": 0.0004 * (number + 1),
        "peak_memory_mib": 700 + 90 * number, "epochs": 4.0, "shown": "32 px", "pretrained": number == 9,
        "difference": difference, **changes,
    }  # fmt: skip


def story(rows, **changes):
    return {
        "name": "waste-architectures-1", "budget": "5m", "seeds": 1, "seconds": 900.0, "samples": 431, "part": "test",
        "metric": "accuracy", "chosen_by": "log-loss",
        "best": rows[0]["name"], "best_run": "best", "architectures": rows, **changes,
    }  # fmt: skip


@pytest.fixture
def built(finished_run, tmp_path):
    def build(told):
        shutil.copytree(finished_run, tmp_path / "best", dirs_exist_ok=True)
        strict_json.write(tmp_path / "architectures.json", told)
        text = build_architectures(tmp_path).read_text()
        page = Page(text)
        assert not page.faults and not page.open
        return " ".join(" ".join(page.text).split()), text

    return build


def test_every_row_with_its_costs_and_every_failure_with_its_reason(built):
    lost = {"name": "vit_tiny", "failed": {"vit_tiny-s0": "killed <b>by</b> the system"}, "runs": []}
    html, text = built(story([row(3, difference=None), row(0), row(9), lost]))
    for expected in (
        "4 architectures, each trained for 5 minutes", "431 test samples", "76.0 %", "−3.1", "−5.0 to −1.2", "worse",
        "60 thousand", "0.4 ms", "700 MiB", "1.5 GiB", "pretrained", "killed <b>by</b> the system", "Only one seed was trained",
        "Quality and cost",
    ):  # fmt: skip
        assert expected in html, expected
    assert "<b>by</b>" not in text


def test_where_all_failed_the_reasons_are_left(built):
    lost = {"name": "lenet", "failed": {"lenet-s0": "too small"}, "runs": []}
    html, _ = built(story([lost], best=None, best_run=None, samples=0, part=None))
    assert "No architecture could be trained" in html and "too small" in html and "Quality and cost" not in html


def test_is_pareto_optimal_are_those_that_no_other_beats():
    assert _is_pareto_optimal([1, 2, 3, 4, 4], [0.5, 0.7, 0.6, 0.9, 0.8]) == [True, True, False, True, False]
    assert _is_pareto_optimal([1, 1], [0.5, 0.5]) == [True, True]


@pytest.mark.parametrize("spread", [0.02, 0.002, 0.0])
def test_names_stand_apart_from_each_other_inside_the_panel(spread):
    figure = Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
    FigureCanvasAgg(figure)
    _plot(figure, [row(number, 0.8 + spread * (number % 4)) for number in range(len(NAMES))], "accuracy")
    figure.draw_without_rendering()
    for axes in figure.axes:
        boxes = [Text.get_window_extent(text) for text in axes.texts]  # without the lines to their points
        assert len(boxes) == len(NAMES)
        panel = axes.get_window_extent()
        for number, box in enumerate(boxes):
            assert panel.x0 <= box.x0 and box.x1 <= panel.x1
            assert not any(box.overlaps(other) for other in boxes[:number]), axes.texts[number]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (84, "84"),
        (61_326, "61 thousand"),
        (412_000, "0.41 million"),
        (6_573_120, "6.6 million"),
        (138_357_544, "138 million"),
    ],
)
def test_counts_as_people_say_them(value, text):
    assert amount(value) == text


def test_memory_and_times_as_people_say_them():
    assert (memory(640.4), memory(1536)) == ("640 MiB", "1.5 GiB")
    assert (seconds(0.00042), seconds(0.00996)) == ("0.4 ms", "10 ms")
    assert (duration("10ep"), duration("1h"), duration("500st")) == ("10 epochs", "1 hour", "500 steps")
