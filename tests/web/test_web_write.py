"""A bundle as a page: a folder, or one file."""

import base64
import gzip
import hashlib
import json
import re
import shutil

import pytest
from tests.conftest import whet
from tests.web.test_packages import ONE, unpacked

from whet.bundle import Bundle
from whet.core.errors import OutputError, PackageError
from whet.core.language import in_language
from whet.web.page import page
from whet.web.write import write_page


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """A folder with a package that stands for onnxruntime-web."""
    monkeypatch.setattr("whet.web.write.needed", lambda medium: (ONE,))
    unpacked(tmp_path / "packages")
    return tmp_path / "packages"


def contents(text: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="contents">(.*?)</script>', text)[1])


@pytest.mark.parametrize("medium", ["image", "audio", "text"])
def test_a_folder_holds_the_bundle_the_runtime_and_checksums(bundles, packages, tmp_path, medium):
    bundle, out = Bundle.read(bundles(medium)), tmp_path / "page"
    assert write_page(bundle, out, packages) == out / "index.html"
    assert Bundle.read(out / "bundle").check_golden() == []  # whole: it can be served as well
    text = (out / "index.html").read_text()
    files = contents(text)["files"]
    assert {"bundle/bundle.json", "bundle/model.onnx", "runtime/one.mjs", "golden/0.tensor"} <= set(files)
    assert ("bundle/tokenizer.json" in files) == (medium == "text")
    for name, digest in files.items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest
    sample = bundle.prepare((bundle.path / "golden/0").read_bytes())
    assert (out / "golden/0.tensor").read_bytes() == bundle.batch([sample]).tobytes()
    assert "terms" in (out / "LICENSES.txt").read_text()
    assert "python -m http.server" in (out / "README.md").read_text()


def test_one_file_holds_the_same(bundles, packages, tmp_path):
    bundle, out = Bundle.read(bundles()), tmp_path / "page.html"
    assert write_page(bundle, out, packages, single_file=True) == out
    text = out.read_text()
    inside = dict(re.findall(r'<script type="application/octet-stream" id="(.*?)">(.*?)</script>', text))
    files = contents(text)["files"]
    assert set(inside) == set(files)
    for name, digest in files.items():
        assert hashlib.sha256(gzip.decompress(base64.b64decode(inside[name]))).hexdigest() == digest
    assert "terms" in text
    before = out.read_bytes()
    again = tmp_path / "again.html"
    assert write_page(bundle, again, packages, single_file=True).read_bytes() == before


@pytest.mark.parametrize("single_file", [False, True])
def test_the_policy_allows_its_own_script_and_no_other_site(bundles, packages, tmp_path, single_file):
    out = write_page(Bundle.read(bundles()), tmp_path / "page.html", packages, single_file=single_file)
    text = out.read_text()
    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="(.*?)">', text)
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";")}
    assert rules["default-src"] == ["'none'"] and rules["connect-src"] == (["'none'"] if single_file else ["'self'"])
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert rules["script-src"] == ["blob:", "'wasm-unsafe-eval'", f"'sha256-{digest}'"]
    assert text.index("Content-Security-Policy") < text.index("<script")
    assert not re.search(r"(?:src|href)=[\"']?https?:", text)


def test_the_page_of_a_server_and_that_of_the_browser_share_their_script():
    server, browser = (
        page(*names).html() for names in (("server.js",), ("samples.js", "objects.js", "heat.js", "model.js"))
    )
    (script,) = re.findall(r"<script>(.*?)</script>", server, re.DOTALL)
    common = script[script.index("// Objects and heat over the image") :]
    assert len(common) > 10_000 and common in browser
    assert "{{" not in server + browser


def test_nothing_is_written_over_and_nothing_is_left(bundles, packages, tmp_path):
    bundle, out = Bundle.read(bundles()), tmp_path / "page"
    write_page(bundle, out, packages)
    with pytest.raises(OutputError, match="already holds a page"):
        write_page(bundle, out, packages)
    (tmp_path / "mine.html").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        write_page(bundle, tmp_path / "mine.html", packages, single_file=True)
    shutil.rmtree(packages)
    before = sorted(tmp_path.iterdir())
    for single_file in (False, True):
        with pytest.raises(PackageError, match=r"npm pack @some/one@2\.0\.0"):
            write_page(bundle, tmp_path / "new", packages, single_file=single_file)
    assert sorted(tmp_path.iterdir()) == before


def test_options_belong_to_their_target(bundles, tmp_path):
    for words, message in (
        (("--single-file",), "--single-file belongs to --to web"),
        (("--to", "web", "--golden", "2"), "this bundle is exported already"),
        (("--to", "web"), "npm pack onnxruntime-web@1.30.0"),
    ):
        done = whet("export", bundles(), "--out", tmp_path / "page", *words, cwd=tmp_path)
        assert done.returncode == 1 and message in done.stderr, done.stderr
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rule", ["each above 0.5", "pixels", "objects"])
def test_every_kind_of_prediction_has_a_page(bundles, packages, tmp_path, rule):
    bundle = Bundle.read(bundles("image", rule))
    text = write_page(bundle, tmp_path / "page.html", packages, single_file=True).read_text()
    assert {"bundle/bundle.json", "bundle/model.onnx", "golden/0.tensor"} <= set(contents(text)["files"])


def test_the_readme_of_a_page_in_chinese(bundles, packages, tmp_path):
    with in_language("zh"):
        write_page(Bundle.read(bundles()), tmp_path / "page", packages)
    text = (tmp_path / "page" / "README.md").read_text(encoding="utf-8")
    assert "任何网页服务器" in text and "python -m http.server" in text and not re.search(r"\b(the|a|of)\b", text)
