"""objects.js and heat.js, in Node.js, held to objects.py and whet.serving.heat."""

from pathlib import Path

import numpy as np
import pytest
from tests.bundle.test_objects import K, drawn, outputs, smooth, whole
from tests.tasks.heads.test_cond_inst import bags
from tests.tasks.heads.test_cond_inst import perfect as of_cells
from tests.tasks.heads.test_queries import perfect as of_queries
from tests.tasks.test_instance_segmentation import discs
from tests.tasks.test_instance_segmentation import perfect as of_centres
from tests.web.javascript import array, needs_node, run

from whet.bundle import Bundle, Prepared, objects
from whet.bundle.objects import Object
from whet.serving import heat

pytestmark = needs_node


def of_random_cells(seed, groups=1, size=(16, 23)):
    """Outputs of the head cond_inst with many candidates, whose masks overlap."""
    found = smooth(drawn(K + 177 * groups, *size, seed=seed))
    found[:K] = 12 * found[:K] + 1
    return found * np.array([1] * K + ([2] * 169 + [9] * 8) * groups, np.float32)[:, None, None]


def of_random_queries(seed, queries=40, width=7):
    """Outputs of the head own, whose class logits fill one row."""
    class_QC, mask_Qhw = 3 * drawn(queries, K, seed=seed), 20 * smooth(drawn(queries, 11, width, seed=seed))
    row_Qw = np.zeros((queries, width), np.float32)
    row_Qw[:, 0], row_Qw[:, 1 : 1 + K] = K, class_QC
    return np.concatenate([row_Qw[:, None], mask_Qhw], axis=1)


CASES = [
    *(("centre_offset", outputs(seed=seed), size) for seed in (0, 1) for size in ((24, 31), (96, 124), (111, 90))),
    ("centre_offset", np.round(outputs(seed=2) * 3) / 3, (70, 50)),  # plateaus of heat
    *(("cond_inst", of_random_cells(seed, 1 + seed), size) for seed in (0, 1) for size in ((16, 23), (150, 101))),
    *(("own", of_random_queries(seed), size) for seed in (0, 1) for size in ((11, 7), (77, 120))),
    ("centre_offset", of_centres(discs())[0].numpy(), (64, 64)),
    ("cond_inst", of_cells(bags())[0].numpy(), (64, 64)),
    ("own", of_queries(bags())[0].numpy(), (64, 64)),
    ("own", of_queries(bags())[0].numpy(), (500, 31)),
]


@pytest.fixture(scope="module")
def found():
    """Of each case, once: Node.js starts slowly."""
    jobs = (["objectsOf", head, given.ravel(), given.shape, K, size] for head, given, size in CASES)
    return [[_object(one) for one in several] for several in run(*jobs)]


def _object(one):
    mask = array(one["inside"], np.uint8, one["height"], one["width"]).astype(bool)
    return Object(one["number"], one["score"], one["top"], one["left"], mask)


def _place(one):
    return -round(one.score, 3), one.class_number, one.top, one.left


@pytest.mark.parametrize("case", range(len(CASES)))
def test_objects_are_those_of_python(found, case):
    """But for the last digits of a score, the order of equal scores, and a pixel of an edge now and then."""
    head, given, size = CASES[case]
    several = objects.objects_of(head, given, K, size)
    assert len(several) >= 3
    for ours, theirs in zip(*(sorted(one, key=_place) for one in (found[case], several)), strict=True):
        assert ours.class_number == theirs.class_number and ours.score == pytest.approx(theirs.score, abs=1e-5)
        assert (whole(ours, size) != whole(theirs, size)).sum() <= 2
        assert ours.mask[0].any() and ours.mask[-1].any() and ours.mask[:, 0].any() and ours.mask[:, -1].any()


def test_what_is_predicted_is_that_of_python():
    classes, given = ("background", "can", "glass"), of_centres(discs())[0].numpy()
    decision = {"rule": "objects", "head": "centre_offset", "least_confidence": 0.3, "unsure_below": 0.5}
    info = {"classes": list(classes), "medium": "image", "task": "any", "decision": decision}
    (small, large) = run(*(["decided", info, given.ravel(), given.shape, size] for size in ([64, 64], [3000, 4096])))
    expected = Bundle(Path(), info, None).decide(Prepared(np.zeros(0), (64, 64)), given)
    assert small["counts"] == expected["counts"] and sum(small["counts"].values()) > 2
    for ours, theirs in zip(small["objects"], expected["objects"], strict=True):
        assert all(ours[key] == theirs[key] for key in ("class", "box", "area"))
        assert ours["confidence"] == pytest.approx(theirs["confidence"], abs=1e-5)
    assert large["size"] == [1500, 2048] and large["counts"] == small["counts"]


def test_nothing_is_found_in_nothing():
    empty = [
        ("centre_offset", np.zeros((K + 3, 6, 6), np.float32)),
        ("cond_inst", np.full((K + 177, 6, 6), -9, np.float32)),
        ("own", of_queries(bags(()))[0].numpy()),
    ]
    assert run(*(["objectsOf", head, one.ravel(), one.shape, K, [20, 20]] for head, one in empty)) == [[], [], []]


# --- heat -------------------------------------------------------------------------------------------------------------
def test_the_same_cells_are_covered():
    image_HW3 = np.random.default_rng(0).integers(0, 256, (23, 16, 3), dtype=np.uint8)
    found = run(["(...given) => [...covered(...given)]", image_HW3.ravel(), [23, 16]])[0]
    for ours, theirs in zip(found, heat.covered(Prepared(image_HW3)), strict=True):
        assert np.array_equal(array(ours, np.uint8, 23, 16, 3), theirs.tensor)


def test_the_heat_is_that_of_the_server(bundles):
    bundle = Bundle.read(bundles())
    p_NK = np.random.default_rng(1).dirichlet(np.ones(3) / 3, heat.COST).astype(np.float32)
    p_NK[5] = (0, 0, 1)
    expected = heat.heat_of(bundle, p_NK[0], p_NK[1:])
    (found,) = run(["heatOf", list(bundle.classes), p_NK[0], list(p_NK[1:])])
    assert found["class"] == expected["class"]
    assert np.allclose(found["evidence"], expected["evidence"], atol=1e-4)
    for medium, rule in (("image", "largest"), ("image", "each above 0.5"), ("image", "pixels"), ("text", "largest")):
        one = Bundle.read(bundles(medium, rule))
        assert run(["hasHeat", one.info]) == [heat.has_heat(one)]
