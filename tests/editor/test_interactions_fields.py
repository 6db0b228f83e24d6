"""Fields in a browser: typed, dragged, chosen, reset; wired in place of typed; weights of prompts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.editor.driver import Editor
from tests.editor.fields import WORKFLOW, becomes, row, type_into, undo, value

if TYPE_CHECKING:
    from playwright.sync_api import Route

LARGEST = 2**64 - 1


def test_26_a_number_takes_arithmetic_and_keeps_its_bounds(fields: Editor) -> None:
    width = fields.field("size", "width")
    type_into(fields, width, "2*512+64")
    becomes(fields, "size", "width", 1088)
    type_into(fields, width, "999999")
    becomes(fields, "size", "width", 16384)
    type_into(fields, width, "wide")
    assert width.get_attribute("aria-invalid") == "true"
    assert value(fields, "size", "width") == 16384
    fields.press("Escape")
    assert width.input_value() == "16384"
    assert width.get_attribute("aria-invalid") is None
    type_into(fields, width, "64", "Escape")
    assert value(fields, "size", "width") == 16384
    undo(fields)
    becomes(fields, "size", "width", 1088)
    undo(fields)
    becomes(fields, "size", "width", 512)


def test_26_a_number_is_dragged_in_one_step_of_undo(fields: Editor) -> None:
    box = row(fields, "size", "width").bounding_box()
    assert box is not None
    x, y = box["x"] + 40, box["y"] + box["height"] / 2
    fields.drag((x, y), (x + 20, y), (x + 60, y))
    becomes(fields, "size", "width", 512 + 15 * 8)
    undo(fields)
    becomes(fields, "size", "width", 512)
    assert not fields.state()["canUndo"]
    assert fields.state()["document"]["view"]["size"]["x"] == 0
    with fields.dragging((x, y), (x + 60, y)):
        fields.press("Escape")
    assert value(fields, "size", "width") == 512


def test_26_arrows_step_a_number(fields: Editor) -> None:
    cfg = fields.field("sample", "cfg")
    fields.click(cfg)
    fields.press("ArrowUp")
    becomes(fields, "sample", "cfg", 7.6)
    fields.press("Shift+ArrowDown")
    becomes(fields, "sample", "cfg", 6.6)
    fields.press("Alt+ArrowUp")
    becomes(fields, "sample", "cfg", 6.61)
    fields.click(fields.field("size", "width"))
    fields.press("ArrowDown")
    becomes(fields, "size", "width", 504)


def test_26_a_slider_follows_the_pointer(fields: Editor) -> None:
    box = row(fields, "sample", "denoise").locator(".field-box").bounding_box()
    assert box is not None
    x, y, width = box["x"], box["y"] + box["height"] / 2, box["width"]
    fields.drag((x + width * 0.5, y), (x + width * 0.25, y))
    becomes(fields, "sample", "denoise", 0.25)
    fields.drag((x + width * 0.3, y), (x + width * 1.4, y))
    becomes(fields, "sample", "denoise", 1)
    type_into(fields, fields.field("sample", "denoise"), "0.333")
    becomes(fields, "sample", "denoise", 0.333)
    undo(fields)
    undo(fields)
    becomes(fields, "sample", "denoise", 0.25)


def test_26_a_seed_is_exact_rolled_and_drawn_for_each_run(fields: Editor) -> None:
    seed = fields.field("sample", "seed")
    type_into(fields, seed, str(LARGEST + 5))
    fields.wait_until(lambda: str(value(fields, "sample", "seed")) == str(LARGEST), "the largest seed", 3)
    assert seed.input_value() == str(LARGEST)
    roll = row(fields, "sample", "seed").locator("[data-action=roll]")
    fields.click(roll)
    fields.wait_until(lambda: 0 <= int(value(fields, "sample", "seed")) < 2**32, "a rolled seed", 3)
    undo(fields)
    fields.wait_until(lambda: str(value(fields, "sample", "seed")) == str(LARGEST), "the seed before", 3)
    mode = row(fields, "sample", "seed").locator("[data-action=mode]")
    for wanted in ("random", "next", "fixed", "random"):
        fields.click(mode)
        assert mode.get_attribute("data-mode") == wanted
    assert fields.document()["view"]["sample"]["seeds"] == {"seed": "random"}


def test_26_seeds_change_with_runs_as_chosen(editor: Editor) -> None:
    editor.start()
    editor.node("sample").wait_for()
    type_into(editor, editor.field("sample", "steps"), "1")
    mode = row(editor, "sample", "seed").locator("[data-action=mode]")
    editor.click(mode)
    editor.click(mode)
    assert mode.get_attribute("data-mode") == "next"
    job = editor.run()
    ran = editor.server.ask("GET", f"/jobs/{job['id']}/workflow")["nodes"]["sample"]["params"]["seed"]
    assert ran == 6
    becomes(editor, "sample", "seed", 7)
    editor.click(mode)
    editor.click(mode)
    assert mode.get_attribute("data-mode") == "random"
    job = editor.run()
    ran = editor.server.ask("GET", f"/jobs/{job['id']}/workflow")["nodes"]["sample"]["params"]["seed"]
    assert ran != 7
    assert value(editor, "sample", "seed") == ran


def test_26_a_choice_is_searched(fields: Editor) -> None:
    sampler = fields.field("sample", "sampler_name")
    fields.click(sampler)
    choices = fields.panel("choices")
    assert choices.get_by_role("option").count() > 10
    fields.page.keyboard.type("2msde")
    fields.press("ArrowDown", "ArrowUp", "Enter")
    fields.wait_until(lambda: str(value(fields, "sample", "sampler_name")).startswith("dpmpp_2m_sde"), "chosen", 3)
    assert choices.count() == 0
    before = value(fields, "sample", "sampler_name")
    fields.page.keyboard.type("k")
    fields.press("Escape")
    assert choices.count() == 0
    assert value(fields, "sample", "sampler_name") == before
    fields.press("ArrowDown")
    euler = choices.get_by_role("option", name="euler", exact=True)
    euler.scroll_into_view_if_needed()
    fields.click(euler)
    becomes(fields, "sample", "sampler_name", "euler")


def test_26_typing_is_taken_at_once_and_undone_together(fields: Editor) -> None:
    prefix = fields.field("save", "filename_prefix")
    fields.click(prefix)
    fields.press("Mod+A")
    fields.page.keyboard.type("second", delay=5)
    becomes(fields, "save", "filename_prefix", "second")
    fields.press("Mod+Z")
    becomes(fields, "save", "filename_prefix", "first")
    fields.wait_until(lambda: prefix.input_value() == "first", "the field follows")
    fields.press("Mod+Shift+Z")
    becomes(fields, "save", "filename_prefix", "second")
    fields.page.keyboard.type(" third")
    fields.press("Escape")
    becomes(fields, "save", "filename_prefix", "first")
    assert len(fields.nodes()) == len(WORKFLOW["nodes"])


def test_26_what_is_composed_is_taken_when_it_is_whole(fields: Editor) -> None:
    """As Japanese is: browsers tell of no input after the composition has ended."""
    session = fields.page.context.new_cdp_session(fields.page)
    for id, name in (("save", "filename_prefix"), ("prompt", "text")):
        fields.click(fields.field(id, name))
        fields.press("Mod+A")
        session.send("Input.imeSetComposition", {"text": "hoshi", "selectionStart": 5, "selectionEnd": 5})
        assert value(fields, id, name) == WORKFLOW["nodes"][id]["params"][name], "it is not whole yet"
        session.send("Input.insertText", {"text": "星"})
        becomes(fields, id, name, "星")


def test_26_a_text_grows_with_its_lines(fields: Editor) -> None:
    text = fields.field("prompt", "text")
    height: Callable[[], float] = lambda: text.evaluate("(field) => field.offsetHeight")  # noqa: E731
    low = height()
    fields.click(text)
    fields.press("Mod+A")
    fields.page.keyboard.insert_text("\n".join("line" for _ in range(8)))
    fields.wait_until(lambda: height() > low * 1.8, "it is higher", 3)
    assert text.evaluate("(field) => field.scrollHeight <= field.clientHeight + 1")
    assert fields.page.evaluate("() => document.activeElement.matches('[data-field=text] textarea')")


def test_26_switches_json_and_subgraphs(fields: Editor) -> None:
    fields.click(fields.field("lines", "skip_empty"))
    becomes(fields, "lines", "skip_empty", False)
    fields.press("Space")
    becomes(fields, "lines", "skip_empty", True)
    items = fields.field("count", "items")
    fields.click(items)
    fields.press("Mod+A")
    fields.page.keyboard.insert_text("[1, 2, 9007199254740993]")
    fields.press("Tab")
    fields.wait_until(lambda: len(value(fields, "count", "items")) == 3, "the list is taken", 3)
    assert "9007199254740993" in items.input_value()
    fields.click(items)
    fields.page.keyboard.type("]")
    assert items.get_attribute("aria-invalid") == "true"
    fields.press("Escape")
    assert items.get_attribute("aria-invalid") is None
    fields.click(fields.field("each", "body"))
    fields.click(fields.panel("choices").get_by_role("option", name="twice"))
    becomes(fields, "each", "body", "twice")


def test_26_tab_goes_from_field_to_field(fields: Editor) -> None:
    fields.click(fields.field("size", "width"))
    fields.press("Mod+A")
    fields.page.keyboard.type("256")
    fields.press("Tab")
    becomes(fields, "size", "width", 256)
    focused = "() => document.activeElement.closest('[data-field]')?.dataset.field"
    assert fields.page.evaluate(focused) == "height"
    fields.click(fields.field("sample", "seed"))
    for wanted in ("steps", "cfg", "sampler_name", "scheduler", "denoise"):
        fields.press("Tab")
        assert fields.page.evaluate(focused) == wanted
    fields.press("Shift+Tab")
    assert fields.page.evaluate(focused) == "scheduler"


def test_26_the_wheel_changes_no_value(fields: Editor) -> None:
    before = fields.nodes()
    for id, name in (("size", "width"), ("sample", "denoise"), ("sample", "sampler_name"), ("prompt", "text")):
        fields.page.mouse.move(*fields.place(row(fields, id, name)))
        fields.page.mouse.wheel(0, 20)
        fields.page.mouse.wheel(0, -20)
    fields.click(fields.field("size", "width"))
    fields.page.mouse.wheel(0, 40)
    fields.press("Escape")
    assert fields.nodes() == before


def test_26_the_view_is_moved_over_a_field_without_changing_it(fields: Editor) -> None:
    before = fields.nodes()
    x, y = fields.place(row(fields, "size", "width"))
    fields.drag((x, y), (x + 90, y + 10), button="middle")
    x, y = fields.place(row(fields, "size", "width"))
    fields.drag((x, y), (x + 90, y), keys=["Space"])
    assert fields.nodes() == before
    moved = fields.place(row(fields, "size", "width"))
    assert moved[0] > x + 60


def test_26_fields_are_there_only_while_their_node_is_in_view(editor: Editor) -> None:
    nodes = {f"n{i}": {"type": "EmptyLatentImage"} for i in range(400)}
    view = {f"n{i}": {"x": i % 20 * 400, "y": i // 20 * 240} for i in range(400)}
    editor.open({"format": 1, "nodes": nodes, "view": view})
    editor.press("Shift+1")
    editor.at_rest()
    editor.page.mouse.move(800, 450)
    for _ in range(12):
        editor.page.mouse.wheel(0, -240)
    counted = "() => document.querySelectorAll('.field').length"
    shown = editor.wait_until(lambda: editor.page.evaluate(counted), "fields are in view")
    assert shown < 400
    before = editor.page.locator(".node .field").first.evaluate("(field) => field.closest('[data-node]').dataset.node")
    with editor.dragging((800, 450), (100, 450), button="middle"):
        pass
    with editor.dragging((1400, 450), (100, 450), button="middle"):
        pass
    editor.wait_until(lambda: editor.node(before).count() == 0, "what has left the view is gone")
    assert editor.page.evaluate(counted) < 400


def test_26_a_field_shows_what_the_server_says_is_wrong(editor: Editor) -> None:
    workflow = {
        "format": 1,
        "nodes": {"size": {"type": "EmptyLatentImage", "params": {"width": 5}}, "empty": {"type": "PrimitiveInt"}},
        "view": {"size": {"x": 0, "y": 0}, "empty": {"x": 0, "y": 200}},
    }
    editor.open(workflow)
    width = row(editor, "size", "width")
    width.wait_for()
    assert width.get_attribute("data-state") == "wrong"
    assert "16" in str(width.locator(".field-box").get_attribute("title"))
    assert row(editor, "empty", "value").get_attribute("data-state") == "needed"
    editor.expect("422")
    editor.press("Mod+Enter")
    editor.wait_until(lambda: width.get_attribute("data-state") == "error", "the server's problem is at its field")
    type_into(editor, editor.field("size", "width"), "64")
    editor.wait_until(lambda: width.get_attribute("data-state") is None, "what was mended is not marked")


def test_26_a_colour_is_typed_or_picked(editor: Editor) -> None:
    """No bundled node has a colour: what the server tells of one is changed so that it has."""

    def colored(route: Route) -> None:
        document = route.fetch().json()
        document["nodes"]["PrimitiveString"]["properties"]["params"]["properties"]["value"]["x-widget"] = "color"
        route.fulfill(json=document)

    editor.page.route("**/api/v1/nodes", colored)
    nodes = {"tint": {"type": "PrimitiveString", "params": {"value": "#102030"}}}
    editor.open({"format": 1, "nodes": nodes, "view": {"tint": {"x": 0, "y": 0}}})
    field = editor.field("tint", "value")
    type_into(editor, field, "3af")
    becomes(editor, "tint", "value", "#33aaff")
    type_into(editor, field, "sky")
    assert field.get_attribute("aria-invalid") == "true"
    editor.press("Escape")
    assert field.input_value() == "#33aaff"
    swatch = row(editor, "tint", "value").locator("input[type=color]")
    swatch.fill("#ff0080")
    becomes(editor, "tint", "value", "#ff0080")
    undo(editor)
    becomes(editor, "tint", "value", "#33aaff")
