"""What the engine knows of a node type: its ports, their types and the options it was declared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from nodegraph.engine.marks import Mentions

Json = Any
"""A JSON value: None, bool, int, float, str, list or dict of these."""


class Missing:
    """The type of `MISSING`, which stands for "no default"."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()


@dataclass(frozen=True, eq=False)
class PortType:
    """The type of a port.

    `name` is what people see (`Image`, `int`, `list[Image]`); `annotation` is the Python type with its metadata.
    A type that is `data` can be typed in a file or a widget, and wired too; for any other only a wire fits.
    `item` is the type of a list's items, None for anything that is not a list.
    """

    name: str
    annotation: Any
    data: bool = False
    item: PortType | None = None

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        """Return pydantic's view of the type, built when it is first needed."""
        from pydantic import TypeAdapter

        return TypeAdapter(self.annotation)

    @cached_property
    def schema(self) -> Mapping[str, Json] | None:
        """Return the JSON Schema of what can be typed, or None where only a wire fits."""
        return self.adapter.json_schema() if self.data else None

    def dump(self, value: Any) -> Json:
        """Return a checked `value` of this type as JSON: an enumeration as its value, a pydantic model as an object."""
        if value is None or type(value) in (bool, int, float, str):
            return value
        return self.adapter.dump_python(value, mode="json")


@dataclass(frozen=True, slots=True)
class InputPort:
    """An input of a node: where a value comes from a wire, from the file, or from `default`."""

    name: str
    type: PortType
    default: Any = MISSING
    choices: Callable[[], tuple[str, ...]] | None = None
    """The names that fit, asked for when they are needed (sampler names, say); None: not a choice."""
    file: str | None = None
    """The kind of folder (`checkpoints`, `input`) whose file this parameter names; it joins the recipe."""
    mentions: Mentions | None = None
    """Which files a text may name somewhere in it; they join the recipe."""
    known_as: str = ""
    """The name that files of other programs have for it, where it is not the same."""
    lazy: bool = False
    """The node receives a `Lazy` handle and what is upstream runs only if the node asks for it."""
    body: bool = False
    """The parameter names a subgraph of the file, which the node expands at run time."""

    @property
    def required(self) -> bool:
        """Tell whether a workflow must give this input."""
        return self.default is MISSING


@dataclass(frozen=True, slots=True)
class OutputPort:
    """An output of a node."""

    name: str
    type: PortType


@dataclass(frozen=True)
class NodeSpec:
    """A node type, read from a typed function."""

    id: str
    function: Callable[..., Any]
    inputs: Mapping[str, InputPort]
    outputs: Mapping[str, OutputPort]
    category: str = ""
    title: str = ""
    doc: str = ""
    version: str = "1"
    plugin: str = ""
    plugin_version: str = ""
    cache: bool = True
    """False: the node runs each time."""
    output: bool = False
    """True: a sink, which a run must reach."""
    settings: tuple[str, ...] = ()
    """Settings of the run (`device`, `dtype`) that change what the node returns; they join its recipe."""
    aliases: tuple[str, ...] = ()
    deprecated: str | None = None
    """What to use instead; None: not deprecated."""
    context: str | None = None
    """The name of the parameter that takes the `Context`."""
    is_async: bool = False
    named_outputs: bool = False
    """True: the function returns a NamedTuple; False: its single result is the output `out`, or it returns nothing."""
    extra: Mapping[str, Json] = field(default_factory=dict)

    def input_known_as(self, name: str) -> str:
        """Return the name of the input that the files of other programs call so."""
        return next((port.name for port in self.inputs.values() if port.known_as == name), name)

    @cached_property
    def identity(self) -> tuple[str, str, str]:
        """Return what of the type enters a recipe: id, node version, plugin version."""
        return (self.id, self.version, self.plugin_version)
