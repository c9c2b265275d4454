import csv
import io
import resource

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from whet.data.image import FORMATS, ImageSample, UnreadableImage, decode, read_header, uncertain_pixels


def encoded(image, form="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_once_in_every_format(photo, orientation, form):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(photo), form, exif=exif)
    reference = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    image = ImageSample(data)
    assert image.size == reference.shape[:2]
    assert np.abs(image.pixels().astype(int) - reference).max() <= 2


@pytest.mark.parametrize("shrink", [1, 2, 4, 8])
def test_a_jpeg_decoded_small(photo, shrink):
    odd = Image.fromarray(photo[:91, :117])
    pixels = ImageSample(encoded(odd, "JPEG", quality=95)).pixels(shrink)
    assert pixels.shape[:2] == (-(-91 // shrink), -(-117 // shrink))
    reference = np.asarray(odd.resize(pixels.shape[1::-1], Image.Resampling.BOX))
    assert np.abs(pixels.astype(int) - reference).mean() < 10


def test_memory_to_decode_into_is_used_and_never_required(photo):
    data = encoded(Image.fromarray(photo), "JPEG")
    buffer = np.zeros(photo.size + 10, dtype=np.uint8)
    assert np.shares_memory(ImageSample(data).pixels(buffer=buffer), buffer)
    assert (ImageSample(data).pixels(buffer=np.zeros(5, dtype=np.uint8)) == decode(data)).all()


def test_sixteen_bits_are_scaled_not_cut():
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    pixels = decode(encoded(Image.fromarray(ramp)))
    assert np.abs(pixels[:, :, 0].astype(int) - np.arange(256).reshape(16, 16)).max() <= 1


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (np.float32, [0, 0.25, 0.5, 1], [0, 64, 128, 255]),
        (np.float32, [0, 0.25, 0.5, 0.6], [0, 64, 128, 153]),
        (np.float32, [-3, 0.5, 1, 3000], [0, 128, 255, 255]),
        (np.float32, [np.nan, 0.5, np.inf, -np.inf], [0, 128, 0, 0]),
        (np.int32, [0, 257 * 64, 257 * 128, 65535], [0, 64, 128, 255]),
        (np.int32, [-5, 257, 70_000, 2_000_000], [0, 1, 255, 255]),
    ],
)
def test_one_scale_for_all_files_of_a_kind(kind, values, expected):
    """Whatever else a file holds, one value becomes one grey."""
    data = encoded(Image.fromarray(np.array([values], dtype=kind)), "TIFF")
    assert decode(data)[0, :, 0].tolist() == expected


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (np.array([[0, 0.5, 1, 1.0001]], np.float32), (0, 0)),
        (np.array([[-3, 0.5, np.nan, 3000]], np.float32), (2, 1)),
        (np.array([[-500, 1, 70_000, 65535]], np.int32), (2, 0)),
        (np.array([[0, 65535]], np.uint16), (0, 0)),
        (np.array([[0, 255]], np.uint8), (0, 0)),
    ],
)
def test_pixels_that_cannot_be_shown_are_counted(image, expected):
    assert uncertain_pixels(encoded(Image.fromarray(image), "TIFF")) == expected


def test_frames_and_pages_are_counted(photo):
    first, second = Image.fromarray(photo), Image.fromarray(photo[::-1].copy())
    for form in ("GIF", "TIFF", "WEBP", "PNG"):
        assert read_header(encoded(first, form, save_all=True, append_images=[second, first])).frames == 3
        assert read_header(encoded(first, form)).frames == 1
    assert read_header(encoded(first, "JPEG")).frames == 1


def test_what_is_transparent_lies_on_white():
    clear = Image.new("RGBA", (4, 4), (200, 0, 0, 0))
    assert (decode(encoded(clear)) == 255).all()
    half = decode(encoded(Image.new("RGBA", (4, 4), (0, 0, 0, 128))))
    assert np.abs(half.astype(int) - 127).max() <= 1
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([10, 20, 30] + [0] * 765)
    assert (decode(encoded(palette, transparency=0)) == 255).all()
    assert (decode(encoded(palette)) == [10, 20, 30]).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_modes_give_three_bytes_a_pixel(mode):
    pixels = decode(encoded(Image.new(mode, (5, 7))))
    assert pixels.shape == (7, 5, 3)
    assert pixels.dtype == np.uint8


def test_cmyk_is_pillow_s(photo):
    data = encoded(Image.fromarray(photo).convert("CMYK"), "JPEG", quality=95)
    assert (decode(data) == np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))).all()


def test_the_first_frame_of_an_animation():
    frames = [Image.new("RGB", (6, 6), colour) for colour in ("red", "blue")]
    for form in ("GIF", "WEBP", "PNG"):
        data = encoded(
            frames[0], form, save_all=True, append_images=frames[1:], **({"lossless": True} if form == "WEBP" else {})
        )
        assert (decode(data) == [255, 0, 0]).all()


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "accepted format"), (b"hello", "accepted format"), (b"\xff\xd8\xff\xe0" + b"x" * 50, "Truncated")],
)
def test_no_image(data, message):
    with pytest.raises(UnreadableImage, match=message):
        decode(data)


def test_cut_short_is_refused_not_filled_with_grey(photo):
    data = encoded(Image.fromarray(photo), "JPEG", quality=95)
    for share in (0.3, 0.6, 0.9):
        with pytest.raises(UnreadableImage):
            decode(data[: int(len(data) * share)])


@given(st.integers(0, 2**31), st.integers(1, 40), st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"]))
@settings(max_examples=150)
def test_any_damage_gives_pixels_or_one_kind_of_error(seed, flips, form):
    image = Image.fromarray((np.indices((24, 20)).sum(axis=0) * 5 % 256).astype(np.uint8)).convert("RGB")
    data = bytearray(encoded(image, form))
    rng = np.random.Generator(np.random.PCG64(seed))
    for place in rng.integers(0, len(data), flips):
        data[place] = rng.integers(0, 256)
    try:
        assert ImageSample(bytes(data)).pixels().ndim == 3
    except UnreadableImage as error:
        assert str(error)


def test_a_bomb_is_refused_before_a_pixel_is_decoded():
    header = bytearray(encoded(Image.new("L", (1, 1)), "BMP"))
    header[18:26] = (60_000).to_bytes(4, "little") * 2
    with pytest.raises(UnreadableImage, match="limit"):
        decode(bytes(header))


def test_odd_files_of_other_projects(shared):
    """Every verdict of the manifest: no crash, no hang, no other error, bounded memory; refused formats are refused."""
    seen = dict.fromkeys(("readable", "unreadable", "truncated", "bomb", "refused"), 0)
    with (shared / "badinputs" / "MANIFEST.tsv").open(encoding="utf-8", newline="") as handle:
        rows = [row for row in csv.DictReader(handle, delimiter="\t") if row["path"].startswith("images/")]
    for row in rows:
        data = (shared / "badinputs" / row["path"]).read_bytes()
        try:
            image = ImageSample(data)
            pixels = image.pixels()
        except UnreadableImage as error:
            verdict = "no"
            assert str(error)
        else:
            verdict = "readable"
            assert pixels.shape[:2] == image.size
            assert pixels.dtype == np.uint8
        if row["expected"] == "either":
            continue
        accepted = row["detail"].split(";")[0].removeprefix("fmt=") in (
            *FORMATS,
            "MPO",
        )  # MPO: several JPEGs in one file
        expected = "readable" if row["expected"] == "readable" and accepted else "no"
        assert verdict == expected, row["path"]
        seen["refused" if row["expected"] == "readable" and not accepted else row["expected"]] += 1
    assert min(seen.values()) >= 5
    assert sum(seen.values()) > 700
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 3 * 2**20
