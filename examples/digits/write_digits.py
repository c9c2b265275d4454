"""Write scikit-learn's handwritten digits as an image folder: 8 x 8 px in ten class folders below train/, val/ and test/.

There are few training images (25 of each digit) and many test images (some 132 of each), so techniques make a difference.

python examples/digits/write_digits.py FOLDER
"""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

TRAIN, VAL = 25, 20  # images of each digit, in the order of the data set; the rest is the test split


def write_digits(folder: Path) -> None:
    digits, seen = load_digits(), Counter()
    for number, (image, label) in enumerate(zip(digits.images, digits.target)):
        split = "train" if seen[label] < TRAIN else "val" if seen[label] < TRAIN + VAL else "test"
        seen[label] += 1
        path = folder / split / str(label)
        path.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.rint(image * (255 / 16)).astype(np.uint8)).save(path / f"{number:04d}.png")


if __name__ == "__main__":
    write_digits(Path(sys.argv[1]))
