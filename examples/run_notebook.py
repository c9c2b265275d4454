"""Run the code cells of a notebook without Jupyter: python examples/run_notebook.py NOTEBOOK [--set NAME=VALUE]… [--write]

Cells run in the current folder, in order, until the first error. --set replaces a value of the cell tagged `parameters`. --write
saves the outputs in the notebook.
"""

from __future__ import annotations

import argparse
import ast
import base64
import contextlib
import io
import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_FORMATS = {"text/html": "_repr_html_", "image/png": "_repr_png_"}


class HTML:
    """Stands for `IPython.display.HTML`."""

    def __init__(self, data: str) -> None:
        self.data = data

    def __repr__(self) -> str:
        return "<HTML>"

    def _repr_html_(self) -> str:
        return self.data


class Outputs:
    """The outputs of the cell that runs, and the displays that are updated in place."""

    def __init__(self) -> None:
        self.of_cell: list[dict[str, Any]] = []

    def display(self, shown: Any, *, display_id: bool = False) -> Display | None:
        output = {"output_type": "display_data", "data": bundle(shown), "metadata": {}}
        self.of_cell.append(output)
        return Display(output) if display_id else None


class Display:
    """Stands for `IPython.display.DisplayHandle`."""

    def __init__(self, output: dict[str, Any]) -> None:
        self._output = output

    def update(self, shown: Any) -> None:
        self._output["data"] = bundle(shown)


def bundle(shown: Any) -> dict[str, Any]:
    """The forms in which a notebook saves an object, by MIME type."""
    found: dict[str, Any] = {"text/plain": lines(repr(shown))}
    for mime, name in _FORMATS.items():
        made = getattr(shown, name, lambda: None)()
        if isinstance(made, bytes):
            found[mime] = base64.b64encode(made).decode("ascii")
        elif made is not None:
            found[mime] = lines(made)
    return found


def lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


@contextlib.contextmanager
def kernel(outputs: Outputs) -> Iterator[None]:
    """Let the code believe that it runs in the kernel of a notebook."""
    ipython, display = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=outputs)  # type: ignore[attr-defined]
    ipython.display, ipython.version_info = display, (9, 0)  # type: ignore[attr-defined]
    display.HTML, display.display = HTML, outputs.display  # type: ignore[attr-defined]
    before = {name: sys.modules.get(name) for name in ("IPython", "IPython.display")}
    sys.modules.update({"IPython": ipython, "IPython.display": display})
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def run_cell(source: str, names: dict[str, Any], where: str, number: int, outputs: Outputs) -> list[dict[str, Any]]:
    """The outputs of one cell: what it prints, what it displays, and the value of its last expression."""
    outputs.of_cell, printed = [], io.StringIO()
    tree = ast.parse(source, where)
    last = ast.Expression(tree.body.pop().value) if tree.body and isinstance(tree.body[-1], ast.Expr) else None  # type: ignore[attr-defined]
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, where, "exec"), names)
        value = eval(compile(last, where, "eval"), names) if last is not None else None
    found = list(outputs.of_cell)
    if printed.getvalue():
        found.append({"output_type": "stream", "name": "stdout", "text": lines(printed.getvalue())})
    if value is not None:
        data = bundle(value)
        found.append({"output_type": "execute_result", "execution_count": number, "data": data, "metadata": {}})
    return found


def run_notebook(path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Run a notebook and return it with its outputs. settings: replace the values of the cell tagged `parameters`."""
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    outputs, names, number = Outputs(), {"__name__": "__main__"}, 0
    with kernel(outputs):
        for cell in notebook["cells"]:
            if cell["cell_type"] != "code":
                continue
            number += 1
            where = f"{path.name}, cell {number}"
            cell["outputs"] = run_cell("".join(cell["source"]), names, where, number, outputs)
            cell["execution_count"] = number
            if "parameters" in cell["metadata"].get("tags", ()):
                if unknown := sorted(set(settings) - set(names)):
                    raise SystemExit(f"{path}: no parameter {', '.join(unknown)}")
                names.update(settings)
    return notebook


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    made = run_notebook(given.notebook, dict(one.split("=", 1) for one in given.set))
    if given.write:
        given.notebook.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
