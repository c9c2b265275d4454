"""From the queries of several networks or views to those of one."""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from whet.models.query_outputs import logits_of, packed, unpacked


def combined(outputs_MQHw: Tensor, weight_M: Tensor) -> Tensor:
    """The queries (Q, H, w) of several networks or views as those of the first. Each query of the others belongs to the one of the
    first with which its class and mask agree most, in the assignment with the greatest sum. Then the probabilities of the classes
    are averaged, and the logits of the masks, these by the probability that there is an object."""
    C = logits_of(outputs_MQHw)
    class_MQC, mask_MQhw = unpacked(outputs_MQHw, C)
    prob_MQC = class_MQC.softmax(dim=2)
    orders = [_partners(prob_MQC, mask_MQhw, m) for m in range(len(outputs_MQHw))]
    prob_MQC, mask_MQhw = (
        torch.stack([one[order] for one, order in zip(all_M, orders)]) for all_M in (prob_MQC, mask_MQhw)
    )
    there_MQ = weight_M[:, None] * (1 - prob_MQC[..., -1]).clamp(min=1e-6)
    mean_Qhw = (there_MQ[..., None, None] * mask_MQhw).sum(dim=0) / there_MQ.sum(dim=0)[:, None, None]
    mean_QC = (weight_M[:, None, None] * prob_MQC).sum(dim=0)
    return packed(mean_QC.clamp(min=torch.finfo(mean_QC.dtype).tiny).log(), mean_Qhw)


def _partners(prob_MQC: Tensor, mask_MQhw: Tensor, m: int) -> Tensor:
    """The query of network m for each of the first."""
    if m == 0:
        return torch.arange(prob_MQC.shape[1], device=prob_MQC.device)
    first_Qp, own_Qp = (mask_MQhw[one].sigmoid().flatten(1) for one in (0, m))
    shared_QQ = 2 * first_Qp @ own_Qp.T / (first_Qp.sum(dim=1)[:, None] + own_Qp.sum(dim=1)).clamp(min=1e-6)
    alike_QQ = shared_QQ * (prob_MQC[0, :, :-1] @ prob_MQC[m, :, :-1].T)
    _, order = linear_sum_assignment(alike_QQ.cpu(), maximize=True)
    return torch.as_tensor(order, device=prob_MQC.device)
