import numpy as np
import pytest
from tests.data.masks.conftest import save_image, save_mask

from whet.core.errors import DataError
from whet.core.masks import IGNORE
from whet.data.masks import MaskSpec, detect, read_masks

SIZE = (60, 60)


def ids(*values, size=SIZE):
    """Zeros, with each value in a block of 5 x 5 of its own."""
    found = np.zeros(size, np.uint16 if max(values, default=0) > 255 else np.uint8)
    for k, value in enumerate(values):
        found[5 * (k // 10) : 5 * (k // 10) + 5, 5 * (k % 10) : 5 * (k % 10) + 5] = value
    return found


def pair(root, name, values, image="images", mask="masks", mode=None):
    save_image(root / image / f"{name}.jpg")
    save_mask(root / mask / f"{name}.png", values, mode)


def counts(masks):
    return {int(v): int(n) for v, n in zip(*np.unique(masks.class_map(), return_counts=True))}


@pytest.mark.parametrize("mode", [None, "P"])
def test_numbers_become_classes_with_the_background_first(tmp_path, mode):
    pair(tmp_path, "1", ids(2, 6), mode=mode)
    pair(tmp_path, "2", ids(10, 7, 255), mode=mode)
    data = read_masks(tmp_path)
    assert (data.format, data.task) == ("pairs", "semantic-segmentation")
    assert data.classes == ("background", "2", "6", "7", "10")
    assert data.has_background
    assert counts(data.images[0].masks) == {0: 3550, 1: 25, 2: 25}
    assert counts(data.images[1].masks) == {0: 3525, 4: 25, 3: 25, IGNORE: 25}
    assert [image.id for image in data.images] == ["images/1.jpg", "images/2.jpg"]


def test_names_of_classes(tmp_path):
    pair(tmp_path, "1", ids(1, 2))
    (tmp_path / "classes.txt").write_text("background\ncan\nbox\nglass\n")
    data = read_masks(tmp_path)
    assert data.classes == ("background", "can", "box", "glass")
    assert any("classes.txt" in note for note in data.notes)
    # As many names as the highest number: 0 has no name and is the background.
    assert read_masks(tmp_path, MaskSpec(classes=("can", "box"))).classes == ("background", "can", "box")
    # Names for all numbers: 0 is a class like the others.
    road = read_masks(tmp_path, MaskSpec(classes=("road", "can", "box")))
    assert road.classes == ("road", "can", "box")
    assert not road.has_background
    assert counts(road.images[0].masks) == {0: 3550, 1: 25, 2: 25}
    (tmp_path / "classes.txt").unlink()
    (tmp_path / "masks" / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, can\n2, box\n")
    assert read_masks(tmp_path).classes == ("background", "can", "box")


def test_a_number_beyond_the_classes_is_an_error_before_training(tmp_path):
    # Case 10.
    pair(tmp_path, "1", ids(1))
    pair(tmp_path, "2", ids(1, 9))
    with pytest.raises(DataError, match=r"masks/2\.png: the number 9 of 25 pixels is no class: there are 3 classes"):
        read_masks(tmp_path, MaskSpec(classes=("background", "can", "box")))


def test_masks_of_0_and_255_have_one_class(tmp_path):
    # Case 7.
    pair(tmp_path, "1", ids(255))
    pair(tmp_path, "2", ids())
    data = read_masks(tmp_path)
    assert data.classes == ("background", "foreground")
    assert counts(data.images[0].masks) == {0: 3575, 1: 25}
    assert "the masks hold only 0 and 255: 255 is the class 'foreground'" in data.warnings[0]
    assert read_masks(tmp_path, MaskSpec(classes=("can",))).classes == ("background", "can")
    assert read_masks(tmp_path, MaskSpec(classes=("background", "can"))).classes == ("background", "can")


def test_255_beside_other_classes_is_ignored(tmp_path):
    pair(tmp_path, "1", ids(1, 255))
    data = read_masks(tmp_path)
    assert data.classes == ("background", "1")
    assert counts(data.images[0].masks) == {0: 3550, 1: 25, IGNORE: 25}
    every = read_masks(tmp_path, MaskSpec(ignore=None))
    assert every.classes == ("background", "1", "255")


def test_colours_become_classes(tmp_path):
    # Case 6.
    rgb = np.zeros((60, 60, 3), np.uint8)
    rgb[:10] = (128, 0, 0)
    rgb[10:20] = (224, 224, 192)
    pair(tmp_path, "1", rgb)
    with pytest.raises(DataError, match=r"none of 1 images.*1\.png: an RGB mask; give the colour of each class"):
        read_masks(tmp_path)
    colours = {"can": (128, 0, 0), "void": (224, 224, 192), "background": (0, 0, 0)}
    data = read_masks(tmp_path, MaskSpec(colours=colours))
    assert data.classes == ("background", "can")
    assert counts(data.images[0].masks) == {0: 2400, 1: 600, IGNORE: 600}
    with pytest.raises(DataError, match=r"masks/1\.png: the colour \(224, 224, 192\) of 600 pixels is no class"):
        read_masks(tmp_path, MaskSpec(colours={key: colours[key] for key in ("can", "background")}))
    with pytest.raises(DataError, match="'b' has the colour"):
        read_masks(tmp_path, MaskSpec(colours={"a": (0, 0, 0), "b": (0, 0, 0)}))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("class_dict.csv", "name,r,g,b\nbackground,0,0,0\ncan,128,0,0\n"),
        ("labelmap.txt", "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncan:128,0,0::\n"),
        ("label_colors.txt", "0 0 0\tbackground\n128 0 0\tcan\n"),
    ],
)
def test_colour_tables_beside_the_images(tmp_path, name, text):
    rgb = np.zeros((60, 60, 3), np.uint8)
    rgb[:10] = (128, 0, 0)
    pair(tmp_path, "1", rgb)
    (tmp_path / name).write_text(text)
    data = read_masks(tmp_path)
    assert data.classes == ("background", "can")
    assert counts(data.images[0].masks) == {0: 3000, 1: 600}


def test_files_of_objects(tmp_path):
    pair(tmp_path, "1", ids(3, 300, 301), mask="instances")
    pair(tmp_path, "2", ids(), mask="instances")
    data = read_masks(tmp_path)
    assert data.task == "instance-segmentation"
    assert data.classes == ("background", "object")
    assert data.objects == 3
    found = data.images[0].masks.id_map()
    assert np.bincount(found.ids_HW.ravel()).tolist() == [3525, 25, 25, 25]
    assert found.class_of_id.tolist() == [1, 1, 1]
    assert len(data.images[1].masks.id_map()) == 0
    assert read_masks(tmp_path, MaskSpec(classes=("nucleus",))).classes == ("background", "nucleus")
    with pytest.raises(DataError, match="2 class names"):
        read_masks(tmp_path, MaskSpec(classes=("a", "b")))


def test_the_settings_say_whether_numbers_are_objects(tmp_path):
    for name in ("1", "2"):
        pair(tmp_path, name, np.arange(3600).reshape(60, 60).astype(np.uint16))
    with pytest.raises(DataError, match=r"at most 255 classes are read.*data\.masks\.objects: true"):
        read_masks(tmp_path)
    data = read_masks(tmp_path, MaskSpec(objects=True))
    assert data.objects == 2 * 3599
    assert data.task == "instance-segmentation"


def test_classes_and_objects_together(tmp_path):
    pair(tmp_path, "1", ids(1, 2, 2))
    save_mask(tmp_path / "instances" / "1.png", ids(9, 8, 7))
    found = read_masks(tmp_path).images[0].masks.id_map()
    assert found.class_of_id.tolist() == [2, 2, 1]


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("train/images/1.jpg", "train/masks/1.png"),
        ("images/train/1.jpg", "masks/train/1.png"),
        ("imgs/train/1.jpg", "gt/train/1_mask.png"),
        ("train/1.jpg", "train/1_mask.png"),
        ("data/train/1.jpg", "data/train/1-seg.png"),
    ],
)
def test_layouts(tmp_path, image, mask):
    save_image(tmp_path / image)
    save_mask(tmp_path / mask, ids(1))
    (found,) = read_masks(tmp_path).images
    assert (found.id, found.split) == (image, "train")
    assert found.masks.class_map().sum() == 25


def test_a_template(tmp_path):
    save_image(tmp_path / "photos" / "a" / "1.jpg")
    save_image(tmp_path / "photos" / "a" / "2.jpg")
    save_mask(tmp_path / "answers" / "a" / "m1.png", ids(1))
    assert detect(tmp_path) is None
    data = read_masks(tmp_path, MaskSpec(template="answers/{folder}/m{stem}.png"))
    assert [image.id for image in data.images] == ["photos/a/1.jpg"]
    assert [(entry.id, entry.reason) for entry in data.skipped] == [("photos/a/2.jpg", "no mask file")]
    with pytest.raises(DataError, match="no such file below"):
        read_masks(tmp_path, MaskSpec(template="{stem}.gif"))
    with pytest.raises(DataError, match=r"accepted in braces: \{stem\}"):
        read_masks(tmp_path, MaskSpec(template="{id}.png"))


def test_what_does_not_fit_is_named(tmp_path):
    # Case 27.
    for name in ("good", "IMG_1", "other", "alpha", "lossy"):
        pair(tmp_path, name, ids(1))
    save_image(tmp_path / "images" / "none.jpg")
    save_mask(tmp_path / "masks" / "alone.png", ids(1))
    (tmp_path / "masks" / "IMG_1.png").rename(tmp_path / "masks" / "img_1.png")
    save_mask(tmp_path / "masks" / "other.png", ids(1, size=(30, 60)))
    save_mask(tmp_path / "masks" / "alpha.png", np.zeros((60, 60, 4), np.uint8))
    save_image(tmp_path / "masks" / "lossy.jpg")
    (tmp_path / "masks" / "lossy.png").unlink()
    data = read_masks(tmp_path)
    assert [image.id for image in data.images] == ["images/IMG_1.jpg", "images/good.jpg"]
    assert {entry.id: entry.reason.split(";")[0] for entry in data.skipped} == {
        "images/none.jpg": "no mask file",
        "images/other.jpg": "the masks are for 60 x 30 pixels, the image has 60 x 60",
        "images/alpha.jpg": "alpha.png: a mask with transparent pixels (mode RGBA)",
        "images/lossy.jpg": "lossy.jpg: a JPEG, which changes the numbers of a mask",
    }
    assert "1 mask file without an image: masks/alone.png" in data.notes
    assert "1 mask with names that differ from those of their images in case: masks/img_1.png" in data.warnings[-1]
    with pytest.raises(DataError, match="4 of 6 images cannot be used"):
        data.require_usable()


def test_two_files_of_one_name_are_not_guessed(tmp_path):
    pair(tmp_path, "1", ids(1))
    pair(tmp_path, "2", ids(1))
    pair(tmp_path, "3", ids(1))
    save_image(tmp_path / "images" / "1.png")
    save_mask(tmp_path / "masks" / "2.bmp", ids(1))
    data = read_masks(tmp_path)
    assert [image.id for image in data.images] == ["images/3.jpg"]
    assert {entry.id for entry in data.skipped} == {"images/1.jpg", "images/1.png", "images/2.jpg"}


@pytest.mark.parametrize(
    ("values", "turned"), [(np.zeros((40, 20), np.uint8), False), (np.zeros((20, 40), np.uint8), True)]
)
def test_the_size_of_a_mask_decides_which_frame_it_means(tmp_path, values, turned):
    # Case 1.
    save_image(tmp_path / "images" / "1.jpg", 40, 20, orientation=6)
    values[0, :5] = 1
    save_mask(tmp_path / "masks" / "1.png", values)
    (image,) = read_masks(tmp_path).images
    class_HW = image.masks.class_map()
    assert class_HW.shape == image.masks.size == (40, 20)
    assert class_HW[:5, -1].all() if turned else class_HW[0, :5].all()
    save_image(tmp_path / "images" / "1.jpg", 40, 20, orientation=3)
    save_mask(tmp_path / "masks" / "1.png", np.zeros((20, 40), np.uint8))
    with pytest.raises(DataError, match=r"images/1\.jpg: .*data\.masks\.frame"):
        read_masks(tmp_path)


def test_class_folders_are_no_pairs(tmp_path):
    for folder in ("mask", "no_mask"):
        save_image(tmp_path / folder / "1.jpg")
    assert detect(tmp_path) is None
    with pytest.raises(DataError, match="no masks found"):
        read_masks(tmp_path)
