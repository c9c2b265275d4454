from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from whet.core.errors import RecipeError
from whet.core.recipe import Recipe
from whet.core.spec import DataSpec, ModelSpec
from whet.data.read import read_data
from whet.models.build import build_net
from whet.models.net import Net
from whet.tasks import INSTANCE_SEGMENTATION, SINGLE_LABEL
from whet.training.resolve import make_fabric, resolve_size, resolve_threads, unseen_note

LABELLED, WITH_OBJECTS = (SimpleNamespace(task=task) for task in (SINGLE_LABEL, INSTANCE_SEGMENTATION))


@pytest.mark.parametrize(
    ("asked", "native", "expected"),
    [
        ({}, 224, (224, 224)),
        ({"image_size": 160}, 224, (160, 160)),
        ({"image_size": "85%", "eval_size": "115%"}, 224, (192, 256)),
        ({"image_size": "85%", "eval_size": "115%"}, 128, (96, 160)),
        ({"eval_size": "100%", "image_size": 96}, 224, (96, 224)),
        ({"eval_size": "125%"}, 32, (32, 40)),
    ],
)
def test_shares_are_of_the_size_the_weights_were_trained_with(net, asked, native, expected):
    made: Net = net()
    made.spec = replace(made.spec, native_size=native)
    train = resolve_size(Recipe().setting(**asked), made, image_size=500, table=LABELLED).train
    assert (train.image_size, train.eval_size) == expected


def test_from_scratch_the_images_decide(net):
    assert resolve_size(Recipe(), net(), image_size=45, table=LABELLED).train.image_size == 48
    assert resolve_size(Recipe(), net(), image_size=9, table=LABELLED).train.image_size == 32
    assert resolve_size(Recipe(), net(), image_size=2000, table=LABELLED).train.image_size == 224


@pytest.mark.parametrize(("image_size", "expected"), [(100, 224), (256, 256), (380, 352), (2000, 448)])
def test_small_objects_get_the_pixels_of_their_images(net, image_size, expected):
    made: Net = net()
    made.spec = replace(made.spec, native_size=224)
    train = resolve_size(Recipe(), made, image_size=image_size, table=WITH_OBJECTS).train
    assert (train.image_size, train.eval_size) == (expected, expected)


@pytest.mark.parametrize("wrong", ["5%", "500%", "big", "85.5%"])
def test_other_words_are_refused(wrong):
    with pytest.raises(RecipeError, match=r"train.image_size = .*a share of the native size is written as 25% to 400%"):
        Recipe().setting(image_size=wrong)


@pytest.mark.parametrize(("many", "at_start"), [(0, False), (10_000, True)])
def test_random_weights_are_not_judged_on_many_samples_before_the_first_step(
    monkeypatch, images, tmp_path, many, at_start
):
    import whet
    from whet.training import session

    monkeypatch.setattr(session, "_MAX_INITIAL_VALIDATION", many)
    run = whet.train(
        images, architecture="resnet9_slim", weights="none", budget="1ep", methods=["sgd"], out=tmp_path / "run"
    )
    steps = [r["step"] for r in run.folder.log_records() if r["event"] == "validation"]
    assert (0 in steps) == at_start
    assert steps[-1] > 0


@pytest.mark.parametrize(("value", "threads"), [("", 3), ("2", 2), ("2,1", 2), ("64", 3), ("0", 1), ("many", 3)])
def test_torch_takes_the_cores_it_may_run_on_and_no_more_than_omp_num_threads(monkeypatch, value, threads):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 2, 5}, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    train = resolve_threads(Recipe()).train
    assert (train.torch_threads, train.loader_threads) == (threads, 3)
    assert torch.get_num_threads() == threads
    assert resolve_threads(Recipe().setting(torch_threads=4)).train.torch_threads == 4


def test_what_a_network_is_not_shown_is_told(tmp_path):
    """Of eight texts two are cut at four tokens; of six audio clips, three of 15 s lose a third each."""
    rows = [(f"word{i} " * (8 if i < 2 else 2), "ab"[i % 2]) for i in range(8)]
    (tmp_path / "t.csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    table = read_data(DataSpec(path=str(tmp_path / "t.csv"), val_fraction=0.25, test_fraction=0.25))
    texts = Recipe(task="text-classification", data=DataSpec(path="t.csv")).setting(max_tokens=4)
    net, _ = build_net(
        ModelSpec(architecture="fast_text", weights="none"), table.classes, "text", list(table.frame["text"])
    )
    assert unseen_note(texts, net, table) == (
        "2 of 8 texts are longer than 4 tokens (train.max_tokens) and are truncated: 29 % of all tokens are lost"
    )
    assert unseen_note(texts.setting(max_tokens=8), net, table) is None
    for i in range(6):
        path = tmp_path / "audio" / "ab"[i % 2] / f"{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.full(1000 * (15 if i < 3 else 5), 0.01 * (i + 1)), 1000)
    audio = read_data(DataSpec(path=str(tmp_path / "audio"), val_fraction=0.3, test_fraction=0.3))
    recipe = Recipe(task="audio-classification").setting(clip_seconds=10.0)
    assert unseen_note(recipe, net, audio) == (
        "3 of 6 audio clips are longer than 10 s (train.clip_seconds) and are truncated: 25 % of all seconds are lost"
    )


def test_a_run_s_own_recipe_leaves_nothing_open_and_is_a_recipe(finished_run):
    """But for where decoded samples are kept, which changes no result and is decided at every start."""
    text = (finished_run / "recipe.yaml").read_text()
    assert [line.strip() for line in text.splitlines() if line.endswith(" auto")] == ["store: auto"]
    recipe = Recipe.load(finished_run / "recipe.yaml")
    assert recipe.train.device in ("cpu", "cuda", "mps")
    assert str(recipe.train.budget) == "4ep"


def test_a_device_that_is_not_there_is_named():
    if torch.cuda.is_available():
        pytest.skip("there is one here")
    with pytest.raises(RecipeError, match=r"train.device = cuda: not available on this machine; accepted: auto, cpu"):
        make_fabric(Recipe().setting(device="cuda"))
