"""Write docs/methods: a card for every registered method, and the index. Run by `make cards`; a test holds them to the code."""

from collections import Counter
from pathlib import Path

from whet.core.card import Card, card
from whet.core.measured import support
from whet.core.registry import registry

FOLDER = Path(__file__).parent / "methods"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    cards = {cls.name: card(cls) for cls in registry()}
    for old in FOLDER.glob("*.md"):
        old.unlink()
    for name, found in cards.items():
        (FOLDER / f"{name}.md").write_text(found.to_markdown(), encoding="utf-8")
    (FOLDER / "README.md").write_text(index(cards), encoding="utf-8")


def index(cards: dict[str, Card]) -> str:
    """All methods by family, a line each: what it does, and what its measurements came to."""
    size = Counter(found.family for found in cards.values())
    lines = ["# Methods", "", f"{len(cards)} techniques, by family. Made from the code by `make cards`.", ""]
    lines += [" · ".join(f"[{family}](#{family}) ({size[family]})" for family in sorted(size)), ""]
    for family in sorted(size):
        lines += [f"## {family}", "", "| method | acts at | what it does | measured |", "|---|---|---|---|"]
        for name, found in cards.items():
            if found.family == family:
                stages, measured = " + ".join(found.stages), support(found.measured)
                lines.append(f"| [{name}]({name}.md) | {stages} | {found.summary} | {measured} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
