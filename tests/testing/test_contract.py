"""Each check of the contract finds a node that breaks its promise, says what to mend, and passes one that keeps it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from nodegraph import Body, Context, Expansion, Given, Lazy, Ref, Use, node
from nodegraph.diffusion.values import Image
from nodegraph.testing import Case, Check, ContractError, case, check_node, contract, image, mask
from nodegraph.testing.contract import PROMISES
from tests.testing import breaking as bad

BROKEN: list[tuple[str, Case, str]] = [
    ("schema", case(bad.no_doc), "no docstring"),
    ("schema", case(bad.no_namespace), "call it 'pack.NoNamespace'"),
    ("schema", case(bad.nothing), "output=True"),
    ("schema", case(bad.wrong_default), "got 9; expected an integer from 1 to 4"),
    ("schema", case(bad.crossed_bounds, number=1), "exchange ge and le"),
    ("schema", case(bad.large_step), "more than all that lies between 0 and 4"),
    ("schema", case(bad.wrong_choice), "none of its choices"),
    ("schema", case(len), "mark the function with @node"),
    ("outputs", case(bad.wrong_type), "is a builtins.int, the annotation says str"),
    ("outputs", case(bad.wrong_count), "one, two"),
    ("outputs", case(bad.wrong_items), "has an item 1 that is a torch.Tensor, the annotation says Image"),
    ("outputs", case(bad.loose), "@dataclass(frozen=True)"),
    ("determinism", case(bad.random_pixels), ".pixels differs in 192 of 192 numbers"),
    ("determinism", case(bad.counts), "different results"),
    ("seeds", case(bad.ignores_seed), "is the seed used?"),
    ("changes", Case(bad.unused, changes={"times": 3}), "another `times` (3) gives the same result"),
    ("inputs", case(bad.in_place), "changed its input `image` in place"),
    ("surroundings", case(bad.global_seed), "random state (`random`)"),
    ("surroundings", case(bad.environment), "the environment"),
    ("surroundings", case(bad.leaves_thread), "'forgotten'"),
    ("cancel", Case(bad.deaf, deadline=0.1), "without looking whether to go on"),
    ("cancel", Case(bad.seldom, deadline=0.1), "without looking whether to go on"),
    ("cancel", Case(bad.lingers, deadline=0.1), "after it was told to"),
    ("cancel", case(bad.swallows), "do not catch Cancelled"),
    ("cancel", case(bad.wraps), "let Cancelled through"),
    ("cancel", case(bad.leaves_changed), "when it was cancelled it had changed its input `image`"),
    ("cancel", case(bad.leaves_part), "unfinished file .number.part"),
    ("hidden", case(bad.undeclared_setting), "settings=('device',)"),
    ("hidden", case(bad.looks_at_variable), "the variable NODEGRAPH_BAD of the environment"),
    ("changes", Case(bad.remembers, {"number": 3}, changes={"times": 2}), "keep results of its own by something else"),
    ("cache", case(bad.unnamed, word=bad.Word("long")), "its result is not kept, so that it runs each time"),
]


@pytest.mark.parametrize(("promise", "broken", "told"), BROKEN, ids=lambda part: str(part)[:30])
def test_a_broken_promise_is_found_and_told(
    promise: str, broken: Case, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODEGRAPH_BAD", "")
    with pytest.raises(ContractError) as caught:
        Check(promise, broken)()
    assert told in str(caught.value)
    assert str(broken) in str(caught.value)


def test_every_promise_has_a_node_that_breaks_it() -> None:
    # What the engine sees to by itself, a node cannot break from within one process.
    assert set(PROMISES) - {promise for promise, _, _ in BROKEN} <= {"workflow", "lists", "disk", "hidden"}


def test_a_file_that_no_input_names_is_found(tmp_path: Path) -> None:
    (tmp_path / "hidden.txt").write_text("abc", encoding="utf-8")
    broken = Case(bad.undeclared_file, files={"input": tmp_path})
    with pytest.raises(ContractError, match="reads a file of 'input' that no input names"):
        Check("hidden", broken)()


def test_a_file_that_is_read_by_its_path_is_found(tmp_path: Path) -> None:
    (tmp_path / "lut.txt").write_text("abc", encoding="utf-8")
    with pytest.raises(ContractError, match=r"it reads .*lut.txt, which no input names as a file"):
        Check("hidden", case(bad.reads_path, path=str(tmp_path / "lut.txt")))()


def test_a_file_that_is_written_beside_the_result_is_found(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="mark it output=True"):
        Check("surroundings", case(bad.writes_file, path=str(tmp_path / "made")))()


def test_all_that_is_broken_is_told_at_once() -> None:
    with pytest.raises(ContractError) as caught:
        check_node(bad.in_place)
    assert {"inputs", "workflow"} <= {line.partition(":")[0] for line in str(caught.value).splitlines()}


Amount = Annotated[float, Field(ge=0, le=1)]


@node("good.Fade", category="image")
def fade(context: Context, image: Image, amount: Amount = 0.5) -> Image:
    """Fade pictures towards white."""
    for _ in image.pixels:
        context.check_cancelled()
    return Image(image.pixels + (1 - image.pixels) * amount)


@node("good.Later", category="number")
async def later(number: int, lazy: Lazy[int]) -> int:
    """Add a number that is worked out when it is asked for."""
    return number + lazy.get()


@node("good.Twice", category="control")
def twice(image: Image, body: Body) -> Image | Expansion:
    """Send a picture through a subgraph two times."""
    first = Use(body, {"image": Given("image")})
    second = Use(body, {"image": Ref("first", "image")})
    return Expansion({"first": first, "second": second}, {"out": Ref("second", "image")})


@node("good.Clock", category="number", cache=False)
def clock() -> float:
    """Tell the time."""
    import time

    return time.time()


@node("good.Ask", category="control", cache=False)
def ask(context: Context, number: int) -> int:
    """Ask how often."""
    times: int = context.ask("How often?", [1, 2])
    return number * times


INVERT = {
    "inputs": {"image": ["invert.image"]},
    "outputs": {"image": "invert.out"},
    "nodes": {"invert": {"type": "ImageInvert"}},
}


@node("good.Stack", category="image")
def stack(images: list[Image]) -> Image:
    """Lay pictures over one another."""
    import torch

    return Image(torch.stack([one.pixels for one in images]).mean(0))


KEPT = [
    case(stack),
    Case(fade, {"image": image(2), "amount": 0.25}, changes={"amount": 0.5}),
    case(later),
    case(twice, body=INVERT),
    case(clock),
    Case(ask, answer=2),
    case("ImageInvert", image=image(channels=4)),
]


@pytest.mark.parametrize("check", contract(*KEPT), ids=str)
def test_nodes_that_keep_the_contract_pass(check: Check) -> None:
    check()


def test_what_does_not_concern_a_node_is_left_out() -> None:
    names = {check.name for check in contract(case(clock))}
    assert not names & {"determinism", "cache", "disk", "seeds", "lists"}
    assert {"schema", "outputs", "workflow"} <= names
    assert "cache" not in {check.name for check in contract(Case(fade, without=["cache"]))}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda: check_node(fade, imge=image()), "did you mean 'image'?"),
        (lambda: check_node(fade, amount=2.0), "expected a number from 0 to 1"),
        (lambda: check_node(twice), "no example of `body`"),
        (lambda: check_node("ImageInver"), "did you mean 'ImageInvert'?"),
        (lambda: check_node(fade, image=mask()), "the example fails"),
    ],
)
def test_an_example_that_does_not_fit_is_told(wrong: Callable[[], None], told: str) -> None:
    with pytest.raises(ContractError) as caught:
        wrong()
    assert told in str(caught.value)


def test_a_check_of_another_name_is_told() -> None:
    with pytest.raises(ValueError, match="did you mean 'cache'"):
        contract(Case(fade, without=["cash"]))
