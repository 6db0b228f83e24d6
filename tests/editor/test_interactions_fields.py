"""Fields in a browser: typed, dragged, chosen, painted; wired in place of typed; weights of prompts."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from tests.editor.driver import Editor

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Route

LARGEST = 2**64 - 1
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


def picture(color: tuple[int, int, int] = (20, 200, 40), size: int = 64) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (size, size), color).save(data, "PNG")
    return data.getvalue()


@pytest.fixture(scope="module")
def serve_options(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    models = tmp_path_factory.mktemp("models")
    (models / "embeddings").mkdir()
    for name in ("easyhand", "old style"):
        (models / "embeddings" / f"{name}.safetensors").touch()
    return ("--workers", "1", "--disk", "64M", "--models", str(models))


@pytest.fixture
def fields(editor: Editor) -> Editor:
    """Return the editor with a workflow open that has fields of all kinds of the bundled nodes."""
    editor.open(WORKFLOW)
    editor.node("whole").wait_for()
    return editor


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
    fields.click(choices.get_by_role("option", name="euler", exact=True))
    becomes(fields, "sample", "sampler_name", "euler")


def test_26_typing_is_taken_at_once_and_undone_together(fields: Editor) -> None:
    prefix = fields.field("save", "filename_prefix")
    fields.click(prefix)
    fields.press("Mod+A")
    fields.page.keyboard.type("second", delay=5)
    becomes(fields, "save", "filename_prefix", "second")
    fields.press("Mod+Z")
    becomes(fields, "save", "filename_prefix", "first")
    assert prefix.input_value() == "first"
    fields.press("Mod+Shift+Z")
    becomes(fields, "save", "filename_prefix", "second")
    fields.page.keyboard.type(" third")
    fields.press("Escape")
    becomes(fields, "save", "filename_prefix", "first")
    assert len(fields.nodes()) == len(WORKFLOW["nodes"])


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
    editor.page.wait_for_timeout(350)
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


# Files and masks


@pytest.fixture
def loading(editor: Editor) -> Editor:
    workflow = {
        "format": 1,
        "nodes": {"load": {"type": "LoadImage", "params": {"image": "example.png"}}},
        "view": {"load": {"x": 0, "y": 0}},
    }
    editor.open(workflow)
    row(editor, "load", "image").wait_for()
    return editor


def dropped(editor: Editor, event: str, data: bytes, name: str) -> None:
    """Drop, or paste, a file onto the field."""
    place = row(editor, "load", "image").locator(".field-box")
    script = """(box, [event, bytes, name]) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], name, {type: "image/png"}));
      const options = {bubbles: true, cancelable: true};
      if (event === "drop") box.dispatchEvent(new DragEvent("dragover", {...options, dataTransfer: data}));
      box.dispatchEvent(event === "drop" ? new DragEvent("drop", {...options, dataTransfer: data})
        : new ClipboardEvent("paste", {...options, clipboardData: data}));
    }"""
    place.evaluate(script, [event, list(data), name])


def test_26_a_picture_is_sent_from_its_field(loading: Editor, tmp_path: Path) -> None:
    file = tmp_path / "green leaf.png"
    file.write_bytes(picture())
    with loading.page.expect_file_chooser() as chooser:
        loading.click(row(loading, "load", "image").locator("[data-action=upload]"))
    chooser.value.set_files(file)
    becomes(loading, "load", "image", "green leaf.png")
    dropped(loading, "drop", picture((200, 0, 0)), "dropped.png")
    becomes(loading, "load", "image", "dropped.png")
    dropped(loading, "paste", picture((0, 0, 200)), "pasted.png")
    becomes(loading, "load", "image", "pasted.png")
    assert row(loading, "load", "image").get_attribute("data-state") is None
    names = {file["name"] for file in loading.server.ask("GET", "/files")["items"]}
    assert {"green leaf.png", "dropped.png", "pasted.png"} <= names
    undo(loading)
    becomes(loading, "load", "image", "dropped.png")
    loading.click(loading.field("load", "image"))
    loading.page.keyboard.type("leaf")
    loading.press("Enter")
    becomes(loading, "load", "image", "green leaf.png")


def painted(editor: Editor, name: str) -> Image.Image:
    answer = editor.page.context.request.get(f"{editor.server.url}/api/v1/files/{name}")
    return Image.open(io.BytesIO(answer.body()))


def test_26_a_mask_is_painted_erased_and_kept(loading: Editor) -> None:
    loading.click(row(loading, "load", "image").locator("[data-action=paint]"))
    stage = loading.panel("mask-stage")
    x, y = loading.place(stage)
    tool: Callable[[str], Locator] = lambda name: loading.panel("mask").locator(f"[data-tool={name}]")  # noqa: E731
    loading.drag((x, y), (x + 60, y))
    loading.click((x - 80, y))
    assert tool("undo").is_enabled()
    loading.press("Mod+Z")
    loading.press("x")
    loading.click((x + 60, y))
    loading.click(loading.panel("mask").locator("[data-action=keep]"))
    loading.wait_until(lambda: value(loading, "load", "image") != "example.png", "the mask is chosen")
    name = value(loading, "load", "image")
    assert name == "example-mask.png"
    made, original = painted(loading, name), painted(loading, "example.png").convert("RGB")
    assert made.mode == "RGBA"
    assert made.size == original.size
    width, height = made.size
    alpha = made.getchannel("A")
    assert alpha.getpixel((width // 2, height // 2)) == 0
    assert alpha.getpixel((2, 2)) == 255
    share = sum(alpha.histogram()[:128]) / (width * height)
    assert 0.002 < share < 0.2
    # What lies under the mask keeps its colours.
    assert made.convert("RGB").tobytes() == original.tobytes()


def test_26_a_mask_that_is_not_kept_changes_nothing(loading: Editor) -> None:
    loading.click(row(loading, "load", "image").locator("[data-action=paint]"))
    loading.panel("mask-stage").wait_for()
    loading.press("ArrowLeft", "Escape")
    loading.panel("mask").wait_for(state="detached")
    assert value(loading, "load", "image") == "example.png"


# Links in place of values; prompts


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


# Elements of plugins

RATED = {
    "format": 1,
    "nodes": {"rate": {"type": "good.Rate", "params": {"stars": 2}}, "whole": {"type": "PrimitiveInt"}},
    "view": {"rate": {"x": 0, "y": 0}, "whole": {"x": 0, "y": 200}},
}


def test_26_a_plugin_draws_a_field_of_its_own(editor: Editor) -> None:
    editor.open(RATED)
    stars = row(editor, "rate", "stars").locator("good-stars")
    stars.wait_for()
    buttons = stars.locator("button")
    assert buttons.count() == 5
    editor.click(buttons.nth(3))
    becomes(editor, "rate", "stars", 4)
    editor.press("ArrowRight")
    undo(editor)
    undo(editor)
    becomes(editor, "rate", "stars", 2)
    assert stars.evaluate("(element) => element.value") == 2
    assert stars.evaluate("(element) => element.field.max") == 5
    stars.evaluate("""(element) => {
      for (const value of [() => 1, undefined, NaN, document.body])
        element.dispatchEvent(new CustomEvent("change", {detail: {value}}));
    }""")
    assert value(editor, "rate", "stars") == 2


def test_26_a_plain_field_is_there_where_a_plugin_cannot_draw_it(editor: Editor) -> None:
    editor.expect("stars.js")
    editor.page.route("**/stars.js", lambda route: route.abort())
    editor.open(RATED)
    editor.page.get_by_text("<good-stars>").first.wait_for()
    type_into(editor, editor.field("rate", "stars"), "5")
    becomes(editor, "rate", "stars", 5)
    assert row(editor, "rate", "stars").locator("good-stars").count() == 0
