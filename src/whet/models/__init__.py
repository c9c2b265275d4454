"""Networks, from transformers or from the zoo in this package. Each has a backbone that returns features and a head that returns
logits."""

from whet.models.build import build_net, load_net
from whet.models.net import Net, NetSpec

__all__ = ["Net", "NetSpec", "build_net", "load_net"]
