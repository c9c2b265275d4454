import pytest
import torch

from whet.core.batch import FinalizeContext
from whet.methods import Soup


def accuracy(weights):
    """The nearer to 3 the better, in steps of a hundredth."""
    return {"score": round(1 - abs(float(weights["weight"]) - 3) / 10, 2)}


def cooked(method, values, progress, validate=accuracy):
    net = torch.nn.Linear(1, 1, bias=False)
    runtime = method.start(net, None)
    for number, value in enumerate(values):
        weights = {"weight": torch.full((1, 1), float(value))}
        runtime.after_validation(validate(weights), weights, progress(number))
    net.load_state_dict(method.weights(dict(net.state_dict()), runtime, final=True))
    method.finalize(net, runtime, FinalizeContext(lambda: iter(()), validate))
    return net.weight.item()


def by_the_paper(values, validate=accuracy):
    """Recipe 1 of Wortsman et al.: sorted by accuracy, each added if the mean with it is no worse."""

    def score(values):
        return validate({"weight": torch.tensor(sum(values) / len(values))})["score"]

    soup = []
    for value in sorted(values, key=lambda value: -score([value])):
        if not soup or score([*soup, value]) >= score(soup):
            soup.append(value)
    return sum(soup) / len(soup)


@pytest.mark.parametrize(
    "values", [[0, 1, 2.5, 4.1, 3.7], [9, 2, 4], [3.3], [1, 2, 2.6], [5.5, 0.4, 3.9, 2.2, 2.7, 3.05]]
)
def test_it_is_the_paper_s_greedy_soup(values, progress):
    assert cooked(Soup(), values, progress) == pytest.approx(by_the_paper(values), abs=1e-6)


def test_ingredients_that_make_it_worse_are_left_out(progress):
    assert cooked(Soup(), [2.9, 9.0], progress) == pytest.approx(2.9)
    assert cooked(Soup(), [2.0, 4.0, 9.0], progress) == pytest.approx(3.0)


def test_only_the_best_are_tried_and_of_equals_the_latest(progress):
    runtime = Soup(size=2).start(None, None)
    for number, score in enumerate([0.5, 0.9, 0.5, 0.7, 0.7]):
        runtime.after_validation({"score": score}, {"w": torch.tensor(float(number))}, progress(number))
    assert [(score, weights["w"].item()) for score, weights in runtime.found] == [(0.9, 1.0), (0.7, 4.0)]


def test_a_resumed_training_has_the_same_ingredients(progress):
    first = Soup(size=3).start(None, None)
    for number, score in enumerate([0.2, 0.4]):
        first.after_validation({"score": score}, {"w": torch.tensor(float(number))}, progress(number))
    second = Soup(size=3).start(None, None)
    second.load_state_dict(first.state_dict())
    second.after_validation({"score": 0.3}, {"w": torch.tensor(2.0)}, progress(2))
    assert [score for score, _ in second.found] == [0.4, 0.3, 0.2]
