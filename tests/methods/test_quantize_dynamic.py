"""int8 with ranges found in every batch: the products of a text network."""

import pytest
from onnx import TensorProto, load
from tests.end_to_end.test_texts import write_texts

import whet
from whet.methods import QuantizeDynamic


@pytest.mark.slow
@pytest.mark.sample
def test_a_text_run_is_exported_in_int8(tmp_path):
    run = whet.train(
        write_texts(tmp_path / "waste.csv"), architecture="text_transformer", budget="1ep", out=tmp_path / "run"
    )
    bundle = whet.export(run, tmp_path / "bundle", methods=[QuantizeDynamic()], tolerance=50)
    [entry] = bundle.info["compression"]
    assert "undone" not in entry and entry["bytes"]["after"] < entry["bytes"]["before"]
    graph = load(bundle.path / "model.onnx").graph
    assert any(node.op_type in ("MatMulInteger", "DynamicQuantizeMatMul") for node in graph.node)
    assert any(one.data_type == TensorProto.INT8 for one in graph.initializer)
    assert bundle.check_golden() == []
    found = bundle.predict(["a plastic bottle", "old paper"])
    assert [one["error"] for one in found] == ["", ""]
