"""Training with simulated int8, and the export of the very integers that were trained with."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import load, numpy_helper
from tests.conftest import FAST, whet, write_images

import whet as package
from whet.bundle import Bundle
from whet.core.batch import Context, Progress
from whet.core.errors import RecipeError
from whet.core.recipe import Recipe, parse_methods
from whet.core.run_folder import RunFolder
from whet.exporting.compression import methods_of, quantizer_of
from whet.exporting.source import Source
from whet.exporting.trial import Candidate, opened
from whet.methods import QuantizeAware
from whet.models.build import load_net
from whet.models.fake_quantize import ActivationQuantizer, simulation_of
from whet.tasks import SINGLE_LABEL

CONTEXT = Context.of_loaded(SINGLE_LABEL, ("a", "b"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("aware")
    data = write_images(root / "images", {"glass": 20, "metal": 20})
    settings = [word for setting in FAST for word in ("--set", setting)]
    words = ("--architecture", "resnet9_slim", "--budget", "3ep", "--with", "quantize_aware", *settings)
    done = whet("train", data, "--out", root / "run", "--set", "quantize_aware.share=0.5", *words)
    assert done.returncode == 0, done.stderr
    return root / "run"


@pytest.fixture(scope="module")
def exported(run: Path) -> tuple[Path, dict]:
    done = whet("export", run, "--out", run.parent / "bundle", "--tolerance", "20", "--json")
    assert done.returncode == 0, done.stderr
    return run.parent / "bundle", json.loads(done.stdout)


def test_rounding_begins_late_and_batchnorm_stays_later(net):
    method = QuantizeAware(share=0.4)
    changed = method.change(net(), CONTEXT).train()
    runtime = method.start(changed, CONTEXT)
    norms = [module for module in changed.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    seen = []
    for step in range(1, 11):
        runtime.after_step(Progress(step, 10, 5))
        seen.append((simulation_of(changed).rounds, any(norm.training for norm in norms)))
    assert norms and seen == [(False, True)] * 5 + [(True, True)] * 2 + [(True, False)] * 3


def test_a_resumed_training_rounds_as_before(net):
    method = QuantizeAware(share=0.4)
    changed = method.change(net(), CONTEXT).train()
    runtime = method.start(changed, CONTEXT)
    runtime.load_state_dict({"rounds": True, "keeps": True})
    assert simulation_of(changed).rounds and runtime.state_dict() == {"rounds": True, "keeps": True}
    assert not any(m.training for m in changed.modules() if isinstance(m, torch.nn.BatchNorm2d))
    assert [name for name, _ in changed.named_buffers() if name.endswith(".high")]  # ranges are saved with the weights


def test_all_of_the_training_can_round(net):
    method = QuantizeAware(share=1)
    changed = method.change(net(), CONTEXT)
    method.start(changed, CONTEXT)
    assert simulation_of(changed.train()).rounds


def test_the_saved_network_computes_with_the_levels_it_was_trained_with(run):
    net = load_net(RunFolder(run).model)
    quantizers = [module for module in net.modules() if isinstance(module, ActivationQuantizer)]
    assert quantizers and all(int(one.count) > 0 for one in quantizers)
    layers = [m for name, m in net.named_modules() if isinstance(m, torch.nn.Conv2d)][1:]
    assert all(len(channel.unique()) <= 129 for layer in layers for channel in layer.weight)
    predictions = package.load(run).predict(sorted((run.parent / "images").rglob("*.*"))[:6])
    assert len(predictions) == 6


@pytest.mark.slow
@pytest.mark.sample
def test_the_exported_graph_has_the_scales_of_the_training(run, exported):
    out, told = exported
    [entry] = told["compression"]
    assert list(entry["method"]) == ["quantize_aware"] and "undone" not in entry, entry
    assert entry["bytes"]["after"] < 0.5 * entry["bytes"]["before"] and told["exported"]["dtype"] == "int8"
    graph = load(out / "model.onnx").graph
    constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    weights = [node.input[1] for node in graph.node if node.op_type == "Conv"]
    assert [name in constants for name in weights] == [True] + [False] * (
        len(weights) - 1
    )  # but the first are dequantized
    ranged = [node.input[1:] for node in graph.node if node.op_type == "QuantizeLinear"]
    found = {(float(constants[scale]), int(constants[zero])) for scale, zero in ranged}
    net = load_net(RunFolder(run).model)
    wanted = [m.parameters_of_range() for m in net.modules() if isinstance(m, ActivationQuantizer)]
    assert found == {(float(scale), int(zero)) for scale, zero in wanted}


@pytest.mark.slow
@pytest.mark.sample
def test_int8_scores_as_the_simulated_network(run, exported):
    out, _ = exported
    source = Source.open(run)
    part, bundle = source.part("test"), Bundle.read(out)
    samples = bundle.batch([bundle.prepare(part.content(row)) for row in range(len(part))])
    int8 = bundle_scores(bundle, samples)
    exact = source.reference.outputs(samples)
    with source.reference.simulated():
        simulated = source.reference.outputs(samples)
    assert np.abs(int8 - simulated).max() < 0.05 * np.abs(simulated).max()
    assert np.abs(int8 - simulated).mean() < np.abs(exact - simulated).mean()
    margin = np.sort(simulated, axis=1)
    clear = margin[:, -1] - margin[:, -2] > 2 * np.abs(int8 - simulated).max()
    assert clear.any() and (int8.argmax(1) == simulated.argmax(1))[clear].all()
    assert np.array_equal(source.reference.outputs(samples), exact)  # floating point again


def bundle_scores(bundle: Bundle, samples: np.ndarray) -> np.ndarray:
    from whet.core.language import Sentence

    candidate = Candidate(Sentence(""), (bundle.path / "model.onnx").read_bytes())
    return opened(candidate, bundle).run(["scores"], {"samples": samples})[0]


def test_int8_takes_the_method_of_the_training():
    aware = Recipe(methods=parse_methods(["adamw", "quantize_aware"]))
    plain = Recipe(methods=parse_methods(["adamw"]))
    assert (quantizer_of(aware), quantizer_of(plain)) == ("quantize_aware", "quantize_static")
    with pytest.raises(RecipeError, match="acts in training"):
        methods_of(plain, [QuantizeAware()])
    assert methods_of(aware, [])[1] == [QuantizeAware()]
