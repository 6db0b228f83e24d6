"""Whole workflows through the runtime, with a tiny model of random weights."""

from __future__ import annotations

import hashlib
import json
import os
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image as Pillow

import nodegraph
from nodegraph import NodeError, Options, Runtime, WorkflowError
from nodegraph.engine.context import CancelToken
from nodegraph.engine.events import Event, Preview, Progress

WORKFLOW = "workflows/text_to_image.json"


@pytest.fixture
def options(tiny_models: Path, tmp_path: Path) -> Options:
    return Options(models=(tiny_models,), output=tmp_path / "out", data=tmp_path / "data", dtype="fp32", device="cpu")


@pytest.fixture
def runtime(options: Options) -> Runtime:
    return Runtime(options)


@pytest.fixture(autouse=True)
def _at_the_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)


SMALL: dict[str, Any] = {"checkpoint": "tiny.safetensors", "width": 32, "height": 32, "steps": 3, "seed": 2**64 - 1}


def read(path: Path) -> dict[str, Any]:
    with Pillow.open(path) as file:
        return {str(key): json.loads(text) for key, text in file.info.items()}


def test_a_workflow_gives_pictures_that_tell_how_they_were_made(runtime: Runtime, tiny_models: Path) -> None:
    outputs = runtime.run(WORKFLOW, inputs={**SMALL, "batch_size": 2})
    assert outputs.result.ok
    assert [picture.seed for picture in outputs.pictures] == [2**64 - 1] * 2
    told = read(outputs.pictures[1].path)
    record = told["nodegraph_record"]
    assert record["picture"] == {"index": 1, "origin": {"seed": 2**64 - 1, "batch_index": 1}}
    model = tiny_models / "checkpoints" / "tiny.safetensors"
    assert record["files"] == {"checkpoints/tiny.safetensors": hashlib.sha256(model.read_bytes()).hexdigest()}
    assert record["libraries"]["torch"] == torch.__version__
    assert (record["device"], record["dtype"]) == ("cpu", "float32")
    assert record["engine"] == f"nodegraph {version('nodegraph')}"
    assert [node["type"] for node in record["nodes"]][-3:] == ["KSampler", "VAEDecode", "SaveImage"]
    assert told["nodegraph"]["nodes"]["sample"]["params"]["seed"] == 2**64 - 1
    assert told["prompt"]["sample"]["inputs"]["model"] == ["model", 0]


def test_the_workflow_in_a_picture_makes_it_again(runtime: Runtime, tmp_path: Path) -> None:
    first = runtime.run(WORKFLOW, inputs=SMALL).pictures[0]
    told = read(first.path)
    for name in ("nodegraph", "prompt"):
        fresh = Runtime(Options(**{**vars(runtime.options), "data": tmp_path / name, "cache": False}))
        again = fresh.run(told[name]).pictures[0]
        assert torch.equal(again.value.pixels, first.value.pixels), name


def test_without_metadata_a_picture_tells_nothing(options: Options) -> None:
    runtime = Runtime(Options(**{**vars(options), "metadata": False}))
    assert read(runtime.run(WORKFLOW, inputs=SMALL).pictures[0].path) == {}


def test_a_second_run_reuses_what_did_not_change(runtime: Runtime) -> None:
    runtime.run(WORKFLOW, inputs=SMALL)
    again = runtime.run(WORKFLOW, inputs=SMALL).result
    assert set(again.timings) == {"save"}
    other = runtime.run(WORKFLOW, inputs={**SMALL, "prompt": "another"}).result
    assert set(other.timings) == {"prompt", "sample", "decode", "save"}


def test_results_survive_the_process(options: Options) -> None:
    worth_keeping = {**SMALL, "steps": 60}  # what takes no time to make is not written to disk
    first = Runtime(options).run(WORKFLOW, inputs=worth_keeping)
    again = Runtime(options).run(WORKFLOW, inputs=worth_keeping)
    assert "sample" not in again.result.timings
    assert torch.equal(again.pictures[0].value.pixels, first.pictures[0].value.pixels)
    assert again.pictures[0].seed == first.pictures[0].seed


def test_a_changed_model_file_is_loaded_again(options: Options, tmp_path: Path, tiny_models: Path) -> None:
    models = tmp_path / "models" / "checkpoints"
    models.mkdir(parents=True)
    model = models / "tiny.safetensors"
    model.write_bytes((tiny_models / "checkpoints" / "tiny.safetensors").read_bytes())
    runtime = Runtime(Options(**{**vars(options), "models": (models.parent,)}))
    runtime.run(WORKFLOW, inputs=SMALL)
    os.utime(model, ns=(1, 1))
    assert "model" in runtime.run(WORKFLOW, inputs=SMALL).result.timings


def test_a_file_of_comfyui_runs_unchanged(runtime: Runtime) -> None:
    api = {
        "3": {
            "class_type": "KSampler",
            "inputs": {
                "seed": 5, "steps": 2, "cfg": 8, "sampler_name": "euler", "scheduler": "normal", "denoise": 1,
                "model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0],
            },
            "_meta": {"title": "KSampler"},
        },
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "tiny.safetensors"}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 32, "height": 32, "batch_size": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "beautiful scenery", "clip": ["4", 1]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "text, watermark", "clip": ["4", 1]}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "ComfyUI", "images": ["8", 0]}},
    }  # fmt: skip
    outputs = runtime.run(api)
    assert outputs.result.ok
    assert [path.name for path in outputs.files] == ["ComfyUI_00001_.png"]


def test_an_image_becomes_another(runtime: Runtime) -> None:
    outputs = runtime.run("workflows/image_to_image.json", inputs={"checkpoint": "tiny.safetensors", "steps": 3})
    assert outputs.result.ok
    assert outputs.pictures[0].value.pixels.shape == (1, 128, 128, 3)


def test_sampling_tells_of_each_step_and_shows_it(runtime: Runtime) -> None:
    events: list[Event] = []
    runtime.run(WORKFLOW, inputs=SMALL, emit=events.append)
    told = [event for event in events if isinstance(event, Progress) and event.node == "sample"]
    steps = [(event.value, event.total) for event in told if event.message != "bytes"]  # of weights that are brought
    assert steps == [(0, 3), (1, 3), (2, 3), (3, 3)]
    shown = [event.value.samples.shape for event in events if isinstance(event, Preview)]
    assert shown == [(1, 4, 4, 4)] * 2


def test_a_cancelled_run_stops_within_a_step_and_writes_nothing(runtime: Runtime) -> None:
    cancel = CancelToken()

    def stop(event: Event) -> None:
        if isinstance(event, Progress) and event.node == "sample" and event.value == 1:
            cancel.cancel()

    outputs = runtime.run(WORKFLOW, inputs={**SMALL, "steps": 1000}, emit=stop, cancel=cancel)
    assert outputs.result.cancelled
    assert outputs.files == ()
    assert list(runtime.options.output.rglob("*")) == []


def test_part_of_a_batch_is_made_again_alone(runtime: Runtime) -> None:
    whole = runtime.run(WORKFLOW, inputs={**SMALL, "batch_size": 3}).pictures
    document = runtime.load(WORKFLOW).dump()
    document["nodes"]["part"] = {
        "type": "LatentFromBatch",
        "params": {"batch_index": 2, "length": 1},
        "links": {"samples": "canvas.out"},
    }
    document["nodes"]["sample"]["links"]["latent_image"] = "part.out"
    alone = runtime.run(document, inputs={**SMALL, "batch_size": 3}).pictures
    assert alone[0].value.origins == whole[2].value.origins
    assert torch.allclose(alone[0].value.pixels[0], whole[2].value.pixels[0], atol=1e-4)


def test_a_listener_that_fails_stops_neither_the_run_nor_the_others(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Event] = []

    class Deaf:
        @nodegraph.hookimpl
        def node_event(self, event: Event) -> None:
            raise RuntimeError("I hear nothing")

    class Keen:
        @nodegraph.hookimpl
        def node_event(self, event: Event) -> None:
            heard.append(event)

    for listener in (Keen(), Deaf(), Keen()):
        runtime.plugins.manager.register(listener)
    assert runtime.run(WORKFLOW, inputs=SMALL).result.ok
    assert len(heard) >= 2 * len(runtime.load(WORKFLOW).nodes)
    assert len([event for event in heard if event is heard[-1]]) == 2
    assert "I hear nothing" in caplog.text


def test_a_workflow_tells_everything_that_is_wrong_with_it(runtime: Runtime) -> None:
    wrong = {**SMALL, "checkpoint": "tiny.safetensor", "steps": 0, "cfg": "8"}
    with pytest.raises(WorkflowError) as caught:
        runtime.run(WORKFLOW, inputs=wrong)
    problems = {(problem.node, problem.field): problem for problem in caught.value.problems}
    assert set(problems) == {("model", "params.ckpt_name"), ("sample", "params.steps"), ("sample", "params.cfg")}
    assert problems["model", "params.ckpt_name"].nearest == "tiny.safetensors"


def test_any_parameter_can_be_set_by_its_place(runtime: Runtime) -> None:
    outputs = runtime.run(WORKFLOW, inputs={**SMALL, "save.filename_prefix": "mine", "prompt.text": "another"})
    assert [path.name for path in outputs.files] == ["mine_00001_.png"]
    with pytest.raises(WorkflowError, match=r"sample.*stepz.*steps"):
        runtime.check(WORKFLOW, {**SMALL, "sample.stepz": 3})


def test_a_later_process_can_tell_why_a_node_runs_again(options: Options) -> None:
    Runtime(options).run(WORKFLOW, inputs=SMALL)
    runtime = Runtime(options)
    told = {line.node: str(line) for line in runtime.plan(runtime.check(WORKFLOW, {**SMALL, "seed": 3})).explain()}
    assert "`seed` changed from 18446744073709551615 to 3" in told["sample"]


def test_without_a_cache_every_node_runs_each_time(options: Options) -> None:
    runtime = Runtime(Options(**{**vars(options), "cache": False}))
    first = runtime.run(WORKFLOW, inputs=SMALL).result
    assert set(runtime.run(WORKFLOW, inputs=SMALL).result.timings) == set(first.timings)
    assert len(first.timings) == len(runtime.load(WORKFLOW).nodes)
    assert not runtime.options.data or not runtime.options.data.exists()


def test_runs_that_save_elsewhere_find_the_models_of_the_last(options: Options, tmp_path: Path) -> None:
    for turn in range(2):
        here = Options(**{**vars(options), "output": tmp_path / str(turn)})
        outputs = nodegraph.run(WORKFLOW, options=here, **{**SMALL, "prompt": f"number {turn}"})
        assert outputs.files[0].parent == tmp_path / str(turn)
    assert "model" not in outputs.result.timings


def test_a_budget_of_nothing_keeps_nothing(options: Options) -> None:
    runtime = Runtime(Options(**{**vars(options), "memory": 0, "disk": 0}))
    runtime.run(WORKFLOW, inputs=SMALL)
    assert "model" in runtime.run(WORKFLOW, inputs=SMALL).result.timings


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "something else"},
        {"negative": "nothing"},
        {"cfg": 2.0},
        {"steps": 4},
        {"sample.sampler_name": "heun"},
        {"sample.scheduler": "normal"},
        {"seed": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_setting_changes_the_picture(runtime: Runtime, change: dict[str, Any]) -> None:
    before = runtime.run(WORKFLOW, inputs={**SMALL, "prompt": "a (red:1.3) circle"}).pictures[0].value.pixels
    after = runtime.run(WORKFLOW, inputs={**SMALL, "prompt": "a (red:1.3) circle", **change}).pictures[0].value.pixels
    assert not torch.equal(before, after)


def test_a_device_that_is_not_there_is_named(options: Options) -> None:
    runtime = Runtime(Options(**{**vars(options), "device": "warp:9"}))
    with pytest.raises(ValueError, match=r"'warp:9' cannot be used on this machine: there is cpu"):
        runtime.run(WORKFLOW, inputs=SMALL)


def test_run_returns_outputs_that_show_themselves(options: Options) -> None:
    outputs = nodegraph.run(WORKFLOW, options=options, prompt="a red circle", **{**SMALL, "batch_size": 2})
    picture = outputs.pictures[0]
    assert picture.pillow.size == (32, 32)
    assert picture._repr_png_().startswith(b"\x89PNG")
    assert Pillow.open(BytesIO(outputs["image"]._repr_png_())).size == (64, 32)
    assert list(outputs) == ["image"]
    assert "data:image/png;base64," in outputs._repr_html_()
    with pytest.raises(KeyError, match="no output is called"):
        outputs["nothing"]


def test_run_raises_what_a_node_raised(options: Options, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "broken.safetensors").write_bytes(b"<html>not found</html>")
    broken = Options(**{**vars(options), "models": (folder.parent,)})
    with pytest.raises(NodeError, match=r"CheckpointLoaderSimple.*broken\.safetensors") as caught:
        nodegraph.run(WORKFLOW, options=broken, checkpoint="broken.safetensors")
    assert caught.value.node == "model"


def test_one_runtime_serves_runs_with_folders_of_their_own(runtime: Runtime, tmp_path: Path) -> None:
    places = [{"output": [tmp_path / name / "out"], "temp": [tmp_path / name / "temp"]} for name in ("a", "b")]
    first, second = (runtime.run(WORKFLOW, inputs=SMALL, folders=place) for place in places)
    assert first.files[0].is_relative_to(tmp_path / "a" / "out")
    assert second.files[0].is_relative_to(tmp_path / "b" / "out")
    assert len(second.result.reused) >= 1
    assert len(second.result.timings) == 1
    assert not runtime.options.output.exists()


def test_inputs_are_looked_up_in_the_folders_of_the_run(runtime: Runtime, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    Pillow.new("RGB", (4, 4), (255, 0, 0)).save(tmp_path / "mine" / "only_here.png")
    document = {
        "format": 1,
        "nodes": {"load": {"type": "LoadImage", "params": {"image": "only_here.png"}}},
        "outputs": {"image": "load.image"},
    }
    outputs = runtime.run(document, folders={"input": [tmp_path / "mine"]})
    assert outputs["image"].pixels.shape == (1, 4, 4, 3)
    with pytest.raises(WorkflowError, match=r"only_here\.png"):
        runtime.run(document)


def test_targets_choose_what_is_run(runtime: Runtime) -> None:
    graph = runtime.check(WORKFLOW, SMALL)
    text = next(id for id, instance in graph.nodes.items() if instance.spec.id == "CLIPTextEncode")
    outputs = runtime.run(graph, targets=[text])
    assert outputs.files == ()
    assert list(outputs.result.nodes) == [text]
    with pytest.raises(KeyError, match="no node 'nowhere'"):
        runtime.run(graph, targets=["nowhere"])


def test_plugins_can_be_left_out() -> None:
    told: list[str] = []
    runtime = Runtime(Options(plugins=False), importing=told.append)
    assert [state.name for state in runtime.plugins.report] == told == ["nodegraph.nodes"]
    assert Runtime(Options(plugins=False), after=runtime).plugins is runtime.plugins
    assert "plugins" not in vars(Runtime(Options(), after=runtime))


def test_what_nodes_were_made_of_is_remembered_only_where_somebody_may_ask(tmp_path: Path) -> None:
    workflow = {"format": 1, "nodes": {"text": {"type": "PrimitiveString", "params": {"value": "a"}}}}
    for explain in (False, True):
        data = tmp_path / str(explain)
        runtime = Runtime(Options(data=data, plugins=False, explain=explain))
        runtime.run(workflow)
        assert len(runtime.executor.history) == explain
        assert (data / "history.json").exists() == explain
