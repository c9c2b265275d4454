import zlib

import numpy as np
import pytest
from PIL import Image
from tests.data.masks.conftest import save_mask

from whet.core.errors import DataError
from whet.core.masks import IGNORE, IGNORE_ID
from whet.data.masks.png import MaskFileError, NumberFile, packed, read_numbers, scan, unpacked

IDS = np.array([[0, 2, 6], [7, 10, 2]], np.uint8)


def test_indices_of_a_palette_are_the_numbers(tmp_path):
    # Case 6.
    path = save_mask(tmp_path / "m.png", IDS, "P")
    with Image.open(path) as image:
        assert image.mode == "P"
    assert read_numbers(path).tolist() == IDS.tolist()


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_grey_files_of_any_depth_keep_their_numbers(tmp_path, bits):
    values = np.arange(min(2**bits, 40)).reshape(1, -1) * (1000 if bits == 16 else 1)
    width = values.shape[1]
    raw = {16: values.astype(">u2").tobytes(), 8: values.astype(np.uint8).tobytes()}.get(bits)
    if raw is None:
        flat = np.array([[int(c) for c in f"{v:0{bits}b}"] for v in values[0]]).ravel()
        raw = np.packbits(flat).tobytes()

    def chunk(name, data):
        body = name + data
        return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + (1).to_bytes(4, "big") + bytes([bits, 0, 0, 0, 0])
    png = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" + raw)) + chunk(b"IEND", b"")
    )
    (tmp_path / "m.png").write_bytes(png)
    assert read_numbers(tmp_path / "m.png").tolist() == values.tolist()


def test_other_formats_and_modes(tmp_path):
    for name in ("m.bmp", "m.tif"):
        Image.fromarray(IDS).save(tmp_path / name)
        assert read_numbers(tmp_path / name).tolist() == IDS.tolist()
    Image.fromarray(IDS).save(tmp_path / "m.webp", lossless=True)
    assert read_numbers(tmp_path / "m.webp").tolist() == IDS.tolist()
    Image.fromarray(IDS.astype(np.int32) * 1000).save(tmp_path / "m32.tif")
    assert read_numbers(tmp_path / "m32.tif").tolist() == (IDS.astype(int) * 1000).tolist()
    opaque = np.dstack([IDS, np.full_like(IDS, 255)])
    Image.fromarray(opaque, "LA").save(tmp_path / "la.png")
    assert read_numbers(tmp_path / "la.png").tolist() == IDS.tolist()


@pytest.mark.parametrize(
    ("save", "reason"),
    [
        (lambda path: Image.fromarray(IDS).save(path, "JPEG"), "a JPEG, which changes the numbers"),
        (lambda path: Image.fromarray(np.dstack([IDS, IDS, IDS, IDS])).save(path, "PNG"), "transparent pixels"),
        (lambda path: Image.fromarray(np.dstack([IDS, IDS, IDS + 1])).save(path, "PNG"), "colour of each class"),
        (lambda path: Image.fromarray(IDS.astype(np.float32)).save(path, "TIFF"), "mode F"),
        (lambda path: Image.fromarray(IDS.astype(np.int32) - 1).save(path, "TIFF"), "numbers from -1 to 9"),
        (lambda path: path.write_bytes(b"abc"), "not an image of an accepted format"),
        (lambda path: path.write_bytes(b""), "not an image of an accepted format"),
    ],
)
def test_files_that_hold_no_numbers(tmp_path, save, reason):
    save(tmp_path / "m.png")
    with pytest.raises(MaskFileError, match=reason):
        read_numbers(tmp_path / "m.png")
    assert reason in scan([str(tmp_path / "m.png")])[0].reason


def test_a_damaged_file_is_named(tmp_path):
    path = save_mask(tmp_path / "m.png", np.random.default_rng(0).integers(0, 9, (50, 50)).astype(np.uint8))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"m\.png: "):
        NumberFile(str(path)).read()


def test_scanning_counts_the_pixels_of_every_number(tmp_path):
    (seen,) = scan([str(save_mask(tmp_path / "m.png", IDS))])
    assert seen.size == (2, 3)
    assert dict(seen.counts) == {0: 1, 2: 2, 6: 1, 7: 1, 10: 1}
    rgb = np.dstack([IDS, IDS, IDS + 1])
    (seen,) = scan([str(save_mask(tmp_path / "c.png", rgb))], colours=True)
    assert dict(seen.counts)[packed(2, 2, 3)] == 2
    assert unpacked(packed(1, 2, 3)) == (1, 2, 3)


def test_a_table_says_what_numbers_mean(tmp_path):
    path = str(save_mask(tmp_path / "m.png", IDS))
    table = ((0, 0), (2, 1), (6, 2), (7, IGNORE), (10, 3))
    assert NumberFile(path, table).read().tolist() == [[0, 1, 2], [IGNORE, 3, 1]]
    assert NumberFile(path, table, turn=6).read().shape == (3, 2)
    with pytest.raises(DataError, match=r"m\.png: the number 2 of 2 pixels is not a class"):
        NumberFile(path, ((0, 0), (6, 1))).read()
    assert NumberFile(path, ignored=10).read().tolist() == [[0, 2, 6], [7, IGNORE_ID, 2]]
    assert NumberFile(path, table).digest() != NumberFile(path, table, turn=3).digest()
