"""The process that reads a pickled checkpoint and writes its tensors as safetensors; `convert` starts and watches it.

It is told what to do in a line of JSON on stdin and tells what it does in lines of JSON on stdout. torch's loader for
weights alone makes nothing but tensors and plain values, so that nothing in the file can run. Should that loader ever
have a flaw, this process has no secrets in its environment, bounds on memory, and ends when its parent does.
"""

from __future__ import annotations

import json
import os
import pickle
import pickletools
import re
import sys
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import zip_longest
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from nodegraph.collection.unwrapping import Contents, NoWeightsError, unwrap

if TYPE_CHECKING:
    import torch
    from torch import Tensor

HARMLESS: Final = ("pytorch_lightning.", "lightning.", "lightning_fabric.", "omegaconf.", "numpy.", "_codecs.encode")
"""What training tools leave beside weights: an inert thing stands in for each, and nothing of it is kept."""
SETTINGS: Final = frozenset({"typing.Any", "argparse.Namespace", "builtins.dict", "builtins.list", "builtins.set"})
LARGEST_GROWTH: Final = 8
"""How many times as long as the source the result may be: precisions differ by 4, and some tensors are there twice."""
GROWTH_FREE: Final = 2**28
MOST_STAND_INS: Final = 200
_GLOBAL: Final = re.compile(r"GLOBAL ([\w.]+)")
_STEP: Final = 64 * 2**20
"""Bytes written between two words of how far it is."""


class RefusalError(Exception):
    """Why there is no conversion: a word for the reason, and a text."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Inert:
    """Stands in for an object that is none of ours: takes everything and does nothing."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        pass

    def __setitem__(self, *_: Any) -> None:
        pass


class _Table:
    """Stands in for a table of another kind: it makes a plain one, the only kind that torch's loader fills."""

    def __new__(cls, *_: Any) -> Any:
        return {}


TABLES: Final = {
    "collections.defaultdict": _Table,
    "pytorch_lightning.utilities.parsing.AttributeDict": _Table,
    "lightning_fabric.utilities.data.AttributeDict": _Table,
    "lightning.fabric.utilities.data.AttributeDict": _Table,
}


def main() -> int:
    """Convert a file as stdin tells."""
    job = json.loads(sys.stdin.buffer.readline())
    part = Path(job["part"])
    threading.Thread(target=_follow_parent, args=(part,), daemon=True).start()
    try:
        _limit(job["memory"])
        import torch

        torch.set_num_threads(1)
        _tell(done=rewrite(Path(job["source"]), part, job["dtype"]))
    except RefusalError as error:
        _tell(refused=error.code, message=str(error))
    except MemoryError:
        _tell(refused="memory", message="out of memory")
    except OSError as error:
        _tell(refused="file", message=error.strerror or str(error))
    else:
        return 0
    part.unlink(missing_ok=True)
    return 1


def _follow_parent(part: Path) -> None:
    """End when the parent has, leaving no part of a file."""
    while os.read(sys.stdin.fileno(), 1):  # not by a buffer, whose lock would be held when the process ends
        pass
    part.unlink(missing_ok=True)
    os._exit(1)


def _limit(memory: int) -> None:
    """Bound this process's memory, where the system can, and have it leave no image of itself."""
    try:
        import resource
    except ImportError:
        return
    for kind, most in ((resource.RLIMIT_DATA, memory), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(kind)
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (limit, limit))


def rewrite(source: Path, part: Path, dtype: str | None) -> dict[str, Any]:
    """Write the tensors of a pickled file to another, verify it and say what came of it; raise `RefusalError`."""
    import torch

    try:
        contents = unwrap(_load(source))
    except NoWeightsError as error:
        raise RefusalError("contents", str(error)) from error
    precisions = {None: None, "fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
    stored = {name: _stored(name, tensor, precisions[dtype]) for name, tensor in contents.tensors.items()}
    _check_size(source, contents, stored)
    with part.open("xb") as stream:
        _write(stream, contents, stored)
        stream.flush()
        os.fsync(stream.fileno())
    _verify(part, contents, stored)
    return {"tensors": len(stored), "notes": contents.notes, "left_out": contents.left_out}


def _check_size(source: Path, contents: Contents, stored: Mapping[str, torch.dtype]) -> None:
    """Refuse a small file whose tensors, that repeat the same numbers, would fill a disk."""
    size = source.stat().st_size
    total = sum(tensor.numel() * stored[name].itemsize for name, tensor in contents.tensors.items())
    if total > LARGEST_GROWTH * size + GROWTH_FREE:
        told = f"its {size} bytes would unfold into {total}, as its tensors repeat the same numbers"
        raise RefusalError("contents", told)


def _load(source: Path) -> Any:
    """Return what a file holds, with stand-ins for what training tools leave in it."""
    import torch

    zipped, mapped = _archive(source)
    stand_ins: list[Any] = []
    while True:
        try:
            with torch.serialization.safe_globals(stand_ins):
                return torch.load(source, map_location="cpu", weights_only=True, mmap=mapped)
        except pickle.UnpicklingError as error:
            name = _asked_for(str(error))
            again = any(known == name for _, known in stand_ins) or len(stand_ins) >= MOST_STAND_INS
            if name is None or not _is_harmless(name) or again:
                raise _refused(error, name or _named_in(source)) from error
            stand_ins.append((TABLES.get(name, _Inert), name))
        except MemoryError:
            raise
        except Exception as error:  # what is damaged, or hostile, may make the loader raise anything
            raise _unreadable(error, zipped) from error


def _archive(source: Path) -> tuple[bool, bool]:
    """Tell whether a file is a zip archive, and whether what is in it is stored as it is, so that it can be mapped."""
    with source.open("rb") as stream:
        if stream.read(4) != b"PK\x03\x04":
            return False, False
    try:
        with zipfile.ZipFile(source) as archive:
            return True, all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise _unreadable(error, True) from error


def _asked_for(message: str) -> str | None:
    """Return the name of what a pickle asks for beyond weights, None where the message names nothing."""
    found = _GLOBAL.search(message)
    if found is None:
        return None
    return found[1] if "." in found[1] else f"builtins.{found[1]}"  # torch leaves that out


def _is_harmless(name: str) -> bool:
    return name in TABLES or name in SETTINGS or name.startswith(HARMLESS)


def _refused(error: Exception, name: str | None) -> RefusalError:
    if name is not None:
        return RefusalError("global", name)
    reason = str(error).partition("WeightsUnpickler error:")[2].partition("Check the documentation")[0]
    return RefusalError("pickle", " ".join(reason.split())[:300] or "torch's loader does not take it")


def _named_in(source: Path) -> str | None:
    """Return the first thing beyond weights that a pickle names; its instructions are looked at, none is followed."""
    strings: list[str] = []
    with source.open("rb") as stream, suppress(ValueError, IndexError, UnicodeError):
        for step, argument, _ in pickletools.genops(stream):
            name = None
            if step.name == "GLOBAL":
                name = str(argument).replace(" ", ".")
            elif step.name == "STACK_GLOBAL":
                name = ".".join(strings[-2:])
            elif isinstance(argument, str):
                strings = [*strings[-1:], argument]
            if name is not None and not name.startswith(("torch.", "collections.OrderedDict")):
                return name
    return None


def _unreadable(error: Exception, zipped: bool) -> RefusalError:
    text = str(error)
    if "TorchScript" in text:
        return RefusalError("script", "a TorchScript archive, which holds a program")
    if "alloc" in text and "memory" in text:
        return RefusalError("memory", "out of memory")
    if zipped and (isinstance(error, (zipfile.BadZipFile, OSError)) or "PytorchStreamReader" in text):
        return RefusalError("damaged", "the archive is cut short or damaged, or holds no weights")
    if isinstance(error, EOFError) or "unexpected EOF" in text or "Ran out of input" in text:
        return RefusalError("damaged", "the file ends before its weights do")
    return RefusalError("damaged", f"it cannot be read as weights ({type(error).__name__}: {text[:300]})")


def _stored(name: str, tensor: Tensor, dtype: torch.dtype | None) -> torch.dtype:
    """Return the precision that a tensor is written at; refuse what safetensors has no form for."""
    import torch

    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        raise RefusalError("contents", f"{name!r} is a tensor of a kind that safetensors cannot hold ({tensor.layout})")
    found = dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
    if found not in _spellings():
        raise RefusalError("contents", f"{name!r} has the type {found}, which safetensors cannot hold")
    return found


def _spellings() -> Mapping[torch.dtype, str]:
    """Return how safetensors spells types."""
    import torch

    from nodegraph.diffusion.weights.stream import SPELLINGS

    whole = {f"I{bits}": getattr(torch, f"int{bits}") for bits in (8, 16, 32, 64)}
    whole |= {f"U{bits}": getattr(torch, f"uint{bits}") for bits in (8, 16, 32, 64)}
    return {**SPELLINGS, **{dtype: name for name, dtype in whole.items()}, torch.bool: "BOOL"}


def _write(stream: BinaryIO, contents: Contents, stored: Mapping[str, torch.dtype]) -> None:
    """Write a safetensors file, wide elements first, so that each lies where its width wants it."""
    table: dict[str, Any] = {"__metadata__": contents.notes} if contents.notes else {}
    if "__metadata__" in stored:
        raise RefusalError("contents", "a tensor is named '__metadata__'")
    begin, spellings = 0, _spellings()
    names = sorted(stored, key=lambda name: -stored[name].itemsize)
    for name in names:
        shape = list(contents.tensors[name].shape)
        end = begin + prod(shape) * stored[name].itemsize
        table[name] = {"dtype": spellings[stored[name]], "shape": shape, "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(table, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    stream.write(len(text).to_bytes(8, "little") + text)
    done = told = 0
    for name in names:
        for piece in _pieces(name, contents.tensors[name], stored[name]):
            done += stream.write(piece)
            if done - told >= _STEP or done == begin:
                told = done
                _tell(written=done, total=begin)


def _pieces(name: str, tensor: Tensor, dtype: torch.dtype) -> Iterator[memoryview]:
    """Yield the bytes of a tensor, a few megabytes at a time, however it lies in memory."""
    import torch

    flat = tensor.detach().resolve_conj().resolve_neg().reshape(-1)
    for part in flat.split(max(1, 4 * 2**20 // dtype.itemsize)):
        piece = part.to(dtype).contiguous()
        if piece.dtype != part.dtype and bool((part.isfinite() & ~piece.isfinite()).any()):
            other = "bf16" if dtype == torch.float16 else "fp32"
            raise RefusalError(
                "contents", f"{name!r} has values that {str(dtype)[6:]} cannot hold; --dtype {other} can"
            )
        yield memoryview(piece.view(torch.uint8).numpy())


def _verify(part: Path, contents: Contents, stored: Mapping[str, torch.dtype]) -> None:
    """Read the file that was written, as its readers will, and compare it with the source, byte by byte."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(part, framework="pt") as file:
            names = set(file.keys())
            for name, tensor in contents.tensors.items():
                if name not in names:
                    raise RefusalError("written", f"{name!r} is not in the file that was written")
                written = _pieces(name, file.get_tensor(name), stored[name])
                if any(one != other for one, other in zip_longest(_pieces(name, tensor, stored[name]), written)):
                    raise RefusalError("written", f"{name!r} is not in the file as it was written")
    except SafetensorError as error:
        raise RefusalError("written", f"the file that was written cannot be read: {error}") from error


def _tell(**said: Any) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
