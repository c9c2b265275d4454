"""A real Ray of two nodes on this machine: the same answers, whatever happens to its workers."""

import io
import json
import sys
import tarfile
from dataclasses import replace

import pytest
from tests.studies import runs

from whet.core.errors import RunError
from whet.studies import ray_executor
from whet.studies.executor import InProcess, executor_for
from whet.studies.ray_executor import RayCluster, pack, unpack
from whet.training.log import Observer
from whet.tuning.tune import tune


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("ray", reason="Ray is not installed (pip install 'whet[ray]')")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        made.add_node(num_cpus=1)
        yield made
        import ray

        ray.shutdown()
        made.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Ray's own files and sockets
def test_on_two_nodes_with_a_worker_killed_half_way(cluster, tmp_path, monkeypatch):
    runs.images(tmp_path)
    plain = [runs.task(tmp_path, seed) for seed in range(3)]
    assert len(list(InProcess(Observer()).run(plain))) == 3
    (tmp_path / "cluster").mkdir()
    moved = [replace(task, path=tmp_path / "cluster" / task.path.name) for task in plain]
    killed = runs.Killed(moved[1].recipe, moved[1].path)
    failing = runs.task(tmp_path, 9, architecture="lenet")
    executor = executor_for(1, Observer(), cluster.address, threads=1)
    assert isinstance(executor, RayCluster)
    assert executor.jobs == 2
    over = list(executor.run(iter([moved[0], killed, failing, moved[2]])))
    assert {task.path.name for task in over} == {"s0", "s1", "s2", "s9"}
    assert [runs.answers(task) for task in moved] == [runs.answers(task) for task in plain]
    assert killed.path.with_suffix(".killed").exists()
    steps = [int(line.split()[1]) for line in (tmp_path / "begun").read_text().splitlines()]
    assert steps in ([0, 2], [0, 4])  # it went on from its checkpoint
    assert "ernel size" in failing.failure.read_text()
    assert not list((tmp_path / "cluster").glob(".*"))

    # A node that does not see the driver's folder sends the finished run back.
    monkeypatch.setattr(ray_executor, "_signed", lambda place: (place.parent / "unseen", "by the node"))
    (tmp_path / "apart").mkdir()
    apart = [replace(plain[0], path=tmp_path / "apart" / "s0"), replace(failing, path=tmp_path / "apart" / "s9")]
    assert len(list(RayCluster(cluster.address, 1).run(apart))) == 2
    assert runs.answers(apart[0]) == runs.answers(plain[0])
    assert (apart[0].path / "DONE").is_file()
    assert not (apart[0].path / "checkpoints").exists()
    assert "ernel size" in apart[1].failure.read_text()

    with pytest.raises(RunError, match=r"no node of the Ray cluster has 64 cores \(they have 1, 1\)"):
        RayCluster(cluster.address, 64)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_hung_run_is_ended_and_the_others_go_on(cluster, tmp_path):
    runs.images(tmp_path)
    hanging, other = runs.task(tmp_path, 5, runs.Hanging), runs.task(tmp_path, 0)
    executor, over = RayCluster(cluster.address, 1), []
    for task in executor.run([hanging, other]):
        over.append(task)
        if len(over) == 1:  # the other is over: from now on any silence is too long
            runs.wait_until(hanging.path.with_suffix(".hangs").exists)
            executor._silence = 0.0
    assert {task.path.name for task in over} == {"s0", "s5"}
    assert "wrote nothing for" in hanging.failure.read_text()
    assert not other.failure.exists()
    assert runs.answers(other)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_tuning_on_the_cluster(cluster, tmp_path):
    runs.images(tmp_path)
    asked = runs.recipe(tmp_path / "images")
    found = tune(asked, (), ["adamw.lr=0.0001:0.03:log"], trials=4, ray=cluster.address, out=tmp_path / "tune")
    assert found.trials["state"].tolist() == ["finished"] * 4
    assert found.trials.loc[0, "adamw.lr"] == 0.003
    alone = runs.task(tmp_path, 0)
    list(
        InProcess(Observer()).run([replace(alone, recipe=asked.replace(data=asked.data.replace(evaluate_test=False)))])
    )
    first = tmp_path / "tune" / "runs" / found.trials.loc[0, "run"] / "predictions.csv"
    assert first.read_text() == runs.answers(alone)
    told = json.loads((tmp_path / "tune" / "tuning.json").read_text())["trials"]
    assert all(trial["curve"] for trial in told)  # the nodes reported into the journal


def test_without_ray_or_a_cluster_it_is_said_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RunError, match=r"requires Ray: pip install 'whet\[ray\]'"):
        RayCluster("auto", 1)


def test_a_packed_run_arrives_whole(tmp_path):
    (tmp_path / "run" / "model").mkdir(parents=True)
    (tmp_path / "run" / "checkpoints").mkdir()
    for name in ("DONE", "model/config.json", "checkpoints/state.json"):
        (tmp_path / "run" / name).write_text(name)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "DONE").write_text("of an earlier call")
    (tmp_path / "there" / "notes").write_text("of a person")  # stays
    unpack(pack(tmp_path / "run"), tmp_path / "there")
    found = {p.relative_to(tmp_path / "there").as_posix() for p in (tmp_path / "there").rglob("*") if p.is_file()}
    assert found == {"DONE", "model/config.json", "notes"}
    assert (tmp_path / "there" / "DONE").read_text() == "DONE"
    assert (tmp_path / "there" / "model" / "config.json").read_text() == "model/config.json"


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "model/../../out", "link"])
def test_nothing_is_written_outside_the_run_folder(tmp_path, name):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo(name)
        if name == "link":
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        member.size = 0
        archive.addfile(member, io.BytesIO(b""))
    (tmp_path / "inside").mkdir()
    with pytest.raises(RunError, match=r"which is not a file of a run folder"):
        unpack(buffer.getvalue(), tmp_path / "inside" / "run")
    assert not list((tmp_path / "inside").iterdir())
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]
