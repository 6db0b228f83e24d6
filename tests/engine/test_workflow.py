"""Workflow files: read strictly, told with the place of each fault, written whole."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.engine.errors import WorkflowError
from nodegraph.engine.jsontext import Limits, parse_json
from nodegraph.engine.workflow import Workflow, load_workflow, save_workflow

MODEL = {"type": "Load", "params": {"name": "a"}}
FILE: dict[str, Any] = {
    "format": 1,
    "nodes": {"model": MODEL, "up": {"graph": "upscale", "links": {"image": "model.out"}}},
    "inputs": {"name": "model.name", "both": ["model.name", "up.scale"]},
    "outputs": {"image": "up.image"},
    "subgraphs": {"upscale": {"nodes": {"a": {"type": "Resize"}}, "inputs": {"image": "a.image", "scale": "a.scale"}}},
    "view": {"model": {"x": 320, "y": 80}, "anything": [1, None]},
    "meta": {"author": "someone"},
}


def refused(source: Any, **limits: int) -> str:
    """Return the text of the error that loading a source raises."""
    with pytest.raises(WorkflowError) as caught:
        load_workflow(source, Limits(**limits))
    return str(caught.value)


def problems(document: dict[str, Any]) -> list[str]:
    return [str(problem) for problem in load_workflow(document).problems]


def test_a_file_goes_round_unchanged(tmp_path: Path) -> None:
    workflow = load_workflow(FILE)
    assert workflow.problems == ()
    assert workflow.dump() == FILE
    save_workflow(workflow, tmp_path / "flow.json")
    assert load_workflow(tmp_path / "flow.json").dump() == FILE
    assert load_workflow(str(tmp_path / "flow.json")).dump() == FILE
    assert [path.name for path in tmp_path.iterdir()] == ["flow.json"]


def test_text_bytes_and_a_byte_order_mark_are_read() -> None:
    text = json.dumps(FILE)
    assert load_workflow(text).dump() == FILE
    assert load_workflow(text.encode()).dump() == FILE
    assert load_workflow(("\ufeff" + text).encode()).dump() == FILE
    assert load_workflow(load_workflow(text)).dump() == FILE


def test_integers_are_exact() -> None:
    document = {"format": 1, "nodes": {"a": {"type": "A", "params": {"seed": 2**64 - 1}}}}
    workflow = load_workflow(json.dumps(document))
    assert workflow.nodes["a"].params["seed"] == 18446744073709551615
    assert json.loads(json.dumps(workflow.dump())) == document


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "flow.json"
    save_workflow(load_workflow(FILE), path)
    before = path.read_text()
    broken = load_workflow(FILE).model_copy(update={"view": {"x": math.nan}})
    with pytest.raises(ValueError, match="not JSON compliant"):
        save_workflow(broken, path)
    assert path.read_text() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["flow.json"]


def test_what_was_left_out_is_not_lost_by_saving(tmp_path: Path) -> None:
    workflow = load_workflow({"format": 1, "nodes": {"a": {"typ": "A"}}})
    with pytest.raises(WorkflowError, match="unknown key 'typ'"):
        save_workflow(workflow, tmp_path / "flow.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON: Expecting property name enclosed in double quotes at line 1, column 2"),
        ('{"format": 1,\n "nodes": {"a": }}', "at line 2, column 17"),
        (b"", "the file is empty"),
        (b"\x89PNG\r\n", "not UTF-8 text: byte 0x89 at line 1"),
        ('{"format": 1, "nodes": {},\n "nodes": {}}', 'the key "nodes" stands twice in one object at line 2, column 2'),
        ('{"a": "NaN: [", "b":\n NaN}', "NaN is not a JSON number at line 2, column 2"),
        ('{"a": -Infinity}', "-Infinity is not a JSON number at line 1, column 7"),
        ('{"format": 1, "nodes": {}, "view": {"x": 1e999}}', "view.x: inf is not a finite number"),
        (
            '{"format": 1, "nodes": {}, "view": {"x": 18446744073709551616}}',
            "18446744073709551616 needs more than 64 bits",
        ),
        ('{"x": ' + "9" * 5000 + "}", "an integer of too many digits at line 1, column 7"),
        ('{"x": "\\ud800"}', "holds half a character"),
        ('{"\\udc00": 1}', "is not text"),
        ("[" * 200 + "]" * 200, "nested more than 100 deep"),
        ("[" * 100_000 + "]" * 100_000, "nested more than 100 deep at line 1, column 101"),
        ("[1]", "a workflow is a JSON object; got [1]"),
        ("{}", 'a workflow has "format": 1 and "nodes"'),
        ('{"nodes": [], "links": []}', "export it in the API format"),
        ('{"format": 2, "nodes": {}}', "format: the workflow has format 2, of a newer nodegraph"),
        ('{"format": true, "nodes": {}}', "reads workflows of format 1; got true"),
        ('{"format": "1", "nodes": {}}', 'got the text "1"'),
    ],
)
def test_what_is_no_workflow_is_refused_with_its_place(text: str | bytes, words: str) -> None:
    assert words in refused(text if isinstance(text, bytes) else text.encode())


def test_limits_can_be_set() -> None:
    assert "the file has 40 bytes; at most 39 are read" in refused(b" " * 40, bytes=39)
    assert "nested more than 2 deep" in refused(b'{"format": 1, "nodes": {"a": {"type": "A"}}}', depth=2)
    long = b'{"format": 1, "nodes": {}, "meta": {"text": "' + b"x" * 10_000 + b'"}}'
    assert load_workflow(long).meta["text"] == "x" * 10_000


def test_a_file_too_large_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    path.write_bytes(b" " * 1000)
    assert "at most 10 are read" in refused(path, bytes=10)


def test_a_missing_file_is_the_callers_affair(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_workflow(tmp_path / "none.json")


def test_python_values_that_are_no_json_are_refused() -> None:
    loop: dict[str, Any] = {"format": 1, "nodes": {}}
    loop["view"] = loop
    assert "nested more than 100 deep" in refused(loop)
    assert "view.x: nan is not a finite number" in refused({"format": 1, "nodes": {}, "view": {"x": math.nan}})
    assert "a Path is not a JSON value" in refused({"format": 1, "nodes": {}, "view": {"x": Path("a")}}).replace(
        "PosixPath", "Path"
    )
    assert "the key 3 is not text" in refused({"format": 1, "nodes": {3: {}}})


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"vew": {}}, "vew: unknown key 'vew'; what may stand here is format, nodes, inputs, outputs, subgraphs, view"),
        ({"nodes": {"a": {"typ": "A"}}}, "a.typ: unknown key 'typ'; what may stand here is type, graph, params, links"),
        (
            {"nodes": {"a": {}}},
            "a: a node is an object with either a 'type' or, as an instance of a subgraph, a 'graph'",
        ),
        ({"nodes": {"a": {"type": "A", "graph": "g"}}}, "got one with 'type', 'graph'"),
        (
            {"nodes": {"a": 3}},
            "a: a node is an object with either a 'type' or, as an instance of a subgraph, a 'graph'",
        ),
        ({"nodes": {"a": {"type": 3}}}, "a: 'type' is text; got 3"),
        ({"nodes": {"a.b": {"type": "A"}}}, "a.b: 'a.b' is not a node id: letters, digits, '_', '-' and ':' make one"),
        (
            {"nodes": {"a": {"type": "A", "params": []}}},
            "a.params: 'params' is an object of values by input name; got []",
        ),
        (
            {"nodes": {"a": {"type": "A", "links": {"x": ["4", 0]}}}},
            "a.links.x: a link is 'node.output'; got [\"4\", 0]",
        ),
        ({"nodes": []}, "nodes: 'nodes' is an object of nodes by id; got []"),
        ({"inputs": {"a b": "x.y"}}, "inputs.a b: 'a b' is not a name: letters, digits, '_', '-', not a digit first"),
        ({"inputs": {"a": 3}}, "inputs.a: what stands here is 'node.input' or a list of these; got 3"),
        ({"outputs": {"a": ["x.y"]}}, "outputs.a: what stands here is 'node.output'; got [\"x.y\"]"),
        ({"view": 3}, "view: 'view' is an object; got 3"),
        ({"subgraphs": {"g": {}}}, "subgraphs.g.nodes: there are no 'nodes': an object of nodes by id"),
        ({"subgraphs": {"g": 1}}, "subgraphs.g: a subgraph is an object with 'nodes'; got 1"),
        ({"subgraphs": {"g": {"nodes": {"a": {"tpe": "A"}}}}}, "subgraphs.g.nodes.a.tpe: unknown key 'tpe'"),
        ({"subgraphs": {"g": {"nodes": {}, "format": 1}}}, "subgraphs.g.format: unknown key 'format'"),
    ],
)
def test_a_wrong_entry_is_told_once_and_the_rest_is_kept(part: dict[str, Any], expected: str) -> None:
    document = {"format": 1, "nodes": {"good": MODEL}, **part}
    found = problems(document)
    assert len(found) == 1
    assert found[0].startswith(expected) or expected in found[0]
    if "nodes" not in part:
        assert "good" in load_workflow(document).nodes


def test_everything_wrong_is_told_at_once() -> None:
    nodes = {"good": MODEL, **{f"bad{number}": {"typ": "A", "lnks": 3} for number in range(5)}}
    found = problems({"format": 1, "nodes": nodes, "inptus": {}, "outputs": 3})
    assert len(found) == 12
    assert sum("did you mean 'type'?" in problem for problem in found) == 5
    assert sum("did you mean 'links'?" in problem for problem in found) == 5


def test_a_missing_nodes_is_told() -> None:
    assert problems({"format": 1}) == ["nodes: there are no 'nodes': an object of nodes by id"]


def test_loading_does_not_change_the_document() -> None:
    document = {"format": 1, "nodes": {"a": {"typ": "A"}}}
    before = json.dumps(document)
    load_workflow(document)
    assert json.dumps(document) == before


def test_another_format_comes_by_a_reader() -> None:
    def reader(document: Any) -> Workflow | None:
        return Workflow(format=1, nodes={}, meta={"read": True}) if "other" in document else None

    assert load_workflow({"other": 1}, reader=reader).meta == {"read": True}
    assert load_workflow(FILE, reader=reader).dump() == FILE


def test_the_file_has_a_json_schema() -> None:
    schema = Workflow.model_json_schema()
    assert schema["properties"]["format"]["const"] == 1
    assert schema["additionalProperties"] is False


KEYS = st.sampled_from(
    [
        "format",
        "nodes",
        "inputs",
        "outputs",
        "subgraphs",
        "view",
        "type",
        "graph",
        "params",
        "links",
        "a",
        "g",
        "a.b",
        "",
    ]
)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.sampled_from(["a.out", "g"])
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=5)
)


def loads_or_tells(source: Any) -> None:
    try:
        workflow = load_workflow(source)
    except WorkflowError as error:
        told = str(error)
    else:
        told = json.dumps(workflow.dump(), allow_nan=False)
    assert told


@given(JSON)
@settings(max_examples=300, deadline=None)
def test_any_json_is_a_workflow_or_a_workflow_error(value: Any) -> None:
    loads_or_tells(json.dumps(value).encode())
    if isinstance(value, dict):
        loads_or_tells({**value, "format": 1})


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode(errors="surrogatepass")))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_workflow_or_a_workflow_error(data: bytes) -> None:
    loads_or_tells(data)


@given(JSON)
@settings(max_examples=100, deadline=None)
def test_parsing_keeps_what_json_keeps(value: Any) -> None:
    text = json.dumps(value)
    try:
        parsed = parse_json(text)
    except WorkflowError:
        return
    assert parsed == json.loads(text)
