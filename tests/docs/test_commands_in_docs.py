"""Every whet command in the documentation parses: the command and its options exist, and so do the methods, settings, recipes and
networks that it names. Nothing is trained."""

import re
import shlex
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
import typer
import yaml

from whet import recipes
from whet.cli import app
from whet.cli.options import TEXT_ZOO, ZOO
from whet.core.duration import Duration
from whet.core.errors import WhetError
from whet.core.recipe import parse_method
from whet.core.registry import registry
from whet.core.spec import DataSpec, ModelSpec, TrainSpec
from whet.core.task import metric_named, problems

ROOT = Path(__file__).resolve().parents[2]
SHELL = ("", "sh", "bash", "shell", "console")
GROUP = typer.main.get_command(app)
UsageError = typer.BadParameter.__base__  # of the click that typer brings along
INCOMPLETE = (
    "MissingParameter",
    "BadOptionUsage",
)  # `whet train --budget` in a sentence: the command and its option exist
PLACEHOLDER = re.compile(r"[A-Z][A-Z_.…]*")  # something of the reader's: DATA, RUN, FOLDER, …
METHODS = {cls.name for cls in registry()}
SECTIONS = {"data": DataSpec, "model": ModelSpec, "train": TrainSpec}


@dataclass(frozen=True)
class Line:
    """A command in a page. whole: in a block, to be typed as it is; otherwise a mention in a sentence, which may be incomplete."""

    where: str
    text: str
    whole: bool


def pages() -> list[Path]:
    found = [
        ROOT / "README.md",
        ROOT / "README.zh.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs").rglob("*.md")),
    ]
    return [
        page
        for page in found
        if page.name != "log.md" and not {"methods", "decisions"} & set(page.relative_to(ROOT).parts)
    ]


def lines_of(page: Path) -> list[Line]:
    """The whet commands of a page, in its order: continued lines are joined, prompts and comments removed."""
    name, found, block, pending = page.relative_to(ROOT).as_posix(), [], None, ""
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = re.match(r"\s*```(\S*)", line)
        if fence:
            block = fence[1] if block is None else None
        elif block is None:
            spans = re.findall(r"`(whet [^`]+)`", line)
            found += [Line(f"{name}:{number}", span.replace(r"\|", "|"), whole=False) for span in spans]
        elif block in SHELL:
            pending += line.strip().removesuffix("\\")
            if not line.rstrip().endswith("\\"):
                prompt = r"\$ " if block == "console" else r"(?:\$ )?"  # in a console block, the rest is output
                command = re.match(prompt + r"(?:[A-Z_]+=\S+ )*(?:\S*bin/)?(whet( .*|$))", pending)
                if command:
                    found.append(Line(f"{name}:{number}", command[1], whole=True))
                pending = ""
    return found


LINES = [line for page in pages() for line in lines_of(page)]


def parsed(words: list[str], whole: bool) -> dict:
    """The parameters of a command. UsageError for an unknown command or option, a value that is not accepted, and, in a whole
    command, for a missing argument. Options that act at once (--help, --install-completion) are only looked up."""
    group = typer.Context(GROUP, info_name="whet")
    if not words or PLACEHOLDER.fullmatch(words[0]):  # whet COMMAND --help
        return {}
    if words[0].startswith("-"):
        assert words[0] in {option for param in GROUP.get_params(group) for option in param.opts}
        return {}
    name, command, rest = GROUP.resolve_command(group, words)
    rest = [word for word in rest if word != "--help"]
    try:
        return command.make_context(name, list(rest), parent=group).params
    except UsageError as error:
        if whole or type(error).__name__ not in INCOMPLETE:
            raise
        return command.make_context(name, rest, parent=group, resilient_parsing=True).params


def words_of(line: Line) -> list[str]:
    """As a shell splits it, without what is piped, redirected, optional (`[--tolerance 1]`) or left out (`…`)."""
    text = re.sub(r"\[(--[^\]]*)\]", r"\1", line.text)
    quoted = shlex.split(text, comments=True, posix=False)  # "|" keeps its quotes
    end = next((at for at, word in enumerate(quoted) if word in ("|", ">", "2>", "<", "&", "&&", "||")), len(quoted))
    words = shlex.split(text, comments=True)[:end]
    return [word for before, word in pairwise(words) if word != "…" or before.startswith("--")]


def faults_of(params: dict) -> list[str]:
    """What the values name and does not exist."""
    found = []

    def tried(check, *args, **keywords) -> None:
        try:
            check(*args, **keywords)
        except (WhetError, ValueError) as error:
            found.append(str(error))

    def known(name: str, names) -> None:
        if name not in names:
            found.append(f"'{name}' is none of {', '.join(sorted(names))}")

    for key in ("add", "drop"):
        for name in params.get(key) or ():
            if not PLACEHOLDER.fullmatch(name):
                known(name, METHODS)
    if isinstance(params.get("methods"), str):
        for name in re.split(r"[,+]", params["methods"]):
            if not PLACEHOLDER.fullmatch(name) and name != "…":
                known(name, METHODS)
    for text in [*(params.get("set_") or ()), *(params.get("search") or ()), *(params.get("factor") or ())]:
        tried(check_setting, text, only_key=text not in (params.get("set_") or ()))
    for name in filter(None, (params.get("recipe"), params.get("plain"), params.get("strong"))):
        if not name.endswith((".yaml", ".yml")) and not PLACEHOLDER.fullmatch(name):
            known(name, recipes.names())
        elif name.startswith("examples/"):
            tried(recipes.load, ROOT / name)
    for name in [
        params.get("architecture"),
        *(params.get("architectures") or "").split(","),
        *(params.get("student") or ()),
    ]:
        if name and not ("/" in name or name == "…" or PLACEHOLDER.fullmatch(name)):
            known(name.split("@")[0], {*ZOO, *TEXT_ZOO})
    if (budget := params.get("budget")) is not None and not PLACEHOLDER.fullmatch(budget):
        tried(Duration.parse_budget, budget)
    if (metric := params.get("metric")) is not None and not PLACEHOLDER.fullmatch(metric):
        tried(metric_named, metric)
    if (task := params.get("task")) is not None and not PLACEHOLDER.fullmatch(task):
        known(task, problems())
    return found


def check_setting(text: str, *, only_key: bool) -> None:
    """`train.batch_size=16`, `mixup.alpha=0.4`: the section or method has this key, and accepts this value."""
    key, equals, value = text.partition("=")
    owner, dot, field = key.partition(".")
    if not equals or not dot:
        raise ValueError(f"{text}: SECTION.KEY=VALUE or METHOD.KEY=VALUE is needed")
    kind = SECTIONS.get(owner) or registry().get(owner)
    if field not in kind.model_fields:
        raise ValueError(f"{text}: {owner} has {', '.join(kind.model_fields)}")
    if only_key or PLACEHOLDER.fullmatch(value):
        return
    if owner in SECTIONS:
        kind(**{field: yaml.safe_load(value)} | ({"path": "photos"} if owner == "data" else {}))
    else:
        parse_method({owner: {field: yaml.safe_load(value)}})


@pytest.mark.parametrize("line", LINES, ids=[f"{line.where} {line.text[:40]}" for line in LINES])
def test_a_command_in_the_documentation_parses(line):
    try:
        params = parsed(words_of(line), line.whole)
    except UsageError as error:
        pytest.fail(f"{line.where}: {line.text}\n{error.format_message()}")
    assert not faults_of(params), f"{line.where}: {line.text}"


def test_the_pages_have_commands():
    assert sum(line.whole for line in LINES) > 100
    assert {line.where.split(":")[0] for line in LINES} >= {"README.md", "README.zh.md", "docs/improving.md"}


@pytest.mark.parametrize(
    "text",
    [
        "whet fly photos/",
        "whet train photos/ --no-such-option",
        "whet train photos/ --with no_such_method",
        "whet train photos/ --set mixup.no_such=1",
        "whet train photos/ --set mixup.alpha=-1",
        "whet train photos/ --set train.no_such=1",
        "whet train photos/ --budget soon",
        "whet train photos/ --recipe image/no_such",
        "whet study photos/ --methods mixup,no_such",
        "whet export RUN --out b/ --quantize int3",
        "whet predict",
    ],
)
def test_a_wrong_command_is_found(text):
    try:
        params = parsed(words_of(Line("here", text, whole=True)), whole=True)
    except UsageError:
        return
    assert faults_of(params)
