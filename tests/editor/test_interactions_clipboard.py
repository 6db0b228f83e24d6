"""The clipboard, steps back and forth, and pictures: interactions 18, 20 and 37 of the editor."""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING

from PIL import Image

from tests.editor.driver import Editor
from tests.editor.shell import FREE, PICTURE, TEXTS, added, select

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext


def test_18_nodes_are_copied_as_json_and_pasted_in_another_tab(editor: Editor, context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    editor.open(PICTURE)
    select(editor, "flip", "save")
    editor.press("Mod+C")
    text = editor.page.evaluate("() => navigator.clipboard.readText()")
    assert '"ImageFlip"' in text
    assert "LoadImage" not in text
    editor.press("Mod+V")
    nodes = editor.wait_until(lambda: len(editor.nodes()) == 5 and editor.nodes(), "they are pasted")
    (flip,) = (id for id in nodes if id != "flip" and nodes[id]["type"] == "ImageFlip")
    (save,) = (id for id in nodes if id != "save" and nodes[id]["type"] == "SaveImage")
    assert nodes[save]["links"] == {"images": f"{flip}.out"}
    assert "links" not in nodes[flip]
    editor.press("Mod+Z", "Mod+Shift+V")
    nodes = editor.wait_until(lambda: len(editor.nodes()) == 5 and editor.nodes(), "they are pasted")
    assert {tuple(node.get("links", {}).values()) for id, node in nodes.items() if id not in PICTURE["nodes"]} == {
        ("load.image",), (f"{flip}.out",),
    }  # fmt: skip
    editor.press("Mod+Alt+T", "Mod+V")
    editor.wait_until(lambda: set(editor.nodes()) == {"flip", "save"}, "they are pasted in another tab")


def test_18_cut_takes_away_and_text_in_a_field_stays_text(editor: Editor, context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    editor.open(TEXTS)
    select(editor, "second")
    editor.press("Mod+X")
    assert set(editor.nodes()) == {"first"}
    editor.press("Mod+F")
    editor.page.keyboard.type("words")
    editor.press("Mod+A", "Mod+C", "Escape")
    assert editor.page.evaluate("() => navigator.clipboard.readText()") == "words"
    editor.press("Mod+V")
    assert "holds no nodes" in editor.page.locator(".toast").last.inner_text()
    assert set(editor.nodes()) == {"first"}
    flip = {"class_type": "ImageFlip", "inputs": {"image": ["4", 0]}}
    comfy = json.dumps({"4": {"class_type": "LoadImage", "inputs": {"image": "example.png"}}, "7": flip})
    editor.page.evaluate("(text) => navigator.clipboard.writeText(text)", f"```json\n{comfy}\n```")
    editor.press("Mod+V")
    editor.wait_until(
        lambda: set(editor.nodes()) == {"first", "4", "7"}, "ComfyUI's API form is pasted, fenced as in a chat"
    )
    assert editor.nodes()["7"]["links"] == {"image": "4.image"}


def test_20_every_change_is_undone_and_done_again(editor: Editor) -> None:
    editor.open(TEXTS)
    first = editor.document()
    select(editor, "first")
    editor.press("ArrowDown", "Mod+B")
    editor.press("Mod+D")
    editor.wait_until(lambda: len(editor.nodes()) == 3)
    editor.press("Delete")
    last = editor.document()
    assert last != first
    steps = 0
    while editor.state()["canUndo"]:
        editor.press("Mod+Z")
        steps += 1
    assert editor.document() == first
    assert steps == 4
    editor.wait_until(lambda: editor.state()["tabs"][0]["dirty"] is False, "it is as it was saved, or is saved so")
    editor.press("Mod+Shift+Z", *["Mod+Y"] * 3)
    assert editor.document() == last
    assert editor.state()["canRedo"] is False


def test_20_what_is_typed_in_a_field_is_undone_there_as_one_step(editor: Editor) -> None:
    editor.open(TEXTS)
    field = editor.field("first", "text")
    editor.click(field)
    editor.press("End")
    editor.page.keyboard.type(" and more")
    editor.wait_until(lambda: editor.nodes()["first"]["params"]["text"] == "one red circle and more", "it is typed")
    editor.press("Mod+Z")
    assert editor.nodes() == TEXTS["nodes"]
    editor.wait_until(lambda: field.input_value() == "one red circle", "the field follows")
    editor.press("Mod+Shift+Z")
    assert field.input_value() == "one red circle and more"


def png(color: tuple[int, int, int], size: int = 24) -> str:
    data = io.BytesIO()
    Image.new("RGB", (size, size), color).save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()


COPY = """async (data) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    await navigator.clipboard.write([new ClipboardItem({'image/png': new Blob([bytes], {type: 'image/png'})})]);
}"""
DROP = """([data, name, x, y]) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], name, {type: 'image/png'}));
    const target = document.elementFromPoint(x, y);
    for (const type of ['dragenter', 'dragover', 'drop']) {
        const init = {dataTransfer, clientX: x, clientY: y, bubbles: true, cancelable: true};
        target.dispatchEvent(new DragEvent(type, init));
    }
}"""


def test_37_a_pasted_picture_is_sent_and_loaded(editor: Editor, context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    editor.open(TEXTS)
    editor.page.mouse.move(*FREE)
    editor.page.evaluate(COPY, png((250, 10, 10)))
    before = editor.nodes()
    editor.press("Mod+V")
    id = added(editor, before)
    node = editor.nodes()[id]
    assert node["type"] == "LoadImage"
    names = [file["name"] for file in editor.server.ask("GET", "/files")["items"]]
    assert node["params"]["image"] in names
    assert "is on the server" in editor.page.locator(".toast").last.inner_text()


def test_37_a_dropped_picture_is_loaded_where_it_was_dropped(editor: Editor) -> None:
    editor.open(TEXTS)
    before = editor.nodes()
    editor.page.evaluate(DROP, [png((10, 250, 10)), "green.png", *FREE])
    id = added(editor, before)
    assert editor.nodes()[id]["params"]["image"].startswith("green")
    box = editor.node(id).bounding_box()
    assert box is not None
    assert abs(box["x"] - FREE[0]) < 40
    editor.page.evaluate(DROP, ["AAAA", "broken.png", *FREE])
    editor.wait_until(lambda: editor.page.locator('.toast[data-kind="error"]').count(), "it is refused in words")
    editor.expect(r"415|422|400")
