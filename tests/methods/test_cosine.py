import pytest
import torch

from whet.methods import Cosine


def test_it_is_torch_s_cosine_annealing(progress):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=100, eta_min=0.05)
    for step in range(100):
        assert Cosine(final_factor=0.05).factor(progress(step)) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        reference.step()


def test_ends(progress):
    assert Cosine().factor(progress(0)) == 1.0
    assert Cosine().factor(progress(50)) == pytest.approx(0.5)
    assert Cosine().factor(progress(100)) == pytest.approx(0.0)
