"""Values typed by hand, to be wired to several places."""

from typing import Annotated

from pydantic import Field

from nodegraph import Multiline, node

LARGEST = 2**63 - 1


@node("PrimitiveInt", title="Int", category="utils/primitive")
def primitive_int(value: Annotated[int, Field(ge=-LARGEST, le=LARGEST)]) -> int:
    """Give a whole number."""
    return value


@node("PrimitiveFloat", title="Float", category="utils/primitive")
def primitive_float(value: Annotated[float, Field(ge=-LARGEST, le=LARGEST)]) -> float:
    """Give a number."""
    return value


@node("PrimitiveString", title="String", category="utils/primitive")
def primitive_string(value: str) -> str:
    """Give a line of text."""
    return value


@node("PrimitiveStringMultiline", title="String (Multiline)", category="utils/primitive")
def primitive_string_multiline(value: Annotated[str, Multiline()]) -> str:
    """Give a text of several lines."""
    return value


@node("PrimitiveBoolean", title="Boolean", category="utils/primitive")
def primitive_boolean(value: bool) -> bool:
    """Give yes or no."""
    return value
