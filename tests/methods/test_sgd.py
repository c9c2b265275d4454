import numpy as np
import pytest
import torch

from whet.methods import SGD


@pytest.mark.parametrize("nesterov", [False, True])
def test_the_update_step_by_step(descend, nesterov):
    """v <- m v + g; w <- w - lr v, or w - lr (g + m v) with Nesterov's look ahead (Sutskever's form, as torch has it)."""
    lr, m, target = 0.1, 0.9, np.array([1.0, -2.0])
    w, v = np.array([0.0, 0.0]), np.zeros(2)
    for _ in range(7):
        g = w - target
        v = m * v + g
        w = w - lr * (g + m * v if nesterov else v)
    ours = descend(SGD(lr=lr, momentum=m, nesterov=nesterov), [0.0, 0.0], lambda x: x - torch.tensor(target), 7)
    assert np.allclose(ours, w, rtol=0, atol=1e-14)


def test_without_momentum_it_is_gradient_descent(descend):
    ours = descend(SGD(lr=0.25, momentum=0.0), [1.0], lambda w: 2 * w, 3)
    assert ours[0] == 0.5**3
