import threading
from itertools import chain

import numpy as np
import pytest
from PIL import Image

from whet.core.errors import DataError
from whet.core.registry import registry
from whet.core.rng import Rng
from whet.core.stages import Draws
from whet.core.view import ImageView
from whet.data.image_loader import ImageLoader
from whet.data.loader import Job, Stream, chunks
from whet.data.store import ImageStore


def all_wishes(view, index_B):
    for cls in sorted(
        (c for c in registry() if issubclass(c, Draws) and "image-classification" in c.tasks),
        key=lambda c: (c.order, c.name),
    ):
        view = cls().draw(view, Rng(0).batch(cls.name, 0, index_B))
    return view


@pytest.fixture
def paths(images):
    """20 images of all classes and both formats, among them the first ten."""
    found = sorted(str(path) for path in images.rglob("*.*g"))
    return found[:10] + found[10::5]


def rendered(paths, threads, batch_size, draw=all_wishes):
    loader = ImageLoader(paths, threads)
    order = Rng(1).shuffled("order", 0, len(paths))
    batches = list(loader.batches(chunks(order, batch_size), 32, draw))
    images = np.concatenate([batch.content for batch in batches])
    index = np.concatenate([batch.index_B for batch in batches])
    assert (index == order).all()
    return images[np.argsort(index)]


@pytest.mark.parametrize(("threads", "batch_size"), [(1, 7), (2, 7), (4, 7), (3, 20), (2, 1)])
def test_any_number_of_threads_and_any_batch_size_render_the_same(paths, threads, batch_size):
    assert (rendered(paths, threads, batch_size) == rendered(paths, 1, 16)).all()


def test_without_wishes_it_is_the_resized_image(paths):
    import cv2

    images = rendered(paths, 2, 8, lambda view, index: view)
    first = cv2.imread(paths[0], cv2.IMREAD_COLOR_RGB)
    assert np.abs(images[0].astype(int) - cv2.resize(first, (32, 32))).max() <= 2


def test_a_bad_file_is_left_out_and_named_and_the_others_keep_their_places(paths, images):
    (images / "glass" / "004.png").write_bytes(b"nothing")
    data = (images / "glass" / "005.jpg").read_bytes()
    (images / "glass" / "005.jpg").write_bytes(data[: len(data) // 2])  # its header is fine; decoding finds the damage
    (images / "glass" / "006.png").unlink()
    (batch,) = ImageLoader(paths, 2).batches([np.arange(10)], 32, all_wishes)
    assert batch.index_B.tolist() == [0, 1, 2, 3, 7, 8, 9]
    assert sorted(index for index, _ in batch.failed) == [4, 5, 6]
    assert dict(batch.failed)[6] == "No such file or directory"
    (clean,) = ImageLoader(paths, 2).batches([np.array([0, 1, 2, 3, 7, 8, 9])], 32, all_wishes)
    assert (batch.content == clean.content).all()


def test_large_and_thin_images(tmp_path):
    for name, size in (("wide.png", (4000, 1)), ("tall.jpg", (1, 4000)), ("big.jpg", (3000, 2000))):
        Image.new("RGB", size, (10, 200, 30)).save(tmp_path / name)
    (batch,) = ImageLoader([str(p) for p in sorted(tmp_path.iterdir())], 2).batches([np.arange(3)], 48)
    assert np.abs(batch.content.astype(int) - [10, 200, 30]).max() <= 2


@pytest.mark.parametrize("form", ["jpg", pytest.param("png", marks=pytest.mark.slow)])
def test_fifty_megapixels(tmp_path, form):
    """An image of 50 Mpx is shown right, in training and at prediction."""
    ramp = np.linspace(0, 255, 8192).astype(np.uint8)
    Image.fromarray(np.broadcast_to(ramp[None, :, None], (6144, 8192, 3)).copy()).save(
        tmp_path / f"a.{form}", compress_level=1
    )
    path = str(tmp_path / f"a.{form}")
    store = ImageStore([path], [""], 64)
    for loader in (ImageLoader([path], 1), ImageLoader([path], 1, store=store)):
        (batch,) = loader.batches([np.arange(1)], 64)
        assert np.abs(batch.content[0, 32, :, 0].astype(int) - np.linspace(2, 253, 64)).max() <= 4


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("deep.png", Image.fromarray(np.full((40, 30), 257 * 90, dtype=np.uint16))),
        ("palette.png", Image.new("RGB", (30, 40), (90, 90, 90)).quantize(4)),
        ("cmyk.jpg", Image.new("RGB", (30, 40), (90, 90, 90)).convert("CMYK")),
        ("clear.png", Image.new("RGBA", (30, 40), (0, 0, 0, 165))),
        ("grey.webp", Image.new("L", (30, 40), 90)),
        ("one.gif", Image.new("L", (30, 40), 90)),
    ],
)
def test_odd_images_go_the_whole_road(tmp_path, name, image):
    image.save(tmp_path / name)
    path = str(tmp_path / name)
    for loader in (ImageLoader([path], 1), ImageLoader([path], 1, store=ImageStore([path], [""], 16))):
        (batch,) = loader.batches([np.arange(1)], 16)
        assert np.abs(batch.content.astype(int) - 90).max() <= 2


def test_what_is_received_is_received_in_the_loader_s_threads(paths):
    """In place of the rendered samples, in the order asked for, and nothing of it in the thread that reads the batches."""
    threads = set()

    def receive(content, size):
        threads.add(threading.get_ident())
        return content.shape, size

    loader, order = ImageLoader(paths, 2), chunks(np.arange(10), 4)
    batches = list(loader.batches(order, 32, receive=receive))
    assert [batch.content for batch in batches] == [((4, 32, 32, 3), 32)] * 2 + [((2, 32, 32, 3), 32)]
    assert [batch.index_B.tolist() for batch in batches] == [rows.tolist() for rows in order]
    assert threads and threading.get_ident() not in threads


def test_no_more_batches_are_received_ahead_than_there_is_room_for(paths):
    received, all_there = [], threading.Semaphore(0)

    def receive(content, size):
        received.append(len(content))
        all_there.release()

    batches = ImageLoader(paths, 2).batches(chunks(np.arange(20), 4), 32, receive=receive)
    next(batches)
    for _ in range(2 + 2):
        assert all_there.acquire(timeout=60)
    batches.close()
    assert len(received) == 2 + 2  # the one that was read among them


def test_what_a_thread_raises_reaches_the_reader_in_place_of_its_batch(paths):
    def receive(content, size):
        if len(content) == 3:
            raise DataError("sample 7: no")
        return content

    batches = ImageLoader(paths, 2).batches([np.arange(4), np.arange(3)], 32, receive=receive)
    assert len(next(batches).content) == 4
    with pytest.raises(DataError, match="sample 7: no"):
        next(batches)


def test_stopping_early_leaves_no_thread_behind(paths):
    batches = ImageLoader(paths, 3).batches(chunks(np.arange(60), 4), 32)
    next(batches)
    batches.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("whet-loader")]


def epochs_of(paths, receive, sizes=(32, 32), threads=2):
    """One batch an epoch, each expected by the one before with the size of that one: what is read, and the numbers asked for."""
    stream, order = Stream(ImageLoader(paths, threads)), chunks(np.arange(12), 4)
    jobs = lambda epoch, size: [Job(order[epoch], size, receive=receive)]  # noqa: E731
    for epoch, size in enumerate(sizes):
        yield from stream.batches(
            jobs(epoch, size), chain.from_iterable(jobs(n, size) for n in range(epoch + 1, len(sizes)))
        )


def test_the_next_epoch_is_begun_before_it_is_asked_for(paths):
    received, there = [], threading.Semaphore(0)

    def receive(content, size):
        received.append(size)
        there.release()
        return content

    batches = epochs_of(paths, receive, sizes=(32, 32, 32))
    next(batches)
    for _ in range(3):
        assert there.acquire(timeout=60)  # also those of the two epochs that follow
    assert len(list(batches)) == 2 and len(received) == 3  # nothing twice


def test_a_wrong_expectation_changes_nothing(paths):
    receive = lambda content, size: content  # noqa: E731
    found = list(epochs_of(paths, receive, sizes=(32, 48, 32)))
    loader = ImageLoader(paths, 1)
    for batch, rows, size in zip(found, chunks(np.arange(12), 4), (32, 48, 32), strict=True):
        (alone,) = loader.batches([rows], size)
        assert (batch.index_B == rows).all() and np.array_equal(batch.content, alone.content)


@pytest.mark.parametrize("read", [1, 2, 3])
def test_no_thread_is_left_after_the_last_epoch_or_a_stop(paths, read):
    batches = epochs_of(paths, None, sizes=(32, 32, 32))
    for _ in range(read):
        next(batches)
    if read == 3:
        assert next(batches, None) is None
    batches.close()
    del batches
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("whet-loader")]


def test_views_have_the_true_size_of_turned_images(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(tmp_path / "t.jpg", exif=exif)
    seen = []

    def look(view: ImageView, index_B):
        seen.append(view.source_size_B2.tolist())
        return view

    list(ImageLoader([str(tmp_path / "t.jpg")], 1).batches([np.arange(1)], 16, look))
    assert seen == [[[40, 20]]]
