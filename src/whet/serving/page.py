"""The page for people: one HTML file, which loads nothing else."""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.resources
import re

from starlette.responses import HTMLResponse


def page_response() -> HTMLResponse:
    text, policy = _page()
    return HTMLResponse(text, headers={"Content-Security-Policy": policy})


@functools.cache
def _page() -> tuple[str, str]:
    """The page, and the Content-Security-Policy that allows its own script and style alone."""
    text = importlib.resources.files("whet.serving").joinpath("page.html").read_text(encoding="utf-8")
    digests = {name: _digest(text, name) for name in ("script", "style")}
    policy = (
        f"default-src 'none'; script-src {digests['script']}; style-src {digests['style']}; img-src blob: data:; "
        "media-src blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return text, policy


def _digest(text: str, tag: str) -> str:
    (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
