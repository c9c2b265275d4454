from __future__ import annotations

from whet.core.batch import Context
from whet.core.errors import NoEffectError
from whet.core.method import Method
from whet.core.stages import Changes
from whet.models.net import Net


class LinearProbe(
    Method, Changes, family="transfer", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Freeze the pretrained backbone and train only the last linear layer.

    Use when: there are very few samples or very little time, or you want to see how good the features are.
    Do not use when: the samples differ much from the pretraining data, or there is time to fine-tune.
    Source: Alain & Bengio 2016, arXiv:1610.01644.
    Shapes: the backbone processes every sample once if no method changes the samples. The head trains on cached features.
    """

    identity = None
    exceptions = {"identity": "a frozen backbone never equals a trained one"}
    conflicts = frozenset(
        ("finetune", "linear_probe_then_finetune", "layerwise_lr", "freeze", "gradual_unfreeze")
        + ("lora", "adapter", "bitfit", "mixout")
    )

    def change(self, net: Net, context: Context) -> Net:
        if not any(True for _ in net.backbone.parameters()):
            raise NoEffectError("the backbone has no weights to freeze")
        net.freeze(net.backbone)
        return net
