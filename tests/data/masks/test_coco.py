import json
import math
from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageOps
from pycocotools import mask as coco_mask
from tests.data.masks.conftest import annotation, rectangle, save_coco, save_image

from whet.core.errors import DataError
from whet.core.masks import IGNORE
from whet.data.masks import MaskSpec, read_masks


def only(data):
    (image,) = data.images
    return image.masks


def test_polygons_and_both_kinds_of_rle_give_the_same_pixels(coco):
    ones = np.zeros((60, 60), np.uint8, order="F")
    ones[10:50, 10:50] = 1
    packed = coco_mask.encode(ones)["counts"].decode()
    runs = [10 * 60 + 10] + [40, 20] * 39 + [40, 10 * 60 + 10]
    for segmentation in (
        [rectangle(10, 10, 50, 50)],
        rectangle(10, 10, 50, 50),
        {"size": [60, 60], "counts": packed},
        {"size": [60, 60], "counts": runs},
    ):
        data = read_masks(coco([annotation(1, segmentation)]))
        assert data.classes == ("background", "a")
        assert data.has_background
        assert data.things == ("a",)
        assert data.task == "instance-segmentation"
        assert data.objects == 1
        assert np.array_equal(only(data).class_map(), ones)
        assert "categories without objects, left out: b" in data.notes


def test_several_polygons_are_one_object_and_their_union(coco):
    # Cases 15 and 16.
    data = read_masks(
        coco([annotation(1, [rectangle(10, 10, 50, 50), rectangle(20, 20, 40, 40), rectangle(55, 0, 60, 5)])])
    )
    found = only(data).id_map()
    assert len(found) == 1
    assert (found.ids_HW == 1).sum() == 1600 + 25


def test_an_image_without_objects_is_kept(coco, tmp_path):
    save_image(tmp_path / "2.jpg")
    images = [
        {"id": 1, "file_name": "1.jpg", "width": 60, "height": 60},
        {"id": 0, "file_name": "2.jpg", "width": 60, "height": 60},
    ]
    save_image(tmp_path / "1.jpg")
    data = read_masks(coco([annotation(1, [rectangle(10, 10, 50, 50)])], images=images))
    assert [len(image.masks.shapes) for image in data.images] == [1, 0]
    assert data.images[1].masks.class_map().max() == 0
    assert len(data.images[1].masks.id_map()) == 0


# EXIF (case 1): the object lies in the left of the upright image, 20 wide and 40 high.
UPRIGHT = rectangle(0, 0, 5, 40)
STORED = rectangle(0, 15, 40, 20)  # the same object before the quarter turn


@pytest.mark.parametrize(("stated", "segmentation"), [((20, 40), UPRIGHT), ((40, 20), STORED)])
def test_the_stated_size_decides_which_frame_the_polygons_mean(tmp_path, stated, segmentation):
    save_image(tmp_path / "1.jpg", 40, 20, orientation=6)
    masks = only(read_masks(save_coco(tmp_path / "d.json", [annotation(1, [segmentation])], size=stated)))
    assert masks.size == (40, 20)
    class_HW = masks.class_map()
    assert class_HW[:, :5].all()
    assert class_HW.sum() == 200


@pytest.mark.parametrize("orientation", [2, 3, 4, 5, 6, 7, 8])
def test_stored_polygons_and_rle_are_turned_like_the_pixels(tmp_path, orientation):
    save_image(tmp_path / "1.png", 40, 20, orientation)
    stored = np.zeros((20, 40), np.uint8, order="F")
    stored[2:7, 10:30] = 1
    picture = Image.fromarray(np.ascontiguousarray(stored))
    picture.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(picture))
    images = [{"id": 1, "file_name": "1.png", "width": 40, "height": 20}]
    counts = coco_mask.encode(stored)["counts"].decode()
    for segmentation in ([rectangle(10, 2, 30, 7)], {"size": [20, 40], "counts": counts}):
        path = save_coco(tmp_path / "d.json", [annotation(1, segmentation)], images=images)
        masks = only(read_masks(path, MaskSpec(frame="stored")))
        assert np.array_equal(masks.class_map(), expected)


@pytest.mark.parametrize(("size", "orientation"), [((40, 20), 3), ((40, 40), 6)])
def test_a_frame_that_cannot_be_told_is_refused_until_it_is_said(tmp_path, size, orientation):
    save_image(tmp_path / "1.jpg", *size, orientation)
    path = save_coco(tmp_path / "d.json", [annotation(1, [rectangle(0, 0, 5, 5)])], size=size)
    with pytest.raises(
        DataError, match=rf"1\.jpg: the image has the EXIF orientation {orientation}.*data\.masks\.frame"
    ):
        read_masks(path)
    upright = only(read_masks(path, MaskSpec(frame="upright"))).class_map()
    assert upright[:5, :5].all()
    stored = only(read_masks(path, MaskSpec(frame="stored"))).class_map()
    assert stored[-5:, -5:].all() if orientation == 3 else stored[:5, -5:].all()


def test_an_image_of_another_size_is_left_out(coco):
    data = coco([annotation(1, [rectangle(0, 0, 5, 5)])], size=(60, 60))
    content = json.loads(data.read_text())
    content["images"][0] |= {"width": 30}
    data.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"1\.jpg: the masks are for 30 x 60 pixels, the image has 60 x 60"):
        read_masks(data)


def test_categories_become_classes_by_name(tmp_path):
    # Case 11: numbers from 0, gaps, an unused parent, and another order in val.
    shape = [rectangle(0, 0, 10, 10)]
    train = [{"id": 0, "name": "waste", "supercategory": "none"}, {"id": 3, "name": "can", "supercategory": "waste"},
             {"id": 7, "name": "box", "supercategory": "waste"}]  # fmt: skip
    val = [{"id": 0, "name": "box"}, {"id": 1, "name": "can"}]
    save_coco(
        tmp_path / "train" / "_annotations.coco.json", [annotation(3, shape), annotation(7, shape)], categories=train
    )
    save_coco(
        tmp_path / "valid" / "_annotations.coco.json", [annotation(1, shape), annotation(0, shape)], categories=val
    )
    data = read_masks(tmp_path)
    assert data.classes == ("background", "can", "box")
    assert [(image.id, image.split) for image in data.images] == [("train/1.jpg", "train"), ("valid/1.jpg", "val")]
    assert [[shape.class_number for shape in image.masks.shapes] for image in data.images] == [[1, 2], [1, 2]]
    assert "categories without objects, left out: waste" in data.notes


@pytest.mark.parametrize(
    ("categories", "message"),
    [
        ([{"id": 1, "name": "a"}, {"id": 1, "name": "b"}], "category id 1 occurs 2 times"),
        ([{"id": 1, "name": "a"}, {"id": 2, "name": "a"}], "category name 'a' occurs 2 times"),
        ([{"id": 1, "name": " "}], "name ' '"),
        ([{"id": 2, "name": "a"}], r"category_id 1 of 1 annotations is not among the categories \(2: a\)"),
        ([{"name": "a"}], "id is None"),
    ],
)
def test_doubtful_categories_are_refused(coco, categories, message):
    with pytest.raises(DataError, match=rf"data\.json.*{message}"):
        read_masks(coco([annotation(1, [rectangle(0, 0, 10, 10)])], categories=categories))


def test_an_unused_parent_with_the_name_of_its_class_is_dropped(coco):
    categories = [{"id": 0, "name": "can", "supercategory": "none"}, {"id": 1, "name": "can", "supercategory": "can"}]
    assert read_masks(coco([annotation(1, [rectangle(0, 0, 10, 10)])], categories=categories)).classes == (
        "background",
        "can",
    )


def test_a_crowd_is_ignored_pixels(coco):
    # Case 14.
    ones = np.zeros((60, 60), np.uint8, order="F")
    ones[:20, :20] = 1
    crowd = {"size": [60, 60], "counts": coco_mask.encode(ones)["counts"].decode()}
    things = [annotation(2, [rectangle(30, 30, 40, 40)]) for _ in range(30)]
    data = read_masks(coco([annotation(1, crowd, iscrowd=1), *things]))
    assert not data.warnings
    class_HW = only(data).class_map()
    assert (class_HW == IGNORE).sum() == 400
    assert class_HW[35, 35] == 2
    assert len(only(data).id_map()) == 30


def test_all_rle_marked_as_crowds_is_warned_of(coco):
    crowd = {"size": [60, 60], "counts": [0, 100, 3500]}
    data = read_masks(coco([annotation(1, crowd, iscrowd=1), annotation(2, [rectangle(30, 30, 40, 40)])]))
    assert "all 1 masks given as RLE are marked as crowds, as CVAT writes them" in data.warnings[0]
    assert data.warnings[0] in data.notes


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        ([[1, 1, 5, 5]], "2 points"),
        ([], "no polygon"),
        ([[]], "0 points"),
        (None, "no segmentation"),
        ([[1, 1, 5, math.nan, 5, 5]], "finite"),
        ([[1, 1, 5, 5, 9]], "not pairs of numbers"),
        ([["x", 1, 5, 5, 9, 9]], "not pairs of numbers"),
        ([rectangle(70, 70, 90, 90)], "outside the image of 60 x 60"),
        ({"size": [60, 60], "counts": [3600]}, "no pixel"),
        ("abc", "the segmentation 'abc'"),
    ],
)
def test_what_covers_nothing_is_named_and_left_out(coco, segmentation, reason):
    # Case 18.
    good = [annotation(1, [rectangle(10, 10, 50, 50)]) for _ in range(150)]
    data = read_masks(coco([*good, annotation(2, segmentation, id=17), annotation(2, [rectangle(0, 0, 1, 1)])]))
    (entry,) = data.dropped
    assert entry.id == "1.jpg, annotation 17"
    assert reason in entry.reason
    assert data.objects == 151
    assert data.require_usable() is data
    assert any("left out 1 object: 1.jpg, annotation 17" in note for note in data.notes)


def test_more_than_one_percent_left_out_stops(coco):
    bad = [annotation(1, [[1, 1, 5, 5]], id=k) for k in range(2)]
    data = read_masks(coco([*bad, *[annotation(1, [rectangle(10, 10, 50, 50)]) for _ in range(100)]]))
    with pytest.raises(
        DataError, match=r"2 of 102 objects cannot be used, more than 1%:\n  1.jpg, annotation 0: 2 points"
    ):
        data.require_usable()


def test_an_object_keeps_its_good_polygons_and_small_ones_keep_a_pixel(coco):
    data = read_masks(coco([annotation(1, [[1, 1, 5, 5], rectangle(10, 10, 10.4, 10.4), rectangle(-20, -20, 20, 20)])]))
    assert [entry.id for entry in data.dropped] == ["1.jpg, annotation 1, polygon 1"]
    assert only(data).class_map().sum() == 400
    tiny = only(read_masks(coco([annotation(1, [rectangle(10, 10, 10.4, 10.4)])])))
    assert tiny.class_map().sum() == 1


def test_an_rle_of_another_size_is_an_error(coco):
    # Case 17.
    with pytest.raises(DataError, match=r"data\.json: 1\.jpg, annotation 1: the RLE has the size \[30, 60\]"):
        read_masks(coco([annotation(1, {"size": [30, 60], "counts": [1800]})]))


def test_boxes_are_read_where_nothing_has_a_segmentation(coco):
    boxes = [annotation(1, [], bbox=[10, 10, 40, 40]), {"id": 2, "image_id": 1, "category_id": 2, "bbox": [0, 0, 4, 4]}]
    data = read_masks(coco([*boxes, annotation(1, [], bbox=[0, 0, 0, 4])]))
    assert data.kinds == {"box"}
    assert "no object has a segmentation: the boxes are read" in data.notes
    assert only(data).boxes()[0].tolist() == [[10, 10, 50, 50], [0, 0, 4, 4]]
    assert (only(data).class_map() == IGNORE).sum() == 1616
    assert "a box of 0 x 4" in data.dropped[0].reason


def test_a_missing_image_is_named(coco, tmp_path):
    images = [{"id": k, "file_name": f"{k}.jpg", "width": 60, "height": 60} for k in range(3)]
    save_image(tmp_path / "0.jpg")
    (tmp_path / "1.jpg").write_bytes(b"no image")
    data = read_masks(coco([annotation(1, [rectangle(0, 0, 9, 9)], image=0)], images=images))
    assert [(entry.id, entry.reason.split(" (")[0]) for entry in data.skipped] == [
        ("1.jpg", "not an image of an accepted format"), ("2.jpg", "No such file or directory"),
    ]  # fmt: skip
    with pytest.raises(DataError, match="2 of 3 images cannot be used"):
        data.require_usable()


@pytest.mark.parametrize("place", ["images/1.jpg", "val2017/1.jpg", "images/val2017/1.jpg"])
def test_images_are_found_around_the_annotations_folder(tmp_path, place):
    save_image(tmp_path / place)
    images = [{"id": 1, "file_name": "1.jpg", "width": 60, "height": 60}]
    save_coco(
        tmp_path / "annotations" / "instances_val2017.json", [annotation(1, [rectangle(0, 0, 9, 9)])], images=images
    )
    thing = annotation(1, [rectangle(0, 0, 9, 9)])
    for name, more in (("captions", {"caption": "a"}), ("person_keypoints", {"num_keypoints": 3})):
        save_coco(tmp_path / "annotations" / f"{name}_val2017.json", [thing | more], images=images)
    data = read_masks(tmp_path)
    assert [(image.id, image.split) for image in data.images] == [(place, "val")]


def test_several_files_need_splits(tmp_path):
    for name in ("a", "b"):
        save_coco(tmp_path / f"{name}.json", [annotation(1, [rectangle(0, 0, 9, 9)])])
    with pytest.raises(DataError, match=r"several COCO files that do not all name their split \(a\.json, b\.json\)"):
        read_masks(tmp_path)


def test_splits_and_groups_of_a_table_beside_the_file(coco, tmp_path):
    images = [{"id": k, "file_name": f"images/{k}.jpg", "width": 60, "height": 60} for k in range(4)]
    for k in range(4):
        save_image(tmp_path / f"images/{k}.jpg")
    rows = [
        "file,group,split",
        "images/0.jpg,p,train",
        "images/1.jpg,p,train",
        "images/2.jpg,q,test",
        "images/9.jpg,q,test",
    ]
    (tmp_path / "split.csv").write_text("\n".join(rows))
    data = read_masks(coco([annotation(1, [rectangle(0, 0, 9, 9)], image=k) for k in range(4)], images=images))
    assert [(image.split, image.group) for image in data.images] == [
        ("train", "p"),
        ("train", "p"),
        ("test", "q"),
        ("", ""),
    ]
    assert "split.csv: split and group of 3 of 4 images" in data.notes
    assert data.frame["split"].tolist() == ["train", "train", "test", ""]


def test_copies_of_one_photo_are_a_group(coco, tmp_path):
    # Case 27.
    names = ["x_jpg.rf.1a.jpg", "x_jpg.rf.2b.jpg", "y_jpg.rf.3c.jpg"]
    images = [{"id": k, "file_name": name, "width": 60, "height": 60} for k, name in enumerate(names)]
    for name in names:
        save_image(tmp_path / name)
    data = read_masks(coco([annotation(1, [rectangle(0, 0, 9, 9)], image=0)], images=images))
    assert Counter(image.group for image in data.images) == {"x_jpg": 2, "y_jpg": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not readable as JSON"),
        ("[]", "not a COCO file; it needs the lists"),
        ('{"images": [], "annotations": [], "categories": []}', "no object in 0 images"),
        ('{"images": [1], "annotations": [], "categories": []}', "id is None in 1"),
        ('{"images": [{"id": 1}], "annotations": [], "categories": []}', "file_name is None"),
    ],
)
def test_files_that_are_not_coco(tmp_path, content, message):
    (tmp_path / "data.json").write_text(content)
    with pytest.raises(DataError, match=rf"data\.json.*{message}"):
        read_masks(tmp_path / "data.json")


@pytest.mark.parametrize(
    ("part", "key", "value", "message"),
    [
        ("images", "height", math.nan, "has the size 60 x nan|accepted: whole numbers"),
        ("images", "height", math.inf, "accepted: whole numbers"),
        ("images", "file_name", 7, "file_name is 7"),
        ("images", "file_name", "\0", "none of 1 images can be used.*null byte"),
        ("annotations", "category_id", {"a": 1}, "category_id is {'a': 1}"),
        ("annotations", "image_id", 9, "annotation 1: image_id 9 is not among the images"),
        ("annotations", "segmentation", {"size": [60, 60], "counts": [[], 3600]}, "annotation 1: RLE counts must be"),
    ],
)
def test_odd_values_are_named(coco, part, key, value, message):
    path = coco([annotation(1, [rectangle(0, 0, 9, 9)])])
    content = json.loads(path.read_text())
    content[part][0][key] = value
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"data\.json.*({message})"):
        read_masks(path)


def test_an_image_in_two_files_is_refused(tmp_path):
    images = [{"id": 1, "file_name": "../1.jpg", "width": 60, "height": 60}]
    save_image(tmp_path / "1.jpg")
    for split in ("train", "val"):
        save_coco(tmp_path / split / "data.json", [annotation(1, [rectangle(0, 0, 9, 9)])], images=images)
    with pytest.raises(DataError, match=r"val/data\.json: 1\.jpg is also in .*train/data\.json"):
        read_masks(tmp_path)


def test_a_large_file_is_recognised_by_its_keys(coco, tmp_path):
    things = [annotation(1, [rectangle(10, 10, 50, 50) * 10], id=k) for k in range(5000)]
    path = coco(things)
    assert path.stat().st_size > 1 << 20
    data = read_masks(tmp_path)
    assert (data.format, data.objects) == ("coco", 5000)
