"""Every sentence that the source hands to `whet.core.language`, found in the syntax trees of the modules and the templates."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, nodes

import whet

SOURCE = Path(whet.__file__).parent
TEMPLATES = sorted((SOURCE / "report" / "templates").glob("*.html"))
_SHOWN = {"tr": 1, "tr_n": 2}
_RECORDED = {"english": 1, "english_n": 2}


@dataclass
class Sentences:
    """shown, recorded: the keys of the catalogue. wrong: calls whose sentences are not literals."""

    shown: set[str] = field(default_factory=set)
    recorded: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    def add(self, function: str, sentences: list[str | None], where: str) -> None:
        literals = [one for one in sentences if one is not None]
        if len(literals) < len(sentences) or not literals:
            self.wrong.append(where)
        else:
            (self.shown if function in _SHOWN else self.recorded).add(" | ".join(literals))


def sentences() -> Sentences:
    """The sentences of all modules and templates."""
    found = Sentences()
    for path in sorted(SOURCE.rglob("*.py")):
        for call, name in _calls(ast.parse(path.read_text(encoding="utf-8"))):
            literals = [_literal(one) for one in call.args[: (_SHOWN | _RECORDED)[name]]]
            if path != SOURCE / "core" / "language.py" or None not in literals:
                found.add(name, literals, f"{path.relative_to(SOURCE)}:{call.lineno}")
    for path in TEMPLATES:
        for call in Environment().parse(path.read_text(encoding="utf-8")).find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name in _SHOWN:
                arguments = call.args[: _SHOWN[call.node.name]]
                literals = [one.value if isinstance(one, nodes.Const) else None for one in arguments]
                found.add(call.node.name, literals, f"{path.name}:{call.lineno}")
    found.shown -= found.recorded
    return found


def _calls(tree: ast.Module) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _SHOWN | _RECORDED:
            yield node, node.func.id


def _literal(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
