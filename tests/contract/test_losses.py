"""Every method that balances or bears label noise in the loss, held to what a loss of soft targets means."""

import numpy as np
import pytest
import torch

from whet.core.batch import Batch, Context, Outcome, Progress
from whet.core.errors import NoEffectError, RecipeError
from whet.core.method import Changes, WrapsLoss
from whet.core.recipe import Recipe
from whet.core.registry import registry
from whet.core.targets import Targets
from whet.train.plan import cross_entropy

LOSSES = [cls for cls in registry() if cls.family == "balance" and issubclass(cls, WrapsLoss)]
ONE_CLASS = {"balanced_softmax", "confident_learning", "ldam_drw", "logit_adjustment"}
NOT_LINEAR = {"class_weight": "a factor that is linear in the targets, on a loss that is"}
NOT_BY_LABEL = {"class_weight": "one factor a sample"}
COUNTS = np.array([60, 25, 10])


def loss_of(cls, net, multi_label=False):
    context = Context("image-classification", ("a", "b", "c"), COUNTS, lambda: None, multi_label)
    method = cls()
    if isinstance(method, Changes):
        net = method.change(net, context)
    return method.wrap_loss(cross_entropy, net, context)


def asked(logits_BK, probs_BK, multi_label=False):
    """Late in training, when everything that is deferred has set in."""
    B = len(logits_BK)
    batch = Batch(torch.zeros(B, 1), Targets(probs_BK, multi_label), np.arange(B), torch.ones(B))
    return Outcome(logits_BK, batch, None, None, Progress(95, 100, 10))


def one_hot(labels):
    return torch.nn.functional.one_hot(torch.tensor(labels), 3).double()


def test_all_of_them_are_seen():
    assert len(LOSSES) >= 10
    names = {cls.name for cls in LOSSES}
    assert ONE_CLASS | set(NOT_LINEAR) <= names


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("cls", LOSSES, ids=lambda cls: cls.name)
def test_certain_answers_right_and_wrong_keep_finite_values_and_gradients(cls, multi_label, net):
    if (multi_label and cls.name in ONE_CLASS) or (not multi_label and cls.name == "asymmetric"):
        pytest.skip("refused, as another test holds")
    far = torch.tensor([100.0, -100.0, 0.0])
    rows = torch.cartesian_prod(far, far, far).float().requires_grad_()
    for target in (one_hot([0]), one_hot([2]), torch.full((1, 3), 1 / 3)):
        rows.grad = None
        loss_B = loss_of(cls, net(), multi_label)(asked(rows, target.float().expand(len(rows), 3), multi_label))
        assert loss_B.shape == (27,)
        assert loss_B.dtype == torch.float32
        assert torch.isfinite(loss_B).all()
        loss_B.sum().backward()
        assert torch.isfinite(rows.grad).all()


@pytest.mark.parametrize("cls", [cls for cls in LOSSES if cls.name not in NOT_LINEAR], ids=lambda cls: cls.name)
def test_a_mixed_target_costs_the_mean_of_what_its_parts_cost(cls, net):
    multi_label = cls.name == "asymmetric"
    loss = loss_of(cls, net(), multi_label)
    logits = torch.linspace(-3, 3, 12, dtype=torch.float64).sin().mul(4).view(4, 3)
    one, two = one_hot([0, 1, 2, 0]), one_hot([1, 1, 0, 2])
    share = torch.tensor([[0.5], [0.7], [0.9], [1.0]], dtype=torch.float64)
    mixed = loss(asked(logits, share * one + (1 - share) * two, multi_label))
    parts = [loss(asked(logits, target, multi_label)) for target in (one, two)]
    assert torch.allclose(mixed, share[:, 0] * parts[0] + (1 - share[:, 0]) * parts[1], rtol=1e-9)


@pytest.mark.parametrize("cls", LOSSES, ids=lambda cls: cls.name)
def test_a_sample_s_loss_does_not_depend_on_its_neighbours(cls, net):
    multi_label = cls.name == "asymmetric"
    loss = loss_of(cls, net(), multi_label)
    logits = torch.linspace(-3, 3, 12, dtype=torch.float64).sin().mul(4).view(4, 3)
    given = asked(logits, one_hot([0, 1, 2, 0]).float(), multi_label)
    assert torch.allclose(loss(given)[:2], loss(given.rows(2)), rtol=1e-12)


@pytest.mark.parametrize(
    "cls", [c for c in LOSSES if c.name not in ONE_CLASS | set(NOT_BY_LABEL)], ids=lambda c: c.name
)
def test_where_several_classes_may_be_true_each_label_costs_on_its_own(cls, net):
    loss = loss_of(cls, net(), multi_label=True)
    logits = torch.linspace(-3, 3, 12, dtype=torch.float64).sin().mul(4).view(4, 3)
    many = torch.tensor([[1.0, 0, 1], [0, 0, 0], [1, 1, 1], [0, 0.5, 1]], dtype=torch.float64)
    apart = sum(loss(asked(logits[:, k : k + 1], many[:, k : k + 1], True)) for k in range(3))
    assert torch.allclose(loss(asked(logits, many, True)), apart, rtol=1e-9)


@pytest.mark.parametrize("name", sorted(ONE_CLASS | {"decoupled_distill"}))
def test_what_means_nothing_there_is_refused(name, net):
    with pytest.raises(RecipeError, match="exactly one class"):
        loss_of(registry().get(name), net(), multi_label=True)


def test_asymmetric_is_for_several_classes_only(net):
    with pytest.raises(NoEffectError):
        loss_of(registry().get("asymmetric"), net())


def test_several_of_them_on_top_of_each_other_stay_finite(net):
    loss = cross_entropy
    context = Context("image-classification", ("a", "b", "c"), COUNTS, lambda: None)
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


def optimum(loss, target_K, multi_label=False):
    """The probabilities (K,) that minimise the loss of one sample."""
    logits = torch.zeros((1, len(target_K)), dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([logits], max_iter=500, tolerance_change=1e-14, line_search_fn="strong_wolfe")

    def closure():
        solver.zero_grad()
        value = loss(asked(logits, target_K[None], multi_label)).sum()
        value.backward()
        return value

    solver.step(closure)
    logits = logits.detach()[0]
    return logits.sigmoid() if multi_label else logits.softmax(dim=0)


def smoothed_loss_of(cls, net, classes, multi_label=False):
    """The method with label_smoothing of 0.1, put together as a plan does."""
    counts = np.geomspace(500, 10, classes).round().astype(int)
    context = Context("image-classification", tuple("abcdefghij"[:classes]), counts, lambda: None, multi_label)
    methods = [registry().get("label_smoothing")(epsilon=0.1)] + ([] if cls.name == "label_smoothing" else [cls()])
    loss = cross_entropy
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


@pytest.mark.parametrize("cls", [cls for cls in SMOOTHED if cls.name not in ONE_CLASS], ids=lambda cls: cls.name)
def test_so_it_is_where_several_labels_may_be_true(cls, net):
    target = torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    found = optimum(smoothed_loss_of(cls, net(), 6, multi_label=True), target, multi_label=True)
    assert torch.allclose(found, 0.9 * target + 0.05, atol=5e-3)


@pytest.mark.parametrize(
    "name", ["focal", "asymmetric", "ldam_drw", "generalized_cross_entropy", "symmetric_cross_entropy"]
)
def test_a_loss_that_weighs_by_hardness_or_rarity_is_refused_beside_label_smoothing(name, net):
    """Its optimum lies far from the smoothed target, as the first assertion shows, so both cannot stand in one recipe."""
    cls, multi_label = registry().get(name), name == "asymmetric"
    target = torch.nn.functional.one_hot(torch.tensor(0), 6).double()
    found = optimum(smoothed_loss_of(cls, net(), 6, multi_label), target, multi_label)
    expected = 0.9 * target + (0.05 if multi_label else 0.1 / 6)
    assert (found - expected).abs().max() > 0.04
    with pytest.raises(RecipeError, match="cannot stand in one recipe"):
        Recipe(methods=(cls(), registry().get("label_smoothing")()))
