"""The audit of audio clips: what one look at each tells, and the checks that are theirs alone."""
