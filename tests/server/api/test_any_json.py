"""Whatever JSON is sent, it is checked or refused in words; nothing ends in an error of the server's own."""

from __future__ import annotations

import http.client
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

Json = Any
TYPES = ["faults.Add", "faults.Text", "faults.Sleep", "faults.Save", "Gate", "KSampler", "nowhere", "__class__", ""]
NAMES = ["a", "b", "sum", "a.b", "x/y", "__proto__", "constructor", "", "é", "a\u202eb"]
LINKS = ["a.out", "b.out", "sum.out", "a.nowhere", "nowhere.out", "a", "a.b.c", "", "-1"]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
entry = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES)},
    optional={
        "params": st.dictionaries(
            st.sampled_from(["a", "b", "text", "seconds", "value", "images"]), anything, max_size=3
        ),
        "links": st.dictionaries(st.sampled_from(["a", "b", "value"]), st.sampled_from(LINKS), max_size=2),
        "other": anything,
    },
)
workflow = st.fixed_dictionaries(
    {
        "format": st.sampled_from([1, 1, 1, 2, "1", None]),
        "nodes": st.dictionaries(st.sampled_from(NAMES), entry, max_size=4),
    },
    optional={
        "inputs": st.dictionaries(
            st.sampled_from(NAMES), st.sampled_from(["a.a", "b.b", "x", "sum.nowhere"]), max_size=2
        ),
        "outputs": st.dictionaries(st.sampled_from(NAMES), st.sampled_from(LINKS), max_size=2),
        "view": anything,
        "subgraphs": anything,
    },
)
body = st.fixed_dictionaries(
    {"workflow": workflow | st.dictionaries(st.text(max_size=4), anything, max_size=3)},
    optional={"inputs": st.dictionaries(st.sampled_from(NAMES), anything, max_size=2), "targets": st.just(["a"])},
)


def ask(shared: Any, path: str, data: bytes) -> tuple[int, Json]:
    connection = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=30)
    try:
        connection.request("POST", f"/api/v1{path}", data, {"Content-Type": "application/json", **shared.headers})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


@settings(max_examples=300, deadline=None)
@given(body)
def test_any_workflow_is_checked_or_refused(shared: Any, body: Json) -> None:
    status, answer = ask(shared, "/jobs/check", json.dumps(body).encode())
    if status == 200:
        assert answer["ok"] == (not answer["problems"])
        assert all(problem["code"] and problem["message"] for problem in answer["problems"])
    else:
        assert status in (400, 422)
        assert answer["error"]["problems"]


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(["workflow", "over", "inputs", "name", "key", "priority"]), anything))
def test_any_batch_is_refused_with_its_field(shared: Any, body: Json) -> None:
    status, answer = ask(shared, "/batches", json.dumps(body).encode())
    assert status == 422
    assert all("field" in problem for problem in answer["error"]["problems"])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_refused_with_their_place(shared: Any, data: bytes) -> None:
    status, answer = ask(shared, "/jobs", data)
    assert status in (400, 422)
    assert answer["error"]["message"]
