"""CVAT's XML: every right value below is counted by hand."""

import numpy as np
import pytest
from tests.data.masks.conftest import save_image

from whet.core.errors import DataError
from whet.core.masks import IGNORE
from whet.data.masks import detect, read_masks

SQUARE = '<polygon label="can" z_order="0" points="10,10;50,10;50,50;10,50"><attribute name="dirty">true</attribute></polygon>'
# In a box of 4 x 3 at (20, 30), row by row: 0110 / 1111 / 0010.
MASK = '<mask label="cup" z_order="0" rle="1, 2, 1, 4, 2, 1, 1" left="20" top="30" width="4" height="3"/>'
PIXELS = {(30, 21), (30, 22), (31, 20), (31, 21), (31, 22), (31, 23), (32, 22)}


def save_cvat(root, *images, labels=("cup", "can", "glass"), name="annotations.xml"):
    """images: (attributes, shapes) of each."""
    listed = "".join(f"<label><name>{label}</name><attributes></attributes></label>" for label in labels)
    entries = "".join(f"<image {attributes}>{shapes}</image>" for attributes, shapes in images)
    root.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(
        f'<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version><meta><job><labels>{listed}</labels></job>'
        f"</meta>{entries}</annotations>"
    )
    return root


def one(root, shapes, size=(60, 60), **options):
    """A folder with one image of 60 x 60 in images/."""
    save_image(root / "images" / "1.jpg", *size)
    return save_cvat(root, (f'id="0" name="1.jpg" width="{size[0]}" height="{size[1]}"', shapes), **options)


def test_polygons_and_masks_are_objects(tmp_path):
    data = read_masks(one(tmp_path, SQUARE + MASK))
    assert (data.format, data.task, data.objects) == ("cvat", "instance-segmentation", 2)
    assert data.classes == ("background", "cup", "can")  # in the order of the file
    assert "labels without objects, left out: glass" in data.notes
    masks = data.images[0].masks
    assert np.bincount(masks.class_map().ravel()).tolist() == [3600 - 1600, 7, 1600 - 7]
    assert {(int(y), int(x)) for y, x in np.argwhere(masks.class_map() == 1)} == PIXELS
    assert masks.id_map().class_of_id.tolist() == [2, 1]
    assert data.images[0].id == "images/1.jpg"


def test_the_file_itself_may_be_given_and_the_format_said(tmp_path):
    one(tmp_path, SQUARE)
    assert len(read_masks(tmp_path / "annotations.xml")) == 1
    (tmp_path / "other.xml").write_text("<annotation><object/></annotation>")
    assert detect(tmp_path).why == "CVAT: annotations.xml"


def test_what_is_painted_last_is_on_top(tmp_path):
    below = SQUARE.replace('z_order="0"', 'z_order="1"')
    assert (read_masks(one(tmp_path, below + MASK)).images[0].masks.class_map() == 1).sum() == 0


def test_polygons_of_one_group_are_one_object(tmp_path):
    parts = [f'<polygon label="can" group_id="4" points="{x},0;{x + 5},0;{x + 5},5;{x},5"/>' for x in (0, 20)]
    other = '<polygon label="cup" group_id="4" points="40,0;45,0;45,5;40,5"/>'
    data = read_masks(one(tmp_path, "".join(parts) + other))
    assert data.objects == 2
    assert np.bincount(data.images[0].masks.id_map().ids_HW.ravel()).tolist() == [3600 - 75, 50, 25]


def test_boxes_beside_masks_are_ignored_pixels_and_alone_they_are_boxes(tmp_path):
    box = '<box label="can" xtl="0" ytl="0" xbr="10" ybr="5"/>'
    data = read_masks(one(tmp_path / "a", SQUARE + box))
    assert "boxes beside polygons and masks: 1; the pixels inside are ignored" in data.notes
    assert (data.images[0].masks.class_map() == IGNORE).sum() == 50
    assert len(data.images[0].masks.id_map()) == 1
    alone = read_masks(one(tmp_path / "b", box))
    assert alone.kinds == {"box"}
    assert "no object is a polygon or a mask: the boxes are read" in alone.notes


def test_other_shapes_are_named_and_left_out(tmp_path):
    lines = (
        '<polyline label="can" points="1,1;9,9"/><points label="can" points="3,3"/><points label="cup" points="3,3"/>'
    )
    data = read_masks(
        one(tmp_path, SQUARE + lines + '<tag label="can"/><ellipse label="can" cx="9" cy="9" rx="3" ry="2"/>')
    )
    assert data.objects == 1
    (note,) = [note for note in data.notes if note.startswith("not read")]
    assert note.endswith("1 ellipses, 2 sets of points, 1 polylines, 1 tags")
    assert data.require_usable() is data
    with pytest.raises(DataError, match=r"no polygon, mask or box in 1 image of CVAT"):
        read_masks(one(tmp_path / "lines", lines))


def test_tracks_are_refused(tmp_path):
    save_image(tmp_path / "images" / "1.jpg")
    save_cvat(tmp_path)
    path = tmp_path / "annotations.xml"
    path.write_text(path.read_text().replace("</annotations>", '<track id="0" label="can"/></annotations>'))
    with pytest.raises(DataError, match=r"annotations\.xml: 1 track of a video; accepted: .*CVAT for images 1\.1"):
        read_masks(tmp_path)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ('<polygon label="can" points="1,1;2,2"/>', "2 points"),
        ('<polygon label="can" points="1,1;2,x;3,3"/>', "finite"),
        ('<polygon label="can"/>', "finite"),
        (MASK.replace("1, 2, 1", "1, 2, 2"), "an rle of 13 pixels in a box of 4 x 3"),
        (MASK.replace("1, 2, 1", "a, 2, 1"), "not a list of whole numbers"),
        (MASK.replace("1, 2, 1", f"{10**30}, 2, 1"), "not a list of whole numbers"),
        (MASK.replace('left="20"', 'left="58"'), "leaves the image of 60 x 60"),
        (MASK.replace("1, 2, 1, 4, 2, 1, 1", "12"), "no pixel"),
    ],
)
def test_shapes_that_cover_nothing_are_named(tmp_path, bad, reason):
    (entry,) = read_masks(one(tmp_path, SQUARE + bad)).dropped
    assert entry.id == "images/1.jpg, shape 2"
    assert reason in entry.reason


def test_numbers_that_are_none_and_broken_files(tmp_path):
    with pytest.raises(DataError, match=r"xtl 'a' of <box> is not a number"):
        read_masks(one(tmp_path, SQUARE + '<box label="can" xtl="a" ytl="0" xbr="10" ybr="5"/>'))
    with pytest.raises(DataError, match=r"z_order 'nan' of <polygon> is not a number"):
        read_masks(one(tmp_path, SQUARE.replace('z_order="0"', 'z_order="nan"')))
    with pytest.raises(DataError, match=r"the name None"):
        read_masks(one(tmp_path, '<polygon points="1,1;5,1;5,5"/>'))
    (tmp_path / "annotations.xml").write_text("<annotations><meta>")
    with pytest.raises(DataError, match="not readable as XML"):
        read_masks(tmp_path)


def test_ignored_pixels_frames_splits_and_missing_images(tmp_path):
    ignored = '<polygon label="ignore" points="0,0;5,0;5,5;0,5"/>'
    tall = '<polygon label="can" points="0,0;5,0;5,40;0,40"/>'
    save_image(tmp_path / "images" / "Train" / "a" / "1.jpg", 40, 20, orientation=6)
    save_image(tmp_path / "images" / "val" / "2.jpg")
    save_cvat(
        tmp_path,
        ('id="0" name="a/1.jpg" subset="Train" width="20" height="40"', tall),
        ('id="1" name="2.jpg" subset="val" width="60" height="60"', SQUARE + ignored),
        ('id="2" name="3.jpg" width="60" height="60"', SQUARE),
        labels=("can", "ignore"),
    )
    data = read_masks(tmp_path)
    assert [(image.id, image.split) for image in data.images] == [
        ("images/Train/a/1.jpg", "train"), ("images/val/2.jpg", "val"),
    ]  # fmt: skip
    assert data.classes == ("background", "can")
    assert data.images[0].masks.class_map()[:, :5].all()
    assert (data.images[1].masks.class_map() == IGNORE).sum() == 25
    assert [entry.id for entry in data.skipped] == ["3.jpg"]
    save_cvat(tmp_path, ('id="0" name="2.jpg" subset="val" width="60" height="60"', SQUARE), name="more.xml")
    with pytest.raises(DataError, match=r"images/val/2\.jpg is annotated twice"):
        read_masks(tmp_path)
