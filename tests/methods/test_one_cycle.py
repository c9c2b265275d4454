import pytest
import torch

from whet.methods import OneCycle


def test_it_is_torch_s_one_cycle(progress):
    """torch counts T - 1 steps between first and last; ours counts T, so its training of 101 steps is compared."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=1.0,
        total_steps=101,
        pct_start=(0.3 * 100 + 1) / 101,
        div_factor=25,
        final_div_factor=1e4,
        cycle_momentum=False,
    )
    for step in range(100):
        assert OneCycle().factor(progress(step)) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-6)
        optimizer.step()
        reference.step()


def test_peak_and_ends(progress):
    method = OneCycle(peak_at=0.25, start_factor=0.1, final_factor=0.0)
    assert method.factor(progress(0)) == pytest.approx(0.1)
    assert method.factor(progress(25)) == 1.0
    assert method.factor(progress(100)) == 0.0
