"""Fields of files in a browser: pictures sent, dropped and pasted, masks painted; fields that plugins draw."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from tests.editor.driver import Editor
from tests.editor.fields import becomes, row, type_into, undo, value

if TYPE_CHECKING:
    from playwright.sync_api import Locator


def picture(color: tuple[int, int, int] = (20, 200, 40), size: int = 64) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (size, size), color).save(data, "PNG")
    return data.getvalue()


@pytest.fixture
def loading(editor: Editor) -> Editor:
    workflow = {
        "format": 1,
        "nodes": {"load": {"type": "LoadImage", "params": {"image": "example.png"}}},
        "view": {"load": {"x": 0, "y": 0}},
    }
    editor.open(workflow)
    row(editor, "load", "image").wait_for()
    return editor


def dropped(editor: Editor, event: str, data: bytes, name: str) -> None:
    """Drop, or paste, a file onto the field."""
    place = row(editor, "load", "image").locator(".field-box")
    script = """(box, [event, bytes, name]) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], name, {type: "image/png"}));
      const options = {bubbles: true, cancelable: true};
      if (event === "drop") box.dispatchEvent(new DragEvent("dragover", {...options, dataTransfer: data}));
      box.dispatchEvent(event === "drop" ? new DragEvent("drop", {...options, dataTransfer: data})
        : new ClipboardEvent("paste", {...options, clipboardData: data}));
    }"""
    place.evaluate(script, [event, list(data), name])


def test_26_a_picture_is_sent_from_its_field(loading: Editor, tmp_path: Path) -> None:
    file = tmp_path / "green leaf.png"
    file.write_bytes(picture())
    with loading.page.expect_file_chooser() as chooser:
        loading.click(row(loading, "load", "image").locator("[data-action=upload]"))
    chooser.value.set_files(file)
    becomes(loading, "load", "image", "green leaf.png")
    dropped(loading, "drop", picture((200, 0, 0)), "dropped.png")
    becomes(loading, "load", "image", "dropped.png")
    dropped(loading, "paste", picture((0, 0, 200)), "pasted.png")
    becomes(loading, "load", "image", "pasted.png")
    assert row(loading, "load", "image").get_attribute("data-state") is None
    names = {file["name"] for file in loading.server.ask("GET", "/files")["items"]}
    assert {"green leaf.png", "dropped.png", "pasted.png"} <= names
    undo(loading)
    becomes(loading, "load", "image", "dropped.png")
    loading.click(loading.field("load", "image"))
    loading.page.keyboard.type("leaf")
    loading.press("Enter")
    becomes(loading, "load", "image", "green leaf.png")


def test_26_a_file_that_came_later_is_known_and_one_that_is_not_there_is_marked(editor: Editor) -> None:
    editor.start()
    new: dict[str, Any] = {"file": {"name": "later.png", "mimeType": "image/png", "buffer": picture((9, 9, 9))}}
    origin = {"Origin": editor.server.url}
    answer = editor.page.context.request.post(f"{editor.server.url}/api/v1/files", multipart=new, headers=origin)
    assert answer.status == 201, answer.text()
    nodes = {id: {"type": "LoadImage", "params": {"image": f"{id}.png"}} for id in ("later", "never")}
    editor.open({"format": 1, "nodes": nodes, "view": {"later": {"x": 0, "y": 0}, "never": {"x": 0, "y": 200}}})
    gone = row(editor, "never", "image")
    gone.wait_for()
    editor.wait_until(lambda: gone.get_attribute("data-state") == "wrong", "the missing one is marked", 5)
    assert "never.png" in str(gone.locator(".field-box").get_attribute("title"))
    assert row(editor, "later", "image").get_attribute("data-state") is None


def painted(editor: Editor, name: str) -> Image.Image:
    answer = editor.page.context.request.get(f"{editor.server.url}/api/v1/files/{name}")
    return Image.open(io.BytesIO(answer.body()))


def test_26_a_mask_is_painted_erased_and_kept(loading: Editor) -> None:
    loading.click(row(loading, "load", "image").locator("[data-action=paint]"))
    stage = loading.panel("mask-stage")
    x, y = loading.place(stage)
    tool: Callable[[str], Locator] = lambda name: loading.panel("mask").locator(f"[data-tool={name}]")  # noqa: E731
    loading.drag((x, y), (x + 60, y))
    loading.click((x - 80, y))
    assert tool("undo").is_enabled()
    loading.press("Mod+Z")
    loading.press("x")
    loading.click((x + 60, y))
    loading.click(loading.panel("mask").locator("[data-action=keep]"))
    loading.wait_until(lambda: value(loading, "load", "image") != "example.png", "the mask is chosen")
    name = value(loading, "load", "image")
    assert name == "example-mask.png"
    made, original = painted(loading, name), painted(loading, "example.png").convert("RGB")
    assert made.mode == "RGBA"
    assert made.size == original.size
    width, height = made.size
    alpha = made.getchannel("A")
    assert alpha.getpixel((width // 2, height // 2)) == 0
    assert alpha.getpixel((2, 2)) == 255
    share = sum(alpha.histogram()[:128]) / (width * height)
    assert 0.002 < share < 0.2
    # What lies under the mask keeps its colours.
    assert made.convert("RGB").tobytes() == original.tobytes()


def test_26_a_mask_that_is_not_kept_changes_nothing(loading: Editor) -> None:
    loading.click(row(loading, "load", "image").locator("[data-action=paint]"))
    loading.panel("mask-stage").wait_for()
    loading.press("ArrowLeft", "Escape")
    loading.panel("mask").wait_for(state="detached")
    assert value(loading, "load", "image") == "example.png"


RATED = {
    "format": 1,
    "nodes": {"rate": {"type": "good.Rate", "params": {"stars": 2}}, "whole": {"type": "PrimitiveInt"}},
    "view": {"rate": {"x": 0, "y": 0}, "whole": {"x": 0, "y": 200}},
}


def test_26_a_plugin_draws_a_field_of_its_own(editor: Editor) -> None:
    editor.open(RATED)
    stars = row(editor, "rate", "stars").locator("good-stars")
    stars.wait_for()
    buttons = stars.locator("button")
    assert buttons.count() == 5
    editor.click(buttons.nth(3))
    becomes(editor, "rate", "stars", 4)
    editor.press("ArrowRight")
    undo(editor)
    undo(editor)
    becomes(editor, "rate", "stars", 2)
    assert stars.evaluate("(element) => element.value") == 2
    assert stars.evaluate("(element) => element.field.max") == 5
    stars.evaluate("""(element) => {
      for (const value of [() => 1, undefined, NaN, document.body])
        element.dispatchEvent(new CustomEvent("change", {detail: {value}}));
    }""")
    assert value(editor, "rate", "stars") == 2


def test_26_a_plain_field_is_there_where_a_plugin_cannot_draw_it(editor: Editor) -> None:
    editor.expect("stars.js")
    editor.page.route("**/stars.js", lambda route: route.abort())
    editor.open(RATED)
    editor.page.get_by_text("<good-stars>").first.wait_for()
    type_into(editor, editor.field("rate", "stars"), "5")
    becomes(editor, "rate", "stars", 5)
    assert row(editor, "rate", "stars").locator("good-stars").count() == 0
