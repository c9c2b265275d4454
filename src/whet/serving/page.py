"""The page for people, which predicts through the routes of the server and loads nothing else."""

from __future__ import annotations

from starlette.responses import HTMLResponse

from whet.web.page import page


def page_response() -> HTMLResponse:
    made = page("server.js")
    policy = f"{made.policy}; connect-src 'self'; frame-ancestors 'none'"
    return HTMLResponse(made.html(), headers={"Content-Security-Policy": policy})
