"""Evaluation: metrics with intervals, calibration, and paired comparison on the same samples."""
