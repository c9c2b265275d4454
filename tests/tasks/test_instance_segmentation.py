import cv2
import numpy as np
import pytest
import torch

from whet.bundle.objects import OFFSET_UNIT
from whet.core.instance_targets import InstanceTargets
from whet.core.masks import IGNORE_ID, IdMap
from whet.models.decoders import CentreOffset
from whet.tasks import INSTANCE_SEGMENTATION as TASK
from whet.tasks.grouping import GROUPINGS, ClassMap, objects_of
from whet.tasks.heads.centre_offset import HEAT_SIGMA, HEAT_WEIGHT, OFFSET_WEIGHT

SIDE, STRIDE, K = 64, 4, 3
DISCS = [(16, 14, 9, 1), (16, 31, 9, 1), (46, 20, 10, 2), (50, 52, 8, 1)]  # y, x, radius, class; the first two touch


def discs(places=DISCS, side=SIDE):
    ids = np.zeros((side, side), np.uint16)
    rows, columns = np.mgrid[:side, :side] + 0.5
    for k, (y, x, radius, _) in enumerate(places, start=1):
        ids[np.hypot(rows - y, columns - x) < radius] = k
    return IdMap(ids, np.array([k for *_, k in places], np.int64))


def perfect(target):
    """The outputs of a network that knows the answer."""
    cells = SIDE // STRIDE
    known = InstanceTargets.of([target], TASK, K)
    label = torch.from_numpy(np.where(known.label_MBHW[0, 0] > K, 0, known.label_MBHW[0, 0]))
    classes = torch.nn.functional.avg_pool2d(
        torch.nn.functional.one_hot(label.long(), K).permute(2, 0, 1)[None].float(), STRIDE
    )
    centre_N2 = known.centre_MBN2[0, 0] / STRIDE
    at = torch.stack(torch.meshgrid(*[torch.arange(cells) + 0.5] * 2, indexing="ij"))
    distance = (centre_N2[:, :, None, None] - at).square().sum(dim=1)
    heat = torch.exp(-distance.amin(dim=0) / (2 * HEAT_SIGMA**2))
    inner = known.id_MBHW[0, 0, STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE]
    offset = (centre_N2[(inner.clamp(min=1) - 1).long()].permute(2, 0, 1) - at) * (inner > 0)
    return torch.cat([(classes[0] + 1e-4).log() * 2, heat[None], offset / OFFSET_UNIT])[None]


def measured(outputs, *targets):
    statistics = TASK.statistics(outputs, targets).numpy()
    ids = np.array([f"{n}" for n in range(len(targets))])
    return TASK.measure(TASK.evidence(("background", "can", "glass"), ids, np.zeros(len(ids)), statistics))


def test_perfect_outputs_give_all_objects():
    target = discs()
    found = measured(perfect(target), target)
    assert found["ap50"] == pytest.approx(1.0)
    assert found["mask_ap"] > 0.8
    assert found["count_error"] == 0
    assert found["precision"] == found["recall"] == 1.0


def test_objects_that_touch_are_one_connected_component_but_two_peaks():
    target = discs()
    found = ClassMap.of(perfect(target)[0].numpy(), K, (SIDE, SIDE))
    counts = {name: len(objects_of(found, grouping)) for name, grouping in GROUPINGS.items()}
    assert counts == {"centre_offset": 4, "connected_components": 3, "distance_peaks": 4}


def test_objects_are_found_in_the_size_of_the_image():
    target = discs()
    large = IdMap(cv2.resize(target.ids_HW, (3 * SIDE, 2 * SIDE), interpolation=cv2.INTER_NEAREST), target.class_of_id)
    assert measured(perfect(target), large)["ap50"] == pytest.approx(1.0)


def test_equal_neighbouring_peaks_are_one_centre():
    """The centre lies between two cells, which have the same heat."""
    target = discs([(32, 32, 12, 1)])
    assert len(objects_of(ClassMap.of(perfect(target)[0].numpy(), K, (SIDE, SIDE)))) == 1


def test_no_objects_and_no_prediction():
    none = discs([])
    outputs = torch.zeros(1, K + 3, 16, 16)
    outputs[:, 0] = 9
    found = measured(outputs, none)
    assert found["mask_ap"] is None
    assert found["undefined"] == ["can", "glass"]
    assert TASK.score(found) == 0
    loss = TASK.loss(outputs, InstanceTargets.of([none], TASK, K))
    assert loss.isfinite().all()
    assert loss.item() < 1e-2


def test_the_loss_is_relative_to_that_of_no_heat_and_no_offsets():
    """Perfect heat and offsets add nothing; their absence adds the weights themselves, however many objects there are."""
    for places in (DISCS, DISCS[:1]):
        target = discs(places)
        known, outputs = InstanceTargets.of([target], TASK, K), perfect(target)
        least = TASK.loss(outputs, known).item()
        assert least < 0.2
        without = outputs.clone()
        without[:, K] = 0
        assert TASK.loss(without, known).item() - least == pytest.approx(HEAT_WEIGHT, rel=1e-3)
        without = outputs.clone()
        without[:, K + 1 :] = 0
        assert TASK.loss(without, known).item() - least == pytest.approx(OFFSET_WEIGHT, rel=1e-3)


def test_the_overlap_of_objects_is_trained():
    """Every pixel predicted with probability 1/2 of background: half of the area is found, the intersection is half of the objects.
    Images without objects add nothing."""
    target = discs(DISCS[:1])
    area, outputs = (target.ids_HW > 0).sum(), perfect(target)
    outputs[:, :K] = 0.0
    outputs[:, 1:K] = -np.log(K - 1)
    found = TASK.loss(outputs, InstanceTargets.of([target], TASK, K)).item()
    pixels = (np.log(2) * (SIDE**2 - area) + np.log(2 * (K - 1)) * area) / SIDE**2
    assert found == pytest.approx(pixels + 1 - area / (SIDE**2 / 2 + area), abs=1e-4)
    nothing = IdMap(np.zeros((SIDE, SIDE), np.uint16), np.zeros(0, np.uint8))
    outputs[:, K:] = 0
    found = TASK.loss(outputs, InstanceTargets.of([nothing], TASK, K)).item()
    assert found == pytest.approx(np.log(2), abs=1e-4)


def test_unknown_pixels_have_no_loss():
    torch.manual_seed(0)
    target = discs()
    target.ids_HW[:, 32:] = IGNORE_ID
    outputs = torch.randn(1, K + 3, 16, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(TASK.loss(outputs, InstanceTargets.of([target], TASK, K)).sum(), outputs)
    assert (gradient[:, :, :, 9:] == 0).all()
    assert (gradient[:, :, :, :7] != 0).any()


@pytest.mark.parametrize("axes", [(-1,), (-2,), (-1, -2)])
def test_a_flip_is_undone(axes):
    """The outputs for the flipped image, flipped back, are those for the image: offsets of cells that are inside in both, because
    the pixel that stands for a cell is half a pixel off its middle."""
    target = discs(DISCS[1:])
    flipped = IdMap(np.flip(target.ids_HW, axes).copy(), target.class_of_id)
    found, expected = TASK.undo(perfect(flipped), axes), perfect(target)
    assert torch.allclose(found[:, : K + 1], expected[:, : K + 1], atol=1e-5)
    inside = (found[:, K + 1 :] != 0) & (expected[:, K + 1 :] != 0)
    assert inside.sum() > 50
    assert torch.allclose(found[:, K + 1 :][inside], expected[:, K + 1 :][inside], atol=1e-5)


def test_several_networks_are_combined():
    outputs = torch.randn(2, 3, K + 3, 4, 5)
    found = TASK.combine(outputs)
    assert torch.allclose(found[:, :K].softmax(dim=1), outputs[:, :, :K].softmax(dim=2).mean(dim=1), atol=1e-6)
    assert torch.allclose(found[:, K:], outputs[:, :, K:].mean(dim=1), atol=1e-6)


def test_the_head_learns_one_image():
    """From random features; a batch of one."""
    torch.manual_seed(0)
    target, maps = discs(), [torch.randn(1, 16, 16, 16), torch.randn(1, 24, 8, 8)]
    head, known = CentreOffset((4, 8), (16, 24), K + 3, width=64), InstanceTargets.of([target], TASK, K)
    optimizer = torch.optim.Adam(head.parameters(), 2e-2)
    for _ in range(30):
        optimizer.zero_grad()
        loss = TASK.loss(head(maps), known).sum()
        loss.backward()
        optimizer.step()
    assert measured(head(maps).detach(), target)["ap50"] == pytest.approx(1.0)


def test_classes_in_another_order():
    target = discs()
    found = TASK.evidence(
        ("background", "can", "glass"), np.array(["a"]), np.zeros(1), TASK.statistics(perfect(target), [target]).numpy()
    )
    again = TASK.with_classes(found, ("background", "paper", "glass", "can"))
    before, after = TASK.measure(found), TASK.measure(again)
    assert after["mask_ap"] == before["mask_ap"]
    assert after["undefined"] == ["paper"]
    assert [row["ap"] for row in after["per_class"]][1:] == [before["per_class"][k]["ap"] for k in (1, 0)]


def test_predictions_have_the_working_score():
    target = discs()
    outputs = perfect(target)
    outputs[:, K] *= 0.2
    assert not TASK.predicted(outputs[0].numpy(), (SIDE, SIDE)).detections
    found = TASK.predicted(perfect(target)[0].numpy(), (SIDE, SIDE))
    assert len(found.detections) == 4
    assert sorted(np.unique(found.ids_HW).tolist()) == [0, 1, 2, 3, 4]
    assert set(np.unique(found.map_HW).tolist()) == {0, 1, 2}
