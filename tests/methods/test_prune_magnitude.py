import copy
import gzip

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from whet.core.errors import NoEffectError
from whet.methods import PruneMagnitude
from whet.models.net import Net, NetSpec, new_head
from whet.testing.bench import make_bench


def layers_of(net):
    return [layer for layer in net.backbone.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]


def test_the_smallest_weights_of_all_layers_are_zero_as_in_torch(context):
    """torch.nn.utils.prune.global_unstructured with L1Unstructured."""
    net = make_bench((), architecture="resnet9_slim").plan.net.eval()
    before = copy.deepcopy(net.state_dict())
    sparse, theirs = PruneMagnitude(share=0.4).compress(net, context()), copy.deepcopy(net)
    theirs.to(memory_format=torch.contiguous_format)
    prune.global_unstructured([(layer, "weight") for layer in layers_of(theirs)], prune.L1Unstructured, amount=0.4)
    for ours, other in zip(layers_of(sparse), layers_of(theirs), strict=True):
        assert torch.equal(ours.weight, other.weight)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    left = {
        name.rpartition(".")[0] for name, tensor in sparse.state_dict().items() if not torch.equal(tensor, before[name])
    }
    assert left == {name for name, layer in sparse.named_modules() if any(layer is one for one in layers_of(sparse))}


def test_the_file_is_smaller_only_when_it_is_compressed_and_the_note_says_so(context):
    net = make_bench((), architecture="resnet9_slim").plan.net.eval()
    sparse = PruneMagnitude(share=0.8).compress(net, context())
    dense, thin = (b"".join(p.detach().numpy().tobytes() for p in one.parameters()) for one in (net, sparse))
    assert len(thin) == len(dense)
    assert len(gzip.compress(thin)) < 0.4 * len(gzip.compress(dense))
    (note,) = sparse.notes
    assert note == (
        "prune_magnitude: 328,435 of 410,544 weights are zero; this makes the model smaller only when it is compressed, "
        "and never faster"
    )
    assert not sparse.spec.changes


def test_what_an_embedding_shares_stays_and_nothing_is_no_effect(context):
    table, tied, own = nn.Embedding(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)
    tied.weight = table.weight
    spec = NetSpec("zoo", "bench", ("a", "b"), (0.5,) * 3, (0.25,) * 3)
    sparse = PruneMagnitude(share=0.5).compress(Net(spec, nn.Sequential(table, tied, own), new_head(8, 2)), context())
    assert int((sparse.backbone[2].weight == 0).sum()) == 32
    assert int((sparse.backbone[1].weight == 0).sum()) == 0
    with pytest.raises(NoEffectError):
        PruneMagnitude().compress(Net(spec, nn.Flatten(), new_head(8, 2)), context())
