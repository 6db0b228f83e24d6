"""Which files the names of learned embeddings in a prompt mean; imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nodegraph.diffusion.text.prompt import EmbeddingName, parse_prompt

SUFFIXES = (".safetensors", ".pt", ".bin")
SIGN = "embedding:"
"""What stands before the name of an embedding in a prompt."""


class WordFiles:
    """Files by the names that prompts may call them by.

    A name is a file's path below its folder, with or without its suffix and whatever the case, or its last part alone.
    """

    def __init__(self, files: Iterable[str]) -> None:
        self.files = sorted(files, key=lambda name: (name.count("/"), name))
        self._names: dict[str, str] = {}
        for file in self.files:
            for called in _spellings(file):
                self._names.setdefault(called, file)

    def find(self, name: str) -> str | None:
        """Return the file that a name means, None where there is none."""
        return self._names.get(_folded(name))

    @property
    def words(self) -> list[str]:
        """Return the names without suffixes, sorted."""
        return sorted({_stem(file) for file in self.files})


def mentioned(text: str, files: Sequence[str]) -> set[str]:
    """Return those of the files that a prompt calls by name, however it is read."""
    known = WordFiles(files)
    pieces = [piece for style in ("comfy", "a1111") for piece in parse_prompt(text, style)]
    found = {known.find(piece.name) for piece in pieces if isinstance(piece, EmbeddingName)}
    return {file for file in found if file is not None}


def _folded(name: str) -> str:
    return name.replace("\\", "/").casefold()


def _stem(name: str) -> str:
    return next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), name)


def _spellings(name: str) -> tuple[str, ...]:
    folded = _folded(name)
    stem = _stem(folded)
    return folded, stem, folded.rpartition("/")[2], stem.rpartition("/")[2]
