import numpy as np
import pytest
import torch
from tests.methods.texts import CHINESE, augmented, words_of

from whet.core.errors import RecipeError, WeightsError
from whet.core.rng import Rng
from whet.methods import ContextualSubstitution
from whet.methods.augment_text import contextual_substitution

VOCABULARY = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "##ing",
    ".",
    "the",
    "glass",
    "bottle",
    "paper",
    "box",
    "is",
    "clean",
    "old",
]


@pytest.fixture(scope="module")
def masked_model(tmp_path_factory):
    """A tiny BERT with fixed random weights, saved with its tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("bert")
    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]", model_max_length=64,
    ).save_pretrained(folder)  # fmt: skip
    with Rng(0).torch_scope("bert"):
        config = BertConfig(vocab_size=len(VOCABULARY), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                            intermediate_size=16, max_position_embeddings=64, initializer_range=0.5)  # fmt: skip
        BertForMaskedLM(config).save_pretrained(folder)
    return str(folder)


TEXT = "the old glass bottle is clean. the paper box is old."


def test_off_is_absence_and_the_model_must_be_given():
    assert augmented(ContextualSubstitution(prob=0), [TEXT]) == [TEXT]
    with pytest.raises(RecipeError, match="must be given"):
        augmented(ContextualSubstitution(), [TEXT] * 8)
    with pytest.raises(WeightsError, match="nowhere"):
        augmented(ContextualSubstitution(prob=1, model="/nowhere/at/all"), [TEXT])


def test_so_many_words_become_other_whole_words_of_the_model(masked_model):
    method = ContextualSubstitution(prob=1, fraction=0.3, model=masked_model, top=4)
    known = {word for word in VOCABULARY if word.isalpha()}
    for out in augmented(method, [TEXT] * 40):
        old, new = words_of(TEXT), words_of(out)
        changed = [(a, b) for a, b in zip(old, new) if a != b]
        assert len(old) == len(new) and len(changed) == int(0.3 * len(old)) and {b for _, b in changed} <= known


def test_candidates_come_as_often_as_the_model_says(masked_model):
    """One word, one place: the outputs follow the model's own probabilities, of the best `top` that are other words."""
    import transformers

    model = transformers.AutoModelForMaskedLM.from_pretrained(masked_model).eval()
    with torch.no_grad():
        odds = model(torch.tensor([[2, 4, 3]])).logits[0, 1].softmax(dim=0).numpy()
    allowed = [i for i in np.argsort(-odds) if VOCABULARY[i].isalpha() and VOCABULARY[i] != "glass"][:3]
    expected = odds[allowed] / odds[allowed].sum()
    outs = augmented(ContextualSubstitution(prob=1, model=masked_model, top=3, versions=1), ["glass"] * 3000)
    found = [outs.count(VOCABULARY[i]) / 3000 for i in allowed]
    assert found == pytest.approx(expected.tolist(), abs=0.03) and sum(found) == pytest.approx(1)


def test_the_same_twice_alone_or_in_a_batch_and_odd_texts_pass(masked_model):
    method = ContextualSubstitution(prob=1, model=masked_model)
    texts = [TEXT, "", "!?", CHINESE, "the [MASK] box", "old " * 300]
    whole = augmented(method, texts)
    contextual_substitution._expected.cache_clear()
    assert augmented(method, texts) == whole
    assert [augmented(method, [text], indices=[i])[0] for i, text in enumerate(texts)] == whole
    assert whole[1:3] == ["", "!?"]


def test_a_text_passes_the_model_once_a_version(masked_model, monkeypatch):
    calls = []
    true_predicted = contextual_substitution._predicted
    monkeypatch.setattr(
        contextual_substitution, "_predicted", lambda *words: calls.append(words) or true_predicted(*words)
    )
    contextual_substitution._expected.cache_clear()
    outs = {
        augmented(ContextualSubstitution(prob=1, model=masked_model, versions=3), [TEXT], epoch=e)[0] for e in range(40)
    }
    assert len(calls) <= 3 < len(outs)
