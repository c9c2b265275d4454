"""What a study's runs say of each factor: its effect with an interval, from answers sample by sample.

Seeds (runs) and test samples are two crossed random factors: an interval over seeds alone or over samples alone is too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from whet.evaluate.compare import Difference, crossed_interval, interval_of

_LEAST_FREEDOM = 4  # degrees of freedom that seeds must leave to tell chance by


def fitted_effects(value_RN: np.ndarray, coded_RP: np.ndarray, block_R: np.ndarray) -> list[Difference]:
    """The change from low to high of every column of the design, by least squares within each seed's block of runs.

    value_RN: the metric of each run on each sample; block_R: its seed. Every seed gives an effect of its own, sample by sample;
    their mean has the interval of `crossed_interval`, but that how much effects differ from seed to seed is told from all columns
    together: each alone would have seeds - 1 degrees of freedom, together they have that many times as many. So neither
    interactions of factors nor a seed's own taste for a factor are taken for certainty. With too few seeds for that, chance is
    what a fit of all runs leaves, interactions included. ValueError where no run is left to tell chance by.
    """
    blocks = [np.flatnonzero(block_R == seed) for seed in np.unique(block_R)]
    found = _effects_by_block(value_RN, coded_RP, blocks) if len(blocks) > 1 else None
    if found is not None and sum(len(effects) - 1 for effects, _ in found) >= _LEAST_FREEDOM:
        return _pooled(found, len(blocks))
    return _of_one_fit(value_RN, coded_RP, block_R)


_ByBlock = list[tuple[np.ndarray, np.ndarray]]
"""By column: its effects (blocks, samples), and how much of a run's chance each takes in (blocks,)."""


def _effects_by_block(value_RN: np.ndarray, coded_RP: np.ndarray, blocks: list[np.ndarray]) -> _ByBlock | None:
    """Over the blocks in which a column varies; None where a block does not tell all of its columns apart."""
    effects: list[list[np.ndarray]] = [[] for _ in range(coded_RP.shape[1])]
    lengths: list[list[float]] = [[] for _ in range(coded_RP.shape[1])]
    for rows in blocks:
        varied = np.flatnonzero(np.ptp(coded_RP[rows], axis=0))
        design = np.column_stack([np.ones(len(rows)), coded_RP[np.ix_(rows, varied)]])
        if np.linalg.matrix_rank(design) < design.shape[1]:
            return None
        for p, weight_R in zip(varied, 2 * np.linalg.pinv(design)[1:]):
            effects[p].append(weight_R @ value_RN[rows])
            lengths[p].append(float((weight_R**2).sum()))
    if not all(effects):
        return None
    return [(np.stack(found), np.array(length)) for found, length in zip(effects, lengths)]


def _pooled(found: _ByBlock, seeds: int) -> list[Difference]:
    """vs and vr of `crossed_interval`, of one run's chance, from all columns together; vi from each column's own effects."""
    N = found[0][0].shape[1]
    freedom = sum(len(effect_BN) - 1 for effect_BN, _ in found)
    between, rest, means = 0.0, 0.0, []
    for effect_BN, length_B in found:
        share_B = (1 / length_B) / (1 / length_B).sum()
        mean_N, mean_B = share_B @ effect_BN, effect_BN.mean(axis=1)
        away_B = mean_B - mean_N.mean()
        between += float((away_B**2 / length_B).sum())
        rest += float((((effect_BN - mean_N) - away_B[:, None]) ** 2 / length_B[:, None]).sum())
        means.append((mean_N, 1 / float((1 / length_B).sum())))
    return [
        interval_of(
            float(mean_N.mean()), (between / freedom * length, freedom), (float(mean_N.var(ddof=1)) / N, N - 1),
            (rest / (freedom * (N - 1)) * length / N, freedom * (N - 1)),
            seeds=seeds, count=N, method="least squares, crossed seeds x samples",
        )
        for mean_N, length in means
    ]  # fmt: skip


def _of_one_fit(value_RN: np.ndarray, coded_RP: np.ndarray, block_R: np.ndarray) -> list[Difference]:
    """Of all runs at once, with a mean for every seed: vs = MS(run residuals) c'c, vi = var over samples of the effect / N,
    vr = MS(rest) c'c / N, c being the contrast's weights."""
    R, N = value_RN.shape
    block_RB = (block_R[:, None] == np.unique(block_R)[None, :]).astype(float)
    design = np.column_stack([block_RB, coded_RP])
    freedom = R - int(np.linalg.matrix_rank(design))
    if freedom < 1:
        raise ValueError(
            f"{R} runs leave nothing to tell chance by in a fit of {design.shape[1]} numbers: more seeds are needed"
        )
    solve = np.linalg.pinv(design)
    residual_RN = value_RN - design @ (solve @ value_RN)
    run_R = residual_RN.mean(axis=1)
    between_runs = float((run_R**2).sum()) / freedom
    within_runs = float(((residual_RN - run_R[:, None]) ** 2).sum()) / (freedom * (N - 1))
    found = []
    for weight_R in 2 * solve[block_RB.shape[1] :]:
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
