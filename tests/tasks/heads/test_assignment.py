import torch

from whet.tasks.heads.assignment import assigned, boxes_of, chosen, shares_of


def ids(*boxes, side=32):
    """boxes: (y0, x0, y1, x1) in pixels."""
    found = torch.zeros(side, side, dtype=torch.int32)
    for k, (y0, x0, y1, x1) in enumerate(boxes, start=1):
        found[y0:y1, x0:x1] = k
    return found


def cells_of(*boxes, side=32):
    share, _ = shares_of(ids(*boxes, side=side), len(boxes), (side // 4, side // 4))
    centre = torch.tensor([[(y0 + y1) / 8, (x0 + x1) / 8] for y0, x0, y1, x1 in boxes])
    return assigned(share, centre)


def test_shares_of_cells():
    """Cells of 4 pixels: an object of 6 x 4 pixels covers one cell and half of the next."""
    id_HW = ids((0, 0, 6, 4))
    id_HW[8:10, :4] = -1
    share, unknown = shares_of(id_HW, 2, (8, 8))
    assert share.shape == (2, 8, 8)
    assert share[0, :3, 0].tolist() == [1.0, 0.5, 0.0]
    assert share.sum() == 1.5
    assert unknown[2, 0] == 0.5
    assert boxes_of(share).tolist() == [[0, 0, 2, 1], [0, 0, 0, 0]]


def test_cells_that_do_not_divide_the_image():
    """7 pixels in 2 cells: every pixel belongs to one cell."""
    share, unknown = shares_of(torch.ones(7, 7, dtype=torch.int32), 1, (2, 2))
    assert torch.equal(share[0], torch.ones(2, 2))
    assert unknown.sum() == 0


def test_an_object_has_the_cells_around_its_centre():
    """16 x 16 pixels from (8, 8), the centre at cell 4.0: the middles of cells 2.5 to 5.5 are within 1.5."""
    found = cells_of((8, 8, 24, 24))
    assert sorted(map(tuple, (found == 0).nonzero().tolist())) == [(y, x) for y in range(2, 6) for x in range(2, 6)]
    assert (found[found != 0] == -1).all()


def test_of_two_objects_the_smaller_has_the_cell():
    found = cells_of((0, 0, 32, 32), (12, 12, 20, 20))
    assert sorted(map(tuple, (found == 1).nonzero().tolist())) == [(3, 3), (3, 4), (4, 3), (4, 4)]
    assert (found[2, 2:6] == 0).all()


def test_a_large_object_has_a_tenth_of_its_side():
    found = cells_of((0, 0, 128, 128), side=128)
    assert (found == 0).sum() == 6 * 6  # 3.2 cells to each side of 16.0: the middles of 13.5 … 18.5


def test_the_smallest_object_has_a_cell():
    assert sorted(map(tuple, (cells_of((9, 13, 10, 14)) == 0).nonzero().tolist())) == [(2, 3)]


def test_an_object_without_pixels_has_none():
    share, _ = shares_of(ids(), 1, (8, 8))
    assert (assigned(share, torch.full((1, 2), 1e6)) == -1).all()
    assert (assigned(share[:0], torch.zeros(0, 2)) == -1).all()


def test_the_best_cells_of_every_object_are_chosen():
    object_L, score_L = torch.tensor([3, 1, 3, 3, 1, 0]), torch.tensor([0.1, 0.9, 0.5, 0.7, 0.2, 0.0])
    assert sorted(chosen(object_L, score_L, 6).tolist()) == [1, 2, 3, 4, 5]  # two of each
    assert sorted(chosen(object_L, score_L, 2).tolist()) == [1, 3, 5]  # one of each, though these are more than two
    assert len(chosen(object_L[:0], score_L[:0], 4)) == 0
