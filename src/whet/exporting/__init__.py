"""From a finished run to a bundle: one ONNX graph that predicts as the run does, and the proof of it."""
