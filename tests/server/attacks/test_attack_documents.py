"""Whatever is made of a workflow, it is checked, run or refused by its place; nothing ends in an error of our own."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodegraph import resources
from tests.server.attacks.wire import API, Answer, Wire

Json = Any
DOCUMENTS = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(resources.workflows().glob("*.json"))]
API_FORM: Json = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "shapes.safetensors"}},
    "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "x", "clip": ["1", 1]}},
    "3": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
    "4": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["1", 2]}, "_meta": {"title": "x"}},
    "5": {"class_type": "SaveImage", "inputs": {"images": ["4", 0], "filename_prefix": "x"}},
}
NESTED: Json = {
    "format": 1,
    "nodes": {"a": {"graph": "twice", "params": {"number": 1}}, "b": {"type": "faults.Add", "links": {"a": "a.out"}}},
    "subgraphs": {
        "twice": {
            "inputs": {"number": ["x.a"]},
            "outputs": {"out": "y.out"},
            "nodes": {"x": {"type": "faults.Add"}, "y": {"type": "faults.Add", "links": {"a": "x.out"}}},
        }
    },
    "inputs": {"number": "a.number"},
    "outputs": {"sum": "b.out"},
}
WORDS = ["__proto__", "constructor", "a", "b", "x", "sample", "model.model", "a.out", "b.out", "1", "-1", "nodes",
         "links", "params", "graph", "twice", "type", "faults.Add", "KSampler", "", " ", "\0", "../x", "\u202e",
         "x" * 300]  # fmt: skip
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(WORDS), st.text(max_size=5),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3),
    max_leaves=6,
)


def places(document: Json) -> Iterator[tuple[Json, Any]]:
    """Give every container of a document with each of its keys."""
    for key in list(document) if isinstance(document, dict) else range(len(document)):
        yield document, key
        if isinstance(document[key], (dict, list)):
            yield from places(document[key])


@st.composite
def mutated(draw: st.DrawFn) -> Json:
    """Draw a sound workflow with one to four changes: something removed, replaced, renamed, added or moved."""
    document = copy.deepcopy(draw(st.sampled_from([*DOCUMENTS, API_FORM, NESTED, NESTED])))
    for _ in range(draw(st.integers(1, 4))):
        found = list(places(document))
        if not found:
            break
        container, key = found[draw(st.integers(0, len(found) - 1))]
        how = draw(st.sampled_from(["remove", "replace", "rename", "add", "move", "wrap"]))
        if how == "remove":
            del container[key]
        elif how == "replace":
            container[key] = draw(values)
        elif how == "move":
            other, place = found[draw(st.integers(0, len(found) - 1))]
            container[key] = copy.deepcopy(other[place])
        elif how == "wrap":
            container[key] = [container[key]] if draw(st.booleans()) else {draw(st.sampled_from(WORDS)): container[key]}
        elif isinstance(container, dict):
            value = container.pop(key) if how == "rename" else draw(values)
            container[draw(st.sampled_from(WORDS))] = value
        else:
            container.append(draw(values))
    return document


def look(answer: Answer, fine: tuple[int, ...]) -> None:
    """See that a document is fine, or refused with problems that each tell their place or what the whole lacks."""
    assert answer.status in (*fine, 422), answer
    document = json.loads(answer.text, parse_constant=lambda name: pytest.fail(name))
    found = document["problems"] if answer.status == 200 else document.get("error", {}).get("problems", [])
    if answer.status == 422:
        assert found
    for problem in found:
        assert problem["message"]
        assert {"node", "field"} & set(problem) or problem["code"] in OF_THE_WHOLE, problem


OF_THE_WHOLE = {"not_a_workflow", "cycle", "unknown_key"}
"""The last: the key `""` of the document itself, which is its own place; the message names it."""


@pytest.fixture(autouse=True)
def paused(shared: Any) -> Iterator[None]:
    """Run nothing of what is queued here."""
    wire = Wire(shared.port, shared.token)
    assert wire.send("POST", f"{API}/queue/pause").status == 200
    yield
    assert wire.send("POST", f"{API}/queue/clear").status == 200


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=mutated())
def test_any_change_of_a_workflow_is_checked_or_refused_by_its_place(wire: Wire, document: Json) -> None:
    body = {"workflow": document}
    look(wire.post(f"{API}/jobs/check", body), (200,))
    look(wire.post(f"{API}/jobs", body), (201,))


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=values, inputs=values, targets=values)
def test_any_json_at_all_is_checked_or_refused_by_its_place(
    wire: Wire, document: Json, inputs: Json, targets: Json
) -> None:
    for body in (document, {"workflow": document}, {"workflow": NESTED, "inputs": inputs, "targets": targets}):
        look(wire.post(f"{API}/jobs/check", body), (200,))
        look(wire.post(f"{API}/jobs", body), (201,))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=mutated())
def test_any_change_of_a_workflow_is_kept_as_it_is_or_refused(wire: Wire, document: Json) -> None:
    data = json.dumps(document).encode()
    answer = wire.send("PUT", f"{API}/workflows/any", data, ["Content-Type: application/json", "If-None-Match: *"])
    assert answer.status in (201, 400, 412, 422), answer
    if answer.status == 201:
        assert wire.get(f"{API}/workflows/any").body == data
        headers = [f"If-Match: {answer.headers['etag']}"]
        assert wire.send("DELETE", f"{API}/workflows/any", headers=headers).status == 204
