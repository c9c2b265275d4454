"""Write scikit-learn's handwritten digits as an image folder: 1,797 pictures of 8 x 8 px in ten class folders.

python examples/digits/write_digits.py FOLDER
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


def write_digits(folder: Path) -> None:
    digits = load_digits()
    for number, (image, label) in enumerate(zip(digits.images, digits.target)):
        place = folder / str(label)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.rint(image * (255 / 16)).astype(np.uint8)).save(place / f"{number:04d}.png")


if __name__ == "__main__":
    write_digits(Path(sys.argv[1]))
