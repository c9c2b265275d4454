from unittest.mock import Mock

import torch

from whet.models.front import to_device


def test_a_gpu_copies_from_pinned_memory_and_nobody_waits():
    """A stand-in for the tensor: no GPU is needed to see what is asked of it."""
    tensor, cuda = Mock(), torch.device("cuda")
    to_device(tensor, cuda)
    tensor.pin_memory().to.assert_called_once_with(cuda, non_blocking=True)


def test_on_a_processor_nothing_is_copied():
    tensor = torch.ones(3)
    assert to_device(tensor, torch.device("cpu")) is tensor
