"""The npm packages of a page that predicts in the browser. whet does not ship them, and does not download them."""

from __future__ import annotations

import hashlib
import importlib.resources
import json
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from whet.core.errors import PackageError


@dataclass(frozen=True)
class Package:
    """A version of an npm package, and the SHA-256 of its files that a page needs. licence: such a file, or empty where the package
    has none and whet holds its text."""

    name: str
    version: str
    files: dict[str, str]
    licence: str = ""

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def archive(self) -> str:
        """The name of the file that `npm pack` writes."""
        return f"{self.name.lstrip('@').replace('/', '-')}-{self.version}.tgz"


ONNXRUNTIME = Package(
    "onnxruntime-web",
    "1.30.0",
    {
        "dist/ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
        "dist/ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    },
)
TOKENIZERS = Package(
    "@huggingface/tokenizers",
    "0.2.0",
    {
        "dist/tokenizers.min.mjs": "258e46332101335ce8d95aed7745b19ac3b46d37f3e159a89cf894c2ea9b1d3a",
        "LICENSE": "c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4",
    },
    licence="LICENSE",
)


def needed(medium: str) -> tuple[Package, ...]:
    """The packages of a page for samples of this medium."""
    return (ONNXRUNTIME, TOKENIZERS) if medium == "text" else (ONNXRUNTIME,)


def read(packages: Iterable[Package], folder: Path) -> tuple[dict[str, bytes], str]:
    """(the files of these packages by their base names, their licence notices).

    folder: holds the archives that `npm pack` writes, or node_modules; or is itself such an archive, an unpacked package or its
    folder dist. PackageError names the command that gets the packages that are missing, or the file of another version.
    """
    found = [(package, _files(package, folder)) for package in packages]
    if missing := [str(package) for package, files in found if not files]:
        raise PackageError(
            f"the folder {folder} does not hold {' and '.join(missing)}, which a page needs to predict; run there: "
            f"npm pack {' '.join(missing)}; or name another folder: --packages DIR"
        )
    notices = []
    for package, files in found:
        if package.licence:
            text = files.pop(package.licence).decode()
        else:
            text = importlib.resources.files("whet.web").joinpath(f"{package.name}.txt").read_text(encoding="utf-8")
        notices.append(f"{package.name} {package.version}\n\n{text.strip()}\n")
    whole = {Path(name).name: content for _, files in found for name, content in files.items()}
    return whole, "\n\n".join(notices)


def _files(package: Package, folder: Path) -> dict[str, bytes]:
    """The files of a package; none where the folder does not hold it. PackageError for another version."""
    for place in _places(package, folder):
        found = _content(place, (*package.files, "package.json"))
        about = found.pop("package.json", b"")
        if next(iter(package.files)) not in found:
            continue
        for name, digest in package.files.items():
            if hashlib.sha256(found.get(name, b"")).hexdigest() != digest:
                raise PackageError(
                    f"{place}: {name} is not that of {package}{_version(about)}; accepted: {package.version}. Get it with: "
                    f"npm pack {package}"
                )
        return found
    return {}


def _places(package: Package, folder: Path) -> Iterator[Path]:
    """Folders and archives that may hold a package."""
    yield from (folder, folder / "node_modules" / package.name, folder / package.name)
    if folder.name == "dist":
        yield folder.parent
    yield from sorted(
        folder.glob(package.archive.replace(package.version, "*")), key=lambda path: path.name != package.archive
    )


def _content(place: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Those of these files of a package that a folder or an archive holds."""
    try:
        if place.is_file():
            with tarfile.open(place, "r:gz") as archive:
                members = {f"package/{name}": name for name in names}
                return {
                    members[one.name]: file.read()
                    for one in archive
                    if one.name in members and (file := archive.extractfile(one)) is not None
                }
        return {name: (place / name).read_bytes() for name in names if (place / name).is_file()}
    except (tarfile.TarError, OSError, EOFError) as error:
        raise PackageError(f"{place} cannot be read: {error}") from None


def _version(package_json: bytes) -> str:
    """What a package.json says about its version, in words."""
    try:
        return f" but of {json.loads(package_json)['version']}"
    except (ValueError, KeyError, TypeError):
        return ""
