"""The form of a workflow, on a wide page and on a phone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.editor.driver import Editor

if TYPE_CHECKING:
    from playwright.sync_api import Locator

WORKFLOW: dict[str, Any] = {
    "format": 1,
    "nodes": {
        "ramp": {"type": "good.Ramp", "params": {"width": 32, "height": 16}},
        "other": {"type": "good.Ramp", "params": {"width": 8, "height": 8}},
        "save": {"type": "SaveImage", "params": {"filename_prefix": "made"}, "links": {"images": "ramp.out"}},
    },
    "inputs": {"width": ["ramp.width", "other.width"], "name": "save.filename_prefix"},
    "view": {"ramp": {"x": 0, "y": 0}, "other": {"x": 0, "y": 200}, "save": {"x": 340, "y": 0}},
}


def field(editor: Editor, name: str) -> Locator:
    return editor.panel("form").locator(f'[data-field="{name}"] input, [data-field="{name}"] textarea').first


def params(editor: Editor, id: str) -> Any:
    return editor.nodes()[id].get("params", {})


def shown(editor: Editor) -> bool:
    return editor.panel("form").is_visible()


def test_49_the_form_has_what_is_exposed_and_nothing_else(editor: Editor) -> None:
    editor.open(WORKFLOW)
    editor.press("Mod+Alt+F")
    form = editor.panel("form")
    form.wait_for()
    names = form.locator(".field").evaluate_all("(fields) => fields.map((field) => field.dataset.field)")
    assert names == ["width", "name"]
    width = field(editor, "width")
    editor.click(width)
    editor.press("Mod+A")
    editor.page.keyboard.type("64")
    editor.press("Tab")
    editor.wait_until(lambda: params(editor, "ramp")["width"] == 64, "the first input is set", 3)
    assert params(editor, "other")["width"] == 64, "one name sets all that it leads to"
    editor.press("Mod+Z")
    editor.wait_until(lambda: params(editor, "other")["width"] == 8, "both are back in one step", 3)
    assert params(editor, "ramp")["width"] == 32


def test_49_whoever_opened_the_form_gets_out_of_it(editor: Editor) -> None:
    editor.open(WORKFLOW)
    editor.node("save").wait_for()
    for leave in ("Escape", "Mod+Alt+F"):
        editor.press("Mod+Alt+F")
        editor.wait_until(lambda: shown(editor), "the form is shown")
        editor.press(leave)
        editor.wait_until(lambda: not shown(editor), f"{leave} leads back", 3)
    editor.press("Mod+Alt+F")
    editor.wait_until(lambda: shown(editor), "the form is shown")
    editor.click(field(editor, "name"))
    editor.page.keyboard.type("x")
    editor.press("Escape")
    assert shown(editor), "the first Escape gives the old value back"
    editor.click(editor.panel("form").locator('[data-command="view.form"]'))
    editor.wait_until(lambda: not shown(editor), "the button leads back", 3)
    editor.click(editor.node("save").locator(".node-title"))
    assert editor.state()["selection"] == ["node:save"]


def test_49_nothing_under_the_form_is_changed_by_keys(editor: Editor) -> None:
    editor.open(WORKFLOW)
    editor.node("save").wait_for()
    editor.click(editor.node("save").locator(".node-title"))
    editor.press("Mod+Alt+F")
    editor.wait_until(lambda: shown(editor), "the form is shown")
    editor.press("Delete", "Backspace", "ArrowRight")
    assert set(editor.nodes()) == set(WORKFLOW["nodes"])
    assert editor.document()["view"]["save"]["x"] == 340


def test_49_fields_are_chosen_named_and_ordered(editor: Editor) -> None:
    editor.open({**WORKFLOW, "inputs": {}})
    editor.press("Mod+Alt+F")
    form = editor.panel("form")
    form.locator('.form-empty [data-command="form.choose"]').click()
    form.locator('[data-place="ramp.height"]').click()
    form.locator('[data-place="save.filename_prefix"]').click()
    wanted = {"height": "ramp.height", "filename_prefix": "save.filename_prefix"}

    def inputs() -> dict[str, Any]:
        told = editor.document().get("inputs", {})
        return {name: place if isinstance(place, str) else place[0] for name, place in told.items()}

    editor.wait_until(lambda: inputs() == wanted, "both are exposed", 3)
    name = form.locator('li[data-input="filename_prefix"]')
    name.locator("input").fill("called")
    editor.press("Enter")
    editor.wait_until(lambda: list(inputs()) == ["height", "called"], "one is renamed", 3)
    form.locator('li[data-input="called"] [aria-label="called: further up"]').click()
    editor.wait_until(lambda: list(inputs()) == ["called", "height"], "the order is changed", 3)
    form.locator('[data-place="ramp.height"]').click()
    editor.wait_until(lambda: list(inputs()) == ["called"], "one is taken out", 3)
    form.locator("[data-action=done]").click()
    assert form.locator(".field").count() == 1


def test_49_a_run_from_the_form_shows_what_it_makes(editor: Editor) -> None:
    editor.open(WORKFLOW)
    editor.press("Mod+Alt+F")
    form = editor.panel("form")
    job = editor.run(lambda: editor.click(form.locator('[data-command="run.run"]')))
    assert job["state"] == "done"
    picture = form.locator("img[data-output]")
    picture.wait_for()
    editor.wait_until(lambda: picture.evaluate("(image) => image.naturalWidth > 0"), "the picture is there")
    editor.wait_until(lambda: form.get_by_role("status").text_content() == "Done", "the end is told", 3)


class TestPhone:
    """A phone: small, touched, without keys."""

    @pytest.fixture
    def context_options(self) -> dict[str, Any]:
        return {
            "viewport": {"width": 390, "height": 780},
            "has_touch": True,
            "is_mobile": True,
            "device_scale_factor": 2,
        }

    def test_48_a_workflow_is_edited_and_run_on_a_phone(self, editor: Editor) -> None:
        editor.open(WORKFLOW)
        form = editor.panel("form")
        form.wait_for()
        width = form.locator('[data-field="width"]')
        width.locator('[aria-label="width: more"]').tap()
        editor.wait_until(lambda: params(editor, "ramp")["width"] == 33, "a tap steps", 3)
        name = field(editor, "name")
        name.tap()
        name.fill("phone")
        editor.wait_until(lambda: params(editor, "save")["filename_prefix"] == "phone", "the text is set", 3)
        run = form.locator('[data-command="run.run"]')
        box = run.bounding_box()
        assert box is not None
        assert box["height"] >= 44
        assert box["y"] + box["height"] <= 780, "the button is in reach"
        job = editor.run(run.tap)
        assert job["state"] == "done"
        form.locator("img[data-output]").wait_for()

    def test_48_nothing_is_wider_than_the_phone(self, editor: Editor) -> None:
        editor.start()
        editor.panel("form").wait_for()
        assert editor.page.evaluate("() => document.documentElement.scrollWidth") <= 390
        wide = """() => [...document.querySelectorAll('#form *')]
          .filter((one) => one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.className)"""
        assert editor.page.evaluate(wide) == []
        small = """() => [...document.querySelectorAll('#form button')].filter((one) => one.checkVisibility())
          .filter((one) => one.getBoundingClientRect().height < 38).map((one) => one.outerHTML.slice(0, 80))"""
        assert editor.page.evaluate(small) == []

    def test_48_the_canvas_can_be_looked_at(self, editor: Editor) -> None:
        editor.open(WORKFLOW)
        form = editor.panel("form")
        form.wait_for()
        form.locator('[data-command="view.form"]').tap()
        editor.node("save").wait_for()
        assert not shown(editor)
