"""Groups of samples that nobody labelled, by the features of a network that is not trained (`whet group`)."""
