"""Every method that mixes images, held to what mixing means."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.core.batch import Batch, HiddenMix, Instances
from whet.core.mask_targets import MaskTargets
from whet.core.registry import registry
from whet.core.rng import Rng
from whet.core.stages import Mixes
from whet.core.targets import ClassTargets
from whet.tasks import MULTI_LABEL, SEMANTIC_SEGMENTATION, SINGLE_LABEL

MIXING = sorted((cls for cls in registry() if cls.family == "mix"), key=lambda cls: cls.name)
OF_CLASSES = [cls for cls in MIXING if any(task.endswith("-classification") for task in cls.tasks)]
BY_SHARE = [cls for cls in OF_CLASSES if cls.name != "between_class"]  # whose share is of what is perceived
STRONG = {"mixup": {"alpha": 1.0}, "cutmix": {"prob": 1.0}, "fmix": {"prob": 1.0}, "resizemix": {"prob": 1.0},
          "manifold_mixup": {"alpha": 1.0}, "mosaic": {"prob": 1.0}, "copy_paste": {"prob": 1.0},
          "spec_mix": {"prob": 1.0}, "between_class": {"prob": 1.0}}  # fmt: skip
SIDE = 32


def mixed(cls, batch, seed):
    return cls(**STRONG[cls.name]).apply(batch, Rng(seed).batch(cls.name, 0, batch.index_B))


def plain(B, seed=0, task=SINGLE_LABEL):
    """Images that are constant at 1 in the channel of their class (channels stand for classes)."""
    label = torch.from_numpy(Rng(seed).batch("labels", 0, np.arange(B)).integers(4))
    targets = SINGLE_LABEL.targets(label, 4)
    if task == MULTI_LABEL:
        targets = ClassTargets(targets.probs_BK, MULTI_LABEL)
    x = targets.probs_BK[:, :, None, None].expand(B, 4, SIDE, SIDE).contiguous()
    return Batch(x, targets, np.arange(B), torch.ones(B))


def test_all_of_them_are_seen():
    assert {cls.name for cls in MIXING} == set(STRONG)
    assert all(issubclass(cls, Mixes) for cls in MIXING)


@pytest.mark.parametrize("task", [SINGLE_LABEL, MULTI_LABEL])
@pytest.mark.parametrize("cls", BY_SHARE, ids=lambda cls: cls.name)
@given(st.integers(0, 10**6))
@settings(max_examples=40)
def test_label_mass_is_pixel_share(cls, task, seed):
    batch = plain(6, seed, task)
    out = mixed(cls, batch, seed)
    x = out.x
    for inside in out.hidden_mix:  # what is mixed inside the network is mixed by the same rule
        assert isinstance(inside, HiddenMix)
        x = inside.change(x)
    assert torch.allclose(x.mean(dim=(2, 3)), out.targets.probs_BK.float(), atol=1e-5)
    assert torch.allclose(out.targets.probs_BK.sum(dim=1), torch.ones(6).to(out.targets.probs_BK), atol=1e-5)
    assert out.targets.task == task


@pytest.mark.parametrize("cls", OF_CLASSES, ids=lambda cls: cls.name)
@given(st.integers(0, 10**6), st.floats(0, 0.5))
@settings(max_examples=20)
def test_smoothing_before_or_after_is_the_same(cls, seed, amount):
    batch = plain(6, seed)

    def smooth(targets):
        return targets.having(targets.probs_BK * (1 - amount) + amount / 4)

    after = smooth(mixed(cls, batch, seed).targets).probs_BK
    before = mixed(cls, batch.replace(targets=smooth(batch.targets)), seed).targets.probs_BK
    assert torch.allclose(before, after, atol=1e-6)


@pytest.mark.parametrize(
    "cls", [cls for cls in MIXING if "semantic-segmentation" in cls.tasks], ids=lambda cls: cls.name
)
@given(st.integers(0, 10**6))
@settings(max_examples=30)
def test_masks_move_with_the_pixels(cls, seed):
    """A pixel of class k has value k: after any mixing of whole pixels the mask still says what the image shows."""
    batch = plain(5, seed)
    label = batch.targets.probs_BK.argmax(dim=1)[:, None, None].expand(5, SIDE, SIDE)
    halves = (torch.arange(SIDE) < SIDE // 2)[None, None, :].expand(5, SIDE, SIDE)
    mask = torch.where(halves, label, (label + 1) % 4)
    x = torch.nn.functional.one_hot(mask, 4).permute(0, 3, 1, 2).float()
    instances = tuple(Instances(torch.stack([m == k for k in m.unique()]), m.unique()) for m in mask)
    targets = MaskTargets.of(mask, SEMANTIC_SEGMENTATION, 4)
    out = mixed(cls, batch.replace(x=x, targets=targets, instances=instances), seed)
    shown = out.x.argmax(dim=1)
    found = out.targets.label_MBHW[0]
    agree = (shown == found).float().mean()
    assert agree > 0.93  # where an image is resized, an edge pixel lies between two
    assert set(found.unique().tolist()) <= set(range(4))
    if out.instances is not None:
        for image, things in zip(found, out.instances):
            assert len(things.mask_NHW) == len(things.label_N)
            assert things.mask_NHW.flatten(1).any(dim=1).all()  # nothing that is wholly covered is left
            for thing, label in zip(things.mask_NHW, things.label_N):
                assert (image[thing] == label).float().mean() > 0.9
