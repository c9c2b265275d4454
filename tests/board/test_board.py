"""The page over all runs: what it says of them, that its differences are those of `whet compare`, and that it is self-contained."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from tests.board.conftest import SAMPLES, make_run
from tests.conftest import whet
from tests.made_evidence import evidence
from tests.report.english import english_sentences

from whet.board.curves import curves_of
from whet.board.page import html, read_board
from whet.board.pairs import compared
from whet.core.errors import RunError
from whet.core.language import in_language
from whet.core.run_folder import RunFolder
from whet.evaluate.compare import compare_runs
from whet.evaluate.evidence import write_evidence


def data_of(page: str) -> dict:
    return json.loads(re.search(r'<script id="board-data" type="application/json">(.*?)</script>', page, re.DOTALL)[1])


@pytest.fixture(scope="module")
def page(runs: Path) -> str:
    out = runs.parent / "board.html"
    done = whet("board", runs, "--out", out)
    assert done.returncode == 0, done.stderr
    return out.read_text(encoding="utf-8")


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.found.append((tag, dict(attrs)))


def test_it_loads_nothing_and_runs_its_own_script_only(page: str) -> None:
    tags = Tags(page).found
    assert not {tag for tag, _ in tags} & {"link", "iframe", "img", "object", "embed", "form", "base"}
    assert all(
        "src" not in attributes and not any(key.startswith("on") for key in attributes) for _, attributes in tags
    )
    policy = next(one["content"] for tag, one in tags if tag == "meta" and "http-equiv" in one)
    assert policy.startswith("default-src 'none'") and "script-src 'sha256-" in policy and "connect-src" not in policy
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "") and "https://" not in page


def test_it_names_no_folder_of_this_machine(page: str, runs: Path) -> None:
    assert str(runs.parent) not in page and "/tmp" not in page


def test_every_run_with_its_score_and_report(page: str, runs: Path) -> None:
    found = {one["id"]: one for one in data_of(page)["entries"]}
    assert set(found) == {
        *(f"{kind}-s{seed}" for kind in ("plain", "strong") for seed in range(3)),
        "more/single",
        "other",
    }
    run = RunFolder(runs / "strong-s1")
    one = found["strong-s1"]
    assert one["score"]["value"] == pytest.approx(run.read_json(run.metrics)["test"]["accuracy"], abs=1e-5)
    assert one["score"]["part"] == "test" and one["seed"] == 1 and one["network"] == "resnet9_slim"
    assert one["data"] == "images" and one["state"] == "finished" and one["methods"]
    assert (runs.parent / one["report"]) == run.report and run.report.is_file()


def test_differences_are_those_of_whet_compare(page: str, runs: Path) -> None:
    samples = data_of(page)["samples"]
    assert (
        len(samples) == 1 and samples[0]["samples"] == SAMPLES and samples[0]["part"] == "test"
    )  # `other` has no partner
    groups = [group["name"] for group in samples[0]["groups"]]
    assert groups == ["strong", "single", "plain"]  # the best first
    folders = [RunFolder(runs / f"{name}-s{seed}") for name in ("strong", "plain") for seed in range(3)]
    _, (expected,), _ = compare_runs(folders)
    mean, low, high, verdict, seeds = samples[0]["pairs"]["0-2"]
    wanted = expected.difference
    assert [mean, low, high] == pytest.approx([wanted.mean, wanted.low, wanted.high], abs=1e-5)
    assert verdict == wanted.verdict == "hurts" and seeds == 3
    *_, verdict, seeds = samples[0]["pairs"]["1-2"]
    assert seeds == 1 and verdict == "not assessed"


def test_pairs_are_compared_again_only_when_a_run_has_finished(
    finished_run: Path, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from whet.board import page as module

    calls = []
    monkeypatch.setattr(module, "compared", lambda paths: calls.append(len(paths)) or [])
    for name in ("plain-s0", "strong-s0"):
        shutil.copytree(runs / name, tmp_path / "runs" / name)

    def look() -> None:
        read_board(tmp_path / "runs").data(lambda name, _: name, live=True)

    look()
    with (tmp_path / "runs" / "plain-s0" / "log.jsonl").open("a") as handle:
        handle.write('{"event": "note", "text": "x"}\n')
    look()
    assert calls == [2]
    shutil.copytree(runs / "plain-s1", tmp_path / "runs" / "plain-s1")
    look()
    assert calls == [2, 3]


def test_of_too_many_recipes_the_best_are_compared(runs: Path) -> None:
    paths = [one.path for one in read_board(runs).entries]
    (found,) = compared(paths, most=1)
    assert [group.name for group in found.groups] == ["strong", "single"] and set(found.pairs) == {(0, 1)}
    assert sorted(path.name for path in found.left_out) == ["plain-s0", "plain-s1", "plain-s2"]


def test_of_a_run_that_was_repeated_the_newest_is_compared(runs: Path, tmp_path: Path) -> None:
    again = make_run(runs / "strong-s0", tmp_path / "again", 0.5, 0, "strong")
    (found,) = compared([again, runs / "strong-s0", runs / "plain-s0"])
    assert sorted(run.name for group in found.groups for run in group.runs) == ["again", "plain-s0"]


def test_runs_whose_labels_differ_are_not_compared(runs: Path, tmp_path: Path) -> None:
    changed = make_run(runs / "strong-s0", tmp_path / "changed", 0.5, 0, "changed")
    found = evidence(np.full((SAMPLES, 3), 1 / 3), np.arange(1, SAMPLES + 1) % 3, ("glass", "metal", "paper"))
    write_evidence(RunFolder(changed), {"test": found, "val": found})
    assert compared([changed, runs / "plain-s0"]) == []


def test_a_run_with_broken_files_is_left_out(runs: Path, tmp_path: Path) -> None:
    broken = make_run(runs / "strong-s0", tmp_path / "broken", 0.5, 0, "broken")
    (broken / "evidence.npz").write_bytes(b"PK not a zip file")
    assert compared([broken, runs / "plain-s0"]) == []
    (broken / "metrics.json").write_text("{")
    assert compared([broken, runs / "plain-s0"]) == []


def test_a_loss_that_was_not_finite_has_no_point(finished_run: Path, tmp_path: Path) -> None:
    lines = (finished_run / "log.jsonl").read_text().splitlines()
    step = json.loads(next(line for line in lines if '"event": "step"' in line))
    check = json.loads(next(line for line in lines if '"event": "validation"' in line))
    lines += [json.dumps(step | {"loss": None}), json.dumps(check | {"accuracy": None})]
    (tmp_path / "log.jsonl").write_text("\n".join(lines) + "\n")
    assert curves_of(tmp_path)["loss"] == curves_of(finished_run)["loss"]
    assert curves_of(tmp_path)["checks"] == curves_of(finished_run)["checks"]


def test_curves_are_short_and_end_where_the_training_ended(finished_run: Path) -> None:
    found = curves_of(finished_run)
    records = RunFolder(finished_run).log_records()
    steps = [one for one in records if one["event"] == "step"]
    assert len(found["loss"]) == min(100, len(steps)) and found["loss"][-1][0] == pytest.approx(4, abs=0.01)
    checks = [one["accuracy"] for one in records if one["event"] == "validation"]
    assert found["metric"] == "accuracy" and [value for _, value in found["checks"]] == pytest.approx(checks, abs=1e-4)


def test_a_run_that_trains_has_curves_and_no_score(finished_run: Path, tmp_path: Path) -> None:
    shutil.copytree(
        finished_run, tmp_path / "runs" / "half", ignore=shutil.ignore_patterns("DONE", "metrics.json", "report.html")
    )
    board = read_board(tmp_path / "runs")
    (one,) = board.data(lambda name, _: name, live=False)["entries"]
    assert one["state"] == "stopped" and one["score"] is None and one["report"] is None and one["curves"]["loss"]


def test_names_are_no_markup(finished_run: Path, tmp_path: Path) -> None:
    name = "<script>x</script><!--"
    shutil.copytree(finished_run, tmp_path / "runs" / name)
    (tmp_path / "page").mkdir()
    done = whet("board", tmp_path / "runs", "--out", tmp_path / "page" / "board.html")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "page" / "board.html").read_text(encoding="utf-8")
    assert page.count("<script") == 2 and "<!--" not in page
    (one,) = data_of(page)["entries"]
    assert one["id"].startswith("<script>x<")


def test_in_chinese(runs: Path) -> None:
    with in_language("zh"):
        page = html("runs", read_board(runs).data(lambda name, _: name, live=False))
    assert '<html lang="zh">' in page
    assert english_sentences(re.sub("<script.*?</script>", "", page, flags=re.DOTALL)) == []
    words = data_of(page)["words"]
    texts = [text for text in words.values() if isinstance(text, str)] + list(words["verdicts"].values())
    assert [text for text in texts if re.search("[A-Za-z]{3,}", re.sub(r"\{\w+\}", "", text))] == []


def test_the_script_shows_words_of_the_language_alone() -> None:
    """Every word that the script looks up is given."""
    import importlib.resources

    script = importlib.resources.files("whet.report").joinpath("templates/board.js").read_text(encoding="utf-8")
    from whet.board.page import _words

    assert set(re.findall(r"words\.(\w+)", script)) <= set(_words())


def test_a_file_is_overwritten_only_on_request(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "board.html"
    out.write_text("mine")
    done = whet("board", runs, "--out", out)
    assert done.returncode == 1 and "exists already" in done.stderr and out.read_text() == "mine"
    assert whet("board", runs, "--out", out, "--force").returncode == 0
    inside = runs / "plain-s0" / "report.html"
    done = whet("board", runs, "--out", inside, "--force")
    assert done.returncode == 1 and "which whet wrote" in done.stderr


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    done = whet("board", tmp_path / "none", "--out", tmp_path / "board.html")
    assert done.returncode == 1 and "does not exist" in done.stderr and not (tmp_path / "board.html").exists()
    with pytest.raises(RunError):
        read_board(tmp_path / "none")


def test_what_the_command_prints(runs: Path, tmp_path: Path) -> None:
    done = whet("board", runs, "--out", tmp_path / "board.html", "--json")
    assert json.loads(done.stdout) == {"path": str(tmp_path / "board.html"), "results": {"training": 8}}
