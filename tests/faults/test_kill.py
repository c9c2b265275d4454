"""kill -9 anywhere, resume, and the end is bit-identical (promises T1, T18), for images, texts and audio."""

from __future__ import annotations

import json

import pytest
from tests.faults.conftest import SAVES, STEPS, killed_and_resumed, story

MEDIA = ("image", "text", "audio")


@pytest.mark.parametrize(
    "medium", ["image", "text", pytest.param("audio", marks=[pytest.mark.slow, pytest.mark.sample])]
)
def test_there_is_something_to_compare(whole, medium):
    log = whole(medium)["log"]
    assert [record["step"] for record in log if record["event"] == "step"] == list(range(1, STEPS + 1))
    assert len({record["order"] for record in log if record["event"] == "step"}) == STEPS
    assert [record["step"] for record in log if record["event"] == "validation"] == [0, 4, 8, 12, 15]
    assert whole(medium)["report"]


@pytest.mark.parametrize(
    "kill",
    [
        ("half", 5),
        pytest.param(("metrics", 1), marks=[pytest.mark.slow, pytest.mark.sample]),
        *(
            pytest.param(kill, marks=pytest.mark.slow)
            for kill in (
                ("step", 1),
                ("step", 9),
                ("unnamed", 1),
                ("renamed", 6),
                ("finish", 1),
                ("report", 1),
                ("reported", 1),
            )
        ),
    ],
    ids=lambda kill: f"{kill[0]}-{kill[1]}",
)
def test_killed_at_one_of_some_places(zygote, whole, tmp_path, kill):
    found, code = killed_and_resumed(zygote, tmp_path / "run", kill)
    assert code == -9
    assert found == whole("image")


@pytest.mark.parametrize(
    ("medium", "kill"),
    [("text", ("renamed", 1)), 
     pytest.param("audio", ("step", 9), marks=[pytest.mark.slow, pytest.mark.sample]),
     *(pytest.param(*one, marks=pytest.mark.slow) for one in (("text", ("step", 9)), ("audio", ("renamed", 1))))],
    ids=str,
)  # fmt: skip
def test_texts_and_audio_are_killed_too(zygote, whole, tmp_path, medium, kill):
    found, code = killed_and_resumed(zygote, tmp_path / "run", kill, medium)
    assert code == -9
    assert found == whole(medium)


@pytest.mark.slow
@pytest.mark.sample
def test_killed_twice(zygote, whole, tmp_path):
    out = tmp_path / "run"
    assert zygote.train(out, kill=("step", 5)) == -9
    assert zygote.resume(out, kill=("renamed", 3)) == -9
    assert zygote.resume(out, kill=("finish", 1)) == -9
    assert zygote.resume(out, kill=("report", 1)) == -9
    assert zygote.resume(out) == 0
    assert story(out) == whole("image")


# adamatch: steps 1 to 15, two streams and means of both in the state. pseudo_label: ten steps on the labelled samples, then the
# round with both; the second kill is in the training that the first one left.
TWO_STREAMS = {
    "adamatch": ([{"adamatch": {"momentum": 0.9}}, "ema"], [("step", 7), ("renamed", 3), ("finish", 1)], {}),
    "pseudo_label": (
        [{"pseudo_label": {"rounds": 1, "threshold": 0.1}}],
        [("step", 7), ("step", 9)],
        {"budget": "2ep"},
    ),
}


@pytest.mark.slow
@pytest.mark.sample
@pytest.mark.parametrize("name", TWO_STREAMS)
def test_with_unlabelled_samples_too(zygote, tmp_path, name):
    methods, kills, train = TWO_STREAMS[name]
    methods = ["random_resized_crop", "dropout", {"sgd": {"lr": 0.02}}, "cosine", *methods]
    data = {"path": str(zygote.data["image"]), "unlabelled": str(zygote.more)}
    out, whole = tmp_path / "run", tmp_path / "whole"
    assert zygote.train(whole, methods=methods, data=data, **train) == 0
    assert zygote.train(out, methods=methods, data=data, kill=kills[0], loader_threads=3, **train) == -9
    for kill in kills[1:]:
        assert zygote.resume(out, kill=kill) == -9
    assert zygote.resume(out) == 0
    expected = story(whole)
    assert story(out) == expected
    assert expected["metrics"]["accepted" if name == "adamatch" else "pseudo_labels"]


@pytest.mark.slow
@pytest.mark.sample
def test_the_ranges_of_rounded_activations_are_in_the_state(zygote, tmp_path):
    """Resumed at step 4, at step 8, when rounding has begun, and at step 12, when BatchNorm keeps its statistics."""
    methods = ["random_resized_crop", {"sgd": {"lr": 0.02}}, "cosine", "ema", {"quantize_aware": {"share": 0.5}}]
    out, whole = tmp_path / "run", tmp_path / "whole"
    assert zygote.train(whole, methods=methods) == 0
    assert zygote.train(out, methods=methods, kill=("step", 5)) == -9
    for _ in range(2):
        assert zygote.resume(out, kill=("step", 5)) == -9
    assert zygote.resume(out) == 0
    assert story(out) == story(whole)


@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param("epoch starts over", marks=[pytest.mark.slow, pytest.mark.sample]),
        *(pytest.param(one, marks=pytest.mark.slow) for one in ("global draws", "forgotten averages")),
    ],
)
def test_wrong_designs_are_noticed(zygote, tmp_path, mutant):
    """The check above can fail: with each of these a resumed run ends elsewhere."""
    assert zygote.train(tmp_path / "whole", mutant=mutant) == 0
    assert zygote.train(tmp_path / "run", kill=("step", 9), mutant=mutant) == -9
    assert zygote.resume(tmp_path / "run", mutant=mutant) == 0
    assert story(tmp_path / "run") != story(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.sample
def test_what_the_audio_front_measured_is_needed(zygote, whole, tmp_path):
    """The same for what is found out before the first step."""
    mutant = "front measured too late"
    assert zygote.train(tmp_path / "run", "audio", kill=("step", 9), mutant=mutant) == -9
    assert zygote.resume(tmp_path / "run", mutant=mutant) == 0
    assert story(tmp_path / "run") != whole("audio")


@pytest.mark.slow
@pytest.mark.parametrize("medium", MEDIA)
def test_killed_at_every_place(zygote, whole, tmp_path, medium):
    """Every step, and every checkpoint half written, not yet renamed, just renamed, and the end; with 1 to 4 loader threads."""
    points = [("step", n) for n in range(1, STEPS + 1)]
    points += [(where, n) for where in ("half", "unnamed", "renamed") for n in range(1, SAVES + 1)]
    points += [(where, 1) for where in ("finish", "metrics", "report", "reported")]
    killed = 0
    for threads in (1, 2, 4, 3, 2):
        for kill in points:
            found, code = killed_and_resumed(zygote, tmp_path / "run", kill, medium, loader_threads=threads)
            killed += code == -9
            assert found == whole(medium), (threads, kill)
    assert killed >= 200


@pytest.mark.parametrize(
    ("medium", "threads"),
    [("image", 4), *(pytest.param(*one, marks=pytest.mark.slow) for one in (("text", 4), ("audio", 4), ("image", 1)))],
)
def test_any_number_of_loader_threads_and_a_second_time(zygote, whole, tmp_path, medium, threads):
    """Promise T18."""
    assert zygote.train(tmp_path / "run", medium, loader_threads=threads) == 0
    assert story(tmp_path / "run") == whole(medium)


# --- a budget in minutes --------------------------------------------------------------------------------------------
def planned(out):
    """(steps, the total they were taken for) as the log tells, and the total of the last checkpoint."""
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [record for record in log if record["event"] == "replanned"], [
        r["step"] for r in log if r["event"] == "step"
    ]


@pytest.mark.slow
@pytest.mark.sample
def test_a_replanned_length_survives_a_kill(zygote, tmp_path):
    """Killed right after the checkpoint that holds it; the resumed training keeps its pace, and goes to that end."""
    out = tmp_path / "run"
    pace = {"seconds": 3.0, "after": 200.0, "times": 3.0}
    given = {"budget": "400s", "checkpoint_every": "1000ep", "validate_every": "1000ep"}
    assert zygote.train(out, pace=pace, kill=("replanned", 1), **given) == -9
    (first, *_), steps = planned(out)
    saved = [json.loads((path / "state.json").read_text()) for path in sorted((out / "checkpoints").glob("step-*"))][-1]
    counters = dict(next(item for key, item in saved["state"]["dict"] if key == "state")["dict"])
    assert saved["step"] == first["step"] <= steps[-1]  # it is written beside the training, which goes on meanwhile
    assert counters["total_steps"] == first["total_steps"]
    assert zygote.resume(out, pace={"seconds": 9.0, "after": 0.0, "times": 1.0}) == 0
    again, steps = planned(out)
    assert again[0] == first
    assert steps == list(range(1, again[-1]["total_steps"] + 1))
    cost = json.loads((out / "metrics.json").read_text())["cost"]
    assert cost["steps"] == steps[-1]
    assert cost["train_seconds"] < cost["total_seconds"] == pytest.approx(400, rel=0.1)


@pytest.mark.slow
def test_the_seconds_of_every_process_add_up(zygote, tmp_path):
    """The machine's clock begins anew with the second process; what was done twice is counted once."""
    pace = {"seconds": 1.0, "after": 1e9, "times": 1.0}
    assert zygote.train(tmp_path / "whole", pace=pace) == 0
    assert zygote.train(tmp_path / "run", pace=pace, kill=("step", 11)) == -9
    assert zygote.resume(tmp_path / "run", pace=pace) == 0
    one, other = (json.loads((tmp_path / name / "metrics.json").read_text())["cost"] for name in ("whole", "run"))
    assert one["train_seconds"] > 10
    for key in ("train_seconds", "total_seconds", "samples_per_second"):
        assert other[key] == pytest.approx(one[key]), key
