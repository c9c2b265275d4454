from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from whet.core.batch import Context, HiddenMix, Outcome, Progress, Settings
from whet.core.errors import NoEffectError, RecipeError, RunError
from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.core.spec import DataSpec, ModelSpec
from whet.data.read import read_data
from whet.methods import SGD, Distill, HorizontalFlip, RandomCrop
from whet.methods.distill.distill import divergence
from whet.methods.distill.teacher import Teacher
from whet.models.build import add_external_model, build_net, load_net, read_extra, write_extra
from whet.models.ensemble import resized, shown_as
from whet.tasks import MULTI_LABEL, SINGLE_LABEL
from whet.testing.bench import make_bench, train_steps
from whet.testing.samples import CLASSES
from whet.training.plan import Plan, task_loss
from whet.training.source import RenderedSource, training_loader

STUDENT = torch.linspace(-3, 3, 12, dtype=torch.float64).sin().mul(4).view(4, 3)
TAUGHT = torch.linspace(1, 9, 12, dtype=torch.float64).cos().mul(4).view(4, 3)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_divergence_is_torch_s(temperature):
    s, t = STUDENT / temperature, TAUGHT / temperature
    reference = F.kl_div(s.log_softmax(dim=1), t.softmax(dim=1), reduction="none").sum(dim=1)
    assert torch.allclose(
        divergence(STUDENT, TAUGHT, temperature, SINGLE_LABEL), temperature**2 * reference, rtol=1e-10
    )


def test_the_same_answers_up_to_a_constant_cost_nothing():
    assert torch.allclose(
        divergence(TAUGHT + 3, TAUGHT, 2.0, SINGLE_LABEL), torch.zeros(4, dtype=torch.float64), atol=1e-12
    )


def test_at_a_high_temperature_it_matches_logits():
    """Section 2.1 of the paper: half the mean squared difference of the centred logits."""
    s, t = (z - z.mean(dim=1, keepdim=True) for z in (STUDENT, TAUGHT))
    assert torch.allclose(divergence(STUDENT, TAUGHT, 1e4, SINGLE_LABEL), ((s - t) ** 2).mean(dim=1) / 2, rtol=1e-3)


def test_labels_one_by_one_where_several_may_be_true():
    s, t = STUDENT / 2, TAUGHT / 2
    p = t.sigmoid()
    apart = p * (p / s.sigmoid()).log() + (1 - p) * ((1 - p) / (1 - s.sigmoid())).log()
    assert torch.allclose(divergence(STUDENT, TAUGHT, 2.0, MULTI_LABEL), 4 * apart.sum(dim=1), rtol=1e-9)


def test_the_teacher_is_shown_the_student_s_images_and_answers_in_the_student_s_order(teacher_run):
    run = teacher_run(classes=("paper", "glass", "metal"), mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25))
    student = make_bench(()).plan.net
    pixels = torch.arange(2 * 16 * 16 * 3, dtype=torch.float32).view(2, 16, 16, 3).mul(7).remainder(256).to(torch.uint8)
    batch = make_bench(()).batch(0).replace(x=student.prepare(pixels.numpy()))
    teacher = load_net(Path(run) / "model")
    with torch.no_grad():
        expected = teacher(teacher.prepare(pixels.numpy()))[:, [1, 2, 0]]
    found = Teacher("distill", run, student).for_classes(CLASSES).logits(batch)
    assert torch.allclose(found, expected, atol=1e-4)
    assert not found.requires_grad


def test_a_teacher_of_larger_images_sees_the_student_s_views_as_large(teacher_run, images, tmp_path):
    """What a student of 16 pixels is taught is what the teacher says to the view that was rendered with 32."""
    run = Path(teacher_run(classes=("glass", "metal", "paper")))
    with Rng(0).torch_scope("student"):
        net = build_net(ModelSpec(architecture="resnet9_slim", weights="none"), CLASSES)[0]
    recipe = Recipe(data=DataSpec(path=str(images))).setting(
        image_size=16, eval_size=16, batch_size=4, budget="1ep", seed=3, loader_threads=2
    )
    recipe = recipe.with_methods(SGD(), HorizontalFlip(), RandomCrop(), Distill(teacher=str(run), teacher_size=32))
    table = read_data(recipe.data)
    plan = Plan(recipe, net, Context(SINGLE_LABEL, CLASSES, table.counts_K, lambda: None))
    assert plan.rendered_size == 32
    loader = training_loader(table, recipe, net, size=plan.rendered_size)
    source = RenderedSource(table, loader, plan, torch.device("cpu"), print)
    batch = next(iter(source.batches(Progress(0, 10, 5), Settings(16), 0)))
    assert batch.x.shape[2:] == (16, 16) and batch.high_res.shape[2:] == (32, 32)
    alone = Plan(recipe.without("distill"), net, plan.context)
    (first, *_) = RenderedSource(table, loader, alone, torch.device("cpu"), print).batches(
        Progress(0, 10, 5), Settings(16), 0
    )
    assert torch.equal(batch.x, first.x), "the student sees what it would see alone"
    again = F.interpolate(batch.high_res, size=(16, 16), mode="bilinear", antialias=True)
    assert torch.corrcoef(torch.stack([again.flatten(), batch.x.flatten()]))[0, 1] > 0.9
    teacher = load_net(run / "model")
    with torch.no_grad():
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.4, 0.5, 0.6), (0.2, 0.3, 0.25)))
        expected = teacher((batch.high_res * net.front.std + net.front.mean - mean) / std)
    found = Teacher("distill", str(run), net, 32).for_classes(CLASSES).logits(batch)
    assert torch.allclose(found, expected, atol=1e-4)
    assert not torch.allclose(
        found, Teacher("distill", str(run), net, 16).for_classes(CLASSES).logits(batch), atol=1e-2
    )


def test_a_teacher_of_several_networks_says_what_they_say_together(teacher_run):
    first, second = (Path(teacher_run(seed=seed, name=f"t{seed}")) for seed in (0, 1))
    bench = make_bench(())
    batch = bench.batch(0)
    alone = [Teacher("distill", str(run), bench.plan.net).logits(batch) for run in (first, second)]
    add_external_model(first / "model", "stacking", 1, second / "model")
    together = Teacher("distill", str(first), bench.plan.net).logits(batch)
    assert torch.allclose(together.softmax(dim=1), sum(one.softmax(dim=1) for one in alone) / 2, atol=1e-5)


def test_a_teacher_is_as_sure_as_its_run_found_out_that_it_should_be(teacher_run):
    run = Path(teacher_run())
    bench = make_bench(())
    batch = bench.batch(0)
    raw = Teacher("distill", str(run), bench.plan.net).logits(batch)
    write_extra(run / "model", read_extra(run / "model") | {"fitted": {"temperature_scaling": {"temperature": 0.4}}})
    assert torch.allclose(Teacher("distill", str(run), bench.plan.net).logits(batch), raw / 0.4, rtol=1e-5)


def test_labels_and_teacher_share_the_loss(teacher_run):
    run = teacher_run()
    plan = make_bench(()).plan
    batch = make_bench(()).batch(0)
    plan.net.eval()
    logits = plan.net(batch.x)
    given = Outcome(logits, batch, plan.net)
    taught = Teacher("distill", run, plan.net).for_classes(CLASSES).logits(batch)
    loss = Distill(teacher=run, temperature=3.0, weight=0.25).wrap_loss(task_loss, plan.net, plan.context)(given)
    assert torch.allclose(
        loss, 0.75 * task_loss(given) + 0.25 * divergence(logits, taught, 3.0, SINGLE_LABEL), rtol=1e-5
    )


def test_a_student_comes_to_answer_as_its_teacher_does(teacher_run):
    run = teacher_run()
    bench = make_bench((Distill(teacher=run, weight=1.0),))
    batch = bench.batch(0)
    teacher = Teacher("distill", run, bench.plan.net).for_classes(CLASSES)

    def apart():
        bench.plan.net.eval()
        with torch.no_grad():
            return float(divergence(bench.plan.net(batch.x), teacher.logits(batch), 4.0, SINGLE_LABEL).mean())

    before = apart()
    train_steps(bench, 12)
    assert apart() < 0.7 * before


def test_the_same_seed_gives_the_same_and_a_resumed_training_ends_the_same(teacher_run):
    method = Distill(teacher=teacher_run())
    whole = train_steps(make_bench((method,)), 4)
    assert train_steps(make_bench((method,)), 4) == whole
    first, second = make_bench((method,)), make_bench((method,))
    train_steps(first, 2)
    second.load(first.state())
    assert train_steps(second, 2, start=2) == whole
    assert train_steps(make_bench(()), 4) != whole


def test_the_teacher_itself_never_changes_and_is_no_part_of_the_student(teacher_run):
    run = teacher_run()
    before = (Path(run) / "model" / "model.safetensors").read_bytes()
    bench = make_bench((Distill(teacher=run),))
    assert set(bench.plan.net.state_dict()) == set(make_bench(()).plan.net.state_dict())
    train_steps(bench, 3)
    assert (Path(run) / "model" / "model.safetensors").read_bytes() == before


def test_another_teacher_under_the_same_name_is_refused_on_resume(teacher_run):
    method = Distill(teacher=teacher_run())
    first = make_bench((method,))
    teacher_run(seed=1)
    with pytest.raises(RunError, match="not those that this training started with"):
        make_bench((method,)).load(first.state())


def test_a_teacher_that_is_gone_or_never_finished_is_named(tmp_path, teacher_run):
    with pytest.raises(RecipeError, match=r"distill.teacher = '.*nowhere': no finished run found there"):
        make_bench((Distill(teacher=str(tmp_path / "nowhere")),))
    run = teacher_run()
    (Path(run) / "DONE").unlink()
    with pytest.raises(RecipeError, match="no finished run"):
        make_bench((Distill(teacher=run),))


def test_other_classes_are_refused_by_name(teacher_run):
    with pytest.raises(RecipeError, match="missing: metal; unexpected: rubber, wood"):
        make_bench((Distill(teacher=teacher_run(classes=("glass", "paper", "wood", "rubber"))),))


def test_kept_features_in_the_place_of_images_are_refused(teacher_run):
    plan, batch = make_bench(()).plan, make_bench(()).batch(0)
    teacher = Teacher("distill", teacher_run(), plan.net)
    with pytest.raises(RecipeError, match="the teacher needs the samples"):
        teacher.logits(batch.replace(x=torch.zeros(8, 4)))


def test_what_is_mixed_inside_the_student_is_mixed_inside_the_teacher(teacher_run):
    plan, batch = make_bench(()).plan, make_bench(()).batch(0)
    teacher = Teacher("distill", teacher_run(), plan.net)
    turned = batch.replace(hidden_mix=(HiddenMix(0.0, lambda hidden: hidden.flip(0)),))
    assert torch.allclose(teacher.logits(turned), teacher.logits(batch).flip(0), atol=1e-4)


def test_no_teacher_is_told(context):
    with pytest.raises(NoEffectError, match="no teacher is set"):
        Distill().wrap_loss(task_loss, None, context())


def test_a_classifier_of_transformers_with_the_same_classes_teaches_too(mobilenet, tmp_path):
    """The 1000-class network as it came, and as one that was fine-tuned elsewhere to our classes."""
    from transformers import AutoModelForImageClassification

    model = AutoModelForImageClassification.from_pretrained(mobilenet, num_labels=3, ignore_mismatched_sizes=True)
    model.config.id2label = {0: "paper", 1: "glass", 2: "metal"}
    model.save_pretrained(tmp_path / "elsewhere")
    plan, batch = make_bench(()).plan, make_bench(()).batch(0)
    teacher = Teacher("distill", str(tmp_path / "elsewhere"), plan.net).for_classes(CLASSES)
    answer = teacher.logits(batch)
    assert answer.shape == (len(batch), 3)
    assert torch.equal(answer, teacher.net(resized(shown_as(teacher.net, None, plan.net)(batch.x), 128))[:, [1, 2, 0]])
    with pytest.raises(RecipeError, match="the teacher was trained on other classes"):
        Teacher("distill", str(mobilenet), plan.net).for_classes(CLASSES)
