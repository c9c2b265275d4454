"""Explanations of texts: the contribution of every word to the evidence for a class, by integrated gradients.

Source: Sundararajan, Taly, Yan 2017, arXiv:1703.01365. The path is the straight line from a text with zero word vectors to the
text itself; the contributions of all words sum to the evidence for the text minus that for the zero vectors (completeness).
Deviates: the integral uses Gauss-Legendre quadrature, with as many points as needed for completeness within 1 %. Special tokens
around a text ([CLS], …), positions and padding are constant along the path.
"""

from __future__ import annotations

import contextlib
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from whet.explain.evidence import CannotExplain, evidence, with_gradients
from whet.models.ensemble import Member
from whet.models.front import TextFront
from whet.models.hub_text import TextEncoder
from whet.models.net import Net

MOST_POINTS = 256
_FIRST_POINTS = 16
_COMPLETE, _NEGLIGIBLE = 0.01, 1e-3  # tolerance as a share of the evidence gained along the path; and in logits
_AT_ONCE = 4096  # tokens per batch
# Scripts without spaces between words: every character is a word.
_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")


@dataclass(frozen=True)
class Piece:
    """A piece of the text, and its contribution to the evidence for the class: 0 between words, None for truncated text."""

    text: str
    evidence: float | None


@dataclass(frozen=True)
class WordHeat:
    """pieces: the whole text, piece by piece. blank: the evidence for the class with zero word vectors. total: that for the text
    itself. The contributions of the pieces sum to total - blank within `gap`."""

    pieces: tuple[Piece, ...]
    blank: float
    total: float
    gap: float

    @property
    def nothing(self) -> bool:
        """Whether there is no positive evidence for the class."""
        return not any(piece.evidence is not None and piece.evidence > 0 for piece in self.pieces)

    @property
    def lacking(self) -> float:
        """The gap relative to the expected sum of the contributions, if it is above 1 %; else 0."""
        return (
            0.0
            if _is_complete(self.gap, self.blank, self.total)
            else self.gap / max(abs(self.total - self.blank), 1e-12)
        )


@dataclass(frozen=True)
class Attribution:
    """share_T: the contribution of each token, float64 (T,). blank, total: as in `WordHeat`."""

    share_T: np.ndarray
    blank: float
    total: float

    @property
    def gap(self) -> float:
        """The absolute difference between the sum of the contributions and the expected sum."""
        return abs(float(self.share_T.sum()) - (self.total - self.blank))


def explain_text(
    members: Sequence[Member], text: str, max_tokens: int, k: int, most_points: int = MOST_POINTS
) -> WordHeat:
    """The mean contributions of the members for class k, per word. max_tokens: longer texts are truncated. most_points: maximum
    number of integration points."""
    front = members[0].net.front
    assert isinstance(front, TextFront)
    ids_1T, spans = front.receive([text], max_tokens), front.tokens.spans(text, max_tokens)
    found = [integrated_gradients(member, ids_1T, k, most_points) for member in members]
    share_T = np.mean([one.share_T for one in found], axis=0)
    blank, total, gap = (float(np.mean(values)) for values in zip(*((one.blank, one.total, one.gap) for one in found)))
    return WordHeat(tuple(_pieces(text, spans, share_T)), blank, total, gap)


def integrated_gradients(member: Member, ids_1T: Tensor, k: int, most_points: int = MOST_POINTS) -> Attribution:
    """The contribution of each token of one text, int64 (1, T), to the evidence for class k. Raises CannotExplain."""
    net = member.net
    tables = _tables(net)
    assert isinstance(net.front, TextFront)
    read_1T = net.front.tokens.special.in_text(ids_1T)
    with with_gradients(net):
        ends, _ = _along(member, tables, ids_1T, read_1T, k, np.array([0.0, 1.0]))
        points = min(_FIRST_POINTS, most_points)
        while True:
            place, weight = np.polynomial.legendre.leggauss(points)
            _, slope_ST = _along(member, tables, ids_1T, read_1T, k, (place + 1) / 2)
            found = Attribution((weight / 2) @ slope_ST, float(ends[0]), float(ends[1]))
            if _is_complete(found.gap, found.blank, found.total) or 2 * points > most_points:
                break
            points *= 2
    if not np.isfinite(found.share_T).all():
        raise CannotExplain(f"{net.spec.architecture}: the gradients with respect to the words are not finite")
    return found


def _is_complete(gap: float, blank: float, total: float) -> bool:
    return gap <= max(_COMPLETE * abs(total - blank), _NEGLIGIBLE)


def _tables(net: Net) -> list[nn.Module]:
    """The embedding tables of the words; for a transformers encoder without those of positions and segments."""
    if isinstance(net.backbone, TextEncoder):
        return [net.backbone.model.get_input_embeddings()]  # type: ignore[operator]
    found: list[nn.Module] = [module for module in net.backbone.modules() if isinstance(module, nn.Embedding)]
    if not found:
        raise CannotExplain(f"{net.spec.architecture} has no embedding table of words")
    return found


def _along(
    member: Member, tables: list[nn.Module], ids_1T: Tensor, read_1T: Tensor, k: int, share_S: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """At these fractions of the path from zero vectors to the text: the evidence (S,), and its derivative along the path per token,
    (S, T), both float64."""
    tokens = ids_1T.shape[1]
    evidence_parts, slope_ST = [], []
    for some in np.array_split(share_S, -(-len(share_S) * tokens // _AT_ONCE)):
        ids_ST = ids_1T.expand(len(some), tokens)
        with _on_the_way(tables, read_1T, torch.from_numpy(some).to(ids_1T.device)) as vectors:
            evidence_S = evidence(member, ids_ST, k)
        gradients = torch.autograd.grad(evidence_S.sum(), [point for point, _ in vectors], allow_unused=True)
        slope = np.zeros((len(some), tokens))
        for gradient, (_, whole_SMD) in zip(gradients, vectors):
            if gradient is not None:
                slope += _spread((gradient * whole_SMD).sum(dim=2).double().cpu().numpy(), read_1T[0].cpu().numpy())
        evidence_parts.append(evidence_S.detach().double().cpu().numpy())
        slope_ST.append(slope)
    return np.concatenate(evidence_parts), np.concatenate(slope_ST)


@contextlib.contextmanager
def _on_the_way(
    tables: list[nn.Module], read_1T: Tensor, share_S: Tensor
) -> Iterator[list[tuple[Tensor, Tensor]]]:  # fmt: skip
    """Within the block, the tables return vectors at these fractions of the path from zero to their values; the list collects them
    and the full values, (S, M, D) each, M = T or, for n-grams, more."""
    kept: list[tuple[Tensor, Tensor]] = []

    def move(table: nn.Module, inputs: tuple, found_SMD: Tensor) -> Tensor:
        whole = found_SMD.detach()
        if whole.shape[1] == read_1T.shape[1]:
            stays = torch.where(read_1T[:, :, None], 0.0, whole)
            whole = whole - stays
        else:
            stays = torch.zeros_like(whole)
        point = (stays + share_S.to(whole.dtype)[:, None, None] * whole).requires_grad_()
        kept.append((point, whole))
        return point

    handles = [table.register_forward_hook(move) for table in tables]
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()


def _spread(value_SM: np.ndarray, read_T: np.ndarray) -> np.ndarray:
    """Values of runs of n = M - T + 1 tokens, the first of which ends with the first token; each is divided equally among the
    tokens of its run that belong to the text: (S, M) -> (S, T)."""
    (S, M), T = value_SM.shape, len(read_T)
    around = M - T
    if not around:
        return value_SM
    real = np.pad(read_T.astype(float), around)
    count_M = sum(real[k : k + M] for k in range(around + 1))
    out = np.zeros((S, len(real)))
    for k in range(around + 1):
        out[:, k : k + M] += value_SM / np.maximum(count_M, 1) * real[k : k + M]
    return out[:, around : around + T]


def _pieces(text: str, spans: Sequence[tuple[int, int]], share_T: np.ndarray) -> Iterator[Piece]:
    """Split the text into words and the text between them. Tokens of one word, and of one character, are combined."""
    words: list[tuple[int, int, float]] = []
    for (start, end), share in zip(spans, share_T.tolist()):
        while start < end and text[start].isspace():  # some tokenizers include the space before a word
            start += 1
        if start == end:
            continue
        if words and (start < words[-1][1] or (start == words[-1][1] and _within_word(text, start))):
            first, last, before = words.pop()
            words.append((first, max(last, end), before + share))
        else:
            words.append((start, end, share))
    done = 0
    for start, end, share in words:
        if start > done:
            yield Piece(text[done:start], 0.0)
        yield Piece(text[start:end], share)
        done = end
    if done < len(text):
        rest = text[done:]
        yield Piece(rest, None if words and rest.strip() else 0.0)


def _within_word(text: str, place: int) -> bool:
    return all(
        (letter.isalnum() or unicodedata.combining(letter)) and not unicodedata.name(letter, "").startswith(_UNSPACED)
        for letter in text[place - 1 : place + 1]
    )
