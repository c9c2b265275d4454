import contextlib
import io
import json

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tests.data.masks.conftest import save_image, save_mask

from whet.core import palette, rle
from whet.core.errors import DataError
from whet.core.masks import IGNORE, Masks, Shape
from whet.core.polygons import box_points
from whet.data.masks import read_masks
from whet.data.masks.png import read_numbers
from whet.data.masks.write import CocoImage, write_coco, write_png

SIZE = (40, 60)
CLASSES = ("background", "can", "box")


def masks():
    ring = np.zeros(SIZE, bool)
    ring[10:30, 10:30] = True
    ring[15:25, 15:25] = False
    return Masks(
        SIZE, (Shape(2, (box_points(0, 0, 8.5, 8.5), box_points(40, 0, 50, 10))), Shape(1, rle=rle.encode(ring)))
    )


@pytest.mark.parametrize("polygons", [False, True])
def test_what_is_written_is_read_again(tmp_path, polygons):
    save_image(tmp_path / "1.jpg", 60, 40)
    write_coco(tmp_path / "out.json", [CocoImage("1.jpg", masks())], CLASSES, polygons=polygons)
    data = read_masks(tmp_path)
    assert data.classes == CLASSES
    (image,) = data.images
    for one, other in zip(masks().layers(), image.masks.layers(), strict=True):
        assert one.class_number == other.class_number
        assert np.array_equal(one.whole(SIZE), other.whole(SIZE))
    content = json.loads((tmp_path / "out.json").read_text())
    kinds = [type(ann["segmentation"]) for ann in content["annotations"]]
    assert kinds == [list, list if polygons else dict]


def test_pycocotools_scores_a_perfect_answer_with_one(tmp_path):
    # Case 12: an annotation with the id 0 would count as missing.
    write_coco(tmp_path / "truth.json", [CocoImage("1.jpg", masks())], CLASSES)
    write_coco(tmp_path / "answer.json", [CocoImage("1.jpg", masks(), scores=[0.9, 0.8])], CLASSES)
    content = json.loads((tmp_path / "truth.json").read_text())
    assert [ann["id"] for ann in content["annotations"]] == [1, 2]
    assert [image["id"] for image in content["images"]] == [1]
    assert [(entry["id"], entry["name"]) for entry in content["categories"]] == [(1, "can"), (2, "box")]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(tmp_path / "truth.json"))
        answers = truth.loadRes(json.loads((tmp_path / "answer.json").read_text())["annotations"])
        scored = COCOeval(truth, answers, "segm")
        scored.evaluate()
        scored.accumulate()
        scored.summarize()
    assert scored.stats[0] == pytest.approx(1)


def test_boxes_and_crowds_keep_their_kind(tmp_path):
    save_image(tmp_path / "1.jpg", 60, 40)
    boxes = Masks(SIZE, (Shape(1, (box_points(1, 2, 11, 12),), kind="box"),))
    write_coco(tmp_path / "out.json", [CocoImage("1.jpg", boxes)], CLASSES)
    data = read_masks(tmp_path)
    assert data.kinds == {"box"}
    assert data.images[0].masks.boxes()[0].tolist() == [[1, 2, 11, 12]]
    crowd = Masks(SIZE, (Shape(1, (box_points(1, 2, 11, 12),), crowd=True), Shape(2, (box_points(20, 2, 31, 12),))))
    write_coco(tmp_path / "out.json", [CocoImage("1.jpg", crowd)], CLASSES)
    assert [layer.crowd for layer in read_masks(tmp_path).images[0].masks.layers()] == [True, False]
    point = Masks(SIZE, (Shape(1, (np.array([[3.0, 3.0]]),), kind="point"),))
    with pytest.raises(DataError, match=r"1\.jpg: COCO has no point"):
        write_coco(tmp_path / "out.json", [CocoImage("1.jpg", point)], CLASSES)


def test_png_files_keep_their_numbers(tmp_path):
    classes = np.array([[0, 1, 10], [254, IGNORE, 3]], np.uint8)
    write_png(tmp_path / "c.png", classes)
    assert np.array_equal(read_numbers(tmp_path / "c.png"), classes)
    with Image.open(tmp_path / "c.png") as image:
        assert image.mode == "P"
        colours = np.asarray(image.convert("RGB"))
    assert colours[0, :2].tolist() == palette.colours(2).tolist()
    ids = np.array([[0, 1, 300], [65535, 2, 3]], np.uint16)
    write_png(tmp_path / "i.png", ids)
    assert np.array_equal(read_numbers(tmp_path / "i.png"), ids)
    with pytest.raises(DataError, match="accepted: uint8 or uint16"):
        write_png(tmp_path / "f.png", ids.astype(float))


def test_objects_of_a_png_can_be_written_as_coco(tmp_path):
    save_image(tmp_path / "in" / "images" / "1.jpg", 60, 40)
    ids = np.zeros(SIZE, np.uint16)
    ids[:5, :5], ids[:5, 5:10] = 7, 9
    save_mask(tmp_path / "in" / "instances" / "1.png", ids)
    data = read_masks(tmp_path / "in")
    save_image(tmp_path / "1.jpg", 60, 40)
    write_coco(tmp_path / "out.json", [CocoImage("1.jpg", data.images[0].masks)], data.classes, polygons=True)
    again = read_masks(tmp_path / "out.json")
    assert again.objects == 2
    assert np.array_equal(again.images[0].masks.id_map().ids_HW, data.images[0].masks.id_map().ids_HW)
