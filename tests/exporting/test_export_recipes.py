"""A run of every shipped recipe, trained for two steps with a small network, exports: both sides predict the same."""

from pathlib import Path

import pytest
from tests.conftest import write_images
from tests.end_to_end.test_audio_runs import write_audio
from tests.end_to_end.test_segmentation import make_pairs
from tests.end_to_end.test_texts import write_texts

import whet
from whet import recipes
from whet.core.spec import DataSpec, ModelSpec
from whet.training.job import train_run

pytestmark = pytest.mark.slow

NAMES = [name for name in recipes.names() if not name.startswith("pretraining/")]  # which predict nothing
NETWORKS = {"image": "resnet9_slim", "segmentation": "resnet9_slim", "audio": "audio_cnn", "text": "text_transformer"}
OWN = {
    "audio/finetune": "yamnet",
    "audio/finetune_all": "yamnet",
    "text/tf_idf": "tf_idf",
    "text/from_scratch": "fast_text",
}


def data_of(medium: str, folder: Path) -> Path:
    if medium == "image":
        return write_images(folder / "images", {"glass": 16, "metal": 12, "paper": 12})
    if medium == "segmentation":
        return make_pairs(folder / "masks")
    return write_audio(folder / "tones") if medium == "audio" else write_texts(folder / "waste.csv")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.sample) if name == "image/waste" else name for name in NAMES]
)
def test_it_exports(name, tmp_path, request):
    medium = name.partition("/")[0]
    architecture, weights = OWN.get(name, NETWORKS[medium]), "none"
    if architecture == "yamnet":  # with random weights every clip has the same scores
        weights = str(request.getfixturevalue("shared") / "data" / "weights" / "yamnet.safetensors")
    asked = recipes.load(name).replace(
        data=DataSpec(path=str(data_of(medium, tmp_path))),
        model=ModelSpec(architecture=architecture, weights=weights),
    )
    images = {"image_size": 32} if medium in ("image", "segmentation") else {}
    run = train_run(asked.setting(budget="2st", max_epochs=None, batch_size=8, **images), tmp_path / "run")
    bundle = whet.export(run.path, tmp_path / "bundle")
    parity = bundle.info["parity"]
    print(f"{name}: {parity['largest_difference']:.2g}, largest score {parity['largest_score']:.3g}")
    assert parity["largest_difference"] < 1e-4 * (1 + parity["largest_score"])
    assert bundle.check_golden() == []
