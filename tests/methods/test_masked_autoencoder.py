import copy

import numpy as np
import pytest
import torch
from transformers import BeitConfig, ViTConfig, ViTMAEConfig, ViTMAEForPreTraining

from whet.core.batch import Batch, Context, Outcome
from whet.core.errors import RecipeError
from whet.core.rng import Rng
from whet.core.spec import ModelSpec
from whet.methods import MaskedAutoencoder
from whet.methods.pretrain.masked_autoencoder import normalised
from whet.methods.pretrain.two_views import CollapseWatch
from whet.models.build import build_net
from whet.models.patches import patchify
from whet.models.visible import visible_encoder
from whet.models.zoo.vit import VisionTransformer, positions
from whet.tasks import PRETRAINING
from whet.testing.bench import make_bench, train_steps

SMALL = MaskedAutoencoder(width=32, depth=1)
CONTEXT = Context(PRETRAINING, ("a",), np.zeros(1), None, rng=Rng(5))


def net_of(architecture, medium="image"):
    spec = ModelSpec(architecture=str(architecture), weights="none")
    with Rng(0).torch_scope("init"):
        return build_net(spec, ("a",), medium, task="pretraining")[0]


def batch_of(x, epoch=0):
    targets = PRETRAINING.collate(np.zeros(len(x), dtype=np.int64), 1, None)
    return Batch(x, targets, np.arange(len(x)), torch.ones(len(x)), epoch)


def ramps(count, side=32):
    """Images that become lighter in one of four directions: each patch follows from any other."""
    y, x = np.mgrid[:side, :side] / side
    ways = np.stack([x, y, 1 - x, 1 - y])[np.arange(count) % 4]
    return torch.from_numpy(np.repeat(ways[:, None], 3, axis=1)).float()


def loss_of(net, method=SMALL):
    zero = lambda outcome: torch.zeros(len(outcome.batch))  # noqa: E731
    loss = method.wrap_loss(zero, net, CONTEXT)
    return lambda x, epoch=0: loss(Outcome(torch.zeros(len(x), 0), batch_of(x, epoch), net))


def test_the_loss_of_a_vit_is_that_of_transformers(tmp_path):
    """The same weights, the same mask."""
    sizes = {
        "hidden_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "image_size": 32,
    }
    ViTConfig(**sizes, patch_size=8, layer_norm_eps=1e-6).save_pretrained(tmp_path)
    net = MaskedAutoencoder(width=64, depth=2).change(net_of(tmp_path), CONTEXT).eval()
    config = ViTMAEConfig(
        **sizes, patch_size=8, layer_norm_eps=1e-6, norm_pix_loss=True, decoder_hidden_size=64,
        decoder_num_hidden_layers=2, decoder_num_attention_heads=2, decoder_intermediate_size=256,
    )  # fmt: skip
    theirs = ViTMAEForPreTraining(config).eval()
    theirs.vit.load_state_dict(net.backbone.model.vit.state_dict())
    ours, decoder = net.pretext.decoder, theirs.decoder
    with torch.no_grad():
        decoder.decoder_pos_embed[0, 1:] = positions(torch.zeros(1, 64, 4, 4)).flatten(1).T
        decoder.mask_token.copy_(ours.mask)
        pairs = [(decoder.decoder_embed, ours.embed), (decoder.decoder_norm, ours.norm)]
        pairs.append((decoder.decoder_pred, ours.predict))
        for layer, block in zip(decoder.decoder_layers, ours.blocks, strict=True):
            query, key, value = block.attention.qkv.weight.chunk(3)
            for part, weight in zip("qkv", (query, key, value), strict=True):
                getattr(layer.attention, f"{part}_proj").weight.copy_(weight)
                getattr(layer.attention, f"{part}_proj").bias.zero_()
            pairs += [(layer.attention.o_proj, block.attention.proj), (layer.layernorm_before, block.norm1)]
            pairs += [
                (layer.layernorm_after, block.norm2),
                (layer.mlp.fc1, block.mlp[0]),
                (layer.mlp.fc2, block.mlp[2]),
            ]
        for one, other in pairs:
            one.load_state_dict(other.state_dict())
        x = ramps(6)
        seen_BM, masked_BK = SMALL.drawn(batch_of(x), 16, CONTEXT, held_out=True)
        noise = torch.cat([seen_BM, masked_BK], dim=1).argsort(dim=1).float()  # transformers sorts by it
        found = theirs(x, noise=noise)
        assert found.mask.gather(1, masked_BK).all() and found.mask.sum() == masked_BK.numel()
        loss_B = loss_of(net, MaskedAutoencoder(width=64, depth=2))(x)
    assert loss_B.mean().item() == pytest.approx(found.loss.item(), rel=1e-5)


def test_the_loss_is_one_for_the_mean_of_a_patch_and_counts_masked_patches_only():
    net = SMALL.change(net_of("vit_tiny"), CONTEXT).eval()
    for parameter in net.pretext.decoder.predict.parameters():
        torch.nn.init.zeros_(parameter)
    x, loss = ramps(4), loss_of(net)
    pixels = 8 * 8 * 3
    assert loss(x).tolist() == pytest.approx([(pixels - 1) / pixels] * 4, abs=1e-3)
    seen_BM, _ = SMALL.drawn(batch_of(x), 16, CONTEXT, held_out=True)
    net.pretext.decoder.forward = lambda *given: normalised(patchify(x, 8)).scatter(
        1, seen_BM[..., None].expand(-1, -1, pixels), 9.0
    )
    assert loss(x).abs().max() < 1e-6  # wrong in the visible patches alone


def test_three_quarters_are_masked_anew_for_every_sample_and_epoch():
    x = torch.zeros(400, 1)
    drawn = [SMALL.drawn(batch_of(x, epoch), 16, CONTEXT, held_out=False) for epoch in (0, 0, 1)]
    (seen_BM, masked_BK), again, later = drawn
    assert seen_BM.shape == (400, 4) and masked_BK.shape == (400, 12)
    assert (torch.cat([seen_BM, masked_BK], dim=1).sort(dim=1).values == torch.arange(16)).all()
    assert torch.equal(seen_BM, again[0]) and not torch.equal(seen_BM, later[0])
    share_N = torch.bincount(masked_BK.flatten(), minlength=16) / 400
    assert (share_N - 0.75).abs().max() < 4 * (0.75 * 0.25 / 400) ** 0.5
    part = SMALL.drawn(batch_of(x).rows(slice(100, 120)), 16, CONTEXT, held_out=False)
    assert torch.equal(part[0], seen_BM[100:120])  # whatever else is in the batch
    assert not torch.equal(SMALL.drawn(batch_of(x), 16, CONTEXT, held_out=True)[0], seen_BM)
    few = MaskedAutoencoder(masked=0.99).drawn(batch_of(x), 2, CONTEXT, held_out=False)
    assert few[0].shape == few[1].shape == (400, 1)
    with pytest.raises(RecipeError, match="a sample has 1 patches, and at least 2 are needed"):
        SMALL.drawn(batch_of(x), 1, CONTEXT, held_out=False)


@pytest.mark.parametrize(
    ("architecture", "medium", "shape"),
    [
        ("vit_tiny", "image", (3, 32, 32)), ("resnet9_slim", "image", (3, 32, 32)),
        ("mobilenet_v2", "image", (3, 64, 64)), ("convnext_atto", "image", (3, 64, 64)),
        ("audio_cnn", "audio", (1, 64, 64)), ("yamnet", "audio", (1, 96, 64)),
    ],
)  # fmt: skip
def test_an_encoder_never_sees_masked_patches(architecture, medium, shape):
    """Neither in training, where BatchNorm has batch statistics, nor in evaluation."""
    net, x = net_of(architecture, medium), torch.randn(4, *shape, generator=torch.Generator().manual_seed(0))
    encoder = visible_encoder(net.backbone, shape[0], architecture)
    count = (shape[1] // encoder.side) * (shape[2] // encoder.side)
    seen_BM = torch.arange(count)[None, 1::2].expand(4, -1)
    masked = torch.ones(4, 1, count).scatter(2, seen_BM[:, None], 0.0).view(4, 1, shape[1] // encoder.side, -1)
    other = torch.where(torch.nn.functional.interpolate(masked, size=shape[1:]) > 0, 7.0, x)
    assert not torch.equal(x, other)
    for training in (True, False):
        net.train(training)
        with torch.no_grad():
            assert torch.equal(encoder(x, seen_BM)[1], encoder(other, seen_BM)[1])


@pytest.mark.parametrize("architecture", ["vit_tiny", "resnet9_slim"])
def test_with_all_patches_visible_the_encoder_is_the_network(architecture):
    net, x = net_of(architecture), torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    other = copy.deepcopy(net)
    encoder = visible_encoder(net.backbone, 3, architecture)
    everything = torch.arange((32 // encoder.side) ** 2).expand(4, -1)
    for training in (True, False):
        net.train(training), other.train(training)
        whole, wanted = encoder(x, everything)[1], other(x)
        pooled = whole.mean(dim=1) if architecture == "vit_tiny" else whole.amax(dim=1) / 8
        assert torch.allclose(pooled, wanted, atol=1e-4)
    for (name, mine), theirs in zip(
        net.backbone.state_dict().items(), other.backbone.state_dict().values(), strict=True
    ):
        assert name.endswith("num_batches_tracked") or torch.allclose(mine, theirs, atol=1e-5), name


def test_batch_norm_counts_visible_values_only():
    net = net_of("audio_cnn", "audio").train()
    encoder, norm = visible_encoder(net.backbone, 1, "audio_cnn"), net.backbone.blocks[0][1]
    x = torch.randn(6, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    seen_BM = torch.tensor([[0, 1, 5]]).expand(6, -1)
    kept = []
    handle = norm.register_forward_hook(
        lambda module, inputs, output: kept.append((inputs[0].detach(), output.detach()))
    )
    encoder(x, seen_BM)
    handle.remove()
    before, _ = kept[0]
    cells = torch.zeros(16).index_fill(0, torch.tensor([0, 1, 5]), 1.0).view(4, 4).repeat_interleave(16, 0)
    visible = before[:, :, cells.repeat_interleave(16, 1) > 0].transpose(0, 1).flatten(1)
    assert torch.allclose(norm.running_mean, 0.1 * visible.mean(dim=1), atol=1e-6)
    assert torch.allclose(norm.running_var, 0.9 + 0.1 * visible.var(dim=1), rtol=1e-4)
    assert norm.track_running_stats


def test_training_lowers_the_loss():
    with Rng(0).torch_scope("init"):
        net = net_of("resnet9_slim")
        net.adopt(VisionTransformer(8, 1, 1))
        net = SMALL.change(net, CONTEXT)
    loss, x, optimizer = loss_of(net), ramps(16), torch.optim.AdamW(net.parameters(), lr=5e-3)
    losses = []
    for step in range(40):
        found = loss(x, epoch=step).mean()
        optimizer.zero_grad()
        found.backward()
        optimizer.step()
        losses.append(found.item())
    assert losses[0] > 0.9 and np.mean(losses[-5:]) < 0.5


@pytest.mark.parametrize("task", ["image-pretraining", "audio-pretraining"])
def test_the_step_makes_no_other_forward_pass_and_is_watched_for_collapse(task):
    bench = make_bench((SMALL,), task)
    calls = []
    bench.plan.net.register_forward_hook(lambda *given: calls.append(1))
    train_steps(bench, 2)
    assert bench.plan.own_forward and not calls
    assert isinstance(bench.plan.runtimes["masked_autoencoder"], CollapseWatch)
    assert 0 < bench.plan.net.pretext.deviation < 2


def test_networks_without_patches_are_refused(tmp_path):
    BeitConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=1, intermediate_size=16, image_size=64, patch_size=16
    ).save_pretrained(tmp_path)
    with pytest.raises(
        RecipeError, match=r"beit has neither tokens of patches nor feature maps; accepted: conv.*vit_msn"
    ):
        SMALL.change(net_of(tmp_path), CONTEXT)
