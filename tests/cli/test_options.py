from whet.cli import options
from whet.models.zoo import ZOO
from whet.models.zoo_text import TEXT_ZOO


def test_help_names_the_whole_zoo_in_its_order():
    """By hand, as help is shown without loading torch."""
    assert tuple(ZOO) == options.ZOO
    assert tuple(TEXT_ZOO) == options.TEXT_ZOO
