"""An element that a plugin ships draws one of its fields."""

from __future__ import annotations

from tests.editor.driver import Editor

RATED = {
    "format": 1,
    "nodes": {"rate": {"type": "good.Rate", "params": {"stars": 2}}},
    "view": {"rate": {"x": 0, "y": 0}},
}


def test_a_plugins_element_shows_a_value_and_sets_it(editor: Editor) -> None:
    editor.open(RATED)
    stars = editor.node("rate").locator("good-stars")
    editor.wait_until(
        lambda: stars.locator("button").all_text_contents() == ["★", "★", "☆", "☆", "☆"], "stars are drawn"
    )
    editor.click(stars.locator("button").nth(3))
    editor.wait_until(lambda: editor.nodes()["rate"]["params"] == {"stars": 4}, "the value is set")
    stars.focus()
    editor.press("ArrowLeft")
    editor.wait_until(lambda: editor.nodes()["rate"].get("params", {}).get("stars", 3) == 3, "keys set it too")
