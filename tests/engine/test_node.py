"""What a typed function becomes: ports, defaults, choices, errors that name the place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypeVar, Union

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from nodegraph.engine.context import Context
from nodegraph.engine.errors import PluginError
from nodegraph.engine.expansion import Expansion
from nodegraph.engine.node import Body, Choices, File, Lazy, Multiline, Step, Widget, is_node, node, spec_of
from nodegraph.engine.schema import node_schema
from nodegraph.engine.spec import MISSING
from nodegraph.engine.types import fit, port_type
from nodegraph.engine.values import verify

if TYPE_CHECKING:
    from decimal import Decimal as Hidden


@dataclass(frozen=True)
class Picture:
    pixels: Hidden | None = None


@dataclass(frozen=True)
class Photo(Picture):
    camera: str = ""


class Mode(Enum):
    FAST = "fast"
    GOOD = "good"


class Settings(BaseModel):
    strength: float = 1.0


class Box(TypedDict):
    x: int
    y: int


class Bands(NamedTuple):
    low: Picture
    high: Annotated[Picture, "what is left over"]


class Untyped(NamedTuple):
    low: Missing  # type: ignore[name-defined]  # noqa: F821


T = TypeVar("T")


@node("blur.split", title="Split", category="image", version="2", aliases=("Split",), settings=["device"])
def split(context: Context, image: Picture, radius: Annotated[int, Field(ge=1, le=64)] = 8) -> Bands:
    """Split an image into a blurred base and the detail left over."""
    return Bands(image, image)


def test_decorator_returns_the_function_unchanged() -> None:
    def plain(n: int) -> int:
        return n + 1

    marked = node("test.Plain")(plain)
    assert marked is plain
    assert is_node(marked)
    assert marked(2) == 3


def test_ports_come_from_annotations() -> None:
    spec = spec_of(split, plugin="blur", plugin_version="1.0")
    assert list(spec.inputs) == ["image", "radius"]
    assert spec.context == "context"
    assert spec.inputs["image"].required
    assert spec.inputs["image"].type.name == "Picture"
    assert spec.inputs["radius"].default == 8
    assert spec.inputs["radius"].type.schema == {"type": "integer", "minimum": 1, "maximum": 64}
    assert {name: port.type.name for name, port in spec.outputs.items()} == {"low": "Picture", "high": "Picture"}
    assert spec.named_outputs
    assert spec.doc.startswith("Split an image")
    assert spec.identity == ("blur.split", "2", "1.0")
    assert (spec.title, spec.category, spec.aliases, spec.settings) == ("Split", "image", ("Split",), ("device",))


@node("test.Kinds")
async def kinds(
    sampler: Annotated[str, Choices(lambda: ("euler", "heun"))],
    crop: Literal["disabled", "center"],
    mode: Mode,
    size: Literal[1, 2],
    checkpoint: Annotated[str, File("checkpoints")],
    vae: Annotated[str, File("vae")] | None,
    later: Lazy[Picture],
    body: Body,
    *,
    images: list[Picture],
    mask: Picture | None = None,
) -> Picture:
    return Picture()


def test_marks_and_kinds_of_inputs() -> None:
    spec = spec_of(kinds)
    assert spec.is_async
    ports = spec.inputs
    choices = {name: port.choices() for name, port in ports.items() if port.choices is not None}
    assert choices == {"sampler": ("euler", "heun"), "crop": ("disabled", "center"), "mode": ("fast", "good")}
    assert (ports["checkpoint"].file, ports["vae"].file) == ("checkpoints", "vae")
    assert ports["later"].lazy
    assert ports["later"].type.name == "Picture"
    assert ports["body"].body
    item = ports["images"].type.item
    assert item is not None
    assert (ports["images"].type.name, item.name) == ("list[Picture]", "Picture")
    assert ports["mask"].default is None
    assert ports["images"].default is MISSING
    assert list(spec.outputs) == ["out"]
    assert not spec.named_outputs


@pytest.mark.parametrize(
    ("annotation", "data"),
    [
        (int, True),
        (str | None, True),
        (list[float], True),
        (dict[str, int], True),
        (tuple[int, int], True),
        (Literal["a"], True),
        (Mode, True),
        (Path, True),
        (Settings, True),
        (Box, True),
        (Any, True),
        (Annotated[int, Field(ge=1)], True),
        (Picture, False),
        (list[Picture], False),
        (Picture | int, False),
        (Bands, False),
        (Callable[[int], int], False),
        (bytes, False),
    ],
)
def test_data_has_a_schema_and_all_else_takes_a_wire(annotation: Any, data: bool) -> None:
    kind = port_type(annotation)
    assert kind.data is data
    assert (kind.schema is not None) is data


@pytest.mark.parametrize(
    ("source", "target", "how"),
    [
        (int, float, "whole"),
        (float, int, None),
        (bool, int, None),
        (bool, bool, "whole"),
        (str, Literal["a", "b"], "whole"),
        (str, Mode, "whole"),
        (int, Literal["a", "b"], None),
        (Literal["a"], str, "whole"),
        (Photo, Picture, "whole"),
        (Picture, Photo, None),
        (Photo, Picture | int, "whole"),
        (Picture | None, Picture, None),
        (Picture, Picture | None, "whole"),
        (Photo | Picture, Picture, "whole"),
        (Any, Picture, "whole"),
        (Picture, object, "whole"),
        (Picture, T, "whole"),
        (list[Picture], Picture, "mapped"),
        (list[Photo], Picture | None, "mapped"),
        (list[Photo], list[Picture], "whole"),
        (list[Picture], Any, "whole"),
        (list[int], float, "mapped"),
        (list[list[Picture]], list[Picture], "mapped"),
        (list[list[Picture]], Picture, None),
        (Picture, list[Picture], None),
        (list[int], list[Picture], None),
        (dict[str, int], dict[str, float], "whole"),
        (dict[str, int], Box, "whole"),
        (dict, Box, "whole"),
        (Callable[[int], int], Callable[[int], int], "whole"),
        (Union[Annotated[int, Field(ge=1)], float], float, "whole"),  # noqa: UP007 - the old spelling is read too
    ],
)
def test_which_output_fits_which_input(source: Any, target: Any, how: str | None) -> None:
    assert fit(port_type(source), port_type(target)) == how


def test_equal_annotations_share_a_port_type() -> None:
    assert port_type(list[Picture]) is port_type(list[Picture])


def test_an_unhashable_mark_is_no_obstacle() -> None:
    assert port_type(Annotated[int, ["a", "list"]]).name == "int"


@node("test.Nothing")
def nothing(text: str) -> None: ...


@node("test.Expands")
def expands(items: list[Picture], body: Body) -> list[Picture] | Expansion:
    return items


@node("test.OnlyExpands")
def only_expands(body: Body) -> Expansion:
    return Expansion({}, {})


def test_outputs_of_sinks_and_of_nodes_that_expand() -> None:
    assert spec_of(nothing).outputs == {}
    assert spec_of(expands).outputs["out"].type.name == "list[Picture]"
    assert spec_of(only_expands).outputs["out"].type.name == "any"


def test_schema_of_a_node_holds_bounds_choices_defaults_and_hints() -> None:
    @node("test.Schema", category="text")
    def schema(
        text: Annotated[str, Multiline()] = "a",
        cfg: Annotated[float, Field(ge=0, le=100, description="guidance"), Step(0.1)] = 8.0,
        mode: Mode = Mode.GOOD,
        image: Picture | None = None,
        amount: Annotated[float | None, Widget("slider")] = None,
    ) -> int:
        """Do something."""
        return 1

    found = node_schema(spec_of(schema))
    params = found["properties"]["params"]["properties"]
    assert params["text"] == {"type": "string", "default": "a", "x-multiline": True}
    assert params["cfg"]["description"] == "guidance"
    assert (params["cfg"]["minimum"], params["cfg"]["maximum"], params["cfg"]["x-step"]) == (0, 100, 0.1)
    assert (params["mode"]["enum"], params["mode"]["default"]) == (["fast", "good"], "good")
    assert params["amount"]["x-widget"] == "slider"
    assert "image" not in params
    assert found["properties"]["links"]["properties"]["image"]["x-type"] == "Picture | None"
    assert (found["description"], found["x-category"]) == ("Do something.", "text")
    assert found["x-outputs"] == {"out": "int"}


@pytest.mark.parametrize("name", ["slider", "color", "seed", "mask", "soft-curve", "soft-tone-curve2"])
def test_a_widget_is_a_known_one_or_a_custom_element(name: str) -> None:
    assert Widget(name).name == name


@pytest.mark.parametrize("name", ["", "slide", "Slider", "soft-", "-soft", "Soft-curve", "soft-curve on", "2-soft"])
def test_a_widget_that_no_editor_can_know_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"no widget is called .* 'slider', 'color'"):
        Widget(name)


def no_hint(image, radius: int = 3) -> int:  # type: ignore[no-untyped-def]
    return radius


def no_result(radius: int):  # type: ignore[no-untyped-def]
    return radius


def hidden(number: Hidden) -> int:
    return 1


def many(*images: Picture) -> int:
    return 1


def named(**images: Picture) -> int:
    return 1


def positional(image: Picture, /) -> int:
    return 1


def field_default(radius: int = Field(3, ge=1)) -> int:
    return radius


def broken_tuple(radius: int) -> Untyped:
    return Untyped(radius)


def blank() -> str:
    return " "


def yields(radius: int) -> Iterator[int]:
    yield radius


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (no_hint, ["missing type hint for parameter 'image' of test.Bad in ", "test_node.py:"]),
        (no_result, ["missing return type of test.Bad in ", "-> None"]),
        (hidden, ["cannot resolve the type hint of parameter 'number' 'Hidden'", "under TYPE_CHECKING"]),
        (many, ["parameter *images", "cannot be a port"]),
        (named, ["parameter **images", "cannot be a port"]),
        (positional, ["parameter image", "cannot be a port"]),
        (field_default, ["default of 'radius' is a Field(...)", "Annotated"]),
        (broken_tuple, ["cannot resolve the fields of Untyped", "Missing"]),
        (yields, ["does not yield"]),
    ],
)
def test_what_cannot_be_a_node_is_told_with_its_place(function: Callable[..., Any], words: list[str]) -> None:
    with pytest.raises(PluginError) as caught:
        spec_of(node("test.Bad")(function))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("id", ["", "a b", "pack.", ".x", "1x", "a/b"])
def test_ids_are_names(id: str) -> None:
    with pytest.raises(PluginError, match="not a node id"):
        node(id)


def test_an_alias_may_hold_blanks_within() -> None:
    assert spec_of(node("test.Soft", aliases=("Soft Light 2",))(blank)).aliases == ("Soft Light 2",)
    for alias in (" Soft", "Soft ", "Soft  Light", "soft/light", ""):
        with pytest.raises(PluginError, match="not a node id"):
            node("test.Soft", aliases=(alias,))


def test_a_lone_text_is_no_sequence_of_names() -> None:
    with pytest.raises(PluginError, match=r"\('Old',\)"):
        node("test.A", aliases="Old")


def test_only_marked_functions_are_nodes() -> None:
    def unmarked(number: int) -> int:
        return number

    assert not is_node(unmarked)
    with pytest.raises(PluginError, match="not marked with @node"):
        spec_of(unmarked)
    with pytest.raises(PluginError, match="marks a function"):
        node("test.Class")(Picture)
    with pytest.raises(PluginError, match="needs the node's id"):
        node(unmarked)  # type: ignore[arg-type]


def wrong_default(radius: Annotated[int, Field(ge=1)] = 0) -> int:
    return radius


class Odd(BaseModel, arbitrary_types_allowed=True):
    picture: Picture
    call: Callable[[int], int]


def wrong_schema(box: Odd) -> int:
    return 1


def wrong_bounds(text: Annotated[str, Field(ge=1)] = "a") -> int:
    return len(text)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (
            wrong_default,
            "the default of 'radius' of test.Bad does not fit it: got 0; expected an integer of at least 1",
        ),
        (
            wrong_bounds,
            "the default of 'text' of test.Bad does not fit it: got the text \"a\", which cannot be checked",
        ),
        (wrong_schema, "the type of 'box' of test.Bad has no JSON Schema"),
    ],
)
def test_what_a_plugin_declares_is_verified(function: Callable[..., Any], words: str) -> None:
    spec = spec_of(node("test.Bad")(function))
    with pytest.raises(PluginError, match=re.escape(words)):
        verify(spec)


def test_a_lazy_handle_gets_its_value_when_asked() -> None:
    asked: list[int] = []
    handle = Lazy(lambda: asked.append(1) or 5)  # type: ignore[func-returns-value]
    assert asked == []
    assert handle.get() == 5
    assert asked == [1]
    assert Lazy.of("x").get() == "x"
