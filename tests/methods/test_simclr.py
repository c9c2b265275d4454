import math

import pytest
import torch

from whet.core.batch import Outcome
from whet.methods import SimCLR
from whet.methods.pretrain.simclr import nt_xent
from whet.testing.bench import make_bench


def test_it_is_the_formula_of_the_paper():
    """l(i, j) = -log exp(s_ij / t) / sum over k != i of exp(s_ik / t), with cosine similarities."""
    z, t, N = torch.randn(10, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64), 0.3, 5
    expected = []
    for i in range(2 * N):
        alike = [float(torch.cosine_similarity(z[i], z[k], dim=0)) / t for k in range(2 * N)]
        others = sum(math.exp(s) for k, s in enumerate(alike) if k != i)
        expected.append(-math.log(math.exp(alike[(i + N) % (2 * N)]) / others))
    assert nt_xent(z, t).tolist() == pytest.approx(expected)


def test_known_values():
    same, apart = torch.ones(8, 3), torch.eye(4).repeat(2, 1)
    assert nt_xent(same, 0.5).tolist() == pytest.approx([math.log(7)] * 8)
    # The views of a sample are equal and all others orthogonal.
    assert nt_xent(apart, 0.5).tolist() == pytest.approx([math.log(math.exp(2) + 6) - 2] * 8)
    assert nt_xent(torch.ones(2, 3), 0.5).tolist() == pytest.approx([0, 0])  # one sample has no negatives


def test_the_loss_of_a_batch_is_that_of_its_projected_features():
    bench = make_bench((SimCLR(width=8, temperature=0.2),), "image-pretraining")
    batch, net = bench.batch(0), bench.plan.net
    features = net.backbone(batch.x)
    loss_B = bench.plan.loss(Outcome(features, batch, net, features))
    first, second = net.pretext.projector[0], net.pretext.projector[2]
    assert torch.allclose(loss_B, nt_xent(second(first(features).relu()), 0.2))
    assert len(loss_B) == 16 and second.out_features == 8
