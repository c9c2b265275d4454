import threading

import numpy as np
import pytest
import soundfile
import torch

from whet.core.batch import Context, Progress, Settings
from whet.core.recipe import DataSpec, ModelSpec, Recipe, parse_methods
from whet.core.rng import Rng
from whet.data.read import read_data
from whet.evaluate.inference import prepared
from whet.models.build import build_net
from whet.tasks import SINGLE_LABEL
from whet.training.plan import Plan
from whet.training.source import RenderedSource, eval_loader, showings, training_loader


def test_every_further_showing_of_a_sample_has_a_number_of_its_own():
    assert showings(np.array([3, 1, 3, 0, 3, 1]), 4).tolist() == [3, 1, 7, 0, 11, 5]


def test_samples_shown_once_keep_their_numbers():
    order = np.array([2, 0, 3, 1])
    assert showings(order, 4).tolist() == order.tolist()


def test_a_sample_shown_twice_in_an_epoch_is_not_rendered_alike(images):
    from whet.core.rng import Rng
    from whet.data.image_loader import ImageLoader
    from whet.methods import RandomResizedCrop
    from whet.training.augmentation import Augmentation

    paths = sorted(str(path) for path in images.rglob("*.png"))
    draw = Augmentation([RandomResizedCrop()], Rng(0)).draw(0)
    (batch,) = ImageLoader(paths, 1).batches([showings(np.array([5, 5, 6]), len(paths))], 16, draw)
    assert not np.array_equal(batch.content[0], batch.content[1])
    (again,) = ImageLoader(paths, 1).batches([np.array([5])], 16, draw)
    assert np.array_equal(again.content[0], batch.content[0])


def write_texts(folder):
    words = ["glass", "paper", "can", "an old thing", "blue", "green"]
    rows = [f"{' '.join(words[(n * k) % 6] for k in range(2 + n % 9))},{'ab'[n % 2]}" for n in range(48)]
    (folder / "texts.csv").write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    return folder / "texts.csv"


def write_clips(folder):
    for n in range(24):
        tone = np.sin(np.arange(4000 + 100 * n) * (0.1 + 0.01 * n)).astype(np.float32)
        (folder / "clips" / "ab"[n % 2]).mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / "clips" / "ab"[n % 2] / f"{n:02d}.wav", 0.3 * tone, 16_000)
    return folder / "clips"


SHOWN = {
    "text": (write_texts, "fast_text", "text", 16, ["random_swap", "random_deletion"]),
    "audio": (write_clips, "audio_cnn", "audio", 250, ["time_shift", "gain", "time_mask"]),
}


@pytest.fixture(params=sorted(SHOWN))
def shown(request, tmp_path):
    """shown(threads): the batches of an epoch of training and those of a prediction, and the threads that received them."""
    write, architecture, medium, size, methods = SHOWN[request.param]
    spec = DataSpec(path=str(write(tmp_path)), val_fraction=0.2, test_fraction=0.0)
    recipe = Recipe(task=f"{request.param}-classification", data=spec).setting(batch_size=8, seed=3)
    recipe = recipe.with_methods(*parse_methods(["sgd", *methods]))
    table = read_data(spec)
    with Rng(3).torch_scope("net"):
        made = ModelSpec(architecture=architecture, weights="none")
        net, _ = build_net(made, table.classes, medium, table.frame.get("text", ()))

    def batches(threads):
        receivers, receive = set(), net.front.receive

        def watched(content, size=0):
            receivers.add(threading.get_ident())
            return receive(content, size)

        net.front.receive = watched
        asked = recipe.setting(loader_threads=threads)
        plan = Plan(asked, net, Context(SINGLE_LABEL, table.classes, table.counts_K, lambda: None))
        loader = training_loader(table, asked, net)
        source = RenderedSource(table, loader, plan, torch.device("cpu"), print)
        found = [batch.x for batch in source.batches(Progress(0, 10, 5), Settings(size), 0)]
        found += [x for x, _ in prepared(net, eval_loader(table, asked, net), size)]
        del net.front.receive
        return found, receivers

    return batches


def test_texts_and_clips_are_received_in_the_loader_s_threads(shown):
    found, receivers = shown(2)
    assert found and receivers and threading.get_ident() not in receivers


def test_any_number_of_threads_gives_the_same_tokens_and_spectrograms(shown):
    one, four = shown(1)[0], shown(4)[0]
    assert len(one) == len(four) > 3
    assert all(torch.equal(a, b) for a, b in zip(one, four))


def one_step_epochs(images, threads=2, **further):
    """(source, its epochs): three epochs of one step each, in the order that a training reads them."""
    spec = DataSpec(path=str(images), val_fraction=0.2, test_fraction=0.0)
    recipe = Recipe(task="image-classification", data=spec).setting(
        batch_size=64, seed=3, loader_threads=threads, image_size=32
    )
    recipe = recipe.with_methods(*parse_methods(["sgd", "random_resized_crop", "horizontal_flip"]))
    table = read_data(spec)
    net, _ = build_net(ModelSpec(architecture="resnet9_slim", weights="none"), table.classes, "image")
    plan = Plan(recipe, net, Context(SINGLE_LABEL, table.classes, table.counts_K, lambda: None))
    source = RenderedSource(table, training_loader(table, recipe, net), plan, torch.device("cpu"), print)
    assert source.steps_per_epoch == 1
    return source, [Progress(epoch, 3, 1) for epoch in range(3)]


def test_batches_that_were_begun_early_are_those_of_their_epoch(images):
    """One after the other, with another size in the last epoch, and each epoch alone as after a resume."""
    source, begins = one_step_epochs(images)
    sizes = (32, 32, 24)
    for begin, size in zip(begins, sizes):
        (batch,) = source.batches(begin, Settings(size), 0)
        (alone,) = one_step_epochs(images, threads=1)[0].batches(begin, Settings(size), 0)
        assert torch.equal(batch.x, alone.x) and (batch.index_B == alone.index_B).all() and batch.epoch == begin.epoch
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("whet-loader")]
