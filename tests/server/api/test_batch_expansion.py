"""What a batch varies, expanded to items."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.server.batches import from_file, listed, product, zipped
from nodegraph.server.errors import ApiError

names = st.text("abcdef_", min_size=1, max_size=5)
values = st.one_of(st.integers(-(2**63), 2**64 - 1), st.text(max_size=5), st.booleans(), st.none())


@given(st.dictionaries(names, st.lists(values, min_size=1, max_size=4), min_size=1, max_size=3))
def test_a_product_holds_each_combination_once_in_order(lists: dict[str, list[Any]]) -> None:
    found = product(lists, 64)
    assert [tuple(item[name] for name in lists) for item in found] == list(itertools.product(*lists.values()))


@given(st.integers(1, 5), st.lists(names, min_size=1, max_size=3, unique=True))
def test_a_zip_takes_what_stands_at_the_same_place(length: int, chosen: list[str]) -> None:
    lists = {name: [f"{name}{place}" for place in range(length)] for name in chosen}
    assert zipped(lists, 5) == [{name: f"{name}{place}" for name in chosen} for place in range(length)]


def test_a_list_is_taken_as_it_is_and_copied() -> None:
    given_items: list[dict[str, Any]] = [{"seed": 2**64 - 1}, {"prompt": "é", "nothing": None}]
    found = listed(given_items, 2)
    assert found == given_items
    assert found[0] is not given_items[0]


@pytest.mark.parametrize(
    ("name", "text", "input", "items"),
    [
        ("p.txt", "a red circle\n\n  5 \r\nlast", "prompt", ["a red circle", "5", "last"]),
        ("P.TXT", "\ufeffone\n", "prompt", ["one"]),
        ("s.json", "[1, 2.5, null]", "seed", [1, 2.5, None]),
        ("s.jsonl", '1\n\n{"a": 1}\n', "seed", [1, {"a": 1}]),
    ],
)
def test_a_file_of_values_fills_one_input(name: str, text: str, input: str, items: list[Any]) -> None:
    assert from_file(name, text.encode(), input, 10) == [{input: item} for item in items]


@pytest.mark.parametrize("name", ["items.json", "items.jsonl"])
def test_a_file_of_objects_names_the_inputs_itself(name: str) -> None:
    items = [{"prompt": "x", "seed": 18446744073709551615}, {"prompt": "y"}]
    text = json.dumps(items) if name.endswith(".json") else "\n".join(map(json.dumps, items))
    assert from_file(name, text.encode(), None, 10) == items


def test_cells_of_text_inputs_stay_text_and_others_are_json() -> None:
    text = 'prompt, seed,cfg,sampler\n"5, ""quoted""\nand more",7,2.5,euler\n5,,1e2,true\n'
    assert from_file("p.csv", text.encode(), None, 10, text=["prompt"]) == [
        {"prompt": '5, "quoted"\nand more', "seed": 7, "cfg": 2.5, "sampler": "euler"},
        {"prompt": "5", "cfg": 100.0, "sampler": True},
    ]


def test_the_cells_of_spreadsheet_exports_lose_their_mark_of_order() -> None:
    assert from_file("p.csv", b"\xef\xbb\xbfseed\r\n1\r\n", None, 10) == [{"seed": 1}]


Call = Callable[[], object]


@pytest.mark.parametrize(
    ("call", "code", "words"),
    [
        (lambda: product({}, 9), "empty", "no input is named"),
        (lambda: product({"a": [1], "b": []}, 9), "empty", '"b" is empty'),
        (lambda: product({"a": [1] * 5, "b": [1] * 2}, 9), "too_many", "10 items; a batch has at most 9"),
        (lambda: product({str(n): [0] * 1000 for n in range(50)}, 9), "too_many", "more than 10^15"),
        (lambda: product({str(n): [0] * 2 for n in range(500_000)}, 9), "too_many", "more than 10^15"),
        (lambda: zipped({"a": [1, 2], "b": [1]}, 9), "unequal_lengths", "'a' has 2, 'b' has 1"),
        (lambda: listed([], 9), "empty", "no item"),
        (lambda: listed([{}] * 10, 9), "too_many", "10 items"),
        (lambda: from_file("a.xlsx", b"", None, 9), "unknown_format", ".jsonl"),
        (lambda: from_file("a.txt", b"\n \n", "p", 9), "empty", "no item"),
        (lambda: from_file("a.txt", b"ok\n\xff", "p", 9), "not_utf8", "line 2"),
        (lambda: from_file("a.txt", b"a\nb", None, 9), "no_input", "item 1"),
        (lambda: from_file("a.txt", b"a\n" * 10, "p", 9), "too_many", "at most 9"),
        (lambda: from_file("a.json", b"{}", None, 9), "no_list", "no JSON list"),
        (lambda: from_file("a.json", b"[NaN]", "p", 9), "invalid_json", "NaN"),
        (lambda: from_file("a.jsonl", b"1\n{", "p", 9), "invalid_json", "line 2"),
        (lambda: from_file("a.jsonl", b'{"a": 1, "a": 2}', None, 9), "invalid_json", "twice"),
        (lambda: from_file("a.csv", b"", None, 9), "empty", "no item"),
        (lambda: from_file("a.csv", b"a,a\n1,2", None, 9), "bad_head", "each once"),
        (lambda: from_file("a.csv", b"a,\n1,2", None, 9), "bad_head", "first row"),
        (lambda: from_file("a.csv", b"a,b\n1", None, 9), "bad_row", "line 2"),
        (lambda: from_file("a.csv", b'a\n"1', None, 9), "bad_csv", "no CSV"),
        (lambda: from_file("a.csv", b"a\n" + b"1\n" * 10, None, 9), "too_many", "items"),
    ],
)
def test_what_cannot_be_expanded_is_refused_with_its_reason(call: Call, code: str, words: str) -> None:
    with pytest.raises(ApiError) as caught:
        call()
    (problem,) = caught.value.problems
    assert (caught.value.status, problem["code"]) == (422, code)
    assert words in problem["message"]
    assert problem["field"].startswith("over.")


@given(st.binary(max_size=200), st.sampled_from(["a.txt", "a.csv", "a.json", "a.jsonl"]))
def test_any_bytes_are_items_or_are_refused(data: bytes, name: str) -> None:
    with suppress(ApiError):
        assert 0 < len(from_file(name, data, "x", 50)) <= 50
