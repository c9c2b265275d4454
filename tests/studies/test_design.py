import numpy as np
import pytest

from whet.studies.design import design_matrix, hadamard, screen


@pytest.mark.parametrize("order", [1, 2, 4, 8, 12, 16, 20, 24, 32, 40, 44, 48])
def test_columns_of_a_hadamard_matrix_are_orthogonal(order):
    matrix = hadamard(order)
    assert set(np.unique(matrix)) <= {-1, 1}
    assert np.array_equal(matrix.T @ matrix, order * np.eye(order, dtype=int))


@pytest.mark.parametrize(("order"), [3, 6, 28])
def test_orders_out_of_reach_say_so(order):
    assert hadamard(order) is None


@pytest.mark.parametrize("factors", range(1, 25))
def test_a_screen_is_balanced_and_of_resolution_four(factors):
    matrix = screen(factors)
    assert (matrix.sum(axis=0) == 0).all()
    assert np.array_equal(matrix.T @ matrix, len(matrix) * np.eye(factors, dtype=int))
    for a in range(factors):
        for b in range(a):
            if factors > 2:  # no main effect is mixed up with an interaction of two others
                assert not (matrix.T @ (matrix[:, a] * matrix[:, b])).any()


def test_sixteen_methods_take_32_runs_and_twelve_take_24():
    assert len(screen(16)) == 32
    assert len(screen(12)) == 24


def test_one_at_a_time_designs():
    assert design_matrix("ablate", 3).tolist() == [[1, 1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, -1]]
    assert design_matrix("add", 2).tolist() == [[-1, -1], [1, -1], [-1, 1]]
    assert len({tuple(row) for row in design_matrix("factorial", 3)}) == 8
    with pytest.raises(ValueError, match="takes 128 runs"):
        design_matrix("factorial", 7)
