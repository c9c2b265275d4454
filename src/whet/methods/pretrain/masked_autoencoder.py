from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from whet.core.batch import Batch, Context, Loss, Outcome
from whet.core.errors import RecipeError
from whet.core.method import Method
from whet.core.runtime import Runtime
from whet.core.search import Search
from whet.core.stages import Changes, Watches, WrapsLoss
from whet.methods.pretrain.pretext import Pretext
from whet.methods.pretrain.two_views import CollapseWatch
from whet.models.front import WaveFront
from whet.models.net import Net
from whet.models.patches import patch_count, patchify
from whet.models.visible import VisibleEncoder, visible_encoder
from whet.models.zoo.vit import Block, positions

_HEAD_WIDTH = 32  # of the decoder's attention, as in the paper
_LEAST_VARIANCE = 1e-6  # of a patch


class MaskedAutoencoder(
    Method, WrapsLoss, Changes, Watches, family="pretrain", tasks={"image-pretraining", "audio-pretraining"}
):
    """Pre-train by reconstructing the masked patches of images or spectrograms from the visible ones.

    Use when: a vision transformer is trained on thousands of samples without labels or more, or the features must keep what two
    views make them lose, such as colour and position. Its encoder sees a quarter of the patches: a step of vit_tiny needs a third
    of the arithmetic of a training step.
    Do not use when: the features are used without fine-tuning, or time is short. Published features of masked autoencoders are
    worse in linear probes than those of two views, and it needs long trainings.
    Source: He et al. 2022, arXiv:2111.06377; spectrograms: Huang et al. 2022, arXiv:2207.06405; convolutional networks: Woo et al.
    2023, arXiv:2301.00808, and Tian et al. 2023, arXiv:2301.03580.
    Deviates: the decoder is narrower and shallower than in the paper (512, 8). A convolutional network sees masked cells as zeros
    wherever neighbours are combined, in place of sparse convolutions, and its decoder is the transformer too. Spectrograms have
    global attention in the decoder, not local.
    Shapes: x (B, C, H, W) -> N patches of the network's own size (for convolutional networks its stride, at least 8), `masked` of
    which are drawn by sample and epoch. The encoder sees the others; the decoder gets their tokens and a mask token for each masked
    patch, both with their positions, and predicts the pixels of all patches. The loss of a sample is the mean squared error over
    its masked patches, each normalised by its own mean and standard deviation: 1 for predicting the mean.
    """

    exceptions = {"identity": "without it there is no loss to train on"}
    example = {"width": 32, "depth": 1}
    conflicts = frozenset({"byol", "simclr", "simsiam"})
    own_forward = True

    masked: Annotated[
        float, Field(gt=0, lt=1, description="share of the patches that are masked"), Search(0.5, 0.9)
    ] = 0.75
    width: Annotated[
        int, Field(ge=_HEAD_WIDTH, multiple_of=_HEAD_WIDTH, description="length of a token in the decoder")
    ] = 128
    depth: Annotated[int, Field(ge=1, description="blocks of the decoder")] = 2

    def change(self, net: Net, context: Context) -> Net:
        encoder = _encoder(net)
        pixels = encoder.side**2 * _channels(net)
        net.pretext = Pretext(decoder=Decoder(encoder.width, self.width, self.depth, pixels)).to(net.device)
        return net

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        encoder, pretext = _encoder(net), net.pretext

        def reconstruction(outcome: Outcome) -> Tensor:
            x_BCHW, side = outcome.batch.x, encoder.side
            grid = (x_BCHW.shape[2] // side, x_BCHW.shape[3] // side)
            x_BCHW = x_BCHW[:, :, : grid[0] * side, : grid[1] * side]
            seen_BM, masked_BK = self.drawn(
                outcome.batch, patch_count(x_BCHW, side), context, held_out=not net.training
            )
            with outcome.precision():
                further_BED, seen_BMD = encoder(x_BCHW, seen_BM)
                found_BNP = pretext.decoder(further_BED, seen_BMD, seen_BM, grid)
            pretext.watch(seen_BMD.mean(dim=1))
            error_BN = (found_BNP.float() - normalised(patchify(x_BCHW, side))).square().mean(dim=2)
            return loss(outcome) + error_BN.gather(1, masked_BK).mean(dim=1)

        return reconstruction

    def start(self, net: Any, context: Context) -> Runtime:
        return CollapseWatch(net.pretext)

    def drawn(self, batch: Batch, patches: int, context: Context, *, held_out: bool) -> tuple[Tensor, Tensor]:
        """The numbers of the visible and of the masked patches of each sample, int64 (B, M) and (B, N - M)."""
        if patches < 2:
            raise RecipeError(
                f"masked_autoencoder: a sample has {patches} patches, and at least 2 are needed; use larger images (--image-size), "
                "longer clips, or a network with smaller patches such as vit_tiny"
            )
        purpose = f"{self.name} of held-out samples" if held_out else self.name
        drawn_BN = context.rng.batch(purpose, batch.epoch, batch.index_B).uniform(shape=(patches,))
        visible = min(max(round(patches * (1 - self.masked)), 1), patches - 1)
        order_BN = torch.from_numpy(drawn_BN.argsort(axis=1)).to(batch.x.device, non_blocking=True)
        return order_BN[:, :visible], order_BN[:, visible:]


class Decoder(nn.Module):
    """Tokens of the visible patches (B, M, D) -> the pixels of all patches (B, N, P)."""

    def __init__(self, encoded: int, width: int, depth: int, pixels: int) -> None:
        super().__init__()
        self.embed = nn.Linear(encoded, width)
        self.mask = nn.Parameter(torch.empty(width))
        self.blocks = nn.Sequential(*(Block(width, width // _HEAD_WIDTH) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.predict = nn.Linear(width, pixels)
        nn.init.normal_(self.mask, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, further_BED: Tensor, seen_BMD: Tensor, seen_BM: Tensor, grid: tuple[int, int]) -> Tensor:
        further_BEW, seen_BMW = self.embed(further_BED), self.embed(seen_BMD)
        B, W = len(seen_BMW), seen_BMW.shape[2]
        all_BNW = self.mask.to(seen_BMW.dtype).expand(B, grid[0] * grid[1], W)
        all_BNW = all_BNW.scatter(1, seen_BM[..., None].expand(-1, -1, W), seen_BMW)
        places_NW = positions(all_BNW.new_empty((1, W, *grid))).flatten(1).T
        token_BTW = torch.cat([further_BEW, all_BNW + places_NW], dim=1)
        return self.predict(self.norm(self.blocks(token_BTW))[:, further_BEW.shape[1] :])


def normalised(patches_BNP: Tensor) -> Tensor:
    """Each patch with mean 0 and standard deviation 1."""
    variance_BN1, mean_BN1 = torch.var_mean(patches_BNP, dim=2, keepdim=True)
    return (patches_BNP - mean_BN1) / (variance_BN1 + _LEAST_VARIANCE).sqrt()


def _channels(net: Net) -> int:
    return 3 if net.spec.medium == "image" else 1


def _encoder(net: Net) -> VisibleEncoder:
    if isinstance(net.front, WaveFront):
        raise RecipeError(
            f"masked_autoencoder: {net.spec.architecture} reads waves; accepted: networks of spectrograms"
        )
    return visible_encoder(net.backbone, _channels(net), net.spec.architecture)
