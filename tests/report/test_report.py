import re
import shutil
from html.parser import HTMLParser

import pytest

from whet.core import strict_json
from whet.core.errors import RunError
from whet.core.run_folder import RunFolder
from whet.report import build_report
from whet.report.text import percent, points, seconds

pytestmark = pytest.mark.usefixtures("painted")


class Page(HTMLParser):
    """Every tag with its attributes, and whether tags are closed in order."""

    VOID = {"meta", "img", "br", "use", "path", "rect", "line", "circle", "stop", "link"}

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.faults, self.text = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag in self.VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def page(finished_run):
    return Page(build_report(RunFolder(finished_run)).read_text())


def test_it_is_well_formed(page):
    assert not page.faults
    assert not page.open


def test_it_loads_nothing_and_runs_nothing(page, finished_run):
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "iframe", "object", "embed", "form", "base"}
    for tag, attrs in page.tags:
        for name, value in attrs.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "xlink:href"):
                assert value.startswith(("data:image/jpeg;base64,", "#")), (tag, value[:60])
    policy = next(attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    text = (finished_run / "report.html").read_text()
    assert not re.search(r"url\((?!#)", text)
    assert "http://" not in re.sub(r'"http://(www\.w3\.org|purl\.org|creativecommons)[^"]*"', "", text)


def test_every_part_is_there(page):
    text = " ".join(page.text)
    for heading in (
        "right on test samples", "Learning curves", "Results per class", "Confusion matrix", "Calibration",
        "Most confident mistakes", "Inputs of the model", "The data", "The recipe", "Environment",
    ):  # fmt: skip
        assert heading in text, heading
    for name in ("glass", "metal", "paper", "random_resized_crop", "resnet9_slim"):
        assert name in text
    assert sum(tag == "svg" for tag, _ in page.tags) == 2


def test_the_figures_are_those_of_the_run(page, finished_run):
    metrics = RunFolder(finished_run).read_json(finished_run / "metrics.json")
    text = " ".join(page.text)
    assert f"{100 * metrics['test']['accuracy']:.1f}" in text
    assert percent(metrics["test"]["macro_f1"]) in text
    for row in metrics["test"]["per_class"]:
        assert percent(row["recall"]) in text


def test_it_names_no_folder_of_this_machine(finished_run):
    text = (finished_run / "report.html").read_text()
    assert str(finished_run.parent) not in text
    assert "/tmp/" not in text


def test_what_a_person_named_is_shown_as_text_never_as_markup(finished_run, tmp_path):
    shutil.copytree(finished_run, tmp_path / "run")
    evil = "<script>alert(1)</script>"
    for name in (
        "metrics.json",
        "data.json",
        "mistakes/mistakes.json",
        "samples/samples.json",
        "predictions.csv",
        "model/whet.json",
    ):
        path = tmp_path / "run" / name
        path.write_text(path.read_text().replace("glass", evil))
    text = build_report(RunFolder(tmp_path / "run")).read_text()
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_many_classes_and_a_run_without_test_part(finished_run, tmp_path):
    shutil.copytree(finished_run, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    metrics = folder.read_json(folder.metrics)
    metrics.pop("test")
    rows = metrics["val"]["per_class"]
    names = [row["name"] for row in rows] + [f"extra{i}" for i in range(40)]
    metrics["val"]["per_class"] = rows + [{**rows[0], "name": n, "recall": None, "samples": 0} for n in names[3:]]
    size = len(names)
    metrics["val"]["confusion"] = [[0] * size for _ in range(size)]
    strict_json.write(folder.metrics, metrics)
    frame = folder.read_predictions()
    frame = frame[frame["split"] == "val"].assign(**{f"p:{n}": 0.0 for n in names[3:]})
    frame.to_csv(folder.predictions, index=False)
    text = build_report(folder).read_text()
    assert "There is no test split" in text
    assert "too many for a table" in text


def test_an_unfinished_run_is_said(tmp_path):
    (tmp_path / "requested.yaml").write_text("")
    with pytest.raises(RunError, match="has not finished"):
        build_report(RunFolder(tmp_path))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0123, "12 ms"), (3.21, "3.2 s"), (48.4, "48 s"), (60, "1 min"), (252, "4 min 12 s"), (7500, "2 h 5 min")],
)
def test_times_as_people_say_them(value, text):
    assert seconds(value) == text


def test_shares_as_people_say_them():
    assert percent(0.9234) == "92.3 %"
    assert percent(None) == "–"
    assert points(-0.0131) == "−1.3"
    assert points(0.05) == "+5.0"
