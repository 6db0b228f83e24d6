"""The host process as the front sees it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from nodegraph.server.errors import ApiError
from nodegraph.server.host import Host, InvalidWorkflow, Refused
from nodegraph.server.settings import Limits, Settings

DOCUMENT = {
    "format": 1,
    "nodes": {
        "text": {"type": "faults.Text", "params": {"text": "x", "seed": 3}},
        "save": {"type": "faults.Save", "links": {"text": "text.out"}},
    },
    "inputs": {"prompt": "text.text", "seed": "text.seed", "width": "text.width"},
    "meta": {"name": "a picture"},
}


@pytest.fixture
async def host(settings: Settings) -> AsyncIterator[Host]:
    host = Host(settings, lambda: None)
    await host.start()
    assert await host.wait_ready(60)
    yield host
    await host.stop()


async def test_the_catalogue_holds_nodes_and_plugins(host: Host) -> None:
    catalogue = await host.refresh()
    assert catalogue.fresh
    assert {"KSampler", "faults.Add"} <= set(catalogue.document["nodes"])
    plugins = {plugin["name"]: plugin for plugin in catalogue.document["plugins"]}
    assert plugins["faults"]["state"] == "loaded"
    assert "a_package_that_nobody_has" in plugins["nodegraph_broken.needs"]["reason"]
    assert str(Path.cwd()) not in json.dumps(catalogue.document)
    assert (await host.refresh()).etag == catalogue.etag


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
async def test_the_catalogue_is_told_without_torch(host: Host) -> None:
    """It takes a second and 200 MB, and choices that nodes offer may lead to it."""
    assert (await host.refresh()).fresh
    maps = Path(f"/proc/{host.pid}/maps").read_text(encoding="utf-8")
    assert "pydantic_core" in maps
    assert "libtorch" not in maps


async def test_the_catalogue_names_the_pictures_of_all_users_and_none_of_the_working_directory(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, name in (("input", "private.png"), ("shared", "common.png")):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / folder / name)
    monkeypatch.chdir(tmp_path)  # a server that was started in its data folder
    host = Host(replace(settings, data=tmp_path, input=(tmp_path / "shared",)), lambda: None)
    await host.start()
    try:
        assert await host.wait_ready(60)
        load = (await host.refresh()).document["nodes"]["LoadImage"]
        names = load["properties"]["params"]["properties"]["image"]["enum"]
        assert {"common.png", "example.png"} <= set(names)
        assert "private.png" not in names
    finally:
        await host.stop()


async def test_the_last_catalogue_is_there_before_the_process_is(host: Host, settings: Settings) -> None:
    known = await host.refresh()
    changes: list[int] = []
    other = Host(settings, lambda: changes.append(1))
    await other.start()
    try:
        first = other.catalogue()
        assert (first.fresh, first.etag) == (False, known.etag)
        assert first.document == known.document
        assert await other.wait_ready(60)
        assert (await other.refresh()).fresh
        assert changes == []
    finally:
        await other.stop()


@pytest.mark.parametrize("content", ['{"nodes": 3}', "\x00"])
async def test_a_damaged_catalogue_is_made_anew(settings: Settings, content: str) -> None:
    settings.data.mkdir(parents=True)
    (settings.data / "catalogue.json").write_text(content)
    changed = asyncio.Event()
    host = Host(settings, changed.set)
    await host.start()
    try:
        assert host.catalogue().document["nodes"] == {}
        await asyncio.wait_for(changed.wait(), 60)
        assert host.catalogue().document["nodes"]
    finally:
        await host.stop()
    assert json.loads((settings.data / "catalogue.json").read_text())["nodes"]


async def test_a_workflow_is_checked_with_each_set_of_inputs(host: Host) -> None:
    checked = await host.check(DOCUMENT, [{"prompt": "hello"}, {"seed": 9}, {"width": 128}, {"width": "wide"}])
    assert json.loads(checked.document) == DOCUMENT
    assert checked.name == "a picture"
    assert checked.nodes == {"text": "faults.Text", "save": "faults.Save"}
    first, second, third, fourth = checked.items
    assert first.exposed == {"prompt": "hello", "seed": 3, "width": 64}
    assert first.signature == second.signature != third.signature
    assert [item.ok for item in checked.items] == [True, True, True, False]
    problem = fourth.problems[0]
    assert (problem["node"], problem["field"], problem["got"]) == ("text", "params.width", "wide")


async def test_other_formats_are_read(host: Host) -> None:
    api = {"1": {"class_type": "faults.Add", "inputs": {"a": 4}}}
    checked = await host.check(api)
    assert json.loads(checked.document)["nodes"]["1"] == {"type": "faults.Add", "params": {"a": 4}}
    assert checked.items[0].ok


async def test_what_is_no_workflow_is_refused(host: Host) -> None:
    documents: list[Any] = [None, 3, [], "{}", {}, {"format": 2}, {"nodes": [], "links": []}, {"a": float("nan")}]
    for document in documents:
        with pytest.raises(InvalidWorkflow) as caught:
            await host.check(document)
        assert caught.value.status == 422
        assert caught.value.document["error"]["problems"][0]["message"]


async def test_targets_must_be_there(host: Host) -> None:
    checked = await host.check(DOCUMENT, targets=["save", "nowhere"])
    assert checked.items[0].problems[0]["code"] == "unknown_target"


async def test_a_workflow_of_too_many_nodes_is_told_the_limit(tmp_path: Path) -> None:
    host = Host(Settings(data=tmp_path, limits=Limits(nodes=50)), lambda: None)
    await host.start()
    try:
        nodes = {f"n{index}": {"type": "faults.Add", "params": {"a": index}} for index in range(51)}
        with pytest.raises(InvalidWorkflow) as caught:
            await host.check({"format": 1, "nodes": nodes})
        assert "50" in caught.value.problems[0]["message"]
    finally:
        await host.stop()


async def test_a_user_s_pictures_are_looked_for_in_the_folders_given(host: Host, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "mine" / "x.png")
    document = {"format": 1, "nodes": {"load": {"type": "LoadImage", "params": {"image": "x.png"}}}}
    assert (await host.check(document, input_folders=[tmp_path / "mine"])).items[0].ok
    (problem,) = (await host.check(document, input_folders=[tmp_path / "other"])).items[0].problems
    assert problem["node"] == "load"
    assert str(tmp_path) not in json.dumps(problem)
    document["nodes"]["load"]["params"]["image"] = "../mine/x.png"  # type: ignore[index]
    assert not (await host.check(document, input_folders=[tmp_path / "mine"])).items[0].ok


async def test_models_are_listed_and_described(host: Host) -> None:
    assert "shapes.safetensors" in (await host.models())["checkpoints"]
    told = await host.model("checkpoints", "shapes.safetensors")
    assert (told["family"], told["size"] > 10**6) == ("sd1", True)
    assert "path" not in told
    for kind, name in (("checkpoints", "../shapes.safetensors"), ("checkpoints", "none"), ("input", "x"), ("?", "x")):
        with pytest.raises(ApiError) as caught:
            await host.model(kind, name)
        assert caught.value.status == 404


async def test_models_are_found_in_the_folders_that_are_configured(tmp_path: Path) -> None:
    styles = tmp_path / "styles"
    styles.mkdir()
    save_file({"emb_params": torch.ones(2, 768)}, styles / "cat.safetensors")
    (styles / "bad.safetensors").write_text("<html>")
    host = Host(Settings(data=tmp_path / "data", folders={"loras": (styles,), "boxes": (styles,)}), lambda: None)
    await host.start()
    try:
        found = await host.models()
        assert found["loras"] == found["boxes"] == ["bad.safetensors", "cat.safetensors"]
        assert "checkpoints" not in found
        told = await host.model("loras", "cat.safetensors")
        assert (told["what"], told["belongs"], told["family"]) == ("embedding", "embeddings", "Stable Diffusion 1.x")
        assert "a web page" in (await host.model("loras", "bad.safetensors"))["problem"]
        assert str(tmp_path) not in json.dumps([told, await host.model("loras", "bad.safetensors")])
    finally:
        await host.stop()


async def test_pictures_are_looked_at_and_made_small(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "x"
    Image.new("RGB", (300, 200)).save(path, format="PNG")
    found = await host.inspect(path)
    assert (found.media, found.width, found.height, found.frames, found.suffix) == ("image/png", 300, 200, 1, ".png")
    assert (await host.thumbnail(path, 64))[8:12] == b"WEBP"
    with pytest.raises(Refused, match="at most 100 pixels"):
        await host.inspect(path, Limits(pixels=100))
    path.write_bytes(b"<svg/>")
    with pytest.raises(Refused) as caught:
        await host.inspect(path)
    assert caught.value.status == 415


async def test_the_host_comes_back_when_it_dies(host: Host, tmp_path: Path) -> None:
    first = host.pid
    assert first is not None
    os.kill(first, 9)
    while host.pid == first or not host.ready:
        await asyncio.sleep(0.02)
    assert (await host.check(DOCUMENT)).items[0].ok
    assert host.restarts == 1


async def test_a_call_outlives_the_process_that_it_was_given_to(host: Host) -> None:
    checking = asyncio.create_task(host.check(DOCUMENT, [{"seed": seed} for seed in range(5000)]))
    await asyncio.sleep(0.1)
    assert host.pid is not None
    os.kill(host.pid, 9)
    assert all(item.ok for item in (await checking).items)
    assert host.restarts == 1


async def test_a_plugin_whose_import_hangs_is_left_out(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODEGRAPH_TEST_HANG", "60")
    host = Host(settings, lambda: None, patience=1.0)
    await host.start()
    try:
        assert await host.wait_ready(60)
        assert list(host.skipped) == ["faults_hanging"]
        plugins = {plugin["name"]: plugin for plugin in (await host.refresh()).document["plugins"]}
        assert plugins["faults_hanging"]["state"] == "quarantined"
        assert "longer than 1 s" in plugins["faults_hanging"]["reason"]
        assert plugins["faults"]["state"] == "loaded"
    finally:
        await host.stop()


async def test_without_plugins_the_built_in_nodes_are_there(tmp_path: Path) -> None:
    host = Host(Settings(data=tmp_path, plugins=False), lambda: None)
    await host.start()
    try:
        await host.wait_ready(60)
        nodes = (await host.refresh()).document["nodes"]
        assert "KSampler" in nodes
        assert not any(name.startswith("faults.") for name in nodes)
    finally:
        await host.stop()


async def test_a_call_before_the_host_is_there_waits_and_is_told_when_it_is_over(settings: Settings) -> None:
    host = Host(settings, lambda: None)
    with pytest.raises(ApiError) as caught:
        await host.check(DOCUMENT, wait=0.05)
    assert caught.value.status == 503
    assert caught.value.headers["Retry-After"]
    assert host.catalogue().document == {"nodes": {}, "plugins": []}
