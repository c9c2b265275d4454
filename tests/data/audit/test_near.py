import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance
from tests.data.audit.conftest import scene

from whet.core.rng import Rng
from whet.data.audit.fingerprint import THUMB
from whet.data.audit.near import ALIKE, grey, hashes, likenesses, near_pairs, proposals


def thumb(pixels):
    return cv2.resize(pixels, (THUMB, THUMB), interpolation=cv2.INTER_AREA)


def like(one, other):
    return likenesses(thumb(one)[None], thumb(other)[None])[0]


def cropped(pixels, share):
    height, width = pixels.shape[:2]
    return pixels[
        round(share * height) : round((1 - share / 2) * height), round(share / 2 * width) : round((1 - share) * width)
    ]


def brightened(pixels):
    return np.asarray(ImageEnhance.Brightness(Image.fromarray(pixels)).enhance(1.2))


CHANGES = {
    "half": lambda p: cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "twice": lambda p: cv2.resize(p, None, fx=2, fy=2),
    "bright": brightened,
    "grey": lambda p: np.repeat(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2),
    "crop": lambda p: cropped(p, 0.04),
    "jpeg": lambda p: cv2.imdecode(cv2.imencode(".jpg", p, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_COLOR),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_the_same_photo(change):
    for number in range(6):
        photo = scene(number, (192, 256))
        assert like(photo, CHANGES[change](photo)) >= ALIKE


def test_other_photos_are_not():
    photos = np.stack([thumb(scene(number)) for number in range(40)])
    pairs = np.array([(a, b) for a in range(40) for b in range(a)])
    assert likenesses(photos[pairs[:, 0]], photos[pairs[:, 1]]).max() < ALIKE - 0.2


def test_one_outline_on_a_plain_ground_is_not_one_photo():
    """Two bottles seen from above: a hash takes them for one, their detail does not."""
    found = []
    for number in range(2):
        ground = np.full((192, 256, 3), 205.0) + Rng(number).batch("grain", 0, [0]).uniform(-12, 12, (192, 256, 1))[0]
        inside = scene(number, (192, 256)) * 0.4
        disc = cv2.circle(np.zeros((192, 256, 1)), (128, 96), 45, 1.0, -1)[..., None].reshape(192, 256, 1)
        found.append((ground * (1 - disc) + inside * disc).clip(0, 255).astype(np.uint8))
    one, other = (hashes(grey(thumb(p)[None]))[0] for p in found)
    assert (one * other).sum() > 0.65
    assert like(*found) < ALIKE


def test_other_colours_contradict():
    photo = scene(3, (192, 256))
    assert like(photo, photo) > 0.99
    assert like(photo, photo[..., ::-1].copy()) == 0


@given(st.integers(0, 10_000))
@settings(max_examples=25)
def test_the_hash_of_a_mirrored_image_has_the_other_sign_in_odd_columns(number):
    image = grey(thumb(scene(number))[None])
    mirrored = hashes(image[:, :, ::-1].copy())
    assert mirrored == pytest.approx(hashes(image) * np.where(np.arange(8) % 2, -1, 1), abs=1e-4)
    assert np.linalg.norm(mirrored) == pytest.approx(1)


def test_pairs_are_found_among_many_and_named_once():
    photos = [thumb(scene(number)) for number in range(60)]
    photos[50] = thumb(scene(7))[:, ::-1]
    photos[20] = thumb(brightened(scene(3)))
    photos[33] = np.full((THUMB, THUMB, 3), 128, np.uint8)  # nothing to be known by
    photos[34] = photos[33]
    pairs = near_pairs(np.stack(photos))
    assert pairs.row_P2.tolist() == [[3, 20], [7, 50]]
    assert pairs.mirrored_P.tolist() == [False, True]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_images(count):
    photos = np.stack([thumb(scene(0))] * 2)[:count].reshape(-1, THUMB, THUMB, 3)
    assert len(near_pairs(photos)) == (count == 2)


def test_proposals_are_those_of_all_pairs():
    hash_NLL = hashes(grey(np.stack([thumb(scene(number // 2, seed=number % 2)) for number in range(30)])))
    hash_NLL[4] = hash_NLL[9]
    product = np.einsum("iab,jab->ij", hash_NLL, hash_NLL)
    wanted = [(a, b) for a in range(30) for b in range(a + 1, 30) if product[a, b] >= 0.65]
    assert [tuple(pair) for pair in proposals(hash_NLL, mirrored=False)] == wanted
    assert (4, 9) in wanted
