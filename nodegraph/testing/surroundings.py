"""What a node must leave as it found it: random states, the environment, threads; and what it does outside itself."""

from __future__ import annotations

import os
import random
import sys
import sysconfig
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_ACTS = {
    "os.mkdir": "makes the folder",
    "os.remove": "removes",
    "os.rename": "renames",
    "os.rmdir": "removes the folder",
    "socket.connect": "connects to",
    "socket.bind": "listens on",
    "subprocess.Popen": "starts",
    "os.system": "starts",
}
_SYSTEM = ("/proc", "/sys", "/dev", "/etc", "/usr")
MOST_PARTS = 20_000
"""Parts of a value that are looked at for files."""
_BETWEEN = ("os", "collections.abc", "_collections_abc")
"""Modules through which the environment is looked at."""
_watching: list[Seen] = []
"""Where what happens is noted, while somebody watches."""
_hooked = False


def surroundings() -> dict[str, Any]:
    """Return what all share, of the libraries that are loaded."""
    found: dict[str, Any] = {
        "Python's random state (`random`)": random.getstate(),
        "the environment (`os.environ`)": dict(os.environ),
        "the working folder": _folder(),
        "where Python looks for modules (`sys.path`)": list(sys.path),
        "`sys.stdout`": sys.stdout,
    }
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None and "numpy.random" in sys.modules:
        found["numpy's random state (`numpy.random`)"] = numpy.random.get_state(legacy=False)
    if torch is not None and hasattr(torch, "get_num_threads"):
        found["torch's random state"] = torch.random.get_rng_state()
        found["torch's default dtype"] = torch.get_default_dtype()
        found["whether torch records gradients"] = torch.is_grad_enabled()
        found["torch's number of threads"] = torch.get_num_threads()
        found["torch's deterministic mode"] = torch.are_deterministic_algorithms_enabled()
    return found


def _folder() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return ""


def threads() -> set[threading.Thread]:
    """Return the threads that run."""
    return set(threading.enumerate())


@contextmanager
def scrambled(seed: int) -> Iterator[None]:
    """Set the random states that all share to those of a seed, for as long as the block lasts."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    states: list[tuple[Any, Any]] = [(random.setstate, random.getstate())]
    random.seed(seed)
    if numpy is not None and "numpy.random" in sys.modules:
        states.append((numpy.random.set_state, numpy.random.get_state()))
        numpy.random.seed(seed)
    if torch is not None and hasattr(torch, "get_num_threads"):
        states.append((torch.random.set_rng_state, torch.random.get_rng_state()))
        torch.random.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        for restore, state in states:
            restore(state)


@dataclass
class Seen:
    """What happened while somebody watched."""

    acts: list[str] = field(default_factory=list)
    """What was written, started or connected to, in words."""
    reads: list[str] = field(default_factory=list)
    """The files that were opened to be read."""
    variables: list[tuple[str, str]] = field(default_factory=list)
    """The variables of the environment that were looked at, each with the module that did."""


@contextmanager
def watched(own: Path) -> Iterator[Seen]:
    """Note what the block does to files outside of `own`, and what it starts or connects to."""
    global _hooked
    if not _hooked:
        sys.addaudithook(_audit)  # which cannot be taken off: it does nothing while nobody watches
        _hooked = True
    seen = Seen()
    _watching.append(seen)
    environment = type(os.environ)
    os.environ.__class__ = _watchful(environment)
    try:
        yield seen
    finally:
        os.environ.__class__ = environment
        _watching.remove(seen)
        seen.acts = [told for told in dict.fromkeys(seen.acts) if str(own) not in told]
        seen.reads = [told for told in dict.fromkeys(seen.reads) if str(own) not in told]


def _watchful(kind: Any) -> Any:
    """Return the class of an environment that tells who looks at its variables."""

    def get(environment: Any, key: str) -> str:
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_globals.get("__name__") in _BETWEEN:
            frame = frame.f_back
        module = "" if frame is None else str(frame.f_globals.get("__name__", ""))
        for seen in _watching:
            seen.variables.append((key, module))
        value: str = kind.__getitem__(environment, key)
        return value

    return type(kind.__name__, (kind,), {"__getitem__": get})


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching or (event != "open" and event not in _ACTS):
        return
    subject = str(arguments[1] if event.startswith("socket") else arguments[0])
    if "__pycache__" in subject or subject in (os.devnull, "") or subject.isdecimal():
        return
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES
    for seen in _watching:
        if event == "open" and not writes:
            seen.reads.append(subject)
        else:
            seen.acts.append(f"{'writes' if writes else _ACTS[event]} {subject}")


def foreign(reads: list[str], known: list[Path]) -> list[str]:
    """Return the files that are neither Python's own, nor the system's, nor below one of those that are known."""
    own = [sys.prefix, sys.base_prefix, sysconfig.get_path("purelib"), sysconfig.get_path("stdlib"), *_SYSTEM]
    package = Path(__file__).resolve().parent.parent
    places = [Path(place).resolve() for place in own] + [path.resolve() for path in known] + [package]
    paths = [(text, Path(text).resolve()) for text in reads]
    return [text for text, path in paths if not any(path.is_relative_to(place) for place in places)]


def paths_in(value: object) -> list[Path]:
    """Return the files that a value names, as one does that stands for what is read when it is needed."""
    found: list[Path] = []
    seen: set[int] = set()
    stack = [value]
    while stack and len(seen) < MOST_PARTS:
        item = stack.pop()
        if id(item) in seen or isinstance(item, (str, bytes, int, float, type)):
            continue
        seen.add(id(item))
        if isinstance(item, Path):
            found.append(item)
        elif isinstance(item, Mapping):
            stack.extend(item.values())
        elif isinstance(item, (list, tuple, set, frozenset)):
            stack.extend(item)
        elif isinstance(item, partial):
            stack += [item.func, item.args, item.keywords]
        elif callable(getattr(item, "__func__", None)):
            stack.append(getattr(item, "__self__", None))
        else:
            stack.extend(getattr(item, name, None) for name in _names_of(item))
    return found


def _names_of(item: object) -> list[str]:
    """Return the names of what an object holds, in slots or in its own dictionary."""
    slots = (getattr(kind, "__slots__", ()) for kind in type(item).__mro__)
    named = [name for names in slots for name in ([names] if isinstance(names, str) else names)]
    return [*getattr(item, "__dict__", {}), *named]


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return the names of what is not as it was; what has appeared since, with a library, is no change."""
    from nodegraph.testing.comparing import difference

    return [name for name, value in before.items() if name in after and difference(value, after[name]) is not None]


def left_behind(base: Path, told: list[Path]) -> list[Path]:
    """Return the files below `base` that nobody was told of."""
    known = {path.resolve() for path in told}
    return [path for path in sorted(base.rglob("*")) if path.is_file() and path.resolve() not in known]
