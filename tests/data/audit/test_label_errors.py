import numpy as np
from tests.data.audit.conftest import save, scene

from whet.checking import check
from whet.data.audit import check_labels


def test_confident_answers_against_the_label_are_listed_first(photos, survey):
    seen = survey(photos)
    probs = np.full((24, 2), 0.1)
    probs[np.arange(24), seen.label_N] = 0.9
    first, second = np.flatnonzero(seen.label_N == 0)[[5, 2]]
    probs[first], probs[second] = [0.01, 0.99], [0.05, 0.95]
    (finding,) = check_labels(seen, np.arange(24), probs, "by hand")
    assert finding.groups == ((seen.id_N[first],), (seen.id_N[second],))
    assert "99 %" in finding.notes[0]


def test_a_weak_first_model_accuses_nobody(photos, survey):
    seen = survey(photos)
    (finding,) = check_labels(seen, np.arange(24), np.tile([0.9, 0.1], (24, 1)), "by hand")
    assert finding.severity == "fact" and not finding.groups and "too low" in finding.text


def test_planted_errors_are_found_by_features_made_by_hand(tmp_path):
    """Three classes of colours; three files are filed under the wrong one."""
    for number in range(90):
        pixels = scene(number).astype(float) * 0.5
        pixels[..., number % 3] += 100
        folder = "abc"[(number + 1) % 3 if number in (10, 40, 70) else number % 3]
        save(pixels.clip(0, 255).astype(np.uint8), tmp_path / folder / f"{number}.jpg")
    (finding,) = [f for f in check(tmp_path).findings if f.kind == "suspected labels"]
    assert {group[0].split("/")[1] for group in finding.groups} == {"10.jpg", "40.jpg", "70.jpg"}
