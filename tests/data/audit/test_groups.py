import numpy as np
import pytest
from PIL import Image
from tests.data.audit.conftest import save, scene

from whet.data.audit import check_groups
from whet.data.audit.groups import burst_keys, name_keys


def frames(root, alike, name="clip{group}_frame_{frame:04d}.jpg", groups=16, **options):
    """Frames in pairs, one in train and one in test: of one scene seen a little later, or of two."""
    for group in range(groups):
        for frame, part in enumerate(("train", "test")):
            number = group if alike else 100 * frame + group
            pixels = scene(number).astype(float) * 0.6 + scene(500 + 2 * group + frame).astype(float) * 0.4
            path = root / part / "ab"[group % 2] / name.format(group=group, frame=frame, both=2 * group + frame)
            save(
                pixels.astype(np.uint8),
                path,
                **(options if not callable(options.get("exif")) else {"exif": options["exif"](group, frame)}),
            )
    for number in range(4):
        save(scene(900 + number), root / "val" / "ab"[number % 2] / f"other{number}x.jpg")
    return root


def test_frames_of_one_film_on_two_sides(tmp_path, survey):
    (finding,) = check_groups(survey(frames(tmp_path, alike=True)))
    assert finding.kind == "shared name across splits" and finding.severity == "warning"
    assert len(finding.groups) == 16
    assert set(finding.groups[0]) == {"test/a/clip0_frame_0001.jpg", "train/a/clip0_frame_0000.jpg"}


def test_names_alone_are_no_alarm(tmp_path, survey):
    assert not check_groups(survey(frames(tmp_path, alike=False)))


def test_plain_numbers_are_no_group(tmp_path, survey):
    assert not check_groups(survey(frames(tmp_path, alike=True, name="p{both}.jpg")))


def test_bursts(tmp_path, survey):
    def exif(group, frame):
        made = Image.Exif()
        made[0x0110], made[0x0132] = "Cam", f"2020:01:02 03:{group:02d}:{5 * frame:02d}"
        return made

    (finding,) = check_groups(survey(frames(tmp_path, alike=True, name="p{both}.jpg", exif=exif)))
    assert finding.kind == "burst across splits" and len(finding.groups) == 16


def test_the_tables_own_groups_need_no_evidence(photos, survey):
    lines = ["file,label,split,group"]
    for number in range(24):
        part = "train" if number < 14 else "val" if number < 18 else "test"
        lines.append(f"{'ab'[number % 2]}/p{number}.jpg,{'ab'[number % 2]},{part},g{number % 8}")
    table = photos / "t.csv"
    table.write_text("\n".join(lines) + "\n")
    (finding,) = check_groups(survey(table))
    assert finding.kind == "group across splits" and len(finding.groups) == 8


@pytest.mark.parametrize(
    "one, other, kin",
    [
        ("img_001_a", "img_001_b", True), ("clip3_frame_0007", "clip3_frame_0008", True), ("bottle", "bottle (2)", True),
        ("scan017a", "scan017b", True), ("x copy", "x", True), ("glass1", "glass2", False), ("cat_1_a", "cat_2_a", False),
    ],
)  # fmt: skip
def test_what_names_share(one, other, kin, survey, tmp_path):
    for number, name in enumerate((one, other, *(f"z{k}" for k in range(20)))):
        save(scene(number, (40, 40)), tmp_path / "a" / f"{name}.jpg")
        save(scene(100 + number, (40, 40)), tmp_path / "b" / f"other{number}.jpg")
    seen = survey(tmp_path)
    key = dict(zip(seen.id_N, name_keys(seen)))
    first, second = key[f"a/{one}.jpg"], key[f"a/{other}.jpg"]
    assert (first == second != "") is kin
    assert set(burst_keys(seen)) == {""}
