"""The commands of the tutorial, run in their order in an empty folder as a reader does, with fewer images, epochs and seeds."""

import contextlib
import re
import shlex
from pathlib import Path

import pytest
from tests.conftest import whet

DOCS = Path(__file__).resolve().parents[2] / "docs"
OWN_PHOTOS = {"tutorial.md": "## With your own photos", "tutorial.zh.md": "## 换成你自己的照片"}
KEPT = 12  # images of each class and split
RESULTS = (
    "digits/train/0", "checked/report.html", "checked/cleaned.csv", "runs/digits-1/report.html", "predictions.csv",
    "explanation.html", "runs/digits-study-1/report.html", "bundle/predict.py", "board.html",
)  # fmt: skip


def blocks(page: str) -> list[tuple[str, str]]:
    """(language, content) of the fenced blocks that the reader follows with the digits."""
    text = (DOCS / page).read_text(encoding="utf-8").partition(OWN_PHOTOS[page])[0]
    return re.findall(r"^```(\S*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[str]:
    """The whet commands; in a console block, those with a prompt."""
    begins = {"": "whet", "console": "$ whet"}
    return [
        line.removeprefix("$ ")
        for language, block in blocks(page)
        for line in block.splitlines()
        if language in begins and line.startswith(begins[language])
    ]


def test_the_chinese_tutorial_has_the_same_commands_and_code():
    assert commands("tutorial.zh.md") == commands("tutorial.md")
    chinese, english = (
        [block for language, block in blocks(page) if language == "python"]
        for page in ("tutorial.zh.md", "tutorial.md")
    )
    assert chinese == english


@pytest.mark.slow
@pytest.mark.sample
def test_the_commands_of_the_tutorial_run_in_their_order(tmp_path):
    (code,) = [block for language, block in blocks("tutorial.md") if language == "python"]
    with contextlib.chdir(tmp_path):
        exec(compile(code, "write_digits.py", "exec"), {})
    for folder in (tmp_path / "digits").glob("*/*"):
        for image in sorted(folder.iterdir())[KEPT:]:
            image.unlink()
    for command in commands("tutorial.md"):
        words = shlex.split(re.sub(r"--(epochs|seeds) \d+", r"--\1 1", command))[1:]
        if words[:1] == ["serve"]:  # it runs until it is stopped
            continue
        done = whet(*words, cwd=tmp_path)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    assert not [name for name in RESULTS if not (tmp_path / name).exists()]
