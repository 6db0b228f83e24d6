"""SaveImage and PreviewImage, called as the functions that they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image as Pillow

from nodegraph import Cancelled, Context, Runtime, WorkflowError
from nodegraph.diffusion.images import read_image, to_bytes
from nodegraph.diffusion.values import Image, Origin
from nodegraph.engine.context import CancelToken
from nodegraph.engine.errors import StrictError
from nodegraph.engine.events import Event, Output, Warned
from nodegraph.engine.folders import Folders
from nodegraph.engine.spec import Json
from nodegraph.nodes.saving import preview_image, save_image


def pictures() -> Image:
    pixels = torch.rand(2, 4, 6, 3, generator=torch.Generator().manual_seed(0))
    return Image(pixels, (Origin(7, 0), Origin(7, 1)))


def context(tmp_path: Path, told: list[Event], settings: dict[str, Json] | None = None) -> Context:
    folders = Folders({"output": [tmp_path / "output"], "temp": [tmp_path / "temp"]})
    return Context(folders=folders, settings=settings, document={"workflow": {"nodes": {}}}, emit=told.append)


def test_each_picture_becomes_a_file_that_is_told_of(tmp_path: Path) -> None:
    told: list[Event] = []
    save_image(context(tmp_path, told), pictures(), "day/%width%x%height%")
    files = [tmp_path / "output" / "day" / f"6x4_0000{number}_.png" for number in (1, 2)]
    outputs = [event for event in told if isinstance(event, Output)]
    assert [event.file for event in outputs] == files
    for index, (file, event) in enumerate(zip(files, outputs, strict=True)):
        assert torch.equal(to_bytes(read_image(file)[0]), to_bytes(pictures().pixels[index : index + 1]))
        assert isinstance(event.value, Image)
        assert event.value.origins == (Origin(7, index),)


def test_a_file_holds_its_workflow_and_its_seed(tmp_path: Path) -> None:
    settings = {"compile": True, "dtype": None, "metadata": True}
    save_image(context(tmp_path, [], settings), pictures(), "cat")
    with Pillow.open(tmp_path / "output" / "cat_00002_.png") as file:
        assert json.loads(file.info["nodegraph"]) == {"nodes": {}}
        record = json.loads(file.info["nodegraph_record"])
    assert record["picture"] == {"index": 1, "origin": {"seed": 7, "batch_index": 1}}
    assert "torch" in record["libraries"]
    assert record["settings"] == {"compile": True}


def test_metadata_can_be_left_out(tmp_path: Path) -> None:
    save_image(context(tmp_path, [], {"metadata": False}), pictures(), "cat")
    with Pillow.open(tmp_path / "output" / "cat_00001_.png") as file:
        assert not file.info


def test_a_preview_goes_to_the_temporary_folder(tmp_path: Path) -> None:
    preview_image(context(tmp_path, []), pictures())
    assert sorted(path.name for path in (tmp_path / "temp").iterdir()) == ["preview_00001_.png", "preview_00002_.png"]
    assert not (tmp_path / "output").exists()


def test_a_context_without_folders_says_so() -> None:
    with pytest.raises(LookupError, match="needs folders"):
        save_image(Context("9"), pictures())


def test_a_cancel_is_seen_between_files_and_those_that_are_there_are_whole(tmp_path: Path) -> None:
    token = CancelToken()

    def stop(event: Event) -> None:
        if isinstance(event, Output):
            token.cancel()

    folders = Folders({"output": [tmp_path / "output"]})
    with pytest.raises(Cancelled):
        save_image(Context(folders=folders, cancel=token, emit=stop), pictures(), "cat")
    (file,) = (tmp_path / "output").iterdir()
    assert torch.equal(to_bytes(read_image(file)[0]), to_bytes(pictures().pixels[:1]))


@pytest.mark.parametrize(
    ("value", "told"), [(float("nan"), "picture 2 of 2 is damaged"), (0.0, "picture 2 of 2 is nothing but black")]
)
def test_a_picture_that_is_damaged_or_black_is_never_saved_silently(tmp_path: Path, value: float, told: str) -> None:
    images = pictures()
    images.pixels[1] = value
    events: list[Event] = []
    save_image(context(tmp_path, events), images, "cat")
    (warned,) = (event for event in events if isinstance(event, Warned))
    assert warned.message.startswith(told)
    strict = Context(folders=Folders({"output": [tmp_path / "strict"]}), strict=True)
    with pytest.raises(StrictError, match=told):
        save_image(strict, images, "cat")
    assert not (tmp_path / "strict").exists()


@pytest.mark.parametrize("prefix", ["../x", "/tmp/x", "a/%date%/../..", "a\\..\\..\\b", "a" * 241, "a/" * 17 + "b"])
def test_a_prefix_that_cannot_be_is_told_before_anything_runs(prefix: str) -> None:
    nodes = {
        "load": {"type": "LoadImage", "params": {"image": "example.png"}},
        "save": {"type": "SaveImage", "params": {"filename_prefix": prefix}, "links": {"images": "load.image"}},
    }
    with pytest.raises(WorkflowError) as caught:
        Runtime().check({"format": 1, "nodes": nodes})
    (problem,) = caught.value.problems
    assert (problem.node, problem.field, problem.code) == ("save", "params.filename_prefix", "refused_value")
