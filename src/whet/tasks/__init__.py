"""The tasks, one file each; `core.task.Task` defines their interface."""

from whet.tasks.instance_segmentation import InstanceSegmentation
from whet.tasks.multi_label import MultiLabel
from whet.tasks.pretraining import Pretraining
from whet.tasks.semantic_segmentation import SemanticSegmentation
from whet.tasks.single_label import SingleLabel

SINGLE_LABEL, MULTI_LABEL = SingleLabel(), MultiLabel()
SEMANTIC_SEGMENTATION, INSTANCE_SEGMENTATION = SemanticSegmentation(), InstanceSegmentation()
PRETRAINING = Pretraining()

__all__ = ["InstanceSegmentation", "MultiLabel", "Pretraining", "SemanticSegmentation", "SingleLabel"]
