"""The outputs of a network that predicts objects by queries, in one tensor.

A query has C class logits, the last for "no object", and the logits of a mask (h, w). The rows above the mask hold the numbers of
the query: C itself, then the class logits, then zeros up to the end of the row. So the tensor tells its own number of classes.
"""

from __future__ import annotations

import torch
from torch import Tensor


def packed(class_QC: Tensor, mask_Qhw: Tensor) -> Tensor:
    """(…, Q, C) and (…, Q, h, w) -> (…, Q, rows + h, w)."""
    C, w = class_QC.shape[-1], mask_Qhw.shape[-1]
    count = class_QC.new_full((*class_QC.shape[:-1], 1), C)
    spare = class_QC.new_zeros((*class_QC.shape[:-1], rows_of(C, w) * w - C - 1))
    numbers = torch.cat([count, class_QC, spare], dim=-1).unflatten(-1, (-1, w))
    return torch.cat([numbers, mask_Qhw], dim=-2)


def unpacked(outputs_QHw: Tensor, logits: int) -> tuple[Tensor, Tensor]:
    """(the class logits (…, Q, C), the logits of the masks (…, Q, h, w)); logits: C."""
    rows = rows_of(logits, outputs_QHw.shape[-1])
    numbers = outputs_QHw[..., :rows, :].flatten(-2)
    return numbers[..., 1 : logits + 1], outputs_QHw[..., rows:, :]


def logits_of(outputs_QHw: Tensor) -> int:
    """C. Waits for the device of the outputs."""
    return int(outputs_QHw.reshape(-1)[0])


def rows_of(logits: int, width: int) -> int:
    return -(-(logits + 1) // width)
