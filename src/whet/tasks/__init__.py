"""The tasks, one file each; `core.task.Task` defines their interface."""

from whet.tasks.multi_label import MultiLabel
from whet.tasks.semantic_segmentation import SemanticSegmentation
from whet.tasks.single_label import SingleLabel

SINGLE_LABEL, MULTI_LABEL, SEMANTIC_SEGMENTATION = SingleLabel(), MultiLabel(), SemanticSegmentation()

__all__ = ["MultiLabel", "SemanticSegmentation", "SingleLabel"]
