"""Synonyms from the WordNet files (index.*, data.*, *.exc) of Princeton, Debian's wordnet-base or nltk's downloads.

No other files are needed. nltk's own reader fails on Debian's package, which lacks `lexnames`.
"""

from __future__ import annotations

import functools
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

from whet.core.errors import RecipeError

# Suffixes that are removed from a word until WordNet contains it (Morphy), as in the manual page morphy(7WN) and nltk.
_ENDINGS = {
    "noun": (("s", ""), ("ses", "s"), ("ves", "f"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"),
             ("men", "man"), ("ies", "y")),
    "verb": (("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    "adj": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "adv": (),
}  # fmt: skip
_FILES = tuple(f"{kind}.{part}" for kind in ("index", "data") for part in _ENDINGS)


class WordNet:
    """The synsets of a WordNet folder, or of the zip archive of nltk's downloader."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._index = {part: self._read_index(part) for part in _ENDINGS}
        self._data = {part: self._read(f"data.{part}") for part in _ENDINGS}
        self._exceptions = {part: self._read_exceptions(part) for part in _ENDINGS}

    def synonyms(self, word: str) -> tuple[str, ...]:
        """Return the other words of every synset of the word or its base form, the most frequent senses first.

        Words are in lower case, with spaces instead of WordNet's underscores.
        """
        key = word.lower().replace(" ", "_")
        found = {
            name.lower().replace("_", " "): None
            for part in _ENDINGS
            for lemma in self._lemmas(key, part)
            for offset in self._index[part][lemma]
            for name in self._names(part, offset)
        }
        found.pop(word.lower(), None)
        return tuple(found)

    def _lemmas(self, word: str, part: str) -> list[str]:
        known = self._index[part]
        if word in self._exceptions[part]:
            return [form for form in dict.fromkeys((word, *self._exceptions[part][word])) if form in known]
        forms = _shortened([word], part)
        found = [form for form in dict.fromkeys((word, *forms)) if form in known]
        while forms and not found:
            forms = _shortened(forms, part)
            found = [form for form in dict.fromkeys(forms) if form in known]
        return found

    def _names(self, part: str, offset: int) -> Iterator[str]:
        """Line format: offset lexicographer_file kind count(hex) word id word id … ; adjectives may end in a marker such as (p)."""
        data = self._data[part]
        fields = data[offset : data.index(b"\n", offset)].decode("ascii").split(" | ", 1)[0].split(" ")
        for name in fields[4 : 4 + 2 * int(fields[3], 16) : 2]:
            yield name.split("(", 1)[0]

    def _read_index(self, part: str) -> dict[str, tuple[int, ...]]:
        """Line format: lemma kind synsets … offset offset … ; lines of the licence begin with a space."""
        index = {}
        for line in self._read(f"index.{part}").decode("ascii").splitlines():
            if line and line[0] != " ":
                fields = line.split()
                index[fields[0]] = tuple(int(offset) for offset in fields[-int(fields[2]) :])
        return index

    def _read_exceptions(self, part: str) -> dict[str, list[str]]:
        if not self._has(f"{part}.exc"):
            return {}
        lines = self._read(f"{part}.exc").decode("ascii").splitlines()
        return {fields[0]: fields[1:] for line in lines if (fields := line.split())}

    def _has(self, name: str) -> bool:
        if self._path.suffix == ".zip":
            with zipfile.ZipFile(self._path) as archive:
                return f"wordnet/{name}" in archive.namelist()
        return (self._path / name).is_file()

    def _read(self, name: str) -> bytes:
        if self._path.suffix == ".zip":
            with zipfile.ZipFile(self._path) as archive:
                return archive.read(f"wordnet/{name}")
        return (self._path / name).read_bytes()


def _shortened(forms: list[str], part: str) -> list[str]:
    return [form[: -len(old)] + new for form in forms for old, new in _ENDINGS[part] if form.endswith(old)]


def places() -> list[Path]:
    """Return possible WordNet folders: $WNSEARCHDIR, Debian's wordnet-base, a build from source, and nltk's downloads."""
    named = [Path(os.environ["WNSEARCHDIR"])] if os.environ.get("WNSEARCHDIR") else []
    usual = [Path("/usr/share/wordnet"), Path("/usr/local/share/wordnet"), Path("/usr/local/WordNet-3.0/dict")]
    nltk = [Path(folder) for folder in os.environ.get("NLTK_DATA", "").split(os.pathsep) if folder]
    nltk += [Path.home() / "nltk_data", Path("/usr/share/nltk_data"), Path("/usr/local/share/nltk_data")]
    return named + usual + [folder / "corpora" / name for folder in nltk for name in ("wordnet", "wordnet.zip")]


def find() -> Path | None:
    """Return the first of these folders that contains a complete WordNet."""
    for path in places():
        if (path.suffix == ".zip" and path.is_file()) or all((path / name).is_file() for name in _FILES):
            return path
    return None


def wordnet(method: str) -> WordNet:
    """Load the WordNet of this machine once."""
    path = find()
    if path is None:
        raise RecipeError(
            f"{method}: no synonyms found. Provide your own list ({method}: {{path: synonyms.csv}}, each line a word "
            "and its synonyms), or install WordNet: apt install wordnet-base, or pip install whet[text] and "
            "python -m nltk.downloader wordnet. Searched in " + ", ".join(str(place) for place in places())
        )
    return _opened(path)


@functools.cache
def _opened(path: Path) -> WordNet:
    try:
        return WordNet(path)
    except (OSError, KeyError, ValueError, IndexError, zipfile.BadZipFile) as error:
        raise RecipeError(f"{path} cannot be read as WordNet: {error}") from None
