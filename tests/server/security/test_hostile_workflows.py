"""Workflows from somebody who means harm: each is refused by node and field, at once, and the server goes on."""

from __future__ import annotations

import copy
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodegraph import resources

PICTURE = json.loads((resources.workflows() / "text_to_image.json").read_text(encoding="utf-8"))
HUGE = 10**9


def picture(node: str, field: str, value: Any, *, part: str = "params") -> dict[str, Any]:
    """Return the bundled workflow with one value changed."""
    workflow: dict[str, Any] = copy.deepcopy(PICTURE)
    workflow["nodes"][node].setdefault(part, {})[field] = value
    return workflow


def nodes(**found: Any) -> dict[str, Any]:
    return {"format": 1, "nodes": found}


def chain(length: int, *, closed: bool = False) -> dict[str, Any]:
    """Return nodes that pass a number along, the first of them reading the last where it is closed."""
    found = {f"n{index}": {"type": "faults.Add", "links": {"a": f"n{index - 1}.out"}} for index in range(length)}
    found["n0"] = {"type": "faults.Add", **({"links": {"a": f"n{length - 1}.out"}} if closed else {"params": {"a": 1}})}
    return nodes(**found)


LOAD = {"type": "LoadImage", "params": {"image": "x.png"}}
WRONG: list[tuple[str, dict[str, Any], str]] = [
    *(
        (f"a picture from {name!r}", nodes(load={**LOAD, "params": {"image": name}}), "load")
        for name in (
            "../../secret.png",
            "../../secret.png [output]",
            "/etc/passwd",
            "..\\..\\x.png",
            "C:x.png",
            "\\\\host\\share\\x.png",
            "a\0b.png",
            "http://169.254.169.254/x.png",
            "file:///etc/passwd",
            "",
        )
    ),
    *(
        (f"a model called {name!r}", picture("model", "ckpt_name", name), "model")
        for name in ("../../x.safetensors", "/x.ckpt", "shapes.ckpt", "SHAPES.safetensors ", 5, None)
    ),
    *(
        (f"a width of {value!r}", picture("canvas", "width", value), "canvas")
        for value in (HUGE, 0, -8, 7, 512.5, "512", True, None, 10**400)
    ),
    ("a batch of a thousand million", picture("canvas", "batch_size", HUGE), "canvas"),
    *((f"{value} steps", picture("sample", "steps", value), "sample") for value in (HUGE, 0, -1, "20")),
    *((f"a cfg of {value}", picture("sample", "cfg", value), "sample") for value in (1e308, "nan", None)),
    *((f"a denoise of {value}", picture("sample", "denoise", value), "sample") for value in (-1, 2)),
    *((f"a seed of {value}", picture("sample", "seed", value), "sample") for value in (2**64, -1, 1.5)),
    *((f"a sampler {name!r}", picture("sample", "sampler_name", name), "sample") for name in ("../x", "Euler", "")),
    *(
        (f"a link to {link!r}", picture("save", "images", link, part="links"), "save")
        for link in ("gone.out", "decode.9", "decode.-1", "decode", "x", "save.out", "__proto__.out", 5, ["decode", 0])
    ),
    ("a link where no port is", picture("save", "__proto__", "decode.out", part="links"), "save"),
    ("a parameter that is none", picture("save", "__class__", "x"), "save"),
    *(
        (f"a node of type {name!r}", nodes(x={"type": name}), "x")
        for name in ("__class__", "os.system", "", "../x", "constructor", "a" * 10_000)
    ),
    ("a loop of one", nodes(a={"type": "faults.Add", "links": {"a": "a.out"}}), "a"),
    ("a loop of two", chain(2, closed=True), "n0"),
    ("a loop of ten thousand", chain(10_000, closed=True), "n"),
]


@pytest.mark.parametrize(("workflow", "node"), [case[1:] for case in WRONG], ids=[case[0][:60] for case in WRONG])
async def test_a_wrong_workflow_is_refused_by_its_place(client: Any, workflow: dict[str, Any], node: str) -> None:
    began = time.perf_counter()
    async with client.post("/api/v1/jobs", json={"workflow": workflow}) as response:
        text = await response.text()
        assert response.status in (400, 422), text[:500]  # 400: no number of a workflow is so long
    assert time.perf_counter() - began < 5
    problems = json.loads(text)["error"]["problems"]
    assert any(node in json.dumps(problem) for problem in problems)
    assert len(text) < 100_000
    assert "Traceback" not in text
    async with client.get("/healthz") as response:
        assert response.status == 200


@pytest.mark.parametrize("name", ["__proto__", "constructor", "a.b", "a/b", "", "a b", "<img src=x>", "a\n"])
async def test_ids_of_nodes_are_plain_names(client: Any, name: str) -> None:
    workflow = nodes(**{name: {"type": "faults.Add", "params": {"a": 1}}})
    async with client.post("/api/v1/jobs/check", json={"workflow": workflow}) as response:
        assert response.status in (200, 422)
        document = await response.json()
    allowed = name.replace("_", "a").isalnum()
    assert document.get("ok", False) is allowed


PREFIXES = [
    "../../escaped",
    "../escaped",
    "/tmp/escaped",
    "a/%date%/../../../escaped",
    "escaped" * 700,
    "CON",
    "a\0b",
    "a\nb",
    "..",
    "C:\\escaped",
    "\\\\host\\escaped",
    "~/escaped",
]


@pytest.mark.parametrize("prefix", PREFIXES, ids=lambda prefix: repr(prefix)[:30])
async def test_files_are_written_below_the_output_folder_alone(client: Any, shared: Any, prefix: str) -> None:
    save = {"type": "faults.Save", "params": {"text": prefix[:50], "filename_prefix": prefix}}
    async with client.post("/api/v1/jobs?wait=60", json={"workflow": nodes(save=save)}) as response:
        document = await response.json()
        assert response.status in (200, 422), document
    root = shared.data / "output"
    if response.status == 200 and document["state"] == "done":
        for output in document["outputs"]:
            assert (root / output["name"]).resolve().is_relative_to(root.resolve())
    elsewhere = (Path("/tmp"), Path.home(), Path.cwd(), shared.data, *list(shared.data.parents)[:3])
    assert [path for folder in elsewhere for path in folder.glob("*escaped*")] == []


async def test_too_many_nodes_are_refused_with_the_limit(client: Any) -> None:
    workflow = nodes(**{f"n{index}": {"type": "faults.Add", "params": {"a": 1}} for index in range(10_001)})
    async with client.post("/api/v1/jobs", json={"workflow": workflow}) as response:
        text = await response.text()
        assert response.status in (413, 422), text[:300]
    assert "10000" in text.replace(",", "").replace(" ", "") or "10 000" in text


async def test_an_error_tells_its_user_no_secret(client: Any) -> None:
    workflow = nodes(secret={"type": "faults.Raise", "params": {"kind": "Secret"}})
    async with client.post("/api/v1/jobs?wait=60", json={"workflow": workflow, "targets": ["secret"]}) as response:
        document = await response.json()
        assert response.status == 200, document
    assert document["state"] == "failed"
    message = document["failure"]["message"]
    assert "/etc/" not in message
    assert "Traceback" not in message
    assert document["failure"]["node"] == "secret"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
entries = st.fixed_dictionaries(
    {"type": st.sampled_from(["faults.Add", "SaveImage", "LoadImage"]) | st.text(max_size=10)},
    optional={"params": json_values, "links": json_values, "graph": json_values, "view": json_values},
)
workflows = json_values | st.fixed_dictionaries(
    {"format": st.just(1) | json_values, "nodes": st.dictionaries(st.text(max_size=8), entries, max_size=4)},
    optional={"inputs": json_values, "outputs": json_values, "subgraphs": json_values},
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(workflow=workflows)
async def test_no_json_whatever_is_more_than_a_mistake(client: Any, workflow: Any) -> None:
    async with client.post("/api/v1/jobs/check", json={"workflow": workflow}) as response:
        text = await response.text()
        assert response.status in (200, 400, 422), text
