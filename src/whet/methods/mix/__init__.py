"""Methods that mix samples and their targets within a batch."""
