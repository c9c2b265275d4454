"""The pairwise loss against its formula, pixel by pixel."""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch

from whet.core.colour_pairs import LEAST_SIMILARITY, colour_similarity, lab, log_same, neighbours, pairwise_loss


def test_lab_equals_opencv_which_reads_it_from_a_table():
    rgb = np.random.default_rng(0).random((5, 6, 3)).astype(np.float32)
    rgb[0, 0], rgb[0, 1] = 0, 1
    found = lab(torch.from_numpy(rgb).permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    np.testing.assert_allclose(found.numpy(), cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB), atol=0.3)


def test_similarity_and_agreement_are_those_of_the_paper_for_an_object_and_its_background():
    torch.manual_seed(0)
    colours, logits = 3 * torch.rand(1, 3, 6, 7), torch.randn(1, 1, 6, 7)
    similarity = colour_similarity(colours)
    same = log_same(torch.cat([-torch.nn.functional.softplus(-logits), -torch.nn.functional.softplus(logits)], dim=1))
    total, pairs = 0.0, 0
    steps = [(y, x) for y in (-2, 0, 2) for x in (-2, 0, 2) if (y, x) != (0, 0)]
    for y in range(6):
        for x in range(7):
            for place, (dy, dx) in enumerate(steps):
                if not (0 <= y + dy < 6 and 0 <= x + dx < 7):
                    assert similarity[0, place, y, x] == 0
                    continue
                one, other = colours[0, :, y, x], colours[0, :, y + dy, x + dx]
                expected = math.exp(-float((one - other).norm()) / 2)
                assert math.isclose(float(similarity[0, place, y, x]), expected, rel_tol=1e-5)
                p, q = (torch.sigmoid(logits[0, 0, a, b]) for a, b in ((y, x), (y + dy, x + dx)))
                agreement = math.log(p * q + (1 - p) * (1 - q))
                assert math.isclose(float(same[0, place, y, x]), agreement, rel_tol=1e-4, abs_tol=1e-6)
                if expected >= LEAST_SIMILARITY:
                    total, pairs = total - agreement, pairs + 1
    log_probs = torch.cat([logits, -logits], dim=1) / 2
    loss = pairwise_loss(log_probs.log_softmax(dim=1), similarity >= LEAST_SIMILARITY)
    assert math.isclose(float(loss), total / pairs, rel_tol=1e-4)


def test_certain_equal_neighbours_cost_nothing_and_no_pair_is_no_loss():
    certain = torch.tensor([50.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(1, 3, 5, 5).log_softmax(dim=1)
    pairs = colour_similarity(torch.zeros(1, 3, 5, 5)) > 0
    assert float(pairwise_loss(certain, pairs)) < 1e-6
    assert float(pairwise_loss(torch.randn(1, 3, 5, 5), torch.zeros_like(pairs))) == 0


def test_neighbours_are_in_rows_from_above():
    x = torch.arange(9.0).view(1, 1, 3, 3)
    assert neighbours(x, dilation=1)[0, :, 0, 1, 1].tolist() == [0, 1, 2, 3, 5, 6, 7, 8]
    assert neighbours(x + 7, dilation=1)[0, 0, 0, 0, 0] == 0
