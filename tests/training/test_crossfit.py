"""No choice sees what judges it: fits and choices by validation are scored on samples that they did not see."""

import inspect

import numpy as np
import pandas as pd
import pytest
import torch

from whet.core.batch import FinalizeContext, Measured, Progress
from whet.core.outputs import Outputs
from whet.core.registry import registry
from whet.core.runtime import Runtime
from whet.core.stages import ChoosesWeights, Finalizes, Fits, KeepsEnsembleMembers
from whet.data.split import deal_units
from whet.data.table import Table, make_frame
from whet.methods import SGD, TTA, EarlyStopping, Soup, TemperatureScaling, ThresholdTuning
from whet.methods.ensemble.log_loss import log_loss
from whet.tasks import SINGLE_LABEL
from whet.testing.bench import make_bench
from whet.training.crossfit import FOLDS, Crossed, Parts, chosen_by_validation, fit_predictor
from whet.training.plan import wrap_predictor

K = 4


def dealt(N):
    return Parts(np.arange(N) % FOLDS, np.arange(N) % 2)


def test_what_is_kept_is_fitted_to_all_and_each_sample_is_scored_by_a_fit_without_it():
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(40, K, generator=generator)
    targets = SINGLE_LABEL.targets(torch.randint(K, (40,), generator=generator), K)
    method = TemperatureScaling()
    found = fitted([method], logits, targets)
    assert found.numbers == {"temperature_scaling": method.fit(Outputs.of(logits, targets))}
    fold_N = dealt(40).fold_N
    for fold in range(FOLDS):
        out = torch.from_numpy(fold_N == fold)
        alone = method.fit(Outputs.of(logits[~out], targets[~out]))
        assert torch.equal(
            found.outputs.whole()[0][out], method.wrap_predictor(lambda x: x, alone, SINGLE_LABEL)(logits[out])
        )


def test_the_score_of_a_sample_does_not_depend_on_its_own_label():
    """The whole chain is fitted without it, not only the last method."""
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(30, K, generator=generator)
    label = torch.randint(K, (30,), generator=generator)

    def scored(label):
        return fitted([ThresholdTuning(), TemperatureScaling()], logits, SINGLE_LABEL.targets(label, K))

    other = label.clone()
    other[::FOLDS] = (label[::FOLDS] + 1) % K  # the labels of fold 0
    assert torch.equal(scored(label).outputs.whole()[0][::FOLDS], scored(other).outputs.whole()[0][::FOLDS])
    assert scored(label).numbers != scored(other).numbers


def test_validation_is_answered_once_however_often_it_is_fitted():
    bench = make_bench((TTA(), TemperatureScaling(), SGD()))
    net, x = bench.plan.net.eval(), bench.batch(0).x
    asked = []

    def answers(predictor):
        asked.append(predictor)
        return Outputs.of(predictor(x), bench.batch(0).targets)

    with torch.no_grad():
        found = fit_predictor(bench.plan.methods, [net], answers, lambda index_N: dealt(len(x)), {}, SINGLE_LABEL)
        assert len(asked) == 1
        assert (
            wrap_predictor(bench.plan.methods, net, found.numbers, SINGLE_LABEL)(x).shape
            == found.outputs.whole()[0].shape
        )
        without = make_bench((TTA(), SGD()))
        nothing = fit_predictor(without.plan.methods, [net], answers, lambda index_N: dealt(len(x)), {}, SINGLE_LABEL)
    assert (nothing.numbers, nothing.outputs) == ({}, None) and len(asked) == 1


def test_duplicates_and_groups_are_fitted_or_scored_together():
    rows = [{"id": str(i), "path": "", "label": i % 2, "digest": str(i // 2), "group": ""} for i in range(40)]
    rows[0]["group"] = rows[39]["group"] = "the same person"
    table = Table(make_frame(rows), ("a", "b"), None)
    fold_N = deal_units(table, 2)
    assert (fold_N[::2] == fold_N[1::2]).all() and fold_N[0] == fold_N[39] and set(fold_N) == {0, 1}


def test_folds_of_label_sets_are_even():
    set_SK = np.array([[bool(s & 1 << k) for k in range(6)] for s in range(64)])
    frame = make_frame([{"id": str(i), "path": "", "label": i, "digest": str(i)} for i in range(64)])
    sizes = pd.Series(deal_units(Table(frame, tuple("abcdef"), None, set_SK=set_SK), FOLDS)).value_counts()
    assert len(sizes) == FOLDS and sizes.max() - sizes.min() <= 6


# --- choices of weights ---------------------------------------------------------------------------------------------
def test_every_method_that_chooses_weights_by_validation_is_crossed():
    """By what its runtime listens to: a new method cannot forget it."""
    seen = set()
    for cls in registry():
        if not issubclass(cls, ChoosesWeights | Finalizes | KeepsEnsembleMembers) or not hasattr(cls, "start"):
            continue
        bench = make_bench((cls(**cls.example),))
        runtime = bench.plan.runtimes[cls.name]
        inner = runtime.whole if isinstance(runtime, Crossed) else runtime
        listens = type(inner).after_validation is not Runtime.after_validation
        assert isinstance(runtime, Crossed) == listens == chosen_by_validation(cls(**cls.example), inner), cls.name
        seen |= {cls.name} if listens else set()
    assert seen == {"early_stopping", "soup"}


def validations(bench, scores):
    """Hear of validations whose accuracies are (all, first half, second half); the weights of number i are all i."""
    net = bench.plan.net
    for number, (whole, *halves) in enumerate(scores, start=1):
        weights = {name: torch.full_like(tensor, number) for name, tensor in net.state_dict().items()}
        measured = Measured({"score": whole}, lambda half, halves=halves: {"score": halves[half]})
        bench.plan.runtimes[bench.plan.methods[-1].name].after_validation(measured, weights, Progress(number, 9, 3))


@pytest.mark.parametrize("method", [EarlyStopping(), Soup(size=1)])
def test_each_half_chooses_what_the_other_is_scored_by(method):
    bench = make_bench((method,))
    validations(bench, [(0.5, 0.9, 0.1), (0.6, 0.4, 0.8), (0.4, 0.5, 0.3)])
    context = FinalizeContext(lambda: iter(()), lambda weights: Measured({"score": 0.0}, lambda half: {"score": 0.0}))
    by_half = bench.plan.finalize(context)
    assert bench.plan.net.head.bias.eq(2).all()
    assert [weights["head.bias"][0].item() for weights in by_half] == [1, 2]
    logits = torch.zeros(10, K)
    targets = SINGLE_LABEL.targets(torch.zeros(10, dtype=torch.long), K)
    predictors = [lambda x, of=of: x + of for of in (2, 1, 2)]  # as the whole and each half chose
    found = fit_predictor(
        [method], predictors, lambda p: Outputs.of(p(logits), targets), lambda index_N: dealt(10), {}, False
    )
    assert found.outputs.whole()[0][0::2].eq(2).all() and found.outputs.whole()[0][1::2].eq(1).all()


def test_a_choice_at_the_end_alone_is_crossed_too():
    """A method that asks for validations only once training is over has no runtime that hears of them."""
    bench = make_bench((Soup(size=2),))
    validations(bench, [(0.6, 0.6, 0.6), (0.5, 0.5, 0.5)])

    def validate(weights):  # the mean is better for the second half alone
        return Measured({"score": 0.55}, lambda half: {"score": (0.5, 0.7)[half]})

    by_half = bench.plan.finalize(FinalizeContext(lambda: iter(()), validate))
    assert bench.plan.net.head.bias.eq(1).all()
    assert [weights["head.bias"][0].item() for weights in by_half] == [1.0, 1.5]


def test_weights_that_training_chooses_need_no_halves():
    bench = make_bench((SGD(),))
    assert bench.plan.finalize(bench.finalize_context()) == []


# --- nothing helps --------------------------------------------------------------------------------------------------
def calibrated(N, seed, models=None):
    """(logits, targets): labels drawn from the very probabilities that the logits say, so that no fit can help."""
    generator = torch.Generator().manual_seed(seed)
    logits = 1.5 * torch.randn(N, K, generator=generator)
    label = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
    given = logits if models is None else logits.log_softmax(dim=1)[:, None].repeat(1, models, 1)
    return given, SINGLE_LABEL.targets(label, K)


FITTED = [cls for cls in registry() if issubclass(cls, Fits)]


def test_which_methods_are_fitted():
    names = {cls.name for cls in FITTED}
    assert {"temperature_scaling", "vector_scaling", "threshold_tuning", "stacking", "hyper_ensemble"} <= names


@pytest.mark.parametrize(
    "cls",
    [pytest.param(cls, id=cls.name, marks=[pytest.mark.slow] * (cls.name == "vector_scaling")) for cls in FITTED],
)
def test_where_nothing_helps_no_method_helps(cls):
    """Over studies of 150 samples each: the share in which a paired t test says that log-loss falls is at most nominal, and the
    cross-fitted score is that of new samples, in expectation (here within half a hundredth)."""
    settings = {"runs": ("a",), "how": "linear"} if cls.name == "stacking" else {}
    method, models = cls(**settings), 2 if cls.name in ("stacking", "hyper_ensemble") else None
    helped, cross, test, base = [], [], [], []
    for seed in range(10):
        logits, targets = calibrated(150, seed, models)
        plain = logits if models is None else logits[:, 0]
        found = fitted([method], logits, targets)
        gain_N = per_sample(plain, targets) - per_sample(found.outputs.whole()[0], targets)
        helped.append(float(gain_N.mean() / (gain_N.std() / 150**0.5 + 1e-12)) > 1.976)
        new, wanted = calibrated(4000, 1000 + seed, models)
        cross.append(float(log_loss(found.outputs.whole()[0], targets)))
        test.append(
            float(
                log_loss(method.wrap_predictor(lambda x: x, found.numbers.get(cls.name, {}), SINGLE_LABEL)(new), wanted)
            )
        )
        base.append(float(log_loss(plain, targets)) - float(log_loss(new if models is None else new[:, 0], wanted)))
    assert sum(helped) <= 2  # of 10: more than 2 at 5 % each has a chance of 1 %
    optimism = np.array(test) - np.array(cross) + np.array(base)  # the samples' own luck taken out
    assert optimism.mean() < 0.005 + 2 * optimism.std(ddof=1) / 10**0.5, optimism


def fitted(methods, logits, targets):
    parts = dealt(len(logits))
    return fit_predictor(
        methods, [lambda x: x], lambda p: Outputs.of(p(logits), targets), lambda index_N: parts, {}, SINGLE_LABEL
    )


def per_sample(logits_NK, targets):
    return -(targets.probs_BK * logits_NK.log_softmax(dim=1)).sum(dim=1)


def test_fits_are_found_by_their_role_alone():
    assert all("fit" in vars(cls) and not inspect.isabstract(cls) for cls in FITTED)
