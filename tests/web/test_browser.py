"""The page without a server of whet, in a real Chromium: as a folder behind a static server, and as one file.

The environment variable WHET_WEB_PACKAGES names a folder with the npm packages:
npm pack onnxruntime-web@1.30.0 @huggingface/tokenizers@0.2.0
"""

import base64
import functools
import io
import json
import os
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.serving.chromium import BINARY, Chromium
from tests.serving.conftest import CLASSES, RATE, SAMPLES, image_bytes, make_bundle, wave_bytes, write_manifest
from tests.serving.test_objects_and_heat import spots

from whet.bundle import Bundle
from whet.serving.heat import covered, heat_of
from whet.web.write import write_page

PACKAGES = os.environ.get("WHET_WEB_PACKAGES", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BINARY is None, reason="there is no Chromium"),
    pytest.mark.skipif(not PACKAGES, reason="WHET_WEB_PACKAGES does not name a folder with the npm packages"),
]
DONE = "rows.length > 0 && rows.every((row) => row.found || row.error)"
FORMS = ("folder", "file")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Chromium(tmp_path_factory.mktemp("profile")) as one:
        yield one


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A folder behind a static server, and its address."""
    root = tmp_path_factory.mktemp("served")
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(root))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield root, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def url_of(served, bundles):
    """The address of the page of a bundle: a path, or a medium and a rule."""
    root, url = served

    def of(form: str, bundle: Path) -> str:
        name = f"{bundle.name}-{bundle.parent.name}".replace(" ", "_")
        place = root / (name if form == "folder" else f"{name}.html")
        if not place.exists():
            write_page(Bundle.read(bundle, threads=1), place, Path(PACKAGES), single_file=form == "file")
        return f"{url}{name}/" if form == "folder" else place.as_uri()

    return of


@pytest.fixture
def opened(browser, url_of):
    def of(form: str, bundle: Path) -> str:
        url = url_of(form, bundle)
        browser.requests.clear()
        browser.send("Page.navigate", url=url)
        browser.until("document.readyState === 'complete' && (model !== null || $('problem').textContent !== '')")
        browser.do(
            "addEventListener('securitypolicyviolation', (event) => { window.violation = event.effectiveDirective; })"
        )
        return url

    yield of
    browser.send("Page.navigate", url="about:blank")


def stays(browser, url: str) -> bool:
    """Whether no request left the page."""
    return len(browser.requests) > 1 and all(one.startswith((url, "blob:", "data:")) for one in browser.requests)


def chosen(browser, folder: Path, **contents: bytes) -> list[dict]:
    """The predictions for files with these names, where _ stands for the dot."""
    paths = []
    for name, content in contents.items():
        paths.append(folder / name.replace("_", "."))
        paths[-1].write_bytes(content)
    browser.choose("#files", paths)
    browser.until(f"rows.length === {len(paths)} && {DONE}")
    return browser.do("rows.map((row) => ({ ...row.found, mask: null, error: row.error }))")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", ["largest", "each above 0.5", "pixels"])
def test_images(browser, opened, bundles, tmp_path, form, rule):
    url = opened(form, bundles("image", rule))
    photo = Image.effect_mandelbrot((301, 200), (-2, -1.5, 1, 1.5), 50).convert("RGB")
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=95)
    clear = io.BytesIO()
    Image.new("RGBA", (40, 30), (200, 0, 0, 90)).save(clear, "PNG")
    samples = {"one_png": image_bytes((200, 30, 90)), "two_jpg": file.getvalue(), "clear_png": clear.getvalue()}
    found = chosen(browser, tmp_path, **samples, bad_png=b"\x89PNG")
    bundle = Bundle.read(bundles("image", rule))
    for ours, expected in zip(found, bundle.predict(samples.values()), strict=False):
        key = "shares" if rule == "pixels" else "probabilities"
        assert ours[key] == pytest.approx(expected[key], abs=0.01)
        assert ours.get("predicted") == expected.get("predicted")
    assert found[3]["error"].startswith("The file cannot be read")
    assert CLASSES[1] in browser.do("document.body.innerText")  # a label of HTML is text
    assert browser.do("document.querySelectorAll('#rows img[onerror], #rows script').length") == 0
    assert stays(browser, url)


@pytest.mark.parametrize("form", FORMS)
def test_objects(browser, opened, bundles, tmp_path, form):
    url, samples = (
        opened(form, bundles("image", "objects")),
        {"spots_png": spots(), "black_png": image_bytes((0, 0, 0))},
    )
    found = chosen(browser, tmp_path, **samples)
    for ours, expected in zip(found, Bundle.read(bundles("image", "objects")).predict(samples.values()), strict=True):
        assert ours["counts"] == expected["counts"]
        for one, other in zip(ours["objects"], expected["objects"], strict=True):
            assert all(one[key] == other[key] for key in ("class", "box", "area"))
            assert one["confidence"] == pytest.approx(other["confidence"], abs=1e-4)
    places = "[[6, 8], [16, 24], [1, 30]]"  # in the red spot, in the blue one, in neither
    assert browser.do(f"{places}.map(([y, x]) => rows[0].found.mask.numbers[y * 32 + x])") == [1, 2, 0]
    assert "no objects" in browser.do("rows[1].element.innerText") and stays(browser, url)


@pytest.mark.parametrize("rule", ["largest", "each above 0.5"])
def test_the_heat_is_that_of_the_server(browser, opened, bundles, tmp_path, rule):
    url = opened("folder", bundles("image", rule))
    chosen(browser, tmp_path, spots_png=spots())
    browser.do("document.querySelector('#rows button').click()")
    browser.until("rows[0].heat && document.querySelector('.media canvas').width === 32")
    bundle = Bundle.read(bundles("image", rule))
    sample = bundle.prepare(spots())
    _, p_NK = bundle.run([sample, *covered(sample)])
    expected, ours = heat_of(bundle, p_NK[0], p_NK[1:]), browser.do("rows[0].heat")
    assert ours["class"] == expected["class"]
    assert np.allclose(ours["evidence"], expected["evidence"], atol=2e-4) and np.ptp(ours["evidence"]) > 0.03
    assert stays(browser, url)


@pytest.mark.parametrize("form", FORMS)
def test_audio_clips_and_the_microphone(browser, opened, bundles, tmp_path, form):
    url = opened(form, bundles("audio"))
    samples = {"low_wav": wave_bytes(200), "high_flac": wave_bytes(900, "FLAC"), "other_ogg": wave_bytes(500, "OGG")}
    found = chosen(browser, tmp_path, **samples)
    for ours, expected in zip(found, Bundle.read(bundles("audio")).predict(samples.values()), strict=True):
        assert ours["probabilities"] == pytest.approx(expected["probabilities"], abs=0.02)
    browser.do("$('microphone').click()")
    browser.until("recorder && recorder.state === 'recording'")
    browser.do("new Promise((done) => setTimeout(done, 500))")
    browser.do("$('microphone').click()")
    browser.until(f"rows.length === 4 && {DONE}")
    assert browser.do("rows[3].error") == ""
    assert stays(browser, url)


@pytest.mark.parametrize("form", FORMS)
def test_texts(browser, opened, bundles, form):
    url = opened(form, bundles("text"))
    browser.do("$('text').focus()")
    texts = ["good film", "bad film " * 60, "no such words"]
    browser.send("Input.insertText", text="\n".join(texts))
    browser.do("$('text').dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', ctrlKey: true}))")
    browser.until(f"rows.length === 3 && {DONE}")
    bundle = Bundle.read(bundles("text"))
    for ours, expected in zip(browser.do("rows.map((row) => row.found)"), bundle.predict(texts), strict=True):
        assert ours["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-4)
    empty = browser.do("predictor.predict('').then((found) => found.probabilities)")
    assert empty == pytest.approx(bundle.predict([""])[0]["probabilities"], abs=1e-4)
    assert stays(browser, url)


@pytest.mark.parametrize("form", FORMS)
def test_no_request_may_leave_and_corrections_are_a_zip(browser, opened, bundles, served, tmp_path, form):
    opened(form, bundles("image"))
    chosen(browser, tmp_path, one_png=image_bytes((200, 30, 90)))
    elsewhere = served[1].replace("127.0.0.1", "localhost")
    assert browser.do(f"fetch('{elsewhere}').then(() => 'sent', () => 'refused')") == "refused"
    browser.until("window.violation === 'connect-src'")
    browser.do(
        "save = async (_, parts) => { const bytes = new Uint8Array(await new Blob(parts).arrayBuffer()); "
        "window.saved = btoa(String.fromCharCode(...bytes)); };"
        "(() => { const s = document.querySelector('td select'); s.value = 'blue'; s.dispatchEvent(new Event('change')); })()"
    )
    browser.until("!$('corrections').hidden")
    browser.do("$('corrections').click()")
    browser.until("window.saved")
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(browser.do("window.saved")))) as archive:
        assert archive.testzip() is None and len(archive.namelist()) == 2
    browser.do("if (language !== 'zh') $('language').click()")
    assert browser.do("Object.keys(WORDS.en).sort().join() === Object.keys(WORDS.zh).sort().join()")
    assert "已预测 1/1" in browser.do("document.body.innerText")
    browser.size(390, 844)
    assert browser.do("document.documentElement.scrollWidth") <= 390


def test_a_changed_file_is_named(browser, opened, url_of, served, bundles):
    """Where the browser can hash: on localhost and over https."""
    bundle = bundles("image", "each above 0.5")
    url = url_of("folder", bundle)
    place = served[0] / url.rstrip("/").rpartition("/")[2] / "bundle" / "model.onnx"
    whole = place.read_bytes()
    place.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        browser.send("Network.setCacheDisabled", cacheDisabled=True)
        opened("folder", bundle)
        assert "bundle/model.onnx was changed or damaged" in browser.do("$('problem').textContent")
        assert browser.do("$('intake').hidden")
    finally:
        place.write_bytes(whole)


@pytest.mark.parametrize("change", ["scores", "sample"])
def test_where_golden_samples_have_other_scores_nothing_is_predicted(browser, opened, tmp_path, change):
    """Scores that the model does not repeat, and a sample that is decoded otherwise."""
    folder = make_bundle(tmp_path / change, "image")
    info = json.loads((folder / "bundle.json").read_text())
    del info["sha256"]
    if change == "scores":
        info["golden"][0]["scores"][0] += 0.5
    write_manifest(folder, info)
    bundle = Bundle.read(folder, threads=1)
    if change == "sample":
        prepare = bundle.prepare

        def brighter(data):
            found = prepare(data)
            np.copyto(found.tensor, 255 - found.tensor)
            return found

        bundle.prepare = brighter
        info["golden"][0]["scores"] = bundle.run([bundle.prepare((folder / "golden/0").read_bytes())])[0][0].tolist()
        write_manifest(folder, info)
    (tmp_path / "page").mkdir()
    write_page(bundle, tmp_path / "page.html", Path(PACKAGES), single_file=True)
    browser.send("Page.navigate", url=(tmp_path / "page.html").as_uri())
    browser.until("$('problem').textContent !== ''")
    assert "golden/0" in browser.do("$('problem').textContent") and browser.do("$('intake').hidden && model === null")


@pytest.mark.parametrize("rate", [RATE, 44_100])
def test_waves_at_another_rate(browser, opened, bundles, rate):
    """The browser decodes at the rate of the file, and the rule of whet resamples."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, 0.1 * np.random.default_rng(0).standard_normal(rate // 4), rate, "FLOAT", format="WAV")
    opened("folder", bundles("audio"))
    content = base64.b64encode(file.getvalue()).decode()
    ours = browser.do(
        f"predictor.prepare(new Blob([Uint8Array.from(atob('{content}'), (c) => c.charCodeAt(0))]))"
        ".then(({ tensor }) => [...tensor])"
    )
    expected = Bundle.read(bundles("audio")).prepare(file.getvalue()).tensor
    assert len(ours) == SAMPLES
    error = np.sqrt(np.mean((np.array(ours) - expected) ** 2)) / np.sqrt(np.mean(expected**2))
    assert error < 1e-5
