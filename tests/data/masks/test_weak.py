"""Boxes, points, scribbles and image labels: which pixels they teach, and that validation and test keep real masks."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from tests.data.masks.conftest import annotation, rectangle, save_coco, save_image, save_mask

from whet.core.errors import DataError
from whet.core.mask_spec import MaskSpec
from whet.core.masks import IGNORE, Masks, Shape
from whet.core.spec import DataSpec
from whet.data.audit.masks.balance import check_mask_balance
from whet.data.masks import read_masks
from whet.data.masks.weak import REAL, as_boxes, as_labels, as_points, weak_rows
from whet.data.masks.write import CocoImage, coco_content
from whet.data.read import read_data


def two_objects():
    """A rectangle of class 1 with 20 x 10 pixels, and one of class 2 with 4 x 30."""
    first, second = (np.array(rectangle(*corners)).reshape(-1, 2) for corners in ((5, 5, 25, 15), (40, 10, 44, 40)))
    return Masks((60, 60), (Shape(1, (first,)), Shape(2, (second,))))


def test_boxes_of_rectangles_hold_the_same_pixels():
    boxes = as_boxes(two_objects())
    assert boxes.kinds == {"box"} and np.array_equal(boxes.as_masks().class_map(), two_objects().class_map())
    assert (boxes.class_map() == IGNORE).sum() == 200 + 120


def test_points_are_in_the_middle_of_the_objects_and_on_the_background():
    points = as_points(two_objects())
    assert [shape.class_number for shape in points.shapes] == [1, 2, 0]
    (x, y), (u, v) = points.shapes[0].polygons[0][0], points.shapes[1].polygons[0][0]
    assert y in (9.5, 10.5) and 9 < x < 21 and u in (41.5, 42.5) and 11 < v < 39
    seen, real = points.class_map(), two_objects().class_map()
    assert (seen != IGNORE).sum() == 3 and (seen == real)[seen != IGNORE].all()


def test_labels_say_which_classes_occur_and_nothing_else():
    labels = as_labels(two_objects())
    assert [(shape.class_number, shape.kind) for shape in labels.shapes] == [(1, "label"), (2, "label")]
    assert (labels.class_map() == IGNORE).all()
    assert (as_labels(Masks((4, 5))).class_map() == 0).all()  # an image without objects is background
    assert labels.boxes()[0].shape == (0, 4)


def test_parts_of_class_files_are_the_objects(tmp_path):
    mask = np.zeros((30, 40), np.uint8)
    mask[2:6, 3:9] = mask[20:25, 20:30] = 1
    save_image(tmp_path / "images" / "a.png", 40, 30)
    save_mask(tmp_path / "masks" / "a.png", mask)
    (image,) = read_masks(tmp_path).images
    assert np.array_equal(as_boxes(image.masks).as_masks().class_map(), mask)
    assert [shape.class_number for shape in as_points(image.masks).shapes] == [1, 1, 0]


@pytest.mark.parametrize("kind", ["point", "scribble"])
def test_points_and_scribbles_are_thick_enough_for_large_photos(kind):
    line = np.array([[500.5, 300.5], [700.5, 300.5]])[: 1 if kind == "point" else 2]
    seen = Masks((600, 800), (Shape(3, (line,), kind=kind),)).class_map() == 3  # the diagonal has 1000 pixels
    rows, columns = np.nonzero(seen)
    assert (rows.min(), rows.max(), columns.min()) == (296, 304, 496)
    assert seen[300, 496] and not seen[296, 496]  # round


def test_an_image_of_boxes_among_images_with_outlines(tmp_path):
    images = [{"id": k, "file_name": f"{k}.jpg", "width": 60, "height": 60} for k in (1, 2)]
    for k in (1, 2):
        save_image(tmp_path / f"{k}.jpg")
    drawn = annotation(1, [rectangle(0, 0, 10, 10)])
    boxed = {"id": 2, "image_id": 2, "category_id": 2, "bbox": [5, 6, 10, 20]}
    data = read_masks(save_coco(tmp_path / "data.json", [drawn, boxed], images=images))
    first, second = (image.masks for image in data.images)
    assert first.kinds == {"mask"} and second.kinds == {"box"} and not data.dropped
    assert "in 1 image no object has a segmentation: the boxes are read" in data.notes
    assert (second.class_map() == IGNORE).sum() == 200


def labelled(folder, masked, rows):
    """Images with masks of one red object, and one image for each row of image_labels.csv."""
    for name in masked:
        save_image(folder / "images" / f"{name}.png", 20, 20)
        save_mask(folder / "masks" / f"{name}.png", np.pad(np.ones((4, 6), np.uint8), ((3, 13), (5, 9))))
    for file in {file for file, _ in rows}:
        if not (folder / file).exists():
            save_image(folder / file, 20, 20)
    lines = "".join(f"{file},{label}\n" for file, label in rows)
    (folder / "image_labels.csv").write_text(f"file,label\n{lines}")
    (folder / "classes.txt").write_text("background\ncan\n")
    return folder


def test_labels_of_images_are_a_table_beside_the_masks(tmp_path):
    rows = [("images/b.png", "can"), ("images/c.png", ""), ("images/d.png", "can"), ("images/a.png", "can")]
    data = read_masks(labelled(tmp_path, ["a"], rows))
    masks = {image.id: image.masks for image in data.images}
    assert len(masks) == 4 and masks["images/a.png"].kinds == {"mask"} and not data.skipped
    assert masks["images/b.png"].kinds == {"label"} and (masks["images/c.png"].class_map() == 0).all()
    assert "image_labels.csv: the classes of 3 images without a mask; 1 more image with a mask" in data.notes


def test_a_label_that_is_no_class_names_the_line_and_the_classes(tmp_path):
    with pytest.raises(DataError, match=r"unknown class 'tin' in .*image_labels.csv:3.*can"):
        read_masks(labelled(tmp_path, ["a"], [("images/b.png", "can"), ("images/c.png", "tin")]))


def test_images_without_masks_are_for_training_only(tmp_path):
    rows = [(f"images/z{k}.png", "can") for k in range(20)]
    for k in range(12):
        save_image(tmp_path / "images" / f"a{k}.png", 20 + k, 20)
        save_mask(tmp_path / "masks" / f"a{k}.png", np.eye(20, 20 + k).astype(np.uint8))
    labelled(tmp_path, [], rows)
    for k in range(20):
        Image.new("RGB", (20, 20), (k, 0, 0)).save(tmp_path / "images" / f"z{k}.png")
    table = read_data(DataSpec(path=str(tmp_path), val_fraction=0.25, test_fraction=0.25))
    frame, weak = table.frame, weak_rows(table.frame)
    assert weak.sum() == 20 and set(frame["split"][weak]) == {"train"}
    assert [len(table.part(split)) for split in ("train", "val", "test")] == [26, 3, 3]
    assert any("validation and test are on the 6 of 12 images" in note for note in table.notes)
    assert table.part("train").counts_K.tolist() == [26, 26]
    table.for_problem("semantic-segmentation")


def test_without_any_mask_nothing_can_be_measured(tmp_path):
    content = [{"id": k, "image_id": k, "category_id": 1, "bbox": [1, 1, 4, 4]} for k in range(1, 9)]
    images = [{"id": k, "file_name": f"{k}.png", "width": 60, "height": 60} for k in range(1, 9)]
    for k in range(1, 9):
        Image.new("RGB", (60, 60), (k, 0, 0)).save(tmp_path / f"{k}.png")
    (tmp_path / "boxes.json").write_text(
        json.dumps({"images": images, "annotations": content, "categories": [{"id": 1, "name": "a"}]})
    )
    held = read_data(DataSpec(path=str(tmp_path / "boxes.json"))).part("test")
    with pytest.raises(DataError, match="1 of 1 images to validate or test on have boxes"):
        held.for_problem("semantic-segmentation").judged_by_masks()
    held.for_problem("image-classification").judged_by_masks()  # the classes are known


@pytest.mark.parametrize("supervision", ["boxes", "points", "labels"])
def test_supervision_weakens_training_rows_alone(tmp_path, supervision):
    for k in range(10):
        save_image(tmp_path / "images" / f"a{k}.png", 20 + k, 20)
        save_mask(tmp_path / "masks" / f"a{k}.png", np.pad(np.ones((4, 6), np.uint8), ((3, 13), (5, 9 + k))))
    full = read_data(DataSpec(path=str(tmp_path)))
    weak = read_data(DataSpec(path=str(tmp_path), masks=MaskSpec(supervision=supervision)))
    assert full.frame["split"].tolist() == weak.frame["split"].tolist()
    kind = {supervision.rstrip("es") if supervision == "boxes" else supervision.rstrip("s")}
    for row, other in zip(full.frame.itertuples(), weak.frame.itertuples()):
        assert other.masks.kinds == (kind if row.split == "train" else {"mask"})
        assert getattr(other, REAL).digest() == row.masks.digest()
    assert full.counts_K.tolist() == weak.counts_K.tolist()
    assert full.fingerprint() != weak.fingerprint()


def test_the_check_counts_the_kinds_of_annotation_and_no_label_as_an_object(tmp_path):
    rows = [("images/b.png", "can"), ("images/c.png", "can")]
    found = {one.kind: one.text for one in check_mask_balance(read_masks(labelled(tmp_path, ["a"], rows)))}
    assert found["weak annotations"].endswith("2 images with label, 1 image with mask")
    assert "can: 6.0% of the pixels, 3 images" in found["classes"]


def test_coco_has_no_labels():
    with pytest.raises(DataError, match=r"1\.jpg: COCO has no label"):
        coco_content([CocoImage("1.jpg", as_labels(two_objects()))], ("background", "a", "b"))
