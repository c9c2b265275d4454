"""The card of a method, read from its class: what it does, when to use it, its source, its hyper-parameters, and its measured
effects."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import Any

import yaml
from annotated_types import Ge, Gt, Le, Lt

from whet.core.errors import RecipeError
from whet.core.measured import Measured, markdown, measured, support, table_row
from whet.core.method import Method
from whet.core.search import Search

HEADINGS = ("Use when", "Do not use when", "Source", "Deviates", "Shapes")
REQUIRED = ("Use when", "Do not use when", "Source")


_BOTH_ACT = (
    "each is applied to the output of the one before, so a sample may be mixed twice; timm draws one of mixup and cutmix for each "
    "batch instead. Lower `prob`, or use only one."
)


@dataclass(frozen=True)
class Parameter:
    name: str
    type: str
    default: str
    description: str
    bounds: str
    search: str


@dataclass(frozen=True)
class Card:
    """Everything needed to decide about a method."""

    name: str
    summary: str
    family: str
    stages: tuple[str, ...]
    tasks: tuple[str, ...]
    sections: dict[str, str]
    parameters: tuple[Parameter, ...]
    conflicts: tuple[str, ...]
    measured: tuple[Measured, ...]

    def to_markdown(self) -> str:
        lines = [f"# {self.name}", "", self.summary, ""]
        lines.append(f"*{self.family}* · acts at {' and '.join(self.stages)} · for {', '.join(self.tasks)}")
        lines += ["", f"**Measured effect:** {support(self.measured)}", ""]
        lines += [*(f"**{heading}:** {text}\n" for heading, text in self.sections.items())]
        if self.family == "mix":
            lines.append(f"**Combined with other methods of its family:** {_BOTH_ACT}\n")
        if self.conflicts:
            lines.append(f"**Cannot be combined with:** {', '.join(self.conflicts)}\n")
        if self.parameters:
            lines += [
                "| hyper-parameter | type | default | accepted | search range | description |",
                "|---|---|---|---|---|---|",
            ]
            for p in self.parameters:
                cells = (f"`{p.name}`", p.type, f"`{p.default}`", p.bounds, p.search, p.description)
                lines.append(table_row(cells))
            lines.append("")
        lines += [
            "```yaml",
            "methods:",
            f"  - {self.name}" + (self._example() if self.parameters else ""),
            "```",
            "",
            markdown(self.measured),
        ]
        return "\n".join(lines)

    def _example(self) -> str:
        return ": {" + ", ".join(f"{p.name}: {p.default}" for p in self.parameters) + "}"


def card(cls: type[Method]) -> Card:
    """Read a card. RecipeError lists the missing parts of the docstring."""
    text = inspect.cleandoc(cls.__doc__ or "")
    summary, _, rest = text.partition("\n\n")
    sections: dict[str, str] = {}
    current = None
    for line in rest.splitlines():
        match = re.match(rf"({'|'.join(HEADINGS)}):\s*(.*)", line.strip())
        if match:
            current = match[1]
            sections[current] = match[2]
        elif current and line.strip():
            sections[current] += " " + line.strip()
    lacking = [heading for heading in REQUIRED if not sections.get(heading)]
    if not summary or lacking:
        raise RecipeError(f"the docstring of {cls.__name__} lacks {', '.join(lacking) or 'a first line'}")
    return Card(
        name=cls.name,
        summary=" ".join(summary.split()),
        family=cls.family,
        stages=tuple(stage.value for stage in cls.stages()),
        tasks=tuple(sorted(cls.tasks)),
        sections={heading: sections[heading] for heading in HEADINGS if heading in sections},
        parameters=tuple(_parameter(cls, name) for name in cls.model_fields if name not in cls.found_by_run),
        conflicts=tuple(sorted(cls.conflicts)),
        measured=measured(cls.name),
    )


def _parameter(cls: type[Method], name: str) -> Parameter:
    field = cls.model_fields[name]
    default = cls().settings_dict()[name]
    bounds = []
    for extra in field.metadata:
        match extra:
            case Gt(gt=bound):
                bounds.append(f"> {bound:g}")
            case Ge(ge=bound):
                bounds.append(f"≥ {bound:g}")
            case Lt(lt=bound):
                bounds.append(f"< {bound:g}")
            case Le(le=bound):
                bounds.append(f"≤ {bound:g}")
    return Parameter(
        name=name,
        type=_type_name(field.annotation),
        default=_as_yaml(default),
        description=field.description or "",
        bounds=", ".join(bounds),
        search=_search_text(cls.search_space().get(name)),
    )


def _as_yaml(value: Any) -> str:
    """The value as written in a recipe, on one line."""
    rounded = float(f"{value:.6g}") if isinstance(value, float) else value
    text = yaml.safe_dump(rounded, default_flow_style=True, allow_unicode=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")


_PLAIN_TYPES = {
    "whet.core.duration.Duration": "duration",
    "whet.core.spec.ModelSpec": "model",
    "tuple[whet.core.method.Method, ...]": "list of methods",
}


def _type_name(annotation: Any) -> str:
    if isinstance(annotation, type):
        return {"Duration": "duration"}.get(annotation.__name__, annotation.__name__)
    text = re.sub(r"\btyping\.|\bNoneType\b", lambda m: "none" if m[0] == "NoneType" else "", str(annotation))
    for name, plain in _PLAIN_TYPES.items():
        text = text.replace(name, plain)
    literal = re.fullmatch(r"Literal\[(.*)\]", text)
    return literal[1].replace("'", "").replace(", ", " / ") if literal else text.replace(" | ", " or ")


def _search_text(search: Search | None) -> str:
    if search is None:
        return ""
    if search.choices:
        return " / ".join(str(choice) for choice in search.choices)
    return f"{search.low:g} … {search.high:g}" + (" (log)" if search.log else "")
