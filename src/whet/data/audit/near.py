"""Finds pairs of images that are copies of one image: resized, re-encoded, brightened, mirrored, slightly cropped or rotated.

A hash alone gives mostly false positives on plain backgrounds, so it only proposes pairs. The criterion is the correlation of fine
detail after the two images were aligned: it is low for two photos of one scene and high for two copies of one photo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import scipy.fft

from whet.core.language import Sentence, english
from whet.data.audit.fingerprint import THUMB
from whet.data.audit.pairs import Pairs

LOW = 8  # number of frequencies of the hash along each side
PROPOSED, PER_IMAGE = 0.65, 5  # minimum correlation of two hashes; candidates per image
SURE, HOPELESS, ALIKE, COLOURS = 0.95, 0.4, 0.86, 0.7  # correlations, see `likenesses`
DETAIL, _FAINT = 2.0, 2.0  # scale of detail in pixels of a thumbnail; regularisation of its strength, on 0…255
_GREY = np.array([0.299, 0.587, 0.114], np.float32)
_BLOCK, _BATCH = 2048, 512
_PRODUCTS = 1 << 23  # maximum size of a block: 32 MB, and twice that for its order
_SIDES = (THUMB, 46, 43)  # sides of a crop to align with the whole image
_REACH = 2  # maximum shift in pixels between two whole images
_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-4)
_FLAT = 1.5  # a thumbnail with a smaller standard deviation, on 0…255, has no distinctive features
_CLIPPED, _ENOUGH = 250, 100  # saturation, on 0…255; minimum number of pixels to compare colours
_TINTED = 3.0  # minimum standard deviation of colours, on 0…255, to compare them

Workers = Callable[[Callable[[int], float], Iterable[int]], Iterable[float]]  # map, or a pool's


@dataclass(frozen=True)
class ImagePairs(Pairs):
    """mirrored_P: whether the second image is mirrored, bool."""

    mirrored_P: np.ndarray

    def describe(self, p: int) -> Sentence:
        alike = super().describe(p)
        return english("{alike!t}, mirrored", alike=alike) if self.mirrored_P[p] else alike


def grey(thumb_NHW3: np.ndarray) -> np.ndarray:
    return thumb_NHW3.astype(np.float32) @ _GREY


def hashes(grey_NHW: np.ndarray) -> np.ndarray:
    """The low frequencies of each image as a unit vector, (N, 8, 8): a perceptual hash with real values instead of signs, so that
    the dot product of two is a correlation. Each frequency is weighted by its magnitude, because images have little energy at high
    frequencies. The hash of the mirrored image has the opposite sign in every odd column."""
    weight = np.hypot(*np.mgrid[0:LOW, 0:LOW]).astype(np.float32)
    low_NLL = np.stack([cv2.dct(one)[:LOW, :LOW] for one in grey_NHW]) * weight
    length_N = np.linalg.norm(low_NLL.reshape(len(low_NLL), -1), axis=1)
    return low_NLL / np.maximum(length_N, 1e-6)[:, None, None]


def proposals(hash_NLL: np.ndarray, *, mirrored: bool) -> np.ndarray:
    """Pairs (P, 2) whose hashes correlate, with the nearest neighbours of each image."""
    one_ND = hash_NLL.reshape(len(hash_NLL), -1)
    turned = hash_NLL * np.where(np.arange(LOW) % 2, -1, 1).astype(np.float32) if mirrored else hash_NLL
    other_ND = turned.reshape(len(hash_NLL), -1)
    found = []
    block = max(1, min(_BLOCK, _PRODUCTS // max(1, len(one_ND))))
    for start in range(0, len(one_ND), block):
        product_BN = one_ND[start : start + block] @ other_ND.T
        product_BN[np.arange(len(product_BN)), start + np.arange(len(product_BN))] = -1
        if product_BN.shape[1] > PER_IMAGE:
            near_BK = np.argpartition(product_BN, -PER_IMAGE, axis=1)[:, -PER_IMAGE:]
        else:
            near_BK = np.tile(np.arange(product_BN.shape[1]), (len(product_BN), 1))
        good_BK = np.take_along_axis(product_BN, near_BK, axis=1) >= PROPOSED
        row_B, place_B = np.nonzero(good_BK)
        found.append(np.sort(np.stack([row_B + start, near_BK[row_B, place_B]], axis=1), axis=1))
    return np.unique(np.concatenate(found), axis=0) if found else np.empty((0, 2), dtype=np.int64)


def likenesses(one_PHW3: np.ndarray, other_PHW3: np.ndarray, workers: Workers = map) -> np.ndarray:
    """How likely two thumbnails, RGB uint8 (P, 48, 48, 3), show one photo: the correlation of their detail after alignment, 0 … 1;
    0 where their colours differ or the correlation is too low."""
    a_PHW, b_PHW = grey(one_PHW3), grey(other_PHW3)
    plain_P = _correlations(_details(a_PHW), _details(b_PHW))
    warp_P, hope_P = _first_guesses(a_PHW, b_PHW)

    def compare(p: int) -> float:
        score, warp = float(plain_P[p]), np.eye(2, 3, dtype=np.float32)
        if score < SURE and max(hope_P[p], score) >= HOPELESS:
            score, warp = _refined(a_PHW[p], b_PHW[p], warp_P[p], score)
        if score < HOPELESS:
            return 0.0
        warped = cv2.warpAffine(other_PHW3[p], warp, (THUMB, THUMB), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        inside = _inside(warp)
        return score if _same_colours(one_PHW3[p][inside], warped[inside]) else 0.0

    return np.fromiter(workers(compare, range(len(a_PHW))), float, len(a_PHW))


def _refined(a: np.ndarray, b: np.ndarray, guess: np.ndarray, score: float) -> tuple[float, np.ndarray]:
    """(correlation of detail, transform) after refining the guess (Evangelidis & Psarakis 2008, by OpenCV), or without a
    transform."""
    still, detail = np.eye(2, 3, dtype=np.float32), _detail(a)
    try:
        _, warp = cv2.findTransformECC(detail, _detail(b), guess.copy(), cv2.MOTION_AFFINE, _STOP, np.empty(0), 3)
    except cv2.error:  # the alignment did not converge
        return score, still
    if not _is_slight(warp):
        return score, still
    warped = cv2.warpAffine(
        b, warp, (THUMB, THUMB), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    inside = _inside(warp)
    refined = _correlation(detail[inside], _detail(warped)[inside])
    return (refined, warp) if refined > score else (score, still)


def _detail(image: np.ndarray) -> np.ndarray:
    """Structure finer than two pixels, normalised to about the same strength everywhere. Without this, the outline alone would make
    any two round objects similar; fine grain and shadows distinguish them."""
    detail = image - cv2.GaussianBlur(image, (0, 0), DETAIL)
    return detail / (np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 2 * DETAIL)) + _FAINT)


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x - x.mean(), y - y.mean()
    return float((x * y).sum() / (np.sqrt(float((x * x).sum()) * float((y * y).sum())) + 1e-6))


def _details(image_PHW: np.ndarray) -> np.ndarray:
    return np.stack([_detail(image) for image in image_PHW])


def _correlations(x_PHW: np.ndarray, y_PHW: np.ndarray) -> np.ndarray:
    return np.array([_correlation(x, y) for x, y in zip(x_PHW, y_PHW)])


def _first_guesses(a_PHW: np.ndarray, b_PHW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Try each image as a crop of the other: the transforms (P, 2, 3) from coordinates in `a` to coordinates in `b`, and the
    correlation of the detail (P,). All shifts of one scale are tested at once by FFT."""
    best_P, warp_P = np.full(len(a_PHW), -1.0), np.zeros((len(a_PHW), 2, 3), np.float32)
    spectra = [_spectrum(image_PHW, THUMB) for image_PHW in (a_PHW, b_PHW)]
    for side in _SIDES:
        for swap in (False, True) if side < THUMB else (False,):
            whole, part = (spectra[1], a_PHW) if swap else (spectra[0], b_PHW)
            product = whole * np.conj(spectra[1] if side == THUMB else _spectrum(part, side))
            margin = _REACH if side == THUMB else THUMB - side
            found_PSS = scipy.fft.irfft2(product, s=(2 * THUMB, 2 * THUMB), axes=(1, 2))
            shifts = np.arange(-_REACH, _REACH + 1) if side == THUMB else np.arange(margin + 1)
            found_PSS = found_PSS[:, shifts[:, None], shifts[None, :]]
            place_P = found_PSS.reshape(len(a_PHW), -1).argmax(axis=1)
            top_P = found_PSS.reshape(len(a_PHW), -1)[np.arange(len(a_PHW)), place_P]
            upper_P, left_P = (shifts[k] for k in np.divmod(place_P, len(shifts)))
            for p in np.flatnonzero(top_P > best_P):
                crop = np.array([[side / THUMB, 0, left_P[p]], [0, side / THUMB, upper_P[p]], [0, 0, 1]])
                warp_P[p] = (crop if swap else np.linalg.inv(crop))[:2]
            best_P = np.maximum(best_P, top_P)
    return warp_P, best_P


def _spectrum(image_PHW: np.ndarray, side: int) -> np.ndarray:
    """The spectrum of the detail of the images at this many pixels a side, each normalised to length 1, zero-padded for all
    shifts."""
    if side < THUMB:
        image_PHW = np.stack([cv2.resize(one, (side, side), interpolation=cv2.INTER_AREA) for one in image_PHW])
    detail_PHW = _details(image_PHW)
    detail_PHW -= detail_PHW.mean(axis=(1, 2), keepdims=True)
    detail_PHW /= np.linalg.norm(detail_PHW.reshape(len(detail_PHW), -1), axis=1)[:, None, None] + 1e-6
    return scipy.fft.rfft2(detail_PHW, s=(2 * THUMB, 2 * THUMB), axes=(1, 2))


def _is_slight(warp: np.ndarray) -> bool:
    """Whether the transform is only a slight crop and rotation; larger transforms are rejected."""
    return bool(np.abs(warp[:, :2] - np.eye(2)).max() < 0.2 and np.abs(_centre_shift(warp)).max() < 0.15 * THUMB)


def _centre_shift(warp: np.ndarray) -> np.ndarray:
    middle = np.full(2, (THUMB - 1) / 2)
    return warp[:, :2] @ middle + warp[:, 2] - middle


def _inside(warp: np.ndarray) -> np.ndarray:
    """The pixels of the first image that the second covers, bool (48, 48)."""
    covered = np.ones((THUMB, THUMB), np.uint8)
    warped = cv2.warpAffine(covered, warp, (THUMB, THUMB), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
    return cv2.erode(warped, np.ones((3, 3), np.uint8), borderValue=0).astype(bool)


def _same_colours(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether the colours (M, 3) of the same M pixels vary together, independent of light and brightness. True where one of the two
    has a single tint or is grey, because nothing can be compared."""
    whole = (np.maximum(one, other) < _CLIPPED).all(axis=1)  # saturated pixels have lost their colour
    tints = []
    for pixels in (one[whole].astype(np.float32), other[whole].astype(np.float32)):
        if len(pixels) < _ENOUGH:
            return True
        tint = pixels - pixels.mean(axis=1, keepdims=True)
        tint -= tint.mean(axis=0)
        if tint.std() < _TINTED:
            return True
        tints.append(tint)
    return _correlation(*tints) >= COLOURS


def _known_by(thumb_NHW3: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(the numbers of the images with distinctive features, their hashes), computed in blocks."""
    usable, found = [np.empty(0, dtype=np.int64)], [np.empty((0, LOW, LOW), dtype=np.float32)]
    for start in range(0, len(thumb_NHW3), _BLOCK):
        grey_BHW = grey(thumb_NHW3[start : start + _BLOCK])
        rows_B = np.flatnonzero(grey_BHW.std(axis=(1, 2)) >= _FLAT)
        if len(rows_B):
            usable.append(rows_B + start)
            found.append(hashes(grey_BHW[rows_B]))
    return np.concatenate(usable), np.concatenate(found)


def near_pairs(thumb_NHW3: np.ndarray, threads: int = 2) -> ImagePairs:
    """Every pair of copies of one photo. Images without distinctive features (constant ones) are left out."""
    usable, hash_NLL = _known_by(thumb_NHW3)
    if len(usable) < 2:
        return ImagePairs(np.empty((0, 2), dtype=np.int64), np.empty(0), np.empty(0, dtype=bool))
    rows, scores, mirrors = [], [], []
    with ThreadPoolExecutor(threads, thread_name_prefix="whet-audit") as pool:
        for mirrored in (False, True):
            pair_P2 = usable[proposals(hash_NLL, mirrored=mirrored)]
            score_P = np.zeros(len(pair_P2))
            for start in range(0, len(pair_P2), _BATCH):
                one_P, other_P = pair_P2[start : start + _BATCH].T
                other = thumb_NHW3[other_P][:, :, :: -1 if mirrored else 1]
                score_P[start : start + _BATCH] = likenesses(thumb_NHW3[one_P], np.ascontiguousarray(other), pool.map)
            good_P = score_P >= ALIKE
            rows.append(pair_P2[good_P])
            scores.append(score_P[good_P])
            mirrors.append(np.full(int(good_P.sum()), mirrored))
    row_P2, score_P, mirrored_P = np.concatenate(rows), np.concatenate(scores), np.concatenate(mirrors)
    order = np.lexsort((mirrored_P, -score_P, row_P2[:, 1], row_P2[:, 0]))
    row_P2, score_P, mirrored_P = row_P2[order], score_P[order], mirrored_P[order]
    first = np.concatenate([[True], (np.diff(row_P2, axis=0) != 0).any(axis=1)])[
        : len(row_P2)
    ]  # a symmetric image equals its mirror image
    return ImagePairs(row_P2[first], score_P[first], mirrored_P[first])
