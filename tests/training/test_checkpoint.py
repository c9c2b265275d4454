import json
import math
import os
import shutil
import subprocess
import threading
from functools import partial

import numpy as np
import pytest
import torch

from whet.core.errors import NonFiniteError, RunError
from whet.core.output import claim
from whet.training.checkpoint import (
    CheckpointWriter,
    checkpoints,
    digest,
    flatten,
    newest_good,
    prune,
    read_checkpoint,
    unflatten,
    write_checkpoint,
)


def state(step=3):
    generator = torch.Generator().manual_seed(step)
    return {
        "net": {
            "w": torch.randn(4, 3, 5, 5, generator=generator).contiguous(memory_format=torch.channels_last),
            "n": torch.tensor(7),
        },
        "optimizer": {
            "state": {0: {"step": torch.tensor(3.0), "old": [torch.ones(2), torch.zeros(2)]}},
            "groups": [{"lr": 0.1}],
        },
        "state": {"step": step, "best": None, "score": -math.inf, "pair": (1, "a"), "yes": True},
    }


@pytest.fixture(autouse=True)
def _claimed(tmp_path):
    """As the folder of a run is: below any other nothing is removed."""
    claim(tmp_path, "run")


def write(parent, step):
    tensors = {}
    plain = flatten(state(step), tensors)
    return write_checkpoint(parent, step, plain, tensors)


def test_what_is_written_comes_back_to_the_bit(tmp_path):
    again = read_checkpoint(write(tmp_path, 3))
    assert digest(again) == digest(state(3))
    assert again["state"] == state(3)["state"]
    assert list(again["optimizer"]["state"]) == [0]
    assert again["net"]["w"].is_contiguous(memory_format=torch.channels_last)


def test_the_digest_sees_one_bit():
    one, other = state(), state()
    weight = other["net"]["w"]
    weight[0, 0, 0, 0] = torch.nextafter(weight[0, 0, 0, 0], torch.tensor(9.0))
    assert digest(one) != digest(other)
    assert digest({"a": torch.ones(2, 3)}) != digest({"a": torch.ones(3, 2)})


@pytest.mark.parametrize("file", ["state.safetensors", "state.json", "manifest.json"])
def test_every_damage_is_found_and_the_one_before_is_taken(tmp_path, file):
    """Flipped bits, cut files, zeroed pages and files of another checkpoint (promise T4)."""
    write(tmp_path, 1)
    good = write(tmp_path, 2) / file
    data = good.read_bytes()
    rng = np.random.Generator(np.random.PCG64(0))
    spoilt = []
    for _ in range(60):
        bit = int(rng.integers(len(data) * 8))
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        spoilt.append(bytes(flipped))
    spoilt += [data[: int(rng.integers(len(data)))] for _ in range(20)]
    for _ in range(20):
        start = int(rng.integers(len(data)))
        zeroed = data[:start] + b"\0" * min(512, len(data) - start) + data[start + 512 :]
        spoilt.append(zeroed)
    spoilt.append((tmp_path / "step-00000001" / file).read_bytes())
    for damage in spoilt:
        if damage == data:
            continue
        good.write_bytes(damage)
        try:
            loaded = read_checkpoint(good.parent)
        except RunError as error:
            assert "damaged" in str(error)
        else:  # a bit of the manifest that no reader looks at (white space) may flip without harm
            assert file == "manifest.json"
            assert digest(loaded) == digest(state(2))
            continue
        found, step, passed = newest_good(tmp_path)
        assert step == 1
        assert digest(found) == digest(state(1))
        assert "using the previous one" in passed[0]


def test_newest_is_by_step_not_by_clock(tmp_path):
    for step in (9, 10, 2):
        write(tmp_path, step)
    os.utime(tmp_path / "step-00000002", (4e9, 4e9))
    assert newest_good(tmp_path)[1] == 10


def test_no_good_checkpoint_is_said(tmp_path):
    shutil.copytree(write(tmp_path / "a", 1), tmp_path / "b" / "step-00000002")
    with pytest.raises(RunError, match=r"(?s)no usable checkpoint.*contains step 1"):
        newest_good(tmp_path / "b")
    with pytest.raises(RunError, match="no usable checkpoint"):
        newest_good(tmp_path / "nowhere")


def test_keeps_the_newest_and_the_best(tmp_path):
    for step in range(1, 7):
        write(tmp_path, step)
    prune(tmp_path, 2, best_step=3)
    assert [path.name[-1] for path in checkpoints(tmp_path)] == ["6", "5", "3"]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nothing_that_is_not_finite_is_saved(tmp_path, value):
    tensors = {}
    plain = flatten({"w": torch.tensor([1.0, value])}, tensors)
    with pytest.raises(NonFiniteError, match="step 5"):
        write_checkpoint(tmp_path, 5, plain, tensors)
    assert not checkpoints(tmp_path)


def test_one_that_could_not_be_read_gives_way_to_that_of_the_training_that_went_on(tmp_path):
    """Training went on from step 1, and comes by step 2 again."""
    write(tmp_path, 1)
    (write(tmp_path, 2) / "state.json").write_text("{}")
    write(tmp_path, 2)
    assert newest_good(tmp_path)[1:] == (2, [])


def test_leftovers_of_a_killed_writer_are_cleared(tmp_path):
    (tmp_path / ".step-00000001.99-0").mkdir(parents=True)
    write(tmp_path, 2)
    assert not list(tmp_path.glob(".step-*"))


def test_a_full_disk_is_named_and_the_old_one_intact(tmp_path, monkeypatch):
    """Promise T5: the message names path and bytes."""
    write(tmp_path, 1)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("whet.training.checkpoint.os.fsync", full)
    with pytest.raises(
        RunError,
        match=r"step-00000002 \([0-9,]+ bytes\) cannot be written: No space left.*earlier checkpoints are intact",
    ):
        write(tmp_path, 2)
    monkeypatch.undo()
    assert newest_good(tmp_path)[1] == 1
    assert not list(tmp_path.glob(".step-*"))


def test_on_a_disk_that_is_really_full(tmp_path):
    """A file system of one megabyte, where this machine lets us make one."""
    place = tmp_path / "small"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("no right to mount a file system here")
    try:
        write(place, 1)
        tensors = {}
        plain = flatten({"w": torch.zeros(1_000_000)}, tensors)
        with pytest.raises(RunError, match=r"step-00000002 \(4,000,000 bytes\) cannot be written"):
            write_checkpoint(place, 2, plain, tensors)
        assert newest_good(place)[1] == 1
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_order_of_writing(tmp_path, monkeypatch):
    """Every file is synced, then the folder, then renamed, then the parent synced (promise T3)."""
    events = []
    real_sync, real_rename = os.fsync, os.rename

    def sync(handle):
        events.append(os.path.basename(os.readlink(f"/proc/self/fd/{handle}")))
        real_sync(handle)

    def rename(old, new):
        events.append("rename")
        real_rename(old, new)

    monkeypatch.setattr("whet.training.checkpoint.os.fsync", sync)
    monkeypatch.setattr("whet.core.output.os.rename", rename)
    write(tmp_path, 1)
    assert events[:3] == ["state.safetensors", "state.json", "manifest.json"]
    assert events[3].startswith(".step-00000001")
    assert events[4:] == ["rename", tmp_path.name]


# --- the writer's thread --------------------------------------------------------------------------------------------
def test_the_copy_is_made_at_once_and_the_last_is_always_written(tmp_path):
    (tmp_path / "log").write_text("x")
    with (tmp_path / "log").open() as log:
        writer = CheckpointWriter(tmp_path / "c", keep=2)
        weight = torch.zeros(100_000)
        for step in range(1, 30):
            weight.fill_(step)
            writer.save(step, {"w": weight}, partial(os.fsync, log.fileno()), None)
        weight.fill_(-1)
        writer.wait()
        writer.close()
    found, step, _ = newest_good(tmp_path / "c")
    assert step == 29
    assert found["w"].eq(29).all()
    for path in checkpoints(tmp_path / "c"):
        assert read_checkpoint(path)["w"].eq(int(path.name[-8:])).all()


def test_an_error_of_the_thread_is_raised_where_it_is_waited_for(tmp_path):
    (tmp_path / "file").write_text("")
    with (tmp_path / "file").open() as log:
        writer = CheckpointWriter(tmp_path / "file" / "c", keep=1)
        writer.save(1, {"w": torch.zeros(1)}, partial(os.fsync, log.fileno()), None)
        with pytest.raises((RunError, OSError)):
            writer.wait()
        writer.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "whet-checkpoints"]


def test_only_numbers_texts_and_tensors():
    with pytest.raises(TypeError, match="got function"):
        flatten({"f": print.__class__.__call__ and (lambda: 0)}, {})


def test_state_json_is_json(tmp_path):
    json.loads((write(tmp_path, 1) / "state.json").read_text())


def test_flatten_copies():
    tensors = {}
    weight = torch.ones(3)
    plain = flatten({"w": weight}, tensors)
    weight.zero_()
    assert unflatten(plain, tensors)["w"].eq(1).all()
