"""The wording of what is not known."""

from whet.core.errors import unknown


def test_a_few_names_are_all_listed():
    assert unknown("design", "scren", ["screen", "add"]) == (
        "unknown design 'scren'. Did you mean 'screen'? Accepted: add, screen"
    )
    assert unknown("run", "a", []) == "unknown run 'a'. Accepted: none"


def test_of_very_many_names_those_spelt_alike_are_listed():
    names = [f"{stem}_{number}" for stem in ("rotate", "shear") for number in range(50)]
    told = unknown("method", "rotat_7", names)
    assert told.startswith("unknown method 'rotat_7'. Did you mean 'rotate_7' or ") and told.count("rotate") == 4
    assert told.endswith("There are 100; whet methods lists them") and "shear" not in told
    assert unknown("method", "xyz", names) == "unknown method 'xyz'. There are 100; whet methods lists them"
