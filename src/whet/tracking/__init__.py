"""Trackers: what a training also reports to, such as TensorBoard, MLflow or Weights & Biases. None is on unless it is named."""

from whet.tracking.tracker import GROUP, RunInfo, Tracker, Trackers, flat, made, summary_of, trackers

__all__ = ["GROUP", "RunInfo", "Tracker", "Trackers", "flat", "made", "summary_of", "trackers"]
