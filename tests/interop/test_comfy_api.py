"""ComfyUI's API format: positions become names, faults are told with all others, and it goes round."""

from __future__ import annotations

import json
from typing import Annotated, Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from nodegraph.engine.check import check
from nodegraph.engine.errors import WorkflowError
from nodegraph.engine.node import Body, node, spec_of
from nodegraph.engine.registry import Registry
from nodegraph.engine.workflow import Workflow, load_workflow
from nodegraph.interop.comfy_api import is_api, read_api, write_api


class Model:
    """Values on wires."""


class Clip:
    """Another."""


class Picture:
    """A third."""


class Checkpoint(NamedTuple):
    model: Model
    clip: Clip


@node("Checkpoint", title="Load Checkpoint")
def checkpoint(ckpt_name: str) -> Checkpoint:
    return Checkpoint(Model(), Clip())


@node("Encode")
def encode(text: str, clip: Clip) -> str:
    return text


@node("Sample")
def sample(
    model: Model,
    positive: str,
    seed: Annotated[int, Field(ge=0, le=2**64 - 1)] = 0,
    steps: int = 20,
    cfg: float = 8.0,
    sizes: tuple[int, ...] = (),
    mask: Picture | None = None,
) -> Picture:
    return Picture()


@node("Save", output=True)
def save(images: Picture) -> None: ...


@node("Blur")
def blur(image: Picture, radius: int = 1) -> Picture:
    return image


@node("Plain", output=True, aliases=("OldPlain", "Plain Colour"))
def plain(red: int) -> None: ...


@node("VAELoader", output=True)
def vae(vae_name: str) -> None: ...


@node("Loop")
def loop(image: Picture, body: Body) -> Picture:
    return image


REGISTRY = Registry(spec_of(function) for function in (checkpoint, encode, sample, save, blur, plain, vae, loop))
GOOD: dict[str, Any] = {
    "4": {"class_type": "Checkpoint", "inputs": {"ckpt_name": "a.safetensors"}, "_meta": {"title": "My model"}},
    "85:12": {"class_type": "Encode", "inputs": {"text": "a circle", "clip": ["4", 1]}},
    "3": {
        "class_type": "Sample",
        "inputs": {
            "model": ["4", 0], "positive": ["85:12", 0], "seed": 2**64 - 1, "steps": 20.0, "cfg": 7,
            "sizes": {"__value__": [1, 2]}, "mask": None,
        },
    },
    "9": {"class_type": "Save", "inputs": {"images": ["3", 0]}},
}  # fmt: skip


def told(document: dict[str, Any]) -> list[str]:
    with pytest.raises(WorkflowError) as caught:
        check(read_api(document, REGISTRY), REGISTRY)
    return sorted(str(problem) for problem in caught.value.problems)


def changed(**entries: Any) -> dict[str, Any]:
    """Return the good file with entries replaced; `n3` stands for the id 3."""
    return {**GOOD, **{name.removeprefix("n"): entry for name, entry in entries.items()}}


def test_positions_become_names() -> None:
    workflow = read_api(GOOD, REGISTRY)
    assert workflow.problems == ()
    assert workflow.dump() == {
        "format": 1,
        "nodes": {
            "4": {"type": "Checkpoint", "params": {"ckpt_name": "a.safetensors"}},
            "85:12": {"type": "Encode", "params": {"text": "a circle"}, "links": {"clip": "4.clip"}},
            "3": {
                "type": "Sample",
                "params": {"seed": 2**64 - 1, "steps": 20, "cfg": 7, "sizes": [1, 2]},
                "links": {"model": "4.model", "positive": "85:12.out"},
            },
            "9": {"type": "Save", "links": {"images": "3.out"}},
        },
        "view": {"4": {"title": "My model"}},
    }
    graph = check(workflow, REGISTRY)
    assert graph.targets == ("9",)
    assert graph.nodes["3"].params["seed"] == 2**64 - 1
    assert type(graph.nodes["3"].params["cfg"]) is float


def test_the_loader_takes_it_by_a_reader() -> None:
    def reader(document: Any) -> Workflow | None:
        return read_api(document, REGISTRY) if is_api(document) else None

    assert load_workflow(json.dumps(GOOD), reader=reader).dump() == read_api(GOOD, REGISTRY).dump()
    request = json.dumps({"prompt": GOOD, "client_id": "abc"})
    assert load_workflow(request, reader=reader).dump() == read_api(GOOD, REGISTRY).dump()


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (GOOD, True),
        ({"prompt": GOOD, "client_id": "x"}, True),
        ({"1": {"class_type": "A"}, "2": 3}, True),
        ({"format": 1, "nodes": {"class_type": {"type": "A"}}}, False),
        ({"nodes": [], "links": [], "last_node_id": 3}, False),
        ({}, False),
        ([GOOD], False),
        (None, False),
    ],
)
def test_the_format_is_known_by_its_nodes(document: Any, expected: bool) -> None:
    assert is_api(document) is expected


def test_another_format_is_refused() -> None:
    with pytest.raises(WorkflowError, match="no node has a 'class_type'"):
        read_api({"nodes": []}, REGISTRY)


def test_every_fault_is_told_at_once_and_by_its_place() -> None:
    links = {"model": ["4", 5], "positive": ["86:12", 0]}
    document = changed(
        n3={"class_type": "Sample", "inputs": {**links, "steps": "20", "cgf": 7, "cfg": 20.5, "upload": "image"}},
        n5={"class_type": "Encod", "inputs": {"clip": ["4", 1]}},
        n6={"class_type": "Encode", "inputs": {"text": ["5", 3], "clip": ["4", 0]}},
        n7={"inputs": {}},
        n8=[],
        n10={"class_type": "Save", "inputs": []},
        n11={"class_type": "Save", "inputs": {"images": ["9", 0]}},
        n12={"class_type": 3},
        n13={"class_type": "Save", "inputs": {"images": ["7", 0]}},
    )  # fmt: skip
    assert told(document) == [
        "10.inputs: 'inputs' is an object of values by name; got []",
        "11.inputs.images: got output 0 of node '9' (Save); it has no outputs",
        "12: a node is an object with the text 'class_type'; got the 'class_type' 3",
        "3.inputs.model: got output 5 of node '4' (Checkpoint); its outputs are 0 model, 1 clip",
        "3.inputs.positive: got a link to node '86:12', which the file lacks (did you mean '85:12'?)",
        "3.params.cgf: Sample has no input 'cgf'; its inputs are 'model', 'positive', 'seed', 'steps', 'cfg', 'sizes', "
        "'mask' (did you mean 'cfg'?)",
        '3.params.steps: got the text "20"; expected an integer (did you mean 20?)',
        "5.type: unknown node type 'Encod' (did you mean 'Encode'?)",
        "6.links.clip: got 4.model of type Model; expected Clip (did you mean '4.clip'?)",
        "7: a node is an object with the text 'class_type'; got the 'class_type' null",
        "8: a node is an object with the text 'class_type'; got []",
    ]


def test_a_position_below_zero_counts_nothing_from_the_end() -> None:
    document = changed(n9={"class_type": "Blur", "inputs": {"image": ["4", -1]}})
    assert told(document) == ["9.inputs.image: got output -1 of node '4' (Checkpoint); its outputs are 0 model, 1 clip"]


def test_ids_of_any_characters_get_ids_of_ours() -> None:
    document = {
        "PreviewImage.0": {"class_type": "Checkpoint", "inputs": {"ckpt_name": "a"}},
        "PreviewImage_0": {"class_type": "Encode", "inputs": {"text": "x", "clip": ["PreviewImage.0", 1]}},
        "": {"class_type": "Encode", "inputs": {"text": "y", "clip": ["PreviewImage.0", 1]}},
    }
    workflow = read_api(document, REGISTRY)
    assert list(workflow.nodes) == ["PreviewImage_0_2", "PreviewImage_0", "node"]
    assert workflow.nodes["PreviewImage_0"].links == {"clip": "PreviewImage_0_2.clip"}
    assert len(check(workflow, REGISTRY).nodes) == 3


def test_a_link_by_number_is_read_unless_the_input_takes_a_list() -> None:
    document = changed(n9={"class_type": "Sample", "inputs": {"model": [4, 0], "positive": "x", "sizes": [4, 0]}})
    entry = read_api(document, REGISTRY).nodes["9"]
    assert (entry.links, entry.params["sizes"]) == ({"model": "4.model"}, [4, 0])


def test_writing_gives_what_was_read_with_defaults() -> None:
    written = write_api(read_api(GOOD, REGISTRY), REGISTRY)
    assert written["3"] == {
        "class_type": "Sample",
        "inputs": {
            "model": ["4", 0], "positive": ["85:12", 0], "seed": 2**64 - 1, "steps": 20, "cfg": 7.0,
            "sizes": {"__value__": [1, 2]},
        },
        "_meta": {"title": "Sample"},
    }  # fmt: skip
    assert written["4"]["_meta"] == {"title": "My model"}
    assert read_api(written, REGISTRY).nodes.keys() == GOOD.keys()
    assert write_api(read_api(written, REGISTRY), REGISTRY) == written


def test_an_id_with_a_blank_is_read_as_ours_and_written_as_theirs() -> None:
    document = {"1": {"class_type": "Plain Colour", "inputs": {"red": 3}}}
    read = read_api(document, REGISTRY)
    assert check(read, REGISTRY).nodes["1"].spec.id == "Plain"
    assert write_api(read, REGISTRY)["1"]["class_type"] == "Plain Colour"


@pytest.mark.parametrize(("theirs", "ours"), [("taesd", "taesd_decoder.safetensors"), ("a.safetensors",) * 2])
def test_tiny_autoencoders_are_named_by_their_file(theirs: str, ours: str) -> None:
    read = read_api({"1": {"class_type": "VAELoader", "inputs": {"vae_name": theirs}}}, REGISTRY)
    assert read.nodes["1"].params == {"vae_name": ours}
    assert write_api(read, REGISTRY)["1"]["inputs"] == {"vae_name": theirs}


def test_subgraphs_are_written_dissolved() -> None:
    document = {
        "format": 1,
        "nodes": {
            "c": {"type": "Checkpoint", "params": {"ckpt_name": "a"}},
            "s": {"type": "Sample", "params": {"positive": "x"}, "links": {"model": "c.model"}},
            "g": {"graph": "soft", "params": {"radius": 4}, "links": {"image": "s.out"}},
            "g:b": {"type": "Save", "links": {"images": "g.image"}},
        },
        "subgraphs": {
            "soft": {
                "nodes": {"b": {"type": "Blur"}},
                "inputs": {"image": "b.image", "radius": "b.radius"},
                "outputs": {"image": "b.out"},
            }
        },
    }
    written = write_api(load_workflow(document), REGISTRY)
    assert list(written) == ["c", "s", "g:b_2", "g:b"]
    assert written["g:b_2"]["inputs"] == {"image": ["s", 0], "radius": 4}
    assert written["g:b"]["inputs"] == {"images": ["g:b_2", 0]}


def test_what_cannot_be_written_is_told() -> None:
    nodes = {
        "c": {"type": "Checkpoint", "params": {"ckpt_name": "a"}},
        "s": {"type": "Sample", "params": {"positive": "x"}, "links": {"model": "c.model"}},
        "l": {"type": "Loop", "params": {"body": "g"}, "links": {"image": "s.out"}},
    }
    body = {"nodes": {"b": {"type": "Blur"}}, "inputs": {"image": "b.image"}}
    with pytest.raises(WorkflowError, match=r"l\.params\.body: ComfyUI's API format has no form"):
        write_api(load_workflow({"format": 1, "nodes": nodes, "subgraphs": {"g": body}}), REGISTRY)
    with pytest.raises(WorkflowError, match="unknown node type"):
        write_api(load_workflow({"format": 1, "nodes": {"a": {"type": "No"}}}), REGISTRY)


IDS = st.sampled_from(["1", "2", "3.4", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=3) | IDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("__value__") | IDS, inner, max_size=2),
    max_leaves=6,
)
LINKS = st.tuples(IDS | st.integers(0, 3), st.integers(-2, 3)).map(list)
INPUTS = st.dictionaries(st.sampled_from(["model", "clip", "text", "steps", "images", "x"]), VALUES | LINKS, max_size=4)
ENTRIES = VALUES | st.fixed_dictionaries(
    {"class_type": st.sampled_from(["Checkpoint", "Encode", "Sample", "Save", "Nope"]) | VALUES},
    optional={"inputs": INPUTS | VALUES, "_meta": VALUES | st.just({"title": "t"})},
)


@given(st.dictionaries(IDS, ENTRIES, max_size=4))
@settings(max_examples=300, deadline=None)
def test_any_file_is_a_graph_or_a_workflow_error(document: dict[str, Any]) -> None:
    try:
        workflow = load_workflow(document, reader=lambda found: read_api(found, REGISTRY))
        text = json.dumps(write_api(workflow, REGISTRY))
    except WorkflowError as error:
        text = str(error)
    assert text
