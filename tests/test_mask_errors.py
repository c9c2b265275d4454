"""Likely mask errors, found by `whet check` with real weights in real photos where some masks were made wrong."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import whet
from whet.mask_errors import described_cells

KINDS = ("baja", "daun", "kaca", "kardus")  # steel, leaf, glass, cardboard
EACH, WRONG = 20, 2  # photos of a kind, and those with a wrong mask


@pytest.fixture(scope="module")
def data(shared, tmp_path_factory):
    """80 photos; of each kind one has the class of another kind, and one is shifted by a fifth of its side."""
    folder = tmp_path_factory.mktemp("masks")
    for name in ("images", "masks"):
        (folder / name).mkdir()
    wrong, source = set(), shared / "data" / "waste_seg" / "train"
    for k, kind in enumerate(KINDS, start=1):
        photos = sorted((source / "images").glob(f"{kind}-*.jpg"))[:EACH]
        for number, path in enumerate(photos):
            there_HW = (np.asarray(Image.open(source / "masks" / f"{path.stem}.png")) > 0).astype(np.uint8)
            mask_HW = there_HW * k
            if number == 5:
                mask_HW = there_HW * (k % len(KINDS) + 1)
            elif number == 11:
                away = np.float32([[1, 0, 0.2 * there_HW.shape[1]], [0, 1, 0]])
                mask_HW = cv2.warpAffine(mask_HW, away, there_HW.shape[::-1], flags=cv2.INTER_NEAREST)
            if number in (5, 11):
                wrong.add(f"images/{path.name}")
            (folder / "images" / path.name).write_bytes(path.read_bytes())
            Image.fromarray(mask_HW).save(folder / "masks" / f"{path.stem}.png")
    (folder / "classes.txt").write_text("\n".join(("background", *KINDS)))
    return folder, wrong


@pytest.mark.slow
def test_planted_mask_errors_are_among_the_first_suspects(data, mobilenet, tmp_path):
    folder, wrong = data
    found = whet.check(folder, weights=str(mobilenet), out=tmp_path / "out")
    (finding,) = [finding for finding in found.findings if finding.kind == "suspected masks"]
    listed = [group[0] for group in finding.groups]
    assert finding.severity == "warning"
    assert sum(name in wrong for name in listed) >= len(wrong) / 2
    assert sum(name in wrong for name in listed) >= len(listed) / 2
    assert listed[0] in wrong
    page = found.page.read_text(encoding="utf-8")
    assert "suspected masks" in page
    assert finding.notes[0] in page
    assert (tmp_path / "out" / "images" / "0.jpg").is_file()


def test_cells_have_the_mean_of_finer_maps_and_of_what_is_around():
    fine, coarse = torch.arange(64.0).reshape(1, 1, 8, 8), torch.arange(16.0).reshape(1, 1, 4, 4)
    found = described_cells([fine, coarse])
    assert found.shape == (1, 3, 4, 4)
    assert found[0, 0, 0, 0] == (0 + 1 + 8 + 9) / 4
    assert (found[0, 1] == coarse[0, 0]).all()
    assert found[0, 2, 0, 0] == coarse[0, 0, :3, :3].mean()  # beyond the border there is nothing to count
    assert described_cells([torch.ones(2, 300, 4, 4)]).shape == (2, 256, 4, 4)
