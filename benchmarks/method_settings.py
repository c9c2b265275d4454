"""Where methods are measured: small real data, and the plain recipe that each method is added to.

Texts and audio clips come from `method_texts_and_audio.py`. Images have three sources: scikit-learn's digits (`examples/digits`),
CIFAR-10's subset and TrashNet, made small once. Which images are trained on is drawn once, by name. A plain recipe is what most
people would do first, as the shipped ones are, but without any augmentation: SGD (AdamW where weights are pretrained, and for texts
and audio clips) along a cosine. For images its learning rate was chosen by hand on validation images, a steadier one before a
slightly better one. Runs have one thread and float32: the same recipe and seed give the same bits.
"""

from __future__ import annotations

import functools
import hashlib
import runpy
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

import label_noise
import long_tail
import method_texts_and_audio as others
import record
from whet.core.recipe import Recipe, parse_methods
from whet.core.rng import Rng
from whet.core.spec import DataSpec, ModelSpec
from whet.data.read import read_data
from whet.data.table import Table

FOLDER = record.FOLDER / "methods"  # what lasts from call to call
CIFAR, TRASHNET = record.SHARED / "cifar10_subset", record.SHARED / "trashnet"
WEIGHTS = record.SHARED / "weights" / "mobilenet_v1_0.25_128"
WRONG, TWICE = 20, 20  # % of the training images that bear a wrong label, or are filed under a second one too
WIDTH = 0.5  # of the slim ResNet-9: 8 channels first, 64 last

ByClass = Mapping[str, list[Path]]


@dataclass(frozen=True)
class ImageSamples:
    """The images of one source by class: to train on (in the order they are taken), to validate and to test with."""

    train: ByClass
    val: ByClass
    test: ByClass

    def table(self, counts: Mapping[str, int], first: int = 0) -> pd.DataFrame:
        """So many training images of each class, from place `first` on, and all others. Columns: file, label, split."""
        train = {label: files[first : first + counts[label]] for label, files in self.train.items()}
        parts = (("train", train), ("val", self.val), ("test", self.test))
        return pd.DataFrame(
            [
                {"file": str(path), "label": label, "split": split}
                for split, by_class in parts
                for label, files in by_class.items()
                for path in files
            ]
        )


def even(images: ImageSamples, count: int) -> dict[str, int]:
    return dict.fromkeys(images.train, count)


def uneven(images: ImageSamples, most: int) -> dict[str, int]:
    """The long tail of `long_tail.py`: from `most` images of the first class to a fiftieth of that of the last."""
    quota_K = long_tail.quotas(np.full(len(images.train), most), long_tail.IMBALANCE)
    return dict(zip(sorted(images.train), quota_K.tolist()))


# --- the three sources ----------------------------------------------------------------------------------------------
@functools.cache
def digits() -> ImageSamples:
    """The split of the example: 25 of each digit to train on, 20 to validate with, some 132 to test."""
    write: Callable[[Path], None] = runpy.run_path(str(record.ROOT / "examples" / "digits" / "write_digits.py"))[
        "write_digits"
    ]
    folder = _made("digits", write)
    return ImageSamples(*(_files(folder / part) for part in ("train", "val", "test")))


@functools.cache
def cifar10() -> ImageSamples:
    """40 validation images of each class are set aside from the 500 to train on; 100 of each to test."""
    files = _drawn(_files(CIFAR / "train"))
    return ImageSamples(_part(files, 40, None), _part(files, 0, 40), _files(CIFAR / "test"))


@functools.cache
def trashnet() -> ImageSamples:
    """128 x 96 px instead of 512 x 384. Of each class 25 to validate with, then up to 150 to test, but 60 are left to train on."""
    files = _drawn(_files(_made("trashnet", _shrink_trashnet)))
    tested = {label: min(150, len(paths) - 25 - 60) for label, paths in files.items()}
    return ImageSamples(
        train={label: paths[25 + tested[label] :] for label, paths in files.items()},
        val=_part(files, 0, 25),
        test={label: paths[25 : 25 + tested[label]] for label, paths in files.items()},
    )


def _made(name: str, write: Callable[[Path], None]) -> Path:
    """A folder that `write` fills; beside its place first, so that what lies there is whole."""
    folder, beside = FOLDER / name, FOLDER / f"{name}.new"
    if not folder.is_dir():
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        write(beside)
        beside.rename(folder)
    return folder


def _shrink_trashnet(folder: Path) -> None:
    for label, paths in _files(TRASHNET).items():
        (folder / label).mkdir()
        for path in paths:
            small = cv2.resize(cv2.imread(str(path)), (128, 96), interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(folder / label / path.name), small, [cv2.IMWRITE_JPEG_QUALITY, 95])


def _files(folder: Path) -> dict[str, list[Path]]:
    return {path.name: sorted(path.glob("*.[jp][pn]g")) for path in sorted(folder.iterdir()) if path.is_dir()}


def _drawn(files: ByClass) -> dict[str, list[Path]]:
    """Each class in an order drawn once, by name."""
    return {
        label: [paths[place] for place in np.argsort(Rng(0).keyed(label, [path.name for path in paths]))]
        for label, paths in files.items()
    }


def _part(files: ByClass, first: int, end: int | None) -> dict[str, list[Path]]:
    return {label: paths[first:end] for label, paths in files.items()}


# --- what is done to the training part --------------------------------------------------------------------------------
def with_wrong_labels(rows: pd.DataFrame, percent: int = WRONG) -> pd.DataFrame:
    """So many of the training labels wrong, as in `label_noise.py`."""
    classes = tuple(sorted(rows["label"].unique()))
    numbered = rows.assign(id=_names(rows), label=[classes.index(label) for label in rows["label"]])
    noisy = label_noise.with_noise(Table(numbered, classes, Path()), 1.0, percent)
    return rows.assign(label=[classes[k] for k in noisy["label"]])


def with_images_filed_twice(rows: pd.DataFrame, copies: Path, percent: int = TWICE) -> pd.DataFrame:
    """So many of the training images copied into `copies` and filed there under another class too, each as likely."""
    train, classes = rows[rows["split"] == "train"], sorted(rows["label"].unique())
    rng = Rng(0).batch("filed twice", 0, np.arange(len(train)))
    chosen = rng.permutation()[: round(percent / 100 * len(train))]
    turn_N = 1 + rng.integers(len(classes) - 1)
    copies.mkdir(parents=True, exist_ok=True)
    added = []
    for place, name in zip(chosen, np.array(_names(train))[chosen]):
        label = classes[(classes.index(train["label"].iloc[place]) + turn_N[place]) % len(classes)]
        copy = shutil.copyfile(train["file"].iloc[place], copies / name.replace("/", "-"))
        added.append({"file": str(copy), "label": label, "split": "train"})
    return pd.concat([rows, pd.DataFrame(added)], ignore_index=True)


def _names(rows: pd.DataFrame) -> list[str]:
    """Class and file name: what is drawn does not depend on where the data lie."""
    return [f"{label}/{Path(file).name}" for label, file in zip(rows["label"], rows["file"])]


# --- the settings -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Setting:
    """Data, and the plain recipe on it. `rows` gives the table; `title` stands on the cards."""

    name: str
    title: str
    rows: Callable[[], pd.DataFrame]
    model: ModelSpec
    methods: tuple[Any, ...]
    train: Mapping[str, Any]
    metric: str = "accuracy"
    task: str = "image-classification"
    helpers: Mapping[str, Helper] = field(default_factory=dict)

    @functools.cached_property
    def path(self) -> Path:
        """The table, written where it lasts."""
        path = FOLDER / "tables" / f"{self.name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        self.rows().to_csv(path, index=False)
        return path

    @functools.cached_property
    def digest(self) -> str:
        """Of the table: which images, with which labels, in which part."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()[:8]

    @functools.cached_property
    def test_labels(self) -> np.ndarray:
        """Class numbers of the test samples in the order of their ids, int64 (N,)."""
        return read_data(self.plain().data).part("test").frame.sort_values("id")["label"].to_numpy(np.int64)

    def plain(self, path: Path | None = None) -> Recipe:
        """On this setting's table, or on that at `path`."""
        common: dict[str, Any] = {"device": "cpu", "precision": "fp32", "torch_threads": 1, "loader_threads": 1}
        if self.task != "text-classification":
            common["store"] = "memory"
        data = DataSpec(path=str(path or self.path))
        recipe = Recipe(task=self.task, data=data, model=self.model, methods=parse_methods(self.methods))
        return recipe.setting(**common, checkpoint_every="1dur", **self.train)


@dataclass(frozen=True)
class Helper:
    """A run that a method needs to be there before its own. `methods` and `train` change the plain recipe; `rows` its data."""

    title: str
    methods: tuple[Any, ...] = ()
    train: Mapping[str, Any] = field(default_factory=dict)
    rows: Callable[[], pd.DataFrame] | None = None

    def recipe(self, setting: Setting, name: str) -> Recipe:
        path = None
        if self.rows is not None:
            path = setting.path.with_name(f"{setting.name}-{name}.csv")
            self.rows().to_csv(path, index=False)
        return setting.plain(path).with_methods(*parse_methods(self.methods)).setting(**self.train)


def _digits_rows() -> pd.DataFrame:
    return digits().table(even(digits(), 25))


def _cifar_rows() -> pd.DataFrame:
    return cifar10().table(even(cifar10(), 100))


def _cifar_rough_rows() -> pd.DataFrame:
    """200 other images of each class, of which one learns only whether it is an animal."""
    animals = {"bird", "cat", "deer", "dog", "frog", "horse"}
    table = cifar10().table(even(cifar10(), 200), first=250)
    return table.assign(label=["animal" if label in animals else "vehicle" for label in table["label"]])


def _trashnet_rows() -> pd.DataFrame:
    return trashnet().table(even(trashnet(), 60))


def _trashnet_rough_rows() -> pd.DataFrame:
    """Up to 100 other images of each class, of which one learns only whether it is of fibre."""
    table = trashnet().table(even(trashnet(), 100), first=120)
    return table.assign(label=["fibre" if label in ("cardboard", "paper") else "other" for label in table["label"]])


_SLIM = ModelSpec(architecture="resnet9_slim", weights="none")
_MOBILENET = ModelSpec(architecture=str(WEIGHTS), weights=str(WEIGHTS))
_DIGITS: dict[str, Any] = {
    "model": _SLIM,
    "methods": ({"scale_width": {"width": WIDTH}}, {"sgd": {"lr": 0.1}}, "cosine"),
    "train": {"budget": "20ep", "batch_size": 32, "image_size": 32},
}
_CIFAR: dict[str, Any] = {
    "model": _SLIM,
    "methods": ({"scale_width": {"width": WIDTH}}, {"sgd": {"lr": 0.05}}, "cosine"),
    "train": {"budget": "10ep", "batch_size": 32, "image_size": 32},
}
_FINE_TUNED: dict[str, Any] = {
    "model": _MOBILENET,
    "methods": ("finetune", {"adamw": {"lr": 1e-3, "weight_decay": 0.01}}, "cosine"),
    "train": {"budget": "8ep", "batch_size": 16, "image_size": 64},
}
_WORDS: dict[str, Any] = {
    "task": "text-classification",
    "model": ModelSpec(architecture="fast_text", weights="none"),
    "methods": ({"adamw": {"lr": 2e-3, "weight_decay": 0.01}}, "cosine"),
    "train": {"budget": "15ep", "batch_size": 16},
}
_IN_CONTEXT = _WORDS | {
    "model": ModelSpec(architecture="text_transformer", weights="none"),
    "methods": ({"adamw": {"lr": 5e-4, "weight_decay": 0.01}}, "cosine"),
    "train": {"budget": "8ep", "batch_size": 16},
}
_AUDIO: dict[str, Any] = {
    "task": "audio-classification",
    "model": ModelSpec(architecture="audio_cnn", weights="none"),
    "methods": ({"adamw": {"lr": 2e-3, "weight_decay": 0.01}}, "cosine"),
    "train": {"budget": "15ep", "batch_size": 16},
}
_FEATURES: dict[str, Any] = {
    "model": _MOBILENET,
    "methods": ("linear_probe", {"sgd": {"lr": 5e-3}}, "cosine"),
    "train": {"budget": "20ep", "batch_size": 32, "image_size": 96},
}

SETTINGS: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        Setting(
            "digits",
            "digits",
            _digits_rows,
            **_DIGITS,
            helpers={
                "teacher": Helper(
                    "the same network twice as wide, 40 epochs with random_crop",
                    ({"scale_width": {"width": 2 * WIDTH}}, "random_crop"),
                    {"budget": "40ep"},
                )
            },
        ),
        Setting(
            "cifar10",
            "CIFAR-10",
            _cifar_rows,
            **_CIFAR,
            helpers={
                "teacher": Helper(
                    "the same network twice as wide, 20 epochs with random_crop",
                    ({"scale_width": {"width": 2 * WIDTH}}, "random_crop"),
                    {"budget": "20ep"},
                ),
                "related": Helper("2,000 other images, labelled animal or vehicle alone", rows=_cifar_rough_rows),
            },
        ),
        Setting(
            "trashnet",
            "TrashNet, fine-tuned",
            _trashnet_rows,
            **_FINE_TUNED,
            helpers={"related": Helper("other images, labelled fibre or other alone", rows=_trashnet_rough_rows)},
        ),
        Setting(
            "cifar10_finetuned", "CIFAR-10, fine-tuned", lambda: cifar10().table(even(cifar10(), 36)), **_FINE_TUNED
        ),
        Setting("trashnet_features", "TrashNet, kept features", _trashnet_rows, **_FEATURES),
        Setting(
            "cifar10_features", "CIFAR-10, kept features", lambda: cifar10().table(even(cifar10(), 36)), **_FEATURES
        ),
        Setting(
            "cifar10_long_tail",
            "CIFAR-10, classes 50 : 1",
            lambda: cifar10().table(uneven(cifar10(), 250)),
            **_CIFAR,
            metric="macro_f1",
        ),
        Setting(
            "trashnet_long_tail",
            "TrashNet, fine-tuned, classes 50 : 1",
            lambda: trashnet().table(uneven(trashnet(), 120)),
            **_FINE_TUNED,
            metric="macro_f1",
        ),
        Setting(
            "digits_wrong_labels", "digits, 20 % wrong labels", lambda: with_wrong_labels(_digits_rows()), **_DIGITS
        ),
        Setting(
            "cifar10_wrong_labels", "CIFAR-10, 20 % wrong labels", lambda: with_wrong_labels(_cifar_rows()), **_CIFAR
        ),
        Setting(
            "trashnet_wrong_labels",
            "TrashNet, fine-tuned, 20 % wrong labels",
            lambda: with_wrong_labels(_trashnet_rows()),
            **_FINE_TUNED,
        ),
        Setting(
            "digits_twice",
            "digits, 20 % filed twice",
            lambda: with_images_filed_twice(_digits_rows(), FOLDER / "digits-twice"),
            **_DIGITS,
        ),
        Setting(
            "cifar10_twice",
            "CIFAR-10, 20 % filed twice",
            lambda: with_images_filed_twice(_cifar_rows(), FOLDER / "cifar10-twice"),
            **_CIFAR,
        ),
        Setting("sst2", "SST-2, a tenth", others.sst2, **_WORDS),
        Setting("trec", "TREC-6", others.trec, **_WORDS),
        Setting("hotels_zh", "hotel reviews (Chinese)", others.hotels, **_WORDS),
        Setting("waste_zh", "names of waste (Chinese)", others.waste_names, **_WORDS, metric="macro_f1"),
        Setting("shopping_zh", "reviews of goods (Chinese)", others.shopping, **_WORDS),
        Setting(
            "sst2_transformer",
            "SST-2, a tenth, transformer",
            lambda: others.with_unlabelled(others.sst2()),
            **_IN_CONTEXT,
        ),
        Setting(
            "trec_transformer", "TREC-6, transformer", lambda: others.with_unlabelled(others.trec()), **_IN_CONTEXT
        ),
        Setting("fsdd", "spoken digits", others.digits_spoken, **_AUDIO),
        Setting("esc10", "ESC-10", others.environment, **(_AUDIO | {"train": _AUDIO["train"] | {"budget": "8ep"}})),
    )
}
