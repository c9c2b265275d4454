import numpy as np
import pandas as pd
import pytest
import torch

from whet.core.batch import Progress
from whet.core.errors import NoEffectError, NonFiniteError, RecipeError
from whet.core.recipe import Recipe
from whet.core.registry import registry
from whet.core.runtime import Runtime
from whet.core.stages import Scales, Stage, WrapsStep
from whet.methods import EMA, SGD, ClipNorm, Cosine
from whet.tasks import MULTI_LABEL
from whet.testing.bench import make_bench
from whet.training.plan import ordered, select_rows, task_loss


def test_methods_come_in_the_order_of_the_journey():
    methods = tuple(cls() for cls in registry())
    found = ordered(methods)
    stages = [list(Stage).index(method.stage) for method in found]
    assert stages == sorted(stages)
    assert [m.name for m in ordered(tuple(reversed(methods)))] == [m.name for m in found]


@pytest.mark.parametrize(
    ("names", "message"), [([], "this one has none"), (["sgd", "adamw"], "this one has adamw, sgd")]
)
def test_exactly_one_optimizer(names, message, net, context):
    from whet.training.plan import Plan

    with pytest.raises(RecipeError, match=message):
        Plan(Recipe(methods=tuple(registry().get(name)() for name in names)), net(), context((3, 3, 3)))


def test_factors_multiply_and_groups_keep_their_own_base(net, context):
    from whet.training.plan import Plan

    recipe = Recipe.from_yaml(
        "methods: [{layerwise_lr: {decay: 0.5}}, {sgd: {lr: 1.0}}, cosine, {warmup: {duration: 10st}}]"
    )
    plan = Plan(recipe, net(), context((3, 3, 3)))
    largest = plan.set_lr(Progress(4, 100, 10))
    expected = 0.5 * (1 + np.cos(np.pi * 0.04)) / 2
    assert largest == pytest.approx(expected)
    assert [g["lr"] for g in plan.optimizer.param_groups] == pytest.approx([b * expected for b in plan.base_lrs])


@pytest.mark.parametrize("spoil", ["loss", "gradient"])
def test_what_is_not_finite_stops_before_the_optimizer_moves(spoil):
    """Promise T8, with every wrapper in place."""
    bench = make_bench((registry().get("clip_norm")(), registry().get("sgd")()))
    before = {name: p.clone() for name, p in bench.plan.net.named_parameters()}

    def closure():
        bench.plan.optimizer.zero_grad()
        loss = bench.plan.net(bench.batch(0).x).sum()
        loss.backward()
        if spoil == "gradient":
            bench.plan.net.head.weight.grad[0, 0] = float("nan")
            return loss.detach()
        return loss.detach() * float("inf")

    with pytest.raises(NonFiniteError, match="became -?inf" if spoil == "loss" else "gradient is not finite"):
        bench.step(closure)
    assert all(torch.equal(p, before[name]) for name, p in bench.plan.net.named_parameters())


def test_multi_label_loss_is_binary_cross_entropy(outcome):
    from whet.core.targets import ClassTargets

    given = outcome([[0.5, -1.0], [2.0, 0.1]], [0, 1])
    many = given.with_targets(ClassTargets(torch.tensor([[1.0, 1.0], [0.0, 0.5]], dtype=torch.float64), MULTI_LABEL))
    reference = torch.nn.functional.binary_cross_entropy_with_logits(
        given.logits_BK, many.batch.targets.probs_BK, reduction="none"
    ).sum(dim=1)
    assert torch.allclose(task_loss(many), reference)


def test_weak_methods_are_told_or_refused():
    even = np.arange(24) % 3
    bench = make_bench((registry().get("class_weight")(),), labels=even)
    assert bench.plan.ineffective == ["class_weight has no effect here: every class has the same weight"]
    bench = make_bench((registry().get("balanced_sampler")(),), labels=even)
    for epoch in range(3):
        bench.plan.order(Progress(3 * epoch, 9, 3), even)
    assert len(bench.plan.ineffective) == 1


class _Acting(Runtime, Scales, WrapsStep):
    """A runtime that acts at SCHEDULE and at GRADIENT."""

    def factor(self, progress):
        return 0.5

    def wrap_step(self, step, parameters):
        def doubled(closure):
            def twice():
                loss = closure()
                for parameter in parameters:
                    parameter.grad.mul_(2)
                return loss

            return step(twice)

        return doubled


def test_a_runtime_may_act_at_schedule_and_gradient(monkeypatch):
    monkeypatch.setattr(EMA, "start", lambda self, net, context: _Acting())
    monkeypatch.setattr(EMA, "weights", lambda self, weights, runtime, final: weights)
    bench = make_bench((SGD(lr=1.0, momentum=0.0), ClipNorm(max_norm=0.01), Cosine(), EMA()))
    assert bench.plan.set_lr(Progress(0, 10, 5)) == 0.5
    before = bench.plan.net.head.weight.detach().clone()

    def closure():
        bench.plan.optimizer.zero_grad()
        loss = bench.plan.net(bench.batch(0).x).square().sum()
        loss.backward()
        return loss.detach()

    bench.step(closure)
    moved = torch.cat([p.grad.flatten() for p in bench.plan.net.parameters()])
    assert moved.norm() == pytest.approx(0.02, rel=1e-3)  # clipped first, then doubled
    assert torch.allclose(bench.plan.net.head.weight, before - 0.5 * bench.plan.net.head.weight.grad)


def test_torch_s_draws_within_a_step_are_keyed_by_the_step():
    from whet.training.loop import stepped

    bench = make_bench(())
    drawn = []

    def step(closure):
        drawn.append(torch.randn(3))
        return closure()

    for number in (4, 4, 5):
        stepped(
            step,
            bench.plan,
            bench.fabric,
            bench.plan.net,
            bench.plan.optimizer,
            bench.batch(0),
            Progress(number, 10, 5),
        )
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_a_loss_is_given_the_features_and_where_training_stands():
    from whet.training.loop import closure_for

    bench, seen = make_bench(()), []
    bench.plan.loss = lambda outcome: seen.append(outcome) or task_loss(outcome)
    batch, progress = bench.batch(0), Progress(2, 12, 3)
    bench.plan.net.eval()
    bench.step(closure_for(bench.plan, bench.fabric, bench.plan.net, bench.plan.optimizer, batch, progress))
    (outcome,) = seen
    assert outcome.progress == progress
    before = make_bench(()).plan.net.eval()  # the same weights, before that step
    assert torch.equal(outcome.features_BD, before.backbone(batch.x))
    assert torch.equal(outcome.rows(3).features_BD, outcome.features_BD[:3])
    assert not bench.plan.net.head._forward_pre_hooks


def test_data_methods_choose_the_rows_in_their_own_order_and_say_so():
    rows = pd.DataFrame({"label": [0, 0, 0, 1], "digest": list("abcd")})
    chosen, notes = select_rows((registry().get("oversample")(), registry().get("drop_conflicts")()), rows)
    assert chosen["label"].tolist() == [0, 0, 0, 1, 1, 1]
    assert notes == [
        "drop_conflicts has no effect here: no training samples have identical content and different labels",
        "oversample: 4 training rows became 6",
    ]
    with pytest.raises(NoEffectError):
        select_rows((registry().get("drop_conflicts")(),), rows, strict=True)
