import pytest
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from tests.methods.questions import Watched, images, question, sharp
from torch import nn

from whet.core.batch import Outcome, Progress
from whet.core.rng import Rng
from whet.methods import FGM, LinearProbe
from whet.models.token_vectors import TokenVectors
from whet.testing.bench import make_bench
from whet.training.loop import closure_for
from whet.training.plan import task_loss


def test_every_sample_moves_by_epsilon_along_its_gradient(net):
    model, x = Watched(sharp(net())), images()
    given = question(model, x)
    model.asked.clear()
    FGM(epsilon=0.05).wrap_loss(task_loss, None, None)(given)
    assert len(model.asked) == 2
    assert torch.equal(model.asked[0], x)
    shift = model.asked[1] - x
    assert shift.flatten(1).square().mean(dim=1).sqrt().tolist() == pytest.approx([0.05] * len(x), rel=1e-4)
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(task_loss(question(model.model, leaf)).sum(), leaf)
    assert torch.cosine_similarity(shift.flatten(1), gradient.flatten(1)).min() > 0.9999


def test_the_move_raises_the_loss_more_than_random_ones(net):
    model, x = sharp(net()), images()
    given = question(model, x)
    hardened = FGM(epsilon=0.1, weight=1.0).wrap_loss(task_loss, None, None)(given)
    raised = hardened - 2 * task_loss(given)
    for seed in range(5):
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
        noise = 0.1 * noise / noise.flatten(1).square().mean(dim=1).sqrt()[:, None, None, None]
        by_chance = task_loss(question(model, x + noise)) - task_loss(given)
        assert (raised > by_chance).all()
    assert (raised > 0).all()


def test_statistics_of_batch_norm_see_the_clean_samples_only():
    plain, bench = make_bench(()), make_bench((FGM(),))
    for one in (plain, bench):
        one.plan.net.train()
        batch = one.batch(0)
        one.plan.loss(Outcome(one.plan.net(batch.x), batch, one.plan.net))
    assert torch.equal(plain.plan.net.backbone[1].running_mean, bench.plan.net.backbone[1].running_mean)
    assert bench.plan.net.backbone[1].num_batches_tracked.item() == 1
    assert bench.plan.net.backbone[1].track_running_stats


class Words(nn.Module):
    """Padding is 0."""

    def __init__(self):
        super().__init__()
        self.tokens, self.vectors, self.head = nn.Embedding(20, 8), TokenVectors(), nn.Linear(8, 3)
        self.sums = []

    def forward(self, ids_BL):
        x_BLD, real_BL = self.vectors(self.tokens(ids_BL), ids_BL != 0)
        sum_BD = (x_BLD * real_BL[..., None]).sum(dim=1)
        self.sums.append(sum_BD.detach())
        return self.head(sum_BD)


@pytest.mark.parametrize("growth", [1.0, 10.0])
def test_of_a_text_its_token_vectors_move_by_a_share_of_their_length_however_it_is_padded(growth):
    with Rng(0).torch_scope("init"):
        model = Words()
    with torch.no_grad():
        model.tokens.weight.mul_(growth)
    tokens = 1 + torch.arange(30).view(6, 5) % 19
    own = model.tokens(tokens).detach()
    found = []
    for padding in (0, 7):
        model.sums.clear()
        given = question(model, F.pad(tokens, (0, padding)))
        hardened = FGM(epsilon=0.2).wrap_loss(task_loss, None, None)(given)
        # Words that are summed all move alike, each by its share of the sum's move.
        length = (model.sums[-1] - model.sums[0]).norm(dim=1) / 5**0.5
        assert length.tolist() == pytest.approx((0.2 * own.flatten(1).norm(dim=1)).tolist(), rel=1e-3)
        assert (hardened > 2 * task_loss(given)).all()
        assert not model.vectors._forward_hooks
        found.append(hardened.detach())
    assert torch.allclose(*found, rtol=1e-4)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_kept_features_move_in_the_place_of_images_in_any_precision(precision):
    bench = make_bench((LinearProbe(), FGM(epsilon=0.5)))
    sharp(bench.plan.net)
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)
    model, optimizer = fabric.setup(bench.plan.net.head, bench.plan.optimizer)
    with Rng(0).torch_scope("x"):
        batch = bench.batch(0).replace(x=torch.empty(8, 4).normal_())
    with torch.no_grad():
        clean = task_loss(Outcome(model(batch.x), batch, model)).mean()
    assert closure_for(bench.plan, fabric, model, optimizer, batch, Progress(0, 1, 1))() > 2 * clean
