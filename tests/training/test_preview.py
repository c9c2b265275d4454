import numpy as np
import pytest
from tests.conftest import whet

from whet.core.errors import DataError
from whet.core.recipe import Recipe, parse_methods
from whet.core.registry import registry
from whet.core.rng import Rng
from whet.core.spec import DataSpec
from whet.core.stages import Draws, Mixes, TransformsBatch
from whet.core.view import ImageView
from whet.data.read import read_data
from whet.report.preview_page import caption, contact_sheet
from whet.training.augmentation import Augmentation
from whet.training.plan import ordered
from whet.training.preview import draw_preview
from whet.training.source import training_loader


@pytest.fixture
def sheet(images):
    def made(*methods, rows=6, variants=3, size=32):
        recipe = Recipe(data=DataSpec(path=str(images)), methods=parse_methods(methods))
        recipe = recipe.setting(image_size=size, loader_threads=2)
        table = read_data(recipe.data).part("train")
        augmentation = Augmentation(ordered(recipe.methods), Rng(0))
        return draw_preview(augmentation, table, training_loader(table, recipe), size, rows, variants)

    return made


def test_only_what_changed_a_image_is_named(sheet):
    rows = sheet({"horizontal_flip": {"prob": 0.5}}, {"invert": {"prob": 0.5}}, rows=9, variants=4)
    seen = set()
    for row in rows:
        for tile in row.variants:
            seen.add(tile.methods)
            same = (tile.content == row.original).all()
            flipped = (tile.content == row.original[:, ::-1]).all()
            assert same == (tile.methods == ())
            assert flipped == (tile.methods == ("horizontal_flip",))
    assert len(seen) == 4  # either, both, neither
    assert {row.label for row in rows} == {"glass", "metal", "paper"}


def test_mixing_names_the_target_it_makes(sheet):
    rows = sheet({"cutmix": {"prob": 1.0}}, rows=6)
    mixed = [tile for row in rows for tile in row.variants if len(tile.target) > 1]
    assert mixed
    for row in rows:
        for tile in row.variants:
            assert sum(share for _, share in tile.target) == pytest.approx(1, abs=0.02)
            changed = (tile.content != row.original).any()
            assert ("cutmix" in tile.methods) == changed


def test_of_copies_the_one_that_is_augmented_is_shown(sheet):
    rows = sheet("augmix", "jsd_consistency")
    assert all("augmix" in tile.methods for row in rows for tile in row.variants)


def acts(cls):
    """With its defaults, on some sample of 64."""
    view = ImageView.whole([(40, 50)] * 64, (32, 32))
    after = view
    for epoch in (0, 1):
        after = cls().draw(view, Rng(0).batch(cls.name, epoch, np.arange(64)))
        if after.changed_since(view).any():
            return True
    return False


def test_every_method_that_draws_is_seen_to_act():
    drawing = [cls for cls in registry() if issubclass(cls, Draws) and "image-classification" in cls.tasks]
    assert len(drawing) > 40
    assert [cls.name for cls in drawing if not acts(cls)] == ["albumentations"]  # its pipeline is empty by default


def test_a_view_has_not_changed_since_itself():
    view = ImageView.whole([(40, 50)] * 3, (32, 32))
    assert not view.changed_since(view).any()


def test_unreadable_images(sheet, images):
    for path in images.rglob("*.*g"):
        path.write_bytes(b"no image " + str(path).encode())
    with pytest.raises(DataError, match="can be read"):
        sheet("rotate")


def test_captions():
    assert " ".join(caption([("glass", 1.0)], [], "glass")) == "unchanged"
    assert " ".join(caption([("glass", 1.0)], ["a", "b"], "glass")) == "a, b"
    assert " ".join(caption([("glass", 0.7), ("metal", 0.3)], ["mixup"], "glass")) == "70 % glass + 30 % metal: mixup"


def test_small_images_are_magnified_to_leave_room_for_words(sheet):
    image = contact_sheet(sheet("rotate", rows=2, variants=2, size=32))
    assert image.width > 3 * 150
    assert np.unique(np.asarray(image)[-30:]).size > 20  # words stand below the last row


def test_the_command(images, tmp_path):
    words = ("augment", images, "--recipe", "image/from_scratch", "--size", "32", "--variants", "2")
    done = whet(*words, "--out", tmp_path / "s.png", "--json")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "s.png").read_bytes()[:4] == b"\x89PNG"
    again = whet(*words, "--out", tmp_path / "s.png")
    assert again.returncode == 1
    assert "exists already" in again.stderr
    wrong = whet(*words, "--out", tmp_path / "s.pdf")
    assert wrong.returncode == 1
    assert ".png, .jpg or .webp" in wrong.stderr
    assert not (tmp_path / "s.pdf").exists()


def test_sample_and_batch_methods_are_all_known_to_the_augmentation():
    known = [cls for cls in registry() if {"sample", "batch"} & {stage.value for stage in cls.stages()}]
    assert all(issubclass(cls, Draws | TransformsBatch | Mixes) for cls in known)
