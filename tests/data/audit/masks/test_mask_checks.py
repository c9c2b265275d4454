from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from whet.core.masks import Masks, Shape
from whet.core.polygons import box_points
from whet.data.audit.masks import audit_masks
from whet.data.audit.masks.alignment import SHIFTS, check_alignment, shift_gains
from whet.data.audit.masks.balance import check_mask_balance
from whet.data.audit.masks.left_out import check_copies, check_left_out
from whet.data.audit.masks.outlines import check_outlines, crosses_itself
from whet.data.audit.masks.overlaps import check_duplicate_objects
from whet.data.masks import MaskData, MaskImage
from whet.data.masks.weak import as_boxes, boxes_of_boxes
from whet.data.table import Skipped

SIZE = (60, 60)
TRIANGLE = np.array([[5.0, 5], [50, 10], [20, 50]])
INNER = np.array([[15.0, 15], [30, 16], [20, 30]])


def outline(*polygons, class_number=1, **rest):
    return Shape(class_number, tuple(np.asarray(points, float) for points in polygons), **rest)


def data(*of_images, **rest):
    images = tuple(MaskImage(f"{k}.jpg", f"{k}.jpg", Masks(SIZE, tuple(shapes))) for k, shapes in enumerate(of_images))
    objects = sum(len(shapes) for shapes in of_images)
    made = MaskData(Path(), "coco", images, ("background", "can", "box"), True, "instance-segmentation", objects)
    return replace(made, **rest)


def kinds(found):
    return {finding.kind: finding for finding in found}


def test_box_shaped_outlines_are_told_and_offered_as_boxes():
    # Case 19.
    boxes = data([outline(box_points(1, 1, 9, 9)), outline(TRIANGLE)], [outline(TRIANGLE)])
    finding = kinds(check_outlines(boxes))["box-shaped masks"]
    assert finding.severity == "warning"
    assert finding.text.startswith("1 of 3 objects are axis-parallel boxes")
    assert finding.groups == (("0.jpg",),)
    weak, count = boxes_of_boxes(boxes)
    assert count == 1
    assert [shape.kind for image in weak.images for shape in image.masks.shapes] == ["box", "mask", "mask"]
    few = data(*[[outline(TRIANGLE)]] * 10, [outline(box_points(1, 1, 9, 9))])
    assert kinds(check_outlines(few))["box-shaped masks"].severity == "fact"
    assert as_boxes(Masks(SIZE, (outline(TRIANGLE),))).boxes()[0].tolist() == [[5, 5, 50, 49]]


def test_holes_crossings_and_outlines_beyond_the_border():
    # Case 15: one polygon inside its sibling.
    bow = np.array([[10.0, 10], [50, 50], [50, 10], [10, 50]])
    found = kinds(
        check_outlines(data([outline(TRIANGLE, INNER), outline(bow), outline(TRIANGLE + 40)], [outline(TRIANGLE)]))
    )
    assert {kind: finding.groups for kind, finding in found.items()} == dict.fromkeys(
        ("holes", "crossing outlines", "outside the image"), (("0.jpg",),)
    )
    assert found["holes"].text.startswith("objects with a polygon inside another: 1;")
    assert check_outlines(data([outline(TRIANGLE, TRIANGLE + 8)])) == []


def test_a_ring_that_runs_in_and_out_along_one_line_does_not_cross_itself():
    outer, inner = box_points(10, 10, 50, 50), box_points(20, 20, 40, 40)
    assert not crosses_itself(np.concatenate([outer, outer[:1], inner[[0, 3, 2, 1]], inner[:1]]))
    assert not crosses_itself(np.concatenate([TRIANGLE, TRIANGLE[:1]]))
    angles = np.linspace(0, 2 * np.pi, 900, endpoint=False)
    circle = 30 + 20 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert not crosses_itself(circle)
    circle[[600, 300]] = circle[[300, 600]]
    assert crosses_itself(circle)


def test_objects_labelled_twice():
    twice = [outline(TRIANGLE), outline(TRIANGLE + 0.2), outline(TRIANGLE, class_number=2), outline(INNER)]
    found = kinds(check_duplicate_objects(data(twice, [outline(TRIANGLE)])))
    assert found["duplicate objects"].notes == ("can",)
    assert found["conflicting objects"].severity == "problem"
    assert found["conflicting objects"].notes == ("can and box", "can and box")
    crowd = [outline(TRIANGLE, crowd=True), outline(TRIANGLE)]
    assert check_duplicate_objects(data(crowd)) == []


def test_what_was_left_out_is_a_problem():
    left = data(
        [outline(TRIANGLE)],
        skipped=(Skipped("7.jpg", "no mask file"),),
        dropped=(Skipped("0.jpg, annotation 3", "2 points"),),
    )
    found = kinds(check_left_out(left))
    assert found["unusable masks"].text == "1 of 2 images cannot be used and will be left out"
    assert found["unusable masks"].lines() == ["7.jpg  (no mask file)"]
    assert found["objects that cover nothing"].lines() == ["0.jpg, annotation 3  (2 points)"]


def test_copies_of_a_photo_in_two_splits_leak():
    # Case 27.
    made = data(*[[outline(TRIANGLE)]] * 4)
    splits, groups = ("train", "test", "train", "train"), ("x", "x", "y", "y")
    images = tuple(replace(image, split=split, group=group) for image, split, group in zip(made.images, splits, groups))
    (finding,) = check_copies(replace(made, images=images))
    assert (finding.severity, finding.groups, finding.notes) == ("problem", (("0.jpg", "1.jpg"),), ("x: train, test",))
    assert check_copies(made) == []


def test_classes_by_pixels_images_and_objects():
    made = data(
        [outline(box_points(0, 0, 30, 60)), outline(INNER, class_number=2)],
        [outline(box_points(0, 0, 60, 60), crowd=True)],
    )
    images = (replace(made.images[0], split="train"), replace(made.images[1], split="test"))
    found = kinds(check_mask_balance(replace(made, images=images)))
    assert "background: 50.0% of the pixels, 1 image; can: " in found["classes"].text
    assert "1 image, 1 object" in found["classes"].text
    assert found["missing classes"].text == "no test image holds can, box"
    assert found["few train images"].text == "classes in fewer than 10 train images: can 1, box 1"
    assert found["ignored pixels"].text.startswith("50% of all pixels")


def scene(number):
    """A bright shape with a soft border on a dark ground with texture, and its outline."""
    rng = np.random.default_rng(number)
    centre, turn = rng.uniform(40, 56, 2), rng.uniform(0, np.pi)
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    points = centre + np.stack([24 * np.cos(angles + turn), 15 * np.sin(angles)], axis=1)
    pixels = rng.normal(80, 12, (96, 96)).astype(np.float32)
    mask = np.zeros((96, 96), np.uint8)
    cv2.fillPoly(mask, [np.round(points - 0.5).astype(np.int32)], 1)
    pixels = cv2.GaussianBlur(pixels + 70.0 * mask, (0, 0), 1.0)
    return np.repeat(pixels.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2), points


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    images = []
    for number in range(12):
        pixels, points = scene(number)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        images.append(MaskImage(f"{number}.png", str(folder / f"{number}.png"), Masks((96, 96), (outline(points),))))
    return MaskData(folder, "coco", tuple(images), ("background", "can"), True, "instance-segmentation", 12)


def moved(made, dx, dy):
    shifted = [
        replace(
            image,
            masks=replace(
                image.masks, shapes=tuple(outline(shape.polygons[0] + [dx, dy]) for shape in image.masks.shapes)
            ),
        )
        for image in made.images
    ]
    return replace(made, images=tuple(shifted))


@pytest.mark.parametrize(
    ("dx", "dy", "where"), [(3, 0, "3 pixels too far to the right:"), (-4, -4, "4 pixels too far left and up:")]
)
def test_masks_beside_their_objects_are_found(scenes, dx, dy, where):
    assert check_alignment(scenes) == []
    (finding,) = check_alignment(moved(scenes, dx, dy))
    assert (finding.kind, finding.severity) == ("misplaced masks", "warning")
    assert where in finding.text
    # Half of the images one way and half the other: no common shift.
    half = replace(scenes, images=moved(scenes, 3, 0).images[:6] + moved(scenes, -3, 0).images[6:])
    assert check_alignment(half) == []


def test_an_outline_on_an_edge_gains_nothing_by_a_shift():
    pixels = np.zeros((60, 60, 3), np.uint8)
    pixels[20:40, 20:40] = 200
    numbers = np.zeros((60, 60), np.uint16)
    numbers[20:40, 20:40] = 1
    gains = shift_gains(pixels, numbers)
    assert gains.argmax() == 0
    assert SHIFTS[int(shift_gains(pixels, np.roll(numbers, 3, axis=1)).argmax())] == (-3, 0)
    assert shift_gains(pixels, np.zeros_like(numbers)) is None


def test_the_audit_runs_every_check(scenes):
    made = replace(moved(scenes, 3, 0), notes=("a", "b"), warnings=("b",), skipped=(Skipped("x.png", "empty file"),))
    found = audit_masks(made)
    assert [finding.kind for finding in found] == ["unusable masks", "misplaced masks", "note", "classes", "note"]
