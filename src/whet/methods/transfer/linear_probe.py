from __future__ import annotations

from whet.core.batch import Context
from whet.core.errors import NoEffectError
from whet.core.method import Method
from whet.core.stages import Changes
from whet.models.net import Net


class LinearProbe(
    Method, Changes, family="transfer", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Keep the pretrained backbone as it is and train the last linear layer only.

    Use when: very few samples, very little time, or to see how good the features are.
    Do not use when: the images differ much from those of the pre-training, or time allows fine-tuning.
    Source: Alain & Bengio 2016, arXiv:1610.01644.
    Shapes: the backbone runs once over every image if no method changes the images; the head trains on kept features.
    """

    identity = None
    exceptions = {"identity": "a frozen backbone is never the same as a trained one"}
    conflicts = frozenset(
        ("finetune", "linear_probe_then_finetune", "layerwise_lr", "freeze", "gradual_unfreeze")
        + ("lora", "adapter", "bitfit", "mixout")
    )

    def change(self, net: Net, context: Context) -> Net:
        if not any(True for _ in net.backbone.parameters()):
            raise NoEffectError("the backbone has no weights to freeze")
        net.freeze(net.backbone)
        return net
