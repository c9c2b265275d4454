import numpy as np
import pytest
import torch

from whet.core.batch import Progress
from whet.core.registry import registry
from whet.core.stages import Stage
from whet.methods import SGD, CoTeaching
from whet.methods.balance.co_teaching import easiest
from whet.tasks import SINGLE_LABEL
from whet.testing.bench import make_bench, train_steps
from whet.training.loop import stepped
from whet.training.plan import task_loss
from whet.training.unread import Unread

OPTIMIZERS = [cls for cls in registry() if cls.stage is Stage.OPTIMIZER and cls.name not in CoTeaching.conflicts]


def test_the_easiest_count_and_keep_the_mean_weight_of_the_batch():
    weight = easiest(torch.tensor([3.0, 1.0, 2.0, 9.0]), 3)
    assert torch.allclose(weight, torch.tensor([1.0, 1.0, 1.0, 0.0]) * 4 / 3)


def test_the_share_left_out_grows_from_nothing_to_the_noise():
    method = CoTeaching(noise=0.4, full_at=0.5)
    assert [round(method.excluded(Progress(step, 10, 1)), 3) for step in (0, 2, 5, 9)] == [0, 0.16, 0.4, 0.4]


def test_each_learns_from_what_the_other_finds_easy(outcome):
    bench = make_bench((SGD(), CoTeaching(noise=0.5, full_at=0.01)))
    pair, plan = bench.plan.runtimes["co_teaching"], bench.plan
    batch, progress = bench.batch(0), Progress(6, 12, 3)
    twin_before = {name: p.clone() for name, p in pair._twin.named_parameters()}
    seen = []

    def spied(given):
        seen.append((given.model, task_loss(given).detach()))
        return task_loss(given)

    plan.loss = pair.wrap_loss(spied, plan.net, plan.context)
    weights = []
    taught = plan.loss
    plan.loss = lambda given: weights.append(taught(given)) or weights[-1]
    plan.set_lr(progress)
    stepped(bench.step, plan, bench.fabric, plan.net, plan.optimizer, batch, progress)
    (_, ours_B), (twin, theirs_B) = seen
    assert twin is pair._twin
    kept = weights[0].detach() > 0
    assert set(np.flatnonzero(kept)) == set(theirs_B.argsort(stable=True)[:4].tolist())
    assert any(not torch.equal(p, twin_before[name]) for name, p in pair._twin.named_parameters())
    assert not torch.equal(ours_B, theirs_B)  # they began differently


def test_the_twin_goes_on_where_it_was(tmp_path):
    whole = make_bench((SGD(), CoTeaching()))
    train_steps(whole, 4)
    first = make_bench((SGD(), CoTeaching()))
    train_steps(first, 2)
    second = make_bench((SGD(), CoTeaching()))
    second.load(first.state())
    train_steps(second, 2, start=2)
    ours, theirs = (bench.plan.runtimes["co_teaching"]._twin.state_dict() for bench in (whole, second))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_wrong_labels_are_left_out_more_often_than_right_ones():
    """Features that tell three classes apart, a third of the labels wrong: at the end those left out are mostly wrong."""
    from lightning_fabric import Fabric

    from whet.core.batch import Batch, Context
    from whet.core.recipe import Recipe
    from whet.core.rng import Rng
    from whet.models.net import Net, NetSpec, new_head
    from whet.training.plan import Plan

    rng = Rng(1).batch("data", 0, np.arange(120))
    truth = rng.integers(3)
    x = torch.from_numpy(np.eye(3)[truth] * 3 + rng.normal((3,))).float()
    label = np.where(rng.bernoulli(0.3), (truth + 1) % 3, truth)
    with Rng(0).torch_scope("init"):
        spec = NetSpec("zoo", "bench", ("a", "b", "c"), (0.5,) * 3, (0.25,) * 3)
        net = Net(spec, torch.nn.Identity(), new_head(3, 3))
    recipe = Recipe(methods=(SGD(lr=0.1), CoTeaching(noise=0.3, full_at=0.2)))
    plan = Plan(recipe, net, Context(SINGLE_LABEL, ("a", "b", "c"), np.bincount(label), lambda: None))
    plan.start()
    step, fabric = plan.stepper(plan.optimizer, Unread().check), Fabric(accelerator="cpu", devices=1)
    loss, kept = plan.loss, []
    plan.loss = lambda outcome: kept.append(loss(outcome)) or kept[-1]
    batch = Batch(x, SINGLE_LABEL.targets(torch.from_numpy(label), 3), np.arange(120), torch.ones(120))
    for number in range(60):
        stepped(step, plan, fabric, plan.net.head, plan.optimizer, batch, Progress(number, 60, 1))
    left_out = (kept[-1].detach() == 0).numpy()
    assert left_out.sum() == round(0.3 * 120)
    assert (label != truth)[left_out].mean() > 0.8


@pytest.mark.parametrize("cls", OPTIMIZERS, ids=lambda cls: cls.name)
def test_the_twin_is_trained_by_every_optimizer_that_it_may_stand_with(cls):
    bench = make_bench((cls(), CoTeaching()))
    pair = bench.plan.runtimes["co_teaching"]
    before = {name: p.clone() for name, p in pair._twin.named_parameters()}
    train_steps(bench, 3)
    assert type(pair._optimizer) is type(bench.plan.optimizer)
    ours = {id(p) for group in bench.plan.optimizer.param_groups for p in group["params"]}
    theirs = [p for group in pair._optimizer.param_groups for p in group["params"]]
    assert len(theirs) == len(ours)
    assert not ours & {id(p) for p in theirs}
    assert all(torch.isfinite(p).all() for p in theirs)
    assert any(not torch.equal(p, before[name]) for name, p in pair._twin.named_parameters())
