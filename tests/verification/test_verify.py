"""Pictures are made again from what they carry, and what differs is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image as Pillow

from nodegraph import Cancelled
from nodegraph.diffusion.images import write_png
from nodegraph.engine.context import CancelToken
from nodegraph.engine.events import Cached, Event, Running
from nodegraph.engine.spec import Json
from nodegraph.runtime import Options, Runtime
from nodegraph.verification.verify import Verifier, Wish
from tests.verification.pictures import NOISE, Make, Verify, edit


def tree(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_each_picture_of_a_batch_is_made_again_and_is_the_same(make: Make, verify: Verify, tmp_path: Path) -> None:
    old = make(NOISE)
    before = tree(tmp_path / "old")
    reports = verify(*reversed(old))
    assert [(report.picture, report.verdict) for report in reports] == [(old[1], "same"), (old[0], "same")]
    assert [(report.node, report.index, report.saved) for report in reports] == [("save", 1, 2), ("save", 0, 2)]
    assert [report.differences for report in reports] == [(), ()]
    assert tree(tmp_path / "old") == before
    assert tree(tmp_path / "here") == {}


def test_pixels_that_differ_are_counted_and_placed(make: Make, verify: Verify) -> None:
    first, second = make(NOISE)
    edit(first, lambda texts: None, pixel=True)
    told, same = verify(first, second)
    assert same.verdict == "same"
    assert told.verdict == "differs"
    assert told.pixels is not None
    assert (told.pixels.differing, told.pixels.box) == (1, (2, 3, 1, 1))
    assert told.pixels.largest in (7, 249)
    assert told.pixels.mean == pytest.approx(told.pixels.largest / (8 * 6 * 3))
    assert told.pixels.psnr is not None
    assert "1 of 48 pixels (2.08 %) differ" in str(told.pixels)
    assert told.notes == (
        "nothing that is recorded differs: the picture was changed since, or a node does not give the same twice",
    )


def test_a_tolerance_lets_small_differences_pass(make: Make, verify: Verify) -> None:
    first, _ = make(NOISE)
    edit(first, lambda texts: None, pixel=True)
    assert verify(first, wish=Wish(tolerance=249))[0].verdict == "same"
    assert verify(first, wish=Wish(tolerance=6))[0].verdict == "differs"


def older(texts: dict[str, Any]) -> None:
    record = texts["nodegraph_record"]
    record["engine"] = "nodegraph 0.0.9"
    record["libraries"]["torch"] = "2.0.0"
    record["nodes"][1]["version"] = "0"
    record["nodes"][0]["plugin"] = "soft 1.0"
    record["device_name"] = "another processor"
    record["precise"] = True
    record["extensions"] = {"sampler drift": "soft 1.0"}


def test_versions_devices_nodes_and_settings_that_differ_are_told(make: Make, verify: Verify) -> None:
    first = edit(make(NOISE)[0], older)
    (report,) = verify(first)
    assert report.verdict == "same", "the pixels are"
    found = {difference.what: (difference.kind, difference.then) for difference in report.differences}
    assert found["nodegraph"] == ("version", "0.0.9")
    assert found["torch"] == ("version", "2.0.0")
    assert found["node noise (ImageAddNoise)"] == ("node", "version 0")
    assert found["node plain (EmptyImage)"] == ("node", "of soft 1.0")
    assert found["device name"] == ("device", "another processor")
    assert found["precise"] == ("setting", True)
    assert len(found) == 6
    assert verify(first, wish=Wish(strict=True))[0].verdict == "differs"


def test_new_pictures_are_kept_under_names_that_are_free(make: Make, verify: Verify, tmp_path: Path) -> None:
    first = edit(make(NOISE)[0], lambda texts: None, pixel=True)
    kept = tmp_path / "kept"
    names = [[path.name for path in verify(first, wish=Wish(keep=kept))[0].kept] for _ in range(2)]
    assert names == [["noise_00001_again.png", "noise_00001_difference.png"],
                     ["noise_00001_again_2.png", "noise_00001_difference_2.png"]]  # fmt: skip
    with Pillow.open(kept / "noise_00001_difference.png") as drawn:
        assert [drawn.getpixel((x, 3)) for x in range(4)] == [0, 0, 255, 0]
    assert verify(kept / "noise_00001_again.png")[0].verdict == "same"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda texts: texts.clear(), "it carries no workflow: it was saved without metadata (--no-metadata)"),
        (lambda texts: texts.update(nodegraph="{", prompt="{"), "its text 'nodegraph' is damaged"),
        (lambda texts: (texts.clear(), texts.update(workflow={"nodes": []})), "ComfyUI's editor alone"),
        (lambda texts: texts["nodegraph"]["nodes"]["noise"].update(type="soft.Gone"), "soft.Gone"),
        (lambda texts: texts["nodegraph"]["nodes"]["noise"]["params"].update(strength=2), "expected a number from 0"),
        (lambda texts: texts.update(nodegraph=[1]), "is no JSON object"),
    ],
    ids=["none", "damaged", "editor", "unknown", "invalid", "list"],
)
def test_what_cannot_be_made_again_is_told(make: Make, verify: Verify, change: Any, told: str) -> None:
    first, second = make(NOISE)
    reports = verify(edit(first, change), second)
    assert {report.picture: report.verdict for report in reports} == {first: "cannot", second: "same"}
    assert told in next(report.reason for report in reports if report.picture == first)


def test_a_file_that_is_no_picture_or_not_there_is_told(verify: Verify, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("text", encoding="utf-8")
    (tmp_path / "folder.png").mkdir()
    reasons = [
        report.reason for report in verify(tmp_path / "text.png", tmp_path / "none.png", tmp_path / "folder.png")
    ]
    assert "not a readable picture" in reasons[0]
    assert reasons[1] == "no such file"
    assert "a folder: name the pictures in it" in reasons[2]


def test_a_plugin_that_is_not_here_is_named(make: Make, verify: Verify) -> None:
    def foreign(texts: dict[str, Any]) -> None:
        texts["nodegraph"]["nodes"]["noise"]["type"] = "soft.Noise"
        texts["nodegraph_record"]["nodes"][1].update(type="soft.Noise", plugin="soft 1.2")

    (report,) = verify(edit(make(NOISE)[0], foreign))
    assert report.verdict == "cannot"
    assert "the plugin soft 1.2 is not installed" in report.reason


def test_a_picture_of_comfyui_is_compared_by_its_pixels_alone(make: Make, verify: Verify) -> None:
    first, second = make(NOISE)
    for path in (first, second):
        edit(path, lambda texts: [texts.pop(name) for name in ("nodegraph", "nodegraph_record")])
    for report in verify(first, second):
        assert report.verdict == "same"
        assert any("only pixels can be compared" in note for note in report.notes)
    assert [report.index for report in verify(first, second)] == [0, 1], "the one that is most like it"


def test_pictures_of_mapped_nodes_find_their_counterparts(make: Make, verify: Verify) -> None:
    nodes = {
        "seeds": {"type": "Range", "params": {"stop": 3}},
        **NOISE,
        "noise": {**NOISE["noise"], "params": {}, "links": {"image": "plain.out", "seed": "seeds.out"}},
    }
    old = make(nodes)
    assert len(old) == 6
    assert [report.verdict for report in verify(*old)] == ["same"] * 6


def test_only_what_leads_to_the_picture_is_run(make: Make, verify: Verify) -> None:
    failing = {"type": "ListItem", "params": {"items": [1], "index": 0}}
    shown = {"type": "PreviewAny", "links": {"source": "fail.out"}}
    first, _ = make({**NOISE, "fail": failing, "show": shown})

    def fail(texts: dict[str, Any]) -> None:
        texts["nodegraph"]["nodes"]["fail"]["params"]["index"] = 7

    assert verify(edit(first, fail))[0].verdict == "same"


def test_a_run_that_fails_or_gives_fewer_pictures_is_told(make: Make, verify: Verify) -> None:
    first, second = make(NOISE)

    def fewer(texts: dict[str, Any]) -> None:
        texts["nodegraph"]["nodes"]["plain"]["params"]["batch_size"] = 1

    (report,) = verify(edit(second, fewer))
    assert (report.verdict, report.reason) == ("differs", "it was picture 2 of node 'save'; the run saved 1 there")

    def larger(texts: dict[str, Any]) -> None:
        texts["nodegraph"]["nodes"]["plain"]["params"]["width"] = 9

    (report,) = verify(edit(first, larger))
    assert report.verdict == "differs"
    assert str(report.pixels) == "it was 8 x 6, the new one is 9 x 6"


@pytest.mark.parametrize("kind", ["SaveAnimatedPNG", "SaveAnimatedWEBP"])
@pytest.mark.parametrize("lossless", [True, False])
def test_moving_pictures_are_compared_frame_by_frame(make: Make, verify: Verify, kind: str, lossless: bool) -> None:
    webp: dict[str, Json] = {"lossless": lossless, "method": "fastest"} if kind == "SaveAnimatedWEBP" else {}
    (path,) = make({**NOISE, "save": {"type": kind, "params": webp, "links": {"images": "noise.out"}}})
    (report,) = verify(path)
    assert report.verdict == "same"
    assert report.pixels is not None
    assert report.pixels.frames == 2


PHOTO: dict[str, Json] = {
    "photo": {"type": "LoadImage", "params": {"image": "photo.png"}},
    "save": {"type": "SaveImage", "links": {"images": "photo.image"}},
}


def photo(folder: Path, name: str = "photo.png", seed: int = 0) -> Path:
    folder.mkdir(exist_ok=True)
    write_png(folder / name, torch.rand(4, 5, 3, generator=torch.Generator().manual_seed(seed)))
    return folder / name


def test_an_input_that_is_gone_is_told_and_one_of_another_name_is_found(
    make: Make, verify: Verify, tmp_path: Path
) -> None:
    given = photo(tmp_path / "input")
    (saved,) = make(PHOTO)
    given.rename(given.with_name("renamed.png"))
    (report,) = verify(saved)
    assert (report.verdict, report.differences) == ("same", ())
    assert "input/renamed.png has the same content and was taken" in report.notes[0]
    given.with_name("renamed.png").unlink()
    (report,) = verify(saved)
    assert report.verdict == "cannot"
    assert "input/photo.png (sha256 " in report.reason
    assert "--input" in report.reason


def test_an_input_of_other_content_is_told(make: Make, verify: Verify, tmp_path: Path) -> None:
    photo(tmp_path / "input")
    (saved,) = make(PHOTO)
    photo(tmp_path / "input", seed=1)
    (report,) = verify(saved)
    assert report.verdict == "differs"
    assert [(one.kind, one.what) for one in report.differences] == [("file", "input/photo.png")]
    photo(tmp_path / "input", "before.png")
    (report,) = verify(saved)
    assert report.verdict == "same"
    assert "the file of that name has other content" in report.notes[0]


def test_a_picture_made_of_an_earlier_output_finds_it(make: Make, verify: Verify, options: Options) -> None:
    earlier = make(NOISE)[0].name
    load = {"type": "LoadImageOutput", "params": {"image": earlier}}
    (saved,) = make({**PHOTO, "photo": load})
    assert verify(saved)[0].verdict == "same"


ASKING: dict[str, Json] = {
    **NOISE,
    "gate": {"type": "Gate", "links": {"value": "noise.out"}},
    "save": {**NOISE["save"], "links": {"images": "gate.out"}},
}


def test_a_question_is_answered_or_told(options: Options) -> None:
    outputs = Runtime(options).run({"format": 1, "nodes": ASKING}, answers={"gate": "go on"})
    saved = next(picture.path for picture in outputs.pictures if picture.node == "save")
    (report,) = Verifier(options).verify([saved])
    assert report.verdict == "cannot"
    assert "gate asks: Go on?" in report.reason
    assert "--answer gate=" in report.reason
    (report,) = Verifier(options, answers={"gate": "go on"}).verify([saved])
    assert report.verdict == "same"


def test_a_cancel_ends_it_at_once(make: Make, options: Options) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        list(Verifier(options, cancel=token).verify(make(NOISE)))


def test_nothing_of_it_is_left_in_the_temporary_folder(
    make: Make, verify: Verify, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = make(NOISE)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    assert verify(*old)[0].verdict == "same"
    assert list((tmp_path / "temporary").iterdir()) == []


def test_what_a_question_is_about_is_verified_without_an_answer(options: Options) -> None:
    shown = [picture.path for picture in Runtime(options).run({"format": 1, "nodes": ASKING}).pictures]
    reports = list(Verifier(options).verify(shown))
    assert [(report.verdict, report.node) for report in reports] == [("same", "gate")] * 2


INNER: dict[str, Json] = {
    "inputs": {"item": ["turn.rotation"]},
    "outputs": {"out": "turn.out"},
    "nodes": {
        "turn": {"type": "ImageRotate", "params": {"rotation": "none"}, "links": {"image": "plain.out"}},
        "plain": {"type": "EmptyImage", "params": {"width": 4, "height": 6}},
        "save": {"type": "SaveImage", "params": {"filename_prefix": "inner"}, "links": {"images": "turn.out"}},
    },
}


def test_pictures_of_subgraphs_and_of_loops_find_their_counterparts(make: Make, verify: Verify) -> None:
    turns = ["90 degrees", "none"]
    each = {"type": "ForEach", "params": {"items": turns, "body": "inner"}}
    once = {"graph": "inner", "params": {"item": "180 degrees"}}
    old = make({"each": each, "once": once}, subgraphs={"inner": INNER}, outputs={"all": "each.out"})
    reports = verify(*old)
    assert len(old) == 3
    assert {report.verdict for report in reports} == {"same"}
    nodes = {report.node for report in reports}
    assert "once/save" in nodes
    assert len(nodes) == 3


def test_everything_is_run_and_nothing_taken_from_earlier_results(make: Make, options: Options) -> None:
    large = {"type": "EmptyImage", "params": {"width": 1024, "height": 1024, "batch_size": 2}}
    old = make({**NOISE, "plain": large})
    assert list((options.data or Path()).glob("results/*/*.result")), "what takes its time is kept"
    told: list[Event] = []
    assert [report.verdict for report in Verifier(options, emit=told.append).verify(old)] == ["same", "same"]
    assert [event.node for event in told if isinstance(event, Running) and event.node] == ["plain", "noise", "save"]
    assert [event for event in told if isinstance(event, Cached)] == []
