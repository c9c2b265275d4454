"""Objects from outputs, in NumPy: what OpenCV, SciPy, torch and pycocotools make of the same."""

import cv2
import numpy as np
import pytest
import torch
from pycocotools import mask as coco
from tests.tasks.heads.test_cond_inst import bags
from tests.tasks.heads.test_cond_inst import perfect as of_cells
from tests.tasks.heads.test_queries import perfect as of_queries
from tests.tasks.test_instance_segmentation import discs
from tests.tasks.test_instance_segmentation import perfect as of_centres

from whet.bundle import objects
from whet.bundle.objects import Object
from whet.core.rng import Rng
from whet.models.dynamic_masks import FEATURES, PARAMETERS, mask_logits
from whet.tasks import INSTANCE_SEGMENTATION

K = 3


def drawn(*shape, seed=0):
    return Rng(seed).batch("objects", 0, np.arange(shape[0])).normal(shape[1:]).astype(np.float32)


def smooth(values_Chw, sigma=2.0):
    return np.stack([cv2.GaussianBlur(one_hw, (0, 0), sigma) for one_hw in values_Chw])


def outputs(cells=(24, 31), seed=0):
    """Random outputs of the head centre_offset: blobs of classes, peaks of heat."""
    found = smooth(drawn(K + 3, *cells, seed=seed))
    found[:K] *= 12
    found[K] = (4 * found[K]).clip(0, 1)
    return found


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("levels", [0, 5])  # of the heat: 5 make plateaus of equal peaks
def test_peaks_are_those_of_opencv(seed, levels):
    heat_hw = outputs(seed=seed)[K]
    if levels:
        heat_hw = np.round(heat_hw * levels) / levels
    place_N2, confidence_N = objects.centres(heat_hw)
    peak_hw = (heat_hw >= objects.MIN_HEAT) & (heat_hw == cv2.dilate(heat_hw, np.ones((5, 5), np.uint8)))
    count, number_hw, _, middle_N2 = cv2.connectedComponentsWithStats(peak_hw.astype(np.uint8), connectivity=8)
    theirs = sorted(
        (y + 0.5, x + 0.5, heat_hw[number_hw == n].max()) for n, (x, y) in enumerate(middle_N2[1:], start=1)
    )
    assert count > 3
    assert np.allclose(sorted((*place, heat) for place, heat in zip(place_N2.tolist(), confidence_N)), theirs)


def test_the_nearest_centre_is_the_nearest():
    place_N2 = np.abs(drawn(9, 2)) * 6 + 0.5
    number = objects.nearest(place_N2, (20, 31))
    fine_N2 = (place_N2 * 2).astype(int)
    for y, x in np.ndindex(number.shape):
        away_N = ((fine_N2 - (y, x)) ** 2).sum(axis=1)
        assert away_N[number[y, x] - 1] == away_N.min()
    one = objects.nearest(np.array([[3.5, 2.5]]), (5, 4))
    assert one.shape == (10, 8) and (one == 1).all()


def same(found, expected, differing=0):
    """Whether the objects are equal, but for some pixels of their edges."""
    assert [one.class_number for one in found] == [one.layer.class_number for one in expected]
    assert np.allclose([one.score for one in found], [one.score for one in expected], atol=1e-5)
    size = (200, 200)
    apart = [
        np.count_nonzero(whole(one, size) != other.layer.whole(size))
        for one, other in zip(found, expected, strict=True)
    ]
    return sum(apart) <= differing


def whole(one: Object, size):
    canvas = np.zeros(size, bool)
    canvas[one.top : one.top + one.mask.shape[0], one.left : one.left + one.mask.shape[1]] = one.mask
    return canvas


@pytest.mark.parametrize("size", [(24, 31), (96, 124), (111, 90)])
@pytest.mark.parametrize("seed", [0, 1])
def test_they_are_the_objects_of_the_task(seed, size):
    """Which resizes with OpenCV: few pixels lie exactly between two classes or two centres."""
    given = outputs(seed=seed)
    found = objects.objects_of("centre_offset", given, K, size)
    assert len(found) > 3
    assert same(found, INSTANCE_SEGMENTATION.with_head("centre_offset").head.detections(given, size), differing=4)


@pytest.mark.parametrize(
    ("head", "given"),
    [("centre_offset", of_centres(discs())), ("cond_inst", of_cells(bags())), ("own", of_queries(bags()))],
)
def test_perfect_outputs_give_the_labelled_objects(head, given):
    target = discs() if head == "centre_offset" else bags()
    found = objects.objects_of(head, given[0].numpy(), K, (64, 64))
    assert sorted(one.class_number for one in found) == sorted(target.class_of_id.tolist())
    theirs = INSTANCE_SEGMENTATION.with_head(head).head.detections(given[0].numpy(), (64, 64))
    assert same(found, theirs)


def test_masks_of_cells_are_those_of_torch():
    groups, places = drawn(2 * (PARAMETERS + FEATURES), 7, 9) / 4, np.array([[0, 0], [3, 8], [6, 2]])
    found = np.stack(list(objects.masks_of(groups, *places.T)))
    expected = torch.zeros(3, 7, 9)
    for group in torch.from_numpy(groups).split(PARAMETERS + FEATURES):
        own = group[:PARAMETERS, places[:, 0], places[:, 1]].T
        expected += mask_logits(group[PARAMETERS:], own, torch.from_numpy(places) + 0.5)
    assert np.allclose(found, expected.numpy(), atol=1e-5)


@pytest.mark.parametrize(("top", "left"), [(0, 0), (3, 2), (9, 4)])
def test_run_lengths_are_those_of_pycocotools(top, left):
    size = (40, 70)
    for mask in (drawn(11, 20) > 0.4, np.ones((31, 66), bool), drawn(30, 65) > -1, np.ones((1, 1), bool)):
        one = Object(1, 1.0, top, left, mask[: size[0] - top, : size[1] - left])
        expected = coco.encode(np.asfortranarray(whole(one, size), dtype=np.uint8))["counts"].decode()
        assert objects.run_lengths(one, size) == expected
    full = Object(1, 1.0, 0, 0, np.ones((3000, 2000), bool))  # numbers of five characters
    assert (
        objects.run_lengths(full, (3000, 2000)) == coco.encode(np.ones((3000, 2000), np.uint8, "F"))["counts"].decode()
    )


def test_what_is_predicted_is_said_in_coco_words():
    """Overlapping objects: the more confident one is on top. One below the least confidence is none."""
    found = [
        Object(2, 0.9, 1, 2, np.ones((3, 4), bool)), Object(1, 0.5, 2, 4, np.ones((5, 5), bool)),
        Object(1, 0.29, 0, 0, np.ones((1, 1), bool)),
    ]  # fmt: skip
    told = objects.described(found, ("background", "can", "glass"), 0.3, (8, 10))
    assert told["counts"] == {"can": 1, "glass": 1}
    assert [(one["class"], one["confidence"], one["box"], one["area"]) for one in told["objects"]] == [
        ("glass", 0.9, [2, 1, 4, 3], 12), ("can", 0.5, [4, 2, 5, 5], 25),
    ]  # fmt: skip
    assert told["ids"].dtype == np.uint16 and np.bincount(told["ids"].ravel()).tolist() == [80 - 12 - 21, 12, 21]
    for one, mask in zip(told["objects"], found):
        assert np.array_equal(coco.decode(one["segmentation"]), whole(mask, (8, 10)))


def test_nothing_is_found_in_nothing():
    nothing = np.zeros((K + 3, 6, 6), np.float32)
    assert objects.objects_of("centre_offset", nothing, K, (20, 20)) == []
    no_cells = np.full((INSTANCE_SEGMENTATION.with_head("cond_inst").outputs(K), 6, 6), -9, np.float32)
    assert objects.objects_of("cond_inst", no_cells, K, (20, 20)) == []
    assert objects.described([], ("background", "can"), 0.3, (20, 20))["counts"] == {"can": 0}
