"""The page, in a real Chromium."""

import base64
import csv
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.serving.chromium import BINARY, Chromium
from tests.serving.conftest import CLASSES, image_bytes
from tests.serving.test_objects_and_heat import spots
from tests.serving.test_server import free_port

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BINARY is None, reason="there is no Chromium")]
DONE = "rows.length > 0 && rows.every((row) => row.found || row.error)"
# In place of a download: the last file that was saved, in base64.
SAVED = """
save = async (name, parts, type) => {
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  window.saved = [name, btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))];
};
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Chromium(tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.fixture
def opened(browser, bundles, tmp_path):
    """The page of a bundle, opened."""
    processes = []

    def of(medium, rule="largest", *words):
        port = free_port()
        given = [sys.executable, "-m", "whet", "serve", str(bundles(medium, rule)), "--port", str(port), *words]
        processes.append(subprocess.Popen(given, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True))
        url = processes[-1].stdout.readline().strip()
        browser.requests.clear()
        browser.send("Page.navigate", url=url)
        browser.until("document.readyState === 'complete' && model !== null || !$('unlock').hidden")
        browser.do(SAVED)
        return url

    yield of
    for one in processes:
        one.terminate()
        one.communicate()


def files(folder: Path, **contents: bytes) -> list[Path]:
    for name, content in contents.items():
        (folder / f"{name}.png").write_bytes(content)
    return [folder / f"{name}.png" for name in contents]


def saved(browser, name: str) -> bytes:
    browser.until("window.saved")
    found, content = browser.do("window.saved")
    assert found == name
    browser.do("window.saved = null")
    return base64.b64decode(content)


def test_files_become_a_table_and_a_csv(browser, opened, tmp_path):
    url = opened("image")
    browser.choose(
        "#files", files(tmp_path, one=image_bytes((200, 30, 90)), two=image_bytes((1, 200, 9)), bad=b"\x89PNG")
    )
    browser.until(DONE)
    shown = browser.do("document.body.innerText")
    assert CLASSES[1] in shown and "2 of 3 predicted" in shown  # a label of HTML is text
    assert browser.do("document.querySelectorAll('#rows img[onerror], #rows script').length") == 0
    browser.do("$('csv').click()")
    rows = list(csv.DictReader(io.StringIO(saved(browser, "predictions.csv").decode("utf-8-sig"))))
    assert [row["file"] for row in rows] == ["one.png", "two.png", "bad.png"]
    assert rows[0]["predicted"] in CLASSES and rows[2]["error"] and not rows[2]["predicted"]
    assert sum(float(rows[0][name]) for name in CLASSES) == pytest.approx(1)
    assert all(one.startswith((url, f"blob:{url}", "data:")) for one in browser.requests)


def test_corrections_are_a_zip_with_a_table(browser, opened, tmp_path):
    opened("image")
    sample = image_bytes((200, 30, 90))
    browser.choose("#files", files(tmp_path, one=sample))
    browser.until(DONE)
    browser.do(
        "(() => { const s = document.querySelector('td select'); s.value = 'blue'; s.dispatchEvent(new Event('change')); })()"
    )
    browser.until("!$('corrections').hidden")
    browser.do("$('corrections').click()")
    with zipfile.ZipFile(io.BytesIO(saved(browser, "corrections.zip"))) as archive:
        assert archive.testzip() is None
        (row,) = csv.DictReader(io.StringIO(archive.read("corrections.csv").decode()))
        assert row["label"] == "blue" and archive.read(row["file"]) == sample


@pytest.mark.parametrize(("medium", "button"), [("image", "camera"), ("audio", "microphone")])
def test_camera_and_microphone(browser, opened, medium, button):
    opened(medium)
    assert not browser.do(f"$('{button}').hidden")
    browser.do(f"$('{button}').click()")
    if medium == "image":
        browser.until("$('video').videoWidth > 0")
        browser.do("shoot()")
    else:
        browser.until("recorder && recorder.state === 'recording'")
        browser.do("new Promise((done) => setTimeout(done, 1000))")
        browser.do("$('microphone').click()")
    browser.until(DONE)
    assert browser.do("rows[0].error") == "" and browser.do("rows[0].found.predicted") in CLASSES


def test_dropped_and_pasted_files(browser, opened):
    opened("image")
    content = base64.b64encode(image_bytes((1, 2, 3))).decode()
    given = f"new File([Uint8Array.from(atob('{content}'), (c) => c.charCodeAt(0))], 'a.png', {{type: 'image/png'}})"
    for kind, make in (("drop", "new DragEvent('drop', {dataTransfer: t, bubbles: true, cancelable: true})"),
                       ("paste", "new ClipboardEvent('paste', {clipboardData: t, bubbles: true})")):  # fmt: skip
        browser.do(
            f"(() => {{ const t = new DataTransfer(); t.items.add({given}); document.body.dispatchEvent({make}); }})()"
        )
        assert browser.do("rows.length") == {"drop": 1, "paste": 2}[kind]
    browser.until(DONE)
    assert browser.do("rows.every((row) => row.found)")


def test_texts_by_keyboard_and_in_chinese(browser, opened):
    opened("text")
    browser.do("$('text').focus()")
    browser.send("Input.insertText", text="good film\nbad film")
    browser.do("$('text').dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', ctrlKey: true}))")
    browser.until(f"rows.length === 2 && {DONE}")
    browser.do("$('language').click()")
    assert (
        "已预测 2/2" in browser.do("document.body.innerText") and browser.do("document.documentElement.lang") == "zh-CN"
    )
    assert browser.do("Object.keys(WORDS.en).sort().join() === Object.keys(WORDS.zh).sort().join()")
    browser.size(390, 844)
    assert browser.do("document.documentElement.scrollWidth") <= 390


def test_masks_lie_over_the_image(browser, opened, tmp_path):
    opened("image", "pixels")
    browser.choose("#files", files(tmp_path, one=image_bytes((200, 30, 90))))
    browser.until(f"{DONE} && document.querySelector('canvas') && document.querySelector('canvas').width === 16")
    colour = browser.do("[...document.querySelector('canvas').getContext('2d').getImageData(3, 3, 1, 1).data]")
    name = browser.do("Object.entries(rows[0].found.shares).sort((a, b) => b[1] - a[1])[0][0]")
    assert colour == [*browser.do(f"COLOURS[{CLASSES.index(name)}]"), 255]


def test_a_token_is_asked_for(browser, opened):
    opened("image", "largest", "--token", "secret-of-the-test")
    assert browser.do("$('intake').hidden") and not browser.do("$('unlock').hidden")
    browser.do("$('token').value = 'wrong'; $('unlock').requestSubmit()")
    browser.until("$('problem').textContent !== ''")
    browser.do("$('token').value = 'secret-of-the-test'; $('unlock').requestSubmit()")
    browser.until("model !== null && !$('intake').hidden")


def test_objects_lie_over_the_image_and_are_counted(browser, opened, tmp_path):
    opened("image", "objects")
    browser.choose("#files", files(tmp_path, spots=spots()))
    browser.until(DONE)
    shown = browser.do("document.querySelector('#rows').innerText")
    assert CLASSES[1] in shown and CLASSES[2] in shown and "%" in shown
    assert browser.do("document.querySelectorAll('#rows img[onerror]').length") == 0
    places = "[[6, 8], [16, 24], [1, 30]]"  # in the red spot, in the blue one, in neither
    red, blue, nothing = browser.do(f"{places}.map(([y, x]) => rows[0].found.mask.numbers[y * 32 + x])")
    assert (red, blue, nothing) == (1, 2, 0)
    for one in browser.do("rows[0].found.objects.map(({ box, inside, area }) => ({ box, area, inside: [...inside] }))"):
        assert sum(one["inside"]) == one["area"] and len(one["inside"]) == one["box"][2] * one["box"][3]
    assert browser.do("[...rows[0].found.mask.numbers].every((number, k) => number || !rows[0].found.mask.edges[k])")
    browser.do("$('csv').click()")
    (row,) = csv.DictReader(io.StringIO(saved(browser, "predictions.csv").decode("utf-8-sig")))
    assert (row[CLASSES[1]], row[CLASSES[2]]) == ("1", "1")


def test_an_image_without_objects_says_so(browser, opened, tmp_path):
    opened("image", "objects")
    browser.choose("#files", files(tmp_path, black=image_bytes((0, 0, 0))))
    browser.until(DONE)
    assert "no objects" in browser.do("document.querySelector('#rows').innerText")


def test_edges_of_objects_and_what_lies_on_top(browser, opened):
    """Two squares of 3 pixels that overlap in one corner; the first one is on top. Only its middle is no edge, nor that of the
    other."""
    opened("image", "objects")
    square = "inside: new Uint8Array(9).fill(1)"
    found = browser.do(
        f"(() => {{ const {{ numbers, edges }} = classesOf([{{ class: model.classes[2], box: [1, 1, 3, 3], {square} }}, "
        f"{{ class: model.classes[1], box: [3, 3, 3, 3], {square} }}], [7, 8]); return [[...numbers], [...edges]]; }})()"
    )
    numbers_HW, edges_HW = (np.array(one).reshape(7, 8) for one in found)
    expected_HW = np.zeros((7, 8), int)
    expected_HW[3:6, 3:6], expected_HW[1:4, 1:4] = 1, 2
    assert np.array_equal(numbers_HW, expected_HW)
    assert {tuple(place) for place in np.argwhere((expected_HW > 0) & (edges_HW == 0))} == {(2, 2), (4, 4)}


def test_a_changed_row_keeps_the_focus(browser, opened, tmp_path):
    """A row is made anew where its heat is shown or its label corrected."""
    opened("image")
    browser.choose("#files", files(tmp_path, spots=spots(), other=image_bytes((1, 2, 3))))
    browser.until(DONE)
    browser.do("document.querySelector('#rows button').focus()")
    for shown in ("rows[0].heat", "!rows[0].heat"):
        browser.do("document.activeElement.click()")
        browser.until(f"{shown} && document.activeElement.tagName === 'BUTTON'")
    browser.do("document.querySelectorAll('#rows select')[1].focus()")
    for key, label in (("ArrowDown", CLASSES[0]), ("ArrowDown", CLASSES[1])):
        for kind in ("rawKeyDown", "keyUp"):
            browser.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=40)
        browser.until(f"rows[1].label === {json.dumps(label)}")


def test_several_labels_are_corrected_one_by_one(browser, opened, tmp_path):
    """Each by the space bar; the list stays open and the focus in it."""
    opened("image", "each above 0.5")
    browser.choose("#files", files(tmp_path, one=image_bytes((200, 30, 90))))
    browser.until(DONE)
    label = set(browser.do("rows[0].found.predicted"))
    browser.do("document.querySelector('.labels summary').click()")
    for k, name in enumerate(CLASSES[:2]):
        label ^= {name}
        browser.do(f"document.querySelectorAll('.labels input')[{k}].focus()")
        browser.send(
            "Input.dispatchKeyEvent", type="keyDown", key=" ", code="Space", text=" ", windowsVirtualKeyCode=32
        )
        browser.send("Input.dispatchKeyEvent", type="keyUp", key=" ", code="Space", windowsVirtualKeyCode=32)
        browser.until(
            f"rows[0].label && rows[0].label.join() === {json.dumps(','.join(c for c in CLASSES if c in label))}"
        )
        assert browser.do("document.querySelector('.labels').open && document.activeElement.value") == name


def test_the_heat_is_shown_and_hidden(browser, opened, tmp_path):
    opened("image")
    browser.choose("#files", files(tmp_path, spots=spots()))
    browser.until(DONE)
    browser.do("document.querySelector('#rows button').click()")
    browser.until(
        "rows[0].heat && document.querySelector('.media canvas') && document.querySelector('.media canvas').width === 32"
    )
    drawn = "Math.max(...document.querySelector('.media canvas').getContext('2d').getImageData(0, 0, 32, 24).data)"
    assert browser.do("rows[0].heat.evidence.length") == 7 and browser.do(drawn) > 200
    browser.do("document.querySelector('#rows button').click()")
    browser.until("!rows[0].heat && !document.querySelector('.media canvas')")
