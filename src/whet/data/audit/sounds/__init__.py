"""The audit of sounds: what one look at each tells, and the checks that are theirs alone."""
