"""The heads of instance segmentation, one file each; `head.InstanceHead` defines their interface."""

from whet.tasks.heads.centre_offset import CentreOffset
from whet.tasks.heads.cond_inst import CondInst
from whet.tasks.heads.head import InstanceHead
from whet.tasks.heads.queries import Queries

HEADS: dict[str, InstanceHead] = {"centre_offset": CentreOffset(), "cond_inst": CondInst(), "own": Queries()}
"""By their name in a recipe (`model.head`), the default first. `models.decoders` has their networks, that of
`own` comes with an architecture (`models.hub_segmenters`)."""
