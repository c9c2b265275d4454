"""The work after the last training step: final weights, fitted prediction methods, test predictions, and all output files."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from whet.core import strict_json
from whet.core.evidence import Predictions
from whet.core.output import empty
from whet.core.outputs import Outputs
from whet.core.run_folder import RunFolder
from whet.core.stages import Stage
from whet.data.loader import Loader
from whet.data.media import USUAL_RATE
from whet.data.table import Table
from whet.evaluate.compare import difference
from whet.evaluate.evidence import read_evidence, write_evidence
from whet.evaluate.inference import concatenated, using_weights
from whet.explain import CannotExplain, Explanation
from whet.models.build import add_external_model, member_folder, save_net
from whet.models.ensemble import Member, as_one
from whet.models.net import Net
from whet.training.crossfit import Parts, fit_predictor
from whet.training.kept_outputs import Batches, keep_outputs
from whet.training.plan import Plan, wrap_predictor
from whet.training.preview import draw_preview
from whet.training.sample_files import write_explanation, write_preview, write_row
from whet.training.saved import check_saved, load_external_models, members_of

SHEET_ROWS, SHEET_VARIANTS, MISTAKES = 6, 5, 12
TRIED = 8  # samples on which the saved model must reproduce the trained one
FEW_POINTS = 32  # integration points for explaining the mistakes of a text model; a dozen take less than a second

Predict = Callable[[Table, Any], Batches]
"""(samples, predictor) -> (logits, indices of the samples that could be read), batch by batch."""

Explain = Callable[[Table, np.ndarray], Iterator[tuple[int, Explanation]]]
"""(samples, a class for each) -> sample indices and explanations of that class."""


def finish_model(
    plan: Plan, val: Table, predict: Predict, folder: RunFolder, joined: dict[str, list[RunFolder]],
    by_half: Sequence[dict[str, Tensor]] = (),
) -> tuple[Any, Outputs | None, list[Member]]:  # fmt: skip
    """Finish a finalized plan: run AFTER methods, fit PREDICT methods on validation data, and save the model. Returns the
    predictor, the cross-fitted outputs for the validation samples if something was fitted to or chosen on them, and the networks of
    the predictor. joined: finished runs that are combined with this one, by method; their models are copied, so that this run is
    self-contained. by_half: the result of `Plan.finalize`."""
    recipe = plan.recipe
    empty(folder.model)  # of an end that was killed
    # A half with the same choice as all samples has the same network.
    halves = [None if _is_held(plan.net, weights) else as_one(_compressed(plan, weights)) for weights in by_half]
    nets = _compressed(plan, None)
    plan.notes += [line for net in nets for line in net.notes]

    def outputs(predictor: Any) -> Outputs:
        return keep_outputs(partial(predict, val, predictor), val, folder.path)

    predictor = as_one(nets)
    for name, runs in joined.items():
        for number, run in enumerate(runs, start=1):
            add_external_model(folder.model, name, number, run.model)
    external_models = load_external_models(folder.model, nets[0], plan.net.device)
    found = fit_predictor(
        plan.methods, [predictor, *(half or predictor for half in halves)], outputs,
        Parts.of(val).rows, external_models, plan.context.task,
    )  # fmt: skip
    fitted = found.numbers
    extra = {
        "task": recipe.task,
        "size": recipe.eval_size,
        "fit": recipe.train.fit,
        "precision": recipe.train.precision,
        "predict": [{m.name: m.settings_dict()} for m in plan.methods if Stage.PREDICT in m.stages()],
        "fitted": fitted,
    }
    for number, net in enumerate(nets[1:], start=1):
        save_net(net, member_folder(folder.model, number), {"task": recipe.task})
    save_net(nets[0], folder.model, extra)
    final = wrap_predictor(plan.methods, predictor, fitted, plan.context.task, external_models)
    some = val.with_frame(val.frame.iloc[:TRIED])
    check_saved(folder.model, plan.net.device, final, lambda one: concatenated(predict(some, one))[0])
    return final, found.outputs, members_of(nets, external_models)


def _compressed(plan: Plan, weights: dict[str, Tensor] | None) -> list[Net]:
    """The networks for prediction after the AFTER methods. weights: replace the final weights, on a copy."""
    with using_weights(plan.net, weights) if weights is not None else contextlib.nullcontext():
        first = plan.net if weights is None else copy.deepcopy(plan.net)
        nets = (first, *(_holding(plan.net, more) for more in plan.ensemble_members()))
        return [plan.compressed(net.baked()) for net in nets]


def _is_held(net: Net, weights: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, weights[name].to(tensor.device)) for name, tensor in net.state_dict().items())


def _holding(net: Net, weights: dict[str, Tensor]) -> Net:
    """A copy of the network with these weights."""
    member = copy.deepcopy(net)
    member.load_state_dict(weights)
    return member


def measure_parts(
    table: Table, predictor: Any, predict: Predict, folder: RunFolder, val_outputs: Outputs | None = None
) -> dict[str, Any]:
    """Predict the validation samples (if not done yet) and the test samples once, and write the evidence. Returns metrics by
    split."""
    parts = {}
    for split in ("val", "test"):
        part = table.part(split)
        if not len(part):
            continue
        if split == "val" and val_outputs is not None:
            (logits, _), index = val_outputs.whole(), val_outputs.index_N
        else:
            logits, index = concatenated(predict(part, predictor))
        parts[split] = part.evidence(index, logits.double().numpy())
    write_evidence(folder, parts)
    return {split: table.task.measure(evidence) for split, evidence in parts.items()}


def measure_inference_gain(
    plan: Plan, weights: dict[str, Tensor], part: Table, split: str, predict: Predict, folder: RunFolder
) -> dict[str, Any]:
    """The joint gain of weight averaging, ensembles and other PREDICT methods over the predictions of the last weights on the same
    samples, and the inference time with and without them."""
    began = time.monotonic()
    with using_weights(plan.net, weights):
        logits, index = concatenated(predict(part, plan.net))
    seconds = (time.monotonic() - began) / max(len(index), 1)
    plain, final = part.evidence(index, logits.double().numpy()).by_id(), read_evidence(folder, split)
    metric = part.task.metric(part.task.headline)
    return {
        "split": split,
        "plain": {key: value for key, value in part.task.measure(plain).items() if key in part.task.followed}
        | {"seconds_per_sample": seconds},
        "difference": asdict(difference(metric, [plain], [final])),
    }


def write_samples(plan: Plan, table: Table, loader: Loader, folder: RunFolder) -> None:
    """Write samples/: training samples in their original form and as augmented and mixed in the first epochs."""
    rows = draw_preview(plan.augmentation, table, loader, plan.recipe.size, SHEET_ROWS, SHEET_VARIANTS, plan.net.front)
    folder.samples.mkdir(exist_ok=True)
    records = write_preview(rows, folder.samples, getattr(plan.net.front, "rate", USUAL_RATE))
    strict_json.write(folder.samples / "samples.json", {"variants": SHEET_VARIANTS, "rows": records})


def write_mistakes(part: Table, split: str, folder: RunFolder, explain: Explain) -> str:
    """Write mistakes/: the most confident mistakes of this split (for multi-label data, by the confidence in a label that was
    missed or wrongly predicted), with explanations if the network type supports them. Returns the reason if it does not."""
    evidence = read_evidence(folder, split)
    task, classes, found = evidence.task, evidence.classes, cast(Predictions, evidence)
    wrong = task.mistakes(evidence)
    there = set(part.frame["id"])
    first = [mistake for mistake in wrong if evidence.ids[mistake.row] in there][:MISTAKES]
    chosen = part.with_frame(part.frame.set_index("id", drop=False).loc[[evidence.ids[one.row] for one in first]])
    folder.mistakes.mkdir(exist_ok=True)
    why, reason = {}, ""
    try:
        for index, explanation in explain(chosen, np.array([one.class_number for one in first], dtype=np.int64)):
            why[index] = write_explanation(explanation, folder.mistakes, str(index))
    except CannotExplain as error:
        reason = str(error)
    except RuntimeError as error:  # torch raises it if memory cannot be allocated
        reason = str(error).partition("\n")[0]
    shown: list[dict[str, Any]] = []
    for index, one in enumerate(first):
        sample = write_row(chosen.frame.iloc[index], part.medium, folder.mistakes, str(index), len(part.classes))
        if sample is not None:  # None if the sample was removed since it was predicted
            label, predicted = found.labels[one.row], found.predicted[one.row]
            record: dict[str, Any] = {"id": evidence.ids[one.row], "confidence": one.confidence}
            record |= {"label": task.text(label, classes), "predicted": task.text(predicted, classes)}
            if one.faults:
                record["faults"] = list(one.faults)
            shown.append(record | sample | why.get(index, {}))
    strict_json.write(folder.mistakes / "mistakes.json", {"split": split, "wrong": len(wrong), "shown": shown})
    return reason
