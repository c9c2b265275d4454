"""What the files hold and no network is shown."""

import numpy as np
from PIL import Image

from whet.data.audit.unseen import check_unseen


def test_frames_and_values_out_of_range_are_counted(photos, survey):
    grey = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    wide, broken = grey * 3000, grey.copy()
    broken[0, :8] = np.nan
    for name, values in (("good", grey), ("wide", wide), ("broken", broken)):
        Image.fromarray(values).save(photos / "a" / f"{name}.tif")
    pages = [Image.fromarray((255 * grey).astype(np.uint8)).rotate(90 * k) for k in range(4)]
    pages[0].save(photos / "b" / "pages.tif", save_all=True, append_images=pages[1:])
    found = {finding.kind: finding for finding in check_unseen(survey(photos))}
    assert found["several frames"].groups == (("b/pages.tif",),) and "3 are ignored" in found["several frames"].text
    assert found["out of range"].groups == (("a/wide.tif",),) and found["out of range"].severity == "problem"
    assert found["not finite"].groups == (("a/broken.tif",),) and found["not finite"].notes == ("0.2 % of its pixels",)


def test_ordinary_images_hold_nothing_else(photos, survey):
    assert check_unseen(survey(photos)) == []
