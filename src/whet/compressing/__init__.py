"""Smaller and faster models than that of a run: what each costs, and the best that reaches a target."""
