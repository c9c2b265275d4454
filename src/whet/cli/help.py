"""Plain-text help, short enough for one screen: options and commands are grouped in titled panels, and each command is listed with
its first sentence."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup

from whet.cli.options import OUTPUT


class Command(TyperCommand):
    """A command whose options are grouped by their panels (`rich_help_panel`). Those without a panel come first, how data are read
    comes last."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        panels: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is None:
                continue
            if param.param_type_name == "argument":
                panels["Arguments"].append((param.metavar or param.name, record[1]))
            else:
                panel = OUTPUT if param.name == "help" else getattr(param, "rich_help_panel", None)
                panels.setdefault(panel or "Options", []).append(record)
        _write(formatter, panels)


class Group(TyperGroup):
    """The command group, whose commands are grouped by their panels."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        panels: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            panel = getattr(command, "rich_help_panel", None)
            panels.setdefault(panel or "Commands", []).append((name, _first_sentence(command.help or "")))
        _write(formatter, panels)


def _write(formatter: Any, panels: dict[str, list[tuple[str, str]]]) -> None:
    """Write the panels, all with columns of the same widths. Only the first is set off by an empty line."""
    width = max(len(name) for records in panels.values() for name, _ in records)
    formatter.write_paragraph()
    for title, records in panels.items():
        if records:
            formatter.write_heading(title)
            with formatter.indentation():
                formatter.write_dl([(name.ljust(width), text) for name, text in records])


def _first_sentence(text: str) -> str:
    paragraph = " ".join(text.partition("\n\n")[0].split())
    ends = [end for mark in ".?" if (end := paragraph.find(mark + " ")) >= 0]
    return paragraph[: min(ends) + 1] if ends else paragraph
