"""whet serve"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from whet.cli.options import Json
from whet.core.language import tr

NAME = "serve"


def command(
    bundle: Annotated[Path, typer.Argument(help="A folder that whet export wrote.")],
    host: Annotated[
        str, typer.Option(help="The IP address to listen at; any other than this machine's own requires a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen at.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="WHET_TOKEN",
            help="What clients must send as 'Authorization: Bearer TOKEN'. Other users can read the options of a process: "
            "the environment variable is safer.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="A name under which the server is reached, such as model.example.org. Can be repeated."),
    ] = None,
    max_mb: Annotated[int, typer.Option(min=1, max=2000, help="The most megabytes of one request.")] = 20,
    queue: Annotated[
        int, typer.Option(min=1, help="How many samples may wait; more requests are refused with status 429.")
    ] = 128,
    batch: Annotated[
        int, typer.Option(min=0, help="The most samples computed at once; 0: what is fastest on this machine.")
    ] = 0,
    corrections: Annotated[
        Path | None,
        typer.Option(help="A folder for samples that people correct on the page, as class folders for whet train."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Serve an exported model over HTTP, with a page for people. Ctrl-C or SIGTERM ends it after the requests in flight."""
    from whet.bundle import Bundle
    from whet.cli.screen import print_json, results, talk
    from whet.core.errors import ServingError
    from whet.serving.settings import Settings

    settings = Settings(
        host=host,
        port=port,
        token=token,
        hosts=tuple(allow_host or ()),
        max_bytes=max_mb << 20,
        queue=queue,
        batch=batch,
        corrections=corrections,
    )
    if missing := [name for name in ("starlette", "granian") if importlib.util.find_spec(name) is None]:
        raise ServingError(f"whet serve needs {' and '.join(missing)}; install it with pip install whet[serve]")
    from whet.serving.app import Service
    from whet.serving.server import run

    service = Service(Bundle.read(bundle), settings)

    def started() -> None:
        if as_json:
            print_json({"url": settings.url, "batch": service.batcher.batch, "ready": not service.refusal})
            return
        for difference in service.wrong:
            talk().print(tr("not ready: {difference}", difference=difference), style="red")
        talk().print(tr("batches of up to {n}", n=service.batcher.batch), style="dim")
        results().print(settings.url)

    run(service, started)
