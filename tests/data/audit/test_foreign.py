"""Foreign material: far from every class."""

import json

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from tests.conftest import whet, write_images
from tests.data.audit.conftest import save, scene

from whet.core.rng import Rng
from whet.data.audit.foreign import measure_foreign


def clouds(count, seed, centres):
    """Points around the centres in 20 dimensions, and the number of the centre of each."""
    rng = Rng(seed).batch("clouds", 0, np.arange(count))
    label_N = np.arange(count) % len(centres)
    centre_KD = np.eye(20)[list(centres)] * 8
    return centre_KD[label_N] + 0.5 * rng.normal((20,)), label_N


def test_samples_of_other_classes_are_foreign_and_those_of_the_same_are_as_rare_as_chance():
    own_ND, label_N = clouds(300, 1, (0, 1, 2))
    same_MD, _ = clouds(200, 2, (0, 1, 2))
    other_MD, _ = clouds(100, 3, (7, 8))
    found = measure_foreign(own_ND, label_N, np.concatenate([same_MD, other_MD]))
    assert found.by_chance <= 0.06
    assert found.foreign_M[:200].mean() <= 0.10 and found.foreign_M[200:].mean() > 0.95
    assert abs(found.share - found.foreign_M.mean()) < 1e-12


def test_the_distance_is_one_minus_the_mean_similarity_to_the_five_nearest():
    own = np.array([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [0.0, 1.0]])
    more = np.array([[1.0, 0.0]])
    found = measure_foreign(csr_matrix(own), np.zeros(4, dtype=int), csr_matrix(more))
    # three nearest others each: the leave-one-out distances, and their 95 % quantile
    own_N = [
        1 - (0.8 + 0.6 + 0.0) / 3,
        1 - (0.8 + 0.96 + 0.6) / 3,
        1 - (0.6 + 0.96 + 0.8) / 3,
        1 - (0.0 + 0.6 + 0.8) / 3,
    ]
    assert found.far_M[0] == pytest.approx((1 - (1.0 + 0.8 + 0.6) / 3) / np.quantile(own_N, 0.95))


def test_whet_check_names_foreign_images_and_copies(tmp_path):
    data = write_images(tmp_path / "data", {"glass": 20, "metal": 20, "paper": 20})
    more = write_images(tmp_path / "more", {"any": 12}, seed=9)
    for number in range(8):
        save(scene(number), more / f"scene{number}.jpg")
    done = whet("check", data, "--unlabelled", more, "--json")
    assert done.returncode == 0, done.stderr
    (finding,) = [one for one in json.loads(done.stdout)["findings"] if one["kind"] == "foreign unlabelled samples"]
    named = [names[0] for names in finding["groups"]]
    assert {f"unlabelled/scene{number}.jpg" for number in range(8)} <= set(named)
    assert "far from every class in hand-crafted features" in finding["text"]


def test_texts_about_something_else_are_foreign(tmp_path):
    from tests.data.test_unlabelled import write_texts as write_rows
    from tests.end_to_end.test_texts import write_texts

    import whet as package
    from whet.core.spec import DataSpec

    data = write_texts(tmp_path / "texts.csv")
    others = [f"Yesterday {number} ducks swam across our lake towards evening" for number in range(6)]
    same = ["This is an old bottle, what now?", "This is one more can, what now?"]
    more = write_rows(tmp_path / "more.csv", [[text] for text in (*others, *same)], ("text",))
    found = package.check(DataSpec(path=str(data), unlabelled=str(more)))
    (finding,) = [one for one in found.findings if one.kind == "foreign unlabelled samples"]
    named = {names[0] for names in finding.groups}
    assert {f"unlabelled/more.csv:{number}" for number in range(1, 7)} <= named
