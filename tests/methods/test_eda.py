import numpy as np
import pytest
from tests.methods.texts import augmented, keeps_the_rules

from whet.core.errors import RecipeError
from whet.core.recipe import Recipe
from whet.methods import EDA, RandomSwap


@pytest.fixture
def synonyms(tmp_path):
    path = tmp_path / "synonyms.csv"
    path.write_text("\n".join(f"w{i},s{i}" for i in range(100)) + "\nquick,fast\n玩,耍\n", "utf-8")
    return str(path)


def kind(before, after):
    """Which of the four operations made this of a text of different words."""
    old, new = before.split(), after.split()
    if old == new:
        return "none"
    if len(new) > len(old):
        return "insertion"
    if len(new) < len(old):
        return "deletion"
    return "swap" if sorted(old) == sorted(new) else "replacement"


def test_rules(synonyms):
    keeps_the_rules(EDA, path=synonyms)


def test_one_of_the_four_each_equally_often(synonyms):
    text = " ".join(f"w{i}" for i in range(100))
    kinds = [kind(text, out) for out in augmented(EDA(prob=0.8, path=synonyms), [text] * 800)]
    share = {name: kinds.count(name) / 800 for name in ("none", "replacement", "insertion", "swap", "deletion")}
    assert share == pytest.approx(dict.fromkeys(share, 0.2), abs=0.055)


def test_the_paper_s_arithmetic(synonyms):
    """alpha 0.1 of 50 words: five words replaced, five inserted, five swaps, each word lost with probability 0.1."""
    text = " ".join(f"w{i}" for i in range(50))
    found = {}
    for out in augmented(EDA(prob=1, alpha=0.1, path=synonyms), [text] * 400):
        found.setdefault(kind(text, out), []).append(out.split())
    old = text.split()
    assert {sum(a != b for a, b in zip(old, new)) for new in found["replacement"]} == {5}
    assert {len(new) for new in found["insertion"]} == {55}
    assert max(sum(a != b for a, b in zip(old, new)) for new in found["swap"]) == 10
    assert np.mean([len(new) for new in found["deletion"]]) == pytest.approx(45, abs=1)


def test_not_beside_one_of_the_four(synonyms):
    with pytest.raises(RecipeError, match="cannot be combined in one recipe"):
        Recipe(task="text-classification", methods=(EDA(), RandomSwap()))
