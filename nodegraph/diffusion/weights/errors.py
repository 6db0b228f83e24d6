"""What can be wrong with a checkpoint; each error names the file."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

SHOWN = 5
"""Names listed in a message before the rest is counted."""

CONVERT = "nodegraph models convert {source}"


class WeightsError(Exception):
    """A checkpoint that cannot be used; `path` is its file or folder."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


class MissingFileError(WeightsError, FileNotFoundError):
    """A file or folder that is not there."""


class NotSafetensorsError(WeightsError):
    """A file of another kind."""


class PickledFileError(NotSafetensorsError):
    """A pickled file, which could run any code when it is opened the usual way and is never read."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            path,
            "pickled weights, which can run any code when they are opened, so they are never read here. "
            "Convert it to safetensors once, in a process of its own that runs none of it:\n"
            + CONVERT.format(source=shlex.quote(str(path))),
        )


class TruncatedFileError(WeightsError):
    """A file that ends before its tensors do, such as a download cut short."""


class CorruptFileError(WeightsError):
    """A safetensors file whose header makes no sense."""


class ChangedFileError(WeightsError):
    """A file that was written to, or replaced, since the workflow looked at it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "the file was changed or replaced since this run began: run the workflow again")


class MetadataError(WeightsError):
    """A setting stored with the weights that makes no sense."""


class UnknownModelError(WeightsError):
    """Weights of no known family; `nearest` is the title of the one that came closest and `missing` what it lacks.

    `wanted` is what was looked for, where that is one network alone.
    """

    def __init__(
        self,
        path: Path,
        nearest: str | None,
        missing: Sequence[str],
        looks_like: str | None = None,
        wanted: str | None = None,
    ) -> None:
        self.nearest = nearest
        self.missing = tuple(missing)
        problem = f"no {wanted} of a known model family" if wanted else "not a checkpoint of a known model family"
        if looks_like:
            problem += f"; this looks like {looks_like}"
        if nearest:
            problem += f"; nearest is {nearest}, which it is not: {shortened(missing)}"
        super().__init__(path, problem)


class IncompleteModelError(WeightsError):
    """A checkpoint of a known family that lacks parts or tensors, or has them in other shapes."""

    def __init__(self, path: Path, family: str, problems: Sequence[str]) -> None:
        self.family = family
        self.problems = tuple(problems)
        super().__init__(path, f"{family} checkpoint that cannot be loaded: {shortened(problems)}")


def shortened(problems: Sequence[str]) -> str:
    """Return the first problems and how many more there are."""
    more = len(problems) - SHOWN
    return "; ".join(problems[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
