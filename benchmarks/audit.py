"""Does `whet check` find what is wrong, and nothing else? Faults are planted into copies of real data; then 10,000 photos are
timed.

One per cent each of: exact copies, near-copies (encoded anew, half the size, mirrored, brightened, slightly cropped), copies
under another class, copies of test images in train (of both, half exact and half near), broken files (cut short, empty, text,
a web page, noise). A fault counts as found where a finding of its kind names the planted file. A false alarm is an image that
has nothing to do with a planted fault and is named as copy, conflict, leak or unreadable. TrashNet has copies of its own: those
that were looked at by eye and are one scene (REAL) are counted apart.

    python benchmarks/audit.py [--part faults time] [--files 10000]
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageEnhance, ImageOps

import record
from whet.checking import check
from whet.core.rng import Rng
from whet.core.spec import DataSpec
from whet.data.read import read_data

SHARE = 0.01
LISTS = record.SHARED / "trashnet" / "one-indexed-files-notrash_{train,val,test}.txt"
DATA: dict[str, dict[str, Any]] = {
    "trashnet": {"path": record.SHARED / "trashnet", "split_files": (str(LISTS),), "small": False},
    "cifar10_subset": {"path": record.SHARED / "cifar10_subset", "split_files": (), "small": True},
}
KINDS = {
    "exact": ("exact duplicates",),
    "near": ("near-duplicates",),
    "conflict": ("label conflict", "near-duplicate conflict"),
    "leak": ("leak across splits", "near-duplicate leak"),
    "broken": ("unreadable",),
}
BROKEN = ("cut short", "empty", "text", "web page", "noise")


def encoded(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def cropped(image: Image.Image) -> Image.Image:
    width, height = image.size
    return image.crop((round(0.03 * width), round(0.02 * height), round(0.98 * width), round(0.97 * height)))


NEAR = {
    "encoded anew": lambda image: encoded(image, 70),
    "half the size": lambda image: encoded(image.resize((image.width // 2, image.height // 2)), 85),
    "mirrored": lambda image: encoded(ImageOps.mirror(image), 85),
    "brightened": lambda image: encoded(ImageEnhance.Brightness(image).enhance(1.2), 85),
    "cropped": lambda image: encoded(cropped(image), 85),
}


def broken(kind: str, data: bytes) -> bytes:
    if kind == "cut short":
        return data[: len(data) * 2 // 3]
    if kind == "noise":
        return bytes(Rng(0).shuffled("noise", len(data), 251).astype(np.uint8)) * 20
    return {"empty": b"", "text": b"not an image\n" * 30, "web page": b"<!doctype html><title>404</title>" * 9}[kind]


def plant(name: str, folder: Path) -> tuple[Path, pd.DataFrame]:
    """A copy of the data with faults: (its table, a row a fault: file, kind, how, source)."""
    spec = DataSpec(path=str(DATA[name]["path"]), split_files=DATA[name]["split_files"])
    table = read_data(spec)
    frame, classes = table.frame, table.classes
    shutil.rmtree(folder, ignore_errors=True)
    rows, faults = [], []
    for id_, path, label, split in zip(frame["id"], frame["path"], frame["label"], frame["split"]):
        (folder / id_).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / id_)
        rows.append({"file": id_, "label": classes[label], "split": split})
    count = round(SHARE * len(frame))
    turn = Rng(0).shuffled("planted", 0, len(frame))
    # Images that are copies as they come are no sources: what is planted has one partner each.
    used = {id_ for pair in REAL.get(name, ()) for id_ in pair} | set(
        frame["id"][frame["digest"].duplicated(keep=False)]
    )
    free = [int(row) for row in turn if frame["id"][row] not in used]
    tests = [row for row in free if frame["split"][row] == "test"]
    others = [row for row in free if frame["split"][row] == "train"]
    ways = [way for way in NEAR if not (DATA[name]["small"] and way == "half the size")]
    for kind in KINDS:
        for number in range(count):
            row = (tests if kind == "leak" else others).pop()
            source, label, split = frame["id"][row], int(frame["label"][row]), frame["split"][row]
            data = Path(frame["path"][row]).read_bytes()
            if kind == "broken":
                how = BROKEN[number % len(BROKEN)]
                (folder / source).write_bytes(broken(how, data))
                faults.append({"file": source, "kind": kind, "how": how, "source": source})
                continue
            near = kind == "near" or (kind in ("conflict", "leak") and number % 2)
            how = ways[(number if kind == "near" else number // 2) % len(ways)] if near else "the same bytes"
            if near:
                with Image.open(io.BytesIO(data)) as image:
                    data = NEAR[how](image.convert("RGB"))
            if kind == "conflict":
                label = (label + 1 + number % (len(classes) - 1)) % len(classes)
            file = f"{classes[label]}/planted-{kind}{number:03d}.jpg"
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(data)
            rows.append({"file": file, "label": classes[label], "split": "train" if kind == "leak" else split})
            faults.append({"file": file, "kind": kind, "how": how, "source": source})
    pd.DataFrame(rows).to_csv(folder / "data.csv", index=False)
    return folder / "data.csv", pd.DataFrame(faults)


def faults_found(name: str) -> dict[str, Any]:
    """Shares found, by kind and way, and false alarms."""
    table, faults = plant(name, record.FOLDER / f"audit-{name}")
    found = check(table)
    named: dict[str, set[tuple[str, ...]]] = {}
    for finding in found.findings:
        named.setdefault(finding.kind, set()).update(finding.groups)
    # Sharing one finding with its own source is what makes a copy found.
    results: dict[str, Any] = {"images": len(found.survey.table), "planted": len(faults), "found": {}, "missed": []}
    right: Counter[str] = Counter()
    every = Counter(faults["kind"])
    for fault in faults.itertuples():
        groups = [group for kind in KINDS[fault.kind] for group in named.get(kind, ())]
        if any({fault.file, fault.source} <= set(group) for group in groups):
            right[fault.kind] += 1
        else:
            results["missed"].append({"kind": fault.kind, "how": fault.how, "source": fault.source})
    results["found"] = {kind: {"planted": every[kind], "found": right[kind]} for kind in KINDS}
    results["share_found"] = sum(right.values()) / len(faults)
    touched = set(faults["file"]) | set(faults["source"])
    alarmed = {
        id_ for kinds in KINDS.values() for kind in kinds for group in named.get(kind, ()) for id_ in group
    } - touched
    true = {id_ for pair in REAL.get(name, ()) for id_ in pair}
    frame = found.survey.table.frame
    true |= set(frame["id"][frame["digest"].duplicated(keep=False)])
    results["alarms_of_images_not_planted"] = len(alarmed)
    results["of_these_truly_alike"] = len(alarmed & true)
    results["false_alarms"] = sorted(alarmed - true)
    results["false_alarm_share"] = len(alarmed - true) / (len(frame) - len(touched))
    return results


def write_photos(folder: Path, count: int) -> None:
    """Photos of 512 x 384 that are none of them copies: TrashNet's, each variant another part of it, turned another way."""
    done = folder / f".{count}"
    if done.exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    sources = sorted((record.SHARED / "trashnet").glob("*/*.jpg"))
    turns = (lambda p: p, ImageOps.flip, lambda p: p.rotate(180), ImageOps.mirror)
    for number in range(count):
        source, variant = sources[number % len(sources)], number // len(sources)
        x, y, side = Rng(0).batch(f"part {variant}", 0, [number]).uniform(shape=(3,))[0]
        with Image.open(source) as image:
            side = 0.6 + 0.15 * side
            left, top = x * (1 - side) * image.width, y * (1 - side) * image.height
            part = image.crop(
                (round(left), round(top), round(left + side * image.width), round(top + side * image.height))
            )
            place = folder / source.parent.name / f"{number:05d}.jpg"
            place.parent.mkdir(parents=True, exist_ok=True)
            turns[variant % 4](part.convert("RGB")).resize((512, 384), Image.Resampling.BICUBIC).save(place, quality=85)
    done.touch()


def timed(count: int) -> dict[str, Any]:
    """Seconds of the whole command, from its start to its end, with an empty cache and again."""
    photos, cache, page = record.FOLDER / "audit-photos", record.FOLDER / "audit-cache", record.FOLDER / "audit-page"
    write_photos(photos, count)
    shutil.rmtree(cache, ignore_errors=True)
    results: dict[str, Any] = {
        "photos": count,
        "size": [512, 384],
        "load_average_before": os.getloadavg()[0],
        "niceness": os.nice(0),
    }
    environment = {**os.environ, "WHET_CACHE": str(cache)}
    for name in ("first", "again"):
        command = [sys.executable, "-m", "whet", "check", str(photos), "--out", str(page), "--json"]
        began, used = time.monotonic(), _cpu_seconds()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        results[f"seconds_{name}"] = time.monotonic() - began
        results[f"cpu_seconds_{name}"] = _cpu_seconds() - used  # what the machine's other work does not lengthen much
        results["findings"] = Counter(finding["kind"] for finding in json.loads(done.stdout)["findings"])
    return results


def _cpu_seconds() -> float:
    """Of all commands that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


# Looked at by eye: one scene twice, in TrashNet as it is (moments apart, or a slightly other crop), by file name.
_TRASHNET = """
cardboard15=cardboard361 glass130=glass73 metal11=metal221 metal120=metal50 metal122=metal57 metal141=metal390
metal394=metal76 paper101=paper108 paper123=paper547 paper135=paper496 paper136=paper148 paper147=paper99
paper152=paper392 paper176=paper549 paper180=paper284 paper185=paper390 paper2=paper40 paper240=paper306
paper246=paper349 paper265=paper408 paper305=paper308 paper314=paper53 paper345=paper451 paper39=paper467
paper457=paper553 paper459=paper466 paper474=paper89 paper522=paper534 paper540=paper56 paper68=paper74
plastic118=plastic137
"""


def _pairs(words: str) -> tuple[tuple[str, str], ...]:
    """'paper2=paper40 …' -> their ids."""
    ids = ([f"{name.rstrip('0123456789')}/{name}.jpg" for name in word.split("=")] for word in words.split())
    return tuple((one, other) for one, other in ids)


REAL: dict[str, tuple[tuple[str, str], ...]] = {"trashnet": _pairs(_TRASHNET)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=("faults", "time"), default=["faults", "time"])
    parser.add_argument("--files", type=int, default=10_000)
    arguments = parser.parse_args()
    results = record.earlier("audit")
    if "faults" in arguments.part:
        results["faults"] = {name: faults_found(name) for name in DATA}
        rows = [
            [name, f"{100 * one['share_found']:.1f} %", *(f"{k['found']}/{k['planted']}" for k in one["found"].values()),
             f"{100 * one['false_alarm_share']:.2f} %"]
            for name, one in results["faults"].items()
        ]  # fmt: skip
        print(record.markdown(["data", "found", *KINDS, "false alarms"], rows))
    if "time" in arguments.part:
        results["time"] = timed(arguments.files)
        print(json.dumps(results["time"], indent=2))
    question = "whet check on data with planted faults: what is found, what is falsely reported; and the time for 10,000 photos"
    record.write("audit", question, results, ("opencv-python-headless", "simplejpeg", "scikit-learn"))


if __name__ == "__main__":
    main()
