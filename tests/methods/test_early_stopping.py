from types import SimpleNamespace

import torch

from whet.methods import EarlyStopping
from whet.tasks import SINGLE_LABEL


def validate(runtime, progress, scores, metric="score"):
    for number, score in enumerate(scores):
        runtime.after_validation({metric: score}, {"w": torch.tensor([float(number)])}, progress(number))
        if runtime.stop:
            return number
    return None


def test_it_stops_after_so_many_validations_without_a_new_best(progress):
    runtime = EarlyStopping(patience=3).start(None, SimpleNamespace(task=SINGLE_LABEL))
    assert validate(runtime, progress, [0.5, 0.7, 0.6, 0.7, 0.65, 0.9]) == 4  # equal is not better


def test_the_best_weights_come_back_at_the_end_only(progress):
    method = EarlyStopping(patience=2)
    runtime = method.start(None, SimpleNamespace(task=SINGLE_LABEL))
    validate(runtime, progress, [0.5, 0.8, 0.7])
    last = {"w": torch.tensor([9.0])}
    assert method.weights(last, runtime, final=False) is last
    assert method.weights(last, runtime, final=True)["w"].item() == 1.0


def test_a_loss_improves_downwards(progress):
    runtime = EarlyStopping(patience=2, metric="log_loss").start(None, SimpleNamespace(task=SINGLE_LABEL))
    assert validate(runtime, progress, [1.0, 0.8, 0.6, 0.9, 0.7], "log_loss") == 4
    assert runtime.best["w"].item() == 2.0


def test_it_remembers_across_a_resumption(progress):
    method = EarlyStopping(patience=2)
    one = method.start(None, SimpleNamespace(task=SINGLE_LABEL))
    validate(one, progress, [0.9, 0.5])
    other = method.start(None, SimpleNamespace(task=SINGLE_LABEL))
    other.load_state_dict(one.state_dict())
    assert validate(other, progress, [0.6]) == 0
