"""Turn pickled checkpoints into safetensors; the pickle is read in a process of its own, never in this one."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, Final, cast
from uuid import uuid4

from nodegraph.diffusion.weights.errors import WeightsError
from nodegraph.diffusion.weights.header import OTHER_KINDS, PICKLE_SUFFIXES, read_header
from nodegraph.engine.errors import NodegraphError

NEEDED_TORCH: Final = (2, 10)
"""Its loader for weights alone ran code, or wrote beyond its memory, for crafted files before (CVE-2026-24747)."""
SUFFIX: Final = ".safetensors"
ROOM: Final = 2 * 2**30
"""Bytes of memory that torch itself and a tensor on its way may take."""
PATIENCE: Final = 120.0
SLOWEST: Final = 20 * 2**20
"""Seconds that a file may take in any case, and bytes a second that a slow disk does."""
KEPT: Final = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR", "TEMP", "TMP", "LANG", "LC_ALL")
"""The variables that the process keeps; tokens are not among them."""
MOST_SAID: Final = 100_000
"""Bytes of what the process said last that are looked at."""
log = logging.getLogger(__name__)
Tell = Callable[[int, int], object]
"""Told the bytes written and all there will be."""


class ConvertError(NodegraphError):
    """A file that was not converted; the text names it, says why, and what would help."""


@dataclass(frozen=True)
class Converted:
    """What came of a conversion: `notes` are what is told in the metadata, `left_out` what stood beside the weights."""

    path: Path
    tensors: int
    size: int
    notes: Mapping[str, str]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Bounds:
    """What reading a file may take, in bytes and seconds; None: by its size."""

    memory: int | None = None
    seconds: float | None = None

    def of(self, size: int) -> tuple[int, float]:
        """Return the bounds for a file of a size."""
        seconds = PATIENCE + size / SLOWEST if self.seconds is None else self.seconds
        return (3 * size + ROOM if self.memory is None else self.memory), seconds


def target_of(source: Path, output: Path | None) -> Path:
    """Return the file to write: beside the source, or in the folder or at the place given."""
    if output is None:
        return source.with_suffix(SUFFIX)
    return output / f"{source.stem}{SUFFIX}" if output.is_dir() else output


def convert(
    source: Path,
    target: Path,
    *,
    dtype: str | None = None,
    bounds: Bounds | None = None,
    force: bool = False,
    tell: Tell | None = None,
) -> Converted:
    """Write the weights of a pickled file as safetensors; the file appears whole, and verified, or not at all.

    `dtype` is `fp32`, `fp16` or `bf16`. Raises `ConvertError` for what is no pickle, damaged, asks for anything but
    weights, or takes more than the bounds; and for a target that is there, unless `force` is given.
    """
    check_source(source)
    check_target(target, force)
    check_torch()
    memory, seconds = (bounds or Bounds()).of(source.stat().st_size)
    part = target.with_name(f".{target.name[:200]}.{uuid4().hex}.part")
    job = {"source": str(source.resolve()), "part": str(part.absolute()), "dtype": dtype, "memory": memory}
    try:
        told = _run(source, job, seconds, tell)
        header = read_header(part)
        if len(header.tensors) != told["tensors"]:
            raise ConvertError(f"{target}: {len(header.tensors)} tensors were written, {told['tensors']} were read")
        check_target(target, force)
        part.chmod(0o666 & ~umask())
        part.replace(target)
    except WeightsError as error:
        raise ConvertError(f"{target}: what was written cannot be read: {error.problem}") from error
    except OSError as error:
        raise ConvertError(f"{target}: cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    return Converted(target, told["tensors"], target.stat().st_size, told["notes"], tuple(told["left_out"]))


def check_source(source: Path) -> None:
    """Raise `ConvertError` for what is no pickled file, as far as its first bytes tell."""
    try:
        with source.open("rb") as stream:
            start = stream.read(512)
    except OSError as error:
        raise ConvertError(f"{source}: {(error.strerror or str(error)).lower()}") from error
    if not start:
        raise ConvertError(f"{source}: the file is empty")
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < source.stat().st_size:
        raise ConvertError(f"{source}: a safetensors file already")
    for magic, kind in OTHER_KINDS.items():
        if kind is not None and start.startswith(magic):
            raise ConvertError(f"{source}: not a pickled file but {kind}")
    pickled = start.startswith((b"PK\x03\x04", b"\x80")) or start[257:262] == b"ustar"
    if not pickled and not (source.suffix.lower() in PICKLE_SUFFIXES and start[:1] in b"(}]c"):
        raise ConvertError(f"{source}: not a pickled file: it starts with {start[:8].hex(' ')}")


def check_target(target: Path, force: bool) -> None:
    """Raise `ConvertError` for a file that cannot be written, or is there and not to be written over."""
    if target.suffix.lower() != SUFFIX:
        raise ConvertError(f"{target}: expected a name that ends in {SUFFIX}")
    if not target.parent.is_dir():
        raise ConvertError(f"{target.parent}: no such folder")
    if target.is_dir() or (target.exists() and not force):
        raise ConvertError(f"{target} is there already; --output names another file, --force writes over it")


def check_torch() -> None:
    """Raise `ConvertError` where torch is too old to be trusted with pickled files."""
    found = version("torch")
    numbers = tuple(int(part) for part in found.split("+")[0].split(".")[:2])
    if numbers < NEEDED_TORCH:
        needed = ".".join(map(str, NEEDED_TORCH))
        raise ConvertError(f"pickled files are only read with torch {needed} or later, this is {found}")


def _run(source: Path, job: Mapping[str, Any], seconds: float, tell: Tell | None) -> dict[str, Any]:
    """Have a process do a job and return what came of it."""
    late = threading.Event()
    with tempfile.TemporaryFile() as errors, _process(errors) as process:
        stdin, stdout = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)

        def stop() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(seconds, stop)
        timer.start()
        try:
            with suppress(BrokenPipeError):
                stdin.write(json.dumps(job).encode() + b"\n")
                stdin.flush()
            last = _followed(stdout, tell)
            code = process.wait()
        finally:
            timer.cancel()
        errors.seek(0)
        said = errors.read(MOST_SAID).decode("utf-8", "replace")
    if "done" in last and code == 0:
        done: dict[str, Any] = last["done"]
        return done
    log.debug("the process that read %s ended with %s and said: %s", source, code, said)
    if late.is_set():
        raise ConvertError(f"{source}: reading it took longer than {seconds:.0f} s; --timeout allows more")
    raise ConvertError(f"{source}: {_why(last, code, said, job['memory'])}")


@contextmanager
def _process(errors: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Start the process that reads pickles; it ends with the block, whatever it is at."""
    home = str(Path(__file__).resolve().parents[2])
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    environment |= {"PYTHONPATH": home, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-m", "nodegraph.collection.unpickling"]
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _followed(stdout: IO[bytes], tell: Tell | None) -> dict[str, Any]:
    """Return the last word of the process, passing on how far it is."""
    last: dict[str, Any] = {}
    for line in stdout:
        try:
            last = json.loads(line)
        except ValueError:  # it was killed within a word
            break
        if tell is not None and "written" in last:
            tell(last["written"], last["total"])
    return last


def _why(last: Mapping[str, Any], code: int, said: str, memory: int) -> str:
    """Say why a conversion failed."""
    what = last.get("message", "")
    match last.get("refused"):
        case "global":
            return (
                f"refused: beside weights it asks for {what}, which is none, and which a pickled file may use to run "
                "code; nothing of it ran. If you trust where it comes from, look for a safetensors file there"
            )
        case "pickle":
            return f"refused: it is no file of weights alone; nothing of it ran ({what})"
        case "memory":
            return _no_memory(memory)
        case "file":
            return f"the result cannot be written: {what.lower()}"
        case str():
            return str(what)
    if "MemoryError" in said or "bad_alloc" in said or "allocate memory" in said:
        return _no_memory(memory)
    if code < 0:
        name = signal.Signals(-code).name if -code in {*signal.Signals} else str(-code)
        return f"the process that read it was ended by {name}: the file is damaged, or memory ran out"
    return f"the process that read it failed: {(said.strip().splitlines() or ['it said nothing'])[-1][:500]}"


def _no_memory(memory: int) -> str:
    return f"reading it takes more than {memory / 2**30:.1f} GiB of memory; --memory allows more"


def umask() -> int:
    """Return which rights new files shall not have."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
