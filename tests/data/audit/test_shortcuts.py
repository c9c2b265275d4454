import numpy as np
import pytest
from tests.data.audit.conftest import save, scene

from whet.core.rng import Rng
from whet.data.audit import check_shortcuts, probe_shortcuts


def images(root, count, edit):
    """edit(number, label, pixels) -> (pixels, name, save options)."""
    for number in range(count):
        label = number % 3
        pixels, name, options = edit(number, label, scene(number, (64, 64)))
        save(pixels, root / "abc"[label] / name, **options)
    return root


def probed(seen, **options):
    return {probe.name: probe for probe in probe_shortcuts(seen, **options)}


def test_corners_that_tell_the_class(tmp_path, survey):
    def edit(number, label, pixels):
        pixels[:8, :8] = [(200, 40, 40), (40, 200, 40), (40, 40, 200)][label]
        return pixels, f"{number}.png", {}

    probes = probed(survey(images(tmp_path, 150, edit)), whole_accuracy=0.95)
    assert probes["corners"].low > 0.9 and probes["corners"].base == pytest.approx(1 / 3, abs=0.03)
    assert probes["corners"].explains == pytest.approx(1.0)
    (finding,) = [f for f in check_shortcuts(list(probes.values())) if "corners" in f.text]
    assert (
        finding.severity == "warning"
        and "6 % of the image" in finding.text
        and "100 % of the gain of a first model" in finding.text
    )


def test_random_labels_raise_no_alarm(tmp_path, survey):
    """Whatever the images are like, labels drawn by lot cannot be told by anything."""
    root = images(tmp_path, 240, lambda number, label, pixels: (pixels, f"{number:03d}.jpg", {}))
    seen = survey(root)
    label_N = np.array([0, 1, 2]).repeat(len(seen.table) // 3)
    for lot in range(12):
        shuffled = label_N[Rng(lot).shuffled("lot", 0, len(label_N))]
        frame = seen.table.frame.assign(label=shuffled)
        drawn = type(seen)(seen.table.with_frame(frame), seen.prints_N, 2)
        assert not check_shortcuts(probe_shortcuts(drawn))


def test_size_file_size_header_and_name_pattern(tmp_path, survey):
    def edit(number, label, pixels):
        pixels = pixels[: [64, 48, 40][label]]
        return pixels, [f"IMG_{number}.jpg", f"DSC{number}.png", f"a {number}.jpg"][label], {}

    probes = probed(survey(images(tmp_path, 120, edit)))
    assert all(probes[name].telling for name in ("image size", "file size", "file header", "name pattern"))
    assert not probes["corners"].telling
    assert probes["file header"].accuracy < 0.8  # two of the classes are JPEG


def test_a_class_name_in_the_file_name_is_no_clue(tmp_path, survey):
    root = images(tmp_path, 90, lambda number, label, pixels: (pixels, f"{'abc'[label]}{number}.jpg", {}))
    assert "name pattern" not in probed(survey(root))  # all alike once the class is taken out


def test_the_test_part_and_tiny_classes_are_left_out(tmp_path, survey):
    root = images(tmp_path, 120, lambda number, label, pixels: (pixels, f"{number}.jpg", {}))
    for number in range(300, 306):
        save(scene(number, (64, 64)), root / "few" / f"{number}.jpg")
    seen = survey(root)
    kept = (seen.split_N != "test") & (seen.label_N != seen.table.classes.index("few"))
    assert probed(seen)["corners"].samples == kept.sum() < 120
