"""Fields of prompts in a browser, and fields with a link in place of a value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.editor.driver import Editor
from tests.editor.fields import becomes, row, type_into, undo, value


@pytest.fixture(scope="module")
def serve_options(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    models = tmp_path_factory.mktemp("models")
    (models / "embeddings").mkdir()
    for name in ("easyhand", "old style"):
        (models / "embeddings" / f"{name}.safetensors").touch()
    return ("--workers", "1", "--disk", "64M", "--models", str(models))


def test_27_a_link_takes_the_place_of_a_value_which_comes_back(fields: Editor) -> None:
    fields.drag(fields.port("whole", "out:out"), row(fields, "size", "width"))
    links: Callable[[], Any] = lambda: fields.nodes()["size"].get("links", {})  # noqa: E731
    fields.wait_until(lambda: links() == {"width": "whole.out"}, "the field is wired", 3)
    source = row(fields, "size", "width").locator(".field-source")
    fields.wait_until(lambda: source.count() == 1 and source.text_content() == "whole.out", "it tells of the link", 3)
    assert not fields.field("size", "width").is_visible()
    port = fields.port("size", "in:width")
    box = port.bounding_box()
    assert box is not None
    fields.drag(port, (box["x"] - 60, box["y"] + 330))
    fields.press("Escape")
    fields.wait_until(lambda: links() == {}, "the link is gone", 3)
    fields.field("size", "width").wait_for()
    assert value(fields, "size", "width") == 512
    type_into(fields, fields.field("size", "width"), "64")
    becomes(fields, "size", "width", 64)


def test_28_keys_weigh_words_and_weights_are_seen(fields: Editor) -> None:
    text = fields.field("prompt", "text")
    fields.click(text)
    text.evaluate("(field) => field.setSelectionRange(2, 5)")
    fields.press("Mod+ArrowUp", "Mod+ArrowUp")
    becomes(fields, "prompt", "text", "a (red:1.2) circle, a blue square")
    mark = row(fields, "prompt", "text").locator("mark")
    assert mark.get_attribute("data-weight") == "1.20"
    assert mark.text_content() == "(red:1.2)"
    fields.press("Mod+ArrowDown", "Mod+ArrowDown", "Mod+ArrowDown")
    becomes(fields, "prompt", "text", "a (red:0.9) circle, a blue square")
    fields.press("Mod+Z")
    becomes(fields, "prompt", "text", "a red circle, a blue square")


def test_28_the_length_of_a_prompt_is_told_as_an_estimate(fields: Editor) -> None:
    count = row(fields, "prompt", "text").locator(".field-count")
    assert count.text_content() == "≈ 7 / 75"
    assert "counted by words" in str(count.get_attribute("title"))
    assert row(fields, "lines", "text").locator(".field-count").text_content() == "", "this text is no prompt"
    fields.click(fields.field("prompt", "text"))
    fields.press("Mod+A")
    fields.page.keyboard.insert_text("word " * 80)
    fields.wait_until(lambda: count.text_content() == "≈ 80 / 150", "the count follows", 3)


def test_28_embeddings_are_offered_by_name(fields: Editor) -> None:
    fields.click(fields.field("prompt", "text"))
    fields.press("Mod+A")
    fields.page.keyboard.type("a hand, embedding:")
    choices = fields.panel("choices")
    choices.wait_for()
    fields.page.keyboard.type("easy")
    fields.press("Enter")
    becomes(fields, "prompt", "text", "a hand, embedding:easyhand")
    fields.page.keyboard.type(" up")
    becomes(fields, "prompt", "text", "a hand, embedding:easyhand up")


def test_26_a_field_gets_its_default_back(fields: Editor) -> None:
    cfg = row(fields, "sample", "cfg")
    fields.click(cfg.locator(".field-label"), button="right")
    fields.click(fields.command("field.reset"))
    fields.wait_until(lambda: value(fields, "sample", "cfg") is None, "the value is gone", 3)
    assert fields.field("sample", "cfg").input_value() == "8"
    undo(fields)
    becomes(fields, "sample", "cfg", 7.5)
