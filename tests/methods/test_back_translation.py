import pytest
from tests.methods.texts import augmented

from whet.core.errors import RecipeError, WeightsError
from whet.core.rng import Rng
from whet.methods import BackTranslation
from whet.methods.augment_text import back_translation
from whet.methods.augment_text.back_translation import translated

WORDS = [
    "<pad>",
    "</s>",
    "<unk>",
    "the",
    "glass",
    "bottle",
    "is",
    "clean",
    ".",
    "das",
    "Glas",
    "Flasche",
    "ist",
    "sauber",
]


@pytest.fixture(scope="module")
def marian(tmp_path_factory):
    """marian(seed): the folder of a tiny Marian model with fixed random weights and a tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import MarianConfig, MarianMTModel, PreTrainedTokenizerFast

    def made(seed):
        folder = tmp_path_factory.mktemp(f"marian{seed}")
        tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
        PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=12
        ).save_pretrained(folder)
        with Rng(seed).torch_scope("marian"):
            config = MarianConfig(
                vocab_size=len(WORDS), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
                decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=12, init_std=0.5,
                pad_token_id=0, eos_token_id=1, decoder_start_token_id=0, forced_eos_token_id=1,
            )  # fmt: skip
            MarianMTModel(config).save_pretrained(folder)
        return str(folder)

    return made


@pytest.fixture(scope="module")
def pair(marian):
    return {"there": marian(1), "back": marian(2)}


def test_off_is_absence_and_both_models_must_be_given():
    assert augmented(BackTranslation(prob=0), ["the glass"]) == ["the glass"]
    with pytest.raises(RecipeError, match="must be given"):
        augmented(BackTranslation(prob=1, there="x"), ["the glass"])
    with pytest.raises(WeightsError, match="nowhere"):
        augmented(BackTranslation(prob=1, there="/nowhere/a", back="/nowhere/b"), ["the glass"])


@pytest.mark.filterwarnings("ignore")  # transformers warns of its own defaults
def test_sentence_by_sentence_through_both_models(pair):
    text = "  the glass is clean.\n\nthe bottle.  "
    (out,) = augmented(BackTranslation(prob=1, versions=1, **pair), [text])
    ways = [
        translated(pair["back"], translated(pair["there"], one, 1)[0], 1)[0]
        for one in ("the glass is clean.", "the bottle.")
    ]
    assert out == f"  {ways[0]}\n\n{ways[1]}  " and out != text


@pytest.mark.filterwarnings("ignore")
def test_versions_are_drawn_and_kept(pair, monkeypatch):
    text, calls = "the glass bottle is clean", []
    true_translated = back_translation.translated
    monkeypatch.setattr(back_translation, "translated", lambda *words: calls.append(words) or true_translated(*words))
    back_translation._back_translated.cache_clear()
    seen = [augmented(BackTranslation(prob=1, versions=2, **pair), [text], epoch=epoch)[0] for epoch in range(40)]
    assert len(calls) == 2 and len(set(seen)) == 2 and 8 <= seen.count(seen[0]) <= 32
    best = true_translated(pair["back"], true_translated(pair["there"], text, 1)[0], 2)
    assert set(seen) == set(best)


@pytest.mark.filterwarnings("ignore")
def test_odd_texts_pass_and_a_sample_s_result_hangs_on_itself_alone(pair):
    texts = ["the glass", "", " \n", "the glass " * 30, "!?"]
    method = BackTranslation(prob=1, **pair)
    whole = augmented(method, texts)
    assert whole[1:4] == texts[1:4]  # the third is longer than the model takes
    assert [augmented(method, [text], indices=[i])[0] for i, text in enumerate(texts)] == whole
