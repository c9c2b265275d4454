"""What the shell completes, and that it is quick."""

import os
import subprocess
import sys

from whet.cli import complete
from whet.core.registry import registry


def test_every_method_is_completed():
    """The registry is not loaded for it."""
    assert complete.method_names() == {cls.name for cls in registry() if cls.__module__.startswith("whet.methods.")}
    assert complete.methods("mixu") == ["mixup"]
    assert "mixup." in complete.settings("mix") and "train." in complete.settings("tr")


def test_networks_recipes_and_metrics():
    from whet.core.task import metrics_of_all_tasks

    assert complete.networks("resnet9") == ["resnet9", "resnet9_slim"]
    assert "image/waste" in complete.recipes("image/")
    known = {name for name in metrics_of_all_tasks() if not name.startswith(("mask_", "ap"))}
    assert set(complete.metrics("")) >= known & set(complete.metrics(""))
    assert set(complete.metrics("")) <= set(metrics_of_all_tasks())


def test_runs_are_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("runs/photos-1", "runs/texts-1", "other", ".hidden"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "file").write_text("")
    assert complete.runs("") == ["runs/photos-1/", "runs/texts-1/", "other/", "runs/"]
    assert complete.runs("runs/p") == ["runs/photos-1/"]
    assert complete.runs("nowhere/") == []
    assert complete.weights("no") == ["none"]


def shell(words: str) -> tuple[list[str], str]:
    """(what bash is offered after these words, stderr: whether torch was loaded for it)"""
    code = (
        "import sys; sys.argv = ['whet']; from whet.cli import main\n"
        "try: main()\nfinally: print('torch' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True,
        env={**os.environ, "_WHET_COMPLETE": "complete_bash",
             "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)},
    )  # fmt: skip
    return done.stdout.split(), done.stderr.strip()


def test_in_a_shell():
    assert shell("whet train data --with mixu") == (["mixup"], "False")
    assert {"runs", "report"} <= set(shell("whet r")[0])
