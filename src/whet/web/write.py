"""Write a bundle as a page that predicts in the browser alone: a folder, or one HTML file."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from whet.bundle import Bundle
from whet.bundle.predict import MANIFEST
from whet.core import strict_json
from whet.core.errors import OutputError
from whet.core.language import tr
from whet.core.output import claim, claim_file, kind_of, put, require_claimable, work_folder, write_whole
from whet.web.packages import Package, needed, read
from whet.web.page import page

KIND = "page"
MODEL, TOKENIZER = "model.onnx", "tokenizer.json"
INDEX, LICENCES, README = "index.html", "LICENSES.txt", "README.md"
# The most that a sample may differ between the browser and the exporting machine, once prepared: of pixels the mean, in levels of
# 255; of a wave the root mean square, relative to that of the wave. Token ids must be equal.
MOST_APART = {"image": 3.0, "audio": 0.1, "text": 0.0}


def require_writable(out: Path, *, single_file: bool, data: str | Path | None = None) -> None:
    """Raise OutputError where a page cannot be written to this place. Writes nothing."""
    if single_file:
        if out.is_file():
            raise OutputError(f"--out {out} exists already; choose another name")
        claim_file(out, data=data)
        return
    require_claimable(out, KIND, data=[data])
    if out.exists() and kind_of(out) is not None:
        raise OutputError(f"{out} already holds a page; choose another --out")


def write_page(bundle: Bundle, out: Path, packages: Path, *, single_file: bool = False) -> Path:
    """Write a bundle as a page. Returns its HTML file.

    out: a new or empty folder, which any web server can serve; with `single_file` an HTML file that also works without one.
    packages: see `whet.web.packages.read`. Raises OutputError and PackageError.
    """
    require_writable(out, single_file=single_file)
    packages_needed = needed(bundle.medium)
    runtime, licences = read(packages_needed, packages)
    golden = bundle.info["golden"]
    tensors = {
        f"golden/{number}.tensor": bundle.batch([bundle.prepare(_content(bundle, one["file"]))]).tobytes()
        for number, one in enumerate(golden)
    }
    read_by_page = [MANIFEST, MODEL, *(one["file"] for one in golden)]
    if bundle.medium == "text":
        read_by_page.append(TOKENIZER)
    files = {f"bundle/{name}": _content(bundle, name) for name in read_by_page}
    files |= {f"runtime/{name}": content for name, content in runtime.items()} | tensors
    contents = {
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "tensors": list(tensors),
        "tolerance": bundle.info["golden_tolerance"],
        "apart": MOST_APART[bundle.medium],
    }
    if single_file:
        write_whole(out, _html(contents, files, licences))
        return out
    out.parent.mkdir(parents=True, exist_ok=True)
    with work_folder(out) as work:
        claim(work, KIND)
        rest = {f"bundle/{name}": _content(bundle, name) for name in bundle.info["files"]}
        texts = {INDEX: _html(contents), LICENCES: licences, README: _readme(bundle, packages_needed)}
        for name, content in (rest | files | texts).items():
            (work / name).parent.mkdir(exist_ok=True)
            write_whole(work / name, content)
        put(work, out)
    return out / INDEX


def _html(contents: dict[str, Any], inside: dict[str, bytes] | None = None, licences: str = "") -> str:
    """The page. inside: the files that it does not load."""
    made = page("samples.js", "objects.js", "heat.js", "model.js")
    # Libraries are imported from memory, once their checksum is verified.
    policy = made.policy.replace("script-src ", "script-src blob: 'wasm-unsafe-eval' ")
    policy += "; connect-src " + ("'none'" if inside else "'self'")
    head = f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n<meta name="referrer" content="no-referrer">\n'
    blocks = [_block("contents", "application/json", strict_json.dumps(contents, indent=None).replace("<", "\\u003c"))]
    for name, content in (inside or {}).items():
        packed = gzip.compress(content, mtime=0)
        blocks.append(_block(name, "application/octet-stream", base64.b64encode(packed).decode()))
    if licences:
        blocks.append(f"<!--\n{licences.replace('--', '- -')}-->\n")
    return made.html(head, "".join(blocks))


def _block(name: str, kind: str, content: str) -> str:
    return f'<script type="{kind}" id="{html.escape(name)}">{content}</script>\n'


def _content(bundle: Bundle, name: str) -> bytes:
    return (bundle.path / name).read_bytes()


def _readme(bundle: Bundle, packages: Sequence[Package]) -> str:
    info, code = bundle.info, {"index": f"`{INDEX}`", "licences": f"`{LICENCES}`"}
    rows = [
        ("bundle/", tr("the exported model, as `whet export` wrote it, with its model card")),
        ("runtime/", tr("{packages}; notices in {licences}", packages=", ".join(map(str, packages)), **code)),
        ("golden/", tr("the samples of `bundle/golden` as the network takes them")),
    ]
    parts = [
        "# " + tr("{problem} in the browser", problem=info["problem"]),
        tr(
            "{index} predicts with a model of the classes {classes}. The model runs in the browser; samples do not leave the "
            "device, and nothing is loaded from elsewhere.",
            classes=", ".join(info["classes"]), **code,
        ),
        tr("Any web server can serve this folder:"),
        "```\npython -m http.server --bind 127.0.0.1 --directory .\n```",
        tr(
            "Opened as a file, without a server, browsers do not let the page read the files beside it; `whet export --to web "
            "--single-file` writes a page for that. Camera and microphone work on localhost and over HTTPS alone."
        ),
        "\n".join(["| | |", "|---|---|", *(f"| `{name}` | {what} |" for name, what in rows)]),
        tr(
            "The page verifies the SHA-256 of each file that it reads, and predicts the golden samples before anything else. Where "
            "their scores differ, it says so and predicts nothing."
        ),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"
