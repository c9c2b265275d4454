from whet.report.sections.curves import steps_per_epoch


def recorded(steps, per_epoch):
    return [{"step": step, "epoch": (step - 1) // per_epoch} for step in range(1, steps + 1)]


def test_an_epoch_cut_short_does_not_stretch_the_axis():
    """122 steps of 24 are 5.08 epochs."""
    assert steps_per_epoch(recorded(122, 24)) == 24
    assert steps_per_epoch(recorded(120, 24)) == 24
    assert steps_per_epoch(recorded(10, 24)) == 10
