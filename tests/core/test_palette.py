"""The colours of classes can be told apart with any colour vision."""

import numpy as np

from whet.core.palette import colours, css_colours

# Linear RGB as seen with full protanopia, deuteranopia and tritanopia: Machado, Oliveira, Fernandes 2009, severity 1.
VISION = np.array(
    [
        np.eye(3),
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    ]
)
LMS = np.array(
    [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
     [0.0883024619, 0.2817188376, 0.6299787005]]
)  # fmt: skip
OKLAB = np.array(
    [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
     [0.0259040371, 0.7827717662, -0.8086757660]]
)  # fmt: skip


def least_distance(rgb_K3: np.ndarray) -> float:
    """The least distance of two colours in OKLab (Ottosson 2020), over the four kinds of vision."""
    share = rgb_K3 / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    seen_VK3 = np.clip(np.einsum("kc,vdc->vkd", linear, VISION), 0, 1)
    lab_VK3 = np.cbrt(seen_VK3 @ LMS.T) @ OKLAB.T
    distance = np.linalg.norm(lab_VK3[:, :, None] - lab_VK3[:, None], axis=-1).min(axis=0)
    return float(distance[~np.eye(len(rgb_K3), dtype=bool)].min())


def test_class_0_is_black_and_the_others_are_apart() -> None:
    assert colours(3)[0].tolist() == [0, 0, 0]
    assert least_distance(colours(8)) > 0.075
    assert least_distance(colours(25)) > 0.065


def test_there_are_as_many_as_classes() -> None:
    assert colours(0).shape == (0, 3)
    for number in (1, 8, 25, 60):
        assert colours(number).shape == (number, 3)
    assert len({tuple(colour) for colour in colours(60).tolist()}) == 60
    assert css_colours(2) == ["#e69f00", "#56b4e9"]
