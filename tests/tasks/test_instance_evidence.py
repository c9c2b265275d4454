"""The metrics of instance segmentation: equal to pycocotools, with the right values where pycocotools has none."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from whet.core import rle
from whet.core.masks import Detection, Layer
from whet.core.polygons import trim
from whet.tasks import instance_evidence
from whet.tasks.instance_evidence import (
    InstanceEvidence,
    average_precision_K,
    by_size,
    count_error_N,
    panoptic_quality_K,
)
from whet.tasks.instance_matching import SIZES, matched

CLASSES = ("background", "can", "glass")
SIDE = 112


def layer(k, mask, *, crowd=False):
    top, left, own = trim(0, 0, mask)
    return Layer(k, top, left, own, crowd)


def box(k, x0, y0, x1, y1, *, crowd=False):
    mask = np.zeros((SIDE, SIDE), bool)
    mask[y0:y1, x0:x1] = True
    return layer(k, mask, crowd=crowd)


def padded(rows):
    width = max(map(len, rows))
    return np.array([np.pad(row, (0, width - len(row)), constant_values=np.nan) for row in rows])


def evidence(images, classes=CLASSES):
    """images: (detections, targets) of each."""
    rows = [matched(detections, targets, len(classes)) for detections, targets in images]
    return InstanceEvidence.of(None, classes, np.array([f"{n:03d}" for n in range(len(rows))]), padded(rows))


def coco_precision(images):
    """`COCOeval` on masks: the precision (T, R, K, A) of the classes but the background, -1 where undefined."""

    def annotation(n, one, **more):
        counts = {"size": [SIDE, SIDE], "counts": rle.encode(one.whole((SIDE, SIDE)))}
        area = int(one.mask.sum())
        return {"image_id": n, "category_id": one.class_number, "segmentation": counts, "area": area, **more}

    truth, found = [], []
    for n, (detections, targets) in enumerate(images, start=1):
        for one in targets:
            truth.append(annotation(n, one, iscrowd=int(one.crowd), id=len(truth) + 1))
        for one in detections:
            found.append(annotation(n, one.layer, score=one.score, id=len(found) + 1))
    with contextlib.redirect_stdout(io.StringIO()):
        data, results = COCO(), COCO()
        for coco, annotations in ((data, truth), (results, found)):
            coco.dataset = {
                "images": [{"id": n + 1, "height": SIDE, "width": SIDE} for n in range(len(images))],
                "categories": [{"id": k, "name": CLASSES[k]} for k in (1, 2)], "annotations": annotations,
            }  # fmt: skip
            coco.createIndex()
        judge = COCOeval(data, results, "segm")
        judge.evaluate()
        judge.accumulate()
    return judge.eval["precision"][..., 2]


@st.composite
def some_images(draw):
    """Few, coarse boxes of all of COCO's sizes, so that they overlap and scores are equal; crowds, repeated detections, images
    without anything. 32 x 32 and 96 x 96 belong to two sizes."""
    corner, length = st.integers(0, 4).map(lambda n: 8 * n), st.sampled_from([8, 24, 32, 40, 96, 104])

    def one(**options):
        x, y = draw(corner), draw(corner)
        return box(draw(st.integers(1, 2)), x, y, x + draw(length), y + draw(length), **options)

    images = []
    for _ in range(draw(st.integers(1, 3))):
        targets = [one(crowd=draw(st.integers(0, 4)) == 0) for _ in range(draw(st.integers(0, 4)))]
        layers = [one() for _ in range(draw(st.integers(0, 3)))]
        layers += [
            Layer(t.class_number, t.top, t.left, t.mask) for t in targets for _ in range(draw(st.integers(0, 2)))
        ]
        images.append(([Detection(each, draw(st.integers(1, 6)) / 8) for each in layers], targets))
    return images


@settings(max_examples=60)
@given(some_images())
def test_precision_is_that_of_pycocotools(images):
    expected = coco_precision(images)
    found = np.stack([evidence(images).precision(size)[:, 1:].transpose(0, 2, 1) for size in range(len(SIZES))], axis=3)
    np.testing.assert_allclose(np.where(np.isnan(found), -1, found), expected, atol=1e-12)


def test_a_perfect_prediction_is_perfect_whatever_the_ids():
    """pycocotools gives 0 where an annotation has the id 0."""
    thing = box(1, 2, 2, 12, 12)
    found = evidence([([Detection(thing, 0.9)], [thing])])
    assert instance_evidence.mask_ap(found) == pytest.approx(1.0)
    assert instance_evidence.panoptic_quality(found) == 1.0


def test_a_class_without_objects_has_no_precision_and_enters_no_mean():
    thing = box(1, 2, 2, 12, 12)
    found = evidence([([Detection(thing, 0.9), Detection(box(2, 0, 0, 3, 3), 0.8)], [thing])])
    assert np.isnan(average_precision_K(found)[[0, 2]]).all()
    assert instance_evidence.mask_ap(found) == pytest.approx(1.0)


def test_detections_in_a_crowd_are_ignored():
    thing, crowd = box(1, 0, 0, 8, 8), box(1, 12, 12, 24, 24, crowd=True)
    inside = [Detection(box(1, 12, 12, 18, 18), 0.95), Detection(box(1, 18, 18, 24, 24), 0.9)]
    found = evidence([([*inside, Detection(thing, 0.5)], [thing, crowd])])
    assert instance_evidence.mask_ap(found) == pytest.approx(1.0)
    assert count_error_N(found).tolist() == [0.0]
    # Pixels of unknown objects are a crowd of every class.
    unknown = box(0, 12, 12, 24, 24, crowd=True)
    assert instance_evidence.mask_ap(evidence([([*inside, Detection(thing, 0.5)], [thing, unknown])])) == pytest.approx(
        1.0
    )


def test_two_touching_objects_predicted_as_one():
    """IoU 0.5 with each: one is found, one is missed. 51 of the 101 recalls have precision 1."""
    one, other = box(1, 0, 0, 6, 6), box(1, 6, 0, 12, 6)
    found = evidence([([Detection(box(1, 0, 0, 12, 6), 0.9)], [one, other])])
    assert instance_evidence.ap50(found) == pytest.approx(51 / 101)
    assert instance_evidence.ap75(found) == 0.0
    assert panoptic_quality_K(found)[1] == 0.0  # panoptic quality needs an IoU above 0.5


def test_a_repeated_detection_is_a_false_positive():
    thing = box(1, 2, 2, 12, 12)
    found = evidence([([Detection(thing, 0.9), Detection(thing, 0.8)], [thing])])
    assert instance_evidence.mask_ap(found) == pytest.approx(1.0)  # the second lies beyond the recall reached
    assert found.outcomes_NK3[0, 1].tolist() == [1, 1, 0]
    assert count_error_N(found).tolist() == [1.0]


def test_an_object_without_pixels_is_left_out():
    thing, empty = box(1, 2, 2, 12, 12), Layer(1, 0, 0, np.zeros((0, 0), bool))
    found = evidence([([Detection(thing, 0.9)], [thing, empty])])
    assert found.objects_K.tolist() == [0, 1, 0]
    assert instance_evidence.mask_ap(found) == pytest.approx(1.0)


def test_sizes():
    """One small object found, one medium missed; the detection of 40 x 40 without a partner is a mistake among medium ones only."""
    small, medium = box(1, 0, 0, 20, 20), box(1, 60, 60, 100, 100)
    detections = [Detection(small, 0.9), Detection(box(1, 30, 0, 70, 40), 0.95)]
    found = by_size(evidence([(detections, [small, medium])]))
    assert [row["name"] for row in found] == ["small", "medium", "large"]
    assert [row["objects"] for row in found] == [1, 1, 0]
    assert [row["ap"] for row in found] == [pytest.approx(1.0), 0.0, None]
    assert [row["recall"] for row in found] == [1.0, 0.0, None]


def test_panoptic_quality():
    """One pair with IoU 0.8, one object missed, one prediction without a partner: 0.8 / (1 + 1/2 + 1/2)."""
    one, missed = box(1, 0, 0, 10, 8), box(1, 14, 14, 20, 20)
    detections = [Detection(box(1, 0, 0, 8, 8), 0.9), Detection(box(1, 0, 16, 4, 20), 0.8)]
    found = evidence([(detections, [one, missed])])
    assert panoptic_quality_K(found)[1] == pytest.approx(0.8 / 2)


def test_any_subset_has_the_metrics_of_its_images():
    thing, other = box(1, 2, 2, 12, 12), box(2, 10, 10, 20, 20)
    images = [
        ([Detection(thing, 0.6)], [thing, other]),
        ([], [other]),
        ([], []),
        ([Detection(other, 0.4), Detection(box(1, 0, 0, 4, 4), 0.7)], [other]),
    ]
    whole = evidence(images)
    for rows in (np.array([3, 0]), np.array([True, False, True, True]), np.array([2]), np.array([], dtype=np.int64)):
        part, expected = whole.rows(rows), [images[n] for n in np.arange(4)[rows]]
        if expected:
            again = evidence(expected)
            for name, array in again.arrays.items():
                assert getattr(part, name).tolist() == array.tolist(), name
        else:
            assert len(part) == 0
    assert instance_evidence.mask_ap(whole.rows(np.array([1]))) == 0.0
    assert np.isnan(instance_evidence.mask_ap(whole.rows(np.array([2]))))
    assert evidence([([], [other])]).objects_K.tolist() == [0, 0, 1]
