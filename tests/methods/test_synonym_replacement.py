import shutil
from pathlib import Path

import pytest
from tests.methods.texts import augmented, keeps_the_rules, words_of

from whet.core.errors import RecipeError
from whet.methods import SynonymReplacement
from whet.methods.augment_text import wordnet as wordnet_module
from whet.methods.augment_text.synonyms import read_list
from whet.methods.augment_text.wordnet import WordNet, find


@pytest.fixture
def synonyms(tmp_path):
    path = tmp_path / "synonyms.csv"
    path.write_text("quick, fast, rapid\nfox\tvixen\n苹果,林檎\nThe, this\nbig，large\ndog,hound\nlazy,idle\n", "utf-8")
    return str(path)


@pytest.fixture
def distinct(tmp_path):
    """w0 … w99, each with one synonym, s0 … s99."""
    path = tmp_path / "distinct.csv"
    path.write_text("\n".join(f"w{i},s{i}" for i in range(100)), "utf-8")
    return str(path)


def test_rules(synonyms):
    keeps_the_rules(SynonymReplacement, path=synonyms)


@pytest.mark.parametrize(
    ("words", "alpha", "count"), [(5, 0.1, 1), (19, 0.1, 1), (20, 0.1, 2), (60, 0.3, 18), (10, 1.0, 10)]
)
def test_as_many_words_as_in_the_paper_s_code(distinct, words, alpha, count):
    """n = max(1, int(alpha * words)), all different words."""
    text = " ".join(f"w{i}" for i in range(words))
    for result in augmented(SynonymReplacement(prob=1, fraction=alpha, path=distinct), [text] * 20):
        changed = [(old, new) for old, new in zip(text.split(), result.split()) if old != new]
        assert len(changed) == count and all(new == "s" + old[1:] for old, new in changed)


def test_a_chosen_word_is_replaced_wherever_it_stands(distinct):
    results = set(augmented(SynonymReplacement(prob=1, fraction=0.3, path=distinct), ["w1 w2 w1"] * 50))
    assert results == {"s1 w2 s1", "w1 s2 w1"}


def test_stop_words_and_words_without_synonyms_stay_and_case_is_kept(synonyms):
    results = set(augmented(SynonymReplacement(prob=1, fraction=1, path=synonyms), ["The QUICK brown Fox."] * 60))
    assert results == {"The FAST brown Vixen.", "The RAPID brown Vixen."}


def test_chinese_words_of_a_list(synonyms):
    pytest.importorskip("jieba")
    assert augmented(SynonymReplacement(prob=1, path=synonyms), ["我喜欢苹果。"]) == ["我喜欢林檎。"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"good, fine\nalone\n", "line 2: 'alone' contains no synonym"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_a_bad_list_is_named(tmp_path, content, message):
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=message):
        augmented(SynonymReplacement(prob=1, path=str(path)), ["good"])
    with pytest.raises(RecipeError, match="cannot be read"):
        read_list("eda", str(tmp_path / "missing.csv"))


def test_without_wordnet_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(wordnet_module, "places", list)
    with pytest.raises(RecipeError, match=r"apt install wordnet-base.*whet\[text\].*nltk.downloader"):
        wordnet_module.wordnet("synonym_replacement")
    assert augmented(SynonymReplacement(prob=0), ["good"]) == ["good"]  # off asks for nothing


# A WordNet of four synsets, written as wndb(5WN) says.
def small_wordnet(folder):
    parts = {"noun": [["dog", "domestic_dog", "Canis_familiaris"], ["child", "kid"]], "verb": [["run", "operate"]],
             "adj": [["sick(p)", "ill(p)"]], "adv": []}  # fmt: skip
    for part, synsets in parts.items():
        data, index = "  1 licence\n", {}
        for names in synsets:
            offset = len(data)
            words = " ".join(f"{name} 0" for name in names)
            data += f"{offset:08d} 03 {part[0]} {len(names):02x} {words} 001 @ 00000000 n 0000 | a {names[0]} | of sorts  \n"
            for name in names:
                index.setdefault(name.split("(")[0].lower(), []).append(offset)
        lines = [
            f"{name} {part[0]} {len(at)} 1 @ {len(at)} 0 {' '.join(f'{o:08d}' for o in at)}  "
            for name, at in sorted(index.items())
        ]
        (folder / f"data.{part}").write_text(data)
        (folder / f"index.{part}").write_text("  1 licence\n" + "\n".join(lines) + "\n")
    (folder / "noun.exc").write_text("children child\n")


def test_wordnet_files_are_read_and_words_brought_to_their_base_form(tmp_path, monkeypatch):
    folder = tmp_path / "wordnet"
    folder.mkdir()
    small_wordnet(folder)
    found = WordNet(folder)
    assert found.synonyms("dog") == ("domestic dog", "canis familiaris")
    assert found.synonyms("Dogs") == ("dog", "domestic dog", "canis familiaris")
    assert found.synonyms("children") == ("child", "kid") and found.synonyms("running") == ()  # runn, runne: no words
    assert found.synonyms("runs") == ("run", "operate") and found.synonyms("ill") == ("sick",)
    assert found.synonyms("unheard") == ()
    monkeypatch.setenv("WNSEARCHDIR", str(folder))
    assert find() == folder
    assert set(augmented(SynonymReplacement(prob=1, fraction=1), ["Two dogs"] * 40)) == {
        "Two Dog".replace("Dog", name) for name in ("dog", "domestic dog", "canis familiaris")
    }


def test_a_zip_of_nltk_s_is_read_alike(tmp_path):
    folder = tmp_path / "wordnet"
    folder.mkdir()
    small_wordnet(folder)
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "wordnet")
    assert WordNet(Path(archive)).synonyms("children") == WordNet(folder).synonyms("children") == ("child", "kid")


@pytest.mark.filterwarnings("ignore:The multilingual functions")
def test_the_whole_wordnet_agrees_with_nltk(tmp_path, monkeypatch):
    """nltk on the same files; what Debian's package lacks for it (lexnames) is written beside them."""
    nltk = pytest.importorskip("nltk.corpus.reader.wordnet")
    path = find()
    if path is None or path.suffix == ".zip":
        pytest.skip("no WordNet folder here (apt install wordnet-base)")
    monkeypatch.setattr("nltk.data.path", [str(tmp_path)])  # it opens no other files
    monkeypatch.setattr(
        nltk.WordNetCorpusReader, "map_wn", lambda self: None
    )  # to other releases: not needed, not there
    for file in path.iterdir():
        shutil.copy(file, tmp_path / file.name)
    kinds = "333" + "1" * 26 + "2" * 15 + "3"
    if not (tmp_path / "lexnames").exists():
        (tmp_path / "lexnames").write_text("".join(f"{n:02d}\tname{n}\t{kind}\n" for n, kind in enumerate(kinds)))
    theirs, ours = nltk.WordNetCorpusReader(str(tmp_path), None), WordNet(path)
    words = "dog dogs movies better went running children quick well ill happy leaves ice_cream Paris best saw hardly"
    for word in words.split():
        names = {name.lower().replace("_", " ") for synset in theirs.synsets(word) for name in synset.lemma_names()}
        assert set(ours.synonyms(word.replace("_", " "))) == names - {word.lower().replace("_", " ")}, word


def test_words_of_a_text_stay_as_many(distinct):
    text = " ".join(f"w{i}" for i in range(40))
    assert all(
        len(words_of(out)) == 40
        for out in augmented(SynonymReplacement(prob=1, fraction=0.5, path=distinct), [text] * 5)
    )


def test_marks_stay_and_long_texts_are_read_alike(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("&,and\nquick,fast\n", "utf-8")
    long = "none " * 400 + "quick & quick"
    method = SynonymReplacement(prob=1, fraction=1, path=str(path))
    assert augmented(method, ["quick & quick", long]) == ["fast & fast", "none " * 400 + "fast & fast"]
