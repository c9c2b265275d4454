import base64
import hashlib
import re
import shutil
from html.parser import HTMLParser

import pytest

from whet.core import strict_json
from whet.core.errors import RunError
from whet.core.run_folder import RunFolder
from whet.report import build, build_report
from whet.report.text import percent, points, seconds

pytestmark = pytest.mark.usefixtures("painted")


class Page(HTMLParser):
    """Every tag with its attributes, and whether tags are closed in order."""

    VOID = {"meta", "img", "br", "input", "use", "path", "rect", "line", "circle", "stop", "link"}

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


def scripts(text):
    """The programs of a page, without its data."""
    return re.findall(r"<script>(.*?)</script>", text, re.DOTALL)


def test_it_loads_nothing_and_runs_its_own_script_alone(page, finished_run):
    tags = {tag for tag, _ in page.tags}
    (script,) = scripts((finished_run / "report.html").read_text())
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy.endswith(f"script-src 'sha256-{digest}'")
    assert not re.search(r"fetch|XMLHttpRequest|WebSocket|import\(|eval|innerHTML", script)
    assert {attrs.get("type") for tag, attrs in page.tags if tag == "script"} == {None, "application/json"}
    assert not tags & {"link", "iframe", "object", "embed", "form", "base"}
    for tag, attrs in page.tags:
        for name, value in attrs.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "xlink:href"):
                assert value.startswith(("data:image/jpeg;base64,", "#")), (tag, value[:60])
    assert policy.startswith("default-src 'none'")
    text = (finished_run / "report.html").read_text()
    assert not re.search(r"url\((?!#|data:image/jpeg)", text)
    assert "http://" not in re.sub(r'"http://(www\.w3\.org|purl\.org|creativecommons)[^"]*"', "", text)


def test_every_part_is_there(page):
    text = " ".join(page.text)
    for heading in (
        "right on test samples", "Learning curves", "Results per class", "Confusion matrix", "Calibration",
        "Most confident mistakes", "Inputs of the model", "The data", "The recipe", "Environment", "Ranking by probability",
        "Threshold of confidence", "Examples of each class", "Map of the samples", "Use it",
    ):  # fmt: skip
        assert heading in text, heading
    for name in ("glass", "metal", "paper", "random_resized_crop", "resnet9_slim"):
        assert name in text
    assert sum(tag == "svg" and "aria-label" in attrs for tag, attrs in page.tags) == 5  # with the map and the chooser


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
        "examples/examples.json",
        "predictions.csv",
        "model/whet.json",
    ):
        path = tmp_path / "run" / name
        path.write_text(path.read_text().replace("glass", evil))
    text = build_report(RunFolder(tmp_path / "run")).read_text()
    assert evil not in text
    assert len(scripts(text)) == 1
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


def test_the_page_stays_below_its_limit(finished_run, tmp_path, monkeypatch):
    """The examples of classes get what is left; with too little of it there is no empty section."""
    shutil.copytree(finished_run, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    whole = build_report(folder).stat().st_size
    assert whole < build.LIMIT
    monkeypatch.setattr(build, "LIMIT", whole - 10_000)
    assert build_report(folder).stat().st_size < whole - 10_000
    assert "not shown, to keep the page small" in folder.report.read_text()
    monkeypatch.setattr(build, "LIMIT", 0)
    build_report(folder)
    assert "Examples of each class" not in folder.report.read_text()


def test_a_run_of_an_earlier_version_has_no_empty_section(finished_run, tmp_path):
    shutil.copytree(finished_run, tmp_path / "run", ignore=shutil.ignore_patterns("examples", "feature_map"))
    text = build_report(RunFolder(tmp_path / "run")).read_text()
    assert "Examples of each class" not in text
    assert "Map of the samples" not in text


def test_figures_take_the_colours_of_the_page(finished_run):
    text = (finished_run / "report.html").read_text()
    assert "stroke: var(--accent)" in text
    assert not re.search(r"(stroke|fill): #005a48", text)
