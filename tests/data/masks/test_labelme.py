import base64
import io
import json
import math

import numpy as np
import pytest
from PIL import Image
from tests.data.masks.conftest import save_image

from whet.core.errors import DataError
from whet.core.masks import IGNORE
from whet.data.masks import read_masks

SQUARE = [[10, 10], [50, 10], [50, 50], [10, 50]]


def shape(label, points, shape_type="polygon", group_id=None, **rest):
    return {"label": label, "points": points, "shape_type": shape_type, "group_id": group_id, **rest}


def save_labelme(root, shapes, name="1", size=(60, 60), orientation=1, stored=None):
    save_image(root / f"{name}.jpg", *(stored or size), orientation)
    content = {
        "version": "5",
        "shapes": shapes,
        "imagePath": f"{name}.jpg",
        "imageData": None,
        "imageHeight": size[1],
        "imageWidth": size[0],
    }
    (root / f"{name}.json").write_text(json.dumps(content))


def only(root):
    (image,) = read_masks(root).images
    return image.masks


def test_polygons_and_rectangles(tmp_path):
    # Case 26: the corners of a rectangle in any order.
    save_labelme(tmp_path, [shape("can", SQUARE), shape("box", [[60, 5], [50, 0]], "rectangle")])
    data = read_masks(tmp_path)
    assert (data.format, data.task, data.objects) == ("labelme", "instance-segmentation", 2)
    assert data.classes == ("background", "box", "can")
    assert np.bincount(data.images[0].masks.class_map().ravel()).tolist() == [1950, 50, 1600]


def test_a_circle_is_its_centre_and_a_point_of_the_rim(tmp_path):
    save_labelme(tmp_path, [shape("can", [[30, 30], [30, 10]], "circle")])
    class_HW = only(tmp_path).class_map()
    assert class_HW.sum() == pytest.approx(math.pi * 400, rel=0.01)
    rows = np.flatnonzero(class_HW.any(axis=1))
    assert (rows[0], rows[-1]) == (10, 49)


def test_shapes_of_one_group_are_one_object(tmp_path):
    left, right = [[0, 0], [9, 0], [9, 9]], [[20, 0], [29, 0], [29, 9]]
    save_labelme(
        tmp_path,
        [
            shape("can", left, group_id=3),
            shape("can", right, group_id=3),
            shape("can", SQUARE),
            shape("box", right, group_id=3),
        ],
    )
    masks = only(tmp_path)
    assert [len(thing.polygons) for thing in masks.shapes] == [2, 1, 1]
    assert len(masks.id_map()) == 3


def test_a_mask_is_a_picture_inside_its_box(tmp_path):
    picture = np.zeros((4, 6), np.uint8)
    picture[1:3, 1:5] = 255
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "PNG")
    encoded = base64.b64encode(content.getvalue()).decode()
    save_labelme(tmp_path, [shape("can", [[20, 30], [25, 33]], "mask", mask=encoded)])
    expected = np.zeros((60, 60), np.uint8)
    expected[31:33, 21:25] = 1
    assert np.array_equal(only(tmp_path).class_map(), expected)


def test_points_and_lines_are_weak_labels(tmp_path):
    lines = [shape("can", [[5, 5]], "point"), shape("_background_", [[0, 20], [9, 20], [9, 25]], "linestrip")]
    save_labelme(tmp_path, lines)
    masks = only(tmp_path)
    assert masks.kinds == {"point", "scribble"}
    class_HW = masks.class_map()
    assert class_HW[5, 5] == 1
    assert (class_HW[20, :10] == 0).all()
    assert (class_HW == IGNORE).sum() == 3600 - 1 - 15


def test_ignored_pixels_and_background_over_an_object(tmp_path):
    hole = [[20, 20], [40, 20], [40, 40], [20, 40]]
    corner = [[0, 0], [5, 0], [5, 5], [0, 5]]
    save_labelme(tmp_path, [shape("can", SQUARE), shape("_background_", hole), shape("__ignore__", corner)])
    data = read_masks(tmp_path)
    assert data.classes == ("background", "can")
    assert np.bincount(data.images[0].masks.class_map().ravel(), minlength=256)[[1, IGNORE]].tolist() == [1200, 25]
    found = data.images[0].masks.id_map()
    assert (len(found), (found.ids_HW == 1).sum(), found.covered) == (1, 1200, {})


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (shape("can", [[1, 1], [2, 2]]), "2 points"),
        (shape("can", [[1, 1]], "rectangle"), "1 points; a rectangle has 2"),
        (shape("can", "abc"), "not pairs"),
        (shape("can", SQUARE, "cuboid"), "a cuboid; read are polygon"),
        (shape("can", SQUARE, {"a": 1}), "a {'a': 1}; read are polygon"),
        (shape("can", [[0, 0], [5, 5]], "mask", mask="!"), "not a PNG in base64"),
    ],
)
def test_shapes_that_cover_nothing_are_named(tmp_path, bad, reason):
    save_labelme(tmp_path, [shape("can", SQUARE), bad])
    (entry,) = read_masks(tmp_path).dropped
    assert entry.id == "1.jpg, shape 2"
    assert reason in entry.reason


def test_images_without_a_file_are_left_out_and_sizes_decide_the_frame(tmp_path):
    save_labelme(
        tmp_path, [shape("can", [[0, 0], [5, 0], [5, 40], [0, 40]])], size=(20, 40), stored=(40, 20), orientation=6
    )
    save_image(tmp_path / "bare.jpg")
    data = read_masks(tmp_path)
    assert "1 image without a JSON file, left out, such as bare.jpg" in data.notes
    assert data.images[0].masks.class_map()[:, :5].all()
    save_labelme(tmp_path, [shape(" ", SQUARE)], name="2")
    with pytest.raises(DataError, match=r"2\.json: the name ' '"):
        read_masks(tmp_path)
