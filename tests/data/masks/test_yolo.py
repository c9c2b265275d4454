import numpy as np
import pytest
import yaml
from tests.data.masks.conftest import save_image

from whet.core.errors import DataError
from whet.core.masks import IGNORE
from whet.data.masks import MaskSpec, detect, read_masks


def share(*coordinates, width=60, height=60):
    return " ".join(str(value / (height if k % 2 else width)) for k, value in enumerate(coordinates))


SQUARE = share(10, 10, 50, 10, 50, 50, 10, 50)


def save_yolo(root, lines, split="train", name="1", size=(60, 60), orientation=1):
    save_image(root / split / "images" / f"{name}.jpg", *size, orientation)
    if lines is not None:
        (root / split / "labels").mkdir(exist_ok=True)
        (root / split / "labels" / f"{name}.txt").write_text("\n".join(lines))


def save_yaml(root, **rest):
    content = {
        "train": "../train/images",
        "val": "../valid/images",
        "test": "../test/images",
        "nc": 2,
        "names": ["can", "box"],
    }
    (root / "data.yaml").write_text(yaml.safe_dump(content | rest))


@pytest.fixture
def yolo(tmp_path):
    save_yaml(tmp_path)
    save_yolo(tmp_path, [f"1 {SQUARE}", f"0 {SQUARE}"])
    save_yolo(tmp_path, [], "valid")
    return tmp_path


def test_lines_are_objects_in_shares_of_the_sides(yolo):
    # Case 16: two lines are two objects.
    save_yolo(yolo, None, "train", "2")
    data = read_masks(yolo)
    assert (data.format, data.task) == ("yolo", "instance-segmentation")
    assert data.classes == ("background", "can", "box")
    assert [(image.id, image.split, len(image.masks.shapes)) for image in data.images] == [
        ("train/images/1.jpg", "train", 2), ("train/images/2.jpg", "train", 0), ("valid/images/1.jpg", "val", 0),
    ]  # fmt: skip
    found = data.images[0].masks.id_map()
    assert [layer.mask.sum() for layer in found.layers()] == [1600, 1600]
    assert found.class_of_id.tolist() == [2, 1]
    assert "1 image of 3 without a text file: images without objects" in data.notes
    assert detect(yolo / "data.yaml").format == "yolo"


def test_four_numbers_are_a_box_around_its_middle(yolo):
    save_yolo(yolo, [f"0 {share(30, 20, 40, 10)}", f"1 {SQUARE}"])
    (image, _) = read_masks(yolo).images
    assert image.masks.kinds == {"box", "mask"}
    assert image.masks.boxes()[0].tolist() == [[10, 15, 50, 25], [10, 10, 50, 50]]
    assert (image.masks.class_map() == IGNORE).sum() == 0  # the mask lies over the box


def test_lines_that_are_no_objects_are_named(yolo):
    lines = [
        f"0 {SQUARE}",
        "0 0.1 0.1 0.2",
        "a b",
        "0 10 10 20 20 30 10",
        "0 0.1 0.1 0.2 0.2",
        "1 0.1 0.1 0.5 0.5 0.1 0.1",
    ]
    save_yolo(yolo, lines)
    data = read_masks(yolo)
    assert {entry.id.split(", ")[1]: entry.reason for entry in data.dropped} == {
        "line 2": "3 coordinates; accepted: pairs, or a box of four",
        "line 3": "'a b' is not a line of numbers",
        "line 4": "coordinates that are not shares of the image, from 0 to 1",
        "line 6": "all points on one line: no area",
    }


def test_a_class_beyond_the_names_is_an_error(yolo):
    # Case 10.
    save_yolo(yolo, [f"2 {SQUARE}"])
    with pytest.raises(DataError, match=r"1\.txt:1: class 2 is not among the names \(0, 1\)"):
        read_masks(yolo)


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ({"names": ["can", "can"]}, "'can' occurs twice"),
        ({"names": "can"}, "names = 'can'"),
        ({"val": "elsewhere"}, "val = elsewhere: no such folder"),
        ({"val": "../train/images"}, "is in train and in val"),
    ],
)
def test_files_that_do_not_fit_are_refused(yolo, rest, message):
    save_yaml(yolo, **rest)
    with pytest.raises(DataError, match=rf"data\.yaml.*{message}"):
        read_masks(yolo)


def test_lists_of_files_and_names_by_number(tmp_path):
    save_yolo(tmp_path, [f"7 {SQUARE}"], "all")
    (tmp_path / "train.txt").write_text("./all/images/1.jpg\n")
    save_yaml(tmp_path, train="train.txt", val=None, names={7: "can"})
    (image,) = read_masks(tmp_path).images
    assert image.split == "train"
    assert image.masks.class_map().sum() == 1600


def test_the_frame_of_a_turned_image_must_be_said(tmp_path):
    # Case 1: the text files hold no size.
    save_yaml(tmp_path, val=None)
    save_yolo(tmp_path, [f"0 {share(0, 0, 10, 0, 10, 20, 0, 20, width=40, height=20)}"], size=(40, 20), orientation=6)
    with pytest.raises(DataError, match=r"1\.jpg: .*data\.masks\.frame"):
        read_masks(tmp_path)
    stored = read_masks(tmp_path, MaskSpec(frame="stored")).images[0].masks.class_map()
    assert stored.shape == (40, 20)
    assert np.array_equal(stored[:10] == 1, np.ones((10, 20), bool))
    assert stored.sum() == 200
