import numpy as np
import torch

from whet.methods import AdamW


def test_the_paper_s_update_step_by_step(descend):
    """Algorithm 2 of Loshchilov & Hutter: the decay acts on the weight, apart from the scaled gradient."""
    lr, b1, b2, decay = 0.01, 0.8, 0.95, 0.1
    target = np.array([1.0, -2.0])
    w, m, v = np.array([0.3, 0.1]), np.zeros(2), np.zeros(2)
    for t in range(1, 9):
        g = w - target
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        w = w - lr * decay * w - lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + 1e-8)
    ours = descend(
        AdamW(lr=lr, beta1=b1, beta2=b2, weight_decay=decay), [0.3, 0.1], lambda x: x - torch.tensor(target), 8
    )
    assert np.allclose(ours, w, rtol=0, atol=1e-12)


def test_norms_and_biases_are_not_decayed(descend):
    kept = descend(AdamW(lr=0.1, weight_decay=0.5), [2.0], torch.zeros_like, 3, decay=False)
    shrunk = descend(AdamW(lr=0.1, weight_decay=0.5), [2.0], torch.zeros_like, 3, decay=True)
    assert kept[0] == 2.0
    assert np.isclose(shrunk[0], 2.0 * 0.95**3)
