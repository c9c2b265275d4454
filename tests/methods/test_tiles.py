import pytest
import torch
from torch import nn

from whet.methods import Tiles
from whet.methods.ensemble.tiles import starts
from whet.models.dynamic_masks import PARAMETERS, first_parameters
from whet.tasks import INSTANCE_SEGMENTATION, SEMANTIC_SEGMENTATION


@pytest.mark.parametrize(
    ("size", "expected"),
    [(100, [0, 30, 60]), (80, [0, 30, 40]), (40, [0]), (41, [0, 1]), (70, [0, 30])],
)
def test_the_last_window_ends_at_the_edge_and_none_comes_twice(size, expected):
    assert starts(size, 40, 0.25) == expected


class Strided(nn.Module):
    """A class map at half the size, from the pixels alone."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def forward(self, x_BCHW):
        self.sizes.append(tuple(x_BCHW.shape[2:]))
        return torch.cat([x_BCHW, -x_BCHW], dim=1)[..., ::2, ::2]


@pytest.mark.parametrize("size", [(32, 32), (50, 33), (16, 47), (9, 60)])
def test_constant_logits_give_a_constant_map(size):
    predictor = Strided()
    tiled = Tiles(window=16, overlap=0.4).wrap_predictor(predictor, {}, SEMANTIC_SEGMENTATION)
    found = tiled(torch.full((2, 3, *size), 1.7))
    assert found.shape == (2, 6, *((side + 1) // 2 for side in size))
    assert torch.allclose(found[:, :3], torch.tensor(1.7))
    assert torch.allclose(found[:, 3:], torch.tensor(-1.7))
    assert set(predictor.sizes) == {(min(16, size[0]), 16)}


def test_where_a_pixel_decides_alone_tiles_are_the_whole_image():
    torch.manual_seed(0)
    predictor, x_BCHW = nn.Conv2d(3, 4, 1), torch.randn(2, 3, 37, 52)
    tiled = Tiles(window=16).wrap_predictor(predictor, {}, SEMANTIC_SEGMENTATION)
    assert torch.allclose(tiled(x_BCHW), predictor(x_BCHW), atol=1e-5)


def test_the_middle_of_a_window_weighs_more_than_its_edge():
    """Windows of 0 and 1 from left to right: the blend rises over the overlap, without a step."""

    class Numbered(nn.Module):
        def __init__(self):
            super().__init__()
            self.calls = 0

        def forward(self, x_BCHW):
            self.calls += 1
            return torch.full((1, 1, *x_BCHW.shape[2:]), float(self.calls - 1))

    tiled = Tiles(window=16, overlap=0.5).wrap_predictor(Numbered(), {}, SEMANTIC_SEGMENTATION)
    row = tiled(torch.zeros(1, 3, 16, 24))[0, 0, 8]
    assert (row[:8] == 0).all()
    assert (row[16:] == 1).all()
    assert torch.allclose(row.diff()[8:15], torch.tensor(1 / 8))


def test_an_image_of_one_window_is_left_as_it_is():
    predictor = Strided()
    tiled = Tiles(window=16).wrap_predictor(predictor, {}, SEMANTIC_SEGMENTATION)
    assert tiled(torch.zeros(1, 3, 16, 12)).shape == (1, 6, 8, 6)
    assert Tiles(window=0).wrap_predictor(predictor, {}, SEMANTIC_SEGMENTATION) is predictor


def test_cells_keep_their_size_so_that_masks_of_objects_do():
    """A network for a mask of 8 pixels around each location, as the head cond_inst has it: in tiles as on the whole image."""
    task = INSTANCE_SEGMENTATION.with_head("cond_inst")
    outputs = task.outputs(2)

    class Strided4(nn.Module):
        def forward(self, x_BCHW):
            found = torch.zeros(len(x_BCHW), outputs, x_BCHW.shape[2] // 4, x_BCHW.shape[3] // 4)
            found[:, 2 : 2 + PARAMETERS] = first_parameters_of(1)
            found[:, :2] = 20 * x_BCHW[:, :1, 2::4, 2::4] - 10  # an object where the pixel is white
            return found

    x = torch.zeros(1, 3, 64, 96)
    x[:, :, 34, 70] = x[:, :, 10, 10] = 1.0
    whole, tiled = (
        task.predicted(one(x)[0].numpy(), (64, 96))
        for one in (Strided4(), Tiles(window=32).wrap_predictor(Strided4(), {}, task))
    )
    assert len(whole.detections) == 2
    assert (whole.ids_HW == tiled.ids_HW).all()


def first_parameters_of(seed):
    torch.manual_seed(seed)
    return first_parameters()[:, None, None]
