"""What is fitted to validation outputs iterates over chunks; the outputs are in memory, in a file, or predicted again."""

import numpy as np
import pytest
import torch

from whet.core.outputs import Outputs
from whet.core.stages import Fits
from whet.data.table import Table, make_frame
from whet.methods import TemperatureScaling, ThresholdTuning, VectorScaling
from whet.tasks import INSTANCE_SEGMENTATION, SINGLE_LABEL
from whet.training import kept_outputs
from whet.training.crossfit import FOLDS, Parts, fit_predictor
from whet.training.kept_outputs import keep_outputs

N, K = 210, 4


@pytest.fixture
def logits():
    return 3 * torch.randn(N, K, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def part(logits):
    label = torch.multinomial((logits / 3).softmax(dim=1), 1, generator=torch.Generator().manual_seed(1))[:, 0]
    rows = [{"id": f"s{i}", "path": "", "label": int(k), "digest": str(i)} for i, k in enumerate(label)]
    return Table(make_frame(rows), tuple("abcd"), None)


class Predictor:
    """Predicts in an order of its own, without sample 7, which cannot be read. Counts its passes and the batches in memory."""

    def __init__(self, logits):
        self.logits, self.passes = logits, 0

    def __call__(self):
        self.passes += 1
        order = np.delete(np.arange(N)[::-1], N - 1 - 7)
        for start in range(0, len(order), 16):
            index_B = order[start : start + 16].copy()
            yield self.logits[torch.from_numpy(index_B)], index_B


PLACES = ["memory", "file", pytest.param("again", marks=pytest.mark.slow)]


@pytest.fixture(params=PLACES)
def kept(request, logits, part, tmp_path, monkeypatch):
    """(the outputs, the predictor, where they are)."""
    monkeypatch.setattr(kept_outputs, "_CHUNK", 40 * 4 * K)
    if request.param == "again":
        monkeypatch.setattr(kept_outputs, "free_disk", lambda folder: 0)
    predictor = Predictor(logits)
    in_memory = 4 * K * N if request.param == "memory" else 4 * K * N - 1
    return keep_outputs(predictor, part, tmp_path, in_memory), predictor, request.param


def test_every_iteration_gives_the_same_chunks(kept, logits, part, tmp_path):
    outputs, predictor, place = kept
    for _ in range(3):
        chunks = list(outputs)
        assert len(chunks) > 3 and max(len(chunk.ids) for chunk in chunks) == 48
        index_N = np.concatenate([[int(id_[1:]) for id_ in chunk.ids] for chunk in chunks])
        assert (index_N == outputs.index_N).all() and set(range(N)) - set(index_N) == {7}
        assert torch.equal(torch.cat([chunk.outputs for chunk in chunks]), logits[torch.from_numpy(index_N)])
        targets = torch.cat([chunk.targets.probs_BK for chunk in chunks])
        assert (targets.argmax(dim=1).numpy() == part.label_N[index_N]).all()
    assert predictor.passes == (4 if place == "again" else 1)
    assert list(tmp_path.iterdir()) == []  # a killed process leaves nothing behind


@pytest.mark.parametrize("method", [TemperatureScaling(), VectorScaling(), ThresholdTuning()], ids=lambda m: m.name)
def test_fits_are_bit_equal_to_those_on_one_tensor(kept, logits, part, method):
    outputs, *_ = kept
    rows = torch.from_numpy(outputs.index_N)
    assert isinstance(method, Fits)
    assert method.fit(outputs) == method.fit(Outputs.of(logits[rows], part.targets[rows]))


def test_a_cross_fitted_score_is_bit_equal_to_that_of_one_tensor(kept, logits, part):
    outputs, *_ = kept
    rows = torch.from_numpy(outputs.index_N)

    def scored(given):
        methods = [ThresholdTuning(), TemperatureScaling()]
        dealt = Parts(np.arange(N) % FOLDS, np.arange(N) % 2)
        return fit_predictor(methods, [lambda x: x], lambda p: given, dealt.rows, {}, SINGLE_LABEL)

    chunked, whole = scored(outputs), scored(Outputs.of(logits[rows], part.targets[rows]))
    whole.outputs.index_N = outputs.index_N
    assert chunked.outputs.whole()[0].shape == (N - 1, K)
    assert chunked.numbers == whole.numbers
    again = fit_predictor(
        [TemperatureScaling()], [lambda x: x], lambda p: outputs, Parts(np.arange(N) % FOLDS, np.arange(N) % 2).rows, {},
        SINGLE_LABEL,
    )  # fmt: skip
    fold_N = outputs.index_N % FOLDS
    for fold in range(FOLDS):
        alone = TemperatureScaling().fit(outputs.rows(fold_N != fold))["temperature"]
        out_N = torch.from_numpy(fold_N == fold)
        assert torch.equal(again.outputs.whole()[0][out_N], logits[rows][out_N] / alone)


def test_outputs_on_disk_are_read_chunk_by_chunk(part, tmp_path, monkeypatch):
    """Feature maps as of a segmentation: one pass holds one chunk."""
    monkeypatch.setattr(kept_outputs, "_CHUNK", 1)
    made = []

    def predict():
        for index in range(N):
            made.append(index)
            yield torch.full((1, K, 8, 8), float(index)), np.array([index])

    outputs = keep_outputs(predict, part, tmp_path, in_memory=0)
    sums = [float(chunk.outputs.sum()) for chunk in outputs.through(lambda maps: maps + 1).rows(np.arange(N) % 2 == 0)]
    assert sums == [(index + 1) * K * 64 for index in range(0, N, 2)]
    assert len(made) == N


@pytest.mark.parametrize("in_memory", [10**6, 0])
def test_statistics_of_different_widths_are_kept_as_they_are(in_memory, tmp_path, monkeypatch):
    """Instance segmentation keeps more of images with more objects, in float64; shorter rows are filled up with NaN."""
    monkeypatch.setattr(kept_outputs, "_CHUNK", 1)
    batches = [
        (torch.full((2, 3), 1 / 3, dtype=torch.float64), np.array([0, 1])),
        (torch.ones(1, 5, dtype=torch.float64), np.array([2])),
    ]
    rows = [{"id": f"s{i}", "path": "", "label": 0, "digest": str(i)} for i in range(3)]
    part = Table(make_frame(rows), ("background", "can"), None, chosen_task=INSTANCE_SEGMENTATION)
    outputs = keep_outputs(lambda: iter(batches), part, tmp_path, in_memory)
    found, targets = outputs.whole()
    assert targets is None
    assert found.dtype == torch.float64
    assert found[0].nan_to_num(-1).tolist() == [1 / 3, 1 / 3, 1 / 3, -1, -1]
    assert found[2].tolist() == [1.0] * 5
    merged = Outputs.merged([(np.array([True, False, False]), outputs), (np.array([False, True, True]), outputs)])
    assert torch.equal(merged.whole()[0].nan_to_num(-1), found.nan_to_num(-1))
