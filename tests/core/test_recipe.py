import contextlib
import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.core.errors import RecipeError
from whet.core.recipe import Recipe, parse_method, parse_methods
from whet.methods import AdamW, Cosine, Hue, LabelSmoothing, LinearProbe, MixUp

TEXT = """
task: image-classification
train: {budget: 5ep, seed: 3}
methods:
  - mixup: {alpha: 0.4}
  - adamw: {lr: 3e-4}
  - cosine
"""


def test_yaml_and_python_are_two_forms_of_one_recipe():
    recipe = Recipe.from_yaml(TEXT)
    assert recipe == Recipe(methods=(MixUp(alpha=0.4), AdamW(lr=3e-4), Cosine())).setting(budget="5ep", seed=3)
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe


def test_changing_a_recipe_leaves_the_old_one():
    recipe = Recipe.from_yaml(TEXT)
    assert [m.name for m in recipe.without("mixup").methods] == ["adamw", "cosine"]
    assert [m.name for m in recipe.only("adamw").methods] == ["adamw"]
    assert recipe.with_methods(MixUp(alpha=1.0)).method("mixup").alpha == 1.0
    assert "hue" in recipe.with_methods(Hue())
    assert len(recipe.methods) == 3
    with pytest.raises(RecipeError, match="'mixup'"):
        recipe.without("mixupp")


def test_adding_a_method_takes_out_those_it_conflicts_with():
    recipe = Recipe.from_yaml("methods: [linear_probe_then_finetune, layerwise_lr, adamw]")
    assert [m.name for m in recipe.with_methods(LinearProbe()).methods] == ["adamw", "linear_probe"]


def test_hash_names_what_shapes_the_result():
    recipe = Recipe.from_yaml(TEXT)
    same = [
        recipe.setting(seed=9),
        recipe.replace(methods=tuple(reversed(recipe.methods))),
        recipe.replace(data=recipe.data.replace(path="/elsewhere")),
        recipe.setting(loader_threads=7),
    ]
    other = [
        recipe.setting(budget="6ep"),
        recipe.with_methods(MixUp(alpha=0.5)),
        recipe.without("cosine"),
        recipe.replace(data=recipe.data.replace(split_seed=1)),
    ]
    assert {r.hash for r in same} == {recipe.hash}
    assert len({r.hash for r in (recipe, *other)}) == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("methods: [{adamw: {lrr: 1}}]", r"'lrr' in adamw. Did you mean 'lr'"),
        ("methods: [adamww]", r"unknown method 'adamww'. Did you mean 'adamw'"),
        ("tran: {}", r"unknown key 'tran' in r.yaml. Did you mean 'train'"),
        ("train: {budget: 3x}", r"train.budget = '3x'.*20ep"),
        ("train: {batch_size: 0}", r"^r.yaml: train.batch_size = 0: accepted: a whole number \(at least 1\) or auto$"),
        ("train: {batchsize: 4}", r"'batchsize' in train. Did you mean 'batch_size'"),
        ("data: [1]", r"data must be a mapping"),
        ("methods: {a: 1}", r"methods must be a list"),
        ("methods: [[mixup]]", r"a method is written as"),
        ("methods: [cosine, one_cycle]", r"'cosine' and 'one_cycle' cannot be combined in one recipe"),
        ("methods: [cosine, cosine]", r"'cosine' occurs twice"),
        ("task: image-clasification", r"Did you mean 'image-classification'"),
        ("a: 1\na: 2", r"'a' occurs twice \(line 2\)"),
        ("methods: [{mixup: {alpha: -1}}]", r"mixup.alpha = -1: accepted: a number \(at least 0\)"),
        ("methods: [{hue: {max_shift: lots}}]", r"hue.max_shift = 'lots'"),
        ("- 1", r"a recipe is a mapping"),
        ("{", r"not readable as YAML"),
        ("methods: !!python/object/apply:os.system [ls]", r"not readable as YAML"),
        ("x: &a [1]\ny: [" + "*a," * 200 + "]", r"more than 100 aliases"),
        ("# " + "x" * 1_000_001, r"larger than 1,000,000 bytes"),
    ],
)
def test_refused_with_file_key_value_and_what_is_accepted(text, message):
    with pytest.raises(RecipeError, match=message) as caught:
        Recipe.from_yaml(text, "r.yaml")
    assert "r.yaml" in str(caught.value)


def test_python_mistakes_read_the_same():
    with pytest.raises(RecipeError, match="Did you mean 'epsilon'"):
        LabelSmoothing(epsilonn=0.1)
    with pytest.raises(RecipeError, match=r"label_smoothing.epsilon = 2"):
        LabelSmoothing(epsilon=2)


def test_wrong_task_is_refused():
    with pytest.raises(RecipeError, match="'hue' is for image-classification"):
        Recipe(task="text-classification", methods=(Hue(),))


def test_missing_file_and_wrong_encoding(tmp_path):
    with pytest.raises(RecipeError, match="does not exist"):
        Recipe.load(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes("task: é".encode("latin-1"))
    with pytest.raises(RecipeError, match="not UTF-8"):
        Recipe.load(tmp_path / "latin.yaml")


def test_method_entries():
    assert parse_method("mixup") == MixUp() == parse_method({"mixup": None}) == parse_method(MixUp())


@given(st.text(max_size=200))
def test_any_text_gives_a_recipe_or_a_recipe_error(text):
    with contextlib.suppress(RecipeError):
        assert isinstance(Recipe.from_yaml(text), Recipe)


def test_odd_yaml_of_other_projects(shared):
    """Never another error than ours, whatever the file; what a safe loader must refuse is refused."""
    refused = seen = 0
    with (shared / "badinputs" / "MANIFEST.tsv").open(encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle, delimiter="\t"):
            if not row["path"].startswith("yaml/") or row["expected"] == "truth":
                continue
            data = (shared / "badinputs" / row["path"]).read_bytes()
            seen += 1
            try:
                Recipe.from_yaml(data.decode("utf-8", "replace"), row["path"])
            except RecipeError:
                refused += 1
            else:
                assert row["expected"] in ("readable", "either"), row["path"]
    assert seen > 400
    assert refused > 300


@pytest.mark.parametrize(("size", "smaller"), [("auto", "60%"), ("85%", "51%"), ("30%", "25%"), (224, 136), (32, 32)])
def test_images_at_a_share_of_their_size(size, smaller):
    asked = Recipe().setting(image_size=size)
    found = asked.smaller(0.6).train
    assert (found.image_size, found.eval_size) == (smaller, "auto")
    assert asked.smaller(1.0) == asked
    texts = Recipe(task="text-classification")
    assert texts.smaller(0.5) == texts


def test_a_method_takes_the_place_of_those_it_conflicts_with_and_of_no_other():
    """Both ways round; warmup and cosine share an enemy, one_cycle, and stand together."""
    recipe = Recipe(methods=parse_methods(["linear_probe", "sgd", "cosine"]))

    def names(*added):
        return {method.name for method in recipe.with_methods(*parse_methods(added)).methods}

    assert names("warmup") == {"linear_probe", "sgd", "cosine", "warmup"}
    assert names("lbfgs") == {"linear_probe", "cosine", "lbfgs"}
    assert names("linear") == {"linear_probe", "sgd", "linear"}
    assert names("layerwise_lr") == {"sgd", "cosine", "layerwise_lr"}
    assert names("lbfgs", "finetune") == {"finetune", "cosine", "lbfgs"}


@pytest.mark.parametrize(("key", "use"), [("epochs", "3ep"), ("steps", "3st"), ("seconds", "3s"), ("minutes", "3m")])
def test_a_length_is_a_budget_and_never_ignored(key, use):
    with pytest.raises(RecipeError, match=rf"train.{key} = 3: .*use budget: {use}"):
        Recipe.from_yaml(f"train: {{{key}: 3}}")
    with pytest.raises(RecipeError, match=rf"use budget: {use}"):
        Recipe().setting(**{key: 3})
