"""The schedules that set the learning rate over the whole training. A recipe can have only one, because their factors multiply."""

from __future__ import annotations

COURSES = frozenset(
    ("constant", "step", "multistep", "exponential", "polynomial", "linear")
    + ("cosine", "cosine_restarts", "one_cycle", "warmup_stable_decay")
)


def other_courses(name: str) -> frozenset[str]:
    return COURSES - {name}
