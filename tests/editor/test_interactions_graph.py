"""The canvas in a browser: selecting, moving, removing, grouping, and how nodes look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.editor.canvas_driver import WORKFLOW, Canvas

if TYPE_CHECKING:
    from playwright.sync_api import Locator


RED = """(map) => {
  const drawn = map.querySelector("canvas");
  const { data } = drawn.getContext("2d").getImageData(0, 0, drawn.width, drawn.height);
  return data.filter((red, at) => at % 4 === 0 && red > 150 && data[at + 1] < 110 && data[at + 2] < 110).length;
}"""


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return what the user has set: guides are off, so that things go where they are put."""
    return {"tourSeen": True, "guides": False, **getattr(request, "param", {})}


def color(canvas: Canvas, name: str) -> None:
    canvas.editor.press("Mod+Shift+P")
    canvas.page.keyboard.type(f"colour: {name}")
    canvas.editor.press("Enter")


def background(place: Locator) -> str:
    return str(place.evaluate("(e) => getComputedStyle(e).backgroundColor"))


def items(*ids: str) -> set[str]:
    return {f"node:{id}" for id in ids}


def view_of(canvas: Canvas, part: str) -> dict[str, Any]:
    found: dict[str, Any] = canvas.editor.document()["view"].get(part, {})
    return found


def test_14_selected_nodes_are_wired_where_only_one_way_fits(canvas: Canvas) -> None:
    editor = canvas.editor
    editor.drag(editor.port("decode", "in:samples"), canvas.free())
    editor.click(canvas.header("flip"))
    editor.click(canvas.header("decode"), keys=["Shift"])
    editor.press("F")
    assert canvas.links("decode")["samples"] == "flip.out"
    editor.press("Mod+Z")
    editor.click(canvas.header("prompt"))
    editor.click(canvas.header("latent"), keys=["Shift"])
    before = editor.nodes()
    editor.press("F")
    assert editor.nodes() == before


def test_15_click_shift_and_mod_select(canvas: Canvas) -> None:
    editor = canvas.editor
    editor.click(canvas.header("model"))
    assert canvas.selection() == items("model")
    editor.click(canvas.header("sample"), keys=["Shift"])
    editor.click(canvas.header("flip"), keys=["Control"])
    assert canvas.selection() == items("model", "sample", "flip")
    editor.click(canvas.header("sample"), keys=["Control"])
    assert canvas.selection() == items("model", "flip")
    editor.click(canvas.header("model"))
    assert canvas.selection() == items("model")
    editor.click(canvas.free())
    assert canvas.selection() == set()
    editor.press("Mod+A")
    assert canvas.selection() == items(*WORKFLOW["nodes"])
    editor.press("Escape")
    assert canvas.selection() == set()


def test_15_a_marquee_contains_to_the_right_and_touches_to_the_left(canvas: Canvas) -> None:
    editor, hint = canvas.editor, canvas.page.locator(".canvas-hint")
    left, right = canvas.client(-30, -30), canvas.client(500, 150)
    with editor.dragging(left, right):
        assert hint.inner_text() == "1 selected"
    assert canvas.selection() == items("model")
    with editor.dragging(canvas.client(1150, 440), canvas.client(350, 250)):
        assert canvas.selection() >= items("negative", "sample")
    assert canvas.selection() == items("negative", "sample")
    editor.drag(left, right, keys=["Shift"])
    assert canvas.selection() == items("negative", "sample", "model")
    assert not hint.is_visible()
    assert canvas.page.evaluate("() => String(getSelection())") == ""


def test_16_drag_moves_the_selection_as_one_step(canvas: Canvas) -> None:
    editor = canvas.editor
    editor.click(canvas.header("model"))
    editor.click(canvas.header("latent"), keys=["Shift"])
    canvas.move_to("model", -60, -40)
    assert canvas.at("model") == pytest.approx((-60, -40), abs=1.5)
    assert canvas.at("latent") == pytest.approx((-60, 220), abs=1.5)
    editor.press("Mod+Z")
    assert (canvas.at("model"), canvas.at("latent")) == ((0, 0), (0, 260))
    assert not editor.state()["canUndo"]


def test_16_escape_gives_a_drag_up(canvas: Canvas) -> None:
    start = canvas.header("flip")
    with canvas.editor.dragging(start, (start[0] + 80, start[1] + 60)):
        canvas.page.keyboard.press("Escape")
    assert canvas.at("flip") == (340, 460)


def test_16_arrows_move_and_shift_ten_times_as_far(canvas: Canvas) -> None:
    editor = canvas.editor
    editor.click(canvas.header("flip"))
    editor.press("ArrowRight")
    step = canvas.at("flip")[0] - 340
    assert step > 0
    editor.press("Shift+ArrowDown")
    assert canvas.at("flip") == (340 + step, 460 + 10 * step)
    editor.click(canvas.free())
    before = canvas.view()
    editor.press("ArrowRight")
    assert canvas.view()["x"] < before["x"]
    assert canvas.at("flip") == (340 + step, 460 + 10 * step)


@pytest.mark.parametrize("settings", [{"guides": True}], indirect=True)
def test_16_guides_pull_into_line_with_other_nodes(canvas: Canvas) -> None:
    canvas.move_to("flip", 4, 600)
    assert canvas.at("flip")[0] == 0
    canvas.move_to("flip", 30, 600)
    assert canvas.at("flip")[0] == pytest.approx(30, abs=1.5)


@pytest.mark.parametrize("settings", [{"snap": True}], indirect=True)
def test_16_the_grid_is_kept_to_if_wanted(canvas: Canvas) -> None:
    canvas.move_to("flip", 13, 607)
    assert canvas.at("flip") == (20, 600)


@pytest.mark.parametrize("key", ["Delete", "Backspace"])
def test_17_delete_removes_what_is_selected(canvas: Canvas, key: str) -> None:
    editor = canvas.editor
    editor.click(canvas.header("sample"))
    editor.press(key)
    assert "sample" not in editor.nodes()
    assert "samples" not in canvas.links("decode")
    editor.press("Mod+Z")
    assert canvas.links("decode")["samples"] == "sample.out"
    assert canvas.selection() == items("sample")


def test_17_dissolving_keeps_the_flow(canvas: Canvas) -> None:
    editor = canvas.editor
    editor.drag(editor.port("sample", "out:out"), editor.port("flip", "in:samples"))
    editor.drag(editor.port("flip", "out:out"), editor.port("decode", "in:samples"))
    editor.click(canvas.header("flip"))
    editor.press("Alt+Delete")
    assert "flip" not in editor.nodes()
    assert canvas.links("decode")["samples"] == "sample.out"


def test_17_keys_typed_into_a_field_remove_nothing(canvas: Canvas) -> None:
    editor = canvas.editor
    text = editor.field("prompt", "text")
    text.click()
    text.press("End")
    editor.press("Backspace", "Delete")
    assert set(editor.nodes()) == set(WORKFLOW["nodes"])
    assert text.input_value() == "a sta"


def test_19_duplicate_with_and_without_incoming_links(canvas: Canvas) -> None:
    editor = canvas.editor
    for keys, links in (("Mod+D", None), ("Mod+Shift+D", WORKFLOW["nodes"]["sample"]["links"])):
        before = set(editor.nodes())
        editor.click(canvas.header("sample"))
        editor.press(keys)
        (copy,) = set(editor.nodes()) - before
        assert canvas.selection() == items(copy)
        assert editor.nodes()[copy].get("links") == links
        assert editor.nodes()[copy]["params"] == WORKFLOW["nodes"]["sample"]["params"]
        editor.press("Mod+Z")
        assert set(editor.nodes()) == before


def test_19_alt_drag_moves_a_copy_in_one_step(canvas: Canvas) -> None:
    editor = canvas.editor
    canvas.move_to("flip", 340, 620, keys=("Alt",))
    (copy,) = set(editor.nodes()) - set(WORKFLOW["nodes"])
    assert canvas.at("flip") == (340, 460)
    assert canvas.at(copy) == pytest.approx((340, 620), abs=2)
    editor.press("Mod+Z")
    assert set(editor.nodes()) == set(WORKFLOW["nodes"])
    assert not editor.state()["canUndo"]


def test_21_align_and_distribute_the_selection_in_one_step(canvas: Canvas) -> None:
    editor = canvas.editor
    for number, id in enumerate(("model", "latent", "flip")):
        editor.click(canvas.header(id), keys=["Shift"] if number else [])
    editor.press("Mod+Shift+ArrowLeft")
    assert {canvas.at(id)[0] for id in ("model", "latent", "flip")} == {0}
    editor.press("Alt+Shift+V")
    boxes = [editor.node(id).bounding_box() for id in ("model", "latent", "flip")]
    edges = [(box["y"], box["y"] + box["height"]) for box in boxes if box]
    assert edges[1][0] - edges[0][1] == pytest.approx(edges[2][0] - edges[1][1], abs=2)
    editor.press("Mod+Z", "Mod+Z")
    assert canvas.at("flip") == (340, 460)
    assert canvas.at("prompt") == (340, 0)


def test_21_arranging_runs_links_forward_and_again_changes_nothing(canvas: Canvas) -> None:
    editor = canvas.editor
    canvas.move_to("decode", -100, 560)
    editor.click(canvas.free())
    editor.press("Alt+Shift+T")
    for id, node in editor.nodes().items():
        for source in node.get("links", {}).values():
            assert canvas.at(source.split(".")[0])[0] < canvas.at(id)[0]
    once = editor.document()["view"]
    editor.press("Alt+Shift+T")
    assert editor.document()["view"] == once
    editor.press("Mod+Z")
    assert canvas.at("model") == (0, 0)


def test_22_a_frame_carries_what_lies_in_it_and_collapses(canvas: Canvas) -> None:
    editor = canvas.editor
    editor.click(canvas.header("prompt"))
    editor.click(canvas.header("negative"), keys=["Shift"])
    editor.press("Mod+G")
    canvas.page.keyboard.type("Prompts")
    editor.press("Enter")
    (frame,) = view_of(canvas, ".frames")
    assert view_of(canvas, ".frames")[frame]["title"] == "Prompts"
    box = canvas.page.locator(f'[data-frame="{frame}"]').bounding_box()
    assert box is not None
    editor.click(canvas.free())
    start, zoom = (box["x"] + box["width"] / 2, box["y"] + 10), canvas.view()["zoom"]
    editor.drag(start, (start[0] + 20 * zoom, start[1] - 50 * zoom))
    assert canvas.at("prompt") == pytest.approx((360, -50), abs=1.5)
    assert canvas.at("negative") == pytest.approx((360, 170), abs=1.5)
    assert canvas.at("sample") == (760, 0)
    editor.press("Alt+C")
    assert view_of(canvas, ".frames")[frame]["collapsed"] is True
    editor.node("prompt").wait_for(state="detached")
    editor.press("Mod+Z", "Mod+Z")
    assert canvas.at("prompt") == (340, 0)
    assert editor.node("prompt").is_visible()


def test_22_a_note_is_typed_coloured_and_resized(canvas: Canvas) -> None:
    editor = canvas.editor
    canvas.page.mouse.move(*canvas.free())
    editor.press("Shift+N")
    canvas.page.keyboard.type("<b>bold</b> is text")
    editor.press("Mod+Enter")
    (note,) = view_of(canvas, ".notes")
    assert view_of(canvas, ".notes")[note]["text"] == "<b>bold</b> is text"
    place = canvas.page.locator(f'[data-note="{note}"]')
    assert place.inner_text() == "<b>bold</b> is text"
    box = place.bounding_box()
    assert box is not None
    editor.drag(
        (box["x"] + box["width"] - 5, box["y"] + box["height"] - 5),
        (box["x"] + box["width"] + 60, box["y"] + box["height"] + 30),
    )
    assert view_of(canvas, ".notes")[note]["width"] > 300
    plain = background(place)
    color(canvas, "green")
    assert view_of(canvas, ".notes")[note]["color"] == "green"
    assert background(place) != plain


def test_23_a_subgraph_is_made_entered_left_and_unpacked(canvas: Canvas) -> None:
    editor = canvas.editor
    editor.click(canvas.header("prompt"))
    editor.click(canvas.header("negative"), keys=["Shift"])
    editor.press("Mod+Shift+E")
    (instance,) = set(editor.nodes()) - set(WORKFLOW["nodes"])
    assert "prompt" not in editor.nodes()
    assert {link.split(".")[0] for link in canvas.links("sample").values()} == {"model", instance, "latent"}
    box = editor.node(instance).bounding_box()
    assert box is not None
    editor.click((box["x"] + box["width"] / 2, box["y"] + box["height"] - 4), count=2)
    assert editor.state()["path"] == [instance]
    editor.node("negative").wait_for()
    assert editor.node("sample").count() == 0
    editor.press("Escape")
    assert editor.state()["path"] == []
    assert canvas.selection() == items(instance)
    editor.press("Enter")
    assert editor.state()["path"] == [instance]
    editor.press("Escape", "Mod+Shift+U")
    nodes = editor.nodes()
    assert set(nodes) == set(WORKFLOW["nodes"])
    assert nodes == WORKFLOW["nodes"]


def test_24_mute_and_bypass_are_seen_and_taken_back(canvas: Canvas) -> None:
    editor = canvas.editor
    editor.click(canvas.header("flip"))
    for key, mode, word in (("Mod+M", "mute", "muted"), ("Mod+B", "bypass", "bypassed")):
        editor.press(key)
        assert editor.nodes()["flip"]["mode"] == mode
        drawn = editor.page.locator(f"[data-node=flip][data-mode={mode}]")
        drawn.wait_for()
        assert editor.node("flip").get_by_label(word, exact=True).is_visible()
        editor.press(key)
        assert "mode" not in editor.nodes()["flip"]
        drawn.wait_for(state="detached")


def test_25_collapse_pin_colour_and_title_are_kept_in_the_file(canvas: Canvas) -> None:
    editor = canvas.editor
    editor.click(canvas.header("flip"))
    height = editor.node("flip").evaluate("(e) => e.offsetHeight")
    editor.press("Alt+C")
    assert canvas.shown("flip")["collapsed"] is True
    assert editor.node("flip").evaluate("(e) => e.offsetHeight") < height
    editor.press("Alt+C", "P")
    assert canvas.shown("flip")["pinned"] is True
    start = canvas.header("flip")
    editor.drag(start, (start[0] + 50, start[1] + 50))
    assert canvas.at("flip") == (340, 460)
    editor.press("P", "F2")
    canvas.page.keyboard.type("<i>Turn</i>")
    editor.press("Enter")
    assert canvas.shown("flip")["title"] == "<i>Turn</i>"
    assert editor.node("flip").locator(".node-title").inner_text() == "<i>Turn</i>"
    editor.click(canvas.header("flip"), count=2)
    canvas.page.keyboard.type("Turn")
    editor.press("Enter")
    assert canvas.shown("flip")["title"] == "Turn"
    header = editor.node("flip").locator(".node-header")
    plain = background(header)
    color(canvas, "red")
    assert canvas.shown("flip")["color"] == "red"
    assert background(header) != plain
    color(canvas, "none")
    assert "color" not in canvas.shown("flip")


def test_42_the_map_moves_the_view_and_hides(canvas: Canvas) -> None:
    editor, map_ = canvas.editor, canvas.page.locator("#minimap .minimap")
    box = map_.bounding_box()
    assert box is not None
    before = canvas.view()
    editor.drag((box["x"] + 30, box["y"] + 30), (box["x"] + 120, box["y"] + 90))
    after = canvas.view()
    assert after["zoom"] == before["zoom"]
    assert (after["x"], after["y"]) != (before["x"], before["y"])
    editor.press("Alt+M")
    map_.wait_for(state="hidden", timeout=3000)
    editor.press("Alt+M")
    map_.wait_for(state="visible", timeout=3000)


def test_42_the_map_marks_what_is_wrong(canvas: Canvas) -> None:
    editor, map_ = canvas.editor, canvas.page.locator("#minimap .minimap")
    assert map_.get_attribute("data-errors") == "0"
    before = map_.evaluate(RED)
    editor.expect(r"^4\d\d: POST ")
    editor.press("Mod+Enter")  # flip has no link to its required input
    editor.wait_until(lambda: map_.get_attribute("data-errors") == "1", "the map marks the node")
    assert map_.evaluate(RED) > before + 20


def test_16_a_node_that_tab_comes_to_is_selected_and_moved_by_arrows(canvas: Canvas) -> None:
    editor, page = canvas.editor, canvas.page
    page.locator("#canvas").focus()
    editor.press("Tab")
    id = page.evaluate("() => document.activeElement.dataset.node")
    assert canvas.selection() == items(id)
    before = canvas.at(id)
    editor.press("ArrowDown")
    assert canvas.at(id)[1] > before[1]
    editor.press("Tab")
    assert page.evaluate("() => document.activeElement.dataset.port") is not None
    editor.click(canvas.header("sample"))
    editor.press("Mod+ArrowRight")
    assert page.evaluate("() => document.activeElement.dataset.node") == "decode"
    assert canvas.selection() == items("decode")
    editor.press("Delete")
    editor.wait_until(lambda: page.evaluate("() => document.activeElement.id") == "canvas", "the keys stay here")
