"""Write scikit-learn's handwritten digits as an image folder: 8 x 8 px in ten class folders below train/, val/ and test/.

Few images to learn from (25 of each digit) and many to judge by (some 132 of each): that is where techniques matter.

python examples/digits/write_digits.py FOLDER
"""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

TRAIN, VAL = 25, 20  # of each digit, in the order they come; the rest is for the test


def write_digits(folder: Path) -> None:
    digits, seen = load_digits(), Counter()
    for number, (image, label) in enumerate(zip(digits.images, digits.target)):
        part = "train" if seen[label] < TRAIN else "val" if seen[label] < TRAIN + VAL else "test"
        seen[label] += 1
        place = folder / part / str(label)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.rint(image * (255 / 16)).astype(np.uint8)).save(place / f"{number:04d}.png")


if __name__ == "__main__":
    write_digits(Path(sys.argv[1]))
