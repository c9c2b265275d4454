from pathlib import Path

import pytest
import torch

from whet.core.batch import Outcome
from whet.core.errors import NoEffectError
from whet.methods import FeatureDistill, LinearProbe
from whet.methods.distill.feature_distill import hint_error
from whet.methods.distill.teacher import Teacher
from whet.models.build import load_net, save_net
from whet.testing.bench import make_bench, train_steps
from whet.testing.samples import CLASSES
from whet.training.plan import task_loss


def test_the_error_does_not_know_the_teacher_s_scale():
    taught = torch.linspace(-2, 3, 12).sin().view(3, 4)
    learnt = torch.linspace(4, 1, 12).cos().view(3, 4)
    unit = taught / taught.pow(2).mean().sqrt()
    assert torch.allclose(hint_error(learnt, taught), ((learnt - unit) ** 2).mean(dim=1))
    assert torch.allclose(hint_error(learnt, 50 * taught), hint_error(learnt, taught))
    assert hint_error(unit, taught).max() < 1e-12
    assert hint_error(torch.zeros_like(taught), taught).mean() == pytest.approx(1)
    assert (hint_error(taught, torch.zeros_like(taught)) == (taught**2).mean(dim=1)).all()


def test_the_loss_is_that_of_the_mapped_features(teacher_run):
    run = teacher_run()
    bench = make_bench((FeatureDistill(teacher=run, weight=0.5),))
    plan, batch = bench.plan, bench.batch(0)
    plan.net.eval()
    with plan.net.keeping_features() as features:
        logits = plan.net(batch.x)
    given = Outcome(logits, batch, plan.net, features[0])
    taught = Teacher("feature_distill", run, plan.net).features(batch)
    expected = task_loss(given) + 0.5 * hint_error(plan.net.hint(plan.net.backbone(batch.x)), taught)
    assert torch.allclose(plan.loss(given), expected, atol=1e-6)


def test_the_features_come_nearer_while_it_trains(teacher_run):
    run = teacher_run()
    bench = make_bench((FeatureDistill(teacher=run, weight=10.0),))
    net, batch = bench.plan.net, bench.batch(0)
    taught = Teacher("feature_distill", run, net).features(batch)

    def apart():
        net.eval()
        with torch.no_grad():
            return float(hint_error(net.hint(net.backbone(batch.x)), taught).mean())

    before = apart()
    train_steps(bench, 12)
    assert apart() < 0.8 * before


def test_the_map_is_trained_resumed_and_not_kept(teacher_run, tmp_path):
    method = FeatureDistill(teacher=teacher_run())
    whole = train_steps(make_bench((method,)), 4)
    first, second = make_bench((method,)), make_bench((method,))
    train_steps(first, 2)
    second.load(first.state())
    assert not torch.equal(first.plan.net.hint.weight, torch.eye(*first.plan.net.hint.weight.shape))
    assert train_steps(second, 2, start=2) == whole
    student = load_net(Path(teacher_run(classes=CLASSES, name="student")) / "model")
    changed = method.change(student, second.plan.context)
    save_net(changed, tmp_path / "saved", {})
    assert set(load_net(tmp_path / "saved").state_dict()) == set(changed.state_dict()) - {"hint.weight", "hint.bias"}


def test_in_a_pre_training_it_is_the_whole_loss(teacher_run):
    run = teacher_run()
    bench = make_bench((FeatureDistill(teacher=run),), "image-pretraining", strict=True)
    net, batch = bench.plan.net.eval(), bench.batch(0)
    features = net.backbone(batch.x)
    expected = hint_error(net.hint(features), Teacher("feature_distill", run, net).features(batch))
    assert torch.allclose(bench.plan.loss(Outcome(features, batch, net, features)), expected, atol=1e-6)
    train_steps(bench, 12)
    net.eval()
    taught = Teacher("feature_distill", run, net).features(batch)
    assert hint_error(net.hint(net.backbone(batch.x)), taught).mean() < expected.mean()


def test_a_teacher_of_other_classes_will_do(teacher_run):
    train_steps(make_bench((FeatureDistill(teacher=teacher_run(classes=("cat", "dog"))),), strict=True), 1)


def test_a_frozen_backbone_and_no_teacher_are_told(teacher_run):
    with pytest.raises(NoEffectError, match="features cannot change"):
        make_bench((FeatureDistill(teacher=teacher_run()), LinearProbe()), strict=True)
    with pytest.raises(NoEffectError, match="no teacher is set"):
        make_bench((FeatureDistill(),), strict=True)
