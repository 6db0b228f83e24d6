"""The queue, the history, and pictures that are dropped: interactions 34 to 36 of the editor."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from tests.editor.driver import Editor
from tests.editor.runs import graph, picture, show, slow, submitted

pytestmark = pytest.mark.usefixtures("nothing_runs")


def test_34_queue_pause_reorder_cancel_retry(editor: Editor) -> None:
    editor.open(slow(0.05, 2))
    show(editor, "queue")
    panel = editor.panel("queue")
    editor.command("queue.pause").click()
    editor.wait_until(lambda: editor.server.ask("GET", "/queue")["paused"], "the queue is paused")
    one, two, three = (submitted(editor) for _ in range(3))
    rows = panel.locator(".job[data-movable]")

    def order() -> list[str]:
        found: list[str] = rows.evaluate_all("rows => rows.map((row) => row.dataset.job)")
        return found

    editor.wait_until(lambda: order() == [one, two, three], "they wait in order")
    first, last = rows.nth(0).bounding_box(), rows.nth(2).bounding_box()
    assert first is not None
    assert last is not None
    editor.drag((last["x"] + 60, last["y"] + 34), (first["x"] + 60, first["y"] + 4))
    editor.wait_until(lambda: order() == [three, one, two], "the last one was moved to the front")
    row = panel.locator(f'[data-job="{one}"]')
    row.hover()
    row.locator('[data-action="down"]').click()
    editor.wait_until(lambda: order() == [three, two, one], "by button too")
    panel.locator(f'[data-job="{two}"]').hover()
    panel.locator(f'[data-job="{two}"] [data-action="cancel"]').click()
    editor.wait_until(lambda: order() == [three, one], "the one is cancelled")
    editor.command("queue.pause").click()
    editor.wait_until(lambda: editor.server.job(three)["state"] == "done", "it runs again")
    editor.wait_until(lambda: editor.server.job(one)["state"] == "done", "the other too")
    editor.wait_until(lambda: editor.state()["tabs"][0]["job"] == one, "the tab shows the one that ran last")
    done = panel.locator(f'[data-job="{three}"][data-state="done"]')
    done.wait_for()
    assert re.search(r"Done · \d+(\.\d+)? m?s", done.inner_text())
    jobs = len(editor.jobs())
    done.hover()
    done.locator('[data-action="retry"]').click()
    editor.wait_until(lambda: len(editor.jobs()) == jobs + 1, "it is run once more")
    done.hover()
    done.locator('[data-action="delete"]').click()
    editor.wait_until(lambda: done.count() == 0, "it is removed from the list")


def test_35_history_filter_compare_seed_again_delete(editor: Editor) -> None:
    editor.server.ask("POST", "/jobs?wait=30", {"workflow": picture(40, prefix="gallery40"), "name": "giraffe"})
    editor.open(picture(200, prefix="gallery200"), "zebra")
    editor.run()
    editor.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    show(editor, "history")
    tiles = editor.panel("history").locator(".tile")
    editor.wait_until(lambda: tiles.count() >= 2, "both are there")
    assert tiles.first.locator("img").get_attribute("loading") == "lazy"
    find = editor.page.get_by_label("Find by name or prompt")
    find.fill("zebra")
    editor.wait_until(lambda: tiles.count() == 1, "one is found")
    tile = tiles.first
    tile.hover()
    tile.locator('[data-action="seed"]').click()
    editor.wait_until(lambda: editor.page.evaluate("navigator.clipboard.readText()") == "7", "its seed is copied")
    find.fill("")
    editor.wait_until(lambda: tiles.count() >= 2, "all are there again")
    for place in (0, 1):
        tiles.nth(place).hover()
        tiles.nth(place).locator("input").check()
    editor.panel("history").locator('[data-action="compare"]').click()
    slides(editor)
    looks_at_pictures(editor)
    jobs, shown = len(editor.jobs()), tiles.count()
    tile.hover()
    tile.locator('[data-action="again"]').click()
    editor.wait_until(lambda: len(editor.jobs()) == jobs + 1, "it is made again")
    editor.wait_until(lambda: tiles.count() == shown + 1, "the new one comes up by itself")
    tiles.first.hover()
    tiles.first.locator('[data-action="delete"]').click()
    editor.page.locator("dialog").get_by_role("button", name="Delete").click()
    editor.wait_until(lambda: tiles.count() == shown, "it is gone")


def slides(editor: Editor) -> None:
    """Move the divider between two pictures by a key and by the pointer, and close them."""
    compare = editor.page.locator(".compare")
    box = compare.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    editor.press("ArrowRight")
    assert compare.get_attribute("data-compare") == "52"
    editor.drag((box["x"] + box["width"] / 2, middle), (box["x"] + box["width"] / 4, middle))
    assert compare.get_attribute("data-compare") == "25"
    editor.press("Escape")


def looks_at_pictures(editor: Editor) -> None:
    """Go through the pictures by keys, none of which reaches a button or what lies below."""
    editor.press("Mod+A")
    name = editor.page.locator(".viewer h2")
    editor.panel("history").locator(".tile-open").first.click()
    first = name.inner_text()
    editor.press("ArrowRight")
    editor.wait_until(lambda: name.inner_text() != first, "the next one is shown")
    editor.press("Enter", "Delete", "ArrowLeft")
    editor.wait_until(lambda: name.inner_text() == first, "the one before is shown")
    editor.press("Escape")
    name.wait_for(state="detached")
    assert set(editor.nodes()) == {"text", "save"}


DROP = """([name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  const place = { bubbles: true, cancelable: true, dataTransfer: transfer, clientX: 600, clientY: 400 };
  const target = document.elementFromPoint(600, 400);
  for (const kind of ["dragenter", "dragover", "drop"]) target.dispatchEvent(new DragEvent(kind, place));
}"""


def drop(editor: Editor, name: str, media: str, data: bytes) -> None:
    """Drop a file on the canvas."""
    editor.page.evaluate(DROP, [name, media, base64.b64encode(data).decode()])


def test_36_a_dropped_picture_opens_its_workflow_in_a_tab_of_its_own(editor: Editor, tmp_path: Path) -> None:
    editor.open(picture())
    made = graph(
        **{"a": {"type": "faults.Text", "params": {"text": "<b>hi", "seed": 2**64 - 1}}, "b": {"type": "Gone.Node"}}
    )
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("nodegraph", json.dumps(made), zip=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "made.png", pnginfo=chunks)
    drop(editor, "made.png", "image/png", (tmp_path / "made.png").read_bytes())
    editor.page.get_by_role("button", name="Open its workflow").click()
    editor.wait_until(lambda: set(editor.nodes()) == {"a", "b"}, "the workflow is open")
    assert editor.nodes()["a"]["params"] == {"text": "<b>hi", "seed": str(2**64 - 1)}
    assert editor.nodes()["b"]["type"] == "Gone.Node", "what is not known is kept"
    assert len(editor.state()["tabs"]) == 2, "the other one stays"


COMFY: dict[str, Any] = {
    "1": {"class_type": "faults.Text", "inputs": {"text": "x"}, "is_changed": [float("nan")]},
    "2": {"class_type": "faults.Save", "inputs": {"text": ["1", 0]}, "_meta": {"title": "Keep"}},
}
DRAWN: dict[str, Any] = {
    "nodes": [{"id": 1, "type": "faults.Text", "widgets_values": ["x"]}],
    "links": [],
    "version": 0.4,
}


def test_36_comfyui_s_api_form_opens_and_its_editor_s_form_is_told(editor: Editor, tmp_path: Path) -> None:
    editor.open(picture())
    notices = editor.page.get_by_role("region", name="Notices")
    drop(editor, "api.json", "application/json", json.dumps(COMFY).encode())
    editor.wait_until(lambda: set(editor.nodes()) == {"1", "2"}, "ComfyUI's API form is open")
    assert editor.nodes()["2"]["links"] == {"text": "1.out"}
    assert editor.document()["view"]["2"]["title"] == "Keep"
    for chunks in ({"prompt": COMFY, "workflow": DRAWN}, {"workflow": DRAWN}):
        info = PngImagePlugin.PngInfo()
        for keyword, value in chunks.items():
            info.add_text(keyword, json.dumps(value))
        Image.new("RGB", (8, 8)).save(tmp_path / "comfy.png", pnginfo=info)
        drop(editor, "comfy.png", "image/png", (tmp_path / "comfy.png").read_bytes())
        if "prompt" in chunks:
            editor.page.get_by_role("button", name="Open its workflow").click()
            editor.wait_until(lambda: len(editor.state()["tabs"]) == 3, "the picture's workflow is open")
            assert editor.nodes()["2"]["links"] == {"text": "1.out"}
    notices.get_by_text("Export (API)").wait_for()
    editor.wait_until(lambda: "load_image" in editor.nodes(), "the picture itself is loaded")


def test_36_what_is_no_workflow_is_told(editor: Editor) -> None:
    editor.open(picture())
    notices = editor.page.get_by_role("region", name="Notices")
    drop(editor, "note.txt", "text/plain", b"just words")
    notices.get_by_text("note.txt is no JSON").wait_for()
    drop(editor, "drawn.json", "application/json", json.dumps(DRAWN).encode())
    notices.get_by_text("Export (API)").wait_for()
    assert len(editor.state()["tabs"]) == 1


def test_36_a_picture_is_dragged_out_of_the_history(editor: Editor) -> None:
    editor.open(picture(150, prefix="dragged"))
    editor.run()
    show(editor, "history")
    tile = editor.panel("history").locator(".tile-open").first
    tile.drag_to(editor.page.locator("#canvas"), target_position={"x": 300, "y": 600})
    editor.wait_until(lambda: len(editor.state()["tabs"]) == 2, "it opens beside")
    assert set(editor.nodes()) == {"text", "save"}
