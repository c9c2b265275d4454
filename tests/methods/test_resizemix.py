import numpy as np
import torch
import torch.nn.functional as F

from whet.core.rng import Rng
from whet.methods import ResizeMix
from whet.methods.mix.paste import Pasted
from whet.methods.mix.resizemix import squeezed
from whet.tasks import SINGLE_LABEL


def test_target_share_is_pixel_share(batch):
    given = batch(B=16, K=16, size=(40, 30))
    mixed = ResizeMix(prob=1.0, min_side=0.3).apply(given, Rng(0).batch("resizemix", 0, given.index_B))
    kept = (mixed.x == given.x).all(dim=1).flatten(1).float().mean(dim=1)
    own = mixed.targets.probs_BK[torch.arange(16), torch.arange(16)]
    moved = own < 1
    assert moved.sum() > 8
    assert torch.allclose(own[moved], kept[moved], atol=1e-6)


def test_the_whole_partner_is_shown_small():
    """Squeezed into a box, an image is what torch's own resize to the box's size makes of it."""
    x = torch.from_numpy(Rng(0).batch("x", 0, np.arange(1)).uniform(shape=(3, 8, 8))).float()
    place = (torch.arange(8) + 0.5)[None]
    small = squeezed(
        Pasted(x, SINGLE_LABEL.targets(torch.zeros(1, dtype=torch.int64), 2)), (place - 2) / 4, (place - 3) / 4
    )
    reference = F.interpolate(x, (4, 4), mode="bilinear", align_corners=False)
    assert torch.allclose(small.x[:, :, 3:7, 2:6], reference, atol=1e-6)
