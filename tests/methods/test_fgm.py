import pytest
import torch
from lightning_fabric import Fabric
from tests.methods.questions import Watched, pictures, question, sharp
from torch import nn

from whet.core.batch import Outcome, Progress
from whet.core.rng import Rng
from whet.methods import FGM, LinearProbe
from whet.testing import _bench
from whet.train.loop import closure_for
from whet.train.plan import cross_entropy


def test_every_sample_moves_by_epsilon_along_its_gradient(net):
    model, x = Watched(sharp(net())), pictures()
    given = question(model, x)
    model.asked.clear()
    FGM(epsilon=0.05).wrap_loss(cross_entropy, None, None)(given)
    assert len(model.asked) == 2
    assert torch.equal(model.asked[0], x)
    shift = model.asked[1] - x
    assert shift.flatten(1).square().mean(dim=1).sqrt().tolist() == pytest.approx([0.05] * len(x), rel=1e-4)
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(cross_entropy(question(model.model, leaf)).sum(), leaf)
    assert torch.cosine_similarity(shift.flatten(1), gradient.flatten(1)).min() > 0.9999


def test_the_move_raises_the_loss_more_than_random_ones(net):
    model, x = sharp(net()), pictures()
    given = question(model, x)
    hardened = FGM(epsilon=0.1, weight=1.0).wrap_loss(cross_entropy, None, None)(given)
    raised = hardened - 2 * cross_entropy(given)
    for seed in range(5):
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
        noise = 0.1 * noise / noise.flatten(1).square().mean(dim=1).sqrt()[:, None, None, None]
        by_chance = cross_entropy(question(model, x + noise)) - cross_entropy(given)
        assert (raised > by_chance).all()
    assert (raised > 0).all()


def test_statistics_of_batch_norm_see_the_clean_samples_only():
    plain, bench = _bench(()), _bench((FGM(),))
    for one in (plain, bench):
        one.plan.net.train()
        batch = one.batch(0)
        one.plan.loss(Outcome(one.plan.net(batch.x), batch, one.plan.net))
    assert torch.equal(plain.plan.net.backbone[1].running_mean, bench.plan.net.backbone[1].running_mean)
    assert bench.plan.net.backbone[1].num_batches_tracked.item() == 1
    assert bench.plan.net.backbone[1].track_running_stats


def test_of_a_text_the_word_embeddings_move():
    with Rng(0).torch_scope("init"):
        words = nn.Embedding(20, 8)
        model = nn.Sequential(words, nn.Flatten(), nn.Linear(40, 3))
    tokens, seen = torch.arange(30).view(6, 5) % 20, []
    given = question(model, tokens)
    words.register_forward_hook(lambda module, inputs, output: seen.append(output.detach()))
    model[1].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    hardened = FGM(epsilon=0.2).wrap_loss(cross_entropy, None, None)(given)
    clean, moved = seen[0], seen[-1]
    assert (moved - clean).flatten(1).square().mean(dim=1).sqrt().tolist() == pytest.approx([0.2] * 6, rel=1e-4)
    assert (hardened > 2 * cross_entropy(given)).all()
    assert len(words._forward_hooks) == 1  # ours


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_kept_features_move_in_the_place_of_pictures_in_any_precision(precision):
    bench = _bench((LinearProbe(), FGM(epsilon=0.5)))
    sharp(bench.plan.net)
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)
    model, optimizer = fabric.setup(bench.plan.net.head, bench.plan.optimizer)
    with Rng(0).torch_scope("x"):
        batch = bench.batch(0).replace(x=torch.empty(8, 4).normal_())
    with torch.no_grad():
        clean = cross_entropy(Outcome(model(batch.x), batch, model)).mean()
    assert closure_for(bench.plan, fabric, model, optimizer, batch, Progress(0, 1, 1))() > 2 * clean
