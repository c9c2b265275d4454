"""Every method that balances or bears label noise in the loss, held to what a loss of soft targets means."""

import numpy as np
import pytest
import torch

from whet.core.batch import Batch, Context, Outcome, Progress
from whet.core.errors import NoEffectError, RecipeError
from whet.core.method import Changes, WrapsLoss
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
    for name in ("focal", "bootstrap_loss", "class_weight", "label_smoothing"):
        loss = registry().get(name)().wrap_loss(loss, net(), context)
    logits = torch.tensor([[100.0, -100.0, 0.0]], requires_grad=True)
    value = loss(asked(logits, one_hot([1]).float()))
    value.sum().backward()
    assert torch.isfinite(value).all() and torch.isfinite(logits.grad).all()
