"""The table of types that fit is what the check of a workflow goes by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from nodegraph.engine.fits import fits
from nodegraph.engine.marks import Lazy
from nodegraph.engine.node import node, spec_of
from nodegraph.engine.types import fit


@dataclass(frozen=True)
class Picture:
    """A value that goes by wire alone."""


class Parts(NamedTuple):
    picture: Picture
    number: int


@node("test.split")
def split(picture: Picture | None, share: Annotated[float, Field(ge=0)], mode: Literal["a", "b"] = "a") -> Parts:
    """Give parts."""
    return Parts(Picture(), 1)


@node("test.lines")
def lines(text: Lazy[str], values: list[Any]) -> list[str]:
    """Give lines."""
    return []


SPECS = [spec_of(split), spec_of(lines)]


def test_each_output_names_the_inputs_that_it_fits_and_how() -> None:
    table = fits(SPECS)
    assert table["int"] == {"float": "whole"}
    assert table["Picture"] == {"Picture | None": "whole"}
    assert table["list[str]"] == {"list[any]": "whole", "str": "each"}


def test_what_comes_of_running_a_node_once_an_item_is_told_too() -> None:
    table = fits(SPECS)
    assert table["list[Picture]"] == {"Picture | None": "each", "list[any]": "whole"}
    assert table["list[int]"]["float"] == "each"


def test_a_type_of_two_kinds_fits_where_one_of_them_does() -> None:
    """`mode` and `text` both take a `str`, and both are called so."""
    assert fits(SPECS)["list[str]"]["str"] == "each"


def test_the_table_agrees_with_the_check_for_every_pair() -> None:
    table = fits(SPECS)
    for source in (output.type for spec in SPECS for output in spec.outputs.values()):
        for target in (port.type for spec in SPECS for port in spec.inputs.values()):
            told = {"whole": "whole", "each": "mapped"}.get(table[source.name].get(target.name, ""))
            assert told == fit(source, target), (source.name, target.name)
