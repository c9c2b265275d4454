from whet.cli import options
from whet.models.zoo import ZOO


def test_help_names_the_whole_zoo_in_its_order():
    """By hand, as help is shown without loading torch."""
    assert tuple(ZOO) == options.ZOO
