"""What tests of fields share: a workflow with fields of all kinds, and how one is read and typed into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.editor.driver import Editor

if TYPE_CHECKING:
    from playwright.sync_api import Locator

WORKFLOW: dict[str, Any] = {
    "format": 1,
    "nodes": {
        "size": {"type": "EmptyLatentImage", "params": {"width": 512, "height": 512, "batch_size": 1}},
        "sample": {"type": "KSampler", "params": {"seed": 7, "steps": 20, "cfg": 7.5, "denoise": 0.5}},
        "prompt": {"type": "CLIPTextEncode", "params": {"text": "a red circle, a blue square"}},
        "save": {"type": "SaveImage", "params": {"filename_prefix": "first"}},
        "lines": {"type": "TextLines", "params": {"text": "one", "skip_empty": True}},
        "count": {"type": "ListLength", "params": {"items": [1, 2]}},
        "each": {"type": "ForEach"},
        "whole": {"type": "PrimitiveInt", "params": {"value": 640}},
    },
    "subgraphs": {"twice": {"nodes": {"one": {"type": "PrimitiveInt", "params": {"value": 1}}}}},
    "view": {
        "size": {"x": 0, "y": 0},
        "sample": {"x": 340, "y": 0},
        "prompt": {"x": 660, "y": 0},
        "save": {"x": 660, "y": 240},
        "lines": {"x": 660, "y": 360},
        "count": {"x": 0, "y": 220},
        "each": {"x": 0, "y": 360},
        "whole": {"x": 0, "y": 520},
    },
}


def value(editor: Editor, id: str, name: str) -> Any:
    return editor.nodes()[id].get("params", {}).get(name)


def row(editor: Editor, id: str, name: str) -> Locator:
    return editor.page.locator(f'[data-node="{id}"] .field[data-field="{name}"]')


def becomes(editor: Editor, id: str, name: str, wanted: Any) -> None:
    editor.wait_until(lambda: value(editor, id, name) == wanted, f"{id}.{name} is {wanted!r}", 3)


def type_into(editor: Editor, field: Locator, text: str, key: str = "Enter") -> None:
    editor.click(field)
    editor.press("Mod+A")
    editor.page.keyboard.type(text)
    editor.press(key)


def undo(editor: Editor) -> None:
    editor.page.evaluate("() => document.activeElement?.blur()")
    editor.press("Mod+Z")
