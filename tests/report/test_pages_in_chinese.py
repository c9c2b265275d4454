"""Pages and summaries in Chinese: no English sentence is left in them. The pages of a search and of `whet improve` are tested where
they are made."""

import re
from pathlib import Path

import pytest
from tests.conftest import whet, write_images
from tests.report.english import english_in, english_sentences
from tests.report.test_sections_architectures import NAMES, row, story

import whet as whet_package
from whet.core import strict_json
from whet.core.language import in_language
from whet.core.run_folder import RunFolder
from whet.evaluate.difference import Difference
from whet.report import build_architectures, build_report, build_study
from whet.report.cards import of_architectures, of_study
from whet.studies.effects import ToDecide
from whet.studies.evidence import Effect, Price

pytestmark = pytest.mark.usefixtures("painted")


@pytest.fixture
def chinese():
    with in_language("zh"):
        yield


def test_the_reader_of_pages_finds_english() -> None:
    assert english_sentences("<p>Each interval is for one technique.</p><pre>this is not read at all</pre>")
    assert english_sentences('<img alt="evidence for the predicted class">')
    assert not english_sentences("<p>按验证集选出 macro-F1</p><p lang='en'>What a method does is English</p>")


def test_a_run(finished_run: Path, chinese: None) -> None:
    page = build_report(RunFolder(finished_run)).read_text(encoding="utf-8")
    assert '<html lang="zh">' in page
    assert "混淆矩阵" in page and "学习曲线" in page and "验证" in page
    assert "置信度与准确率的平均差距为 <b>" in page  # markup of sentences is markup
    assert english_sentences(page) == []


def test_the_language_of_one_call(finished_run: Path) -> None:
    run = whet_package.load(finished_run)
    assert "混淆矩阵" in run.report(language="zh").read_text(encoding="utf-8")
    assert "Confusion matrix" in run.report().read_text(encoding="utf-8")
    with pytest.raises(whet_package.WhetError, match="unknown language 'fr'"):
        run.report(language="fr")


def _effects() -> list[Effect]:
    """One of every verdict."""

    def effect(name: str, mean: float, p: float, seeds: int = 3, metric: str = "macro_f1", **further: object) -> Effect:
        found = Difference(mean, mean - 0.01, mean + 0.01, p, seeds, 100, "")
        costs = {key: Price(ratio, ratio - 0.01, ratio + 0.01) for key, ratio in (("train_seconds", 1.2), ("peak_memory_mib", 1),
                                                                                 ("seconds_per_sample", 0.9))}  # fmt: skip
        per_class = {"glass": found, "metal": found}
        return Effect(name, metric, found, p, costs, per_class, **{"to_decide": None, **further})  # type: ignore[arg-type]

    return [
        effect("mixup", 0.03, 0.01),
        effect("cutout", -0.03, 0.01, metric="accuracy", hurts_classes=("glass", "metal")),
        effect("hue", 0.001, 0.9, to_decide=ToDecide(12, 300)),
        effect("sharpen", 0.001, 0.9, to_decide=ToDecide(12)),
        effect("blur", 0.001, 0.9, metric="log_loss", p_too_small=0.01),
        effect("geometry", 0.01, 0.5, seeds=1),
        Effect("vit_tiny", "accuracy", None, 1.0, {}, {}, None, "out of memory"),
    ]


def test_a_study(tmp_path: Path, chinese: None) -> None:
    measured = {"mean": 0.02, "low": 0.01, "high": 0.03, "verdict": "helps", "samples": 431, "seeds": 3}
    curves = {name: [[[1.0, 0.5], [2.0, 0.6]]] for name in ("original", "changed")}
    confirmed = {
        **measured,
        "part": "test",
        "each": "10ep",
        "validation": measured,
        "curve_of": "accuracy",
        "curves": curves,
    }
    told = {
        "name": "waste-study", "design": "screen", "metric": "macro_f1", "runs": 24, "seeds": 3, "samples": 400, "left_out": 3,
        "each": "3ep", "smaller": 0.6, "limit": 3600.0, "seconds": 3500.0, "failures": {"a-s0": "killed"}, "interactions": [],
        "spent": [{"what": "first runs for timing", "runs": 2, "seconds": 30.0},
                  {"what": "screen, seed 0", "runs": 8, "seconds": 900.0},
                  {"what": "confirmation, seed 4", "runs": 2, "seconds": 9.0}],
        "effects": [
            one.row() | {
                "sentence": one.sentence(), "per_class": {name: vars(d) for name, d in one.per_class.items()},
                "hurts_classes": one.hurts_classes, "prices": {name: price.text() for name, price in one.costs.items()},
            }
            for one in _effects()
        ],
        "groups": {"geometry": ["rotate", "shear"]}, "changed": ["mixup"], "sure": False, "adopted": True, "confirmed": confirmed,
    }  # fmt: skip
    (tmp_path / "recommended.yaml").write_text("methods: [mixup]\n")
    for change in ({}, {"confirmed": None}, {"confirmed": None, "changed": []}, {"adopted": False, "sure": True}):
        strict_json.write(tmp_path / "study.json", told | change)
        page = build_study(tmp_path).read_text(encoding="utf-8")
        assert "mixup 有效：macro-F1 +3.0 个百分点" in page
        assert english_sentences(page) == []
        card = of_study(tmp_path)
        assert "24 次训练" in card and "+3.0" in card and english_sentences(card) == []


def test_a_comparison_of_architectures(finished_run: Path, tmp_path: Path, chinese: None) -> None:
    (tmp_path / "best").symlink_to(finished_run)
    lost = {"name": "vit_tiny", "failed": {"vit_tiny-s0": "killed"}, "runs": []}
    helps = row(0) | {"difference": row(0)["difference"] | {"verdict": "undecided"}}
    strict_json.write(tmp_path / "architectures.json", story([row(3, difference=None), helps, lost]))
    page = build_architectures(tmp_path).read_text(encoding="utf-8")
    assert NAMES[3] in page and "32 像素" in page and "未定" in page
    assert english_sentences(page) == []
    card = of_architectures(tmp_path)
    assert NAMES[3] in card and english_sentences(card) == []


def test_explanations(finished_run: Path, tmp_path: Path) -> None:
    image = finished_run.parent / "images" / "glass" / "000.png"
    done = whet("explain", finished_run, image, "--out", tmp_path / "e.html", "--language", "zh")
    assert done.returncode == 0, done.stderr
    assert english_sentences((tmp_path / "e.html").read_text(encoding="utf-8")) == []


def test_a_check(tmp_path: Path) -> None:
    data = write_images(tmp_path / "images", {"glass": 14, "metal": 12, "paper": 6})
    (data / "glass" / "again.png").write_bytes((data / "metal" / "000.png").read_bytes())
    (data / "glass" / "bad.png").write_bytes(b"<html>")
    done = whet("check", data, "--out", tmp_path / "out", "--language", "zh")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "标签冲突" in page and "无法读取" in page
    assert english_sentences(page, "bad.png") == []  # the reason of the decoder
    assert english_in(done.stdout + done.stderr, "bad.png") == []
    assert '"kind": "label conflict"' in (tmp_path / "out" / "check.json").read_text()  # files stay English


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["evaluate"], "准确率"),
        (["report"], "报告"),
        (["predict", "{data}/glass/000.png"], "置信度"),
    ],
)
def test_summaries(finished_run: Path, words: list[str], expected: str) -> None:
    command, *further = (word.format(data=finished_run.parent / "images") for word in words)
    done = whet(command, finished_run, *further, "--language", "zh")
    assert done.returncode == 0, done.stderr
    assert re.search(expected, done.stdout), done.stdout
    assert english_in(done.stdout + done.stderr) == []
    plain = whet(command, finished_run, *further)
    assert not re.search("[\u4e00-\u9fff]", plain.stdout + plain.stderr)


def test_json_is_english(finished_run: Path) -> None:
    chinese = whet("evaluate", finished_run, "--json", "--language", "zh")
    assert chinese.stdout == whet("evaluate", finished_run, "--json").stdout


def test_the_locale_is_the_default(finished_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "zh_CN")
    assert "召回率" in whet("evaluate", finished_run).stdout
    assert "recall" in whet("evaluate", finished_run, "--language", "en").stdout
    assert whet("evaluate", finished_run, "--language", "fr").stderr.startswith("error: unknown language 'fr'.")
