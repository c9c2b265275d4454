import numpy as np
import pytest
import torch

from whet.core.batch import Outcome, Progress
from whet.core.errors import CollapseError, RecipeError
from whet.core.recipe import Recipe
from whet.methods import RandomResizedCrop, SimSiam, TokenMask
from whet.methods.pretrain.pretext import Pretext, deviation
from whet.methods.pretrain.two_views import CollapseWatch, partner
from whet.testing.bench import make_bench

SMALL = SimSiam(width=8, bottleneck=4)


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_the_mean_over_rows_is_the_symmetric_loss_of_the_paper():
    """L = D(p1, z2) / 2 + D(p2, z1) / 2, where D is the negative cosine."""
    plan = make_bench((SMALL,), "image-pretraining").plan
    features, bench = (
        torch.randn(10, 4, generator=torch.Generator().manual_seed(0)),
        make_bench((SMALL,), "image-pretraining"),
    )
    pretext = plan.net.pretext
    loss_B = plan.loss(Outcome(features, bench.batch(0), plan.net, features))
    z = pretext.projector(features)
    p = pretext.predictor(z).detach().numpy()
    z = z.detach().numpy()
    one = -np.mean([cosine(p[i], z[5 + i]) for i in range(5)])
    other = -np.mean([cosine(p[5 + i], z[i]) for i in range(5)])
    assert loss_B.mean().item() == pytest.approx(one / 2 + other / 2, abs=1e-5)


def test_no_gradient_passes_through_the_compared_embedding():
    plan = make_bench((SMALL,), "image-pretraining").plan
    pretext, features = plan.net.pretext.eval(), torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    fixed = partner(pretext.projector(features)).detach()
    batch = make_bench((SMALL,), "image-pretraining").batch(0)

    def gradients(loss_B):
        return torch.autograd.grad(loss_B.mean(), list(pretext.projector.parameters()))

    found = gradients(plan.loss(Outcome(features, batch, plan.net, features)))
    p = pretext.predictor(pretext.projector(features))
    expected = gradients(-torch.nn.functional.cosine_similarity(p, fixed, dim=1))
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(found, expected, strict=True))


def test_the_two_views_of_a_sample_are_drawn_apart():
    """Without a method that compares them, copies of a sample share their draws."""
    views = make_bench((SMALL, RandomResizedCrop()), "image-pretraining").batch(0)
    assert (views.index_B[:8] == views.index_B[8:]).all()
    assert all(not torch.equal(one, other) for one, other in zip(views.x[:8], views.x[8:], strict=True))
    tokens = make_bench((SMALL, TokenMask(fraction=0.5)), "text-pretraining").batch(0).x
    assert not torch.equal(tokens[:8], tokens[8:])


@pytest.mark.parametrize("dimensions", [4, 64])
def test_the_deviation_is_one_of_random_directions_and_zero_of_equal_ones(dimensions):
    z = torch.randn(20_000, dimensions, generator=torch.Generator().manual_seed(0))
    assert deviation(z).item() == pytest.approx(1, abs=0.02)
    assert deviation(z[:1].repeat(50, 1)).item() < 1e-3


def test_equal_embeddings_stop_the_training():
    pretext = Pretext()
    watch, healthy = CollapseWatch(pretext), {"feature_deviation": 0.4}
    watch.after_validation(healthy, {}, Progress(0, 10, 5))  # no batch yet
    pretext.watch(torch.randn(32, 16, generator=torch.Generator().manual_seed(0)))
    watch.after_validation(healthy, {}, Progress(1, 10, 5))
    pretext.watch(torch.ones(32, 16) + 1e-4 * torch.randn(32, 16, generator=torch.Generator().manual_seed(0)))
    with pytest.raises(CollapseError, match=r"after step 2 the embeddings of the last batch .*0\.000.*--lr"):
        watch.after_validation(healthy, {}, Progress(2, 10, 5))


def test_equal_features_of_held_out_samples_stop_it_too():
    with pytest.raises(CollapseError, match="after step 0 the features of the held-out samples"):
        CollapseWatch(Pretext()).after_validation({"feature_deviation": 0.001}, {}, Progress(0, 10, 5))


def test_it_is_for_a_pre_training_alone():
    with pytest.raises(RecipeError, match="simsiam"):
        Recipe(task="image-classification", methods=(SimSiam(),))
    with pytest.raises(RecipeError, match="cannot be combined"):
        Recipe.from_dict({"task": "image-pretraining", "methods": ["simsiam", "simclr"]})
