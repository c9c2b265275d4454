"""The first model of texts."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from whet.data.audit.texts.survey import TextSurvey

_HASHED = 2**18
_WORDS = r"\w+|[^\w\s]"
_MOST = 2_000  # characters of a text
_LOOSENESS, _STEPS = (
    10.0,
    60,
)  # C of the logistic regression, its iterations: full convergence is not needed


def text_features(survey: TextSurvey, rows: np.ndarray) -> Any:
    """The TF-IDF of the given rows, see `tf_idf`."""
    return tf_idf([survey.text_N[row] for row in rows])


def tf_idf(texts: Sequence[str]) -> Any:
    """The TF-IDF of `hashed_counts` over these texts, sparse (N, D), each row of length 1."""
    from sklearn.feature_extraction.text import TfidfTransformer

    return TfidfTransformer(sublinear_tf=True).fit_transform(hashed_counts(texts)).tocsr()


def text_probs(survey: TextSurvey, rows: np.ndarray, fold_R: np.ndarray) -> np.ndarray:
    """Out-of-fold probabilities (R, K) of a linear classifier on words, pairs of words, and character n-grams (n = 1 to 4), hashed
    and weighted by TF-IDF. Each fold (0, 1, …) is predicted by a model fitted on the others, which must contain every class of
    these texts; all other classes have probability 0."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.linear_model import LogisticRegression

    counts, label_R = hashed_counts([survey.text_N[row] for row in rows]), survey.label_N[rows]
    probs_RK = np.zeros((len(rows), len(survey.table.classes)))
    for fold in range(int(fold_R.max()) + 1):
        out_R = fold_R == fold
        weighing = TfidfTransformer(sublinear_tf=True).fit(counts[~out_R])
        model = LogisticRegression(C=_LOOSENESS, max_iter=_STEPS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(weighing.transform(counts[~out_R]), label_R[~out_R])
        probs_RK[np.ix_(out_R, model.classes_)] = model.predict_proba(weighing.transform(counts[out_R]))
    return probs_RK


def hashed_counts(texts: Sequence[str]) -> Any:
    """The counts of words, pairs of words, and character n-grams (n = 1 to 4) in each text, hashed: a sparse matrix (N, D).
    Features of a single text are left out, because they tell nothing about others, unless there are no more."""
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.pipeline import make_union

    plain = {"n_features": _HASHED, "alternate_sign": False, "norm": None}
    words = HashingVectorizer(ngram_range=(1, 2), token_pattern=_WORDS, **plain)
    characters = HashingVectorizer(analyzer="char_wb", ngram_range=(1, 4), **plain)
    counts = make_union(words, characters).fit_transform([text[:_MOST] for text in texts])
    shared = np.flatnonzero(counts.getnnz(axis=0) > 1)
    return counts[:, shared] if len(shared) else counts
