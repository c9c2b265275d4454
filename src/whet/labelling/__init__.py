"""Which unlabelled samples are worth labelling next, and labelling by rounds (`whet label`)."""
