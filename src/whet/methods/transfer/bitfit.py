from __future__ import annotations

from whet.core.batch import Context
from whet.core.errors import NoEffectError
from whet.core.method import Method
from whet.core.stages import Changes
from whet.models.net import Net


class BitFit(
    Method,
    Changes,
    family="transfer",
    name="bitfit",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Train only the biases of the pretrained network and its head.

    Use when: samples are few, or many models of one backbone should each differ in about a thousandth of the weights.
    Do not use when: there are thousands of samples, or the network's layers have no biases.
    Source: Ben Zaken, Ravfogel, Goldberg 2021, arXiv:2106.10199.
    Shapes: the shift parameters of norms count as biases. BatchNorm keeps its statistics.
    """

    identity = None
    exceptions = {"identity": "frozen weights never equal trained weights"}
    conflicts = frozenset({"finetune", "freeze", "linear_probe", "lora", "adapter", "mixout"})

    def change(self, net: Net, context: Context) -> Net:
        biases = [name for name, _ in net.backbone.named_parameters(prefix="backbone") if name.endswith("bias")]
        if not biases:
            raise NoEffectError("the backbone has no biases")
        net.freeze_backbone(but=biases)
        return net
