"""What a study's runs say of each factor: its effect with an interval, from answers sample by sample.

Seeds (runs) and test samples are two crossed random factors: an interval over seeds alone or over samples alone is too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from whet.evaluate.compare import Difference, crossed_interval, interval_of

_LEAST_FREEDOM = 6  # degrees of freedom that repeated cells must leave to tell chance by


def fitted_effects(value_RN: np.ndarray, coded_RP: np.ndarray, block_R: np.ndarray) -> list[Difference]:
    """The change from low to high of every column of the design, by least squares with the runs of one seed as a block.

    value_RN: the metric of each run on each sample; block_R: its seed. The variance of an effect is that of `crossed_interval`,
    with the mean square of what chance did to the runs in place of that between seeds: vs = MS(runs) c'c, vi = var over samples
    of the effect / N, vr = MS(rest) c'c / N, c being the contrast's weights. Chance is what is left when every recipe has a mean
    of its own, where recipes were run with several seeds, so that interactions of factors do not count as chance; else what the
    fit leaves. ValueError where no run is left to tell chance by.
    """
    R, N = value_RN.shape
    block_RB = (block_R[:, None] == np.unique(block_R)[None, :]).astype(float)
    design = np.column_stack([block_RB, coded_RP])
    cell_R = np.unique(coded_RP, axis=0, return_inverse=True)[1].ravel()
    every_cell = np.column_stack([block_RB, cell_R[:, None] == np.unique(cell_R)[None, :]])
    leaves = R - int(np.linalg.matrix_rank(every_cell))
    explained, freedom = (
        (every_cell, leaves) if leaves >= _LEAST_FREEDOM else (design, R - int(np.linalg.matrix_rank(design)))
    )
    if freedom < 1:
        raise ValueError(
            f"{R} runs leave nothing to tell chance by in a fit of {design.shape[1]} numbers: more seeds are needed"
        )
    residual_RN = value_RN - explained @ (np.linalg.pinv(explained) @ value_RN)
    run_R = residual_RN.mean(axis=1)
    between_runs = float((run_R**2).sum()) / freedom
    within_runs = float(((residual_RN - run_R[:, None]) ** 2).sum()) / (freedom * (N - 1))
    found = []
    for weight_R in 2 * np.linalg.pinv(design)[block_RB.shape[1] :]:
        effect_N, length = weight_R @ value_RN, float((weight_R**2).sum())
        vs, vi, vr = between_runs * length, float(effect_N.var(ddof=1)) / N, within_runs * length / N
        found.append(
            interval_of(
                float(effect_N.mean()), (vs, freedom), (vi, N - 1), (vr, freedom * (N - 1)),
                seeds=block_RB.shape[1], count=N, method="least squares, crossed runs x samples",
            )
        )  # fmt: skip
    return found


def paired_effect(value_RN: np.ndarray, level_R: np.ndarray, alone_R: np.ndarray, block_R: np.ndarray) -> Difference:
    """Of a design of one factor at a time: the runs at its other level against the design's first recipe, seed by seed.

    level_R: the factor's level in each run, -1 or +1; alone_R: whether the run is the design's first recipe or differs from it in
    this factor alone. ValueError where no seed has both.
    """
    differences = []
    for block in np.unique(block_R):
        here = alone_R & (block_R == block)
        low, high = np.flatnonzero(here & (level_R < 0)), np.flatnonzero(here & (level_R > 0))
        if len(low) and len(high):
            differences.append(value_RN[high[0]] - value_RN[low[0]])
    if not differences:
        raise ValueError("no seed has finished runs with and without it")
    return crossed_interval(np.stack(differences))


def interactions(coded_RP: np.ndarray) -> tuple[list[tuple[int, int]], np.ndarray]:
    """(pairs of factors, their columns (R, Q)): products of the factors' own columns."""
    pairs = [(a, b) for a in range(coded_RP.shape[1]) for b in range(a + 1, coded_RP.shape[1])]
    return pairs, np.stack([coded_RP[:, a] * coded_RP[:, b] for a, b in pairs], axis=1) if pairs else coded_RP[:, :0]


def holm(p_F: Sequence[float]) -> list[float]:
    """p-values that hold for all together. Source: Holm 1979."""
    order = np.argsort(p_F, kind="stable")
    raised = np.maximum.accumulate([(len(p_F) - place) * p_F[index] for place, index in enumerate(order)])
    adjusted = np.empty(len(p_F))
    adjusted[order] = np.minimum(raised, 1.0)
    return adjusted.tolist()


def seeds_to_tell(found: Difference) -> int | None:
    """About how many seeds in all would tell this effect from none, if it is as large as it seems and seeds are what is short; None
    where it is told already, or beyond a thousand."""
    half = (found.high - found.low) / 2
    if abs(found.mean) > half or found.mean == 0:
        return None
    needed = int(np.ceil(found.seeds * (half / abs(found.mean)) ** 2))
    return needed if needed <= 1000 else None
