"""Segmenters of transformers: their forward pass, their weights, their classes, and training."""

import json

import numpy as np
import pytest
import torch
import transformers as T
from safetensors.torch import load_file, save_file
from tests.models.kinds import SEGMENTERS

from whet.core.errors import RecipeError, WeightsError
from whet.core.instance_targets import InstanceTargets
from whet.core.mask_targets import MaskTargets
from whet.core.masks import IdMap
from whet.core.rng import Rng
from whet.core.spec import ModelSpec
from whet.models import build_net, load_net
from whet.models.build import save_net, usual_head
from whet.models.hub import load_classifier
from whet.models.query_outputs import logits_of, unpacked
from whet.tasks import INSTANCE_SEGMENTATION

SIDE = 64
PUBLISHED = ("wall", "sky", "tree", "road")
CLASSES = ("background", "can", "glass")


def save(name, folder, classes=PUBLISHED, **beside):
    kind = SEGMENTERS[name]
    named = {"id2label": dict(enumerate(classes)), "label2id": {label: k for k, label in enumerate(classes)}}
    config = kind.config(**{**kind.settings, "num_labels": len(classes), **named})
    with Rng(0).torch_scope("published"):
        kind.model(config).save_pretrained(folder)
    settings = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.25, 0.3], "size": {"height": SIDE, "width": SIDE}}
    (folder / "preprocessor_config.json").write_text(json.dumps({**settings, **beside}))
    return folder


def build(folder, classes=CLASSES, weights=None, head="auto"):
    spec = ModelSpec(architecture=str(folder), weights=str(weights or folder), head=head)
    with Rng(0).torch_scope("init"):
        return build_net(spec, classes, task="semantic-segmentation")


def pixels(count=2, side=SIDE):
    return Rng(0).batch("x", 0, np.arange(count)).uniform(0, 255, (side, side, 3)).astype(np.uint8)


def targets(net, count=2):
    labels = torch.from_numpy(pixels(count)[..., 0] % len(net.spec.classes))
    return MaskTargets.of(labels, net.task, len(net.spec.classes))


@pytest.fixture(params=SEGMENTERS)
def kind(request):
    return request.param


def theirs(found):
    """The class scores of transformers for every pixel: its logits, or those of its semantic post-processing."""
    if "logits" in found:
        return found.logits.softmax(dim=1)
    shares = found.class_queries_logits.softmax(dim=-1)[..., :-1]
    return torch.einsum("bqk,bqhw->bkhw", shares, found.masks_queries_logits.sigmoid())


def test_with_the_same_classes_it_predicts_what_transformers_predicts(kind, tmp_path):
    """In another order: the classifier is kept by name. `do_reduce_labels` shifts no class."""
    order = ("tree", "wall", "road", "sky")
    net, notes = build(save(kind, tmp_path / "published", do_reduce_labels=True), order)
    published = SEGMENTERS[kind].model.from_pretrained(tmp_path / "published", use_safetensors=True).eval()
    with torch.no_grad():
        x = net.eval().prepare(pixels())
        assert x.flatten(1).mean() == pytest.approx(0, abs=0.1)  # the folder's mean
        expected = theirs(published(pixel_values=x))[:, [PUBLISHED.index(name) for name in order]]
        found = net(x).softmax(dim=1) if "logits" in published(pixel_values=x) else net(x).exp()
    if kind == "upernet":  # transformers resizes its logits to the size of the image
        expected = torch.nn.functional.adaptive_avg_pool2d(expected, found.shape[2:])
        assert torch.allclose(found, expected, atol=0.02)
        assert (found.argmax(dim=1) == expected.argmax(dim=1)).float().mean() > 0.95
    else:
        assert torch.allclose(found, expected, atol=1e-5)
    assert found.shape[1] == 4 and found.shape[2] >= SIDE // 8
    assert any("classifier of the weights is kept" in note for note in notes)
    assert net.spec.native_size == SIDE and net.spec.mean == (0.4, 0.5, 0.6)


def test_other_classes_get_a_new_classifier_and_everything_else_is_kept(kind, tmp_path):
    """One name in common is not enough."""
    classes = ("wall", "sky", "can")
    net, notes = build(save(kind, tmp_path / "published"), classes)
    assert any(
        "a new classifier: the classes of the weights are wall, sky, tree, road, those of the data" in n for n in notes
    )
    published = dict(SEGMENTERS[kind].model.from_pretrained(tmp_path / "published").named_parameters())
    ours = {
        name.removeprefix("backbone.model.").replace("head.part.", "decode_head."): t
        for name, t in net.named_parameters()
    }
    kept = [name for name in published if name in ours and torch.equal(published[name], ours[name])]
    new = {name for name in ours if name not in kept}
    assert len(kept) > 10 and all(
        "classifier" in name or name in ("decode_head.weight", "decode_head.bias") for name in new
    )
    logits = net.eval()(net.prepare(pixels()))
    assert logits.shape[1] == 3 and logits.softmax(dim=1).std() < 0.2


def test_it_trains_with_one_image_is_saved_and_opens_in_transformers(kind, tmp_path):
    net, _ = build(save(kind, tmp_path / "published"))
    net = net.on(torch.device("cpu")).train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    with torch.autocast("cpu", torch.bfloat16):
        assert net(net.prepare(pixels(1))).shape[1] == 3
    logits = net(net.prepare(pixels(1)))
    net.task.loss(logits, targets(net, 1)).mean().backward()
    assert all(p.grad.isfinite().all() for p in net.parameters() if p.grad is not None)
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in net.backbone.parameters())
    optimizer.step()
    save_net(net.eval(), tmp_path / "model", {})
    x = net.prepare(pixels())
    opened = SEGMENTERS[kind].model.from_pretrained(tmp_path / "model").eval()
    with torch.no_grad():
        expected = net(x)
        assert torch.equal(net(x), expected)  # saving left the network whole
        assert torch.allclose(load_net(tmp_path / "model")(x), expected, atol=1e-5)
        if kind not in ("upernet",):
            shown = expected.exp() if ("num_queries" in SEGMENTERS[kind].settings) else expected.softmax(dim=1)
            assert torch.allclose(theirs(opened(pixel_values=x)), shown, atol=1e-5)
    assert opened.config.id2label == dict(enumerate(CLASSES))


@pytest.mark.slow
@pytest.mark.sample
def test_some_steps_lower_the_loss_on_an_image_and_its_mirror_image(kind, tmp_path):
    net, _ = build(save(kind, tmp_path / "published"))
    net.train()
    optimizer, losses = torch.optim.AdamW(net.parameters(), lr=1e-2), []
    halves = torch.zeros(2, SIDE, SIDE, dtype=torch.uint8)
    halves[0, :, SIDE // 2 :] = 1
    halves[1] = halves[0].flip(-1)
    images = (40 + 150 * halves[..., None].expand(-1, -1, -1, 3)).numpy().astype(np.uint8)
    wanted = MaskTargets.of(halves, net.task, 3)
    for _ in range(12):
        loss = net.task.loss(net(net.prepare(images)), wanted).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(np.log(3), abs=0.3)
    assert min(losses[6:]) < 0.7 * losses[0]


def test_the_head_is_the_decoder_and_the_rest_is_frozen_by_blocks(kind, tmp_path):
    net, _ = build(save(kind, tmp_path / "published"))
    blocks = net.blocks()
    assert sorted(name for names in blocks for name in names) == sorted(name for name, _ in net.named_parameters())
    assert len(net.block_names) >= 3
    assert 0 < net.freeze_blocks(len(net.block_names) // 2) < 1
    net.freeze_backbone()
    net.apply_freezing()
    assert {name for name, p in net.named_parameters() if p.requires_grad} == {
        name for name, _ in net.head.named_parameters(prefix="head")
    }


def test_weights_of_an_encoder_get_a_new_decoder(tmp_path):
    config = SEGMENTERS["segformer (with decoder)"].config(**SEGMENTERS["segformer (with decoder)"].settings)
    T.SegformerForImageClassification(config).save_pretrained(tmp_path)
    net, notes = build(tmp_path)
    assert any("the weights have no decoder" in note for note in notes)
    assert net.spec.head == "own"


@pytest.mark.parametrize("part", ["encoder", "linear_fuse"])
def test_weights_that_lack_a_tensor_are_refused(part, tmp_path):
    folder = save("segformer (with decoder)", tmp_path / "published")
    tensors = load_file(folder / "model.safetensors")
    lost = next(name for name in tensors if part in name)
    tensors.pop(lost)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"lack 1 tensors of the backbone, the first is"):
        build(folder)


def test_what_is_not_supported_is_refused_by_name(tmp_path):
    T.RfDetrConfig().save_pretrained(tmp_path / "rf_detr")
    refused = r"is a rf_detr \(its loss of boxes .*\); accepted .*segmenters eomt, mask2former, segformer, upernet"
    for task in ("semantic-segmentation", "instance-segmentation"):
        with pytest.raises(WeightsError, match=refused):
            build_net(ModelSpec(architecture=str(tmp_path / "rf_detr"), weights="none"), CLASSES, task=task)
    T.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1]).save_pretrained(tmp_path / "resnet")
    with pytest.raises(RecipeError, match=r"is a resnet, which brings no decoder.*accepted: eomt"):
        build(tmp_path / "resnet", weights="none", head="own")


def test_a_segmenter_is_no_teacher_of_classes(tmp_path):
    """transformers would give it a random classifier."""
    with pytest.raises(WeightsError, match=r"no complete image classifier: 2 tensors are missing.*classifier.bias"):
        load_classifier(str(save("segformer (with decoder)", tmp_path)))


def test_a_fixed_size_is_said(tmp_path):
    net, _ = build(save("eomt", tmp_path / "published"))
    with pytest.raises(RecipeError, match=r"eomt takes images of 64 x 64 px only, not 96 x 96"):
        net(torch.zeros(1, 3, 96, 96))


# --- objects ------------------------------------------------------------------------------------------------------------
QUERIES = ("mask2former", "eomt")


def build_objects(folder, classes=CLASSES, head="auto"):
    spec = ModelSpec(architecture=str(folder), weights=str(folder), head=head)
    with Rng(0).torch_scope("init"):
        return build_net(spec, classes, task="instance-segmentation")


@pytest.mark.parametrize("kind", QUERIES)
def test_queries_predict_objects_as_in_transformers(kind, tmp_path):
    """The classes of the weights have no background, and keep their classifier by name. In training all layers predict. The saved
    network is the same, in whet and in transformers."""
    order = ("tree", "wall", "road", "sky")
    net, notes = build_objects(save(kind, tmp_path / "published"), ("background", *order))
    assert net.spec.head == "own" and any("classifier of the weights is kept" in note for note in notes)
    x = net.eval().prepare(pixels())
    save_net(net, tmp_path / "model", {})
    opened = SEGMENTERS[kind].model.from_pretrained(tmp_path / "model").eval()
    assert opened.config.id2label == dict(enumerate(order))
    with torch.no_grad():
        found, theirs = net(x), opened(pixel_values=x)
        published = SEGMENTERS[kind].model.from_pretrained(tmp_path / "published").eval()(pixel_values=x)
        class_BQC, mask_BQhw = unpacked(found, logits_of(found))
        assert torch.allclose(class_BQC, theirs.class_queries_logits, atol=1e-5)
        places = [PUBLISHED.index(name) for name in order] + [len(PUBLISHED)]
        assert torch.allclose(class_BQC, published.class_queries_logits[..., places], atol=1e-5)
        assert torch.allclose(mask_BQhw, theirs.masks_queries_logits, atol=1e-5)
        assert torch.equal(load_net(tmp_path / "model")(x), found)
        layers = net.train()(x)
    assert layers.dim() == 5 and layers.shape[1] >= 2 and layers.shape[2:] == found.shape[1:]


@pytest.mark.parametrize("kind", QUERIES)
def test_queries_learn_two_objects(kind, tmp_path):
    net, notes = build_objects(save(kind, tmp_path / "published"))
    assert any("a new classifier" in note for note in notes)
    ids = np.zeros((SIDE, SIDE), np.uint16)
    ids[8:28, 8:28], ids[32:56, 32:60] = 1, 2
    target = InstanceTargets.of([IdMap(ids, np.array([1, 2]))], net.task, 3)
    image = np.full((1, SIDE, SIDE, 3), 60, np.uint8)
    image[0][ids > 0] = (200, 90, 120)
    optimizer, losses = torch.optim.AdamW(net.train().parameters(), lr=3e-3), []
    for step in range(30):
        with Rng(0).torch_scope("model", step):
            loss = net.task.loss(net(net.prepare(image)), target).sum()
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad.isfinite().all() for p in net.parameters() if p.grad is not None)
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-3:]) < 0.7 * losses[0]


def test_a_segmenter_of_pixels_has_no_objects(tmp_path):
    """Its encoder has: the head is then one of ours, as for other networks."""
    folder = save("segformer (with decoder)", tmp_path)
    with pytest.raises(
        RecipeError, match=r"is a segformer, which brings no decoder for objects.*accepted: eomt, mask2former, or"
    ):
        build_objects(folder, head="own")
    assert (
        usual_head(ModelSpec(architecture=str(folder), weights=str(folder)), INSTANCE_SEGMENTATION) == "centre_offset"
    )
