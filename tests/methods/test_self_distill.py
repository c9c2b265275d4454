import pytest
import torch

from whet.core.batch import Context
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.core.spec import DataSpec, ModelSpec
from whet.methods import SGD, SelfDistill, TemperatureScaling
from whet.methods.distill.distill import divergence
from whet.methods.distill.teacher import Teacher
from whet.tasks import SINGLE_LABEL
from whet.testing.bench import make_bench
from whet.testing.samples import CLASSES
from whet.training.job import resume_run, train_run
from whet.training.log import Observer
from whet.training.plan import task_loss


def test_what_is_trained_first_is_the_same_recipe_with_another_seed_and_its_share_of_the_time():
    recipe = Recipe(methods=(SGD(lr=0.3), TemperatureScaling(), SelfDistill())).setting(seed=4, budget="8m")
    before = SelfDistill().predecessor(recipe)
    assert before.methods == (SGD(lr=0.3),)
    assert before.train.seed == 5
    assert before.train.budget.seconds == 240
    assert str(SelfDistill().predecessor(recipe.setting(budget="7ep")).train.budget) == "7ep"
    assert SelfDistill(generations=0).predecessor(recipe) is None


def test_generations_follow_each_other_and_share_the_time_evenly():
    recipe = Recipe(methods=(SGD(), SelfDistill(generations=2))).setting(seed=4, budget="9m")
    second = SelfDistill(generations=2).predecessor(recipe)
    assert second.method("self_distill").generations == 1
    first = second.method("self_distill").predecessor(second)
    assert "self_distill" not in first
    assert [one.train.seed for one in (first, second, recipe)] == [6, 5, 4]
    # The second is given two shares, of which it leaves one to the first.
    assert [one.train.budget.seconds for one in (first, second)] == [180, 360]


def test_the_loss_is_that_of_the_labels_and_of_the_generation_before(teacher_run):
    run = teacher_run(classes=CLASSES)
    method = SelfDistill(weight=0.3, temperature=2.0).following(run)
    bench = make_bench(())
    plan, batch = bench.plan, bench.batch(0)
    context = Context(SINGLE_LABEL, CLASSES, plan.context.class_counts_K, lambda: None)
    loss = method.wrap_loss(task_loss, plan.net, context)
    given = bench_outcome(plan.net, batch)
    taught = Teacher("self_distill", run, plan.net).for_classes(CLASSES).logits(batch)
    expected = 0.7 * task_loss(given) + 0.3 * divergence(given.logits_BK, taught, 2.0, SINGLE_LABEL)
    assert torch.allclose(loss(given), expected, atol=1e-6)


def bench_outcome(net, batch):
    from whet.core.batch import Outcome

    return Outcome(net.eval()(batch.x).detach(), batch, net)


@pytest.fixture(scope="module")
def born_again(tmp_path_factory):
    from tests.conftest import write_images

    import whet

    root = tmp_path_factory.mktemp("born_again")
    data = write_images(root / "images", {"glass": 20, "metal": 14, "paper": 10})
    run = whet.train(
        data, architecture="resnet9_slim", weights="none", budget="2ep", seed=2, out=root / "run",
        methods=[SGD(lr=0.05), SelfDistill(weight=1.0)],
    )  # fmt: skip
    return data, run


def test_a_run_trains_its_teacher_first_and_keeps_one_network(born_again):
    import whet

    data, run = born_again
    teacher = RunFolder(run.path / "external_models" / "self_distill")
    assert teacher.finished
    assert Recipe.load(teacher.requested).train.seed == 3
    assert not any("no generation" in note for note in run.metrics["notes"])
    assert not (run.path / "model" / "external_models").exists()
    probs = run.predictions.filter(like="p:").to_numpy()
    alone = whet.train(
        data, architecture="resnet9_slim", weights="none", budget="2ep", seed=2, out=run.path.parent / "alone",
        methods=[SGD(lr=0.05)],
    )  # fmt: skip
    assert abs(alone.predictions.filter(like="p:").to_numpy() - probs).max() > 1e-4


class _Stops(Observer):
    """Ends the second of two trainings in its fourth step."""

    def __init__(self, teacher):
        self._teacher = teacher

    def step(self, record):
        if self._teacher.finished and record["step"] == 4:
            raise InterruptedError


@pytest.mark.slow
def test_a_run_that_stopped_and_was_moved_goes_on_with_its_own_teacher(born_again, tmp_path):
    data, _ = born_again
    recipe = Recipe(
        data=DataSpec(path=str(data)),
        model=ModelSpec(architecture="resnet9_slim", weights="none"),
        methods=(SGD(lr=0.05), SelfDistill(weight=1.0)),
    ).setting(budget="2ep", batch_size=8, image_size=24, checkpoint_every="1st", seed=2)
    whole = train_run(recipe, tmp_path / "whole")
    teacher = RunFolder(tmp_path / "stopped" / "external_models" / "self_distill")
    with pytest.raises(InterruptedError):
        train_run(recipe, tmp_path / "stopped", observer=_Stops(teacher))
    moved = (tmp_path / "stopped").rename(tmp_path / "moved")
    assert resume_run(moved).read_predictions().equals(whole.read_predictions())
