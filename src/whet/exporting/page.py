"""`whet export --to web`: from a run or a bundle to a page that predicts in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from whet.bundle import Bundle
from whet.bundle.predict import MANIFEST
from whet.core.output import work_folder
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder
from whet.exporting.export import export
from whet.web.packages import needed, read
from whet.web.write import require_writable, write_page


def export_page(
    source: str | Path, out: str | Path, packages: str | Path, *, single_file: bool = False, **options: Any
) -> tuple[Bundle, Path]:
    """Write the model of a finished run, or a bundle, as a page. Returns the bundle, whose own folder may be gone, and the HTML
    file.

    options: those of `export`, for a run. The other arguments are those of `whet.web.write.write_page`. Raises what both raise.
    """
    source, out, packages = Path(source), Path(out), Path(packages)
    if is_bundle(source):
        bundle = Bundle.read(source)
        return bundle, write_page(bundle, out, packages, single_file=single_file)
    recipe = Recipe.load(RunFolder.open(source).recipe)
    require_writable(out, single_file=single_file, data=recipe.data.path)
    read(needed(recipe.medium), packages)  # before the work
    out.parent.mkdir(parents=True, exist_ok=True)
    with work_folder(out) as work:
        bundle = export(source, work / "bundle", **options)
        return bundle, write_page(bundle, out, packages, single_file=single_file)


def is_bundle(path: Path) -> bool:
    return (path / MANIFEST).is_file()
