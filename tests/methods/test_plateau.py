from types import SimpleNamespace

import pytest
import torch

from whet.core.batch import Progress
from whet.methods import SGD, Cosine, Plateau
from whet.tasks import SINGLE_LABEL
from whet.testing.bench import make_bench

LOSSES = [1.0, 0.9, 0.95, 0.92, 0.91, 0.85, 0.84999, 0.86, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.2, 0.3, 0.3, 0.3, 0.3, 0.3]

CONTEXT = SimpleNamespace(task=SINGLE_LABEL)


@pytest.mark.parametrize(("metric", "mode"), [("log_loss", "min"), ("accuracy", "max")])
@pytest.mark.parametrize("patience", [0, 2])
def test_it_is_torch_s_reduction_on_a_plateau(progress, metric, mode, patience):
    values = LOSSES if mode == "min" else [1 - loss for loss in LOSSES]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, mode=mode, factor=0.3, patience=patience, threshold=1e-3, min_lr=0.02
    )
    runtime = Plateau(metric=metric, gamma=0.3, patience=patience, threshold=1e-3, least=0.02).start(
        None, SimpleNamespace(task=SINGLE_LABEL)
    )
    seen = set()
    for value in values:
        runtime.after_validation({metric: value}, {}, progress(0))
        reference.step(value)
        assert runtime.factor(progress(0)) == pytest.approx(optimizer.param_groups[0]["lr"])
        seen.add(runtime.factor(progress(0)))
    assert len(seen) > 2


def test_a_resumed_training_goes_on_from_the_same_rate(progress):
    method = Plateau(patience=1, gamma=0.5, metric="log_loss")
    one, other = method.start(None, CONTEXT), method.start(None, CONTEXT)
    for value in LOSSES[:5]:
        one.after_validation({"log_loss": value}, {}, progress(0))
    other.load_state_dict(one.state_dict())
    for value in LOSSES[5:]:
        for runtime in (one, other):
            runtime.after_validation({"log_loss": value}, {}, progress(0))
        assert one.factor(progress(0)) == other.factor(progress(0))


def test_it_multiplies_with_the_schedules():
    bench = make_bench((SGD(lr=1.0), Cosine(), Plateau(patience=0, gamma=0.5, metric="log_loss")))
    for value in (1.0, 2.0):
        bench.plan.runtimes["plateau"].after_validation({"log_loss": value}, {}, Progress(5, 10, 5))
    assert bench.plan.set_lr(Progress(5, 10, 5)) == pytest.approx(0.5 * 0.5)
