"""The page as one HTML file with one style and one script inside."""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.resources
from dataclasses import dataclass

_SCRIPTS = ("found.js", "save.js", "page.js")


@dataclass(frozen=True)
class Page:
    """policy: the directives of a Content-Security-Policy that allow its own script and style alone; those for requests
    (connect-src) are left to the caller."""

    template: str
    policy: str

    def html(self, head: str = "", data: str = "") -> str:
        """The page with more elements in its head and before its script."""
        return self.template.replace("{{head}}", head, 1).replace("{{data}}", data, 1)


@functools.cache
def page(*scripts: str) -> Page:
    """The page whose predictor is that of these scripts of this package."""
    style = _source("page.css")
    script = '"use strict";\n' + "".join(map(_source, (*scripts, *_SCRIPTS)))
    text = _source("page.html").replace("{{style}}", f"<style>{style}</style>")
    text = text.replace("{{script}}", f"<script>{script}</script>")
    policy = (
        f"default-src 'none'; script-src {_digest(script)}; style-src {_digest(style)}; img-src blob: data:; media-src blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    return Page(text, policy)


def _source(name: str) -> str:
    return importlib.resources.files("whet.web").joinpath(name).read_text(encoding="utf-8")


def _digest(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
