"""How values become bytes: plain data and lists, tuples and dicts here, anything else by serializers from outside."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, Protocol

from nodegraph.engine.spec import Json


class Serializer(Protocol):
    """Writes and reads values of some types. `name` stands in the files: it changes when the form does."""

    @property
    def name(self) -> str:
        """Return the name of the form, such as `latent 1`."""
        ...

    def can(self, value: object) -> bool:
        """Tell whether `dump` can write the value whole."""
        ...

    def dump(self, value: Any, stream: BinaryIO) -> None:
        """Write the value."""
        ...

    def load(self, stream: BinaryIO) -> Any:
        """Read what `dump` wrote; raise any error where it is something else."""
        ...


class UnwritableError(TypeError):
    """A value that no serializer can write."""


class UnknownSerializerError(LookupError):
    """Data of a serializer that this process has not got."""


def pack(value: object, serializers: Sequence[Serializer], add: Callable[[bytes], int]) -> Json:
    """Return a value as JSON; what JSON cannot hold goes through `add`, which returns its number.

    Raises `UnwritableError` where a part has no serializer.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is list:
        return {"list": [pack(item, serializers, add) for item in value]}
    if type(value) is tuple:
        return {"tuple": [pack(item, serializers, add) for item in value]}
    if type(value) is dict:
        pairs = value.items()
        return {"dict": [[pack(key, serializers, add), pack(item, serializers, add)] for key, item in pairs]}
    for serializer in serializers:
        if serializer.can(value):
            stream = io.BytesIO()
            serializer.dump(value, stream)
            return {"by": serializer.name, "at": add(stream.getvalue())}
    raise UnwritableError(f"no serializer for {type(value).__module__}.{type(value).__qualname__}")


def unpack(data: Json, serializers: Sequence[Serializer], part: Callable[[int], bytes]) -> Any:
    """Return the value that `pack` wrote."""
    if not isinstance(data, dict):
        return data
    if "list" in data:
        return [unpack(item, serializers, part) for item in data["list"]]
    if "tuple" in data:
        return tuple(unpack(item, serializers, part) for item in data["tuple"])
    if "dict" in data:
        pairs = data["dict"]
        return {unpack(key, serializers, part): unpack(item, serializers, part) for key, item in pairs}
    for serializer in serializers:
        if serializer.name == data["by"]:
            return serializer.load(io.BytesIO(part(data["at"])))
    raise UnknownSerializerError(f"no serializer {data['by']!r}")
