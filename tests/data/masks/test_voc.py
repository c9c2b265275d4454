import numpy as np
import pytest
from tests.data.masks.conftest import save_image, save_mask

from whet.core.errors import DataError
from whet.core.masks import IGNORE, IGNORE_ID
from whet.data.masks import detect, read_masks

CLASSES = np.zeros((60, 60), np.uint8)
CLASSES[:10, :20], CLASSES[20:30, :10], CLASSES[30] = 15, 5, 255
OBJECTS = np.zeros((60, 60), np.uint8)
OBJECTS[:10, :10], OBJECTS[:10, 10:20], OBJECTS[20:30, :10], OBJECTS[30] = 1, 2, 3, 255


@pytest.fixture
def voc(tmp_path):
    root = tmp_path / "VOCdevkit" / "VOC2012"
    for name in ("1", "2", "3"):
        save_image(root / "JPEGImages" / f"{name}.jpg")
    for name in ("1", "2"):
        save_mask(root / "SegmentationClass" / f"{name}.png", CLASSES, "P")
        save_mask(root / "SegmentationObject" / f"{name}.png", OBJECTS, "P")
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("1\n")
    (lists / "val.txt").write_text("2\n")
    (lists / "trainval.txt").write_text("1\n2\n")
    return root


def test_classes_and_objects(voc):
    data = read_masks(voc.parents[1])
    assert (data.format, data.task, data.objects) == ("voc", "instance-segmentation", 6)
    assert data.classes == ("background", "bottle", "person")
    assert [(image.id, image.split) for image in data.images] == [
        ("JPEGImages/1.jpg", "train"),
        ("JPEGImages/2.jpg", "val"),
    ]
    assert "not read: 1 image without masks" in data.notes
    class_HW = data.images[0].masks.class_map()
    assert [(class_HW == value).sum() for value in (1, 2, IGNORE)] == [100, 200, 60]
    found = data.images[0].masks.id_map()
    assert found.class_of_id.tolist() == [2, 2, 1]
    assert (found.ids_HW == IGNORE_ID).sum() == 60


def test_classes_alone_suggest_classes(voc):
    for path in (voc / "SegmentationObject").iterdir():
        path.unlink()
    assert detect(voc).task == "semantic-segmentation"
    assert read_masks(voc).task == "semantic-segmentation"


def test_an_export_in_colours(tmp_path):
    save_image(tmp_path / "JPEGImages" / "1.jpg")
    colours, objects = np.zeros((2, 60, 60, 3), np.uint8)
    colours[:10, :20] = (128, 0, 0)
    objects[:10, :10], objects[:10, 10:20] = (1, 2, 3), (4, 5, 6)
    save_mask(tmp_path / "SegmentationClass" / "1.png", colours)
    save_mask(tmp_path / "SegmentationObject" / "1.png", objects)
    (tmp_path / "labelmap.txt").write_text("# label:color_rgb:parts:actions\nbackground:0,0,0::\ncan:128,0,0::\n")
    data = read_masks(tmp_path)
    assert data.classes == ("background", "can")
    assert data.objects == 2
    found = data.images[0].masks.id_map()
    assert np.bincount(found.ids_HW.ravel()).tolist() == [3400, 100, 100]
    assert found.class_of_id.tolist() == [1, 1]


XML = """<annotation><size><width>60</width><height>60</height></size>
<object><name>can</name><bndbox><xmin>11</xmin><ymin>11</ymin><xmax>50</xmax><ymax>50</ymax></bndbox></object>
<object><name>can</name></object></annotation>"""


def test_boxes_where_there_are_no_masks(tmp_path):
    save_image(tmp_path / "JPEGImages" / "1.jpg")
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "1.xml").write_text(XML)
    data = read_masks(tmp_path)
    assert data.kinds == {"box"}
    assert data.images[0].masks.boxes()[0].tolist() == [[10, 10, 50, 50]]  # pixel numbers from 1, both included
    assert [(entry.id, entry.reason) for entry in data.dropped] == [("JPEGImages/1.jpg, object 2", "no bndbox")]
    (tmp_path / "Annotations" / "1.xml").write_text(XML.replace("11</xmin>", "x</xmin>"))
    with pytest.raises(DataError, match=r"1\.xml: xmin 'x' is not a number"):
        read_masks(tmp_path)
    (tmp_path / "Annotations" / "1.xml").write_text("<a>")
    with pytest.raises(DataError, match=r"1\.xml: not readable as XML"):
        read_masks(tmp_path)
