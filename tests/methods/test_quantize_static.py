"""int8 with fixed ranges: which nodes stay in floating point, how weights are rounded, and what an export hands over."""

import json

import numpy as np
import pytest
import torch
from onnx import TensorProto, load, load_from_string
from tests.conftest import whet
from torch import nn

from whet.bundle import Bundle
from whet.core.language import Sentence
from whet.exporting.graph import onnx_model
from whet.exporting.int8 import SESSION_INT8, Graph, StaticInt8, _rounded, dynamic_int8
from whet.exporting.trial import Candidate, Measured, best


class Small(nn.Module):
    """Normalisation, three convolutions with activations, a head, probabilities."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1), nn.ReLU6(), nn.Conv2d(16, 16, 3, groups=16, padding=1), nn.ReLU(),
            nn.Conv2d(16, 32, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )  # fmt: skip
        self.head = nn.Linear(32, 5)

    def forward(self, samples):
        scores = self.head(self.body(samples.float().permute(0, 3, 1, 2) / 128 - 1))
        return scores, scores.softmax(dim=1)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return Graph(onnx_model(Small().eval(), torch.randint(0, 256, (2, 16, 16, 3), dtype=torch.uint8), (0,)))


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (1, 16, 16, 3), dtype=np.uint8) for _ in range(16)]


def kinds(graph: Graph, names) -> list[str]:
    return [node.op_type for node in graph.nodes if node.name in names]


def scores(model: bytes, images, config=SESSION_INT8) -> np.ndarray:
    from whet.bundle.predict import open_session

    session = open_session(model, {"config": dict(config), "providers": ["CPUExecutionProvider"]}, threads=1)
    return np.concatenate([session.run(["scores"], {"samples": one})[0] for one in images])


def test_normalisation_and_head_are_told_from_layers(graph):
    assert "Conv" not in kinds(graph, graph.preparation) and "Cast" in kinds(graph, graph.preparation)
    assert {"Gemm", "Softmax"} <= set(kinds(graph, graph.head)) and "Conv" not in kinds(graph, graph.head)
    assert [kinds(graph, layer)[0] for layer in graph.layers] == ["Conv"] * 3
    assert all(len(layer) == 2 for layer in graph.layers)  # with its activation


def test_everything_up_to_the_logarithm_is_preparation():
    class Sound(nn.Module):
        def __init__(self):
            super().__init__()
            self.mel, self.body, self.head = nn.Conv1d(1, 8, 4), nn.Conv1d(8, 8, 3), nn.Linear(8, 2)

        def forward(self, samples):
            bands = self.mel(samples[:, None]).square().clamp(min=1e-6).log()
            scores = self.head(self.body(bands).relu().mean(dim=2))
            return scores, scores.softmax(dim=1)

    found = Graph(onnx_model(Sound().eval(), torch.randn(2, 64), (0,)))
    assert kinds(found, found.preparation).count("Conv") == 1
    assert len(found.layers) == 1


def test_quantized_scores_are_near_and_weights_take_seven_bits(graph, images):
    exact = scores(graph.content, images, {})
    with StaticInt8(graph, images) as static:
        check(static, graph, images, exact)


def check(static, graph, images, exact):
    made = static.quantized(graph.preparation | graph.head)
    assert np.abs(scores(made, images) - exact).max() < 0.05 * np.abs(exact).max()
    weights = [
        one
        for one in load_from_string(made).graph.initializer
        if one.data_type == TensorProto.INT8 and len(one.dims) == 4
    ]
    assert len(weights) == 3
    assert max(np.abs(np.frombuffer(one.raw_data, np.int8)).max() for one in weights) == 64
    layer = graph.layers[1]
    kept = load_from_string(static.quantized(graph.preparation | graph.head | layer)).graph
    assert sum(one.data_type == TensorProto.INT8 and len(one.dims) == 4 for one in kept.initializer) == 2
    one_layer = np.abs(scores(static.rounded(layer), images, {}) - exact).max()
    assert 0 < one_layer < np.abs(scores(made, images) - exact).max() * 3


def test_rounded_weights_have_the_error_of_half_a_step():
    from onnx import helper

    weight = np.random.default_rng(1).normal(size=(4, 3, 3, 3)).astype(np.float32)
    found = _rounded(weight, helper.make_node("Conv", ["x", "w"], ["y"]))
    step = np.abs(weight).max(axis=(1, 2, 3), keepdims=True) / 64
    assert (np.abs(found - weight) <= step / 2 + 1e-7).all()
    assert max(len(np.unique(one)) for one in found) <= 129


def test_dynamic_quantization_takes_products_alone(graph, images):
    made = dynamic_int8(graph, ())
    types = [node.op_type for node in load_from_string(made).graph.node]
    assert types.count("Conv") == 3 and "MatMulInteger" in types
    exact = scores(graph.content, images, {})
    assert np.abs(scores(made, images) - exact).max() < 0.05 * np.abs(exact).max()
    assert dynamic_int8(graph, graph.head).count(b"MatMulInteger") == 0


def test_the_fastest_within_the_tolerance_is_taken():
    def measured(cost: float, milliseconds: float) -> Measured:
        return Measured(Candidate(Sentence(""), b""), None, 0.9, cost, cost, cost, milliseconds)

    slow, fast, alike, bad = measured(0.0, 9.0), measured(0.01, 5.0), measured(0.004, 5.1), measured(0.2, 1.0)
    assert best([slow, fast, alike, bad], 0.01) is alike
    assert best([slow, bad], 0.01) is slow
    assert best([bad], 0.01) is None


@pytest.fixture(scope="module")
def int8(finished_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("int8") / "bundle"
    done = whet("export", finished_run, "--out", out, "--quantize", "int8", "--tolerance", "20", "--json")
    assert done.returncode == 0, done.stderr
    return out, json.loads(done.stdout)


def test_an_export_tells_what_int8_cost(int8, finished_run):
    out, told = int8
    [entry] = told["compression"]
    assert entry["method"] == {"quantize_static": {"samples": 128}} and "undone" not in entry
    assert entry["bytes"]["after"] < 0.4 * entry["bytes"]["before"]
    assert entry["cost"]["low"] <= entry["cost"]["mean"] <= entry["cost"]["high"]
    assert told["exported"]["dtype"] == "int8"
    assert told["exported"]["accuracy"] == pytest.approx(entry["value"]["after"])
    assert entry["value"]["before"] == pytest.approx(told["recorded"]["accuracy"])
    bundle = Bundle.read(out)
    assert bundle.info["session"]["config"].items() >= SESSION_INT8.items()
    assert bundle.check_golden() == []
    assert any(one.data_type == TensorProto.INT8 for one in load(out / "model.onnx").graph.initializer)
    assert "int8" in (out / "README.md").read_text()


def test_what_costs_too_much_is_undone(finished_run, tmp_path, monkeypatch):
    import whet as package
    from whet.exporting import compression

    monkeypatch.setattr(compression, "best", lambda tried, tolerance: None)
    methods = [package.core.registry.registry().get("quantize_static")()]
    bundle = package.export(finished_run, tmp_path / "bundle", methods=methods)
    [entry] = bundle.info["compression"]
    assert "on the validation samples it costs at least" in entry["undone"]
    assert bundle.info["metrics"]["exported"]["dtype"] == "fp32"
    assert not any(one.data_type == TensorProto.INT8 for one in load(bundle.path / "model.onnx").graph.initializer)


def test_thinner_layers_that_save_nothing_are_undone(finished_run, tmp_path):
    done = whet("export", finished_run, "--out", tmp_path / "bundle", "--low-rank", "1", "--json")
    assert done.returncode == 0, done.stderr
    [entry] = json.loads(done.stdout)["compression"]
    assert list(entry["method"]) == ["low_rank"] and entry["undone"]
