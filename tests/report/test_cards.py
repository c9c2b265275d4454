"""What notebooks show of results: the numbers, in the colours of the notebook, without scripts and without the network."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from tests.conftest import train_small
from tests.report.english import english_sentences

import whet
from whet.core.errors import RunError
from whet.core.language import in_language
from whet.report.cards import Card, Span, of_check
from whet.report.figures import Drawing

pytestmark = pytest.mark.usefixtures("painted")


def sound(html: str) -> None:
    """It is one element, loads nothing, runs nothing, and names no folder of this machine."""
    assert html.count("<div") == html.count("</div>") and html.startswith('<div class="whet">')
    assert not re.search(r"<script|<link|<img|https?:|url\(|@import|on\w+=", html)
    assert str(Path.cwd()) not in html and "/tmp" not in html
    rules = re.search("<style>(.*)</style>", html, re.DOTALL)[1]
    selectors = [one.strip() for rule in re.findall(r"([^{}]+)\{", rules) for one in rule.split(",")]
    assert all(one == "div.whet" or one.startswith("div.whet ") for one in selectors)


@pytest.fixture
def run(finished_run: Path, monkeypatch: pytest.MonkeyPatch) -> whet.Run:
    monkeypatch.chdir(finished_run.parent)
    return whet.load("run")


def test_a_run(run: whet.Run) -> None:
    html = run._repr_html_()
    sound(html)
    result = run.metrics["test"]
    low, high = result["accuracy_interval"]
    for text in (
        f"{100 * result['accuracy']:.1f} %",
        f"{100 * low:.1f} % to {100 * high:.1f} %",
        "3 classes",
        "seed 1",
    ):
        assert text in html
    assert f"left:{100 * low:.1f}%;right:{100 - 100 * high:.1f}%" in html
    assert 'href="run/report.html"' in html
    assert repr(run) == "Run('run')"


def test_names_are_no_markup(run: whet.Run) -> None:
    renamed = run.path.with_name("<img src=x>")
    shutil.copytree(run.path, renamed)
    html = whet.load(renamed)._repr_html_()
    sound(html)
    assert "&lt;img src=x&gt;" in html and 'href="%3Cimg%20src%3Dx%3E/report.html"' in html


def test_a_run_that_has_not_finished(run: whet.Run, tmp_path: Path) -> None:
    (tmp_path / "half").mkdir()
    shutil.copy(run.folder.requested, tmp_path / "half")
    html = whet.load(tmp_path / "half")._repr_html_()
    sound(html)
    assert "has not finished" in html


def test_in_chinese(run: whet.Run) -> None:
    with in_language("zh"):
        html = run._repr_html_()
    assert english_sentences(html) == [] and "个测试样本" not in html and "训练样本" in html


def test_a_comparison_shows_the_interval_of_whet_compare(run: whet.Run, tmp_path: Path) -> None:
    data = run.path.parent / "images"
    done = train_small(data.resolve(), tmp_path / "other", "--seed", "1", budget="1ep")
    assert done.returncode == 0, done.stderr
    found = whet.compare(run, tmp_path / "other")
    reference, (other,) = found  # it is the pair that it always was
    assert reference.name == "run" and other.group.name == "other"
    html = found._repr_html_()
    sound(html)
    low, high = (f"{100 * end:+.1f}".replace("-", "−") for end in (other.difference.low, other.difference.high))
    assert f"{low} to {high}" in html and "not assessed" in html and "Fewer than three seeds" in html
    assert "other: " in repr(found) and "array(" not in repr(found)
    axes = found.plot_differences().axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["other"]
    assert axes.lines[1].get_xdata() == pytest.approx([100 * other.difference.low, 100 * other.difference.high])


def test_a_check(tmp_path: Path) -> None:
    from whet.data.audit import Finding

    findings = [Finding("leak across splits", "problem", "<b>2</b> texts leak"), Finding("note", "fact", "a & b")]
    html = of_check(findings, 10, 2, None)
    sound(html)
    assert "&lt;b&gt;2&lt;/b&gt; texts leak" in html and '<tr class="bad">' in html and "2 excluded" in html


def test_an_interval_is_drawn_where_it_lies() -> None:
    html = Card("run", "a", span=Span(0.25, 0.5, 0.75, zero=0.4), figure="50 %").html()
    assert '<u style="left:40.0%">' in html and "left:25.0%;right:25.0%" in html and '<b style="left:50.0%">' in html


def test_plots_are_figures_that_show_themselves(run: whet.Run) -> None:
    for figure in (run.plot_curves(), run.plot_confusion(), run.plot_calibration()):
        assert isinstance(figure, Figure)
        assert figure._repr_png_().startswith(b"\x89PNG")
    table = run.plot_confusion().axes[0]
    assert [text.get_text() for text in table.get_yticklabels()] == list(run.classes)
    numbers = {(int(text.get_position()[1]), int(text.get_position()[0])): int(text.get_text()) for text in table.texts}
    confusion = run.metrics["test"]["confusion"]
    assert numbers == {(i, j): n for i, row in enumerate(confusion) for j, n in enumerate(row) if n}


def test_a_plot_that_a_task_does_not_have(run: whet.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(run.folder.task), "sections", ())
    with pytest.raises(RunError, match="has no confusion matrix"):
        run.plot_confusion()


def test_without_chinese_letters_a_figure_is_english(monkeypatch: pytest.MonkeyPatch) -> None:
    from whet.core.language import tr
    from whet.report import figures

    drawing = Drawing(2, 2, lambda figure: figure.suptitle(tr("Loss")), "")
    monkeypatch.setattr(figures.font_manager, "get_font_names", lambda: ["DejaVu Sans"])
    with in_language("zh"):
        assert drawing.figure().get_suptitle() == "Loss"
        monkeypatch.setattr(figures.font_manager, "get_font_names", lambda: ["Noto Sans CJK SC"])
        assert drawing.figure().get_suptitle() == "损失"
