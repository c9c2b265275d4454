import numpy as np
import torch

from whet.core.batch import Context, Features
from whet.methods import LogisticRegression
from whet.models.linear import fit_linear
from whet.tasks import SINGLE_LABEL
from whet.testing.bench import make_bench, train_steps


def test_the_head_is_at_its_optimum_and_training_moves_nothing():
    bench = make_bench((LogisticRegression(l2=1e-2),))
    net = bench.plan.net
    found = bench.plan.context.features()
    best = torch.nn.Linear(net.width, 3)
    fit_linear(best, found.x_ND, found.targets, 1e-2)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    assert torch.allclose(net.linear.weight, best.weight) and net.backbone_frozen
    train_steps(bench, 3)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_duplicates_stay_together_when_the_penalty_is_chosen():
    """Noise that is written down five times looks like signal to folds that tear copies apart; so does a group."""
    rng = np.random.default_rng(0)
    once = rng.normal(size=(60, 50))
    label = torch.from_numpy(np.tile(rng.integers(2, size=60), 5))
    near = np.tile(once, (5, 1)) + 0.01 * rng.normal(size=(300, 50))
    names = np.array([f"g{number}" for number in np.tile(np.arange(60), 5)])
    nothing = np.full(300, "")
    for x, group_N, is_held in ((np.tile(once, (5, 1)), nothing, True), (near, names, True), (near, nothing, False)):
        found = Features(torch.from_numpy(x).float(), SINGLE_LABEL.targets(label, 2), np.arange(300), group_N)
        net = make_bench(()).plan.net
        net.head = torch.nn.Linear(50, 2)
        context = Context(SINGLE_LABEL, ("a", "b"), np.array([1, 1]), lambda found=found: found)
        LogisticRegression().initialise(net, context)
        assert (net.linear.weight.abs().max() < 0.3) == is_held


def test_tf_idf_becomes_a_run_like_any_other(tmp_path):
    """Its sparse features pass through the whole of a training; the saved model predicts and explains."""
    import whet

    words = {"glass": "bottle jar window", "paper": "box letter newspaper"}
    rows = [
        f"{label},an old {word} {number}"
        for label, kinds in words.items()
        for word in kinds.split()
        for number in range(12)
    ]
    (tmp_path / "texts.csv").write_text("\n".join(["label,text", *rows]))
    run = whet.train(tmp_path / "texts.csv", recipe="text/tf_idf", out=tmp_path / "run")
    assert run.metrics["test"]["accuracy"] == 1.0
    again = whet.load(run.path).predict(["a broken jar", "the old newspaper"])
    assert again["predicted"].tolist() == ["glass", "paper"]
