import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.data.test_loader import all_wishes

from whet.data import store
from whet.data.image import ImageSample
from whet.data.image_loader import ImageLoader
from whet.data.loader import chunks
from whet.data.store import DiskCache, ImageStore, Kept, MemoryCache, digest_of, kept_bytes, keys_of, working_factor

MEGABYTES = 1 << 20


@pytest.fixture
def paths(images):
    """20 images of all classes and both formats."""
    return sorted(str(path) for path in images.rglob("*.*g"))[::3]


def contents(folder):
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(folder.rglob("*")) if path.is_file()}


def loader(paths, cache, shown=16):
    digests = [digest_of(Path(path).read_bytes()) for path in paths]
    return ImageLoader(paths, 2, store=ImageStore(paths, digests, shown, cache))


def rendered(loader, size=16):
    return np.concatenate([b.content for b in loader.batches(chunks(np.arange(len(loader)), 7), size, all_wishes)])


@pytest.fixture
def decoded(monkeypatch):
    """How many images were decoded."""
    count = []
    original = ImageSample.pixels

    def counted(self, *args, **options):
        count.append(1)
        return original(self, *args, **options)

    monkeypatch.setattr(ImageSample, "pixels", counted)
    return count


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_kept_images_are_the_same_images_and_are_decoded_once(paths, images, tmp_path, decoded, where):
    before = contents(images)
    without = rendered(loader(paths, None))
    decoded.clear()
    cache = MemoryCache(MEGABYTES) if where == "memory" else DiskCache(tmp_path / "cache", MEGABYTES, MEGABYTES)
    keeping = loader(paths, cache)
    assert (rendered(keeping) == without).all()
    assert len(decoded) == len(paths)
    assert (rendered(keeping) == without).all()
    assert len(decoded) == len(paths)
    assert contents(images) == before  # a person's folder is only read


def test_another_run_finds_what_lies_on_disk(paths, tmp_path, decoded):
    cache = tmp_path / "cache"
    first = rendered(loader(paths, DiskCache(cache, MEGABYTES, MEGABYTES)))
    decoded.clear()
    wanted = keys(loader(paths, None))
    assert (rendered(loader(paths, DiskCache(cache, MEGABYTES, MEGABYTES, wanted))) == first).all()
    assert not decoded
    assert not [path for path in cache.rglob(".*") if path.is_file()]


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_bounded(paths, tmp_path, where):
    one = 24 * 32 * 3 + 28
    cache = MemoryCache(10 * one) if where == "memory" else DiskCache(tmp_path / "cache", 10 * one, 10 * one)
    full = loader(paths, cache)
    assert (rendered(full) == rendered(loader(paths, None))).all()
    kept = sum(cache.get(key) is not None for key in keys(full))
    assert 9 <= kept <= 10
    assert sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*") if path.is_file()) <= 10 * one


def keys(loader):
    return keys_of([digest_of(Path(path).read_bytes()) for path in loader._paths], 16)


def test_what_was_unused_for_longest_makes_room(tmp_path):
    pixels = np.zeros((10, 10, 3), dtype=np.uint8)
    cache = DiskCache(tmp_path, 4000, 4000)
    for number in range(10):
        cache.put(f"{number:02d}", Kept((10, 10), pixels))
        os.utime(tmp_path / f"{number:02d}" / f"{number:02d}.whet-pixels", (number, number))
    assert DiskCache(tmp_path, 4000, 0).get("00") is not None  # reading it makes it the newest
    needy = DiskCache(tmp_path, 4000, 2000)
    assert [needy.get(f"{number:02d}") is not None for number in range(10)] == [True, *[False] * 4, *[True] * 5]


@pytest.mark.parametrize("damage", ["turned", "cut", "emptied", "header", "size"])
def test_a_damaged_file_is_dropped_and_the_image_decoded_anew(paths, tmp_path, damage):
    cache = tmp_path / "cache"
    good = rendered(loader(paths, DiskCache(cache, MEGABYTES, MEGABYTES)))
    for path in [p for p in cache.rglob("*") if p.is_file()][::3]:
        data = bytearray(path.read_bytes())
        if damage == "turned":
            data[-100] ^= 1
        elif damage == "header":
            data[3] ^= 1
        elif damage == "size":  # of the whole image: it is drawn at another scale
            data[8] ^= 16
        path.write_bytes(b"" if damage == "emptied" else bytes(data[:-7] if damage == "cut" else data))
    again = DiskCache(cache, MEGABYTES, MEGABYTES)
    assert (rendered(loader(paths, again)) == good).all()
    assert all(again.get(key) is not None for key in keys(loader(paths, again)))


def test_files_that_are_not_its_own_are_left_alone(paths, images):
    before = contents(images)
    DiskCache(images, 0, 0)
    assert contents(images) == before


def test_a_disk_that_takes_nothing_stops_nothing(paths, tmp_path):
    cache = DiskCache(tmp_path / "cache", MEGABYTES, MEGABYTES)
    (tmp_path / "cache").rmdir()
    (tmp_path / "cache").write_text("in the way")
    assert (rendered(loader(paths, cache)) == rendered(loader(paths, None))).all()


def test_a_file_that_changed_is_not_kept_under_its_old_name(paths, images):
    cache = MemoryCache(MEGABYTES)
    changing = loader(paths, cache)
    before = keys(changing)
    Image.new("RGB", (32, 24), (9, 9, 9)).save(paths[0])
    rendered(changing)
    assert cache.get(before[0]) is None
    assert cache.get(before[1]) is not None


@given(st.integers(1, 20_000), st.integers(1, 20_000), st.integers(8, 1024))
def test_a_working_image_is_never_larger_and_a_quarter_of_it_is_sharp(height, width, shown):
    factor = working_factor((height, width), shown)
    assert factor in (1, 2, 4, 8)
    assert factor == 1 or min(height, width) // factor >= 2 * shown
    assert kept_bytes([(height, width)], shown) <= 3 * height * width


@pytest.mark.parametrize("form", ["jpg", "png"])
def test_a_large_image_is_kept_small(tmp_path, form):
    y, x = np.mgrid[0:1600, 0:1203]
    photo = np.stack([x % 256, y % 256, (x + y) % 256], axis=2).astype(np.uint8) // 3 + 40
    Image.fromarray(photo).save(tmp_path / f"a.{form}", quality=95)
    store_ = ImageStore([str(tmp_path / f"a.{form}")], ["?"], 100, None)
    image = store_.open(0)
    assert image.size == (1600, 1203)
    pixels = image.pixels()
    assert min(pixels.shape[:2]) in (300, 301)
    ideal = np.asarray(Image.fromarray(photo).resize(pixels.shape[1::-1], Image.Resampling.BOX))
    assert np.abs(pixels.astype(int) - ideal).mean() < 2.5


def test_where_the_cache_lies(monkeypatch, tmp_path):
    monkeypatch.setenv("WHET_CACHE", str(tmp_path))
    assert store.cache_folder("images") == tmp_path / "images"
    assert store.free_disk(store.cache_folder("images")) > 0
