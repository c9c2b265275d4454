"""After the last step: the final weights, what prediction needs, the test samples answered once, and everything written."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from whet.core import strict_json
from whet.core.labels import cell_labels, cell_said, labels_cell
from whet.core.method import Compresses, Stage
from whet.core.run_folder import RunFolder, write_csv
from whet.core.targets import Targets
from whet.data.loader import Loader
from whet.data.media import USUAL_RATE
from whet.data.table import Table
from whet.evaluate.answer import using_weights
from whet.evaluate.difference import paired_binary
from whet.evaluate.metrics import answer_of, classification_metrics, decided, probabilities, right_N
from whet.explain import CannotExplain, Explanation
from whet.models.build import add_companion, member_folder, save_net
from whet.models.ensemble import Member, as_one
from whet.models.net import Net
from whet.train.crossfit import Parts, fit_predictor
from whet.train.plan import Plan, wrap_predictor
from whet.train.saved import check_saved, load_companions, members_of
from whet.train.sheet import draw_sheet
from whet.train.show import write_explanation, write_row, write_sheet

SHEET_ROWS, SHEET_VARIANTS, MISTAKES = 6, 5, 12
TRIED = 8  # samples that the saved model must answer as the trained one did
FEW_POINTS = 32  # on the paths that explain the mistakes of a text model: within a second for a dozen

Ask = Callable[[Table, Any], tuple[Tensor, np.ndarray]]
"""(samples, predictor) -> (logits, numbers of the samples that could be read)."""


Answers = tuple[Tensor, np.ndarray]

Explain = Callable[[Table, np.ndarray], Iterator[tuple[int, Explanation]]]
"""(samples, a class for each) -> sample numbers, and why the model sees that class in them."""


def finish_model(
    plan: Plan, val: Table, ask: Ask, folder: RunFolder, joined: dict[str, list[RunFolder]],
    by_half: Sequence[dict[str, Tensor]] = (),
) -> tuple[Any, Answers | None, list[Member]]:  # fmt: skip
    """Of a plan that is concluded: run AFTER methods, fit PREDICT methods on validation data, save; the predictor, the cross-fitted
    answers to the validation samples where something was fitted to them or chosen by them, and the networks that have a part in
    the answer. joined: finished runs that answer beside this one, by the method that wants it so; their models are copied, so
    that this run needs no other. by_half: what `Plan.conclude` gave."""
    recipe, targets = plan.recipe, val.targets
    # A half that chose as all samples did has the same network.
    halves = [None if _is_held(plan.net, weights) else as_one(_compressed(plan, weights)) for weights in by_half]
    nets = _compressed(plan, None)
    index_M = np.empty(0, dtype=np.int64)

    def answers(predictor: Any) -> tuple[Tensor, Targets]:
        nonlocal index_M
        logits, index_M = ask(val, predictor)
        return logits, targets[torch.from_numpy(index_M)]

    predictor = as_one(nets)
    for name, runs in joined.items():
        for number, run in enumerate(runs, start=1):
            add_companion(folder.model, name, number, run.model)
    companions = load_companions(folder.model, nets[0], plan.net.device)
    found = fit_predictor(
        plan.methods, [predictor, *(half or predictor for half in halves)], answers,
        lambda: Parts.of(val).rows(index_M), companions, plan.context.multi_label,
    )  # fmt: skip
    fitted, logits = found.numbers, found.logits_NK
    extra = {
        "task": recipe.task,
        "size": recipe.answer_size,
        "fit": recipe.train.fit,
        "precision": recipe.train.precision,
        "predict": [{m.name: m.settings_dict()} for m in plan.methods if Stage.PREDICT in m.stages()],
        "fitted": fitted,
    }
    for number, net in enumerate(nets[1:], start=1):
        save_net(net, member_folder(folder.model, number), {"task": recipe.task})
    save_net(nets[0], folder.model, extra)
    final = wrap_predictor(plan.methods, predictor, fitted, companions, plan.context.multi_label)
    some = val.with_frame(val.frame.iloc[:TRIED])
    check_saved(folder.model, plan.net.device, final, lambda one: ask(some, one)[0])
    return final, None if logits is None else (logits, index_M), members_of(nets, companions)


def _compressed(plan: Plan, weights: dict[str, Tensor] | None) -> list[Net]:
    """The networks that answer, as AFTER methods leave them; weights: in the place of the final ones, on a copy."""
    with using_weights(plan.net, weights) if weights is not None else contextlib.nullcontext():
        first = plan.net if weights is None else copy.deepcopy(plan.net)
        nets = [net.baked() for net in (first, *(_holding(plan.net, more) for more in plan.gathered()))]
        for method in plan.methods:
            if isinstance(method, Compresses):
                nets = [method.compress(net, plan.context) for net in nets]
    return nets


def _is_held(net: Net, weights: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, weights[name].to(tensor.device)) for name, tensor in net.state_dict().items())


def _holding(net: Net, weights: dict[str, Tensor]) -> Net:
    """A copy of the network with these weights."""
    member = copy.deepcopy(net)
    member.load_state_dict(weights)
    return member


def measure_parts(
    table: Table, predictor: Any, ask: Ask, folder: RunFolder, val_answers: Answers | None = None
) -> dict[str, Any]:
    """Answer validation (where not done yet) and test samples once; write predictions.csv; metrics by part. The confidence is the
    probability of the whole answer: of several labels the product of those of its decisions."""
    metrics, rows = {}, []
    for split in ("val", "test"):
        part = table.part(split)
        if not len(part):
            continue
        logits, index = val_answers if split == "val" and val_answers is not None else ask(part, predictor)
        probs = probabilities(logits.double().numpy(), table.multi_label)
        metrics[split] = classification_metrics(probs, part.truth[index], table.classes)
        for probs_K, i in zip(probs, index):
            predicted, confidence = answer_of(probs_K, table.classes, table.multi_label)
            rows.append(
                [part.frame["id"].iloc[i], split, part.cell_of(part.label_N[i]),
                 predicted if isinstance(predicted, str) else labels_cell(predicted), f"{confidence:.6g}",
                 *(f"{p:.6g}" for p in probs_K)]
            )  # fmt: skip
    header = ["id", "split", "label", "predicted", "confidence", *(f"p:{name}" for name in table.classes)]
    write_csv(folder.predictions, header, rows, exact=True)
    return metrics


def compare_answering(
    plan: Plan, weights: dict[str, Tensor], part: Table, split: str, ask: Ask, folder: RunFolder
) -> dict[str, Any]:
    """What averages, ensembles and the other PREDICT methods gain together over the plain answer of the last weights, on the same
    samples, and what an answer costs with and without them."""
    began = time.monotonic()
    with using_weights(plan.net, weights):
        logits, index = ask(part, plan.net)
    seconds = (time.monotonic() - began) / max(len(index), 1)
    said = folder.read_predictions()
    right_by_id = dict(
        zip(said["id"][said["split"] == split], (said["label"] == said["predicted"])[said["split"] == split])
    )
    ids = part.frame["id"].to_numpy()[index]
    probs_NK = probabilities(logits.double().numpy(), part.multi_label)
    plain_right = right_N(decided(probs_NK, part.multi_label), part.truth[index])
    right = np.array([bool(right_by_id[id_]) for id_ in ids])
    plain = classification_metrics(probs_NK, part.truth[index], plan.context.classes)
    chosen = ("accuracy", "macro_f1", "log_loss", "calibration_error")
    return {
        "split": split,
        "plain": {key: plain[key] for key in chosen} | {"seconds_per_sample": seconds},
        "difference": asdict(paired_binary(plain_right, right)),
    }


def write_samples(plan: Plan, table: Table, loader: Loader, folder: RunFolder) -> None:
    """samples/: some training samples as they are, and as the model saw them in the first epochs, mixing of pictures included."""
    rows = draw_sheet(plan.augmentation, table, loader, plan.recipe.size, SHEET_ROWS, SHEET_VARIANTS, plan.net.front)
    folder.samples.mkdir(exist_ok=True)
    told = write_sheet(rows, folder.samples, getattr(plan.net.front, "rate", USUAL_RATE))
    strict_json.write(folder.samples / "samples.json", {"variants": SHEET_VARIANTS, "rows": told})


def write_mistakes(part: Table, split: str, folder: RunFolder, explain: Explain) -> str:
    """mistakes/: the samples of this part that were wrong with the most confidence (of several labels, with the most confidence in
    one that was missed or said wrongly), and why the model said what it said, where its kind can be explained; else the reason."""
    said = folder.read_predictions()
    wrong = said[(said["split"] == split) & (said["label"] != said["predicted"])]
    if part.multi_label:
        faults = [_faults(row, part.classes) for row in wrong.to_dict("records")]
        wrong = wrong.assign(
            faults=faults, confidence=[max(fault["confidence"] for fault in found) for found in faults]
        )
    wrong = wrong.sort_values(["confidence", "id"], ascending=[False, True])
    first = wrong[wrong["id"].isin(part.frame["id"])].head(MISTAKES)  # of samples that are still there
    chosen = part.with_frame(part.frame.set_index("id", drop=False).loc[first["id"]])
    folder.mistakes.mkdir(exist_ok=True)
    asked = [faults[0]["name"] for faults in first["faults"]] if part.multi_label else first["predicted"]
    why, reason = {}, ""
    try:
        for index, explanation in explain(
            chosen, np.array([part.classes.index(name) for name in asked], dtype=np.int64)
        ):
            why[index] = write_explanation(explanation, folder.mistakes, str(index))
    except CannotExplain as error:
        reason = str(error)
    except RuntimeError as error:  # torch's word for memory it does not get; a run does not fail for its pictures' sake
        reason = str(error).partition("\n")[0]
    shown: list[dict[str, Any]] = []
    for index, row in enumerate(first.itertuples()):
        sample = write_row(chosen.frame.iloc[index], part.medium, folder.mistakes, str(index))
        if sample is not None:  # else it is gone since it was answered; the others still tell their story
            told = {"id": row.id, "label": row.label, "predicted": row.predicted, "confidence": float(row.confidence)}
            if part.multi_label:
                told |= {"label": cell_said(row.label), "predicted": cell_said(row.predicted), "faults": row.faults}
            shown.append(told | sample | why.get(index, {}))
    strict_json.write(folder.mistakes / "mistakes.json", {"split": split, "wrong": len(wrong), "shown": shown})
    return reason


def _faults(row: dict[str, Any], classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """The labels that were missed or said wrongly, the surest first, and how sure the model was of that."""
    true, said = set(cell_labels(row["label"])), set(cell_labels(row["predicted"]))
    found = [
        {
            "name": name,
            "missed": name in true,
            "confidence": float(1 - row[f"p:{name}"] if name in true else row[f"p:{name}"]),
        }
        for name in classes
        if (name in true) != (name in said)
    ]
    return sorted(found, key=lambda fault: -fault["confidence"])
