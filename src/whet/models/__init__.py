"""Networks: from transformers or from the small zoo here, each as a backbone that gives features and a head that answers."""

from whet.models.build import build_net, load_net
from whet.models.net import Net, NetSpec

__all__ = ["Net", "NetSpec", "build_net", "load_net"]
