"""The names of a new plugin: its distribution, its module, its entry point and the namespace of its nodes."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points, packages_distributions
from typing import Final

from nodegraph.engine.errors import NodegraphError

PREFIX: Final = "nodegraph-"
LONGEST: Final = 60
_NAME: Final = re.compile(r"[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]")
"""What PEP 508 takes for the name of a distribution."""
_RESERVED: Final = frozenset({"nodegraph", "nodes", "testing", "tests", "test", "comfy"})


class NameRefusedError(NodegraphError):
    """A name that no plugin can have; the text says why, and what would do."""


@dataclass(frozen=True)
class Names:
    """What a plugin is called, and where."""

    pack: str
    """The namespace of its nodes, and the name of its entry point: `soft_focus` of `soft_focus.Vignette`."""

    @property
    def distribution(self) -> str:
        """Return the name that pip knows it by: `nodegraph-soft-focus`."""
        return PREFIX + self.pack.replace("_", "-")

    @property
    def module(self) -> str:
        """Return the name that Python imports it by: `nodegraph_soft_focus`."""
        return f"nodegraph_{self.pack}"

    @property
    def title(self) -> str:
        """Return the name as people write it: `Soft Focus`."""
        return " ".join(part.capitalize() for part in self.pack.split("_") if part)


def names_of(text: str) -> Names:
    """Return the names of a plugin called `text`, with or without "nodegraph-" before it.

    Raise `NameRefusedError` for what pip, Python or nodegraph would not take.
    """
    if not _NAME.fullmatch(text) or len(text) > LONGEST:
        raise NameRefusedError(
            f"{text!r} is no name of a package: letters, digits, '-', '_' and '.', at most {LONGEST} of them, with a "
            "letter or a digit at both ends, such as 'soft-focus'"
        )
    pack = re.sub(r"[-_.]+", "_", text).lower().removeprefix("nodegraph_")
    if not pack.isidentifier() or keyword.iskeyword(pack):
        why = "begins with a digit" if pack[:1].isdecimal() else "is a word of Python's own"
        raise NameRefusedError(f"{text!r} {why}, and nodes are called '{pack}.Name'; call it 'my-{pack}', say")
    if pack in _RESERVED:
        raise NameRefusedError(f"the name {text!r} is nodegraph's own; call it 'my-{pack}', say")
    return Names(pack)


def refuse_taken(names: Names) -> None:
    """Raise `NameRefusedError` where this environment has a plugin, or a module, of that name already."""
    for entry in entry_points(group="nodegraph"):
        if entry.name.partition(".")[0].lower() == names.pack:
            of = f" (of {entry.dist.name} {entry.dist.version})" if entry.dist else ""
            raise NameRefusedError(f"a plugin called {entry.name!r} is installed already{of}: choose another name")
    owners = _owners(packages_distributions(), names.module)
    if owners or names.module in sys.modules:
        told = f" (of {', '.join(owners)})" if owners else ""
        raise NameRefusedError(f"a module called {names.module!r} is installed already{told}: choose another name")


def _owners(distributions: Mapping[str, Iterable[str]], module: str) -> list[str]:
    return sorted(set(distributions.get(module, ())))
