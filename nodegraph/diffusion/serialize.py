"""Bytes of the values that nodes pass on, exact to the bit; networks have no serializer: they are loaded anew.

The form: the length of a JSON tree, the tree, and a safetensors file with the tensors that the tree names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeGuard

from nodegraph.diffusion.values import Area, Conditioning, ConditioningEntry, Image, Latent, Mask, Origin

if TYPE_CHECKING:
    from torch import Tensor

_TYPES: Final[Mapping[str, type]] = {
    kind.__name__: kind for kind in (Area, Conditioning, ConditioningEntry, Image, Latent, Mask, Origin)
}
"""The dataclasses that are written field by field."""


@dataclass(frozen=True)
class ValueSerializer:
    """Writes and reads values of one dataclass, and tensors alone.

    `name` stands before the data: raise its number when a field changes its meaning. A field that has been added or
    taken away since makes `load` raise, and the value is made anew.
    """

    name: str
    type: type | None
    """None: a tensor."""

    def can(self, value: object) -> bool:
        """Tell whether `value` is of this type and holds nothing that cannot be written."""
        if not (_is_tensor(value) if self.type is None else type(value) is self.type):
            return False
        try:
            _tree(value, {})
        except TypeError:
            return False
        return True

    def dump(self, value: object, stream: BinaryIO) -> None:
        """Write a value; tensors go by way of the CPU."""
        from safetensors.torch import save

        tensors: dict[str, Tensor] = {}
        tree = json.dumps(_tree(value, tensors)).encode()
        stream.write(len(tree).to_bytes(8, "big"))
        stream.write(tree)
        stream.write(save(_apart(tensors)))

    def load(self, stream: BinaryIO) -> Any:
        """Read a value onto the CPU; raise `ValueError` for anything else."""
        from safetensors import SafetensorError
        from safetensors.torch import load

        try:
            tree = json.loads(stream.read(int.from_bytes(stream.read(8), "big")))
            return _value(tree, load(stream.read()))
        except (SafetensorError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ValueError(f"this is no {self.name}: {error}") from error


SERIALIZERS: Final = (
    ValueSerializer("tensor 1", None),
    ValueSerializer("image 1", Image),
    ValueSerializer("latent 1", Latent),
    ValueSerializer("mask 1", Mask),
    ValueSerializer("conditioning 1", Conditioning),
)
"""For the engine's disk cache."""


def _is_tensor(value: object) -> TypeGuard[Tensor]:
    # Told by its name, so that asking does not import torch; a subclass (a parameter, say) may hold more.
    kind = type(value)
    return kind.__module__ == "torch" and kind.__name__ == "Tensor"


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors on the CPU, each with a storage of its own, as safetensors wants them."""
    apart: dict[str, Tensor] = {}
    taken: set[int] = set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        storage = tensor.untyped_storage()
        if storage.nbytes() != tensor.nbytes or storage.data_ptr() in taken:
            tensor = tensor.clone()
        taken.add(tensor.untyped_storage().data_ptr())
        apart[name] = tensor
    return apart


def _tree(value: object, tensors: dict[str, Tensor]) -> Any:
    """Return a value as JSON, its tensors put aside; raise `TypeError` for what has no form."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if _is_tensor(value):
        if value.device.type == "meta" or value.is_sparse or value.is_quantized:
            raise TypeError("a tensor without plain data")
        # One tensor in two places is written once: safetensors refuses names that share memory.
        name = next((name for name, known in tensors.items() if known is value), str(len(tensors)))
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [_tree(item, tensors) for item in value]}
    if isinstance(value, Mapping):
        return {"mapping": [[_tree(key, tensors), _tree(item, tensors)] for key, item in value.items()]}
    if is_dataclass(value) and _TYPES.get(type(value).__name__) is type(value):
        state = {entry.name: _tree(getattr(value, entry.name), tensors) for entry in fields(value)}
        return {"type": type(value).__name__, "fields": state}
    raise TypeError(f"{type(value).__name__} cannot be written")


def _value(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    if not isinstance(tree, dict):
        return tree
    if "tensor" in tree:
        return tensors[tree["tensor"]]
    if "list" in tree:
        return [_value(item, tensors) for item in tree["list"]]
    if "tuple" in tree:
        return tuple(_value(item, tensors) for item in tree["tuple"])
    if "mapping" in tree:
        return {_value(key, tensors): _value(item, tensors) for key, item in tree["mapping"]}
    kind = _TYPES[tree["type"]]
    return kind(**{name: _value(item, tensors) for name, item in tree["fields"].items()})
