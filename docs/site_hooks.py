"""Hooks of mkdocs: files outside of docs/ that a page links to become part of the site. Not part of the site itself."""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
_OUTSIDE = re.compile(r"\]\((?:\.\./)+((?:benchmarks|examples)/[^)#]+)\)")


def on_files(files: Any, config: Any) -> Any:
    linked = {
        name
        for page in files.documentation_pages()
        for name in _OUTSIDE.findall(Path(page.abs_src_path).read_text(encoding="utf-8"))
    }
    for name in sorted(name for name in linked if (ROOT / name).is_file()):  # mkdocs names the other links as broken
        files.append(File.generated(config, f"files/{name}", abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    up = "../" * page.file.src_uri.count("/")
    return _OUTSIDE.sub(rf"]({up}files/\1)", markdown)
