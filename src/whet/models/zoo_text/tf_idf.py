"""Words and pairs of words, weighted by inverse document frequency (TF-IDF). Sources: Spärck Jones 1972, "A statistical
interpretation of term specificity"; hashing of pairs: Weinberger et al. 2009, arXiv:0902.2206.

Deviates: weights as in scikit-learn's TfidfVectorizer, log((1 + N) / (1 + df)) + 1, features divided by their norm; pairs are
hashed to 65,536 buckets, and may include an end of the text. It has no trainable parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from whet.models.token_vectors import TokenVectors
from whet.models.zoo_text.fast_text import ngrams

_BUCKETS = 1 << 16


class TfIdf(nn.Module):
    """Token ids (B, L) -> (B, V + 65,536), rows of norm 1. `learn` estimates the weights of words and pairs."""

    def __init__(self, words: Sequence[str], pad_id: int) -> None:
        super().__init__()
        self.pad_id = pad_id
        self.words, self.pairs = nn.Embedding(len(words), 1), nn.Embedding(_BUCKETS, 1)
        for table in (self.words, self.pairs):
            nn.init.ones_(table.weight)
        self.vectors = TokenVectors()
        self.features = len(words) + _BUCKETS

    @torch.no_grad()
    def learn(self, texts: Iterable[np.ndarray]) -> None:
        """Estimate the weights from the token ids (B, L) of all training texts, padded."""
        count, seen_D = 0, torch.zeros(self.features, dtype=torch.int64)
        for ids_BL in map(torch.from_numpy, texts):
            place_BM, real_BM = self._places(ids_BL)
            text_BM = torch.arange(len(ids_BL))[:, None].expand_as(place_BM)
            once = torch.unique(text_BM[real_BM] * self.features + place_BM[real_BM])  # count each text once
            seen_D += torch.bincount(once % self.features, minlength=self.features)
            count += len(ids_BL)
        weight_D1 = (torch.log((1 + count) / (1 + seen_D.double())) + 1).float()[:, None]
        self.words.weight.copy_(weight_D1[: len(self.words.weight)])
        self.pairs.weight.copy_(weight_D1[len(self.words.weight) :])

    def forward(self, ids_BL: Tensor) -> Tensor:
        place_BM, value_BM = self._entries(ids_BL)
        return value_BM.new_zeros((ids_BL.shape[0], self.features)).scatter_add(1, place_BM, value_BM)

    def sparse(self, ids_BL: Tensor) -> Tensor:
        """The features as a sparse COO tensor."""
        place_BM, value_BM = self._entries(ids_BL)
        text_BM = torch.arange(len(ids_BL), device=ids_BL.device)[:, None].expand_as(place_BM)
        there_BM = value_BM != 0
        index_2E = torch.stack([text_BM[there_BM], place_BM[there_BM]])
        size = (len(ids_BL), self.features)
        return torch.sparse_coo_tensor(index_2E, value_BM[there_BM], size, check_invariants=False).coalesce()

    def _entries(self, ids_BL: Tensor) -> tuple[Tensor, Tensor]:
        """(feature index, value) of every word and pair of a text, (B, M); the value is 0 for padding."""
        x_BL1, real_BL = self.vectors(self.words(ids_BL), ids_BL != self.pad_id)
        place_BM, real_BM = self._places(ids_BL)
        pair_BP = place_BM[:, ids_BL.shape[1] :] - len(self.words.weight)
        real_BM = torch.cat([real_BL, real_BM[:, ids_BL.shape[1] :]], dim=1)
        value_BM = torch.cat([x_BL1, self.pairs(pair_BP)], dim=1)[..., 0] * real_BM
        # The norm is that of the unchanged weights, so that the evidence is linear in the weight of each word.
        whole_BM = torch.cat([self.words.weight[ids_BL], self.pairs.weight[pair_BP]], dim=1)[..., 0] * real_BM
        empty_BD = whole_BM.new_zeros((ids_BL.shape[0], self.features))
        norm_B1 = empty_BD.scatter_add(1, place_BM, whole_BM.detach()).norm(dim=1, keepdim=True)
        return place_BM, value_BM / norm_B1.clamp(min=1e-12)

    def _places(self, ids_BL: Tensor) -> tuple[Tensor, Tensor]:
        """(feature index of every word, then of every pair; whether it is not padding), (B, L + L + 1) each."""
        ((bucket_BP, real_BP),) = ngrams(ids_BL, self.pad_id, 2, _BUCKETS)
        place_BM = torch.cat([ids_BL, bucket_BP + len(self.words.weight)], dim=1)
        return place_BM, torch.cat([ids_BL != self.pad_id, real_BP], dim=1)


def tf_idf(words: Sequence[str], pad_id: int, *, width: float = 1.0, depth: int = 1) -> tuple[nn.Module, int]:
    """Words and pairs of words; `width` and `depth` have no effect."""
    model = TfIdf(words, pad_id)
    return model, model.features
