import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.methods import L2, LBFGS, LinearProbe
from whet.tasks import SINGLE_LABEL
from whet.testing.bench import make_bench, train_steps
from whet.training.plan import Plan
from whet.training.unread import Unread


def test_the_backbone_stays_bit_for_bit_statistics_included(net, context):
    bench = make_bench((LinearProbe(),))
    before = {name: tensor.clone() for name, tensor in bench.plan.net.backbone.state_dict().items()}
    head = bench.plan.net.head.weight.clone()
    train_steps(bench, 4)
    assert all(torch.equal(tensor, before[name]) for name, tensor in bench.plan.net.backbone.state_dict().items())
    assert not torch.equal(bench.plan.net.head.weight, head)


def test_only_the_head_reaches_the_optimizer(net, context):
    recipe = Recipe.from_yaml("methods: [linear_probe, adamw]")
    plan = Plan(recipe, net(), context((3, 3, 3)))
    trained = {id(p) for group in plan.optimizer.param_groups for p in group["params"]}
    assert trained == {id(p) for p in plan.net.head.parameters()}
    assert plan.net.backbone_frozen


def test_with_lbfgs_it_reaches_scikit_learn_s_optimum(net, context):
    """A real closure through the GRADIENT stage: one batch with all samples, quasi-Newton steps, the convex optimum."""
    from lightning_fabric import Fabric

    from whet.core.batch import Batch, Progress
    from whet.training.loop import closure_for

    N, D, K, l2 = 120, 6, 3, 0.01
    rng = Rng(2).batch("f", 0, np.arange(N))
    x = rng.normal((D,))
    y = (x[:, :K] + 0.7 * rng.normal((K,))).argmax(axis=1)
    recipe = Recipe(methods=(LinearProbe(), LBFGS(iterations=100), L2(strength=l2)))
    plan = Plan(recipe, net(D, K), context((40, 40, 40)))
    step, fabric = plan.stepper(plan.optimizer, Unread().check), Fabric(accelerator="cpu", devices=1)
    batch = Batch(
        torch.from_numpy(x).float(), SINGLE_LABEL.targets(torch.from_numpy(y), K), np.arange(N), torch.ones(N)
    )
    for number in range(5):
        progress = Progress(number, 5, 1)
        plan.set_lr(progress)
        loss = step(closure_for(plan, fabric, plan.net.head, plan.optimizer, batch, progress))
    reference = LogisticRegression(C=1 / (N * l2), tol=1e-10, max_iter=5000).fit(x, y)
    logits = x @ reference.coef_.T + reference.intercept_
    optimum = (
        -np.log(np.exp(logits)[np.arange(N), y] / np.exp(logits).sum(axis=1)).mean()
        + l2 / 2 * (reference.coef_**2).sum()
    )
    assert abs(float(loss) - optimum) < 1e-5
