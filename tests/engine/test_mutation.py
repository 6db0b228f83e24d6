"""The checking mode that finds nodes which change their inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from nodegraph import Lazy, node
from nodegraph.engine.executor import Executor
from nodegraph.engine.graph import Graph
from nodegraph.engine.mutation import fingerprint

Build = Callable[..., Graph]


@dataclass(frozen=True)
class Box:
    content: Any


def linear() -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return torch.nn.Linear(2, 2)


def change_tensor(value: Any) -> None:
    value[0] += 1


def change_weight(value: Any) -> None:
    with torch.no_grad():
        value.weight.add_(1)


CHANGES: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "tensor": (lambda: torch.zeros(3), change_tensor),
    "bfloat16": (lambda: torch.zeros(3, dtype=torch.bfloat16), change_tensor),
    "view": (lambda: torch.zeros(3, 3)[1:], change_tensor),
    "array": (lambda: np.zeros(3), change_tensor),
    "list": (lambda: [1, [2, 3]], lambda value: value[1].append(4)),
    "order": (lambda: [1, 2], lambda value: value.reverse()),
    "dict": (lambda: {"a": {"b": 1}}, lambda value: value["a"].update(b=2)),
    "set": (lambda: {1, 2}, lambda value: value.add(3)),
    "tensor in a box": (lambda: Box([torch.zeros(3)]), lambda value: change_tensor(value.content[0])),
    "network": (linear, change_weight),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_change_in_place_is_seen_and_equal_values_look_equal(case: str) -> None:
    make, change = CHANGES[case]
    value = make()
    before = fingerprint(value)
    assert fingerprint(value) == before
    assert fingerprint(make()) == before
    change(value)
    assert fingerprint(value) != before


def test_tensors_made_in_inference_mode_are_seen_too() -> None:
    with torch.inference_mode():
        value = torch.zeros(3)
        before = fingerprint(value)
        value += 1
        assert fingerprint(value) != before


def test_a_node_that_changes_an_input_fails_by_name_and_what_it_changed_is_forgotten(build: Build) -> None:
    changing = [True]

    @node("Make")
    def make() -> torch.Tensor:
        return torch.zeros(3)

    @node("Spoil")
    def spoil(image: torch.Tensor, other: Lazy[int] | None = None) -> int:
        if changing[0]:
            image.add_(1)
        return int(image.sum())

    nodes = {"m": {"type": "Make"}, "s": {"type": "Spoil", "links": {"image": "m.out"}}}
    graph = build(nodes, make, spoil)
    executor = Executor(check_mutation=True)
    error = executor.run(graph).failures["s"]
    assert "it changed its input `image` in place" in str(error)
    changing[0] = False
    assert executor.run(graph).nodes == {"s": {"out": 0}}
    changing[0] = True
    assert Executor().run(graph).nodes == {"s": {"out": 3}}  # without the mode nobody looks


def test_async_nodes_are_watched_too(build: Build) -> None:
    @node("Spoil")
    async def spoil(items: list[int]) -> int:
        items.append(1)
        return len(items)

    nodes = {"n": {"type": "Numbers"}, "s": {"type": "Spoil", "links": {"items": "n.out"}}}
    result = Executor(check_mutation=True).run(build(nodes, spoil))
    assert "`items`" in str(result.failures["s"])
