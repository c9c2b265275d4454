"""whet board"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from whet.cli.options import Json
from whet.core.language import tr

NAME = "board"


def command(
    folder: Annotated[Path, typer.Argument(help="A folder with runs, studies, improvements, …")] = Path("runs"),
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("board.html"),
    serve: Annotated[
        bool, typer.Option("--serve", help="Serve the page on this machine instead; it follows the runs as they train.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port of --serve; 0: any free one.")] = 8890,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing page.")] = False,
    as_json: Json = False,
) -> None:
    """Show all runs and studies of a folder on one page: scores, learning curves side by side, any two compared.

    The page is one file that needs no network. Links to reports are relative to it."""
    from whet.board.page import kinds_of, write_board
    from whet.board.server import HOST, server
    from whet.cli.screen import place, print_json, results

    if not serve:
        kinds = kinds_of(write_board(folder, out, force=force).entries)
        if as_json:
            print_json({"path": str(out), "results": kinds})
            return
        place(results(), tr("board"), out)
        return
    with server(folder, port) as running:
        address = f"http://{HOST}:{running.server_address[1]}"
        if as_json:
            print_json({"url": address})
        else:
            results().print(address)
        running.serve_forever()
