"""Menus, themes and what everyone can reach: interactions 45, 46 and 47 of the editor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.editor.driver import Editor
from tests.editor.runs import slow
from tests.editor.shell import FREE, PICTURE, TEXTS, added, chooser, select, workflow

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext


RECORD = """(live) => {
  window.told = [];
  new MutationObserver(() => told.push(live.textContent)).observe(live, { childList: true, characterData: true });
}"""


@pytest.mark.parametrize("how", ["right button", "Shift+F10"])
def test_45_context_menus_do_the_same_commands_as_keys(editor: Editor, how: str) -> None:
    editor.open(TEXTS)
    select(editor, "first")
    if how == "Shift+F10":
        editor.press(how)
    else:
        editor.click(editor.node("first").locator("[data-part=header], .node-header").first, button="right")
    menu = editor.page.get_by_role("menu")
    item = menu.locator('[data-command="graph.delete"]')
    assert "Del" in item.inner_text()
    assert editor.page.evaluate("() => document.activeElement.getAttribute('role')") == "menuitem"
    editor.press("ArrowUp", "ArrowDown", "d", "d")
    item.focus()
    editor.press("Enter")
    assert set(editor.nodes()) == {"second"}
    assert menu.count() == 0


def test_45_each_thing_has_a_menu_of_its_own(editor: Editor) -> None:
    editor.open(PICTURE)
    page = editor.page
    editor.click(FREE, button="right")
    assert page.locator('[data-menu="canvas"] [data-command="palette.open"]').count() == 1
    editor.press("Escape")
    editor.click(editor.port("save", "in:images"), button="right")
    page.locator('[data-menu="port"] [data-command="graph.removeLink"]').click()
    assert "links" not in editor.nodes()["save"]
    editor.press("Mod+Z")
    x1, y1 = editor.place(editor.port("load", "out:image"))
    x2, y2 = editor.place(editor.port("flip", "in:images"))
    editor.click(((x1 + x2) / 2, (y1 + y2) / 2), button="right")
    page.locator('[data-menu="link"] [data-command="palette.insert"]').click()
    page.keyboard.type("imageinvert")
    editor.press("Enter")
    new = added(editor, PICTURE["nodes"])
    assert editor.nodes()[new]["links"] == {"image": "load.image"}
    assert editor.nodes()["flip"]["links"] == {"images": f"{new}.out"}
    editor.click(page.locator(".tab").first, button="right")
    page.locator('[data-menu="tab"] [data-command="tab.duplicate"]').click()
    assert len(editor.state()["tabs"]) == 2


def test_45_a_long_touch_opens_the_menu(editor: Editor, context: BrowserContext) -> None:
    editor.open(TEXTS)
    x, y = editor.place(editor.node("second").locator("[data-part=header], .node-header").first)
    touch = context.new_cdp_session(editor.page)
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    menu = editor.page.locator('[data-menu="node"]')
    menu.wait_for(state="visible", timeout=5000)
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert editor.state()["selection"] == ["node:second"]
    menu.locator('[data-command="graph.delete"]').click()
    assert set(editor.nodes()) == {"first"}


def test_47_the_panel_that_was_open_is_open_again_as_wide_as_it_was(editor: Editor) -> None:
    editor.start()
    assert not editor.panel("help").is_visible()
    editor.press("F1")
    x, y = editor.place(editor.page.locator("#dock .sash"))
    editor.drag((x, y), (x - 100, y))
    width = editor.panel("help").bounding_box()
    editor.page.reload()
    editor.wait_until(lambda: editor.panel("help").is_visible(), "the panel is open again")
    assert editor.panel("help").bounding_box() == width
    editor.click(editor.node("sample").locator(".node-header"))
    help = editor.panel("help").locator('[data-help="KSampler"]')
    assert "0 to 18446744073709551615" in help.inner_text()


def ground(editor: Editor) -> str:
    return str(editor.page.evaluate("() => getComputedStyle(document.body).backgroundColor"))


def test_46_the_theme_is_the_systems_unless_it_is_chosen(editor: Editor) -> None:
    editor.page.emulate_media(color_scheme="dark")
    editor.start()
    dark = ground(editor)
    editor.page.emulate_media(color_scheme="light")
    light = ground(editor)
    assert dark != light
    editor.press("Mod+Shift+P")
    editor.page.keyboard.type("dark theme")
    editor.press("Enter")
    assert ground(editor) == dark
    editor.page.reload()
    editor.wait_until(lambda: ground(editor) == dark, "what was chosen is kept")
    editor.press("Mod+Alt+L")
    assert ground(editor) == light


def test_46_contrast_is_more_where_it_is_wanted_and_forced_colours_hold(editor: Editor) -> None:
    editor.page.emulate_media(color_scheme="light", contrast="more")
    editor.start()
    assert ground(editor) == "rgb(255, 255, 255)"
    edges = editor.page.locator(".field-box").evaluate_all(
        "all => all.map(one => getComputedStyle(one).borderTopColor)"
    )
    assert "rgb(27, 31, 39)" in edges
    editor.page.emulate_media(color_scheme="dark", contrast="no-preference", forced_colors="active")
    editor.press("Mod+,")
    dialog = editor.page.locator('[data-dialog="settings"]')
    assert dialog.evaluate("element => getComputedStyle(element).borderTopStyle") == "solid"
    dialog.get_by_role("switch", name="High contrast").check()
    assert editor.page.evaluate("() => document.documentElement.dataset.contrast") == "more"


UNNAMED = """() => [...document.querySelectorAll('button, input, select, textarea, [role]')].filter((element) => {
    if (!element.checkVisibility() || element.closest('[aria-hidden="true"]')) return false;
    if (!element.matches('button, input, select, textarea, [role=tab], [role=dialog], [role=tablist]')) return false;
    const label = element.labels?.[0]?.textContent ?? '';
    const by = element.getAttribute('aria-labelledby');
    const named = by === null ? '' : document.getElementById(by)?.textContent ?? '';
    return !(element.getAttribute('aria-label') || named || label || element.textContent || element.title).trim();
}).map((element) => element.outerHTML.slice(0, 200))"""


def test_47_every_control_has_a_name(editor: Editor) -> None:
    editor.start()
    for keys in (["F1"], ["Shift+A"], ["Escape", "?"], ["Escape", "Mod+,"]):
        editor.press(*keys)
        assert editor.page.evaluate(UNNAMED) == []


def test_47_the_keyboard_reaches_all_parts_and_is_nowhere_caught(editor: Editor) -> None:
    editor.start()
    part = "() => document.activeElement.closest('#bar, #rail, #canvas, #dock, #dockrail')?.id"
    seen = []
    for _ in range(5):
        editor.press("F6")
        seen.append(editor.page.evaluate(part))
    assert set(seen) == {"bar", "rail", "canvas", "dockrail"}
    reached = set()
    for _ in range(60):
        editor.press("Tab")
        reached.add(editor.page.evaluate(part))
    assert {"bar", "rail", "canvas", "dockrail"} <= reached
    editor.page.locator('#rail [data-command="palette.open"]').focus()
    outline = "() => getComputedStyle(document.activeElement).outlineStyle"
    editor.press("Shift+Tab", "Tab")
    assert editor.page.evaluate(outline) == "solid"


def test_47_a_reader_is_told_of_steps_runs_and_errors(editor: Editor) -> None:
    editor.open(workflow(raises={"type": "faults.Raise", "params": {}}))
    live, alerts = editor.page.locator("#live"), editor.page.locator("#alerts")
    select(editor, "raises")
    editor.press("Mod+B", "Mod+Z")
    editor.wait_until(lambda: live.inner_text().startswith("Undone"), "the undoing is told")
    editor.press("Escape", "l")
    editor.wait_until(lambda: "Select the node" in live.inner_text(), "what to do is told")
    job = editor.run()
    assert job["state"] == "failed"
    editor.wait_until(lambda: "fail" in (live.inner_text() + alerts.inner_text()).lower(), "the failure is told")
    editor.open(slow(seconds=1, steps=20))
    live.evaluate(RECORD)
    editor.run()
    told = editor.wait_until(lambda: editor.page.evaluate("() => told.at(-1).includes('is done') && told"), "its end")
    steps = ["waits in the queue", "has started", "per cent", "is done"]
    assert [step for step in steps if any(step in text for text in told)] == steps
    assert len(told) == len(set(told)) <= 6, "by quarters, each once"


def test_47_at_200_percent_everything_is_there(editor: Editor) -> None:
    editor.page.set_viewport_size({"width": 800, "height": 450})
    editor.start()
    page = editor.page
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    for command in ("run.run", "palette.open", "panel.queue", "panel.help"):
        box = editor.command(command).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 800
        assert box["y"] + box["height"] <= 450
    editor.command("panel.help").click()
    assert editor.panel("help").is_visible()
    editor.press("Escape", "Shift+A")
    box = chooser(editor, "palette").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 450
    editor.press("Escape", "Mod+,")
    page.get_by_role("switch", name="Save by itself").scroll_into_view_if_needed()
    assert page.get_by_role("switch", name="Save by itself").is_visible()


CUT = """() => [...document.querySelectorAll('.row-label, .field-label, .node-title, .tab-title, .button')]
    .filter((element) => element.checkVisibility() && element.scrollHeight > element.clientHeight + 2)
    .map((element) => element.outerHTML.slice(0, 200))"""


def test_47_text_that_is_twice_as_large_is_not_cut(editor: Editor) -> None:
    editor.start()
    editor.command("panel.queue").click()
    editor.node("sample").wait_for()
    assert editor.page.evaluate(CUT) == []
    editor.page.evaluate("() => { document.documentElement.style.fontSize = '200%'; }")
    assert editor.page.evaluate(CUT) == []
    assert editor.page.locator(".queue-state").evaluate("one => one.scrollWidth <= one.clientWidth")
    editor.press("Mod+Alt+F")
    editor.panel("form").locator(".field-label").first.wait_for()
    assert editor.page.evaluate(CUT) == []
