"""Find the weights in what a pickled checkpoint holds: tables within tables, with notes of training among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from torch import Tensor

WRAPPERS: Final = (
    "state_dict",
    "params_ema",
    "params",
    "model_state_dict",
    "generator_ema",
    "generator",
    "model",
    "ema",
)
"""Under which names training tools put the weights; the first that is there counts."""
VECTORS: Final = "string_to_param"
"""Where A1111 puts the vectors of a textual inversion."""
LONGEST_NOTE: Final = 1000
MOST_NOTES: Final = 200
DEEPEST: Final = 32


class NoWeightsError(ValueError):
    """What a file holds instead of weights."""


@dataclass
class Contents:
    """The tensors of a file by name, what is told beside them, and the names of what is left out."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def unwrap(document: Any) -> Contents:
    """Return what a checkpoint holds; raise `NoWeightsError` where there is no tensor in it."""
    found = Contents()
    if not isinstance(document, Mapping):
        raise NoWeightsError(f"it holds a {type(document).__name__}, expected a table of tensors")
    if VECTORS in document:
        _vectors(document, found)
    else:
        wrapper = _wrapper(document)
        if wrapper is not None:
            _beside(document, wrapper, found)
        _gather("", document if wrapper is None else document[wrapper], found, 0)
    if not found.tensors:
        names = ", ".join(repr(str(name)) for name in list(document)[:8])
        raise NoWeightsError(f"it holds no tensors, but {names or 'nothing'}")
    return found


def _wrapper(document: Mapping[Any, Any]) -> str | None:
    """Return under which name the weights are, None where they are not under one."""
    if any(_is_tensor(value) for value in document.values()):
        return None
    for name in WRAPPERS:
        if isinstance(document.get(name), Mapping) and _holds_tensors(document[name]):
            return name
    return None


def _beside(document: Mapping[Any, Any], wrapper: str, found: Contents) -> None:
    """Note what stands beside the weights."""
    for name, value in document.items():
        if name != wrapper:
            _note(str(name), value, found)


def _gather(prefix: str, value: Any, found: Contents, depth: int) -> None:
    """Add the tensors of a table under their names, those of inner tables with dots between."""
    if depth > DEEPEST:
        raise NoWeightsError(f"its tables lie more than {DEEPEST} deep within each other, at {prefix[:100]!r}")
    entries = value.items() if isinstance(value, Mapping) else enumerate(value)
    for key, entry in entries:
        name = f"{prefix}.{key}" if prefix else str(key)
        if _is_tensor(entry):
            if name in found.tensors:
                raise NoWeightsError(f"two of its tensors are named {name!r}")
            found.tensors[name] = entry
        elif isinstance(entry, (Mapping, list, tuple)) and _holds_tensors(entry):
            _gather(name, entry, found, depth + 1)
        else:
            _note(name, entry, found)


def _vectors(document: Mapping[Any, Any], found: Contents) -> None:
    """Add the vectors of a textual inversion, whose name in the file is a `*`."""
    vectors = document[VECTORS]
    if not isinstance(vectors, Mapping) or not all(_is_tensor(vector) for vector in vectors.values()):
        raise NoWeightsError(f"its {VECTORS!r} holds no vectors")
    names = ["emb_params"] if len(vectors) == 1 else [str(name) for name in vectors]
    found.tensors |= dict(zip(names, vectors.values(), strict=True))
    for name, value in document.items():
        if name not in (VECTORS, "string_to_token"):
            _note(str(name), value, found)


def _note(name: str, value: Any, found: Contents) -> None:
    """Keep a plain value as a text; anything else is left out."""
    if value is None:
        return
    if isinstance(value, (bool, int, float, str)) and len(found.notes) < MOST_NOTES:
        text = str(value)[:LONGEST_NOTE]
        found.notes[name] = text.encode("utf-8", "replace").decode("utf-8")  # no halves of characters
    elif not isinstance(value, (Mapping, list, tuple)) or value:
        found.left_out.append(name)


def _holds_tensors(value: Any, depth: int = 0) -> bool:
    """Tell whether a table or list has a tensor in it, at any depth."""
    if depth > DEEPEST:
        return False
    entries = value.values() if isinstance(value, Mapping) else value
    inner = (Mapping, list, tuple)
    return any(
        _is_tensor(entry) or (isinstance(entry, inner) and _holds_tensors(entry, depth + 1)) for entry in entries
    )


def _is_tensor(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor)
