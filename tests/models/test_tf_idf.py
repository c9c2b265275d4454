"""TF-IDF as a backbone: scikit-learn's features, dense and sparse, and what the training texts taught it."""

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer

from whet.core.spec import ModelSpec
from whet.models.build import build_net, load_net, save_net
from whet.models.zoo_text.tf_idf import TfIdf

TEXTS = ["red glass bottle", "red red box", "old glass jar of glass", "paper box", "a box"]


@pytest.fixture(scope="module")
def net():
    return build_net(ModelSpec(architecture="tf_idf", weights="none"), ("a", "b"), "text", TEXTS)[0].eval()


@torch.no_grad()
def features(net, texts):
    return net.backbone(net.prepare(texts, 64))


def test_words_alone_are_scikit_learn_s(net):
    reference = TfidfVectorizer(token_pattern=r"\S+").fit(TEXTS)
    wanted = reference.transform(TEXTS).toarray()
    names, words = reference.get_feature_names_out(), net.front.tokens.words
    found = features(net, TEXTS).numpy()[:, [words.index(name) for name in names]]
    found /= np.linalg.norm(found, axis=1, keepdims=True)  # pairs of words have a share of the norm, too
    assert found == pytest.approx(wanted, abs=1e-5)


def test_rows_have_norm_one_and_pairs_tell_orders_apart(net):
    found = features(net, ["red glass bottle", "bottle glass red", ""])
    assert found[:2].norm(dim=1).tolist() == pytest.approx([1, 1])
    assert (found[0] - found[1]).abs().max() > 0.1


def test_sparse_features_are_the_dense_ones(net):
    ids_BL = net.prepare([*TEXTS, "never seen"], 64)
    with torch.no_grad():
        assert torch.allclose(net.backbone.sparse(ids_BL).to_dense(), net.backbone(ids_BL))


def test_the_weights_do_not_depend_on_how_texts_are_handed_over():
    ids = np.array([[3, 4, 0, 0], [4, 4, 5, 6], [3, 0, 0, 0]])
    whole, parts = (TfIdf(["", "", "", "x", "y", "z", "w"], 0) for _ in range(2))
    whole.learn([ids])
    parts.learn([ids[:1], ids[1:, :4]])
    assert torch.equal(whole.words.weight, parts.words.weight) and torch.equal(whole.pairs.weight, parts.pairs.weight)
    assert whole.words.weight[4].item() == pytest.approx(np.log(4 / 3) + 1)  # in two of three texts


def test_it_is_saved_with_what_it_learned(net, tmp_path):
    save_net(net, tmp_path / "model", {"task": "text-classification"})
    assert torch.equal(features(load_net(tmp_path / "model"), TEXTS), features(net, TEXTS))
