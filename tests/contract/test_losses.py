"""Every method that balances or bears label noise in the loss, held to what a loss of soft targets means."""

import numpy as np
import pytest
import torch

from whet.core.batch import Batch, Context, Outcome, Progress
from whet.core.errors import NoEffectError, RecipeError
from whet.core.recipe import Recipe
from whet.core.registry import registry
from whet.core.stages import Changes, WrapsLoss
from whet.core.targets import ClassTargets
from whet.core.task import refuse_foreign
from whet.tasks import MULTI_LABEL, SINGLE_LABEL
from whet.training.plan import task_loss

LOSSES = [
    cls
    for cls in registry()
    if cls.family == "balance" and issubclass(cls, WrapsLoss) and "image-classification" in cls.tasks
]
NOT_LINEAR = {"class_weight": "a factor that is linear in the targets, on a loss that is"}
NOT_BY_LABEL = {"class_weight": "one factor a sample"}
COUNTS = np.array([60, 25, 10])


def loss_of(cls, net, task=SINGLE_LABEL):
    context = Context(task, ("a", "b", "c"), COUNTS, lambda: None)
    method = cls()
    if isinstance(method, Changes):
        net = method.change(net, context)
    return method.wrap_loss(task_loss, net, context)


def asked(logits_BK, probs_BK, task=SINGLE_LABEL):
    """Late in training, when everything that is deferred has set in."""
    B = len(logits_BK)
    batch = Batch(torch.zeros(B, 1), ClassTargets(probs_BK, task), np.arange(B), torch.ones(B))
    return Outcome(logits_BK, batch, None, None, Progress(95, 100, 10))


def one_hot(labels):
    return torch.nn.functional.one_hot(torch.tensor(labels), 3).double()


def test_all_of_them_are_seen():
    assert len(LOSSES) >= 10
    names = {cls.name for cls in LOSSES}
    assert set(NOT_LINEAR) | {"balanced_softmax", "confident_learning"} <= names


@pytest.mark.parametrize("task", [SINGLE_LABEL, MULTI_LABEL])
@pytest.mark.parametrize("cls", LOSSES, ids=lambda cls: cls.name)
def test_certain_answers_right_and_wrong_keep_finite_values_and_gradients(cls, task, net):
    if (task == MULTI_LABEL and cls.one_class) or (task == SINGLE_LABEL and cls.name == "asymmetric"):
        pytest.skip("refused, as another test holds")
    far = torch.tensor([100.0, -100.0, 0.0])
    rows = torch.cartesian_prod(far, far, far).float().requires_grad_()
    for target in (one_hot([0]), one_hot([2]), torch.full((1, 3), 1 / 3)):
        rows.grad = None
        loss_B = loss_of(cls, net(), task)(asked(rows, target.float().expand(len(rows), 3), task))
        assert loss_B.shape == (27,)
        assert loss_B.dtype == torch.float32
        assert torch.isfinite(loss_B).all()
        loss_B.sum().backward()
        assert torch.isfinite(rows.grad).all()


@pytest.mark.parametrize("cls", [cls for cls in LOSSES if cls.name not in NOT_LINEAR], ids=lambda cls: cls.name)
def test_a_mixed_target_costs_the_mean_of_what_its_parts_cost(cls, net):
    task = MULTI_LABEL if cls.name == "asymmetric" else SINGLE_LABEL
    loss = loss_of(cls, net(), task)
    logits = torch.linspace(-3, 3, 12, dtype=torch.float64).sin().mul(4).view(4, 3)
    one, two = one_hot([0, 1, 2, 0]), one_hot([1, 1, 0, 2])
    share = torch.tensor([[0.5], [0.7], [0.9], [1.0]], dtype=torch.float64)
    mixed = loss(asked(logits, share * one + (1 - share) * two, task))
    parts = [loss(asked(logits, target, task)) for target in (one, two)]
    assert torch.allclose(mixed, share[:, 0] * parts[0] + (1 - share[:, 0]) * parts[1], rtol=1e-9)


@pytest.mark.parametrize("cls", LOSSES, ids=lambda cls: cls.name)
def test_a_sample_s_loss_does_not_depend_on_its_neighbours(cls, net):
    task = MULTI_LABEL if cls.name == "asymmetric" else SINGLE_LABEL
    loss = loss_of(cls, net(), task)
    logits = torch.linspace(-3, 3, 12, dtype=torch.float64).sin().mul(4).view(4, 3)
    given = asked(logits, one_hot([0, 1, 2, 0]).float(), task)
    assert torch.allclose(loss(given)[:2], loss(given.rows(2)), rtol=1e-12)


@pytest.mark.parametrize(
    "cls", [c for c in LOSSES if not c.one_class and c.name not in NOT_BY_LABEL], ids=lambda c: c.name
)
def test_where_several_classes_may_be_true_each_label_costs_on_its_own(cls, net):
    loss = loss_of(cls, net(), MULTI_LABEL)
    logits = torch.linspace(-3, 3, 12, dtype=torch.float64).sin().mul(4).view(4, 3)
    many = torch.tensor([[1.0, 0, 1], [0, 0, 0], [1, 1, 1], [0, 0.5, 1]], dtype=torch.float64)
    apart = sum(loss(asked(logits[:, k : k + 1], many[:, k : k + 1], MULTI_LABEL)) for k in range(3))
    assert torch.allclose(loss(asked(logits, many, MULTI_LABEL)), apart, rtol=1e-9)


ONE_CLASS = sorted(cls.name for cls in registry() if cls.one_class)


@pytest.mark.parametrize("name", ONE_CLASS)
def test_what_means_nothing_there_is_refused(name):
    methods, problem = (registry().get(name)(**registry().get(name).example),), "image-classification"
    refuse_foreign(methods, problem, SINGLE_LABEL)
    with pytest.raises(RecipeError, match=f"'{name}' does not apply to samples with any number of labels"):
        refuse_foreign(methods, problem, MULTI_LABEL)


def test_what_speaks_of_one_class_says_so():
    assert {"balanced_softmax", "confident_learning", "ldam_drw", "logit_adjustment", "decoupled_distill"} <= set(
        ONE_CLASS
    )


def test_asymmetric_is_for_several_classes_only(net):
    with pytest.raises(NoEffectError):
        loss_of(registry().get("asymmetric"), net())


def test_several_of_them_on_top_of_each_other_stay_finite(net):
    loss = task_loss
    context = Context(SINGLE_LABEL, ("a", "b", "c"), COUNTS, lambda: None)
    for name in ("bootstrap_loss", "class_weight", "label_smoothing"):
        loss = registry().get(name)().wrap_loss(loss, net(), context)
    logits = torch.tensor([[100.0, -100.0, 0.0]], requires_grad=True)
    value = loss(asked(logits, one_hot([1]).float()))
    value.sum().backward()
    assert torch.isfinite(value).all() and torch.isfinite(logits.grad).all()


# Whose very purpose is another optimum than the target's, whether that is smoothed or not.
OWN_OPTIMUM = {"confidence_penalty", "bootstrap_loss"}
SMOOTHED = [
    cls
    for cls in (*LOSSES, registry().get("label_smoothing"))
    if cls.name not in OWN_OPTIMUM and "label_smoothing" not in cls.conflicts
]


def optimum(loss, target_K, task=SINGLE_LABEL):
    """The probabilities (K,) that minimise the loss of one sample."""
    logits = torch.zeros((1, len(target_K)), dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([logits], max_iter=500, tolerance_change=1e-14, line_search_fn="strong_wolfe")

    def closure():
        solver.zero_grad()
        value = loss(asked(logits, target_K[None], task)).sum()
        value.backward()
        return value

    solver.step(closure)
    logits = logits.detach()[0]
    return task.probs(logits)


def smoothed_loss_of(cls, net, classes, task=SINGLE_LABEL):
    """The method with label_smoothing of 0.1, put together as a plan does."""
    counts = np.geomspace(500, 10, classes).round().astype(int)
    context = Context(task, tuple("abcdefghij"[:classes]), counts, lambda: None)
    methods = [registry().get("label_smoothing")(epsilon=0.1)] + ([] if cls.name == "label_smoothing" else [cls()])
    loss = task_loss
    for method in sorted(methods, key=lambda method: method.order):
        net = method.change(net, context) if isinstance(method, Changes) else net
        loss = method.wrap_loss(loss, net, context)
    return loss


def test_enough_of_them_are_smoothed():
    assert {"class_weight", "confident_learning", "label_smoothing"} <= {cls.name for cls in SMOOTHED}


@pytest.mark.parametrize("label", [0, 5])
@pytest.mark.parametrize("cls", SMOOTHED, ids=lambda cls: cls.name)
def test_what_may_stand_with_label_smoothing_has_its_optimum_at_the_smoothed_target(cls, label, net):
    """Of six classes, 50 : 1, the common and the rare one: 0.9 + 0.1 / 6 for the label, 0.1 / 6 for each other."""
    target = torch.nn.functional.one_hot(torch.tensor(label), 6).double()
    found = optimum(smoothed_loss_of(cls, net(), 6), target)
    assert torch.allclose(found, 0.9 * target + 0.1 / 6, atol=5e-3)


@pytest.mark.parametrize("cls", [cls for cls in SMOOTHED if not cls.one_class], ids=lambda cls: cls.name)
def test_so_it_is_where_several_labels_may_be_true(cls, net):
    target = torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    found = optimum(smoothed_loss_of(cls, net(), 6, MULTI_LABEL), target, MULTI_LABEL)
    assert torch.allclose(found, 0.9 * target + 0.05, atol=5e-3)


@pytest.mark.parametrize(
    "name", ["focal", "asymmetric", "ldam_drw", "generalized_cross_entropy", "symmetric_cross_entropy"]
)
def test_a_loss_that_weighs_by_hardness_or_rarity_is_refused_beside_label_smoothing(name, net):
    """Its optimum lies far from the smoothed target, as the first assertion shows, so both cannot be combined in one recipe."""
    cls, task = registry().get(name), MULTI_LABEL if name == "asymmetric" else SINGLE_LABEL
    target = torch.nn.functional.one_hot(torch.tensor(0), 6).double()
    found = optimum(smoothed_loss_of(cls, net(), 6, task), target, task)
    expected = 0.9 * target + 0.1 * task.ignorance(6)
    assert (found - expected).abs().max() > 0.04
    with pytest.raises(RecipeError, match="cannot be combined in one recipe"):
        Recipe(methods=(cls(), registry().get("label_smoothing")()))
