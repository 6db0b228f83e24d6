"""The outline: a workflow as a tree, read and changed by the keyboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.editor.documents import (
    PICTURE,
    outline,
    prefix,
)
from tests.editor.driver import Editor

if TYPE_CHECKING:
    from playwright.sync_api import Locator


def item(editor: Editor, key: str) -> Locator:
    return editor.page.locator(f'[data-outline="{key}"]')


def focused(editor: Editor) -> str | None:
    found: str | None = editor.page.evaluate("() => document.activeElement?.dataset.outline ?? null")
    return found


def test_47_outline_tells_nodes_ports_and_links(editor: Editor) -> None:
    editor.open(PICTURE)
    outline(editor)
    editor.press("Home")
    assert focused(editor) == "node:picture"
    editor.press("ArrowDown", "ArrowRight", "ArrowDown")
    assert focused(editor) == "node:save|in:images"
    editor.press("ArrowRight", "ArrowDown")
    assert focused(editor) == "node:save|in:images|link"
    editor.press("Enter")
    assert focused(editor) == "node:picture"
    row = item(editor, "node:save")
    assert row.get_attribute("role") == "treeitem"
    assert row.get_attribute("aria-level") == "1"
    assert row.get_attribute("aria-expanded") == "true"
    assert editor.state()["selection"] == ["node:picture"]


def test_47_outline_edits_a_field_by_keyboard(editor: Editor) -> None:
    editor.open(PICTURE)
    outline(editor)
    editor.press("End", "ArrowRight", "f")
    assert focused(editor) == "node:save|in:filename_prefix"
    editor.press("Enter", "Mod+A")
    editor.page.keyboard.type("typed")
    editor.press("Enter")
    editor.wait_until(lambda: prefix(editor.document()) == "typed")
    editor.wait_until(lambda: focused(editor) == "node:save|in:filename_prefix", "the row has the focus again")


def test_47_outline_adds_wires_mutes_renames_and_deletes(editor: Editor) -> None:
    editor.open(PICTURE)
    outline(editor)
    editor.press("Insert")
    editor.page.keyboard.type("Invert Image")
    editor.press("Enter")
    editor.wait_until(lambda: len(editor.nodes()) == 3)
    (added,) = set(editor.nodes()) - {"picture", "save"}
    editor.wait_until(lambda: focused(editor) == f"node:{added}", "what was added has the focus")
    editor.press("ArrowRight", "ArrowDown", "Enter")
    editor.page.keyboard.type("picture")
    editor.press("Enter")
    editor.wait_until(lambda: "picture.image" in editor.nodes()[added].get("links", {}).values(), "it is wired")
    editor.wait_until(lambda: (focused(editor) or "").startswith(f"node:{added}|in:"))
    editor.press("Delete")
    editor.wait_until(lambda: not editor.nodes()[added].get("links"), "the link is gone")
    editor.press("ArrowLeft", "Mod+M")
    editor.wait_until(lambda: editor.nodes()[added].get("mode") == "mute")
    assert "mute" in (item(editor, f"node:{added}").get_attribute("aria-label") or "")
    editor.press("F2")
    editor.page.keyboard.type("Upside down")
    editor.press("Enter")
    editor.wait_until(lambda: editor.document()["view"][added].get("title") == "Upside down")
    editor.press("Delete")
    editor.wait_until(lambda: set(editor.nodes()) == {"picture", "save"})
    assert focused(editor) in ("node:picture", "node:save")


def test_47_outline_runs_up_to_a_node(editor: Editor) -> None:
    editor.open(PICTURE)
    outline(editor)
    editor.press("End")
    job = editor.run(lambda: editor.press("Alt+Enter"))
    assert job["state"] == "done"
    assert job["targets"] == ["save"]
